"""Several calls at once, as many as an account may have under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from connectors.stripe.manifest import MANIFEST

T = TypeVar("T")


async def together(calls: Sequence[Awaitable[T]]) -> list[T | BaseException]:
    """Run calls, a few at a time, until every one has ended; failures stand among the results."""
    room = asyncio.Semaphore(MANIFEST.in_flight)

    async def bounded(call: Awaitable[T]) -> T:
        async with room:
            return await call

    return await asyncio.gather(*(bounded(call) for call in calls), return_exceptions=True)


def first_failure_raised(results: Sequence[T | BaseException]) -> list[T]:
    """The results, if no call failed."""
    found: list[T] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found
