"""Stripe's invoices, invoice payments and credit notes in neutral form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final, TypeVar

from connectors.stripe.manifest import ACCORD_REF
from connectors.stripe.translate.days import Days, moment_of
from connectors.stripe.translate.lines import (
    credit_line,
    currency_of,
    folded,
    invoice_line,
    shipping_line,
    text_of,
)
from connectors.stripe.translate.money import amount_in
from connectors.stripe.wire.documents import (
    ChargeWire,
    CreditNoteWire,
    DisputeWire,
    IntentWire,
    InvoicePaymentWire,
    InvoiceWire,
    RecordWire,
    id_of,
)
from core.errors import ReplyError
from core.model.documents import (
    Application,
    CreditNote,
    CreditNoteStatus,
    Dispute,
    DisputeStatus,
    Document,
    Invoice,
    InvoiceStatus,
    Line,
    Payment,
    PaymentStatus,
    breaches,
)
from core.model.money import total_of
from core.model.paper import RemoteDocument, Untold

T = TypeVar("T")

_INVOICES: Final[Mapping[str, InvoiceStatus]] = {
    "draft": "draft",
    "open": "open",
    "paid": "paid",
    "void": "void",
    "uncollectible": "uncollectible",
}
_PAYMENTS: Final[Mapping[str, PaymentStatus]] = {"open": "pending", "paid": "succeeded", "canceled": "void"}
_CREDITS: Final[Mapping[str, CreditNoteStatus]] = {"issued": "issued", "void": "void"}


_DISPUTES: Final[Mapping[str, DisputeStatus]] = {
    # warnings are questions of a bank before it takes anything
    "warning_needs_response": "needs_response",
    "warning_under_review": "under_review",
    "warning_closed": "won",
    "needs_response": "needs_response",
    "under_review": "under_review",
    "won": "won",
    "lost": "lost",
    "prevented": "won",
}
_GIVEN_BACK: Final = frozenset({"won", "warning_closed", "prevented"})

OUT_OF_BAND: Final = "out of band"
"""How a payment came in that Stripe was only told of, where nobody said how."""

DUE_KEY: Final = "accord_due_on"
"""Metadata key of a copy's due date: Stripe takes none that has passed."""

NUMBER_KEY: Final = "accord_number"
"""Metadata key of a credit note's number at its origin: Stripe counts credit notes itself."""


def mark_of(metadata: Mapping[str, str] | None) -> str | None:
    """Our marker."""
    return (metadata or {}).get(ACCORD_REF) or None


def read_invoice(wire: InvoiceWire, days: Days) -> RemoteDocument:
    """One invoice; every line of it must have been read."""
    if wire.lines.has_more:
        raise ReplyError("an invoice without all of its lines")
    currency = currency_of(wire.currency)
    lines = _invoice_lines(wire, currency, days)
    paid, written_off, due = _settled(wire)
    moved = wire.status_transitions
    issued = wire.effective_at or (moved.finalized_at if moved else None)
    invoice = Invoice(
        id=wire.id,
        number=text_of(wire.number),
        customer=_customer(id_of(wire.customer)),
        currency=currency,
        status=_known(_INVOICES, wire.status),
        issued_on=days.day_of(issued),
        due_on=_due_on(wire, days),
        lines=tuple(lines),
        **_sums(lines),
        paid=amount_in(paid, currency),
        credited=amount_in(wire.total - wire.amount_due, currency),
        written_off=amount_in(written_off, currency),
        due=amount_in(due, currency),
        by_balance=amount_in(_by_balance(wire), currency),
        memo=text_of(wire.description),
    )
    _same(invoice.total, amount_in(wire.total, currency), "lines, taxes and discounts")
    collects = bool(wire.auto_advance) and wire.status in ("draft", "open")
    return RemoteDocument(
        document=_lawful(invoice),
        mark=mark_of(wire.metadata),
        collects=collects,
        came_in=amount_in(_came_in(wire), currency),
    )


def _came_in(wire: InvoiceWire) -> int:
    """What was paid, but for what Stripe was only told of."""
    return max(wire.amount_paid - (wire.amount_paid_off_stripe or 0), 0)


def _due_on(wire: InvoiceWire, days: Days) -> date | None:
    # of a copy, what the origin says
    told = (wire.metadata or {}).get(DUE_KEY) if mark_of(wire.metadata) else None
    try:
        return date.fromisoformat(told) if told else days.day_of(wire.due_date)
    except ValueError as error:
        raise ReplyError(f"metadata.{DUE_KEY} is no date") from error


