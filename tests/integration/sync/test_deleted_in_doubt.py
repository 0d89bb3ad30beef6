"""Objects that a person deletes while it is not known yet that a create of ours has made them."""

from __future__ import annotations

import pytest

from connectors.hubspot.sandbox import HubSpotLookAlike
from core.sandbox.faults import Fault
from core.store import intents
from core.sync import registry
from tests.integration.sync.test_approvals import beside
from tests.integration.sync.test_creates_in_doubt import create_in_doubt, not_for, told
from tests.integration.sync.test_found_by_simulation import CREATES, weather
from tests.integration.sync.test_meanwhile import archive, before_next
from tests.support.acting import (
    agreeing,
    all_day,
    answer,
    change_only,
    entries,
    everybody,
    failing,
    held,
    mapped,
    waiting,
)
from tests.support.world import World

pytestmark = pytest.mark.anyio

SETTLED = {"hubspot": 300.0, "stripe": 25 * 3600.0}
"""By then neither key nor wait says anything: the object is looked for."""


async def deleted_in_doubt(world: World, connection: str, seconds: float) -> str:
    """The object that a lost create made, deleted by a person before the create is looked into."""
    await world.activate_all()
    doubtful = await create_in_doubt(world, connection, {"name": "Ada Lovelace"}, "lost_answer")
    not_for(world, doubtful, seconds)
    (made,) = world.neutral(connection)
    world.clock.time += 60
    world.lookalikes[connection].delete("customer", made)
    await told(world, connection, made)
    world.clock.time += seconds
    return made


@pytest.mark.parametrize("connection", ["hubspot", "stripe"])
async def test_an_object_deleted_while_its_create_is_in_doubt_is_not_made_again(connection: str) -> None:
    """A person had deleted it, and there it was again: it was not found, so that it seemed never to have been made."""
    world = World()
    made = await deleted_in_doubt(world, connection, SETTLED[connection])
    await world.settle()
    (question,) = held(world)
    assert (question.reason, question.connection, question.detail["remote_id"]) == ("remote_gone", connection, made)
    assert [*world.neutral(connection)] == []
    told_of = [(one.action, one.remote_id) for one in entries(world) if one.connection == connection]
    assert told_of == [("gone", made), ("create", made)]
    assert (world.db.read_now(intents.all_open), failing(world), waiting(world)) == ([], [], {})


@pytest.mark.parametrize("connection", ["hubspot", "stripe"])
@pytest.mark.parametrize(("choice", "objects"), [("recreate", 1), ("unlink", 0)])
async def test_what_was_deleted_in_doubt_is_made_again_when_a_person_says_so(
    connection: str, choice: str, objects: int
) -> None:
    """The answer must lead to one object or to none, and not to the question once more."""
    world = World()
    await deleted_in_doubt(world, connection, SETTLED[connection])
    await world.settle()
    (question,) = held(world)
    await answer(world, question, choice)
    for _ in range(2):
        await all_day(world)
    assert len(world.neutral(connection)) == objects
    assert (held(world), len(everybody(world))) == ([], 1)


async def test_an_object_that_a_replayed_answer_names_is_read_before_it_counts_as_there() -> None:
    """Stripe gives the first answer again, whatever became of the object since."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "stripe", {"name": "Ada Lovelace"}, "lost_answer")
    not_for(world, doubtful, 1000.0)
    (made,) = world.neutral("stripe")
    world.lookalikes["stripe"].delete("customer", made)
    for _ in range(20):
        await world.next_sweep()
    (question,) = held(world)
    assert (question.reason, question.detail["remote_id"]) == ("remote_gone", made)
    assert [*world.neutral("stripe")] == []


async def test_what_was_deleted_in_doubt_and_comes_back_out_of_the_recycle_bin_is_the_customer_s() -> None:
    """It is found as any object that is back, with its values agreed as they were sent."""
    world = World()
    made = await deleted_in_doubt(world, "hubspot", SETTLED["hubspot"])
    await world.settle()
    hubspot = world.lookalikes["hubspot"]
    assert isinstance(hubspot, HubSpotLookAlike)
    hubspot.restore("customer", made)
    hubspot.edit("customer", made, {"phone": "+49303333333"})
    for _ in range(2):
        await all_day(world)
    (one,) = everybody(world)
    assert (one.fields["phone"], held(world)) == ("+49303333333", [])
    assert [(row.remote_id, row.state) for row in mapped(world, "hubspot")] == [(made, "live")]


async def test_what_was_deleted_in_doubt_of_a_customer_that_was_deleted_too_stays_nobody_s() -> None:
    """Out of the recycle bin it asked whose it was: everything knew that its customer had gone."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "hubspot", {"name": "Ada Lovelace"}, "lost_answer")
    (made,) = world.neutral("hubspot")
    world.lookalikes["hubspot"].delete("customer", made)
    archive(world)
    not_for(world, doubtful, 1.0)
    world.clock.time += 600.0
    await world.settle()
    assert (held(world), world.db.read_now(intents.all_open), waiting(world)) == ([], [], {})
    hubspot = world.lookalikes["hubspot"]
    assert isinstance(hubspot, HubSpotLookAlike)
    hubspot.restore("customer", made)
    for _ in range(2):
        await all_day(world)
    assert (everybody(world), held(world)) == ([], [])


