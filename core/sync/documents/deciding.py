"""What is to be done about one copy now: decided, and nothing touched. A run acts on it, a plan counts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.errors import BugError, ByHandError, RejectedError, ReplyError
from core.model import holds
from core.model.documents import settled_by
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.paper import Step
from core.store import documents
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.documents import Paper
from core.sync.documents import by_hand
from core.sync.documents.balances import Balance, judged, refuse_counted_twice, refuse_second
from core.sync.documents.foreseeing import Foresight
from core.sync.documents.lost import asked_about
from core.sync.documents.offering import RECREATED, is_dropped
from core.sync.documents.standing import Copy, named_of
from core.sync.documents.wanting import CUSTOMER, ORIGIN, Later, ToCome, wanted_of
from core.sync.hub import Connection, Hub

_ASKED: Final = {
    holds.DOCUMENT_GONE: "has it no more: whether it counts is asked",
    holds.DOCUMENT_CHANGED: "has it otherwise: whether that counts is asked",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """About one copy: the next write; or what it waits for; or what a person is asked; or why it is not understood.

    None of these: nothing is to be written. Then, and beside a question, `balance` is how the copy's balance stands,
    None while that cannot be told; `is_over`: the document was void, or policy dropped it, before there was a copy, and
    there will be none.
    """

    step: Step | None = None
    later: Later | None = None
    draft: HoldDraft | None = None
    trouble: ReplyError | None = None
    balance: Balance | None = None
    is_over: bool = False
    stays_asked: bool = False
    """Its balance was asked about already, and is looked at again when it can be told."""


def verdict_on(tx: Tx, hub: Hub, connection: Connection, copy: Copy, foresight: Foresight) -> Verdict:
    """Decide on one copy as it was read."""
    if connection.documents is None:
        raise BugError(f"{connection.manifest.title} has no documents")
    if copy.mapping.remote_id is None and _is_over(tx, hub, connection, copy):
        return Verdict(is_over=True)
    try:
        _wait_for_answer(tx, copy)
        wanted = wanted_of(tx, hub, connection, copy, foresight.to_come)
        refuse_second(tx, connection, copy)
        refuse_counted_twice(tx, connection, copy)
        step = connection.documents.step(wanted, copy.raw)
        if step is not None and step.adds:
            _refuse_credit_of_void(tx, copy.paper)
        foresight.refuse_unsettled(copy)
        balance = judged(tx, connection, copy) if step is None else None
    except Later as wait:
        draft = _asked_meanwhile(tx, hub, connection, copy) if wait.of == CUSTOMER and copy.raw is not None else None
        return Verdict(later=wait) if draft is None else Verdict(draft=draft)
    except RejectedError as error:
        return Verdict(draft=refusal(error, copy.paper), balance=_balance_beside(tx, connection, copy))
    except ReplyError as error:
        return Verdict(trouble=error)
    is_asked = step is None and balance is None and _is_off_balance(tx, connection, copy)
    return Verdict(step=step, balance=balance, stays_asked=is_asked)


def _asked_meanwhile(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> HoldDraft | None:
    """What is odd about a copy whose customer has no object there: it is compared as a copy of whom it names.

    Nothing is written to it, and whoever voided it there would hear of nothing.
    """
    if connection.documents is None or copy.raw is None:
        return None
    try:
        named = connection.documents.read(copy.paper.kind, copy.raw).document.customer
        if not named:
            return None  # that one is gone, and took the tie along
        wanted = wanted_of(tx, hub, connection, copy, ToCome(customers={copy.paper.customer_id: named}))
        connection.documents.step(wanted, copy.raw)
    except RejectedError as error:
        return refusal(error, copy.paper)
    except (Later, ReplyError):
        return None
    return None


def _is_over(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> bool:
    is_asked_for = copy.mapping.note == RECREATED
    return copy.paper.document.status == "void" or (not is_asked_for and is_dropped(tx, hub, connection, copy.paper))


def _refuse_credit_of_void(tx: Tx, paper: Paper) -> None:
    """Raise RejectedError for a credit of what is not owed any more: in the books it would be the customer's to spend.

    Stripe lets a credited invoice be voided, and its credit notes stand.
    """
    settled = settled_by(paper.document) if paper.kind == "credit_note" else ()
    for invoice in documents.by_ids(tx, settled).values():
        if invoice.document.status == "void":
            raise RejectedError(
                f"its invoice {invoice.called} is void: nothing of that is owed, so that nothing is credited",
                field="invoice",
                cure="leave it; if a copy of it is there, void that by hand first",
            )


def _wait_for_answer(tx: Tx, copy: Copy) -> None:
    """Raise Later for a new copy of what its origin may have taken back, or has otherwise by now."""
    why = asked_about(tx, [copy.paper]).get(copy.paper.id) if copy.raw is None else None
    if why is not None:
        raise Later(f"its origin {copy.paper.origin} {_ASKED[why]}", ORIGIN)


def _balance_beside(tx: Tx, connection: Connection, copy: Copy) -> Balance | None:
    """How much of a copy is booked by hand is looked at whatever else is asked of it; None where it cannot be told."""
    try:
        return judged(tx, connection, copy)
    except ReplyError:
        return None


def _is_off_balance(tx: Tx, connection: Connection, copy: Copy) -> bool:
    known = hold_rows.of_subjects(tx, connection.name, [copy.subject]).get(copy.subject, ())
    return any((one.state, one.reason) == ("open", holds.BALANCE_DIFFERS) for one in known)


def refusal(error: RejectedError, paper: Paper) -> HoldDraft:
    """A hold for what the provider, or the translation, does not take."""
    if isinstance(error, ByHandError):
        return by_hand.asked(error, paper)
    detail: dict[str, object] = {
        "document": paper.kind,
        "number": paper.called,
        "problem": error.problem,
        "field": error.field or "",
        "limit": error.limit or "",
        "cure": error.cure or "",
    }
    return HoldDraft(reason=holds.REJECTED, detail=detail, digest=digest_of(holds.REJECTED, str(error), paper.digest))


def gone(connection: Connection, copy: Copy) -> HoldDraft:
    """A copy that was there and is not any more."""
    remote_id, title = copy.mapping.remote_id, connection.manifest.title
    detail: dict[str, object] = {
        **named_of(copy.paper),
        "problem": f"its copy {remote_id} is not there any more in {title}",
        "cure": f"recreate: it is made anew; unlink: it, and what settles it, stay without a copy in {title}",
        "remote_id": remote_id,
        "survivor": None,
    }
    return HoldDraft(reason=holds.REMOTE_GONE, detail=detail, digest=digest_of(holds.REMOTE_GONE, remote_id))
