"""A database that was put back makes no copy a second time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import sqlalchemy as sa

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.store.database import Database
from core.store.tables import MAPPINGS
from core.sync.documents.waits import Wait, read_waits
from core.sync.restoring import begin_observing
from tests.integration.documents.test_copies_at_stripe import LINE, booking
from tests.support.acting import answer, change, everybody, failing, held
from tests.support.crashes import Crash, FragileWorld, copy_sqlite
from tests.support.paper import BOOKS, SINCE, at_rest, bill, billing, pay, shown, stripe_to_books, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio


def backed_up(world: World) -> Database:
    """The database as it is now."""
    backup = Database("sqlite://", is_direct=True)
    copy_sqlite(world.db, backup)
    return backup


def put_back(world: World, backup: Database) -> None:
    """An older database is put back, and the daemon starts and notices it."""
    copy_sqlite(backup, world.db)
    world.db.run_now(lambda tx: begin_observing(tx, world.hub))
    world.start()


async def put_back_as_of(world: FragileWorld, backup: Database, entity: str) -> None:
    """Two days later; the origin is active again, its customer is of that entity by now, and no books are active."""
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    await world.activate_all("stripe")
    (ada,) = everybody(world)
    await change(world, ada.external_id, **{"metadata.entity": entity})


async def test_copies_made_after_the_backup_are_found_and_not_made_again() -> None:
    """The older database knows neither the invoices nor their copies, or the invoices only."""
    world = await billing()
    first = bill(world)
    world.names = ("stripe", "hubspot")
    await world.next_sweep()
    backup = backed_up(world)
    world.names = ("stripe", "hubspot", "quickbooks")
    second = bill(world)
    pay(world, first, "119.00")
    pay(world, second, "19.00")
    await world.next_sweep()
    before = _numbers(world)
    assert len(before) == 2
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    await world.activate_all()
    await world.next_sweep()
    assert _numbers(world) == before
    assert sorted(one["due"] for one in shown(world, "quickbooks")) == ["0.00", "100.00"]
    assert len(shown(world, "quickbooks", "payment")) == 2
    assert held(world) == []
    assert failing(world) == []


async def test_documents_that_are_dated_ahead_are_found_too() -> None:
    """Somebody bills and books next month's day today; at QuickBooks a second payment would be refused by nothing."""
    world = await billing()
    world.names = ("stripe", "hubspot")
    await world.next_sweep()
    backup = backed_up(world)
    world.names = ("stripe", "hubspot", "quickbooks")
    invoice = bill(world, issued_on="2027-01-15", due_on="2027-02-15")
    pay(world, invoice, "19.00", received_on="2027-01-15")
    await world.next_sweep()
    assert len(shown(world, "quickbooks", "payment")) == 1
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    await world.activate_all()
    await world.next_sweep()
    assert [one["due"] for one in shown(world, "quickbooks")] == ["100.00"]
    assert len(shown(world, "quickbooks", "payment")) == 1
    assert held(world) == []
    assert failing(world) == []


async def test_a_copy_that_was_made_again_after_the_backup_is_not_made_a_third_time() -> None:
    """The older database asks about the first one once more, and the answer finds the second."""
    world = await billing()
    invoice = bill(world)
    pay(world, invoice, "19.00")
    await world.next_sweep()
    books = world.lookalikes["quickbooks"]
    (first,) = books.neutral("payment")
    books.delete("payment", first)
    await world.next_sweep()
    backup = backed_up(world)
    await _recreate(world)
    (second,) = books.neutral("payment")
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    await world.activate_all()
    await _recreate(world)
    assert list(books.neutral("payment")) == [second]
    assert [one["due"] for one in shown(world, "quickbooks")] == ["100.00"]


async def test_what_was_billed_between_the_first_activation_and_the_one_after_a_restore_is_still_copied() -> None:
    """Where policy names no day, that of the first activation counts: the second is not a new beginning of the books.

    What was booked before it would be followed by nobody, and what was not yet would never be.
    """
    world = await billing(stripe_to_books(quickbooks=DocumentPolicy(mirrors=KINDS)))
    backup = backed_up(world)
    booked = bill(world)
    await world.next_sweep()
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    bill(world)
    pay(world, booked, "119.00")
    await world.activate_all()
    await world.next_sweep()
    assert sorted(one["due"] for one in shown(world, "quickbooks")) == ["0.00", "119.00"]
    assert held(world) == []
    assert failing(world) == []