async def test_another_s_deleted_object_does_not_answer_a_create_in_doubt() -> None:
    """The recycle bin is full of objects with markers of other customers, and of none."""
    world = World()
    await world.activate_all()
    for fields in ({"name": "Bea Ball"}, {"name": "Cy Cole", "customer_type": "company"}):
        world.lookalikes["hubspot"].delete("customer", world.lookalikes["hubspot"].edit("customer", None, fields))
    await create_in_doubt(world, "hubspot", {"name": "Ada Lovelace"}, "error_before")
    world.clock.time += SETTLED["hubspot"]
    await world.settle()
    assert [one["name"] for one in world.neutral("hubspot").values()] == ["Ada Lovelace"]
    assert (held(world), world.db.read_now(intents.all_open)) == ([], [])


async def test_a_customer_archived_while_its_create_is_looked_for_is_not_made() -> None:
    """The look takes seconds, and whether it was still wanted was asked before it alone."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "hubspot", {"name": "Ada Lovelace"}, "error_before")
    not_for(world, doubtful, 1.0)
    world.clock.time += 600.0
    beside(world, "hubspot", "archived=true", lambda: archive(world))
    for _ in range(3):
        await all_day(world)
    assert [*world.neutral("hubspot")] == []
    assert world.db.read_now(intents.all_open) == []


async def test_a_customer_archived_while_another_s_create_is_repeated_is_not_made() -> None:
    """Whether they were still wanted was asked once, before the first of them was sent again."""
    world = World()
    await world.activate_all()
    weather(world, "stripe", Fault(kind="error_before", method="POST", path=CREATES["stripe"], count=2))
    names = ("Ada Lovelace", "Bea Ball")
    for name in names:
        world.lookalikes["hubspot"].edit("customer", None, {"name": name})
    world.clock.time += 61
    for connection in ("hubspot", "stripe"):
        await world.lanes.run(connection)
    doubtful = world.db.read_now(lambda tx: intents.all_open(tx, "stripe"))
    assert len(doubtful) == 2
    for intent in doubtful:
        not_for(world, intent, 30.0)
    world.clock.time += 31

    def archive_who_is_not_there() -> None:
        (made,) = [one["name"] for one in world.neutral("stripe").values()]
        (left,) = [one for one in everybody(world) if one.fields["name"] != made]
        world.db.run_now(lambda tx: registry.archive(tx, world.hub, left.external_id, actor="ann", trace="t"))

    beside(world, "stripe", "/v1/customers", archive_who_is_not_there, "POST")
    await world.lanes.run("stripe")
    for _ in range(3):
        await all_day(world)
    assert len(world.neutral("stripe")) == 1
    assert world.db.read_now(intents.all_open) == []


async def test_a_customer_archived_while_another_write_is_looked_into_is_not_made() -> None:
    """Its create was to be sent again in the same batch, and whether it was still wanted had been asked before."""
    world = await agreeing()
    faults = [
        Fault(kind="lost_answer", method="POST", path="customers/", count=1),
        Fault(kind="error_before", method="POST", path="customers$", count=1),
    ]
    weather(world, "stripe", *faults)
    change_only(world, everybody(world)[0].external_id, phone="+49301111111")
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "bea", {"name": "Bea"}, actor="ann", trace="t"))
    await world.lanes.run("stripe")
    assert {one.action for one in world.db.read_now(intents.all_open)} == {"create", "update"}

    def act() -> None:
        world.db.run_now(lambda tx: registry.archive(tx, world.hub, "bea", actor="ann", trace="t"))

    before_next(world, "stripe", lambda request: "customers/" in request.url, act)
    world.clock.time += 600.0
    await world.lanes.run("stripe")
    for _ in range(2):
        await all_day(world)
    assert [one["name"] for one in world.neutral("stripe").values()] == ["Ada Lovelace"]
    assert world.db.read_now(intents.all_open) == []
