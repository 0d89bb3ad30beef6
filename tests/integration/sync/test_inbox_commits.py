"""How deliveries share commits: few when many arrive, and none of them long."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import TypeVar

import pytest

from core.store import inbox
from core.store.database import Database, Tx
from core.sync.batch import Report
from core.sync.inbox import MARKED_AT_ONCE, InboxWriter, drain
from tests.support import deliveries
from tests.support.world import World

pytestmark = pytest.mark.anyio

T = TypeVar("T")


class SlowDisk(Database):
    """A world's database whose transactions take some turns of the loop; remembers what each found waiting."""

    def __init__(self, real: Database) -> None:
        """Share the real one's engine."""
        self.real, self.engine = real, real.engine
        self.waiting: list[int] = []

    async def run(self, work: Callable[[Tx], T]) -> T:
        """One transaction, and then a wait."""
        result = self.real.run_now(work)
        self.waiting.append(self.real.read_now(inbox.counts).get(("stripe", "new"), 0))
        for _turn in range(5):
            await asyncio.sleep(0)
        return result

    async def read(self, work: Callable[[Tx], T]) -> T:
        """At once."""
        return self.real.read_now(work)


class Sender:
    """A provider that delivers one after the other."""

    def __init__(self, world: World) -> None:
        """Send to Stripe's connection."""
        self.world = world
        self.disk = SlowDisk(world.db)
        self.hub = dataclasses.replace(world.hub, db=self.disk)
        self.connection = world.hub.connections["stripe"]
        self.writer = InboxWriter(self.hub)

    async def send(self, *numbers: int) -> None:
        """Deliver these, each when the one before it was answered."""
        for number in numbers:
            await self.writer.receive(self.connection, deliveries.stripe(number, self.world.clock.now()))


async def test_senders_that_go_on_share_every_commit_after_the_first() -> None:
    """Two groups that take turns would each wait for two commits, and pay for both."""
    sender = Sender(World())
    first = asyncio.create_task(sender.send(1, 2, 3))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.gather(first, sender.send(11, 12))
    assert sender.disk.waiting == [1, 3, 5]


async def test_nobody_waits_for_a_sender_that_does_not_come_back() -> None:
    """The wait for others is a moment, whether they come or not."""
    sender = Sender(World())
    first = asyncio.create_task(sender.send(1))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await asyncio.gather(first, sender.send(11))
    assert sender.disk.waiting == [1, 2]


async def test_letters_become_marks_in_short_transactions() -> None:
    """A delivery that comes meanwhile waits for the one under way, not for all of the post."""
    sender = Sender(World())
    many = 2 * MARKED_AT_ONCE + 1
    await sender.send(*range(many))
    sender.disk.waiting.clear()
    assert await drain(sender.hub, sender.connection, Report())
    assert sender.disk.waiting == [many - MARKED_AT_ONCE, many - 2 * MARKED_AT_ONCE, 0]
