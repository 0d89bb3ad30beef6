"""The journal: append-only, every change with what it replaced and who or what did it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from core.model.decide import Lost
from core.model.values import Value
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.tables import DOCUMENTS, JOURNAL
from core.store.text import SOME, AnyRow, chunks, dump
from core.store.work import APPROVED_TRACE

_NAMES = "id at kind record_id connection remote_id action changes lost actor trace"
_COLUMNS = tuple(JOURNAL.c[name] for name in _NAMES.split())
_INSERT: Final = sa.insert(JOURNAL)
_CHANGED_BY: Final = sa.select(*_COLUMNS).where(
    JOURNAL.c.at.between(sa.bindparam("since"), sa.bindparam("until")),
    JOURNAL.c.connection == sa.bindparam("connection"),
    JOURNAL.c.kind == "customer",
    JOURNAL.c.action.in_(("pull", "push", "link", "archive")),
)
_COUNT: Final = (
    sa.select(sa.func.count())
    .select_from(JOURNAL)
    .where(
        JOURNAL.c.at.between(sa.bindparam("since"), sa.bindparam("until")),
        JOURNAL.c.connection == sa.bindparam("connection"),
        JOURNAL.c.action == sa.bindparam("action"),
        JOURNAL.c.trace.not_like(f"{APPROVED_TRACE}%"),
    )
)
_OF_CUSTOMERS: Final = _COUNT.where(JOURNAL.c.kind == "customer")
_OF_DOCUMENTS: Final = _COUNT.where(JOURNAL.c.kind != "customer")
_SINCE: Final = (
    sa.select(*_COLUMNS)
    .where(JOURNAL.c.record_id.in_(SOME), JOURNAL.c.at.between(sa.bindparam("since"), sa.bindparam("until")))
    .order_by(JOURNAL.c.id)
)
_CHANGES = msgspec.json.Decoder(dict[str, tuple[Value, Value, str]])
_LOST = msgspec.json.Decoder(list[Lost])


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `changes` maps field to (old, new, rule); `lost` are values that a conflict replaced.

    action: enter | link | pull | edit | create | push | raced | gone | unlink | undo | ...
    """

    id: int = 0
    at: float
    kind: str = "customer"
    record_id: str
    connection: str | None = None
    remote_id: str | None = None
    action: str
    changes: Mapping[str, tuple[Value, Value, str]] = {}
    lost: Sequence[Lost] = ()
    actor: str
    trace: str = ""


def about(
    row: MappingRow,
    *,
    at: float,
    action: str,
    actor: str,
    trace: str = "",
    changes: Mapping[str, tuple[Value, Value, str]] = {},
    lost: Sequence[Lost] = (),
) -> Entry:
    """A change of one record's object at one connection."""
    return Entry(
        at=at,
        kind=row.kind,
        record_id=row.record_id,
        connection=row.connection,
        remote_id=row.remote_id,
        action=action,
        changes=changes,
        lost=lost,
        actor=actor,
        trace=trace,
    )


def write(tx: Tx, entries: Sequence[Entry]) -> None:
    """Append."""
    rows = []
    for one in entries:
        row = msgspec.structs.asdict(one)
        del row["id"]
        rows.append(row | {"changes": dump(one.changes), "lost": dump(one.lost)})
    tx.load(_INSERT, rows)


def note(
    tx: Tx,
    kind: str,
    action: str,
    changes: Mapping[str, tuple[Value, Value, str]],
    *,
    at: float,
    actor: str,
    connection: str | None = None,
    trace: str = "",
) -> None:
    """Append what a person did that is about no record: to a connection, a secret, a token."""
    entry = Entry(
        at=at,
        kind=kind,
        record_id="",
        connection=connection,
        action=action,
        changes=changes,
        actor=actor,
        trace=trace,
    )
    write(tx, [entry])


def since(tx: Tx, record_ids: Iterable[str], at: float, until: float) -> dict[str, list[Entry]]:
    """Entries of records since a time, oldest first. What a clock that ran ahead wrote after `until` is no news."""
    found: dict[str, list[Entry]] = {}
    for some in chunks(sorted(set(record_ids))):
        for row in tx.rows(_SINCE, {"some": some, "since": at, "until": until}):
            found.setdefault(row.record_id, []).append(_entry(row))
    return found


def of_record(tx: Tx, record_id: str, limit: int = 100) -> list[Entry]:
    """A record's newest entries, newest first."""
    statement = sa.select(*_COLUMNS).where(JOURNAL.c.record_id == record_id).order_by(JOURNAL.c.id.desc())
    return [_entry(row) for row in tx.rows(statement.limit(limit))]


