"""What a provider allows per month lasts a month: counted across processes, and sweeps slow down in time."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from core.cli.quiet import run_until_quiet
from core.errors import ConfigError
from core.ports import HttpRequest, HttpResponse
from core.store import calls, connections, work
from core.store.connections import Cursor
from core.sync import registry
from core.sync.explain import status
from core.sync.meter import allowances_of
from core.sync.oneoffs import ask
from core.sync.pruning import prune
from tests.support.acting import everybody
from tests.support.lookalikes import hubspot_of, quickbooks_of, stripe_of
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


def refusals_counted(world: World, name: str) -> list[float]:
    """When each call was refused that was one too many."""
    times: list[float] = []
    answer: Callable[[HttpRequest], HttpResponse] = world.exchanges[name]

    def watch(request: HttpRequest) -> HttpResponse:
        answered = answer(request)
        if answered.status == 429:
            times.append(world.clock.now())
        return answered

    world.exchanges[name] = watch
    return times


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
    assert stripe_of(world).allotted_reads <= 1000
    (shown,) = world.db.read_now(lambda tx: status(tx, world.hub))["connections"]
    (allowance,) = shown["allowances"]
    assert (allowance["name"], allowance["calls"]) == ("reads per 30 days", 1000)
    assert 500 < allowance["used"] <= 1000
    assert allowance["changes_every"] > 60
    assert set(await prune(world.hub)) >= {"calls"}


async def test_sweeping_a_company_for_six_weeks_never_meets_the_end_of_its_months_reads() -> None:
    """QuickBooks refuses all reads then, until the month is over: nobody would hear of an edit for days."""
    world = metered("1000", "quickbooks")
    company = quickbooks_of(world)
    company.settings = dataclasses.replace(company.settings, enforce_limits=True, monthly_reads=1000)
    for number in range(50):
        company.edit("customer", None, {"name": f"Ada {number}"})
    refused = refusals_counted(world, "quickbooks")
    started, used = world.clock.now(), 0
    while world.clock.now() < started + 42 * DAY:
        await world.lanes.run("quickbooks")
        used = max(used, company.limits.reads_this_month)
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


async def test_a_used_up_day_at_hubspot_is_waited_out_with_a_reason_and_not_asked_about_all_day() -> None:
    """Other apps use it, too. It was asked about every quarter of an hour, and nobody was told when it ends."""
    world = World(names=["hubspot"], config=config_of(["hubspot"]))
    account = world.lookalikes["hubspot"]
    await world.activate_all()
    for number in range(190):
        person = {"name": f"Ada Number{number}", "email": f"ada{number}@example.test", "customer_type": "individual"}
        change = partial(
            registry.create, hub=world.hub, external_id=f"ada-{number}", values=person, actor="ann", trace="t"
        )
        world.db.run_now(change)
    account.settings = dataclasses.replace(account.settings, enforce_limits=True, daily=0)
    refused = refusals_counted(world, "hubspot")
    started = world.clock.now()
    await world.lanes.run("hubspot")
    assert world.clock.now() - started < 60.0
    (shown,) = world.db.read_now(lambda tx: status(tx, world.hub))["connections"]
    reset = shown["paused_until"]
    account.settings = dataclasses.replace(account.settings, daily=1000)
    for step in range(1, 200):
        world.clock.time = started + step * 600.0
        await world.lanes.run("hubspot")
    assert datetime.fromtimestamp(reset, ZoneInfo("Europe/Rome")).hour == 0
    assert 0 < reset - started < DAY + 120
    assert "used up" in shown["error"]
    assert "midnight in Europe/Rome" in shown["error"]
    assert len(refused) == 1
    assert len(world.neutral("hubspot")) == 190


async def test_a_used_up_month_at_quickbooks_is_told_as_one_and_keeps_no_write_back() -> None:
    """Other apps of the workspace read, too. "ThrottleExceeded" told nobody that no minute would end it."""
    world = World(names=["quickbooks"], config=config_of(["quickbooks"]))
    company = world.lookalikes["quickbooks"]
    await world.activate_all()
    company.settings = dataclasses.replace(company.settings, enforce_limits=True, monthly_reads=0)
    for minute in range(10):
        world.clock.time += 61.0
        await world.lanes.run("quickbooks")
        (shown,) = world.db.read_now(lambda tx: status(tx, world.hub))["connections"]
        assert ("metered reads" in shown["error"]) is (minute >= 5), minute
    ada = {"name": "Ada Lovelace"}
    world.db.run_now(partial(registry.create, hub=world.hub, external_id="ada", values=ada, actor="ann", trace="t"))
    world.clock.time += 61.0
    await world.lanes.run("quickbooks")
    assert [one["name"] for one in world.neutral("quickbooks").values()] == ["Ada Lovelace"]
    company.settings = dataclasses.replace(company.settings, monthly_reads=500_000)
    world.clock.time += 900.0
    await world.next_sweep()
    (shown,) = world.db.read_now(lambda tx: status(tx, world.hub))["connections"]
    assert shown["error"] == ""


async def test_a_used_up_month_at_quickbooks_is_not_asked_about_every_minute_of_it() -> None:
    """Fourteen hundred refused reads a day told nothing new, for weeks."""
    world = World(names=["quickbooks"], config=config_of(["quickbooks"]))
    company = world.lookalikes["quickbooks"]
    await world.activate_all()
    company.settings = dataclasses.replace(company.settings, enforce_limits=True, monthly_reads=0)
    refused = refusals_counted(world, "quickbooks")
    for _ in range(24 * 60):
        world.clock.time += 61.0
        await world.lanes.run("quickbooks")
    assert len(refused) <= 5 + 24 * 4 + 1


async def near_the_end_of_the_day(share: float) -> tuple[World, list[str]]:
    """Other apps have used up HubSpot's day but for this share; what is asked of it from now on."""
    world = World(names=["hubspot"], config=config_of(["hubspot"]))
    account, asked = hubspot_of(world), list[str]()
    ada = {"name": "Ada Lovelace", "email": "ada@example.test", "customer_type": "individual"}
    account.edit("customer", None, ada)
    await world.activate_all()
    limits = account.limits
    assert account.settings.daily is not None
    limits.calls_today = int(account.settings.daily * (1 - share))
    answer = world.exchanges["hubspot"]

    def watch(request: HttpRequest) -> HttpResponse:
        asked.append(f"{request.method} {request.url}")
        return answer(request)

    world.exchanges["hubspot"] = watch
    named(world)
    await world.lanes.run("hubspot")
    asked.clear()
    return world, asked


