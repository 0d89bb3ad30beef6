"""Three systems that agree stay untouched, at ten thousand customers."""

from __future__ import annotations

import pytest

from core.store import customers, holds, journal
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

MANY = 10_000
DAY = 90_000


@pytest.mark.xdist_group("long")
async def test_idle_sweeps_over_ten_thousand_customers_write_nothing_three_times_running() -> None:
    """An endless rewrite of equal values costs allowances, hides real changes, and wakes people at night."""
    world = World()
    for number in range(MANY):
        name_, phone = f"Person Number{number}", f"+49301{number:06d}"
        everywhere = {"name": name_, "email": f"person{number}@example.test", "phone": phone}
        for name in NAMES:
            world.lookalikes[name].edit("customer", None, everywhere)
    await world.activate_all()

    assert world.db.read_now(customers.count) == MANY
    assert world.db.read_now(holds.listing) == []
    known = world.db.read_now(journal.last_id)
    written = {name: world.writes(name) for name in NAMES}
    reads = {name: world.lookalikes[name].reads for name in NAMES}
    for _ in range(3):
        world.clock.time += DAY
        await world.settle()

    assert {name: world.writes(name) for name in NAMES} == written
    assert world.db.read_now(journal.last_id) == known
    assert all(world.lookalikes[name].reads > reads[name] for name in NAMES)
