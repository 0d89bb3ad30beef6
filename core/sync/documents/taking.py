"""From the origin into the registry: the origin's word counts, but what was final stays as it was."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from core.errors import ReplyError
from core.model import holds
from core.model.documents import Document, breaches, day_of, digest_of, references, with_references
from core.model.holds import HoldDraft
from core.model.lifecycle import may_become, remembered, thawed
from core.model.merge import digest_of as values_digest
from core.model.paper import RemoteDocument
from core.model.remote import Remote, parse_mark
from core.ports import Sighting
from core.store import customers, documents, journal, mappings, observations, tombstones, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.store.observations import UNSEEN, Observation
from core.sync.documents.marking import (
    FORGOTTEN,
    OF_ERASED,
    TO_BE_COPIED,
    invoices_entered,
    mark_let_go,
    mark_mappings,
    no_customer_yet,
    no_invoice_yet,
    unclear,
)
from core.sync.documents.offering import NOTHING_TO_COPY, mapping_id, offer_copies
from core.sync.documents.splitting import Split, split_again
from core.sync.documents.thawing import was_and_is
from core.sync.documents.untold import as_told, question, settle
from core.sync.documents.waits import fields_of
from core.sync.figures import mark_owners
from core.sync.hub import KIND, Connection, Hub

DAY: Final = "day"
"""In the detail of what changed: the day that it was booked on, and the day by now."""


@dataclass(frozen=True, slots=True)
class Read:
    """One remote document as it was read; `trace` of what it was read for."""

    sighting: Sighting
    remote: RemoteDocument
    trace: str


@dataclass(slots=True)
class Taken:
    """What became of documents that were read, by remote id."""

    waits: dict[str, str] = field(default_factory=dict)
    """Why a document cannot be taken yet."""
    entered: int = 0
    changed: int = 0
    held: int = 0


def understood(connection: Connection, kind: str, sighting: Sighting) -> RemoteDocument:
    """A remote document in neutral form, its sums checked; ReplyError."""
    if connection.documents is None:
        raise ReplyError(f"{connection.manifest.title} has no documents")
    remote = connection.documents.read(kind, sighting.raw)
    found = breaches(remote.document)
    if found:
        raise ReplyError("; ".join(f"{one.field} {one.problem}" for one in found))
    return remote


def as_read(connection: Connection, kind: str, sighting: Sighting, trace: str) -> Read | None:
    """What a document says that is not to be taken; None where it cannot be read at all."""
    try:
        remote = connection.documents.read(kind, sighting.raw) if connection.documents else None
    except ReplyError:
        return None
    return Read(sighting, remote, trace) if remote else None


def take(tx: Tx, hub: Hub, connection: Connection, kind: str, found: Sequence[Read]) -> Taken:
    """Store what changed, ask about what may not, and let the copies follow."""
    documents.lock(tx)
    known = mappings.by_remote_ids(tx, connection.name, kind, [one.sighting.id for one in found])
    papers = documents.by_ids(tx, [one.record_id for one in known.values()])
    ties = _Ties(tx, hub, connection, found, papers.values())
    copies = _copies(tx, hub, connection, found, known, papers, ties)
    taken, moved = Taken(waits={name: why for name, why in copies.items() if why}), list[Paper]()
    fresh: list[tuple[Paper, Read]] = []
    for one in [one for one in found if one.sighting.id not in copies]:
        mapping = known.get(one.sighting.id)
        paper = papers.get(mapping.record_id) if mapping else None
        if wait := ties.missing(one.remote.document, paper) or _unclear(one.remote):
            taken.waits[one.sighting.id] = wait
            continue
        after = _paper(hub, connection, kind, one, paper, ties)
        if paper is None:
            fresh.append((after, one))
        elif not _accepted(tx, hub, connection, paper, after, known[one.sighting.id], one):
            taken.held += 1
            continue
        if paper is None or paper.digest != after.digest:
            moved.append(after)
            journal.write(tx, [_entry(paper, after, connection.name, one)])
    _remember(tx, hub, connection, kind, [one for one in found if one.sighting.id in taken.waits])
    documents.put(tx, moved)
    taken.held += _enter(tx, hub, connection, fresh)
    taken.entered, taken.changed = len(fresh), len(moved) - len(fresh)
    _pass_on(tx, hub, connection, moved, papers, found)
    settlers = (one.document for after in moved for one in (after, papers.get(after.id)) if one is not None)
    split_again(tx, hub, settlers, actor=connection.name, trace=found[0].trace if found else "")
    return taken


def _remember(tx: Tx, hub: Hub, connection: Connection, kind: str, waiting: Sequence[Read]) -> None:
    """What was seen of documents that wait: a person can be told which they are, and of what month."""
    seen = [
        Observation(
            remote_id=one.sighting.id,
            digest=UNSEEN,  # a listing passes over what it knows: what stops waiting untaken would never be taken
            remote=Remote(id=one.sighting.id, fields={**fields_of(one.remote.document)}),
        )
        for one in waiting
    ]
    if seen:
        observations.put(tx, connection.name, kind, seen, hub.clock.now())


def untaken(
    tx: Tx, hub: Hub, connection: Connection, kind: str, found: Sequence[Read], coming: Collection[str] = ()
) -> list[tuple[Read, str]]:
    """Those that `take` would store (""), or let wait, with why; nothing is stored.

    `coming`: invoices that are known by then.
    """
    known = mappings.by_remote_ids(tx, connection.name, kind, [one.sighting.id for one in found])
    papers = documents.by_ids(tx, [one.record_id for one in known.values()])
    ties = _Ties(tx, hub, connection, found, papers.values())
    copies = _copies(tx, hub, connection, found, known, papers, ties)
    fresh: list[tuple[Read, str]] = []
    for one in found:
        mapping, document = known.get(one.sighting.id), one.remote.document
        paper = papers.get(mapping.record_id) if mapping else None
        if one.sighting.id in copies:
            fresh += [(one, copies[one.sighting.id])] if copies[one.sighting.id] else []
            continue
        if wait := ties.missing(document, paper, coming) or _unclear(one.remote):
            fresh.append((one, wait))
            continue
        is_known = paper is not None and ties.knows_all(document)
        if not is_known or _paper(hub, connection, kind, one, paper, ties).digest != (paper and paper.digest):
            fresh.append((one, ""))
    return fresh


def forgotten(tx: Tx, hub: Hub, connection: Connection, kind: str, found: Sequence[Read]) -> dict[str, str]:
    """Copies of ours that nobody remembers, by remote id, each with what it waits for: of a kind that is only copied.

    Nothing is taken: what was seen of them is kept, so that a person can be told which they are.
    """
    marks = {one.sighting.id: parse_mark(one.remote.mark) for one in found}
    ours = [name for name, mark in marks.items() if mark is not None and mark.instance == hub.instance]
    strangers = set(ours) - mappings.by_remote_ids(tx, connection.name, kind, ours).keys()
    others = [one for one in found if one.sighting.id in strangers]
    if not others:
        return {}
    copies = _copies(tx, hub, connection, others, {}, {}, _Ties(tx, hub, connection, others, ()))
    waits = {name: why for name, why in copies.items() if why}
    _remember(tx, hub, connection, kind, [one for one in others if one.sighting.id in waits])
    return waits


def _copies(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    found: Sequence[Read],
    known: Mapping[str, MappingRow],
    papers: Mapping[str, Paper],
    ties: _Ties,
) -> dict[str, str]:
    """Copies of what was made elsewhere, by remote id: known as such, or by our mark; each with what it waits for.

    "" for nothing: its own mapping, or the intent that made it, looks after it. After a restore there may be neither,
    until its document is read again; and none ever, where that was deleted since the backup.
    """
    origins = {name: papers[row.record_id].origin for name, row in known.items() if row.record_id in papers}
    copies = {name: "" for name, origin in origins.items() if origin != connection.name}
    marks = {one.sighting.id: parse_mark(one.remote.mark) for one in found if one.sighting.id not in origins}
    ours = {name: mark.mapping for name, mark in marks.items() if mark is not None and mark.instance == hub.instance}
    remembered = mappings.by_ids(tx, list(ours.values()))
    for one in found:
        document = one.remote.document
        if (name := one.sighting.id) in ours:
            is_told = ours[name] in remembered or document.status in NOTHING_TO_COPY
            copies[name] = "" if is_told or ties.missing(document, None) == OF_ERASED else FORGOTTEN
    return copies


def _unclear(remote: RemoteDocument) -> str:
    return unclear(remote.unclear) if remote.unclear else ""


class _Ties:
    """The registry's customers and invoices that remote documents name."""

    def __init__(
        self, tx: Tx, hub: Hub, connection: Connection, found: Sequence[Read], papers: Iterable[Paper]
    ) -> None:
        named = [one.remote.document for one in found]
        rows = mappings.by_remote_ids(tx, connection.name, KIND, [one.customer for one in named])
        self._customers = {name: row.record_id for name, row in rows.items() if row.state != "excluded"}
        ended = {one.customer for one in named} - self._customers.keys()
        self._once = mappings.ever(tx, connection.name, KIND, ended)
        self._erased = tombstones.erased_objects(tx, connection.name, ended)
        ids = {name for one in named for name in references(one)}
        self._invoices = mappings.by_remote_ids(tx, connection.name, "invoice", ids)
        self._billed = documents.by_ids(tx, [row.record_id for row in self._invoices.values()] if self._once else [])
        self._split = Split(tx, hub, papers)

    def missing(self, document: Document, paper: Paper | None, coming: Collection[str] = ()) -> str:
        """Why a document cannot be taken yet; "" when it can. `paper` is what is known of it."""
        if self.owner(document, paper) is None:
            return OF_ERASED if document.customer in self._erased else no_customer_yet(document.customer)
        unknown = [name for name in references(document) if name not in self._invoices and name not in coming]
        return no_invoice_yet(unknown[0]) if unknown else ""

    def knows_all(self, document: Document) -> bool:
        """Whether all invoices that a document names are known."""
        return self._invoices.keys() >= set(references(document))

    def owner(self, document: Document, paper: Paper | None) -> str | None:
        """The customer whose document it is.

        Where nobody's object by now is named, as of an archived or unlinked customer: whose it was when the document,
        or the invoices that it settles, became known. What was billed then is still to be settled.
        """
        if document.customer in self._customers:
            return self._customers[document.customer]
        billed = {self._billed[row.record_id].customer_id for row in self._settled(document)}
        known = {paper.customer_id} if paper else billed
        return next(iter(known)) if len(known) == 1 and known <= self._once.get(document.customer, set()) else None

    def _settled(self, document: Document) -> list[MappingRow]:
        named = [self._invoices[name] for name in references(document) if name in self._invoices]
        return [row for row in named if row.record_id in self._billed]

    def named(self, document: Document, document_id: str, paper: Paper | None) -> Document:
        """The same document in the registry's terms."""
        named = with_references(
            document,
            id=document_id,
            customer=self.owner(document, paper) or "",
            invoice=lambda name: self._invoices[name].record_id,
        )
        return self._split.of(named)


