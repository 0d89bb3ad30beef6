"""Ask every connection for its changes, so that an edit whose webhook never came is found all the same."""

from __future__ import annotations

from core.sync.hub import Hub
from core.sync.rounds import ask_for_changes


async def reconcile_customers(hub: Hub) -> None:
    """Put one request into the lane of every connection that has none waiting."""
    asked = await ask_for_changes(hub)
    hub.log.info("reconcile_customers.done", asked=asked)
