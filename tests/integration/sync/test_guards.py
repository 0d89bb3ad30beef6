"""What is stopped before it does harm: mass changes, shrunken listings, wrong accounts, dead credentials."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import event

from core.errors import InvalidInputError
from core.model import holds
from core.ports import HttpRequest, HttpResponse
from core.store import connections
from core.store.connections import ConnectionRow
from core.sync import registry
from tests.support.acting import (
    agreeing,
    all_day,
    answer,
    change,
    change_only,
    edit,
    everybody,
    failing,
    held,
    only,
    value,
)
from tests.support.lookalikes import hubspot_of
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio

MANY = 40


async def crowd(number: int = MANY) -> World:
    """Many customers in agreement, born at HubSpot."""
    world = World()
    for one in range(number):
        fields = {"name": f"Person Number{one}", "email": f"person{one}@example.test", "phone": f"+49301{one:04}"}
        world.lookalikes["hubspot"].edit("customer", None, fields)
    await world.activate_all()
    return world


def row(world: World, name: str) -> ConnectionRow:
    """How a connection stands."""
    return world.db.read_now(lambda tx: connections.get(tx, name))


def phones(world: World, name: str) -> int:
    """How many objects have a phone."""
    return sum(bool(one["phone"]) for one in world.neutral(name).values())


async def cleared(world: World, share: float = 0.6) -> list[str]:
    """Somebody cleared a column for most of the records."""
    some = list(world.neutral("hubspot"))[: int(MANY * share)]
    for remote_id in some:
        world.lookalikes["hubspot"].edit("customer", remote_id, {"phone": None})
    await all_day(world)
    return some


async def test_a_cleared_column_is_stopped_before_the_first_overwrite() -> None:
    """One wrong import at a CRM used to empty a column in every other system."""
    world = await crowd()
    before = {name: world.writes(name) for name in NAMES}
    await cleared(world)
    (hold,) = held(world)
    assert hold.reason == holds.MASS_CHANGE
    assert hold.detail["records"] == 24
    assert {name: world.writes(name) for name in NAMES} == before
    assert phones(world, "stripe") == phones(world, "quickbooks") == MANY
    assert sum("phone" in one.fields for one in everybody(world)) == MANY
    await all_day(world)
    assert {name: world.writes(name) for name in NAMES} == before
    assert len(held(world)) == 1


async def test_a_mass_change_that_is_approved_passes_and_no_more() -> None:
    """Exactly what waits."""
    world = await crowd()
    await cleared(world)
    await answer(world, held(world)[0], "approve")
    assert phones(world, "hubspot") == MANY - 24
    assert sum("phone" in one.fields for one in everybody(world)) == MANY - 24
    for _ in range(6):
        for one in held(world):
            await answer(world, one, "approve")
    assert phones(world, "stripe") == phones(world, "quickbooks") == MANY - 24
    assert held(world) == []


async def test_an_approval_covers_no_change_but_the_one_that_was_shown() -> None:
    """Between the question and the answer the same records were changed once more: nobody has seen that."""
    world = await crowd()
    some = await cleared(world)
    (hold,) = held(world)
    for remote_id in some:
        world.lookalikes["hubspot"].edit("customer", remote_id, {"name": "Same Name"})
    await answer(world, hold, "approve")
    assert sum("phone" in one.fields for one in everybody(world)) == MANY
    assert [one.reason for one in held(world)] == [holds.MASS_CHANGE]
    assert not any(
        one["name"] == "Same Name" for name in ("stripe", "quickbooks") for one in world.neutral(name).values()
    )


@pytest.mark.parametrize("name", NAMES)
async def test_what_a_feed_tells_at_once_is_stopped_before_the_first_of_it(name: str) -> None:
    """A page of the change feed is known as a whole, however few are read at once: the budget is for single changes."""
    world = await crowd()
    before = {one: world.writes(one) for one in NAMES}
    world.clock.time += 3600.0
    await world.settle()
    for remote_id in list(world.neutral(name))[: MANY // 2 + 1]:
        world.lookalikes[name].edit("customer", remote_id, {"phone": None})
    world.clock.time += 61.0
    await world.settle()
    (hold,) = held(world)
    assert (hold.reason, hold.detail["records"]) == (holds.MASS_CHANGE, MANY // 2 + 1)
    assert {one: world.writes(one) for one in NAMES} == before
    assert sum("phone" in one.fields for one in everybody(world)) == MANY


async def test_older_states_on_later_pages_of_a_feed_stop_nothing() -> None:
    """Stripe tells the newest first: what it shows further down was so before our own writes."""
    world = World()
    for number in range(120):
        fields = {"name": f"Customer {number}", "email": f"c{number}@example.test"}
        world.lookalikes["stripe"].edit("customer", None, fields)
    await world.activate_all()
    for number, one in enumerate(everybody(world)):
        change_only(world, one.external_id, phone=f"+4930{number:07d}")
    await world.settle()
    await world.next_sweep()
    await world.next_sweep()
    assert held(world) == []
    assert all(one["phone"] for one in world.neutral("stripe").values())


async def test_archiving_everybody_at_quickbooks_makes_nobody_inactive_elsewhere() -> None:
    """Status is a value like any other, but to lose it is to lose the customer."""
    world = await crowd()
    world.clock.time += 3600.0
    await world.settle()
    for remote_id in list(world.neutral("quickbooks")):
        world.lookalikes["quickbooks"].delete("customer", remote_id)
    await all_day(world)
    assert [one.reason for one in held(world)] == [holds.MASS_CHANGE]
    assert not any(one.fields.get("status") == "inactive" for one in everybody(world))


async def test_a_mass_change_that_is_rejected_writes_nothing() -> None:
    """It stays as it is until somebody changes a record again."""
    world = await crowd()
    some = await cleared(world)
    before = {name: world.writes(name) for name in NAMES}
    await answer(world, held(world)[0], "reject")
    await all_day(world)
    assert {name: world.writes(name) for name in NAMES} == before
    assert sum("phone" in one.fields for one in everybody(world)) == MANY
    assert held(world) == []
    await edit(world, "hubspot", {"phone": "+4930999"}, some[0])
    assert sum(one["phone"] == "+4930999" for one in world.neutral("stripe").values()) == 1


async def test_a_mass_change_from_webhooks_or_feeds_is_stopped_within_its_budget() -> None:
    """The change feed brings the same import bit by bit: a rolling hour counts together."""
    world = await crowd()
    some = list(world.neutral("hubspot"))[:30]
    for remote_id in some:
        world.lookalikes["hubspot"].edit("customer", remote_id, {"phone": None})
        await world.next_sweep()
    assert held(world, holds.MASS_CHANGE)
    assert phones(world, "stripe") >= MANY - 21


async def test_a_shrunken_listing_deletes_nothing_and_asks() -> None:
    """A provider that lists half of its records for a moment made the other half look deleted."""
    world = await crowd()
    some = list(world.neutral("hubspot"))[:15]
    for remote_id in some:
        world.lookalikes["hubspot"].delete("customer", remote_id)
    await all_day(world)
    (hold,) = held(world)
    assert hold.reason == holds.LISTING_SHRANK
    await all_day(world)
    assert [one.id for one in held(world)] == [hold.id]
    for remote_id in some[:14]:
        hubspot_of(world).restore("customer", remote_id)
    await all_day(world)
    assert [one.reason for one in held(world)] == [holds.REMOTE_GONE]
    assert len(everybody(world)) == len(world.neutral("stripe")) == MANY


async def test_a_shrunken_listing_that_is_approved_is_believed() -> None:
    """Then every missing object is confirmed by a read, and asked about one by one."""
    world = await crowd()
    for remote_id in list(world.neutral("hubspot"))[:15]:
        world.lookalikes["hubspot"].delete("customer", remote_id)
    await all_day(world)
    await answer(world, held(world)[0], "approve")
    assert [one.reason for one in held(world)] == [holds.REMOTE_GONE] * 15
    await all_day(world)
    assert len(held(world)) == 15
    assert len(world.neutral("stripe")) == MANY


@pytest.mark.parametrize("choice", ["", "reject"])
async def test_a_shrunken_listing_after_more_than_the_feed_tells_is_not_listed_again_at_once(choice: str) -> None:
    """Accord was off for a month: one complete sweep followed the other, without a pause, and the feed was not read."""
    world = World(names=("stripe",), config=config_of(("stripe",)))
    for one in range(10):
        world.lookalikes["stripe"].edit("customer", None, {"name": f"Ada{one}", "email": f"ada{one}@example.test"})
    await world.activate_all()
    for remote_id in list(world.neutral("stripe"))[1:]:
        world.lookalikes["stripe"].delete("customer", remote_id)
    world.clock.time += 31 * 86_400
    listed = taking_a_second(world, "stripe")
    await one_hour(world, "stripe")
    (hold,) = held(world, holds.LISTING_SHRANK)
    if choice:
        await answer(world, hold, choice)
        await one_hour(world, "stripe")
    assert len(listed) == 1
    (kept,) = world.neutral("stripe")
    world.lookalikes["stripe"].edit("customer", kept, {"phone": "+4930999"})
    await world.next_sweep()
    assert [one.fields.get("phone") for one in everybody(world)].count("+4930999") == 1


def taking_a_second(world: World, name: str) -> list[float]:
    """Each call takes one from now on. Returns when Stripe's customers are listed."""
    inner, listed = world.exchanges[name], list[float]()

    def exchange(request: HttpRequest) -> HttpResponse:
        world.clock.time += 1.0
        if "/v1/customers?" in request.url:
            listed.append(world.clock.time)
        return inner(request)

    world.exchanges[name] = exchange
    return listed


