"""What a plan says of documents is what the next run does, and saying so writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from config.file import AccordConfig
from core.errors import InvalidInputError
from core.model import holds
from core.model.documents import KINDS, Invoice
from core.model.policy import DocumentPolicy, FieldFilter, Guard
from core.ports import HttpResponse
from core.sandbox.papers import PLACES, Account, Bill, invent, plant_bills
from core.store import announced, connections
from core.store.database import Tx
from core.store.tables import MAPPINGS, METADATA
from core.sync.activation import activate
from core.sync.documents.guarding import digest_of_copy
from core.sync.documents.tally import DocumentPlan
from core.sync.plan import Plan, plan
from core.sync.restoring import begin_observing
from tests.integration.documents.test_closed_books import close
from tests.support.acting import all_day, answer, change_only, everybody, held, with_policy
from tests.support.paper import (
    BOOKS,
    LINE,
    SINCE,
    bill,
    billing,
    papers,
    pay,
    shown,
    with_documents,
)
from tests.support.world import World

pytestmark = pytest.mark.anyio

FEW = Guard(document_count=5, clear_count=2, clear_count_small=1)
UNLIKED = {**LINE, "description": "x" * 4001}
"""Longer than QuickBooks takes."""


def careful(guard: Guard = FEW) -> AccordConfig:
    """Stripe's documents go to the books, and invoices to HubSpot; the books get no customers in JPY."""
    config = with_documents(
        {
            "stripe": DocumentPolicy(originates=KINDS),
            "quickbooks": DocumentPolicy(mirrors=KINDS, since=SINCE),
            "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE),
        },
        {"quickbooks": BOOKS},
        {},
    )
    known = FieldFilter(field="currency", values=("USD", "EUR", "KWD"))
    config = with_policy(config, "quickbooks", creates="filter", creates_filter=known)
    return replace(config, policy=msgspec.structs.replace(config.policy, guard=guard))


async def billed(number: int = 60, config: AccordConfig | None = None) -> World:
    """Stripe is active and has so many invoices in four currencies, of every ending; the others only observe."""
    world = World(config=config or careful())
    for currency in sorted(PLACES):
        one = {"name": currency, "email": f"{currency.lower()}@example.test"}
        world.lookalikes["stripe"].edit("customer", None, one)
    await world.activate_all("stripe")
    for customer in everybody(world):
        change_only(world, customer.external_id, currency=customer.fields["name"])
    ids = {one["name"]: name for name, one in world.neutral("stripe").items()}
    accounts = [Account({"stripe": ids[currency]}, currency) for currency in sorted(PLACES)]
    plant_bills([_stripes(one) for one in invent(Random(7), accounts, number)], _edit_in(world))
    usd = ids["USD"]
    for _ in range(2):
        bill(world, "stripe", UNLIKED, customer=usd)
    await world.next_sweep()
    return world


def _stripes(one: Bill) -> Bill:
    values = {name: getattr(one, name) for name in one.__struct_fields__}
    return Bill(**{**values, "system": "stripe"})


