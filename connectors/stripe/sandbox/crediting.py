"""Credit notes: what a request may say of one, how far it may go, and what it does to its invoice (PROVIDERS §5)."""

from __future__ import annotations

from typing import Any, Final

from connectors.stripe.sandbox.customers import metadata_in
from connectors.stripe.sandbox.drafts import said
from connectors.stripe.sandbox.forms import Form, integer_in, known, list_in, text_in
from connectors.stripe.sandbox.invoicing import Invoicing
from connectors.stripe.sandbox.ledger import Cause, Ledger, Thing
from connectors.stripe.sandbox.settings import RefusedError

CREATE_PARAMS: Final = frozenset(
    "amount credit_amount effective_at email_type expand invoice lines memo metadata out_of_band_amount reason "
    "refund_amount refunds shipping_cost".split()
)
_UNMODELLED: Final = ("amount", "refund_amount", "refunds", "shipping_cost")
_REASONS: Final = ("duplicate", "fraudulent", "order_change", "product_unsatisfactory")
_LINE_PARAMS: Final = frozenset(
    "amount description invoice_line_item metadata quantity tax_amounts tax_rates type unit_amount "
    "unit_amount_decimal".split()
)


def note_in(ledger: Ledger, form: Form) -> tuple[Thing, list[Thing]]:
    """The credit note of a request, and its lines; nothing is done yet."""
    for param in _UNMODELLED:
        if param in form:
            raise RefusedError(f"This look-alike does not model {param}", param=param)
    invoice = ledger.get("invoice", form.get("invoice"), "invoice", 400)
    if form.get("reason", "") not in ("", *_REASONS):
        raise RefusedError("Invalid reason: must be one of " + ", ".join(_REASONS), param="reason")  # PROVIDERS §5
    if form.get("email_type", "credit_note") not in ("credit_note", "none"):  # PROVIDERS §5
        raise RefusedError("Invalid email_type: must be one of credit_note or none", param="email_type")
    rows = list_in(form.get("lines", ""), "lines")
    if not rows:
        message = "One of amount, lines, or shipping_cost must be provided."
        raise RefusedError(message, code="parameter_missing", param="lines")  # PROVIDERS §5
    lines = [_line(ledger, invoice, row, f"lines[{place}]") for place, row in enumerate(rows)]
    note = blank_note(ledger, invoice, lines)
    note["memo"] = text_in(form.get("memo", ""), "memo")
    note["reason"] = form.get("reason") or None
    note["metadata"] = metadata_in(form.get("metadata", {}), {"metadata": {}})
    if "effective_at" in form:
        note["effective_at"] = integer_in(form["effective_at"], "effective_at")
    after = {
        name: said(form.get(name, "0"), name, invoice["currency"]) for name in ("credit_amount", "out_of_band_amount")
    }
    note["out_of_band_amount"] = after["out_of_band_amount"] or None
    check(invoice, note, sum(after.values()))
    return note, lines


def blank_note(ledger: Ledger, invoice: Thing, lines: list[Thing]) -> Thing:
    """A credit note of these lines, divided into what lowers the invoice and what was paid already."""
    discount = sum(line["discount_amount"] for line in lines)
    taxes = [tax for line in lines for tax in line["taxes"]]
    on_top = sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")
    gross = sum(line["amount"] for line in lines)
    amount = gross - discount + on_top
    before = min(amount, invoice["amount_remaining"]) if invoice["status"] in ("open", "uncollectible") else 0
    number = invoice["number"] or invoice["id"]
    count = sum(1 for one in ledger.things["credit_note"].values() if one["invoice"] == invoice["id"])
    return {
        "id": ledger.new_id("credit_note"),
        "object": "credit_note",
        "amount": amount,
        "amount_shipping": 0,
        "created": ledger.now,
        "currency": invoice["currency"],
        "customer": invoice["customer"],
        "customer_balance_transaction": None,
        "discount_amount": discount,
        "discount_amounts": [],
        "effective_at": ledger.now,
        "invoice": invoice["id"],
        "livemode": ledger.is_live,
        "memo": None,
        "metadata": {},
        # it cannot be chosen: Stripe counts on from the invoice's
        "number": f"{number}-CN-{count + 1:02d}",
        "out_of_band_amount": None,
        "post_payment_amount": amount - before,
        "pre_payment_amount": before,
        "reason": None,
        "refunds": [],
        "shipping_cost": None,
        "status": "issued",
        "subtotal": gross - discount,
        "total": amount,
        "total_taxes": taxes,
        "type": "mixed" if before and amount - before else "pre_payment" if before else "post_payment",
        "voided_at": None,
    }


def check(invoice: Thing, note: Thing, told: int) -> None:
    """A credit note never goes beyond its invoice, and says where all of the paid part went."""
    if invoice["status"] not in ("open", "paid", "uncollectible"):  # PROVIDERS §5
        raise RefusedError("You can only create a credit note for a finalized invoice.", param="invoice")
    amount = note["amount"]
    if amount <= 0:
        raise RefusedError("The credit note's total must be greater than 0.", param="lines")  # PROVIDERS §5
    credited = invoice["pre_payment_credit_notes_amount"] + invoice["post_payment_credit_notes_amount"]
    if amount > invoice["total"] - credited:
        left = invoice["total"] - credited
        raise RefusedError(  # PROVIDERS §5: never beyond its invoice
            f"The sum of credit notes ({amount}) exceeds what is left to credit ({left}).", param="lines"
        )
    after = note["post_payment_amount"]
    if told != after:
        message = (
            "The sum of credit amount, refund amount and out of band amount must equal the post payment amount "
            f"({after}), but is {told}."
        )
        raise RefusedError(message, param="out_of_band_amount")  # PROVIDERS §5: where all of it went


