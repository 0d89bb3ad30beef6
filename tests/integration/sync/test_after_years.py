"""What years of work leave in the database is not gone through again: work costs what there is to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import cast

import pytest
from sqlalchemy import event

from core.store import inbox, intents, mappings
from core.store.database import Tx
from core.store.inbox import Letter
from core.store.intents import Intent
from core.store.mappings import MappingRow
from core.sync.ahead import set_right
from core.sync.pruning import prune
from jobs.reconcile_invoices import reconcile_invoices
from tests.support.acting import agreeing, only
from tests.support.paper import billing
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


def copies(world: World, number: int, first: int = 0) -> list[str]:
    """So many copies of invoices at QuickBooks; the ids of their documents."""
    now = world.clock.time
    rows = [
        MappingRow(
            id=f"copy{one:06d}", kind="invoice", record_id=f"invoice{one}", connection="quickbooks",
            remote_id=str(10_000 + one), state="live", created_at=now, updated_at=now,
        )
        for one in range(first, first + number)
    ]  # fmt: skip
    world.db.run_now(lambda tx: mappings.insert(tx, rows))
    return [row.record_id for row in rows]


async def gone_through(world: World) -> None:
    """All copies at QuickBooks, a page after the other."""

    def walk(tx: Tx) -> int:
        after, seen = "", 0
        while rows := mappings.page(tx, "quickbooks", after, 100, "invoice"):
            after, seen = rows[-1].id, seen + len(rows)
        return seen

    assert await world.hub.db.read(walk)


async def test_twice_as_many_copies_take_twice_as_long_to_go_through() -> None:
    """SQLite's planner sorted all of a connection's for each page of them: every hour, 10,000 copies at two connections
    took half a minute in which no webhook was stored, and 20,000 would have taken two minutes.
    """
    world = await agreeing()
    copies(world, OLD)
    once = await cost(world, gone_through(world))
    copies(world, OLD, OLD)
    assert await cost(world, gone_through(world)) < 3 * once


async def test_what_was_copied_before_does_not_slow_what_is_copied_next() -> None:
    """Before anything gets a place at a connection, it is asked how often it had one there: SQLite's planner went
    through all of the connection's for it.
    """
    world = await agreeing()
    some = copies(world, 1)

    def used(tx: Tx) -> object:
        return mappings.generations(tx, some, "quickbooks")

    before = await cost(world, world.hub.db.read(used))
    copies(world, OLD, 1)
    assert await cost(world, world.hub.db.read(used)) < before + OLD


async def test_a_batch_of_customers_does_not_go_through_the_copies_of_documents() -> None:
    """Every batch counts the connection's customers, of whom it may change only a share. It went through all that
    stands at the connection: 50,000 copies took a quarter of a second each time.
    """
    worlds = [await agreeing() for _ in range(2)]
    copies(worlds[1], OLD)
    costs = []
    for world in worlds:
        world.lookalikes["stripe"].edit("customer", only(world, "stripe"), {"phone": "+49 30 1"})
        costs.append(await cost(world, world.next_sweep()))
    assert costs[1] < costs[0] + OLD


async def test_deliveries_that_are_kept_are_not_gone_through_for_those_that_are_dropped() -> None:
    """Every hour all that were kept were read, twice, and no delivery was stored meanwhile: 100,000 of them took more
    than a second.
    """
    world = await agreeing()
    before = await cost(world, prune(world.hub))
    letters = [
        Letter(connection="stripe", dedupe_key=f"evt_{number}", body=b"{}", received_at=world.clock.time)
        for number in range(OLD)
    ]
    world.db.run_now(lambda tx: inbox.add(tx, letters))
    world.db.run_now(lambda tx: inbox.done(tx, [one.id for one in inbox.new(tx, "stripe", OLD)]))
    assert await cost(world, prune(world.hub)) < before + OLD


async def test_other_writes_have_their_turn_while_every_copy_is_looked_at() -> None:
    """Deliveries and the API waited, half a minute with 100,000 copies, until all had been looked at; `/readyz` said
    that the database does not answer.
    """
    world = await billing()
    copies(world, OLD)
    longest = so_far = 0
    with counted(world) as tens:

        def ended(_connection: object) -> None:
            nonlocal longest, so_far
            longest, so_far = max(longest, len(tens) - so_far), len(tens)

        for what in ("commit", "rollback"):
            event.listen(world.db.engine, what, ended)
        await reconcile_invoices(world.hub)
    assert longest < len(tens) / 5
