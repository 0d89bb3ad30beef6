"""Documents through the connector against the look-alike: written once, found again, read with all they settle."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.quickbooks.connector import PROVIDER, QuickBooksConnector
from connectors.quickbooks.manifest import QUERY_PAGE
from core.errors import (
    AccordError,
    AmbiguousError,
    GoneError,
    InvalidInputError,
    RejectedError,
    ReplyError,
    RetryError,
    StaleError,
    TakenError,
)
from core.model.documents import Application, CreditNote, Invoice, Line, Payment, kind_of
from core.model.paper import WantedDocument
from core.ports import HttpRequest, HttpResponse, Missing, Notice, Page, Probe, Shell, Sighting, Write, Written
from tests.unit.connectors.quickbooks.conftest import MARK, MakeWorld, World

pytestmark = pytest.mark.anyio
DAY = date(2026, 11, 18)
KINDS = ("invoice", "payment", "credit_note")


@pytest.fixture
def books(world: World) -> World:
    """A company with two customers, ready to take copies."""
    return ready(world)


def ready(world: World) -> World:
    """Two customers, and policy for every line and payment."""
    world.extra = {"default_item": "1", "deposit_account": "35"}
    world.seed(2, currency="USD")
    return world


def invoice(amount: str = "10.00", **changes: Any) -> Invoice:
    """An open invoice of one line."""
    some = Decimal(amount)
    lines = (Line(id="l1", description="Seats", amount=some),)
    body = {"id": "", "number": "INV-7", "customer": "1", "currency": "USD", "status": "open", "issued_on": DAY}
    return Invoice(**{**body, "lines": lines, "subtotal": some, "total": some, "due": some, **changes})


def credit(amount: str = "4.00", **changes: Any) -> CreditNote:
    """A credit note of one line."""
    some = Decimal(amount)
    lines = (Line(id="l1", description="Seats", amount=some),)
    body = {"id": "", "number": "CN-7", "customer": "1", "currency": "USD", "status": "issued", "issued_on": DAY}
    return CreditNote(**{**body, "lines": lines, "subtotal": some, "total": some, **changes})


def payment(amount: str = "10.00", **parts: str) -> Payment:
    """A payment of some invoices."""
    applied = tuple(Application(invoice=one[1:], amount=Decimal(part)) for one, part in parts.items())
    body: dict[str, Any] = {
        "id": "", "customer": "1", "currency": "USD", "status": "succeeded", "received_on": DAY,
    }  # fmt: skip
    return Payment(**{**body, "amount": Decimal(amount), "applications": applied})


def create(world: World, document: Any, *, key: str = "k", mark: str = MARK) -> Write:
    """A create as the engine would freeze it."""
    step = world.documents.step(WantedDocument(document=document, mark=mark), None)
    assert step is not None
    return Write(key=key, action=step.action, kind=kind_of(document), remote_id=None, body=step.body)


async def sent(world: World, write: Write) -> Any:
    """The receipt of one write."""
    (receipt,) = await world.connector().write([write])
    return receipt


def credit_in(world: World, seen: Sighting | Missing) -> CreditNote:
    """The credit note that was read."""
    assert isinstance(seen, Sighting)
    found = world.documents.read("credit_note", seen.raw).document
    assert isinstance(found, CreditNote)
    return found


async def read_one(world: World, kind: str, remote_id: str) -> Any:
    """One document in neutral form, as it is now; Missing where it is not there."""
    found = (await world.connector().read(kind, [remote_id]))[remote_id]
    return world.documents.read(kind, found.raw).document if isinstance(found, Sighting) else found


def fails(world: World, fragment: str, status: int = 500, body: bytes = b"") -> None:
    """Lose the answers to calls of one address; what they asked for happens."""
    world.after = lambda request, answer: HttpResponse(status, {}, body) if fragment in request.url else answer


BILLED = {"customer": "1", "currency": "USD", "issued_on": "2026-11-18", "lines": [{"amount": "10.00"}]}


def by_person(world: World, kind: str = "invoice", **changes: Any) -> str:
    """A document that somebody made in QuickBooks."""
    lines = {"lines": [{"description": "Seats", "amount": "10.00"}]} if kind != "payment" else {}
    return world.company.edit(
        kind, None, {"customer": "1", "currency": "USD", "issued_on": "2026-11-18", **lines, **changes}
    )


# ---- writing ---------------------------------------------------------------------------------------


async def test_a_copy_cannot_be_paid_online_and_is_not_mailed(books: World) -> None:
    """The customer would pay a second time, to another account."""
    await books.bring(invoice())
    (row,) = books.company.objects("invoice").values()

    assert (row["AllowOnlineCreditCardPayment"], row["AllowOnlineACHPayment"], row["EmailStatus"]) == (
        False,
        False,
        "NotSet",
    )
    assert (row["DocNumber"], row["TxnDate"], row["PrivateNote"]) == ("INV-7", "2026-11-18", f"accord:{MARK}")


async def test_amounts_go_out_as_numbers_to_the_last_digit(books: World) -> None:
    """A float in between would make 1234567.89 something else in the tenth digit one day."""
    await books.bring(invoice("9999999999.90"))

    assert b'"Amount":9999999999.90' in books.requests[-1].body  # a float would have dropped the zero, at least
    assert books.company.neutral("invoice")["1"]["total"] == "9999999999.90"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_create_that_is_sent_again_is_there_once(books: World, kind: str) -> None:
    """A retry after a lost answer made a second invoice."""
    write = create(books, {"invoice": invoice(), "payment": payment(), "credit_note": credit()}[kind])
    fails(books, f"/{ {'credit_note': 'creditmemo'}.get(kind, kind) }?")
    lost = await sent(books, write)
    books.after = lambda _, answer: answer
    again = await sent(books, write)

    assert isinstance(lost, AmbiguousError)
    assert isinstance(again, Written)
    assert len(books.company.objects(kind)) == 1


async def test_a_repeated_application_of_a_credit_is_there_once(books: World) -> None:
    """Whether the payment's answer or the look at the memo was lost."""
    await books.bring(invoice())
    note = credit(invoice="1", applied=Decimal(4))
    made = await sent(books, create(books, note))
    note = msgspec.structs.replace(note, id=made.sighting.id)
    step = books.documents.step(WantedDocument(document=note, mark=MARK), made.sighting.raw)
    assert step is not None
    write = Write(key="a", action=step.action, kind="credit_note", remote_id=made.sighting.id, body=step.body)
    for fragment in ("/payment?", "/creditmemo/", "/query?"):
        fails(books, fragment, 403)
        assert isinstance(await sent(books, write), AccordError)
    books.after = lambda _, answer: answer
    done = await sent(books, write)

    assert books.documents.step(WantedDocument(document=note, mark=MARK), done.sighting.raw) is None
    assert len(books.company.objects("payment")) == 1
    assert books.company.neutral("invoice")["1"]["due"] == "6.00"


