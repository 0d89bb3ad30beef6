"""A copy's own balance: what is due of it must be what is due of its invoice, whoever else writes there.

Compared where payments and credit notes have copies of their own (`settles="apart"`), and only once those are made:
until then a difference is expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.errors import ReplyError
from core.model import holds
from core.model.documents import Invoice, references, settled_by
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.money import ZERO
from core.model.paper import RemoteDocument
from core.model.settling import Part, Span, Standing, settled_of, span_of
from core.ports import Missing, Sighting
from core.store import documents, intents, mappings, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync.documents.marking import mark_mappings
from core.sync.documents.reading import read_all
from core.sync.documents.standing import Copy, is_equal
from core.sync.hub import Connection, Hub

UNKNOWN = "unknown"
"""What `judged` answers while something that settles the invoice is on its way."""
CURE = "delete there what was booked by hand, or record it where the invoice was made; then this goes by itself"


def is_compared(connection: Connection) -> bool:
    """Whether copies of invoices at a connection have a balance that is made by other documents there."""
    spec = connection.manifest.documents.get("invoice")
    return spec is not None and spec.settles == "apart" and "invoice" in connection.policy.documents.mirrors


def judged(tx: Tx, connection: Connection, copy: Copy) -> HoldDraft | str | None:
    """A hold where the balance differs, `UNKNOWN` where that cannot be told yet, None where it is as it should be."""
    told = _seen(connection, copy)
    if told is None:
        return None
    there = told.document
    assert isinstance(there, Invoice)  # noqa: S101 - what read() gives for this kind
    span = _span(tx, connection, copy, there)
    if span is None:
        return UNKNOWN
    return None if settled_of(there) in span else _draft(connection, copy, there)


def _seen(connection: Connection, copy: Copy) -> RemoteDocument | None:
    """The copy of an invoice as it was read; None for what has no balance to compare."""
    wanted = copy.paper.document
    is_concerned = isinstance(wanted, Invoice) and wanted.status != "void"
    if not is_concerned or copy.raw is None or not is_compared(connection) or connection.documents is None:
        return None
    return connection.documents.read("invoice", copy.raw)


def _span(tx: Tx, connection: Connection, copy: Copy, there: Invoice) -> Span | None:
    invoice = copy.paper.document
    assert isinstance(invoice, Invoice)  # noqa: S101 - of others there is nothing to span
    about = documents.by_ids(tx, documents.about(tx, [copy.paper.id]).get(copy.paper.id, ())).values()
    rows = {one.record_id: one for one in _here(tx, connection, [one.id for one in about])}
    if any(one.updated_at > copy.seen_at for one in rows.values()):
        return None  # made or changed since the copy was read: whoever did it has this copy looked at again
    parts = []
    for one in sorted(about, key=lambda one: one.id):
        amount = settled_by(one.document).get(copy.paper.id, ZERO)
        parts.append(Part(amount, _standing(tx, connection, one, rows.get(one.id))))
    return span_of(invoice, there, parts)


def _here(tx: Tx, connection: Connection, record_ids: Iterable[str]) -> list[MappingRow]:
    found = mappings.of_records(tx, list(record_ids))
    return [row for some in found.values() for row in some if row.connection == connection.name]


def _standing(tx: Tx, connection: Connection, paper: Paper, row: MappingRow | None) -> Standing:
    if row is None or row.state not in ("live", "pending"):
        return "absent"
    if paper.origin == connection.name or is_equal(paper, row):
        return "there"
    subject = work.mapping_subject(row.id)
    is_held = any(one.state == "open" for one in hold_rows.of_subjects(tx, connection.name, [subject]).get(subject, ()))
    is_waiting = work.waiting(tx, connection.name, [subject]) or intents.open_of(tx, [row.id])
    if is_waiting and not is_held:
        return "moving"
    return "there" if row.remote_id else "absent"


def _draft(connection: Connection, copy: Copy, there: Invoice) -> HoldDraft:
    invoice = copy.paper.document
    assert isinstance(invoice, Invoice)  # noqa: S101 - of others there is no balance
    title, currency = connection.manifest.title, invoice.currency
    by = f"; not from here: {', '.join(copy.others)}" if copy.others else ""
    detail: dict[str, object] = {
        "document": "invoice",
        "number": invoice.number,
        "problem": f"{there.due} {currency} is due of the copy in {title}, {invoice.due} {currency} of the invoice{by}",
        "field": "due",
        "limit": f"{invoice.due} {currency}",
        "cure": CURE,
        "there": str(there.due),
        "registry": str(invoice.due),
        "currency": currency,
        "others": list(copy.others),
    }
    digest = digest_of(holds.BALANCE_DIFFERS, str(there.due), copy.paper.digest)
    return HoldDraft(reason=holds.BALANCE_DIFFERS, detail=detail, digest=digest)


# ---- who it was ------------------------------------------------------------------------------------


async def with_others(hub: Hub, connection: Connection, copies: Sequence[Copy]) -> list[Copy]:
    """The same copies; those whose balance differs with the payments that settle them and that nobody here knows."""
    if not is_compared(connection):
        return list(copies)
    strange = await hub.db.read(lambda tx: {one.mapping.id: _strange(tx, connection, one) for one in copies})
    ids = sorted({one for some in strange.values() for one in some})
    if not ids:
        return list(copies)
    seen = await read_all(connection, "payment", ids)
    return [replace(one, others=_told(connection, strange[one.mapping.id], seen)) for one in copies]


def _strange(tx: Tx, connection: Connection, copy: Copy) -> list[str]:
    try:
        told = _seen(connection, copy)
        if told is None or not told.settled_by:
            return []
        known = mappings.by_remote_ids(tx, connection.name, "payment", told.settled_by)
        found = [one for one in told.settled_by if one not in known]
        return found if found and isinstance(judged(tx, connection, copy), HoldDraft) else []
    except ReplyError:
        return []  # said where the copy is decided on


def _told(connection: Connection, ids: Sequence[str], seen: dict[str, Sighting | Missing]) -> tuple[str, ...]:
    """Payments in words; those that only apply credits where there are no others: ours do so, too."""
    real = [one for one in ids if isinstance(seen[one], Sighting)]
    return tuple(_words(connection, one, seen[one]) for one in real or ids)


def _words(connection: Connection, remote_id: str, seen: Sighting | Missing) -> str:
    if isinstance(seen, Missing):
        return f"a credit that payment {remote_id} applies"
    try:
        if connection.documents is None:
            return f"payment {remote_id}"
        document = connection.documents.read("payment", seen.raw).document
    except ReplyError:
        return f"payment {remote_id}"
    amount, day = getattr(document, "amount", None), getattr(document, "received_on", None)
    return f"payment {remote_id} of {amount} {document.currency}, {day}"


# ---- who is to look --------------------------------------------------------------------------------


def wake_its_invoices(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> None:
    """What settles them is copied now, or held: their copies' balances can be compared."""
    if is_compared(connection):
        rows = _here(tx, connection, references(copy.paper.document))
        mark_mappings(tx, hub, rows, reason="what settles it changed", trace=copy.row.trace)


def wake_what_settles_it(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> None:
    """The balance is right again: what could not be booked for it may be now."""
    papers = documents.by_ids(tx, documents.about(tx, [copy.paper.id]).get(copy.paper.id, ()))
    unequal = [row for row in _here(tx, connection, papers) if not is_equal(papers[row.record_id], row)]
    mark_mappings(tx, hub, unequal, reason="the balance of its invoice is right again", trace=copy.row.trace)
