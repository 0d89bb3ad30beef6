"""What the books would refuse, and the registry knows: a plan says that it is held, and not that it is made."""

from __future__ import annotations

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from tests.integration.documents.test_plans import activated, copies_of
from tests.support.acting import change_only, everybody, held
from tests.support.lookalikes import stripe_of
from tests.support.paper import LINE, SINCE, bill, papers, shown, stripe_to_books
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_a_plan_says_held_of_a_currency_that_its_customer_is_not_to_be_made_in() -> None:
    """Nobody has an object in the books yet: Ada's will be made in EUR, and takes nothing in USD."""
    world = World(config=stripe_to_books())
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all("stripe")
    (ada,) = everybody(world)
    change_only(world, ada.external_id, currency="EUR")
    bill(world)
    await world.next_sweep()
    found = await copies_of(world, "quickbooks")
    assert [(one.outcome, one.reason, one.number, one.currency) for one in found.sums] == [
        ("hold", "rejected: currency", 1, "USD")
    ]
    await activated(world, "quickbooks")
    assert shown(world, "quickbooks") == []
    assert [one.detail["limit"] for one in held(world)] == ["EUR: a customer there has one currency, for good"]


async def test_a_plan_says_held_of_numbers_that_are_taken_there() -> None:
    """By an invoice of the books themselves, and by one that is copied before: it said that all three are made."""
    books = DocumentPolicy(originates=("invoice",), mirrors=KINDS, since=SINCE)
    world = World(config=stripe_to_books(quickbooks=books))
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    bill(world, "quickbooks", {**LINE, "product": "1"}, number="A-1")
    await world.next_sweep()
    for number in ("A-1", "A-2", "A-3"):
        bill(world, number=number)
    world.clock.time += 61
    await world.lanes.run("stripe")
    found = await copies_of(world, "quickbooks")
    assert {(one.outcome, one.reason): one.number for one in found.sums} == {
        ("create", ""): 2,
        ("hold", "rejected: number"): 1,
    }
    (why,) = [one.says for one in found.examples if one.outcome == "hold"]
    assert why.startswith("number A-1 is taken in QuickBooks Online, by invoice ")
    await world.settle()
    (asked,) = held(world)
    assert (asked.reason, asked.detail["field"], asked.detail["number"]) == ("rejected", "number", "A-1")


async def test_a_plan_says_held_of_the_second_of_two_that_have_one_number() -> None:
    """A credit note is numbered as an invoice is, by somebody who counts them together: the books take one of them."""
    world = World(config=stripe_to_books())
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all("stripe", "quickbooks")
    invoice, other = bill(world, number="A-1"), bill(world, number="A-2")
    note = {"customer": next(iter(world.neutral("stripe"))), "currency": "USD", "invoice": invoice, "applied": "9.00"}
    credit = world.lookalikes["stripe"].edit("credit_note", None, {**note, "lines": [{"amount": "9.00"}]})
    things = stripe_of(world).ledger.things["credit_note"]
    things[credit] = {**things[credit], "number": "A-2"}
    world.clock.time += 61
    await world.lanes.run("stripe")
    assert other in {one.remote_id for one in papers(world)}
    found = await copies_of(world, "quickbooks")
    assert {(one.kind, one.outcome): one.number for one in found.sums} == {
        ("invoice", "create"): 2,
        ("credit_note", "hold"): 1,
    }
    await world.settle()
    assert [one.detail["document"] for one in held(world)] == ["credit_note"]
