"""A copy that is there and cannot be read is there: it is never made a second time."""

from __future__ import annotations

from typing import Any

import pytest

from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import Fault
from core.store import failures, intents
from core.sync.answers import retry
from tests.integration.sync.test_found_by_simulation import weather
from tests.support.acting import failing, held
from tests.support.paper import bill, billing, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio

BOOKS = "quickbooks"


def payments(world: World) -> dict[str, Any]:
    """The books' payments as they have them."""
    return dict(world.lookalikes[BOOKS].objects("payment"))


def unreadable(world: World, day: str) -> None:
    """Somebody, or something, leaves a date that is none; and back again."""
    for one in payments(world).values():
        one["TxnDate"] = day


async def paid_and_unanswered() -> World:
    """A payment whose copy is made in the books; every answer is lost, and then it is not to be understood."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    weather(world, BOOKS, Fault(kind="lost_answer", method="POST", path=r"/payment\?", count=4))
    through = world.exchanges[BOOKS]

    def garbled(request: HttpRequest) -> HttpResponse:
        unreadable(world, "soon")
        return through(request)

    world.exchanges[BOOKS] = garbled
    pay(world, invoice, "50.00")
    for _ in range(4):
        await world.next_sweep()
        await world.settle(patience=3600.0)
    return world


async def test_a_copy_that_cannot_be_read_is_not_made_again() -> None:
    """It counted as not there when it was looked for, and a second payment was booked under another mark."""
    world = await paid_and_unanswered()
    assert len(payments(world)) == 1
    assert [one.code for one in failing(world)] == ["bad_reply"]
    assert "cannot be read" in failing(world)[0].message


async def test_it_is_adopted_as_soon_as_it_can_be_read() -> None:
    """A person mends it, and asks for another try."""
    world = await paid_and_unanswered()
    world.exchanges[BOOKS] = world.lookalikes[BOOKS].respond
    unreadable(world, "2026-11-20")
    for one in world.db.read_now(failures.listing):
        world.db.run_now(lambda tx, f=one: retry(tx, world.hub, f.connection, [f.subject]))
    await world.settle(patience=3600.0)
    assert (held(world), failing(world), world.db.read_now(intents.all_open)) == ([], [], [])
    assert [one["due"] for one in shown(world, BOOKS)] == ["69.00"]
    assert len(payments(world)) == 1
