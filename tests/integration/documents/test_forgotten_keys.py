"""QuickBooks tells nobody how long it remembers a request id: what it may have made is looked for, not sent again."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from core.ports import HttpRequest, HttpResponse
from tests.support.crashes import Crash
from tests.support.paper import at_rest, bill, billing, is_silent, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio

HOUR = 3600


async def died_with_the_answer(world: World, path: str) -> None:
    """The process dies when QuickBooks has answered its write, and comes back five hours later."""
    through = world.exchanges["quickbooks"]

    def exchange(request: HttpRequest) -> HttpResponse:
        response = through(request)
        if request.method == "POST" and re.search(path, request.url):
            raise Crash
        return response

    world.exchanges["quickbooks"] = exchange
    with pytest.raises(Crash):
        await world.next_sweep()
    world.exchanges["quickbooks"] = through
    world.clock.time += 5 * HOUR
    world.start()
    await world.settle(patience=2.0 * HOUR)
    await world.next_sweep()


async def forgetful() -> World:
    """Stripe's documents are copied to books that remember a request id for two hours."""
    world = await billing()
    books = world.lookalikes["quickbooks"]
    books.settings = replace(books.settings, request_id_seconds=2.0 * HOUR)
    return world


def credit(world: World, invoice: str, amount: str) -> None:
    """A person credits a part of an invoice at Stripe."""
    line = {"description": "Sorry", "quantity": "1", "amount": amount}
    note = {"customer": next(iter(world.neutral("stripe"))), "currency": "USD", "invoice": invoice, "lines": [line]}
    world.lookalikes["stripe"].edit("credit_note", None, {**note, "applied": amount})


@pytest.mark.parametrize("kind", ["invoice", "payment", "credit_note"])
async def test_a_copy_whose_request_id_may_be_forgotten_is_looked_for_before_it_is_made_again(kind: str) -> None:
    """The books had the payment twice: its id was trusted for a day."""
    world = await forgetful()
    invoice = bill(world)
    if kind != "invoice":
        await world.next_sweep()
        (pay if kind == "payment" else credit)(world, invoice, "50.00")

    await died_with_the_answer(world, r"/(invoice|payment|creditmemo)\?")

    assert len(shown(world, "quickbooks", kind)) == 1
    at_rest(world)
    await is_silent(world)
