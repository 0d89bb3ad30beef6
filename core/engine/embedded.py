"""The embedded engine: one process, one asyncio task per awake lane, no queue rows.

On start, and at every tick, the planner derives from the registry which lanes are awake; a wake is only a hint,
so losing one in a crash loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Lane = str
"""A lane's name is its connection's name."""
LANES_AT_ONCE = 16


class EmbeddedEngine:
    """Wakes coalesce: a lane that is woken while it runs is run once more."""

    def __init__(self) -> None:
        """Nothing runs before `serve`."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._run_lane: Callable[[Lane], Awaitable[None]] | None = None
        self._pending: set[Lane] = set()
        self._running: dict[Lane, asyncio.Task[None]] = {}
        self._seats = asyncio.Semaphore(LANES_AT_ONCE)
        self._is_draining = False

    def wake(self, lane: Lane) -> None:
        """Ask for a run of `lane`; callable from any thread."""
        loop = self._loop
        if loop is None or loop.is_closed():
            self._pending.add(lane)  # before serve: run at its start
            return
        loop.call_soon_threadsafe(self._start, lane)

    async def serve(self, run_lane: Callable[[Lane], Awaitable[None]]) -> None:
        """Run awake lanes until cancelled; then no new run starts, and those under way are waited for."""
        self._loop = asyncio.get_running_loop()
        self._run_lane = run_lane
        for lane in sorted(self._pending):
            self._start(lane)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._is_draining = True
            await self.drained()

    async def drained(self) -> None:
        """Wait for the runs under way."""
        while self._running:
            await asyncio.wait(list(self._running.values()))
            # a run that was cut off before its first step never takes itself off: this would spin for ever
            self._running = {lane: task for lane, task in self._running.items() if not task.done()}

    def stop_starting(self) -> None:
        """SIGTERM: lanes under way finish their piece of work, nothing new begins."""
        self._is_draining = True

    def abandon(self) -> None:
        """Cut off the runs that did not come to an end in time; the next start takes up what they left."""
        for task in self._running.values():
            task.cancel()

    @property
    def is_idle(self) -> bool:
        """No lane runs or is about to."""
        return not self._running and not self._pending

    @property
    def is_draining(self) -> bool:
        """Whether lanes shall come to an end soon."""
        return self._is_draining

    def _start(self, lane: Lane) -> None:
        self._pending.add(lane)
        if lane not in self._running and not self._is_draining:
            self._running[lane] = asyncio.get_running_loop().create_task(self._run(lane), name=f"lane {lane}")

    async def _run(self, lane: Lane) -> None:
        run_lane = self._run_lane
        try:
            async with self._seats:
                while lane in self._pending and not self._is_draining and run_lane is not None:
                    self._pending.discard(lane)
                    await run_lane(lane)
        finally:
            del self._running[lane]
            if lane in self._pending and not self._is_draining:
                self._start(lane)  # woken in the very moment of ending
