"""What changed of a document that was final, in words: a person says whether it counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from core.model.documents import Document, Line

MOST: Final = 5
"""Lines that are shown; of a hundred, nobody reads more."""


def was_and_is(field: str, before: Document, after: Document, names: Mapping[str, str] = {}) -> dict[str, str]:
    """One field before and after; of lines, those that are not on both. `names`: external ids of customers by id."""
    was, is_now = getattr(before, field), getattr(after, field)
    if field == "customer":
        return {"was": names.get(was, was), "is": names.get(is_now, is_now)}
    if field != "lines":
        return {"was": str(was), "is": str(is_now)}
    there = set(was) & set(is_now)
    left, come = ([one for one in lines if one not in there] for lines in (was, is_now))
    if not left and not come:
        return {"was": "the same lines", "is": "in another order"}
    # of those that read the same on both sides, whatever else they can differ in is told, too
    alike = {_named(one) for one in left} & {_named(one) for one in come}
    return {"was": _in_words(left, alike), "is": _in_words(come, alike)}


def _in_words(lines: Collection[Line], alike: Collection[str]) -> str:
    shown = [_whole(one) if _named(one) in alike else _named(one) for one in list(lines)[:MOST]]
    more = [f"{len(lines) - MOST} more"] if len(lines) > MOST else []
    return "; ".join([*shown, *more]) or "none"


def _named(line: Line) -> str:
    less = f", {line.discount} off" if line.discount else ""
    tax = f", tax {line.tax}" if line.tax else ""
    return f"{line.description or line.id}: {line.amount}{less}{tax}"


def _whole(line: Line) -> str:
    """Also what makes up its amount, and whatever else two lines of the same words can differ in."""
    each = f" at {line.unit_amount}" if line.unit_amount is not None else ""
    product = f", {line.product}" if line.product else ""
    days = f", {line.period_start} to {line.period_end}" if line.period_start or line.period_end else ""
    return f"{_named(line)}, {line.quantity}{each}{product}{days} ({line.id})"
