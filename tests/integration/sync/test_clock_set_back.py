"""The machine's clock ran years ahead for a while, and was set right: nothing waits until it gets there again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import formatdate

import msgspec
import pytest

from core.cli.quiet import run_until_quiet
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import FaultKind
from core.store import connections, intents
from core.store.intents import Intent
from core.sync import guard
from core.sync.lanes import Lanes
from core.sync.skew import Skew
from jobs.tick_lanes import tick_lanes
from tests.integration.sync.test_creates_in_doubt import create_in_doubt
from tests.support.acting import everybody, held, waiting
from tests.support.crashes import died_with_the_answer
from tests.support.paper import at_rest, bill, billing, pay, shown
from tests.support.world import NAMES, StillClock, World

pytestmark = pytest.mark.anyio

TWO_YEARS = 730 * 86_400.0
HOUR = 3600.0


@dataclass
class Ahead:
    """Another clock, wrong."""

    clock: StillClock
    seconds: float = TWO_YEARS

    def now(self) -> float:
        """What it shows."""
        return self.clock.now() + self.seconds

    async def sleep(self, seconds: float) -> None:
        """No longer than with the right one."""
        await self.clock.sleep(seconds)


def run_ahead(world: World) -> None:
    """Accord is started on a machine whose clock is wrong; the providers' clocks are not."""
    world.start()
    world.hub = replace(world.hub, clock=Ahead(world.clock))
    world.lanes = Lanes(world.hub)


async def a_while_ahead(world: World) -> None:
    """What is due is done."""
    for _ in range(5):
        for name in NAMES:
            await world.lanes.run(name)


async def set_right(world: World, *, is_restarted: bool) -> None:
    """The clock is right again, for a new process or for the one that runs."""
    if is_restarted:
        world.start()
    else:
        world.hub = replace(world.hub, clock=world.clock)
        world.lanes._hub = world.hub  # lanes that remember what they did see the clock set
    await tick_lanes(world.hub)


@pytest.mark.parametrize("is_restarted", [True, False])
async def test_an_edit_whose_webhook_never_came_is_found_after_the_clock_was_set_back(*, is_restarted: bool) -> None:
    """The last sweep was in two years' time, so the next one was due after that."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    run_ahead(world)
    await a_while_ahead(world)
    await set_right(world, is_restarted=is_restarted)
    await world.settle()
    (remote_id,) = world.neutral("stripe")
    world.lookalikes["stripe"].edit("customer", remote_id, {"phone": "+49301234567"})
    for _ in range(2):
        await world.next_sweep()
    phones = {name: [one["phone"] for one in world.neutral(name).values()] for name in NAMES}
    assert phones == {name: ["+49301234567"] for name in NAMES}
    world.clock.time += world.timing.full_every
    await world.settle()
    last = world.db.read_now(lambda tx: connections.cursor(tx, "stripe", "customer", "full").completed_at)
    assert last is not None
    assert world.clock.now() - world.timing.full_every < last <= world.clock.now()


async def out_of_reach_ahead() -> World:
    """HubSpot could not be reached while the clock ran ahead, and a customer waits to be made there."""
    world = World()
    await world.activate_all()
    whole = world.exchanges["hubspot"]
    world.exchanges["hubspot"] = _down
    run_ahead(world)
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await a_while_ahead(world)
    world.exchanges["hubspot"] = whole
    return world


def _down(request: HttpRequest) -> HttpResponse:
    del request
    return HttpResponse(503, {}, b"")


@pytest.mark.parametrize("is_restarted", [True, False])
async def test_a_lane_that_was_paused_ahead_works_at_once(*, is_restarted: bool) -> None:
    """An outage met under the wrong clock paused the connection for two years, as if its provider had asked for it."""
    world = await out_of_reach_ahead()
    paused = world.db.read_now(lambda tx: connections.get(tx, "hubspot").paused_until)
    assert paused is not None
    assert paused > world.clock.now() + TWO_YEARS
    await set_right(world, is_restarted=is_restarted)
    for _ in range(3):
        await world.next_sweep()
    assert [len(world.neutral(name)) for name in NAMES] == [1, 1, 1]
    assert (waiting(world), held(world)) == ({}, [])


async def test_what_was_changed_ahead_is_not_counted_for_years() -> None:
    """The guard took it for changes of the last hour: every sweep would have asked, whatever was approved."""
    world = World()
    for number in range(5):
        world.lookalikes["stripe"].edit("customer", None, {"name": f"P {number}", "email": f"p{number}@example.test"})
    await world.activate_all("stripe")
    run_ahead(world)
    await world.activate_all("hubspot")
    ahead = world.db.read_now(lambda tx: guard.spent(tx, world.hub, connections.get(tx, "hubspot")))
    assert ahead.creates == 5
    await set_right(world, is_restarted=True)
    await world.settle()
    right = world.db.read_now(lambda tx: guard.spent(tx, world.hub, connections.get(tx, "hubspot")))
    assert (right.creates, len(world.neutral("hubspot"))) == (0, 5)


@pytest.mark.parametrize("fault", ["error_before", "error_after"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_create_that_was_in_doubt_ahead_is_cleared_up_and_made_once(name: str, fault: FaultKind) -> None:
    """Its key counted as remembered for two years more, and its outcome could not be told before."""
    world = World()
    await world.activate_all()
    run_ahead(world)
    await create_in_doubt(world, name, {"name": "Ada Lovelace", "email": "ada@example.test"}, fault)
    await set_right(world, is_restarted=True)
    for _ in range(10):
        await world.next_sweep()
    asked = [one.reason for one in held(world)]
    assert asked in ([], ["lost_create"])
    assert (len(world.neutral(name)), len(everybody(world))) == (1 if fault == "error_after" or not asked else 0, 1)
    assert world.db.read_now(intents.all_open) == []


async def test_a_sync_without_a_daemon_does_not_wait_for_years() -> None:
    """No tick runs there: the connection was paused, and said until when."""
    world = await out_of_reach_ahead()
    world.start()
    world.clock.time += 300
    await run_until_quiet(world.hub, world.lanes, NAMES, patience=300)
    assert [len(world.neutral(name)) for name in NAMES] == [1, 1, 1]


class Fast(StillClock):
    """A clock that is ahead of the providers', until somebody sets it right."""

    def __init__(self, theirs: StillClock, seconds: float) -> None:
        """Ahead of `theirs`, which goes as this one does."""
        self._theirs = theirs
        self.seconds = seconds

    @property
    def time(self) -> float:
        """What it shows."""
        return self._theirs.time + self.seconds

    @time.setter
    def time(self, value: float) -> None:
        self._theirs.time = value - self.seconds


