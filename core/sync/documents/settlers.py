"""Payments and credits that somebody made at a connection of copies: what they settle there is looked at."""

from __future__ import annotations

from collections.abc import Mapping

from core.errors import ReplyError
from core.model import holds
from core.model.documents import references
from core.ports import Missing, Sighting
from core.store import holds as hold_rows
from core.store import mappings
from core.store.database import Tx
from core.store.work import DirtyRow
from core.sync.documents.marking import Named, mark_mappings
from core.sync.documents.reading import read_all
from core.sync.failing import dealt_with
from core.sync.hub import Connection, Hub

MOST_HELD = 10_000


async def look_at_settled(hub: Hub, connection: Connection, strangers: Mapping[Named, DirtyRow]) -> None:
    """Nothing of them is taken: only the copies of invoices that they name are marked."""
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
    for remote_id, one in seen.items():
        trace = rows[remote_id].trace
        named = [] if isinstance(one, Missing) else _named(connection, kind, one)
        found = list(mappings.by_remote_ids(tx, connection.name, "invoice", named).values())
        if isinstance(one, Missing):
            found = _held(tx, connection)  # what it settled, nobody can tell any more
        mark_mappings(tx, hub, found, reason="settled by somebody else", trace=trace)
    dealt_with(tx, connection, list(rows.values()))


def _named(connection: Connection, kind: str, one: Sighting) -> tuple[str, ...]:
    try:
        return references(connection.documents.read(kind, one.raw).document) if connection.documents else ()
    except ReplyError:
        return ()  # of what cannot be understood nobody knows what it settles; the copy's own look finds it


def _held(tx: Tx, connection: Connection) -> list[mappings.MappingRow]:
    open_ones = hold_rows.listing(tx, connection=connection.name, reason=holds.BALANCE_DIFFERS, limit=MOST_HELD)
    return list(mappings.by_ids(tx, [one.subject[2:] for one in open_ones]).values())
