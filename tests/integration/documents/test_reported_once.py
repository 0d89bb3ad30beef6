"""A report of a payment that Stripe may have, attached to nothing: no list shows it, and it is not told again."""

from __future__ import annotations

import pytest

from core.ports import HttpRequest, HttpResponse
from core.store import connections
from tests.integration.documents.test_copies_at_stripe import LINE, booking, is_silent
from tests.support.acting import answer, held
from tests.support.crashes import died_with_the_answer
from tests.support.lookalikes import stripe_of
from tests.support.paper import at_rest, bill, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio

DAYS = 2 * 86_400


def records(world: World) -> list[dict[str, object]]:
    """What Stripe was told of payments, attached or not."""
    return list(stripe_of(world).ledger.things["payment_record"].values())


def attach(world: World, invoice: str, record: dict[str, object]) -> None:
    """Somebody ties a report to the copy of its invoice, with a key of the account."""
    told = {
        "authorization": f"Bearer {stripe_of(world).settings.api_key}",
        "content-type": "application/x-www-form-urlencoded",
        "stripe-version": stripe_of(world).settings.api_version,
    }
    url = f"https://api.stripe.com/v1/invoices/{invoice}/attach_payment"
    request = HttpRequest("POST", url, told, f"payment_record={record['id']}".encode())
    response = stripe_of(world).respond(request)
    assert response.status == 200, response.body


async def died_after(world: World, report: int) -> None:
    """The process dies with the answer to one of its reports in hand, and comes back two days later."""
    reports = list[str]()

    def is_it(request: HttpRequest) -> bool:
        if "/report_payment" in request.url:
            reports.append(request.url)
        return "/report_payment" in request.url and len(reports) == report

    await died_with_the_answer(world, "stripe", is_it, down=DAYS)


async def two_billed() -> tuple[World, list[str]]:
    """Two invoices of the books that have open copies at Stripe."""
    world = await booking()
    invoices = [bill(world, "quickbooks", LINE, number=f"B-{number}") for number in (1, 2)]
    await world.next_sweep()
    return world, invoices


async def test_a_report_that_may_be_at_stripe_is_not_made_again_before_somebody_looked() -> None:
    """Its key was forgotten while Accord was down: the money stood at Stripe twice, once attached to nothing."""
    world, (invoice, _) = await two_billed()
    pay(world, invoice, "50.00", "quickbooks")
    await died_after(world, 1)
    assert len(records(world)) == 1
    (asked,) = held(world)
    assert (asked.connection, asked.detail["document"], asked.detail["amount"]) == ("stripe", "payment", "50.00")
    assert "tied to nothing" in str(asked.detail["problem"])
    await is_silent(world)
    assert [one.id for one in held(world)] == [asked.id]

    await answer(world, asked, "retry")
    await world.next_sweep()
    at_rest(world)
    assert sorted(one["due"] for one in shown(world, "stripe")) == ["119.00", "69.00"]
    await is_silent(world)


async def test_a_report_that_somebody_attached_is_found_after_retry_and_not_made_again() -> None:
    """It bears our marker: once it is attached it is the copy."""
    world, (invoice, _) = await two_billed()
    pay(world, invoice, "50.00", "quickbooks")
    await died_after(world, 1)
    (asked,), (record,) = held(world), records(world)
    (copy,) = [name for name, one in stripe_of(world).neutral("invoice").items() if one["number"] == "B-1"]
    attach(world, copy, record)
    await answer(world, asked, "retry")
    await world.next_sweep()
    at_rest(world)
    assert len(records(world)) == 1
    assert sorted(one["due"] for one in shown(world, "stripe")) == ["119.00", "69.00"]


