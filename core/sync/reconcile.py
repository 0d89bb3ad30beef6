"""Make dirty mappings agree: observe, decide, commit, write, commit the answer.

Safe to run at any time, any number of times, and to die at any line: the caller passes subjects and nothing
else; what happened is read, never told. Runs only in the connection's own lane.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from core.errors import AccordError
from core.store import intents, mappings, work
from core.store.database import Tx
from core.store.intents import Intent
from core.store.work import DirtyRow
from core.sync.batch import Batch, Found, Report, as_of_now, observe, sort
from core.sync.farewells import bid_farewell
from core.sync.grouping import Outgoing
from core.sync.guard import end_question
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
    leaving = [row for row in rows if row.subject.startswith(work.FAREWELL)]
    if leaving:
        await bid_farewell(hub, connection, leaving, report)
    if len(leaving) < len(rows):
        await _agree(hub, connection, [row for row in rows if row not in leaving], claimed, report)
    await end_question(hub, connection, rows)
    return report


async def _agree(
    hub: Hub, connection: Connection, rows: Sequence[DirtyRow], claimed: Collection[str] | None, report: Report
) -> None:
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
    await _send_rounds(hub, connection, rounds, report, current)


async def _send_rounds(
    hub: Hub,
    connection: Connection,
    rounds: Sequence[Sequence[Outgoing]],
    report: Report,
    current: Mapping[str, bytes],
) -> None:
    for number, outgoing in enumerate(rounds):
        some = await _still_to_send(hub, outgoing) if number else outgoing
        try:
            if some:
                await send(hub, connection, some, report, current=current)
        except AccordError:
            # left open, what was never sent would be in doubt
            unsent = {intent.id: "void" for rest in rounds[number + 1 :] for _, intent in rest}
            await hub.db.run(partial(intents.close, closed=unsent, now=hub.clock.now()))
            raise


async def _still_to_send(hub: Hub, outgoing: Sequence[Outgoing]) -> list[Outgoing]:
    """The rounds before took their time: nothing is written any more for whom was archived, let go or tied elsewhere.

    Their intents are void, for nothing has left; they are still dirty, and sorted anew.
    """
    void = await hub.db.read(lambda tx: _not_wanted(tx, outgoing))
    if void:
        await hub.db.run(lambda tx: intents.close(tx, dict.fromkeys(void, "void"), hub.clock.now()))
    return [(row, intent) for row, intent in outgoing if intent.id not in void]


def _not_wanted(tx: Tx, outgoing: Sequence[Outgoing]) -> set[str]:
    rows = mappings.by_ids(tx, [intent.mapping_id for _, intent in outgoing])
    current = as_of_now(tx, [row for row in rows.values() if row.state != "excluded"])
    return {
        intent.id
        for _, intent in outgoing
        if intent.mapping_id not in current or current[intent.mapping_id][0].remote_id != intent.remote_id
    }


def _look_up(
    tx: Tx, hub: Hub, connection: Connection, rows: Sequence[DirtyRow], claimed: Collection[str] | None
) -> tuple[Batch, dict[str, Found], dict[str, Intent]]:
    batch = sort(tx, connection, rows, claimed)
    return batch, remembered_of(tx, hub, connection, batch), past_of(tx, batch)