async def test_an_applied_credit_whose_memo_vanished_is_in_doubt(books: World) -> None:
    """It cannot be shown, and was written all the same."""
    made = await sent(books, create(books, credit()))
    books.after = lambda request, answer: (
        HttpResponse(400, {}, b'{"Fault":{"Error":[{"code":"610","Message":"gone"}],"type":"ValidationFault"}}')
        if "/creditmemo/" in request.url
        else answer
    )
    body = {"CustomerRef": {"value": "1"}, "TotalAmt": "0", "Line": []}
    write = Write(key="a", action="apply", kind="credit_note", remote_id=made.sighting.id, body=body)

    assert isinstance(await sent(books, write), AmbiguousError)


async def test_a_void_keeps_the_document_and_its_number(books: World) -> None:
    """Each entity has its own way of voiding."""
    raw = await books.bring(invoice())
    paid = await books.bring(payment("3.00"))
    await books.bring(invoice(status="void"), raw)
    await books.bring(msgspec.structs.replace(payment("3.00"), status="void"), paid)

    rows = books.company.objects("invoice")["1"], books.company.objects("payment")["2"]
    assert [(row["TotalAmt"], row["PrivateNote"]) for row in rows] == [(0, "Voided"), (0, "Voided")]
    assert rows[0]["DocNumber"] == "INV-7"


async def test_a_payment_settles_several_invoices_and_later_one_more(books: World) -> None:
    """Only the first one was looked at elsewhere; and nothing is ever added twice."""
    for number in ("A", "B"):
        await books.bring(invoice(number=number), mark=f"a.{number}.1")
    raw = await books.bring(payment("15.00", i1="10.00"))
    before = books.company.neutral("invoice")["2"]["due"]
    after = payment("15.00", i1="10.00", i2="5.00")
    raw = await books.bring(after, raw)
    await books.bring(after, raw)

    assert [before, *(one["due"] for one in books.company.neutral("invoice").values())] == ["10.00", "0.00", "5.00"]
    assert len(books.company.objects("payment")) == 1


async def test_a_credit_that_somebody_used_in_a_payment_is_not_taken_out_of_it(books: World) -> None:
    """An update replaces all lines: the invoice that the credit settled would be due again, and nobody would know."""
    for number in ("A", "B"):
        await books.bring(invoice(number=number), mark=f"a.{number}.1")
    raw = await books.bring(payment("12.00", i1="6.00"))
    memo = by_person(books, "credit_note", lines=[{"amount": "4.00"}])
    lines = [
        {"Amount": Decimal(amount), "LinkedTxn": [{"TxnId": one, "TxnType": entity}]}
        for amount, one, entity in (("10.00", "1", "Invoice"), ("4.00", memo, "CreditMemo"))
    ]
    books.company.edit("payment", "3", {"extra": {"Line": lines}})
    seen = (await books.connector().read("payment", ["3"]))["3"]
    assert isinstance(seen, Sighting)
    raw = seen.raw

    await books.bring(payment("12.00", i1="6.00"), raw)
    with pytest.raises(RejectedError) as refused:
        await books.bring(payment("12.00", i1="6.00", i2="6.00"), raw)
    assert refused.value.field == "applications"
    assert refused.value.cure == "apply 6.00 to invoice 2 in QuickBooks, by hand"
    assert books.company.neutral("invoice")["1"]["due"] == "0.00"
    assert books.company.neutral("credit_note")[memo]["applied"] == "4.00"


async def test_a_stale_token_is_told_as_such(books: World) -> None:
    """Somebody was faster: look again, decide again."""
    raw = await books.bring(invoice())
    books.company.edit("invoice", "1", {"memo": "called them"})
    step = books.documents.step(WantedDocument(document=invoice(status="void"), mark=MARK), raw)
    assert step is not None

    write = Write(key="v", action="void", kind="invoice", remote_id="1", body=step.body)
    assert isinstance(await sent(books, write), StaleError)


async def test_a_number_in_use_is_told_with_its_holder(books: World) -> None:
    """Never an automatic suffix: two invoices of one number are two different promises."""
    holder = by_person(books, number="INV-7")
    error = await sent(books, create(books, invoice()))

    assert isinstance(error, TakenError)
    assert (error.field, error.remote_id) == ("number", holder)
    assert len(books.company.objects("invoice")) == 1


async def test_closed_books_are_told_by_their_date_and_no_date_is_shifted(make_world: MakeWorld) -> None:
    """A copy on another day is in another period."""
    books = ready(make_world(books_closed_through="2026-11-30"))
    error = await sent(books, create(books, invoice()))

    assert isinstance(error, RejectedError)
    assert (error.field, error.problem) == ("issued_on", "books closed through 2026-11-30")
    assert books.company.objects("invoice") == {}


@pytest.mark.parametrize("day", [None, "2026-11-30"])
async def test_until_when_the_books_are_closed_is_told_before_anything_is_sent(
    make_world: MakeWorld, day: str | None
) -> None:
    """Whether the company refuses what is dated before, or only warns."""
    for only_warns in (False, True):
        books = make_world(books_closed_through=day, closing_only_warns=only_warns)
        found = await books.connector().closed_through()
        assert str(found) == str(day)


@pytest.mark.parametrize(
    "told", [b'{"Preferences":[]}', b'{"Preferences":{"AccountingInfoPrefs":{"BookCloseDate":"x"}}}']
)
async def test_a_closing_date_that_cannot_be_read_is_not_taken_for_open_books(books: World, told: bytes) -> None:
    """What could not be read is not known."""
    fails(books, "/preferences", 200, told)
    with pytest.raises(ReplyError, match="closed"):
        await books.connector().closed_through()


