"""Copies that a person let go of: they are booked by hand, and so is to be what goes back of them, or a void.

Nothing is read or written for them any more. But money that goes back to a customer, and what nobody owes after all, is
told to somebody, always.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from core.model import holds
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.money import ZERO, spelled, total_of
from core.model.values import Value
from core.store import documents, mappings, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.documents import Paper
from core.store.holds import Held, Hold
from core.store.mappings import MappingRow
from core.sync.batch import Report
from core.sync.documents import by_hand
from core.sync.documents.came_in import base_of_left
from core.sync.documents.untold import settle
from core.sync.hub import Connection, Hub

_LEFT: Final = "left."
"""In the base of what a person let go of: how much of an amount of its document they saw, and want booked nowhere."""
_STANDING: Final = frozenset({"succeeded", "issued"})
"""States of a document in which money of it came in, or was given back."""
_BACK: Final[Mapping[str, tuple[str, str]]] = {
    "refunded": ("of it went back", "of a refund failed after it was booked"),
    "charged_back": ("of it was charged back", "that was charged back is there again"),
}
"""Amounts that go back: what to say where more of it did than is booked, and where less did."""
_BOOK: Final = (
    "book it out of the account that its payment was booked to by hand, then answer `booked`; leave it, where nothing"
    " of it is booked there"
)
_UNDO: Final = "take back what was booked by hand, then answer `booked`"
_VOIDED: Final = "voided"
"""The amount of a document that was void only after a person let go of its copy: all of it is to be taken back."""
_VOID: Final = (
    "void there what was booked of it by hand, then answer `booked`; leave it, where nothing of it is booked there"
)


class ToBook(NamedTuple):
    """What a person has yet to book of one amount; below 0: to take back. With it, `covers` of it is booked."""

    field: str
    amount: Decimal
    covers: Decimal


def to_book(paper: Paper, row: MappingRow) -> ToBook | None:
    """What went back of a copy's document after a person let go of it, and nobody has booked; None for nothing."""
    if row.state != "excluded" or row.connection == paper.origin:
        return None
    booked = by_hand.booked(row)
    if paper.document.status == "void" and paper.amount not in (booked.get(_VOIDED, ZERO), _left(row, _VOIDED)):
        return ToBook(_VOIDED, -paper.amount, paper.amount)
    if paper.document.status not in _STANDING:
        return None
    for field in _BACK:
        was, went = booked.get(field, ZERO), getattr(paper.document, field, ZERO)
        # what was left is booked nowhere: where less went back than that, there is nothing to take back of it
        covers = max(total_of([went, -_left(row, field)]), ZERO)
        if covers != was:
            return ToBook(field, total_of([covers, -was]), covers)
    return None


def _left(row: MappingRow, field: str) -> Decimal:
    pair = row.base.get(_LEFT + field)
    return ZERO if pair is None else Decimal(str(pair[0]))


def base_of(tx: Tx, row: MappingRow, hold: Hold) -> dict[str, tuple[Value, Value]]:
    """What is remembered of a copy when a person lets go of it by answering this hold: what they saw, and booked."""
    # who leaves a refund of what was left before says nothing of what came in there since
    is_first = row.state != "excluded"
    base = {**by_hand.kept(row), **base_of_left(tx, row)} if is_first else dict(row.base)
    if hold.reason == holds.BY_HAND:
        field, amount, covers = (str(hold.detail[name]) for name in ("field", "amount", "covers"))
        left = max(total_of([_left(row, field), Decimal(amount)]), ZERO)
        base |= _as_left(field, Decimal(covers) if field == _VOIDED else left)
    for paper in documents.by_ids(tx, [row.record_id]).values() if is_first else ():
        base |= _as_left(_VOIDED, paper.amount) if paper.document.status == "void" else {}
    return base


def _as_left(field: str, amount: Decimal) -> dict[str, tuple[Value, Value]]:
    return {_LEFT + field: (str(amount), str(amount))}


def ask(tx: Tx, hub: Hub, connection: Connection, traces: Mapping[str, str], report: Report) -> None:
    """Let exactly the question stand that there is about each of these mappings: their ids, each with its trace."""
    mappings.lock(tx, traces)
    fresh = [one for one in mappings.by_ids(tx, traces).values() if one.state == "excluded"]
    papers = documents.by_ids(tx, [one.record_id for one in fresh])
    known = hold_rows.of_subjects(tx, connection.name, [work.mapping_subject(one.id) for one in fresh])
    for row in fresh:
        paper = papers[row.record_id]
        told = to_book(paper, row)
        drafts = [_draft(connection, paper, told)] if told else []
        wanted = Held(
            subject=work.mapping_subject(row.id), record_id=paper.customer_id, drafts=drafts, trace=traces[row.id]
        )
        settle(tx, hub, connection, wanted, known, reason=holds.BY_HAND)
        report.held += len(drafts)


def _draft(connection: Connection, paper: Paper, told: ToBook) -> HoldDraft:
    currency, title = paper.document.currency, connection.manifest.title
    cure = _VOID if told.field == _VOIDED else _BOOK if told.amount > 0 else _UNDO
    detail: dict[str, Any] = {
        "document": paper.kind,
        "number": paper.called,
        "problem": f"{_happened(told, currency)}, and its copy in {title} was let go of",
        "field": told.field,
        "amount": str(told.amount),
        "currency": currency,
        "account": "",
        "covers": str(told.covers),
        "cure": cure,
    }
    seen = (told.field, str(told.amount), str(told.covers), currency)
    return HoldDraft(reason=holds.BY_HAND, detail=detail, digest=digest_of(holds.BY_HAND, *seen))


def _happened(told: ToBook, currency: str) -> str:
    amount = f"{spelled(abs(told.amount), currency)} {currency}"
    if told.field == _VOIDED:
        return f"it is void where it was made, all {amount} of it"
    more, less = _BACK[told.field]
    return f"{amount} {more if told.amount > 0 else less}"
