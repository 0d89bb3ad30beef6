"""One app tells one address of all its accounts."""

from __future__ import annotations

from typing import Any

from core.store import inbox
from core.sync.inbox import InboxWriter
from tests.support.world import World


async def received(world: World, name: str, address: str) -> None:
    """One account's deliveries come to the address of another connection, and are not read yet."""
    account: Any = world.lookalikes[name]
    writer = InboxWriter(world.hub)
    while found := list(account.due_webhooks(world.clock.time)):
        for one in found:
            await writer.receive(world.hub.connection(address), one.delivery)
            account.webhook_answered(one.id, 200, world.clock.time)


async def told(world: World, name: str, address: str) -> None:
    """They come there, and are read."""
    await received(world, name, address)
    world.clock.time += 5
    for _ in range(3):
        for lane in world.names:
            await world.lanes.run(lane)


def named(world: World, system: str, name: str) -> str:
    """A customer's id in one system."""
    return next(one for one, fields in world.neutral(system).items() if fields["name"] == name)


def problems(world: World) -> list[str]:
    """Of deliveries that nobody could take."""
    return [one.problem for one in world.db.read_now(lambda tx: inbox.poisoned(tx, 10))]
