"""A toy look-alike (a store of named things) and what the tests of the kit stand on."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPConnection
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest

from core.clock import SystemClock
from core.ports import Delivery, HttpRequest, HttpResponse
from core.sandbox.background import serving
from core.sandbox.client import SandboxClient
from core.sandbox.lookalike import Mutation, Outgoing
from core.sandbox.server import SandboxServer


@dataclasses.dataclass(frozen=True)
class ToySettings:
    """What can be changed while it runs."""

    webhook_url: str | None = None
    lag_scale: float = 1.0


class Toy:
    """GET /things[/id], POST /things; a webhook per change, redelivered until answered with 2xx."""

    def __init__(self) -> None:
        """Start empty."""
        self.name = "toy"
        self.reads = 0
        self.settings = ToySettings()
        self.things: dict[str, dict[str, Any]] = {}
        self.seen: list[HttpRequest] = []
        self.answered: list[tuple[str, int | None]] = []
        self._mutations: list[Mutation] = []
        self._due: dict[str, Outgoing] = {}

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        self.seen.append(request)
        path = urlsplit(request.url).path
        if path == "/broken":
            message = "toy bug"
            raise RuntimeError(message)
        if path == "/empty":
            return HttpResponse(204, {}, b"")
        if request.method in ("GET", "HEAD"):
            self.reads += 1
            return _json(200, self.things)
        thing = json.loads(request.body)
        self.things[thing["id"]] = thing
        self._changed("accord", thing["id"], thing)
        return _json(200, thing)

    def objects(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Live things."""
        return {"customer": self.things}[kind]

    def neutral(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """Their names."""
        return {key: {"name": thing.get("name")} for key, thing in self.objects(kind).items()}

    def edit(self, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        """Change or make a thing."""
        self.objects(kind)
        if remote_id is None:
            remote_id = f"t{len(self.things) + 1}"
            self.things[remote_id] = {"id": remote_id}
        self.things[remote_id].update(changes)
        self._changed("person", remote_id, changes)
        return remote_id

    def delete(self, kind: str, remote_id: str) -> None:
        """Remove a thing."""
        self.objects(kind)
        del self.things[remote_id]
        self._changed("person", remote_id, {})

    @property
    def mutations(self) -> Sequence[Mutation]:
        """Every change."""
        return self._mutations

    def due_webhooks(self, now: float) -> Sequence[Outgoing]:  # noqa: ARG002 - nothing of the toy waits
        """Offer all that were not answered with 2xx."""
        return tuple(self._due.values())

    def webhook_answered(self, outgoing_id: str, status: int | None, now: float) -> None:  # noqa: ARG002 - as above
        """Remember the answer."""
        self.answered.append((outgoing_id, status))
        if status is not None and 200 <= status < 300:
            self._due.pop(outgoing_id, None)

    def too_many(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002 - the same for all
        """Say 429 in its own words."""
        return _json(429, {"toy": "slow down"})

    def _changed(self, caller: str, thing_id: str, changed: Mapping[str, Any]) -> None:
        self._mutations.append(Mutation(0.0, caller, "update", "customer", thing_id, dict(changed)))
        if self.settings.webhook_url:
            number = len(self._mutations)
            body = json.dumps({"event": number, "id": thing_id}).encode()
            delivery = Delivery("POST", self.settings.webhook_url, {"content-type": "application/json"}, body)
            self._due[f"w{number}"] = Outgoing(f"w{number}", delivery, 1)


def _json(status: int, content: object) -> HttpResponse:
    return HttpResponse(status, {"content-type": "application/json"}, json.dumps(content).encode())


@pytest.fixture
def make_toy() -> type[Toy]:
    """The class, for tests that need several."""
    return Toy


@pytest.fixture
def toy() -> Toy:
    """One toy."""
    return Toy()


@pytest.fixture
def server(toy: Toy) -> Iterator[SandboxServer]:
    """The toy and another one, served."""
    with serving({"toy": toy, "other": Toy()}, clock=SystemClock(), rng=Random(1)) as running:
        yield running


@pytest.fixture
def client(server: SandboxServer) -> Iterator[SandboxClient]:
    """The toy's admin interface."""
    found = SandboxClient(server.url("toy"))
    yield found
    found.close()


@pytest.fixture
def link(server: SandboxServer) -> Iterator[HTTPConnection]:
    """A plain HTTP client of the toy."""
    found = HTTPConnection("127.0.0.1", server.ports["toy"], timeout=5.0)
    yield found
    found.close()
