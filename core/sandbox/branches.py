"""Whose customers are in the books of a branch, told from what the systems show: knows nothing of the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.model.policy import ENTITY_FIELD

Shown = Mapping[str, Mapping[str, Any]]
"""One system's customers as neutral fields, by id."""


def branch_problems(named: Shown, books: Shown, branch: Shown, entity: str) -> Iterator[str]:
    """Everybody whom the system in `named` calls the entity's is there once, as in the main `books`; nobody else is."""
    by_name = {one["name"]: one for one in books.values()}
    wanted = sorted(one["name"] for one in named.values() if one.get(ENTITY_FIELD) == entity)
    there = sorted(one["name"] for one in branch.values())
    if there != wanted:
        odd = ", ".join(sorted({*there} ^ {*wanted}))
        yield f"{odd}: in the books of {entity} or its customer, and not both; {len(there)} are there of {len(wanted)}"
    for name, one in branch.items():
        for field, value in by_name.get(one["name"], one).items():
            if field != "parent" and one.get(field) != value:
                yield f"{name} has {field} {one.get(field)!r} in the books of {entity}, not {value!r}"
