"""What waits: dirty mappings and objects, with back-off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import DIRTY
from core.store.text import SOME, AnyRow, Insert, chunks, dialect_insert

NOW = 0.0
APPROVED: Final = "approved"
"""The reason of a subject whose change a person approved; `shown` says which change."""
STOPPED: Final = "too much at once"
"""The reason of one that waits for a person: whatever was approved of it before was another change."""
REJECTED: Final = "rejected"
"""The reason of one whose change a person rejected; `shown` says which change."""
APPROVED_TRACE: Final = "approved:"
"""What begins the trace of approved work: the mass-change stop does not count it again."""
STALE: Final = "not what was approved"
"""The reason of one whose change had become another one by the time it was to be made."""
NEW_POLICY: Final = "the policy changed"
"""The reason of those about whom a new policy decides otherwise, and what they are parked by until all were judged."""
OBSERVED: Final = "activation"
"""What those are parked by that were looked at while their connection was observing."""
UNWANTED: Final = "creates"
"""What those are parked by that policy does not create any more."""
MERGED_INTO: Final = "merged into "
"""What begins the reason of an object of which a delivery says that another one absorbed it; then that one's id."""

FAREWELL: Final = "f:"
"""What begins the subject of an object that is to be archived, because its customer was."""


class DirtyRow(msgspec.Struct, frozen=True):
    """One waiting subject; `seq` names the state that was looked at.

    `m:<mapping id>`, `f:<mapping id>` of one that has ended and whose object is to be archived, `r:<remote id>` of a
    customer's object, or `d:<kind>:<remote id>` of a document.
    """

    subject: str
    kind: str
    seq: int
    reason: str
    trace: str
    since: float
    attempts: int
    noticed: bool
    """Something said that the remote object may have changed; else only the registry did."""
    shown: str | None = None
    """The digest of the change that a person was shown."""


def mapping_subject(mapping_id: str) -> str:
    """The subject of a mapping."""
    return f"m:{mapping_id}"


def remote_subject(remote_id: str) -> str:
    """The subject of a remote object that has no mapping."""
    return f"r:{remote_id}"


def farewell_subject(mapping_id: str) -> str:
    """The subject of the object that an ended mapping had, which is to be archived."""
    return f"{FAREWELL}{mapping_id}"


