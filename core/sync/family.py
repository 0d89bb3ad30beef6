"""Parents at one connection: the registry's external ids and the provider's ids, translated through the mappings there.

What cannot be translated waits. It is looked at again as soon as the parent gets its mapping, or another place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from core.model.family import LONGEST_CHAIN, PARENT, Kin, chain_above, circle, named, without
from core.model.holds import CIRCLE, UNREPRESENTABLE
from core.model.parts import belonging
from core.model.remote import Hierarchy, Refusal, Remote
from core.model.values import Value
from core.store import customers, holds, mappings, observations, work
from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync.documents.marking import customers_placed
from core.sync.figures import figures_here
from core.sync.hub import KIND, Connection, Hub
from core.sync.wanted import is_wanted

FAMILIES: Final = "families"
"""Two transactions that each set a parent could together close a circle: they run one after the other."""
PLACED: Final = "its parent has got its place there"
LEFT: Final = "its parent has lost its place there"
MOVED: Final = "somebody hangs elsewhere by now"


class Family:
    """The parents of some customers and objects, looked up in a handful of queries for all of them."""

    def __init__(
        self, tx: Tx, connection: Connection, owners: Iterable[Customer], remotes: Iterable[Remote] = ()
    ) -> None:
        """Providers without a hierarchy, and connections without parts, cost no query."""
        self._wholes: dict[str, str] = {}
        owners = list(owners)
        self._figures = figures_here(tx, connection, owners)
        if connection.parts.asked:
            self._wholes = _wholes(tx, connection, owners)
        self._tx, self._connection = tx, connection
        self._parents: dict[str, Value] = {}
        self._above: dict[str, str | None] = {}
        self._theirs: dict[str, str] = {}
        self._known: dict[str, Customer] = {}
        self._here: dict[str, MappingRow] = {}
        if connection.manifest.hierarchy is None:
            return
        names = {one.fields.get(PARENT) for one in owners}
        self._known = customers.by_external_ids(tx, [one for one in names if isinstance(one, str)])
        rows = mappings.of_records(tx, [one.id for one in self._known.values()])
        self._here = {one.record_id: one for some in rows.values() for one in some if _is_own(one, connection)}
        ids = {one.parent_id for one in remotes if one.parent_id}
        above = mappings.by_remote_ids(tx, connection.name, KIND, ids)
        live = {name: row for name, row in above.items() if row.state == "live"}
        heads = customers.by_ids(tx, {row.record_id for row in live.values()})
        self._theirs = {
            name: heads[row.record_id].external_id
            for name, row in live.items()
            if heads[row.record_id].deleted_at is None
        }

    def named(self, remote: Remote) -> Remote:
        """The object with its parent as the registry names it, where that is known."""
        return named(remote, self._theirs.get(remote.parent_id or ""))

    def kin(self, customer: Customer, remote: Remote | None) -> Kin:
        """What a decision about this customer must know of its parents, and of what a part of it belongs to."""
        whole_id = self._wholes.get(customer.id)
        kin = self._parents_of(customer, belonging(remote, whole_id) if remote else None)
        figures = self._figures.get(customer.id)
        if not (whole_id or figures):
            return kin
        return msgspec.structs.replace(kin, whole_id=whole_id, figures=figures or {})

    def _parents_of(self, customer: Customer, remote: Remote | None) -> Kin:
        hierarchy = self._connection.manifest.hierarchy
        if hierarchy is None:
            return Kin(remote=remote)
        seen = self.named(remote) if remote else None
        ours, theirs = customer.fields.get(PARENT), seen.fields.get(PARENT) if seen else None
        closes = () if theirs == ours else circle(customer.external_id, theirs, self._parent_of)
        if not isinstance(ours, str):
            return Kin(remote=seen, circle=closes)
        row = self._row_of(ours)
        if row is None or row.state != "live" or row.remote_id is None:
            if seen and theirs is None and ours in self._known:
                seen = without(seen)  # its parent's object went away, and nobody took the child out of the family
            return Kin(remote=seen, circle=closes, awaits=self._why(ours, row))
        awaits, refusal = "", None
        if theirs != ours and (remote or not hierarchy.is_apart):
            awaits, refusal = self._placed(hierarchy, row.remote_id, remote.id if remote else None)
        return Kin(remote=seen, circle=closes, parent_id=row.remote_id, awaits=awaits, refusal=refusal)

    def must_wait(self, customer: Customer) -> str:
        """Why the customer's object is not created before its parent's is; "" when it may be.

        Where parents are written apart, or the parent will never be there, nothing is waited for.
        """
        hierarchy, ours = self._connection.manifest.hierarchy, customer.fields.get(PARENT)
        if hierarchy is None or hierarchy.is_apart or not isinstance(ours, str) or ours not in self._known:
            return ""
        row, owner = self._row_of(ours), self._known[ours]
        return self._why(ours, row) if is_wanted(self._connection, owner, row) else ""

    def entering(self, new: Mapping[str, Remote]) -> dict[str, str]:
        """The parents of objects that enter together, by the external ids they get; circles are left for a person."""
        minted = {remote.id: name for name, remote in new.items()}
        found: dict[str, str] = {}

        def parent_of(name: str) -> Value:
            return found[name] if name in found else None if name in new else self._parent_of(name)

        for name, remote in new.items():
            parent = self._theirs.get(remote.parent_id or "") or minted.get(remote.parent_id or "")
            if parent is not None and not circle(name, parent, parent_of):
                found[name] = parent
        return found

    def _row_of(self, parent: str) -> MappingRow | None:
        owner = self._known.get(parent)
        return self._here.get(owner.id) if owner else None

    def _why(self, parent: str, row: MappingRow | None) -> str:
        if parent not in self._known:
            return f"its parent {parent} is not in the registry"
        if row and row.state == "pending" and not is_wanted(self._connection, self._known[parent], row):
            return f"its parent {parent} is not there, and policy does not create it"
        told = {"pending": "is to be created there first", "gone": "is gone there", "excluded": "is left out there"}
        return f"its parent {parent} {told[row.state] if row else 'is not there'}"

    def _parent_of(self, name: str) -> Value:
        if name not in self._parents:
            self._parents[name] = parent_in(self._tx, name)
        return self._parents[name]

    def _parent_there(self, remote_id: str) -> str | None:
        if remote_id not in self._above:
            found = observations.parents(self._tx, self._connection.name, KIND, [remote_id])
            self._above[remote_id] = found.get(remote_id)
        return self._above[remote_id]

    def _placed(self, hierarchy: Hierarchy, parent_id: str, remote_id: str | None) -> tuple[str, Refusal | None]:
        """Why an object cannot hang below that one now, or ever, by what was last seen of the provider's own tree."""
        if not parent_id.startswith(hierarchy.of) or not (remote_id or hierarchy.of).startswith(hierarchy.of):
            limit = f"only objects {hierarchy.of}... have parents and children there"
            return "", _refused(f"its parent is {parent_id} there", limit, "name another parent")
        above = chain_above(remote_id or "", parent_id, self._parent_there)
        if remote_id in above:
            return f"its parent still hangs below it at {self._connection.name}", None
        deepest = len(above) + (self._height(remote_id, hierarchy.levels) if remote_id and hierarchy.levels else 0)
        if hierarchy.levels is not None and deepest > hierarchy.levels:
            problem = f"{deepest} levels below the top there, with what is below it"
            return "", _refused(problem, f"{hierarchy.levels} levels below the top", "name a parent further up")
        return "", None

    def _height(self, remote_id: str, most: int) -> int:
        """How many levels there are below an object, up to one more than there may be."""
        level, height = [remote_id], 0
        while height <= most:
            below = observations.below(self._tx, self._connection.name, KIND, level)
            level = [one for some in below.values() for one in some]
            if not level:
                break
            height += 1
        return height


