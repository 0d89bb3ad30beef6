"""A company of HubSpot and its billing contact: one customer, two objects, each in a mapping of its own."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from core.errors import InvalidInputError
from core.model import holds
from core.sandbox.faults import Fault
from core.store.mappings import MappingRow
from core.sync import registry
from core.sync.activation import activate
from core.sync.erasure import erase, preview
from core.sync.explain import explain, status
from core.sync.lanes import Lanes
from core.sync.linking import link, unlink
from core.sync.metadata import refresh_metadata
from core.sync.plan import plan
from tests.integration.sync.test_found_by_simulation import weather
from tests.support.acting import (
    all_day,
    answer,
    change,
    change_only,
    enter,
    everybody,
    failing,
    held,
    mapped,
    waiting,
    with_policy,
    with_settings,
)
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio

ACME = {"name": "Acme", "customer_type": "company", "email": "billing@acme.example", "phone": "+49 30 1234567"}
UPSERT = "/contacts/batch/upsert"
TIE = "/contacts/companies/batch/create"


def billing_world(**scope: Any) -> World:
    """Three connections, of which HubSpot's keeps billing contacts."""
    config = with_settings(config_of(NAMES), "hubspot", billing_contact="true")
    return World(config=with_policy(config, "hubspot", **scope) if scope else config)


async def started(**scope: Any) -> World:
    """Active, with nobody."""
    world = billing_world(**scope)
    await world.activate_all()
    return world


def objects(world: World, kind: str) -> dict[str, dict[str, Any]]:
    """HubSpot's contacts, or companies, as they are there."""
    every = world.lookalikes["hubspot"].objects("customer")
    return {name: dict(one) for name, one in every.items() if name.startswith(kind)}


def contact(world: World) -> tuple[str, dict[str, Any]]:
    """The only contact: its id and properties, with the companies whose billing contact it is."""
    ((name, one),) = objects(world, "contact").items()
    return name, one["properties"] | {"billed": one["billed"]}


def company(world: World) -> str:
    """The only company."""
    (name,) = objects(world, "company")
    return name


def parts(world: World) -> list[MappingRow]:
    """Mappings of billing contacts."""
    return [row for row in mapped(world, "hubspot") if row.part == "contact"]


async def silent(world: World) -> None:
    """A whole day of sweeps writes nothing."""
    before = [world.writes(name) for name in NAMES]
    await all_day(world)
    await world.next_sweep()
    assert [world.writes(name) for name in NAMES] == before


async def test_a_company_gets_a_billing_contact_with_the_fields_of_the_person() -> None:
    """A company has nobody to bill: its e-mail and phone are a contact's, tied to it by HubSpot's own label."""
    world = await started()
    await enter(world, "acme", **ACME)

    _, person = contact(world)
    assert person["email"] == "billing@acme.example"
    assert person["phone"] == "+49 30 1234567"
    assert person["billed"] == [company(world)]
    assert "external_customer_id" not in {name for name, value in person.items() if value}
    firm = objects(world, "company")[company(world)]["properties"]
    assert firm["name"] == "Acme"
    assert not firm.get("accord_email")
    assert not firm.get("phone")
    assert len(everybody(world)) == 1
    assert held(world) == []
    await silent(world)


async def test_a_slice_of_an_offer_passes_over_nobody_that_its_shorter_list_does_not_reach() -> None:
    """Where the shorter of two lists was taken for whole, those after its end waited for the next full sweep."""
    world = billing_world()
    world.lanes = Lanes(world.hub, rows_at_once=2, walked_at_once=4)
    for number in range(9):
        await enter(world, f"ada {number}", name=f"Ada {number}", email=f"{number}@ada.example")
    connection = world.hub.connections["hubspot"]
    seen = await plan(world.hub, connection)
    await activate(world.hub, connection, seen.digest, actor="test")
    await world.lanes.run("hubspot")
    assert len(objects(world, "contact")) == 9


async def test_by_default_a_company_has_no_billing_contact() -> None:
    """Nobody asked for it."""
    world = World()
    await world.activate_all()
    await enter(world, "acme", **ACME)
    assert objects(world, "contact") == {}
    assert objects(world, "company")[company(world)]["properties"]["accord_email"] == "billing@acme.example"


