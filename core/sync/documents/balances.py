"""A copy's own balance: what is due of it must be what is due of its invoice, whoever else writes there.

Compared where payments and credit notes have copies of their own (`settles="apart"`), and only once those are made:
until then a difference is expected.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from core.errors import RejectedError, ReplyError
from core.model import holds
from core.model.documents import Invoice, references, settled_by
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.money import ZERO, spelled, total_of
from core.model.paper import RemoteDocument
from core.model.settling import Part, Standing, booked_for, settled_of, span_of
from core.model.values import Value
from core.ports import Missing, Sighting
from core.store import documents, intents, mappings, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.documents import Paper
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.sync.documents.came_in import came_in_of, named_of, net_of, unexplained
from core.sync.documents.marking import mark_mappings
from core.sync.documents.reading import read_all
from core.sync.documents.standing import OTHERS, Copy, is_equal
from core.sync.documents.twins import refuse_beside, refuse_twin
from core.sync.hub import Connection, Hub

BOOK = "book on the copy what the customer's balance settled, as a credit of that amount; then this goes by itself"
PAY_BACK = "record it where the invoice was made, or pay it back there; then leave the copy, if this stays"
KINDS = {"payment": "payment", "credit_note": "credit note"}
_SETTLES = frozenset({"applications", "applied", "status"})
"""Fields of payments and credit notes that say what is settled by them: nothing by what is void."""
CURE = (
    "delete there what was booked by hand, or, if it came in indeed, record it where the invoice was made; then this"
    " goes by itself"
)


def is_compared(connection: Connection) -> bool:
    """Whether copies of invoices at a connection have a balance that is made by other documents there."""
    spec = connection.manifest.documents.get("invoice")
    return spec is not None and spec.settles == "apart" and "invoice" in connection.policy.documents.mirrors


class Balance(NamedTuple):
    """`others`: how much of a copy is settled by what is no copy of ours. `draft`: the question where that is wrong.

    `came_in`: how much of it the provider took in itself.
    """

    others: Decimal
    draft: HoldDraft | None
    came_in: Decimal = ZERO


def judged(tx: Tx, connection: Connection, copy: Copy) -> Balance | None:
    """How a copy's balance stands; None while that cannot be told, because something that settles it is on its way."""
    told = _seen(connection, copy)
    if told is None:
        return Balance(ZERO, None)
    invoice, there, parts = copy.paper.document, told.document, _parts(tx, connection, copy)
    assert isinstance(invoice, Invoice)  # noqa: S101 - of others nothing was seen
    assert isinstance(there, Invoice)  # noqa: S101 - what read() gives for this kind
    span = None if parts is None else span_of(invoice, there, parts)
    if parts is None or span is None:
        return None
    settled = settled_of(there)
    ours = total_of([one.amount for one in parts if one.standing == "there"])
    settlers = told_to_origin(tx, copy.paper) if told.came_in else []
    came_in = net_of(connection.name, copy.paper, told.came_in, settlers)
    extra = unexplained(tx, connection.name, copy.paper, came_in)
    others = _others(total_of([settled, -ours]), invoice, there)
    if settled in span and not extra:
        return Balance(others, None, came_in)
    return Balance(others, _draft(connection, copy, there, _held_of_ours(tx, connection, copy, others), extra), came_in)


def _others(settled: Decimal, invoice: Invoice, there: Invoice) -> Decimal:
    """Of what is settled by no copy of ours, what may be a payment that is yet to be copied."""
    by_balance = max(total_of([invoice.by_balance, -there.by_balance]), ZERO)
    return max(total_of([settled, -by_balance]), min(settled, ZERO))


def _seen(connection: Connection, copy: Copy) -> RemoteDocument | None:
    """The copy of an invoice as it was read; None for what has no balance to compare."""
    wanted = copy.paper.document
    is_concerned = isinstance(wanted, Invoice) and wanted.status != "void"
    if not is_concerned or copy.raw is None or not is_compared(connection) or connection.documents is None:
        return None
    return connection.documents.read("invoice", copy.raw)