@pytest.mark.parametrize("answer", [(500, b""), (200, b'{"Preferences":[]}'), (200, b'{"Preferences":{}}')])
async def test_closed_books_are_told_even_where_the_date_is_not(
    make_world: MakeWorld, answer: tuple[int, bytes]
) -> None:
    """The refusal itself is what matters."""
    books = ready(make_world(books_closed_through="2026-11-30"))
    connector = books.connector()
    await connector.closed_through()
    fails(books, "/preferences", *answer)
    (error,) = await connector.write([create(books, invoice())])

    assert isinstance(error, RejectedError)
    assert error.field == "issued_on"


async def test_a_date_that_is_refused_for_another_reason_is_not_called_closed_books(make_world: MakeWorld) -> None:
    """Opening the books would help nobody, and they may be closed through a day long before it."""
    books = ready(make_world(books_closed_through="2025-12-31"))
    told = {
        "Message": "Invalid Date",
        "Detail": "TxnDate is more than a year ahead",
        "code": "2030",
        "element": "TxnDate",
    }
    fault = json.dumps({"Fault": {"Error": [told], "type": "ValidationFault"}}).encode()
    fails(books, "/invoice?", 400, fault)
    error = await sent(books, create(books, invoice()))

    assert isinstance(error, RejectedError)
    assert (error.field, error.cure) == ("issued_on", "change the value")
    assert "more than a year ahead" in error.problem


async def test_another_currency_than_the_customers_is_refused(books: World) -> None:
    """QuickBooks has one for each customer, for ever."""
    error = await sent(books, create(books, invoice(currency="EUR")))

    assert isinstance(error, RejectedError)
    assert error.field == "currency"
    assert "in EUR" in error.problem
    assert str(error.limit).startswith("USD")
    assert "change the value" not in str(error)


async def test_another_currency_is_told_even_where_the_customers_cannot_be_read(books: World) -> None:
    """The refusal itself is what matters."""
    fails(books, "/query", 500, b"")
    error = await sent(books, create(books, invoice(currency="EUR")))

    assert isinstance(error, RejectedError)
    assert (error.field, error.limit) == ("currency", "the customer's currency")


async def test_what_a_new_document_refers_to_and_is_inactive_is_no_gone_document(books: World) -> None:
    """Taken for the document itself, its copy would be called deleted."""
    books.company.books.items.deactivate("1")
    error = await sent(books, create(books, invoice()))

    assert isinstance(error, RejectedError)
    assert not isinstance(error, GoneError)
    assert (error.field, error.limit) == ("lines", "active and there")
    assert "item 1" in error.problem
    assert "item 1" in str(error.cure)


async def test_what_a_known_document_refers_to_and_is_inactive_is_no_gone_document_either(books: World) -> None:
    """QuickBooks says the same of both, so that a payment was tried again every hour and nobody was asked."""
    await books.bring(invoice())
    paid = await books.bring(payment("3.00"))
    (remote_id,) = books.company.neutral("payment")
    books.company.edit("customer", "1", {"status": "inactive"})
    step = books.documents.step(WantedDocument(document=payment("3.00", i1="3.00"), mark=MARK), paid)
    assert step is not None

    write = Write(key="p", action=step.action, kind="payment", remote_id=remote_id, body=step.body)
    error = await sent(books, write)

    assert isinstance(error, RejectedError)
    assert not isinstance(error, GoneError)
    assert (error.field, error.limit) == ("customer", "active and there")


async def test_whether_a_document_is_gone_is_left_open_where_it_cannot_be_read(books: World) -> None:
    """It is looked at again."""
    raw = await books.bring(invoice())
    step = books.documents.step(WantedDocument(document=invoice(status="void"), mark=MARK), raw)
    books.company.delete("invoice", "1")
    fails(books, "/invoice/1", 500, b"")
    assert step is not None

    write = Write(key="v", action="void", kind="invoice", remote_id="1", body=step.body)
    assert isinstance(await sent(books, write), GoneError)


async def test_which_of_them_is_inactive_is_left_open_where_it_cannot_be_read(books: World) -> None:
    """The refusal itself is what matters."""
    books.company.books.items.deactivate("1")
    fails(books, "/query", 500, b"")
    error = await sent(books, create(books, invoice()))

    assert isinstance(error, RejectedError)
    assert not isinstance(error, GoneError)
    assert error.field == "customer, lines, account"


@pytest.mark.parametrize("odd", [b'"XXX"', b"{}", b'{"Id":["1"]}', b"null"])
async def test_a_customer_or_item_of_an_odd_shape_is_no_bug(books: World, odd: bytes) -> None:
    """Looked at to explain a refusal, or to find an item: the document was not sent, and a bug was told of."""
    books.company.books.items.deactivate("1")
    told = b'{"QueryResponse":{"Customer":[%b],"Item":[%b]}}' % (odd, odd)
    books.after = lambda request, answer: HttpResponse(200, {}, told) if "query?" in request.url else answer
    error = await sent(books, create(books, invoice()))
    assert isinstance(error, RejectedError)
    assert error.field == "customer, lines, account"

    with pytest.raises(ReplyError):
        await books.connector().faults()
    makes_items(books)
    error = await sent(books, create(books, hosting("Services")))
    assert (type(error), "without a readable Id" in str(error)) == (RetryError, True)


async def test_a_document_that_vanished_before_its_void_is_gone(books: World) -> None:
    """There is nothing left to void."""
    raw = await books.bring(invoice())
    step = books.documents.step(WantedDocument(document=invoice(status="void"), mark=MARK), raw)
    books.company.delete("invoice", "1")
    assert step is not None

    write = Write(key="v", action="void", kind="invoice", remote_id="1", body=step.body)
    assert isinstance(await sent(books, write), GoneError)


@pytest.mark.parametrize("told", [b"<html>", b'{"Invoice":{}}', b'{"Customer":{"Id":"1"}}'])
async def test_a_garbled_answer_to_a_write_is_in_doubt(books: World, told: bytes) -> None:
    """It may well have happened."""
    fails(books, "/invoice?", 200, told)

    assert isinstance(await sent(books, create(books, invoice())), AmbiguousError)


@pytest.mark.parametrize("told", [b'{"CreditMemo":{}}', b"{}"])
async def test_a_garbled_answer_about_a_credit_memo_is_in_doubt(books: World, told: bytes) -> None:
    """It is read once more after its write, where its id is known."""
    fails(books, "/creditmemo?", 200, told)

    assert isinstance(await sent(books, create(books, credit())), AmbiguousError)