async def test_an_individual_is_a_contact_of_its_own_and_gets_no_other() -> None:
    """The part is a company's."""
    world = await started()
    await enter(world, "ada", name="Ada Lovelace", customer_type="individual", email="ada@example.test")
    name, person = contact(world)
    assert person["billed"] == []
    assert [(row.part, row.remote_id) for row in mapped(world, "hubspot")] == [("", name)]
    await silent(world)


async def test_a_company_without_an_e_mail_gets_its_contact_with_the_e_mail() -> None:
    """A contact is known by its e-mail: without one, a second one could be made."""
    world = await started()
    await enter(world, "acme", **{**ACME, "email": None})
    assert objects(world, "contact") == {}
    await change(world, "acme", email="pay@acme.example")
    assert contact(world)[1]["email"] == "pay@acme.example"
    assert contact(world)[1]["billed"] == [company(world)]
    await silent(world)


@pytest.mark.parametrize("kind", ["lost_request", "lost_answer", "error_after"])
@pytest.mark.parametrize("path", [UPSERT, TIE])
async def test_a_contact_whose_create_or_tie_went_unanswered_is_not_made_twice(kind: Any, path: str) -> None:
    """The same intents, the same look-up by our marker: one contact, tied once."""
    world = await started()
    weather(world, "hubspot", Fault(kind=kind, method="POST", path=path, count=1))
    await enter(world, "acme", **ACME)
    await all_day(world)
    _, person = contact(world)
    assert person["email"] == "billing@acme.example"
    assert person["billed"] == [company(world)]
    made = [one for one in world.lookalikes["hubspot"].mutations if one.caller == "accord"]
    assert sorted(one.action for one in made if one.id.startswith("contact")) == ["associate", "create"]
    assert failing(world) == []
    assert held(world) == []
    await silent(world)


async def test_a_billing_contact_s_new_e_mail_flows_back_everywhere() -> None:
    """Edited at the person, it is the customer's."""
    world = await started()
    await enter(world, "acme", **ACME)
    world.lookalikes["hubspot"].edit("customer", contact(world)[0], {"email": "ap@acme.example", "phone": "+493099"})
    await world.next_sweep()
    (one,) = everybody(world)
    assert (one.fields["email"], one.fields["phone"]) == ("ap@acme.example", "+493099")
    assert one.sources["email"] == "hubspot"
    for system in ("stripe", "quickbooks"):
        assert [found["email"] for found in world.neutral(system).values()] == ["ap@acme.example"]
    await silent(world)


async def test_an_edit_of_the_registry_flows_to_the_person_and_one_of_the_name_to_the_company() -> None:
    """Each field has one place there, so that two edits at once cannot fight."""
    world = await started()
    await enter(world, "acme", **ACME)
    await change(world, "acme", name="Acme Ltd", phone="+493077", email="new@acme.example")
    assert (contact(world)[1]["email"], contact(world)[1]["phone"]) == ("new@acme.example", "+493077")
    assert objects(world, "company")[company(world)]["properties"]["name"] == "Acme Ltd"
    world.lookalikes["hubspot"].edit("customer", company(world), {"phone": "+49301"})
    await world.next_sweep()
    assert everybody(world)[0].fields["phone"] == "+493077"
    await silent(world)


async def test_who_takes_the_label_off_finds_it_put_back() -> None:
    """Who is billed is the registry's to say; other associations of the two stay as they are."""
    world = await started()
    await enter(world, "acme", **ACME)
    hubspot: Any = world.lookalikes["hubspot"]
    hubspot.bill(contact(world)[0], company(world), is_removed=True)
    await all_day(world)
    assert contact(world)[1]["billed"] == [company(world)]
    other = hubspot.edit("customer", None, {"name": "Other", "customer_type": "company", "email": "x@other.example"})
    hubspot.bill(contact(world)[0], other)
    await all_day(world)
    tied = objects(world, "contact")
    assert [other, company_of(world, "Acme")] in [sorted(one["billed"], reverse=True) for one in tied.values()]
    await silent(world)


