"""A copy that was refused is tried again as a new one: a provider may give its refusal back under the old key."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from tests.support.acting import answer, held
from tests.support.paper import SINCE, at_rest, bill, billing, is_silent, shown, stripe_to_books, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio

LINE = {"description": "Seats", "product": "1", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"}
BOOKS_TO_STRIPE = with_documents(
    {"quickbooks": DocumentPolicy(originates=KINDS), "stripe": DocumentPolicy(mirrors=KINDS, since=SINCE)},
    {"stripe": {"mirror_open_invoices": "yes"}},
    {},
)


async def refused(origin: str, copies: str) -> tuple[World, str]:
    """An invoice whose number another one has where it is to be copied; and that other one's id."""
    world = await billing(stripe_to_books() if copies == "quickbooks" else BOOKS_TO_STRIPE)
    there = world.lookalikes[copies]
    there.settings = replace(there.settings, keeps_refusals=True)
    bill(world, origin, LINE, number="QB-1")
    (number,) = {one["number"] for one in shown(world, origin)}
    other = bill(world, copies, LINE, number=number, status="draft" if copies == "stripe" else "open")
    await world.next_sweep()
    return world, other


@pytest.mark.parametrize(("origin", "copies"), [("stripe", "quickbooks"), ("quickbooks", "stripe")])
async def test_a_copy_whose_number_was_freed_is_made_though_its_refusal_is_kept_under_its_key(
    origin: str, copies: str
) -> None:
    """It was refused with the same words for a day at Stripe, and for nobody knows how long at QuickBooks."""
    world, other = await refused(origin, copies)
    (question,) = held(world, "rejected")
    world.lookalikes[copies].delete("invoice", other)

    await answer(world, question, "retry")

    assert [(one["number"], one["total"]) for one in shown(world, copies)] == [
        (one["number"], one["total"]) for one in shown(world, origin)
    ]
    at_rest(world)
    await is_silent(world)
