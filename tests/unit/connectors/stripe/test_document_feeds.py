# ruff: noqa: D103 -- `world` is made in conftest, which tests cannot import
"""How documents come in: lists, reads, the event feed that customers have anyway, and webhooks."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from connectors.stripe.manifest import FED, MANIFEST
from connectors.stripe.sandbox import StripeSettings
from connectors.stripe.webhook import StripeWebhooks
from core.errors import AmbiguousError, BugError, ReplyError, RetryError
from core.ports import HttpResponse, Missing, Probe, Write

DAY = 86_400


def billed(world: Any, **says: Any) -> str:
    """An open invoice of ten euros; its customer is made on the way."""
    customer = next(iter(world.stripe.objects("customer")), None) or world.stripe.edit("customer", None, {"name": "A"})
    lines = [{"description": "x", "amount": "10.00"}]
    remote_id: str = world.stripe.edit(
        "invoice", None, {"customer": customer, "currency": "EUR", "lines": lines, "status": "open", **says}
    )
    world.clock.time += 5
    return remote_id


def paid(world: Any, amount: str, *invoices: str, **says: Any) -> str:
    """A payment, in equal parts."""
    total = f"{float(amount) * len(invoices):.2f}"
    parts = [{"invoice": one, "amount": amount} for one in invoices]
    remote_id: str = world.stripe.edit(
        "payment", None, {"currency": "EUR", "amount": total, "applications": parts, **says}
    )
    world.clock.time += 5
    return remote_id


def pages(world: Any, kind: str) -> list[Any]:
    found = [world.run(world.connector.sweep(kind, "full", None))]
    while not found[-1].is_last:
        found.append(world.run(world.connector.sweep(kind, "full", found[-1].cursor)))
    return found


# ---- lists and reads -------------------------------------------------------------------------------


@pytest.mark.parametrize("is_deleted", [False, True])
def test_every_document_is_listed_although_a_draft_goes_away_meanwhile(world: Any, *, is_deleted: bool) -> None:
    """A page that starts after an object that is gone would be refused, and the sweep begin anew for ever."""
    for _ in range(130):
        billed(world, status="draft")
    first = world.run(world.connector.sweep("invoice", "full", None))
    assert (len(first.sightings), first.is_last) == (100, False)
    if is_deleted:
        world.stripe.delete("invoice", first.sightings[-1].id)
    second = world.run(world.connector.sweep("invoice", "full", first.cursor))
    assert second.is_last
    assert {one.id for one in (*first.sightings, *second.sightings)} >= set(world.stripe.objects("invoice"))
    with pytest.raises(BugError, match="cursor"):
        world.run(world.connector.sweep("invoice", "full", "x"))
    with pytest.raises(BugError, match="feed"):
        world.run(world.connector.sweep("invoice", "changes", None))


def test_lines_beyond_the_embedded_ones_are_read(world: Any) -> None:
    """Ten come along; an invoice with the first ten of its lines would be a smaller invoice."""
    many = [{"description": str(number), "amount": "1.00"} for number in range(230)]
    invoice = billed(world, lines=many)
    credit = world.stripe.edit(
        "credit_note", None, {"invoice": invoice, "lines": [{"description": "x", "amount": "1.00"}] * 12}
    )
    for kind, remote_id, count in (("invoice", invoice, 230), ("credit_note", credit, 12)):
        ((seen,),) = [page.sightings for page in pages(world, kind)]
        assert seen == world.run(world.connector.read(kind, [remote_id]))[remote_id]
        assert len(json.loads(seen.raw)["lines"]["data"]) == count


def test_a_deleted_draft_is_missing_and_an_unreadable_answer_is_not(world: Any) -> None:
    """Could not read is not "not there"."""
    draft = billed(world, status="draft")
    world.stripe.delete("invoice", draft)
    assert world.run(world.connector.read("invoice", [draft])) == {draft: Missing(draft)}
    world.tamper = lambda *_: HttpResponse(404, {}, b'{"error":{"message":"Unrecognized request URL"}}')
    with pytest.raises(ReplyError):
        world.run(world.connector.read("invoice", [draft]))


def test_a_document_that_cannot_be_taken_does_not_stop_the_others(world: Any) -> None:
    """One bad record in a page is named, and the rest flows."""
    good, odd, gone = billed(world), billed(world), billed(world, status="draft", lines=[{"amount": "1.00"}] * 11)

    def tamper(request: Any, respond: Callable[[], HttpResponse]) -> HttpResponse:
        if request.url.endswith("/lines?limit=100") and gone in world.stripe.objects("invoice"):
            world.stripe.delete("invoice", gone)
        response = respond()
        if "/v1/invoices?" not in request.url:
            return response
        page = json.loads(response.body)
        for one in page["data"]:
            if one["id"] == odd:
                one["amount_due"] = "much"
            if one["id"] == good:
                one["hosted_invoice_url"] = "\ud800"
        page["data"].append({**page["data"][2], "id": "in_x", "description": "\ud800"})
        page["data"].append({**page["data"][2], "id": "in_\x00"})
        page["data"].append(7)
        return HttpResponse(200, {}, json.dumps(page).encode())

    world.tamper = tamper
    page = world.run(world.connector.sweep("invoice", "full", None))
    assert [one.id for one in page.sightings] == [good]
    assert [one.id for one in page.bad] == [odd, "in_x", "in_\\u0000", ""]


def test_a_list_that_goes_on_without_a_usable_end_is_no_list(world: Any) -> None:
    """Else the sweep would end early and call the rest gone."""
    world.tamper = lambda *_: HttpResponse(200, {}, b'{"data": [], "has_more": true}')
    with pytest.raises(ReplyError, match="usable id"):
        world.run(world.connector.sweep("invoice", "full", None))


def test_lines_that_vanish_while_they_are_read_are_read_again(world: Any) -> None:
    """A draft is edited between two pages of its lines."""
    draft = billed(world, status="draft", lines=[{"amount": "1.00"}] * 150)

    def tamper(request: Any, respond: Any) -> HttpResponse:
        if "starting_after" in request.url:
            world.stripe.edit("invoice", draft, {"lines": [{"amount": "1.00"}]})
        response: HttpResponse = respond()
        return response

    world.tamper = tamper
    with pytest.raises(RetryError, match="taken away"):
        world.run(world.connector.read("invoice", [draft]))


def test_a_list_that_loses_its_place_is_looked_through_again(world: Any) -> None:
    """Looking for a mark must not end early, and call it not there."""
    for _ in range(101):
        billed(world, status="draft")

    def tamper(request: Any, respond: Any) -> HttpResponse:
        if "starting_after" in request.url:
            world.stripe.delete("invoice", request.url.split("starting_after=")[1].split("&")[0])
        response: HttpResponse = respond()
        return response

    world.tamper = tamper
    with pytest.raises(RetryError, match="deleted"):
        world.run(world.connector.find("invoice", Probe(mark="i.m.1", created_after=0.0)))


def test_a_search_is_read_to_its_end(world: Any) -> None:
    """A number may differ from another one by the case of a letter only."""
    for number in range(101):
        billed(world, number="a-1" if number == 3 else "", memo=str(number))
    world.stripe.edit("invoice", billed(world, status="draft"), {"number": "A-1"})
    world.clock.time += 60
    (found,) = world.run(world.connector.find("invoice", Probe(unique={"number": "a-1"})))
    assert json.loads(found.raw)["number"] == "a-1"
    drafts = [billed(world, status="draft", metadata={"accord_ref": "i.m.1"}) for _ in range(102)]
    world.clock.time += 60
    found = world.run(world.connector.find("invoice", Probe(mark="i.m.1")))
    assert {one.id for one in found} == set(drafts)
    assert world.run(world.connector.find("payment", Probe(unique={"number": "wire"}))) == []


# ---- the event feed --------------------------------------------------------------------------------


def fed(world: Any, cursor: str) -> set[tuple[str, str]]:
    (page,) = world.sweep("changes", cursor)
    assert page.bad == []
    return {(one.kind, one.remote_id) for one in page.others}


def test_the_customers_feed_names_every_document_that_changed(world: Any) -> None:
    """Documents cost no calls of their own; a refund leads to the payment that it belongs to."""
    cursor = world.sweep("changes")[-1].cursor
    world.clock.time += 1000
    invoice, draft = billed(world), billed(world, status="draft")
    world.stripe.delete("invoice", draft)
    payment = paid(world, "4.00", invoice)
    credit = world.stripe.edit("credit_note", None, {"invoice": invoice, "lines": [{"amount": "1.00"}]})
    before = len(world.requests)
    assert fed(world, cursor) == {
        ("invoice", invoice), ("invoice", draft), ("payment", payment), ("credit_note", credit),
    }  # fmt: skip
    assert len(world.requests) == before + 1
    world.clock.time += 1000
    cursor = world.sweep("changes")[-1].cursor
    world.clock.time += 1000
    world.stripe.edit("payment", payment, {"refunded": "1.50"})
    assert fed(world, cursor) == {("payment", payment)}


def test_a_refund_of_several_invoices_leads_to_each_of_their_payments(world: Any) -> None:
    """One payment intent may pay many."""
    cursor = world.sweep("changes")[-1].cursor
    first, second = billed(world), billed(world)
    paid(world, "10.00", first, second)
    world.clock.time += 1000
    cursor = world.sweep("changes")[-1].cursor
    world.clock.time += 1000
    some = [one for one in world.stripe.neutral("payment") if world.stripe.neutral("payment")[one]["status"] != "void"]
    world.stripe.edit("payment", some[0], {"refunded": "20.00"})
    assert fed(world, cursor) == {("payment", one) for one in some}
    assert len(some) == 2


def test_the_feed_takes_no_more_types_than_one_call_may_name() -> None:
    """Stripe refuses the twenty-first."""
    assert len(FED) <= 20
    assert set(FED) < set(MANIFEST.webhook_events)


def test_an_event_about_no_document_is_told_and_does_not_stop_the_feed(world: Any) -> None:
    """Every event of the page is looked at."""
    cursor = world.sweep("changes")[-1].cursor
    world.clock.time += 1000
    billed(world)

    def tamper(_: Any, respond: Any) -> HttpResponse:
        page = json.loads(respond().body)
        told = next(one for one in page["data"] if one["type"] == "invoice.created")
        page["data"].append({**page["data"][0], "type": "invoice.paid", "data": {"object": {"object": "invoice"}}})
        page["data"].append(
            {**page["data"][0], "type": "invoice.paid", "data": {"object": {"id": "x", "object": "quote"}}}
        )
        page["data"].append(
            {**page["data"][0], "type": "invoice.paid", "data": {"object": {"id": "x", "object": ["invoice"]}}}
        )
        page["data"].append({**told, "id": "evt_\ud800"})
        return HttpResponse(200, {"date": "Mon, 21 Sep 2026 14:13:20 GMT"}, json.dumps(page).encode())

    world.tamper = tamper
    (page,) = world.sweep("changes", cursor)
    assert {one.kind for one in page.others} == {"invoice"}
    told = ["names no document" in one.problem or "is about none" in one.problem for one in page.bad]
    assert told == [True, True, True]


# ---- webhooks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "about", "named"),
    [
        ("invoice.paid", {"id": "in_1", "object": "invoice"}, [("invoice", "in_1")]),
        (
            "invoice_payment.paid",
            {"id": "inpay_1", "object": "invoice_payment", "invoice": "in_1"},
            [("payment", "inpay_1"), ("invoice", "in_1")],
        ),
        (
            "credit_note.voided",
            {"id": "cn_1", "object": "credit_note", "invoice": {"id": "in_1"}},
            [("credit_note", "cn_1"), ("invoice", "in_1")],
        ),
        ("refund.created", {"id": "re_1", "object": "refund", "payment_intent": "pi_1"}, [("payment", "pi_1")]),
        ("charge.refunded", {"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}, [("payment", "pi_1")]),
        (
            "charge.dispute.created",
            {"id": "du_1", "object": "dispute", "payment_intent": "pi_1"},
            [("payment", "pi_1")],
        ),
        ("refund.created", {"id": "re_1", "object": "refund", "payment_intent": None}, []),
    ],
)
def test_webhooks_name_the_documents_they_concern(kind: str, about: Any, named: Any) -> None:
    """An identity, never a value; what a payment or a credit note settles is looked at with it."""
    event = {"id": "evt_1", "type": kind, "data": {"object": about}, "request": {"idempotency_key": "k"}}
    found = StripeWebhooks().notices(json.dumps(event).encode())
    assert [(one.kind, one.remote_id) for one in found] == named
    assert all(one.our_key == "k" for one in found)


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"object": "invoice"}, "a document's event names no document"),
        ({"id": "qt_1", "object": "quote"}, "a document's event is about none"),
        ({"id": "in_1", "object": ["invoice"]}, "a document's event is about none"),
    ],
)
def test_a_webhook_about_no_document_says_so(about: Any, says: str) -> None:
    """It is kept with these words; a person reads them."""
    event = {"id": "evt_1", "type": "invoice.paid", "data": {"object": about}}
    with pytest.raises(ReplyError) as refused:
        StripeWebhooks().notices(json.dumps(event).encode())
    assert str(refused.value) == says


def test_a_refunds_webhook_leads_to_the_payment(world: Any) -> None:
    """It names an intent, which reading resolves; one that paid no invoice leads nowhere."""
    payment = paid(world, "10.00", billed(world))
    (intent,) = world.stripe.ledger.charges.values()
    found = world.run(world.connector.read("payment", [intent["payment_intent"], "pi_other"]))
    assert found == {
        intent["payment_intent"]: Missing(intent["payment_intent"], survivor=payment),
        "pi_other": Missing("pi_other"),
    }


def test_the_look_alikes_webhooks_are_signed_and_understood(make_world: Callable[..., Any]) -> None:
    """What it delivers about documents is what the connector listens to, and more that it does not."""
    world = make_world(StripeSettings(webhook_url="https://accord.test/webhooks/s"))
    invoice = billed(world)
    paid(world, "10.00", invoice)
    kinds = set()
    for one in world.stripe.due_webhooks(world.clock.now()):
        StripeWebhooks().verify(one.delivery, ["whsec_lookalike"], world.clock.now())
        kinds |= {notice.kind for notice in StripeWebhooks().notices(one.delivery.body)}
    assert kinds == {"customer", "invoice", "payment"}


# ---- answers that are lost or odd ------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"<html>", b'{"id": "in_x", "object": "invoice"}'])
def test_a_write_whose_answer_is_garbage_may_have_happened(world: Any, body: bytes) -> None:
    """It is looked for, and never simply sent again."""
    world.tamper = lambda *_: HttpResponse(200, {}, body)
    write = Write(key="k", action="create", kind="invoice", remote_id=None, body={"customer": "cus_1"})
    (receipt,) = world.run(world.connector.write([write]))
    assert isinstance(receipt, AmbiguousError)


def test_an_answer_that_shows_another_document_is_no_answer(world: Any) -> None:
    """Its amounts would be taken for the copy's."""
    invoice, other = billed(world), billed(world)
    world.tamper = lambda request, respond: (
        HttpResponse(200, {}, json.dumps(world.call("GET", f"/v1/invoices/{other}")[1]).encode())
        if request.method == "POST"
        else respond()
    )
    write = Write(key="k", action="void", kind="invoice", remote_id=invoice, body={})
    (receipt,) = world.run(world.connector.write([write]))
    assert isinstance(receipt, AmbiguousError)


