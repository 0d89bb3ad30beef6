"""Send committed intents and commit what came of them. A crash anywhere in between leaves an open intent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from core.errors import (
    AccordError,
    BugError,
    GoneError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
    StaleError,
    TakenError,
)
from core.model import holds
from core.model.decide import Verdict, after_write
from core.model.family import PARENT, Kin
from core.model.holds import HoldDraft
from core.model.match import ANSWERED, OBJECTS
from core.model.merge import Base, digest_of
from core.model.values import Value
from core.ports import Receipt, Write, Written
from core.store import failures, intents, journal, mappings, observations, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.holds import Hold
from core.store.intents import Intent
from core.store.mappings import MappingRow
from core.store.observations import Observation
from core.store.work import DirtyRow
from core.sync.batch import Report, as_of_now
from core.sync.failing import Trouble, back_off, concerns_all, dealt_with, record_doubt, record_trouble
from core.sync.family import Family
from core.sync.hub import KIND, Connection, Hub
from core.sync.parts import got_place
from core.sync.refusals import A_CREATE, namesakes, refused
from core.sync.taken import look_again_after_writes
from core.sync.verdicts import verdict_on, with_base

KEY_TRIES = 4
"""Creates under one key before the object is looked for instead: a provider that stored an error under the key
(Stripe keeps a 500 for a day) gives it back every time. So does one that keeps the answer to a whole batch: repeated
for a part of it, a batch that was never executed has an answer for that part only."""

NOT_EXECUTED: Final = (RetryError, StaleError, GoneError, ReauthorizeError)


async def send(
    hub: Hub,
    connection: Connection,
    outgoing: Sequence[tuple[DirtyRow, Intent]],
    report: Report,
    *,
    is_repeat: bool = False,
    current: Mapping[str, bytes] = {},
) -> Sequence[Receipt]:
    """Send one batch of intents; every one of them ends in a committed outcome or stays open for `resolve`.

    `current`: by remote id, objects as they were read for this.
    """
    writes = [
        Write(
            key=one.key,
            action="update" if one.remote_id else "create",
            kind=one.kind,
            remote_id=one.remote_id,
            body=one.body,
            is_repeat=is_repeat,
            batch=one.batch,
            current=current.get(one.remote_id or ""),
        )
        for _, one in outgoing
    ]
    try:
        receipts: Sequence[Receipt] = await connection.connector.write(writes)
    except AccordError as error:
        receipts = [error] * len(writes)
    if len(receipts) != len(writes):
        raise BugError(f"{connection.name} answered {len(receipts)} of {len(writes)} writes")

    def work_(tx: Tx) -> None:
        for (row, intent), receipt in zip(outgoing, receipts, strict=True):
            commit = _commit_repeated if is_repeat else commit_receipt
            commit(tx, hub, connection, row, intent, receipt, report)
        written = [one for (_, one), receipt in zip(outgoing, receipts, strict=True) if isinstance(receipt, Written)]
        look_again_after_writes(tx, hub, connection, written)

    await hub.db.run(work_)
    for receipt in receipts:
        if isinstance(receipt, AccordError) and concerns_all(receipt):
            raise receipt
    return receipts


def _commit_repeated(
    tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, intent: Intent, receipt: Receipt, report: Report
) -> None:
    if isinstance(receipt, NOT_EXECUTED):
        # this time it was not executed; whether it was before is as unknown as it has been
        doubt(tx, hub, connection, row, intent, str(receipt), not_before=_told_to_wait(hub, receipt))
        report.waiting += 1
    elif not is_perhaps_own(connection, receipt):
        commit_receipt(tx, hub, connection, row, intent, receipt, report)
    # else whoever sent it looks for that object


def tries_end(connection: Connection, intent: Intent) -> bool:
    """Its key is tried only so often: it can be looked for, or may have been left out of its request's first answer."""
    manifest = connection.manifest
    return manifest.create_key_seconds is not None and (manifest.has_marker or bool(intent.batch))


def is_perhaps_own(connection: Connection, receipt: Receipt) -> bool:
    """A repeat whose key was forgotten is judged anew, and may be refused because of what the first one made."""
    is_refused = isinstance(receipt, RejectedError) and not isinstance(receipt, NOT_EXECUTED)
    return is_refused and not connection.manifest.has_marker


