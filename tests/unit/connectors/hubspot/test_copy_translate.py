"""What is read of an invoice, and what is not: amounts are told exactly, or not at all."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.hubspot.translate import HubSpotDocuments
from core.errors import BugError, InvalidInputError, RejectedError, ReplyError
from core.model.documents import Invoice, Payment
from core.model.paper import WantedDocument
from core.ports import ConnectionConfig

DOCUMENTS = HubSpotDocuments(ConnectionConfig("crm", "hubspot"))
OURS = {
    "accord_ref": "instance.mapping.1",
    "hs_currency": "EUR",
    "hs_invoice_billable": "false",
    "hs_invoice_status": "draft",
}
OPEN = OURS | {"hs_invoice_status": "open", "accord_status": "open"}
ITEM = {"name": "Seat", "price": "10", "quantity": "2", "discount": "1"}


def raw(head: dict[str, Any], *items: dict[str, Any], customers: tuple[str, ...] = ("contact:1",)) -> bytes:
    """An invoice as it was read, lines and all."""
    lines = [{"id": str(number), "properties": one} for number, one in enumerate(items, 70)]
    whole = {"type": "invoice", "object": {"id": "5", "properties": head}, "lines": lines, "customers": customers}
    return json.dumps(whole).encode()


def read(head: dict[str, Any], *items: dict[str, Any], **more: Any) -> Invoice:
    """In neutral words."""
    found = DOCUMENTS.read("invoice", raw(head, *items, **more)).document
    assert isinstance(found, Invoice)
    return found


def test_a_draft_is_worth_what_its_lines_are() -> None:
    """It may lack some: what is written on it is not trusted."""
    found = read(OURS | {"accord_total": "99"}, ITEM, {"price": None}, {"price": "3", "quantity": ""})

    assert [(one.id, one.amount, one.discount, one.quantity) for one in found.lines] == [
        ("70", Decimal(20), Decimal(2), Decimal(2)),
        ("71", Decimal(0), Decimal(0), Decimal(1)),
        ("72", Decimal(3), Decimal(0), Decimal(1)),
    ]
    assert (found.total, found.due, found.paid) == (Decimal(21), Decimal(21), Decimal(0))
    assert [(one.description, one.unit_amount) for one in found.lines] == [("Seat", 10), ("", None), ("", 3)]


def test_lines_stand_in_their_own_order() -> None:
    """Not in that of their ties; those of others come last."""
    items = ({"price": "1"}, {"price": "2", "accord_position": "1"}, {"price": "3", "accord_position": "0"})

    assert [one.amount for one in read(OURS, *items).lines] == [3, 2, 1]


def test_a_line_has_its_origins_id_where_its_marker_is_this_invoices() -> None:
    """Of another invoice's marker the rest says nothing."""
    items = (
        {"price": "1", "accord_ref": "instance.mapping.1:a:b"},
        {"price": "2", "accord_ref": "instance.mapping.2:a"},
        {"price": "3"},
    )

    assert [one.id for one in read(OURS, *items).lines] == ["a:b", "71", "72"]


@pytest.mark.parametrize(
    ("head", "items", "problem"),
    [
        (OPEN, [ITEM], r"does not add up: subtotal is 0, but its parts sum up to 20; "),
        (OPEN | {"accord_total": "5"}, [], "does not add up"),
        (OURS | {"hs_currency": ""}, [], "is no currency"),
        (OURS | {"hs_currency": "XYZ"}, [], "is no currency"),
        (OURS | {"hs_invoice_status": "mystery"}, [], "unknown status 'mystery'"),
        (OURS | {"hs_invoice_status": ""}, [], "unknown status ''"),
        (OPEN | {"accord_total": "ten"}, [], "accord_total is no number: 'ten'"),
        (OPEN | {"accord_total": "NaN"}, [], "is no number"),
        (OPEN | {"accord_total": "1e99"}, [], "is no number"),
        (OPEN | {"accord_total": "1" * 40}, [], "is no number"),
        (OPEN | {"accord_due_on": "soon"}, [], "accord_due_on is no date: 'soon'"),
        (OPEN | {"accord_due_on": "9" * 30}, [], "is no date"),
        (OURS, [{"price": "0.001"}], "finer than EUR's smallest unit"),
        (OURS, [ITEM | {"accord_amount": "21"}], "line item 70 amounts to 20, but accord_amount says 21"),
        (OURS, [ITEM | {"accord_discount": "3"}], "amounts to 2, but accord_discount says 3"),
        (OURS, [{"price": "5", "accord_amount": "-20"}], "amounts to 5, but accord_amount says -20"),
        ({"hs_currency": "EUR", "hs_invoice_status": "open"}, [], "is no copy of Accord's"),
    ],
)
def test_what_cannot_be_told_exactly_is_no_document(head: Any, items: Any, problem: str) -> None:
    """It raises, and says which."""
    with pytest.raises(ReplyError, match=problem):
        read(head, *items)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"type":"contact","object":{"id":"1","properties":{}}}', b"[" * 99_999])
