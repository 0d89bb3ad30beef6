"""All documents of a connection, page by page; all that it may want copies of, and its copies now and then.

After a restore also what is at a system that only gets copies, once: some of them nobody may remember.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from core.errors import ReplyError
from core.model.remote import Remote
from core.ports import Bad, Sighting
from core.store import connections, documents, mappings, observations, ownerless, work
from core.store.connections import ConnectionRow, Cursor, Cursors
from core.store.database import Tx
from core.store.observations import Observation
from core.sync.batch import Report
from core.sync.documents.absence import absent, look_for
from core.sync.documents.looking import AGAIN, REST_SECONDS, due_look, look_slice
from core.sync.documents.marking import rests, subject_of, unread
from core.sync.documents.offering import offer_copies
from core.sync.documents.strays import strays
from core.sync.documents.taking import Read, as_read, forgotten, take, understood
from core.sync.failing import record_bad
from core.sync.hub import Connection, Hub
from core.sync.sweep import Listed

OFFER = "document"
"""The kind of the cursor that walks the registry's documents for copies."""
COPIES = "copies"
"""What `due_listing` answers where copies are to be looked at again."""
WALK_AT_ONCE = 100


def due_listing(hub: Hub, connection: Connection, row: ConnectionRow, cursors: Cursors) -> str | None:
    """The kind of document that is to be listed now, `OFFER` or `COPIES`; None when nothing is due.

    `cursors` are the connection's.
    """
    if row.state != "active" or row.swept_at is None:
        return None
    policy, specs = connection.policy.documents, connection.manifest.documents
    # what settles invoices comes after them
    for kind in (one for one in ("invoice", "payment", "credit_note") if one in policy.originates):
        if specs[kind].lists and _is_due(hub, cursors[kind, "full"]):
            return kind
    if policy.mirrors and _is_due(hub, cursors[OFFER, "offer"]):
        return OFFER
    return _due_copies(hub, connection, cursors) or (COPIES if due_look(hub, connection, cursors) else None)


def _due_copies(hub: Hub, connection: Connection, cursors: Cursors) -> str | None:
    """A kind that is only copied here, to be listed once: a restore left a cursor of it that never came to an end."""
    policy, specs = connection.policy.documents, connection.manifest.documents
    kinds = [one for one in policy.mirrors if one not in policy.originates and specs[one].lists]
    begun = [cursors[kind, "full"] for kind in kinds if (kind, "full") in cursors]
    now = hub.clock.now()
    # begun in the future: that is when it is looked again whether it may begin
    return next((one.kind for one in begun if one.completed_at is None and now >= (one.started_at or 0.0)), None)


def _is_due(hub: Hub, cursor: Cursor) -> bool:
    if cursor.run is not None:
        return True
    every = REST_SECONDS if cursor.pending == AGAIN else hub.timing.full_every
    return cursor.completed_at is None or hub.clock.now() - cursor.completed_at >= every


async def list_slice(hub: Hub, connection: Connection, kind: str, listings: dict[str, Listed], report: Report) -> None:
    """One page of a listing, or of a walk; `listings`: what this process has seen of those under way, by kind."""
    if walk := {OFFER: _offer_slice, COPIES: look_slice}.get(kind):
        await hub.db.run(lambda tx: walk(tx, hub, connection))
        return
    cursor = await hub.db.read(lambda tx: connections.cursor(tx, connection.name, kind, "full"))
    run = cursor.run or hub.ids.new()
    if kind not in connection.policy.documents.originates:
        await _list_copies(hub, connection, cursor, run, report)
        return
    listed = listings.setdefault(kind, Listed())
    if listed.run != run:
        listed.begin(msgspec.structs.replace(cursor, run=run))
    page = await connection.connector.sweep(kind, "full", cursor.cursor)
    # a page that cannot be stored is read again, and what it showed was there
    listed.ids.update(one.id for some in (page.sightings, page.bad) for one in some)
    missing = await absent(hub, connection, kind, listed.ids) if page.is_last and listed.is_whole else None
    known = await hub.db.read(
        lambda tx: observations.digests(tx, connection.name, kind, [one.id for one in page.sightings])
    )
    read, bad = _understood(connection, kind, [one for one in page.sightings if known.get(one.id) != one.digest], run)
    bad += page.bad

    def store(tx: Tx) -> None:
        odd = _strays(tx, hub, connection, kind, read)
        _store(tx, hub, connection, kind, [one for one in read if one.sighting.id not in odd], run, report)
        _record(tx, hub, connection, kind, [*bad, *odd.values()], run)
        _move(tx, hub, cursor, run, page.cursor, is_last=page.is_last)
        if missing is not None:
            report.held += look_for(tx, hub, connection, kind, missing, len(listed.ids), run)

    await hub.db.run(store)
    report.looked += len(page.sightings)
    report.failed += len(bad)


