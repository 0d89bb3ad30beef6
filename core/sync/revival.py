"""An archived customer is brought back: live again under its id, tied again to the objects that are still its own.

Ended mappings stay ended. Each object gets a mapping anew, without a base: what it is by now, and whether it is there,
its lane finds out, as on first contact. Nothing is created for a customer that had an object there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from core.errors import InvalidInputError, NotFoundError, VersionConflictError
from core.model.family import PARENT
from core.model.holds import LOST_CREATE
from core.model.match import UNLINKED
from core.store import customers, holds, intents, journal, mappings, tombstones, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.journal import Entry
from core.store.mappings import MappingRow
from core.sync import guard
from core.sync.archived import ended_with, last_archived, was_archived, was_let_go
from core.sync.explain import EVERY
from core.sync.failing import dealt_with
from core.sync.family import FAMILIES
from core.sync.hub import KIND, Hub
from core.sync.parts import placed
from core.sync.registry import Moved, check_parent, fan_out

STATUS: Final = "status"
INACTIVE: Final = "inactive"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A customer that is live again. `tied`: its objects, read next, of which some were `archived` meanwhile: a person
    brings these back there. `apart`: another customer's by now.
    """

    customer: Customer
    tied: Sequence[MappingRow]
    archived: Sequence[MappingRow]
    apart: Sequence[MappingRow]


def restore(tx: Tx, hub: Hub, external_id: str, *, actor: str, trace: str) -> Restored:
    """Bring back the customer that had this external id last.

    Raises NotFoundError; InvalidInputError where it is taken, where its parent is not there, or while the outcome of a
    write to one of its objects is not known.
    """
    tx.serialize("erasure", is_shared=True)  # an erasure beside this would not know of the new ties
    tx.serialize(FAMILIES)
    tx.serialize("first contact")
    gone = _archived(tx, external_id)
    check_parent(tx, external_id, gone.fields.get(PARENT))
    rows = ended_with(tx, gone)
    mappings.lock(tx, [row.id for row in rows])
    _require_quiet(tx, gone, rows)
    now = hub.clock.now()
    one = msgspec.structs.replace(gone, version=gone.version + 1, deleted_at=None, updated_at=now)
    if not customers.replace(tx, one):
        raise VersionConflictError("it changed this very moment", field="version", cure="repeat the request")
    entries = journal.of_record(tx, one.id, EVERY)
    journal.write(tx, [Entry(at=now, record_id=one.id, action="restore", actor=actor, trace=trace)])
    done = _tied_again(tx, hub, one, rows, entries)
    for row in done.tied:
        subject = work.mapping_subject(row.id)
        work.mark(tx, row.connection, [subject], reason="its customer was restored", trace=trace, now=now)
        if row.connection in hub.connections and not row.part:
            placed(tx, hub, hub.connections[row.connection], {one.external_id: row.remote_id}, trace)
        tx.after_commit(lambda lane=row.connection: hub.wake(lane))  # type: ignore[misc]
    fan_out(tx, hub, [Moved(one, one.fields)], but="", trace=trace)
    return done


def _archived(tx: Tx, external_id: str) -> Customer:
    if (gone := last_archived(tx, external_id)) is not None:
        return gone
    if customers.by_external_ids(tx, [external_id]):
        problem, cure = f"{external_id!r} is a customer that is not archived", "`accord explain` shows it"
        raise InvalidInputError(problem, field="external_customer_id", cure=cure)
    was = "; one was erased" if tombstones.of_customer(tx, external_id) else ""
    cure = "`accord customers list --archived` shows who can be restored"
    raise NotFoundError(f"there is no customer {external_id!r}{was}", field="external_customer_id", cure=cure)


def _require_quiet(tx: Tx, gone: Customer, rows: Sequence[MappingRow]) -> None:
    """What a write under way does to an object, or makes, must be known before it is the customer's again."""
    open_ = sorted({one.connection for one in intents.open_of(tx, [row.id for row in rows]).values()})
    if open_:
        problem = f"a write to {', '.join(open_)} has no known outcome yet"
        cure = "wait until `accord explain` shows none"
        raise InvalidInputError(problem, field="external_customer_id", cure=cure)
    asked = holds.listing(tx, reason=LOST_CREATE, record_id=gone.id)
    if asked:
        problem = f"an object at {asked[0].connection} may be of it: nobody has said so"
        cure = f"answer the hold {asked[0].id} first"
        raise InvalidInputError(problem, field="external_customer_id", cure=cure)


def _tied_again(tx: Tx, hub: Hub, one: Customer, rows: Sequence[MappingRow], entries: Sequence[Entry]) -> Restored:
    """Mappings anew. What was let go of before stays so; what another customer has by now is told, and not replaced."""
    tied: list[MappingRow] = []
    archived: list[MappingRow] = []
    apart: list[MappingRow] = []
    for row in rows:
        _call_off(tx, hub, row)
        is_free = was_let_go(tx, row, entries)
        if row.remote_id is None and not is_free:
            continue  # it never had one there: policy says whether it gets one
        is_taken = bool(row.remote_id and mappings.by_remote_ids(tx, row.connection, KIND, [row.remote_id]))
        apart += [row] if is_taken else []
        fresh = _anew(hub, row, used=mappings.generations(tx, [row.record_id], row.connection)[row.record_id])
        if is_free or is_taken:
            # a second object beside the one that was given away would be the customer twice
            kept = None if is_taken else row.remote_id
            fresh = msgspec.structs.replace(fresh, state="excluded", note=UNLINKED, remote_id=kept)
        elif was_archived(row, entries):
            fresh = _asleep(hub, fresh, one)
            archived.append(fresh)
        tied += [fresh] if fresh.state == "live" else []
        mappings.insert(tx, [fresh])
    return Restored(customer=one, tied=tied, archived=archived, apart=apart)


def _call_off(tx: Tx, hub: Hub, mapping: MappingRow) -> None:
    """The customer is back: its object is not archived any more, and nobody is asked about that."""
    connection, subject = hub.connections.get(mapping.connection), work.farewell_subject(mapping.id)
    if connection is None:
        return  # as soon as it is configured again, the object has a customer
    known = holds.of_subjects(tx, connection.name, [subject])
    nothing = holds.Held(subject=subject, record_id=None, drafts=[])
    holds.settle(tx, hub.ids, connection.name, [nothing], known, hub.clock.now())
    work.unpark(tx, connection.name, subject)
    dealt_with(tx, connection, list(work.of_subjects(tx, connection.name, [subject]).values()))
    guard.end_if_moot(tx, hub, connection)


def _asleep(hub: Hub, fresh: MappingRow, one: Customer) -> MappingRow:
    """What we made inactive there ourselves is nobody's edit, and does not make the customer inactive everywhere."""
    connection = hub.connections.get(fresh.connection)
    if connection is None or not connection.projection.covers(STATUS):
        return fresh
    base = {STATUS: (one.fields.get(STATUS), INACTIVE)}
    return msgspec.structs.replace(fresh, base=base, translation=connection.projection.translation)


def _anew(hub: Hub, row: MappingRow, used: int) -> MappingRow:
    now = hub.clock.now()
    return MappingRow(
        id=hub.ids.new(),
        record_id=row.record_id,
        connection=row.connection,
        part=row.part,
        generation=used + 1,
        remote_id=row.remote_id,
        state="live",
        created_at=now,
        updated_at=now,
    )
