"""Documents of a connection as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.ports import Missing, Sighting
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.store.work import DirtyRow
from core.sync.documents.standing import Copy
from core.sync.hub import Connection, Hub


async def read_all(connection: Connection, kind: str, remote_ids: Iterable[str]) -> dict[str, Sighting | Missing]:
    """Documents as they are now, by id."""
    wanted, found = list(remote_ids), dict[str, Sighting | Missing]()
    size = max(1, connection.manifest.read_batch * connection.manifest.in_flight)
    for start in range(0, len(wanted), size):
        found.update(await connection.connector.read(kind, wanted[start : start + size]))
    return found


async def look_at(
    hub: Hub, connection: Connection, waiting: Sequence[tuple[DirtyRow, MappingRow, Paper]]
) -> tuple[list[Copy], list[Copy]]:
    """Copies as they are now, those that are not made yet among them; and those that vanished."""
    found: list[Copy] = []
    vanished: list[Copy] = []
    for kind in sorted({mapping.kind for _, mapping, _ in waiting}):
        here, seen_at = [one for one in waiting if one[1].kind == kind], hub.clock.now()
        answers = await read_all(
            connection, kind, [str(mapping.remote_id) for _, mapping, _ in here if mapping.remote_id]
        )
        for row, mapping, paper in here:
            seen = answers.get(mapping.remote_id) if mapping.remote_id else None
            if isinstance(seen, Missing):
                vanished.append(Copy(row, mapping, paper, None))
            else:
                found.append(Copy(row, mapping, paper, seen.raw if seen else None, seen_at))
    return found, vanished
