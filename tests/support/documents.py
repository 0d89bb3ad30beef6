"""Random documents that keep every law, in any currency: what a translation must carry or refuse."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from hypothesis import strategies as st

from core.model.documents import Application, CreditNote, Invoice, InvoiceStatus, Line, Payment
from core.model.money import ZERO, exponent, from_minor, product, total_of

CURRENCIES: Final = ("EUR", "USD", "JPY", "KRW", "KWD", "BHD", "HUF", "ISK")
STATES: Final[tuple[InvoiceStatus, ...]] = ("open", "paid", "void", "uncollectible", "draft")
DAYS: Final = st.dates(date(2026, 1, 1), date(2026, 12, 31))


@st.composite
def lines(draw: st.DrawFn, currency: str, *, least: int = 1, most: int = 6) -> tuple[Line, ...]:
    """Lines with a price, an amount only, a discount, a tax, a period, or none of these."""
    found = []
    for number in range(draw(st.integers(least, most))):
        amount, quantity, unit = draw(_priced(currency))
        discount = draw(st.integers(0, 100)) if draw(st.booleans()) else 0
        places = exponent(currency)
        off = min(amount, from_minor(discount, places)) if amount > 0 else ZERO
        tax = from_minor(draw(st.integers(0, 500)), places) if draw(st.booleans()) else ZERO
        found.append(
            Line(
                id=f"line-{number}",
                description=draw(st.sampled_from(("Seats", "Größe", "API calls", ""))),
                product=draw(st.sampled_from(("prod_a", "prod_b", ""))),
                quantity=quantity,
                unit_amount=unit,
                amount=amount,
                discount=off,
                tax=tax,
                period_start=date(2026, 1, 1) if draw(st.booleans()) else None,
                period_end=date(2026, 1, 31) if draw(st.booleans()) else None,
            )
        )
    return tuple(found)


@st.composite
def _priced(draw: st.DrawFn, currency: str) -> tuple[Decimal, Decimal, Decimal | None]:
    places = exponent(currency)
    if draw(st.booleans()):
        return from_minor(draw(st.integers(1, 10_000_00)), places), Decimal(1), None
    quantity = Decimal(draw(st.integers(1, 50)))
    unit = from_minor(draw(st.integers(1, 10_000)), places)
    return product(unit, quantity), quantity, unit


@st.composite
def invoices(draw: st.DrawFn, *, currency: str | None = None, status: InvoiceStatus | None = None) -> Invoice:
    """An invoice that owes something, all, or nothing any more."""
    currency = currency or draw(st.sampled_from(CURRENCIES))
    some = draw(lines(currency))
    subtotal, discount, tax = (total_of([getattr(one, name) for one in some]) for name in ("amount", "discount", "tax"))
    total = total_of([subtotal, -discount, tax])
    state = draw(st.sampled_from(STATES)) if status is None else status
    share = {"paid": total, "open": from_minor(draw(st.integers(0, 1)), exponent(currency))}.get(state, ZERO)
    paid = min(share, total)
    written_off = total if state == "uncollectible" else ZERO
    issued_on = draw(DAYS)
    return Invoice(
        id=f"inv-{draw(st.integers(1, 10**6))}",
        number=f"A-{draw(st.integers(1, 10**6))}",
        customer="customer",
        currency=currency,
        status=state,
        issued_on=issued_on,
        due_on=issued_on,
        lines=some,
        subtotal=subtotal,
        discount=discount,
        tax=tax,
        total=total,
        paid=paid,
        written_off=written_off,
        due=ZERO if status == "void" else total - paid - written_off,
        memo=draw(st.sampled_from(("", "Thank you"))),
    )


@st.composite
def payments(draw: st.DrawFn) -> Payment:
    """A payment of one to three invoices, or of none yet."""
    currency = draw(st.sampled_from(CURRENCIES))
    places = exponent(currency)
    applied = draw(st.lists(st.integers(1, 10_000), max_size=3))
    over = draw(st.integers(0, 100)) if applied else draw(st.integers(1, 100))
    amount = from_minor(sum(applied) + over, places)
    return Payment(
        id=f"pay-{draw(st.integers(1, 10**6))}",
        customer="customer",
        currency=currency,
        status=draw(st.sampled_from(("succeeded", "pending", "failed", "void"))),
        amount=amount,
        refunded=draw(st.sampled_from((ZERO, amount))),
        received_on=draw(DAYS),
        applications=tuple(
            Application(invoice=f"inv-{number}", amount=from_minor(minor, places))
            for number, minor in enumerate(applied)
        ),
    )


@st.composite
def credit_notes(draw: st.DrawFn) -> CreditNote:
    """A credit note, applied as a whole, or not at all."""
    invoice = draw(invoices(status="open"))
    applied = draw(st.sampled_from((ZERO, invoice.total))) if invoice.total > 0 else ZERO
    return CreditNote(
        id=f"cn-{draw(st.integers(1, 10**6))}",
        number=f"C-{draw(st.integers(1, 10**6))}",
        customer="customer",
        currency=invoice.currency,
        status=draw(st.sampled_from(("issued", "void"))),
        issued_on=invoice.issued_on,
        invoice=invoice.id,
        lines=invoice.lines,
        subtotal=invoice.subtotal,
        discount=invoice.discount,
        tax=invoice.tax,
        total=invoice.total,
        applied=applied,
    )
