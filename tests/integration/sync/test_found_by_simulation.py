"""Bugs that simulated worlds found, each in its smallest form."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from connectors.stripe.sandbox import StripeLookAlike
from core.errors import InvalidInputError
from core.model.holds import MERGED, HoldDraft
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import Fault, FaultKind, FaultPlan, FaultyExchange
from core.store import customers, failures, holds, intents, mappings, work
from core.sync import answers, registry
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


def weather(world: World, name: str, *faults: Fault) -> FaultyExchange:
    """These faults at one look-alike from now on."""
    faulty = FaultyExchange(world.lookalikes[name], FaultPlan(requests=faults), rng=Random(1), clock=world.clock)
    world.exchanges[name] = faulty
    return faulty


async def test_a_stored_500_does_not_block_a_create_for_a_day() -> None:
    """Stripe keeps a 500 under its key for a day: asking again with the key asked for ever."""
    world = World()
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    stripe = world.lookalikes["stripe"]
    assert isinstance(stripe, StripeLookAlike)
    stripe.break_writes(1, executed=False)
    await world.activate_all()
    assert [one["name"] for one in world.neutral("stripe").values()] == ["Ada Lovelace"]


async def test_a_stored_500_of_a_create_that_happened_is_found_by_its_marker() -> None:
    """The same, but the object was made: it is adopted and not made again."""
    world = World()
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    stripe = world.lookalikes["stripe"]
    assert isinstance(stripe, StripeLookAlike)
    stripe.break_writes(1, executed=True)
    await world.activate_all()
    assert len(world.neutral("stripe")) == 1


async def test_an_upsert_that_lands_late_does_not_undo_what_came_after() -> None:
    """A repeated upsert beside one that was still under way let the old body win over newer edits."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    faulty = weather(world, "hubspot", Fault(kind="slow", path="upsert", count=1, seconds=40.0))
    await world.activate_all()
    (customer,) = world.neutral("stripe")
    world.lookalikes["stripe"].edit("customer", customer, {"name": "Ada King"})
    for _ in range(3):
        await world.next_sweep()
        faulty.run_late()
    assert [one["name"] for one in world.neutral("hubspot").values()] == ["Ada King"]
    assert [one["name"] for one in world.neutral("stripe").values()] == ["Ada King"]


async def test_an_edit_made_while_a_create_was_in_doubt_flows() -> None:
    """A create found by its marker held the field as `changed by the provider`; it was a person's edit."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    weather(world, "hubspot", Fault(kind="lost_answer", path="upsert", count=1))
    hubspot, answer = world.lookalikes["hubspot"], world.exchanges["hubspot"]

    def edited_at_once(request: HttpRequest) -> HttpResponse:
        try:
            return answer(request)
        except TimeoutError:
            (made,) = hubspot.neutral("customer")
            hubspot.edit("customer", made, {"phone": "+49301234567"})
            raise

    world.exchanges["hubspot"] = edited_at_once
    await world.activate_all()
    await world.next_sweep()
    assert [one["phone"] for one in world.neutral("stripe").values()] == ["+49301234567"]
    assert world.db.read_now(holds.listing) == []


async def test_a_failure_ends_with_what_it_was_about() -> None:
    """An unanswered write to an object that was then deleted stayed a failure for ever, beside its hold."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    weather(world, "hubspot", Fault(kind="lost_answer", path="batch/update", count=1))
    (customer,) = world.neutral("stripe")
    world.lookalikes["stripe"].edit("customer", customer, {"phone": "+49301234567"})
    world.clock.time += 61
    await world.lanes.run("stripe")
    await world.lanes.run("hubspot")
    (made,) = world.neutral("hubspot")
    world.lookalikes["hubspot"].delete("customer", made)
    await world.next_sweep()
    assert world.db.read_now(failures.listing) == []
    assert [one.reason for one in world.db.read_now(holds.listing)] == ["remote_gone"]


