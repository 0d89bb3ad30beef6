"""What a restore may lose of people's edits of customers, and nothing else: told by what stood where, and when.

An edit of the registry is lost if no system showed it when the backup was put back; the record of one that lost a
conflict, with the database in which it stood. What a system showed comes back as an edit, and its author is forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from core.store import customers, journal, mappings
from core.store.database import Tx
from tests.simulation.behind import intent_behind
from tests.simulation.lookups import live_customers
from tests.simulation.reference import Edit, admissible, loose
from tests.simulation.tape import REGISTRY

if TYPE_CHECKING:
    from core.store.mappings import MappingRow
    from tests.simulation.world import SimWorld

Place = tuple[str, str]
"""A system, and an object there."""


class Losses:
    """What one backup knows, and what stood at the systems when it was put back."""

    def __init__(self, world: SimWorld, tx: Tx) -> None:
        """The backup was made just now."""
        self._world, self._since = world, world.clock.now()
        self._until = self._since
        self._stood: Mapping[str, Mapping[str, Mapping[str, Any]]] = {}
        found = live_customers(tx)
        self._known = {one.external_id: one.fields for one in found}
        rows = mappings.of_records(tx, [one.id for one in found])
        self._rows = {(row.connection, str(row.remote_id)): row for some in rows.values() for row in some}
        self._unsettled = {
            (one.external_id, field)
            for one in found
            for row in rows.get(one.id, ())
            for field in {*one.fields, *row.base}
            if loose((row.base.get(field) or (None, None))[0]) != loose(one.fields.get(field))
        }

    def put_back(self, stood: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """From now on the registry is what it was."""
        self._until, self._stood = self._world.clock.now(), stood

    # ---- judging ---------------------------------------------------------------------------------------

    def admissible(self, edits: Sequence[Edit], rows: Sequence[MappingRow], external_id: str) -> set[Any]:
        """What may stand besides what may anyhow."""
        if not self._stood or not edits:
            return set()
        field, places = edits[0].field, _places(rows)
        lost = [one for one in edits if self._is_unreached(one, places)]
        kept = [one for one in edits if one not in lost]
        # what brought it there is forgotten: it comes back as if somebody had just written it
        found = {loose(self._shown(place, field)) for place in places if self._is_news(place, field)}
        found |= {loose(one.replaced) for one in lost} | self._landed(places, field)
        is_open = (external_id, field) in self._unsettled or any(place not in self._rows for place in places)
        if is_open and external_id in self._known:
            found.add(loose(self._known[external_id].get(field)))
        return found | admissible(kept)

    def is_excused(self, edit: Edit, rows: Sequence[MappingRow]) -> bool:
        """Whether an edit may be lost without a record."""
        if not self._stood or edit.at > self._until:
            return False
        if edit.site != REGISTRY:
            place = (edit.site, edit.target)
            # put over: before the restore, and the record is lost; or after it, by what was under way
            return not self._stands(edit, [place]) or bool(self._landed([place], edit.field))
        return self._is_unreached(edit, _places(rows)) or self._was_on_record(edit, rows)

    def _is_unreached(self, edit: Edit, places: Collection[Place]) -> bool:
        is_between = edit.site == REGISTRY and self._since <= edit.at <= self._until
        return is_between and not self._stands(edit, [one for one in places if self._flows_in(one, edit.field)])

    def _flows_in(self, place: Place, field: str) -> bool:
        return bool(self._world.policies.lets_in(place[0], field, self._until))

    def _stands(self, edit: Edit, places: Collection[Place]) -> bool:
        return any(loose(self._shown(place, edit.field)) == loose(edit.value) for place in places)

    def _shown(self, place: Place, field: str) -> Any:
        return self._stood.get(place[0], {}).get(place[1], {}).get(field)

    def _is_news(self, place: Place, field: str) -> bool:
        """Whether what stood there is not what the backup takes to be agreed."""
        row = self._rows.get(place)
        agreed = row.base.get(field) if row else None
        return agreed is None or loose(agreed[1]) != loose(self._shown(place, field))

    def _landed(self, places: Collection[Place], field: str) -> set[Any]:
        """What was sent before the restore and landed after it is somebody's edit to the older database."""
        found = set()
        for system, target in places:
            site = self._world.sites.get(system)
            for one in site.overwrites if site else ():
                if (one.remote_id, one.field) == (target, field) and one.at >= self._until:
                    mutation = site.lookalike.mutations[one.number] if site else None
                    behind = mutation and self._world.restores.was_there(
                        partial(intent_behind, name=system, one=mutation)
                    )
                    found |= {loose(one.new)} if behind and behind.sent_at <= self._until else set()
        return found

    def _was_on_record(self, edit: Edit, rows: Sequence[MappingRow]) -> bool:
        """Whether the database that was replaced had it on record as one that lost."""

        def look(tx: Tx) -> bool:
            ids = {one.id for one in customers.by_external_ids(tx, [edit.target]).values()}
            for system, target in _places(rows):
                ids |= {one.record_id for one in mappings.by_remote_ids(tx, system, "customer", [target]).values()}
            entries = [entry for one in ids for entry in journal.of_record(tx, one, 10_000)]
            lost = {loose(one.value) for entry in entries for one in entry.lost if one.field == edit.field}
            lost |= {loose(entry.changes[edit.field][0]) for entry in entries if edit.field in entry.changes}
            return loose(edit.value) in lost

        return bool(self._world.restores.was_there(look))


def _places(rows: Sequence[MappingRow]) -> list[Place]:
    return [(one.connection, one.remote_id) for one in rows if one.remote_id]
