"""Writing copies of documents: one step each, and after it the whole document as it is then.

What adds something looks first whether it is there: a key is forgotten after a day, the marker is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from connectors.stripe.client import Reply
from connectors.stripe.client.documents import DocumentApi
from connectors.stripe.connector.documents import Documents
from connectors.stripe.manifest import ACCORD_REF
from connectors.stripe.translate.lines import DISCOUNT_KEY, LINE_KEY
from connectors.stripe.translate.money import said
from connectors.stripe.wire import UNDECODABLE, HeadWire
from connectors.stripe.wire.documents import (
    PART_KEY,
    InvoicePaymentWire,
    InvoiceWire,
    RecordWire,
    decode_as,
    id_of,
)
from core.errors import AccordError, AmbiguousError, BugError, GoneError, RejectedError
from core.ports import Sighting, Write, Written

Act = Callable[[Write], Awaitable[Written]]


class Copies:
    """The writes of one connection."""

    def __init__(self, api: DocumentApi, documents: Documents) -> None:
        """Share the connection's client, and how documents are read."""
        self._api = api
        self._documents = documents
        # each is kept by whoever waits for it: nobody of another loop can
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._acts: Mapping[tuple[str, str], Act] = {
            ("invoice", "create"): self._create,
            ("invoice", "update"): self._update,
            ("invoice", "add_lines"): self._add_lines,
            ("invoice", "finalize"): self._act,
            ("invoice", "void"): self._act,
            ("invoice", "mark_uncollectible"): self._act,
            ("payment", "create"): self._in_turn(self._pay),
            ("payment", "apply"): self._in_turn(self._pay),
            ("payment", "refund"): self._refund,
            ("credit_note", "create"): self._in_turn(self._credit),
            ("credit_note", "update"): self._update,
            ("credit_note", "void"): self._act,
        }

    async def write(self, write: Write) -> Written:
        """Carry out one step; raises an error of core.errors."""
        act = self._acts.get((write.kind, write.action))
        if act is None:
            raise BugError(f"Stripe has no step {write.action!r} of a {write.kind}")
        return await act(write)

    def _in_turn(self, act: Act) -> Act:
        """One after the other of each invoice: two that both read first what is due would be told as if each fitted."""

        async def wait_and_act(write: Write) -> Written:
            async with self._turns.setdefault(write.body["invoice"], asyncio.Lock()):
                return await act(write)

        return wait_and_act

    async def _shown(self, write: Write, remote_id: str, reply: Reply | None) -> Written:
        """The document as it is after the write; a replayed answer may be older than what is there."""
        is_replay = reply is None or reply.is_replayed
        try:
            body = reply.body if reply and not is_replay else (await self._api.one(write.kind, remote_id)).body
            sighting = await self._documents.sighting(write.kind, body)
        except AccordError as error:
            raise AmbiguousError(f"it was written, but cannot be read: {error}") from error
        if sighting.id != remote_id:
            raise AmbiguousError("the write's answer shows another document")
        return Written(sighting, is_replay=is_replay)

    # ---- invoices --------------------------------------------------------------------------------

    async def _create(self, write: Write) -> Written:
        reply = await self._api.create(write.kind, write.body, write.key)
        return await self._shown(write, _id_in(reply), reply)

    async def _update(self, write: Write) -> Written:
        remote_id = _of(write)
        reply = await self._api.update(write.kind, remote_id, write.body, write.key)
        return await self._shown(write, remote_id, reply)

    async def _act(self, write: Write) -> Written:
        remote_id = _of(write)
        reply = await self._api.act(write.kind, remote_id, write.action, write.body, write.key)
        return await self._shown(write, remote_id, reply)

    async def _add_lines(self, write: Write) -> Written:
        written = await self._act(write)
        invoice = decode_as(written.sighting.raw, InvoiceWire)
        there = {_key(line.metadata or {}) for line in invoice.lines.data}
        if not {_key(line["metadata"]) for line in write.body["lines"]} <= there:
            # an old answer came back: asked for again, it would for a day
            raise RejectedError(
                "lines of the draft were taken away after they had been added",
                field="lines",
                cure="delete the draft and let go of it, so that it is made anew",
            )
        return written

    # ---- payments --------------------------------------------------------------------------------

    async def _pay(self, write: Write) -> Written:
        invoice, metadata = write.body["invoice"], write.body["report"]["metadata"]
        there = _same_part(await self._documents.payments_of(invoice), metadata)
        if there is None:
            try:
                customer = await self._must_fit(invoice, write.body["report"]["amount_requested"])
            except GoneError as error:
                # tried again, it would fail for ever: a person is asked about the invoice's copy
                raise RejectedError(
                    f"the copy of its invoice, {invoice}, is not there any more",
                    field="applications",
                    cure="answer what is asked about that copy, then `retry`",
                ) from error
            if "first" in write.body:
                await self._api.describe_record(**write.body["first"], key=f"{write.key}-first")
            # a parent's payment settles a child's invoice in some books; Stripe knows of no parents
            report = {**write.body["report"], "customer_details": {"customer": customer}}
            record = _id_in(await self._api.report_payment(report, write.key))
            await self._attach(invoice, record, write.key)
            try:
                there = _same_part(await self._documents.payments_of(invoice), metadata)
            except AccordError as error:
                raise AmbiguousError(f"it was written, but cannot be read: {error}") from error
        if there is None:
            raise AmbiguousError("a payment was attached, and is not there")
        return await self._shown(write, write.remote_id or there.id, None)

    async def _attach(self, invoice: str, record: str, key: str) -> None:
        """A report that was not attached is unclear, never refused: under another key it would be made once more."""
        try:
            await self._api.act("invoice", invoice, "attach_payment", {"payment_record": record}, f"{key}-attach")
        except AccordError as error:
            raise AmbiguousError(f"it was reported as {record}, and not attached: {error}") from error

    async def _must_fit(self, remote_id: str, amount: Mapping[str, Any]) -> str:
        """Whom the invoice bills; RejectedError where less is due of it."""
        # Stripe would apply less, without a word, and keep the rest of the report
        invoice = decode_as((await self._api.one("invoice", remote_id)).body, InvoiceWire)
        if invoice.status not in ("open", "uncollectible") or invoice.amount_remaining < int(amount["value"]):
            due, wanted = (said(one, invoice.currency) for one in (invoice.amount_remaining, int(amount["value"])))
            raise RejectedError(
                f"{due} are due of the {invoice.status} copy {remote_id}, less than {wanted}",
                field="applications",
                limit="what is due there",
                cure="look in Stripe what was paid of it, or credited: if that is this very payment, leave this; else"
                " undo it there, and retry",
            )
        return id_of(invoice.customer)

    async def _refund(self, write: Write) -> Written:
        await self._api.report_refund(write.body["record"], write.body["report"], write.key)
        return await self._shown(write, _of(write), None)

    # ---- credit notes ----------------------------------------------------------------------------

    async def _credit(self, write: Write) -> Written:
        remote_id, body = write.body["invoice"], dict(write.body)
        there = await self._documents.marked_note(remote_id, body["metadata"][ACCORD_REF])
        if there is not None:
            return Written(await self._documents.sighting(write.kind, there), is_replay=True)
        sighting = await self._documents.read("invoice", [remote_id])
        found = sighting[remote_id]
        if not isinstance(found, Sighting):
            raise RejectedError(f"its invoice {remote_id} is gone", field="invoice")
        invoice = decode_as(found.raw, InvoiceWire)
        _must_lower(invoice, body)
        body["lines"] = [_with_rate(line, invoice) for line in body["lines"]]
        reply = await self._api.create(write.kind, body, write.key)
        return await self._shown(write, _id_in(reply), reply)


