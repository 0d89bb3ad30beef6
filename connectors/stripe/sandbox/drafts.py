"""What a request may say of an invoice and of its lines, and what becomes of it (PROVIDERS §5)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, DecimalException
from typing import Any, Final

from connectors.stripe.sandbox.amounts import is_sayable
from connectors.stripe.sandbox.customers import Customer, metadata_in
from connectors.stripe.sandbox.forms import Form, flag_in, integer_in, known, list_in, text_in
from connectors.stripe.sandbox.ledger import Ledger, Thing
from connectors.stripe.sandbox.settings import RefusedError

_UNMODELLED: Final = frozenset(
    "account_tax_ids application_fee_amount automatic_tax automatically_finalizes_at custom_fields customer_account "
    "default_payment_method default_source default_tax_rates discounts from_invoice issuer on_behalf_of "
    "payment_settings rendering shipping_cost shipping_details statement_descriptor subscription transfer_data".split()
)
_COMMON: Final = frozenset(
    "auto_advance collection_method days_until_due description due_date effective_at expand footer metadata "
    "number".split()
)
CREATE_PARAMS: Final = _COMMON | _UNMODELLED | {"customer", "currency", "pending_invoice_items_behavior"}
UPDATE_PARAMS: Final = _COMMON | _UNMODELLED
ALWAYS_EDITABLE: Final = frozenset({"auto_advance", "description", "expand", "footer", "metadata"})
"""What may still be changed once an invoice is finalised."""
LINE_PARAMS: Final = frozenset(
    "amount description discountable discounts invoice_item metadata period price_data pricing quantity "
    "quantity_decimal tax_amounts tax_rates".split()
)
_LINE_UNMODELLED: Final = ("discounts", "invoice_item", "pricing", "tax_rates")

MOST_LINES: Final = 250  # PROVIDERS §5
_MAX_NUMBER: Final = 26  # PROVIDERS §5
_MAX_DESCRIPTION: Final = 1500  # PROVIDERS §5
_MAX_TAXES: Final = 20
_DAY: Final = 86_400
_HOUR: Final = 3600  # PROVIDERS §5


def blank_invoice(ledger: Ledger, customer: Customer, currency: str) -> Thing:
    """An invoice as it is created without any parameter."""
    nothing = dict.fromkeys(
        "automatically_finalizes_at description due_date effective_at ending_balance footer from_invoice "
        "hosted_invoice_url invoice_pdf latest_revision number shipping_cost".split()
    )
    return {
        "id": ledger.new_id("invoice"),
        "object": "invoice",
        **nothing,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "attempted": False,
        "auto_advance": False,
        "billing_reason": "manual",
        "collection_method": "charge_automatically",
        "created": ledger.now,
        "currency": currency,
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        # inherited, unless the request says otherwise
        "discounts": [customer["discount"]] if customer["discount"] else [],
        "livemode": ledger.is_live,
        "metadata": {},
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "starting_balance": 0,
        "status": "draft",
        "status_transitions": dict.fromkeys(("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")),
        **totals_of([]),
    }


def totals_of(lines: list[Thing]) -> Thing:
    """What an invoice says of its lines in sum."""
    gross = sum(line["amount"] for line in lines)
    discount = sum(part["amount"] for line in lines for part in line["discount_amounts"])
    taxes = [tax for line in lines for tax in line["taxes"]]
    on_top = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    total = gross - discount + on_top
    without = total - sum(tax["amount"] for tax in taxes)
    discounts = [part for line in lines for part in line["discount_amounts"]]
    return {
        "subtotal": gross,
        "total": total,
        "total_excluding_tax": without,
        "total_discount_amounts": discounts,
        "total_taxes": taxes,
    }


def currency_for(customer: Customer, form: Form) -> str:
    """The currency to bill a customer in; its first invoice fixed it."""
    asked = (text_in(form.get("currency", ""), "currency") or "").lower()
    fixed = customer["currency"]
    if fixed and asked and fixed != asked:
        message = (
            "You cannot combine currencies on a single customer. This customer has had a subscription, coupon, or "
            f"invoice item with currency {fixed}"
        )
        raise RefusedError(message, param="currency")  # PROVIDERS §5: the first one fixed it
    if asked and (len(asked) != 3 or not asked.isalpha()):
        raise RefusedError(f"Invalid currency: {asked}", param="currency")  # PROVIDERS §5
    return asked or fixed or "usd"


def changed_by(ledger: Ledger, invoice: Thing, form: Form) -> Thing:
    """The invoice after a request; the old one stays as it was."""
    _modelled(form)
    changed = dict(invoice)
    if form.get("discounts") == "":
        changed["discounts"] = []
    if "collection_method" in form:
        changed["collection_method"] = _collection(form["collection_method"])
    for param, limit in (("description", _MAX_DESCRIPTION), ("footer", 5000), ("number", _MAX_NUMBER)):
        if param in form:
            changed[param] = text_in(form[param], param, limit)
    changed["metadata"] = metadata_in(form.get("metadata", {}), invoice)
    if "effective_at" in form:
        changed["effective_at"] = integer_in(form["effective_at"], "effective_at") if form["effective_at"] else None
    if "auto_advance" in form:
        changed["auto_advance"] = flag_in(form["auto_advance"], "auto_advance")
        is_coming = changed["auto_advance"] and changed["status"] == "draft"
        changed["automatically_finalizes_at"] = ledger.now + _HOUR if is_coming else None
    changed["due_date"] = _due(ledger, changed, form)
    number_is_free(ledger, changed)
    return changed


def _modelled(form: Form) -> None:
    for param in form:
        if param in _UNMODELLED and form[param] not in ("", {"enabled": "false"}):
            raise RefusedError(f"This look-alike does not model {param}", param=param)


def discounted(invoice: Thing, lines: list[Thing]) -> list[Thing]:
    """Lines with what the invoice's own discounts take off of those that may be discounted."""
    for discount in invoice["discounts"]:
        percent = discount["coupon"]["percent_off"]
        lines = [
            {
                **line,
                "discount_amounts": [{"amount": line["amount"] * percent // 100, "discount": discount["id"]}],
            }
            if line["discountable"]
            else line
            for line in lines
        ]
    return lines


def number_is_free(ledger: Ledger, invoice: Thing) -> None:
    """Two invoices of an account never have the same number."""
    number = invoice["number"]
    if number and ledger.numbered.get(number, invoice["id"]) != invoice["id"]:
        raise RefusedError(f"An invoice with the number {number} already exists.", param="number")  # PROVIDERS §5


def _collection(value: object) -> str:
    if value not in ("charge_automatically", "send_invoice"):
        message = "Invalid collection_method: must be one of charge_automatically or send_invoice"
        raise RefusedError(message, param="collection_method")  # PROVIDERS §5
    return str(value)


def _due(ledger: Ledger, invoice: Thing, form: Form) -> int | None:
    sends = invoice["collection_method"] == "send_invoice"
    given = [param for param in ("due_date", "days_until_due") if param in form]
    if given and not sends:
        raise RefusedError(f"{given[0]} is only valid for send_invoice invoices", param=given[0])  # PROVIDERS §5
    if len(given) > 1:  # PROVIDERS §5
        raise RefusedError("You may only specify one of these parameters: due_date, days_until_due.", param="due_date")
    if "days_until_due" in form:
        days = integer_in(form["days_until_due"], "days_until_due")
        if days < 0:
            raise RefusedError("Invalid non-negative integer", param="days_until_due")  # PROVIDERS §5
        return ledger.now + days * _DAY
    if "due_date" in form:
        due = integer_in(form["due_date"], "due_date")
        if due <= ledger.now:
            message = "Invalid timestamp: must be an integer Unix timestamp in the future."
            raise RefusedError(message, param="due_date")  # PROVIDERS §5: not in the past
        return due
    if sends and invoice["due_date"] is None:
        message = "If invoices are sent, due_date or days_until_due must be given."
        raise RefusedError(message, code="parameter_missing", param="days_until_due")  # PROVIDERS §5
    there: int | None = invoice["due_date"]
    return there if sends else None


# ---- lines -----------------------------------------------------------------------------------------


def lines_in(ledger: Ledger, invoice: Thing, value: object) -> list[Thing]:
    """The lines of `add_lines`."""
    rows = list_in(value, "lines")
    if not 1 <= len(rows) <= MOST_LINES:
        raise RefusedError(f"Array must contain between 1 and {MOST_LINES} lines", param="lines")  # PROVIDERS §5: 250
    return [_line(ledger, invoice, row, f"lines[{place}]") for place, row in enumerate(rows)]


def _line(ledger: Ledger, invoice: Thing, row: object, param: str) -> Thing:
    if not isinstance(row, dict):
        raise RefusedError("Invalid object", code="parameter_invalid_object", param=param)  # PROVIDERS §5
    known(row, LINE_PARAMS, param)
    for name in _LINE_UNMODELLED:
        if name in row:
            raise RefusedError(f"This look-alike does not model {name}", param=f"{param}[{name}]")
    amount, quantity, pricing = _priced(row, invoice["currency"], param)
    period = row.get("period") or {}
    start = integer_in(period["start"], f"{param}[period][start]") if period else ledger.now
    end = integer_in(period["end"], f"{param}[period][end]") if period else ledger.now
    if end < start:  # stricter reading
        raise RefusedError("The period's end must not be before its start", param=f"{param}[period]")
    return line_of(
        ledger,
        invoice,
        amount=amount,
        quantity=quantity,
        pricing=pricing,
        description=text_in(row.get("description", ""), f"{param}[description]"),
        metadata=metadata_in(row.get("metadata", {}), {"metadata": {}}),
        period={"start": start, "end": end},
        discountable=flag_in(row.get("discountable", "true" if amount >= 0 else "false"), "discountable"),
        taxes=_taxes(ledger, row.get("tax_amounts", ""), amount, invoice["currency"], param),
    )


def line_of(ledger: Ledger, invoice: Thing, **says: Any) -> Thing:  # noqa: ANN401 - Stripe's attributes
    """A line with everything that Stripe shows of one."""
    return {
        "id": ledger.new_id("line_item"),
        "object": "line_item",
        "currency": invoice["currency"],
        "description": None,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice["id"],
        "livemode": ledger.is_live,
        "metadata": {},
        "parent": {"type": "invoice_item_details"},
        "period": {"start": ledger.now, "end": ledger.now},
        "pretax_credit_amounts": [],
        "pricing": None,
        "quantity": 1,
        "quantity_decimal": "1",
        "subtotal": says["amount"],
        "taxes": [],
        **says,
    }


def _priced(row: Mapping[str, Any], currency: str, param: str) -> tuple[int, int, Thing | None]:
    if "amount" in row:
        for other in ("price_data", "quantity", "quantity_decimal"):
            if other in row:
                message = f"You may only specify one of these parameters: amount, {other}."
                raise RefusedError(message, param=f"{param}[{other}]")  # PROVIDERS §5: one or the other
        return said(row["amount"], f"{param}[amount]", currency), 1, None
    data = row.get("price_data")
    if not isinstance(data, dict):  # PROVIDERS §5
        raise RefusedError("Missing required param: amount.", code="parameter_missing", param=f"{param}[amount]")
    return _inline(row, data, currency, param)


def _inline(row: Mapping[str, Any], data: Form, currency: str, param: str) -> tuple[int, int, Thing | None]:
    known(data, frozenset({"currency", "product", "unit_amount", "unit_amount_decimal"}), f"{param}[price_data]")
    product, unit = data.get("product"), str(data.get("unit_amount_decimal", data.get("unit_amount", "")))
    if not product or not str(product).startswith("prod_"):
        message = f"No such product: '{product}'"
        raise RefusedError(message, code="resource_missing", param=f"{param}[price_data][product]")  # PROVIDERS §5
    if data.get("currency") != currency:  # PROVIDERS §5
        raise RefusedError("The currency must be the invoice's", param=f"{param}[price_data][currency]")
    quantity = integer_in(row.get("quantity", "1"), f"{param}[quantity]")
    try:
        value = Decimal(unit)
    except DecimalException as error:
        # PROVIDERS §5
        raise RefusedError(f"Invalid decimal: {unit}", param=f"{param}[price_data][unit_amount]") from error
    if value < 0 or quantity < 0:
        raise RefusedError("Invalid non-negative integer", param=f"{param}[price_data][unit_amount]")  # PROVIDERS §5
    amount = int((value * quantity).to_integral_value())
    pricing = {
        "type": "price_details",
        "price_details": {"price": "price_1inline", "product": product},
        "unit_amount_decimal": str(value),
    }
    return amount, quantity, pricing


def said(value: object, param: str, currency: str) -> int:
    """An amount in minor units; those of three-decimal currencies end with 0 (docs.stripe.com/currencies)."""
    amount = integer_in(value, param)
    if not is_sayable(amount, currency):  # PROVIDERS §5
        raise RefusedError(f"Invalid amount for {currency}: {amount}", code="parameter_invalid_integer", param=param)
    return amount


def _taxes(ledger: Ledger, value: object, amount: int, currency: str, param: str) -> list[Thing]:
    rows = list_in(value, f"{param}[tax_amounts]")
    if len(rows) > _MAX_TAXES:  # stricter reading
        raise RefusedError(f"Array must contain at most {_MAX_TAXES} tax amounts", param=f"{param}[tax_amounts]")
    found = []
    for place, row in enumerate(rows):
        where = f"{param}[tax_amounts][{place}]"
        known(row, frozenset({"amount", "tax_rate_data", "taxability_reason", "taxable_amount"}), where)
        for name in ("amount", "taxable_amount", "tax_rate_data"):
            if name not in row:
                message = f"Missing required param: {where}[{name}]."
                raise RefusedError(message, code="parameter_missing", param=f"{where}[{name}]")  # PROVIDERS §5
        tax = said(row["amount"], f"{where}[amount]", currency)
        if tax < 0 or (tax and amount < 0):
            # whether a credit may carry a negative tax is not documented: the stricter reading
            raise RefusedError("Invalid non-negative integer", param=f"{where}[amount]")
        found.append(_tax(ledger, row, tax, where))
    return found


def _tax(ledger: Ledger, row: Mapping[str, Any], tax: int, where: str) -> Thing:
    data = row["tax_rate_data"]
    names = "country description display_name inclusive jurisdiction jurisdiction_level percentage state tax_type"
    known(data, frozenset(names.split()), f"{where}[tax_rate_data]")
    for name in ("display_name", "inclusive", "percentage"):
        if name not in data:  # PROVIDERS §5
            param = f"{where}[tax_rate_data][{name}]"
            raise RefusedError(f"Missing required param: {param}.", code="parameter_missing", param=param)
    inclusive = flag_in(data["inclusive"], f"{where}[tax_rate_data][inclusive]")
    return {
        "amount": tax,
        "tax_behavior": "inclusive" if inclusive else "exclusive",
        "tax_rate_details": {"tax_rate": ledger.tax_rate(data)},
        "taxability_reason": "not_available",
        "taxable_amount": integer_in(row["taxable_amount"], f"{where}[taxable_amount]"),
        "type": "tax_rate_details",
    }
