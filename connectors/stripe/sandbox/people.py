"""People at the dashboard: edits by neutral names, and the truth in neutral names. Independent of translate.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.stripe.sandbox.customers import PARTS, Customer

_PLAIN: Final = frozenset({"name", "email", "phone"})
_MARKS: Final = ("lago_", "flexprice_")


def edited(customer: Customer, changes: Mapping[str, Any], external_id_key: str) -> Customer:
    """Return the customer after a person's edit; a field that Stripe has no place for is a KeyError."""
    after = dict(customer)
    metadata = dict(customer["metadata"])
    for field, value in changes.items():
        if field.startswith("metadata."):
            metadata[field.removeprefix("metadata.")] = value
        elif field == "external_id":
            metadata[external_id_key] = value
        elif field == "extra":
            after.update(value)
        else:
            after.update(_attribute(field, value, after))
    if metadata != customer["metadata"]:
        after["metadata"] = {key: value for key, value in metadata.items() if value}
    return after


def _attribute(field: str, value: Any, customer: Customer) -> dict[str, Any]:  # noqa: ANN401 - neutral values
    if field in _PLAIN:
        return {field: (value.strip() if field == "email" else value) if value else None}
    if field == "billing_address":
        return {"address": _address(value)}
    if field == "shipping_address":
        return {"shipping": _shipping(value, customer)}
    if field == "locale":
        return {"preferred_locales": [value, *customer["preferred_locales"][1:]] if value else []}
    raise KeyError(field)


def _address(value: Mapping[str, str] | None) -> dict[str, str | None] | None:
    return {part: value.get(part) or None for part in PARTS} if value else None


def _shipping(value: Mapping[str, str] | None, customer: Customer) -> dict[str, Any] | None:
    if not value:
        return None
    there = customer["shipping"] or {"name": customer["name"] or customer["email"] or "Reception", "phone": None}
    return {**there, "address": _address(value)}


def neutral(customer: Customer, external_id_key: str) -> dict[str, Any]:
    """Return what Stripe really holds, in neutral names: blanks are None, metadata only where there is some."""
    shipping = customer["shipping"] or {}
    locales = customer["preferred_locales"]
    found: dict[str, Any] = {
        "name": customer["name"] or None,
        "email": customer["email"] or None,
        "phone": customer["phone"] or None,
        "billing_address": _plain_address(customer["address"]),
        "shipping_address": _plain_address(shipping.get("address")),
        "locale": locales[0] if locales else None,
    }
    for key, value in customer["metadata"].items():
        if key not in ("accord_ref", external_id_key) and not key.startswith(_MARKS):
            found[f"metadata.{key}"] = value
    return found


def _plain_address(address: Mapping[str, str | None] | None) -> dict[str, str] | None:
    return {part: text for part in PARTS if (text := (address or {}).get(part))} or None
