"""How one copy of a document stands."""

from __future__ import annotations

from dataclasses import dataclass

from core.model.money import spelled
from core.store import work
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.store.work import DirtyRow

BASE = "document"
"""In a mapping's base: the digest of the document that the copy was last seen to be equal to."""

OTHERS = "others"
"""In the base of a copy of an invoice: how much of it was last seen settled by what is no copy of ours, and before that
how much of this came in there, which nobody booked by hand ("" for none)."""

ENTITY = "entity"
"""In the base of a copy: the entity that its document is of by now, where a person let it stay in other books."""


UNFOUND = "unfound"
"""In the base of a copy: a step that nobody answered and no look finds, and when it was sent."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy under way; `raw` is the object as it was at `seen_at` or later, None before it is made.

    `others` are payments, in words, that settle the copy of an invoice and that nobody here knows of.
    """

    row: DirtyRow
    mapping: MappingRow
    paper: Paper
    raw: bytes | None
    seen_at: float = 0.0
    others: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """Where holds and failures of this copy are kept."""
        return work.mapping_subject(self.mapping.id)


def idle(mapping: MappingRow) -> DirtyRow:
    """Stands for the row of what nobody has marked."""
    subject = work.mapping_subject(mapping.id)
    return DirtyRow(
        subject=subject, kind=mapping.kind, seq=0, reason="", trace="", since=0.0, attempts=0, noticed=False
    )


def is_equal(paper: Paper, row: MappingRow) -> bool:
    """Whether a copy was last seen to be what the document is now."""
    return row.state == "live" and row.base.get(BASE) == (paper.digest, paper.digest)


def named_of(paper: Paper) -> dict[str, object]:
    """Which document a hold is about, in people's words."""
    currency = paper.document.currency
    return {
        "document": paper.kind,
        "number": paper.called,
        "amount": spelled(paper.amount, currency),
        "currency": currency,
    }
