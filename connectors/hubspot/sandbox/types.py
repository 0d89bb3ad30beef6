"""The types of objects: which properties HubSpot itself gives them, and what it makes of values (PROVIDERS §5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from typing import Any, Final

from connectors.hubspot.sandbox.answers import invalid
from connectors.hubspot.sandbox.definitions import definition_of
from core.errors import InvalidInputError
from core.model.money import exponent

_SHARED: Final = ("phone", "website", "address", "city", "state", "zip", "country", "lifecyclestage")
_READ_ONLY: Final = ("hs_object_id", "createdate", "hs_merged_object_ids")
BUILT_IN: Final[Mapping[str, Mapping[str, str]]] = {
    "contact": dict.fromkeys(("email", "firstname", "lastname", "company", "jobtitle", *_SHARED), "string"),
    "company": dict.fromkeys(("name", "domain", "address2", "industry", *_SHARED), "string"),
    "invoice": {
        **dict.fromkeys(("hs_title", "hs_comments", "hs_tax_id", "hs_purchase_order_number"), "string"),
        "hs_currency": "currency",
        "hs_invoice_status": "status",
        "hs_invoice_billable": "bool",
        "hs_invoice_date": "datetime",
        "hs_due_date": "datetime",
    },
    "line_item": {
        **dict.fromkeys(("name", "description", "hs_sku", "hs_product_id", "hs_tax_rate_group_id"), "string"),
        **dict.fromkeys(("quantity", "discount", "hs_discount_percentage"), "number"),
        "price": "price",
        "hs_line_item_currency_code": "currency",
    },
}
COMPUTED: Final[Mapping[str, tuple[str, ...]]] = {
    "contact": (),
    "company": (),
    "invoice": ("hs_number", "hs_amount_billed", "hs_amount_paid", "hs_balance_due", "hs_invoice_link"),
    "line_item": ("amount", "hs_pre_discount_amount", "hs_total_discount"),
}
"""What HubSpot reckons by itself: no write is taken."""
MODIFIED: Final[Mapping[str, str]] = {
    "contact": "lastmodifieddate",
    "company": "hs_lastmodifieddate",
    "invoice": "hs_lastmodifieddate",
    "line_item": "hs_lastmodifieddate",
}
DEFAULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "contact": ("email", "firstname", "lastname"),
    "company": ("domain", "name"),
    "invoice": ("hs_currency", "hs_invoice_status"),
    "line_item": ("name", "price", "quantity"),
}
IDENTIFYING: Final[Mapping[str, tuple[str, ...]]] = {
    "contact": ("email", "firstname", "lastname"),
    "company": ("name", "domain"),  # PROVIDERS §5
    "invoice": ("hs_currency",),
    "line_item": ("name",),
}
NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "contact": ("contact", "contacts", "0-1"),
    "company": ("company", "companies", "0-2"),
    "invoice": ("invoice", "invoices", "0-53"),
    "line_item": ("line_item", "line_items", "0-8"),
}
"""What a path may call them; the second is also the name in scopes."""
KINDS: Final[Mapping[str, str]] = {
    "contact": "customer",
    "company": "customer",
    "invoice": "invoice",
    "line_item": "line_item",
}
STATUSES: Final = ("draft", "open", "paid", "voided")  # PROVIDERS §5
DIGITS: Final = 15  # stricter reading
_DAY: Final = 86_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_only(object_type: str) -> frozenset[str]:
    """Properties of a type that nobody can write."""
    return frozenset((*_READ_ONLY, MODIFIED[object_type], *COMPUTED[object_type]))


def definitions(object_type: str) -> dict[str, dict[str, Any]]:
    """HubSpot's own properties of a type."""
    closed = read_only(object_type)
    found = {name: definition_of(name, kind) for name, kind in BUILT_IN[object_type].items()}
    return found | {name: definition_of(name, "string", is_read_only=True) for name in sorted(closed)}


def spelled(name: str, kind: str, value: str) -> str:
    """A value as HubSpot keeps it; Refused when its type does not allow it. "" clears, whatever the type."""
    reading = _READINGS.get(kind)
    if not value or reading is None:
        return value
    try:
        return reading(value)
    except (ValueError, InvalidOperation, OverflowError, InvalidInputError):
        code = _CODES.get(kind, "INVALID_OPTION")
        raise invalid(name, code, f"{value} was not a valid {kind}") from None  # PROVIDERS §5


def chosen(definition: Mapping[str, Any], value: str) -> str:
    """PROVIDERS §5: an enumeration takes internal values of its options, several with `;` between them."""
    known = [one["value"] for one in definition.get("options", ())]
    if definition["type"] == "enumeration" and value and not set(value.split(";")) <= set(known):
        raise invalid(definition["name"], "INVALID_OPTION", f"{value} was not one of the allowed options: {known}")
    return value


def _number(value: str) -> str:
    """More than fifteen digits do not survive, and zeros at the end are not kept."""
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(value)
    kept = Context(prec=DIGITS).plus(number)
    return f"{kept.normalize():f}" if kept else "0"


def _price(value: str) -> str:
    """The documentation forbids negative prices."""
    if Decimal(value) < 0:
        raise ValueError(value)
    return _number(value)


def _date(value: str) -> str:
    at = _moment(value)
    if at.timetz() != _EPOCH.timetz():
        raise ValueError(value)
    return f"{at:%Y-%m-%d}"


def _datetime(value: str) -> str:
    return f"{_moment(value):%Y-%m-%dT%H:%M:%SZ}"


def _moment(value: str) -> datetime:
    if value.removeprefix("-").isdecimal():
        return _EPOCH + timedelta(milliseconds=int(value))
    at = datetime.fromisoformat(value)
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _bool(value: str) -> str:
    if value.lower() not in ("true", "false"):
        raise ValueError(value)
    return value.lower()


def _currency(value: str) -> str:
    exponent(value)
    return value


def _status(value: str) -> str:
    if value not in STATUSES:
        raise ValueError(value)
    return value


_READINGS: Final[Mapping[str, Callable[[str], str]]] = {
    "number": _number,
    "price": _price,
    "date": _date,
    "datetime": _datetime,
    "bool": _bool,
    "currency": _currency,
    "status": _status,
}
_CODES: Final[Mapping[str, str]] = {"number": "INVALID_NUMBER", "price": "INVALID_NUMBER", "date": "INVALID_DATE"}
