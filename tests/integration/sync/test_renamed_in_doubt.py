"""Objects that a person renames at QuickBooks while it is not known yet that a create of ours has made them."""

from __future__ import annotations

import json

import pytest

from core.model.holds import candidates_of
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import FaultKind
from core.store import intents
from core.sync.candidates import OFFERED
from tests.integration.sync.test_creates_in_doubt import create_in_doubt, not_for
from tests.integration.sync.test_meanwhile import archive
from tests.support.acting import all_day, answer, edit_only, everybody, held, mapped
from tests.support.world import World

pytestmark = pytest.mark.anyio

TWO_DAYS = 2 * 86_400.0


async def in_doubt(world: World, kind: FaultKind = "lost_answer", **fields: str) -> None:
    """A create at QuickBooks in doubt, which nobody looks into for two days."""
    await world.activate_all()
    doubtful = await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace", **fields}, kind)
    not_for(world, doubtful, TWO_DAYS - 1)


def touched(world: World, name: str) -> str:
    """Somebody makes a customer at QuickBooks, and changes it."""
    made = world.lookalikes["quickbooks"].edit("customer", None, {"name": name})
    edit_only(world, "quickbooks", {"phone": "+49301111111"}, made)
    return made


async def renamed_for_two_days(world: World) -> str:
    """What the lost create made has another name by the time it is looked for."""
    await in_doubt(world)
    (made,) = world.neutral("quickbooks")
    edit_only(world, "quickbooks", {"name": "Ada King"}, made)
    world.clock.time += TWO_DAYS
    await world.settle()
    return made


@pytest.mark.parametrize("choice", ["link", "create"])
async def test_an_object_renamed_in_doubt_is_asked_about_when_its_key_has_ended(choice: str) -> None:
    """Its old name found nothing, so that it was made a second time; and the first entered as a new customer."""
    world = World()
    made = await renamed_for_two_days(world)
    (question,) = held(world)
    assert (question.reason, question.detail["candidates"]) == ("lost_create", [made])
    assert ([*world.neutral("quickbooks")], len(everybody(world))) == ([made], 1)
    await answer(world, question, f"link:{made}" if choice == "link" else choice)
    for _ in range(2):
        await all_day(world)
    customers = 1 if choice == "link" else 2
    assert (len(world.neutral("quickbooks")), len(everybody(world))) == (customers, customers)
    assert (held(world, "lost_create"), world.db.read_now(intents.all_open)) == ([], [])


@pytest.mark.parametrize("choice", ["link", "create"])
async def test_an_object_renamed_in_doubt_does_not_bring_its_deleted_customer_back_unasked(choice: str) -> None:
    """It was not found by its name, and entered as a new customer, everywhere. Nothing is sent: the key may be gone."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "lost_answer")
    not_for(world, doubtful, 10.0)
    (made,) = world.neutral("quickbooks")
    edit_only(world, "quickbooks", {"name": "Ada King"}, made)
    vars(world.lookalikes["quickbooks"])["_answers"].clear()
    archive(world)
    for _ in range(5):
        await world.next_sweep()
    assert (everybody(world), [*world.neutral("quickbooks")]) == ([], [made])
    (question,) = held(world)
    assert (question.reason, question.detail["candidates"]) == ("lost_create", [made])
    await answer(world, question, f"link:{made}" if choice == "link" else choice)
    for _ in range(2):
        await all_day(world)
    assert (held(world), len(everybody(world))) == ([], choice == "create")


async def test_an_inactive_object_of_another_name_is_asked_about_too() -> None:
    """A query without a word on it leaves inactive customers out."""
    world = World()
    await in_doubt(world)
    (made,) = world.neutral("quickbooks")
    edit_only(world, "quickbooks", {"name": "Ada King", "status": "inactive"}, made)
    world.clock.time += TWO_DAYS
    await world.settle()
    (question,) = held(world)
    assert question.detail["candidates"] == [made]


async def test_nobody_is_asked_about_objects_that_cannot_be_the_lost_create_s() -> None:
    """Made long before or after, another customer's, or never changed since it was made under another name."""
    world = World()
    touched(world, "Early Bird")
    world.clock.time += 7200
    await in_doubt(world, "error_before")
    world.lookalikes["quickbooks"].edit("customer", None, {"name": "Same Minute"})
    world.clock.time += 7200
    touched(world, "Late Riser")
    world.clock.time += TWO_DAYS
    await world.settle()
    assert held(world) == []
    names = ["Ada Lovelace", "Early Bird", "Late Riser", "Same Minute"]
    assert sorted(one["name"] for one in world.neutral("quickbooks").values()) == names
    assert len(everybody(world)) == 4


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_another_customer_s_object_of_that_minute_is_not_offered(*, is_deleted: bool) -> None:
    """It was made by a create of ours too, that was answered, whatever became of that customer."""
    world = World()
    await world.activate_all()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Bea Ball"})
    await world.next_sweep()
    (bea,) = world.neutral("quickbooks")
    edit_only(world, "quickbooks", {"phone": "+49301111111"}, bea)
    if is_deleted:
        archive(world)
    doubtful = await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "error_before")
    not_for(world, doubtful, TWO_DAYS - 1)
    world.clock.time += TWO_DAYS
    await world.settle()
    assert held(world) == []
    assert len(world.neutral("quickbooks")) == 2


