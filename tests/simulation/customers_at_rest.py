"""The customers of the registry and their mappings at rest, looked up once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from core.model.values import is_metadata
from core.store import holds, journal, mappings, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.tables import MAPPINGS
from core.sync.hub import KIND
from tests.simulation.lookups import live_customers
from tests.simulation.reference import loose

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld


class Rest:
    """The state at rest, looked up once."""

    def __init__(self, world: SimWorld, tx: Tx) -> None:
        """Look at everything."""
        self._world, self.tx = world, tx
        ids = [row[0] for row in tx.rows(sa.select(MAPPINGS.c.id))]
        self.by_id = mappings.by_ids(tx, ids)
        papers = {work.mapping_subject(one.id) for one in self.by_id.values() if one.kind != KIND}
        self.by_id = {name: one for name, one in self.by_id.items() if one.kind == KIND}
        self.mappings = sorted(self.by_id.values(), key=lambda one: one.id)
        self.live = [one for one in self.mappings if one.state == "live"]
        self.customers = {one.id: one for one in live_customers(tx)}
        self.rows_of: dict[str, list[MappingRow]] = {}
        for row in self.mappings:
            if row.state != "ended":
                self.rows_of.setdefault(row.record_id, []).append(row)
        self.holds = [one for one in holds.listing(tx) if one.subject not in papers]
        self._held = {(one.connection, one.subject, one.field) for one in self.holds}
        self._recorded: dict[str, dict[str, set[Any]]] = {}

    def is_held(self, row: MappingRow, field: str) -> bool:
        """Whether a person is asked about the mapping, or about this field of it."""
        subjects = [work.mapping_subject(row.id), work.remote_subject(row.remote_id or "")]
        return any((row.connection, one, name) in self._held for one in subjects for name in {"", field})

    def projection(self, connection: str) -> Any:
        """The connection's canonical spellings."""
        life = self._world.life
        assert life is not None, "nobody lives at rest"
        return life.hub.connections[connection].projection

    def fields_at(self, row: MappingRow, customer: Customer, shown: Mapping[str, Any]) -> Iterator[str]:
        """Fields that were read there and have a place there; metadata as the union of both sides."""
        projection = self.projection(row.connection)
        for field in projection.fields:
            if field in shown and field != "customer_type":
                yield field
        for field in sorted({*customer.fields, *shown}):
            if is_metadata(field) and projection.covers(field):
                yield field

    def recorded(self, record_id: str, field: str) -> set[Any]:
        """Every value of a field that the journal names."""
        if record_id not in self._recorded:
            found: dict[str, set[Any]] = {}
            for entry in journal.of_record(self.tx, record_id, 10_000):
                for lost in entry.lost:
                    found.setdefault(lost.field, set()).add(loose(lost.value))
                for name, (old, new, _rule) in entry.changes.items():
                    found.setdefault(name, set()).update((loose(old), loose(new)))
            self._recorded[record_id] = found
        return self._recorded[record_id].get(field, set())