def _paper(hub: Hub, connection: Connection, kind: str, one: Read, old: Paper | None, ties: _Ties) -> Paper:
    now = hub.clock.now()
    document_id = old.id if old else documents.id_of(hub.instance, connection.name, kind, one.sighting.id)
    document = ties.named(one.remote.document, document_id, old)
    document = as_told(one.remote, document, old.document if old else None)
    document = remembered(old.document, document) if old else document
    return Paper(
        id=document_id,
        origin=connection.name,
        remote_id=one.sighting.id,
        customer_id=document.customer,
        document=document,
        digest=digest_of(document),
        version=old.version + 1 if old else 1,
        created_at=old.created_at if old else now,
        updated_at=now,
    )


def _enter(tx: Tx, hub: Hub, connection: Connection, fresh: Sequence[tuple[Paper, Read]]) -> int:
    """Mappings of documents that were not known; how many of them are asked about."""
    rows = _origin_mappings(tx, hub, connection, [paper for paper, _ in fresh])
    mappings.insert(tx, rows)
    invoices_entered(tx, hub, connection, [one.remote_id for one, _ in fresh if one.kind == "invoice"])
    held = 0
    for (paper, one), row in zip(fresh, rows, strict=True):
        if draft := question(tx, connection, one.remote, paper, row):
            subject = work.mapping_subject(row.id)
            asked = hold_rows.Held(subject=subject, record_id=paper.customer_id, drafts=[draft], trace=one.trace)
            settle(tx, hub, connection, asked, {})
            held += 1
    return held