def _is_own(row: MappingRow, connection: Connection) -> bool:
    """A record's own object here, not a part of it."""
    return row.connection == connection.name and not row.part


def _wholes(tx: Tx, connection: Connection, owners: Sequence[Customer]) -> dict[str, str]:
    """By record: objects that are there and have parts."""
    rows = mappings.of_records(tx, [one.id for one in owners])
    own = [row for some in rows.values() for row in some if _is_own(row, connection) and row.state == "live"]
    return {
        row.record_id: row.remote_id for row in own if row.remote_id and connection.parts.of_whole(row.remote_id, {})
    }


def _refused(problem: str, limit: str, cure: str) -> Refusal:
    return Refusal(field=PARENT, problem=problem, limit=limit, cure=cure)


def parent_in(tx: Tx, external_id: str) -> Value:
    """The parent of a live customer as it is in this very transaction."""
    found = customers.by_external_ids(tx, [external_id]).get(external_id)
    return found.fields.get(PARENT) if found else None


def closes_circle(tx: Tx, customer: Customer, pulled: Mapping[str, Value]) -> bool:
    """Asked before each write: the one before it, in the same transaction, may have set a parent, too."""
    return PARENT in pulled and bool(circle(customer.external_id, pulled[PARENT], lambda name: parent_in(tx, name)))


