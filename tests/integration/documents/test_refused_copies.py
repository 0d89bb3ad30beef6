"""A copy that was refused is tried again as a new one: a provider may give its refusal back under the old key."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace

import pytest

from core.errors import AmbiguousError
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from tests.support.acting import answer, held
from tests.support.crashes import Crash
from tests.support.paper import SINCE, at_rest, bill, billing, is_silent, shown, stripe_to_books, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio

LINE = {"description": "Seats", "product": "1", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"}
BOOKS_TO_STRIPE = with_documents(
    {"quickbooks": DocumentPolicy(originates=KINDS), "stripe": DocumentPolicy(mirrors=KINDS, since=SINCE)},
    {"stripe": {"mirror_open_invoices": "yes"}},
    {},
)


CREATES = {"stripe": r"/v1/invoices(\?|$)", "quickbooks": r"/(invoice|batch)\?"}
DAY = 86_400


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


def strike(world: World, name: str, fates: list[str]) -> None:
    """Each create of an invoice meets the next fate; after the last one nothing befalls them."""
    through = world.exchanges[name]

    def exchange(request: HttpRequest) -> HttpResponse:
        is_create = request.method == "POST" and re.search(CREATES[name], request.url) is not None
        fate = fates.pop(0) if is_create and fates else ""
        if fate == "died before":
            raise Crash
        response = through(request)
        if fate == "died after":
            raise Crash
        if fate == "lost":
            raise AmbiguousError("no answer")
        return HttpResponse(500, {}, b"{}") if fate == "500" else response

    world.exchanges[name] = exchange


FATES = ["died after", "died before", "lost, died after", "lost, lost, lost, lost, lost", "500, 500, 500, 500, 500"]


@pytest.mark.parametrize(("origin", "copies"), [("stripe", "quickbooks"), ("quickbooks", "stripe")])
@pytest.mark.parametrize("fate", FATES)
async def test_whatever_befalls_the_second_try_of_a_refused_copy_there_is_one(
    origin: str, copies: str, fate: str
) -> None:
    """It goes out under a key of its own, which is the one that is repeated; a day later its mark is looked for."""
    world, other = await refused(origin, copies)
    (question,) = held(world, "rejected")
    world.lookalikes[copies].delete("invoice", other)
    fates = fate.split(", ")
    strike(world, copies, fates)

    with suppress(Crash):
        await answer(world, question, "retry")
    assert len(fates) < len(fate.split(", "))
    while fates and "died after" in fates:
        with suppress(Crash):
            await world.settle(patience=7200.0)
    world.clock.time += DAY + 3600
    world.start()
    await world.settle(patience=2.0 * DAY)
    await world.next_sweep()

    (copy,) = shown(world, copies)
    assert copy["number"] == shown(world, origin)[0]["number"]
    at_rest(world)
    await is_silent(world)
