"""The shapes of HubSpot's JSON that Accord uses, and how two object types become one kind (pure).

HubSpot has contacts and companies where Accord has customers. A remote id therefore names the type:
`contact:101`, `company:7`, and of an invoice `invoice:12`. An object's own JSON does not say what it is, so the raw
bytes that travel through Accord are framed: `{"type":"contact","object":{...}}`. An invoice travels together with its
lines and whose it is: `{"type":"invoice","object":{...},"lines":[{...}],"customers":["contact:101"]}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar, get_args

import msgspec

from connectors.hubspot.manifest import MANIFEST
from core.errors import InvalidInputError, ReplyError
from core.ports import Bad, Sighting

T = TypeVar("T")

CustomerType = Literal["contact", "company"]
ObjectType = Literal["contact", "company", "invoice", "line_item"]
TYPES: Final[tuple[CustomerType, ...]] = get_args(CustomerType)
PATHS: Final[Mapping[ObjectType, str]] = {
    "contact": "contacts",
    "company": "companies",
    "invoice": "invoices",
    "line_item": "line_items",
}
MODIFIED: Final[Mapping[ObjectType, str]] = {
    "contact": "lastmodifieddate",
    "company": "hs_lastmodifieddate",
    "invoice": "hs_lastmodifieddate",
    "line_item": "hs_lastmodifieddate",
}

HubSpotId: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]+\Z")]
"""Of whatever has another one, nothing could be asked any more."""

ACCORD_REF: Final = "accord_ref"
MERGED: Final = "hs_merged_object_ids"

UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on bytes that are no JSON of the shape wanted, or are nested without end."""

_VERSION: Final = str(MANIFEST.translation).encode()
_COMPANY: Final = b'{"type":"company",'
_CONTACT: Final = b'{"type":"contact",'

HUBSPOT_DEFINED: Final = "HUBSPOT_DEFINED"
CHILD_TO_PARENT: Final = 14
BILLING: Final = frozenset({930, 931})
"""HubSpot's own label for a billing contact, one number for each direction (PROVIDERS §5): which is which, it tells."""
INVOICE_TO: Final[Mapping[ObjectType, int]] = {"contact": 177, "company": 179, "line_item": 409}
"""Types of the associations that an invoice has (PROVIDERS §5)."""


class HubSpotObject(msgspec.Struct, frozen=True):
    """A contact or a company. Property values are strings or null; the translator judges anything else."""

    id: str
    properties: dict[str, Any]
    archived: bool = False


class Framed(msgspec.Struct, frozen=True):
    """Raw bytes of one remote object as Accord carries them.

    `parent` are the companies above a company, `billed` those whose billing contact a contact is, both by `;`.
    """

    type: CustomerType
    object: HubSpotObject
    parent: str | msgspec.UnsetType | None = msgspec.UNSET
    billed: str | msgspec.UnsetType | None = msgspec.UNSET


class FramedInvoice(msgspec.Struct, frozen=True):
    """An invoice with its line items in the order of their ids, and the remote ids of whose it is."""

    type: Literal["invoice"]
    object: HubSpotObject
    lines: list[HubSpotObject] = []
    customers: list[str] = []


class _Cut(msgspec.Struct, frozen=True):
    object: msgspec.Raw


class Identified(msgspec.Struct, frozen=True):
    """What must be known of a record before anything else is."""

    id: HubSpotId
    archived: bool = False


class Next(msgspec.Struct, frozen=True):
    """A listing's cursor."""

    after: str


class Paging(msgspec.Struct, frozen=True):
    """Where a listing goes on."""

    next: Next | None = None


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """HubSpot's body of an error, and one failure inside a 207. Every attribute may be absent or null."""

    message: str | None = None
    category: str | None = None
    policy_name: str | None = None
    context: dict[str, Any] | None = None
    errors: list[dict[str, Any]] | None = None

    def told(self, name: str) -> list[str]:
        """What the context says: `objectWriteTraceId` of a write, `ids` of a read."""
        found = (self.context or {}).get(name)
        return [str(one) for one in found] if isinstance(found, list) else [str(found)] if found else []


class AssociationType(msgspec.Struct, frozen=True, rename="camel"):
    """What one object is to another."""

    category: str
    type_id: int


class Associated(msgspec.Struct, frozen=True, rename="camel"):
    """One object at the other end."""

    to_object_id: Annotated[int, msgspec.Meta(ge=0)] | HubSpotId
    association_types: list[AssociationType]


