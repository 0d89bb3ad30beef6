"""Documents that their origin has and the registry does not take: why each of them waits, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import msgspec

from core.model.documents import KINDS, Document, Payment, amount_of, called
from core.model.holds import TEXTS
from core.model.lifecycle import UNFINISHED
from core.model.match import CUSTOMER_DELETED, in_scope
from core.model.money import spelled
from core.model.remote import Remote, parse_mark
from core.store import customers, documents, failures, holds, mappings, observations, tombstones, work
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.store.observations import Observation
from core.store.work import DirtyRow
from core.sync.documents.marking import FORGOTTEN, OF_ERASED, UNCLEAR, Named, cure_in, named_in, rests, waits_for
from core.sync.hub import KIND, Connection, Hub


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """One document that waits at its origin to be taken, as it was when it was last read there.

    `issued_on` is "" where nobody knows the day: it was never read. `is_outside`: policy, or an erasure, keeps its
    customer out of the registry.
    """

    connection: str
    kind: str
    remote_id: str
    subject: str
    number: str = ""
    issued_on: str = ""
    status: str = ""
    currency: str = ""
    amount: str = ""
    since: float
    attempts: int
    is_read: bool
    is_failing: bool
    is_outside: bool
    why: str
    cure: str

    def is_counted(self, period: str) -> bool:
        """Whether it is of a period, or may be; what may still change in every way is of none yet."""
        return self.status not in UNFINISHED and (not self.issued_on or self.issued_on.startswith(f"{period}-"))


FAILING: Final = "`accord failures` shows what it holds; mend it there, and `accord retry`"


class _Cause(NamedTuple):
    why: str
    cure: str
    is_outside: bool = False


_OF_ERASED: Final = _Cause(
    OF_ERASED,
    "nothing of an erased customer is taken in again: book by hand what is still to be booked of it",
    is_outside=True,
)

_TIED_OR_VOID: Final = (
    "it is tied by itself once its document is read where it was made; void it here, where that is not there any more,"
    " or take the mark out of it, and it is taken as what it is"
)


_TIED_OR_LEFT: Final = (
    "it is tied by itself once its document is read where it was made, and belongs here; void it here, where that is"
    " not there any more, or is another entity's; or take the mark out of it, and it is left alone"
)


def fields_of(document: Document) -> dict[str, str]:
    """What is kept of a document that cannot be taken: enough to tell which one it is, and of what month."""
    day = document.received_on if isinstance(document, Payment) else document.issued_on
    return {
        "number": called(document),
        "issued_on": day.isoformat() if day else "",
        "status": document.status,
        "currency": document.currency,
        "amount": spelled(amount_of(document), document.currency),
    }


def waits_at(tx: Tx, hub: Hub, connection: Connection, kinds: Iterable[str] = KINDS) -> list[Wait]:
    """All documents of some kinds that wait at a connection to be taken, by subject."""
    policy, wanted = connection.policy.documents, set(kinds)
    rows = work.of_kinds(tx, connection.name, wanted.intersection(policy.originates))
    rows += _forgotten(tx, connection, wanted.intersection(policy.mirrors) - {*policy.originates})
    named = _named(tx, connection, rows)
    awaited = {row.subject: waits_for(row.reason) for row in rows}
    causes = _causes(tx, hub, connection, {one[1] for one in awaited.values() if one and one[0] == KIND})
    failed = failures.known(tx, connection.name, [row.subject for row in rows])
    found = []
    for row in rows:
        if row.subject not in named:
            continue
        remote_id, facts = named[row.subject]
        of = awaited[row.subject]
        if row.subject in failed:
            cause = _Cause(failed[row.subject].message, FAILING)
        else:
            cause = causes[of[1]] if of is not None and of[0] == KIND else _other_cause(connection, row, of)
        found.append(
            Wait(
                connection=connection.name,
                kind=row.kind,
                remote_id=remote_id,
                subject=row.subject,
                **facts,
                since=row.since,
                attempts=row.attempts,
                is_read=row.attempts > 0 or rests(row.reason) or of is not None,
                is_failing=row.subject in failed,
                is_outside=cause.is_outside,
                why=cause.why,
                cure=cause.cure,
            )
        )
    return found


def _forgotten(tx: Tx, connection: Connection, kinds: Collection[str]) -> list[DirtyRow]:
    """Where a kind is only copied, nothing waits but what a restored database has forgotten, and has not tied since."""
    rows = {named_in(row.subject): row for row in work.of_kinds(tx, connection.name, kinds, FORGOTTEN)}
    tied = {
        (kind, remote_id)
        for kind in kinds
        for remote_id in mappings.by_remote_ids(tx, connection.name, kind, [one for of, one in rows if of == kind])
    }
    return [row for named, row in rows.items() if named not in tied]


def read_waits(tx: Tx, hub: Hub, connection: str | None) -> list[Wait]:
    """Documents that were read and cannot be taken yet, at one connection or all: nothing fails, somebody must know.

    Those that policy keeps out, a tie-out names.
    """
    there = [one for name, one in sorted(hub.connections.items()) if connection in (None, name)]
    found = [one for place in there for one in waits_at(tx, hub, place)]
    return [one for one in found if one.is_read and not one.is_outside and not one.is_failing]


def waits_called(tx: Tx, hub: Hub, name: str, kinds: Iterable[str] = KINDS) -> list[Wait]:
    """Documents that wait at any origin and have this id there, or this number."""
    every = [one for _, there in sorted(hub.connections.items()) for one in waits_at(tx, hub, there, kinds)]
    return [one for one in every if name in (one.remote_id, one.number)]


def in_words(wait: Wait, title: str) -> str:
    """What is the matter with it, in one sentence."""
    number = f" ({wait.number})" if wait.number and wait.number != wait.remote_id else ""
    kind = wait.kind.replace("_", " ")
    return f"{kind} {wait.remote_id}{number} of {title} waits to be taken: {wait.why}"


def _named(tx: Tx, connection: Connection, rows: Sequence[DirtyRow]) -> dict[str, tuple[str, dict[str, str]]]:
    """By subject: the remote id, and what is known of the document. Copies are left out."""
    mapped = mappings.by_ids(tx, [row.subject[2:] for row in rows if row.subject.startswith("m:")])
    papers = documents.by_ids(tx, [one.record_id for one in mapped.values()])
    found: dict[str, tuple[str, dict[str, str]]] = {}
    unknown: dict[str, dict[str, str]] = {}
    for row in rows:
        one = mapped.get(row.subject[2:])
        paper = papers.get(one.record_id) if one else None
        if row.subject.startswith("d:"):
            kind, remote_id = named_in(row.subject)
            unknown.setdefault(kind, {})[remote_id] = row.subject
        elif paper and paper.origin == connection.name:
            found[row.subject] = (paper.remote_id, fields_of(paper.document))
    for kind, subjects in unknown.items():
        seen = observations.by_ids(tx, connection.name, kind, subjects)
        for remote_id, subject in subjects.items():
            facts = seen[remote_id].remote.fields if remote_id in seen else {}
            found[subject] = (remote_id, {name: str(value) for name, value in facts.items()})
    return found


def _other_cause(connection: Connection, row: DirtyRow, of: Named | None) -> _Cause:
    """What a document waits for that is not its customer's object."""
    if of is not None:
        return _Cause(f"its invoice {of[1]} is not known here", f"see `accord explain {of[1]}`: it is taken after that")
    if row.reason == OF_ERASED:
        return _OF_ERASED
    if row.reason == FORGOTTEN:
        is_taken = row.kind in connection.policy.documents.originates
        return _Cause(FORGOTTEN, _TIED_OR_VOID if is_taken else _TIED_OR_LEFT)
    if cure := cure_in(row.reason):
        return _Cause(UNCLEAR, cure)
    at = datetime.fromtimestamp(row.since, UTC)
    return _Cause(f"it is named since {at:%Y-%m-%d %H:%M} UTC and was not read yet", f"`accord sync {connection.name}`")


