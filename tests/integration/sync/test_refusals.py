"""Writes that a provider refuses for good: asked about once, and not sent again before something has changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import event

from connectors.hubspot.sandbox.rules import Rule
from core.errors import InvalidInputError, RejectedError
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import Fault, FaultKind
from core.store import journal
from core.sync.oneoffs import ask
from core.sync.refusals import A_CREATE, refused
from tests.integration.sync.test_found_by_simulation import weather
from tests.support.acting import (
    agreeing,
    all_day,
    answer,
    change,
    change_only,
    edit_only,
    enter,
    everybody,
    held,
    mapped,
)
from tests.support.world import World

pytestmark = pytest.mark.anyio

TAKEN = "bea@example.test"


def written_to(world: World, name: str, path: str) -> list[str]:
    """Bodies of the writes that reach one connection from now on."""
    sent: list[str] = []
    whole = world.exchanges[name]

    def exchange(request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and path in request.url:
            sent.append(request.body.decode())
        return whole(request)

    world.exchanges[name] = exchange
    return sent


async def refused_at_hubspot() -> tuple[World, list[str]]:
    """A person takes Ada's phone over at Stripe and gives her an address that a stranger has at HubSpot."""
    world = await agreeing()
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Bea Ball", "email": TAKEN})
    sent = written_to(world, "hubspot", "/batch/update")
    (ada,) = [row.remote_id for row in mapped(world, "hubspot")]
    edit_only(world, "stripe", {"email": TAKEN})
    # seen at Stripe first, so that HubSpot's own edit of it makes a conflict that Stripe wins
    edit_only(world, "hubspot", {"email": "ada.king@example.test"}, ada)
    await world.next_sweep()
    return world, sent


def conflicts(world: World) -> int:
    """Lines of the journal that say what a conflict replaced."""
    (one,) = everybody(world)
    told = world.db.read_now(lambda tx: journal.of_record(tx, one.id))
    return sum(bool(entry.lost) for entry in told)


async def test_a_refused_write_is_not_sent_at_every_sweep() -> None:
    """HubSpot's overlap names an edited object for five minutes: six writes, six holds and six lines of the journal."""
    world, sent = await refused_at_hubspot()
    (question,) = held(world, "name_taken")
    lines = conflicts(world)
    for _ in range(8):
        await world.next_sweep()
    assert [one.id for one in held(world, "name_taken")] == [question.id]
    assert (len(sent), lines, conflicts(world)) == (1, 1, 1)


async def test_a_refused_write_is_sent_again_once_its_object_has_changed() -> None:
    """What was missing may have been added there, in a property that Accord knows nothing of."""
    world, sent = await refused_at_hubspot()
    (ada,) = [row.remote_id for row in mapped(world, "hubspot")]
    assert ada is not None
    (stranger,) = set(world.neutral("hubspot")) - {ada}
    world.lookalikes["hubspot"].delete("customer", stranger)
    edit_only(world, "hubspot", {"extra": {"jobtitle": "Countess"}}, ada)
    await world.next_sweep()
    assert len(sent) == 2
    assert world.neutral("hubspot")[ada]["email"] == TAKEN
    assert held(world, "name_taken") == []


@pytest.mark.parametrize("how", ["answered", "asked for", "edited"])
async def test_a_refused_write_is_sent_again_when_somebody_wants_it(how: str) -> None:
    """By an answer, by a sync of that customer, or by another value: nothing at HubSpot tells that the way is free."""
    world, sent = await refused_at_hubspot()
    (one,) = everybody(world)
    (question,) = held(world, "name_taken")
    if how == "answered":
        await answer(world, question, "retry")
    elif how == "asked for":
        await ask(world.hub, "hubspot", {"what": "customers", "external_ids": [one.external_id]})
        await world.settle()
    else:
        await change(world, one.external_id, phone="+49302222222")
    assert len(sent) == 2
    assert len(held(world, "name_taken")) == 1
    for _ in range(6):
        await world.next_sweep()
    assert len(sent) == 2


async def test_an_address_of_a_contact_that_is_deleted_goes_to_who_was_refused_it() -> None:
    """The way was made in HubSpot, where the hold says that it must be; the address stayed stale all the same."""
    world = World()
    await world.activate_all()
    await enter(world, "ada", name="Ada Lovelace", email=TAKEN)
    (ada,) = world.neutral("hubspot")
    await enter(world, "bea", name="Bea Ball", email="old@example.test")
    await change(world, "bea", email=TAKEN)
    assert [one.connection for one in held(world, "name_taken")] == ["hubspot"]
    world.lookalikes["hubspot"].delete("customer", ada)
    for _ in range(2):
        await all_day(world)
    (bea,) = world.neutral("hubspot").values()
    assert (bea["name"], bea["email"]) == ("Bea Ball", TAKEN)
    assert held(world, "name_taken") == []


