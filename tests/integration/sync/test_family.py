"""Parents: one field of the registry, parent companies at HubSpot, sub-customers at QuickBooks."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from core.errors import InvalidInputError
from core.model import holds
from core.model.policy import FieldFilter
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import Fault
from core.store import work
from core.store.database import Tx
from core.sync import registry, undo
from core.sync.erasure import erase
from core.sync.explain import explain
from core.sync.linking import unlink
from core.sync.plan import plan
from tests.integration.sync.test_found_by_simulation import CREATES, weather
from tests.support.acting import (
    all_day,
    answer,
    change,
    change_only,
    edit_only,
    enter,
    everybody,
    failing,
    held,
    mapped,
    waiting,
    with_policy,
)
from tests.support.lookalikes import quickbooks_of
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio

TREED = ("hubspot", "quickbooks")


async def started(**scopes: dict[str, Any]) -> World:
    """Three connections, active, with nobody."""
    config = config_of(NAMES)
    for name, changes in scopes.items():
        config = with_policy(config, name, **changes)
    world = World(config=config)
    await world.activate_all()
    return world


async def company(world: World, name: str, parent: str | None = None) -> None:
    """A company, entered by hand under its own name."""
    await enter(world, name, name=name, customer_type="company", **({"parent": parent} if parent else {}))


def ids(world: World, system: str) -> dict[str, str]:
    """Objects of a system by name."""
    return {str(one["name"]): remote_id for remote_id, one in world.neutral(system).items()}


def parents(world: World, system: str) -> dict[str, str | None]:
    """Who is below whom at a system, by names."""
    shown = world.neutral(system)
    return {
        str(one["name"]): str(shown[one["parent"]]["name"]) if one.get("parent") else None for one in shown.values()
    }


def in_registry(world: World) -> dict[str, str | None]:
    """Who is below whom in the registry, by names."""
    found = everybody(world)
    names = {one.external_id: str(one.fields["name"]) for one in found}
    return {str(one.fields["name"]): names.get(str(one.fields.get("parent"))) for one in found}


async def silent(world: World) -> None:
    """A whole day of sweeps writes nothing."""
    before = [world.writes(name) for name in NAMES]
    await all_day(world)
    await world.next_sweep()
    assert [world.writes(name) for name in NAMES] == before


@pytest.mark.parametrize("system", TREED)
async def test_a_tree_of_one_system_stands_in_the_other(system: str) -> None:
    """Born at either: the registry names the parents by its own ids, the other system by its own."""
    world = World()
    look = world.lookalikes[system]
    above = None
    for name in ("Holding", "Branch", "Shop"):
        made = {"name": name, "email": f"{name.lower()}@example.test", "customer_type": "company"}
        if system == "quickbooks":
            # QuickBooks cannot say what is a company, Stripe cannot say who is below whom
            world.lookalikes["hubspot"].edit("customer", None, made)
        above = look.edit("customer", None, {**made, "parent": above})
    await world.activate_all()
    await world.settle()
    tree = {"Holding": None, "Branch": "Holding", "Shop": "Branch"}
    assert in_registry(world) == tree
    for name in TREED:
        assert parents(world, name) == tree, name
    assert len(world.neutral("stripe")) == 3
    assert held(world) == []
    await silent(world)


async def test_a_parent_set_in_the_registry_goes_to_every_system_that_has_parents() -> None:
    """And taken off again."""
    world = await started()
    await company(world, "Holding")
    await company(world, "Branch")
    await change(world, "Branch", parent="Holding")
    for name in TREED:
        assert parents(world, name) == {"Holding": None, "Branch": "Holding"}, name
    await silent(world)
    await change(world, "Branch", parent=None)
    for name in TREED:
        assert parents(world, name) == {"Holding": None, "Branch": None}, name
    (row,) = [
        one for one in world.lookalikes["quickbooks"].objects("customer").values() if one["DisplayName"] == "Branch"
    ]
    assert (row["Job"], row["BillWithParent"], row["FullyQualifiedName"]) == (False, False, "Branch")
    await silent(world)


@pytest.mark.parametrize(("here", "there"), [TREED, TREED[::-1]])
async def test_a_child_that_moves_at_one_system_moves_at_the_other(here: str, there: str) -> None:
    """Another parent is one change of one field, and so is none."""
    world = await started()
    for name in ("Old", "New"):
        await company(world, name)
    await company(world, "Branch", "Old")
    assert parents(world, there)["Branch"] == "Old"
    edit_only(world, here, {"parent": ids(world, here)["New"]}, ids(world, here)["Branch"])
    await all_day(world)
    assert in_registry(world)["Branch"] == "New"
    assert parents(world, there)["Branch"] == "New"
    edit_only(world, here, {"parent": None}, ids(world, here)["Branch"])
    await all_day(world)
    assert in_registry(world)["Branch"] is None
    assert parents(world, there)["Branch"] is None
    assert held(world) == []
    await silent(world)


async def test_parents_are_created_before_their_children() -> None:
    """The whole tree waits at once, and its ids sort the wrong way round."""
    world = await started()

    def tree(tx: Tx) -> None:
        for name, above in (("d", None), ("c", "d"), ("b", "c"), ("a", "b")):
            values = {"name": name, "customer_type": "company"} | ({"parent": above} if above else {})
            registry.create(tx, world.hub, name, values, actor="ann", trace="t")

    world.db.run_now(tree)
    await world.settle()
    for name in TREED:
        assert parents(world, name) == {"a": "b", "b": "c", "c": "d", "d": None}, name
    books = world.lookalikes["quickbooks"]
    assert [one.changed["DisplayName"] for one in books.mutations if one.action == "create"] == ["d", "c", "b", "a"]
    assert [one.action for one in books.mutations] == ["create"] * 4
    (last,) = [one for one in books.objects("customer").values() if one["DisplayName"] == "a"]
    assert (last["FullyQualifiedName"], last["Level"]) == ("d:c:b:a", 3)
    assert waiting(world) == {}
    await silent(world)


async def test_an_unmapped_parent_waits_and_blanks_nothing() -> None:
    """Its object is not in scope: whose it is, is not known; when it gets known, the child's parent arrives."""
    world = await started(quickbooks={"enters": "marked"})
    await company(world, "Branch")
    await company(world, "Other")
    await change(world, "Branch", parent="Other")
    books = world.lookalikes["quickbooks"]
    stranger = books.edit("customer", None, {"name": "Stranger"})
    edit_only(world, "quickbooks", {"parent": stranger}, ids(world, "quickbooks")["Branch"])
    await all_day(world)
    assert in_registry(world)["Branch"] == "Other"
    assert parents(world, "hubspot")["Branch"] == "Other"
    shown = world.db.read_now(lambda tx: explain(tx, world.hub, "Branch"))
    (at_books,) = [one for one in shown["mappings"] if one["connection"] == "quickbooks"]
    assert stranger in at_books["parent_waits"]
    await enter(world, "Stranger", name="Stranger", customer_type="company")
    (taken,) = held(world)
    await answer(world, taken, f"link:{stranger}")
    await world.settle()
    assert in_registry(world)["Branch"] == "Stranger"
    assert parents(world, "hubspot")["Branch"] == "Stranger"
    assert held(world) == []
    await silent(world)


