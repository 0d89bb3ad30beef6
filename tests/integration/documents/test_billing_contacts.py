"""Copies of a company's invoices are its billing contact's too: from the start, and whoever that is by now."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.store import mappings
from core.sync import registry
from core.sync.documents.marking import mark_mappings
from core.sync.linking import link, unlink
from tests.support.acting import answer, change, everybody, failing, held, mapped, with_policy, with_settings
from tests.support.paper import SINCE, at_rest, bill, billing, is_silent, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio

POLICIES = {"stripe": DocumentPolicy(originates=KINDS), "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE)}
BOTH = {"untyped": "company", "billing_contact": "true"}
NOTED = "accord_billing_contact"
Ties = tuple[list[str], list[str]]


async def started(**fields: Any) -> World:
    """A company everywhere; at HubSpot with a billing contact where it has an e-mail."""
    config = with_policy(with_documents(POLICIES, {"hubspot": BOTH}, {}), "hubspot", enters="marked")
    return await billing(config, **fields)


async def billed(**fields: Any) -> tuple[World, str, str]:
    """With a copy of an invoice; the ids of the company and its billing contact."""
    world = await started(**fields)
    bill(world)
    await world.next_sweep()
    return world, live(world, ""), live(world, "contact")


def live(world: World, part: str) -> str:
    """The object of the only customer at HubSpot, or that of its part."""
    (row,) = [one for one in mapped(world, "hubspot") if (one.part, one.state) == (part, "live")]
    return str(row.remote_id)


def ties(world: World) -> list[Ties]:
    """Companies and contacts of each copy."""
    return [(one["company"], one["contact"]) for one in world.lookalikes["hubspot"].objects("invoice").values()]


def noted(world: World) -> list[str | None]:
    """The contact that each copy says it was tied to by us."""
    return [one["properties"].get(NOTED) for one in world.lookalikes["hubspot"].objects("invoice").values()]


def person(world: World, name: str) -> str:
    """A contact that somebody made by hand."""
    return world.lookalikes["hubspot"].edit("customer", None, {"name": name, "email": f"{name}@example.test".lower()})


def tie_by_hand(world: World, *contacts: str) -> None:
    """Somebody says whose the only copy is besides its company."""
    hubspot = world.lookalikes["hubspot"]
    (copy,) = hubspot.objects("invoice")
    hubspot.edit("invoice", copy, {"contacts": contacts})


async def let_go(world: World, contact: str) -> None:
    """A person says that the contact is nobody's."""
    (owner,) = everybody(world)
    name = owner.external_id
    world.db.run_now(lambda tx: unlink(tx, world.hub, name, "hubspot", remote_id=contact, actor="ann", trace="t"))


def told_later(world: World) -> list[str]:
    """What Accord did to copies at HubSpot, one after the other, but for making them."""
    every = world.lookalikes["hubspot"].mutations
    return [one.action for one in every if (one.kind, one.caller) == ("invoice", "accord") and one.action != "create"]


def writes_of_copies(world: World) -> list[str]:
    """Paths of all writes of copies and of their ties from now on."""
    answering, found = world.exchanges["hubspot"], list[str]()

    def exchange(request: HttpRequest) -> HttpResponse:
        path = urlsplit(request.url).path.partition("/2026-09/")[2]
        if path.startswith("invoices/") and not path.endswith("/read"):
            found.append(path)
        return answering(request)

    world.exchanges["hubspot"] = exchange
    return found


async def a_day_later(world: World) -> None:
    """Every copy was looked at."""
    world.clock.time += 90_000
    await world.settle()


async def test_a_copy_is_tied_to_the_company_and_to_its_billing_contact_in_the_request_that_makes_it() -> None:
    """Both stand in the input of the create: no call more than for one of them."""
    world = await started()
    bill(world)
    asked = writes_of_copies(world)
    await world.next_sweep()

    company, contact = live(world, ""), live(world, "contact")
    assert ties(world) == [([company], [contact])]
    assert shown(world, "hubspot")[0]["customer"] == company
    assert asked == ["invoices/batch/create"]
    at_rest(world)
    await is_silent(world)


async def test_a_company_without_a_billing_contact_has_its_copies_alone() -> None:
    """Where it has no e-mail there is no contact, and nothing waits for one."""
    world = await started(email=None)
    bill(world)
    await world.next_sweep()

    assert ties(world) == [([live(world, "")], [])]
    at_rest(world)
    await is_silent(world)


