"""A period ends where its documents are dated: it is not closed before it has ended at each origin."""

from __future__ import annotations

import pytest

from core.model.documents import KINDS, Invoice
from core.model.policy import DocumentPolicy
from core.store import connections
from core.sync.documents.tie_out import is_tied
from tests.integration.documents.test_grounds import at, closed, ground
from tests.integration.documents.test_unheard import FROM_BOOKS, SOLD
from tests.support.acting import all_day, answer, held, with_settings
from tests.support.lookalikes import stripe_of
from tests.support.paper import BOOKS, SINCE, at_rest, bill, billing, documents_of, pay, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def in_new_york() -> World:
    """Stripe's documents are dated by New York's days, and copied to QuickBooks."""
    policies = {
        "stripe": DocumentPolicy(originates=KINDS),
        "quickbooks": DocumentPolicy(mirrors=KINDS, since=SINCE),
    }
    settings = {"quickbooks": BOOKS, "stripe": {"time_zone": "America/New_York"}}
    return await billing(with_documents(policies, settings, {}))


async def test_a_month_is_not_over_before_it_has_ended_where_its_bills_are_dated() -> None:
    """In New York it is the 30th until five in the morning UTC: that evening's bill came after the close."""
    world = await in_new_york()
    world.clock.time = at(2026, 12, 1, 3)
    await world.settle()
    assert not closed(world)["is_over"]
    bill(world, issued_on=None)
    await world.next_sweep()
    assert [str(one.issued_on) for one in documents_of(world, Invoice)] == ["2026-11-30"]
    world.clock.time = at(2026, 12, 1, 6)
    await world.settle()
    assert closed(world)["is_over"]
    assert is_tied(closed(world))


async def test_a_month_is_not_tied_out_on_what_was_read_before_its_end_in_the_origins_zone() -> None:
    """Stripe was last read at ten in the evening of New York's 30th: what came after that is November's."""
    world = await in_new_york()
    world.clock.time = at(2026, 12, 1, 3)
    await world.settle()
    world.names = tuple(one for one in world.names if one != "stripe")
    bill(world, issued_on=None)
    world.clock.time = at(2026, 12, 1, 13)
    await world.settle()
    assert not is_tied(closed(world))
    (problem,) = ground(world, "stripe")["problems"]
    assert "2026-12-01 05:00:00" in problem


async def test_a_zone_that_is_changed_once_documents_are_known_stops_the_connection_and_says_so() -> None:
    """Bills of an evening moved to another day, and another month, one by one as something else became of them."""
    world = await in_new_york()
    in_zone = world.config
    world.clock.time = at(2026, 12, 1, 3)
    invoice = bill(world, issued_on=None)
    await world.next_sweep()
    world.config = with_settings(in_zone, "stripe", time_zone="UTC")
    world.start()
    pay(world, invoice, "119.00")
    await world.next_sweep()
    await all_day(world)
    (row,) = [one for one in world.db.read_now(connections.every) if one.name == "stripe"]
    assert "documents were read with 'America/New_York', and it is 'UTC' now" in row.error
    assert [(str(one.issued_on), one.status) for one in documents_of(world, Invoice)] == [("2026-11-30", "open")]
    assert held(world) == []
    world.config = in_zone
    world.start()
    await all_day(world)
    assert [(str(one.issued_on), one.status) for one in documents_of(world, Invoice)] == [("2026-11-30", "paid")]
    at_rest(world)


async def test_a_zone_that_was_wrong_is_corrected_and_each_bill_of_another_day_is_asked_about() -> None:
    """Nothing moves by itself, and what falls on the same day asks nobody: there was no way out but the wrong zone."""
    world = await in_new_york()
    world.clock.time = at(2026, 11, 30, 18)
    bill(world, issued_on=None)
    await world.next_sweep()
    world.clock.time = at(2026, 12, 1, 3)
    evening = bill(world, issued_on=None)
    await world.next_sweep()
    number = world.lookalikes["stripe"].neutral("invoice")[evening]["number"]
    for was in ("Asia/Tokyo", "America/New_York"):
        world.config = with_settings(world.config, "stripe", time_zone="UTC", time_zone_was=was)
        world.start()
        await all_day(world)
        (row,) = [one for one in world.db.read_now(connections.every) if one.name == "stripe"]
        assert bool(row.error) is (was == "Asia/Tokyo")
    (asked,) = held(world)
    assert (asked.reason, asked.detail["number"]) == ("document_changed", number)
    assert asked.detail["issued_on"] == {"was": "2026-11-30", "is": "2026-12-01"}
    assert {str(one.issued_on) for one in documents_of(world, Invoice)} == {"2026-11-30"}
    await answer(world, asked, "accept")
    assert sorted(str(one.issued_on) for one in documents_of(world, Invoice)) == ["2026-11-30", "2026-12-01"]
    (copy,) = held(world)
    assert (copy.connection, copy.detail["field"]) == ("quickbooks", "issued_on")