async def test_a_child_whose_parent_is_held_waits_and_says_so() -> None:
    """QuickBooks cannot hold the parent's name: the child goes on when that is solved."""
    world = await started()
    await company(world, "Group: Holding")
    await company(world, "Branch", "Group: Holding")
    assert parents(world, "hubspot")["Branch"] == "Group: Holding"
    assert ids(world, "quickbooks") == {}
    shown = world.db.read_now(lambda tx: explain(tx, world.hub, "Branch"))
    (at_books,) = [one for one in shown["mappings"] if one["connection"] == "quickbooks"]
    assert "its parent Group: Holding is to be created there first" in at_books["waits"]["reason"]
    assert waiting(world) == {"quickbooks": 1}
    await change(world, "Group: Holding", name="Group Holding")
    assert parents(world, "quickbooks") == {"Group Holding": None, "Branch": "Group Holding"}
    assert waiting(world) == {}


async def test_who_waits_for_a_parent_is_no_failure_any_more() -> None:
    """A create that never arrived was told as being looked into for as long as the parent was held, days after that."""
    world = await started()
    await company(world, "Group: Holding")
    weather(world, "quickbooks", Fault(kind="error_before", method="POST", path=CREATES["quickbooks"], count=5))
    fields = {"name": "Branch", "customer_type": "company"}
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "Branch", fields, actor="ann", trace="t"))
    await world.lanes.run("quickbooks")
    assert [one.code for one in failing(world)] == ["ambiguous"]
    change_only(world, "Branch", parent="Group: Holding")
    await all_day(world)
    assert (waiting(world), failing(world)) == ({"quickbooks": 1}, [])


