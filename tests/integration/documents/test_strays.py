"""An invoice that a person made of a copy: it carries the copy's mark, and is a document of its own."""

from __future__ import annotations

import pytest

from core.sync.documents.planning import Scope
from core.sync.documents.tally import Tally
from core.sync.documents.tie_out import is_tied
from core.sync.documents.untaken import count_untaken
from tests.integration.documents.test_grounds import closed
from tests.integration.documents.test_payments_at_copies import BACK, billed
from tests.support.acting import all_day, failing, held
from tests.support.paper import LINE, bill, papers
from tests.support.unheard import unheard
from tests.support.world import World

pytestmark = pytest.mark.anyio


def made_of(world: World, copy: str) -> str:
    """A bookkeeper makes another invoice of a copy, private note and all. Its id."""
    books = world.lookalikes["quickbooks"]
    made = bill(world, "quickbooks", {**LINE, "amount": "100.00", "tax": "0"}, number="BY-HAND-1")
    theirs, ours = (books.objects("invoice")[name] for name in (made, copy))
    assert isinstance(theirs, dict)
    assert isinstance(ours, dict)
    theirs["PrivateNote"] = ours["PrivateNote"]
    return made


async def another() -> tuple[World, str]:
    """One that was made, and seen. Its id."""
    world, _, copy = await billed(BACK)
    made = made_of(world, copy)
    await world.next_sweep()
    return world, made


async def test_an_invoice_that_was_made_of_a_copy_is_told_and_keeps_its_month_open() -> None:
    """It passed for the copy itself: it was in no registry, and the month tied out without it."""
    world, made = await another()
    (failure,) = failing(world)
    assert failure.subject.endswith(made)
    assert "carries the mark of a copy of ours" in failure.message
    (untaken,) = closed(world)["untaken"]
    assert (untaken["kind"], untaken["remote_id"]) == ("invoice", made)
    assert not is_tied(closed(world))
    assert held(world) == []


async def test_a_dry_run_tells_of_it_too() -> None:
    """It passed for the copy there: whoever looked before a run was told that all is taken."""
    world, made = await another()
    tally = Tally()
    books, everything = world.hub.connection("quickbooks"), Scope(kinds=("invoice",), is_whole=True)
    assert await count_untaken(world.hub, books, everything, tally) == []
    (one,) = tally.examples
    assert (one.outcome, one.number, one.amount) == ("fail", "BY-HAND-1", "100.00")
    assert "take " in one.says
    assert made in world.lookalikes["quickbooks"].objects("invoice")


async def test_it_is_taken_once_the_mark_is_out_of_it() -> None:
    """From then on it is what it is, and nothing fails."""
    world, made = await another()
    theirs = world.lookalikes["quickbooks"].objects("invoice")[made]
    assert isinstance(theirs, dict)
    theirs["PrivateNote"] = ""
    world.lookalikes["quickbooks"].edit("invoice", made, {"due_on": "2026-12-20"})
    await world.next_sweep()
    assert failing(world) == []
    assert made in {one.remote_id for one in papers(world) if one.origin == "quickbooks"}


async def test_one_that_is_void_concerns_nobody() -> None:
    """It was made by mistake."""
    world, made = await another()
    world.lookalikes["quickbooks"].edit("invoice", made, {"status": "void"})
    await world.next_sweep()
    assert failing(world) == []
    assert closed(world)["untaken"] == []


async def test_one_that_only_a_listing_shows_is_told_as_well() -> None:
    """Feeds and webhooks lose things."""
    world, _, copy = await billed(BACK)
    async with unheard(world, "quickbooks"):
        made = made_of(world, copy)
    assert failing(world) == []
    await all_day(world)
    assert [one.subject.rpartition(":")[2] for one in failing(world)] == [made]


async def test_a_credit_memo_that_was_made_of_a_copy_is_told_as_well() -> None:
    """The customer had a credit to spend in the books, and no registry, and no close, knew of it."""
    world, invoice, _ = await billed(BACK)
    books = world.lookalikes["quickbooks"]
    note = {"currency": "USD", "lines": [{"description": "Sorry", "quantity": "1", "amount": "10.00"}]}
    theirs = {**note, "customer": next(iter(world.neutral("stripe"))), "invoice": invoice, "applied": "10.00"}
    world.lookalikes["stripe"].edit("credit_note", None, theirs)
    await world.next_sweep()
    (copy,) = books.objects("credit_note")
    made = books.edit("credit_note", None, {**note, "customer": next(iter(world.neutral("quickbooks")))})
    row, ours = (books.objects("credit_note")[name] for name in (made, copy))
    assert isinstance(row, dict)
    assert isinstance(ours, dict)
    row["PrivateNote"] = ours["PrivateNote"]
    await world.next_sweep()
    (failure,) = failing(world)
    assert failure.subject.endswith(made)
    assert "is another credit note" in failure.message
    assert not is_tied(closed(world))
    row["PrivateNote"] = ""
    books.edit("credit_note", made, {"memo": "a goodwill credit"})
    await world.next_sweep()
    assert failing(world) == []
    assert made in {one.remote_id for one in papers(world, "credit_note")}
