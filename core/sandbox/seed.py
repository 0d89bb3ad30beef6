"""A realistic mess for the demo, as data: what people have typed into three systems, and what must come of it.

What must come of it is derived from the seed and the published ranks alone, never from the engine: it is what
the demo's result is checked against.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

import msgspec

from core.model.values import Value, blank, is_metadata, metadata_key
from core.sandbox.cast import HUBSPOT_METADATA_KEYS, PROJECTED, SYSTEMS, Case, Cast, Hold, Record, Scene, System
from core.sandbox.scenes import SCENES

_SELLING: Final[tuple[System, ...]] = ("hubspot", "stripe", "quickbooks")
_BILLING: Final[tuple[System, ...]] = ("stripe", "quickbooks", "hubspot")
_BOOKS: Final[tuple[System, ...]] = ("quickbooks", "stripe", "hubspot")
_METADATA: Final[tuple[System, ...]] = ("stripe", "hubspot", "quickbooks")
RANKS: Final[Mapping[str, tuple[System, ...]]] = {
    "name": _SELLING,
    "legal_name": _BOOKS,
    "legal_number": _BOOKS,
    "tax_identification_number": _BOOKS,
    "email": _BILLING,
    "phone": _SELLING,
    "customer_type": _SELLING,
    "billing_address": _BILLING,
    "shipping_address": _BILLING,
    "currency": _BILLING,
    "locale": _BILLING,
    "url": _SELLING,
    "status": _BOOKS,
}
"""Whose value stands, best first: written down a second time, so that a slip in the policy's table shows."""

FAMILY_RANKS: Final = _SELLING
"""Whose parent stands."""

_SETTLED_BY_PROVIDER: Final = frozenset({"currency", "status"})
"""QuickBooks gives every new customer one: expected only where the seed names it."""

_MEANT_BY_BLANK: Final = {"status": "active", "customer_type": "individual"}
"""QuickBooks and HubSpot have no blank there: these stand for it, and the registry may stay blank."""

_DEMO_CUSTOMERS: Final = 320


