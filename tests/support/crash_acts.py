"""What people do to documents in the crash matrix, and what is there before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from config.file import AccordConfig
from connectors.stripe.sandbox.ledger import PERSON
from connectors.stripe.translate.reading import NUMBER_KEY
from core.model.documents import KINDS, Document, Payment
from core.model.policy import DocumentPolicy
from core.store import mappings
from core.store.database import Tx
from core.sync.documents.marking import mark_documents, mark_mappings
from core.sync.linking import link, unlink
from tests.support.acting import everybody, mapped, with_policy
from tests.support.crash_jobs import run_lane
from tests.support.crashes import FragileWorld
from tests.support.lookalikes import stripe_of
from tests.support.paper import BOOKS, SINCE, bill, pay, with_documents

LINES: tuple[Mapping[str, Any], ...] = (
    {"description": "Seats", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"},
    {"description": "Calls", "quantity": "1", "amount": "10.00", "tax": "1.90"},
)
FREE: Mapping[str, Any] = {"description": "Free", "quantity": "1", "amount": "0.00"}
LONG = 102
"""Lines of a long invoice: HubSpot makes a hundred of them with it."""
TOTAL = "130.90"
PAID = "30.90"
CREDITED = "10.00"
ORIGINS: Mapping[str, str] = {"quickbooks": "stripe", "hubspot": "stripe", "stripe": "quickbooks"}
"""Where documents come from that are copied to each."""
COLLECTS: Mapping[str, Mapping[str, Any]] = {
    "stripe": {"auto_advance": True},
    "quickbooks": {"AllowOnlineCreditCardPayment": True, "EmailStatus": "NeedToSend"},
    "hubspot": {"hs_invoice_billable": "true"},
}
"""What somebody switches on so that a system gets a copy paid."""


ENTITY = "metadata.entity"
GRACE = "Grace Hopper"
"""The contact who is billed instead."""
FIRM = "Hopper & Co"
"""The company that is billed instead."""


def config_for(mirror: str, *, has_entities: bool = False, has_contacts: bool = False) -> AccordConfig:
    """One system's documents are copied to one other; with entities, that is one's books, and a third another one's.

    With contacts, a customer is a company at HubSpot, and has a billing contact.
    """
    kinds = ("invoice",) if mirror == "hubspot" else KINDS
    policies = {
        ORIGINS[mirror]: DocumentPolicy(originates=KINDS),
        mirror: DocumentPolicy(mirrors=kinds, since=SINCE),
    }
    if has_entities:
        policies[mirror] = replace(policies[mirror], entities=("us",))
        policies["hubspot"] = DocumentPolicy(mirrors=("invoice",), since=SINCE, entities=("eu",))
    settings = {"quickbooks": BOOKS, "stripe": {"mirror_open_invoices": "yes"}}
    if not has_contacts:
        return with_documents(policies, settings, {})
    contacts = {"hubspot": {"untyped": "company", "billing_contact": "true"}}
    return with_policy(with_documents(policies, {**settings, **contacts}, {}), "hubspot", enters="marked")


# ---- what people do ----------------------------------------------------------------------------------


class Side:
    """One world's origin, and the system that copies."""

    def __init__(self, world: FragileWorld, mirror: str) -> None:
        """Of `config_for(mirror)`."""
        self.world, self.mirror, self.origin = world, mirror, ORIGINS[mirror]

    def bill(self, number: int = 1, **changes: Any) -> str:
        """A person makes an invoice."""
        named = {"number": f"N-{number}"} if self.origin == "quickbooks" else {}
        return bill(self.world, self.origin, *LINES, **named, **changes)

    def invoices(self) -> list[str]:
        """Of the origin, in the order in which they were made."""
        return list(self.world.lookalikes[self.origin].neutral("invoice"))

    def edit(self, kind: str, remote_id: str | None, **changes: Any) -> str:
        """A person changes something at the origin."""
        return self.world.lookalikes[self.origin].edit(kind, remote_id, changes)

    def tell(self, kind: str, retell: Callable[[Any], Document]) -> None:
        """The origin says something else of its only document of a kind from now on."""
        (remote_id,) = (
            name
            for name, one in self.world.lookalikes[self.origin].neutral(kind).items()
            if one["status"] in ("open", "succeeded")
        )
        self.world.says[kind] = retell
        hub = self.world.hub
        named = {(kind, remote_id): "t"}
        self.world.db.run_now(
            lambda tx: mark_documents(tx, hub, hub.connections[self.origin], named, reason="a person says so")
        )

    async def follow(self) -> None:
        """The origin's lane, then the copy's."""
        self.world.clock.time += self.world.timing.changes_every + 1
        for name in (self.origin, self.mirror):
            await run_lane(self.world, name)


