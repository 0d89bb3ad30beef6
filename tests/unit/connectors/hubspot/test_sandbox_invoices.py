"""The look-alike is as strict with invoices as HubSpot's documentation is: a naive client fails."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.hubspot.sandbox import HubSpotSettings
from connectors.hubspot.webhook import HubSpotWebhooks

INVOICES = "/crm/objects/2026-09/invoices"
ITEMS = "/crm/objects/2026-09/line_items"
TIES = "/crm/associations/2026-09/invoices"


def made(world: Any, path: str = INVOICES, **properties: str) -> str:
    """A new object's id."""
    status, body, _ = world.call("POST", path, {"properties": properties, "associations": []})
    assert status == 201, body
    return str(body["id"])


def tie(world: Any, invoice: str, to: str, other: str, type_id: int) -> tuple[int, Any]:
    """One association; an error of a single input comes with 207."""
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
    one = {"from": {"id": invoice}, "to": {"id": other}, "types": [kind]}
    status, body, _ = world.call("POST", f"{TIES}/{to}/batch/create", {"inputs": [one]})
    return status, body.get("errors") or body


def patched(world: Any, invoice: str, path: str = INVOICES, **properties: str) -> tuple[int, str]:
    """An update: its status, and the problem if there is one."""
    status, body, _ = world.call("PATCH", f"{path}/{invoice}", {"properties": properties})
    return status, body.get("message", "")


def shown(world: Any, invoice: str, *names: str, path: str = INVOICES) -> list[Any]:
    """Properties as a read tells them."""
    _, body, _ = world.call("GET", f"{path}/{invoice}?properties={','.join(names)}")
    return [body["properties"].get(name) for name in names]


@pytest.fixture
def contact(world: Any) -> str:
    """Somebody."""
    return str(world.hubspot.edit("customer", None, {"name": "Ada"}).partition(":")[2])


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({}, "hs_currency is required"),
        ({"hs_currency": "EURO"}, "INVALID_OPTION"),
        ({"hs_currency": "EUR", "hs_invoice_status": "sent"}, "INVALID_OPTION"),
        ({"hs_currency": "EUR", "hs_invoice_billable": "no"}, "INVALID_OPTION"),
        ({"hs_currency": "EUR", "hs_due_date": "tomorrow"}, "INVALID_OPTION"),
        ({"hs_currency": "EUR", "accord_due_on": "2026-11-01T05:00:00Z"}, "INVALID_DATE"),
        ({"hs_currency": "EUR", "accord_total": "ten"}, "INVALID_NUMBER"),
        ({"hs_currency": "EUR", "accord_total": "Infinity"}, "INVALID_NUMBER"),
        ({"hs_currency": "EUR", "hs_number": "7"}, "READ_ONLY_VALUE"),
        ({"hs_currency": "EUR", "hs_balance_due": "7"}, "READ_ONLY_VALUE"),
        ({"hs_currency": "EUR", "accord_nonsense": "7"}, "PROPERTY_DOESNT_EXIST"),
    ],
)
def test_what_an_invoice_cannot_be_is_refused(world: Any, properties: Any, problem: str) -> None:
    """Numbers and balances are HubSpot's to reckon."""
    status, body, _ = world.call("POST", INVOICES, {"properties": properties, "associations": []})
    assert status == 400
    assert problem in body["message"]


def test_dates_and_the_status_are_filled_in(world: Any) -> None:
    """Whoever reads them back reads HubSpot's, not their own."""
    invoice = made(world, hs_currency="EUR", hs_due_date="1793491200000")

    assert shown(world, invoice, "hs_invoice_status", "hs_invoice_billable", "hs_invoice_date", "hs_due_date") == [
        "draft",
        "true",
        "2026-09-21T00:00:00Z",
        "2026-11-01T00:00:00Z",
    ]


