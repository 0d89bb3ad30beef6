"""A customer was archived in the registry: what becomes of its objects, where policy says that they follow it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from core.errors import AmbiguousError, InvalidInputError
from core.model import holds
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.store import connections, intents, journal, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.journal import Entry
from core.sync import answers, linking, registry
from core.sync.erasure import erase
from tests.support.acting import (
    ADA,
    REVIVALS,
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
    only,
    waiting,
    with_policy,
    with_settings,
)
from tests.support.lookalikes import hubspot_of
from tests.support.paper import BOOKS, SINCE, bill, pay, shown, with_documents
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio

WHERE = ("hubspot", "quickbooks")
COPIES = (
    ("hubspot", DocumentPolicy(mirrors=("invoice",), since=SINCE)),
    ("quickbooks", DocumentPolicy(mirrors=KINDS, since=SINCE)),
)


def world_of(*names: str) -> World:
    """Connections of which these archive what is archived here."""
    config = config_of(NAMES)
    for name in names:
        config = with_policy(config, name, when_archived="archive")
    return World(config=config)


async def agreeing(name: str, **fields: str) -> World:
    """One customer, in agreement everywhere; what is archived here is archived there."""
    world = world_of(name)
    world.lookalikes["stripe"].edit("customer", None, {**ADA, **fields})
    await world.activate_all()
    return world


def archive(world: World, *external_ids: str) -> None:
    """A person archives customers, all that there are unless some are named."""
    for one in external_ids or [found.external_id for found in everybody(world)]:
        world.db.run_now(partial(registry.archive, hub=world.hub, external_id=one, actor="ann", trace="t"))


def live(world: World, name: str) -> list[str]:
    """Objects that are neither archived nor inactive."""
    return [remote_id for remote_id, one in world.neutral(name).items() if one.get("status") != "inactive"]


def told(world: World, record_id: str) -> list[Entry]:
    """What the journal says of objects that were archived."""
    found = world.db.read_now(lambda tx: journal.of_record(tx, record_id))
    return [one for one in found if one.action == intents.ARCHIVE]


def at_rest(world: World) -> bool:
    """Nothing waits, fails or is in doubt."""
    in_doubt = world.db.read_now(intents.all_open)
    return sum(waiting(world).values()) == 0 and failing(world) == [] and in_doubt == []


@pytest.mark.parametrize("name", WHERE)
async def test_an_archived_customers_object_is_archived_where_policy_says_so_and_nowhere_else(name: str) -> None:
    """One write there, none elsewhere; nobody is asked, and nothing comes back by the provider's own news of it."""
    world = await agreeing(name)
    (ada,) = everybody(world)
    remote_id, before = only(world, name), {one: world.writes(one) for one in NAMES}
    archive(world)
    await world.settle()
    await all_day(world)
    assert live(world, name) == []
    assert {one: world.writes(one) - before[one] for one in NAMES} == {one: int(one == name) for one in NAMES}
    assert (everybody(world), held(world), at_rest(world)) == ([], [], True)
    assert [mapped(world, one) for one in NAMES] == [[], [], []]
    assert [(one.connection, one.remote_id) for one in told(world, ada.id)] == [(name, remote_id)]


async def test_objects_of_archived_customers_are_left_alone_unless_policy_says_otherwise() -> None:
    """As ever."""
    world = world_of()
    await enter(world, "ada", **ADA)
    await world.activate_all()
    before = {one: world.writes(one) for one in NAMES}
    archive(world)
    await all_day(world)
    assert {one: world.writes(one) for one in NAMES} == before
    assert [len(live(world, one)) for one in NAMES] == [1, 1, 1]


@pytest.mark.parametrize("name", WHERE)
async def test_an_object_that_was_changed_there_meanwhile_waits_for_a_person(name: str) -> None:
    """An edit against a delete: nobody has seen what would be lost."""
    world = await agreeing(name)
    edit_only(world, name, {"phone": "+4930777"})
    archive(world)
    await world.settle()
    (hold,) = held(world)
    assert (hold.reason, hold.connection) == (holds.NOT_ARCHIVED, name)
    assert hold.detail["changed"] == {"phone": [None, "+4930777"]}
    assert len(live(world, name)) == 1
    await answer(world, hold, "retry")
    assert (live(world, name), held(world), at_rest(world)) == ([], [], True)


