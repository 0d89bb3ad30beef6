"""The deciding transaction of a batch: observations, registry writes, base, journal, holds and intents together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from core.model import holds
from core.model.decide import Verdict
from core.model.family import PARENT, Kin, without
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.store import connections, customers, failures, intents, journal, mappings, observations, work
from core.store import holds as hold_rows
from core.store.customers import Customer
from core.store.database import Tx
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.store.work import DirtyRow
from core.sync import gone, guard
from core.sync.adopt import adopt
from core.sync.batch import Batch, Case, Found, Report, Seen, as_of_now
from core.sync.creating import create_cases
from core.sync.failing import dealt_with, record_trouble
from core.sync.family import FAMILIES, Family, closes_circle, look_at_refused
from core.sync.farewells import look_again
from core.sync.freeze import intent_for
from core.sync.grouping import Outgoing, in_rounds
from core.sync.hub import KIND, Connection, Hub
from core.sync.outcome import Outcome
from core.sync.parts import look_at_whole, placed
from core.sync.refusals import refusal_in
from core.sync.registry import Moved, fan_out
from core.sync.remembered import suffices
from core.sync.taken import look_again_at_freed, look_again_at_waiting, look_again_without
from core.sync.verdicts import FLIP_WINDOW_SECONDS, pull_entry, pulled, verdict_on, with_base

EXTERNAL_ID_FIELD = "external_customer_id"
QUIET_VERSIONS = 5
"""A customer that changed fewer times than this cannot be flapping; spares the journal look-up."""


def settle(tx: Tx, hub: Hub, connection: Connection, batch: Batch, seen: Seen, report: Report) -> list[list[Outgoing]]:
    """Decide and commit a batch; returns the intents that are to be sent now, in rounds."""
    now = hub.clock.now()
    dealt_with(tx, connection, batch.done)
    fresh = [one.observation for one in seen.there.values() if not one.is_remembered]
    observations.put(tx, connection.name, KIND, fresh, now)
    look_again(tx, hub, connection, batch.unmapped)
    _record_unreadable(tx, hub, connection, batch, seen, report)
    if batch.state.state != "active":
        _keep_for_activation(tx, connection, batch, seen)
        return []
    if any(one.observation.remote.parent_id for one in seen.there.values()):
        tx.serialize(FAMILIES)
    outcome = Outcome()
    mappings.lock(tx, [mapping.id for _, mapping in (*batch.live.values(), *batch.pending)])
    gone.settle_gone(tx, hub, connection, batch, seen)
    cases = _live_cases(tx, hub, connection, batch, seen)
    cases += create_cases(tx, hub, connection, batch, outcome)
    _first_contact(tx, hub, connection, batch, seen, report, outcome)
    cases = _as_approved(tx, connection, _still_to_create(tx, batch, cases))
    creates = [case.row for case in cases if case.found is None]
    parked = guard.admit(tx, hub, connection, batch.state, {case.row: case.verdict for case in cases}, creates)
    # in one order at every connection: two lanes that wait for each other's customers would wait for ever
    for case in sorted(cases, key=lambda case: case.customer.id):
        if case.row.subject not in parked:
            _settle_case(tx, hub, connection, case, outcome, report)
    rounds = in_rounds(connection, hub.ids, outcome.intents)
    outcome.intents = [one for some in rounds for one in some]
    _commit(tx, hub, connection, outcome)
    report.held += sum(bool(one.drafts) for one in outcome.held)
    return rounds


def _keep_for_activation(tx: Tx, connection: Connection, batch: Batch, seen: Seen) -> None:
    """An observing connection is looked at, and planned for; what its mappings need is done when it is activated."""
    if connections.get(tx, connection.name).state != "observing":
        return  # activated, or stopped, during the read: still dirty
    readable = [row for name, (row, _) in batch.live.items() if name not in seen.trouble]
    work.keep(tx, connection.name, [*readable, *(row for row, _ in batch.pending)], work.OBSERVED)
    work.clear(tx, connection.name, _unmapped(batch, seen))


def _still_to_create(tx: Tx, batch: Batch, cases: Sequence[Case]) -> Sequence[Case]:
    """Without customers to which an object of this very batch was linked just now: those are sorted anew."""
    if not batch.unmapped:
        return cases
    rows = mappings.by_ids(tx, [case.mapping.id for case in cases if case.found is None])
    return [case for case in cases if case.found or rows[case.mapping.id].state == "pending"]


def _as_approved(tx: Tx, connection: Connection, cases: Sequence[Case]) -> list[Case]:
    """Without those whose approved change has become another one: that one is looked at anew, as anybody's."""
    # nothing left to write: it was carried out
    stale = [case for case in cases if guard.is_stale(case.row, case.verdict.digest) and not case.verdict.is_quiet]
    work.disapprove(tx, connection.name, [case.row for case in stale])
    return [case for case in cases if case not in stale]


