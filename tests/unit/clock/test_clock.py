"""The only module that touches real time, threads and chance."""

import asyncio
import threading
import time

from core.clock import RandomIds, SystemClock, ThreadHop


class FixedClock:
    """A clock that only `sleep` and the test move."""

    def __init__(self, now: float) -> None:
        """Start empty."""
        self.time = now

    def now(self) -> float:
        """Tell the virtual time."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Move it."""
        self.time += seconds


def test_the_clock_tells_the_machines_time() -> None:
    """Rows written by this process compare with those of others."""
    before = time.time()
    now = SystemClock().now()
    assert before <= now <= time.time()


def test_sleeping_lets_other_work_run() -> None:
    """A lane that waits for its rate limit must not stop the webhook server."""

    async def run() -> list[str]:
        seen: list[str] = []

        async def sleeper() -> None:
            await SystemClock().sleep(0.01)
            seen.append("slept")

        async def other() -> None:
            seen.append("other")

        await asyncio.gather(sleeper(), other())
        return seen

    assert asyncio.run(run()) == ["other", "slept"]


def test_a_hop_runs_off_the_event_loop_and_returns_the_result() -> None:
    """A database transaction must not block HTTP."""

    async def run() -> str:
        hop = ThreadHop(2)
        try:
            return await hop(lambda: threading.current_thread().name)
        finally:
            hop.close()

    assert asyncio.run(run()).startswith("accord")


def test_a_hop_raises_what_the_call_raises() -> None:
    """An error of a transaction reaches the lane that ran it."""

    async def run() -> str:
        hop = ThreadHop(1)
        try:
            await hop(lambda: 1 // 0)
        except ZeroDivisionError as error:
            return str(error)
        finally:
            hop.close()
        return "nothing raised"

    assert "zero" in asyncio.run(run())


def test_a_hop_never_runs_more_calls_at_once_than_it_has_threads() -> None:
    """The connection pool of the database is sized by it."""
    running, most, lock = 0, 0, threading.Lock()

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002)
        with lock:
            running -= 1

    async def run() -> None:
        hop = ThreadHop(3)
        await asyncio.gather(*(hop(call) for _ in range(20)))
        hop.close()

    asyncio.run(run())
    assert 1 <= most <= 3


def test_ids_are_26_small_letters_and_digits() -> None:
    """They fit the marker, whose parts are split at dots, and HubSpot's and Stripe's property values."""
    made = RandomIds(SystemClock()).new()
    assert len(made) == 32
    assert made.isalnum()
    assert made == made.lower()


def test_ids_sort_by_time() -> None:
    """New rows go to the end of an index."""
    clock = FixedClock(1_800_000_000.0)
    ids = RandomIds(clock, lambda count: b"\xff" * count)
    made = []
    for _ in range(50):
        made.append(ids.new())
        clock.time += 13.37
    assert made == sorted(made)
    assert len(set(made)) == 50


def test_ids_of_the_same_millisecond_differ_by_chance_alone() -> None:
    """No counter: one that a restored backup rewinds would hand out the same ids again."""
    ids = RandomIds(FixedClock(1_800_000_000.0))
    assert len({ids.new() for _ in range(1000)}) == 1000
