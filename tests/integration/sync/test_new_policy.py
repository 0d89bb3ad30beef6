"""A policy that has changed counts for everybody from the next start on, and asks before it changes too much."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from config.file import AccordConfig
from core.model.policy import Rule
from core.ports import HttpRequest, HttpResponse
from core.store.tables import META
from core.store.work import NEW_POLICY
from core.sync.batch import Report
from core.sync.explain import explain
from core.sync.new_policy import recorded, rules_of
from core.sync.plan import plan
from core.sync.restoring import begin_observing
from tests.support.acting import (
    ADA,
    agreeing,
    all_day,
    answer,
    change_only,
    counted,
    edit,
    edit_only,
    everybody,
    held,
    only,
    value,
    waiting,
    with_policy,
)
from tests.support.world import World, config_of

pytestmark = pytest.mark.anyio

OLD, NEW = "+49301111111", "+49302222222"
ASKS = {"phone": Rule()}


def restart(world: World, name: str = "", **changes: Any) -> None:
    """Somebody edits the file, and Accord starts with it, long after all that the change feed tells once more."""
    world.clock.time += 3600
    world.config = with_policy(world.config, name, **changes)
    world.start()


def with_keys(config: AccordConfig, *keys: str) -> AccordConfig:
    """The same configuration with these metadata keys at HubSpot."""
    fresh = replace(config.connections["hubspot"], metadata_keys=keys)
    return replace(config, connections={**config.connections, "hubspot": fresh})


def waits(world: World, external_id: str) -> str:
    """Why a customer waits at the one connection, as `accord explain` tells it; "" for one that does not."""
    (shown,) = world.db.read_now(lambda tx: explain(tx, world.hub, external_id))["mappings"]
    return str(shown["waits"]["reason"]) if "waits" in shown else ""


async def many(number: int, **flows: str) -> World:
    """Customers of Stripe, with these flows there, and in agreement otherwise."""
    world = World(names=("stripe",), config=config_of(("stripe",)))
    restart(world, "stripe", flows=flows)
    for one in range(number):
        person = {"name": f"Person Number{one}", "email": f"person{one}@example.test", "phone": f"+4930{one:07}"}
        world.lookalikes["stripe"].edit("customer", None, person)
    await world.activate_all()
    return world


def phones(world: World, name: str = "stripe") -> list[str]:
    """Everybody's, at one place."""
    if name == "registry":
        return sorted(str(one.fields.get("phone")) for one in everybody(world))
    return sorted(str(one.get("phone")) for one in world.neutral(name).values())


async def differing(number: int) -> World:
    """Agreed upon once, then switched off, and edited at Stripe since."""
    world = await many(number)
    restart(world, "stripe", flows={"phone": "off"})
    await world.settle()
    for remote_id, one in world.neutral("stripe").items():
        edit_only(world, "stripe", {"phone": f"+4940{one['phone'][5:]}"}, remote_id)
    await world.next_sweep()
    return world


async def test_a_policy_that_changed_at_a_restart_counts_for_who_does_not_change() -> None:
    """A field is switched on again: what was edited meanwhile flows, and complete sweeps find nothing left."""
    world = await agreeing(phone=OLD)
    restart(world, "quickbooks", flows={"phone": "off"})
    await edit(world, "stripe", {"phone": NEW})
    assert value(world, "quickbooks", "phone") == OLD
    restart(world, "quickbooks", flows={})
    await world.settle()
    assert value(world, "quickbooks", "phone") == NEW
    await all_day(world)
    assert (waiting(world), held(world)) == ({}, [])


async def test_a_hold_that_the_new_ranks_decide_closes_itself() -> None:
    """Nobody ranked, so a person was asked; now the registry's source outranks HubSpot."""
    world = await agreeing(phone=OLD)
    restart(world, fields=ASKS)
    edit_only(world, "stripe", {"phone": NEW})
    edit_only(world, "hubspot", {"phone": "+49303333333"})
    await world.next_sweep()
    assert held(world, "conflict")
    restart(world, fields={"phone": Rule(ranks=("stripe", "hubspot", "registry"))})
    await world.settle()
    assert held(world) == []
    assert {value(world, name, "phone") for name in world.names} == {NEW}


