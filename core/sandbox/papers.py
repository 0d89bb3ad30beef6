"""Invents the invoices of a demo, as what people type into the systems that bill; pure: chance is injected.

Every kind of ending is there: paid, paid in parts, credited, voided, overdue, a draft; and amounts with no, two and
three decimals, with discounts and with tax.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Final, Literal

import msgspec

Biller = Literal["stripe", "quickbooks"]
Ending = Literal["open", "paid", "in parts", "part paid", "credited", "void", "draft"]

PLACES: Final = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
"""Decimals of the demo's currencies, written down a second time."""

ENDINGS: Final[tuple[Ending, ...]] = (
    *("paid",) * 6, *("open",) * 5, *("part paid",) * 3, *("in parts",) * 2, *("credited",) * 2, *("void",) * 2,
    "draft",
)  # fmt: skip
"""What becomes of an invoice, each as often as it is here."""
_SOLD: Final = ("Seats", "API calls", "Onboarding", "Premium support", "Größe L")


class Account(msgspec.Struct, frozen=True):
    """A customer that can be billed: its object at each biller, and the currency of its books."""

    ids: Mapping[Biller, str]
    currency: str


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice to make, and what becomes of it."""

    system: Biller
    account: Account
    ending: Ending
    number: str
    lines: tuple[dict[str, str], ...]
    total: Decimal
    issued_on: str
    due_on: str


Edit = Callable[[Biller, str, str | None, Mapping[str, Any]], str]
"""(system, kind, id or None, changes) -> id: a person's edit (LookAlike.edit)."""


def invent(rng: Random, accounts: Sequence[Account], number: int) -> list[Bill]:
    """`number` bills, in every account's own currency."""
    return [_bill(rng, rng.choice(accounts), place) for place in range(number)]


def _bill(rng: Random, account: Account, place: int) -> Bill:
    system: Biller = rng.choice(("stripe", "quickbooks"))
    ending = ENDINGS[place % len(ENDINGS)]
    if ending == "draft" and system == "quickbooks":
        ending = "open"  # QuickBooks has no drafts
    places = PLACES[account.currency]
    rows, total = [], Decimal(0)
    for _ in range(rng.randint(1, 4)):
        row, amount = _line(rng, places)
        rows.append(row)
        total += amount
    day = rng.randint(1, 28)
    return Bill(
        system=system,
        account=account,
        ending=ending,
        number=f"B-{place + 1:05d}",
        lines=tuple(rows),
        total=total,
        issued_on=f"2026-{rng.randint(8, 10):02d}-{day:02d}",
        due_on=f"2026-{rng.randint(11, 12):02d}-{day:02d}",
    )


def _line(rng: Random, places: int) -> tuple[dict[str, str], Decimal]:
    smallest = Decimal(1).scaleb(-places)
    # Stripe's amounts with three decimals end in 0
    step = smallest * 10 if places == 3 else smallest
    quantity, price = rng.randint(1, 12), step * rng.randint(1, 40_000)
    amount = price * quantity
    discount = step * rng.randint(1, 9) if rng.random() < 0.2 else Decimal(0)
    tax = amount * Decimal("0.19") // step * step if rng.random() < 0.6 else Decimal(0)
    row = {
        "description": rng.choice(_SOLD),
        "quantity": str(quantity),
        "unit_amount": str(price),
        "discount": str(discount),
        "tax": str(tax),
    }
    return row, amount - discount + tax


def plant_bills(bills: Sequence[Bill], edit: Edit) -> list[str]:
    """Make them as people would; returns the invoices' ids."""
    return [_plant(one, edit) for one in bills]


def _plant(bill: Bill, edit: Edit) -> str:
    customer = bill.account.ids[bill.system]
    same = {"customer": customer, "currency": bill.account.currency}
    # Stripe draws its numbers itself
    numbered = {"number": bill.number} if bill.system == "quickbooks" else {}
    made = {
        **same,
        **numbered,
        "issued_on": bill.issued_on,
        "due_on": bill.due_on,
        "lines": [dict(line) for line in bill.lines],
        "status": "draft" if bill.ending == "draft" else "open",
    }
    invoice = edit(bill.system, "invoice", None, made)
    for amount in _payments(bill):
        applied = [{"invoice": invoice, "amount": str(amount)}]
        paid = {**same, "amount": str(amount), "received_on": bill.due_on, "applications": applied}
        edit(bill.system, "payment", None, paid)
    if bill.ending == "void":
        edit(bill.system, "invoice", invoice, {"status": "void"})
    elif bill.ending == "credited":
        credited = str(_part(bill))
        lines = [{"description": "Credit", "quantity": "1", "amount": credited}]
        note = {**same, "invoice": invoice, "lines": lines, "applied": credited}
        edit(bill.system, "credit_note", None, note)
    return invoice


def _payments(bill: Bill) -> list[Decimal]:
    if bill.ending == "paid":
        return [bill.total]
    part = _part(bill)
    return {"part paid": [part], "in parts": [part, bill.total - part]}.get(bill.ending, [])


def _part(bill: Bill) -> Decimal:
    """About a third, in units that the currency can pay."""
    places = PLACES[bill.account.currency]
    step = Decimal(1).scaleb(-places) * (10 if places == 3 else 1)
    return max(step, (bill.total / 3 // step) * step)
