"""An invoice has one collector, its origin: whoever lets another system collect its copy, it does not stay so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.acting import held
from tests.support.paper import at_rest, bill, billing, is_silent, pay

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "switched",
    [{"AllowOnlineCreditCardPayment": True}, {"AllowOnlineACHPayment": True}, {"EmailStatus": "NeedToSend"}],
)
async def test_a_copy_in_the_books_that_somebody_made_payable_is_payable_no_more(switched: dict[str, Any]) -> None:
    """Its customer would have paid a second time, into another account."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    books = world.lookalikes["quickbooks"]
    (copy,) = books.neutral("invoice")
    books.edit("invoice", copy, {"extra": switched})

    await world.next_sweep()

    (row,) = books.objects("invoice").values()
    assert {name: row[name] for name in switched} != switched
    assert (str(row["TotalAmt"]), str(row["TxnTaxDetail"]["TotalTax"])) == ("119.00", "19.00")
    at_rest(world)
    pay(world, invoice, "119.00")
    await world.next_sweep()
    assert books.neutral("invoice")[copy]["due"] == "0.00"
    await is_silent(world)


async def test_a_copy_whose_amount_was_edited_too_is_not_payable_and_asked_about() -> None:
    """What waits for a person must not be collected meanwhile."""
    world = await billing()
    bill(world)
    await world.next_sweep()
    books = world.lookalikes["quickbooks"]
    (copy,) = books.neutral("invoice")
    lines = [{"description": "Seats", "amount": "90.00", "quantity": "1"}]
    books.edit("invoice", copy, {"lines": lines, "extra": {"AllowOnlineCreditCardPayment": True}})

    await world.next_sweep()

    (row,) = books.objects("invoice").values()
    assert row["AllowOnlineCreditCardPayment"] is False
    assert books.neutral("invoice")[copy]["total"] == "90.00"
    (hold,) = held(world)
    assert hold.detail["field"] == "total"
