"""Operators' one-offs: rows that a lane picks up; done when the lane has nothing left to do."""

from __future__ import annotations

from core.errors import InvalidInputError
from core.model.values import Value
from core.store import connections, journal, mappings, one_offs, work
from core.store.database import Tx
from core.store.one_offs import OneOff
from core.sync import registry
from core.sync.batch import Report
from core.sync.documents.asking import look_again
from core.sync.hub import KIND, Connection, Hub
from core.sync.sweep import begin_full

WHATS = ("full", "changes", "customers", "documents")


async def start_one_off(hub: Hub, connection: Connection) -> bool:
    """Begin what was asked for; False when nothing was."""
    one = await hub.db.read(lambda tx: one_offs.oldest_in(tx, connection.name, "new"))
    if one is None:
        return False
    try:
        await _begin(hub, connection, one)
    except InvalidInputError as error:
        problem = str(error)
        await hub.db.run(lambda tx: one_offs.finish(tx, one.id, hub.clock.now(), error=problem))
        return True
    await hub.db.run(lambda tx: one_offs.running(tx, one.id))
    return True


async def _begin(hub: Hub, connection: Connection, one: OneOff) -> None:
    what = one.request.get("what")
    if what == "full":
        await begin_full(hub, connection, one.id)
    elif what == "changes":
        await hub.db.run(lambda tx: _changes_now(tx, connection))
    elif what == "customers":
        await hub.db.run(lambda tx: _mark_customers(tx, hub, connection, one))
    elif what == "documents":
        kinds = [str(kind) for kind in one.request.get("kinds", [])]
        some = [str(name) for name in one.request.get("external_ids", [])]
        await look_again(hub, connection, kinds, some, one.trace)
    else:
        raise InvalidInputError(f"cannot {what!r}", field="what", limit=", ".join(WHATS), cure="ask for one of these")


def _changes_now(tx: Tx, connection: Connection) -> None:
    connections.touch_cursor(tx, connection.name, KIND, "changes")


def _mark_customers(tx: Tx, hub: Hub, connection: Connection, one: OneOff) -> None:
    wanted = [str(name) for name in one.request.get("external_ids", [])]
    found = registry.require(tx, wanted, "customer")
    rows = mappings.of_records(tx, [customer.id for customer in found.values()])
    subjects = [
        work.mapping_subject(row.id) for some in rows.values() for row in some if row.connection == connection.name
    ]
    work.mark(tx, connection.name, subjects, reason="asked for", trace=one.trace, now=hub.clock.now())


async def finish_one_off(hub: Hub, connection: Connection, done: Report) -> bool:
    """The lane has nothing left that may be done now: what runs is done, and `done` is what came of it."""
    one = await hub.db.read(lambda tx: one_offs.oldest_in(tx, connection.name, "running"))
    if one is None:
        return False
    numbers = {name: getattr(done, name) for name in Report.__slots__}
    await hub.db.run(lambda tx: one_offs.finish(tx, one.id, hub.clock.now(), result=numbers))
    return True


async def ask(hub: Hub, name: str, request: dict[str, object], *, actor: str | None = None) -> str:
    """Put a request into a lane; returns its id. Of whoever asked, if it was a person, the journal knows."""
    hub.connection(name)
    one = OneOff(id=hub.ids.new(), connection=name, request=request, trace=hub.ids.new())

    def put(tx: Tx) -> None:
        now = hub.clock.now()
        one_offs.ask(tx, one, now)
        if actor is not None:
            journal.note(tx, "connection", "sync", _told(one), at=now, actor=actor, connection=name, trace=one.trace)
        tx.after_commit(lambda: hub.wake(name))

    await hub.db.run(put)
    return one.id


def _told(one: OneOff) -> dict[str, tuple[Value, Value, str]]:
    """What was asked for. Of customers their number: the journal outlives who is erased."""
    values: dict[str, Value] = {"what": str(one.request.get("what", ""))}
    if kinds := one.request.get("kinds"):
        values["kinds"] = [str(kind) for kind in kinds]
    if some := one.request.get("external_ids"):
        values["customers"] = str(len(some))
    return {name: (None, value, "sync") for name, value in values.items()}
