"""What may become of a document, and what of a final one may not change."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from core.model.documents import Document, Kind
from core.model.lifecycle import FROZEN, STATES, is_final, may_become, remembered, thawed
from tests.unit.model.test_documents import CREDIT, INVOICE, PAYMENT


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("invoice", "draft", "open"),
        ("invoice", "draft", "paid"),
        ("invoice", "open", "void"),
        ("invoice", "uncollectible", "paid"),
        ("invoice", "paid", "open"),
        ("invoice", "paid", "void"),  # opened again by a refund, then voided, between two looks
        ("invoice", "void", "void"),
        ("payment", "pending", "succeeded"),
        ("payment", "failed", "succeeded"),
        ("payment", "succeeded", "void"),
        ("credit_note", "issued", "void"),
    ],
)
def test_a_document_may_become(kind: Kind, before: str, after: str) -> None:
    """Also by several steps between two looks."""
    assert may_become(kind, before, after)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("invoice", "void", "open"),
        ("invoice", "open", "draft"),
        ("invoice", "paid", "draft"),
        ("payment", "void", "succeeded"),
        ("payment", "succeeded", "pending"),
        ("credit_note", "void", "issued"),
        ("invoice", "unheard-of", "open"),
    ],
)
def test_a_document_may_never_become(kind: Kind, before: str, after: str) -> None:
    """A person is asked."""
    assert not may_become(kind, before, after)


def test_every_state_that_follows_another_is_a_state_itself() -> None:
    """No way leads out of the table."""
    for states in STATES.values():
        assert {after for some in states.values() for after in some} <= states.keys()


def test_drafts_and_pending_payments_are_not_final() -> None:
    """They may change in every way."""
    assert is_final(INVOICE)
    assert is_final(CREDIT)
    assert not is_final(msgspec.structs.replace(INVOICE, status="draft"))
    assert not is_final(msgspec.structs.replace(PAYMENT, status="pending"))


def test_of_a_final_document_what_is_paid_and_due_may_change_and_its_amounts_may_not() -> None:
    """After finalisation: void, credit note, payment."""
    paid = msgspec.structs.replace(INVOICE, paid=Decimal("107.00"), due=Decimal(0), status="paid", memo="thanks")
    assert thawed(INVOICE, paid) == []
    assert thawed(INVOICE, msgspec.structs.replace(INVOICE, total=Decimal(1), currency="USD")) == ["currency", "total"]
    assert thawed(PAYMENT, msgspec.structs.replace(PAYMENT, applications=(), refunded=Decimal(1))) == []
    assert thawed(PAYMENT, msgspec.structs.replace(PAYMENT, amount=Decimal(11))) == ["amount"]
    assert thawed(CREDIT, msgspec.structs.replace(CREDIT, applied=Decimal(0), invoice="other")) == ["invoice"]
    assert {*FROZEN} == {*STATES}


def test_the_day_of_a_final_document_may_become_known_and_not_another_one() -> None:
    """A payment that failed has none before it comes in; another month may be closed."""
    for document, field in ((INVOICE, "issued_on"), (PAYMENT, "received_on"), (CREDIT, "issued_on")):
        dated, other = (msgspec.structs.replace(document, **{field: date(2026, 11, day)}) for day in (1, 2))
        undated = msgspec.structs.replace(document, **{field: None})
        assert (thawed(undated, dated), thawed(dated, undated), thawed(dated, other)) == ([], [field], [field])


def test_of_a_draft_everything_may_change() -> None:
    """It is nobody's claim yet."""
    draft = msgspec.structs.replace(INVOICE, status="draft")
    assert thawed(draft, msgspec.structs.replace(INVOICE, total=Decimal(1), number="A-1")) == []


def test_a_credit_that_finds_its_invoice_later_is_no_change_of_what_was_final() -> None:
    """It was made first and applied afterwards; applied elsewhere, a person is asked."""
    free = msgspec.structs.replace(CREDIT, invoice="", applied=Decimal(0))
    assert thawed(free, CREDIT) == []
    assert thawed(CREDIT, free) == ["invoice"]


@pytest.mark.parametrize("document", [INVOICE, CREDIT, PAYMENT])
def test_what_a_void_emptied_is_remembered(document: Document) -> None:
    """QuickBooks sets a voided document's amounts to zero; that it is void is all that changed."""
    names = ("amount", "subtotal", "discount", "tax", "total", "paid", "credited", "due", "applied")
    zeros = {name: Decimal(0) for name in names if hasattr(document, name)}
    lists = {name: () for name in ("lines", "applications") if hasattr(document, name)}
    emptied = msgspec.structs.replace(document, status="void", **zeros, **lists)
    kept = remembered(document, emptied)

    assert thawed(document, emptied) != []
    assert thawed(document, kept) == []
    assert kept.status == "void"
    assert remembered(kept, emptied) == kept


def test_only_what_a_void_emptied_is_remembered() -> None:
    """Everything else is the origin's word."""
    void = msgspec.structs.replace(INVOICE, status="void")
    empty = msgspec.structs.replace(INVOICE, total=Decimal(0))
    for before, after in (
        (INVOICE, INVOICE),
        (INVOICE, msgspec.structs.replace(void, number="other")),
        (INVOICE, empty),
        (empty, msgspec.structs.replace(empty, status="void", number="other")),
        (PAYMENT, msgspec.structs.replace(empty, status="void")),
    ):
        assert remembered(before, after) == after
