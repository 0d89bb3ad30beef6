"""Neutral values: what a field of a record may hold, and how two of them compare.

`Fields` maps a field name to a value. A key that is absent could not be read (not requested, masked,
unreadable, outside the projection) and takes no part in a comparison; `None` is explicitly blank.
Metadata is flat: the key `plan` of a record's metadata is the field `metadata.plan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Value = str | list[str] | dict[str, str] | None
Fields = Mapping[str, Value]

METADATA_PREFIX: Final = "metadata."
FIGURE_PREFIX: Final = "overview."
"""Of fields that are reckoned from a customer's documents (core.model.figures)."""
PART_OF: Final = "part_of"
"""Of an object that is a part of a record's (core.model.parts): the object that it belongs to, by its remote id."""
ADDRESS_PARTS: Final = ("line1", "line2", "city", "state", "postal_code", "country")


def blank(value: Value) -> bool:
    """True for everything that says nothing: None, "", [], {} and an address of blank parts."""
    if isinstance(value, dict):
        return not any(value.values())
    return not value


def takes_away(field: str, value: Value) -> bool:
    """True for the change that makes a customer inactive, whatever it was before (no status means active)."""
    return field == "status" and value == "inactive"


def tidy(value: Value) -> Value:
    """The one spelling of a value: blanks become None, blank address parts are left out."""
    if blank(value):
        return None
    if isinstance(value, dict):
        return {key: value[key] for key in sorted(value) if value[key]}
    return value


def is_metadata(field: str) -> bool:
    """True for `metadata.<key>`."""
    return field.startswith(METADATA_PREFIX)


def is_figure(field: str) -> bool:
    """True for `overview.<figure>`: the registry's alone, everywhere."""
    return field.startswith(FIGURE_PREFIX)


def metadata_key(field: str) -> str:
    """`metadata.plan` -> `plan`."""
    return field[len(METADATA_PREFIX) :]