def company_of(world: World, name: str) -> str:
    """The company of that name."""
    return next(one for one, found in objects(world, "company").items() if found["properties"]["name"] == name)


@pytest.mark.parametrize("may_match", [True, False])
async def test_a_contact_with_that_e_mail_is_adopted_by_policy_or_asked_about(may_match: bool) -> None:  # noqa: FBT001 - a parameter
    """One unique e-mail links if policy allows; else a person is asked, and nothing is made meanwhile."""
    world = await started(match_email=may_match, enters="marked")
    hubspot: Any = world.lookalikes["hubspot"]
    there = hubspot.edit("customer", None, {"name": "Ann Payer", "email": "billing@acme.example"})
    await all_day(world)
    await enter(world, "acme", **ACME)
    await all_day(world)
    if not may_match:
        (question,) = held(world)
        assert (question.reason, question.detail["candidates"]) == ("ambiguous_match", [there])
        assert contact(world)[1]["billed"] == []
        await answer(world, question, f"link:{there}")
        await all_day(world)
    name, person = contact(world)
    assert (name, person["billed"], person["phone"]) == (there, [company(world)], "+49 30 1234567")
    assert (person["firstname"], person["lastname"]) == ("Ann", "Payer")
    assert [row.remote_id for row in parts(world)] == [there]
    assert held(world) == []
    await silent(world)


@pytest.mark.parametrize("may_match", [True, False])
async def test_a_contact_that_comes_later_is_left_to_the_company_that_waits_for_it(may_match: bool) -> None:  # noqa: FBT001 - a parameter
    """Where everybody enters, a company's contact would have entered as a customer, or been asked about twice."""
    world = await started(match_email=may_match)
    await enter(world, "acme", **{**ACME, "email": None})
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Ann Payer", "email": "billing@acme.example"})
    change_only(world, "acme", email="billing@acme.example")
    world.clock.time += 61
    for _ in range(3):
        await world.lanes.run("hubspot")
    await all_day(world)
    assert len(everybody(world)) == 1
    assert [one.subject[:2] for one in held(world)] == ([] if may_match else ["m:"])


async def test_a_company_is_made_and_not_linked_to_the_contact_with_its_e_mail() -> None:
    """The contact was linked as the customer's own object, and could never become a company."""
    world = await started(enters="marked")
    there = world.lookalikes["hubspot"].edit("customer", None, {"name": "Ann", "email": "billing@acme.example"})
    await all_day(world)
    await enter(world, "acme", **ACME)
    await all_day(world)
    assert {(row.part, row.remote_id) for row in mapped(world, "hubspot")} == {("", company(world)), ("contact", there)}
    assert held(world) == []


async def test_a_contact_that_is_another_customer_s_is_held() -> None:
    """Ada is a customer herself: her contact is not made the company's by itself."""
    world = await started()
    await enter(world, "ada", name="Ada Lovelace", customer_type="individual", email="ada@example.test")
    await enter(world, "acme", **{**ACME, "email": "ada@example.test"})
    (question,) = [one for one in held(world) if one.connection == "hubspot"]
    assert question.reason == "name_taken"
    assert question.detail["candidates"] == [contact(world)[0]]
    assert contact(world)[1]["billed"] == []
    with pytest.raises(InvalidInputError, match="belongs to customer ada"):
        await answer(world, question, f"link:{contact(world)[0]}")
    await change(world, "acme", email="acme@example.test")
    assert sorted(one["properties"]["email"] for one in objects(world, "contact").values()) == [
        "acme@example.test",
        "ada@example.test",
    ]
    assert [one for one in held(world) if one.connection == "hubspot"] == []


async def test_two_companies_with_one_e_mail_share_no_contact() -> None:
    """The first has it, the second is held: whom to bill is for a person to say."""
    world = await started()
    await enter(world, "acme", **ACME)
    await enter(world, "beta", **{**ACME, "name": "Beta"})
    (question,) = [one for one in held(world) if one.connection == "hubspot"]
    assert question.reason == "name_taken"
    assert contact(world)[1]["billed"] == [company_of(world, "Acme")]
    await answer(world, question, "leave")
    await all_day(world)
    assert [one for one in held(world) if one.connection == "hubspot"] == []
    assert {row.state for row in parts(world)} == {"live", "excluded"}
    await silent(world)