async def test_a_fault_inside_of_a_200_is_a_fault(books: World) -> None:
    """The status alone says nothing."""
    connector = books.connector()
    await connector.closed_through()
    books.company.fail_next("fault_in_200")

    assert isinstance((await connector.write([create(books, invoice())]))[0], AccordError)
    assert books.company.objects("invoice") == {}


async def test_settings_of_the_company_that_copies_stumble_over_are_told_before(make_world: MakeWorld) -> None:
    """Found out by the first invoice, the wrong number stands in the books already."""
    odd = make_world(has_custom_numbers=False, applies_credits=True)
    nothing = await odd.connector().identify()
    odd.items = {"prod": "1"}
    told = (await odd.connector().identify()).notes
    fine = (await ready(make_world()).connector().identify()).notes

    assert (nothing.notes, fine) == ((), ())
    assert ["custom transaction numbers" in told[0], "credits" in told[1]] == [True, True]


async def test_a_credit_that_quickbooks_applied_by_itself_is_held(make_world: MakeWorld) -> None:
    """To the oldest open invoice, whatever it is about."""
    books = ready(make_world(applies_credits=True))
    other = by_person(books)
    made = await sent(books, create(books, credit()))

    assert credit_in(books, made.sighting).invoice == other
    with pytest.raises(RejectedError) as caught:
        books.documents.step(WantedDocument(document=credit(), mark=MARK), made.sighting.raw)
    assert caught.value.field == "applied"


async def test_every_write_carries_a_request_id_and_every_change_a_token(books: World) -> None:
    """Without the one a retry books twice, without the other it overwrites somebody."""
    raw = await books.bring(invoice())
    await books.bring(credit(invoice="1", applied=Decimal(4)))
    paid = await books.bring(payment("2.00"))
    paid = await books.bring(payment("2.00", i1="2.00"), paid)
    await books.bring(msgspec.structs.replace(payment("2.00"), status="void"), paid)
    other = await books.bring(invoice(number="INV-8"), mark="a.b.2")
    await books.bring(invoice(number="INV-8", status="void"), other, mark="a.b.2")
    posts = [one for one in books.requests if one.method == "POST" and "/v3/" in one.url]
    bodies = [json.loads(one.body) for one in posts]

    assert raw
    assert len(posts) == 8
    assert all("requestid=" in one.url and "minorversion=75" in one.url for one in posts)
    assert len({one.url for one in posts}) == len(posts)
    assert [("SyncToken" in one) for one in bodies] == [("Id" in one) for one in bodies]
    assert not any("operation=delete" in one.url or "allowduplicatedocnum" in one.url for one in posts)


# ---- items -----------------------------------------------------------------------------------------


def makes_items(books: World) -> World:
    """Policy that lets items be made."""
    books.extra = {"create_items": "yes", "income_account": "79"}
    return books


def hosting(*products: str) -> Invoice:
    """An invoice of some products."""
    lines = tuple(Line(id=f"l{place}", product=one, amount=Decimal(1)) for place, one in enumerate(products))
    total = Decimal(len(products))
    return msgspec.structs.replace(invoice(), lines=lines, subtotal=total, total=total, due=total)


async def test_a_missing_item_is_made_once_for_its_product(books: World) -> None:
    """By name, so that no second one is made after a crash; one that people made is taken."""
    makes_items(books)
    there = books.company.books.items.add("People's", "79", 0)
    await books.bring(hosting("Hosting", "Hosting", "People's"))
    await books.bring(msgspec.structs.replace(hosting("Hosting"), number="INV-8"), mark="a.b.2")
    names = [row["Name"] for row in books.company.books.items.rows.values()]
    used = [one["SalesItemLineDetail"]["ItemRef"]["value"] for one in books.company.objects("invoice")["1"]["Line"][:3]]

    assert names == ["Services", "Hours", "People's", "Hosting"]
    assert used == ["4", "4", there]


async def test_the_items_of_an_invoice_are_asked_for_once_however_many_lines_it_has(books: World) -> None:
    """Asked for line by line, a long invoice alone uses up a minute's calls."""
    makes_items(books)
    products = [f"Product {number}" for number in range(60)]
    for one in products:
        books.company.books.items.add(one, "79", 0)
    before = len(books.requests)
    await books.bring(hosting(*products))

    assert [one.url.split("?")[0].rpartition("/")[2] for one in books.requests[before:]][-2:] == ["query", "invoice"]
    assert len(books.paths("/query")) == len(books.paths("/invoice")) == 1
    assert len(books.company.objects("invoice")["1"]["Line"]) == 60 + 1


async def test_the_items_of_an_invoice_are_found_however_long_their_names_are(books: World) -> None:
    """Asked for in one address, it was too long, and the invoice was never booked."""
    makes_items(books)
    products = [f"{number} {'ä' * 96}" for number in range(60)]
    for one in products:
        books.company.books.items.add(one, "79", 0)
    await books.bring(hosting(*products))

    assert len(books.company.objects("invoice")["1"]["Line"]) == 60 + 1
    assert len(books.company.books.items.rows) == 60 + 2


async def test_an_item_that_is_no_service_is_not_sold(books: World) -> None:
    """A category of the same name would be refused by QuickBooks, without saying why."""
    makes_items(books)
    books.company.books.items.rows["1"]["Type"] = "Category"
    error = await sent(books, create(books, hosting("Services")))

    assert isinstance(error, RejectedError)
    assert "is a Category" in error.problem


async def test_an_item_made_by_somebody_meanwhile_is_taken(books: World) -> None:
    """Two documents of one product, at once."""
    makes_items(books)

    def meanwhile(request: HttpRequest) -> None:
        if "/item?" in request.url and len(books.company.books.items.rows) == 2:
            books.company.books.items.add("Hosting", "79", 0)

    books.before = meanwhile
    await books.bring(hosting("Hosting"))

    assert len(books.company.books.items.rows) == 3


async def test_an_item_that_can_be_neither_found_nor_made_stops_the_document(books: World) -> None:
    """Nothing of the document was sent: it is no doubt, and no shorter invoice."""
    makes_items(books)
    books.company.books.items.add("hosting", "79", 0)
    taken = await sent(books, create(books, hosting("Hosting")))
    assert isinstance(taken, RejectedError)
    assert (taken.field, taken.cure) == ("lines", "map the product to an item in policy")
    assert "'Hosting'" in taken.problem
    fails(books, "/item?")
    lost = await sent(books, create(books, hosting("Support"), key="k2"))
    fails(books, "/item?", 200, b'{"Item":{}}')
    garbled = await sent(books, create(books, hosting("Care"), key="k3"))
    books.after = lambda _, answer: answer

    assert [type(one) for one in (lost, garbled)] == [RetryError, RetryError]
    assert books.company.objects("invoice") == {}
    await books.bring(hosting("Support", "Care"))
    assert len(books.company.books.items.rows) == 5  # both had been made all the same


