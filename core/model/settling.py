"""How much of a copied invoice is to be settled where the copy is, while its payments are copied one by one (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from core.model.documents import Invoice
from core.model.money import ZERO, total_of

Standing = Literal["there", "absent", "moving"]
"""Of what settles an invoice: its copy is made; there is none and nobody is about to make one; or it is on its way."""


class Part(msgspec.Struct, frozen=True):
    """What one payment or credit note settles of the invoice in the registry, and how its own copy stands."""

    amount: Decimal
    standing: Standing


class Span(msgspec.Struct, frozen=True):
    """Between these amounts a copy may be settled. They are equal once all that settles it is there."""

    least: Decimal
    most: Decimal

    def __contains__(self, amount: Decimal) -> bool:
        """Whether a copy that is settled by so much is as it should be."""
        return self.least <= amount <= self.most


def span_of(invoice: Invoice, copy: Invoice, parts: Sequence[Part]) -> Span | None:
    """How much of a copy is to be settled; None while that cannot be told, because something is on its way.

    The registry learns of an invoice and of its payments one after the other: what it knows of only one side is
    neither asked for nor objected to. What was written off is to be so there, too, or settled by something else; and so
    is what the customer's balance at the origin settled, of which no document will ever tell.
    """
    if any(one.standing == "moving" for one in parts):
        return None
    told = total_of([invoice.paid, invoice.credited, -invoice.by_balance])
    there = total_of([one.amount for one in parts if one.standing == "there"])
    known = total_of([one.amount for one in parts])
    left = booked_for(invoice, copy)
    return Span(total_of([min(there, told), left]), total_of([max(known, told), left]))


def booked_for(invoice: Invoice, copy: Invoice) -> Decimal:
    """How much of a copy is to be settled by what a person books there: no document of its origin tells of it."""
    return total_of([invoice.written_off, -copy.written_off, invoice.by_balance, -copy.by_balance])


def settled_of(copy: Invoice) -> Decimal:
    """How much of a copy is settled where it is, whatever by."""
    return total_of([copy.total, -copy.written_off, -copy.due])


def credited_of(settled: Decimal, known: Sequence[tuple[bool, Decimal]]) -> Decimal:
    """How much of what settled an invoice credit notes did, where its origin tells one sum.

    `known`: what is known to settle it, (whether it is a credit note, amount), the surest first. Each has what those
    before it left: the sum and its parts are read one after the other, and need not fit yet.
    """
    left, credited = settled, [ZERO]
    for is_credit, amount in known:
        taken = min(left, amount)
        left = total_of([left, -taken])
        if is_credit:
            credited.append(taken)
    return total_of(credited)
