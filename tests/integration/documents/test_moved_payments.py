"""A payment that a bookkeeper moves to another invoice: its copy stays where it is, and every question says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from core.model.documents import KINDS
from core.model.holds import BALANCE_DIFFERS
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from tests.support.acting import answer, held
from tests.support.entities import EU, US, company, two_books
from tests.support.lookalikes import stripe_of
from tests.support.paper import SINCE, at_rest, bill, billing, is_silent, pay, shown, with_documents
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


def parts(*said: tuple[str, str]) -> list[dict[str, str]]:
    """What a payment settles."""
    return [{"invoice": invoice, "amount": amount} for invoice, amount in said]


async def three_invoices() -> tuple[World, list[str], dict[str, str]]:
    """In the books, with their copies at Stripe by number."""
    policies = {"quickbooks": DocumentPolicy(originates=KINDS), "stripe": COPIES}
    world = await billing(with_documents(policies, {"stripe": {"mirror_open_invoices": "yes"}}, {}))
    invoices = [bill(world, "quickbooks", LINE, number=one) for one in ("B-1", "B-2", "B-3")]
    await world.next_sweep()
    return world, invoices, {one["number"]: name for name, one in stripe_of(world).neutral("invoice").items()}


def paid_there(world: World) -> dict[str, str]:
    """How much of each copy is paid at Stripe, by number."""
    return {one["number"]: one["paid"] for one in shown(world, "stripe")}


async def test_a_part_that_stripe_refused_and_that_is_moved_is_told_of_the_other_invoice() -> None:
    """It was told there, and was held for ever: of a third invoice's report the first one did not say."""
    world, (first, second, third), copies = await three_invoices()
    payment = pay(world, first, "107.00", "quickbooks", applications=parts((first, "100.00"), (second, "7.00")))
    by_hand = {"currency": "USD", "amount": "100.00", "applications": parts((copies["B-2"], "100.00"))}
    has_paid: list[str] = []

    def exchange(request: HttpRequest) -> HttpResponse:
        if "/report_payment" in request.url and not has_paid:
            has_paid.append(stripe_of(world).edit("payment", None, by_hand))
        return stripe_of(world).respond(request)

    world.exchanges["stripe"] = exchange
    await world.next_sweep()
    assert {one.detail["document"] for one in held(world)} == {"payment", "invoice"}
    world.lookalikes["quickbooks"].edit("payment", payment, {"applications": parts((first, "100.00"), (third, "7.00"))})
    await world.next_sweep()
    assert paid_there(world) == {"B-1": "100.00", "B-2": "100.00", "B-3": "7.00"}
    # what came in at Stripe is asked about, and nothing else
    assert [(one.reason, one.detail["number"]) for one in held(world)] == [(BALANCE_DIFFERS, "B-2")]
    await is_silent(world)


@pytest.mark.parametrize("lost", ["/report_payment_attempt_informational", "/report_payment", "/attach_payment"])
async def test_a_payment_that_gets_another_invoice_is_told_of_both_whatever_answer_is_lost(lost: str) -> None:
    """Somebody applies the rest of a payment later: taken as it is now once that is accepted."""
    world, (first, second, _), _ = await three_invoices()
    payment = pay(world, first, "100.00", "quickbooks")
    await world.next_sweep()
    grown = {"amount": "107.00", "applications": parts((first, "100.00"), (second, "7.00"))}
    world.lookalikes["quickbooks"].edit("payment", payment, grown)
    await world.next_sweep()
    broken: list[str] = []

    def exchange(request: HttpRequest) -> HttpResponse:
        if request.url.endswith(lost) and not broken:
            broken.append(request.url)
            stripe_of(world).break_writes(1, executed=True)
        return stripe_of(world).respond(request)

    world.exchanges["stripe"] = exchange
    (asked,) = held(world)
    await answer(world, asked, "accept")
    await world.settle(patience=90_000.0)
    assert broken
    for one in held(world):
        # of a report whose answer was lost nobody can know
        assert one.detail["limit"] == "nothing is told twice"
        await answer(world, one, "retry")
    await world.next_sweep()
    assert paid_there(world) == {"B-1": "100.00", "B-2": "7.00", "B-3": "0.00"}
    at_rest(world)
    await is_silent(world)


async def test_a_payment_that_is_entered_anew_is_asked_about_with_the_copy_of_the_void_one() -> None:
    """Nobody booked anything by hand at Stripe, as whoever was asked was told: it keeps what settled an invoice."""
    world, (first, *_), _ = await three_invoices()
    payment = pay(world, first, "100.00", "quickbooks")
    await world.next_sweep()
    world.lookalikes["quickbooks"].edit("payment", payment, {"status": "void"})
    await world.next_sweep()
    (void,) = held(world, "rejected")
    pay(world, first, "100.00", "quickbooks", received_on="2026-11-21")
    await world.next_sweep()
    (anew,) = [one for one in held(world, "rejected") if one.id != void.id]
    assert f"the copy of payment {void.detail['number']} is held by itself ({void.id})" in str(anew.detail["problem"])
    for one in (anew, void):
        await answer(world, one, "leave")
    await world.next_sweep()
    at_rest(world)
    assert paid_there(world)["B-1"] == "100.00"
