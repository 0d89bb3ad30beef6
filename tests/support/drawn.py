"""Random invoices in whole smallest units, drawn fast from a seed; and how each biller tells them in its own JSON.

What is drawn is the truth: nothing here uses the product's money, so that it can be judged by it. The shapes are those
of `tests.support.documents`; here they are cheap enough for a million.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Any

from core.model.documents import Invoice, Line

PLACES = {
    **dict.fromkeys(("JPY", "KRW", "CLP", "VND", "XAF"), 0),
    **dict.fromkeys(("USD", "EUR", "GBP", "HUF", "TWD"), 2),
    **dict.fromkeys(("KWD", "BHD", "OMR", "JOD", "TND"), 3),
    **dict.fromkeys(("ISK", "UGX"), 0),
}
"""Decimals by ISO 4217, written down a second time."""
CURRENCIES = tuple(PLACES)
SPECIAL = frozenset({"ISK", "UGX"})
"""Stripe writes them as if they had two decimals (docs.stripe.com/currencies)."""
PRODUCTS = ("prod_a", "prod_b", "prod_c", "")
_TEXTS = ("Seats", "Größe L", "API calls", "Support, 24/7", "")
_DAY = date(2026, 11, 1)
_NOON = 1_793_534_400


@dataclass(frozen=True)
class Row:
    """One line: amount before discount and tax. `price` is a unit price in smallest units, perhaps finer than these."""

    amount: int
    discount: int = 0
    tax: int = 0
    quantity: int = 1
    price: Decimal | None = None
    product: str = ""
    text: str = ""
    has_period: bool = False
    is_inclusive: bool = False
    """At Stripe: the tax is inside what the line tells."""


@dataclass(frozen=True)
class Drawn:
    """One invoice. `paid` and `credited` of it are settled."""

    number: str
    currency: str
    rows: tuple[Row, ...]
    paid: int = 0
    credited: int = 0
    is_lost: bool = False

    @property
    def net(self) -> int:
        """Before tax."""
        return sum(one.amount - one.discount for one in self.rows)

    @property
    def tax(self) -> int:
        """All of it."""
        return sum(one.tax for one in self.rows)

    @property
    def total(self) -> int:
        """What is billed."""
        return self.net + self.tax

    @property
    def left(self) -> int:
        """Neither paid nor credited."""
        return self.total - self.paid - self.credited

    @property
    def money(self) -> str:
        """Which kind of currency."""
        return "special" if self.currency in SPECIAL else f"{PLACES[self.currency]} decimals"


def draw(rng: Random, number: int, *, rates: Sequence[int]) -> Drawn:
    """One invoice, taxed at `rates` (hundredths of a percent). Most with three decimals end with 0: others are held."""
    currency = rng.choice(CURRENCIES)
    step = 10 if PLACES[currency] == 3 and rng.random() < 0.7 else 1
    sold = tuple(_row(rng, step, rates) for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5))))
    back = tuple(_back(rng, sold, step, rates) for _ in range(rng.choice((1, 1, 2)) if rng.random() < 0.2 else 0))
    rows = (*back, *sold) if rng.random() < 0.5 else (*sold, *back)
    found = Drawn(number=f"A-{number:07d}", currency=currency, rows=rows)
    return _settled(rng, found, step) if found.total > 0 else replace(found, rows=sold)


def _back(rng: Random, sold: Sequence[Row], step: int, rates: Sequence[int]) -> Row:
    """A line below 0, as a plan that ends early leaves one, or a discount that is a line."""
    one = rng.choice(sold)
    amount = step * rng.randint(1, max(1, (one.amount - one.discount) // step))
    discount = step * rng.randint(1, 100) if rng.random() < 0.1 else 0
    tax = (amount + discount) * rng.choice(rates) // 10_000 // step * step if rng.random() < 0.3 else 0
    return Row(
        amount=-amount,
        discount=discount,
        tax=-tax,
        price=Decimal(-amount) if rng.random() < 0.3 else None,
        text=rng.choice(("Unused time on Seats", "Discount", "")),
        product=one.product,
        has_period=rng.random() < 0.5,
    )


def _row(rng: Random, step: int, rates: Sequence[int]) -> Row:
    quantity, price = 1, None
    if rng.random() < 0.5:
        amount = step * rng.choice((rng.randint(0, 9), rng.randint(1, 10_000), rng.randint(1, 10_000_000)))
    else:
        quantity = rng.randint(1, 50)
        price = Decimal(step * rng.randint(1, 10_000))
        if rng.random() < 0.2:
            price += Decimal(rng.randint(1, 9999)) / 10_000
        amount = int((price * quantity / step).to_integral_value(ROUND_HALF_UP)) * step
    discount = step * min(rng.randint(0, 100), amount // step) if rng.random() < 0.3 else 0
    tax = (amount - discount) * rng.choice(rates) // 10_000 // step * step
    return Row(
        amount=amount,
        discount=discount,
        tax=tax,
        quantity=quantity,
        price=price,
        product=rng.choice(PRODUCTS),
        text=rng.choice(_TEXTS),
        has_period=rng.random() < 0.2,
        is_inclusive=rng.random() < 0.3,
    )


def _settled(rng: Random, found: Drawn, step: int) -> Drawn:
    whole = found.total // step
    credited = rng.randint(0, whole) if rng.random() < 0.15 else 0
    paid = rng.choice((0, 0, whole - credited, rng.randint(0, whole - credited)))
    is_lost = rng.random() < 0.05 and paid + credited < whole
    return replace(found, paid=paid * step, credited=credited * step, is_lost=is_lost)


def invoice_of(drawn: Drawn) -> Invoice:
    """As the registry would hold it."""
    places = PLACES[drawn.currency]

    def said(minor: int | Decimal) -> Decimal:
        return Decimal(minor).scaleb(-places)

    lines = tuple(
        Line(
            id=f"line-{place}",
            description=one.text,
            product=one.product,
            quantity=Decimal(one.quantity),
            unit_amount=None if one.price is None else said(one.price),
            amount=said(one.amount),
            discount=said(one.discount),
            tax=said(one.tax),
            period_start=_DAY if one.has_period else None,
            period_end=_DAY.replace(day=30) if one.has_period else None,
        )
        for place, one in enumerate(drawn.rows)
    )
    return Invoice(
        id="",
        number=drawn.number,
        customer="customer",
        currency=drawn.currency,
        status="uncollectible" if drawn.is_lost else "open" if drawn.left else "paid",
        issued_on=_DAY,
        due_on=_DAY.replace(day=30),
        lines=lines,
        subtotal=said(sum(one.amount for one in drawn.rows)),
        discount=said(sum(one.discount for one in drawn.rows)),
        tax=said(drawn.tax),
        total=said(drawn.total),
        paid=said(drawn.paid),
        credited=said(drawn.credited),
        written_off=said(drawn.left if drawn.is_lost else 0),
        due=said(0 if drawn.is_lost else drawn.left),
    )


# ---- as Stripe tells it ----------------------------------------------------------------------------


def told_by_stripe(drawn: Drawn) -> dict[str, Any]:
    """The invoice's JSON (docs.stripe.com/api/invoices/object), with discounts and taxes on the lines."""
    times = 100 if drawn.currency in SPECIAL else 1
    due = drawn.total - drawn.credited
    return {
        "id": "in_1",
        "object": "invoice",
        "status": "uncollectible" if drawn.is_lost else "open" if drawn.left else "paid",
        "currency": drawn.currency.lower(),
        "created": _NOON,
        "effective_at": _NOON,
        "due_date": _NOON + 29 * 86_400,
        "customer": "customer",
        "number": drawn.number,
        "total": drawn.total * times,
        "amount_due": due * times,
        "amount_paid": drawn.paid * times,
        "amount_remaining": (due - drawn.paid) * times,
        "pre_payment_credit_notes_amount": drawn.credited * times,
        "auto_advance": False,
        "metadata": {},
        "lines": {"has_more": False, "data": [_stripe_line(one, place, times) for place, one in enumerate(drawn.rows)]},
    }


