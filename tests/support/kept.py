"""What each provider keeps of the writes of a copy, and tells when it is read: shapes only, without state or transport.

A million copies are too many for the look-alikes. That these and the look-alikes tell the same is checked of a sample
(`tests.campaigns.papers`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from connectors.quickbooks.connector.writing import numbered
from connectors.quickbooks.sandbox.forms import accepted, computed
from connectors.quickbooks.sandbox.money import encodable
from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from core.model.paper import Step


class Kept(Protocol):
    """One copy at one provider; `id` is what it is called there."""

    id: str

    def take(self, step: Step) -> bytes:
        """Carry out a step; the copy as it is read afterwards."""
        ...


class KeptByStripe:
    """A draft, its lines, then an open invoice; every value arrives as text (docs.stripe.com/api)."""

    id = "in_2"

    def __init__(self) -> None:
        """Nothing yet."""
        self._invoice: dict[str, Any] = {}

    def take(self, step: Step) -> bytes:
        """As `Kept.take`."""
        {"create": self._create, "add_lines": self._add, "finalize": self._finalize}.get(step.action, self._move)(step)
        return msgspec.json.encode(self._invoice)

    def _create(self, step: Step) -> None:
        body = step.body
        self._invoice = {
            "id": self.id,
            "object": "invoice",
            "status": "draft",
            "created": 1_793_534_400,
            "due_date": 1_793_534_400 + int(body["days_until_due"]) * 86_400,
            "effective_at": int(body["effective_at"]) if "effective_at" in body else None,
            "auto_advance": body["auto_advance"] == "true",
            **{name: body.get(name) for name in ("customer", "currency", "number", "description", "metadata")},
            "lines": {"data": [], "has_more": False},
        }
        self._sum()

    def _add(self, step: Step) -> None:
        lines = self._invoice["lines"]["data"]
        for entry in step.body["lines"]:
            lines.append(self._line(entry, len(lines)))
        self._sum()

    @staticmethod
    def _line(entry: Mapping[str, Any], place: int) -> dict[str, Any]:
        data = entry.get("price_data")
        amount = int(data["unit_amount"]) * int(entry["quantity"]) if data else int(entry["amount"])
        taxes = [
            {"amount": int(one["amount"]), "tax_behavior": "exclusive", "tax_rate_details": {"tax_rate": "txr_2"}}
            for one in entry.get("tax_amounts", ())
        ]
        period = {name: int(value) for name, value in entry["period"].items()} if "period" in entry else None
        return {
            "id": f"il_{place}",
            "amount": amount,
            "description": entry.get("description"),
            "quantity": 1,
            "quantity_decimal": "1",
            "metadata": entry["metadata"],
            "taxes": taxes,
            "discount_amounts": [],
            **({"period": period} if period else {}),
        }

    def _finalize(self, step: Step) -> None:
        del step
        self._invoice["status"] = "open" if self._invoice["total"] else "paid"

    def _move(self, step: Step) -> None:
        self._invoice["status"] = {"mark_uncollectible": "uncollectible", "void": "void"}[step.action]

    def _sum(self) -> None:
        lines = self._invoice["lines"]["data"]
        total = sum(one["amount"] + sum(tax["amount"] for tax in one["taxes"]) for one in lines)
        self._invoice |= {"total": total, "amount_due": total, "amount_paid": 0, "amount_remaining": total}


class KeptByHubSpot:
    """Properties as texts; HubSpot itself reckons a line's `amount`."""

    id = "invoice:5"

    def __init__(self) -> None:
        """Nothing yet."""
        self._head: dict[str, str] = {}
        self._lines: list[dict[str, Any]] = []
        self._customers: list[str] = []

    def take(self, step: Step) -> bytes:
        """As `Kept.take`."""
        self._head |= step.body.get("properties", {})
        self._customers = [step.body.get("customer", *self._customers)]
        for one in step.body.get("lines", ()):
            self._lines.append({"id": str(70 + len(self._lines)), "properties": {**one, "amount": self._net(one)}})
        invoice = {"id": self.id.partition(":")[2], "properties": self._head}
        return msgspec.json.encode(
            {"type": "invoice", "object": invoice, "lines": self._lines, "customers": self._customers}
        )

    @staticmethod
    def _net(line: Mapping[str, str]) -> str:
        return f"{(Decimal(line['price']) - Decimal(line['discount'])) * Decimal(line['quantity']):f}"


class KeptByQuickBooks:
    """A form, its tax told or computed as the company's edition does."""

    id = "9"

    def __init__(self, settings: QuickBooksSettings) -> None:
        """Nothing yet."""
        self._settings = settings

    def take(self, step: Step) -> bytes:
        """As `Kept.take`; there is one step only."""
        body = json.loads(msgspec.json.encode(numbered(step.body)), parse_float=Decimal)
        found = accepted("Invoice", body, self._settings)
        found |= computed(found, self._settings, lambda _item: None)
        found |= {"Id": self.id, "SyncToken": "0", "Balance": found["TotalAmt"]}
        return msgspec.json.encode(encodable(found))
