"""One customer, three systems, both ways."""

from __future__ import annotations

import pytest

from core.store import holds
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


async def test_a_customer_born_at_stripe_reaches_the_other_two() -> None:
    """The main job, in its smallest form."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    for name in NAMES:
        names = [one["name"] for one in world.neutral(name).values()]
        assert names == ["Ada Lovelace"], name


async def test_an_edit_in_any_system_reaches_the_other_two() -> None:
    """Both ways, by the next sweep, with webhooks off."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    for number, name in enumerate(NAMES):
        (remote_id,) = world.neutral(name)
        world.lookalikes[name].edit("customer", remote_id, {"phone": f"+4930123450{number}"})
        world.clock.time += 3600
        await world.settle()
        phones = {other: [one["phone"] for one in world.neutral(other).values()] for other in NAMES}
        assert phones == {other: [f"+4930123450{number}"] for other in NAMES}, name


async def test_a_second_pass_writes_nothing() -> None:
    """Silence: from agreement, sweeps write nothing anywhere."""
    world = World()
    for number in range(30):
        world.lookalikes["hubspot"].edit(
            "customer", None, {"name": f"Person Number{number}", "email": f"Person{number}@Example.test"}
        )
    await world.activate_all()
    before = {name: world.writes(name) for name in NAMES}
    assert before["stripe"] == 30
    for _ in range(3):
        await world.next_sweep()
    world.clock.time += 90000
    await world.settle()
    assert {name: world.writes(name) for name in NAMES} == before
    assert world.db.read_now(lambda tx: holds.listing(tx)) == []
