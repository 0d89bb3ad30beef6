"""First contact, a slice at a time: objects of no customer climb the ladder, customers of no object are offered.

How far a walk has come is a cursor in the database, moved in the transaction of its slice.
"""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from core.errors import InvalidInputError
from core.store import connections, customers, mappings, observations, work
from core.store.connections import Cursor
from core.store.database import Tx
from core.sync.adopt import adopt
from core.sync.batch import Report
from core.sync.grouping import at_once
from core.sync.hub import KIND, Connection, Hub
from core.sync.notices import mark_objects
from core.sync.parts import offer_parts
from core.sync.registry import offer
from core.sync.taken import look_again_at_waiting

WALK_AT_ONCE = 250
"""Unmapped objects per transaction: with fewer of them each page of the file is written more often."""


class Walks:
    """Walks of all connections of a hub."""

    def __init__(self, hub: Hub, *, rows_at_once: int, walked_at_once: int) -> None:
        """`rows_at_once`: how many records one batch has at most; `walked_at_once`: unmapped objects per slice."""
        self._hub = hub
        self._rows_at_once = rows_at_once
        self._walked_at_once = walked_at_once

    async def go_on(self, connection: Connection, mode: str, report: Report) -> None:
        """One slice of unmapped objects up the ladder, or of unmapped customers offered for creation."""
        hub = self._hub
        cursor = await hub.db.read(lambda tx: connections.cursor(tx, connection.name, KIND, mode))
        if mode == "offer":
            await hub.db.run(lambda tx: self._offer_slice(tx, connection, cursor))
            return
        try:
            await hub.db.run(lambda tx: self._adopt_slice(tx, connection, cursor, report))
        except (InvalidInputError, IntegrityError):
            hub.log.exception("adopt.failed", connection=connection.name)
            # the same objects one by one: the bad one fails alone, as a waiting subject of its own
            await hub.db.run(lambda tx: self._adopt_singly(tx, connection, cursor))

    def _adopt_singly(self, tx: Tx, connection: Connection, cursor: Cursor) -> None:
        slice_ = observations.unmapped(tx, connection.name, KIND, cursor.cursor or "", self._walked_at_once)
        ids = [one.remote_id for one in slice_]
        mark_objects(tx, self._hub, connection, ids, reason="first contact", trace=cursor.run or "")
        connections.put_cursor(tx, _walked(cursor, ids[-1] if ids else None))

    def _adopt_slice(self, tx: Tx, connection: Connection, cursor: Cursor, report: Report) -> None:
        slice_ = observations.unmapped(tx, connection.name, KIND, cursor.cursor or "", self._walked_at_once)
        if not cursor.cursor:
            # what a listing shows of nobody's objects is looked at by no batch
            look_again_at_waiting(tx, self._hub, connection, None, cursor.run or "")
        if slice_:
            counts = adopt(tx, self._hub, connection, slice_, cursor.run or "")
            report.entered += counts.get("enter", 0)
            report.linked += counts.get("link", 0)
            report.held += counts.get("hold", 0)
        else:
            connections.change(tx, connection.name, restored_at=None)
        connections.put_cursor(tx, _walked(cursor, slice_[-1].remote_id if slice_ else None))

    def _offer_slice(self, tx: Tx, connection: Connection, cursor: Cursor) -> None:
        most = at_once(connection, self._rows_at_once)
        ids = mappings.unmapped_customers(tx, connection.name, KIND, cursor.cursor or "", most)
        unmapped = list(customers.by_ids(tx, ids).values())
        subjects = offer(tx, self._hub, connection.name, unmapped)
        if connection.parts.asked:
            ids, more = self._offer_parts(tx, connection, cursor.cursor or "", ids, is_full=len(ids) == most)
            subjects += more
        now = self._hub.clock.now()
        work.mark(tx, connection.name, subjects, reason="to be created", trace=cursor.run or "", now=now)
        connections.put_cursor(tx, _walked(cursor, ids[-1] if ids else None))

    def _offer_parts(
        self, tx: Tx, connection: Connection, after: str, unmapped: list[str], *, is_full: bool
    ) -> tuple[list[str], list[str]]:
        """Parts of customers that were mapped before the part was asked for: how far this slice goes, and subjects."""
        most = self._walked_at_once
        names = [part.name for part in connection.parts.asked]
        lists = [mappings.without_part(tx, connection.name, KIND, name, after, most) for name in names]
        # a list that is full ends there: whoever comes after its last one is of the next slice
        ends = [some[-1] for some in lists if len(some) == most] + (unmapped[-1:] if is_full else [])
        end = min(ends, default="")
        ids = sorted({one for some in (*lists, unmapped) for one in some if not end or one <= end})
        rows = mappings.of_records(tx, ids)
        owners = list(customers.by_ids(tx, ids).values())
        return ids, offer_parts(tx, self._hub, connection, owners, rows)


def _walked(cursor: Cursor, last: str | None) -> Cursor:
    run = cursor.run if last is not None else None
    return Cursor(connection=cursor.connection, kind=cursor.kind, mode=cursor.mode, cursor=last, run=run)
