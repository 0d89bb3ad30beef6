"""A look at a connection for a dry run: everything is read into observations, and nothing else happens.

Nothing is adopted, offered, marked dirty or parked, and no cursor moves. What is stored carries no digest, so
that the next sweep takes it for unseen: a look must never hide a change from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from core.errors import ReplyError
from core.ports import Bad, Missing, Sighting
from core.store import connections, observations
from core.sync.accounts import check_account
from core.sync.hub import KIND, Connection, Hub


@dataclass(slots=True)
class Looked:
    """What a look found, in numbers; `bad` are records that cannot be understood."""

    listed: int = 0
    changed: int = 0
    missing: int = 0
    bad: list[Bad] = field(default_factory=list)


async def look(hub: Hub, connection: Connection, progress: Callable[[Looked], None] | None = None) -> Looked:
    """Read all of a connection. Raises what concerns the connection as a whole."""
    await check_account(hub, connection, await hub.db.read(lambda tx: connections.get(tx, connection.name)))
    looked, cursor, ids = Looked(), None, set[str]()
    while True:
        page = await connection.connector.sweep(KIND, "full", cursor)
        ids.update(one.id for one in page.sightings)
        looked.listed += len(page.sightings)
        looked.bad += page.bad
        await _store(hub, connection, page.sightings, looked)
        if progress is not None:
            progress(looked)
        if page.is_last:
            break
        cursor = page.cursor
    looked.missing = await _unlisted(hub, connection, ids)
    return looked


async def look_at(hub: Hub, connection: Connection, remote_ids: Sequence[str]) -> Looked:
    """Read some objects of a connection."""
    await check_account(hub, connection, await hub.db.read(lambda tx: connections.get(tx, connection.name)))
    looked = Looked()
    size = max(1, connection.manifest.read_batch * connection.manifest.in_flight)
    for start in range(0, len(remote_ids), size):
        answers = await connection.connector.read(KIND, remote_ids[start : start + size])
        found = [one for one in answers.values() if not isinstance(one, Missing)]
        looked.listed += len(found)
        looked.missing += len(answers) - len(found)
        await _store(hub, connection, found, looked)
    return looked


async def _store(hub: Hub, connection: Connection, sightings: Sequence[Sighting], looked: Looked) -> None:
    ids = [one.id for one in sightings]
    known = await hub.db.read(lambda tx: observations.digests(tx, connection.name, KIND, ids))
    seen = []
    for one in sightings:
        if known.get(one.id) == one.digest:
            continue
        try:
            seen.append(msgspec.structs.replace(connection.observed(one), digest=observations.UNSEEN))
        except ReplyError as error:
            looked.bad.append(Bad(one.id, None, str(error), ascii(one.raw)))
    looked.changed += len(seen)
    if seen:
        await hub.db.run(lambda tx: observations.put(tx, connection.name, KIND, seen, hub.clock.now()))


async def _unlisted(hub: Hub, connection: Connection, ids: set[str]) -> int:
    """How many known objects the listing did not show. They are counted only: a read must confirm each."""
    missing, after = 0, ""
    while True:
        page = await hub.db.read(lambda tx, a=after: observations.ids_after(tx, connection.name, KIND, a, 1000))  # type: ignore[misc]
        if not page:
            return missing
        missing += sum(one not in ids for one in page)
        after = page[-1]