# ---- finding ---------------------------------------------------------------------------------------


async def test_a_copy_is_found_by_its_marker_or_its_number(books: World) -> None:
    """No query can ask for a private note: what was made since then is looked through."""
    by_person(books, number="INV-1")
    await books.bring(invoice())
    await books.bring(payment("1.00"), mark="a.pay.1")
    connector = books.connector()
    since = books.clock.time
    number = {"number": "INV-7"}

    async def found(kind: str, **probe: Any) -> list[str]:
        return [one.id for one in await connector.find(kind, Probe(**probe))]

    assert await found("invoice", mark=MARK, unique=number, created_after=since) == ["2"]
    assert await found("invoice", mark=MARK, created_after=since) == ["2"]
    assert await found("invoice", mark=MARK) == ["2"]
    assert await found("invoice", unique=number) == ["2"]
    assert await found("invoice", mark="a.b.9", unique=number) == ["2"]
    assert await found("invoice", mark="a.b.9", created_after=since) == []
    assert await found("payment", mark="a.pay.1", unique={"number": "CHK"}, created_after=since) == ["3"]
    assert await found("invoice", mark=MARK, created_after=since + 86_400) == []
    assert await found("credit_note") == []


async def test_a_marker_is_looked_for_on_every_page(books: World) -> None:
    """A thousand documents may have been made since."""
    for number in range(QUERY_PAGE):
        by_person(books, number=f"P-{number}")
        books.clock.time += 1
    await books.bring(invoice())

    (found,) = await books.connector().find("invoice", Probe(mark=MARK))
    assert found.id == str(QUERY_PAGE + 1)


@pytest.mark.parametrize("ours", [-7200.0, 7200.0])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_copy_is_found_by_its_mark_though_our_clock_is_off(books: World, kind: str, ours: float) -> None:
    """Two hours fast, it was not found and made a second time: of a payment no number keeps the second one out."""

    class Skewed:
        def now(self) -> float:
            return books.clock.time + ours

        async def sleep(self, seconds: float) -> None:
            await books.clock.sleep(seconds)

    sent_at = books.clock.time
    some = (invoice(number=""), payment("10.00"), credit(number=""))
    await books.bring(next(one for one in some if kind_of(one) == kind))
    books.clock.time += 5 * 3600
    connector = PROVIDER.build(books.config, books.vault, Shell(Skewed(), books.shell.hop, books.shell.exchange))
    for created_after in (sent_at + ours, sent_at):
        (found,) = await connector.find(kind, Probe(mark=MARK, created_after=created_after))
        assert isinstance(found, Sighting)
        assert books.documents.read(kind, found.raw).mark == MARK


# ---- reading ---------------------------------------------------------------------------------------


async def test_an_invoice_and_a_customer_of_one_id_are_two(books: World) -> None:
    """Ids are of each entity."""
    by_person(books)
    connector = books.connector()
    found = {kind: (await connector.read(kind, ["1"]))["1"] for kind in ("customer", *KINDS)}

    customer, bill = found["customer"], found["invoice"]
    assert isinstance(customer, Sighting)
    assert b'"DisplayName"' in customer.raw
    assert b'"DocNumber"' not in customer.raw
    assert isinstance(bill, Sighting)
    assert b'"TotalAmt"' in bill.raw
    assert found["payment"] == found["credit_note"] == Missing("1")


async def test_a_deleted_document_is_missing_and_a_failed_look_is_not(books: World) -> None:
    """Only a successful read says so."""
    gone = by_person(books)
    books.company.delete("invoice", gone)
    connector = books.connector()

    assert (await connector.read("invoice", [gone]))[gone] == Missing(gone)
    books.after = lambda request, answer: HttpResponse(404, {}, b"") if "/invoice/" in request.url else answer
    with pytest.raises(AccordError):
        await connector.read("invoice", [gone])


async def test_a_credit_memo_is_read_with_the_invoice_that_it_settles(books: World) -> None:
    """QuickBooks tells it of payments only, and of the first ones among several invoices."""
    owed = by_person(books)
    note = by_person(books, "credit_note", invoice=owed, applied="4.00")
    free = by_person(books, "credit_note")

    assert (await read_one(books, "credit_note", note)).invoice == owed
    assert (await read_one(books, "credit_note", note)).applied == Decimal(4)
    assert (await read_one(books, "credit_note", free)).invoice == ""
    assert (await read_one(books, "invoice", owed)).due == Decimal(6)


async def test_a_credit_that_is_applied_bit_by_bit_is_one_sum(books: World) -> None:
    """Each bit stands in a link of its own."""
    owed = by_person(books)
    note = by_person(books, "credit_note", invoice=owed, applied="4.00")
    for amount in (Decimal(1), Decimal(2)):
        pair = (("Invoice", owed), ("CreditMemo", note))
        lines = [{"Amount": amount, "LinkedTxn": [{"TxnId": one, "TxnType": of}]} for of, one in pair]
        by_person(books, "payment", amount="0", extra={"Line": lines})
    found = await read_one(books, "credit_note", note)

    assert (found.invoice, found.applied) == (owed, Decimal(7))


async def test_credits_of_the_hour_that_comes_twice_are_read_with_their_invoices(books: World) -> None:
    """01:10 of the second is later than 01:30 of the first: what was applied in between was overlooked."""
    books.clock.time = datetime(2026, 11, 1, 8, 30, tzinfo=UTC).timestamp()
    first = by_person(books, "credit_note", invoice=by_person(books), applied="4.00")
    assert books.company.objects("credit_note")[first]["MetaData"]["CreateTime"] == "2026-11-01T01:30:00-07:00"
    books.clock.time += 40 * 60
    second = by_person(books, "credit_note", invoice=by_person(books), applied="3.00")

    found = await books.connector().read("credit_note", [first, second])
    assert {name: str(credit_in(books, one).applied) for name, one in found.items()} == {first: "4.00", second: "3.00"}


