"""Copies of credit notes at Stripe, each of the copy of an invoice. Pure.

Nothing of it is ever mailed, put on a customer's balance at Stripe or paid back by Stripe: what does not lower the
invoice was credited elsewhere, and is told as that (`out_of_band_amount`).
"""

from __future__ import annotations

from typing import Any, Final

from connectors.stripe.manifest import ACCORD_REF
from connectors.stripe.translate.days import Days
from connectors.stripe.translate.invoice_copies import spelled, text_out
from connectors.stripe.translate.lines import OFF_KEY, QUANTITY_KEY
from connectors.stripe.translate.money import minor_out, said
from connectors.stripe.translate.reading import NUMBER_KEY, mark_of
from connectors.stripe.wire.documents import CreditNoteWire, id_of
from core.errors import RejectedError
from core.model.documents import CreditNote, Line
from core.model.paper import Step, WantedDocument

_MAX_VALUE: Final = 500
_MAX_TEXT: Final = 5000
_MAX_LINE: Final = 500
_CREDITED: Final = "Credited"


def credit_step(wanted: WantedDocument, note: CreditNote, current: CreditNoteWire | None, days: Days) -> Step | None:
    """Make it, give it another number, or void it; None when it is what is wanted."""
    if not note.invoice:
        raise RejectedError(
            "it is about no invoice", field="invoice", limit="Stripe credits invoices", cure="apply it to an invoice"
        )
    if current is None and note.status == "void":
        raise RejectedError("it was void before it was copied", field="status")
    if current is None:
        return Step(action="create", body=_created(wanted, note, days), adds=True)
    _same(wanted, note, current)
    if note.status != "void" and (other := days.other_than(note.issued_on, current.effective_at)):
        raise _changed("issued_on", f"it is dated {other}, not {note.issued_on}")
    is_void = "void" in (note.status, current.status)
    if (current.metadata or {}).get(NUMBER_KEY, "") != note.number and not is_void:
        # it is ours to say, and not Stripe's own: what a person accepted of it goes there, too
        return Step(action="update", body={"metadata": {NUMBER_KEY: text_out(note.number, "number", _MAX_VALUE)}})
    if current.status == note.status:
        return None
    if note.status == "void":
        return Step(action="void", body={})
    raise _changed("status", "it was voided there")


def _created(wanted: WantedDocument, note: CreditNote, days: Days) -> dict[str, Any]:
    total = minor_out(note.total, note.currency, "total")
    applied = minor_out(note.applied, note.currency, "applied")
    if total <= 0:
        raise RejectedError(f"is not positive: {note.total}", field="total", limit="Stripe credits more than nothing")
    metadata = {ACCORD_REF: wanted.mark}
    if note.number:
        # Stripe counts credit notes itself
        metadata[NUMBER_KEY] = text_out(note.number, "number", _MAX_VALUE)
    body: dict[str, Any] = {
        "invoice": note.invoice,
        "email_type": "none",
        "lines": [_line(line, note.currency) for line in note.lines],
        "metadata": metadata,
    }
    if total != applied:
        body["out_of_band_amount"] = str(total - applied)
    if note.reason:
        body["memo"] = text_out(note.reason, "reason", _MAX_TEXT)
    if note.issued_on is not None:
        body["effective_at"] = days.seconds_of(note.issued_on)
    return body


def _line(line: Line, currency: str) -> dict[str, Any]:
    where = f"lines.{line.id}"
    discount = minor_out(line.discount, currency, f"{where}.discount")
    net = minor_out(line.amount, currency, f"{where}.amount") - discount
    tax = minor_out(line.tax, currency, f"{where}.tax")
    if net < 0 or tax < 0:
        raise RejectedError(
            f"credits {line.amount - line.discount} with a tax of {line.tax}", field=where,
            limit="lines of credit notes are positive at Stripe",
        )  # fmt: skip
    metadata = {}
    if discount:
        metadata[OFF_KEY] = str(discount)
    if line.quantity != 1:
        metadata[QUANTITY_KEY] = text_out(spelled(line.quantity), f"{where}.quantity", _MAX_VALUE)
    found: dict[str, Any] = {
        "type": "custom_line_item",
        "description": text_out(line.description or _CREDITED, f"{where}.description", _MAX_LINE),
        "quantity": "1",
        "unit_amount": str(net),
    }
    if metadata:
        found["metadata"] = metadata
    if tax:
        # of which rate, the copy of the invoice tells when this is sent
        found["tax_amounts"] = [{"amount": str(tax), "taxable_amount": str(net)}]
    return found


def _same(wanted: WantedDocument, note: CreditNote, current: CreditNoteWire) -> None:
    tax = sum(tax.amount for line in current.lines.data for tax in line.taxes or ())
    if mark_of(current.metadata) != wanted.mark:
        raise _changed("id", "it does not carry this copy's mark")
    if id_of(current.invoice) != note.invoice:
        raise _changed("invoice", f"it credits {id_of(current.invoice)}")
    if current.currency.upper() != note.currency:
        raise _changed("currency", f"it is in {current.currency.upper()}")
    for field, there, minor in (
        ("total", current.amount, minor_out(note.total, note.currency, "total")),
        ("tax", tax, minor_out(note.tax, note.currency, "tax")),
        ("applied", current.pre_payment_amount, minor_out(note.applied, note.currency, "applied")),
    ):
        # what was taken back settles nothing on either side
        if there != minor and not (field == "applied" and note.status == "void"):
            raise _changed(field, f"its {field} is {said(there, note.currency)}, not {said(minor, note.currency)}")


def _changed(field: str, what: str) -> RejectedError:
    return RejectedError(
        f"the copy at Stripe is not this credit note: {what}",
        field=field,
        cure="settle it in Stripe, or let go of the copy",
    )
