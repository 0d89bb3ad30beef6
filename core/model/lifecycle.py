"""What may become of a document: tables of states, read by code and drawn in docs (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import msgspec

from core.model.documents import Document, Kind, Payment, kind_of

STATES: Final[Mapping[Kind, Mapping[str, tuple[str, ...]]]] = {
    "invoice": {
        "draft": ("open", "paid", "void"),
        "open": ("paid", "void", "uncollectible"),
        "uncollectible": ("open", "paid", "void"),
        # a refund, or a payment that bounced, opens a paid invoice again
        "paid": ("open",),
        "void": (),
    },
    "payment": {
        "pending": ("succeeded", "failed", "void"),
        "succeeded": ("void",),
        "failed": ("pending", "succeeded"),
        "void": (),
    },
    "credit_note": {
        "issued": ("void",),
        "void": (),
    },
}
"""Of each kind: state -> states that may follow it."""

UNFINISHED: Final = frozenset({"draft", "pending"})
"""Documents in these states may still change in every way: they are known, and not passed on."""


def may_become(kind: Kind, before: str, after: str) -> bool:
    """Whether a document in one state may be found in another one next time."""
    return before == after or after in _reachable(kind, before)


def _reachable(kind: Kind, state: str) -> set[str]:
    # several steps may lie between two looks
    found: set[str] = set()
    ahead = list(STATES[kind].get(state, ()))
    while ahead:
        one = ahead.pop()
        if one not in found:
            found.add(one)
            ahead += STATES[kind][one]
    return found


def is_final(document: Document) -> bool:
    """Amounts are fixed: from here on there are voids, credit notes and payments, and nothing else."""
    return document.status not in UNFINISHED


FROZEN: Final[Mapping[Kind, tuple[str, ...]]] = {
    "invoice": ("customer", "currency", "issued_on", "lines", "subtotal", "discount", "tax", "total", "number"),
    "payment": ("customer", "currency", "received_on", "amount"),
    "credit_note": (
        *("customer", "currency", "issued_on", "invoice", "lines", "subtotal", "discount", "tax", "total", "number"),
    ),
}
"""Of each kind: what is fixed. The day, too: on another one it may be of a month that is closed by now."""
_LATER: Final = frozenset({"invoice", "issued_on", "received_on"})
"""Of those, what may become known later: a credit finds its invoice, a payment that failed comes in."""
_NEVER_EMPTIED: Final = frozenset({"customer", "currency", "issued_on", "received_on"})


def thawed(before: Document, after: Document) -> list[str]:
    """Fields that changed although they were fixed; empty for drafts, and for everything that is allowed."""
    if not is_final(before):
        return []
    fields = [name for name in FROZEN[kind_of(before)] if getattr(before, name) != getattr(after, name)]
    return [name for name in fields if name not in _LATER or getattr(before, name)]


def remembered(before: Document, after: Document) -> Document:
    """`after`, with what `before` knew of it where a void emptied it: some origins set amounts to zero."""
    if after.status != "void" or kind_of(before) != kind_of(after) or _sum(after) or not _sum(before):
        return after
    kept = {name: getattr(before, name) for name in FROZEN[kind_of(before)] if name not in _NEVER_EMPTIED}
    return msgspec.structs.replace(after, **kept)


def _sum(document: Document) -> Decimal:
    return document.amount if isinstance(document, Payment) else document.total
