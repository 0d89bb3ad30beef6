"""What the registry knows about documents, for people: each with its copies, and what keeps one from agreeing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Any

from core.errors import InvalidInputError, NotFoundError
from core.model.documents import KINDS, kind_of
from core.model.holds import UNTOLD
from core.model.lifecycle import STATES
from core.model.money import written
from core.model.overview import overviews
from core.store import connections, customers, documents, failures, holds, intents, journal, mappings, work
from core.store.connections import ConnectionRow
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync import registry
from core.sync.documents.marking import no_object_yet
from core.sync.documents.offering import why_uncopied
from core.sync.documents.standing import is_equal
from core.sync.documents.twins import counted
from core.sync.documents.untold import named_invoices
from core.sync.documents.waits import in_words, waits_called
from core.sync.hub import Hub

AT_ONCE = 500
_ID = re.compile(r"[0-9a-f]{32}")
ENTRIES_SHOWN = 30


def today(hub: Hub) -> date:
    """The day it is, in UTC."""
    return datetime.fromtimestamp(hub.clock.now(), UTC).date()


def check_kind(kind: str) -> None:
    """Refuse what is no kind of document."""
    if kind not in KINDS:
        limit = ", ".join(KINDS)
        raise InvalidInputError(f"{kind!r} is no kind of document", field="kind", limit=limit, cure="name one of these")


def check_filters(tx: Tx, kind: str, status: str | None, after: str, field: str) -> None:
    """Refuse a state that no document of the kind is ever in, and a place to go on from that is none: `field` names it.

    Nothing found, or what comes after it by chance, would be the answer otherwise, and be believed.
    """
    states = tuple(STATES[kind])  # type: ignore[index]
    if status is not None and status not in states:
        raise InvalidInputError(
            f"no {kind} has the state {status!r}", field="status", limit=", ".join(states), cure="name one of these"
        )
    at = documents.by_ids(tx, [after]).get(after) if _ID.fullmatch(after) else None
    if after and (at is None or at.kind != kind):
        cure = "take the id of the last one that was shown, `next_cursor` in the API"
        limit = "32 digits, a-f and 0-9, of one that was listed"
        raise InvalidInputError(f"{after!r} is no {kind}'s id", field=field, limit=limit, cure=cure)


def find(tx: Tx, hub: Hub, kind: str, name: str) -> Paper:
    """A document by its id here, its number, or its id at its origin. NotFoundError; InvalidInputError for several.

    Of one that its origin has, and that cannot be taken, the error says why.
    """
    check_kind(kind)
    here = documents.by_ids(tx, [name]).get(name)
    if here is not None and here.kind == kind:
        return here
    found = {one.id: one for one in documents.named(tx, kind, name)}
    if not found:
        for wait in waits_called(tx, hub, name, [kind]):
            raise NotFoundError(
                in_words(wait, hub.connection(wait.connection).manifest.title), field=kind, cure=wait.cure
            )
        raise NotFoundError(f"there is no {kind} {name!r}", field=kind, cure=f"`accord {GROUPS[kind]} list` shows them")
    if len(found) > 1:
        limit = ", ".join(f"{one.id} of {one.origin}" for one in found.values())
        raise InvalidInputError(f"{len(found)} are called {name!r}", field=kind, limit=limit, cure="name one by its id")
    return next(iter(found.values()))


GROUPS = {"invoice": "invoices", "payment": "payments", "credit_note": "credit-notes"}
"""What the commands of a kind are called."""


def listed(tx: Tx, papers: Sequence[Paper], now: float) -> list[dict[str, Any]]:
    """Documents in short, JSON-able, each with its copies' state at `now`, in seconds since 1970."""
    lanes = {one.name: one for one in connections.every(tx)}
    owners = customers.by_ids(tx, {one.customer_id for one in papers})
    rows = mappings.of_records(tx, [one.id for one in papers])
    copies = {one.id: _copies(one, rows.get(one.id, ())) for one in papers}
    known = _Known(tx, [row for some in copies.values() for row in some])
    return [
        {
            "id": one.id,
            "customer": owners[one.customer_id].external_id if one.customer_id in owners else None,
            "origin": one.origin,
            "remote_id": one.remote_id,
            "version": one.version,
            "document": _plain(one),
            "copies": [_copy(tx, known, one, row, _pause(lanes.get(row.connection), now)) for row in copies[one.id]],
        }
        for one in papers
    ]


