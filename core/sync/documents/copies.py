"""What was decided on copies becomes rows: intents, holds, waits, agreement; each after a fresh look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

import msgspec

from core.errors import BugError
from core.model import holds
from core.model.holds import HoldDraft
from core.model.paper import Step
from core.model.remote import Mark
from core.model.values import Value
from core.store import customers, documents, failures, intents, mappings, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.erasing import ERASED
from core.store.intents import Intent
from core.store.mappings import MappingRow
from core.store.text import dump
from core.sync.batch import Report
from core.sync.documents import by_hand
from core.sync.documents.balances import (
    base_of,
    wake_beside,
    wake_doubted,
    wake_its_invoices,
    wake_what_settles_it,
)
from core.sync.documents.deciding import Verdict, verdict_on
from core.sync.documents.foreseeing import Foresight, wake_unmade
from core.sync.documents.marking import mark_mappings
from core.sync.documents.standing import BASE, ENTITY, OTHERS, UNFOUND, Copy, is_equal
from core.sync.documents.wanting import CUSTOMER, INVOICE, Later
from core.sync.failing import Trouble, back_off, dealt_with, record_trouble
from core.sync.grouping import steps_in_rounds
from core.sync.hub import Connection, Hub

CREATE = "create"
ADDS = "adds"
"""In an intent's `wanted`: sent twice, it would be there twice."""
KEY_TRIES = 4
"""After so many unanswered ones, what became of a step is looked for."""


def decide(tx: Tx, hub: Hub, connection: Connection, copies: Sequence[Copy], report: Report) -> list[tuple[Copy, Step]]:
    """The next step of each copy; what agrees, waits, or is held, is dealt with here. Intents come with `commit`."""
    mappings.lock(tx, [one.mapping.id for one in copies])
    now_mapped = mappings.by_ids(tx, [one.mapping.id for one in copies])
    papers = documents.by_ids(tx, [one.paper.id for one in copies])
    found, foresight = [], Foresight(tx, hub, connection)
    for one in copies:
        mapping, paper = now_mapped[one.mapping.id], papers[one.paper.id]
        if mapping.state in (mappings.ENDED, "excluded") or mapping.remote_id != one.mapping.remote_id:
            continue  # let go of, or linked elsewhere, meanwhile: sorted anew
        copy = replace(one, mapping=mapping, paper=paper)
        verdict = verdict_on(tx, hub, connection, copy, foresight)
        if verdict.is_over:
            _end(tx, hub, connection, copy)
            continue
        step = _step(tx, hub, connection, copy, verdict, report)
        if step is not None:
            found.append((copy, step))
    return found


def _step(tx: Tx, hub: Hub, connection: Connection, copy: Copy, verdict: Verdict, report: Report) -> Step | None:
    if verdict.later is not None:
        _wait(tx, hub, connection, copy, verdict.later, report)
    elif verdict.draft is not None:
        seen = base_of(verdict.balance) if verdict.balance is not None else None
        hold(tx, hub, connection, copy, verdict.draft, seen)
        report.held += 1
    elif verdict.trouble is not None:
        raw = ascii(copy.raw) if copy.raw else ""
        trouble = Trouble(verdict.trouble, raw=raw, record_id=copy.paper.customer_id)
        record_trouble(tx, hub, connection, {copy.row: trouble})
        report.failed += 1
    elif verdict.step is None:
        _compared(tx, hub, connection, copy, verdict, report)
    return verdict.step


def _wait(tx: Tx, hub: Hub, connection: Connection, copy: Copy, later: Later, report: Report) -> None:
    has_nothing_to_write = later.of == CUSTOMER and is_equal(copy.paper, copy.mapping)
    if has_nothing_to_write and _rests(tx, connection, copy.paper.customer_id):
        dealt_with(tx, connection, [copy.row])
        return
    # it is looked at as soon as its customer has an object: until then no more often than everything is
    pause = hub.timing.full_every if has_nothing_to_write else back_off(hub.timing, copy.row.attempts)
    wait(tx, connection, copy, report, why=str(later), until=hub.clock.now() + pause)
    if later.of == INVOICE:
        wake_unmade(tx, hub, connection, copy)


