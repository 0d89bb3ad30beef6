"""What years of work leave in the database is not gone through again: work costs what there is to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from core.store import intents
from core.store.intents import Intent
from core.sync.ahead import set_right
from tests.support.acting import agreeing, only
from tests.support.world import World

pytestmark = pytest.mark.anyio

OLD = 3000
"""Rows that were left behind."""


@contextmanager
def counted(world: World) -> Iterator[list[int]]:
    """How many instructions SQLite carries out: the same on every machine. In tens, one for each ten."""
    tens: list[int] = []
    with world.db.engine.connect() as connection:
        driver = cast("sqlite3.Connection", connection.connection.driver_connection)
    driver.set_progress_handler(lambda: tens.append(10), 10)
    try:
        yield tens
    finally:
        driver.set_progress_handler(None, 0)


async def cost(world: World, work: Awaitable[object]) -> int:
    """What SQLite did for a piece of work, in instructions."""
    with counted(world) as tens:
        await work
    return sum(tens)


def leave_writes(world: World) -> None:
    """Writes of the past, all answered."""
    sent = world.clock.time - 1000
    old = [
        Intent(
            id=f"old{number}", connection="stripe", mapping_id=f"m{number}", action="update", key=f"key{number}",
            body={"name": "Ada"}, wanted={"name": "Ada"}, before={"name": "Ida"}, remote_id="cus_1", sent_at=sent,
        )
        for number in range(OLD)
    ]  # fmt: skip
    world.db.run_now(lambda tx: intents.insert(tx, old))
    world.db.run_now(lambda tx: intents.close(tx, {one.id: "done" for one in old}, sent + 1))


async def test_the_tick_of_every_second_does_not_read_the_writes_of_the_past() -> None:
    """It looked through every write that there ever was for one that a clock had sent ahead: after a month of 10,000
    writes a day, half a second of each second.
    """
    world = await agreeing()
    before = await cost(world, set_right(world.hub))
    leave_writes(world)
    assert await cost(world, set_right(world.hub)) < before + OLD


async def test_a_batch_does_not_read_the_writes_of_the_past_to_its_connection() -> None:
    """Every batch asks for the writes that are in doubt. SQLite's planner looked for them among all of the connection:
    a batch took the longer the more had been written, seconds after a year.
    """
    worlds = [await agreeing() for _ in range(2)]
    leave_writes(worlds[1])
    costs = []
    for world in worlds:
        world.lookalikes["stripe"].edit("customer", only(world, "stripe"), {"phone": "+49 30 1"})
        costs.append(await cost(world, world.next_sweep()))
    assert costs[1] < costs[0] + OLD
