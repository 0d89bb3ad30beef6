"""The daemon's scheduler and a clock that somebody sets."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from core.api.rhythm import Every, keep_on


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


def test_a_clock_that_leaps_ahead_is_made_up_for_by_one_run() -> None:
    """A machine that starts in 1970 is set right: all seconds between were counted, one by one, and kept in memory."""
    counts = [0]

    async def tick() -> None:
        counts[0] += 1

    async def play() -> None:
        scheduler = AsyncIOScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None})
        every = Every(seconds=60, timezone=UTC)
        scheduler.add_job(tick, every, next_run_time=datetime(1970, 1, 1, tzinfo=UTC))
        scheduler.start()
        await asyncio.sleep(0.2)
        scheduler.shutdown(wait=False)

    started = time.monotonic()
    asyncio.run(play())
    assert (counts, time.monotonic() - started < 5) == ([1], True)


def test_a_job_is_due_every_so_many_seconds() -> None:
    """Whatever was missed."""
    every, noon = Every(seconds=60, timezone=UTC), datetime(2026, 11, 29, 12, tzinfo=UTC)
    assert every.get_next_fire_time(noon, noon + timedelta(seconds=1)) == noon + timedelta(seconds=60)
    assert every.get_next_fire_time(noon, noon + timedelta(days=900)) == noon + timedelta(days=900, seconds=60)
