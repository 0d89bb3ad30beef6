"""A document of Stripe's that cannot be understood is its own trouble; an answer that shows another one is none."""

from __future__ import annotations

import pytest

from core.ports import HttpRequest, HttpResponse
from core.store import connections
from core.sync.documents.payouts import payout
from tests.integration.sync.test_probes import with_half_a_pair
from tests.support.acting import failing
from tests.support.paper import bill, billing, papers, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio
LINE = {"description": "SURROGATE", "amount": "10.00"}


def trouble(world: World) -> tuple[str, float | None]:
    """What is the matter with Stripe as a whole."""
    row = world.db.read_now(lambda tx: connections.get(tx, "stripe"))
    return row.error, row.paused_until


async def test_an_invoice_with_half_a_letter_stops_no_other_one() -> None:
    """Read by its id, as its event says, it paused the whole connection, again and again."""
    world = await billing()
    plain = world.exchanges["stripe"]
    world.exchanges["stripe"] = lambda request: with_half_a_pair(plain(request))
    bill(world, "stripe", LINE)
    bill(world)
    await world.next_sweep()
    assert len(papers(world)) == len(shown(world, "quickbooks", "invoice")) == 1
    assert trouble(world) == ("", None)
    (told,) = failing(world)
    assert "lone surrogate" in told.message


async def test_a_payout_counts_a_payment_that_is_known_in_part() -> None:
    """Of two invoices of one charge the registry had one, and the charge passed for known."""
    world = await billing()
    plain = world.exchanges["stripe"]
    world.exchanges["stripe"] = lambda request: with_half_a_pair(plain(request))
    bills = [bill(world), bill(world, "stripe", LINE)]
    parts = [{"invoice": one, "amount": amount} for one, amount in zip(bills, ("119.00", "10.00"), strict=True)]
    pay(world, bills[0], "129.00", applications=parts)
    await world.next_sweep()
    sent = world.lookalikes["stripe"].edit("payout", None, {"currency": "USD"})
    found = await payout(world.hub, world.hub.connections["stripe"], sent)
    (one,) = found["movements"]
    assert (one["amount"], one["known"], len(one["payments"])) == ("129.00", "119.00", 1)
    assert found["unknown"] == 1


@pytest.mark.parametrize("odd", [b'"id": "another"', b'"id": 7'])
async def test_an_answer_that_shows_another_invoice_is_none(odd: bytes) -> None:
    """It was taken for a bug of Accord's; it is asked for again, and nothing of it is believed."""
    world = await billing()
    plain = world.exchanges["stripe"]
    left = [1, 2, 3]

    def exchange(request: HttpRequest) -> HttpResponse:
        answer = plain(request)
        if "/v1/invoices/in_" not in request.url or not left:
            return answer
        left.pop()
        name = request.url.partition("?")[0].rpartition("/")[2].encode()
        return HttpResponse(answer.status, answer.headers, answer.body.replace(b'"id": "%s"' % name, odd, 1))

    world.exchanges["stripe"] = exchange
    bill(world)
    await world.next_sweep()
    assert not left
    assert len(papers(world)) == len(shown(world, "quickbooks", "invoice")) == 1
    assert failing(world) == []