def after(tx: Tx, record_id: str, entry_id: int) -> list[Entry]:
    """A record's entries that are newer than one of them, oldest first."""
    statement = sa.select(*_COLUMNS).where(JOURNAL.c.record_id == record_id, JOURNAL.c.id > entry_id)
    return [_entry(row) for row in tx.rows(statement.order_by(JOURNAL.c.id))]


def get(tx: Tx, entry_id: int) -> Entry | None:
    """One entry."""
    row = tx.execute(sa.select(*_COLUMNS).where(JOURNAL.c.id == entry_id)).first()
    return _entry(row) if row else None


def of_trace(tx: Tx, trace: str) -> list[Entry]:
    """Everything that one piece of work did to customers, oldest first. Walks the whole journal."""
    statement = sa.select(*_COLUMNS).where(JOURNAL.c.trace == trace, JOURNAL.c.kind == "customer")
    statement = statement.order_by(JOURNAL.c.id)
    return [_entry(row) for row in tx.rows(statement)]


def changed_by(tx: Tx, connection: str, at: float, until: float) -> list[Entry]:
    """What a connection's lane changed of customers since a time: the mass-change guard counts it."""
    return [_entry(row) for row in tx.rows(_CHANGED_BY, {"since": at, "until": until, "connection": connection})]


def count_of_creates(tx: Tx, connection: str, at: float, until: float) -> int:
    """How many customers' objects a lane made since a time, without what a person approved."""
    values = {"connection": connection, "action": "create", "since": at, "until": until}
    return int(tx.execute(_OF_CUSTOMERS, values).scalar_one())


def count_of_documents(tx: Tx, connection: str, action: str, at: float, until: float) -> int:
    """How many documents a lane made or voided (`action`) since a time, without what a person approved."""
    values = {"connection": connection, "action": action, "since": at, "until": until}
    return int(tx.execute(_OF_DOCUMENTS, values).scalar_one())


def is_traced(tx: Tx, record_id: str, action: str, trace: str) -> bool:
    """True when a record has an entry of this action with this trace."""
    of_record = sa.select(JOURNAL.c.id).where(JOURNAL.c.record_id == record_id)
    statement = of_record.where(JOURNAL.c.action == action, JOURNAL.c.trace == trace)
    return tx.execute(statement.limit(1)).first() is not None


def is_noted(tx: Tx, connection: str, action: str, at: float) -> bool:
    """True when somebody did this to a connection at that time, or later."""
    here = (JOURNAL.c.at >= at, JOURNAL.c.connection == connection, JOURNAL.c.kind == "connection")
    statement = sa.select(JOURNAL.c.id).where(*here, JOURNAL.c.action == action)
    return tx.execute(statement.limit(1)).first() is not None


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are asked for, both times included. `customer_ids` None: of everybody; else with documents."""

    since: float | None = None
    until: float | None = None
    actor: str | None = None
    connection: str | None = None
    customer_ids: Sequence[str] | None = None

    def clauses(self) -> list[sa.ColumnElement[bool]]:
        """What SQL asks."""
        here = JOURNAL.c
        given = {here.actor: self.actor, here.connection: self.connection}
        found = [column == value for column, value in given.items() if value is not None]
        found += [here.at >= self.since] if self.since is not None else []
        found += [here.at <= self.until] if self.until is not None else []
        if self.customer_ids is not None:
            # not read before: a customer may have more documents than one statement takes ids
            theirs = sa.select(DOCUMENTS.c.id).where(DOCUMENTS.c.customer_id.in_(self.customer_ids))
            found.append(here.record_id.in_(self.customer_ids) | here.record_id.in_(theirs))
        return found


def page(tx: Tx, wanted: Filter, after: int, limit: int) -> list[Entry]:
    """Entries behind one of them, oldest first."""
    statement = sa.select(*_COLUMNS).where(JOURNAL.c.id > after, *wanted.clauses()).order_by(JOURNAL.c.id)
    return [_entry(row) for row in tx.rows(statement.limit(limit))]


def is_actor(tx: Tx, actor: str) -> bool:
    """Whether anybody of this name did anything."""
    return tx.execute(sa.select(JOURNAL.c.id).where(JOURNAL.c.actor == actor).limit(1)).first() is not None


def last_id(tx: Tx) -> int:
    """The newest entry's id; 0 for an empty journal."""
    return int(tx.execute(sa.select(sa.func.max(JOURNAL.c.id))).scalar_one() or 0)


def _entry(row: AnyRow) -> Entry:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    values["changes"] = _CHANGES.decode(values["changes"])
    values["lost"] = _LOST.decode(values["lost"])
    return Entry(**values)
