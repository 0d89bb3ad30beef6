"""Compares copies of documents with what they are copies of, as the systems show them: knows nothing of the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

Shown = Mapping[str, Mapping[str, Any]]
"""One system's documents of a kind as neutral values, by id (LookAlike.neutral)."""
Numbers = Mapping[str, str]
"""Number by the id of an invoice, at one system."""

Belongs = Callable[[str, Mapping[str, Any], str], bool]
"""(system, document, mirror) -> whether the mirror is to have a copy of what was made at the system."""

_EQUAL: Final = ("currency", "total", "tax", "status", "due")
_OF_LINE: Final = ("amount", "discount")
_UNCOPIED: Final = frozenset({"draft"})
_STANDS: Final = frozenset({"succeeded", "issued"})


class Discrepancy(msgspec.Struct, frozen=True):
    """One thing about an invoice that is not as it must be."""

    system: str
    number: str
    problem: str


def everywhere(system: str, one: Mapping[str, Any], mirror: str) -> bool:
    """Books that are nobody's in particular: every mirror gets every document."""
    del system, one, mirror
    return True


def discrepancies(
    invoices: Mapping[str, Shown],
    mirrors: Mapping[str, Sequence[str]],
    held: frozenset[str],
    belongs: Belongs = everywhere,
) -> list[Discrepancy]:
    """Everything that is wrong. `mirrors`: system -> where its copies are; `held`: numbers that people decide about."""
    found: list[Discrepancy] = []
    for system, shown in invoices.items():
        found += (Discrepancy(system, one["number"], problem) for one in shown.values() for problem in _unbalanced(one))
        for mirror in mirrors.get(system, ()):
            copies = _by_number(invoices[mirror])
            for one in _originals(shown):
                number = one["number"]
                if number not in held and belongs(system, one, mirror):
                    found += (Discrepancy(mirror, number, why) for why in _unequal(one, copies.get(number, [])))
    return found + list(_strays(invoices, mirrors, belongs))


def _strays(
    invoices: Mapping[str, Shown], mirrors: Mapping[str, Sequence[str]], belongs: Belongs
) -> Iterator[Discrepancy]:
    """Copies that nothing was to be copied for: of a draft, of nothing, of another's, or of one that has its copy."""
    for mirror in sorted({one for names in mirrors.values() for one in names}):
        origins = [system for system, names in mirrors.items() if mirror in names]
        wanted = Counter(
            one["number"] for system in origins for one in _originals(invoices[system]) if belongs(system, one, mirror)
        )
        there = {number: len(some) for number, some in _by_number(invoices[mirror]).items()}
        for number, times in there.items():
            if times > wanted[number]:
                yield Discrepancy(mirror, number, f"is there {times} times, and {wanted[number]} times to be copied")


def settlement_problems(
    shown: Mapping[str, Mapping[str, Shown]],
    held: Collection[str],
    origin: str,
    books: str,
    belongs: Belongs = everywhere,
) -> list[str]:
    """Each payment and each credit note of `origin` is in the books once, for its invoice and with its amount.

    `shown`: by kind and system. `held`: ids at the origin of documents that people decide about: they may be there.
    """
    found = []
    numbers = {name: {one: told["number"] for one, told in shown["invoice"][name].items()} for name in (origin, books)}
    readings: dict[str, Callable[[Mapping[str, Any], Numbers], tuple[object, ...]]] = {
        "payment": _applied,
        "credit_note": _credited,
    }
    for kind, read in readings.items():
        there = shown[kind]
        made = {
            name: read(one, numbers[origin])
            for name, one in there[origin].items()
            if _is_original(one) and belongs(origin, one, books)
        }
        wanted = Counter(told for name, told in made.items() if name not in held)
        may_be = Counter(told for name, told in made.items() if name in held)
        copied = [one for one in there[books].values() if one.get("mark") and one["status"] in _STANDS]
        copies = Counter(read(one, numbers[books]) for one in copied)
        found += [f"{kind} {told}: missing in the books" for told in (wanted - copies).elements()]
        found += [f"{kind} {told}: too often in the books" for told in (copies - wanted - may_be).elements()]
    return found


def _is_original(one: Mapping[str, Any]) -> bool:
    return one["status"] in _STANDS and not one.get("mark")


def _applied(one: Mapping[str, Any], numbers: Numbers) -> tuple[object, ...]:
    parts = sorted((numbers.get(part["invoice"], ""), Decimal(part["amount"])) for part in one["applications"])
    return (one["currency"], Decimal(one["amount"]), tuple(parts))


def _credited(one: Mapping[str, Any], numbers: Numbers) -> tuple[object, ...]:
    del numbers  # a credit memo does not tell its invoice: that invoice's balance does
    return (one["currency"], one["number"], Decimal(one["total"]), Decimal(one["applied"]))


def _originals(shown: Shown) -> list[Mapping[str, Any]]:
    return [one for one in shown.values() if not one.get("mark") and one["status"] not in _UNCOPIED]


def _by_number(shown: Shown) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in shown.values():
        if one.get("mark"):
            found.setdefault(one["number"], []).append(one)
    return found


def _unequal(one: Mapping[str, Any], copies: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not copies and one["status"] == "void":
        return  # void before it could be copied
    if not copies:
        yield "is there 0 times"
        return
    for copy in copies:
        for field in _EQUAL:
            if one["status"] == "void" and field in ("total", "tax"):
                continue  # some systems keep the amounts of what is void, others show zero
            if copy[field] != one[field]:
                yield f"has {field} {copy[field]}, not {one[field]}"
        if one["status"] != "void" and _lines(copy) != _lines(one):
            yield f"has the lines {_lines(copy)}, not {_lines(one)}"


def _lines(one: Mapping[str, Any]) -> list[str]:
    """Each with its sign, in order. Of tax some systems have the sum only."""
    return [" - ".join(line[name] for name in _OF_LINE) for line in one.get("lines", ())]


def _unbalanced(one: Mapping[str, Any]) -> Iterator[str]:
    parts = sum((Decimal(one.get(name) or 0) for name in ("paid", "credited", "written_off", "due")), Decimal(0))
    if one["status"] != "void" and parts != Decimal(one["total"]):
        yield f"paid, credited, written off and due are {parts}, not {one['total']}"
