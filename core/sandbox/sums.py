"""Conservation at every system: payments, credits, write-offs and what is due are the total. Nothing here asks Accord.

What settles an invoice is reckoned from the objects that settle it where they are made, not from what the invoice
says of itself, and not from what Accord wrote on a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

Document = Mapping[str, Any]
Systems = Mapping[str, Mapping[str, Mapping[str, Document]]]
"""Documents in neutral names: by system, kind and id."""
Booked = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Payments as QuickBooks has them, by company and id: those of nothing, which apply a credit, are among them."""

_ZERO = Decimal(0)


def unbalanced(systems: Systems, booked: Booked) -> Iterator[str]:
    """What does not add up at a system that bills, and what any system says of its own invoices.

    The books' own say of what was paid is total less balance; what settles an invoice there is told by payments only.
    """
    for system, shown in systems.items():
        for name, one in shown["invoice"].items():
            parts = [Decimal(one.get(part) or 0) for part in ("paid", "credited", "written_off", "due")]
            if _is_counted(system, one) and sum(parts) != Decimal(one["total"]):
                yield f"{system} {name}: {parts} are not {one['total']}"
    if "stripe" in systems:
        yield from _at_stripe(systems["stripe"])
    for books, payments in booked.items():
        linked = _linked(payments)
        for name, one in systems[books]["invoice"].items():
            settled = linked.get(name, _ZERO)
            if one["status"] != "void" and settled + Decimal(one["due"]) != Decimal(one["total"]):
                yield f"{books} {name}: {settled} settles it, and {one['due']} of {one['total']} is due"


def unsettled(systems: Systems, booked: Booked, mirror: str) -> Iterator[str]:
    """Copies at a system without payments of its own: their lines are what settled the originals, and what is due.

    There is no other total that Accord did not write.
    """
    settled: dict[str, Decimal] = {}
    for system, shown in systems.items():
        if system != mirror:
            by_name = _linked(booked[system]) if system in booked else _settled_at_stripe(shown)
            for name, one in shown["invoice"].items():
                if not one.get("mark"):
                    written_off = Decimal(one.get("written_off") or 0)
                    settled[one["number"]] = by_name.get(name, _ZERO) + written_off
    for name, one in systems[mirror]["invoice"].items():
        if one.get("mark") and one["status"] not in ("draft", "void") and one["number"] in settled:
            lines, due = sum(map(_worth, one["lines"]), _ZERO), Decimal(one["due"])
            if settled[one["number"]] + due != lines:
                told = f"{settled[one['number']]} settled the original of {one['number']}"
                yield f"{mirror} {name}: its lines are {lines}; {told}, and {due} is due"


def _worth(line: Document) -> Decimal:
    return Decimal(line["amount"]) - Decimal(line["discount"]) + Decimal(line["tax"])


def _is_counted(system: str, one: Document) -> bool:
    if one["status"] == "void" or (system, one["status"]) == ("hubspot", "uncollectible"):
        return False
    return one["status"] != "draft" or not one.get("mark")


def _at_stripe(shown: Mapping[str, Mapping[str, Document]]) -> Iterator[str]:
    paid, credited = _paid(shown), _credited(shown)
    for name, one in shown["invoice"].items():
        for what, told in (("paid", paid), ("credited", credited)):
            if one["status"] != "void" and told.get(name, _ZERO) != Decimal(one[what]):
                yield f"stripe {name} says {one[what]} is {what}, and what settles it is {told.get(name, _ZERO)}"


def _settled_at_stripe(shown: Mapping[str, Mapping[str, Document]]) -> dict[str, Decimal]:
    paid, credited = _paid(shown), _credited(shown)
    return {name: paid.get(name, _ZERO) + credited.get(name, _ZERO) for name in shown["invoice"]}


def _paid(shown: Mapping[str, Mapping[str, Document]]) -> dict[str, Decimal]:
    paid: dict[str, Decimal] = {}
    for one in shown["payment"].values():
        for part in one["applications"] if one["status"] == "succeeded" else ():
            paid[part["invoice"]] = paid.get(part["invoice"], _ZERO) + Decimal(part["amount"])
    return paid


def _credited(shown: Mapping[str, Mapping[str, Document]]) -> dict[str, Decimal]:
    credited: dict[str, Decimal] = {}
    for one in shown["credit_note"].values():
        if one["status"] == "issued":
            credited[one["invoice"]] = credited.get(one["invoice"], _ZERO) + Decimal(one["applied"])
    return credited


def _linked(booked: Mapping[str, Mapping[str, Any]]) -> dict[str, Decimal]:
    """What the books' payments settle of each invoice, money and credits alike."""
    found: dict[str, Decimal] = {}
    for payment in booked.values():
        for line in payment["Line"]:
            for link in line["LinkedTxn"]:
                if link["TxnType"] == "Invoice":
                    found[link["TxnId"]] = found.get(link["TxnId"], _ZERO) + Decimal(line["Amount"])
    return found
