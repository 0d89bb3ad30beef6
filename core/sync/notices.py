"""Notices: "object X at connection C may have changed". They carry an identity, never a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.store import mappings, work
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.hub import KIND, Connection, Hub

ECHO_SECONDS = 2.0
"""A provider reports our own write within about this time; a person's edit just after it waits as long."""


def mark_objects(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    remote_ids: Iterable[str],
    *,
    reason: str,
    trace: str | Mapping[str, str],
    parked: str | None = None,
    may_be_echoes: bool = False,
) -> None:
    """Mark objects dirty: by their mapping where there is one. `trace`: one for all, or each object's own.

    With `may_be_echoes`, objects that we ourselves wrote just now wait a moment, for one read of them all.
    """
    wanted = set(remote_ids)
    mapped = mappings.by_remote_ids(tx, connection.name, KIND, wanted)
    subjects = {
        one: work.mapping_subject(mapped[one].id) if one in mapped else work.remote_subject(one) for one in wanted
    }
    if subjects:
        now = hub.clock.now()
        own = trace if isinstance(trace, str) else {subject: trace[one] for one, subject in subjects.items()}
        later = _echoes(connection, mapped, now) if may_be_echoes else {}
        work.mark(
            tx, connection.name, subjects.values(), reason=reason, trace=own, now=now, parked=parked, not_before=later
        )
        tx.after_commit(lambda: hub.wake(connection.name))


def _echoes(connection: Connection, mapped: Mapping[str, MappingRow], now: float) -> dict[str, float]:
    """When to look at objects whose mapping has just been agreed on: most such notices are of our own write."""
    if connection.manifest.read_batch <= 1:
        return {}
    fresh = [one for one in mapped.values() if now - one.updated_at < ECHO_SECONDS]
    return {work.mapping_subject(one.id): one.updated_at + ECHO_SECONDS for one in fresh}