def _origin_mappings(tx: Tx, hub: Hub, connection: Connection, papers: Sequence[Paper]) -> list[MappingRow]:
    """Of a draft that was gone, and is told of again, there was one before."""
    now, used = hub.clock.now(), mappings.generations(tx, [one.id for one in papers], connection.name)
    return [
        MappingRow(
            id=mapping_id(one.id, connection.name, used.get(one.id, 0) + 1),
            kind=one.kind,
            record_id=one.id,
            connection=connection.name,
            generation=used.get(one.id, 0) + 1,
            remote_id=one.remote_id,
            state="live",
            created_at=now,
            updated_at=now,
        )
        for one in papers
    ]


def _accepted(tx: Tx, hub: Hub, connection: Connection, old: Paper, new: Paper, mapping: MappingRow, one: Read) -> bool:
    """False, and a hold, where something changed that was final; a person may accept it."""
    fields = thawed(old.document, new.document)
    if not may_become(old.kind, old.document.status, new.document.status):
        fields.append("status")
    subject = work.mapping_subject(mapping.id)
    known = hold_rows.of_subjects(tx, connection.name, [subject])
    drafts = []
    if fields:
        digest = values_digest(holds.DOCUMENT_CHANGED, old.digest, new.digest)
        answer = hold_rows.answers(known.get(subject, ())).get("")
        if answer is None or answer.digest != digest or answer.choice != "accept":
            detail: dict[str, object] = {"document": new.kind, "number": new.called, "fields": fields}
            names = customers.external_ids(tx, [old.customer_id, new.customer_id])
            detail |= {name: was_and_is(name, old.document, new.document, names) for name in fields}
            was, is_now = day_of(old.document), day_of(new.document)
            detail |= {DAY: {"was": str(was), "is": str(is_now)}} if was != is_now else {}
            drafts = [HoldDraft(reason=holds.DOCUMENT_CHANGED, detail=detail, digest=digest)]
        else:
            hold_rows.spend(tx, connection.name, [(subject, "")])
    is_accepted = not drafts
    if is_accepted and (asked := question(tx, connection, one.remote, new, mapping)):
        drafts = [asked]
    others = [asked for asked in known.get(subject, ()) if asked.state == "open" and asked.reason != holds.UNACCOUNTED]
    if others and not drafts:
        # what one of them stood in the place of is asked about what changed of late: nothing did, by its digest
        documents.touch(tx, old.id, hub.clock.now())
    held = hold_rows.Held(subject=subject, record_id=old.customer_id, drafts=drafts, trace=one.trace)
    if not drafts and old.digest == new.digest:
        # closed here, it would be asked again within the hour, and be another question to whoever is about to answer
        known = {subject: [asked for asked in known.get(subject, ()) if asked.reason != holds.UNACCOUNTED]}
    settle(tx, hub, connection, held, known)
    return is_accepted