def credit_line_of(ledger: Ledger, **says: Any) -> Thing:  # noqa: ANN401 - Stripe's attributes
    """A line with everything that Stripe shows of one."""
    return {
        "id": ledger.new_id("credit_note_line_item"),
        "object": "credit_note_line_item",
        "description": None,
        "discount_amount": 0,
        "discount_amounts": [],
        "livemode": ledger.is_live,
        "metadata": {},
        "pretax_credit_amounts": [],
        "quantity": 1,
        "tax_rates": [],
        "taxes": [],
        "type": "custom_line_item",
        "unit_amount": says["amount"],
        "unit_amount_decimal": str(says["amount"]),
        **says,
    }


def _line(ledger: Ledger, invoice: Thing, row: object, param: str) -> Thing:
    if not isinstance(row, dict):
        raise RefusedError("Invalid object", code="parameter_invalid_object", param=param)  # PROVIDERS §5
    known(row, _LINE_PARAMS, param)
    if row.get("type") != "custom_line_item":
        raise RefusedError("This look-alike models custom_line_item only", param=f"{param}[type]")
    for name in ("description", "unit_amount", "quantity"):
        if not row.get(name):  # PROVIDERS §5
            where = f"{param}[{name}]"
            raise RefusedError(f"Missing required param: {where}.", code="parameter_missing", param=where)
    for name in ("amount", "invoice_line_item"):
        if name in row:  # PROVIDERS §5
            raise RefusedError(f"{name} is only valid for invoice_line_item", param=f"{param}[{name}]")
    unit = said(row["unit_amount"], f"{param}[unit_amount]", invoice["currency"])
    quantity = integer_in(row["quantity"], f"{param}[quantity]")
    if unit < 0 or quantity < 1:
        raise RefusedError("Invalid non-negative integer", param=f"{param}[unit_amount]")  # PROVIDERS §5
    return credit_line_of(
        ledger,
        amount=unit * quantity,
        description=text_in(row["description"], f"{param}[description]"),
        metadata=metadata_in(row.get("metadata", {}), {"metadata": {}}),
        quantity=quantity,
        taxes=[_tax(ledger, tax, invoice, param) for tax in list_in(row.get("tax_amounts", ""), param)],
        unit_amount=unit,
        unit_amount_decimal=str(unit),
    )


def _tax(ledger: Ledger, row: Form, invoice: Thing, param: str) -> Thing:
    known(row, frozenset({"amount", "tax_rate", "taxable_amount"}), f"{param}[tax_amounts]")
    rate = row.get("tax_rate")
    if rate not in ledger.tax_rates:
        where = f"{param}[tax_amounts][tax_rate]"
        raise RefusedError(f"No such tax rate: '{rate}'", code="resource_missing", param=where)  # PROVIDERS §5
    amount = said(row.get("amount"), f"{param}[tax_amounts][amount]", invoice["currency"])
    if amount < 0:
        raise RefusedError("Invalid non-negative integer", param=f"{param}[tax_amounts][amount]")  # PROVIDERS §5
    return {
        "amount": amount,
        "tax_behavior": "inclusive" if ledger.tax_rates[rate]["inclusive"] == "true" else "exclusive",
        "tax_rate_details": {"tax_rate": rate},
        "taxability_reason": "not_available",
        "taxable_amount": integer_in(row.get("taxable_amount"), f"{param}[tax_amounts][taxable_amount]"),
        "type": "tax_rate_details",
    }


def issue(ledger: Ledger, invoicing: Invoicing, note: Thing, lines: list[Thing], cause: Cause) -> Thing:
    """Make it, and lower its invoice."""
    ledger.lines[note["id"]] = lines
    made = ledger.put({**note, **_on_the_balance(ledger, note, cause)}, cause, "credit_note.created")
    before, after = note["pre_payment_amount"], note["post_payment_amount"]
    invoicing.credited(ledger.things["invoice"][note["invoice"]], before, after, cause)
    return made


def _on_the_balance(ledger: Ledger, note: Thing, cause: Cause) -> Thing:
    """What was paid and goes back neither elsewhere nor by a refund is the customer's: the next invoice takes it."""
    back = sum(one["amount_refunded"] for one in note["refunds"]) + (note["out_of_band_amount"] or 0)
    credit = note["post_payment_amount"] - back
    customer = ledger.account.customers.get(note["customer"])
    if not credit or customer is None:
        return {}
    ledger.account.put(customer, {**customer, "balance": customer["balance"] - credit}, cause.caller)
    return {"customer_balance_transaction": ledger.new_id("customer_balance_transaction")}


def must_be_voidable(ledger: Ledger, note: Thing) -> None:
    """What was paid back, or settled its invoice, cannot be taken back."""
    if note["status"] != "issued":
        raise RefusedError("This credit note is already void.")  # PROVIDERS §5
    if ledger.things["invoice"][note["invoice"]]["status"] != "open":  # PROVIDERS §5: while it takes something off
        raise RefusedError("You can only void a credit note of an open invoice.")


def void(ledger: Ledger, invoicing: Invoicing, note: Thing, cause: Cause) -> Thing:
    """Take it back: its invoice is due again."""
    gone = {**note, "status": "void", "voided_at": ledger.now}
    gone = ledger.put(gone, cause, "credit_note.voided", "credit_note.updated")
    before, after = note["pre_payment_amount"], note["post_payment_amount"]
    invoicing.credited(ledger.things["invoice"][note["invoice"]], -before, -after, cause)
    return gone
