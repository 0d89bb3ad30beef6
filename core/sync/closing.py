"""Through which day a connection's books are closed: read before anything is decided on, and kept for minutes."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Final

from core.abilities import ClosesBooks

KEPT_SECONDS: Final = 300.0
SURE_SECONDS: Final = 10.0
"""What is refused is refused on fresh word: whoever has just opened the books need not wait."""


@dataclass(slots=True)
class Closing:
    """What one connection's books said last."""

    through: date | None = None
    _told_at: float = -math.inf

    async def look(self, connector: ClosesBooks, now: float, days: Collection[date | None] = ()) -> None:
        """Ask again, if that was long ago, or if something of these `days` would be refused. Raises as reading does."""
        is_closed = self.through is not None and any(day and day <= self.through for day in days)
        if 0 <= now - self._told_at < (SURE_SECONDS if is_closed else KEPT_SECONDS):
            return
        self.through = await connector.closed_through()
        self._told_at = now
