"""Compares what the systems show in the end with what the seed says they must: knows nothing of the engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from core.model.values import Value
from core.sandbox.cast import SYSTEMS, System
from core.sandbox.seed import Person, Rivalry, Seed, same

Shown = Mapping[str, Mapping[str, Value]]
"""One system's objects as neutral fields, by id (LookAlike.neutral)."""


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as the seed says."""

    system: System
    person: str
    problem: str


def differences(seed: Seed, ids: Mapping[System, Sequence[str]], shown: Mapping[System, Shown]) -> list[Difference]:
    """Everything that is wrong; `ids` are those that planting the seed returned."""
    found: list[Difference] = []
    for system in SYSTEMS:
        view = _View(seed, system, ids[system], shown[system])
        for person in seed.persons:
            found += (Difference(system, person.key, problem) for problem in view.problems(person))
        for rivalry in seed.rivalries:
            if rivalry.hold.system == system:
                names = ", ".join(rivalry.persons)
                found += (Difference(system, names, problem) for problem in view.problems_of_rivals(rivalry))
        found += (Difference(system, "", f"{one} is nobody the seed knows") for one in sorted(view.unclaimed))
    return found


class _View:
    """One system: the seed's own objects, and those that were created since, found by e-mail or name."""

    def __init__(self, seed: Seed, system: System, ids: Sequence[str], shown: Shown) -> None:
        self._seed = seed
        self._system = system
        self._ids = ids
        self._shown = shown
        self.unclaimed = set(shown) - set(ids)
        self._created: dict[tuple[str, str], list[str]] = {}
        for remote_id in sorted(self.unclaimed):
            for key in _keys(shown[remote_id]):
                self._created.setdefault(key, []).append(remote_id)

    def problems(self, person: Person) -> Iterator[str]:
        """What is wrong about one person here."""
        number = person.rows.get(self._system)
        wanted = person.agree.get(self._system)
        if number is not None:
            # a row that may not enter must stay as its people left it
            own = self._seed.rows[self._system][number].changes
            yield from self._compared(self._ids[number], own if wanted is None else wanted)
            yield from self._related(self._ids[number], person)
        elif wanted is not None:
            created = self._find(wanted)
            self.unclaimed.difference_update(created)
            if len(created) != 1:
                yield f"is there {len(created)} times: {', '.join(created)}"
            for remote_id in created:
                yield from self._compared(remote_id, wanted)
                yield from self._related(remote_id, person)

    def _related(self, remote_id: str, person: Person) -> Iterator[str]:
        """Its parent here is the object of the person above it, or nobody."""
        there = self._shown.get(remote_id, {}).get("parent")
        wanted = self._object_of(person.parent) if self._system in person.parent_at else None
        if there != wanted:
            yield f"{remote_id} has the parent {there}, not {wanted}"

    def _object_of(self, key: str) -> str:
        person = next(one for one in self._seed.persons if one.key == key)
        number = person.rows.get(self._system)
        if number is not None:
            return self._ids[number]
        return next(iter(self._find(person.agree.get(self._system, {}))), f"{key}, which is not there")

    def problems_of_rivals(self, rivalry: Rivalry) -> Iterator[str]:
        """Exactly one of them must have come through, whole."""
        created = {one: wanted for wanted in rivalry.agree.values() for one in self._find(wanted)}
        self.unclaimed.difference_update(created)
        if len(created) != 1:
            yield f"{len(created)} of them are there, where only one can be"
        for remote_id, wanted in created.items():
            yield from self._compared(remote_id, wanted)

    def _find(self, wanted: Mapping[str, Value]) -> list[str]:
        keys = _keys(wanted)
        return self._created.get(keys[0], []) if keys else []

    def _compared(self, remote_id: str, wanted: Mapping[str, Value]) -> Iterator[str]:
        there = self._shown.get(remote_id)
        if there is None:
            yield f"{remote_id} is gone"
            return
        for field, value in wanted.items():
            if field not in ("extra", "external_id") and not same(field, value, there.get(field)):
                yield f"{remote_id} has {field} {there.get(field)!r}, not {value!r}"


def _keys(fields: Mapping[str, Value]) -> list[tuple[str, str]]:
    """What tells one person from all others: the e-mail first, else the name."""
    found = []
    for field in ("email", "name"):
        value = fields.get(field)
        if isinstance(value, str) and value.strip():
            found.append((field, value.strip().casefold()))
    return found
