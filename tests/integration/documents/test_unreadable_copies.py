"""A copy that is there and cannot be read is there: it is never made a second time."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import Fault
from core.store import failures, intents
from core.sync.answers import retry
from core.sync.plan import plan
from core.sync.rounds import reconcile_documents_everywhere
from tests.integration.sync.test_found_by_simulation import weather
from tests.support.acting import answer, failing, held
from tests.support.paper import BOOKS as SETTINGS
from tests.support.paper import SINCE, bill, billing, pay, shown, stripe_to_books, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio

BOOKS = "quickbooks"
CRM = "hubspot"


def payments(world: World) -> dict[str, Any]:
    """The books' payments as they have them."""
    return dict(world.lookalikes[BOOKS].objects("payment"))


def unreadable(world: World, day: str, kind: str = "payment") -> None:
    """Somebody, or something, leaves a date that is none; and back again."""
    for one in world.lookalikes[BOOKS].objects(kind).values():
        assert isinstance(one, dict)
        one["TxnDate"] = day


def garble(world: World, kind: str = "payment") -> None:
    """From now on none of the books can be understood."""
    through = world.exchanges[BOOKS]

    def garbled(request: HttpRequest) -> HttpResponse:
        unreadable(world, "soon", kind)
        return through(request)

    world.exchanges[BOOKS] = garbled


async def paid_and_unanswered() -> World:
    """A payment whose copy is made in the books; every answer is lost, and then it is not to be understood."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    weather(world, BOOKS, Fault(kind="lost_answer", method="POST", path=r"/payment\?", count=4))
    garble(world)
    pay(world, invoice, "50.00")
    for _ in range(4):
        await world.next_sweep()
        await world.settle(patience=3600.0)
    return world


async def test_a_copy_that_cannot_be_read_is_not_made_again() -> None:
    """It counted as not there when it was looked for, and a second payment was booked under another mark."""
    world = await paid_and_unanswered()
    assert len(payments(world)) == 1
    assert [(one.code, one.state) for one in failing(world)] == [("ambiguous", "retrying")]
    assert "cannot be read" in failing(world)[0].message


async def test_which_of_two_objects_with_our_mark_is_the_copy_is_asked_and_neither_is_made_again() -> None:
    """Somebody copied the payment in the books, private note and all, while nobody knew whether it was made."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    weather(world, BOOKS, Fault(kind="lost_answer", method="POST", path=r"/payment\?", count=4))
    pay(world, invoice, "50.00")
    world.clock.time += 61
    await world.lanes.run("stripe")
    await world.lanes.run(BOOKS)
    (first,) = payments(world).values()
    found = await plan(world.hub, world.hub.connections[BOOKS])
    assert found.documents is not None
    told = [(one.kind, one.outcome, one.reason) for one in found.documents.sums]
    assert told == [("payment", "wait", "a write of it has no known outcome")], "a plan promises nothing of it"
    (customer,) = world.neutral(BOOKS)
    twin = {"customer": customer, "currency": "USD", "amount": "50.00", "received_on": "2026-11-20"}
    world.lookalikes[BOOKS].edit("payment", None, {**twin, "extra": {"PrivateNote": first["PrivateNote"]}})
    for _ in range(4):
        await world.next_sweep()
        await world.settle(patience=3600.0)
    asked = [one for one in held(world) if one.detail.get("candidates")]
    assert [one.detail["candidates"] for one in asked] == [sorted(payments(world))]
    assert [one.detail["problem"] for one in asked] == ["several objects carry this copy's mark"]
    assert "take out there those that are not it" in asked[0].detail["cure"]
    assert len(payments(world)) == 2
    world.lookalikes[BOOKS].delete("payment", next(one for one in payments(world) if one != first["Id"]))
    await answer(world, asked[0], "retry")
    await world.settle(patience=3600.0)
    assert (held(world), failing(world), world.db.read_now(intents.all_open)) == ([], [], [])
    assert [one["due"] for one in shown(world, BOOKS)] == ["69.00"]


