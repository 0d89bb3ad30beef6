"""Amounts as QuickBooks keeps them: two decimals, each rounded for itself.

PROVIDERS §5: what is reckoned there (README, "What the look-alike rests on"); the rounding is the stricter reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

import msgspec

from connectors.quickbooks.sandbox.rules import Refused, unsupported

CENT: Final = Decimal("0.01")
_MOST: Final = Decimal(10) ** 10


def rounded(amount: Decimal) -> Decimal:
    """To two decimals, whatever the currency."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def amount_in(holder: Mapping[str, Any], name: str, *, places: int = 5) -> Decimal | None:
    """A number of a request, in QuickBooks' 10.5 format (10.7 for factors); a text is none."""
    value = holder.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise unsupported(name)  # stricter reading: a text is no number
    found = Decimal(value)
    if abs(found) >= _MOST or found != found.quantize(Decimal(1).scaleb(-places)):  # PROVIDERS §5: 10.5 digits
        raise Refused("2040", "Invalid Number", f"{name} : {value} is out of range", element=name)
    return found


def encodable(value: Any) -> Any:  # noqa: ANN401 - JSON of any shape
    """The same JSON with its amounts as plain numbers, to the last digit."""
    if isinstance(value, Decimal):
        return msgspec.Raw(format(value, "f").encode())
    if isinstance(value, Mapping):
        return {name: encodable(one) for name, one in value.items()}
    return [encodable(one) for one in value] if isinstance(value, list | tuple) else value
