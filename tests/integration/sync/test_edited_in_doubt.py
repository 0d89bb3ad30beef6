"""Somebody is edited while it is not known what became of the create: that makes nobody a second time."""

from __future__ import annotations

import pytest

from tests.integration.sync.test_creates_in_doubt import create_in_doubt
from tests.support.acting import ADA, change_only, everybody, held, waiting
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", NAMES)
async def test_an_edit_after_a_lost_create_makes_nobody_twice(name: str) -> None:
    """A key that is made of when somebody was last changed is another one by now, and makes another object."""
    world = World()
    await world.activate_all()
    await create_in_doubt(world, name, ADA, "lost_answer")
    (ada,) = everybody(world)
    change_only(world, ada.external_id, phone="+49301234567")
    for _ in range(4):
        await world.next_sweep()
    phones = {place: [one["phone"] for one in world.neutral(place).values()] for place in NAMES}
    assert phones == {place: ["+49301234567"] for place in NAMES}
    assert (len(everybody(world)), held(world), sum(waiting(world).values())) == (1, [], 0)
