"""Creates that nobody answered: what people and providers do before it is known what became of them."""

from __future__ import annotations

import pytest

from tests.integration.sync.test_meanwhile import lost_create_found_two_days_later
from tests.support.acting import all_day, change, everybody, held
from tests.support.world import World

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("changes", [{"phone": "+49302222222"}, {"name": "Ada King"}])
async def test_an_edit_does_not_answer_whose_object_a_lost_create_made(changes: dict[str, str]) -> None:
    """The edited customer was made a second time, and its first object entered as another customer."""
    world = World()
    await lost_create_found_two_days_later(world, "Ada Lovelace")
    (made,) = world.neutral("quickbooks")
    (one,) = everybody(world)
    await change(world, one.external_id, **changes)
    await all_day(world)
    assert len(everybody(world)) == 1
    assert [*world.neutral("quickbooks")] == [made]
    (question,) = held(world)
    assert question.reason == "lost_create"
