"""Documents that people make in QuickBooks are known to the registry, to the cent, whatever they do with them next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from core.model.documents import KINDS, CreditNote, Invoice, Payment
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse, Sighting
from core.sync.documents.taking import Read, take, understood
from core.sync.documents.telling import listed, overview
from core.sync.documents.tie_out import is_tied, tie_out
from core.sync.erasure import Remains, preview
from tests.support.acting import all_day, answer, everybody, failing, held
from tests.support.paper import BOOKS, SINCE, at_rest, bill, billing, documents_of, papers, pay, shown, with_documents
from tests.support.unheard import count
from tests.support.world import World

pytestmark = pytest.mark.anyio
LINE = {"description": "Seats", "product": "1", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"}


@pytest.fixture
async def world() -> World:
    """QuickBooks' documents are known, and copied nowhere."""
    return await billing(with_documents({"quickbooks": DocumentPolicy(originates=KINDS)}, {}, {}))


def customer(world: World) -> str:
    """The only one."""
    return next(iter(world.neutral("quickbooks")))


def credited(world: World, invoice: str = "", amount: str = "50.00") -> str:
    """A person credits the customer, and applies it to an invoice."""
    applied = {"invoice": invoice, "applied": amount} if invoice else {}
    line = {"amount": amount, "product": "1"}
    changes = {"customer": customer(world), "currency": "USD", "issued_on": "2026-11-19", "lines": [line], **applied}
    return world.lookalikes["quickbooks"].edit("credit_note", None, changes)


def only(world: World, kind: str) -> Invoice | Payment | CreditNote:
    """The registry's only document of a kind."""
    (paper,) = papers(world, kind)
    return paper.document


async def test_an_invoice_what_is_paid_of_it_and_what_is_credited(world: World) -> None:
    """A credit memo is told with its invoice, a link of the two is no payment."""
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    pay(world, invoice, "19.00", "quickbooks")
    credited(world, invoice)
    await world.next_sweep()
    known, payment, note = (only(world, kind) for kind in KINDS)

    assert isinstance(known, Invoice)
    assert isinstance(payment, Payment)
    assert isinstance(note, CreditNote)
    assert (known.number, str(known.total), str(known.tax), str(known.due)) == ("QB-1", "119.00", "19.00", "50.00")
    assert (str(known.paid), str(known.credited)) == ("19.00", "50.00")
    assert [(one.invoice, str(one.amount)) for one in payment.applications] == [(known.id, "19.00")]
    assert (note.invoice, str(note.applied)) == (known.id, "50.00")
    at_rest(world)


async def test_amounts_are_shown_in_one_form_whichever_system_tells_them(world: World) -> None:
    """QuickBooks leaves out what is 0: who compares texts found 0 here and 0.00 there."""
    bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    found = papers(world)
    (one,) = world.db.read_now(lambda tx: listed(tx, found, world.clock.now()))
    names = ("total", "paid", "credited", "written_off", "by_balance", "discount")
    assert [one["document"][name] for name in names] == ["119.00", *["0.00"] * 5]
    (line,) = one["document"]["lines"]
    assert (line["amount"], line["discount"], line["tax"]) == ("100.00", "0.00", "19.00")


async def test_an_invoice_with_a_deposit_is_not_taken_until_a_payment_tells_of_it(world: World) -> None:
    """It showed as paid, and no payment said by whom, when and how."""
    deposit = {"Deposit": Decimal("119.00"), "DepositToAccountRef": {"value": "35"}}
    invoice = bill(world, "quickbooks", LINE, number="QB-1", extra=deposit)
    await world.next_sweep()

    assert papers(world) == []
    (problem,) = failing(world)
    assert "Deposit is 119.0" in problem.message
    assert "record a payment of the invoice instead" in problem.message
    (untaken,) = _untaken(world)
    assert (untaken["kind"], untaken["remote_id"], untaken["why"]) == ("invoice", invoice, problem.message)

    world.lookalikes["quickbooks"].edit("invoice", invoice, {"extra": {"Deposit": Decimal(0)}})
    pay(world, invoice, "119.00", "quickbooks")
    await world.next_sweep()
    known, payment = only(world, "invoice"), only(world, "payment")
    assert isinstance(payment, Payment)
    assert [(one.invoice, str(one.amount)) for one in payment.applications] == [(known.id, "119.00")]
    assert (known.status, _untaken(world)) == ("paid", [])
    at_rest(world)


