"""Conservation at every system, reckoned from what its look-alike holds: nothing here asks Accord."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tests.simulation.papers import Shown

Systems = Mapping[str, Mapping[str, Mapping[str, Shown]]]
"""Documents in neutral names: by system, kind and id."""

_ZERO = Decimal(0)


def unbalanced(systems: Systems, booked: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """F4: payments + credits + write-offs + balance = total. `booked`: payments of the books as they have them.

    The books' own say of what was paid is total less balance; what settles an invoice there is told by payments only.
    """
    for system, shown in systems.items():
        for name, one in shown["invoice"].items():
            parts = [Decimal(one.get(part) or 0) for part in ("paid", "credited", "written_off", "due")]
            if _is_counted(system, one) and sum(parts) != Decimal(one["total"]):
                yield f"F4: {system} {name}: {parts} are not {one['total']}"
    yield from _at_stripe(systems["stripe"])
    for name, one in systems["quickbooks"]["invoice"].items():
        linked = sum((_linked(row, name) for row in booked.values()), _ZERO)
        if one["status"] != "void" and linked + Decimal(one["due"]) != Decimal(one["total"]):
            yield f"F4: quickbooks {name}: {linked} settles it, and {one['due']} of {one['total']} is due"


def _is_counted(system: str, one: Shown) -> bool:
    if one["status"] == "void" or (system, one["status"]) == ("hubspot", "uncollectible"):
        return False
    return one["status"] != "draft" or not one.get("mark")


def _at_stripe(shown: Mapping[str, Mapping[str, Shown]]) -> Iterator[str]:
    paid: dict[str, Decimal] = {}
    for one in shown["payment"].values():
        for part in one["applications"] if one["status"] == "succeeded" else ():
            paid[part["invoice"]] = paid.get(part["invoice"], _ZERO) + Decimal(part["amount"])
    credited: dict[str, Decimal] = {}
    for one in shown["credit_note"].values():
        if one["status"] == "issued":
            credited[one["invoice"]] = credited.get(one["invoice"], _ZERO) + Decimal(one["applied"])
    for name, one in shown["invoice"].items():
        for what, told in (("paid", paid), ("credited", credited)):
            if one["status"] != "void" and told.get(name, _ZERO) != Decimal(one[what]):
                yield f"F4: stripe {name} says {one[what]} is {what}, and what settles it is {told.get(name, _ZERO)}"


def _linked(payment: Mapping[str, Any], invoice: str) -> Decimal:
    wanted = [{"TxnId": invoice, "TxnType": "Invoice"}]
    return sum((line["Amount"] for line in payment["Line"] if line["LinkedTxn"] == wanted), _ZERO)
