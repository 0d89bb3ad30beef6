"""One look-alike, and a connector that talks to it in virtual time without a socket."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from connectors.acme.connector import PROVIDER
from connectors.acme.sandbox import AcmeLookAlike
from core.model.remote import Wanted
from core.ports import ConnectionConfig, HttpRequest, HttpResponse, Page, Shell, Sighting, Write, Written

T = TypeVar("T")
URL = "https://acme.test"


class ManualClock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        """Start at a fixed moment."""
        self.time = 1_795_000_000.0

    def now(self) -> float:
        """Tell the time."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Move it."""
        self.time += seconds


class MemoryVault:
    """Secrets in memory."""

    def __init__(self, **values: str) -> None:
        """Keep them."""
        self.values = values

    def get(self, name: str) -> str | None:
        """The newest value."""
        return self.values.get(name)

    async def save(self, values: Mapping[str, str]) -> None:
        """Store."""
        self.values |= values


async def _here(call: Callable[[], T]) -> T:
    return call()


class World:
    """The look-alike, the connector over it, and the wire between them."""

    def __init__(self) -> None:
        """An empty account."""
        self.clock = ManualClock()
        self.lookalike = AcmeLookAlike(clock=self.clock, rng=random.Random(7))
        self.vault = MemoryVault(api_key=self.lookalike.settings.api_key)
        self.requests: list[HttpRequest] = []
        self.tamper: Callable[[HttpRequest], HttpResponse | None] = lambda _: None
        self.config = ConnectionConfig("acme-eu", "acme", {"base_url": URL})
        self.translator = PROVIDER.translator(self.config)
        self.connector = PROVIDER.build(self.config, self.vault, Shell(self.clock, _here, self._exchange))

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        return self.tamper(request) or self.lookalike.respond(request)

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Wait for it."""
        return asyncio.run(call)

    def create(self, key: str = "key-1", **wanted: Any) -> Any:
        """One create; its receipt."""
        body = self.translator.patch(Wanted(**{"fields": {"name": "Ada"}, **wanted}), None).body
        return self.write(Write(key=key, action="create", kind="customer", remote_id=None, body=body))

    def update(self, seen: Sighting, **fields: Any) -> Any:
        """One update of what was seen; its receipt."""
        body = self.translator.patch(Wanted(fields=fields), seen.raw).body
        return self.write(Write(key="key-2", action="update", kind="customer", remote_id=seen.id, body=body))

    def write(self, one: Write) -> Any:
        """One write; its receipt."""
        (receipt,) = self.run(self.connector.write([one]))
        return receipt

    def made(self) -> Sighting:
        """One customer, made by us."""
        receipt = self.create()
        assert isinstance(receipt, Written), receipt
        return receipt.sighting

    def sweep(self, cursor: str | None) -> list[Page]:
        """All pages of one incremental sweep."""

        async def pages() -> list[Page]:
            found = [await self.connector.sweep("customer", "changes", cursor)]
            while not found[-1].is_last:
                found.append(await self.connector.sweep("customer", "changes", found[-1].cursor))
            return found

        return self.run(pages())

    def call(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """A naive client: one bare request at the look-alike."""
        sent = {"authorization": f"Bearer {self.lookalike.settings.api_key}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        answer = self.lookalike.respond(HttpRequest(method, URL + path, sent, content))
        return answer.status, json.loads(answer.body)

    def change(self, **settings: Any) -> None:
        """Other settings of the account."""
        self.lookalike.settings = replace(self.lookalike.settings, **settings)


@pytest.fixture
def world() -> World:
    """An empty account."""
    return World()
