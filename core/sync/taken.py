"""Objects and values that are taken, gone or free by now: whoever was asked about one of them is looked at again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from core.model.holds import AMBIGUOUS_MATCH, NAME_TAKEN, candidates_of
from core.model.values import Value, blank
from core.store import holds, work
from core.store.database import Tx
from core.sync.hub import Connection, Hub

TAKEN: Final = "an object that it could have been is not free any more"


def look_again_without(tx: Tx, hub: Hub, connection: Connection, remote_ids: Iterable[str], trace: str) -> None:
    """Customers wait to be created as long as such a question stands, objects to enter; nothing else looks at them."""
    gone = set(remote_ids)
    asked = holds.between_objects(tx, connection.name, AMBIGUOUS_MATCH) if gone else []
    subjects = [one.subject for one in asked if gone & {*candidates_of(one.detail)}]
    if subjects:
        work.mark(tx, connection.name, subjects, reason=TAKEN, trace=trace, now=hub.clock.now(), noticed=False)
        tx.after_commit(lambda: hub.wake(connection.name))


def look_again_at_freed(
    tx: Tx, hub: Hub, connection: Connection, before: Iterable[Mapping[str, Value]], trace: str
) -> None:
    """Objects had these values, by field, and have others now: a write that was refused for one is tried once more."""
    same = connection.projection.canonical
    unique = connection.manifest.unique_fields
    freed = {(name, same(name, one[name])) for one in before for name in unique if not blank(one.get(name))}
    asked = holds.listing(tx, connection=connection.name, reason=NAME_TAKEN) if freed else []
    wanted = {one.subject: one.detail.get("values") or {} for one in asked}
    _try_again(
        tx,
        hub,
        connection,
        [name for name, values in wanted.items() if freed & {(one, same(one, values.get(one))) for one in unique}],
        trace,
    )


def look_again_after(tx: Tx, hub: Hub, connection: Connection, gone: Iterable[str]) -> None:
    """These objects are gone, and what they had is free."""
    names = set(gone)
    asked = holds.listing(tx, connection=connection.name, reason=NAME_TAKEN) if names else []
    _try_again(tx, hub, connection, [one.subject for one in asked if names & {*candidates_of(one.detail)}], "")


def _try_again(tx: Tx, hub: Hub, connection: Connection, subjects: Sequence[str], trace: str) -> None:
    if subjects:
        work.mark(tx, connection.name, subjects, reason="retry", trace=trace, now=hub.clock.now(), noticed=False)
        tx.after_commit(lambda: hub.wake(connection.name))
