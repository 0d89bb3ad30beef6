"""What the account really holds, in neutral names: decimal texts with the currency's decimals. Apart from translate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from connectors.stripe.sandbox.amounts import grain, spoken
from connectors.stripe.sandbox.ledger import Ledger, Thing


def _invoice(ledger: Ledger, invoice: Thing) -> dict[str, Any]:
    code, is_copy = invoice["currency"], "accord_ref" in invoice["metadata"]
    lines = _copied_lines(invoice) if is_copy else [_line(line, code) for line in invoice["lines"]["data"]]
    total, due = sum(line["worth"] for line in lines), invoice["amount_remaining"]
    is_gone, is_lost = invoice["status"] == "void", invoice["status"] == "uncollectible"
    due_on = invoice["metadata"].get("accord_due_on") if is_copy else None
    return {
        "customer": invoice["customer"],
        "number": invoice["number"] or "",
        "currency": code.upper(),
        "status": invoice["status"],
        "issued_on": _day(invoice["effective_at"]),
        "due_on": due_on or _day(invoice["due_date"]),
        "memo": invoice["description"] or "",
        "mark": invoice["metadata"].get("accord_ref"),
        **_sums(lines, code),
        "total": spoken(total, code),
        "paid": spoken(invoice["amount_paid"], code),
        "credited": spoken(total - invoice["amount_due"], code),
        "written_off": spoken(due if is_lost else 0, code),
        "due": spoken(0 if is_gone or is_lost else due, code),
        "is_collected": bool(invoice["auto_advance"]),
        "mails": sum(1 for mail in ledger.mails if mail.endswith(invoice["id"])),
    }


def _line(line: Thing, code: str) -> dict[str, Any]:
    discount = line["discount_amount"] if "discount_amount" in line else _total(line["discount_amounts"])
    inside = _total([tax for tax in line["taxes"] if tax["tax_behavior"] == "inclusive"])
    tax = _total(line["taxes"])
    worth = line["amount"] - discount + tax - inside
    if inside and discount:
        # the discount is told with the tax in it
        discount = _share(discount // grain(code), worth - tax, line["amount"] - discount) * grain(code)
    return {
        "description": line["description"] or "",
        "quantity": line.get("quantity_decimal") or str(line["quantity"]),
        "minor": (worth - tax + discount, discount, tax),
        "worth": worth,
        "key": line["metadata"],
    }


def _share(whole: int, part: int, of: int) -> int:
    """`whole` x part / of, to the nearest unit; halves go to the part, as it is named first."""
    exact, rest = divmod(abs(whole) * abs(part), abs(of))
    up = rest * 2 >= abs(of)
    return (exact + up) * (1 if whole >= 0 else -1)


def _copied_lines(invoice: Thing) -> list[dict[str, Any]]:
    # discounts of a copy stand there as lines of their own
    lines = [_line(line, invoice["currency"]) for line in invoice["lines"]["data"]]
    of = {line["key"]["accord_line"]: line for line in lines if "accord_line" in line["key"]}
    found = []
    for line in lines:
        owner = of.get(line["key"].get("accord_discount"))
        if owner is None:
            line["quantity"] = line["key"].get("accord_quantity", line["quantity"])
            found.append(line)
            continue
        amount, discount, tax = owner["minor"]
        owner["minor"] = (amount, discount - line["worth"], tax)
        owner["worth"] += line["worth"]
    return found


def _sums(lines: list[dict[str, Any]], code: str) -> dict[str, Any]:
    return {
        "lines": [
            {
                "description": line["description"],
                "quantity": line["quantity"],
                **{
                    name: spoken(value, code)
                    for name, value in zip(("amount", "discount", "tax"), line["minor"], strict=True)
                },
            }
            for line in lines
        ],
        **{
            name: spoken(sum(line["minor"][place] for line in lines), code)
            for place, name in enumerate(("subtotal", "discount", "tax"))
        },
    }


def _payment(ledger: Ledger, payment: Thing) -> dict[str, Any]:
    code, paid_by = payment["currency"], payment["payment"]
    amount = payment["amount_requested"] if payment["amount_paid"] is None else payment["amount_paid"]
    record = ledger.things["payment_record"].get(paid_by.get("payment_record", ""), {})
    charge = ledger.charges.get(
        ledger.intents.get(paid_by.get("payment_intent", ""), {}).get("latest_charge") or "", {}
    )
    whole = record["amount"]["value"] if record else charge.get("amount", amount)
    back = record["amount_refunded"]["value"] if record else charge.get("amount_refunded", 0)
    return {
        "customer": ledger.things["invoice"][payment["invoice"]]["customer"],
        "currency": code.upper(),
        "status": {"open": "pending", "paid": "succeeded", "canceled": "void"}[payment["status"]],
        "amount": spoken(amount, code),
        "refunded": spoken(amount if back == whole else back, code),
        "received_on": _day(payment["status_transitions"]["paid_at"]),
        "applications": [{"invoice": payment["invoice"], "amount": spoken(amount, code)}],
        "mark": record.get("metadata", {}).get("accord_ref"),
    }


def _note(_: Ledger, note: Thing) -> dict[str, Any]:
    code = note["currency"]
    lines = [_line(line, code) for line in note["lines"]["data"]]
    for line in lines:
        # of a copy; there is no other place for it
        off = int(line["key"].get("accord_discount_minor", "0"))
        amount, discount, tax = line["minor"]
        line["minor"] = (amount + off, discount + off, tax)
        line["quantity"] = line["key"].get("accord_quantity", line["quantity"])
    return {
        "customer": note["customer"],
        "number": note["metadata"].get("accord_number", note["number"]),
        "currency": code.upper(),
        "status": note["status"],
        "issued_on": _day(note["effective_at"]),
        "invoice": note["invoice"],
        **_sums(lines, code),
        "total": spoken(note["amount"], code),
        "applied": spoken(note["pre_payment_amount"], code),
        "refunded": spoken(note["out_of_band_amount"] or 0, code),
        "reason": note["memo"] or note["reason"] or "",
        "mark": note["metadata"].get("accord_ref"),
    }


def _total(parts: list[Thing]) -> int:
    return sum(part["amount"] for part in parts)


def _day(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).date().isoformat()


TRUTHS: Final[Mapping[str, Callable[[Ledger, Thing], dict[str, Any]]]] = {
    "invoice": _invoice,
    "payment": _payment,
    "credit_note": _note,
}
"""Neutral kind -> how to tell the truth about one."""
