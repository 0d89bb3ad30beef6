"""Clerks bill, are paid, credit, void, and spoil copies, at any system. What they did is remembered for the judge.

A clerk's cause is the only excuse for a copy that is not equal, or that waits for a person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from core.errors import TakenError
from core.sandbox.papers import PLACES
from tests.simulation.tape import BILLERS, Event

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld

EVERYWHERE: Final = "*"
DELETED: Final = "deleted where it was made"
DAYS: Final = {"issued_on": "2026-11-18", "due_on": "2026-12-18"}
SOLD: Final = ("Seats", "API calls", "Onboarding", "Größe L")

Shown = Mapping[str, Any]


class Named(NamedTuple):
    """A document where it was made."""

    system: str
    kind: str
    id: str


class Clerks:
    """Everybody who touches documents in a world."""

    def __init__(self, world: SimWorld) -> None:
        """Nobody has done anything."""
        self._world = world
        self.causes: dict[Named, dict[str, set[str]]] = {}
        """Why a document may be held, or not be equal: by document and mirror, or EVERYWHERE."""
        self.ours: set[tuple[str, str, str]] = set()
        """What Accord made: system, kind, id."""
        self.settles: dict[Named, tuple[str, ...]] = {}
        """The invoices of a payment or a credit note, as it was made."""
        self.gone: dict[Named, Shown] = {}
        """Documents that were deleted where they were made, as they were last."""
        self.unpaid: dict[Named, Shown] = {}
        """Payments that were voided where they were made, as they were before."""
        self.spoiled: dict[tuple[str, str], Shown] = {}
        """Copies of invoices whose amounts a person changed, as that person left them."""
        self._used: set[tuple[str, Decimal]] = set()

    # ---- looking ---------------------------------------------------------------------------------------

    def shown(self, system: str, kind: str) -> Mapping[str, Shown]:
        """One system's documents of a kind; HubSpot has invoices only."""
        if system == "hubspot" and kind != "invoice":
            return {}
        return self._world.sites[system].lookalike.neutral(kind)

    def originals(self, kind: str) -> dict[Named, Shown]:
        """What people made, wherever they bill, also what they deleted since."""
        found = {one: shown for one, shown in self.gone.items() if one.kind == kind}
        for system in BILLERS:
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

    def _count(self, what: str) -> None:
        self._world.reached[f"clerk: {what}"] += 1

    # ---- acting ----------------------------------------------------------------------------------------

    def perform(self, event: Event) -> None:
        """One clerk's moment; what the system would refuse is not done."""
        acts: Mapping[str, Callable[[str, Random], None]] = {
            "bill": self._bill, "finalise": self._finalise, "redraft": self._redraft, "drop": self._drop,
            "pay": self._pay, "pay many": self._pay_many, "credit": self._credit, "void": self._void,
            "write off": self._write_off, "refund": self._refund, "unpay": self._unpay, "amend": self._amend,
            "delete": self._delete, "spoil": self._spoil, "restate": self._restate, "lose": self._lose,
            "replay": self._replay,
        }  # fmt: skip
        what = event.what.removeprefix("clerk ")
        try:
            acts[what](event.system, Random(event.pick))
        except (TakenError, ValueError, KeyError) as refused:
            self._world.note(f"refused: {type(refused).__name__} {refused}")

    def _edit(self, system: str, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        return self._world.sites[system].lookalike.edit(kind, remote_id, changes)

    def _some(self, rng: Random, shown: Mapping[str, Shown], fits: Callable[[Shown], bool]) -> tuple[str, Shown] | None:
        found = sorted(name for name, one in shown.items() if fits(one))
        name = rng.choice(found) if found else ""
        return (name, shown[name]) if name else None

    def _own(self, system: str, kind: str = "invoice") -> dict[str, Shown]:
        there = self.shown(system, kind).items()
        return {name: one for name, one in there if (system, kind, name) not in self.ours}

    # ---- invoices --------------------------------------------------------------------------------------

    def _bill(self, system: str, rng: Random) -> None:
        people = self.shown_customers(system)
        found = self._some(rng, people, lambda one: one.get("status") != "inactive")
        if found is None:
            return
        customer, one = found
        currency = self._currency(system, one)
        is_draft = system == "stripe" and rng.random() < 0.4
        changes = {
            "customer": customer,
            "currency": currency,
            **DAYS,
            "lines": list(self._lines(rng, currency)),
            "status": "draft" if is_draft else "open",
        }
        if system == "quickbooks":
            changes["number"] = f"Q-{len(self.shown(system, 'invoice')) + 1:04d}-{rng.randrange(10_000)}"
        self._edit(system, "invoice", None, changes)
        self._count(f"billed at {system} with {PLACES[currency]} decimals")

    def shown_customers(self, system: str) -> Mapping[str, Shown]:
        """Who can be billed."""
        return self._world.sites[system].lookalike.neutral("customer")

    def _currency(self, system: str, customer: Shown) -> str:
        """That of the customer's books; of somebody who is not in them, their home currency."""
        if system == "quickbooks":
            return str(customer["currency"])
        email = (customer.get("email") or "").casefold()
        for one in self.shown_customers("quickbooks").values():
            if email and (one.get("email") or "").casefold() == email:
                return str(one["currency"])
        return str(customer.get("currency") or "USD")

    def _lines(self, rng: Random, currency: str) -> Iterator[dict[str, str]]:
        unit = self._unit(currency)
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
    def _unit(currency: str) -> Decimal:
        """Stripe's amounts with three decimals end in 0."""
        places = PLACES[currency]
        return Decimal(1).scaleb(-places) * (10 if places == 3 else 1)

    def _finalise(self, system: str, rng: Random) -> None:
        found = self._some(rng, self._own(system), lambda one: bool(one["status"] == "draft"))
        if found:
            self._edit(system, "invoice", found[0], {"status": "open"})
            self._count("finalised")

    def _redraft(self, system: str, rng: Random) -> None:
        found = self._some(rng, self._own(system), lambda one: bool(one["status"] == "draft"))
        if found:
            self._edit(system, "invoice", found[0], {"lines": list(self._lines(rng, found[1]["currency"]))})
            self._count("draft changed")

    def _drop(self, system: str, rng: Random) -> None:
        found = self._some(rng, self._own(system), lambda one: bool(one["status"] == "draft"))
        if found:
            self._world.sites[system].lookalike.delete("invoice", found[0])
            self._count("draft deleted")

    def _void(self, system: str, rng: Random) -> None:
        found = self._some(rng, self._own(system), lambda one: _is_due(one) and one["due"] == one["total"])
        if found:
            self._edit(system, "invoice", found[0], {"status": "void"})
            self._count("voided")

    def _write_off(self, system: str, rng: Random) -> None:
        found = self._some(rng, self._own(system), _is_due)
        if found and system == "stripe":
            self._edit(system, "invoice", found[0], {"status": "uncollectible"})
            self.blame(Named(system, "invoice", found[0]), "written off", "quickbooks")
            self._count("written off")

    def _amend(self, system: str, rng: Random) -> None:
        """The books let people change what was final."""
        found = self._some(rng, self._own(system), lambda one: _is_due(one) and one["due"] == one["total"])
        if found and system == "quickbooks":
            self._edit(system, "invoice", found[0], {"lines": list(self._lines(rng, found[1]["currency"]))})
            self.blame(Named(system, "invoice", found[0]), "changed after it was final")
            self._count("changed after it was final")

    def _delete(self, system: str, rng: Random) -> None:
        """So do they let them delete it."""
        kind = rng.choice(("invoice", "invoice", "payment", "credit_note"))
        found = self._some(rng, self._own(system, kind), lambda _: True)
        if found and system == "quickbooks":
            named = Named(system, kind, found[0])
            self._world.sites[system].lookalike.delete(kind, found[0])
            self.gone[named] = found[1]
            self.blame(named, DELETED)
            self._count(f"{kind} deleted where it was made")

    # ---- what settles them -----------------------------------------------------------------------------

    def _pay(self, system: str, rng: Random) -> None:
        found = self._some(rng, self._own(system), _is_due)
        if found:
            self._paid(system, rng, [found])

    def _pay_many(self, system: str, rng: Random) -> None:
        """One payment for several invoices of a customer."""
        first = self._some(rng, self._own(system), _is_due)
        if first is None:
            return
        same = (first[1]["customer"], first[1]["currency"])
        due = sorted(
            (name, one) for name, one in self._own(system).items() if _is_due(one) and _whose(one) == same
        )  # fmt: skip
        self._paid(system, rng, rng.sample(due, min(len(due), rng.randint(2, 3))))

    def _paid(self, system: str, rng: Random, some: Sequence[tuple[str, Shown]]) -> None:
        parts = [{"invoice": name, "amount": self._part(rng, one)} for name, one in some]
        whole = sum((Decimal(one["amount"]) for one in parts), Decimal(0))
        customer, currency = _whose(some[0][1])
        changes = {
            "customer": customer,
            "currency": currency,
            "amount": str(whole),
            "received_on": "2026-11-20",
            "applications": parts,
        }
        if system == "stripe" and rng.random() < 0.5:
            changes["method"] = "bank transfer"
        self._edit(system, "payment", None, changes)
        for name, told in self._own(system, "payment").items():
            # Stripe expects a payment of its own for each invoice, and lets it go when another one comes
            if told["status"] == "succeeded":
                invoices = tuple(one["invoice"] for one in told["applications"])
                self.settles.setdefault(Named(system, "payment", name), invoices)
        self._count(f"paid {len(parts)} at once" if len(parts) > 1 else "paid")

    def _credit(self, system: str, rng: Random) -> None:
        found = self._some(rng, self._own(system), _is_due)
        if found is None:
            return
        name, one = found
        amount = self._part(rng, one)
        lines = [{"description": "Sorry", "quantity": "1", "amount": amount}]
        note = {"customer": one["customer"], "currency": one["currency"], "invoice": name, "lines": lines}
        if system == "quickbooks":
            note |= {"number": f"C-{len(self.shown(system, 'credit_note')) + 1:04d}-{rng.randrange(10_000)}"}
            note |= {"issued_on": DAYS["issued_on"]}
        made = self._edit(system, "credit_note", None, {**note, "applied": amount})
        self.settles[Named(system, "credit_note", made)] = (name,)
        self._count("credited")

    def _part(self, rng: Random, one: Shown) -> str:
        """All that is due, or a part of it, in units that all systems can say; no amount twice in a world."""
        currency, due = one["currency"], Decimal(one["due"])
        unit = self._unit(currency)
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
        found = self._some(rng, self._own(system, "payment"), lambda one: one["status"] == "succeeded")
        if found and system == "stripe" and len(self.settles.get(Named(system, "payment", found[0]), "")) == 1:
            self._edit(system, "payment", found[0], {"refunded": found[1]["amount"]})
            for name, one in self._own(system, "payment").items():
                if Decimal(one["refunded"]):
                    self.blame(Named(system, "payment", name), "refunded")
            self._count("refunded")

    def _unpay(self, system: str, rng: Random) -> None:
        """A payment of the books was none."""
        found = self._some(rng, self._own(system, "payment"), lambda one: one["status"] == "succeeded")
        if found and system == "quickbooks":
            self.unpaid[Named(system, "payment", found[0])] = found[1]
            self._edit(system, "payment", found[0], {"status": "void"})
            self.blame(Named(system, "payment", found[0]), "voided after it was told", "stripe")
            self._count("payment voided")

    # ---- copies ----------------------------------------------------------------------------------------

    def _copy(self, rng: Random, system: str, kind: str = "invoice") -> tuple[str, Shown, Named] | None:
        """A copy that is there, and what it is a copy of."""
        found = self._some(rng, self.copies(system, kind), lambda one: one["status"] != "draft")
        if found is None:
            return None
        of = [one for one, shown in self.originals(kind).items() if _token(kind, shown) == _token(kind, found[1])]
        return (*found, of[0]) if len(of) == 1 else None

    def _spoil(self, system: str, rng: Random) -> None:
        """Somebody changes the amounts of a copy."""
        found = self._copy(rng, system)
        if found is None or found[1]["status"] == "void" or system == "stripe":
            return
        name, one, original = found
        if system == "hubspot":
            lookalike = self._world.sites[system].lookalike
            line = rng.choice(lookalike.objects("invoice")[name]["line_item"])
            self._edit(system, "line_item", line, {"amount": str(self._unit(one["currency"]) * rng.randint(1, 99))})
        else:
            self._edit(system, "invoice", name, {"lines": list(self._lines(rng, one["currency"]))})
        after = self.shown(system, "invoice")[name]
        if after["lines"] == one["lines"]:
            return
        self.spoiled[system, name] = after
        self.blame(original, "a person changed the copy's amounts", system)
        self._count(f"a copy's amounts changed at {system}")

    def _restate(self, system: str, rng: Random) -> None:
        """Somebody changes the state of a copy. What HubSpot says of it is put back, unless it is void there."""
        found = self._copy(rng, system)
        if found is None:
            return
        name, one, original = found
        states = ("open", "paid", "void") if system == "hubspot" else ("void",)
        status = rng.choice([other for other in states if other != one["status"]] or ["void"])
        self._edit(system, "invoice", name, {"status": status})
        self._count(f"a copy's state changed at {system}")
        if status == "void" and original in self.originals("invoice"):
            self.blame(original, "a person voided the copy", system)

    def _lose(self, system: str, rng: Random) -> None:
        """Somebody deletes a copy."""
        kind = "invoice" if system == "hubspot" else rng.choice(("invoice", "payment", "credit_note"))
        found = self._copy(rng, system, kind)
        if found is None or system == "stripe":
            return
        self._world.sites[system].lookalike.delete(kind, found[0])
        self.spoiled.pop((system, found[0]), None)
        self.blame(found[2], "a person deleted the copy", system)
        self._count(f"a copy of an {kind} deleted at {system}")

    def _replay(self, system: str, rng: Random) -> None:
        """The provider delivers again what it has delivered, in any order."""
        self._world.replay(system, rng)


def _is_due(one: Shown) -> bool:
    return bool(one["status"] == "open" and Decimal(one["due"]) > 0)


def _whose(one: Shown) -> tuple[str, str]:
    return one["customer"], one["currency"]


def _token(kind: str, one: Shown) -> tuple[str, str]:
    """What tells a document from all others of its kind in a world, at any system."""
    return (one["currency"], str(Decimal(one["amount"]))) if kind == "payment" else ("", one["number"])
