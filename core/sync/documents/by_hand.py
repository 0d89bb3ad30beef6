"""What a person booked by hand at a connection that is not told of it: asked for, remembered, and counted.

It stands in the copy's base, beside what the copy was last seen to be equal to, so that the copy agrees until the
amount changes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from core.errors import ByHandError
from core.model import holds
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.money import ZERO
from core.model.values import Value
from core.store import journal, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow

BOOKED: Final = "booked"
"""The answer of a person who booked what a hold named."""
SETTLED: Final = "settled"
"""What is booked of an invoice that its origin counts as settled, and of which no payment or credit note tells."""
MONEY: Final = "money"
"""In the detail of what concerns several documents, and beside what is booked of it: its provider's id of the money."""
_BOOKED: Final = "booked."
"""In a copy's base: how much of an amount of its document a person has booked there."""


def booked(row: MappingRow) -> dict[str, Decimal]:
    """How much of which amounts of its document a person has booked, in the document's currency."""
    return {name.removeprefix(_BOOKED): Decimal(str(pair[0])) for name, pair in kept(row).items()}


def booked_of(row: MappingRow, field: str, money: str) -> Decimal:
    """How much of an amount was booked on account of this money; what was noted without its id is taken for it."""
    covers, of = kept(row).get(_BOOKED + field, (None, None))
    return Decimal(str(covers)) if covers is not None and of in (money, covers) else ZERO


def kept(row: MappingRow) -> dict[str, tuple[Value, Value]]:
    """What stays of a base whatever becomes of the comparison: nobody books the same money twice."""
    return {name: pair for name, pair in row.base.items() if name.startswith(_BOOKED)}


def has_any(row: MappingRow) -> bool:
    """Whether a copy agrees only with what a person booked."""
    return any(booked(row).values())


def asked(error: ByHandError, paper: Paper) -> HoldDraft:
    """The hold that says what to book: amount, currency and account."""
    detail: dict[str, object] = {
        "document": paper.kind,
        "number": paper.called,
        "problem": error.problem,
        "field": error.field or "",
        "amount": str(error.amount),
        "currency": error.currency,
        "account": error.account,
        "covers": str(error.covers),
        "cure": error.cure or "",
    }
    seen = (error.field or "", str(error.amount), str(error.covers), error.currency, error.account)
    return HoldDraft(reason=holds.BY_HAND, detail=detail, digest=digest_of(holds.BY_HAND, *seen))


def book(tx: Tx, row: MappingRow, detail: Mapping[str, Any], *, actor: str, now: float) -> None:
    """A person says that what a hold named is booked: exactly that, however the document has changed since."""
    field, covers = str(detail["field"]), str(detail["covers"])
    before = booked(row).get(field)
    base = {**row.base, _BOOKED + field: (covers, str(detail.get(MONEY, covers)))}
    mappings.update(tx, [msgspec.structs.replace(row, base=base, updated_at=now)])
    changes = {field: (None if before is None else str(before), covers, "by hand")}
    journal.write(tx, [journal.about(row, at=now, action=BOOKED, changes=changes, actor=actor)])