async def test_what_is_most_like_the_lost_create_is_offered_first_and_not_too_much() -> None:
    """Whatever may be it waits for the answer, offered or not; all of it enters when a person says that none is."""
    world = World()
    early = touched(world, "Early Bird")
    await in_doubt(world, email="ada@example.test", phone="+49302222222")
    (made,) = set(world.neutral("quickbooks")) - {early}
    for number in range(OFFERED + 3):
        touched(world, f"Stranger {number}")
    edit_only(world, "quickbooks", {"name": "Ada King"}, made)
    world.clock.time += TWO_DAYS
    await world.settle()
    (question,) = held(world)
    offered = question.detail["candidates"]
    assert (offered[0], len(offered), len(candidates_of(question.detail))) == (made, OFFERED, OFFERED + 4)
    await all_day(world)
    assert (len(everybody(world)), [one.id for one in held(world)]) == (2, [question.id])
    await answer(world, question, f"link:{made}")
    await all_day(world)
    assert len(everybody(world)) == OFFERED + 5
    assert [row.remote_id for row in mapped(world, "quickbooks") if f"m:{row.id}" == question.subject] == [made]


async def test_an_object_of_the_name_does_not_hide_the_renamed_one() -> None:
    """Somebody made a new one of that name, after renaming ours."""
    world = World()
    await in_doubt(world)
    (made,) = world.neutral("quickbooks")
    edit_only(world, "quickbooks", {"name": "Ada King"}, made)
    world.clock.time += 600
    namesake = world.lookalikes["quickbooks"].edit("customer", None, {"name": "Ada Lovelace"})
    world.clock.time += TWO_DAYS
    await world.settle()
    (question,) = held(world)
    assert question.detail["candidates"] == [namesake, made]


async def test_a_repeat_that_is_refused_for_whatever_reason_does_not_say_that_nothing_was_made() -> None:
    """Its key was forgotten, its parent inactive by now: refused for that, its object entered as a new customer."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "lost_answer")
    not_for(world, doubtful, 10.0)
    (made,) = world.neutral("quickbooks")
    whole, refusals = world.exchanges["quickbooks"], [1]
    fault = {"Message": "Invalid Reference Id", "Detail": "ParentRef: Names element id 1 not found", "code": "2500"}
    body = json.dumps({"Fault": {"Error": [fault], "type": "ValidationFault"}}).encode()

    def exchange(request: HttpRequest) -> HttpResponse:
        if refusals and request.method == "POST" and "/customer" in request.url:
            return HttpResponse(400, {}, body) if refusals.pop() else whole(request)
        return whole(request)

    world.exchanges["quickbooks"] = exchange
    for _ in range(2):
        await world.next_sweep()
    (question,) = held(world)
    assert (question.reason, question.detail["candidates"], refusals) == ("lost_create", [made], [])
    assert len(everybody(world)) == 1


@pytest.mark.parametrize("is_forgotten", [True, False])
async def test_a_key_that_was_forgotten_within_its_day_does_not_double_a_renamed_object(*, is_forgotten: bool) -> None:
    """Intuit does not say how long it keeps them: hours later, and renamed, it was made a second time."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "lost_answer")
    not_for(world, doubtful, 7200.0)
    (made,) = world.neutral("quickbooks")
    edit_only(world, "quickbooks", {"name": "Ada King"}, made)
    if is_forgotten:
        vars(world.lookalikes["quickbooks"])["_answers"].clear()
    world.clock.time += 7200.0
    await world.next_sweep()
    assert [*world.neutral("quickbooks")] == [made]
    (question,) = held(world)
    assert (question.reason, question.detail["candidates"]) == ("lost_create", [made])


@pytest.mark.parametrize("connection", ["stripe", "hubspot"])
@pytest.mark.parametrize("days", [2, 40])
async def test_a_marker_outlives_every_key(connection: str, days: int) -> None:
    """Down for longer than Stripe's key lives, or its events: the object is found by our marker, renamed or not."""
    world = World()
    await world.activate_all()
    await create_in_doubt(world, connection, {"name": "Ada Lovelace"}, "lost_answer")
    (made,) = world.neutral(connection)
    edit_only(world, connection, {"name": "Ada King"}, made)
    world.clock.time += days * 86_400.0
    world.start()
    await world.settle()
    assert [*world.neutral(connection)] == [made]
    assert [one.fields["name"] for one in everybody(world)] == ["Ada King"]
    assert (held(world), world.db.read_now(intents.all_open)) == ([], [])
