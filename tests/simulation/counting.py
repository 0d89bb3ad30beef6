"""How often a world reached what is to be judged: by its journal, holds and intents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import HOLDS, INTENTS, JOURNAL

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld


def count(world: SimWorld, tx: Tx) -> None:
    """Add up what the database says was reached."""
    reached = world.reached
    for row in tx.rows(sa.select(JOURNAL.c.action, sa.func.count()).group_by(JOURNAL.c.action)):
        reached[f"journal: {row[0]}"] += row[1]
    for row in tx.rows(sa.select(HOLDS.c.reason, sa.func.count()).group_by(HOLDS.c.reason)):
        reached[f"hold: {row[0]}"] += row[1]
    for row in tx.rows(sa.select(INTENTS.c.state, sa.func.count()).group_by(INTENTS.c.state)):
        reached[f"intent: {row[0]}"] += row[1]
    _count_doubts(world, tx)


def _count_doubts(world: SimWorld, tx: Tx) -> None:
    reached, doubted = world.reached, INTENTS.c.attempts > 0
    for name, which in (
        ("intent: in doubt", doubted),
        ("intent: quarantined", INTENTS.c.resolve_after.is_not(None)),
        ("intent: adopted", sa.and_(doubted, INTENTS.c.action == "create", INTENTS.c.state == "done")),
    ):
        count = sa.select(sa.func.count()).where(which)
        reached[name] += int(tx.execute(count).scalar_one())
    fenced = getattr(world.db, "fenced", {})
    reached.update({f"fenced: {table}": times for table, times in fenced.items()})
    shared = INTENTS.c.batch != ""
    reached["intent: of a batch"] += int(tx.execute(sa.select(sa.func.count()).where(shared)).scalar_one())
    batched = tx.execute(sa.select(sa.func.count()).where(shared, INTENTS.c.attempts > 0)).scalar_one()
    reached["intent: of a batch in doubt"] += int(batched)
