"""Stripe's half of invoices, payments and credit notes. Pure."""

from __future__ import annotations

from connectors.stripe.translate.reading import mark_of, read_credit_note, read_invoice, read_payment
from connectors.stripe.wire.documents import CreditNoteWire, InvoiceWire, RecordWire, decode_document
from core.errors import RejectedError
from core.model.paper import RemoteDocument, Step, WantedDocument
from core.ports import ConnectionConfig


def documents(config: ConnectionConfig) -> StripeDocuments:  # noqa: ARG001 - the port's shape
    """Translate for one connection."""
    return StripeDocuments()


class StripeDocuments:
    """The pure half of one connection's documents."""

    def read(self, kind: str, raw: bytes) -> RemoteDocument:
        """Wire bytes of one document, complete with its lines -> neutral; ReplyError for what does not add up."""
        wire = decode_document(kind, raw)
        if isinstance(wire, InvoiceWire):
            return read_invoice(wire)
        if isinstance(wire, CreditNoteWire):
            return read_credit_note(wire)
        return read_payment(wire)

    def mark(self, kind: str, raw: bytes) -> str | None:
        """Our marker on a document, whatever else about it cannot be taken."""
        wire = decode_document(kind, raw)
        if isinstance(wire, InvoiceWire | CreditNoteWire):
            return mark_of(wire.metadata)
        record = wire.payment.payment_record
        return mark_of(record.metadata) if isinstance(record, RecordWire) else None

    def step(self, wanted: WantedDocument, current: bytes | None) -> Step | None:  # noqa: ARG002 - the port's shape
        """No copy is made at Stripe."""
        raise RejectedError("copies are not made at Stripe", field="id", cure="leave documents out of this connection")
