"""What a customer's documents add up to stands on its contact or company at HubSpot, and is kept so."""

from __future__ import annotations

from typing import Any

import pytest

from config.file import AccordConfig
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.store import customers
from core.sync.explain import explain
from core.sync.metadata import refresh_metadata
from core.sync.rounds import reconcile_documents_everywhere
from tests.integration.sync.test_linking import tie, untie
from tests.support.acting import edit_only, everybody, mapped, only
from tests.support.paper import LINE, at_rest, bill, billing, is_silent, pay, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio

YESTERDAY = "2026-11-17"
SEEN = ("currency", "gross_revenue", "outstanding", "overdue", "last_paid_on", "other_currencies")
ORIGIN = DocumentPolicy(originates=KINDS)


def selling(settings: dict[str, str] | None = None, **changes: Any) -> AccordConfig:
    """Documents come from Stripe, HubSpot shows what they add up to; invoices are copied nowhere."""
    policies = {"stripe": ORIGIN, "hubspot": DocumentPolicy(overview=True), **changes}
    return with_documents(policies, {"hubspot": settings or {}}, {})


def figures(world: World, remote_id: str = "") -> tuple[str, ...]:
    """What a seller sees on the only contact or company, or on one of them, in the order of `SEEN`."""
    there = world.lookalikes["hubspot"].objects("customer")
    properties = there[remote_id or only(world, "hubspot")]["properties"]
    return tuple(properties.get(f"accord_{name}", "") for name in SEEN)


async def long_after(world: World) -> None:
    """No sweep of HubSpot's looks at what was written before: only what is marked is looked at."""
    for _ in range(2):
        world.clock.time += 2000
        await world.settle()


async def test_an_explanation_tells_the_overview_as_money() -> None:
    """`238` beside `238.00` was read as minor units, and as a difference."""
    world = await billing(selling())
    bill(world)
    await world.next_sweep()
    (customer,) = world.db.read_now(customers.listing)
    found = world.db.read_now(lambda tx: explain(tx, world.hub, customer.external_id))
    (there,) = (one["fields"] for one in found["mappings"] if one["connection"] == "hubspot")
    assert there["overview.outstanding"]["value"] == "119.00"
    assert there["overview.outstanding"]["agreed"] == ["119.00", "119.00"]
    assert there["overview.currency"]["value"] == "USD"
    assert there["overview.last_paid_on"]["agreed"] == [None, None]


async def test_what_a_customer_was_billed_owes_and_paid_stands_on_its_contact() -> None:
    """In numbers and a day, kept current by whatever changes it."""
    world = await billing(selling())
    assert figures(world) == ("", "", "", "", "", "")
    invoice = bill(world)
    bill(world, due_on=YESTERDAY)
    await world.next_sweep()
    assert figures(world) == ("USD", "238", "238", "119", "", "")
    await long_after(world)
    pay(world, invoice, "19.00")
    await world.next_sweep()
    assert figures(world) == ("USD", "238", "219", "119", "2026-11-20", "")
    await long_after(world)
    other = bill(world)
    await world.next_sweep()
    assert figures(world)[:3] == ("USD", "357", "338")
    await long_after(world)
    world.lookalikes["stripe"].edit("invoice", other, {"status": "void"})
    await world.next_sweep()
    assert figures(world) == ("USD", "238", "219", "119", "2026-11-20", "")
    at_rest(world)
    await is_silent(world)
    (one,) = everybody(world)
    assert not [name for name in one.fields if name.startswith("overview.")]


async def test_documents_that_change_together_are_told_in_one_write() -> None:
    """And one that changes nothing of it in none."""
    world = await billing(selling())
    before = world.writes("hubspot")
    invoice = bill(world)
    pay(world, invoice, "119.00")
    await world.next_sweep()
    assert figures(world) == ("USD", "119", "0", "0", "2026-11-20", "")
    assert world.writes("hubspot") == before + 1
    bill(world, status="draft")
    await world.next_sweep()
    assert world.writes("hubspot") == before + 1


async def test_a_moment_passes_before_an_invoice_is_told_for_its_payment_may_follow() -> None:
    """Webhooks tell of each by itself."""
    world = await billing(selling())
    before = world.writes("hubspot")
    bill(world)
    world.clock.time += world.timing.changes_every + 1
    for name in ("hubspot", "stripe", "hubspot"):  # its own sweep first
        await world.lanes.run(name)
    assert world.writes("hubspot") == before
    await world.settle()
    assert figures(world) == ("USD", "119", "119", "0", "", "")
    assert world.writes("hubspot") == before + 1


async def test_a_company_has_the_figures_and_not_its_billing_contact() -> None:
    """Sellers look at the company."""
    world = await billing(selling({"untyped": "company", "billing_contact": "true"}))
    bill(world)
    await world.next_sweep()
    rows = {one.part: one.remote_id or "" for one in mapped(world, "hubspot")}
    assert rows[""].startswith("company:")
    assert figures(world, rows[""]) == ("USD", "119", "119", "0", "", "")
    assert set(figures(world, rows["contact"])) == {""}
    at_rest(world)


