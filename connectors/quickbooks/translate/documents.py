"""Invoices, payments and credit memos: what one of QuickBooks' says, and the next write of a copy of ours. Pure.

A copy is made in one write, and its amounts are never edited afterwards; what follows are voids, links of payments and
credits, and the collecting that somebody switched on is switched off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from connectors.quickbooks.manifest import BOOKED, CLOSED, DOC_NUMBER_MOST, OPEN_THE_BOOKS
from connectors.quickbooks.translate.booking import Booking
from connectors.quickbooks.translate.forms import (
    TO_BE_MAILED,
    form_in,
    note_with,
    read_credit_note,
    read_invoice,
    read_payment,
    read_refund,
)
from connectors.quickbooks.translate.sales import lines_of, number, text
from connectors.quickbooks.wire import Form
from core.errors import ByHandError, RejectedError
from core.model.documents import Billed, CreditNote, Document, Invoice, Payment, day_of, kind_of
from core.model.money import ZERO, total_of
from core.model.paper import RemoteDocument, Step, WantedDocument

_MEMO: Final = 1000
_REFERENCE: Final = 21
_NOTE: Final = 3900
_FINEST: Final = Decimal("0.01")
_NO_MONEY: Final = frozenset({"void", "failed"})
_NOT_MAILED: Final = {"EmailStatus": "NotSet"}
_BY_HAND: Final[Mapping[str, tuple[tuple[str, str], tuple[str, str]]]] = {
    "refunded": (
        (
            "of it went back, which QuickBooks is not told",
            f"book a refund receipt out of it with {BOOKED} in its private note, or pay out a credit memo's credit",
        ),
        ("of a refund failed after it was booked", "void the refund receipt, or make it smaller"),
    ),
    "charged_back": (
        ("of it was charged back, which QuickBooks is not told", "book the chargeback out of that account"),
        ("that was charged back is there again", "book it back into that account"),
    ),
}
"""Amounts that a person books: what to say and to do where more of it happened than is booked, and where less did."""
_NOT_PAYABLE: Final = {"AllowOnlineCreditCardPayment": False, "AllowOnlineACHPayment": False}


def in_another_currency(ours: str, theirs: str, customer: str) -> RejectedError:
    """A new document that its customer there cannot have: asked about before it is sent, where that is known."""
    return RejectedError(
        f"it is in {ours}, and its customer {customer} in QuickBooks is in {theirs}",
        field="currency",
        limit=f"{theirs}: a customer there has one currency, for good",
        cure=f"book it by hand on another customer there that is in {ours}, and leave it; or leave it unbooked",
    )


class QuickBooksDocuments:
    """Both directions for one connection."""

    def __init__(self, booking: Booking) -> None:
        """Hold the policy of these books."""
        self._booking = booking

    def read(self, kind: str, raw: bytes) -> RemoteDocument:
        """Read one document; ReplyError says what of it does not add up."""
        form = form_in(raw)
        if kind == "invoice":
            return read_invoice(form)
        if kind == "credit_note":
            return read_refund(form) if form.gives_back else read_credit_note(form)
        return read_payment(form)

    def step(self, wanted: WantedDocument, current: bytes | None) -> Step | None:
        """The next write; None when the copy is as wanted, and for what is void and was never here."""
        step = self._next(wanted, current)
        theirs, ours = wanted.customer_currency, wanted.document.currency
        if step is not None and current is None and theirs not in ("", ours):
            raise in_another_currency(ours, theirs, wanted.document.customer)
        if step is not None and wanted.closed_through is not None:
            there = [self.read(kind_of(wanted.document), current).document] if current else []
            _refuse_closed(wanted.closed_through, [wanted.document, *there])
        return step

    def _next(self, wanted: WantedDocument, current: bytes | None) -> Step | None:
        document = wanted.document
        if isinstance(document, Invoice):
            return self._invoice_step(document, wanted.mark, current)
        if isinstance(document, Payment):
            step = self._payment_step(wanted, document, current)
            is_void = document.status in _NO_MONEY
        else:
            step = self._credit_step(document, wanted.mark, current)
            is_void = document.status == "void"
        if step is None and not is_void:
            self._refuse_unbooked(wanted, form_in(current).deposited_to.value if current else "")
        return step

    def _refuse_unbooked(self, wanted: WantedDocument, account: str) -> None:
        """What came in is booked first; what went back of it is held, until a person has booked that.

        `account`: where it came in to, whatever its route is by now; "" for a credit memo, which came in to none.
        """
        document = wanted.document
        for field, (happened, undone) in _BY_HAND.items():
            left = wanted.left_by_hand(field) if hasattr(document, field) else ZERO
            if left:
                says, cure = happened if left > 0 else undone
                raise ByHandError(
                    f"{abs(left)} {document.currency} {says}",
                    field=field,
                    amount=left,
                    covers=getattr(document, field),
                    currency=document.currency,
                    account=account or self._booking.account_of(wanted.origin, document.currency),
                    cure=f"{cure}, then answer `booked`",
                )

    # ---- invoices ------------------------------------------------------------------------------

    def _invoice_step(self, invoice: Invoice, mark: str, current: bytes | None) -> Step | None:
        if current is None:
            return None if invoice.status == "void" else _creation(self._invoice_body(invoice, mark))
        there = self.read("invoice", current)
        copy = there.document
        assert isinstance(copy, Invoice)  # noqa: S101 - what read() gives for this kind
        if there.collects and copy.status != "void":
            # somebody let QuickBooks collect it, or mail it; whatever else differs, an invoice has one collector
            unsent = _NOT_MAILED if form_in(current).email == TO_BE_MAILED else {}
            return Step(action="update", body={**_lock(there), "sparse": True, **_NOT_PAYABLE, **unsent})
        if invoice.status == "void" and copy.paid:
            raise RejectedError(
                f"{copy.paid} of it is settled in QuickBooks",
                field="status",
                limit="nothing settles a void invoice",
                cure="void what settles it first, then try again",
            )
        if invoice.status == "void":
            return None if copy.status == "void" else _void(there)
        _same(invoice, copy)
        if invoice.status == "uncollectible" and copy.due != invoice.due:
            raise RejectedError(
                f"{copy.due} is still due in QuickBooks, which has no uncollectible invoices",
                field="status",
                cure="write it off in QuickBooks, by a credit memo on a bad-debt item that is applied to the invoice",
            )
        return None

    def _invoice_body(self, invoice: Invoice, mark: str) -> dict[str, Any]:
        due = {"DueDate": invoice.due_on.isoformat()} if invoice.due_on else {}
        return {
            **self._head(invoice, mark),
            **due,
            **self._memo(invoice.memo, "memo"),
            **_NOT_PAYABLE,
            **_NOT_MAILED,
            **lines_of(invoice, mark, self._booking),
        }

    # ---- credit notes --------------------------------------------------------------------------

    def _credit_step(self, note: CreditNote, mark: str, current: bytes | None) -> Step | None:
        if current is None:
            return None if note.status == "void" else _creation(self._credit_body(note, mark))
        there = self.read("credit_note", current)
        copy = there.document
        assert isinstance(copy, CreditNote)  # noqa: S101 - what read() gives for this kind
        if note.status == "void":
            if copy.status == "void":
                return None
            raise RejectedError(
                "the API cannot void a credit memo", field="status", cure="void it in QuickBooks, by hand"
            )
        _same(note, copy)
        left = total_of([note.applied, -copy.applied])
        if left < 0 or (copy.applied and copy.invoice != note.invoice):
            raise RejectedError(
                f"{copy.applied} of it is applied in QuickBooks, to invoice {copy.invoice}",
                field="applied",
                limit=f"{note.applied} to invoice {note.invoice}" if note.applied else "not applied",
                cure="undo that in QuickBooks; if it does so by itself, switch off applying credits automatically."
                " Leave it where that invoice took the credit at its origin, too, as the customer's balance",
            )
        if not left:
            return None
        onto = str(copy.applied) if copy.applied else ""
        return Step(action="apply", body=self._applied_body(note, mark, left), adds=True, onto=onto)

    def _credit_body(self, note: CreditNote, mark: str) -> dict[str, Any]:
        return {
            **self._head(note, mark),
            **self._memo(note.reason, "reason"),
            **_NOT_MAILED,
            **lines_of(note, mark, self._booking),
        }

    def _applied_body(self, note: CreditNote, mark: str, amount: Decimal) -> dict[str, Any]:
        """A payment of nothing, which links the credit memo to its invoice: QuickBooks' own way of applying one."""
        if not note.invoice:
            raise RejectedError(
                f"{amount} of it is applied to no invoice", field="invoice", cure="apply it in QuickBooks, by hand"
            )
        told = number(amount, "applied")
        return {
            "CustomerRef": {"value": note.customer},
            "CurrencyRef": {"value": note.currency},
            "TxnDate": _day(note.issued_on, "issued_on"),
            "TotalAmt": "0",
            "PrivateNote": note_with(mark),
            "Line": [_linked(told, note.invoice, "Invoice"), _linked(told, note.id, "CreditMemo")],
        }

    # ---- payments ------------------------------------------------------------------------------

    def _payment_step(self, wanted: WantedDocument, payment: Payment, current: bytes | None) -> Step | None:
        is_void = payment.status in _NO_MONEY
        if current is None:
            return self._new_payment(wanted, payment)
        there = self.read("payment", current)
        copy = there.document
        assert isinstance(copy, Payment)  # noqa: S101 - what read() gives for this kind
        if is_void:
            return None if copy.status == "void" else _void(there)
        _refuse_void(copy.status)
        _refuse_other("currency", payment.currency, copy.currency)
        _refuse_other("customer", payment.customer, copy.customer)
        _refuse_other("amount", payment.amount, copy.amount)
        _refuse_other("received_on", str(payment.received_on), str(copy.received_on))
        applied = _applied(payment)
        for invoice, amount in _applied(copy).items():
            if amount > applied.get(invoice, ZERO):
                raise RejectedError(
                    f"{amount} of it settles invoice {invoice} in QuickBooks, not {applied.get(invoice, ZERO)}",
                    field="applications",
                    cure="undo that in QuickBooks",
                )
        if applied == _applied(copy):
            return None
        _refuse_foreign_lines(form_in(current), applied, _applied(copy))
        body = {**_lock(there), "sparse": True, "Line": _settling(applied)}
        return Step(action="apply", body={**body, **self._payment_sum(payment)})

    def _new_payment(self, wanted: WantedDocument, payment: Payment) -> Step | None:
        if payment.status == "failed":
            # not None: a payment may still succeed, and is then made
            raise RejectedError("it failed: no money came in", field="status", cure="it is booked when it succeeds")
        return None if payment.status == "void" else _creation(self._payment_body(wanted, payment))

    def _payment_body(self, wanted: WantedDocument, payment: Payment) -> dict[str, Any]:
        account = self._booking.account_of(wanted.origin, payment.currency)
        if not account:
            route = f"{wanted.origin}.{payment.currency}"
            raise RejectedError(
                f"where payments of {wanted.origin} in {payment.currency} are deposited is not set",
                field=f"deposits.{route}",
                cure=f'set "{route}" in deposits of this connection, or its deposit_account for all payments, to the id'
                " of a bank or clearing account",
            )
        return {
            **self._payment_sum(payment),
            **self._reference(payment.reference, wanted.mark),
            "TxnDate": _day(payment.received_on, "received_on"),
            "DepositToAccountRef": {"value": account},
            "Line": _settling(_applied(payment)),
        }

    def _reference(self, reference: str, mark: str) -> dict[str, Any]:
        """An id of another system may be longer than a reference can be: then it stands in the note, whole."""
        if len(reference) > _REFERENCE:
            words = text(f"Reference: {reference}", "reference", _NOTE, self._booking)
            return {"PrivateNote": note_with(mark, words)}
        told = {"PaymentRefNum": text(reference, "reference", _REFERENCE, self._booking)} if reference else {}
        return {**told, "PrivateNote": note_with(mark)}

    @staticmethod
    def _payment_sum(payment: Payment) -> dict[str, Any]:
        return {
            "CustomerRef": {"value": payment.customer},
            "CurrencyRef": {"value": payment.currency},
            "TotalAmt": number(payment.amount, "amount"),
        }

    # ---- what forms have in common -------------------------------------------------------------

    def _head(self, document: Billed, mark: str) -> dict[str, Any]:
        named = {"DocNumber": text(document.number, "number", DOC_NUMBER_MOST, self._booking)}
        return {
            "CustomerRef": {"value": document.customer},
            "CurrencyRef": {"value": document.currency},
            "TxnDate": _day(document.issued_on, "issued_on"),
            **(named if document.number else {}),
            "PrivateNote": note_with(mark),
        }

    def _memo(self, words: str, field: str) -> dict[str, Any]:
        return {"CustomerMemo": {"value": text(words, field, _MEMO, self._booking)}} if words else {}