async def with_an_odd_country() -> World:
    """One customer, whose country at HubSpot cannot be read: somebody is asked."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    (made,) = world.neutral("hubspot")
    world.lookalikes["hubspot"].edit("customer", made, {"extra": {"country": "Atlantis"}})
    await world.next_sweep()
    return world


async def test_nothing_is_asked_about_a_deleted_customer() -> None:
    """Holds of an archived customer stayed open, with nothing left to decide."""
    world = await with_an_odd_country()
    assert [one.reason for one in world.db.read_now(holds.listing)] == ["unreadable_value"]
    (stripe_id,) = world.neutral("stripe")
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, f"stripe:{stripe_id}", actor="test", trace="t"))
    await world.next_sweep()
    assert world.db.read_now(holds.listing) == []


async def test_a_registry_without_a_value_is_no_answer_to_what_cannot_be_read() -> None:
    """It wrote nothing, and ended the question: the two differed for good, and nobody was asked."""
    world = await with_an_odd_country()
    (hold,) = world.db.read_now(holds.listing)
    with pytest.raises(InvalidInputError, match="has no value to write"):
        world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, "registry", actor="test"))
    await world.next_sweep()
    assert [one.reason for one in world.db.read_now(holds.listing)] == ["unreadable_value"]
    world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, "accept", actor="test"))
    await world.next_sweep()
    assert world.db.read_now(holds.listing) == []


async def test_what_has_no_place_is_asked_about_though_a_write_was_in_doubt_before() -> None:
    """The value that Stripe cannot hold came while an update was unanswered: resolving that one ended the question."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    (stripe_id,) = world.neutral("stripe")
    weather(world, "stripe", Fault(kind="lost_answer", method="POST", path="customers", count=1))
    for phone in ("+49301234567", "+49 30 1 2 3 4 5 6 7 8 9 0 1"):
        values = {"phone": phone}
        world.db.run_now(
            partial(
                registry.update, hub=world.hub, external_id=f"stripe:{stripe_id}", values=values, actor="ann", trace="t"
            )
        )
        await world.lanes.run("stripe")
    # the feed names the customer while the write still waits to be resolved, and not again
    world.clock.time += 61
    await world.lanes.run("stripe")
    await world.settle()
    assert world.neutral("stripe")[stripe_id]["phone"] == "+49301234567"
    (hold,) = world.db.read_now(holds.listing)
    assert (hold.connection, hold.reason, hold.field) == ("stripe", "unrepresentable", "phone")


@pytest.mark.parametrize("name", ["stripe", "quickbooks"])
async def test_a_question_about_a_value_that_is_taken_back_ends_though_a_write_was_in_doubt(name: str) -> None:
    """Corrected while another field's update was unanswered: with the answer all was equal, and the question stood."""
    world = World()
    world.lookalikes[name].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    (remote_id,) = world.neutral(name)
    weather(world, name, Fault(kind="lost_answer", method="POST", path="customer", count=1))
    for values in ({"phone": "030 1 2 3 4 5 6 7 8 9 0 1 2 3 4", "email": "ada@king.test"}, {"phone": None}):
        world.db.run_now(
            partial(
                registry.update, hub=world.hub, external_id=f"{name}:{remote_id}", values=values, actor="ann", trace="t"
            )
        )
        await world.lanes.run(name)
    assert [one.field for one in world.db.read_now(holds.listing) if one.connection == name] == ["phone"]
    await world.settle()
    assert world.neutral(name)[remote_id]["email"] == "ada@king.test"
    assert world.db.read_now(holds.listing) == []


