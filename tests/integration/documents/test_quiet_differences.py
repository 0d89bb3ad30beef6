"""What makes a copy differ without a change of its total, or of it at all, is asked about all the same."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from config.file import AccordConfig
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.ports import Exchange, HttpRequest, HttpResponse
from core.sync.documents.ageing import aged
from core.sync.documents.tie_out import is_tied, tie_out
from tests.support.acting import answer, held
from tests.support.lookalikes import stripe_of
from tests.support.paper import BOOKS as SETTINGS
from tests.support.paper import SINCE, an_hour_later, at_rest, bill, billing, is_silent, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio

BOOKS = "quickbooks"


def differing(world: World) -> int:
    """How many copies of invoices in the books differ, in a tie-out of the month."""
    found = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))
    (one,) = [one for one in found["sums"] if (one["connection"], one["kind"]) == (BOOKS, "invoice")]
    return int(one["differs"])


def credit_by_hand(world: World, copy: str, amount: str) -> str:
    """A bookkeeper's own credit memo, applied to a copy."""
    (customer,) = world.neutral(BOOKS)
    memo = {"customer": customer, "currency": "USD", "invoice": copy, "applied": amount}
    line = {"description": "Credit", "amount": amount, "product": "1"}
    return world.lookalikes[BOOKS].edit("credit_note", None, {**memo, "lines": [line]})


def apply_by_hand(world: World, memo: str, copy: str, amount: str) -> None:
    """Somebody, or QuickBooks itself, lets a credit memo settle an invoice."""
    (customer,) = world.neutral(BOOKS)
    books: Any = world.lookalikes[BOOKS]
    lines = [
        {"Amount": Decimal(amount), "LinkedTxn": [{"TxnId": one, "TxnType": kind}]}
        for kind, one in (("Invoice", copy), ("CreditMemo", memo))
    ]
    head = {"CustomerRef": {"value": customer}, "CurrencyRef": {"value": "USD"}, "TotalAmt": Decimal(0)}
    books.books.create("Payment", {**head, "Line": lines}, world.clock.now())


async def test_what_a_customer_s_balance_at_stripe_settled_is_asked_about_until_somebody_books_it() -> None:
    """A credit of before takes 50 off: no document tells of it, and the copy would be open for ever."""
    world = await billing()
    bill(world, "stripe", {"description": "Downgrade", "amount": "-50.00"})
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "69.00")
    await world.next_sweep()
    assert [(one["due"], one["status"]) for one in shown(world, BOOKS)] == [("50.00", "open")]
    (hold,) = held(world, "balance_differs")
    assert (hold.detail["there"], hold.detail["registry"]) == ("50.00", "0.00")
    assert "50.00 USD of the invoice came off the customer's balance in stripe" in hold.detail["problem"]
    assert differing(world) == 1
    (copy,) = world.lookalikes[BOOKS].neutral("invoice")
    credit_by_hand(world, copy, "50.00")
    await world.next_sweep()
    assert held(world, "balance_differs") == []
    assert differing(world) == 0


async def test_an_invoice_of_less_than_nothing_is_booked_by_hand_once() -> None:
    """What came off the next invoice is that very credit: QuickBooks' own refusal said to change the value."""
    world = await billing()
    bill(world, "stripe", {"description": "Downgrade", "amount": "-50.00"})
    await world.next_sweep()
    (hold,) = held(world)
    assert (hold.detail["problem"], hold.detail["field"], hold.detail["limit"]) == (
        "it comes to -50.00 USD",
        "total",
        "0 or more",
    )
    assert "book a credit memo of 50.00 USD by hand, then leave this" in hold.detail["cure"]
    books = world.lookalikes[BOOKS]
    assert books.neutral("invoice") == {}

    head = {"customer": next(iter(world.neutral(BOOKS))), "currency": "USD"}
    memo = books.edit("credit_note", None, {**head, "lines": [{"amount": "50.00", "product": "1"}]})
    await answer(world, hold, "leave")
    bill(world)
    await world.next_sweep()
    assert [one.reason for one in held(world)] == ["balance_differs"]
    (copy,) = books.neutral("invoice")
    linked = (("Invoice", copy), ("CreditMemo", memo))
    lines = [{"Amount": 50, "LinkedTxn": [{"TxnId": one, "TxnType": of}]} for of, one in linked]
    books.edit("payment", None, {**head, "amount": "0", "received_on": "2026-11-20", "extra": {"Line": lines}})
    await world.next_sweep()
    at_rest(world)
    assert is_tied(world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11")))


async def test_a_credit_on_the_balance_is_settled_by_its_own_memo_and_the_question_says_so() -> None:
    """QuickBooks, or a person, applies the memo to the invoice that took the credit at Stripe: told to undo it, nobody
    could ever bring the two in order.
    """
    world = await billing()
    paid = bill(world)
    pay(world, paid, "119.00")
    await world.next_sweep()
    (customer,) = world.neutral("stripe")
    line = {"description": "Sorry", "amount": "30.00"}
    credit = {"invoice": paid, "customer": customer, "currency": "USD", "lines": [line]}
    world.lookalikes["stripe"].edit("credit_note", None, credit)
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "89.00")
    await world.next_sweep()
    assert [one.reason for one in held(world)] == ["balance_differs"]
    (memo,) = world.lookalikes[BOOKS].neutral("credit_note")
    (copy,) = [name for name, one in world.lookalikes[BOOKS].neutral("invoice").items() if one["status"] == "open"]
    apply_by_hand(world, memo, copy, "30.00")
    await world.next_sweep()
    (asked,) = held(world)
    assert asked.detail["document"] == "credit_note"
    assert "Leave it where that invoice took the credit at its origin, too" in asked.detail["cure"]
    await answer(world, asked, "leave")
    await an_hour_later(world)
    assert [one["due"] for one in shown(world, BOOKS)] == ["0.00", "0.00"]
    at_rest(world)
    assert differing(world) == 0


