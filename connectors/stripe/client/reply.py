"""An answer that the SDK passes through without looking inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers (names in lower case) and the body's own bytes.

    The body stays out of the repr: the SDK writes what it got to its debug log, and this is customers' data.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def time(self) -> int | None:
        """When Stripe answered, by its own clock; None when it does not say."""
        try:
            return int(parsedate_to_datetime(self.headers.get("date", "")).timestamp())
        except ValueError:
            return None

    @property
    def is_replayed(self) -> bool:
        """True when Stripe gave back the stored answer of an earlier request with the same key."""
        return self.headers.get("idempotent-replayed", "").lower() == "true"
