"""The billing overview at connections that show it: reckoned at every look, and looked at when documents change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

from core.model.documents import Document
from core.model.figures import CURRENCY, figures_of
from core.model.overview import overviews
from core.model.values import Fields
from core.store import connections, documents, mappings, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.documents.twins import counted
from core.sync.hub import KIND, Connection, Hub

SETTLE_SECONDS = 2.0
"""An invoice and what settles it come one after the other: the overview is written once for both."""
OVERDUE_SEEN = "overdue_seen"
"""The day up to which due dates that passed were looked at, in the database's notes."""
AT_ONCE = 500


def figures_here(tx: Tx, connection: Connection, owners: Iterable[Customer]) -> dict[str, Fields]:
    """The overview of each of these customers that has documents, by id; nothing where a connection shows none."""
    if not connection.shows_overview:
        return {}
    by_id = {one.id: one for one in owners}
    found: dict[str, list[Document]] = {}
    for one in counted(tx, documents.of_customers(tx, by_id)):
        found.setdefault(one.customer_id, []).append(one.document)
    today = datetime.fromtimestamp(connection.clock.now(), UTC).date()
    return {
        customer_id: figures_of(overviews(some, today), str(by_id[customer_id].fields.get("currency") or ""))
        for customer_id, some in found.items()
    }


def mark_owners(tx: Tx, hub: Hub, customer_ids: Iterable[str], *, reason: str, trace: str) -> int:
    """Look at these customers wherever their overview stands; how many objects that are."""
    wanted, marked = sorted(set(customer_ids)), 0
    showing = {name for name, one in hub.connections.items() if one.shows_overview}
    rows = mappings.of_records(tx, wanted) if showing else {}
    by_place: dict[str, list[str]] = {}
    for row in (row for some in rows.values() for row in some):
        if row.connection in showing and row.kind == KIND and not row.part and row.state == "live":
            by_place.setdefault(row.connection, []).append(work.mapping_subject(row.id))
    for name, subjects in sorted(by_place.items()):
        now = hub.clock.now()
        work.mark(
            tx, name, subjects, reason=reason, trace=trace, now=now, noticed=False, not_before=now + SETTLE_SECONDS
        )
        tx.after_commit(lambda lane=name: hub.wake(lane))  # type: ignore[misc]
        marked += len(subjects)
    return marked


def mark_overdue(tx: Tx, hub: Hub, today: date, trace: str) -> int:
    """Once a day, customers with an open invoice whose due date passed since the last time; how many objects."""
    told = connections.meta(tx, OVERDUE_SEEN)
    if told == today.isoformat():
        return 0
    connections.put_meta(tx, OVERDUE_SEEN, today.isoformat())
    ids = documents.fallen_due(tx, told or "", today.isoformat())
    return sum(
        mark_owners(tx, hub, ids[start : start + AT_ONCE], reason="a due date passed", trace=trace)
        for start in range(0, len(ids), AT_ONCE)
    )


def lagging(tx: Tx, connection: Connection, rows: Sequence[MappingRow]) -> set[str]:
    """Those of these mappings, by id, whose customer has documents and whose overview was never written."""
    if not connection.shows_overview:
        return set()
    never = {row.record_id: row.id for row in rows if row.state == "live" and CURRENCY not in row.base}
    return {never[one] for one in documents.having_any(tx, never)}