def _rests(tx: Tx, connection: Connection, customer_id: str) -> bool:
    """Whose customer was erased, or archived and the object there with it: equal, it stays so until something changes.

    Whoever is archived, and has lost an object otherwise, may be brought back and get another one: those wait for it.
    """
    owner = customers.by_ids(tx, [customer_id]).get(customer_id)
    if owner is None or owner.deleted_at is None:
        return False
    return owner.external_id == ERASED or connection.policy.when_archived == "archive"


def wait(tx: Tx, connection: Connection, copy: Copy, report: Report, *, why: str, until: float) -> None:
    """Something that a copy needs is not there yet: looked at again then, or when it is."""
    work.postpone(tx, connection.name, {copy.row.subject: until}, reason=why)
    # what failed was tried for a customer or an invoice that is not there any more
    failures.resolve(tx, connection.name, [copy.subject])
    report.waiting += 1


def _compared(tx: Tx, hub: Hub, connection: Connection, copy: Copy, verdict: Verdict, report: Report) -> None:
    """There is nothing to write: agreed, unless the balance is wrong."""
    balance = verdict.balance
    if verdict.stays_asked:
        dealt_with(tx, connection, [copy.row])
    elif balance is None:
        _agree(tx, hub, connection, copy, _others_seen(copy.mapping))
    elif balance.draft is None:
        _agree(tx, hub, connection, copy, base_of(balance))
    else:
        hold(tx, hub, connection, copy, balance.draft, base_of(balance))
        report.held += 1


