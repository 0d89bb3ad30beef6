"""Batches of one lane under way beside each other. No mapping and no object is in two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import NamedTuple

from core.errors import AccordError


class _Batch(NamedTuple):
    subjects: frozenset[str]
    size: int


class Flights:
    """What one lane has begun and not ended. It dies with the process: whatever it was doing is still dirty."""

    def __init__(self) -> None:
        """Nothing is under way."""
        self._under_way: dict[asyncio.Task[AccordError | None], _Batch] = {}

    def __len__(self) -> int:
        """How many batches are under way, each as often as it counts."""
        return sum(one.size for one in self._under_way.values())

    @property
    def subjects(self) -> set[str]:
        """What they work on."""
        return {one for some in self._under_way.values() for one in some.subjects}

    def start(
        self, batch: Coroutine[None, None, AccordError | None], subjects: Collection[str], *, size: int = 1
    ) -> None:
        """Begin one that counts as `size`. It ends with what is the matter with the connection as a whole, or None."""
        self._under_way[asyncio.get_running_loop().create_task(batch)] = _Batch(frozenset(subjects), size)

    async def landed(self, *, every: bool = False) -> list[AccordError]:
        """Wait for the next one to end, or for all of them; returns their troubles, in the order they were begun."""
        if not self._under_way:
            return []
        when = asyncio.ALL_COMPLETED if every else asyncio.FIRST_COMPLETED
        await asyncio.wait(self._under_way, return_when=when)
        # in the order of the dictionary: that of the set which `wait` returns changes from run to run
        ended = [task for task in self._under_way if task.done()]
        troubles = [task.result() for task in ended]
        for task in ended:
            del self._under_way[task]
        return [one for one in troubles if one is not None]

    async def cut_off(self) -> bool:
        """The lane is cut off in the middle: so are they. Whether there were any."""
        cut, self._under_way = list(self._under_way), {}
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)
        return bool(cut)
