"""What a database that was put back may have forgotten of documents: how long that is minded, and of which."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final, NamedTuple

from core.model.documents import day_of
from core.store import connections
from core.store.database import Tx
from core.store.documents import Paper

RESTORED_AT: Final = "documents_restored_at"
RELEARNED: Final = timedelta(days=7)
"""Longer than it takes to list again all documents that were there at a restore, once their origins are active."""
EAST: Final = timedelta(days=1)
"""Where books are kept, the day may be the next one already."""


class Restored(NamedTuple):
    """When this database was put back, and until when it learns again of what was there by then."""

    at: float
    relearned_at: float


def restored_at(tx: Tx) -> float | None:
    """When this database was put back; None: it never was."""
    told = connections.meta(tx, RESTORED_AT)
    return float(told) if told is not None else None


def restored(tx: Tx) -> Restored | None:
    """The same; nothing is learned again before a person has activated its origin, be it weeks later."""
    at = restored_at(tx)
    if at is None:
        return None
    latest = max([at, *(row.activated_at or at for row in connections.every(tx))])
    return Restored(at, latest + RELEARNED.total_seconds())


def may_be_forgotten(paper: Paper, put_back: Restored) -> bool:
    """False only for what is certainly newer than the restore: a document may be dated ahead, or east of UTC."""
    day, restored_on, known_on = day_of(paper.document), _day(put_back.at), _day(paper.created_at)
    is_learned_late = known_on > _day(put_back.relearned_at)
    return not (is_learned_late and day is not None and restored_on + EAST < day <= known_on)


def ended_unseen(paper: Paper, put_back: Restored) -> bool:
    """Whether a void was first seen after a restore: what had been copied before is to follow, though nobody knows it.

    What the older database knows as void had no copy to come.
    """
    is_over = paper.document.status == "void" and paper.updated_at >= put_back.at
    return is_over and may_be_forgotten(paper, put_back)


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()
