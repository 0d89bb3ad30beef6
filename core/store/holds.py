"""Holds: what waits for a person. One open hold per subject and field; it closes itself when moot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.model.holds import Answer, HoldDraft
from core.model.match import OBJECTS
from core.ports import Ids
from core.store.database import Tx
from core.store.tables import HOLDS, MAPPINGS
from core.store.text import SOME, AnyRow, chunks, dump
from core.store.work import FAREWELL

EVERY: Final = 2**31 - 1
_NAMES = "id connection subject field reason record_id detail digest state answer actor opened_at"
_COLUMNS = tuple(HOLDS.c[name] for name in _NAMES.split())


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """One hold. state: open | answered | spent | moot."""

    id: str
    connection: str
    subject: str
    field: str
    reason: str
    record_id: str | None
    detail: dict[str, Any]
    digest: str
    state: str
    answer: str | None
    actor: str | None
    opened_at: float


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """All that one subject is held for now; anything else open on it is moot (unless `keeps_others`)."""

    subject: str
    record_id: str | None
    drafts: Sequence[HoldDraft]
    trace: str = ""
    keeps_others: bool = False


_OF_SUBJECT: Final = (
    sa.select(*_COLUMNS)
    .where(
        HOLDS.c.connection == sa.bindparam("connection"),
        HOLDS.c.subject.in_(SOME),
        HOLDS.c.state.in_(("open", "answered")),
    )
    .order_by(HOLDS.c.opened_at)
)

# as expressions, so that SQLite's planner looks ids up instead of walking the whole connection
_ABOUT_FAREWELLS: Final = (
    sa.select(HOLDS.c.subject)
    .select_from(
        MAPPINGS.join(
            HOLDS,
            sa.and_(
                HOLDS.c.connection == MAPPINGS.c.connection, HOLDS.c.subject == sa.literal(FAREWELL) + MAPPINGS.c.id
            ),
        )
    )
    .where(
        MAPPINGS.c.remote_id.in_(SOME),
        MAPPINGS.c.connection.concat("") == sa.bindparam("connection"),
        HOLDS.c.state.concat("") == "open",
    )
)
_ARE_OBJECTS: Final = dump({"candidates_are": OBJECTS})[1:-1]
_SPEND: Final = (
    sa.update(HOLDS)
    .where(
        HOLDS.c.connection == sa.bindparam("here"),
        HOLDS.c.subject == sa.bindparam("spent_subject"),
        HOLDS.c.field == sa.bindparam("spent_field"),
        HOLDS.c.state == "answered",
    )
    .values(state="spent")
)


def of_subjects(tx: Tx, connection: str, subjects: Iterable[str]) -> dict[str, list[Hold]]:
    """Open and answered holds by subject."""
    found: dict[str, list[Hold]] = {}
    for some in chunks(sorted(set(subjects))):
        for row in tx.rows(_OF_SUBJECT, {"some": some, "connection": connection}):
            found.setdefault(row.subject, []).append(_hold(row))
    return found


def standing(holds: Sequence[Hold]) -> dict[str, tuple[str, str]]:
    """Open holds by field: (reason, digest)."""
    return {one.field: (one.reason, one.digest) for one in holds if one.state == "open"}


def answers(holds: Sequence[Hold]) -> dict[str, Answer]:
    """People's choices by field, the newest last. Where a hold is open again, the old answer has not ended it."""
    asked_again = {one.field for one in holds if one.state == "open"}
    return {
        one.field: Answer(one.answer or "", one.digest)
        for one in holds
        if one.state == "answered" and one.field not in asked_again
    }


def beginning(tx: Tx, start: str, limit: int) -> list[str]:
    """Ids of holds of any state that begin so, at most `limit` of them."""
    begun = sa.select(HOLDS.c.id).where(HOLDS.c.id.startswith(start, autoescape=True)).limit(limit)
    return [str(row[0]) for row in tx.rows(begun)]


def settle(
    tx: Tx, ids: Ids, connection: str, held: Sequence[Held], known: Mapping[str, Sequence[Hold]], now: float
) -> int:
    """Open, refresh and close holds so that exactly the drafts of each subject stand. Returns how many are new.

    `known` is what `of_subjects` returned in this transaction.
    """
    new = 0
    for one in held:
        standing_now = {hold.field: hold for hold in known.get(one.subject, ()) if hold.state == "open"}
        for draft in one.drafts:
            old = standing_now.pop(draft.field, None)
            if old is None:
                _open(tx, ids, connection, one, draft, now)
                new += 1
            elif (old.digest, old.reason) != (draft.digest, draft.reason) and not _refresh(tx, old.id, draft):
                # answered this very moment, and not for these values
                _open(tx, ids, connection, one, draft, now)
                new += 1
        if not one.keeps_others:
            _close(tx, [hold.id for hold in standing_now.values()], now)
    return new


def answer(tx: Tx, hold_id: str, digest: str, choice: str, actor: str, now: float) -> bool:
    """Answer an open hold; False when it is not open any more, or asks about other values than those of `digest`."""
    is_seen = (HOLDS.c.state == "open", HOLDS.c.digest == digest)
    statement = sa.update(HOLDS).where(HOLDS.c.id == hold_id, *is_seen)
    values = {"state": "answered", "answer": choice, "actor": actor, "closed_at": now}
    return tx.execute(statement.values(**values)).rowcount == 1


