"""Which documents are to be looked at: by their mapping where there is one, else by kind and id."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from core.model.documents import references
from core.store import documents, mappings, ownerless, work
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.hub import KIND, Connection, Hub

Named = tuple[str, str]
"""A remote document: (kind, remote id). Ids of different kinds may be equal."""
TO_BE_COPIED: Final = "to be copied"
"""Why a copy waits that was not made yet."""
SEEN_EQUAL: Final = "to be seen equal"
SEEN_NOW_AND_THEN: Final = "looked at now and then"
BY_THE_CLOCK: Final = frozenset({SEEN_EQUAL, SEEN_NOW_AND_THEN})
"""Why a copy is looked at though nobody said that anything changed."""
MARKED_AT_ONCE: Final = 200
"""Documents of one transaction's customers that are marked when something of these changes."""

_NO_CUSTOMER: Final = "its customer {} has no mapping here"
_NO_INVOICE: Final = "its invoice {} is not known yet"
OF_ERASED: Final = "its customer was erased"
"""Why a document is not taken: of the object that it names as its customer not even the id is kept."""

FORGOTTEN: Final = "it carries the mark of a copy of ours, and nobody remembers of what"
"""Why a document is not taken after a restore, while what it is a copy of was not read again."""

UNCLEAR: Final = "which payment or sale it gives back is not told"
"""Why a document is not taken: a person says what is to become of it."""


def subject_of(named: Named) -> str:
    """The subject of a remote document that has no mapping."""
    return f"d:{named[0]}:{named[1]}"


def named_in(subject: str) -> Named:
    """What `subject_of` was made from."""
    _, kind, remote_id = subject.split(":", 2)
    return kind, remote_id


def no_customer_yet(remote_id: str) -> str:
    """Why a document cannot be taken: the object that it names as its customer is nobody's so far."""
    return _NO_CUSTOMER.format(remote_id)


def no_invoice_yet(remote_id: str) -> str:
    """Why a document cannot be taken: the invoice that it settles is not known so far."""
    return _NO_INVOICE.format(remote_id)


def waits_for(reason: str) -> Named | None:
    """What `no_customer_yet` or `no_invoice_yet` was made of; None for any other reason."""
    for kind, text in (("customer", _NO_CUSTOMER), ("invoice", _NO_INVOICE)):
        before, after = text.split("{}")
        if reason.startswith(before) and reason.endswith(after):
            return kind, reason.removeprefix(before).removesuffix(after)
    return None


def customer_in(reason: str) -> str | None:
    """The object that `no_customer_yet` was made from; None for another reason."""
    of = waits_for(reason)
    return of[1] if of and of[0] == KIND else None


def unclear(cure: str) -> str:
    """Why a document is not taken, and what a person does about it."""
    return f"{UNCLEAR}: {cure}"


def cure_in(reason: str) -> str:
    """What `unclear` was made from; "" for another reason."""
    why, _, cure = reason.partition(": ")
    return cure if why == UNCLEAR else ""


def rests(reason: str) -> bool:
    """Whether a document waits for its customer or for a person, and no look at it would change that."""
    return reason == OF_ERASED or customer_in(reason) is not None or bool(cure_in(reason))


def unread(tx: Tx, hub: Hub, connection: Connection, kind: str, raws: Mapping[str, str]) -> dict[str, str]:
    """Of what cannot be read, those that bear a mark of ours of which nobody knows, as far as one can be seen.

    By remote id: `raws` is the text of each, and the answer why it waits.
    """
    mark = re.compile(rf"{re.escape(hub.instance)}\.([0-9a-f]+)\.")
    seen = {name: found[1] for name, raw in raws.items() if (found := mark.search(raw)) is not None}
    strange = seen.keys() - mappings.by_remote_ids(tx, connection.name, kind, seen).keys()
    known = mappings.by_ids(tx, [seen[name] for name in strange])
    return {name: FORGOTTEN for name in sorted(strange) if seen[name] not in known}


def no_object_yet(external_id: str) -> str:
    """Why a copy cannot be made: there is nothing here to make it for so far."""
    return f"its customer {external_id} has no object here"


def customers_placed(tx: Tx, hub: Hub, connection: Connection, placed: Mapping[str, str | None]) -> None:
    """Documents that waited for these customers (external id -> object) are looked at now."""
    policy = connection.policy.documents
    if not placed or not (policy.originates or policy.mirrors):
        return
    reasons = [no_customer_yet(one) for one in placed.values() if one] + [no_object_yet(one) for one in placed]
    _release(tx, hub, connection, reasons)


def owners_found(tx: Tx, hub: Hub, connection: Connection) -> None:
    """Documents are looked at whose customers were placed, and nobody said so: nothing is read for it."""
    waiting = {remote_id: why for why in ownerless.reasons(tx, connection.name) if (remote_id := customer_in(why))}
    known = mappings.by_remote_ids(tx, connection.name, KIND, waiting)
    _release(tx, hub, connection, [waiting[one] for one, row in known.items() if row.state != "excluded"])


def invoices_entered(tx: Tx, hub: Hub, connection: Connection, remote_ids: Iterable[str]) -> None:
    """What waited for these invoices to be known is looked at now."""
    _release(tx, hub, connection, [no_invoice_yet(one) for one in remote_ids])


