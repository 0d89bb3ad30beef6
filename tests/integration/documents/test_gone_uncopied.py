"""What its origin lost before it was copied: whether it stands a person is asked, and nothing is made of it before."""

from __future__ import annotations

import pytest

from tests.integration.documents.test_copies_at_stripe import LINE, booking
from tests.support.acting import answer, held
from tests.support.paper import an_hour_later, at_rest, bill, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio


def credit(world: World, invoice: str, amount: str) -> str:
    """A credit memo of the books', applied to an invoice."""
    (customer,) = world.neutral("quickbooks")
    memo = {"customer": customer, "currency": "USD", "invoice": invoice, "applied": amount, "number": "C-1"}
    line = {"description": "Sorry", "amount": amount, "product": "1"}
    return world.lookalikes["quickbooks"].edit("credit_note", None, {**memo, "lines": [line]})


async def credited_and_taken_back() -> tuple[World, str, str]:
    """An open invoice has no copy yet, and its credit is deleted before it has one: the world, invoice, and note."""
    world = await booking(mirror_open_invoices="no")
    invoice = bill(world, "quickbooks", LINE, number="B-1")
    note = credit(world, invoice, "50.00")
    await world.next_sweep()
    world.lookalikes["quickbooks"].delete("credit_note", note)
    await world.next_sweep()
    return world, invoice, note


@pytest.mark.parametrize("choice", ["accept", "leave"])
async def test_a_credit_that_is_gone_at_its_origin_is_not_made_elsewhere_while_that_is_asked(choice: str) -> None:
    """It was issued at Stripe all the same: of the payments that settled the invoice one had no room any more."""
    world, invoice, _ = await credited_and_taken_back()
    pay(world, invoice, "60.00", "quickbooks")
    pay(world, invoice, "59.00", "quickbooks")
    for _ in range(2):
        await world.next_sweep()
    await an_hour_later(world)

    assert shown(world, "stripe", "credit_note") == []
    (copy,) = shown(world, "stripe")
    assert (copy["status"], copy["paid"], copy["credited"]) == ("paid", "119.00", "0.00")
    assert {one.connection for one in held(world)} == {"quickbooks"}
    (asked,) = held(world, "document_gone")

    await answer(world, asked, choice)
    await an_hour_later(world)
    if choice == "accept":
        at_rest(world)
    else:
        # it stays as it was, and so it is to be copied: of an invoice that is paid nothing can be taken off
        (asked,) = [one for one in held(world) if one.connection == "stripe"]
        assert asked.detail["document"] == "credit_note"


async def test_a_payment_that_is_gone_at_its_origin_is_not_told_elsewhere_while_that_is_asked() -> None:
    """It was none, and the whole came in later: told at Stripe first, it left no room for that."""
    world = await booking(mirror_open_invoices="no")
    invoice = bill(world, "quickbooks", LINE, number="B-1")
    payment = pay(world, invoice, "50.00", "quickbooks")
    await world.next_sweep()
    world.lookalikes["quickbooks"].delete("payment", payment)
    await world.next_sweep()

    pay(world, invoice, "119.00", "quickbooks")
    for _ in range(2):
        await world.next_sweep()

    told = [one["amount"] for one in shown(world, "stripe", "payment") if one["status"] == "succeeded"]
    assert told == ["119.00"]
    assert [(one.connection, one.reason) for one in held(world)] == [("quickbooks", "document_gone")]


async def test_of_an_invoice_whose_credit_is_gone_only_the_credit_is_asked_about() -> None:
    """That more of it was known of than its origin had settled was asked beside it, for as long as nobody answered."""
    world, _, _ = await credited_and_taken_back()
    for _ in range(2):
        await an_hour_later(world)
    (asked,) = [one for one in held(world) if one.connection == "quickbooks"]
    assert asked.reason == "document_gone"
    world.clock.time += 5 * 86_400
    await answer(world, asked, "leave")
    for _ in range(2):
        await an_hour_later(world)
    assert [one.reason for one in held(world) if one.connection == "quickbooks"] == ["unaccounted"]
