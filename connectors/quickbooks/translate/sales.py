"""Lines, discounts and tax of a document as QuickBooks wants them: exact, or refused. Pure.

Amounts travel as texts and are written into JSON digit by digit; nothing here is a float, and nothing is rounded but
QuickBooks' own tax, which is computed here beforehand where the company does not take the tax that it is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import msgspec

from connectors.quickbooks.manifest import LINES_MOST, TAXED_LINES_MOST
from connectors.quickbooks.translate.booking import Booking
from connectors.quickbooks.translate.forms import DISCOUNT, NOT_TAXED, ROUNDING, own_words
from core.errors import InvalidInputError, RejectedError
from core.model.documents import Billed, Line
from core.model.money import ZERO, exponent, from_minor, product, to_minor, total_of

TAXED: Final = "TAX"
_PLACES: Final = 2
"""Decimals of every amount in QuickBooks, whatever the currency."""
_FINER_PLACES: Final = 7
"""Decimals of a unit price and of a quantity."""
_MOST: Final = Decimal(10) ** 10
_CENT: Final = Decimal("0.01")
_HALF: Final = Decimal("0.5")
_PERCENT: Final = Decimal("0.01")
_TEXT: Final = 4000
_NAME: Final = 100


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line as it will be written: a line of the document, or the discount of one as a negative line."""

    line: Line
    amount: Decimal
    is_discount: bool = False
    code: str
    rate: Decimal


def number(amount: Decimal, field: str) -> str:
    """Spell an amount; RejectedError where QuickBooks would have to round it."""
    try:
        to_minor(amount, _PLACES)
    except InvalidInputError:
        raise RejectedError(
            f"{amount} has more decimals than QuickBooks keeps",
            field=field,
            limit=f"{_PLACES} decimals",
            cure="book this document by hand",
        ) from None
    if abs(amount) >= _MOST:
        raise RejectedError(
            f"{amount} is too large", field=field, limit="10 digits before the point", cure="book it by hand"
        )
    return format(amount, "f")


def text(value: str, field: str, most: int, booking: Booking) -> str:
    """Give a text back as it is; RejectedError where QuickBooks could not keep it whole."""
    if len(value) > most:
        raise RejectedError(
            f"has {len(value)} characters", field=field, limit=f"{most} characters", cure="shorten it where it is made"
        )
    odd = next((one for one in value if _is_odd(one, is_us=booking.is_us)), None)
    if odd is not None:
        limit = "ISO-8859-1 in US companies, no control characters" if booking.is_us else "no control characters"
        raise RejectedError(f"holds {odd!r}", field=field, limit=limit, cure="change it where it is made")
    return value


def lines_of(document: Billed, mark: str, booking: Booking) -> dict[str, Any]:
    """Attributes `Line`, `TxnTaxDetail` and `GlobalTaxCalculation` of the form to create, which carries `mark`."""
    _check_total(document)
    rows = _rows(document, booking)
    rounding = [] if booking.overrides_tax else _rounding(document, rows, mark, booking)
    _check_count(rows, len(rows) + len(rounding))
    written = [_written(row, mark, booking) for row in rows]
    body: dict[str, Any] = {} if booking.is_us else {"GlobalTaxCalculation": _calculation(rows)}
    if booking.overrides_tax:
        return {**body, "Line": written, "TxnTaxDetail": {"TotalTax": number(document.tax, "tax")}}
    return {**body, "Line": [*written, *rounding]}


def _check_total(document: Billed) -> None:
    """Refuse less than nothing: Stripe puts it on the customer's balance, and takes it off later invoices."""
    if document.total < 0:
        raise RejectedError(
            f"it comes to {document.total} {document.currency}",
            field="total",
            limit="0 or more",
            cure=f"book a credit memo of {-document.total} {document.currency} by hand, then leave this; what comes off"
            " later invoices is that one: apply it to their copies, and book it no second time",
        )


def _check_count(rows: Sequence[Row], lines: int) -> None:
    """Refuse more than QuickBooks takes (PROVIDERS §1); a line with a tax code is taxable, at 0 percent too."""
    most = TAXED_LINES_MOST if any(row.code not in ("", NOT_TAXED) for row in rows) else LINES_MOST
    if lines > most:
        raise RejectedError(
            f"has {lines} lines, discounts and rounding included",
            field="lines",
            limit=f"{most} lines",
            cure="split it",
        )


def _rows(document: Billed, booking: Booking) -> list[Row]:
    found = []
    for line in document.lines:
        rate, code = _tax_code(line, booking, document.currency)
        found.append(Row(line=line, amount=line.amount, code=code, rate=rate))
        if line.discount:
            found.append(Row(line=line, amount=-line.discount, is_discount=True, code=code, rate=rate))
    if not found:
        raise RejectedError("there are none", field="lines", limit="at least one", cure="book it by hand, or leave it")
    return found


