"""A write that went unanswered may land long after it was sent: it is looked for when it cannot any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from core.errors import StorageError
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import Fault
from core.store.database import Tx
from tests.integration.documents.test_batches import settled
from tests.integration.sync.test_found_by_simulation import weather
from tests.support.acting import held
from tests.support.crashes import Crash
from tests.support.paper import at_rest, bill, billing, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio

T = TypeVar("T")

BOOKS = "quickbooks"
TIMEOUT = 30.0
NEVER = 1e9
MANY = 80
"""More than two requests take."""


def waits_it_out(world: World, slow: str = "") -> None:
    """Whatever is not answered takes as long as the client waits; so nearly does what has `slow` in its address."""
    plain = world.exchanges[BOOKS]

    def exchange(request: HttpRequest) -> HttpResponse:
        try:
            response = plain(request)
        except OSError:
            world.clock.time += TIMEOUT
            raise
        if slow and slow in request.url:
            world.clock.time += TIMEOUT - 1
        return response

    world.exchanges[BOOKS] = exchange


async def long_after(world: World) -> None:
    """Whatever was under way has landed, and is looked at."""
    for _ in range(2):
        await settled(world)
        world.clock.time += 900


async def test_a_payment_is_not_booked_twice_when_the_last_of_several_tries_lands_late() -> None:
    """Its time was counted from the first one: it was looked for while the last was under way, and made once more."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "50.00")
    path = r"/payment\?requestid"
    lost = Fault(kind="slow", method="POST", path=path, count=3, seconds=NEVER)
    weather(world, BOOKS, lost, Fault(kind="slow", method="POST", path=path, count=1, seconds=140.0))
    waits_it_out(world)
    await long_after(world)
    assert [one["amount"] for one in shown(world, BOOKS, "payment")] == ["50.00"]
    assert [one["due"] for one in shown(world, BOOKS)] == ["69.00"]
    at_rest(world)


async def test_a_payment_that_lands_after_it_was_looked_for_and_made_again_is_asked_about() -> None:
    """Two carry one mark then, and the copy is known: what is due of the invoice in the books tells of the other."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "50.00")
    path = r"/payment\?requestid"
    weather(world, BOOKS, Fault(kind="slow", method="POST", path=path, count=4, seconds=2_700.0))
    waits_it_out(world)
    await long_after(world)
    assert len(shown(world, BOOKS, "payment")) == 1
    await long_after(world)
    assert [one["due"] for one in shown(world, BOOKS)] == ["19.00"]
    (asked,) = held(world)
    assert (asked.reason, asked.detail["others"]) == ("balance_differs", ["payment 3 of 50.00 USD, 2026-11-20"])


async def paid_in_parts() -> World:
    """Payments at Stripe that are to be copied; the second request that makes some of them lands late."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    for _ in range(MANY):
        pay(world, invoice, "1.00")
    late = Fault(kind="slow", method="POST", path=r"/batch\?", nth=2, count=1, seconds=140.0)
    weather(world, BOOKS, late)
    return world


async def test_copies_whose_request_waited_for_others_are_looked_for_as_late_as_these() -> None:
    """Their time was counted from when all of them were decided on, and requests go one after the other."""
    world = await paid_in_parts()
    waits_it_out(world, slow="/batch?")
    await long_after(world)
    assert len(shown(world, BOOKS, "payment")) == MANY
    at_rest(world)


@pytest.mark.parametrize("is_restarted", [True, False])
async def test_copies_under_way_when_the_process_or_its_lane_ended_are_looked_for_late(*, is_restarted: bool) -> None:
    """Nobody knows any more when the last of them was sent: perhaps a moment ago. An unreachable database cuts off."""
    world = await paid_in_parts()
    waits_it_out(world, slow="/batch?")
    whole = world.exchanges[BOOKS]

    def exchange(request: HttpRequest) -> HttpResponse:
        try:
            return whole(request)
        except TimeoutError as error:
            world.clock.time -= TIMEOUT
            raise Crash from error

    world.exchanges[BOOKS] = exchange
    with pytest.raises(Crash):
        await settled(world)
    world.exchanges[BOOKS] = whole
    if is_restarted:
        world.start()
    await long_after(world)
    assert len(shown(world, BOOKS, "payment")) == MANY
    at_rest(world)


async def test_copies_whose_time_was_out_while_the_database_was_away_are_looked_for_late() -> None:
    """That nobody had answered could not be kept; their time was counted from when they were decided on."""
    world = await paid_in_parts()
    waits_it_out(world, slow="/batch?")
    whole, run, away = world.exchanges[BOOKS], world.db.run_now, list[bool]()

    def exchange(request: HttpRequest) -> HttpResponse:
        try:
            return whole(request)
        except TimeoutError:
            away.append(True)
            raise

    def run_if_there(change: Callable[[Tx], T]) -> T:
        if away:
            raise StorageError("the server closed the connection")
        return run(change)

    world.exchanges[BOOKS] = exchange
    world.db.run_now = run_if_there  # type: ignore[assignment, method-assign]  # a server goes where no port stands
    with pytest.raises(StorageError):
        await settled(world)
    away.clear()
    world.exchanges[BOOKS] = whole
    await long_after(world)
    assert len(shown(world, BOOKS, "payment")) == MANY
    at_rest(world)
