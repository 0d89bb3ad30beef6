"""Remote objects that are not there any more: never taken for an edit, always asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from core.model import holds
from core.model.holds import HoldDraft
from core.model.merge import Base, digest_of
from core.model.remote import Remote
from core.model.values import blank, is_metadata
from core.ports import Missing
from core.store import holds as hold_rows
from core.store import journal, mappings, observations, work
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.work import DirtyRow
from core.sync.batch import Batch, Seen, as_of_now
from core.sync.failing import back_off, dealt_with
from core.sync.family import parent_left
from core.sync.hub import KIND, Connection, Hub
from core.sync.taken import look_again_after, look_again_at_merged, look_again_without
from core.sync.unsure import Unsure


def settle_gone(tx: Tx, hub: Hub, connection: Connection, batch: Batch, seen: Seen) -> None:
    """Only a successful read that says so makes an object gone; its mapping waits for a person."""
    if not seen.gone:
        return
    now = hub.clock.now()
    known = observations.by_ids(tx, connection.name, KIND, seen.gone)
    vanished = [msgspec.structs.replace(one, state="gone") for one in known.values()]
    observations.put(tx, connection.name, KIND, vanished, now)
    current = as_of_now(tx, [batch.live[name][1] for name in seen.gone if name in batch.live])
    told = _with_survivors(batch, seen.gone)
    for remote_id, missing in told.items():
        if remote_id in batch.live:
            row, old = batch.live[remote_id]
            if old.id not in current:
                dealt_with(tx, connection, [row])
            elif current[old.id][0].remote_id == remote_id and current[old.id][0].state != "excluded":
                # else linked elsewhere, or let go, during the read
                _mapping_gone(tx, hub, connection, row, current[old.id][0], missing)
        elif missing.survivor:
            _look_at(tx, hub, connection, missing.survivor, batch.unmapped[remote_id].trace)
    unmapped = [one for one in seen.gone if one in batch.unmapped]
    _close_holds_of_unmapped(tx, hub, connection, unmapped)
    look_again_without(tx, hub, connection, unmapped, "")
    look_again_after(tx, hub, connection, seen.gone, "")
    if any(name in batch.live and not one.survivor for name, one in told.items()):
        look_again_at_merged(tx, hub, connection.name, "")  # what others were merged into may be among these


def _with_survivors(batch: Batch, gone: Mapping[str, Missing]) -> dict[str, Missing]:
    """The same, also where the read named no survivor and a delivery did."""
    rows = {**batch.unmapped, **{name: row for name, (row, _) in batch.live.items()}}
    return {
        name: missing if missing.survivor else Missing(name, survivor=_survivor_told(name, rows[name]))
        for name, missing in gone.items()
    }


def _survivor_told(remote_id: str, row: DirtyRow) -> str | None:
    if not row.reason.startswith(work.MERGED_INTO):
        return None
    told = row.reason.removeprefix(work.MERGED_INTO)
    # its mapping is at the survivor by now, and that one is gone, too
    return None if told == remote_id else told


def _close_holds_of_unmapped(tx: Tx, hub: Hub, connection: Connection, remote_ids: list[str]) -> None:
    subjects = [work.remote_subject(one) for one in remote_ids]
    known = hold_rows.of_subjects(tx, connection.name, subjects)
    nothing = [hold_rows.Held(subject=one, record_id=None, drafts=[]) for one in subjects]
    hold_rows.settle(tx, hub.ids, connection.name, nothing, known, hub.clock.now())


def _look_at(tx: Tx, hub: Hub, connection: Connection, remote_id: str, trace: str) -> None:
    subject = work.remote_subject(remote_id)
    work.mark(tx, connection.name, [subject], reason="merged", trace=trace, now=hub.clock.now())


def merged_customers(tx: Tx, connection: Connection, remotes: Sequence[Remote]) -> dict[str, HoldDraft]:
    """Objects into which another customer's object was merged, by id: both customers wait for a person."""
    absorbed = {alias for one in remotes for alias in one.aliases}
    # one that was let go of waits for nobody, and no answer would ever take it out of the question
    rows = mappings.by_remote_ids(tx, connection.name, KIND, absorbed)
    theirs = {name for name, row in rows.items() if row.state != "excluded"}
    found = {}
    for one in remotes:
        others = sorted(alias for alias in one.aliases if alias in theirs and alias != one.id)
        if others:
            detail: dict[str, object] = {"remote_id": one.id, "absorbed": others}
            digest = digest_of(holds.MERGED, one.id, others)
            found[one.id] = HoldDraft(reason=holds.MERGED, detail=detail, digest=digest)
    return found


def with_survivor(tx: Tx, mapping: MappingRow, remote: Remote) -> MappingRow:
    """A mapping that has moved to a survivor, before the two are compared for the first time."""
    if mapping.note != mappings.ABSORBED:
        return mapping
    met = msgspec.structs.replace(mapping, note="", base=without_lost(mapping.base, remote))
    mappings.update(tx, [met])
    return met


def without_lost(base: Mapping[str, Base], remote: Remote) -> dict[str, Base]:
    """What was agreed of an object, as far as the one that absorbed it goes on: what that one lacks, nobody cleared."""
    return {
        name: pair for name, pair in base.items() if not (_was_read(name, remote) and blank(remote.fields.get(name)))
    }


def _was_read(name: str, remote: Remote) -> bool:
    return name in remote.fields or (is_metadata(name) and remote.metadata_complete)


def _mapping_gone(
    tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, mapping: MappingRow, missing: Missing
) -> None:
    now = hub.clock.now()
    action = "merged" if missing.survivor else "gone"
    entry = journal.about(mapping, at=now, action=action, actor=connection.name, trace=row.trace)
    if missing.survivor:
        other = mappings.by_remote_ids(tx, connection.name, KIND, [missing.survivor]).get(missing.survivor)
        if other is None and Unsure(tx, connection).may_have_made(missing.survivor):
            # that one's values would be taken for this one's: once it is told whose it is, both are asked about
            until = now + back_off(hub.timing, row.attempts)
            work.postpone(tx, connection.name, {row.subject: until})
            return
        if other is None:
            note = mappings.ABSORBED
            moved = msgspec.structs.replace(
                mapping, remote_id=missing.survivor, state="live", note=note, updated_at=now
            )
            mappings.update(tx, [moved])
            journal.write(tx, [entry])
            return  # still dirty: the survivor is read and merged in the next pass
        _hold(tx, hub, connection, other, holds.MERGED, missing, row.trace)
    reason = holds.MERGED if missing.survivor else holds.REMOTE_GONE
    if mapping.state != "gone":
        mappings.update(tx, [msgspec.structs.replace(mapping, state="gone", updated_at=now)])
        journal.write(tx, [entry])
        parent_left(tx, hub, connection, mapping.record_id, row.trace)
    _hold(tx, hub, connection, mapping, reason, missing, row.trace)
    dealt_with(tx, connection, [row])


def _hold(
    tx: Tx, hub: Hub, connection: Connection, mapping: MappingRow, reason: str, missing: Missing, trace: str
) -> None:
    subject = work.mapping_subject(mapping.id)
    known = hold_rows.of_subjects(tx, connection.name, [subject])
    detail: dict[str, object] = {"remote_id": mapping.remote_id, "survivor": missing.survivor}
    draft = HoldDraft(reason=reason, detail=detail, digest=digest_of(reason, mapping.remote_id, missing.survivor))
    held = hold_rows.Held(subject=subject, record_id=mapping.record_id, drafts=[draft], trace=trace)
    hold_rows.settle(tx, hub.ids, connection.name, [held], known, hub.clock.now())
