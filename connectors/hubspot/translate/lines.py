"""Lines of an invoice as HubSpot's line items, and back (pure).

HubSpot reckons a line from price, quantity and discount by itself. These are set so that nothing is left to round:
the unit price only where it is a whole number of smallest units and times the quantity gives the amount, else the
amount as the price of one. What was meant stands beside it, in properties of ours. Tax is in ours alone, and so is
what HubSpot has no price for: of a line below 0 the price is 0, and its name tells the amount.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from connectors.hubspot.translate.spelling import (
    Spelling,
    amount_text,
    checked_text,
    date_in,
    date_text,
    is_same,
    number_in,
    number_text,
    text_in,
)
from connectors.hubspot.wire import ACCORD_REF, HubSpotObject
from core.errors import ReplyError
from core.model.documents import Line
from core.model.money import ZERO, is_whole, product, total_of

REF_SEPARATOR: Final = ":"
OURS: Final[Mapping[str, tuple[str, Spelling]]] = {
    "accord_position": ("Accord: position on the invoice", "number"),
    "accord_quantity": ("Accord: quantity", "number"),
    "accord_unit_amount": ("Accord: unit price", "number"),
    "accord_amount": ("Accord: amount before discount and tax", "number"),
    "accord_discount": ("Accord: discount", "number"),
    "accord_tax": ("Accord: tax", "number"),
    "accord_period_start": ("Accord: period from", "date"),
    "accord_period_end": ("Accord: period to", "date"),
}
"""Properties of line items that are ours: label, spelling."""

TOLD: Final = ("price", "quantity", "discount", "accord_amount", "accord_discount", "accord_tax")
"""What an amount of a line is told by: a person's change of one of them is never overwritten."""

NET: Final = "amount"
"""What HubSpot reckons for a line: read only."""
CURRENCY: Final = "hs_line_item_currency_code"
ASKED: Final = (ACCORD_REF, "name", "description", "hs_sku", "price", "quantity", "discount", NET, CURRENCY, *OURS)


def ref_of(mark: str, line: Line) -> str:
    """The unique marker of a line item: with that of its invoice, as a line item belongs to one invoice only."""
    return f"{mark}{REF_SEPARATOR}{line.id}".strip()


def item_of(line: Line, index: int, currency: str) -> dict[str, str]:
    """The properties of a line item, without its marker; RejectedError for a line that HubSpot cannot hold."""
    where = f"lines.{index}"
    texts = {
        name: checked_text(text, f"{where}.{field}")
        for field, name, text in (
            ("id", ACCORD_REF, line.id),
            ("description", "description", line.description),
            ("description", "name", _name(line, index, currency)),
            ("product", "hs_sku", line.product),
        )
    }
    quantity = number_text(line.quantity, f"{where}.quantity")
    unit = "" if line.unit_amount is None else number_text(line.unit_amount, f"{where}.unit_amount")
    amount = amount_text(line.amount, currency, f"{where}.amount")
    discount = amount_text(line.discount, currency, f"{where}.discount")
    price, off = _native(line.amount, line.discount)
    is_plain = _multiplies(line, currency)
    del texts[ACCORD_REF]
    return {
        **texts,
        "price": unit if is_plain else amount_text(price, currency, f"{where}.amount"),
        "quantity": quantity if is_plain else "1",
        "discount": amount_text(off, currency, f"{where}.discount"),
        CURRENCY: currency,
        "accord_position": str(index),
        "accord_quantity": quantity,
        "accord_unit_amount": unit,
        "accord_amount": amount,
        "accord_discount": discount,
        "accord_tax": amount_text(line.tax, currency, f"{where}.tax"),
        "accord_period_start": date_text(line.period_start),
        "accord_period_end": date_text(line.period_end),
    }


def _native(amount: Decimal, discount: Decimal) -> tuple[Decimal, Decimal]:
    """What HubSpot reckons a line from: it takes no price below 0, and no discount beyond the price."""
    if 0 <= discount <= amount:
        return amount, discount
    return max(total_of([amount, -discount]), ZERO), ZERO


def _name(line: Line, index: int, currency: str) -> str:
    """What a line is called in HubSpot's lists: with its amount where their price cannot tell it."""
    name = " ".join(line.description.split()) or line.product or f"Line {index + 1}"
    net = total_of([line.amount, -line.discount])
    return f"{name} ({amount_text(net, currency, f'lines.{index}.amount')} {currency})" if net < 0 else name


def _multiplies(line: Line, currency: str) -> bool:
    """HubSpot's own reckoning of unit price and quantity is the amount, whatever it rounds."""
    unit = line.unit_amount
    if unit is None or unit < 0 or line.discount or line.quantity <= 0 or not is_whole(unit, currency):
        return False
    return product(line.quantity, unit) == line.amount


def difference(item: HubSpotObject, wanted: Mapping[str, str]) -> str | None:
    """Which of a line item's amounts is not what is wanted, in words; None where all are."""
    there = item.properties
    for name in TOLD:
        if not is_same("number", name, there, wanted):
            return f"{name} is {text_in(there, name) or 'blank'}, not {wanted[name]}"
    net = number_in(there, NET)
    price, off = _native(Decimal(wanted["accord_amount"]), Decimal(wanted["accord_discount"]))
    meant = price - off
    return None if net in (None, meant) else f"HubSpot reckons {net}, not {meant}"


def position(item: HubSpotObject) -> tuple[Decimal, int]:
    """Where a line item stands; those of others come last."""
    told = number_in(item.properties, "accord_position")
    return (Decimal("Infinity") if told is None else told, int(item.id) if item.id.isdecimal() else 0)


def line_in(item: HubSpotObject, mark: str) -> Line:
    """A line item, read; ReplyError where HubSpot's amounts and ours differ."""
    properties = item.properties
    price, quantity = number_in(properties, "price") or ZERO, number_in(properties, "quantity")
    times = Decimal(1) if quantity is None else quantity
    amount, discount = product(price, times), product(number_in(properties, "discount") or ZERO, times)
    amount, discount = _meant(item, amount, discount)
    is_ours = bool(text_in(properties, "accord_amount"))
    meant = number_in(properties, "accord_quantity")
    head, _, line_id = text_in(properties, ACCORD_REF).partition(REF_SEPARATOR)
    return Line(
        id=line_id if head == mark else item.id,
        description=_description(properties),
        product=text_in(properties, "hs_sku"),
        quantity=times if meant is None else meant,
        unit_amount=number_in(properties, "accord_unit_amount" if is_ours else "price"),
        amount=total_of([amount]),
        discount=total_of([discount]),
        tax=number_in(properties, "accord_tax") or ZERO,
        period_start=date_in(properties, "accord_period_start"),
        period_end=date_in(properties, "accord_period_end"),
    )


def _meant(item: HubSpotObject, amount: Decimal, discount: Decimal) -> tuple[Decimal, Decimal]:
    """Ours, which HubSpot's own must be told from; ReplyError where somebody has changed one of the two."""
    ours = [number_in(item.properties, name) for name in ("accord_amount", "accord_discount")]
    meant = (amount if ours[0] is None else ours[0], discount if ours[1] is None else ours[1])
    for name, native, told in zip(
        ("accord_amount", "accord_discount"), (amount, discount), _native(*meant), strict=True
    ):
        if native != told:
            raise ReplyError(
                f"line item {item.id} amounts to {native}, but {name} says {text_in(item.properties, name)}"
            )
    return meant


def _description(properties: Mapping[str, Any]) -> str:
    return text_in(properties, "description") or (
        "" if text_in(properties, "accord_amount") else text_in(properties, "name")
    )
