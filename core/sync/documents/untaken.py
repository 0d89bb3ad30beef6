"""For a dry run: documents that are not in the registry as their origin has them now. Read, counted, and not taken."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from core.errors import ReplyError
from core.model.documents import Kind
from core.ports import Bad, Missing, Sighting
from core.store import connections, documents
from core.store.database import Tx
from core.sync.accounts import check_account
from core.sync.documents.planning import Scope
from core.sync.documents.reading import read_all
from core.sync.documents.taking import Read, understood, untaken
from core.sync.documents.tally import Tally
from core.sync.hub import Connection, Hub


async def count_untaken(hub: Hub, connection: Connection, scope: Scope, tally: Tally) -> list[Bad]:
    """Add to the tally what a run would take in (`take`); returns what cannot be understood.

    All that the origin lists; of some customers, what the registry knows of theirs. Nothing where the connection is not
    active: nothing is taken in there. Raises what concerns the connection as a whole.
    """
    row = await hub.db.read(lambda tx: connections.get(tx, connection.name))
    kinds = [kind for kind in scope.kinds if kind in connection.policy.documents.originates]
    if row.state != "active" or not kinds:
        return []
    await check_account(hub, connection, row)
    bad: list[Bad] = []
    for kind in kinds:
        async for some, unreadable in _seen(hub, connection, kind, scope):
            bad += unreadable
            bad += await _count(hub, connection, kind, some, tally)
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


async def _count(hub: Hub, connection: Connection, kind: Kind, some: Sequence[Sighting], tally: Tally) -> list[Bad]:
    bad: list[Bad] = []
    read: list[Read] = []
    for one in some:
        try:
            read.append(Read(one, understood(connection, kind, one), ""))
        except ReplyError as error:
            bad.append(Bad(one.id, None, str(error), ascii(one.raw)))
    for fresh in await hub.db.read(lambda tx: untaken(tx, hub, connection, kind, read)):
        tally.add(fresh.remote.document, connection.name, fresh.sighting.id, "take")
    return bad
