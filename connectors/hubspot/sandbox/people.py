"""What a person sees and types at HubSpot, in neutral words: written without translate.py, to check it against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.hubspot.sandbox.store import Record
from core.model.country import country_code, country_name

_SINGLE: Final = {
    "phone": "phone",
    "url": "website",
    "legal_name": "accord_legal_name",
    "legal_number": "accord_legal_number",
    "tax_identification_number": "accord_tax_identification_number",
}
_STREET: Final = {
    "line1": "address",
    "line2": "accord_address_line2",
    "city": "city",
    "state": "state",
    "postal_code": "zip",
}
_METADATA: Final = "accord_m_"


def type_of(changes: Mapping[str, Any]) -> str:
    """What a person would create: a company for a company, a contact for everybody else."""
    return "company" if changes.get("customer_type") == "company" else "contact"


def properties_of(object_type: str, changes: Mapping[str, Any], external_property: str) -> dict[str, str]:
    """A person's edit, in neutral field names, as properties."""
    single = _SINGLE | {
        "email": "email" if object_type == "contact" else "accord_email",
        "external_id": external_property,
    }
    found: dict[str, str] = {}
    for field, value in changes.items():
        if field in single:
            found[single[field]] = value or ""
        elif field.startswith("metadata."):
            found[metadata_name(field.removeprefix("metadata."))] = value or ""
        elif field != "customer_type":
            found |= _typed_together(object_type, field, value)
    return found


def _typed_together(object_type: str, field: str, value: Any) -> dict[str, str]:  # noqa: ANN401
    """Fields that are several properties."""
    if field == "name":
        return _typed_name(object_type, value or "")
    if field == "billing_address":
        return _typed_address(value or {})
    if field == "extra":
        return dict(value)
    raise ValueError(f"HubSpot has no place for {field}")


def neutral_of(object_type: str, record: Record) -> dict[str, Any]:
    """One object in neutral fields. A country nobody knows leaves the address out, as unreadable."""

    def text(name: str) -> str | None:
        return record.properties.get(name, "").strip() or None

    seen: dict[str, Any] = {field: text(name) for field, name in _SINGLE.items()}
    seen["customer_type"] = "company" if object_type == "company" else "individual"
    seen["email"] = text("email" if object_type == "contact" else "accord_email")
    seen["name"] = text("name")
    if object_type == "contact":
        whole = f"{record.properties.get('firstname', '')} {record.properties.get('lastname', '')}"
        seen["name"] = " ".join(whole.split()) or None
    seen |= _seen_address(text)
    for name, value in record.properties.items():
        if name.startswith(_METADATA) and value.strip():
            seen["metadata." + metadata_key(name)] = value.strip()
    return seen


def metadata_name(key: str) -> str:
    """The property of a metadata key: lower case letters, digits and `_` as they are, `_x..._` for the rest."""
    name = _METADATA
    for place, character in enumerate(key):
        is_plain = character.isascii() and (character.islower() or character.isdigit())
        if is_plain or (character == "_" and key[place + 1 : place + 2] != "x"):
            name += character
        else:
            name += f"_x{ord(character):x}_"
    return name


def metadata_key(name: str) -> str:
    """The key of a metadata property."""
    rest, key = name.removeprefix(_METADATA), ""
    while rest:
        if rest.startswith("_x"):
            code, _, rest = rest[2:].partition("_")
            key += chr(int(code, 16))
        else:
            key, rest = key + rest[0], rest[1:]
    return key


def _typed_name(object_type: str, name: str) -> dict[str, str]:
    if object_type == "company":
        return {"name": name}
    words = name.split()
    return {"firstname": " ".join(words[:-1]) or name.strip(), "lastname": words[-1] if len(words) > 1 else ""}


def _typed_address(address: Mapping[str, str]) -> dict[str, str]:
    typed = {name: address.get(part, "") for part, name in _STREET.items()}
    country = address.get("country", "")
    return typed | {"country": country_name(country) if country else ""}


def _seen_address(text: Callable[[str], str | None]) -> dict[str, Any]:
    address = {part: text(name) for part, name in _STREET.items()}
    country = text("country")
    if country and country_code(country) is None:
        return {}
    address["country"] = country_code(country) if country else None
    return {"billing_address": {part: address[part] for part in sorted(address) if address[part]} or None}
