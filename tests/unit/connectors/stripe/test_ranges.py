"""A full sweep in several ranges of creation time: every customer, few calls more, whatever the times are like."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.stripe.connector import PROVIDER
from connectors.stripe.connector.ranges import MOST_WAYS, Range, parted, ways
from connectors.stripe.sandbox import StripeLookAlike, StripeSettings
from core.ports import ConnectionConfig, HttpRequest, HttpResponse, Shell
from tests.simulation.virtual import VirtualClock, VirtualLoop, run_virtual
from tests.unit.connectors.stripe.conftest import MemoryVault


async def _here(call: Any) -> Any:
    return call()


class Far:
    """A look-alike at a distance: each way takes `way` seconds."""

    def __init__(self, created: list[float], way: float) -> None:
        """Customers that were created so many seconds ago, oldest first."""
        self.loop = VirtualLoop()
        self.clock = VirtualClock(self.loop)
        self._way, self.calls, self.refused = way, 0, 0
        past = _Past(self.clock)
        self.stripe = StripeLookAlike(clock=past, rng=Random(1), settings=StripeSettings(enforce_limits=True))
        self.ids = []
        for past.ago in created:
            self.ids.append(self.stripe.edit("customer", None, {"name": "Ada"}))
        past.ago = 0.0
        shell = Shell(self.clock, _here, self._exchange, pause=self._pause)
        self.connector = PROVIDER.build(
            ConnectionConfig("stripe", "stripe"), MemoryVault(api_key="rk_live_lookalike"), shell
        )

    async def _pause(self) -> None:
        await self.clock.sleep(self._way)

    def _exchange(self, request: HttpRequest) -> HttpResponse:
        self.calls += 1
        answer = self.stripe.respond(request)
        self.refused += answer.status == 429
        return answer

    def sweep(self, *, delete: bool = False) -> tuple[list[str], float]:
        """The ids in the order they came, and how long it took."""

        async def pages() -> list[str]:
            page = await self.connector.sweep("customer", "full", None)
            found = [one.id for one in page.sightings]
            while not page.is_last:
                if delete and found[-1] in self.stripe.neutral("customer"):
                    self.stripe.delete("customer", found[-1])
                page = await self.connector.sweep("customer", "full", page.cursor)
                found += [one.id for one in page.sightings]
            return found

        started = self.clock.now()
        found = run_virtual(pages(), self.loop)
        return found, self.clock.now() - started


class _Past:
    """A clock that stands so many seconds ago."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock, self.ago = clock, 0.0

    def now(self) -> float:
        """Today, less `ago`."""
        return self._clock.now() - self.ago

    async def sleep(self, seconds: float) -> None:
        """As ever."""
        await self._clock.sleep(seconds)


def evenly(number: int, days: float = 900.0) -> list[float]:
    """Customers of several years."""
    return [days * 86_400 * (number - n) / number for n in range(number)]


def test_a_sweep_from_afar_is_as_fast_as_the_limit() -> None:
    """One page after the other would be ten calls a second, with 100 ms to the answer."""
    far = Far(evenly(6000), 0.05)
    ids, seconds = far.sweep()
    assert set(ids) == set(far.ids)
    assert far.refused == 0
    assert far.calls <= 60 * 1.15
    assert seconds <= far.calls / 25 * 1.1 + 0.5


def test_a_sweep_from_nearby_is_one_chain_of_full_pages() -> None:
    """No call more than needed, where the limit is what it takes."""
    far = Far(evenly(2000), 0.0)
    ids, _ = far.sweep()
    assert ids == far.ids[::-1]
    assert far.calls == 20


@pytest.mark.parametrize("created", [[5.0] * 1500, [*[9e6] * 700, *[1.0] * 700], evenly(900, days=0.001)])
def test_customers_of_one_second_are_all_seen(created: list[float]) -> None:
    """A migration made them all at once: no range of times parts them."""
    far = Far(created, 0.1)
    ids, _ = far.sweep()
    assert sorted(ids) == sorted(far.ids)


def test_deletes_between_the_pages_lose_nobody() -> None:
    """The customer that the next page of a range starts after is gone."""
    far = Far(evenly(1500), 0.1)
    ids, _ = far.sweep(delete=True)
    assert set(ids) == set(far.ids)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 50_000_000), min_size=1, max_size=900), st.sampled_from([0.02, 0.1, 0.4]))
def test_no_distribution_of_times_loses_or_repeats_anybody(ago: list[int], way: float) -> None:
    """Bursts, gaps, single days: the guess may be wrong, the result never."""
    far = Far(sorted(map(float, ago), reverse=True), way)
    ids, _ = far.sweep()
    assert sorted(ids) == sorted(far.ids)


def test_how_many_pages_are_asked_for_at_once_follows_the_distance() -> None:
    """As many as the limit has room for, and never a crowd."""
    assert [ways(seconds) for seconds in (0.0, 0.01, 0.02, 0.1, 0.2, 60.0)] == [1, 1, 2, 4, 6, MOST_WAYS]


def test_a_range_that_cannot_be_parted_stays_whole() -> None:
    """Nothing read yet, all of one second, or but a page or two left."""
    fresh, instant = Range(), Range(after="cus_1", created=1000)
    nearly = Range(since=900, after="cus_1", created=1000, span=50)
    assert parted([fresh, instant, nearly], 8) == [fresh, instant, nearly]
    assert parted([], 8) == []
    assert fresh.bounds == {}


def test_the_parts_of_a_range_are_all_of_it() -> None:
    """No second is in two parts, and none is in no part."""
    whole = Range(since=0, until=2000, after="cus_1", created=1000, span=10)
    newer, older = parted([whole], 2)
    assert (newer.bounds, newer.after) == ({"gte": 501, "lte": 2000}, "cus_1")
    assert (older.bounds, older.after) == ({"gte": 0, "lte": 500}, None)
    endless, oldest = parted([Range(after="cus_1", created=10_000, span=10)], 2)
    assert endless.since == 10_000 - 320 + 1
    assert oldest.bounds == {"lte": 10_000 - 320}
