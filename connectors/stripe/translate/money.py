"""Stripe's own table of minor units, which is not ISO 4217's. Pure.

Whoever multiplies by a hundred bills yen a hundred times over.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from core.errors import InvalidInputError, RejectedError
from core.model.money import exponent, from_minor, to_minor

_ZERO_DECIMAL: Final = frozenset("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split())
_THREE_DECIMAL: Final = frozenset("BHD JOD KWD OMR TND".split())
_TWO_AS_BEFORE: Final = frozenset({"ISK", "UGX"})
"""Without decimals today, and written as if they had two: the last two digits are zeros."""


def places(currency: str) -> int:
    """How many decimals Stripe's integers have in a currency (`JPY` 0, `ISK` 2, `KWD` 3); InvalidInputError."""
    if currency in _ZERO_DECIMAL:
        return 0
    if currency in _THREE_DECIMAL:
        return 3
    if currency not in _TWO_AS_BEFORE and exponent(currency) != 2:
        raise InvalidInputError(
            f"Stripe does not say how it writes amounts in {currency}",
            field="currency",
            cure="bill in another currency",
        )
    return 2


def grain(currency: str) -> int:
    """The least that two amounts can differ by, in Stripe's integers: what is divided is divided into these."""
    if currency in _THREE_DECIMAL:
        return 10
    return 100 if currency in _TWO_AS_BEFORE else 1


def amount_in(minor: int, currency: str) -> Decimal:
    """One of Stripe's integers as an amount: 1000 is 10.00 EUR, 1000 JPY, 10.00 ISK."""
    found = from_minor(minor, places(currency))
    return found.to_integral_value() if currency in _TWO_AS_BEFORE and not minor % 100 else found


def said(minor: int, currency: str) -> str:
    """One of Stripe's integers as people say it: 4000 is read as a hundred times 40.00 USD."""
    return f"{amount_in(minor, currency.upper())} {currency.upper()}"


def minor_out(amount: Decimal, currency: str, field: str) -> int:
    """An amount as one of Stripe's integers; RejectedError where it cannot be one."""
    try:
        minor = to_minor(amount, places(currency))
    except InvalidInputError as error:
        raise RejectedError(
            f"{amount} {currency}: {error.problem}", field=field, limit=error.limit, cure=error.cure
        ) from error
    if currency in _THREE_DECIMAL and minor % 10:
        raise RejectedError(
            f"{amount} {currency} does not end with 0", field=field, limit="Stripe takes two of the three decimals"
        )
    if currency in _TWO_AS_BEFORE and minor % 100:
        raise RejectedError(f"{amount} {currency} has decimals", field=field, limit="Stripe takes none")
    return minor