class Origin(msgspec.Struct, frozen=True):
    """The object whose associations are told."""

    id: str


class Associations(msgspec.Struct, frozen=True, rename={"origin": "from"}):
    """A page of one object's associations."""

    origin: Origin
    to: list[Associated] = []
    paging: Paging | None = None


class AssociationResults(msgspec.Struct, frozen=True):
    """The answer to a batch of associations; `errors` also name objects that have none."""

    results: list[Associations]
    errors: list[Problem] | None = None


class Label(msgspec.Struct, frozen=True, rename="camel"):
    """One way in which objects of two types can be associated, from the first to the second."""

    category: str
    type_id: int


class Labels(msgspec.Struct, frozen=True):
    """All ways from one type of object to another."""

    results: list[Label]


class AssociationErrors(msgspec.Struct, frozen=True):
    """What went wrong in a batch of new or removed associations. `status` tells such an answer from any other one."""

    status: str
    errors: list[Problem] | None = None


class Results(msgspec.Struct, frozen=True):
    """A page of a listing, of a search, or the answer to a batch."""

    results: list[msgspec.Raw]
    paging: Paging | None = None
    errors: list[Problem] | None = None


class Saved(msgspec.Struct, frozen=True, rename="camel"):
    """One result of a batch write; HubSpot returns the written properties and a few of its own.

    `new`: an upsert made it.
    """

    id: HubSpotId
    properties: dict[str, Any] = {}
    object_write_trace_id: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    new: bool = False


class SavedResults(msgspec.Struct, frozen=True):
    """The answer to a batch write."""

    results: list[Saved]
    errors: list[Problem] | None = None


class AccountDetails(msgspec.Struct, frozen=True, rename="camel"):
    """Who the access token belongs to."""

    portal_id: int
    account_type: str = ""
    time_zone: str = ""


class PropertyDetails(msgspec.Struct, frozen=True, rename="camel"):
    """A property's definition, as far as it must be right."""

    name: str
    type: str
    has_unique_value: bool = False


class PropertyList(msgspec.Struct, frozen=True):
    """All properties of an object type."""

    results: list[PropertyDetails]


def decoded(body: bytes, shape: type[T]) -> T:
    """An answer in the shape it should have; ReplyError when it has another."""
    try:
        return msgspec.json.decode(body, type=shape)
    except UNDECODABLE as error:
        raise ReplyError(f"HubSpot's answer could not be understood: {error}") from error


def identified(raw: bytes) -> Identified:
    """Which object it is, also of one with half a letter somewhere: who looks at that says what is wrong with it."""
    try:
        return msgspec.json.decode(raw, type=Identified)
    except UNDECODABLE:
        pass
    try:
        return msgspec.convert(json.loads(bytes(raw)), Identified)
    except (ValueError, RecursionError) as error:  # of msgspec too
        raise ReplyError(f"HubSpot's answer could not be understood: {error}") from error


def is_text(seen: Sighting) -> bool:
    """Whether an object's bytes can be read at all."""
    try:
        object_in(seen)
    except UNDECODABLE:
        return False
    return True


def join_id(object_type: ObjectType, hubspot_id: str) -> str:
    """`contact`, `101` -> `contact:101`."""
    return f"{object_type}:{hubspot_id}"


def split_id(remote_id: str) -> tuple[ObjectType, str]:
    """`contact:101` -> `contact`, `101`; InvalidInputError for anything else."""
    head, _, tail = remote_id.partition(":")
    for object_type in TYPES:
        if head == object_type and tail.isascii() and tail.isdecimal():
            return object_type, tail
    raise InvalidInputError(
        f"{remote_id!r} names no HubSpot object", field="remote_id", cure="write contact:<id> or company:<id>"
    )


def frame(object_type: ObjectType, raw: bytes) -> bytes:
    """Say what the object is, in the bytes themselves."""
    return b'{"type":"' + object_type.encode() + b'","object":' + raw + b"}"


def sighting(object_type: ObjectType, hubspot_id: str, raw: bytes) -> Sighting:
    """One object as it was read, with the digest that tells an unchanged one without translating it."""
    return _seen(join_id(object_type, hubspot_id), frame(object_type, raw))


def reframed(remote_id: str, framed: bytes) -> Sighting:
    """A sighting out of the bytes that Accord carries."""
    return _seen(remote_id, framed)


