"""Amounts: Decimal inside, integer minor units at the edges, nothing in between and nothing rounded silently (pure).

Exponents are ISO 4217's. Where a provider has its own (Stripe's ISK and UGX), its connector has a table of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import cache
from typing import Any, Final

import msgspec
from iso4217 import Currency

from core.errors import InvalidInputError

ZERO: Final = Decimal(0)

_OTHER: Final = ("quantity", "fee")
"""Numbers that are no amounts of a document's currency."""
_EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])
"""Wide enough for any product of a quantity and a price; what would have to be rounded raises."""


@cache
def exponent(currency: str) -> int:
    """How many decimals the currency's minor unit has (`JPY` 0, `EUR` 2, `KWD` 3); InvalidInputError."""
    try:
        found = Currency(currency).exponent
    except ValueError:
        found = None
    if found is None:
        raise InvalidInputError(
            f"{currency!r} is no currency that amounts can be in", field="currency", cure="use an ISO 4217 code: EUR"
        )
    return int(found)


def to_minor(amount: Decimal, places: int) -> int:
    """`Decimal("10.50"), 2` -> 1050. InvalidInputError for an amount finer than the minor unit, or no number at all."""
    try:
        if amount.is_finite():
            return int(_EXACT.to_integral_exact(_EXACT.scaleb(amount, places)))
    except (Inexact, InvalidOperation):
        pass
    raise InvalidInputError(
        f"{amount} is finer than the currency's smallest unit",
        field="amount",
        limit=f"{places} decimals",
        cure="round it where it is made; nothing is rounded here",
    )


def from_minor(minor: int, places: int) -> Decimal:
    """`1050, 2` -> Decimal("10.50"): with exactly that many decimals."""
    return Decimal(minor).scaleb(-places, _EXACT)


def is_whole(amount: Decimal, currency: str) -> bool:
    """True for an amount that the currency's smallest unit can pay."""
    try:
        to_minor(amount, exponent(currency))
    except InvalidInputError:
        return False
    return True


def spelled(amount: Decimal, currency: str) -> str:
    """An amount as its currency is written: `5` JPY, `5.00` EUR. A finer one stays as it is: nothing is rounded."""
    places = exponent(currency)
    return format(from_minor(to_minor(amount, places), places) if is_whole(amount, currency) else amount, "f")


def written(of: msgspec.Struct, currency: str) -> dict[str, Any]:
    """What a record says, JSON-able, each of its amounts as the currency is written."""
    found: dict[str, Any] = msgspec.to_builtins(of)
    return found | {
        name: _written(value, currency)
        for name in of.__struct_fields__
        if name not in _OTHER and (value := getattr(of, name)) is not None
    }


def _written(value: object, currency: str) -> object:
    if isinstance(value, Decimal):
        return spelled(value, currency)
    if isinstance(value, tuple):
        return [_written(one, currency) for one in value]
    return written(value, currency) if isinstance(value, msgspec.Struct) else msgspec.to_builtins(value)


def total_of(amounts: Sequence[Decimal]) -> Decimal:
    """The exact sum."""
    found = ZERO
    for one in amounts:
        found = _EXACT.add(found, one)
    return found


def product(one: Decimal, other: Decimal) -> Decimal:
    """The exact product."""
    return _EXACT.multiply(one, other)


def allocated(total: int, weights: Sequence[Decimal]) -> list[int]:
    """Divide minor units by weights (none negative): largest remainder first, ties to the earlier; the parts sum up.

    Without any weight everything goes to the first part. InvalidInputError when there is no part at all.
    """
    if not weights:
        raise InvalidInputError("there is nothing to divide an amount among", field="lines", cure="name one at least")
    whole = total_of(weights)
    if not whole:
        return [total, *(0 for _ in weights[1:])]
    shares = [Decimal(total) * weight / whole for weight in weights]
    parts = [int(share) for share in shares]
    step = 1 if total >= 0 else -1
    order = sorted(range(len(parts)), key=lambda index: (-abs(shares[index] - parts[index]), index))
    for index in order[: abs(total - sum(parts))]:
        parts[index] += step
    return parts