async def test_a_deposit_that_is_entered_later_pays_nothing_here(world: World) -> None:
    """The invoice stays as it was last told whole, and a closing month says so."""
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    world.lookalikes["quickbooks"].edit("invoice", invoice, {"extra": {"Deposit": Decimal(19)}})
    await world.next_sweep()

    known = only(world, "invoice")
    assert isinstance(known, Invoice)
    assert (known.status, str(known.due)) == ("open", "119.00")
    assert [one["remote_id"] for one in _untaken(world)] == [invoice]


def _untaken(world: World) -> list[dict[str, str]]:
    found: list[dict[str, str]] = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))["untaken"]
    return found


async def taken(world: World, kind: str, remote_id: str) -> None:
    """What one read of it does to the registry."""
    books = world.hub.connections["quickbooks"]
    sighting = (await books.connector.read(kind, [remote_id]))[remote_id]
    assert isinstance(sighting, Sighting)
    one = Read(sighting, understood(books, kind, sighting), "trace")
    world.db.run_now(lambda tx: take(tx, world.hub, books, kind, [one]))


@pytest.mark.parametrize("order", list(permutations(KINDS)))
async def test_whichever_is_read_first_what_was_paid_and_what_was_credited_end_the_same(
    world: World, order: tuple[str, ...]
) -> None:
    """QuickBooks tells one sum of an invoice, and it was all called paid."""
    invoice = bill(world, "quickbooks", LINE)
    await world.next_sweep()
    made = {"invoice": invoice, "payment": pay(world, invoice, "19.00", "quickbooks"), "credit_note": ""}
    made["credit_note"] = credited(world, invoice)
    for kind in order:
        await taken(world, kind, made[kind])

    (known,) = papers(world)
    assert isinstance(known.document, Invoice)
    assert [str(getattr(known.document, one)) for one in ("paid", "credited", "due")] == ["19.00", "50.00", "50.00"]


@pytest.mark.parametrize("how", ["void", "delete"])
async def test_a_credit_that_is_taken_back_is_credited_no_more(world: World, how: str) -> None:
    """And what was paid meanwhile is paid."""
    invoice = bill(world, "quickbooks", LINE)
    note = credited(world, invoice)
    await world.next_sweep()
    before = only(world, "invoice")
    books = world.lookalikes["quickbooks"]
    if how == "void":
        books.edit("credit_note", note, {"status": "void"})
    else:
        books.delete("credit_note", note)
    pay(world, invoice, "50.00", "quickbooks")
    await world.next_sweep()
    if how == "delete":
        (hold,) = held(world)
        await answer(world, hold, "accept")

    after = only(world, "invoice")
    assert isinstance(before, Invoice)
    assert isinstance(after, Invoice)
    assert (str(before.paid), str(before.credited)) == ("0.00", "50.00")
    assert (str(after.paid), str(after.credited), str(after.due)) == ("50.00", "0.00", "69.00")
    at_rest(world)


