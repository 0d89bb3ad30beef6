"""Creates that nobody answered: what people and providers do before it is known what became of them."""

from __future__ import annotations

import json

import pytest

from core.errors import InvalidInputError
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import Fault, FaultKind
from core.store import intents, work
from core.store.intents import Intent
from core.sync import registry
from core.sync.erasure import erase
from core.sync.explain import explain
from core.sync.linking import link, unlink
from tests.integration.sync.test_found_by_simulation import CREATES, weather
from tests.integration.sync.test_meanwhile import archive, lost_create_found_two_days_later
from tests.support.acting import (
    all_day,
    answer,
    change,
    edit_only,
    enter,
    entries,
    everybody,
    failing,
    held,
    mapped,
    waiting,
    with_policy,
)
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def create_in_doubt(world: World, connection: str, fields: dict[str, str], *kinds: FaultKind) -> Intent:
    """A customer whose create at `connection` comes to these ends, one try after the other, and was tried once."""
    other = "stripe" if connection == "hubspot" else "hubspot"
    world.lookalikes[other].edit("customer", None, fields)
    faults = [Fault(kind=one, method="POST", path=CREATES[connection], count=1) for one in kinds]
    weather(world, connection, *faults)
    world.clock.time += 61
    for name in (other, connection):
        await world.lanes.run(name)
    (doubtful,) = world.db.read_now(lambda tx: intents.all_open(tx, connection))
    return doubtful


def not_for(world: World, intent: Intent, seconds: float) -> None:
    """The write stays in doubt for this long."""
    until = {work.mapping_subject(intent.mapping_id): world.clock.now() + seconds}
    world.db.run_now(lambda tx: work.postpone(tx, intent.connection, until, is_attempt=False))


async def told(world: World, connection: str, remote_id: str) -> None:
    """A webhook names an object that nobody has."""
    subjects = [work.remote_subject(remote_id)]
    world.db.run_now(lambda tx: work.mark(tx, connection, subjects, reason="webhook", trace="t", now=0.0))
    await world.lanes.run(connection)


async def enter_only(world: World, connection: str, external_id: str, **values: object) -> None:
    """A new customer by hand, offered to one connection so far."""
    world.db.run_now(lambda tx: registry.create(tx, world.hub, external_id, values, actor="ann", trace="t"))
    await world.lanes.run(connection)


@pytest.mark.parametrize("changes", [{"phone": "+49302222222"}, {"name": "Ada King"}])
async def test_an_edit_does_not_answer_whose_object_a_lost_create_made(changes: dict[str, str]) -> None:
    """The edited customer was made a second time, and its first object entered as another customer."""
    world = World()
    await lost_create_found_two_days_later(world, "Ada Lovelace")
    (made,) = world.neutral("quickbooks")
    (one,) = everybody(world)
    await change(world, one.external_id, **changes)
    await all_day(world)
    assert len(everybody(world)) == 1
    assert [*world.neutral("quickbooks")] == [made]
    (question,) = held(world)
    assert question.reason == "lost_create"


@pytest.mark.parametrize("choice", ["link", "create"])
async def test_whose_object_a_lost_create_made_is_asked_though_the_customer_was_deleted(choice: str) -> None:
    """Deleting the customer closed the question: its own object brought it back as a new customer, everywhere."""
    world = World()
    await lost_create_found_two_days_later(world, "Ada Lovelace")
    (made,) = world.neutral("quickbooks")
    archive(world)
    await all_day(world)
    assert everybody(world) == []
    (question,) = held(world)
    await answer(world, question, f"link:{made}" if choice == "link" else choice)
    await all_day(world)
    assert held(world) == []
    assert len(everybody(world)) == (choice == "create")
    assert len(mapped(world, "quickbooks")) == (choice == "create")


async def test_a_create_of_a_deleted_customer_that_is_too_old_for_its_key_leaves_no_tie() -> None:
    """The answer tied the object to the deleted customer: nobody could have it, and no command let it go."""
    world = World()
    await lost_create_found_two_days_later(world, "Ada Lovelace", archive)
    (made,) = world.neutral("quickbooks")
    assert world.db.read_now(intents.all_open) == []
    (question,) = held(world)
    await answer(world, question, f"link:{made}")
    for _ in range(2):
        await all_day(world)
    assert (everybody(world), mapped(world, "quickbooks"), held(world)) == ([], [], [])