@pytest.mark.parametrize("name", WHERE)
async def test_an_answer_is_of_the_change_that_was_seen_and_of_no_later_one(name: str) -> None:
    """Changed once more between the question and the answer: asked once more."""
    world = await agreeing(name)
    (ada,) = everybody(world)
    edit_only(world, name, {"phone": "+4930777"})
    archive(world)
    await world.settle()
    edit_only(world, name, {"phone": "+4930888"})
    await answer(world, held(world)[0], "retry")
    (hold,) = held(world)
    assert hold.detail["changed"] == {"phone": [None, "+4930888"]}
    await answer(world, hold, "leave")
    said = [one for one in world.db.read_now(lambda tx: journal.of_record(tx, ada.id)) if one.action == "answer"]
    assert [(one.actor, one.changes) for one in said] == [
        ("ann", {holds.NOT_ARCHIVED: (None, choice, "answer")}) for choice in ("leave", "retry")
    ]
    assert (len(live(world, name)), held(world), at_rest(world)) == (1, [], True)
    await all_day(world)
    assert (len(live(world, name)), held(world), everybody(world)) == (1, [], [])


@pytest.mark.parametrize("name", WHERE)
async def test_a_question_ends_when_the_object_is_archived_there_by_hand(name: str) -> None:
    """Whoever did it has answered."""
    world = await agreeing(name)
    edit_only(world, name, {"phone": "+4930777"})
    archive(world)
    await world.settle()
    world.lookalikes[name].delete("customer", only(world, name))
    await all_day(world)
    assert (live(world, name), held(world), at_rest(world)) == ([], [], True)


@pytest.mark.parametrize("name", WHERE)
async def test_a_question_ends_when_the_object_is_changed_back_and_it_follows(name: str) -> None:
    """Nothing speaks against it any more."""
    world = await agreeing(name)
    edit_only(world, name, {"phone": "+4930777"})
    archive(world)
    await world.settle()
    edit_only(world, name, {"phone": None})
    await all_day(world)
    assert (live(world, name), held(world), at_rest(world)) == ([], [], True)


@pytest.mark.parametrize("name", WHERE)
async def test_a_question_ends_when_the_object_is_given_to_another_customer(name: str) -> None:
    """It is that one's."""
    world = await agreeing(name)
    remote_id = only(world, name)
    edit_only(world, name, {"phone": "+4930777"})
    archive(world)
    await all_day(world)
    assert [one.reason for one in held(world)] == [holds.NOT_ARCHIVED]
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "heir", dict(ADA), actor="ann", trace="t"))
    world.db.run_now(lambda tx: linking.link(tx, world.hub, "heir", name, remote_id, actor="ann", trace="t"))
    await world.settle()
    assert (live(world, name), held(world, holds.NOT_ARCHIVED)) == ([remote_id], [])


@pytest.mark.parametrize("name", WHERE)
async def test_an_object_that_is_archived_already_is_none_of_our_business(name: str) -> None:
    """Somebody was faster: nothing is written, nobody is asked."""
    world = await agreeing(name)
    (ada,) = everybody(world)
    before = world.writes(name)
    world.lookalikes[name].delete("customer", only(world, name))
    archive(world)
    await world.settle()
    assert (world.writes(name), told(world, ada.id), held(world), at_rest(world)) == (before, [], [], True)


@pytest.mark.parametrize("name", WHERE)
async def test_an_object_that_was_let_go_of_does_not_follow(name: str) -> None:
    """It is nobody's, and stays as it is."""
    world = await agreeing(name)
    (ada,) = everybody(world)
    world.db.run_now(lambda tx: linking.unlink(tx, world.hub, ada.external_id, name, actor="ann", trace="t"))
    archive(world)
    await world.settle()
    assert (len(live(world, name)), at_rest(world)) == (1, True)


