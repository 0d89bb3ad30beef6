"""Invoices, credit memos and payments of QuickBooks, read into neutral form to the minor unit. Pure.

QuickBooks tells tax and discount for a whole form only; here each line has its part, so that the sums hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from hashlib import blake2b
from typing import Final

import msgspec

from connectors.quickbooks.manifest import BOOKED, REFUND
from connectors.quickbooks.wire import Form, FormLine
from core.errors import InvalidInputError, ReplyError
from core.model.documents import Application, CreditNote, Document, Invoice, Line, Payment, breaches
from core.model.money import ZERO, allocated, exponent, from_minor, to_minor, total_of
from core.model.paper import RemoteDocument
from core.model.remote import parse_mark

VOIDED: Final = "Voided"
"""How the private note of a voided transaction begins."""
NOT_TAXED: Final = "NON"
TO_BE_MAILED: Final = "NeedToSend"
"""An e-mail status: QuickBooks mails the form to the customer soon."""
DISCOUNT: Final = "Discount on the line above"
ROUNDING: Final = "Rounding of tax"
"""How lines of ours begin, which are none of the document's."""
_UNCLEAR: Final = (
    "book it by hand where the payment or sale is booked that it gives back, unless it is booked there; then write "
    f"{BOOKED} into the private note of the refund receipt in QuickBooks"
)
_ELSEWHERE: Final = f"book that by hand where it belongs, then write {BOOKED} into the payment's private note"
_SETTLED: Final = frozenset({"Invoice", "CreditMemo"})
_MARK: Final = re.compile(r"accord:([0-9A-Za-z_-]+\.[0-9A-Za-z_-]+\.[0-9]+)")
_MOST: Final = Decimal(10) ** 15
_FINEST: Final = Decimal("1e-12")
_UNREADABLE: Final = (ValueError, RecursionError)


def form_in(raw: bytes) -> Form:
    """Decode one transaction; ReplyError when it is none."""
    try:
        form = msgspec.json.decode(raw, type=Form)
    except _UNREADABLE as error:
        raise ReplyError(f"not a QuickBooks transaction: {error}") from error
    if not form.id:
        raise ReplyError("not a QuickBooks transaction: it has no Id")
    return form


def mark_in(note: str) -> str | None:
    """Our marker in a private note."""
    found = _MARK.search(note)
    return found[1] if found and parse_mark(found[1]) else None


def own_words(words: str, mark: str) -> str:
    """The description of a line of ours in the copy that carries `mark`.

    A line has no other place to say whose it is, and an origin may call its own lines anything.
    """
    return f"{words} (accord:{blake2b(mark.encode(), digest_size=4).hexdigest()})"


def note_with(mark: str, words: str = "") -> str:
    """A private note that carries our marker."""
    return f"{words}\naccord:{mark}" if words else f"accord:{mark}"


def is_void(form: Form) -> bool:
    """QuickBooks keeps a voided transaction, with amounts of zero."""
    return form.total == ZERO and form.note.startswith(VOIDED)


def is_booked(form: Form) -> bool:
    """A person says that what was given back is booked; a telephone makes the first letter a capital."""
    return BOOKED in form.note.lower()


def read_invoice(form: Form) -> RemoteDocument:
    """An invoice. What settled it, payments or credits, is told by those: here all of it is `paid`.

    A deposit is told by nothing: of a copy it is what somebody booked there, an invoice made there is not taken.
    """
    deposit = _finite(form.deposit or ZERO, "Deposit")
    if deposit and mark_in(form.note) is None:
        raise ReplyError(
            f"Deposit is {deposit}: it was paid with the invoice, and no payment tells of it; record a payment of "
            "the invoice instead, and set the deposit to 0"
        )
    balance = _finite(form.balance if form.balance is not None else form.total, "Balance")
    lines, discount, tax = _lines(form)
    invoice = Invoice(
        id=form.id,
        number=form.number,
        customer=form.customer.value,
        currency=_currency(form),
        status="void" if is_void(form) else "open" if balance else "paid",
        issued_on=_day(form.dated, "TxnDate"),
        due_on=_day(form.due_on, "DueDate"),
        lines=lines,
        subtotal=total_of([one.amount for one in lines]),
        discount=discount,
        tax=tax,
        total=_finite(form.total, "TotalAmt"),
        paid=total_of([form.total, -balance]),
        due=balance,
        memo=form.memo.value,
    )
    collects = form.takes_cards or form.takes_transfers or form.email == TO_BE_MAILED
    settled_by = tuple(dict.fromkeys(one.id for one in form.linked if one.type == "Payment"))
    return _checked(invoice, form, collects=collects, settled_by=settled_by)


def read_credit_note(form: Form) -> RemoteDocument:
    """A credit memo, and the one invoice that it settles."""
    applied = _used_of(form)
    lines, discount, tax = _lines(form)
    note = CreditNote(
        id=form.id,
        number=form.number,
        customer=form.customer.value,
        currency=_currency(form),
        status="void" if is_void(form) else "issued",
        issued_on=_day(form.dated, "TxnDate"),
        invoice=_applied_to(form, applied),
        lines=lines,
        subtotal=total_of([one.amount for one in lines]),
        discount=discount,
        tax=tax,
        total=_finite(form.total, "TotalAmt"),
        applied=applied,
        reason=form.memo.value,
    )
    return _checked(note, form)