def _must_lower(invoice: InvoiceWire, body: Mapping[str, Any]) -> None:
    """Stripe lowers what is due by as much as it can; that must be what the origin applied, and of one invoice."""
    taxes = sum(int(tax["amount"]) for line in body["lines"] for tax in line.get("tax_amounts", ()))
    total = sum(int(line["unit_amount"]) for line in body["lines"]) + taxes
    wanted = total - int(body.get("out_of_band_amount", "0"))
    would = min(total, invoice.amount_remaining)
    left = invoice.total - invoice.pre_payment_credit_notes_amount
    if total > left and would == wanted:
        applied, whole, most = (said(one, invoice.currency) for one in (wanted, total, left))
        raise RejectedError(
            f"it credits {whole}, and {most} of the copy can be credited",
            field="total",
            limit="Stripe credits no more than the invoice",
            cure=f"credit {applied} of the copy in Stripe by hand, and leave this: what is over has no place there",
        )
    if would != wanted:
        due = said(invoice.amount_remaining, invoice.currency)
        raise RejectedError(
            f"Stripe would apply {said(would, invoice.currency)}, as {due} are due of the copy, and not"
            f" {said(wanted, invoice.currency)}",
            field="applied",
            cure="bring the payments of the copy in order first",
        )


def _with_rate(line: Mapping[str, Any], invoice: InvoiceWire) -> Mapping[str, Any]:
    """Taxes of a credit note name a rate that Stripe made for the invoice."""
    if "tax_amounts" not in line:
        return line
    taxes = [tax for one in invoice.lines.data for tax in one.taxes or () if tax.tax_behavior == "exclusive"]
    rates = [tax.tax_rate_details.tax_rate for tax in taxes if tax.tax_rate_details and tax.tax_rate_details.tax_rate]
    if not rates:
        raise RejectedError(
            "it credits a tax, and its invoice has none", field="lines", cure="credit it as an amount without tax"
        )
    return {**line, "tax_amounts": [{**tax, "tax_rate": rates[0]} for tax in line["tax_amounts"]]}


def _same_part(payments: list[InvoicePaymentWire], metadata: Mapping[str, str]) -> InvoicePaymentWire | None:
    for one in payments:
        record = one.payment.payment_record
        held = (record.metadata or {}) if isinstance(record, RecordWire) else {}
        if all(held.get(key) == metadata[key] for key in (ACCORD_REF, PART_KEY)):
            return one
    return None


def _key(metadata: Mapping[str, str]) -> tuple[str | None, str | None]:
    return metadata.get(LINE_KEY), metadata.get(DISCOUNT_KEY)


def _of(write: Write) -> str:
    if write.remote_id is None:
        raise BugError(f"{write.action} names no {write.kind}")
    return write.remote_id


def _id_in(reply: Reply) -> str:
    try:
        return msgspec.json.decode(reply.body, type=HeadWire).id
    except UNDECODABLE as error:
        raise AmbiguousError(f"the write's answer is garbage: {error}") from error
