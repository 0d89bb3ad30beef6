"""The books' invoices at Stripe: to the cent, settled as they are, never collected, and not where they may not be."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from config.file import AccordConfig
from core.model.documents import KINDS, Payment
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from tests.support.acting import answer, failing, held
from tests.support.lookalikes import stripe_of
from tests.support.paper import BOOKS, SINCE, at_rest, bill, billing, documents_of, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio

LOCKED = b'{"error": {"type": "invalid_request_error", "code": "lock_timeout", "message": "busy"}}'
LINE = {"description": "Seats", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"}


def books_to_stripe(**settings: str) -> AccordConfig:
    """QuickBooks' documents are copied to Stripe."""
    return with_documents(
        {
            "quickbooks": DocumentPolicy(originates=KINDS),
            "stripe": DocumentPolicy(mirrors=KINDS, since=SINCE),
        },
        {"quickbooks": BOOKS, "stripe": settings},
        {},
    )


async def booking(**settings: str) -> World:
    """One customer everywhere, billed in the books."""
    return await billing(books_to_stripe(**(settings or {"mirror_open_invoices": "yes"})))


async def is_silent(world: World) -> None:
    """Two more sweeps, one of them of everything, write nothing."""
    before = {name: world.writes(name) for name in world.names}
    await world.next_sweep()
    world.clock.time += 90_000
    await world.settle()
    assert {name: world.writes(name) for name in world.names} == before
    assert stripe_of(world).ledger.mails == []


async def test_the_books_invoice_payments_and_credits_stand_at_stripe() -> None:
    """A part payment is one; the credit note lowers what is due; the rest ends it."""
    world = await booking()
    invoice = bill(world, "quickbooks", LINE, number="B-1")
    await world.next_sweep()
    (there,) = shown(world, "stripe")
    assert (there["number"], there["total"], there["tax"], there["due"], there["status"]) == (
        "B-1", "119.00", "19.00", "119.00", "open",
    )  # fmt: skip
    pay(world, invoice, "50.00", "quickbooks")
    await world.next_sweep()
    (there,) = shown(world, "stripe")
    assert (there["paid"], there["due"], there["status"]) == ("50.00", "69.00", "open")
    pay(world, invoice, "69.00", "quickbooks")
    await world.next_sweep()
    (there,) = shown(world, "stripe")
    assert (there["paid"], there["due"], there["status"], there["is_collected"]) == ("119.00", "0.00", "paid", False)
    at_rest(world)
    await is_silent(world)


async def test_a_payment_of_two_invoices_is_told_for_each() -> None:
    """Neither of them gets what is the other's."""
    world = await booking()
    invoices = [bill(world, "quickbooks", LINE, number=f"B-{number}") for number in (1, 2)]
    await world.next_sweep()
    parts = [{"invoice": one, "amount": amount} for one, amount in zip(invoices, ("100.00", "7.00"), strict=True)]
    pay(world, invoices[0], "107.00", "quickbooks", applications=parts)
    await world.next_sweep()
    assert sorted(Decimal(one["paid"]) for one in shown(world, "stripe")) == [7, 100]
    at_rest(world)
    await is_silent(world)


async def test_a_payment_whose_invoices_are_told_in_another_order_is_the_same_payment() -> None:
    """Whoever saves it again in QuickBooks may turn its lines: each part was held, as settling another's invoice."""
    world = await booking()
    invoices = [bill(world, "quickbooks", LINE, number=f"B-{number}") for number in (1, 2)]
    await world.next_sweep()
    parts = [{"invoice": one, "amount": amount} for one, amount in zip(invoices, ("100.00", "7.00"), strict=True)]
    payment = pay(world, invoices[0], "107.00", "quickbooks", applications=parts)
    await world.next_sweep()
    world.lookalikes["quickbooks"].edit("payment", payment, {"applications": parts[::-1]})
    await world.next_sweep()
    (known,) = documents_of(world, Payment)
    assert [str(one.amount) for one in known.applications] == ["7.00", "100.00"]
    assert sorted(Decimal(one["paid"]) for one in shown(world, "stripe")) == [7, 100]
    at_rest(world)
    await is_silent(world)