def named(world: World) -> None:
    """A webhook names what is there."""
    subjects, now = [work.remote_subject(one) for one in world.neutral("hubspot")], world.clock.now()
    world.db.run_now(lambda tx: work.mark(tx, "hubspot", subjects, reason="webhook", trace="t", now=now))


def resting(world: World) -> dict[str, Any]:
    """What the status says of sweeps that wait; {} where none does."""
    (shown,) = world.db.read_now(lambda tx: status(tx, world.hub))["connections"]
    return shown["rest"] or {}


def swept(asked: list[str]) -> dict[str, int]:
    """Pages of complete sweeps, and of sweeps of changes."""
    pages = {"full": sum(one.startswith("GET") and "limit=" in one for one in asked)}
    return pages | {"changes": sum(one.endswith("/search") for one in asked)}


async def test_near_the_end_of_hubspots_day_complete_sweeps_wait_for_the_next_one() -> None:
    """The day's calls are shared by all apps of the account; used up, nothing could be read or written at all."""
    world, asked = await near_the_end_of_the_day(0.05)
    world.db.run_now(lambda tx: connections.put_cursor(tx, Cursor(connection="hubspot", mode="full", run="r")))
    for _ in range(30):
        world.clock.time += 61.0
        await world.lanes.run("hubspot")
    assert swept(asked)["full"] == 0
    assert swept(asked)["changes"] > 20
    rest = resting(world)
    assert (rest["sweeps"], "less than 10%" in rest["reason"]) == ("full", True)
    assert 0 < rest["until"] - world.clock.now() < DAY + 120
    world.clock.time += DAY
    await world.settle()
    assert swept(asked)["full"] > 0
    assert resting(world) == {}