def pay_write(invoice: str) -> Write:
    report = {
        "amount_requested": {"currency": "eur", "value": "1000"}, "initiated_at": "1", "outcome": "guaranteed",
        "guaranteed": {"guaranteed_at": "1"}, "payment_method_details": {"type": "custom"},
        "metadata": {"accord_ref": "i.m.1", "accord_part": "0"},
    }  # fmt: skip
    return Write(key="k", action="create", kind="payment", remote_id=None, body={"invoice": invoice, "report": report})


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_payment_that_is_attached_and_cannot_be_seen_may_have_happened(world: Any, *, is_empty: bool) -> None:
    """The same key finds out; nothing is reported a second time."""
    invoice = billed(world)

    def tamper(request: Any, respond: Any) -> HttpResponse:
        is_list = request.method == "GET" and "/v1/invoice_payments" in request.url
        if is_list and world.stripe.neutral("invoice")[invoice]["status"] == "paid":
            return HttpResponse(200, {}, b'{"data": [], "has_more": false}' if is_empty else b"<html>")
        response: HttpResponse = respond()
        return response

    world.tamper = tamper
    (receipt,) = world.run(world.connector.write([pay_write(invoice)]))
    assert isinstance(receipt, AmbiguousError)
    world.tamper = None
    (receipt,) = world.run(world.connector.write([pay_write(invoice)]))
    assert receipt.is_replay
    assert len(world.stripe.ledger.things["payment_record"]) == 1