def test_what_hubspot_bills_must_be_complete_and_is_not_paid_by_hand(world: Any, contact: str) -> None:
    """An invoice that is not its own has no such rules, no number and no link."""
    invoice = made(world, hs_currency="EUR")
    assert patched(world, invoice, hs_invoice_status="open") == (400, "An open invoice needs exactly one contact")
    tie(world, invoice, "contacts", contact, 177)
    assert patched(world, invoice, hs_invoice_status="open") == (400, "An open invoice needs at least one line item")
    item = made(world, ITEMS, name="Seat", price="10", quantity="3", discount="1")
    tie(world, invoice, "line_items", item, 409)
    assert patched(world, invoice, hs_invoice_status="open") == (200, "")
    words = "Recording payments manually is not possible via the API"
    assert patched(world, invoice, hs_invoice_status="paid") == (400, words)
    names = ("hs_number", "hs_amount_billed", "hs_amount_paid", "hs_balance_due", "hs_invoice_link")
    told = [f"INV-{invoice}", "27.00", "0", "27.00", f"https://invoices.example/{invoice}"]
    assert shown(world, invoice, *names) == told

    copy = made(world, hs_currency="EUR", hs_invoice_billable="false")
    assert patched(world, copy, hs_invoice_status="paid") == (200, "")
    assert shown(world, copy, *names) == [None, "0", "0", "0", None]


@pytest.mark.parametrize(
    ("before", "after"), [("open", "draft"), ("paid", "draft"), ("voided", "open"), ("voided", "paid")]
)
def test_no_invoice_goes_back(world: Any, before: str, after: str) -> None:
    """Voided is final, and nothing becomes a draft again."""
    invoice = made(world, hs_currency="EUR", hs_invoice_billable="false")
    assert patched(world, invoice, hs_invoice_status=before) == (200, "")
    assert patched(world, invoice, hs_invoice_status=after) == (400, f"An invoice cannot go from {before} to {after}")
    assert patched(world, invoice, hs_currency="USD") == (400, "hs_currency cannot be changed any more")


def test_numbers_have_fifteen_digits_and_no_zeros_at_the_end(world: Any) -> None:
    """Whoever compares texts sees a difference; whoever writes more digits loses them."""
    copy = made(world, hs_currency="EUR", accord_total="10.50", accord_tax="12345678901234.567", accord_paid="0.00")

    told = ["10.5", "12345678901234.6", "0"]
    assert shown(world, copy, "accord_total", "accord_tax", "accord_paid") == told


@pytest.mark.parametrize(
    ("properties", "problem"),
    [
        ({"name": "x", "price": "-1"}, "INVALID_NUMBER"),
        ({"name": "x", "amount": "1"}, "READ_ONLY_VALUE"),
        ({"price": "1"}, "name is required"),
        ({"name": "x", "hs_line_item_currency_code": "XXL"}, "INVALID_OPTION"),
    ],
)
def test_what_a_line_item_cannot_be_is_refused(world: Any, properties: Any, problem: str) -> None:
    """Negative prices are forbidden by the documentation, and the amount is HubSpot's."""
    status, body, _ = world.call("POST", ITEMS, {"properties": properties, "associations": []})
    assert status == 400
    assert problem in body["message"]


def test_a_line_item_is_reckoned_in_its_currencys_smallest_unit(world: Any) -> None:
    """Which is what makes a divided price wrong."""
    yen = made(world, ITEMS, name="x", price="3.33", quantity="3", hs_line_item_currency_code="JPY")
    bare = made(world, ITEMS, name="x")

    names = ("amount", "hs_pre_discount_amount", "hs_total_discount")
    assert shown(world, yen, *names, path=ITEMS) == ["10", "10", "0"]
    assert shown(world, bare, *names, path=ITEMS) == [None, None, None]


