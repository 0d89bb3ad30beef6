"""A connection whose credentials are gone says so; the others do not notice."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from core.errors import StorageError
from core.store import connections
from core.sync.explain import status
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_tokens_lost_between_the_provider_and_the_vault_call_for_a_person(tmp_path: object) -> None:
    """QuickBooks rotated the refresh token and the process died before it was stored: nothing can bring it back."""
    world = World(url=f"sqlite:///{tmp_path}/accord.sqlite3")
    stripe = world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    world.clock.time += 3600
    vault = world.vaults["quickbooks"]
    before, save = dict(vault.values), vault.save

    async def lose(values: Mapping[str, str]) -> None:
        del values
        raise StorageError("nothing can be stored, until the process dies")

    vault.save = lose  # type: ignore[method-assign]  # the very vault that the running hub has
    world.lookalikes["stripe"].edit("customer", stripe, {"phone": "+4930123456"})
    await world.next_sweep()
    vault.save = save  # type: ignore[method-assign]  # see above
    assert vault.values == before
    world.start()
    world.clock.time += 3600
    await world.next_sweep()

    rows = {one.name: one for one in world.db.read_now(connections.every)}
    assert {name: one.state for name, one in rows.items()} == {
        "stripe": "active",
        "hubspot": "active",
        "quickbooks": "reauthorize",
    }
    told = world.db.read_now(lambda tx: status(tx, world.hub))["connections"]
    assert "`accord connect quickbooks`" in next(one["error"] for one in told if one["connection"] == "quickbooks")
    assert [one.get("phone") for one in world.neutral("hubspot").values()] == ["+4930123456"]
    assert [one.get("phone") for one in world.neutral("quickbooks").values()] == [None]
