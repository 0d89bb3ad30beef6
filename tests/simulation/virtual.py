"""Virtual time: an asyncio loop that never waits and never looks at the world outside.

Whenever nothing is runnable, the clock jumps to the next timer. Nothing runnable and no timer is a deadlock.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

START = 1_795_000_000.0


class DeadlockError(Exception):
    """Every task waits for something that nobody will do."""


class _VirtualSelector(selectors.SelectSelector):
    """Selects nothing; waiting moves virtual time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let the time-out pass at once."""
        if timeout is None:
            raise DeadlockError("nothing is scheduled and nothing can run")
        self.now += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time is virtual, in one thread, without sockets or signals."""

    def __init__(self) -> None:
        """Start at zero."""
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._virtual.now

    def _write_to_self(self) -> None:
        """A wake-up from another thread: there is none, so no byte has to travel through the self-pipe."""


class VirtualClock:
    """core.ports.Clock on a virtual loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        """Begin at a fixed moment."""
        self._loop = loop

    def now(self) -> float:
        """Seconds since 1970."""
        return START + self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(max(seconds, 0.0))


def run_virtual(main: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    """Run `main` on the loop to its end, cancel what is left, and close the loop."""
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()
