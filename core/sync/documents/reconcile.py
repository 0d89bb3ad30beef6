"""Make documents agree: what originates here is taken into the registry, what is copied here follows its document.

Safe to run at any time, any number of times, and to die at any line. Runs only in the connection's own lane.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from core.model.documents import day_of
from core.store import connections, documents, intents, mappings, work
from core.store.database import Tx
from core.store.documents import Paper
from core.store.intents import Intent
from core.store.mappings import MappingRow
from core.store.text import chunks
from core.store.work import DirtyRow
from core.sync.batch import Report
from core.sync.documents import let_go
from core.sync.documents.balances import with_others
from core.sync.documents.copies import commit_intents, decide, hold
from core.sync.documents.deciding import gone
from core.sync.documents.guarding import admit, count_again
from core.sync.documents.idling import named, refuse_idle
from core.sync.documents.marking import Named, named_in
from core.sync.documents.origins import take_origins
from core.sync.documents.placing import place, rebooked
from core.sync.documents.reading import look_at
from core.sync.documents.recovering import recover
from core.sync.documents.resolving import resolve_step
from core.sync.documents.sending import COPIES_AT_ONCE, send_steps
from core.sync.documents.settlers import look_at_settled
from core.sync.documents.standing import Copy, is_equal
from core.sync.documents.unfound import refuse_unfound
from core.sync.failing import dealt_with
from core.sync.grouping import joined
from core.sync.guard import end_question
from core.sync.hub import Connection, Hub

MOST_STEPS = 40
"""A copy that is not done after so many writes is looked at again in the next batch."""


@dataclass(slots=True)
class Waiting:
    """Subjects of documents, sorted by what they are."""

    origins: dict[Named, DirtyRow] = field(default_factory=dict)
    copies: list[tuple[DirtyRow, MappingRow, Paper]] = field(default_factory=list)
    strangers: dict[Named, DirtyRow] = field(default_factory=dict)
    """What settles invoices here and is nobody's: neither taken nor copied."""
    open: list[tuple[DirtyRow, MappingRow, Paper, Intent]] = field(default_factory=list)
    let_go: list[tuple[DirtyRow, MappingRow]] = field(default_factory=list)
    done: list[DirtyRow] = field(default_factory=list)


async def reconcile_documents(
    hub: Hub, connection: Connection, rows: Sequence[DirtyRow], *, claimed: Collection[str] | None = None
) -> Report:
    """Bring one batch of documents as far as it goes now. Raises only what concerns the whole connection.

    `claimed`: the subjects that no other batch works on meanwhile; None where none is under way.
    """
    report = Report(looked=len(rows))
    state, waiting = await hub.db.read(
        lambda tx: (connections.get(tx, connection.name).state, sort(tx, connection, rows, claimed))
    )
    if state != "active":
        # neither taken nor written before a person has said so, and looked at again then
        later = dict.fromkeys((row.subject for row in rows), hub.clock.now() + hub.timing.changes_every)
        await hub.db.run(lambda tx: work.postpone(tx, connection.name, later, is_attempt=False))
        return report
    await hub.db.run(lambda tx: _done(tx, hub, connection, waiting, report))
    await take_origins(hub, connection, waiting.origins, report)
    await look_at_settled(hub, connection, waiting.strangers)
    for dirty, mapping, paper, intent in waiting.open:
        await resolve_step(hub, connection, Copy(dirty, mapping, paper, None), intent, report)
    copies = await recover(hub, connection, await _look(hub, connection, waiting.copies, report), report)
    copies = await with_others(hub, connection, copies)
    if copies:
        unequal = [day_of(one.paper.document) for one in copies if not is_equal(one.paper, one.mapping)]
        await connection.closing.look(connection.connector, hub.clock.now(), unequal)
    made: Mapping[str, str] = {}
    for _ in range(MOST_STEPS):
        rounds: list[list[tuple[Copy, Intent]]] = []
        for some in chunks(copies, COPIES_AT_ONCE):
            again = partial(_decide, hub=hub, connection=connection, copies=some, made=made, report=report)
            rounds += await hub.db.run(again)
        if not rounds:
            break
        made = {copy.subject: named(copy, intent) for some in rounds for copy, intent in some}
        copies = await send_steps(hub, connection, joined(connection, rounds), report)
    await end_question(hub, connection, rows)
    return report