def part_subject(record_id: str, part: str) -> str:
    """Names a part that a record will get, in a plan: nothing waits under this name."""
    return f"p:{part}:{record_id}"


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
    shown: Mapping[str, str] = {},
) -> None:
    """Mark subjects dirty. One that waits already is looked at again from then on, and is no longer parked.

    `trace` and `not_before`: one for all, or each subject's own. Whatever was noticed once stays noticed, and what
    was approved or rejected stays so: `shown` has the digests of the changes. So does what it was merged into last.
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
            "shown": shown.get(subject),
        }
        for subject in sorted(set(subjects))
    ]
    tx.many(_mark(tx.dialect), rows)


@cache
def _mark(dialect: str) -> Insert:
    statement = dialect_insert(dialect, DIRTY)
    new = statement.excluded
    # a sweep must not park what a webhook has already asked for
    still_parked = sa.case((DIRTY.c.parked.is_(None), None), else_=new.parked)
    sooner = sa.case((DIRTY.c.not_before < new.not_before, DIRTY.c.not_before), else_=new.not_before)
    is_noticed = sa.case((DIRTY.c.noticed == 0, new.noticed), else_=1)
    has_answer = sa.or_(DIRTY.c.reason == APPROVED, DIRTY.c.reason == REJECTED)
    is_decided = sa.and_(has_answer, DIRTY.c.shown.is_not(None), new.shown.is_(None))
    is_newer_merge = new.reason.startswith(MERGED_INTO)
    is_merged = sa.and_(DIRTY.c.reason.startswith(MERGED_INTO), new.shown.is_(None), sa.not_(is_newer_merge))
    changes = {
        "seq": DIRTY.c.seq + 1,
        "not_before": sooner,
        "noticed": is_noticed,
        "reason": sa.case((sa.or_(is_decided, is_merged), DIRTY.c.reason), else_=new.reason),
        "shown": sa.func.coalesce(new.shown, DIRTY.c.shown),
        "trace": sa.case((is_decided, DIRTY.c.trace), else_=new.trace),
        "parked": still_parked,
    }
    return statement.on_conflict_do_update(index_elements=["connection", "subject"], set_=changes)


_HERE: Final = DIRTY.c.connection == sa.bindparam("here")
_DUE: Final = (
    sa.select(*(DIRTY.c[name] for name in DirtyRow.__struct_fields__))
    .where(_HERE, DIRTY.c.parked.is_(None), DIRTY.c.not_before <= sa.bindparam("now"))
    .order_by(DIRTY.c.not_before, DIRTY.c.since, DIRTY.c.subject)
    .limit(sa.bindparam("most"))
)
_OF_CUSTOMERS: Final = DIRTY.c.kind == sa.literal_column("'customer'")
_DUE_CUSTOMERS: Final = _DUE.where(_OF_CUSTOMERS)
_DUE_DOCUMENTS: Final = _DUE.where(~_OF_CUSTOMERS)
_OF_SOME: Final = sa.select(*(DIRTY.c[name] for name in DirtyRow.__struct_fields__)).where(
    _HERE, DIRTY.c.subject.in_(SOME)
)
_OF_KINDS: Final = (
    sa.select(*(DIRTY.c[name] for name in DirtyRow.__struct_fields__))
    .where(_HERE, DIRTY.c.kind.in_(SOME))
    .order_by(DIRTY.c.subject)
)
_OF_KINDS_SINCE: Final = _OF_KINDS.where(DIRTY.c.reason == sa.bindparam("why"))
_DUE_OF_SOME: Final = _DUE_CUSTOMERS.where(DIRTY.c.subject.in_(SOME))
_POSTPONE: Final = (
    sa.update(DIRTY)
    .where(_HERE, DIRTY.c.subject == sa.bindparam("late_subject"))
    .values(not_before=sa.bindparam("late_until"), attempts=DIRTY.c.attempts + sa.bindparam("more"))
)
_POSTPONE_SINCE: Final = _POSTPONE.values(reason=sa.bindparam("why"), shown=None)
_PARKED: Final = (
    sa.select(DIRTY.c.subject)
    .where(_HERE, DIRTY.c.parked == sa.bindparam("run"), DIRTY.c.subject > sa.bindparam("after"))
    .order_by(DIRTY.c.subject)
    .limit(sa.bindparam("most"))
)
_RELEASE: Final = (
    sa.update(DIRTY).where(_HERE, DIRTY.c.parked == sa.bindparam("run")).values(parked=None, not_before=NOW)
)
_RELEASE_APPROVED: Final = _RELEASE.values(reason=APPROVED, trace=sa.bindparam("approval"))
_DISAPPROVE: Final = (
    sa.update(DIRTY)
    .where(_HERE, DIRTY.c.subject == sa.bindparam("stale_subject"), DIRTY.c.shown == sa.bindparam("stale_shown"))
    .values(reason=STALE, shown=None)
)
_PARK: Final = (
    sa.update(DIRTY)
    .where(_HERE, DIRTY.c.subject == sa.bindparam("late_subject"))
    .values(parked=sa.bindparam("now_parked"), shown=sa.bindparam("now_shown"), reason=sa.bindparam("now_reason"))
)
_KEEP: Final = (
    sa.update(DIRTY)
    .where(_HERE, DIRTY.c.subject == sa.bindparam("late_subject"), DIRTY.c.seq == sa.bindparam("late_seq"))
    .values(parked=sa.bindparam("now_parked"))
)
_REJECTED: Final = sa.select(DIRTY.c.subject, DIRTY.c.shown).where(
    _HERE, DIRTY.c.subject.in_(SOME), DIRTY.c.reason == REJECTED, DIRTY.c.shown.is_not(None)
)
_ASKED: Final = _OF_SOME.where(sa.or_(DIRTY.c.parked == sa.bindparam("run"), DIRTY.c.parked == REJECTED))
_CLEAR: Final = sa.delete(DIRTY).where(
    _HERE, DIRTY.c.subject == sa.bindparam("gone_subject"), DIRTY.c.seq == sa.bindparam("gone_seq")
)

ARE_FAREWELLS: Final = (DIRTY.c.subject.startswith(FAREWELL),)


def due(tx: Tx, connection: str, now: float, limit: int, subjects: Sequence[str] | None = None) -> list[DirtyRow]:
    """Which customers and their objects may be looked at now, oldest first."""
    values: dict[str, Any] = {"here": connection, "now": now, "most": limit}
    if subjects is None:
        return [dirty(row) for row in tx.rows(_DUE_CUSTOMERS, values)]
    return [dirty(row) for row in tx.rows(_DUE_OF_SOME, values | {"some": list(subjects)})]


def due_documents(tx: Tx, connection: str, now: float, limit: int) -> list[DirtyRow]:
    """Which documents may be looked at now, oldest first."""
    values: dict[str, Any] = {"here": connection, "now": now, "most": limit}
    return [dirty(row) for row in tx.rows(_DUE_DOCUMENTS, values)]


def of_kinds(tx: Tx, connection: str, kinds: Iterable[str], reason: str | None = None) -> list[DirtyRow]:
    """All that waits of some kinds at a connection, due or not, by subject; `reason`: for this one only."""
    some = sorted(set(kinds))
    statement = _OF_KINDS if reason is None else _OF_KINDS_SINCE
    same = {"here": connection, "some": some} | ({} if reason is None else {"why": reason})
    return [dirty(row) for row in tx.rows(statement, same)] if some else []


def of_subjects(tx: Tx, connection: str, subjects: Iterable[str]) -> dict[str, DirtyRow]:
    """Those of these subjects that wait, due or not, parked or not."""
    found: dict[str, DirtyRow] = {}
    for some in chunks(sorted(set(subjects))):
        rows = tx.rows(_OF_SOME, {"here": connection, "some": some})
        found.update((row.subject, row) for row in map(dirty, rows))
    return found


def asked(tx: Tx, connection: str, subjects: Iterable[str], parked_by: str) -> dict[str, DirtyRow]:
    """Those of these subjects of whose change a person was told: they wait for that release, or were turned down."""
    found: dict[str, DirtyRow] = {}
    for some in chunks(sorted(set(subjects))):
        rows = tx.rows(_ASKED, {"here": connection, "some": some, "run": parked_by})
        found.update((row.subject, row) for row in map(dirty, rows))
    return found


def dirty(row: AnyRow) -> DirtyRow:
    """A row of the table, its columns in the order of the fields."""
    subject, kind, seq, reason, trace, since, attempts, noticed, shown = row
    return DirtyRow(subject, kind, seq, reason, trace, since, attempts, bool(noticed), shown)


def clear(tx: Tx, connection: str, rows: Sequence[DirtyRow]) -> None:
    """Take off what was dealt with; a subject that was marked again meanwhile stays."""
    tx.many(_CLEAR, [{"here": connection, "gone_subject": row.subject, "gone_seq": row.seq} for row in rows])


def postpone(
    tx: Tx, connection: str, waits: Mapping[str, float], *, is_attempt: bool = True, reason: str | None = None
) -> None:
    """Look at these subjects again at the given times; `reason` is shown meanwhile."""
    same = {"here": connection, "more": int(is_attempt)} | ({} if reason is None else {"why": reason})
    statement = _POSTPONE if reason is None else _POSTPONE_SINCE
    tx.many(statement, [{**same, "late_subject": name, "late_until": until} for name, until in waits.items()])


def parked(tx: Tx, connection: str, run: str, after: str, limit: int) -> list[str]:
    """Subjects that wait for the end of a sweep."""
    values = {"here": connection, "run": run, "after": after, "most": limit}
    return [row[0] for row in tx.rows(_PARKED, values)]


def release(tx: Tx, connection: str, parked_by: str, *, approval: str = "") -> None:
    """Nothing speaks against these changes any more: they may be looked at. `approval`: the hold that says so."""
    here = {"here": connection, "run": parked_by}
    if approval:
        tx.execute(_RELEASE_APPROVED, {**here, "approval": f"{APPROVED_TRACE}{approval}"})
    else:
        tx.execute(_RELEASE, here)


def park(tx: Tx, connection: str, shown: Mapping[str, str], parked_by: str, reason: str = STOPPED) -> None:
    """Let these subjects wait until `release`: subject -> digest of the change that a person is shown."""
    same = {"here": connection, "now_parked": parked_by, "now_reason": reason}
    tx.many(_PARK, [{**same, "late_subject": name, "now_shown": digest} for name, digest in shown.items()])


def keep(tx: Tx, connection: str, rows: Sequence[DirtyRow], parked_by: str) -> None:
    """Let these wait until `release`, as they are; a subject that was marked again meanwhile is looked at once more."""
    same = {"here": connection, "now_parked": parked_by}
    tx.many(_KEEP, [{**same, "late_subject": row.subject, "late_seq": row.seq} for row in rows])


def unpark(tx: Tx, connection: str, subject: str) -> None:
    """Whatever this one waits for, it need not: it is looked at."""
    here = (DIRTY.c.connection == connection, DIRTY.c.subject == subject, DIRTY.c.parked.is_not(None))
    tx.execute(sa.update(DIRTY).where(*here).values(parked=None, not_before=NOW))


def disapprove(tx: Tx, connection: str, rows: Sequence[DirtyRow]) -> None:
    """What would be done to these is not what was approved: they wait like anything else."""
    tx.many(_DISAPPROVE, [{"here": connection, "stale_subject": one.subject, "stale_shown": one.shown} for one in rows])


def carried_out(tx: Tx, connection: str, row: DirtyRow) -> None:
    """What was approved has been written: whatever is left to do about it is anybody's."""
    if row.reason == APPROVED:
        here = (DIRTY.c.connection == connection, DIRTY.c.subject == row.subject, DIRTY.c.shown == row.shown)
        tx.execute(sa.update(DIRTY).where(*here).values(reason="written", shown=None))


