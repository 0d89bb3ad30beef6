"""Properties of ours that somebody archives at HubSpot: their values were cleared by nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.file import AccordConfig
from connectors.hubspot.sandbox.definitions import MAX_CUSTOM
from core.errors import PlaceError
from core.model.holds import UNREPRESENTABLE
from core.store import connections
from core.sync.metadata import refresh_metadata
from tests.support.acting import all_day, change, edit_only, enter, everybody, failing, held, waiting
from tests.support.lookalikes import hubspot_of
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio

ADA = {"name": "Ada Lovelace", "email": "ada@example.test", "legal_name": "Lovelace Ltd", "phone": "+493011111111"}


async def agreed() -> World:
    """Ada, the same everywhere."""
    world = World()
    await world.activate_all()
    await enter(world, "ada", **ADA)
    return world


def listing(*keys: str) -> AccordConfig:
    """These metadata keys, and no others, are written to HubSpot."""
    config = config_of(NAMES)
    listed = replace(config.connections["hubspot"], metadata_keys=keys)
    return replace(config, connections={**config.connections, "hubspot": listed})


def fill(world: World) -> None:
    """Other programs of the account use up all properties that contacts may have."""
    table = hubspot_of(world)._state.tables["contact"]
    room = MAX_CUSTOM - len(table.definitions) + table._built_in
    table.define_by_hand([f"theirs_{number}" for number in range(room)])


def archive(world: World, *names: str) -> None:
    """An administrator archives properties of contacts."""
    for name in names:
        hubspot_of(world).archive_property("contact", name)


def ours(world: World) -> list[str]:
    """All properties of contacts that Accord has made."""
    definitions = hubspot_of(world)._state.tables["contact"].definitions
    return [name for name in definitions if name.startswith("accord_")]


async def test_who_archives_all_properties_of_ours_clears_no_value_anywhere() -> None:
    """Without our marker the account looked as if nothing was made yet: whoever was edited next lost their values."""
    world = await agreed()
    archive(world, *ours(world))
    edit_only(world, "hubspot", {"phone": "+493022222222"})
    await world.next_sweep()
    await all_day(world)
    (ada,) = everybody(world)
    assert (ada.fields["legal_name"], ada.fields["phone"]) == ("Lovelace Ltd", "+493022222222")
    (there,) = world.neutral("quickbooks").values()
    assert there["legal_name"] == "Lovelace Ltd"


async def test_an_edit_of_a_field_whose_property_was_archived_is_held_alone_until_it_is_back() -> None:
    """Nothing told that it was not written, for ever; and what is written beside it must not wait for it."""
    world = await agreed()
    archive(world, "accord_legal_name")
    await change(world, "ada", legal_name="Lovelace GmbH", phone="+493033333333")
    (there,) = world.neutral("hubspot").values()
    assert there["phone"] == "+493033333333"
    assert [(one.connection, one.field, one.reason) for one in held(world)] == [
        ("hubspot", "legal_name", UNREPRESENTABLE)
    ]
    world.start()  # which makes what is missing
    await all_day(world)
    (there,) = world.neutral("hubspot").values()
    assert there["legal_name"] == "Lovelace GmbH"
    assert (held(world), waiting(world), failing(world)) == ([], {}, [])


async def test_who_could_not_be_made_without_a_property_is_made_once_it_is_back() -> None:
    """The hold names the cure, `accord sync --kind metadata`; it made the property, and nobody was created."""
    world = await agreed()
    archive(world, "accord_legal_name")
    await enter(world, "bea", **{**ADA, "name": "Bea Ball", "email": "bea@example.test"})
    assert [(one.reason, one.detail["field"]) for one in held(world)] == [("rejected", "accord_legal_name")]
    await refresh_metadata(world.hub, world.hub.connections["hubspot"])
    await world.settle()
    assert sorted(one["name"] for one in world.neutral("hubspot").values()) == ["Ada Lovelace", "Bea Ball"]
    assert (held(world), waiting(world), failing(world)) == ([], {}, [])


async def test_a_metadata_key_that_hubspot_has_no_name_for_is_held() -> None:
    """It was allow-listed, so that whoever set it counted on it; nobody was told that it was written nowhere."""
    key = "customer_segment_of_the_annual_review_by_the_board_of_directors_in_berlin_and_in_the_other_offices"
    world = World(config=listing(key))
    await world.activate_all()
    await enter(world, "ada", **ADA)
    await change(world, "ada", **{f"metadata.{key}": "gold"})
    await all_day(world)
    told = [one for one in held(world) if one.connection == "hubspot"]
    assert [(one.field, one.reason) for one in told] == [(f"metadata.{key}", UNREPRESENTABLE)]


async def test_a_property_that_cannot_be_made_is_its_own_field_s_trouble_alone() -> None:
    """A thousand properties were there, one new key in `metadata_keys`: the whole connection was paused for ever."""
    world = World(config=listing())
    await world.activate_all()
    await enter(world, "ada", **ADA)
    fill(world)
    world.config = listing("tier")
    world.start()
    await change(world, "ada", phone="+493033333333", **{"metadata.tier": "gold"})
    await all_day(world)
    assert world.db.read_now(lambda tx: connections.get(tx, "hubspot")).error == ""
    (there,) = world.neutral("hubspot").values()
    assert there["phone"] == "+493033333333"
    assert [(one.field, one.reason) for one in held(world)] == [("metadata.tier", UNREPRESENTABLE)]
    with pytest.raises(PlaceError, match=r"accord_m_tier: .* at most 1000"):
        await refresh_metadata(world.hub, world.hub.connections["hubspot"])
    before = world.writes("hubspot")
    await all_day(world)
    assert world.writes("hubspot") == before

    archive(world, "theirs_1")
    await refresh_metadata(world.hub, world.hub.connections["hubspot"])
    await all_day(world)
    there = world.lookalikes["hubspot"].objects("customer")
    assert [one["properties"]["accord_m_tier"] for one in there.values()] == ["gold"]
    assert (held(world), waiting(world), failing(world)) == ([], {}, [])