def _edit_in(world: World) -> Any:
    def edit(system: str, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        return world.lookalikes[system].edit(kind, remote_id, changes)

    return edit


async def planned(world: World, name: str) -> Plan:
    """Today's plan."""
    return await plan(world.hub, world.hub.connections[name])


async def copies_of(world: World, name: str) -> DocumentPlan:
    """What today's plan says of documents."""
    found = (await planned(world, name)).documents
    assert found is not None
    return found


async def activated(world: World, name: str, digest: str = "") -> None:
    """A person names the plan, of today unless told otherwise."""
    await activate(world.hub, world.hub.connections[name], digest or (await planned(world, name)).digest, actor="ann")
    await world.settle()


def told(found: DocumentPlan, outcome: str) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """How many and how much, by kind and currency."""
    sums: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for one in found.sums:
        if one.outcome == outcome:
            number, amount = sums.get((one.kind, one.currency), (0, Decimal(0)))
            sums[one.kind, one.currency] = (number + one.number, amount + Decimal(one.amount))
    return sums


def made(world: World, name: str) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """The same of the copies that a look-alike holds."""
    sums: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for kind in world.hub.connections[name].policy.documents.mirrors:
        for one in shown(world, name, kind):
            number, amount = sums.get((kind, one["currency"]), (0, Decimal(0)))
            sums[kind, one["currency"]] = (
                number + 1,
                amount + Decimal(one["amount" if kind == "payment" else "total"]),
            )
    return sums


def rows(world: World) -> dict[str, list[str]]:
    """Every row of every table, but for what was seen of customers."""

    def read(tx: Tx) -> dict[str, list[str]]:
        return {
            name: sorted(map(repr, tx.rows(sa.select(table))))
            for name, table in METADATA.tables.items()
        }  # fmt: skip

    return world.db.read_now(read)


@pytest.mark.parametrize("name", ["quickbooks", "hubspot"])
async def test_what_the_plan_of_an_activation_announces_is_what_is_made(name: str) -> None:
    """As many, as much, of each kind and currency; what it says is held is held, and what waits waits."""
    world = await billed()
    before, writes = rows(world), world.writes(name)
    found = await copies_of(world, name)
    assert (rows(world), world.writes(name)) == (before, writes), "a plan that had an effect would be no plan"
    assert found.number("create") > 50
    await activated(world, name)
    assert made(world, name) == told(found, "create")
    assert len(held(world)) == found.number("hold")
    after = await copies_of(world, name)
    assert after.number("create", "change", "look", "fail") == 0
    assert [told(after, one) for one in ("hold", "wait")] == [told(found, one) for one in ("hold", "wait")]


async def test_what_was_announced_is_not_asked_about_and_the_next_too_many_are() -> None:
    """The approval covers the documents that the plan told of, each once, and no budget is spent for them."""
    world = await billed(24)
    await activated(world, "hubspot")
    assert len(shown(world, "hubspot")) > FEW.document_count
    assert held(world) == []
    before = len(shown(world, "hubspot"))
    usd = customer_at_stripe(world)
    for _ in range(FEW.document_count):
        bill(world, customer=usd)
    await world.next_sweep()
    assert len(shown(world, "hubspot")) == before + FEW.document_count
    bill(world, customer=usd)
    await world.next_sweep()
    assert len(shown(world, "hubspot")) == before + FEW.document_count
    assert [one.reason for one in held(world)] == [holds.MASS_CHANGE]


async def test_bills_that_come_while_a_person_reads_do_not_make_the_plan_stale() -> None:
    """As many as would ask nobody; they are approved with the others, whatever waits for what."""
    world = await billed(24)
    seen = await planned(world, "quickbooks")
    usd = customer_at_stripe(world)
    for _ in range(FEW.document_count):
        bill(world, customer=usd)
    await world.next_sweep()
    assert (await planned(world, "quickbooks")).digest != seen.digest
    await activated(world, "quickbooks", seen.digest)
    assert holds.MASS_CHANGE not in [one.reason for one in held(world)]
    assert seen.documents is not None
    assert len(copies(world, "quickbooks")) == seen.documents.number("create") + FEW.document_count


async def test_a_plan_that_told_of_far_fewer_documents_is_stale() -> None:
    """A listing that came in meanwhile is another plan."""
    world = await billed(24)
    seen = await planned(world, "hubspot")
    usd = customer_at_stripe(world)
    for _ in range(2 * FEW.document_count):
        bill(world, customer=usd)
    await world.next_sweep()
    with pytest.raises(InvalidInputError, match="stale: it told of 23 documents to be copied, by now there are 33"):
        await activated(world, "hubspot", seen.digest)
    assert world.db.read_now(lambda tx: connections.get(tx, "hubspot")).state == "observing"
    assert shown(world, "hubspot") == []


@pytest.mark.parametrize(
    "changes", [{"since": "2026-09-15"}, {"sources": ("stripe",)}, {"mirrors": ("invoice", "payment")}]
)
async def test_a_plan_under_another_policy_is_stale(changes: Mapping[str, Any]) -> None:
    """Also where the number is the same: what was approved is what policy said then."""
    world = await billed(24)
    seen = await planned(world, "quickbooks")
    policy = msgspec.structs.replace(world.config.policy.connections["quickbooks"].documents, **changes)
    world.config = with_policy(world.config, "quickbooks", documents=policy)
    world.start()
    with pytest.raises(InvalidInputError, match="stale"):
        await activated(world, "quickbooks", seen.digest)


async def test_a_digest_that_was_cut_short_or_made_up_is_stale() -> None:
    """Not a number that nobody saw."""
    world = await billed(3)
    seen = (await planned(world, "hubspot")).digest
    cut = seen.partition("-")[0]
    for wrong in (cut, f"{seen}0x", f"{cut}-", "0" * 24 + "-5", f"{cut}-{'9' * 400}", f"{cut}-{'9' * 5000}"):
        with pytest.raises(InvalidInputError, match="stale"):
            await activated(world, "hubspot", wrong)


async def test_a_currency_that_nobody_was_told_of_makes_the_plan_stale() -> None:
    """It is what a person would recognise as wrong."""
    world = await billed(0)
    seen = await planned(world, "hubspot")
    ids = {one["name"]: name for name, one in world.neutral("stripe").items()}
    bill(world, customer=ids["JPY"], currency="JPY", lines=[{"description": "Seats", "amount": "500"}])
    await world.next_sweep()
    with pytest.raises(InvalidInputError, match="stale"):
        await activated(world, "hubspot", seen.digest)


async def test_only_what_was_told_of_is_made_unasked() -> None:
    """Made once, it is another copy the next time; here nothing at all passes without an answer."""
    world = await billed(12, careful(Guard(document_count=0, document_share=0.0)))
    await activated(world, "hubspot")
    copied = list(world.lookalikes["hubspot"].neutral("invoice"))
    assert len(copied) == 14
    assert held(world) == []
    world.lookalikes["hubspot"].delete("invoice", copied[0])
    await all_day(world)
    (gone,) = held(world)
    await answer(world, gone, "recreate")
    assert len(shown(world, "hubspot")) == 13
    assert [one.reason for one in held(world)] == [holds.MASS_CHANGE]


async def test_what_the_stop_would_say_is_said_before() -> None:
    """At an active connection; what a person was asked about, or has rejected, is held."""
    world = await billed(0)
    await activated(world, "hubspot")
    usd = customer_at_stripe(world)
    for _ in range(FEW.document_count + 1):
        bill(world, customer=usd)
    world.clock.time += 61
    await world.lanes.run("stripe")
    found = await copies_of(world, "hubspot")
    assert found.asks_first == "6 documents made where 2 are"
    assert found.number("create") == 6
    await world.settle()
    for choice in ("", "reject"):
        if choice:
            await answer(world, held(world)[0], choice)
        found = await copies_of(world, "hubspot")
        assert [(one.outcome, one.reason, one.number) for one in found.sums] == [("hold", "mass_change", 6)]
        assert found.asks_first == ""


async def test_changes_of_copies_are_told_by_what_is_done() -> None:
    """One is voided, one paid: copies that are not known to be equal are read, and nothing is written."""
    world = await billed(0)
    await activated(world, "hubspot")
    usd = customer_at_stripe(world)
    void, paid, _ = (bill(world, customer=usd) for _ in range(3))
    await world.next_sweep()
    world.lookalikes["stripe"].edit("invoice", void, {"status": "void"})
    pay(world, paid, "19.00", customer=usd)
    world.clock.time += 61
    await world.lanes.run("stripe")
    before, writes = rows(world), world.writes("hubspot")
    found = await copies_of(world, "hubspot")
    assert [(one.outcome, one.reason, one.number) for one in found.sums] == [
        ("change", "update", 1),
        ("change", "void", 1),
    ]
    assert (rows(world), world.writes("hubspot")) == (before, writes)
    await world.settle()
    assert world.writes("hubspot") == writes + 2
    assert (await copies_of(world, "hubspot")).sums == []


async def test_copies_that_cannot_be_read_are_told_of_as_such() -> None:
    """A provider that is down keeps nobody from seeing the rest."""
    world = await billed(0)
    await activated(world, "hubspot")
    usd = customer_at_stripe(world)
    one = bill(world, customer=usd)
    await world.next_sweep()
    pay(world, one, "19.00", customer=usd)
    bill(world, customer=usd)
    world.clock.time += 61
    await world.lanes.run("stripe")
    world.exchanges["hubspot"] = lambda _request: HttpResponse(status=503, headers={}, body=b"{}")
    found = await copies_of(world, "hubspot")
    assert [(one.outcome, one.number) for one in found.sums] == [("create", 1), ("look", 1)]
    assert "503" in found.not_read


async def test_copies_are_not_looked_for_in_another_account() -> None:
    """There none is, which would look as if somebody had deleted them."""
    world = await billed(0)
    await activated(world, "hubspot")
    pay(world, papers(world)[0].remote_id, "19.00", customer=customer_at_stripe(world))
    world.clock.time += 61
    await world.lanes.run("stripe")
    other = World(seed=99).lookalikes["hubspot"]
    other.settings = replace(other.settings, portal_id=7)
    world.exchanges["hubspot"] = other.respond
    found = await copies_of(world, "hubspot")
    assert [(one.outcome, one.number) for one in found.sums] == [("look", 1)]
    assert "was connected to" in found.not_read


async def test_what_a_restored_database_may_have_forgotten_is_looked_for_first() -> None:
    """No plan says that it would be made: it may be there."""
    world = await billed(6)
    await activated(world, "hubspot")
    copied = len(shown(world, "hubspot"))
    world.db.run_now(_forgets)
    world.db.run_now(lambda tx: begin_observing(tx, world.hub))
    world.start()
    await world.settle()
    seen = await planned(world, "hubspot")
    assert seen.documents is not None
    assert (seen.documents.number("look"), seen.documents.number("create")) == (copied, 0)
    await activated(world, "hubspot")
    assert len(shown(world, "hubspot")) == copied
    assert (await copies_of(world, "hubspot")).sums == []


async def test_documents_do_not_make_the_plan_of_an_active_connection_stale() -> None:
    """They flow by themselves, whatever plan of customers is applied."""
    world = await billed(0)
    await activated(world, "hubspot")
    before = (await planned(world, "hubspot")).digest
    bill(world, customer=customer_at_stripe(world))
    world.clock.time += 61
    await world.lanes.run("stripe")
    after = await planned(world, "hubspot")
    assert after.documents is not None
    assert (after.documents.number("create"), after.digest) == (1, before)


def _forgets(tx: Tx) -> None:
    """An older database: it knows the documents, and none of their copies."""
    tx.execute(sa.delete(MAPPINGS).where(MAPPINGS.c.connection == "hubspot", MAPPINGS.c.kind == "invoice"))


def customer_at_stripe(world: World) -> str:
    """Who is billed in USD."""
    return next(name for name, one in world.neutral("stripe").items() if one["name"] == "USD")


def copies(world: World, name: str) -> list[Mapping[str, Any]]:
    """All documents that a look-alike holds."""
    kinds = world.hub.connections[name].policy.documents.mirrors
    return [one for kind in kinds for one in shown(world, name, kind)]


async def test_what_settles_an_invoice_that_is_not_copied_is_not_told_of() -> None:
    """It is offered to nobody, however new it is."""
    policy = DocumentPolicy(mirrors=KINDS, since="2026-11-01")
    world = await billed(0, with_policy(careful(), "quickbooks", documents=policy))
    usd = customer_at_stripe(world)
    pay(world, bill(world, customer=usd, issued_on="2026-10-31"), "119.00", customer=usd)
    pay(world, bill(world, customer=usd, issued_on="2026-11-01"), "119.00", customer=usd)
    await world.next_sweep()
    found = await copies_of(world, "quickbooks")
    made_of = [(one.kind, one.number) for one in found.sums if one.outcome == "create"]
    assert (found.since, made_of) == ("2026-11-01", [("invoice", 1), ("payment", 1)])
    assert found.number("wait") == 0
    await activated(world, "quickbooks")
    assert made(world, "quickbooks") == told(found, "create")


async def test_a_document_of_another_amount_was_not_told_of() -> None:
    """Whatever became of it between the activation and its copy, a person approved what they saw."""
    world = await billed(0, careful(Guard(document_count=0, document_share=0.0)))
    connection = world.hub.connections["hubspot"]
    await activate(world.hub, connection, (await planned(world, "hubspot")).digest, actor="ann")
    first, _ = papers(world)
    assert isinstance(first.document, Invoice)
    other = msgspec.structs.replace(first, document=msgspec.structs.replace(first.document, total=Decimal(7)))
    digests = {first.id: digest_of_copy("create", other)}
    world.db.run_now(lambda tx: announced.replace(tx, "hubspot", digests))
    await world.settle()
    assert shown(world, "hubspot") == []
    assert held(world)[0].detail["records"] == 2


async def test_a_plan_says_held_of_what_the_books_would_only_refuse() -> None:
    """It said that a copy is made: a person saw it refused, and asked what else was not true."""
    world = await billing()
    bill(world, currency="EUR")
    world.clock.time += 61
    await world.lanes.run("stripe")
    found = await copies_of(world, "quickbooks")
    assert [(one.outcome, one.reason, one.number, one.amount, one.currency) for one in found.sums] == [
        ("hold", "rejected: currency", 1, "119.00", "EUR")
    ]
    (why,) = found.examples
    assert "it is in EUR, and its customer" in why.says
    sent = world.writes("quickbooks")
    await world.settle()
    assert world.writes("quickbooks") == sent, "what is known to be refused is not sent"
    (asked,) = held(world)
    assert asked.detail["limit"] == "USD: a customer there has one currency, for good"


async def test_a_plan_says_held_of_lines_without_an_item_and_of_closed_books() -> None:
    """Both are known before anything is sent: the counts are what a run does."""
    policies = {"stripe": DocumentPolicy(originates=KINDS), "quickbooks": DocumentPolicy(mirrors=KINDS, since=SINCE)}
    world = await billing(with_documents(policies, {"quickbooks": {**BOOKS, "default_item": ""}}, {}))
    bill(world)
    close(world, "2026-10-31")
    bill(world, issued_on="2026-10-18", due_on="2026-11-18")
    world.clock.time += 61
    await world.lanes.run("stripe")
    found = await copies_of(world, "quickbooks")
    assert {one.outcome for one in found.sums} == {"hold"}, found
    assert sum(one.number for one in found.sums) == 2
    sent = world.writes("quickbooks")
    await world.settle()
    assert (len(held(world)), world.writes("quickbooks")) == (2, sent)
