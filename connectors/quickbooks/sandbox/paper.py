"""The look-alike's own view of documents, both ways: people's edits in neutral names, and verifying without the engine.

Written apart from translate on purpose: it is what that one is checked against.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from connectors.quickbooks.sandbox.books import FORMS, VOIDED, Books
from connectors.quickbooks.sandbox.rules import Refused
from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from core.errors import TakenError
from core.model.money import exponent

ENTITY_OF: Final = {
    "invoice": "Invoice",
    "payment": "Payment",
    "credit_note": "CreditMemo",
    "refund_receipt": "RefundReceipt",
}
_ZERO: Final = Decimal(0)
_LINES: Final = frozenset({"SalesItemLineDetail", "DescriptionOnly"})
_TAKEN: Final = "6140"
WRITTEN_OFF: Final = "Created by QB Online to adjust balance for deletion"
_TEXTS: Final = {
    "number": "DocNumber",
    "issued_on": "TxnDate",
    "received_on": "TxnDate",
    "due_on": "DueDate",
    "reference": "PaymentRefNum",
}

Row = Mapping[str, Any]
Record = Callable[[str, str, str], None]
"""Told of every change: action, entity, id."""


class People:
    """What the people of the company do to its documents, in the UI."""

    def __init__(self, books: Books, settings: Callable[[], QuickBooksSettings], record: Record) -> None:
        """Edit `books`."""
        self._books = books
        self._settings = settings
        self._record = record

    def edit(self, kind: str, remote_id: str | None, changes: Mapping[str, Any], now: float) -> str:
        """Make or change one; TakenError for a number in use, ValueError for what the UI does not let happen."""
        entity = ENTITY_OF[kind]
        if changes.get("status") in {"draft", "uncollectible", "pending", "failed"} or "refunded" in changes:
            raise ValueError(f"QuickBooks has no {kind} that is {changes.get('status', 'refunded')}")
        try:
            if remote_id is None:
                return self._make(entity, changes, now)
            if changes.get("status") == "void":
                self._void(entity, remote_id, now)
            else:
                self._change(entity, remote_id, changes, now)
        except Refused as refused:
            if refused.fault["Error"][0]["code"] == _TAKEN:  # type: ignore[index]
                raise TakenError(str(refused), field="number") from refused
            raise ValueError(f"{refused}: {refused.fault}") from refused
        return remote_id

    def delete(self, kind: str, remote_id: str, now: float) -> None:
        """Delete one for good: transactions can be, customers and items cannot. ValueError as of `edit`."""
        entity = ENTITY_OF[kind]
        try:
            self._books.unlink(entity, remote_id, now)
            self._books.delete(entity, self._lock(entity, remote_id), now)
        except Refused as refused:
            raise ValueError(f"{refused}: {refused.fault}") from refused
        self._record("delete", entity, remote_id)

    def write_off(self, customer: str, now: float) -> None:
        """Whoever is made inactive in the UI owes nothing any more: a credit memo balances it (PROVIDERS §5)."""
        owed = self._books.balance_of(customer)
        if owed > 0:
            line = {"description": WRITTEN_OFF, "amount": str(owed)}
            currency = self._books.currency_of(customer)
            self._make("CreditMemo", {"customer": customer, "currency": currency, "lines": [line]}, now)

    def _make(self, entity: str, changes: Mapping[str, Any], now: float) -> str:
        body = self._body(entity, changes)
        customer = changes["customer"]
        body |= {"CustomerRef": {"value": customer}, "CurrencyRef": {"value": changes["currency"]}}
        remote_id = self._books.create(entity, body, now, by_person=True)
        self._record("create", entity, remote_id)
        applied = Decimal(changes.get("applied") or 0)
        if entity == "CreditMemo" and applied:
            lines = [_link(applied, "Invoice", changes["invoice"]), _link(applied, "CreditMemo", remote_id)]
            head = {name: body[name] for name in ("CustomerRef", "CurrencyRef")}
            link = self._books.create("Payment", {**head, "TotalAmt": _ZERO, "Line": lines}, now)
            self._record("create", "Payment", link)
        return remote_id

    def _void(self, entity: str, remote_id: str, now: float) -> None:
        self._books.unlink(entity, remote_id, now)
        self._books.void(entity, self._lock(entity, remote_id), now)
        self._record("void", entity, remote_id)

    def _change(self, entity: str, remote_id: str, changes: Mapping[str, Any], now: float) -> None:
        body = {**self._lock(entity, remote_id), "sparse": True, **self._body(entity, changes)}
        self._books.update(entity, body, now, by_person=True)
        self._record("update", entity, remote_id)

    def _lock(self, entity: str, remote_id: str) -> dict[str, Any]:
        return {"Id": remote_id, "SyncToken": self._books.row(entity, remote_id)["SyncToken"]}

    def _body(self, entity: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        body: dict[str, Any] = {
            attribute: str(changes[name]) for name, attribute in _TEXTS.items() if changes.get(name)
        }
        memo = changes.get("memo") or changes.get("reason")
        if memo:
            body["CustomerMemo"] = {"value": memo}
        if entity in FORMS and "lines" in changes:
            body |= self._lines(changes["lines"])
        if entity == "Payment":
            body |= {"TotalAmt": Decimal(changes["amount"])} if "amount" in changes else {}
            if "applications" in changes:
                body["Line"] = [
                    _link(Decimal(one["amount"]), "Invoice", one["invoice"]) for one in changes["applications"]
                ]
        return {**body, **changes.get("extra", {})}

    def _lines(self, lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        written = [self._line(line) for line in lines]
        discount = sum((Decimal(line.get("discount") or 0) for line in lines), _ZERO)
        if discount:
            written.append({"DetailType": "DiscountLineDetail", "Amount": discount})
        tax = sum((Decimal(line.get("tax") or 0) for line in lines), _ZERO)
        return {"Line": written, "TxnTaxDetail": {"TotalTax": tax}}

    def _line(self, line: Mapping[str, Any]) -> dict[str, Any]:
        detail: dict[str, Any] = {"ItemRef": {"value": self._books.items.named(line.get("product") or "1")}}
        quantity = Decimal(line.get("quantity") or 1)
        if "unit_amount" in line:
            detail |= {"Qty": quantity, "UnitPrice": Decimal(line["unit_amount"])}
        is_taxed = bool(Decimal(line.get("tax") or 0))
        detail["TaxCodeRef"] = {"value": self._code(is_taxed=is_taxed)}
        amount = line["amount"] if "amount" in line else quantity * Decimal(line["unit_amount"])
        described = {"Description": line["description"]} if line.get("description") else {}
        return {
            "DetailType": "SalesItemLineDetail",
            "Amount": Decimal(amount),
            **described,
            "SalesItemLineDetail": detail,
        }

    def _code(self, *, is_taxed: bool) -> str:
        told = self._settings()
        codes = [code for code, rate in told.tax_rates if bool(Decimal(rate)) == is_taxed]
        return next(code for code in codes if (code in {"TAX", "NON"}) == (told.country == "US"))


def neutral_document(entity: str, row: Row) -> dict[str, Any]:
    """One transaction in neutral names, amounts as texts with the currency's decimals."""
    currency = row["CurrencyRef"]["value"]
    is_void = row["TotalAmt"] == 0 and row.get("PrivateNote", "").startswith(VOIDED)
    told = _payment(row) if entity == "Payment" else _sale(entity, row)
    status = "void" if is_void else told.pop("status")
    common = {"customer": row["CustomerRef"]["value"], "currency": currency, "mark": _mark(row)}
    return {**common, **_spelled(told, exponent(currency)), "status": status}


