"""Stripe customers as neutral ones and back. Both directions stand beside each other; nothing here does I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.stripe.manifest import ACCORD_REF, EXTERNAL_ID, MANIFEST, TEXT_LIMIT
from connectors.stripe.wire import (
    UNSTORABLE,
    CustomerWire,
    address_in,
    decode_customer,
    is_foreign,
    is_storable,
    locale_in,
    printable,
    shipping_address_in,
    text_in,
)
from core.errors import ConfigError, RejectedError
from core.model.remote import Patch, Refusal, Remote, Wanted
from core.model.values import ADDRESS_PARTS, METADATA_PREFIX, Value, is_metadata, metadata_key, tidy
from core.ports import ConnectionConfig

_TAKEN: Final[Mapping[str, Callable[[CustomerWire], Value]]] = {
    "name": lambda customer: text_in(customer.name),
    "email": lambda customer: text_in(customer.email),
    "phone": lambda customer: text_in(customer.phone),
    "billing_address": lambda customer: address_in(customer.address),
    "shipping_address": lambda customer: shipping_address_in(customer.shipping),
    "locale": lambda customer: locale_in(customer.preferred_locales),
}
_ADDRESSES: Final = ("billing_address", "shipping_address")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_EMAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")
_MAX_KEY: Final = 40
_MAX_VALUE: Final = 500


def translator(config: ConnectionConfig) -> StripeTranslator:
    """Translate for one connection: it may keep its external ids under a metadata key of its own."""
    place = config.external_id_field or METADATA_PREFIX + EXTERNAL_ID
    key = metadata_key(place) if is_metadata(place) else ""
    if not key or key == ACCORD_REF or _bad_key(key):
        raise ConfigError(
            f"{place!r} cannot carry external ids at Stripe; use `metadata.<key>`",
            key=f"connections.{config.name}.external_id_field",
        )
    return StripeTranslator(key)


class StripeTranslator:
    """The pure half of one connection."""

    def __init__(self, external_id_key: str = EXTERNAL_ID) -> None:
        """`external_id_key` is the metadata key that carries the external id."""
        self._external_id_key = external_id_key

    @property
    def external_id_key(self) -> str:
        """The metadata key that carries this connection's external ids."""
        return self._external_id_key

    # ---- Stripe -> neutral -----------------------------------------------------------------------

    def read(self, raw: bytes) -> Remote:
        """Wire bytes of one live customer -> neutral."""
        return self._remote(decode_customer(raw))

    def _remote(self, customer: CustomerWire) -> Remote:
        fields: dict[str, Value] = {}
        unreadable: dict[str, str] = {}
        for field, take in _TAKEN.items():
            try:
                fields[field] = take(customer)
            except ValueError as problem:
                unreadable[field] = str(problem)
        metadata: object = {} if customer.metadata is None else customer.metadata
        if not isinstance(metadata, dict):
            unreadable["metadata"] = "is not a set of keys and values"
            return Remote(id=customer.id, fields=fields, unreadable=unreadable)
        foreign = self._take_metadata(metadata, fields, unreadable)
        return Remote(
            id=customer.id,
            fields=fields,
            metadata_complete=True,
            unreadable=unreadable,
            accord_ref=_mark_in(metadata.get(ACCORD_REF)),
            external_id=_mark_in(metadata.get(self._external_id_key)),
            foreign_marks=foreign,
        )

    def _take_metadata(
        self, metadata: Mapping[str, object], fields: dict[str, Value], unreadable: dict[str, str]
    ) -> dict[str, str]:
        foreign: dict[str, str] = {}
        for key, value in metadata.items():
            if key in (ACCORD_REF, self._external_id_key):
                continue
            if is_foreign(key):
                foreign[printable(key)] = _mark_in(value) or ""
                continue
            if not is_storable(key):
                unreadable[METADATA_PREFIX + printable(key)] = UNSTORABLE
                continue
            try:
                fields[METADATA_PREFIX + key] = text_in(value)
            except ValueError as problem:
                unreadable[METADATA_PREFIX + key] = str(problem)
        return foreign

    # ---- neutral -> Stripe -----------------------------------------------------------------------

    def canonical(self, field: str, value: Value) -> Value:
        """The spelling Stripe gives back: e-mail trimmed, country in capitals, blanks as None."""
        if field == "email" and isinstance(value, str):
            value = value.strip()
        if field in _ADDRESSES and isinstance(value, dict) and value.get("country"):
            value = {**value, "country": value["country"].upper()}
        return tidy(value)

    def refusal(self, field: str, value: Value) -> Refusal | None:
        """Why Stripe cannot hold `value` in `field`; nothing is ever cut to fit."""
        value = self.canonical(field, value)
        if is_metadata(field):
            return self._metadata_refusal(field, value)
        if field not in _TAKEN:
            return _refuse(
                field, "Stripe customers have no place for it", "fields of the manifest", "turn its flow off"
            )
        if value is None:
            return None
        if field in _ADDRESSES:
            return _address_refusal(field, value)
        limit = MANIFEST.fields[field].max_length or TEXT_LIMIT
        if isinstance(value, str) and field == "email" and not _EMAIL.fullmatch(value):
            return _refuse(field, "Stripe takes no such e-mail address", "name@domain.tld", "correct the address")
        return _text_refusal(field, value, limit)

    def _metadata_refusal(self, field: str, value: Value) -> Refusal | None:
        key = metadata_key(field)
        if key in (ACCORD_REF, self._external_id_key):
            return _refuse(field, "the key carries Accord's own marks", "keys of other names", "rename the key")
        if is_foreign(key):
            return _refuse(field, "the key belongs to another billing system", "keys of other names", "rename the key")
        if value is None:
            # a key that cannot exist there needs no clearing
            return None
        problem = _bad_key(key)
        if problem:
            return _refuse(field, problem, f"1 to {_MAX_KEY} characters, no [ or ]", "rename the key")
        return _text_refusal(field, value, _MAX_VALUE)

    def patch(self, wanted: Wanted, current: bytes | None) -> Patch:
        """A sparse write in Stripe's shape: only what differs from `current`; "" clears."""
        customer = decode_customer(current) if current is not None else None
        seen = self._remote(customer) if customer else None
        body: dict[str, Any] = {}
        metadata: dict[str, str] = {}
        for field in sorted(wanted.fields):
            value = self._accepted(field, wanted.fields[field])
            if self._is_there(seen, field, value):
                continue
            if is_metadata(field):
                metadata[metadata_key(field)] = str(value or "")
            else:
                body.update(_attribute(field, value, wanted, customer))
        for key, mark, there in (
            (ACCORD_REF, wanted.mark, seen.accord_ref if seen else None),
            (self._external_id_key, wanted.external_id, seen.external_id if seen else None),
        ):
            if mark is not None and mark != there:
                metadata[key] = _carried(key, mark)
        return Patch(body={**body, "metadata": metadata} if metadata else body)

    def _accepted(self, field: str, value: Value) -> Value:
        refused = self.refusal(field, value)
        if refused:
            raise RejectedError(refused.problem, field=field, limit=refused.limit, cure=refused.cure)
        return self.canonical(field, value)

    def _is_there(self, seen: Remote | None, field: str, value: Value) -> bool:
        if seen is None:
            return value is None
        if field in seen.unreadable:
            return False
        return self.canonical(field, seen.fields.get(field)) == value