def _stripe_line(row: Row, place: int, times: int) -> dict[str, Any]:
    gross = row.amount + (row.tax if row.is_inclusive else 0)
    pricing: dict[str, Any] = {"price_details": {"product": row.product}} if row.product else {}
    if row.price is not None and not row.is_inclusive:
        pricing["unit_amount_decimal"] = format(row.price * times, "f")
    tax = {
        "amount": row.tax * times,
        "tax_behavior": "inclusive" if row.is_inclusive else "exclusive",
        "tax_rate_details": {"tax_rate": "txr_1"},
    }
    length = 29 * 86_400 if row.has_period else 0
    return {
        "id": f"il_{place}",
        "amount": gross * times,
        "description": row.text or None,
        "quantity": row.quantity,
        "quantity_decimal": str(row.quantity),
        "discount_amounts": [{"amount": row.discount * times}] if row.discount else [],
        "taxes": [tax] if row.tax else [],
        "pricing": pricing or None,
        "period": {"start": _NOON, "end": _NOON + length},
        "metadata": {},
    }


# ---- as QuickBooks tells it ------------------------------------------------------------------------


def told_by_quickbooks(drawn: Drawn) -> str:
    """The invoice's JSON, amounts with two decimals whatever the currency; discount and tax are the whole form's."""
    sold = [_quickbooks_line(one, place, drawn.currency) for place, one in enumerate(drawn.rows, 1)]
    amounts = sum(one.amount for one in drawn.rows)
    off = sum(one.discount for one in drawn.rows)
    lines = [*sold, f'{{"Amount":{_dot(amounts, drawn.currency)},"DetailType":"SubTotalLineDetail"}}']
    if off:
        lines.append(f'{{"Amount":{_dot(off, drawn.currency)},"DetailType":"DiscountLineDetail"}}')
    return (
        f'{{"Id":"7","SyncToken":"0","DocNumber":"{drawn.number}","TxnDate":"2026-11-01","DueDate":"2026-11-30",'
        f'"CustomerRef":{{"value":"customer"}},"CurrencyRef":{{"value":"{drawn.currency}"}},'
        f'"Line":[{",".join(lines)}],"TxnTaxDetail":{{"TotalTax":{_dot(drawn.tax, drawn.currency)}}},'
        f'"TotalAmt":{_dot(drawn.total, drawn.currency)},"Balance":{_dot(drawn.left, drawn.currency)}}}'
    )


def _quickbooks_line(row: Row, place: int, currency: str) -> str:
    detail = [
        f'"ItemRef":{{"value":"{row.product or 1}"}}',
        f'"TaxCodeRef":{{"value":"{"TAX" if row.tax else "NON"}"}}',
    ]
    if row.price is not None:
        price = row.price.scaleb(-PLACES[currency])
        detail += [f'"Qty":{row.quantity}', f'"UnitPrice":{price:f}']
    return (
        f'{{"Id":"{place}","Amount":{_dot(row.amount, currency)},"Description":"{row.text}",'
        f'"DetailType":"SalesItemLineDetail","SalesItemLineDetail":{{{",".join(detail)}}}}}'
    )


def _dot(minor: int, currency: str) -> str:
    """`1050` of EUR -> `10.50`, `70` of KWD -> `0.07`, `5` of JPY -> `5`."""
    places = min(PLACES[currency], 2)
    if PLACES[currency] == 3:
        minor //= 10
    return f"{Decimal(minor).scaleb(-places):f}"
