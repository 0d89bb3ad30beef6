"""Mappings: which remote object is which registry record, and what the two last agreed on (the base)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.model.values import Value
from core.store.database import Tx
from core.store.tables import CUSTOMERS, MAPPINGS
from core.store.text import SOME, AnyRow, chunks, dump

ENDED = "ended"
ASKED: Final = "asked for"
"""The note of one whose object a person wants made, whatever policy creates by itself."""
ABSORBED: Final = "absorbed"
"""The note of one whose object was merged into the one it has now, which was not compared with the registry yet."""
IS_LIVE: Final = MAPPINGS.c.state != sa.literal_column("'ended'")
"""As a literal, not a parameter: only so may the planner use the partial indexes."""
_COLUMNS = (
    MAPPINGS.c.id,
    MAPPINGS.c.kind,
    MAPPINGS.c.record_id,
    MAPPINGS.c.connection,
    MAPPINGS.c.part,
    MAPPINGS.c.generation,
    MAPPINGS.c.remote_id,
    MAPPINGS.c.state,
    MAPPINGS.c.base,
    MAPPINGS.c.translation,
    MAPPINGS.c.note,
    MAPPINGS.c.created_at,
    MAPPINGS.c.updated_at,
)
_BASE = msgspec.json.Decoder(dict[str, tuple[Value, Value]])


class MappingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One mapping. state: pending (to be created) | live | gone | excluded | ended."""

    id: str
    kind: str = "customer"
    record_id: str
    connection: str
    part: str = ""
    generation: int = 1
    remote_id: str | None = None
    state: str
    base: Mapping[str, tuple[Value, Value]] = {}
    translation: int = 0
    note: str = ""
    created_at: float
    updated_at: float


def pending(
    name: str, record_id: str, connection: str, *, kind: str = "customer", part: str = "", generation: int, now: float
) -> MappingRow:
    """A mapping whose object is to be made; it is not stored."""
    return MappingRow(
        id=name,
        kind=kind,
        record_id=record_id,
        connection=connection,
        part=part,
        generation=generation,
        state="pending",
        created_at=now,
        updated_at=now,
    )


# as expressions, so that SQLite's planner looks ids up instead of walking the whole connection
_AT: Final = MAPPINGS.c.connection.concat("") == sa.bindparam("connection")
_HERE: Final = (_AT, MAPPINGS.c.kind.concat("") == sa.bindparam("kind"))
_INSERT: Final = sa.insert(MAPPINGS)
_UPDATE: Final = (
    sa.update(MAPPINGS)
    .where(MAPPINGS.c.id == sa.bindparam("new_id"))
    .values({column.name: sa.bindparam(f"new_{column.name}") for column in _COLUMNS if column.name != "id"})
)
_BY_ID: Final = sa.select(*_COLUMNS).where(MAPPINGS.c.id.in_(SOME))
_LOCK: Final = sa.select(MAPPINGS.c.id).where(MAPPINGS.c.id.in_(SOME)).order_by(MAPPINGS.c.id).with_for_update()
_BY_REMOTE_ID: Final = sa.select(*_COLUMNS).where(MAPPINGS.c.remote_id.in_(SOME), *_HERE, IS_LIVE)
_OF_RECORD: Final = sa.select(*_COLUMNS).where(MAPPINGS.c.record_id.in_(SOME), IS_LIVE)
_ENDED: Final = (
    sa.select(MAPPINGS.c.remote_id, MAPPINGS.c.note)
    .where(MAPPINGS.c.remote_id.in_(SOME), *_HERE, MAPPINGS.c.state == ENDED)
    .order_by(MAPPINGS.c.updated_at)
)
_EVER: Final = sa.select(MAPPINGS.c.remote_id, MAPPINGS.c.record_id).where(MAPPINGS.c.remote_id.in_(SOME), *_HERE)
_LAST: Final = (
    sa.select(MAPPINGS.c.record_id, MAPPINGS.c.remote_id)
    .where(
        MAPPINGS.c.record_id.in_(SOME),
        *_HERE,
        MAPPINGS.c.part == "",
        MAPPINGS.c.state == ENDED,
        MAPPINGS.c.note == sa.bindparam("note"),
        MAPPINGS.c.remote_id.is_not(None),
    )
    .order_by(MAPPINGS.c.generation)
)
_GENERATIONS: Final = (
    sa.select(MAPPINGS.c.record_id, sa.func.max(MAPPINGS.c.generation))
    .where(MAPPINGS.c.record_id.in_(SOME), _AT)
    .group_by(MAPPINGS.c.record_id)
)
_COUNT: Final = (
    sa.select(sa.func.count())
    .select_from(MAPPINGS)
    .where(
        MAPPINGS.c.connection == sa.bindparam("connection"),
        MAPPINGS.c.kind == sa.bindparam("kind"),
        MAPPINGS.c.state.in_(SOME),
    )
)
_OF_PART: Final = MAPPINGS.c.part == sa.bindparam("part")
_COUNT_OF_PART: Final = _COUNT.where(_OF_PART)
_PAGE: Final = (
    sa.select(*_COLUMNS)
    # by id, whatever stands between: else all of a connection's would be sorted for each page
    .where(*_HERE, IS_LIVE, MAPPINGS.c.id > sa.bindparam("after"))
    .order_by(MAPPINGS.c.id)
    .limit(sa.bindparam("most"))
)
_PAGE_OF_PART: Final = _PAGE.where(_OF_PART)
_IS_MAPPED: Final = sa.exists().where(
    MAPPINGS.c.record_id == CUSTOMERS.c.id,
    MAPPINGS.c.connection == sa.bindparam("connection"),
    MAPPINGS.c.kind == sa.bindparam("kind"),
    MAPPINGS.c.part == sa.bindparam("part"),
    IS_LIVE,
)
_UNMAPPED_CUSTOMERS: Final = (
    sa.select(CUSTOMERS.c.id)
    .where(CUSTOMERS.c.deleted_at.is_(None), CUSTOMERS.c.id > sa.bindparam("after"), ~_IS_MAPPED)
    .order_by(CUSTOMERS.c.id)
    .limit(sa.bindparam("most"))
)


