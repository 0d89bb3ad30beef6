"""Books that are closed: whatever is dated in them waits for a person, and nothing is written or moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.acting import answer, held
from tests.support.paper import at_rest, bill, billing, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio
CLOSED = "2026-11-30"


def voided(world: World, invoice: str) -> None:
    """The origin takes the invoice back."""
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})


def paid(world: World, invoice: str) -> None:
    """Money came in on a day that is closed by now."""
    pay(world, invoice, "19.00")


def credited(world: World, invoice: str) -> None:
    """A credit note of the same day."""
    note = {"customer": next(iter(world.neutral("stripe"))), "currency": "USD", "invoice": invoice, "applied": "30.00"}
    lines = [{"description": "Sorry", "amount": "30.00"}]
    world.lookalikes["stripe"].edit("credit_note", None, {**note, "lines": lines})


def close(world: World, through: str | None) -> None:
    """A bookkeeper sets the closing date, or takes it back."""
    books = world.lookalikes["quickbooks"]
    books.settings = replace(books.settings, books_closed_through=through)


DUE: dict[Callable[[World, str], None], str] = {voided: "0.00", paid: "100.00", credited: "89.00"}


@pytest.mark.parametrize(("event", "kind"), [(voided, "invoice"), (paid, "payment"), (credited, "credit_note")])
async def test_what_is_dated_in_closed_books_is_held_and_follows_when_they_are_opened(
    event: Callable[[World, str], None], kind: str
) -> None:
    """The hold names the document and the day; the copy stays as it was, at its own date."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    before = world.lookalikes["quickbooks"].objects("invoice")
    written = {name: dict(row) for name, row in before.items()}
    close(world, CLOSED)
    event(world, invoice)
    for _ in range(3):
        await world.next_sweep()
    (hold,) = held(world)
    assert hold.detail["document"] == kind
    assert CLOSED in f"{hold.detail['problem']} {hold.detail['limit']}", hold.detail
    assert hold.detail["cure"]
    assert dict(world.lookalikes["quickbooks"].objects("invoice")) == written
    assert [shown(world, "quickbooks", one) for one in ("payment", "credit_note")] == [[], []]

    close(world, None)
    await answer(world, hold, "retry")
    await world.next_sweep()
    at_rest(world)
    assert [one["due"] for one in shown(world, "quickbooks")] == [DUE[event]]
    assert [one["status"] for one in shown(world, "quickbooks")] == [one["status"] for one in shown(world, "stripe")]
