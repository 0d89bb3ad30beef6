"""Deaths at every call of a port: proxies around connectors, exchanges and the database, and worlds to copy.

No hook in the product and no hand-kept list of points: the n-th call dies, for n = 1, 2, ... until a job survives.
"""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest

from core.model.documents import KINDS, Document
from core.model.paper import RemoteDocument
from core.ports import DocumentTranslator, HttpRequest, HttpResponse, Write
from core.sandbox.faults import Fault, FaultPlan, FaultyExchange
from core.store.database import Database
from core.sync.hub import Hub
from core.sync.lanes import Lanes
from tests.simulation.quick import QuickDatabase
from tests.support.world import NAMES, World, direct_database


class Crash(BaseException):
    """The process dies here."""


DOING: ContextVar[str] = ContextVar("DOING", default="")
"""Which steps of documents are under way here: points are told apart by them. Batches go on beside each other."""


@dataclass
class Fuse:
    """Counts calls while it is armed, and blows at the n-th."""

    blows_at: int = 0
    count: int = 0
    is_armed: bool = False
    reached: Counter[str] = field(default_factory=Counter)

    def point(self, name: str) -> None:
        """One place where the process may die."""
        if not self.is_armed:
            return
        self.count += 1
        name = f"{name} of {DOING.get()}" if DOING.get() else name
        self.reached[name] += 1
        if self.count == self.blows_at:
            self.is_armed = False
            raise Crash(name)


class FusedPort:
    """Anything with async methods: dies before or after the calls of those that are named."""

    def __init__(self, inner: Any, label: str, names: tuple[str, ...], fuse: Fuse) -> None:
        """Stand before `inner`; everything else passes."""
        self._inner = inner
        self._label = label
        self._names = names
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        """The method, with a point on each side."""
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        async def fused(*arguments: Any, **named: Any) -> Any:
            doing = DOING.set(_steps_of(arguments[0]) if name == "write" else "")
            try:
                self._fuse.point(f"before {self._label}.{name}")
                result = await found(*arguments, **named)
                self._fuse.point(f"after {self._label}.{name}")
            finally:
                DOING.reset(doing)
            return result

        return fused


class Retold:
    """An origin's translation that hears of documents what a system of another kind would say of them."""

    def __init__(self, inner: DocumentTranslator, says: Mapping[str, Callable[[Document], Document]]) -> None:
        """`says`: by kind, what it makes of a document; looked up at each reading."""
        self._inner, self._says = inner, says

    def __getattr__(self, name: str) -> Any:
        """Everything else is as ever."""
        return getattr(self._inner, name)

    def read(self, kind: str, raw: bytes) -> RemoteDocument:
        """Read, and retell."""
        found = self._inner.read(kind, raw)
        retell = self._says.get(kind)
        return msgspec.structs.replace(found, document=retell(found.document)) if retell and not found.mark else found


def retold(hub: Hub, says: Mapping[str, Callable[[Document], Document]]) -> Hub:
    """A hub whose connections are told something else of documents that are no copies, by kind."""
    connections = {
        name: replace(one, documents=Retold(one.documents, says)) if one.documents else one
        for name, one in hub.connections.items()
    }
    return replace(hub, connections=connections)


def _steps_of(writes: Sequence[Write]) -> str:
    """`finalize invoice`; nothing for customers, whose writes are of one kind."""
    return ", ".join(sorted({f"{one.action} {one.kind}" for one in writes if one.kind in KINDS}))


CONNECTOR_CALLS = ("identify", "prepare", "sweep", "read", "recall", "find", "write", "archive")
DATABASE_CALLS = ("run", "read")
"""A death at a read leaves the world as a death after the last write did: a short run leaves those out."""


@dataclass
class FragileWorld(World):
    """A world in which Accord may die at any call of a port of one connection, and whose state can be copied."""

    fuse: Fuse = field(default_factory=Fuse)
    fused: tuple[str, ...] = NAMES
    database_calls: tuple[str, ...] = DATABASE_CALLS
    says: dict[str, Callable[[Document], Document]] = field(default_factory=dict)
    """What every origin says of its documents instead, by kind."""

    def start(self) -> None:
        """Start as ever, then stand proxies before the ports."""
        super().start()
        connections = {
            name: replace(one, connector=FusedPort(one.connector, "connector", CONNECTOR_CALLS, self.fuse))  # type: ignore[arg-type]  # a proxy
            if name in self.fused
            else one
            for name, one in self.hub.connections.items()
        }
        db: Database = FusedPort(self.db, "database", self.database_calls, self.fuse)  # type: ignore[assignment]  # a proxy
        self.hub = retold(replace(self.hub, db=db, connections=connections), self.says)
        self.lanes = Lanes(self.hub)

    def _through(self, name: str) -> Callable[[HttpRequest], HttpResponse]:
        plain = super()._through(name)
        if name not in self.fused:
            return plain

        def exchange(request: HttpRequest) -> HttpResponse:
            self.fuse.point("request")
            answer = plain(request)
            self.fuse.point("answer")
            return answer

        return exchange

    def copy(self, fuse: Fuse) -> FragileWorld:
        """A second world in the same state: look-alikes, clock, vaults and database."""
        twin = object.__new__(FragileWorld)
        state = (self.rng, self.clock, self.lookalikes, self.vaults)
        twin.rng, twin.clock, twin.lookalikes, twin.vaults = copy.deepcopy(state)
        twin.names, twin.providers = self.names, self.providers
        twin.seed, twin.url, twin.timing, twin.config = self.seed, self.url, self.timing, self.config
        twin.fuse, twin.fused, twin.database_calls, twin.woken = fuse, self.fused, self.database_calls, set()
        twin.says = dict(self.says)
        twin.exchanges = {name: one.respond for name, one in twin.lookalikes.items()}
        twin.opens = self.opens
        twin.db = self.opens(self.url)
        copy_sqlite(self.db, twin.db)
        twin.start()
        return twin

    def fail_once(self, name: str, fault: Fault) -> FaultyExchange:
        """One request of one connection goes wrong."""
        faulty = FaultyExchange(
            self.lookalikes[name], FaultPlan(requests=(fault,)), rng=random.Random(0), clock=self.clock
        )
        self.exchanges[name] = faulty
        return faulty


def database_of(*, is_whole: bool) -> Callable[[str], Database]:
    """What a crash matrix opens: a whole one the daemon's database, a short one the same SQLite with less around it."""
    return direct_database if is_whole else lambda _url: QuickDatabase(has_tables=False)


def copy_sqlite(source: Database, target: Database) -> None:
    """Copy one database in memory into another."""
    with source.engine.connect() as one, target.engine.connect() as other:
        one.rollback()
        other.rollback()
        theirs, ours = other.connection.driver_connection, one.connection.driver_connection
        assert theirs is not None
        assert ours is not None
        ours.backup(theirs)


async def died_with_the_answer(world: World, system: str, is_it: Callable[[HttpRequest], bool], *, down: float) -> None:
    """The process dies when the system has answered such a request, and comes back after `down` seconds."""
    through = world.exchanges[system]

    def exchange(request: HttpRequest) -> HttpResponse:
        response = through(request)
        if is_it(request):
            raise Crash
        return response

    world.exchanges[system] = exchange
    with pytest.raises(Crash):
        await world.next_sweep()
    world.exchanges[system] = through
    world.clock.time += down
    world.start()
    await world.settle(patience=7200.0)
    await world.next_sweep()
