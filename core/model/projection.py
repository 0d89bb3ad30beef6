"""Which neutral fields one connection can hold, and in which spelling."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from core.model.keys import compared_by
from core.model.merge import Base
from core.model.remote import Manifest, Part, Refusal
from core.model.values import PART_OF, Value, is_metadata, metadata_key


@dataclass(frozen=True, slots=True)
class Projection:
    """A connector's pure answers, bound to one connection's configuration."""

    fields: tuple[str, ...]
    has_metadata: bool
    metadata_keys: frozenset[str] | None
    """None: every key; otherwise only these."""
    canonical: Callable[[str, Value], Value]
    """What two values are compared by: the provider's spelling, of phones the number."""
    refusal: Callable[[str, Value], Refusal | None]
    since: Mapping[str, int]
    translation: int
    max_keys: int | None = None
    """How many metadata keys one remote object holds, Accord's own marks aside."""
    fixed: frozenset[str] = frozenset()
    """Fields of which an object never gets another value than its first one."""

    def covers(self, field: str) -> bool:
        """True when values of `field` go to and come from this connection."""
        if not is_metadata(field):
            return field in self.since
        if not self.has_metadata:
            return False
        return self.metadata_keys is None or metadata_key(field) in self.metadata_keys

    def still_agreed(self, base: Mapping[str, Base], version: int) -> Mapping[str, Base]:
        """The base pairs that today's translation still stands for; a newly translated field was never agreed."""
        if version == self.translation:
            return base
        return {field: pair for field, pair in base.items() if self.since.get(field, 1) <= version}

    def of_part(self, part: Part) -> Projection:
        """What an object holds that is a part of a record's: the part's fields, and what it belongs to."""
        since = {name: self.since[name] for name in part.fields}
        refusal = self.refusal
        return replace(
            self,
            fields=(*part.fields, PART_OF),
            has_metadata=False,
            refusal=lambda field, value: None if field == PART_OF else refusal(field, value),
            since={**since, PART_OF: 1},
            max_keys=None,
        )

    def with_figures(self, figures: Collection[str]) -> Projection:
        """The same and these reckoned fields."""
        return replace(
            self, fields=(*self.fields, *figures), since={**self.since, **dict.fromkeys(figures, self.translation)}
        )

    def without(self, fields: Collection[str]) -> Projection:
        """The same but for `fields`, which another object holds."""
        return replace(
            self,
            fields=tuple(name for name in self.fields if name not in fields),
            since={name: version for name, version in self.since.items() if name not in fields},
        )


def projection_of(
    manifest: Manifest,
    metadata_keys: tuple[str, ...],
    canonical: Callable[[str, Value], Value],
    refusal: Callable[[str, Value], Refusal | None],
) -> Projection:
    """Bind a manifest and a translator's pure functions."""
    spec = manifest.metadata
    return Projection(
        fields=tuple(manifest.fields),
        has_metadata=spec is not None,
        metadata_keys=None if spec is None or spec.is_open else frozenset(metadata_keys),
        canonical=lambda field, value: compared_by(field, canonical(field, value)),
        refusal=refusal,
        since={name: field.since for name, field in manifest.fields.items()},
        translation=manifest.translation,
        max_keys=spec.max_keys if spec else None,
        fixed=frozenset(name for name, field in manifest.fields.items() if field.is_fixed),
    )
