"""What a provider took in itself of a copy that can be paid there: money that nobody booked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from core.model.documents import references, settled_by
from core.model.money import ZERO, total_of
from core.model.values import Value
from core.store import documents, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync.documents.standing import OTHERS

SEEN: Final = "came in"
"""In the base of what a person let go of: how much had come in by then of the invoices that it settles."""


def came_in_of(row: MappingRow) -> Decimal:
    """How much of the copy of an invoice was last seen to have come in there."""
    return Decimal(str(row.base[OTHERS][0]) or 0) if OTHERS in row.base else ZERO


def net_of(connection: str, invoice: Paper, told: Decimal, settlers: Sequence[Paper]) -> Decimal:
    """What a provider took in, but for the payments that originate there: those are known."""
    known = [settled_by(one.document).get(invoice.id, ZERO) for one in settlers if one.origin == connection]
    return max(total_of([told, -total_of(known)]), ZERO)


def unexplained(tx: Tx, connection: str, invoice: Paper, came_in: Decimal) -> Decimal:
    """How much of it no question has named: it is no payment that is held, nor one that was let go of since."""
    if not came_in:
        return ZERO
    about = documents.by_ids(tx, documents.about(tx, [invoice.id]).get(invoice.id, ()))
    found = mappings.of_records(tx, list(about))
    rows = {row.record_id: row for some in found.values() for row in some if row.connection == connection}
    told = [
        _told(rows.get(name), settled_by(one.document).get(invoice.id, ZERO))
        for name, one in about.items()
        if one.origin != connection
    ]
    return max(total_of([came_in, -total_of(told)]), ZERO)


def _told(row: MappingRow | None, amount: Decimal) -> Decimal:
    if row is not None and row.remote_id is not None and row.state == "live":
        return ZERO  # it is booked there itself
    seen = row.base.get(SEEN) if row is not None and row.state == "excluded" else None
    return amount if seen is None else min(amount, Decimal(str(seen[1])))


def base_of_left(tx: Tx, row: MappingRow) -> dict[str, tuple[Value, Value]]:
    """What is remembered of a payment or credit note that a person lets go of: later money is no part of the answer."""
    papers = documents.by_ids(tx, [row.record_id])
    settled = [name for one in papers.values() for name in references(one.document)]
    bills = [one for some in mappings.of_records(tx, settled).values() for one in some]
    seen = total_of([came_in_of(one) for one in bills if one.connection == row.connection])
    return {SEEN: ("", str(seen))} if settled else {}
