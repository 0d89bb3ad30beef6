"""Every system's value of every field of one customer, who owns it, what happened last, what is pending and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from core.model.documents import KINDS
from core.model.family import Kin
from core.model.figures import CURRENCY, in_currency
from core.model.pace import GIVES_WAY
from core.model.policy import REGISTRY
from core.store import (
    connections,
    customers,
    documents,
    failures,
    holds,
    inbox,
    intents,
    journal,
    leaving,
    mappings,
    observations,
    ownerless,
    work,
)
from core.store.connections import ConnectionRow
from core.store.customers import Customer
from core.store.database import Tx
from core.store.journal import Entry
from core.store.mappings import MappingRow
from core.sync import guard, registry
from core.sync.documents.standing import BASE
from core.sync.family import Family
from core.sync.hub import KIND, Connection, Hub
from core.sync.verdicts import verdict_on
from core.sync.wanted import NAMELESS, NOT_WANTED

ENTRIES_SHOWN = 30
EVERY = 1_000_000


def explain(tx: Tx, hub: Hub, external_id: str) -> dict[str, Any]:
    """The whole story of one customer, JSON-able. Raises NotFoundError."""
    customer = registry.get(tx, external_id)
    rows = mappings.of_records(tx, [customer.id]).get(customer.id, [])
    return {
        "external_customer_id": customer.external_id,
        "id": customer.id,
        "version": customer.version,
        "fields": {
            name: {"value": value, "source": customer.sources.get(name, REGISTRY)}
            for name, value in sorted(customer.fields.items())
        },
        "mappings": [
            _mapping(tx, hub, customer, row) for row in sorted(rows, key=lambda one: (one.connection, one.part))
        ],
        "holds": [msgspec.to_builtins(one) for one in holds.listing(tx, record_id=customer.id)],
        "failures": [msgspec.to_builtins(one) for one in failures.of_record(tx, customer.id)],
        "journal": [entry_shown(one) for one in journal.of_record(tx, customer.id, ENTRIES_SHOWN)],
    }


def _mapping(tx: Tx, hub: Hub, customer: Customer, row: MappingRow) -> dict[str, Any]:
    """One connection's side: what was last seen there, what was agreed, what a reconcile would do, what waits."""
    shown: dict[str, Any] = {
        "connection": row.connection,
        "part": row.part,
        "state": row.state,
        "remote_id": row.remote_id,
        "id": row.id,
    }
    subject = work.mapping_subject(row.id)
    waits = work.waiting(tx, row.connection, [subject]).get(subject)
    if waits:
        shown["waits"] = {
            "reason": why_it_waits(tx, row, subject, waits[0]),
            "not_before": waits[1],
            "attempts": waits[2],
        }
    intent = intents.open_of(tx, [row.id]).get(row.id)
    if intent:
        shown["write_in_doubt"] = {"action": intent.action, "state": intent.state, "problem": intent.error}
    connection = hub.connections.get(row.connection)
    seen = observations.by_ids(tx, row.connection, KIND, [row.remote_id]).get(row.remote_id) if row.remote_id else None
    if connection is None or seen is None:
        return shown
    held = holds.of_subjects(tx, row.connection, [subject]).get(subject, ())
    kin = Family(tx, connection, [customer], [seen.remote]).kin(customer, seen.remote)
    verdict = verdict_on(hub, connection, customer, row, kin, held)
    if row.part and (why := _rests(connection, row, kin)):
        shown["rests"] = why
    if verdict.awaits or kin.is_unknown:
        shown["parent_waits"] = verdict.awaits or f"{seen.remote.parent_id} above it is no customer's object yet"
    fields, currencies = {}, row.base.get(CURRENCY, (None, None))
    kept = connection.parts.projection(row.part, row.remote_id, customer.fields) or connection.projection
    there = (kin.remote or seen.remote).fields
    for name, value in sorted(there.items()):
        if not kept.covers(name) and (row.part or connection.projection.covers(name)):
            continue  # another object of the customer's holds it
        rule = hub.policy.rule(row.connection, name)
        base = row.base.get(name)
        fields[name] = {
            "value": in_currency(name, value, there.get(CURRENCY)),
            "agreed": None if base is None else [*map(partial(in_currency, name), base, currencies)],
            "flow": rule.flow,
            "on_conflict": list(rule.ranks) or "hold",
            "next": _next(name, verdict.rules, verdict.pull, verdict.push),
        }
    return shown | {
        "fields": fields,
        "unreadable": seen.remote.unreadable,
        "not_synced": connection.manifest.not_synced,
    }


def _rests(connection: Connection, row: MappingRow, kin: Kin) -> str:
    """Why nothing is decided about a part now; "" when it is."""
    if connection.parts.named(row.part) is None:
        return f"{connection.name} does not ask for it any more"
    return "" if kin.whole_id else "what it is a part of is not there"


def why_it_waits(tx: Tx, row: MappingRow, subject: str, reason: str) -> str:
    """Why a mapping waits; one that the mass-change stop parked names the hold that must be answered."""
    parked = work.parked_by(tx, row.connection, subject)
    if parked is None:
        return reason
    if parked == work.UNWANTED:
        return reason if reason.startswith(NAMELESS) else NOT_WANTED
    if parked == work.OBSERVED:
        return f"{reason}; until {row.connection} is activated"
    if parked == work.NEW_POLICY:
        return f"{reason}; until everybody was looked at"
    if parked != guard.PARKED:
        return f"{reason}; until its sweep ends"
    found = holds.of_subjects(tx, row.connection, [guard.SUBJECT]).get(guard.SUBJECT, ())
    names = [one.id for one in found if one.state == "open"]
    return f"{reason}; stopped as part of a mass change: hold {', '.join(names) or 'answered with reject'}"