def _creation(body: dict[str, Any]) -> Step:
    return Step(action="create", body=body, adds=True)


def _lock(there: RemoteDocument) -> dict[str, Any]:
    return {"Id": there.document.id, "SyncToken": there.version}


def _refuse_closed(through: date, dated: Sequence[Document]) -> None:
    """Nothing in a closed period is made, changed or voided, whether QuickBooks would refuse it or only warn."""
    if any(day is not None and day <= through for day in map(day_of, dated)):
        raise RejectedError(
            f"books closed through {through}", field=CLOSED, limit="books are open", cure=OPEN_THE_BOOKS
        )


def _void(there: RemoteDocument) -> Step:
    return Step(action="void", body=_lock(there))


def _same(wanted: Billed, copy: Billed) -> None:
    """Whatever an edit of the copy changed is held: never overwritten, never overlooked."""
    _refuse_void(copy.status)
    for field in ("currency", "customer", "total", "tax"):
        _refuse_other(field, getattr(wanted, field), getattr(copy, field))
    # between accounts or months money moves without any change of a total
    _refuse_other("lines", _amounts(wanted), _amounts(copy))
    _refuse_other("issued_on", str(wanted.issued_on), str(copy.issued_on))
    if wanted.number:
        _refuse_other("number", wanted.number, copy.number, f"give it number {wanted.number} there")