def _plain(one: Paper) -> dict[str, Any]:
    found = written(one.document, one.document.currency)
    del found["id"], found["customer"]
    return {"kind": kind_of(one.document), **found}


def _copies(one: Paper, rows: Sequence[MappingRow]) -> list[MappingRow]:
    return sorted((row for row in rows if row.connection != one.origin), key=lambda row: row.connection)


def _pause(lane: ConnectionRow | None, now: float) -> str:
    """What a copy waits for besides its own reason; "" when its connection works."""
    until = lane.paused_until if lane else None
    if lane is None or until is None or until <= now:
        return ""
    return f"; {lane.name} is paused until {datetime.fromtimestamp(until, UTC):%H:%M:%S} UTC"


class _Known:
    """What keeps some copies from agreeing, by subject: asked for once for all of them."""

    def __init__(self, tx: Tx, rows: Sequence[MappingRow]) -> None:
        """Read all of it."""
        self.waits: dict[str, tuple[str, float, int]] = {}
        self.held: dict[str, list[holds.Hold]] = {}
        self.failed: dict[str, failures.Failure] = {}
        for name in sorted({row.connection for row in rows}):
            here = [work.mapping_subject(row.id) for row in rows if row.connection == name]
            self.waits |= work.waiting(tx, name, here)
            self.held |= holds.of_subjects(tx, name, here)
            self.failed |= failures.known(tx, name, here)
        self.intents = intents.open_of(tx, [row.id for row in rows])


def _copy(tx: Tx, known: _Known, paper: Paper, row: MappingRow, pause: str) -> dict[str, Any]:
    subject = work.mapping_subject(row.id)
    waits, failure = known.waits.get(subject), known.failed.get(subject)
    held = [one for one in known.held.get(subject, ()) if one.state == "open"]
    intent = known.intents.get(row.id)
    return {
        "connection": row.connection,
        "remote_id": row.remote_id,
        "state": row.state,
        "agrees": is_equal(paper, row) and not (waits or held or failure or intent),
        "waits": f"{_why(tx, paper, row, waits[0])}{pause}" if waits else None,
        "held": [{"id": one.id, "reason": one.reason, **one.detail} for one in held],
        "failure": failure.message if failure else None,
        "write_in_doubt": intent.action if intent else None,
    }


def _why(tx: Tx, paper: Paper, row: MappingRow, reason: str) -> str:
    """Why a copy waits; where it is for its customer's object, the hold or the failure that keeps that one."""
    owner = customers.by_ids(tx, [paper.customer_id]).get(paper.customer_id)
    if owner is None or reason != no_object_yet(owner.external_id):
        return reason
    theirs = [one for one in mappings.of_records(tx, [owner.id]).get(owner.id, ()) if one.connection == row.connection]
    subjects = [work.mapping_subject(one.id) for one in theirs]
    held = holds.of_subjects(tx, row.connection, subjects)
    ids = [one.id for some in held.values() for one in some if one.state == "open"]
    failed = [one.message for one in failures.known(tx, row.connection, subjects).values()]
    left_out = [
        f"it was left out ({one.note})" if one.note else "it was left out" for one in theirs if one.state == "excluded"
    ]
    kept = [*(f"hold {one}" for one in ids), *failed, *left_out] or ([] if theirs else ["policy creates none here"])
    return f"{reason}: {'; '.join(kept)}" if kept else reason


def told(tx: Tx, hub: Hub, kind: str, name: str) -> dict[str, Any]:
    """One document with all that is known about it, JSON-able. NotFoundError."""
    paper, now = find(tx, hub, kind, name), hub.clock.now()
    about = documents.by_ids(tx, documents.about(tx, [paper.id]).get(paper.id, []))
    found = listed(tx, [paper], now)[0]
    settling = sorted(about.values(), key=lambda one: one.id)
    found["settled_by"] = [
        {**one, "holds": _origin_holds(tx, of)} for one, of in zip(listed(tx, settling, now), settling, strict=True)
    ]
    found["journal"] = [
        {"at": one.at, "action": one.action, "connection": one.connection, "actor": one.actor,
         "changes": {field: list(change) for field, change in one.changes.items()}}
        for one in journal.of_record(tx, paper.id, ENTRIES_SHOWN)
    ]  # fmt: skip
    found["uncopied"] = _uncopied(tx, hub, paper)
    found["waits"] = [one for one in waiting(tx, hub, paper.remote_id, [kind]) if one["connection"] == paper.origin]
    shown = {hold["id"] for one in found["settled_by"] for hold in one["holds"]}
    found["holds"] = [*_origin_holds(tx, paper), *_holds_on_shared_money(tx, paper, shown)]
    return found


