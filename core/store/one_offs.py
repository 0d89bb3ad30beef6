"""Operators' one-offs: what they asked lanes for, and what became of it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import ONE_OFFS
from core.store.text import AnyRow, dump


class OneOff(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's request to one lane. state: new | running | done | failed."""

    id: str
    connection: str
    request: dict[str, Any]
    state: str = "new"
    result: dict[str, Any] = {}
    error: str = ""
    trace: str = ""


_OLDEST_IN: Final = (
    sa.select(ONE_OFFS)
    .where(ONE_OFFS.c.connection == sa.bindparam("connection"), ONE_OFFS.c.state == sa.bindparam("state"))
    .order_by(ONE_OFFS.c.asked_at, ONE_OFFS.c.id)
    .limit(1)
)

_ASK: Final = sa.insert(ONE_OFFS)
_RUNNING: Final = sa.update(ONE_OFFS).where(ONE_OFFS.c.id == sa.bindparam("begun")).values(state="running")
_FINISH: Final = (
    sa.update(ONE_OFFS)
    .where(ONE_OFFS.c.id == sa.bindparam("ended"))
    .values(
        state=sa.bindparam("now_state"),
        result=sa.bindparam("told"),
        error=sa.bindparam("problem"),
        finished_at=sa.bindparam("now"),
    )
)


def ask(tx: Tx, one: OneOff, now: float) -> None:
    """Put a one-off into its lane."""
    values = {"id": one.id, "connection": one.connection, "request": dump(one.request), "asked_at": now}
    tx.execute(_ASK, values | {"trace": one.trace})


def oldest_in(tx: Tx, connection: str, state: str) -> OneOff | None:
    """The oldest request of a lane in a state: new | running."""
    row = tx.execute(_OLDEST_IN, {"connection": connection, "state": state}).first()
    return _one_off(row) if row else None


def running(tx: Tx, one_id: str) -> None:
    """A request has been begun."""
    tx.execute(_RUNNING, {"begun": one_id})


def get(tx: Tx, one_id: str) -> OneOff | None:
    """A request and what became of it."""
    row = tx.execute(sa.select(ONE_OFFS).where(ONE_OFFS.c.id == one_id)).first()
    return _one_off(row) if row else None


def finish(tx: Tx, one_id: str, now: float, *, result: object = None, error: str = "") -> None:
    """Store what became of a request."""
    values = {"now_state": "failed" if error else "done", "told": dump(result or {}), "problem": error}
    tx.execute(_FINISH, {**values, "ended": one_id, "now": now})


def prune(tx: Tx, before: float, limit: int = 200) -> int:
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