def _causes(tx: Tx, hub: Hub, connection: Connection, remote_ids: set[str]) -> Mapping[str, _Cause]:
    """Why each of these objects is no customer's, as things stand."""
    name, subjects = connection.name, {work.remote_subject(one): one for one in remote_ids}
    erased = tombstones.erased_objects(tx, name, remote_ids)
    mapped = mappings.by_remote_ids(tx, name, KIND, remote_ids)
    ended = mappings.ended_notes(tx, name, KIND, remote_ids)
    owners = customers.by_ids(tx, {row.record_id for row in mapped.values()})
    asked = holds.of_subjects(tx, name, subjects)
    failed = failures.known(tx, name, subjects)
    seen = observations.by_ids(tx, name, KIND, remote_ids)
    found: dict[str, _Cause] = {}
    for subject, one in subjects.items():
        question = next((hold for hold in asked.get(subject, ()) if hold.state == "open"), None)
        if one in erased:
            cause = _OF_ERASED
        elif one in mapped:
            row = mapped[one]
            owner = owners[row.record_id].external_id if row.record_id in owners else row.record_id
            cause = _left_out(row, owner)
        elif ended.get(one) == CUSTOMER_DELETED:
            cause = _Cause(f"its customer {one} was archived in the registry", _tied_again(name, one))
        elif question is not None:
            cause = _Cause(
                f"who its customer {one} is, is asked: {TEXTS[question.reason]}", f"answer hold {question.id}"
            )
        elif subject in failed:
            cause = _Cause(f"its customer {one} cannot be taken: {failed[subject].message}", FAILING)
        else:
            cause = _unmapped(hub, connection, one, seen.get(one))
        found[one] = cause
    return found


