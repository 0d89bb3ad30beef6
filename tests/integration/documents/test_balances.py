"""What is due of a copy is compared by itself: what people book there by hand is noticed, and never overwritten."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from core.store.holds import Hold
from core.store.tables import HOLDS
from core.sync.documents.tie_out import tie_out
from tests.support.acting import failing, held, waiting
from tests.support.paper import an_hour_later, bill, billing, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio

BOOKS = "quickbooks"


async def billed(paid: str = "") -> tuple[World, str, str]:
    """An invoice of Stripe and its copy in the books, some of it paid: the world, the invoice, the copy."""
    world = await billing()
    invoice = bill(world)
    if paid:
        pay(world, invoice, paid)
    await world.next_sweep()
    assert held(world) == []
    (copy,) = world.lookalikes[BOOKS].neutral("invoice")
    return world, invoice, copy


def only_hold(world: World) -> Hold:
    """The one question there is; it is about a balance, and names both amounts and their currency."""
    (hold,) = held(world)
    assert hold.reason == "balance_differs"
    for name in ("there", "registry"):
        assert f"{hold.detail[name]} USD" in hold.detail["problem"]
    return hold


def closing(world: World) -> tuple[int, int]:
    """How many copies of invoices in the books match, and how many differ, in a tie-out of the month."""
    found = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))
    (one,) = [one for one in found["sums"] if (one["connection"], one["kind"]) == (BOOKS, "invoice")]
    return one["matched"], one["differs"]


def at_rest(world: World) -> None:
    """Nothing is held, failing or waiting."""
    assert [(one.reason, one.detail) for one in held(world)] == []
    assert failing(world) == []
    assert not any(waiting(world).values())


async def test_a_second_payment_by_hand_is_named_and_nothing_is_written() -> None:
    """The origin knows of none: somebody booked it on our copy."""
    world, _, copy = await billed("19.00")
    second = pay(world, copy, "100.00", BOOKS)
    before = world.writes(BOOKS)
    await world.next_sweep()
    hold = only_hold(world)
    assert (hold.detail["there"], hold.detail["registry"]) == ("0.00", "100.00")
    assert hold.detail["others"] == [f"payment {second} of 100.00 USD, 2026-11-20"]
    assert "delete" in hold.detail["cure"]
    assert closing(world) == (0, 1)
    await world.next_sweep()
    assert world.writes(BOOKS) == before
    only_hold(world)


async def test_a_deposit_that_somebody_enters_on_a_copy_is_asked_about() -> None:
    """It is no payment, and lowers what is due all the same."""
    world, _, copy = await billed()
    world.lookalikes[BOOKS].edit("invoice", copy, {"extra": {"Deposit": Decimal(20)}})
    await world.next_sweep()
    hold = only_hold(world)
    assert (hold.detail["there"], hold.detail["registry"]) == ("99.00", "119.00")
    world.lookalikes[BOOKS].edit("invoice", copy, {"extra": {"Deposit": Decimal(0)}})
    await world.next_sweep()
    at_rest(world)


async def test_the_question_goes_by_itself_when_the_payment_is_deleted() -> None:
    """A part of the invoice, here."""
    world, _, copy = await billed()
    by_hand = pay(world, copy, "50.00", BOOKS)
    await world.next_sweep()
    assert only_hold(world).detail["there"] == "69.00"
    world.lookalikes[BOOKS].delete("payment", by_hand)
    await world.next_sweep()
    at_rest(world)
    assert closing(world) == (1, 0)


async def test_the_question_goes_by_itself_when_the_origin_records_the_payment() -> None:
    """Its copy would be a second one: the books refuse it, and a person is asked about that one."""
    world, invoice, copy = await billed()
    pay(world, copy, "119.00", BOOKS)
    await world.next_sweep()
    only_hold(world)
    pay(world, invoice, "119.00")
    await world.next_sweep()
    (hold,) = held(world)
    assert (hold.reason, hold.detail["document"]) == ("rejected", "payment")
    assert [one["due"] for one in shown(world, BOOKS)] == ["0.00"]
    assert closing(world) == (1, 0)


async def test_a_payment_that_was_refused_is_booked_when_the_one_by_hand_is_gone() -> None:
    """Nobody has to say so."""
    world, invoice, copy = await billed()
    by_hand = pay(world, copy, "100.00", BOOKS)
    await world.next_sweep()
    pay(world, invoice, "119.00")
    await world.next_sweep()
    assert {one.detail["document"] for one in held(world)} == {"payment"}
    world.lookalikes[BOOKS].delete("payment", by_hand)
    await world.next_sweep()
    await an_hour_later(world)
    assert [one["due"] for one in shown(world, BOOKS)] == ["0.00"]
    at_rest(world)


async def test_a_credit_that_is_applied_by_hand_is_asked_about_until_it_is_deleted() -> None:
    """A bookkeeper's own credit memo; it is no payment, and told from ours."""
    world, _, copy = await billed()
    (customer,) = world.neutral(BOOKS)
    memo = {"customer": customer, "currency": "USD", "invoice": copy, "applied": "50.00"}
    line = {"description": "Credit", "amount": "50.00", "product": "1"}
    by_hand = world.lookalikes[BOOKS].edit("credit_note", None, {**memo, "lines": [line]})
    await world.next_sweep()
    hold = only_hold(world)
    assert hold.detail["there"] == "69.00"
    assert "applies" in hold.detail["others"][0]
    world.lookalikes[BOOKS].delete("credit_note", by_hand)
    await world.next_sweep()
    at_rest(world)


