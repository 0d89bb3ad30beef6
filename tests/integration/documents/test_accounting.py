"""A tie-out adds up: what is settled of an invoice is the sum of its payments and credit notes, or it is named."""

from __future__ import annotations

from typing import Any

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.sync.documents.tie_out import is_tied, tie_out
from tests.support.acting import held
from tests.support.paper import SINCE, bill, billing, papers, pay, shown, stripe_to_books, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio


def closed(world: World) -> dict[str, Any]:
    """The tie-out of the month."""
    return world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))


def mark_as_paid(world: World, invoice: str) -> None:
    """What Stripe answers of an invoice that was paid outside of it: no payment tells of the money."""
    things = world.lookalikes["stripe"].ledger.things["invoice"]  # type: ignore[attr-defined]
    things[invoice] = {
        **things[invoice], "status": "paid", "amount_paid": things[invoice]["total"], "amount_remaining": 0
    }  # fmt: skip


async def test_an_invoice_that_is_paid_without_a_payment_is_named_with_both_sums() -> None:
    """The registry said paid, the books said open, nobody was asked, and the month was tied out."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    mark_as_paid(world, invoice)
    world.clock.time += 90_000
    await world.settle()
    (paper,) = papers(world)
    assert paper.document.status == "paid"
    assert [(one["status"], one["due"]) for one in shown(world, "quickbooks")] == [("open", "119.00")]
    assert held(world) == []
    found = closed(world)
    assert found["differences"] == []
    (one,) = found["unaccounted"]
    assert (one["connection"], one["id"], one["number"]) == ("stripe", paper.id, paper.called)
    assert (one["settled"], one["known"], one["currency"]) == ("119.00", "0.00", "USD")
    assert "accord sync stripe --kind payments" in one["cure"]
    assert not is_tied(found)


async def test_a_payment_that_is_taken_off_an_invoice_unseen_is_named_too() -> None:
    """The other way round: more is known than the origin says."""
    world = await billing()
    invoice = bill(world)
    pay(world, invoice, "19.00")
    await world.next_sweep()
    assert is_tied(closed(world))
    things = world.lookalikes["stripe"].ledger.things["invoice"]  # type: ignore[attr-defined]
    things[invoice] = {**things[invoice], "amount_paid": 0, "amount_remaining": things[invoice]["total"]}
    world.clock.time += 90_000
    await world.settle()
    (one,) = closed(world)["unaccounted"]
    assert (one["settled"], one["known"]) == ("0.00", "19.00")


async def test_payments_credits_and_a_balance_that_are_all_known_add_up() -> None:
    """What came off a customer's balance at Stripe no document tells of: the invoice does."""
    world = await billing()
    bill(world, "stripe", {"description": "Downgrade", "amount": "-50.00"})
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "69.00")
    await world.next_sweep()
    assert closed(world)["unaccounted"] == []


async def test_what_quickbooks_counts_as_paid_may_be_a_credit() -> None:
    """It tells no credit apart from a payment: both sums together say whether all is known."""
    config = with_documents(
        {"quickbooks": DocumentPolicy(originates=KINDS), "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE)},
        {}, {},
    )  # fmt: skip
    world = await billing(config)
    line = {"description": "Seats", "product": "1", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"}
    invoice = bill(world, "quickbooks", line, number="QB-1")
    await world.next_sweep()
    pay(world, invoice, "19.00", "quickbooks")
    (customer,) = world.neutral("quickbooks")
    memo = {"customer": customer, "currency": "USD", "issued_on": "2026-11-19", "invoice": invoice, "applied": "50.00"}
    world.lookalikes["quickbooks"].edit("credit_note", None, {**memo, "lines": [{"amount": "50.00", "product": "1"}]})
    await world.next_sweep()
    assert closed(world)["unaccounted"] == []
    assert is_tied(closed(world))


async def test_where_policy_takes_no_payments_nothing_can_be_said_of_them() -> None:
    """Only invoices are wanted: that no payment is known is no finding."""
    world = await billing(stripe_to_books(stripe=DocumentPolicy(originates=("invoice",))))
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "119.00")
    await world.next_sweep()
    (paper,) = papers(world)
    assert paper.document.status == "paid"
    assert closed(world)["unaccounted"] == []
