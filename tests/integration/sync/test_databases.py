"""The main job on every database that Accord runs on."""

from __future__ import annotations

import json
from functools import partial

import pytest

from core.model import holds
from core.store import inbox, intents
from core.store.inbox import Letter
from core.sync import registry
from tests.support.acting import all_day, answer, edit_only, everybody, held, mapped, waiting, with_policy
from tests.support.world import NAMES, World, config_of

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
        assert held(world) == []
        assert world.db.read_now(intents.all_open) == []
    finally:
        world.db.close()


async def test_objects_follow_their_customers_on_every_database(database_url: str) -> None:
    """One at once, many after a person's word; a question about one ends when the object is archived by hand."""
    config = with_policy(config_of(NAMES), "hubspot", when_archived="archive")
    world = World(url=database_url, config=config)
    try:
        for number in range(9):
            fields = {"name": f"Person Number{number}", "email": f"person{number}@example.test"}
            world.lookalikes["hubspot"].edit("customer", None, fields)
        await world.activate_all()
        everyone = {one.external_id for one in everybody(world)}
        remote_id = next(row.remote_id for row in mapped(world, "hubspot"))
        assert remote_id is not None
        (asked,) = [one.external_id for one in everybody(world) if remote_id in one.external_id]
        edit_only(world, "hubspot", {"phone": "+4930777"}, remote_id)
        await _archive(world, asked)
        (hold,) = held(world)
        assert hold.reason == holds.NOT_ARCHIVED
        world.lookalikes["hubspot"].delete("customer", str(remote_id))
        await all_day(world)
        assert (held(world), len(world.neutral("hubspot"))) == ([], 8)
        await _archive(world, *sorted(everyone - {asked}))
        (hold,) = held(world)
        assert (hold.reason, len(world.neutral("hubspot"))) == (holds.MASS_CHANGE, 8)
        await answer(world, hold, "reject")
        await all_day(world)
        assert (held(world), len(world.neutral("hubspot")), sum(waiting(world).values())) == ([], 8, 0)
    finally:
        world.db.close()


async def _archive(world: World, *names: str) -> None:
    for one in names:
        world.db.run_now(partial(registry.archive, hub=world.hub, external_id=one, actor="ann", trace="t"))
    await world.settle()


async def test_a_delivery_whose_id_no_database_holds_keeps_no_other_from_being_read(database_url: str) -> None:
    """PostgreSQL refused it, again and again: the lane did nothing else any more."""
    world = World(url=database_url)
    try:
        world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
        await world.activate_all()
        (remote_id,) = world.neutral("quickbooks")
        world.lookalikes["quickbooks"].edit("customer", remote_id, {"phone": "+4930123456"})
        now = world.clock.now()
        letters = [
            Letter(connection="quickbooks", dedupe_key=f"letter {number}", body=_told(name), received_at=now, trace="t")
            for number, name in enumerate(("1\0", remote_id))
        ]
        world.db.run_now(lambda tx: inbox.add(tx, letters))
        await world.lanes.run("quickbooks")
        world.clock.time += 10
        await world.settle()
        assert [one["phone"] for one in world.neutral("stripe").values()] == ["+4930123456"]
        (poison,) = world.db.read_now(lambda tx: inbox.poisoned(tx, 10))
        assert poison.problem == "it names an object by an id with U+0000 in it; no id has that"
    finally:
        world.db.close()


def _told(remote_id: str) -> bytes:
    event = {"specversion": "1.0", "id": f"e{len(remote_id)}", "type": "qbo.customer.updated.v1"}
    return json.dumps([event | {"intuitentityid": remote_id, "intuitaccountid": "9341453908059321"}]).encode()
