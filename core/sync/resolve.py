"""Find out what became of a write that nobody answered, before anything else is written to its mapping.

| what was sent                                   | how it is found out                                             |
|-------------------------------------------------|-----------------------------------------------------------------|
| create, provider keeps the key, within its time | the same key and body again: the provider answers as it did     |
| the same, a key of unknown lifetime, later on   | looked for first: sent again only where that can make no double |
| the same, of a batch                            | the same batch again, as far as it is in doubt; a few times     |
| create, natural key (upsert on our marker)      | look for our marker; after the settling time: the same upsert   |
| create, key too old or of no help, marker       | after the look-up lag, look for our marker                      |
| create, marker found on what was deleted since  | adopted as it was sent; the next pass finds it gone, and asks   |
| create, key too old, no marker                  | by unique value and by time: what may be it, a person decides   |
| create, and nothing that it could be found by   | a person decides                                                |
| create, for nobody any more                     | only looked for: never sent in a way that might create now      |
| update                                          | after the settling time, compare with the frozen values         |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec

from core.errors import BugError, RejectedError, ReplyError
from core.model import holds
from core.model.family import PARENT
from core.model.holds import HoldDraft
from core.model.merge import Base, digest_of
from core.model.remote import Mark, Remote
from core.ports import Missing, Probe, Sighting
from core.store import holds as hold_rows
from core.store import intents, journal, mappings, work
from core.store.database import Tx
from core.store.intents import Intent
from core.store.mappings import MappingRow
from core.store.observations import Observation
from core.store.work import DirtyRow
from core.sync.batch import Report, as_of_now
from core.sync.candidates import OFFERED, has_value, made_until, perhaps_made
from core.sync.documents.sending import settling
from core.sync.failing import back_off, dealt_with, tried_in_vain
from core.sync.family import Family
from core.sync.hub import KIND, Connection, Hub
from core.sync.send import (
    KEY_TRIES,
    as_frozen,
    claim,
    commit_written,
    doubt,
    entry_of,
    is_perhaps_own,
    leave_alone,
    next_generation,
    send,
    still_wanted,
    tries_end,
)
from core.sync.taken import look_again_after_writes

KEY_MARGIN_SECONDS = 3600.0


async def resolve(hub: Hub, connection: Connection, open_: Sequence[tuple[DirtyRow, Intent]], report: Report) -> None:
    """One step towards known outcomes; may only wait. Raises what concerns the whole connection."""
    again: dict[str, list[tuple[DirtyRow, Intent]]] = {}
    for row, one in open_:
        intent = connection.skew.by_this_clock(one)
        if await _is_to_be_sent(hub, connection, row, intent, report):
            # in one request, as before: its first answer tells of all of them
            again.setdefault(intent.batch or intent.id, []).append((row, intent))
    for some in again.values():
        # others were asked about first: whose customer was deleted meanwhile stays in doubt, and is looked for
        wanted = await hub.db.read(lambda tx, some=some: [one for one in some if still_wanted(tx, one[1])])  # type: ignore[misc]
        report.waiting += len(some) - len(wanted)
        if wanted:
            await _send_again(hub, connection, wanted, report)


async def _is_to_be_sent(hub: Hub, connection: Connection, row: DirtyRow, intent: Intent, report: Report) -> bool:
    """Whether the same write under the same key tells most; else whatever else tells is done."""
    is_wanted = await hub.db.read(lambda tx: still_wanted(tx, intent))
    waits_until = _not_before(hub, connection, intent, is_wanted=is_wanted)
    if hub.clock.now() < waits_until:
        await hub.db.run(lambda tx: work.postpone(tx, connection.name, {row.subject: waits_until}, is_attempt=False))
        report.waiting += 1
    elif intent.action == "update":
        await _resolve_update(hub, connection, row, intent)
    elif is_wanted and _key_helps(hub, connection, intent) and not _looks_first(hub, connection, intent):
        return True
    else:
        await _resolve_create(hub, connection, row, intent, report, is_wanted=is_wanted)
    return False


def outlive(tx: Tx, hub: Hub, connection: Connection) -> None:
    """What a process had under way when it died may have left a moment ago, and land as late as anything."""
    now, manifest = hub.clock.now(), connection.manifest
    for one in intents.all_open(tx, connection.name):
        if one.state != "sent":
            continue
        until = now + _outlived_by(hub, connection, one)
        is_natural = one.action == "create" and manifest.create_key_seconds is None
        sent_at, ahead = (now, connection.skew.ahead) if is_natural else (one.sent_at, one.ahead)
        intents.outlived(tx, one.id, max(one.resolve_after or 0.0, until), sent_at, ahead)


def _outlived_by(hub: Hub, connection: Connection, intent: Intent) -> float:
    """How long a write that may have left a moment ago is not asked about."""
    if intent.kind != KIND:
        return settling(hub, connection, intent)
    is_unguarded = intent.action != "create" and not connection.manifest.is_conditional
    return connection.manifest.settle_seconds * hub.timing.patience if is_unguarded else 0.0


def _not_before(hub: Hub, connection: Connection, intent: Intent, *, is_wanted: bool) -> float:
    """When the outcome can be told. The request may still land after our time-out, so waits start late."""
    manifest = connection.manifest
    until_found = (manifest.settle_seconds + manifest.lookup_lag_seconds) * hub.timing.patience
    if intent.action == "create" and (not is_wanted or _looks_first(hub, connection, intent)):
        return (intent.resolve_after or intent.sent_at) + until_found
    ends = _key_ends(connection, intent)
    if ends is not None and hub.clock.now() >= ends:
        # a repeat under the key may have left just before it ended, and still be under way
        return max(intent.resolve_after or 0.0, ends + until_found)
    if intent.resolve_after is not None:
        return intent.resolve_after
    is_unguarded = intent.action == "update" and not manifest.is_conditional
    return intent.sent_at + (manifest.settle_seconds * hub.timing.patience if is_unguarded else 0.0)


def _key_ends(connection: Connection, intent: Intent) -> float | None:
    """Until when the provider surely remembers a create's key; None where it never does."""
    lifetime = connection.manifest.create_key_seconds
    if intent.action != "create" or lifetime is None:
        return None
    return intent.sent_at + max(lifetime - KEY_MARGIN_SECONDS, lifetime / 2)


