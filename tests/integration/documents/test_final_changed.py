"""What was final stays as it was: a change of it at its origin is asked about, and taken when a person says so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from core.model import holds
from core.model.documents import Invoice
from core.sync.documents.thawing import was_and_is
from core.sync.documents.tie_out import is_tied, tie_out
from tests.integration.documents.test_unheard import FROM_BOOKS, SOLD
from tests.support.acting import answer, failing, held
from tests.support.lookalikes import stripe_of
from tests.support.paper import at_rest, bill, billing, documents_of, is_silent, papers, pay, shown
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio
DEARER = {**SOLD, "unit_amount": "60.00"}


def sell_at(world: World, invoice: str, line: dict[str, str]) -> None:
    """Somebody edits the line of an invoice in QuickBooks, which lets them."""
    world.lookalikes["quickbooks"].edit("invoice", invoice, {"lines": [line]})


def closed(world: World, period: str = "2026-11") -> dict[str, Any]:
    """The tie-out of a month."""
    return world.db.read_now(lambda tx: tie_out(tx, world.hub, period))


async def edited() -> tuple[World, str]:
    """An invoice of 119.00 that is copied, and is 139.00 where it was made by now."""
    world = await billing(FROM_BOOKS)
    invoice = bill(world, "quickbooks", SOLD, number="QB-1")
    await world.next_sweep()
    at_rest(world)
    sell_at(world, invoice, DEARER)
    await world.next_sweep()
    return world, invoice


async def test_an_amount_that_changed_when_it_was_final_is_asked_about_with_both() -> None:
    """The customer has the other one in hand. Until somebody says so nothing moves, and the month is not tied out."""
    world, _ = await edited()
    (one,) = held(world)
    assert (one.connection, one.reason) == ("quickbooks", holds.DOCUMENT_CHANGED)
    assert one.detail["total"] == {"was": "119.00", "is": "139.00"}
    assert "lines" in one.detail["fields"]
    assert one.detail["lines"] == {"was": "Seats: 100.00, tax 19.00", "is": "Seats: 120.00, tax 19.00"}
    assert [str(one.total) for one in documents_of(world, Invoice)] == ["119.00"]
    for name in ("hubspot", "stripe"):
        assert [str(copy["total"]) for copy in shown(world, name)] == ["119.00"], name
    assert not is_tied(closed(world))


async def test_words_that_changed_are_shown_where_no_amount_did() -> None:
    """Only that lines changed was told, and whoever was asked had to compare every one of them by hand."""
    world = await billing(FROM_BOOKS)
    some = [{**SOLD, "description": f"Seats {number}"} for number in range(9)]
    invoice = bill(world, "quickbooks", *some, number="QB-1")
    await world.next_sweep()
    books = world.lookalikes["quickbooks"]
    books.edit("invoice", invoice, {"lines": [{**some[0], "description": "Chairs"}, *some[1:]]})
    await world.next_sweep()
    (one,) = held(world)
    assert one.detail["fields"] == ["lines"]
    assert one.detail["lines"] == {"was": "Seats 0: 100.00, tax 19.00", "is": "Chairs: 100.00, tax 19.00"}

    books.edit("invoice", invoice, {"lines": [*some[1:], {**some[0], "discount": "1.00"}]})
    await world.next_sweep()
    (one,) = held(world)
    assert one.detail["lines"]["was"].endswith("; 4 more")
    (document,) = documents_of(world, Invoice)
    turned = replace(document, lines=document.lines[::-1])
    assert was_and_is("lines", document, turned) == {"was": "the same lines", "is": "in another order"}


async def test_lines_that_differ_in_no_amount_are_told_apart() -> None:
    """Two at 50.00 became one at 100.00, and the question showed the same words on both sides."""
    world = await billing(FROM_BOOKS)
    invoice = bill(world, "quickbooks", SOLD, number="QB-1")
    await world.next_sweep()
    sell_at(world, invoice, {**SOLD, "quantity": "1", "unit_amount": "100.00"})
    await world.next_sweep()
    (one,) = held(world)
    told = one.detail["lines"]
    assert told["was"].startswith("Seats: 100.00, tax 19.00, 2 at 50")
    assert told["is"].startswith("Seats: 100.00, tax 19.00, 1 at 100")


async def test_a_line_that_reads_the_same_is_told_apart_whatever_else_changed() -> None:
    """Beside another line's amount, the product of this one was another, and both sides said the same of it."""
    world = await billing(FROM_BOOKS)
    bill(world, "quickbooks", SOLD, SOLD, number="QB-1")
    await world.next_sweep()
    (paper,) = papers(world)
    before = paper.document
    assert isinstance(before, Invoice)
    first, second = before.lines
    after = replace(before, lines=(replace(first, product="another"), replace(second, amount=Decimal("7.00"))))
    told = was_and_is("lines", before, after)
    assert "another" in told["is"]
    assert "another" not in told["was"]


