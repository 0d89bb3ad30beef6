"""Documents read where they originate: taken, waiting, not to be understood, or gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from core.errors import ReplyError
from core.model import holds
from core.model.documents import digest_of as digest_of_document
from core.model.holds import HoldDraft
from core.model.lifecycle import is_final
from core.model.merge import digest_of
from core.ports import Missing, Sighting
from core.store import documents, journal, mappings, ownerless, work
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.store.work import DirtyRow
from core.sync.batch import Report
from core.sync.documents.copies import close_holds, hold
from core.sync.documents.marking import Named, mark_documents, mark_mappings, rests
from core.sync.documents.reading import read_all
from core.sync.documents.splitting import split_again
from core.sync.documents.standing import Copy, named_of
from core.sync.documents.strays import strays
from core.sync.documents.taking import Read, take, understood
from core.sync.failing import Trouble, back_off, dealt_with, record_trouble
from core.sync.figures import mark_owners
from core.sync.hub import Connection, Hub


@dataclass(slots=True)
class Found:
    """One kind of a batch, as it was read."""

    kind: str
    rows: Mapping[str, DirtyRow]
    there: list[Read] = field(default_factory=list)
    gone: list[Missing] = field(default_factory=list)
    trouble: dict[DirtyRow, Trouble] = field(default_factory=dict)


async def take_origins(hub: Hub, connection: Connection, origins: Mapping[Named, DirtyRow], report: Report) -> None:
    """Read these documents and take them into the registry; invoices before what settles them."""
    for kind in sorted({kind for kind, _ in origins}, key=("invoice", "payment", "credit_note").index):
        found = Found(kind, {remote_id: row for (of, remote_id), row in origins.items() if of == kind})
        for name, one in (await read_all(connection, kind, found.rows)).items():
            _sort(connection, found, name, one)
        await hub.db.run(lambda tx, some=found: _store(tx, hub, connection, some, report))  # type: ignore[misc]


def _sort(connection: Connection, found: Found, name: str, one: Sighting | Missing) -> None:
    if isinstance(one, Missing):
        found.gone.append(one)
        return
    row = found.rows[name]
    try:
        found.there.append(Read(one, understood(connection, found.kind, one), row.trace))
    except ReplyError as error:
        found.trouble[row] = Trouble(error, raw=ascii(one.raw))


def _store(tx: Tx, hub: Hub, connection: Connection, found: Found, report: Report) -> None:
    odd = strays(tx, hub, connection, found.kind, found.there)
    there = [one for one in found.there if one.sighting.id not in odd]
    raws = {one.sighting.id: ascii(one.sighting.raw) for one in found.there}
    trouble = found.trouble | {found.rows[name]: Trouble(error, raw=raws[name]) for name, error in odd.items()}
    taken = take(tx, hub, connection, found.kind, there)
    waits = {found.rows[name]: why for name, why in taken.waits.items()}
    dealt_with(tx, connection, [row for one in there if (row := found.rows[one.sighting.id]) not in waits])
    # of a customer that is out of scope, say: nothing that is read of it again would change that
    ownerless.park(tx, connection.name, {row: why for row, why in waits.items() if rests(why)})
    for row, why in waits.items():
        if not rests(why):
            until = hub.clock.now() + back_off(hub.timing, row.attempts)
            work.postpone(tx, connection.name, {row.subject: until}, reason=why)
    record_trouble(tx, hub, connection, trouble)
    for missing in found.gone:
        if missing.survivor:
            # it goes by another id: a refund, say, names the charge, and the payment is what is known
            named = {(found.kind, missing.survivor): found.rows[missing.id].trace}
            mark_documents(tx, hub, connection, named, reason="named by another id")
        _gone(tx, hub, connection, found.kind, missing.id, found.rows[missing.id])
    report.entered += taken.entered
    report.pulled += taken.changed
    report.held += taken.held
    report.waiting += len(waits)
    report.failed += len(trouble)


def _gone(tx: Tx, hub: Hub, connection: Connection, kind: str, remote_id: str, row: DirtyRow) -> None:
    """A draft may be deleted; what was final and is not there any more, a person must explain."""
    mapping = mappings.by_remote_ids(tx, connection.name, kind, [remote_id]).get(remote_id)
    paper = documents.by_ids(tx, [mapping.record_id]).get(mapping.record_id) if mapping else None
    if mapping is None or paper is None:
        dealt_with(tx, connection, [row])
    elif paper.document.status == "void" and mapping.state == "live":
        # it is as void as it can be: a person has nothing to decide
        count_as_void(tx, hub, mapping, actor=connection.name, trace=row.trace)
        close_holds(tx, hub, connection, Copy(row, mapping, paper, None))
        dealt_with(tx, connection, [row])
    elif is_final(paper.document):
        title = connection.manifest.title
        detail: dict[str, object] = {
            **named_of(paper),
            "problem": f"it was {paper.document.status}, and is not there any more in {title}",
            "cure": "accept: it counts as void, and its copies are voided; retry: it is looked for again; leave: it"
            " stays as it was, and nobody asks again",
            "remote_id": remote_id,
        }
        digest = digest_of(holds.DOCUMENT_GONE, paper.digest)
        draft = HoldDraft(reason=holds.DOCUMENT_GONE, detail=detail, digest=digest)
        hold(tx, hub, connection, Copy(row, mapping, paper, None), draft)
    else:
        _delete(tx, hub, connection, mapping, paper, row)


def count_as_void(tx: Tx, hub: Hub, mapping: MappingRow, *, actor: str, trace: str) -> None:
    """A person says that it is right that a final document is gone: from now on it is void, and its copies are, too."""
    now = hub.clock.now()
    documents.lock(tx)
    paper = documents.by_ids(tx, [mapping.record_id])[mapping.record_id]
    document = msgspec.structs.replace(paper.document, status="void")
    digest, version = digest_of_document(document), paper.version + 1
    documents.put(
        tx, [msgspec.structs.replace(paper, document=document, digest=digest, version=version, updated_at=now)]
    )
    mappings.update(tx, [msgspec.structs.replace(mapping, state="excluded", note="gone at its origin", updated_at=now)])
    changes = {"status": (paper.document.status, "void", "accepted")}
    journal.write(tx, [journal.about(mapping, at=now, action="gone", changes=changes, actor=actor, trace=trace)])
    copies = [one for one in mappings.of_records(tx, [paper.id])[paper.id] if one.id != mapping.id]
    mark_mappings(tx, hub, copies, reason="it is gone at its origin", trace=trace)
    mark_owners(tx, hub, [paper.customer_id], reason="its documents changed", trace=trace)
    split_again(tx, hub, [document], actor=actor, trace=trace)


def _delete(tx: Tx, hub: Hub, connection: Connection, mapping: MappingRow, paper: Paper, row: DirtyRow) -> None:
    now = hub.clock.now()
    documents.put(tx, [msgspec.structs.replace(paper, deleted_at=now, updated_at=now, version=paper.version + 1)])
    ended = msgspec.structs.replace(mapping, state=mappings.ENDED, note="deleted at its origin", updated_at=now)
    mappings.update(tx, [ended])
    mark_owners(tx, hub, [paper.customer_id], reason="its documents changed", trace=row.trace)
    journal.write(tx, [journal.about(mapping, at=now, action="gone", actor=connection.name, trace=row.trace)])
    dealt_with(tx, connection, [row])