async def _list_copies(hub: Hub, connection: Connection, cursor: Cursor, run: str, report: Report) -> None:
    """One page: of copies that nobody remembers people are told, and nothing else is taken or written."""
    kind = cursor.kind
    if cursor.run is None and not await hub.db.read(lambda tx: _is_all_known(tx, hub, connection, kind)):
        later = msgspec.structs.replace(cursor, started_at=hub.clock.now() + hub.timing.changes_every)
        await hub.db.run(lambda tx: connections.put_cursor(tx, later))
        return
    page = await connection.connector.sweep(kind, "full", cursor.cursor)
    read = [found for one in page.sightings if (found := as_read(connection, kind, one, run)) is not None]

    legible = {one.sighting.id for one in read}
    others = {one.id: ascii(one.raw) for one in page.sightings if one.id not in legible}
    others |= {one.id: one.raw for one in page.bad}

    def store(tx: Tx) -> None:
        waits = forgotten(tx, hub, connection, kind, read) | unread(tx, hub, connection, kind, others)
        _wait(tx, hub, connection, kind, waits, run)
        _move(tx, hub, cursor, run, page.cursor, is_last=page.is_last)

    await hub.db.run(store)
    report.looked += len(page.sightings)


def _is_all_known(tx: Tx, hub: Hub, connection: Connection, kind: str) -> bool:
    """Whether what was made elsewhere has been listed, and offered here: what is not remembered by then never is."""
    rows = {row.name: row for row in connections.every(tx)}
    origins = [
        name
        for name, one in hub.connections.items()
        if kind in one.policy.documents.originates
        and one.manifest.documents[kind].lists
        and rows[name].first_activated_at is not None  # one that never flowed need not be waited for
    ]
    cursors = [*((name, kind, "full") for name in origins), (connection.name, OFFER, "offer")]
    return all(connections.cursor(tx, *one).completed_at is not None for one in cursors)


def _wait(tx: Tx, hub: Hub, connection: Connection, kind: str, waits: Mapping[str, str], run: str) -> None:
    """Documents that cannot be taken yet, each with why: what they wait for lets them be looked at again."""
    now = hub.clock.now()
    known = mappings.by_remote_ids(tx, connection.name, kind, waits)
    for remote_id, why in waits.items():
        row = known.get(remote_id)
        subject = work.mapping_subject(row.id) if row else subject_of((kind, remote_id))
        parked = ownerless.PARKED if rests(why) else None
        later = {subject: now + hub.timing.first_back_off}
        work.mark(
            tx, connection.name, later, reason=why, trace=run, now=now, kind=kind, not_before=later, parked=parked
        )


def _understood(
    connection: Connection, kind: str, sightings: Sequence[Sighting], run: str
) -> tuple[list[Read], list[Bad]]:
    read, bad = [], []
    for one in sightings:
        try:
            read.append(Read(one, understood(connection, kind, one), run))
        except ReplyError as error:
            bad.append(Bad(one.id, None, str(error), ascii(one.raw)))
    return read, bad


def _strays(tx: Tx, hub: Hub, connection: Connection, kind: str, read: Sequence[Read]) -> dict[str, Bad]:
    wrong = strays(tx, hub, connection, kind, read)
    raws = {one.sighting.id: ascii(one.sighting.raw) for one in read}
    return {name: Bad(name, None, str(error), raws[name]) for name, error in wrong.items()}


def _store(tx: Tx, hub: Hub, connection: Connection, kind: str, read: Sequence[Read], run: str, report: Report) -> None:
    taken = take(tx, hub, connection, kind, read)
    _wait(tx, hub, connection, kind, taken.waits, run)
    seen = [
        Observation(remote_id=one.sighting.id, digest=one.sighting.digest, remote=Remote(id=one.sighting.id, fields={}))
        for one in read
        if one.sighting.id not in taken.waits  # of those more is remembered
    ]
    observations.put(tx, connection.name, kind, seen, hub.clock.now())
    report.entered += taken.entered
    report.pulled += taken.changed
    report.held += taken.held


def _move(tx: Tx, hub: Hub, cursor: Cursor, run: str, position: str | None, *, is_last: bool) -> None:
    connections.put_cursor(
        tx,
        Cursor(
            connection=cursor.connection,
            kind=cursor.kind,
            mode=cursor.mode,
            cursor=None if is_last else position,
            run=None if is_last else run,
            # what asked for this listing is answered by it, what asks while it goes on is not
            pending=None if cursor.run is None else cursor.pending,
            started_at=cursor.started_at,
            completed_at=hub.clock.now() if is_last else cursor.completed_at,
        ),
    )


def _record(tx: Tx, hub: Hub, connection: Connection, kind: str, bad: list[Bad], trace: str) -> None:
    known = mappings.by_remote_ids(tx, connection.name, kind, [one.id for one in bad])
    named = {
        work.mapping_subject(known[one.id].id) if one.id in known else subject_of((kind, one.id)): one for one in bad
    }
    record_bad(tx, hub, connection, named, trace, kind)
    # looked at again by itself, with back-off
    work.mark(tx, connection.name, named, reason="cannot be understood", trace=trace, now=hub.clock.now(), kind=kind)


def _offer_slice(tx: Tx, hub: Hub, connection: Connection) -> None:
    cursor = connections.cursor(tx, connection.name, OFFER, "offer")
    some = documents.uncopied(tx, connection.name, cursor.cursor or "", WALK_AT_ONCE)
    run = cursor.run or hub.ids.new()
    offer_copies(tx, hub, some, run)
    _move(tx, hub, cursor, run, some[-1].id if some else None, is_last=len(some) < WALK_AT_ONCE)