def spend(tx: Tx, connection: str, carried_out: Iterable[tuple[str, str]]) -> None:
    """These answers, by (subject, field), have been carried out: the same question later is a new one."""
    rows = [{"here": connection, "spent_subject": subject, "spent_field": field} for subject, field in carried_out]
    tx.many(_SPEND, rows)


def get(tx: Tx, hold_id: str) -> Hold | None:
    """One hold."""
    if "\0" in hold_id:
        return None  # where SQLite finds nothing, PostgreSQL would end the transaction
    row = tx.execute(sa.select(*_COLUMNS).where(HOLDS.c.id == hold_id)).first()
    return _hold(row) if row else None


def is_moot(tx: Tx, hold_id: str) -> bool:
    """Whether a hold has closed itself, because its cause is gone."""
    return tx.execute(sa.select(HOLDS.c.state).where(HOLDS.c.id == hold_id)).scalar_one_or_none() == "moot"


def listing(
    tx: Tx,
    *,
    connection: str | None = None,
    reason: str | None = None,
    record_id: str | None = None,
    field: str | None = None,
    state: str = "open",
    answer: str | None = None,
    limit: int = EVERY,
) -> list[Hold]:
    """Open holds (or those of another state, or with an answer), oldest first; all of them without a `limit`."""
    asked = {"connection": connection, "reason": reason, "record_id": record_id, "field": field, "answer": answer}
    wanted: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    rows = tx.rows(_listing(tuple(wanted)), {**wanted, "state": state, "most": limit})
    return [_hold(row) for row in rows]


@cache
def _listing(columns: tuple[str, ...]) -> sa.Select[*tuple[Any, ...]]:
    same = [HOLDS.c[name] == sa.bindparam(name) for name in ("state", *columns)]
    statement = sa.select(*_COLUMNS).where(*same)
    return statement.order_by(HOLDS.c.opened_at, HOLDS.c.id).limit(sa.bindparam("most"))


def between_objects(tx: Tx, connection: str, reason: str) -> list[Hold]:
    """Open holds of a reason whose candidates are objects of the connection: there may be many others at first."""
    same = (HOLDS.c.state == "open", HOLDS.c.connection == connection, HOLDS.c.reason == reason)
    return [_hold(row) for row in tx.rows(sa.select(*_COLUMNS).where(*same, HOLDS.c.detail.contains(_ARE_OBJECTS)))]


def about_farewells(tx: Tx, connection: str, remote_ids: Iterable[str]) -> list[str]:
    """Subjects of open questions about these objects, which were to be archived with their customers."""
    found: list[str] = []
    for some in chunks(sorted(set(remote_ids))):
        found += [row[0] for row in tx.rows(_ABOUT_FAREWELLS, {"some": some, "connection": connection})]
    return found


def count(tx: Tx, *, connection: str | None = None, reason: str | None = None, record_id: str | None = None) -> int:
    """How many open holds `listing` would go through with the same filters."""
    asked = {"connection": connection, "reason": reason, "record_id": record_id}
    same = [HOLDS.c[name] == value for name, value in asked.items() if value is not None]
    statement = sa.select(sa.func.count()).select_from(HOLDS).where(HOLDS.c.state == "open", *same)
    return int(tx.execute(statement).scalar_one())


def counts(tx: Tx) -> dict[tuple[str, str], int]:
    """Open holds by connection and reason."""
    statement = sa.select(HOLDS.c.connection, HOLDS.c.reason, sa.func.count()).where(HOLDS.c.state == "open")
    rows = tx.rows(statement.group_by(HOLDS.c.connection, HOLDS.c.reason))
    return {(row[0], row[1]): row[2] for row in rows}


def _open(tx: Tx, ids: Ids, connection: str, held: Held, draft: HoldDraft, now: float) -> None:
    values = {
        "id": ids.new(),
        "connection": connection,
        "subject": held.subject,
        "field": draft.field,
        "reason": draft.reason,
        "record_id": held.record_id,
        "detail": dump(draft.detail),
        "digest": draft.digest,
        "opened_at": now,
        "trace": held.trace,
    }
    tx.execute(sa.insert(HOLDS).values(**values))


def _refresh(tx: Tx, hold_id: str, draft: HoldDraft) -> bool:
    """False when it is not open any more: an answer is to what it was given to."""
    values = {"reason": draft.reason, "detail": dump(draft.detail), "digest": draft.digest}
    statement = sa.update(HOLDS).where(HOLDS.c.id == hold_id, HOLDS.c.state == "open")
    return tx.execute(statement.values(**values)).rowcount == 1


def _close(tx: Tx, hold_ids: Sequence[str], now: float) -> None:
    if hold_ids:
        still_open = (HOLDS.c.id.in_(hold_ids), HOLDS.c.state == "open")
        tx.execute(sa.update(HOLDS).where(*still_open).values(state="moot", closed_at=now))


def _hold(row: AnyRow) -> Hold:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    values["detail"] = msgspec.json.decode(values["detail"])
    return Hold(**values)