def read_refund(form: Form) -> RemoteDocument:
    """A refund receipt: it names neither a payment nor an invoice, so that what it gives back a person says."""
    lines, discount, tax = _lines(form)
    receipt = CreditNote(
        id=f"{REFUND}-{form.id}",
        number=form.number,
        customer=form.customer.value,
        currency=_currency(form),
        status="void" if is_void(form) else "issued",
        issued_on=_day(form.dated, "TxnDate"),
        lines=lines,
        subtotal=total_of([one.amount for one in lines]),
        discount=discount,
        tax=tax,
        total=_finite(form.total, "TotalAmt"),
        refunded=_finite(form.total, "TotalAmt"),
        reason=form.memo.value,
    )
    return msgspec.structs.replace(_checked(receipt, form), mark=None, unclear=_UNCLEAR)


def read_payment(form: Form) -> RemoteDocument:
    """A payment, and which invoices it settles with money of its own."""
    if not form.total and not is_void(form):
        raise ReplyError("TotalAmt is 0: it applies credits, and brings no money")
    payment = Payment(
        id=form.id,
        customer=form.customer.value,
        currency=_currency(form),
        status="void" if is_void(form) else "succeeded",
        amount=_finite(form.total, "TotalAmt"),
        method=form.method.name,
        reference=form.reference,
        received_on=_day(form.dated, "TxnDate"),
        applications=() if is_void(form) else _applications(_settling(form)),
    )
    if not is_booked(form):
        _check_unapplied(form, payment)
    return _checked(payment, form)


def _check_unapplied(form: Form, payment: Payment) -> None:
    """What settles no invoice is there to be used, or something took it of which no line of the payment tells."""
    left = total_of([payment.amount, *(-one.amount for one in payment.applications)])
    told = form.unapplied if form.unapplied is not None else left
    if _finite(told, "UnappliedAmt") != left:
        raise ReplyError(
            f"{left} of it settles no invoice, but UnappliedAmt is {told}: the rest was given back, or settles"
            f" something else; {_ELSEWHERE}"
        )


def _settling(form: Form) -> Sequence[FormLine]:
    """What of a payment settles invoices, where a person says that the rest of it is booked; else all of it."""
    if not is_booked(form):
        return form.lines
    return [line for line in form.lines if {one.type for one in line.linked} <= _SETTLED]


class Settled(msgspec.Struct):
    """What the lines of a payment settle: by money of its own, and by each credit memo that is used in it."""

    own: dict[str, Decimal] = {}
    credits: dict[str, dict[str, Decimal]] = {}
    """Credit memo -> invoice -> amount."""


def settled(lines: Sequence[FormLine]) -> Settled:
    """Divide a payment's lines: QuickBooks does not say which of several invoices a credit settles.

    So that a payment and its credit memos always tell the same, credits go to the first invoices, in the lines' order.
    """
    owed: dict[str, Decimal] = {}
    given: dict[str, Decimal] = {}
    for line in lines:
        amount = _finite(line.amount, "Amount")
        kinds = {one.type for one in line.linked}
        if len(line.linked) != 1 or not kinds <= _SETTLED:
            named = ", ".join(sorted(kinds)) or "nothing"
            raise ReplyError(f"a line of {amount} is linked to {named}, not an invoice; {_ELSEWHERE}")
        (link,) = line.linked
        found = owed if link.type == "Invoice" else given
        found[link.id] = total_of([found.get(link.id, ZERO), amount])
    told = Settled()
    for memo, credit in given.items():
        told.credits[memo] = _taken(owed, credit)
    told.own = {invoice: amount for invoice, amount in owed.items() if amount}
    return told


def _taken(owed: dict[str, Decimal], credit: Decimal) -> dict[str, Decimal]:
    """What a credit settles; `owed` is less by it."""
    found = {}
    for invoice, amount in owed.items():
        part = min(credit, amount)
        credit = total_of([credit, -part])
        owed[invoice] = total_of([amount, -part])
        if part:
            found[invoice] = part
    if credit:
        raise ReplyError(f"credits of {credit} more than the invoices that they settle")
    return found


def _applications(lines: Sequence[FormLine]) -> tuple[Application, ...]:
    return tuple(Application(invoice=invoice, amount=amount) for invoice, amount in settled(lines).own.items())


def is_explained(form: Form) -> bool:
    """Whether payments tell of all that is applied of a credit memo, or nobody can say how much that is."""
    try:
        return _used_of(form) == _told_of(form)
    except ReplyError:
        return True


def _used_of(form: Form) -> Decimal:
    left = form.remaining if form.remaining is not None else form.balance
    left = _finite(left if left is not None else form.total, "RemainingCredit")
    return total_of([_finite(form.total, "TotalAmt"), -left])


