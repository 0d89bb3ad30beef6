"""Books of a company without multicurrency, which say no currency at all: copies and origin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from tests.support.acting import failing, held
from tests.support.paper import SINCE, bill, pay, shown, stripe_to_books
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def one_currency(**policies: Any) -> World:
    """One customer everywhere; QuickBooks has US dollars and nothing else."""
    world = World(config=stripe_to_books(**policies))
    books: Any = world.lookalikes["quickbooks"]
    books.settings = replace(books.settings, is_multicurrency=False)
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    return world


async def test_copies_are_made_paid_and_credited() -> None:
    """Each was made, and its own answer refused: it stayed in doubt, and its payments waited for ever."""
    world = await one_currency()
    invoice = bill(world)
    pay(world, invoice, "50.00")
    line = {"description": "Less", "amount": "20.00", "quantity": "1"}
    note = {"customer": next(iter(world.neutral("stripe"))), "currency": "USD", "invoice": invoice, "lines": [line]}
    world.lookalikes["stripe"].edit("credit_note", None, note)
    for _ in range(4):
        await world.next_sweep()

    (copy,) = shown(world, "quickbooks")
    assert (copy["due"], failing(world), held(world)) == ("49.00", [], [])


async def test_what_is_in_another_currency_is_held_with_the_reason() -> None:
    """QuickBooks would refuse it; one in its own goes on."""
    world = await one_currency()
    bill(world, currency="EUR")
    for _ in range(3):
        await world.next_sweep()

    assert shown(world, "quickbooks") == []
    (hold,) = held(world)
    assert "EUR" in str(hold)
    assert "USD" in str(hold)


async def test_what_people_bill_there_is_taken() -> None:
    """It was refused, because it does not say in which currency it is."""
    world = await one_currency(
        quickbooks=DocumentPolicy(originates=KINDS),
        stripe=DocumentPolicy(),
        hubspot=DocumentPolicy(mirrors=("invoice",), since=SINCE),
    )
    bill(world, "quickbooks")
    for _ in range(3):
        await world.next_sweep()

    (copy,) = shown(world, "hubspot")
    assert (copy["total"], copy["currency"], failing(world)) == ("119.00", "USD", [])
