"""Carry out a plan at an active connection: exactly its subjects, each after a fresh read, as any reconcile does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec

from core.errors import AccordError, InvalidInputError, ReauthorizeError, RetryError, WrongAccountError
from core.store import connections, customers, failures, holds, journal, mappings, work
from core.store.connections import ConnectionRow
from core.store.database import Tx
from core.store.text import chunks
from core.store.work import DirtyRow
from core.sync.accounts import check_account
from core.sync.apart import one_by_one
from core.sync.batch import Report
from core.sync.failing import in_order_again, stop_or_pause
from core.sync.hub import KIND, Connection, Hub
from core.sync.metadata import prepared
from core.sync.parts import offer_parts, parts_in
from core.sync.plan import Plan
from core.sync.reconcile import reconcile
from core.sync.registry import offer
from core.sync.resolve import outlive

AT_ONCE = 100


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of a plan's subjects."""

    done: int
    waiting: int
    failed: int
    held: int
    stale: int = 0
    """Not done: by the time of the fresh read, the change was another one than the plan's."""


def begin(tx: Tx, hub: Hub, connection: Connection, plan: Plan, *, actor: str) -> list[str]:
    """Mark what the plan names; returns the subjects that wait now. The journal says who did it.

    Whoever applies a plan has seen its changes one by one: the mass-change stop lets these pass, and no others.
    """
    row = connections.get(tx, connection.name)
    if row.state != "active":
        raise InvalidInputError(
            f"{connection.name} is {row.state}: nothing is written there", field="connection",
            cure=f"`accord activate {connection.name} --plan {plan.digest}`",
        )  # fmt: skip
    shown = {item.subject: item.digest for item in plan.items if item.digest}
    owners = customers.by_ids(tx, [item.subject[2:] for item in plan.items if item.subject.startswith("c:")])
    made = offer(tx, hub, connection.name, list(owners.values()))
    shown |= {
        work.mapping_subject(row.id): shown[f"c:{row.record_id}"]
        for row in mappings.by_ids(tx, [one[2:] for one in made]).values()
    }
    made += _offered_parts(tx, hub, connection, plan)
    named = [item.subject for item in plan.items if item.kind != "wait" and not item.subject.startswith(("c:", "p:"))]
    subjects = list(dict.fromkeys(named + made))
    now = hub.clock.now()
    trace = f"{work.APPROVED_TRACE}{hub.ids.new()}"
    work.mark(tx, connection.name, subjects, reason=work.APPROVED, trace=trace, now=now, shown=shown)
    told = {"plan": (None, plan.digest, "apply")}
    journal.note(tx, "connection", "apply", told, at=now, actor=actor, connection=connection.name, trace=trace)
    subjects += [item.subject for item in plan.items if item.subject.startswith("p:")]
    creates = max(row.announced_creates, plan.counts.get("create", 0))
    connections.change(tx, connection.name, announced_creates=creates, allowance_from=now)
    tx.after_commit(lambda: hub.wake(connection.name))
    return subjects


def _offered_parts(tx: Tx, hub: Hub, connection: Connection, plan: Plan) -> list[str]:
    """Parts of customers whose object is there already; the others come when theirs is."""
    ids = _records(item.subject for item in plan.items)
    owners = list(customers.by_ids(tx, ids).values())
    return offer_parts(tx, hub, connection, owners, mappings.of_records(tx, ids))


def _records(subjects: Iterable[str]) -> set[str]:
    """The customers whose parts a plan names."""
    return {one.rpartition(":")[2] for one in subjects if one.startswith("p:")}


def still_waiting(tx: Tx, connection: Connection, subjects: Iterable[str]) -> dict[str, float]:
    """When each subject that is not done may be looked at; objects that got a mapping count by that.

    What is not the plan's change any more is none of these: it waits for the lane, like anything else.
    """
    every = work.waiting(tx, connection.name, _every(tx, connection, subjects))
    return {name: until for name, (reason, until, _) in every.items() if reason != work.STALE}


def _every(tx: Tx, connection: Connection, subjects: Iterable[str]) -> set[str]:
    named = set(subjects)
    mapped = mappings.by_remote_ids(tx, connection.name, KIND, [one[2:] for one in named if one.startswith("r:")])
    parts = [
        row for some in mappings.of_records(tx, _records(named)).values() for row in parts_in(some, connection.name)
    ]
    return named | {work.mapping_subject(one.id) for one in (*mapped.values(), *parts)}


