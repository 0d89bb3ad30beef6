"""HubSpot's properties as neutral fields: where each field is, and what an object says of it (pure)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from connectors.hubspot.wire import UNDECODABLE, Framed, ObjectType, is_storable, join_id
from core.errors import ReplyError
from core.model.country import country_code
from core.model.family import PARENT
from core.model.values import Value, tidy

TEXTS: Final[Mapping[ObjectType, Mapping[str, str]]] = {
    "contact": {
        "email": "email",
        "phone": "phone",
        "url": "website",
        "legal_name": "accord_legal_name",
        "legal_number": "accord_legal_number",
        "tax_identification_number": "accord_tax_identification_number",
    },
    "company": {
        "name": "name",
        "email": "accord_email",
        "phone": "phone",
        "url": "website",
        "legal_name": "accord_legal_name",
        "legal_number": "accord_legal_number",
        "tax_identification_number": "accord_tax_identification_number",
    },
}
"""Neutral fields that are one property each."""

NAMES: Final = ("firstname", "lastname")
ADDRESS: Final[Mapping[str, str]] = {
    "line1": "address",
    "line2": "accord_address_line2",
    "city": "city",
    "state": "state",
    "postal_code": "zip",
    "country": "country",
}


class Reading:
    """The fields of one object, as they are picked from its properties.

    A property that is absent is not there for any object: Accord has not made it yet, or somebody has removed it. Its
    field is blank, and named in `unmade`: "removed" must not read as "cleared everywhere".
    """

    def __init__(self, properties: Mapping[str, Any]) -> None:
        """Nothing is read yet."""
        self._properties = properties
        self.fields: dict[str, Value] = {}
        self.unmade: set[str] = set()
        self.unreadable: dict[str, str] = {}

    def plain(self, name: str) -> str | None:
        """A marker's text; what is no text is no marker."""
        text = self._properties.get(name)
        return text.strip() or None if isinstance(text, str) and is_storable(text) else None

    def text(self, field: str, name: str) -> None:
        """A field that is one property."""
        texts = self._texts(field, (name,))
        if texts is not None:
            self.fields[field] = texts[name].strip() or None

    def parent(self, told: str | None) -> str | None:
        """The company above; HubSpot allows one."""
        if told is None:
            self.fields[PARENT] = None
        elif ";" in told:
            self.unreadable[PARENT] = f"it has several parent companies: {told}"
        else:
            return join_id("company", told)
        return None

    def contact_name(self) -> None:
        """First and last name, joined."""
        texts = self._texts("name", NAMES)
        if texts is not None:
            self.fields["name"] = " ".join(" ".join(texts.values()).split()) or None

    def address(self) -> None:
        """The six properties of the address; a country nobody knows makes all of it unreadable."""
        texts = self._texts("billing_address", tuple(ADDRESS.values()))
        if texts is None:
            return
        address = {part: texts[name].strip() for part, name in ADDRESS.items()}
        if address["country"]:
            code = country_code(address["country"])
            if code is None:
                self.unreadable["billing_address"] = f"unknown country {address['country'][:100]!r}"
                return
            address["country"] = code
        self.fields["billing_address"] = tidy(address)

    def _texts(self, field: str, names: tuple[str, ...]) -> dict[str, str] | None:
        if any(name not in self._properties for name in names):
            self.unmade.add(field)
        texts = {name: self._properties.get(name) for name in names}
        for name, text in texts.items():
            if text is not None and not (isinstance(text, str) and is_storable(text)):
                self.unreadable[field] = f"property {name} is not text that can be stored"
                return None
        return {name: text or "" for name, text in texts.items()}


def framed_in(raw: bytes) -> Framed:
    """An object in its frame; ReplyError when it is none."""
    try:
        return msgspec.json.decode(raw, type=Framed)
    except UNDECODABLE:
        return _framed_leniently(raw)


def _framed_leniently(raw: bytes) -> Framed:
    """Half a surrogate pair in one value must not hide the others: the standard library reads it."""
    try:
        return msgspec.convert(json.loads(raw), type=Framed)
    except (ValueError, RecursionError) as error:
        raise ReplyError(f"this is no HubSpot contact or company: {error}") from error
