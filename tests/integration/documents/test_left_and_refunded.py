"""Money that goes back of a payment whose copy a person let go of: who booked that one by hand books this, too."""

from __future__ import annotations

from typing import Any

import pytest

from core.store import holds, journal
from core.sync.documents.tie_out import tie_out
from tests.integration.documents.test_money_back import asked, dispute, paid, refund, to_book
from tests.integration.documents.test_one_currency import one_currency
from tests.support.acting import answer, held
from tests.support.paper import an_hour_later, bill, billing, papers, pay
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def left() -> tuple[World, str]:
    """A payment of 119.00 that somebody booked by hand on the copy, too, and whose own copy was left. Its id."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    (copy,) = world.lookalikes["quickbooks"].neutral("invoice")
    pay(world, copy, "119.00", "quickbooks")
    await world.next_sweep()
    payment = pay(world, invoice, "119.00")
    await world.next_sweep()
    (twice,) = [one for one in held(world) if one.detail["document"] == "payment"]
    await answer(world, twice, "leave")
    assert held(world) == []
    return world, payment


def closed(world: World) -> dict[str, Any]:
    """The month's tie-out."""
    return world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))


async def test_a_refund_of_a_payment_that_was_left_is_asked_about() -> None:
    """The payment was booked by hand, and its refund in no books: 19.00 went back to a customer, and nobody knew."""
    world, payment = await left()
    assert [one["outcome"] for one in closed(world)["left"]] == ["left"]
    await refund(world, payment, "19.00")
    assert to_book(world)[:3] == ("refunded", "19.00", "USD")
    (differs,) = closed(world)["differences"]
    assert (differs["connection"], differs["kind"], differs["outcome"]) == ("quickbooks", "payment", "differs")
    before = world.writes("quickbooks")
    await answer(world, asked(world), "booked")
    assert held(world) == []
    assert closed(world)["differences"] == []
    assert [one["outcome"] for one in closed(world)["left"]] == ["left"]
    await an_hour_later(world)
    await world.next_sweep()
    assert held(world) == []
    assert world.writes("quickbooks") == before
    (paper,) = papers(world, "payment")
    told = world.db.read_now(lambda tx: journal.of_record(tx, paper.id))
    assert [one.actor for one in told if one.action == "booked"] == ["ann"]


async def test_only_what_is_new_of_it_is_asked_about_again() -> None:
    """Asked for the whole, a person would book the first part twice."""
    world, payment = await left()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "booked")
    await refund(world, payment, "30.00")
    assert to_book(world)[:2] == ("refunded", "11.00")
    await answer(world, asked(world), "retry")
    assert to_book(world)[:2] == ("refunded", "11.00")


async def test_a_refund_that_a_person_leaves_is_not_asked_about_again_and_the_next_one_is() -> None:
    """An answer covers exactly what its person has seen."""
    world, payment = await left()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "leave")
    assert held(world) == []
    await an_hour_later(world)
    assert held(world) == []
    assert closed(world)["differences"] == []
    await refund(world, payment, "119.00")
    assert to_book(world)[:2] == ("refunded", "100.00")


async def test_a_refund_that_failed_after_it_was_left_leaves_nothing_to_take_back() -> None:
    """Nobody booked it."""
    world, payment = await left()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "leave")
    world.lookalikes["stripe"].edit("payment", payment, {"refund_failed": True})
    await world.next_sweep()
    assert held(world) == []


async def test_a_refund_that_failed_after_it_was_booked_is_to_be_taken_back_of_what_was_left_too() -> None:
    """Else the books would say that money went out which is still there."""
    world, payment = await left()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "booked")
    world.lookalikes["stripe"].edit("payment", payment, {"refund_failed": True})
    await world.next_sweep()
    assert to_book(world)[:2] == ("refunded", "-19.00")
    await answer(world, asked(world), "booked")
    assert held(world) == []


async def test_a_chargeback_of_a_payment_that_was_left_is_asked_about() -> None:
    """The bank has taken the money, and goes by itself when it is won before anybody booked it."""
    world, payment = await left()
    await dispute(world, payment, amount="119.00")
    assert to_book(world)[:3] == ("charged_back", "119.00", "USD")
    await dispute(world, payment, status="won")
    assert held(world) == []
    assert closed(world)["differences"] == []


async def test_what_was_refunded_before_a_payment_was_left_is_asked_about_too() -> None:
    """The question that was answered told of the payment, and not of what had gone back by then."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    (copy,) = world.lookalikes["quickbooks"].neutral("invoice")
    pay(world, copy, "119.00", "quickbooks")
    await world.next_sweep()
    payment = pay(world, invoice, "119.00")
    await refund(world, payment, "19.00")
    (twice,) = [one for one in held(world) if one.detail["document"] == "payment"]
    await answer(world, twice, "leave")
    assert to_book(world)[:2] == ("refunded", "19.00")


async def test_a_copy_that_is_left_because_of_a_refund_is_not_asked_about_for_that_one() -> None:
    """Who left it saw just this refund; what was booked by hand before is still known."""
    world, payment = await paid()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "booked")
    await refund(world, payment, "30.00")
    await answer(world, asked(world), "leave")
    assert held(world) == []
    await refund(world, payment, "50.00")
    assert to_book(world)[:2] == ("refunded", "20.00")


async def test_a_question_that_was_forgotten_is_asked_within_the_hour() -> None:
    """What stands in the registry tells of it, not only the moment in which the refund was read."""
    world, payment = await left()
    await refund(world, payment, "19.00")
    one = asked(world)
    nothing = holds.Held(subject=one.subject, record_id=None, drafts=[])
    world.db.run_now(
        lambda tx: holds.settle(tx, world.hub.ids, one.connection, [nothing], {one.subject: [one]}, world.clock.now())
    )
    assert held(world) == []
    await an_hour_later(world)
    assert to_book(world)[:2] == ("refunded", "19.00")


async def left_in_another_currency() -> tuple[World, str]:
    """An invoice that is booked by hand on another customer, as its question says, and left. Its id at Stripe."""
    world = await one_currency()
    invoice = bill(world, currency="EUR")
    await world.next_sweep()
    (other,) = held(world)
    assert "book it by hand" in str(other.detail["cure"])
    await answer(world, other, "leave")
    assert held(world) == []
    return world, invoice


async def test_a_void_of_an_invoice_that_was_left_is_asked_about() -> None:
    """It was booked by hand, as Accord had said, and stayed open in the books: nobody was told of the void."""
    world, invoice = await left_in_another_currency()
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    await world.next_sweep()
    one = asked(world)
    assert (one.detail["field"], one.detail["amount"], one.detail["currency"]) == ("voided", "-119.00", "EUR")
    assert [line["outcome"] for line in closed(world)["differences"]] == ["differs"]
    await answer(world, one, "booked")
    await an_hour_later(world)
    assert held(world) == []
    assert closed(world)["differences"] == []


async def test_a_void_that_a_person_leaves_is_not_asked_about_again() -> None:
    """Nothing of it is booked there."""
    world, invoice = await left_in_another_currency()
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    await world.next_sweep()
    await answer(world, asked(world), "leave")
    await an_hour_later(world)
    assert held(world) == []


async def test_what_is_void_already_when_it_is_left_is_not_asked_about() -> None:
    """Whoever left it saw that."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    (copy,) = world.lookalikes["quickbooks"].neutral("invoice")
    pay(world, copy, "119.00", "quickbooks")
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    await world.next_sweep()
    (stuck,) = held(world)
    await answer(world, stuck, "leave")
    await an_hour_later(world)
    assert held(world) == []
