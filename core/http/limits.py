"""Rolling windows: obey a manifest's published limits instead of learning them from 429 answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from core.model.remote import Limit
from core.ports import Shell

LATEST_SHARE = 0.05
LATEST_SECONDS = 0.05
MARGIN_SECONDS = 0.001
"""For clocks that round, and do not run at quite the same pace."""
OTHERS_SHARE = 0.05
FIRST_CALLS = 20


@dataclass(slots=True)
class _Call:
    """One call that started; `took` is how long its answer took, None while it is under way."""

    started: float
    took: float | None = None


class Window:
    """One limit: at most `calls` arrive at the provider within any span of `seconds`."""

    def __init__(self, limit: Limit) -> None:
        """Start empty."""
        self.most = limit.calls
        self._seconds = limit.seconds
        self._latest = limit.seconds * LATEST_SHARE + LATEST_SECONDS
        self._calls: deque[_Call] = deque()

    def wait(self, now: float, fastest: float) -> float:
        """Seconds until one more call may start, or until that can be told better; 0 when it may start now.

        `fastest` is the shortest time that any call ever took.
        """
        while self._calls and self._free_at(self._calls[0], fastest) <= now:
            self._calls.popleft()
        if len(self._calls) < self.most:
            return 0.0
        oldest = self._calls[len(self._calls) - self.most]
        soonest = oldest.started + self._seconds + MARGIN_SECONDS
        if oldest.took is None and soonest > now:
            # it may well be answered until then; who slept through that would give away its lateness each time
            return soonest - now
        return self._free_at(oldest, fastest) - now

    def start(self, call: _Call) -> None:
        """Remember that a call starts."""
        self._calls.append(call)

    def told(self, most: int, remaining: int, now: float, fastest: float) -> None:
        """Take over what the provider says of this window: its size, and what other programs have used of it."""
        self.most = most
        self.wait(now, fastest)
        others = most - remaining - len(self._calls)
        # a few more or less are calls that were under way when the provider counted
        if others > most * OTHERS_SHARE:
            self._calls += [_Call(now, fastest)] * others

    def _free_at(self, call: _Call, fastest: float) -> float:
        # The provider counts arrivals. A call that took longer than the fastest one may have arrived that much
        # later than it started; the call that takes its place may arrive at once.
        late = self._latest if call.took is None else min(call.took - fastest, self._latest)
        return call.started + self._seconds + late + MARGIN_SECONDS


class RateLimiter:
    """Every window of one connection, and pauses that a provider asked for."""

    def __init__(self, limits: Sequence[Limit], shell: Shell) -> None:
        """Windows of `each` limits are made on first use, one per endpoint."""
        self._limits = tuple(limits)
        self._clock = shell.clock
        self._count = shell.count
        self._windows: dict[tuple[str, str], Window] = {}
        self._paused_until = 0.0
        self._times: list[float] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: dict[str, asyncio.Lock] = {}

    @property
    def fastest(self) -> float:
        """The shortest time that a call took, in seconds; 0 before the first one."""
        return min(self._times, default=0.0)

    @asynccontextmanager
    async def call(self, endpoint: str) -> AsyncIterator[None]:
        """Wait until every window that `endpoint` draws on has room; the call is what happens inside.

        Calls of one endpoint start in the order in which they came.
        """
        windows = self._drawn_on(endpoint)
        async with self._line(endpoint):
            this = await self._started(windows)
        self._count(endpoint)
        try:
            yield
        finally:
            this.took = self._clock.now() - this.started
            self._learn(this.took)

    async def _started(self, windows: Sequence[Window]) -> _Call:
        while True:
            now = self._clock.now()
            wait = max([self._paused_until - now, *(window.wait(now, self._known_fastest()) for window in windows)])
            if wait <= 0:
                break
            # never shorter than the clock can tell: a wait of 1e-17 s would spin for ever
            await self._clock.sleep(max(wait, 0.001))
        this = _Call(now)
        for window in windows:
            window.start(this)
        return this

    def _line(self, endpoint: str) -> asyncio.Lock:
        # whoever woke first would go first, and all batches would ask for the same step at the same time while the
        # limits of the other steps lie idle; a lock that anybody waited for cannot be used in another loop
        running = asyncio.get_running_loop()
        if self._loop is not running:
            self._loop, self._lines = running, {}
        return self._lines.setdefault(endpoint, asyncio.Lock())

    def pause(self, seconds: float) -> None:
        """The provider asked for silence (429 with a wait): no call of this connection before that."""
        self._paused_until = max(self._paused_until, self._clock.now() + seconds)

    def told(self, name: str, most: int, remaining: int) -> None:
        """The provider says what the limit `name` is by now, and what is left of its window."""
        window = self._windows.get((name, ""))
        if window is not None and most > 0:
            window.told(most, remaining, self._clock.now(), self._known_fastest())

    def _learn(self, took: float) -> None:
        if len(self._times) < FIRST_CALLS:
            self._times.append(took)
        else:
            self._times[0] = min(self._times[0], took)

    def _known_fastest(self) -> float:
        # a few calls do not tell how fast one can be: until then any of them may have been late
        return self.fastest if len(self._times) == FIRST_CALLS else 0.0

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
