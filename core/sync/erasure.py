"""Privacy erasure: what Accord holds of a customer is taken out for good, and what it was is not taken in again.

Nothing is erased at the providers: which objects are to be erased there is told once, for afterwards nobody knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from core.errors import InvalidInputError, NotFoundError
from core.model.documents import KINDS
from core.model.holds import LOST_CREATE
from core.model.remote import Mark
from core.ports import Notice
from core.store import (
    connections,
    customers,
    erasing,
    holds,
    intents,
    journal,
    mappings,
    observations,
    tombstones,
    work,
)
from core.store.customers import Customer
from core.store.database import Tx
from core.store.inbox import Letter
from core.store.tombstones import Tombstone
from core.sync.documents.marking import OF_ERASED, no_customer_yet
from core.sync.family import parent_left
from core.sync.hub import KIND, Hub
from core.sync.inbox import by_connection, named, take, understood
from core.sync.life import tell_ends
from core.sync.taken import look_again_at_merged

Objects = set[tuple[str, str]]
WALK_AT_ONCE: Final = 1000


class Remains(msgspec.Struct, frozen=True, order=True):
    """An object that stays at a provider."""

    connection: str
    remote_id: str


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What was erased, or would be. `customers` counts earlier ones of the same external id."""

    external_id: str
    customers: int
    remains: list[Remains]
    """Erase these at their providers: nothing here knows them any more."""
    likely: list[Remains]
    """Nobody's objects with the same e-mail address: left as they are."""
    children: list[str]
    """Customers that still name this one as their parent."""


class _Scope(msgspec.Struct, frozen=True, kw_only=True):
    owners: list[Customer]
    mappings: list[tuple[str, str, int, str]]
    objects: Objects


def preview(tx: Tx, hub: Hub, external_id: str) -> Erased:
    """What an erasure would take out, and what stays. Raises what `erase` would."""
    scope = _scope(tx, hub, external_id)
    _require_quiet(tx, scope)
    return _told(tx, external_id, scope)


def erase(tx: Tx, hub: Hub, external_id: str, *, actor: str, trace: str) -> Erased:
    """Erase a customer, and all earlier ones of the same external id, which is free again.

    Raises NotFoundError; InvalidInputError while a write to one of its objects has no known outcome.
    """
    tx.serialize("erasure")
    scope = _scope(tx, hub, external_id)
    mappings.lock(tx, [one[0] for one in scope.mappings])
    _require_quiet(tx, scope)
    told = _told(tx, external_id, scope)
    now = hub.clock.now()
    tombstones.put(tx, _tombstones(scope, external_id, now, actor))
    _empty_documents(tx, scope)
    _empty(tx, hub, scope, now)
    erasing.empty_requests(tx, external_id, _answer(external_id, now))
    entries = [
        journal.Entry(at=now, record_id=one.id, action="erase", actor=actor, trace=trace) for one in scope.owners
    ]
    journal.write(tx, entries)
    tell_ends(hub, tx)
    return told


def erase_again(tx: Tx, hub: Hub, ends: Sequence[Tombstone]) -> None:
    """Take out what an older database still has of customers that were erased after it was copied."""
    erased = [one for one in ends if one.why == tombstones.ERASED]
    owners = customers.by_ids(tx, [one.id for one in erased if one.what == tombstones.CUSTOMER])
    found = _scope_of(tx, hub, list(owners.values()))
    scope = msgspec.structs.replace(found, objects=found.objects | _known_objects(tx, erased))
    now = hub.clock.now()
    intents.close(tx, {one.id: "void" for one in _open(tx, scope)}, now)
    mine = _tombstones(scope, "", now, "restore")
    tombstones.put(tx, [one for one in mine if one.what != tombstones.CUSTOMER])
    _empty_documents(tx, scope)
    _empty(tx, hub, scope, now)
    for one in owners.values():
        erasing.empty_requests(tx, one.external_id, _answer(one.external_id, now))


def _known_objects(tx: Tx, erased: Sequence[Tombstone]) -> Objects:
    """Objects seen by this database whose tombstones are of another one: only their hashes are known."""
    wanted: dict[str, set[str]] = {}
    for one in erased:
        if one.what == tombstones.OBJECT:
            wanted.setdefault(one.connection, set()).add(one.id)
    found: Objects = set()
    for connection, keys in wanted.items():
        after = ""
        while page := observations.ids_after(tx, connection, KIND, after, WALK_AT_ONCE):
            found.update((connection, one) for one in page if tombstones.object_id(connection, one) in keys)
            after = page[-1]
    return found