def _parts(tx: Tx, connection: Connection, copy: Copy) -> list[Part] | None:
    """What settles the invoice in the registry; None where some of it was copied after the copy was read."""
    about = told_to_origin(tx, copy.paper)
    rows = {one.record_id: one for one in _here(tx, connection, [one.id for one in about])}
    if any(one.updated_at > copy.seen_at for one in rows.values()):
        return None  # whoever did that has this copy looked at again
    return [
        Part(settled_by(one.document).get(copy.paper.id, ZERO), _standing(tx, connection, one, rows.get(one.id)))
        for one in about
    ]


def told_to_origin(tx: Tx, invoice: Paper) -> list[Paper]:
    """What settles an invoice and is recorded at its origin, or on its way there.

    A payment that is recorded elsewhere, and that policy takes to no origin, settles only what it was booked on: were
    it counted here, nobody would ever be told that the customer is still asked to pay.
    """
    about = documents.by_ids(tx, documents.about(tx, [invoice.id]).get(invoice.id, ()))
    rows = mappings.of_records(tx, [one.id for one in about.values() if one.origin != invoice.origin])
    passed_on = {
        name
        for name, some in rows.items()
        if any(row.connection == invoice.origin and row.state in ("live", "pending") for row in some)
    }
    return [one for one in about.values() if one.origin == invoice.origin or one.id in passed_on]


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


def _held_of_ours(tx: Tx, connection: Connection, copy: Copy, others: Decimal) -> list[tuple[Paper, Hold]]:
    """Copies of what settles the invoice that a person is asked about already: the balance goes with their answers.

    Where `others` settle it, too, those of the customer's that settle something else here than where they were made.
    """
    about = documents.by_ids(tx, documents.about(tx, [copy.paper.id]).get(copy.paper.id, ()))
    if others > 0:
        about = _astray(tx, connection, copy.paper.customer_id) | about
    return _held(tx, connection, about)


def held_astray(tx: Tx, connection: Connection, customer_id: str) -> list[str]:
    """What is asked about a customer's copies that settle here what they do not settle where they were made, in words.

    What is settled by one of them no payment or credit note of the registry tells of.
    """
    astray = _astray(tx, connection, customer_id)
    return [_itself(paper, hold) for paper, hold in _held(tx, connection, astray)]


def _held(tx: Tx, connection: Connection, papers: Mapping[str, Paper]) -> list[tuple[Paper, Hold]]:
    rows = {work.mapping_subject(row.id): row for row in _here(tx, connection, papers) if row.remote_id}
    known = hold_rows.of_subjects(tx, connection.name, rows)
    return [
        (papers[rows[subject].record_id], one)
        for subject, some in sorted(known.items())
        for one in some
        if one.state == "open"
    ]


def _itself(paper: Paper, hold: Hold) -> str:
    return f"the copy of {KINDS[paper.kind]} {paper.called} is held by itself ({hold.id})"


def _astray(tx: Tx, connection: Connection, customer_id: str) -> dict[str, Paper]:
    """A customer's documents whose copies settle here what they do not settle where they were made."""
    asked = hold_rows.listing(tx, connection=connection.name, reason=holds.REJECTED, record_id=customer_id)
    rows = mappings.by_ids(tx, [one.subject[2:] for one in asked if one.detail.get("field") in _SETTLES])
    return documents.by_ids(tx, [row.record_id for row in rows.values() if row.kind in KINDS])


def _draft(
    connection: Connection, copy: Copy, there: Invoice, ours: Sequence[tuple[Paper, Hold]], extra: Decimal
) -> HoldDraft:
    invoice = copy.paper.document
    assert isinstance(invoice, Invoice)  # noqa: S101 - of others there is no balance
    title, currency = connection.manifest.title, invoice.currency
    is_due, is_due_there = spelled(invoice.due, currency), spelled(there.due, currency)
    by = "".join(f"; {_itself(one, hold)}" for one, hold in ours)
    by += f"; not from here: {', '.join(copy.others)}" if copy.others else ""
    if invoice.by_balance:
        of_balance = f"{spelled(invoice.by_balance, currency)} {currency} of the invoice"
        by += f"; {of_balance} came off the customer's balance in {copy.paper.origin}"
    by += f"; {spelled(extra, currency)} {currency} of it came in at {title} itself" if extra else ""
    detail: dict[str, object] = {
        "document": "invoice",
        "number": invoice.number,
        "problem": f"{is_due_there} {currency} is due of the copy in {title}, {is_due} {currency} of the invoice{by}",
        "field": "due",
        "limit": f"{is_due} {currency}",
        "cure": PAY_BACK if extra else _cure(invoice, there, ours, copy.others),
        "there": is_due_there,
        "registry": is_due,
        "currency": currency,
        "others": list(copy.others),
    }
    seen = [one.id for one, _ in ours]
    digest = digest_of(holds.BALANCE_DIFFERS, str(there.due), copy.paper.digest, *([seen] if seen else []))
    return HoldDraft(reason=holds.BALANCE_DIFFERS, detail=detail, digest=digest)


