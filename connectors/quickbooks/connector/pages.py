"""Pages of objects cut into records, without translating them: one bad record never loses the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

import msgspec

from connectors.quickbooks.manifest import CUSTOMER, FEEDS, MANIFEST, QUERY_PAGE, REFUND
from connectors.quickbooks.wire import GIVEN_BACK, CdcReply, Made, ObjectReply, QueryReply, Row, Stamped, Timed
from core.errors import ReplyError
from core.ports import Bad, Notice, Page, Sighting

_PREFIX: Final = str(MANIFEST.translation).encode()
_SUSPECTS: Final = (b"\\u0000", b"\\ud", b"\\uD")
"""Escapes that may stand for characters that no database stores; a pair of surrogates is innocent."""
_ABOVE: Final = b'"ParentRef"'
EVERYONE: Final = "Active in (true, false)"
"""A query without this condition leaves inactive customers out, and they would look deleted."""
FIRST_VERSION: Final = "0"
"""The SyncToken that an object is made with; every change counts it up."""
TIE_OVERLAP: Final = 50
"""Objects of one second can only be paged by offset: an edit meanwhile moves the others up, so pages overlap."""


class Position(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a sweep stands. `at`: read from this LastUpdatedTime on, `start` counts within it.

    `since` is where an incremental sweep began; `until` is set while one pages through queries instead, of which
    `kind` is the present one. `told` names the set of documents that the answer before this cursor told of.
    """

    at: str = ""
    start: int = 1
    since: str = ""
    until: str = ""
    kind: str = CUSTOMER
    told: str = ""


def sighting(remote_id: str, raw: bytes) -> Sighting:
    """Name one object's bytes; who is above it is named by id alone: that one's name is nothing of its own."""
    if _ABOVE in raw:
        raw = _without_names_above(raw)
    return Sighting(remote_id, blake2b(_PREFIX + raw, digest_size=16).hexdigest(), raw)


def _without_names_above(raw: bytes) -> bytes:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    if not isinstance(found, dict) or not isinstance(found.get("ParentRef"), dict):
        return raw
    own = {name: value for name, value in found.items() if name != "FullyQualifiedName"}
    own["ParentRef"] = {name: value for name, value in found["ParentRef"].items() if name != "name"}
    return json.dumps(own, separators=(",", ":")).encode()


def queried(body: bytes, entity: str = "Customer") -> list[bytes]:
    """Records of a query's answer."""
    return _cut(
        body,
        lambda text: msgspec.json.decode(text, type=QueryReply).result.of(entity),
        lambda found: found["QueryResponse"].get(entity, []),
        entity,
    )


def changed(body: bytes, entity: str = "Customer") -> list[bytes]:
    """Records of one entity in a change feed's answer."""
    return _cut(
        body,
        lambda text: [
            raw
            for entry in msgspec.json.decode(text, type=CdcReply).sets
            for result in entry.results
            for raw in result.of(entity)
        ],
        lambda found: [
            record
            for entry in found["CDCResponse"]
            for result in entry["QueryResponse"]
            for record in result.get(entity, [])
        ],
        entity,
    )


def joined(page: Page, others: Sequence[Notice]) -> Page:
    """The same page, with more objects of other kinds."""
    return msgspec.structs.replace(page, others=[*page.others, *others])


def single(body: bytes, entity: str = "Customer") -> bytes:
    """The record of an answer about one object."""
    records = _cut(
        body,
        lambda text: [msgspec.json.decode(text, type=ObjectReply).of(entity)],
        lambda found: [found[entity]],
        entity,
    )
    return records[0]


def time_of(body: bytes) -> str:
    """Intuit's own time in an answer, to the whole second; ours may be wrong."""
    try:
        try:
            text = msgspec.json.decode(body, type=Timed).time
        except msgspec.MsgspecError:  # one record of the answer may be odd, its envelope is not
            text = json.loads(body.decode("utf-8", "surrogateescape"))["time"]
        return datetime.fromisoformat(text).replace(microsecond=0).isoformat()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = "an answer without a readable time"
        raise ReplyError(msg) from error


def earlier(time: str, seconds: float) -> str:
    """A time of `time_of`, moved back."""
    try:
        return (datetime.fromisoformat(time) - timedelta(seconds=seconds)).isoformat()
    except ValueError as error:
        msg = f"a cursor without a time: {time!r}"
        raise ReplyError(msg) from error


def midway(start: str, end: str) -> str:
    """The time between two of `time_of`, to the whole second; `start` again where no second is between them."""
    first, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    return (first + (last - first) / 2).replace(microsecond=0).isoformat()


def deleted(records: Sequence[bytes]) -> list[bytes]:
    """Those that a change feed calls deleted."""
    return [one for one in records if (row := row_of(one)) is not None and row.status == "Deleted"]


def timestamp(time: str) -> float:
    """A time of `time_of` as seconds since 1970."""
    return datetime.fromisoformat(time).timestamp()


def spelled(seconds: float) -> str:
    """Seconds since 1970 as a time that a query takes."""
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0).isoformat()


def is_as_made(record: bytes) -> bool:
    """Nobody has changed it since it was made: its values are those that it was made with."""
    try:
        made = msgspec.json.decode(record, type=Made)
    except (ValueError, RecursionError):
        return False
    return made.version == FIRST_VERSION and made.meta.created_at == made.meta.updated_at


