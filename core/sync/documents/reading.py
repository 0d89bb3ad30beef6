"""Documents of a connection as they are now."""

from __future__ import annotations

from collections.abc import Iterable

from core.ports import Missing, Sighting
from core.sync.hub import Connection


async def read_all(connection: Connection, kind: str, remote_ids: Iterable[str]) -> dict[str, Sighting | Missing]:
    """Documents as they are now, by id."""
    wanted, found = list(remote_ids), dict[str, Sighting | Missing]()
    size = max(1, connection.manifest.read_batch * connection.manifest.in_flight)
    for start in range(0, len(wanted), size):
        found.update(await connection.connector.read(kind, wanted[start : start + size]))
    return found
