"""Scheduled jobs go on when the clock is set: a scheduler waits for times of day, and makes up for those it missed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

LOOK_SECONDS: Final = 1.0
STEP_SECONDS: Final = 0.5
"""Clocks are drawn along by less than this all the time."""


class Every(IntervalTrigger):  # type: ignore[misc]  # it has no types
    """At every so many seconds, and not at those that a clock leapt over."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The next one that is still to come."""
        found: datetime = super().get_next_fire_time(previous_fire_time, now)
        # the scheduler would ask for each of the seconds of years, one by one, while nothing else runs
        return found if found > now else now + timedelta(seconds=self.interval_length)


async def keep_on(
    scheduler: AsyncIOScheduler, clock: Callable[[], float], steady: Callable[[], float], every: float = LOOK_SECONDS
) -> None:
    """Run every job at once whenever `clock` was set back, measured by `steady`, which nobody sets; until cancelled."""
    now, passed = clock(), steady()
    while True:
        await asyncio.sleep(every)
        before, now = now, clock()
        since, passed = passed, steady()
        if (passed - since) - (now - before) > STEP_SECONDS:
            for job in scheduler.get_jobs():
                job.modify(next_run_time=datetime.now(UTC))