async def test_a_close_names_what_is_asked_about_where_it_was_made() -> None:
    """It named an id of QuickBooks' that no page there shows, and not what to do."""
    world, invoice = await edited()
    (one,) = closed(world)["untaken"]
    told = (one["remote_id"], one["number"], one["issued_on"], one["amount"], one["currency"])
    assert told == (invoice, "QB-1", "2026-11-18", "119.00", "USD")
    assert "`accord explain QB-1`" in one["cure"]


async def test_it_is_asked_about_until_it_is_undone_or_accepted() -> None:
    """`retry` looks again, and finds the same; an edit that is taken back was none."""
    world, invoice = await edited()
    (one,) = held(world)
    await answer(world, one, "retry")
    assert [asked.reason for asked in held(world)] == [holds.DOCUMENT_CHANGED]
    sell_at(world, invoice, SOLD)
    await world.next_sweep()
    at_rest(world)
    assert is_tied(closed(world))


async def test_what_a_person_accepts_is_taken_and_its_copies_are_not_overwritten() -> None:
    """An answer is good for what was seen: the next edit is a question of its own."""
    world, invoice = await edited()
    (one,) = held(world)
    await answer(world, one, "accept")
    assert [str(one.total) for one in documents_of(world, Invoice)] == ["139.00"]
    for name in ("hubspot", "stripe"):
        assert [str(copy["total"]) for copy in shown(world, name)] == ["119.00"], name
    assert {asked.connection for asked in held(world)} == {"hubspot", "stripe"}
    sell_at(world, invoice, SOLD)
    await world.next_sweep()
    (again,) = [asked for asked in held(world) if asked.connection == "quickbooks"]
    assert again.detail["total"] == {"was": "139.00", "is": "119.00"}


@pytest.mark.parametrize(("kind", "field"), [("invoice", "issued_on"), ("payment", "received_on")])
async def test_a_day_that_changed_when_it_was_final_is_asked_about(kind: str, field: str) -> None:
    """It may be of a month that is closed by now, and Stripe dates nothing anew: the months would differ, unasked."""
    world = await billing(FROM_BOOKS)
    invoice = bill(world, "quickbooks", SOLD, number="QB-1", issued_on="2026-11-18")
    paid = pay(world, invoice, "119.00", "quickbooks", received_on="2026-11-20")
    await world.next_sweep()
    at_rest(world)
    moved = invoice if kind == "invoice" else paid
    world.lookalikes["quickbooks"].edit(kind, moved, {field: "2026-10-31"})
    await world.next_sweep()
    (one,) = held(world)
    assert (one.connection, one.reason, one.detail["fields"]) == ("quickbooks", holds.DOCUMENT_CHANGED, [field])
    for period in ("2026-10", "2026-11"):
        assert [odd["remote_id"] for odd in closed(world, period)["untaken"]] == [moved], period
    await answer(world, one, "accept")
    (stripe,) = held(world)
    assert (stripe.connection, stripe.reason, stripe.detail["field"]) == ("stripe", holds.REJECTED, field)
    odd = [(one["connection"], one["kind"], one["outcome"]) for one in closed(world, "2026-10")["differences"]]
    assert odd == [("stripe", kind, "differs")]
    world.lookalikes["quickbooks"].edit(kind, moved, {field: one.detail[field]["was"]})
    await world.next_sweep()
    (back,) = [asked for asked in held(world) if asked.connection == "quickbooks"]
    await answer(world, back, "accept")
    at_rest(world)
    assert is_tied(closed(world))


