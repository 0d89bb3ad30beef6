"""Copies of other systems' invoices at Stripe: which write comes next, decided on what is there. Pure.

A copy is a draft that never advances by itself, gets its lines with amounts that nobody computes again, and is
finalised when all of them are there and add up. Stripe has no invoice that is open and cannot be paid: whoever knows
the address of its page can. So copies of open invoices are made only where the connection's setting says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias

from connectors.stripe.manifest import ACCORD_REF, MIRROR_OPEN, NUMBER_LENGTH
from connectors.stripe.translate.days import Days
from connectors.stripe.translate.lines import DISCOUNT_KEY, LINE_KEY, PRODUCT_KEY, QUANTITY_KEY
from connectors.stripe.translate.money import minor_out, said
from connectors.stripe.translate.reading import DUE_KEY, mark_of
from connectors.stripe.wire import is_storable
from connectors.stripe.wire.documents import InvoiceWire, LineWire, id_of
from core.errors import RejectedError
from core.model.documents import Invoice, Line
from core.model.paper import Step, WantedDocument

MOST_LINES: Final = 250
"""Of one call."""

_MAX_VALUE: Final = 500
_MAX_DESCRIPTION: Final = 1500
_MAX_LINE: Final = 500
_TAX: Final = {"display_name": "Tax", "inclusive": "false", "percentage": "0"}
"""A tax that is told as an amount has the rate zero (docs.stripe.com/api, `tax_amounts`)."""

Entry: TypeAlias = dict[str, Any]
"""A line as `add_lines` takes it."""


def invoice_step(
    wanted: WantedDocument,
    invoice: Invoice,
    current: InvoiceWire | None,
    *,
    items: Mapping[str, str],
    may_be_open: bool,
    days: Days,
) -> Step | None:
    """The next write; None when there is none left but its payments and credit notes."""
    if current is not None and current.auto_advance and current.status in ("draft", "open"):
        # somebody let Stripe collect it; whatever else is to be said of it, an invoice has one collector
        return Step(action="update", body={"auto_advance": "false"})
    entries = _entries(invoice, items, days)
    total = minor_out(invoice.total, invoice.currency, "total")
    _check(invoice, total, is_new=current is None, may_be_open=may_be_open)
    if current is None:
        return Step(action="create", body=_created(wanted, invoice, days), adds=True)
    _same_head(wanted, invoice, current)
    if invoice.status == "void":
        # amounts are no matter any more; QuickBooks, for one, puts them to nothing
        return _void_step(current)
    if other := days.other_than(invoice.issued_on, current.effective_at):
        raise _edited("issued_on", f"it is dated {other} and not {invoice.issued_on}")
    missing = _missing(entries, current.lines.data)
    if current.status == "draft" and missing:
        return Step(action="add_lines", body={"lines": missing[:MOST_LINES]}, adds=True)
    if missing or current.total != total:
        raise _edited(
            "total", f"its lines add up to {said(current.total, invoice.currency)} and not to {invoice.total}"
        )
    return _status_step(invoice, current, is_nothing=not total) or _due_step(invoice, current)


def _check(invoice: Invoice, total: int, *, is_new: bool, may_be_open: bool) -> None:
    if invoice.status == "draft":
        raise RejectedError("a draft is not copied", field="status", cure="finalise it where it was made")
    if invoice.status == "void" and is_new:
        raise RejectedError("it was void before it was copied", field="status")
    if total < 0:
        raise RejectedError(
            f"it is a credit of {-invoice.total}",
            field="total",
            limit="Stripe adds such a thing to a balance",
            cure="make it a credit note",
        )
    if invoice.status in ("open", "uncollectible") and total and not may_be_open:
        raise RejectedError(
            f"an {invoice.status} invoice at Stripe can be paid there, by whoever has its address",
            field="status",
            limit=f"{MIRROR_OPEN} is not set",
            cure=f'wait until it is paid, or set {MIRROR_OPEN} = "yes" for this connection',
        )


def _void_step(current: InvoiceWire) -> Step | None:
    if current.status == "void":
        return None
    if current.status == "draft":
        # finalised in order to be voided, it could be paid in between
        raise RejectedError(
            "the copy is a draft", field="status", cure="delete the draft in Stripe, and let go of the copy"
        )
    if current.status in ("open", "uncollectible") and not current.amount_paid:
        return Step(action="void", body={})
    raise _stuck(current.status, "void")


def _status_step(invoice: Invoice, current: InvoiceWire, *, is_nothing: bool) -> Step | None:
    """From finalising on. What was paid and credited is told by copies of payments and credit notes."""
    there, wanted = current.status, invoice.status
    if there == "draft":
        if current.starting_balance:
            balance = said(current.starting_balance, invoice.currency)
            raise RejectedError(
                f"the customer has a balance of {balance}, which it would change",
                field="customer",
                cure="bring the customer's balance to 0 in Stripe",
            )
        return Step(action="finalize", body={"auto_advance": "false"})
    if current.ending_balance not in (None, current.starting_balance):
        # it came on the balance after the draft was looked at
        raise _edited(
            "due",
            f"the customer's balance was {said(current.starting_balance, invoice.currency)}, and is"
            f" {said(current.ending_balance or 0, invoice.currency)} by it",
        )
    if there == wanted or (wanted, there) in _SETTLED_APART or (is_nothing and there == "paid"):
        return None
    if there == "open" and wanted == "uncollectible":
        return Step(action="mark_uncollectible", body={})
    raise _stuck(there, wanted)


def _due_step(invoice: Invoice, current: InvoiceWire) -> Step | None:
    """Terms may change as long as it is not paid: Stripe's own date is final, ours beside it is not."""
    due_on, there = _due_on(invoice), (current.metadata or {}).get(DUE_KEY, "")
    return Step(action="update", body={"metadata": {DUE_KEY: due_on}}) if there != due_on else None