async def test_a_child_whose_parent_never_comes_there_is_created_without() -> None:
    """Policy creates companies of one plan only: nothing is to be waited for."""
    config = with_policy(
        config_of(NAMES), "quickbooks", creates="filter", creates_filter=FieldFilter("metadata.books", ("yes",))
    )
    world = World(config=config)
    await world.activate_all()
    await company(world, "Holding")
    await enter(world, "Branch", name="Branch", customer_type="company", parent="Holding", **{"metadata.books": "yes"})
    assert parents(world, "quickbooks") == {"Branch": None}
    assert parents(world, "hubspot")["Branch"] == "Holding"
    await silent(world)
    assert in_registry(world)["Branch"] == "Holding"
    await change(world, "Holding", **{"metadata.books": "yes"})
    assert parents(world, "quickbooks") == {"Branch": "Holding", "Holding": None}


async def test_deeper_than_quickbooks_can_is_held_with_the_limit() -> None:
    """Four levels below the top; HubSpot knows no such limit. Whoever is below the held one keeps its place."""
    world = await started()
    above = None
    for name in "abcdefg":
        await company(world, name, above)
        above = name
    tree = {"a": None, "b": "a", "c": "b", "d": "c", "e": "d", "f": "e", "g": "f"}
    assert parents(world, "hubspot") == tree
    assert parents(world, "quickbooks") == tree | {"f": None}
    (deep,) = held(world)
    assert (deep.reason, deep.field, deep.connection) == (holds.UNREPRESENTABLE, "parent", "quickbooks")
    assert deep.detail["limit"] == "4 levels below the top"
    assert deep.detail["cure"]
    await silent(world)
    await change(world, "c", parent=None)
    assert held(world) == []
    assert parents(world, "quickbooks") == tree | {"c": None}


@pytest.mark.parametrize("how", ["moved here", "moved there", "gone"])
async def test_what_was_too_deep_follows_once_what_was_below_it_is_elsewhere(how: str) -> None:
    """The question stood, and the customer stayed where it was in QuickBooks, until something else of it changed."""
    world = await started()
    for name, parent in (("A", None), ("B", "A"), ("C", "B"), ("X", None), ("Y", "X"), ("Z", "Y")):
        await company(world, name, parent)
    await change(world, "X", parent="C")
    assert [(one.connection, one.reason, one.field) for one in held(world)] == [
        ("quickbooks", holds.UNREPRESENTABLE, "parent")
    ]
    if how == "moved here":
        await change(world, "Y", parent=None)
    elif how == "moved there":
        edit_only(world, "quickbooks", {"parent": None}, ids(world, "quickbooks")["Y"])
    else:
        books, lowest = quickbooks_of(world), ids(world, "quickbooks")["Z"]
        books.merge("customer", books.edit("customer", None, {"name": "Spare"}), lowest)
    await all_day(world)
    assert [one.reason for one in held(world)] == [holds.REMOTE_GONE] * (how == "gone")
    assert parents(world, "quickbooks")["X"] == "C"
    await silent(world)