async def test_another_number_of_a_credit_note_is_asked_about_as_an_invoices_is() -> None:
    """The customer has the other one in hand: it was taken without a word, and the copy bore the old one for good.

    Once it is accepted, the copy at Stripe has it, too: its number stands there among what can still be changed.
    """
    world = await billing(FROM_BOOKS)
    books = world.lookalikes["quickbooks"]
    invoice = bill(world, "quickbooks", SOLD, number="QB-1")
    of = {"customer": next(iter(world.neutral("quickbooks"))), "currency": "USD", "invoice": invoice}
    lines = [{"description": "Sorry", "amount": "9.00"}]
    note = books.edit("credit_note", None, {**of, "number": "C-1", "applied": "9.00", "lines": lines})
    await world.next_sweep()
    at_rest(world)
    books.edit("credit_note", note, {"number": "C-2"})
    await world.next_sweep()
    (one,) = held(world)
    assert (one.connection, one.reason) == ("quickbooks", holds.DOCUMENT_CHANGED)
    assert one.detail["number"] == {"was": "C-1", "is": "C-2"}
    (there,) = shown(world, "stripe", "credit_note")
    assert there["number"] == "C-1"
    await answer(world, one, "accept")
    (there,) = shown(world, "stripe", "credit_note")
    assert there["number"] == "C-2"
    at_rest(world)
    assert is_tied(closed(world))
    await is_silent(world)


async def test_no_copy_is_made_of_what_was_before_that_is_answered() -> None:
    """It was made of 119.00 at Stripe, too, where nothing final can be changed: it was wrong from the first day."""
    world = await billing(FROM_BOOKS)
    world.names = ("quickbooks", "hubspot")
    invoice = bill(world, "quickbooks", SOLD, number="QB-1")
    await world.next_sweep()
    sell_at(world, invoice, DEARER)
    await world.next_sweep()
    world.names = NAMES
    await world.next_sweep()
    assert shown(world, "stripe") == []
    (one,) = held(world)
    await answer(world, one, "accept")
    world.clock.time += 3600
    await world.settle()
    assert [str(copy["total"]) for copy in shown(world, "stripe")] == ["139.00"]


async def test_a_void_invoice_that_is_open_again_is_asked_about() -> None:
    """No state follows void: its copies are void, and would stay so."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    await world.next_sweep()
    things = stripe_of(world).ledger.things["invoice"]
    things[invoice] = {**things[invoice], "status": "open"}
    world.clock.time += 90_000
    await world.settle()
    (one,) = held(world)
    assert (one.reason, one.detail["fields"]) == (holds.DOCUMENT_CHANGED, ["status"])
    assert one.detail["status"] == {"was": "void", "is": "open"}
    assert [paper.document.status for paper in papers(world)] == ["void"]
    assert [copy["status"] for copy in shown(world, "quickbooks")] == ["void"]


async def test_an_invoice_that_does_not_add_up_is_not_taken_and_keeps_its_month_open() -> None:
    """What is paid and what is due come to more than the total: whichever of them is wrong, a copy would be, too."""
    world = await billing()
    invoice = bill(world)
    things = stripe_of(world).ledger.things["invoice"]
    things[invoice] = {**things[invoice], "amount_paid": 100}
    world.clock.time += 90_000
    await world.settle()
    assert papers(world) == []
    assert shown(world, "quickbooks") == []
    (one,) = failing(world)
    assert "119" in one.message
    assert [odd["remote_id"] for odd in closed(world)["untaken"]] == [invoice]
