"""Invoices, payments and credit notes in Accord's neutral form, and the laws that every one of them keeps (pure).

Amounts are Decimals in the document's currency, each a whole number of its smallest units; only a unit price may be
finer. Ids of customers and of other documents are the registry's, or those of one connection where a connector reads
and writes: `with_references` turns the one kind into the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Final, Literal, TypeAlias

import msgspec

from core.model.money import ZERO, exponent, is_whole, total_of

Kind = Literal["invoice", "payment", "credit_note"]
KINDS: Final[tuple[Kind, ...]] = ("invoice", "payment", "credit_note")

InvoiceStatus = Literal["draft", "open", "paid", "void", "uncollectible"]
PaymentStatus = Literal["pending", "succeeded", "failed", "void"]
CreditNoteStatus = Literal["issued", "void"]
DisputeStatus = Literal["needs_response", "under_review", "won", "lost"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `amount` is before `discount` and before `tax`, whatever the provider's own way of saying it.

    `id` is the origin's and stays the same; `product` is what policy maps to an item of the books ("" for none);
    `unit_amount` is None where the line has an amount only.
    """

    id: str
    description: str = ""
    product: str = ""
    quantity: Decimal = Decimal(1)
    unit_amount: Decimal | None = None
    amount: Decimal
    discount: Decimal = ZERO
    tax: Decimal = ZERO
    period_start: date | None = None
    period_end: date | None = None


