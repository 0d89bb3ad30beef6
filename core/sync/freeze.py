"""Freeze what a verdict wants written into an intent: body and key stay as they are, whatever happens after."""

from __future__ import annotations

from hashlib import blake2b

from core.errors import RejectedError
from core.model.family import PARENT
from core.model.holds import HoldDraft
from core.model.remote import Mark, Patch, Wanted
from core.model.values import Fields
from core.store.customers import Customer
from core.store.intents import Intent
from core.sync.batch import Case
from core.sync.hub import Connection, Hub
from core.sync.refusals import refused, stands


def intent_for(
    hub: Hub, connection: Connection, case: Case, customer: Customer, now: float
) -> tuple[Intent | None, HoldDraft | None, dict[str, tuple[object, object]]]:
    """The frozen write for a verdict; or why there can be none; or pairs that turn out to be agreed already."""
    is_create = case.found is None
    if not (case.verdict.push or is_create or case.claims_id):
        return None, None, {}
    if is_create and any(one.field == "name" for one in case.verdict.holds):
        return None, None, {}  # an object without its name would help nobody: the whole create waits
    mark = Mark(hub.instance, case.mapping.id, case.mapping.generation)
    remote = case.kin.remote
    agreed: dict[str, tuple[object, object]] = {}
    for push in _parts(connection, case):
        try:
            patch = _patch(connection, case, customer, mark, push)
        except RejectedError as error:
            return None, refused(error, push), agreed
        if remote is None or not patch.is_empty:
            intent = _intent(hub, connection, case, mark, patch, push, now)
            return (None, case.refusal, agreed) if stands(case, push, patch.body) else (intent, None, agreed)
        agreed |= {name: (value, remote.fields.get(name)) for name, value in push.items()}
    return None, None, agreed


def _intent(hub: Hub, connection: Connection, case: Case, mark: Mark, patch: Patch, push: Fields, now: float) -> Intent:
    is_create, remote = case.found is None, case.kin.remote
    return Intent(
        id=hub.ids.new(),
        connection=connection.name,
        mapping_id=case.mapping.id,
        action="create" if is_create else "update",
        key=create_key(mark, connection.name) if is_create else hub.ids.new(),
        body=patch.body,
        wanted=dict(push),
        before={name: remote.fields.get(name) for name in push} if remote else {},
        remote_id=case.mapping.remote_id,
        sent_at=now,
        trace=case.row.trace,
    )


def _parts(connection: Connection, case: Case) -> list[Fields]:
    """What is written at once: a parent that is written apart waits until everything else of the object is so."""
    push, hierarchy = case.verdict.push, connection.manifest.hierarchy
    if PARENT not in push or hierarchy is None or not hierarchy.is_apart:
        return [push]
    rest = {name: value for name, value in push.items() if name != PARENT}
    if case.found is None:
        return [rest]
    return [*([rest] if rest or case.claims_id else []), {PARENT: push[PARENT]}]


def _patch(connection: Connection, case: Case, customer: Customer, mark: Mark, push: Fields) -> Patch:
    """Marker and external id ride along with a write; they never cause one."""
    remote, hierarchy = case.kin.remote, connection.manifest.hierarchy
    is_alone = hierarchy is not None and hierarchy.is_apart and PARENT in push
    needs_id = remote is None or remote.external_id is None or case.claims_id
    wanted = Wanted(
        fields=push,
        parent_id=case.kin.parent_id if push.get(PARENT) else None,
        mark=str(mark) if (remote is None or remote.accord_ref is None) and not is_alone else None,
        external_id=customer.external_id if needs_id and not is_alone else None,
    )
    return connection.translator.patch(wanted, case.found.raw if case.found else None)


def create_key(mark: Mark, connection: str) -> str:
    """The idempotency key of a create: the same after a crash, another one for every generation (32 hex digits)."""
    return blake2b(f"{mark}@{connection}".encode(), digest_size=16).hexdigest()