async def test_the_crm_and_the_overview_show_what_was_paid_apart_from_what_was_credited() -> None:
    """A seller who reads 69.00 paid where 19.00 came in believes a customer who did not pay."""
    policies = {
        "quickbooks": DocumentPolicy(originates=KINDS),
        "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE),
    }
    world = await billing(with_documents(policies, {}, {}))
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    credited(world, invoice)
    await world.next_sweep()
    pay(world, invoice, "19.00", "quickbooks")
    await world.next_sweep()

    (there,) = shown(world, "hubspot")
    assert [there[one] for one in ("total", "paid", "credited", "due")] == ["119.00", "19.00", "50.00", "50.00"]
    (ada,) = everybody(world)
    (told,) = world.db.read_now(lambda tx: overview(tx, world.hub, ada.external_id, with_children=False))
    assert [told[one] for one in ("gross_revenue", "paid", "outstanding")] == ["69.00", "19.00", "50.00"]
    closed = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))
    assert [(one["connection"], one["kind"], one["matched"]) for one in closed["sums"]] == [("hubspot", "invoice", 1)]
    assert is_tied(closed)
    at_rest(world)


async def test_a_credit_of_another_system_is_credited_once_it_is_in_the_books() -> None:
    """A credit note of Stripe's of an invoice that was made in QuickBooks: until it is booked nothing is credited."""
    both = DocumentPolicy(originates=("payment", "credit_note"), mirrors=KINDS, since=SINCE)
    policies = {
        "quickbooks": DocumentPolicy(originates=("invoice",), mirrors=("payment", "credit_note")),
        "stripe": both,
    }
    settings = {"quickbooks": BOOKS, "stripe": {"mirror_open_invoices": "yes"}}
    world = await billing(with_documents(policies, settings, {}))
    bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    (copy,) = world.lookalikes["stripe"].neutral("invoice")
    pay(world, copy, "19.00")
    world.lookalikes["stripe"].edit("credit_note", None, {"invoice": copy, "lines": [{"amount": "50.00"}]})
    await world.next_sweep()
    await world.next_sweep()

    known = only(world, "invoice")
    assert isinstance(known, Invoice)
    assert [str(getattr(known, one)) for one in ("paid", "credited", "due")] == ["19.00", "50.00", "50.00"]


async def test_a_customer_and_an_invoice_of_one_id_are_two(world: World) -> None:
    """QuickBooks counts each entity for itself."""
    invoice = bill(world, "quickbooks", LINE)
    await world.next_sweep()

    assert invoice == customer(world)
    assert len(papers(world)) == 1
    assert len(world.neutral("quickbooks")) == 1
    at_rest(world)


async def test_a_credit_that_is_applied_later_is_no_question(world: World) -> None:
    """First the memo, then what it is for."""
    invoice, note = bill(world, "quickbooks", LINE), credited(world)
    await world.next_sweep()
    before = only(world, "credit_note")
    books = world.lookalikes["quickbooks"]
    links = [("Invoice", invoice), ("CreditMemo", note)]
    lines = [{"Amount": 50, "LinkedTxn": [{"TxnId": one, "TxnType": of}]} for of, one in links]
    head = {"customer": customer(world), "currency": "USD", "amount": "0", "received_on": "2026-11-20"}
    books.edit("payment", None, {**head, "extra": {"Line": lines}})
    await world.next_sweep()
    after = only(world, "credit_note")

    assert isinstance(before, CreditNote)
    assert isinstance(after, CreditNote)
    assert (before.invoice, after.invoice, str(after.applied)) == ("", papers(world)[0].id, "50.00")
    assert papers(world, "payment") == []
    at_rest(world)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_void_is_void_and_what_it_was_stays_known(world: World, kind: str) -> None:
    """QuickBooks sets its amounts to zero; a zero in the registry would say it never was."""
    made = bill(world, "quickbooks", LINE)
    remote = {"invoice": lambda: made, "payment": lambda: pay(world, made, "19.00", "quickbooks")}
    remote_id = remote.get(kind, lambda: credited(world))()
    await world.next_sweep()
    before = only(world, kind)
    world.lookalikes["quickbooks"].edit(kind, remote_id, {"status": "void"})
    await world.next_sweep()
    after = only(world, kind)

    total = "amount" if isinstance(before, Payment) else "total"
    assert after.status == "void"
    assert getattr(after, total) == getattr(before, total) > 0
    at_rest(world)


