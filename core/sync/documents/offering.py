"""Where copies of a document are wanted: a mapping is made at each such connection, and its object later."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from hashlib import blake2b

from core.model.documents import Document, Invoice, day_of, references
from core.model.lifecycle import is_final
from core.store import connections, documents, mappings
from core.store.connections import ConnectionRow
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync.documents.forgetting import ended_unseen, restored
from core.sync.documents.marking import TO_BE_COPIED, mark_mappings
from core.sync.documents.routing import Routes
from core.sync.hub import Connection, Hub

RECREATED = "recreated"
"""The note of a mapping whose copy a person wants made anew."""
NOTHING_TO_COPY = frozenset({"void", "failed"})
"""States of a document in which there is nothing to make a copy of, and no longer or not yet anything to tell."""


def offer_copies(tx: Tx, hub: Hub, papers: Sequence[Paper], trace: str) -> int:
    """Make the mappings that policy wants and that are not there yet; returns how many were made."""
    rows = {row.name: row for row in connections.every(tx)}
    made: list[MappingRow] = []
    for name in sorted(hub.connections):
        connection = hub.connections[name]
        if connection.policy.documents.mirrors and rows[name].state == "active":
            made += _offered_to(tx, hub, connection, rows[name], papers)
    mark_mappings(tx, hub, made, reason=TO_BE_COPIED, trace=trace)
    return len(made)


def _offered_to(
    tx: Tx, hub: Hub, connection: Connection, row: ConnectionRow, papers: Sequence[Paper]
) -> list[MappingRow]:
    invoices = [one for one in papers if isinstance(one.document, Invoice)]
    wanted = [*offerable(tx, hub, connection, row, invoices), *forgettable(tx, hub, connection, row, invoices)]
    made = fresh_mappings(tx, hub, connection, wanted)
    mappings.insert(tx, made)
    # what settles an invoice could not be copied before the invoice was to be
    about = documents.about(tx, [one.record_id for one in made])
    waiting = documents.by_ids(tx, [one for some in about.values() for one in some])
    others = waiting | {one.id: one for one in papers if not isinstance(one.document, Invoice)}
    settlers = list(others.values())
    wanted = [*offerable(tx, hub, connection, row, settlers), *forgettable(tx, hub, connection, row, settlers)]
    more = fresh_mappings(tx, hub, connection, wanted)
    mappings.insert(tx, more)
    return made + more


def offerable(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    row: ConnectionRow,
    papers: Sequence[Paper],
    to_come: Collection[str] = (),
) -> list[Paper]:
    """Those that are to have a copy; `to_come`: invoices that a plan takes to be offered by then."""
    wanted = [
        one
        for one in papers
        # what settles an invoice whenever it came in: without it, the invoice's copy would be open for ever
        if is_wanted(one, hub, connection, row, is_of_any_day=bool(references(one.document)))
    ]
    return _with_an_invoice(tx, connection, _routed(tx, hub, connection, wanted), to_come)


def forgettable(tx: Tx, hub: Hub, connection: Connection, row: ConnectionRow, papers: Sequence[Paper]) -> list[Paper]:
    """Those that are void, and of which a restored database may have forgotten a copy: it is looked for, never made.

    Once: those that were offered here before have been looked for.
    """
    put_back = restored(tx)
    ended = [] if put_back is None else [one for one in papers if ended_unseen(one, put_back)]
    offered = mappings.generations(tx, [one.id for one in ended], connection.name)
    here = [
        one
        for one in ended
        if one.id not in offered
        and _takes(hub, connection, one)
        and (references(one.document) or _is_in_time(one, connection, row))
    ]
    return _with_an_invoice(tx, connection, _routed(tx, hub, connection, here), ())


def _routed(tx: Tx, hub: Hub, connection: Connection, papers: Sequence[Paper]) -> list[Paper]:
    routes = Routes(tx, hub, papers)
    return [one for one in papers if routes.takes(connection.name, one)]


def is_wanted(
    paper: Paper, hub: Hub, connection: Connection, row: ConnectionRow, *, is_of_any_day: bool = False
) -> bool:
    """Whether policy wants a copy of a document at a connection; drafts, and what is void already, are not copied."""
    document = paper.document
    if not _takes(hub, connection, paper) or paper.deleted_at is not None:
        return False
    is_standing = is_final(document) and document.status not in NOTHING_TO_COPY and not _is_empty(document)
    return is_standing and (is_of_any_day or _is_in_time(paper, connection, row))


def _is_in_time(paper: Paper, connection: Connection, row: ConnectionRow) -> bool:
    issued_on = day_of(paper.document)
    return issued_on is None or issued_on.isoformat() >= since_of(connection, row)


def why_uncopied(tx: Tx, hub: Hub, connection: Connection, row: ConnectionRow, paper: Paper) -> str:
    """Why a document has no copy at a connection that takes documents of its kind, in words."""
    document, routes = paper.document, Routes(tx, hub, [paper])
    is_short, route = not references(document), routes.at(connection.name, paper)
    reasons = (
        (not _takes(hub, connection, paper), f"policy copies nothing from {paper.origin} there (sources)"),
        (not is_final(document), f"what is {document.status} is not copied"),
        (document.status in NOTHING_TO_COPY, f"it was {document.status} before it was copied"),
        (_is_empty(document), "it is of nothing: no lines, and 0 to pay"),
        (
            is_short and not _is_in_time(paper, connection, row),
            f"its day is before {since_of(connection, row)} (since)",
        ),
        (route == "elsewhere", "it belongs in another entity's books"),
        (row.state != "active", f"{connection.name} is {row.state}"),
        (not _with_an_invoice(tx, connection, [paper], ()), "no invoice that it settles has a copy there"),
    )
    return next((words for is_so, words in reasons if is_so), "it is to be made, and is looked at soon")


def is_of_outside(
    hub: Hub, connection: Connection, row: ConnectionRow, settled: Collection[Paper], mapped: Collection[str]
) -> bool:
    """Whether none of the invoices that a document settles has a copy at a connection (`mapped`), or is to have one.

    Then the document gets none there either: whoever keeps those invoices there by hand books what settles them.
    """
    coming = [one for one in settled if _takes(hub, connection, one) and _is_in_time(one, connection, row)]
    return bool(settled) and not coming and not any(one.id in mapped for one in settled)


def _takes(hub: Hub, connection: Connection, paper: Paper) -> bool:
    """Whether documents of this kind and origin are copied to a connection."""
    policy, origin = connection.policy.documents, hub.connections.get(paper.origin)
    if paper.kind not in policy.mirrors or paper.origin == connection.name:
        return False
    # one that is not configured any more has a name, and no more
    named = {paper.origin, origin.manifest.provider if origin else ""}
    return not policy.sources or bool(named & {*policy.sources})


def is_dropped(tx: Tx, hub: Hub, connection: Connection, paper: Paper) -> bool:
    """Whether policy, changed since it was offered, wants no copy of a document at a connection any more.

    A day that the connection's activation set drops nothing: it may have been activated anew since.
    """
    if not _takes(hub, connection, paper):
        return True
    if settled := references(paper.document):
        mapped = mappings.of_records(tx, settled)
        is_there = any(row.connection == connection.name for rows in mapped.values() for row in rows)
        return not is_there and all(
            is_dropped(tx, hub, connection, one) for one in documents.by_ids(tx, settled).values()
        )
    day, since = day_of(paper.document), connection.policy.documents.since
    return bool(since) and day is not None and day.isoformat() < since


def _is_empty(document: Document) -> bool:
    """Whether an invoice is of nothing: no books take one without lines, and nothing of it could be booked there."""
    return isinstance(document, Invoice) and not document.lines and not document.total


def _with_an_invoice(tx: Tx, connection: Connection, papers: Sequence[Paper], to_come: Collection[str]) -> list[Paper]:
    """Those of which an invoice is there, or is to be (of another one a person is asked), or that are of none."""
    mapped = mappings.of_records(tx, {name for one in papers for name in references(one.document)})
    there = {name for name, rows in mapped.items() if any(row.connection == connection.name for row in rows)}
    there.update(to_come)
    return [one for one in papers if not (named := references(one.document)) or there.intersection(named)]


def since_of(connection: Connection, row: ConnectionRow) -> str:
    """Copies are wanted of what was issued on that day or later (ISO date).

    An activation after a restore begins no new books: what was booked before it is to be followed.
    """
    first = datetime.fromtimestamp(row.first_activated_at or 0.0, UTC)
    return connection.policy.documents.since or first.date().isoformat()


def fresh_mappings(tx: Tx, hub: Hub, connection: Connection, papers: Sequence[Paper]) -> list[MappingRow]:
    """The mappings that these documents have not got here yet; they are not stored."""
    known = mappings.of_records(tx, [one.id for one in papers])
    fresh = [one for one in papers if all(row.connection != connection.name for row in known.get(one.id, ()))]
    used = mappings.generations(tx, [one.id for one in fresh], connection.name)
    now = hub.clock.now()
    return [fresh_mapping(one, connection.name, used.get(one.id, 0) + 1, now) for one in fresh]


def fresh_mapping(paper: Paper, connection: str, generation: int, now: float) -> MappingRow:
    """The mapping of a document's copy that is to be made."""
    name = mapping_id(paper.id, connection, generation)
    return mappings.pending(name, paper.id, connection, kind=paper.kind, generation=generation, now=now)


def mapping_id(document_id: str, connection: str, generation: int) -> str:
    """The same copy always has the same mapping, and so the same marker: a restored database finds it again."""
    return blake2b(f"{document_id}\n{connection}\n{generation}".encode(), digest_size=16).hexdigest()
