"""A document that is known keeps its customer: what happens to it is taken and booked, whatever became of that one."""

from __future__ import annotations

import dataclasses

import pytest

from config.file import AccordConfig
from core.model import holds
from core.model.documents import Invoice, Payment
from core.store import customers
from core.store.database import Tx
from core.sync import erasure, linking, registry, revival
from core.sync.documents.tie_out import is_tied, tie_out
from tests.integration.documents.test_hubspot_copies import CRM
from tests.integration.documents.test_over_payments import LINE, settled_only
from tests.support.acting import answer, failing, held, mapped, waiting
from tests.support.paper import an_hour_later, at_rest, bill, billing, is_silent, papers, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio


def end(world: World, how: str) -> str:
    """A person ends the only customer, or lets go of its object; returns its external id."""
    (one,) = world.db.read_now(customers.listing)

    def work(tx: Tx) -> None:
        if how == "archive":
            registry.archive(tx, world.hub, one.external_id, actor="ann", trace="t")
        elif how == "erase":
            erasure.erase(tx, world.hub, one.external_id, actor="ann", trace="t")
        else:
            linking.unlink(tx, world.hub, one.external_id, how, actor="ann", trace="t")

    world.db.run_now(work)
    return one.external_id


@pytest.mark.parametrize("how", ["archive", "stripe"])
async def test_what_is_paid_of_a_known_invoice_is_booked_when_its_customer_has_ended(how: str) -> None:
    """119.00 came in at Stripe after the customer was archived, and the books said for ever that they were due."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    end(world, how)
    pay(world, invoice, "100.00")
    await world.next_sweep()
    (paper,), (paid,) = papers(world), papers(world, "payment")
    assert isinstance(paper.document, Invoice)
    assert (paper.document.status, str(paper.document.due)) == ("open", "19.00")
    assert isinstance(paid.document, Payment)
    assert (str(paid.document.amount), paid.customer_id) == ("100.00", paper.customer_id)
    assert [(one["status"], one["due"]) for one in shown(world, "quickbooks")] == [("open", "19.00")]
    pay(world, invoice, "19.00")
    await world.next_sweep()
    assert [(one["status"], one["due"]) for one in shown(world, "quickbooks")] == [("paid", "0.00")]
    await is_silent(world)


async def test_a_void_of_an_archived_customer_s_invoice_is_a_void_in_the_books() -> None:
    """Its copy is known by its own mapping, and stays that customer's of the books."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    end(world, "archive")
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    await world.next_sweep()
    assert [one["status"] for one in shown(world, "quickbooks")] == ["void"]


async def test_a_copy_whose_archived_customer_s_object_was_deleted_waits_without_a_call() -> None:
    """It was tied to that object again and again, which is gone, and each time it failed."""
    world = await billing(CRM)
    invoice = bill(world)
    await world.next_sweep()
    (contact,) = world.neutral("hubspot")
    world.lookalikes["hubspot"].delete("customer", contact)
    await world.next_sweep()
    world.clock.time += 90_000
    await world.settle()
    end(world, "archive")
    pay(world, invoice, "100.00")
    await world.next_sweep()
    written = world.writes("hubspot")
    world.clock.time += 90_000
    await world.settle()
    assert failing(world) == []
    assert world.writes("hubspot") == written
    assert waiting(world)["hubspot"] == 1


@pytest.mark.parametrize(("name", "config"), [("quickbooks", None), ("hubspot", CRM)])
async def test_a_copy_that_is_equal_is_not_read_every_hour_because_its_customer_was_let_go_of_there(
    name: str, config: AccordConfig | None
) -> None:
    """Nothing is to be written to it, and nobody may get an object there for it: 720 reads a month at Stripe."""
    world = await billing(config)
    bill(world)
    await world.next_sweep()

    async def reads_of_hours() -> int:
        before = world.lookalikes[name].reads
        for _ in range(4):
            await an_hour_later(world)
        return world.lookalikes[name].reads - before

    usual = await reads_of_hours()
    end(world, name)
    world.clock.time += 90_000
    await world.settle()
    assert await reads_of_hours() <= usual
    assert waiting(world)[name] == 1, "it is looked at once its customer has an object"