class Row(msgspec.Struct, frozen=True):
    """One object to make in a system, in a person's words. `parent` is a row of the same system, made before."""

    person: str
    changes: Record
    parent: int | None = None


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What must come of one person or company.

    `parent` is the person above it in the end, and `parent_at` the systems that must show that; all others must
    show none. `rows` are its seed rows, by system. `final` is its registry record; empty when it must not enter.
    `agree` is what each system must show of it in the end, field by field. A system that is not named must not
    get it (but for a rivalry's winner; its own seed rows stay); a field that is not named is held, or not that
    system's, or settled by the provider.
    """

    key: str
    scene: str
    rows: Mapping[System, int]
    final: Mapping[str, Value]
    agree: Mapping[System, Mapping[str, Value]]
    holds: tuple[Hold, ...]
    parent: str = ""
    parent_at: tuple[System, ...] = ()


class Rivalry(msgspec.Struct, frozen=True):
    """All of `persons` but one, nobody can say which, must have the hold; that one agrees at the system too."""

    hold: Hold
    persons: tuple[str, ...]
    agree: Mapping[str, Mapping[str, Value]]
    """By person: what the system must show if it is the one."""


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """The whole mess. A row's number is its place in its system's list."""

    rows: Mapping[System, Sequence[Row]]
    persons: Sequence[Person]
    rivalries: Sequence[Rivalry]


def demo_seed(rng: Random, customers: int = _DEMO_CUSTOMERS) -> Seed:
    """Make at least `customers` persons: every kind of mess at least once, in about its usual share."""
    cast = Cast(rng)
    builder = _Builder()
    scale = customers / _DEMO_CUSTOMERS
    names = [scene for scene, often in SCENES for _ in range(max(1, round(often * scale)))]
    rng.shuffle(names)
    for scene in names:
        builder.add(scene.__name__, scene(cast))
    most_usual = SCENES[0][0]
    while len(builder.persons) < customers:
        builder.add(most_usual.__name__, most_usual(cast))
    return Seed(rows=builder.rows, persons=builder.persons, rivalries=builder.rivalries)


def plant(seed: Seed, bulk: Callable[[System, Sequence[Mapping[str, Any]]], Sequence[str]]) -> dict[System, list[str]]:
    """Make the rows; `bulk` makes some in a system and returns their ids in order. Returns ids by row."""
    made: dict[System, list[str]] = {}
    for system in SYSTEMS:
        rows = seed.rows[system]
        ids = [""] * len(rows)
        waves: dict[int, list[int]] = {}
        for number in range(len(rows)):
            waves.setdefault(_depth(rows, number), []).append(number)
        # level by level: a child names its parent's id
        for _, wave in sorted(waves.items()):
            changes = [_with_parent(rows[number], ids) for number in wave]
            for number, remote_id in zip(wave, bulk(system, changes), strict=True):
                ids[number] = remote_id
        made[system] = ids
    return made


def same(field: str, one: Value, other: Value) -> bool:
    """Whether two values agree: e-mails whatever their case and padding, a blank and what a blank means there."""
    return _meaning(field, one) == _meaning(field, other)


def _meaning(field: str, value: Value) -> Value:
    if blank(value):
        return _MEANT_BY_BLANK.get(field)
    return value.strip().casefold() if field == "email" and isinstance(value, str) else value


def _with_parent(row: Row, ids: Sequence[str]) -> Record:
    return row.changes if row.parent is None else row.changes | {"parent": ids[row.parent]}


def _depth(rows: Sequence[Row], number: int) -> int:
    above = rows[number].parent
    return 0 if above is None else 1 + _depth(rows, above)


class _Builder:
    """Numbers rows and persons, and derives what must come of them."""

    def __init__(self) -> None:
        self.rows: dict[System, list[Row]] = {system: [] for system in SYSTEMS}
        self.persons: list[Person] = []
        self.rivalries: list[Rivalry] = []
        self._count = 0

    def add(self, name: str, scene: Scene) -> None:
        made: list[Person] = []
        for case in scene.cases:
            made.append(self._person(name, case, made, scene.rivalry))
        self.persons += made
        if scene.rivalry:
            system = scene.rivalry.system
            agree = {one.key: _shown(system, one.final, one.holds) for one in made}
            self.rivalries.append(Rivalry(scene.rivalry, tuple(agree), agree))

    def _person(self, name: str, case: Case, before: Sequence[Person], rivalry: Hold | None) -> Person:
        self._count += 1
        key = f"{name}-{self._count:04d}"
        numbers: dict[System, int] = {}
        for system, changes in case.rows.items():
            numbers[system] = len(self.rows[system])
            above = before[case.parents[system]].rows[system] if system in case.parents else None
            self.rows[system].append(Row(key, changes, above))
        final = _final(case.rows) if case.enters else {}
        out = case.absent | {rivalry.system} if rivalry else case.absent
        there = [system for system in SYSTEMS if case.enters and system not in out]
        told = [case.parents[system] for system in FAMILY_RANKS if system in case.parents]
        parent = before[told[0]] if told else None
        return Person(
            key=key,
            scene=name,
            rows=numbers,
            final=final,
            agree={system: _shown(system, final, case.holds) for system in there},
            holds=case.holds,
            parent=parent.key if parent else "",
            parent_at=tuple(system for system in there if parent and _has_parent(system, final, parent)),
        )


def _has_parent(system: System, final: Mapping[str, Value], parent: Person) -> bool:
    """QuickBooks has sub-customers of all kinds, HubSpot companies below companies, Stripe nothing of it."""
    are_companies = final["customer_type"] == parent.final["customer_type"] == "company"
    return system in parent.agree and (system == "quickbooks" or (system == "hubspot" and are_companies))


def _final(rows: Mapping[System, Record]) -> dict[str, Value]:
    """The registry's record: for each field, the value of the best ranked system that has one."""
    keys = {field for row in rows.values() for field in row if is_metadata(field)}
    final: dict[str, Value] = {}
    for field, ranks in (*RANKS.items(), *((key, _METADATA) for key in sorted(keys))):
        told = [rows[system][field] for system in ranks if system in rows and not blank(rows[system].get(field))]
        if told or field not in _SETTLED_BY_PROVIDER:
            final[field] = told[0] if told else None
    # HubSpot has contacts and companies and nothing between: an untyped customer becomes a contact there
    final["customer_type"] = final["customer_type"] or _MEANT_BY_BLANK["customer_type"]
    return final


def _shown(system: System, final: Mapping[str, Value], holds: Sequence[Hold]) -> dict[str, Value]:
    """What a system must show of a registry record: what it can hold, without the fields that are held."""
    held = {hold.field for hold in holds if hold.system == system}
    return {field: value for field, value in final.items() if _holds(system, field) and field not in held}


def _holds(system: System, field: str) -> bool:
    if not is_metadata(field):
        return field in PROJECTED[system]
    return system == "stripe" or (system == "hubspot" and metadata_key(field) in HUBSPOT_METADATA_KEYS)