def _uncopied(tx: Tx, hub: Hub, paper: Paper) -> list[dict[str, str]]:
    """Where documents of its kind are copied to, and it is not, with why."""
    there = {row.connection for row in mappings.of_records(tx, [paper.id]).get(paper.id, ())}
    rows = {row.name: row for row in connections.every(tx)}
    takes = [
        one
        for name, one in sorted(hub.connections.items())
        if name not in there and name != paper.origin and paper.kind in one.policy.documents.mirrors
    ]
    return [{"connection": one.name, "why": why_uncopied(tx, hub, one, rows[one.name], paper)} for one in takes]


def waiting(tx: Tx, hub: Hub, name: str, kinds: Sequence[str] = KINDS) -> list[dict[str, Any]]:
    """Documents called so that their origin has, and that could not be taken as they are there now, JSON-able."""
    names = ("connection", "kind", "remote_id", "number", "issued_on", "amount", "currency", "since", "attempts")
    return [
        {name: getattr(one, name) for name in (*names, "why", "cure")} for one in waits_called(tx, hub, name, kinds)
    ]


def told_of_any(tx: Tx, hub: Hub, name: str) -> dict[str, Any] | None:
    """`told` of whatever kind of document is called so; None when none is."""
    for kind in KINDS:
        if name in documents.by_ids(tx, [name]) or documents.named(tx, kind, name):
            try:
                return told(tx, hub, kind, name)
            except NotFoundError:
                continue  # the id of a document of another kind
    return None


def _origin_holds(tx: Tx, paper: Paper) -> list[dict[str, Any]]:
    """What is asked about it where it is made."""
    rows = [row for row in mappings.of_records(tx, [paper.id]).get(paper.id, ()) if row.connection == paper.origin]
    subjects = [work.mapping_subject(row.id) for row in rows]
    found = holds.of_subjects(tx, paper.origin, subjects)
    return [_hold(one) for some in found.values() for one in some if one.state == "open"]


def _holds_on_shared_money(tx: Tx, paper: Paper, shown: Collection[str]) -> list[dict[str, Any]]:
    """What is asked about another part of a payment that was for this invoice, too, but for what is `shown`."""
    asked = holds.listing(tx, connection=paper.origin, reason=UNTOLD, limit=AT_ONCE)
    return [_hold(one) for one in asked if one.id not in shown and paper.called in named_invoices(one)]


def _hold(one: holds.Hold) -> dict[str, Any]:
    return {"id": one.id, "connection": one.connection, "reason": one.reason, **one.detail}


def overview(tx: Tx, hub: Hub, external_id: str, *, with_children: bool) -> list[dict[str, Any]]:
    """What a customer's documents add up to per currency, those of its children too where asked. NotFoundError."""
    ids = whose(tx, external_id, with_children=with_children)
    papers = [one for kind in KINDS for one in every(tx, kind, customer_ids=ids)]
    documents_of_theirs = [one.document for one in counted(tx, papers)]
    return [written(one, one.currency) for one in overviews(documents_of_theirs, today(hub))]


def whose(tx: Tx, external_id: str, *, with_children: bool) -> list[str]:
    """Ids of a customer and, where asked, of its children and theirs. NotFoundError."""
    owner = registry.get(tx, external_id)
    ids, names = {owner.id: None}, [external_id]
    while with_children and names:
        below = [one for one in customers.children(tx, names) if one.id not in ids]
        ids |= dict.fromkeys(one.id for one in below)
        names = [one.external_id for one in below]
    return list(ids)


def every(tx: Tx, kind: str, customer_ids: Sequence[str] | None = None) -> Iterator[Paper]:
    """All documents of a kind by id, of some customers where named; no more than some are in memory at once."""
    after: str | None = ""
    while after is not None:
        page = documents.page(tx, kind=kind, after=after, limit=AT_ONCE, customer_ids=customer_ids)
        yield from page
        after = page[-1].id if page else None
