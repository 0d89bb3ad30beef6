# ruff: noqa: D102, D103, D107 -- test doubles
"""One Stripe look-alike, and a connector that talks to it in virtual time without a socket."""

import asyncio
import dataclasses
import json
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import pytest

from connectors.stripe.connector import PROVIDER
from connectors.stripe.sandbox import StripeLookAlike, StripeSettings
from core.ports import ConnectionConfig, Connector, HttpRequest, HttpResponse, Page, Shell

T = TypeVar("T")


class ManualClock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.time = 1_790_000_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


class MemoryVault:
    """Secrets in memory."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def get(self, name: str) -> str | None:
        return self.values.get(name)

    async def save(self, values: Mapping[str, str]) -> None:
        self.values |= values


async def _here(call: Callable[[], T]) -> T:
    return call()


class World:
    """The look-alike, the connector over it, and the wire between them."""

    def __init__(
        self, settings: StripeSettings | None = None, connection: Mapping[str, str] | None = None, **config: Any
    ) -> None:
        self.clock = ManualClock()
        self.stripe = StripeLookAlike(clock=self.clock, rng=random.Random(7), settings=settings)
        self.vault = MemoryVault(api_key="rk_live_lookalike")
        self.requests: list[HttpRequest] = []
        self.tamper: Callable[[HttpRequest, Callable[[], HttpResponse]], HttpResponse] | None = None
        self.config = ConnectionConfig("stripe-eu", "stripe", settings=connection or {}, **config)
        self.connector: Connector = PROVIDER.build(self.config, self.vault, self.shell)
        self.translator = PROVIDER.translator(self.config)

    @property
    def shell(self) -> Shell:
        return Shell(self.clock, _here, self._exchange)

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        if self.tamper is not None:
            return self.tamper(request, lambda: self.stripe.respond(request))
        return self.stripe.respond(request)

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(call)

    def sweep(self, mode: Any = "full", cursor: str | None = None) -> list[Page]:
        async def pages() -> list[Page]:
            found = [await self.connector.sweep("customer", mode, cursor)]
            while not found[-1].is_last:
                found.append(await self.connector.sweep("customer", mode, found[-1].cursor))
            return found

        return self.run(pages())

    def call(
        self, method: str, path: str, form: Mapping[str, str] | None = None, **headers: str
    ) -> tuple[int, Any, Mapping[str, str]]:
        """A naive client: one bare request at the look-alike."""
        text = urlencode(form or {})
        is_get = method == "GET"
        url = f"https://api.stripe.com{path}" + (f"?{text}" if is_get and text else "")
        sent = {"authorization": "Bearer rk_live_lookalike"} | {k.replace("_", "-"): v for k, v in headers.items()}
        response = self.stripe.respond(HttpRequest(method, url, sent, b"" if is_get else text.encode()))
        return response.status, json.loads(response.body), response.headers

    def change(self, **settings: Any) -> None:
        self.stripe.settings = dataclasses.replace(self.stripe.settings, **settings)


@pytest.fixture
def make_world() -> Callable[..., World]:
    return World


@pytest.fixture
def world() -> World:
    return World()
