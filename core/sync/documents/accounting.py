"""Whether what an invoice says is settled of it is the sum of the payments and credit notes that its origin has."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import msgspec

from core.model.documents import Invoice, settled_by
from core.model.money import ZERO, spelled, total_of
from core.store import documents, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync.hub import Hub

SETTLING: Final = frozenset({"payment", "credit_note"})
"""Both must be taken from an origin: what one of them settles, some origins count with the other."""


class Unaccounted(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice of which more, or less, is settled at its origin than all that settles it there comes to.

    `settled`: paid and credited as its origin says, but for what came off a balance there; `known`: the sum of its
    payments and credit notes that were made or copied there. What of them is still to be copied there is a difference
    of its own.
    """

    connection: str
    id: str
    number: str
    currency: str
    settled: str
    known: str
    why: str
    cure: str


def unaccounted(tx: Tx, hub: Hub, papers: Sequence[Paper]) -> list[Unaccounted]:
    """Those of these invoices. Where policy takes no payments, or no credit notes, from the origin, nothing is told."""
    told = [
        one
        for one in papers
        if (origin := hub.connections.get(one.origin)) and SETTLING.issubset(origin.policy.documents.originates)
    ]
    known = _known(tx, told)
    found = []
    for paper in told:
        bill, sums = paper.document, known[paper.id]
        if not isinstance(bill, Invoice):
            continue
        settled = total_of([bill.paid, bill.credited, -bill.by_balance])
        if settled == sums:
            continue
        title = hub.connections[paper.origin].manifest.title
        why, cure = _more(title, paper.origin) if settled > sums else _less(title, paper.origin)
        found.append(
            Unaccounted(
                connection=paper.origin,
                id=paper.id,
                number=paper.called,
                currency=bill.currency,
                settled=spelled(settled, bill.currency),
                known=spelled(sums, bill.currency),
                why=why,
                cure=cure,
            )
        )
    return found


def _known(tx: Tx, bills: Sequence[Paper]) -> dict[str, Decimal]:
    """How much of each invoice is settled by what is at its origin."""
    about = documents.about(tx, [one.id for one in bills])
    papers = documents.by_ids(tx, {name for some in about.values() for name in some})
    rows = mappings.of_records(tx, papers)
    there = {(row.record_id, row.connection) for some in rows.values() for row in some if _is_made(row)}
    return {
        bill.id: total_of(
            [
                settled_by(one.document).get(bill.id, ZERO)
                for one in (papers[name] for name in about.get(bill.id, ()))
                if one.deleted_at is None and (one.origin == bill.origin or (one.id, bill.origin) in there)
            ]
        )
        for bill in bills
    }


def _is_made(row: MappingRow) -> bool:
    return row.remote_id is not None and row.state != "gone"


def _more(title: str, origin: str) -> tuple[str, str]:
    cure = (
        f"`accord sync {origin} --kind payments`; what was marked as paid there without a payment is booked nowhere:"
        " record the payment there instead, or book it by hand"
    )
    return f"more of it is settled in {title} than the payments and credit notes known of there come to", cure


def _less(title: str, origin: str) -> tuple[str, str]:
    cure = f"`accord sync {origin} --kind payments`; then look in {title} which payment or credit was taken off it"
    return f"the payments and credit notes known of it in {title} come to more than is settled there", cure
