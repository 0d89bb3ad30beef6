"""A payment that a person records where the copy of an invoice is: passed on to the origin, or asked about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.sandbox.faults import Fault
from core.sync.documents.telling import overview
from tests.integration.documents.test_overview import figures
from tests.integration.sync.test_found_by_simulation import weather
from tests.support.acting import answer, everybody, held
from tests.support.paper import BOOKS, SINCE, an_hour_later, bill, billing, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def billed(stripe: DocumentPolicy) -> tuple[World, str, str]:
    """An invoice of Stripe's and its copy in books that originate payments: the world, the invoice, the copy."""
    books = DocumentPolicy(originates=KINDS, mirrors=KINDS, since=SINCE)
    shows = DocumentPolicy(overview=True)
    policies = {"stripe": stripe, "quickbooks": books, "hubspot": shows}
    world = await billing(with_documents(policies, {"quickbooks": BOOKS}, {}))
    invoice = bill(world)
    await world.next_sweep()
    (copy,) = world.lookalikes["quickbooks"].neutral("invoice")
    return world, invoice, copy


BACK = DocumentPolicy(originates=KINDS, mirrors=("payment",), since=SINCE)
"""Stripe's policy where payments of the books are copied back."""


async def test_a_payment_in_the_books_settles_the_invoice_at_its_origin_once() -> None:
    """Policy copies payments back: the bookkeeper's word is enough, and no second payment is booked."""
    world, _, copy = await billed(BACK)
    pay(world, copy, "50.00", "quickbooks")
    for _ in range(3):
        await world.next_sweep()
    assert held(world) == []
    for name in ("stripe", "quickbooks"):
        assert [one["due"] for one in shown(world, name)] == ["69.00"]
        assert [one["amount"] for one in shown(world, name, "payment") if one["status"] == "succeeded"] == ["50.00"]


async def test_a_payment_in_the_books_that_reaches_no_origin_is_asked_about() -> None:
    """It was counted as one that settles the invoice: nobody was told that the customer was still asked to pay."""
    world, _, copy = await billed(DocumentPolicy(originates=KINDS))
    payment = pay(world, copy, "119.00", "quickbooks")
    await world.next_sweep()
    (hold,) = held(world)
    assert (hold.reason, hold.detail["there"], hold.detail["registry"]) == ("balance_differs", "0.00", "119.00")
    assert hold.detail["others"] == [f"payment {payment} of 119.00 USD, 2026-11-20"]
    world.lookalikes["quickbooks"].edit("payment", payment, {"status": "void"})
    await world.next_sweep()
    assert held(world) == []


async def test_a_payment_of_more_than_is_due_at_the_origin_is_told_in_its_currency() -> None:
    """It said 5000, which a bookkeeper reads as five thousand; at both systems the question says where to look."""
    world, invoice, copy = await billed(BACK)
    pay(world, copy, "50.00", "quickbooks")
    pay(world, invoice, "119.00")
    for _ in range(3):
        await world.next_sweep()
    asked = {one.connection: one.detail for one in held(world)}
    assert str(asked["stripe"]["problem"]) == f"0.00 USD are due of the paid copy {invoice}, less than 50.00 USD"
    assert str(asked["stripe"]["limit"]) == "what is due there"
    for one in asked.values():
        assert "if that is this very payment, leave this; else " in str(one["cure"])
    assert [one["due"] for one in shown(world, "quickbooks")] == ["69.00"]


def busy(world: World) -> None:
    """Neither system takes a payment at first: both records are known before either is copied."""
    weather(world, "quickbooks", Fault(kind="too_many", method="POST", path=r"/payment\?", count=1))
    weather(world, "stripe", Fault(kind="too_many", method="POST", path=r"/v1/payment_records", count=1))


async def test_a_payment_that_is_recorded_in_both_systems_is_copied_to_neither() -> None:
    """They settled the invoice twice over, a part each, and nobody was asked."""
    world, invoice, copy = await billed(BACK)
    busy(world)
    pay(world, copy, "50.00", "quickbooks", received_on="2026-11-23")
    pay(world, invoice, "50.00")
    for _ in range(2):
        await world.next_sweep()
    for name in ("stripe", "quickbooks"):
        assert [one["due"] for one in shown(world, name)] == ["69.00"]
    assert {one.connection for one in held(world)} == {"stripe", "quickbooks"}
    assert {one.detail["limit"] for one in held(world)} == {"nothing is booked twice"}


