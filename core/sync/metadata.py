"""Metadata that is not where policy wants it: definitions are made, and mappings that lag behind are marked."""

from __future__ import annotations

from core.model.values import is_metadata
from core.store import connections, customers, mappings, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.figures import lagging
from core.sync.hub import Connection, Hub

SLICE = 200


async def refresh_metadata(hub: Hub, connection: Connection) -> int:
    """Make custom properties that are missing, and mark mappings whose metadata, or billing overview, is not there yet.

    Returns how many.

    A key that was allow-listed after its customers were mapped gets to the connection this way.
    """
    row = await hub.db.read(lambda tx: connections.get(tx, connection.name))
    if row.state != "active" or not (connection.projection.has_metadata or connection.shows_overview):
        return 0
    await connection.connector.prepare()
    marked, after = 0, ""
    while True:
        rows = await hub.db.read(lambda tx, a=after: mappings.page(tx, connection.name, a, SLICE, part=""))  # type: ignore[misc]
        if not rows:
            return marked
        after = rows[-1].id
        marked += await hub.db.run(lambda tx, some=rows: _mark_lagging(tx, hub, connection, some))  # type: ignore[misc]


def _mark_lagging(tx: Tx, hub: Hub, connection: Connection, rows: list[MappingRow]) -> int:
    owners = customers.by_ids(tx, {row.record_id for row in rows})
    late = lagging(tx, connection, rows)
    found = [
        work.mapping_subject(row.id)
        for row in rows
        if row.id in late or (row.state == "live" and _lags(connection, owners[row.record_id], row))
    ]
    if found:
        work.mark(tx, connection.name, found, reason="metadata", trace=hub.ids.new(), now=hub.clock.now())
        tx.after_commit(lambda: hub.wake(connection.name))
    return len(found)


def _lags(connection: Connection, customer: Customer, row: MappingRow) -> bool:
    """A key the registry has, and the connection could hold, was never agreed on."""
    return any(
        is_metadata(name) and connection.projection.covers(name) and name not in row.base for name in customer.fields
    )
