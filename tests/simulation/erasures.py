"""Somebody is erased, and everything goes on: what the erasure must leave, and what must never come back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from core.errors import AccordError
from core.sandbox.lookalike import Mutation
from core.store import erasing, mappings
from core.store.database import Tx
from core.store.tables import CUSTOMERS, INBOX, METADATA
from core.sync.erasure import Erased, erase
from core.sync.hub import KIND, Hub
from tests.simulation.lookups import live_customers
from tests.simulation.restores import NEVER
from tests.simulation.tape import REGISTRY, Event

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld

NOT_PERSONAL: Final = frozenset({"customer_type", "currency", "status", "parent", "external_id", "preferred_locales"})
"""Fields whose values others have too, or that are the ids of others."""
Place = tuple[str, str]
"""A system or the registry, and an id there."""
_NAMES: Final = sa.select(CUSTOMERS.c.external_id).where(CUSTOMERS.c.external_id != erasing.ERASED).distinct()


class Gone(msgspec.Struct, frozen=True, kw_only=True):
    """One who was erased."""

    external_id: str
    at: float
    objects: set[Place]
    """What stays of them at the systems."""
    values: set[str]
    """What was known of them."""


class Erasures:
    """Who was erased in one world."""

    def __init__(self, world: SimWorld) -> None:
        """Nobody was."""
        self._world = world
        self.gone: list[Gone] = []

    def objects(self) -> set[Place]:
        """What stays at the systems of all who were erased."""
        return {place for one in self.gone for place in one.objects}

    # ---- acting ----------------------------------------------------------------------------------------

    def erase(self, event: Event) -> None:
        """One customer, live or archived, is erased; refused while a write of theirs is in doubt."""
        if self._world.life is None:
            return
        hub, rng = self._world.life.hub, Random(event.pick)
        try:
            done = self._world.db.run_now(lambda tx: self._erase(tx, hub, rng))
        except AccordError as refused:
            self._world.note(f"refused: {refused}")
            self._world.reached["an erasure was refused"] += 1
            return
        if done is None:
            return
        gone, told = done
        self.gone.append(gone)
        self._world.note(f"ERASED {gone.external_id} {sorted(gone.objects)}")
        self._world.reached["erased"] += 1
        missing = gone.objects - {(one.connection, one.remote_id) for one in told.remains}
        if missing:
            self._fail(f"the erasure of {gone.external_id} did not tell of {sorted(missing)}")
        self._world.db.read_now(lambda tx: self._nothing_is_left(tx, [gone]))

    def _erase(self, tx: Tx, hub: Hub, rng: Random) -> tuple[Gone, Erased] | None:
        names = sorted(row[0] for row in tx.rows(_NAMES))
        if not names:
            return None
        name = rng.choice(names)
        owned = [one for one in mappings_of(tx, name) if one.state != "ended" and one.remote_id]
        places = {(one.connection, str(one.remote_id)) for one in owned}
        fields = [one.fields for one in live_customers(tx) if one.external_id == name]
        told = erase(tx, hub, name, actor="operator", trace="erase")
        places |= {(one.connection, one.remote_id) for one in told.remains}
        values = {text for one in fields for text in personal(one)}
        values |= {text for place in sorted(places) for text in personal(self._shown(place))}
        return Gone(external_id=name, at=self._world.clock.now(), objects=places, values=values), told

    def edit(self, event: Event) -> None:
        """Somebody changes, at its system, what stays of one who was erased."""
        there = sorted(place for place in self.objects() if self._shown(place))
        if there:
            system, target = there[event.pick % len(there)]
            self._world.reached["edited what stays of the erased"] += 1
            self._world.people.edit(system, target, event.changes)

    def _shown(self, place: Place) -> Mapping[str, Any]:
        return self._world.sites[place[0]].lookalike.neutral("customer").get(place[1], {})

    # ---- judging ---------------------------------------------------------------------------------------

    def written(self, system: str, one: Mutation) -> None:
        """Nothing that stays of them is written, whatever happens."""
        if (system, one.id) in self.objects() and one.id not in self._world.checks.merged.values():
            self._fail(f"{one.action} of {system} {one.id}, whose customer was erased")

    def at_rest(self, tx: Tx) -> None:
        """Nothing of them came back."""
        if not self.gone:
            return
        self._nothing_is_left(tx, self.gone)
        for system in self._world.systems:
            ids = [name for where, name in self.objects() if where == system]
            for name, row in sorted(mappings.by_remote_ids(tx, system, KIND, ids).items()):
                if name not in self._world.checks.merged.values():
                    self._fail(f"{system} {name} of an erased customer is {row.record_id}'s")

    def _nothing_is_left(self, tx: Tx, some: Sequence[Gone]) -> None:
        wanted = {value: one for one in some for value in self._only_theirs(tx, one)}
        if not wanted:
            return
        texts = "|".join(re.escape(value) for value in sorted(wanted, key=len, reverse=True))
        pattern = re.compile(rf"(?<!\w)(?:{texts})(?!\w)")
        for table, row in self._rows(tx):
            if table == "inbox" and self._world.restores.restored_at != NEVER:
                continue  # of an object that the older database does not know yet
            for found in sorted(set(pattern.findall(row))):
                self._fail(f"{found!r} of {wanted[found].external_id}, who was erased, is in {table}: {row[:600]}")

    def _only_theirs(self, tx: Tx, gone: Gone) -> set[str]:
        """Values of nobody else; where somebody made one of two objects, nobody can tell whose they are."""
        merged = {*self._world.checks.merged, *self._world.checks.merged.values()}
        if any(name in merged for _, name in gone.objects):
            return set()
        mine = set(gone.values)
        others = {text for one in live_customers(tx) for text in personal(one.fields)}
        for edit in self._world.edits:
            texts = set(personal({edit.field: edit.value}))
            is_theirs = (edit.site, edit.target) in gone.objects or (
                (edit.site, edit.target) == (REGISTRY, gone.external_id) and edit.at <= gone.at
            )
            (mine if is_theirs else others).update(texts)
        for system in self._world.systems:
            for name, shown in self._world.sites[system].lookalike.neutral("customer").items():
                if (system, name) not in gone.objects:
                    others.update(personal(shown))
        return mine - others

    def _rows(self, tx: Tx) -> Iterator[tuple[str, str]]:
        for table in METADATA.sorted_tables:
            for row in tx.rows(table.select()):
                if table is INBOX:
                    text = "" if self._is_of_papers(row.connection, row.body) else row.body.decode("utf-8", "replace")
                else:
                    text = repr(tuple(row))
                yield table.name, text.casefold()

    def _is_of_papers(self, system: str, body: bytes) -> bool:
        """Of a new invoice of theirs, which is never taken, the delivery stays as long as any."""
        life = self._world.life
        if not body or life is None:
            return False
        try:
            return any(one.kind != KIND for one in life.hub.connections[system].webhooks.notices(body))
        except AccordError:
            return False

    def _fail(self, problem: str) -> None:
        self._world.checks.fail(f"X: {problem}")


def personal(fields: Mapping[str, Any]) -> Iterator[str]:
    """What tells a person apart, as it is looked for; of an address, its street."""
    for field, value in fields.items():
        text = value.get("line1") if isinstance(value, dict) else value
        if field not in NOT_PERSONAL and isinstance(text, str) and len(text) > 3:
            yield text.casefold()


def mappings_of(tx: Tx, external_id: str) -> list[mappings.MappingRow]:
    """Every mapping of all customers that have, or had, an external id."""
    ids = erasing.record_ids(tx, external_id)
    own = [name for one in ids for name, _, _ in erasing.all_mappings(tx, one)]
    return sorted(mappings.by_ids(tx, own).values(), key=lambda one: one.id)
