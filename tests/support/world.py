"""A whole Accord in one process: the real engine's parts and store, the real connectors, look-alikes without sockets.

Time stands still unless somebody waits. The database is real SQLite (or PostgreSQL), on the calling thread.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import connectors
from config.file import AccordConfig, sandbox_config
from core.ports import Exchange, HttpRequest, HttpResponse, Provider, Shell
from core.sandbox.lookalike import LookAlike, Offer
from core.store import looks
from core.store.database import Database
from core.store.life import LifeFile
from core.store.tables import METADATA
from core.sync.activation import activate
from core.sync.build import Parts, build_hub
from core.sync.hub import Hub, Timing
from core.sync.lanes import Lanes
from core.sync.plan import plan

PROVIDERS: Mapping[str, Provider] = connectors.providers()
"""Every connector folder's offer, as the daemon finds them."""
OFFERS: Mapping[str, Offer] = connectors.offers()
NAMES = ("stripe", "hubspot", "quickbooks")
START = 1_795_000_000.0
SETTINGS: Mapping[str, Mapping[str, str]] = {
    name: offer.settings(f"http://{name}.test") for name, offer in OFFERS.items()
}
SECRETS: Mapping[str, Mapping[str, str]] = {name: offer.secrets for name, offer in OFFERS.items()}


def config_of(names: Sequence[str]) -> AccordConfig:
    """Connections to these look-alikes, everything flowing."""
    return sandbox_config({name: SETTINGS[name] for name in names})


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


def direct_database(url: str) -> Database:
    """The daemon's database, on the calling thread."""
    return Database(url, is_direct=True)


@dataclass
class World:
    """Look-alikes, the three unless told otherwise, and one Accord."""

    names: Sequence[str] = NAMES
    seed: int = 1
    url: str = "sqlite://"
    timing: Timing = field(default_factory=lambda: Timing(changes_every=60, full_every=86400, first_back_off=1))
    life: LifeFile | None = None
    config: AccordConfig = field(default_factory=lambda: config_of(NAMES))
    providers: Mapping[str, str] = field(default_factory=dict)
    """Whose look-alike a connection has, where its name does not say so: several of one provider."""
    opens: Callable[[str], Database] = direct_database
    """Opens the database at an address, without tables."""

    def __post_init__(self) -> None:
        """An empty world."""
        self.rng = random.Random(self.seed)
        self.clock = StillClock()
        offers = {name: OFFERS[self.providers.get(name, name)] for name in self.names}
        self.lookalikes: dict[str, LookAlike] = {
            name: offers[name].build(self.clock, random.Random(self.seed + number), 1.0, False)  # noqa: FBT003 - Offer.build
            for number, name in enumerate(self.names, 1)
        }
        self.exchanges: dict[str, Exchange] = {name: one.respond for name, one in self.lookalikes.items()}
        self.vaults = {name: PlainVault(dict(SECRETS[self.providers.get(name, name)])) for name in self.names}
        self.db = self.opens(self.url)
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
                life=self.life,
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
            for name in self.names:
                await self.lanes.run(name)
            nexts = [self.db.read_now(partial(self._next, name=name)) for name in self.names]
            due = min((one for one in nexts if one is not None), default=None)
            if due is None or due > until:
                return
            self.clock.time = max(self.clock.time, due)
        raise AssertionError("the lanes did not come to rest")

    @staticmethod
    def _next(tx: Any, name: str) -> float | None:
        seen = looks.at(tx, name)
        row, due = seen.row, seen.next_due
        if row.state == "reauthorize":
            return None
        if row.paused_until and (due is not None or row.swept_at is None):
            return max(row.paused_until, due or 0.0)
        return due

    async def activate_all(self, *names: str) -> None:
        """List, plan, activate and settle one connection after the other."""
        await self.settle()
        for name in names or self.names:
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
