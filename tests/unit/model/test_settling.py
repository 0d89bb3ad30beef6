"""How much of a copy is to be settled while what settles it is copied one by one."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pytest

from core.model.documents import Invoice, InvoiceStatus, Line
from core.model.money import ZERO
from core.model.settling import Part, Span, credited_of, settled_of, span_of


def invoice(paid: str = "0", written_off: str = "0", status: InvoiceStatus = "open") -> Invoice:
    """An invoice of 119.00."""
    total, gone = Decimal("119.00"), Decimal(written_off)
    return Invoice(
        id="i",
        customer="c",
        currency="USD",
        status=status,
        lines=(Line(id="l", amount=total),),
        subtotal=total,
        total=total,
        paid=Decimal(paid),
        written_off=gone,
        due=total - Decimal(paid) - gone,
    )


def exactly(amount: str) -> Span:
    """No other amount will do."""
    return Span(Decimal(amount), Decimal(amount))


def test_once_all_is_there_only_the_very_sum_will_do() -> None:
    """To the minor unit."""
    parts = [Part(Decimal("19.00"), "there"), Part(Decimal("50.00"), "there")]
    span = span_of(invoice("69.00"), invoice(), parts)
    assert span == exactly("69.00")
    assert Decimal("69.00") in span
    assert Decimal("69.01") not in span
    assert Decimal("68.99") not in span


def test_while_something_is_on_its_way_nothing_can_be_told() -> None:
    """Neither too little nor too much."""
    parts = [Part(Decimal("19.00"), "there"), Part(Decimal("50.00"), "moving")]
    assert span_of(invoice("69.00"), invoice(), parts) is None


def test_what_is_not_copied_may_be_booked_there_by_hand_or_not() -> None:
    """It is known to be true, at least."""
    parts = [Part(Decimal("19.00"), "there"), Part(Decimal("50.00"), "absent")]
    assert span_of(invoice("69.00"), invoice(), parts) == Span(Decimal("19.00"), Decimal("69.00"))


def test_a_payment_that_is_not_known_yet_is_neither_asked_for_nor_objected_to() -> None:
    """The invoice said so first; and the other way round."""
    assert span_of(invoice("69.00"), invoice(), []) == Span(ZERO, Decimal("69.00"))
    parts = [Part(Decimal("69.00"), "there")]
    assert span_of(invoice(), invoice(), parts) == Span(ZERO, Decimal("69.00"))


def test_what_was_written_off_is_to_be_settled_where_nothing_can_be_written_off() -> None:
    """And is no matter where it can."""
    wanted = invoice(written_off="119.00", status="uncollectible")
    assert span_of(wanted, invoice(), []) == exactly("119.00")
    assert span_of(wanted, wanted, []) == exactly("0")


def test_a_copy_is_settled_by_what_is_neither_due_nor_written_off() -> None:
    """Whatever it is settled by."""
    assert settled_of(invoice("19.00")) == Decimal("19.00")
    assert settled_of(invoice("19.00", "100.00")) == Decimal("19.00")


@pytest.mark.parametrize(
    ("settled", "known", "credited"),
    [
        ("69", [(False, "19"), (True, "50")], "50"),
        ("69", [(True, "50")], "50"),  # the payment is not known yet
        ("69", [(False, "19")], "0"),  # nor is the credit: it is paid until it is
        ("69", [], "0"),
        ("19", [(False, "19"), (True, "50")], "0"),  # the credit is not there yet
        ("40", [(False, "19"), (True, "50")], "21"),
        ("0", [(False, "19"), (True, "50")], "0"),
        ("50", [(True, "20"), (True, "40")], "50"),
    ],
)
def test_of_one_sum_each_has_what_surer_ones_left(
    settled: str, known: Sequence[tuple[bool, str]], credited: str
) -> None:
    """Payments are sure of their money before credits are: a credit may be known that is not applied there yet."""
    told = [(is_credit, Decimal(amount)) for is_credit, amount in known]
    assert credited_of(Decimal(settled), told) == Decimal(credited)
