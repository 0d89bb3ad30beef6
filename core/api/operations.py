"""What an operator looks at and decides: holds, failures, undo, the inbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from fastapi import Path, Query

from core.api import shapes
from core.api.context import Actor, CallerIn, HubIn, at, at_or_none, needs, new_router
from core.api.customers import failure_shown
from core.errors import InvalidInputError, NotFoundError, together
from core.model.holds import APPROVER_REASONS, TEXTS
from core.model.scopes import APPROVE, READ, WRITE
from core.store import connections, customers, failures, holds, inbox
from core.store.database import Tx
from core.store.holds import Hold
from core.sync import answers, registry
from core.sync.documents.waits import Wait, read_waits
from core.sync.undo import look_first, undo

router = new_router("operations", prefix="/v1")

ChangeId = Annotated[int, Path(ge=1, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.get("/holds", **needs(READ, 404))
async def list_holds(
    hub: HubIn,
    connection: str | None = None,
    reason: str | None = None,
    external_customer_id: str | None = None,
    limit: Limit = 100,
) -> shapes.Holds:
    """What waits for a person, oldest first."""

    def work(tx: Tx) -> shapes.Holds:
        _check_filters(tx, connection, reason)
        record = registry.get(tx, external_customer_id).id if external_customer_id is not None else None
        found = holds.listing(tx, connection=connection, reason=reason, record_id=record, limit=limit)
        names = customers.external_ids(tx, [one.record_id for one in found])
        total = holds.count(tx, connection=connection, reason=reason, record_id=record)
        offered = answers.choices(tx, found)
        return shapes.Holds(data=[_hold(one, names, offered[one.id]) for one in found], total=total)

    return await hub.db.read(work)


def _check_filters(tx: Tx, connection: str | None, reason: str | None = None) -> None:
    """Refuse a connection that never was, and what is no reason: an empty list would be believed."""
    names, found = sorted(one.name for one in connections.every(tx)), []
    cure = "name one of these"
    if connection is not None and connection not in names:
        problem, limit = f"there is no connection {connection!r}", f"known: {', '.join(names) or 'none'}"
        found.append(InvalidInputError(problem, field="connection", limit=limit, cure=cure))
    if reason is not None and reason not in TEXTS:
        problem, limit = f"{reason!r} is no reason", ", ".join(TEXTS)
        found.append(InvalidInputError(problem, field="reason", limit=limit, cure=cure))
    if found:
        raise together(found)


@router.post("/holds/{hold_id}/answer", **needs(WRITE, 404))
async def answer_hold(hub: HubIn, caller: CallerIn, hold_id: str, given: shapes.AnswerGiven) -> shapes.HoldShown:
    """Decide; with the digest of what was seen, the answer is refused when the values have changed since.

    `mass_change` and `listing_shrank` need the scope `approve`.
    """

    def work(tx: Tx) -> shapes.HoldShown:
        asked = holds.get(tx, hold_id)
        if asked is not None and asked.reason in APPROVER_REASONS:
            caller.require(APPROVE)
        answers.answer(tx, hub, hold_id, given.choice, actor=caller.actor, digest=given.digest)
        found = holds.get(tx, hold_id)
        assert found is not None  # noqa: S101 - answered just now
        return _hold(found, customers.external_ids(tx, [found.record_id]), answers.choices(tx, [found])[found.id])

    return await hub.db.run(work)


def _hold(one: Hold, names: dict[str, str], offered: Sequence[str]) -> shapes.HoldShown:
    values = msgspec.structs.asdict(one) | {
        "text": TEXTS.get(one.reason, ""),
        "choices": list(offered),
        "external_customer_id": names.get(one.record_id or ""),
        "opened_at": at(one.opened_at),
    }
    return shapes.HoldShown.model_validate(values)


@router.get("/failures", **needs(READ))
async def list_failures(
    hub: HubIn, connection: str | None = None, state: Literal["retrying", "dead"] | None = None, limit: Limit = 100
) -> shapes.Failures:
    """Records that failed and have not succeeded since, oldest first; and documents that wait to be taken."""

    def work(tx: Tx) -> shapes.Failures:
        _check_filters(tx, connection)
        found = failures.listing(tx, connection=connection, state=state, limit=limit)
        names = customers.external_ids(tx, [one.record_id for one in found])
        shown = [failure_shown(one, names.get(one.record_id or "")) for one in found]
        counts = failures.counts(tx).items()
        total = sum(n for (name, how), n in counts if connection in (None, name) and state in (None, how))
        waits = read_waits(tx, hub, connection)[:limit] if state is None else []
        return shapes.Failures(data=shown, total=total, waiting=[_wait(one) for one in waits])

    return await hub.db.read(work)


def _wait(one: Wait) -> shapes.WaitShown:
    values = msgspec.structs.asdict(one) | {"message": one.why, "since": at(one.since)}
    return shapes.WaitShown.model_validate(values)


@router.post("/failures/retry", **needs(WRITE, 404))
async def retry_failures(hub: HubIn, actor: Actor, wanted: shapes.RetryRequest) -> shapes.Retried:
    """Look again, now, at what failed; dead ones too. 404 where none of the named subjects fails or waits."""
    hub.connection(wanted.connection)
    times = await hub.db.run(lambda tx: answers.retry(tx, hub, wanted.connection, wanted.subjects, actor=actor))
    if wanted.subjects and not times:
        raise NotFoundError("none of these fails", field="subjects", cure="`GET /v1/failures` shows what does")
    return shapes.Retried(retried=times)


@router.post("/changes/{change_id}/undo", **needs(WRITE, 404, 409))
async def undo_change(
    hub: HubIn, actor: Actor, change_id: ChangeId, wanted: shapes.UndoRequest | None = None
) -> shapes.Undone:
    """Put back what a change replaced; it flows everywhere, as an edit by hand.

    409 where it has changed since, here or in a system that is read for that, or where that cannot be read.
    """
    asked = wanted or shapes.UndoRequest()
    await look_first(hub, change_id, asked.field, anyway=asked.anyway)
    found = await hub.db.run(lambda tx: undo(tx, hub, change_id, field=asked.field, actor=actor, anyway=asked.anyway))
    return shapes.Undone.model_validate(found)


@router.get("/inbox", **needs(READ))
async def show_inbox(hub: HubIn, limit: Limit = 100) -> shapes.InboxShown:
    """Webhook deliveries by connection and state, the last of each, and the newest that cannot be understood."""

    def work(tx: Tx) -> shapes.InboxShown:
        counts = [
            shapes.InboxCount.model_validate({"connection": name, "state": state, "deliveries": times})
            for (name, state), times in sorted(inbox.counts(tx).items())
        ]
        came = inbox.last_came(tx)
        last = [
            shapes.LastDelivery(connection=name, received_at=at_or_none(came.get(name)))
            for name in sorted({*hub.connections, *came})
        ]
        poison = [
            shapes.PoisonShown(
                id=one.id, connection=one.connection, received_at=at(one.received_at), problem=one.problem
            )
            for one in inbox.poisoned(tx, limit)
        ]
        return shapes.InboxShown(counts=counts, last=last, poison=poison)

    return await hub.db.read(work)
