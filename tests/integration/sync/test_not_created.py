"""`creates` is narrowed, and Accord is started again: who waited to be created is not, but for whom a person asks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from core.model import holds
from core.model.policy import FieldFilter, Guard
from core.sandbox.faults import FaultKind
from core.store import failures
from core.sync import answers, registry
from core.sync.explain import explain, status
from core.sync.plan import plan
from tests.integration.sync.test_creates_in_doubt import create_in_doubt
from tests.support.acting import (
    ADA,
    agreeing,
    all_day,
    answer,
    change,
    failing,
    held,
    mapped,
    only,
    with_policy,
    with_settings,
)
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio


def enter_only(world: World, external_id: str, **values: Any) -> None:
    """A new customer, by hand, not passed on yet."""
    world.db.run_now(lambda tx: registry.create(tx, world.hub, external_id, values, actor="ann", trace="t"))


def creating(world: World, scope: str, at: str = "hubspot", **more: Any) -> None:
    """Started again with another `creates` at one connection."""
    world.config = with_policy(world.config, at, creates=scope, **more)
    world.start()


async def waiting_ones(*names: str) -> World:
    """Customers that were to be created everywhere when HubSpot's `creates` was set to none."""
    world = World()
    await world.activate_all()
    for name in names:
        enter_only(world, name, name=name, email=f"{name}@example.test")
    creating(world, "none")
    await world.settle()
    return world


def standing(world: World) -> dict[str, Any]:
    """How HubSpot stands, in numbers."""
    (found,) = [
        one
        for one in world.db.read_now(lambda tx: status(tx, world.hub))["connections"]
        if one["connection"] == "hubspot"
    ]
    return dict(found)


def why(world: World, name: str) -> str | None:
    """Why the customer's mapping at HubSpot waits, as `accord explain` tells it."""
    told = world.db.read_now(lambda tx: explain(tx, world.hub, name))["mappings"]
    (here,) = [one for one in told if one["connection"] == "hubspot"]
    found: str | None = here.get("waits", {}).get("reason")
    return found


async def test_who_waited_to_be_created_is_not_once_policy_creates_nobody() -> None:
    """They were created all the same, after the restart that was made to keep it from happening."""
    world = await waiting_ones("ada", "bea")
    await all_day(world)
    assert {name: len(world.neutral(name)) for name in NAMES} == {"stripe": 2, "hubspot": 0, "quickbooks": 2}
    assert [row.state for row in mapped(world, "hubspot")] == ["pending", "pending"]
    assert (held(world), failing(world)) == ([], [])
    found = standing(world)
    assert (found["pending"], found["waiting"]) == (2, 0)
    assert why(world, "ada") == "policy does not create it there: `creates` in accord.toml says whom"


async def test_they_are_created_once_policy_wants_them_again() -> None:
    """At the next start, with what they are by then, and once."""
    world = await waiting_ones("ada", "bea")
    await change(world, "ada", phone="+4930100")
    assert len(world.neutral("hubspot")) == 0
    creating(world, "all")
    await world.settle()
    there = world.neutral("hubspot").values()
    assert sorted((one["name"], one.get("phone")) for one in there) == [("ada", "+4930100"), ("bea", None)]
    before = world.writes("hubspot")
    await all_day(world)
    assert (world.writes("hubspot"), why(world, "ada")) == (before, None)


async def test_a_create_that_failed_fails_no_more_once_nobody_wants_it() -> None:
    """It would stand among the failures until somebody wondered why nothing is tried."""
    world = World()
    await world.activate_all()
    enter_only(world, "ada", **ADA)
    (row,) = mapped(world, "hubspot")
    failed = failures.Failure(
        connection="hubspot", subject=f"m:{row.id}", code="bug", message="no", state="retrying", first_at=1, last_at=1
    )
    world.db.run_now(lambda tx: failures.record(tx, [failed]))
    creating(world, "none")
    await world.settle()
    assert failing(world) == []


async def test_a_plan_tells_who_is_not_created_and_applies_nothing() -> None:
    """Neither as a create that would be made, nor as a question that somebody could answer."""
    world = await waiting_ones("ada")
    seen = await plan(world.hub, world.hub.connections["hubspot"])
    assert seen.counts == {"wait": 1}
    (item,) = seen.items
    assert (item.external_id, item.reason) == (
        "ada",
        "policy does not create it there: `creates` in accord.toml says whom",
    )
    creating(world, "all")
    seen = await plan(world.hub, world.hub.connections["hubspot"])
    assert seen.counts == {"create": 1}


