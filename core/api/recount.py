"""Copies that are not equal, for metrics: every copy is compared for that, so it is done once in some minutes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from core.store.database import Tx
from core.store.documents import count_unequal

LIVES_SECONDS: Final = 300.0
"""How long a count is told before the next one. A scrape comes every few seconds, and an alert takes an hour."""


class Recount:
    """Each connection's last count, and when that was."""

    def __init__(self) -> None:
        """Nothing was counted."""
        self._known: dict[str, tuple[float, int]] = {}

    def at(self, now: float) -> Callable[[Tx, str, str], int]:
        """`documents.count_unequal`, as it was at most `LIVES_SECONDS` before `now`."""

        def count(tx: Tx, connection: str, key: str) -> int:
            known = self._known.get(connection)
            if known is None or not 0 <= now - known[0] < LIVES_SECONDS:
                known = self._known[connection] = (now, count_unequal(tx, connection, key))
            return known[1]

        return count

    def ages(self, now: float) -> Mapping[str, float]:
        """Seconds since each connection's copies were counted."""
        return {name: max(0.0, now - at) for name, (at, _) in self._known.items()}