async def test_a_copy_that_was_forgotten_follows_a_void_that_came_before_anybody_remembered_it() -> None:
    """The older database first hears of the invoice when it is void: its copy stayed open, and nobody was told.

    Of one that was never copied nothing is made, and what is not there is looked for once.
    """
    world = await billing()
    backup = backed_up(world)
    invoice = bill(world)
    await world.next_sweep()
    assert [one["status"] for one in shown(world, "quickbooks")] == ["open"]
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    never_copied = bill(world)
    world.lookalikes["stripe"].edit("invoice", never_copied, {"status": "void"})
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    await world.activate_all()
    await world.next_sweep()
    assert [one["status"] for one in shown(world, "quickbooks")] == ["void"]
    assert held(world) == []
    assert failing(world) == []
    before = world.db.read_now(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(MAPPINGS)).scalar_one())
    world.clock.time += 2 * 86_400
    await world.next_sweep()
    after = world.db.read_now(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(MAPPINGS)).scalar_one())
    assert after == before


async def test_a_forgotten_copy_at_hubspot_follows_a_void_of_the_books_which_tells_no_amounts() -> None:
    """QuickBooks puts all of a void to nothing, and the older database never knew what it was: a person was asked."""
    policies = {"quickbooks": DocumentPolicy(originates=KINDS), "hubspot": DocumentPolicy(mirrors=("invoice",))}
    world = await billing(with_documents(policies, {}, {}))
    backup = backed_up(world)
    invoice = bill(world, "quickbooks", number="Q-1")
    await world.next_sweep()
    assert [(one["status"], one["due"]) for one in shown(world, "hubspot")] == [("open", "119.00")]
    world.lookalikes["quickbooks"].edit("invoice", invoice, {"status": "void"})
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    await world.activate_all()
    await world.next_sweep()
    assert [(one["status"], one["due"]) for one in shown(world, "hubspot")] == [("void", "0.00")]
    assert held(world) == []
    assert failing(world) == []


async def test_a_payment_that_was_looked_for_and_made_after_the_backup_is_not_booked_twice() -> None:
    """Made under a second marker, since the first request was lost, it was nobody's to the older database."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    backup = backed_up(world)
    pay(world, invoice, "19.00")
    through = world.exchanges["quickbooks"]

    def lost(request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and "/payment?" in request.url:
            raise Crash
        return through(request)

    world.exchanges["quickbooks"] = lost
    with pytest.raises(Crash):
        await world.next_sweep()
    world.exchanges["quickbooks"] = through
    world.clock.time += 5 * 3_600
    world.start()
    await world.settle(patience=7200.0)
    await world.next_sweep()
    assert len(shown(world, "quickbooks", "payment")) == 1
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    await world.activate_all()
    await world.next_sweep()
    assert len(shown(world, "quickbooks", "payment")) == 1
    assert [one["due"] for one in shown(world, "quickbooks")] == ["100.00"]
    assert held(world) == []
    assert failing(world) == []


async def _recreate(world: World) -> None:
    for hold in held(world, "remote_gone"):
        await answer(world, hold, "recreate")
    await world.next_sweep()


async def test_a_payment_that_was_copied_after_the_backup_and_cannot_be_read_is_not_booked_again() -> None:
    """It counted as not there: the books have no number that would have kept a second payment out."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    backup = backed_up(world)
    pay(world, invoice, "19.00")
    await world.next_sweep()
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    (booked,) = world.lookalikes["quickbooks"].objects("payment").values()
    assert isinstance(booked, dict)
    booked["TxnDate"] = "soon"
    await world.activate_all()
    await world.next_sweep()
    assert len(world.lookalikes["quickbooks"].objects("payment")) == 1
    assert any("cannot be read" in one.message for one in failing(world))


