"""Connections and their cursors."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import CONNECTIONS, CURSORS, DIRTY, MAPPINGS, META, OBSERVATIONS
from core.store.text import AnyRow, Insert, insert_or_ignore, upsert


class ConnectionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One connection's state. state: observing (never writes) | active | reauthorize (a person must act).

    rests: which sweeps wait until `rests_until`: "" | full | changes, which means both.
    """

    name: str
    provider: str
    account_id: str | None = None
    account_title: str = ""
    state: str = "observing"
    swept_at: float | None = None
    activated_at: float | None = None
    first_activated_at: float | None = None
    announced_creates: int = 0
    listed: int = 0
    translation: int = 0
    paused_until: float | None = None
    error: str = ""
    error_code: str = ""
    allowance_from: float | None = None
    restored_at: float | None = None
    rests: str = ""
    rests_until: float | None = None


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """Where a sweep stands. `run` names the one under way; `pending` is the change cursor it took at its start.

    `started_at` of the changes is the time of their position: a feed reaches back only so far.
    """

    connection: str
    kind: str = "customer"
    mode: str
    cursor: str | None = None
    pending: str | None = None
    run: str | None = None
    listed: int = 0
    started_at: float | None = None
    completed_at: float | None = None


class Cursors(dict[tuple[str, str], Cursor]):
    """All cursors of one connection, by kind and mode; of a sweep that never ran there is a fresh one."""

    def __init__(self, connection: str) -> None:
        """None that is stored yet."""
        super().__init__()
        self._connection = connection

    def __missing__(self, key: tuple[str, str]) -> Cursor:
        """A fresh one."""
        kind, mode = key
        return Cursor(connection=self._connection, kind=kind, mode=mode)


def ensure(tx: Tx, name: str, provider: str) -> None:
    """Make the connection's row, observing, if it is not there."""
    tx.execute(insert_or_ignore(tx.dialect, CONNECTIONS), {"name": name, "provider": provider})


COLUMNS: Final = tuple(CONNECTIONS.c[name] for name in ConnectionRow.__struct_fields__)
_BY_NAME: Final = sa.select(*COLUMNS).where(CONNECTIONS.c.name == sa.bindparam("name"))
_EVERY: Final = sa.select(*COLUMNS).order_by(CONNECTIONS.c.name)
_EVERY_CURSOR: Final = sa.select(*(CURSORS.c[name] for name in Cursor.__struct_fields__))
_CURSORS: Final = _EVERY_CURSOR.where(CURSORS.c.connection == sa.bindparam("connection"))
_CURSOR: Final = _CURSORS.where(CURSORS.c.kind == sa.bindparam("kind"), CURSORS.c.mode == sa.bindparam("mode"))
_TOUCH: Final = (
    sa.update(CURSORS)
    .where(
        CURSORS.c.connection == sa.bindparam("here"),
        CURSORS.c.kind == sa.bindparam("of_kind"),
        CURSORS.c.mode == sa.bindparam("in_mode"),
    )
    .values(completed_at=None)
)
_META: Final = sa.select(META.c.value).where(META.c.name == sa.bindparam("name"))
MODES: Final = ("full", "changes", "adopt", "offer", "look")


def get(tx: Tx, name: str) -> ConnectionRow:
    """One connection; it was ensured at start."""
    return connection_of(tx.execute(_BY_NAME, {"name": name}).one())


def is_untouched(tx: Tx, name: str) -> bool:
    """Whether nothing was ever read of its account, noticed of it, or tied to it."""
    tables = (CURSORS, OBSERVATIONS, MAPPINGS, DIRTY)
    return not any(tx.rows(sa.select(one.c.connection).where(one.c.connection == name).limit(1)) for one in tables)


def every(tx: Tx) -> list[ConnectionRow]:
    """All connections by name."""
    return [connection_of(row) for row in tx.rows(_EVERY)]


def change(tx: Tx, name: str, **values: Any) -> None:  # noqa: ANN401 - columns of one table
    """Set columns of one connection."""
    tx.execute(_change(tuple(values)), {"changed": name, **{f"new_{column}": new for column, new in values.items()}})


def cursor(tx: Tx, connection: str, kind: str, mode: str) -> Cursor:
    """Where a sweep stands (a fresh cursor when it never ran)."""
    row = tx.execute(_CURSOR, {"connection": connection, "kind": kind, "mode": mode}).first()
    return _cursor(row) if row else Cursor(connection=connection, kind=kind, mode=mode)


def cursors(tx: Tx, connection: str) -> Cursors:
    """All cursors of a connection."""
    found = Cursors(connection)
    for one in map(_cursor, tx.rows(_CURSORS, {"connection": connection})):
        found[one.kind, one.mode] = one
    return found


def every_cursor(tx: Tx, names: Iterable[str]) -> dict[str, Cursors]:
    """`cursors` of several connections at once."""
    found = {name: Cursors(name) for name in names}
    for one in map(_cursor, tx.rows(_EVERY_CURSOR)):
        if one.connection in found:
            found[one.connection][one.kind, one.mode] = one
    return found


def put_cursor(tx: Tx, cursor: Cursor) -> None:
    """Store where a sweep stands."""
    tx.execute(_put_cursor(tx.dialect), msgspec.structs.asdict(cursor))


def touch_cursor(tx: Tx, connection: str, kind: str, mode: str) -> None:
    """Let a sweep be due at once."""
    tx.execute(_TOUCH, {"here": connection, "of_kind": kind, "in_mode": mode})


def meta(tx: Tx, name: str) -> str | None:
    """A setting of this database."""
    return tx.execute(_META, {"name": name}).scalar_one_or_none()


def put_meta_once(tx: Tx, name: str, value: str) -> str:
    """Set a setting unless it is set; returns what stands."""
    tx.execute(insert_or_ignore(tx.dialect, META), {"name": name, "value": value})
    return meta(tx, name) or value


def put_meta(tx: Tx, name: str, value: str) -> None:
    """Set a setting, whatever it was."""
    tx.execute(upsert(tx.dialect, META, ("name",), ("value",)), {"name": name, "value": value})


def probe(tx: Tx, now: float) -> None:
    """Write something, anything: a database that only reads well is not usable."""
    put_meta(tx, "probed_at", str(now))


@cache
def _put_cursor(dialect: str) -> Insert:
    keys = ("connection", "kind", "mode")
    return upsert(dialect, CURSORS, keys, [name for name in Cursor.__struct_fields__ if name not in keys])


@cache
def _change(columns: tuple[str, ...]) -> sa.Update:
    statement = sa.update(CONNECTIONS).where(CONNECTIONS.c.name == sa.bindparam("changed"))
    return statement.values({column: sa.bindparam(f"new_{column}") for column in columns})


def _cursor(row: AnyRow) -> Cursor:
    return Cursor(**dict(zip(Cursor.__struct_fields__, row, strict=True)))


def connection_of(row: AnyRow) -> ConnectionRow:
    """What a row says that begins with `COLUMNS`."""
    return ConnectionRow(**dict(zip(ConnectionRow.__struct_fields__, row, strict=False)))
