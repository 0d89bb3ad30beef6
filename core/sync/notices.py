"""Notices: "object X at connection C may have changed". They carry an identity, never a value."""

from __future__ import annotations

from collections.abc import Iterable

from core.store import mappings, work
from core.store.database import Tx
from core.sync.hub import KIND, Connection, Hub


def mark_objects(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    remote_ids: Iterable[str],
    *,
    reason: str,
    trace: str,
    parked: str | None = None,
) -> None:
    """Mark objects dirty: by their mapping where there is one."""
    wanted = set(remote_ids)
    mapped = mappings.by_remote_ids(tx, connection.name, KIND, wanted)
    subjects = [
        work.mapping_subject(mapped[one].id) if one in mapped else work.remote_subject(one) for one in sorted(wanted)
    ]
    if subjects:
        work.mark(tx, connection.name, subjects, reason=reason, trace=trace, now=hub.clock.now(), parked=parked)
        tx.after_commit(lambda: hub.wake(connection.name))
