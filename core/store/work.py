"""What waits: dirty mappings and objects, with back-off; and operators' one-offs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import DIRTY, ONE_OFFS
from core.store.text import AnyRow, chunks, dialect_insert, dump

NOW = 0.0


class DirtyRow(msgspec.Struct, frozen=True):
    """One waiting subject: `m:<mapping id>` or `r:<remote id>`. `seq` names the state that was looked at."""

    subject: str
    kind: str
    seq: int
    reason: str
    trace: str
    since: float
    attempts: int
    noticed: bool
    """Something said that the remote object may have changed; else only the registry did."""


def mapping_subject(mapping_id: str) -> str:
    """The subject of a mapping."""
    return f"m:{mapping_id}"


def remote_subject(remote_id: str) -> str:
    """The subject of a remote object that has no mapping."""
    return f"r:{remote_id}"


def mark(  # noqa: PLR0913 - the columns of a row
    tx: Tx,
    connection: str,
    subjects: Iterable[str],
    *,
    reason: str,
    trace: str | Mapping[str, str],
    now: float,
    kind: str = "customer",
    parked: str | None = None,
    noticed: bool = True,
    not_before: float | Mapping[str, float] = NOW,
) -> None:
    """Mark subjects dirty. One that waits already is looked at again from then on, and is no longer parked.

    `trace` and `not_before`: one for all, or each subject's own. Whatever was noticed once stays noticed.
    """
    rows = [
        {
            "connection": connection,
            "subject": subject,
            "kind": kind,
            "reason": reason,
            "trace": trace if isinstance(trace, str) else trace[subject],
            "since": now,
            "not_before": not_before if isinstance(not_before, float) else not_before.get(subject, NOW),
            "parked": parked,
            "noticed": int(noticed),
        }
        for subject in sorted(set(subjects))
    ]
    statement = dialect_insert(tx.dialect, DIRTY)
    new = statement.excluded
    # a sweep must not park what a webhook has already asked for
    still_parked = sa.case((DIRTY.c.parked.is_(None), None), else_=new.parked)
    sooner = sa.case((DIRTY.c.not_before < new.not_before, DIRTY.c.not_before), else_=new.not_before)
    is_noticed = sa.case((DIRTY.c.noticed == 0, new.noticed), else_=1)
    changes = {
        "seq": DIRTY.c.seq + 1,
        "not_before": sooner,
        "noticed": is_noticed,
        "reason": new.reason,
        "trace": new.trace,
    }
    tx.many(
        statement.on_conflict_do_update(
            index_elements=["connection", "subject"], set_={**changes, "parked": still_parked}
        ),
        rows,
    )


def due(tx: Tx, connection: str, now: float, limit: int, subjects: Sequence[str] | None = None) -> list[DirtyRow]:
    """What may be looked at now, oldest first."""
    d = DIRTY.c
    columns = (d.subject, d.kind, d.seq, d.reason, d.trace, d.since, d.attempts, d.noticed != 0)
    statement = sa.select(*columns).where(d.connection == connection, d.parked.is_(None), d.not_before <= now)
    if subjects is not None:
        statement = statement.where(d.subject.in_(subjects))
    return [DirtyRow(*row) for row in tx.rows(statement.order_by(d.not_before, d.since, d.subject).limit(limit))]


def next_due(tx: Tx, connection: str) -> float | None:
    """When the next subject may be looked at (seconds since 1970; 0 for at once), or None."""
    statement = sa.select(sa.func.min(DIRTY.c.not_before)).where(
        DIRTY.c.connection == connection, DIRTY.c.parked.is_(None)
    )
    found = tx.execute(statement).scalar_one()
    return None if found is None else float(found)


def clear(tx: Tx, connection: str, rows: Sequence[DirtyRow]) -> None:
    """Take off what was dealt with; a subject that was marked again meanwhile stays."""
    statement = sa.delete(DIRTY).where(
        DIRTY.c.connection == connection,
        DIRTY.c.subject == sa.bindparam("gone_subject"),
        DIRTY.c.seq == sa.bindparam("gone_seq"),
    )
    tx.many(statement, [{"gone_subject": row.subject, "gone_seq": row.seq} for row in rows])


def postpone(
    tx: Tx, connection: str, waits: Mapping[str, float], *, is_attempt: bool = True, reason: str | None = None
) -> None:
    """Look at these subjects again at the given times; `reason` is shown meanwhile."""
    statement = (
        sa.update(DIRTY)
        .where(DIRTY.c.connection == connection, DIRTY.c.subject == sa.bindparam("late_subject"))
        .values(not_before=sa.bindparam("late_until"), attempts=DIRTY.c.attempts + (1 if is_attempt else 0))
    )
    if reason is not None:
        statement = statement.values(reason=reason)
    tx.many(statement, [{"late_subject": name, "late_until": until} for name, until in waits.items()])


def parked(tx: Tx, connection: str, run: str, after: str, limit: int) -> list[str]:
    """Subjects that wait for the end of a sweep."""
    statement = sa.select(DIRTY.c.subject).where(
        DIRTY.c.connection == connection, DIRTY.c.parked == run, DIRTY.c.subject > after
    )
    return [row[0] for row in tx.rows(statement.order_by(DIRTY.c.subject).limit(limit))]


def release(tx: Tx, connection: str, parked_by: str, reason: str | None = None) -> None:
    """Nothing speaks against these changes any more: they may be looked at."""
    values = {"parked": None, "not_before": NOW} | ({"reason": reason} if reason else {})
    here = (DIRTY.c.connection == connection, DIRTY.c.parked == parked_by)
    tx.execute(sa.update(DIRTY).where(*here).values(**values))


def park(tx: Tx, connection: str, subjects: Sequence[str], parked_by: str) -> None:
    """Let these subjects wait until `release`."""
    statement = sa.update(DIRTY).where(
        DIRTY.c.connection == connection, DIRTY.c.subject == sa.bindparam("late_subject")
    )
    tx.many(statement.values(parked=parked_by), [{"late_subject": name} for name in subjects])


def repark(tx: Tx, connection: str, parked_by: str, now_by: str) -> None:
    """Let what waits for one release wait for another."""
    here = (DIRTY.c.connection == connection, DIRTY.c.parked == parked_by)
    tx.execute(sa.update(DIRTY).where(*here).values(parked=now_by))


def count_parked(tx: Tx, connection: str, parked_by: str) -> int:
    """How many subjects wait for `release`."""
    statement = sa.select(sa.func.count()).select_from(DIRTY)
    found = tx.execute(statement.where(DIRTY.c.connection == connection, DIRTY.c.parked == parked_by))
    return int(found.scalar_one())


def counts(tx: Tx) -> dict[str, int]:
    """How much waits at each connection."""
    rows = tx.rows(sa.select(DIRTY.c.connection, sa.func.count()).group_by(DIRTY.c.connection))
    return {row[0]: row[1] for row in rows}


def parked_by(tx: Tx, connection: str, subject: str) -> str | None:
    """What a subject waits for the release of: a sweep's run, or the mass-change guard; None when it does not."""
    here = (DIRTY.c.connection == connection, DIRTY.c.subject == subject)
    return tx.execute(sa.select(DIRTY.c.parked).where(*here)).scalar_one_or_none()