async def test_what_waits_is_told_to_another_process_and_no_longer_than_it_waits() -> None:
    """`accord status` is one: that sweeps rest stood in the daemon's memory, and in its log."""
    world, _ = await near_the_end_of_the_day(0.01)
    assert resting(world)["sweeps"] == "changes"
    world.start()
    assert resting(world)["sweeps"] == "changes", "nothing was asked since"
    hubspot_of(world).limits.calls_today = 0
    await world.next_sweep()
    assert resting(world) == {}, "the account was given more"
    daily = hubspot_of(world).settings.daily
    assert daily is not None
    hubspot_of(world).limits.calls_today = int(daily * 0.95)
    await world.next_sweep()
    assert resting(world)["sweeps"] == "full"
    world.clock.time = resting(world)["until"]
    assert resting(world) == {}, "a new day has begun"


async def test_what_waits_is_told_for_as_long_as_it_does_where_nobody_knows_when_the_day_ends() -> None:
    """Its end was a little later at each look, so that it was never told anew; and what was told once was over."""
    world, _ = await near_the_end_of_the_day(0.05)
    answer = world.exchanges["hubspot"]

    def nowhere(request: HttpRequest) -> HttpResponse:
        told = answer(request)
        return HttpResponse(told.status, told.headers, told.body.replace(b"Europe/Rome", b""))

    world.exchanges["hubspot"] = nowhere
    world.start()
    for _ in range(60):
        world.clock.time += 30.0
        named(world)
        await world.lanes.run("hubspot")
    assert resting(world)["sweeps"] == "full"


async def test_at_the_very_end_of_hubspots_day_only_what_webhooks_name_is_read_and_writes_go_on() -> None:
    """And a new day begins with a sweep."""
    world, asked = await near_the_end_of_the_day(0.01)
    account = world.lookalikes["hubspot"]
    for number in range(10):
        account.edit("customer", next(iter(world.neutral("hubspot"))), {"phone": f"+1 415 555 010{number}"})
        named(world)
        world.clock.time += 61.0
        await world.lanes.run("hubspot")
    bob = {"name": "Bob Byron", "email": "bob@example.test", "customer_type": "individual"}
    world.db.run_now(partial(registry.create, hub=world.hub, external_id="bob", values=bob, actor="ann", trace="t"))
    await world.settle()
    assert swept(asked) == {"full": 0, "changes": 0}
    assert "+1 415 555 0109" in {one.fields.get("phone") for one in everybody(world)}
    assert len(world.neutral("hubspot")) == 2
    account.edit("customer", next(iter(world.neutral("hubspot"))), {"name": "Ada Byron"})
    world.clock.time += DAY
    await world.settle()
    assert swept(asked)["changes"] > 0
    assert "Ada Byron" in {one.fields["name"] for one in everybody(world)}


@pytest.mark.parametrize("share", [0.05, 0.01])
async def test_a_run_in_this_process_ends_though_sweeps_wait_for_the_next_day(share: float) -> None:
    """It asked again and again whether the sweep may go on, without a call and without an end."""
    world, asked = await near_the_end_of_the_day(share)
    world.db.run_now(lambda tx: connections.put_cursor(tx, Cursor(connection="hubspot", mode="full", run="r")))
    world.clock.time += 61.0
    await asyncio.wait_for(run_until_quiet(world.hub, world.lanes, ["hubspot"], patience=0.0), 20.0)
    assert swept(asked)["full"] == 0
    await ask(world.hub, "hubspot", {"what": "full"})
    await asyncio.wait_for(run_until_quiet(world.hub, world.lanes, ["hubspot"], patience=0.0), 20.0)
    assert swept(asked)["full"] > 0
