"""What a provider allows per month lasts a month: counted across processes, and sweeps slow down in time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from core.errors import ConfigError
from core.ports import HttpRequest, HttpResponse
from core.store import calls
from core.sync.explain import status
from core.sync.meter import allowances_of
from core.sync.pruning import prune
from tests.support.world import PROVIDERS, World, config_of

pytestmark = pytest.mark.anyio

DAY = 86_400.0


def metered(reads: str = "10000", name: str = "stripe") -> World:
    """One account with so many reads a month."""
    config = config_of([name])
    one = config.connections[name]
    settings = {**one.settings, "monthly_reads": reads}
    connections = {name: dataclasses.replace(one, settings=settings)}
    return World(names=[name], config=dataclasses.replace(config, connections=connections))


def reads_counted(world: World) -> list[float]:
    """When each read arrived at Stripe."""
    times: list[float] = []
    answer: Callable[[HttpRequest], HttpResponse] = world.exchanges["stripe"]

    def count(request: HttpRequest) -> HttpResponse:
        if request.method == "GET":
            times.append(world.clock.now())
        return answer(request)

    world.exchanges["stripe"] = count
    return times


async def test_sweeping_for_six_weeks_never_uses_up_a_month() -> None:
    """The daemon would look 2,160 times a month, where 1,000 reads are allowed; it restarts now and then."""
    world = metered("1000")
    for number in range(250):
        world.lookalikes["stripe"].edit("customer", None, {"name": f"Ada {number}"})
    times = reads_counted(world)
    started = world.clock.now()
    day = 0
    while world.clock.now() < started + 40 * DAY:
        await world.lanes.run("stripe")
        world.clock.time += 1200.0
        if world.clock.now() - started > (day + 1) * 7 * DAY:
            day += 1
            world.start()
    window = max(sum(at - 30 * DAY < other <= at for other in times) for at in times[:: max(1, len(times) // 50)])
    assert window <= 1000
    assert len(times) > 900
    assert world.lookalikes["stripe"].allotted_reads <= 1000  # type: ignore[attr-defined]
    (shown,) = world.db.read_now(lambda tx: status(tx, world.hub))["connections"]
    (allowance,) = shown["allowances"]
    assert (allowance["name"], allowance["calls"]) == ("reads per 30 days", 1000)
    assert 500 < allowance["used"] <= 1000
    assert allowance["changes_every"] > 60
    assert set(await prune(world.hub)) >= {"calls"}


async def test_sweeping_a_company_for_six_weeks_never_meets_the_end_of_its_months_reads() -> None:
    """QuickBooks refuses all reads then, until the month is over: nobody would hear of an edit for days."""
    world = metered("1000", "quickbooks")
    company = world.lookalikes["quickbooks"]
    company.settings = dataclasses.replace(company.settings, enforce_limits=True, monthly_reads=1000)
    for number in range(50):
        company.edit("customer", None, {"name": f"Ada {number}"})
    refused: list[int] = []
    answer = world.exchanges["quickbooks"]

    def watch(request: HttpRequest) -> HttpResponse:
        answered = answer(request)
        if answered.status == 429:
            refused.append(answered.status)
        return answered

    world.exchanges["quickbooks"] = watch
    started, used = world.clock.now(), 0
    while world.clock.now() < started + 42 * DAY:
        await world.lanes.run("quickbooks")
        used = max(used, company.limits.reads_this_month)  # type: ignore[attr-defined]
        world.clock.time += 1200.0
    assert refused == []
    assert 500 < used <= 1000


async def test_webhooks_reading_a_lot_leaves_sweeps_a_little() -> None:
    """A sweep is what closes the gap of a lost webhook: it may become rare, never end."""
    world = metered()
    await world.settle()
    now = world.clock.now()
    reads = {("reads per 30 days", "work"): 50_000}
    world.db.run_now(lambda tx: calls.add(tx, "stripe", reads, now))
    world.clock.time += 301.0
    await world.lanes.run("stripe")
    pace = world.hub.connections["stripe"].meter.pace(world.timing.pace)
    assert 2500 < pace.changes_every < 4000


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", ""])
def test_a_number_of_reads_that_is_none_is_refused(text: str) -> None:
    """With the key it stands under."""
    one = config_of(["stripe"]).connections["stripe"]
    config = dataclasses.replace(one, settings={"monthly_reads": text})
    with pytest.raises(ConfigError) as raised:
        allowances_of(PROVIDERS["stripe"].manifest.allowances, config)
    assert raised.value.key == "connections.stripe.monthly_reads"
