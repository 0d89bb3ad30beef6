"""A tie-out adds up: what is settled of an invoice is the sum of its payments and credit notes, or it is named."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import pytest

from core.errors import InvalidInputError
from core.model import holds
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.store import customers, mappings
from core.sync import answers
from core.sync.documents.accounting import ask
from core.sync.documents.asking import look_again, reconcile_all
from core.sync.documents.by_hand import booked
from core.sync.documents.telling import told
from core.sync.documents.tie_out import is_tied, tie_out
from tests.support.acting import answer, held
from tests.support.lookalikes import stripe_of
from tests.support.paper import SINCE, an_hour_later, bill, billing, papers, pay, shown, stripe_to_books, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio


def closed(world: World) -> dict[str, Any]:
    """The tie-out of the month."""
    return world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))


def mark_as_paid(world: World, invoice: str) -> None:
    """What Stripe answers of an invoice that was paid outside of it: no payment tells of the money."""
    things = stripe_of(world).ledger.things["invoice"]
    things[invoice] = {
        **things[invoice], "status": "paid", "amount_paid": things[invoice]["total"], "amount_remaining": 0
    }  # fmt: skip


async def billed_and_marked_as_paid(world: World) -> None:
    """An invoice that no payment settles; a day later, all of it was seen."""
    invoice = bill(world)
    await world.next_sweep()
    mark_as_paid(world, invoice)
    world.clock.time += 90_000
    await world.settle()


async def test_an_invoice_that_is_paid_without_a_payment_is_named_with_both_sums() -> None:
    """The registry said paid, the books said open, nobody was asked, and the month was tied out."""
    world = await billing()
    await billed_and_marked_as_paid(world)
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
    things = stripe_of(world).ledger.things["invoice"]
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


async def unpaid(world: World) -> str:
    """An invoice that is marked as paid at Stripe, and open in the books; returns its id there."""
    invoice = bill(world)
    await world.next_sweep()
    mark_as_paid(world, invoice)
    world.clock.time += 90_000
    await world.settle()
    return invoice


async def hourly(world: World) -> None:
    """An hour later, the job that looks at what is not known to be equal."""
    world.clock.time += 3600
    for one in world.hub.connections.values():
        await reconcile_all(world.hub, one, "hourly")


async def test_a_person_is_asked_about_what_nobody_tells_of_when_it_has_rested() -> None:
    """A payment comes a moment after its invoice says so: the question waits for it, and then stands once."""
    world = await billing()
    await unpaid(world)
    (paper,) = papers(world)
    world.db.run_now(lambda tx: ask(tx, world.hub, world.hub.connections["stripe"], "t"))
    assert held(world) == [], "just now it became so"
    for _ in range(3):
        await hourly(world)
        await world.settle()
    await hourly(world)
    (one,) = held(world)
    assert (one.connection, one.reason, one.record_id) == ("stripe", holds.UNACCOUNTED, paper.customer_id)
    assert one.detail["problem"] == "119.00 USD of it is settled in Stripe, 0.00 USD is known of"
    assert one.detail["number"] == paper.called
    told_now = world.db.read_now(lambda tx: told(tx, world.hub, "invoice", paper.called))
    assert [asked["id"] for asked in told_now["holds"]] == [one.id], "`accord explain` shows it, with its cure"


async def test_what_the_copy_of_a_void_payment_settles_is_not_to_be_booked_by_hand() -> None:
    """The books' payment is void, and Stripe keeps its report: nothing came in that anybody could record."""
    mirrors = DocumentPolicy(originates=("payment",), mirrors=KINDS, since=SINCE)
    both = DocumentPolicy(originates=KINDS, mirrors=("payment",), since=SINCE)
    world = await billing(stripe_to_books(stripe=both, quickbooks=mirrors))
    bill(world)
    await world.next_sweep()
    (copy,) = world.lookalikes["quickbooks"].neutral("invoice")
    payment = pay(world, copy, "119.00", "quickbooks")
    await world.next_sweep()
    world.lookalikes["quickbooks"].edit("payment", payment, {"status": "void"})
    await world.next_sweep()
    for _ in range(3):
        await hourly(world)
        await world.settle()
    asked = {one.detail["document"]: one for one in held(world) if one.connection == "stripe"}
    assert asked["payment"].detail["problem"] == "the payment is void"
    (one,) = held(world, holds.UNACCOUNTED)
    assert f"the copy of payment {payment} is held by itself ({asked['payment'].id})" in one.detail["problem"]
    assert one.detail["cure"].startswith("do first what that one's hold asks for")
    await answer(world, asked["payment"], "leave")
    await hourly(world)
    await world.settle()
    (after,) = held(world, holds.UNACCOUNTED)
    assert after.detail["problem"] == "119.00 USD of it is settled in Stripe, 0.00 USD is known of"


