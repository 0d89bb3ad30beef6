"""Stripe's payouts and balance transactions in neutral form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connectors.stripe.translate.days import Days
from connectors.stripe.translate.lines import currency_of, text_of
from connectors.stripe.translate.money import amount_in
from connectors.stripe.wire.payouts import PayoutWire, SourceWire, TransactionWire
from core.errors import ReplyError
from core.model.payouts import Movement, MovementKind, Payout

_KINDS: Final[Mapping[str, MovementKind]] = {
    "charge": "payment",
    "charge_failure": "payment",
    "refund": "refund",
    "refund_failure": "refund",
    "partial_capture_reversal": "refund",
    "dispute": "dispute",
    "dispute_reversal": "dispute",
    "fee": "fee",
    "network_cost": "fee",
}
"""Stripe's reporting categories (https://docs.stripe.com/reports/reporting-categories); all others are `other`."""
_UTC: Final = Days()
_NOTES: Final = {
    "not_applicable": "sent by a person: Stripe does not tell what it is made of",
    "in_progress": "Stripe has not finished telling what it is made of",
}


def read_payout(wire: PayoutWire) -> Payout:
    """One payout. What one is made of that a person sent, Stripe does not know."""
    currency = currency_of(wire.currency)
    status = wire.reconciliation_status if wire.automatic else "not_applicable"
    return Payout(
        id=wire.id,
        status=text_of(wire.status),
        currency=currency,
        amount=amount_in(wire.amount, currency),
        arrives_on=_UTC.day_of(wire.arrival_date),
        is_itemised=wire.automatic,
        note=_NOTES.get(status, ""),
    )


def read_movement(wire: TransactionWire, currency: str) -> Movement:
    """One movement of a payout in this currency."""
    if currency_of(wire.currency) != currency:
        raise ReplyError(f"{wire.id} is in {currency_of(wire.currency)}, its payout in {currency}")
    if wire.net != wire.amount - wire.fee:
        raise ReplyError(f"{wire.id} comes to {wire.net} minor units, but its amount less its fee to another sum")
    kind = _KINDS.get(wire.reporting_category, "other")
    return Movement(
        id=wire.id,
        kind=kind,
        amount=amount_in(wire.amount, currency),
        fee=amount_in(wire.fee, currency),
        about=_charge(wire.source),
        note=text_of(wire.description or (wire.reporting_category if kind == "other" else "")),
        moved_on=_UTC.day_of(wire.created),
    )


def is_itself(wire: TransactionWire, payout: PayoutWire) -> bool:
    """Whether a movement is the payout itself leaving the balance."""
    source = wire.source.id if isinstance(wire.source, SourceWire) else wire.source
    return wire.id == payout.balance_transaction or source == payout.id


def _charge(source: SourceWire | str | None) -> str:
    """What a payment's reference is in the registry."""
    if not isinstance(source, SourceWire):
        return ""
    return source.id if source.kind == "charge" else source.charge or ""