def _key_helps(hub: Hub, connection: Connection, intent: Intent) -> bool:
    ends = _key_ends(connection, intent)
    if ends is None or (tries_end(connection, intent) and intent.attempts >= KEY_TRIES):
        return False
    return hub.clock.now() < ends


def _looks_first(hub: Hub, connection: Connection, intent: Intent) -> bool:
    """A key is not relied on for long where nothing else keeps a repeat from making a second object."""
    sure = connection.manifest.create_key_sure_seconds
    return sure is not None and hub.clock.now() >= intent.sent_at + sure


async def _resolve_update(hub: Hub, connection: Connection, row: DirtyRow, intent: Intent) -> None:
    """Compare with what was sent, not with what is wanted today."""
    if intent.remote_id is None:
        raise BugError(f"intent {intent.id} updates nothing")
    found = (await connection.connector.read(KIND, [intent.remote_id]))[intent.remote_id]
    seen = _understood(connection, found) if isinstance(found, Sighting) else None

    def commit(tx: Tx) -> None:
        same = connection.projection.canonical
        remote = Family(tx, connection, (), [seen.remote]).named(seen.remote) if seen else None
        landed: dict[str, Base] = {
            name: (sent, remote.fields.get(name))
            for name, sent in intent.wanted.items()
            if remote and same(name, sent) == same(name, remote.fields.get(name))
        }
        if seen is None and isinstance(found, Sighting) and still_wanted(tx, intent):
            doubt(tx, hub, connection, row, intent, "its object cannot be understood now")
        elif seen and len(landed) == len(intent.wanted):
            commit_written(tx, hub, connection, row, intent, seen, landed)
            look_again_after_writes(tx, hub, connection, [intent])
        elif remote and not landed and _may_land_unnoticed(tx, hub, connection, intent, remote):
            work.postpone(tx, connection.name, {row.subject: _settled(hub, connection, intent)}, is_attempt=False)
        else:
            intents.close(tx, {intent.id: "void"}, hub.clock.now())  # still dirty: decided again from what is there
            _agree_partly(tx, hub, connection, intent, remote, landed)
            if remote and not landed:
                tried_in_vain(tx, hub, connection, row)

    await hub.db.run(commit)


def _settled(hub: Hub, connection: Connection, intent: Intent) -> float:
    return intent.sent_at + connection.manifest.settle_seconds * hub.timing.patience


def _may_land_unnoticed(tx: Tx, hub: Hub, connection: Connection, intent: Intent, remote: Remote) -> bool:
    """It can still land, and what it changes was put back meanwhile: no newer write makes its lock an old one.

    Given up now, it would pass for somebody's edit then, and win against who put it back.
    """
    if hub.clock.now() >= _settled(hub, connection, intent):
        return False
    same = connection.projection.canonical
    current = as_of_now(tx, list(mappings.by_ids(tx, [intent.mapping_id]).values()))
    return any(
        all(same(name, customer.fields.get(name)) == same(name, remote.fields.get(name)) for name in intent.wanted)
        for _, customer in current.values()
    )


