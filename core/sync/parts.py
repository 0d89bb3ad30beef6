"""Parts at one connection: offered to customers whose object has them, and led wherever that object goes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from core.model.remote import Part
from core.model.values import PART_OF, blank
from core.store import connections, customers, mappings, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.documents.marking import part_placed
from core.sync.family import look_again, look_at_refused
from core.sync.hub import Connection, Hub
from core.sync.wanted import is_wanted

CAME_OFF = "its part is to be tied once more"
FOLLOWS = "what it is a part of has got its place there"


def whole_of(rows: Iterable[MappingRow], connection: str) -> MappingRow | None:
    """A customer's own mapping at a connection, among all of its mappings."""
    return next((one for one in rows if one.connection == connection and not one.part), None)


def part_in(rows: Iterable[MappingRow], connection: str, part: str) -> MappingRow | None:
    """A customer's mapping of one part at a connection, among all of its mappings."""
    return next((one for one in rows if one.connection == connection and one.part == part), None)


def parts_in(rows: Iterable[MappingRow], connection: str) -> list[MappingRow]:
    """All of a customer's parts at a connection."""
    return [one for one in rows if one.connection == connection and one.part]


def got_place(tx: Tx, hub: Hub, connection: Connection, mapping: MappingRow, customer: Customer, trace: str) -> None:
    """A customer, or one of its parts, got its object: whatever waited for that is looked at."""
    if mapping.part:
        part_placed(tx, hub, connection, customer.id, trace)
    else:
        placed(tx, hub, connection, {customer.external_id: mapping.remote_id}, trace)
        look_at_refused(tx, hub, connection, trace)


def placed(tx: Tx, hub: Hub, connection: Connection, objects: Mapping[str, str | None], trace: str) -> None:
    """Customers got their object, by external id: what waited for that is looked at, and their parts are offered."""
    look_again(tx, hub, connection, objects, trace)
    if not connection.parts.asked or not objects:
        return
    owners = list(customers.by_external_ids(tx, objects).values())
    rows = mappings.of_records(tx, [one.id for one in owners])
    subjects = [
        work.mapping_subject(one.id)
        for some in rows.values()
        for one in parts_in(some, connection.name)
        if one.state in ("live", "pending")
    ]
    subjects += offer_parts(tx, hub, connection, owners, rows)
    if subjects:
        work.mark(tx, connection.name, subjects, reason=FOLLOWS, trace=trace, now=hub.clock.now())
        tx.after_commit(lambda: hub.wake(connection.name))


def offer_parts(
    tx: Tx, hub: Hub, connection: Connection, owners: Sequence[Customer], rows: Mapping[str, Sequence[MappingRow]]
) -> list[str]:
    """Pending mappings for parts that customers lack and should have; returns their subjects.

    `rows` are all of their mappings, by customer. As with whole customers, an observing connection gets none.
    """
    missing = [(one, part) for one in owners for part in lacking(connection, one, rows.get(one.id, ()))]
    state = connections.get(tx, connection.name) if missing else None
    if state is None or state.state != "active" or state.swept_at is None or state.restored_at is not None:
        return []
    now = hub.clock.now()
    used = mappings.generations(tx, [one.id for one, _ in missing], connection.name)
    fresh = [
        mappings.pending(
            hub.ids.new(), one.id, connection.name, part=part.name, generation=used.get(one.id, 0) + 1, now=now
        )
        for one, part in missing
    ]
    mappings.insert(tx, fresh)
    return [work.mapping_subject(one.id) for one in fresh]


def lacking(connection: Connection, customer: Customer, rows: Sequence[MappingRow]) -> list[Part]:
    """Parts that a customer should have, now that its object is there, and has no mapping of."""
    whole = whole_of(rows, connection.name)
    if customer.deleted_at is not None or whole is None or whole.state != "live" or whole.remote_id is None:
        return []
    return [
        part
        for part in connection.parts.of_whole(whole.remote_id, customer.fields)
        if not blank(customer.fields.get(part.key)) and part_in(rows, connection.name, part.name) is None
    ]


def look_at_whole(
    tx: Tx, connection: Connection, part: MappingRow, wanted: Collection[str], trace: str, now: float
) -> None:
    """A part that is to be tied once more has come off by itself, perhaps: what it belongs to may be gone."""
    if PART_OF not in wanted or PART_OF not in part.base:
        return
    whole = whole_of(mappings.of_records(tx, [part.record_id]).get(part.record_id, ()), connection.name)
    if whole is not None:
        work.mark(tx, connection.name, [work.mapping_subject(whole.id)], reason=CAME_OFF, trace=trace, now=now)


def awaits(connection: Connection, part: Part, customer: Customer, rows: Sequence[MappingRow]) -> bool:
    """Whether an object that could be this part of the customer is to be left to it: it has none, and will look."""
    row, whole = part_in(rows, connection.name, part.name), whole_of(rows, connection.name)
    if row is not None:
        return row.state == "pending" and row.remote_id is None
    if whole is not None and whole.state not in ("live", "pending"):
        return False
    is_expected = (whole is not None and whole.state == "live") or is_wanted(connection, customer, whole)
    return is_expected and part in connection.parts.of_whole(whole.remote_id if whole else None, customer.fields)


def slot_of(connection: Connection, rows: Sequence[MappingRow], remote_id: str) -> MappingRow | str:
    """Which mapping of a customer an object is for: its own, or where that has another object, that of a part.

    A name is of a part that has no mapping yet; "": the customer's own, which there is none of either.
    """
    whole = whole_of(rows, connection.name)
    if whole is None or whole.remote_id in (None, remote_id):
        return whole or ""
    part = connection.parts.of_object(remote_id)
    if part is None or not str(whole.remote_id).startswith(part.of):
        return whole
    return part_in(rows, connection.name, part.name) or part.name
