"""Objects that were merged at their provider: one of them let go of before, or just being made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import AmbiguousError
from core.model import holds
from core.ports import HttpRequest, HttpResponse
from core.sync import registry
from core.sync.erasure import erase
from core.sync.linking import unlink
from tests.support.acting import all_day, answer, enter, everybody, held, mapped, waiting
from tests.support.lookalikes import hubspot_of
from tests.support.world import World

pytestmark = pytest.mark.anyio

OTHERS = [f"other{number}" for number in range(10)]
"""Enough of them, so that a listing without the object that was merged away is plausible."""


async def two_at_hubspot() -> tuple[World, str, str]:
    """Ada and Bob, in agreement everywhere with others."""
    world = World()
    ada, bob, *_ = [
        world.lookalikes["hubspot"].edit("customer", None, {"name": name, "email": f"{name}@example.test"})
        for name in ("ada", "bob", *OTHERS)
    ]
    await world.activate_all()
    return world, ada, bob


def untie(world: World, name: str) -> None:
    """Unlink the customer of that name at HubSpot."""
    (one,) = [one for one in everybody(world) if one.fields["name"] == name]
    world.db.run_now(lambda tx: unlink(tx, world.hub, one.external_id, "hubspot", actor="ann", trace="t"))


async def test_an_object_that_was_let_go_of_and_merged_into_a_customers_own_asks_nothing() -> None:
    """A person was asked whose it is, and each answer was followed by the same question."""
    world, ada, bob = await two_at_hubspot()
    untie(world, "bob")
    survivor = hubspot_of(world).merge("customer", ada, bob)
    await all_day(world)
    assert (held(world), waiting(world)) == ([], {})
    world.lookalikes["hubspot"].edit("customer", survivor, {"phone": "+49301111111"})
    await all_day(world)
    assert [one.fields["name"] for one in everybody(world) if "phone" in one.fields] == ["ada"]


async def test_an_object_that_was_let_go_of_is_not_tied_again_since_another_was_merged_with_it() -> None:
    """The survivor has a new id, and tells which ids it had: by that it was Bob's once more."""
    world, _, bob = await two_at_hubspot()
    untie(world, "bob")
    other = world.lookalikes["hubspot"].edit("customer", None, {"name": "Robert", "email": "robert@example.test"})
    hubspot_of(world).merge("customer", other, bob)
    for _ in range(2):
        await all_day(world)
    assert [one.remote_id for one in mapped(world, "hubspot") if one.state == "excluded"] == [bob]
    assert (held(world), waiting(world)) == ([], {})


async def test_an_object_that_was_merged_into_what_a_lost_create_made_takes_nobodys_values_along() -> None:
    """It became the customer's object before anybody knew whose it was: the other one's values went everywhere."""
    world, ada, _ = await two_at_hubspot()
    hubspot, plain = hubspot_of(world), world.exchanges["hubspot"]
    known = {*world.neutral("hubspot")}

    def exchange(request: HttpRequest) -> HttpResponse:
        response = plain(request)
        if made := {*world.neutral("hubspot")} - known:
            world.exchanges["hubspot"] = plain
            (double,) = made
            hubspot.merge("customer", double, ada)
            raise AmbiguousError("the answer got lost")
        return response

    world.exchanges["hubspot"] = exchange
    await enter(world, "eve", name="Eve", email="eve@example.test")
    await all_day(world)
    asked = held(world, holds.MERGED)
    assert len(asked) == len(held(world)) == 2
    names = sorted(str(one.fields["name"]) for one in everybody(world))
    assert names == sorted(["ada", "bob", "Eve", *OTHERS])
    for name in ("stripe", "quickbooks"):
        assert sorted(str(one["name"]) for one in world.neutral(name).values()) == names
    (of_ada,) = [one for one in asked if one.detail["remote_id"] == ada]
    await answer(world, of_ada, "unlink")
    await all_day(world)
    assert (held(world), waiting(world)) == ([], {})
    assert sorted(str(one.fields["name"]) for one in everybody(world)) == names


def archived(world: World, external_id: str) -> object:
    """Bob's customer is deleted."""
    return world.db.run_now(lambda tx: registry.archive(tx, world.hub, external_id, actor="ann", trace="t"))


def unlinked(world: World, external_id: str) -> object:
    """Bob is let go of at HubSpot, by hand."""
    return world.db.run_now(lambda tx: unlink(tx, world.hub, external_id, "hubspot", actor="ann", trace="t"))


def erased(world: World, external_id: str) -> object:
    """Bob is forgotten."""
    return world.db.run_now(lambda tx: erase(tx, world.hub, external_id, actor="ann", trace="t"))


@pytest.mark.parametrize("end", [archived, unlinked, erased])
async def test_who_is_left_of_two_that_were_merged_is_asked_no_more(end: Callable[[World, str], object]) -> None:
    """Nobody looked at it again before the next full sweep: until then nothing flowed, and the question stood."""
    world, ada, bob = await two_at_hubspot()
    names = {one.id: str(one.fields["name"]) for one in everybody(world)}
    survivor = hubspot_of(world).merge("customer", ada, bob)
    await all_day(world)
    asked = {names[one.record_id or ""] for one in held(world, holds.MERGED)}
    assert asked == {"ada", "bob"}
    (moved,) = [names[one.record_id] for one in mapped(world, "hubspot") if one.remote_id == survivor]
    (left,) = {"ada", "bob"} - {moved}
    (gone,) = [one for one in everybody(world) if one.fields["name"] == left]
    end(world, gone.external_id)
    await world.settle()
    assert held(world) == []
    (row,) = [one for one in mapped(world, "hubspot") if one.remote_id == survivor]
    assert (names[row.record_id], row.state) == (moved, "live")
    world.lookalikes["hubspot"].edit("customer", survivor, {"phone": "+49301111111"})
    await world.next_sweep()
    assert [one.fields["name"] for one in everybody(world) if "phone" in one.fields] == [moved]


@pytest.mark.parametrize("end", [archived, erased])
async def test_who_was_merged_away_gets_the_survivor_of_a_customer_that_ended(
    end: Callable[[World, str], object],
) -> None:
    """It was gone, and asked about, until the next full sweep."""
    world, ada, bob = await two_at_hubspot()
    names = {one.id: str(one.fields["name"]) for one in everybody(world)}
    survivor = hubspot_of(world).merge("customer", ada, bob)
    await all_day(world)
    (moved,) = [one.record_id for one in mapped(world, "hubspot") if one.remote_id == survivor]
    (other,) = {"ada", "bob"} - {names[moved]}
    (gone,) = [one for one in everybody(world) if one.id == moved]
    end(world, gone.external_id)
    await world.settle()
    assert held(world, holds.MERGED) == []
    (row,) = [one for one in mapped(world, "hubspot") if names[one.record_id] == other]
    assert (row.remote_id, row.state) == (survivor, "live")


async def test_an_object_that_was_merged_into_one_that_is_deleted_since_is_asked_about_as_gone() -> None:
    """It was asked about as merged for good, into an object that is not there, and could not be made anew."""
    world, ada, bob = await two_at_hubspot()
    survivor = hubspot_of(world).merge("customer", ada, bob)
    await all_day(world)
    assert len(held(world, holds.MERGED)) == 2
    world.lookalikes["hubspot"].delete("customer", survivor)
    await all_day(world)
    assert [one.reason for one in held(world)] == [holds.REMOTE_GONE] * 2
