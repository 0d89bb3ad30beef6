"""The billing overview of a customer: properties of a contact or company that only Accord writes (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from connectors.hubspot.translate.definition import Definition
from connectors.hubspot.translate.spelling import DIGITS, Spelling, date_in, date_text, number_in, text_in
from core.errors import ReplyError
from core.model.figures import AMOUNTS, CURRENCY, LAST_PAID_ON, OTHERS
from core.model.remote import Refusal
from core.model.values import Value


class Place(msgspec.Struct, frozen=True):
    """The property of one figure."""

    name: str
    label: str
    spelling: Spelling


PLACES: Final[Mapping[str, Place]] = {
    CURRENCY: Place("accord_currency", "Accord: currency of the figures", "string"),
    **{
        field: Place(f"accord_{name}", f"Accord: {name.replace('_', ' ')}", "number") for field, name in AMOUNTS.items()
    },
    LAST_PAID_ON: Place("accord_last_paid_on", "Accord: last paid on", "date"),
    OTHERS: Place("accord_other_currencies", "Accord: other currencies", "string"),
}


def definitions() -> list[Definition]:
    """What must be made before any of them is written."""
    return [Definition(one.name, one.label, type=one.spelling) for one in PLACES.values()]


def read_figures(properties: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, str]]:
    """What stands there, and what of it cannot be read."""
    fields: dict[str, Value] = {}
    unreadable: dict[str, str] = {}
    for field, place in PLACES.items():
        try:
            fields[field] = _text_there(properties, place)
        except ReplyError as error:
            unreadable[field] = str(error)
    return fields, unreadable


def _text_there(properties: Mapping[str, Any], place: Place) -> str | None:
    if place.spelling == "number":
        number = number_in(properties, place.name)
        return None if number is None else _plain(number)
    if place.spelling == "date":
        day = date_in(properties, place.name)
        return day.isoformat() if day else None
    return text_in(properties, place.name) or None


def canonical_figure(field: str, value: str) -> str | None:
    """`119.00` and `119` are one number."""
    if PLACES[field].spelling != "number":
        return value.strip() or None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return value
    return _plain(number) if number.is_finite() else value


def _plain(number: Decimal) -> str:
    return f"{number.normalize() if number else Decimal(0):f}"


def figure_refusal(field: str, value: str) -> Refusal | None:
    """Why HubSpot's numbers cannot hold an amount exactly."""
    digits = value.lstrip("-0.").replace(".", "")
    if PLACES[field].spelling != "number" or len(digits) <= DIGITS:
        return None
    limit = f"{DIGITS} digits that count"
    return Refusal(field=field, problem=f"{value} has too many digits", limit=limit, cure='set overview = "no" here')


def written_figure(field: str, value: str) -> dict[str, str]:
    """The property that says so; "" clears."""
    place = PLACES[field]
    is_day = place.spelling == "date" and bool(value)
    return {place.name: date_text(date.fromisoformat(value)) if is_day else value}
