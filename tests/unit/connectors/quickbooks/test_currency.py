"""A company without multicurrency leaves currencies out: everything in it is in its own, and is sent without one."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.quickbooks.connector import PROVIDER
from connectors.quickbooks.connector.currency import KEPT_SECONDS
from core.errors import AmbiguousError, RejectedError, ReplyError, RetryError
from core.model.documents import Application, CreditNote, Invoice, Line, Payment
from core.model.paper import WantedDocument
from core.ports import HttpRequest, HttpResponse, Probe, Sighting, Write, Written
from tests.unit.connectors.quickbooks.conftest import MARK, MakeWorld, World

pytestmark = pytest.mark.anyio
BILLED = {"customer": "1", "currency": "CAD", "issued_on": "2026-11-18", "lines": [{"amount": "10.00"}]}
DAY = date(2026, 11, 18)
HEAD: dict[str, Any] = {"id": "", "customer": "1", "currency": "CAD"}
SOLD = {
    "lines": (Line(id="l1", description="Seats", amount=Decimal(10)),),
    "subtotal": Decimal(10),
    "total": Decimal(10),
}


@pytest.fixture
def books(make_world: MakeWorld) -> World:
    """A Canadian company with one customer, ready to take copies."""
    world = make_world(is_multicurrency=False, home_currency="CAD", country="CA")
    world.extra = {"default_item": "1", "deposit_account": "35", "region": "other"}
    world.seed(1)
    return world


def invoice(**changes: Any) -> Invoice:
    """An open invoice of one line."""
    body = {**HEAD, "number": "INV-7", "status": "open", "issued_on": DAY, "due": Decimal(10), **SOLD}
    return Invoice(**{**body, **changes})


def payment(of: str) -> Payment:
    """A payment of an invoice."""
    applied = (Application(invoice=of, amount=Decimal(6)),)
    body = {**HEAD, "status": "succeeded", "received_on": DAY, "amount": Decimal(6), "applications": applied}
    return Payment(**body)


def credit(of: str) -> CreditNote:
    """A credit note applied to an invoice."""
    body = {**HEAD, "number": "CN-7", "status": "issued", "issued_on": DAY, "invoice": of, "applied": Decimal(4)}
    sold = {
        "lines": (Line(id="l1", description="Seats", amount=Decimal(4)),),
        "subtotal": Decimal(4),
        "total": Decimal(4),
    }
    return CreditNote(**{**body, **sold})


def create(world: World, document: Invoice | Payment, kind: str, *, key: str = "k") -> Write:
    """A create as the engine would freeze it."""
    step = world.documents.step(WantedDocument(document=document, mark=MARK), None)
    assert step is not None
    return Write(key=key, action=step.action, kind=kind, remote_id=None, body=step.body)


def sent_bodies(world: World) -> bytes:
    """Everything that was written so far."""
    return b"".join(one.body or b"" for one in world.requests if one.method == "POST")


async def test_what_people_make_there_is_in_the_companys_currency(books: World) -> None:
    """It does not say so: it was refused, whatever it was."""
    made = {kind: books.company.edit(kind, None, BILLED) for kind in ("invoice", "credit_note")}
    found = books.connector()
    answers: list[bytes] = []

    def heard(_: HttpRequest, answer: HttpResponse) -> HttpResponse:
        answers.append(answer.body)
        return answer

    books.after = heard

    for kind, remote_id in made.items():
        read = (await found.read(kind, [remote_id]))[remote_id]
        (swept,) = (await found.sweep(kind, "full", None)).sightings
        assert isinstance(read, Sighting)
        assert read == swept
        assert books.documents.read(kind, read.raw).document.currency == "CAD"
    assert b"CurrencyRef" not in b"".join(answers)
    assert len(books.paths("preferences")) == 1


async def test_a_customer_there_is_in_the_companys_currency(books: World) -> None:
    """However it is read: an answer that differs from another one would look like an edit."""
    connector, translator = books.connector(), PROVIDER.translator(books.config)
    cursor = (await connector.sweep("customer", "changes", None)).cursor
    books.clock.time += 600
    books.company.edit("customer", "1", {"phone": "+1"})

    read = (await connector.read("customer", ["1"]))["1"]
    seen = [
        *(await connector.sweep("customer", "full", None)).sightings,
        *(await connector.sweep("customer", "changes", cursor)).sightings,
        *(await connector.find("customer", Probe(unique={"name": "Customer 0"}))),
    ]

    assert isinstance(read, Sighting)
    assert translator.read(read.raw).fields["currency"] == "CAD"
    assert seen == [read, read, read]
    missing = await connector.read("customer", ["99"])
    assert not isinstance(missing["99"], Sighting)


async def test_copies_are_sent_without_a_currency_and_known_again(books: World) -> None:
    """Invoice, payment, credit note and its link: QuickBooks wants none where there is only one."""
    owed = json.loads(await books.bring(invoice()))["Id"]
    paid = await books.bring(payment(owed), mark="mark-payment")
    noted = await books.bring(credit(owed), mark="mark-credit")

    assert b"CurrencyRef" not in sent_bodies(books)
    assert books.company.neutral("invoice")[owed]["due"] == "0.00"
    for kind, raw in (("payment", paid), ("credit_note", noted)):
        assert books.documents.read(kind, raw).document.currency == "CAD"


async def test_customers_are_made_without_a_currency_and_known_again(books: World) -> None:
    """In a batch and alone; what the answer shows is what a read shows."""
    connector = books.connector()
    alone = books.create("k1", name="Ada", currency="CAD")
    batched = [msgspec.structs.replace(books.create(key, name=key, currency="CAD"), batch="b") for key in ("k2", "k3")]

    receipts = await connector.write([alone, *batched])

    seen = [one.sighting for one in receipts if isinstance(one, Written)]
    assert list((await connector.read("customer", [one.id for one in seen])).values()) == seen
    assert len(seen) == 3
    assert b"CurrencyRef" not in sent_bodies(books)


async def test_another_currency_is_refused_before_it_is_sent(books: World) -> None:
    """The reason says what is the matter; what goes with it is sent."""
    connector = books.connector()
    foreign = books.create("k1", name="Ada", currency="EUR")
    own = books.create("k2", name="Ben", currency="CAD")
    billed = create(books, invoice(currency="EUR"), "invoice")

    first, second, third = await connector.write([foreign, own, billed])

    for refused in (first, third):
        assert isinstance(refused, RejectedError)
        assert refused.field == "currency"
        assert str(refused.problem) == "it is in EUR, and the company has no other currency than CAD"
    assert isinstance(second, Written)
    assert b"EUR" not in sent_bodies(books)
    assert books.company.neutral("invoice") == {}


async def test_with_multicurrency_what_tells_no_currency_is_refused(make_world: MakeWorld) -> None:
    """Nobody can tell which one it is in."""
    world = make_world()
    world.seed(1)
    remote_id = world.company.edit("invoice", None, {**BILLED, "currency": "USD"})

    def left_out(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        body = answer.body.replace(b'"CurrencyRef":{"value":"USD"},', b"") if "/query" in request.url else answer.body
        return HttpResponse(answer.status, answer.headers, body)

    world.after = left_out
    found = (await world.connector().read("invoice", [remote_id]))[remote_id]

    assert isinstance(found, Sighting)
    assert b"CurrencyRef" not in found.raw
    with pytest.raises(ReplyError, match="CurrencyRef"):
        world.documents.read("invoice", found.raw)


async def test_with_multicurrency_what_is_sent_says_its_currency(world: World) -> None:
    """As ever."""
    (receipt,) = await world.connector().write([world.create("k1", name="Ada", currency="EUR")])

    assert isinstance(receipt, Written)
    assert b'"CurrencyRef":{"value":"EUR"}' in sent_bodies(world)


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ({"CurrencyPrefs": {"MultiCurrencyEnabled": False, "HomeCurrency": "CAD"}}, True),
        ({"CurrencyPrefs": {"MultiCurrencyEnabled": False}}, False),
        ({"CurrencyPrefs": {"HomeCurrency": {"value": "CAD"}}}, False),
        ({}, False),
    ],
)
async def test_a_company_that_does_not_tell_its_currency_has_none_assumed(
    books: World, told: dict[str, Any], *, known: bool
) -> None:
    """Only one that says that it has no other, and which it has."""
    books.after = lambda request, answer: (
        HttpResponse(200, {}, json.dumps({"Preferences": told}).encode()) if "preferences" in request.url else answer
    )

    found = (await books.connector().read("customer", ["1"]))["1"]

    assert isinstance(found, Sighting)
    assert PROVIDER.translator(books.config).read(found.raw).fields["currency"] == ("CAD" if known else None)


async def test_multicurrency_that_is_switched_on_is_noticed(books: World) -> None:
    """From then on an object says its currency, and what we send has to."""
    connector = books.connector()
    await connector.read("customer", ["1"])
    books.company.settings = dataclasses.replace(books.company.settings, is_multicurrency=True)
    books.clock.time += KEPT_SECONDS

    (receipt,) = await connector.write([books.create("k1", name="Ada", currency="EUR")])

    assert isinstance(receipt, Written)


async def test_while_the_company_cannot_be_asked_nothing_is_sent_or_taken(books: World) -> None:
    """And what was written by then is in doubt, until a repeat tells."""
    remote_id = books.company.edit("invoice", None, BILLED)
    raw = (await books.connector().read("invoice", [remote_id]))[remote_id]
    assert isinstance(raw, Sighting)
    void = Write(key="k", action="void", kind="invoice", remote_id=remote_id, body={"Id": remote_id, "SyncToken": "0"})
    answers = iter([HttpResponse(200, {}, b"{}"), *[HttpResponse(403, {}, b"")] * 9])
    books.after = lambda request, answer: next(answers) if "preferences" in request.url else answer
    connector = books.connector()
    new = books.create("k1", name="Ada", currency="CAD")

    (unread,) = await connector.write([new])
    (refused,) = await connector.write([new])
    (doubtful,) = await connector.write([void])

    assert isinstance(unread, RetryError)
    assert not isinstance(refused, Written)
    assert len(books.company.neutral("customer")) == 1
    assert isinstance(doubtful, AmbiguousError)
    books.after = lambda _, answer: answer
    (repeated,) = await connector.write([void])
    assert isinstance(repeated, Written)
