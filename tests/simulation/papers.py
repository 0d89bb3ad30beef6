"""Documents as clerks and the judge speak of them: by where they were made, and by what tells them apart anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import Any, Final, NamedTuple

EVERYWHERE: Final = "*"
ABOUT_NONE: Final = "the books wrote it off with its customer, and off no invoice"
DELETED: Final = "deleted where it was made"
NOT_TOLD: Final = "a person booked a payment of the copy, and the origin is not told"
MARKED: Final = "marked as paid, without a payment"

Shown = Mapping[str, Any]
"""A document in neutral names, as a look-alike shows it."""


class Named(NamedTuple):
    """A document where it was made."""

    system: str
    kind: str
    id: str


def is_due(one: Shown) -> bool:
    """Whether something can be paid of an invoice."""
    return bool(one["status"] == "open" and Decimal(one["due"]) > 0)


def whose(one: Shown) -> tuple[str, str]:
    """The customer and the currency: one payment is of one of each."""
    return one["customer"], one["currency"]


def form_number(letter: str, there: Mapping[str, Shown], rng: Random) -> str:
    """What the next form is called in books where people number them, and `there` are those before it."""
    return f"{letter}-{len(there) + 1:04d}-{rng.randrange(10_000)}"


def token(kind: str, one: Shown) -> tuple[str, str]:
    """What tells a document from all others of its kind in a world, at any system."""
    return (one["currency"], str(Decimal(one["amount"]))) if kind == "payment" else ("", one["number"])
