"""One life of the Accord process: the real hub, lanes, inbox and engine, over a database that can die with it."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Callable, Coroutine, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from core.engine.embedded import EmbeddedEngine
from core.http.transport import TIMEOUT_SECONDS
from core.ports import HttpRequest, HttpResponse, Provider, Shell
from core.store.database import Database, Tx
from core.sync.build import Parts, build_hub
from core.sync.inbox import InboxWriter
from core.sync.lanes import Lanes
from core.sync.waiting import due_lanes
from jobs import HOURLY
from jobs.reconcile_invoices import reconcile_invoices
from tests.support.world import PROVIDERS, SeededIds

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld

T = TypeVar("T")


def _providers(rows_at_once: int) -> Mapping[str, Provider]:
    """Where lanes take few rows, a batch has to be worth its while for few writes."""
    quickbooks = PROVIDERS["quickbooks"]
    manifest = msgspec.structs.replace(quickbooks.manifest, singles_per_batch=min(rows_at_once // 2, 11))
    return {**PROVIDERS, "quickbooks": dataclasses.replace(quickbooks, manifest=manifest)}


class Crash(BaseException):
    """The process is gone, here and now. No handler of an Exception sees it."""


class MortalDatabase(Database):
    """The world's database as one life sees it: a dead process neither reads nor commits."""

    def __init__(self, real: Database, life: Life) -> None:
        """Share the real one's engine; start no threads."""
        self._real, self._life = real, life
        self.url, self.is_sqlite, self.file, self.engine = real.url, real.is_sqlite, real.file, real.engine

    async def run(self, work: Callable[[Tx], T]) -> T:
        """One write transaction, with a hop before and after, in which others run and crashes strike."""
        await self._life.hop()
        point = self._life.dies_at_commit()
        result = self._real.run_now(lambda tx: self._mortal(tx, work, point))
        await self._life.hop()
        return result

    def _mortal(self, tx: Tx, work: Callable[[Tx], T], point: str) -> T:
        if point == "after commit":
            tx.after_commit(lambda: self._life.crash(point))
        result = work(tx)
        if point == "before commit":
            self._life.crash(point)
        return result

    async def read(self, work: Callable[[Tx], T]) -> T:
        """One snapshot; what it shows may be old when it is used."""
        await self._life.hop()
        result = self._real.read_now(work)
        await self._life.hop()
        return result

    def run_now(self, work: Callable[[Tx], T]) -> T:
        """At the start of a process."""
        return self._real.run_now(work)

    def read_now(self, work: Callable[[Tx], T]) -> T:
        """A look without a hop."""
        return self._real.read_now(work)


class TraceLog:
    """The engine's log lines, in the world's trace."""

    def __init__(self, note: Callable[[str], None], bug: Callable[[BaseException], None]) -> None:
        """Write to `note`; an exception that the engine survives is still a bug."""
        self._note, self._bug = note, bug

    def _line(self, event: str, **values: object) -> None:
        self._note(f"log {event} " + " ".join(f"{name}={value}" for name, value in sorted(values.items())))

    debug = info = warning = error = _line

    def exception(self, event: str, **values: object) -> None:
        """The engine caught what it did not expect."""
        self._line(event, **values)
        found = sys.exc_info()[1]
        if found is not None:
            self._bug(found)


