"""What some connectors do besides the port, because their provider can: found with `isinstance`, and asked then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Protocol, runtime_checkable

import msgspec

from core.model.payouts import PaidOut, Payout
from core.model.values import Value
from core.ports import Missing, Sighting, Write


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
    """A connector whose provider has no conditional write but keeps a history of values; answers carry a `stamp`."""

    async def recall(self, kind: str, writes: Sequence[Past]) -> Mapping[str, Recalled]:
        """Read objects as they are now, by remote id, each with what its write replaced. Raises if any read failed."""
        ...


@runtime_checkable
class PayoutSource(Protocol):
    """A connector whose provider pays out what it collected (`manifest.has_payouts`)."""

    async def payouts(self, limit: int) -> Sequence[Payout]:
        """The newest ones."""
        ...

    async def payout(self, payout_id: str) -> PaidOut:
        """One with all that it is made of. GoneError where there is none."""
        ...


@runtime_checkable
class Examiner(Protocol):
    """A connector some of whose settings name what only the account can tell to be there."""

    async def faults(self) -> Sequence[str]:
        """Settings that cannot work there, each in words that name it; nothing is written."""
        ...


@runtime_checkable
class ClosesBooks(Protocol):
    """A connector whose provider closes its books up to a day, and refuses what is dated on it or before."""

    async def closed_through(self) -> date | None:
        """The last day that is closed; None where the books are open."""
        ...


@runtime_checkable
class Archiver(Protocol):
    """A connector whose provider can archive a customer's object (`manifest.archives`)."""

    def farewell(self, current: bytes) -> Mapping[str, Any] | None:
        """What archives the object, from its bytes; None where it is archived already.

        Raises RejectedError where that would change more than the object: money, say.
        """
        ...

    async def archive(self, write: Write) -> Sighting | Missing:
        """Do it. Returns the object as it is then, or that no read shows it any more."""
        ...