@pytest.mark.parametrize("how", ["in Accord", "in HubSpot"])
async def test_an_address_that_its_holder_gives_up_goes_to_who_was_refused_it(how: str) -> None:
    """Ada's address became Bea's within a minute; HubSpot was asked for both at once, and Bea's was stale for good."""
    world = World()
    await world.activate_all()
    await enter(world, "ada", name="Ada Lovelace", email=TAKEN)
    await enter(world, "bea", name="Bea Ball", email="old@example.test")
    if how == "in HubSpot":
        await change(world, "bea", email=TAKEN)
        assert [one.reason for one in held(world) if one.connection == "hubspot"] == ["name_taken"]
        (ada,) = [name for name, one in world.neutral("hubspot").items() if one["email"] == TAKEN]
        edit_only(world, "hubspot", {"email": "ada@example.test"}, ada)
    else:
        change_only(world, "bea", email=TAKEN)
        change_only(world, "ada", email="ada@example.test")
    for _ in range(2):
        await all_day(world)
    there = {one["name"]: one["email"] for one in world.neutral("hubspot").values()}
    assert there == {"Ada Lovelace": "ada@example.test", "Bea Ball": TAKEN}
    assert [one for one in held(world) if one.connection == "hubspot"] == []


@pytest.mark.parametrize("kind", [None, "too_many", "error_before", "lost_request", "html", "truncated"])
async def test_a_create_that_fails_for_whatever_reason_takes_no_namesake_s_object(kind: FaultKind | None) -> None:
    """Others look the name up after any error, a 429 too, and make one customer of two strangers."""
    world = await agreeing()
    before = world.neutral("quickbooks")
    if kind:
        weather(world, "quickbooks", Fault(kind=kind, method="POST", path=r"/(customer|batch)\?", count=1))
    stranger = {"name": "Ada Lovelace", "email": "stranger@example.test", "phone": "+4930999"}
    world.lookalikes["stripe"].edit("customer", None, stranger)
    await all_day(world)
    assert len(everybody(world)) == 2
    assert world.neutral("quickbooks") == before
    assert len([one for one in mapped(world, "quickbooks") if one.remote_id]) == 1
    assert [(one.connection, one.reason) for one in held(world)] == [("quickbooks", "name_taken")]


async def test_a_refused_create_is_not_sent_again_as_it_was() -> None:
    """A name that somebody else has at QuickBooks: every complete sweep offered the customer once more."""
    world = await agreeing()
    sent = written_to(world, "quickbooks", "/customer?")
    await enter(world, "ada-2", name="Ada Lovelace")
    (question,) = held(world, "name_taken")
    for _ in range(3):
        await all_day(world)
    assert (len(sent), [one.id for one in held(world)]) == (1, [question.id])
    await change(world, "ada-2", name="Ada King")
    assert (len(sent), held(world)) == (2, [])


async def test_a_create_that_is_tried_again_does_not_get_the_old_refusal_back() -> None:
    """QuickBooks may keep a refusal under its request id: somebody had made way, and it said no for another day."""
    world = World()
    books = world.lookalikes["quickbooks"]
    books.settings = replace(books.settings, keeps_refusals=True)
    await world.activate_all()
    await enter(world, "ada", name="Ada Lovelace")
    await enter(world, "ada-2", name="Ada Lovelace")
    assert len(held(world, "name_taken")) == 1
    await change(world, "ada", name="Ada King")
    assert sorted(one["name"] for one in world.neutral("quickbooks").values()) == ["Ada King", "Ada Lovelace"]
    assert held(world) == []


def test_what_was_never_sent_was_not_refused_by_the_provider() -> None:
    """Ours to judge anew each time: a newer version of Accord may be able to say it."""
    error, wanted = RejectedError("it has no place there"), {"name": "Ada"}
    assert refused(error, wanted).digest != refused(error, wanted, A_CREATE).digest


def with_a_rule(world: World) -> None:
    """Administrators of HubSpot require what no company has: every write of a company's properties is refused."""
    hubspot = world.lookalikes["hubspot"]
    hubspot.settings = replace(hubspot.settings, rules=(Rule("company", "industry"),))


async def test_a_company_whose_properties_are_refused_is_tied_to_its_parent_all_the_same() -> None:
    """The tie is a call of its own; it waited for the refused one, for as long as that was refused."""
    world = World()
    await world.activate_all()
    for name in ("top", "sub"):
        await enter(world, name, name=name, customer_type="company")
    with_a_rule(world)
    await change(world, "sub", parent="top", phone="+493011111111")
    for _ in range(2):
        await all_day(world)
    there = {one["name"]: (one["parent"], one["phone"]) for one in world.neutral("hubspot").values()}
    (top,) = [name for name, one in world.neutral("hubspot").items() if one["name"] == "top"]
    assert there == {"top": (None, None), "sub": (top, None)}
    assert [(one.reason, one.detail["values"]) for one in held(world)] == [("rejected", {"phone": "+493011111111"})]


