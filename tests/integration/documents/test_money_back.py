"""Money that goes back: what happens in the registry and at each copy, and what a person books and says so."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInputError
from core.model.documents import Payment
from core.model.policy import DocumentPolicy
from core.store import journal
from core.store.holds import Hold
from core.sync import answers
from core.sync.documents.telling import overview
from core.sync.documents.tie_out import tie_out
from tests.support.acting import answer, everybody, held
from tests.support.paper import SINCE, bill, billing, documents_of, papers, pay, shown, stripe_to_books
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def paid() -> tuple[World, str]:
    """An invoice of 119.00 that was paid at Stripe, and its copies; the payment's id at Stripe."""
    world = await billing()
    payment = pay(world, bill(world), "119.00")
    await world.next_sweep()
    assert held(world) == []
    return world, payment


async def refund(world: World, payment: str, amount: str) -> None:
    """So much of the payment was refunded at Stripe by now."""
    world.lookalikes["stripe"].edit("payment", payment, {"refunded": amount})
    await world.next_sweep()


async def dispute(world: World, payment: str, **changes: str) -> None:
    """The payer's bank opens a dispute of the payment, or moves the one there is."""
    world.lookalikes["stripe"].edit("payment", payment, {"dispute": changes})
    await world.next_sweep()


def asked(world: World) -> Hold:
    """The one question there is: what a person shall book."""
    (hold,) = held(world)
    assert hold.reason == "by_hand", hold
    return hold


def to_book(world: World) -> tuple[str, str, str, str]:
    """Field, amount, currency and account of the one question."""
    detail = asked(world).detail
    return detail["field"], detail["amount"], detail["currency"], detail["account"]


def closed(world: World, kind: str = "payment") -> dict[str, Any]:
    """How the copies of a kind in the books stand when the month is closed."""
    found = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))
    (one,) = [one for one in found["sums"] if (one["connection"], one["kind"]) == ("quickbooks", kind)]
    return {name: one[name] for name in ("matched", "by_hand", "missing", "differs")}


AGREES = {"matched": 1, "by_hand": 0, "missing": 0, "differs": 0}
BY_HAND = {"matched": 1, "by_hand": 1, "missing": 0, "differs": 0}
DIFFERS = {"matched": 0, "by_hand": 0, "missing": 0, "differs": 1}


async def test_a_part_that_was_refunded_is_asked_about_with_amount_currency_and_account() -> None:
    """The payment stays as it came in: the bookkeeper books what went out."""
    world, payment = await paid()
    assert closed(world) == AGREES
    before = world.writes("quickbooks")
    await refund(world, payment, "19.00")
    assert to_book(world) == ("refunded", "19.00", "USD", "35")
    assert [str(one.refunded) for one in documents_of(world, Payment)] == ["19.00"]
    assert closed(world) == DIFFERS
    assert world.writes("quickbooks") == before


async def test_what_a_person_booked_by_hand_agrees_and_the_close_counts_it() -> None:
    """Looked at again, nothing is asked a second time."""
    world, payment = await paid()
    await refund(world, payment, "19.00")
    before = world.writes("quickbooks")
    await answer(world, asked(world), "booked")
    assert held(world) == []
    assert closed(world) == BY_HAND
    world.clock.time += 90_000
    await world.settle()
    await world.next_sweep()
    assert held(world) == []
    assert closed(world) == BY_HAND
    assert world.writes("quickbooks") == before
    (paper,) = papers(world, "payment")
    (entry,) = [one for one in world.db.read_now(lambda tx: journal.of_record(tx, paper.id)) if one.action == "booked"]
    assert (entry.actor, entry.changes["refunded"]) == ("ann", (None, "19.00", "by hand"))


async def test_a_further_refund_is_asked_about_again_and_only_for_what_is_new() -> None:
    """Asked for the whole, a person would book the first part twice."""
    world, payment = await paid()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "booked")
    await refund(world, payment, "119.00")
    assert to_book(world)[:2] == ("refunded", "100.00")
    assert closed(world) == DIFFERS
    await answer(world, asked(world), "retry")
    assert to_book(world)[:2] == ("refunded", "100.00"), "what was booked is known while more is asked about"
    await answer(world, asked(world), "booked")
    assert held(world) == []
    assert closed(world) == BY_HAND