def test_ties_have_their_own_types_and_ends(world: Any, contact: str) -> None:
    """Wrong types, things that are not there, a line of another invoice or currency."""
    one, other = made(world, hs_currency="EUR"), made(world, hs_currency="EUR")
    item = made(world, ITEMS, name="x", hs_line_item_currency_code="EUR")
    dollars = made(world, ITEMS, name="x", hs_line_item_currency_code="USD")

    assert "association type 179 does not exist" in tie(world, one, "contacts", contact, 179)[1][0]["message"]
    assert "must be set" in tie(world, one, "contacts", "", 177)[1][0]["message"]
    assert tie(world, one, "contacts", "9999", 177)[1][0]["category"] == "OBJECT_NOT_FOUND"
    assert tie(world, "9999", "contacts", contact, 177)[1][0]["category"] == "OBJECT_NOT_FOUND"
    assert tie(world, one, "line_items", item, 409)[0] == 201
    assert tie(world, one, "line_items", item, 409)[0] == 201
    assert "belongs to invoice" in tie(world, other, "line_items", item, 409)[1][0]["message"]
    assert "is in USD" in tie(world, one, "line_items", dollars, 409)[1][0]["message"]
    assert world.call("POST", "/crm/associations/2026-09/contacts/invoices/batch/create", {"inputs": [{}]})[0] == 404
    assert world.call("POST", f"{TIES}/contacts/batch/merge", {"inputs": [{}]})[0] == 404
    inline = {"properties": {"hs_currency": "EUR"}, "associations": [{"to": {"id": contact}}]}
    assert world.call("POST", INVOICES, inline)[0] == 400


def test_an_invoice_is_made_with_contact_and_company_at_once_or_not_at_all(world: Any, contact: str) -> None:
    """Each by the number of its own pair of types, and only where both are there."""
    company = world.hubspot.edit("customer", None, {"name": "Acme", "customer_type": "company"}).partition(":")[2]

    def created(*pairs: tuple[str, int]) -> tuple[int, str]:
        ties = [
            {"to": {"id": one}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}]}
            for one, number in pairs
        ]
        inputs = [{"properties": {"hs_currency": "EUR"}, "associations": ties, "objectWriteTraceId": "t"}]
        status, body, _ = world.call("POST", f"{INVOICES}/batch/create", {"inputs": inputs})
        return status, body["errors"][0]["category"] if body.get("errors") else body.get("category", "")

    assert created((contact, 179), (company, 177)) == (207, "OBJECT_NOT_FOUND")
    assert created((contact, 177), ("9999", 179)) == (207, "OBJECT_NOT_FOUND")
    assert created((contact, 280), (company, 179))[1] == "VALIDATION_ERROR"
    assert world.hubspot.objects("invoice") == {}
    world.hubspot.delete("customer", f"contact:{contact}")
    assert created((contact, 177), (company, 179)) == (207, "OBJECT_NOT_FOUND")
    other = world.hubspot.edit("customer", None, {"name": "Grace"}).partition(":")[2]
    assert created((other, 177), (company, 179)) == (200, "")
    (there,) = world.hubspot.objects("invoice").values()
    assert (there["contact"], there["company"]) == ([f"contact:{other}"], [f"company:{company}"])


def test_a_contact_is_taken_off_an_invoice_alone_and_by_the_hundred(world: Any, contact: str) -> None:
    """Its company stays; more than a hundred are refused whole; who is not tied is no error."""
    invoice = made(world, hs_currency="EUR")
    company = world.hubspot.edit("customer", None, {"name": "Acme", "customer_type": "company"}).partition(":")[2]
    assert (tie(world, invoice, "contacts", contact, 177)[0], tie(world, invoice, "companies", company, 179)[0]) == (
        201,
        201,
    )
    off = f"{TIES}/contacts/batch/labels/archive"

    def one(number: int) -> dict[str, Any]:
        kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": number}
        return {"from": {"id": invoice}, "to": {"id": contact}, "types": [kind]}

    assert world.call("POST", off, {"inputs": [one(177)] * 101})[0] == 400
    assert world.call("POST", off, {"inputs": [one(179)]})[1]["errors"][0]["category"] == "VALIDATION_ERROR"
    assert world.hubspot.objects("invoice")[f"invoice:{invoice}"]["contact"] == [f"contact:{contact}"]
    assert world.call("POST", off, {"inputs": [one(177)]})[0] == 204
    assert world.call("POST", off, {"inputs": [one(177)]})[0] == 204
    there = world.hubspot.objects("invoice")[f"invoice:{invoice}"]
    assert (there["contact"], there["company"]) == ([], [f"company:{company}"])


