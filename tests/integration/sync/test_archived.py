"""A customer whose object is gone may end with it: the answer `archive`, where there is a customer to end."""

from __future__ import annotations

import pytest

from core.errors import InvalidInputError
from core.model import holds
from core.store import customers, journal
from core.store.holds import Hold
from core.sync import answers
from tests.support.acting import ADA, agreeing, all_day, answer, change, enter, everybody, held, mapped, only, waiting
from tests.support.lookalikes import hubspot_of
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


def gone(world: World) -> list[Hold]:
    """Open questions about objects that are not there any more."""
    return held(world, holds.REMOTE_GONE)


async def without(*names: str) -> World:
    """Ada agreed everywhere, and her object was deleted at these."""
    world = await agreeing()
    for name in names:
        world.lookalikes[name].delete("customer", only(world, name))
    await all_day(world)
    assert sorted(one.connection for one in gone(world)) == sorted(names)
    return world


async def test_a_customer_whose_object_is_gone_is_archived_on_a_persons_word() -> None:
    """Its mappings end, what is left of it elsewhere stays, and the journal says who did it, and by which question."""
    world = await without("hubspot")
    (ada,) = everybody(world)
    (hold,) = gone(world)
    before = {name: world.writes(name) for name in NAMES}
    await answer(world, hold, "archive")
    await all_day(world)
    assert everybody(world) == []
    assert [mapped(world, name) for name in NAMES] == [[], [], []]
    assert {name: len(world.neutral(name)) for name in NAMES} == {"stripe": 1, "hubspot": 0, "quickbooks": 1}
    assert {name: world.writes(name) for name in NAMES} == before
    assert held(world) == []
    assert sum(waiting(world).values()) == 0
    told = world.db.read_now(lambda tx: journal.of_record(tx, ada.id))[0]
    assert (told.action, told.actor, told.trace) == ("delete", "ann", hold.id)


async def test_an_answer_to_archive_ends_the_other_questions_about_that_customer() -> None:
    """The same customer was gone at two systems: nobody is asked about the second any more."""
    world = await without("hubspot", "stripe")
    first, second = gone(world)
    await answer(world, first, "archive")
    assert gone(world) == []
    with pytest.raises(InvalidInputError, match="its cause is gone"):
        world.db.run_now(lambda tx: answers.answer(tx, world.hub, second.id, "recreate", actor="ann"))
    assert len(world.neutral("hubspot")) == 0


async def test_an_object_that_comes_back_after_its_customer_was_archived_is_nobodys() -> None:
    """Taken out of the recycle bin again: it neither enters nor is tied to whoever has the id by now."""
    world = await agreeing()
    remote_id = only(world, "hubspot")
    world.lookalikes["hubspot"].delete("customer", remote_id)
    await all_day(world)
    (ada,) = everybody(world)
    await answer(world, gone(world)[0], "archive")
    hubspot_of(world).restore("customer", remote_id)
    await all_day(world)
    assert (everybody(world), held(world), mapped(world, "hubspot")) == ([], [], [])
    assert world.db.read_now(lambda tx: customers.was_ever(tx, ada.external_id))
    await enter(world, ada.external_id, **{**ADA, "email": "other@example.test"})
    assert [one.remote_id for one in mapped(world, "hubspot")] != [remote_id]


async def test_an_edit_while_an_object_is_gone_does_not_keep_its_customer_from_being_archived() -> None:
    """The question is whether the object is there, whatever else is said of the customer meanwhile."""
    world = await without("stripe")
    await change(world, everybody(world)[0].external_id, phone="+4930999")
    await answer(world, gone(world)[0], "archive")
    await all_day(world)
    assert (everybody(world), gone(world)) == ([], [])