def _agree_partly(
    tx: Tx, hub: Hub, connection: Connection, intent: Intent, remote: Remote | None, landed: Mapping[str, Base]
) -> None:
    """Somebody has changed a part since, or nothing of it landed. Where both sides are equal, they have agreed.

    Else a value of ours that did land would look like an edit there, and win against a newer one.
    """
    now = hub.clock.now()
    mappings.lock(tx, [intent.mapping_id])
    for mapping in mappings.by_ids(tx, [intent.mapping_id]).values():
        if landed:
            # it arrived as a whole: what it overwrote is gone, also where somebody has written something else since
            journal.write(tx, [entry_of(intent, str(intent.remote_id), mapping.record_id, connection.name, now)])
        kept = connection.projection.still_agreed(mapping.base, mapping.translation)
        base = {name: pair for name, pair in kept.items() if name != PARENT or not _is_half_moved(intent, remote)}
        base |= landed
        if mapping.state in ("live", mappings.ENDED) and mapping.remote_id == intent.remote_id and base != mapping.base:
            translation = connection.projection.translation
            mappings.update(tx, [msgspec.structs.replace(mapping, base=base, translation=translation, updated_at=now)])


def _is_half_moved(intent: Intent, remote: Remote | None) -> bool:
    """The old parent may have been taken off and the new one not put on: nobody's wish, so it was never agreed."""
    return intent.wanted.get(PARENT) is not None and remote is not None and remote.fields.get(PARENT, "") is None


def _understood(connection: Connection, sighting: Sighting) -> Observation | None:
    try:
        return connection.observed(sighting)
    except ReplyError:
        return None


async def _resolve_create(
    hub: Hub, connection: Connection, row: DirtyRow, intent: Intent, report: Report, *, is_wanted: bool
) -> None:
    manifest = connection.manifest
    answer = await _find(hub, connection, row, intent)
    if answer is None:
        report.waiting += 1
        return
    probe, found, gone = answer
    if gone and not found:
        await hub.db.run(lambda tx: _commit_deleted(tx, hub, connection, row, intent, gone[0]))
    elif not found and is_wanted and manifest.create_key_seconds is None:
        await _send_upsert_again(hub, connection, row, intent, report)
    elif any(has_value(connection, intent, one) for one in found) and _key_helps(hub, connection, intent):
        # its name is taken, so that this creates nothing: it only tells whose the object is
        await _send_again(hub, connection, [(row, intent)], report)
    elif found or probe.mark or probe.unique:
        await hub.db.run(lambda tx: _commit_found(tx, hub, connection, row, intent, found))
    else:
        await hub.db.run(lambda tx: _ask(tx, hub, connection, row, intent, []))


async def _find(
    hub: Hub, connection: Connection, row: DirtyRow, intent: Intent
) -> tuple[Probe, list[Sighting], list[str]] | None:
    """What was asked for, what is there, and the ids of what was there.

    None where the look-up is refused, which says nothing of the create: it stays in doubt, and is never given up.
    """
    mapping = (await hub.db.read(lambda tx: mappings.by_ids(tx, [intent.mapping_id])))[intent.mapping_id]
    probe = _probe(hub, connection, mapping, intent)
    try:
        found = await connection.connector.find(KIND, probe)
    except RejectedError as error:
        why, until = f"it cannot be looked for: {error}", hub.clock.now() + back_off(hub.timing, intent.attempts)
        await hub.db.run(lambda tx: doubt(tx, hub, connection, row, intent, why, not_before=until))
        return None
    there = [one for one in found if isinstance(one, Sighting)]
    return probe, there, [one.id for one in found if isinstance(one, Missing)]


async def _send_again(
    hub: Hub, connection: Connection, some: Sequence[tuple[DirtyRow, Intent]], report: Report
) -> None:
    """Under their keys, with their bodies."""

    def begin(tx: Tx) -> None:
        for _, intent in some:
            intents.under_way(tx, intent.id)

    await hub.db.run(begin)
    receipts = await send(hub, connection, some, report, is_repeat=True)
    for (row, intent), receipt in zip(some, receipts, strict=True):
        if is_perhaps_own(connection, receipt) and (answer := await _find(hub, connection, row, intent)):
            found = answer[1]
            await hub.db.run(
                partial(_commit_found, hub=hub, connection=connection, row=row, intent=intent, found=found)
            )


