"""Make dirty mappings agree: observe, decide, commit, write, commit the answer.

Safe to run at any time, any number of times, and to die at any line: the caller passes subjects and nothing
else; what happened is read, never told. Runs only in the connection's own lane.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from core.store import work
from core.store.database import Tx
from core.store.intents import Intent
from core.store.work import DirtyRow
from core.sync.batch import Batch, Found, Report, observe, sort
from core.sync.hub import Connection, Hub
from core.sync.recall import past_of, recall
from core.sync.remembered import remembered_of
from core.sync.resolve import resolve
from core.sync.send import send
from core.sync.settle import left_parents, settle


async def reconcile(
    hub: Hub, connection: Connection, rows: Sequence[DirtyRow], *, claimed: Collection[str] | None = None
) -> Report:
    """Bring one batch of subjects as far as it goes now. Raises only what concerns the whole connection.

    `claimed`: the subjects that no other batch works on meanwhile; None where none is under way.
    """
    report = Report(looked=len(rows))
    batch, remembered, past = await hub.db.read(lambda tx: _look_up(tx, hub, connection, rows, claimed))
    if batch.state.state == "active":
        await resolve(hub, connection, batch.open, report)
    elif batch.open:
        # finding out may mean to send again: nothing is sent before a person has said so
        later = dict.fromkeys((row.subject for row, _ in batch.open), hub.clock.now() + hub.timing.changes_every)
        await hub.db.run(lambda tx: work.postpone(tx, connection.name, later, is_attempt=False))
    unread = [name for name in (*batch.live, *batch.unmapped) if name not in remembered and name not in past]
    seen = await observe(connection, unread)
    if past:
        seen = await recall(hub, connection, past, seen)
    seen = replace(seen, there={**seen.there, **remembered})
    if connection.manifest.hierarchy is not None:
        above = await hub.db.read(lambda tx: left_parents(tx, connection, batch, seen))
        if above:
            parents = await observe(connection, above)
            seen = replace(seen, above={**dict.fromkeys(parents.there, True), **dict.fromkeys(parents.trouble, False)})
    rounds = await hub.db.run(lambda tx: settle(tx, hub, connection, batch, seen, report))
    current = {name: one.raw for name, one in seen.there.items()}
    for outgoing in rounds:
        await send(hub, connection, outgoing, report, current=current)
    return report


def _look_up(
    tx: Tx, hub: Hub, connection: Connection, rows: Sequence[DirtyRow], claimed: Collection[str] | None
) -> tuple[Batch, dict[str, Found], dict[str, Intent]]:
    batch = sort(tx, connection, rows, claimed)
    return batch, remembered_of(tx, hub, connection, batch), past_of(tx, batch)