def _scope(tx: Tx, hub: Hub, external_id: str) -> _Scope:
    owners = list(customers.by_ids(tx, erasing.record_ids(tx, external_id)).values())
    if not owners or external_id == erasing.ERASED:
        ends = tombstones.of_customer(tx, external_id)
        at = f" (erased on {datetime.fromtimestamp(ends[0].at, UTC):%Y-%m-%d} by {ends[0].actor})" if ends else ""
        problem = f"there is no customer {external_id!r}{at}"
        raise NotFoundError(problem, field="external_customer_id", cure="`accord customers list` shows them")
    return _scope_of(tx, hub, owners)


def _scope_of(tx: Tx, hub: Hub, owners: Sequence[Customer]) -> _Scope:
    rows = [(*row, one.id) for one in owners for row in erasing.all_mappings(tx, one.id)]
    marks = [str(Mark(hub.instance, name, turn)) for name, _, last, _ in rows for turn in range(1, last + 1)]
    objects: Objects = {found for one in owners for found in erasing.objects_of(tx, one.id)}
    objects |= erasing.unmapped_with(tx, "accord_ref", marks)
    objects |= erasing.unmapped_with(tx, "external_id", [one.external_id for one in owners])
    objects |= {place for one in owners for place in _entered_from(hub, one.external_id)}
    ids = {one.id for one in owners}
    return _Scope(owners=list(owners), mappings=rows, objects=objects - _of_others(tx, objects, ids))


def _entered_from(hub: Hub, external_id: str) -> Objects:
    """The object that an external id was made of. An older database may not know it yet: it would enter again by it."""
    connection, _, remote_id = external_id.partition(":")
    return {(connection, remote_id)} if remote_id and connection in hub.connections else set()


def _of_others(tx: Tx, objects: Objects, owners: set[str]) -> Objects:
    """Objects that are another customer's by now."""
    found: Objects = set()
    for connection, remote_ids in _by_connection(objects).items():
        mapped = mappings.by_remote_ids(tx, connection, KIND, remote_ids)
        found.update((connection, name) for name, row in mapped.items() if row.record_id not in owners)
    return found


def _by_connection(objects: Objects) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for connection, remote_id in sorted(objects):
        found.setdefault(connection, []).append(remote_id)
    return found


def _open(tx: Tx, scope: _Scope) -> Iterable[intents.Intent]:
    return intents.open_of(tx, [one[0] for one in scope.mappings]).values()


def _require_quiet(tx: Tx, scope: _Scope) -> None:
    waiting = sorted({one.connection for one in _open(tx, scope)})
    if waiting:
        problem = f"a write of it to {', '.join(waiting)} has no known outcome yet: what it made could come back"
        raise InvalidInputError(problem, field="external_customer_id", cure="wait until `accord explain` shows none")
    asked = [one for owner in scope.owners for one in holds.listing(tx, reason=LOST_CREATE, record_id=owner.id)]
    if asked:
        problem = f"an object at {asked[0].connection} may be of it: nobody has said so, and it could come back"
        raise InvalidInputError(problem, field="external_customer_id", cure=f"answer the hold {asked[0].id} first")


def _told(tx: Tx, external_id: str, scope: _Scope) -> Erased:
    keys = {customers.key_of(one) for one in scope.owners}
    likely = erasing.unmapped_with(tx, "email_key", keys) - scope.objects
    return Erased(
        external_id=external_id,
        customers=len(scope.owners),
        remains=sorted(Remains(*one) for one in scope.objects),
        likely=sorted(Remains(*one) for one in likely),
        children=erasing.children_of(tx, external_id),
    )


def _tombstones(scope: _Scope, external_id: str, now: float, actor: str) -> list[Tombstone]:
    digest = tombstones.customer_digest(external_id)
    ends = [Tombstone(id=one.id, what=tombstones.CUSTOMER, record_id=one.id, digest=digest) for one in scope.owners]
    ends += [
        Tombstone(id=name, what=tombstones.MAPPING, connection=connection, record_id=record_id, generation=generation)
        for name, connection, generation, record_id in scope.mappings
    ]
    ends += [
        Tombstone(id=tombstones.object_id(*one), what=tombstones.OBJECT, connection=one[0])
        for one in sorted(scope.objects)
    ]
    return [msgspec.structs.replace(one, at=now, actor=actor) for one in ends]


