"""First contact, scope and activation: who is who, who may enter, what may be created, and not before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from core.errors import InvalidInputError
from core.model import holds
from core.model.policy import FieldFilter
from core.ports import ConnectionConfig
from core.store import connections, customers, mappings
from core.store.database import Tx
from core.sync import answers, registry
from core.sync.activation import activate
from core.sync.hub import Timing
from core.sync.plan import plan
from tests.support.acting import (
    ADA,
    DAY,
    agreeing,
    all_day,
    answer,
    change,
    edit_only,
    enter,
    everybody,
    held,
    mapped,
    only,
    value,
    with_policy,
)
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio


def world_with(**changes: Any) -> World:
    """An empty world with another policy at HubSpot."""
    world = World()
    world.config = with_policy(world.config, "hubspot", **changes)
    world.start()
    return world


async def test_nothing_is_written_before_activation() -> None:
    """A new connection looks and plans; it writes nothing, there or here."""
    world = World()
    for name in NAMES:
        world.lookalikes[name].edit("customer", None, ADA)
    await world.settle()
    await all_day(world)
    assert {name: world.writes(name) for name in NAMES} == dict.fromkeys(NAMES, 0)
    assert everybody(world) == []


async def test_an_activation_needs_the_plan_of_this_moment() -> None:
    """The digest of a plan that the world has moved on from is refused, and nothing is done."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, ADA)
    await world.settle()
    stripe = world.hub.connection("stripe")
    old = await plan(world.hub, stripe)
    world.lookalikes["stripe"].edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    await all_day(world)
    with pytest.raises(InvalidInputError, match="stale"):
        await activate(world.hub, stripe, old.digest, actor="ann")
    assert world.db.read_now(lambda tx: connections.get(tx, "stripe").state) == "observing"
    today = await plan(world.hub, stripe)
    assert today.counts == {"enter": 2}
    await activate(world.hub, stripe, today.digest, actor="ann")
    await world.settle()
    assert len(everybody(world)) == 2
    with pytest.raises(InvalidInputError, match="active already"):
        await activate(world.hub, stripe, today.digest, actor="ann")


async def test_a_plan_needs_a_complete_listing() -> None:
    """From half a listing, half of everybody would look new."""
    world = World()
    with pytest.raises(InvalidInputError, match="not listed completely"):
        await plan(world.hub, world.hub.connection("stripe"))


async def test_a_plan_is_what_happens() -> None:
    """Links, creates and entries: exactly what was announced."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, ADA)
    await world.activate_all("stripe")
    world.lookalikes["hubspot"].edit("customer", None, {**ADA, "phone": "+4930100"})
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    await all_day(world)
    hubspot = world.hub.connection("hubspot")
    seen = await plan(world.hub, hubspot)
    assert seen.counts == {"link": 1, "enter": 1}
    await activate(world.hub, hubspot, seen.digest, actor="ann")
    await world.settle()
    assert len(everybody(world)) == 2
    assert {one["phone"] for one in world.neutral("stripe").values()} == {"+4930100", None}


async def test_first_contact_links_one_unique_email_and_fills_blanks() -> None:
    """One person in three systems becomes one customer."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {**ADA, "phone": "+4930100"})
    world.lookalikes["hubspot"].edit("customer", None, {**ADA, "email": "Ada@Example.test", "url": "https://ada.test"})
    world.lookalikes["quickbooks"].edit("customer", None, {**ADA, "legal_name": "Ada Ltd"})
    await world.activate_all()
    (one,) = everybody(world)
    assert (one.fields["phone"], one.fields["url"], one.fields["legal_name"]) == (
        "+4930100",
        "https://ada.test",
        "Ada Ltd",
    )
    assert [len(world.neutral(name)) for name in NAMES] == [1, 1, 1]
    assert value(world, "quickbooks", "phone") == "+4930100"
    assert held(world) == []


async def test_without_leave_to_match_emails_a_double_is_held_and_not_created() -> None:
    """Neither a second object nor a guess."""
    world = world_with(match_email=False)
    world.lookalikes["stripe"].edit("customer", None, ADA)
    await world.activate_all("stripe")
    world.lookalikes["hubspot"].edit("customer", None, {**ADA, "name": "A. Lovelace"})
    await all_day(world)
    await world.activate_all("hubspot")
    assert len(world.neutral("hubspot")) == 1
    assert len(everybody(world)) == 1
    assert {one.reason for one in held(world)} == {holds.AMBIGUOUS_MATCH}
    for one in held(world):
        if one.subject.startswith("r:"):
            await answer(world, one, f"link:{everybody(world)[0].external_id}")
    await all_day(world)
    assert held(world) == []
    assert value(world, "hubspot", "name") == value(world, "stripe", "name")