def waiting(tx: Tx, connection: str, subjects: Iterable[str]) -> dict[str, tuple[str, float, int]]:
    """Why, until when and for the how manieth time each of `subjects` waits."""
    found: dict[str, tuple[str, float, int]] = {}
    for some in chunks(sorted(set(subjects))):
        statement = sa.select(DIRTY.c.subject, DIRTY.c.reason, DIRTY.c.not_before, DIRTY.c.attempts)
        statement = statement.where(DIRTY.c.connection == connection, DIRTY.c.subject.in_(some))
        found.update((row[0], (row[1], row[2], row[3])) for row in tx.rows(statement))
    return found


class OneOff(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's request to one lane. state: new | running | done | failed."""

    id: str
    connection: str
    request: dict[str, Any]
    state: str = "new"
    result: dict[str, Any] = {}
    error: str = ""
    trace: str = ""


def ask(tx: Tx, one: OneOff, now: float) -> None:
    """Put a one-off into its lane."""
    values = {"id": one.id, "connection": one.connection, "request": dump(one.request), "asked_at": now}
    tx.execute(sa.insert(ONE_OFFS).values(**values, trace=one.trace))


def one_off_in(tx: Tx, connection: str, state: str) -> OneOff | None:
    """The oldest request of a lane in a state: new | running."""
    statement = sa.select(ONE_OFFS).where(ONE_OFFS.c.connection == connection, ONE_OFFS.c.state == state)
    row = tx.execute(statement.order_by(ONE_OFFS.c.asked_at, ONE_OFFS.c.id).limit(1)).first()
    return _one_off(row) if row else None


def one_off_states(tx: Tx, connection: str) -> set[str]:
    """Which of new and running a lane's requests are in."""
    o = ONE_OFFS.c
    statement = sa.select(o.state).where(o.connection == connection, o.state.in_(("new", "running"))).distinct()
    return {row[0] for row in tx.rows(statement)}


def lanes_with_one_offs(tx: Tx) -> set[str]:
    """Lanes in which a request waits or runs."""
    statement = sa.select(ONE_OFFS.c.connection).where(ONE_OFFS.c.state.in_(("new", "running"))).distinct()
    return {row[0] for row in tx.rows(statement)}


def running(tx: Tx, one_id: str) -> None:
    """A request has been begun."""
    tx.execute(sa.update(ONE_OFFS).where(ONE_OFFS.c.id == one_id).values(state="running"))


def one_off(tx: Tx, one_id: str) -> OneOff | None:
    """A request and what became of it."""
    row = tx.execute(sa.select(ONE_OFFS).where(ONE_OFFS.c.id == one_id)).first()
    return _one_off(row) if row else None


def finish(tx: Tx, one_id: str, now: float, *, result: object = None, error: str = "") -> None:
    """Store what became of a request."""
    values = {"state": "failed" if error else "done", "result": dump(result or {}), "error": error}
    tx.execute(sa.update(ONE_OFFS).where(ONE_OFFS.c.id == one_id).values(**values, finished_at=now))


def prune_one_offs(tx: Tx, before: float, limit: int = 200) -> int:
    """Drop requests that were finished before a time, some at once."""
    old = sa.select(ONE_OFFS.c.id).where(ONE_OFFS.c.finished_at < before).limit(limit)
    return tx.execute(sa.delete(ONE_OFFS).where(ONE_OFFS.c.id.in_(old))).rowcount


def _one_off(row: AnyRow) -> OneOff:
    return OneOff(
        id=row.id,
        connection=row.connection,
        request=msgspec.json.decode(row.request),
        state=row.state,
        result=msgspec.json.decode(row.result),
        error=row.error,
        trace=row.trace,
    )
