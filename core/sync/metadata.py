"""Metadata that is not where policy wants it: definitions are made, and mappings that lag behind are marked."""

from __future__ import annotations

from collections.abc import Sequence

from core.errors import PlaceError
from core.model.holds import REJECTED
from core.model.values import is_metadata
from core.store import connections, customers, holds, mappings, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.store.text import chunks
from core.sync.figures import lagging
from core.sync.hub import KIND, Connection, Hub
from core.sync.taken import try_again

SLICE = 200


async def prepared(hub: Hub, connection: Connection) -> PlaceError | None:
    """Make what writing needs. A field without a place waits alone: whatever else there is to write goes on.

    What was refused may have been so for want of what is made now, and is tried once more.
    """
    lacking: PlaceError | None = None
    try:
        made = await connection.connector.prepare()
    except PlaceError as error:
        hub.log.warning("connection.lacks", connection=connection.name, problem=str(error))
        lacking, made = error, error.made
    if made:
        hub.log.info("connection.prepared", connection=connection.name, made=list(made))
        refused = await hub.db.read(lambda tx: _refused(tx, connection))
        for some in chunks(refused, SLICE):
            trace = hub.ids.new()
            await hub.db.run(lambda tx, subjects=some, t=trace: try_again(tx, hub, connection, subjects, "retry", t))  # type: ignore[misc]
    return lacking


def _refused(tx: Tx, connection: Connection) -> list[str]:
    """Customers of which a whole write was refused; documents are tried every hour anyway."""
    asked = [one for one in holds.listing(tx, connection=connection.name, reason=REJECTED) if not one.field]
    rows = mappings.by_ids(tx, [one.subject[2:] for one in asked if one.subject.startswith("m:")]).values()
    return [work.mapping_subject(row.id) for row in rows if row.kind == KIND]


async def refresh_metadata(hub: Hub, connection: Connection) -> int:
    """Make custom properties that are missing, and mark mappings whose metadata, or billing overview, is not there yet.

    Returns how many. PlaceError, once all are marked, where a place for one of the fields cannot be made.

    A key that was allow-listed after its customers were mapped gets to the connection this way.
    """
    row = await hub.db.read(lambda tx: connections.get(tx, connection.name))
    if row.state != "active" or not (connection.projection.has_metadata or connection.shows_overview):
        return 0
    lacking = await prepared(hub, connection)
    marked, after = 0, ""
    while True:
        rows = await hub.db.read(lambda tx, a=after: mappings.page(tx, connection.name, a, SLICE, part=""))  # type: ignore[misc]
        if not rows:
            break
        after = rows[-1].id
        marked += await hub.db.run(lambda tx, some=rows: _mark_lagging(tx, hub, connection, some))  # type: ignore[misc]
    if lacking:
        raise lacking
    return marked


def _mark_lagging(tx: Tx, hub: Hub, connection: Connection, rows: list[MappingRow]) -> int:
    owners = customers.by_ids(tx, {row.record_id for row in rows})
    late = lagging(tx, connection, rows)
    lacking = {
        work.mapping_subject(row.id): _lacking(hub, connection, owners[row.record_id], row)
        for row in rows
        if row.state == "live"
    }
    asked = holds.of_subjects(tx, connection.name, [name for name, keys in lacking.items() if keys])
    found = {work.mapping_subject(one) for one in late}
    found |= {name for name, keys in lacking.items() if keys and not _is_asked(keys, asked.get(name, ()))}
    if found:
        work.mark(tx, connection.name, found, reason="metadata", trace=hub.ids.new(), now=hub.clock.now())
        tx.after_commit(lambda: hub.wake(connection.name))
    return len(found)


def _lacking(hub: Hub, connection: Connection, customer: Customer, row: MappingRow) -> set[str]:
    """Keys the registry has, and the connection could hold and is to get, that were never agreed on."""
    return {
        name
        for name in customer.fields
        if is_metadata(name) and connection.projection.covers(name) and name not in row.base
        if hub.policy.rule(connection.name, name).flow in ("both", "out")
    }


def _is_asked(keys: set[str], held: Sequence[Hold]) -> bool:
    """Whether a person is asked about all of it, or has been: another read every hour would find nothing else."""
    return keys <= {one.field for one in held} or any(one.field == "" and one.state == "open" for one in held)