async def test_a_hold_about_a_field_that_is_switched_off_closes_itself_unread() -> None:
    """Nothing is to be written: what was seen last is enough."""
    world = await many(1)
    restart(world, fields=ASKS)
    (one,) = everybody(world)
    change_only(world, one.external_id, phone=OLD)
    await edit(world, "stripe", {"phone": NEW})
    assert held(world, "conflict")
    restart(world, "stripe", flows={"phone": "off"})
    calls = counted(world, "stripe")
    await world.settle()
    assert (held(world), waiting(world)) == ([], {})
    assert [one for one in calls if one.startswith("GET cus_")] == []


async def test_of_a_thousand_customers_only_those_whom_the_policy_concerns_are_read() -> None:
    """Stripe reads one at a time, and gives ten thousand reads for thirty days."""
    world = await many(1000)
    restart(world, "stripe", flows={"phone": "off"})
    await world.settle()
    concerned = sorted(world.neutral("stripe"))[:3]
    for remote_id in concerned:
        edit_only(world, "stripe", {"phone": NEW}, remote_id)
    await world.next_sweep()
    restart(world, "stripe", flows={})
    calls = counted(world, "stripe")
    await world.settle()
    assert sorted(one for one in calls if one.startswith("GET cus_")) == [f"GET {one}" for one in concerned]
    assert len(calls) <= 6, calls
    assert phones(world, "registry").count(NEW) == 3


@pytest.mark.parametrize("flow", ["in", "out"])
async def test_a_flow_that_is_turned_around_asks_before_the_first_overwrite(flow: str) -> None:
    """A thousand values would be replaced: all are judged before one is; rejected and turned back, nothing is left."""
    world = await differing(1000)
    before, places = world.writes("stripe"), {name: phones(world, name) for name in ("registry", "stripe")}
    assert places["registry"] != places["stripe"]
    restart(world, "stripe", flows={"phone": flow})
    calls = counted(world, "stripe")
    await world.settle()
    (hold,) = held(world)
    assert (hold.reason, hold.detail["records"]) == ("mass_change", 1000)
    assert (world.writes("stripe"), {name: phones(world, name) for name in places}) == (before, places)
    assert [one for one in calls if one.startswith("GET cus_")] == []

    await answer(world, hold, "reject")
    await all_day(world)
    restart(world)
    await world.settle()
    assert (world.writes("stripe"), {name: phones(world, name) for name in places}) == (before, places)
    assert held(world) == []

    restart(world, "stripe", flows={"phone": "off"})
    await world.settle()
    assert (held(world), waiting(world)) == ([], {})
    assert [one for one in calls if one.startswith("GET cus_")] == []
    assert {name: phones(world, name) for name in places} == places


async def test_a_mass_change_by_policy_that_is_approved_is_made() -> None:
    """And by nobody else than whom the person was told of."""
    world = await differing(300)
    restart(world, "stripe", flows={"phone": "out"})
    await world.settle()
    (hold,) = held(world)
    await answer(world, hold, "approve")
    assert phones(world) == phones(world, "registry")
    assert (held(world), waiting(world)) == ([], {})


async def test_a_mass_change_that_nobody_answered_is_no_question_once_the_policy_is_put_back() -> None:
    """Nothing waits any more that it was about."""
    world = await differing(300)
    restart(world, "stripe", flows={"phone": "out"})
    await world.settle()
    assert held(world)
    restart(world, "stripe", flows={"phone": "off"})
    await world.settle()
    assert (held(world), waiting(world)) == ([], {})