@pytest.mark.parametrize("executed", [True, False])
async def test_a_part_of_a_payment_that_stripe_answers_500_for_a_day_is_told_anew(*, executed: bool) -> None:
    """Stripe repeats its first answer: where a look finds nothing, the old key brings nothing else until tomorrow.

    Whether the first one was taken nobody can tell: a person is asked before the second.
    """
    world = await booking()
    invoices = [bill(world, "quickbooks", LINE, number=f"B-{number}") for number in (1, 2)]
    await world.next_sweep()
    parts = [{"invoice": one, "amount": amount} for one, amount in zip(invoices, ("100.00", "7.00"), strict=True)]
    pay(world, invoices[0], "107.00", "quickbooks", applications=parts)
    reports: list[str] = []

    def breaking(request: HttpRequest) -> HttpResponse:
        is_report = "/report_payment" in request.url
        reports.extend([request.url] if is_report else [])
        if is_report and len(reports) == 2:
            stripe_of(world).break_writes(1, executed=executed)
        return stripe_of(world).respond(request)

    world.exchanges["stripe"] = breaking
    await world.next_sweep()
    await world.settle(patience=7200.0)
    (asked,) = [one for one in held(world) if one.detail["document"] == "payment"]
    assert asked.detail["limit"] == "nothing is told twice"
    assert sorted(Decimal(one["paid"]) for one in shown(world, "stripe")) == [0, 100]
    await answer(world, asked, "retry")
    await world.next_sweep()
    assert sorted(Decimal(one["paid"]) for one in shown(world, "stripe")) == [7, 100]
    at_rest(world)
    await is_silent(world)


@pytest.mark.parametrize(("amount", "left"), [("119.00", "0.00"), ("50.00", "69.00")])
async def test_a_copy_that_somebody_pays_at_stripe_is_asked_about(amount: str, left: str) -> None:
    """As a whole, or in part: the books know of no such payment, and it is paid back or booked."""
    world = await booking()
    invoice = bill(world, "quickbooks", LINE, number="B-1")
    await world.next_sweep()
    (copy,) = stripe_of(world).neutral("invoice")
    by_hand = {"currency": "USD", "amount": amount, "applications": [{"invoice": copy, "amount": amount}]}
    stripe_of(world).edit("payment", None, by_hand)
    before = world.writes("stripe")
    await world.next_sweep()
    (hold,) = held(world)
    assert hold.reason == "balance_differs"
    due = f"{left} USD is due of the copy in Stripe, 119.00 USD of the invoice"
    assert hold.detail["problem"] == f"{due}; {amount} USD of it came in at Stripe itself"
    pay(world, invoice, amount, "quickbooks")
    await world.next_sweep()
    assert [(one.reason, one.detail["document"]) for one in held(world)] == [("rejected", "payment")]
    assert world.writes("stripe") == before


async def test_a_payment_that_comes_before_its_copy_is_final_settles_it_once_it_is() -> None:
    """The two are under way at once: refused by a draft, it stayed held until somebody looked, up to an hour later."""
    world = await booking()
    through, busy = world.exchanges["stripe"], [True]

    def exchange(request: HttpRequest) -> HttpResponse:
        if busy[0] and request.url.endswith("/finalize"):
            return HttpResponse(429, {"content-type": "application/json"}, LOCKED)
        return through(request)

    world.exchanges["stripe"] = exchange
    invoice = bill(world, "quickbooks", LINE, number="B-1")
    pay(world, invoice, "50.00", "quickbooks")
    note = {
        "number": "C-1",
        "invoice": invoice,
        "applied": "9.00",
        "lines": [{"description": "Sorry", "amount": "9.00"}],
    }
    customer = next(iter(world.neutral("quickbooks")))
    world.lookalikes["quickbooks"].edit("credit_note", None, {"customer": customer, "currency": "USD", **note})
    world.clock.time += world.timing.changes_every + 1
    await world.settle(patience=30)
    assert [one["status"] for one in shown(world, "stripe")] == ["draft"]
    assert {one.detail["document"] for one in held(world)} == {"payment", "credit_note"}
    busy[0] = False
    await world.settle(patience=60)
    (there,) = shown(world, "stripe")
    assert (there["paid"], there["credited"], there["due"], there["status"]) == ("50.00", "9.00", "60.00", "open")
    at_rest(world)


