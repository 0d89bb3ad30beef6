"""What is due, by how long it has been so: per currency, whose it is, and which invoices it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import msgspec

from core.model.documents import Invoice
from core.model.merge import digest_of
from core.model.money import spelled, written
from core.model.overview import ageing, awaited, bucket_of, days_overdue
from core.store import customers
from core.store.customers import Customer
from core.store.database import Tx
from core.store.documents import Paper
from core.sync.documents.telling import every, today
from core.sync.hub import Hub

BUCKETS: Final = ("not_yet", "to_30", "to_60", "to_90", "more")
_Due = list[tuple[Paper, Invoice]]


def aged(tx: Tx, hub: Hub, *, with_invoices: bool = False) -> dict[str, Any]:
    """The report of today, with a digest of all that it shows."""
    day = today(hub)
    due = _due(tx)
    owners = customers.by_ids(tx, {paper.customer_id for paper, _ in due})
    shown: dict[str, Any] = {
        "day": day.isoformat(),
        "ageing": _sums([invoice for _, invoice in due], day),
        "customers": _of_customers(due, owners, day),
    }
    if with_invoices:
        shown["invoices"] = _of_invoices(due, owners, day)
    return {**shown, "digest": digest_of("ageing", msgspec.to_builtins(shown))}


def _due(tx: Tx) -> _Due:
    # one after the other: of all that there ever were, few are due
    invoices = ((one, one.document) for one in every(tx, "invoice") if isinstance(one.document, Invoice))
    return [(paper, invoice) for paper, invoice in invoices if awaited(invoice) is not None]


def _sums(invoices: Sequence[Invoice], day: date) -> list[dict[str, Any]]:
    found = ageing(invoices, day)
    return [{**written(one, one.currency), "total": spelled(one.total, one.currency)} for one in found]


def _of_customers(due: _Due, owners: dict[str, Customer], day: date) -> list[dict[str, Any]]:
    """By currency, whoever owes most first."""
    theirs: dict[str, list[Invoice]] = {}
    for paper, invoice in due:
        theirs.setdefault(paper.customer_id, []).append(invoice)
    found = [
        (one.currency, -one.total, _whose(name, owners), one)
        for name, invoices in theirs.items()
        for one in ageing(invoices, day)
    ]
    return [
        {**whose, **written(one, currency), "total": spelled(one.total, currency)}
        for currency, _, whose, one in sorted(found, key=lambda row: (row[0], row[1], row[2]["customer"]))
    ]


def _of_invoices(due: _Due, owners: dict[str, Customer], day: date) -> list[dict[str, Any]]:
    """By currency, what is overdue longest first."""
    found = [
        {
            **_whose(paper.customer_id, owners),
            "currency": invoice.currency,
            "id": paper.id,
            "number": paper.called,
            "origin": paper.origin,
            "due_on": invoice.due_on.isoformat() if invoice.due_on else None,
            "days_overdue": max(0, days_overdue(invoice, day)),
            "bucket": BUCKETS[bucket_of(invoice, day)],
            "due": spelled(awaited(invoice) or invoice.due, invoice.currency),
        }
        for paper, invoice in due
    ]
    return sorted(found, key=lambda one: (one["currency"], -one["days_overdue"], one["customer"], one["number"]))


def _whose(customer_id: str, owners: dict[str, Customer]) -> dict[str, str]:
    owner = owners.get(customer_id)
    name = owner.fields.get("name") if owner else None
    return {"customer": owner.external_id if owner else "", "name": name if isinstance(name, str) else ""}