def test_ties_are_read_newest_first_page_by_page_and_taken_off(world: Any) -> None:
    """Their order says nothing, and a page holds 500."""
    invoice = made(world, hs_currency="EUR")
    items = [made(world, ITEMS, name="x") for _ in range(501)]
    for item in items:
        tie(world, invoice, "line_items", item, 409)

    _, body, _ = world.call("POST", f"{TIES}/line_items/batch/read", {"inputs": [{"id": invoice}]})
    (page,) = body["results"]
    assert (page["to"][0]["toObjectId"], len(page["to"])) == (int(items[-1]), 500)
    rest = {"inputs": [{"id": invoice, "after": page["paging"]["next"]["after"]}]}
    _, body, _ = world.call("POST", f"{TIES}/line_items/batch/read", rest)
    assert [one["toObjectId"] for one in body["results"][0]["to"]] == [int(items[0])]
    kind = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 409}
    off = [{"from": {"id": invoice}, "to": {"id": one}, "types": [kind]} for one in items]
    for start in range(0, len(off), 100):
        some = {"inputs": off[start : start + 100]}
        assert world.call("POST", f"{TIES}/line_items/batch/labels/archive", some)[0] == 204
    status, body, _ = world.call("POST", f"{TIES}/line_items/batch/read", {"inputs": [{"id": invoice}]})
    assert (status, body["errors"][0]["category"]) == (207, "OBJECT_NOT_FOUND")
    many = {"inputs": [{"id": "1"}] * 1_001}
    assert world.call("POST", f"{TIES}/line_items/batch/read", many)[0] == 400


@pytest.mark.parametrize(
    ("missing", "path"),
    [
        ("crm.objects.invoices.write", INVOICES),
        ("crm.objects.line_items.write", ITEMS),
        ("crm.objects.contacts.read", f"{TIES}/contacts/batch/create"),
        ("crm.schemas.line_items.write", "/crm/properties/2026-09/line_items/batch/create"),
    ],
)
def test_every_scope_is_asked_for(make_world: Any, missing: str, path: str) -> None:
    """And named."""
    world = make_world(HubSpotSettings(scopes=HubSpotSettings().scopes - {missing}))
    status, body, _ = world.call("POST", path, {"inputs": [{}]})
    assert status == 403
    assert body["errors"][0]["context"]["requiredGranularScopes"] == [missing]


def test_properties_are_made_all_together_or_not_at_all(world: Any) -> None:
    """One that is there already refuses the batch."""
    new = {"name": "one_more", "label": "x", "type": "number", "fieldType": "number", "groupName": "invoiceinformation"}
    path = "/crm/properties/2026-09/invoices"

    assert world.call("POST", f"{path}/batch/create", {"inputs": [new, new | {"name": "accord_total"}]})[0] == 409
    assert world.call("GET", f"{path}/one_more")[0] == 404
    status, body, _ = world.call("POST", f"{path}/batch/create", {"inputs": [new]})
    assert (status, body["results"][0]["type"]) == (201, "number")


