"""Send committed steps and commit what came of them; a crash anywhere in between leaves an open intent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import msgspec

from core.errors import (
    AccordError,
    AmbiguousError,
    BugError,
    GoneError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
    StaleError,
)
from core.model import holds
from core.model.holds import HoldDraft
from core.model.merge import digest_of
from core.ports import Receipt, Write, Written
from core.store import announced, documents, intents, journal, mappings, work
from core.store.database import Tx
from core.store.intents import Intent
from core.store.text import chunks
from core.sync.batch import Report
from core.sync.documents.copies import ADDS, CREATE, KEY_TRIES, hold
from core.sync.documents.deciding import refusal
from core.sync.documents.marking import mark_mappings
from core.sync.documents.standing import Copy, named_of
from core.sync.failing import Trouble, back_off, concerns_all, record_doubt, record_trouble
from core.sync.hub import Connection, Hub

COPIES_AT_ONCE = 100
"""In one transaction: webhooks that come meanwhile wait for its end."""
KEY_MARGIN_SECONDS = 3600.0
_DRAFT = "draft"
NOT_EXECUTED = (RetryError, StaleError, GoneError, ReauthorizeError)


async def send_steps(
    hub: Hub,
    connection: Connection,
    rounds: Sequence[Sequence[tuple[Copy, Intent]]],
    report: Report,
    *,
    is_repeat: bool = False,
) -> list[Copy]:
    """Send intents round by round; returns the copies that were written, as they are now."""
    written: list[Copy] = []
    for number, some in enumerate(rounds, 1):
        try:
            written += await _send_round(hub, connection, some, report, is_repeat=is_repeat)
        except AccordError:
            # left open, what was never sent would be in doubt, and looked for, or asked about
            unsent = {intent.id: "void" for rest in rounds[number:] for _, intent in rest}
            await hub.db.run(partial(intents.close, closed=unsent, now=hub.clock.now()))
            raise
    return written


async def _send_round(
    hub: Hub, connection: Connection, some: Sequence[tuple[Copy, Intent]], report: Report, *, is_repeat: bool
) -> list[Copy]:
    written: list[Copy] = []
    receipts = await _receipts(connection, some, is_repeat=is_repeat)

    def commit(tx: Tx, pairs: Sequence[tuple[tuple[Copy, Intent], Receipt]]) -> list[Copy | None]:
        return [
            commit_receipt(tx, hub, connection, copy, intent, receipt, report, is_repeat=is_repeat)
            for (copy, intent), receipt in pairs
        ]

    for pairs in chunks(list(zip(some, receipts, strict=True)), COPIES_AT_ONCE):
        committed = await hub.db.run(partial(commit, pairs=pairs))
        written += [one for one in committed if one is not None]
    for receipt in receipts:
        if isinstance(receipt, AccordError) and concerns_all(receipt):
            raise receipt
    return written


async def _receipts(
    connection: Connection, some: Sequence[tuple[Copy, Intent]], *, is_repeat: bool
) -> Sequence[Receipt]:
    writes = [
        Write(
            key=one.key,
            action=one.action,
            kind=one.kind,
            remote_id=one.remote_id,
            body=one.body,
            is_repeat=is_repeat,
            batch=one.batch,
        )
        for _, one in some
    ]
    try:
        receipts: Sequence[Receipt] = await connection.connector.write(writes)
    except AccordError as error:
        return [error] * len(writes)
    if len(receipts) != len(writes):
        raise BugError(f"{connection.name} answered {len(receipts)} of {len(writes)} writes")
    return receipts


def commit_receipt(
    tx: Tx, hub: Hub, connection: Connection, copy: Copy, intent: Intent, receipt: Receipt, report: Report, *,
    is_repeat: bool = False,
) -> Copy | None:  # fmt: skip
    """One answer, in one transaction; the copy as it is now, where it is worth looking on."""
    if isinstance(receipt, Written):
        return commit_written(tx, hub, connection, copy, intent, receipt, report)
    if isinstance(receipt, NOT_EXECUTED) and not is_repeat:
        _not_executed(tx, hub, connection, copy, intent, receipt)
        report.waiting += 1
    elif isinstance(receipt, RejectedError) and not is_repeat:
        intents.close(tx, {intent.id: "refused"}, hub.clock.now())
        hold(tx, hub, connection, copy, refusal(receipt, copy.paper))
        report.held += 1
    else:
        doubt(tx, hub, connection, copy, intent, receipt)
        report.waiting += 1
    return None


def commit_written(
    tx: Tx, hub: Hub, connection: Connection, copy: Copy, intent: Intent, receipt: Written, report: Report
) -> Copy | None:
    """The step was made: the mapping knows its object, and those that waited for it are looked at."""
    if connection.documents is None:
        raise BugError(f"{connection.manifest.title} has no documents")
    try:
        there = connection.documents.read(copy.mapping.kind, receipt.sighting.raw)
    except ReplyError as error:
        doubt(tx, hub, connection, copy, intent, AmbiguousError(f"answered with something unreadable: {error}"))
        return None
    now, remote_id = hub.clock.now(), receipt.sighting.id
    intents.close(tx, {intent.id: "done"}, now)
    mapping = mappings.by_ids(tx, [copy.mapping.id])[copy.mapping.id]
    if not _claim(tx, hub, connection, copy, remote_id):
        return None
    if (mapping.remote_id, mapping.state) != (remote_id, "live"):
        state = mapping.state if mapping.state in (mappings.ENDED, "excluded") else "live"
        mapping = msgspec.structs.replace(mapping, remote_id=remote_id, state=state, updated_at=now)
        mappings.update(tx, [mapping])
        wake_those_about_it(tx, hub, connection, copy)
    elif (
        copy.raw is not None and there.document.status != _DRAFT and _was_draft(connection, copy.mapping.kind, copy.raw)
    ):
        # what settles it may have been refused meanwhile, as nothing settles a draft
        wake_those_about_it(tx, hub, connection, copy)
    if intent.action == CREATE:
        announced.made(tx, connection.name, copy.paper.id)
    journal.write(tx, [_entry(copy, intent, remote_id, now)])
    report.written += 1
    return replace(copy, mapping=mapping, raw=receipt.sighting.raw, seen_at=intent.sent_at)


def _claim(tx: Tx, hub: Hub, connection: Connection, copy: Copy, remote_id: str) -> bool:
    other = mappings.by_remote_ids(tx, connection.name, copy.mapping.kind, [remote_id]).get(remote_id)
    if other is None or other.id == copy.mapping.id:
        return True
    detail: dict[str, object] = {
        **named_of(copy.paper),
        "problem": f"the provider answered with {remote_id}, which is another document's",
        "cure": "look there for a copy of it: where there is none, retry; book it by hand and leave it otherwise",
    }
    digest = digest_of(holds.REJECTED, remote_id, copy.paper.digest)
    hold(tx, hub, connection, copy, HoldDraft(reason=holds.REJECTED, detail=detail, digest=digest))
    return False


def _was_draft(connection: Connection, kind: str, raw: bytes) -> bool:
    try:
        return connection.documents is not None and connection.documents.read(kind, raw).document.status == _DRAFT
    except ReplyError:
        return False  # of what could not be understood nobody knows


def wake_those_about_it(tx: Tx, hub: Hub, connection: Connection, copy: Copy) -> None:
    """What settles an invoice is looked at again: its copy is there, or may be what it was not before."""
    about = documents.about(tx, [copy.paper.id]).get(copy.paper.id, [])
    rows = [row for some in mappings.of_records(tx, about).values() for row in some]
    here = [row for row in rows if row.connection == connection.name and row.id != copy.mapping.id]
    mark_mappings(tx, hub, here, reason="its invoice is there", trace=copy.row.trace)


def _entry(copy: Copy, intent: Intent, remote_id: str, now: float) -> journal.Entry:
    document = copy.paper.document
    names = ("number", "status", "currency", "total", "amount", "due")
    changes = {name: (None, str(getattr(document, name)), "copy") for name in names if hasattr(document, name)}
    return journal.Entry(
        at=now,
        kind=copy.paper.kind,
        record_id=copy.paper.id,
        connection=copy.mapping.connection,
        remote_id=remote_id,
        action=intent.action,
        changes=changes,
        actor="accord",
        trace=intent.trace,
    )


def _not_executed(tx: Tx, hub: Hub, connection: Connection, copy: Copy, intent: Intent, error: AccordError) -> None:
    """Certainly not done: the intent is void, and the copy is looked at again after a wait."""
    intents.close(tx, {intent.id: "void"}, hub.clock.now())
    if isinstance(error, StaleError) and not copy.row.attempts:
        work.postpone(tx, connection.name, {copy.row.subject: hub.clock.now()})
    elif not concerns_all(error):
        record_trouble(tx, hub, connection, {copy.row: Trouble(error, record_id=copy.paper.customer_id)})
    if isinstance(error, GoneError):
        # perhaps the customer's object, or a part of it: nothing else may tell for a day
        rows = mappings.of_records(tx, [copy.paper.customer_id]).get(copy.paper.customer_id, ())
        here = [one for one in rows if one.connection == connection.name]
        mark_mappings(tx, hub, here, reason="something that its document names is gone", trace=copy.row.trace)


def doubt(tx: Tx, hub: Hub, connection: Connection, copy: Copy, intent: Intent, error: AccordError) -> None:
    """Nobody knows whether it happened: nothing else is written to this copy before that is found out."""
    tried = msgspec.structs.replace(intent, attempts=intent.attempts + 1)
    until = hub.clock.now() + max(back_off(hub.timing, intent.attempts), settling(hub, connection, tried))
    if isinstance(error, RetryError) and error.retry_after is not None:
        until = max(until, hub.clock.now() + error.retry_after)
    intents.doubt(tx, intent.id, until, str(error))
    record_doubt(tx, hub, connection, copy.row, str(error), until, copy.paper.customer_id)


def settling(hub: Hub, connection: Connection, intent: Intent) -> float:
    """For how long a step that was just sent may still land, and be found: 0 where a repeat under its key tells.

    Not counted from when it was decided on: it may have waited in line, and have been sent several times.
    """
    manifest, is_repeated = connection.manifest, key_helps(hub, connection, intent)
    if is_repeated and manifest.create_key_seconds is not None:
        return 0.0
    lag = manifest.lookup_lag_seconds if intent.action == CREATE and not is_repeated else 0.0
    return (manifest.settle_seconds + lag) * hub.timing.patience


def key_helps(hub: Hub, connection: Connection, intent: Intent) -> bool:
    """Whether it is sent again under its key to learn what became of it."""
    lifetime, sure = connection.manifest.create_key_seconds, connection.manifest.create_key_sure_seconds
    if lifetime is not None and sure is None:
        sure = max(lifetime - KEY_MARGIN_SECONDS, lifetime / 2)
    return (sure is None or hub.clock.now() < intent.sent_at + sure) and is_repeatable(connection, intent)


def is_repeatable(connection: Connection, intent: Intent) -> bool:
    """Whether it went out under a key of its own, and was not repeated too often: however old that key is."""
    if ADDS not in intent.wanted or intent.attempts >= KEY_TRIES or intent.batch:
        return False
    # without keys, an upsert by our marker
    return connection.manifest.create_key_seconds is not None or intent.action == CREATE
