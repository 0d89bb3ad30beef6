"""What becomes of an invoice: finalised, paid, voided, written off. Stripe's states and refusals (PROVIDERS §5)."""

from __future__ import annotations

from typing import Final

from connectors.stripe.sandbox.customers import Customer
from connectors.stripe.sandbox.drafts import discounted, number_is_free, totals_of
from connectors.stripe.sandbox.ledger import STRIPE, Cause, Ledger, Thing
from connectors.stripe.sandbox.settings import RefusedError

_NOT_EDITABLE: Final = "invoice_not_editable"


class Invoicing:
    """The changes of state of one account's invoices. Every method makes its change at once."""

    def __init__(self, ledger: Ledger) -> None:
        """Share the state."""
        self._ledger = ledger

    def draft(self, invoice: Thing, lines: list[Thing], cause: Cause) -> Thing:
        """A new invoice; the first one fixes its customer's currency (PROVIDERS §5)."""
        lines = discounted(invoice, lines)
        self._ledger.lines[invoice["id"]] = lines
        made = self._ledger.put({**invoice, **_due(invoice, lines)}, cause, "invoice.created")
        self._fix_currency(invoice)
        return made

    def redraft(self, invoice: Thing, lines: list[Thing], cause: Cause) -> Thing:
        """Other attributes or lines."""
        lines = discounted(invoice, lines) if invoice["status"] == "draft" else lines
        self._ledger.lines[invoice["id"]] = lines
        summed = _due(invoice, lines) if invoice["status"] == "draft" else {}
        return self._ledger.put({**invoice, **summed}, cause, "invoice.updated")

    def finalize(self, invoice: Thing, cause: Cause) -> Thing:
        """Give it its number, and freeze it; one of nothing is paid at once."""
        ledger = self._ledger
        number = invoice["number"] or self._next_number(ledger.account.customers.get(invoice["customer"]))
        moved = {**invoice["status_transitions"], "finalized_at": ledger.now}
        opened = {
            **invoice,
            "status": "open",
            "number": number,
            "automatically_finalizes_at": None,
            "effective_at": invoice["effective_at"] or ledger.now,
            **self._balanced(invoice),
            "hosted_invoice_url": f"https://invoice.stripe.com/i/{invoice['id']}",
            "invoice_pdf": f"https://pay.stripe.com/invoice/{invoice['id']}/pdf",
            "status_transitions": moved,
        }
        number_is_free(ledger, opened)
        opened = ledger.put(opened, cause, "invoice.finalized", "invoice.updated")
        if not opened["amount_remaining"]:
            return self.settled(opened, cause)
        self._make_default_payment(opened, cause)
        if opened["auto_advance"] and opened["collection_method"] == "send_invoice":
            ledger.mails.append(f"invoice {opened['id']}")
        return opened

    def settled(self, invoice: Thing, cause: Cause) -> Thing:
        """Nothing remains to be paid: it is paid, and payments that were expected are called off."""
        for payment in self._ledger.payments_of(invoice["id"]):
            if payment["status"] == "open":
                self._cancel(payment, cause)
        moved = {**invoice["status_transitions"], "paid_at": self._ledger.now}
        paid = {**invoice, "status": "paid", "attempted": True, "status_transitions": moved}
        return self._ledger.put(paid, cause, "invoice.paid", "invoice.updated")

    def paid(self, invoice: Thing, amount: int, cause: Cause) -> Thing:
        """Part of it, or the rest, came in."""
        after = {
            **invoice,
            "amount_paid": invoice["amount_paid"] + amount,
            "amount_remaining": invoice["amount_remaining"] - amount,
        }
        return self._lowered(after, cause)

    def credited(self, invoice: Thing, before: int, after: int, cause: Cause) -> Thing:
        """A credit note lowers what is due (`before` it was paid), and tells of what was paid already (`after`)."""
        changed = {
            **invoice,
            "pre_payment_credit_notes_amount": invoice["pre_payment_credit_notes_amount"] + before,
            "post_payment_credit_notes_amount": invoice["post_payment_credit_notes_amount"] + after,
            "amount_due": invoice["amount_due"] - before,
            "amount_remaining": invoice["amount_remaining"] - before,
        }
        return self._lowered(changed, cause)

    def _lowered(self, invoice: Thing, cause: Cause) -> Thing:
        if not invoice["amount_remaining"] and invoice["status"] in ("open", "uncollectible"):
            return self.settled(invoice, cause)
        changed = self._ledger.put(invoice, cause, "invoice.updated")
        for payment in self._ledger.payments_of(invoice["id"]):
            if payment["is_default"] and payment["status"] == "open":
                self._ledger.put({**payment, "amount_requested": invoice["amount_remaining"]}, cause)
        return changed

    def void(self, invoice: Thing, cause: Cause) -> Thing:
        """It never was; nobody can pay it any more."""
        for payment in self._ledger.payments_of(invoice["id"]):
            if payment["status"] == "open":
                self._cancel(payment, cause)
        moved = {**invoice["status_transitions"], "voided_at": self._ledger.now}
        gone = {**invoice, "status": "void", "auto_advance": False, "status_transitions": moved}
        return self._ledger.put(gone, cause, "invoice.voided", "invoice.updated")

    def write_off(self, invoice: Thing, cause: Cause) -> Thing:
        """Nobody expects it to be paid; it still can be."""
        moved = {**invoice["status_transitions"], "marked_uncollectible_at": self._ledger.now}
        lost = {**invoice, "status": "uncollectible", "auto_advance": False, "status_transitions": moved}
        return self._ledger.put(lost, cause, "invoice.marked_uncollectible", "invoice.updated")

    def catch_up(self) -> None:
        """Drafts that advance by themselves are finalised an hour after they were made (PROVIDERS §5)."""
        drafts = [self._ledger.things["invoice"][one] for one in self._ledger.advancing]
        due = [one for one in drafts if one["automatically_finalizes_at"] <= self._ledger.now]
        for invoice in sorted(due, key=lambda one: (one["created"], one["id"])):
            self.finalize(invoice, STRIPE)

    def _cancel(self, payment: Thing, cause: Cause) -> None:
        moved = {**payment["status_transitions"], "canceled_at": self._ledger.now}
        self._ledger.put({**payment, "status": "canceled", "status_transitions": moved}, cause)

    def _make_default_payment(self, invoice: Thing, cause: Cause) -> None:
        intent = self._ledger.new_id("payment_intent")
        self._ledger.intents[intent] = {
            "id": intent,
            "object": "payment_intent",
            "amount": invoice["amount_remaining"],
            "amount_received": 0,
            "customer": invoice["customer"],
            "latest_charge": None,
        }
        payment = {"type": "payment_intent", "payment_intent": intent}
        self.expect(invoice, invoice["amount_remaining"], payment, cause, is_default=True)

    def expect(self, invoice: Thing, amount: int, payment: Thing, cause: Cause, *, is_default: bool = False) -> Thing:
        """A payment of an invoice that has not come in yet."""
        return self._ledger.put(
            {
                "id": self._ledger.new_id("invoice_payment"),
                "object": "invoice_payment",
                "amount_paid": None,
                "amount_requested": amount,
                "created": self._ledger.now,
                "currency": invoice["currency"],
                "invoice": invoice["id"],
                "is_default": is_default,
                "livemode": self._ledger.is_live,
                "payment": payment,
                "status": "open",
                "status_transitions": {"canceled_at": None, "paid_at": None},
            },
            cause,
        )

    def receive(self, payment: Thing, amount: int, cause: Cause) -> Thing:
        """An expected payment came in; its invoice is told."""
        moved = {**payment["status_transitions"], "paid_at": self._ledger.now}
        paid = {**payment, "status": "paid", "amount_paid": amount, "amount_requested": amount}
        paid = self._ledger.put({**paid, "status_transitions": moved}, cause, "invoice_payment.paid")
        self.paid(self._ledger.things["invoice"][payment["invoice"]], amount, cause)
        return paid

    def _balanced(self, invoice: Thing) -> Thing:
        """What is on the customer's balance is taken off what is due, or put on it; a credit goes there."""
        customer = self._ledger.account.customers.get(invoice["customer"])
        balance = customer["balance"] if customer else 0
        owed = invoice["total"] + balance
        due = max(owed, 0) if invoice["total"] >= 0 else 0
        left = owed - due
        if customer and left != balance:
            self._ledger.account.put(customer, {**customer, "balance": left}, STRIPE.caller)
        return {"starting_balance": balance, "ending_balance": left, "amount_due": due, "amount_remaining": due}

    def _next_number(self, customer: Customer | None) -> str:
        if customer is None:
            return f"{self._ledger.new_id('invoice')[-8:].upper()}-0001"
        number = f"{customer['invoice_prefix']}-{customer['next_invoice_sequence']:04d}"
        after = {**customer, "next_invoice_sequence": customer["next_invoice_sequence"] + 1}
        self._ledger.account.put(customer, after, STRIPE.caller)
        return number

    def _fix_currency(self, invoice: Thing) -> None:
        customer = self._ledger.account.customers[invoice["customer"]]
        if customer["currency"] is None:
            self._ledger.account.put(customer, {**customer, "currency": invoice["currency"]}, STRIPE.caller)


