"""The billing overview of a customer as fields of its objects, for connections whose people look at it there (pure).

They are the registry's alone: reckoned from documents, written, put back where somebody edits them, never taken in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from core.errors import InvalidInputError
from core.model.money import exponent, spelled
from core.model.overview import Overview
from core.model.values import FIGURE_PREFIX, Fields, Value

CURRENCY: Final = f"{FIGURE_PREFIX}currency"
LAST_PAID_ON: Final = f"{FIGURE_PREFIX}last_paid_on"
OTHERS: Final = f"{FIGURE_PREFIX}other_currencies"
AMOUNTS: Final[Mapping[str, str]] = {
    f"{FIGURE_PREFIX}{name}": name for name in ("gross_revenue", "outstanding", "overdue")
}
FIGURES: Final = (CURRENCY, *AMOUNTS, LAST_PAID_ON, OTHERS)
NONE: Final[Fields] = {}
"""Of a customer without documents: all of them blank."""


def figures_of(found: Sequence[Overview], own: str) -> Fields:
    """The fields of a customer whose currency is `own` ("" for none), from its overviews, one for each currency.

    Amounts of several currencies add up to nothing: those of the main one stand there, the codes of the others beside.
    """
    if not found:
        return NONE
    main = min(found, key=lambda one: (one.currency != own, -one.invoices, one.currency))
    others = sorted(one.currency for one in found if one.currency != main.currency)
    unit = Decimal(1).scaleb(-exponent(main.currency))
    amounts = {field: f"{getattr(main, name).quantize(unit):f}" for field, name in AMOUNTS.items()}
    return {
        CURRENCY: main.currency,
        **amounts,
        LAST_PAID_ON: main.last_paid_on.isoformat() if main.last_paid_on else None,
        OTHERS: ", ".join(others) or None,
    }


def in_currency(field: str, value: Value, currency: Value) -> Value:
    """What a figure says to people: an amount as its currency is written, however a system spells it; else as it is."""
    if field not in AMOUNTS or not isinstance(value, str) or not isinstance(currency, str):
        return value
    try:
        return spelled(Decimal(value), currency)
    except (InvalidInputError, InvalidOperation):
        return value
