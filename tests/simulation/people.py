"""What happens in a world besides documents: people at every system, and what befalls the machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.hubspot.sandbox import HubSpotLookAlike
from connectors.quickbooks.sandbox import QuickBooksLookAlike
from connectors.quickbooks.sandbox.rules import Refused
from connectors.stripe.sandbox import StripeLookAlike
from core.errors import AccordError, TakenError
from core.model.policy import ENTITY_FIELD
from core.store import customers
from core.sync import registry
from tests.simulation.life import Crash
from tests.simulation.lookups import billed_customers, counterpart, live_customers
from tests.simulation.reference import Edit
from tests.simulation.tape import REGISTRY, Event, is_books

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld


class People:
    """Everybody who touches customers in a world."""

    def __init__(self, world: SimWorld) -> None:
        """Nobody has done anything."""
        self._world = world
        self._last: tuple[str, str] | None = None
        """System and customer of the edit before."""

    def perform(self, event: Event) -> None:
        """One thing that somebody does, or that happens to the machine."""
        self._world.note(f"EVENT {event.what} {event.system} {event.pick} {event.changes}")
        if event.what.startswith("clerk "):
            self._world.clerks.perform(event)
        else:
            getattr(self, f"_on_{event.what}")(event)
        for site in self._world.sites.values():
            site.person_did()

    def _target(self, event: Event) -> str | None:
        if event.system == REGISTRY:
            found = self._world.db.read_now(lambda tx: sorted(one.external_id for one in live_customers(tx)))
        else:
            found = sorted(self._world.sites[event.system].lookalike.neutral("customer"))
        return found[event.pick % len(found)] if found else None

    def _on_edit(self, event: Event) -> None:
        target = self._target(event)
        if target is not None:
            self.edit(event.system, target, event.changes)
            self._last = (event.system, target)

    def _on_edit_same(self, event: Event) -> None:
        """The customer of the edit before, in another place."""
        if self._last is None:
            return
        before = self._last
        if before[0] == event.system:
            self.edit(event.system, before[1], event.changes)
            return
        target = self._world.db.read_now(lambda tx: counterpart(tx, *before, event.system))
        if target is not None:
            self._world.reached["concurrent edits"] += 1
            self.edit(event.system, target, event.changes)

    def edit(self, system: str, target: str, changes: Mapping[str, Any]) -> None:
        """Somebody changes a customer there."""
        if system == REGISTRY:
            self._edit_registry(target, changes)
            return
        lookalike = self._world.sites[system].lookalike
        before = dict(lookalike.neutral("customer").get(target, {}))
        if not before:
            return
        count = len(lookalike.mutations)
        try:
            lookalike.edit("customer", target, changes)
        except (TakenError, ValueError, KeyError) as refused:
            self._world.note(f"refused: {refused}")
            return
        after = lookalike.neutral("customer").get(target)
        if after is not None:  # a merged-away id leads to its survivor
            self.record(system, target, before, after, count, told=changes)

    def record(
        self,
        system: str,
        target: str,
        before: Mapping[str, Any],
        after: Mapping[str, Any],
        count: int,
        told: Mapping[str, Any] = {},
    ) -> None:
        """Remember what somebody changed, for the judge."""
        # who takes out what nobody can read leaves nothing, as there was nothing before
        covered = {field for field in told if (system, target, field) in self._world.covered}
        for field in sorted({*before, *after, *covered}):
            is_same = before.get(field) == after.get(field) and field not in covered
            if is_same or field in ("customer_type", "currency", "status", "parent"):
                continue
            self._world.put_at[system, target, field] = count
            odd, replaced = self._world.covered.get((system, target, field), (None, before.get(field)))
            if odd != before.get(field):
                replaced = before.get(field)
            now = self._world.clock.now()
            self._world.edits.append(
                Edit(len(self._world.edits), now, system, target, field, after.get(field), replaced, count)
            )

    def _edit_registry(self, target: str, changes: Mapping[str, Any]) -> None:
        if self._world.life is None:
            return
        hub = self._world.life.hub
        before: dict[str, Any] = {}

        def put(tx: Any) -> dict[str, Any]:
            before.update(registry.get(tx, target).fields)
            return dict(registry.update(tx, hub, target, changes, actor="operator", trace="edit").fields)

        try:
            after = self._world.db.run_now(put)
        except AccordError as refused:
            self._world.note(f"refused: {refused}")
            return
        self.record(REGISTRY, target, before, after, 0)

    def _on_create(self, event: Event) -> None:
        if event.system == REGISTRY:
            self._create_in_registry(event.changes)
            return
        lookalike = self._world.sites[event.system].lookalike
        count = len(lookalike.mutations)
        try:
            made = lookalike.edit("customer", None, event.changes)
        except (TakenError, ValueError, KeyError) as refused:
            self._world.note(f"refused: {refused}")
            return
        self.record(event.system, made, {}, lookalike.neutral("customer")[made], count)

    def _create_in_registry(self, changes: Mapping[str, Any]) -> None:
        if self._world.life is None:
            return
        hub, external = self._world.life.hub, f"hand-{len(self._world.edits)}"
        fields = {name: value for name, value in changes.items() if name != "external_id"}
        try:
            made = self._world.db.run_now(
                lambda tx: registry.create(tx, hub, external, fields, actor="operator", trace="create")
            )
        except AccordError as refused:
            self._world.note(f"refused: {refused}")
            return
        self.record(REGISTRY, external, {}, made.fields, 0)

    def _on_parent(self, event: Event) -> None:
        """Somebody puts one customer below another, or on top; only companies at HubSpot."""
        target, pick = self._target(event), event.changes["above"]
        if event.system == REGISTRY:
            there = self._world.db.read_now(lambda tx: sorted(one.external_id for one in live_customers(tx)))
        else:
            there = sorted(self._world.sites[event.system].lookalike.neutral("customer"))
        if event.system == "hubspot":
            there = [one for one in there if one.startswith("company:")]
            target = there[event.pick % len(there)] if there else None
        if target is None:
            return
        above = there[pick % len(there)] if pick is not None else None
        self._world.reached[f"parent set at {event.system}"] += 1
        self.edit(event.system, target, {"parent": above})

    def _on_answer(self, event: Event) -> None:
        """Somebody answers a question."""
        self._world.answering.answer(event)

    def _on_erase(self, event: Event) -> None:
        """Somebody is erased."""
        self._world.erasures.erase(event)

    def _on_edit_erased(self, event: Event) -> None:
        """What stays of one who was erased is changed where it is."""
        self._world.erasures.edit(event)

    def _on_assign(self, event: Event) -> None:
        """Whose a customer is who was nobody's."""
        if event.system == REGISTRY:
            there = {one.external_id: one.fields for one in self._world.db.read_now(live_customers)}
        else:
            there = dict(self._world.sites[event.system].lookalike.neutral("customer"))
        self._say_whose(event, [name for name, one in there.items() if not one.get(ENTITY_FIELD)])

    def _on_reassign(self, event: Event) -> None:
        """Whose one is by now who was another one's, and is billed."""
        found = self._world.db.read_now(lambda tx: billed_customers(tx, ENTITY_FIELD))
        if event.system != REGISTRY:
            there = self._world.db.read_now(lambda tx: [counterpart(tx, REGISTRY, one, event.system) for one in found])
            found = [one for one in there if one is not None]
        self._say_whose(event, found)

    def _say_whose(self, event: Event, found: list[str]) -> None:
        if found:
            self._world.reached["an entity told" if event.what == "assign" else "an entity changed"] += 1
            self.edit(event.system, sorted(found)[event.pick % len(found)], event.changes)

    def _on_bill_across(self, event: Event) -> None:
        """A customer is another entity's from now on, and is billed."""
        self._tried(self._world.across.bill, event)

    def _on_pay_across(self, event: Event) -> None:
        """That customer pays all of it at once."""
        self._tried(self._world.across.pay, event)

    def _tried(self, act: Callable[[Event], None], event: Event) -> None:
        try:
            act(event)
        except (TakenError, ValueError, KeyError) as refused:
            self._world.note(f"refused: {type(refused).__name__} {refused}")

    def _on_delete(self, event: Event) -> None:
        target = self._target(event)
        if target is None:
            return
        try:
            self._world.sites[event.system].lookalike.delete("customer", target)
        except Refused as refused:
            self._world.note(f"refused: {refused}")
            return
        self._world.reached[f"deleted at {event.system}"] += 1
        if not is_books(event.system):
            self._world.checks.deleted.setdefault(event.system, set()).add(target)

    def _on_unreadable(self, event: Event) -> None:
        """Somebody writes what the registry cannot take."""
        target = self._target(event)
        if target is None:
            return
        odd: dict[str, dict[str, Any]] = {
            "stripe": {"name": 7},
            "hubspot": {"country": "Atlantis"},
            "quickbooks": {"BillAddr": {"Line1": "1", "Line2": "2", "Line3": "3"}},
        }
        self._world.reached["unreadable value"] += 1
        lookalike = self._world.sites[event.system].lookalike
        before = dict(lookalike.neutral("customer")[target])
        lookalike.edit("customer", target, {"extra": odd["quickbooks" if is_books(event.system) else event.system]})
        after = lookalike.neutral("customer").get(target, {})
        # a field that nobody can read any more is not there at all
        for field in sorted({*before, *after}):
            if after.get(field) != before.get(field):
                self._world.covered[event.system, target, field] = (after.get(field), before.get(field))

    def _on_unfit(self, event: Event) -> None:
        """A value that not every system can hold."""
        event = msgspec.structs.replace(event, system=REGISTRY)
        target = self._target(event)
        if target is not None:
            number = len(self._world.edits)
            choices: list[dict[str, Any]] = [
                {"phone": "+49 30 " + "1 " * 11 + str(number)}, {"name": f"Łódź {number}"}, {"name": f"A:B {number}"},
                {"metadata.plan": "x" * 501 + str(number)},
            ]  # fmt: skip
            self._edit_registry(target, choices[event.pick % len(choices)])

    def _on_rename_clash(self, event: Event) -> None:
        """A name that QuickBooks has already."""
        event = msgspec.structs.replace(event, system=REGISTRY)
        target = self._target(event)
        names = sorted(
            str(one.get("name")) for one in self._world.sites["quickbooks"].lookalike.neutral("customer").values()
        )
        if target is not None and names:
            self._edit_registry(target, {"name": names[event.pick % len(names)]})

    def _on_merge(self, _event: Event) -> None:
        hubspot = self._world.sites["hubspot"].lookalike
        contacts = [one for one in sorted(hubspot.neutral("customer")) if one.startswith("contact:")]
        if isinstance(hubspot, HubSpotLookAlike) and len(contacts) > 1:
            one, other = self._world.rng.sample(contacts, 2)
            merged = hubspot.merge("customer", one, other)
            self._world.checks.merged[one] = self._world.checks.merged[other] = merged
            self._world.reached["merged"] += 1

    def _on_archive(self, event: Event) -> None:
        event = msgspec.structs.replace(event, system=REGISTRY)
        target = self._target(event)
        if target is None or self._world.life is None:
            return
        hub = self._world.life.hub
        self._world.checks.farewells.begin(target)
        self._world.db.run_now(lambda tx: registry.archive(tx, hub, target, actor="operator", trace="archive"))
        self._world.reached["archived"] += 1

    def _on_revive(self, event: Event) -> None:
        self._world.revivals.revive(event)

    def _on_break_stripe(self, event: Event) -> None:
        one = self._world.sites["stripe"].lookalike
        assert isinstance(one, StripeLookAlike)
        one.break_writes(1, executed=event.pick % 2 == 0)

    def _on_fail_quickbooks(self, event: Event) -> None:
        one = self._world.sites["quickbooks"].lookalike
        assert isinstance(one, QuickBooksLookAlike)
        one.fail_next("fault_in_200" if event.pick % 2 else "throttled_item")

    def _on_crash(self, event: Event) -> None:
        if self._world.life is None:
            return
        try:
            self._world.life.crash("by kill")
        except Crash:
            del event

    def _on_backup(self, _event: Event) -> None:
        self._world.restores.back_up()

    def _on_restore(self, event: Event) -> None:
        """The machine is lost, and an older database is put back."""
        if self._world.restores.ask():
            self._world.outage = event.changes.get("down", 0.0)
            self._on_crash(event)

    def _on_undo(self, event: Event) -> None:
        self._world.undoing.begin(event)

    def _on_flow(self, event: Event) -> None:
        self._world.policies.change(event)

    def _on_creates(self, event: Event) -> None:
        self._world.policies.change(event)

    def _on_documents(self, event: Event) -> None:
        self._world.policies.change(event)

    def _on_ranks(self, event: Event) -> None:
        self._world.policies.change(event)

    def _on_outage(self, event: Event) -> None:
        """The machine is down for more than a day: keys are forgotten, feeds are old, tokens have ended."""
        self._world.outage = 95_000.0
        self._world.reached["outage"] += 1
        self._on_crash(event)

    def _on_sabotage(self, event: Event) -> None:
        """The canary's: a value is changed behind the engine's back, so that nobody is told to pass it on."""
        found = self._world.db.read_now(live_customers)
        if found:
            one = found[event.pick % len(found)]
            after = registry.changed(one, {"phone": f"+4940{event.pick}"}, REGISTRY, self._world.clock.now())
            self._world.db.run_now(lambda tx: customers.replace(tx, after))