async def test_our_own_write_never_wins_against_a_newer_edit() -> None:
    """Unanswered, it had landed, and somebody changed another part of it since: its value there passed for an edit."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    (stripe_id,), (hubspot_id,) = world.neutral("stripe"), world.neutral("hubspot")
    weather(world, "stripe", Fault(kind="lost_answer", method="POST", path="customers", count=1))
    values = {"phone": "+49301111111"}
    world.db.run_now(lambda tx: registry.update(tx, world.hub, f"stripe:{stripe_id}", values, actor="ann", trace="t"))
    world.lookalikes["hubspot"].edit("customer", hubspot_id, {"email": "ada@new.test"})
    world.clock.time += 61
    for name in ("hubspot", "stripe"):
        await world.lanes.run(name)
    assert world.neutral("stripe")[stripe_id]["email"] == "ada@new.test"
    world.lookalikes["stripe"].edit("customer", stripe_id, {"phone": "+49302222222"})
    world.lookalikes["hubspot"].edit("customer", hubspot_id, {"email": "ada@newest.test"})
    await world.next_sweep()
    await world.next_sweep()
    assert {one["email"] for name in NAMES for one in world.neutral(name).values()} == {"ada@newest.test"}


CREATES = {"stripe": "/v1/customers$", "hubspot": "batch/upsert", "quickbooks": "/(batch|customer)"}


async def archived_while_its_create_was_in_doubt(connection: str, fault: FaultKind) -> World:
    """One customer, whose create at `connection` went unanswered, archived, and a few sweeps since."""
    world = World()
    await world.activate_all()
    other = "stripe" if connection == "hubspot" else "hubspot"
    world.lookalikes[other].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    weather(world, connection, Fault(kind=fault, method="POST", path=CREATES[connection], count=1))
    world.clock.time += 61
    for name in (other, connection):
        await world.lanes.run(name)
    (doubtful,) = world.db.read_now(lambda tx: intents.all_open(tx, connection))
    assert doubtful.action == "create"
    (customer,) = world.db.read_now(customers.listing)
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, customer.external_id, actor="test", trace="t"))
    for _ in range(3):
        await world.next_sweep()
    return world


@pytest.mark.parametrize("connection", NAMES)
async def test_a_create_that_never_arrived_is_not_made_up_for_once_its_customer_is_archived(connection: str) -> None:
    """The lost request was sent again, for a customer that had been archived in between."""
    world = await archived_while_its_create_was_in_doubt(connection, "error_before")
    assert world.neutral(connection) == {}
    assert world.db.read_now(intents.all_open) == []
    assert world.db.read_now(holds.listing) == []


@pytest.mark.parametrize("connection", NAMES)
async def test_an_object_made_for_a_customer_archived_meanwhile_is_remembered_as_its(connection: str) -> None:
    """Nobody answered the create: its object is left alone, and never becomes a new customer."""
    world = await archived_while_its_create_was_in_doubt(connection, "lost_answer")
    assert len(world.neutral(connection)) == 1
    assert world.db.read_now(customers.listing) == []
    assert world.db.read_now(intents.all_open) == []
    assert world.db.read_now(holds.listing) == []


@pytest.mark.parametrize("connection", ["stripe", "quickbooks"])
async def test_a_repeat_that_never_left_does_not_say_that_nothing_was_made(connection: str) -> None:
    """The create had happened, unanswered; the repeat could not be sent, and passed for proof that it had not."""
    world = World()
    await world.activate_all()
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada Lovelace", "phone": "+49301234567"})
    path = CREATES[connection]
    lost = Fault(kind="lost_answer", method="POST", path=path, count=1)
    weather(world, connection, lost, Fault(kind="lost_request", method="POST", path=path, count=1))
    world.clock.time += 61
    for name in ("hubspot", connection):
        await world.lanes.run(name)
    (made,) = world.neutral(connection)
    world.clock.time += 10
    await world.lanes.run(connection)
    (doubtful,) = world.db.read_now(lambda tx: intents.all_open(tx, connection))
    assert doubtful.action == "create"
    world.db.run_now(lambda tx: work.mark(tx, connection, [f"r:{made}"], reason="webhook", trace="t", now=0.0))
    for _ in range(3):
        await world.next_sweep()
    assert len(world.db.read_now(customers.listing)) == 1
    assert [*world.neutral(connection)] == [made]
    assert world.db.read_now(intents.all_open) == []
    assert world.db.read_now(holds.listing) == []


@pytest.mark.parametrize("edited", [{}, {"url": "https://other.example.test"}])
async def test_a_late_answer_does_not_take_back_an_object_linked_meanwhile(
    edited: dict[str, str],
) -> None:
    """The update of the old object was found to have landed, and its mapping was put back to that one."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace"})
    await world.activate_all()
    weather(world, "hubspot", Fault(kind="lost_answer", path="batch/update", count=1))
    (customer,) = world.db.read_now(customers.listing)
    values = {"phone": "+49301234567", "url": "https://ada.example.test"}
    world.db.run_now(lambda tx: registry.update(tx, world.hub, customer.external_id, values, actor="ann", trace="t"))
    await world.lanes.run("hubspot")
    (doubtful,) = world.db.read_now(intents.all_open)
    (old,) = world.neutral("hubspot")
    world.lookalikes["hubspot"].edit("customer", old, edited)
    other = world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada Two"})
    subject = work.mapping_subject(doubtful.mapping_id)
    draft = HoldDraft(reason=MERGED, detail={"candidates": [other]}, digest="d")
    held = holds.Held(subject=subject, record_id=customer.id, drafts=[draft])
    world.db.run_now(lambda tx: holds.settle(tx, world.hub.ids, "hubspot", [held], {}, world.clock.time))
    (asked,) = world.db.read_now(holds.listing)
    world.db.run_now(lambda tx: answers.answer(tx, world.hub, asked.id, f"link:{other}", actor="ann"))
    for _ in range(3):
        await world.next_sweep()
    assert world.db.read_now(intents.all_open) == []
    rows = world.db.read_now(lambda tx: mappings.by_ids(tx, [doubtful.mapping_id]))
    assert rows[doubtful.mapping_id].remote_id == other
    assert world.neutral("hubspot")[other]["phone"] == "+49301234567"


async def test_a_refusal_that_comes_after_its_customer_was_archived_asks_nobody() -> None:
    """The question was about a customer that is gone."""
    world = World()
    await world.activate_all()
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada Lovelace"})
    whole = world.exchanges["stripe"]

    def exchange(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return whole(request)
        (customer,) = world.db.read_now(customers.listing)
        world.db.run_now(lambda tx: registry.archive(tx, world.hub, customer.external_id, actor="test", trace="t"))
        return HttpResponse(400, {}, b'{"error": {"type": "invalid_request_error", "message": "never"}}')

    world.exchanges["stripe"] = exchange
    world.clock.time += 61
    for name in ("hubspot", "stripe"):
        await world.lanes.run(name)
    assert world.db.read_now(customers.listing) == []
    assert world.db.read_now(holds.listing) == []
    assert world.db.read_now(intents.all_open) == []
