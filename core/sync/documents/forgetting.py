"""What a database that was put back may have forgotten of documents: how long that is minded, and of which."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from core.model.documents import day_of
from core.store import connections
from core.store.database import Tx
from core.store.documents import Paper

RESTORED_AT: Final = "documents_restored_at"
RELEARNED: Final = timedelta(days=7)
"""Longer than it takes to list again all documents that were there at a restore."""
EAST: Final = timedelta(days=1)
"""Where books are kept, the day may be the next one already."""


def restored_at(tx: Tx) -> float | None:
    """When this database was put back; None: it never was."""
    told = connections.meta(tx, RESTORED_AT)
    return float(told) if told is not None else None


def restored_on(tx: Tx) -> date | None:
    """The day of that (UTC)."""
    at = restored_at(tx)
    return _day(at) if at is not None else None


def may_be_forgotten(paper: Paper, restored_on: date) -> bool:
    """False only for what is certainly newer than the restore: a document may be dated ahead, or east of UTC."""
    day = day_of(paper.document)
    known_on = _day(paper.created_at)
    is_fresh = known_on - restored_on > RELEARNED and day is not None and restored_on + EAST < day <= known_on
    return not is_fresh


def ended_unseen(paper: Paper, restored_at: float) -> bool:
    """Whether a void was first seen after a restore: what had been copied before is to follow, though nobody knows it.

    What the older database knows as void had no copy to come.
    """
    is_over = paper.document.status == "void" and paper.updated_at >= restored_at
    return is_over and may_be_forgotten(paper, _day(restored_at))


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()
