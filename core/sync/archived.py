"""Customers who were archived in the registry: since when, by whom, and what becomes of each of their objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from core.model.match import CUSTOMER_DELETED
from core.model.policy import REGISTRY
from core.store import customers, failures, holds, intents, journal, mappings, observations, tombstones, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.erasing import ERASED
from core.store.holds import Hold
from core.store.journal import Entry
from core.store.mappings import MappingRow
from core.sync.explain import ENTRIES_SHOWN, EVERY, entry_shown, explain, why_it_waits
from core.sync.hub import KIND, Hub

LEFT_ALONE: Final = "it stays as it is"
TIES: Final = frozenset({"enter", "link", "relink", "create", "unlink"})
"""Actions of the journal after which an object is, or is no more, the customer's."""


def explain_any(tx: Tx, hub: Hub, external_id: str) -> dict[str, Any]:
    """The whole story of a customer, live or the last one of that id that was archived. Raises NotFoundError."""
    one = last_archived(tx, external_id)
    return explain_archived(tx, hub, one) if one else {**explain(tx, hub, external_id), "archived": None}


def last_archived(tx: Tx, external_id: str) -> Customer | None:
    """The customer that had this external id last, if it was archived and nobody has the id now."""
    if external_id == ERASED or customers.by_external_ids(tx, [external_id]):
        return None
    return next(iter(customers.archived(tx, external_id)), None)


def archived_at(tx: Tx, customer: Customer) -> dict[str, Any]:
    """When a customer was archived, by whom, and which answer it was if it was one."""
    entries = journal.of_record(tx, customer.id, EVERY)
    entry = next((one for one in entries if one.action == "delete"), None)
    told: dict[str, Any] = {"at": customer.deleted_at, "by": entry.actor if entry else "", "answer": None}
    hold = holds.get(tx, entry.trace) if entry else None
    if hold is not None:
        told["answer"] = {"hold": hold.id, "connection": hold.connection, "reason": hold.reason, "choice": hold.answer}
    return told


def explain_archived(tx: Tx, hub: Hub, customer: Customer) -> dict[str, Any]:
    """The whole story of an archived customer, JSON-able: shaped like that of a live one."""
    entries = journal.of_record(tx, customer.id, EVERY)
    rows = ended_with(tx, customer)
    return {
        "external_customer_id": customer.external_id,
        "id": customer.id,
        "version": customer.version,
        "archived": archived_at(tx, customer),
        "fields": {
            name: {"value": value, "source": customer.sources.get(name, REGISTRY)}
            for name, value in sorted(customer.fields.items())
        },
        "mappings": [_mapping(tx, hub, customer, row, entries) for row in rows],
        "holds": [msgspec.to_builtins(one) for one in holds.listing(tx, record_id=customer.id)],
        "failures": [msgspec.to_builtins(one) for one in failures.of_record(tx, customer.id)],
        "journal": [entry_shown(one) for one in entries[:ENTRIES_SHOWN]],
    }


def ended_with(tx: Tx, customer: Customer) -> list[MappingRow]:
    """Mappings that ended when the customer was archived. Not one before: of an object that was let go for another."""
    rows = mappings.last_of_parts(tx, customer.id)
    return [row for row in rows if row.note == CUSTOMER_DELETED and row.updated_at >= (customer.deleted_at or 0.0)]


def was_archived(row: MappingRow, entries: Sequence[Entry]) -> bool:
    """Whether its object was archived there by us, since its mapping ended."""
    here = (row.connection, row.remote_id)
    found = (one for one in entries if one.action == intents.ARCHIVE and (one.connection, one.remote_id) == here)
    return any(one.at >= row.updated_at for one in found)


def was_let_go(tx: Tx, row: MappingRow, entries: Sequence[Entry]) -> bool:
    """Whether a person had untied it before. `entries`: the customer's, the newest first."""
    if row.id in tombstones.unlinked(tx, [row.id]):
        return True
    here = (one for one in entries if (one.connection, one.remote_id) == (row.connection, row.remote_id))
    return next((one.action for one in here if one.action in TIES), "") == "unlink"


def _mapping(tx: Tx, hub: Hub, customer: Customer, row: MappingRow, entries: Sequence[Entry]) -> dict[str, Any]:
    """One object; `object` is what becomes of it: waiting | in doubt | held | archived | gone | taken | left | none."""
    since = [one for one in entries if one.at >= (customer.deleted_at or 0.0) and one.connection == row.connection]
    since = [one for one in since if one.remote_id == row.remote_id]
    fate, says = _under_way(tx, row) or _done(tx, hub, row, since, is_free=was_let_go(tx, row, entries))
    return {
        "connection": row.connection,
        "part": row.part,
        "state": row.state,
        "remote_id": row.remote_id,
        "id": row.id,
        "object": fate,
        "says": says,
    }


def _under_way(tx: Tx, row: MappingRow) -> tuple[str, str] | None:
    """What is still to happen to it, or is asked."""
    intent = intents.open_of(tx, [row.id]).get(row.id)
    if intent is not None:
        return "in doubt", f"a write to it ({intent.action}) has no known outcome yet: {intent.error or 'just sent'}"
    subject = work.farewell_subject(row.id)
    hold = _open(holds.of_subjects(tx, row.connection, [subject]), subject)
    if hold is not None:
        return "held", f"it is not archived: {hold.detail.get('problem', '')}; answer hold {hold.id}"
    waits = work.waiting(tx, row.connection, [subject]).get(subject)
    if waits is None:
        failure = failures.known(tx, row.connection, [subject]).get(subject)
        return ("held", f"it is not archived: {failure.message}; `accord retry` tries again") if failure else None
    return "waiting", f"waits to be archived there: {why_it_waits(tx, row, subject, waits[0])}"


def _open(held: Mapping[str, Sequence[Hold]], subject: str) -> Hold | None:
    return next((one for one in held.get(subject, ()) if one.state == "open"), None)


def _done(tx: Tx, hub: Hub, row: MappingRow, since: Sequence[Entry], *, is_free: bool) -> tuple[str, str]:
    """What has become of it, or that nothing has. `since`: what the journal knows of it, the newest first."""
    if row.remote_id is None:
        return "none", "it had no object there"
    other = mappings.by_remote_ids(tx, row.connection, KIND, [row.remote_id]).get(row.remote_id)
    if other is not None:
        name = customers.external_ids(tx, [other.record_id]).get(other.record_id, "")
        return "taken", f"it is customer {name}'s now"
    seen = observations.by_ids(tx, row.connection, KIND, [row.remote_id]).get(row.remote_id)
    if any(one.action == intents.ARCHIVE for one in since):
        return "archived", "it was archived there"
    if seen is None or seen.state != "live":
        return "gone", "it is not there any more"
    return "left", f"{LEFT_ALONE}: it was let go of before" if is_free else _left(hub, row, since)


def _left(hub: Hub, row: MappingRow, since: Sequence[Entry]) -> str:
    said = next((one.actor for one in since if one.action == "answer"), "")
    if said:
        return f"{LEFT_ALONE}: {said} said so"
    connection = hub.connections.get(row.connection)
    if connection is None or connection.policy.when_archived == "leave":
        return f"{LEFT_ALONE}, as when_archived says"
    return f"{LEFT_ALONE}: policy did not say so when its customer was archived, or a person rejected it"
