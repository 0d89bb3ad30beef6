"""Look which lanes have something to do, and wake them. A wake that was lost in a crash is made up for here."""

from __future__ import annotations

from core.sync.hub import Hub
from core.sync.rounds import wake_due_lanes


async def tick_lanes(hub: Hub) -> None:
    """Run every second: its line is for debugging only."""
    woken = await wake_due_lanes(hub)
    hub.log.debug("tick_lanes.done", woken=woken)
