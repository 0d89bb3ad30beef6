"""The part of Stripe's JSON that Accord looks at, and how single values are taken from it."""

from __future__ import annotations

import json
import re
from typing import Annotated, Final

import msgspec

from connectors.stripe.manifest import ACCORD_REF, EXTERNAL_ID, FOREIGN_PREFIXES
from core.errors import ReplyError
from core.model.country import country_code
from core.model.values import ADDRESS_PARTS, Value, tidy

_COUNTRY_LENGTH: Final = 2
UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading bytes raises that are not what they should be; the last one for lists in lists without end."""

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")

UNSTORABLE: Final = "contains U+0000 or a lone surrogate"
"""The reason given for text that no database takes."""


class CustomerWire(msgspec.Struct):
    """One customer. Attributes are untyped on purpose: an odd value must not hide the other ones."""

    id: str
    kind: str = msgspec.field(name="object")
    deleted: bool = False
    name: object = None
    email: object = None
    phone: object = None
    address: object = None
    shipping: object = None
    preferred_locales: object = None
    metadata: object = None


class PageWire(msgspec.Struct):
    """One page of a list or of a search; the objects stay bytes."""

    data: list[msgspec.Raw]
    has_more: bool
    next_page: str | None = None


class HeadWire(msgspec.Struct):
    """What a listing needs to know of an object: who it is and where it stands in the order."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    created: int = 0
    deleted: bool = False


class HeadsWire(msgspec.Struct):
    """The same page again, as heads."""

    data: list[HeadWire]


class EventDataWire(msgspec.Struct):
    """What an event is about: a snapshot of the object when it happened."""

    snapshot: msgspec.Raw = msgspec.field(name="object")
    previous_attributes: object = None


class EventWire(msgspec.Struct):
    """One entry of the change feed."""

    id: Annotated[str, msgspec.Meta(min_length=1)]
    type: str
    created: int
    data: EventDataWire
    api_version: str | None = None
    request: object = None


_customer = msgspec.json.Decoder(CustomerWire)


def loads(raw: bytes) -> object:
    """Decode what msgspec refuses: lone surrogates, and bytes that are no UTF-8 (as surrogates)."""
    try:
        decoded: object = json.loads(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise ReplyError(f"Stripe's answer is no JSON ({len(raw)} bytes)") from error
    return decoded


def compact(body: bytes) -> bytes:
    """One spelling of a JSON text. Stripe indents: the same object in a list and alone differs in blanks only."""
    try:
        return msgspec.json.format(body, indent=-1)
    except UNDECODABLE:
        return encode(loads(body))


def encode(decoded: object) -> bytes:
    """JSON bytes of something decoded; lone surrogates stay the escapes they were."""
    try:
        return msgspec.json.encode(decoded)
    except UnicodeEncodeError:
        return json.dumps(decoded, separators=(",", ":")).encode()


def decode_customer(raw: bytes) -> CustomerWire:
    """One live customer, or ReplyError."""
    try:
        customer = _customer.decode(raw)
    except msgspec.ValidationError as error:
        raise ReplyError(f"not a Stripe customer: {error}") from error
    except UNDECODABLE:
        customer = _decode_slowly(raw)
    if customer.kind != "customer" or customer.deleted or not customer.id:
        raise ReplyError("not a live Stripe customer")
    return customer


def _decode_slowly(raw: bytes) -> CustomerWire:
    try:
        return msgspec.convert(loads(raw), CustomerWire)
    except msgspec.ValidationError as error:
        raise ReplyError(f"not a Stripe customer: {error}") from error


def is_storable(text: str) -> bool:
    """False for U+0000 and lone surrogates: no database takes them."""
    # isascii first: it is a flag lookup, and nearly every value passes it
    return ("\x00" not in text) if text.isascii() else _UNSTORABLE.search(text) is None


def text_in(value: object) -> str | None:
    """A text attribute; ValueError says why it cannot be taken."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError("is not text")  # noqa: TRY004 - one exception type means "cannot be taken"
    if not is_storable(value):
        raise ValueError(UNSTORABLE)
    return value


def address_in(value: object) -> Value:
    """An address attribute in neutral form; one odd part makes the whole address unreadable."""
    if value is None or value == "":
        return None
    if not isinstance(value, dict):
        raise ValueError("is not an address")  # noqa: TRY004 - as above
    parts = {part: text for part in ADDRESS_PARTS if (text := text_in(value.get(part)))}
    if "country" in parts:
        parts["country"] = _country_in(parts["country"])
    return tidy(parts)


def _country_in(text: str) -> str:
    code = text.upper()
    # the length first: country_code also knows names, and remembers whatever it is asked
    if len(text) != _COUNTRY_LENGTH or not text.isascii() or country_code(code) != code:
        raise ValueError("country is not an ISO 3166 alpha-2 code")
    return code


def shipping_address_in(value: object) -> Value:
    """The address inside a shipping attribute."""
    if value is None or value == "":
        return None
    if not isinstance(value, dict):
        raise ValueError("is not a shipping detail")  # noqa: TRY004 - as above
    return address_in(value.get("address"))


def locale_in(value: object) -> str | None:
    """The first of the preferred locales."""
    if value in (None, [], ""):
        return None
    if not isinstance(value, list):
        raise ValueError("is not a list of locales")  # noqa: TRY004 - as above
    return text_in(value[0])


def is_marker(key: str) -> bool:
    """True for the default places of our own marks and for other writers' marks."""
    return key in (ACCORD_REF, EXTERNAL_ID) or is_foreign(key)


def is_foreign(key: str) -> bool:
    """True for metadata keys by which another billing system marks its customers."""
    return key.startswith(FOREIGN_PREFIXES)


def printable(text: str) -> str:
    """Any text as ASCII that every database and terminal can take."""
    return json.dumps(text)[1:-1]