async def test_a_payment_of_a_parent_is_told_of_whom_its_invoice_bills() -> None:
    """QuickBooks lets a parent pay for a child; told of the parent, the report stood there and paid nothing."""
    world = await booking()
    books = world.lookalikes["quickbooks"]
    top = books.edit("customer", None, {"name": "Lovelace & Daughters", "email": "top@example.test"})
    (ada,) = [name for name, one in world.neutral("quickbooks").items() if name != top]
    books.edit("customer", ada, {"parent": top})
    await world.next_sweep()
    invoice = bill(world, "quickbooks", LINE, customer=ada, number="B-1")
    pay(world, invoice, "19.00", "quickbooks", customer=top)
    await world.next_sweep()
    (there,) = shown(world, "stripe")
    assert there["due"] == "100.00"
    (record,) = stripe_of(world).ledger.things["payment_record"].values()
    assert record["customer_details"] == {"customer": there["customer"]}
    at_rest(world)
    await is_silent(world)


async def test_an_open_invoice_waits_until_it_is_paid_where_it_may_not_be_open() -> None:
    """Nobody can pay at Stripe what was billed elsewhere."""
    world = await booking(mirror_open_invoices="no")
    invoice = bill(world, "quickbooks", LINE, number="B-1")
    await world.next_sweep()
    assert shown(world, "stripe") == []
    (hold,) = held(world)
    assert "mirror_open_invoices" in str(hold.detail)
    pay(world, invoice, "119.00", "quickbooks")
    await world.next_sweep()
    (there,) = shown(world, "stripe")
    assert (there["paid"], there["status"]) == ("119.00", "paid")
    at_rest(world)
    await is_silent(world)


async def test_a_payment_is_told_once_its_copy_is_final_though_stripe_s_answer_to_that_was_lost() -> None:
    """A look finds the copy final, not an answer: the payment stayed held, and the copy payable, for an hour."""
    world = await booking()
    through, busy = world.exchanges["stripe"], [True]

    def exchange(request: HttpRequest) -> HttpResponse:
        if not request.url.endswith("/finalize"):
            return through(request)
        if busy[0]:
            return HttpResponse(429, {"content-type": "application/json"}, LOCKED)
        through(request)
        return HttpResponse(502, {"content-type": "text/plain"}, b"bad gateway")

    world.exchanges["stripe"] = exchange
    pay(world, bill(world, "quickbooks", LINE, number="B-1"), "50.00", "quickbooks")
    world.clock.time += world.timing.changes_every + 1
    await world.settle(patience=30)
    assert {one.detail["document"] for one in held(world)} == {"payment"}
    busy[0] = False
    await world.settle(patience=300)
    (there,) = shown(world, "stripe")
    assert (there["paid"], there["due"], there["status"]) == ("50.00", "69.00", "open")
    at_rest(world)


async def test_a_copy_says_when_it_is_due_by_now() -> None:
    """Terms are changed in the books, and somebody types over ours: it said for ever when it was due at first."""
    world = await booking()
    invoice = bill(world, "quickbooks", LINE, number="B-1", due_on="2026-12-18")
    await world.next_sweep()
    (copy,) = stripe_of(world).neutral("invoice")
    for due_on in ("2027-01-31", "2026-12-01"):
        world.lookalikes["quickbooks"].edit("invoice", invoice, {"due_on": due_on})
        await world.next_sweep()
        assert [one["due_on"] for one in shown(world, "stripe")] == [due_on]
        at_rest(world)
    stripe_of(world).edit("invoice", copy, {"metadata": {"accord_due_on": "2026-12-24"}})
    await world.next_sweep()
    assert [one["due_on"] for one in shown(world, "stripe")] == ["2026-12-01"]
    at_rest(world)
    await is_silent(world)


async def test_a_void_in_the_books_voids_the_copy() -> None:
    """It can be paid no more. QuickBooks puts a void invoice's amounts to nothing, which a person accepts."""
    world = await booking()
    invoice = bill(world, "quickbooks", LINE, number="B-1")
    await world.next_sweep()
    world.lookalikes["quickbooks"].edit("invoice", invoice, {"status": "void"})
    await world.next_sweep()
    for hold in held(world):
        await answer(world, hold, "accept")
    await world.next_sweep()
    (there,) = shown(world, "stripe")
    assert there["status"] == "void"
    at_rest(world)
    await is_silent(world)


