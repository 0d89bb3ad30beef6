"""Properties of ours that somebody archives at HubSpot: their values were cleared by nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from config.file import AccordConfig
from connectors.hubspot.sandbox.definitions import MAX_CUSTOM
from core.errors import PlaceError, RetryError
from core.model.holds import UNREPRESENTABLE
from core.model.policy import Rule
from core.ports import HttpRequest, HttpResponse
from core.store import connections
from core.sync.metadata import refresh_metadata
from tests.support.acting import (
    all_day,
    change,
    edit_only,
    enter,
    entries,
    everybody,
    failing,
    held,
    waiting,
    with_policy,
)
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


def fill(world: World, *, but: int = 0) -> None:
    """Other programs of the account use up all properties that contacts may have, `but` so many."""
    table = hubspot_of(world)._state.tables["contact"]
    room = MAX_CUSTOM - len(table.definitions) + table._built_in
    table.define_by_hand([f"theirs_{number}" for number in range(room - but)])


async def written_without_a_tier() -> World:
    """Ada's phone and tier were changed, and there is no room for the new key's property."""
    world = World(config=listing())
    await world.activate_all()
    await enter(world, "ada", **ADA)
    fill(world)
    world.config = listing("tier")
    world.start()
    await change(world, "ada", phone="+493033333333", **{"metadata.tier": "gold"})
    return world


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
    world = await written_without_a_tier()
    await all_day(world)
    assert world.db.read_now(lambda tx: connections.get(tx, "hubspot")).error == ""
    (there,) = world.neutral("hubspot").values()
    assert there["phone"] == "+493033333333"
    assert [(one.field, one.reason) for one in held(world)] == [("metadata.tier", UNREPRESENTABLE)]
    with pytest.raises(PlaceError, match="accord_m_tier: at most 1000"):
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


async def test_an_address_of_which_a_part_has_no_place_is_left_out_as_a_whole() -> None:
    """Written in part it was read as HubSpot's own: its second line was lost in the registry, and everywhere."""
    whole = {"line1": "Street 1", "line2": "Rear", "city": "Berlin", "country": "DE"}
    ranked = {"billing_address": Rule(flow="both", ranks=("hubspot", "registry"))}
    world = World(config=with_policy(listing(), fields=ranked))
    hubspot_of(world)._state.tables["contact"].define_by_hand(["external_customer_id"])
    fill(world, but=4)  # the marker, and three texts that come before the second line
    world.lookalikes["hubspot"].edit("customer", None, {"name": ADA["name"], "email": ADA["email"]})
    world.lookalikes["stripe"].edit(
        "customer", None, {"name": ADA["name"], "email": ADA["email"], "phone": ADA["phone"], "billing_address": whole}
    )
    await world.activate_all()
    await all_day(world)
    assert [one.fields["billing_address"] for one in everybody(world)] == [whole]
    assert [one["billing_address"] for one in world.neutral("stripe").values()] == [whole]
    (there,) = world.neutral("hubspot").values()
    assert (there.get("billing_address"), there["phone"]) == (None, ADA["phone"])
    assert ("billing_address", UNREPRESENTABLE) in [(one.field, one.reason) for one in held(world)]


async def test_who_waits_for_a_property_is_made_though_another_one_is_refused_still() -> None:
    """What was made was forgotten over what was refused, and all refused properties are told of at once."""
    world = World(config=listing())
    await world.activate_all()
    fill(world)
    world.config = listing("tier", "level")
    world.start()
    await enter(world, "ada", **ADA, **{"metadata.tier": "gold"})
    await all_day(world)
    assert world.neutral("hubspot") == {}
    with pytest.raises(PlaceError, match="accord_m_tier, contact property accord_m_level"):
        await refresh_metadata(world.hub, world.hub.connections["hubspot"])
    archive(world, "theirs_1")
    with pytest.raises(PlaceError, match="accord_m_level"):
        await refresh_metadata(world.hub, world.hub.connections["hubspot"])
    await all_day(world)
    there = world.lookalikes["hubspot"].objects("customer")
    assert [one["properties"]["accord_m_tier"] for one in there.values()] == ["gold"]
    assert held(world) == []


async def test_who_waits_for_a_property_is_made_though_a_later_call_failed() -> None:
    """The property was there by the next try, which so had nothing to tell."""
    world = await agreed()
    archive(world, "accord_legal_name")
    await enter(world, "bea", **{**ADA, "name": "Bea Ball", "email": "bea@example.test"})
    respond = world.exchanges["hubspot"]

    def broken(request: HttpRequest) -> HttpResponse:
        is_down = "/properties/" in request.url and "/compan" in request.url
        return HttpResponse(status=503, headers={}, body=b"{}") if is_down else respond(request)

    world.exchanges["hubspot"] = broken
    with pytest.raises(RetryError):
        await refresh_metadata(world.hub, world.hub.connections["hubspot"])
    world.exchanges["hubspot"] = respond
    await refresh_metadata(world.hub, world.hub.connections["hubspot"])
    await all_day(world)
    assert sorted(one["name"] for one in world.neutral("hubspot").values()) == ["Ada Lovelace", "Bea Ball"]


async def test_the_journal_does_not_say_that_a_value_without_a_place_was_written() -> None:
    """Nor would an undo of that write take it back."""
    world = await written_without_a_tier()
    pushed = [one.changes for one in entries(world) if (one.connection, one.action) == ("hubspot", "push")]
    assert [set(one) for one in pushed] == [{"phone"}]
