"""What is the next write that brings a copy nearer to its document; each is decided on a fresh look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

import msgspec

from core.errors import BugError, ByHandError, RejectedError, ReplyError
from core.model import holds
from core.model.documents import references, with_references
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.model.paper import Step, WantedDocument
from core.model.remote import Mark
from core.model.values import Value
from core.store import customers as registry_customers
from core.store import documents, failures, intents, mappings, work
from core.store import holds as hold_rows
from core.store.database import Tx
from core.store.documents import Paper
from core.store.intents import Intent
from core.store.mappings import MappingRow
from core.store.text import dump
from core.sync.batch import Report
from core.sync.documents import by_hand
from core.sync.documents.balances import (
    Balance,
    base_of,
    judged,
    refuse_second,
    wake_its_invoices,
    wake_what_settles_it,
)
from core.sync.documents.marking import no_object_yet
from core.sync.documents.standing import BASE, ENTITY, OTHERS, Copy
from core.sync.failing import Trouble, back_off, dealt_with, record_trouble
from core.sync.grouping import steps_in_rounds
from core.sync.hub import KIND, Connection, Hub

ADDS = "adds"
"""In an intent's `wanted`: sent twice, it would be there twice."""


class Later(Exception):  # noqa: N818 - no error: it is not its turn yet
    """A copy cannot be made yet; the text says what it waits for."""


def decide(tx: Tx, hub: Hub, connection: Connection, copies: Sequence[Copy], report: Report) -> list[tuple[Copy, Step]]:
    """The next step of each copy; what agrees, waits, or is held, is dealt with here. Intents come with `commit`."""
    mappings.lock(tx, [one.mapping.id for one in copies])
    now_mapped = mappings.by_ids(tx, [one.mapping.id for one in copies])
    papers = documents.by_ids(tx, [one.paper.id for one in copies])
    found = []
    for one in copies:
        mapping, paper = now_mapped[one.mapping.id], papers[one.paper.id]
        if mapping.state in (mappings.ENDED, "excluded") or mapping.remote_id != one.mapping.remote_id:
            continue  # let go of, or linked elsewhere, meanwhile: sorted anew
        copy = replace(one, mapping=mapping, paper=paper)
        if mapping.remote_id is None and paper.document.status == "void":
            _end(tx, hub, connection, copy)
            continue
        step = _step(tx, hub, connection, copy, report)
        if step is not None:
            found.append((copy, step))
    return found


def _step(tx: Tx, hub: Hub, connection: Connection, copy: Copy, report: Report) -> Step | None:
    if connection.documents is None:
        raise BugError(f"{connection.manifest.title} has no documents")
    try:
        wanted = wanted_of(tx, hub, connection, copy)
        step = connection.documents.step(wanted, copy.raw)
        refuse_second(tx, connection, copy)
        balance = judged(tx, connection, copy) if step is None else None
    except Later as later:
        until = hub.clock.now() + back_off(hub.timing, copy.row.attempts)
        wait(tx, connection, copy, report, why=str(later), until=until)
        return None
    except RejectedError as error:
        hold(tx, hub, connection, copy, refusal(error, copy.paper))
        report.held += 1
        return None
    except ReplyError as error:
        raw = ascii(copy.raw) if copy.raw else ""
        trouble = Trouble(error, raw=raw, record_id=copy.paper.customer_id)
        record_trouble(tx, hub, connection, {copy.row: trouble})
        report.failed += 1
        return None
    if step is None:
        _compared(tx, hub, connection, copy, balance, report)
    return step


def wait(tx: Tx, connection: Connection, copy: Copy, report: Report, *, why: str, until: float) -> None:
    """Something that a copy needs is not there yet: looked at again then, or when it is."""
    work.postpone(tx, connection.name, {copy.row.subject: until}, reason=why)
    # what failed was tried for a customer or an invoice that is not there any more
    failures.resolve(tx, connection.name, [copy.subject])
    report.waiting += 1


def _compared(tx: Tx, hub: Hub, connection: Connection, copy: Copy, balance: Balance | None, report: Report) -> None:
    """There is nothing to write: agreed, unless the balance is wrong."""
    if balance is None and _is_off_balance(tx, connection, copy):
        dealt_with(tx, connection, [copy.row])  # asked about already, and looked at again when that can be told
    elif balance is None:
        kept = {name: pair for name, pair in copy.mapping.base.items() if name == OTHERS}
        _agree(tx, hub, connection, copy, kept)
    elif balance.draft is None:
        _agree(tx, hub, connection, copy, base_of(balance))
    else:
        hold(tx, hub, connection, copy, balance.draft, base_of(balance))
        report.held += 1


