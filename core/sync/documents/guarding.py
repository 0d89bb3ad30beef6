"""The mass-change stop for documents: copies made and voided draw on a rolling budget, then wait for a person.

A wrong `since`, a wrong connection or a wrong filter puts thousands of invoices into somebody's books, and books have
no "undo". What was begun is finished: the stop counts the first step of a copy, and its voiding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

import msgspec

from core.model import holds
from core.model.documents import KINDS
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.money import spelled
from core.model.paper import Step
from core.model.policy import Guard
from core.store import announced, connections, documents, intents, journal, mappings, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.documents import Paper
from core.store.holds import Hold
from core.store.work import DirtyRow
from core.sync import guard
from core.sync.batch import Report
from core.sync.documents.standing import Copy
from core.sync.hub import Connection, Hub

COUNTED: Final = ("create", "void")
AT_ONCE: Final = 1000


def admit(
    tx: Tx, hub: Hub, connection: Connection, steps: Sequence[tuple[Copy, Step]], report: Report
) -> list[tuple[Copy, Step]]:
    """The steps that may be taken. What a person approved passes; too much at once is parked, and one hold asks."""
    counted = [(copy, step) for copy, step in steps if step.action in COUNTED]
    digests = {copy.row.subject: digest_of_copy(step.action, copy.paper) for copy, step in counted}
    stale = [copy.row for copy, _ in counted if guard.is_stale(copy.row, digests[copy.row.subject])]
    work.disapprove(tx, connection.name, stale)
    rejected = {copy.row.subject for copy, _ in counted if guard.is_rejected(copy.row, digests[copy.row.subject])}
    work.park(tx, connection.name, {name: digests[name] for name in rejected}, work.REJECTED, work.REJECTED)
    told = _announced(tx, connection, counted, digests) - rejected
    unseen = [
        (copy, step)
        for copy, step in counted
        if copy.row.subject not in rejected | told and not guard.is_approved(copy.row, digests[copy.row.subject])
    ]
    stopped = _stopped(tx, hub, connection, unseen, digests) if unseen else set()
    report.waiting += len(rejected) + len(stopped)
    return [
        (_as_approved(copy) if copy.row.subject in told else copy, step)
        for copy, step in steps
        if copy.row.subject not in rejected | stopped
    ]


def _announced(
    tx: Tx, connection: Connection, counted: Sequence[tuple[Copy, Step]], digests: dict[str, str]
) -> set[str]:
    """Subjects of which the plan told that was named when the connection was activated, as they still are."""
    ids = [copy.paper.id for copy, step in counted if step.action == "create"]
    known = announced.digests(tx, connection.name, ids) if ids else {}
    return {copy.row.subject for copy, _ in counted if known.get(copy.paper.id) == digests[copy.row.subject]}


def _as_approved(copy: Copy) -> Copy:
    """So that the journal's budget does not count what was told of."""
    trace = copy.row.trace
    if not trace.startswith(work.APPROVED_TRACE):
        trace = f"{work.APPROVED_TRACE}{trace}"
    return replace(copy, row=msgspec.structs.replace(copy.row, trace=trace))


def _stopped(
    tx: Tx, hub: Hub, connection: Connection, unseen: Sequence[tuple[Copy, Step]], digests: dict[str, str]
) -> set[str]:
    """Subjects that wait for the answer from now on."""
    so_far, total = begun(tx, hub, connection), documents_there(tx, connection)
    waiting: dict[str, Copy] = {}
    reasons = []
    for action in COUNTED:
        ours = [copy for copy, step in unseen if step.action == action]
        why = too_many(hub.policy.guard, action, so_far[action] + len(ours), total) if ours else ""
        # shown to a person, and not answered yet: another notice of the very same step is no approval
        asked = [one for one in ours if one.row.shown == digests[one.row.subject]]
        waiting |= {one.row.subject: one for one in (ours if why else asked)}
        reasons += [why or "asked about before, and not answered"] if why or asked else []
    if waiting:
        shown = {name: digests[name] for name in sorted(waiting)}
        fresh = [one for one in waiting.values() if one.row.shown is None]
        papers = [one.paper for one in fresh]
        guard.stop(tx, hub, connection, shown, "; ".join(dict.fromkeys(reasons)), amounts=_amounts(papers))
        if len(fresh) < len(waiting):
            # asked about before: perhaps by another question, or with another amount
            _tell_again(tx, hub, connection)
    return set(waiting)


