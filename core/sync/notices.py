"""Notices: "object X at connection C may have changed". They carry an identity, never a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
    trace: str | Mapping[str, str],
    parked: str | None = None,
) -> None:
    """Mark objects dirty: by their mapping where there is one. `trace`: one for all, or each object's own."""
    wanted = set(remote_ids)
    mapped = mappings.by_remote_ids(tx, connection.name, KIND, wanted)
    subjects = {
        one: work.mapping_subject(mapped[one].id) if one in mapped else work.remote_subject(one) for one in wanted
    }
    if subjects:
        own = trace if isinstance(trace, str) else {subject: trace[one] for one, subject in subjects.items()}
        work.mark(tx, connection.name, subjects.values(), reason=reason, trace=own, now=hub.clock.now(), parked=parked)
        tx.after_commit(lambda: hub.wake(connection.name))