def commit_receipt(
    tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, intent: Intent, receipt: Receipt, report: Report
) -> None:
    """One answer: mapping, base, observation, journal, intent and dirty mark in one transaction."""
    if isinstance(receipt, Written):
        try:
            seen = connection.observed(receipt.sighting)
        except ReplyError as error:
            doubt(tx, hub, connection, row, intent, f"answered with something unreadable: {error}")
            return
        is_older = receipt.is_replay and intent.action == "create"
        agreed = as_frozen(connection, intent) if is_older else None
        commit_written(tx, hub, connection, row, intent, seen, agreed)
        if receipt.stamp:
            intents.stamp(tx, intent.id, receipt.stamp)
        report.written += 1
    elif isinstance(receipt, NOT_EXECUTED):
        not_executed(tx, hub, connection, row, intent, receipt)
        report.waiting += 1
    elif isinstance(receipt, RejectedError):
        _refused(tx, hub, connection, row, intent, receipt)
        report.held += 1
    else:
        doubt(tx, hub, connection, row, intent, str(receipt))
        report.waiting += 1


def commit_written(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    row: DirtyRow,
    intent: Intent,
    seen: Observation,
    agreed: Mapping[str, tuple[Value, Value]] | None = None,
) -> None:
    """The write happened. Base becomes (frozen value sent, value in its own answer), whatever moved on since.

    `agreed` replaces those pairs where the answer is not the write's own (an adopted create).
    """
    now, remote = hub.clock.now(), seen.remote
    intents.close(tx, {intent.id: "done"}, now)
    mappings.lock(tx, [intent.mapping_id])
    current = as_of_now(tx, list(mappings.by_ids(tx, [intent.mapping_id]).values()))
    if intent.mapping_id not in current or current[intent.mapping_id][0].state == "excluded":
        observations.put(tx, connection.name, KIND, [seen], now)
        leave_alone(tx, connection, intent, remote.id, now)
        dealt_with(tx, connection, [row])
        return
    mapping, customer = current[intent.mapping_id]
    if intent.remote_id not in (None, mapping.remote_id):
        _remember(tx, connection, intent, seen, customer.id, now)
        return  # a person has linked another object meanwhile, which is still to be written: still dirty
    if not claim(tx, hub, connection, mapping, remote.id, row):
        return
    kin = Family(tx, connection, [customer], [remote]).kin(customer, remote)
    pairs, drafts = _agreed(connection, intent, kin) if agreed is None else (dict(agreed), [])
    mapping = msgspec.structs.replace(
        agreed_on(mapping, connection, pairs), remote_id=remote.id, state="live", note="", updated_at=now
    )
    mappings.update(tx, [mapping])
    _remember(tx, connection, intent, seen, customer.id, now)
    known = _settle_questions(tx, hub, connection, row, mapping, pairs, drafts)
    failures.resolve(
        tx, connection.name, {work.mapping_subject(mapping.id), work.remote_subject(remote.id), row.subject}
    )
    if intent.action == "create" or PARENT in intent.wanted:
        got_place(tx, hub, connection, mapping, customer, row.trace)
    work.carried_out(tx, connection.name, row)
    again = verdict_on(hub, connection, customer, mapping, kin, known)
    if again.is_quiet and _asks_what_is_asked(again, known):
        if again.base and agreed is None:
            # equal on both sides in the write's own answer: another read would find nothing else
            mappings.update(tx, [with_base(mapping, again, connection, now)])
        if (not again.base or agreed is None) and not (kin.is_turned and again.awaits):
            work.clear(tx, connection.name, [row])
    # else something else differs already (an edit during the write): still dirty, looked at again


def _asks_what_is_asked(again: Verdict, known: Sequence[Hold]) -> bool:
    """Whether what is odd about an object's fields is asked about already, and of nothing else of them."""
    asked = {one.field: one for one in known if one.state == "open" and one.reason != holds.EXTERNAL_ID_CHANGED}
    wanted = {one.field: one.digest for one in again.holds}
    return asked.keys() - {""} <= wanted.keys() and all(
        name in asked and asked[name].digest == digest for name, digest in wanted.items()
    )


def _remember(tx: Tx, connection: Connection, intent: Intent, seen: Observation, record_id: str, now: float) -> None:
    observations.put(tx, connection.name, KIND, [seen], now)
    journal.write(tx, [entry_of(intent, seen.remote.id, record_id, connection.name, now, left_out=seen.remote.unmade)])


