"""What has been dealt with and nobody asks for any more is dropped, a little at a time."""

from __future__ import annotations

from core.store import answers, calls, inbox, one_offs
from core.store.database import Tx
from core.sync.hub import Hub

INBOX_SECONDS = 35 * 86_400.0
"""Longer than any provider redelivers: a late repetition must still be known as one."""
POISON_SECONDS = 180 * 86_400.0
"""How long a delivery that nobody understood is shown, and read again if it comes again: half a year to mend that."""
ONE_OFF_SECONDS = 30 * 86_400.0
ANSWER_SECONDS = 86_400.0
"""How long an Idempotency-Key of the API is remembered."""
CALLS_SECONDS = 100 * 86_400.0
AT_ONCE = 200


async def prune(hub: Hub) -> dict[str, int]:
    """Drop what is old; how many of each kind. Every transaction is short, so webhooks are never kept waiting."""
    now = hub.clock.now()

    def letters(tx: Tx) -> int:
        return inbox.prune(tx, "done", now - INBOX_SECONDS, AT_ONCE)

    def poison(tx: Tx) -> int:
        return inbox.prune(tx, "poison", now - POISON_SECONDS, AT_ONCE)

    def requests(tx: Tx) -> int:
        return one_offs.prune(tx, now - ONE_OFF_SECONDS, AT_ONCE)

    dropped = {"letters": 0, "poison": 0, "one_offs": 0}
    for name, step in (("letters", letters), ("poison", poison), ("one_offs", requests)):
        while some := await hub.db.run(step):
            dropped[name] += some
    dropped["calls"] = await hub.db.run(lambda tx: calls.prune(tx, now - CALLS_SECONDS))
    dropped["answers"] = await hub.db.run(lambda tx: answers.prune(tx, now - ANSWER_SECONDS))
    return dropped