@pytest.mark.parametrize("name", WHERE)
async def test_an_object_that_a_person_gives_to_another_customer_meanwhile_stays(name: str) -> None:
    """Whoever links it before its lane has run has said what becomes of it."""
    world = await agreeing(name)
    remote_id = only(world, name)
    archive(world)
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "heir", dict(ADA), actor="ann", trace="t"))
    world.db.run_now(lambda tx: linking.link(tx, world.hub, "heir", name, remote_id, actor="ann", trace="t"))
    await world.settle()
    assert live(world, name) == [remote_id]
    assert [one.remote_id for one in mapped(world, name)] == [remote_id]
    assert at_rest(world)


@pytest.mark.parametrize("name", WHERE)
async def test_an_object_is_given_to_nobody_while_its_archiving_is_in_doubt(name: str) -> None:
    """The write may still land."""
    world = await agreeing(name)
    remote_id = only(world, name)
    archive(world)
    row = world.db.read_now(lambda tx: work.due(tx, name, world.clock.time, 10))[0]
    intent = intents.Intent(
        id="i",
        connection=name,
        mapping_id=row.subject[2:],
        action=intents.ARCHIVE,
        key="k",
        body={},
        wanted={},
        before={},
        remote_id=remote_id,
        sent_at=world.clock.time,
    )
    world.db.run_now(lambda tx: intents.insert(tx, [intent]))
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "heir", dict(ADA), actor="ann", trace="t"))
    with pytest.raises(InvalidInputError, match="is just being archived"):
        world.db.run_now(lambda tx: linking.link(tx, world.hub, "heir", name, remote_id, actor="ann", trace="t"))


@pytest.mark.parametrize("name", WHERE)
async def test_a_connection_that_is_not_active_archives_nothing_and_asks(name: str) -> None:
    """Nothing is written to it before somebody has seen its plan, and nobody's wish is forgotten either."""
    world = await agreeing(name)
    world.db.run_now(lambda tx: connections.change(tx, name, state="observing"))
    archive(world)
    await world.settle()
    (hold,) = held(world)
    await answer(world, hold, "retry")
    (hold,) = held(world)
    assert (hold.reason, len(live(world, name))) == (holds.NOT_ARCHIVED, 1)
    world.db.run_now(lambda tx: connections.change(tx, name, state="active"))
    await answer(world, hold, "retry")
    assert (live(world, name), held(world), at_rest(world)) == ([], [], True)


async def test_a_customer_that_owes_in_the_books_is_not_made_inactive() -> None:
    """QuickBooks would write a credit memo over what is open: that is money, and nobody's wish."""
    world = await agreeing("quickbooks")
    invoice = bill(world, "quickbooks")
    await world.next_sweep()
    archive(world)
    await world.settle()
    (hold,) = held(world, holds.NOT_ARCHIVED)
    assert "its Balance is" in str(hold.detail["problem"])
    await answer(world, hold, "retry")
    (hold,) = held(world, holds.NOT_ARCHIVED)
    assert len(live(world, "quickbooks")) == 1
    row = world.lookalikes["quickbooks"].objects("invoice")[invoice]
    pay(world, invoice, str(row["Balance"]), "quickbooks")
    await all_day(world)
    assert (live(world, "quickbooks"), held(world, holds.NOT_ARCHIVED)) == ([], [])


async def billed(name: str, mirrors: DocumentPolicy) -> tuple[World, str]:
    """A customer with an invoice at Stripe that is to be copied, and that only Stripe's lane has seen."""
    world = world_of(name)
    config = with_documents({"stripe": DocumentPolicy(originates=KINDS), name: mirrors}, {"quickbooks": BOOKS}, {})
    world.config = with_policy(config, name, when_archived="archive")
    world.start()
    world.lookalikes["stripe"].edit("customer", None, ADA)
    await world.activate_all()
    invoice = bill(world)
    world.clock.time += 61.0
    await world.lanes.run("stripe")
    return world, invoice


@pytest.mark.parametrize(("name", "mirrors"), COPIES)
async def test_an_object_stays_while_a_copy_of_its_customers_is_to_be_made(name: str, mirrors: DocumentPolicy) -> None:
    """A copy names its customer: without one it could never be made."""
    world, _ = await billed(name, mirrors)
    archive(world)
    await world.settle()
    (hold,) = held(world, holds.NOT_ARCHIVED)
    assert (hold.detail["documents"], len(live(world, name))) == (1, 1)