def _end(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> None:
    note = "void before it was copied" if copy.paper.document.status == "void" else "not wanted here by policy any more"
    ended = msgspec.structs.replace(copy.mapping, state=mappings.ENDED, note=note, updated_at=hub.clock.now())
    mappings.update(tx, [ended])
    about = mappings.of_records(tx, documents.about(tx, [copy.paper.id]).get(copy.paper.id, ()))
    here = [row for rows in about.values() for row in rows if row.connection == connection.name]
    mark_mappings(tx, hub, here, reason="its invoice gets no copy here", trace=copy.row.trace)
    close_holds(tx, hub, connection, copy)
    dealt_with(tx, connection, [copy.row])


def _agree(tx: Tx, hub: Hub, connection: Connection, copy: Copy, more: Mapping[str, tuple[Value, Value]]) -> None:
    """The copy is what the document says: whatever was asked or failed about it is moot."""
    if copy.raw is None:
        raise BugError(f"{connection.manifest.title} has nothing to write for a copy that is not there")
    base = {**_kept(copy.mapping), BASE: (copy.paper.digest, copy.paper.digest), **more}
    if (copy.mapping.base, copy.mapping.state) != (base, "live"):
        mappings.update(
            tx, [msgspec.structs.replace(copy.mapping, base=base, state="live", updated_at=hub.clock.now())]
        )
        wake_its_invoices(tx, hub, connection, copy)
        wake_what_settles_it(tx, hub, connection, copy, base)
    close_holds(tx, hub, connection, copy)
    dealt_with(tx, connection, [copy.row])
    failures.resolve(tx, connection.name, [copy.subject])


def _kept(row: MappingRow) -> dict[str, tuple[Value, Value]]:
    """What a person has said, or is asked, stays in a base, whatever becomes of the comparison."""
    return by_hand.kept(row) | {name: pair for name, pair in row.base.items() if name in (ENTITY, UNFOUND)}


def _others_seen(row: MappingRow) -> dict[str, tuple[Value, Value]]:
    return {name: pair for name, pair in row.base.items() if name == OTHERS}


def close_holds(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> None:
    """Whatever was asked about a copy is moot."""
    known = hold_rows.of_subjects(tx, connection.name, [copy.subject])
    nothing = hold_rows.Held(subject=copy.subject, record_id=None, drafts=[])
    hold_rows.settle(tx, hub.ids, connection.name, [nothing], known, hub.clock.now())
    hold_rows.spend(
        tx, connection.name, [(copy.subject, name) for name in hold_rows.answers(known.get(copy.subject, ()))]
    )


def hold(
    tx: Tx,
    hub: Hub,
    connection: Connection,
    copy: Copy,
    draft: HoldDraft,
    others: Mapping[str, tuple[Value, Value]] | None = None,
) -> None:
    """Ask a person about a copy; it is looked at again when its document or the answer changes.

    `others`: what is booked on it by hand; None where nobody looked. Then what was seen last stands: forgotten, it
    would be booked a second time.
    """
    mappings.lock(tx, [copy.mapping.id])
    copy = replace(copy, mapping=mappings.by_ids(tx, [copy.mapping.id])[copy.mapping.id])
    if copy.mapping.state in (mappings.ENDED, "excluded"):
        # let go of while a provider was asked: what was read before that must not undo it
        dealt_with(tx, connection, [copy.row])
        return
    known = hold_rows.of_subjects(tx, connection.name, [copy.subject])
    if draft.reason == holds.BY_HAND and hold_rows.standing(known.get(copy.subject, ())) != {
        draft.field: (draft.reason, draft.digest)
    }:
        # a question of its own: who booked what the old one named must not be taken to have booked this
        close_holds(tx, hub, connection, copy)
        known = {}
    held = hold_rows.Held(subject=copy.subject, record_id=copy.paper.customer_id, drafts=[draft], trace=copy.row.trace)
    base = {**_kept(copy.mapping), **(_others_seen(copy.mapping) if others is None else others)}
    is_new = bool(hold_rows.settle(tx, hub.ids, connection.name, [held], known, hub.clock.now()))
    if is_new or copy.mapping.base != base:
        wake_its_invoices(tx, hub, connection, copy)
    if is_new and copy.paper.kind != "invoice":
        wake_doubted(tx, hub, connection, copy)
        wake_beside(tx, hub, connection, copy)
    if copy.mapping.base != base:
        # whatever it was equal to once, a tie-out must not count it as equal now
        mappings.update(tx, [msgspec.structs.replace(copy.mapping, base=base, updated_at=hub.clock.now())])
        wake_what_settles_it(tx, hub, connection, copy, base)
    dealt_with(tx, connection, [copy.row])


def intent_of(tx: Tx, hub: Hub, connection: Connection, copy: Copy, step: Step) -> Intent:
    """The committed row of one step."""
    mark = Mark(hub.instance, copy.mapping.id, copy.mapping.generation)
    return Intent(
        id=hub.ids.new(),
        connection=connection.name,
        kind=copy.mapping.kind,
        mapping_id=copy.mapping.id,
        action=step.action,
        key=_unspent(tx, connection, step_key(mark, connection.name, step)) if step.adds else hub.ids.new(),
        body=step.body,
        wanted={ADDS: "yes"} if step.adds else {},
        before={},
        remote_id=copy.mapping.remote_id,
        sent_at=hub.clock.now(),
        trace=copy.row.trace,
        ahead=connection.skew.ahead,
    )


def step_key(mark: Mark, connection: str, step: Step) -> str:
    """Equal for the same step of the same copy, whenever it is taken; another one where the body is (32 hex digits)."""
    text = f"{mark}@{connection}/{step.action}/{dump(step.body)}" + (f"/{step.onto}" if step.onto else "")
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _unspent(tx: Tx, connection: Connection, key: str) -> str:
    """The key, or another one where it was of no help: a provider may repeat a 500, or a refusal, for as long as it
    keeps the key, whatever has become possible meanwhile; and a look told more.
    """
    before = intents.by_key(tx, connection.name, key)
    while before is not None and (before.state == "refused" or _is_given_up(connection, before)):
        key = blake2b(f"{key}/again".encode(), digest_size=16).hexdigest()
        before = intents.by_key(tx, connection.name, key)
    return key


def _is_given_up(connection: Connection, intent: Intent) -> bool:
    """Also a create that was looked for and not found: the old key could bring an old answer back.

    The copy's marker stays as it is: a database that was put back would not know it by another one.
    """
    is_looked_for = intent.action not in connection.manifest.documents[intent.kind].unfound
    tries = 1 if intent.action == CREATE and is_looked_for else KEY_TRIES
    return intent.state == "void" and intent.attempts >= tries


def commit_intents(
    tx: Tx, hub: Hub, connection: Connection, steps: Sequence[tuple[Copy, Step]]
) -> list[list[tuple[Copy, Intent]]]:
    """Before the first byte goes out; in rounds, as they go."""
    found = [(copy, intent_of(tx, hub, connection, copy, step)) for copy, step in steps]
    rounds = steps_in_rounds(connection, hub.ids, found)
    intents.insert(tx, [intent for some in rounds for _, intent in some])
    return rounds
