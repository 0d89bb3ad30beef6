"""Intents: the committed row that says what is about to be written, with frozen body and key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.model.values import Value
from core.store.database import Tx
from core.store.tables import INTENTS
from core.store.text import SOME, AnyRow, chunks, dump

ARCHIVE: Final = "archive"
"""The action of one that archives the object of a customer who was archived."""
_COLUMNS = tuple(
    INTENTS.c[name]
    for name in (
        "id connection kind mapping_id action key batch body wanted before remote_id state sent_at resolve_after "
        "attempts error trace stamp ahead"
    ).split()
)
_OPEN_OF: Final = sa.select(*_COLUMNS).where(INTENTS.c.mapping_id.in_(SOME), INTENTS.c.closed_at.is_(None))
_NONE: Final[sa.ColumnElement[str]] = sa.literal_column("''")
"""A constant in the statement itself: only so is the partial index used."""
_STAMPED_OF: Final = (
    sa.select(*_COLUMNS)
    .where(INTENTS.c.mapping_id.in_(SOME), INTENTS.c.stamp != _NONE)
    .order_by(INTENTS.c.sent_at, INTENTS.c.id)
)
# as an expression, so that SQLite's planner takes the index of open ones instead of walking all of the connection's
_HERE: Final = INTENTS.c.connection.concat("") == sa.bindparam("connection")
_OPEN_ACTIONS: Final = sa.select(INTENTS.c.kind, INTENTS.c.action, INTENTS.c.sent_at, INTENTS.c.trace).where(
    INTENTS.c.closed_at.is_(None), _HERE
)

_INSERT: Final = sa.insert(INTENTS)
_ALL_OPEN: Final = sa.select(*_COLUMNS).where(INTENTS.c.closed_at.is_(None)).order_by(INTENTS.c.sent_at, INTENTS.c.id)
_OPEN_AT: Final = _ALL_OPEN.where(_HERE)
_BY_KEY: Final = (
    sa.select(*_COLUMNS)
    .where(INTENTS.c.connection == sa.bindparam("connection"), INTENTS.c.key == sa.bindparam("key"))
    .order_by(INTENTS.c.sent_at.desc())
    .limit(1)
)
_CLOSE: Final = (
    sa.update(INTENTS)
    .where(INTENTS.c.id == sa.bindparam("closed_id"), INTENTS.c.closed_at.is_(None))
    .values(state=sa.bindparam("closed_state"), closed_at=sa.bindparam("now"))
)

_STAMP: Final = sa.update(INTENTS).where(INTENTS.c.id == sa.bindparam("done_id")).values(stamp=sa.bindparam("told"))
_RECALLED: Final = sa.update(INTENTS).where(INTENTS.c.mapping_id.in_(SOME), INTENTS.c.stamp != _NONE).values(stamp="")


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One remote write. `wanted` are the frozen registry values by field; `before` the remote's, as last read.

    state: sent (perhaps; under way) | ambiguous (certainly no answer) | done | refused | void (decided not to send).
    """

    id: str
    connection: str
    kind: str = "customer"
    mapping_id: str
    action: str
    key: str
    batch: str = ""
    """What it goes with in one request; "" where it goes alone, or the connector sorts its writes by itself."""
    body: dict[str, Any]
    wanted: dict[str, Value]
    before: dict[str, Value]
    remote_id: str | None
    state: str = "sent"
    sent_at: float
    resolve_after: float | None = None
    attempts: int = 0
    error: str = ""
    trace: str = ""
    stamp: str = ""
    """When it was done, as the provider says; "" once it is known what it replaced, and where nothing tells that."""
    ahead: float | None = None
    """By how many seconds our clock was ahead of the provider's when it was sent; None where nobody knows."""


def insert(tx: Tx, intents: Sequence[Intent]) -> None:
    """Commit the intents before the first byte goes out. One open intent per mapping: the database says so."""
    tx.many(_INSERT, [_row(one) for one in intents])


