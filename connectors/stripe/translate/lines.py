"""Lines of invoices and credit notes in neutral form: discounts and taxes apart, to the minor unit. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, DecimalException
from typing import Final

import msgspec

from connectors.stripe.translate.days import Days
from connectors.stripe.translate.money import amount_in, grain, places
from connectors.stripe.wire import UNSTORABLE, is_storable
from connectors.stripe.wire.documents import CreditLineWire, LineWire, PretaxWire, ShippingWire, TaxWire
from core.errors import InvalidInputError, ReplyError
from core.model.documents import Line
from core.model.money import allocated

LINE_KEY: Final = "accord_line"
"""Metadata key on a line of ours: which line of the origin it is."""

DISCOUNT_KEY: Final = "accord_discount"
"""Metadata key on a negative line of ours: which line of the origin it is the discount of."""

QUANTITY_KEY: Final = "accord_quantity"
"""Metadata key on a line of ours: Stripe must have nothing to multiply, so that it stands there once."""

PRODUCT_KEY: Final = "accord_product"
"""Metadata key on a line of ours: what it sells, in the origin's terms."""

OFF_KEY: Final = "accord_discount_minor"
"""Metadata key on a credit note's line of ours: what was taken off before, in minor units."""

_INCLUSIVE: Final = "inclusive"
_BEHAVIORS: Final = ("exclusive", _INCLUSIVE)
_GRANT: Final = "credit_balance_transaction"
SHIPPING: Final = "shipping"
"""Id of the line that stands for an invoice's shipping costs."""


def invoice_line(wire: LineWire, currency: str, days: Days) -> Line:
    """One line of an invoice."""
    discount = sum(part.amount for part in wire.discount_amounts or ())
    amount, taken_off, tax = _net(
        wire.amount, discount + _granted(wire.pretax_credit_amounts), wire.taxes, grain(currency)
    )
    quantity = _decimal(wire.quantity_decimal) if wire.quantity_decimal is not None else _whole(wire.quantity)
    pricing = wire.pricing
    unit = _decimal(pricing.unit_amount_decimal) if pricing and pricing.unit_amount_decimal is not None else None
    period = wire.period
    has_length = period is not None and period.start != period.end
    return Line(
        id=wire.id,
        description=text_of(wire.description),
        product=pricing.price_details.product if pricing and pricing.price_details else "",
        quantity=quantity,
        unit_amount=_unit(unit, quantity, amount, currency),
        amount=amount_in(amount, currency),
        discount=amount_in(taken_off, currency),
        tax=amount_in(tax, currency),
        period_start=days.day_of(period.start) if period and has_length else None,
        period_end=days.day_of(period.end) if period and has_length else None,
    )


def credit_line(wire: CreditLineWire, currency: str) -> Line:
    """One line of a credit note."""
    reduced = wire.discount_amount + _granted(wire.pretax_credit_amounts)
    amount, taken_off, tax = _net(wire.amount, reduced, wire.taxes, grain(currency))
    held = wire.metadata or {}
    quantity = _decimal(held[QUANTITY_KEY]) if held.get(QUANTITY_KEY) else _whole(wire.quantity)
    off = held.get(OFF_KEY, "0")
    if not off.isdecimal():
        raise ReplyError(f"metadata.{OFF_KEY} is no amount")
    amount, taken_off = amount + int(off), taken_off + int(off)
    unit = _decimal(wire.unit_amount_decimal) if wire.unit_amount_decimal is not None else None
    return Line(
        id=wire.id,
        description=text_of(wire.description),
        quantity=quantity,
        unit_amount=_unit(unit, quantity, amount, currency),
        amount=amount_in(amount, currency),
        discount=amount_in(taken_off, currency),
        tax=amount_in(tax, currency),
    )


def shipping_line(wire: ShippingWire | None, currency: str) -> list[Line]:
    """Shipping costs are no line at Stripe, and part of the total."""
    if wire is None or not (wire.amount_total or wire.amount_tax):
        return []
    return [
        Line(
            id=SHIPPING,
            description="Shipping",
            amount=amount_in(wire.amount_total - wire.amount_tax, currency),
            tax=amount_in(wire.amount_tax, currency),
        )
    ]


def folded(lines: Sequence[tuple[Line, dict[str, str]]]) -> list[Line]:
    """Lines of a copy of ours, each with its discount, which stands there as a negative line of its own."""
    off = {metadata[DISCOUNT_KEY]: line for line, metadata in lines if metadata.get(DISCOUNT_KEY)}
    found = []
    for line, metadata in lines:
        if metadata.get(DISCOUNT_KEY):
            continue
        discount = off.pop(metadata.get(LINE_KEY, ""), None)
        found.append(
            msgspec.structs.replace(
                line,
                product=text_of(metadata.get(PRODUCT_KEY)),
                quantity=_decimal(metadata.get(QUANTITY_KEY) or "1"),
                unit_amount=None,
                discount=line.discount if discount is None else line.discount - discount.amount,
            )
        )
    # a discount whose line somebody took away is a line like any other
    return [*found, *off.values()]


def text_of(value: str | None) -> str:
    """A text; ReplyError for one that no database takes."""
    if value and not is_storable(value):
        raise ReplyError(f"a text {UNSTORABLE}")
    return value or ""


def _granted(parts: Sequence[PretaxWire] | None) -> int:
    # discounts are in this list too, and were counted already
    return sum(part.amount for part in parts or () if part.type == _GRANT)


def _net(gross: int, discount: int, taxes: Sequence[TaxWire] | None, step: int) -> tuple[int, int, int]:
    """Amount and discount without the tax that is inside them, and all of the tax: amount - discount + tax is the sum.

    Whatever is inside is taken out of the discounted amount as it was told; only how much of it was in the discount is
    a matter of proportion, in whole `step`s.
    """
    odd = [tax.tax_behavior for tax in taxes or () if tax.tax_behavior not in _BEHAVIORS]
    if odd:
        raise ReplyError(f"a tax is neither on top nor inside, but {text_of(odd[0])}")
    inside = sum(tax.amount for tax in taxes or () if tax.tax_behavior == _INCLUSIVE)
    on_top = sum(tax.amount for tax in taxes or () if tax.tax_behavior != _INCLUSIVE)
    if not inside:
        return gross, discount, on_top
    net = gross - discount - inside
    if discount and net * inside >= 0:
        units, _ = allocated(discount // step, [Decimal(abs(net)), Decimal(abs(inside))])
        discount = units * step
    return net + discount, discount, inside + on_top


def _whole(quantity: int | None) -> Decimal:
    return Decimal(1 if quantity is None else quantity)


def _decimal(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except DecimalException as error:
        raise ReplyError(f"{text_of(text)!r} is no number") from error
    if not found.is_finite():
        raise ReplyError(f"{text!r} is no number")
    return found


def _unit(unit: Decimal | None, quantity: Decimal, amount: int, currency: str) -> Decimal | None:
    """A unit price that explains the amount; tiers, packages and prices with tax inside do not."""
    if unit is None or abs(unit * quantity - amount) >= 1:
        return None
    return unit.scaleb(-places(currency))


def currency_of(code: str) -> str:
    """ISO 4217, in capitals; ReplyError for what amounts cannot be in."""
    found = code.upper()
    try:
        places(found)
    except InvalidInputError as error:
        raise ReplyError(str(error)) from error
    return found