async def one_hour(world: World, name: str) -> None:
    """Its lane looks once in a minute."""
    for _ in range(60):
        world.clock.time += 60.0
        await world.lanes.run(name)


async def test_other_credentials_are_refused() -> None:
    """A key of another account would bring in strangers and miss everybody."""
    world = await agreeing()
    account = world.lookalikes["hubspot"].settings
    world.lookalikes["hubspot"].settings = replace(account, portal_id=1)
    world.start()
    await all_day(world)
    assert row(world, "hubspot").state == "reauthorize"
    assert "4242424" in row(world, "hubspot").error.replace(",", "")
    assert held(world) == []
    await change(world, everybody(world)[0].external_id, phone="+4930100")
    assert value(world, "stripe", "phone") == "+4930100"
    assert value(world, "hubspot", "phone") is None


async def test_revoked_credentials_stop_one_connection_only() -> None:
    """A person must act; the others go on, and nothing is lost meanwhile."""
    world = await agreeing()
    good = world.lookalikes["stripe"].settings
    world.lookalikes["stripe"].settings = replace(good, api_key="rk_live_another")
    await change(world, everybody(world)[0].external_id, phone="+4930100")
    assert row(world, "stripe").state == "reauthorize"
    assert value(world, "hubspot", "phone") == "+4930100"
    world.lookalikes["stripe"].settings = good
    world.db.run_now(lambda tx: connections.change(tx, "stripe", state="active", error="", error_code=""))
    world.start()
    await all_day(world)
    assert value(world, "stripe", "phone") == "+4930100"
    assert failing(world) == []