async def test_a_question_that_stands_is_not_asked_anew_by_a_policy_that_does_not_concern_it() -> None:
    """What a person was told of, and what they turned down, stays as it is."""
    world = await differing(300)
    restart(world, "stripe", flows={"phone": "out"})
    await world.settle()
    (hold,) = held(world)
    restart(world, "stripe", flows={"phone": "out", "locale": "off"})
    await world.settle()
    assert held(world) == [hold]
    await answer(world, hold, "reject")
    restart(world, "stripe", flows={"phone": "out"})
    await world.settle()
    assert held(world) == []


async def test_a_death_before_everybody_was_looked_at_begins_anew() -> None:
    """The rules are recorded with the last of the customers; until then those who wait are told why."""
    world = await differing(450)
    restart(world, "stripe", flows={"phone": "out"})
    stripe = world.hub.connections["stripe"]
    before = world.db.read_now(lambda tx: recorded(tx, "stripe"))
    for _ in range(2):
        await world.lanes.step(stripe, Report())
    assert 0 < sum(waiting(world).values()) < 450
    first = next(one for one in everybody(world) if waits(world, one.external_id))
    assert waits(world, first.external_id) == f"{NEW_POLICY}; until everybody was looked at"
    assert world.db.read_now(lambda tx: recorded(tx, "stripe")) == before
    world.start()
    await world.settle()
    (hold,) = held(world)
    assert hold.detail["records"] == 450
    assert world.db.read_now(lambda tx: recorded(tx, "stripe")) == rules_of(stripe, world.hub.policy)


async def test_a_policy_that_is_put_back_before_everybody_was_looked_at_leaves_nobody_waiting() -> None:
    """The recorded rules are those of today again; whoever was marked in between is looked at."""
    world = await differing(450)
    was = world.config
    restart(world, "stripe", flows={"phone": "out"})
    for _ in range(2):
        await world.lanes.step(world.hub.connections["stripe"], Report())
    world.config = was
    world.start()
    await world.settle()
    assert (held(world), waiting(world)) == ([], {})


async def test_keys_that_were_not_read_before_are_read_of_everybody_at_once() -> None:
    """HubSpot gives what it is asked for: of a key that is new in `metadata_keys` nothing was seen."""
    world = World()
    world.config = with_keys(world.config, "plan")
    world.start()
    world.lookalikes["stripe"].edit("customer", None, {**ADA, "metadata.segment": "gold"})
    await world.activate_all()
    edit_only(world, "hubspot", {"metadata.segment": "silver"})
    await world.next_sweep()
    world.config = with_keys(world.config, "plan", "segment")
    world.start()
    await world.settle()
    assert value(world, "hubspot", "metadata.segment") == "gold"
    assert (held(world), waiting(world)) == ([], {})


async def test_a_slice_that_could_not_be_read_is_read_again() -> None:
    """HubSpot is down for a moment just when a key is new: nobody is passed over for that."""
    world = World()
    world.config = with_keys(world.config, "plan")
    world.start()
    world.lookalikes["stripe"].edit("customer", None, {**ADA, "metadata.segment": "gold"})
    await world.activate_all()
    for _ in range(2):  # until the change feed tells nothing of it any more
        world.clock.time += 3600
        await world.settle()
    world.config = with_keys(world.config, "plan", "segment")
    world.start()
    up, until, refused = world.lookalikes["hubspot"].respond, world.clock.time + 300, list[str]()

    def exchange(request: HttpRequest) -> HttpResponse:
        if request.url.partition("?")[0].endswith("/batch/read") and world.clock.time < until:
            refused.append(request.url)
            return HttpResponse(status=503, headers={}, body=b"{}")
        return up(request)

    world.exchanges["hubspot"] = exchange
    await world.settle()
    assert refused
    world.clock.time = until + 3600
    await world.lanes.run("hubspot")
    assert value(world, "hubspot", "metadata.segment") == "gold"


