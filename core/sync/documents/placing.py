"""Before anything is written to an entity's books: does the document belong there? Decided with the write's intent.

A document is booked in one entity's books. What is not booked yet goes where it belongs by now; what is booked stays,
and a person is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from core.errors import BugError, RejectedError, ReplyError
from core.model import holds
from core.model.documents import Payment, references, settled_by
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.paper import RemoteDocument
from core.store import documents, journal, mappings
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.holds import Hold
from core.sync.batch import Report
from core.sync.documents import by_hand, let_go
from core.sync.documents.copies import close_holds, hold, wait
from core.sync.documents.deciding import refusal
from core.sync.documents.marking import mark_mappings
from core.sync.documents.offering import offer_copies
from core.sync.documents.routing import Routes
from core.sync.documents.standing import ENTITY, Copy
from core.sync.failing import dealt_with
from core.sync.hub import Connection, Hub

ACCEPT = "accept"
REBOOK = "rebook"
BY_HAND = "by hand"
"""Who answered, where no name was kept."""


def place(tx: Tx, hub: Hub, connection: Connection, copies: Sequence[Copy], report: Report) -> list[Copy]:
    """Those copies that belong at a connection; the others are let go, wait, or are asked about."""
    if not connection.policy.documents.entities or not copies:
        return list(copies)
    # another lane may be about to book the same document in its books
    rows = mappings.of_records(tx, [one.paper.id for one in copies])
    mappings.lock(tx, [row.id for some in rows.values() for row in some])
    papers = documents.by_ids(tx, [one.paper.id for one in copies])
    routes = Routes(tx, hub, list(papers.values()))
    now_mapped = mappings.by_ids(tx, [one.mapping.id for one in copies])
    fresh = [replace(one, mapping=now_mapped[one.mapping.id], paper=papers[one.paper.id]) for one in copies]
    return [one for one in fresh if _belongs(tx, hub, connection, one, routes, report)]


def _belongs(tx: Tx, hub: Hub, connection: Connection, copy: Copy, routes: Routes, report: Report) -> bool:
    if copy.mapping.state in (mappings.ENDED, "excluded") or copy.paper.document.status == "void":
        return True  # let go of meanwhile; or to be voided, wherever it is
    where = routes.at(connection.name, copy.paper)
    if where == "misplaced":
        # nobody is to pay a copy wherever it belongs: its next write is to say so
        return _is_collected(connection, copy) or _stays(tx, hub, connection, copy, routes, report)
    if where == "elsewhere":
        _let_go(tx, hub, connection, copy, "belongs in other books", actor="accord")
    elif where == "unknown":
        # no other look than that of a person's edit finds more, and that one marks it
        until = hub.clock.now() + hub.timing.longest_back_off
        wait(tx, connection, copy, report, why=routes.missing(connection.name, copy.paper), until=until)
    elif where == "split":
        hold(tx, hub, connection, copy, refusal(split(connection, copy, routes), copy.paper))
        report.held += 1
    return where == "here"


def split(connection: Connection, copy: Copy, routes: Routes) -> RejectedError:
    """Money came in once, and each entity's books have a part of it: who owes whom is a bookkeeper's to say."""
    document = copy.paper.document
    ours: list[str] = []
    others: list[str] = []
    for one in routes.invoices(copy.paper):
        amount = settled_by(document).get(one.id, "nothing")
        said = f"{amount} {document.currency} of invoice {one.called}"
        (others if routes.at(connection.name, one) == "elsewhere" else ours).append(said)
    return RejectedError(
        f"it settles invoices in the books of several entities: here {', '.join(ours)}; elsewhere {', '.join(others)}",
        field="applications" if isinstance(document, Payment) else "invoice",
        limit="one document is booked once, in one entity's books",
        cure=f"book by hand here {', '.join(ours)}, and answer leave; or divide it where it was made, and answer retry",
    )


# ---- what is booked here, and is another entity's by now ---------------------------------------------


def _stays(tx: Tx, hub: Hub, connection: Connection, copy: Copy, routes: Routes, report: Report) -> bool:
    """Whether it does; else a person is asked, or has answered that it is booked anew where it belongs."""
    draft = misplaced(connection, copy, routes)
    answer = _answer(tx, connection, copy, draft)
    if answer is not None:
        hold_rows.spend(tx, connection.name, [(copy.subject, "")])
    if answer is not None and answer.answer == ACCEPT:
        return _accepted(tx, hub, connection, copy, routes, report, actor=answer.actor or BY_HAND)
    if answer is not None and answer.answer == REBOOK and _is_void(connection, copy):
        _let_go(tx, hub, connection, copy, "rebooked where it belongs", actor=answer.actor or BY_HAND)
        return False
    hold(tx, hub, connection, copy, draft)
    report.held += 1
    return False


def _answer(tx: Tx, connection: Connection, copy: Copy, draft: HoldDraft) -> Hold | None:
    """The question as a person has answered it."""
    known = hold_rows.of_subjects(tx, connection.name, [copy.subject]).get(copy.subject, ())
    answer = hold_rows.answers(known).get("")
    if answer is None or answer.digest != draft.digest:
        return None
    return next(one for one in reversed(known) if (one.state, one.field, one.answer) == ("answered", "", answer.choice))


def misplaced(connection: Connection, copy: Copy, routes: Routes) -> HoldDraft:
    """The same question, as long as it is of the same entity, or settles the same invoices."""
    entities, settled = connection.policy.documents.entities, references(copy.paper.document)
    entity = "" if settled else routes.owner(copy.paper).entity
    by_now = "what it settles is in other books" if settled else f"it is of {entity}"
    detail: dict[str, object] = {
        "document": copy.paper.kind,
        "number": copy.paper.called,
        "problem": f"it is booked in the books of {', '.join(entities)}, and by now {by_now}",
        "field": "entity",
        "limit": "one document is booked once, in one entity's books",
        "cure": f"accept: it stays here; or void or delete it in {connection.manifest.title} and answer rebook: it is"
        " booked anew where it belongs",
        "here": list(entities),
        "entity": entity,
    }
    digest = digest_of(holds.ENTITY_CHANGED, entity, list(entities), list(settled))
    return HoldDraft(reason=holds.ENTITY_CHANGED, detail=detail, digest=digest)


def _accepted(
    tx: Tx, hub: Hub, connection: Connection, copy: Copy, routes: Routes, report: Report, *, actor: str
) -> bool:
    now = hub.clock.now()
    if not references(copy.paper.document):
        entity = routes.owner(copy.paper).entity
        base = {**copy.mapping.base, ENTITY: (entity, entity)}
        mappings.update(tx, [msgspec.structs.replace(copy.mapping, base=base, updated_at=now)])
        return True
    # what it settles has no object here to be compared with
    excluded = msgspec.structs.replace(copy.mapping, state="excluded", base=by_hand.kept(copy.mapping), updated_at=now)
    mappings.update(tx, [excluded])
    let_go.ask(tx, hub, connection, {excluded.id: copy.row.trace}, report)
    _journal(tx, hub, copy, "stays in these books", actor=actor)
    dealt_with(tx, connection, [copy.row])
    return False


def rebooked(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> bool:
    """Whether a copy that vanished did so because a person took it out of these books, and has said so."""
    routes = Routes(tx, hub, [copy.paper])
    if routes.at(connection.name, copy.paper) != "misplaced":
        return False
    answer = _answer(tx, connection, copy, misplaced(connection, copy, routes))
    if answer is None or answer.answer != REBOOK:
        return False
    hold_rows.spend(tx, connection.name, [(copy.subject, "")])
    _let_go(tx, hub, connection, copy, "rebooked where it belongs", actor=answer.actor or BY_HAND)
    return True


def _is_void(connection: Connection, copy: Copy) -> bool:
    there = _seen(connection, copy)
    return there is not None and there.document.status == "void"


def _is_collected(connection: Connection, copy: Copy) -> bool:
    there = _seen(connection, copy)
    return there is not None and there.collects and there.document.status != "void"


def _seen(connection: Connection, copy: Copy) -> RemoteDocument | None:
    """The copy as it was read; None for what cannot be understood, and may still be there."""
    if connection.documents is None:
        raise BugError(f"{connection.manifest.title} has no documents")
    try:
        return connection.documents.read(copy.paper.kind, copy.raw) if copy.raw is not None else None
    except ReplyError:
        return None


def _let_go(tx: Tx, hub: Hub, connection: Connection, copy: Copy, why: str, *, actor: str) -> None:
    """It has no copy here any more, and gets one where it belongs; so does what settles it."""
    ended = msgspec.structs.replace(copy.mapping, state=mappings.ENDED, note=why, updated_at=hub.clock.now())
    mappings.update(tx, [ended])
    _journal(tx, hub, copy, why, actor=actor)
    close_holds(tx, hub, connection, copy)
    dealt_with(tx, connection, [copy.row])
    about = mappings.of_records(tx, documents.about(tx, [copy.paper.id]).get(copy.paper.id, []))
    here = [row for some in about.values() for row in some if row.connection == connection.name]
    mark_mappings(tx, hub, here, reason="its invoice belongs in other books", trace=copy.row.trace)
    offer_copies(tx, hub, [copy.paper], copy.row.trace)


def _journal(tx: Tx, hub: Hub, copy: Copy, why: str, *, actor: str) -> None:
    changes = {"entity": (None, None, why)}
    now, trace = hub.clock.now(), copy.row.trace
    entry = journal.about(copy.mapping, at=now, action="unlink", changes=changes, actor=actor, trace=trace)
    journal.write(tx, [entry])