def wanted_of(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> WantedDocument:
    """The document in the connection's own terms; Later while something it names is not there yet."""
    document = copy.paper.document
    customers = _here(tx, connection, [copy.paper.customer_id], KIND)
    if copy.paper.customer_id not in customers:
        owner = registry_customers.by_ids(tx, [copy.paper.customer_id]).get(copy.paper.customer_id)
        raise Later(no_object_yet(owner.external_id if owner else copy.paper.customer_id))
    invoices = _here(tx, connection, references(document), "invoice")
    absent = [name for name in references(document) if name not in invoices]
    if absent:
        _refuse_let_go(tx, connection, absent)
        raise Later("its invoice has no object here yet")
    mark = Mark(hub.instance, copy.mapping.id, copy.mapping.generation)
    in_its_terms = with_references(
        document,
        id=copy.mapping.remote_id or "",
        customer=customers[copy.paper.customer_id],
        invoice=lambda name: invoices[name],
    )
    return WantedDocument(document=in_its_terms, mark=str(mark), by_hand=by_hand.booked(copy.mapping))


def _here(tx: Tx, connection: Connection, record_ids: Sequence[str], kind: str) -> dict[str, str]:
    """Remote ids at a connection, by record."""
    found = mappings.of_records(tx, record_ids)
    return {
        record_id: row.remote_id
        for record_id, rows in found.items()
        for row in rows
        if row.connection == connection.name
        and row.kind == kind
        and not row.part
        and row.state == "live"
        and row.remote_id
    }


def _refuse_let_go(tx: Tx, connection: Connection, invoices: Sequence[str]) -> None:
    """Raise RejectedError where an invoice will have no object here: what settles it would wait for ever."""
    rows = [row for some in mappings.of_records(tx, invoices).values() for row in some]
    coming = {row.record_id for row in rows if row.connection == connection.name and row.state != "excluded"}
    left = [name for name in invoices if name not in coming]
    if left:
        number = getattr(documents.by_ids(tx, left)[left[0]].document, "number", "")
        raise RejectedError(
            f"it settles invoice {number}, which has no copy in {connection.manifest.title}",
            field="applications",
            limit="the copy was let go of, or policy wants none there (since, sources)",
            cure="book by hand what of it settles invoices that are there, and leave it",
        )


def _end(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> None:
    note = "void before it was copied"
    mappings.update(
        tx, [msgspec.structs.replace(copy.mapping, state=mappings.ENDED, note=note, updated_at=hub.clock.now())]
    )
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
    """What a person has said stays in a base, whatever becomes of the comparison."""
    return by_hand.kept(row) | {name: pair for name, pair in row.base.items() if name == ENTITY}


def _is_off_balance(tx: Tx, connection: Connection, copy: Copy) -> bool:
    known = hold_rows.of_subjects(tx, connection.name, [copy.subject]).get(copy.subject, ())
    return any((one.state, one.reason) == ("open", holds.BALANCE_DIFFERS) for one in known)


def close_holds(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> None:
    """Whatever was asked about a copy is moot."""
    known = hold_rows.of_subjects(tx, connection.name, [copy.subject])
    nothing = hold_rows.Held(subject=copy.subject, record_id=None, drafts=[])
    hold_rows.settle(tx, hub.ids, connection.name, [nothing], known, hub.clock.now())
    hold_rows.spend(
        tx, connection.name, [(copy.subject, name) for name in hold_rows.answers(known.get(copy.subject, ()))]
    )


def hold(
    tx: Tx, hub: Hub, connection: Connection, copy: Copy, draft: HoldDraft, base: Mapping[str, tuple[Value, Value]] = {}
) -> None:
    """Ask a person about a copy; it is looked at again when its document or the answer changes."""
    known = hold_rows.of_subjects(tx, connection.name, [copy.subject])
    if draft.reason == holds.BY_HAND and hold_rows.standing(known.get(copy.subject, ())) != {
        draft.field: (draft.reason, draft.digest)
    }:
        # a question of its own: who booked what the old one named must not be taken to have booked this
        close_holds(tx, hub, connection, copy)
        known = {}
    held = hold_rows.Held(subject=copy.subject, record_id=copy.paper.customer_id, drafts=[draft], trace=copy.row.trace)
    base = {**_kept(copy.mapping), **base}
    is_new = bool(hold_rows.settle(tx, hub.ids, connection.name, [held], known, hub.clock.now()))
    if is_new or copy.mapping.base != base:
        wake_its_invoices(tx, hub, connection, copy)
    if copy.mapping.base != base:
        # whatever it was equal to once, a tie-out must not count it as equal now
        mappings.update(tx, [msgspec.structs.replace(copy.mapping, base=base, updated_at=hub.clock.now())])
        wake_what_settles_it(tx, hub, connection, copy, base)
    dealt_with(tx, connection, [copy.row])


def refusal(error: RejectedError, paper: Paper) -> HoldDraft:
    """A hold for what the provider, or the translation, does not take."""
    if isinstance(error, ByHandError):
        return by_hand.asked(error, paper)
    detail: dict[str, object] = {
        "document": paper.kind,
        "number": paper.called,
        "problem": error.problem,
        "field": error.field or "",
        "limit": error.limit or "",
        "cure": error.cure or "",
    }
    return HoldDraft(reason=holds.REJECTED, detail=detail, digest=digest_of(holds.REJECTED, str(error), paper.digest))


def intent_of(hub: Hub, connection: Connection, copy: Copy, step: Step) -> Intent:
    """The committed row of one step."""
    mark = Mark(hub.instance, copy.mapping.id, copy.mapping.generation)
    return Intent(
        id=hub.ids.new(),
        connection=connection.name,
        kind=copy.mapping.kind,
        mapping_id=copy.mapping.id,
        action=step.action,
        key=step_key(mark, connection.name, step) if step.adds else hub.ids.new(),
        body=step.body,
        wanted={ADDS: "yes"} if step.adds else {},
        before={},
        remote_id=copy.mapping.remote_id,
        sent_at=hub.clock.now(),
        trace=copy.row.trace,
    )


def step_key(mark: Mark, connection: str, step: Step) -> str:
    """Equal for the same step of the same copy, whenever it is taken; another one where the body is (32 hex digits)."""
    text = f"{mark}@{connection}/{step.action}/{dump(step.body)}"
    return blake2b(text.encode(), digest_size=16).hexdigest()


def commit_intents(
    tx: Tx, hub: Hub, connection: Connection, steps: Sequence[tuple[Copy, Step]]
) -> list[list[tuple[Copy, Intent]]]:
    """Before the first byte goes out; in rounds, as they go."""
    found = [(copy, intent_of(hub, connection, copy, step)) for copy, step in steps]
    rounds = steps_in_rounds(connection, hub.ids, found)
    intents.insert(tx, [intent for some in rounds for _, intent in some])
    return rounds
