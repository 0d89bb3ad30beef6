"""Questions whose cause is gone: none stands without anything to be decided."""

from __future__ import annotations

import pytest

from core.model import holds
from core.model.policy import Rule
from tests.support.acting import agreeing, all_day, answer, change, edit_only, everybody, held, waiting, with_policy

pytestmark = pytest.mark.anyio


async def test_whoever_leaves_an_object_alone_is_not_asked_about_its_fields_any_more() -> None:
    """The name was taken, and a phone in conflict: with the first answer, nothing would ever come of the second."""
    world = await agreeing()
    world.config = with_policy(world.config, fields={"phone": Rule(flow="both")})
    world.start()
    edit_only(world, "quickbooks", {"phone": "+49301111111"})
    world.lookalikes["quickbooks"].edit("customer", None, {"name": "Taken"})
    await change(world, everybody(world)[0].external_id, name="Taken", phone="+49302222222")
    assert {(one.reason, one.field) for one in held(world)} == {(holds.NAME_TAKEN, ""), (holds.CONFLICT, "phone")}
    (hold,) = held(world, holds.NAME_TAKEN)
    await answer(world, hold, "leave")
    assert (held(world), waiting(world)) == ([], {})
    await all_day(world)
    assert (held(world), waiting(world)) == ([], {})
