"""Payments that somebody else carried out and that are reported to Stripe (docs.stripe.com, PaymentRecord).

PROVIDERS §5: payment records (README, "What the look-alike rests on").
"""

from __future__ import annotations

from typing import Any, Final

from connectors.stripe.sandbox.customers import metadata_in
from connectors.stripe.sandbox.drafts import said
from connectors.stripe.sandbox.forms import Form, integer_in, known, text_in
from connectors.stripe.sandbox.ledger import Ledger, Thing
from connectors.stripe.sandbox.settings import RefusedError

REPORT_PARAMS: Final = frozenset(
    "amount_requested canceled customer_details customer_presence description expand failed guaranteed initiated_at "
    "metadata outcome payment_method_details processor_details shipping_details".split()
)
REFUND_PARAMS: Final = frozenset("amount expand initiated_at metadata outcome processor_details refunded".split())


def record_in(ledger: Ledger, form: Form) -> Thing:
    """The payment record of a report; only payments that came in are modelled."""
    for param in ("amount_requested", "initiated_at", "payment_method_details"):
        if param not in form:  # PROVIDERS §5
            raise RefusedError(f"Missing required param: {param}.", code="parameter_missing", param=param)
    if form.get("outcome") != "guaranteed" or "guaranteed" not in form:
        raise RefusedError("This look-alike models outcome=guaranteed only", param="outcome")
    amount = _amount(form["amount_requested"], "amount_requested")
    integer_in(_dict(form["guaranteed"]).get("guaranteed_at"), "guaranteed[guaranteed_at]")
    integer_in(form["initiated_at"], "initiated_at")
    method, processor = _dict(form["payment_method_details"]), _dict(form.get("processor_details", {}))
    if method.get("type") != "custom":  # PROVIDERS §5
        raise RefusedError("Invalid payment_method_details[type]: must be custom", param="payment_method_details[type]")
    custom, payer = _dict(processor.get("custom", {})), _dict(form.get("customer_details", {}))
    if "customer" in payer and payer["customer"] not in ledger.account.customers:
        message = f"No such customer: '{payer['customer']}'"
        raise RefusedError(message, code="resource_missing", param="customer_details[customer]")  # PROVIDERS §5
    return blank_record(
        ledger,
        amount,
        metadata=metadata_in(form.get("metadata", {}), {"metadata": {}}),
        description=text_in(form.get("description", ""), "description"),
        customer_details=dict(payer),
        payment_method_details={"type": "custom", "custom": dict(_dict(method.get("custom", {})))},
        processor_details={
            "type": "custom",
            "custom": {"payment_reference": text_in(custom.get("payment_reference", ""), "processor_details")},
        },
    )


def blank_record(ledger: Ledger, amount: Thing, **says: Any) -> Thing:  # noqa: ANN401 - Stripe's attributes
    """A payment record of money that came in elsewhere."""
    nothing = {"currency": amount["currency"], "value": 0}
    return {
        "id": ledger.new_id("payment_record"),
        "object": "payment_record",
        "amount": amount,
        "amount_requested": amount,
        "amount_guaranteed": amount,
        "amount_refunded": nothing,
        "created": ledger.now,
        "livemode": ledger.is_live,
        "metadata": {},
        "reported_by": "self",
        **says,
    }


def refunded(ledger: Ledger, record: Thing, form: Form) -> Thing:
    """The record after a report that money went back."""
    for param in ("outcome", "processor_details"):
        if param not in form:  # PROVIDERS §5
            raise RefusedError(f"Missing required param: {param}.", code="parameter_missing", param=param)
    reference = _dict(_dict(form["processor_details"]).get("custom", {})).get("refund_reference")
    taken = [one for other in ledger.things["payment_record"].values() for one in other.get("refund_references", ())]
    if not reference or reference in taken:
        param = "processor_details[custom][refund_reference]"
        raise RefusedError(f"The refund reference {reference!r} is missing or taken.", param=param)  # PROVIDERS §5
    left = record["amount"]["value"] - record["amount_refunded"]["value"]
    amount = _amount(form["amount"], "amount") if "amount" in form else {**record["amount"], "value": left}
    if amount["currency"] != record["amount"]["currency"] or amount["value"] > left:  # PROVIDERS §5
        raise RefusedError("You can refund only up to the remaining amount of the payment.", param="amount[value]")
    back = {**amount, "value": record["amount_refunded"]["value"] + amount["value"]}
    references = [*record.get("refund_references", ()), reference]
    told = [integer_in(_dict(form["refunded"]).get("refunded_at"), "refunded")] if "refunded" in form else []
    times = [*record.get("refund_times", ()), *told]
    return {**record, "amount_refunded": back, "refund_references": references, "refund_times": times}


def attachable(ledger: Ledger, invoice: Thing, record: Thing) -> int:
    """How much of a record an invoice gets: what is left of it, as far as anything remains to be paid."""
    if record["amount"]["currency"] != invoice["currency"]:
        raise RefusedError("The payment's currency is not the invoice's.", param="payment_record")  # PROVIDERS §5
    if record.get("customer_details", {}).get("customer", invoice["customer"]) != invoice["customer"]:
        # whether it is refused is not documented: the stricter reading
        raise RefusedError("The payment's customer is not the invoice's.", param="payment_record")
    used = 0
    for payment in ledger.things["invoice_payment"].values():
        if payment["payment"].get("payment_record") == record["id"]:
            used += payment["amount_paid"]
    amount: int = min(record["amount"]["value"] - used, invoice["amount_remaining"])
    if amount <= 0:
        raise RefusedError("Nothing is left of this payment.", param="payment_record")  # PROVIDERS §5
    return amount


def _amount(value: object, param: str) -> Thing:
    known(_dict(value), frozenset({"currency", "value"}), param)
    currency = str(_dict(value).get("currency", ""))
    amount = said(_dict(value).get("value"), f"{param}[value]", currency)
    if amount <= 0 or len(currency) != 3 or currency != currency.lower():
        raise RefusedError("Invalid amount: it must be positive", param=f"{param}[value]")  # PROVIDERS §5
    return {"currency": currency, "value": amount}


def _dict(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RefusedError("Invalid object", code="parameter_invalid_object")  # PROVIDERS §5
    return value