async def test_who_may_come_back_by_a_lost_create_is_not_erased_before_somebody_has_answered() -> None:
    """The object entered as a new customer, with everything that had been erased."""
    world = World()
    await lost_create_found_two_days_later(world, "Ada Lovelace")
    (made,) = world.neutral("quickbooks")
    (one,) = everybody(world)

    def erased() -> list[str]:
        told = world.db.run_now(lambda tx: erase(tx, world.hub, one.external_id, actor="ann", trace="t"))
        return [each.remote_id for each in told.remains if each.connection == "quickbooks"]

    with pytest.raises(InvalidInputError, match="may be of it"):
        erased()
    (question,) = held(world)
    await answer(world, question, f"link:{made}")
    assert erased() == [made]
    for _ in range(2):
        await all_day(world)
    assert [one for one in everybody(world) if "Ada" in str(one.fields)] == []


async def test_another_object_linked_by_hand_does_not_say_whose_the_lost_create_s_is() -> None:
    """The one in question entered as a new customer; the linked one itself ends the question."""
    world = World()
    await lost_create_found_two_days_later(world, "Ada Lovelace")
    (made,) = world.neutral("quickbooks")
    (one,) = everybody(world)
    another = world.lookalikes["quickbooks"].edit("customer", None, {"name": "A. Lovelace"})
    await all_day(world)
    (other,) = [each for each in everybody(world) if each.id != one.id]
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, other.external_id, actor="ann", trace="t"))
    world.db.run_now(lambda tx: link(tx, world.hub, one.external_id, "quickbooks", another, actor="ann", trace="t"))
    await all_day(world)
    (question,) = held(world, "lost_create")
    await answer(world, question, f"link:{made}")
    for _ in range(2):
        await all_day(world)
    assert len(everybody(world)) == 1
    assert held(world, "lost_create") == []


async def test_a_lost_create_is_looked_for_as_its_name_is_spelled_there() -> None:
    """With a blank at its end the name was found nowhere: made again, refused, and its object entered as a customer."""
    world = World()
    await lost_create_found_two_days_later(world, "Ada Lovelace ")
    (made,) = world.neutral("quickbooks")
    await all_day(world)
    (question,) = held(world)
    assert (question.reason, question.detail["candidates"]) == ("lost_create", [made])
    assert len(everybody(world)) == 1


async def test_an_inactive_object_of_the_name_does_not_make_a_repeat_safe() -> None:
    """QuickBooks frees the name of an inactive customer: the create was sent for a customer that was deleted."""
    world = World(config=with_policy(World().config, "quickbooks", enters="none"))
    old = world.lookalikes["quickbooks"].edit("customer", None, {"name": "Ada Lovelace"})
    world.lookalikes["quickbooks"].edit("customer", old, {"status": "inactive"})
    await world.activate_all()
    await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "error_before")
    archive(world)
    for _ in range(4):
        await world.next_sweep()
    assert [*world.neutral("quickbooks")] == [old]
    assert world.db.read_now(intents.all_open) == []