@pytest.mark.parametrize(("name", "mirrors"), COPIES)
async def test_an_object_stays_until_its_customers_documents_there_are_settled(
    name: str, mirrors: DocumentPolicy
) -> None:
    """A copy that is still to be paid needs its customer: nobody who archives one means to stop a payment."""
    world, invoice = await billed(name, mirrors)
    await world.settle()
    archive(world)
    await world.settle()
    (hold,) = held(world, holds.NOT_ARCHIVED)
    assert (len(live(world, name)), len(shown(world, name))) == (1, 1)
    await answer(world, hold, "retry")
    (hold,) = held(world, holds.NOT_ARCHIVED)
    assert len(live(world, name)) == 1
    pay(world, invoice, str(shown(world, "stripe")[0]["due"]))
    await world.next_sweep()
    assert [one["status"] for one in shown(world, name)] == ["paid"]
    for hold in held(world):
        await answer(world, hold, "retry")
    assert (live(world, name), held(world), at_rest(world)) == ([], [], True)


@pytest.mark.parametrize(("name", "mirrors"), COPIES)
async def test_a_copy_that_was_equal_rests_with_its_archived_customer(name: str, mirrors: DocumentPolicy) -> None:
    """It names an object that no read shows any more: it waited for that for ever, and was read every hour."""
    world, invoice = await billed(name, mirrors)
    await world.settle()
    pay(world, invoice, str(shown(world, "stripe")[0]["due"]))
    await world.next_sweep()
    archive(world)
    await world.settle()
    before = world.writes(name)
    for _ in range(2):
        await all_day(world)
    assert (live(world, name), held(world), at_rest(world)) == ([], [], True)
    assert (world.writes(name), [one["status"] for one in shown(world, name)]) == (before, ["paid"])


async def test_a_customer_with_others_below_it_is_not_made_inactive_before_they_are() -> None:
    """What becomes of sub-customers is not documented: those that go too go first, others are asked about."""
    world = world_of("quickbooks")
    await world.activate_all()
    await enter(world, "head", name="Head Office", email="head@example.test")
    await enter(world, "shop", name="Shop", email="shop@example.test", parent="head")
    await enter(world, "stall", name="Stall", email="stall@example.test", parent="head")
    archive(world, "head", "shop")
    await world.settle()
    (hold,) = held(world)
    stall = next(one for one, row in world.neutral("quickbooks").items() if row["name"] == "Stall")
    assert (hold.reason, hold.detail["below"]) == (holds.NOT_ARCHIVED, [stall])
    assert len(live(world, "quickbooks")) == 2
    archive(world, "stall")
    await world.settle()
    await answer(world, hold, "retry")
    assert (live(world, "quickbooks"), held(world), at_rest(world)) == ([], [], True)


async def test_a_billing_contact_is_archived_before_its_company() -> None:
    """Both are the customer's; nobody is left as the contact of a company that is gone."""
    config = with_settings(config_of(NAMES), "hubspot", billing_contact="true")
    world = World(config=with_policy(config, "hubspot", when_archived="archive"))
    await world.activate_all()
    await enter(world, "acme", name="Acme", email="acme@example.test", customer_type="company")
    before = world.writes("hubspot")
    archive(world)
    await world.settle()
    await all_day(world)
    done = [one for one in world.lookalikes["hubspot"].mutations if one.caller == "accord"][before:]
    assert [(one.action, one.id.partition(":")[0]) for one in done] == [("archive", "contact"), ("archive", "company")]
    assert (live(world, "hubspot"), held(world), at_rest(world)) == ([], [], True)


