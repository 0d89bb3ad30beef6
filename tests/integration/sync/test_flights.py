"""Several batches of one lane under way at once."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
import sqlalchemy as sa

from config.file import AccordConfig
from core.errors import RetryError
from core.model import holds
from core.model.policy import Guard
from core.sandbox.faults import Fault
from core.store import connections, intents, work
from core.store.connections import Cursor
from core.store.database import Tx
from core.store.tables import MAPPINGS
from core.store.work import DirtyRow
from core.sync import registry
from core.sync.batch import Report
from core.sync.flights import Flights
from core.sync.lanes import BATCHES_PER_SWEEP_SLICE, Lanes
from core.sync.reconcile import reconcile
from core.sync.waiting import look_around
from tests.integration.sync.test_found_by_simulation import weather
from tests.support.acting import all_day, held, mapped
from tests.support.world import World

pytestmark = pytest.mark.anyio


def enter_many(world: World, number: int, **more: str) -> None:
    """So many customers by hand; no lane has run since."""

    def enter(tx: Tx) -> None:
        for one in range(number):
            values = {"name": f"Person {one}", "email": f"person{one}@example.test", **more}
            registry.create(tx, world.hub, f"person-{one}", values, actor="ann", trace="t")

    world.db.run_now(enter)


async def test_troubles_come_in_the_order_in_which_batches_were_begun() -> None:
    """A set of tasks has another order in every run: simulated worlds would not repeat."""
    flights = Flights()
    errors = [RetryError(str(number)) for number in range(20)]

    async def fails(error: RetryError) -> RetryError:
        await asyncio.sleep(0)
        return error

    for error in errors:
        flights.start(fails(error), {str(error)})
    assert flights.subjects == {str(error) for error in errors}
    assert await flights.landed(every=True) == errors
    assert (len(flights), flights.subjects) == (0, set())


async def test_a_lane_that_is_cut_off_cuts_off_its_batches() -> None:
    """Left alone they would go on writing beside the next process."""
    flights, ended = Flights(), []

    async def endless() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(True)

    flights.start(endless(), {"a"})
    await asyncio.sleep(0)
    await flights.cut_off()
    assert (ended, len(flights)) == ([True], 0)


async def test_many_batches_make_every_customer_once() -> None:
    """More than fit into all the batches that may be under way."""
    world = World()
    await world.activate_all()
    world.lanes = Lanes(world.hub, rows_at_once=3)
    enter_many(world, 60)
    await all_day(world)
    for name in ("stripe", "hubspot", "quickbooks"):
        assert sorted(one["email"] for one in world.neutral(name).values()) == sorted(
            f"person{number}@example.test" for number in range(60)
        )
    assert world.db.read_now(intents.all_open) == []


async def one_customer() -> tuple[World, str, str]:
    """One everywhere; what it may be marked by at HubSpot: its object, and its mapping."""
    world = World()
    await world.activate_all()
    enter_many(world, 1)
    await world.settle()
    (row,) = mapped(world, "hubspot")
    assert row.remote_id is not None
    return world, work.remote_subject(row.remote_id), work.mapping_subject(row.id)


async def test_an_object_that_was_begun_with_before_it_was_mapped_is_in_no_second_batch() -> None:
    """Both would have written to it: one as the object, one as its mapping."""
    world, name, subject = await one_customer()
    busy = {name}
    world.db.run_now(lambda tx: work.mark(tx, "hubspot", [subject], reason="test", trace="t", now=0.0))
    connection = world.hub.connections["hubspot"]
    free = world.db.read_now(lambda tx: look_around(tx, world.hub, connection, 10))
    assert [one.subject for one in free.dirty] == [subject]
    taken = world.db.read_now(lambda tx: look_around(tx, world.hub, connection, 10, busy))
    assert (taken.dirty, taken.claimed) == ([], set())


async def test_an_object_that_was_given_a_mapping_since_it_was_claimed_is_left_for_later() -> None:
    """The batch that gave it one was still writing to it, and this one took that write for one in doubt."""
    world, name, subject = await one_customer()
    world.db.run_now(lambda tx: registry.update(tx, world.hub, "person-0", {"name": "Ada"}, actor="ann", trace="t"))
    connection, before = world.hub.connections["hubspot"], world.writes("hubspot")

    def marked(tx: Tx) -> list[DirtyRow]:
        work.clear(tx, "hubspot", work.due(tx, "hubspot", world.clock.now(), 10))
        work.mark(tx, "hubspot", [name], reason="webhook", trace="t", now=0.0)
        return work.due(tx, "hubspot", world.clock.now(), 10)

    rows = world.db.run_now(marked)
    await reconcile(world.hub, connection, rows, claimed={name})
    assert world.writes("hubspot") == before
    assert world.db.read_now(lambda tx: work.due(tx, "hubspot", world.clock.now(), 10)) == rows
    await reconcile(world.hub, connection, rows, claimed={name, subject})
    assert world.writes("hubspot") == before + 1


async def test_one_trouble_of_many_batches_is_one_trouble() -> None:
    """An outage that ten batches met is no reason to wait a thousand times as long."""
    world = World()
    await world.activate_all()
    world.lanes = Lanes(world.hub, rows_at_once=2)
    enter_many(world, 20)
    await world.settle()

    def change(tx: Tx) -> None:
        for one in range(20):
            registry.update(tx, world.hub, f"person-{one}", {"phone": f"+49301000{one:02d}"}, actor="ann", trace="t")

    world.db.run_now(change)
    weather(world, "hubspot", Fault(kind="error_before", method="POST", path=r"batch/read", nth=1, probability=1.0))
    await world.lanes.run("hubspot")
    state = world.lanes._states["hubspot"]
    assert state.troubles == 1
    assert len(state.flights) == 0


async def test_a_listing_waits_until_no_batch_is_under_way() -> None:
    """What it shows may be older than the answer to a write, and would be stored over it."""
    world = World()
    await world.activate_all()
    listed = world.db.read_now(lambda tx: connections.get(tx, "stripe").swept_at)
    may_end = asyncio.Event()
    world.lanes._states["stripe"].flights.start(_until(may_end), {"m:somebody"})
    world.clock.time += world.timing.full_every + 1
    lane = asyncio.create_task(world.lanes.run("stripe"))
    for _ in range(100):
        await asyncio.sleep(0)
    assert world.db.read_now(lambda tx: connections.get(tx, "stripe").swept_at) == listed
    may_end.set()
    await lane
    assert world.db.read_now(lambda tx: connections.get(tx, "stripe").swept_at) != listed


async def _until(may_end: asyncio.Event) -> None:
    await may_end.wait()


async def test_customers_are_offered_before_the_change_feed_is_read_on() -> None:
    """It was read to its end first, ten thousand echoes long, while nothing was created."""
    world = World()
    await world.activate_all()
    walk = Cursor(connection="stripe", kind="customer", mode="offer", cursor="", run="r")

    def begin(tx: Tx) -> None:
        connections.put_cursor(tx, walk)
        connections.touch_cursor(tx, "stripe", "customer", "changes")

    world.db.run_now(begin)
    before = world.db.read_now(lambda tx: connections.cursor(tx, "stripe", "customer", "changes"))
    await world.lanes.step(world.hub.connections["stripe"], Report())
    assert world.db.read_now(lambda tx: connections.cursor(tx, "stripe", "customer", "offer")).run is None
    assert world.db.read_now(lambda tx: connections.cursor(tx, "stripe", "customer", "changes")) == before


async def test_customers_to_be_offered_and_changes_take_turns() -> None:
    """Neither of them waits until all of the other, perhaps a million, is done."""
    world = World()
    await world.activate_all()
    enter_many(world, 50)
    await world.settle()
    world.lanes = Lanes(world.hub, rows_at_once=1)
    walk = Cursor(connection="stripe", kind="customer", mode="offer", cursor="", run="r")

    def begin(tx: Tx) -> None:
        tx.execute(sa.delete(MAPPINGS).where(MAPPINGS.c.connection == "stripe"))
        connections.put_cursor(tx, walk)
        subjects = [work.remote_subject(one) for one in world.neutral("stripe")]
        work.mark(tx, "stripe", subjects, reason="test", trace="t", now=0.0)

    world.db.run_now(begin)
    stripe, report, turns = world.hub.connections["stripe"], Report(), []
    for _ in range(2 * BATCHES_PER_SWEEP_SLICE + 6):
        before = _offered(world)
        await world.lanes.step(stripe, report)
        turns.append("offers" if _offered(world) != before else "changes")
    await world.lanes.run("stripe")
    assert turns[0] == "changes"
    assert "changes" in turns[turns.index("offers") :]


def _offered(world: World) -> str | None:
    return world.db.read_now(lambda tx: connections.cursor(tx, "stripe", "customer", "offer")).cursor


async def test_the_mass_change_stop_counts_what_other_batches_have_under_way() -> None:
    """Each of them had what was left of the budget for itself."""
    world = World()
    await world.activate_all()
    enter_many(world, 16, phone="+4930100")
    await world.settle()
    guard = Guard(overwrite_count=5, overwrite_share=0.0)
    world.config = AccordConfig(
        connections=world.config.connections, policy=msgspec.structs.replace(world.config.policy, guard=guard)
    )
    world.start()
    world.lanes = Lanes(world.hub, rows_at_once=1)
    # no more than what is under way counts: the creates are long ago
    world.clock.time += guard.window_seconds + 1

    def change(tx: Tx) -> None:
        for one in range(16):
            registry.update(tx, world.hub, f"person-{one}", {"phone": f"+49302{one:04d}"}, actor="ann", trace="t")

    world.db.run_now(change)
    await world.lanes.run("stripe")
    changed = [one["phone"] for one in world.neutral("stripe").values() if one["phone"] != "+4930100"]
    assert len(changed) == guard.overwrite_count
    assert held(world, holds.MASS_CHANGE)
