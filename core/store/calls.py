"""How many calls drew on each allowance of a connection, by day: allowances are of months, processes are not."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import CALLS
from core.store.text import Insert, dialect_insert

DAY_SECONDS: Final = 86_400
_USED: Final = (
    sa.select(CALLS.c.allowance, CALLS.c.purpose, sa.func.sum(CALLS.c.calls))
    .where(CALLS.c.connection == sa.bindparam("here"), CALLS.c.day > sa.bindparam("after"))
    .group_by(CALLS.c.allowance, CALLS.c.purpose)
)


def add(tx: Tx, connection: str, counts: Mapping[tuple[str, str], int], now: float) -> None:
    """Add to today's numbers: (allowance, purpose) -> calls. purpose: sweep | work."""
    rows = [
        {"connection": connection, "allowance": name, "day": day_of(now), "purpose": purpose, "calls": calls}
        for (name, purpose), calls in sorted(counts.items())
    ]
    tx.many(_add(tx.dialect), rows)


@cache
def _add(dialect: str) -> Insert:
    statement = dialect_insert(dialect, CALLS)
    return statement.on_conflict_do_update(
        index_elements=["connection", "allowance", "day", "purpose"],
        set_={"calls": CALLS.c.calls + statement.excluded.calls},
    )


def used(tx: Tx, connection: str, seconds: float, now: float) -> dict[tuple[str, str], int]:
    """Calls of the last `seconds`, in whole days: (allowance, purpose) -> calls."""
    rows = tx.rows(_USED, {"here": connection, "after": day_of(now - seconds)})
    return {(row[0], row[1]): int(row[2]) for row in rows}


def prune(tx: Tx, before: float) -> int:
    """Forget the days before a time."""
    return tx.execute(sa.delete(CALLS).where(CALLS.c.day < day_of(before))).rowcount


def day_of(at: float) -> int:
    """The day of a time, counted since 1970."""
    return int(at // DAY_SECONDS)
