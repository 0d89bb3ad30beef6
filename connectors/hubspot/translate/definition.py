"""A property of ours, as it must be made (pure)."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

GROUP: Final = "accord"


class Definition(msgspec.Struct, frozen=True):
    """A property of our own."""

    name: str
    label: str
    is_unique: bool = False
    type: Literal["string", "number", "date"] = "string"
