"""Writes to the registry: compare-and-set, journalled, and passed on to every other connection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from core.errors import InvalidInputError, NotFoundError, VersionConflictError
from core.model.family import LONGEST_CHAIN, PARENT
from core.model.holds import LOST_CREATE, MERGED, candidates_of
from core.model.match import CUSTOMER_DELETED, may_create
from core.model.policy import REGISTRY
from core.model.validate import check_room, external_customer_id, validated
from core.model.values import Fields, Value, blank
from core.store import connections, customers, failures, holds, journal, mappings, tombstones, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.documents.marking import customers_moved
from core.sync.family import FAMILIES, look_at_refused, parent_left
from core.sync.hub import KIND, Connection, Hub
from core.sync.parts import offer_parts
from core.sync.taken import look_again_at_merged


def changed(customer: Customer, changes: Mapping[str, Value], source: str, now: float) -> Customer:
    """The next version of a customer with these fields set, each from `source`."""
    fields, sources = dict(customer.fields), dict(customer.sources)
    for name, value in changes.items():
        if blank(value):
            fields.pop(name, None)
        else:
            fields[name] = value
        sources[name] = source
    return msgspec.structs.replace(
        customer, fields=fields, sources=sources, version=customer.version + 1, updated_at=now
    )


def difference(customer: Customer, changes: Mapping[str, Value], rule: str) -> dict[str, tuple[Value, Value, str]]:
    """What really changes: field -> (old, new, rule)."""
    found = {name: (customer.fields.get(name), value, rule) for name, value in changes.items()}
    return {name: change for name, change in found.items() if change[0] != change[1]}


class Moved(NamedTuple):
    """A customer as it is by now, and the fields that changed."""

    customer: Customer
    fields: Collection[str]


def fan_out(tx: Tx, hub: Hub, moved: Iterable[Moved], *, but: str, trace: str, are_new: bool = False) -> None:
    """Mark the customers' mappings dirty at every other connection that holds one of the changed fields.

    Missing mappings are made where policy creates.
    """
    by_id = {one.customer.id: one for one in moved}
    if not by_id:
        return
    mapped = {} if are_new else mappings.of_records(tx, by_id)
    if not are_new:
        customers_moved(tx, hub, {name: one.fields for name, one in by_id.items()}, trace)
    has_moved = any(PARENT in fields for _, fields in by_id.values())
    for name in sorted(hub.connections):
        if has_moved:
            look_at_refused(tx, hub, hub.connections[name], trace)
        if name == but:
            continue
        subjects = _subjects_at(tx, hub, name, by_id, mapped)
        if subjects:
            work.mark(tx, name, subjects, reason="registry changed", trace=trace, now=hub.clock.now(), noticed=False)
            tx.after_commit(lambda lane=name: hub.wake(lane))  # type: ignore[misc]


def _subjects_at(
    tx: Tx, hub: Hub, name: str, by_id: Mapping[str, Moved], mapped: Mapping[str, Sequence[MappingRow]]
) -> list[str]:
    connection = hub.connections[name]
    subjects: list[str] = []
    unmapped: list[Customer] = []
    present: list[Customer] = []
    for customer_id, (customer, fields) in by_id.items():
        here = [one for one in mapped.get(customer_id, ()) if one.connection == name]
        subjects += [work.mapping_subject(one.id) for one in here if _concerns(connection, one, customer, fields)]
        (present if here else unmapped).append(customer)
    if connection.parts.asked:
        subjects += offer_parts(tx, hub, connection, present, mapped)
    return subjects + offer(tx, hub, name, unmapped)


def _concerns(connection: Connection, row: MappingRow, customer: Customer, fields: Collection[str]) -> bool:
    """A read for a field that is not kept there would only cost its call."""
    if row.state != "live":
        return row.state == "pending"
    kept = connection.parts.projection(row.part, row.remote_id, customer.fields)
    return kept is not None and any(kept.covers(field) for field in fields)


def offer(tx: Tx, hub: Hub, name: str, unmapped: Sequence[Customer]) -> list[str]:
    """Pending mappings for customers that policy wants created at a connection; returns their subjects.

    Nothing is created before one complete sweep of the connection has been stored, nor before a restored database
    has met again what it may have forgotten.
    """
    connection = hub.connections[name]
    wanted = [one for one in unmapped if one.deleted_at is None and may_create(one.fields, connection.policy)]
    if not wanted:
        return []
    row = connections.get(tx, name)
    if row.state != "active" or row.swept_at is None or row.restored_at is not None:
        return []
    now = hub.clock.now()
    used = mappings.generations(tx, [one.id for one in wanted], name)
    rows = [
        mappings.pending(hub.ids.new(), one.id, name, generation=used.get(one.id, 0) + 1, now=now) for one in wanted
    ]
    mappings.insert(tx, rows)
    return [work.mapping_subject(one.id) for one in rows]


def create(tx: Tx, hub: Hub, external_id: str, values: Mapping[str, object], *, actor: str, trace: str) -> Customer:
    """A new customer, entered by hand."""
    wanted = external_customer_id(external_id)
    fields = {name: value for name, value in validated(values).items() if not blank(value)}
    if customers.by_external_ids(tx, [wanted]):
        problem = f"{wanted!r} is taken by another customer"
        raise InvalidInputError(problem, field="external_customer_id", limit="unique", cure="update that one")
    check_any(fields)
    check_room({}, fields)
    check_parent(tx, wanted, fields.get(PARENT))
    now = hub.clock.now()
    one = Customer(
        id=hub.ids.new(),
        external_id=wanted,
        fields=fields,
        sources=dict.fromkeys(fields, REGISTRY),
        created_at=now,
        updated_at=now,
    )
    customers.insert(tx, [one])
    _write(
        tx, hub, one, "create", {name: (None, value, "entered by hand") for name, value in fields.items()}, actor, trace
    )
    return one


def check_any(fields: Fields) -> None:
    """Refuse a new customer of whom nothing is known: nobody could tell who that is, in no system."""
    if not fields:
        cure = "give one field a value, such as name"
        raise InvalidInputError("a new customer has no field with a value", field="fields", limit="one", cure=cure)


def update(
    tx: Tx,
    hub: Hub,
    external_id: str,
    values: Mapping[str, object],
    *,
    actor: str,
    trace: str,
    version: int | None = None,
) -> Customer:
    """Set fields of a customer by hand; `version` must be the one that was read, when given."""
    current = get(tx, external_id)
    if "external_customer_id" in values:
        raise InvalidInputError(
            "it never changes", field="external_customer_id", limit="fixed", cure="create another customer"
        )
    if version is not None and version != current.version:
        problem = f"the customer is at version {current.version}, not {version}"
        raise VersionConflictError(problem, field="version", cure="read it again and repeat the change")
    wanted = validated(values)
    check_room(current.fields, {**current.fields, **wanted})
    check_parent(tx, external_id, wanted.get(PARENT))
    return put(tx, hub, current, wanted, actor=actor, trace=trace, action="edit")


def put(
    tx: Tx, hub: Hub, current: Customer, wanted: Mapping[str, Value], *, actor: str, trace: str, action: str
) -> Customer:
    """Store values as they are (an undo puts back what a provider once said, valid by our rules or not)."""
    changes = difference(current, wanted, "entered by hand" if action == "edit" else action)
    if not changes:
        return current
    one = changed(current, {name: change[1] for name, change in changes.items()}, REGISTRY, hub.clock.now())
    if not customers.replace(tx, one):
        raise VersionConflictError("it changed this very moment", field="version", cure="repeat the change")
    _write(tx, hub, one, action, changes, actor, trace)
    return one


def archive(tx: Tx, hub: Hub, external_id: str, *, actor: str, trace: str) -> Customer:
    """Delete a customer: it is archived, its mappings end, its id is free again.

    Remote objects are left alone, or archived by their lanes where policy says so.
    """
    current = get(tx, external_id)
    now = hub.clock.now()
    mappings.lock(tx, [row.id for row in mappings.of_records(tx, [current.id]).get(current.id, ())])
    one = msgspec.structs.replace(current, version=current.version + 1, deleted_at=now, updated_at=now)
    if not customers.replace(tx, one):
        raise VersionConflictError("it changed this very moment", field="version", cure="repeat the request")
    # only now: whoever ties an object to a customer keeps it from being replaced
    rows = mappings.of_records(tx, [current.id]).get(current.id, ())
    mappings.update(
        tx, [msgspec.structs.replace(row, state="ended", note=CUSTOMER_DELETED, updated_at=now) for row in rows]
    )
    for row in rows:
        forget(tx, hub, row)
        connection = hub.connections.get(row.connection)
        if connection is not None and row.kind == KIND and not row.part:
            parent_left(tx, hub, connection, row.record_id, trace)
        if is_to_follow(hub, row):
            subject = work.farewell_subject(row.id)
            work.mark(tx, row.connection, [subject], reason=CUSTOMER_DELETED, trace=trace, now=now, noticed=False)
            tx.after_commit(lambda lane=row.connection: hub.wake(lane))  # type: ignore[misc]
    journal.write(tx, [journal.Entry(at=now, record_id=one.id, action="delete", actor=actor, trace=trace)])
    return one


def followers(tx: Tx, hub: Hub, customer: Customer) -> list[MappingRow]:
    """Mappings whose objects are archived when the customer is, by connection."""
    rows = [row for row in mappings.of_records(tx, [customer.id]).get(customer.id, ()) if is_to_follow(hub, row)]
    return sorted((row for row in rows if row.remote_id), key=lambda row: (row.connection, row.part))


def is_to_follow(hub: Hub, row: MappingRow) -> bool:
    """Whether the object of a mapping is archived with its customer: one that was let go of, or is gone, is not."""
    connection = hub.connections.get(row.connection)
    if connection is None or connection.policy.when_archived != "archive" or row.kind != KIND:
        return False
    return row.state in ("live", "pending") and bool(connection.manifest.archives)


def forget(tx: Tx, hub: Hub, row: MappingRow, *, found: str = "") -> None:
    """What was asked, and what failed, about a mapping that has ended is moot.

    But whose object a lost create made is still to be said, unless it is the `found` one: it would enter as a new
    customer.
    """
    subject = work.mapping_subject(row.id)
    asked = holds.of_subjects(tx, row.connection, [subject]).get(subject, ())
    known = {subject: [one for one in asked if one.reason != LOST_CREATE or found in candidates_of(one.detail)]}
    nothing = [holds.Held(subject=subject, record_id=row.record_id, drafts=[])]
    holds.settle(tx, hub.ids, row.connection, nothing, known, hub.clock.now())
    failures.resolve(tx, row.connection, [subject])
    work.unpark(tx, row.connection, subject)
    if any(one.reason == MERGED for one in asked):
        look_again_at_merged(tx, hub, row.connection, "")


def get(tx: Tx, external_id: str) -> Customer:
    """A live customer, or NotFoundError."""
    found = customers.by_external_ids(tx, [external_id]).get(external_id)
    if found is None:
        raise nobody(tx, external_id)
    return found


def require(tx: Tx, external_ids: Sequence[str], field: str) -> Mapping[str, Customer]:
    """Live customers by external id, all of them; NotFoundError names some that are not there, and `field`."""
    found = customers.by_external_ids(tx, external_ids)
    unknown = [one for one in external_ids if one not in found]
    if unknown:
        problem = f"there is no customer {', '.join(map(repr, unknown[:5]))}"
        raise NotFoundError(problem, field=field, cure="`accord customers list` shows them")
    return found


def nobody(tx: Tx, external_id: str) -> NotFoundError:
    """Why there is no live customer of that id."""
    problem, cure = f"there is no customer {external_id!r}", "`accord customers list` shows them"
    if customers.archived(tx, external_id):
        problem, cure = (
            f"{problem}; one was archived",
            "`accord explain` shows it, `accord customers restore` brings it back",
        )
    elif tombstones.of_customer(tx, external_id):
        problem = f"{problem}; one was erased"
    return NotFoundError(problem, field="external_customer_id", cure=cure)


def require_ever(tx: Tx, external_id: str, field: str) -> None:
    """NotFoundError, which names `field`, for an id that no customer ever had; archived and erased ones had theirs."""
    if not _was_ever(tx, external_id):
        raise NotFoundError(
            f"there is no customer {external_id!r}", field=field, cure="`accord customers list` shows them"
        )


def check_place(tx: Tx, after: str, field: str) -> None:
    """Refuse a place to go on from that never was a customer's id: `field` names it. One that is gone since is a place.

    What comes after it in the alphabet would be the answer otherwise, and be believed.
    """
    if after and not _was_ever(tx, after):
        cure = "take the id of the last one that was shown, `next_cursor` in the API"
        raise InvalidInputError(f"{after!r} is no customer's id", field=field, limit="one that was listed", cure=cure)


def _was_ever(tx: Tx, external_id: str) -> bool:
    return customers.was_ever(tx, external_id) or bool(tombstones.of_customer(tx, external_id))


def _write(
    tx: Tx,
    hub: Hub,
    one: Customer,
    action: str,
    changes: Mapping[str, tuple[Value, Value, str]],
    actor: str,
    trace: str,
) -> None:
    entry = journal.Entry(at=one.updated_at, record_id=one.id, action=action, changes=changes, actor=actor, trace=trace)
    journal.write(tx, [entry])
    fan_out(tx, hub, [Moved(one, changes)], but="", trace=trace)


def check_parent(tx: Tx, external_id: str, parent: Value) -> None:
    """Refuse a parent that is not there, or that would make the customer its own ancestor."""
    if parent is not None:
        tx.serialize(FAMILIES)
        check_above(tx, external_id, parent)


def check_above(tx: Tx, external_id: str, parent: Value) -> None:
    """The same, as things stand now: good enough to say what would be done."""

    def fields_of(name: str) -> Fields | None:
        found = customers.by_external_ids(tx, [name]).get(name)
        return found.fields if found else None

    ancestors(external_id, parent, fields_of)


def ancestors(external_id: str, parent: Value, fields_of: Callable[[str], Fields | None]) -> list[str]:
    """The parents above a customer, nearest first: all of them exist, and none of them is this customer."""
    seen = [external_id]
    while isinstance(parent, str):
        if parent in seen:
            chain = " -> ".join([*seen, parent])
            raise InvalidInputError(f"parents form a circle: {chain}", field="parent", cure="name another parent")
        if len(seen) > LONGEST_CHAIN:
            cure = "name a parent that is nearer to the top"
            raise InvalidInputError("too many parents above", field="parent", limit=str(LONGEST_CHAIN), cure=cure)
        found = fields_of(parent)
        if found is None:
            raise InvalidInputError(f"there is no customer {parent!r}", field="parent", cure="create the parent first")
        seen.append(parent)
        parent = found.get("parent")
    return seen[1:]
