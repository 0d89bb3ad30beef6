"""More metadata keys than a provider holds, or than it is to get."""

from __future__ import annotations

from functools import partial

import msgspec
import pytest

from core.errors import InvalidInputError
from core.model.validate import MAX_METADATA_KEYS
from core.model.values import Value
from core.store import holds, mappings
from core.sync import registry
from core.sync.metadata import refresh_metadata
from tests.support.acting import agreeing, all_day, change, everybody, mapped, with_policy
from tests.support.world import World

ROOM = 48
"""Stripe's fifty keys less Accord's own two."""


def keys_at_stripe(world: World) -> set[str]:
    """Metadata keys of the one customer there, Accord's own aside."""
    (fields,) = world.neutral("stripe").values()
    return {name for name, value in fields.items() if name.startswith("metadata.") and value}


def held_at_stripe(world: World) -> set[str]:
    """Fields that wait for a person there."""
    found = world.db.read_now(holds.listing)
    assert {one.reason for one in found} <= {"unrepresentable"}
    return {one.field for one in found if one.connection == "stripe"}


@pytest.mark.anyio
async def test_keys_beyond_the_limit_are_held_and_the_rest_arrives() -> None:
    """Stripe refuses a customer with a fifty-first metadata key: name, e-mail and all."""
    world = World()
    await world.activate_all()
    names = [f"metadata.k{number:02}" for number in range(ROOM + 2)]
    fields: dict[str, Value] = {"name": "Ada Lovelace", "email": "ada@example.test", **dict.fromkeys(names, "x")}
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "ada", fields, actor="test", trace=""))
    await world.settle()
    (there,) = world.neutral("stripe").values()
    assert there["email"] == "ada@example.test"
    assert keys_at_stripe(world) == set(names[:ROOM])
    assert held_at_stripe(world) == set(names[ROOM:])

    # a key nobody needs any more makes room for the next one, in one write
    world.db.run_now(lambda tx: registry.update(tx, world.hub, "ada", {names[0]: None}, actor="test", trace=""))
    before = world.writes("stripe")
    await world.settle()
    assert keys_at_stripe(world) == set(names[1 : ROOM + 1])
    assert held_at_stripe(world) == {names[-1]}
    assert world.writes("stripe") == before + 1

    # and what is held is not tried again and again
    world.clock.time += 90_000
    await world.settle()
    assert world.writes("stripe") == before + 1


@pytest.mark.anyio
@pytest.mark.parametrize(("key", "flow"), [("segment", "off"), ("segment", "in"), ("k" * 60, "both")])
async def test_a_key_that_stripe_is_not_to_get_is_not_looked_for_there_every_hour(key: str, flow: str) -> None:
    """Policy keeps it back, or a person is asked about it: each hour cost a read of each customer, of a month's."""
    world = await agreeing()
    world.config = with_policy(world.config, "stripe", flows={f"metadata.{key}": flow})
    world.start()
    await world.settle()
    (ada,) = everybody(world)
    await change(world, ada.external_id, **{f"metadata.{key}": "gold"})
    assert held_at_stripe(world) == ({f"metadata.{key}"} if flow == "both" else set())
    await all_day(world)
    assert await refresh_metadata(world.hub, world.hub.connections["stripe"]) == 0


@pytest.mark.anyio
async def test_a_key_beside_one_that_is_asked_about_gets_there_with_the_next_look() -> None:
    """What is held keeps no other key from being looked after."""
    world = await agreeing()
    (ada,) = everybody(world)
    await change(world, ada.external_id, **{f"metadata.{'k' * 60}": "gold", "metadata.segment": "gold"})
    (row,) = mapped(world, "stripe")
    never = {name: pair for name, pair in row.base.items() if name != "metadata.segment"}
    world.db.run_now(lambda tx: mappings.update(tx, [msgspec.structs.replace(row, base=never)]))
    assert await refresh_metadata(world.hub, world.hub.connections["stripe"]) == 1
    await world.settle()
    assert "metadata.segment" in mapped(world, "stripe")[0].base
    assert await refresh_metadata(world.hub, world.hub.connections["stripe"]) == 0


def test_a_person_adds_no_more_keys_than_a_record_holds_and_a_provider_s_stay() -> None:
    """A program that made a key of every order grew one customer until nothing could read it."""
    world = World()
    full: dict[str, Value] = {f"metadata.k{number:03}": "x" for number in range(MAX_METADATA_KEYS)}

    def enter(name: str, fields: dict[str, Value]) -> None:
        world.db.run_now(lambda tx: registry.create(tx, world.hub, name, fields, actor="test", trace=""))

    def edit(fields: dict[str, Value]) -> None:
        world.db.run_now(lambda tx: registry.update(tx, world.hub, "ada", fields, actor="test", trace=""))

    enter("ada", full)
    for refused in (partial(enter, "bob", {**full, "metadata.more": "x"}), partial(edit, {"metadata.more": "x"})):
        with pytest.raises(InvalidInputError, match=r"would have 201 keys \(limit: 200 keys\); clear keys") as caught:
            refused()
        assert caught.value.field == "metadata"
    edit({"metadata.k000": None, "metadata.more": "x"})
    here = world.db.read_now(lambda tx: registry.get(tx, "ada"))
    many: dict[str, Value] = {f"metadata.p{number}": "x" for number in range(9)}
    world.db.run_now(lambda tx: registry.put(tx, world.hub, here, many, actor="stripe", trace="", action="pull"))
    edit({"name": "Ada Lovelace", "metadata.p1": "y", "metadata.p2": None})
    here = world.db.read_now(lambda tx: registry.get(tx, "ada"))
    assert here.fields["metadata.p1"] == "y", "what a provider brought is kept, and may be changed"