async def test_a_deleted_contact_is_asked_about_and_made_again_on_a_person_s_word() -> None:
    """As any object that is gone."""
    world = await started()
    await enter(world, "acme", **ACME)
    old = contact(world)[0]
    world.lookalikes["hubspot"].delete("customer", old)
    await all_day(world)
    (question,) = held(world)
    assert question.reason == "remote_gone"
    assert objects(world, "contact") == {}
    with pytest.raises(InvalidInputError, match="recreate, unlink"):  # a contact is no customer that could end
        await answer(world, question, "archive")
    await answer(world, question, "recreate")
    await all_day(world)
    name, person = contact(world)
    assert name != old
    assert (person["email"], person["billed"]) == ("billing@acme.example", [company(world)])
    assert held(world) == []
    await silent(world)


async def test_an_archived_company_is_asked_about_and_its_contact_rests_meanwhile() -> None:
    """The part follows the whole: nothing is decided about it before a person has said what becomes of the company."""
    world = await started()
    await enter(world, "acme", **ACME)
    old = company(world)
    world.lookalikes["hubspot"].delete("customer", old)
    await all_day(world)
    (question,) = held(world)
    assert question.reason == "remote_gone"
    world.lookalikes["hubspot"].edit("customer", contact(world)[0], {"phone": "+4930888"})
    await all_day(world)
    assert everybody(world)[0].fields["phone"] == ACME["phone"]
    told = world.db.read_now(lambda tx: explain(tx, world.hub, "acme"))
    assert [one.get("rests") for one in told["mappings"] if one["part"]] == ["what it is a part of is not there"]
    await answer(world, question, "recreate")
    await all_day(world)
    assert company(world) != old
    assert contact(world)[1]["billed"] == [company(world)]
    assert everybody(world)[0].fields["phone"] == "+4930888"
    await silent(world)


async def test_a_contact_that_was_read_before_its_archived_company_does_not_fail_for_ever() -> None:
    """The tie seems to be taken off, and could never be put back: the company is looked at."""
    world = await started()
    await enter(world, "acme", **ACME)
    world.lookalikes["hubspot"].delete("customer", company(world))
    world.lookalikes["hubspot"].edit("customer", contact(world)[0], {"phone": "+4930888"})
    world.clock.time += 61
    await world.settle(patience=60)
    assert [one.reason for one in held(world)] == ["remote_gone"]
    assert failing(world) == []
    assert waiting(world) == {}


async def test_a_company_that_was_let_go_lets_its_contact_go() -> None:
    """By the answer to the question about it."""
    world = await started()
    await enter(world, "acme", **ACME)
    world.lookalikes["hubspot"].delete("customer", company(world))
    await all_day(world)
    (question,) = held(world)
    await answer(world, question, "unlink")
    await all_day(world)
    assert {row.state for row in mapped(world, "hubspot")} == {"excluded"}
    world.lookalikes["hubspot"].edit("customer", contact(world)[0], {"phone": "+4930888"})
    await all_day(world)
    assert len(everybody(world)) == 1
    assert everybody(world)[0].fields["phone"] == ACME["phone"]


async def test_a_merged_contact_stays_the_company_s() -> None:
    """The survivor has the mapping, and the label by HubSpot's own merge."""
    world = await started(enters="marked")
    await enter(world, "acme", **ACME)
    hubspot: Any = world.lookalikes["hubspot"]
    other = hubspot.edit("customer", None, {"name": "Ann Payer", "email": "ann@example.test"})
    new = hubspot.merge("customer", contact_of(world, "billing@acme.example"), other)
    await all_day(world)
    assert [row.remote_id for row in parts(world)] == [new]
    assert contact(world)[1]["billed"] == [company(world)]
    assert held(world) == []
    await silent(world)


