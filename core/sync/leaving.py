"""What a plan says of objects whose customers were archived: those that are to follow, and those asked about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.model.holds import NOT_ARCHIVED
from core.store import connections, customers, holds, mappings, observations, work
from core.store import leaving as waiting
from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.observations import Observation
from core.store.work import DirtyRow
from core.sync.farewells import CHANGED, NOT_ACTIVE, Farewell, is_to_go
from core.sync.hub import KIND, Connection, Hub
from core.sync.plan_items import Item
from core.sync.unseen import unseen


def leaving(tx: Tx, hub: Hub, connection: Connection, after: str, limit: int) -> tuple[list[Item], str | None]:
    """Some of them, and where to go on; what only a read or the provider can say is not foreseen."""
    rows = waiting.page(tx, connection.name, after, limit)
    named = mappings.by_ids(tx, [row.subject.removeprefix(work.FAREWELL) for row in rows])
    ids = [one.remote_id for one in named.values() if one.remote_id]
    taken, seen = (
        mappings.by_remote_ids(tx, connection.name, KIND, ids),
        observations.by_ids(tx, connection.name, KIND, ids),
    )
    owners = customers.by_ids(tx, {one.record_id for one in named.values()})
    is_active = connections.get(tx, connection.name).state == "active"
    asked = {item.subject: item for item in _asked(tx, connection)}
    items = [] if after else list(asked.values())
    for row in rows:
        mapping = named.get(row.subject.removeprefix(work.FAREWELL))
        if mapping is not None and row.subject not in asked and is_to_go(connection, mapping, taken):
            owner = owners[mapping.record_id]
            problem = _problem(hub, connection, mapping, owner, seen) if is_active else NOT_ACTIVE
            items.append(_of(row, mapping, owner, problem))
    return items, rows[-1].subject if rows else None


def _problem(
    hub: Hub, connection: Connection, mapping: MappingRow, owner: Customer, seen: Mapping[str, Observation]
) -> str:
    found = seen.get(mapping.remote_id or "")
    return CHANGED if found and unseen(hub, connection, mapping, owner.fields, found.remote) else ""


def _of(row: DirtyRow, mapping: MappingRow, owner: Customer, problem: str) -> Item:
    return Item(
        kind="hold" if problem else "archive",
        subject=row.subject,
        external_id=owner.external_id,
        remote_id=mapping.remote_id or "",
        reason=f"{NOT_ARCHIVED}: {problem}" if problem else row.reason,
        digest="" if problem else Farewell(row, mapping).digest,
    )


def _asked(tx: Tx, connection: Connection) -> Iterator[Item]:
    found = holds.listing(tx, connection=connection.name, reason=NOT_ARCHIVED)
    owners = customers.external_ids(tx, [one.record_id for one in found])
    for one in found:
        yield Item(
            kind="hold",
            subject=one.subject,
            external_id=owners.get(one.record_id or "", ""),
            remote_id=str(one.detail.get("remote_id", "")),
            reason=f"{NOT_ARCHIVED}: {one.detail.get('problem', '')}",
        )
