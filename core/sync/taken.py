"""Objects that are gone, or somebody's, by now: whoever was asked about because of one of them is looked at again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from core.model.holds import AMBIGUOUS_MATCH, candidates_of
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
