"""Clerks bill, are paid, credit, void, and spoil copies, at any system. What they did is remembered for the judge.

A clerk's cause is the only excuse for a copy that is not equal, or that waits for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, Final

from core.errors import TakenError
from core.sandbox.lookalike import LookAlike
from core.sandbox.papers import PLACES
from core.store import mappings
from tests.simulation.at_copies import AtCopies
from tests.simulation.papers import DELETED, EVERYWHERE, Named, Shown, form_number, is_due, whose
from tests.simulation.routes import mirrors_of
from tests.simulation.tape import BRANCH, Billing, Event, is_books

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld

DAYS: Final = {"issued_on": "2026-11-18", "due_on": "2026-12-18"}
SOLD: Final = ("Seats", "API calls", "Onboarding", "Größe L")


class Clerks:
    """Everybody who touches documents in a world."""

    def __init__(self, world: SimWorld, billing: Billing | None) -> None:
        """Nobody has done anything; without `billing` nobody will."""
        self._world, self.restores, self.billers = world, world.restores, world.tape.profile.billers
        self.causes: dict[Named, dict[str, set[str]]] = {}
        """Why a document may be held, or not be equal: by document and mirror, or EVERYWHERE."""
        self.ours: set[tuple[str, str, str]] = set()
        """What Accord made: system, kind, id."""
        self.settles: dict[Named, tuple[Named, ...]] = {}
        """The invoices of a payment or a credit note, as it was made; of copies, what they are copies of."""
        self.together: set[Named] = set()
        """Parts of one payment of several invoices: of which of them a part went back, Stripe does not tell."""
        self.gone: dict[Named, Shown] = {}
        """Documents that were deleted where they were made, as they were last."""
        self.unpaid: dict[Named, Shown] = {}
        """Payments that were voided, or lost an invoice, where they were made, as they were before."""
        self.at_copies = AtCopies(self, mirrors_of(billing) if billing else {})
        self._credits = Random(f"lines below 0 of {world.tape.seed}") if billing and billing.credits else None
        self._used: set[tuple[str, Decimal]] = set()

    # ---- looking ---------------------------------------------------------------------------------------

    def shown(self, system: str, kind: str) -> Mapping[str, Shown]:
        """One system's documents of a kind; HubSpot has invoices only."""
        has_any = system != "hubspot" or kind == "invoice"
        return self._world.sites[system].lookalike.neutral(kind) if has_any else {}

    def is_linked(self, system: str, kind: str, name: str) -> bool:
        """Whether the registry knows that this is a copy, and will after a restore."""
        known = self._world.db.read_now(lambda tx: mappings.by_remote_ids(tx, system, kind, [name]))
        return bool(known) and self.restores.will_know(system, name)

    def originals(self, kind: str) -> dict[Named, Shown]:
        """What people made, wherever they bill, also what they deleted since."""
        found = {one: shown for one, shown in self.gone.items() if one.kind == kind}
        for system in self.billers:
            there = self.shown(system, kind).items()
            found |= {Named(system, kind, name): one for name, one in there if (system, kind, name) not in self.ours}
        return found

    def copies(self, system: str, kind: str) -> dict[str, Shown]:
        """What Accord made there. A void at QuickBooks takes our marker away."""
        there = self.shown(system, kind).items()
        return {name: one for name, one in there if one.get("mark") or (system, kind, name) in self.ours}

    def blame(self, one: Named, cause: str, mirror: str = EVERYWHERE) -> None:
        """From now on this may be held there."""
        self.causes.setdefault(one, {}).setdefault(mirror, set()).add(cause)

    def count(self, what: str) -> None:
        """It was done."""
        self._world.reached[f"clerk: {what}"] += 1

    # ---- acting ----------------------------------------------------------------------------------------

    def perform(self, event: Event) -> None:
        """One clerk's moment; what the system would refuse is not done."""
        there = self.at_copies
        acts: Mapping[str, Callable[[str, Random], None]] = {
            "bill": self._bill, "finalise": self._finalise, "redraft": self._redraft, "drop": self._drop,
            "pay": self._pay, "pay many": self._pay_many, "credit": self._credit, "void": self._void,
            "write off": self._write_off, "refund": self._refund, "unpay": self._unpay, "amend": self._amend,
            "delete": self._delete, "spoil": there.spoil, "restate": there.restate, "lose": there.lose,
            "replay": self._replay, "pay there": there.pay, "pay twice": there.pay_twice, "overpay": there.overpay,
            "bill twice": there.bill_twice, "close books": there.close_books, "open books": there.open_books,
            "meddle": there.meddle, "mark paid": self._mark_paid, "note": self._note,
        }  # fmt: skip
        what = event.what.removeprefix("clerk ")
        try:
            acts[what](event.system, Random(event.pick))
        except (TakenError, ValueError, KeyError) as refused:
            self._world.note(f"refused: {type(refused).__name__} {refused}")

    def lookalike(self, system: str) -> LookAlike:
        """A system as its people see it."""
        return self._world.sites[system].lookalike

    def edit(self, system: str, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        """A person's edit; returns the id."""
        return self.lookalike(system).edit(kind, remote_id, changes)

    @staticmethod
    def some(rng: Random, shown: Mapping[str, Shown], fits: Callable[[Shown], bool]) -> tuple[str, Shown] | None:
        """One of those that fit."""
        found = sorted(name for name, one in shown.items() if fits(one))
        name = rng.choice(found) if found else ""
        return (name, shown[name]) if name else None

    def own(self, system: str, kind: str = "invoice") -> dict[str, Shown]:
        """What people made there."""
        there = self.shown(system, kind).items()
        return {name: one for name, one in there if (system, kind, name) not in self.ours}

    # ---- invoices --------------------------------------------------------------------------------------

    def _bill(self, system: str, rng: Random) -> None:
        self.bill(system, rng, is_draft=system == "stripe" and rng.random() < 0.4)

    def bill(self, system: str, rng: Random, *, is_draft: bool) -> str | None:
        """Bill somebody; returns the invoice's id, None where there is nobody."""
        people = self.shown_customers(system)
        found = self.some(rng, people, lambda one: one.get("status") != "inactive")
        if found is None:
            return None
        return self.bill_somebody(system, rng, *found, is_draft=is_draft)

    def bill_somebody(self, system: str, rng: Random, customer: str, one: Shown, *, is_draft: bool = False) -> str:
        """Bill this customer."""
        changes = self.bill_of(system, rng, customer, one) | {"status": "draft" if is_draft else "open"}
        made = self.edit(system, "invoice", None, changes)
        self.count(f"billed at {system} with {PLACES[changes['currency']]} decimals")
        return made

    def bill_of(self, system: str, rng: Random, customer: str, one: Shown) -> dict[str, Any]:
        """What somebody types in."""
        currency = self._currency(system, one)
        changes = {"customer": customer, "currency": currency, **DAYS, "lines": list(self.lines(rng, currency))}
        if is_books(system):
            changes["number"] = form_number("QE"[system == BRANCH], self.shown(system, "invoice"), rng)
        return changes

    def shown_customers(self, system: str) -> Mapping[str, Shown]:
        """Who can be billed."""
        return self.lookalike(system).neutral("customer")

    def _currency(self, system: str, customer: Shown) -> str:
        """That of the customer's books; of somebody who is not in them, their home currency."""
        if is_books(system):
            return str(customer["currency"])
        email = (customer.get("email") or "").casefold()
        for one in self.shown_customers("quickbooks").values():
            if email and (one.get("email") or "").casefold() == email:
                return str(one["currency"])
        return str(customer.get("currency") or "USD")

    def lines(self, rng: Random, currency: str) -> Iterator[dict[str, str]]:
        """One to four lines, and perhaps one below 0 that takes a part of them back."""
        given = list(self._sold(rng, currency))
        if self._credits and self._credits.random() < 0.6:
            self._give_back(self._credits, given, self.unit(currency))
        yield from given

    def _give_back(self, rng: Random, given: list[dict[str, str]], unit: Decimal) -> None:
        """A line without tax, at any place: what is left of all of them is above 0."""
        net = sum(
            (Decimal(one["quantity"]) * Decimal(one["unit_amount"]) - Decimal(one["discount"]) for one in given),
            Decimal(0),
        )
        quantity = rng.randint(1, 3)
        most = min(int(net / unit / quantity), 9_000)
        if most > 1:
            price = -unit * rng.randint(1, most - 1)
            back = {"description": "Unused", "quantity": str(quantity), "unit_amount": str(price)}
            given.insert(rng.randint(0, len(given)), back | {"discount": "0", "tax": "0"})
            self.count("a line below 0")

    def _sold(self, rng: Random, currency: str) -> Iterator[dict[str, str]]:
        """One to four lines."""
        unit = self.unit(currency)
        for _ in range(rng.randint(1, 4)):
            quantity, price = rng.randint(1, 9), unit * rng.randint(1, 9_000)
            tax = price * quantity * Decimal("0.19") // unit * unit if rng.random() < 0.5 else Decimal(0)
            discount = unit * rng.randint(1, 9) if rng.random() < 0.2 and price * quantity > unit * 20 else Decimal(0)
            yield {
                "description": rng.choice(SOLD),
                "quantity": str(quantity),
                "unit_amount": str(price),
                "discount": str(discount),
                "tax": str(tax),
            }

    @staticmethod
    def unit(currency: str) -> Decimal:
        """Stripe's amounts with three decimals end in 0."""
        places = PLACES[currency]
        return Decimal(1).scaleb(-places) * (10 if places == 3 else 1)

    def _finalise(self, system: str, rng: Random) -> None:
        found = self.some(rng, self.own(system), lambda one: bool(one["status"] == "draft"))
        if found:
            self.edit(system, "invoice", found[0], {"status": "open"})
            self.count("finalised")

    def _redraft(self, system: str, rng: Random) -> None:
        found = self.some(rng, self.own(system), lambda one: bool(one["status"] == "draft"))
        if found:
            self.edit(system, "invoice", found[0], {"lines": list(self.lines(rng, found[1]["currency"]))})
            self.count("draft changed")

    def _drop(self, system: str, rng: Random) -> None:
        found = self.some(rng, self.own(system), lambda one: bool(one["status"] == "draft"))
        if found:
            self._world.sites[system].lookalike.delete("invoice", found[0])
            self.count("draft deleted")

    def _void(self, system: str, rng: Random) -> None:
        """Only what nothing has settled; the books take payments off first, if there are any."""
        is_bold = is_books(system) and rng.random() < 0.3
        found = self.some(rng, self.own(system), lambda one: is_due(one) and (is_bold or one["due"] == one["total"]))
        if found:
            self.forget_applied(system, Named(system, "invoice", found[0]))
            self.edit(system, "invoice", found[0], {"status": "void"})
            self.count("voided" if found[1]["due"] == found[1]["total"] else "voided after a part was paid")

    def forget_applied(self, system: str, named: Named) -> None:
        """What settles an invoice, or its copy, is about to be taken off it; the copies of that cannot all follow."""
        for kind in ("payment", "credit_note"):
            for name, one in self.own(system, kind).items():
                settler = Named(system, kind, name)
                if named in self.settles.get(settler, ()):
                    self.blame(settler, "taken off its invoice")
                    self.blame(named, "what settled it was taken off it")
                    if kind == "payment":
                        self.unpaid.setdefault(settler, one)

    def _write_off(self, system: str, rng: Random) -> None:
        found = self.some(rng, self.own(system), is_due)
        if found and system == "stripe":
            self.edit(system, "invoice", found[0], {"status": "uncollectible"})
            for books in filter(is_books, self._world.systems):
                self.blame(Named(system, "invoice", found[0]), "written off", books)
            self.count("written off")

    def _mark_paid(self, system: str, rng: Random) -> None:
        """As somebody does who saw the money come in elsewhere: no payment tells of it."""
        found = self.some(rng, self.own(system), is_due)
        if found is None or system != "stripe":
            return
        name, one = found
        told = (one["currency"], Decimal(one["due"]))
        if told in self._used:
            raise ValueError("a payment of that amount could not be told from it")
        self.edit(system, "invoice", name, {"status": "paid"})
        self._used.add(told)
        self._world.accounts.mark(Named(system, "invoice", name), told[1])
        self.count("marked as paid")

    def _note(self, system: str, rng: Random) -> None:
        """A word for colleagues, on what is paid: the invoice is told of again, and is as it was."""
        found = self.some(rng, self.own(system), lambda one: bool(one["status"] == "paid"))
        if found and system == "stripe":
            self.edit(system, "invoice", found[0], {"metadata": {"note": str(rng.randrange(10**6))}})
            self.count("a word noted on an invoice")

    def _amend(self, system: str, rng: Random) -> None:
        """The books let people change what was final."""
        found = self.some(rng, self.own(system), lambda one: is_due(one) and one["due"] == one["total"])
        if found and is_books(system):
            self.edit(system, "invoice", found[0], {"lines": list(self.lines(rng, found[1]["currency"]))})
            self.blame(Named(system, "invoice", found[0]), "changed after it was final")
            self.count("changed after it was final")

    def _delete(self, system: str, rng: Random) -> None:
        """So do they let them delete it."""
        kind = rng.choice(("invoice", "invoice", "payment", "credit_note"))
        found = self.some(rng, self.own(system, kind), lambda _: True)
        if found and is_books(system):
            named = Named(system, kind, found[0])
            if kind == "invoice":
                self.forget_applied(system, Named(system, "invoice", found[0]))
            self._world.sites[system].lookalike.delete(kind, found[0])
            self.gone[named] = found[1]
            self.blame(named, DELETED)
            self.count(f"{kind} deleted where it was made")

    # ---- what settles them -----------------------------------------------------------------------------

    def _pay(self, system: str, rng: Random) -> None:
        found = self.some(rng, self.own(system), is_due)
        if found:
            self.paid(system, rng, [found])

    def _pay_many(self, system: str, rng: Random) -> None:
        """One payment for several invoices of a customer."""
        first = self.some(rng, self.own(system), is_due)
        if first is None:
            return
        same, own = whose(first[1]), self.own(system).items()
        due = sorted((name, one) for name, one in own if is_due(one) and whose(one) == same)
        self.paid(system, rng, rng.sample(due, min(len(due), rng.randint(2, 3))))

    def paid(self, system: str, rng: Random, some: Sequence[tuple[str, Shown]], *, extra: bool = False) -> None:
        """One payment of some invoices of a customer; `extra`: more than they take."""
        parts = [{"invoice": name, "amount": self.part(rng, one)} for name, one in some]
        whole = sum((Decimal(one["amount"]) for one in parts), Decimal(0))
        whole += self.unit(some[0][1]["currency"]) * rng.randint(1, 9_000) if extra else 0
        method = "bank transfer" if system == "stripe" and rng.random() < 0.5 else ""
        made = self.record(system, some[0][1], parts, whole, method)
        if extra:
            self.blame(made, "more came in than its invoices take", "stripe")
        self.count(f"paid {len(parts)} at once" if len(parts) > 1 else "paid")

    def record(self, system: str, one: Shown, parts: Sequence[Mapping[str, str]], whole: Decimal, method: str) -> Named:
        """A payment of the customer of an invoice; returns it."""
        customer, currency = whose(one)
        changes = {
            "customer": customer,
            "currency": currency,
            "amount": str(whole),
            "received_on": "2026-11-20",
            "applications": parts,
        }
        if method and system == "stripe":
            changes["method"] = method
        made = self.edit(system, "payment", None, changes)
        # what Stripe expected of an invoice when a copy of it was finalised is a person's once that person pays it
        self.ours.discard((system, "payment", made))
        for name, told in self.own(system, "payment").items():
            # Stripe expects a payment of its own for each invoice, and lets it go when another one comes
            if told["status"] == "succeeded":
                invoices = tuple(self.at_copies.original(system, one["invoice"]) for one in told["applications"])
                part = Named(system, "payment", name)
                if part not in self.settles and len(parts) > 1:
                    self.together.add(part)
                self.settles.setdefault(part, invoices)
        return Named(system, "payment", made)

    def _credit(self, system: str, rng: Random) -> None:
        found = self.some(rng, self.own(system), is_due)
        if found is None:
            return
        name, one = found
        amount = self.part(rng, one)
        lines = [{"description": "Sorry", "quantity": "1", "amount": amount}]
        note = {"customer": one["customer"], "currency": one["currency"], "invoice": name, "lines": lines}
        if is_books(system):
            number = form_number("CD"[system == BRANCH], self.shown(system, "credit_note"), rng)
            note |= {"number": number, "issued_on": DAYS["issued_on"]}
        made = self.edit(system, "credit_note", None, {**note, "applied": amount})
        self.settles[Named(system, "credit_note", made)] = (Named(system, "invoice", name),)
        self.count("credited")

    def part(self, rng: Random, one: Shown) -> str:
        """All that is due, or a part of it, in units that all systems can say; no amount twice in a world."""
        currency, due = one["currency"], Decimal(one["due"])
        unit = self.unit(currency)
        units = int(due / unit)
        amount = due if rng.random() < 0.4 else unit * rng.randint(1, max(1, units - 1))
        for _ in range(50):
            if (currency, amount) not in self._used:
                break
            amount = unit * rng.randint(1, max(1, units - 1))
        else:
            raise ValueError("there is no amount left that can be told from the others")
        self._used.add((currency, amount))
        return f"{amount:.{PLACES[currency]}f}"

    def _refund(self, system: str, rng: Random) -> None:
        found = self.some(rng, self.own(system, "payment"), lambda one: one["status"] == "succeeded")
        paid = Named(system, "payment", found[0]) if found else None
        if found and paid and system == "stripe" and paid not in self.together and len(self.settles.get(paid, "")) == 1:
            self.edit(system, "payment", found[0], {"refunded": found[1]["amount"]})
            for name, one in self.own(system, "payment").items():
                if Decimal(one["refunded"]):
                    self.blame(Named(system, "payment", name), "refunded")
            self.count("refunded")

    def _unpay(self, system: str, rng: Random) -> None:
        """A payment of the books was none."""
        found = self.some(rng, self.own(system, "payment"), lambda one: one["status"] == "succeeded")
        if found and is_books(system):
            self.unpaid[Named(system, "payment", found[0])] = found[1]
            self.edit(system, "payment", found[0], {"status": "void"})
            self.blame(Named(system, "payment", found[0]), "voided after it was told", "stripe")
            self.count("payment voided")

    def _replay(self, system: str, rng: Random) -> None:
        """The provider delivers again what it has delivered, in any order."""
        self._world.post.replay(system, rng)
