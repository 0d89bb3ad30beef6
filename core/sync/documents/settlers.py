"""What is nobody's at a connection of copies: what it settles there is looked at.

Those are payments and credits that somebody made, and, after a restore, copies that nobody remembers.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.model import holds
from core.model.documents import references
from core.ports import Missing, Sighting
from core.store import holds as hold_rows
from core.store import mappings, work
from core.store.database import Tx
from core.store.work import DirtyRow
from core.sync.documents.marking import Named, mark_mappings, unread
from core.sync.documents.reading import read_all
from core.sync.documents.taking import as_read, forgotten
from core.sync.failing import dealt_with
from core.sync.hub import Connection, Hub

MOST_HELD = 10_000


async def look_at_settled(hub: Hub, connection: Connection, strangers: Mapping[Named, DirtyRow]) -> None:
    """Nothing of them is taken: the copies of invoices that they name are marked, and what is forgotten waits on."""
    for kind in sorted({kind for kind, _ in strangers}):
        rows = {remote_id: row for (of, remote_id), row in strangers.items() if of == kind}
        seen = await read_all(connection, kind, rows)
        await hub.db.run(lambda tx, k=kind, s=seen, r=rows: _mark(tx, hub, connection, k, s, r))  # type: ignore[misc]


def _mark(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    kind: str,
    seen: Mapping[str, Sighting | Missing],
    rows: Mapping[str, DirtyRow],
) -> None:
    read = {
        remote_id: as_read(connection, kind, one, rows[remote_id].trace)
        for remote_id, one in seen.items()
        if not isinstance(one, Missing)
    }
    for remote_id, row in rows.items():
        one = read.get(remote_id)
        # of what cannot be read nobody knows what it settles; the copy's own look finds it
        named = references(one.remote.document) if one else ()
        found = list(mappings.by_remote_ids(tx, connection.name, "invoice", named).values())
        if remote_id not in read:
            found = _held(tx, connection)  # what it settled, nobody can tell any more
        mark_mappings(tx, hub, found, reason="settled by somebody else", trace=row.trace)
    raws = {name: ascii(one.raw) for name, one in seen.items() if not isinstance(one, Missing) and read[name] is None}
    waits = unread(tx, hub, connection, kind, raws)
    waits |= forgotten(tx, hub, connection, kind, [one for one in read.values() if one])
    for remote_id, why in waits.items():
        # each look is a call of its own at some: the first tells people of it, the others come once a day
        until = hub.clock.now() + (hub.timing.full_every if rows[remote_id].attempts else hub.timing.first_back_off)
        work.postpone(tx, connection.name, {rows[remote_id].subject: until}, reason=why)
    dealt_with(tx, connection, [row for remote_id, row in rows.items() if remote_id not in waits])


def _held(tx: Tx, connection: Connection) -> list[mappings.MappingRow]:
    open_ones = hold_rows.listing(tx, connection=connection.name, reason=holds.BALANCE_DIFFERS, limit=MOST_HELD)
    return list(mappings.by_ids(tx, [one.subject[2:] for one in open_ones]).values())
