"""Putting values back: what one change replaced, or all that one run changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from core.errors import InvalidInputError, NotFoundError, VersionConflictError
from core.model.documents import KINDS
from core.model.family import PARENT
from core.model.values import PART_OF, Value
from core.store import customers, journal
from core.store.customers import Customer
from core.store.database import Tx
from core.store.journal import Entry
from core.sync import registry
from core.sync.elsewhere import newer_elsewhere, spoken
from core.sync.hub import KIND, Hub

_OF_THE_REGISTRY: Final = frozenset({"edit", "pull", "link", "undo"})
"""Actions that changed values of the registry."""
_CHANGES: Final = _OF_THE_REGISTRY | {"raced"}
_NO_VALUES: Final = frozenset({"enter", "create", "delete", "restore"})
"""A customer or an object came or went: put back as values, what was there before would be blank everywhere."""


class Back(msgspec.Struct, frozen=True, kw_only=True):
    """What is put back of one customer: field -> (the run's value, the one before it)."""

    record_id: str
    external_id: str
    fields: dict[str, tuple[Value, Value]]
    changes: Mapping[str, int]
    """Field -> the number of the run's last change of it."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did and cannot be put back; `change` is its number in the journal."""

    external_id: str
    change: int
    field: str
    reason: str


def undo(tx: Tx, hub: Hub, change_id: int, *, field: str | None, actor: str, anyway: bool = False) -> dict[str, object]:
    """Put values back that an entry of the journal replaced; they flow everywhere, as an edit by hand.

    VersionConflictError where one of the fields has changed since, unless `anyway`.
    """
    owner, back = replaced(tx, change_id, field, anyway=anyway)
    registry.check_parent(tx, owner.external_id, back.get(PARENT))
    registry.put(tx, hub, owner, back, actor=actor, trace=f"undo:{change_id}", action="undo")
    return {"external_customer_id": owner.external_id, "fields": back}


def _not_of_a_customer(entry: Entry) -> InvalidInputError:
    if entry.kind in KINDS:
        problem = f"change {entry.id} happened to a document ({entry.kind}), which Accord does not take back"
        cure = "void it where it originates, or make a credit note there"
        return InvalidInputError(problem, field="change", cure=cure)
    problem = f"change {entry.id} ({entry.action}) replaced no values of a customer"
    return InvalidInputError(problem, field="change", cure="`accord explain ID` shows a customer's changes")


def replaced(tx: Tx, change_id: int, field: str | None, *, anyway: bool = False) -> tuple[Customer, dict[str, Value]]:
    """Whose values one entry of the journal replaced, and which. VersionConflictError for what has changed since."""
    entry = journal.get(tx, change_id)
    if entry is None:
        raise NotFoundError(f"there is no change {change_id}", field="change", cure="`accord explain ID` shows them")
    if entry.kind != KIND:
        raise _not_of_a_customer(entry)
    if entry.action in _NO_VALUES:
        problem, _, cure = _no_value(entry).partition("; ")
        raise InvalidInputError(problem, field="change", cure=cure)
    back = {one.field: one.value for one in entry.lost} or {name: old for name, (old, _, _) in entry.changes.items()}
    if field is not None:
        back = {name: value for name, value in back.items() if name == field}
    if not back:
        problem = f"change {change_id} replaced nothing{f' of {field}' if field else ''}"
        cure = "`accord explain ID` shows which change replaced what"
        raise InvalidInputError(problem, field="field" if field else "change", cure=cure)
    owner = customers.by_ids(tx, [entry.record_id])[entry.record_id]
    if owner.deleted_at is not None:
        raise InvalidInputError("its customer was deleted", field="change", cure="`accord customers restore` it")
    if not anyway:
        _refuse_newer(tx, entry, owner, back)
    return owner, back


async def look_first(
    hub: Hub, change_id: int, field: str | None, *, anyway: bool = False
) -> tuple[Customer, dict[str, Value]]:
    """The same as `replaced`, and the systems are asked, too: what somebody changed there since is newer as well."""
    owner, back = await hub.db.read(lambda tx: replaced(tx, change_id, field, anyway=anyway))
    if not anyway:
        pairs = {name: (owner.fields.get(name), value) for name, value in back.items()}
        newer = await newer_elsewhere(hub, {owner.id: pairs})
        _refuse([f"{name}: {reason}" for name, reason in sorted(newer.get(owner.id, {}).items())])
    return owner, back


def _refuse_newer(tx: Tx, entry: Entry, owner: Customer, back: Mapping[str, Value]) -> None:
    """Raise where the registry's value is not any more what it was right after the change, nor what it would be."""
    told = []
    later = [one for one in journal.after(tx, owner.id, entry.id) if one.action in _CHANGES and not _is_of(one, entry)]
    for name, value in sorted(back.items()):
        newer = [one for one in later if name in one.changes]
        now = owner.fields.get(name)
        if newer and now not in (value, newer[0].changes[name][0]):
            at = datetime.fromtimestamp(newer[-1].at, UTC)
            told.append(f"{name} is {spoken(now)} since {at:%Y-%m-%d %H:%M:%S} UTC, by {newer[-1].actor}")
    _refuse(told)


def _refuse(told: Sequence[str]) -> None:
    if told:
        raise VersionConflictError(
            "; ".join(told),
            field="change",
            limit="nothing newer is overwritten",
            cure="`--field` (`field`) undoes another field alone, `--anyway` (`anyway`) all of it nevertheless",
        )


def _is_of(one: Entry, entry: Entry) -> bool:
    """Whether an entry tells of the same decision as another one does."""
    return (one.trace, one.at, one.connection) == (entry.trace, entry.at, entry.connection)


async def look_first_of_run(
    hub: Hub, trace: str, field: str | None, *, anyway: bool = False
) -> tuple[list[Back], list[Kept]]:
    """The same as `of_run`, and the systems are asked, too: what somebody changed there since is kept."""
    backs, kept = await hub.db.read(lambda tx: of_run(tx, trace, field, anyway=anyway))
    if anyway:
        return backs, kept
    newer = await newer_elsewhere(hub, {one.record_id: one.fields for one in backs})
    for one in backs:
        for name, reason in newer.get(one.record_id, {}).items():
            del one.fields[name]
            kept.append(Kept(external_id=one.external_id, change=one.changes[name], field=name, reason=reason))
    return [one for one in backs if one.fields], kept


def of_run(tx: Tx, trace: str, field: str | None, *, anyway: bool = False) -> tuple[list[Back], list[Kept]]:
    """What undoing a run would put back, and what of it cannot be put back.

    A value is put back only where the registry's is still the run's own, unless `anyway`.
    """
    entries = journal.of_trace(tx, trace) if trace else []
    if not entries:
        cure = "an import tells its run, `accord explain ID --json` the `trace` of each change"
        raise NotFoundError(f"there is no run {trace!r}", field="run", cure=cure)
    by_record: dict[str, list[Entry]] = {}
    for entry in entries:
        by_record.setdefault(entry.record_id, []).append(entry)
    owners = customers.by_ids(tx, by_record)
    backs: list[Back] = []
    kept: list[Kept] = []
    for record_id, some in by_record.items():
        back, rest = _of_customer(owners[record_id], some, field, anyway=anyway)
        kept += [*rest, *_homeless(tx, back)]
        if back.fields:
            backs.append(back)
    return backs, kept


def _homeless(tx: Tx, back: Back) -> list[Kept]:
    """A parent that is not there any more, or would close a circle by now, is not put back."""
    if PARENT not in back.fields:
        return []
    try:
        registry.check_above(tx, back.external_id, back.fields[PARENT][1])
    except InvalidInputError as error:
        del back.fields[PARENT]
        return [Kept(external_id=back.external_id, change=back.changes[PARENT], field=PARENT, reason=str(error))]
    return []


def _of_customer(
    owner: Customer, entries: Sequence[Entry], field: str | None, *, anyway: bool
) -> tuple[Back, list[Kept]]:
    kept = [
        Kept(external_id=owner.external_id, change=one.id, field="", reason=reason)
        for one in entries
        if field is None and (reason := _no_value(one))
    ]
    back: dict[str, tuple[Value, Value]] = {}
    is_new = any(one.action == "enter" or (one.action == "create" and one.connection is None) for one in entries)
    own = {} if is_new else _own(entries)
    for name, (change, old, new) in own.items():
        now = owner.fields.get(name)
        if field not in (None, name) or now == old:
            continue
        if owner.deleted_at is not None:
            kept.append(_kept(owner, change, name, "its customer was deleted"))
        elif now != new and not anyway:
            kept.append(_kept(owner, change, name, "the registry's value has changed since"))
        else:
            back[name] = (now, old)
    if not is_new:
        kept += _written_elsewhere(owner, entries, own, field)
    changes = {name: own[name][0] for name in back}
    return Back(record_id=owner.id, external_id=owner.external_id, fields=back, changes=changes), kept


def _own(entries: Sequence[Entry]) -> dict[str, tuple[int, Value, Value]]:
    """What the run as a whole did to the registry, by field: (its last change, the value before, the value after)."""
    found: dict[str, tuple[int, Value, Value]] = {}
    for entry in entries:
        if entry.action in _OF_THE_REGISTRY:
            for name, (old, new, _) in entry.changes.items():
                before = found.get(name)
                # another's change in between is not this run's to take back
                found[name] = (entry.id, before[1] if before and before[2] == old else old, new)
    return found


def _written_elsewhere(
    owner: Customer, entries: Sequence[Entry], own: Mapping[str, object], field: str | None
) -> list[Kept]:
    """Values that were lost at a connection to one of the registry's that the run had not set."""
    return [
        _kept(owner, entry.id, name, f"{entry.connection} had another value; `accord undo {entry.id}` takes it")
        for entry in entries
        if entry.action == "push"
        for name in entry.changes
        if name not in own and field in (None, name) and name != PART_OF
    ]


def _kept(owner: Customer, change: int, field: str, reason: str) -> Kept:
    return Kept(external_id=owner.external_id, change=change, field=field, reason=reason)


def _is_birth(entry: Entry) -> bool:
    """Whether the customer came to be: that replaced nothing, and putting it back would blank it everywhere."""
    return entry.action == "enter" or (entry.action == "create" and entry.connection is None)


def _no_value(entry: Entry) -> str:
    """Why an entry as a whole stays as it is; "" for one that is about values."""
    if entry.action == "delete":
        return "the customer was deleted; `accord customers restore` brings it back"
    if _is_birth(entry):
        return "the customer was created; `accord customers archive` deletes it"
    if entry.action == "restore":
        return "the customer was restored; `accord customers archive` deletes it again"
    if entry.action == "create":
        return f"its object at {entry.connection} was created, and stays; archive it there, if nobody needs it"
    if entry.action in _OF_THE_REGISTRY | {"push", "conflict"} and (entry.changes or entry.lost):
        return ""
    return f"{entry.action} at {entry.connection} is no value"


def put_back(tx: Tx, hub: Hub, back: Back, *, trace: str, actor: str) -> None:
    """Put one customer's values back, if the registry's are still those of the run."""
    owner = customers.by_ids(tx, [back.record_id])[back.record_id]
    if owner.deleted_at is not None or any(owner.fields.get(name) != one[0] for name, one in back.fields.items()):
        raise InvalidInputError("it changed this very moment", field="customer", cure="undo the run again")
    values = {name: old for name, (_, old) in back.fields.items()}
    registry.check_parent(tx, owner.external_id, values.get(PARENT))
    registry.put(tx, hub, owner, values, actor=actor, trace=f"undo:{trace}", action="undo")
