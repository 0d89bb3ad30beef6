"""A copy that was made anew on request after the backup is found by a database that was put back."""

from __future__ import annotations

import pytest

from tests.integration.documents.test_restore import backed_up, put_back, put_back_as_of
from tests.support.acting import answer, failing, held
from tests.support.entities import EU, US, belongs, booked, company
from tests.support.paper import at_rest, bill, billing, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def deleted_and_made_anew(world: World, books: str, kind: str) -> str:
    """Somebody deletes the one copy of a kind, and a person has it made again: the id of the new one."""
    lookalike = world.lookalikes[books]
    (first,) = lookalike.neutral(kind)
    lookalike.delete(kind, first)
    await world.next_sweep()
    for hold in held(world, "remote_gone"):
        await answer(world, hold, "recreate")
    await world.next_sweep()
    (second,) = lookalike.neutral(kind)
    return second


@pytest.mark.parametrize("kind", ["invoice", "payment"])
async def test_a_copy_that_was_made_anew_is_found_where_the_older_database_knows_of_none(kind: str) -> None:
    """Only the first one was looked for: a payment was booked twice; an invoice was held, its number being taken."""
    world = await billing()
    backup = backed_up(world)
    invoice = bill(world)
    if kind == "payment":
        await world.next_sweep()
        backup = backed_up(world)
        pay(world, invoice, "19.00")
    await world.next_sweep()
    second = await deleted_and_made_anew(world, "quickbooks", kind)
    world.clock.time += 2 * 86_400
    if kind == "invoice":
        pay(world, invoice, "19.00")
    put_back(world, backup)
    await world.activate_all()
    await world.next_sweep()
    await world.settle(patience=7200.0)
    assert list(world.lookalikes["quickbooks"].neutral(kind)) == [second]
    assert [one["due"] for one in shown(world, "quickbooks")] == ["100.00"]
    assert (held(world), failing(world)) == ([], [])
    at_rest(world)


async def test_a_copy_that_was_made_anew_in_other_books_is_booked_in_no_second_ones() -> None:
    """Its customer is another entity's by now, whose books looked for the first one only."""
    world = await company(ada="us")
    backup = backed_up(world)
    bill(world)
    await world.next_sweep()
    await deleted_and_made_anew(world, US, "invoice")
    await put_back_as_of(world, backup, "eu")
    await world.activate_all(EU)
    assert booked(world) == {US: ["119.00"], EU: []}
    await world.activate_all(US)
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: []}
    assert [(one.connection, one.reason) for one in held(world)] == [(US, "entity_changed")]


async def test_a_copy_that_came_back_to_its_books_is_found_there() -> None:
    """Its customer was another entity's for a while, and a person had it booked anew each time."""
    world = await company(ada="us")
    backup = backed_up(world)
    bill(world)
    await world.next_sweep()
    for books, entity in ((US, "eu"), (EU, "us")):
        belongs(world, "ada", entity)
        await world.next_sweep()
        (copy,) = world.lookalikes[books].neutral("invoice")
        world.lookalikes[books].delete("invoice", copy)
        (asked,) = held(world)
        await answer(world, asked, "rebook")
    assert booked(world) == {US: ["119.00"], EU: []}
    await put_back_as_of(world, backup, "us")
    await world.activate_all(US, EU)
    await world.next_sweep()
    await world.settle(patience=7200.0)
    assert booked(world) == {US: ["119.00"], EU: []}
    assert (held(world), failing(world)) == ([], [])
