"""The inbox: authentic webhook deliveries, durable before they are answered, deduplicated."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import INBOX
from core.store.text import DIALECTS, Insert, chunks, dialect_insert


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery. state: new | done | poison (authentic, but of no shape we know)."""

    id: int = 0
    connection: str
    dedupe_key: str
    body: bytes
    received_at: float
    trace: str = ""


class Poison(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that could not be understood, and why."""

    id: int
    connection: str
    received_at: float
    problem: str


def _added(dialect: str) -> Insert:
    """INSERT that leaves an existing delivery alone, but for one that was not understood: that one is new again."""
    statement = dialect_insert(dialect, INBOX)
    again = {name: statement.excluded[name] for name in ("body", "received_at", "trace")}
    # as literals: a statement for `load` has no values of its own
    return statement.on_conflict_do_update(
        index_elements=["connection", "dedupe_key"],
        set_={**again, "state": sa.literal_column("'new'"), "error": sa.literal_column("''")},
        where=INBOX.c.state == sa.literal_column("'poison'"),
    )


_ADD: Final = {name: _added(name) for name in DIALECTS}

_NEW: Final = (
    sa.select(*(INBOX.c[name] for name in ("id", "connection", "dedupe_key", "body", "received_at", "trace")))
    .where(INBOX.c.connection == sa.bindparam("connection"), INBOX.c.state == "new")
    .order_by(INBOX.c.id)
    .limit(sa.bindparam("most"))
)
# numbers, so that SOME does not fit
_DONE: Final = sa.update(INBOX).where(INBOX.c.id.in_(sa.bindparam("some", expanding=True))).values(state="done")


def add(tx: Tx, letters: Sequence[Letter]) -> None:
    """Store deliveries; one that is there already is left alone, unless it was not understood then."""
    rows = [
        {
            "connection": one.connection,
            "dedupe_key": one.dedupe_key,
            "body": one.body,
            "received_at": one.received_at,
            "trace": one.trace,
        }
        for one in letters
    ]
    tx.load(_ADD[tx.dialect], rows)


def new(tx: Tx, connection: str, limit: int) -> list[Letter]:
    """Deliveries that nobody looked at, oldest first."""
    return [
        Letter(id=row[0], connection=row[1], dedupe_key=row[2], body=row[3], received_at=row[4], trace=row[5])
        for row in tx.rows(_NEW, {"connection": connection, "most": limit})
    ]


def done(tx: Tx, ids: Sequence[int]) -> None:
    """These deliveries have become dirty marks."""
    for some in chunks(ids):
        tx.execute(_DONE, {"some": some})


def poison(tx: Tx, problems: Mapping[int, str]) -> None:
    """Authentic deliveries that cannot be understood, by id, and why: kept, shown, in nobody's way."""
    for letter_id, problem in problems.items():
        tx.execute(sa.update(INBOX).where(INBOX.c.id == letter_id).values(state="poison", error=problem))


def poison_once(tx: Tx, connection: str, letter_id: int, problem: str) -> None:
    """Keep and show the first delivery of a connection that has a problem; of those after it only that they came."""
    known = problem in shown_once(tx, connection, [problem])
    values = {"state": "done", "error": problem, "body": b""} if known else {"state": "poison", "error": problem}
    tx.execute(sa.update(INBOX).where(INBOX.c.id == letter_id).values(values))


def shown_once(tx: Tx, connection: str, problems: Collection[str] = (), *, like: str = "") -> set[str]:
    """Which of these problems deliveries of a connection are shown with, or of those that begin like this."""
    wanted = INBOX.c.error.in_(list(problems)) if problems else INBOX.c.error.startswith(like, autoescape=True)
    here = (INBOX.c.connection == connection, INBOX.c.state == "poison", wanted)
    return {row[0] for row in tx.rows(sa.select(INBOX.c.error).where(*here).distinct())}


def settle(tx: Tx, problem: str) -> None:
    """Deliveries with this problem have none any more."""
    same = [INBOX.c.state == "poison", INBOX.c.error == problem]
    tx.execute(sa.update(INBOX).where(*same).values(state="done"))


def poisoned(tx: Tx, limit: int) -> list[Poison]:
    """Deliveries that could not be understood, newest first."""
    i = INBOX.c
    statement = sa.select(i.id, i.connection, i.received_at, i.error).where(i.state == "poison")
    rows = tx.rows(statement.order_by(i.id.desc()).limit(limit))
    return [Poison(id=row[0], connection=row[1], received_at=row[2], problem=row[3]) for row in rows]


def counts(tx: Tx) -> dict[tuple[str, str], int]:
    """Deliveries by connection and state."""
    statement = sa.select(INBOX.c.connection, INBOX.c.state, sa.func.count())
    return {(row[0], row[1]): row[2] for row in tx.rows(statement.group_by(INBOX.c.connection, INBOX.c.state))}


def last_came(tx: Tx) -> dict[str, float]:
    """When the last delivery of each connection came, of those that are kept."""
    statement = sa.select(INBOX.c.connection, sa.func.max(INBOX.c.received_at)).group_by(INBOX.c.connection)
    return {row[0]: row[1] for row in tx.rows(statement)}


def prune(tx: Tx, state: str, before: float, limit: int = 200) -> int:
    """Drop deliveries of a state that came before a time; some at once, so that the writer is never blocked long."""
    old = sa.select(INBOX.c.id).where(INBOX.c.state == state, INBOX.c.received_at < before).limit(limit)
    return tx.execute(sa.delete(INBOX).where(INBOX.c.id.in_(old))).rowcount
