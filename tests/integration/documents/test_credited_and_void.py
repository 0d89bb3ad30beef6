"""A credited invoice that is voided at Stripe: its credit note stands there, and is a credit of nothing."""

from __future__ import annotations

from typing import Any

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.sync.documents.telling import overview
from core.sync.documents.tie_out import tie_out
from tests.support.acting import answer, everybody, held
from tests.support.paper import SINCE, an_hour_later, at_rest, bill, billing, shown, stripe_to_books
from tests.support.world import World

pytestmark = pytest.mark.anyio

BOOKS = "quickbooks"


async def credited() -> tuple[World, str]:
    """An invoice of 119.00 with its copy in the books, of which 30.00 are credited at Stripe; not seen yet."""
    overviews = DocumentPolicy(mirrors=("invoice",), since=SINCE, overview=True)
    world = await billing(stripe_to_books(stripe=DocumentPolicy(originates=KINDS), hubspot=overviews))
    invoice = bill(world)
    await world.next_sweep()
    (customer,) = world.neutral("stripe")
    credit: dict[str, Any] = {"invoice": invoice, "customer": customer, "currency": "USD"}
    world.lookalikes["stripe"].edit("credit_note", None, {**credit, "lines": [{"description": "c", "amount": "30.00"}]})
    return world, invoice


def revenue(world: World) -> str:
    """What the one customer has been billed, credits taken off."""
    (ada,) = everybody(world)
    told = world.db.read_now(lambda tx: overview(tx, world.hub, ada.external_id, with_children=False))
    return str(told[0]["gross_revenue"]) if told else "0.00"


async def test_a_credit_of_what_was_voided_meanwhile_is_booked_nowhere() -> None:
    """It stood in the books as 30.00 for the customer to spend, of an invoice of which nothing was owed."""
    world, invoice = await credited()
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    await world.next_sweep()
    await an_hour_later(world)
    assert shown(world, BOOKS, "credit_note") == []
    assert [one["status"] for one in shown(world, BOOKS)] == ["void"]
    (asked,) = held(world)
    assert asked.detail["document"] == "credit_note"
    assert "is void: nothing of that is owed" in asked.detail["problem"]
    await answer(world, asked, "leave")
    await an_hour_later(world)
    at_rest(world)
    (one,) = [
        one
        for one in world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))["sums"]
        if (one["connection"], one["kind"]) == (BOOKS, "credit_note")
    ]
    assert (one["missing"], one["differs"]) == (0, 0)


async def test_a_credit_of_what_is_void_takes_nothing_off_what_a_customer_was_billed() -> None:
    """The void invoice counts nowhere: less than nothing was billed, and HubSpot showed it."""
    world, invoice = await credited()
    await world.next_sweep()
    assert revenue(world) == "89.00"
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    await world.next_sweep()
    assert revenue(world) in ("0", "0.00")
    (contact,) = world.lookalikes["hubspot"].objects("customer").values()
    assert contact["properties"]["accord_gross_revenue"] in ("", "0", "0.00")