async def invoice(side: Side) -> None:
    """A person makes an invoice."""
    side.bill()
    await side.follow()


async def finalise(side: Side) -> None:
    """A draft, known already, is finalised."""
    side.edit("invoice", side.invoices()[0], status="open")
    await side.follow()


async def payment(side: Side) -> None:
    """A part of the invoice is paid."""
    pay(side.world, side.invoices()[0], PAID, side.origin)
    await side.follow()


async def split(side: Side) -> None:
    """One payment is for a part of each of two invoices."""
    applications = [{"invoice": one, "amount": PAID} for one in side.invoices()]
    pay(side.world, "", str(2 * Decimal(PAID)), side.origin, applications=applications)
    await side.follow()


async def credit(side: Side) -> None:
    """A part of the invoice is credited."""
    (customer,) = side.world.neutral(side.origin)
    named = {"number": "C-1"} if side.origin == "quickbooks" else {}
    line = {"description": "Sorry", "quantity": "1", "amount": CREDITED}
    note = {"customer": customer, "currency": "USD", "invoice": side.invoices()[0], "lines": [line]}
    side.edit("credit_note", None, **note, **named, applied=CREDITED)
    await side.follow()


async def relabel(side: Side) -> None:
    """Somebody changes the number that stands at the copy of the credit note."""
    ledger = stripe_of(side.world).ledger
    (copy,) = ledger.things["credit_note"].values()
    ledger.put({**copy, "metadata": {**copy["metadata"], NUMBER_KEY: "C-9"}}, PERSON, "credit_note.updated")
    side.world.clock.time += side.world.timing.changes_every + 1
    await run_lane(side.world, "stripe")


async def uncredit(side: Side) -> None:
    """The credit note is voided."""
    (note,) = side.world.lookalikes[side.origin].neutral("credit_note")
    side.edit("credit_note", note, status="void")
    await side.follow()


async def void(side: Side) -> None:
    """The invoice is voided."""
    side.edit("invoice", side.invoices()[0], status="void")
    await side.follow()


async def bounce(side: Side) -> None:
    """The payment turns out to be none."""
    side.tell("payment", lambda one: replace(one, status="void"))
    await side.follow()


async def refund(side: Side) -> None:
    """All of the payment goes back."""
    side.tell("payment", lambda one: replace(one, refunded=Decimal(PAID)))
    await side.follow()


async def write_off(side: Side) -> None:
    """The invoice is given up."""
    lost = {"status": "uncollectible", "written_off": Decimal(TOTAL), "due": Decimal("0.00")}
    side.tell("invoice", lambda one: replace(one, **lost))
    await side.follow()


async def apply_the_rest(side: Side) -> None:
    """A payment of which a part was left over settles the invoice with that, too."""
    side.tell("payment", lambda one: _applied(one, PAID))
    await side.follow()


async def collect(side: Side) -> None:
    """Somebody lets the other system collect the copy."""
    mirror = side.world.lookalikes[side.mirror]
    (copy,) = mirror.neutral("invoice")
    mirror.edit("invoice", copy, {"extra": COLLECTS[side.mirror]})
    side.world.clock.time += side.world.timing.changes_every + 1
    if side.mirror == "hubspot":
        _look_at(side.world, copy)
    await run_lane(side.world, side.mirror)


def _look_at(world: FragileWorld, copy: str) -> None:
    """HubSpot tells of no edit of an invoice."""
    hub = world.hub
    rows = world.db.read_now(lambda tx: mappings.by_remote_ids(tx, "hubspot", "invoice", [copy])).values()
    world.db.run_now(lambda tx: mark_mappings(tx, hub, list(rows), reason="a person says so", trace="t"))