def _unmapped(batch: Batch, seen: Seen) -> list[DirtyRow]:
    return [row for name, row in batch.unmapped.items() if name not in seen.trouble]


def _record_unreadable(tx: Tx, hub: Hub, connection: Connection, batch: Batch, seen: Seen, report: Report) -> None:
    rows = {name: row for name, (row, _) in batch.live.items()} | dict(batch.unmapped)
    record_trouble(tx, hub, connection, {rows[name]: trouble for name, trouble in seen.trouble.items()})
    report.failed += len(seen.trouble)


def _first_contact(
    tx: Tx, hub: Hub, connection: Connection, batch: Batch, seen: Seen, report: Report, outcome: Outcome
) -> None:
    """Objects without a mapping: up the ladder, but only once the connection was listed completely."""
    # mapped since the batch was sorted: by an open create that was resolved, or by a customer of this very batch
    mapped = {*mappings.by_remote_ids(tx, connection.name, KIND, batch.unmapped)}
    mapped |= {one.remote_id for one in outcome.mappings if one.remote_id is not None}
    there = [one.observation for name, one in seen.there.items() if name in batch.unmapped and name not in mapped]
    look_again_at_waiting(tx, hub, connection, [one.remote_id for one in there], "")
    # taken off first: adopt may mark one again that must be looked at later
    dealt_with(tx, connection, [row for row in _unmapped(batch, seen) if row.subject[2:] not in mapped])
    if there and batch.state.swept_at is not None:
        trace = next(iter(batch.unmapped.values())).trace
        counts = adopt(tx, hub, connection, there, trace, _approved(batch.unmapped))
        report.entered += counts.get("enter", 0)
        report.linked += counts.get("link", 0)
        report.held += counts.get("hold", 0)


def _approved(rows: Mapping[str, DirtyRow]) -> dict[str, str]:
    return {name: row.shown for name, row in rows.items() if row.reason == work.APPROVED and row.shown}


def _live_cases(tx: Tx, hub: Hub, connection: Connection, batch: Batch, seen: Seen) -> list[Case]:
    rows = {name: pair for name, pair in batch.live.items() if name in seen.there}
    current = as_of_now(tx, [mapping for _, mapping in rows.values()])
    held = hold_rows.of_subjects(tx, connection.name, [work.mapping_subject(one) for one in current])
    since = hub.clock.now() - FLIP_WINDOW_SECONDS
    lively = [one.id for _, one in current.values() if one.version > QUIET_VERSIONS]
    recent = journal.since(tx, lively, since, since + 2 * FLIP_WINDOW_SECONDS)
    remotes = [seen.there[name].observation.remote for name in rows]
    merged = gone.merged_customers(tx, connection, remotes)
    family = Family(tx, connection, [one for _, one in current.values()], remotes)
    cases = []
    for name, (row, old) in rows.items():
        if old.id not in current:
            dealt_with(tx, connection, [row])
            continue
        mapping, customer = current[old.id]
        if mapping.remote_id != name or mapping.state == "excluded":
            continue  # linked elsewhere, or let go, during the read: still dirty, sorted anew
        found, holds_here = seen.there[name], held.get(work.mapping_subject(mapping.id), ())
        mapping = gone.with_survivor(tx, mapping, found.observation.remote)
        kin = _kin_of(family, customer, found, seen)
        verdict = verdict_on(hub, connection, customer, mapping, kin, holds_here, recent.get(customer.id, ()))
        if _parent_unseen(kin, verdict, seen):
            _read_with_parent(tx, hub, connection, row, str(kin.parent_id))
            continue
        # a part is known by its own mapping: whose external id it carries says nothing
        extra, claims_id = ([], False) if mapping.part else _external_id_moved(customer, found, holds_here)
        if name in merged:
            # whose values these are is not known: nothing flows before a person has said so
            verdict, extra, claims_id = Verdict(), [merged[name]], False
        if found.is_remembered and (extra or claims_id or not suffices(found, row, verdict)):
            # something came in between, or was asked before: this time it is read
            work.mark(tx, connection.name, [row.subject], reason=row.reason, trace=row.trace, now=since)
            continue
        cases.append(
            Case(
                row,
                mapping,
                customer,
                found,
                kin,
                verdict,
                extra,
                frozenset(hold_rows.answers(holds_here)),
                refusal_in(holds_here),
                claims_id,
            )
        )
    return cases