async def test_a_question_about_a_circle_ends_where_it_is_opened_further_up() -> None:
    """It stood although there was no circle any more, and what it offered would not have taken the parent."""
    world = await started()
    for name, parent in (("Up", None), ("Mid", "Up"), ("Low", None)):
        await company(world, name, parent)
    edit_only(world, "hubspot", {"parent": ids(world, "hubspot")["Mid"]}, ids(world, "hubspot")["Low"])
    change_only(world, "Up", parent="Low")
    await all_day(world)
    assert [(one.connection, one.reason) for one in held(world)] == [("hubspot", holds.CIRCLE)]
    await change(world, "Up", parent=None)
    await all_day(world)
    wanted = {"Up": None, "Mid": "Up", "Low": "Mid"}
    assert (held(world), in_registry(world)) == ([], wanted)
    assert [parents(world, name) for name in TREED] == [wanted, wanted]
    await silent(world)


async def test_a_child_is_moved_once_its_parent_does_not_hang_below_it_any_more() -> None:
    """A person put the parent back where nothing had been agreed of it: no write waited, and nobody was told."""
    world = await started()
    for name in ("One", "Two"):
        await company(world, name)
    here = ids(world, "quickbooks")
    edit_only(world, "quickbooks", {"parent": here["One"]}, here["Two"])
    change_only(world, "One", parent="Two")
    await all_day(world)
    assert [one.reason for one in held(world)] == [holds.CIRCLE]
    assert waiting(world) == {"quickbooks": 1}
    edit_only(world, "quickbooks", {"parent": None}, here["Two"])
    await all_day(world)
    world.clock.time += world.timing.longest_back_off
    await world.settle()
    wanted = {"One": "Two", "Two": None}
    assert (held(world), waiting(world), in_registry(world)) == ([], {}, wanted)
    assert [parents(world, name) for name in TREED] == [wanted, wanted]


async def test_a_parent_that_was_refused_is_tried_again_once_that_one_hangs_elsewhere() -> None:
    """QuickBooks refused it while the parent was below the child: the question stood after that had been put right."""
    world = await started()
    for name, parent in (("Top", None), ("One", None), ("Two", "Top")):
        await company(world, name, parent)
    here = ids(world, "quickbooks")
    edit_only(world, "quickbooks", {"parent": here["One"]}, here["Two"])
    change_only(world, "One", parent="Two")
    change_only(world, "Two", parent=None)
    await all_day(world)
    wanted = {"Top": None, "One": "Two", "Two": None}
    assert (held(world), in_registry(world)) == ([], wanted)
    assert [parents(world, name) for name in TREED] == [wanted, wanted]
    await silent(world)


async def test_two_systems_cannot_make_a_circle_together() -> None:
    """Each is right for itself. The second is held, whatever the lanes' order; the registry's word undoes it there."""
    world = await started()
    for name in ("One", "Two"):
        await company(world, name)
    edit_only(world, "hubspot", {"parent": ids(world, "hubspot")["Two"]}, ids(world, "hubspot")["One"])
    edit_only(world, "quickbooks", {"parent": ids(world, "quickbooks")["One"]}, ids(world, "quickbooks")["Two"])
    await all_day(world)
    (hold,) = held(world)
    assert (hold.reason, hold.field) == (holds.CIRCLE, "parent")
    assert "One" in str(hold.detail["problem"])
    before = in_registry(world)
    assert sorted(map(str, before.values())) == ["None", "One" if before["One"] is None else "Two"]
    await silent(world)
    await answer(world, hold, "registry")
    await world.settle()
    assert held(world) == []
    for name in TREED:
        assert parents(world, name) == before, name
    await silent(world)


