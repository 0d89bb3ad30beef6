"""A QuickBooks customer in neutral form, and a neutral customer as QuickBooks wants it written. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from connectors.quickbooks.manifest import MANIFEST
from connectors.quickbooks.wire import ADDRESS_PARTS, EXTRA_LINES
from core.errors import RejectedError, ReplyError
from core.model.country import country_code, country_name
from core.model.family import PARENT
from core.model.remote import Patch, Refusal, Remote, Wanted
from core.model.values import Value, blank, tidy

DELETED_SUFFIX: Final = " (deleted)"
"""What QuickBooks appends to the name of a customer that is made inactive."""
ADDRESS_LIMITS: Final = {"line1": 500, "line2": 500, "city": 255, "state": 255, "postal_code": 30, "country": 255}
_CONTROLS: Final = "".join(map(chr, range(0x20))) + "\x7f"
_CURRENCY_LETTERS: Final = 3
_NESTED: Final = {
    "email": ("PrimaryEmailAddr", "Address"),
    "phone": ("PrimaryPhone", "FreeFormNumber"),
    "url": ("WebAddr", "URI"),
    "currency": ("CurrencyRef", "value"),
}
_ADDRESSES: Final = {"billing_address": "BillAddr", "shipping_address": "ShipAddr"}

Customer = Mapping[str, object]


class _UnreadableError(Exception):
    """A value is there and cannot be taken; the text says why."""


class CustomerTranslator:
    """Both directions for one connection. `is_us`: the company stores ISO-8859-1 only."""

    def __init__(self, *, is_us: bool) -> None:
        """Hold the one setting that changes what can be represented."""
        self._is_us = is_us

    # ---- QuickBooks -> neutral -----------------------------------------------------------------

    def read(self, raw: bytes) -> Remote:
        """Read one customer; a value that cannot be taken is named in `unreadable` and the rest flows."""
        customer = customer_in(raw)
        fields: dict[str, Value] = {}
        unreadable: dict[str, str] = {}
        parent_id = None
        for field in MANIFEST.fields:
            try:
                if field == PARENT:
                    parent_id = _read_parent(customer)
                    fields |= {} if parent_id else {PARENT: None}
                else:
                    fields[field] = tidy(read_field(customer, field))
            except _UnreadableError as reason:
                unreadable[field] = str(reason)
        token = customer.get("SyncToken")
        return Remote(
            id=str(customer["Id"]),
            fields=fields,
            unreadable=unreadable,
            version=token if isinstance(token, str) else None,
            parent_id=parent_id,
        )

    # ---- neutral -> QuickBooks -----------------------------------------------------------------

    def canonical(self, field: str, value: Value) -> Value:
        """Spell `value` as QuickBooks gives it back: trimmed, codes in one case."""
        if field == "status":
            return value or "active"
        if isinstance(value, dict):
            parts = {part: text.strip() for part, text in value.items()}
            if parts.get("country"):
                parts["country"] = country_code(parts["country"]) or parts["country"]
            return tidy(parts)
        if not isinstance(value, str):
            return tidy(value)
        text = value.strip()
        return tidy(text.upper() if field == "currency" else text)

    def refusal(self, field: str, value: Value) -> Refusal | None:
        """Say why QuickBooks cannot hold `value`; nothing is cut or transliterated instead."""
        spelled = self.canonical(field, value)
        if field == PARENT:
            return None  # how deep its object would hang is not in its external id
        if field not in MANIFEST.fields:
            return _refuse(field, "QuickBooks has no place for it", "fields of the manifest", "leave it out")
        if spelled is None:
            return _refuse(field, "it cannot be blank", "not blank", "give a name") if field == "name" else None
        if field in _ADDRESSES:
            return self._address_refusal(field, spelled)
        if not isinstance(spelled, str):
            return _refuse(field, "it is not text", "text", "give one text")
        return self._text_refusal(field, spelled, MANIFEST.fields[field].max_length) or _shape_refusal(field, spelled)

    def patch(self, wanted: Wanted, current: bytes | None) -> Patch:
        """Write only what differs from `current`; everything else of the object is left untouched."""
        if current is None:
            return self._creation(wanted)
        customer = customer_in(current)
        body: dict[str, Any] = {}
        body.update(_parent_written(wanted, customer))
        for field in MANIFEST.fields:
            if field == PARENT:
                continue
            if field in wanted.fields and self._differs(customer, field, wanted.fields[field]):
                body.update(self._written(field, wanted.fields[field], customer))
        if body.get("Active") is True and "DisplayName" not in body:
            # reactivated by the API, a customer keeps the suffix: the name would seem to have been edited
            body.update(_without_suffix(customer))
        if not body:
            return Patch(body={})
        return Patch(body={"Id": customer["Id"], "SyncToken": customer.get("SyncToken"), "sparse": True, **body})

    def _creation(self, wanted: Wanted) -> Patch:
        body: dict[str, Any] = _parent_written(wanted, {})
        for field in MANIFEST.fields:
            value = wanted.fields.get(field)
            if field == "name" or (field != PARENT and not blank(value)):
                body.update(self._written(field, value, {}))
        if body.get("Active") is True:
            del body["Active"]  # every customer is born active
        return Patch(body=body)

    def _differs(self, customer: Customer, field: str, value: Value) -> bool:
        try:
            there = self.canonical(field, read_field(customer, field))
        except _UnreadableError:
            return True
        return there != self.canonical(field, value)

    def _written(self, field: str, value: Value, customer: Customer) -> dict[str, Any]:
        refused = self.refusal(field, value)
        if refused is not None:
            raise RejectedError(refused.problem, field=field, limit=refused.limit, cure=refused.cure)
        spelled = self.canonical(field, value)
        if field == "name":
            return {"DisplayName": spelled}
        if field == "legal_name":
            return {"CompanyName": spelled or ""}
        if field == "status":
            return {"Active": spelled == "active"}
        if field in _ADDRESSES:
            attribute = _ADDRESSES[field]
            return {attribute: _address_written(spelled, _object(customer.get(attribute)))}
        if field == "currency":
            _refuse_other_currency(customer)
        attribute, part = _NESTED[field]
        # a sparse update ignores null: only a blank text clears
        return {attribute: {part: spelled or ""}}

    # ---- refusals ------------------------------------------------------------------------------

    def _address_refusal(self, field: str, address: Value) -> Refusal | None:
        if not isinstance(address, dict):
            return _refuse(field, "it is not an address", "an address", "give its parts")
        for part, text in address.items():
            if part not in ADDRESS_LIMITS:
                return _refuse(field, f"an address has no {part}", ", ".join(ADDRESS_LIMITS), "leave it out")
            refused = self._text_refusal(field, text, ADDRESS_LIMITS[part], f"{part} ")
            if refused is not None:
                return refused
        country = address.get("country")
        if country and country_code(country_name(country)) != country:
            return _refuse(field, f"country {country!r} is not known", "ISO 3166 alpha-2", "give its two-letter code")
        return None

    def _text_refusal(self, field: str, text: str, most: int | None, part: str = "") -> Refusal | None:
        if most is not None and len(text) > most:
            return _refuse(field, f"{part}has {len(text)} characters", f"{most} characters", "shorten it")
        if any(character in _CONTROLS or "\ud800" <= character <= "\udfff" for character in text):
            return _refuse(field, f"{part}holds a control character", "printable text", "remove it")
        if self._is_us and any(character > "\xff" for character in text):
            odd = next(character for character in text if character > "\xff")
            return _refuse(field, f"{part}holds {odd!r}", "ISO-8859-1 in US companies", "spell it in Latin letters")
        return None


def farewell_to(raw: bytes) -> dict[str, Any] | None:
    """What makes a customer inactive; None where it is. Refused for one with a balance, which the UI would write off.

    Whether the API writes it off as well is not documented: money must not change by that.
    """
    customer = customer_in(raw)
    if customer.get("Active") is False:
        return None
    for attribute in ("Balance", "BalanceWithJobs"):
        if not _is_nothing(customer.get(attribute)):
            raise RejectedError(
                f"its {attribute} is {customer[attribute]}",
                field="status",
                limit="no balance",
                cure="settle what is open there, then retry",
            )
    return {"Id": customer["Id"], "SyncToken": customer.get("SyncToken"), "sparse": True, "Active": False}


def _is_nothing(amount: object) -> bool:
    return amount is None or (isinstance(amount, int | float) and amount == 0)


def customer_in(raw: bytes) -> dict[str, object]:
    """Decode one customer object; ReplyError when it is none."""
    try:
        found = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        found = _decode_leniently(raw)
    except RecursionError as error:
        msg = "a customer nested too deeply to be one"
        raise ReplyError(msg) from error
    if not isinstance(found, dict) or not isinstance(found.get("Id"), str) or not found["Id"]:
        msg = "not a QuickBooks customer: it has no Id"
        raise ReplyError(msg)
    return found


def read_field(customer: Customer, field: str) -> Value:
    """Take one neutral field out of a customer."""
    if field == "status":
        return _read_status(customer)
    if field == "name":
        return _read_name(customer)
    if field == "legal_name":
        return _text(customer, "CompanyName")
    if field in _ADDRESSES:
        return _read_address(_part(customer, _ADDRESSES[field]))
    attribute, part = _NESTED[field]
    return _text(_part(customer, attribute), part)


def _read_parent(customer: Customer) -> str | None:
    """The customer above a sub-customer or job."""
    parent = _text(_part(customer, "ParentRef"), "value") or None
    if customer.get("Job") is True and parent is None:
        msg = "Job is true, but ParentRef names no customer"
        raise _UnreadableError(msg)
    return parent


def _parent_written(wanted: Wanted, customer: Customer) -> dict[str, Any]:
    """Who is billed (BillWithParent) is the bookkeeper's own matter, and stays as it is."""
    if PARENT not in wanted.fields:
        return {}
    try:
        there = _read_parent(customer)
    except _UnreadableError:
        there = ""
    if there == wanted.parent_id:
        return {}
    return {"ParentRef": {"value": wanted.parent_id or ""}, "Job": wanted.parent_id is not None}