def test_a_person_bills_with_hubspot(world: Any, contact: str) -> None:
    """What its pages can do, and what they cannot."""
    customer = f"contact:{contact}"
    line = {"description": "Seat", "product": "sku-1", "quantity": 2, "unit_amount": "10.00", "discount": "1"}
    new = {"customer": customer, "currency": "EUR", "number": "7", "issued_on": "2026-11-01", "lines": [line]}
    remote_id = world.hubspot.edit("invoice", None, new | {"status": "open", "memo": "hi"})

    seen = world.hubspot.neutral("invoice")[remote_id]
    assert {
        name: seen[name] for name in ("customer", "number", "status", "issued_on", "total", "due", "is_payable")
    } == {
        "customer": customer,
        "number": "7",
        "status": "open",
        "issued_on": "2026-11-01",
        "total": "18.00",
        "due": "18.00",
        "is_payable": True,
    }
    assert seen["lines"] == [
        {"description": "Seat", "quantity": "2", "amount": "20.00", "discount": "2.00", "tax": "0.00"}
    ]
    draft = world.hubspot.edit("invoice", None, {"currency": "JPY", "lines": [{"amount": "5", "quantity": ""}]})
    assert world.hubspot.neutral("invoice")[draft]["lines"][0]["amount"] == "5"
    world.hubspot.edit("invoice", draft, {})
    for odd in (
        {"customer": customer},
        {"currency": "EUR", "lines": [{"amount": "-5"}]},
        {"currency": "EUR", "lines": [{"amount": "5", "tax": "1"}]},
        {"currency": "EUR", "status": "open"},
        {"currency": "EUR", "status": "uncollectible"},
        {"currency": "EUR", "discount": "1"},
        {"currency": "EUR", "due_on": "soon"},
    ):
        with pytest.raises(ValueError, match=r"."):
            world.hubspot.edit("invoice", None, odd)
    with pytest.raises(ValueError, match="Recording payments manually"):
        world.hubspot.edit("invoice", remote_id, {"status": "paid"})
    for missing in ("invoice:1", "contact:1", "line_item:8801"):
        with pytest.raises(KeyError):
            world.hubspot.edit("invoice", missing, {"status": "void"})
    with pytest.raises(KeyError):
        world.hubspot.edit("customer", remote_id, {"name": "x"})


def test_deleted_invoices_come_back_with_their_lines(world: Any, contact: str) -> None:
    """From the recycle bin."""
    new = {"customer": f"contact:{contact}", "currency": "EUR", "lines": [{"amount": "5"}]}
    remote_id = world.hubspot.edit("invoice", None, new)
    before = world.hubspot.neutral("invoice")
    world.hubspot.delete("invoice", remote_id)
    assert world.hubspot.neutral("invoice") == {}
    hubspot_id = remote_id.partition(":")[2]
    status, _, _ = world.call("POST", f"{TIES}/line_items/batch/read", {"inputs": [{"id": hubspot_id}]})
    assert status == 207

    world.hubspot.restore("invoice", remote_id)

    assert world.hubspot.neutral("invoice") == before


def test_webhooks_tell_of_invoices_by_generic_events(make_world: Any) -> None:
    """Three are subscribed; of line items and ties there are none."""
    world = make_world(HubSpotSettings(webhook_url="https://accord.example/webhooks/crm"))
    contact = world.hubspot.edit("customer", None, {"name": "Ada"})
    world.hubspot.due_webhooks(world.clock.time)
    remote_id = world.hubspot.edit(
        "invoice", None, {"customer": contact, "currency": "EUR", "lines": [{"amount": "5"}]}
    )
    world.hubspot.delete("invoice", remote_id)
    world.hubspot.restore("invoice", remote_id)

    (sent,) = world.hubspot.due_webhooks(world.clock.time)

    notices = HubSpotWebhooks().notices(sent.delivery.body)
    assert [(one.kind, one.remote_id) for one in notices] == [("invoice", remote_id)]
    for verb in (b"object.propertyChange", b"object.deletion", b"object.restore"):
        assert verb in sent.delivery.body
    assert b"creation" not in sent.delivery.body
    assert b"line_item" not in sent.delivery.body