def count_again(tx: Tx, hub: Hub, connection: Connection, rows: Sequence[DirtyRow]) -> None:
    """Of what was stopped and is not wanted any more the question tells no longer; of nothing, nobody is asked."""
    asked = [row.subject for row in rows if row.shown is not None and row.reason not in (work.APPROVED, work.REJECTED)]
    waiting = work.of_subjects(tx, connection.name, asked) if asked else {}
    if any(name not in waiting or waiting[name].shown is None for name in asked):
        _tell_again(tx, hub, connection)


def _tell_again(tx: Tx, hub: Hub, connection: Connection) -> None:
    guard.serialize_question(tx, connection)
    known = hold_rows.of_subjects(tx, connection.name, [guard.SUBJECT])
    hold = next((one for one in known.get(guard.SUBJECT, ()) if one.state == "open"), None)
    stopped = _stopped_now(tx, connection) if hold else []
    if hold is None or (not stopped and work.is_any_asked(tx, connection.name)):
        return  # those that are being looked at ask again by themselves
    drafts = [_told_again(tx, hold, stopped)] if stopped else []
    held = hold_rows.Held(subject=guard.SUBJECT, record_id=None, drafts=drafts)
    hold_rows.settle(tx, hub.ids, connection.name, [held], known, hub.clock.now())


def _told_again(tx: Tx, hold: Hold, stopped: Sequence[str]) -> HoldDraft:
    rows = mappings.by_ids(tx, [one[2:] for one in stopped if one.startswith("m:")])
    papers = documents.by_ids(tx, [row.record_id for row in rows.values() if row.kind in KINDS])
    amounts = _amounts(list(papers.values()))
    told = {name: spelled(amount, name.rsplit(" ", 1)[-1]) for name, amount in amounts.items()}
    why, still = hold.detail["problem"], [one for one in hold.detail["subjects"] if one in {*stopped}]
    sample = [*dict.fromkeys([*still, *stopped])][: guard.SHOWN]
    detail = {"problem": why, "records": len(stopped), "subjects": sample} | ({"amounts": told} if told else {})
    return HoldDraft(
        reason=holds.MASS_CHANGE, detail=detail, digest=digest_of(holds.MASS_CHANGE, why, len(stopped), told)
    )


def _stopped_now(tx: Tx, connection: Connection) -> list[str]:
    """All subjects that the answer to the question decides on."""
    found: list[str] = []
    while some := work.parked(tx, connection.name, guard.PARKED, found[-1] if found else "", AT_ONCE):
        found += some
    return found


def documents_there(tx: Tx, connection: Connection) -> int:
    """How many documents a connection has, its own ones among them."""
    return sum(mappings.count(tx, connection.name, "live", kind=kind) for kind in KINDS)


def begun(tx: Tx, hub: Hub, connection: Connection) -> dict[str, int]:
    """Copies made and voided within the window that no person has seen, those under way included."""
    since = guard.counted_from(hub, connections.get(tx, connection.name))
    name, until = connection.name, guard.counted_until(hub)
    found = {action: journal.count_of_documents(tx, name, action, since, until) for action in COUNTED}
    for kind, action, sent_at, trace in intents.open_actions(tx, connection.name):
        is_ours = kind in KINDS and action in COUNTED and sent_at >= since
        if is_ours and not trace.startswith(work.APPROVED_TRACE):
            found[action] += 1
    return found


def too_many(limits: Guard, action: str, times: int, total: int) -> str:
    """Which threshold is passed, in words; "" for none. `total` is the number of documents there."""
    if action == "create":
        most = max(limits.document_count, limits.document_share * total)
        return f"{times} documents made where {total} are" if times > most else ""
    if times > max(limits.clear_count, limits.clear_share * total):
        return f"{times} documents voided of {total}"
    if times > limits.clear_count_small and times > limits.clear_share_small * total:
        return f"{times} documents voided of {total}"
    return ""


def digest_of_copy(action: str, paper: Paper) -> str:
    """Of what a person is shown: paid meanwhile, a document is still the one that was approved."""
    return digest_of(action, paper.id, paper.document.currency, str(paper.amount))


def _amounts(papers: Sequence[Paper]) -> dict[str, Decimal]:
    """Sums by kind and currency, such as `invoice EUR`."""
    found: dict[str, Decimal] = {}
    for one in papers:
        name = f"{one.kind} {one.document.currency}"
        found[name] = found.get(name, Decimal(0)) + one.amount
    return found
