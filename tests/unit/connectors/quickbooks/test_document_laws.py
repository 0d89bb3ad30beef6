"""Any document, in any currency, in any edition: a copy is equal to the smallest unit, or there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RejectedError
from core.model.documents import CreditNote, Document, Invoice, Payment, breaches, kind_of
from core.model.money import allocated, exponent, from_minor, to_minor, total_of
from core.model.paper import WantedDocument
from tests.support.documents import CURRENCIES, credit_notes, invoices, lines, payments
from tests.unit.connectors.quickbooks.conftest import MARK, World

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)
EDITIONS: dict[str, dict[str, Any]] = {
    "us": {"country": "US"},
    "us that computes": {"country": "US", "takes_told_tax": False},
    "vat": {"country": "DE"},
    "vat that takes what it is told": {"country": "DE", "takes_told_tax": True},
}
POLICY: dict[str, dict[str, str]] = {
    "us": {},
    "us that computes": {"tax_override": "no", "tax_codes": "8.25:TAX, 0:NON"},
    "vat": {"tax_codes": "19:5, 7:7, 0:2"},
    "vat that takes what it is told": {"tax_override": "yes", "tax_codes": "19:5, 7:7, 0:2"},
}


def ran(work: Coroutine[Any, Any, T]) -> T:
    """The daemon runs on asyncio; hypothesis does not."""
    return asyncio.run(work)


def company(edition: str, currency: str) -> World:
    """A company with one customer, who pays in `currency`."""
    world = World(**EDITIONS[edition])
    world.extra = {"default_item": "1", "rounding_item": "2", "deposit_account": "35", **POLICY[edition]}
    world.company.edit("customer", None, {"name": "Acme", "currency": currency})
    return world


def here(document: S, **changes: object) -> S:
    """The same document in the company's terms."""
    return msgspec.structs.replace(document, customer="1", **changes)


def read(world: World, kind: str, raw: bytes) -> Any:
    """The copy in neutral form."""
    remote = world.documents.read(kind, raw)
    assert breaches(remote.document) == []
    return remote.document


@st.composite
def taxed(draw: st.DrawFn) -> Invoice:
    """An open invoice whose tax is that of one real rate: rounded line by line, or once and then divided."""
    currency = draw(st.sampled_from(CURRENCIES))
    rate = draw(st.sampled_from([Decimal(19), Decimal(7), Decimal("8.25")]))
    some = [one for one in draw(lines(currency, most=9)) if one.amount >= one.discount]
    nets = [one.amount - one.discount for one in some]
    unit = from_minor(1, exponent(currency))
    taxes = [(net * rate / 100).quantize(unit) for net in nets]
    is_divided = bool(some) and draw(st.booleans())
    if is_divided:
        whole = to_minor((sum(nets, Decimal(0)) * rate / 100).quantize(unit), exponent(currency))
        taxes = [from_minor(one, exponent(currency)) for one in allocated(whole, nets)]
    found = tuple(msgspec.structs.replace(one, tax=tax) for one, tax in zip(some, taxes, strict=True))
    return billed(draw(invoices(currency=currency, status="open")), found)


def billed(invoice: Invoice, some: tuple[Any, ...]) -> Invoice:
    """The invoice with other lines."""
    subtotal, discount, tax = (total_of([getattr(one, name) for one in some]) for name in ("amount", "discount", "tax"))
    total = subtotal - discount + tax
    zero = Decimal(0)
    return msgspec.structs.replace(
        invoice, lines=some, subtotal=subtotal, discount=discount, tax=tax, total=total, due=total, paid=zero
    )


def same(wanted: Any, copy: Any) -> None:
    """Everything that is money, to the smallest unit."""
    for name in ("currency", "customer", "subtotal", "discount", "tax", "total", "number"):
        assert getattr(copy, name) == getattr(wanted, name), name