def _amounts(document: Billed) -> str:
    """What its lines come to, as they are written: a discount is a line of its own, and what is 0 is a text."""
    found = [one for line in document.lines for one in (line.amount, -line.discount) if one]
    return ", ".join(str(one.quantize(_FINEST)) for one in sorted(found))


def _refuse_void(status: str) -> None:
    if status == "void":
        raise RejectedError(
            "the copy was voided in QuickBooks", field="status", cure="void it where it is made, or book it by hand"
        )


def _refuse_other(field: str, wanted: Decimal | str, there: Decimal | str, cure: str = "undo the edit there") -> None:
    if wanted != there:
        raise RejectedError(
            f"the copy in QuickBooks has {there}, not {wanted}",
            field=field,
            limit="a copy is equal to the smallest unit",
            cure=f"{cure}, or correct the settings it was booked with and void it there",
        )


def _applied(payment: Payment) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for one in payment.applications:
        found[one.invoice] = total_of([found.get(one.invoice, ZERO), one.amount])
    return found


def _refuse_foreign_lines(form: Form, applied: Mapping[str, Decimal], there: Mapping[str, Decimal]) -> None:
    """An update replaces all lines: what else a person linked, a credit memo or a cheque, would be undone."""
    others = {one.type for line in form.lines for one in line.linked} - {"Invoice"}
    if others:
        left = ", ".join(
            f"{total_of([amount, -there.get(invoice, ZERO)])} to invoice {invoice}"
            for invoice, amount in applied.items()
            if amount != there.get(invoice, ZERO)
        )
        raise RejectedError(
            f"in QuickBooks more than invoices is linked to it ({', '.join(sorted(others))})",
            field="applications",
            limit="an update would undo what a person linked there",
            cure=f"apply {left} in QuickBooks, by hand",
        )


def _settling(applied: Mapping[str, Decimal]) -> list[dict[str, Any]]:
    return [
        _linked(number(amount, f"applications.{invoice}"), invoice, "Invoice") for invoice, amount in applied.items()
    ]


def _linked(amount: str, txn_id: str, txn_type: str) -> dict[str, Any]:
    return {"Amount": amount, "LinkedTxn": [{"TxnId": txn_id, "TxnType": txn_type}]}


def _day(day: date | None, field: str) -> str:
    # without one QuickBooks would take the day of the writing, which may lie in another period
    if day is None:
        raise RejectedError("there is no date to book it on", field=field, cure="give it one where it is made")
    return day.isoformat()
