"""Freeze what a verdict wants written into an intent: body and key stay as they are, whatever happens after."""

from __future__ import annotations

from hashlib import blake2b

from core.errors import RejectedError
from core.model.family import PARENT
from core.model.holds import HoldDraft
from core.model.remote import Mark, Patch, Wanted
from core.model.values import PART_OF, Fields
from core.store.customers import Customer
from core.store.intents import Intent
from core.sync.batch import Case
from core.sync.hub import Connection, Hub
from core.sync.refusals import refused, stands


def intent_for(
    hub: Hub, connection: Connection, case: Case, customer: Customer, now: float
) -> tuple[Intent | None, HoldDraft | None, dict[str, tuple[object, object]]]:
    """The frozen write for a verdict; why something cannot be written; and pairs that turn out to be agreed already."""
    is_create = case.found is None
    if not (case.verdict.push or is_create or case.claims_id):
        return None, None, {}
    if is_create and any(one.field == "name" for one in case.verdict.holds):
        return None, None, {}  # an object without its name would help nobody: the whole create waits
    part = connection.parts.named(case.mapping.part)
    if is_create and part is not None and part.key not in case.verdict.push:
        return None, None, {}  # it is known by that value, and it alone keeps a second one from being made
    mark = Mark(hub.instance, case.mapping.id, case.mapping.generation)
    remote = case.kin.remote
    agreed: dict[str, tuple[object, object]] = {}
    problem: HoldDraft | None = None
    for push in _parts(connection, case):
        try:
            patch = _patch(connection, case, customer, mark, push)
        except RejectedError as error:
            problem = refused(error, push)
            continue
        if remote is not None and patch.is_empty:
            agreed |= {name: (value, remote.fields.get(name)) for name, value in push.items()}
        elif stands(case, push, patch.body):
            problem = case.refusal  # which keeps nothing from being written that is written apart
        else:
            return _intent(hub, connection, case, mark, patch, push, now), problem, agreed
    return None, problem, agreed


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
        ahead=connection.skew.ahead,
    )


def _parts(connection: Connection, case: Case) -> list[Fields]:
    """What is written at once: what is written apart waits until everything else of the object is so."""
    push = case.verdict.push
    apart = next((name for name in (PARENT, PART_OF) if name in push and _is_apart(connection, name)), None)
    if apart is None:
        return [push]
    rest = {name: value for name, value in push.items() if name != apart}
    if case.found is None:
        return [rest]
    return [*([rest] if rest or case.claims_id else []), {apart: push[apart]}]


def _is_apart(connection: Connection, name: str) -> bool:
    """Whether a tie to another object is written by a call of its own."""
    hierarchy = connection.manifest.hierarchy
    return name == PART_OF or (name == PARENT and hierarchy is not None and hierarchy.is_apart)


def _patch(connection: Connection, case: Case, customer: Customer, mark: Mark, push: Fields) -> Patch:
    """Marker and external id ride along with a write; they never cause one."""
    remote, part = case.kin.remote, case.mapping.part
    is_alone = any(_is_apart(connection, name) for name in push)
    needs_id = (remote is None or remote.external_id is None or case.claims_id) and not part
    wanted = Wanted(
        fields=push,
        part=part,
        parent_id=case.kin.parent_id if push.get(PARENT) else None,
        mark=str(mark) if (remote is None or remote.accord_ref is None) and not is_alone else None,
        external_id=customer.external_id if needs_id and not is_alone else None,
    )
    return connection.translator.patch(wanted, case.found.raw if case.found else None)


def create_key(mark: Mark, connection: str) -> str:
    """The idempotency key of a create: the same after a crash, another one for every generation (32 hex digits)."""
    return blake2b(f"{mark}@{connection}".encode(), digest_size=16).hexdigest()