def _settle_questions(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    row: DirtyRow,
    mapping: MappingRow,
    pairs: Mapping[str, Base],
    drafts: list[HoldDraft],
) -> list[Hold]:
    """Ask what the answer gives reason to, and spend what was carried out; returns the holds there were before."""
    subject = work.mapping_subject(mapping.id)
    known = hold_rows.of_subjects(tx, connection.name, [subject])
    here = known.get(subject, [])
    held = hold_rows.Held(
        subject=subject, record_id=mapping.record_id, drafts=drafts, trace=row.trace, keeps_others=True
    )
    hold_rows.settle(tx, hub.ids, connection.name, [held], known, hub.clock.now())
    answered = hold_rows.answers(here)
    hold_rows.spend(tx, connection.name, [(subject, name) for name in pairs if name in answered])
    return here


def still_wanted(tx: Tx, intent: Intent) -> bool:
    """Whether its customer still lives, and is to have an object there."""
    current = as_of_now(tx, list(mappings.by_ids(tx, [intent.mapping_id]).values()))
    return intent.mapping_id in current and current[intent.mapping_id][0].state != "excluded"


def _agreed(connection: Connection, intent: Intent, kin: Kin) -> tuple[dict[str, Base], list[HoldDraft]]:
    if kin.remote is None:
        raise BugError(f"intent {intent.id} was answered with nothing")
    wanted = dict(intent.wanted)
    if kin.is_unknown:
        wanted.pop(PARENT, None)  # its parent has lost its mapping since: nothing can be said of it
    return after_write(wanted, kin.remote, connection.projection)


def leave_alone(tx: Tx, connection: Connection, intent: Intent, remote_id: str, now: float) -> None:
    """Deleted, or let go of, meanwhile: remember whose object it was, or it would enter as a new customer.

    What was written there all the same is in the journal, as anything that is overwritten.
    """
    row = mappings.by_ids(tx, [intent.mapping_id]).get(intent.mapping_id)
    if row is None:
        return
    one = row
    if row.remote_id is None and not mappings.by_remote_ids(tx, connection.name, KIND, [remote_id]):
        one = msgspec.structs.replace(row, remote_id=remote_id)
    if one.state == mappings.ENDED and one.remote_id == remote_id:
        # else what we wrote ourselves would pass for somebody's edit when its object is to be archived
        one = agreed_on(one, connection, as_frozen(connection, intent))
    if one is not row:
        mappings.update(tx, [one])
    journal.write(tx, [entry_of(intent, remote_id, row.record_id, connection.name, now)])


def agreed_on(mapping: MappingRow, connection: Connection, pairs: Mapping[str, Base]) -> MappingRow:
    """The mapping with what a write of ours has brought about."""
    kept = connection.projection.still_agreed(mapping.base, mapping.translation)
    return msgspec.structs.replace(mapping, base={**kept, **pairs}, translation=connection.projection.translation)


def as_frozen(connection: Connection, intent: Intent) -> dict[str, tuple[Value, Value]]:
    """Base of an object that was created as frozen and read later: what differs by now is an edit, and flows."""
    same = connection.projection.canonical
    return {name: (sent, same(name, sent)) for name, sent in intent.wanted.items()}


def entry_of(
    intent: Intent, remote_id: str, record_id: str, connection: str, now: float, left_out: Collection[str] = ()
) -> journal.Entry:
    """The journal's line for a write that happened; `left_out`: fields whose place turned out not to be there."""
    changes = {
        name: (intent.before.get(name), value, "") for name, value in intent.wanted.items() if name not in left_out
    }
    return journal.Entry(
        at=now,
        record_id=record_id,
        connection=connection,
        remote_id=remote_id,
        action="create" if intent.action == "create" else "push",
        changes=changes,
        actor="accord",
        trace=intent.trace,
    )


