"""Rolling windows: obey a manifest's published limits instead of learning them from 429 answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from core.model.remote import Limit
from core.ports import Clock

SLACK_SHARE = 1.05
SLACK_SECONDS = 0.05


class Window:
    """One limit: at most `calls` start within any span of `seconds` (a rolling window, exact, no bursts beyond)."""

    def __init__(self, limit: Limit) -> None:
        """Start empty."""
        self._calls = limit.calls
        # the provider's window is by its own clock and by arrival: calls bunch up on the way there
        self._seconds = limit.seconds * SLACK_SHARE + SLACK_SECONDS
        self._starts: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Seconds until one more call may start."""
        while self._starts and self._starts[0] <= now - self._seconds:
            self._starts.popleft()
        if len(self._starts) < self._calls:
            return 0.0
        return self._starts[len(self._starts) - self._calls] + self._seconds - now

    def start(self, now: float) -> None:
        """Remember that a call starts."""
        self._starts.append(now)


class RateLimiter:
    """Every window of one connection, and pauses that a provider asked for."""

    def __init__(self, limits: Sequence[Limit], clock: Clock) -> None:
        """Windows of `each` limits are made on first use, one per endpoint."""
        self._limits = tuple(limits)
        self._clock = clock
        self._windows: dict[tuple[str, str], Window] = {}
        self._paused_until = 0.0

    async def take(self, endpoint: str) -> None:
        """Wait until every window that `endpoint` draws on has room, then start the call."""
        while True:
            now = self._clock.now()
            windows = self._drawn_on(endpoint)
            wait = max([self._paused_until - now, *(window.wait(now) for window in windows)])
            if wait <= 0:
                break
            # never shorter than the clock can tell: a wait of 1e-17 s would spin for ever
            await self._clock.sleep(max(wait, 0.001))
        for window in windows:
            window.start(now)

    def pause(self, seconds: float) -> None:
        """The provider asked for silence (429 with a wait): no call of this connection before that."""
        self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def _drawn_on(self, endpoint: str) -> list[Window]:
        found = []
        for limit in self._limits:
            if limit.endpoints and endpoint not in limit.endpoints:
                continue
            key = (limit.name, endpoint if limit.each else "")
            if key not in self._windows:
                self._windows[key] = Window(limit)
            found.append(self._windows[key])
        return found
