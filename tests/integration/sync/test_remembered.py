"""Calls that need not be made: a read before a guarded write, a read for each echo of it."""

from __future__ import annotations

import pytest

from core.sync import registry
from core.sync.inbox import InboxWriter
from core.sync.notices import ECHO_SECONDS
from tests.support import deliveries
from tests.support.acting import change_only, counted, edit, edit_only, entries, everybody, failing, mapped
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


async def agreed(customers: int = 1) -> World:
    """Customers in agreement everywhere; webhooks are off."""
    world = World()
    for number in range(customers):
        person = {"name": f"Person Number{number}", "email": f"person{number}@example.test"}
        world.lookalikes["stripe"].edit("customer", None, person)
    await world.activate_all()
    return world


def external_id(world: World) -> str:
    """The registry's one customer."""
    (one,) = everybody(world)
    return one.external_id


async def test_an_edit_that_only_goes_out_costs_quickbooks_one_call() -> None:
    """Its optimistic lock refuses what was computed from an older state: no read is needed first."""
    world = await agreed()
    calls = counted(world, "quickbooks")
    change_only(world, external_id(world), phone="+49301234567")
    await world.lanes.run("quickbooks")
    assert calls == ["POST customer"]
    assert [one["phone"] for one in world.neutral("quickbooks").values()] == ["+49301234567"]


async def test_a_create_at_hubspot_needs_no_read_after_it() -> None:
    """What both sides left blank was agreed on by a read of its own: one more call for every hundred creates."""
    world = World()
    await world.activate_all()
    calls = counted(world, "hubspot")
    person = {"name": "Ada Lovelace", "email": "ada@example.test", "customer_type": "individual"}
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "ada", person, actor="ann", trace="t"))
    await world.lanes.run("hubspot")
    assert calls == ["POST upsert"]
    (row,) = mapped(world, "hubspot")
    assert row.base["metadata.plan"] == (None, None)


async def test_an_unannounced_edit_survives_a_write_computed_before_it() -> None:
    """Nobody told of the edit at QuickBooks: the lock refuses, the object is read, both edits stand everywhere."""
    world = await agreed()
    edit_only(world, "quickbooks", {"url": "https://ada.example.test"})
    change_only(world, external_id(world), phone="+49301234567")
    await world.settle()
    for name in NAMES:
        (there,) = world.neutral(name).values()
        assert there["phone"] == "+49301234567", name
    (there,) = world.neutral("quickbooks").values()
    assert there["url"] == "https://ada.example.test"
    assert failing(world) == [], "a lost race is no trouble"


async def test_both_sides_of_one_field_are_merged_and_not_overwritten() -> None:
    """The unannounced edit is of the very field: it loses by rank, and is kept."""
    world = await agreed()
    edit_only(world, "quickbooks", {"phone": "+49307777777"})
    change_only(world, external_id(world), phone="+49301234567")
    await world.settle()
    assert [one["phone"] for one in world.neutral("quickbooks").values()] == ["+49301234567"]
    lost = [one.value for entry in entries(world) for one in entry.lost]
    assert lost == ["+49307777777"]


async def test_echoes_of_our_own_writes_share_one_read() -> None:
    """Each write comes back as a webhook; one query a moment later shows them all to be agreed."""
    world = await agreed(5)
    for number, remote_id in enumerate(world.neutral("hubspot")):
        world.lookalikes["hubspot"].edit("customer", remote_id, {"phone": f"+4930123450{number}"})
    world.clock.time += 3600
    await world.lanes.run("hubspot")
    await world.lanes.run("quickbooks")
    calls = counted(world, "quickbooks")
    writer, connection = InboxWriter(world.hub), world.hub.connections["quickbooks"]
    for remote_id in world.neutral("quickbooks"):
        world.clock.time += 0.1
        await writer.receive(connection, deliveries.quickbooks(int(remote_id) - 1, world.clock.now()))
        await world.lanes.run("quickbooks")
    assert calls == []
    world.clock.time += ECHO_SECONDS
    await world.lanes.run("quickbooks")
    assert calls == ["GET query"]


async def test_an_edit_right_after_our_write_is_seen_all_the_same() -> None:
    """What looks like an echo is looked at a moment later, never dropped."""
    world = await agreed()
    await edit(world, "hubspot", {"phone": "+49301111111"})
    (remote_id,) = world.neutral("quickbooks")
    edit_only(world, "quickbooks", {"phone": "+49302222222"})
    writer, connection = InboxWriter(world.hub), world.hub.connections["quickbooks"]
    await writer.receive(connection, deliveries.quickbooks(int(remote_id) - 1, world.clock.now()))
    await world.settle(patience=ECHO_SECONDS * 2)
    for name in NAMES:
        assert [one["phone"] for one in world.neutral(name).values()] == ["+49302222222"], name