def contact_of(world: World, email: str) -> str:
    """The contact of that e-mail."""
    return next(one for one, found in objects(world, "contact").items() if found["properties"]["email"] == email)


async def test_companies_that_were_merged_keep_their_contact() -> None:
    """The whole has another id, and the contact belongs to that."""
    world = await started(enters="marked")
    await enter(world, "acme", **ACME)
    hubspot: Any = world.lookalikes["hubspot"]
    other = hubspot.edit("customer", None, {"name": "Acme Old", "customer_type": "company"})
    new = hubspot.merge("customer", company_of(world, "Acme"), other)
    await all_day(world)
    assert contact(world)[1]["billed"] == [new]
    assert held(world) == []
    await silent(world)


async def test_unlinking_the_company_unlinks_the_contact_and_linking_it_again_asks_for_it_anew() -> None:
    """One object of a customer is not left behind half tied."""
    world = await started(enters="marked", creates="none")
    hubspot: Any = world.lookalikes["hubspot"]
    firm = hubspot.edit("customer", None, {**{k: ACME[k] for k in ("name", "customer_type")}, "external_id": "acme"})
    await all_day(world)
    await change(world, "acme", email=ACME["email"])
    person = contact(world)[0]
    world.db.run_now(lambda tx: unlink(tx, world.hub, "acme", "hubspot", actor="ann", trace="t"))
    assert {(row.part, row.state) for row in mapped(world, "hubspot")} == {("", "excluded"), ("contact", "excluded")}
    await all_day(world)
    world.db.run_now(lambda tx: link(tx, world.hub, "acme", "hubspot", firm, actor="ann", trace="t"))
    await all_day(world)
    (question,) = [one for one in held(world) if one.connection == "hubspot"]
    assert question.reason in ("ambiguous_match", "name_taken")
    world.db.run_now(lambda tx: link(tx, world.hub, "acme", "hubspot", person, actor="ann", trace="t"))
    await all_day(world)
    live = {(row.part, row.remote_id) for row in mapped(world, "hubspot") if row.state == "live"}
    assert live == {("", firm), ("contact", person)}
    assert held(world) == []
    await silent(world)


async def test_the_contact_alone_can_be_unlinked_by_its_id() -> None:
    """The company stays."""
    world = await started()
    await enter(world, "acme", **ACME)
    name = contact(world)[0]
    world.db.run_now(lambda tx: unlink(tx, world.hub, "acme", "hubspot", remote_id=name, actor="ann", trace="t"))
    await all_day(world)
    assert {(row.part, row.state) for row in mapped(world, "hubspot")} == {("", "live"), ("contact", "excluded")}
    assert len(objects(world, "contact")) == 1


async def test_erasing_the_customer_erases_what_is_known_of_the_contact() -> None:
    """The person is in it more than the company."""
    world = await started()
    await enter(world, "acme", **ACME)
    remains = world.db.read_now(lambda tx: preview(tx, world.hub, "acme")).remains
    name = contact(world)[0]
    assert name in [one.remote_id for one in remains]
    world.db.run_now(lambda tx: erase(tx, world.hub, "acme", actor="ann", trace="t"))
    await all_day(world)
    assert everybody(world) == []
    assert mapped(world, "hubspot") == []
    driver = world.db.engine.raw_connection().driver_connection
    assert isinstance(driver, sqlite3.Connection)
    dump = "\n".join(driver.iterdump())
    assert "billing@acme.example" not in dump


async def test_an_archived_customer_leaves_both_objects_alone() -> None:
    """They never rise again by themselves."""
    world = await started()
    await enter(world, "acme", **ACME)
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, "acme", actor="ann", trace="t"))
    await all_day(world)
    assert len(objects(world, "contact")) == len(objects(world, "company")) == 1
    assert everybody(world) == []
    assert mapped(world, "hubspot") == []


