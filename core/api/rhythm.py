"""Scheduled jobs go on when the clock is set back: a scheduler waits for a time of day, which then comes late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from apscheduler.schedulers.asyncio import AsyncIOScheduler

LOOK_SECONDS: Final = 1.0
STEP_SECONDS: Final = 0.5
"""Clocks are drawn along by less than this all the time."""


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
