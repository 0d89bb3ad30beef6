"""A database that was put back from an older backup is noticed before anything is written anywhere.

Then every connection starts observing, what was erased or unlinked since is ended again, and what the older database
may have forgotten is looked for before anything is created.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from core.model.life import Life, strange
from core.store import api_tokens, connections, instance, journal, life, tombstones
from core.store.database import Tx
from core.store.tombstones import Tombstone
from core.sync import erasure, linking
from core.sync.documents.recovering import forget_listings
from core.sync.hub import KIND, Hub
from core.sync.life import write


def notice(hub: Hub) -> str | None:
    """Compare the database with the file that tells of its life; returns why it is strange, if it is.

    Only for whoever holds the database: it moves the life on.
    """
    told = hub.life.read() if hub.life else None

    def look(tx: Tx) -> str | None:
        here, now_home = life.note(tx), life.home(tx)
        needs_file = hub.life is not None and hub.life.is_kept
        why = strange(here, told.life if told else None, home=now_home, needs_file=needs_file)
        if told:
            _end_again(tx, hub, told.tombstones)
            api_tokens.revoke_again(tx, told.revoked, hub.clock.now())
        if why:
            begin_observing(tx, hub)
        counter = max(here.counter if here else 0, told.life.counter if told else 0) + 1
        life.put_note(tx, Life(instance=hub.instance, counter=counter, home=now_home))
        return why

    why = hub.db.run_now(look)
    if hub.life is not None:
        write(hub.db, hub.life)
    if why:
        cure = "look at `accord plan NAME`, then `accord activate NAME --plan DIGEST`, for each connection"
        hub.log.warning("database.restored", problem=why, says="every connection starts observing", cure=cure)
    return why


@contextmanager
def own(hub: Hub) -> Iterator[None]:
    """Be the one that runs the lanes of this database; BusyError says who is it already."""
    with instance.hold(hub.db, hub.clock):
        notice(hub)
        yield


def adopt_copy(hub: Hub, *, actor: str) -> None:
    """A person says that this database was restored, where nothing could tell."""

    def adopt(tx: Tx) -> None:
        begin_observing(tx, hub)
        journal.note(tx, "database", "adopt", {}, at=hub.clock.now(), actor=actor)

    hub.db.run_now(adopt)
    notice(hub)


def begin_observing(tx: Tx, hub: Hub) -> None:
    """No connection writes, or creates customers, before a complete sweep was stored and a person has seen its plan."""
    forget_listings(tx, hub)
    for row in connections.every(tx):
        values = {"restored_at": hub.clock.now(), "swept_at": None, "activated_at": None, "announced_creates": 0}
        state = {} if row.state == "reauthorize" else {"state": "observing"}
        connections.change(tx, row.name, listed=0, allowance_from=None, **values, **state)
        cursors = connections.cursors(tx, row.name)
        full = msgspec.structs.replace(cursors[KIND, "full"], cursor=None, completed_at=None)
        connections.put_cursor(tx, full)
        for mode in ("adopt", "offer"):
            connections.put_cursor(tx, msgspec.structs.replace(cursors[KIND, mode], run=None, cursor=None))


def _end_again(tx: Tx, hub: Hub, told: Sequence[Tombstone]) -> None:
    """What was erased or unlinked after the backup was made."""
    known = {(one.id, one.why) for one in tombstones.every(tx)}
    fresh = [one for one in told if (one.id, one.why) not in known]
    tombstones.put(tx, fresh)
    erasure.erase_again(tx, hub, fresh)
    linking.unlink_again(tx, hub, [one for one in fresh if one.why == tombstones.UNLINKED])
