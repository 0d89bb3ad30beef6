"""Which objects of a connection are a copy of ours: by our marker, looked up by it or by the document's number."""

from __future__ import annotations

from core.errors import BugError, ReplyError
from core.model.remote import Mark
from core.ports import Missing, Probe, Sighting
from core.sync.documents.standing import Copy
from core.sync.hub import Connection, Hub


async def find_own(hub: Hub, connection: Connection, copy: Copy, *, since: float | None) -> list[Sighting]:
    """Objects that carry the copy's marker; `since`: none can be older (seconds since 1970)."""
    mark = str(Mark(hub.instance, copy.mapping.id, copy.mapping.generation))
    document = copy.paper.document
    number = getattr(document, "number", "") or getattr(document, "reference", "")
    probe = Probe(mark=mark, unique={"number": number} if number else {}, created_after=since)
    found = await connection.connector.find(copy.mapping.kind, probe)
    there = [one for one in found if not isinstance(one, Missing)]
    return [one for one in there if _mark_of(connection, copy.mapping.kind, one) == mark]


def _mark_of(connection: Connection, kind: str, sighting: Sighting) -> str | None:
    if connection.documents is None:
        raise BugError(f"{connection.manifest.title} has no documents")
    try:
        return connection.documents.read(kind, sighting.raw).mark
    except ReplyError:
        return None
