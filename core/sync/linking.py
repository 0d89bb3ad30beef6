"""Ties by hand: one object is not this customer's any more, or is from now on. Neither comes undone by itself."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.errors import InvalidInputError, NotFoundError
from core.model.match import UNLINKED
from core.store import customers, holds, intents, journal, mappings, observations, tombstones, work
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.tombstones import Tombstone
from core.sync import registry
from core.sync.family import parent_left
from core.sync.farewells import look_again
from core.sync.hub import KIND, Hub
from core.sync.life import tell_ends
from core.sync.parts import slot_of, whole_of


def unlink(
    tx: Tx, hub: Hub, external_id: str, name: str, *, remote_id: str | None = None, actor: str, trace: str
) -> MappingRow:
    """Let an object go: it stays as it is, is nobody's, and the customer gets no other one there by itself.

    Its parts are let go with it; `remote_id` may name one of them, which is let go alone.

    Raises NotFoundError, or InvalidInputError when there is nothing to let go, or a write to it is under way.
    """
    hub.connection(name)
    customer = registry.get(tx, external_id)
    rows = _rows(tx, customer.id, name)
    named = next((one for one in rows if one.part and one.remote_id == remote_id is not None), None)
    row = named or whole_of(rows, name)
    if row is None or row.remote_id is None or row.state == "excluded":
        says = "is left out already" if row and row.state == "excluded" else "has no object"
        raise NotFoundError(
            f"{external_id} {says} at {name}", field="connection", cure=f"`accord explain {external_id}`"
        )
    if remote_id not in (None, row.remote_id):
        problem = f"{external_id} is {row.remote_id} at {name}, not {remote_id}"
        raise InvalidInputError(problem, field="remote", cure="look at `accord explain` again")
    quiet = [_quiet(tx, one) for one in ([row] if row.part else _released(rows))]
    row, *_ = [_let_go(tx, hub, one, actor) for one in quiet]
    _journal(tx, hub, row, "unlink", actor, trace)
    tell_ends(hub, tx)
    return row


def link(tx: Tx, hub: Hub, external_id: str, name: str, remote_id: str, *, actor: str, trace: str) -> MappingRow:
    """Tie a customer to an object that is nobody's: the next look merges the two, as on first contact.

    Raises NotFoundError, or InvalidInputError when either of them is tied to another one.
    """
    hub.connection(name)
    tx.serialize("erasure", is_shared=True)  # an erasure beside this would not know of the new tie
    customer = registry.get(tx, external_id)
    tx.serialize("first contact")
    rows = _rows(tx, customer.id, name)
    slot = slot_of(hub.connection(name), [one for one in rows if one.part or one.state != "excluded"], remote_id)
    part, row = (slot.part, slot) if isinstance(slot, MappingRow) else (slot, _of_part(rows, slot))
    if row is not None and row.state not in ("pending", "excluded"):
        problem = f"{external_id} is {row.remote_id} at {name} already"
        raise InvalidInputError(
            problem, field="connection", cure=f"`accord mappings unlink {external_id} {name}` first"
        )
    _require_free(tx, name, remote_id, customer.id)
    now = hub.clock.now()
    for one in _in_the_way(rows, part, remote_id):
        ended = msgspec.structs.replace(_quiet(tx, one), state=mappings.ENDED, note=UNLINKED, updated_at=now)
        mappings.update(tx, [ended])
        registry.forget(tx, hub, ended, found=remote_id)
    if not customers.keep(tx, [customer.id]):
        raise registry.nobody(tx, external_id)
    used = mappings.generations(tx, [customer.id], name).get(customer.id, 0)
    fresh = MappingRow(
        id=hub.ids.new(), record_id=customer.id, connection=name, part=part, generation=used + 1, remote_id=remote_id,
        state="live", created_at=now, updated_at=now,
    )  # fmt: skip
    mappings.insert(tx, [fresh])
    _journal(tx, hub, fresh, "link", actor, trace)
    _close_question(tx, hub, name, remote_id)
    look_again(tx, hub, hub.connection(name), [remote_id])
    work.mark(tx, name, [work.mapping_subject(fresh.id)], reason="linked by hand", trace=trace, now=now)
    tx.after_commit(lambda: hub.wake(name))
    return fresh


def unlink_again(tx: Tx, hub: Hub, ends: Sequence[Tombstone]) -> None:
    """Let go what an older database still ties, though a person untied it after the copy was made."""
    for row in mappings.by_ids(tx, [one.id for one in ends]).values():
        if row.state not in (mappings.ENDED, "excluded"):
            _let_go(tx, hub, row, "restore")


def let_go_parts(tx: Tx, hub: Hub, whole: MappingRow, actor: str) -> None:
    """The customer's object was let go: what is tied to it goes with it."""
    for one in _rows(tx, whole.record_id, whole.connection):
        if one.part and one.state != "excluded":
            _let_go(tx, hub, one, actor)


