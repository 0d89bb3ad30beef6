"""Customers that have no object at a connection yet: linked to an unmapped double, held, left out, or to be created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from core.model.family import Kin
from core.model.holds import LOST_CREATE
from core.model.keys import email_key
from core.model.match import ANSWERED, NEVER_AGAIN, Double, Match, match_before_create
from core.model.policy import ConnectionPolicy
from core.model.remote import Mark
from core.model.values import blank
from core.store import customers, failures, journal, mappings, observations, work
from core.store import holds as hold_rows
from core.store.customers import Customer
from core.store.database import Tx
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.store.work import DirtyRow
from core.sync.batch import Batch, Case, as_of_now
from core.sync.documents.marking import part_placed
from core.sync.failing import dealt_with
from core.sync.family import Family
from core.sync.hub import KIND, Connection, Hub
from core.sync.ladder import forgotten_by_name, name_as_there
from core.sync.outcome import Outcome
from core.sync.refusals import refusal_in
from core.sync.unsure import Unsure
from core.sync.verdicts import verdict_on
from core.sync.wanted import set_aside, why_not

IN_QUESTION: Final = "its object there may be another customer's, about which a person is asked (lost_create)"


def create_cases(tx: Tx, hub: Hub, connection: Connection, batch: Batch, outcome: Outcome) -> list[Case]:
    """Customers without an object here: linked to an unmapped double, held, left out, or to be created."""
    rows = {mapping.id: row for row, mapping in batch.pending}
    if batch.state.restored_at is not None:
        # what a restored database has forgotten is looked for first: it must not be made a second time
        later = hub.clock.now() + hub.timing.first_back_off
        work.postpone(tx, connection.name, {row.subject: later for row in rows.values()}, is_attempt=False)
        return []
    current = as_of_now(tx, [mapping for _, mapping in batch.pending])
    dealt_with(tx, connection, [row for name, row in rows.items() if name not in current])
    # one that was linked or left out meanwhile is still dirty, and sorted anew
    current = {name: pair for name, pair in current.items() if pair[0].state == "pending"}
    held = hold_rows.of_subjects(tx, connection.name, [work.mapping_subject(one) for one in current])
    current = _without_asked(tx, connection, rows, current, held)
    family = Family(tx, connection, [one for _, one in current.values()])
    current = _without_resting(tx, connection, rows, current, family)
    doubles = _doubles(tx, hub, connection, current)
    if doubles:
        unsure = Unsure(tx, connection)
        doubles = _without_strangers(doubles, unsure)
        current = _without_unsure(tx, hub, connection, rows, current, doubles, unsure)
    cases = []
    for name, (mapping, customer) in current.items():
        holds_here = held.get(work.mapping_subject(name), ())
        there, answer = doubles.get(name, ()), hold_rows.answers(holds_here).get("")
        found = match_before_create(there, _policy(tx, connection, mapping, customer, there), answer)
        if found.kind == "enter" and (reason := why_not(hub, connection, customer, mapping)):
            set_aside(tx, hub, connection, rows[name], mapping, holds_here, reason)
        elif found.kind == "enter" and not mapping.part and (why := family.must_wait(customer)):
            _wait_for_parent(tx, hub, connection, rows[name], why)
        elif found.kind == "enter":
            kin = family.kin(customer, None)
            cases.append(_case(hub, connection, rows[name], mapping, customer, kin, holds_here))
        else:
            _not_created(tx, hub, connection, rows[name], mapping, found, outcome)
    return cases


def _case(
    hub: Hub,
    connection: Connection,
    row: DirtyRow,
    mapping: MappingRow,
    customer: Customer,
    kin: Kin,
    held: Sequence[Hold],
) -> Case:
    verdict = verdict_on(hub, connection, customer, mapping, kin, held)
    return Case(row, mapping, customer, None, kin, verdict, refusal=refusal_in(held))


def _wait_for_parent(tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, why: str) -> None:
    until = hub.clock.now() + hub.timing.longest_back_off  # it is marked as soon as its parent is there
    work.postpone(tx, connection.name, {row.subject: until}, is_attempt=False, reason=why)
    failures.resolve(tx, connection.name, [row.subject])  # what failed was tried before it had that parent


def _without_asked(
    tx: Tx,
    connection: Connection,
    rows: Mapping[str, DirtyRow],
    current: Mapping[str, tuple[MappingRow, Customer]],
    held: Mapping[str, Sequence[Hold]],
) -> dict[str, tuple[MappingRow, Customer]]:
    """Whether a create has made its object is for a person to say: an edit meanwhile would make a second one."""
    open_ = [one for some in held.values() for one in some if one.state == "open"]
    asked = {one.subject[2:] for one in open_ if one.reason == LOST_CREATE or one.detail.get("rung") == ANSWERED}
    dealt_with(tx, connection, [rows[name] for name in asked])
    return {name: pair for name, pair in current.items() if name not in asked}


def _without_resting(
    tx: Tx,
    connection: Connection,
    rows: Mapping[str, DirtyRow],
    current: Mapping[str, tuple[MappingRow, Customer]],
    family: Family,
) -> dict[str, tuple[MappingRow, Customer]]:
    """A part is not made before its whole is there, nor without its key; either marks it again."""
    resting = []
    for name, (mapping, customer) in current.items():
        part = connection.parts.named(mapping.part)
        is_ready = part is not None and not blank(customer.fields.get(part.key)) and family.kin(customer, None).whole_id
        if mapping.part and not is_ready:
            resting.append(name)
    dealt_with(tx, connection, [rows[name] for name in resting])
    return {name: pair for name, pair in current.items() if name not in resting}


def _policy(
    tx: Tx, connection: Connection, mapping: MappingRow, customer: Customer, doubles: Sequence[Double]
) -> ConnectionPolicy:
    """An object with an id or a marker may be a customer of its own, and one e-mail of two customers is no word."""
    ids = [one.remote_id for one in doubles if one.rung == "e-mail" and mapping.part]
    if not ids:
        return connection.policy
    key = customers.key_of(customer)
    seen = observations.by_ids(tx, connection.name, KIND, ids).values()
    is_marked = any(one.remote.external_id or one.remote.accord_ref for one in seen)
    if is_marked or len(customers.by_email_keys(tx, [key]).get(key, ())) > 1:
        return msgspec.structs.replace(connection.policy, match_email=False)
    return connection.policy


def _without_strangers(doubles: Mapping[str, Sequence[Double]], unsure: Unsure) -> dict[str, list[Double]]:
    return {
        name: [one for one in some if (name, one.remote_id) not in unsure.strangers] for name, some in doubles.items()
    }


def _without_unsure(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    rows: Mapping[str, DirtyRow],
    current: Mapping[str, tuple[MappingRow, Customer]],
    doubles: Mapping[str, Sequence[Double]],
    unsure: Unsure,
) -> dict[str, tuple[MappingRow, Customer]]:
    """Whose double may be what another customer's create has made waits: it would take that one's object."""
    now = hub.clock.now()
    ids = {one.remote_id for some in doubles.values() for one in some}
    whys = {name: unsure.why(one.remote) for name, one in observations.by_ids(tx, connection.name, KIND, ids).items()}
    soon, asked = {}, {}
    for name, some in doubles.items():
        why = {whys.get(one.remote_id, "") for one in some} - {""}
        if why == {"asked"}:
            asked[name] = now + hub.timing.longest_back_off
        elif why:
            soon[name] = max(now + hub.timing.first_back_off, unsure.until)
    for waits, reason in ((soon, None), (asked, IN_QUESTION)):
        until = {rows[name].subject: at for name, at in waits.items()}
        work.postpone(tx, connection.name, until, is_attempt=False, reason=reason)
    failures.resolve(tx, connection.name, [rows[name].subject for name in asked])
    return {name: pair for name, pair in current.items() if name not in soon and name not in asked}


def _not_created(
    tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, mapping: MappingRow, found: Match, outcome: Outcome
) -> None:
    now = hub.clock.now()
    if found.kind == "link" and any(one.remote_id == found.remote_id for one in outcome.mappings):
        return  # another customer of this batch has just taken it: still dirty, matched again without it
    if found.kind == "link" and found.remote_id not in mappings.by_remote_ids(
        tx, connection.name, KIND, [found.remote_id]
    ):
        linked = msgspec.structs.replace(mapping, remote_id=found.remote_id, state="live", updated_at=now)
        outcome.mappings.append(linked)
        outcome.entries.append(journal.about(linked, at=now, action="link", actor=found.rung, trace=row.trace))
        if linked.part:
            part_placed(tx, hub, connection, linked.record_id, row.trace)
        return  # still dirty: the next pass reads the object and merges
    if found.kind == "ignore":
        outcome.mappings.append(msgspec.structs.replace(mapping, state="excluded", note=found.rung, updated_at=now))
    drafts = [found.hold] if found.hold else []
    subject = work.mapping_subject(mapping.id)
    outcome.held.append(hold_rows.Held(subject=subject, record_id=mapping.record_id, drafts=drafts, trace=row.trace))
    outcome.done.append(row)


def _doubles(
    tx: Tx, hub: Hub, connection: Connection, current: Mapping[str, tuple[MappingRow, Customer]]
) -> dict[str, list[Double]]:
    """Unmapped objects here that could be one of these customers, by mapping."""
    marks = {name: str(Mark(hub.instance, name, mapping.generation)) for name, (mapping, _) in current.items()}
    emails = {name: email_key(str(customer.fields.get("email") or "")) for name, (_, customer) in current.items()}
    by_mark = observations.doubles(tx, connection.name, KIND, "accord_ref", marks.values())
    external = [customer.external_id for _, customer in current.values()]
    by_external = observations.doubles(tx, connection.name, KIND, "external_id", external)
    by_email = observations.doubles(tx, connection.name, KIND, "email_key", emails.values())
    forgotten = forgotten_by_name(tx, connection) if current else {}
    found: dict[str, list[Double]] = {}
    for name, (mapping, customer) in current.items():
        here = [Double(one, "marker") for one in by_mark.get(marks[name], ())]
        mailed = _fitting(connection, mapping, customer, by_email.get(emails[name], ()))
        if not mapping.part:
            here += [Double(one, "external id") for one in by_external.get(customer.external_id, ())]
        here += [Double(one, "e-mail") for one in mailed]
        if not mapping.part:
            here += [Double(one, "name") for one in forgotten.get(name_as_there(connection, customer.fields), ())]
        if here:
            found[name] = here
    return _of_the_living(tx, connection, found)


def _fitting(connection: Connection, mapping: MappingRow, customer: Customer, ids: Sequence[str]) -> list[str]:
    """Objects with a customer's e-mail that this mapping may be about: what could be its part is not its whole."""
    if part := connection.parts.named(mapping.part):
        return [one for one in ids if one.startswith(part.ids)]
    others = tuple(one.ids for one in connection.parts.of_whole(None, customer.fields))
    return [one for one in ids if not one.startswith(others)] if others else list(ids)


def _of_the_living(tx: Tx, connection: Connection, found: Mapping[str, list[Double]]) -> dict[str, list[Double]]:
    """Without what has ended for good: an external id that is used again never joins the old objects."""
    ids = [one.remote_id for doubles in found.values() for one in doubles]
    ended = mappings.ended_notes(tx, connection.name, KIND, ids)
    return {
        name: [one for one in doubles if ended.get(one.remote_id) not in NEVER_AGAIN] for name, doubles in found.items()
    }
