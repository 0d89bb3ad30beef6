"""A customer that was archived by mistake is brought back: nothing of it is doubled, and nobody's word is forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import InvalidInputError, NotFoundError
from core.model import holds
from core.store import intents, journal, work
from core.store.database import Tx
from core.sync import linking, registry
from core.sync.erasure import erase
from core.sync.revival import Restored, restore
from tests.integration.sync.test_farewells import WHERE, archive, at_rest, live, world_of
from tests.support.acting import (
    ADA,
    REVIVALS,
    all_day,
    answer,
    edit_only,
    enter,
    everybody,
    held,
    mapped,
    only,
    with_policy,
)
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio


def back(world: World, external_id: str = "ada") -> Restored:
    """A person brings a customer back."""
    return world.db.run_now(lambda tx: restore(tx, world.hub, external_id, actor="ann", trace="t"))


def objects(world: World) -> dict[str, list[str]]:
    """What is there, archived or not."""
    return {name: sorted(world.neutral(name)) for name in NAMES}


def ties(world: World) -> dict[str, list[Any]]:
    """Which object the customer is at each connection."""
    return {name: [(one.remote_id, one.state) for one in mapped(world, name)] for name in NAMES}


async def agreeing(*archiving: str) -> World:
    """One customer everywhere, and everybody is created everywhere; these archive what is archived here."""
    config = config_of(NAMES)
    for name in NAMES:
        more: dict[str, Any] = {"when_archived": "archive"} if name in archiving else {}
        config = with_policy(config, name, creates="all", **more)
    world = World(config=config)
    await world.activate_all()
    await enter(world, "ada", **ADA)
    return world


async def test_a_customer_that_comes_back_is_tied_to_its_own_objects_and_nothing_is_written() -> None:
    """As if it had never gone: the same row, the same objects, no create, and the journal says who did it."""
    world = await agreeing()
    (ada,) = everybody(world)
    before, there = ties(world), objects(world)
    writes = {name: world.writes(name) for name in NAMES}
    archive(world)
    await all_day(world)
    done = back(world)
    assert [row.connection for row in done.tied] == sorted(NAMES)
    await all_day(world)
    (one,) = everybody(world)
    assert (one.id, one.external_id, one.fields) == (ada.id, "ada", ada.fields)
    assert (ties(world), objects(world)) == (before, there)
    assert ({name: world.writes(name) for name in NAMES}, held(world), at_rest(world)) == (writes, [], True)
    entry = next(e for e in world.db.read_now(lambda tx: journal.of_record(tx, ada.id)) if e.action == "restore")
    assert (entry.actor, entry.connection) == ("ann", None)


@pytest.mark.parametrize("name", WHERE)
async def test_what_waits_to_be_archived_is_not_archived_any_more(name: str) -> None:
    """Brought back before the lane has come to it, or while a person is asked."""
    world = await agreeing(name)
    archive(world)
    back(world)
    await all_day(world)
    assert (len(live(world, name)), held(world), at_rest(world)) == (1, [], True)
    edit_only(world, name, {"phone": "+4930777"})
    archive(world)
    await world.settle()
    assert [one.reason for one in held(world)] == [holds.NOT_ARCHIVED]
    back(world)
    await all_day(world)
    assert (len(live(world, name)), held(world, holds.NOT_ARCHIVED), at_rest(world)) == (1, [], True)
    assert everybody(world)[0].fields["phone"] == "+4930777"


@pytest.mark.parametrize("name", WHERE)
async def test_an_object_that_was_archived_waits_for_a_person_and_no_second_one_is_made(name: str) -> None:
    """Policy creates everybody everywhere: a customer whose object is in the recycle bin gets no other one unasked.

    Nor does the customer become inactive everywhere, because its object was made so with it.
    """
    world = await agreeing(name)
    there, (ada,) = objects(world), everybody(world)
    remote_id = only(world, name)
    archive(world)
    await world.settle()
    assert live(world, name) == []
    assert [(row.connection, row.remote_id) for row in back(world).archived] == [(name, remote_id)]
    await all_day(world)
    assert [one.connection for one in held(world)] == ["hubspot"] * (name == "hubspot")
    assert sorted(world.neutral(name)) in ([], there[name])
    assert everybody(world)[0].fields == ada.fields
    REVIVALS[name](world, remote_id)
    await all_day(world)
    assert (live(world, name), held(world), at_rest(world)) == ([remote_id], [], True)
    assert (ties(world)[name], everybody(world)[0].fields.get("status", "active")) == ([(remote_id, "live")], "active")


async def test_what_a_person_let_go_of_stays_let_go_of() -> None:
    """Else the archiving would have forgotten a person's word."""
    world = await agreeing()
    there = objects(world)
    world.db.run_now(lambda tx: linking.unlink(tx, world.hub, "ada", "stripe", actor="ann", trace="t"))
    archive(world)
    back(world)
    edit_only(world, "stripe", {"phone": "+4930777"})
    await all_day(world)
    assert (ties(world)["stripe"][0][1], objects(world)) == ("excluded", there)
    assert "phone" not in everybody(world)[0].fields


