"""Many decisions of one person: in transactions of a hundred at most, and what is refused is told one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from core.errors import AccordError, InvalidInputError
from core.store.database import Database, Tx
from core.store.text import chunks

T = TypeVar("T")

AT_ONCE: Final = 100
"""Most items in one transaction: a daemon that runs beside must not wait long for its turn."""


class Refused(msgspec.Struct, Generic[T], frozen=True):
    """One item, and why it was not done."""

    item: T
    error: AccordError


def carry_out(
    db: Database, items: Sequence[T], work: Callable[[Tx, T], object], *, goes_on: bool
) -> tuple[list[T], list[Refused[T]]]:
    """Do `work` for each item; returns what is committed, and what was refused.

    A refused item takes nothing of its transaction along: the others are done again without it or, unless
    `goes_on`, left alone like everything behind them. An unusable database always ends it.
    """
    done: list[T] = []
    refused: list[Refused[T]] = []
    for some in chunks(items, AT_ONCE):
        rest = list(some)
        while rest:
            wrong = _together(db, rest, work)
            if wrong is None:
                done += rest
                break
            refused.append(wrong)
            if not (goes_on and isinstance(wrong.error, InvalidInputError)):
                return done, refused
            rest = [one for one in rest if one is not wrong.item]
    return done, refused


def _together(db: Database, items: Sequence[T], work: Callable[[Tx, T], object]) -> Refused[T] | None:
    """All of them in one transaction, or None of them and the one that stands in the way."""
    current = items[0]

    def every(tx: Tx) -> None:
        nonlocal current
        for current in items:
            work(tx, current)

    try:
        db.run_now(every)
    except AccordError as error:
        return Refused(current, error)
    return None