def must_be_draft(invoice: Thing) -> None:
    """Once finalised, an invoice's amounts are fixed."""
    if invoice["status"] != "draft":
        message = "This invoice is no longer editable: finalized invoices can't be updated in this way."
        raise RefusedError(message, code=_NOT_EDITABLE)  # PROVIDERS §5: amounts are fixed


def must_not_be_final(invoice: Thing) -> None:
    """Finalising comes once."""
    if invoice["status"] != "draft":
        message = "This invoice is already finalized, you can't re-finalize a non-draft invoice."
        raise RefusedError(message, code=_NOT_EDITABLE)  # PROVIDERS §5


def must_be_open(invoice: Thing, *also: str) -> None:
    """Void, write-off and payment need an invoice that asks for money."""
    if invoice["status"] == "paid":
        raise RefusedError("Invoice is already paid", code="invoice_already_paid")  # PROVIDERS §5
    if invoice["status"] not in ("open", *also):  # PROVIDERS §5
        raise RefusedError("You can only pass in open invoices. This invoice isn't open.", code=_NOT_EDITABLE)


def _due(invoice: Thing, lines: list[Thing]) -> Thing:
    totals = totals_of(lines)
    # what is less than nothing goes to the customer's balance
    due = max(totals["total"], 0)
    return {**totals, "amount_due": due, "amount_remaining": due - invoice["amount_paid"]}