async def test_a_credit_of_more_than_its_invoice_says_what_to_credit_by_hand() -> None:
    """The rest of it stays the customer's in the books. Stripe's refusal said no more than two numbers, in cents."""
    world = await booking()
    invoice = bill(world, "quickbooks", LINE, number="B-1")
    (customer,) = world.neutral("quickbooks")
    memo = {"customer": customer, "currency": "USD", "issued_on": "2026-11-19", "number": "C-1", "invoice": invoice}
    lines = [{"amount": "150.00", "product": "1"}]
    world.lookalikes["quickbooks"].edit("credit_note", None, {**memo, "applied": "119.00", "lines": lines})
    await world.next_sweep()
    (hold,) = held(world)
    assert hold.detail["problem"] == "it credits 150.00 USD, and 119.00 USD of the copy can be credited"
    assert "credit 119.00 USD of the copy in Stripe by hand, and leave this" in hold.detail["cure"]

    (copy,) = stripe_of(world).neutral("invoice")
    stripe_of(world).edit("credit_note", None, {"invoice": copy, "lines": [{"amount": "119.00"}]})
    await answer(world, hold, "leave")
    await world.next_sweep()
    assert [(one["due"], one["status"]) for one in shown(world, "stripe")] == [("0.00", "paid")]
    at_rest(world)


async def test_a_void_payment_of_the_books_is_asked_about_as_that() -> None:
    """It was to be applied to an invoice, since QuickBooks takes what is void off all of them."""
    world = await booking()
    payment = pay(world, bill(world, "quickbooks", LINE, number="B-1"), "119.00", "quickbooks")
    await world.next_sweep()
    world.lookalikes["quickbooks"].edit("payment", payment, {"status": "void"})
    await world.next_sweep()
    asked = {one.detail["document"]: one for one in held(world)}
    assert (asked["payment"].detail["problem"], asked["payment"].detail["cure"]) == (
        "the payment is void",
        "settle it in Stripe",
    )
    assert (
        f"the copy of payment {payment} is held by itself ({asked['payment'].id})" in asked["invoice"].detail["problem"]
    )


async def test_a_refund_at_stripe_reaches_the_books_by_the_event_of_the_refund() -> None:
    """It names a payment intent, and the books know an invoice's payment."""
    world = await billing()
    invoice = bill(world, "stripe")
    pay(world, invoice, "119.00")
    await world.next_sweep()
    (payment,) = [
        one for one, said in world.lookalikes["stripe"].neutral("payment").items() if said["refunded"] == "0.00"
    ]
    stripe_of(world).edit("payment", payment, {"refunded": "19.00"})
    await world.next_sweep()
    assert [str(one.refunded) for one in documents_of(world, Payment)] == ["19.00"]


async def test_a_product_that_is_not_at_stripe_is_asked_about_and_not_tried_again_and_again() -> None:
    """It was taken for the invoice that is gone: 26 writes later the copy was given up, with a draft left behind."""
    config = books_to_stripe(mirror_open_invoices="yes")
    mistaken = replace(config.connections["stripe"], items={"1": "plan_of_old"})
    world = await billing(replace(config, connections={**config.connections, "stripe": mistaken}))
    bill(world, "quickbooks", {**LINE, "product": "1"}, number="QB-1")
    await world.next_sweep()
    (question,) = held(world)
    assert (question.connection, question.reason, question.detail["field"]) == ("stripe", "rejected", "lines")
    assert "plan_of_old" in str(question.detail["problem"])
    assert failing(world) == []
    await is_silent(world)
    assert [one.id for one in held(world)] == [question.id]

    world.config = replace(config, connections={**config.connections, "stripe": replace(mistaken, items={})})
    world.start()
    await answer(world, question, "retry")
    await world.next_sweep()
    assert [(one["total"], one["status"]) for one in shown(world, "stripe")] == [("119.00", "open")]
    at_rest(world)
