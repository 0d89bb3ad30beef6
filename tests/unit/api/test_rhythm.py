"""The daemon's scheduler and a clock that somebody sets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from core.api.rhythm import keep_on


def test_jobs_go_on_when_the_clock_is_set_back() -> None:
    """No lane was ticked, and no sweep asked for, until the clock was again where it had been: an hour, or years."""
    times: list[float] = []
    wall = [1000.0]

    async def tick() -> None:
        times.append(wall[0])

    async def play() -> list[int]:
        scheduler = AsyncIOScheduler(timezone=UTC)
        # as it stands when the clock was set back by an hour since the last run
        scheduler.add_job(tick, "interval", seconds=3600, next_run_time=datetime.now(UTC) + timedelta(hours=1))
        scheduler.start()
        watching = asyncio.create_task(keep_on(scheduler, lambda: wall[0], lambda: 1000.0, every=0.01))
        await asyncio.sleep(0.1)
        before = len(times)
        wall[0] -= 3600.0
        for _ in range(200):
            await asyncio.sleep(0.01)
            if times:
                break
        await asyncio.sleep(0.1)
        watching.cancel()
        scheduler.shutdown(wait=False)
        return [before, len(times)]

    assert asyncio.run(play()) == [0, 1]
