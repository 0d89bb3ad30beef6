"""Run lanes in this process until nothing is due: what `accord sync` and the demo do where no daemon runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from core.store import connections, looks, work
from core.store.database import Tx
from core.store.looks import Seen
from core.sync.ahead import set_right
from core.sync.batch import Report
from core.sync.hub import KIND, Hub
from core.sync.lanes import Lanes
from core.sync.waiting import due_sweep

Progress = Callable[[str, Report], None]
"""(connection, what its lane did so far), after every piece of work."""

AT_ONCE = 0.0


class Bell:
    """A hub's `wake` for a run in this process: a lane that gets work starts while the others still run."""

    def __init__(self) -> None:
        """Silent until a run listens."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()

    def ring(self, lane: str) -> None:
        """Something is to be done in some lane; callable from any thread."""
        del lane  # who is due is read from the rows
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._rung.set)

    def listen(self) -> None:
        """Ring in the loop that runs now."""
        self._loop = asyncio.get_running_loop()

    async def wait(self) -> None:
        """Return once it was rung."""
        await self._rung.wait()
        self._rung.clear()


def due_at(tx: Tx, hub: Hub, name: str, started: float) -> float | None:
    """When something may be done in a lane (0 for at once), or None: it is quiet.

    A scheduled sweep counts once per run, or a lane that sweeps every second would never be quiet.
    """
    seen = looks.at(tx, name)
    row = seen.row
    if row.state == "reauthorize":
        return None
    due = AT_ONCE if _is_busy(tx, hub, seen, started) else seen.next_due
    if due is None and row.swept_at is None:
        due = AT_ONCE
    return None if due is None else max(due, row.paused_until or AT_ONCE)


def _is_busy(tx: Tx, hub: Hub, seen: Seen, started: float) -> bool:
    if seen.has_letters or seen.has_one_off or seen.has_running:
        return True
    cursors, connection = connections.cursors(tx, seen.row.name), hub.connection(seen.row.name)
    full, changes, *walks = (cursors[KIND, mode] for mode in connections.MODES)
    is_first = seen.row.swept_at is None
    mode = due_sweep(hub, connection, cursors, is_needed=is_first)
    is_begun = full.run is not None and (is_first or not connection.meter.gives_way("full", hub.clock.now()))
    if is_begun or any(walk.run is not None for walk in walks):
        return True
    last = {"full": full.completed_at, "changes": changes.completed_at}.get(mode or "", started)
    return last is None or last < started


class Waiting:
    """How long to wait for what is due later, and the one line that says so."""

    def __init__(
        self, hub: Hub, patience: float, outage_patience: float | None, tell: Callable[[str], None] | None
    ) -> None:
        """Nothing is waited for yet."""
        self._hub = hub
        self._patience = patience
        self._outage_patience = patience if outage_patience is None else min(patience, outage_patience)
        self._tell = tell
        self._outages: dict[str, str] = {}

    def limit(self, names: Iterable[str]) -> float:
        """The seconds in all that these lanes are worth."""
        wanted = set(names)
        now = self._hub.clock.now()
        rows = self._hub.db.read_now(connections.every)
        self._outages = {
            row.name: row.error
            for row in rows
            if row.name in wanted and row.error_code == "retry" and (row.paused_until or AT_ONCE) > now
        }
        return self._outage_patience if self._outages.keys() == wanted else self._patience

    def tell(self, until: float) -> None:
        """Say which outages are waited for, and until when; once."""
        if self._tell is None or not self._outages:
            return
        words = "; ".join(f"{name}: {problem}" for name, problem in sorted(self._outages.items()))
        at = datetime.fromtimestamp(until, UTC).strftime("%H:%M:%S")
        self._tell(f"{words}; waiting for it until {at} UTC at the latest")
        self._tell = None


async def run_until_quiet(
    hub: Hub,
    lanes: Lanes,
    names: Iterable[str],
    *,
    patience: float,
    progress: Progress | None = None,
    bell: Bell | None = None,
    outage_patience: float | None = None,
    tell: Callable[[str], None] | None = None,
) -> Report:
    """Run these lanes beside each other until nothing is due; returns what they did.

    What is due later (a back-off, a pause) is waited for, `patience` seconds in all; what would take longer is
    left to the next run. Where only outages are waited for, `outage_patience` is enough; `tell` hears once what for.
    Connections that a person must authorize again are left alone.
    """
    await set_right(hub)
    run = _Run(hub, lanes, sorted(set(names)), progress, bell)
    waited = 0.0
    waiting = Waiting(hub, patience, outage_patience, tell)
    while True:
        await run.work()
        due = run.next_due()
        now = hub.clock.now()
        if due is None:
            return run.total()
        limit = waiting.limit(run.due_lanes())
        if waited + due - now > limit:
            return run.total()
        if due > now:
            waiting.tell(now + limit - waited)
            waited += due - now
            await hub.clock.sleep(due - now)


def paused(tx: Tx, now: float) -> dict[str, float]:
    """Connections that are silent at `now`, because of what their provider said or did, and until when."""
    rows = connections.every(tx)
    return {row.name: row.paused_until for row in rows if row.paused_until is not None and row.paused_until > now}


def left_over(tx: Tx, hub: Hub) -> list[str]:
    """What a run left to the next one, in words: connections that are paused, and what waits for a time at each."""
    silent, waits = paused(tx, hub.clock.now()), work.with_a_time(tx)
    found = []
    for row in connections.every(tx):
        kinds = waits.get(row.name, {})
        people = kinds.get(KIND, 0)
        numbers = {"customers": people, "documents": sum(kinds.values()) - people}
        waiting = ", ".join(f"{number} {what} wait" for what, number in numbers.items() if number)
        if row.name in silent:
            at = datetime.fromtimestamp(silent[row.name], UTC).strftime("%H:%M:%S")
            found.append(f"{row.name} is paused until {at} UTC{waiting and ', '}{waiting}")
        elif waiting:
            found.append(f"{row.name}: {waiting}")
    return found


class _Run:
    """One call of `run_until_quiet`."""

    def __init__(self, hub: Hub, lanes: Lanes, names: list[str], progress: Progress | None, bell: Bell | None) -> None:
        self._hub = hub
        self._lanes = lanes
        self._reports = {name: Report() for name in names}
        self._progress = progress
        self._bell = bell
        self._started = hub.clock.now()

    async def work(self) -> None:
        """Run every lane that is due, again whenever another one has made work for it, until none is due now."""
        running: dict[asyncio.Task[None], str] = {}
        rung = self._listen()
        try:
            while True:
                for name in self._due_now() - set(running.values()):
                    running[asyncio.create_task(self._lane(name))] = name
                if not running:
                    return
                done, _ = await asyncio.wait({*running, *rung}, return_when=asyncio.FIRST_COMPLETED)
                if done & rung:
                    rung = self._listen()
                for task in done & running.keys():
                    del running[task]
                    task.result()
        finally:
            await _end([*running, *rung])

    def next_due(self) -> float | None:
        """When something may be done in any of the lanes."""
        dues = [due for due in self._dues().values() if due is not None]
        return min(dues, default=None)

    def due_lanes(self) -> list[str]:
        """The lanes in which something may be done, now or later."""
        return [name for name, due in self._dues().items() if due is not None]

    def total(self) -> Report:
        """What all lanes did."""
        total = Report()
        for report in self._reports.values():
            total.add(report)
        return total

    async def _lane(self, name: str) -> None:
        connection, report = self._hub.connection(name), self._reports[name]
        while await self._lanes.step(connection, report):
            if self._progress is not None:
                self._progress(name, report)

    def _listen(self) -> set[asyncio.Task[None]]:
        if self._bell is None:
            return set()
        self._bell.listen()
        return {asyncio.create_task(self._bell.wait())}

    def _due_now(self) -> set[str]:
        now = self._hub.clock.now()
        return {name for name, due in self._dues().items() if due is not None and due <= now}

    def _dues(self) -> dict[str, float | None]:
        return self._hub.db.read_now(
            lambda tx: {name: due_at(tx, self._hub, name, self._started) for name in self._reports}
        )


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    waiting = list(tasks)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
