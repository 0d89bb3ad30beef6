"""After a restore: a copy that an older database has forgotten is found by its marker, and never made a second time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

import msgspec

from core.errors import ReplyError
from core.model.documents import KINDS, Payment
from core.ports import Sighting
from core.store import connections, journal, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.sync.batch import Report
from core.sync.documents.finding import find_own
from core.sync.documents.listing import OFFER
from core.sync.documents.standing import Copy
from core.sync.failing import Trouble, record_trouble
from core.sync.hub import Connection, Hub

RESTORED_AT = "documents_restored_at"
RELEARNED: Final = timedelta(days=7)
"""Longer than it takes to list again all documents that were there at a restore."""
EAST: Final = timedelta(days=1)
"""Where books are kept, the day may be the next one already."""


def forget_listings(tx: Tx, hub: Hub) -> None:
    """All documents are listed again, and copies of what was there before are looked for before they are made."""
    connections.put_meta(tx, RESTORED_AT, str(hub.clock.now()))
    for row in connections.every(tx):
        for kind, mode in (*((kind, "full") for kind in KINDS), (OFFER, "offer")):
            cursor = connections.cursor(tx, row.name, kind, mode)
            connections.put_cursor(tx, msgspec.structs.replace(cursor, cursor=None, run=None, completed_at=None))


async def recover(hub: Hub, connection: Connection, copies: Sequence[Copy], report: Report) -> list[Copy]:
    """The same copies; those that are there already although nobody remembers it are linked.

    Left out are those that are there and cannot be read: they are seen among the failures.
    """
    day = await hub.db.read(restored_on)
    if day is None:
        return list(copies)
    found = []
    for copy in copies:
        if copy.mapping.remote_id is None and may_be_forgotten(copy.paper, day):
            looked_at = replace(copy, seen_at=hub.clock.now())
            try:
                own = await find_own(hub, connection, looked_at, since=None)
            except ReplyError as error:
                trouble = Trouble(error, record_id=copy.paper.customer_id)
                await hub.db.run(lambda tx, c=copy, t=trouble: record_trouble(tx, hub, connection, {c.row: t}))  # type: ignore[misc]
                report.failed += 1
                continue
            if len(own) == 1:
                found.append(await hub.db.run(lambda tx, c=looked_at, o=own[0]: _link(tx, hub, connection, c, o)))  # type: ignore[misc]
                continue
        found.append(copy)
    return found


def restored_on(tx: Tx) -> date | None:
    """The day on which this database was put back (UTC); None: it never was."""
    told = connections.meta(tx, RESTORED_AT)
    return datetime.fromtimestamp(float(told), UTC).date() if told is not None else None


def may_be_forgotten(paper: Paper, restored_on: date) -> bool:
    """False only for what is certainly newer than the restore: a document may be dated ahead, or east of UTC."""
    document = paper.document
    day = document.received_on if isinstance(document, Payment) else document.issued_on
    known_on = datetime.fromtimestamp(paper.created_at, UTC).date()
    is_fresh = known_on - restored_on > RELEARNED and day is not None and restored_on + EAST < day <= known_on
    return not is_fresh


def _link(tx: Tx, hub: Hub, connection: Connection, copy: Copy, own: Sighting) -> Copy:
    now = hub.clock.now()
    linked = msgspec.structs.replace(copy.mapping, remote_id=own.id, state="live", updated_at=now)
    mappings.update(tx, [linked])
    entry = journal.Entry(
        at=now,
        kind=copy.paper.kind,
        record_id=copy.paper.id,
        connection=connection.name,
        remote_id=own.id,
        action="link",
        actor="accord",
        trace=copy.row.trace,
    )
    journal.write(tx, [entry])
    return replace(copy, mapping=linked, raw=own.raw)