async def test_an_expired_token_is_renewed_once() -> None:
    """QuickBooks' access tokens live for an hour."""
    world = await crowd(12)
    desk = world.lookalikes["quickbooks"]
    asked: list[str] = []
    plain = world.exchanges["quickbooks"]

    def watched(request: HttpRequest) -> HttpResponse:
        if "/oauth2/" in request.url:
            asked.append(request.url)
        return plain(request)

    world.exchanges["quickbooks"] = watched
    before = world.vaults["quickbooks"].get("refresh_token")
    world.clock.time += 3700
    await world.settle()
    assert len(asked) == 1
    assert world.vaults["quickbooks"].get("access_token")
    assert before is not None
    assert row(world, "quickbooks").state == "active"
    assert desk.reads > 0


async def test_a_dead_refresh_token_is_a_persons_matter() -> None:
    """Loud, and no storm of retries."""
    world = await agreeing()
    world.vaults["quickbooks"].values["refresh_token"] = "dead"
    world.clock.time += 3700
    await world.settle()
    assert row(world, "quickbooks").state == "reauthorize"
    reads = world.lookalikes["quickbooks"].reads
    await all_day(world)
    assert world.lookalikes["quickbooks"].reads == reads


async def test_parents_never_form_a_circle() -> None:
    """Following parents would never end."""
    world = await crowd(0)
    for name, parent in (("a", None), ("b", "a"), ("c", "b")):
        world.db.run_now(
            partial(
                registry.create,
                hub=world.hub,
                external_id=name,
                values={"name": name.upper(), "parent": parent},
                actor="ann",
                trace="t",
            )
        )
    with pytest.raises(InvalidInputError, match="circle: a -> c -> b -> a"):
        world.db.run_now(lambda tx: registry.update(tx, world.hub, "a", {"parent": "c"}, actor="ann", trace="t"))
    with pytest.raises(InvalidInputError, match="no customer"):
        world.db.run_now(lambda tx: registry.update(tx, world.hub, "a", {"parent": "z"}, actor="ann", trace="t"))
    with pytest.raises(InvalidInputError, match="circle"):
        world.db.run_now(lambda tx: registry.update(tx, world.hub, "a", {"parent": "a"}, actor="ann", trace="t"))


