"""Parts: records that are several objects at one provider, a whole and what is tied to it (pure).

A part is an object in a mapping of its own, and holds some of the record's fields instead of the whole: so no field has
two places at a connection. That it belongs to the whole is one more field of it, `part_of`, which only flows out and
is written apart. While the whole is not there, nothing is decided about its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from core.model.projection import Projection
from core.model.remote import Manifest, Part, Remote
from core.model.values import PART_OF, Fields, blank


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts that one connection asks for. Those of a provider that has none, or that are off, are none."""

    asked: tuple[Part, ...]
    blank_counts: frozenset[str]
    """Names of parts whose wholes records get that say nothing about what they are."""
    full: Projection
    of_parts: Mapping[str, Projection]

    def named(self, name: str) -> Part | None:
        """The part of this name; None where the connection does not ask for it."""
        return next((one for one in self.asked if one.name == name), None)

    def of_object(self, remote_id: str) -> Part | None:
        """The part that an object could be, by its id."""
        return next((one for one in self.asked if remote_id.startswith(one.ids)), None)

    def of_whole(self, remote_id: str | None, fields: Fields) -> list[Part]:
        """The parts of a record whose own object is this one; None: of one that has no object yet."""
        return [one for one in self.asked if self._has(one, remote_id, fields)]

    def projection(self, name: str, remote_id: str | None, fields: Fields) -> Projection | None:
        """What an object of a record holds; `name` "" is the whole. None: nothing that anybody asks for."""
        if name:
            return self.of_parts.get(name)
        theirs = {field for one in self.of_whole(remote_id, fields) for field in one.fields}
        return self.full.without(theirs) if theirs else self.full

    def _has(self, part: Part, remote_id: str | None, fields: Fields) -> bool:
        if remote_id is not None:
            return remote_id.startswith(part.of)
        field, wanted = part.when
        value = fields.get(field)
        return value == wanted or (blank(value) and part.name in self.blank_counts)


def parts_of(manifest: Manifest, settings: Mapping[str, str], full: Projection) -> Parts:
    """The parts that the settings of a connection ask for."""
    asked = tuple(one for one in manifest.parts if settings.get(one.setting) == "true")
    return Parts(
        asked=asked,
        blank_counts=frozenset(one.name for one in asked if settings.get(one.blank_setting) == one.when[1]),
        full=full,
        of_parts={one.name: full.of_part(one) for one in asked},
    )


def belonging(remote: Remote, whole_id: str | None) -> Remote:
    """The object with what it belongs to as a field: its record's whole, or nothing; not read: no field."""
    if whole_id is None or remote.part_of is None:
        return remote
    value = whole_id if whole_id in remote.part_of else None
    return msgspec.structs.replace(remote, fields={**remote.fields, PART_OF: value})