def _rows(tx: Tx, record_id: str, name: str) -> list[MappingRow]:
    rows = mappings.of_records(tx, [record_id]).get(record_id, [])
    return [one for one in rows if one.connection == name and one.kind == KIND]


def _released(rows: Sequence[MappingRow]) -> list[MappingRow]:
    """The whole first, then what is tied to it."""
    return sorted((one for one in rows if not one.part or one.state != "excluded"), key=lambda one: one.part)


def _of_part(rows: Sequence[MappingRow], part: str) -> MappingRow | None:
    return next((one for one in rows if one.part == part), None)


def _in_the_way(rows: Sequence[MappingRow], part: str, remote_id: str) -> list[MappingRow]:
    """Mappings of the customer that end when another begins: its own with the parts that are let go, or that part's."""
    if part:
        return [one for one in rows if one.part == part]
    return [one for one in rows if not one.part or one.state == "excluded" or one.remote_id == remote_id]


def _quiet(tx: Tx, row: MappingRow) -> MappingRow:
    """The mapping as it is now, held until the end of the transaction; refused while a write to it is under way."""
    mappings.lock(tx, [row.id])
    if intents.open_of(tx, [row.id]):
        problem = f"a write to {row.connection} has no known outcome yet"
        raise InvalidInputError(problem, field="connection", cure="wait until `accord explain` shows none")
    return mappings.by_ids(tx, [row.id])[row.id]


def _let_go(tx: Tx, hub: Hub, row: MappingRow, actor: str) -> MappingRow:
    now = hub.clock.now()
    # it stays known as its own: else the object would enter as a new customer, and the customer get a new object
    left_out = msgspec.structs.replace(row, state="excluded", note=UNLINKED, base={}, updated_at=now)
    mappings.update(tx, [left_out])
    registry.forget(tx, hub, row)
    # an older database may be from before the connection was taken out of accord.toml
    connection = hub.connections.get(row.connection)
    if connection is not None and not row.part:
        parent_left(tx, hub, connection, row.record_id, "")
    end = Tombstone(
        id=row.id, what=tombstones.MAPPING, why=tombstones.UNLINKED, connection=row.connection,
        record_id=row.record_id, generation=row.generation, at=now, actor=actor,
    )  # fmt: skip
    tombstones.put(tx, [end])
    return left_out


def _require_free(tx: Tx, name: str, remote_id: str, owner: str) -> None:
    """An object that was seen, is there, and is nobody's (or was left out: then the other lets go of it for good)."""
    seen = observations.by_ids(tx, name, KIND, [remote_id]).get(remote_id)
    if remote_id in tombstones.erased_objects(tx, name, [remote_id]) or (seen and seen.state == observations.ERASED):
        problem = f"{remote_id} was of a customer that was erased"
        raise InvalidInputError(problem, field="remote", cure="link another object")
    if seen is None or seen.state != "live":
        problem = f"no object {remote_id!r} was seen at {name}"
        raise NotFoundError(problem, field="remote", cure=f"`accord sync {name} --full` reads what is there")
    require_staying(tx, name, remote_id)
    other = mappings.by_remote_ids(tx, name, KIND, [remote_id]).get(remote_id)
    if other is None or other.record_id == owner:
        return
    if other.state != "excluded":
        theirs = customers.by_ids(tx, [other.record_id])[other.record_id].external_id
        cure = f"`accord mappings unlink {theirs} {name}` first"
        raise InvalidInputError(f"{remote_id} is customer {theirs}", field="remote", cure=cure)
    mappings.update(tx, [msgspec.structs.replace(other, remote_id=None)])


def require_staying(tx: Tx, name: str, remote_id: str, field: str = "remote") -> None:
    """Refuse an object whose archiving is under way, or may be."""
    if any(one.action == intents.ARCHIVE and one.remote_id == remote_id for one in intents.all_open(tx, name)):
        raise InvalidInputError(f"{remote_id} is just being archived there", field=field, cure="look again in a minute")


def _close_question(tx: Tx, hub: Hub, name: str, remote_id: str) -> None:
    subject = work.remote_subject(remote_id)
    known = holds.of_subjects(tx, name, [subject])
    nothing = [holds.Held(subject=subject, record_id=None, drafts=[])]
    holds.settle(tx, hub.ids, name, nothing, known, hub.clock.now())


def _journal(tx: Tx, hub: Hub, row: MappingRow, action: str, actor: str, trace: str) -> None:
    journal.write(tx, [journal.about(row, at=hub.clock.now(), action=action, actor=actor, trace=trace)])
