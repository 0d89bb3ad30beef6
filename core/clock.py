"""Real time, real threads, real chance: the only module of Accord that touches them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from core.ports import Clock

T = TypeVar("T")

THREADS = 16
"""Blocking calls at the same time: database transactions and the one synchronous SDK."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop."""
        await asyncio.sleep(seconds)


class ThreadHop:
    """Runs blocking calls on a bounded pool of threads, so that the event loop stays free."""

    def __init__(self, threads: int = THREADS) -> None:
        """Start no thread before the first call."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="accord")

    async def __call__(self, call: Callable[[], T]) -> T:
        """Run `call` on a thread and return what it returns."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Wait for the calls under way and let the threads go."""
        self._pool.shutdown()


class RandomIds:
    """Ids of 48 bits of time (milliseconds) and 80 random bits: they sort by time and never repeat."""

    def __init__(self, clock: Clock, token_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        """`token_bytes` gives as many random bytes as it is asked for."""
        self._clock = clock
        self._token_bytes = token_bytes

    def new(self) -> str:
        """Return 32 hexadecimal digits."""
        return f"{int(self._clock.now() * 1000):012x}{self._token_bytes(10).hex()}"
