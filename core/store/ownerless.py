"""Documents that wait for their customer: parked, so that nobody reads them again before that one is placed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import DIRTY
from core.store.text import SOME, chunks
from core.store.work import DirtyRow

PARKED: Final = "customer"
"""What such a row is parked by; its reason names the customer."""

_HERE: Final = DIRTY.c.connection == sa.bindparam("here")
_IS_PARKED: Final = DIRTY.c.parked == PARKED
_PARK: Final = (
    sa.update(DIRTY)
    .where(_HERE, DIRTY.c.subject == sa.bindparam("late_subject"), DIRTY.c.seq == sa.bindparam("late_seq"))
    .values(parked=PARKED, reason=sa.bindparam("why"), shown=None)
)
_RELEASE: Final = (
    sa.update(DIRTY)
    .where(
        _HERE,
        DIRTY.c.kind != sa.literal_column("'customer'"),
        DIRTY.c.reason.in_(SOME),
        sa.or_(DIRTY.c.not_before > sa.bindparam("now"), _IS_PARKED),
    )
    .values(not_before=sa.bindparam("now"), attempts=0, parked=None)
)
_REASONS: Final = sa.select(DIRTY.c.reason).where(_HERE, _IS_PARKED).distinct().order_by(DIRTY.c.reason)


def park(tx: Tx, connection: str, waits: Mapping[DirtyRow, str]) -> None:
    """Let these wait for what their reason names; one that was marked again meanwhile is looked at all the same."""
    rows = [{"late_subject": row.subject, "late_seq": row.seq, "why": why} for row, why in waits.items()]
    tx.many(_PARK, [{"here": connection, **row} for row in rows])


def release(tx: Tx, connection: str, reasons: Iterable[str], now: float) -> bool:
    """Let documents that wait for one of these reasons, parked or for a time, be looked at now; whether any does."""
    found = 0
    for some in chunks(sorted(set(reasons))):
        found += tx.execute(_RELEASE, {"here": connection, "some": some, "now": now}).rowcount
    return found > 0


def reasons(tx: Tx, connection: str) -> list[str]:
    """What parked documents wait for at a connection."""
    return [row[0] for row in tx.rows(_REASONS, {"here": connection})]
