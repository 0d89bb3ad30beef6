"""Rolling windows: obey a manifest's published limits instead of learning them from 429 answers."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from core.errors import LONG_SECONDS, RetryError
from core.model.remote import Limit
from core.ports import Shell

MARGIN_SECONDS = 0.001
MARGIN_SHARE = 0.0001
"""For clocks that round, and do not run at quite the same pace."""
OTHERS_SHARE = 0.05
FIRST_CALLS = 20
LAST_CALLS = 100
DEADLINE_SECONDS = 30.0
"""The longest time-out of a call: after it, whatever was broken off no longer arrives."""


class Window:
    """One limit: at most `calls` arrive at the provider within any span of `seconds`.

    When a call arrives is not known, only that it is after its start and before its answer. So a place is taken from
    the start of a call until `seconds` after its answer, and no delay on the way can bring one call too many.
    """

    def __init__(self, limit: Limit) -> None:
        """Start empty."""
        self.most = limit.calls
        self._seconds = limit.seconds + MARGIN_SECONDS + limit.seconds * MARGIN_SHARE
        self._credits_travel = limit.credits_travel
        self._under_way = 0
        self._arrived: list[float] = []
        """A heap: by when each call that has ended had arrived."""

    def wait(self, now: float, travel: float) -> float:
        """Seconds until one more call may start; 0: now; infinite: not before a call under way is answered.

        `travel` is how long any call is under way at least, there and back, in seconds.
        """
        held = self._seconds - (travel if self._credits_travel else 0.0)
        while self._arrived and self._arrived[0] + held <= now:
            heapq.heappop(self._arrived)
        beyond = self._under_way + len(self._arrived) - self.most
        if beyond < 0:
            return 0.0
        if beyond >= len(self._arrived):
            return math.inf
        return heapq.nsmallest(beyond + 1, self._arrived)[beyond] + held - now

    def start(self) -> None:
        """A call starts."""
        self._under_way += 1

    def end(self, arrived_by: float) -> None:
        """A call ended, and had arrived by then or never will."""
        self._under_way -= 1
        heapq.heappush(self._arrived, arrived_by)

    def set_back(self, seconds: float) -> None:
        """The clock was set back: what arrived did so as long ago as before."""
        self._arrived = [at - seconds for at in self._arrived]

    def told(self, most: int, remaining: int, now: float, travel: float) -> None:
        """Take over what the provider says of this window: its size, and what other programs have used of it."""
        self.most = most
        self.wait(now, travel)
        others = most - remaining - self._under_way - len(self._arrived)
        # a few more or less are calls that were under way when the provider counted
        if others > most * OTHERS_SHARE:
            for _ in range(others):
                heapq.heappush(self._arrived, now)


class RateLimiter:
    """Every window of one connection, and pauses that a provider asked for."""

    def __init__(self, limits: Sequence[Limit], shell: Shell) -> None:
        """Windows of `each` limits are made on first use, one per endpoint."""
        self._limits = tuple(limits)
        self._clock = shell.clock
        self._count = shell.count
        self._windows: dict[tuple[str, str], Window] = {}
        self._paused_until = 0.0
        self._silent_until = 0.0
        self._why = ""
        self._seen_at = -math.inf
        self._fastest = math.inf
        self._answered = 0
        self._last: deque[float] = deque(maxlen=LAST_CALLS)
        self._travel = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: dict[str, asyncio.Lock] = {}
        self._ended = asyncio.Event()

    @property
    def fastest(self) -> float:
        """The shortest time that a call took, in seconds; 0 before the first one."""
        return self._fastest if self._answered else 0.0

    @asynccontextmanager
    async def call(self, endpoint: str) -> AsyncIterator[None]:
        """Wait until every window that `endpoint` draws on has room; the call is what happens inside.

        Calls of one endpoint start in the order in which they came. What raises inside had no answer. RetryError: the
        provider has just asked for a silence that is too long to be slept through.
        """
        windows = self._drawn_on(endpoint)
        async with self._line(endpoint):
            started = await self._started(windows)
        self._count(endpoint)
        # who is cancelled has closed its socket, and what is on the way may still arrive
        arrived_by = started + DEADLINE_SECONDS
        try:
            yield
            arrived_by = self._now()
            self._learn(arrived_by - started)
        except Exception:
            # refused, broken off, or waited for until its time-out
            arrived_by = self._now()
            raise
        finally:
            latest = self._now() + DEADLINE_SECONDS
            for window in windows:
                window.end(min(arrived_by, latest))
            self._ended.set()

    async def _started(self, windows: Sequence[Window]) -> float:
        while True:
            now = self._now()
            if now < self._paused_until < self._silent_until:
                raise RetryError(self._why, retry_after=self._silent_until - now)
            wait = max([self._paused_until - now, *(window.wait(now, self._travel) for window in windows)])
            if wait <= 0:
                break
            if math.isinf(wait):
                self._ended.clear()
                await self._ended.wait()
            else:
                # never shorter than the clock can tell: a wait of 1e-17 s would spin for ever
                await self._clock.sleep(max(wait, 0.001))
        for window in windows:
            window.start()
        return now

    def _line(self, endpoint: str) -> asyncio.Lock:
        # whoever woke first would go first, and all batches would ask for the same step at the same time while the
        # limits of the other steps lie idle; a lock that anybody waited for cannot be used in another loop
        running = asyncio.get_running_loop()
        if self._loop is not running:
            self._loop, self._lines, self._ended = running, {}, asyncio.Event()
        return self._lines.setdefault(endpoint, asyncio.Lock())

    def pause(self, seconds: float, why: str = "") -> None:
        """The provider asked for silence (429 with a wait): no call of this connection before that.

        A long one is told to whoever calls within a minute, and is the connection's to keep: a person may end it.
        """
        now = self._now()
        if now >= self._paused_until:
            self._silent_until = 0.0
        if now + seconds > self._silent_until:
            self._silent_until, self._why = now + seconds, why
        self._paused_until = max(self._paused_until, now + min(seconds, LONG_SECONDS))

    def told(self, name: str, most: int, remaining: int) -> None:
        """The provider says what the limit `name` is by now, and what is left of its window."""
        window = self._windows.get((name, ""))
        if window is not None and most > 0:
            window.told(most, remaining, self._now(), self._travel)

    def _now(self) -> float:
        """The clock's time. Where it was set back, every wait would last as much longer: they go back with it."""
        now = self._clock.now()
        back = self._seen_at - now
        if 0 < back < math.inf:
            self._paused_until -= back
            self._silent_until -= back
            for window in self._windows.values():
                window.set_back(back)
        self._seen_at = now
        return now

    def _learn(self, took: float) -> None:
        if took < 0:
            return  # the clock was set back meanwhile
        self._answered += 1
        self._fastest = min(self._fastest, took)
        self._last.append(took)
        # by as much as calls differ the next one may be faster than any before
        spread = max(self._last) - min(self._last)
        self._travel = max(self._fastest - spread, 0.0) if self._answered >= FIRST_CALLS else 0.0

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