def _cure(invoice: Invoice, there: Invoice, ours: Sequence[tuple[Paper, Hold]], others: Sequence[str]) -> str:
    if invoice.by_balance > 0 and there.due > invoice.due:
        return BOOK
    if not ours:
        return CURE
    first = f"do what the hold of {' and of '.join(f'{KINDS[one.kind]} {one.called}' for one, _ in ours)} asks for"
    return f"{first}; then {CURE}" if others else f"{first}: this goes by itself then"


# ---- what is booked there already -------------------------------------------------------------------


def refuse_second(tx: Tx, connection: Connection, copy: Copy) -> None:
    """Raise RejectedError for a new copy of what may be booked there by hand already: it would be there twice."""
    document = copy.paper.document
    for invoice_id in settled_by(document) if copy.raw is None else ():
        refuse_twin(tx, connection, copy.paper, invoice_id)
        left = _booked_by_others(tx, connection, invoice_id, copy.paper.id) if is_compared(connection) else ZERO
        if left > 0:
            number = getattr(documents.by_ids(tx, [invoice_id])[invoice_id].document, "number", "")
            astray = "".join(f"; {one}" for one in held_astray(tx, connection, copy.paper.customer_id))
            raise RejectedError(
                f"{left} {document.currency} of invoice {number} is settled in {connection.manifest.title} already,"
                f" by something that was booked or paid there{astray}",
                field="applications",
                limit="nothing is booked twice",
                cure="delete there what was booked by hand, and this is booked instead; or leave it: it is the same, or"
                " what came in there is paid back",
            )


def refuse_counted_twice(tx: Tx, connection: Connection, copy: Copy) -> None:
    """Raise RejectedError where a payment that is copied may settle the copy of an invoice a second time, unseen.

    What was written off, or came off the customer's balance, is settled there by whatever a person books for it, so the
    balance does not tell.
    """
    told = _seen(connection, copy)
    if told is None:
        return
    invoice, there = copy.paper.document, told.document
    assert isinstance(invoice, Invoice)  # noqa: S101 - of others nothing was seen
    assert isinstance(there, Invoice)  # noqa: S101 - what read() gives for this kind
    if booked_for(invoice, there) > 0:
        refuse_beside(tx, connection, copy.paper, {one.id for one in told_to_origin(tx, copy.paper)})


def _booked_by_others(tx: Tx, connection: Connection, invoice_id: str, but: str) -> Decimal:
    """Of an invoice's copy, as it was last seen; what else has no copy may be just that."""
    (row,) = _here(tx, connection, [invoice_id]) or (None,)
    others = Decimal(str(row.base[OTHERS][1])) if row and OTHERS in row.base else ZERO
    if row is None or not others:
        return ZERO
    about = documents.by_ids(tx, documents.about(tx, [invoice_id]).get(invoice_id, ()))
    rows = {one.record_id: one for one in _here(tx, connection, about)}
    absent = {
        one.id: settled_by(one.document).get(invoice_id, ZERO)
        for one in about.values()
        if one.id != but and _standing(tx, connection, one, rows.get(one.id)) == "absent"
    }
    # what came in there is what a person let go of, or policy does not copy; of what is held nobody has said so
    let_go = [
        (rows.get(name), amount)
        for name, amount in absent.items()
        if name not in rows or rows[name].state == "excluded"
    ]
    came_in = total_of([came_in_of(row), -named_of(invoice_id, let_go)])
    return max(total_of([others, -total_of(list(absent.values()))]), came_in)