def _payment(row: Row) -> dict[str, Any]:
    owed = {one["LinkedTxn"][0]["TxnId"]: _ZERO for one in row["Line"] if _type(one) == "Invoice"}
    for one in row["Line"]:
        if _type(one) == "Invoice":
            owed[one["LinkedTxn"][0]["TxnId"]] += one["Amount"]
    credit = sum((one["Amount"] for one in row["Line"] if _type(one) == "CreditMemo"), _ZERO)
    for invoice, amount in owed.items():
        owed[invoice] = amount - min(amount, credit)
        credit -= min(amount, credit)
    applications = [{"invoice": invoice, "amount": amount} for invoice, amount in owed.items() if amount]
    return {
        "status": "succeeded",
        "amount": row["TotalAmt"],
        "refunded": _ZERO,
        "reference": row.get("PaymentRefNum", ""),
        "received_on": row["TxnDate"],
        "applications": applications,
    }


def _type(line: Row) -> str:
    found: str = line["LinkedTxn"][0]["TxnType"]
    return found


def _sale(entity: str, row: Row) -> dict[str, Any]:
    lines, whole_discount, tax = _shown(row)
    places = exponent(row["CurrencyRef"]["value"])
    nets = [line["amount"] - line["discount"] for line in lines]
    for line, part in zip(lines, _divided(whole_discount, nets, places), strict=True):
        line["discount"] += part
    weights = [_ZERO if line.pop("code") == "NON" else line["amount"] - line["discount"] for line in lines]
    if not any(weight > 0 for weight in weights):
        weights = [line["amount"] - line["discount"] for line in lines]
    for line, part in zip(lines, _divided(tax, weights, places), strict=True):
        line["tax"] = part
    told = {
        "number": row.get("DocNumber", ""),
        "issued_on": row["TxnDate"],
        "lines": lines,
        "subtotal": sum((line["amount"] for line in lines), _ZERO),
        "discount": sum((line["discount"] for line in lines), _ZERO),
        "tax": tax,
        "total": row["TotalAmt"],
    }
    if entity == "CreditMemo":
        memo = {"reason": row.get("CustomerMemo", {}).get("value", ""), "refunded": _ZERO}
        return {**told, **memo, "status": "issued", "applied": row["TotalAmt"] - row["RemainingCredit"]}
    if entity == "RefundReceipt":
        return {**told, "status": "issued", "refunded": row["TotalAmt"]}
    due = row["Balance"]
    told |= {"status": "open" if due else "paid", "due_on": row["DueDate"], "paid": row["TotalAmt"] - due, "due": due}
    return {**told, "credited": _ZERO, "memo": row.get("CustomerMemo", {}).get("value", "")}


