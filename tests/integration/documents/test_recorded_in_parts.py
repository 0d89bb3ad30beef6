"""One payment here, and the same money in several records elsewhere: it settled twice as much, and nobody was asked."""

from __future__ import annotations

import pytest

from core.sync.documents.telling import overview
from tests.integration.documents.test_payments_at_copies import BACK, billed, busy
from tests.support.acting import answer, everybody, held
from tests.support.paper import an_hour_later, at_rest, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio
TWICE = "nothing is booked twice"


async def in_parts(*parts: str, day: str = "2026-11-21") -> tuple[World, str, list[str]]:
    """50.00 came in at Stripe, and as these parts in the books. With what is of Stripe's, and of the books'."""
    world, invoice, copy = await billed(BACK)
    busy(world)
    theirs = [pay(world, copy, part, "quickbooks", received_on=day) for part in parts]
    ours = pay(world, invoice, "50.00")
    for _ in range(2):
        await world.next_sweep()
    return world, ours, theirs


def due(world: World) -> list[str]:
    """What is due of the invoice at Stripe, and of its copy in the books."""
    return [str(one["due"]) for name in ("stripe", "quickbooks") for one in shown(world, name)]


async def test_a_payment_and_two_that_come_to_it_are_copied_to_neither_side() -> None:
    """Each of the three says with what it may be one."""
    world, ours, theirs = await in_parts("30.00", "20.00")
    assert due(world) == ["69.00", "69.00"]
    asked = held(world)
    assert [one.detail["limit"] for one in asked] == [TWICE] * 3
    assert sorted(one.connection for one in asked) == ["quickbooks", "stripe", "stripe"]
    (of_ours,) = [str(one.detail["problem"]) for one in asked if one.connection == "quickbooks"]
    named = [f"a payment of its own, {one}, of {part}.00 USD" for one, part in zip(theirs, (30, 20), strict=True)]
    assert sum(one in of_ours for one in named) == 1
    assert of_ours.endswith("it, with others that come to one sum, may be the same")
    assert all(ours in str(one.detail["problem"]) for one in asked if one.connection == "stripe")


async def test_parts_that_are_voided_make_room_for_the_whole() -> None:
    """And the other way round: whichever of the two a person says was the one too many."""
    world, _, theirs = await in_parts("30.00", "20.00")
    for one in theirs:
        world.lookalikes["quickbooks"].edit("payment", one, {"status": "void"})
    await world.next_sweep()
    await an_hour_later(world)
    assert held(world) == []
    assert due(world) == ["69.00", "69.00"]


@pytest.mark.parametrize(("parts", "day"), [(("30.00", "19.00"), "2026-11-21"), (("30.00", "20.00"), "2026-11-28")])
async def test_parts_that_come_to_something_else_or_are_of_another_week_are_payments_of_their_own(
    parts: tuple[str, ...], day: str
) -> None:
    """Nobody is asked, and each stands once on either side."""
    world, *_ = await in_parts(*parts, day=day)
    await an_hour_later(world)
    at_rest(world)
    assert due(world) == (["20.00", "20.00"] if parts[1] == "19.00" else ["19.00", "19.00"])


async def test_what_is_recorded_in_parts_counts_once_in_an_overview() -> None:
    """Also when all of it is left as it is."""
    world, *_ = await in_parts("30.00", "20.00")
    for one in held(world):
        await answer(world, one, "leave")
    (ada,) = everybody(world)
    (told,) = world.db.read_now(lambda tx: overview(tx, world.hub, ada.external_id, with_children=False))
    assert (told["paid"], told["outstanding"]) == ("50.00", "69.00")


async def test_of_very_many_records_it_is_not_looked_for_which_of_them_come_to_one() -> None:
    """The search would last longer with each: nine parts of one payment are nine payments."""
    world, *_ = await in_parts(*["5.00"] * 8, "10.00")
    assert held(world, "rejected") == []