@pytest.mark.parametrize("how", ["erase", "quickbooks"])
async def test_a_copy_that_is_voided_there_is_asked_about_though_its_customer_has_no_object_there(how: str) -> None:
    """It was counted as equal, and the month was tied out: what waited for a customer was not compared."""
    world = await billing()
    bill(world)
    await world.next_sweep()
    end(world, how)
    world.clock.time += 90_000
    await world.settle()
    books = world.lookalikes["quickbooks"]
    (copy,) = books.neutral("invoice")
    books.edit("invoice", copy, {"status": "void"})
    await world.next_sweep()
    (asked,) = held(world, holds.REJECTED)
    assert (asked.connection, asked.detail["problem"]) == ("quickbooks", "the copy was voided in QuickBooks")
    found = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))
    assert not is_tied(found)


async def test_a_copy_is_tied_to_whom_its_archived_customer_is_when_it_is_back() -> None:
    """Its contact was deleted; brought back, the customer got another one, and the copy named nobody for a day."""
    world = await billing(CRM)
    bill(world)
    await world.next_sweep()
    name = end(world, "archive")
    (contact,) = world.neutral("hubspot")
    world.lookalikes["hubspot"].delete("customer", contact)
    world.clock.time += 90_000
    await world.settle()
    world.db.run_now(lambda tx: revival.restore(tx, world.hub, name, actor="ann", trace="t"))
    await world.settle()
    for asked in held(world, holds.REMOTE_GONE):
        await answer(world, asked, "recreate")
    await an_hour_later(world)
    (brought_back,) = [one.remote_id for one in mapped(world, "hubspot") if one.state == "live"]
    assert [one["customer"] for one in shown(world, "hubspot")] == [brought_back]


@pytest.mark.parametrize("applies", [False, True])
async def test_what_quickbooks_credits_when_a_customer_is_made_inactive_is_no_payment_and_nothing_is_lost(
    *, applies: bool
) -> None:
    """It balances the account by a credit memo of its own; the 119.00 that come in are booked once it is undone."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    books = world.lookalikes["quickbooks"]
    books.settings = dataclasses.replace(books.settings, applies_credits=applies)
    (customer,) = world.neutral("quickbooks")
    books.delete("customer", customer)
    pay(world, invoice, "119.00")
    await world.next_sweep()
    assert [one["due"] for one in shown(world, "stripe")] == ["0.00"]
    assert shown(world, "quickbooks", "payment") == []
    assert {one.detail["document"] for one in held(world)} >= {"payment"}
    (memo,) = books.neutral("credit_note")
    books.delete("credit_note", memo)
    books.edit("customer", customer, {"status": "active"})
    await world.next_sweep()
    await an_hour_later(world)
    assert [(one["status"], one["due"]) for one in shown(world, "quickbooks")] == [("paid", "0.00")]
    assert [one["amount"] for one in shown(world, "quickbooks", "payment")] == ["119.00"]
    at_rest(world)


async def test_a_payment_that_waits_for_an_invoice_is_taken_as_soon_as_its_customer_is_back() -> None:
    """119.00 of an old invoice were asked about as paid by nothing, up to an hour after the new one was known."""
    world = await billing(settled_only())
    old = bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    name = end(world, "archive")
    new = bill(world, "quickbooks", LINE, number="QB-2")
    both = [{"invoice": old, "amount": "119.00"}, {"invoice": new, "amount": "7.00"}]
    pay(world, old, "126.00", "quickbooks", applications=both)
    await world.next_sweep()
    assert papers(world, "payment") == []
    world.db.run_now(lambda tx: revival.restore(tx, world.hub, name, actor="ann", trace="t"))
    await world.settle(patience=60.0)
    assert len(papers(world)) == 2
    (paid,) = papers(world, "payment")
    assert isinstance(paid.document, Payment)
    assert str(paid.document.amount) == "126.00"