def quoted(texts: Sequence[str]) -> str:
    """Literals of the query language, in a list."""
    escaped = [text.replace("\\", "\\\\").replace("'", "\\'") for text in texts]
    return ", ".join(f"'{text}'" for text in escaped)


def selected(condition: str, *, start: int = 1) -> str:
    """A query for a page of customers."""
    return f"select * from Customer where {condition} startposition {start} maxresults {QUERY_PAGE}"  # noqa: S608


def sightings(records: Sequence[bytes]) -> Iterator[Sighting]:
    """Objects of a query's answer; a record without an id is nobody's."""
    for record in records:
        row = row_of(record)
        if row is not None:
            yield sighting(row.id, record)


def shown(record: bytes) -> dict[str, Any]:
    """A customer, item or account as it was read. Raises ReplyError where it is no object, or has no id."""
    try:
        found = msgspec.json.decode(record)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("Id"), str):
        raise ReplyError("QuickBooks shows an object without a readable Id")
    return found


def row_of(record: bytes) -> Row | None:
    """Tell a record's id, where it has one that a database can keep."""
    row: Row | None
    try:
        row = msgspec.json.decode(record, type=Row)
    except (ValueError, RecursionError):
        row = _row_leniently(record)
    if row is None or not row.id or next(_odd_texts("Id", row.id), None):
        return None
    return msgspec.structs.replace(row, id=f"{REFUND}-{row.id}") if row.gives_back else row


def _row_leniently(record: bytes) -> Row | None:
    # half a surrogate pair anywhere makes msgspec refuse the record; its id is still its id
    try:
        found = json.loads(record)
        return Row(id=msgspec.convert(found["Id"], str), gives_back=GIVEN_BACK in found)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def page_of(records: Sequence[bytes], *, cursor: Position | None, is_last: bool) -> Page:
    """Sort records into sightings, gone ones and bad ones."""
    sightings: list[Sighting] = []
    gone: list[str] = []
    bad: list[Bad] = []
    for record in records:
        row = row_of(record)
        if row is None:
            bad.append(Bad("?", "Id", "an object without a readable Id", _escaped(record)))
        elif row.status == "Deleted":
            gone.append(row.id)
        elif (field := _unstorable(record)) is not None:
            bad.append(Bad(row.id, field, "holds characters that cannot be stored", _escaped(record)))
        else:
            sightings.append(sighting(row.id, record))
    return Page(sightings=sightings, gone=gone, bad=bad, cursor=encoded(cursor) if cursor else None, is_last=is_last)


def next_position(position: Position, records: Sequence[bytes]) -> Position | None:
    """Where to read on after a page; None when it was the last.

    A keyset on LastUpdatedTime does not drift under writes as an offset does; the last second of a page is
    read again, because more of its objects may follow.
    """
    if len(records) < QUERY_PAGE:
        return None
    times = [time for time in map(_updated_at, records) if time]
    last = times[-1] if times else position.at
    if len(set(times)) > 1 and last != position.at:
        return msgspec.structs.replace(position, at=last, start=1)
    step = QUERY_PAGE - TIE_OVERLAP
    if last == position.at:
        return msgspec.structs.replace(position, start=position.start + step)
    # the page is one single second, seen from its first object only if the page itself began at the start
    return msgspec.structs.replace(position, at=last, start=1 + step if position.start == 1 else 1)


def encoded(position: Position) -> str:
    """Render a position as a cursor."""
    return msgspec.json.encode(position).decode()


def decoded(cursor: str) -> Position:
    """Read a cursor of ours."""
    try:
        return msgspec.json.decode(cursor, type=Position)
    except msgspec.MsgspecError as error:
        msg = f"a cursor that is none of ours: {error}"
        raise ReplyError(msg) from error


def _cut(
    body: bytes,
    fast: Callable[[bytes], Sequence[msgspec.Raw]],
    slow: Callable[[Any], list[object]],
    entity: str,
) -> list[bytes]:
    try:
        body.decode()  # msgspec does not look at what it skips, and a record with a broken byte must be found
        found = [bytes(raw) for raw in fast(body)]
    except (ValueError, RecursionError):
        found = list(_cut_leniently(body, slow))
    return [_given_back(one) for one in found] if entity == FEEDS[REFUND] else found


def _given_back(record: bytes) -> bytes:
    return b'%b,"%b":true}' % (record.rstrip()[:-1], GIVEN_BACK.encode())


def _cut_leniently(body: bytes, slow: Callable[[Any], list[object]]) -> Iterator[bytes]:
    try:
        for record in slow(json.loads(body.decode("utf-8", "surrogateescape"))):
            yield json.dumps(record, separators=(",", ":")).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        msg = f"a page that cannot be read: {type(error).__name__}"
        raise ReplyError(msg) from error


def _updated_at(record: bytes) -> str:
    try:
        return msgspec.json.decode(record, type=Stamped).meta.updated_at
    except (ValueError, RecursionError):
        return ""


def _unstorable(record: bytes) -> str | None:
    """Name the attribute that holds U+0000 or half a surrogate pair; nearly always one look at the bytes is enough."""
    if not any(suspect in record for suspect in _SUSPECTS):
        return None
    return next(_odd_texts("", json.loads(record)), None)


def _odd_texts(path: str, value: object) -> Iterator[str]:
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _odd_texts(f"{path}.{key}" if path else key, item)
    elif isinstance(value, list):
        for item in value:
            yield from _odd_texts(path, item)


def _escaped(record: bytes) -> str:
    return json.dumps(record.decode("utf-8", "backslashreplace"))[1:-1]