async def test_nobody_is_asked_whether_another_customer_s_object_is_the_lost_create_s() -> None:
    """A namesake has the name since: linking to its object is refused, so that there was nothing to choose."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "error_before")
    not_for(world, doubtful, 86_400.0)
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace"})
    await world.next_sweep()
    assert len(world.neutral("quickbooks")) == 1
    world.clock.time += 2 * 86_400
    await world.settle()
    assert [(one.connection, one.reason) for one in held(world)] == [("quickbooks", "name_taken")]
    assert (len(world.neutral("quickbooks")), len(everybody(world))) == (1, 2)


@pytest.mark.parametrize("connection", ["stripe", "hubspot"])
async def test_who_lost_an_object_to_another_customer_gets_one_of_its_own(connection: str) -> None:
    """Made again under the same key or marker it was answered with that object for ever, at HubSpot written over it."""
    world = World()
    await world.activate_all()
    world.lookalikes["hubspot" if connection != "hubspot" else "stripe"].edit("customer", None, {"name": "Bea Ball"})
    await world.next_sweep()
    (bea,) = everybody(world)
    world.db.run_now(lambda tx: unlink(tx, world.hub, bea.external_id, connection, actor="ann", trace="t"))
    (old,) = world.neutral(connection)
    doubtful = await create_in_doubt(world, connection, {"name": "Ada Lovelace"}, "lost_answer")
    not_for(world, doubtful, 500.0)
    (made,) = [one for one in world.neutral(connection) if one != old]
    await told(world, connection, made)
    world.db.run_now(lambda tx: link(tx, world.hub, bea.external_id, connection, made, actor="ann", trace="t"))
    edit_only(world, connection, {"phone": "+49301111111"}, made)
    world.clock.time += 501
    await world.settle()
    (question,) = held(world, "ambiguous_match")
    beas = dict(world.neutral(connection)[made])
    await answer(world, question, "create")
    for _ in range(3):
        await world.next_sweep()
    assert held(world, "ambiguous_match") == []
    assert len(world.neutral(connection)) == len({old, made, "Ada's own"})
    assert world.neutral(connection)[made] == beas | {"phone": "+49301111111"}


async def test_a_repeat_that_found_no_address_does_not_say_that_nothing_was_made() -> None:
    """A proxy's 404 passed for proof that the create had not happened: renamed meanwhile, it was made twice."""
    world = World()
    await world.activate_all()
    await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "lost_answer")
    no_address = Fault(kind="error_before", status=404, method="POST", path=CREATES["quickbooks"], count=1)
    weather(world, "quickbooks", no_address)
    world.clock.time += 1
    await world.lanes.run("quickbooks")
    (one,) = everybody(world)
    await change(world, one.external_id, name="Ada King")
    for _ in range(2):
        await world.next_sweep()
    assert [each["name"] for each in world.neutral("quickbooks").values()] == ["Ada King"]
    assert (len(everybody(world)), held(world)) == (1, [])


async def test_a_key_that_went_out_with_another_body_tells_that_its_object_may_be_there() -> None:
    """A newer version spells the repeat otherwise: it was held as refused, and the answer `retry` made a second one."""
    world = World()
    await world.activate_all()
    await create_in_doubt(world, "stripe", {"name": "Ada Lovelace"}, "lost_answer")
    (made,) = world.neutral("stripe")
    through, message = (
        world.exchanges["stripe"],
        "Keys can only be used with the same parameters they were first used with",
    )
    told = json.dumps({"error": {"type": "idempotency_error", "message": message}}).encode()

    def another_body(request: HttpRequest) -> HttpResponse:
        is_create = request.method == "POST" and request.url.endswith("/v1/customers")
        return HttpResponse(400, {"content-type": "application/json"}, told) if is_create else through(request)

    world.exchanges["stripe"] = another_body
    await world.settle(patience=600.0)
    world.exchanges["stripe"] = through
    for question in held(world):
        await answer(world, question, "retry")
    for _ in range(2):
        await world.next_sweep()
    assert [*world.neutral("stripe")] == [made]
    assert (world.db.read_now(intents.all_open), held(world)) == ([], [])


async def test_a_key_that_ends_does_not_end_the_wait_for_its_last_repeat() -> None:
    """Sent right before its key was too old, and slow: looked for at once, not found, and made a second time."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "stripe", {"name": "Ada Lovelace"}, "error_before")
    slow = Fault(kind="slow", method="POST", path=CREATES["stripe"], count=1, seconds=40.0)
    faulty = weather(world, "stripe", slow)
    world.clock.time = doubtful.sent_at + 22 * 3600 - 1
    for _ in range(300):
        await world.lanes.run("stripe")
        world.clock.time += 1
        faulty.run_late()
    assert len(world.neutral("stripe")) == 1
    assert (world.db.read_now(intents.all_open), held(world)) == ([], [])


async def test_an_object_renamed_while_its_create_is_in_doubt_is_no_new_customer() -> None:
    """QuickBooks has no place for a marker, and only its old name told whose it was: it entered as a new one."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "lost_answer")
    not_for(world, doubtful, 10.0)
    (made,) = world.neutral("quickbooks")
    edit_only(world, "quickbooks", {"name": "Ada King"}, made)
    await told(world, "quickbooks", made)
    for _ in range(2):
        await world.next_sweep()
    assert [one.fields["name"] for one in everybody(world)] == ["Ada King"]
    assert (held(world), waiting(world)) == ([], {})


