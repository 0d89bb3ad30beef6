"""What QuickBooks takes in a sales form (Invoice, CreditMemo), and what it computes: lines, tax, total.

Lines, lengths, tax and totals: PROVIDERS §5 (README, "What the look-alike rests on").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

from connectors.quickbooks.sandbox.money import amount_in, rounded
from connectors.quickbooks.sandbox.rules import BUSINESS, Refused, text_in, unsupported
from connectors.quickbooks.sandbox.settings import QuickBooksSettings

_TEXTS: Final = {"DocNumber": 21, "PrivateNote": 4000, "PaymentRefNum": 21}  # PROVIDERS §5
_DATES: Final = frozenset({"TxnDate", "DueDate"})
_REFS: Final = {
    **dict.fromkeys(("CustomerRef", "CurrencyRef", "SalesTermRef", "DepositToAccountRef", "PaymentMethodRef"), 100),
    "CustomerMemo": 1000,  # PROVIDERS §5
}
_FLAGS: Final = frozenset({"AllowOnlineCreditCardPayment", "AllowOnlineACHPayment", "ApplyTaxAfterDiscount"})
_CHOICES: Final = {
    "EmailStatus": frozenset({"NotSet", "NeedToSend", "EmailSent"}),
    "PrintStatus": frozenset({"NotSet", "NeedToPrint", "PrintComplete"}),
    "GlobalTaxCalculation": frozenset({"TaxExcluded", "NotApplicable"}),
}
_SALES: Final = frozenset({"DocNumber", "CustomerMemo", "ApplyTaxAfterDiscount", *_CHOICES, "Line", "TxnTaxDetail"})
_COMMON: Final = frozenset({"PrivateNote", "TxnDate", "CustomerRef", "CurrencyRef"})
_OF: Final = {
    "Invoice": _SALES | _COMMON | {"DueDate", "SalesTermRef", "Deposit", "DepositToAccountRef", *_FLAGS},
    "CreditMemo": _SALES | _COMMON,
    "RefundReceipt": _SALES | _COMMON | {"PaymentRefNum", "PaymentMethodRef", "DepositToAccountRef"},
    "Payment": _COMMON | {"PaymentRefNum", "PaymentMethodRef", "DepositToAccountRef", "Line", "TotalAmt"},
}
_IGNORED: Final = frozenset(
    {"Id", "SyncToken", "sparse", "MetaData", "domain", "Balance", "RemainingCredit", "LinkedTxn", "UnappliedAmt"}
)
_LINES_MOST: Final = 10_000  # PROVIDERS §1, §5
_TAXED_LINES_MOST: Final = 750  # PROVIDERS §1, §5
_DESCRIPTION: Final = 4000  # PROVIDERS §5
_LINE: Final = frozenset(
    {"Id", "LineNum", "Amount", "Description", "DetailType", "SalesItemLineDetail", "DiscountLineDetail"}
)
_COMPUTED_LINE: Final = frozenset({"SubTotalLineDetail", "DescriptionLineDetail"})
_DETAIL: Final = frozenset({"ItemRef", "Qty", "UnitPrice", "TaxCodeRef", "ServiceDate"})
_VAT: Final = "Make sure all your transactions have a VAT rate before you save."

ItemCheck = Callable[[str], None]
"""Refuses an item that is not there, or inactive."""


def accepted(entity: str, body: Mapping[str, Any], told: QuickBooksSettings) -> dict[str, Any]:
    """Attributes of a transaction as they would be stored, lines still as they were sent."""
    found: dict[str, Any] = {}
    for name, value in body.items():
        if value is None or name in _IGNORED or (name == "TotalAmt" and entity != "Payment"):
            continue
        if name not in _OF[entity]:
            raise unsupported(name)  # PROVIDERS §5: no such attribute
        found[name] = _accepted(name, value, told)
    return found


def _accepted(name: str, value: Any, told: QuickBooksSettings) -> Any:  # noqa: ANN401
    is_us = told.country == "US"
    if name in _TEXTS:
        return text_in(name, value, _TEXTS[name], is_us=is_us, is_strict=False)
    if name in _DATES:
        return day_in(name, value)
    if name in _REFS:
        if not isinstance(value, dict) or not value.keys() <= {"value", "name"}:
            raise unsupported(name)  # PROVIDERS §5: a reference
        return {part: text_in(name, text, _REFS[name], is_us=is_us, is_strict=False) for part, text in value.items()}
    if name in _FLAGS and not isinstance(value, bool):
        raise unsupported(name)  # PROVIDERS §5
    if name in _CHOICES and value not in _CHOICES[name]:
        raise unsupported(name)  # PROVIDERS §5: one of these
    return value


def day_in(name: str, value: object) -> str:
    """A date, which must be one."""
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise Refused("2030", "Invalid Date", f"{name}: {value}", element=name) from None  # PROVIDERS §5


def computed(attributes: Mapping[str, Any], told: QuickBooksSettings, check_item: ItemCheck) -> dict[str, Any]:
    """Lines as stored, TxnTaxDetail and TotalAmt. Tax is computed line by line and each rounded for itself."""
    lines = attributes.get("Line")
    if not isinstance(lines, list) or not lines:  # PROVIDERS §5: one line at least
        raise Refused("2020", "Required param missing, need to supply the required value for the API", "Line")
    has_codes = told.country == "US" or attributes.get("GlobalTaxCalculation") != "NotApplicable"
    sold = [one for one in lines if one.get("DetailType") != "SubTotalLineDetail"]
    stored = [_stored(place, one, told, check_item) for place, one in enumerate(sold, start=1)]
    tax, is_taxed = _tax(stored, attributes, told, has_codes=has_codes)
    if len(stored) > (_TAXED_LINES_MOST if is_taxed else _LINES_MOST):  # PROVIDERS §5: 10,000, or 750 with tax
        raise Refused("6000", BUSINESS, f"Line: too many lines ({len(stored)})", element="Line")
    subtotal = sum((one["Amount"] for one in stored if one["DetailType"] != "DiscountLineDetail"), Decimal(0))
    discount = sum((one["Amount"] for one in stored if one["DetailType"] == "DiscountLineDetail"), Decimal(0))
    total = subtotal - discount + tax
    if total < 0:  # stricter reading
        raise Refused("6000", BUSINESS, "Transaction amount must be 0 or greater.", element="Line")
    stored.append({"Amount": subtotal, "DetailType": "SubTotalLineDetail", "SubTotalLineDetail": {}})
    return {"Line": stored, "TxnTaxDetail": {"TotalTax": tax}, "TotalAmt": total}


def _stored(place: int, line: object, told: QuickBooksSettings, check_item: ItemCheck) -> dict[str, Any]:
    if not isinstance(line, dict) or not line.keys() <= _LINE | _COMPUTED_LINE:
        raise unsupported("Line")  # PROVIDERS §5
    amount = amount_in(line, "Amount")
    kind = line.get("DetailType")
    described = text_in(
        "Description", line.get("Description", ""), _DESCRIPTION, is_us=told.country == "US", is_strict=False
    )
    found: dict[str, Any] = {"Id": str(place), "LineNum": place, "DetailType": kind}
    found |= {"Description": described} if described else {}
    if kind == "DescriptionOnly":
        return {**found, "Amount": rounded(amount or Decimal(0)), "DescriptionLineDetail": {}}
    if amount is None:  # PROVIDERS §5
        raise Refused("2020", "Required param missing, need to supply the required value for the API", "Line.Amount")
    if kind == "DiscountLineDetail":
        return {**found, "Amount": rounded(amount), "DiscountLineDetail": {"PercentBased": False}}
    if kind != "SalesItemLineDetail":
        raise unsupported("DetailType")  # PROVIDERS §5: one of these
    detail = _detail(line.get("SalesItemLineDetail"), amount, told, check_item)
    return {**found, "Amount": rounded(amount), "SalesItemLineDetail": detail}


def _detail(detail: object, amount: Decimal, told: QuickBooksSettings, check_item: ItemCheck) -> dict[str, Any]:
    if not isinstance(detail, dict) or not detail.keys() <= _DETAIL:
        raise unsupported("SalesItemLineDetail")  # PROVIDERS §5
    item = _ref(detail, "ItemRef")
    if not item:  # PROVIDERS §5
        raise Refused("2020", "Required param missing, need to supply the required value for the API", "ItemRef")
    check_item(item)
    quantity, price = amount_in(detail, "Qty", places=7), amount_in(detail, "UnitPrice", places=7)
    if price is not None and price * (Decimal(1) if quantity is None else quantity) != amount:
        raise Refused(  # PROVIDERS §5: no line contradicts itself
            "6070",
            "Amount calculation incorrect in the request",
            f"Amount calculation incorrect in the request. Amount is not equal to UnitPrice * Qty. Supplied "
            f"value:{amount}",
        )
    found: dict[str, Any] = {"ItemRef": {"value": item}}
    found |= {"Qty": quantity} if quantity is not None else {}
    found |= {"UnitPrice": price} if price is not None else {}
    if "ServiceDate" in detail:
        found["ServiceDate"] = day_in("ServiceDate", detail["ServiceDate"])
    code = _ref(detail, "TaxCodeRef") or ("NON" if told.country == "US" else "")
    return {**found, "TaxCodeRef": {"value": code}} if code else found


def _tax(
    lines: list[dict[str, Any]], attributes: Mapping[str, Any], told: QuickBooksSettings, *, has_codes: bool
) -> tuple[Decimal, bool]:
    rates = dict(_rates(told))
    tax, is_taxed = Decimal(0), False
    for line in lines:
        if line["DetailType"] != "SalesItemLineDetail":
            continue
        code = line["SalesItemLineDetail"].get("TaxCodeRef", {}).get("value")
        if not has_codes and code is None:
            continue
        if code is None:  # PROVIDERS §5: outside of the US every line has a code
            raise Refused("6000", BUSINESS, f"{BUSINESS}: {_VAT}", element="TaxCodeRef")
        if code not in rates:  # PROVIDERS §5: TAX and NON in the US
            raise Refused("2500", "Invalid Reference Id", f"Invalid Reference Id : TaxCode element id {code} not found")
        is_taxed = is_taxed or code != "NON"
        tax += rounded(line["Amount"] * rates[code] / 100)
    takes = told.takes_told_tax if told.takes_told_tax is not None else told.country == "US"
    detail = attributes.get("TxnTaxDetail", {})
    said = amount_in(detail, "TotalTax") if isinstance(detail, dict) else None
    # without a taxable line there is nothing that a told tax could be prorated over
    return (rounded(said) if takes and is_taxed and said is not None else tax), is_taxed


def _rates(told: QuickBooksSettings) -> Iterator[tuple[str, Decimal]]:
    for code, percents in told.tax_rates:
        if (told.country == "US") == (code in {"TAX", "NON"}):
            yield code, Decimal(percents)


def _ref(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, dict) or not isinstance(value.get("value"), str):
        raise unsupported(name)  # PROVIDERS §5
    found: str = value["value"]
    return found