@pytest.mark.parametrize("edition", EDITIONS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_copied_invoice_is_equal_to_the_smallest_unit_or_is_not_there(edition: str, data: st.DataObject) -> None:
    """QuickBooks rounds tax line by line: what it would make of a document is never what stands in the books."""
    invoice = here(data.draw(invoices(status="open") | taxed()))
    world, is_told = company(edition, invoice.currency), False
    try:
        raw = ran(world.bring(invoice))
    except RejectedError as refused:
        is_told = bool(refused.field and refused.cure)
        raw = b""
    if not raw:
        assert is_told
        assert world.company.objects("invoice") == {}
        return
    copy = read(world, "invoice", raw)

    same(invoice, copy)
    assert (copy.due, copy.status) == (invoice.total, "open" if invoice.total else "paid")
    assert len(copy.lines) == len(invoice.lines)
    assert [one.discount for one in copy.lines] == [one.discount for one in invoice.lines]
    told = world.company.neutral("invoice")[copy.id]
    for name in ("subtotal", "discount", "tax", "total", "due"):
        assert Decimal(told[name]) == getattr(copy, name), name
    assert told["mark"] == MARK


@given(document=invoices(status="void") | payments() | credit_notes())
@settings(max_examples=60)
def test_what_cannot_be_booked_is_refused_before_anything_is_written(document: Document) -> None:
    """A void one that was never here needs no copy; a refund has no place."""
    world = company("us", document.currency)
    document = here(document, id="")
    try:
        step = world.documents.step(WantedDocument(document=document, mark=MARK), None)
    except RejectedError as refused:
        is_told = bool(refused.field and refused.cure)
    else:
        is_told = (step is None) == (document.status == "void")
    assert is_told


@given(note=credit_notes())
@settings(max_examples=40)
def test_a_credit_note_settles_its_invoice_to_the_smallest_unit(note: CreditNote) -> None:
    """It is applied by a payment of nothing, which is no payment in the registry's sense."""
    if note.status == "void":
        return
    world = company("us", note.currency)
    invoice = billed(
        Invoice(
            id="",
            customer="1",
            currency=note.currency,
            status="open",
            issued_on=note.issued_on,
            lines=note.lines,
            subtotal=note.subtotal,
            total=note.total,
            due=note.total,
        ),
        note.lines,
    )
    try:
        owed = read(world, "invoice", ran(world.bring(invoice, mark="a.invoice.1")))
        raw = ran(world.bring(note := here(note, invoice=owed.id)))
    except RejectedError:
        return
    copy = read(world, "credit_note", raw)

    same(note, copy)
    assert copy.applied == note.applied
    assert Decimal(world.company.neutral("invoice")[owed.id]["due"]) == note.total - note.applied
    assert world.company.neutral("payment") == {}


@given(payment=payments())
@settings(max_examples=40)
def test_a_payment_settles_each_of_its_invoices_by_its_part(payment: Payment) -> None:
    """In part, too much, of several invoices, or of none yet."""
    if payment.status != "succeeded" or payment.refunded:
        return
    world = company("us", payment.currency)
    try:
        applied = {}
        for place, one in enumerate(payment.applications):
            changes = {"customer": "1", "currency": payment.currency, "number": f"N-{place}", "issued_on": "2026-01-02"}
            line = {"amount": str(one.amount + 1)}
            applied[world.company.edit("invoice", None, {**changes, "lines": [line]})] = one.amount
        told = tuple(
            msgspec.structs.replace(one, invoice=invoice)
            for one, invoice in zip(payment.applications, applied, strict=True)
        )
        raw = ran(world.bring(here(payment, applications=told)))
    except (RejectedError, ValueError):
        assert payment.currency in {"KWD", "BHD"}
        return
    copy = read(world, kind_of(payment), raw)

    assert (copy.amount, copy.currency, copy.applications) == (payment.amount, payment.currency, told)
    for invoice, amount in applied.items():
        assert Decimal(world.company.neutral("invoice")[invoice]["paid"]) == amount