@pytest.mark.parametrize("connection", ["stripe", "quickbooks"])
async def test_an_object_in_doubt_is_not_taken_by_another_customer_with_its_e_mail(connection: str) -> None:
    """The webhook came before the answer: the next customer with that address was linked to the object."""
    world = World()
    await world.activate_all()
    shared = {"email": "ada@example.test"}
    doubtful = await create_in_doubt(world, connection, {"name": "Ada Lovelace", **shared}, "lost_answer")
    not_for(world, doubtful, 10.0)
    (made,) = world.neutral(connection)
    await told(world, connection, made)
    await enter_only(world, connection, "bea", name="Bea Ball", **shared)
    for _ in range(2):
        await world.next_sweep()
    assert sorted(one["name"] for one in world.neutral(connection).values()) == ["Ada Lovelace", "Bea Ball"]
    (mine,) = [row for row in mapped(world, connection) if row.id == doubtful.mapping_id]
    assert mine.remote_id == made


async def test_an_external_id_that_is_used_again_does_not_join_an_object_in_doubt() -> None:
    """Nobody knew yet whose object it was: the new customer of that id got the old one's values."""
    world = World()
    await world.activate_all()
    weather(world, "stripe", Fault(kind="lost_answer", method="POST", path=CREATES["stripe"], count=1))
    await enter_only(world, "stripe", "a-1", name="Ada Lovelace", phone="+49301111111")
    (doubtful,) = world.db.read_now(lambda tx: intents.all_open(tx, "stripe"))
    not_for(world, doubtful, 10.0)
    (made,) = world.neutral("stripe")
    await told(world, "stripe", made)
    archive(world)
    await enter_only(world, "stripe", "a-1", name="Adam Smith")
    for _ in range(4):
        await world.next_sweep()
    assert sorted(one["name"] for one in world.neutral("stripe").values()) == ["Ada Lovelace", "Adam Smith"]
    (one,) = everybody(world)
    assert one.fields.get("phone") is None
    assert (held(world), waiting(world)) == ([], {})


async def test_a_taken_name_is_not_answered_with_an_object_of_an_erased_customer() -> None:
    """Linked to it, the new customer got back what had been erased."""
    world = World()
    await world.activate_all()
    await enter(world, "ada", name="Ada Lovelace", phone="+49301111111")
    (old,) = world.neutral("quickbooks")
    world.db.run_now(lambda tx: erase(tx, world.hub, "ada", actor="ann", trace="t"))
    await enter(world, "ada-2", name="Ada Lovelace")
    (question,) = held(world, "name_taken")
    with pytest.raises(InvalidInputError, match="was erased"):
        await answer(world, question, f"link:{old}")


@pytest.mark.parametrize("wanted", ["343", "unknown", "contact:999"])
async def test_no_customer_is_linked_to_an_object_that_nobody_has_seen(wanted: str) -> None:
    """A slip of the pen ended the question: the mapping was read in vain until it was dead."""
    world = World()
    await world.activate_all()
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Bea Ball", "email": "ada@example.test"})
    await enter(world, "ada", name="Ada Lovelace", email="ada@example.test")
    (question,) = held(world, "name_taken")
    with pytest.raises(InvalidInputError, match="was seen at hubspot"):
        await answer(world, question, f"link:{wanted}")
    (named,) = question.detail["candidates"]
    await answer(world, question, f"link:{named}")
    assert (held(world), failing(world)) == ([], [])


@pytest.mark.parametrize("customers", [1, 0])
async def test_a_repeat_whose_key_was_forgotten_asks_whose_the_object_of_its_name_is(customers: int) -> None:
    """Intuit does not say how long it keeps them: refused by its own object, it let that one in as a new customer."""
    world = World()
    await world.activate_all()
    await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "lost_answer")
    (made,) = world.neutral("quickbooks")
    vars(world.lookalikes["quickbooks"])["_answers"].clear()
    if not customers:
        archive(world)
    for _ in range(5):
        await world.next_sweep()
    (question,) = held(world)
    assert (question.reason, question.detail["candidates"]) == ("lost_create", [made])
    assert len(everybody(world)) == customers
    await answer(world, question, f"link:{made}")
    await all_day(world)
    assert len(everybody(world)) == customers
    assert (held(world), world.db.read_now(intents.all_open), [*world.neutral("quickbooks")]) == ([], [], [made])


