"""`accord explain INVOICE` for each situation that keeps a copy from agreeing: what it is, where, and what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from tests.integration.cli.conftest import Accord
from tests.support.paper import BOOKS, LINE, SINCE, bill, pay, with_documents
from tests.support.world import World

BOOKED = {**LINE, "product": "1"}
POLICIES = {
    # what people record in the books is copied back: the bookkeeper's word is enough
    "stripe": DocumentPolicy(originates=KINDS, mirrors=("payment",), since=SINCE),
    "quickbooks": DocumentPolicy(originates=KINDS, mirrors=KINDS, since=SINCE),
    "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE),
}
Situation = Callable[[World], str]
"""Brings it about; returns the name by which a person asks."""


@pytest.fixture
def billing(world: World) -> World:
    """One customer everywhere; invoices of both billers go to HubSpot, Stripe's to the books, payments both ways."""
    world.config = with_documents(POLICIES, {"quickbooks": BOOKS}, {})
    world.start()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    asyncio.run(world.activate_all())
    return world


def swept(world: World, *names: str) -> None:
    """A minute passes; only these are asked, where named."""
    everywhere = world.names
    world.names = names or everywhere
    asyncio.run(world.next_sweep())
    world.names = everywhere


def number_of(world: World, remote_id: str, name: str = "stripe") -> str:
    """What people call it."""
    return str(world.lookalikes[name].neutral("invoice")[remote_id]["number"])


def copied(world: World) -> tuple[str, str]:
    """An invoice of Stripe's and its copy in the books."""
    invoice = bill(world)
    swept(world)
    (copy,) = world.lookalikes["quickbooks"].neutral("invoice")
    return invoice, copy


def number_clash(world: World) -> str:
    """Somebody used the number in the books before the copy is made."""
    invoice = bill(world)
    swept(world, "stripe")
    number = number_of(world, invoice)
    bill(world, "quickbooks", BOOKED, number=number)
    asyncio.run(world.settle())
    return invoice


def currency_mismatch(world: World) -> str:
    """A customer has one currency in the books for ever."""
    line = {"description": "Seats", "amount": "1000", "quantity": "1"}
    invoice = bill(world, "stripe", line, currency="JPY")
    swept(world)
    return number_of(world, invoice)


def closed_books(world: World) -> str:
    """The day of the invoice is closed."""
    books = world.lookalikes["quickbooks"]
    books.settings = replace(books.settings, books_closed_through="2026-11-30")
    invoice = bill(world)
    swept(world)
    return number_of(world, invoice)


def deleted_at_origin(world: World) -> str:
    """A final invoice that is not there any more."""
    invoice = bill(world, "quickbooks", BOOKED, number="QB-1")
    swept(world)
    world.lookalikes["quickbooks"].delete("invoice", invoice)
    swept(world)
    return "QB-1"


def payment_in_both(world: World) -> str:
    """The same payment is recorded in the books, and comes in at Stripe."""
    invoice, copy = copied(world)
    pay(world, invoice, "50.00")
    swept(world)
    payment = pay(world, copy, "50.00", "quickbooks")
    swept(world)
    return payment


def over_payment(world: World) -> str:
    """More is recorded in the books than the invoice takes, and Stripe has no place for the rest."""
    _, copy = copied(world)
    applied = [{"invoice": copy, "amount": "119.00"}]
    payment = pay(world, copy, "150.00", "quickbooks", applications=applied)
    swept(world)
    return payment


EXPLAINED: dict[Situation, tuple[str, Sequence[str]]] = {
    number_clash: ("quickbooks", ["rejected", "number", "already"]),
    currency_mismatch: ("quickbooks", ["rejected", "urrency", "JPY", "USD"]),
    closed_books: ("quickbooks", ["rejected", "2026-11-30"]),
    deleted_at_origin: ("quickbooks", ["document_gone"]),
    payment_in_both: ("stripe", ["nothing is booked twice"]),
    over_payment: ("stripe", ["31.00", "150.00", "no place for what is left over"]),
}


