"""Somebody makes by hand what is about to be created: what the provider keeps unique is one, else a person is asked."""

from __future__ import annotations

import pytest

from core.model import holds
from core.sync import registry
from tests.support.acting import ADA, all_day, answer, everybody, held, mapped, with_settings
from tests.support.world import World, config_of

pytestmark = pytest.mark.anyio


async def made_twice(name: str, world: World) -> str:
    """By hand there, not seen yet, and in the registry; a few days later. The one that was made by hand."""
    await world.activate_all()
    by_hand = world.lookalikes[name].edit("customer", None, ADA)
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "ada", ADA, actor="ann", trace="t"))
    await world.settle()
    for _ in range(2):
        await all_day(world)
    return by_hand


@pytest.mark.parametrize(("name", "settings"), [("stripe", {}), ("hubspot", {"untyped": "company"})])
async def test_who_is_there_twice_since_nothing_is_unique_there_is_asked_about(
    name: str, settings: dict[str, str]
) -> None:
    """Neither is written to, nor a customer made of it, before somebody has said whose it is."""
    world = World(config=with_settings(config_of(("stripe", "hubspot", "quickbooks")), name, **settings))
    by_hand = await made_twice(name, world)
    (hold,) = held(world)
    assert (hold.connection, hold.reason, hold.subject) == (name, holds.AMBIGUOUS_MATCH, f"r:{by_hand}")
    assert (len(world.neutral(name)), len(everybody(world))) == (2, 1)
    await answer(world, hold, "leave")
    await all_day(world)
    assert (held(world), len(everybody(world))) == ([], 1)


@pytest.mark.parametrize("name", ["hubspot", "quickbooks"])
async def test_who_has_a_unique_value_there_is_there_once(name: str) -> None:
    """A contact's e-mail, a name in the books: the create is refused, and it is found out who has it."""
    world = World()
    by_hand = await made_twice(name, world)
    assert ([*world.neutral(name)], [one.remote_id for one in mapped(world, name)]) == ([by_hand], [by_hand])
    assert (len(everybody(world)), held(world)) == (1, [])