async def long_invoice(side: Side) -> None:
    """An invoice of more lines than one request makes."""
    bill(side.world, side.origin, *LINES, *[FREE] * (LONG - len(LINES)))
    await side.follow()


async def belong(side: Side) -> None:
    """Somebody says at the origin whose customer it is."""
    (customer,) = side.world.neutral(side.origin)
    side.world.lookalikes[side.origin].edit("customer", customer, {ENTITY: "us"})
    await side.follow()


async def untie(side: Side) -> None:
    """Somebody ties the copy to another contact instead."""
    hubspot = side.world.lookalikes["hubspot"]
    (copy,) = hubspot.neutral("invoice")
    hubspot.edit("invoice", copy, {"customer": hubspot.edit("customer", None, {"name": "Grace"})})
    _look_at(side.world, copy)
    await run_lane(side.world, "hubspot")


async def recontact(side: Side) -> None:
    """A person says that another contact is billed."""
    world, hubspot = side.world, side.world.lookalikes["hubspot"]
    (copy,) = hubspot.neutral("invoice")
    (old,) = [str(one.remote_id) for one in mapped(world, "hubspot") if one.part]
    (new,) = [name for name, one in world.neutral("hubspot").items() if one["name"] == GRACE]
    (owner,) = everybody(world)

    def exchange(tx: Tx) -> None:
        unlink(tx, world.hub, owner.external_id, "hubspot", remote_id=old, actor="ann", trace="t")
        link(tx, world.hub, owner.external_id, "hubspot", new, actor="ann", trace="t")

    hubspot.edit("customer", old, {"email": ""})
    world.db.run_now(exchange)
    _look_at(world, copy)
    await run_lane(world, "hubspot")


async def rehome(side: Side) -> None:
    """A person says that another company of HubSpot's is the customer: the copy goes to it, and off the former one."""
    world, hubspot = side.world, side.world.lookalikes["hubspot"]
    (copy,) = hubspot.neutral("invoice")
    (old,) = [str(one.remote_id) for one in mapped(world, "hubspot") if not one.part and one.state == "live"]
    (contact,) = [str(one.remote_id) for one in mapped(world, "hubspot") if one.part]
    (new,) = [name for name, one in world.neutral("hubspot").items() if one["name"] == FIRM]
    (owner,) = everybody(world)

    def exchange(tx: Tx) -> None:
        unlink(tx, world.hub, owner.external_id, "hubspot", remote_id=old, actor="ann", trace="t")
        link(tx, world.hub, owner.external_id, "hubspot", new, actor="ann", trace="t")

    hubspot.edit("customer", contact, {"email": ""})  # let go of with its company, it would keep the address
    world.db.run_now(exchange)
    _look_at(world, copy)
    await run_lane(world, "hubspot")


def _applied(one: Payment, amount: str) -> Payment:
    return replace(one, applications=(replace(one.applications[0], amount=Decimal(amount)),))


# ---- what is there before --------------------------------------------------------------------------


async def nothing(side: Side) -> None:
    """A customer alone."""


async def a_draft(side: Side) -> None:
    """A draft that the registry knows."""
    side.bill(status="draft")
    await side.follow()


async def two_invoices(side: Side) -> None:
    """Both copied."""
    await invoice(side)
    side.bill(2)
    await side.follow()


async def a_payment(side: Side) -> None:
    """An invoice, paid in part."""
    await invoice(side)
    await payment(side)


async def a_credit(side: Side) -> None:
    """An invoice, credited in part."""
    await invoice(side)
    await credit(side)


async def another_contact(side: Side) -> None:
    """An invoice, copied, and a contact that is nobody's yet."""
    await invoice(side)
    side.world.lookalikes["hubspot"].edit("customer", None, {"name": GRACE})
    await side.follow()


async def another_company(side: Side) -> None:
    """An invoice, copied, and a company that is nobody's yet."""
    await invoice(side)
    side.world.lookalikes["hubspot"].edit("customer", None, {"name": FIRM, "customer_type": "company"})
    await side.follow()


async def a_rest(side: Side) -> None:
    """A payment of which a part settles nothing yet."""
    await invoice(side)
    side.world.says["payment"] = lambda one: _applied(one, "20.90")  # type: ignore[arg-type]  # of the kind that it is kept by
    await payment(side)
