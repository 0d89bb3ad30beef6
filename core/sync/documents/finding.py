"""Which objects of a connection are a copy of ours: by our marker, looked up by it or by the document's number."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import BugError, ReplyError
from core.model import holds
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.remote import Mark
from core.ports import Missing, Probe, Sighting
from core.sync.documents.standing import Copy, named_of
from core.sync.hub import Connection, Hub


async def find_own(hub: Hub, connection: Connection, copy: Copy, *, since: float | None) -> list[Sighting]:
    """Objects that carry the copy's marker; `since`: none can be older (seconds since 1970).

    Raises ReplyError for one of them that cannot be read: it is there, and must not be made once more.
    """
    mark = str(Mark(hub.instance, copy.mapping.id, copy.mapping.generation))
    document = copy.paper.document
    number = getattr(document, "number", "") or getattr(document, "reference", "")
    probe = Probe(mark=mark, unique={"number": number} if number else {}, created_after=since)
    found = await connection.connector.find(copy.mapping.kind, probe)
    there = [one for one in found if not isinstance(one, Missing)]
    return [one for one in there if _carries(connection, copy.mapping.kind, one, mark)]


def _carries(connection: Connection, kind: str, sighting: Sighting, mark: str) -> bool:
    if connection.documents is None:
        raise BugError(f"{connection.manifest.title} has no documents")
    try:
        return connection.documents.read(kind, sighting.raw).mark == mark
    except ReplyError as error:
        # another's broken document must not block every look-up, but ours must not be overlooked
        if mark.encode() in sighting.raw:
            raise ReplyError(f"{sighting.id} carries this copy's mark and cannot be read: {error}") from error
        return False


def several(copy: Copy, ours: Sequence[Sighting], *, at: str = "") -> HoldDraft:
    """More than one object carries the copy's marker: a person made one of another, or a write landed very late.

    `at`: in which other books they are.
    """
    detail: dict[str, object] = {
        **named_of(copy.paper),
        "problem": f"several objects{f' at {at}' if at else ''} carry this copy's mark",
        "cure": "take out there those that are not it, then retry: the one that is left is the copy",
        "candidates": sorted(one.id for one in ours),
    }
    digest = digest_of(holds.REJECTED, at, sorted(one.id for one in ours))
    return HoldDraft(reason=holds.REJECTED, detail=detail, digest=digest)
