"""A copy in a system that only gets copies, of which a database that was put back knows nothing, is told of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.sync.answers import retry
from core.sync.documents.tie_out import is_tied, tie_out
from core.sync.documents.waits import Wait, read_waits
from tests.integration.documents.test_copies_at_stripe import LINE
from tests.integration.documents.test_restore import backed_up, put_back, put_back_as_of
from tests.support.acting import failing, held
from tests.support.entities import EU, US, booked, company, two_books
from tests.support.paper import BOOKS, SINCE, bill, billing, is_silent, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio
COPIES = {
    "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE),
    "stripe": DocumentPolicy(mirrors=KINDS, since=SINCE),
}


async def billed_in_the_books(mirror: str) -> World:
    """QuickBooks' documents are copied to a system that makes none itself."""
    policies = {"quickbooks": DocumentPolicy(originates=KINDS), mirror: COPIES[mirror]}
    settings = {"quickbooks": BOOKS, "stripe": {"mirror_open_invoices": "yes"}}
    return await billing(with_documents(policies, settings, {}))


def told(world: World) -> Sequence[Wait]:
    """Documents of which people are told that they wait."""
    return world.db.read_now(lambda tx: read_waits(tx, world.hub, None))


async def days_later(world: World) -> None:
    """Everything is listed, and what waits is looked at again."""
    for _ in range(2):
        world.clock.time += 90_000
        await world.settle(patience=7200.0)


