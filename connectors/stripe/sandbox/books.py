"""People at the dashboard and at the payment page: what they do to documents, by neutral names.

What Stripe would refuse is a ValueError, what it has no place for a KeyError.

PROVIDERS §5: what the dashboard lets happen is what the API does (README, "What the look-alike rests on").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from connectors.stripe.sandbox import crediting, records
from connectors.stripe.sandbox.amounts import digits, minor, spoken
from connectors.stripe.sandbox.customers import metadata_in
from connectors.stripe.sandbox.drafts import blank_invoice, line_of, number_is_free
from connectors.stripe.sandbox.invoicing import Invoicing, must_be_draft, must_be_open, must_not_be_final
from connectors.stripe.sandbox.ledger import NAMES, PERSON, Ledger, Thing
from connectors.stripe.sandbox.settings import RefusedError
from connectors.stripe.sandbox.treasury import Treasury
from connectors.stripe.sandbox.truth import TRUTHS

_CARD: Final = "card"
_INVOICE: Final = frozenset(
    "auto_advance currency customer due_on extra issued_on lines memo metadata number status".split()
)
_PAYMENT: Final = frozenset("amount applications currency customer method received_on reference".split())
_NOTE: Final = frozenset("applied currency customer invoice lines paid_back reason refunded".split())
_LINE: Final = frozenset(
    "amount description discount metadata period product quantity tax tax_inside unit_amount".split()
)


class Books:
    """The truth about one account's documents, and people's hands on it."""

    def __init__(self, ledger: Ledger, invoicing: Invoicing, treasury: Treasury) -> None:
        """Share the state."""
        self._ledger = ledger
        self._treasury = treasury
        self._invoicing = invoicing

    def objects(self, kind: str) -> Mapping[str, Thing]:
        """Every document of a kind, with all of its lines."""
        things = self._ledger.things[NAMES[kind]]
        if kind == "payment":
            return things
        lines = self._ledger.lines
        return {remote_id: {**thing, "lines": {"data": lines[remote_id]}} for remote_id, thing in things.items()}

    def neutral(self, kind: str) -> Mapping[str, Mapping[str, Any]]:
        """The same in neutral names."""
        told = {remote_id: TRUTHS[kind](self._ledger, thing) for remote_id, thing in self.objects(kind).items()}
        if kind == "payment":
            for remote_id, payment in told.items():
                payment["charged_back"] = self._charged_back(self._ledger.things["invoice_payment"][remote_id])
        return told

    def _charged_back(self, payment: Thing) -> str:
        """What banks took and did not give back of the whole charge."""
        intent = self._ledger.intents.get(payment["payment"].get("payment_intent", ""), {})
        disputes = self._treasury.disputes_of(intent.get("latest_charge", ""))
        taken = -sum(moved["amount"] for one in disputes for moved in one["balance_transactions"])
        return spoken(taken, payment["currency"])

    def edit(self, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        """Make or change a document; returns its id."""
        make: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
            "invoice": self._new_invoice,
            "payment": self._new_payment,
            "credit_note": self._new_note,
        }
        change: Mapping[str, Callable[[Thing, Mapping[str, Any]], None]] = {
            "invoice": self._change_invoice,
            "payment": self._change_payment,
            "credit_note": self._change_note,
        }
        try:
            if remote_id is None:
                return make[kind](changes)
            change[kind](self._ledger.things[NAMES[kind]][remote_id], changes)
        except RefusedError as refused:
            raise ValueError(str(refused)) from refused
        return remote_id

    def delete(self, kind: str, remote_id: str) -> None:
        """Only drafts of invoices go away."""
        if kind != "invoice":
            raise KeyError(kind)
        invoice = self._ledger.things["invoice"][remote_id]
        if invoice["status"] != "draft":
            raise ValueError("You can only delete draft invoices.")
        self._ledger.remove(invoice, PERSON)

    # ---- invoices --------------------------------------------------------------------------------

    def _new_invoice(self, changes: Mapping[str, Any]) -> str:
        _known(changes, _INVOICE)
        customer = self._ledger.account.customers[changes["customer"]]
        currency = changes["currency"].lower()
        if customer["currency"] not in (None, currency):
            raise ValueError(f"the customer is billed in {customer['currency']}")
        invoice = self._worded(blank_invoice(self._ledger, customer, currency), changes)
        number_is_free(self._ledger, invoice)
        made = self._invoicing.draft(invoice, self._lines(invoice, changes.get("lines", ())), PERSON)
        if changes.get("status", "draft") != "draft":
            self._move(made, changes["status"])
        return str(made["id"])

    def _change_invoice(self, invoice: Thing, changes: Mapping[str, Any]) -> None:
        _known(changes, _INVOICE - {"customer", "currency"})
        if set(changes) - {"memo", "metadata", "extra", "status"}:
            must_be_draft(invoice)
        rest = {name: value for name, value in changes.items() if name != "status"}
        if rest:
            changed = self._worded(invoice, rest)
            number_is_free(self._ledger, changed)
            lines = self._ledger.lines[invoice["id"]]
            lines = self._lines(invoice, rest["lines"]) if "lines" in rest else lines
            invoice = self._invoicing.redraft(changed, lines, PERSON)
        if "status" in changes:
            self._move(invoice, changes["status"])

    def _worded(self, invoice: Thing, changes: Mapping[str, Any]) -> Thing:
        after = {**invoice, **changes.get("extra", {})}
        if "memo" in changes:
            after["description"] = changes["memo"] or None
        if "number" in changes:
            after["number"] = changes["number"] or None
        if "metadata" in changes:
            after["metadata"] = metadata_in(changes["metadata"], invoice)
        if "issued_on" in changes:
            after["effective_at"] = _noon(changes["issued_on"])
        if "due_on" in changes:
            after["due_date"] = _noon(changes["due_on"])
            after["collection_method"] = "send_invoice" if changes["due_on"] else "charge_automatically"
        if "auto_advance" in changes:
            after["auto_advance"] = changes["auto_advance"]
            after["automatically_finalizes_at"] = self._ledger.now + 3600 if changes["auto_advance"] else None
        return after

    def _lines(self, invoice: Thing, rows: Sequence[Mapping[str, Any]]) -> list[Thing]:
        return [self._line(invoice, row) for row in rows]

    def _line(self, invoice: Thing, row: Mapping[str, Any]) -> Thing:
        _known(row, _LINE)
        currency, quantity = invoice["currency"], Decimal(str(row.get("quantity", "1")))
        unit = Decimal(str(row["unit_amount"])) * 10 ** digits(currency) if "unit_amount" in row else None
        worth = None if unit is None else int((unit * quantity).to_integral_value(ROUND_HALF_UP))
        amount = minor(row["amount"], currency) if worth is None else worth
        discount, details = minor(row.get("discount", "0"), currency), {"product": row.get("product", "")}
        if quantity < 0:
            raise ValueError("a quantity is not negative")
        pricing = {
            "type": "price_details",
            "price_details": {"price": "price_1", **details} if row.get("product") else None,
            "unit_amount_decimal": None if unit is None else f"{unit.normalize():f}",
        }
        said = {"period": row["period"]} if "period" in row else {}
        return line_of(
            self._ledger,
            invoice,
            **said,
            amount=amount,
            description=row.get("description"),
            metadata=row.get("metadata", {}),
            quantity=int(quantity),
            quantity_decimal=f"{quantity.normalize():f}",
            pricing=pricing if row.get("product") or unit is not None else None,
            discount_amounts=[{"amount": discount, "discount": self._ledger.new_id("discount")}] if discount else [],
            taxes=self._taxes(row, amount - discount, currency),
        )

    def _taxes(self, row: Mapping[str, Any], base: int, currency: str) -> list[Thing]:
        found = []
        for name, behavior in (("tax", "exclusive"), ("tax_inside", "inclusive")):
            amount = minor(row.get(name, "0"), currency)
            if amount:
                rate = self._ledger.tax_rate({"display_name": "VAT", "inclusive": str(behavior == "inclusive").lower()})
                found.append(
                    {
                        "amount": amount,
                        "tax_behavior": behavior,
                        "tax_rate_details": {"tax_rate": rate},
                        "taxability_reason": "standard_rated",
                        "taxable_amount": base,
                        "type": "tax_rate_details",
                    }
                )
        return found

    def _move(self, invoice: Thing, status: str) -> None:
        if status == "open":
            must_not_be_final(invoice)
            self._invoicing.finalize(invoice, PERSON)
        elif status == "void":
            must_be_open(invoice, "uncollectible")
            if invoice["amount_paid"]:
                raise ValueError("it was paid in part")
            self._invoicing.void(invoice, PERSON)
        elif status == "uncollectible":
            must_be_open(invoice)
            self._invoicing.write_off(invoice, PERSON)
        elif status == "paid":
            must_be_open(invoice, "uncollectible")
            # as it was before there were payment records: no payment tells of the money
            self._invoicing.paid(invoice, invoice["amount_remaining"], PERSON)
        else:
            raise ValueError(f"no button makes an invoice {status}")

    # ---- payments --------------------------------------------------------------------------------

    def _new_payment(self, changes: Mapping[str, Any]) -> str:
        _known(changes, _PAYMENT)
        currency = changes["currency"].lower()
        amount, parts = minor(changes["amount"], currency), []
        for application in changes["applications"]:
            invoice = self._ledger.things["invoice"][application["invoice"]]
            part = minor(application["amount"], currency)
            must_be_open(invoice, "uncollectible")
            if invoice["currency"] != currency or not 0 < part <= invoice["amount_remaining"]:
                raise ValueError(f"{application['amount']} {currency} cannot be paid of {invoice['id']}")
            parts.append((invoice, part))
        if not parts or sum(part for _, part in parts) != amount:
            raise ValueError("every payment at Stripe pays invoices, and nothing of it is left over")
        paid_by = self._means(parts, amount, currency, changes)
        received = [self._receive(invoice, part, paid_by, changes) for invoice, part in parts]
        return received[0]

    def _means(self, parts: Sequence[tuple[Thing, int]], amount: int, currency: str, says: Mapping[str, Any]) -> Thing:
        if says.get("method", _CARD) != _CARD:
            worth = {"currency": currency, "value": amount}
            record = records.blank_record(
                self._ledger,
                worth,
                payment_method_details={"type": "custom", "custom": {"display_name": says["method"]}},
                processor_details={"type": "custom", "custom": {"payment_reference": says.get("reference")}},
            )
            self._ledger.put(record, PERSON)
            return {"type": "payment_record", "payment_record": record["id"]}
        default = self._default(parts[0][0]) if len(parts) == 1 and parts[0][1] == amount else None
        whole = default is not None and default["amount_requested"] == amount
        intent = default["payment"]["payment_intent"] if default and whole else self._ledger.new_id("payment_intent")
        self._charge(intent, amount, currency, parts[0][0]["customer"])
        return {"type": "payment_intent", "payment_intent": intent}

    def _charge(self, intent: str, amount: int, currency: str, customer: str) -> None:
        charge = {
            "id": self._ledger.new_id("charge"),
            "object": "charge",
            "amount": amount,
            "amount_refunded": 0,
            "currency": currency,
            "disputed": False,
            "customer": customer,
            "payment_intent": intent,
            "payment_method_details": {"type": _CARD},
        }
        self._ledger.charges[str(charge["id"])] = charge
        self._treasury.came_in(charge)
        self._ledger.intents[intent] = {
            "id": intent,
            "object": "payment_intent",
            "amount": amount,
            "amount_received": amount,
            "customer": customer,
            "latest_charge": charge["id"],
        }

    def _default(self, invoice: Thing) -> Thing | None:
        found = [one for one in self._ledger.payments_of(invoice["id"]) if one["is_default"]]
        return found[0] if found and found[0]["status"] == "open" else None

    def _receive(self, invoice: Thing, part: int, paid_by: Thing, says: Mapping[str, Any]) -> str:
        expected = self._default(invoice)
        if expected is None or expected["payment"] != paid_by:
            expected = self._invoicing.expect(invoice, part, paid_by, PERSON)
        paid = self._invoicing.receive(expected, part, PERSON)
        if says.get("received_on"):
            moved = {**paid["status_transitions"], "paid_at": _noon(says["received_on"])}
            self._ledger.put({**paid, "status_transitions": moved}, PERSON)
        return str(paid["id"])

    def _change_payment(self, payment: Thing, changes: Mapping[str, Any]) -> None:
        _known(changes, frozenset({"refunded", "refund_failed", "dispute"}))
        if payment["status"] != "paid":
            raise ValueError("nothing was paid")
        record = payment["payment"].get("payment_record")
        if record:
            _known(changes, frozenset({"refunded"}))
            back = minor(changes["refunded"], payment["currency"])
            self._refund_record(self._ledger.things["payment_record"][str(record)], back)
            return
        charge = self._ledger.charges[self._ledger.intents[payment["payment"]["payment_intent"]]["latest_charge"]]
        if changes.get("refund_failed"):
            self._fail_refund(charge)
        if "refunded" in changes:
            self._refund(charge, minor(changes["refunded"], payment["currency"]))
        asked = changes.get("dispute", {})
        _known(asked, frozenset({"amount", "status"}))
        if "amount" in asked:
            self._treasury.open_dispute(charge, **asked)
        elif asked:
            self._treasury.move_dispute(charge, asked["status"])

    def _refund(self, charge: Thing, back: int) -> None:
        self._treasury.must_be_refundable(charge)
        if not charge["amount_refunded"] < back <= charge["amount"]:
            raise ValueError("a refund is not taken back, and not more than what was paid")
        refund = {
            "id": self._ledger.new_id("refund"),
            "object": "refund",
            "amount": back - charge["amount_refunded"],
            "charge": charge["id"],
            "currency": charge["currency"],
            "payment_intent": charge["payment_intent"],
            "status": "succeeded",
        }
        after = {**charge, "amount_refunded": back, "refunded": back == charge["amount"]}
        self._ledger.refunds[refund["id"]] = refund
        self._ledger.charges[charge["id"]] = after
        self._treasury.went_back(refund)
        self._ledger.tell("refund.created", refund, PERSON)
        self._ledger.tell("charge.refunded", after, PERSON)

    def _fail_refund(self, charge: Thing) -> None:
        """The payer's bank sends the newest refund back."""
        refunds = self._ledger.refunds.values()
        made = [one for one in refunds if one["charge"] == charge["id"] and one["status"] == "succeeded"]
        if not made:
            raise ValueError("there is no refund that could fail")
        failed = {**made[-1], "status": "failed"}
        back = charge["amount_refunded"] - failed["amount"]
        self._ledger.refunds[failed["id"]] = failed
        self._ledger.charges[charge["id"]] = {**charge, "amount_refunded": back, "refunded": False}
        self._treasury.came_back(failed)
        self._ledger.tell("refund.failed", failed, PERSON)

    def _refund_record(self, record: Thing, back: int) -> None:
        if not record["amount_refunded"]["value"] < back <= record["amount"]["value"]:
            raise ValueError("a refund is not taken back, and not more than what was paid")
        self._ledger.put({**record, "amount_refunded": {**record["amount"], "value": back}}, PERSON)

    # ---- credit notes ----------------------------------------------------------------------------

    def _new_note(self, changes: Mapping[str, Any]) -> str:
        _known(changes, _NOTE)
        invoice = self._ledger.things["invoice"][changes["invoice"]]
        currency = invoice["currency"]
        lines = []
        for row in changes["lines"]:
            line = self._line(invoice, row)
            lines.append(
                crediting.credit_line_of(
                    self._ledger,
                    amount=line["amount"],
                    description=line["description"],
                    quantity=line["quantity"],
                    discount_amount=sum(part["amount"] for part in line["discount_amounts"]),
                    taxes=line["taxes"],
                )
            )
        note = crediting.blank_note(self._ledger, invoice, lines)
        note["memo"] = changes.get("reason") or None
        note["out_of_band_amount"] = minor(changes.get("refunded", "0"), currency) or None
        if "applied" in changes and minor(changes["applied"], currency) != note["pre_payment_amount"]:
            raise ValueError("Stripe applies as much as remains to be paid")
        if (note["out_of_band_amount"] or 0) > note["post_payment_amount"]:
            raise ValueError("not more is paid back than was paid")
        # what is not paid back goes to the customer's balance
        crediting.check(invoice, note, note["post_payment_amount"])
        if "paid_back" in changes:
            note["refunds"] = [self._paid_back(invoice, minor(changes["paid_back"], currency))]
        return str(crediting.issue(self._ledger, self._invoicing, note, lines, PERSON)["id"])

    def _paid_back(self, invoice: Thing, amount: int) -> Thing:
        """A refund of the charge that paid the invoice, made with its credit note."""
        (paid,) = [one for one in self._ledger.payments_of(invoice["id"]) if one["status"] == "paid"]
        charge = self._ledger.charges[self._ledger.intents[paid["payment"]["payment_intent"]]["latest_charge"]]
        self._refund(charge, charge["amount_refunded"] + amount)
        return {"amount_refunded": amount, "refund": next(reversed(self._ledger.refunds)), "type": "refund"}

    def _change_note(self, note: Thing, changes: Mapping[str, Any]) -> None:
        _known(changes, frozenset({"status"}))
        if changes["status"] != "void":
            raise ValueError("a credit note can only be voided")
        crediting.must_be_voidable(self._ledger, note)
        crediting.void(self._ledger, self._invoicing, note, PERSON)


def _known(changes: Mapping[str, Any], names: frozenset[str]) -> None:
    for name in set(changes) - names:
        raise KeyError(name)


def _noon(day: object) -> int | None:
    return int(datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC).timestamp()) if day else None
