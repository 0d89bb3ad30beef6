"""One customer, three systems, both ways."""

from __future__ import annotations

from functools import partial

import pytest

from core.store import customers, holds
from core.sync import registry
from core.sync.answers import answer
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


async def test_a_deleted_customer_does_not_rise_again() -> None:
    """Its remote objects are left alone, and left out, however often they are listed."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    (one,) = world.db.read_now(lambda tx: customers.listing(tx))
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, one.external_id, actor="test", trace=""))
    for _ in range(3):
        world.clock.time += 90_000
        await world.settle()
    assert world.db.read_now(lambda tx: customers.count(tx)) == 0
    assert world.db.read_now(lambda tx: holds.listing(tx)) == []
    assert [len(world.neutral(name)) for name in NAMES] == [1, 1, 1]


async def test_more_creates_than_announced_wait_for_a_person() -> None:
    """Two hundred and one new objects that no plan announced are a mass change; approved, they are made."""
    world = World()
    await world.activate_all()
    for number in range(201):
        changes = {"name": f"Person Number{number}", "email": f"person{number}@example.test"}
        world.lookalikes["hubspot"].edit("customer", None, changes)
    world.clock.time += 90_000
    await world.settle()
    held = [one for one in world.db.read_now(lambda tx: holds.listing(tx)) if one.reason == "mass_change"]
    assert {one.connection for one in held} == {"stripe", "quickbooks"}
    assert len(world.neutral("stripe")) <= 200
    for one in held:
        world.db.run_now(partial(answer, hub=world.hub, hold_id=one.id, choice="approve", actor="test"))
    await world.settle()
    assert [len(world.neutral(name)) for name in NAMES] == [201, 201, 201]
