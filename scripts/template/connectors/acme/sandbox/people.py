"""Edits by people and the truth, in neutral names. Written apart from translate.py, which is checked against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.acme.sandbox.rules import accepted
from connectors.acme.sandbox.store import Customer

_NAMES: Final = {
    "name": "name",
    "email": "email",
    "phone": "phone",
    "url": "website",
    "billing_address": "address",
    "external_id": "external_id",
}


def attributes_of(changes: Mapping[str, Any]) -> dict[str, Any]:
    """A person's edit in Acme's attributes; a field without a place is a KeyError."""
    found: dict[str, Any] = {}
    free: dict[str, Any] = {}
    for field, value in changes.items():
        if field.startswith("metadata."):
            free[field.removeprefix("metadata.")] = value
        elif field == "extra":
            found.update(value)
        else:
            found[_NAMES[field]] = value
    return accepted({**found, **({"attributes": free} if free else {})})


def neutral(customer: Customer) -> dict[str, Any]:
    """What Acme really holds, in neutral names: blanks are None, metadata only where there is some."""
    found = {field: customer[attribute] for field, attribute in _NAMES.items() if field != "external_id"}
    address = customer["address"]
    found["billing_address"] = {part: text for part, text in address.items() if text} if address else None
    free = {f"metadata.{key}": text for key, text in customer["attributes"].items() if key != "accord_ref"}
    return {**found, **free}
