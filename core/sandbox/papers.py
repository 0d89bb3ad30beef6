"""Invents the invoices of a demo, as what people type into the systems that bill; pure: chance is injected.

Every kind of ending is there: paid, paid in parts, credited, voided, overdue, a draft, and where it is asked for money
that goes back; and amounts with no, two and three decimals, with discounts, with tax and with lines below zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Final, Literal

import msgspec

Biller = Literal["stripe", "quickbooks"]
Ending = Literal[
    "open", "paid", "in parts", "part paid", "credited", "void", "draft", "refunded", "part refunded", "charged back"
]

PLACES: Final = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
"""Decimals of the demo's currencies, written down a second time."""

ENDINGS: Final[tuple[Ending, ...]] = (
    *("paid",) * 6, *("open",) * 5, *("part paid",) * 3, *("in parts",) * 2, *("credited",) * 2, *("void",) * 2,
    "draft",
)  # fmt: skip
"""What becomes of an invoice, each as often as it is here."""
MONEY_BACK: Final[tuple[Ending, ...]] = ("refunded", "part refunded", "charged back")
"""Paid at Stripe, and then money goes back, which a person books by hand. What is billed at QuickBooks stays paid."""
_SOLD: Final = ("Seats", "API calls", "Onboarding", "Premium support", "Größe L")
_ALLOWED: Final = ("Allowance", "Unused time on Seats")


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


def invent(rng: Random, accounts: Sequence[Account], number: int, endings: Sequence[Ending] = ENDINGS) -> list[Bill]:
    """`number` bills, in every account's own currency."""
    return [_bill(rng, rng.choice(accounts), place, endings[place % len(endings)]) for place in range(number)]


def _bill(rng: Random, account: Account, place: int, ending: Ending) -> Bill:
    system: Biller = rng.choices(("stripe", "quickbooks"), (4, 1))[0]
    if ending == "draft" and system == "quickbooks":
        ending = "open"  # QuickBooks has no drafts
    if ending in MONEY_BACK and system == "quickbooks":
        ending = "paid"
    places = PLACES[account.currency]
    rows, total = [], Decimal(0)
    # QuickBooks divides tax and discount among lines, here to a third decimal, which Stripe does not take
    for _ in range(1 if (system, places) == ("quickbooks", 3) else rng.randint(1, 4)):
        row, amount = _line(rng, places)
        rows.append(row)
        total += amount
    if rng.random() < 0.2 and len(rows) > 1:
        row, amount = _allowance(rng, places, total)
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
    step = _step(places)
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


def _allowance(rng: Random, places: int, total: Decimal) -> tuple[dict[str, str], Decimal]:
    """A line below zero, of up to a third of what the others come to."""
    step = _step(places)
    amount = -step * rng.randint(1, max(1, int(total / 3 / step)))
    row = {"description": rng.choice(_ALLOWED), "quantity": "1", "amount": str(amount), "discount": "0", "tax": "0"}
    return row, amount


def _step(places: int) -> Decimal:
    """The smallest unit that can be paid: Stripe's amounts with three decimals end in 0."""
    return Decimal(1).scaleb(-places) * (10 if places == 3 else 1)


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
        payment = edit(bill.system, "payment", None, paid)
        if bill.ending in MONEY_BACK:
            edit(bill.system, "payment", payment, _back(bill))
    if bill.ending == "void":
        edit(bill.system, "invoice", invoice, {"status": "void"})
    elif bill.ending == "credited":
        credited = str(_part(bill))
        lines = [{"description": "Credit", "quantity": "1", "amount": credited}]
        named = {"number": f"C-{bill.number}"} if numbered else {}
        note = {**same, **named, "invoice": invoice, "lines": lines, "applied": credited}
        edit(bill.system, "credit_note", None, note)
    return invoice


def _payments(bill: Bill) -> list[Decimal]:
    if bill.ending == "paid" or bill.ending in MONEY_BACK:
        return [bill.total]
    part = _part(bill)
    return {"part paid": [part], "in parts": [part, bill.total - part]}.get(bill.ending, [])


def _back(bill: Bill) -> dict[str, Any]:
    if bill.ending == "charged back":
        return {"dispute": {"amount": str(_part(bill))}}
    return {"refunded": str(bill.total if bill.ending == "refunded" else _part(bill))}


def _part(bill: Bill) -> Decimal:
    """About a third, in units that the currency can pay."""
    step = _step(PLACES[bill.account.currency])
    return max(step, (bill.total / 3 // step) * step)
