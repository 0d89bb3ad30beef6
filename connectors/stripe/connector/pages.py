"""Pages of a listing, taken apart into sightings without translating anything. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from connectors.stripe.manifest import MANIFEST
from connectors.stripe.translate import StripeTranslator
from connectors.stripe.wire import (
    UNDECODABLE,
    UNSTORABLE,
    HeadsWire,
    HeadWire,
    PageWire,
    compact,
    encode,
    is_storable,
    loads,
)
from core.errors import BugError, ReplyError
from core.ports import Bad, Sighting

T = TypeVar("T")

_VERSION: Final = str(MANIFEST.translation).encode()
_NUL: Final = b"\\u0000"

_page = msgspec.json.Decoder(PageWire)
_heads = msgspec.json.Decoder(HeadsWire)


@dataclass(slots=True)
class Listed:
    """One page of customers. `last` is the object that the next page starts after."""

    sightings: list[Sighting] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    has_more: bool = False
    next_page: str | None = None
    first: HeadWire | None = None
    last: HeadWire | None = None


def sighting_of(remote_id: str, raw: bytes) -> Sighting:
    """`raw` is compact: the digest must not see how the page was indented."""
    return Sighting(remote_id, hashlib.blake2b(_VERSION + raw, digest_size=16).hexdigest(), raw)


def customers_in(body: bytes, translator: StripeTranslator) -> Listed:
    """Split a page fast; where msgspec refuses it or a string cannot be stored, judge record by record."""
    try:
        text = msgspec.json.format(body, indent=-1)
        body.decode()
        if _NUL in text:
            return _judged(text, translator)
        page, heads = _page.decode(text), _heads.decode(text).data
    except UNDECODABLE:
        return _judged(body, translator)
    sightings = [sighting_of(head.id, bytes(raw)) for head, raw in zip(heads, page.data, strict=True)]
    return Listed(sightings, [], page.has_more, page.next_page, *_ends(heads))


def _ends(heads: Sequence[HeadWire]) -> tuple[HeadWire | None, HeadWire | None]:
    return (heads[0], heads[-1]) if heads else (None, None)


def objects_in(body: bytes) -> tuple[list[bytes], PageWire]:
    """Return the objects of any list as compact bytes, and the page they came in."""
    try:
        page = _page.decode(compact(body))
    except UNDECODABLE:
        records, page = _records(body)
        return [encode(record) for record in records], page
    return [bytes(raw) for raw in page.data], page


def cursor_in(text: str | None, kind: type[T]) -> T | None:
    """A cursor of this connector, as it was stored; None for none."""
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise BugError(f"not a cursor of the Stripe connector: {error}") from error


def bad_record(remote_id: str, field_name: str | None, problem: str, record: object) -> Bad:
    """Name a record that cannot be taken; its bytes are kept as printable ASCII."""
    return Bad(json.dumps(remote_id)[1:-1], field_name, problem, json.dumps(record))


def _records(body: bytes) -> tuple[Sequence[object], PageWire]:
    page = loads(body)
    if not isinstance(page, dict) or not isinstance(page.get("data"), list):
        raise ReplyError("Stripe's answer is no list")
    if not isinstance(page.get("has_more"), bool):
        raise ReplyError("Stripe's list does not say whether it goes on")
    next_page = page.get("next_page")
    return page["data"], PageWire([], page["has_more"], next_page if isinstance(next_page, str) else None)


def _judged(body: bytes, translator: StripeTranslator) -> Listed:
    records, page = _records(body)
    listed = Listed(has_more=page.has_more, next_page=page.next_page)
    for record in records:
        judged = _judge(record, translator)
        if isinstance(judged, Bad):
            listed.bad.append(judged)
        else:
            listed.sightings.append(judged)
        head = _head(record)
        listed.first = listed.first or head
        listed.last = head or listed.last
    return listed


def _head(record: object) -> HeadWire | None:
    remote_id = record.get("id") if isinstance(record, dict) else None
    if not isinstance(remote_id, str) or not remote_id or not is_storable(remote_id):
        return None
    created = record.get("created") if isinstance(record, dict) else 0
    return HeadWire(remote_id, created if isinstance(created, int) else 0)


def _judge(record: object, translator: StripeTranslator) -> Sighting | Bad:
    head = _head(record)
    if head is None:
        return bad_record("", "id", "the record has no usable id", record)
    raw = encode(record)
    try:
        unreadable = translator.read(raw).unreadable
    except ReplyError as error:
        return bad_record(head.id, None, str(error), record)
    for field_name, reason in unreadable.items():
        if reason == UNSTORABLE:
            return bad_record(head.id, field_name, reason, record)
    return sighting_of(head.id, raw)