def reject(tx: Tx, connection: str, parked_by: str) -> None:
    """What was shown of these is not done, whoever notices it again; another change of theirs is looked at.

    Nobody notices once more that an object was to be archived: those are dropped.
    """
    here = (DIRTY.c.connection == connection, DIRTY.c.parked == parked_by)
    tx.execute(sa.delete(DIRTY).where(*here, *ARE_FAREWELLS))
    tx.execute(sa.update(DIRTY).where(*here).values(parked=REJECTED, reason=REJECTED))


def rejected(tx: Tx, connection: str, subjects: Iterable[str]) -> dict[str, str]:
    """Digests of the changes that a person rejected, by subject."""
    found: dict[str, str] = {}
    for some in chunks(sorted(set(subjects))):
        found.update((row[0], row[1]) for row in tx.rows(_REJECTED, {"here": connection, "some": some}))
    return found


def narrow(tx: Tx, connection: str, row: DirtyRow, shown: str) -> None:
    """A part of what was approved is done: the approval covers the rest, whose digest is `shown`."""
    here = (DIRTY.c.connection == connection, DIRTY.c.subject == row.subject, DIRTY.c.shown == row.shown)
    tx.execute(sa.update(DIRTY).where(*here).values(shown=shown))


def repark(tx: Tx, connection: str, parked_by: str, now_by: str) -> None:
    """Let what waits for one release wait for another."""
    here = (DIRTY.c.connection == connection, DIRTY.c.parked == parked_by)
    tx.execute(sa.update(DIRTY).where(*here).values(parked=now_by))