def is_fast(world: World, seconds: float) -> Fast:
    """Accord's machine has a fast clock from now on."""
    world.clock = clock = Fast(world.clock, seconds)
    world.start()
    return clock


@pytest.mark.parametrize(("ahead", "down"), [(2.0, 26.0), (2.5, 24.3)])
async def test_a_create_sent_ahead_is_found_though_the_clock_was_set_right_while_nobody_ran(
    ahead: float, down: float
) -> None:
    """It was looked for among later objects only, or its key was trusted when Stripe had forgotten it: made twice."""
    world = World()
    await world.activate_all()
    clock = is_fast(world, ahead * HOUR)
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})

    def is_create(request: HttpRequest) -> bool:
        if request.method != "POST" or not request.url.endswith("/v1/customers"):
            return False
        clock.seconds = 0.0
        return True

    await died_with_the_answer(world, "stripe", is_create, down=down * HOUR)
    assert ([len(world.neutral(name)) for name in NAMES], len(everybody(world))) == ([1, 1, 1], 1)
    assert (world.db.read_now(intents.all_open), held(world)) == ([], [])


@pytest.mark.parametrize(("date", "back"), [(0.0, HOUR), (HOUR, 0.0), (2 * HOUR, 0.0), (HOUR - 60.0, 0.0), (None, 0.0)])
def test_a_write_is_sent_earlier_by_a_clock_that_was_set_back_and_never_later(date: float | None, back: float) -> None:
    """Later, its key would be trusted for longer: what told a wrong date may be a proxy. No date tells nothing."""
    clock = StillClock()
    skew = Skew(clock)
    skew.hear("soon" if date is None else formatdate(clock.now() - date, usegmt=True))
    one = Intent(id="i", connection="stripe", mapping_id="m", action="create", key="k", body={}, wanted={}, before={},
                 remote_id=None, sent_at=clock.now(), ahead=HOUR)  # fmt: skip
    assert clock.now() - skew.by_this_clock(one).sent_at == back
    assert skew.by_this_clock(msgspec.structs.replace(one, ahead=None)).sent_at == clock.now()


async def test_what_is_said_to_be_sent_by_the_clock_of_now_is_not_taken_for_older_still() -> None:
    """How far the clock had been ahead was taken off twice: of the time that was put in for the wrong one, too."""
    world = World()
    await world.activate_all()
    clock = is_fast(world, HOUR)
    await create_in_doubt(world, "stripe", {"name": "Ada", "email": "ada@example.test"}, "lost_answer")
    clock.seconds = 0.0
    await tick_lanes(world.hub)
    await world.hub.connections["stripe"].connector.identify()
    (one,) = world.db.read_now(intents.all_open)
    assert world.hub.connections["stripe"].skew.by_this_clock(one).sent_at == one.sent_at


async def test_a_payment_sent_ahead_is_found_though_the_clock_was_set_right_while_nobody_ran() -> None:
    """QuickBooks shows no notes to a query: what was made since then is looked through, and it was booked twice."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    clock = is_fast(world, 2 * HOUR)
    pay(world, invoice, "50.00")

    def is_payment(request: HttpRequest) -> bool:
        if request.method != "POST" or "/payment?" not in request.url:
            return False
        clock.seconds = 0.0
        return True

    await died_with_the_answer(world, "quickbooks", is_payment, down=5 * HOUR)
    assert [one["amount"] for one in shown(world, "quickbooks", "payment")] == ["50.00"]
    at_rest(world)