async def test_one_of_two_records_of_a_payment_that_is_voided_frees_the_other() -> None:
    """The bookkeeper's was the one too many: Stripe's is booked in its place."""
    world, invoice, copy = await billed(BACK)
    busy(world)
    twin = pay(world, copy, "50.00", "quickbooks")
    pay(world, invoice, "50.00")
    await world.next_sweep()
    world.lookalikes["quickbooks"].edit("payment", twin, {"status": "void"})
    await world.next_sweep()
    await an_hour_later(world)
    assert held(world) == []
    assert [one["due"] for one in shown(world, "quickbooks")] == ["69.00"]
    assert [one["amount"] for one in shown(world, "stripe", "payment") if one["status"] == "succeeded"] == ["50.00"]


async def test_one_of_two_records_of_a_payment_that_is_deleted_and_left_frees_the_other() -> None:
    """Nobody could void it any more, and the books asked the customer to pay once more."""
    world, invoice, copy = await billed(BACK)
    busy(world)
    twin = pay(world, copy, "50.00", "quickbooks")
    pay(world, invoice, "50.00")
    await world.next_sweep()
    world.lookalikes["quickbooks"].delete("payment", twin)
    await world.next_sweep()
    (gone,) = held(world, "document_gone")

    await answer(world, gone, "leave")
    await an_hour_later(world)

    for name in ("stripe", "quickbooks"):
        assert [one["due"] for one in shown(world, name)] == ["69.00"]
    assert [one.connection for one in held(world)] == ["stripe"]


async def test_a_credit_of_the_same_amount_is_no_second_record_of_a_payment() -> None:
    """50.00 were taken off the price, and 50.00 came in: 19.00 are left, wherever one looks."""
    both = DocumentPolicy(originates=KINDS, mirrors=("payment", "credit_note"), since=SINCE)
    world, invoice, copy = await billed(both)
    (customer,) = world.neutral("quickbooks")
    head = {"customer": customer, "currency": "USD", "issued_on": "2026-11-20", "invoice": copy, "applied": "50.00"}
    world.lookalikes["quickbooks"].edit("credit_note", None, {**head, "lines": [{"amount": "50.00", "product": "1"}]})
    await world.next_sweep()
    pay(world, invoice, "50.00")
    for _ in range(3):
        await world.next_sweep()
    assert held(world) == []
    for name in ("stripe", "quickbooks"):
        assert [one["due"] for one in shown(world, name)] == ["19.00"], name
    assert [one["amount"] for one in shown(world, "quickbooks", "payment") if one["status"] == "succeeded"] == ["50.00"]


async def test_a_payment_that_is_recorded_once_more_where_its_copy_is_goes_nowhere() -> None:
    """The bookkeeper did not see that it was booked: her record is asked about, and not passed on."""
    world, invoice, copy = await billed(BACK)
    pay(world, invoice, "50.00")
    await world.next_sweep()
    pay(world, copy, "50.00", "quickbooks")
    for _ in range(2):
        await world.next_sweep()
    assert [shown(world, name)[0]["due"] for name in ("stripe", "quickbooks")] == ["69.00", "19.00"]
    (hold,) = held(world)
    assert (hold.connection, hold.detail["document"]) == ("stripe", "payment")


@pytest.mark.parametrize(("amount", "day"), [("50.00", "2026-12-01"), ("49.00", "2026-11-20")])
async def test_another_amount_or_a_day_far_off_is_another_payment(amount: str, day: str) -> None:
    """Instalments are equal, and weeks apart."""
    world, invoice, copy = await billed(BACK)
    pay(world, copy, "50.00", "quickbooks")
    pay(world, invoice, amount, received_on=day)
    for _ in range(3):
        await world.next_sweep()
    assert held(world) == []
    due = {"50.00": "19.00", "49.00": "20.00"}[amount]
    assert [shown(world, name)[0]["due"] for name in ("stripe", "quickbooks")] == [due, due]


