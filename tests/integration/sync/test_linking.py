"""Ties by hand: what a person untied stays untied, what a person ties is merged."""

from __future__ import annotations

import pytest

from core.errors import InvalidInputError, NotFoundError
from core.store import intents
from core.store.mappings import MappingRow
from core.sync.erasure import erase
from core.sync.linking import link, unlink
from tests.support.acting import agreeing, all_day, change, enter, entries, everybody, held, mapped, only, waiting
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


def untie(world: World, place: str = "hubspot", remote_id: str | None = None, customer: str = "") -> MappingRow:
    """Unlink the one customer there, or the one named."""
    name = customer or everybody(world)[0].external_id
    return world.db.run_now(lambda tx: unlink(tx, world.hub, name, place, remote_id=remote_id, actor="ann", trace="t"))


def tie(world: World, remote_id: str, place: str = "hubspot", customer: str = "") -> MappingRow:
    """Link the one customer there, or the one named."""
    name = customer or everybody(world)[0].external_id
    return world.db.run_now(lambda tx: link(tx, world.hub, name, place, remote_id, actor="ann", trace="t"))


async def test_an_unlinked_object_is_never_tied_or_made_again_by_itself() -> None:
    """Its marker, its e-mail, events and sweeps say whose it was; a person has said that it is not."""
    world = await agreeing()
    remote_id = only(world, "hubspot")
    untie(world)
    assert entries(world)[0].action == "unlink"
    written = {name: world.writes(name) for name in NAMES}
    world.lookalikes["hubspot"].edit("customer", remote_id, {"phone": "+49301111111"})
    for _ in range(2):
        await all_day(world)
    assert (len(everybody(world)), held(world), waiting(world)) == (1, [], {})
    assert {name: world.writes(name) for name in NAMES} == written
    await change(world, everybody(world)[0].external_id, phone="+49302222222")
    assert only(world, "hubspot") == remote_id
    assert world.neutral("hubspot")[remote_id]["phone"] == "+49301111111"
    assert world.neutral("stripe")[only(world, "stripe")]["phone"] == "+49302222222"


async def test_linked_again_by_hand_the_two_are_merged_as_on_first_contact() -> None:
    """Blanks are filled, the better ranked value stands; the generation is the next one."""
    world = await agreeing()
    remote_id = only(world, "hubspot")
    before = untie(world)
    world.lookalikes["hubspot"].edit("customer", remote_id, {"phone": "+49301111111"})
    await all_day(world)
    row = tie(world, remote_id)
    assert (row.generation, row.remote_id) == (before.generation + 1, remote_id)
    await world.settle()
    (one,) = everybody(world)
    assert one.fields["phone"] == "+49301111111"
    assert {str(fields["phone"]) for name in NAMES for fields in world.neutral(name).values()} == {"+49301111111"}
    assert held(world) == []
    await change(world, one.external_id, phone="+49303333333")
    assert world.neutral("hubspot")[remote_id]["phone"] == "+49303333333"


async def test_another_object_may_be_tied_in_its_place_and_the_old_one_stays_alone() -> None:
    """What was untied before is remembered, though the customer has another one now."""
    world = await agreeing()
    old = only(world, "hubspot")
    untie(world)
    new = world.lookalikes["hubspot"].edit("customer", None, {"name": "A. Lovelace", "email": "a@example.test"})
    await world.next_sweep()
    other = next(one for one in everybody(world) if one.fields.get("email") == "a@example.test").external_id
    untie(world, customer=other)
    first = next(one for one in everybody(world) if one.external_id != other).external_id
    tie(world, new, customer=first)
    for _ in range(2):
        await all_day(world)
    assert {row.remote_id for row in mapped(world, "hubspot") if row.state == "live"} == {new}
    assert set(world.neutral("hubspot")) == {old, new}


async def test_what_cannot_be_tied_is_refused_and_why() -> None:
    """Never seen, somebody's, somebody's other, erased, a write under way, gone."""
    world = await agreeing()
    mine = only(world, "hubspot")
    await enter(world, "bob", name="Bob", email="bob@example.test")
    ada = next(one for one in everybody(world) if one.external_id != "bob").external_id
    (bobs,) = set(world.neutral("hubspot")) - {mine}
    with pytest.raises(InvalidInputError, match="already"):
        tie(world, bobs, customer=ada)
    with pytest.raises(InvalidInputError, match=f"{ada} is {mine} at hubspot, not x"):
        untie(world, remote_id="x", customer=ada)
    untie(world, customer=ada)
    with pytest.raises(InvalidInputError, match="is customer bob"):
        tie(world, bobs, customer=ada)
    with pytest.raises(NotFoundError, match="no object 'nothing' was seen"):
        tie(world, "nothing", customer=ada)
    with pytest.raises(NotFoundError, match="left out already"):
        untie(world, customer=ada)
    world.db.run_now(lambda tx: erase(tx, world.hub, "bob", actor="ann", trace="t"))
    with pytest.raises(InvalidInputError, match="erased"):
        tie(world, bobs, customer=ada)
    with pytest.raises(NotFoundError, match="there is no connection"):
        tie(world, bobs, place="nowhere", customer=ada)


async def test_a_write_under_way_is_waited_for() -> None:
    """Its answer would tie the object again."""
    world = await agreeing()
    (row,) = mapped(world, "stripe")
    doubt = intents.Intent(
        id="i1", connection="stripe", mapping_id=row.id, action="update", key="k", body={}, wanted={}, before={},
        remote_id=row.remote_id, sent_at=world.clock.now(),
    )  # fmt: skip
    world.db.run_now(lambda tx: intents.insert(tx, [doubt]))
    with pytest.raises(InvalidInputError, match="no known outcome"):
        untie(world, "stripe")
