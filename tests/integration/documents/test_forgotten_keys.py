"""QuickBooks tells nobody how long it remembers a request id: what it may have made is looked for, not sent again."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from core.ports import Clock, HttpRequest
from tests.support.crashes import died_with_the_answer
from tests.support.lookalikes import quickbooks_of
from tests.support.paper import at_rest, bill, billing, is_silent, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio

HOUR = 3600


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

    def is_write(request: HttpRequest) -> bool:
        return request.method == "POST" and re.search(r"/(invoice|payment|creditmemo)\?", request.url) is not None

    await died_with_the_answer(world, "quickbooks", is_write, down=5 * HOUR)

    assert len(shown(world, "quickbooks", kind)) == 1
    at_rest(world)
    await is_silent(world)


class Behind:
    """QuickBooks' own clock, an hour behind ours."""

    def __init__(self, ours: Clock) -> None:
        """By ours."""
        self._ours = ours

    def now(self) -> float:
        """Tell the time."""
        return self._ours.now() - HOUR

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._ours.sleep(seconds)


async def test_a_payment_without_an_answer_is_booked_once_though_our_clock_is_fast() -> None:
    """By QuickBooks' clock it was made before it was sent: nobody looked so far back, and it was booked twice."""
    world = await forgetful()
    quickbooks_of(world)._clock = Behind(world.clock)
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "50.00")

    def is_write(request: HttpRequest) -> bool:
        return request.method == "POST" and re.search(r"/(payment|batch)\?", request.url) is not None

    await died_with_the_answer(world, "quickbooks", is_write, down=5 * HOUR)

    assert [one["amount"] for one in shown(world, "quickbooks", "payment")] == ["50.00"]
    at_rest(world)
