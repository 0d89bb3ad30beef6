"""The part of Stripe's payouts and balance transactions that Accord looks at."""

from __future__ import annotations

from typing import Annotated

import msgspec

Id = Annotated[str, msgspec.Meta(min_length=1)]


class PayoutWire(msgspec.Struct, kw_only=True):
    """Money sent to the bank (https://docs.stripe.com/api/payouts/object)."""

    id: Id
    amount: int
    currency: str
    status: str
    automatic: bool
    arrival_date: int | None = None
    balance_transaction: str | None = None
    reconciliation_status: str = "completed"


class SourceWire(msgspec.Struct, kw_only=True):
    """What moved the balance: a charge, or what is about one."""

    id: Id
    kind: str = msgspec.field(name="object")
    charge: str | None = None


class TransactionWire(msgspec.Struct, kw_only=True):
    """One movement of the balance (https://docs.stripe.com/api/balance_transactions/object)."""

    id: Id
    amount: int
    currency: str
    fee: int
    net: int
    created: int
    reporting_category: str
    description: str | None = None
    source: SourceWire | str | None = None