async def test_a_credit_that_tells_no_time_is_read_with_its_invoice(books: World) -> None:
    """All payments of its customer are looked at then."""
    note = by_person(books, "credit_note", invoice=by_person(books), applied="4.00")
    books.company.objects("credit_note")[note]["MetaData"]["CreateTime"] = "once"

    assert (await read_one(books, "credit_note", note)).applied == Decimal(4)


@pytest.mark.parametrize("top", ["parent", "grandparent"])
async def test_a_credit_that_is_used_in_a_payment_of_the_customer_above_is_read_with_its_invoice(
    books: World, top: str
) -> None:
    """Payments of a parent settle what its sub-customers owe, credits of theirs included (PROVIDERS §5)."""
    above = branch = "1"
    for name in ("Region", "Branch") if top == "grandparent" else ("Branch",):
        above = branch = books.company.edit("customer", None, {"name": name, "currency": "USD", "parent": above})
    owed = by_person(books, customer=branch)
    note = by_person(books, "credit_note", customer=branch, lines=[{"amount": "4.00"}])
    by_person(books, "credit_note", invoice=by_person(books, customer="2"), customer="2", applied="2.00")
    lines = [(Decimal(10), "Invoice", owed), (Decimal(4), "CreditMemo", note)]
    extra = {"Line": [{"Amount": amount, "LinkedTxn": [{"TxnId": one, "TxnType": of}]} for amount, of, one in lines]}
    paid = by_person(books, "payment", amount="6.00", extra=extra)

    found = await read_one(books, "credit_note", note)
    assert (found.invoice, found.applied) == (owed, Decimal(4))
    assert (await read_one(books, "payment", paid)).applications == (Application(invoice=owed, amount=Decimal(6)),)
    page = await books.connector().sweep("credit_note", "full", None)
    assert page.sightings[0] == (await books.connector().read("credit_note", [note]))[note]


async def test_a_credit_used_within_a_payment_is_told_by_both_alike(books: World) -> None:
    """Together they settle what the invoice says is settled: neither twice, nor one of them not at all."""
    owed = by_person(books)
    note = by_person(books, "credit_note", lines=[{"amount": "4.00"}])
    lines = [(Decimal(10), "Invoice", owed), (Decimal(4), "CreditMemo", note)]
    extra = {"Line": [{"Amount": amount, "LinkedTxn": [{"TxnId": one, "TxnType": of}]} for amount, of, one in lines]}
    paid = by_person(books, "payment", amount="6.00", extra=extra)

    assert (await read_one(books, "payment", paid)).applications == (Application(invoice=owed, amount=Decimal(6)),)
    assert (await read_one(books, "credit_note", note)).applied == Decimal(4)
    assert (await read_one(books, "credit_note", note)).invoice == owed
    assert (await read_one(books, "invoice", owed)).due == 0


async def test_a_payment_of_nothing_is_no_payment(books: World) -> None:
    """It is how a credit memo is linked to an invoice."""
    owed = by_person(books)
    by_person(books, "credit_note", invoice=owed, applied="4.00")
    (link,) = books.company.objects("payment")
    connector = books.connector()

    assert (await connector.read("payment", [link]))[link] == Missing(link)
    assert (await connector.sweep("payment", "full", None)).sightings == []


async def test_a_sweep_and_a_read_see_the_same(books: World) -> None:
    """Digests that differ would have every document read again, for ever."""
    owed = by_person(books)
    by_person(books, "credit_note", invoice=owed, applied="4.00")
    by_person(books, "credit_note")
    by_person(books, "payment", amount="2.00", applications=[{"invoice": owed, "amount": "2.00"}])
    connector = books.connector()
    for kind in KINDS:
        page = await connector.sweep(kind, "full", None)
        ids = [one.id for one in page.sightings]
        assert len(ids) == (2 if kind == "credit_note" else 1)
        assert dict(zip(ids, page.sightings, strict=True)) == await connector.read(kind, ids)


async def test_links_that_cannot_be_read_hold_the_memo_alone(books: World) -> None:
    """A payment that settles something unknown says nothing of its credits: less is told than is applied."""
    owed = by_person(books)
    note = by_person(books, "credit_note", invoice=owed, applied="4.00")
    (link,) = books.company.objects("payment").values()
    link["Line"][0]["LinkedTxn"][0]["TxnType"] = "JournalEntry"
    found = (await books.connector().read("credit_note", [note]))[note]

    assert isinstance(found, Sighting)
    assert json.loads(found.raw)["AccordAppliedTo"] == []


async def test_an_odd_customer_or_amount_of_an_applied_credit_holds_the_memo_alone(books: World) -> None:
    """What cannot be understood holds the memo alone."""
    owed = by_person(books)
    note = by_person(books, "credit_note", invoice=owed, applied="4.00")
    (link,) = books.company.objects("payment").values()
    link["Line"][0]["LinkedTxn"][0]["TxnType"] = "JournalEntry"
    books.after = lambda _, answer: HttpResponse(200, {}, answer.body.replace(b'"Taxable":true', b'"ParentRef":[]'))
    connector = books.connector()
    await connector.read("credit_note", [note])
    assert [one for one in books.paths("Id%20in") if "Customer" in one]

    books.requests.clear()
    row = books.company.objects("credit_note")[note]
    assert isinstance(row, dict)
    row["RemainingCredit"] = Decimal(10) ** 20
    found = (await connector.read("credit_note", [note]))[note]
    assert isinstance(found, Sighting)
    assert [one for one in books.paths("Id%20in") if "from%20Customer" in one] == []


@pytest.mark.parametrize("odd", [b"\\u0000", b"\\ud83d", b"12\\u0000"])
async def test_an_id_that_cannot_be_stored_is_none(books: World, odd: bytes) -> None:
    """Half a letter in one invoice's id, and no change at all was taken from the feed; no database has either."""
    connector = books.connector()
    start = (await connector.sweep("customer", "changes", None)).cursor
    told = b'{"time":"2026-11-18T00:00:00Z","CDCResponse":[{"QueryResponse":[%b]}]}' % b",".join(
        b'{"%b":[{"Id":"%b"},{"Id":"7"}]}' % (name, odd) for name in (b"Customer", b"Invoice")
    )
    books.after = lambda request, answer: HttpResponse(200, {}, told) if "cdc?" in request.url else answer
    page = await connector.sweep("customer", "changes", start)

    assert [one.id for one in page.sightings] == ["7"]
    assert [one.remote_id for one in page.others] == ["7"]
    assert [(one.id, one.problem) for one in page.bad] == [("?", "an object without a readable Id")]