async def test_a_credit_of_ours_that_must_be_voided_by_hand_is_not_called_somebody_elses() -> None:
    """QuickBooks' API voids no credit memo: the invoice's hold points to the credit note's, and accuses nobody."""
    world, invoice, _ = await billed()
    (customer,) = world.neutral("stripe")
    line = {"description": "Credit", "amount": "50.00", "quantity": "1"}
    wanted = {"customer": customer, "currency": "USD", "invoice": invoice, "lines": [line]}
    note = world.lookalikes["stripe"].edit("credit_note", None, wanted)
    await world.next_sweep()
    at_rest(world)
    world.lookalikes["stripe"].edit("credit_note", note, {"status": "void"})
    await world.next_sweep()
    holds = {one.reason: one for one in held(world)}
    assert set(holds) == {"rejected", "balance_differs"}
    balance = holds["balance_differs"].detail
    assert (balance["there"], balance["registry"]) == ("69.00", "119.00")
    assert balance["others"] == []
    assert holds["rejected"].id in balance["problem"]
    assert "by hand" not in balance["cure"]
    (memo,) = world.lookalikes[BOOKS].neutral("credit_note")
    world.lookalikes[BOOKS].edit("credit_note", memo, {"status": "void"})
    await world.next_sweep()
    at_rest(world)


async def test_a_payment_of_ours_whose_amount_is_changed_by_hand_is_asked_about_with_its_invoice() -> None:
    """Both are wrong in the books, and both are right again when the edit is undone."""
    world, _, copy = await billed("119.00")
    (ours,) = world.lookalikes[BOOKS].neutral("payment")
    change(world, ours, copy, "100.00")
    await world.next_sweep()
    assert sorted(one.reason for one in held(world)) == ["balance_differs", "rejected"]
    assert closing(world) == (0, 1)
    change(world, ours, copy, "119.00")
    await world.next_sweep()
    at_rest(world)


async def test_payments_and_credits_that_are_on_their_way_are_no_question() -> None:
    """Whichever of several comes first, nobody is asked in between."""
    world = await billing()
    invoice = bill(world)
    for amount in ("19.00", "20.00", "30.00"):
        pay(world, invoice, amount)
    (customer,) = world.neutral("stripe")
    credit = {"description": "Credit", "amount": "50.00", "quantity": "1"}
    world.lookalikes["stripe"].edit(
        "credit_note", None, {"customer": customer, "currency": "USD", "invoice": invoice, "lines": [credit]}
    )
    asked = watched(world)
    await world.next_sweep()
    assert [one["due"] for one in shown(world, BOOKS)] == ["0.00"]
    at_rest(world)
    assert asked() == 0


async def test_a_payment_that_cannot_be_booked_is_asked_about_alone() -> None:
    """Its invoice is due there, as long as it is not booked."""
    world, invoice, _ = await billed()
    books = world.lookalikes[BOOKS]
    books.settings = replace(books.settings, books_closed_through="2026-11-20")
    pay(world, invoice, "119.00")
    await world.next_sweep()
    (hold,) = held(world)
    assert (hold.reason, hold.detail["document"]) == ("rejected", "payment")


async def test_a_part_payment_that_was_booked_by_hand_is_not_booked_again_when_the_origin_records_it() -> None:
    """There would be room for it: a person is asked, and when the one by hand is gone, it is booked by itself."""
    world, invoice, copy = await billed("19.00")
    by_hand = pay(world, copy, "50.00", BOOKS)
    await world.next_sweep()
    assert only_hold(world).detail["there"] == "50.00"
    pay(world, invoice, "50.00")
    before = world.writes(BOOKS)
    await world.next_sweep()
    (hold,) = held(world)
    assert (hold.reason, hold.detail["document"]) == ("rejected", "payment")
    assert hold.detail["problem"].startswith("50.00 USD of invoice ")
    assert world.writes(BOOKS) == before
    await an_hour_later(world)
    assert world.writes(BOOKS) == before
    world.lookalikes[BOOKS].delete("payment", by_hand)
    await world.next_sweep()
    assert [one["due"] for one in shown(world, BOOKS)] == ["50.00"]
    assert len(shown(world, BOOKS, "payment")) == 2
    at_rest(world)


