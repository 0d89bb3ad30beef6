"""What one customer may hold, in which spelling. Strict: what the documentation does not allow is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from connectors.acme.sandbox.settings import RefusedError

# Decide 1: attributes, limits and spellings, from the provider's documentation and not from translate.py.
TEXTS: Final = {"name": 200, "email": 254, "phone": 40, "website": 500, "external_id": 255, "notes": 5000}
"""Text attributes and their longest values; `notes` is one that Accord knows nothing about."""
PARTS: Final = ("line1", "line2", "city", "state", "postal_code", "country")
PART_LENGTH: Final = 200
KEY_LENGTH: Final = 40
VALUE_LENGTH: Final = 500
_COUNTRY: Final = re.compile(r"[A-Z]{2}")


def accepted(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body's attributes as Acme would store them; RefusedError for anything odd. null clears."""
    found: dict[str, Any] = {}
    for attribute, value in body.items():
        if attribute in TEXTS:
            found[attribute] = _text(attribute, value)
        elif attribute == "address":
            found[attribute] = _address(value)
        elif attribute == "attributes":
            found[attribute] = _attributes(value)
        else:
            raise RefusedError(422, "unknown_attribute", f"customers have no {attribute}", field=attribute)
    if "name" in found and not found["name"]:
        raise RefusedError(422, "blank", "name cannot be blank", field="name")
    return found


def _text(attribute: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or "\x00" in value:
        raise RefusedError(422, "not_text", f"{attribute} is not text", field=attribute)
    text = value.strip()
    if len(text) > TEXTS[attribute]:
        raise RefusedError(422, "too_long", f"{attribute} holds {TEXTS[attribute]} characters", field=attribute)
    if attribute == "email" and text and "@" not in text:
        raise RefusedError(422, "no_email", "email is no address", field="email")
    return (text.lower() if attribute == "email" else text) or None


def _address(value: object) -> dict[str, str | None] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) - set(PARTS):
        raise RefusedError(422, "no_address", f"address has {', '.join(PARTS)}", field="address")
    parts = {part: text.strip() or None for part, text in value.items() if isinstance(text, str)}
    if any(text and len(text) > PART_LENGTH for text in parts.values()):
        raise RefusedError(422, "too_long", f"each part holds {PART_LENGTH} characters", field="address")
    if parts.get("country") and not _COUNTRY.fullmatch(parts["country"] or ""):
        raise RefusedError(422, "no_country", "country is ISO 3166 alpha-2", field="address")
    return {part: parts.get(part) for part in PARTS} if any(parts.values()) else None


def _attributes(value: object) -> dict[str, str | None]:
    if not isinstance(value, dict):
        raise RefusedError(422, "no_attributes", "attributes are keys and values", field="attributes")
    for key, text in value.items():
        if not 0 < len(key) <= KEY_LENGTH or (text is not None and not isinstance(text, str)):
            raise RefusedError(422, "bad_attribute", f"cannot take the attribute {key!r}", field=f"attributes.{key}")
        if text is not None and len(text) > VALUE_LENGTH:
            raise RefusedError(422, "too_long", f"values hold {VALUE_LENGTH} characters", field=f"attributes.{key}")
    return value