async def test_what_was_booked_for_a_balance_keeps_no_payment_from_being_copied() -> None:
    """It is no payment that was booked by hand before its copy came."""
    world = await billing()
    bill(world, "stripe", {"description": "Downgrade", "amount": "-50.00"})
    invoice = bill(world)
    await world.next_sweep()
    (copy,) = world.lookalikes[BOOKS].neutral("invoice")
    credit_by_hand(world, copy, "50.00")
    await world.next_sweep()
    pay(world, invoice, "69.00")
    await world.next_sweep()
    assert [(one["due"], one["status"]) for one in shown(world, BOOKS)] == [("0.00", "paid")]
    assert [one["amount"] for one in shown(world, BOOKS, "payment")] == ["69.00"]
    assert [one.detail["document"] for one in held(world)] == ["invoice"]  # the downgrade's own, of less than nothing


async def test_a_credit_whose_application_somebody_undid_is_asked_about_and_not_applied_for_ever() -> None:
    """Under its request id QuickBooks answers as if the deleted link were still there."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    (customer,) = world.neutral("stripe")
    line = {"description": "Credit", "amount": "50.00", "quantity": "1"}
    credit = {"customer": customer, "currency": "USD", "invoice": invoice, "lines": [line]}
    world.lookalikes["stripe"].edit("credit_note", None, credit)
    await world.next_sweep()
    books = world.lookalikes[BOOKS]
    (link,) = books.objects("payment")
    before = world.writes(BOOKS)
    books.delete("payment", link)
    await world.next_sweep()
    assert world.writes(BOOKS) == before
    (hold,) = held(world, "rejected")
    assert (hold.detail["document"], hold.detail["field"]) == ("credit_note", "apply")
    (copy,) = books.neutral("invoice")
    (memo,) = books.neutral("credit_note")
    links = [{"TxnId": copy, "TxnType": "Invoice"}, {"TxnId": memo, "TxnType": "CreditMemo"}]
    lines = [{"Amount": Decimal(50), "LinkedTxn": [one]} for one in links]
    (owner,) = world.neutral(BOOKS)
    books.edit("payment", None, {"customer": owner, "currency": "USD", "amount": "0", "extra": {"Line": lines}})
    await world.next_sweep()
    at_rest(world)
    assert [one["due"] for one in shown(world, BOOKS)] == ["69.00"]


MOVED = [{"description": one, "amount": amount, "product": "1"} for one, amount in (("a", "10.00"), ("b", "90.00"))]


@pytest.mark.parametrize(("field", "value"), [("lines", MOVED), ("issued_on", "2026-12-05")])
async def test_an_edit_of_a_copy_that_leaves_its_total_is_asked_about(field: str, value: Any) -> None:
    """Money moves to another account, or into another month."""
    world = await billing()
    bill(world, "stripe", {"description": "a", "amount": "60.00"}, {"description": "b", "amount": "40.00"})
    await world.next_sweep()
    (copy,) = world.lookalikes[BOOKS].neutral("invoice")
    before = world.writes(BOOKS)
    world.lookalikes[BOOKS].edit("invoice", copy, {field: value})
    await world.next_sweep()
    (hold,) = held(world)
    assert (hold.reason, hold.detail["field"]) == ("rejected", field)
    assert differing(world) == 1
    assert world.writes(BOOKS) == before


async def test_what_settles_an_invoice_that_was_let_go_of_is_asked_about() -> None:
    """It would wait for the invoice for ever."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    (copy,) = world.lookalikes[BOOKS].neutral("invoice")
    world.lookalikes[BOOKS].delete("invoice", copy)
    await world.next_sweep()
    (hold,) = held(world)
    await answer(world, hold, "unlink")
    pay(world, invoice, "119.00")
    await world.next_sweep()
    (hold,) = held(world)
    assert (hold.reason, hold.detail["document"], hold.detail["field"]) == ("rejected", "payment", "applications")
    assert [(one["kind"], one["by"]) for one in closed(world)["left"]] == [("invoice", "ann")]
    assert [(one["kind"], one["outcome"]) for one in closed(world)["differences"]] == [("payment", "missing")]
    await answer(world, hold, "leave")
    at_rest(world)
    await is_silent(world)
    assert shown(world, BOOKS, "payment") == []
    assert [(one["kind"], one["amount"]) for one in closed(world)["left"]] == [
        ("invoice", "119.00"), ("payment", "119.00"),
    ]  # fmt: skip
    assert is_tied(closed(world))


