"""What people do at systems that hold copies: they pay, retype, spoil and lose, and close the books."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, Final

from core.errors import TakenError
from core.sandbox.papers import PLACES
from tests.simulation.papers import NOT_TOLD, Named, Shown, is_due, token, whose
from tests.simulation.routes import Mirrors, is_passed_on
from tests.simulation.tape import is_books

if TYPE_CHECKING:
    from core.sandbox.lookalike import Mutation
    from tests.simulation.clerks import Clerks

CLOSED_THROUGH: Final = ("2026-11-18", "2026-11-20", "2026-12-31")
"""After the invoices' day; after the payments', too; with all that is still to come."""


class AtCopies:
    """The moves of people who work where copies are."""

    def __init__(self, clerks: Clerks, mirrors: Mirrors) -> None:
        """Nobody has done anything; the books are open."""
        self._clerks, self._mirrors = clerks, mirrors
        self.spoiled: dict[tuple[str, str], Shown] = {}
        """Copies of invoices whose amounts a person changed, as that person left them."""
        self.retyped: dict[tuple[str, str], Shown] = {}
        """Invoices that a person typed in by hand under the number of another system's."""
        self.twice: dict[Named, Named] = {}
        """Payments that people recorded in both systems."""
        self.restated: set[tuple[Named, str]] = set()
        """Invoices of which a person changed a copy's state: what had just been written there may seem to be idle."""
        self.closed_through: dict[str, str] = {}
        """By company: the latest day through which its books ever were closed."""
        self._meddlers: dict[str, list[Random]] = {}

    # ---- looking -------------------------------------------------------------------------------------------

    def original(self, system: str, invoice: str) -> Named:
        """The invoice itself where this is a copy, and the copy's own name where it is none."""
        is_copy = (system, "invoice", invoice) in self._clerks.ours
        found = self._of(system, "invoice", self._clerks.shown(system, "invoice")[invoice]) if is_copy else None
        return found or Named(system, "invoice", invoice)

    def _of(self, system: str, kind: str, one: Shown) -> Named | None:
        """What this is a copy of."""
        originals = self._clerks.originals(kind).items()
        of = [
            named
            for named, shown in originals
            if named.system != system and named.system in self._mirrors and token(kind, shown) == token(kind, one)
        ]
        return of[0] if len(of) == 1 else None

    def _copy(self, rng: Random, system: str, kind: str = "invoice") -> tuple[str, Shown, Named] | None:
        """A copy that is there, and what it is a copy of."""
        found = self._clerks.some(rng, self._clerks.copies(system, kind), lambda one: one["status"] != "draft")
        of = found and self._of(system, kind, found[1])
        return (*found, of) if found and of else None

    # ---- paying --------------------------------------------------------------------------------------------

    def pay(self, system: str, rng: Random) -> None:
        """Somebody books a payment of a copy, or of several of one customer's."""
        due = self._due(system)
        if not due:
            return
        first = due[rng.choice(sorted(due))]
        same = sorted((name, one) for name, one in due.items() if whose(one) == whose(first))
        some = rng.sample(same, min(len(same), rng.choice((1, 1, 1, 2))))
        self._clerks.paid(system, rng, some, extra=is_books(system) and rng.random() < 0.2)
        for name, _ in some:
            self._booked(system, self.original(system, name))
        self._clerks.count(f"paid {len(some)} at {system}, where the copy is")

    def pay_twice(self, system: str, rng: Random) -> None:
        """The same payment is recorded where the invoice was made and where its copy is."""
        due = self._due(system)
        if not due:
            return
        name = rng.choice(sorted(due))
        original = self.original(system, name)
        there = self._clerks.shown(original.system, "invoice").get(original.id)
        if there is None or original.system == system or not is_due(there):
            return
        least = min(due[name], there, key=lambda one: Decimal(one["due"]))
        amount = self._clerks.part(rng, least)
        places = [(system, name, due[name]), (original.system, original.id, there)]
        made: list[Named] = []
        try:
            for at, invoice, one in rng.sample(places, 2):
                applied = [{"invoice": invoice, "amount": amount}]
                made.append(self._clerks.record(at, one, applied, Decimal(amount), "bank transfer"))
        finally:  # where the other one is refused, this is a payment like any other
            if any(one.system == system for one in made):
                self._booked(system, original)
        self.twice.update(zip(made, reversed(made), strict=True))
        for named in (*made, original):
            self._clerks.blame(named, "recorded in both systems")
        self._clerks.count("paid in both systems")

    def overpay(self, system: str, rng: Random) -> None:
        """More comes in than is due: the books keep what is left over for the customer."""
        found = self._clerks.some(rng, self._clerks.own(system), is_due)
        if found:
            self._clerks.paid(system, rng, [found], extra=True)
            self._clerks.count("overpaid")

    def book(self, system: str, original: Named, amount: Decimal) -> Named | None:
        """Somebody books on a copy what nobody tells of; None where there is no such copy, or the books refuse."""
        due = {name: one for name, one in self._due(system).items() if self.original(system, name) == original}
        name = min((name for name, one in due.items() if Decimal(one["due"]) >= amount > 0), default="")
        if not name:
            return None
        try:
            applied = [{"invoice": name, "amount": f"{amount:.{PLACES[due[name]['currency']]}f}"}]
            made = self._clerks.record(system, due[name], applied, amount, "")
        except (TakenError, ValueError, KeyError) as refused:
            self._clerks.count(f"not booked by hand: {type(refused).__name__}")
            return None
        self._booked(system, original)
        self._clerks.blame(made, "booked by hand of what was marked as paid", original.system)
        self._clerks.count("booked by hand what was marked as paid")
        return made

    def _due(self, system: str) -> dict[str, Shown]:
        there = self._clerks.copies(system, "invoice").items()
        return {name: one for name, one in there if is_due(one) and self._of(system, "invoice", one)}

    def _booked(self, system: str, original: Named) -> None:
        """Where the origin is not told of it, the copy's balance is another one, and a person is asked."""
        if not is_passed_on(self._mirrors, system, original.system):
            self._clerks.blame(original, NOT_TOLD, system)

    # ---- typing --------------------------------------------------------------------------------------------

    def bill_twice(self, system: str, rng: Random) -> None:
        """Somebody types in by hand what was just billed elsewhere, under its number."""
        origin = next(one for one in self._clerks.billers if one in self._mirrors)
        customer = self._clerks.some(
            rng, self._clerks.shown_customers(system), lambda one: one.get("status") != "inactive"
        )
        made = self._clerks.bill(origin, rng, is_draft=False)
        if made is None or customer is None:
            return
        number = self._clerks.shown(origin, "invoice")[made]["number"]
        changes = self._clerks.bill_of(system, rng, *customer) | {"number": number, "status": "open"}
        name = self._clerks.edit(system, "invoice", None, changes)
        self.retyped[system, name] = self._clerks.shown(system, "invoice")[name]
        self._clerks.blame(Named(origin, "invoice", made), "its number is taken there", system)
        self._clerks.count("billed by hand in both systems")

    def close_books(self, system: str, rng: Random) -> None:
        """Nothing dated until then can be booked, changed or voided any more."""
        self._close(system, rng.choice(CLOSED_THROUGH))
        self._clerks.count("books closed")

    def open_books(self, system: str, _rng: Random) -> None:
        """Somebody opens them again."""
        if self.closed_through.get(system):
            self._close(system, None)
            self._clerks.count("books opened")

    def _close(self, system: str, through: str | None) -> None:
        books: Any = self._clerks.lookalike(system)
        books.settings = dataclasses.replace(books.settings, books_closed_through=through)
        self.closed_through[system] = max(self.closed_through.get(system, ""), through or "")

    # ---- spoiling ------------------------------------------------------------------------------------------

    def meddle(self, system: str, rng: Random) -> None:
        """Somebody waits for the next draft of a copy, and gets at it before it is done."""
        self._meddlers.setdefault(system, []).append(rng)

    def made(self, system: str, one: Mutation) -> None:
        """Accord has just made an object: whoever waited for a draft has it now."""
        waiting = self._meddlers.get(system)
        if one.kind != "invoice" or not waiting:
            return
        copy = self._clerks.shown(system, "invoice")[one.id]
        original = self._of(system, "invoice", copy)
        if copy["status"] != "draft" or original is None:
            return
        rng = waiting.pop()
        if system == "stripe" and rng.random() < 0.6:
            lines = list(self._clerks.lines(rng, copy["currency"]))
            self._clerks.edit(system, "invoice", one.id, {"lines": lines})
            self.spoiled[system, one.id] = self._clerks.shown(system, "invoice")[one.id]
            self._clerks.blame(original, "a person changed the draft of the copy", system)
            self._clerks.count(f"a draft of a copy changed at {system}")
        else:
            self._clerks.lookalike(system).delete("invoice", one.id)
            self._clerks.blame(original, "a person deleted the draft of the copy", system)
            self._clerks.count(f"a draft of a copy deleted at {system}")

    def spoil(self, system: str, rng: Random) -> None:
        """Somebody changes the amounts of a copy."""
        found = self._copy(rng, system)
        if found is None or found[1]["status"] == "void" or system == "stripe":
            return
        name, one, original = found
        if system == "hubspot":
            if not self._clerks.is_linked(system, "invoice", name):
                return  # one whose making is in doubt could not be read again: it would stay so until somebody mends it
            line = rng.choice(self._clerks.lookalike(system).objects("invoice")[name]["line_item"])
            amount = self._clerks.unit(one["currency"]) * rng.randint(1, 99)
            self._clerks.edit(system, "line_item", line, {"amount": str(amount)})
        else:
            self._clerks.edit(system, "invoice", name, {"lines": list(self._clerks.lines(rng, one["currency"]))})
        after = self._clerks.shown(system, "invoice")[name]
        if after["lines"] == one["lines"]:
            return
        self.spoiled[system, name] = after
        self._clerks.blame(original, "a person changed the copy's amounts", system)
        self._clerks.count(f"a copy's amounts changed at {system}")

    def restate(self, system: str, rng: Random) -> None:
        """Somebody changes the state of a copy. What HubSpot says of it is put back, unless it is void there."""
        found = self._copy(rng, system)
        if found is None:
            return
        name, one, original = found
        states = ("open", "paid", "void") if system == "hubspot" else ("void",)
        status = rng.choice([other for other in states if other != one["status"]] or ["void"])
        if status == "void":
            self._clerks.forget_applied(system, original)
        self._clerks.edit(system, "invoice", name, {"status": status})
        self._clerks.count(f"a copy's state changed at {system}")
        self.restated.add((original, system))
        if status == "void" and original in self._clerks.originals("invoice"):
            self._clerks.blame(original, "a person voided the copy", system)

    def lose(self, system: str, rng: Random) -> None:
        """Somebody deletes a copy."""
        kind = "invoice" if system == "hubspot" else rng.choice(("invoice", "payment", "credit_note"))
        found = self._copy(rng, system, kind)
        if found is None or system == "stripe":
            return
        if system == "hubspot" and not self._clerks.restores.will_know(system, found[0]):
            return  # made anew under the same marker it is refused, for its lines, and tried again at every look
        if kind == "invoice":
            self._clerks.forget_applied(system, found[2])
        self._clerks.lookalike(system).delete(kind, found[0])
        self.spoiled.pop((system, found[0]), None)
        self._clerks.blame(found[2], "a person deleted the copy", system)
        self._clerks.count(f"a copy of an {kind} deleted at {system}")
