"""Bring metadata to every connection: definitions that are missing are made, customers that lag behind are marked."""

from __future__ import annotations

from core.sync.hub import Hub
from core.sync.rounds import refresh_metadata_everywhere


async def reconcile_metadata(hub: Hub) -> None:
    """Go through every connection; trouble at one of them does not keep the others waiting."""
    marked, troubled = await refresh_metadata_everywhere(hub)
    hub.log.info("reconcile_metadata.done", marked=marked, troubled=troubled)
