"""More comes in than an invoice takes: known whole, settled once, and the rest stays with the customer."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.model.documents import KINDS, Invoice, Payment
from core.model.policy import DocumentPolicy
from core.sync.documents.telling import overview
from tests.support.acting import everybody, held
from tests.support.paper import BOOKS, SINCE, at_rest, bill, billing, is_silent, papers, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio
LINE = {"description": "Seats", "product": "1", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"}
CRM = DocumentPolicy(mirrors=("invoice",), since=SINCE, overview=True)


async def over_paid() -> tuple[World, str]:
    """150.00 come in in the books for an invoice of theirs, which is 119.00. Returns the payment, too."""
    policies = {"quickbooks": DocumentPolicy(originates=KINDS), "hubspot": CRM}
    world = await billing(with_documents(policies, {"quickbooks": BOOKS}, {}))
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    applied = [{"invoice": invoice, "amount": "119.00"}]
    payment = pay(world, invoice, "150.00", "quickbooks", applications=applied)
    for _ in range(2):
        await world.next_sweep()
    return world, payment


async def test_an_over_payment_is_known_whole_and_settles_its_invoice_once() -> None:
    """The registry has what came in and what of it was applied; HubSpot shows nothing due; the books keep the rest."""
    world, payment = await over_paid()
    (known,), (invoice,) = papers(world, "payment"), papers(world)
    assert isinstance(known.document, Payment)
    assert isinstance(invoice.document, Invoice)
    assert str(known.document.amount) == "150.00"
    assert [(one.invoice, str(one.amount)) for one in known.document.applications] == [(invoice.id, "119.00")]
    assert (invoice.document.status, invoice.document.paid, invoice.document.due) == ("paid", Decimal(119), Decimal(0))
    assert [(one["status"], one["paid"], one["due"]) for one in shown(world, "hubspot")] == [("paid", "119.00", "0.00")]
    books = world.lookalikes["quickbooks"].objects("payment")
    assert {name: row["UnappliedAmt"] for name, row in books.items()} == {payment: Decimal(31)}
    at_rest(world)
    await is_silent(world)


async def test_the_overview_counts_all_that_came_in_and_nothing_as_still_due() -> None:
    """Gross revenue stays what was billed: what is paid may be more, and is no negative balance."""
    world, _ = await over_paid()
    (ada,) = everybody(world)
    (told,) = world.db.read_now(lambda tx: overview(tx, world.hub, ada.external_id, with_children=False))
    amounts = {name: Decimal(told[name]) for name in ("gross_revenue", "outstanding", "overdue", "paid")}
    assert amounts == {
        "gross_revenue": Decimal(119), "outstanding": Decimal(0), "overdue": Decimal(0), "paid": Decimal(150)
    }  # fmt: skip
    (contact,) = world.lookalikes["hubspot"].objects("customer").values()
    figures = {name: contact["properties"][f"accord_{name}"] for name in ("gross_revenue", "outstanding")}
    assert {name: Decimal(one) for name, one in figures.items()} == {
        "gross_revenue": Decimal(119), "outstanding": Decimal(0)
    }  # fmt: skip


async def test_a_copy_that_has_no_place_for_the_rest_is_held_and_not_cut() -> None:
    """Stripe applies a payment to one invoice, of exactly its amount: 119.00 would not be what came in."""
    stripe = DocumentPolicy(mirrors=KINDS, since=SINCE)
    both = with_documents(
        {"quickbooks": DocumentPolicy(originates=KINDS), "stripe": stripe},
        {"quickbooks": BOOKS, "stripe": {"mirror_open_invoices": "yes"}},
        {},
    )
    world = await billing(both)
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    applied = [{"invoice": invoice, "amount": "119.00"}]
    await world.next_sweep()
    assert [one["due"] for one in shown(world, "stripe")] == ["119.00"]
    pay(world, invoice, "150.00", "quickbooks", applications=applied)
    for _ in range(2):
        await world.next_sweep()
    told = {one.detail["document"]: one for one in held(world)}
    assert "31.00 of 150.00" in told["payment"].detail["problem"], told["payment"].detail
    assert [one["status"] for one in shown(world, "stripe", "payment") if one["status"] == "succeeded"] == []
    assert [one["due"] for one in shown(world, "stripe")] == ["119.00"], "nothing was reported as paid"
