"""What a person sees and types of invoices at HubSpot, in neutral words: written without translate, to check it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from connectors.hubspot.sandbox.account import PERSON, AccountState
from connectors.hubspot.sandbox.answers import Refused
from connectors.hubspot.sandbox.store import Record, Table
from core.model.money import exponent

STATUSES: Final = {"draft": "draft", "open": "open", "paid": "paid", "void": "voided"}
_HEAD: Final = {
    "currency": "hs_currency",
    "number": "hs_title",
    "memo": "hs_comments",
    "issued_on": "hs_invoice_date",
    "due_on": "hs_due_date",
}
_LINE: Final = {"product": "hs_sku", "quantity": "quantity", "discount": "discount"}


class Desk:
    """The pages of invoices and their line items in HubSpot's own interface."""

    def __init__(self, state: AccountState) -> None:
        """Everything goes through the account, so that nothing lacks its event."""
        self._state = state

    def objects(self, kind: str) -> dict[str, dict[str, Any]]:
        """Every live one by remote id, as HubSpot has it."""
        table = self._state.tables[kind]
        found = {}
        for record in table.all_live():
            names = (*record.properties, *(name for name in table.definitions if name not in record.properties))
            shown = {name: value for name in names if (value := table.value(record, name)) is not None}
            found[f"{kind}:{record.id}"] = {"id": record.id, "properties": shown} | self._around(kind, record)
        return found

    def _around(self, kind: str, record: Record) -> dict[str, list[str]]:
        if kind != "invoice":
            return {}
        ties = {name: self._state.links.of(record.id, name) for name in ("contact", "company", "line_item")}
        return {name: [f"{name}:{one.id}" for one in some] for name, some in ties.items()}

    # ---- typing ----------------------------------------------------------------------------------------

    def edit(self, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        """A person's edit; None creates."""
        table = self._state.tables[kind]
        if kind == "line_item":
            return self._edit_line(table, remote_id, changes)
        try:
            return self._invoice(table, changes) if remote_id is None else self._change(table, remote_id, changes)
        except Refused as refused:
            raise ValueError(str(refused)) from refused

    def _invoice(self, table: Table, changes: Mapping[str, Any]) -> str:
        """An invoice that HubSpot bills."""
        if "currency" not in changes:
            raise ValueError("an invoice needs a currency")
        head = _head({field: value for field, value in changes.items() if field != "status"})
        record = self._state.create(table, self._typed(table, head), PERSON)
        if changes.get("customer"):
            self._tie(record.id, changes["customer"])
        for line in changes.get("lines", ()):
            self._edit_line(self._state.tables["line_item"], None, {**line, "invoice": f"invoice:{record.id}"})
        if changes.get("status", "draft") != "draft":
            self._change(table, f"invoice:{record.id}", {"status": changes["status"]})
        return f"invoice:{record.id}"

    def _change(self, table: Table, remote_id: str, changes: Mapping[str, Any]) -> str:
        record = self.there("invoice", remote_id)
        if changes.get("customer"):
            self._tie(record.id, changes["customer"])
        if "contacts" in changes:
            self._tie_contacts(record.id, changes["contacts"])
        typed = self._typed(table, _head(changes))
        self._state.invoices.check(table, record, typed)
        if typed:
            self._state.update(table, record, typed, PERSON)
        return remote_id

    def _tie(self, invoice: str, customer: str) -> None:
        """A person chooses another customer: those of before are not on it any more."""
        object_type, _, hubspot_id = customer.partition(":")
        self._state.links.check(invoice, object_type, hubspot_id)
        for one in self._state.links.of(invoice, object_type):
            self._state.link(invoice, object_type, one.id, PERSON, is_tied=False)
        self._state.link(invoice, object_type, hubspot_id, PERSON, is_tied=True)

    def _tie_contacts(self, invoice: str, contacts: Sequence[str]) -> None:
        """A person says whose it is besides its company: these contacts, and no others."""
        wanted = [one.partition(":")[2] for one in contacts]
        there = [one.id for one in self._state.links.of(invoice, "contact")]
        for one in wanted:
            self._state.links.check(invoice, "contact", one)
        for one in (*there, *wanted):
            self._state.link(invoice, "contact", one, PERSON, is_tied=one in wanted)

    def _edit_line(self, table: Table, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        typed = self._typed(table, _line(changes))
        if remote_id is not None:
            self._state.update(table, self.there("line_item", remote_id), typed, PERSON)
            return remote_id
        invoice = self.there("invoice", changes["invoice"])
        typed |= {"hs_line_item_currency_code": invoice.properties["hs_currency"]}
        record = self._state.create(table, typed, PERSON)
        self._state.link(invoice.id, "line_item", record.id, PERSON, is_tied=True)
        return f"line_item:{record.id}"

    def _typed(self, table: Table, given: Mapping[str, str]) -> dict[str, str]:
        table.define_by_hand(list(given))
        try:
            return {name: table.normal(name, text) for name, text in given.items()}
        except Refused as refused:
            raise ValueError(str(refused)) from refused

    def there(self, kind: str, remote_id: str) -> Record:
        """A live object; KeyError."""
        head, _, hubspot_id = remote_id.partition(":")
        record = self._state.tables[kind].live(hubspot_id) if head == kind else None
        if record is None:
            raise KeyError(f"{remote_id} is not there")
        return record

    # ---- seeing ----------------------------------------------------------------------------------------

    def neutral(self) -> dict[str, dict[str, Any]]:
        """Every live invoice in neutral words."""
        table = self._state.tables["invoice"]
        return {f"invoice:{record.id}": self._seen(table, record) for record in table.all_live()}

    def _seen(self, table: Table, record: Record) -> dict[str, Any]:
        def text(name: str) -> str:
            return record.properties.get(name, "")

        places = exponent(text("hs_currency"))
        lines = sorted(self._state.links.of(record.id, "line_item"), key=_place)
        billed = Decimal(table.value(record, "hs_amount_billed") or 0)

        def money(name: str, native: Decimal = Decimal(0)) -> str:
            return f"{Decimal(text(name)) if text(name) else native:.{places}f}"

        native_status = {native: neutral for neutral, native in STATUSES.items()}[text("hs_invoice_status")]
        is_uncollectible = (native_status, text("accord_status")) == ("open", "uncollectible")
        # a company's invoice is also its billing contact's
        tied = [f"{kind}:{one.id}" for kind in ("company", "contact") for one in self._state.links.of(record.id, kind)]
        return {
            "customer": tied[0] if tied else None,
            "number": text("hs_title"),
            "currency": text("hs_currency"),
            "status": "uncollectible" if is_uncollectible else native_status,
            "issued_on": (text("accord_issued_on") or text("hs_invoice_date")[:10]) or None,
            "due_on": (text("accord_due_on") or text("hs_due_date")[:10]) or None,
            "lines": [_seen_line(one, places) for one in lines],
            "subtotal": money("accord_subtotal", billed),
            "discount": money("accord_discount"),
            "tax": money("accord_tax"),
            "total": money("accord_total", billed),
            "paid": money("accord_paid"),
            "credited": money("accord_credited"),
            "due": money("accord_balance", billed),
            "memo": text("hs_comments"),
            "mark": text("accord_ref") or None,
            "is_payable": text("hs_invoice_billable") != "false",
        }


def _place(line: Record) -> tuple[Decimal, int]:
    return Decimal(line.properties.get("accord_position") or "Infinity"), int(line.id)


def _seen_line(line: Record, places: int) -> dict[str, str]:
    def number(name: str) -> Decimal:
        return Decimal(line.properties.get(name) or 0)

    quantity = number("quantity") if line.properties.get("quantity") else Decimal(1)
    amount, discount = number("price") * quantity, number("discount") * quantity
    ours = number("accord_amount"), number("accord_discount")
    if ours[0] < 0 or not 0 <= ours[1] <= ours[0]:
        # no price can say such a line: the columns of the integration do, while the price is still what it set
        amount, discount = ours if amount - discount == max(ours[0] - ours[1], Decimal(0)) else (amount, discount)
    return {
        "description": line.properties.get("description") or line.properties.get("name", ""),
        "quantity": line.properties.get("accord_quantity") or f"{quantity:f}",
        "amount": f"{amount:.{places}f}",
        "discount": f"{discount:.{places}f}",
        "tax": f"{number('accord_tax'):.{places}f}",
    }


def _head(changes: Mapping[str, Any]) -> dict[str, str]:
    unknown = changes.keys() - _HEAD.keys() - {"customer", "contacts", "lines", "status", "extra"}
    if unknown:
        raise ValueError(f"HubSpot's invoices have no place for {', '.join(sorted(unknown))}")
    found = {_HEAD[field]: value or "" for field, value in changes.items() if field in _HEAD}
    if "status" in changes:
        if changes["status"] not in STATUSES:
            raise ValueError(f"an invoice at HubSpot is never {changes['status']}")
        found["hs_invoice_status"] = STATUSES[changes["status"]]
    return found | dict(changes.get("extra", {}))


def _line(changes: Mapping[str, Any]) -> dict[str, str]:
    """A line as typed: of tax HubSpot's pages take rates only, which are not here."""
    if Decimal(changes.get("tax") or 0):
        raise ValueError("HubSpot has rates of tax, no amounts")
    found = {_LINE[field]: str(value) for field, value in changes.items() if field in _LINE}
    if "description" in changes:
        found |= {"name": changes["description"], "description": changes["description"]}
    price = changes.get("unit_amount", changes.get("amount"))
    return found | ({"price": str(price)} if price is not None else {}) | dict(changes.get("extra", {}))