def _probe(hub: Hub, connection: Connection, mapping: MappingRow, intent: Intent) -> Probe:
    manifest = connection.manifest
    if manifest.has_marker:
        mark = Mark(hub.instance, mapping.id, mapping.generation)
        # before that it may still be made: what was deleted is looked for once, because that takes many calls
        is_settled = hub.clock.now() >= _settled(hub, connection, intent)
        return Probe(mark=str(mark), created_after=intent.sent_at - manifest.settle_seconds, with_deleted=is_settled)
    same = connection.projection.canonical  # it is looked for as it is spelled there
    values = {name: same(name, intent.wanted.get(name)) for name in manifest.unique_fields}
    return Probe(
        unique={name: value for name, value in values.items() if isinstance(value, str) and value},
        created_after=intent.sent_at,
        created_before=made_until(intent),
    )


async def _send_upsert_again(hub: Hub, connection: Connection, row: DirtyRow, intent: Intent, report: Report) -> None:
    """Only when the first one cannot land any more: it would write its old body over what is done meanwhile."""
    settled = _settled(hub, connection, intent)
    if hub.clock.now() < settled:
        await hub.db.run(lambda tx: work.postpone(tx, connection.name, {row.subject: settled}, is_attempt=False))
        report.waiting += 1
        return

    def begin(tx: Tx) -> bool:
        if not still_wanted(tx, intent):  # its customer was deleted while it was looked for
            work.postpone(tx, connection.name, {row.subject: hub.clock.now()}, is_attempt=False)
            return False
        intents.sent_again(tx, intent.id, hub.clock.now(), connection.skew.ahead)
        return True

    if await hub.db.run(begin):
        await send(hub, connection, [(row, intent)], report, is_repeat=True)
    else:
        report.waiting += 1


def _commit_found(
    tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, intent: Intent, found: Sequence[Sighting]
) -> None:
    """None: it never happened. One of ours: adopted as it was created. Anything else: a person decides."""
    has_marker = connection.manifest.has_marker
    perhaps = [] if has_marker else perhaps_made(tx, connection, intent, found)
    if perhaps:
        _ask(tx, hub, connection, row, intent, perhaps)
        return
    if not (found and has_marker):
        _give_up(tx, hub, intent)
        tried_in_vain(tx, hub, connection, row)
        return
    seen = _understood(connection, found[0])
    if seen is None:
        doubt(tx, hub, connection, row, intent, "the object found cannot be understood")
    elif len(found) == 1:
        commit_written(tx, hub, connection, row, intent, seen, as_frozen(connection, intent))
    else:
        _ask(tx, hub, connection, row, intent, [one.id for one in found])


def _commit_deleted(tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, intent: Intent, remote_id: str) -> None:
    """It was made, and somebody has deleted it: adopted as it was sent, and found to be gone by the next pass."""
    now = hub.clock.now()
    intents.close(tx, {intent.id: "done"}, now)
    mappings.lock(tx, [intent.mapping_id])
    if not still_wanted(tx, intent):
        leave_alone(tx, connection, intent, remote_id, now)
        dealt_with(tx, connection, [row])
        return
    mapping = mappings.by_ids(tx, [intent.mapping_id])[intent.mapping_id]
    if not claim(tx, hub, connection, mapping, remote_id, row):
        return
    made = msgspec.structs.replace(
        mapping,
        remote_id=remote_id,
        state="live",
        updated_at=now,
        translation=connection.projection.translation,
        base=as_frozen(connection, intent),
    )
    mappings.update(tx, [made])
    journal.write(tx, [entry_of(intent, remote_id, mapping.record_id, connection.name, now)])


def _ask(tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, intent: Intent, candidates: Sequence[str]) -> None:
    """Whether one of these is the object, or none was made, only a person can tell."""
    mapping = _give_up(tx, hub, intent)
    detail: dict[str, object] = {"candidates": list(candidates[:OFFERED]), "values": intent.wanted}
    if len(candidates) > OFFERED:
        detail["not_offered"] = list(candidates[OFFERED:])
    digest = digest_of(holds.LOST_CREATE, sorted(candidates))
    draft = HoldDraft(reason=holds.LOST_CREATE, detail=detail, digest=digest)
    subject = work.mapping_subject(intent.mapping_id)
    held = hold_rows.Held(subject=subject, record_id=mapping.record_id, drafts=[draft], trace=row.trace)
    known = hold_rows.of_subjects(tx, connection.name, [subject])
    hold_rows.settle(tx, hub.ids, connection.name, [held], known, hub.clock.now())
    dealt_with(tx, connection, [row])


def _give_up(tx: Tx, hub: Hub, intent: Intent) -> MappingRow:
    """The next create gets another marker and key: this key might give an old answer back once more."""
    intents.close(tx, {intent.id: "void"}, hub.clock.now())
    mappings.lock(tx, [intent.mapping_id])
    mapping = mappings.by_ids(tx, [intent.mapping_id])[intent.mapping_id]
    next_generation(tx, mapping, hub.clock.now())
    return mapping