async def test_a_contact_has_its_copies_alone() -> None:
    """An individual is one object, and nobody else is billed."""
    config = with_documents(POLICIES, {"hubspot": {"billing_contact": "true"}}, {})
    world = await billing(config)
    bill(world)
    await world.next_sweep()

    assert ties(world) == [([], [live(world, "")])]
    assert noted(world) == [None]
    at_rest(world)
    await is_silent(world)


@pytest.mark.parametrize("is_there", [True, False], ids=["linked", "made"])
async def test_a_billing_contact_that_comes_later_has_the_copies_at_once(*, is_there: bool) -> None:
    """One call ties all of them, one says so on them, and nothing is written after that."""
    world = await started(email=None)
    bill(world)
    bill(world)
    ada = person(world, "Ada") if is_there else ""
    await world.next_sweep()
    (owner,) = everybody(world)
    asked = writes_of_copies(world)
    await change(world, owner.external_id, email="ada@example.test")

    assert live(world, "contact") == (ada or live(world, "contact"))
    company, contact = live(world, ""), live(world, "contact")
    assert ties(world) == [([company], [contact])] * 2
    assert noted(world) == [contact] * 2
    assert asked == ["invoices/contacts/batch/create", "invoices/batch/update"]
    at_rest(world)
    await is_silent(world)


async def test_another_billing_contact_takes_the_place_of_the_one_before() -> None:
    """The one of before is taken off, and only that one: a contact that a person added stays."""
    world, company, old = await billed()
    ann, new = person(world, "Ann"), person(world, "Grace")
    tie_by_hand(world, old, ann)
    await world.next_sweep()
    await let_go(world, old)
    (owner,) = everybody(world)
    world.db.run_now(lambda tx: link(tx, world.hub, owner.external_id, "hubspot", new, actor="ann", trace="t"))

    await a_day_later(world)

    assert live(world, "contact") == new
    assert ties(world) == [([company], [ann, new])]
    assert noted(world) == [new]
    assert {one.record_id for one in held(world)} == {owner.id}  # the e-mails of both are asked about
    assert {one.subject for one in held(world)} == {f"m:{one.id}" for one in mapped(world, "hubspot") if one.part}
    await is_silent(world)


async def test_a_billing_contact_that_was_let_go_of_is_taken_off_the_copies() -> None:
    """There is none any more: they are the company's alone, and whom a person added stays."""
    world, company, contact = await billed()
    ann = person(world, "Ann")
    tie_by_hand(world, contact, ann)
    await let_go(world, contact)

    await a_day_later(world)

    assert ties(world) == [([company], [ann])]
    await is_silent(world)


async def test_a_merged_billing_contact_takes_the_copies_along() -> None:
    """HubSpot moves the tie to the survivor, and the copy says so."""
    world, company, contact = await billed()
    hubspot: Any = world.lookalikes["hubspot"]
    new = hubspot.merge("customer", contact, person(world, "Ann"))

    await a_day_later(world)
    await a_day_later(world)

    assert live(world, "contact") == new
    assert ties(world) == [([company], [new])]
    assert noted(world) == [new]
    at_rest(world)
    await is_silent(world)


async def test_an_archived_billing_contact_is_asked_about_and_its_successor_has_the_copies() -> None:
    """HubSpot takes the tie along; nothing is written to a copy before there is another contact."""
    world, company, contact = await billed()
    world.lookalikes["hubspot"].delete("customer", contact)
    before = world.writes("hubspot")
    await a_day_later(world)
    (question,) = held(world)
    assert (question.reason, question.detail["remote_id"]) == ("remote_gone", contact)
    assert ties(world) == [([company], [])]
    assert failing(world) == []

    await a_day_later(world)
    assert world.writes("hubspot") - before <= 1  # the tie that was refused, where the copy was looked at first
    await answer(world, question, "recreate")
    await a_day_later(world)

    assert ties(world) == [([company], [live(world, "contact")])]
    at_rest(world)
    await is_silent(world)


async def test_a_contact_that_a_person_took_off_a_copy_is_tied_again() -> None:
    """As its customer is."""
    world, company, contact = await billed()
    tie_by_hand(world)

    await a_day_later(world)

    assert ties(world) == [([company], [contact])]
    await is_silent(world)


