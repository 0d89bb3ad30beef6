"""A credit note that is applied part by part where it was made is applied so in other books."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from tests.support.crashes import FragileWorld
from tests.support.entities import EU, US, company, two_books
from tests.support.paper import SINCE, at_rest, bill, is_silent, shown

pytestmark = pytest.mark.anyio

SOLD = {"description": "Seats", "product": "1", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"}
HEAD = {"currency": "USD", "issued_on": "2026-11-19", "number": "C-1"}


def apply(world: FragileWorld, customer: str, invoice: str, note: str) -> None:
    """A person applies 30.00 more of a credit memo."""
    books: Any = world.lookalikes[US]
    to = (("Invoice", invoice), ("CreditMemo", note))
    lines = [{"Amount": Decimal("30.00"), "LinkedTxn": [{"TxnId": one, "TxnType": kind}]} for kind, one in to]
    head = {"CustomerRef": {"value": customer}, "CurrencyRef": {"value": "USD"}, "TotalAmt": Decimal(0)}
    books.books.create("Payment", {**head, "Line": lines}, world.clock.now())


async def test_the_second_of_two_equal_parts_of_a_credit_is_applied_too() -> None:
    """Its request was the first one's, word by word, under the same id: it was answered, and changed nothing."""
    books = {
        "stripe": DocumentPolicy(),
        "quickbooks_us": DocumentPolicy(originates=KINDS),
        "quickbooks_eu": DocumentPolicy(mirrors=KINDS, since=SINCE),
    }
    world = await company(two_books(**books), ada="us")
    await world.next_sweep()
    (customer,) = world.neutral(US)
    invoice = bill(world, US, SOLD, number="QB-1")
    credit = {**HEAD, "customer": customer, "lines": [{"amount": "60.00", "product": "1"}]}
    note = world.lookalikes[US].edit("credit_note", None, {**credit, "invoice": invoice, "applied": "30.00"})
    await world.next_sweep()
    assert [one["due"] for one in shown(world, EU)] == ["89.00"]
    apply(world, customer, invoice, note)
    await world.next_sweep()
    assert [one["due"] for one in shown(world, EU)] == ["59.00"]
    at_rest(world)
    await is_silent(world)
