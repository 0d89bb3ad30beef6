"""Money that went back, and of which the origin does not tell what document it concerns: a person is asked, once.

Whoever books it answers so. What was booked stands in the base of the origin's mapping, as it does in that of a copy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from core.model import holds
from core.model.documents import Document, references
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.money import ZERO, spelled, total_of
from core.model.paper import RemoteDocument, Untold
from core.store import documents, mappings, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.documents import Paper
from core.store.holds import Held, Hold
from core.store.mappings import MappingRow
from core.sync.documents import by_hand
from core.sync.documents.standing import named_of
from core.sync.hub import Connection, Hub

CURE = "where the invoice is booked that it was for, book it by hand, then answer `booked`"
TOLD = "what was booked by hand of it is told by its payments now, or did not go back"
UNDO = "take back what was booked by hand, then answer `booked`"


def as_told(remote: RemoteDocument, document: Document, old: Document | None) -> Document:
    """The document, what is not told of it being as it was told last."""
    if remote.untold is None or old is None:
        return document
    return msgspec.structs.replace(document, **{remote.untold.field: getattr(old, remote.untold.field)})


def question(tx: Tx, connection: Connection, remote: RemoteDocument, paper: Paper, row: MappingRow) -> HoldDraft | None:
    """What a person is to book, or to take back; None for nothing, and where another part of it is asked about."""
    own = {name: one for name, one in by_hand.booked(row).items() if name != by_hand.SETTLED}
    if remote.untold is None:
        # it is told by now, in the documents themselves, or did not go back after all
        booked = next(((name, one) for name, one in own.items() if one), None)
        return None if booked is None else _draft(paper, booked[0], -booked[1], ZERO, TOLD, [])
    others = _others(tx, connection, paper, remote.untold)
    rows = [row for some in mappings.of_records(tx, [one.id for one in others]).values() for row in some]
    rows = [one for one in rows if one.connection == connection.name]
    field, money = remote.untold.field, remote.untold.called
    if _is_asked(tx, connection, rows, money):
        return None
    left = total_of([remote.untold.amount, -max(by_hand.booked_of(one, field, money) for one in (row, *rows))])
    invoices = documents.by_ids(tx, [name for one in (paper, *others) for name in references(one.document)])
    names = sorted(one.called for one in invoices.values())
    draft = _draft(paper, field, left, remote.untold.amount, remote.untold.problem, names)
    return msgspec.structs.replace(draft, detail={**draft.detail, by_hand.MONEY: money}) if left else None


def named_invoices(hold: Hold) -> list[str]:
    """What the invoices are called that a question names."""
    named = hold.detail.get("invoices")
    return [str(one) for one in named] if isinstance(named, list) else []


def settle(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    held: Held,
    known: Mapping[str, Sequence[Hold]],
    *,
    reason: str = holds.UNTOLD,
) -> None:
    """Let exactly these questions stand about a document at its origin; `known` holds were read in this transaction.

    `reason`: of the question that names what to book, and is another one with every amount.
    """
    wanted = {one.digest for one in held.drafts}
    standing = [one for one in known.get(held.subject, ()) if one.state == "open" and one.reason == reason]
    if any(one.digest not in wanted for one in standing):
        # a question of its own: who booked what the old one named must not be taken to have booked this
        nothing = msgspec.structs.replace(held, drafts=[])
        hold_rows.settle(tx, hub.ids, connection.name, [nothing], known, hub.clock.now())
        known = {}
    hold_rows.settle(tx, hub.ids, connection.name, [held], known, hub.clock.now())


def _others(tx: Tx, connection: Connection, paper: Paper, untold: Untold) -> list[Paper]:
    """The other documents that the same money was for, or other money of its customer's that is called the same."""
    # all of them: one that is left out may be the one that is asked about, or that it was booked for
    found = documents.numbered(tx, [untold.of])
    alike = (paper.kind, connection.name, paper.customer_id)
    return [one for one in found if (one.kind, one.origin, one.customer_id) == alike and one.id != paper.id]


def _is_asked(tx: Tx, connection: Connection, rows: Sequence[MappingRow], money: str) -> bool:
    known = hold_rows.of_subjects(tx, connection.name, [work.mapping_subject(one.id) for one in rows])
    asked = [one for some in known.values() for one in some if (one.state, one.reason) == ("open", holds.UNTOLD)]
    return any(one.detail.get(by_hand.MONEY, money) == money for one in asked)


def _draft(
    paper: Paper, field: str, left: Decimal, covers: Decimal, problem: str, invoices: Sequence[str]
) -> HoldDraft:
    currency = paper.document.currency
    told = f"{spelled(abs(left), currency)} {currency}: {problem}"
    detail: dict[str, object] = {
        **named_of(paper),
        "problem": told,
        "field": field,
        "amount": str(left),
        "currency": currency,
        "covers": str(covers),
        "invoices": list(invoices),
        "cure": CURE if left > 0 else UNDO,
    }
    return HoldDraft(
        reason=holds.UNTOLD, detail=detail, digest=digest_of(holds.UNTOLD, field, str(left), str(covers), currency)
    )
