"""Whether what an invoice says is settled of it is the sum of the payments and credit notes that its origin has.

A tie-out tells at once; a person is asked when nothing of the invoice has moved for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from core.errors import InvalidInputError
from core.model import holds as reasons
from core.model.documents import Invoice, settled_by
from core.model.holds import HoldDraft
from core.model.lifecycle import is_final
from core.model.merge import digest_of
from core.model.money import ZERO, spelled, total_of
from core.store import connections, documents, holds, mappings, work
from core.store.database import Tx
from core.store.documents import Paper
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.sync.documents import by_hand
from core.sync.documents.balances import held_astray
from core.sync.documents.lost import asked_about
from core.sync.documents.standing import named_of
from core.sync.documents.untold import settle
from core.sync.hub import Connection, Hub

SETTLING: Final = frozenset({"payment", "credit_note"})
"""Both must be taken from an origin: what one of them settles, some origins count with the other."""


QUIET_SECONDS: Final = 3600.0
CHANGED_SECONDS: Final = 3 * 86_400.0
"""What had not changed for so long when it was last looked for was asked about then, or adds up."""
LOOKED_AT: Final = "unaccounted_looked_at:"
"""When that was, in the database's notes, of each origin: it may have been weeks before."""
MOST: Final = 10_000


class Unaccounted(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice of which more, or less, is settled at its origin than all that settles it there comes to.

    What a person has booked by hand of it is part of `known`.

    `settled`: paid and credited as its origin says, but for what came off a balance there; `known`: the sum of its
    payments and credit notes that were made or copied there. What of them is still to be copied there is a difference
    of its own.
    """

    connection: str
    id: str
    number: str
    currency: str
    settled: str
    known: str
    why: str
    cure: str


def unaccounted(tx: Tx, hub: Hub, papers: Sequence[Paper]) -> list[Unaccounted]:
    """Those of these invoices. Where policy takes no payments, or no credit notes, from the origin, nothing is told.

    Nor of what is not there any more: a person has said what becomes of it.
    """
    gone = {name for name, row in _own(tx, papers).items() if row.state == "excluded"}
    told = [one for one in papers if one.id not in gone and _is_told(hub, one)]
    known, by_hands = _known(tx, told), _booked(tx, told)
    found = []
    for paper in told:
        bill, sums = paper.document, total_of([known[paper.id], by_hands[paper.id]])
        if not isinstance(bill, Invoice):
            continue
        settled = total_of([bill.paid, bill.credited, -bill.by_balance])
        if settled == sums:
            continue
        title = hub.connections[paper.origin].manifest.title
        why, cure = _more(title, paper.origin) if settled > sums else _less(title, paper.origin)
        found.append(
            Unaccounted(
                connection=paper.origin,
                id=paper.id,
                number=paper.called,
                currency=bill.currency,
                settled=spelled(settled, bill.currency),
                known=spelled(sums, bill.currency),
                why=why,
                cure=cure,
            )
        )
    return found


def require_current(tx: Tx, hub: Hub, hold: Hold, row: MappingRow) -> None:
    """Refuse to believe that the difference was booked by hand if by now there is another one, or none.

    The question stands until `ask` looks at it again; meanwhile the payment may have come, and be copied to the books.
    Raises InvalidInputError.
    """
    if hold.reason != reasons.UNACCOUNTED:
        return
    paper = documents.by_ids(tx, [row.record_id])[row.record_id]
    odd = unaccounted(tx, hub, [paper])
    left = total_of([Decimal(odd[0].settled), -Decimal(odd[0].known)]) if odd else ZERO
    if left != Decimal(str(hold.detail["amount"])) and _is_told(hub, paper):
        currency = paper.document.currency
        asked = hold.detail["amount"]
        problem = f"{spelled(left, currency)} {currency} of it is settled by nothing by now, and not {asked}"
        cure = "undo what was done for this question, then answer `retry`: what is left is asked about anew"
        raise InvalidInputError(problem, field="choice", cure=cure)


def ask(tx: Tx, hub: Hub, connection: Connection, trace: str) -> None:
    """Let one question stand about each invoice of this origin that does not add up; the others' are moot."""
    here, reason = connection.name, reasons.UNACCOUNTED
    asked = holds.listing(tx, connection=here, reason=reason, limit=MOST)
    asked += holds.listing(tx, connection=here, reason=reason, state="answered", answer="retry", limit=MOST)
    ids = {row.record_id for row in mappings.by_ids(tx, [one.subject[2:] for one in asked]).values()}
    ids |= set(documents.touched(tx, connection.name, _looked_at(tx, hub, connection) - CHANGED_SECONDS))
    papers = {name: one for name, one in documents.by_ids(tx, ids).items() if one.deleted_at is None}
    final = [one for one in papers.values() if is_final(one.document)]
    odd = {one.id: one for one in unaccounted(tx, hub, final)}
    asked_already = _asked_already(tx, [papers[name] for name in odd])
    odd = {name: one for name, one in odd.items() if name not in asked_already}
    resting = _resting(tx, hub, [papers[name] for name in odd])
    rows = _own(tx, papers.values())
    known = holds.of_subjects(tx, connection.name, [work.mapping_subject(row.id) for row in rows.values()])
    for name, row in rows.items():
        there = [one for one in known.get(work.mapping_subject(row.id), ()) if one.state == "open"]
        if any(one.reason != reasons.UNACCOUNTED for one in there) or row.state != "live":
            continue  # something else is asked of it first
        if name not in odd or name in resting:
            subject = work.mapping_subject(row.id)
            drafts = [_draft(tx, connection, papers[name], odd[name], row)] if name in odd else []
            wanted = holds.Held(subject=subject, record_id=papers[name].customer_id, drafts=drafts, trace=trace)
            settle(tx, hub, connection, wanted, {subject: there}, reason=reasons.UNACCOUNTED)


def _is_told(hub: Hub, paper: Paper) -> bool:
    """Whether policy takes from an invoice's origin whatever may settle it there."""
    origin = hub.connections.get(paper.origin)
    return origin is not None and SETTLING.issubset(origin.policy.documents.originates)


def _looked_at(tx: Tx, hub: Hub, connection: Connection) -> float:
    """When all of it was looked at before; it is again now."""
    now = hub.clock.now()
    told = connections.meta(tx, LOOKED_AT + connection.name)
    connections.put_meta(tx, LOOKED_AT + connection.name, str(now))
    return now if told is None else min(now, float(told))


def _draft(tx: Tx, connection: Connection, paper: Paper, odd: Unaccounted, row: MappingRow) -> HoldDraft:
    left = total_of([Decimal(odd.settled), -Decimal(odd.known)])
    covers = total_of([left, by_hand.booked(row).get(by_hand.SETTLED, ZERO)])
    title, currency = connection.manifest.title, odd.currency
    ours = held_astray(tx, connection, paper.customer_id) if left > 0 else []
    first = "do first what that one's hold asks for; if it was not that, " if ours else ""
    problem = f"{odd.settled} {currency} of it is settled in {title}, {odd.known} {currency} is known of"
    detail: dict[str, object] = {
        **named_of(paper),
        "problem": "; ".join([problem, *ours]),
        "field": by_hand.SETTLED,
        "amount": spelled(left, currency),
        "covers": spelled(covers, currency),
        "limit": f"{odd.known} {currency}",
        "cure": f"{first}{odd.cure}; what is booked by hand, answer `booked`",
    }
    digest = digest_of(reasons.UNACCOUNTED, odd.settled, odd.known, *([ours] if ours else []))
    return HoldDraft(reason=reasons.UNACCOUNTED, detail=detail, digest=digest)


def _resting(tx: Tx, hub: Hub, bills: Sequence[Paper]) -> set[str]:
    """Those of which nothing has moved for a while: an invoice and what settles it are told of one after the other."""
    until = hub.clock.now() - QUIET_SECONDS
    about = documents.about(tx, [one.id for one in bills])
    papers = documents.by_ids(tx, {name for some in about.values() for name in some})
    rows = mappings.of_records(tx, papers)
    found = set()
    for bill in bills:
        some = [papers[name] for name in about.get(bill.id, ())]
        at_origin = [row for one in some for row in rows.get(one.id, ()) if row.connection == bill.origin]
        is_moving = any(row.remote_id is None and row.state == "pending" for row in at_origin)
        if not is_moving and all(one.updated_at <= until for one in (bill, *some)):
            found.add(bill.id)
    return found


def _asked_already(tx: Tx, bills: Sequence[Paper]) -> set[str]:
    """Those whose payments or credits are asked about where they were made: with that answer, their sums are others."""
    about = documents.about(tx, [one.id for one in bills])
    asked = asked_about(tx, documents.by_ids(tx, {name for some in about.values() for name in some}).values())
    return {name for name, some in about.items() if not asked.keys().isdisjoint(some)}


def _own(tx: Tx, bills: Iterable[Paper]) -> dict[str, MappingRow]:
    """Each invoice's mapping at its origin."""
    origins = {one.id: one.origin for one in bills}
    rows = mappings.of_records(tx, origins)
    return {name: row for name, some in rows.items() for row in some if row.connection == origins[name]}


def _booked(tx: Tx, bills: Sequence[Paper]) -> dict[str, Decimal]:
    """What a person has booked of each, in the place of what nobody tells of."""
    rows = _own(tx, bills)
    told = {name: by_hand.booked(row).get(by_hand.SETTLED, ZERO) for name, row in rows.items()}
    return {one.id: told.get(one.id, ZERO) for one in bills}


def _known(tx: Tx, bills: Sequence[Paper]) -> dict[str, Decimal]:
    """How much of each invoice is settled by what is at its origin."""
    about = documents.about(tx, [one.id for one in bills])
    papers = documents.by_ids(tx, {name for some in about.values() for name in some})
    rows = mappings.of_records(tx, papers)
    there = {(row.record_id, row.connection) for some in rows.values() for row in some if _is_made(row)}
    return {
        bill.id: total_of(
            [
                settled_by(one.document).get(bill.id, ZERO)
                for one in (papers[name] for name in about.get(bill.id, ()))
                if one.deleted_at is None and (one.origin == bill.origin or (one.id, bill.origin) in there)
            ]
        )
        for bill in bills
    }


def _is_made(row: MappingRow) -> bool:
    return row.remote_id is not None and row.state != "gone"


def _more(title: str, origin: str) -> tuple[str, str]:
    cure = (
        f"`accord sync {origin} --kind payments`; what was marked as paid there without a payment is booked nowhere:"
        " record the payment there instead, or book it by hand"
    )
    return f"more of it is settled in {title} than the payments and credit notes known of there come to", cure


def _less(title: str, origin: str) -> tuple[str, str]:
    cure = f"`accord sync {origin} --kind payments`; then look in {title} which payment or credit was taken off it"
    return f"the payments and credit notes known of it in {title} come to more than is settled there", cure