def _entry(old: Paper | None, new: Paper, connection: str, one: Read) -> journal.Entry:
    names = ("status", "number", "total", "paid", "credited", "due", "amount", "refunded", "charged_back", "applied")
    changes = {}
    for name in names:
        was, is_now = (getattr(paper.document, name, None) if paper else None for paper in (old, new))
        if was != is_now:
            changes[name] = (None if was is None else str(was), None if is_now is None else str(is_now), "origin")
    return journal.Entry(
        at=new.updated_at,
        kind=new.kind,
        record_id=new.id,
        connection=connection,
        remote_id=new.remote_id,
        action="pull" if old else "enter",
        changes=changes,
        actor=connection,
        trace=one.trace,
    )


def _pass_on(
    tx: Tx, hub: Hub, connection: Connection, moved: Sequence[Paper], old: Mapping[str, Paper], found: Sequence[Read]
) -> None:
    if not moved:
        return
    trace = found[0].trace
    rows: Mapping[str, Sequence[MappingRow]] = mappings.of_records(tx, [one.id for one in moved])
    copies = [row for some in rows.values() for row in some if row.connection != connection.name]
    made = [row for row in copies if row.remote_id is not None]
    mark_mappings(tx, hub, made, reason="the document changed", trace=trace)
    mark_let_go(tx, hub, copies, reason="the document changed", trace=trace)
    # a copy that was never made did not change: what it waits for is to be made
    mark_mappings(tx, hub, [row for row in copies if row.remote_id is None], reason=TO_BE_COPIED, trace=trace)
    mark_mappings(tx, hub, _refused(tx, connection, moved), reason=TO_BE_COPIED, trace=trace)
    offer_copies(tx, hub, moved, trace)
    # whose it was before, too: that one's sums would count it for ever
    owners = {paper.customer_id for one in moved for paper in (one, old.get(one.id)) if paper is not None}
    mark_owners(tx, hub, owners, reason="its documents changed", trace=trace)


def _refused(tx: Tx, connection: Connection, moved: Sequence[Paper]) -> list[MappingRow]:
    """What settles these invoices and was not taken where they were made: what is due there is another sum by now."""
    known = [one.id for one in moved if one.kind == "invoice" and one.version > 1]
    about = documents.about(tx, known)
    rows = mappings.of_records(tx, {name for some in about.values() for name in some})
    here = [row for some in rows.values() for row in some if row.connection == connection.name]
    return [row for row in here if row.remote_id is None and row.state == "pending"]
