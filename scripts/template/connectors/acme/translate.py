"""Acme customers as neutral ones and back, both directions beside each other. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from connectors.acme.manifest import ACCORD_REF, KEY_LENGTH, MANIFEST, PART_LENGTH, VALUE_LENGTH
from connectors.acme.wire import UNSTORABLE, customer_in, is_storable
from core.errors import RejectedError
from core.model.country import country_code
from core.model.remote import Patch, Refusal, Remote, Wanted
from core.model.values import ADDRESS_PARTS, METADATA_PREFIX, Value, is_metadata, metadata_key, tidy

Customer = Mapping[str, Any]

# Decide 7: which attribute carries which field, in which spelling it comes back, and what it cannot hold.
_ATTRIBUTES: Final = {
    "name": "name",
    "email": "email",
    "phone": "phone",
    "billing_address": "address",
    "url": "website",
}
_METADATA: Final = "attributes"
_EXTERNAL_ID: Final = "external_id"
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_COUNTRY_LENGTH: Final = 2


class AcmeTranslator:
    """The pure half of one connection."""

    # ---- Acme -> neutral -----------------------------------------------------------------------

    def read(self, raw: bytes) -> Remote:
        """Read one customer; a value that cannot be taken is named in `unreadable` and the rest flows."""
        customer = customer_in(raw)
        fields: dict[str, Value] = {}
        unreadable: dict[str, str] = {}
        for field, attribute in _ATTRIBUTES.items():
            take = _TAKEN.get(field, _text_in)
            _put(fields, unreadable, field, partial(take, customer.get(attribute)))
        metadata = customer.get(_METADATA) or {}
        if not isinstance(metadata, dict):
            unreadable["metadata"] = "is not a set of keys and values"
            metadata = {}
        for key, value in metadata.items():
            if key != ACCORD_REF:
                _put(fields, unreadable, METADATA_PREFIX + _key_in(key), partial(_pair, key, value))
        return Remote(
            id=customer["id"],
            fields=fields,
            metadata_complete="metadata" not in unreadable,
            unreadable=unreadable,
            version=_word(customer.get("version")),
            accord_ref=_word(metadata.get(ACCORD_REF)),
            external_id=_word(customer.get(_EXTERNAL_ID)),
        )

    # ---- neutral -> Acme -----------------------------------------------------------------------

    def canonical(self, field: str, value: Value) -> Value:
        """The spelling Acme gives back: texts trimmed, e-mail in lower case, country in capitals."""
        if is_metadata(field):
            return tidy(value)
        if isinstance(value, dict):
            parts = {part: text.strip() for part, text in value.items()}
            return tidy({part: text.upper() if part == "country" else text for part, text in parts.items()})
        if not isinstance(value, str):
            return tidy(value)
        return tidy(value.strip().lower() if field == "email" else value.strip())

    def refusal(self, field: str, value: Value) -> Refusal | None:
        """Why Acme cannot hold `value` in `field`; nothing is ever cut to fit."""
        spelled = self.canonical(field, value)
        if is_metadata(field):
            return _metadata_refusal(field, spelled)
        if field not in _ATTRIBUTES:
            return _refuse(field, "Acme has no place for it", "fields of the manifest", "turn its flow off")
        if spelled is None:
            return _refuse(field, "it cannot be blank", "not blank", "give a name") if field == "name" else None
        if field == "billing_address":
            return _address_refusal(field, spelled)
        if field == "email" and isinstance(spelled, str) and not _EMAIL.fullmatch(spelled):
            return _refuse(field, "it is no e-mail address", "name@domain.tld", "correct the address")
        return _text_refusal(field, spelled, MANIFEST.fields[field].max_length or VALUE_LENGTH)

    def patch(self, wanted: Wanted, current: bytes | None) -> Patch:
        """A sparse write: only what differs from `current`; null clears."""
        seen = self.read(current) if current is not None else None
        # a create without a name is refused here, with words, and not by the provider
        fields = wanted.fields if seen else {"name": None, **wanted.fields}
        body: dict[str, Any] = {}
        metadata: dict[str, Value] = {}
        for field in sorted(fields):
            value = self._accepted(field, fields[field])
            if self._is_there(seen, field, value):
                continue
            if is_metadata(field):
                metadata[metadata_key(field)] = value
            else:
                body[_ATTRIBUTES[field]] = _written(field, value)
        if wanted.mark is not None and wanted.mark != (seen.accord_ref if seen else None):
            metadata[ACCORD_REF] = wanted.mark
        if wanted.external_id is not None and wanted.external_id != (seen.external_id if seen else None):
            body[_EXTERNAL_ID] = wanted.external_id
        if metadata:
            body[_METADATA] = metadata
        if seen and body:
            body["version"] = seen.version
        return Patch(body=body)

    def _accepted(self, field: str, value: Value) -> Value:
        refused = self.refusal(field, value)
        if refused:
            raise RejectedError(refused.problem, field=field, limit=refused.limit, cure=refused.cure)
        return self.canonical(field, value)

    def _is_there(self, seen: Remote | None, field: str, value: Value) -> bool:
        if seen is None:
            return value is None
        return field not in seen.unreadable and self.canonical(field, seen.fields.get(field)) == value


# ---- single values -----------------------------------------------------------------------------


def _put(fields: dict[str, Value], unreadable: dict[str, str], field: str, take: Callable[[], Value]) -> None:
    try:
        fields[field] = take()
    except ValueError as problem:
        unreadable[field] = str(problem)


def _text_in(value: object) -> Value:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("is not text")  # noqa: TRY004 - one exception type means "cannot be taken"
    if not is_storable(value):
        raise ValueError(UNSTORABLE)
    return value


def _address_in(value: object) -> Value:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError("is not an address")  # noqa: TRY004 - as above
    parts = {part: str(_text_in(value.get(part)) or "") for part in ADDRESS_PARTS}
    if parts["country"] and not _is_country(parts["country"]):
        raise ValueError("country is not an ISO 3166 alpha-2 code")
    return tidy(parts)


_TAKEN: Final[Mapping[str, Callable[[object], Value]]] = {"billing_address": _address_in}
"""Fields that are no plain text."""


def _pair(key: str, value: object) -> Value:
    if not is_storable(key):
        raise ValueError(UNSTORABLE)
    return _text_in(value)


def _key_in(key: str) -> str:
    return key if is_storable(key) else json.dumps(key)[1:-1]


def _word(value: object) -> str | None:
    """A version, marker or id; anything else is none."""
    return value if isinstance(value, str) and value and is_storable(value) else None


def _is_country(text: str) -> bool:
    # the length first: country_code also knows names
    return len(text) == _COUNTRY_LENGTH and country_code(text) == text.upper()


def _written(field: str, value: Value) -> Value | dict[str, str | None]:
    if field == "billing_address" and isinstance(value, dict):
        # every part, blank ones too: a part that is left out would stay as it was
        return {part: value.get(part) for part in ADDRESS_PARTS}
    return value


# ---- refusals ----------------------------------------------------------------------------------


def _metadata_refusal(field: str, value: Value) -> Refusal | None:
    key = metadata_key(field)
    if key == ACCORD_REF:
        return _refuse(field, "the key carries Accord's own marker", "keys of other names", "rename the key")
    if value is None:
        return None
    if not 0 < len(key) <= KEY_LENGTH or not is_storable(key):
        return _refuse(field, "Acme takes no such key", f"1 to {KEY_LENGTH} characters", "rename the key")
    return _text_refusal(field, value, VALUE_LENGTH)


def _address_refusal(field: str, value: Value) -> Refusal | None:
    if not isinstance(value, dict):
        return _refuse(field, "it is not an address", "an address", "give its parts")
    odd = sorted(set(value) - set(ADDRESS_PARTS))
    if odd:
        return _refuse(field, f"an address has no {odd[0]}", ", ".join(ADDRESS_PARTS), "leave it out")
    for text in value.values():
        refused = _text_refusal(field, text, PART_LENGTH)
        if refused:
            return refused
    if "country" in value and not _is_country(value["country"]):
        return _refuse(field, "the country is not known", "ISO 3166 alpha-2", "give its two-letter code")
    return None


def _text_refusal(field: str, value: Value, limit: int) -> Refusal | None:
    if not isinstance(value, str):
        return _refuse(field, "it is not text", "text", "give one text")
    if not is_storable(value):
        return _refuse(field, UNSTORABLE, "printable characters", "remove the character")
    if len(value) > limit:
        return _refuse(field, f"it has {len(value)} characters", f"{limit} characters", "shorten it")
    return None


def _refuse(field: str, problem: str, limit: str, cure: str) -> Refusal:
    return Refusal(field=field, problem=problem, limit=limit, cure=cure)
