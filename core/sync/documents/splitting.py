"""What settled an invoice, told apart where its origin tells one sum: payments paid it, credit notes credited it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import msgspec

from core.model.documents import CreditNote, Document, Invoice, digest_of, references, settled_by
from core.model.money import ZERO, total_of
from core.model.settling import credited_of
from core.store import documents, journal, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync.documents.marking import TO_BE_COPIED, mark_mappings
from core.sync.figures import mark_owners
from core.sync.hub import Hub


class Split:
    """What the registry knows to settle some invoices, looked up at once."""

    def __init__(self, tx: Tx, hub: Hub, invoices: Iterable[Paper]) -> None:
        """Of those whose origin tells payments from credits by itself nothing is looked up."""
        concerned = {one.id: one.origin for one in invoices if _tells_one_sum(hub, one)}
        about = documents.about(tx, concerned)
        known = documents.by_ids(tx, [one for some in about.values() for one in some])
        rows = mappings.of_records(tx, known)
        self._known = {
            name: _surest_first(name, origin, [known[one] for one in about.get(name, ())], rows)
            for name, origin in concerned.items()
        }

    def of(self, document: Document) -> Document:
        """The same invoice with `paid` and `credited` told apart; any other document as it is."""
        if not isinstance(document, Invoice) or document.status == "void" or document.id not in self._known:
            return document
        settled = total_of([document.paid, document.credited])
        credited = credited_of(settled, self._known[document.id])
        return msgspec.structs.replace(document, paid=total_of([settled, -credited]), credited=credited)


def split_again(tx: Tx, hub: Hub, settlers: Iterable[Document], *, actor: str, trace: str) -> None:
    """Tell apart anew what settled the invoices that these payments and credit notes are, or were, about."""
    ids = {name for one in settlers if not isinstance(one, Invoice) for name in references(one)}
    invoices = list(documents.by_ids(tx, ids).values())
    split, now = Split(tx, hub, invoices), hub.clock.now()
    moved: list[Paper] = []
    for one in invoices:
        document = split.of(one.document)
        if document != one.document:
            changes = {"document": document, "digest": digest_of(document), "version": one.version + 1}
            moved.append(msgspec.structs.replace(one, **changes, updated_at=now))
            journal.write(tx, [_entry(one, document, actor, now, trace)])
    documents.put(tx, moved)
    rows = mappings.of_records(tx, [one.id for one in moved])
    copies = [row for one in moved for row in rows.get(one.id, ()) if row.connection != one.origin]
    for is_made, reason in ((True, "the document changed"), (False, TO_BE_COPIED)):
        mark_mappings(
            tx, hub, [row for row in copies if (row.remote_id is not None) == is_made], reason=reason, trace=trace
        )
    mark_owners(tx, hub, [one.customer_id for one in moved], reason="its documents changed", trace=trace)


def _tells_one_sum(hub: Hub, paper: Paper) -> bool:
    connection = hub.connections.get(paper.origin)
    spec = connection.manifest.documents.get("invoice") if connection and paper.kind == "invoice" else None
    return spec is not None and not spec.tells_credited


def _surest_first(
    invoice: str, origin: str, papers: Iterable[Paper], rows: dict[str, list[MappingRow]]
) -> list[tuple[bool, Decimal]]:
    """What settles an invoice: made at its origin, then payments copied there, then credits that are to be."""
    found = []
    for one in papers:
        at_origin = [row for row in rows.get(one.id, ()) if row.connection == origin and row.state in _THERE]
        is_credit, is_own = isinstance(one.document, CreditNote), one.origin == origin
        # a payment counts once it is there: it would push aside what is there already
        if is_own or any(is_credit or row.remote_id is not None for row in at_origin):
            found.append((not is_own, is_credit, settled_by(one.document).get(invoice, ZERO)))
    return [(is_credit, amount) for _, is_credit, amount in sorted(found)]


_THERE = ("live", "pending")


def _entry(before: Paper, after: Document, actor: str, now: float, trace: str) -> journal.Entry:
    names = ("paid", "credited")
    changes = {name: (str(getattr(before.document, name)), str(getattr(after, name)), "settled by") for name in names}
    return journal.Entry(
        at=now,
        kind=before.kind,
        record_id=before.id,
        connection=before.origin,
        remote_id=before.remote_id,
        action="pull",
        changes=changes,
        actor=actor,
        trace=trace,
    )