async def test_a_copy_that_is_there_twice_after_a_restore_is_asked_about_and_not_made_a_third_time() -> None:
    """Somebody had made another payment of the copy, note and all: neither was linked, and 19.00 were booked again."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    backup = backed_up(world)
    pay(world, invoice, "19.00")
    await world.next_sweep()
    books = world.lookalikes["quickbooks"]
    ((copy_id, booked),) = books.neutral("payment").items()
    wanted = ("customer", "currency", "amount", "received_on")
    other = books.edit("payment", None, {name: booked[name] for name in wanted})
    raw = books.objects("payment")
    twin = raw[other]
    assert isinstance(twin, dict)
    twin["PrivateNote"] = raw[copy_id]["PrivateNote"]
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    await world.activate_all()
    await world.next_sweep()
    assert sorted(books.neutral("payment")) == sorted([copy_id, other])
    (asked,) = held(world)
    assert (asked.reason, asked.detail["candidates"]) == ("rejected", sorted([copy_id, other]))
    books.delete("payment", other)
    await answer(world, asked, "retry")
    await world.next_sweep()
    assert list(books.neutral("payment")) == [copy_id]
    assert held(world) == []


async def test_a_copy_at_stripe_that_search_does_not_show_yet_is_not_made_again() -> None:
    """In an outage Search is an hour behind; an invoice without a number would be refused by nothing."""
    world = await booking()
    stripe = world.lookalikes["stripe"]
    stripe.settings = replace(stripe.settings, search_lag_seconds=3600.0)
    await world.next_sweep()
    backup = backed_up(world)
    bill(world, "quickbooks", LINE)
    await world.next_sweep()
    (copy,) = stripe.objects("invoice")
    put_back(world, backup)
    await world.activate_all()
    await world.next_sweep()
    assert list(stripe.objects("invoice")) == [copy]
    at_rest(world)


async def test_a_copy_that_search_does_not_show_yet_is_not_made_again_when_its_document_has_changed() -> None:
    """What is sent is another thing by now, under another key: the copy stood there twice, and both could be paid."""
    world = await booking()
    stripe = world.lookalikes["stripe"]
    stripe.settings = replace(stripe.settings, search_lag_seconds=3600.0)
    await world.next_sweep()
    backup = backed_up(world)
    invoice = bill(world, "quickbooks", LINE)
    await world.next_sweep()
    (copy,) = stripe.objects("invoice")
    world.lookalikes["quickbooks"].edit("invoice", invoice, {"due_on": "2026-12-28"})
    put_back(world, backup)
    await world.activate_all()
    await world.next_sweep()
    assert list(stripe.objects("invoice")) == [copy]


def _numbers(world: World) -> Counter[str]:
    return Counter(one["number"] for one in shown(world, "quickbooks"))


async def test_a_copy_whose_document_was_deleted_since_the_backup_is_told_of() -> None:
    """Nobody remembered it, and what was to be taken there passed over it: Stripe's customer could pay it for ever.

    One whose document is still there is tied again, and is no question.
    """
    policies = {
        "quickbooks": DocumentPolicy(originates=KINDS),
        "stripe": DocumentPolicy(originates=KINDS, mirrors=KINDS, since=SINCE),
    }
    world = await billing(
        with_documents(policies, {"quickbooks": BOOKS, "stripe": {"mirror_open_invoices": "yes"}}, {})
    )
    backup = backed_up(world)
    deleted = bill(world, "quickbooks", LINE, number="Q-1")
    bill(world, "quickbooks", LINE, number="Q-2")
    await world.next_sweep()
    (copy,) = [name for name, one in world.lookalikes["stripe"].neutral("invoice").items() if one["number"] == "Q-1"]
    world.lookalikes["quickbooks"].delete("invoice", deleted)
    world.clock.time += 2 * 86_400
    put_back(world, backup)
    await world.activate_all()
    for _ in range(3):
        await world.next_sweep()
        await world.settle(patience=7200.0)
    assert held(world) == []
    assert failing(world) == []
    (wait,) = _waiting_invoices(world)
    assert (wait.connection, wait.remote_id, wait.number) == ("stripe", copy, "Q-1")
    assert "nobody remembers of what" in wait.why
    world.lookalikes["stripe"].edit("invoice", copy, {"status": "void"})
    await world.next_sweep()
    assert _waiting_invoices(world) == []


def _waiting_invoices(world: World) -> list[Wait]:
    return [one for one in world.db.read_now(lambda tx: read_waits(tx, world.hub, None)) if one.kind == "invoice"]


async def test_documents_that_are_dated_ahead_are_found_however_late_their_origin_is_active_again() -> None:
    """It was not looked for when a week had gone by: what had been taken in then counted as made after the restore."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    backup = backed_up(world)
    pay(world, invoice, "19.00", received_on="2026-12-05")
    await world.next_sweep()
    (copy,) = world.lookalikes["quickbooks"].neutral("payment")
    put_back(world, backup)
    world.clock.time += 21 * 86_400
    await world.activate_all()
    await world.next_sweep()
    assert list(world.lookalikes["quickbooks"].neutral("payment")) == [copy]
    assert (held(world), failing(world)) == ([], [])
