"""The look-ups of first contact: what each rung of the match ladder finds for a slice of unmapped objects."""

from __future__ import annotations

from collections.abc import Sequence

from core.model.holds import AMBIGUOUS_MATCH
from core.model.keys import email_key
from core.model.match import CUSTOMER_ERASED, Candidate, Hits, Marked, Match, may_be_forgotten
from core.model.remote import Remote, parse_mark
from core.model.values import Fields
from core.store import connections, customers, holds, mappings, observations, tombstones
from core.store.customers import Customer
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.observations import Observation
from core.sync.hub import KIND, Connection, Hub
from core.sync.parts import awaits, part_in, whole_of


class Ladder:
    """The look-ups of one slice, done in a handful of queries for all its objects."""

    def __init__(self, tx: Tx, hub: Hub, connection: Connection, slice_: Sequence[Observation]) -> None:
        """Ask the database once per rung."""
        self._connection, self._instance = connection, hub.instance
        name = connection.name
        marks = {one.remote_id: parse_mark(one.remote.accord_ref) for one in slice_}
        marked = {mark.mapping for mark in marks.values() if mark and mark.instance == hub.instance}
        self._marks = marks
        self._by_mapping = mappings.by_ids(tx, marked)
        external = {one.remote.external_id for one in slice_ if one.remote.external_id}
        minted = {minted_id(connection, one.remote) for one in slice_}
        self._by_external = customers.by_external_ids(tx, external | minted)
        self._archived = customers.archived_among(tx, external - self._by_external.keys())
        keys = {key_of(one.remote) for one in slice_}
        self._by_email = customers.by_email_keys(tx, keys)
        aliases = {alias for one in slice_ for alias in one.remote.aliases}
        absorbed = mappings.by_remote_ids(tx, name, KIND, aliases)
        # what a person let go of is not tied again, whatever it was merged with
        self._absorbed = {alias: row for alias, row in absorbed.items() if row.state != "excluded"}
        marked_or_absorbed = (*self._by_mapping.values(), *self._absorbed.values())
        owners = customers.by_ids(tx, {one.record_id for one in marked_or_absorbed})
        known = {one.id: one for one in (*self._by_external.values(), *owners.values())}
        known |= {one.id: one for some in self._by_email.values() for one in some}
        self.customers: dict[str, Customer] = known
        self.rows: dict[str, list[MappingRow]] = mappings.of_records(tx, known)
        self.here: dict[str, MappingRow] = {
            record: row for record, rows in self.rows.items() if (row := whole_of(rows, name)) is not None
        }
        erased = tombstones.erased_among(tx, name, KIND, [one.remote for one in slice_])
        notes = mappings.ended_notes(tx, name, KIND, [one.remote_id for one in slice_])
        self._ended = {**notes, **dict.fromkeys(erased, CUSTOMER_ERASED)}
        self._has_forgotten = not connection.manifest.has_marker and is_restored(tx, name)
        self._same_external = observations.doubles(tx, name, KIND, "external_id", external)
        self._same_email = observations.doubles(tx, name, KIND, "email_key", keys)

    def hits(self, remote: Remote, held: Sequence[holds.Hold] = ()) -> Hits:
        """What each rung found for one object; `held` is what was asked about it before."""
        key = key_of(remote)
        by_external = self._by_external.get(minted_id(self._connection, remote))
        return Hits(
            absorbed=self._merged_into(remote),
            marked=self._marked(remote),
            ended=self._ended.get(remote.id),
            by_external_id=self._candidate(by_external) if by_external else None,
            by_email=[self._candidate(one) for one in self._by_email.get(key, ())],
            twins_by_external_id=_others(self._same_external.get(remote.external_id or "", ()), remote.id),
            twins_by_email=_others(self._same_email.get(key, ()), remote.id),
            is_marker_unknown=self._is_marker_unknown(remote),
            is_id_archived=remote.external_id in self._archived,
            awaited=self._awaited(remote, self._by_email.get(key, ())),
            is_perhaps_forgotten=self._has_forgotten or any(may_be_forgotten(one.detail) for one in held),
        )

    def row_of(self, found: Match, remote: Remote, customer: Customer) -> MappingRow | None:
        """The mapping that a rung named: by our marker, or because the object that it had was merged into this one."""
        if found.mapping_id:
            return self._by_mapping[found.mapping_id]
        rows = [self._absorbed[alias] for alias in remote.aliases if alias in self._absorbed]
        return next((row for row in rows if row.record_id == customer.id), None)

    def _awaited(self, remote: Remote, owners: Sequence[Customer]) -> str | None:
        part = self._connection.parts.of_object(remote.id)
        for one in owners if part else ():
            rows = self.rows.get(one.id, ())
            if part and awaits(self._connection, part, one, rows):
                row = part_in(rows, self._connection.name, part.name)
                return row.id if row else ""
        return None

    def _merged_into(self, remote: Remote) -> list[Candidate]:
        rows = [self._absorbed[alias] for alias in remote.aliases if alias in self._absorbed]
        owners = {row.record_id: self.customers[row.record_id] for row in rows}
        return [self._candidate(one) for one in owners.values()]

    def _is_marker_unknown(self, remote: Remote) -> bool:
        mark = self._marks.get(remote.id)
        return mark is not None and mark.instance == self._instance and mark.mapping not in self._by_mapping

    def _marked(self, remote: Remote) -> Marked | None:
        mark = self._marks.get(remote.id)
        row = self._by_mapping.get(mark.mapping) if mark else None
        if row is None or row.connection != self._connection.name:
            return None
        owner = self.customers[row.record_id]
        candidate = Candidate(owner.id, owner.external_id, row.remote_id)
        return Marked(row.id, candidate, row.generation, row.state == mappings.ENDED, row.state == "excluded")

    def _candidate(self, customer: Customer) -> Candidate:
        row = self.here.get(customer.id)
        mapped_to = "left out" if row and row.state == "excluded" else row.remote_id if row else None
        return Candidate(customer.id, customer.external_id, mapped_to)


def is_restored(tx: Tx, name: str) -> bool:
    """Whether first contact is being made anew, since an older database was found."""
    return connections.get(tx, name).restored_at is not None


def forgotten_by_name(tx: Tx, connection: Connection) -> dict[str, list[str]]:
    """Objects that a restored database may have forgotten and nobody has decided on, by name as it is there."""
    found: dict[str, list[str]] = {}
    for one in holds.listing(tx, connection=connection.name, reason=AMBIGUOUS_MATCH):
        name = one.detail.get("name")
        if may_be_forgotten(one.detail) and isinstance(name, str) and name:
            found.setdefault(name_as_there(connection, {"name": name}), []).append(one.subject[2:])
    return found


def minted_id(connection: Connection, remote: Remote) -> str:
    """The key an object brings along, or gets when it enters."""
    return remote.external_id or f"{connection.name}:{remote.id}"


def key_of(remote: Remote) -> str:
    """The object's normalised e-mail, "" without one."""
    email = remote.fields.get("email")
    return email_key(email) if isinstance(email, str) else ""


def _others(ids: Sequence[str], mine: str) -> list[str]:
    return [one for one in ids if one != mine]


def name_as_there(connection: Connection, fields: Fields) -> str:
    """A customer's name in the connection's own spelling."""
    return str(connection.projection.canonical("name", fields.get("name")) or "")
