"""Look at documents again: all that originate at a connection, all that are copied there, or some customers'."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from core.errors import InvalidInputError
from core.model.documents import KINDS
from core.store import connections, customers, documents, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync.documents.accounting import ask
from core.sync.documents.let_go import to_book
from core.sync.documents.listing import OFFER
from core.sync.documents.looking import LOOK
from core.sync.documents.marking import SEEN_EQUAL, mark_let_go, mark_mappings, owners_found
from core.sync.documents.routing import Routes
from core.sync.documents.standing import is_equal
from core.sync.hub import Connection, Hub

AT_ONCE = 200


def concerned_with(connection: Connection, kinds: Sequence[str]) -> list[str]:
    """Those of these kinds that come from a connection, or are copied there; InvalidInputError for none."""
    policy = connection.policy.documents
    has = [kind for kind in KINDS if kind in (*policy.originates, *policy.mirrors)]
    concerned: list[str] = [kind for kind in kinds if kind in has]
    if not concerned:
        problem = f"no {' or '.join(kinds)} comes from {connection.name}, or is copied there"
        limit = f"{connection.name} has {', '.join(has) or 'no documents'}"
        raise InvalidInputError(problem, field="kind", limit=limit, cure=_how_to_have(connection, kinds))
    return concerned


def _how_to_have(connection: Connection, kinds: Sequence[str]) -> str:
    can = connection.manifest.documents
    places = [key for key in ("originates", "mirrors") if any(getattr(can.get(kind), key, False) for kind in kinds)]
    if not places:
        return f"{connection.manifest.title} has no place for it; name another connection"
    return f"name it in {' or '.join(places)} of [connections.{connection.name}.documents] in accord.toml"


def look_again(
    tx: Tx, hub: Hub, connection: Connection, kinds: Sequence[str], external_ids: Sequence[str], trace: str
) -> None:
    """Mark customers' documents at a connection; for no customers, list all that originate there, look at all copies.

    Raises InvalidInputError for kinds that the connection has nothing to do with.
    """
    concerned = concerned_with(connection, kinds)
    if external_ids:
        found = customers.by_external_ids(tx, external_ids)
        ids = [one.id for one in found.values()]
        papers = [one.id for kind in concerned for one in documents.page(tx, kind=kind, limit=10_000, customer_ids=ids)]
        rows = [row for some in mappings.of_records(tx, papers).values() for row in some]
        here = [row for row in rows if row.connection == connection.name]
        mark_mappings(tx, hub, here, reason="asked for", trace=trace)
        return
    for kind in concerned:
        if kind in connection.policy.documents.originates:
            connections.touch_cursor(tx, connection.name, kind, "full")
    connections.touch_cursor(tx, connection.name, OFFER, "offer")
    owners_found(tx, hub, connection)
    for kind in concerned:
        after: str | None = ""
        while after is not None:
            after = _mark_page(tx, hub, connection, kind, after, trace)
        if kind in connection.policy.documents.mirrors and not connection.manifest.documents[kind].feeds:
            # as good as the look of the day
            seen = connections.Cursor(connection=connection.name, kind=kind, mode=LOOK, completed_at=hub.clock.now())
            connections.put_cursor(tx, seen)


def _mark_page(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    kind: str,
    after: str,
    trace: str,
    *,
    is_unequal_only: bool = False,
) -> str | None:
    """Copies, or those that were not last seen equal: nothing that was forgotten may stay so.

    A page of them, by the ids of mappings; the last one's, None where there are no more.
    """
    rows = mappings.page(tx, connection.name, after, AT_ONCE, kind)
    papers = documents.by_ids(tx, [row.record_id for row in rows])
    copies = [(row, one) for row in rows if (one := papers.get(row.record_id)) and one.origin != connection.name]
    routes = Routes(tx, hub, [one for _, one in copies])
    marked = [row for row, one in copies if not is_unequal_only or _is_open(connection, routes, row, one)]
    mark_mappings(tx, hub, marked, reason=SEEN_EQUAL, trace=trace)
    left = [row for row, one in copies if to_book(one, row)]
    mark_let_go(tx, hub, left, reason="to be asked about", trace=trace)
    return rows[-1].id if rows else None


def _is_open(connection: Connection, routes: Routes, row: MappingRow, paper: Paper) -> bool:
    """Whether anything is left to do, or to ask: who its customer belongs to may have changed, or policy."""
    if row.remote_id and paper.kind not in connection.policy.documents.mirrors:
        return False  # what is there stays there
    return not is_equal(paper, row) or routes.at(connection.name, paper) == "misplaced"


async def reconcile_all(hub: Hub, connection: Connection, trace: str) -> bool:
    """What `reconcile_invoices` does by itself; False where the connection has nothing to do with documents.

    A page of copies at a time: deliveries and lanes have their turn between two of them.
    """
    if not await hub.db.run(partial(_begin, hub=hub, connection=connection)):
        return False
    for kind in KINDS:
        # of what policy has dropped, too: that it is not to be made any more
        after: str | None = ""
        while after is not None:
            page = partial(_mark_page, hub=hub, connection=connection, kind=kind, after=after, trace=trace)
            after = await hub.db.run(partial(page, is_unequal_only=True))
    await hub.db.run(partial(ask, hub=hub, connection=connection, trace=trace))
    return True


def _begin(tx: Tx, hub: Hub, connection: Connection) -> bool:
    policy = connection.policy.documents
    if not (policy.originates or policy.mirrors) or connections.get(tx, connection.name).state != "active":
        return False
    connections.touch_cursor(tx, connection.name, OFFER, "offer")
    owners_found(tx, hub, connection)
    return True