async def test_the_question_stands_while_the_invoice_is_read_again_and_is_what_it_was() -> None:
    """Closed by every reading and opened anew by the next hour, it was another question each day."""
    world = await billing()
    await unpaid(world)
    await hourly(world)
    (first,) = held(world)
    stripe, name = world.hub.connections["stripe"], papers(world)[0].customer_id
    owner = world.db.read_now(lambda tx: customers.by_ids(tx, [name]))[name].external_id
    for _ in range(2):
        await look_again(world.hub, stripe, ["invoice"], [owner], "t")
        await world.settle()
    (still,) = held(world)
    assert (still.id, still.opened_at) == (first.id, first.opened_at)


def reopen(world: World, invoice: str) -> None:
    """The mark at Stripe is taken off again."""
    things = stripe_of(world).ledger.things["invoice"]
    things[invoice] = {
        **things[invoice], "status": "open", "amount_paid": 0, "amount_remaining": things[invoice]["total"]
    }  # fmt: skip


async def told_after_all(world: World, invoice: str) -> None:
    """Somebody records at Stripe what was only marked before."""
    reopen(world, invoice)
    pay(world, invoice, "119.00")
    await world.next_sweep()


async def test_the_question_goes_by_itself_when_the_origin_tells_of_the_payment() -> None:
    """Somebody records at Stripe what was only marked before."""
    world = await billing()
    invoice = await unpaid(world)
    await hourly(world)
    assert [one.reason for one in held(world)] == [holds.UNACCOUNTED]
    await told_after_all(world, invoice)
    await hourly(world)
    assert held(world) == []
    assert closed(world)["unaccounted"] == []
    assert [(one["status"], one["due"]) for one in shown(world, "quickbooks")] == [("paid", "0.00")]


async def test_another_amount_that_nobody_tells_of_is_another_question() -> None:
    """Whoever booked what the first one named, and answers it late, must not be taken to have booked this."""
    world = await billing()
    invoice = await unpaid(world)
    await hourly(world)
    (first,) = held(world)
    reopen(world, invoice)
    pay(world, invoice, "50.00")
    mark_as_paid(world, invoice)
    world.clock.time += 90_000
    await world.settle()
    await hourly(world)
    (second,) = [one for one in held(world) if one.reason == holds.UNACCOUNTED]
    assert [one.detail["amount"] for one in (first, second)] == ["119.00", "69.00"]
    assert second.id != first.id


async def test_what_a_person_booked_by_hand_is_accounted_for_and_the_period_is_tied_out() -> None:
    """The answer covers what was seen: what else is marked as paid later is a question of its own."""
    world = await billing()
    await unpaid(world)
    (copy_id,) = world.lookalikes["quickbooks"].neutral("invoice")
    pay(world, copy_id, "119.00", "quickbooks")
    await world.next_sweep()
    await hourly(world)
    (one,) = held(world)
    await answer(world, one, "booked")
    for _ in range(2):
        await hourly(world)
        await world.settle()
    assert held(world) == []
    found = closed(world)
    assert found["unaccounted"] == []
    assert is_tied(found), found


