"""A lane under a stream of webhooks that never ends."""

from __future__ import annotations

from functools import partial

import pytest

from core.store import connections, work
from core.sync.batch import Report
from core.sync.inbox import InboxWriter
from core.sync.lanes import BATCHES_PER_SWEEP_SLICE, Lanes
from core.sync.notices import ECHO_SECONDS
from tests.support import deliveries
from tests.support.acting import mapped
from tests.support.paper import bill, billing, papers, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_a_stream_of_webhooks_does_not_starve_what_they_named() -> None:
    """Letters come first, but a lane that only ever sorted its post would never change a record."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    (remote_id,) = world.neutral("quickbooks")
    writer, connection = InboxWriter(world.hub), world.hub.connections["quickbooks"]
    world.clock.time += ECHO_SECONDS
    world.lookalikes["quickbooks"].edit("customer", remote_id, {"phone": "+49301234567"})
    for number in range(6):
        # before every piece of work the next delivery is there already
        await writer.receive(connection, deliveries.quickbooks(int(remote_id) - 1 + 1000 * number, world.clock.now()))
        await world.lanes.step(connection, Report())
    await world.lanes.run("stripe")
    assert [one["phone"] for one in world.neutral("stripe").values()] == ["+49301234567"]


async def backlog(world: World, name: str, turns: int) -> None:
    """All customers are changed again before each piece of work: there is more than one batch takes, always."""
    lanes, connection = Lanes(world.hub, rows_at_once=1), world.hub.connections[name]
    subjects = [work.mapping_subject(one.id) for one in mapped(world, name)]
    for number in range(turns):
        now, trace = world.clock.now(), str(number)
        world.db.run_now(partial(work.mark, connection=name, subjects=subjects, reason="", trace=trace, now=now))
        await lanes.step(connection, Report())


async def crowd() -> World:
    """Several customers, one of whom is billed."""
    world = await billing()
    for number in range(8):
        world.lookalikes["stripe"].edit("customer", None, {"name": f"C {number}", "email": f"c{number}@example.test"})
    await world.next_sweep()
    return world


async def test_a_stream_of_changed_customers_does_not_starve_documents() -> None:
    """Customers come before their documents; a backlog of them that was never done came before all of those."""
    world = await crowd()
    names, world.names = world.names, ("stripe",)
    bill(world)
    await world.next_sweep()
    world.names = names
    await backlog(world, "quickbooks", 2 * BATCHES_PER_SWEEP_SLICE)
    assert [one["total"] for one in shown(world, "quickbooks")] == ["119.00"]


async def test_a_stream_of_changed_customers_does_not_starve_the_listing_of_documents() -> None:
    """What no webhook told of is found by it alone."""
    world = await crowd()
    world.clock.time += world.timing.full_every + 1
    await world.settle()
    bill(world)
    world.db.run_now(lambda tx: connections.touch_cursor(tx, "stripe", "invoice", "full"))
    await backlog(world, "stripe", 4 * BATCHES_PER_SWEEP_SLICE)
    assert [one.document.status for one in papers(world)] == ["open"]