async def test_what_was_booked_is_not_asked_about_again_when_the_copy_is_made_anew() -> None:
    """The refund receipt stands in the books by itself: booked once more, 19.00 would have gone back twice."""
    world, payment = await paid()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "booked")
    (copy,) = world.lookalikes["quickbooks"].neutral("payment")
    world.lookalikes["quickbooks"].delete("payment", copy)
    await world.next_sweep()
    (gone,) = [one for one in held(world) if one.reason == "remote_gone"]
    await answer(world, gone, "recreate")
    assert held(world) == []
    assert closed(world) == BY_HAND
    await refund(world, payment, "30.00")
    assert to_book(world)[:2] == ("refunded", "11.00")


async def test_looking_again_without_booking_asks_again() -> None:
    """`retry` is no `booked`."""
    world, payment = await paid()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "retry")
    assert to_book(world)[1] == "19.00"


async def test_an_answer_to_an_amount_that_has_grown_meanwhile_is_refused() -> None:
    """The person booked 19, not 30; the new amount is another question, whether or not a digest is given."""
    world, payment = await paid()
    await refund(world, payment, "19.00")
    seen = asked(world)
    await refund(world, payment, "30.00")
    with pytest.raises(InvalidInputError, match="not open any more"):
        world.db.run_now(lambda tx: answers.answer(tx, world.hub, seen.id, "booked", actor="ann"))
    assert to_book(world)[1] == "30.00"
    assert asked(world).id != seen.id


async def test_a_payment_that_was_refunded_before_it_was_copied_is_booked_whole_and_then_asked_about() -> None:
    """It came in, and settled its invoice; a hold alone would leave the invoice open in the books."""
    world = await billing()
    payment = pay(world, bill(world), "119.00")
    await refund(world, payment, "119.00")
    assert to_book(world)[1] == "119.00"
    (copy,) = shown(world, "quickbooks", "payment")
    (invoice,) = shown(world, "quickbooks")
    assert (copy["amount"], invoice["due"], invoice["status"]) == ("119.00", "0.00", "paid")
    await answer(world, asked(world), "booked")
    assert closed(world) == BY_HAND


async def test_an_edit_of_a_copy_that_agrees_by_hand_is_still_noticed() -> None:
    """What is booked by hand hides nothing else."""
    world, payment = await paid()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "booked")
    (copy,) = world.lookalikes["quickbooks"].neutral("payment")
    world.lookalikes["quickbooks"].edit("payment", copy, {"status": "void"})
    await world.next_sweep()
    found = {(hold.reason, hold.detail["field"]) for hold in held(world)}
    assert found == {("rejected", "status"), ("balance_differs", "due")}
    assert closed(world) == DIFFERS


async def test_a_refund_that_failed_before_anybody_booked_it_leaves_nothing_to_book() -> None:
    """The question closes itself."""
    world, payment = await paid()
    await refund(world, payment, "19.00")
    world.lookalikes["stripe"].edit("payment", payment, {"refund_failed": True})
    await world.next_sweep()
    assert held(world) == []
    assert closed(world) == AGREES


async def test_a_refund_that_failed_after_it_was_booked_is_to_be_taken_back() -> None:
    """Else the books would say that money went out which is still there."""
    world, payment = await paid()
    await refund(world, payment, "19.00")
    await answer(world, asked(world), "booked")
    world.lookalikes["stripe"].edit("payment", payment, {"refund_failed": True})
    await world.next_sweep()
    assert to_book(world)[:2] == ("refunded", "-19.00")
    await answer(world, asked(world), "booked")
    assert held(world) == []
    assert closed(world) == AGREES


async def test_a_chargeback_is_in_the_registry_with_state_amount_and_fee_and_is_asked_about() -> None:
    """The bank has taken the money, whatever comes of it."""
    world, payment = await paid()
    await dispute(world, payment, amount="119.00")
    ((one,),) = [one.disputes for one in documents_of(world, Payment)]
    assert (one.status, str(one.amount), str(one.withdrawn)) == ("needs_response", "119.00", "119.00")
    assert (str(one.fee), one.fee_currency) == ("15.00", "USD")
    assert to_book(world) == ("charged_back", "119.00", "USD", "35")
    assert closed(world) == DIFFERS


async def test_a_chargeback_that_is_lost_after_it_was_booked_asks_nothing_more() -> None:
    """The money stays where it was taken to."""
    world, payment = await paid()
    await dispute(world, payment, amount="50.00")
    await answer(world, asked(world), "booked")
    await dispute(world, payment, status="under_review")
    await dispute(world, payment, status="lost")
    assert held(world) == []
    assert closed(world) == BY_HAND
    (disputed,) = documents_of(world, Payment)
    assert [one.status for one in disputed.disputes] == ["lost"]


