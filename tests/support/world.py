"""A whole Accord in one process: the real engine's parts and store, the real connectors, look-alikes without sockets.

Time stands still unless somebody waits. The database is real SQLite (or PostgreSQL), on the calling thread.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from config.file import AccordConfig, sandbox_config
from connectors.hubspot.connector import PROVIDER as HUBSPOT
from connectors.hubspot.sandbox import HubSpotLookAlike
from connectors.quickbooks.connector import PROVIDER as QUICKBOOKS
from connectors.quickbooks.sandbox import QuickBooksLookAlike
from connectors.stripe.connector import PROVIDER as STRIPE
from connectors.stripe.sandbox import StripeLookAlike
from core.ports import Exchange, HttpRequest, HttpResponse, Shell
from core.sandbox.lookalike import LookAlike
from core.store import connections, work
from core.store.database import Database
from core.store.tables import METADATA
from core.sync.activation import activate
from core.sync.build import Parts, build_hub
from core.sync.hub import Hub, Timing
from core.sync.lanes import Lanes
from core.sync.plan import plan

PROVIDERS = {"stripe": STRIPE, "hubspot": HUBSPOT, "quickbooks": QUICKBOOKS}
NAMES = ("stripe", "hubspot", "quickbooks")
START = 1_795_000_000.0
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "stripe": {"base_url": "http://stripe.test"},
    "hubspot": {"base_url": "http://hubspot.test"},
    "quickbooks": {
        "base_url": "http://quickbooks.test",
        "token_url": "http://quickbooks.test/oauth2/v1/tokens/bearer",
        "realm_id": "9341453908059321",
    },
}
SECRETS: Mapping[str, Mapping[str, str]] = {
    "stripe": {"api_key": "rk_live_lookalike", "webhook_secret": "whsec_lookalike"},
    "hubspot": {"access_token": "pat-na1-sandbox", "client_secret": "hubspot-client-secret"},
    "quickbooks": {
        "client_id": "sandbox-client",
        "client_secret": "sandbox-client-secret",
        "refresh_token": "sandbox-refresh-token",
        "verifier_token": "sandbox-verifier-token",
    },
}


class StillClock:
    """Time that moves only when somebody waits."""

    def __init__(self, now: float = START) -> None:
        """Start at a fixed moment."""
        self.time = now

    def now(self) -> float:
        """Seconds since 1970."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Time passes at once."""
        self.time += seconds


class SeededIds:
    """Ids from a seeded generator."""

    def __init__(self, rng: random.Random) -> None:
        """Draw from `rng`."""
        self._rng = rng

    def new(self) -> str:
        """26 letters and digits."""
        return "".join(self._rng.choices("0123456789abcdefghijklmnopqrstuv", k=26))


@dataclass
class PlainVault:
    """Secrets in a dict."""

    values: dict[str, str]

    def get(self, name: str) -> str | None:
        """The newest value."""
        return self.values.get(name)

    async def save(self, values: Mapping[str, str]) -> None:
        """Keep."""
        self.values.update(values)


async def here(call: Callable[[], Any]) -> Any:
    """A hop to nowhere."""
    return call()


@dataclass
class World:
    """Three look-alikes and one Accord."""

    seed: int = 1
    url: str = "sqlite://"
    timing: Timing = field(default_factory=lambda: Timing(changes_every=60, full_every=86400, first_back_off=1))
    config: AccordConfig = field(default_factory=lambda: sandbox_config(SETTINGS))

    def __post_init__(self) -> None:
        """An empty world."""
        self.rng = random.Random(self.seed)
        self.clock = StillClock()
        self.lookalikes: dict[str, LookAlike] = {
            "stripe": StripeLookAlike(clock=self.clock, rng=random.Random(self.seed + 1)),
            "hubspot": HubSpotLookAlike(clock=self.clock, rng=random.Random(self.seed + 2)),
            "quickbooks": QuickBooksLookAlike(clock=self.clock, rng=random.Random(self.seed + 3)),
        }
        self.exchanges: dict[str, Exchange] = {name: one.respond for name, one in self.lookalikes.items()}
        self.vaults = {name: PlainVault(dict(SECRETS[name])) for name in NAMES}
        self.db = Database(self.url, is_direct=True)
        METADATA.create_all(self.db.engine)
        self.woken: set[str] = set()
        self.start()

    def start(self) -> None:
        """(Re)start Accord: nothing survives but the database, the vaults and the look-alikes."""
        self.hub: Hub = build_hub(
            Parts(
                configs=self.config.connections,
                policy=self.config.policy,
                providers=PROVIDERS,
                db=self.db,
                clock=self.clock,
                ids=SeededIds(self.rng),
                vault=lambda name: self.vaults[name],
                shell=lambda name: Shell(clock=self.clock, hop=here, exchange=self._through(name)),
                wake=self.woken.add,
                timing=self.timing,
            )
        )
        self.lanes = Lanes(self.hub)

    def _through(self, name: str) -> Exchange:
        def exchange(request: HttpRequest) -> HttpResponse:
            return self.exchanges[name](request)

        return exchange

    async def settle(self, rounds: int = 400, *, patience: float = 900.0) -> None:
        """Run lanes until nothing is due; wait for what will be due within `patience` seconds."""
        until = self.clock.time + patience
        for _ in range(rounds):
            for name in NAMES:
                await self.lanes.run(name)
            nexts = [self.db.read_now(lambda tx, n=name: self._next(tx, n)) for name in NAMES]
            due = min((one for one in nexts if one is not None), default=None)
            if due is None or due > until:
                return
            self.clock.time = max(self.clock.time, due)
        raise AssertionError("the lanes did not come to rest")

    @staticmethod
    def _next(tx: Any, name: str) -> float | None:
        row = connections.get(tx, name)
        due = work.next_due(tx, name)
        if row.state == "reauthorize":
            return None
        if row.paused_until and (due is not None or row.swept_at is None):
            return max(row.paused_until, due or 0.0)
        return due

    async def activate_all(self, *names: str) -> None:
        """List, plan, activate and settle one connection after the other."""
        await self.settle()
        for name in names or NAMES:
            connection = self.hub.connections[name]
            seen = await plan(self.hub, connection)
            await activate(self.hub, connection, seen.digest, actor="test")
            await self.settle()

    async def next_sweep(self) -> None:
        """Let a minute pass and sweep everywhere."""
        self.clock.time += self.timing.changes_every + 1
        await self.settle()

    def neutral(self, name: str) -> Mapping[str, Mapping[str, Any]]:
        """What one look-alike holds, in neutral fields."""
        return self.lookalikes[name].neutral("customer")

    def writes(self, name: str) -> int:
        """How often Accord changed something at one look-alike."""
        return sum(one.caller == "accord" for one in self.lookalikes[name].mutations)
