"""What documents add up to."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from core.model.documents import Document, Invoice
from core.model.overview import Ageing, Overview, ageing, days_overdue, overviews
from tests.unit.model.test_documents import CREDIT, INVOICE, PAYMENT, disputed

TODAY = date(2026, 6, 30)


def changed(document: Document, **values: object) -> Document:
    """The same with other values."""
    return msgspec.structs.replace(document, **values)


def due(day: date | None, **values: object) -> Invoice:
    """An invoice that is due on a day."""
    return msgspec.structs.replace(INVOICE, due_on=day, **values)


def test_an_overview_counts_what_stands_in_each_currency() -> None:
    """Currencies are never added up."""
    found = overviews(
        [
            due(date(2026, 6, 30)),
            due(date(2026, 6, 29)),
            changed(INVOICE, id="void", status="void"),
            changed(INVOICE, status="draft"),
            changed(INVOICE, status="uncollectible", written_off=Decimal(100), due=Decimal(0)),
            changed(INVOICE, currency="USD", due=Decimal(0), paid=Decimal("107.00"), status="paid"),
            CREDIT,
            changed(PAYMENT, received_on=date(2026, 3, 1), refunded=Decimal(4)),
            changed(PAYMENT, received_on=date(2026, 2, 1), disputes=(disputed("3"),)),
            changed(PAYMENT, status="failed", received_on=date(2026, 6, 1)),
            PAYMENT,
        ],
        TODAY,
    )
    assert found == [
        Overview(
            currency="EUR",
            gross_revenue=Decimal("214.20"),
            outstanding=Decimal(200),
            overdue=Decimal(100),
            paid=Decimal(23),
            last_paid_on=date(2026, 3, 1),
            invoices=3,
        ),
        Overview(currency="USD", gross_revenue=Decimal("107.10"), invoices=1),
    ]


def test_a_credit_of_a_void_invoice_is_no_less_revenue() -> None:
    """The invoice is in no sum: what was taken off it made the customer's revenue less than nothing."""
    assert overviews([changed(INVOICE, status="void"), CREDIT], TODAY) == []
    (told,) = overviews([changed(INVOICE, id="another", status="void"), CREDIT], TODAY)
    assert told.gross_revenue == -CREDIT.total


def test_what_a_credit_note_paid_back_is_paid_no_longer() -> None:
    """No payment tells of it."""
    (told,) = overviews([PAYMENT, changed(CREDIT, refunded=Decimal(2))], TODAY)
    (whole,) = overviews([PAYMENT, CREDIT], TODAY)
    assert told.paid == whole.paid - 2


def test_what_is_due_ages_by_the_days_since_it_was() -> None:
    """A bucket ends with its day."""
    found = ageing(
        [
            due(None),
            due(date(2026, 6, 30), due=Decimal(1)),
            due(date(2026, 6, 29), due=Decimal(2)),
            due(date(2026, 5, 31), due=Decimal(4)),
            due(date(2026, 5, 30), due=Decimal(8)),
            due(date(2026, 4, 1), due=Decimal(16)),
            due(date(2026, 3, 31), due=Decimal(32)),
            due(date(2020, 1, 1), due=Decimal(7), status="void"),
            due(date(2020, 1, 1), due=Decimal(7), status="draft"),
            due(date(2020, 1, 1), due=Decimal(7), status="uncollectible"),
            due(date(2020, 1, 1), due=Decimal(0), status="paid"),
            due(date(2026, 7, 1), due=Decimal(3), currency="CHF"),
        ],
        TODAY,
    )
    assert found == [
        Ageing(currency="CHF", buckets=(Decimal(3), Decimal(0), Decimal(0), Decimal(0), Decimal(0))),
        Ageing(currency="EUR", buckets=(Decimal(101), Decimal(6), Decimal(8), Decimal(16), Decimal(32))),
    ]
    assert found[1].total == Decimal(163)


def test_an_invoice_without_a_due_date_is_never_overdue() -> None:
    """Nobody said when."""
    assert days_overdue(due(None), TODAY) == 0
    assert days_overdue(due(date(2026, 7, 2)), TODAY) == -2