async def test_a_parent_that_is_gone_takes_no_child_out_of_its_family() -> None:
    """HubSpot's tie goes with the archived company: that is nobody's edit, and comes back with it."""
    world = await started()
    await company(world, "Holding")
    await company(world, "Branch", "Holding")
    hubspot = world.lookalikes["hubspot"]
    holding, branch = ids(world, "hubspot")["Holding"], ids(world, "hubspot")["Branch"]
    hubspot.delete("customer", holding)
    # the child is looked at before anybody knows that its parent is gone
    subject = next(work.mapping_subject(one.id) for one in mapped(world, "hubspot") if one.remote_id == branch)
    world.db.run_now(lambda tx: work.mark(tx, "hubspot", [subject], reason="t", trace="t", now=world.clock.now()))
    await world.settle()
    assert in_registry(world)["Branch"] == "Holding"
    assert parents(world, "quickbooks")["Branch"] == "Holding"
    (gone,) = held(world)
    assert gone.reason == holds.REMOTE_GONE
    await answer(world, gone, "recreate")
    await world.settle()
    assert parents(world, "hubspot") == {"Holding": None, "Branch": "Holding"}
    await silent(world)


async def test_a_parent_that_was_unlinked_leaves_the_family_as_it_is() -> None:
    """Its object is nobody's by then: the child's parent there cannot be named, and nothing is blanked."""
    world = await started()
    await company(world, "Holding")
    await company(world, "Branch", "Holding")
    holding = ids(world, "hubspot")["Holding"]
    world.lookalikes["hubspot"].delete("customer", holding)
    await all_day(world)
    (gone,) = held(world)
    await answer(world, gone, "unlink")
    await all_day(world)
    assert in_registry(world)["Branch"] == "Holding"
    assert parents(world, "quickbooks")["Branch"] == "Holding"
    assert held(world) == []
    await silent(world)


async def test_people_have_no_parents_at_hubspot() -> None:
    """A contact hangs below nobody, which nobody is asked about; a company that should hang below one is held."""
    world = await started()
    await enter(world, "Head", name="Head Person", customer_type="individual")
    await enter(world, "Child", name="Child Person", customer_type="individual", parent="Head")
    assert parents(world, "quickbooks") == {"Head Person": None, "Child Person": "Head Person"}
    assert held(world) == []
    await company(world, "Firm", "Head")
    (hold,) = held(world)
    assert (hold.connection, hold.reason, hold.field) == ("hubspot", holds.UNREPRESENTABLE, "parent")
    await silent(world)


async def test_an_undo_puts_no_circle_and_no_ghost_back() -> None:
    """A parent that is below the customer by now, or that was deleted, is refused like any other edit."""
    world = await started()
    await company(world, "One")
    await company(world, "Two", "One")
    await change(world, "Two", parent=None)
    taken_off = world.db.read_now(lambda tx: explain(tx, world.hub, "Two"))["journal"]
    number = next(one["change"] for one in taken_off if one["action"] == "edit")
    await change(world, "One", parent="Two")
    with pytest.raises(InvalidInputError, match="circle"):
        world.db.run_now(lambda tx: undo.undo(tx, world.hub, number, field=None, actor="ann"))
    await change(world, "One", parent=None)
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, "One", actor="ann", trace="t"))
    with pytest.raises(InvalidInputError, match="there is no customer 'One'"):
        world.db.run_now(lambda tx: undo.undo(tx, world.hub, number, field=None, actor="ann"))


async def test_a_run_is_undone_but_for_the_parents_that_cannot_come_back() -> None:
    """They are listed with the reason; the rest of the customer is put back."""
    world = await started()
    await company(world, "One")
    await company(world, "Two", "One")
    values = {"parent": None, "legal_name": "Two Ltd"}
    world.db.run_now(lambda tx: registry.update(tx, world.hub, "Two", values, actor="ann", trace="the-run"))
    change_only(world, "One", parent="Two")
    backs, kept = world.db.read_now(lambda tx: undo.of_run(tx, "the-run", None))
    assert [one.fields for one in backs] == [{"legal_name": ("Two Ltd", None)}]
    (left,) = [one for one in kept if one.field == "parent"]
    assert "circle" in left.reason
    for back in backs:
        world.db.run_now(partial(undo.put_back, hub=world.hub, back=back, trace="the-run", actor="ann"))
    await world.settle()
    assert in_registry(world) == {"One": "Two", "Two": None}


