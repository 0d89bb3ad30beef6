"""What people must be asked to book by hand, told from what the systems show: knows nothing of the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from core.sandbox.audit import Belongs, Shown, everywhere

_WAYS: Final = ("refunded", "charged_back")


class Question(msgspec.Struct, frozen=True, order=True):
    """So much of a payment went back, and these books are not told: the payment by its id where it was made."""

    books: str
    origin: str
    payment: str
    way: str
    amount: Decimal
    currency: str


def questions(
    payments: Mapping[str, Shown], mirrors: Mapping[str, Sequence[str]], belongs: Belongs = everywhere
) -> Counter[Question]:
    """Every question that must be open while nobody has booked anything. `mirrors`: system -> where its copies are."""
    return Counter(
        Question(books, origin, name, way, Decimal(one[way]), one["currency"])
        for origin, some in mirrors.items()
        for name, one in payments[origin].items()
        for books in some
        for way in _WAYS
        if not one.get("mark") and Decimal(one.get(way) or 0) and belongs(origin, one, books)
    )


def wrong_questions(wanted: Counter[Question], asked: Counter[Question]) -> Iterator[str]:
    """Money that went back and is not asked about, and questions about money that did not."""
    for problem, some in (
        ("and nobody is asked to book it", wanted - asked),
        ("is asked about, and is not so", asked - wanted),
    ):
        for one in sorted(some.elements()):
            yield f"{one.books}: {one.amount} {one.currency} of {one.payment} of {one.origin} {one.way}, {problem}"