async def test_a_company_below_another_one_keeps_its_place_until_a_person_says_otherwise() -> None:
    """HubSpot takes the tie off with the parent: every system would hear that the child has none."""
    world = world_of("hubspot")
    await world.activate_all()
    await enter(world, "head", name="Head Office", customer_type="company")
    await enter(world, "shop", name="Shop", customer_type="company", parent="head")
    archive(world, "head")
    await world.settle()
    await all_day(world)
    (hold,) = held(world)
    assert (hold.reason, len(live(world, "hubspot"))) == (holds.NOT_ARCHIVED, 2)
    assert everybody(world)[0].fields["parent"] == "head"


async def test_an_object_that_was_merged_into_anothers_is_not_archived() -> None:
    """Its id leads to the survivor, which is somebody else's."""
    world = world_of("hubspot")
    await world.activate_all()
    await enter(world, "ada", name="Ada Lovelace", email="ada@example.test")
    await enter(world, "eve", name="Eve", email="eve@example.test")
    ids = {one["name"]: remote_id for remote_id, one in world.neutral("hubspot").items()}
    hubspot_of(world).merge("customer", ids["Eve"], ids["Ada Lovelace"])
    before = world.writes("hubspot")
    archive(world, "ada")
    await world.settle()
    assert (world.writes("hubspot"), len(live(world, "hubspot"))) == (before, 1)


@pytest.mark.parametrize("name", WHERE)
async def test_a_change_that_was_not_passed_on_yet_is_not_any_more(name: str) -> None:
    """The customer is gone: its object is archived as it was agreed on last."""
    world = await agreeing(name)
    (ada,) = everybody(world)
    change_only(world, ada.external_id, phone="+4930999")
    archive(world)
    await world.settle()
    assert (live(world, name), held(world), at_rest(world)) == ([], [], True)


@pytest.mark.parametrize("name", WHERE)
async def test_the_object_of_a_customer_who_is_erased_while_it_is_read_stays(name: str) -> None:
    """What was looked up before the read is not true any more after it."""
    world = await agreeing(name)
    (ada,) = everybody(world)
    archive(world)
    plain = world.exchanges[name]

    def exchange(request: HttpRequest) -> HttpResponse:
        world.exchanges[name] = plain
        world.db.run_now(lambda tx: erase(tx, world.hub, ada.external_id, actor="ann", trace="t"))
        return plain(request)

    world.exchanges[name] = exchange
    await all_day(world)
    assert (len(live(world, name)), held(world), at_rest(world)) == (1, [], True)


@pytest.mark.parametrize("name", WHERE)
async def test_an_archived_customer_is_brought_back_by_hand(name: str) -> None:
    """As the documentation says: the object there, the customer here, and the two tied again."""
    world = await agreeing(name)
    ids = {one: only(world, one) for one in NAMES}
    (ada,) = everybody(world)
    archive(world)
    await world.settle()
    REVIVALS[name](world, ids[name])
    await all_day(world)
    assert everybody(world) == []

    def tie(tx: Tx) -> None:
        registry.create(tx, world.hub, ada.external_id, dict(ADA), actor="ann", trace="t")
        for one, remote_id in ids.items():
            linking.link(tx, world.hub, ada.external_id, one, remote_id, actor="ann", trace="t")

    world.db.run_now(tie)
    await all_day(world)
    assert {one: live(world, one) for one in NAMES} == {one: [remote_id] for one, remote_id in ids.items()}
    assert {one: mapped(world, one)[0].remote_id for one in NAMES} == ids
    assert (held(world), at_rest(world)) == ([], True)


async def crowd(name: str, number: int) -> World:
    """Many customers in agreement."""
    world = world_of(name)
    for one in range(number):
        fields = {"name": f"Person Number{one}", "email": f"person{one}@example.test"}
        world.lookalikes["hubspot"].edit("customer", None, fields)
    await world.activate_all()
    world.clock.time += 7200.0
    await world.settle()
    return world


@pytest.mark.parametrize("name", WHERE)
async def test_too_many_at_once_are_stopped_before_the_first_and_go_on_a_persons_word(name: str) -> None:
    """A script that archived the wrong list must not empty another system."""
    world = await crowd(name, 40)
    before = world.writes(name)
    archive(world)
    await world.settle()
    await all_day(world)
    (hold,) = held(world)
    assert (hold.reason, hold.detail["records"], world.writes(name)) == (holds.MASS_CHANGE, 40, before)
    assert hold.detail["problem"] == "40 objects archived of 40 records"
    await answer(world, hold, "approve")
    assert (live(world, name), held(world), at_rest(world)) == ([], [], True)