def open_of(tx: Tx, mapping_ids: Iterable[str]) -> dict[str, Intent]:
    """Open intents by mapping."""
    found: dict[str, Intent] = {}
    for some in chunks(sorted(set(mapping_ids))):
        found.update((row.mapping_id, _intent(row)) for row in tx.rows(_OPEN_OF, {"some": some}))
    return found


def all_open(tx: Tx, connection: str | None = None) -> list[Intent]:
    """Every open intent, oldest first."""
    rows = tx.rows(_ALL_OPEN) if connection is None else tx.rows(_OPEN_AT, {"connection": connection})
    return [_intent(row) for row in rows]


def open_actions(tx: Tx, connection: str) -> list[tuple[str, str, float, str]]:
    """Kind, action, time of sending and trace of every open intent of a connection, without their bodies."""
    return [(row[0], row[1], row[2], row[3]) for row in tx.rows(_OPEN_ACTIONS, {"connection": connection})]


def by_key(tx: Tx, connection: str, key: str) -> Intent | None:
    """The newest intent with this idempotency key."""
    row = tx.execute(_BY_KEY, {"connection": connection, "key": key}).first()
    return _intent(row) if row else None


def close(tx: Tx, closed: Mapping[str, str], now: float) -> None:
    """Close intents, by id: done | refused | void."""
    rows = [{"closed_id": name, "closed_state": state, "now": now} for name, state in closed.items()]
    tx.many(_CLOSE, rows)


def stamp(tx: Tx, intent_id: str, stamp: str) -> None:
    """When a write was done, as the provider says: what it replaced is to be asked for later."""
    tx.execute(_STAMP, {"done_id": intent_id, "told": stamp})


def recalled(tx: Tx, mapping_ids: Iterable[str]) -> None:
    """It is known now what every write to these mappings has replaced."""
    for some in chunks(sorted(set(mapping_ids))):
        tx.execute(_RECALLED, {"some": some})


def stamped_of(tx: Tx, mapping_ids: Iterable[str]) -> dict[str, Intent]:
    """By mapping, the newest write of which it is not known yet what it replaced."""
    found: dict[str, Intent] = {}
    for some in chunks(sorted(set(mapping_ids))):
        found.update((row.mapping_id, _intent(row)) for row in tx.rows(_STAMPED_OF, {"some": some}))
    return found


def doubt(tx: Tx, intent_id: str, resolve_after: float, error: str) -> None:
    """No answer, or one that says nothing: resolve after the given time, before any other write to the mapping."""
    statement = sa.update(INTENTS).where(INTENTS.c.id == intent_id)
    values = {"state": "ambiguous", "resolve_after": resolve_after, "error": error}
    tx.execute(statement.values(**values, attempts=INTENTS.c.attempts + 1))


def under_way(tx: Tx, intent_id: str) -> None:
    """The same write goes out once more, under its key: committed before, as the first time."""
    tx.execute(sa.update(INTENTS).where(INTENTS.c.id == intent_id).values(state="sent"))


def sent_again(tx: Tx, intent_id: str, now: float, ahead: float | None) -> None:
    """The same write goes out once more: waits for what may still land start anew, by the clock of now."""
    statement = sa.update(INTENTS).where(INTENTS.c.id == intent_id)
    tx.execute(statement.values(state="sent", sent_at=now, ahead=ahead))


def outlived(tx: Tx, intent_id: str, resolve_after: float, sent_at: float, ahead: float | None) -> None:
    """Whoever sent it died before there was an answer: waits for what may still land start now, once."""
    statement = sa.update(INTENTS).where(INTENTS.c.id == intent_id)
    tx.execute(statement.values(state="ambiguous", resolve_after=resolve_after, sent_at=sent_at, ahead=ahead))


def _intent(row: AnyRow) -> Intent:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    for name in ("body", "wanted", "before"):
        values[name] = msgspec.json.decode(values[name])
    return Intent(**values)


def _row(one: Intent) -> dict[str, Any]:
    row = msgspec.structs.asdict(one)
    for name in ("body", "wanted", "before"):
        row[name] = dump(row[name])
    return row
