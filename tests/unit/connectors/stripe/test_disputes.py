# ruff: noqa: D103 -- each test says what it is about
"""Chargebacks: read with what they took and what they cost, told by their events, as strict as Stripe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from connectors.stripe.connector import PROVIDER
from connectors.stripe.webhook import StripeWebhooks
from core.errors import ReplyError
from core.model.documents import Dispute, Payment
from core.ports import HttpResponse
from tests.unit.connectors.stripe.test_document_feeds import billed, fed, paid


def disputed(world: Any, **says: str) -> str:
    payment = paid(world, "10.00", billed(world))
    world.stripe.edit("payment", payment, {"dispute": {"amount": "10.00", **says}})
    return payment


def read(world: Any, payment: str) -> Payment:
    raw = world.run(world.connector.read("payment", [payment]))[payment].raw
    assert PROVIDER.documents is not None
    found = PROVIDER.documents(world.config).read("payment", raw).document
    assert isinstance(found, Payment)
    return found


def the_one(world: Any, payment: str) -> Dispute:
    (one,) = read(world, payment).disputes
    return one


@pytest.mark.parametrize(
    ("first", "then", "status", "withdrawn", "fee"),
    [
        ("needs_response", (), "needs_response", "10.00", "15.00"),
        ("needs_response", ("under_review",), "under_review", "10.00", "15.00"),
        ("needs_response", ("under_review", "lost"), "lost", "10.00", "15.00"),
        ("needs_response", ("won",), "won", "0", "15.00"),
        ("warning_needs_response", (), "needs_response", "0", "0"),
        ("warning_needs_response", ("warning_under_review",), "under_review", "0", "0"),
        ("warning_needs_response", ("warning_closed",), "won", "0", "0"),
        ("warning_needs_response", ("needs_response",), "needs_response", "10.00", "15.00"),
        ("warning_needs_response", ("prevented",), "won", "0", "0"),
    ],
)
def test_a_dispute_tells_its_state_what_it_took_and_its_fee(
    world: Any, first: str, then: tuple[str, ...], status: str, withdrawn: str, fee: str
) -> None:
    payment = disputed(world, status=first)
    for state in then:
        world.stripe.edit("payment", payment, {"dispute": {"status": state}})
    one = the_one(world, payment)
    assert (one.status, one.amount, one.withdrawn) == (status, Decimal("10.00"), Decimal(withdrawn))
    assert (one.fee, one.fee_currency) == (Decimal(fee), "EUR" if Decimal(fee) else "")
    assert read(world, payment).charged_back == Decimal(withdrawn)


def test_a_payment_that_nobody_disputes_costs_no_further_call(world: Any) -> None:
    payment = paid(world, "10.00", billed(world))
    before = len(world.requests)
    assert read(world, payment).disputes == ()
    assert len(world.requests) == before + 1
    world.stripe.edit("payment", payment, {"dispute": {"amount": "4.00"}})
    assert the_one(world, payment).withdrawn == Decimal("4.00")
    assert len(world.requests) == before + 3


def tampered(world: Any, **changes: Any) -> None:
    """Every dispute is as Stripe would tell it in an odd case."""

    def tamper(request: Any, respond: Any) -> HttpResponse:
        answer: HttpResponse = respond()
        if "/v1/disputes" not in request.url:
            return answer
        page = json.loads(answer.body)
        page["data"] = [{**one, **changes} for one in page["data"]]
        page["has_more"] = changes.get("has_more", False)
        return HttpResponse(200, answer.headers, json.dumps(page).encode())

    world.tamper = tamper


def moved(amount: int, currency: str = "usd", fee: int = 0) -> Mapping[str, Any]:
    return {"amount": amount, "currency": currency, "fee": fee}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"currency": "usd"}, "another currency"),
        ({"status": "forgotten"}, "does not"),
        ({"balance_transactions": [moved(-5), moved(5, "gbp")]}, "several currencies"),
        ({"has_more": True}, "more than"),
        ({"amount": "x"}, "not what Stripe documents"),
    ],
)
def test_a_dispute_that_cannot_be_told_exactly_is_no_payment(world: Any, changes: Any, words: str) -> None:
    payment = disputed(world)
    tampered(world, **changes)
    with pytest.raises(ReplyError, match=words):
        read(world, payment)


def test_what_was_taken_in_another_currency_is_told_in_that_of_the_payment(world: Any) -> None:
    payment = disputed(world)
    tampered(world, balance_transactions=[moved(-1150, fee=2000)])
    one = the_one(world, payment)
    assert (one.withdrawn, one.fee, one.fee_currency) == (Decimal("10.00"), Decimal("20.00"), "USD")
    # given back at another rate: what is left of it in dollars is no part of the payment
    tampered(world, status="won", balance_transactions=[moved(-1150, fee=2000), moved(1149)])
    assert the_one(world, payment).withdrawn == 0


def test_a_payment_of_several_invoices_is_disputed_as_a_whole_or_not_told(world: Any) -> None:
    payment = paid(world, "10.00", billed(world), billed(world))
    world.stripe.edit("payment", payment, {"dispute": {"amount": "20.00"}})
    assert the_one(world, payment).withdrawn == Decimal("10.00")
    tampered(world, amount=500)
    assert read(world, payment).disputes == ()


def test_the_feed_leads_from_a_dispute_to_its_payment(world: Any) -> None:
    cursor = world.sweep("changes")[-1].cursor
    payment = paid(world, "10.00", billed(world))
    world.clock.time += 1000
    cursor = world.sweep("changes", cursor)[-1].cursor
    world.clock.time += 1000
    world.stripe.edit("payment", payment, {"dispute": {"amount": "10.00", "status": "warning_needs_response"}})
    assert fed(world, cursor) == {("payment", payment)}
    for status in ("needs_response", "under_review", "won"):
        world.clock.time += 1000
        cursor = world.sweep("changes", cursor)[-1].cursor
        world.clock.time += 1000
        world.stripe.edit("payment", payment, {"dispute": {"status": status}})
        # that evidence was sent moves no money: by webhook it is told, by the feed it is not
        assert fed(world, cursor) == (set() if status == "under_review" else {("payment", payment)})


def test_every_event_of_a_dispute_names_what_was_paid() -> None:
    about = {"object": "dispute", "id": "du_1", "charge": "ch_1", "payment_intent": "pi_1"}
    for name in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated"):
        event = {"type": f"charge.dispute.{name}", "data": {"object": about}}
        (notice,) = StripeWebhooks().notices(json.dumps(event).encode())
        assert (notice.kind, notice.remote_id) == ("payment", "pi_1")


@pytest.mark.parametrize(
    "changes",
    [
        {"dispute": {"amount": "0.00"}},
        {"dispute": {"amount": "11.00"}},
        {"dispute": {"amount": "1.00", "status": "won"}},
        {"dispute": {"status": "won"}},
        {"refund_failed": True},
    ],
)
def test_people_and_banks_do_only_what_they_can(world: Any, changes: Any) -> None:
    payment = paid(world, "10.00", billed(world))
    with pytest.raises(ValueError, match=r"disputes|dispute of|refund that could fail"):
        world.stripe.edit("payment", payment, changes)
    assert world.stripe.treasury.things["dispute"] == {}


def test_what_was_charged_back_is_not_refunded_and_what_is_over_stays_so(world: Any) -> None:
    payment = disputed(world)
    with pytest.raises(ValueError, match="charged back"):
        world.stripe.edit("payment", payment, {"refunded": "1.00"})
    world.stripe.edit("payment", payment, {"dispute": {"status": "lost"}})
    with pytest.raises(ValueError, match="no dispute"):
        world.stripe.edit("payment", payment, {"dispute": {"status": "won"}})
    with pytest.raises(ValueError, match="no dispute"):
        world.stripe.edit("payment", disputed(world), {"dispute": {"status": "x"}})


def test_disputes_are_listed_by_charge_and_read_one_by_one(world: Any) -> None:
    disputed(world)
    disputed(world)
    one, other = world.call("GET", "/v1/disputes")[1]["data"]
    found = world.call("GET", "/v1/disputes", {"charge": one["charge"]})[1]["data"]
    assert [each["id"] for each in found] == [one["id"]]
    assert world.call("GET", f"/v1/disputes/{other['id']}")[1] == other
    assert world.call("GET", "/v1/disputes/du_x")[0] == 404
    assert world.call("GET", "/v1/disputes", {"status": "won"})[0] == 400
    world.change(denied_permissions=frozenset({"rak_dispute_read"}))
    assert world.call("GET", "/v1/disputes")[0] == 403