def with_parent(seen: Sighting, parents: Sequence[str]) -> Sighting:
    """The same company with the companies above it (one at most, if HubSpot keeps its word)."""
    told = msgspec.json.encode(";".join(parents) or None)
    return _seen(seen.id, _COMPANY + b'"parent":' + told + b',"object":' + object_in(seen) + b"}")


def invoice_id(remote_id: str) -> str:
    """`invoice:12` -> `12`; InvalidInputError for anything else."""
    head, _, tail = remote_id.partition(":")
    if head == "invoice" and tail.isascii() and tail.isdecimal():
        return tail
    raise InvalidInputError(f"{remote_id!r} names no HubSpot invoice", field="remote_id", cure="write invoice:<id>")


def invoice_sighting(hubspot_id: str, raw: bytes, lines: Sequence[bytes], customers: Sequence[str]) -> Sighting:
    """An invoice as it was read, with everything that makes it one."""
    more = b',"lines":[' + b",".join(lines) + b'],"customers":' + msgspec.json.encode(customers) + b"}"
    return _seen(join_id("invoice", hubspot_id), frame("invoice", raw)[:-1] + more)


def with_billed(seen: Sighting, companies: Iterable[str]) -> Sighting:
    """The same contact with the companies whose billing contact it is."""
    told = msgspec.json.encode(";".join(sorted(companies, key=lambda one: (len(one), one))) or None)
    return _seen(seen.id, _CONTACT + b'"billed":' + told + b',"object":' + object_in(seen) + b"}")


def object_in(seen: Sighting) -> bytes:
    """The object's own bytes out of their frame."""
    return bytes(msgspec.json.decode(seen.raw, type=_Cut).object)


def _seen(remote_id: str, framed: bytes) -> Sighting:
    return Sighting(remote_id, blake2b(_VERSION + framed, digest_size=16).hexdigest(), framed)


def results_in(body: bytes) -> Results:
    """A page or a batch's answer. One that only msgspec refuses (a lone surrogate) is taken record by record."""
    try:
        return msgspec.json.decode(body, type=Results)
    except UNDECODABLE:
        return _salvaged(body)


def _salvaged(body: bytes) -> Results:
    try:
        page = json.loads(body)
        records = [msgspec.Raw(json.dumps(one).encode("ascii")) for one in page["results"]]
        rest = {key: value for key, value in page.items() if key != "results"}
        known = msgspec.convert(rest | {"results": []}, type=Results)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ReplyError(f"HubSpot's page could not be understood: {error}") from error
    return Results(records, known.paging, known.errors)


def judged(object_type: ObjectType, record: msgspec.Raw) -> Sighting | Bad:
    """One record of a page: a sighting, or what is wrong with it."""
    raw = bytes(record)
    if b"\\u" in raw:
        # only an escape can smuggle in what no database stores: U+0000 or half a surrogate pair
        field = unstorable_in(raw)
        if field is not None:
            return _bad(object_type, raw, field or None, "it holds a character that cannot be stored")
    try:
        found = msgspec.json.decode(raw, type=Identified)
    except UNDECODABLE as error:
        return _bad(object_type, raw, None, str(error))
    return sighting(object_type, found.id, raw)


def unstorable_in(raw: bytes) -> str | None:
    """The property with U+0000 or a lone surrogate ("" when it is elsewhere); None when there is none."""
    record = _loosely(raw)
    properties = record.get("properties") if isinstance(record, dict) else None
    for name, value in properties.items() if isinstance(properties, dict) else ():
        if not all(map(is_storable, _strings_in([name, value]))):
            return str(name) if is_storable(name) else ""
    return None if all(map(is_storable, _strings_in(record))) else ""


def _strings_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _strings_in([*value.keys(), *value.values()])
    elif isinstance(value, list):
        for part in value:
            yield from _strings_in(part)


def is_storable(text: str) -> bool:
    """False for U+0000 and lone surrogates: no database keeps them."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _loosely(raw: bytes) -> object:
    # bytes that are no text may stand in any value
    return json.loads(raw.decode(errors="replace"))


def _bad(object_type: ObjectType, raw: bytes, field: str | None, problem: str) -> Bad:
    record = _loosely(raw)
    known = record.get("id") if isinstance(record, dict) else None
    is_id = isinstance(known, str) and known.isascii() and known.isdecimal()
    remote_id = join_id(object_type, str(known)) if is_id else ""
    return Bad(remote_id, field, problem, json.dumps(record))