class Life:
    """A process from its start to its crash."""

    def __init__(self, world: SimWorld, number: int) -> None:
        """Build everything anew: nothing but the database and the vaults is kept from the life before."""
        self.world = world
        self.is_dead = False
        self.died = asyncio.Event()
        self.bugs: list[BaseException] = []
        self._rng = Random(f"life {world.tape.seed} {number}")
        self._is_hot = False
        self._is_overdue = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self.engine = EmbeddedEngine()
        parts = Parts(
            configs=world.config.connections,
            policy=world.config.policy,
            providers=_providers(world.tape.profile.rows_at_once),
            db=MortalDatabase(world.db, self),
            clock=world.clock,
            ids=SeededIds(self._rng),
            vault=lambda name: world.vaults[name],
            shell=self._shell,
            wake=self.engine.wake,
            timing=world.timing,
            life=world.restores.life_file,
        )
        self.hub = dataclasses.replace(build_hub(parts), log=TraceLog(world.note, self.bugs.append))  # type: ignore[arg-type]  # what of a log the hub uses
        world.restores.notice(self.hub)
        many = world.tape.profile.rows_at_once
        self.lanes = Lanes(self.hub, rows_at_once=many, walked_at_once=many)
        self.inbox = InboxWriter(self.hub)

    # ---- time and death ----------------------------------------------------------------------------

    def crash(self, point: str) -> None:
        """Die here."""
        if not self.is_dead:
            self.is_dead = True
            self.died.set()
            self.world.note(f"CRASH {point}")
            self.world.reached[f"crash: {point}"] += 1
            self.world.crashes += 1
        raise Crash(point)

    def end(self) -> None:
        """As systemd wants it to, for a restart."""
        if not self.is_dead:
            self.is_dead = True
            self.died.set()
            self.world.note("END")

    def check(self) -> None:
        """A dead process does nothing more."""
        if self.is_dead:
            raise Crash("after its death")

    def heat(self) -> None:
        """A write has just been executed and its answer is under way: the moment where a crash hurts most."""
        self._is_hot = True

    def _rolls(self, probability: float) -> bool:
        world = self.world
        may = world.is_chaos and world.crashes < world.tape.profile.crashes_most
        return may and probability > 0.0 and self._rng.random() < probability

    async def hop(self) -> None:
        """A thread hop: usually short, sometimes long enough for another lane to go first."""
        self.check()
        if self._rng.random() < 0.3:
            await asyncio.sleep(self._rng.random() * 0.02)
            self.check()

    def dies_at_commit(self) -> str:
        """Whether the process dies around the next commit."""
        self.check()
        if not self._rolls(self.world.tape.profile.crash):
            return ""
        return self._rng.choice(["before commit", "after commit"])

    async def pause(self) -> None:
        """Time on the wire; who is not answered waits for as long as a client does."""
        self.check()
        # nobody else runs between the exchange and this
        is_overdue, self._is_overdue = self._is_overdue, False
        if is_overdue:
            await asyncio.sleep(TIMEOUT_SECONDS)
        profile = self.world.tape.profile
        probability = profile.hot_crash if self._is_hot else profile.crash
        was_hot, self._is_hot = self._is_hot, False
        if self._rolls(probability):
            self.crash("after a write" if was_hot else "on the wire")
        if self._rng.random() < 0.8:
            await asyncio.sleep(self._rng.random() * profile.latency)
        elif self._rng.random() < 0.1:
            await asyncio.sleep(self._rng.random() * 10)
        self.check()

    async def _here(self, call: Callable[[], Any]) -> Any:
        self.check()
        return call()

    def _shell(self, name: str) -> Shell:
        def exchange(request: HttpRequest) -> HttpResponse:
            self.check()
            try:
                return self.world.sites[name].exchange(request, self)
            except TimeoutError:
                self._is_overdue = True
                raise

        return Shell(clock=self.world.clock, hop=self._here, exchange=exchange, pause=self.pause)

    # ---- what runs ---------------------------------------------------------------------------------

    def start(self) -> None:
        """As the daemon does: the engine serves, the planner ticks, every hour documents are looked after."""
        self.task(self.engine.serve(self._run_lane))
        self.task(self._tick())
        if self.world.tape.profile.billing is not None:
            self.task(self._look_after_documents())

    def task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task of this process: it ends with it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Crash):
            self.bugs.append(error)

    async def _run_lane(self, lane: str) -> None:
        try:
            await self.lanes.run(lane)
        except (Crash, asyncio.CancelledError):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever escapes a lane is a bug
            if not self.is_dead:
                self.bugs.append(error)
                self.world.note(f"BUG in lane {lane}: {type(error).__name__}: {error}")

    async def _tick(self) -> None:
        wait = 1.0
        while True:
            await asyncio.sleep(wait * (0.5 + self._rng.random()))
            due = await self.hub.db.read(lambda tx: due_lanes(tx, self.hub))
            for name in sorted(due):
                self.engine.wake(name)
            wait = 1.0 if due else min(wait * 3, self.world.longest_tick)

    async def _look_after_documents(self) -> None:
        while True:
            await asyncio.sleep(HOURLY)
            await reconcile_invoices(self.hub)
            self.world.reached["job: reconcile_invoices"] += 1

    async def bury(self) -> None:
        """Take everything down that belonged to this process."""
        self.is_dead = True
        self.engine.stop_starting()
        mine = [task for task in asyncio.all_tasks() if task not in self.world.own_tasks]
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, return_exceptions=True)
