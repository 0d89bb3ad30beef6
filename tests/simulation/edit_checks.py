"""What people wrote stands in the end, or is on record: M1, M2 and M6."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.tables import INTENTS
from tests.simulation.behind import intent_behind
from tests.simulation.customers_at_rest import Rest
from tests.simulation.reference import UNCONFIRMED, Edit, admissible, heads, loose
from tests.simulation.tape import REGISTRY, is_books

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld

_CHOSEN: Final = frozenset({"registry", "remote", "accept"})


class EditChecks:
    """The judge of people's edits in one world."""

    def __init__(self, world: SimWorld) -> None:
        """Know nothing yet."""
        self._world = world
        self._passing: list[Edit] = []
        """What was taken for a write of ours: it stands for nothing, but its author knew what it replaced."""

    def judge(self, rest: Rest) -> None:
        """M1, M2 and M6, by customer and field."""
        for customer in rest.customers.values():
            rows = rest.rows_of.get(customer.id, [])
            stands = self._stands_since if customer.id in self._world.revivals.back else self._stands
            for field, edits in self._edits_of(rest, customer, rows).items():
                if not any(rest.is_held(row, field) or row.state in ("gone", "excluded") for row in rows):
                    stands(rest, customer, rows, field, edits)

    def _edits_of(self, rest: Rest, customer: Customer, rows: list[MappingRow]) -> dict[str, list[Edit]]:
        places = {(REGISTRY, customer.external_id)}
        for row in rows:
            if row.remote_id:
                places.add((row.connection, row.remote_id))
        found: dict[str, list[Edit]] = {}
        untold: set[str] = set()
        for edit in self._world.edits:
            # what was said of another customer, who had the same external id and was archived
            is_of_another = edit.site == REGISTRY and edit.at < customer.created_at
            if (edit.site, edit.target) not in places or is_of_another:
                continue
            flows_in = self._flows_in(edit)
            if flows_in is None:
                untold.add(edit.field)
            elif flows_in and self._passes_for_ours(rest.tx, edit):
                self._passing.append(edit)
            elif flows_in:
                seen = edit._replace(replaced=UNCONFIRMED) if self._is_on_unconfirmed(rest.tx, edit) else edit
                found.setdefault(edit.field, []).append(seen)
        return {field: edits for field, edits in found.items() if field not in untold}

    def _is_on_unconfirmed(self, tx: Tx, edit: Edit) -> bool:
        """The author saw what a write of Accord's had put there, and Accord never learnt that it had.

        To Accord the two are concurrent: it cannot know that the one was built on the other.
        """
        if edit.site == REGISTRY:
            return False
        site = self._world.sites[edit.site]
        before = [
            one
            for one in site.overwrites
            if (one.remote_id, one.field) == (edit.target, edit.field) and one.number < edit.mutation
        ]
        if not before or loose(before[-1].new) != loose(edit.replaced):
            return False
        behind = intent_behind(tx, edit.site, site.lookalike.mutations[before[-1].number])
        if behind is None or behind.state == "done":
            return False
        self._world.reached["edited on top of an unconfirmed write"] += 1
        return True

    def _passes_for_ours(self, tx: Tx, edit: Edit) -> bool:
        """It was written while Accord did not know yet whether the same value of its own had arrived there: it had."""
        here = (INTENTS.c.connection == edit.site, INTENTS.c.remote_id == edit.target, INTENTS.c.sent_at <= edit.at)
        in_doubt = sa.or_(INTENTS.c.closed_at.is_(None), INTENTS.c.closed_at > edit.at)
        sent = [msgspec.json.decode(one.wanted) for one in tx.rows(sa.select(INTENTS.c.wanted).where(*here, in_doubt))]
        passes = any(edit.field in one and loose(one[edit.field]) == loose(edit.value) for one in sent)
        self._world.reached["edited to what a write in doubt was to bring"] += passes
        return passes

    def _flows_in(self, edit: Edit) -> bool | None:
        """None: whether anybody took it depends on which policy was in force when it was seen."""
        return True if edit.site == REGISTRY else self._world.policies.lets_in(edit.site, edit.field, edit.at)

    def _stands(self, rest: Rest, customer: Customer, rows: list[MappingRow], field: str, edits: list[Edit]) -> None:
        if self._is_made_of_others(rest, customer, rows):
            return
        rule = self._world.config.policy.rule("stripe", field)
        if rule.clear == "restore" and any(edit.value is None for edit in edits):
            return
        final = loose(customer.fields.get(field))
        said = self._world.answering.on(rows, field)
        chosen = {loose(edit.value) for edit in edits} | self._there(rows, field) if said & _CHOSEN else set()
        losses = self._world.restores.losses
        forgotten = losses.admissible(edits, rows, customer.external_id) if losses else set()
        if final not in admissible(edits) | chosen | forgotten:
            told = [(one.site, one.value, one.replaced) for one in edits]
            self._fail(f"M1: {field} of {customer.external_id} is {final!r}; people wrote {told}")
            return
        for head in heads(edits):
            is_lost = losses is not None and losses.is_excused(head, rows)
            if loose(head.value) not in (final, None) and not is_lost:
                if ("accept" in said and self._stays_there(head, rows)) or (said and self._was_covered(head)):
                    continue
                self._on_record(rest, customer, head)

    def _stands_since(
        self, rest: Rest, customer: Customer, rows: list[MappingRow], field: str, edits: list[Edit]
    ) -> None:
        """Who is brought back begins with what stands at the systems by then; what is written after that stays."""
        back = self._world.revivals.back[customer.id]
        is_told = bool(self._world.answering.on(rows, field)) or self._world.restores.losses is not None
        if is_told or any(row.remote_id in self._world.checks.merged.values() for row in rows):
            return
        for head in heads(edits):
            if head.at > back and loose(head.value) not in (loose(customer.fields.get(field)), None):
                self._on_record(rest, customer, head)
                self._world.reached["written after somebody was brought back, and lost on record"] += 1

    def _on_record(self, rest: Rest, customer: Customer, head: Edit) -> None:
        value = loose(head.value)
        if value in rest.recorded(customer.id, head.field):
            self._world.reached["a losing value is on record"] += 1
            return
        if head.site == REGISTRY:
            self._fail(f"M2: {head.field}={head.value!r}, written to the registry, is lost without a record")
            return
        if any(_replaced_knowingly(head, one) for one in self._passing):
            return
        site = self._world.sites[head.site]
        raced = [
            one
            for one in site.overwrites
            if (one.remote_id, one.field) == (head.target, head.field) and loose(one.old) == value
        ]
        if raced and all(one.unseen for one in raced) and not is_books(head.site):
            told = [one for one in raced if one.key in site.answered_keys]
            if told:
                self._fail(f"M2: {head.field}={head.value!r} raced at {head.site}; its webhook came, and no record")
            self._world.reached["raced and unseen"] += 1
            self._world.note(f"raced and unseen: {head}")
            return
        self._fail(f"M2: {head.field}={head.value!r}, written at {head.site} {head.target}, is lost without a record")

    def _is_made_of_others(self, rest: Rest, customer: Customer, rows: list[MappingRow]) -> bool:
        """A merge moves values by the provider's rules; what is made anew lacks what only the object before had."""
        is_merged = any(row.remote_id in self._world.checks.merged.values() for row in rows)
        return is_merged or any(row.state == "ended" and row.record_id == customer.id for row in rest.mappings)

    def _there(self, rows: list[MappingRow], field: str) -> set[Any]:
        """What stands at the systems: it may never have been anybody's word."""
        shown = [
            self._world.sites[row.connection].lookalike.neutral("customer").get(row.remote_id or "", {}) for row in rows
        ]
        return {loose(one.get(field)) for one in shown}

    def _was_covered(self, head: Edit) -> bool:
        """Made unreadable where it stood before anybody had seen it, and decided on as that."""
        _, replaced = self._world.covered.get((head.site, head.target, head.field), (None, None))
        return loose(replaced) == loose(head.value)

    def _stays_there(self, head: Edit, rows: list[MappingRow]) -> bool:
        """Somebody said that it may be another one there than in the registry.

        Of the registry's own words that is said where an older database met them as a system's.
        """
        if head.site == REGISTRY:
            is_from_before = self._world.restores.losses is not None
            return is_from_before and loose(head.value) in self._there(rows, head.field)
        shown = self._world.sites[head.site].lookalike.neutral("customer").get(head.target, {})
        return loose(shown.get(head.field)) == loose(head.value)

    def _fail(self, problem: str) -> None:
        self._world.checks.fail(problem)


def _replaced_knowingly(head: Edit, by: Edit) -> bool:
    is_there = (head.site, head.target, head.field) == (by.site, by.target, by.field)
    return is_there and head.number < by.number and loose(head.value) == loose(by.replaced)
