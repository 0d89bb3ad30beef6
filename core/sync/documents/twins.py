"""One payment that two systems record: it is booked by neither side's word alone, nor twice in the books of a third."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Final

from core.errors import RejectedError
from core.model.documents import Payment, settled_by
from core.store import documents, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync.hub import Connection

SAME_WITHIN_DAYS: Final = 7
"""Two records of one payment bear the day it was sent, came in, or was typed in."""
CURE: Final = "void one of the two where it was recorded; if both came in, record both in one of the systems"
_Rows = Mapping[str, Sequence[MappingRow]]


def refuse_twin(tx: Tx, connection: Connection, paper: Paper, invoice_id: str) -> None:
    """Raise RejectedError for the copy of a payment that may be another record of one that is there, or is to be."""
    about = documents.by_ids(tx, documents.about(tx, [invoice_id]).get(invoice_id, ()))
    twins = [one for one in about.values() if _may_be_one(paper, one, invoice_id)]
    if not twins:
        return
    rows = mappings.of_records(tx, [paper.id, *(one.id for one in twins)])
    invoice = documents.by_ids(tx, [invoice_id])[invoice_id]
    for one in twins:
        if not _is_at(one.origin, one, rows) and not _is_at(connection.name, one, rows):
            continue
        # the one that the invoice's origin counts is booked elsewhere, unless the other one is booked there already
        is_first = _is_at(invoice.origin, paper, rows)
        is_second = _is_at(connection.name, one, rows) and not _is_at(invoice.origin, one, rows)
        if one.origin != connection.name and is_first and not is_second:
            continue
        title = connection.manifest.title
        whose = f"{title} has a payment of its own" if one.origin == connection.name else f"{one.origin} has a payment"
        assert isinstance(one.document, Payment)  # noqa: S101 - what may be one payment is two of them
        amount, day = settled_by(one.document)[invoice_id], one.document.received_on
        raise RejectedError(
            f"{whose}, {one.remote_id}, of the same {amount} {one.document.currency} of invoice {invoice.called},"
            f" received on {day}: it may be the same",
            field="applications",
            limit="nothing is booked twice",
            cure=CURE,
        )


def refuse_beside(tx: Tx, connection: Connection, invoice: Paper, counted: Collection[str]) -> None:
    """Raise RejectedError where a connection has a payment of an invoice that may be one of those copied there.

    `counted`: what its origin counts; of that nobody else is asked.
    """
    about = list(documents.by_ids(tx, documents.about(tx, [invoice.id]).get(invoice.id, ())).values())
    rows = mappings.of_records(tx, [one.id for one in about])
    here = [one for one in about if _is_at(connection.name, one, rows)]
    own = [one for one in here if one.origin == connection.name and one.id not in counted]
    for one, other in product(own, here):
        if _may_be_one(one, other, invoice.id):
            title, amount = connection.manifest.title, settled_by(one.document)[invoice.id]
            raise RejectedError(
                f"{title} has payment {one.remote_id} of its own, and a copy of {other.origin}'s {other.remote_id}:"
                f" each is of {amount} {one.document.currency} of invoice {invoice.called}, and they may be the same",
                field="applications",
                limit="nothing is booked twice",
                cure=CURE,
            )


def _is_at(name: str, paper: Paper, rows: _Rows) -> bool:
    """Whether a connection has a payment, made there or copied: one that was made there may be gone, and left."""
    here = [row for row in rows.get(paper.id, ()) if row.connection == name]
    if paper.origin == name:
        return not any(row.state == "excluded" for row in here)
    return any(row.state == "live" and row.remote_id for row in here)


def _may_be_one(one: Paper, other: Paper, invoice_id: str) -> bool:
    """Whether two payments are of the same amount of an invoice, within a few days, and of different systems."""
    first, second = one.document, other.document
    if one.origin == other.origin or not isinstance(first, Payment) or not isinstance(second, Payment):
        return False
    if (first.status, second.status) != ("succeeded", "succeeded"):
        return False
    if settled_by(first).get(invoice_id) != settled_by(second).get(invoice_id):
        return False
    days = [one.received_on for one in (first, second) if one.received_on is not None]
    return len(days) < 2 or abs((days[0] - days[1]).days) <= SAME_WITHIN_DAYS
