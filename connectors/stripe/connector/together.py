"""Several calls at once, as many as an account may have under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from connectors.stripe.manifest import MANIFEST

T = TypeVar("T")


class Turns:
    """Batches of one connection begin one after the other.

    Call by call in turns they would all read, and then all write, and leave one of Stripe's two limits unused.
    """

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()

    def lock(self) -> asyncio.Lock:
        """The lock of the running loop: a lock that anybody waited for cannot be used in another one."""
        running = asyncio.get_running_loop()
        if self._loop is not running:
            self._loop, self._lock = running, asyncio.Lock()
        return self._lock


async def together(calls: Sequence[Callable[[], Awaitable[T]]], turns: Turns) -> list[T | BaseException]:
    """Run calls, a few at a time, until every one has ended; failures stand among the results."""
    room, turn = asyncio.Semaphore(MANIFEST.in_flight), turns.lock()

    async def bounded(call: Callable[[], Awaitable[T]]) -> T:
        async with room:
            async with turn:
                await asyncio.sleep(0)  # calls that all begin in one turn of the loop keep a webhook waiting for each
            return await call()

    return await asyncio.gather(*(bounded(call) for call in calls), return_exceptions=True)


def first_failure_raised(results: Sequence[T | BaseException]) -> list[T]:
    """The results, if no call failed."""
    found: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found