async def test_a_name_that_another_customer_has_at_quickbooks_is_asked_about_with_its_object() -> None:
    """QuickBooks tells nobody who has it, and takes `ACME` for `Acme`: the registry knows, and nobody was told."""
    world = World()
    await world.activate_all()
    await enter(world, "first", name="Acme", email="first@example.test")
    (theirs,) = world.neutral("quickbooks")
    await enter(world, "second", name="ACME", email="second@example.test")
    (question,) = held(world, "name_taken")
    assert (question.connection, question.detail["candidates"]) == ("quickbooks", [theirs])
    with pytest.raises(InvalidInputError, match="belongs to customer first"):
        await answer(world, question, f"link:{theirs}")


async def test_a_batch_of_renames_looks_once_for_who_was_refused_and_other_writes_never() -> None:
    """Each written customer went through every open question of its connection."""
    world = World()
    await world.activate_all()
    names = ["ada", "bea", "eve"]
    for name in names:
        await enter(world, name, name=name, email=f"{name}@example.test")
    looks: list[object] = []

    def look(_connection: object, _cursor: object, sql: str, values: object, *_rest: object) -> None:
        if "FROM holds" in sql and "'name_taken'" in repr(values) and "'hubspot'" in repr(values):
            looks.append(values)

    event.listen(world.db.engine, "before_cursor_execute", look)
    for name in names:
        change_only(world, name, phone="+493011111111")
    await world.settle()
    assert looks == []
    for name in names:
        change_only(world, name, email=f"{name}@new.example.test")
    await world.settle()
    event.remove(world.db.engine, "before_cursor_execute", look)
    assert {one["email"] for one in world.neutral("hubspot").values()} == {f"{name}@new.example.test" for name in names}
    assert len(looks) == 1


async def refused_a_name(first: str = "Acme", wanted: str = "Acme") -> tuple[World, str]:
    """Ada has a name at QuickBooks, and Bea is to have it; also the id of Ada's object."""
    world = World()
    await world.activate_all()
    await enter(world, "ada", name=first, email="ada@example.test")
    (ada,) = world.neutral("quickbooks")
    await enter(world, "bea", name="Bea Ball", email="bea@example.test")
    await change(world, "bea", name=wanted)
    assert [one.connection for one in held(world)] == ["quickbooks"]
    return world, ada


async def named_there(world: World) -> list[str]:
    """Names at QuickBooks of who is active, two days later."""
    for _ in range(2):
        await all_day(world)
    return sorted(one["name"] for one in world.neutral("quickbooks").values() if one["status"] != "inactive")


async def test_a_name_that_its_holder_gives_up_in_other_letters_goes_to_who_was_refused_it() -> None:
    """QuickBooks takes `ACME` for `Acme`; when the one was given up, nobody took it for the other."""
    world, _ = await refused_a_name("ACME", "Acme")
    await change(world, "ada", name="Other")
    assert (await named_there(world), held(world)) == (["Acme", "Other"], [])


@pytest.mark.parametrize("how", ["in QuickBooks", "in Accord"])
async def test_the_name_of_a_customer_that_is_made_inactive_goes_to_who_was_refused_it(how: str) -> None:
    """There is no other way to delete one in QuickBooks; its object stays the customer's, and its name is free."""
    world, ada = await refused_a_name()
    if how == "in Accord":
        await change(world, "ada", status="inactive")
    else:
        world.lookalikes["quickbooks"].delete("customer", ada)
    assert (await named_there(world), held(world)) == (["Acme"], [])


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("change_there", [{"name": "Other"}, {"status": "inactive"}])
async def test_a_question_about_a_name_points_at_who_has_it_by_now(
    change_there: dict[str, str], *, is_new: bool
) -> None:
    """Refused once more, and by another one: it still pointed at the first one's object."""
    world, ada = await refused_a_name()
    if is_new:
        await enter(world, "eve", name="Acme", email="eve@example.test")
    await enter(world, "cid", name="Cid", email="cid@example.test")
    (cid,) = [name for name, one in world.neutral("quickbooks").items() if one["name"] == "Cid"]
    edit_only(world, "quickbooks", change_there, ada)
    edit_only(world, "quickbooks", {"name": "Acme"}, cid)
    for _ in range(2):
        await all_day(world)
    for one in held(world):
        await answer(world, one, "retry")
    assert [one.detail["candidates"] for one in held(world)] == [[cid]] * (1 + is_new)


async def test_a_question_about_a_name_points_at_no_object_that_was_left_out() -> None:
    """A customer of that name had left out an object of another name: whoever followed the hint got that one."""
    world = await agreeing(email=None)
    world.lookalikes["quickbooks"].edit("customer", None, {"name": "Taken"})
    await change(world, everybody(world)[0].external_id, name="Taken")
    (refused_it,) = held(world, "name_taken")
    await answer(world, refused_it, "leave")
    await enter(world, "bea", name="Taken", email="bea@example.test")
    (question,) = held(world, "name_taken")
    assert "candidates" not in question.detail
