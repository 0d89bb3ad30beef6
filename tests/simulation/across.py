"""One customer is billed for two entities, and pays both invoices at once: each part belongs in other books."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

from core.model.policy import ENTITY_FIELD
from tests.simulation.lookups import counterpart
from tests.simulation.papers import Named, Shown, is_due, whose
from tests.simulation.tape import REGISTRY, Event
from tests.simulation.whose import MOVED, SPLIT

if TYPE_CHECKING:
    from tests.simulation.resting import Rest
    from tests.simulation.world import SimWorld

SEVERAL = "in the books of several entities"


class Across:
    """The customer of two entities in one world, and what was billed."""

    def __init__(self, world: SimWorld) -> None:
        """Nobody is one yet."""
        self._world = world
        self._customer = ""
        self._bills: list[str] = []
        self._paid: list[tuple[Decimal, Sequence[Named]]] = []
        """Payments at Stripe: how much came in, and the parts that they are told as."""

    # ---- people ----------------------------------------------------------------------------------------

    def bill(self, event: Event) -> None:
        """The registry says whose the customer is from now on, and then the customer is billed."""
        rng, system = Random(event.pick), event.system
        if not self._customer:
            people = self._world.clerks.shown_customers(system)
            there = sorted(name for name, one in people.items() if one.get("status") != "inactive")
            known = [name for name in there if self._of(system, name)]
            self._customer = rng.choice(known) if known else ""
        record = self._of(system, self._customer) if self._customer else None
        if record is None:
            return
        self._world.people.edit(REGISTRY, record, {ENTITY_FIELD: event.changes[ENTITY_FIELD]})
        one = self._world.clerks.shown_customers(system)[self._customer]
        self._bills.append(self._world.clerks.bill_somebody(system, rng, self._customer, one))

    def pay(self, event: Event) -> None:
        """One payment of all that is due of it."""
        own = self._world.clerks.own(event.system)
        due = [(name, own[name]) for name in self._bills if name in own and is_due(own[name])]
        due = [(name, one) for name, one in due if whose(one) == whose(due[0][1])]
        if len(due) < 2:
            return
        before = self._payments(event.system)
        self._world.clerks.paid(event.system, Random(event.pick), due)
        made = {name: one for name, one in self._payments(event.system).items() if name not in before}
        if event.system == "stripe":
            self._paid.append((sum((Decimal(one["amount"]) for one in made.values()), Decimal(0)), sorted(made)))
        self._world.reached[f"a payment for two entities at {event.system}"] += 1

    def _payments(self, system: str) -> dict[Named, Shown]:
        there = self._world.clerks.own(system, "payment").items()
        return {Named(system, "payment", name): one for name, one in there if one["status"] == "succeeded"}

    def _of(self, system: str, customer: str) -> str | None:
        return self._world.db.read_now(lambda tx: counterpart(tx, system, customer, REGISTRY))

    # ---- at rest ---------------------------------------------------------------------------------------

    def judge(self, rest: Rest, named: Named, one: Shown, mirror: str) -> None:
        """A payment of several books is booked in none, and a person is told the parts: they are all of it."""
        if one["status"] != "succeeded":
            return
        there = [part for part in one["applications"] if rest.parts(mirror).get(_token(one, part))]
        if there:
            self._world.checks.fail(f"E: {named} is of several entities, and {there} is booked at {mirror}")
        told = rest.told_at(named, mirror)
        if SEVERAL not in told:
            # something else keeps it first
            if not rest.excuses(named, mirror) - {SPLIT, MOVED}:
                self._world.checks.fail(f"E: {named} is of several entities, and nobody is told so at {mirror}: {told}")
            return
        said = told.partition(SEVERAL)[2].partition("elsewhere")
        for part in one["applications"]:
            invoice = Named(named.system, "invoice", part["invoice"])
            is_elsewhere = rest.place(invoice, mirror) == "elsewhere"
            words = f"{part['amount']} {one['currency']} of invoice {rest.number(named.system, part['invoice'])}"
            if (words in said[0], words in said[2].partition("'")[0]) != (not is_elsewhere, is_elsewhere):
                self._world.checks.fail(f"E: {words} of {named} is not told to be where it belongs: {told}")
        self._world.reached["a payment of several entities is held with its parts"] += 1

    def judge_parts(self, rest: Rest, mirror: str) -> None:
        """Stripe makes a payment of each invoice: each is booked with its invoice, once, and they are the whole."""
        for whole, parts in self._paid:
            now = {one: rest.originals["payment"][one] for one in parts}
            if sum(Decimal(one["amount"]) for one in now.values()) != whole:
                self._world.checks.fail(f"E: {parts} are parts of {whole}, and come to {now}")
            places = {one: rest.place(one, mirror) for one in parts}
            if set(places.values()) != {"here", "elsewhere"} or any(rest.excuses_around(one, mirror) for one in parts):
                continue
            booked = {name: len(rest.parts(mirror).get(_token(one, one), ())) for name, one in now.items()}
            if booked != {one: int(place == "here") for one, place in places.items()}:
                self._world.checks.fail(f"E: parts of one payment belong {places}, and are booked {booked} at {mirror}")
            self._world.reached["parts of a payment of several entities, each in its books"] += 1


def _token(one: Shown, part: Shown) -> tuple[str, Decimal]:
    return one["currency"], Decimal(part["amount"])
