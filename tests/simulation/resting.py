"""The documents of all systems at rest, looked up once; and every reason for which one may differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from connectors.quickbooks.sandbox.paper import WRITTEN_OFF
from core.model.documents import KINDS
from core.store.database import Tx
from core.store.tables import DOCUMENTS, HOLDS, MAPPINGS
from tests.simulation.clerks import Clerks
from tests.simulation.forgotten import is_any_forgotten, remembered_copies
from tests.simulation.lookups import counterpart
from tests.simulation.papers import ABOUT_NONE, DELETED, EVERYWHERE, MARKED, Named, Shown
from tests.simulation.tape import REGISTRY, Billing, is_books
from tests.simulation.whose import EXCUSES, SPLIT, UNKNOWN, Place, Whose

if TYPE_CHECKING:
    from tests.simulation.world import SimWorld

STANDING: Final = ("succeeded", "issued")
IDLE: Final = "the copy is as it was before"
"""What is asked of a write that changed nothing."""
UNTELLABLE: Final = "could not be told of its copy"
"""What is asked of an invoice, where only settled ones are copied, of which something that settles it is refused."""
FORGOTTEN: Final = "voided while nobody remembered its copy"
REFUSED: Final = frozenset({"more came in than its invoices take", "it may not be open there"})
"""Known before a copy is made: where only settled invoices are copied, none that is open stands since then."""


class Rest:
    """The documents of all systems at rest, looked up once."""

    UNASKED: Final = frozenset({"its customer is not there", ABOUT_NONE, DELETED, UNKNOWN, MARKED, FORGOTTEN})
    """Nobody needs to be asked: it waits, people are told, or was deleted before anybody saw it; or not yet.

    (`Accounts` knows when.)
    """

    def __init__(self, world: SimWorld, clerks: Clerks, billing: Billing, tx: Tx) -> None:
        """Look at everything."""
        self._world, self._clerks, self._billing, self.tx = world, clerks, billing, tx
        self.shown: Mapping[str, Mapping[str, Mapping[str, Shown]]]
        self.shown = {system: {kind: clerks.shown(system, kind) for kind in KINDS} for system in world.systems}
        self.originals: Mapping[str, Mapping[Named, Shown]] = {kind: clerks.originals(kind) for kind in KINDS}
        self.holds = _held(tx)
        self._copies: dict[tuple[str, str, str], list[Shown]] = {}
        for system in world.systems:
            for kind in ("invoice", "credit_note"):
                remembered = remembered_copies(tx, system, kind)
                for name, one in clerks.copies(system, kind).items():
                    if one["status"] != "void" or name in remembered:
                        self._copies.setdefault((system, kind, one["number"]), []).append(one)
        self._parts: dict[str, dict[tuple[str, Decimal], list[str]]] = {
            name: self._parts_at(name) for name in world.systems
        }
        self._bound = self._bonds()
        self._claimed = self._claims()
        self._marked = world.accounts.marked
        self.whose = Whose(billing, tx, self._is_there, self.is_held)

    def _parts_at(self, system: str) -> dict[tuple[str, Decimal], list[str]]:
        found: dict[tuple[str, Decimal], list[str]] = {}
        for one in self._clerks.copies(system, "payment").values():
            if one["status"] == "succeeded":
                for part in one["applications"]:
                    number = self.shown[system]["invoice"].get(part["invoice"], {}).get("number", "")
                    found.setdefault((one["currency"], Decimal(part["amount"])), []).append(number)
        return found

    def _bonds(self) -> dict[Named, set[Named]]:
        """Documents that settle each other, however far apart: what keeps one keeps the sums of all."""
        found: dict[Named, set[Named]] = {}
        for one, invoices in self._clerks.settles.items():
            group = {one}
            for invoice in invoices:
                group |= found.get(invoice, {invoice})
            for member in group:
                found[member] = group
        return found

    def bound(self, named: Named) -> set[Named]:
        """Documents that settle each other with this one, and itself."""
        return self._bound.get(named, {named})

    def _is_there(self, invoice: Named, system: str) -> bool:
        number = self.originals["invoice"].get(invoice, {}).get("number", "")
        return bool(self.copies(system, "invoice", number))

    def place(self, named: Named, mirror: str) -> Place:
        """Whether a document belongs in the books of a mirror."""
        if named.kind == "invoice":
            return self.whose.place(named, mirror)
        return self.whose.place_of_settler(named, self._clerks.settles.get(named, ()), mirror)

    def copies(self, system: str, kind: str, number: str) -> Sequence[Shown]:
        """Those with our marker and this number, but those that were voided, and that nobody remembers."""
        return self._copies.get((system, kind, number), ())

    def parts(self, system: str) -> Mapping[tuple[str, Decimal], Sequence[str]]:
        """What copies of payments settle: by currency and amount, the invoices' numbers."""
        return self._parts[system]

    def stands(self, named: Named | None) -> bool:
        """Whether a payment is one, and was not voided or deleted since."""
        one = self.originals["payment"].get(named) if named else None
        return one is not None and one["status"] == "succeeded" and named not in self._clerks.gone

    def number(self, system: str, invoice: str) -> str:
        """The number of an invoice as a system has it, also of one that was deleted where it was made."""
        gone = self.originals["invoice"].get(Named(system, "invoice", invoice), {})
        return str(self.shown[system]["invoice"].get(invoice, gone).get("number", ""))

    @staticmethod
    def books_among(mirrors: Sequence[str]) -> Sequence[str]:
        """Mirrors that have payments and credit notes."""
        return [one for one in mirrors if one != "hubspot"]

    # ---- excuses ---------------------------------------------------------------------------------------

    def excuses(self, named: Named, mirror: str) -> set[str]:
        """Why one document may differ at a mirror."""
        causes = self._clerks.causes.get(named, {})
        found = causes.get(mirror, set()) | causes.get(EVERYWHERE, set())
        one = self.originals[named.kind].get(named)
        if one is None or mirror == EVERYWHERE:
            return found
        found = found | self._about_customer(named, one, mirror) | self._about_application(named, one, mirror)
        found = found | self._about_state(named, mirror) | self._about_forgotten(named, mirror)
        if why := EXCUSES.get(self.place(named, mirror)):
            found = found | {why}
        if mirror == "stripe" and any(_has_three_decimals(line) for line in one.get("lines", ())):
            found = found | {"Stripe has no third decimal"}
        if mirror == "stripe" and named.kind == "invoice" and one["status"] in ("open", "uncollectible"):
            found = found if self._billing.mirrors_open else found | {"it may not be open there"}
        if named.kind == "invoice" and one["status"] == "void":
            found = found | self._about_void(named, one, mirror)
        day = str(one.get("received_on" if named.kind == "payment" else "issued_on") or "")
        if is_books(mirror) and day <= self._clerks.at_copies.closed_through.get(mirror, ""):
            found = found | {"the books were closed"}
        if named.kind == "invoice" and self._claimed.get(named, Decimal(0)) > Decimal(one["total"]):
            found = found | {"more came in than its total, at different systems"}
        return found

    def _about_application(self, named: Named, one: Shown, mirror: str) -> set[str]:
        """In the books a credit is taken off its invoice by deleting the payment that applied it, or is about none."""
        if named.kind != "credit_note":
            return set()
        is_off = self._clerks.settles.get(named) and not Decimal(one["applied"])
        is_about_none = mirror == "stripe" and any(line.get("description") == WRITTEN_OFF for line in one["lines"])
        about_none = {ABOUT_NONE} if is_about_none else set()
        return about_none | ({"taken off its invoice"} if is_off else set())

    def _about_state(self, named: Named, mirror: str) -> set[str]:
        """What a person puts back just after it was written looks as if nothing had been."""
        is_asked = IDLE in self.holds.get(named, {}).get(mirror, "")
        return {"put back at once"} if is_asked and (named, mirror) in self._clerks.at_copies.restated else set()

    def _about_forgotten(self, named: Named, mirror: str) -> set[str]:
        """By the registry an invoice whose copy nobody remembers is not in these books, and a settler is of several."""
        invoices = self._clerks.settles.get(named, ()) if SPLIT in self.told_at(named, mirror) else ()
        found = (
            {"the copy of an invoice of it is forgotten there"} if self._is_any_forgotten(invoices, mirror) else set()
        )
        if (
            named.kind == "invoice"
            and self.originals["invoice"][named]["status"] == "void"
            and self._is_any_forgotten([named], mirror)
        ):
            found.add(FORGOTTEN)  # of a void invoice no copy is made, so that none is looked for
        return found

    def _is_any_forgotten(self, invoices: Iterable[Named], mirror: str) -> bool:
        numbers = {self.number(one.system, one.id) for one in invoices}
        names = [name for name, one in self._clerks.copies(mirror, "invoice").items() if one["number"] in numbers]
        return bool(names) and is_any_forgotten(self.tx, mirror, names)

    def unless_restated(self) -> Mapping[str, Shown]:
        """HubSpot's invoices. A state that a person gave a copy stays while something is asked about it."""
        originals = self.originals["invoice"]
        restated = [one for one, _ in self._clerks.at_copies.restated if one in originals]
        left = {originals[one]["number"] for one in restated if self.is_held(one, "hubspot")}
        return {name: one for name, one in self.shown["hubspot"]["invoice"].items() if one["number"] not in left}

    def _about_void(self, named: Named, one: Shown, mirror: str) -> set[str]:
        """Nothing settles a void invoice, and a draft cannot become one."""
        found = set()
        if any(copy["status"] == "draft" for copy in self.copies(mirror, "invoice", one["number"])):
            found.add("voided while its copy was a draft")
        if any(other.system != named.system for other in self._bound.get(named, ())):
            found.add("voided while something settled it elsewhere")
        return found

    def _about_customer(self, named: Named, one: Shown, mirror: str) -> set[str]:
        there = self._counterpart(named.system, one["customer"], mirror)
        if there is None:
            return {"its customer is not there"}
        if self._is_inactive(mirror, there):
            return {"its customer is inactive there"}
        return {"its customer has another currency there"} if self._is_billed_otherwise(mirror, there, one) else set()

    def _is_billed_otherwise(self, mirror: str, there: str, one: Shown) -> bool:
        """The books have a customer in one currency; Stripe, in that of the first invoice."""
        if is_books(mirror):
            return bool(self._customers(mirror)[there]["currency"] != one["currency"])
        billed = self.shown["stripe"]["invoice"].values() if mirror == "stripe" else ()
        return any(other["customer"] == there and other["currency"] != one["currency"] for other in billed)

    def _claims(self) -> dict[Named, Decimal]:
        """What people paid and credited of each invoice, wherever they did."""
        found: dict[Named, Decimal] = {}
        for one, invoices in self._clerks.settles.items():
            shown = self.originals[one.kind].get(one)
            if shown is None or shown["status"] not in STANDING:
                continue
            amounts = (
                [shown.get("applied")] if one.kind == "credit_note" else [a["amount"] for a in shown["applications"]]
            )
            for invoice, amount in zip(invoices, amounts, strict=False):
                found[invoice] = found.get(invoice, Decimal(0)) + Decimal(amount or 0)
        return found

    def excuses_around(self, named: Named, mirror: str) -> set[str]:
        """The same, with all that settles it or that it settles."""
        bound = self._bound.get(named, {named})
        # what was recorded at the mirror itself may not have come to where the invoice was made
        back = {why for one in bound if one.system == mirror for why in self.excuses(one, named.system)}
        return back | {why for one in bound for why in self.excuses(one, mirror)}

    def excuses_unmade(self, named: Named, mirror: str) -> set[str]:
        """Why an invoice may have no final copy: where that would be payable, what settles it may keep it, too."""
        own = self.excuses(named, mirror)
        if not self._is_settled_only(mirror):
            return own
        kept = {why for one in self.bound(named) for why in self.excuses(one, mirror)}
        return own | (kept if UNTELLABLE in self.told_at(named, mirror) else kept & self.UNASKED)

    def excuses_of_copy(self, named: Named, mirror: str, copy: Shown) -> set[str]:
        """Why one that is there may differ."""
        return self.excuses_unmade(named, mirror) if copy["status"] == "draft" else self.excuses(named, mirror)

    def is_left_payable(self, named: Named, mirror: str, copy: Shown) -> bool:
        """Whether a paid invoice's copy is open although nothing happened to it after it was made."""
        is_open = copy["status"] == "open" and self.originals["invoice"][named]["status"] == "paid"
        return is_open and self._is_settled_only(mirror) and self.excuses_around(named, mirror) <= REFUSED

    def _is_settled_only(self, mirror: str) -> bool:
        return mirror == "stripe" and not self._billing.mirrors_open

    def waits_elsewhere(self, named: Named) -> bool:
        """Whether something that settles it was recorded in another system, and cannot come to where it was made."""
        others = [one for one in self.bound(named) if one.system != named.system]
        # what was marked as paid there takes no payment any more
        return any(self.excuses(one, named.system) for one in others) or bool(others and self._marked(named))

    def _counterpart(self, system: str, customer: str, mirror: str) -> str | None:
        return counterpart(self.tx, system, customer, mirror)

    def is_customer_known(self, system: str, customer: str) -> bool:
        """Whether the registry has whom it was billed to."""
        return self._counterpart(system, customer, REGISTRY) is not None

    def _customers(self, system: str) -> Mapping[str, Shown]:
        return self._clerks.shown_customers(system)

    def _is_inactive(self, mirror: str, customer: str) -> bool:
        there = self._customers(mirror).get(customer)
        return there is None or there.get("status") == "inactive"

    def wrong_customer(self, named: Named, one: Shown, mirror: str, copy: Shown) -> Iterator[str]:
        """A copy is billed to the same customer."""
        there = self._counterpart(named.system, one["customer"], mirror)
        if there is not None and copy["customer"] != there:
            yield f"the customer {copy['customer']}, not {there}"

    # ---- holds -----------------------------------------------------------------------------------------

    def is_held(self, named: Named, mirror: str) -> bool:
        """Whether a person is asked about this copy."""
        return mirror in self.holds.get(named, {})

    def is_asked(self, named: Named, mirror: str) -> bool:
        """Whether a person is asked about the copy, the document, or what is settled with it."""
        bound = self._bound.get(named, {named})
        return any({mirror, one.system, named.system} & self.holds.get(one, {}).keys() for one in bound)

    def told_at(self, named: Named, mirror: str) -> str:
        """What a person is asked about it there."""
        return self.holds.get(named, {}).get(mirror, "")

    def told(self, named: Named) -> str:
        """What people are asked."""
        return "; ".join(f"{name}: {why}" for name, why in sorted(self.holds.get(named, {}).items()))


def _has_three_decimals(line: Shown) -> bool:
    return any(Decimal(line[name]) % Decimal("0.01") for name in ("amount", "discount", "tax"))


def _held(tx: Tx) -> dict[Named, dict[str, str]]:
    """Documents that a person is asked about: by the connection of the question, its words."""
    about = sa.select(
        DOCUMENTS.c.origin, DOCUMENTS.c.kind, DOCUMENTS.c.remote_id, HOLDS.c.connection, HOLDS.c.reason, HOLDS.c.detail
    ).join_from(HOLDS, MAPPINGS, HOLDS.c.subject == sa.literal("m:") + MAPPINGS.c.id)
    about = about.join(DOCUMENTS, DOCUMENTS.c.id == MAPPINGS.c.record_id).where(HOLDS.c.state == "open")
    found: dict[Named, dict[str, str]] = {}
    for origin, kind, remote_id, connection, reason, detail in tx.rows(about):
        found.setdefault(Named(origin, kind, remote_id), {})[connection] = f"{reason} {detail}"
    return found