async def test_a_customer_that_a_person_left_out_of_a_connection_is_not_created_there() -> None:
    """The answer `leave` to a create outlives archiving."""
    world = await agreeing()
    remote_id = only(world, "stripe")
    world.lookalikes["stripe"].delete("customer", remote_id)
    await world.next_sweep()
    await answer(world, held(world, holds.REMOTE_GONE)[0], "unlink")
    archive(world)
    back(world)
    await all_day(world)
    assert (live(world, "stripe"), ties(world)["stripe"][0][1]) == ([], "excluded")


async def test_an_object_that_another_customer_has_stays_with_it_and_is_not_made_a_second_time() -> None:
    """Whoever gave it away said so: where policy creates everybody, a second one would be the customer twice."""
    world = await agreeing()
    remote_id = only(world, "hubspot")
    archive(world)
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "heir", {"name": "Heir"}, actor="ann", trace="t"))
    world.db.run_now(lambda tx: linking.link(tx, world.hub, "heir", "hubspot", remote_id, actor="ann", trace="t"))
    assert [(row.connection, row.remote_id) for row in back(world).apart] == [("hubspot", remote_id)]
    await all_day(world)
    owner = next(row.record_id for row in mapped(world, "hubspot") if row.remote_id == remote_id)
    assert {one.id: one.external_id for one in everybody(world)}[owner] == "heir"
    assert objects(world)["hubspot"] == [remote_id]


async def test_nobody_comes_back_whose_id_is_taken_who_was_erased_or_never_was() -> None:
    """Each says why."""
    world = await agreeing()
    with pytest.raises(InvalidInputError, match="is not archived"):
        back(world)
    with pytest.raises(NotFoundError, match="there is no customer"):
        back(world, "nobody")
    archive(world)
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "ada", {"name": "Heir"}, actor="ann", trace="t"))
    with pytest.raises(InvalidInputError, match="is not archived"):
        back(world)
    world.db.run_now(lambda tx: erase(tx, world.hub, "ada", actor="ann", trace="t"))
    for name in ("ada", "(erased)"):
        with pytest.raises(NotFoundError, match="there is no customer"):
            back(world, name)


async def test_a_child_does_not_come_back_before_its_parent() -> None:
    """It would hang below nobody."""
    world = await agreeing()
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "son", {"parent": "ada"}, actor="ann", trace="t"))
    archive(world, "son", "ada")
    with pytest.raises(InvalidInputError, match="there is no customer 'ada'"):
        back(world, "son")
    back(world)
    back(world, "son")
    assert [one.external_id for one in everybody(world)] == ["ada", "son"]


@pytest.mark.parametrize("name", WHERE)
async def test_nobody_comes_back_while_an_archiving_is_in_doubt(name: str) -> None:
    """The write may still land, on an object that is a customer's again."""
    world = await agreeing(name)
    remote_id = only(world, name)
    archive(world)

    def sent(tx: Tx) -> None:
        row = work.due(tx, name, world.clock.time, 10)[0]
        intent = intents.Intent(
            id="i", connection=name, mapping_id=row.subject[2:], action=intents.ARCHIVE, key="k", body={}, wanted={},
            before={}, remote_id=remote_id, sent_at=world.clock.time,
        )  # fmt: skip
        intents.insert(tx, [intent])

    world.db.run_now(sent)
    with pytest.raises(InvalidInputError, match="no known outcome"):
        back(world)
    assert everybody(world) == []


async def test_one_that_is_archived_and_brought_back_again_and_again_has_one_object_each() -> None:
    """Each time a mapping of its own; never a second object."""
    world = world_of()
    world.lookalikes["stripe"].edit("customer", None, ADA)
    await world.activate_all()
    (ada,) = everybody(world)
    there = objects(world)
    for _ in range(3):
        archive(world)
        await world.settle()
        back(world, ada.external_id)
        await world.settle()
    await all_day(world)
    assert (objects(world), held(world), at_rest(world)) == (there, [], True)
