"""Stripe's half of invoices, payments and credit notes, both directions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from connectors.stripe.manifest import MIRROR_OPEN
from connectors.stripe.translate.credit_copies import credit_step
from connectors.stripe.translate.days import Days, days_of
from connectors.stripe.translate.invoice_copies import invoice_step
from connectors.stripe.translate.payment_copies import payment_step
from connectors.stripe.translate.reading import mark_of, read_credit_note, read_invoice, read_payment
from connectors.stripe.wire.documents import (
    PART_KEY,
    CreditNoteWire,
    InvoicePaymentWire,
    InvoiceWire,
    RecordWire,
    decode_as,
    decode_document,
)
from core.errors import ConfigError
from core.model.documents import Invoice, Payment
from core.model.paper import RemoteDocument, Step, WantedDocument
from core.ports import ConnectionConfig

T = TypeVar("T", InvoiceWire, InvoicePaymentWire, CreditNoteWire)

_ANSWERS: Final = {"yes": True, "no": False, "": False}


def documents(config: ConnectionConfig) -> StripeDocuments:
    """Translate for one connection: its products of the books, and whether copies of open invoices may be made."""
    told = config.settings.get(MIRROR_OPEN, "")
    if told not in _ANSWERS:
        raise ConfigError(f"{MIRROR_OPEN} is {told!r}; say yes or no", key=f"connections.{config.name}.stripe")
    return StripeDocuments(items=config.items, may_be_open=_ANSWERS[told], days=days_of(config))


class StripeDocuments:
    """The pure half of one connection's documents."""

    def __init__(self, *, items: Mapping[str, str], may_be_open: bool, days: Days) -> None:
        """`items`: product of the origin -> product of this account."""
        self._days = days
        self._items = items
        self._may_be_open = may_be_open

    def read(self, kind: str, raw: bytes) -> RemoteDocument:
        """Wire bytes of one document, complete with its lines -> neutral; ReplyError for what does not add up."""
        wire = decode_document(kind, raw)
        if isinstance(wire, InvoiceWire):
            return read_invoice(wire, self._days)
        if isinstance(wire, CreditNoteWire):
            return read_credit_note(wire, self._days)
        return read_payment(wire, self._days)

    def mark(self, kind: str, raw: bytes) -> str | None:
        """Our marker on a document, whatever else about it cannot be taken; None on the later parts of a payment."""
        wire = decode_document(kind, raw)
        if isinstance(wire, InvoiceWire | CreditNoteWire):
            return mark_of(wire.metadata)
        record = wire.payment.payment_record
        is_later = isinstance(record, RecordWire) and (record.metadata or {}).get(PART_KEY, "0") != "0"
        return None if is_later else self.mark_of_part(wire)

    def mark_of_part(self, wire: InvoicePaymentWire) -> str | None:
        """Our marker on any part of a payment."""
        record = wire.payment.payment_record
        return mark_of(record.metadata) if isinstance(record, RecordWire) else None

    def step(self, wanted: WantedDocument, current: bytes | None) -> Step | None:
        """The next write that makes the copy what is wanted; None when it is. Raises RejectedError."""
        document = wanted.document
        if isinstance(document, Invoice):
            there = _decoded(current, InvoiceWire)
            return invoice_step(
                wanted, document, there, items=self._items, may_be_open=self._may_be_open, days=self._days
            )
        if isinstance(document, Payment):
            return payment_step(wanted, document, _decoded(current, InvoicePaymentWire), self._days)
        return credit_step(wanted, document, _decoded(current, CreditNoteWire), self._days)


def _decoded(current: bytes | None, kind: type[T]) -> T | None:
    return None if current is None else decode_as(current, kind)