async def test_a_later_part_that_may_be_at_stripe_is_not_reported_again_either() -> None:
    """A payment of two invoices is two reports."""
    world, invoices = await two_billed()
    parts = [{"invoice": one, "amount": amount} for one, amount in zip(invoices, ("100.00", "7.00"), strict=True)]
    pay(world, invoices[0], "107.00", "quickbooks", applications=parts)
    await died_after(world, 2)
    assert len(records(world)) == 2
    (asked,) = [one for one in held(world) if one.detail["document"] == "payment"]
    await answer(world, asked, "retry")
    await world.next_sweep()
    at_rest(world)
    assert sorted(one["due"] for one in shown(world, "stripe")) == ["112.00", "19.00"]


async def test_a_report_that_may_be_at_stripe_can_be_left() -> None:
    """Somebody keeps the copy by hand from now on."""
    world, (invoice, _) = await two_billed()
    pay(world, invoice, "50.00", "quickbooks")
    await died_after(world, 1)
    (asked,) = held(world)
    await answer(world, asked, "leave")
    await world.next_sweep()
    assert len(records(world)) == 1
    assert held(world) == []


@pytest.mark.parametrize("told", [(400, "invalid_request_error"), (404, "invalid_request_error"), (429, "rate_limit")])
async def test_a_report_that_could_not_be_attached_is_not_made_again_under_another_key(told: tuple[int, str]) -> None:
    """The refusal was of its second call: tried again under another key, the first one reported the money twice."""
    world, (invoice, _) = await two_billed()
    through, times = world.exchanges["stripe"], list[str]()
    status, kind = told

    def exchange(request: HttpRequest) -> HttpResponse:
        if "/attach_payment" in request.url and len(times) < 2:
            times.append(request.url)
            return HttpResponse(status, {}, f'{{"error": {{"type": "{kind}", "message": "Not now."}}}}'.encode())
        return through(request)

    world.exchanges["stripe"] = exchange
    pay(world, invoice, "50.00", "quickbooks")
    await world.next_sweep()
    await world.settle(patience=7200.0)
    for one in held(world):
        await answer(world, one, "retry")
    at_rest(world)
    assert len(records(world)) == 1
    assert sorted(one["due"] for one in shown(world, "stripe")) == ["119.00", "69.00"]
    await is_silent(world)


async def test_a_report_that_can_never_be_attached_is_asked_about_and_stays_the_only_one() -> None:
    """Whoever paid the invoice meanwhile leaves nothing to attach it to."""
    world, (invoice, _) = await two_billed()
    through = world.exchanges["stripe"]

    def exchange(request: HttpRequest) -> HttpResponse:
        if "/attach_payment" in request.url:
            return HttpResponse(400, {}, b'{"error": {"type": "invalid_request_error", "message": "Paid meanwhile."}}')
        return through(request)

    world.exchanges["stripe"] = exchange
    pay(world, invoice, "50.00", "quickbooks")
    await world.next_sweep()
    await world.settle(patience=7200.0)
    (asked,) = held(world)
    assert "tied to nothing" in str(asked.detail["problem"])
    assert len(records(world)) == 1
    await is_silent(world)


async def test_a_report_that_was_never_sent_is_not_asked_about() -> None:
    """The key was refused at the first of them; those behind it stood as sent, and two days later as perhaps made."""
    world, (invoice, _) = await two_billed()
    through = world.exchanges["stripe"]
    refused = b'{"error": {"type": "invalid_request_error", "message": "Expired API Key", "code": "api_key_expired"}}'

    def exchange(request: HttpRequest) -> HttpResponse:
        return HttpResponse(401, {}, refused) if request.method == "POST" else through(request)

    bill(world, "quickbooks", LINE, number="B-3")
    pay(world, invoice, "50.00", "quickbooks")
    world.exchanges["stripe"] = exchange
    await world.next_sweep()
    world.exchanges["stripe"] = through
    world.clock.time += DAYS
    world.db.run_now(lambda tx: connections.change(tx, "stripe", state="active", error="", error_code=""))
    world.start()
    await world.settle(patience=7200.0)
    await world.next_sweep()

    at_rest(world)
    assert len(records(world)) == 1
    assert sorted(one["due"] for one in shown(world, "stripe")) == ["119.00", "119.00", "69.00"]
