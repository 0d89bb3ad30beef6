"""Rolling windows of calls, as Intuit counts them: not the client's own, which leaves a margin."""

from __future__ import annotations

from collections import deque


class Window:
    """At most `calls` within any `seconds`; refused calls do not count."""

    def __init__(self, calls: int, seconds: float) -> None:
        """Start empty."""
        self._calls = calls
        self._seconds = seconds
        self._times: deque[float] = deque()

    def is_full(self, now: float) -> bool:
        """Whether one more call would be too many."""
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        return len(self._times) >= self._calls

    def count(self, now: float) -> None:
        """A call was let through."""
        self._times.append(now)
