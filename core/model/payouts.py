"""Payouts: what a provider sent to the bank, and what it is made of (pure). Nothing of it is booked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from core.model.money import ZERO, total_of

MovementKind = Literal["payment", "refund", "dispute", "fee", "other"]


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that moved the balance: `amount` before `fee`, less than 0 where money went out.

    `about`: what the provider calls the payment that it belongs to; "" for none.
    """

    id: str
    kind: MovementKind
    amount: Decimal
    fee: Decimal = ZERO
    about: str = ""
    note: str = ""
    moved_on: date | None = None


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """Money that went to the bank. `is_itemised`: the provider tells what it is made of; `note` says why not."""

    id: str
    status: str
    currency: str
    amount: Decimal
    arrives_on: date | None = None
    is_itemised: bool = True
    note: str = ""


class PaidOut(msgspec.Struct, frozen=True, kw_only=True):
    """A payout with all that it is made of; what went to the bank itself is not among the movements."""

    payout: Payout
    movements: tuple[Movement, ...]


class Sums(msgspec.Struct, frozen=True, kw_only=True):
    """gross + refunds + disputes + other - fees = net; payout - net = difference, in the payout's currency."""

    gross: Decimal
    refunds: Decimal
    disputes: Decimal
    other: Decimal
    fees: Decimal
    net: Decimal
    difference: Decimal


def sums_of(payout: Payout, movements: Sequence[Movement]) -> Sums:
    """What a payout is made of, by kind. A fee that is charged by itself is a fee, whatever its sign there."""

    def amount(kind: MovementKind) -> Decimal:
        return total_of([one.amount for one in movements if one.kind == kind])

    fees = total_of([*(one.fee for one in movements), -amount("fee")])
    parts = [amount("payment"), amount("refund"), amount("dispute"), amount("other")]
    net = total_of([*parts, -fees])
    return Sums(
        gross=parts[0],
        refunds=parts[1],
        disputes=parts[2],
        other=parts[3],
        fees=fees,
        net=net,
        difference=total_of([payout.amount, -net]),
    )