def _invoice_lines(wire: InvoiceWire, currency: str, days: Days) -> list[Line]:
    lines = [(invoice_line(line, currency, days), line.metadata or {}) for line in wire.lines.data]
    found = folded(lines) if mark_of(wire.metadata) else [line for line, _ in lines]
    return [*found, *shipping_line(wire.shipping_cost, currency)]


def _by_balance(wire: InvoiceWire) -> int:
    """What the customer's balance took off, below 0 where it put something on; of a draft nobody knows yet."""
    return 0 if wire.ending_balance is None else wire.ending_balance - wire.starting_balance


def _settled(wire: InvoiceWire) -> tuple[int, int, int]:
    """What is paid, written off and due, of what is due at all (`amount_due`: credits are off already)."""
    paid, left = wire.amount_due - wire.amount_remaining, wire.amount_remaining
    if wire.amount_paid not in (paid, paid + wire.amount_overpaid):
        raise ReplyError(
            f"of {wire.amount_due} minor units {wire.amount_paid} are paid and {wire.amount_remaining} remain"
        )
    if wire.status == "uncollectible":
        return paid, left, 0
    if wire.status == "paid" and left:
        # somebody else collected the rest, or it was forgiven
        return (paid + left, 0, 0) if (wire.amount_paid_off_stripe or 0) >= left else (paid, left, 0)
    return paid, 0, 0 if wire.status == "void" else left


def read_payment(wire: InvoicePaymentWire, days: Days) -> RemoteDocument:
    """How much of a payment went to one invoice, or, of a copy of ours, to all of its; what was refunded of it."""
    currency = currency_of(wire.currency)
    parts = {one.invoice.id: _amount(one) for one in (wire, *(wire.others or ()))}
    method, reference = _how(wire)
    paid_at = wire.status_transitions.paid_at if wire.status_transitions else None
    record = wire.payment.payment_record
    mark = mark_of(record.metadata) if isinstance(record, RecordWire) else None
    payment = Payment(
        id=wire.id,
        customer=_customer(id_of(wire.invoice.customer)),
        currency=currency,
        status=_known(_PAYMENTS, wire.status),
        amount=amount_in(sum(parts.values()), currency),
        refunded=amount_in(sum(_refunded(one, _amount(one)) for one in (wire, *(wire.others or ()))), currency),
        method=text_of(method),
        reference=text_of(reference),
        received_on=days.day_of(paid_at),
        # of a copy of ours there is a day only
        received_at=None if mark else moment_of(paid_at),
        applications=tuple(
            Application(invoice=invoice, amount=amount_in(part, currency)) for invoice, part in parts.items()
        ),
        disputes=_disputes(wire, currency),
    )
    return RemoteDocument(document=_lawful(payment), mark=mark, untold=_untold(wire, currency))


def _amount(wire: InvoicePaymentWire) -> int:
    return wire.amount_requested if wire.amount_paid is None else wire.amount_paid


def _how(wire: InvoicePaymentWire) -> tuple[str, str]:
    record, charge = wire.payment.payment_record, charge_of(wire)
    if isinstance(record, RecordWire):
        method = record.payment_method_details.custom if record.payment_method_details else None
        processor = record.processor_details.custom if record.processor_details else None
        reference = processor.payment_reference if processor else None
        return (method.display_name if method else None) or OUT_OF_BAND, reference or record.id
    if charge is not None:
        return charge.payment_method_details.type if charge.payment_method_details else "", charge.id
    intent = wire.payment.payment_intent
    return "", intent.id if isinstance(intent, IntentWire) else intent or ""


def charge_of(wire: InvoicePaymentWire) -> ChargeWire | None:
    """The charge that brought the money in, where one did and was asked for."""
    intent, charge = wire.payment.payment_intent, wire.payment.charge
    if isinstance(intent, IntentWire):
        charge = intent.latest_charge
    return charge if isinstance(charge, ChargeWire) else None


def _gone_back(wire: InvoicePaymentWire) -> tuple[int, int, str]:
    """All that came in, with this part of it and with others, what of all that went back, and what it is called."""
    record, charge = wire.payment.payment_record, charge_of(wire)
    if isinstance(record, RecordWire):
        return record.amount.value, record.amount_refunded.value if record.amount_refunded else 0, record.id
    return (charge.amount, charge.amount_refunded, charge.id) if charge is not None else (0, 0, "")


def _refunded(wire: InvoicePaymentWire, amount: int) -> int:
    """What went back of the part that this invoice got, as far as Stripe tells."""
    whole, back, _ = _gone_back(wire)
    if whole == amount:
        return back
    return amount if back and back == whole else 0


