"""`--set field=value`, as a person writes it, into what the registry takes (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from core.errors import InvalidInputError
from core.model.values import ADDRESS_PARTS, METADATA_PREFIX, Value

_ADDRESSES: Final = ("billing_address", "shipping_address")
_LISTS: Final = ("other_emails", "invoice_metadata_keys")


def assigned(texts: Sequence[str], current: Mapping[str, Value]) -> dict[str, object]:
    """Values by field. `current` completes an address of which only parts are named."""
    values: dict[str, object] = {}
    seen: set[str] = set()
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            cure = "write it as --set name='Ada Lovelace'"
            raise InvalidInputError(f"{text!r} is no assignment", field="set", limit="FIELD=VALUE", cure=cure)
        if name in seen:
            raise InvalidInputError("is set twice", field=name, cure="keep one of the two")
        seen.add(name)
        field, dot, part = name.partition(".")
        if field in _ADDRESSES and dot:
            values[field] = _with_part(values.get(field, current.get(field)), field, part, value)
        elif field in _ADDRESSES and value.strip():
            limit = ", ".join(ADDRESS_PARTS)
            raise InvalidInputError("has parts", field=field, limit=limit, cure=f"--set {field}.city=...")
        else:
            values[name] = _value(name, value)
    return values


def _value(name: str, value: str) -> object:
    if not value.strip():
        return None
    if name in _LISTS and not name.startswith(METADATA_PREFIX):
        return [one.strip() for one in value.split(",") if one.strip()]
    return value


def _with_part(address: object, field: str, part: str, value: str) -> dict[str, object]:
    if part not in ADDRESS_PARTS:
        limit = ", ".join(ADDRESS_PARTS)
        raise InvalidInputError(f"has no part {part!r}", field=field, limit=limit, cure="name one of these")
    return {**(address if isinstance(address, dict) else {}), part: value}