def by_ids(tx: Tx, ids: Iterable[str]) -> dict[str, MappingRow]:
    """Mappings by id, ended ones included."""
    return {one.id: one for one in _found(tx, _BY_ID, ids)}


def by_remote_ids(tx: Tx, connection: str, kind: str, remote_ids: Iterable[str]) -> dict[str, MappingRow]:
    """Mappings that have not ended, by remote id."""
    found = _found(tx, _BY_REMOTE_ID, remote_ids, connection=connection, kind=kind)
    return {str(one.remote_id): one for one in found}


def ended_notes(tx: Tx, connection: str, kind: str, remote_ids: Iterable[str]) -> dict[str, str]:
    """Why the last mapping of each object ended; objects that never had one are left out."""
    found: dict[str, str] = {}
    for some in chunks(sorted(set(remote_ids))):
        rows = tx.rows(_ENDED, {"some": some, "connection": connection, "kind": kind})
        found.update((row[0], row[1]) for row in rows)
    return found


def ever(tx: Tx, connection: str, kind: str, remote_ids: Iterable[str]) -> dict[str, set[str]]:
    """The records that each object is, or once was; of what was erased nobody knows it any more."""
    found: dict[str, set[str]] = {}
    for some in chunks(sorted(set(remote_ids))):
        for remote_id, record_id in tx.rows(_EVER, {"some": some, "connection": connection, "kind": kind}):
            found.setdefault(remote_id, set()).add(record_id)
    return found


def last_objects(tx: Tx, connection: str, kind: str, record_ids: Iterable[str], note: str) -> dict[str, str]:
    """Remote ids of whole objects by record: of the last mapping of each that ended for the reason `note`."""
    found: dict[str, str] = {}
    for some in chunks(sorted(set(record_ids))):
        rows = tx.rows(_LAST, {"some": some, "connection": connection, "kind": kind, "note": note})
        found.update((row[0], row[1]) for row in rows)
    return found


def of_records(tx: Tx, record_ids: Iterable[str]) -> dict[str, list[MappingRow]]:
    """Mappings that have not ended, by record."""
    found: dict[str, list[MappingRow]] = {}
    for one in _found(tx, _OF_RECORD, record_ids):
        found.setdefault(one.record_id, []).append(one)
    return found


def last_of_parts(tx: Tx, record_id: str) -> list[MappingRow]:
    """The last mapping of a customer at each connection, and of each of its parts there, ended or not."""
    statement = sa.select(*_COLUMNS).where(MAPPINGS.c.record_id == record_id).order_by(MAPPINGS.c.generation)
    last = {(row.connection, row.part): row for row in map(_mapping, tx.rows(statement))}
    return [last[one] for one in sorted(last)]