@pytest.mark.parametrize("amounts", list(permutations(("10.00", "50.00", "59.00"))))
async def test_of_payments_that_come_together_the_one_that_cannot_be_what_was_booked_by_hand_is_booked(
    amounts: tuple[str, ...],
) -> None:
    """It was refused while the others were on their way, and booked by the next daily sweep."""
    world, invoice, copy = await billed()
    pay(world, copy, "100.00", BOOKS)
    await world.next_sweep()
    for amount in amounts:
        pay(world, invoice, amount)
    await world.next_sweep()
    assert sorted(one["amount"] for one in shown(world, BOOKS, "payment")) == ["10.00", "100.00"]
    assert [one["due"] for one in shown(world, BOOKS)] == ["9.00"]
    before = world.writes(BOOKS)
    world.clock.time += 90_000
    await world.settle()
    assert world.writes(BOOKS) == before


async def test_a_payment_by_hand_is_remembered_while_something_else_is_asked_of_its_copy() -> None:
    """The day of the copy was edited, and what the bookkeeper had booked was forgotten: 50.00 stood there twice."""
    world, invoice, copy = await billed("19.00")
    by_hand = pay(world, copy, "50.00", BOOKS)
    await world.next_sweep()
    pay(world, invoice, "50.00")
    await world.next_sweep()
    world.lookalikes[BOOKS].edit("invoice", copy, {"issued_on": "2026-11-19"})
    await world.next_sweep()
    await an_hour_later(world)
    assert {(one.reason, one.detail["document"]) for one in held(world)} == {
        ("rejected", "invoice"),
        ("rejected", "payment"),
    }
    assert sorted(one["amount"] for one in shown(world, BOOKS, "payment")) == ["19.00", "50.00"]
    world.lookalikes[BOOKS].delete("payment", by_hand)
    await world.next_sweep()
    assert [one.detail["document"] for one in held(world)] == ["invoice"], "booked by itself, as ever"
    assert sorted(one["amount"] for one in shown(world, BOOKS, "payment")) == ["19.00", "50.00"]


async def test_a_payment_by_hand_on_a_copy_that_is_held_already_is_not_booked_again() -> None:
    """Nobody compares the balance of such a copy, but a second payment of the same money must not be made."""
    world, invoice, copy = await billed("19.00")
    world.lookalikes[BOOKS].edit("invoice", copy, {"issued_on": "2026-11-19"})
    await world.next_sweep()
    pay(world, copy, "50.00", BOOKS)
    await world.next_sweep()
    pay(world, invoice, "50.00")
    await world.next_sweep()
    assert {one.detail["document"] for one in held(world)} == {"invoice", "payment"}
    assert sorted(one["amount"] for one in shown(world, BOOKS, "payment")) == ["19.00", "50.00"]


async def test_what_comes_in_after_that_is_booked() -> None:
    """Only what may be there already is asked about."""
    world, invoice, copy = await billed()
    pay(world, copy, "50.00", BOOKS)
    await world.next_sweep()
    pay(world, invoice, "50.00")
    await world.next_sweep()
    pay(world, invoice, "69.00")
    await world.next_sweep()
    assert [one["due"] for one in shown(world, BOOKS)] == ["0.00"]
    assert sorted(one["amount"] for one in shown(world, BOOKS, "payment")) == ["50.00", "69.00"]
    assert [one.detail["document"] for one in held(world)] == ["payment"]


@pytest.mark.parametrize("kind", ["payment", "credit_note"])
async def test_what_settles_a_copy_is_followed_to_it_where_the_invoice_is_not_named(kind: str) -> None:
    """Intuit does not say that an invoice counts as changed when somebody pays it."""
    world, _, copy = await billed()
    books = world.lookalikes[BOOKS]
    books.settings = replace(books.settings, tells_settled=False)
    (customer,) = world.neutral(BOOKS)
    await long_after(world)
    if kind == "payment":
        by_hand = pay(world, copy, "19.00", BOOKS)
    else:
        memo = {"customer": customer, "currency": "USD", "invoice": copy, "applied": "19.00"}
        line = {"description": "Credit", "amount": "19.00", "product": "1"}
        by_hand = books.edit("credit_note", None, {**memo, "lines": [line]})
    await world.next_sweep()
    assert only_hold(world).detail["there"] == "100.00"
    await long_after(world)
    books.delete(kind, by_hand)
    await world.next_sweep()
    at_rest(world)


async def long_after(world: World) -> None:
    """The feed tells no more of what changed before."""
    world.clock.time += 1000
    await world.settle()


def change(world: World, payment: str, invoice: str, amount: str) -> None:
    """A bookkeeper changes how much came in."""
    applications = [{"invoice": invoice, "amount": amount}]
    world.lookalikes[BOOKS].edit("payment", payment, {"amount": amount, "applications": applications})


def watched(world: World) -> Any:
    """Counts the holds that were ever opened from now on."""
    before = world.db.read_now(lambda tx: len(list(tx.rows(HOLDS.select()))))
    return lambda: world.db.read_now(lambda tx: len(list(tx.rows(HOLDS.select())))) - before