def _attribute(field: str, value: Value, wanted: Wanted, customer: CustomerWire | None) -> dict[str, Any]:
    """One neutral field as the attribute of Stripe's that carries it."""
    if field == "billing_address":
        return {"address": _address_out(value)}
    if field == "shipping_address":
        return {"shipping": _shipping_out(value, wanted, customer)}
    if field == "locale":
        return {"preferred_locales": _locales_out(value, customer)}
    return {field: value or ""}


def _address_out(value: Value) -> dict[str, str] | str:
    if not isinstance(value, dict):
        return ""
    # every part, blank ones too: a part that is left out might stay as it was
    return {part: value.get(part, "") for part in ADDRESS_PARTS}


def _shipping_out(value: Value, wanted: Wanted, customer: CustomerWire | None) -> dict[str, Any] | str:
    if value is None:
        return ""
    there = customer.shipping if customer and isinstance(customer.shipping, dict) else {}
    shipping: dict[str, Any] = {"address": _address_out(value), "name": _recipient(there, wanted, customer)}
    # sent along, so that it survives whether Stripe replaces or merges the hash
    if isinstance(there.get("phone"), str) and there["phone"]:
        shipping["phone"] = there["phone"]
    return shipping


def _recipient(there: Mapping[str, object], wanted: Wanted, customer: CustomerWire | None) -> str:
    candidates = (
        there.get("name"),
        wanted.fields.get("name"),
        customer.name if customer else None,
        wanted.fields.get("email"),
        customer.email if customer else None,
        wanted.external_id,
    )
    for candidate in candidates:
        if isinstance(candidate, str) and candidate.strip() and is_storable(candidate):
            return candidate
    raise RejectedError(
        "Stripe wants a recipient with a shipping address",
        field="shipping_address",
        limit="a name",
        cure="give the customer a name",
    )


def _locales_out(value: Value, customer: CustomerWire | None) -> list[str] | str:
    if value is None:
        # the others must go too: the next one would move up and become the locale
        return ""
    there = customer.preferred_locales if customer and isinstance(customer.preferred_locales, list) else []
    others = [locale for locale in there[1:] if isinstance(locale, str) and is_storable(locale) and locale != value]
    return [str(value), *others]


def _carried(key: str, mark: str) -> str:
    refused = _text_refusal(METADATA_PREFIX + key, mark, _MAX_VALUE)
    if refused:
        raise RejectedError(refused.problem, field=refused.field, limit=refused.limit, cure=refused.cure)
    return mark


def _mark_in(value: object) -> str | None:
    return value if isinstance(value, str) and value and is_storable(value) else None


def _bad_key(key: str) -> str | None:
    if not key or len(key) > _MAX_KEY:
        return "the key's length"
    if "[" in key or "]" in key or not is_storable(key):
        return "the key's characters"
    return None


def _address_refusal(field: str, value: Value) -> Refusal | None:
    if not isinstance(value, dict):
        return _refuse(field, "is not an address", "an address", "enter an address")
    odd = sorted(set(value) - set(ADDRESS_PARTS))
    if odd:
        return _refuse(field, f"unknown part {printable(odd[0])}", ", ".join(ADDRESS_PARTS), "use one of those")
    for text in value.values():
        refused = _text_refusal(field, text, TEXT_LIMIT)
        if refused:
            return refused
    if "country" in value and not _COUNTRY.fullmatch(value["country"]):
        return _refuse(field, "the country", "an ISO 3166 alpha-2 code", "enter the country's code")
    return None


def _text_refusal(field: str, value: Value, limit: int) -> Refusal | None:
    if not isinstance(value, str):
        return _refuse(field, "is not text", "text", "enter text")
    if not is_storable(value):
        return _refuse(field, UNSTORABLE, "printable characters", "remove the character")
    if len(value) > limit:
        return _refuse(field, f"is {len(value)} characters long", f"{limit} characters", "shorten it")
    return None


def _refuse(field: str, problem: str, limit: str, cure: str) -> Refusal:
    return Refusal(field=field, problem=problem, limit=limit, cure=cure)
