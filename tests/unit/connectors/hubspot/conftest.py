# ruff: noqa: D102, D107 -- test doubles
"""A HubSpot look-alike in memory, and a connector on top of it: production code, no sockets, virtual time."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec
import pytest

from connectors.hubspot.connector import HubSpotConnector
from connectors.hubspot.sandbox import HubSpotLookAlike, HubSpotSettings
from connectors.hubspot.translate import HubSpotTranslator
from core.abilities import Past
from core.model.remote import Remote, Wanted
from core.model.values import Value
from core.ports import (
    ConnectionConfig,
    Exchange,
    HttpRequest,
    HttpResponse,
    Page,
    Receipt,
    Shell,
    Sighting,
    Write,
    Written,
)

T = TypeVar("T")

KEYS = ("plan", "Tier.x")
START = 1_790_000_000.0


class ManualClock:
    """Sleeping moves time."""

    def __init__(self) -> None:
        self.time = START
        self.slept = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.time += seconds


class DictVault:
    """Secrets in memory."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    async def save(self, values: Mapping[str, str]) -> None:
        self.values |= values


async def hop(call: Callable[[], T]) -> T:
    """Right here."""
    return call()


@dataclass
class World:
    """One account, one connector, and a wire between them that a test can cut."""

    clock: ManualClock
    hubspot: HubSpotLookAlike
    settings: Mapping[str, str] = field(default_factory=dict)
    exchange: Exchange | None = None
    requests: list[HttpRequest] = field(default_factory=list)
    made: int = 0
    past: Past | None = None

    def __post_init__(self) -> None:
        self.config = ConnectionConfig("crm", "hubspot", self.settings, KEYS)
        self.vault = DictVault({"access_token": self.hubspot.settings.access_token})
        shell = Shell(self.clock, hop, exchange=self._exchange)
        self.connector = HubSpotConnector(self.config, self.vault, shell)
        self.translator = HubSpotTranslator(self.config)

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        return (self.exchange or self.hubspot.respond)(request)

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """To its end, in virtual time."""
        return asyncio.run(call)

    def sweep(self, mode: Any = "full", cursor: str | None = None) -> list[Page]:
        """All pages of one pass."""

        async def pages() -> list[Page]:
            found = [await self.connector.sweep("customer", mode, cursor)]
            while not found[-1].is_last:
                found.append(await self.connector.sweep("customer", mode, found[-1].cursor))
            return found

        return self.run(pages())

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
        """A naive client: one bare request at the look-alike."""
        sent = {"authorization": f"Bearer {self.hubspot.settings.access_token}"} | headers
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        answer = self.hubspot.respond(HttpRequest(method, f"https://api.hubapi.com{path}", sent, raw))
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.status, json.loads(answer.body) if is_json else answer.body, answer.headers

    def create(
        self, fields: Mapping[str, Value], mark: str, *, is_repeat: bool = False, external_id: str | None = None
    ) -> Receipt:
        """Create through the connector."""
        body = self.translator.patch(Wanted(fields=fields, mark=mark, external_id=external_id), None).body
        write = msgspec.structs.replace(self.as_write("create", body), is_repeat=is_repeat)
        (receipt,) = self.run(self.connector.write([write]))
        return receipt

    def update(self, seen: Sighting, fields: Mapping[str, Value], *, is_known: bool = True) -> Receipt:
        """Update through the connector, which is told the object as it was read; or is not."""
        body = self.translator.patch(Wanted(fields=fields), seen.raw).body
        write = msgspec.structs.replace(self.as_write("update", body, seen.id), current=seen.raw if is_known else None)
        (receipt,) = self.run(self.connector.write([write]))
        if isinstance(receipt, Written):
            self.past = Past(remote_id=seen.id, body=body, stamp=receipt.stamp)
        return receipt

    def overwritten(self) -> Mapping[str, Value]:
        """What the last update replaced, asked for now."""
        assert self.past is not None
        return self.run(self.connector.recall("customer", [self.past]))[self.past.remote_id].overwritten

    def as_write(self, action: Any, body: Mapping[str, Any], remote_id: str | None = None) -> Write:
        """A write with a key of its own."""
        self.made += 1
        return Write(key=f"key-{self.made}", action=action, kind="customer", remote_id=remote_id, body=body)

    def see(self, remote_id: str) -> Sighting:
        """Read what is there."""
        found = self.run(self.connector.read("customer", [remote_id]))[remote_id]
        assert isinstance(found, Sighting), found
        return found

    def remote(self, seen: Sighting | Receipt) -> Remote:
        """In neutral words."""
        if isinstance(seen, Written):
            seen = seen.sighting
        assert isinstance(seen, Sighting), seen
        return self.translator.read(seen.raw)


@pytest.fixture
def clock() -> ManualClock:
    """Virtual time."""
    return ManualClock()


@pytest.fixture
def make_world(clock: ManualClock) -> Callable[..., World]:
    """A world with settings of its own."""

    def make(settings: HubSpotSettings | None = None, **connection: str) -> World:
        hubspot = HubSpotLookAlike(clock=clock, rng=random.Random(7), settings=settings)
        return World(clock, hubspot, connection)

    return make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A prepared account."""
    made = make_world()
    made.run(made.connector.prepare())
    return made
