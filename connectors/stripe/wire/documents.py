"""The part of Stripe's invoices, invoice payments and credit notes that Accord looks at.

Decoding and encoding again leaves out everything else: addresses of pages and the customers' own data, which would
make two reads of an unchanged document differ, and which nobody needs here.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from connectors.stripe.wire import UNDECODABLE, loads
from core.errors import ReplyError

Id = Annotated[str, msgspec.Meta(min_length=1)]


class _Struct(msgspec.Struct, omit_defaults=True):
    """Only what differs from the defaults is encoded: one spelling of equal documents."""


class RefWire(_Struct, kw_only=True):
    """An expanded object of which only the id matters."""

    id: Id


Expandable: TypeAlias = str | RefWire | None


class TaxRateWire(_Struct, kw_only=True):
    """Which rate a tax came from."""

    tax_rate: str = ""


class TaxWire(_Struct, kw_only=True):
    """A tax on a line."""

    amount: int
    tax_behavior: str
    tax_rate_details: TaxRateWire | None = None


class PartWire(_Struct, kw_only=True):
    """A discount on a line."""

    amount: int


class PretaxWire(_Struct, kw_only=True):
    """A discount, told once more, or a credit grant."""

    amount: int
    type: str


class PeriodWire(_Struct, kw_only=True):
    """Seconds since 1970; both ends are inside."""

    start: int
    end: int


class PriceWire(_Struct, kw_only=True):
    """Which product a line sells."""

    product: str = ""


class PricingWire(_Struct, kw_only=True):
    """A line's price; decimals of the minor unit as text."""

    price_details: PriceWire | None = None
    unit_amount_decimal: str | None = None


class LineWire(_Struct, kw_only=True):
    """One line of an invoice."""

    id: Id
    amount: int
    description: str | None = None
    quantity: int | None = None
    quantity_decimal: str | None = None
    discount_amounts: list[PartWire] | None = None
    pretax_credit_amounts: list[PretaxWire] | None = None
    taxes: list[TaxWire] | None = None
    period: PeriodWire | None = None
    pricing: PricingWire | None = None
    metadata: dict[str, str] | None = None


class LinesWire(_Struct, kw_only=True):
    """Lines, as far as they came along."""

    data: list[LineWire]
    has_more: bool = False


class ShippingWire(_Struct, kw_only=True):
    """What shipping costs, in sum."""

    amount_total: int = 0
    amount_tax: int = 0


class TransitionsWire(_Struct, kw_only=True):
    """When what happened."""

    finalized_at: int | None = None
    paid_at: int | None = None


class InvoiceWire(_Struct, kw_only=True):
    """One invoice."""

    id: Id
    kind: str = msgspec.field(name="object")
    status: str
    currency: str
    created: int
    total: int
    amount_due: int
    amount_paid: int
    amount_remaining: int
    amount_overpaid: int = 0
    amount_paid_off_stripe: int | None = None
    pre_payment_credit_notes_amount: int = 0
    starting_balance: int = 0
    """Of a draft: what is on the customer's balance now, to be taken off (below 0) or put on."""
    ending_balance: int | None = None
    customer: Expandable = None
    number: str | None = None
    description: str | None = None
    auto_advance: bool | None = None
    effective_at: int | None = None
    due_date: int | None = None
    status_transitions: TransitionsWire | None = None
    shipping_cost: ShippingWire | None = None
    metadata: dict[str, str] | None = None
    lines: LinesWire


class CreditLineWire(_Struct, kw_only=True):
    """One line of a credit note."""

    id: Id
    amount: int
    description: str | None = None
    quantity: int | None = None
    discount_amount: int = 0
    pretax_credit_amounts: list[PretaxWire] | None = None
    taxes: list[TaxWire] | None = None
    unit_amount_decimal: str | None = None
    metadata: dict[str, str] | None = None


class CreditLinesWire(_Struct, kw_only=True):
    """Lines, as far as they came along."""

    data: list[CreditLineWire]
    has_more: bool = False


class CreditNoteWire(_Struct, kw_only=True):
    """One credit note."""

    id: Id
    kind: str = msgspec.field(name="object")
    status: str
    currency: str
    created: int
    amount: int
    pre_payment_amount: int = 0
    post_payment_amount: int = 0
    out_of_band_amount: int | None = None
    customer: Expandable = None
    invoice: Expandable = None
    number: str | None = None
    memo: str | None = None
    reason: str | None = None
    effective_at: int | None = None
    shipping_cost: ShippingWire | None = None
    metadata: dict[str, str] | None = None
    lines: CreditLinesWire


class MethodWire(_Struct, kw_only=True):
    """How money came in."""

    type: str = ""


