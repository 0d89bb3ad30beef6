"""The limiter against a provider that counts arrivals, over a wire whose speed varies."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final, Literal, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import SystemClock
from core.errors import RetryError
from core.http.limits import RateLimiter
from core.model.remote import Limit
from core.ports import Shell
from tests.simulation.virtual import VirtualClock, VirtualLoop, run_virtual
from tests.support.world import here


class Counter:
    """A provider's rolling windows, by arrival."""

    def __init__(self, *limits: tuple[int, float]) -> None:
        """(calls, seconds) of each."""
        self._limits = limits
        self._arrivals: deque[float] = deque()
        self.refused = 0

    def arrive(self, now: float) -> None:
        """One call more; never executed beyond a limit."""
        for calls, seconds in self._limits:
            if sum(at > now - seconds for at in self._arrivals) >= calls:
                self.refused += 1
        self._arrivals.append(now)


def backfill(limits: list[Limit], number: int, wire: list[float], in_flight: int = 20) -> tuple[float, Counter]:
    """Send `number` calls; `wire`: how long a call is under way before it arrives, and its answer as long again."""
    loop = VirtualLoop()
    clock = VirtualClock(loop)
    limiter = RateLimiter(limits, Shell(clock, here))
    counter = Counter(*((one.calls, one.seconds) for one in limits))
    ways = iter(wire * (number // len(wire) + 1))

    async def call() -> None:
        async with limiter.call("list"):
            way = next(ways)
            await clock.sleep(way)
            counter.arrive(clock.now())
            await clock.sleep(way)

    async def every() -> float:
        started = clock.now()
        room = asyncio.Semaphore(in_flight)

        async def one() -> None:
            async with room:
                await call()

        await asyncio.gather(*(one() for _ in range(number)))
        return clock.now() - started

    return run_virtual(every(), loop), counter


@pytest.mark.parametrize("in_flight", [20, 120])
@pytest.mark.parametrize("way", [0.0, 0.005, 0.05, 0.2])
def test_a_steady_wire_reaches_the_published_limit_and_not_beyond(way: float, in_flight: int) -> None:
    """What slack there is pays for nothing where every call takes the same time, however many wait."""
    limits = [Limit(name="endpoint", calls=25, seconds=1.0, credits_travel=True)]
    seconds, counter = backfill(limits, 500, [way], in_flight)
    assert counter.refused == 0
    assert seconds <= (500 / 25) * 1.02 + 2 * way


@settings(max_examples=15)
@given(st.lists(st.floats(0.005, 0.05), min_size=5, max_size=30))
def test_what_calls_differ_by_is_not_credited_as_travel(wire: list[float]) -> None:
    """The provider counts arrivals: late ones bunch up with those that start after them."""
    limits = [
        Limit(name="second", calls=10, seconds=1.0, credits_travel=True),
        Limit(name="minute", calls=100, seconds=60.0),
    ]
    # how fast a call can be shows among the first ones
    _, counter = backfill(limits, 150, [min(wire), *wire])
    assert counter.refused == 0


class Fate(NamedTuple):
    """What becomes of one call: seconds until it arrives and until its answer, and which end it takes instead."""

    there: float
    back: float
    end: Literal["answered", "broken off", "cancelled"]


FATES: Final = st.lists(
    st.builds(
        Fate,
        there=st.one_of(st.just(0.0), st.floats(0.0, 0.3), st.floats(0.0, 14.0)),
        back=st.one_of(st.just(0.0), st.floats(0.0, 0.3), st.floats(0.0, 14.0)),
        end=st.sampled_from(("answered", "answered", "answered", "broken off", "cancelled")),
    ),
    min_size=1,
    max_size=40,
)


def refusals(limits: list[Limit], fates: list[Fate], number: int) -> int:
    """How many of `number` calls, twenty at once, come to a provider that has had its fill; `fates` go round."""
    loop = VirtualLoop()
    clock = VirtualClock(loop)
    limiter = RateLimiter(limits, Shell(clock, here))
    counter = Counter(*((one.calls, one.seconds) for one in limits))
    room = asyncio.Semaphore(20)
    travelling: list[asyncio.Task[None]] = []

    async def travel(seconds: float) -> None:
        await clock.sleep(seconds)
        counter.arrive(clock.now())

    async def call(fate: Fate) -> None:
        async with limiter.call("list"):
            travelling.append(asyncio.ensure_future(travel(fate.there)))
            if fate.end == "cancelled":
                raise asyncio.CancelledError
            await travelling[-1]
            await clock.sleep(fate.back)
            if fate.end == "broken off":
                raise OSError

    async def one(fate: Fate) -> None:
        async with room:
            with suppress(OSError, asyncio.CancelledError):
                await call(fate)

    async def every() -> int:
        await asyncio.gather(*(one(fates[at % len(fates)]) for at in range(number)))
        await asyncio.gather(*travelling)
        return counter.refused

    return run_virtual(every(), loop)


@settings(max_examples=60)
@given(FATES)
def test_no_delay_on_the_way_brings_one_call_too_many(fates: list[Fate]) -> None:
    """On a busy machine each of eleven calls a second was an arrival too many, and a minute's silence of the lane."""
    limits = [Limit(name="second", calls=10, seconds=1.0), Limit(name="minute", calls=50, seconds=60.0)]
    assert refusals(limits, fates, 120) == 0


def test_an_answer_frees_a_place_for_who_waits_while_every_place_is_under_way() -> None:
    """When that will be nobody can tell: it is not guessed, and not slept through."""
    seconds, counter = backfill([Limit(name="second", calls=2, seconds=1.0)], 4, [3.0])
    assert counter.refused == 0
    assert seconds == pytest.approx(6.0 + 1.0 + 6.0, abs=0.01)


@pytest.mark.parametrize("endpoint", ["list", "another one"])
def test_who_waits_for_a_limit_goes_in_the_order_of_coming_but_past_those_who_wait_for_another(endpoint: str) -> None:
    """Else the steps of all batches would mix, and each step's own limit lie idle while all take another one."""
    loop = VirtualLoop()
    clock = VirtualClock(loop)
    limiter = RateLimiter([Limit(name="endpoint", calls=5, seconds=1.0, each=True)], Shell(clock, here))
    begun: list[int] = []

    async def one(number: int, name: str) -> None:
        async with limiter.call(name):
            begun.append(number)
            await clock.sleep(0.1)

    async def play() -> None:
        waiting = [asyncio.ensure_future(one(number, "list")) for number in range(40)]
        await clock.sleep(3.3)
        await asyncio.gather(*waiting, one(40, endpoint))

    run_virtual(play(), loop)
    assert [number for number in begun if number < 40] == list(range(40))
    assert (begun[-1] == 40) == (endpoint == "list")


def test_one_limiter_serves_one_loop_after_the_other() -> None:
    """A command runs several, and in each of them callers wait for each other."""
    limiter = RateLimiter([Limit(name="endpoint", calls=1, seconds=0.001)], Shell(SystemClock(), here))
    begun = []

    async def one(number: int) -> None:
        async with limiter.call("list"):
            begun.append(number)

    async def play() -> None:
        await asyncio.gather(*(one(number) for number in range(3)))

    for _ in range(2):
        asyncio.run(play())
    assert begun == [0, 1, 2] * 2


def test_what_the_provider_says_of_its_window_counts() -> None:
    """Another program uses the same token, and the account's tier is smaller than the configuration says."""
    loop = VirtualLoop()
    clock = VirtualClock(loop)
    limiter = RateLimiter([Limit(name="ten seconds", calls=190, seconds=10.0)], Shell(clock, here))

    async def calls(number: int) -> float:
        started = clock.now()
        for _ in range(number):
            async with limiter.call("objects"):
                pass
        return clock.now() - started

    async def play() -> list[float]:
        found = [await calls(1)]
        limiter.told("ten seconds", 100, 39)
        found.append(await calls(39))
        found.append(await calls(1))
        limiter.told("another one", 1, 0)
        limiter.told("ten seconds", 0, 0)
        return [*found, await calls(50)]

    first, rest, waited, after = run_virtual(play(), loop)
    assert (first, rest) == (0.0, 0.0)
    assert 10.0 <= waited <= 10.6
    assert after == 0.0


def test_a_pause_silences_every_endpoint() -> None:
    """The whole connection was refused."""
    loop = VirtualLoop()
    clock = VirtualClock(loop)
    limiter = RateLimiter([], Shell(clock, here))

    async def play() -> float:
        limiter.pause(7.0)
        limiter.pause(3.0)
        started = clock.now()
        async with limiter.call("anything"):
            return clock.now() - started

    assert run_virtual(play(), loop) == pytest.approx(7.0)


def test_a_long_silence_is_told_to_whoever_calls_and_not_slept_through() -> None:
    """Batches beside the one that was refused lay asleep for the rest of the day, and their lane told nobody why."""
    loop = VirtualLoop()
    clock = VirtualClock(loop)
    limiter = RateLimiter([], Shell(clock, here))

    async def waited() -> float:
        started = clock.now()
        async with limiter.call("anything"):
            return clock.now() - started

    async def play() -> tuple[float, float, float]:
        limiter.pause(7200.0, "the day is used up")
        await clock.sleep(30.0)
        limiter.pause(10.0, "the second is used up")
        with pytest.raises(RetryError, match="the day is used up") as raised:
            await waited()
        await clock.sleep(60.0)
        free = await waited()  # whoever asks again is let through: how long to wait is kept with the connection
        limiter.pause(10.0)
        return raised.value.retry_after or 0.0, free, await waited()

    assert run_virtual(play(), loop) == pytest.approx((7170.0, 0.0, 10.0))


class SetClock(VirtualClock):
    """A clock that somebody sets."""

    back = 0.0

    def now(self) -> float:
        """What it shows."""
        return super().now() - self.back


def test_a_clock_that_is_set_back_makes_no_wait_longer() -> None:
    """A machine that woke with a wrong clock, and was corrected, called nobody for as long as it had been wrong."""
    loop = VirtualLoop()
    clock = SetClock(loop)
    limiter = RateLimiter([Limit(name="ten seconds", calls=1, seconds=10.0)], Shell(clock, here))

    async def waited() -> float:
        started = loop.time()
        async with limiter.call("objects"):
            return loop.time() - started

    async def cut_off() -> None:
        async with limiter.call("objects"):
            clock.back += 3600.0
            await clock.sleep(99.0)

    async def play() -> list[float]:
        found = [await waited()]
        clock.back += 3600.0
        found.append(await waited())
        limiter.pause(30.0)
        clock.back += 3600.0
        found.append(await waited())
        with suppress(TimeoutError):
            await asyncio.wait_for(cut_off(), 20.0)
        return [*found, await waited()]

    first, after, paused, last = run_virtual(play(), loop)
    assert first == 0.0
    assert after == pytest.approx(10.0, abs=0.1)
    assert paused == pytest.approx(30.0, abs=0.1)
    assert last <= 45.0
