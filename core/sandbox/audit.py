"""Compares copies of documents with what they are copies of, as the systems show them: knows nothing of the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

Shown = Mapping[str, Mapping[str, Any]]
"""One system's documents of a kind as neutral values, by id (LookAlike.neutral)."""

_EQUAL: Final = ("currency", "total", "tax", "status", "due")
_UNCOPIED: Final = frozenset({"draft"})


class Discrepancy(msgspec.Struct, frozen=True):
    """One thing about an invoice that is not as it must be."""

    system: str
    number: str
    problem: str


def discrepancies(
    invoices: Mapping[str, Shown], mirrors: Mapping[str, Sequence[str]], held: frozenset[str]
) -> list[Discrepancy]:
    """Everything that is wrong. `mirrors`: system -> where its copies are; `held`: numbers that people decide about."""
    found: list[Discrepancy] = []
    for system, shown in invoices.items():
        found += (Discrepancy(system, one["number"], problem) for one in shown.values() for problem in _unbalanced(one))
        originals = [one for one in shown.values() if not one.get("mark") and one["status"] not in _UNCOPIED]
        for mirror in mirrors.get(system, ()):
            copies = _by_number(invoices[mirror])
            for one in originals:
                number = one["number"]
                if number not in held:
                    found += (Discrepancy(mirror, number, why) for why in _unequal(one, copies.get(number, [])))
    return found


def _by_number(shown: Shown) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in shown.values():
        if one.get("mark"):
            found.setdefault(one["number"], []).append(one)
    return found


def _unequal(one: Mapping[str, Any], copies: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not copies and one["status"] == "void":
        return  # void before it could be copied
    if len(copies) != 1:
        yield f"is there {len(copies)} times"
        return
    for field in _EQUAL:
        if one["status"] == "void" and field in ("total", "tax"):
            continue  # some systems keep the amounts of what is void, others show zero
        if copies[0][field] != one[field]:
            yield f"has {field} {copies[0][field]}, not {one[field]}"


def _unbalanced(one: Mapping[str, Any]) -> Iterator[str]:
    parts = sum((Decimal(one.get(name) or 0) for name in ("paid", "credited", "written_off", "due")), Decimal(0))
    if one["status"] != "void" and parts != Decimal(one["total"]):
        yield f"paid, credited, written off and due are {parts}, not {one['total']}"