@pytest.mark.parametrize("name", WHERE)
async def test_what_a_person_rejects_is_left_alone_for_good(name: str) -> None:
    """No later look takes it up again."""
    world = await crowd(name, 8)
    archive(world)
    await world.settle()
    before = world.writes(name)
    await answer(world, held(world)[0], "reject")
    await all_day(world)
    world.start()
    await all_day(world)
    assert (len(live(world, name)), world.writes(name), held(world), at_rest(world)) == (8, before, [], True)


@pytest.mark.parametrize("name", WHERE)
async def test_a_few_go_unasked_until_they_are_many_within_the_hour(name: str) -> None:
    """The budget is for all that is taken away within the window."""
    world = await crowd(name, 30)
    everyone = [one.external_id for one in everybody(world)]
    for some in (everyone[:5], everyone[5:15], everyone[15:16]):
        archive(world, *some)
        await world.settle()
    (hold,) = held(world)
    assert (hold.reason, len(live(world, name))) == (holds.MASS_CHANGE, 15)
    world.clock.time += 7200.0
    await answer(world, hold, "approve")
    assert len(live(world, name)) == 14


@pytest.mark.parametrize("name", WHERE)
async def test_the_object_of_a_customer_who_was_erased_stays_and_nothing_waits_for_it(name: str) -> None:
    """Erased is what Accord holds; whose object it was is told once, and by then nobody knows."""
    world = await agreeing(name)
    (ada,) = everybody(world)
    edit_only(world, name, {"phone": "+4930777"})
    archive(world)
    await world.settle()
    (hold,) = held(world)
    world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, "retry", actor="ann"))
    world.db.run_now(lambda tx: erase(tx, world.hub, ada.external_id, actor="ann", trace="t"))
    await all_day(world)
    assert (len(live(world, name)), held(world), at_rest(world)) == (1, [], True)
    assert "+4930777" not in str(world.db.read_now(lambda tx: hold_rows.get(tx, hold.id)))


async def test_what_waits_for_what_hangs_below_it_is_not_read_all_the_time() -> None:
    """That waits for a person, perhaps for days: each look at what is above takes a read from the month's."""
    world = world_of("quickbooks")
    await world.activate_all()
    await enter(world, "head", name="Head Office", email="head@example.test")
    for one in range(5):
        await enter(world, f"shop-{one}", name=f"Shop {one}", email=f"shop{one}@example.test", parent="head")
    archive(world)
    read = world.exchanges["quickbooks"]
    requests: list[HttpRequest] = []

    def counting(request: HttpRequest) -> HttpResponse:
        requests.append(request)
        return read(request)

    world.exchanges["quickbooks"] = counting
    await world.settle()
    (hold,) = held(world)
    assert (hold.reason, len(requests) < 60) == (holds.MASS_CHANGE, True)
    await answer(world, hold, "approve")
    await all_day(world)
    assert (live(world, "quickbooks"), held(world), at_rest(world)) == ([], [], True)


@pytest.mark.parametrize("name", WHERE)
async def test_an_object_that_was_never_compared_with_its_customer_waits_for_a_person(name: str) -> None:
    """Tied just now, or asked about since the first day: nobody has taken what stands on it."""
    world = await agreeing(name)
    remote_id = world.lookalikes[name].edit("customer", None, {"name": "Bob", "phone": "+4930777"})
    await all_day(world)
    world.db.run_now(lambda tx: linking.unlink(tx, world.hub, f"{name}:{remote_id}", name, actor="ann", trace="t"))
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "bob", {"name": "Robert"}, actor="ann", trace="t"))
    world.db.run_now(lambda tx: linking.link(tx, world.hub, "bob", name, remote_id, actor="ann", trace="t"))
    archive(world, "bob")
    await world.settle()
    (hold,) = held(world, holds.NOT_ARCHIVED)
    assert {"name": ["Robert", "Bob"], "phone": [None, "+4930777"]}.items() <= hold.detail["changed"].items()
    assert remote_id in live(world, name)
    await answer(world, hold, "retry")
    assert remote_id not in live(world, name)


