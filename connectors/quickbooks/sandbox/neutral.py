"""The look-alike's own view of neutral fields, both ways, for a person's edits and for verifying without the engine.

Written apart from translate.py on purpose: it is what that one is checked against.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from core.model.country import country_code, country_name

_SUFFIX: Final = " (deleted)"
_TEXTS: Final = {"name": "DisplayName", "legal_name": "CompanyName"}
_PARTS: Final = {
    "email": ("PrimaryEmailAddr", "Address"),
    "phone": ("PrimaryPhone", "FreeFormNumber"),
    "url": ("WebAddr", "URI"),
    "currency": ("CurrencyRef", "value"),
}
_ADDRESSES: Final = {"billing_address": "BillAddr", "shipping_address": "ShipAddr"}


def neutral_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """One customer as neutral fields; an address that two lines cannot hold is left out."""
    name, is_active = row["DisplayName"], row["Active"]
    if not is_active and name.endswith(_SUFFIX):
        name = name[: -len(_SUFFIX)]
    found = {
        "name": name,
        "legal_name": row.get("CompanyName"),
        "email": row.get("PrimaryEmailAddr", {}).get("Address"),
        "phone": row.get("PrimaryPhone", {}).get("FreeFormNumber"),
        "url": row.get("WebAddr", {}).get("URI"),
        "currency": row.get("CurrencyRef", {}).get("value"),
        "status": "active" if is_active else "inactive",
        "parent": row.get("ParentRef", {}).get("value"),
    }
    for field, attribute in _ADDRESSES.items():
        address = row.get(attribute, {})
        country = address.get("Country")
        if any(address.get(line) for line in ("Line3", "Line4", "Line5")) or (country and not country_code(country)):
            continue
        parts = {
            "city": address.get("City"),
            "country": country_code(country) if country else None,
            "line1": address.get("Line1"),
            "line2": address.get("Line2"),
            "postal_code": address.get("PostalCode"),
            "state": address.get("CountrySubDivisionCode"),
        }
        found[field] = {part: text for part, text in parts.items() if text} or None
    return found


def attributes_of(changes: Mapping[str, Any], row: Mapping[str, Any] | None) -> dict[str, Any]:
    """A person's edit in QuickBooks' attributes; neutral fields that QuickBooks does not have are passed over."""
    found: dict[str, Any] = {}
    for field, value in changes.items():
        text = value.strip() if isinstance(value, str) else value or ""
        if field in _TEXTS:
            found[_TEXTS[field]] = text
        elif field in _PARTS:
            attribute, part = _PARTS[field]
            found[attribute] = {part: text} if text else {}
        elif field in _ADDRESSES:
            found[_ADDRESSES[field]] = _address(value or {})
        elif field == "status":
            found["Active"] = text != "inactive"
        elif field == "parent":
            found.update({"ParentRef": {"value": text} if text else {}, "Job": bool(text)})
    found.update(changes.get("extra", {}))
    if found.get("Active") and row is not None and not row["Active"] and "DisplayName" not in found:
        # the UI gives a reactivated customer its name back
        found["DisplayName"] = row["DisplayName"].removesuffix(_SUFFIX)
    return found


def _address(parts: Mapping[str, str]) -> dict[str, str]:
    country = parts.get("country")
    written = {
        "Line1": parts.get("line1"),
        "Line2": parts.get("line2"),
        "City": parts.get("city"),
        "CountrySubDivisionCode": parts.get("state"),
        "PostalCode": parts.get("postal_code"),
        "Country": country_name(country) if country else None,
    }
    return {attribute: text for attribute, text in written.items() if text}
