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

SEEN: Final = "came in of "
"""In the base of what a person let go of, before the id of an invoice that it settles: how much had come in by then."""


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
    parts = [
        (rows.get(name), settled_by(one.document).get(invoice.id, ZERO))
        for name, one in about.items()
        if one.origin != connection and not _is_booked(rows.get(name))
    ]
    return max(total_of([came_in, -named_of(invoice.id, parts)]), ZERO)


def named_of(invoice_id: str, parts: Sequence[tuple[MappingRow | None, Decimal]]) -> Decimal:
    """How much of what came in a question about one of these has named, or names: each with what it settles.

    What had come in by the last answer was named to whoever let go of them once for all of them.
    """
    whole, left, seen = [ZERO], [ZERO], [ZERO]
    for row, amount in parts:
        by_then = row.base.get(f"{SEEN}{invoice_id}") if row is not None and row.state == "excluded" else None
        if by_then is None:
            whole.append(amount)
        else:
            left.append(amount)
            seen.append(Decimal(str(by_then[1])))
    return total_of([*whole, min(total_of(left), max(seen))])


def _is_booked(row: MappingRow | None) -> bool:
    return row is not None and row.state == "live" and row.remote_id is not None


def base_of_left(tx: Tx, row: MappingRow) -> dict[str, tuple[Value, Value]]:
    """What is remembered of a payment or credit note that a person lets go of: later money is no part of the answer."""
    papers = documents.by_ids(tx, [row.record_id])
    settled = [name for one in papers.values() for name in references(one.document)]
    seen = dict.fromkeys(settled, ZERO)
    for name, bills in mappings.of_records(tx, settled).items():
        seen[name] = total_of([came_in_of(one) for one in bills if one.connection == row.connection])
    return {f"{SEEN}{name}": ("", str(amount)) for name, amount in seen.items()}
