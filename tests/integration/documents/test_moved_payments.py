"""A payment that a bookkeeper moves to another invoice: its copy stays where it is, and every question says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from core.model.documents import KINDS
from core.model.holds import BALANCE_DIFFERS
from core.model.policy import DocumentPolicy
from tests.support.acting import held
from tests.support.entities import EU, US, company, two_books
from tests.support.paper import SINCE, at_rest, bill, billing, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio
COPIES = DocumentPolicy(mirrors=KINDS, since=SINCE)
LINE = {"amount": "100.00", "product": "1"}


async def moved(world: World, books: str) -> None:
    """It was recorded on the wrong one of two invoices."""
    wrong, right = (bill(world, books, LINE, number=one) for one in ("B-1", "B-2"))
    await world.next_sweep()
    payment = pay(world, wrong, "100.00", books)
    await world.next_sweep()
    at_rest(world)
    changed = {"applications": [{"invoice": right, "amount": "100.00"}]}
    world.lookalikes[books].edit("payment", payment, changed)
    await world.next_sweep()


def of_invoices(world: World) -> dict[str, tuple[str, str]]:
    """What is asked about the invoices' copies: problem and cure, by number."""
    found = [one.detail for one in held(world, BALANCE_DIFFERS)]
    return {str(one["number"]): (str(one["problem"]), str(one["cure"])) for one in found}


async def to_other_books() -> World:
    """One company's books are copied to another one's."""
    policies = {"quickbooks_eu": DocumentPolicy(originates=KINDS), "quickbooks_us": COPIES}
    world = await company(two_books(stripe=DocumentPolicy(), **policies), ada="")
    await moved(world, EU)
    return world


async def to_stripe() -> World:
    """Stripe names no payment that settles an invoice."""
    policies = {"quickbooks": DocumentPolicy(originates=KINDS), "stripe": COPIES}
    world = await billing(with_documents(policies, {"stripe": {"mirror_open_invoices": "yes"}}, {}))
    await moved(world, "quickbooks")
    return world


@pytest.mark.parametrize("prepared", [to_other_books, to_stripe])
async def test_the_copy_of_a_moved_payment_is_not_called_somebody_elses(
    prepared: Callable[[], Awaitable[World]],
) -> None:
    """Whoever recorded it where the invoice was made, as was asked for, had it there twice."""
    world = await prepared()
    (payment,) = [one for one in held(world) if one.detail["document"] == "payment"]
    asked = of_invoices(world)
    assert sorted(asked) == ["B-1", "B-2"]
    for problem, cure in asked.values():
        assert f"is held by itself ({payment.id})" in problem
        assert "not from here" not in problem
        assert cure == f"do what the hold of payment {payment.detail['number']} asks for: this goes by itself then"


async def test_a_copy_that_is_taken_off_the_wrong_invoice_settles_the_right_one() -> None:
    """And nothing is asked any more."""
    world = await to_other_books()
    (copy,) = world.lookalikes[US].neutral("payment")
    world.lookalikes[US].edit("payment", copy, {"applications": []})
    await world.next_sweep()
    at_rest(world)
    assert {one["number"]: one["due"] for one in shown(world, US)} == {"B-1": "100.00", "B-2": "0.00"}
