"""The mass-change stop: destructive changes draw on a rolling budget per connection, then wait for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from decimal import Decimal

import msgspec

from core.model import holds
from core.model.decide import Verdict
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.money import spelled
from core.model.policy import Guard
from core.model.values import Value, blank, is_figure, takes_away
from core.store import holds as hold_rows
from core.store import intents, journal, mappings, work
from core.store.connections import ConnectionRow
from core.store.database import Tx
from core.store.work import DirtyRow
from core.sync.hub import KIND, Connection, Hub

PARKED = "guard"
SUBJECT = "connection"
SHOWN = 20


class Spent(msgspec.Struct):
    """What a connection's lane destroyed within the window: overwritten and cleared values, one value written often,
    and objects archived.
    """

    overwrites: int = 0
    clears: int = 0
    archives: int = 0
    creates: int = 0
    same: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)

    def add(self, field: str, old: Value, new: Value) -> None:
        """Count one change of one field. Who is taken away is as good as cleared; what is reckoned is nobody's loss."""
        if is_figure(field):
            return
        if blank(new) or takes_away(field, new):
            self.clears += takes_away(field, new) or not blank(old)
            return
        if blank(old):
            return
        self.overwrites += 1
        self.same[field, repr(new)] += 1


def counted_from(hub: Hub, state: ConnectionRow) -> float:
    """Since when the budget is counted: the window, and no longer than from the last approval on."""
    return max(hub.clock.now() - hub.policy.guard.window_seconds, state.allowance_from or 0.0)


def counted_until(hub: Hub) -> float:
    """What a clock that ran ahead wrote down later than this would be counted until it gets there again."""
    return hub.clock.now() + hub.policy.guard.window_seconds


def spent(tx: Tx, hub: Hub, state: ConnectionRow) -> Spent:
    """Count the journal's window and what is under way of customers: that of other batches too."""
    since = counted_from(hub, state)
    found = Spent(creates=created(tx, hub, state))
    for entry in journal.changed_by(tx, state.name, since, counted_until(hub)):
        if entry.trace.startswith(work.APPROVED_TRACE):
            continue  # a person has seen it
        found.archives += entry.action == intents.ARCHIVE
        for field, (old, new, _rule) in entry.changes.items():
            found.add(field, old, new)
    for intent in intents.all_open(tx, state.name):
        if intent.kind != KIND or intent.sent_at < since or intent.trace.startswith(work.APPROVED_TRACE):
            continue
        found.archives += intent.action == intents.ARCHIVE
        for field, new in intent.wanted.items() if intent.action == "update" else ():
            found.add(field, intent.before.get(field), new)
    return found


def created(tx: Tx, hub: Hub, state: ConnectionRow) -> int:
    """The same of creates alone, which are counted, and not read: a first contact makes any number of them."""
    since = counted_from(hub, state)
    under_way = [
        action
        for kind, action, sent_at, trace in intents.open_actions(tx, state.name)
        if kind == KIND and sent_at >= since and not trace.startswith(work.APPROVED_TRACE)
    ]
    return journal.count_of_creates(tx, state.name, since, counted_until(hub)) + under_way.count("create")


def too_much(guard: Guard, found: Spent, total: int) -> str:
    """Which threshold of destruction is passed, in words; "" for none. `total` is the number of customers there."""
    lost = found.clears + found.archives
    is_much = lost > max(guard.clear_count, guard.clear_share * total)
    if is_much or (lost > guard.clear_count_small and lost > guard.clear_share_small * total):
        told = ((found.archives, "objects archived"), (found.clears, "values cleared"))
        return f"{' and '.join(f'{times} {what}' for times, what in told if times)} of {total} records"
    if found.overwrites > max(guard.overwrite_count, guard.overwrite_share * total):
        return f"{found.overwrites} values overwritten of {total} records"
    for (field, _value), times in found.same.most_common(1):
        if times > max(guard.same_value_count, guard.same_value_share * total):
            return f"one and the same value written to {field} of {times} of {total} records"
    return ""


def too_many_creates(guard: Guard, creates: int, total: int, announced: int) -> str:
    """More objects than the approved first plan announced, and than is usual; "" when not."""
    if creates > max(announced, guard.overwrite_count, guard.overwrite_share * total):
        return f"{creates} creates where {announced} were announced"
    return ""


