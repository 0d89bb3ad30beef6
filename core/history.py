"""What connectors tell of past writes, where a provider has no conditional write but keeps a history of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from core.model.values import Value
from core.ports import Missing, Sighting


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """An update that was done: its `body`, and its `stamp` as it was answered (see `Written`)."""

    remote_id: str
    body: Mapping[str, Any]
    stamp: str


class Recalled(msgspec.Struct, frozen=True):
    """An object as it is now, and the neutral values that a past write replaced, as far as its history tells."""

    now: Sighting | Missing
    overwritten: Mapping[str, Value] = {}


@runtime_checkable
class Historian(Protocol):
    """What a connector does besides, where answers to writes carry a `stamp`."""

    async def recall(self, kind: str, writes: Sequence[Past]) -> Mapping[str, Recalled]:
        """Read objects as they are now, by remote id, each with what its write replaced. Raises if any read failed."""
        ...