def _ready(
    tx: Tx, hub: Hub, connection: Connection, subjects: Sequence[str]
) -> tuple[list[DirtyRow], dict[str, float]]:
    """Some of the subjects that may be looked at now, and when each that waits may."""
    waits, now = still_waiting(tx, connection, subjects), hub.clock.now()
    for some in chunks(sorted(name for name, until in waits.items() if until <= now), AT_ONCE):
        # one that is parked is not due
        if rows := work.due(tx, connection.name, now, AT_ONCE, some):
            return rows, waits
    return [], waits


def standing(tx: Tx, connection: Connection, subjects: Sequence[str]) -> Standing:
    """What has become of the plan."""
    every = _every(tx, connection, subjects)
    failed = set(failures.known(tx, connection.name, every))
    waits = {name: reason for name, (reason, _, _) in work.waiting(tx, connection.name, every).items()}
    stale = {name for name, reason in waits.items() if reason == work.STALE} - failed
    waiting = set(waits) - failed - stale
    found = holds.of_subjects(tx, connection.name, every)
    held = {name for name, some in found.items() if any(one.state == "open" for one in some)}
    held -= failed | waiting | stale
    # a mapping and the object it was made for are one record
    done = max(0, len(subjects) - len(failed) - len(waiting) - len(held) - len(stale))
    return Standing(done=done, waiting=len(waiting), failed=len(failed), held=len(held), stale=len(stale))


async def carry_out(
    hub: Hub,
    connection: Connection,
    subjects: Sequence[str],
    *,
    patience: float,
    progress: Callable[[Report], None] | None = None,
) -> Report:
    """Reconcile these subjects and no others; only where this process is the one that runs the lane.

    What may be done later is waited for, `patience` seconds in all. What is the matter with the connection as a whole
    is kept, as its lane keeps it, and raised where that must be waited for longer.
    """
    run = _Run(hub, connection, subjects, patience)
    while await run.go_on():
        if progress is not None:
            progress(run.report)
    return run.report


class _Run:
    """One call of `carry_out`."""

    def __init__(self, hub: Hub, connection: Connection, subjects: Sequence[str], patience: float) -> None:
        self.report = Report()
        self._hub = hub
        self._connection = connection
        self._subjects = subjects
        self._patience = patience
        self._waited = 0.0
        self._troubles = 0
        self._is_prepared = False

    async def go_on(self) -> bool:
        """Do some of it, or wait; False when nothing is left that may be done in time."""
        row, rows, waits = await self._hub.db.read(self._look)
        now = self._hub.clock.now()
        if (row.paused_until or now) > now:
            if not await self._wait((row.paused_until or now) - now):
                raise paused(row)
            return True
        if rows or not self._is_prepared:
            await self._do(row, rows)
            return True
        later = [until for until in waits.values() if until > now]
        return bool(later) and await self._wait(min(later) - now)

    def _look(self, tx: Tx) -> tuple[ConnectionRow, list[DirtyRow], dict[str, float]]:
        return connections.get(tx, self._connection.name), *_ready(tx, self._hub, self._connection, self._subjects)

    async def _do(self, row: ConnectionRow, rows: Sequence[DirtyRow]) -> None:
        hub, name, since = self._hub, self._connection.name, self._hub.clock.now()
        try:
            if not self._is_prepared:
                await check_account(hub, self._connection, row)
                await hub.db.run(lambda tx: outlive(tx, hub, self._connection))
                await prepared(hub, self._connection)
                self._is_prepared = True
            if rows:
                await one_by_one(hub, self._connection, reconcile, rows, self.report)
        except AccordError as error:
            troubles, self._troubles = self._troubles, self._troubles + 1
            stop = partial(stop_or_pause, hub=hub, name=name, error=error, troubles=troubles, since=since)
            await hub.db.run(stop)
            if isinstance(error, ReauthorizeError | WrongAccountError):
                raise
            return
        if self._troubles or row.error:
            self._troubles = 0
            await hub.db.run(partial(in_order_again, name=name))

    async def _wait(self, seconds: float) -> bool:
        if self._waited + seconds > self._patience:
            return False
        self._waited += seconds
        await self._hub.clock.sleep(seconds)
        return True


def paused(row: ConnectionRow) -> RetryError:
    """Nothing is asked of a connection before its pause is over: until when, and in whose words why."""
    until = datetime.fromtimestamp(row.paused_until or 0.0, UTC)
    return RetryError(f"{row.name} is paused until {until:%Y-%m-%d %H:%M:%S} UTC: {row.error}")