async def test_twins_are_held() -> None:
    """Two unmapped objects with one e-mail: neither is taken for the right one."""
    world = World()
    for phone in ("+4930100", "+4930200"):
        world.lookalikes["stripe"].edit("customer", None, {**ADA, "phone": phone})
    await world.activate_all("stripe")
    assert everybody(world) == []
    assert len(held(world, holds.AMBIGUOUS_MATCH)) == 2
    await answer(world, held(world)[0], "create")
    assert len(everybody(world)) == 1
    (second,) = held(world)
    assert "that customer is" in second.detail["problem"]
    await answer(world, second, "leave")
    assert len(everybody(world)) == 1
    await all_day(world)
    assert len(everybody(world)) == 1


async def test_the_one_that_is_left_of_twins_enters() -> None:
    """Whoever cleared up there what was asked about had to answer the question about the other one as well."""
    world = World(config=with_policy(config_of(NAMES), "stripe", match_email=True))
    first, second = (world.lookalikes["stripe"].edit("customer", None, {**ADA, "phone": f"+49301{n}"}) for n in "12")
    await world.activate_all("stripe")
    assert len(held(world, holds.AMBIGUOUS_MATCH)) == 2
    world.lookalikes["stripe"].delete("customer", first)
    await all_day(world)
    assert held(world, holds.AMBIGUOUS_MATCH) == []
    assert [one.external_id for one in everybody(world)] == [f"stripe:{second}"]


async def test_an_object_of_a_mapped_customer_is_held() -> None:
    """A double made later at a provider does not become a second customer."""
    world = await agreeing()
    world.lookalikes["stripe"].edit("customer", None, {**ADA, "name": "Ada again"})
    await world.next_sweep()
    assert len(everybody(world)) == 1
    assert [one.reason for one in held(world)] == [holds.AMBIGUOUS_MATCH]
    assert len(world.neutral("hubspot")) == 1


async def test_an_external_id_is_the_key_and_links() -> None:
    """Customers born remotely get their external id from the field that policy names."""
    world = World()
    stripe = _with_external_id(world, "stripe", "metadata.external_customer_id")
    world.config = replace(world.config, connections={**world.config.connections, "stripe": stripe})
    world.start()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "external_id": "cust-1"})
    await enter(world, "cust-2", name="Bob")
    world.lookalikes["stripe"].edit("customer", None, {"name": "Bob B.", "external_id": "cust-2"})
    await all_day(world)
    await world.activate_all()
    assert [one.external_id for one in everybody(world)] == ["cust-1", "cust-2"]
    assert [len(world.neutral(name)) for name in NAMES] == [2, 2, 2]


def _with_external_id(world: World, name: str, field: str) -> ConnectionConfig:
    return replace(world.config.connections[name], external_id_field=field)


async def test_our_marker_links_after_the_mapping_was_lost_sight_of() -> None:
    """An object that carries our marker is ours, whatever its e-mail says by now."""
    world = await agreeing()
    (row,) = mapped(world, "stripe")
    await change(world, everybody(world)[0].external_id, phone="+4930100")
    edit_only(world, "stripe", {"email": "else@example.test"})
    world.db.run_now(lambda tx: _forget_object(tx, row.id))
    await all_day(world)
    assert len(everybody(world)) == 1
    assert mapped(world, "stripe")[0].remote_id == only(world, "stripe")


def _forget_object(tx: Tx, mapping_id: str) -> None:
    row = mappings.by_ids(tx, [mapping_id])[mapping_id]
    mappings.update(tx, [msgspec.structs.replace(row, remote_id=None, state="pending")])


@pytest.mark.parametrize(
    ("changes", "entered", "created"),
    [
        ({"enters": "none"}, [], True),
        ({"enters": "marked"}, [], True),
        ({"enters": "all"}, ["Eve", "Zoe"], True),
        ({"enters": "filter", "enters_filter": FieldFilter("name", ("Eve",))}, ["Eve"], True),
        ({"creates": "none"}, ["Eve", "Zoe"], False),
        ({"creates": "marked"}, ["Eve", "Zoe"], False),
        ({"creates": "filter", "creates_filter": FieldFilter("name", ("Nobody",))}, ["Eve", "Zoe"], False),
        ({"creates": "filter", "creates_filter": FieldFilter("name", ("Ada Lovelace",))}, ["Eve", "Zoe"], True),
    ],
)
async def test_scope_says_who_enters_and_who_is_created(changes: Any, entered: list[str], *, created: bool) -> None:
    """By default neither; here one choice at a time."""
    world = world_with(**changes)
    world.lookalikes["stripe"].edit("customer", None, ADA)
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Eve", "email": "eve@example.test"})
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Zoe", "email": "zoe@example.test"})
    await world.activate_all()
    names = sorted(str(one.fields["name"]) for one in everybody(world))
    assert names == sorted(["Ada Lovelace", *entered])
    there = {one["name"] for one in world.neutral("hubspot").values()}
    assert there == {"Eve", "Zoe", *(["Ada Lovelace"] if created else [])}


async def test_leaving_the_scope_never_deletes() -> None:
    """A connection's scope was narrowed: what is mapped stays, and keeps flowing."""
    world = await agreeing()
    world.config = with_policy(world.config, "hubspot", enters="none", creates="none")
    world.start()
    await all_day(world)
    assert len(world.neutral("hubspot")) == 1
    assert held(world) == []


