"""What a customer's documents add up to, per currency (pure)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Final

import msgspec

from core.model.documents import CreditNote, Document, Invoice, Payment
from core.model.lifecycle import is_final
from core.model.money import ZERO, total_of

AGES: Final = (0, 30, 60, 90)
"""Days overdue at which a bucket of the ageing report ends; the first is what is not overdue, the last one is open."""


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """One currency. gross_revenue: invoiced, credits taken off. outstanding: due; overdue: of that, past its day.

    paid: what came in and did not go back, by refunds, chargebacks or credit notes.
    """

    currency: str
    gross_revenue: Decimal = ZERO
    outstanding: Decimal = ZERO
    overdue: Decimal = ZERO
    paid: Decimal = ZERO
    last_paid_on: date | None = None
    invoices: int = 0


class Ageing(msgspec.Struct, frozen=True, kw_only=True):
    """What is due in one currency, by days overdue: not yet, 1-30, 31-60, 61-90, more."""

    currency: str
    buckets: tuple[Decimal, ...]

    @property
    def total(self) -> Decimal:
        """All of it."""
        return total_of(self.buckets)


def overviews(documents: Iterable[Document], today: date) -> list[Overview]:
    """One overview for each currency, by its code; drafts and void documents count nowhere, nor what credits those."""
    found: dict[str, Overview] = {}
    some = list(documents)
    void = {one.id for one in some if isinstance(one, Invoice) and one.status == "void"}
    for one in some:
        if one.status == "void" or not is_final(one) or (isinstance(one, CreditNote) and one.invoice in void):
            continue
        before = found.get(one.currency, Overview(currency=one.currency))
        found[one.currency] = _with(before, one, today)
    return [found[currency] for currency in sorted(found)]


def _with(before: Overview, document: Document, today: date) -> Overview:
    change: dict[str, object]
    if isinstance(document, Invoice):
        change = {
            "gross_revenue": before.gross_revenue + document.total,
            "outstanding": before.outstanding + _collectable(document),
            "overdue": before.overdue + (_collectable(document) if days_overdue(document, today) > 0 else ZERO),
            "invoices": before.invoices + 1,
        }
    elif isinstance(document, CreditNote):
        # what was paid back by it, and is told with no payment
        change = {
            "gross_revenue": before.gross_revenue - document.total,
            "paid": before.paid - document.refunded,
        }
    else:
        change = _paid(before, document)
    return msgspec.structs.replace(before, **change)


def _paid(before: Overview, payment: Payment) -> dict[str, object]:
    if payment.status != "succeeded":
        return {}
    days = [day for day in (before.last_paid_on, payment.received_on) if day is not None]
    kept = payment.amount - payment.refunded - payment.charged_back
    return {"paid": before.paid + kept, "last_paid_on": max(days) if days else None}


def _collectable(invoice: Invoice) -> Decimal:
    """What somebody still waits for: nothing once it is written off."""
    return ZERO if invoice.status == "uncollectible" else invoice.due


def days_overdue(invoice: Invoice, today: date) -> int:
    """Days since the due date; 0 or less while it has not passed, and without one."""
    return (today - invoice.due_on).days if invoice.due_on else 0


def ageing(invoices: Iterable[Invoice], today: date) -> list[Ageing]:
    """What is due, by how long it has been so, for each currency by its code."""
    found: dict[str, list[Decimal]] = {}
    for one in invoices:
        if (due := awaited(one)) is not None:
            buckets = found.setdefault(one.currency, [ZERO] * (len(AGES) + 1))
            buckets[bucket_of(one, today)] += due
    return [Ageing(currency=currency, buckets=tuple(found[currency])) for currency in sorted(found)]


def awaited(invoice: Invoice) -> Decimal | None:
    """What the ageing report counts of an invoice; None: it is not in it."""
    due = _collectable(invoice)
    return due if due and invoice.status != "void" and is_final(invoice) else None


def bucket_of(invoice: Invoice, today: date) -> int:
    """Which bucket of the ageing report an invoice is in."""
    return sum(days_overdue(invoice, today) > age for age in AGES)
