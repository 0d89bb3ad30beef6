"""The main job on every database that Accord runs on."""

from __future__ import annotations

import pytest

from core.store import holds, intents
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


async def test_three_systems_agree_and_stay_silent_on_every_database(database_url: str) -> None:
    """SQLite by default, PostgreSQL by URL: the same outcome."""
    world = World(url=database_url)
    try:
        world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
        world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada King", "email": "Ada@example.test"})
        world.lookalikes["quickbooks"].edit("customer", None, {"name": "Lukas & Sons", "phone": "+4930123456"})
        await world.activate_all()
        (remote_id,) = [one for one, fields in world.neutral("quickbooks").items() if fields["phone"] == "+4930123456"]
        world.lookalikes["quickbooks"].edit("customer", remote_id, {"phone": "+4930654321"})
        await world.next_sweep()
        written = {name: world.writes(name) for name in NAMES}
        world.clock.time += 90_000
        await world.settle()

        for name in NAMES:
            shown = {one["name"]: one["phone"] for one in world.neutral(name).values()}
            assert shown == {"Ada King": None, "Lukas & Sons": "+4930654321"}, name
        assert {name: world.writes(name) for name in NAMES} == written
        assert world.db.read_now(holds.listing) == []
        assert world.db.read_now(intents.all_open) == []
    finally:
        world.db.close()
