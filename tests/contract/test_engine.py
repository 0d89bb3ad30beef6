"""What an engine promises: wakes coalesce and are never lost, one runner per lane, an orderly end."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from core.engine.embedded import LANES_AT_ONCE, EmbeddedEngine

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def serving(engine: EmbeddedEngine, run_lane: Callable[[str], Awaitable[None]]) -> AsyncIterator[None]:
    """Serve for as long as the test wants."""
    task = asyncio.create_task(engine.serve(run_lane))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def turns(number: int = 20) -> None:
    """Let the loop turn."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_wakes_of_a_waiting_lane_coalesce() -> None:
    """A thousand deliveries need one run."""
    engine, runs = EmbeddedEngine(), Counter[str]()

    async def run(lane: str) -> None:
        runs[lane] += 1

    async with serving(engine, run):
        for _ in range(1000):
            engine.wake("stripe")
        await turns(1100)
    assert 1 <= runs["stripe"] <= 2


async def test_a_wake_during_a_run_is_not_lost() -> None:
    """What it announced may have come after the run looked."""
    engine, runs, gate = EmbeddedEngine(), Counter[str](), asyncio.Event()

    async def run(lane: str) -> None:
        runs[lane] += 1
        await gate.wait()

    async with serving(engine, run):
        engine.wake("stripe")
        await turns()
        engine.wake("stripe")
        engine.wake("stripe")
        await turns()
        assert runs["stripe"] == 1
        gate.set()
        await turns()
    assert runs["stripe"] == 2


async def test_a_lane_has_one_runner() -> None:
    """Two runners would write twice."""
    engine, now, most = EmbeddedEngine(), Counter[str](), Counter[str]()

    async def run(lane: str) -> None:
        now[lane] += 1
        most[lane] = max(most[lane], now[lane])
        await turns(3)
        now[lane] -= 1

    async with serving(engine, run):
        for _ in range(50):
            for lane in ("a", "b"):
                engine.wake(lane)
            await turns(1)
        await turns(50)
    assert most == {"a": 1, "b": 1}


async def test_lanes_run_beside_each_other_up_to_a_bound() -> None:
    """A slow provider holds up nobody else; a hundred of them do not run all at once."""
    engine, now, most = EmbeddedEngine(), Counter[str](), [0]
    gate = asyncio.Event()

    async def run(lane: str) -> None:
        now[lane] += 1
        most[0] = max(most[0], sum(now.values()))
        await gate.wait()
        now[lane] -= 1

    async with serving(engine, run):
        for number in range(LANES_AT_ONCE * 3):
            engine.wake(f"lane{number}")
        await turns()
        assert sum(now.values()) == LANES_AT_ONCE
        gate.set()
        await turns(100)
    assert most[0] == LANES_AT_ONCE


async def test_wakes_before_serving_are_kept() -> None:
    """A webhook may come while the daemon starts."""
    engine, runs = EmbeddedEngine(), Counter[str]()

    async def run(lane: str) -> None:
        runs[lane] += 1

    engine.wake("stripe")
    async with serving(engine, run):
        await turns()
    assert runs["stripe"] == 1


async def test_a_wake_may_come_from_any_thread() -> None:
    """Database threads wake lanes once their transaction is durable."""
    engine, ran = EmbeddedEngine(), asyncio.Event()

    async def run(_lane: str) -> None:
        ran.set()

    async with serving(engine, run):
        thread = threading.Thread(target=engine.wake, args=("stripe",))
        thread.start()
        await asyncio.wait_for(ran.wait(), 5)
        thread.join()


async def test_a_drain_waits_for_what_runs_and_starts_nothing_new() -> None:
    """SIGTERM: a write that is under way gets its answer committed."""
    engine, gate = EmbeddedEngine(), asyncio.Event()
    begun: list[str] = []
    ended: list[str] = []

    async def run(lane: str) -> None:
        begun.append(lane)
        await gate.wait()
        ended.append(lane)

    task = asyncio.create_task(engine.serve(run))
    await asyncio.sleep(0)
    engine.wake("stripe")
    await turns()
    engine.stop_starting()
    engine.wake("hubspot")
    await turns()
    task.cancel()
    await turns()
    assert not task.done()
    assert engine.is_draining
    gate.set()
    await asyncio.gather(task, return_exceptions=True)
    assert begun == ended == ["stripe"]
