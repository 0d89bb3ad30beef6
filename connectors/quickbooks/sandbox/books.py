"""Transactions and items of one company: what QuickBooks keeps, links and enforces beyond single forms.

Links, balances, credits: PROVIDERS §5. SyncToken, numbers in use, closing date: §2 (README, its last table).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import msgspec

from connectors.quickbooks.sandbox import forms
from connectors.quickbooks.sandbox.about import shown
from connectors.quickbooks.sandbox.items import Items
from connectors.quickbooks.sandbox.money import amount_in, encodable, rounded
from connectors.quickbooks.sandbox.rules import BUSINESS, Refused
from connectors.quickbooks.sandbox.settings import QuickBooksSettings
from connectors.quickbooks.sandbox.store import NOT_FOUND, Customers, stamp

SALES: Final = ("Invoice", "CreditMemo")
FORMS: Final = (*SALES, "RefundReceipt")
"""What has lines. A refund receipt is settled by nothing: the money went back with it."""
TRANSACTIONS: Final = ("Invoice", "Payment", "CreditMemo", "RefundReceipt")
VOIDED: Final = "Voided"
_CLOSED: Final = "The account period has closed and the account books cannot be updated through the QBO Services API."
_STALE: Final = "Stale Object Error : You and someone else were working on this at the same time."
_MISSING: Final = "Required param missing, need to supply the required value for the API"
_ZERO: Final = Decimal(0)

Row = dict[str, Any]
Touched = Callable[[str, str], None]
"""Told of every other transaction that a change changes: entity and id."""


class Books:
    """Ids are of one sequence for all transactions, which knows nothing of customers' ids."""

    def __init__(self, settings: Callable[[], QuickBooksSettings], customers: Customers) -> None:
        """Start without transactions."""
        self.rows: dict[str, dict[str, Row]] = {entity: {} for entity in TRANSACTIONS}
        self.deleted: dict[str, dict[str, float]] = {entity: {} for entity in TRANSACTIONS}
        self.items = Items(settings)
        self.touched: Touched = lambda _entity, _id: None
        self._settings = settings
        self._customers = customers
        self._seconds: dict[tuple[str, str], int] = {}
        self._payments: dict[tuple[str, str], dict[str, None]] = {}
        self._of: dict[str, dict[tuple[str, str], None]] = {}
        self._last_id = 0
        self._last_number = 1000
        customers.owes = self.balance_of

    # ---- reading -------------------------------------------------------------------------------

    def row(self, entity: str, remote_id: str) -> Row:
        """One transaction; a deleted one is not found."""
        if remote_id not in self.rows[entity]:
            raise Refused("610", "Object Not Found", NOT_FOUND)  # PROVIDERS §2: gone, or inactive
        return self.rows[entity][remote_id]

    def encoded(self, entity: str, remote_id: str) -> bytes:
        """Its JSON."""
        return msgspec.json.encode(encodable(shown(self.rows[entity][remote_id], self._settings())))

    def balance_of(self, customer: str) -> Decimal:
        """What a customer owes: open invoices, less what was paid or credited and settles nothing (PROVIDERS §5)."""
        mine = [(entity, self.rows[entity][one]) for entity, one in self._of.get(customer, ())]
        owed = sum((row["Balance"] for entity, row in mine if entity == "Invoice"), _ZERO)
        owed -= sum((row["UnappliedAmt"] for entity, row in mine if entity == "Payment"), _ZERO)
        return owed - sum((row["RemainingCredit"] for entity, row in mine if entity == "CreditMemo"), _ZERO)

    def currency_of(self, customer: str) -> str:
        """All of a customer's transactions have the one currency."""
        found: str = self._customers.rows[customer]["CurrencyRef"]["value"]
        return found

    def by_time(self, entity: str, since: float = 0.0) -> Iterator[str]:
        """Ids of what changed at or after a time, oldest first."""
        found = [(second, int(one)) for (of, one), second in self._seconds.items() if of == entity and second >= since]
        return (str(number) for _, number in sorted(found))

    def gone_since(self, entity: str, since: float) -> Iterator[Row]:
        """What the change feed tells of deleted transactions (PROVIDERS §3)."""
        for remote_id, at in self.deleted[entity].items():
            if at >= since:
                time = {"LastUpdatedTime": stamp(at, self._settings().time_zone)}
                yield {"domain": "QBO", "status": "Deleted", "Id": remote_id, "MetaData": time}

    # ---- writing -------------------------------------------------------------------------------

    def create(
        self, entity: str, body: Mapping[str, Any], now: float, *, allows_twin: bool = False, by_person: bool = False
    ) -> str:
        """Create; every rule applies, to people too, who may override tax in every edition."""
        told = self._settings()
        told = replace(told, takes_told_tax=True) if by_person else told
        row = forms.accepted(entity, body, told)
        time = stamp(now, told.time_zone)
        row.setdefault("TxnDate", time[:10])
        self._check_open(row)
        row["CurrencyRef"] = {"value": self._currency(row)}
        if entity in FORMS:
            self._number(row, allows_twin=allows_twin)
            row |= forms.computed(row, told, self.items.check)
            row.setdefault("EmailStatus", "NotSet")
        if entity == "Invoice":
            row = {**self._invoice_defaults(), "DueDate": row["TxnDate"], **row}
            row |= self._deposit(row, settled=_ZERO)
        self._last_id += 1
        remote_id = str(self._last_id)
        if entity == "Payment":
            row |= self._payment(row, None)
        if entity in {"Payment", "RefundReceipt"}:
            row.setdefault("DepositToAccountRef", {"value": "4"})
            self._account(row)
        self.rows[entity][remote_id] = {
            **row,
            "domain": "QBO",
            "sparse": False,
            "Id": remote_id,
            "SyncToken": "0",
            "MetaData": {"CreateTime": time, "LastUpdatedTime": time},
        }
        self._of.setdefault(row["CustomerRef"]["value"], {})[entity, remote_id] = None
        self._seconds[entity, remote_id] = int(now)
        self._settle(entity, remote_id, {}, now)
        if entity == "CreditMemo" and told.applies_credits:
            self._apply(remote_id, now)
        return remote_id

    def update(self, entity: str, body: Mapping[str, Any], now: float, *, by_person: bool = False) -> str:
        """Sparse or full, behind the SyncToken lock; lists are replaced whole (PROVIDERS §2)."""
        row = self._locked(entity, body)
        told = self._settings()
        told = replace(told, takes_told_tax=True) if by_person else told
        changes = forms.accepted(entity, body, told)
        kept = row if body.get("sparse") else {name: row[name] for name in ("CustomerRef", "CurrencyRef", "TxnDate")}
        after = {**kept, **changes}
        self._check_open(row)
        self._check_open(after)
        # PROVIDERS §5: a currency is for ever
        if self._currency(after) != row["CurrencyRef"]["value"] or after["CustomerRef"] != row["CustomerRef"]:
            raise Refused("6000", BUSINESS, "CustomerRef and CurrencyRef cannot be changed", element="CustomerRef")
        if entity in FORMS:
            if after.get("DocNumber") != row.get("DocNumber"):
                self._number(after, allows_twin=False)
            after |= forms.computed(after, told, self.items.check)
            settled = row["TotalAmt"] - row.get("Deposit", _ZERO) - _open(row) if entity in SALES else _ZERO
            if after["TotalAmt"] < settled:
                raise Refused("6000", BUSINESS, "Line: less than what is paid", element="Line")  # stricter reading
            after |= self._deposit(after, settled=settled)
        else:
            self._account(after)
            after |= self._payment(after, row)
        self._changed(entity, row, after, now)
        return str(row["Id"])

    def void(self, entity: str, body: Mapping[str, Any], now: float) -> str:
        """Amounts become zero, the transaction stays (PROVIDERS §5); an invoice with payments is refused."""
        row = self._locked(entity, body)
        self._check_open(row)
        if entity in SALES and any(self._linking(entity, row["Id"])):  # stricter reading
            raise Refused("6000", BUSINESS, "The transaction has payments or credits applied to it")
        note = f"{VOIDED} - {row['PrivateNote']}" if row.get("PrivateNote") else VOIDED
        after: Row = {"PrivateNote": note if self._settings().keeps_voided_note else VOIDED, "TotalAmt": _ZERO}
        if entity == "Payment":
            after |= {"Line": [], "UnappliedAmt": _ZERO}
        else:
            after |= {"Line": [_emptied(line) for line in row["Line"]], "TxnTaxDetail": {"TotalTax": _ZERO}}
            after |= {"Deposit": _ZERO} if "Deposit" in row else {}
        self._changed(entity, row, after, now)
        return str(row["Id"])

    def delete(self, entity: str, body: Mapping[str, Any], now: float) -> str:
        """Gone for good; what it settled is open again, and payments of it are unapplied."""
        row = self._locked(entity, body)
        self._check_open(row)
        self.unlink(entity, row["Id"], now)
        before = self._settles(row) if entity == "Payment" else {}
        del self.rows[entity][row["Id"]]
        del self._of[row["CustomerRef"]["value"]][entity, row["Id"]]
        del self._seconds[entity, row["Id"]]
        self.deleted[entity][row["Id"]] = now
        for link in before:
            self._payments[link].pop(row["Id"], None)
        self._refresh(before, now)
        return str(row["Id"])

    def unlink(self, entity: str, remote_id: str, now: float) -> None:
        """Take a transaction out of every payment that settles it, as the UI does before it voids or deletes."""
        for payment in list(self._linking(entity, remote_id)):
            kept = [line for line in payment["Line"] if (entity, remote_id) not in _links(line)]
            if any(link[0] == "CreditMemo" for line in payment["Line"] for link in _links(line)):
                kept = []  # what a credit settles hangs together
            after = {**payment, "Line": kept}
            self._changed("Payment", payment, {"Line": kept, **self._payment(after, payment)}, now)
            self.touched("Payment", payment["Id"])

    # ---- rules ---------------------------------------------------------------------------------

    def _locked(self, entity: str, body: Mapping[str, Any]) -> Row:
        row = self.row(entity, str(body.get("Id", "")))
        if "SyncToken" not in body:
            raise Refused("2020", _MISSING, "SyncToken")  # PROVIDERS §2: the lock
        if body["SyncToken"] != row["SyncToken"]:
            raise Refused("5010", "Stale Object Error", _STALE)  # PROVIDERS §2: the lock
        return row

    def _check_open(self, row: Mapping[str, Any]) -> None:
        told = self._settings()
        through = None if told.closing_only_warns else told.books_closed_through
        if through is not None and row["TxnDate"] <= through:  # PROVIDERS §2: a closed period
            raise Refused("6210", "Account Period Closed, Cannot Update Through Services API", _CLOSED)

    def _currency(self, row: Mapping[str, Any]) -> str:
        customer_id = row.get("CustomerRef", {}).get("value", "")
        if not customer_id:
            raise Refused("2020", _MISSING, "CustomerRef")  # PROVIDERS §5: one is asked for
        customer = self._customers.rows.get(customer_id)
        if customer is None:  # PROVIDERS §5
            raise Refused("2500", "Invalid Reference Id", f"CustomerRef: Names element id {customer_id} not found")
        if not customer["Active"]:
            raise Refused("610", "Object Not Found", NOT_FOUND)  # PROVIDERS §2: inactive
        told = self._settings()
        currency: str = row.get("CurrencyRef", {}).get("value") or told.home_currency
        theirs = customer["CurrencyRef"]["value"]
        if currency != theirs:  # PROVIDERS §5: the customer's own
            raise Refused("6000", BUSINESS, f"CurrencyRef: the customer's currency is {theirs}", element="CurrencyRef")
        return currency

    def _number(self, row: Row, *, allows_twin: bool) -> None:
        number = row.get("DocNumber")
        if not number:
            row.pop("DocNumber", None)
            if not self._settings().has_custom_numbers:
                self._last_number += 1
                row["DocNumber"] = str(self._last_number)
            return
        for entity in FORMS:
            for other in self.rows[entity].values():
                if other.get("DocNumber") == number and not allows_twin:
                    raise Refused(  # PROVIDERS §2: named with its holder
                        "6140",
                        "Duplicate Document Number Error",
                        "Duplicate Document Number Error : You must specify a different number. This number has "
                        f"already been used. DocNumber={number} is assigned to TxnType={entity} with "
                        f"TxnId={other['Id']}",
                    )

    def _invoice_defaults(self) -> Row:
        takes = self._settings().takes_online_payments
        return {"AllowOnlineCreditCardPayment": takes, "AllowOnlineACHPayment": takes}

    def _account(self, row: Row) -> None:
        """PROVIDERS §5: a bank, or another current asset; the code of any other kind is not documented."""
        account, told = row.get("DepositToAccountRef", {}).get("value", "4"), self._settings()
        if account not in told.accounts:
            raise Refused("2500", "Invalid Reference Id", f"DepositToAccountRef: element id {account} not found")
        if account in told.income_accounts:
            raise Refused("6000", BUSINESS, "DepositToAccountRef: no bank", element="DepositToAccountRef")

    def _deposit(self, row: Row, *, settled: Decimal) -> Row:
        """What was paid at the sale itself: part of the invoice, less is due by it, and no payment tells of it."""
        deposit = amount_in(row, "Deposit")
        if deposit is None:
            return {}
        self._account(row)
        if not _ZERO <= deposit <= row["TotalAmt"] - settled:  # stricter reading
            raise Refused("6000", BUSINESS, "Deposit: more than is due, or less than 0", element="Deposit")
        return {"Deposit": rounded(deposit)}

    def _payment(self, row: Row, before: Row | None) -> Row:
        """Judge a payment's lines against what is open, its own earlier ones given back."""
        total = amount_in(row, "TotalAmt")
        if total is None:
            raise Refused("2020", _MISSING, "TotalAmt")  # PROVIDERS §5
        lines = [_payment_line(line) for line in row.get("Line", [])]
        settles = self._settles({"Line": lines})
        given_back = self._settles(before) if before else {}
        for (entity, remote_id), amount in settles.items():
            other = self.rows[entity].get(remote_id)
            if other is None:  # PROVIDERS §5
                raise Refused("2500", "Invalid Reference Id", f"LinkedTxn: {entity} element id {remote_id} not found")
            # PROVIDERS §5: its own, or below it
            if row["CustomerRef"]["value"] not in self._customers.payers_of(other["CustomerRef"]["value"]):
                raise Refused("6000", BUSINESS, "LinkedTxn: a transaction of another customer", element="LinkedTxn")
            if amount > _open(other) + given_back.get((entity, remote_id), _ZERO):  # PROVIDERS §5
                raise Refused("6000", BUSINESS, "LinkedTxn: more than its open balance", element="LinkedTxn")
        owed = sum((amount for (entity, _), amount in settles.items() if entity == "Invoice"), _ZERO)
        credit = sum((amount for (entity, _), amount in settles.items() if entity == "CreditMemo"), _ZERO)
        if total < 0 or credit > owed or owed - credit > total:  # PROVIDERS §5: the rest is unapplied
            raise Refused("6000", BUSINESS, "Line: the lines are more than the payment", element="Line")
        return {"Line": lines, "TotalAmt": total, "UnappliedAmt": total - owed + credit}

    def follow(self, survivor: str, absorbed: str) -> None:
        """PROVIDERS §3: what the absorbed one had is the survivor's. Whether that changes it is not told: no."""
        for entity, remote_id in self._of.pop(absorbed, {}):
            self.rows[entity][remote_id]["CustomerRef"] = {"value": survivor}
            self._of.setdefault(survivor, {})[entity, remote_id] = None

    # ---- consequences --------------------------------------------------------------------------

    def _apply(self, credit_id: str, now: float) -> None:
        memo = self.rows["CreditMemo"][credit_id]
        mine = [
            one
            for one in self.rows["Invoice"].values()
            if one["CustomerRef"]["value"] == memo["CustomerRef"]["value"] and one["Balance"] > 0
        ]
        for invoice in mine[:1]:
            amount = min(invoice["Balance"], memo["RemainingCredit"])
            links = (("Invoice", invoice["Id"]), ("CreditMemo", credit_id))
            lines = [{"Amount": amount, "LinkedTxn": [{"TxnId": one, "TxnType": of}]} for of, one in links]
            body = {"CustomerRef": memo["CustomerRef"], "CurrencyRef": memo["CurrencyRef"], "TotalAmt": _ZERO}
            self.touched("Payment", self.create("Payment", {**body, "Line": lines}, now))

    def _changed(self, entity: str, row: Row, after: Row, now: float) -> None:
        before = self._settles(row) if entity == "Payment" else {}
        row.update(after)
        self._bump(entity, row, now)
        self._settle(entity, row["Id"], before, now)

    def _settle(self, entity: str, remote_id: str, before: Mapping[tuple[str, str], Decimal], now: float) -> None:
        row = self.rows[entity][remote_id]
        if entity == "Payment":
            links = self._settles(row)
            for link in before:
                self._payments[link].pop(remote_id, None)
            for link in links:
                self._payments.setdefault(link, {})[remote_id] = None
            self._refresh({**before, **links}, now)
        elif entity in SALES:
            self._balance(entity, row)

    def _refresh(self, links: Mapping[tuple[str, str], Decimal], now: float) -> None:
        for entity, remote_id in links:
            other = self.rows[entity].get(remote_id)
            if other is not None:
                self._balance(entity, other)
                if self._settings().tells_settled:
                    self._bump(entity, other, now)
                    self.touched(entity, remote_id)

    def _balance(self, entity: str, row: Row) -> None:
        payments = list(self._linking(entity, row["Id"]))
        settled = sum((self._settles(one)[entity, row["Id"]] for one in payments), _ZERO)
        left = row["TotalAmt"] - row.get("Deposit", _ZERO) - settled
        row["Balance" if entity == "Invoice" else "RemainingCredit"] = left
        if entity == "CreditMemo":
            row["Balance"] = row["RemainingCredit"]
        else:
            row["LinkedTxn"] = [{"TxnId": one["Id"], "TxnType": "Payment"} for one in payments]

    def _bump(self, entity: str, row: Row, now: float) -> None:
        row["SyncToken"] = str(int(row["SyncToken"]) + 1)
        row["MetaData"] = {**row["MetaData"], "LastUpdatedTime": stamp(now, self._settings().time_zone)}
        self._seconds[entity, row["Id"]] = int(now)

    def _linking(self, entity: str, remote_id: str) -> Iterator[Row]:
        return (self.rows["Payment"][one] for one in self._payments.get((entity, remote_id), {}))

    @staticmethod
    def _settles(payment: Row) -> dict[tuple[str, str], Decimal]:
        found: dict[tuple[str, str], Decimal] = {}
        for line in payment.get("Line", []):
            for link in _links(line):
                found[link] = found.get(link, _ZERO) + line["Amount"]
        return found


def _links(line: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(one["TxnType"], one["TxnId"]) for one in line["LinkedTxn"]]


def _payment_line(line: object) -> Row:
    if not isinstance(line, dict):
        raise Refused("2010", "Request has invalid or unsupported property", "Line")  # PROVIDERS §5
    amount, linked = amount_in(line, "Amount"), line.get("LinkedTxn")
    if amount is None or amount <= 0:
        raise Refused("2020", _MISSING, "Line.Amount")  # PROVIDERS §5
    if not isinstance(linked, list) or len(linked) != 1 or linked[0].get("TxnType") not in SALES:
        raise Refused("2020", _MISSING, "Line.LinkedTxn")  # PROVIDERS §5: invoices and credit memos
    return {"Amount": amount, "LinkedTxn": [{"TxnId": linked[0].get("TxnId"), "TxnType": linked[0]["TxnType"]}]}


def _open(row: Mapping[str, Any]) -> Decimal:
    found: Decimal = row["Balance"]
    return found


def _emptied(line: Row) -> Row:
    detail = line.get("SalesItemLineDetail")
    emptied = {"SalesItemLineDetail": {**detail, "Qty": _ZERO}} if detail else {}
    return {**line, **emptied, "Amount": _ZERO}
