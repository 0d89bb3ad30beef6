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
    return {"was": _in_words(left), "is": _in_words(come)}


def _in_words(lines: Collection[Line]) -> str:
    shown = [_named(one) for one in list(lines)[:MOST]]
    more = [f"{len(lines) - MOST} more"] if len(lines) > MOST else []
    return "; ".join([*shown, *more]) or "none"


def _named(line: Line) -> str:
    less = f", {line.discount} off" if line.discount else ""
    tax = f", tax {line.tax}" if line.tax else ""
    return f"{line.description or line.id}: {line.amount}{less}{tax}"
