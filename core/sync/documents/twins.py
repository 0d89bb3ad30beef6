"""One payment or credit in two systems: booked by neither side's word alone, nor twice in the books of a third."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from itertools import chain, combinations
from typing import Final

from core.errors import RejectedError
from core.model.documents import Invoice, day_of, settled_by
from core.model.money import ZERO, total_of
from core.store import documents, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync.hub import Connection

SAME_WITHIN_DAYS: Final = 7
"""Two records of one payment bear the day it was sent, came in, or was typed in."""
_TOGETHER: Final = 8
"""Of more parts than that it is not looked for which of them come to one."""
_COUNTED: Final = frozenset({"succeeded", "issued"})
_SAID: Final[Mapping[str, tuple[str, str, str]]] = {
    "payment": ("payment", "received", "came in"),
    "credit_note": ("credit note", "issued", "were given"),
}
"""What two records of one thing are, and when and how there are two of it after all."""
_Rows = Mapping[str, Sequence[MappingRow]]


def refuse_twin(tx: Tx, connection: Connection, paper: Paper, invoice_id: str) -> None:
    """Raise RejectedError for the copy of what may be another record of something that is there, or is to be."""
    about = documents.by_ids(tx, documents.about(tx, [invoice_id]).get(invoice_id, ()))
    twins = _same_as(paper, list(about.values()), invoice_id)
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
        title, (noun, dated, _) = connection.manifest.title, _SAID[one.kind]
        whose = f"{title} has a {noun} of its own" if one.origin == connection.name else f"{one.origin} has a {noun}"
        amount, theirs = (settled_by(some.document)[invoice_id] for some in (paper, one))
        of = f"the same {theirs}" if theirs == amount else f"{theirs}"
        same = "it" if theirs == amount else "it, with others that come to one sum,"
        problem = f"{whose}, {one.remote_id}, of {of} {one.document.currency} of invoice {invoice.called}"
        raise _refused(one, f"{problem}, {dated} on {day_of(one.document)}: {same} may be the same")


def refuse_beside(tx: Tx, connection: Connection, invoice: Paper, known: Collection[str]) -> None:
    """Raise RejectedError where a connection has a payment of an invoice that may be one of those copied there.

    `known`: what its origin counts; of that nobody else is asked.
    """
    about = list(documents.by_ids(tx, documents.about(tx, [invoice.id]).get(invoice.id, ())).values())
    rows = mappings.of_records(tx, [one.id for one in about])
    here = [one for one in about if _is_at(connection.name, one, rows)]
    own = [one for one in here if one.origin == connection.name and one.id not in known]
    for one, other in ((ours, same) for ours in own for same in _same_as(ours, here, invoice.id)):
        amount, theirs = (settled_by(some.document)[invoice.id] for some in (one, other))
        title, (noun, *_) = connection.manifest.title, _SAID[one.kind]
        of = f"each is of {amount}" if amount == theirs else f"they are of {amount} and {theirs}"
        same = "they" if amount == theirs else "they, with others that come to one sum,"
        problem = f"{title} has {noun} {one.remote_id} of its own, and a copy of {other.origin}'s {other.remote_id}"
        told = f"{of} {one.document.currency} of invoice {invoice.called}, and {same} may be the same"
        raise _refused(one, f"{problem}: {told}")


def _refused(one: Paper, problem: str) -> RejectedError:
    return RejectedError(problem, field=_field(one), limit="nothing is booked twice", cure=_cure(one))


def counted(tx: Tx, papers: Sequence[Paper]) -> list[Paper]:
    """Those that count in a sum: of two records of one payment or credit, the one that the invoice's origin has.

    The other one is asked about, and may stay for good: the money came in once.
    """
    settling = [one for one in papers if one.kind in _SAID]
    if len({one.origin for one in settling}) < 2:
        return list(papers)
    settlers: dict[str, list[Paper]] = {}
    for one in settling:
        for name in settled_by(one.document):
            settlers.setdefault(name, []).append(one)
    bills = documents.by_ids(tx, settlers)
    rows = mappings.of_records(tx, [one.id for one in settling])
    twice = {one.id for one in settling if _is_second(one, settlers, bills, rows)}
    return [one for one in papers if one.id not in twice]


def _is_second(paper: Paper, settlers: Mapping[str, Sequence[Paper]], bills: Mapping[str, Paper], rows: _Rows) -> bool:
    """Whether each invoice that a document settles has another record of it, which its origin counts, and not this."""

    def is_twice(invoice: Paper) -> bool:
        return not _is_at(invoice.origin, paper, rows) and any(
            _is_at(invoice.origin, one, rows) for one in _same_as(paper, settlers[invoice.id], invoice.id)
        )

    settled = settled_by(paper.document)
    return bool(settled) and all(is_twice(bills[name]) for name in settled)


def _field(paper: Paper) -> str:
    return "applications" if paper.kind == "payment" else "invoice"


def _cure(paper: Paper) -> str:
    happened = _SAID[paper.kind][2]
    return f"void one of the two where it was recorded; if both {happened}, record both in one of the systems"


def _is_at(name: str, paper: Paper, rows: _Rows) -> bool:
    """Whether a connection has a record, made there or copied: one that was made there may be gone, and left."""
    here = [row for row in rows.get(paper.id, ()) if row.connection == name]
    if paper.origin == name:
        return not any(row.state == "excluded" for row in here)
    return any(row.state == "live" and row.remote_id for row in here)


def _same_as(paper: Paper, others: Sequence[Paper], invoice_id: str) -> list[Paper]:
    """Records of other systems that a document may be one with: alone, or one of the two in several parts."""
    near = [one for one in others if one.origin != paper.origin and _is_near(paper, one) and _of(one, invoice_id)]
    amount = _of(paper, invoice_id)
    alone = [one for one in near if _of(one, invoice_id) == amount]
    if alone or not near:
        return alone
    found = [
        _coming_to([one for one in near if one.origin == name], amount, invoice_id, _TOGETHER)
        for name in sorted({one.origin for one in near})
    ]
    beside = [one for one in others if one.origin == paper.origin and one.id != paper.id]
    for whole in sorted(near, key=lambda one: one.id):
        rest = total_of([_of(whole, invoice_id), -amount])
        parts = [one for one in beside if _is_near(whole, one)]
        found.append([whole] if rest > 0 and _coming_to(parts, rest, invoice_id, _TOGETHER - 1) else [])
    return list(chain.from_iterable(found))


def _coming_to(papers: Sequence[Paper], amount: Decimal, invoice_id: str, most: int) -> Sequence[Paper]:
    """The fewest of these that settle that much of an invoice together; none where none do, or there are too many."""
    # in one order, whoever looks: a question that names another of them would be another question
    some = sorted((one for one in papers if 0 < _of(one, invoice_id) <= amount), key=lambda one: one.id)
    if len(some) > most:
        return ()
    tried = chain.from_iterable(combinations(some, count) for count in range(1, len(some) + 1))
    return next((few for few in tried if total_of([_of(one, invoice_id) for one in few]) == amount), ())


def _of(paper: Paper, invoice_id: str) -> Decimal:
    return settled_by(paper.document).get(invoice_id, ZERO)


def _is_near(one: Paper, other: Paper) -> bool:
    """Whether two payments, or two credits, both count, and are within days."""
    first, second = one.document, other.document
    if one.kind != other.kind or isinstance(first, Invoice):
        return False
    if not {first.status, second.status} <= _COUNTED:
        return False
    days = [day for day in (day_of(first), day_of(second)) if day is not None]
    return len(days) < 2 or abs((days[0] - days[1]).days) <= SAME_WITHIN_DAYS