async def test_odd_documents_do_not_lose_the_others(books: World) -> None:
    """One record of another shape, one without an id."""
    told = b'{"QueryResponse":{"CreditMemo":[{"Id":"1"},{"Id":"2","TotalAmt":"x"},{"DocNumber":"3"}]}}'
    books.after = lambda request, answer: HttpResponse(200, {}, told) if "query?" in request.url else answer
    connector = books.connector()
    page = await connector.sweep("credit_note", "full", None)

    assert [one.id for one in page.sightings] == ["1", "2"]
    assert [one.problem for one in page.bad] == ["an object without a readable Id"]
    assert await connector.find("credit_note", Probe(mark=MARK)) == []


# ---- the feed --------------------------------------------------------------------------------------


async def changes(connector: QuickBooksConnector, cursor: str | None) -> list[Page]:
    """All pages of one look at the feed."""
    pages = [await connector.sweep("customer", "changes", cursor)]
    while not pages[-1].is_last:
        pages.append(await connector.sweep("customer", "changes", pages[-1].cursor))
    return pages


def others(pages: list[Page]) -> set[tuple[str, str]]:
    """Documents that were named."""
    return {(one.kind, one.remote_id) for page in pages for one in page.others}


async def test_one_call_of_the_feed_names_customers_and_documents(books: World) -> None:
    """Documents cost no reads of their own; a deleted one is named too, and a read tells."""
    connector = books.connector()
    books.clock.time += 1000
    (first,) = await changes(connector, None)
    owed = by_person(books)
    paid = by_person(books, "payment", amount="2.00", applications=[{"invoice": owed, "amount": "2.00"}])
    gone = by_person(books)
    books.company.delete("invoice", gone)
    books.company.edit("customer", "1", {"name": "Renamed"})
    books.requests.clear()

    pages = await changes(connector, first.cursor)

    assert len(books.requests) == len(pages) == 1
    assert "entities=Customer%2CInvoice%2CPayment%2CCreditMemo" in books.requests[0].url
    assert [one.id for one in pages[0].sightings] == ["1"]
    assert others(pages) == {("invoice", owed), ("payment", paid), ("invoice", gone)}
    assert pages[0].gone == []


async def test_a_document_is_named_once_where_answers_of_the_feed_overlap(books: World) -> None:
    """Five minutes of overlap would have each document read five times, and reads are metered."""
    connector = books.connector()
    books.clock.time += 1000
    (first,) = await changes(connector, None)
    owed = by_person(books)
    (second,) = await changes(connector, first.cursor)
    books.clock.time += 60
    (third,) = await changes(connector, second.cursor)
    books.clock.time += 60
    books.company.edit("invoice", owed, {"memo": "changed"})
    (fourth,) = await changes(connector, third.cursor)

    assert [others([one]) for one in (second, third, fourth)] == [{("invoice", owed)}, set(), {("invoice", owed)}]


async def test_a_document_whose_notice_was_lost_is_named_again(books: World) -> None:
    """The answer came, and the process died, or could not store it: the cursor is still the one before."""
    connector = books.connector()
    books.clock.time += 1000
    (first,) = await changes(connector, None)
    owed = by_person(books)
    (lost,) = await changes(connector, first.cursor)
    (again,) = await changes(connector, first.cursor)
    (restarted,) = await changes(books.connector(), lost.cursor)

    assert others([lost]) == others([again]) == others([restarted]) == {("invoice", owed)}


async def test_a_feed_that_is_full_is_paged_through_for_every_kind(books: World) -> None:
    """All entities share its 1,000: what did not fit is lost in it, and what was deleted is in no query."""
    connector = books.connector()
    books.clock.time += 1000
    (first,) = await changes(connector, None)
    gone = by_person(books, number="gone")
    books.company.delete("invoice", gone)
    for number in range(990):
        books.clock.time += number % 2
        by_person(books, number=f"N-{number}")
    for _ in range(20):
        by_person(books, "payment", amount="1.00")
    by_person(books, "credit_note")

    pages = await changes(connector, first.cursor)
    books.clock.time += 1000
    again = await changes(connector, pages[-1].cursor)

    every = {(kind, one) for kind in KINDS for one in books.company.objects(kind)}
    assert len(every) == 1011
    assert others(pages) == every | {("invoice", gone)}
    assert (len(pages), len(again)) == (5, 1)


async def test_a_refund_receipt_is_named_read_and_listed_beside_credit_memos(books: World) -> None:
    """An entity of its own, whose ids may be those of credit memos."""
    connector = books.connector()
    (first,) = await changes(connector, None)
    books.clock.time += 1000
    memo = by_person(books, "credit_note")
    receipt, booked, void = (by_person(books, "refund_receipt", number=f"R-{number}") for number in range(3))
    books.company.edit("refund_receipt", booked, {"extra": {"PrivateNote": "of May\naccord:booked"}})
    books.company.edit("refund_receipt", void, {"status": "void"})
    gone = by_person(books, "refund_receipt", number="gone")
    books.company.delete("refund_receipt", gone)
    refunds = {f"refund-{one}" for one in (receipt, booked, void, gone)}

    (page,) = await changes(connector, first.cursor)
    assert others([page]) == {("credit_note", one) for one in (memo, *refunds)}

    found = await connector.read("credit_note", [memo, *refunds])
    there = {one for one, seen in found.items() if isinstance(seen, Sighting)}
    assert there == {memo, f"refund-{receipt}"}
    seen = found[f"refund-{receipt}"]
    assert isinstance(seen, Sighting)
    told = books.documents.read("credit_note", seen.raw)
    assert isinstance(told.document, CreditNote)
    assert (told.document.id, told.document.number) == (f"refund-{receipt}", "R-0")
    assert (str(told.document.total), str(told.document.refunded)) == ("10.00", "10.00")
    assert "accord:booked" in told.unclear

    pages = [await connector.sweep("credit_note", "full", None)]
    while not pages[-1].is_last:
        pages.append(await connector.sweep("credit_note", "full", pages[-1].cursor))
    assert {one.id for page in pages for one in page.sightings} == there


