"""A document that cannot be taken from its origin is seen by people, and keeps its period from being tied out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from core.model.policy import ConnectionPolicy
from core.store.tables import DIRTY
from core.sync import linking, registry
from core.sync.documents.tie_out import is_tied, tie_out
from tests.integration.documents.test_ended_customers import end
from tests.support.acting import answer, failing, held
from tests.support.paper import bill, billing, papers, pay, shown, stripe_to_books
from tests.support.world import World

pytestmark = pytest.mark.anyio


def closed(world: World, period: str = "2026-11") -> dict[str, Any]:
    """The tie-out of a period."""
    return world.db.read_now(lambda tx: tie_out(tx, world.hub, period))


async def days(world: World, number: int = 2) -> None:
    """Whole sweeps, one a day."""
    for _ in range(number):
        world.clock.time += 90_000
        await world.settle()


async def test_an_invoice_of_a_held_customer_keeps_its_period_open_and_says_what_to_answer() -> None:
    """Nothing failed, nothing was held about the invoice, and the month was tied out without it."""
    world = await billing()
    other = world.lookalikes["stripe"].edit("customer", None, {"name": "Ben", "email": "ada@example.test"})
    invoice = bill(world, customer=other)
    await world.next_sweep()
    await days(world)
    found = closed(world)
    (untaken,) = found["untaken"]
    (question,) = held(world)
    number = world.lookalikes["stripe"].neutral("invoice")[invoice]["number"]
    assert (untaken["connection"], untaken["kind"], untaken["remote_id"]) == ("stripe", "invoice", invoice)
    assert (untaken["number"], untaken["amount"], untaken["currency"]) == (number, "119.00", "USD")
    assert other in untaken["why"]
    assert untaken["cure"] == f"answer hold {question.id}"
    assert not is_tied(found)
    assert is_tied(closed(world, "2026-10")), "it is of November"
    await answer(world, question, "create")
    assert closed(world)["untaken"] == []
    assert is_tied(closed(world))


@pytest.mark.parametrize(("how", "told"), [("archive", "archived"), ("stripe", "unlinked")])
async def test_a_new_invoice_of_a_customer_that_has_ended_keeps_its_period_open_until_it_is_tied_again(
    how: str, told: str
) -> None:
    """Whoever bills at Stripe has not heard of it."""
    world = await billing()
    name = end(world, how)
    bill(world)
    await world.next_sweep()
    await days(world)
    (untaken,) = closed(world)["untaken"]
    (customer,) = world.neutral("stripe")
    assert told in untaken["why"]
    assert f"stripe {customer}" in untaken["cure"]
    assert not is_tied(closed(world))
    tie(world, name, customer, is_new=how == "archive")
    await days(world, 1)
    assert len(papers(world)) == 1
    assert closed(world)["untaken"] == []


def tie(world: World, name: str, remote_id: str, *, is_new: bool) -> None:
    """A person does what the cure says."""
    if is_new:
        world.db.run_now(lambda tx: registry.create(tx, world.hub, name, {"name": "Ada"}, actor="ann", trace="t"))
    world.db.run_now(lambda tx: linking.link(tx, world.hub, name, "stripe", remote_id, actor="ann", trace="t"))


async def test_what_policy_keeps_out_with_its_customer_is_named_and_keeps_no_period_open() -> None:
    """Nobody marked the customer: that its invoice is in no books was said by policy, and is said by the close."""
    config = stripe_to_books()
    config = replace(config, policy=scoped(config.policy, enters="marked"))
    world = await billing(config)
    invoice = bill(world)
    await world.next_sweep()
    await days(world)
    found = closed(world)
    assert papers(world) == []
    assert found["untaken"] == []
    (outside,) = found["outside"]
    assert (outside["remote_id"], outside["amount"], outside["currency"]) == (invoice, "119.00", "USD")
    assert 'enters = "marked"' in outside["why"]
    assert "accord.toml" in outside["cure"]
    assert is_tied(found)
    assert closed(world, "2026-10")["outside"] == []
    (customer,) = world.neutral("stripe")
    world.lookalikes["stripe"].edit("customer", customer, {"external_id": "ada"})
    await world.next_sweep()
    assert len(papers(world)) == 1
    assert closed(world)["outside"] == []


def scoped(policy: Any, **changes: Any) -> Any:
    """The same policy with another scope for Stripe."""
    scopes: dict[str, ConnectionPolicy] = dict(policy.connections)
    scopes["stripe"] = msgspec.structs.replace(scopes["stripe"], **changes)
    return msgspec.structs.replace(policy, connections=scopes)


async def test_what_happens_to_an_erased_customer_s_documents_is_named_and_not_taken_in() -> None:
    """Who was erased is not to come back by an invoice; and the money is not lost sight of."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    end(world, "erase")
    pay(world, invoice, "119.00")
    fresh = bill(world, issued_on="2026-11-19")
    await world.next_sweep()
    await days(world)
    assert len(papers(world)) == 1
    assert papers(world, "payment") == []
    assert [(one["status"], one["due"]) for one in shown(world, "quickbooks")] == [("open", "119.00")]
    outside = {one["remote_id"]: one for one in closed(world)["outside"]}
    assert {invoice, fresh} < outside.keys(), "and the payment"
    assert all("erased" in one["why"] and "by hand" in one["cure"] for one in outside.values())
    (customer,) = world.neutral("stripe")
    assert customer not in str(outside)
    reasons = world.db.read_now(lambda tx: [row.reason for row in tx.rows(DIRTY.select())])
    assert customer not in str(reasons)


async def test_a_draft_that_waits_keeps_no_period_open() -> None:
    """It may still change in every way, and is counted nowhere."""
    world = await billing()
    other = world.lookalikes["stripe"].edit("customer", None, {"name": "Ben", "email": "ada@example.test"})
    draft = bill(world, customer=other, status="draft")
    await world.next_sweep()
    await days(world)
    assert closed(world)["untaken"] == []
    world.lookalikes["stripe"].edit("invoice", draft, {"status": "open"})
    await world.next_sweep()
    assert [one["remote_id"] for one in closed(world)["untaken"]] == [draft]
    assert failing(world) == []


async def test_an_invoice_that_waited_while_policy_took_none_is_taken_when_policy_takes_them_again() -> None:
    """The listing knew it as it had been seen, and passed it over; nothing said that it was missing."""
    whole = stripe_to_books()
    world = await billing(whole)
    other = world.lookalikes["stripe"].edit("customer", None, {"name": "Ben", "email": "ada@example.test"})
    invoice = bill(world, customer=other)
    await world.next_sweep()
    only_payments = msgspec.structs.replace(whole.policy.connections["stripe"].documents, originates=("payment",))
    for policy in (scoped(whole.policy, documents=only_payments), whole.policy):
        world.config = replace(whole, policy=policy)
        world.start()
        await days(world)
        world.lookalikes["stripe"].edit("customer", other, {"email": "ben@example.test"})
        await days(world)
    assert [one.remote_id for one in papers(world)] == [invoice]
    assert [one["total"] for one in shown(world, "quickbooks")] == ["119.00"]
