"""What waits at connections, in one statement: a lane asks after every piece of work, the planner at every tick."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.store.connections import COLUMNS, ConnectionRow, connection_of
from core.store.database import Tx
from core.store.tables import CONNECTIONS, DIRTY, INBOX, ONE_OFFS
from core.store.text import AnyRow


class Seen(msgspec.Struct, frozen=True):
    """One connection and what waits there."""

    row: ConnectionRow
    has_letters: bool
    has_one_off: bool
    """A request of an operator that was not begun yet."""
    has_running: bool
    """One that was begun."""
    next_due: float | None
    """When the first dirty subject that is not parked may be looked at; None where there is none."""


def _is_there(table: sa.Table, state: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(table.c.connection == CONNECTIONS.c.name, table.c.state == state)


_NEXT_DUE: Final[sa.ScalarSelect[Any]] = (
    sa.select(sa.func.min(DIRTY.c.not_before))
    .where(DIRTY.c.connection == CONNECTIONS.c.name, DIRTY.c.parked.is_(None))
    .scalar_subquery()
)
# one look-up each, in an index: grouping would walk every waiting row
_WAITING: Final = (_is_there(INBOX, "new"), _is_there(ONE_OFFS, "new"), _is_there(ONE_OFFS, "running"), _NEXT_DUE)
_EVERYWHERE: Final = sa.select(*COLUMNS, *_WAITING).order_by(CONNECTIONS.c.name)
_AT: Final = sa.select(*COLUMNS, *_WAITING).where(CONNECTIONS.c.name == sa.bindparam("name"))


def at(tx: Tx, name: str) -> Seen:
    """What waits at one connection; it was ensured at start."""
    return _seen(tx.execute(_AT, {"name": name}).one())


def everywhere(tx: Tx) -> list[Seen]:
    """What waits at each connection, by name."""
    return [_seen(row) for row in tx.rows(_EVERYWHERE)]


def _seen(row: AnyRow) -> Seen:
    has_letters, has_one_off, has_running, next_due = row[len(COLUMNS) :]
    return Seen(connection_of(row), bool(has_letters), bool(has_one_off), bool(has_running), next_due)
