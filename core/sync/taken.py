"""Objects and values that are taken, gone or free by now: whoever was asked about one of them is looked at again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from core.model.holds import AMBIGUOUS_MATCH, MERGED, NAME_TAKEN, candidates_of
from core.model.keys import email_key, text_key
from core.model.values import Value, blank
from core.store import holds, observations, work
from core.store.database import Tx
from core.store.intents import Intent
from core.sync.hub import KIND, Connection, Hub

TAKEN: Final = "an object that it could have been is not free any more"
SEEN: Final = "an object that it could be was seen anew"
RETRY: Final = "retry"
_KEYS: Final = {"email": email_key}


def look_again_without(tx: Tx, hub: Hub, connection: Connection, remote_ids: Iterable[str], trace: str) -> None:
    """Customers wait to be created as long as such a question stands, objects to enter; nothing else looks at them."""
    gone = set(remote_ids)
    asked = holds.between_objects(tx, connection.name, AMBIGUOUS_MATCH) if gone else []
    subjects = [one.subject for one in asked if gone & {*candidates_of(one.detail)}]
    try_again(tx, hub, connection, subjects, TAKEN, trace)


def look_again_at_waiting(
    tx: Tx, hub: Hub, connection: Connection, remote_ids: Collection[str] | None, trace: str
) -> None:
    """Objects of nobody's were seen anew (None: all of them): a customer that could be one of them may be none by now.

    Not objects that are asked about: each of two would have the other one read again, and again.
    """
    asked = holds.between_objects(tx, connection.name, AMBIGUOUS_MATCH) if remote_ids is None or remote_ids else []
    seen = [one for one in asked if remote_ids is None or {*remote_ids} & {*candidates_of(one.detail)}]
    subjects = [one.subject for one in seen if one.subject.startswith("m:")]
    try_again(tx, hub, connection, subjects, SEEN, trace)


def look_again_at_merged(tx: Tx, hub: Hub, name: str, trace: str) -> None:
    """One of those whose objects were merged at a connection has it no more: what the others are asked may be moot."""
    subjects = [one.subject for one in holds.listing(tx, connection=name, reason=MERGED)]
    if subjects:
        work.mark(tx, name, subjects, reason=TAKEN, trace=trace, now=hub.clock.now())
        tx.after_commit(lambda: hub.wake(name))


def look_again_after_writes(tx: Tx, hub: Hub, connection: Connection, written: Iterable[Intent]) -> None:
    """These have reached their objects."""
    updates = {one.remote_id: one for one in written if one.remote_id}
    changes = {
        remote_id: {name: (one.before.get(name), value, "") for name, value in one.wanted.items()}
        for remote_id, one in updates.items()
    }
    look_again_at_freed(tx, hub, connection, changes, next(iter(updates.values())).trace if updates else "")


def look_again_at_freed(
    tx: Tx, hub: Hub, connection: Connection, changes: Mapping[str, Mapping[str, tuple[Value, Value, str]]], trace: str
) -> None:
    """Objects had the first value of each of these, and have the second now: who was refused one is tried again.

    `changes`: by object and field (old, new, rule), as the journal has them.
    """
    freed = set[tuple[str, str]]()
    for name in connection.manifest.unique_fields:
        for old, new, _ in [one[name] for one in changes.values() if name in one]:
            freed |= keys_of(connection, {name: old}) - keys_of(connection, {name: new})
    inactive = [remote_id for remote_id, one in changes.items() if "status" in one and one["status"][1] == "inactive"]
    freed |= _last_seen(tx, connection, inactive)
    _look_again(tx, hub, connection, freed, (), trace)


def keys_of(connection: Connection, values: Mapping[str, Value]) -> set[tuple[str, str]]:
    """What no two objects there have both, by field: in whatever letters, as a provider looks for it."""
    same = connection.projection.canonical
    there = {name: values[name] for name in connection.manifest.unique_fields if not blank(values.get(name))}
    return {(name, _KEYS.get(name, text_key)(str(same(name, value)))) for name, value in there.items()}


def look_again_after(tx: Tx, hub: Hub, connection: Connection, gone: Collection[str], trace: str) -> None:
    """These objects are gone, and what they had when they were last seen is free."""
    _look_again(tx, hub, connection, _last_seen(tx, connection, gone), gone, trace)


def _last_seen(tx: Tx, connection: Connection, remote_ids: Collection[str]) -> set[tuple[str, str]]:
    known = observations.by_ids(tx, connection.name, KIND, remote_ids).values()
    return {key for one in known for key in keys_of(connection, one.remote.fields)}


def _look_again(
    tx: Tx, hub: Hub, connection: Connection, freed: set[tuple[str, str]], gone: Collection[str], trace: str
) -> None:
    asked = holds.listing(tx, connection=connection.name, reason=NAME_TAKEN) if freed or gone else []
    subjects = [
        one.subject
        for one in asked
        if freed & keys_of(connection, one.detail.get("values") or {}) or {*gone} & {*candidates_of(one.detail)}
    ]
    try_again(tx, hub, connection, subjects, RETRY, trace)


def try_again(tx: Tx, hub: Hub, connection: Connection, subjects: Collection[str], reason: str, trace: str) -> None:
    """What kept these may be out of the way: no news of them, so they are not noticed anew."""
    if subjects:
        work.mark(tx, connection.name, subjects, reason=reason, trace=trace, now=hub.clock.now(), noticed=False)
        tx.after_commit(lambda: hub.wake(connection.name))