def look_again(tx: Tx, hub: Hub, connection: Connection, placed: Mapping[str, str | None], trace: str) -> None:
    """Mark whatever waited for these customers: objects below theirs, customers below them, and their documents.

    `placed`: by external id, the object each has now.
    """
    customers_placed(tx, hub, connection, placed)
    if connection.manifest.hierarchy is None or not placed:
        return
    names = {remote_id: name for name, remote_id in placed.items() if remote_id}
    below = observations.below(tx, connection.name, KIND, names)
    named_there = {one: names[parent_id] for parent_id, some in below.items() for one in some}
    rows = mappings.by_remote_ids(tx, connection.name, KIND, named_there)
    waiting = [row for one, row in rows.items() if _last(row)[1] != named_there[one]]
    descendants = _descendants(tx, placed)
    theirs = mappings.of_records(tx, descendants)
    mappings.lock(tx, [row.id for some in theirs.values() for row in some if _is_own(row, connection)])
    here = {
        record_id: row
        for record_id, some in mappings.of_records(tx, descendants).items()
        for row in some
        if _is_own(row, connection)
    }
    parent_of = {record_id: str(descendants[record_id].fields.get(PARENT)) for record_id in here}
    orphans = _orphans(tx, connection, placed, here, parent_of)
    mappings.update(tx, orphans)
    waiting += orphans
    waiting += [row for record_id, row in here.items() if _last(row)[0] != parent_of[record_id]]
    subjects = [work.mapping_subject(row.id) for row in waiting if row.state in ("live", "pending")]
    if subjects:
        work.mark(tx, connection.name, subjects, reason=PLACED, trace=trace, now=hub.clock.now(), noticed=False)
        tx.after_commit(lambda: hub.wake(connection.name))


def look_at_refused(tx: Tx, hub: Hub, connection: Connection, trace: str) -> None:
    """Somebody hangs elsewhere, or is gone: what was too deep, or would have closed a circle, may do by now."""
    hierarchy = connection.manifest.hierarchy
    if hierarchy is None:
        return
    reasons = (CIRCLE,) if hierarchy.levels is None else (CIRCLE, UNREPRESENTABLE)
    asked = [
        one for reason in reasons for one in holds.listing(tx, connection=connection.name, reason=reason, field=PARENT)
    ]
    if asked:
        subjects = [one.subject for one in asked]
        work.mark(tx, connection.name, subjects, reason=MOVED, trace=trace, now=hub.clock.now(), noticed=False)
        tx.after_commit(lambda: hub.wake(connection.name))


def parent_left(tx: Tx, hub: Hub, connection: Connection, record_id: str, trace: str) -> None:
    """A customer's object is not there any more: whatever was asked about its children may be moot."""
    if connection.manifest.hierarchy is None:
        return
    look_at_refused(tx, hub, connection, trace)
    names = [one.external_id for one in customers.by_ids(tx, [record_id]).values()]
    rows = mappings.of_records(tx, [one.id for one in customers.children(tx, names)])
    here = [row for some in rows.values() for row in some if _is_own(row, connection)]
    subjects = [work.mapping_subject(row.id) for row in here if row.state in ("live", "pending")]
    if subjects:
        work.mark(tx, connection.name, subjects, reason=LEFT, trace=trace, now=hub.clock.now(), noticed=False)
        tx.after_commit(lambda: hub.wake(connection.name))


def _orphans(
    tx: Tx,
    connection: Connection,
    placed: Mapping[str, str | None],
    here: Mapping[str, MappingRow],
    parent_of: Mapping[str, str],
) -> list[MappingRow]:
    """Children of another object than their parent has now: with this one nothing was agreed, nor was it taken off."""
    agreed = {
        row.remote_id or "": row
        for record_id, row in here.items()
        if parent_of[record_id] in placed and _last(row)[0] == parent_of[record_id]
    }
    there = observations.parents(tx, connection.name, KIND, agreed)
    return [
        msgspec.structs.replace(row, base={name: pair for name, pair in row.base.items() if name != PARENT})
        for remote_id, row in agreed.items()
        if there.get(remote_id) != placed[parent_of[row.record_id]]
    ]


def _last(row: MappingRow) -> tuple[Value, Value]:
    return row.base.get(PARENT, (None, None))


def _descendants(tx: Tx, names: Iterable[str]) -> dict[str, Customer]:
    found: dict[str, Customer] = {}
    level: Sequence[str] = list(names)
    for _ in range(LONGEST_CHAIN):
        below = [one for one in customers.children(tx, level) if one.id not in found]
        if not below:
            break
        found |= {one.id: one for one in below}
        level = [one.external_id for one in below]
    return found