async def test_a_deleted_invoice_is_asked_about(world: World) -> None:
    """It was somebody's claim."""
    invoice = bill(world, "quickbooks", LINE)
    await world.next_sweep()
    world.lookalikes["quickbooks"].delete("invoice", invoice)
    await world.next_sweep()

    (hold,) = held(world)
    assert hold.reason == "document_gone"
    assert len(papers(world)) == 1


async def test_an_invoice_hides_no_customer_of_the_same_id_from_an_erasure(world: World) -> None:
    """Whoever erases somebody is told of all objects that may be the person's."""
    (ada,) = everybody(world)
    books = world.lookalikes["quickbooks"]
    twin = books.edit("customer", None, {"name": "A. L.", "email": "ada@example.test"})
    while bill(world, "quickbooks", LINE, customer=customer(world)) != twin:
        pass
    await all_day(world)
    assert twin in {paper.remote_id for paper in papers(world)}
    found = world.db.read_now(lambda tx: preview(tx, world.hub, ada.external_id))
    assert found.likely == [Remains("quickbooks", str(twin))]


async def test_what_was_void_and_is_deleted_then_is_asked_about_by_nobody(world: World) -> None:
    """People tidy up: there was nothing to decide, and the question kept the month open."""
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    world.lookalikes["quickbooks"].edit("invoice", invoice, {"status": "void"})
    await world.next_sweep()
    world.lookalikes["quickbooks"].delete("invoice", invoice)
    await world.next_sweep()
    await all_day(world)
    assert [one.document.status for one in papers(world)] == ["void"]
    at_rest(world)
    assert is_tied(world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11")))


# ---- money that goes back --------------------------------------------------------------------------


def refunded(world: World, day: str = "2026-11-19") -> str:
    """A person gives money back, by a refund receipt of 50.00."""
    line = {"amount": "50.00", "product": "1"}
    changes = {"customer": customer(world), "currency": "USD", "issued_on": day, "number": "R-7", "lines": [line]}
    return world.lookalikes["quickbooks"].edit("refund_receipt", None, changes)


def month(world: World, period: str = "2026-11") -> dict[str, Any]:
    """The tie-out of a month."""
    return world.db.read_now(lambda tx: tie_out(tx, world.hub, period))


async def test_a_refund_receipt_waits_for_a_person_and_keeps_its_month_open(world: World) -> None:
    """It names no payment, and may be the one that was booked for a refund elsewhere: it was never seen."""
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    pay(world, invoice, "119.00", "quickbooks")
    receipt = refunded(world)
    await world.next_sweep()

    assert papers(world, "credit_note") == []
    (payment,) = documents_of(world, Payment)
    assert payment.refunded == 0
    (waits,) = month(world)["untaken"]
    told = (waits["kind"], waits["remote_id"], waits["number"], waits["amount"], waits["issued_on"])
    assert told == ("credit_note", f"refund-{receipt}", "R-7", "50.00", "2026-11-19")
    assert "which payment or sale it gives back is not told" in waits["why"]
    assert "accord:booked" in waits["cure"]
    assert (is_tied(month(world)), is_tied(month(world, "2026-10"))) == (False, True)

    reads = count(world, "quickbooks", "GET .*(RefundReceipt%20where%20Id|/refundreceipt/)")
    await all_day(world)
    assert reads == [], "nothing but an edit changes what it says"


@pytest.mark.parametrize("how", ["booked", "void", "deleted"])
async def test_a_refund_receipt_that_a_person_has_dealt_with_keeps_nothing_open(world: World, how: str) -> None:
    """Whoever books what it gives back says so in its private note."""
    receipt, books = refunded(world), world.lookalikes["quickbooks"]
    await world.next_sweep()
    assert not is_tied(month(world))
    if how == "deleted":
        books.delete("refund_receipt", receipt)
    else:
        note = {"extra": {"PrivateNote": "see Stripe\nAccord:booked"}}
        books.edit("refund_receipt", receipt, {"status": "void"} if how == "void" else note)

    await world.next_sweep()

    assert is_tied(month(world))
    assert papers(world, "credit_note") == []
    at_rest(world)


async def test_a_refund_receipt_found_by_the_listing_waits_as_well() -> None:
    """Those that were there before Accord was."""
    world = World(config=with_documents({"quickbooks": DocumentPolicy(originates=KINDS)}, {}, {}))
    ada = {"name": "Ada Lovelace", "email": "ada@example.test"}
    world.lookalikes["quickbooks"].edit("customer", None, ada)
    refunded(world)
    await world.activate_all()
    await all_day(world)

    (waits,) = month(world)["untaken"]
    assert waits["number"] == "R-7"


async def test_where_quickbooks_has_copies_only_its_refund_receipts_are_nobodys() -> None:
    """There they are what a person books by hand."""
    world = await billing()
    bill(world)
    await world.next_sweep()
    refunded(world)
    await world.next_sweep()
    assert is_tied(month(world))
    at_rest(world)


@contextmanager
def answered(world: World, name: str, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """A system's answers, changed."""
    answering = world.exchanges[name]

    def changing(request: HttpRequest) -> HttpResponse:
        answer = answering(request)
        return HttpResponse(answer.status, answer.headers, change(answer.body))

    world.exchanges[name] = changing
    yield
    world.exchanges[name] = answering


def booked_elsewhere(world: World, payment: str) -> None:
    """A person says that what was given back of a payment is booked."""
    world.lookalikes["quickbooks"].edit("payment", payment, {"extra": {"PrivateNote": "accord:booked"}})


async def test_a_payment_that_settles_a_cheque_is_told_and_keeps_its_month_open(world: World) -> None:
    """Money given back, or a cost that was passed on: QuickBooks does not say which."""
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    payment = pay(world, invoice, "119.00", "quickbooks")
    linked = b'"LinkedTxn":[{"TxnId":"%b","TxnType":"Invoice"}]' % invoice.encode()
    cheque = b'"LinkedTxn":[{"TxnId":"77","TxnType":"Check"}]'
    with answered(world, "quickbooks", lambda body: body.replace(linked, cheque)):
        await world.next_sweep()
        (untaken,) = month(world)["untaken"]
        assert (untaken["kind"], untaken["remote_id"]) == ("payment", payment)
        assert "linked to Check, not an invoice" in untaken["why"]
        assert not is_tied(month(world))
        booked_elsewhere(world, payment)
        await world.next_sweep()
    (known,) = papers(world, "payment")
    assert known.remote_id == payment
    assert [one.applications for one in documents_of(world, Payment)] == [()]
    assert month(world)["untaken"] == []


async def test_what_was_given_back_of_an_over_payment_is_told_and_keeps_the_month_open(world: World) -> None:
    """Nothing but what is left to be used tells of it: the payment was taken as if all of it were still here."""
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    applications = [{"invoice": invoice, "amount": "119.00"}]
    payment = pay(world, invoice, "150.00", "quickbooks", applications=applications)
    with answered(world, "quickbooks", lambda body: body.replace(b'"UnappliedAmt":31', b'"UnappliedAmt":1')):
        await world.next_sweep()
        (untaken,) = month(world)["untaken"]
        assert (untaken["kind"], untaken["remote_id"]) == ("payment", payment)
        assert "31.00 of it settles no invoice, but UnappliedAmt is 1" in untaken["why"]
        booked_elsewhere(world, payment)
        await world.next_sweep()
    assert [str(one.amount) for one in documents_of(world, Payment)] == ["150.00"]
    assert is_tied(month(world))