async def test_an_object_that_waits_for_a_create_in_doubt_is_not_read_all_the_time() -> None:
    """It was read every other second for as long as the doubt lasted: QuickBooks' reads are counted."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "lost_answer")
    until = world.clock.now() + 600.0
    world.db.run_now(lambda tx: intents.doubt(tx, doubtful.id, until, "still no answer"))
    not_for(world, doubtful, 600.0)
    (made,) = world.neutral("quickbooks")
    await told(world, "quickbooks", made)
    waits = world.db.read_now(lambda tx: work.waiting(tx, "quickbooks", [work.remote_subject(made)]))
    assert [each[1] for each in waits.values()] == [until]
    world.clock.time = until
    await world.settle()
    assert (len(everybody(world)), held(world), waiting(world)) == (1, [], {})


async def test_another_object_with_its_e_mail_does_not_say_whose_the_lost_create_s_is() -> None:
    """The customer was linked to that one, the question ended, and its own object entered as a new customer."""
    world = World()
    await world.activate_all()
    await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace", "email": "ada@example.test"}, "lost_answer")
    (made,) = world.neutral("quickbooks")
    world.clock.time += 2 * 86_400
    await world.lanes.run("quickbooks")
    (question,) = held(world)
    edit_only(world, "quickbooks", {"email": "ada@new.test"}, made)
    world.lookalikes["quickbooks"].edit("customer", None, {"name": "A. L.", "email": "ada@example.test"})
    for _ in range(2):
        await all_day(world)
    assert (len(everybody(world)), [one.id for one in held(world)]) == (1, [question.id])
    await answer(world, question, f"link:{made}")
    await all_day(world)
    (mine,) = [row for row in mapped(world, "quickbooks") if row.remote_id == made]
    assert f"m:{mine.id}" == question.subject


async def test_an_object_that_a_person_called_another_customer_s_is_not_linked_by_its_e_mail() -> None:
    """The answer to whose it is was asked for, and then passed over."""
    world = World()
    await world.activate_all()
    await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace", "email": "ada@example.test"}, "lost_answer")
    world.clock.time += 2 * 86_400
    await world.lanes.run("quickbooks")
    (question,) = held(world)
    await answer(world, question, "create")
    for _ in range(2):
        await all_day(world)
    (mine,) = [row for row in mapped(world, "quickbooks") if f"m:{row.id}" == question.subject]
    assert mine.remote_id is None
    assert len(everybody(world)) == 2


async def test_who_waits_until_somebody_says_whose_an_object_is_tells_so() -> None:
    """It waited as one that had just changed, for as long as nobody answered, and `explain` said no more."""
    world = World()
    await lost_create_found_two_days_later(world, "Ada Lovelace")
    (made,) = world.neutral("quickbooks")
    (question,) = held(world)
    edit_only(world, "quickbooks", {"email": "ada@example.test"})
    await world.next_sweep()
    await enter(world, "second", name="Ada King", email="ada@example.test")
    there = world.db.read_now(lambda tx: explain(tx, world.hub, "second"))["mappings"]
    (shown,) = [one for one in there if one["connection"] == "quickbooks"]
    assert "a person is asked (lost_create)" in shown["waits"]["reason"]
    await answer(world, question, f"link:{made}")
    for _ in range(2):
        await all_day(world)
    assert len(world.neutral("quickbooks")) == 2


async def test_another_object_is_not_linked_while_the_customer_s_own_create_is_in_doubt() -> None:
    """The create's object took the mapping with all that had been agreed with the other: its phone was cleared."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(
        world, "stripe", {"name": "Ada Lovelace", "email": "ada@example.test"}, "lost_answer"
    )
    not_for(world, doubtful, 10.0)
    (made,) = world.neutral("stripe")
    another = {"email": "ada@example.test", "phone": "+49301111111"}
    remote_id = world.lookalikes["stripe"].edit("customer", None, another)
    await told(world, "stripe", remote_id)
    for _ in range(3):
        await world.next_sweep()
    (row,) = mapped(world, "stripe")
    assert (row.id, row.remote_id) == (doubtful.mapping_id, made)
    assert [(one.reason, one.subject) for one in held(world)] == [("ambiguous_match", f"r:{remote_id}")]
    assert [one.changes["phone"] for one in entries(world) if "phone" in one.changes] == []
