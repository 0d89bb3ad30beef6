"""Probes: what must never happen, each seen in a system that people use today."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from core.errors import ReplyError
from core.ports import Delivery, HttpResponse, Notice, Webhooks
from core.sandbox.faults import Fault, FaultPlan, FaultyExchange
from core.store import inbox, journal
from core.sync.hub import Connection
from core.sync.inbox import InboxWriter
from tests.support.acting import (
    agreeing,
    all_day,
    edit_only,
    everybody,
    failing,
    held,
    only,
    value,
    waiting,
    with_policy,
)
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

PAGE_OF_TROUBLE = 3_000
HOOKS = {name: f"https://accord.test/webhooks/{name}" for name in NAMES}


def people(world: World, name: str, number: int) -> None:
    """Many customers at one provider."""
    for one in range(number):
        fields = {"name": f"Person Number{one}", "email": f"person{one}@example.test"}
        world.lookalikes[name].edit("customer", None, fields)


@pytest.mark.parametrize("name", NAMES)
async def test_every_tenth_answer_a_429_loses_nobody(name: str) -> None:
    """A run used to end as "success, 0 synced"."""
    world = World()
    people_there = 120 if name == "quickbooks" else 40  # most of them share their requests there
    people(world, "hubspot" if name == "stripe" else "stripe", people_there)
    plan = FaultPlan(requests=(Fault(kind="too_many", nth=10),))
    faulty = FaultyExchange(world.lookalikes[name], plan, rng=random.Random(1), clock=world.clock)
    world.exchanges[name] = faulty
    await world.activate_all()
    await all_day(world)
    assert len(faulty.trace) > 3
    for other in NAMES:
        emails = {one["email"] for one in world.neutral(other).values()}
        assert len(world.neutral(other)) == len(emails) == people_there, other
    assert len(everybody(world)) == people_there
    assert failing(world) == []
    assert held(world) == []
    assert sum(waiting(world).values()) == 0


async def test_one_bad_record_of_three_thousand_stops_nobody() -> None:
    """U+0000, half a surrogate pair, an e-mail that nobody accepts: the bad are named, the good arrive."""
    world = World()
    world.config = with_policy(world.config, "quickbooks", creates="none")
    world.start()
    people(world, "stripe", PAGE_OF_TROUBLE - 3)
    stripe = world.lookalikes["stripe"]
    nul = stripe.edit("customer", None, {"email": "nul@example.test", "extra": {"name": "Nul \x00 Smith"}})
    half = stripe.edit("customer", None, {"email": "half@example.test", "name": "Half SURROGATE Smith"})
    whole = world.exchanges["stripe"]
    world.exchanges["stripe"] = lambda request: with_half_a_pair(whole(request))
    odd = stripe.edit("customer", None, {"name": "Odd Smith", "extra": {"email": "nobody accepts this"}})
    await world.activate_all("stripe", "hubspot")
    await all_day(world)
    arrived = {one["email"] for one in world.neutral("hubspot").values()}
    good = {f"person{one}@example.test" for one in range(PAGE_OF_TROUBLE - 3)}
    assert good <= arrived
    told = [repr(one) for one in (*failing(world), *held(world))]
    for remote_id, field in ((nul, "name"), (half, "name"), (odd, "email")):
        about = [one for one in told if remote_id in one or _is_about(world, remote_id, one)]
        assert any(f"{field}" in one for one in about), (remote_id, about)
    assert sum(waiting(world).values()) <= 3


def with_half_a_pair(answer: HttpResponse) -> HttpResponse:
    """What JSON may carry and no database stores: half of a surrogate pair, escaped."""
    return HttpResponse(answer.status, answer.headers, answer.body.replace(b"SURROGATE", b"\\ud83d"))


def _is_about(world: World, remote_id: str, text: str) -> bool:
    """A hold names the customer by its id."""
    return any(one.id in text for one in everybody(world) if one.external_id == f"stripe:{remote_id}")


async def webhooks_on(world: World) -> None:
    """Every look-alike that tells of changes does so from now on."""
    for name in NAMES:
        world.lookalikes[name].settings = replace(world.lookalikes[name].settings, webhook_url=HOOKS[name])


def due(world: World, name: str) -> list[Delivery]:
    """The deliveries that a provider wants to make by now; it is told that they arrived."""
    world.clock.time += 30
    found = list(world.lookalikes[name].due_webhooks(world.clock.time))
    for one in found:
        world.lookalikes[name].webhook_answered(one.id, 200, world.clock.time)
    return [one.delivery for one in found]


async def receive(world: World, name: str, deliveries: list[Delivery]) -> None:
    """Deliver, and let the lanes work; no sweep is due."""
    writer = InboxWriter(world.hub)
    for delivery in deliveries:
        await writer.receive(world.hub.connection(name), delivery)
    for _ in range(4):
        for lane in NAMES:
            await world.lanes.run(lane)


@pytest.mark.parametrize("name", NAMES)
async def test_two_updates_in_one_second_keep_the_newer(name: str) -> None:
    """Their webhooks come the wrong way round; a system that compares times of one second keeps the older."""
    world = await agreeing()
    world.timing = replace(world.timing, changes_every=1e9, full_every=1e9)
    world.start()
    await webhooks_on(world)
    edit_only(world, name, {"phone": "+4930111"})
    first = due_now(world, name)
    edit_only(world, name, {"phone": "+4930222"})
    second = due(world, name)
    deliveries = [*second, *first]
    assert deliveries
    await receive(world, name, deliveries)
    assert {value(world, other, "phone") for other in (*NAMES, "registry")} == {"+4930222"}


def due_now(world: World, name: str) -> list[Delivery]:
    """What is ready this very second."""
    found = list(world.lookalikes[name].due_webhooks(world.clock.time))
    for one in found:
        world.lookalikes[name].webhook_answered(one.id, 200, world.clock.time)
    return [one.delivery for one in found]


@pytest.mark.parametrize("name", NAMES)
async def test_a_webhook_replayed_a_thousand_times_has_the_effect_of_one(name: str) -> None:
    """One row, one change, no further write."""
    world = await agreeing()
    world.timing = replace(world.timing, changes_every=1e9, full_every=1e9)
    world.start()
    await webhooks_on(world)
    edit_only(world, name, {"phone": "+4930111"})
    deliveries = due(world, name)
    await receive(world, name, deliveries)
    assert value(world, "registry", "phone") == "+4930111"
    before = {other: world.writes(other) for other in NAMES}
    last = world.db.read_now(journal.last_id)
    letters = world.db.read_now(inbox.counts)
    mixed = deliveries * 1000
    random.Random(3).shuffle(mixed)
    await receive(world, name, mixed[:1000])
    assert {other: world.writes(other) for other in NAMES} == before
    assert world.db.read_now(journal.last_id) == last
    assert sum(world.db.read_now(inbox.counts).values()) == sum(letters.values())
    assert only(world, "stripe")


async def test_a_lost_webhook_is_made_good_by_the_next_sweep() -> None:
    """Correctness never depends on a delivery."""
    world = await agreeing()
    await webhooks_on(world)
    edit_only(world, "stripe", {"phone": "+4930111"})
    assert due(world, "stripe")
    await world.next_sweep()
    assert {value(world, other, "phone") for other in NAMES} == {"+4930111"}


def put(world: World, connection: Connection) -> None:
    """The running hub has this one from now on."""
    assert isinstance(world.hub.connections, dict)
    world.hub.connections[connection.name] = connection


class Deaf:
    """Verifies deliveries, and understands none of them."""

    def __init__(self, webhooks: Webhooks) -> None:
        """Of one provider."""
        self.verify, self.dedupe_key = webhooks.verify, webhooks.dedupe_key

    def notices(self, _: bytes) -> list[Notice]:
        """Nothing."""
        raise ReplyError("of a shape that nobody knows")


@pytest.mark.parametrize("name", NAMES)
async def test_what_was_told_by_a_delivery_that_nobody_understood_is_found_by_the_next_sweep(name: str) -> None:
    """Failed deliveries are kept and shown, and what they were about does not wait for a person."""
    world = await agreeing()
    await webhooks_on(world)
    connection = world.hub.connections[name]
    put(world, replace(connection, webhooks=Deaf(connection.webhooks)))
    edit_only(world, name, {"phone": "+4930111"})
    await receive(world, name, due(world, name))
    assert world.db.read_now(inbox.counts)[name, "poison"]
    await world.next_sweep()
    assert {value(world, other, "phone") for other in NAMES} == {"+4930111"}
    assert failing(world) == []


@pytest.mark.parametrize("name", NAMES)
async def test_a_delivery_that_is_sent_again_after_accord_learnt_to_read_it_is_read(name: str) -> None:
    """Whoever has installed the version that understands it sends it again from the provider's page."""
    world = await agreeing()
    await webhooks_on(world)
    connection = world.hub.connections[name]
    put(world, replace(connection, webhooks=Deaf(connection.webhooks)))
    edit_only(world, name, {"phone": "+4930111"})
    deliveries = due(world, name)
    await receive(world, name, deliveries)
    assert world.db.read_now(inbox.counts) == {(name, "poison"): len(deliveries)}
    await receive(world, name, deliveries)
    assert world.db.read_now(inbox.counts) == {(name, "poison"): len(deliveries)}
    put(world, connection)
    await receive(world, name, deliveries)
    assert world.db.read_now(inbox.counts) == {(name, "done"): len(deliveries)}
