"""Cursors of both sweeps, and the search for what was written since (pure).

Search sorts by one property only and returns at most 10,000 results of one query (PROVIDERS §1), so the search
never pages by offset: it goes on from the last stamp seen, and through the objects of one stamp by their id.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from connectors.hubspot.wire import MODIFIED, TYPES, HubSpotId, ObjectType, Paging
from core.errors import InvalidInputError, ReplyError

T = TypeVar("T")

TYPES_OF: Final[Mapping[str, tuple[ObjectType, ...]]] = {"customer": TYPES, "invoice": ("invoice",)}
"""The object types of a kind, in the order in which sweeps go through them."""

SEARCH_PAGE: Final = 200
OBJECT_ID: Final = "hs_object_id"


class FullCursor(msgspec.Struct, frozen=True):
    """Where a full sweep is: of customers, contacts first, then companies."""

    type: ObjectType
    after: str | None = None


class ChangesCursor(msgspec.Struct, frozen=True):
    """Where the search for changes is, in milliseconds. Between passes `type` is None.

    `since` is where the pass begins: the start of the pass before, less the overlap. Inside a pass: objects of `type`
    written at `at` or later; with `beyond`, those written exactly at `at` whose id is greater (one batch update may
    stamp more objects than a page holds).
    """

    since: int
    started: int = 0
    type: ObjectType | None = None
    at: int = 0
    beyond: str | None = None


class Stamped(msgspec.Struct, frozen=True):
    """A search hit: which object, and when it was last written."""

    id: HubSpotId
    properties: dict[str, str | None] = {}


class Hits(msgspec.Struct, frozen=True):
    """A page of a search. It may be short and not the last one: objects go after they were indexed."""

    results: list[Stamped]
    paging: Paging | None = None

    @property
    def has_more(self) -> bool:
        """Whether anything follows this page."""
        return self.paging is not None and self.paging.next is not None


def encoded(cursor: FullCursor | ChangesCursor) -> str:
    """The cursor as the registry keeps it."""
    return msgspec.json.encode(cursor).decode()


def full(kind: str, text: str | None) -> FullCursor:
    """The cursor of a full sweep; None: its start."""
    at = _decoded(text, FullCursor) if text else FullCursor(TYPES_OF[kind][0])
    if at.type not in TYPES_OF[kind]:
        raise _odd()
    return at


def changes(kind: str, text: str) -> ChangesCursor:
    """The cursor of a sweep for changes."""
    at = _decoded(text, ChangesCursor)
    if at.type is not None and at.type not in TYPES_OF[kind]:
        raise _odd()
    return at


def _decoded(text: str, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.DecodeError as error:
        raise _odd() from error


def _odd() -> InvalidInputError:
    return InvalidInputError("this is no cursor of a HubSpot sweep", field="cursor", cure="sweep fully")


def next_type(kind: str, object_type: ObjectType) -> ObjectType | None:
    """Companies come after contacts, and nothing after companies."""
    types = TYPES_OF[kind]
    following = types[types.index(object_type) + 1 :]
    return following[0] if following else None


def begun(kind: str, at: ChangesCursor, now: int, overlap: int) -> ChangesCursor:
    """The first step of the next pass; a pass that is under way goes on."""
    since = at.since - overlap
    return at if at.type else ChangesCursor(since=since, started=now, type=TYPES_OF[kind][0], at=since)


def query(object_type: ObjectType, at: ChangesCursor) -> Mapping[str, Any]:
    """The body of the search that `at` stands for."""
    stamp = MODIFIED[object_type]
    if at.beyond is None:
        filters = [{"propertyName": stamp, "operator": "GTE", "value": str(at.at)}]
        order = stamp
    else:
        filters = [
            {"propertyName": stamp, "operator": "EQ", "value": str(at.at)},
            {"propertyName": OBJECT_ID, "operator": "GT", "value": at.beyond},
        ]
        order = OBJECT_ID
    return {
        "filterGroups": [{"filters": filters}],
        "sorts": [{"propertyName": order, "direction": "ASCENDING"}],
        "properties": [stamp],
        "limit": SEARCH_PAGE,
    }


def onward(kind: str, at: ChangesCursor, page: Hits) -> ChangesCursor:
    """Where to go on after this page; ReplyError where more follows nothing."""
    object_type, hits = at.type or TYPES_OF[kind][0], page.results
    has_more = page.has_more or len(hits) >= SEARCH_PAGE
    if has_more and not hits:
        raise ReplyError("HubSpot's search goes on after an empty page")
    if at.beyond is not None:
        if has_more:
            return msgspec.structs.replace(at, beyond=hits[-1].id)
        return msgspec.structs.replace(at, at=at.at + 1, beyond=None)
    if has_more:
        last = _milliseconds(hits[-1].properties.get(MODIFIED[object_type]))
        # a page full of one stamp would be asked for over and over: go through that stamp by id
        return msgspec.structs.replace(at, at=last, beyond=None if last > at.at else "0")
    following = next_type(kind, object_type)
    if following is None:
        return ChangesCursor(since=at.started)
    return msgspec.structs.replace(at, type=following, at=at.since)


def _milliseconds(stamp: str | None) -> int:
    try:
        if stamp and stamp.isdecimal():
            return int(stamp)
        return round(datetime.fromisoformat(str(stamp)).timestamp() * 1000)
    except ValueError as error:
        raise ReplyError(f"HubSpot's search gave an odd time: {stamp!r}") from error
