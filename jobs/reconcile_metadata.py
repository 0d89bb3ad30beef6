"""Bring metadata to every connection: definitions that are missing are made, customers that lag behind are marked."""

from __future__ import annotations

from core.errors import AccordError
from core.sync.hub import Hub
from core.sync.metadata import refresh_metadata


async def reconcile_metadata(hub: Hub) -> None:
    """Go through every connection; trouble at one of them does not keep the others waiting."""
    marked: dict[str, int] = {}
    troubled: dict[str, str] = {}
    for name, connection in sorted(hub.connections.items()):
        try:
            marked[name] = await refresh_metadata(hub, connection)
        except AccordError as error:
            troubled[name] = str(error)
    hub.log.info("reconcile_metadata.done", marked=marked, troubled=troubled)
