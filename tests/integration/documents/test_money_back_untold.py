"""One payment of several invoices, of which a part goes back: Stripe does not tell for which of them."""

from __future__ import annotations

from typing import Any

import pytest

from core.model.documents import Payment
from core.store.holds import Hold
from core.sync.documents.asking import look_again
from core.sync.documents.tie_out import is_tied, tie_out
from tests.support.acting import all_day, answer, everybody, failing, held, waiting
from tests.support.paper import at_rest, bill, billing, documents_of, is_silent, papers, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def paid_together() -> tuple[World, str]:
    """Two invoices of 119.00, paid by one charge, and their copies in the books; the id of one of the payments."""
    world = await billing()
    first, second = bill(world), bill(world)
    parts = [{"invoice": one, "amount": "119.00"} for one in (first, second)]
    pay(world, first, "238.00", applications=parts)
    await world.next_sweep()
    assert [str(one.amount) for one in papers(world, "payment")] == ["119.00", "119.00"]
    at_rest(world)
    return world, papers(world, "payment")[0].remote_id


async def refund(world: World, payment: str, amount: str) -> None:
    """So much of the charge was refunded at Stripe by now."""
    world.lookalikes["stripe"].edit("payment", payment, {"refunded": amount})
    await world.next_sweep()


def asked(world: World) -> Hold:
    """The one question there is."""
    (hold,) = held(world)
    assert (hold.reason, hold.connection) == ("untold", "stripe"), hold
    return hold


def closed(world: World) -> dict[str, Any]:
    """The tie-out of the month."""
    return world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))


async def test_what_went_back_of_a_charge_of_many_invoices_is_asked_about_once_and_names_them_all() -> None:
    """Whoever answered each of the questions would have booked the same money again and again."""
    world = await billing()
    bills = [bill(world) for _ in range(25)]
    pay(world, bills[0], "2975.00", applications=[{"invoice": one, "amount": "119.00"} for one in bills])
    await world.next_sweep()
    await refund(world, papers(world, "payment")[0].remote_id, "19.00")
    assert asked(world).detail["invoices"] == sorted(one.called for one in papers(world))


async def test_a_part_that_went_back_is_asked_about_once_and_the_rest_goes_on() -> None:
    """Each of the payments failed, again every day, and there was nothing that anybody could answer."""
    world, payment = await paid_together()
    await refund(world, payment, "19.00")
    detail = asked(world).detail
    assert (detail["field"], detail["amount"], detail["currency"]) == ("refunded", "19.00", "USD")
    assert "19.00 USD" in detail["problem"]
    assert "paid several invoices" in detail["problem"]
    assert detail["invoices"] == sorted(one.called for one in papers(world))
    assert failing(world) == []
    assert not any(waiting(world).values())
    assert [str(one.refunded) for one in documents_of(world, Payment)] == ["0.00", "0.00"]
    (untaken,) = closed(world)["untaken"]
    assert (untaken["connection"], untaken["kind"]) == ("stripe", "payment")


async def test_who_booked_it_says_so_and_is_not_asked_again() -> None:
    """Whichever of the payments is looked at next."""
    world, payment = await paid_together()
    await refund(world, payment, "19.00")
    before = world.writes("quickbooks")
    await answer(world, asked(world), "booked")
    assert held(world) == []
    assert is_tied(closed(world))
    (ada,) = everybody(world)
    stripe = world.hub.connection("stripe")
    await look_again(world.hub, stripe, ["payment"], [ada.external_id], "again")
    await world.settle()
    at_rest(world)
    await is_silent(world)
    assert world.writes("quickbooks") == before
    assert [one["amount"] for one in shown(world, "quickbooks", "payment")] == ["119.00", "119.00"]


async def test_looking_again_without_booking_asks_again() -> None:
    """`retry` is no `booked`."""
    world, payment = await paid_together()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "retry")
    assert asked(world).detail["amount"] == "19.00"


async def test_what_goes_back_later_is_asked_about_apart() -> None:
    """Asked for the whole, a person would book the first part twice; an answer to what was seen covers no more."""
    world, payment = await paid_together()
    await refund(world, payment, "19.00")
    first = asked(world)
    await answer(world, first, "booked")
    await refund(world, payment, "30.00")
    assert asked(world).id != first.id
    assert asked(world).detail["amount"] == "11.00"
    grown = asked(world)
    await refund(world, payment, "40.00")
    assert (asked(world).id != grown.id, asked(world).detail["amount"]) == (True, "21.00")
    await answer(world, asked(world), "booked")
    assert held(world) == []