async def test_a_deleted_customer_does_not_rise_again() -> None:
    """Its objects are left alone, and its external id is free for another life."""
    world = await agreeing()
    external_id = everybody(world)[0].external_id
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, external_id, actor="ann", trace="t"))
    await world.settle()
    await all_day(world)
    assert everybody(world) == []
    assert [len(world.neutral(name)) for name in NAMES] == [1, 1, 1]
    edit_only(world, "stripe", {"phone": "+4930100"})
    await all_day(world)
    assert everybody(world) == []
    await enter(world, external_id, name="Somebody New", email="new@example.test")
    assert [len(world.neutral(name)) for name in NAMES] == [2, 2, 2]
    assert {one["name"] for one in world.neutral("stripe").values()} == {"Ada Lovelace", "Somebody New"}


async def test_marks_of_another_writer_must_be_accepted_before_activation() -> None:
    """Lago's ids on Stripe objects: two programs would write the same objects."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {**ADA, "extra": {"metadata": {"lago_customer_id": "l1"}}})
    await world.settle()
    stripe = world.hub.connection("stripe")
    seen = await plan(world.hub, stripe)
    assert seen.foreign_marks == {"lago_customer_id": 1}
    with pytest.raises(InvalidInputError, match="lago_customer_id"):
        await activate(world.hub, stripe, seen.digest, actor="ann")
    world.config = with_policy(world.config, "stripe", accept_foreign_marks=True)
    world.start()
    await world.activate_all("stripe")
    assert len(everybody(world)) == 1


async def test_a_customer_to_be_created_is_not_made_beside_the_object_that_a_person_links_to_it() -> None:
    """Looked at in one batch, the customer got a second object, and the person's link was gone without a word."""
    world = World(config=with_policy(World().config, "stripe", match_email=False))
    await world.activate_all()
    await enter(world, "bob", name="Bob", email="bob@example.test")
    double = world.lookalikes["stripe"].edit("customer", None, {"name": "A.", "email": "bob@example.test"})
    await world.next_sweep()
    (hold,) = held(world)
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "ada", {"name": "Ada"}, actor="ann", trace="t"))
    world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, "link:ada", actor="ann"))
    await world.lanes.run("stripe")
    (ada,) = [one for one in everybody(world) if one.external_id == "ada"]
    assert [row.remote_id for row in mapped(world, "stripe") if row.record_id == ada.id] == [double]
    assert sorted(str(one["name"]) for one in world.neutral("stripe").values()) == ["Ada", "Bob"]


async def test_a_name_that_nobody_may_enter_here_is_taken_from_where_it_was_entered() -> None:
    """What a provider says is never refused: it flows where it can be stored, and the rest of the customer with it."""
    world = await agreeing(name="\u202eecaleL \u200badA")
    (ada,) = everybody(world)
    await change(world, ada.external_id, phone="+4930999")
    there = [(value(world, name, "name"), value(world, name, "phone")) for name in ("stripe", "hubspot")]
    assert there == [("\u202eecaleL \u200badA", "+4930999")] * 2
    assert [(one.connection, one.reason, one.field) for one in held(world)] == [
        ("quickbooks", holds.UNREPRESENTABLE, "name")
    ]
    with pytest.raises(InvalidInputError, match=r"U\+202E"):
        await change(world, ada.external_id, name="\u202eecaleL")


async def test_addresses_that_only_letters_of_old_spelling_make_alike_are_two_people() -> None:
    """`straße` and `strasse` are two domains: whoever had the one became the customer who had the other."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ann One", "email": "ann@strasse.example.test"})
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Ann Two", "email": "Ann@Straße.example.test"})
    await world.activate_all()
    assert sorted(str(one.fields["name"]) for one in everybody(world)) == ["Ann One", "Ann Two"]
    assert len(world.neutral("hubspot")) == 2
    found = world.db.read_now(lambda tx: customers.listing(tx, search="@STRAßE"))
    assert [one.fields["name"] for one in found] == ["Ann Two"]


@pytest.mark.parametrize("is_listed", [False, True])
async def test_who_could_be_an_object_of_nobodys_is_created_once_that_one_has_another_address(
    *, is_listed: bool
) -> None:
    """The object may not enter, so that nobody looked at the customer again: it was asked about, and waited, for good.

    By a listing alone, where no feed told of the change, as well.
    """
    world = world_with(enters="marked", match_email=False)
    if is_listed:
        world.timing = Timing(changes_every=10 * DAY, full_every=86400, first_back_off=1)
        world.start()
    await world.activate_all()
    double = world.lookalikes["hubspot"].edit("customer", None, {"name": "Somebody", "email": ADA["email"]})
    await all_day(world)
    await enter(world, "ada", **ADA)
    assert [one.reason for one in held(world)] == [holds.AMBIGUOUS_MATCH]
    edit_only(world, "hubspot", {"email": "somebody@example.test"}, double)
    await (all_day(world) if is_listed else world.next_sweep())
    assert held(world) == []
    assert sorted(str(one["name"]) for one in world.neutral("hubspot").values()) == [ADA["name"], "Somebody"]