async def test_a_zone_may_be_changed_until_a_document_is_known() -> None:
    """Who meets it when setting up corrects it, and no more."""
    world = await in_new_york()
    world.config = with_settings(world.config, "stripe", time_zone="Asia/Tokyo")
    world.start()
    world.clock.time = at(2026, 11, 30, 16)
    bill(world, issued_on=None)
    await world.next_sweep()
    assert [str(one.issued_on) for one in documents_of(world, Invoice)] == ["2026-12-01"]
    at_rest(world)


async def test_a_month_of_books_that_tell_no_zone_is_over_when_it_is_over_everywhere() -> None:
    """QuickBooks tells days: on Hawaii the 30th goes on until ten in the morning UTC."""
    policies = {
        "quickbooks": DocumentPolicy(originates=KINDS),
        "stripe": DocumentPolicy(mirrors=KINDS, since=SINCE),
    }
    world = await billing(with_documents(policies, {"quickbooks": BOOKS, "stripe": {}}, {}))
    for hour, is_over in ((9, False), (12, True)):
        world.clock.time = at(2026, 12, 1, hour)
        assert closed(world)["is_over"] is is_over


async def test_a_final_invoice_that_moved_into_a_month_keeps_that_month_open_too() -> None:
    """Its amount and its day were changed at once: December has an invoice there, of which its close did not know."""
    world = await billing(FROM_BOOKS)
    invoice = bill(world, "quickbooks", SOLD, number="QB-1")
    await world.next_sweep()
    dearer = {"lines": [{**SOLD, "unit_amount": "60.00"}], "issued_on": "2026-12-02"}
    world.lookalikes["quickbooks"].edit("invoice", invoice, dearer)
    world.clock.time = at(2026, 12, 10)
    await world.settle()
    (hold,) = held(world)
    assert hold.detail["day"] == {"was": "2026-11-18", "is": "2026-12-02"}
    for period in ("2026-11", "2026-12"):
        assert [one["remote_id"] for one in closed(world, period)["untaken"]] == [invoice], period
        assert not is_tied(closed(world, period))
    await answer(world, hold, "accept")
    assert [sum(one["matched"] + one["differs"] for one in closed(world, "2026-11")["sums"])] == [0]


async def test_a_payment_of_no_day_keeps_every_month_open_until_it_is_booked() -> None:
    """Stripe told of no time: the books cannot take it, and no month missed it."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    payment = pay(world, invoice, "119.00")
    things = stripe_of(world).ledger.things["invoice_payment"]
    things[payment] = {**things[payment], "status_transitions": {"paid_at": None, "canceled_at": None}}
    await world.next_sweep()
    assert [one.detail["field"] for one in held(world)] == ["received_on"]
    for period in ("2026-11", "2026-10"):
        missing = [(one["kind"], one["outcome"]) for one in closed(world, period)["differences"]]
        assert ("payment", "missing") in missing, period
        assert not is_tied(closed(world, period))


async def test_what_is_void_is_counted_and_comes_to_nothing() -> None:
    """The books say 119.00 for the month; the close said 238.00, as if nobody had voided anything."""
    world = await billing()
    bill(world)
    void = bill(world)
    await world.next_sweep()
    world.lookalikes["stripe"].edit("invoice", void, {"status": "void"})
    await world.next_sweep()
    (told,) = closed(world)["sums"]
    assert (told["matched"], told["amount"], told["matched_amount"]) == (2, "119.00", "119.00")
    assert is_tied(closed(world))
