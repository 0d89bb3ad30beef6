"""How HubSpot spells numbers and dates, and which of them it keeps exactly (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from connectors.hubspot.manifest import TEXT_LIMIT
from connectors.hubspot.wire import is_storable
from core.errors import RejectedError, ReplyError
from core.model.money import exponent, from_minor, to_minor

Spelling = Literal["string", "number", "date"]
"""How the values of a property compare: `10.50` and `10.5` are one number, a day has three spellings."""

DIGITS: Final = 15
"""More significant digits than these are not certain to survive in a number of HubSpot's."""

_WIDEST: Final = 28
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DAY_MILLISECONDS: Final = 86_400_000


def amount_text(amount: Decimal, currency: str, field: str) -> str:
    """A whole amount: 10.5 of EUR -> `10.50`. RejectedError for what HubSpot's numbers cannot hold exactly."""
    places = exponent(currency)
    return _within(from_minor(to_minor(amount, places), places), field)


def number_text(number: Decimal, field: str) -> str:
    """Any other number, without an exponent."""
    return _within(number.normalize() if number else Decimal(0), field)


def _within(number: Decimal, field: str) -> str:
    spelled = f"{number:f}" if abs(number.adjusted()) <= _WIDEST else str(number)
    if "E" in spelled or len(spelled.lstrip("-0.").replace(".", "").rstrip("0")) > DIGITS:
        raise RejectedError(
            f"{number} has too many digits",
            field=field,
            limit=f"{DIGITS} digits that count",
            cure="HubSpot cannot hold it exactly; leave this document out there",
        )
    return spelled


def date_text(day: date | None) -> str:
    """Midnight UTC in milliseconds, which dates and times of HubSpot's both take; "" clears."""
    return str((day.toordinal() - _EPOCH) * _DAY_MILLISECONDS) if day else ""


def checked_text(text: str, field: str) -> str:
    """Text as it is; RejectedError for what no property can hold."""
    if len(text) > TEXT_LIMIT:
        problem, limit = f"has {len(text)} characters", f"{TEXT_LIMIT} characters"
    elif not is_storable(text):
        problem, limit = "holds a character that cannot be stored", "no U+0000"
    else:
        return text
    raise RejectedError(problem, field=field, limit=limit, cure="nothing is cut short: change it at its origin")


def text_in(properties: Mapping[str, Any], name: str) -> str:
    """A property's text, "" where there is none."""
    found = properties.get(name)
    return found.strip() if isinstance(found, str) else ""


def number_in(properties: Mapping[str, Any], name: str) -> Decimal | None:
    """A property's number, None where there is none; ReplyError for what is no number that can be reckoned with."""
    text = text_in(properties, name)
    if not text:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or max(len(number.as_tuple().digits), abs(number.adjusted())) > _WIDEST:
        raise ReplyError(f"property {name} is no number: {text[:50]!r}")
    return number


def date_in(properties: Mapping[str, Any], name: str) -> date | None:
    """A property's day, from `2026-11-01`, `2026-11-01T00:00:00Z` or milliseconds; ReplyError for anything else."""
    text = text_in(properties, name)
    if not text:
        return None
    try:
        if text.removeprefix("-").isdecimal():
            return date.fromordinal(_EPOCH + int(text) // _DAY_MILLISECONDS)
        at = datetime.fromisoformat(text)
        return (at.astimezone(UTC) if at.tzinfo else at).date()
    except (ValueError, OverflowError):
        raise ReplyError(f"property {name} is no date: {text[:50]!r}") from None


def is_same(spelling: Spelling, name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a property means the same in both; what cannot be read is like nothing."""
    try:
        if spelling == "number":
            return number_in(one, name) == number_in(other, name)
        if spelling == "date":
            return date_in(one, name) == date_in(other, name)
    except ReplyError:
        return False
    return text_in(one, name) == text_in(other, name)
