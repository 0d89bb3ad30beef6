"""Sweeps: read a connection's changes since a cursor, or all of it, a page at a time.

What a listing shows may lag, so it only says what to look at: nothing is written from it, except into the
registry on first contact. A full sweep takes the change cursor before it starts, so nothing falls between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from core.errors import ReplyError
from core.model import holds
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.ports import Bad, Page, Sighting
from core.store import connections, failures, mappings, observations, work
from core.store import holds as hold_rows
from core.store.connections import Cursor
from core.store.database import Tx
from core.store.observations import Observation
from core.sync import guard, judge
from core.sync.batch import Report
from core.sync.documents.looking import look_at_all, look_beyond
from core.sync.documents.marking import mark_documents
from core.sync.failing import BAD_RECORD, record_bad
from core.sync.hub import KIND, Connection, Hub
from core.sync.notices import mark_objects
from core.sync.races import judge_races

CURSOR_EVERY = 10
"""An unchanged page moves the stored cursor only now and then: an idle sweep need not write for every page."""
LISTING_SUBJECT = "listing"
"""Of the question whether a listing that is implausibly short can be right."""


def listing_subject(kind: str) -> str:
    """What a question about the listing of documents of a kind is about."""
    return f"{LISTING_SUBJECT}:{kind}"


@dataclass(slots=True)
class Listed:
    """What this process has seen of a full sweep. After a restart it is incomplete, and proves nothing missing."""

    run: str = ""
    ids: set[str] = field(default_factory=set)
    pages: int = 0
    is_whole: bool = False
    position: str | None = None
    """Further along than the stored cursor while pages show nothing new."""
    named: set[str] = field(default_factory=set)
    """Of a sweep of changes under way: what earlier pages named. A feed that tells the newest first shows older
    states of it on later ones."""

    def begin(self, cursor: Cursor) -> None:
        """Start, or go on after a restart, where the stored cursor stands."""
        self.run, self.ids, self.pages = cursor.run or "", set(), 0
        self.is_whole, self.position = cursor.cursor is None, cursor.cursor


def is_due(hub: Hub, full: Cursor, changes: Cursor) -> str | None:
    """Which sweep should run now: `full`, `changes` or None. A full one that was begun goes on.

    Changes come first while there is a position to read them from: a full sweep of a large account takes hours.
    A position that the feed does not reach back to any more forces a full sweep.
    """
    now = hub.clock.now()
    pace = hub.connections[changes.connection].meter.pace(hub.timing.pace)
    is_stale = changes.completed_at is None or now - changes.completed_at >= pace.changes_every
    if is_stale and reaches_back(hub, changes):
        return "changes"
    is_begun = full.run is not None or full.completed_at is None
    return "full" if is_begun or is_stale or now - (full.completed_at or 0.0) >= pace.full_every else None


def reaches_back(hub: Hub, changes: Cursor) -> bool:
    """Whether the change feed still knows everything since this position."""
    window = hub.connections[changes.connection].manifest.changes_window_seconds
    return changes.cursor is not None and hub.clock.now() - (changes.started_at or 0.0) <= window


async def sweep_slice(hub: Hub, connection: Connection, mode: str, listed: Listed, report: Report) -> None:
    """Read and store one page."""
    cursor = await hub.db.read(lambda tx: connections.cursor(tx, connection.name, KIND, mode))
    if mode == "changes":
        await _changes_slice(hub, connection, cursor, listed, report)
        return
    if cursor.run is None:
        cursor = await begin_full(hub, connection, hub.ids.new())
    if listed.run != cursor.run:
        listed.begin(cursor)
    page = await connection.connector.sweep(KIND, "full", listed.position)
    await store_page(hub, connection, cursor, page, listed, report)
    if page.is_last:
        await _end_full(hub, connection, cursor, listed, report)


async def begin_full(hub: Hub, connection: Connection, run: str) -> Cursor:
    """Take the change cursor first, then start from the top."""
    pending = (await connection.connector.sweep(KIND, "changes", None)).cursor
    cursor = Cursor(
        connection=connection.name,
        kind=KIND,
        mode="full",
        pending=pending,
        run=run,
        started_at=hub.clock.now(),
        completed_at=(await hub.db.read(lambda tx: connections.cursor(tx, connection.name, KIND, "full"))).completed_at,
    )

    def begin(tx: Tx) -> None:
        # what a sweep under way has found would wait for an end that never comes: it waits for this one's
        under_way = connections.cursor(tx, connection.name, KIND, "full").run
        if under_way is not None:
            work.repark(tx, connection.name, under_way, run)
        connections.put_cursor(tx, cursor)

    await hub.db.run(begin)
    return cursor


async def store_page(
    hub: Hub, connection: Connection, cursor: Cursor, page: Page, listed: Listed, report: Report
) -> None:
    """Store what a page shows; what it changes waits for the end of the sweep."""
    ids = [one.id for one in page.sightings]
    known, failed = await hub.db.read(lambda tx: _known(tx, connection, ids))
    fresh = [one for one in page.sightings if known.get(one.id) != one.digest or one.id in failed]
    seen, bad = _translated(connection, fresh, page.bad)
    mended = failed - {one.id for one in bad}

    def store(tx: Tx) -> None:
        observations.put(tx, connection.name, KIND, seen, hub.clock.now())
        mapped = mappings.by_remote_ids(tx, connection.name, KIND, [one.remote_id for one in seen])
        mark_objects(tx, hub, connection, mapped, reason="sweep", trace=cursor.run or "", parked=cursor.run)
        failures.resolve(tx, connection.name, [work.remote_subject(one) for one in mended])
        record_bad(tx, hub, connection, _by_subject(bad), cursor.run or "")
        connections.put_cursor(tx, msgspec.structs.replace(cursor, cursor=page.cursor))

    if seen or bad or not (page.is_last or (listed.pages + 1) % CURSOR_EVERY):
        await hub.db.run(store)
    # only now: a page that could not be stored is read again
    listed.ids.update(ids, (one.id for one in page.bad))
    listed.pages += 1
    listed.position = page.cursor
    report.looked += len(ids) + len(page.bad)
    report.failed += len(bad)


def _known(tx: Tx, connection: Connection, ids: Sequence[str]) -> tuple[dict[str, str], set[str]]:
    """What these objects looked like last time, and which of them could not be understood then."""
    failed = failures.known(tx, connection.name, [work.remote_subject(one) for one in ids])
    bad = {one.subject[2:] for one in failed.values() if one.code == BAD_RECORD}
    return observations.digests(tx, connection.name, KIND, ids), bad


def _translated(
    connection: Connection, fresh: Sequence[Sighting], bad: Sequence[Bad]
) -> tuple[list[Observation], list[Bad]]:
    seen, troubles = [], list(bad)
    for one in fresh:
        try:
            seen.append(connection.observed(one))
        except ReplyError as error:
            troubles.append(Bad(one.id, None, str(error), ascii(one.raw)))
    return seen, troubles


def _by_subject(bad: Sequence[Bad]) -> dict[str, Bad]:
    return {work.remote_subject(one.id): one for one in bad}


async def _end_full(hub: Hub, connection: Connection, cursor: Cursor, listed: Listed, report: Report) -> None:
    """The listing is complete: is it plausible? Then what it lacks is looked for, and what changed is judged."""
    row = await hub.db.read(lambda tx: connections.get(tx, connection.name))
    total = len(listed.ids)
    await judge.judge_parked(hub, connection, cursor.run or "")
    if listed.is_whole and await _shrank(hub, connection, row.listed, total):
        report.held += 1
        return
    missing = await _missing(hub, connection, listed) if listed.is_whole else []
    unlisted = await hub.db.read(lambda tx: _not_listed(tx, connection, listed)) if listed.is_whole else []
    missing += [one for one in unlisted if one]

    def end(tx: Tx) -> None:
        now = hub.clock.now()
        if "" in unlisted:
            # what had no id can be read by none: that it is not listed any more is all there is to know
            failures.resolve(tx, connection.name, [work.remote_subject("")])
        for start in range(0, len(missing), 200):
            some = missing[start : start + 200]
            mark_objects(tx, hub, connection, some, reason="missing from the listing", trace=cursor.run or "")
        work.release(tx, connection.name, cursor.run or "")
        done = msgspec.structs.replace(cursor, cursor=None, run=None, pending=None, completed_at=now, listed=total)
        connections.put_cursor(tx, done)
        _start_changes(tx, hub, connection, cursor, now)
        counted = {"listed": total} if listed.is_whole else {}
        # its pause too: after a death right here nothing would say any more that there was one to end
        connections.change(tx, connection.name, swept_at=now, error="", error_code="", paused_until=None, **counted)
        if row.state == "active":
            start_first_contact(tx, connection, cursor.run or "")
        tx.after_commit(lambda: hub.wake(connection.name))

    await hub.db.run(end)


def _start_changes(tx: Tx, hub: Hub, connection: Connection, cursor: Cursor, now: float) -> None:
    """The change feed goes on from where it was before this sweep; from its start if it had none, or too old a one."""
    changes = connections.cursor(tx, connection.name, KIND, "changes")
    if not reaches_back(hub, changes):
        if changes.cursor is not None and connection.documents is not None:
            # what happened to copies before the feed begins, nothing tells any more
            look_at_all(tx, connection, connection.policy.documents.mirrors)
        fresh = msgspec.structs.replace(changes, cursor=cursor.pending, started_at=cursor.started_at, completed_at=now)
        connections.put_cursor(tx, fresh)


def start_first_contact(tx: Tx, connection: Connection, run: str) -> None:
    """Let unmapped objects climb the ladder, then offer unmapped customers for creation."""
    for mode in ("adopt", "offer"):
        connections.put_cursor(tx, Cursor(connection=connection.name, kind=KIND, mode=mode, cursor="", run=run))


async def _shrank(hub: Hub, connection: Connection, before: int, total: int) -> bool:
    """An implausibly small listing deletes nothing, leaves a feed that goes on where it is, and asks."""
    is_plausible = total >= before * (1.0 - hub.policy.guard.listing_share)
    digest = digest_of(holds.LISTING_SHRANK, before, total)

    def check(tx: Tx) -> bool:
        known = hold_rows.of_subjects(tx, connection.name, [LISTING_SUBJECT])
        answers = hold_rows.answers(known.get(LISTING_SUBJECT, ()))
        said = answers[""].choice if "" in answers and answers[""].digest == digest else ""
        if is_plausible or said == "approve":
            moot = hold_rows.Held(subject=LISTING_SUBJECT, record_id=None, drafts=[])
            hold_rows.settle(tx, hub.ids, connection.name, [moot], known, hub.clock.now())
            return False
        detail: dict[str, object] = {"problem": f"{total} objects listed, {before} the time before", "digest": digest}
        draft = HoldDraft(reason=holds.LISTING_SHRANK, detail=detail, digest=digest)
        # rejected: the same listing is not asked about again, and still deletes nothing
        held = hold_rows.Held(subject=LISTING_SUBJECT, record_id=None, drafts=[] if said else [draft])
        hold_rows.settle(tx, hub.ids, connection.name, [held], known, hub.clock.now())
        stopped = connections.cursor(tx, connection.name, KIND, "full")
        now = hub.clock.now()
        connections.put_cursor(tx, msgspec.structs.replace(stopped, run=None, cursor=None, completed_at=now))
        # without a feed to go on from, one complete sweep would follow the other until a person answers
        _start_changes(tx, hub, connection, stopped, now)
        # what it did show is there, and may be looked at
        work.release(tx, connection.name, stopped.run or "")
        return True

    return await hub.db.run(check)


def _not_listed(tx: Tx, connection: Connection, listed: Listed) -> list[str]:
    """Records that could not be understood and are not listed any more: a read tells whether they are gone."""
    known = failures.listing(tx, connection=connection.name, code=BAD_RECORD, limit=100_000)
    bad = [one.subject[2:] for one in known if one.kind == KIND]
    return [one for one in bad if one not in listed.ids]


async def _missing(hub: Hub, connection: Connection, listed: Listed) -> list[str]:
    """Known objects that a whole listing did not show; a read must confirm each."""
    missing: list[str] = []
    after = ""
    while True:
        page = await hub.db.read(lambda tx, a=after: observations.ids_after(tx, connection.name, KIND, a, 1000))  # type: ignore[misc]
        if not page:
            return missing
        missing += [one for one in page if one not in listed.ids]
        after = page[-1]


async def _changes_slice(hub: Hub, connection: Connection, cursor: Cursor, listed: Listed, report: Report) -> None:
    asked_at = hub.clock.now()
    page = await connection.connector.sweep(KIND, "changes", cursor.cursor)
    ids = [one.id for one in page.sightings]
    known = await hub.db.read(lambda tx: observations.digests(tx, connection.name, KIND, ids))
    named = {*page.changed, *page.gone, *(one.id for one in page.sightings if known.get(one.id) != one.digest)}
    trace = hub.ids.new()

    def store(tx: Tx) -> None:
        mark_objects(tx, hub, connection, named, reason="changed", trace=trace)
        papers = {(one.kind, one.remote_id): trace for one in page.others}
        mark_documents(tx, hub, connection, papers, reason="changed")
        look_beyond(tx, connection, page.cut)
        fresh = [one for one in page.sightings if known.get(one.id) != one.digest and one.id not in listed.named]
        risky, why = judge.judge_page(tx, hub, connection, connections.get(tx, connection.name), fresh, asked_at)
        if risky:
            guard.stop(tx, hub, connection, risky, why)
        judge_races(tx, hub, connection, page.notices)
        record_bad(tx, hub, connection, _by_subject(page.bad), trace)
        now = hub.clock.now()
        moved = msgspec.structs.replace(cursor, cursor=page.cursor or cursor.cursor)
        ended = msgspec.structs.replace(moved, started_at=now, completed_at=now)
        connections.put_cursor(tx, ended if page.is_last else moved)

    await hub.db.run(store)
    listed.named = set() if page.is_last else listed.named | named | set(ids)
    report.looked += len(named)