def count_parked(tx: Tx, connection: str, parked_by: str) -> int:
    """How many subjects wait for `release`."""
    statement = sa.select(sa.func.count()).select_from(DIRTY)
    found = tx.execute(statement.where(DIRTY.c.connection == connection, DIRTY.c.parked == parked_by))
    return int(found.scalar_one())


def is_any_asked(tx: Tx, connection: str) -> bool:
    """Whether a person was shown a change of something that waits, and has not answered yet."""
    here = (DIRTY.c.connection == connection, DIRTY.c.shown.is_not(None), DIRTY.c.reason.not_in((APPROVED, REJECTED)))
    return tx.execute(sa.select(DIRTY.c.subject).where(*here).limit(1)).first() is not None


def counts(tx: Tx) -> dict[str, int]:
    """How much waits at each connection."""
    rows = tx.rows(sa.select(DIRTY.c.connection, sa.func.count()).group_by(DIRTY.c.connection))
    return {row[0]: row[1] for row in rows}


def with_a_time(tx: Tx) -> dict[str, dict[str, int]]:
    """How much waits at each connection for a time, and for no person: connection -> kind -> number."""
    statement = sa.select(DIRTY.c.connection, DIRTY.c.kind, sa.func.count()).where(DIRTY.c.parked.is_(None))
    found: dict[str, dict[str, int]] = {}
    for connection, kind, number in tx.rows(statement.group_by(DIRTY.c.connection, DIRTY.c.kind)):
        found.setdefault(connection, {})[kind] = number
    return found


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
