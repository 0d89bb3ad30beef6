"""One small world: a company, a vault, a clock that only sleeping moves, and a line that can be cut."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
import pytest

from connectors.quickbooks.connector import PROVIDER, QuickBooksConnector
from connectors.quickbooks.sandbox import QuickBooksLookAlike, QuickBooksSettings
from core.model.documents import Document, kind_of
from core.model.paper import WantedDocument
from core.model.remote import Wanted
from core.model.values import Value
from core.ports import ConnectionConfig, DocumentTranslator, HttpRequest, HttpResponse, Shell, Write, Written

T = TypeVar("T")
URL = "http://books.example"
MARK = "instance.mapping.1"


class ManualClock:
    """Virtual time: sleeping is what moves it."""

    def __init__(self) -> None:
        """Start afresh."""
        self.time = 1_795_000_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        """Tell the time."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Move time."""
        self.slept.append(seconds)
        self.time += seconds


class MemoryVault:
    """Secrets in memory; `saved` tells which tokens were stored, in order. `failures` are of storing them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """Start afresh."""
        self.values = dict(values)
        self.saved: list[dict[str, str]] = []
        self.failures: list[Exception] = []

    def get(self, name: str) -> str | None:
        """Newest value."""
        return self.values.get(name)

    async def save(self, values: Mapping[str, str]) -> None:
        """Store, unless a failure was planned."""
        has_tokens = "refresh_token" in values
        if has_tokens and self.failures:
            raise self.failures.pop(0)
        self.values.update(values)
        if has_tokens:
            self.saved.append(dict(values))


class World:
    """Everything a test needs; `after` may replace the answer to a request or lose it, `before` the request."""

    def __init__(self, **settings: Any) -> None:
        """Start afresh."""
        self.clock = ManualClock()
        self.company = QuickBooksLookAlike(
            clock=self.clock, rng=random.Random(7), settings=QuickBooksSettings(**settings)
        )
        self.vault = MemoryVault(self.company.secrets)
        self.requests: list[HttpRequest] = []
        self.before: Callable[[HttpRequest], HttpResponse | None] = lambda _: None
        self.after: Callable[[HttpRequest, HttpResponse], HttpResponse] = lambda _, answer: answer
        self.extra: dict[str, str] = {}
        self.items: dict[str, str] = {}

    @property
    def config(self) -> ConnectionConfig:
        """A connection to the company."""
        settings = {**self.company.connection_settings(URL), **self.extra}
        return ConnectionConfig("books", "quickbooks", settings, items=self.items)

    @property
    def documents(self) -> DocumentTranslator:
        """The translation of documents, by the connection's policy."""
        assert PROVIDER.documents is not None
        return PROVIDER.documents(self.config)

    @property
    def shell(self) -> Shell:
        """A line that the test holds."""
        return Shell(self.clock, self._hop, self._exchange)

    def connector(self) -> QuickBooksConnector:
        """A new connector, as after a restart."""
        built = PROVIDER.build(self.config, self.vault, self.shell)
        assert isinstance(built, QuickBooksConnector)
        return built

    def seed(self, count: int, **fields: object) -> list[str]:
        """Customers that people made."""
        return [self.company.edit("customer", None, {"name": f"Customer {i}", **fields}) for i in range(count)]

    def create(self, key: str, **fields: Value) -> Write:
        """A create as the engine would freeze it."""
        body = PROVIDER.translator(self.config).patch(Wanted(fields=fields), None).body
        return Write(key=key, action="create", kind="customer", remote_id=None, body=body)

    def update(self, key: str, remote_id: str, raw: bytes, **fields: Value) -> Write:
        """A sparse update as the engine would freeze it."""
        body = PROVIDER.translator(self.config).patch(Wanted(fields=fields), raw).body
        return Write(key=key, action="update", kind="customer", remote_id=remote_id, body=body)

    async def bring(self, document: Document, raw: bytes | None = None, *, mark: str = MARK) -> bytes:
        """Take step after step as the engine does, each decided on the answer before; the copy at the end."""
        connector, kind = self.connector(), kind_of(document)
        remote_id = self.documents.read(kind, raw).document.id if raw else None
        for number in range(9):
            named = msgspec.structs.replace(document, id=remote_id or "")
            step = self.documents.step(WantedDocument(document=named, mark=mark), raw)
            if step is None:
                assert raw is not None
                return raw
            body = json.loads(json.dumps(step.body))
            key = f"{mark}-{number}-{step.action}"
            write = Write(key=key, action=step.action, kind=kind, remote_id=remote_id, body=body)
            (receipt,) = await connector.write([write])
            if not isinstance(receipt, Written):
                raise receipt
            remote_id, raw = receipt.sighting.id, receipt.sighting.raw
        pytest.fail("the steps never end")

    def paths(self, fragment: str) -> list[str]:
        """Addresses called so far that contain a fragment."""
        return [request.url for request in self.requests if fragment in request.url]

    def token(self) -> str:
        """A good access token, for talking to the company without a client."""
        answer = self.company.respond(
            HttpRequest(
                "POST",
                f"{URL}/oauth2/v1/tokens/bearer",
                {"authorization": "Basic c2FuZGJveC1jbGllbnQ6c2FuZGJveC1jbGllbnQtc2VjcmV0"},
                f"grant_type=refresh_token&refresh_token={self.vault.values['refresh_token']}".encode(),
            )
        )
        granted = json.loads(answer.body)
        self.vault.values["refresh_token"] = granted["refresh_token"]
        return str(granted["access_token"])

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        told = self.before(request)
        return told if told is not None else self.after(request, self.company.respond(request))

    @staticmethod
    async def _hop(call: Callable[[], T]) -> T:
        return call()


MakeWorld = Callable[..., World]


@pytest.fixture
def anyio_backend() -> str:
    """The daemon runs on asyncio."""
    return "asyncio"


def always(answer: HttpResponse) -> Callable[[HttpRequest], HttpResponse]:
    """Whatever is asked."""
    return lambda _: answer


@pytest.fixture
def make_world() -> MakeWorld:
    """Build a world with other settings of the company."""
    return World


@pytest.fixture
def world() -> World:
    """A US company without customers."""
    return World()
