"""What waits in a lane, and what of it may be begun beside what is under way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.store import connections, inbox, mappings, work
from core.store.connections import ConnectionRow
from core.store.database import Tx
from core.store.work import DirtyRow
from core.sync.grouping import at_once
from core.sync.hub import KIND, Connection, Hub
from core.sync.sweep import is_due

ROWS_AT_ONCE = 100
SINGLE_READS_AT_ONCE = 20
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
    walk: str | None
    sweep: str | None


def look_around(tx: Tx, hub: Hub, connection: Connection, most: int, busy: Collection[str] = ()) -> Look:
    """What waits in a lane now, but for the `busy` subjects, which are being worked on."""
    name, now = connection.name, hub.clock.now()
    limit = at_once(connection, most) if connection.manifest.read_batch > 1 else min(most, SINGLE_READS_AT_ONCE)
    cursors = connections.cursors(tx, name, KIND)
    one_offs = work.one_off_states(tx, name)
    dirty, claimed = _free(tx, name, now, limit, busy)
    return Look(
        row=connections.get(tx, name),
        has_letters=inbox.is_waiting(tx, name),
        has_one_off="new" in one_offs,
        has_running="running" in one_offs,
        dirty=dirty,
        claimed=claimed,
        walk=next((mode for mode in ("adopt", "offer") if cursors[mode].run is not None), None),
        sweep=is_due(hub, cursors["full"], cursors["changes"]),
    )


def _free(tx: Tx, name: str, now: float, limit: int, busy: Collection[str]) -> tuple[list[DirtyRow], set[str]]:
    """The first rows that are due and that nobody works on, and what a batch of them lays claim to."""
    rows = [row for row in work.due(tx, name, now, limit + len(busy)) if row.subject not in busy]
    other = _other_names(tx, name, rows, busy)
    free = [row for row in rows if other.get(row.subject) not in busy][:limit]
    return free, {one for row in free for one in (row.subject, other.get(row.subject, row.subject))}


def _other_names(tx: Tx, name: str, rows: Sequence[DirtyRow], busy: Collection[str]) -> dict[str, str]:
    """An object that was marked, or begun with, before it had a mapping is that mapping's by now."""
    objects = [row.subject[2:] for row in rows if row.subject.startswith("r:")]
    mapped = mappings.by_remote_ids(tx, name, KIND, objects + [one[2:] for one in busy if one.startswith("r:")])
    by_object = {work.remote_subject(remote_id): work.mapping_subject(one.id) for remote_id, one in mapped.items()}
    return by_object | {mapping: subject for subject, mapping in by_object.items() if subject in busy}


def goes_beside(look: Look) -> bool:
    """Whether what is next may be done while batches are under way.

    The change feed only says what to look at. What a listing showed before the answer to a write must not be stored
    after it, and objects without a mapping wait for creates that may have made them.
    """
    return look.sweep == "changes"