def _due_on(invoice: Invoice) -> str:
    return invoice.due_on.isoformat() if invoice.due_on else ""


def _stuck(there: str, wanted: str) -> RejectedError:
    return RejectedError(
        f"the copy is {there} at Stripe and cannot become {wanted} any more",
        field="status",
        cure="settle it in Stripe, or let go of the copy",
    )


_SETTLED_APART: Final = frozenset({("paid", "open"), ("paid", "uncollectible"), ("open", "paid")})
"""(wanted, there): payments and credit notes make the difference; they are copied, and balances compared, apart."""


# ---- the draft -------------------------------------------------------------------------------------


def _created(wanted: WantedDocument, invoice: Invoice, days: Days) -> dict[str, Any]:
    metadata = {ACCORD_REF: wanted.mark}
    if due_on := _due_on(invoice):
        metadata[DUE_KEY] = due_on
    body: dict[str, Any] = {
        "customer": invoice.customer,
        "currency": invoice.currency.lower(),
        "auto_advance": "false",
        "automatic_tax": {"enabled": "false"},
        # a charge of what the customer has on file is the last thing a copy may cause
        "collection_method": "send_invoice",
        # Stripe takes no date that has passed: the terms are kept here, and the date in the metadata
        "days_until_due": str(_days(invoice)),
        # else the customer's own coupon would be taken off once more
        "discounts": "",
        "pending_invoice_items_behavior": "exclude",
        "metadata": metadata,
    }
    if invoice.number:
        body["number"] = text_out(invoice.number, "number", NUMBER_LENGTH)
    if invoice.memo:
        body["description"] = text_out(invoice.memo, "memo", _MAX_DESCRIPTION)
    if invoice.issued_on is not None:
        body["effective_at"] = days.seconds_of(invoice.issued_on)
    return body


def _days(invoice: Invoice) -> int:
    if invoice.due_on is None or invoice.issued_on is None:
        return 0
    return max((invoice.due_on - invoice.issued_on).days, 0)


def _same_head(wanted: WantedDocument, invoice: Invoice, current: InvoiceWire) -> None:
    if mark_of(current.metadata) != wanted.mark:
        raise _edited("id", "it does not carry this copy's mark")
    if current.currency.upper() != invoice.currency:
        raise _edited("currency", f"it is in {current.currency.upper()}")
    if id_of(current.customer) != invoice.customer:
        raise _edited("customer", f"it is billed to {id_of(current.customer) or 'nobody'}")
    if invoice.number and current.number != invoice.number:
        raise _edited("number", f"its number is {current.number}")


# ---- lines -----------------------------------------------------------------------------------------


def _entries(invoice: Invoice, items: Mapping[str, str], days: Days) -> list[Entry]:
    found = []
    for line in invoice.lines:
        where = f"lines.{line.id}"
        amount = minor_out(line.amount, invoice.currency, f"{where}.amount")
        discount = minor_out(line.discount, invoice.currency, f"{where}.discount")
        tax = minor_out(line.tax, invoice.currency, f"{where}.tax")
        if tax < 0 or (tax and amount < 0):
            raise RejectedError(
                f"a tax of {line.tax} on {line.amount}", field=f"{where}.tax", limit="positive taxes",
                cure="credit it by a credit note",
            )  # fmt: skip
        entry = _entry(line, amount, invoice.currency, items.get(line.product), days)
        if tax:
            taxable = str(amount - discount)
            entry["tax_amounts"] = [{"amount": str(tax), "taxable_amount": taxable, "tax_rate_data": dict(_TAX)}]
        found.append(entry)
        if discount:
            found.append(_discount(line, discount))
    return found


