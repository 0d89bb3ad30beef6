"""Times that lie ahead. The machine's clock told them while it was wrong; what waits for one would wait as long."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from core.store.calls import day_of
from core.store.database import Tx
from core.store.tables import CALLS, CONNECTIONS, CURSORS, DIRTY, FAILURES, INTENTS, MAPPINGS

STEP_SECONDS: Final = 120.0
"""Clocks are set by less than this all the time, and nothing waits longer for it than it would anyway."""
LATE_SECONDS: Final = 86_400.0
"""Nothing is put off for longer than this, but by a clock that was wrong."""


def connections(tx: Tx, now: float) -> set[str]:
    """Connections at which something is said to have ended after `now`, or is to wait longer than anything does."""
    ended = sa.select(CURSORS.c.connection).where(CURSORS.c.completed_at > now + STEP_SECONDS)
    # by what open ones are indexed by: this is asked every second, and the others become more for ever
    sent = sa.select(INTENTS.c.connection).where(INTENTS.c.closed_at.is_(None), INTENTS.c.sent_at > now + STEP_SECONDS)
    paused = sa.select(CONNECTIONS.c.name).where(CONNECTIONS.c.paused_until > now + LATE_SECONDS)
    return {str(row[0]) for row in tx.rows(sa.union(ended, sent, paused))}


def bring_back(tx: Tx, connection: str, now: float) -> None:
    """What ended ahead ended now, and what waits for a time that far ahead waits no longer.

    Of the position of a change feed nobody knows how old it is: without a time a complete sweep follows. What was sent
    ahead is left as it is: whoever knows how long a provider remembers says when that was.
    """
    late = now + LATE_SECONDS
    for table, column, limit, value in (
        (CURSORS, "completed_at", now, now),
        (CURSORS, "started_at", now, None),
        (CONNECTIONS, "swept_at", now, now),
        (CONNECTIONS, "allowance_from", now, now),
        (CONNECTIONS, "paused_until", late, None),
        (DIRTY, "not_before", late, now),
        (FAILURES, "next_at", late, now),
        (MAPPINGS, "updated_at", now, now),
    ):
        here = table.c.name if table is CONNECTIONS else table.c.connection
        tx.execute(sa.update(table).where(here == connection, table.c[column] > limit).values({column: value}))
    tx.execute(sa.delete(CALLS).where(CALLS.c.connection == connection, CALLS.c.day > day_of(now)))


def sent(tx: Tx, intent_id: str, at: float, resolve_after: float) -> None:
    """Say when a write was sent, as far as that can be told, by the clock of now, and when its outcome can be."""
    statement = sa.update(INTENTS).where(INTENTS.c.id == intent_id)
    # by how much the clock was ahead is taken off only once
    tx.execute(statement.values(sent_at=at, resolve_after=resolve_after, ahead=None))
