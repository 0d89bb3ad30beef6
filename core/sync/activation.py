"""Leaving observing: a connection writes only after a person has seen its plan and named its digest."""

from __future__ import annotations

import re
from typing import Final

from core.errors import InvalidInputError
from core.model.policy import Guard
from core.store import announced, connections, journal, work
from core.store.connections import ConnectionRow
from core.store.database import Tx
from core.sync.hub import KIND, Connection, Hub
from core.sync.plan import Plan, plan_and_copies
from core.sync.sweep import start_first_contact

_NUMBER: Final = re.compile(r"[0-9]{1,9}")


async def activate(hub: Hub, connection: Connection, digest: str, *, actor: str) -> Plan:
    """Activate if the plan of this very moment is the one that was seen; else InvalidInputError, nothing done."""
    await hub.db.read(lambda tx: _require_usable(tx, connection))
    today, copies = await plan_and_copies(hub, connection)
    require_like(hub.policy.guard, today, digest)
    if today.foreign_marks and not connection.policy.accept_foreign_marks:
        marks = ", ".join(f"{name} on {times}" for name, times in sorted(today.foreign_marks.items()))
        raise InvalidInputError(
            f"another program marks objects there ({marks})",
            field="connection",
            cure="exclude them by a filter, or set accept_foreign_marks = true",
        )
    run = hub.ids.new()

    def begin(tx: Tx) -> None:
        # somebody else may have been first meanwhile: what is announced, and looked for, counts once
        row = _require_usable(tx, connection)
        now = hub.clock.now()
        first = row.first_activated_at or now
        values = {"activated_at": now, "first_activated_at": first, "announced_creates": today.counts.get("create", 0)}
        connections.change(tx, connection.name, state="active", **values)
        announced.replace(tx, connection.name, copies)
        told = {"plan": (None, digest, "activate")}
        journal.note(tx, "connection", "activate", told, at=now, actor=actor, connection=connection.name)
        # asked before anything is created: what was made there since the listing must not be made a second time
        connections.touch_cursor(tx, connection.name, KIND, "changes")
        start_first_contact(tx, connection, run)
        work.release(tx, connection.name, work.OBSERVED)
        tx.after_commit(lambda: hub.wake(connection.name))

    await hub.db.run(begin)
    hub.log.info("connection.activated", connection=connection.name, actor=actor, digest=digest, **today.counts)
    return today


def _require_usable(tx: Tx, connection: Connection) -> ConnectionRow:
    row = connections.get(tx, connection.name)
    if row.state == "active":
        cure = "nothing is left to do: what its plan shows is written without being asked"
        raise InvalidInputError(f"{connection.name} is active already", field="connection", cure=cure)
    if row.state == "reauthorize":
        raise InvalidInputError(
            f"{connection.name} cannot be used: {row.error}",
            field="connection",
            cure=f"`accord connect {connection.name}`",
        )
    return row


def require_like(limits: Guard, today: Plan, digest: str) -> None:
    """Refuse a plan that the world has moved on from; more documents may have come, as many as would ask nobody."""
    seen, _, told = digest.partition("-")
    same, _, number = today.digest.partition("-")
    if seen != same or not number or not _NUMBER.fullmatch(told):
        require_same(today, digest)
        return
    most = int(told) + max(limits.document_count, limits.document_share * int(told))
    if int(number) > most:
        raise InvalidInputError(
            f"the plan is stale: it told of {int(told)} documents to be copied, by now there are {number}",
            field="plan",
            limit=f"{most:g} documents",
            cure=f"look at `accord plan {today.connection}` again",
        )


def require_same(today: Plan, digest: str) -> None:
    """Refuse a plan that the world has moved on from."""
    if today.digest != digest:
        problem = f"the plan is stale: it was {digest}, by now it is {today.digest}"
        raise InvalidInputError(problem, field="plan", cure=f"look at `accord plan {today.connection}` again")