def _untold(wire: InvoicePaymentWire, currency: str) -> Untold | None:
    whole, back, called = _gone_back(wire)
    is_part = whole != _amount(wire) and back not in (0, whole)
    disputed = [one for one in wire.disputes or () if _is_in_part(wire, one)]
    if not is_part and not disputed:
        return None
    taken = [one.amount for one in disputed if _is_taken(one)]
    how = " and ".join([*(["was refunded"] if is_part else []), *(["is disputed"] if disputed else [])])
    problem = f"part of {called}, which paid several invoices, {how}, and Stripe does not tell for which of them"
    amount = amount_in(sum([back if is_part else 0, *taken]), currency)
    return Untold(field="refunded", amount=amount, of=_how(wire)[1], called=called, problem=problem)


def _is_in_part(wire: InvoicePaymentWire, dispute: DisputeWire) -> bool:
    """Whether a dispute is about a part of a charge that paid several invoices."""
    charge = charge_of(wire)
    return charge is not None and charge.amount not in (_amount(wire), dispute.amount)


def _is_taken(wire: DisputeWire) -> bool:
    # what is given back may be another amount of another currency, so only whether is asked, and the state
    return sum(one.amount for one in wire.balance_transactions) < 0 and wire.status not in _GIVEN_BACK


def _disputes(wire: InvoicePaymentWire, currency: str) -> tuple[Dispute, ...]:
    charge, amount = charge_of(wire), _amount(wire)
    found = []
    for one in sorted(wire.disputes or (), key=lambda one: one.id):
        if charge is None or currency_of(one.currency) != currency:
            raise ReplyError(f"dispute {one.id} is in another currency than its payment")
        told = _dispute(one, one.amount if charge.amount == amount else amount, currency)
        found += [] if _is_in_part(wire, one) else [told]
    return tuple(found)


def _dispute(wire: DisputeWire, about: int, currency: str) -> Dispute:
    moved = wire.balance_transactions
    currencies = {currency_of(one.currency) for one in moved}
    if len(currencies) > 1:
        raise ReplyError(f"dispute {wire.id} moved money in several currencies")
    fee_currency = currencies.pop() if currencies else ""
    return Dispute(
        id=wire.id,
        status=_known(_DISPUTES, wire.status),
        amount=amount_in(about, currency),
        withdrawn=amount_in(about if _is_taken(wire) else 0, currency),
        fee=amount_in(sum(one.fee for one in moved), fee_currency or currency),
        fee_currency=fee_currency,
    )


def read_credit_note(wire: CreditNoteWire, days: Days) -> RemoteDocument:
    """One credit note; every line of it must have been read."""
    if wire.lines.has_more:
        raise ReplyError("a credit note without all of its lines")
    currency = currency_of(wire.currency)
    lines = [credit_line(line, currency) for line in wire.lines.data]
    lines += shipping_line(wire.shipping_cost, currency)
    note = CreditNote(
        id=wire.id,
        number=text_of((wire.metadata or {}).get(NUMBER_KEY) or wire.number),
        customer=_customer(id_of(wire.customer)),
        currency=currency,
        status=_known(_CREDITS, wire.status),
        issued_on=days.day_of(wire.effective_at or wire.created),
        invoice=id_of(wire.invoice),
        lines=tuple(lines),
        **_sums(lines),
        applied=amount_in(wire.pre_payment_amount, currency),
        # a refund that was made with it is its payment's, which tells of it, too
        refunded=amount_in(wire.out_of_band_amount or 0, currency),
        reason=text_of(wire.memo or wire.reason),
    )
    _same(note.total, amount_in(wire.amount, currency), "lines, taxes and discounts")
    whole = wire.pre_payment_amount + wire.post_payment_amount
    _same(note.total, amount_in(whole, currency), "what is applied and what was paid before")
    return RemoteDocument(document=_lawful(note), mark=mark_of(wire.metadata))


def _sums(lines: list[Line]) -> dict[str, Decimal]:
    subtotal = total_of([line.amount for line in lines])
    discount = total_of([line.discount for line in lines])
    tax = total_of([line.tax for line in lines])
    return {"subtotal": subtotal, "discount": discount, "tax": tax, "total": total_of([subtotal, -discount, tax])}


def _same(summed: Decimal, told: Decimal, what: str) -> None:
    if summed != told:
        raise ReplyError(f"{what} add up to {summed}, but Stripe tells {told}")


def _customer(customer: str) -> str:
    if not customer:
        # billed to an account of Stripe's newer kind, or its customer is gone
        raise ReplyError("it names no customer")
    return customer


def _known(states: Mapping[str, T], status: str) -> T:
    if status not in states:
        raise ReplyError(f"Stripe knows a state {text_of(status)!r} that Accord does not")
    return states[status]


def _lawful(document: Document) -> Document:
    found = breaches(document)
    if found:
        raise ReplyError(f"{found[0].field} {found[0].problem}")
    return document
