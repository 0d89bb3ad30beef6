"""For a dry run: documents that are not in the registry as their origin has them now. Read, counted, and not taken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from core.errors import ReplyError
from core.model.documents import Kind
from core.ports import Bad, Missing, Sighting
from core.store import connections, documents
from core.store.database import Tx
from core.sync.accounts import check_account
from core.sync.documents.marking import waits_for
from core.sync.documents.planning import Scope
from core.sync.documents.reading import read_all
from core.sync.documents.strays import strays
from core.sync.documents.taking import Read, understood, untaken
from core.sync.documents.tally import Tally
from core.sync.hub import Connection, Hub

WAITS: Final = {"customer": "its customer is nobody's in the registry", "invoice": "its invoice is not known"}
"""Why a document would not be taken, in short."""
STRAY: Final = "it carries the mark of a copy of ours, and is another document"


async def count_untaken(hub: Hub, connection: Connection, scope: Scope, tally: Tally) -> list[Bad]:
    """Add to the tally what a run would take in (`take`), or let wait; returns what cannot be understood.

    All that the origin lists; of some customers, what the registry knows of theirs. Nothing where the connection is not
    active: nothing is taken in there. Raises what concerns the connection as a whole.
    """
    row = await hub.db.read(lambda tx: connections.get(tx, connection.name))
    kinds = [kind for kind in scope.kinds if kind in connection.policy.documents.originates]
    if row.state != "active" or not kinds:
        return []
    await check_account(hub, connection, row)
    bad: list[Bad] = []
    coming: set[str] = set()
    for kind in kinds:
        async for some, unreadable in _seen(hub, connection, kind, scope):
            bad += unreadable
            bad += await _count(hub, connection, kind, some, tally, coming)
    return bad


async def _seen(
    hub: Hub, connection: Connection, kind: Kind, scope: Scope
) -> AsyncIterator[tuple[Sequence[Sighting], Sequence[Bad]]]:
    if scope.customer_ids is not None:
        ids = await hub.db.read(lambda tx: _known(tx, connection, kind, scope))
        answers = await read_all(connection, kind, ids)
        yield [one for one in answers.values() if not isinstance(one, Missing)], []
        return
    cursor: str | None = None
    is_last = not connection.manifest.documents[kind].lists
    while not is_last:
        page = await connection.connector.sweep(kind, "full", cursor)
        yield page.sightings, page.bad
        cursor, is_last = page.cursor, page.is_last


def _known(tx: Tx, connection: Connection, kind: Kind, scope: Scope) -> list[str]:
    papers = documents.of_customers(tx, scope.customer_ids or ())
    return [one.remote_id for one in papers if one.kind == kind and one.origin == connection.name]


async def _count(
    hub: Hub, connection: Connection, kind: Kind, some: Sequence[Sighting], tally: Tally, coming: set[str]
) -> list[Bad]:
    bad: list[Bad] = []
    read: list[Read] = []
    for one in some:
        try:
            read.append(Read(one, understood(connection, kind, one), ""))
        except ReplyError as error:
            bad.append(Bad(one.id, None, str(error), ascii(one.raw)))
    papers = {one.sighting.id: one.remote.document for one in read}
    for remote_id, wrong in (await hub.db.read(lambda tx: strays(tx, hub, connection, kind, read))).items():
        tally.add(papers[remote_id], connection.name, remote_id, "fail", STRAY, str(wrong))
    for fresh, wait in await hub.db.read(lambda tx: untaken(tx, hub, connection, kind, read, coming)):
        document, remote_id = fresh.remote.document, fresh.sighting.id
        if wait:
            of = waits_for(wait)
            tally.add(document, connection.name, remote_id, "wait", WAITS[of[0]] if of else wait, wait)
            continue
        tally.add(document, connection.name, remote_id, "take")
        if kind == "invoice":
            coming.add(remote_id)
    return bad
