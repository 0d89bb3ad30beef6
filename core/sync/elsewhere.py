"""What people changed in the systems themselves and no lane has looked at yet, read anew before values are put back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from core.errors import AccordError
from core.model.projection import Projection
from core.model.remote import Remote
from core.model.values import Value, blank, is_metadata
from core.ports import Missing
from core.store import connections, customers, mappings
from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.text import chunks
from core.sync.accounts import check_account
from core.sync.batch import Found, Seen, observe
from core.sync.failing import Trouble
from core.sync.family import Family
from core.sync.hub import Connection, Hub

Wanted = Mapping[str, Mapping[str, tuple[Value, Value]]]
"""By record: field -> (the registry's value, the one that is to come)."""
Reasons = dict[str, dict[str, str]]
"""By record: field -> why it must stay as it is."""


async def newer_elsewhere(hub: Hub, wanted: Wanted) -> Reasons:
    """Which of these values must stay: their objects have another one since the last agreement, or cannot be read."""
    found: Reasons = {}
    places = await hub.db.read(lambda tx: _places(tx, hub, wanted))
    for name, rows in places.items():
        for record_id, field, reason in await _of_connection(hub, hub.connections[name], rows, wanted):
            here = found.setdefault(record_id, {})
            here[field] = f"{here[field]}; {reason}" if field in here else reason
    return found


def spoken(value: Value) -> str:
    """A value in a sentence."""
    return "blank" if value is None else value if isinstance(value, str) else json.dumps(value)


def _places(tx: Tx, hub: Hub, wanted: Wanted) -> dict[str, list[MappingRow]]:
    """The mappings that hold one of the fields, by connection."""
    owners = customers.by_ids(tx, wanted)
    found: dict[str, list[MappingRow]] = {}
    for record_id, rows in mappings.of_records(tx, wanted).items():
        for row in rows:
            connection = hub.connections.get(row.connection)
            if connection is None or row.remote_id is None or row.state not in ("live", "gone"):
                continue
            if any(True for _ in _fields(hub, connection, row, owners[record_id], wanted[record_id])):
                found.setdefault(row.connection, []).append(row)
    return found


def _fields(
    hub: Hub, connection: Connection, row: MappingRow, owner: Customer, names: Iterable[str]
) -> Iterable[tuple[str, Projection]]:
    projection = connection.parts.projection(row.part, row.remote_id, owner.fields)
    for name in names:
        if projection is not None and projection.covers(name) and hub.policy.rule(row.connection, name).flow != "off":
            yield name, projection


async def _of_connection(
    hub: Hub, connection: Connection, rows: Sequence[MappingRow], wanted: Wanted
) -> list[tuple[str, str, str]]:
    seen, problem = await _read(hub, connection, [row.remote_id or "" for row in rows])
    return await hub.db.read(lambda tx: _told(tx, hub, connection, rows, seen, problem, wanted))


async def _read(hub: Hub, connection: Connection, remote_ids: Sequence[str]) -> tuple[Seen, str]:
    """What could be read, and why not the rest."""
    there: dict[str, Found] = {}
    gone: dict[str, Missing] = {}
    trouble: dict[str, Trouble] = {}
    problem = ""
    size = max(1, connection.manifest.read_batch * connection.manifest.in_flight)
    try:
        await check_account(hub, connection, await hub.db.read(lambda tx: connections.get(tx, connection.name)))
        for some in chunks(remote_ids, size):
            batch = await observe(connection, some)
            there |= batch.there
            gone |= batch.gone
            trouble |= batch.trouble
    except AccordError as error:
        problem = str(error)
    return Seen(there, gone, trouble), problem


def _told(
    tx: Tx, hub: Hub, connection: Connection, rows: Sequence[MappingRow], seen: Seen, error: str, wanted: Wanted
) -> list[tuple[str, str, str]]:
    """Record, field and reason of each value that must stay because of one connection."""
    owners = customers.by_ids(tx, {row.record_id for row in rows})
    family = Family(tx, connection, owners.values(), [one.observation.remote for one in seen.there.values()])
    told = []
    for row in rows:
        owner, pairs = owners[row.record_id], wanted[row.record_id]
        found = seen.there.get(row.remote_id or "")
        remote = family.kin(owner, found.observation.remote).remote if found else None
        for field, projection in _fields(hub, connection, row, owner, pairs):
            if remote is None:
                reason = _of_object(row, seen, error)
            else:
                reason = _of_value(row, projection, remote, field, pairs[field])
            if reason:
                told.append((row.record_id, field, reason))
    return told


def _of_object(row: MappingRow, seen: Seen, error: str) -> str:
    """Why nothing is known of an object's values; "" where it is not there, and has none."""
    remote_id = row.remote_id or ""
    gone = seen.gone.get(remote_id)
    if gone is not None:
        merged = f"its object at {row.connection} was merged into {gone.survivor}, which is not looked at yet"
        return merged if gone.survivor else ""
    trouble = seen.trouble.get(remote_id)
    return f"{row.connection} could not be read: {trouble.error if trouble else error}"


def _of_value(row: MappingRow, projection: Projection, remote: Remote, field: str, pair: tuple[Value, Value]) -> str:
    if field in remote.unreadable:
        return f"the value at {row.connection} could not be read: {remote.unreadable[field]}"
    is_read = field in remote.fields or (is_metadata(field) and remote.metadata_complete)
    if not is_read or field in remote.unmade:
        return ""  # outside the comparison, as everywhere

    def is_same(one: Value, other: Value) -> bool:
        return one == other or projection.canonical(field, one) == projection.canonical(field, other)

    there = remote.fields.get(field)
    agreed = projection.still_agreed(row.base, row.translation).get(field)
    is_unchanged = is_same(agreed[1], there) if agreed else blank(there)
    if is_unchanged or any(is_same(one, there) for one in pair):
        return ""
    return f"it was changed at {row.connection} since, and is {spoken(there)} there"
