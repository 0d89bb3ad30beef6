"""A person edits the very field at Stripe between our read and our write; Stripe has no conditional write."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from core.model.decide import Lost
from core.ports import HttpRequest, HttpResponse
from core.store import mappings
from core.store.journal import Entry
from core.sync.inbox import InboxWriter
from tests.support.acting import all_day, edit, edit_only, entries, held, mapped, value, with_policy
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

OURS = "from-hubspot@example.test"
THEIRS = "from-stripe@example.test"


def race(world: World, changes: dict[str, Any]) -> None:
    """A person's edit at Stripe arrives there right before Accord's next update does."""
    stripe = world.lookalikes["stripe"]
    answer: Callable[[HttpRequest], HttpResponse] = stripe.respond
    is_over = False

    def exchange(request: HttpRequest) -> HttpResponse:
        nonlocal is_over
        if request.method == "POST" and not is_over:
            is_over = True
            edit_only(world, "stripe", changes)
        return answer(request)

    world.exchanges["stripe"] = exchange


async def agreed(config: Callable[[World], Any] | None = None) -> World:
    """One customer, born at HubSpot, in agreement everywhere; webhooks are off."""
    world = World()
    if config is not None:
        world.config = config(world)
        world.start()
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    return world


def races(world: World) -> list[Entry]:
    """What the journal says about races."""
    return [one for one in entries(world) if one.action == "raced"]


async def test_a_raced_value_that_outranks_ours_wins_everywhere_without_webhooks() -> None:
    """Policy ranks Stripe above HubSpot for e-mails: a second's luck must not turn that around."""
    world = await agreed()
    race(world, {"email": THEIRS})
    await edit(world, "hubspot", {"email": OURS})
    await world.next_sweep()
    assert {name: value(world, name, "email") for name in NAMES} == dict.fromkeys(NAMES, THEIRS)
    (entry,) = races(world)
    assert entry.changes == {"email": (OURS, THEIRS, "raced")}
    assert entry.lost == [Lost("email", OURS, "registry", "raced")]
    assert not held(world)


async def test_a_raced_value_of_lower_rank_is_in_the_journal_without_webhooks() -> None:
    """Ours stands, but what it overwrote can be put back."""
    world = await agreed()
    race(world, {"phone": "+49301"})
    await edit(world, "hubspot", {"phone": "+49302"})
    await world.next_sweep()
    assert {name: value(world, name, "phone") for name in NAMES} == dict.fromkeys(NAMES, "+49302")
    (entry,) = races(world)
    assert entry.changes == {}
    assert entry.lost == [Lost("phone", "+49301", "remote", "raced")]


async def test_a_raced_value_does_not_come_in_where_values_only_go_out() -> None:
    """Rank decides nothing where policy takes nothing in."""
    world = await agreed(lambda one: with_policy(one.config, "stripe", flows={"email": "out"}))
    race(world, {"email": THEIRS})
    await edit(world, "hubspot", {"email": OURS})
    await world.next_sweep()
    assert {name: value(world, name, "email") for name in NAMES} == dict.fromkeys(NAMES, OURS)
    assert [one.lost for one in races(world)] == [[Lost("email", THEIRS, "remote", "raced")]]


async def test_what_an_object_lost_that_is_not_the_customer_s_any_more_does_not_come_in() -> None:
    """Linked elsewhere before the event was read, the customer got an e-mail that somebody had given to the old one."""
    world = await agreed()
    race(world, {"email": THEIRS})
    await edit(world, "hubspot", {"email": OURS})
    (old,) = world.neutral("stripe")
    other = world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": OURS})
    (row,) = [one for one in mapped(world, "stripe") if one.remote_id == old]
    moved = msgspec.structs.replace(row, remote_id=other)
    world.db.run_now(lambda tx: mappings.update(tx, [moved]))
    await world.next_sweep()
    assert value(world, "hubspot", "email") == OURS
    assert [(one.changes, one.lost) for one in races(world)] == [({}, [Lost("email", THEIRS, "remote", "raced")])]


async def test_an_edit_of_another_field_is_no_race() -> None:
    """Nothing of it was overwritten; it flows as any edit does."""
    world = await agreed()
    race(world, {"phone": "+49301"})
    await edit(world, "hubspot", {"email": OURS})
    await world.next_sweep()
    assert not races(world)
    assert value(world, "hubspot", "phone") == "+49301"
    assert value(world, "stripe", "email") == OURS


async def test_a_race_told_by_webhook_and_by_many_sweeps_is_judged_once() -> None:
    """A second verdict would undo what a person decided after the first."""
    world = await agreed()
    stripe, writer = world.lookalikes["stripe"], InboxWriter(world.hub)
    stripe.settings = dataclasses.replace(stripe.settings, webhook_url="https://accord.test/webhooks/stripe")
    race(world, {"email": THEIRS})
    await edit(world, "hubspot", {"email": OURS})
    deliveries = stripe.due_webhooks(world.clock.now())
    assert deliveries
    for one in deliveries:
        await writer.receive(world.hub.connections["stripe"], one.delivery)
    await world.settle()
    assert value(world, "hubspot", "email") == THEIRS

    # the value that lost is put back by hand at its own place, and the feed's overlap tells the race again
    await edit(world, "stripe", {"email": OURS})
    for _ in range(3):
        await world.next_sweep()
    await all_day(world)
    assert len(races(world)) == 1
    assert {name: value(world, name, "email") for name in NAMES} == dict.fromkeys(NAMES, OURS)
