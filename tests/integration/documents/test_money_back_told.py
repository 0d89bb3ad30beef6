"""Refunds and chargebacks are told late, twice, in any order, or while Accord dies: the end is the same."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from core.model.documents import Payment
from core.ports import Delivery
from core.store import inbox, intents
from core.sync.inbox import InboxWriter
from tests.support.acting import answer, failing, held
from tests.support.crash_jobs import run_lane
from tests.support.crashes import Crash, FragileWorld, Fuse
from tests.support.paper import bill, documents_of, pay, shown, stripe_to_books
from tests.support.world import World

pytestmark = pytest.mark.anyio

STORY: tuple[Mapping[str, Any], ...] = (
    {"refunded": "19.00"},
    {"refunded": "30.00"},
    {"refund_failed": True},
    {"dispute": {"amount": "100.00", "status": "warning_needs_response"}},
    {"dispute": {"status": "needs_response"}},
    {"dispute": {"status": "under_review"}},
    {"dispute": {"status": "lost"}},
)
"""19.00 stay refunded, 100.00 are charged back."""


async def paid(world: World) -> str:
    """An invoice of 119.00 that was paid at Stripe, and its copies."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    payment = pay(world, bill(world), "119.00")
    await world.next_sweep()
    return payment


async def at_the_end(world: World) -> None:
    """Two questions, one after the other, and then agreement; the payment is in the books once, as it came in."""
    (document,) = documents_of(world, Payment)
    assert (str(document.refunded), str(document.charged_back)) == ("19.00", "100.00")
    for field, amount in (("refunded", "19.00"), ("charged_back", "100.00")):
        (hold,) = held(world)
        assert (hold.detail["field"], hold.detail["amount"]) == (field, amount)
        await answer(world, hold, "booked")
    assert held(world) == []
    assert failing(world) == []
    assert world.db.read_now(intents.all_open) == []
    (copy,) = shown(world, "quickbooks", "payment")
    assert (copy["amount"], copy["status"]) == ("119.00", "succeeded")


def due(world: World) -> list[Delivery]:
    """What Stripe wants to deliver by now; it is told that it arrived."""
    world.clock.time += 30
    found = list(world.lookalikes["stripe"].due_webhooks(world.clock.time))
    for one in found:
        world.lookalikes["stripe"].webhook_answered(one.id, 200, world.clock.time)
    return [one.delivery for one in found]


async def deliver(world: World, deliveries: list[Delivery]) -> None:
    """They arrive, and the lanes work; no sweep is due."""
    writer = InboxWriter(world.hub)
    for delivery in deliveries:
        await writer.receive(world.hub.connection("stripe"), delivery)
    for _ in range(3):
        for lane in world.names:
            await world.lanes.run(lane)
        world.clock.time += 2


@pytest.mark.parametrize("seed", range(4))
async def test_webhooks_of_refunds_and_disputes_lead_to_the_same_end_in_any_order(seed: int) -> None:
    """Each is delivered three times, some of them long before or after what they tell of is over."""
    rng = random.Random(seed)
    world = World(config=stripe_to_books())
    payment = await paid(world)
    world.timing = replace(world.timing, changes_every=1e9, full_every=1e9)
    world.start()
    stripe = world.lookalikes["stripe"]
    stripe.settings = replace(stripe.settings, webhook_url="https://accord.test/webhooks/stripe")
    late: list[Delivery] = []
    for changes in STORY:
        stripe.edit("payment", payment, changes)
        late += due(world)
        rng.shuffle(late)
        await deliver(world, [late.pop() for _ in range(rng.randint(0, len(late)))])
    mixed = [*late * 3, *due(world)]
    rng.shuffle(mixed)
    await deliver(world, mixed)
    before = world.writes("quickbooks")
    await at_the_end(world)
    assert world.writes("quickbooks") == before
    assert world.db.read_now(inbox.counts).get(("stripe", "poison"), 0) == 0


async def test_a_webhook_of_a_dispute_replayed_a_thousand_times_asks_once() -> None:
    """And one that is replayed after it was answered asks nothing."""
    world = World(config=stripe_to_books())
    payment = await paid(world)
    world.timing = replace(world.timing, changes_every=1e9, full_every=1e9)
    world.start()
    stripe = world.lookalikes["stripe"]
    stripe.settings = replace(stripe.settings, webhook_url="https://accord.test/webhooks/stripe")
    stripe.edit("payment", payment, {"dispute": {"amount": "100.00"}})
    deliveries = due(world)
    assert len(deliveries) == 2
    await deliver(world, deliveries * 500)
    (hold,) = held(world)
    await answer(world, hold, "booked")
    before = world.writes("quickbooks")
    await deliver(world, deliveries * 500)
    assert held(world) == []
    assert world.writes("quickbooks") == before


async def through(world: FragileWorld, payment: str, changes: Mapping[str, Any]) -> None:
    """One thing happens, and Accord hears of it."""
    world.lookalikes["stripe"].edit("payment", payment, changes)
    world.clock.time += world.timing.changes_every + 1
    for name in ("stripe", "quickbooks"):
        await run_lane(world, name)


async def test_a_death_anywhere_between_a_refund_and_its_hold_leaves_one_question() -> None:
    """At every third call of a port, while a refund and then a chargeback go through."""
    base = FragileWorld(config=stripe_to_books())
    payment = await paid(base)
    base.fused, base.database_calls = ("stripe", "quickbooks"), ("run",)
    blows_at, deaths = 1, 0
    while True:
        world = base.copy(Fuse(blows_at=blows_at, is_armed=True))
        died = ""
        for changes in ({"refunded": "19.00"}, {"dispute": {"amount": "100.00"}}):
            try:
                await through(world, payment, changes)
            except Crash as crash:
                died = str(crash)
                world.start()
        world.fuse.is_armed = False
        await world.settle(patience=90_000)
        await world.next_sweep()
        await at_the_end(world)
        world.db.engine.dispose()
        if not died:
            break
        deaths += 1
        blows_at += 3
    assert deaths > 3