async def test_a_plan_shows_parents_by_the_registrys_names() -> None:
    """What would be taken is what will be taken."""
    world = World()
    books = world.lookalikes["quickbooks"]
    above = books.edit("customer", None, {"name": "Holding"})
    books.edit("customer", None, {"name": "Branch", "parent": above})
    await world.activate_all("quickbooks")
    edit_only(world, "quickbooks", {"parent": None}, ids(world, "quickbooks")["Branch"])
    row = next(one for one in everybody(world) if one.fields["name"] == "Branch")
    change_only(world, row.external_id, phone="+4930100")
    await world.settle()
    seen = await plan(world.hub, world.hub.connections["quickbooks"])
    assert seen.items == []
    assert f"quickbooks:{above}" == row.fields["parent"]


async def test_a_move_that_was_broken_off_is_finished() -> None:
    """Off the old parent, and the line went dead: nobody took the child out of the family."""
    world = await started()
    for name in ("Old", "New"):
        await company(world, name)
    await company(world, "Branch", "Old")
    plain = world.exchanges["hubspot"]
    broken = 0

    def breaks(request: HttpRequest) -> HttpResponse:
        nonlocal broken
        if "associations" in request.url and request.url.endswith("batch/create") and not broken:
            broken += 1
            raise TimeoutError("no answer")
        return plain(request)

    world.exchanges["hubspot"] = breaks
    await change(world, "Branch", parent="New")
    await world.settle(patience=7200)
    assert broken == 1
    assert in_registry(world)["Branch"] == "New"
    for name in TREED:
        assert parents(world, name)["Branch"] == "New", name
    assert held(world) == []
    await silent(world)


@pytest.mark.parametrize("how", ["deleted", "unlinked", "archived"])
async def test_a_question_about_a_parent_ends_when_the_parents_object_is_gone(how: str) -> None:
    """A contact can have no children at HubSpot; once it is none of the parent's, there is nothing to ask about."""
    world = await started()
    await enter(world, "Ada", name="Ada", email="ada@example.test", customer_type="individual")
    await company(world, "Branch")
    await change(world, "Branch", parent="Ada")
    (hold,) = [one for one in held(world) if one.connection == "hubspot"]
    assert (hold.reason, hold.field) == (holds.UNREPRESENTABLE, "parent")
    if how == "deleted":
        world.lookalikes["hubspot"].delete("customer", ids(world, "hubspot")["Ada"])
    elif how == "archived":
        world.db.run_now(lambda tx: registry.archive(tx, world.hub, "Ada", actor="ann", trace="t"))
    else:
        world.db.run_now(lambda tx: unlink(tx, world.hub, "Ada", "hubspot", actor="ann", trace="t"))
    await (all_day(world) if how == "deleted" else world.settle())
    left = [one.reason for one in held(world) if one.connection == "hubspot"]
    assert left == ([holds.REMOTE_GONE] if how == "deleted" else [])


async def test_a_question_about_a_parent_ends_when_the_parent_is_erased() -> None:
    """At once, not with the next full sweep."""
    world = await started()
    await enter(world, "Ada", name="Ada", email="ada@example.test", customer_type="individual")
    await company(world, "Branch")
    await change(world, "Branch", parent="Ada")
    assert [(one.connection, one.field) for one in held(world)] == [("hubspot", "parent")]
    world.db.run_now(lambda tx: erase(tx, world.hub, "Ada", actor="ann", trace="t"))
    await world.settle()
    assert held(world) == []
