"""Customers that a person merges in QuickBooks: nothing but the webhook tells which other one absorbed them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model import holds
from core.sync.inbox import InboxWriter
from tests.support.acting import agreeing, all_day, answer, change, everybody, held, mapped
from tests.support.lookalikes import quickbooks_of
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


async def books(*, is_told: bool = True, keeps_absorbed: bool = False) -> World:
    """Systems that agree; QuickBooks may tell of its changes, and keep whom another customer absorbed."""
    world = await agreeing()
    company = world.lookalikes["quickbooks"]
    url = "https://accord.test/webhooks/quickbooks" if is_told else None
    company.settings = replace(company.settings, webhook_url=url, keeps_absorbed=keeps_absorbed)
    return world


async def told(world: World) -> None:
    """QuickBooks' deliveries come, and the lanes work."""
    company, connection = world.lookalikes["quickbooks"], world.hub.connection("quickbooks")
    writer = InboxWriter(world.hub)
    while found := list(company.due_webhooks(world.clock.time)):
        for one in found:
            company.webhook_answered(one.id, 200, world.clock.time)
            await writer.receive(connection, one.delivery)
    world.clock.time += 5
    for _ in range(4):
        for lane in NAMES:
            await world.lanes.run(lane)


def double(world: World) -> str:
    """A person has made ours a second time, and lets that one absorb it."""
    company = quickbooks_of(world)
    same = {
        name: one for name, one in world.neutral("quickbooks")[only_of(world)].items() if name in ("email", "phone")
    }
    made = company.edit("customer", None, {**same, "name": "Ada L."})
    company.merge("customer", made, only_of(world))
    return made


def only_of(world: World) -> str:
    """The id of our customer there."""
    (row,) = mapped(world, "quickbooks")
    return str(row.remote_id)


async def test_the_mapping_moves_to_the_survivor_that_the_webhook_names() -> None:
    """It is the customer's object from then on, and nobody is asked."""
    world = await books()
    survivor = double(world)
    await told(world)
    (row,) = mapped(world, "quickbooks")
    assert (row.remote_id, row.state) == (survivor, "live")
    assert held(world) == []
    assert len(everybody(world)) == 1
    await change(world, everybody(world)[0].external_id, phone="+4930123")
    assert world.neutral("quickbooks")[survivor]["phone"] == "+4930123"


async def test_what_the_survivor_lacks_is_cleared_of_nobody() -> None:
    """QuickBooks keeps the survivor's own fields: phone and address of the other one were cleared everywhere."""
    world = await books()
    (ada,) = everybody(world)
    fields = {"phone": "+4930123", "billing_address": {"line1": "Main St 1", "city": "Berlin", "country": "DE"}}
    await change(world, ada.external_id, **fields)
    company = quickbooks_of(world)
    survivor = company.edit("customer", None, {"name": "Ada L."})
    company.merge("customer", survivor, only_of(world))
    await told(world)
    await all_day(world)
    (row,), wanted = mapped(world, "quickbooks"), {**fields, "email": "ada@example.test"}
    assert (row.remote_id, held(world)) == (survivor, [])
    for name in NAMES:
        (there,) = world.neutral(name).values()
        assert {field: there[field] for field in wanted} == wanted
        assert there["name"] == "Ada L."
    await change(world, ada.external_id, phone=None)
    assert [one["phone"] for name in NAMES for one in world.neutral(name).values()] == [None, None, None]


async def test_a_survivor_that_is_another_customers_is_asked_about() -> None:
    """Customers are never merged by themselves."""
    world = await books()
    ours, company = only_of(world), quickbooks_of(world)
    other = company.edit("customer", None, {"name": "Bob"})
    await told(world)
    assert len(everybody(world)) == 2
    company.merge("customer", other, ours)
    await told(world)
    (asked,) = [one for one in held(world, holds.MERGED) if one.detail["remote_id"] == ours]
    assert asked.detail["survivor"] == other
    await answer(world, asked, "unlink")
    await all_day(world)
    assert held(world) == []
    assert [one["name"] for one in world.neutral("quickbooks").values()] == ["Bob"]


async def test_a_merge_that_no_webhook_tells_of_leaves_a_customer_that_is_gone() -> None:
    """Reads and the change feed name no survivor: a person is asked, and nothing is made again."""
    world = await books(is_told=False)
    double(world)
    await all_day(world)
    assert holds.REMOTE_GONE in {one.reason for one in held(world)}
    assert len(world.neutral("quickbooks")) == 1


async def test_a_merge_in_another_company_moves_nothing() -> None:
    """One app has one address for all of its companies, whose ids are alike."""
    world = await books(is_told=False)
    company = quickbooks_of(world)
    ours = only_of(world)
    double(world)
    other, here = company.edit("customer", None, {"name": "Cid"}), company.settings
    company.settings = replace(here, webhook_url="https://accord.test/webhooks/quickbooks", realm_id="another")
    company._record("person", "merge", "customer", other, {"absorbed": ours})
    company.settings = replace(company.settings, realm_id=here.realm_id)
    await told(world)
    assert [one.state for one in mapped(world, "quickbooks") if one.remote_id == ours] == ["live"]
    await all_day(world)
    (row,) = [one for one in mapped(world, "quickbooks") if one.remote_id == ours]
    assert (row.state, [one.reason for one in held(world, holds.REMOTE_GONE)]) == ("gone", [holds.REMOTE_GONE])


async def test_a_survivor_that_is_gone_as_well_is_asked_about() -> None:
    """Both deliveries are there before either object is looked at."""
    world = await books()
    survivor, company = double(world), quickbooks_of(world)
    company.settings = replace(company.settings, is_webhook_data_filled=False)
    company.merge("customer", company.edit("customer", None, {"name": "Third"}), survivor)
    await told(world)
    await all_day(world)
    assert [one.detail["survivor"] for one in held(world, holds.REMOTE_GONE)] == [None]


@pytest.mark.parametrize("is_told", [True, False])
async def test_an_absorbed_customer_that_stays_is_an_inactive_one(*, is_told: bool) -> None:
    """Where QuickBooks leaves it there, inactive, it is as if a person had made it so; it is not made active again."""
    world = await books(is_told=is_told, keeps_absorbed=True)
    ours = only_of(world)
    survivor = double(world)
    await told(world)
    await all_day(world)
    await all_day(world)
    found = world.neutral("quickbooks")
    assert (found[ours]["status"], found[survivor]["status"]) == ("inactive", "active")
    assert len(found) == 2
    assert ours in {row.remote_id for row in mapped(world, "quickbooks") if row.state == "live"}