async def test_an_upgrade_applies_what_was_left_aside_and_reads_nobody_else() -> None:
    """A database of before knows of no rules: everybody is judged by what was seen, and read where they differ."""
    world = await many(50)
    restart(world, "stripe", flows={"phone": "off"})
    await world.settle()
    remote_id = min(world.neutral("stripe"))
    edit_only(world, "stripe", {"phone": NEW}, remote_id)
    await world.next_sweep()
    world.db.run_now(lambda tx: tx.execute(sa.delete(META).where(META.c.name.startswith("policy of "))))
    restart(world, "stripe", flows={})
    calls = counted(world, "stripe")
    await world.settle()
    assert [one for one in calls if one.startswith("GET cus_")] == [f"GET {remote_id}"]
    assert NEW in phones(world, "registry")


async def test_scopes_that_let_more_in_and_out_count_at_once_for_what_is_known() -> None:
    """Objects without a customer, and customers without an object, wait for no sweep, and nobody is read for it."""
    world = World()
    restart(world, "stripe", enters="none")
    restart(world, "quickbooks", creates="none")
    world.lookalikes["stripe"].edit("customer", None, ADA)
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Bob Brown", "email": "bob@example.test"})
    await world.activate_all()
    assert [one.fields["name"] for one in everybody(world)] == ["Bob Brown"]
    assert len(world.neutral("quickbooks")) == 0
    restart(world, "stripe", enters="all")
    restart(world, "quickbooks", creates="all")
    calls = counted(world, "stripe")
    await world.settle()
    assert len(everybody(world)) == len(world.neutral("quickbooks")) == 2
    assert [one for one in calls if one.startswith("GET cus_")] == []


async def test_a_match_by_email_that_was_asked_about_is_made_once_policy_allows_it() -> None:
    """The question is the policy's own by now."""
    world = World()
    restart(world, "quickbooks", match_email=False)
    world.lookalikes["stripe"].edit("customer", None, ADA)
    world.lookalikes["quickbooks"].edit("customer", None, ADA)
    await world.activate_all("stripe", "quickbooks")
    assert held(world, "ambiguous_match")
    restart(world, "quickbooks", match_email=True)
    await world.settle()
    assert held(world) == []
    assert (len(everybody(world)), len(world.neutral("quickbooks"))) == (1, 1)


async def test_a_create_that_was_asked_about_is_made_once_policy_leaves_out_what_did_not_fit() -> None:
    """Its customer does not change, and its question is about a field that does not flow any more."""
    world = World(names=("stripe", "quickbooks"), config=config_of(("stripe", "quickbooks")))
    world.lookalikes["stripe"].edit("customer", None, {**ADA, "email": f"{'a' * 110}@example.test"})
    await world.activate_all()
    assert [one.field for one in held(world)] == ["email"]
    restart(world, "quickbooks", flows={"email": "off"})
    await world.settle()
    assert held(world) == []
    assert len(world.neutral("quickbooks")) == 1


async def test_a_policy_that_changes_while_a_connection_observes_waits_for_its_plan() -> None:
    """Nothing is written before a person has seen it, and nothing is asked that the plan tells."""
    world = await differing(300)
    world.db.run_now(lambda tx: begin_observing(tx, world.hub))
    before = world.writes("stripe")
    restart(world, "stripe", flows={"phone": "out"})
    await world.settle()
    assert (world.writes("stripe"), held(world)) == (before, [])
    seen = await plan(world.hub, world.hub.connections["stripe"])
    assert seen.counts == {"update": 300}


async def test_who_is_gone_or_failed_meanwhile_is_looked_at_by_the_lane() -> None:
    """A read for a key that is new finds an object no more: that is for the lane to judge, as ever."""
    world = World()
    world.config = with_keys(world.config, "plan")
    world.start()
    world.lookalikes["stripe"].edit("customer", None, ADA)
    await world.activate_all()
    world.lookalikes["hubspot"].delete("customer", only(world, "hubspot"))
    world.config = with_keys(world.config, "plan", "segment")
    world.start()
    await world.settle()
    assert held(world, "remote_gone")
