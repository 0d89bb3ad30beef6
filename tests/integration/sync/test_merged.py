"""Objects that were merged at their provider, where one of them was let go of before."""

from __future__ import annotations

import pytest

from core.sync.linking import unlink
from tests.support.acting import all_day, everybody, held, mapped, waiting
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
    survivor = world.lookalikes["hubspot"].merge("customer", ada, bob)  # type: ignore[attr-defined]
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
    world.lookalikes["hubspot"].merge("customer", other, bob)  # type: ignore[attr-defined]
    for _ in range(2):
        await all_day(world)
    assert [one.remote_id for one in mapped(world, "hubspot") if one.state == "excluded"] == [bob]
    assert (held(world), waiting(world)) == ([], {})