def _entry(line: Line, amount: int, currency: str, item: str | None, days: Days) -> Entry:
    where = f"lines.{line.id}"
    metadata = {LINE_KEY: text_out(line.id, f"{where}.id", _MAX_VALUE)}
    if line.quantity != 1:
        metadata[QUANTITY_KEY] = text_out(spelled(line.quantity), f"{where}.quantity", _MAX_VALUE)
    if line.product:
        metadata[PRODUCT_KEY] = text_out(line.product, f"{where}.product", _MAX_VALUE)
    entry: Entry = {"discountable": "false", "metadata": metadata}
    if line.description:
        entry["description"] = text_out(line.description, f"{where}.description", _MAX_LINE)
    if item and amount >= 0:
        # one of it for the whole amount: Stripe must have nothing to multiply
        entry["price_data"] = {"currency": currency.lower(), "product": item, "unit_amount": str(amount)}
        entry["quantity"] = "1"
    else:
        entry["amount"] = str(amount)
    begin, end = line.period_start or line.period_end, line.period_end or line.period_start
    if begin is not None and end is not None:
        entry["period"] = {"start": days.seconds_of(begin), "end": days.seconds_of(end)}
    return entry


def _discount(line: Line, discount: int) -> Entry:
    # a coupon of Stripe's would be a percentage, or an amount that Stripe divides among lines
    about = line.description or line.product or line.id
    return {
        "amount": str(-discount),
        "description": text_out(f"Discount: {about}", f"lines.{line.id}.description", _MAX_LINE),
        "discountable": "false",
        "metadata": {DISCOUNT_KEY: line.id},
    }


def _key_of(metadata: Mapping[str, str] | None) -> tuple[str, str] | None:
    held = metadata or {}
    return next(((key, held[key]) for key in (LINE_KEY, DISCOUNT_KEY) if held.get(key)), None)


def _missing(entries: Sequence[Entry], lines: Sequence[LineWire]) -> list[Entry]:
    """Lines that are not there yet; RejectedError for one that is there twice, or another one than it should be."""
    there: dict[tuple[str, str], LineWire] = {}
    for line in lines:
        key = _key_of(line.metadata)
        if key is None or key in there:
            twice = "stands there twice" if key else "is not one of the invoice's"
            raise _edited("lines", f"the line {line.id} ({line.description or 'without a text'}) {twice}")
        there[key] = line
    missing = []
    for entry in entries:
        line_there = there.pop(_key_of(entry["metadata"]) or ("", ""), None)
        if line_there is None:
            missing.append(entry)
        elif _worth(line_there) != _wanted_worth(entry):
            raise _edited("lines", f"the line {line_there.id} has other amounts than the invoice's")
    if there:
        raise _edited("lines", f"the line {next(iter(there.values())).id} is not one of the invoice's any more")
    return missing


def _worth(line: LineWire) -> tuple[int, int, int]:
    tax = sum(tax.amount for tax in line.taxes or () if tax.tax_behavior == "exclusive")
    off = sum(part.amount for part in line.discount_amounts or ())
    inside = sum(tax.amount for tax in line.taxes or ()) - tax
    return line.amount, tax, off + inside


def _wanted_worth(entry: Entry) -> tuple[int, int, int]:
    amount = entry["amount"] if "amount" in entry else entry["price_data"]["unit_amount"]
    return int(amount), sum(int(tax["amount"]) for tax in entry.get("tax_amounts", ())), 0


# ---- what all copies share -------------------------------------------------------------------------


def _edited(field: str, what: str) -> RejectedError:
    return RejectedError(
        f"the copy at Stripe is not this invoice: {what}",
        field=field,
        cure="void or delete it there and let go of it, so that it is made anew",
    )


def text_out(text: str, field: str, limit: int) -> str:
    """A text that fits; nothing is ever cut."""
    if not is_storable(text):
        raise RejectedError("contains U+0000 or a lone surrogate", field=field, cure="remove the character")
    if len(text) > limit:
        raise RejectedError(f"is {len(text)} characters long", field=field, limit=f"{limit} characters")
    return text


def spelled(quantity: Decimal) -> str:
    """A number without an exponent."""
    return f"{quantity.normalize():f}"
