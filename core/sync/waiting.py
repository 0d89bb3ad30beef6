"""What waits in a lane, and what of it may be begun beside what is under way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.store import connections, looks, mappings, work
from core.store.connections import ConnectionRow, Cursors
from core.store.database import Tx
from core.store.looks import Seen
from core.store.work import DirtyRow
from core.sync.documents.listing import OFFER, due_listing
from core.sync.documents.marking import Named, named_in
from core.sync.grouping import at_once
from core.sync.hub import KIND, Connection, Hub
from core.sync.sweep import is_due

ROWS_AT_ONCE = 100
SINGLE_READS_AT_ONCE = 25
"""Where each read is a call of its own, a batch stays short: a webhook that comes meanwhile waits for its end."""


@dataclass(frozen=True, slots=True)
class Look:
    """All that waits in one lane, seen in one snapshot."""

    row: ConnectionRow
    has_letters: bool
    has_one_off: bool
    has_running: bool
    dirty: Sequence[DirtyRow]
    claimed: Collection[str]
    """What no other batch may work on while these rows are: they, and the mappings of objects among them."""
    papers: Sequence[DirtyRow]
    claimed_papers: Collection[str]
    walk: str | None
    sweep: str | None
    listing: str | None


def look_around(tx: Tx, hub: Hub, connection: Connection, most: int, busy: Collection[str] = ()) -> Look:
    """What waits in a lane now, but for the `busy` subjects, which are being worked on."""
    name, now = connection.name, hub.clock.now()
    limit = at_once(connection, most) if connection.manifest.read_batch > 1 else min(most, SINGLE_READS_AT_ONCE)
    seen, cursors = looks.at(tx, name), connections.cursors(tx, name)
    row, is_due_now = seen.row, seen.next_due is not None and seen.next_due <= now
    due = work.due(tx, name, now, limit + len(busy)) if is_due_now else ()
    dirty, claimed = _free(tx, name, due, limit, busy)
    most_papers = limit * connection.manifest.document_batches
    due = work.due_documents(tx, name, now, most_papers + len(busy)) if is_due_now and connection.documents else ()
    papers, claimed_papers = _free(tx, name, due, most_papers, busy)
    return Look(
        row=row,
        has_letters=seen.has_letters,
        has_one_off=seen.has_one_off,
        has_running=seen.has_running,
        dirty=dirty,
        claimed=claimed,
        papers=papers,
        claimed_papers=claimed_papers,
        walk=_walk(cursors),
        sweep=due_sweep(hub, connection, cursors, is_needed=_is_needed(seen)),
        listing=_due_listing(hub, connection, row, cursors, is_needed=_is_needed(seen)),
    )


def _is_needed(seen: Seen) -> bool:
    """Whether a person waits for its end, or for its first sweep."""
    return seen.has_running or seen.row.swept_at is None


def due_sweep(hub: Hub, connection: Connection, cursors: Cursors, *, is_needed: bool) -> str | None:
    """Which sweep should run now; while few calls are left, none that can wait."""
    mode = is_due(hub, cursors[KIND, "full"], cursors[KIND, "changes"])
    if mode is None or is_needed or not connection.meter.gives_way(mode, hub.clock.now()):
        return mode
    return None


def _due_listing(
    hub: Hub, connection: Connection, row: ConnectionRow, cursors: Cursors, *, is_needed: bool
) -> str | None:
    found = due_listing(hub, connection, row, cursors) if connection.documents else None
    # what the registry holds is walked without a call
    is_free = found in (None, OFFER) or is_needed
    return found if is_free or not connection.meter.gives_way("full", hub.clock.now()) else None


def _walk(cursors: Cursors) -> str | None:
    """Which of the two walks over what has no mapping is under way."""
    return next((mode for mode in ("adopt", "offer") if cursors[KIND, mode].run is not None), None)


def _free(
    tx: Tx, name: str, due: Sequence[DirtyRow], limit: int, busy: Collection[str]
) -> tuple[list[DirtyRow], set[str]]:
    """The first rows that are due and that nobody works on, and what a batch of them lays claim to."""
    rows = [row for row in due if row.subject not in busy]
    other = _other_names(tx, name, rows, busy)
    free = [row for row in rows if other.get(row.subject) not in busy][:limit]
    return free, {one for row in free for one in (row.subject, other.get(row.subject, row.subject))}


def _other_names(tx: Tx, name: str, rows: Sequence[DirtyRow], busy: Collection[str]) -> dict[str, str]:
    """An object that was marked, or begun with, before it had a mapping is that mapping's by now."""
    by_kind: dict[str, dict[str, str]] = {}
    for subject in (*(row.subject for row in rows), *busy):
        if named := _object_in(subject):
            by_kind.setdefault(named[0], {})[named[1]] = subject
    by_object = {
        subjects[remote_id]: work.mapping_subject(one.id)
        for kind, subjects in by_kind.items()
        for remote_id, one in mappings.by_remote_ids(tx, name, kind, list(subjects)).items()
    }
    return by_object | {mapping: subject for subject, mapping in by_object.items() if subject in busy}


def _object_in(subject: str) -> Named | None:
    """Kind and id of the object that a subject names; None for a mapping."""
    if subject.startswith("d:"):
        return named_in(subject)
    return (KIND, subject[2:]) if subject.startswith("r:") else None


def goes_beside(look: Look) -> bool:
    """Whether what is next may be done while batches are under way.

    The change feed only says what to look at. What a listing showed before the answer to a write must not be stored
    after it, and objects without a mapping wait for creates that may have made them.
    """
    return look.sweep == "changes"


def due_lanes(tx: Tx, hub: Hub) -> set[str]:
    """Lanes in which something may be done now: the planner's tick asks, and wakes them."""
    now = hub.clock.now()
    found, cursors = set(), connections.every_cursor(tx, hub.connections)
    for one in looks.everywhere(tx):
        row = one.row
        if row.name not in hub.connections or (row.paused_until or 0.0) > now:
            continue
        if row.state == "reauthorize":
            found |= {row.name} if one.has_letters else set()
            continue
        here, connection = cursors[row.name], hub.connections[row.name]
        is_waiting = one.has_letters or one.has_one_off or one.has_running
        is_listing = _due_listing(hub, connection, row, here, is_needed=_is_needed(one)) is not None
        is_waiting = is_waiting or (one.next_due is not None and one.next_due <= now) or _walk(here) is not None
        if is_waiting or is_listing or due_sweep(hub, connection, here, is_needed=_is_needed(one)):
            found.add(row.name)
    return found