async def test_a_refund_receipt_that_cannot_be_understood_is_named(books: World) -> None:
    """Half a letter anywhere hides neither which one it is nor the others."""
    books.company.edit("refund_receipt", None, BILLED)
    books.company.edit("refund_receipt", None, {**BILLED, "number": "odd"})
    books.after = lambda _, answer: HttpResponse(
        200, answer.headers, answer.body.replace(b'"DocNumber":"odd"', b'"DocNumber":"\\udfff"')
    )
    first = await books.connector().sweep("credit_note", "full", None)
    page = await books.connector().sweep("credit_note", "full", first.cursor)

    assert ([one.id for one in page.sightings], [one.id for one in page.bad]) == (["refund-1"], ["refund-2"])


@pytest.mark.parametrize("tells_newest", [False, True])
async def test_five_thousand_changes_and_edits_between_the_pages_lose_no_change_and_no_deletion(
    make_world: MakeWorld, *, tells_newest: bool
) -> None:
    """A deletion is in no query: it is in a feed that is not full, or the feed says that it was cut."""
    books = ready(make_world(tells_newest_changes=tells_newest))
    connector = books.connector()
    (first,) = await changes(connector, None)
    books.clock.time += 1000
    many = {"customer": 1500, "invoice": 2500, "payment": 700, "credit_note": 200, "refund_receipt": 100}
    made = {kind: [_made(books, kind, number) for number in range(count)] for kind, count in many.items()}
    papers = (*KINDS, "refund_receipt")
    gone = {kind: set(made[kind][::50]) for kind in papers}
    for one in made["customer"][::3]:
        books.company.delete("customer", one)
    _delete(books, gone)

    pages = [await connector.sweep("customer", "changes", first.cursor)]
    while not pages[-1].is_last:
        number = len(pages)
        late = {kind: {made[kind][number]} for kind in papers}
        _delete(books, late)
        gone = {kind: gone[kind] | late[kind] for kind in papers}
        for kind in papers:  # what is edited moves to the end, and the others up
            for one in made[kind][number * 50 + 10 : number * 50 + 20]:
                books.company.edit(kind, one, {"memo" if kind == "invoice" else "note": "seen"})
        pages.append(await connector.sweep("customer", "changes", pages[-1].cursor))
    pages += await changes(connector, pages[-1].cursor)

    seen = {one.id for page in pages for one in page.sightings}
    assert set(made["customer"]) <= seen
    named = others(pages)
    assert {_named(kind, one) for kind in papers for one in books.company.objects(kind)} <= named
    unnamed = {kind for kind in papers for one in gone[kind] if _named(kind, one) not in named}
    assert unnamed <= {kind for page in pages for kind in page.cut} == {"invoice"}


async def test_a_full_feed_tells_of_late_deletions_and_says_that_earlier_ones_may_be_missing(books: World) -> None:
    """It is asked for later and later times, up to an answer that is not full."""
    connector = books.connector()
    (first,) = await changes(connector, None)
    books.clock.time += 1000
    early, late = (by_person(books, number=number) for number in ("early", "late"))
    books.company.delete("invoice", early)
    for number in range(1200):
        books.clock.time += 1
        by_person(books, number=f"N-{number}")
    books.company.delete("invoice", late)
    asked = len(books.paths("/cdc"))

    pages = await changes(connector, first.cursor)

    assert ("invoice", late) in others(pages)
    assert ("invoice", early) not in others(pages)
    assert [page.cut for page in pages if page.cut] == [("invoice",)]
    assert len(books.paths("/cdc")) - asked == 1 + 5 + 2


async def test_a_full_feed_of_one_second_ends(books: World) -> None:
    """There is no later time to ask for."""
    connector = books.connector()
    (first,) = await changes(connector, None)
    books.clock.time += 400
    for number in range(1001):
        by_person(books, number=f"N-{number}")

    pages = await changes(connector, first.cursor)

    assert others(pages) == {("invoice", one) for one in books.company.objects("invoice")}
    assert [page.cut for page in pages if page.cut] == [("invoice",)]


def _named(kind: str, remote_id: str) -> tuple[str, str]:
    return ("credit_note", f"refund-{remote_id}") if kind == "refund_receipt" else (kind, remote_id)


def _made(books: World, kind: str, number: int) -> str:
    """A second passes with every seventh: some share one."""
    books.clock.time += not number % 7
    if kind == "customer":
        return books.company.edit("customer", None, {"name": f"C-{number}"})
    named = {"amount": "1.00"} if kind == "payment" else {"number": f"{kind}-{number}"}
    return by_person(books, kind, **named)


def _delete(books: World, some: dict[str, set[str]]) -> None:
    for kind, ids in some.items():
        for one in ids:
            books.company.delete(kind, one)


@pytest.mark.parametrize("kind", KINDS)
async def test_documents_have_no_feed_of_their_own(books: World, kind: str) -> None:
    """The customers' names them."""
    with pytest.raises(InvalidInputError, match="customers' feed"):
        await books.connector().sweep(kind, "changes", None)


async def test_an_unknown_kind_is_refused(books: World) -> None:
    """A typing mistake must not read customers."""
    connector = books.connector()
    for call in (
        connector.sweep("bill", "full", None),
        connector.read("bill", ["1"]),
        connector.find("bill", Probe(mark=MARK)),
    ):
        with pytest.raises(InvalidInputError, match="bill"):
            await call


async def test_webhooks_of_documents_are_understood(make_world: MakeWorld) -> None:
    """What QuickBooks sends for a person's edits, deletes and voids."""
    books = ready(make_world(webhook_url="https://accord.example/w"))
    while books.company.due_webhooks(books.clock.time):
        flight = books.company._hooks._flight
        assert flight is not None
        books.company.webhook_answered(flight.id, 200, books.clock.time)
    owed = by_person(books)
    paid = by_person(books, "payment", amount="2.00", applications=[{"invoice": owed, "amount": "2.00"}])
    note = by_person(books, "credit_note")
    books.company.edit("credit_note", note, {"status": "void"})
    books.company.delete("payment", paid)
    (outgoing,) = books.company.due_webhooks(books.clock.time)
    events = [event["type"].split(".")[1:3] for event in json.loads(outgoing.delivery.body)]

    assert {(one.kind, one.remote_id) for one in PROVIDER.webhooks.notices(outgoing.delivery.body)} == {
        ("invoice", owed),
        ("payment", paid),
        ("credit_note", note),
    }
    assert ["payment", "deleted"] in events
    assert ["creditmemo", "voided"] in events
    found = Notice(kind="invoice", remote_id=owed, account=books.company.settings.realm_id)
    assert found in PROVIDER.webhooks.notices(outgoing.delivery.body)