def admit(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    state: ConnectionRow,
    wanted: Mapping[DirtyRow, Verdict],
    creates: Collection[DirtyRow],
) -> set[str]:
    """Subjects that must wait for a person: destructive ones, or creates. What a person approved passes."""
    rejected = {row.subject: one.digest for row, one in wanted.items() if is_rejected(row, one.digest)}
    work.park(tx, connection.name, rejected, work.REJECTED, work.REJECTED)
    decided = {row for row, one in wanted.items() if row.subject in rejected or is_approved(row, one.digest)}
    unseen = {row: one for row, one in wanted.items() if row not in decided}
    risky = {row: one for row, one in unseen.items() if one.replaced}
    new = [row for row in creates if row in unseen]
    if not risky and not new:
        return set(rejected)
    guard = hub.policy.guard
    so_far = spent(tx, hub, state) if risky else Spent(creates=created(tx, hub, state))
    for verdict in risky.values():
        for field, (old, value) in verdict.replaced.items():
            so_far.add(field, old, value)
    total = mappings.count(tx, connection.name, "live", "pending", part="")
    waiting: set[DirtyRow] = set()
    why = too_much(guard, so_far, total) if risky else ""
    if why:
        waiting |= set(risky)
    # shown to a person, and not answered yet: another notice of the very same change is no approval
    asked = {row for row in (*risky, *new) if row.shown == wanted[row].digest}
    waiting |= asked
    why = why or ("it was asked about before, and is not answered" if asked else "")
    why_new = too_many_creates(guard, so_far.creates + len(new), total, state.announced_creates) if new else ""
    if why_new:
        waiting |= set(new)
    shown = {row.subject: wanted[row].digest for row in sorted(waiting, key=lambda row: row.subject)}
    if shown:
        stop(tx, hub, connection, shown, "; ".join(filter(None, (why, why_new))))
    return {*shown, *rejected}


def is_rejected(row: DirtyRow, digest: str) -> bool:
    """Whether a person rejected exactly this change."""
    return row.reason == work.REJECTED and row.shown == digest


def is_approved(row: DirtyRow, digest: str) -> bool:
    """Whether a person approved exactly this change."""
    return row.reason == work.APPROVED and row.shown == digest


def is_stale(row: DirtyRow, digest: str) -> bool:
    """Whether a person approved another change than this one."""
    return row.reason == work.APPROVED and row.shown not in (None, digest)


def stop(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    subjects: Mapping[str, str],
    why: str,
    *,
    amounts: Mapping[str, Decimal] = {},
) -> None:
    """Park subjects (with the digest of what each would change) and ask a person.

    Once per connection; more of the same joins the same hold. `amounts`: of documents that were not shown before, to
    be added to those that the hold tells, such as "invoice EUR".
    """
    now = hub.clock.now()
    serialize_question(tx, connection)
    known = hold_rows.of_subjects(tx, connection.name, [SUBJECT])
    open_before = [one for one in known.get(SUBJECT, ()) if one.state == "open"]
    shown = list(open_before[0].detail.get("subjects", [])) if open_before else []
    work.park(tx, connection.name, subjects, PARKED)
    sample = [*dict.fromkeys([*shown, *subjects])][:SHOWN]
    records = work.count_parked(tx, connection.name, PARKED)
    detail: dict[str, object] = {"problem": why, "records": records, "subjects": sample}
    told = dict(open_before[0].detail.get("amounts", {})) if open_before else {}
    told |= {
        name: spelled(Decimal(told.get(name, 0)) + amount, name.rsplit(" ", 1)[-1]) for name, amount in amounts.items()
    }
    if told:
        detail["amounts"] = told
    # more that waits is another question: nobody approves what they have not seen
    digest = digest_of(holds.MASS_CHANGE, why, records, told)
    draft = HoldDraft(reason=holds.MASS_CHANGE, detail=detail, digest=digest)
    held = hold_rows.Held(subject=SUBJECT, record_id=None, drafts=[draft])
    hold_rows.settle(tx, hub.ids, connection.name, [held], known, now)


async def end_question(hub: Hub, connection: Connection, rows: Collection[DirtyRow]) -> None:
    """Close the question once nothing that it is about waits any more: put back meanwhile, say, or nobody's by now.

    `rows`: what was looked at just now; only of what a person was shown can it be the last.
    """
    # an answered one is no question any more: to look for others with each of its batches would cost a scan of all
    if any(row.shown and row.reason not in (work.APPROVED, work.REJECTED) for row in rows):
        await hub.db.run(lambda tx: end_if_moot(tx, hub, connection))


def serialize_question(tx: Tx, connection: Connection) -> None:
    """Batches fly side by side: one must not close the question that another one is just adding to."""
    tx.serialize(f"mass change {connection.name}")


def end_if_moot(tx: Tx, hub: Hub, connection: Connection) -> None:
    """Close the question, if nothing that waits is asked about."""
    serialize_question(tx, connection)
    if not work.is_any_asked(tx, connection.name):
        known = hold_rows.of_subjects(tx, connection.name, [SUBJECT])
        nothing = hold_rows.Held(subject=SUBJECT, record_id=None, drafts=[])
        hold_rows.settle(tx, hub.ids, connection.name, [nothing], known, hub.clock.now())