async def test_a_filter_lets_through_who_passes_it_by_now() -> None:
    """Whoever is edited into it meanwhile is created, without any restart."""
    world = World()
    await world.activate_all()
    for name in ("ada", "bea"):
        enter_only(world, name, name=name, email=f"{name}@example.test", currency="EUR" if name == "bea" else "USD")
    creating(world, "filter", creates_filter=FieldFilter("currency", ("EUR",)))
    await all_day(world)
    assert [one["name"] for one in world.neutral("hubspot").values()] == ["bea"]
    await change(world, "ada", currency="EUR")
    assert sorted(one["name"] for one in world.neutral("hubspot").values()) == ["ada", "bea"]


async def test_an_object_that_a_person_wants_made_again_is_made_whatever_policy_creates() -> None:
    """It was there, and somebody said so; the next start does not forget it."""
    world = await agreeing()
    world.lookalikes["hubspot"].delete("customer", only(world, "hubspot"))
    await all_day(world)
    (hold,) = held(world)
    creating(world, "none")
    await answer(world, hold, "recreate")
    assert len(world.neutral("hubspot")) == 1
    (row,) = mapped(world, "hubspot")
    assert (row.state, row.note) == ("live", "")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_who_is_said_to_be_another_is_created_whatever_policy_creates(when: str) -> None:
    """The answer `create` is a person's word, given before the restart or after it."""
    world = World(config=with_policy(config_of(NAMES), "stripe", match_email=False, enters="marked"))
    await world.activate_all()
    world.lookalikes["stripe"].edit("customer", None, {**ADA, "name": "Somebody"})
    await all_day(world)
    enter_only(world, "ada", **ADA)
    await world.settle()
    (hold,) = held(world, holds.AMBIGUOUS_MATCH)
    if when == "before":
        world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, "create", actor="ann"))
    creating(world, "none", at="stripe")
    if when == "after":
        await answer(world, hold, "create")
    await world.settle()
    assert sorted(one["name"] for one in world.neutral("stripe").values()) == ["Ada Lovelace", "Somebody"]
    assert held(world) == []


async def test_a_refused_create_that_is_tried_again_by_a_person_is_made_whatever_policy_creates() -> None:
    """QuickBooks has one name once: after the other one was renamed, somebody says `retry`."""
    world = World()
    await world.activate_all()
    world.config = with_policy(world.config, "quickbooks", enters="marked")
    world.start()
    other = world.lookalikes["quickbooks"].edit(
        "customer", None, {"name": "Ada Lovelace", "email": "other@example.test"}
    )
    await all_day(world)
    enter_only(world, "ada", **ADA)
    await world.settle()
    (hold,) = held(world, holds.NAME_TAKEN)
    world.lookalikes["quickbooks"].edit("customer", other, {"name": "Ada L."})
    world.config = with_policy(world.config, "quickbooks", creates="none")
    world.start()
    await all_day(world)
    assert [one["name"] for one in world.neutral("quickbooks").values()] == ["Ada L."]
    (again,) = held(world, holds.NAME_TAKEN)
    assert again.id == hold.id
    await answer(world, again, "retry")
    assert sorted(one["name"] for one in world.neutral("quickbooks").values()) == ["Ada L.", "Ada Lovelace"]


async def test_a_question_about_a_likely_object_goes_with_that_object_though_nobody_is_created() -> None:
    """Nothing there could be the customer any more: whoever answered would say nothing."""
    world = World(config=with_policy(config_of(NAMES), "hubspot", match_email=False, enters="marked"))
    await world.activate_all()
    for number in range(9):
        world.lookalikes["hubspot"].edit("customer", None, {"name": f"N{number}", "email": f"n{number}@example.test"})
    likely = world.lookalikes["hubspot"].edit("customer", None, ADA)
    await all_day(world)
    enter_only(world, "ada", **ADA)
    await world.settle()
    assert [one.reason for one in held(world)] == [holds.AMBIGUOUS_MATCH]
    creating(world, "none")
    world.lookalikes["hubspot"].delete("customer", likely)
    await all_day(world)
    await change(world, "ada", phone="+4930100")
    assert held(world) == []
    assert (len(world.neutral("hubspot")), why(world, "ada") is not None) == (9, True)


async def test_who_is_not_created_is_still_linked_to_an_object_that_turns_up() -> None:
    """Not creating is not leaving out."""
    world = await waiting_ones("ada")
    made = world.lookalikes["hubspot"].edit("customer", None, {"name": "ada", "email": "ada@example.test"})
    await all_day(world)
    (row,) = mapped(world, "hubspot")
    assert (row.state, row.remote_id) == ("live", made)