async def test_a_payment_that_was_too_much_at_its_origin_is_told_once_the_invoice_is_open_again() -> None:
    """A credit had settled all of it; when that was taken back, nothing looked at the payment any more."""
    stripe = DocumentPolicy(originates=("payment",), mirrors=KINDS, since=SINCE)
    books = DocumentPolicy(originates=KINDS, mirrors=("payment",), since=SINCE)
    settings = {"quickbooks": BOOKS, "stripe": {"mirror_open_invoices": "yes"}}
    world = await billing(with_documents({"stripe": stripe, "quickbooks": books}, settings, {}))
    invoice = bill(world, "quickbooks", {"description": "Seats", "quantity": "2", "unit_amount": "50.00"}, number="B-1")
    await world.next_sweep()
    (copy,), (customer,) = world.lookalikes["stripe"].neutral("invoice"), world.neutral("quickbooks")
    head = {"customer": customer, "currency": "USD", "issued_on": "2026-11-20", "invoice": invoice, "applied": "100.00"}
    note = {**head, "lines": [{"amount": "100.00", "product": "1"}]}
    credit = world.lookalikes["quickbooks"].edit("credit_note", None, note)
    pay(world, copy, "40.00")
    await world.next_sweep()
    assert {one.connection for one in held(world)} == {"quickbooks", "stripe"}

    world.lookalikes["quickbooks"].edit("credit_note", credit, {"status": "void"})
    for _ in range(3):
        await world.next_sweep()

    assert held(world) == []
    for name in ("stripe", "quickbooks"):
        assert [one["due"] for one in shown(world, name)] == ["60.00"], name


async def recorded_in_both(*lines: Mapping[str, Any]) -> tuple[World, str, str, str]:
    """Stripe's payment is copied, and the bookkeeper records it once more: the world, invoice, copy, and her record."""
    books = DocumentPolicy(originates=KINDS, mirrors=KINDS, since=SINCE)
    stripe = DocumentPolicy(originates=KINDS)
    world = await billing(with_documents({"stripe": stripe, "quickbooks": books}, {"quickbooks": BOOKS}, {}))
    for line in lines:
        bill(world, "stripe", line)
    invoice = bill(world)
    await world.next_sweep()
    copy = next(
        name for name, one in world.lookalikes["quickbooks"].neutral("invoice").items() if one["total"] == "119.00"
    )
    pay(world, invoice, "30.00")
    await world.next_sweep()
    twin = pay(world, copy, "30.00", "quickbooks")
    await world.next_sweep()
    return world, invoice, copy, twin


def take_off(world: World, copy: str, amount: str) -> None:
    """A bookkeeper's credit memo on the item for bad debts, applied to a copy."""
    (customer,) = world.neutral("quickbooks")
    memo = {"customer": customer, "currency": "USD", "invoice": copy, "applied": amount}
    line = {"description": "Bad debt", "amount": amount, "product": "1"}
    world.lookalikes["quickbooks"].edit("credit_note", None, {**memo, "lines": [line]})


async def test_a_payment_that_stands_twice_is_told_of_though_the_invoice_is_written_off() -> None:
    """The books asked for 59.00 to be written off: then nothing was due anywhere, and 30.00 stood there twice."""
    world, invoice, copy, twin = await recorded_in_both()
    (hold,) = held(world)
    assert (hold.reason, hold.detail["there"], hold.detail["registry"]) == ("balance_differs", "59.00", "89.00")
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "uncollectible"})
    await world.next_sweep()

    (hold,) = held(world)
    assert (hold.connection, hold.detail["document"]) == ("quickbooks", "invoice")
    assert hold.detail["limit"] == "nothing is booked twice"
    assert f"payment {twin} of its own" in str(hold.detail["problem"])
    assert "30.00 USD" in str(hold.detail["problem"])
    take_off(world, copy, "59.00")
    await world.next_sweep()
    assert [one["due"] for one in shown(world, "quickbooks")] == ["0.00"]
    assert [one.detail["limit"] for one in held(world)] == ["nothing is booked twice"]

    world.lookalikes["quickbooks"].edit("payment", twin, {"status": "void"})
    await world.next_sweep()
    (hold,) = held(world)
    assert str(hold.detail["problem"]).startswith("30.00 is still due in QuickBooks")
    take_off(world, copy, "30.00")
    await world.next_sweep()
    assert held(world) == []


async def test_a_payment_that_stands_twice_is_not_what_came_off_the_customers_balance() -> None:
    """30.00 of it are a credit of before: the second record in the books counted as what was booked of that."""
    world, _, _, twin = await recorded_in_both({"description": "Downgrade", "amount": "-30.00"})
    assert [one["due"] for one in shown(world, "stripe") if one["total"] == "119.00"] == ["59.00"]
    assert [one["due"] for one in shown(world, "quickbooks")] == ["59.00"]
    (hold,) = [one for one in held(world) if one.detail.get("limit") == "nothing is booked twice"]
    assert f"payment {twin} of its own" in str(hold.detail["problem"])


