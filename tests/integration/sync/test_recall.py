"""A person edits the very field at HubSpot between our read and our write; only its own history tells, and later."""

from __future__ import annotations

from typing import Any

import pytest

from core.model.decide import Lost
from core.ports import HttpRequest, HttpResponse
from core.store import intents
from tests.integration.sync.test_races import races
from tests.support.acting import all_day, change, edit, edit_only, everybody, held, mapped, only, value
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

OURS, THEIRS = "+49301", "+49302"


def race(world: World, changes: dict[str, Any]) -> list[HttpRequest]:
    """A person's edit at HubSpot arrives there right before Accord's next update does; returns all requests."""
    hubspot = world.lookalikes["hubspot"]
    requests: list[HttpRequest] = []

    def exchange(request: HttpRequest) -> HttpResponse:
        if "batch/update" in request.url and not any("batch/update" in one.url for one in requests):
            edit_only(world, "hubspot", changes)
        requests.append(request)
        return hubspot.respond(request)

    world.exchanges["hubspot"] = exchange
    return requests


async def agreed() -> World:
    """One customer, born at Stripe, in agreement everywhere; webhooks are off."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "phone": "+49300"})
    await world.activate_all()
    await world.next_sweep()
    return world


def name_of(world: World) -> str:
    """The registry's one customer."""
    (one,) = everybody(world)
    return one.external_id


def untold(world: World) -> int:
    """Writes to HubSpot of which it is not known yet what they replaced."""
    (mapping,) = mapped(world, "hubspot")
    return len(world.hub.db.read_now(lambda tx: intents.stamped_of(tx, [mapping.id])))


async def test_a_raced_value_that_outranks_ours_wins_everywhere_once_the_feed_names_the_write() -> None:
    """Policy ranks HubSpot above Stripe for phones: a second's luck must not turn that around."""
    world = await agreed()
    race(world, {"phone": THEIRS})
    await edit(world, "stripe", {"phone": OURS})
    await world.next_sweep()
    assert {name: value(world, name, "phone") for name in NAMES} == dict.fromkeys(NAMES, THEIRS)
    (entry,) = races(world)
    assert entry.changes == {"phone": (OURS, THEIRS, "raced")}
    assert entry.lost == [Lost("phone", OURS, "registry", "raced")]
    assert not held(world)


async def test_a_raced_value_of_lower_rank_is_in_the_journal_once_the_feed_names_the_write() -> None:
    """Ours stands, but what it overwrote can be put back."""
    world = await agreed()
    race(world, {"email": "theirs@example.test"})
    await edit(world, "stripe", {"email": "ours@example.test"})
    await world.next_sweep()
    assert {name: value(world, name, "email") for name in NAMES} == dict.fromkeys(NAMES, "ours@example.test")
    (entry,) = races(world)
    assert entry.changes == {}
    assert entry.lost == [Lost("email", "theirs@example.test", "remote", "raced")]


async def test_a_process_that_dies_before_it_asked_still_asks() -> None:
    """What was written is committed with its stamp: nothing of it is kept in memory."""
    world = await agreed()
    race(world, {"phone": THEIRS})
    await change(world, name_of(world), phone=OURS)
    assert (value(world, "hubspot", "phone"), untold(world), races(world)) == (OURS, 1, [])
    world.start()
    await world.next_sweep()
    assert untold(world) == 0
    assert [one.lost for one in races(world)] == [[Lost("phone", THEIRS, "remote", "raced")]]


async def test_before_the_next_write_it_is_known_what_the_last_one_replaced() -> None:
    """Else nobody would ever ask about the first: the newest is the one that is asked about."""
    world = await agreed()
    race(world, {"phone": THEIRS})
    await change(world, name_of(world), phone=OURS)
    await change(world, name_of(world), name="Ada King")
    assert [one.lost for one in races(world)] == [[Lost("phone", THEIRS, "remote", "raced")]]
    assert (value(world, "hubspot", "name"), untold(world)) == ("Ada King", 1)


async def test_what_was_written_to_an_object_that_is_gone_since_is_asked_about_as_any_that_is_gone() -> None:
    """A history that went with its object holds nothing up."""
    world = await agreed()
    await change(world, name_of(world), phone=OURS)
    world.lookalikes["hubspot"].delete("customer", only(world, "hubspot"))
    await all_day(world)
    assert [one.reason for one in held(world)] == ["remote_gone"]
    assert untold(world) == 0


async def test_an_unreachable_history_is_asked_for_again() -> None:
    """It is not forgotten with the read that failed."""
    world = await agreed()
    requests = race(world, {"phone": THEIRS})
    await change(world, name_of(world), phone=OURS)
    answer = world.exchanges["hubspot"]
    world.exchanges["hubspot"] = lambda one: HttpResponse(502, {}, b"") if "batch/read" in one.url else answer(one)
    await world.next_sweep()
    assert (untold(world), races(world)) == (1, [])
    world.exchanges["hubspot"] = answer
    await world.next_sweep()
    assert len(races(world)) == 1
    assert sum(b"propertiesWithHistory" in (one.body or b"") for one in requests) == 1


async def test_a_write_costs_no_read_of_its_own_and_the_read_of_its_echo_tells_what_it_replaced() -> None:
    """One read and one write; the read that its echo takes anyway asks for the history, and only once."""
    world = await agreed()
    requests = race(world, {})
    await edit(world, "stripe", {"phone": OURS})
    await world.next_sweep()
    await world.next_sweep()
    told = [b"propertiesWithHistory" in (one.body or b"") for one in requests if "batch/read" in one.url]
    assert sum(told) == 1
    assert not races(world)