async def test_who_has_it_looked_at_again_is_asked_again_however_old_it_is() -> None:
    """After three days without any change, an answer that books nothing was the end of the question."""
    world = await billing()
    await unpaid(world)
    await hourly(world)
    world.clock.time += 4 * 86_400
    (first,) = held(world)
    await answer(world, first, "retry")
    await world.settle()
    await hourly(world)
    (second,) = held(world)
    assert (second.reason, second.detail["amount"]) == (holds.UNACCOUNTED, "119.00")
    assert second.id != first.id


async def test_what_was_booked_by_hand_and_is_told_of_after_all_is_to_be_taken_back() -> None:
    """Else it would be there twice."""
    world = await billing()
    invoice = await unpaid(world)
    await hourly(world)
    (one,) = held(world)
    await answer(world, one, "booked")
    await told_after_all(world, invoice)
    await hourly(world)
    await hourly(world)
    (again,) = [asked for asked in held(world) if asked.reason == holds.UNACCOUNTED]
    assert (again.detail["amount"], again.detail["covers"]) == ("-119.00", "0.00")
    assert again.id != one.id


async def test_what_is_told_of_by_now_cannot_be_answered_as_booked_by_hand() -> None:
    """The question stands for up to an hour after the payment came: with that answer it would be in the books twice."""
    world = await billing()
    invoice = await unpaid(world)
    await hourly(world)
    (one,) = held(world)
    await told_after_all(world, invoice)
    with pytest.raises(InvalidInputError, match=r"0\.00 USD of it is settled by nothing by now, and not 119\.00"):
        await answer(world, one, "booked")
    await hourly(world)
    assert held(world) == []
    assert closed(world)["unaccounted"] == []


async def test_what_policy_takes_no_more_from_its_origin_may_still_be_answered_as_booked() -> None:
    """Nobody could say by now what the sums are: the question would stand for ever."""
    world = await billing()
    await unpaid(world)
    await hourly(world)
    (one,) = held(world)
    stripe = world.hub.connections["stripe"]
    policy = msgspec.structs.replace(stripe.policy, documents=DocumentPolicy(originates=("invoice",), since=SINCE))
    hub = replace(world.hub, connections={**world.hub.connections, "stripe": replace(stripe, policy=policy)})
    world.db.run_now(partial(answers.answer, hub=hub, hold_id=one.id, choice="booked", actor="ann"))
    (row,) = world.db.read_now(lambda tx: mappings.by_ids(tx, [one.subject[2:]])).values()
    assert {name: str(amount) for name, amount in booked(row).items()} == {"settled": "119.00"}
    assert held(world, holds.UNACCOUNTED) == []


async def test_what_another_question_stood_in_the_place_of_is_asked_again_when_that_one_goes() -> None:
    """The invoice was as it had been, and nothing of it had changed for days: nobody was asked any more."""
    world = await billing()
    invoice = await unpaid(world)
    await hourly(world)
    things = stripe_of(world).ledger.things["invoice"]
    number = things[invoice]["number"]
    for called, reasons in (("ANOTHER-1", [holds.DOCUMENT_CHANGED]), (number, [])):
        things[invoice] = {**things[invoice], "number": called}
        world.clock.time += 4 * 86_400
        await world.settle()
        assert [one.reason for one in held(world)] == reasons
    for _ in range(2):
        await hourly(world)
    assert [one.reason for one in held(world)] == [holds.UNACCOUNTED]


async def test_it_is_asked_about_however_long_its_origin_could_not_be_read_since() -> None:
    """The key expired within the hour, for a week: by then nothing of the invoice had changed of late."""
    world = await billing()
    await billed_and_marked_as_paid(world)
    await an_hour_later(world)
    await billed_and_marked_as_paid(world)
    assert len(held(world, holds.UNACCOUNTED)) == 1
    world.clock.time += 7 * 86_400
    await world.settle()
    await an_hour_later(world)
    assert len(held(world, holds.UNACCOUNTED)) == 2
