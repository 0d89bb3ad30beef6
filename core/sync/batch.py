"""One batch of waiting subjects: what each of them is by now, and what a fresh read finds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from core.errors import ReplyError
from core.model.decide import Verdict
from core.model.family import Kin
from core.model.holds import HoldDraft
from core.ports import Missing, Sighting
from core.store import connections, customers, intents, mappings, work
from core.store.connections import ConnectionRow
from core.store.customers import Customer
from core.store.database import Tx
from core.store.intents import Intent
from core.store.mappings import MappingRow
from core.store.observations import Observation
from core.store.work import DirtyRow
from core.sync.failing import Trouble
from core.sync.hub import KIND, Connection


@dataclass(frozen=True, slots=True)
class Batch:
    """Waiting subjects, sorted by what they are."""

    state: ConnectionRow
    live: Mapping[str, tuple[DirtyRow, MappingRow]]
    """By remote id: mappings to read and decide."""
    pending: Sequence[tuple[DirtyRow, MappingRow]]
    """Customers to create here."""
    unmapped: Mapping[str, DirtyRow]
    """By remote id: objects that have no mapping."""
    open: Sequence[tuple[DirtyRow, Intent]]
    """Writes whose outcome is not known; nothing else happens to their mappings before that."""
    done: Sequence[DirtyRow]
    """Nothing to do any more."""


@dataclass(frozen=True, slots=True)
class Found:
    """One object as it is now, with the bytes that a sparse write is computed against."""

    observation: Observation
    raw: bytes
    is_remembered: bool = False
    """Not read now: good for nothing but a write that carries an optimistic lock."""


@dataclass(frozen=True, slots=True)
class Case:
    """One mapping under decision."""

    row: DirtyRow
    mapping: MappingRow
    customer: Customer
    found: Found | None
    """None: to be created."""
    kin: Kin
    verdict: Verdict
    extra: Sequence[HoldDraft] = ()
    """Holds on the mapping as a whole."""
    answered: frozenset[str] = frozenset()
    """Fields that a person answered a question about."""
    refusal: HoldDraft | None = None
    """What stands since the provider refused a write to it."""
    claims_id: bool = False
    """A person said that the registry's external id shall be written over the one on the object."""

    @property
    def subject(self) -> str:
        """Where holds and failures of this mapping are kept."""
        return work.mapping_subject(self.mapping.id)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the fresh read found, by remote id."""

    there: Mapping[str, Found]
    gone: Mapping[str, Missing]
    trouble: Mapping[str, Trouble]
    above: Mapping[str, bool] = field(default_factory=dict)
    """Parents that some objects seem to have been taken off, read after them: there (True), or not to be understood."""


@dataclass(slots=True)
class Report:
    """What a piece of work did, in numbers for its log line."""

    looked: int = 0
    written: int = 0
    pulled: int = 0
    entered: int = 0
    linked: int = 0
    held: int = 0
    failed: int = 0
    waiting: int = 0

    def add(self, other: Report) -> None:
        """Sum up."""
        for name in ("looked", "written", "pulled", "entered", "linked", "held", "failed", "waiting"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def plus(self, other: Report) -> Report:
        """The sum of the two."""
        return Report(*(getattr(self, name) + getattr(other, name) for name in Report.__slots__))

    def numbers(self) -> dict[str, int]:
        """What was counted, without the zeros: for a log line."""
        return {name: getattr(self, name) for name in Report.__slots__ if getattr(self, name)}

    def since(self, earlier: Report) -> Report:
        """What was counted after `earlier`, a sum of the same things."""
        return Report(*(getattr(self, name) - getattr(earlier, name) for name in Report.__slots__))


def sort(tx: Tx, connection: Connection, rows: Sequence[DirtyRow], claimed: Collection[str] | None) -> Batch:
    """Find out what each subject is by now. An object that was given a mapping since it was claimed is left for later.

    The batch that gave it one may still be writing to it: what is under way is not in doubt.
    """
    by_remote = {row.subject[2:]: row for row in rows if row.subject.startswith("r:")}
    mapped = mappings.by_remote_ids(tx, connection.name, KIND, by_remote)
    by_mapping = {row.subject[2:]: row for row in rows if row.subject.startswith("m:")}
    known = mappings.by_ids(tx, by_mapping)
    pairs = [(row, known.get(name)) for name, row in by_mapping.items()]
    of_objects = [(row, mapped[name]) for name, row in by_remote.items() if name in mapped]
    pairs += [(row, one) for row, one in of_objects if claimed is None or work.mapping_subject(one.id) in claimed]
    open_of = intents.open_of(tx, [one.id for _, one in pairs if one])
    unknown = {name: one for name, one in open_of.items() if one.action != intents.ARCHIVE}
    live: dict[str, tuple[DirtyRow, MappingRow]] = {}
    pending: dict[str, tuple[DirtyRow, MappingRow]] = {}
    open_: dict[str, tuple[DirtyRow, Intent]] = {}
    done: list[DirtyRow] = []
    for row, one in pairs:
        if one is not None and one.id in unknown:
            open_.setdefault(one.id, (row, unknown[one.id]))
        elif one is None or one.state in ("ended", "excluded") or one.remote_id in live:
            done.append(row)
        elif one.remote_id is not None:
            live[one.remote_id] = (row, one)
        else:
            pending[one.id] = (row, one)
    unmapped = {name: row for name, row in by_remote.items() if name not in mapped}
    state = connections.get(tx, connection.name)
    return Batch(state, live, list(pending.values()), unmapped, list(open_.values()), done)


async def observe(connection: Connection, remote_ids: Sequence[str]) -> Seen:
    """Read objects as they are now."""
    answers: dict[str, Sighting | Missing] = {}
    size = max(1, connection.manifest.read_batch * connection.manifest.in_flight)
    for start in range(0, len(remote_ids), size):
        answers |= await connection.connector.read(KIND, remote_ids[start : start + size])
    return understand(connection, answers)


def understand(connection: Connection, answers: Mapping[str, Sighting | Missing]) -> Seen:
    """What a read found. One that cannot be understood is its own trouble and nobody else's."""
    there: dict[str, Found] = {}
    gone: dict[str, Missing] = {}
    trouble: dict[str, Trouble] = {}
    for remote_id, found in answers.items():
        if isinstance(found, Missing):
            gone[remote_id] = found
            continue
        try:
            there[remote_id] = Found(connection.observed(found), found.raw)
        except ReplyError as error:
            trouble[remote_id] = Trouble(error, raw=ascii(found.raw))
    return Seen(there, gone, trouble)


def as_of_now(tx: Tx, rows: Sequence[MappingRow]) -> dict[str, tuple[MappingRow, Customer]]:
    """Mappings and their customers as they are in this transaction, by mapping id; ended, deleted ones left out."""
    again = mappings.by_ids(tx, [row.id for row in rows])
    owners = customers.by_ids(tx, {row.record_id for row in again.values()})
    return {
        name: (row, owners[row.record_id])
        for name, row in again.items()
        if row.state != mappings.ENDED and row.record_id in owners and owners[row.record_id].deleted_at is None
    }