def _done(tx: Tx, hub: Hub, connection: Connection, waiting: Waiting, report: Report) -> None:
    """What nothing is read or written for."""
    if waiting.let_go:
        let_go.ask(tx, hub, connection, {mapping.id: row.trace for row, mapping in waiting.let_go}, report)
    rows = [*waiting.done, *(row for row, _ in waiting.let_go)]
    dealt_with(tx, connection, rows)
    count_again(tx, hub, connection, rows)


def _decide(
    tx: Tx, *, hub: Hub, connection: Connection, copies: Sequence[Copy], made: Mapping[str, str], report: Report
) -> list[list[tuple[Copy, Intent]]]:
    steps = decide(tx, hub, connection, place(tx, hub, connection, copies, report), report)
    steps = refuse_idle(tx, hub, connection, steps, made, report)
    steps = refuse_unfound(tx, hub, connection, steps, report)
    admitted = admit(tx, hub, connection, steps, report)
    count_again(tx, hub, connection, [one.row for one in copies])
    return commit_intents(tx, hub, connection, admitted)


def sort(tx: Tx, connection: Connection, rows: Sequence[DirtyRow], claimed: Collection[str] | None) -> Waiting:
    """Find out what each subject is by now. An object that was given a mapping since it was claimed is left for later.

    The batch that gave it one may still be at it: its steps are not in doubt, and two cannot be under way.
    """
    found = Waiting()
    by_mapping = {row.subject[2:]: row for row in rows if row.subject.startswith("m:")}
    pairs = [(row, mappings.by_ids(tx, [name]).get(name)) for name, row in by_mapping.items()]
    seen = {one.id for _, one in pairs if one}
    for row in rows:
        if row.subject.startswith("d:"):
            kind, remote_id = named_in(row.subject)
            mapped = mappings.by_remote_ids(tx, connection.name, kind, [remote_id]).get(remote_id)
            if mapped is None and kind not in connection.policy.documents.originates:
                found.strangers[kind, remote_id] = row
            elif mapped is None:
                found.origins[kind, remote_id] = row
            elif mapped.id in seen:
                # marked by its object, too, from before it had a mapping: two steps of one mapping cannot be under way
                found.done.append(row)
            elif claimed is None or work.mapping_subject(mapped.id) in claimed:
                pairs.append((row, mapped))
    papers = documents.by_ids(tx, [one.record_id for _, one in pairs if one])
    unknown = intents.open_of(tx, [one.id for _, one in pairs if one])
    for row, one in pairs:
        _sort_mapped(connection, found, row, one, papers, unknown)
    return found


def _sort_mapped(
    connection: Connection,
    found: Waiting,
    row: DirtyRow,
    mapping: MappingRow | None,
    papers: Mapping[str, Paper],
    unknown: Mapping[str, Intent],
) -> None:
    paper = papers.get(mapping.record_id) if mapping else None
    if mapping is None or paper is None:
        found.done.append(row)
    elif mapping.id in unknown:
        # of what was let go of, too: it may have been made
        found.open.append((row, mapping, paper, unknown[mapping.id]))
    elif mapping.state == "excluded" and paper.origin != connection.name:
        found.let_go.append((row, mapping))
    elif mapping.state in (mappings.ENDED, "excluded"):
        found.done.append(row)
    elif paper.origin == connection.name:
        found.origins[paper.kind, paper.remote_id] = row
    else:
        found.copies.append((row, mapping, paper))


async def _look(
    hub: Hub, connection: Connection, waiting: Sequence[tuple[DirtyRow, MappingRow, Paper]], report: Report
) -> list[Copy]:
    """Copies as they are now; one that vanished is asked about."""
    found, vanished = await look_at(hub, connection, waiting)
    if vanished:
        await hub.db.run(lambda tx: _copies_gone(tx, hub, connection, vanished))
        report.held += len(vanished)
    return found


def _copies_gone(tx: Tx, hub: Hub, connection: Connection, copies: Sequence[Copy]) -> None:
    for copy in copies:
        if not rebooked(tx, hub, connection, copy):
            hold(tx, hub, connection, copy, gone(connection, copy))
    count_again(tx, hub, connection, [one.row for one in copies])