async def test_a_child_does_not_wait_for_a_parent_that_policy_does_not_create() -> None:
    """It is created without, as where nobody had ever waited for the parent; why the two are not tied is told."""
    world = World()
    await world.activate_all()
    enter_only(world, "top", name="Top", currency="USD", customer_type="company")
    creating(world, "filter", at="quickbooks", creates_filter=FieldFilter("currency", ("EUR",)))
    await all_day(world)
    enter_only(world, "mid", name="Mid", currency="EUR", customer_type="company")
    enter_only(world, "leg", name="Leg", currency="EUR", customer_type="company", parent="top")
    await all_day(world)
    assert sorted(one["name"] for one in world.neutral("quickbooks").values()) == ["Leg", "Mid"]
    await change(world, "leg", parent="mid")
    await change(world, "leg", parent="top")
    told = world.db.read_now(lambda tx: explain(tx, world.hub, "leg"))["mappings"]
    waits = {one["connection"]: one.get("parent_waits") for one in told}
    assert waits["quickbooks"] == "its parent top is not there, and policy does not create it"
    creating(world, "all", at="quickbooks")
    await all_day(world)
    there = world.neutral("quickbooks")
    (leg,) = [one for one in there.values() if one["name"] == "Leg"]
    assert there[leg["parent"]]["name"] == "Top"


async def too_many() -> World:
    """Five customers at once, where a person is asked about more than two."""
    config = config_of(NAMES)
    policy = msgspec.structs.replace(config.policy, guard=Guard(overwrite_count=2, overwrite_share=0.0))
    world = World(config=replace(config, policy=policy))
    await world.activate_all()
    for number in range(5):
        enter_only(world, f"c{number}", name=f"Name {number}", email=f"c{number}@example.test")
    await world.settle()
    assert {one.connection for one in held(world, holds.MASS_CHANGE)} == set(NAMES)
    return world


def asked(world: World) -> list[str]:
    """Where a mass change waits for its answer."""
    return sorted(one.connection for one in held(world, holds.MASS_CHANGE))


async def test_the_question_about_too_many_creates_goes_when_policy_creates_nobody() -> None:
    """It showed that `creates` was too wide; with that put right it stood, and `approve` would have made nothing."""
    world = await too_many()
    creating(world, "none")
    await world.next_sweep()
    assert asked(world) == ["quickbooks", "stripe"]
    assert (len(world.neutral("hubspot")), standing(world)["waiting"]) == (0, 0)
    creating(world, "all")
    await world.next_sweep()
    assert (asked(world), len(world.neutral("hubspot"))) == (["hubspot", "quickbooks", "stripe"], 0)


async def test_what_was_said_about_too_many_creates_outlives_a_policy_without() -> None:
    """Approved, and kept from being made by a restart: once policy wants them, nobody is asked a second time."""
    world = await too_many()
    (hold,) = [one for one in held(world, holds.MASS_CHANGE) if one.connection == "hubspot"]
    world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, "approve", actor="ann"))
    creating(world, "none")
    await world.next_sweep()
    assert len(world.neutral("hubspot")) == 0
    creating(world, "all")
    await world.next_sweep()
    assert (asked(world), len(world.neutral("hubspot"))) == (["quickbooks", "stripe"], 5)


@pytest.mark.parametrize("connection", NAMES)
@pytest.mark.parametrize("lost", ["lost_answer", "error_before"])
async def test_a_create_that_was_begun_is_ended_as_it_was_begun(connection: str, lost: FaultKind) -> None:
    """Whether it has arrived is not known: sent again under its key, or found, it is there once and the customer's."""
    world = World()
    await world.activate_all()
    await create_in_doubt(world, connection, ADA, lost)
    creating(world, "none", at=connection)
    await world.settle()
    assert len(world.neutral(connection)) == 1
    assert [row.state for row in mapped(world, connection)] == ["live"]


async def test_a_contact_is_not_left_to_a_company_that_policy_does_not_create() -> None:
    """It would be nobody's for as long as that one waits: a person says whose it is."""
    world = World(config=with_settings(config_of(NAMES), "hubspot", billing_contact="true"))
    await world.activate_all()
    enter_only(world, "acme", name="Acme", email="billing@acme.example", customer_type="company")
    creating(world, "none", match_email=False)
    await all_day(world)
    await enter_there(world, email="billing@acme.example", name="Bill")
    (hold,) = held(world, holds.AMBIGUOUS_MATCH)
    assert hold.detail["candidates"] == ["acme"]


async def enter_there(world: World, **fields: str) -> None:
    """Somebody enters a contact at HubSpot."""
    world.lookalikes["hubspot"].edit("customer", None, {**fields, "customer_type": "individual"})
    await all_day(world)