async def test_a_contact_that_was_let_go_of_keeps_the_figures_of_that_day_and_gets_those_of_now_once_it_is_tied() -> (
    None
):
    """It is left alone, as all else on it; whoever looks at it is told so by the command and the documents."""
    world = await billing(selling())
    invoice = bill(world)
    await world.next_sweep()
    untie(world)
    pay(world, invoice, "119.00")
    await world.next_sweep()
    assert figures(world) == ("USD", "119", "119", "0", "", "")
    tie(world, only(world, "hubspot"))
    await world.settle()
    assert figures(world) == ("USD", "119", "0", "0", "2026-11-20", "")
    at_rest(world)


async def test_a_parent_has_its_own_figures_only() -> None:
    """Whoever adds up a family must not count its children twice."""
    world = await billing(selling({"untyped": "company"}), external_id="top")
    hubspot, stripe = world.lookalikes["hubspot"], world.lookalikes["stripe"]
    top = only(world, "hubspot")
    child = stripe.edit("customer", None, {"name": "Below", "email": "below@example.test"})
    await world.next_sweep()
    (below,) = set(world.neutral("hubspot")) - {top}
    hubspot.edit("customer", below, {"parent": top})
    bill(world, customer=child)
    await world.next_sweep()
    assert figures(world, below) == ("USD", "119", "119", "0", "", "")
    assert set(figures(world, top)) == {""}


@pytest.mark.parametrize("typed", ["5", "", "0.01"])
async def test_what_a_person_types_over_a_figure_is_put_back(typed: str) -> None:
    """Only the registry has all documents."""
    world = await billing(selling())
    bill(world)
    await world.next_sweep()
    edit_only(world, "hubspot", {"extra": {"accord_outstanding": typed, "accord_last_paid_on": "2026-01-01"}})
    await world.next_sweep()
    assert figures(world) == ("USD", "119", "119", "0", "", "")
    at_rest(world)
    await is_silent(world)


async def test_a_due_date_that_passes_makes_an_invoice_overdue() -> None:
    """Nothing else tells of it: the hourly job asks."""
    world = await billing(selling())
    bill(world, due_on="2026-12-18")
    await world.next_sweep()
    assert figures(world) == ("USD", "119", "119", "0", "", "")
    for days, overdue in ((20, "0"), (15, "119")):
        world.clock.time += days * 86_400
        await reconcile_documents_everywhere(world.hub)
        await world.settle()
        assert figures(world)[3] == overdue, days
    before = world.writes("hubspot")
    for _ in range(30):
        world.clock.time += 3600
        await reconcile_documents_everywhere(world.hub)
        await world.settle()
    assert world.writes("hubspot") == before
    at_rest(world)


async def test_of_several_currencies_the_customer_s_own_stands_there_and_the_others_are_named() -> None:
    """Amounts of two currencies add up to nothing."""
    world = await billing(selling(quickbooks=ORIGIN))
    for _ in range(2):
        bill(world, "quickbooks", {**LINE, "product": "1"})
    await world.next_sweep()
    assert figures(world) == ("USD", "238", "238", "0", "", "")
    bill(world, "stripe", {"description": "Seats", "amount": "5000", "quantity": "1"}, currency="JPY")
    await world.next_sweep()
    assert everybody(world)[0].fields.get("currency") == "USD"
    assert figures(world) == ("USD", "238", "238", "0", "", "JPY")


async def test_documents_of_before_are_told_once_policy_wants_it() -> None:
    """The hourly job makes the properties and finds whose figures were never written."""
    world = await billing(selling(hubspot=DocumentPolicy()))
    bill(world)
    await world.next_sweep()
    assert set(figures(world)) == {""}
    world.config = selling()
    world.start()
    connection = world.hub.connections["hubspot"]
    assert await refresh_metadata(world.hub, connection) == 1
    await world.settle()
    assert figures(world) == ("USD", "119", "119", "0", "", "")
    assert await refresh_metadata(world.hub, connection) == 0
    at_rest(world)


async def test_the_figures_of_very_many_customers_are_no_mass_change() -> None:
    """The same currency on all of them is no accident, and neither is that all of them pay on one day."""
    world = World(config=selling())
    stripe = world.lookalikes["stripe"]
    people = [stripe.edit("customer", None, {"name": f"N{n}", "email": f"n{n}@example.test"}) for n in range(230)]
    await world.activate_all()
    invoices = [bill(world, customer=one) for one in people]
    await world.next_sweep()
    for invoice, one in zip(invoices, people, strict=True):
        pay(world, invoice, "119.00", customer=one)
    await world.next_sweep()
    told = {figures(world, one) for one in world.neutral("hubspot")}
    assert told == {("USD", "119", "0", "0", "2026-11-20", "")}
    at_rest(world)


async def test_an_amount_that_goes_up_and_down_is_no_fight() -> None:
    """Three invoices of the same amount, each paid at once."""
    world = await billing(selling())
    for paid in range(4):
        pay_later = bill(world)
        await world.next_sweep()
        assert figures(world)[2] == "119"
        pay(world, pay_later, "119.00")
        await world.next_sweep()
        assert figures(world)[1:3] == (str(119 * (paid + 1)), "0")
    at_rest(world)