async def test_another_payment_that_came_in_at_the_books_settles_what_was_written_off() -> None:
    """Of another amount: the customer paid after all, and nothing stands twice."""
    world, invoice, copy = await billed(DocumentPolicy(originates=KINDS))
    pay(world, invoice, "30.00")
    await world.next_sweep()
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "uncollectible"})
    await world.next_sweep()
    pay(world, copy, "89.00", "quickbooks")
    await world.next_sweep()
    assert held(world) == []


async def credited_twice() -> tuple[World, str]:
    """Support credits 19.00 at Stripe, and the bookkeeper the same in the books, before either is copied. The memo."""
    both = DocumentPolicy(originates=KINDS, mirrors=("payment", "credit_note"), since=SINCE)
    world, invoice, copy = await billed(both)
    weather(world, "quickbooks", Fault(kind="too_many", method="POST", path=r"/creditmemo\?", count=1))
    weather(world, "stripe", Fault(kind="too_many", method="POST", path=r"/v1/credit_notes", count=1))
    line = {"description": "Sorry", "quantity": "1", "amount": "19.00"}
    memo = ""
    for name, bill_id, more in (
        ("stripe", invoice, {}),
        ("quickbooks", copy, {"number": "C-1", "issued_on": "2026-11-19"}),
    ):
        (customer,) = world.neutral(name)
        note = {
            "customer": customer,
            "currency": "USD",
            "invoice": bill_id,
            "lines": [line],
            "applied": "19.00",
            **more,
        }
        memo = world.lookalikes[name].edit("credit_note", None, note)
    for _ in range(2):
        await world.next_sweep()
    return world, memo


async def test_a_credit_that_is_recorded_in_both_systems_is_copied_to_neither() -> None:
    """38.00 were credited in both, and nobody was asked: a customer owed 81.00 and not 100.00."""
    world, memo = await credited_twice()
    for name in ("stripe", "quickbooks"):
        assert [one["due"] for one in shown(world, name)] == ["100.00"]
        assert len(shown(world, name, "credit_note")) == 1
    asked = {one.connection: one for one in held(world)}
    assert set(asked) == {"stripe", "quickbooks"}
    assert asked["quickbooks"].detail["problem"] == (
        f"QuickBooks Online has a credit note of its own, {memo}, of the same 19.00 USD of invoice"
        f" {shown(world, 'stripe')[0]['number']}, issued on 2026-11-19: it may be the same"
    )


async def test_one_of_two_records_of_a_credit_that_is_voided_frees_the_other() -> None:
    """The bookkeeper's was the one too many: Stripe's is booked in its place."""
    world, memo = await credited_twice()
    world.lookalikes["quickbooks"].edit("credit_note", memo, {"status": "void"})
    await world.next_sweep()
    await an_hour_later(world)
    assert held(world) == []
    for name in ("stripe", "quickbooks"):
        assert [one["due"] for one in shown(world, name)] == ["100.00"]
        assert [one["applied"] for one in shown(world, name, "credit_note") if one["status"] == "issued"] == ["19.00"]


async def test_what_two_systems_record_counts_once_in_an_overview() -> None:
    """While a person is asked, and if both are left: 38.00 were credited and 100.00 paid, of 19.00 and 50.00."""
    world, _ = await credited_twice()
    (invoice,), (copy,) = (list(world.lookalikes[name].neutral("invoice")) for name in ("stripe", "quickbooks"))
    busy(world)
    pay(world, copy, "50.00", "quickbooks")
    pay(world, invoice, "50.00")
    for _ in range(2):
        await world.next_sweep()
    assert len(held(world)) == 4
    for one in held(world):
        await answer(world, one, "leave")
    (ada,) = everybody(world)
    (told,) = world.db.read_now(lambda tx: overview(tx, world.hub, ada.external_id, with_children=False))
    assert (told["gross_revenue"], told["paid"], told["outstanding"]) == ("100.00", "50.00", "50.00")
    await world.next_sweep()
    assert figures(world) == ("USD", "100", "50", "0", "2026-11-20", "")