def _next(name: str, rules: dict[str, str], pull: dict[str, Any], push: dict[str, Any]) -> str:
    if name in pull:
        return f"take: {rules.get(name, '')}"
    if name in push:
        return f"write: {rules.get(name, '')}"
    return ""


def entry_shown(entry: Entry) -> dict[str, Any]:
    """A journal entry as people see it; `change` is what `accord undo` takes."""
    return {
        "change": entry.id,
        "at": entry.at,
        "action": entry.action,
        "connection": entry.connection,
        "remote_id": entry.remote_id,
        "actor": entry.actor,
        "trace": entry.trace,
        "changes": {name: {"old": old, "new": new, "rule": rule} for name, (old, new, rule) in entry.changes.items()},
        "lost": [msgspec.to_builtins(one) for one in entry.lost],
    }


def status(tx: Tx, hub: Hub, count_unequal: Callable[[Tx, str, str], int] = documents.count_unequal) -> dict[str, Any]:
    """How every connection stands, in numbers. `count_unequal` compares all copies: who asks often has it remember."""
    waiting, letters = work.counts(tx), inbox.counts(tx)
    held, failed = holds.counts(tx), failures.counts(tx)
    shown = []
    for row in connections.every(tx):
        name = row.name
        changes = connections.cursor(tx, name, KIND, "changes")
        allowances = _allowances(tx, hub, row)
        shown.append(
            {
                "connection": name,
                "provider": row.provider,
                "account": row.account_title or row.account_id,
                "state": row.state,
                "is_configured": name in hub.connections,
                "mappings": mappings.count(tx, name, "live", part=""),
                "pending": mappings.count(tx, name, "pending", part=""),
                "gone": mappings.count(tx, name, "gone", part=""),
                "parts": _parts(tx, hub, name),
                "documents": _documents(tx, hub, name, count_unequal),
                "objects": observations.count(tx, name, KIND),
                "erased": observations.count(tx, name, KIND, observations.ERASED),
                "waiting": waiting.get(name, 0) - _parked(tx, name),
                "to_archive": leaving.count(tx, name),
                "inbox": letters.get((name, "new"), 0),
                "poison": letters.get((name, "poison"), 0),
                "held": sum(times for (where, _), times in held.items() if where == name),
                "failing": failed.get((name, "retrying"), 0),
                "dead": failed.get((name, "dead"), 0),
                "in_doubt": len(intents.all_open(tx, name)),
                # not when its cursor ended: that is blank from when one is asked for until it has ended
                "last_full_sweep": row.swept_at,
                "last_changes": changes.started_at,
                "allowances": allowances,
                "changes_every": _changes_every(hub, allowances),
                "rest": _rest(hub, row),
                "paused_until": row.paused_until,
                "restored_at": row.restored_at,
                "error": row.error,
                "error_code": row.error_code,
            }
        )
    return {
        "customers": customers.count(tx),
        "connections": shown,
        "holds": sum(held.values()),
        "failures": sum(failed.values()),
    }


def _parked(tx: Tx, name: str) -> int:
    """What waits for no time and no answer: for its customer to be known, or for policy to want it."""
    return work.count_parked(tx, name, ownerless.PARKED) + work.count_parked(tx, name, work.UNWANTED)


def _documents(tx: Tx, hub: Hub, name: str, count_unequal: Callable[[Tx, str, str], int]) -> dict[str, int] | None:
    """How many documents a connection has; how many copies are not equal, are still to be made, are held.

    `ownerless`: not taken, because nobody knows their customer.
    """
    policy = hub.connections[name].policy.documents if name in hub.connections else None
    if policy is None or not (policy.originates or policy.mirrors):
        return None
    asked = [one.subject[2:] for one in holds.listing(tx, connection=name) if one.subject.startswith("m:")]
    held = [row for row in mappings.by_ids(tx, asked).values() if row.kind in KINDS]
    states = {"mappings": "live", "pending": "pending"}
    found = {key: sum(mappings.count(tx, name, state, kind=kind) for kind in KINDS) for key, state in states.items()}
    unequal, unknown = count_unequal(tx, name, BASE), work.count_parked(tx, name, ownerless.PARKED)
    return {**found, "unequal": unequal, "held": len(held), "ownerless": unknown}


def _parts(tx: Tx, hub: Hub, name: str) -> list[dict[str, Any]]:
    """How many of each part that a connection asks for stand how."""
    connection = hub.connections.get(name)
    states = {"mappings": "live", "pending": "pending", "gone": "gone"}
    return [
        {"part": one.name, "title": one.title}
        | {key: mappings.count(tx, name, state, part=one.name) for key, state in states.items()}
        for one in (connection.parts.asked if connection else ())
    ]


def _allowances(tx: Tx, hub: Hub, row: ConnectionRow) -> list[dict[str, Any]]:
    connection = hub.connections.get(row.name)
    if connection is None:
        return []
    full_calls = connection.full_calls(row.listed)
    return connection.meter.standing(tx, row.name, hub.timing.pace, full_calls, hub.clock.now())


def _changes_every(hub: Hub, allowances: Sequence[Mapping[str, Any]]) -> float:
    """Seconds from one look for changes to the next, as far as every allowance lets it."""
    return max((one["changes_every"] for one in allowances), default=hub.timing.changes_every)


def _rest(hub: Hub, row: ConnectionRow) -> dict[str, Any] | None:
    """Which sweeps wait, why, and until when; None where none does."""
    if not row.rests or (row.rests_until or 0.0) <= hub.clock.now():
        return None
    reason = f"less than {GIVES_WAY[row.rests]:.0%} is left of the calls that the provider allows all apps until then"
    return {"sweeps": row.rests, "reason": reason, "until": row.rests_until}
