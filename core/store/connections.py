"""Connections and their cursors."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import CONNECTIONS, CURSORS, META
from core.store.text import AnyRow, Insert, insert_or_ignore, upsert

_COLUMNS = tuple(CONNECTIONS.c)


class ConnectionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One connection's state. state: observing (never writes) | active | reauthorize (a person must act)."""

    name: str
    provider: str
    account_id: str | None = None
    account_title: str = ""
    state: str = "observing"
    swept_at: float | None = None
    activated_at: float | None = None
    announced_creates: int = 0
    listed: int = 0
    translation: int = 0
    paused_until: float | None = None
    error: str = ""
    error_code: str = ""
    allowance_from: float | None = None
    restored_at: float | None = None


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


def ensure(tx: Tx, name: str, provider: str) -> None:
    """Make the connection's row, observing, if it is not there."""
    tx.execute(insert_or_ignore(tx.dialect, CONNECTIONS), {"name": name, "provider": provider})


_BY_NAME: Final = sa.select(*_COLUMNS).where(CONNECTIONS.c.name == sa.bindparam("name"))
_EVERY: Final = sa.select(*_COLUMNS).order_by(CONNECTIONS.c.name)
_CURSORS: Final = sa.select(CURSORS).where(
    CURSORS.c.connection == sa.bindparam("connection"), CURSORS.c.kind == sa.bindparam("kind")
)
_EVERY_CURSOR: Final = sa.select(CURSORS).where(CURSORS.c.kind == sa.bindparam("kind"))
MODES: Final = ("full", "changes", "adopt", "offer", "look")


def get(tx: Tx, name: str) -> ConnectionRow:
    """One connection; it was ensured at start."""
    return _connection(tx.execute(_BY_NAME, {"name": name}).one())


def every(tx: Tx) -> list[ConnectionRow]:
    """All connections by name."""
    return [_connection(row) for row in tx.rows(_EVERY)]


def change(tx: Tx, name: str, **values: Any) -> None:  # noqa: ANN401 - columns of one table
    """Set columns of one connection."""
    tx.execute(sa.update(CONNECTIONS).where(CONNECTIONS.c.name == name).values(**values))


def cursor(tx: Tx, connection: str, kind: str, mode: str) -> Cursor:
    """Where a sweep stands (a fresh cursor when it never ran)."""
    return cursors(tx, connection, kind)[mode]


def cursors(tx: Tx, connection: str, kind: str) -> dict[str, Cursor]:
    """All cursors of a connection by mode: full, changes, adopt, offer, look."""
    stored = [_cursor(row) for row in tx.rows(_CURSORS, {"connection": connection, "kind": kind})]
    return _fresh_cursors(connection, kind) | {one.mode: one for one in stored}


def every_cursor(tx: Tx, names: Iterable[str], kind: str) -> dict[str, dict[str, Cursor]]:
    """`cursors` of several connections at once."""
    found = {name: _fresh_cursors(name, kind) for name in names}
    for one in map(_cursor, tx.rows(_EVERY_CURSOR, {"kind": kind})):
        if one.connection in found:
            found[one.connection][one.mode] = one
    return found


def put_cursor(tx: Tx, cursor: Cursor) -> None:
    """Store where a sweep stands."""
    tx.execute(_put_cursor(tx.dialect), msgspec.structs.asdict(cursor))


def touch_cursor(tx: Tx, connection: str, kind: str, mode: str) -> None:
    """Let a sweep be due at once."""
    here = (CURSORS.c.connection == connection, CURSORS.c.kind == kind, CURSORS.c.mode == mode)
    tx.execute(sa.update(CURSORS).where(*here).values(completed_at=None))


def meta(tx: Tx, name: str) -> str | None:
    """A setting of this database."""
    return tx.execute(sa.select(META.c.value).where(META.c.name == name)).scalar_one_or_none()


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


def _fresh_cursors(connection: str, kind: str) -> dict[str, Cursor]:
    return {mode: Cursor(connection=connection, kind=kind, mode=mode) for mode in MODES}


def _cursor(row: AnyRow) -> Cursor:
    return Cursor(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


def _connection(row: AnyRow) -> ConnectionRow:
    return ConnectionRow(**dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it