async def test_a_chargeback_that_is_won_after_it_was_booked_is_to_be_booked_back() -> None:
    """The money is there again."""
    world, payment = await paid()
    await dispute(world, payment, amount="119.00")
    await answer(world, asked(world), "booked")
    await dispute(world, payment, status="won")
    assert to_book(world) == ("charged_back", "-119.00", "USD", "35")
    await answer(world, asked(world), "booked")
    assert held(world) == []
    assert closed(world) == AGREES


async def test_a_chargeback_that_is_won_before_anybody_booked_it_leaves_nothing_to_book() -> None:
    """It came and went."""
    world, payment = await paid()
    await dispute(world, payment, amount="119.00")
    await dispute(world, payment, status="won")
    assert held(world) == []
    assert closed(world) == AGREES


async def test_a_banks_question_takes_no_money_until_it_becomes_a_chargeback() -> None:
    """Stripe calls it a warning."""
    world, payment = await paid()
    await dispute(world, payment, amount="119.00", status="warning_needs_response")
    (disputed,) = documents_of(world, Payment)
    assert disputed.disputes[0].status == "needs_response"
    assert held(world) == []
    assert closed(world) == AGREES
    await dispute(world, payment, status="needs_response")
    assert to_book(world)[:2] == ("charged_back", "119.00")


async def test_what_was_refunded_and_what_was_charged_back_are_two_questions() -> None:
    """Each with its own amount, one after the other."""
    world, payment = await paid()
    await refund(world, payment, "19.00")
    await dispute(world, payment, amount="100.00")
    assert to_book(world)[:2] == ("refunded", "19.00")
    await answer(world, asked(world), "booked")
    assert to_book(world)[:2] == ("charged_back", "100.00")
    await answer(world, asked(world), "booked")
    assert closed(world) == BY_HAND


async def test_what_a_credit_note_paid_back_is_booked_by_a_person() -> None:
    """The memo is made, and applied as far as it lowers the invoice; the money is another matter."""
    world = await billing()
    invoice = bill(world)
    pay(world, invoice, "119.00")
    (customer,) = world.neutral("stripe")
    line = {"description": "Sorry", "quantity": "1", "amount": "19.00"}
    note = {"customer": customer, "currency": "USD", "invoice": invoice, "lines": [line], "refunded": "19.00"}
    world.lookalikes["stripe"].edit("credit_note", None, note)
    await world.next_sweep()
    assert to_book(world) == ("refunded", "19.00", "USD", "35")
    (memo,) = shown(world, "quickbooks", "credit_note")
    assert memo["total"] == "19.00"
    await answer(world, asked(world), "booked")
    assert held(world) == []
    (ada,) = everybody(world)
    (told,) = world.db.read_now(lambda tx: overview(tx, world.hub, ada.external_id, with_children=False))
    # the credit came off what was billed, and 119.00 of it counted as paid
    assert (told["gross_revenue"], told["paid"], told["outstanding"]) == ("100.00", "100.00", "0.00")


async def test_hubspots_copy_stays_paid_as_its_invoice_does() -> None:
    """A refund and a chargeback at Stripe open no invoice again; nothing is written, and nobody is asked there."""
    world = await billing(stripe_to_books(hubspot=DocumentPolicy(mirrors=("invoice",), since=SINCE)))
    payment = pay(world, bill(world), "119.00")
    await world.next_sweep()
    before = world.writes("hubspot")
    await refund(world, payment, "19.00")
    await dispute(world, payment, amount="100.00")
    (copy,) = shown(world, "hubspot")
    (origin,) = shown(world, "stripe")
    assert (copy["status"], copy["due"]) == (origin["status"], origin["due"]) == ("paid", "0.00")
    assert world.writes("hubspot") == before
    assert {one.connection for one in held(world)} == {"quickbooks"}


async def test_what_a_credit_note_refunded_of_a_payment_is_asked_about_once() -> None:
    """Stripe tells of one refund with the charge and with the note: it was to be booked out of the account twice."""
    world, _ = await paid()
    (invoice,), (customer,) = world.lookalikes["stripe"].neutral("invoice"), world.neutral("stripe")
    line = {"description": "Sorry", "quantity": "1", "amount": "30.00"}
    note = {"customer": customer, "currency": "USD", "invoice": invoice, "lines": [line]}
    world.lookalikes["stripe"].edit("credit_note", None, {**note, "paid_back": "19.00", "refunded": "11.00"})
    for _ in range(2):
        await world.next_sweep()
    to_be_booked = {(one.detail["document"], one.detail["amount"]) for one in held(world)}
    assert to_be_booked == {("payment", "19.00"), ("credit_note", "11.00")}
    for one in held(world):
        await answer(world, one, "booked")
    assert held(world) == []
    assert closed(world) == closed(world, "credit_note") == BY_HAND