async def test_an_external_id_never_changes_by_hand() -> None:
    """It is the key that every system was told."""
    world = await agreeing()
    external_id = everybody(world)[0].external_id
    with pytest.raises(InvalidInputError, match="never changes"):
        world.db.run_now(
            lambda tx: registry.update(
                tx, world.hub, external_id, {"external_customer_id": "other"}, actor="ann", trace="t"
            )
        )


async def test_metadata_flows_both_ways_key_by_key() -> None:
    """And a deleted key is deleted everywhere, instead of coming back."""
    world = await agreeing()
    external_id = everybody(world)[0].external_id
    await change(world, external_id, **{"metadata.plan": "pro", "metadata.segment": "smb"})
    assert value(world, "stripe", "metadata.plan") == "pro"
    await edit(world, "stripe", {"metadata.plan": "team", "metadata.extra": "x"})
    assert value(world, "registry", "metadata.plan") == "team"
    assert value(world, "registry", "metadata.extra") == "x"
    assert value(world, "registry", "metadata.segment") == "smb"
    await edit(world, "stripe", {"metadata.plan": None})
    await all_day(world)
    assert value(world, "registry", "metadata.plan") is None
    assert not world.neutral("stripe")[only(world, "stripe")].get("metadata.plan")
    await change(world, external_id, **{"metadata.extra": None})
    assert not world.neutral("stripe")[only(world, "stripe")].get("metadata.extra")
    assert held(world) == []


async def test_creates_are_counted_without_reading_those_before_them() -> None:
    """Each batch read and decoded every entry of the last hour: the more were made, the longer the next ones took."""
    world = World()
    for one in range(MANY):
        world.lookalikes["hubspot"].edit("customer", None, {"name": f"N{one}", "email": f"n{one}@example.test"})
    read: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        read.append(statement)

    event.listen(world.db.engine, "before_cursor_execute", note)
    await world.activate_all()

    assert [len(world.neutral(name)) for name in NAMES] == [MANY] * 3
    assert [one for one in read if one.startswith("SELECT journal.id, journal.at")] == []
    assert any("count(*)" in one and "FROM journal" in one for one in read)