def _written(row: Row, mark: str, booking: Booking) -> dict[str, Any]:
    line, where = row.line, f"line {row.line.id}"
    detail: dict[str, Any] = {"ItemRef": _item(line, booking)}
    if not row.is_discount:
        detail |= _factors(line)
    if row.code:
        detail["TaxCodeRef"] = {"value": row.code}
    if line.period_start is not None:
        detail["ServiceDate"] = line.period_start.isoformat()
    described = own_words(DISCOUNT, mark) if row.is_discount else line.description
    return {
        "DetailType": "SalesItemLineDetail",
        "Amount": number(row.amount, f"{where}.amount"),
        "Description": text(described, f"{where}.description", _TEXT, booking),
        "SalesItemLineDetail": detail,
    }


def _factors(line: Line) -> dict[str, str]:
    """Quantity and price, where their product is the amount to the last digit; otherwise error 6070 would follow."""
    price = line.unit_amount
    if price is None or not _fits(price) or not _fits(line.quantity):
        return {}
    if line.quantity <= 0 or product(price, line.quantity) != line.amount:
        return {}
    return {"Qty": format(line.quantity, "f"), "UnitPrice": format(price, "f")}


def _fits(factor: Decimal) -> bool:
    if abs(factor) >= _MOST:
        return False
    try:
        to_minor(factor, _FINER_PLACES)
    except InvalidInputError:
        return False
    return True


def _item(line: Line, booking: Booking) -> dict[str, str]:
    mapped = booking.items.get(line.product) or booking.default_item
    if mapped:
        return {"value": mapped}
    where = f"line {line.id}"
    if booking.creates_items and line.product:
        name = text(line.product, f"{where}.product", _NAME, booking)
        if any(one in name for one in ":\t\n"):
            raise RejectedError(
                f"{name!r} can be no item's name", field=where, limit="no ':', tab or line break", cure="map it to one"
            )
        return {"name": name, "account": booking.income_account}
    raise RejectedError(
        f"product {line.product!r} is mapped to no item" if line.product else "it has no product",
        field=where,
        limit="every line is booked on an item",
        cure="map the product to an item in policy, or set default_item of this connection",
    )


# ---- tax -------------------------------------------------------------------------------------------


def _tax_code(line: Line, booking: Booking, currency: str) -> tuple[Decimal, str]:
    """Which rate a line was taxed at, as far as it must be known, and the company's code for it."""
    if not booking.tax_codes:
        if booking.is_us and (booking.overrides_tax or not line.tax):
            return ZERO, TAXED if line.tax else NOT_TAXED
        if not line.tax:
            return ZERO, ""
        raise RejectedError(
            "this company computes tax itself, and tax_codes says nothing of its rates",
            field=f"line {line.id}.tax",
            cure="set tax_codes of this connection, as in 19:5, 7:8, 0:2",
        )
    net = total_of([line.amount, -line.discount])
    # the origin rounds to its smallest unit, per line or by dividing the whole form's tax: less than one unit away
    off, rate, code = min(
        (abs(total_of([_levied(net, rate), -line.tax])), rate, code) for rate, code in booking.tax_codes
    )
    if off < _smallest(currency):
        return rate, code
    raise RejectedError(
        f"{line.tax} on {net} is none of the rates in tax_codes",
        field=f"line {line.id}.tax",
        limit=", ".join(f"{rate} %" for rate, _ in booking.tax_codes),
        cure="add the rate and its code to tax_codes of this connection",
    )


def _levied(net: Decimal, rate: Decimal) -> Decimal:
    return product(product(net, rate), _PERCENT)


def _smallest(currency: str) -> Decimal:
    return from_minor(1, exponent(currency))


def _calculation(rows: Sequence[Row]) -> str:
    return "TaxExcluded" if any(row.code for row in rows) else "NotApplicable"


def _rounding(document: Billed, rows: Sequence[Row], mark: str, booking: Booking) -> list[Mapping[str, Any]]:
    """The line that makes QuickBooks' own tax the document's: at most half a unit for each line."""
    computed = total_of([_levied(row.amount, row.rate).quantize(_CENT, ROUND_HALF_UP) for row in rows])
    off = total_of([document.tax, -computed])
    if not off:
        return []
    most = product(product(_smallest(document.currency), _HALF), Decimal(len(rows)))
    if abs(off) > most:
        raise RejectedError(
            f"QuickBooks would compute {computed} of tax, {abs(off)} away from {document.tax}",
            field="tax",
            limit=f"half a unit per line: {most}",
            cure="correct tax_codes of this connection, or book it by hand",
        )
    code = next((code for rate, code in booking.tax_codes if not rate), "")
    if not booking.rounding_item or not code:
        raise RejectedError(
            f"QuickBooks would compute {computed} of tax instead of {document.tax}",
            field="tax",
            limit="the totals must be equal",
            cure="set rounding_item of this connection, and a code for 0 percent in tax_codes",
        )
    detail = {"ItemRef": {"value": booking.rounding_item}, "TaxCodeRef": {"value": code}}
    return [
        {
            "DetailType": "SalesItemLineDetail",
            "Amount": number(off, "tax"),
            "Description": own_words(ROUNDING, mark),
            "SalesItemLineDetail": detail,
        }
    ]


def _is_odd(character: str, *, is_us: bool) -> bool:
    if character < " ":
        return character not in "\t\r\n"
    return character == "\x7f" or "\ud800" <= character <= "\udfff" or (is_us and character > "\xff")