class ChargeWire(_Struct, kw_only=True):
    """A charge, and how much of it went back."""

    id: Id
    amount: int
    amount_refunded: int = 0
    disputed: bool = False
    payment_method_details: MethodWire | None = None


class IntentWire(_Struct, kw_only=True):
    """A payment intent with the charge that succeeded."""

    id: Id
    amount_received: int = 0
    latest_charge: str | ChargeWire | None = None


class AmountWire(_Struct, kw_only=True):
    """An amount of a payment record."""

    value: int


class CustomWire(_Struct, kw_only=True):
    """A payment method, or a processor, that Stripe does not know."""

    display_name: str | None = None
    payment_reference: str | None = None


class CustomsWire(_Struct, kw_only=True):
    """The same, one level up."""

    type: str = ""
    custom: CustomWire | None = None


class RecordWire(_Struct, kw_only=True):
    """A payment that was reported to Stripe, and that somebody else carried out."""

    id: Id
    amount: AmountWire
    amount_refunded: AmountWire | None = None
    payment_method_details: CustomsWire | None = None
    processor_details: CustomsWire | None = None
    metadata: dict[str, str] | None = None


class PaymentWire(_Struct, kw_only=True):
    """What paid; one of the three is there."""

    type: str
    charge: str | ChargeWire | None = None
    payment_intent: str | IntentWire | None = None
    payment_record: str | RecordWire | None = None


class PaidInvoiceWire(_Struct, kw_only=True):
    """The invoice that was paid."""

    id: Id
    customer: Expandable = None


PART_KEY: Final = "accord_part"
"""Metadata key of a payment record of ours: which application of its payment it is, from 0."""

DAY_KEY: Final = "accord_received_on"
"""Metadata key of a payment record of ours: the day that it was reported as of, which Stripe does not show."""

ALSO_KEY: Final = "accord_also"
"""Metadata key of the first one: the invoices of the others, divided by blanks."""


class MovementWire(_Struct, kw_only=True):
    """Money that a dispute moved: less than 0 where it was taken."""

    amount: int
    currency: str
    fee: int = 0


class DisputeWire(_Struct, kw_only=True):
    """A charge that its payer's bank questions (https://docs.stripe.com/api/disputes/object)."""

    id: Id
    amount: int
    currency: str
    status: str
    balance_transactions: list[MovementWire] = []


class InvoicePaymentWire(_Struct, kw_only=True):
    """How much of a payment goes to one invoice.

    Read besides: `others`, where it is the first part of a copy, its other parts; `disputes` of its charge.
    """

    id: Id
    kind: str = msgspec.field(name="object")
    status: str
    currency: str
    created: int
    amount_requested: int
    amount_paid: int | None = None
    invoice: PaidInvoiceWire
    payment: PaymentWire
    status_transitions: TransitionsWire | None = None
    others: list[InvoicePaymentWire] | None = None
    disputes: list[DisputeWire] | None = None


DocumentWire: TypeAlias = InvoiceWire | InvoicePaymentWire | CreditNoteWire
_T = TypeVar("_T", bound=msgspec.Struct)

WIRES: Final[dict[str, type[InvoiceWire | InvoicePaymentWire | CreditNoteWire]]] = {
    "invoice": InvoiceWire,
    "payment": InvoicePaymentWire,
    "credit_note": CreditNoteWire,
}
"""Neutral kind -> Stripe's object."""

OBJECTS: Final = {"invoice": "invoice", "payment": "invoice_payment", "credit_note": "credit_note"}
"""Neutral kind -> what Stripe calls it."""

_encoder = msgspec.json.Encoder(order="deterministic")


def decode_as(raw: bytes, kind: type[_T]) -> _T:
    """One object, or ReplyError."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise ReplyError(f"not what Stripe documents: {error}") from error
    except UNDECODABLE:
        pass
    try:
        found = msgspec.convert(loads(raw), kind)
        _encoder.encode(found)
    except msgspec.ValidationError as error:
        raise ReplyError(f"not what Stripe documents: {error}") from error
    except UnicodeEncodeError as error:
        raise ReplyError("a text contains a lone surrogate") from error
    return found


def decode_document(kind: str, raw: bytes) -> DocumentWire:
    """One document of a neutral kind, or ReplyError."""
    found: DocumentWire = decode_as(raw, WIRES[kind])
    if found.kind != OBJECTS[kind]:
        raise ReplyError(f"not a Stripe {OBJECTS[kind]}, but a {found.kind}")
    return found


def encode_document(document: DocumentWire) -> bytes:
    """The same bytes for the same document, however it was come by."""
    return _encoder.encode(document)


def id_of(value: Expandable | PaidInvoiceWire) -> str:
    """The id, expanded or not; "" for none."""
    if value is None:
        return ""
    return value if isinstance(value, str) else value.id
