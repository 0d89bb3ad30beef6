"""A lane under a stream of webhooks that never ends."""

from __future__ import annotations

import pytest

from core.sync.batch import Report
from core.sync.inbox import InboxWriter
from core.sync.notices import ECHO_SECONDS
from tests.support import deliveries
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