@pytest.mark.parametrize("name", WHERE)
async def test_a_question_ends_where_policy_does_not_archive_any_more(name: str) -> None:
    """Whoever changed the policy has answered: the object is left alone, and nobody is asked about it for ever."""
    world = await agreeing(name)
    edit_only(world, name, {"phone": "+4930777"})
    archive(world)
    await world.settle()
    assert [one.reason for one in held(world)] == [holds.NOT_ARCHIVED]
    world.config = with_policy(world.config, name, when_archived="leave")
    world.start()
    await world.settle()
    assert (len(live(world, name)), held(world), at_rest(world)) == (1, [], True)


def once_written(world: World, name: str, happens: Callable[[], None]) -> None:
    """The next write there is done, and this happens before its answer comes."""
    plain = world.exchanges[name]

    def exchange(request: HttpRequest) -> HttpResponse:
        before = world.writes(name)
        response = plain(request)
        if world.writes(name) > before:
            world.exchanges[name] = plain
            happens()
        return response

    world.exchanges[name] = exchange


@pytest.mark.parametrize("name", WHERE)
@pytest.mark.parametrize("answer_is", ["late", "lost"])
async def test_what_we_wrote_there_while_its_customer_was_archived_is_nobodys_change(name: str, answer_is: str) -> None:
    """An update of our own that lands after the archiving was told to a person as somebody's edit."""
    world = await agreeing(name)
    (ada,) = everybody(world)

    def happens() -> None:
        archive(world, ada.external_id)
        if answer_is == "lost":
            raise AmbiguousError("the answer got lost")

    once_written(world, name, happens)
    change_only(world, ada.external_id, phone="+4930999")
    await all_day(world)
    assert [one["phone"] for one in world.neutral(name).values()] in ([], ["+4930999"])
    assert (live(world, name), held(world), at_rest(world)) == ([], [], True)


@pytest.mark.parametrize("name", WHERE)
async def test_of_an_unanswered_write_only_what_somebody_changed_since_is_asked_about(name: str) -> None:
    """The rest of it is our own, though its customer was archived before anybody knew that it had landed."""
    world = await agreeing(name)
    (ada,) = everybody(world)

    def happens() -> None:
        archive(world, ada.external_id)
        edit_only(world, name, {"name": "Ada King"})
        raise AmbiguousError("the answer got lost")

    once_written(world, name, happens)
    change_only(world, ada.external_id, phone="+4930999", name="Ada Byron")
    await all_day(world)
    assert [one.detail["changed"] for one in held(world)] == [{"name": ["Ada Lovelace", "Ada King"]}]


@pytest.mark.parametrize("is_refused_first", [True, False])
@pytest.mark.parametrize("name", WHERE)
async def test_what_an_archived_customers_object_had_goes_to_who_was_refused_it(
    name: str, *, is_refused_first: bool
) -> None:
    """A duplicate is archived so that the other one can have its name and address: that one was stale for good."""
    world = world_of(name)
    await world.activate_all()
    await enter(world, "ada", name="Acme", email="acme@example.test")
    (ada,) = world.neutral(name)
    await enter(world, "bea", name="Bea Ball", email="bea@example.test")
    wanted = {"name": "Acme", "email": "acme@example.test"}
    if is_refused_first:
        await change(world, "bea", **wanted)
        archive(world, "ada")
        await world.settle()
    else:  # by an object of nobody's, until a person has seen what was changed of it
        edit_only(world, name, {"phone": "+4930777"}, ada)
        archive(world, "ada")
        await world.settle()
        await change(world, "bea", **wanted)
        (asked,) = held(world, holds.NOT_ARCHIVED)
        await answer(world, asked, "retry")
    assert [one.reason for one in held(world) if one.connection == name] == []
    (bea,) = [one for one in world.neutral(name).values() if one.get("status") != "inactive"]
    assert (bea["name"], bea["email"]) == ("Acme", "acme@example.test")
