"""Endpoints of invoices, their payments and credit notes: writes check first and change state when they finish.

Invoices, payments, credit notes: PROVIDERS §5. Keys and refusals: §2 (README, "What the look-alike rests on").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from connectors.stripe.sandbox import crediting, records
from connectors.stripe.sandbox.customers import metadata_in
from connectors.stripe.sandbox.drafts import (
    ALWAYS_EDITABLE,
    CREATE_PARAMS,
    UPDATE_PARAMS,
    blank_invoice,
    changed_by,
    currency_for,
    lines_in,
)
from connectors.stripe.sandbox.endpoints import Endpoints, Finish
from connectors.stripe.sandbox.expanding import expansions_in
from connectors.stripe.sandbox.forms import Form, flag_in, integer_in, known
from connectors.stripe.sandbox.invoicing import Invoicing, must_be_draft, must_be_open, must_not_be_final
from connectors.stripe.sandbox.ledger import Cause, Ledger, Thing, listing
from connectors.stripe.sandbox.paging import CURSORS, limit_in, page_of, slice_of
from connectors.stripe.sandbox.settings import RefusedError
from core.ports import HttpResponse

_FILTERS: Final[Mapping[str, frozenset[str]]] = {
    "invoice": CURSORS | {"collection_method", "customer", "status"},
    "invoice_payment": CURSORS | {"invoice", "payment", "status"},
    "credit_note": CURSORS | {"customer", "invoice"},
}
_EXPAND: Final = frozenset({"expand"})


class Papers:
    """Stripe's endpoints over one ledger."""

    def __init__(self, ledger: Ledger, invoicing: Invoicing, endpoints: Endpoints) -> None:
        """Answers are rendered as those of the other endpoints are."""
        self._ledger = ledger
        self._invoicing = invoicing
        self._response = endpoints.response

    def reads(self) -> dict[str, Callable[[Form, str], HttpResponse]]:
        """Endpoints that change nothing."""
        found: dict[str, Callable[[Form, str], HttpResponse]] = {
            "GET /v1/invoices/search": self.search,
            "GET /v1/invoices/{id}/lines": partial(self.lines, "invoice"),
            "GET /v1/credit_notes/{id}/lines": partial(self.lines, "credit_note"),
            # PROVIDERS §5: they are in no list, so that a report that went unanswered cannot be looked for
            "GET /v1/payment_records/{id}": partial(self.one, "payment_record"),
        }
        for name in _FILTERS:
            found[f"GET /v1/{name}s"] = partial(self.listed, name)
            found[f"GET /v1/{name}s/{{id}}"] = partial(self.one, name)
        return found

    def writes(self) -> dict[str, Callable[[Form, str], Finish]]:
        """Endpoints that change something."""
        return {
            "POST /v1/invoices": self.create,
            "POST /v1/invoices/{id}": self.update,
            "DELETE /v1/invoices/{id}": self.delete,
            "POST /v1/invoices/{id}/add_lines": self.add_lines,
            "POST /v1/invoices/{id}/finalize": self.finalize,
            "POST /v1/invoices/{id}/pay": self.pay,
            "POST /v1/invoices/{id}/send": self.send,
            "POST /v1/invoices/{id}/void": self.void,
            "POST /v1/invoices/{id}/mark_uncollectible": self.mark_uncollectible,
            "POST /v1/invoices/{id}/attach_payment": self.attach_payment,
            "POST /v1/credit_notes": self.create_note,
            "POST /v1/credit_notes/{id}": self.update_note,
            "POST /v1/credit_notes/{id}/void": self.void_note,
            "POST /v1/payment_records/report_payment": self.report_payment,
            "POST /v1/payment_records/{id}/report_payment_attempt_informational": self.describe_record,
            "POST /v1/payment_records/{id}/report_refund": self.report_refund,
        }

    # ---- reads -----------------------------------------------------------------------------------

    def one(self, name: str, form: Form, remote_id: str) -> HttpResponse:
        """Return one object; a deleted draft is not there."""
        known(form, _EXPAND)
        thing = self._ledger.get(name, remote_id)
        return self._response(200, self._ledger.rendered(thing, expansions_in(form, name)))

    def listed(self, name: str, form: Form, _: str) -> HttpResponse:
        """List objects, newest first."""
        known(form, _FILTERS[name])
        if "invoice" in form:
            # whether it is refused is not documented: the stricter reading
            self._ledger.get("invoice", form["invoice"], "invoice", 400)
        expand = expansions_in(form, name, is_list=True)
        things = self._ledger.things[name]
        wanted = _wanted(form, things)
        ids, has_more = page_of(form, self._ledger.shelves[name], things, name, 0, wanted)
        data = [self._ledger.rendered(things[remote_id], expand) for remote_id in ids]
        return self._response(200, listing(data, f"/v1/{name}s", has_more=has_more))

    def lines(self, name: str, form: Form, remote_id: str) -> HttpResponse:
        """List the lines of a document, in their order."""
        known(form, frozenset({"limit", "starting_after", "expand"}))
        self._ledger.get(name, remote_id)
        data, has_more = slice_of(form, self._ledger.lines[remote_id], "line_item")
        return self._response(200, listing(data, f"/v1/{name}s/{remote_id}/lines", has_more=has_more))

    def search(self, form: Form, _: str) -> HttpResponse:
        """Search an index that lags behind the list, by number or metadata (PROVIDERS §1)."""
        known(form, frozenset({"query", "limit", "page", "expand"}))
        if not isinstance(form.get("query"), str):  # PROVIDERS §1
            raise RefusedError("Missing required param: query.", code="parameter_missing", param="query")
        limit, start = limit_in(form), integer_in(form.get("page", "0"), "page")
        things = self._ledger.things["invoice"]
        # drafts that were deleted meanwhile are left out, the others are as they are now
        ids = [one for one in self._ledger.index.found(form["query"], self._ledger.now) if one in things][::-1]
        found = [things[one] for one in ids]
        expand = expansions_in(form, "invoice", is_list=True)
        data = [self._ledger.rendered(thing, expand) for thing in found[start : start + limit]]
        has_more = len(found) > start + limit
        head = {**listing(data, "/v1/invoices/search", has_more=has_more), "object": "search_result"}
        return self._response(200, {**head, "next_page": str(start + limit) if has_more else None})

    # ---- invoices --------------------------------------------------------------------------------

    def create(self, form: Form, _: str) -> Finish:
        """A new draft."""
        known(form, CREATE_PARAMS)
        customer = self._customer(form)
        if form.get("pending_invoice_items_behavior", "exclude") != "exclude":
            raise RefusedError("This look-alike models exclude only", param="pending_invoice_items_behavior")
        asked = {name: value for name, value in form.items() if name not in _ONCE}
        invoice = blank_invoice(self._ledger, customer, currency_for(customer, form))
        invoice = changed_by(self._ledger, invoice, asked)
        return self._finish(form, lambda cause: self._invoicing.draft(invoice, [], cause))

    def _customer(self, form: Form) -> Thing:
        remote_id = form.get("customer")
        if not remote_id:  # PROVIDERS §5
            raise RefusedError("Missing required param: customer.", code="parameter_missing", param="customer")
        customer = self._ledger.account.customers.get(str(remote_id))
        if customer is None:
            message = f"No such customer: '{remote_id}'"
            raise RefusedError(message, code="resource_missing", param="customer")  # PROVIDERS §5
        return customer

    def update(self, form: Form, remote_id: str) -> Finish:
        """Other attributes; of a finalised invoice only those that are not about money."""
        known(form, UPDATE_PARAMS)
        invoice = self._ledger.get("invoice", remote_id, "invoice")
        if set(form) - ALWAYS_EDITABLE:
            must_be_draft(invoice)
        changed = changed_by(self._ledger, invoice, form)
        lines = self._ledger.lines[remote_id]
        return self._finish(form, lambda cause: self._invoicing.redraft(changed, lines, cause))

    def delete(self, form: Form, remote_id: str) -> Finish:
        """Only drafts can be deleted, and are then not there."""
        known(form, frozenset())
        invoice = self._ledger.get("invoice", remote_id, "invoice")
        if invoice["status"] != "draft":  # PROVIDERS §3, §5: drafts only
            raise RefusedError("You can only delete draft invoices.", code="invoice_not_editable")

        def finish(caller: str, key: str | None, request_id: str) -> HttpResponse:
            self._ledger.remove(invoice, Cause(caller, key, request_id))
            return self._response(200, {"id": remote_id, "object": "invoice", "deleted": True})

        return finish

    def add_lines(self, form: Form, remote_id: str) -> Finish:
        """More lines on a draft, all of them or none."""
        known(form, frozenset({"lines", "invoice_metadata", "expand"}))
        invoice = self._ledger.get("invoice", remote_id, "invoice")
        must_be_draft(invoice)
        if "invoice_metadata" in form:
            raise RefusedError("This look-alike does not model invoice_metadata", param="invoice_metadata")
        lines = [*self._ledger.lines[remote_id], *lines_in(self._ledger, invoice, form.get("lines", ""))]
        return self._finish(form, lambda cause: self._invoicing.redraft(invoice, lines, cause))

    def finalize(self, form: Form, remote_id: str) -> Finish:
        """From here on its amounts are fixed."""
        known(form, frozenset({"auto_advance", "expand"}))
        invoice = self._ledger.get("invoice", remote_id, "invoice")
        must_not_be_final(invoice)
        if "auto_advance" in form:
            invoice = {**invoice, "auto_advance": flag_in(form["auto_advance"], "auto_advance")}
        return self._finish(form, lambda cause: self._invoicing.finalize(invoice, cause))

    def pay(self, form: Form, remote_id: str) -> Finish:
        """All that remains, outside of Stripe; nobody here has a card on file."""
        known(form, frozenset({"paid_out_of_band", "expand", "forgive", "off_session", "payment_method", "source"}))
        invoice = self._ledger.get("invoice", remote_id, "invoice")
        must_be_open(invoice, "uncollectible")
        if form.get("paid_out_of_band") != "true":  # PROVIDERS §5
            raise RefusedError("This customer has no attached payment source or default payment method.", status=402)

        def paid(cause: Cause) -> Thing:
            left = invoice["amount_remaining"]
            amount = {"currency": invoice["currency"], "value": left}
            record = records.blank_record(self._ledger, amount)
            self._ledger.put(record, cause)
            payment = {"type": "payment_record", "payment_record": record["id"]}
            self._invoicing.receive(self._invoicing.expect(invoice, left, payment, cause), left, cause)
            return self._ledger.things["invoice"][remote_id]

        return self._finish(form, paid)

    def send(self, form: Form, remote_id: str) -> Finish:
        """The customer gets mail."""
        known(form, _EXPAND)
        invoice = self._ledger.get("invoice", remote_id, "invoice")
        must_be_open(invoice)

        def sent(_: Cause) -> Thing:
            self._ledger.mails.append(f"invoice {remote_id}")
            return invoice

        return self._finish(form, sent)

    def void(self, form: Form, remote_id: str) -> Finish:
        """For good."""
        known(form, _EXPAND)
        invoice = self._ledger.get("invoice", remote_id, "invoice")
        must_be_open(invoice, "uncollectible")
        if invoice["amount_paid"]:
            # not documented for invoices that are partly paid: the stricter reading
            raise RefusedError("You can't void an invoice that was paid in part.", code="invoice_not_editable")
        return self._finish(form, lambda cause: self._invoicing.void(invoice, cause))

    def mark_uncollectible(self, form: Form, remote_id: str) -> Finish:
        """Given up, and still payable."""
        known(form, _EXPAND)
        invoice = self._ledger.get("invoice", remote_id, "invoice")
        must_be_open(invoice)
        return self._finish(form, lambda cause: self._invoicing.write_off(invoice, cause))

    # ---- payments --------------------------------------------------------------------------------

    def attach_payment(self, form: Form, remote_id: str) -> Finish:
        """A payment record pays as much as remains, at most what is left of it."""
        known(form, frozenset({"payment_intent", "payment_record", "expand"}))
        if "payment_intent" in form:
            raise RefusedError("This look-alike models payment records only", param="payment_intent")
        invoice = self._ledger.get("invoice", remote_id, "invoice")
        must_be_open(invoice, "uncollectible")
        record = self._ledger.get("payment_record", form.get("payment_record"), "payment_record", 400)
        amount = records.attachable(self._ledger, invoice, record)

        def attached(cause: Cause) -> Thing:
            payment = {"type": "payment_record", "payment_record": record["id"]}
            self._invoicing.receive(self._invoicing.expect(invoice, amount, payment, cause), amount, cause)
            return self._ledger.things["invoice"][remote_id]

        return self._finish(form, attached)

    def report_payment(self, form: Form, _: str) -> Finish:
        """Money came in elsewhere."""
        known(form, records.REPORT_PARAMS)
        record = records.record_in(self._ledger, form)
        return self._finish(form, lambda cause: self._ledger.put(record, cause), "payment_record")

    def describe_record(self, form: Form, remote_id: str) -> Finish:
        """What is said about a payment is another thing by now."""
        known(form, frozenset({"expand", "metadata"}))
        record = self._ledger.get("payment_record", remote_id)
        described = {**record, "metadata": metadata_in(form.get("metadata", {}), record)}
        return self._finish(form, lambda cause: self._ledger.put(described, cause), "payment_record")

    def report_refund(self, form: Form, remote_id: str) -> Finish:
        """Money went back elsewhere."""
        known(form, records.REFUND_PARAMS)
        record = records.refunded(self._ledger, self._ledger.get("payment_record", remote_id), form)
        return self._finish(form, lambda cause: self._ledger.put(record, cause), "payment_record")

    # ---- credit notes ----------------------------------------------------------------------------

    def create_note(self, form: Form, _: str) -> Finish:
        """A new credit note; mailed unless told otherwise."""
        known(form, crediting.CREATE_PARAMS)
        note, lines = crediting.note_in(self._ledger, form)

        def issued(cause: Cause) -> Thing:
            made = crediting.issue(self._ledger, self._invoicing, note, lines, cause)
            if form.get("email_type", "credit_note") == "credit_note":
                self._ledger.mails.append(f"credit_note {note['id']}")
            return made

        return self._finish(form, issued, "credit_note")

    def update_note(self, form: Form, remote_id: str) -> Finish:
        """Metadata of a credit note; nothing of its amounts can be changed any more."""
        known(form, frozenset({"expand", "metadata"}))
        note = self._ledger.get("credit_note", remote_id)
        changed = {**note, "metadata": metadata_in(form.get("metadata", {}), note)}
        return self._finish(form, lambda cause: self._ledger.put(changed, cause, "credit_note.updated"), "credit_note")

    def void_note(self, form: Form, remote_id: str) -> Finish:
        """Take a credit note back."""
        known(form, _EXPAND)
        note = self._ledger.get("credit_note", remote_id)
        crediting.must_be_voidable(self._ledger, note)
        voided = partial(crediting.void, self._ledger, self._invoicing, note)
        return self._finish(form, voided, "credit_note")

    def _finish(self, form: Form, change: Callable[[Cause], Thing], name: str = "invoice") -> Finish:
        expand = expansions_in(form, name)

        def finish(caller: str, key: str | None, request_id: str) -> HttpResponse:
            thing = change(Cause(caller, key, request_id))
            return self._response(200, self._ledger.rendered(thing, expand))

        return finish


_ONCE: Final = ("customer", "currency", "pending_invoice_items_behavior")


def _wanted(form: Form, things: Mapping[str, Thing]) -> Callable[[str], bool]:
    filters = {name: form[name] for name in ("collection_method", "customer", "invoice", "status") if name in form}
    payment: Any = form.get("payment", {})

    def wanted(remote_id: str) -> bool:
        # a deleted draft still has its place on the shelf
        thing = things.get(remote_id)
        if thing is None or any(thing[name] != value for name, value in filters.items()):
            return False
        return all(thing["payment"].get(name) == value for name, value in payment.items())

    return wanted
