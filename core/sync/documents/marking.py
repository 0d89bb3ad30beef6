"""Which documents are to be looked at: by their mapping where there is one, else by kind and id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from core.store import mappings, work
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.hub import Connection, Hub

Named = tuple[str, str]
"""A remote document: (kind, remote id). Ids of different kinds may be equal."""


def subject_of(named: Named) -> str:
    """The subject of a remote document that has no mapping."""
    return f"d:{named[0]}:{named[1]}"


def named_in(subject: str) -> Named:
    """What `subject_of` was made from."""
    _, kind, remote_id = subject.split(":", 2)
    return kind, remote_id


def mark_documents(
    tx: Tx, hub: Hub, connection: Connection, traces: Mapping[Named, str], *, reason: str, not_before: float = 0.0
) -> None:
    """Mark remote documents dirty. One that has no mapping, at a connection where none originate, concerns nobody."""
    by_kind: dict[str, list[str]] = {}
    for kind, remote_id in traces:
        by_kind.setdefault(kind, []).append(remote_id)
    for kind, remote_ids in sorted(by_kind.items()):
        mapped = mappings.by_remote_ids(tx, connection.name, kind, remote_ids)
        subjects = {
            work.mapping_subject(mapped[one].id) if one in mapped else subject_of((kind, one)): traces[kind, one]
            for one in remote_ids
            if one in mapped or kind in connection.policy.documents.originates
        }
        if subjects:
            work.mark(
                tx, connection.name, subjects, reason=reason, trace=subjects, now=hub.clock.now(), kind=kind,
                not_before=not_before,
            )  # fmt: skip
            tx.after_commit(lambda: hub.wake(connection.name))


def mark_mappings(tx: Tx, hub: Hub, rows: Iterable[MappingRow], *, reason: str, trace: str) -> None:
    """Mark documents' mappings dirty, each at its connection."""
    by_place: dict[tuple[str, str], list[str]] = {}
    for one in rows:
        if one.state in ("live", "pending") and one.connection in hub.connections:
            by_place.setdefault((one.connection, one.kind), []).append(work.mapping_subject(one.id))
    for (connection, kind), subjects in sorted(by_place.items()):
        work.mark(tx, connection, subjects, reason=reason, trace=trace, now=hub.clock.now(), kind=kind)
        tx.after_commit(lambda lane=connection: hub.wake(lane))  # type: ignore[misc]
