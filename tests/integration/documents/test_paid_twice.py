"""A copy that can be paid is paid at Stripe, while what settled its invoice is held there: it was paid twice."""

from __future__ import annotations

import pytest

from tests.integration.documents.test_copies_at_stripe import LINE, booking
from tests.support.acting import answer, held
from tests.support.paper import at_rest, bill, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def over_paid_in_the_books() -> tuple[World, str]:
    """150.00 came in for an invoice of 119.00, which Stripe has no place for: the copy stays open. Its id, too."""
    world = await booking()
    invoice = bill(world, "quickbooks", LINE, number="B-1")
    await world.next_sweep()
    pay(world, invoice, "150.00", "quickbooks", applications=[{"invoice": invoice, "amount": "119.00"}])
    await world.next_sweep()
    (copy,) = world.lookalikes["stripe"].neutral("invoice")
    (asked,) = held(world)
    assert "31.00 of 150.00 settle no invoice" in str(asked.detail["problem"])
    return world, copy


async def over_paid_twice_in_the_books() -> tuple[World, str]:
    """150.00 came in for it in two payments, neither of which Stripe has a place for. The copy's id, too."""
    world = await booking()
    invoice = bill(world, "quickbooks", LINE, number="B-1")
    await world.next_sweep()
    (copy,) = world.lookalikes["stripe"].neutral("invoice")
    for came, part in (("80.00", "60.00"), ("70.00", "59.00")):
        pay(world, invoice, came, "quickbooks", applications=[{"invoice": invoice, "amount": part}])
    await world.next_sweep()
    return world, copy


@pytest.mark.parametrize("amount", ["119.00", "19.00"])
async def test_a_copy_that_is_paid_at_stripe_while_its_payment_is_held_is_asked_about(amount: str) -> None:
    """It counted as that payment, booked by hand: the customer had paid twice, and nobody was told."""
    world, copy = await over_paid_in_the_books()
    pay(world, copy, amount)
    for _ in range(2):
        await world.next_sweep()
    (asked,) = held(world)
    assert asked.detail["problem"] == (
        f"{amount} USD of invoice B-1 is settled in Stripe already, by something that was booked or paid there"
    )
    await answer(world, asked, "leave")
    await world.next_sweep()
    at_rest(world)
    assert [one["paid"] for one in shown(world, "stripe")] == [amount]


async def test_a_copy_that_is_paid_at_stripe_while_two_payments_are_held_is_asked_about() -> None:
    """Each was taken for the one that was booked by hand, when the other one was looked at."""
    world, copy = await over_paid_twice_in_the_books()
    assert len(held(world)) == 2
    pay(world, copy, "50.00")
    for _ in range(2):
        await world.next_sweep()
    assert any("is settled in Stripe already" in str(one.detail["problem"]) for one in held(world))


async def test_a_copy_that_is_paid_at_stripe_after_its_payment_was_left_is_asked_about() -> None:
    """Who left it looked at a copy that nobody had paid: the answer was no word about what came in a week later."""
    world, copy = await over_paid_in_the_books()
    (asked,) = held(world)
    await answer(world, asked, "leave")
    await world.next_sweep()
    assert held(world) == []
    pay(world, copy, "119.00")
    for _ in range(2):
        await world.next_sweep()
    (other,) = held(world)
    assert (other.reason, other.detail["document"]) == ("balance_differs", "invoice")
    assert str(other.detail["problem"]).endswith("; 119.00 USD of it came in at Stripe itself")
    await answer(world, other, "leave")
    await world.next_sweep()
    at_rest(world)


async def test_what_comes_in_after_two_payments_were_left_is_asked_about() -> None:
    """What had come in by then stood for each of the two: as much again came in, and nobody was told."""
    world, copy = await over_paid_twice_in_the_books()
    pay(world, copy, "20.00")
    for _ in range(2):
        await world.next_sweep()
    for one in held(world):
        if one.detail["document"] == "payment":
            await answer(world, one, "leave")
    await world.next_sweep()
    assert held(world) == []

    pay(world, copy, "20.00")
    await world.next_sweep()

    (other,) = held(world)
    assert (other.reason, other.detail["document"]) == ("balance_differs", "invoice")
    assert str(other.detail["problem"]).endswith("; 20.00 USD of it came in at Stripe itself")


async def test_what_had_come_in_of_one_invoice_says_nothing_of_another_that_the_same_payment_settles() -> None:
    """What the second one's copy had got stood for what came in of the first one later."""
    world = await booking()
    invoices = [bill(world, "quickbooks", LINE, number=f"B-{number}") for number in (1, 2)]
    await world.next_sweep()
    first, second = (
        next(name for name, one in world.lookalikes["stripe"].neutral("invoice").items() if one["number"] == number)
        for number in ("B-1", "B-2")
    )
    parts = [{"invoice": one, "amount": "60.00"} for one in invoices]
    pay(world, invoices[0], "150.00", "quickbooks", applications=parts)
    await world.next_sweep()
    pay(world, second, "20.00")
    for _ in range(2):
        await world.next_sweep()
    (asked,) = held(world)
    await answer(world, asked, "leave")
    await world.next_sweep()
    assert held(world) == []

    pay(world, first, "20.00")
    await world.next_sweep()

    (other,) = held(world)
    assert (other.reason, other.detail["number"]) == ("balance_differs", "B-1")


async def test_what_comes_in_after_one_of_two_payments_was_left_is_told_with_the_other_ones_question() -> None:
    """It counted as the one that was left, to whose question nothing had come in."""
    world, copy = await over_paid_twice_in_the_books()
    first, _ = held(world)
    await answer(world, first, "leave")

    pay(world, copy, "30.00")
    for _ in range(2):
        await world.next_sweep()

    (other,) = held(world)
    assert str(other.detail["problem"]).startswith("30.00 USD of invoice B-1 is settled in Stripe already")
