"""Drop webhook deliveries, requests and remembered answers that nobody can ask for any more."""

from __future__ import annotations

from core.sync.hub import Hub
from core.sync.pruning import prune


async def prune_inbox(hub: Hub) -> None:
    """Prune a little at a time."""
    dropped = await prune(hub)
    hub.log.info("prune_inbox.done", **dropped)
