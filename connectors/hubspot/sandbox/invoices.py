"""HubSpot's own rules for invoices: what it fills in, what it reckons, and which status may follow which.

PROVIDERS §5: invoices (README, "What the look-alike rests on"); which status may follow which is the stricter reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from connectors.hubspot.sandbox.answers import Refused, iso
from connectors.hubspot.sandbox.links import Links
from connectors.hubspot.sandbox.store import Record, Table
from core.model.money import exponent

FOLLOWING: Final[Mapping[str, tuple[str, ...]]] = {
    "draft": ("open", "paid", "voided"),
    "open": ("paid", "voided"),
    "paid": ("open", "voided"),
    "voided": (),
}
"""Of an invoice that is not billable; HubSpot's documentation is silent, so that nothing goes back to a draft."""


class Invoices:
    """Knows the invoices of one account with their lines."""

    def __init__(self, tables: Mapping[str, Table], links: Links) -> None:
        """Computed properties are asked for through the tables."""
        self._links = links
        tables["invoice"].computed = self.computed
        tables["line_item"].computed = _line_value

    def completed(self, table: Table, properties: Mapping[str, str], now: int) -> dict[str, str]:
        """A new object's properties, with what HubSpot fills in: the stricter reading."""
        if table.type != "invoice":
            return dict(properties)
        today = f"{iso(now)[:10]}T00:00:00Z"
        filled = {"hs_invoice_billable": "true", "hs_invoice_date": today, "hs_due_date": today}
        given = {name: text for name, text in properties.items() if text}
        return filled | {"hs_invoice_status": "draft"} | given

    def check(self, table: Table, record: Record | None, given: Mapping[str, str]) -> None:
        """Refused where HubSpot would refuse these properties of an invoice, or of a line of one."""
        if table.type != "invoice":
            return
        before = record.properties if record else {}
        after = {"hs_invoice_billable": "true", **before, **given}
        old, new = before.get("hs_invoice_status") or "draft", after.get("hs_invoice_status") or "draft"
        is_billable = after["hs_invoice_billable"] != "false"
        if record and old != "draft" and after.get("hs_currency") != before.get("hs_currency"):
            raise _refused("hs_currency cannot be changed any more")  # stricter reading
        if old == new:
            return
        if new not in FOLLOWING[old]:
            raise _refused(f"An invoice cannot go from {old} to {new}")  # stricter reading
        if is_billable and "paid" in (old, new):
            raise _refused("Recording payments manually is not possible via the API")  # PROVIDERS §5: not by the API
        if is_billable and new == "open":
            self._check_complete(record)

    def _check_complete(self, record: Record | None) -> None:
        invoice = record.id if record else ""
        if len(self._links.of(invoice, "contact")) != 1:
            raise _refused("An open invoice needs exactly one contact")  # PROVIDERS §5: one contact
        if not self._links.of(invoice, "line_item"):
            raise _refused("An open invoice needs at least one line item")  # PROVIDERS §5: a line item at least

    def computed(self, record: Record, name: str) -> str | None:
        """What HubSpot reckons for an invoice (PROVIDERS §5): from its line items alone, without taxes of others."""
        if record.properties.get("hs_invoice_billable") == "false" and name in ("hs_number", "hs_invoice_link"):
            return None
        if name == "hs_number":
            return f"INV-{record.id}"
        if name == "hs_invoice_link":
            return f"https://invoices.example/{record.id}"
        billed = sum((Decimal(_line_value(one, "amount") or 0) for one in self._lines(record)), Decimal(0))
        paid = billed if record.properties.get("hs_invoice_status") == "paid" else Decimal(0)
        return {"hs_amount_billed": f"{billed:f}", "hs_amount_paid": f"{paid:f}"}.get(name, f"{billed - paid:f}")

    def _lines(self, record: Record) -> list[Record]:
        return self._links.of(record.id, "line_item")


def _line_value(line: Record, name: str) -> str | None:
    """HubSpot reckons it (PROVIDERS §5); in the smallest unit of the line's currency is the stricter reading."""
    price = line.properties.get("price")
    if not price:
        return None
    quantity = Decimal(line.properties.get("quantity") or 1)
    discount = Decimal(line.properties.get("discount") or 0) * quantity
    whole = Decimal(price) * quantity
    amount = {"hs_pre_discount_amount": whole, "hs_total_discount": discount}.get(name, whole - discount)
    places = exponent(line.properties.get("hs_line_item_currency_code") or "USD")
    return f"{amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}"


def _refused(message: str) -> Refused:
    return Refused(400, "VALIDATION_ERROR", message)