def latest(tx: Tx, connection: str, kind: str, limit: int) -> list[str]:
    """Ids of the objects whose mappings changed last."""
    i = MAPPINGS.c
    here = (i.connection == connection, i.kind == kind, i.state == "live", i.remote_id.is_not(None))
    statement = sa.select(i.remote_id).where(*here).order_by(i.updated_at.desc(), i.id).limit(limit)
    return [row[0] for row in tx.rows(statement)]


def generations(tx: Tx, record_ids: Iterable[str], connection: str) -> dict[str, int]:
    """The highest generation that was ever used for each record at a connection (0: never mapped there)."""
    found: dict[str, int] = {}
    for some in chunks(sorted(set(record_ids))):
        rows = tx.rows(_GENERATIONS, {"some": some, "connection": connection})
        found.update((row[0], row[1]) for row in rows)
    return found


def insert(tx: Tx, rows: Sequence[MappingRow]) -> None:
    """Add mappings; a record or remote id that is mapped here already raises the database's IntegrityError."""
    tx.load(_INSERT, [_row(one) for one in rows])


def update(tx: Tx, rows: Sequence[MappingRow]) -> None:
    """Store these mappings as they are now."""
    tx.many(_UPDATE, [{f"new_{name}": value for name, value in _row(one).items()} for one in rows])


def lock(tx: Tx, ids: Iterable[str]) -> None:
    """Until this transaction ends nobody else changes these: they are stored whole (SQLite has one writer anyway)."""
    if tx.dialect != "postgresql":
        return
    for some in chunks(sorted(set(ids))):
        tx.execute(_LOCK, {"some": some})


def count(tx: Tx, connection: str, *states: str, kind: str = "customer", part: str | None = None) -> int:
    """How many mappings of a kind at a connection are in one of `states`: of all, or of one part ("": wholes)."""
    values: dict[str, Any] = {"connection": connection, "kind": kind, "some": list(states)}
    if part is None:
        return int(tx.execute(_COUNT, values).scalar_one())
    return int(tx.execute(_COUNT_OF_PART, values | {"part": part}).scalar_one())


def page(
    tx: Tx, connection: str, after: str, limit: int, kind: str = "customer", *, part: str | None = None
) -> list[MappingRow]:
    """Mappings of a kind at a connection that have not ended, by id: all, or of one part ("": wholes)."""
    values: dict[str, Any] = {"connection": connection, "kind": kind, "after": after, "most": limit}
    rows = tx.rows(_PAGE, values) if part is None else tx.rows(_PAGE_OF_PART, values | {"part": part})
    return [_mapping(row) for row in rows]


def unmapped_customers(tx: Tx, connection: str, kind: str, after: str, limit: int) -> list[str]:
    """Ids of live customers that have no mapping at a connection, in order."""
    return _without(tx, connection, kind, "", after, limit)


def without_part(tx: Tx, connection: str, kind: str, part: str, after: str, limit: int) -> list[str]:
    """Ids of live customers that have no mapping of a part at a connection, in order."""
    return _without(tx, connection, kind, part, after, limit)


def _without(tx: Tx, connection: str, kind: str, part: str, after: str, limit: int) -> list[str]:
    where = {"connection": connection, "kind": kind, "part": part, "after": after, "most": limit}
    return [row[0] for row in tx.rows(_UNMAPPED_CUSTOMERS, where)]


def _found(tx: Tx, statement: sa.Executable, values: Iterable[str], **others: str) -> list[MappingRow]:
    found: list[MappingRow] = []
    for some in chunks(sorted(set(values))):
        found.extend(_mapping(row) for row in tx.rows(statement, {"some": some, **others}))
    return found


def _mapping(row: AnyRow) -> MappingRow:
    return MappingRow(
        id=row[0],
        kind=row[1],
        record_id=row[2],
        connection=row[3],
        part=row[4],
        generation=row[5],
        remote_id=row[6],
        state=row[7],
        base=_BASE.decode(row[8]),
        translation=row[9],
        note=row[10],
        created_at=row[11],
        updated_at=row[12],
    )


def _row(one: MappingRow) -> dict[str, Any]:
    return {
        "id": one.id,
        "kind": one.kind,
        "record_id": one.record_id,
        "connection": one.connection,
        "part": one.part,
        "generation": one.generation,
        "remote_id": one.remote_id,
        "state": one.state,
        "base": dump(one.base),
        "translation": one.translation,
        "note": one.note,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    }