def _told_of(form: Form) -> Decimal:
    return total_of([one.amount for one in form.applied])


def _applied_to(form: Form, applied: Decimal) -> str:
    """The invoice that a credit memo settles; "" for none."""
    invoices = {one.invoice for one in form.applied}
    if applied != _told_of(form):
        raise ReplyError(f"{applied} of it is applied, but payments tell of {_told_of(form)}")
    if len(invoices) > 1:
        raise ReplyError(f"it is applied to several invoices: {', '.join(sorted(invoices))}")
    return next(iter(invoices), "")


class _Sold(msgspec.Struct):
    """A line, and what of the discount is known to be its own."""

    line: FormLine
    discount: Decimal = ZERO


def _lines(form: Form) -> tuple[tuple[Line, ...], Decimal, Decimal]:
    """Lines, with discount and tax divided among them; both as totals beside."""
    sold, discount, tax = _sold(form)
    if not sold and (discount or tax):
        raise ReplyError("a discount or a tax without any line")
    currency = _currency(form)
    nets = [total_of([one.line.amount, -one.discount]) for one in sold]
    discounts = [
        total_of([one.discount, part]) for one, part in zip(sold, _parts(discount, nets, currency), strict=True)
    ]
    nets = [total_of([one.line.amount, -part]) for one, part in zip(sold, discounts, strict=True)]
    taxed = [ZERO if one.line.item.tax_code.value == NOT_TAXED else net for one, net in zip(sold, nets, strict=True)]
    taxes = _parts(tax, taxed if any(net > 0 for net in taxed) else nets, currency)
    found = [
        _line(place, one.line, part, levied)
        for place, (one, part, levied) in enumerate(zip(sold, discounts, taxes, strict=True), start=1)
    ]
    return tuple(found), total_of(discounts), tax


def _sold(form: Form) -> tuple[list[_Sold], Decimal, Decimal]:
    """Lines that sell something, the discount of the form as a whole, and its tax."""
    sold: list[_Sold] = []
    discount, tax = ZERO, _finite(form.tax.total, "TotalTax")
    mark = mark_in(form.note)
    rounding, off = (own_words(words, mark) if mark else None for words in (ROUNDING, DISCOUNT))
    for line in _flat(form.lines):
        if line.type == "DiscountLineDetail":
            discount = total_of([discount, line.amount])
        elif line.description == rounding:
            # it makes up for tax which QuickBooks rounds in its own way: it is tax
            tax = total_of([tax, line.amount])
        elif line.description == off and sold:
            sold[-1].discount = total_of([sold[-1].discount, -line.amount])
        else:
            sold.append(_Sold(line))
    return sold, discount, tax


def _flat(lines: Sequence[FormLine]) -> Iterator[FormLine]:
    for line in lines:
        if line.type == "GroupLineDetail":
            yield from _flat(line.group.lines)
        elif line.type in {"SalesItemLineDetail", "DescriptionOnly", "DiscountLineDetail"}:
            _finite(line.amount, "Amount")
            yield line
        elif line.type != "SubTotalLineDetail":
            raise ReplyError(f"a line of the unknown kind {line.type!r}")


def _line(place: int, line: FormLine, discount: Decimal, tax: Decimal) -> Line:
    detail = line.item
    return Line(
        id=line.id or f"line-{place}",
        description=line.description,
        product=detail.item.value,
        quantity=_finite(detail.quantity, "Qty") if detail.quantity is not None else Decimal(1),
        unit_amount=_finite(detail.unit_price, "UnitPrice") if detail.unit_price is not None else None,
        amount=line.amount,
        discount=discount,
        tax=tax,
        period_start=_day(detail.served_on, "ServiceDate"),
    )


def _parts(total: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    if not total:
        return [ZERO for _ in weights]
    places = exponent(currency)
    try:
        minor = to_minor(total, places)
    except InvalidInputError as error:
        raise ReplyError(f"{total} is finer than {currency}'s smallest unit") from error
    weights = [max(one, ZERO) for one in weights]
    return [from_minor(one, places) for one in allocated(minor, weights)]


def _checked(
    document: Document, form: Form, *, collects: bool = False, settled_by: tuple[str, ...] = ()
) -> RemoteDocument:
    wrong = breaches(document)
    if wrong:
        raise ReplyError("; ".join(f"{one.field} {one.problem}" for one in wrong))
    return RemoteDocument(
        document=document,
        mark=mark_in(form.note),
        version=form.version,
        collects=collects,
        settled_by=settled_by,
    )


def _currency(form: Form) -> str:
    currency = form.currency.value
    try:
        exponent(currency)
    except InvalidInputError as error:
        raise ReplyError(f"CurrencyRef: {error}") from error
    return currency


def _finite(amount: Decimal, attribute: str) -> Decimal:
    if not amount.is_finite() or abs(amount) >= _MOST or amount.quantize(_FINEST) != amount:
        raise ReplyError(f"{attribute} is {amount}, which is no amount")
    return amount


def _day(text: str | None, attribute: str) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise ReplyError(f"{attribute} is {text!r}, which is no date") from error