class Invoice(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="invoice"):
    """What a customer owes. subtotal - discount + tax = total = paid + credited + written_off + due.

    `by_balance` of what is credited came off a balance that the customer has at the origin, below 0 where it was put
    on: no credit note tells of it.
    """

    id: str
    number: str = ""
    customer: str
    currency: str
    status: InvoiceStatus
    issued_on: date | None = None
    due_on: date | None = None
    lines: tuple[Line, ...]
    subtotal: Decimal
    discount: Decimal = ZERO
    tax: Decimal = ZERO
    total: Decimal
    paid: Decimal = ZERO
    credited: Decimal = ZERO
    written_off: Decimal = ZERO
    due: Decimal
    by_balance: Decimal = ZERO
    memo: str = ""


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a payment settles which invoice."""

    invoice: str
    amount: Decimal


class Dispute(msgspec.Struct, frozen=True, kw_only=True):
    """A payer's bank asks for `amount` back; `withdrawn` of it is taken for now, in the payment's currency.

    `fee` is the provider's, in `fee_currency`: it is told, and settles nothing.
    """

    id: str
    status: DisputeStatus
    amount: Decimal
    withdrawn: Decimal = ZERO
    fee: Decimal = ZERO
    fee_currency: str = ""


class Payment(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="payment"):
    """Money that came in, and what it settles. `refunded` of it went back, and what `disputes` withdrew.

    `received_on` is the day it is booked by; `received_at` the time, in UTC, where its origin tells one.
    """

    id: str
    customer: str
    currency: str
    status: PaymentStatus
    amount: Decimal
    refunded: Decimal = ZERO
    method: str = ""
    reference: str = ""
    received_on: date | None = None
    received_at: datetime | None = None
    applications: tuple[Application, ...] = ()
    disputes: tuple[Dispute, ...] = ()

    @property
    def charged_back(self) -> Decimal:
        """How much of it banks have taken back and not returned."""
        return total_of([one.withdrawn for one in self.disputes])


class CreditNote(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="credit_note"):
    """What a customer does not owe after all. subtotal - discount + tax = total; `applied` of it settles `invoice`."""

    id: str
    number: str = ""
    customer: str
    currency: str
    status: CreditNoteStatus
    issued_on: date | None = None
    invoice: str = ""
    lines: tuple[Line, ...]
    subtotal: Decimal
    discount: Decimal = ZERO
    tax: Decimal = ZERO
    total: Decimal
    applied: Decimal = ZERO
    refunded: Decimal = ZERO
    reason: str = ""


Document: TypeAlias = Invoice | Payment | CreditNote
Billed: TypeAlias = Invoice | CreditNote
"""What has lines."""

_KINDS: Final[dict[type, Kind]] = {Invoice: "invoice", Payment: "payment", CreditNote: "credit_note"}
_decoder: msgspec.json.Decoder[Document] = msgspec.json.Decoder(Document)
_encoder = msgspec.json.Encoder(order="deterministic")


def kind_of(document: Document) -> Kind:
    """Which of `KINDS` it is."""
    return _KINDS[type(document)]


def encoded(document: Document) -> str:
    """JSON text, amounts as strings; `decoded` gives back an equal document."""
    return _encoder.encode(document).decode()


def decoded(text: str) -> Document:
    """A stored document."""
    return _decoder.decode(text)


def digest_of(document: Document) -> str:
    """Equal for equal documents, whatever the spelling of their amounts (`1.5`, `1.50`)."""
    return blake2b(_encoder.encode(_plain(document)), digest_size=16).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value else "0"
    if isinstance(value, msgspec.Struct):
        tag = type(value).__struct_config__.tag
        return [tag, *(_plain(getattr(value, name)) for name in value.__struct_fields__)]
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def references(document: Document) -> tuple[str, ...]:
    """The invoices that a document is about, each once."""
    if isinstance(document, Payment):
        return tuple(dict.fromkeys(one.invoice for one in document.applications))
    if isinstance(document, CreditNote) and document.invoice:
        return (document.invoice,)
    return ()


def settled_by(document: Document) -> dict[str, Decimal]:
    """How much of which invoice a document settles now: nothing while it is pending, failed or void."""
    if isinstance(document, Payment) and document.status == "succeeded":
        found: dict[str, Decimal] = {}
        for one in document.applications:
            found[one.invoice] = total_of([found.get(one.invoice, ZERO), one.amount])
        return found
    if isinstance(document, CreditNote) and document.status == "issued" and document.invoice and document.applied:
        return {document.invoice: document.applied}
    return {}


def with_references(document: Document, *, id: str, customer: str, invoice: Callable[[str], str]) -> Document:  # noqa: A002 - the field's name
    """The same document in the terms of another system: its own id, its customer's, its invoices'."""
    if isinstance(document, Payment):
        applications = tuple(
            msgspec.structs.replace(one, invoice=invoice(one.invoice)) for one in document.applications
        )
        return msgspec.structs.replace(document, id=id, customer=customer, applications=applications)
    if isinstance(document, CreditNote) and document.invoice:
        return msgspec.structs.replace(document, id=id, customer=customer, invoice=invoice(document.invoice))
    return msgspec.structs.replace(document, id=id, customer=customer)


# ---- laws ------------------------------------------------------------------------------------------


class Breach(msgspec.Struct, frozen=True):
    """A law that a document breaks: which field, and what is wrong with it."""

    field: str
    problem: str


def breaches(document: Document) -> list[Breach]:
    """Every law that the document breaks; a document that breaks one is held, never sent on."""
    found = list(_not_whole(document))
    if isinstance(document, Payment):
        return [*found, *_payment_breaches(document)]
    found += _billed_breaches(document)
    if isinstance(document, Invoice):
        settled = [document.paid, document.credited, document.written_off, document.due]
        if document.status != "void" and total_of(settled) != document.total:
            found.append(
                Breach("due", f"paid, credited, written off and due are {total_of(settled)}, not {document.total}")
            )
        if document.due < 0:
            found.append(Breach("due", f"is negative: {document.due}"))
    elif document.applied > document.total or document.applied < 0:
        found.append(Breach("applied", f"{document.applied} of a credit of {document.total}"))
    return found


def _billed_breaches(document: Billed) -> list[Breach]:
    found = []
    lines = document.lines
    for name, sums_to in (
        ("subtotal", total_of([one.amount for one in lines])),
        ("discount", total_of([one.discount for one in lines])),
        ("tax", total_of([one.tax for one in lines])),
        ("total", total_of([document.subtotal, -document.discount, document.tax])),
    ):
        if getattr(document, name) != sums_to:
            found.append(Breach(name, f"is {getattr(document, name)}, but its parts sum up to {sums_to}"))
    if len({one.id for one in lines}) != len(lines):
        found.append(Breach("lines", "two lines have the same id"))
    return found


def _payment_breaches(payment: Payment) -> list[Breach]:
    found = []
    applied = total_of([one.amount for one in payment.applications])
    if applied > payment.amount:
        found.append(Breach("applications", f"{applied} are applied of a payment of {payment.amount}"))
    if payment.amount < 0 or (not payment.amount and payment.status != "void"):  # QuickBooks empties what is void
        found.append(Breach("amount", f"is not positive: {payment.amount}"))
    if not 0 <= payment.refunded <= payment.amount:
        found.append(Breach("refunded", f"{payment.refunded} of a payment of {payment.amount}"))
    for index, one in enumerate(payment.disputes):
        where = f"disputes.{index}"
        if not 0 <= one.withdrawn <= one.amount:
            found.append(Breach(f"{where}.withdrawn", f"{one.withdrawn} of a dispute about {one.amount}"))
        for name, value, currency in (
            ("amount", one.amount, payment.currency),
            ("withdrawn", one.withdrawn, payment.currency),
            ("fee", one.fee, one.fee_currency or payment.currency),
        ):
            if not is_whole(value, currency):
                found.append(Breach(f"{where}.{name}", f"{value} is finer than {currency}'s smallest unit"))
    return found


def _not_whole(document: Document) -> Sequence[Breach]:
    exponent(document.currency)
    found = []
    for name in document.__struct_fields__:
        value = getattr(document, name)
        if isinstance(value, Decimal) and not is_whole(value, document.currency):
            found.append(Breach(name, f"{value} is finer than {document.currency}'s smallest unit"))
    parts = document.applications if isinstance(document, Payment) else document.lines
    for index, part in enumerate(parts):
        for name in ("amount", "discount", "tax"):
            value = getattr(part, name, ZERO)
            if not is_whole(value, document.currency):
                where = "applications" if isinstance(document, Payment) else "lines"
                found.append(
                    Breach(f"{where}.{index}.{name}", f"{value} is finer than {document.currency}'s smallest unit")
                )
    return found


def called(document: Document) -> str:
    """What people call it: its number, of a payment its reference; "" where it has none."""
    return document.reference if isinstance(document, Payment) else document.number


def day_of(document: Document) -> date | None:
    """The day on which it is booked; None where it has none."""
    return document.received_on if isinstance(document, Payment) else document.issued_on


def amount_of(document: Document) -> Decimal:
    """What it comes to, in its currency."""
    return document.amount if isinstance(document, Payment) else document.total
