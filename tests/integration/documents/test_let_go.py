"""What a person lets go of is told by a close, and what it settled is looked at again."""

from __future__ import annotations

import pytest

from core.sync.documents.tie_out import is_tied
from tests.integration.documents.test_grounds import closed
from tests.integration.documents.test_payments_at_copies import BACK, billed
from tests.integration.documents.test_unheard import FROM_BOOKS, SOLD
from tests.support.acting import answer, held
from tests.support.paper import bill, billing, pay

pytestmark = pytest.mark.anyio


async def test_a_payment_that_goes_to_no_origin_after_all_is_asked_about_where_it_was_recorded() -> None:
    """It is left at Stripe, which goes on asking for 119.00; the books say paid, and the month tied out."""
    world, _, copy = await billed(BACK)
    pay(world, copy, "150.00", "quickbooks", applications=[{"invoice": copy, "amount": "119.00"}])
    await world.next_sweep()
    (asked,) = held(world)
    assert asked.connection == "stripe"
    await answer(world, asked, "leave")
    await world.settle()
    (other,) = held(world)
    assert (other.connection, other.reason, other.detail["there"]) == ("quickbooks", "balance_differs", "0.00")
    assert not is_tied(closed(world))


async def test_an_invoice_that_is_gone_at_its_origin_and_was_left_is_told_by_a_close() -> None:
    """Its copies go on as if it were there: the month tied out, and nothing told of it."""
    world = await billing(FROM_BOOKS)
    invoice = bill(world, "quickbooks", SOLD, number="QB-1")
    await world.next_sweep()
    world.lookalikes["quickbooks"].delete("invoice", invoice)
    await world.next_sweep()
    (asked,) = held(world)
    assert asked.reason == "document_gone"
    await answer(world, asked, "leave")
    await world.settle()
    (told,) = closed(world)["left"]
    assert (told["connection"], told["number"], told["outcome"]) == ("quickbooks", "QB-1", "left")
    assert told["by"]


@pytest.mark.parametrize("choice", ["accept", "leave"])
async def test_a_paid_invoice_that_is_gone_with_its_payment_lets_its_month_be_closed(choice: str) -> None:
    """Its payment counted as one that nobody tells of, for ever, and there was no question to answer."""
    world = await billing(FROM_BOOKS)
    invoice = bill(world, "quickbooks", SOLD, number="QB-1")
    payment = pay(world, invoice, "119.00", "quickbooks")
    await world.next_sweep()
    for kind, name in (("payment", payment), ("invoice", invoice)):
        world.lookalikes["quickbooks"].delete(kind, name)
    await world.next_sweep()
    for _ in range(3):
        for asked in held(world):
            gone = asked.reason == "document_gone"
            is_invoice = asked.detail["document"] == "invoice"
            await answer(world, asked, (choice if is_invoice else "accept") if gone else "leave")
        await world.next_sweep()
    assert held(world) == []
    assert closed(world)["unaccounted"] == []
    assert is_tied(closed(world))