async def test_when_all_of_it_went_back_each_payment_tells_so_and_what_was_booked_is_taken_back() -> None:
    """The books are asked for each payment then; what was booked before for both would be there twice."""
    world, payment = await paid_together()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "booked")
    await refund(world, payment, "238.00")
    assert [str(one.refunded) for one in documents_of(world, Payment)] == ["119.00", "119.00"]
    questions = {one.connection: one for one in held(world)}
    assert sorted(one.detail["amount"] for one in held(world)) == ["-19.00", "119.00", "119.00"]
    assert "take back" in questions["stripe"].detail["cure"]
    for one in held(world):
        await answer(world, one, "booked")
    at_rest(world)
    await is_silent(world)
    assert is_tied(closed(world))


async def test_payments_that_are_refunded_before_anybody_saw_them_are_asked_about_once() -> None:
    """A first listing brings them with what went back."""
    world = await billing()
    parts = [{"invoice": bill(world), "amount": "119.00"} for _ in range(3)]
    payment = pay(world, parts[0]["invoice"], "357.00", applications=parts)
    world.lookalikes["stripe"].edit("payment", payment, {"refunded": "5.00"})
    world.clock.time += 90_000
    await world.settle()
    await world.next_sweep()
    assert asked(world).detail["amount"] == "5.00"
    assert len(asked(world).detail["invoices"]) == 3
    await answer(world, asked(world), "booked")
    at_rest(world)


async def dispute(world: World, payment: str, **changes: str) -> None:
    """The payer's bank opens a dispute of the charge, or moves the one there is."""
    world.lookalikes["stripe"].edit("payment", payment, {"dispute": changes})
    await world.next_sweep()


async def test_a_part_that_was_charged_back_is_asked_about_once_and_until_it_is_won() -> None:
    """Each of the payments failed, again every day: their month was open for ever, with no question to answer."""
    world, payment = await paid_together()
    await dispute(world, payment, amount="19.00")
    detail = asked(world).detail
    assert (detail["amount"], detail["currency"]) == ("19.00", "USD")
    assert "which paid several invoices, is disputed" in detail["problem"]
    assert failing(world) == []
    assert not is_tied(closed(world))
    await answer(world, asked(world), "booked")
    assert is_tied(closed(world))
    await dispute(world, payment, status="won")
    assert asked(world).detail["amount"] == "-19.00"
    await answer(world, asked(world), "booked")
    at_rest(world)
    assert is_tied(closed(world))


async def test_a_part_that_was_refunded_and_the_rest_that_is_charged_back_are_asked_about_as_they_come() -> None:
    """Who booked the refund books the chargeback, and not both of them again."""
    world, payment = await paid_together()
    await refund(world, payment, "38.00")
    await answer(world, asked(world), "booked")
    await dispute(world, payment, amount="200.00")
    assert asked(world).detail["amount"] == "200.00"
    assert "was refunded and is disputed" in asked(world).detail["problem"]
    await answer(world, asked(world), "booked")
    at_rest(world)


@pytest.mark.parametrize("is_of_two", [True, False])
async def test_other_money_of_the_same_reference_is_asked_about_apart(*, is_of_two: bool) -> None:
    """Both were called "wire transfer": the second refund was never asked about, and nobody booked it."""
    world = await billing()
    stripe = world.lookalikes["stripe"]
    (ada,) = world.neutral("stripe")
    bob = stripe.edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    await world.next_sweep()
    wired = []
    for one in (ada, bob if is_of_two else ada):
        bills = [bill(world, customer=one) for _ in range(2)]
        parts = [{"invoice": name, "amount": "119.00"} for name in bills]
        same = {"customer": one, "method": "Wire", "reference": "wire transfer"}
        wired.append(pay(world, bills[0], "238.00", applications=parts, **same))
    await world.next_sweep()
    for payment in wired:
        await refund(world, payment, "19.00")
    both = held(world)
    assert [(one.reason, one.detail["amount"]) for one in both] == [("untold", "19.00")] * 2
    for question in both:
        await answer(world, question, "booked")
    await all_day(world)
    at_rest(world)
    await refund(world, wired[1], "30.00")
    await all_day(world)
    assert asked(world).detail["amount"] == "11.00"