async def test_companies_from_before_get_their_contact_when_it_is_asked_for() -> None:
    """The setting was changed: the next complete sweep offers what is missing; off again, nothing more is decided."""
    world = World()
    await world.activate_all()
    await enter(world, "acme", **ACME)
    await enter(world, "ada", name="Ada", customer_type="individual", email="ada@example.test")
    world.config = with_settings(world.config, "hubspot", billing_contact="true")
    world.start()
    await all_day(world)
    name = contact_of(world, "billing@acme.example")
    assert objects(world, "contact")[name]["billed"] == [company(world)]
    assert len(parts(world)) == 1
    await silent(world)
    world.config = with_settings(world.config, "hubspot", billing_contact="false")
    world.start()
    world.lookalikes["hubspot"].edit("customer", name, {"phone": "+4930888"})
    await all_day(world)
    assert everybody(world)[0].fields["phone"] != "+4930888"
    assert len(everybody(world)) == 2


async def test_a_plan_announces_the_contacts_that_it_will_make() -> None:
    """Creates that nobody saw beforehand would be stopped as a mass change."""
    world = billing_world()
    await world.settle()
    for name in ("stripe", "quickbooks"):
        await world.activate_all(name)
    await enter(world, "acme", **ACME)
    seen = await plan(world.hub, world.hub.connection("hubspot"))
    made = [item for item in seen.items if item.kind == "create"]
    assert [item.reason for item in made] == ["", "billing contact"]
    assert {one.field: one.new for one in made[1].changes} == {"email": ACME["email"], "phone": ACME["phone"]}
    await world.activate_all("hubspot")
    assert contact(world)[1]["billed"] == [company(world)]
    assert (await plan(world.hub, world.hub.connection("hubspot"))).items == []


async def test_status_and_explain_name_the_contact() -> None:
    """As a part of the customer at that connection."""
    world = await started()
    await enter(world, "acme", **ACME)
    told = world.db.read_now(lambda tx: explain(tx, world.hub, "acme"))
    here = {(one["connection"], one["part"]): one for one in told["mappings"]}
    assert set(here[("hubspot", "contact")]["fields"]) == {"email", "phone", "part_of"}
    assert "email" not in here[("hubspot", "")]["fields"]
    (shown,) = [
        one
        for one in world.db.read_now(lambda tx: status(tx, world.hub))["connections"]
        if one["provider"] == "hubspot"
    ]
    assert shown["mappings"] == 1
    assert shown["parts"] == [{"part": "contact", "title": "billing contact", "mappings": 1, "pending": 0, "gone": 0}]


@pytest.mark.parametrize("why", ["two customers", "an external id", "a marker"])
async def test_a_contact_that_may_be_somebody_else_is_asked_about_though_e_mails_match(why: str) -> None:
    """One e-mail of two customers is no word, and who carries an id or a marker may be a customer of its own."""
    world = await started(enters="none", match_email=True)
    extra: dict[str, dict[str, Any]] = {
        "external_id": {"external_id": "x-1"},
        "marker": {"extra": {"accord_ref": "other.m.1"}},
    }
    there = world.lookalikes["hubspot"].edit(
        "customer",
        None,
        {"name": "Ann", "email": ACME["email"], **extra.get(why.partition(" ")[2].replace(" ", "_"), {})},
    )
    await all_day(world)
    if why == "two customers":
        await enter(world, "zeta", name="Zeta", customer_type="individual", email=None)
        world.db.run_now(
            lambda tx: registry.update(tx, world.hub, "zeta", {"email": ACME["email"]}, actor="a", trace="t")
        )
    await enter(world, "acme", **ACME)
    await all_day(world)
    mine = [row for row in parts(world) if row.remote_id == there]
    if why != "two customers":
        (question,) = [one for one in held(world) if one.reason == "ambiguous_match" and one.subject[:2] == "m:"]
        assert question.detail["candidates"] == [there]
        await answer(world, question, f"link:{there}")
        await all_day(world)
        # a person's word: whatever id it carries is no question any more
        assert [row.remote_id for row in parts(world)] == [there]
        assert held(world) == []
    else:
        assert mine == []
        assert [one for one in held(world) if one.connection == "hubspot"]