@pytest.mark.parametrize(("situation", "told"), EXPLAINED.items(), ids=[one.__name__ for one in EXPLAINED])
def test_explain_tells_what_keeps_a_document_from_agreeing_and_what_to_do(
    billing: World, accord: Accord, situation: Situation, told: tuple[str, Sequence[str]]
) -> None:
    """One hold, where it is, its reason and the cure: in JSON, and whole on the screen."""
    name = situation(billing)
    where, words = told
    found = accord("explain", name, "--json").json
    (hold,) = _asked(found)
    assert hold["connection"] == where
    for word in words:
        assert word in str(hold), hold
    assert hold.get("cure"), hold
    out = " ".join(accord("explain", name).out.split())
    for part in (hold["id"], hold["reason"], where):
        assert part in out
    # cells are wrapped: word by word
    for word in str(hold["cure"]).split()[:6]:
        assert word in out, (word, out)


def refunded(world: World) -> str:
    """A payment went back in part, which the books are not told of."""
    invoice, _ = copied(world)
    payment = pay(world, invoice, "119.00")
    swept(world)
    world.lookalikes["stripe"].edit("payment", payment, {"refunded": "20.00"})
    swept(world)
    return invoice


def refunded_untold(world: World, place: int) -> str:
    """Part of a payment of two invoices went back, and Stripe does not tell of which."""
    both = invoice, _ = bill(world), bill(world)
    payment = pay(world, invoice, "238.00", applications=[{"invoice": one, "amount": "119.00"} for one in both])
    swept(world)
    world.lookalikes["stripe"].edit("payment", payment, {"refunded": "19.00"})
    swept(world)
    return both[place]


def paid_in_both(world: World) -> str:
    """By its invoice, in the books."""
    payment_in_both(world)
    (copy,) = world.lookalikes["quickbooks"].neutral("invoice").values()
    return str(copy["number"])


@pytest.mark.parametrize(
    ("situation", "where", "reason"),
    [
        (paid_in_both, "stripe", "rejected"),
        (refunded, "quickbooks", "by_hand"),
        (partial(refunded_untold, place=0), "stripe", "untold"),
        (partial(refunded_untold, place=1), "stripe", "untold"),
    ],
    ids=["paid_in_both", "refunded", "first_refunded_untold", "second_refunded_untold"],
)
def test_explain_tells_of_an_invoice_what_is_asked_about_its_payments(
    billing: World, accord: Accord, situation: Situation, where: str, reason: str
) -> None:
    """Who looks at an invoice, all copies of which are equal, must not think that nothing is left to do."""
    name = situation(billing)
    found = accord("explain", name, "--json").json
    assert [one["agrees"] for one in found["copies"]] == [True, True]
    (hold,) = [hold for one in (found, *found["settled_by"]) for hold in _asked(one)]
    assert (hold["connection"], hold["reason"]) == (where, reason)
    out = " ".join(accord("explain", name).out.split())
    for part in (hold["id"], "payment", where, reason, *str(hold["cure"]).split()[:6]):
        assert part in out, (part, out)


def _asked(found: Any) -> list[dict[str, Any]]:
    of_copies = [{**one, "connection": copy["connection"]} for copy in found["copies"] for one in copy["held"]]
    return [*found["holds"], *of_copies]


def test_explain_tells_that_an_edited_draft_is_a_draft_and_copied_nowhere(billing: World, accord: Accord) -> None:
    """Nobody is asked; once it is final it has its copies, with what it says by then."""
    draft = bill(billing, status="draft")
    swept(billing)
    billing.lookalikes["stripe"].edit("invoice", draft, {"lines": [{**LINE, "unit_amount": "70.00"}]})
    swept(billing)
    found = accord("explain", draft, "--json").json
    assert (found["document"]["status"], found["document"]["total"]) == ("draft", "159.00")
    assert [one for one in found["copies"] if one["remote_id"] or one["held"]] == []
    assert _asked(found) == []
    assert "draft" in accord("explain", draft).out
    billing.lookalikes["stripe"].edit("invoice", draft, {"status": "open"})
    swept(billing)
    found = accord("explain", number_of(billing, draft), "--json").json
    assert {one["connection"]: one["agrees"] for one in found["copies"]} == {"hubspot": True, "quickbooks": True}
    for name in ("hubspot", "quickbooks"):
        (copy,) = billing.lookalikes[name].neutral("invoice").values()
        assert copy["total"] == "159.00"
