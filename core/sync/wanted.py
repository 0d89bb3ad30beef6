"""Who gets an object at a connection: whom policy creates there, and whom a person asked for."""

from __future__ import annotations

from collections.abc import Sequence

from core.model.holds import AMBIGUOUS_MATCH
from core.model.match import may_create
from core.store import customers, failures, mappings, work
from core.store import holds as hold_rows
from core.store.customers import Customer
from core.store.database import Tx
from core.store.holds import Hold
from core.store.mappings import MappingRow
from core.store.work import DirtyRow
from core.sync import guard
from core.sync.hub import KIND, Connection, Hub

ALL_STOPPED = 1_000_000
NOT_WANTED = "policy does not create it there: `creates` in accord.toml says whom"
NAMELESS = "policy lets nothing out there by which it is known: its `flow` in accord.toml says so, of "


def is_wanted(connection: Connection, customer: Customer, row: MappingRow | None) -> bool:
    """Whether a customer that has no object there is to get one; a part comes with its whole, whatever the scope."""
    if row is None:
        return may_create(customer.fields, connection.policy)
    is_asked_for = bool(row.part) or row.note == mappings.ASKED
    return row.state == "pending" and (is_asked_for or may_create(customer.fields, connection.policy))


def why_not(hub: Hub, connection: Connection, customer: Customer, row: MappingRow) -> str:
    """Why nothing is made for a mapping, by policy; "" where it is. A part is known by its key alone."""
    part = connection.parts.named(row.part)
    if part is not None and hub.policy.rule(connection.name, part.key).flow not in ("both", "out"):
        return f"{NAMELESS}{part.key}"
    return "" if is_wanted(connection, customer, row) else NOT_WANTED


def set_aside(
    tx: Tx, hub: Hub, connection: Connection, row: DirtyRow, mapping: MappingRow, held: Sequence[Hold], why: str
) -> None:
    """Keep one that policy wants no more, until it does: the next start looks again, and so does any change of it."""
    if row.reason not in (work.APPROVED, work.REJECTED):
        # nobody need say any more whether it may be created
        work.postpone(tx, connection.name, {row.subject: work.NOW}, is_attempt=False, reason=why)
    work.keep(tx, connection.name, [row], work.UNWANTED)
    subject = work.mapping_subject(mapping.id)
    failures.resolve(tx, connection.name, [row.subject])
    # nothing there could be it any more; whatever else is asked can be answered still, and asks for it
    moot = [one for one in held if one.reason == AMBIGUOUS_MATCH and one.state == "open"]
    nothing = hold_rows.Held(subject=subject, record_id=mapping.record_id, drafts=[])
    hold_rows.settle(tx, hub.ids, connection.name, [nothing], {subject: moot}, hub.clock.now())


def look_again(tx: Tx, connection: Connection) -> None:
    """Policy may be another one since the last start: who was set aside may be wanted, and who is asked about not."""
    work.release(tx, connection.name, work.UNWANTED)
    stopped = [one[2:] for one in work.parked(tx, connection.name, guard.PARKED, "m:", ALL_STOPPED)]
    waiting = [row for row in mappings.by_ids(tx, stopped).values() if row.kind == KIND and row.state == "pending"]
    owners = customers.by_ids(tx, {row.record_id for row in waiting})
    for row in waiting:
        if not is_wanted(connection, owners[row.record_id], row):
            work.unpark(tx, connection.name, work.mapping_subject(row.id))