def _kin_of(family: Family, customer: Customer, found: Found, seen: Seen) -> Kin:
    kin = family.kin(customer, found.observation.remote)
    if kin.remote and not seen.above.get(kin.parent_id or "", True):
        # nobody can say whether its parent is still there: everything else of it flows
        return msgspec.structs.replace(kin, remote=without(kin.remote))
    return kin


def left_parents(tx: Tx, connection: Connection, batch: Batch, seen: Seen) -> list[str]:
    """Objects that were parents of objects of this batch and seem to be so no more: read after their children."""
    alone = {
        name: mapping
        for name, (_, mapping) in batch.live.items()
        if name in seen.there
        and seen.there[name].observation.remote.parent_id is None
        and mapping.base.get(PARENT, (None, None))[0] is not None
    }
    owners = customers.by_ids(tx, {one.record_id for one in alone.values()})
    family = Family(tx, connection, owners.values())
    found = {
        family.kin(owners[one.record_id], seen.there[name].observation.remote).parent_id for name, one in alone.items()
    }
    return sorted(one for one in found if one is not None and not _is_read(one, seen))


def _is_read(parent_id: str, seen: Seen) -> bool:
    found = seen.there.get(parent_id)
    return found is not None and not found.is_remembered


def _parent_unseen(kin: Kin, verdict: Verdict, seen: Seen) -> bool:
    """The parent seems to be taken off, and its object was not read: it may have gone, and taken the tie along."""
    if PARENT not in verdict.pull or verdict.pull[PARENT] is not None or kin.parent_id is None:
        return False
    return not _is_read(kin.parent_id, seen) and kin.parent_id not in seen.above


def _read_with_parent(tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, parent_id: str) -> None:
    """Both in one batch, a moment later: a parent that is gone is known to be so before its children are judged."""
    until = hub.clock.now() + hub.timing.first_back_off
    # an approval outlives the wait
    why = None if row.reason == work.APPROVED else "its parent seems to be taken off there"
    work.postpone(tx, connection.name, {row.subject: until}, is_attempt=False, reason=why)
    above = mappings.by_remote_ids(tx, connection.name, KIND, [parent_id])
    subjects = {work.mapping_subject(one.id): until for one in above.values()}
    work.mark(
        tx, connection.name, subjects, reason="a child of it", trace=row.trace, now=hub.clock.now(), not_before=subjects
    )


def _external_id_moved(customer: Customer, found: Found, held: Sequence[Hold]) -> tuple[list[HoldDraft], bool]:
    """Ask when the object's key is another one (it is never followed); and whether ours shall be written over it."""
    theirs = found.observation.remote.external_id
    if theirs in (None, customer.external_id):
        return [], False
    digest = digest_of(holds.EXTERNAL_ID_CHANGED, customer.external_id, theirs)
    answer = hold_rows.answers(held).get(EXTERNAL_ID_FIELD)
    if answer and answer.digest == digest:
        return [], answer.choice == "registry"
    detail: dict[str, object] = {"registry": customer.external_id, "remote": theirs}
    reason = holds.EXTERNAL_ID_CHANGED
    return [HoldDraft(reason=reason, field=EXTERNAL_ID_FIELD, detail=detail, digest=digest)], False


def _settle_case(tx: Tx, hub: Hub, connection: Connection, case: Case, outcome: Outcome, report: Report) -> None:
    """Registry first (compare-and-set), then the intent for what shall be written there."""
    now = hub.clock.now()
    after = pulled(case.customer, case.verdict, connection, now)
    if after is not case.customer:
        if not _replaced(tx, case, after):
            return  # another case, or another lane, was faster: still dirty, decided again
        outcome.changed.append(Moved(after, case.verdict.pull))
        report.pulled += 1
    drafts = [*case.verdict.holds, *case.extra]
    intent, problem, agreed = intent_for(hub, connection, case, after, now)
    outcome.entries += _journal(case, now, sent=intent.wanted if intent else ())
    drafts += [problem] if problem else []
    mapping = with_base(case.mapping, case.verdict, connection, now)
    state = "live" if case.found else mapping.state  # one that was gone is back
    mapping = msgspec.structs.replace(mapping, base={**mapping.base, **agreed}, state=state)
    outcome.spent += [
        (case.subject, name) for name in sorted(case.answered & (case.verdict.base.keys() | agreed.keys()))
    ]
    if (mapping.base, mapping.state, mapping.translation) != _old_state(case.mapping):
        outcome.mappings.append(mapping)
    outcome.held.append(
        hold_rows.Held(subject=case.subject, record_id=case.customer.id, drafts=drafts, trace=case.row.trace)
    )
    _place(outcome, case)
    if case.found:  # whatever was asked about the object while it had no mapping is moot
        outcome.held.append(
            hold_rows.Held(subject=work.remote_subject(case.found.observation.remote_id), record_id=None, drafts=[])
        )
    if intent:
        outcome.intents.append((case.row, intent))
        _narrow(tx, connection, case)
        look_at_whole(tx, connection, case.mapping, intent.wanted, case.row.trace, now)
    else:
        _end(outcome, case)
        if case.found:
            outcome.in_order += [case.subject, work.remote_subject(case.found.observation.remote_id)]


