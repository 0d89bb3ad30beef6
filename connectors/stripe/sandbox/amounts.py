"""Minor units as Stripe writes them, for people at the dashboard. Independent of translate.

PROVIDERS §5: currencies (README, "What the look-alike rests on").
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

_NO_DECIMALS: Final = "bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split()
_THOUSANDTHS: Final = ["bhd", "jod", "kwd", "omr", "tnd"]
_ALWAYS_WHOLE: Final = ["isk", "ugx"]


def digits(currency: str) -> int:
    """How many digits of an integer stand behind the point."""
    return 0 if currency in _NO_DECIMALS else 3 if currency in _THOUSANDTHS else 2


def minor(text: object, currency: str) -> int:
    """`"10.50"` as 1050; ValueError for what the currency cannot say."""
    found = Decimal(str(text)) * 10 ** digits(currency)
    if found != int(found) or not is_sayable(int(found), currency):
        raise ValueError(f"{text} is no amount in {currency}")
    return int(found)


def is_sayable(amount: int, currency: str) -> bool:
    """Two of three decimals are used; krónur and shillings are whole."""
    return not amount % grain(currency)


def grain(currency: str) -> int:
    """The least that amounts differ by."""
    return 10 if currency in _THOUSANDTHS else 100 if currency in _ALWAYS_WHOLE else 1


def spoken(amount: int, currency: str) -> str:
    """1050 as `"10.50"`, with the currency's own decimals."""
    value = Decimal(amount).scaleb(-digits(currency))
    if currency in _ALWAYS_WHOLE and value == value.to_integral_value():
        return str(int(value))
    return f"{value:f}"