@pytest.mark.parametrize("mirror", ["hubspot", "stripe"])
async def test_a_copy_whose_document_was_deleted_since_the_backup_is_told_of_where_only_copies_are(mirror: str) -> None:
    """Nothing listed what is there: the copy stood as open in the CRM, and could be paid at Stripe, for ever.

    One whose document is still there is tied again, and is no question.
    """
    world = await billed_in_the_books(mirror)
    backup = backed_up(world)
    deleted = bill(world, "quickbooks", LINE, number="Q-1")
    bill(world, "quickbooks", LINE, number="Q-2")
    await world.next_sweep()
    (copy,) = [name for name, one in world.lookalikes[mirror].neutral("invoice").items() if one["number"] == "Q-1"]
    world.lookalikes["quickbooks"].delete("invoice", deleted)
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    await world.activate_all()
    await days_later(world)
    assert (held(world), failing(world)) == ([], [])
    (wait,) = told(world)
    assert (wait.connection, wait.remote_id, wait.number, wait.amount) == (mirror, copy, "Q-1", "119.00")
    assert "nobody remembers of what" in wait.why
    assert sorted(one["status"] for one in shown(world, mirror)) == ["open", "open"]
    assert not is_tied(world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11")))
    await is_silent(world)
    world.lookalikes[mirror].edit("invoice", copy, {"status": "void"})
    await days_later(world)
    assert told(world) == []


async def test_a_forgotten_copy_that_is_deleted_at_hubspot_is_told_of_no_more() -> None:
    """What a person takes away there is no question any more."""
    world = await billed_in_the_books("hubspot")
    backup = backed_up(world)
    deleted = bill(world, "quickbooks", LINE, number="Q-1")
    await world.next_sweep()
    world.lookalikes["quickbooks"].delete("invoice", deleted)
    put_back(world, backup)
    await world.activate_all()
    await days_later(world)
    (wait,) = told(world)
    world.lookalikes["hubspot"].delete("invoice", wait.remote_id)
    await days_later(world)
    assert told(world) == []


async def test_a_forgotten_copy_that_cannot_be_read_is_told_of_by_its_mark() -> None:
    """It was passed over: somebody had changed an amount of it, so that it did not add up any more."""
    world = await billed_in_the_books("hubspot")
    backup = backed_up(world)
    deleted = bill(world, "quickbooks", LINE, number="Q-1")
    bill(world, "quickbooks", LINE, number="Q-2")
    await world.next_sweep()
    (copy,) = [name for name, one in world.lookalikes["hubspot"].neutral("invoice").items() if one["number"] == "Q-1"]
    world.lookalikes["quickbooks"].delete("invoice", deleted)
    put_back(world, backup)
    raw: Any = world.lookalikes["hubspot"].objects("invoice")[copy]
    world.lookalikes["hubspot"].edit("line_item", raw["line_item"][0], {"amount": "1.00"})
    await world.activate_all()
    await days_later(world)
    assert [(one.connection, one.remote_id) for one in told(world)] == [("hubspot", copy)]
    assert (held(world), failing(world)) == ([], [])
    subject = f"d:invoice:{copy}"
    assert world.db.run_now(lambda tx: retry(tx, world.hub, "hubspot", [subject], actor="ann")) == 1
    await days_later(world)
    assert [one.remote_id for one in told(world)] == [copy], "whoever has it looked at again"


async def test_a_forgotten_payment_is_told_of_where_only_copies_are() -> None:
    """Its invoice is still there, and was tied: what had been paid of it stayed paid at Stripe."""
    world = await billed_in_the_books("stripe")
    invoice = bill(world, "quickbooks", LINE, number="Q-1")
    await world.next_sweep()
    backup = backed_up(world)
    payment = pay(world, invoice, "19.00", "quickbooks")
    await world.next_sweep()
    (copy,) = [name for name, one in world.lookalikes["stripe"].neutral("payment").items() if one["amount"] == "19.00"]
    world.lookalikes["quickbooks"].delete("payment", payment)
    put_back(world, backup)
    await world.activate_all()
    await days_later(world)
    assert [(one.connection, one.kind, one.remote_id) for one in told(world)] == [("stripe", "payment", copy)]


async def test_what_is_not_read_yet_where_it_was_made_is_forgotten_by_nobody() -> None:
    """Copies are listed when their origin was: before, each would be told of for no reason."""
    world = await billed_in_the_books("hubspot")
    backup = backed_up(world)
    bill(world, "quickbooks", LINE, number="Q-1")
    await world.next_sweep()
    put_back(world, backup)
    world.names = ("hubspot", "stripe")
    await world.activate_all("hubspot", "stripe")
    await days_later(world)
    assert told(world) == []
    world.names = ("hubspot", "stripe", "quickbooks")
    await world.activate_all("quickbooks")
    await days_later(world)
    assert (told(world), held(world), failing(world)) == ([], [], [])
    assert [one["number"] for one in shown(world, "hubspot")] == ["Q-1"]


async def test_copies_are_listed_after_a_restore_only_and_once() -> None:
    """Stripe counts what is read of it in a month."""
    world = await billed_in_the_books("stripe")
    asked: list[str] = []
    stripe = world.lookalikes["stripe"]

    def respond(request: HttpRequest) -> HttpResponse:
        path = request.url.partition("?")[0]
        asked.extend([path] if request.method == "GET" and path.endswith("/invoices") else [])
        return stripe.respond(request)

    world.exchanges["stripe"] = respond
    bill(world, "quickbooks", LINE, number="Q-1")
    await days_later(world)
    await is_silent(world)
    assert asked == []
    put_back(world, backed_up(world))
    await world.activate_all()
    await days_later(world)
    await is_silent(world)
    assert len(asked) == 1


async def test_a_copy_in_the_books_of_an_entity_that_its_document_has_left_is_told_of_where_no_others_take_it() -> None:
    """The other books begin after its day, and so looked for it nowhere: it stood there booked, and nobody was told."""
    eu = DocumentPolicy(mirrors=KINDS, entities=("eu",), since="2026-12-01")
    world = await company(two_books(quickbooks_eu=eu), ada="us")
    backup = backed_up(world)
    bill(world, number="US-1")
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: []}
    await put_back_as_of(world, backup, "eu")
    await world.activate_all(US, EU)
    await days_later(world)
    assert booked(world) == {US: ["119.00"], EU: []}
    (copy,) = world.lookalikes[US].neutral("invoice")
    assert [(one.connection, one.remote_id, one.number) for one in told(world)] == [(US, copy, "US-1")]
