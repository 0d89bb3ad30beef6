"""The event feed: snapshots at the time of the event, kept for 30 days (PROVIDERS §3)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

RETENTION_SECONDS: Final = 30 * 86400  # PROVIDERS §3
_MOST_OVERTAKEN: Final = 7
"""Ten thousand events of one second must not each look at all the others."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change. `snapshot` is the customer's JSON right after it."""

    id: str
    type: str
    created: int
    snapshot: bytes
    previous: Mapping[str, Any] | None
    request_id: str | None
    request_key: str | None
    api_version: str

    def body(self, *, is_live: bool, pending: int) -> bytes:
        """Render the event as the API and the webhooks do."""
        data: dict[str, Any] = {"object": msgspec.Raw(self.snapshot)}
        if self.previous is not None:
            data["previous_attributes"] = self.previous
        return msgspec.json.encode(
            {
                "id": self.id,
                "object": "event",
                "api_version": self.api_version,
                "created": self.created,
                "data": data,
                "livemode": is_live,
                "pending_webhooks": pending,
                "request": {"id": self.request_id, "idempotency_key": self.request_key},
                "type": self.type,
            }
        )


class Shelf:
    """Things in the order of their creation, listed newest first with Stripe's cursors."""

    def __init__(self) -> None:
        """Start empty."""
        self._ids: list[str] = []
        self._created: list[int] = []
        self._place: dict[str, int] = {}

    def add(self, thing_id: str, created: int) -> None:
        """Append; time that runs backwards is held, as a provider's clock would be."""
        self._place[thing_id] = len(self._ids)
        self._ids.append(thing_id)
        self._created.append(max(created, self._created[-1]) if self._created else created)

    def add_loosely(self, thing_id: str, created: int) -> None:
        """Put it before some of its second: within one, the feed keeps no order (PROVIDERS §3)."""
        self.add(thing_id, created)
        place = len(self._ids) - 1
        first = max(self.since(self._created[-1]), place - _MOST_OVERTAKEN)
        # ids are chance, so that a seed repeats it
        while place > first and self._ids[place - 1] > thing_id:
            self._ids[place] = self._ids[place - 1]
            self._place[self._ids[place]] = place
            place -= 1
        self._ids[place], self._place[thing_id] = thing_id, place

    def since(self, created: int) -> int:
        """Return the first place at or after a time."""
        return bisect_left(self._created, created)

    def place(self, thing_id: str) -> int | None:
        """Return where a thing stands, or None."""
        return self._place.get(thing_id)

    def newest_first(
        self, span: range, limit: int, wanted: Callable[[str], bool], *, forwards: bool = False
    ) -> tuple[list[str], bool]:
        """Return up to `limit` ids inside `span`, and whether there are more in the direction of travel."""
        found: list[str] = []
        for place in span if forwards else reversed(span):
            if wanted(self._ids[place]):
                if len(found) == limit:
                    return (found[::-1] if forwards else found), True
                found.append(self._ids[place])
        return (found[::-1] if forwards else found), False

    def __len__(self) -> int:
        """How many were ever added."""
        return len(self._ids)