def _decode_leniently(raw: bytes) -> object:
    # a lone surrogate escape makes msgspec refuse the object; json takes it, and only its field is set aside
    try:
        return json.loads(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        msg = f"not a QuickBooks customer: {error}"
        raise ReplyError(msg) from error


def _read_status(customer: Customer) -> str:
    active = customer.get("Active")
    if active is None:
        return "active"
    if not isinstance(active, bool):
        msg = f"Active is {active!r}"
        raise _UnreadableError(msg)
    return "active" if active else "inactive"


def _read_name(customer: Customer) -> str | None:
    name = _text(customer, "DisplayName")
    return name.removesuffix(DELETED_SUFFIX) if name and customer.get("Active") is False else name


def _read_address(address: Customer) -> Value:
    # the neutral address has two lines: the others can be neither shown nor safely dropped
    extra = [line for line in EXTRA_LINES if _text(address, line)]
    if extra:
        msg = f"it has {', '.join(extra)}; a registry address has two lines"
        raise _UnreadableError(msg)
    parts = {part: _text(address, attribute) or "" for part, attribute in ADDRESS_PARTS.items()}
    if parts["country"]:
        code = country_code(parts["country"])
        if code is None:
            msg = f"country {parts['country']!r} is not known"
            raise _UnreadableError(msg)
        parts["country"] = code
    return tidy(parts)


def _part(customer: Customer, attribute: str) -> Customer:
    value = customer.get(attribute)
    if value is not None and not isinstance(value, dict):
        msg = f"{attribute} is not an object"
        raise _UnreadableError(msg)
    return _object(value)


def _object(value: object) -> Customer:
    return value if isinstance(value, dict) else {}


def _text(holder: Customer, attribute: str) -> str | None:
    value = holder.get(attribute)
    if value is None:
        return None
    if not isinstance(value, str):
        msg = f"{attribute} is not text"
        raise _UnreadableError(msg)
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        msg = f"{attribute} holds characters that cannot be stored"
        raise _UnreadableError(msg)
    return value


def _without_suffix(customer: Customer) -> dict[str, Any]:
    name = customer.get("DisplayName")
    if isinstance(name, str) and name.endswith(DELETED_SUFFIX):
        return {"DisplayName": name.removesuffix(DELETED_SUFFIX)}
    return {}


def _address_written(wanted: Value, current: Customer) -> dict[str, str]:
    # QuickBooks replaces an address whole; each blank is said all the same, so that nothing old can stay
    parts = wanted if isinstance(wanted, dict) else {}
    written = {attribute: parts.get(part, "") for part, attribute in ADDRESS_PARTS.items()}
    if parts.get("country"):
        written["Country"] = _country_text(parts["country"], current.get("Country"))
    written.update({line: "" for line in EXTRA_LINES if current.get(line)})
    return written


def _country_text(code: str, there: object) -> str:
    """Keep a person's spelling (`USA`) while it means the same country."""
    if isinstance(there, str) and country_code(there) == code:
        return there
    return country_name(code)


def _refuse_other_currency(customer: Customer) -> None:
    there = _text(_part(customer, "CurrencyRef"), "value")
    if there:
        raise RejectedError(
            f"the customer's currency is {there}",
            field="currency",
            limit="set once, at creation",
            cure="make another customer for the other currency",
        )


def _shape_refusal(field: str, text: str) -> Refusal | None:
    if field == "name" and ":" in text:
        return _refuse(field, "it holds a colon", "no ':' in a display name", "use another character")
    if field == "name" and text.endswith(DELETED_SUFFIX):
        return _refuse(field, "it ends as the names of inactive customers do", f"no {DELETED_SUFFIX!r}", "rename it")
    if field == "email" and ("@" not in text or "." not in text):
        return _refuse(field, "it is no e-mail address", "needs @ and a dot", "correct the address")
    if field == "currency" and not (len(text) == _CURRENCY_LETTERS and text.isascii() and text.isalpha()):
        return _refuse(field, "it is no currency code", "ISO 4217", "give a three-letter code")
    if field == "status" and text not in {"active", "inactive"}:
        return _refuse(field, f"{text!r} is no status", "active or inactive", "give one of the two")
    return None


def _refuse(field: str, problem: str, limit: str, cure: str) -> Refusal:
    return Refusal(field=field, problem=problem, limit=limit, cure=cure)
