"""Copies are looked at again, whether anything told of them or not: what was edited or deleted unheard is found.

Each walk goes through all copies of a kind, a few at a time, and no faster than the month's reads allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from core.store import connections, documents, mappings
from core.store.connections import Cursor, Cursors
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.documents.marking import SEEN_NOW_AND_THEN, mark_mappings
from core.sync.hub import Connection, Hub

LOOK: Final = "look"
"""The mode of the cursors that walk the copies of one kind; `started_at` of one: when it may go on."""
AT_ONCE: Final = 100
SINGLY_AT_ONCE: Final = 25
"""Where each read is a call of its own."""
AGAIN: Final = "again"
"""In `pending` of a listing's cursor: once more, when it is done and has rested."""
REST_SECONDS: Final = 3600.0
"""Between two listings, or two walks, that a feed which was cut asks for: each reads everything."""
SOON: Final = "soon"
"""In `pending` of such a cursor: at full speed."""
SOON_SHARE: Final = 0.5
"""Of a month's calls, at most, for looking at all copies at once."""


def due_look(hub: Hub, connection: Connection, cursors: Cursors) -> str | None:
    """A kind whose copies are to be looked at now: begun with, or gone on with."""
    return next((kind for kind in connection.policy.documents.mirrors if _is_due(hub, cursors[kind, LOOK])), None)


def _is_due(hub: Hub, cursor: Cursor) -> bool:
    now = hub.clock.now()
    if now < (cursor.started_at or 0.0):
        return False
    return cursor.run is not None or cursor.completed_at is None or now - cursor.completed_at >= hub.timing.full_every


def look_slice(tx: Tx, hub: Hub, connection: Connection) -> None:
    """Mark the next few copies; a read tells what became of them."""
    kind = due_look(hub, connection, connections.cursors(tx, connection.name))
    if kind is None:
        return
    cursor = connections.cursor(tx, connection.name, kind, LOOK)
    size = AT_ONCE if connection.manifest.read_batch > 1 else SINGLY_AT_ONCE
    some = mappings.page(tx, connection.name, cursor.cursor or "", size, kind)
    copies, run = _copies(tx, hub, connection, kind, some), cursor.run or hub.ids.new()
    mark_mappings(tx, hub, copies, reason=SEEN_NOW_AND_THEN, trace=run)
    now, is_last = hub.clock.now(), len(some) < size
    waits = 0.0 if cursor.pending == SOON else _calls(connection, len(copies)) * connection.meter.looks_every()
    moved = msgspec.structs.replace(
        cursor,
        cursor=None if is_last else some[-1].id,
        run=None if is_last else run,
        pending=None if is_last else cursor.pending,
        started_at=now + waits,
        completed_at=now if is_last else cursor.completed_at,
    )
    connections.put_cursor(tx, moved)


def look_beyond(tx: Tx, connection: Connection, cut: Sequence[str]) -> None:
    """List documents of these kinds, and look at their copies: a feed told of less than happened to them.

    While much is imported every answer of the feed is cut: what is under way goes on, and what has just ended rests.
    """
    policy, specs = connection.policy.documents, connection.manifest.documents
    for kind in (one for one in cut if one in policy.originates and specs[one].lists):
        cursor = connections.cursor(tx, connection.name, kind, "full")
        connections.put_cursor(tx, msgspec.structs.replace(cursor, pending=AGAIN))
    walks = {kind: connections.cursor(tx, connection.name, kind, LOOK) for kind in cut if kind in policy.mirrors}
    ended = {kind: one.completed_at for kind, one in walks.items() if one.run is None and one.completed_at is not None}
    look_at_all(tx, connection, list(ended))
    for kind, at in ended.items():
        cursor = connections.cursor(tx, connection.name, kind, LOOK)
        connections.put_cursor(tx, msgspec.structs.replace(cursor, started_at=at + REST_SECONDS))


def look_at_all(tx: Tx, connection: Connection, kinds: Sequence[str]) -> None:
    """Every copy once, from now on: a time has passed of which no feed tells any more.

    At once, where that takes no more than half of a month's calls.
    """
    calls = sum(_calls(connection, mappings.count(tx, connection.name, "live", kind=kind)) for kind in kinds)
    is_cheap = all(calls <= one.calls * SOON_SHARE for one in connection.meter.allowances)
    for kind in kinds:
        fresh = Cursor(connection=connection.name, kind=kind, mode=LOOK, pending=SOON if is_cheap else None)
        connections.put_cursor(tx, fresh)


def _copies(tx: Tx, hub: Hub, connection: Connection, kind: str, rows: list[MappingRow]) -> list[MappingRow]:
    """Of others' documents; where a feed tells of copies, only those that are there and were not compared just now."""
    papers = documents.by_ids(tx, [row.record_id for row in rows])
    copies = [row for row in rows if papers[row.record_id].origin != connection.name]
    if not connection.manifest.documents[kind].feeds:
        return copies
    before = hub.clock.now() - hub.timing.full_every
    return [row for row in copies if row.remote_id and row.updated_at <= before]


def _calls(connection: Connection, copies: int) -> int:
    return -(-copies // connection.manifest.read_batch)