async def test_another_company_with_the_e_mail_is_no_contact() -> None:
    """A part is an object of its own kind."""
    world = await started(enters="none", match_email=True)
    firm = {"name": "Old", "customer_type": "company", "email": ACME["email"]}
    other = world.lookalikes["hubspot"].edit("customer", None, firm)
    await all_day(world)
    world.config = with_policy(world.config, "hubspot", match_email=False)
    world.start()
    await enter(world, "acme", **ACME)
    for question in held(world, "ambiguous_match"):
        assert question.detail["candidates"] == [other]
        await answer(world, question, "create")
    assert contact(world)[1]["billed"] == [company_of(world, "Acme")]
    assert held(world) == []


async def test_no_contact_is_made_without_an_e_mail_that_hubspot_can_hold() -> None:
    """It would be a nameless one, and a second one could be made."""
    world = await started()
    await enter(world, "acme", **{**ACME, "email": None})
    (one,) = everybody(world)
    world.db.run_now(
        lambda tx: registry.put(tx, world.hub, one, {"email": "a b@x"}, actor="ann", trace="t", action="undo")
    )
    await world.settle()
    assert objects(world, "contact") == {}
    here = [one for one in held(world) if one.connection == "hubspot"]
    assert [(one.reason, one.field) for one in here] == [("unrepresentable", "email")]


async def test_a_contact_is_not_where_its_customer_stands_among_companies() -> None:
    """Children hang below the company, whatever becomes of the contact."""
    world = await started()
    await enter(world, "acme", **ACME)
    await enter(world, "sub", name="Sub", customer_type="company", email="sub@acme.example", parent="acme")
    acme, sub = company_of(world, "Acme"), company_of(world, "Sub")
    assert world.neutral("hubspot")[sub]["parent"] == acme
    await change(world, "acme", phone="+493055", email="other@acme.example")
    world.lookalikes["hubspot"].edit("customer", contact_of(world, "other@acme.example"), {"phone": "+493066"})
    await all_day(world)
    assert world.neutral("hubspot")[sub]["parent"] == acme
    assert all(row.base["parent"] == ("acme", "acme") for row in mapped(world, "hubspot") if row.remote_id == sub)
    await silent(world)


async def test_a_mass_change_is_measured_by_customers_and_not_by_their_objects() -> None:
    """With a contact each, companies would count twice: most of a column could be cleared, and nobody asked."""
    world = await started()
    for one in range(10):
        name, phone = f"company{one}", f"+49301{one:04}"
        fields = {"name": f"Company Number{one}", "customer_type": "company", "email": f"{name}@example.test"}
        await enter(world, name, **fields, phone=phone)
    assert len(parts(world)) == 10
    for name in list(objects(world, "contact"))[:6]:
        world.lookalikes["hubspot"].edit("customer", name, {"phone": None})
    await all_day(world)
    (hold,) = held(world)
    assert (hold.reason, hold.detail["records"]) == (holds.MASS_CHANGE, 6)
    assert sum("phone" in one.fields for one in everybody(world)) == 10


async def test_a_contact_has_no_metadata_to_be_asked_for() -> None:
    """Metadata is the company's: a contact without it does not lag behind."""
    world = await started()
    await enter(world, "acme", **ACME, **{"metadata.plan": "gold"})
    await all_day(world)
    assert await refresh_metadata(world.hub, world.hub.connection("hubspot")) == 0


async def test_a_billing_contact_whose_e_mail_policy_keeps_back_says_so_and_is_made_once_it_may() -> None:
    """It was pending without a reason, and nothing looked at it again when the policy was another one."""
    world = billing_world(flows={"email": "in"})
    await world.activate_all()
    await enter(world, "acme", **ACME)
    (row,) = parts(world)
    told = world.db.read_now(lambda tx: explain(tx, world.hub, "acme"))
    (why,) = [one["waits"]["reason"] for one in told["mappings"] if one["id"] == row.id]
    assert why == "policy lets nothing out there by which it is known: its `flow` in accord.toml says so, of email"
    seen = await plan(world.hub, world.hub.connections["hubspot"])
    assert [(one.kind, one.reason) for one in seen.items] == [("wait", why)]
    world.config = with_policy(world.config, "hubspot", flows={})
    world.start()
    await world.settle()
    assert contact(world)[1]["billed"] == [company(world)]
    await silent(world)
