"""How one company's books take documents: the settings of its connection, read once."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from core.errors import ConfigError
from core.ports import ConnectionConfig

_SWITCH: Final = {"yes": True, "no": False}
_MOST_PERCENT: Final = 100


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """Where lines, payments and tax go in these books.

    `items`: product -> item id. `tax_codes`: (percent, tax code), as configured. `overrides_tax`: the company's edition
    takes the tax that it is told; otherwise it computes its own, line by line, and a rounding line makes up for it.
    `deposits`: route -> account, where it is not `deposit_account`; a route is a connection, or that and a currency.
    """

    is_us: bool = True
    items: Mapping[str, str] = {}
    default_item: str = ""
    creates_items: bool = False
    income_account: str = ""
    rounding_item: str = ""
    deposit_account: str = ""
    deposits: Mapping[str, str] = {}
    overrides_tax: bool = True
    tax_codes: tuple[tuple[Decimal, str], ...] = ()

    def account_of(self, origin: str, currency: str) -> str:
        """Where money goes that came in at a connection; "" where nothing says."""
        routes = (f"{origin}.{currency}", origin)
        return next((self.deposits[one] for one in routes if one in self.deposits), self.deposit_account)


def booking_of(config: ConnectionConfig, *, is_us: bool) -> Booking:
    """Read the settings of a connection that are about documents; ConfigError names the one that is wrong."""
    at, settings = f"connections.{config.name}", config.settings
    found = Booking(
        is_us=is_us,
        items=dict(config.items),
        default_item=settings.get("default_item", ""),
        creates_items=_switch(at, settings, "create_items", default=False),
        income_account=settings.get("income_account", ""),
        rounding_item=settings.get("rounding_item", ""),
        deposit_account=settings.get("deposit_account", ""),
        deposits=dict(config.deposits),
        overrides_tax=_switch(at, settings, "tax_override", default=is_us),
        tax_codes=_tax_codes(at, settings.get("tax_codes", "")),
    )
    if found.creates_items and not found.income_account:
        raise ConfigError("create_items needs the account that new items earn for", key=f"{at}.income_account")
    return found


def _switch(at: str, settings: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = settings.get(name)
    if text is None:
        return default
    if text not in _SWITCH:
        raise ConfigError(f"{text!r} is neither yes nor no", key=f"{at}.{name}")
    return _SWITCH[text]


def _tax_codes(at: str, text: str) -> tuple[tuple[Decimal, str], ...]:
    """`19:5, 7:8, 0:2` -> percent and tax code; one code for each percentage."""
    found: dict[Decimal, str] = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        percent, _, code = part.partition(":")
        try:
            rate = Decimal(percent.strip())
        except InvalidOperation:
            rate = Decimal("NaN")
        if not code.strip() or not rate.is_finite() or not 0 <= rate < _MOST_PERCENT:
            raise ConfigError(f"{part!r} is not PERCENT:CODE, as in 19:5", key=f"{at}.tax_codes")
        if found.setdefault(rate, code.strip()) != code.strip():
            raise ConfigError(f"{rate:f} has two codes, {found[rate]} and {code.strip()}", key=f"{at}.tax_codes")
    return tuple(found.items())