async def test_a_copy_that_was_given_up_stays_so_while_every_hour_tries_it_in_vain() -> None:
    """It was told as retried for some minutes of every hour, and given up again: an alarm rang 24 times a day.

    The hour's look takes it up again as soon as it is taken.
    """
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    garble(world, "invoice")
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    for _ in range(4):
        await world.next_sweep()
        await world.settle(patience=3600.0)
    seen, tried = set[tuple[str, ...]](), failing(world)[0].attempts
    for minute in range(4 * 60):
        if minute % 60 == 0:
            await reconcile_documents_everywhere(world.hub)
        world.clock.time += 60
        await world.lanes.run(BOOKS)
        seen.add(tuple(one.state for one in failing(world)))
    assert seen == {("dead",)}
    assert failing(world)[0].attempts == tried + 4
    world.exchanges[BOOKS] = world.lookalikes[BOOKS].respond
    unreadable(world, "2026-11-20", "invoice")
    await reconcile_documents_everywhere(world.hub)
    await world.settle()
    assert (failing(world), [one["status"] for one in shown(world, BOOKS)]) == ([], ["void"])


async def test_it_is_adopted_as_soon_as_it_can_be_read() -> None:
    """A person mends it, and asks for another try."""
    world = await paid_and_unanswered()
    world.exchanges[BOOKS] = world.lookalikes[BOOKS].respond
    unreadable(world, "2026-11-20")
    for one in world.db.read_now(failures.listing):
        world.db.run_now(partial(retry, hub=world.hub, connection=one.connection, subjects=[one.subject]))
    await world.settle(patience=3600.0)
    assert (held(world), failing(world), world.db.read_now(intents.all_open)) == ([], [], [])
    assert [one["due"] for one in shown(world, BOOKS)] == ["69.00"]
    assert len(payments(world)) == 1


async def test_a_copy_that_a_page_of_a_proxy_hid_for_a_while_is_found_when_it_is_gone() -> None:
    """After eight looks, some minutes, it was given up: nobody looked again before a person asked for it."""
    world = await billing(stripe_to_books(hubspot=DocumentPolicy(mirrors=("invoice",), since=SINCE)))
    through, is_there = world.exchanges[CRM], [True]

    def proxy(request: HttpRequest) -> HttpResponse:
        if "/invoices/batch/create" in request.url and is_there[0]:
            through(request)
            return HttpResponse(502, {"content-type": "text/html"}, b"<html>Bad gateway</html>")
        if "/invoices/batch/read" in request.url and is_there[0]:
            return HttpResponse(200, {"content-type": "text/html"}, b"<html>Please sign in</html>")
        return through(request)

    world.exchanges[CRM] = proxy
    bill(world)
    await world.next_sweep()
    await world.settle(patience=3600.0)
    assert [one.code for one in failing(world)] == ["ambiguous"]
    is_there[0] = False
    await world.settle(patience=3600.0)
    assert (held(world), failing(world), world.db.read_now(intents.all_open)) == ([], [], [])
    assert [one["due"] for one in shown(world, CRM)] == ["119.00"]


async def billed_in_both() -> World:
    """The books have invoices of their own, and copies of Stripe's: all of them are listed there once a day."""
    policies = {
        "stripe": DocumentPolicy(originates=KINDS),
        BOOKS: DocumentPolicy(originates=KINDS, mirrors=KINDS, since=SINCE),
    }
    return await billing(with_documents(policies, {BOOKS: SETTINGS}, {}))


async def days_later(world: World, days: int) -> None:
    """Each day everything is listed, and what failed is tried again."""
    for _ in range(days):
        world.clock.time += 90_000
        await world.next_sweep()
        await world.settle(patience=7200.0)


def mend(world: World) -> None:
    """Whoever left the odd date puts it right, and the books tell of it."""
    world.exchanges[BOOKS] = world.lookalikes[BOOKS].respond
    unreadable(world, "2026-11-20", "invoice")
    for name in list(world.lookalikes[BOOKS].objects("invoice")):
        world.lookalikes[BOOKS].edit("invoice", name, {"memo": "mended"})


@pytest.mark.parametrize("name", ["stripe", BOOKS])
async def test_what_was_given_up_as_a_listing_showed_it_and_can_be_read_again_is_a_failure_no_more(name: str) -> None:
    """It was listed by its object's id, too, and that one stood for ever: only its mapping was looked at again."""
    world = await billed_in_both()
    line = {"description": "Seats", "product": "1", "quantity": "1", "unit_amount": "50.00"}
    bill(world, name, line, number="A-1")
    await world.next_sweep()
    unreadable(world, "soon", "invoice")
    await days_later(world, 8)
    (failure,) = failing(world)
    assert (failure.subject[:2], failure.state) == ("m:", "dead")
    mend(world)
    await days_later(world, 2)
    assert failing(world) == []