def _empty(tx: Tx, hub: Hub, scope: _Scope, now: float) -> None:
    for name, connection, _, owner in scope.mappings:
        if connection in hub.connections:
            parent_left(tx, hub, hub.connections[connection], owner, name)
    objects = _by_connection(scope.objects)
    subjects = {name: [work.remote_subject(one) for one in ids] for name, ids in objects.items()}
    for name, connection, _, _ in scope.mappings:
        subjects.setdefault(connection, []).extend((work.mapping_subject(name), work.farewell_subject(name)))
    erasing.empty_subjects(tx, [one.id for one in scope.owners], subjects, now)
    for one in scope.owners:
        erasing.empty_record(tx, one.id, now)
    for connection in {one[1] for one in scope.mappings} & hub.connections.keys():
        look_again_at_merged(tx, hub, connection, "")
    for connection, remote_ids in objects.items():
        observations.erase(tx, connection, KIND, remote_ids, now)
        _empty_letters(tx, hub, connection, remote_ids)


def _empty_documents(tx: Tx, scope: _Scope) -> None:
    """Documents stay, as books must; why one waits, and what could not be understood of one, may name the person."""
    objects = _by_connection(scope.objects)
    subjects: dict[str, list[str]] = {name: [] for name in objects}
    for name, mapping_id in erasing.mappings_of_documents(tx, [one.id for one in scope.owners]):
        subjects.setdefault(name, []).append(work.mapping_subject(mapping_id))
    for name, theirs in subjects.items():
        for external_id in {one.external_id for one in scope.owners}:
            erasing.reword(tx, name, theirs, external_id, OF_ERASED)
        ids = objects.get(name, [])
        erasing.reword_all(tx, name, [no_customer_yet(one) for one in ids], OF_ERASED)
        erasing.empty_failures(tx, name, KINDS, theirs, ids)


def _empty_letters(tx: Tx, hub: Hub, name: str, remote_ids: Sequence[str]) -> None:
    """Deliveries about these objects. One that is not read yet is read first: it may be about others too."""
    rows = connections.every(tx)
    providers = {one.provider for one in rows if one.name == name}
    # an app of several accounts has one address
    addresses = sorted({name, *(one.name for one in rows if one.provider in providers)})
    found: list[int] = []
    for remote_id in remote_ids:
        # a provider's own id may be spelled with more around it here than in what it sends
        core = re.findall(r"[\w-]+", remote_id)[-1:] or [remote_id]
        for letter, state in erasing.letters_with(tx, addresses, core[0]):
            if _is_about(tx, hub, letter, state, Remains(name, remote_id), core[0]):
                found.append(letter.id)
    erasing.empty_letters(tx, found)


def _is_about(tx: Tx, hub: Hub, letter: Letter, state: str, about: Remains, core: str) -> bool:
    address = hub.connections.get(letter.connection)
    if address is None:
        return _quotes(letter.body, core)
    notices, problem = understood(address, letter.body)
    read = [(letter, notices)]
    if about.connection in hub.connections:
        # an id in one account is another object elsewhere
        told = by_connection(tx, hub, address, read).found.get(about.connection, [])
        notices = [one for _, some in told for one in some]
    may_tell = bool(problem) or _is_of_documents(notices)
    if about.remote_id not in named(notices) and not (may_tell and _quotes(letter.body, core)):
        return False
    if state == "new":
        take(tx, hub, address, read)
    return True


def _is_of_documents(notices: Sequence[Notice]) -> bool:
    """An invoice's event may say whose it is, by name and address."""
    return any(one.kind != KIND for one in notices)


def _quotes(body: bytes, core: str) -> bool:
    return re.search(rb"(?<![\w-])" + re.escape(core.encode()) + rb"(?![\w-])", body) is not None


def _answer(external_id: str, now: float) -> str:
    """What a request gets that is repeated after the customer it entered was erased."""
    at = datetime.fromtimestamp(now, UTC).isoformat()
    told: Mapping[str, object] = {"external_customer_id": external_id, "version": 0, "metadata": {}, "sources": {}}
    return msgspec.json.encode({**told, "created_at": at, "updated_at": at, "deleted_at": at}).decode()