def claim(tx: Tx, hub: Hub, connection: Connection, mapping: MappingRow, remote_id: str, row: DirtyRow) -> bool:
    """False, and a hold, when the object that answered belongs to another customer already."""
    other = mappings.by_remote_ids(tx, connection.name, KIND, [remote_id]).get(remote_id)
    if other is None or other.id == mapping.id:
        return True
    subject = work.mapping_subject(mapping.id)
    draft = HoldDraft(
        reason=holds.AMBIGUOUS_MATCH,
        detail={
            "rung": ANSWERED,
            "problem": "the provider answered with an object of another customer",
            "candidates": [remote_id],
            "candidates_are": OBJECTS,
        },
        digest=digest_of(holds.AMBIGUOUS_MATCH, ANSWERED, remote_id),
    )
    held = hold_rows.Held(subject=subject, record_id=mapping.record_id, drafts=[draft], trace=row.trace)
    known = hold_rows.of_subjects(tx, connection.name, [subject])
    hold_rows.settle(tx, hub.ids, connection.name, [held], known, hub.clock.now())
    if mapping.remote_id is None:
        next_generation(tx, mapping, hub.clock.now())  # else `create` would be answered with that object again
    dealt_with(tx, connection, [row])
    return False


def next_generation(tx: Tx, mapping: MappingRow, now: float) -> None:
    """The next create is another one: the same marker and key could bring an older object back."""
    mappings.update(tx, [msgspec.structs.replace(mapping, generation=mapping.generation + 1, updated_at=now)])


def not_executed(tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, intent: Intent, error: AccordError) -> None:
    """Certainly not done: the intent is void, the mapping stays dirty and is decided again after a wait."""
    intents.close(tx, {intent.id: "void"}, hub.clock.now())
    if concerns_all(error):
        return
    if isinstance(error, StaleError) and not row.attempts:
        # somebody was faster, or what was remembered was old: no trouble yet, it is read and decided at once
        work.postpone(tx, connection.name, {row.subject: hub.clock.now()})
        return
    record_trouble(tx, hub, connection, {row: Trouble(error, record_id=_record(tx, intent))})


def _refused(tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, intent: Intent, error: RejectedError) -> None:
    """The provider will never take it as it is: a person decides; any change of the record tries again."""
    now = hub.clock.now()
    intents.close(tx, {intent.id: "refused"}, now)
    if not still_wanted(tx, intent):
        dealt_with(tx, connection, [row])  # nobody is asked about a customer that is gone
        return
    if intent.remote_id is None:
        # tried again, it is another create: a provider may give a refusal back for as long as it keeps the key
        mappings.lock(tx, [intent.mapping_id])
        next_generation(tx, mappings.by_ids(tx, [intent.mapping_id])[intent.mapping_id], now)
        draft = refused(error, intent.wanted, A_CREATE)
    else:
        seen = observations.by_ids(tx, connection.name, KIND, [intent.remote_id])
        draft = refused(error, intent.wanted, intent.body, "".join(one.digest for one in seen.values()))
    if isinstance(error, TakenError):
        holders = [error.remote_id] if error.remote_id else namesakes(tx, connection, intent, error.field)
        named = {"candidates": holders} if holders else {}
        draft = msgspec.structs.replace(draft, reason=holds.NAME_TAKEN, detail=draft.detail | named)
    subject = work.mapping_subject(intent.mapping_id)
    held = hold_rows.Held(
        subject=subject, record_id=_record(tx, intent), drafts=[draft], trace=row.trace, keeps_others=True
    )
    known = hold_rows.of_subjects(tx, connection.name, [subject])
    hold_rows.settle(tx, hub.ids, connection.name, [held], known, now)
    dealt_with(tx, connection, [row])


def _told_to_wait(hub: Hub, error: AccordError) -> float:
    told = error.retry_after if isinstance(error, RetryError) else None
    return hub.clock.now() + (told or 0.0)


def doubt(
    tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, intent: Intent, why: str, *, not_before: float = 0.0
) -> None:
    """Nobody knows whether it happened: nothing else is written to this mapping before that is found out."""
    manifest = connection.manifest
    until = hub.clock.now()
    if intent.action != "create" and not manifest.is_conditional:
        until += manifest.settle_seconds * hub.timing.patience
    elif intent.attempts + 1 >= KEY_TRIES and tries_end(connection, intent):
        until += (manifest.settle_seconds + manifest.lookup_lag_seconds) * hub.timing.patience
    else:
        until += back_off(hub.timing, intent.attempts)
    until = max(until, not_before)
    intents.doubt(tx, intent.id, until, why)
    record_doubt(tx, hub, connection, row, why, until, _record(tx, intent))


def _record(tx: Tx, intent: Intent) -> str | None:
    row = mappings.by_ids(tx, [intent.mapping_id]).get(intent.mapping_id)
    return row.record_id if row else None