def _is_ours(words: str, kind: str) -> bool:
    return re.fullmatch(rf"{kind} \(accord:[0-9a-f]{{8}}\)", words) is not None


def _shown(row: Row) -> tuple[list[dict[str, Any]], Decimal, Decimal]:
    lines: list[dict[str, Any]] = []
    discount, tax = _ZERO, row["TxnTaxDetail"]["TotalTax"]
    for one in row["Line"]:
        words = one.get("Description", "") if _mark(row) else ""
        if one["DetailType"] == "DiscountLineDetail":
            discount += one["Amount"]
        elif _is_ours(words, "Rounding of tax"):
            tax += one["Amount"]
        elif _is_ours(words, "Discount on the line above") and lines:
            lines[-1]["discount"] -= one["Amount"]
        elif one["DetailType"] in _LINES:
            detail = one.get("SalesItemLineDetail", {})
            lines.append(
                {
                    "description": one.get("Description", ""),
                    "quantity": format(detail.get("Qty", Decimal(1)), "f"),
                    "amount": one["Amount"],
                    "discount": _ZERO,
                    "code": detail.get("TaxCodeRef", {}).get("value"),
                }
            )
    return lines, discount, tax


def _divided(total: Decimal, weights: Sequence[Decimal], places: int) -> list[Decimal]:
    """Largest remainder first, ties to the earlier one; without weights all of it is the first one's."""
    weights = [max(weight, _ZERO) for weight in weights]
    if not total or not sum(weights):
        return [total if place == 0 else _ZERO for place in range(len(weights))]
    unit = Decimal(1).scaleb(-places)
    shares = [total / unit * weight / sum(weights) for weight in weights]
    parts = [int(share) for share in shares]
    left = int(total / unit) - sum(parts)
    for place in sorted(range(len(parts)), key=lambda at: (-abs(shares[at] - parts[at]), at))[: abs(left)]:
        parts[place] += 1 if left > 0 else -1
    return [part * unit for part in parts]


def _spelled(value: Any, places: int) -> Any:  # noqa: ANN401 - JSON of any shape
    if isinstance(value, Decimal):
        unit = Decimal(1).scaleb(-places)
        return format(value.quantize(unit) if value == value.quantize(unit) else value, "f")
    if isinstance(value, dict):
        return {name: _spelled(one, places) for name, one in value.items()}
    return [_spelled(one, places) for one in value] if isinstance(value, list) else value


def _mark(row: Row) -> str | None:
    words = row.get("PrivateNote", "").split()
    return next((word.removeprefix("accord:") for word in words if word.startswith("accord:")), None)


def _link(amount: Decimal, entity: str, remote_id: str) -> dict[str, Any]:
    return {"Amount": amount, "LinkedTxn": [{"TxnId": remote_id, "TxnType": entity}]}