def _end(outcome: Outcome, case: Case) -> None:
    """Nothing is written now: done, or to be looked at again."""
    if case.kin.is_turned and case.verdict.awaits:
        outcome.waiting.append((case.row, case.verdict.awaits))
    else:
        outcome.done.append(case.row)


def _replaced(tx: Tx, case: Case, after: Customer) -> bool:
    return not closes_circle(tx, case.customer, case.verdict.pull) and customers.replace(tx, after)


def _place(outcome: Outcome, case: Case) -> None:
    if _got_place(case):
        outcome.placed[case.customer.external_id] = case.mapping.remote_id
        outcome.has_moved |= PARENT in case.verdict.base


def _got_place(case: Case) -> bool:
    """Its object was mapped, came back, or hangs elsewhere: whatever waited for that is looked at again."""
    if case.mapping.part:
        return False
    is_new = not case.mapping.base or case.mapping.state != "live"
    is_moved = PARENT in case.verdict.base or any(one.field == PARENT for one in case.verdict.holds)
    return case.found is not None and (is_new or is_moved)


def _old_state(mapping: MappingRow) -> tuple[object, str, int]:
    return mapping.base, mapping.state, mapping.translation


def _narrow(tx: Tx, connection: Connection, case: Case) -> None:
    """What came in is committed, and what goes out may have to be sent again: the approval is of that from now on."""
    if case.verdict.pull and guard.is_approved(case.row, case.verdict.digest):
        push = case.verdict.push
        replaced = {name: pair for name, pair in case.verdict.replaced.items() if name in push}
        work.narrow(tx, connection.name, case.row, Verdict(push=push, replaced=replaced).digest)


def _journal(case: Case, now: float, *, sent: Collection[str]) -> list[journal.Entry]:
    """What came in; and, before anything is overwritten there, the values that lose at the connection."""
    entries = []
    if case.verdict.pull:
        entries.append(pull_entry(case.customer, case.mapping, case.verdict, now, case.row.trace))
    lost = [one for one in case.verdict.lost if one.side == "remote" and one.field in sent]
    if lost:
        entries.append(
            journal.about(
                case.mapping,
                at=now,
                action="conflict",
                lost=lost,
                actor=case.mapping.connection,
                trace=case.row.trace,
            )
        )
    return entries


def _commit(tx: Tx, hub: Hub, connection: Connection, outcome: Outcome) -> None:
    now = hub.clock.now()
    mappings.update(tx, outcome.mappings)
    journal.write(tx, outcome.entries)
    subjects = [one.subject for one in outcome.held]
    known = hold_rows.of_subjects(tx, connection.name, subjects)
    hold_rows.settle(tx, hub.ids, connection.name, outcome.held, known, now)
    hold_rows.spend(tx, connection.name, outcome.spent)
    intents.insert(tx, [intent for _, intent in outcome.intents])
    dealt_with(tx, connection, outcome.done)
    for row, why in outcome.waiting:
        later = {row.subject: now + hub.timing.longest_back_off}
        work.postpone(tx, connection.name, later, is_attempt=False, reason=None if row.shown else why)
    failures.resolve(tx, connection.name, outcome.in_order)
    trace = outcome.held[0].trace if outcome.held else ""
    placed(tx, hub, connection, outcome.placed, trace)
    if outcome.has_moved:
        look_at_refused(tx, hub, connection, trace)
    look_again_without(tx, hub, connection, filter(None, outcome.placed.values()), trace)
    changes = {one.remote_id: one.changes for one in outcome.entries if one.action == "pull" and one.remote_id}
    look_again_at_freed(tx, hub, connection, changes, trace)
    fan_out(tx, hub, outcome.changed, but=connection.name, trace=trace)