def _release(tx: Tx, hub: Hub, connection: Connection, reasons: Sequence[str]) -> None:
    if ownerless.release(tx, connection.name, reasons, hub.clock.now()):
        tx.after_commit(lambda: hub.wake(connection.name))


def customers_moved(tx: Tx, hub: Hub, fields: Mapping[str, Collection[str]], trace: str) -> None:
    """Documents of these customers (id -> changed fields) may be another entity's by now: looked at in entities' books.

    Only so many at once, those that are not booked yet first: the others are found by `reconcile_invoices`.
    """
    books = {name for name, one in hub.connections.items() if one.policy.documents.entities}
    naming = {one.policy.documents.entity_field for one in hub.connections.values()} if books else set()
    moved = [one for one, changed in fields.items() if not naming.isdisjoint(changed)]
    if not moved:
        return
    papers = documents.of_customers(tx, moved)
    rows = [row for some in mappings.of_records(tx, [one.id for one in papers]).values() for row in some]
    here = sorted((row for row in rows if row.connection in books), key=lambda row: row.remote_id is not None)
    mark_mappings(tx, hub, here[:MARKED_AT_ONCE], reason="its customer's entity changed", trace=trace)


def part_placed(tx: Tx, hub: Hub, connection: Connection, customer_id: str, trace: str) -> None:
    """A part of a customer has got its object: the copies of its documents may be that one's, too.

    Only so many at once: the others are found by the walk over all copies.
    """
    if not connection.policy.documents.mirrors:
        return
    papers = documents.of_customers(tx, [customer_id])
    rows = [row for some in mappings.of_records(tx, [one.id for one in papers]).values() for row in some]
    there = [row for row in rows if row.connection == connection.name and row.remote_id]
    mark_mappings(tx, hub, there[:MARKED_AT_ONCE], reason="a part of its customer is there", trace=trace)


def mark_documents(
    tx: Tx, hub: Hub, connection: Connection, traces: Mapping[Named, str], *, reason: str, not_before: float = 0.0
) -> None:
    """Mark remote documents dirty.

    One that has no mapping, at a connection where none originate, concerns nobody, unless it may settle our copies.
    """
    concerned = {*connection.policy.documents.originates, *_settling(connection)}
    by_kind: dict[str, list[str]] = {}
    for kind, remote_id in traces:
        by_kind.setdefault(kind, []).append(remote_id)
    for kind, remote_ids in sorted(by_kind.items()):
        mapped = mappings.by_remote_ids(tx, connection.name, kind, remote_ids)
        subjects = {
            work.mapping_subject(mapped[one].id) if one in mapped else subject_of((kind, one)): traces[kind, one]
            for one in remote_ids
            if one in mapped or kind in concerned
        }
        if subjects:
            work.mark(
                tx, connection.name, subjects, reason=reason, trace=subjects, now=hub.clock.now(), kind=kind,
                not_before=not_before,
            )  # fmt: skip
            tx.after_commit(lambda: hub.wake(connection.name))


def _settling(connection: Connection) -> tuple[str, ...]:
    """Kinds that settle copies of invoices at a connection which does not name the invoice then."""
    spec = connection.manifest.documents.get("invoice")
    is_told = spec is None or spec.tells_settled or spec.settles == "itself"
    return () if is_told or "invoice" not in connection.policy.documents.mirrors else ("payment", "credit_note")


def mark_mappings(tx: Tx, hub: Hub, rows: Iterable[MappingRow], *, reason: str, trace: str) -> None:
    """Mark documents' mappings dirty, each at its connection."""
    _mark(tx, hub, [one for one in rows if one.state in ("live", "pending")], reason, trace)


def mark_let_go(tx: Tx, hub: Hub, rows: Iterable[MappingRow], *, reason: str, trace: str) -> None:
    """Mark copies that a person let go of: what goes back of them is asked about."""
    _mark(tx, hub, [one for one in rows if one.state == "excluded"], reason, trace)


def _mark(tx: Tx, hub: Hub, rows: Iterable[MappingRow], reason: str, trace: str) -> None:
    by_place: dict[tuple[str, str], list[str]] = {}
    for one in rows:
        if one.connection in hub.connections:
            by_place.setdefault((one.connection, one.kind), []).append(work.mapping_subject(one.id))
    for (connection, kind), subjects in sorted(by_place.items()):
        work.mark(tx, connection, subjects, reason=reason, trace=trace, now=hub.clock.now(), kind=kind)
        tx.after_commit(lambda lane=connection: hub.wake(lane))  # type: ignore[misc]


def wake_what_it_settles(tx: Tx, hub: Hub, row: MappingRow, trace: str) -> None:
    """A copy was let go of: the invoices that its document settles are looked at again, wherever they are copied."""
    papers = documents.by_ids(tx, [row.record_id])
    settled = [name for one in papers.values() for name in references(one.document)]
    bills = documents.by_ids(tx, settled)
    rows = [one for some in mappings.of_records(tx, settled).values() for one in some]
    copies = [one for one in rows if one.remote_id and one.connection != bills[one.record_id].origin]
    mark_mappings(tx, hub, copies, reason="what settles it was let go of", trace=trace)
