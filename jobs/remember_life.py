"""Move the database's life on, so that a backup that is put back is noticed as an older one."""

from __future__ import annotations

from core.sync.hub import Hub
from core.sync.life import remembered


async def remember_life(hub: Hub) -> None:
    """Run every minute: a copy is told from the database by what happened at most a minute after it was made."""
    await remembered(hub)
    hub.log.debug("remember_life.done")
