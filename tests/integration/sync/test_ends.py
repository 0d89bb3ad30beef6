"""Questions and troubles come to an end: answered once, moot when the object is gone, free when left out."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import pytest

from core.model import holds
from core.model.policy import Rule
from core.ports import Bad, Notice
from core.store import connections, inbox
from core.sync.failing import record_bad
from core.sync.inbox import InboxWriter
from tests.support import deliveries
from tests.support.acting import (
    agreeing,
    all_day,
    answer,
    change,
    edit,
    edit_only,
    everybody,
    failing,
    held,
    only,
    value,
    with_policy,
)
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

HOOKS = dict.fromkeys(NAMES, "https://accord.test/webhooks/any")


async def flip(world: World) -> None:
    """Two automations, each with its own idea of a phone number."""
    for name, number in (("stripe", "+4930111"), ("hubspot", "+4930222")):
        edit_only(world, name, {"phone": number})
        world.clock.time += 15
        for lane in NAMES:
            world.db.run_now(partial(connections.touch_cursor, connection=lane, kind="customer", mode="changes"))
        await world.settle(patience=5)


async def test_a_fight_that_was_answered_is_asked_about_again_when_it_goes_on() -> None:
    """An answer is good once; it used to be given to every later round, and the writes went on without end."""
    world = await agreeing(phone="+4930100")
    while not held(world, holds.OSCILLATION):
        await flip(world)
    for _ in range(3):
        for hold in held(world, holds.OSCILLATION):
            await answer(world, hold, "registry")
        writes = sum(world.writes(name) for name in NAMES)
        for _ in range(6):
            await flip(world)
        assert held(world, holds.OSCILLATION), "asked again"
        assert sum(world.writes(name) for name in NAMES) - writes <= 2 * len(NAMES)


async def test_a_rejected_listing_is_not_asked_about_again() -> None:
    """A person has said that it is wrong; it deletes nothing, and the same one raises no second question."""
    world = World()
    for number in range(30):
        world.lookalikes["hubspot"].edit("customer", None, {"name": f"P {number}", "email": f"p{number}@example.test"})
    await world.activate_all()
    for remote_id in list(world.neutral("hubspot"))[:15]:
        world.lookalikes["hubspot"].delete("customer", remote_id)
    await all_day(world)
    (hold,) = held(world)
    await answer(world, hold, "reject")
    for _ in range(3):
        await all_day(world)
    assert held(world) == []
    assert len(world.neutral("stripe")) == 30


async def test_a_bad_record_that_was_deleted_is_no_trouble_any_more() -> None:
    """Nobody can mend what is not there: a whole listing without it leads to a read, and that ends it."""
    world = await agreeing()
    stripe = world.hub.connections["stripe"]
    world.db.run_now(
        lambda tx: record_bad(tx, world.hub, stripe, {"r:cus_gone": Bad("cus_gone", None, "no customer", "{}")}, "")
    )
    assert len(failing(world)) == 1
    await all_day(world)
    assert failing(world) == []


@pytest.mark.bugs_are_logged
async def test_a_webhook_that_our_code_cannot_take_stops_no_other() -> None:
    """It is kept as poison, and read when it is sent again; the lane goes on to the next."""
    world = await agreeing()
    stripe = world.hub.connections["stripe"]

    class Broken:
        verify, dedupe_key = stripe.webhooks.verify, stripe.webhooks.dedupe_key

        def notices(self, body: bytes) -> list[Notice]:
            if b"cus_000000000007" in body:
                raise ZeroDivisionError
            return list(stripe.webhooks.notices(body))

    broken = replace(stripe, webhooks=Broken())
    assert isinstance(world.hub.connections, dict)
    world.hub.connections["stripe"] = broken
    writer = InboxWriter(world.hub)
    for number in (7, 8):
        await writer.receive(broken, deliveries.stripe(number, world.clock.now()))
    await world.settle(patience=5)
    assert world.db.read_now(inbox.counts) == {("stripe", "poison"): 1, ("stripe", "done"): 1}
    (kept,) = world.db.read_now(lambda tx: inbox.poisoned(tx, 10))
    assert "ZeroDivisionError" in kept.problem


@pytest.mark.parametrize("name", ["quickbooks", "hubspot"])
@pytest.mark.parametrize("told", [5, None, {"id": "2", "type": "qbo.customer.updated.v1"}])
async def test_an_event_that_cannot_be_read_keeps_no_customer_beside_it_waiting(name: str, told: object) -> None:
    """The delivery is shown as before. An edit that was told beside it came with the next sweep only."""
    if name == "hubspot" and told:
        told = "odd"
    world = await agreeing()
    edit_only(world, name, {"phone": "+4930111"})
    object_id = only(world, name).rpartition(":")[2]
    event = {"subscriptionType": "contact.propertyChange", "eventId": 1, "objectId": int(object_id)}
    if name == "quickbooks":
        event = {"type": "qbo.customer.updated.v1", "id": "1", "intuitentityid": object_id}
    body = json.dumps([told, event]).encode()
    writer = InboxWriter(world.hub)
    await writer.receive(world.hub.connections[name], deliveries.signed(name, body, world.clock.now(), HOOKS[name]))
    await world.settle(patience=5)
    assert value(world, "registry", "phone") == "+4930111"
    (kept,) = world.db.read_now(lambda tx: inbox.poisoned(tx, 10))
    assert kept.problem.endswith("(1 of 2 events; the others were taken)")


async def test_an_account_that_is_nobody_s_is_told_beside_an_event_that_cannot_be_read() -> None:
    """Both are the matter with one delivery, and each has a cure of its own."""
    world = await agreeing()
    event = {"type": "qbo.customer.updated.v1", "id": "1", "intuitentityid": "7", "intuitaccountid": "4711"}
    body = json.dumps([5, event]).encode()
    writer = InboxWriter(world.hub)
    quickbooks = world.hub.connections["quickbooks"]
    await writer.receive(quickbooks, deliveries.signed("quickbooks", body, world.clock.now()))
    await world.settle(patience=5)
    (kept,) = world.db.read_now(lambda tx: inbox.poisoned(tx, 10))
    assert "(1 of 2 events; the others were taken); it tells of account 4711, which no connection has" in kept.problem


async def test_an_object_that_one_customer_left_out_can_be_linked_to_another() -> None:
    """It used to be refused for ever: the first customer kept it without using it."""
    world = await agreeing(email=None)
    world.lookalikes["quickbooks"].edit("customer", None, {"name": "Taken"})
    await change(world, everybody(world)[0].external_id, name="Taken")
    (refused,) = held(world, holds.NAME_TAKEN)
    await answer(world, refused, "leave")
    left = next(one for one, fields in world.neutral("quickbooks").items() if fields["name"] == "Ada Lovelace")
    other = next(one for one, fields in world.neutral("quickbooks").items() if fields["name"] == "Taken")
    world.lookalikes["quickbooks"].edit("customer", other, {"status": "inactive"})
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada Lovelace", "email": "lace@example.test"})
    await all_day(world)
    (again,) = held(world, holds.NAME_TAKEN)
    await answer(world, again, f"link:{left}")
    assert world.neutral("quickbooks")[left]["email"] == "lace@example.test"


async def test_a_phone_number_in_another_spelling_is_no_change() -> None:
    """Compared as E.164, stored as given: nobody's spelling is written over anybody's."""
    world = await agreeing(phone="+49 30 1234567")
    writes = {name: world.writes(name) for name in NAMES}
    await edit(world, "hubspot", {"phone": "+49 (0)30 123-4567"})
    assert {name: world.writes(name) for name in NAMES} == writes
    assert value(world, "stripe", "phone") == "+49 30 1234567"
    await change(world, everybody(world)[0].external_id, phone="+49 30 7654321")
    assert held(world) == []
    assert {value(world, name, "phone") for name in NAMES} == {"+49 30 7654321"}


async def test_an_unreadable_value_where_values_only_flow_out_is_put_back() -> None:
    """Drift is drift, readable or not; it used to stay there unseen."""
    world = await agreeing(phone="+49301234567")
    world.config = with_policy(world.config, fields={"phone": Rule(flow="out")})
    world.start()
    world.lookalikes["stripe"].edit("customer", only(world, "stripe"), {"extra": {"phone": "odd \x00 number"}})
    await all_day(world)
    await all_day(world)
    assert value(world, "stripe", "phone") == "+49301234567"
    assert held(world) == []