async def test_a_payment_of_before_the_first_day_is_booked_where_its_invoice_is_copied() -> None:
    """Paid in advance: without it the copy would be open for ever, and at Stripe somebody could pay it once more."""
    world = await billing(books_to_stripe(since="2026-11-01"))
    invoice = bill(world, BOOKS, number="B-1")
    pay(world, invoice, "119.00", BOOKS, received_on="2026-10-30")
    await world.next_sweep()
    assert [(one["due"], one["status"]) for one in shown(world, "stripe")] == [("0.00", "paid")]
    at_rest(world)
    await is_silent(world)


async def test_a_payment_of_an_invoice_that_is_copied_and_one_that_is_not_is_asked_about() -> None:
    """It cannot be booked for both, and nobody would see what the copied one lacks."""
    world = await billing(books_to_stripe(since="2026-11-01"))
    old = bill(world, BOOKS, number="B-1", issued_on="2026-10-01")
    new = bill(world, BOOKS, number="B-2")
    await world.next_sweep()
    parts = [{"invoice": one, "amount": "100.00"} for one in (old, new)]
    pay(world, old, "200.00", BOOKS, applications=parts)
    await world.next_sweep()
    (hold,) = held(world)
    assert (hold.reason, hold.detail["document"], hold.detail["field"]) == ("rejected", "payment", "applications")
    assert "B-1" in hold.detail["problem"]
    assert [one["number"] for one in shown(world, "stripe")] == ["B-2"]


def books_to_stripe(since: str) -> AccordConfig:
    """QuickBooks' documents of a day and later are copied to Stripe."""
    policies = {
        BOOKS: DocumentPolicy(originates=KINDS),
        "stripe": DocumentPolicy(mirrors=KINDS, since=since),
    }
    return with_documents(policies, {BOOKS: SETTINGS, "stripe": {"mirror_open_invoices": "yes"}}, {})


async def test_an_invoice_that_cannot_be_read_keeps_a_period_from_being_tied_out() -> None:
    """Nothing of it is in the registry, so that nothing differs."""
    world = await billing()
    invoice = bill(world)
    things = stripe_of(world).ledger.things["invoice"]
    things[invoice] = {**things[invoice], "total": things[invoice]["total"] + 1}
    await world.next_sweep()
    found = closed(world)
    assert found["differences"] == []
    (untaken,) = found["untaken"]
    assert (untaken["kind"], untaken["remote_id"]) == ("invoice", invoice)
    assert "119.01" in untaken["why"]
    assert not is_tied(found)


async def test_an_invoice_that_was_deleted_where_it_was_made_is_void_everywhere_once_a_person_says_so() -> None:
    """Before, its period is not tied out: the copy matches what is not there any more, and could be paid."""
    world = await billing(books_to_stripe(since="2026-11-01"))
    invoice = bill(world, BOOKS, number="B-1")
    await world.next_sweep()
    world.lookalikes[BOOKS].delete("invoice", invoice)
    await world.next_sweep()
    assert not is_tied(closed(world))
    (hold,) = held(world, "document_gone")
    await answer(world, hold, "accept")
    assert [one["status"] for one in shown(world, "stripe")] == ["void"]
    assert world.db.read_now(lambda tx: aged(tx, world.hub))["ageing"] == []
    assert is_tied(closed(world))
    at_rest(world)
    await is_silent(world)
    assert [one["status"] for one in shown(world, "stripe")] == ["void"]


def closed(world: World) -> dict[str, Any]:
    """The tie-out of the month."""
    return world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))


async def test_a_write_that_changes_nothing_is_asked_about_and_not_made_for_ever() -> None:
    """HubSpot, here, answers that all is well, and keeps the state that it had."""
    policies = {
        "stripe": DocumentPolicy(originates=KINDS),
        "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE),
    }
    world = await billing(with_documents(policies, {}, {}))
    world.exchanges["hubspot"] = stubborn(world)
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "119.00")
    before = world.writes("hubspot")
    await world.next_sweep()
    assert world.writes("hubspot") - before < 5
    (hold,) = held(world)
    assert (hold.reason, hold.detail["document"], hold.detail["field"]) == ("rejected", "invoice", "update")
    assert [one["status"] for one in shown(world, "hubspot")] == ["open"]
    world.exchanges["hubspot"] = world.lookalikes["hubspot"].respond
    await answer(world, hold, "retry")
    assert [one["status"] for one in shown(world, "hubspot")] == ["paid"]
    at_rest(world)
    await is_silent(world)


def stubborn(world: World) -> Exchange:
    """A HubSpot to which an invoice is never paid."""

    def exchange(request: HttpRequest) -> HttpResponse:
        body = request.body.replace(b'"hs_invoice_status":"paid"', b'"hs_invoice_status":"open"')
        body = body.replace(b'"hs_invoice_status": "paid"', b'"hs_invoice_status": "open"')
        return world.lookalikes["hubspot"].respond(replace(request, body=body))

    return exchange