def _tied_again(name: str, remote_id: str) -> str:
    return f"enter a customer, and tie it: `accord mappings link CUSTOMER {name} {remote_id}`; or book it by hand"


def _left_out(row: MappingRow, owner: str) -> _Cause:
    """A person said that the object is nobody's; or it has a customer by now, and the document's turn comes."""
    place = f"{row.connection} {row.remote_id}"
    if row.state != "excluded":
        return _Cause(f"its customer {row.remote_id} is {owner} by now", f"`accord sync {row.connection}`")
    note = f" ({row.note})" if row.note else ""
    return _Cause(
        f"its customer {row.remote_id} was let go of by a person{note}",
        f"tie it to the customer that it is: `accord mappings link {owner} {place}`; or book it by hand",
    )


def _unmapped(hub: Hub, connection: Connection, remote_id: str, seen: Observation | None) -> _Cause:
    name, title = connection.name, connection.manifest.title
    if seen is None:
        cure = f"`accord sync {name} --full` lists it; what was deleted there is to be booked by hand"
        return _Cause(f"its customer {remote_id} was never seen at {title}", cure)
    if seen.state != "live":
        return _Cause(f"its customer {remote_id} is not there any more at {title}", "book it by hand")
    if not in_scope(seen.remote, connection.policy, is_marked=_is_ours(hub, seen.remote)):
        enters = connection.policy.enters
        cure = (
            f"`enters` of {name} in accord.toml says who enters, or `accord mappings link CUSTOMER {name} {remote_id}`"
        )
        return _Cause(
            f'policy keeps its customer {remote_id} out of the registry (enters = "{enters}")', cure, is_outside=True
        )
    return _Cause(f"its customer {remote_id} is not taken yet", f"`accord sync {name}`, then `accord explain` it again")


def _is_ours(hub: Hub, remote: Remote) -> bool:
    mark = parse_mark(remote.accord_ref)
    return mark is not None and mark.instance == hub.instance