def test_what_is_no_invoice_is_a_bad_reply(body: bytes) -> None:
    """Whatever it is instead."""
    with pytest.raises(ReplyError, match="this is no HubSpot invoice"):
        DOCUMENTS.read("invoice", body)


def test_half_a_character_hides_no_invoice() -> None:
    """The standard library reads what the fast decoder refuses."""
    odd = raw(OURS | {"hs_comments": "x"}).replace(b'"x"', b'"\\ud83d"')

    assert DOCUMENTS.read("invoice", odd).mark == "instance.mapping.1"


@pytest.mark.parametrize(
    "told", ["2026-11-01", "2026-11-01T00:00:00Z", "1793491200000", "2026-11-01T01:00:00+01:00", "2026-11-01T05:00:00"]
)
def test_a_day_has_many_spellings(told: str) -> None:
    """HubSpot's dates and times both."""
    assert read(OURS | {"accord_due_on": told}).due_on == date(2026, 11, 1)


@pytest.mark.parametrize(
    ("native", "ours", "status"),
    [
        ("open", "uncollectible", "uncollectible"),
        ("paid", "paid", "paid"),
        ("paid", "open", "paid"),
        ("voided", "paid", "void"),
        ("open", "banana", "open"),
        ("OPEN", "", "open"),
    ],
)
def test_a_status_of_ours_counts_where_hubspots_agrees(native: str, ours: str, status: str) -> None:
    """Else somebody has changed HubSpot's."""
    assert read(OPEN | {"hs_invoice_status": native, "accord_status": ours}).status == status


@pytest.mark.parametrize(
    ("told", "tied", "customer"),
    [
        ("contact:1", ("contact:1", "contact:2"), "contact:1"),
        ("contact:3", ("contact:1", "contact:2"), ""),
        ("contact:3", ("company:1",), "company:1"),
        ("contact:3", (), ""),
    ],
)
def test_only_a_tie_that_is_there_makes_a_customer(told: str, tied: Any, customer: str) -> None:
    """What is written on it alone does not."""
    assert read(OURS | {"accord_customer": told}, customers=tied).customer == customer


def test_whether_hubspot_collects_is_told() -> None:
    """A copy never is."""
    told = [DOCUMENTS.read("invoice", raw(OURS | {"hs_invoice_billable": one})).collects for one in ("true", "false")]
    assert told == [True, False]


def test_other_kinds_are_none_of_hubspots() -> None:
    """Payments and credit notes are told on the copy of their invoice."""
    payment = Payment(id="", customer="contact:1", currency="EUR", status="succeeded", amount=Decimal(1))
    with pytest.raises(BugError):
        DOCUMENTS.step(WantedDocument(document=payment, mark="m"), None)
    with pytest.raises(InvalidInputError):
        DOCUMENTS.read("payment", raw(OURS))


def test_a_line_that_is_twice_there_or_not_there_or_reckoned_otherwise_is_held() -> None:
    """HubSpot keeps markers unique; if it ever does not, the copy is not called equal."""
    zero = Decimal(0)
    wanted = Invoice(
        id="", customer="contact:1", currency="EUR", status="open", lines=(), subtotal=zero, total=zero, due=zero
    )
    there = read(OURS, {"price": "0", "accord_ref": "instance.mapping.1:a", "accord_amount": "0"}).lines
    wanted = msgspec.structs.replace(wanted, lines=there)
    item = {"price": "0", "quantity": "1", "discount": "0", "accord_ref": "instance.mapping.1:a"}
    item |= dict.fromkeys(("accord_amount", "accord_discount", "accord_tax"), "0")

    with pytest.raises(RejectedError, match="line a differs at HubSpot: HubSpot reckons 9, not 0"):
        DOCUMENTS.step(WantedDocument(document=wanted, mark="instance.mapping.1"), raw(OURS, item | {"amount": "9"}))
    with pytest.raises(RejectedError, match="line a differs at HubSpot: it is not there any more"):
        # somebody made the finished copy a draft again, and took the line off
        DOCUMENTS.step(
            WantedDocument(document=wanted, mark="instance.mapping.1"), raw(OURS | {"accord_status": "open"})
        )
    step = DOCUMENTS.step(WantedDocument(document=wanted, mark="instance.mapping.1"), raw(OURS, item))
    assert step is not None
    assert step.action == "update"
    with pytest.raises(RejectedError, match="is none of the document's"):
        DOCUMENTS.step(WantedDocument(document=wanted, mark="instance.mapping.1"), raw(OURS, item, item))


def test_a_balance_that_is_no_number_is_put_back() -> None:
    """If the property was made as a text, anything may stand there."""
    zero = Decimal(0)
    wanted = Invoice(
        id="", customer="contact:1", currency="EUR", status="open", lines=(), subtotal=zero, total=zero, due=zero
    )

    step = DOCUMENTS.step(
        WantedDocument(document=wanted, mark="instance.mapping.1"), raw(OPEN | {"accord_balance": "odd"})
    )

    assert step is not None
    assert step.body["properties"]["accord_balance"] == "0.00"