def base_of(balance: Balance) -> dict[str, tuple[Value, Value]]:
    """What a mapping remembers of a balance."""
    came_in = str(balance.came_in) if balance.came_in else ""
    return {OTHERS: (came_in, str(balance.others))} if balance.others else {}


# ---- who it was ------------------------------------------------------------------------------------


async def with_others(hub: Hub, connection: Connection, copies: Sequence[Copy]) -> list[Copy]:
    """The same copies; those whose balance differs with the payments that settle them and that nobody here knows."""
    if not is_compared(connection):
        return list(copies)
    strange = await hub.db.read(lambda tx: {one.mapping.id: _strange(tx, connection, one) for one in copies})
    ids = sorted({one for some in strange.values() for one in some.ids})
    if not ids:
        return list(copies)
    seen = await read_all(connection, "payment", ids)
    return [replace(one, others=_told(connection, strange[one.mapping.id], seen)) for one in copies]


class _Strange(NamedTuple):
    """Payments that settle a copy and that nobody here knows. `has_credits`: a credit of ours there is held."""

    ids: Sequence[str] = ()
    has_credits: bool = False


def _strange(tx: Tx, connection: Connection, copy: Copy) -> _Strange:
    try:
        told = _seen(connection, copy)
    except ReplyError:
        return _Strange()  # said where the copy is decided on
    if told is None or not told.settled_by:
        return _Strange()
    known = mappings.by_remote_ids(tx, connection.name, "payment", told.settled_by)
    counted = {one.id for one in told_to_origin(tx, copy.paper)}
    found = [one for one in told.settled_by if one not in known or known[one].record_id not in counted]
    balance = judged(tx, connection, copy) if found else None
    if not balance or not balance.draft:
        return _Strange()
    ours = {paper.id: paper for paper, _ in _held_of_ours(tx, connection, copy, balance.others)}
    found = [one for one in found if one not in known or known[one].record_id not in ours]
    return _Strange(found, any(one.kind == "credit_note" for one in ours.values()))


def _told(connection: Connection, strange: _Strange, seen: dict[str, Sighting | Missing]) -> tuple[str, ...]:
    """Payments in words; those that only apply credits where nothing else explains it: ours do so, too."""
    real = [one for one in strange.ids if isinstance(seen[one], Sighting)]
    shown = real or ([] if strange.has_credits else strange.ids)
    return tuple(_words(connection, one, seen[one]) for one in shown)


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


def wake_doubted(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> None:
    """What is asked about a payment or credit may be why the balances of its customer's other invoices differ."""
    if not is_compared(connection):
        return
    asked = hold_rows.listing(
        tx, connection=connection.name, reason=holds.BALANCE_DIFFERS, record_id=copy.paper.customer_id
    )
    rows = mappings.by_ids(tx, [one.subject[2:] for one in asked])
    mark_mappings(tx, hub, list(rows.values()), reason="what may settle it is held", trace=copy.row.trace)


def wake_beside(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> None:
    """It is held, and no longer on its way: what was refused beside it may not be what is booked by hand."""
    if is_compared(connection):
        for invoice_id in settled_by(copy.paper.document):
            _wake_unequal(tx, hub, connection, invoice_id, copy, "what settles its invoice beside it is held")


def wake_what_settles_it(
    tx: Tx, hub: Hub, connection: Connection, copy: Copy, base: Mapping[str, tuple[Value, Value]]
) -> None:
    """Something else is booked by hand than before: what could not be booked because of it may be now."""
    if copy.mapping.base.get(OTHERS) != base.get(OTHERS):
        _wake_unequal(tx, hub, connection, copy.paper.id, copy, "what is booked by hand changed")


def _wake_unequal(tx: Tx, hub: Hub, connection: Connection, invoice_id: str, copy: Copy, reason: str) -> None:
    papers = documents.by_ids(tx, documents.about(tx, [invoice_id]).get(invoice_id, ()))
    unequal = [
        row
        for row in _here(tx, connection, papers)
        if row.id != copy.mapping.id and not is_equal(papers[row.record_id], row)
    ]
    mark_mappings(tx, hub, unequal, reason=reason, trace=copy.row.trace)