async def test_a_billing_contact_that_is_gone_and_nobody_has_told_of_holds_no_copy_back() -> None:
    """HubSpot refuses the invoice with it: made without, and the contact is looked at, since nothing else tells."""
    world = await started()
    world.lookalikes["hubspot"].delete("customer", live(world, "contact"))
    company = live(world, "")
    invoice = bill(world)
    await world.next_sweep()

    assert ties(world) == [([company], [])]
    assert [one.reason for one in held(world)] == ["remote_gone"]
    pay(world, invoice, "19.00")
    await world.next_sweep()

    assert (shown(world, "hubspot")[0]["due"], ties(world)) == ("100.00", [([company], [])])
    assert failing(world) == []
    await is_silent(world)


async def test_a_company_of_many_invoices_costs_a_few_calls_whatever_becomes_of_its_contact() -> None:
    """It comes when the copies are there, is deleted and nobody tells, and is made anew: always by the hundred."""
    world = await started(email=None)
    number = 230
    for some in (number - 100, 100):
        for _ in range(some):
            bill(world)
        await world.next_sweep()
        world.clock.time += 3_700  # within an hour, so many would be asked about
    (owner,) = everybody(world)
    asked = writes_of_copies(world)
    await change(world, owner.external_id, email="pay@acme.example")
    first = live(world, "contact")
    assert sum(contacts == [first] for _, contacts in ties(world)) == 200
    await a_day_later(world)
    assert ties(world) == [([live(world, "")], [first])] * number
    assert len(asked) <= 10, asked
    asked.clear()

    world.lookalikes["hubspot"].delete("customer", first)
    hub = world.hub
    copies = world.db.read_now(lambda tx: mappings.page(tx, "hubspot", "", 1_000, "invoice"))
    world.db.run_now(lambda tx: mark_mappings(tx, hub, copies, reason="a person says so", trace="t"))
    await world.settle()
    assert [one.reason for one in held(world)] == ["remote_gone"]
    assert failing(world) == []
    assert len(asked) <= 10, asked
    asked.clear()

    await answer(world, held(world)[0], "recreate")
    await a_day_later(world)
    assert ties(world) == [([live(world, "")], [live(world, "contact")])] * number
    assert len(asked) <= 10, asked
    at_rest(world)
    await is_silent(world)


async def test_where_billing_contacts_are_not_asked_for_any_more_the_copies_stay_as_they_are() -> None:
    """The setting was switched off: nobody has said that the contact is wrong."""
    world, company, contact = await billed()
    world.config = with_settings(world.config, "hubspot", billing_contact="false")
    world.start()
    await let_go(world, contact)
    before = told_later(world)

    await a_day_later(world)

    assert ties(world) == [([company], [contact])]
    assert told_later(world) == before


async def test_an_archived_customers_copies_stay_as_they_are() -> None:
    """What is booked is still theirs there, and it follows its document."""
    world, company, contact = await billed()
    (owner,) = everybody(world)
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, owner.external_id, actor="ann", trace="t"))
    pay(world, next(iter(world.lookalikes["stripe"].neutral("invoice"))), "19.00")

    await a_day_later(world)

    assert (shown(world, "hubspot")[0]["due"], ties(world)) == ("100.00", [([company], [contact])])


async def test_a_company_that_comes_with_its_first_invoice_shares_it_with_its_contact_after_one_sweep() -> None:
    """Which of the two is there first, the copy or the contact, does not matter."""
    world = await started()
    acme = {"name": "Acme", "email": "pay@acme.example"}
    bill(world, customer=world.lookalikes["stripe"].edit("customer", None, acme))

    await world.next_sweep()

    ((companies, contacts),) = ties(world)
    assert [world.neutral("hubspot")[one]["name"] for one in companies] == ["Acme"]
    assert [world.neutral("hubspot")[one]["email"] for one in contacts] == ["pay@acme.example"]
    at_rest(world)
    await is_silent(world)


async def test_a_customer_that_is_linked_to_another_company_takes_its_copies_along() -> None:
    """They stayed on the company that it had been linked to by mistake, beside the right one."""
    world, _, _ = await billed()
    right = world.lookalikes["hubspot"].edit("customer", None, {"name": "Right", "customer_type": "company"})
    await a_day_later(world)
    (owner,) = everybody(world)
    name = owner.external_id
    world.db.run_now(lambda tx: unlink(tx, world.hub, name, "hubspot", actor="ann", trace="t"))
    world.db.run_now(lambda tx: link(tx, world.hub, name, "hubspot", right, actor="ann", trace="t"))
    await a_day_later(world)
    assert [companies for companies, _ in ties(world)] == [[right]]
    await is_silent(world)
