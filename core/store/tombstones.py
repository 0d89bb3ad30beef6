"""Tombstones: what must not come back by itself, neither by an event nor by a sweep, a retry or an older database.

Ids of customers and objects are kept as hashes only. A hash is not a secret: whoever guesses an id can check it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from core.model.remote import Remote, parse_mark
from core.store.database import Tx
from core.store.tables import DOCUMENTS, MAPPINGS, TOMBSTONES
from core.store.text import AnyRow, chunks, dialect_insert

CUSTOMER: Final = "customer"
MAPPING: Final = "mapping"
OBJECT: Final = "object"
ERASED: Final = "erased"
UNLINKED: Final = "unlinked"

_COLUMNS = tuple(TOMBSTONES.c)
_IS_ANY: Final = sa.select(TOMBSTONES.c.id).where(TOMBSTONES.c.why == ERASED).limit(1)


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """One end. what: customer | mapping | object; why: erased | unlinked."""

    id: str
    what: str
    why: str = ERASED
    connection: str = ""
    record_id: str = ""
    digest: str = ""
    generation: int = 0
    at: float = 0.0
    actor: str = ""


def customer_digest(external_id: str) -> str:
    """What is kept of an erased customer's external id."""
    return _digest(CUSTOMER, external_id)


def object_id(connection: str, remote_id: str) -> str:
    """What is kept of an erased object's id."""
    return _digest(OBJECT, connection, remote_id)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def put(tx: Tx, rows: Sequence[Tombstone]) -> None:
    """Store; one that stands stays as it is, but that what was unlinked may be erased later."""
    statement = dialect_insert(tx.dialect, TOMBSTONES)
    new = statement.excluded
    later = statement.on_conflict_do_update(
        index_elements=["id"],
        set_={name: new[name] for name in ("why", "at", "actor")},
        where=sa.and_(TOMBSTONES.c.why == UNLINKED, new.why == ERASED),
    )
    tx.many(later, [msgspec.structs.asdict(one) for one in rows])


def every(tx: Tx) -> list[Tombstone]:
    """All of them, oldest first."""
    return [_tombstone(row) for row in tx.rows(sa.select(*_COLUMNS).order_by(TOMBSTONES.c.at, TOMBSTONES.c.id))]


def of_customer(tx: Tx, external_id: str) -> list[Tombstone]:
    """The erased customers that had this external id, newest first."""
    statement = sa.select(*_COLUMNS).where(TOMBSTONES.c.digest == customer_digest(external_id))
    return [_tombstone(row) for row in tx.rows(statement.order_by(TOMBSTONES.c.at.desc()))]


def erased_objects(tx: Tx, connection: str, remote_ids: Iterable[str]) -> set[str]:
    """Which of these objects were erased."""
    by_key = {object_id(connection, one): one for one in set(remote_ids)} if _is_any(tx) else {}
    return {by_key[one] for one in _standing(tx, by_key)}


def unlinked(tx: Tx, mapping_ids: Iterable[str]) -> set[str]:
    """Which of these mappings a person untied."""
    found: set[str] = set()
    for some in chunks(sorted(set(mapping_ids))):
        statement = sa.select(TOMBSTONES.c.id).where(TOMBSTONES.c.id.in_(some), TOMBSTONES.c.why == UNLINKED)
        found.update(row[0] for row in tx.rows(statement))
    return found


def erased_among(tx: Tx, connection: str, kind: str, remotes: Sequence[Remote]) -> set[str]:
    """Ids of objects that were erased, absorbed one that was, or carry the marker of an erased mapping.

    One that is mapped by now is its customer's, whatever it carries.
    """
    if not remotes or not _is_any(tx):
        return set()
    own = erased_objects(tx, connection, (alias for one in remotes for alias in (one.id, *one.aliases)))
    marks = {one.id: mark.mapping for one in remotes if (mark := parse_mark(one.accord_ref))}
    ended = _standing(tx, marks.values())
    found = {one.id for one in remotes if own & {one.id, *one.aliases} or marks.get(one.id) in ended}
    return found - _mapped(tx, connection, kind, found - own)


def erased_subjects(tx: Tx, connection: str, subjects: Iterable[str]) -> set[str]:
    """Which of these subjects are, or were mappings of, something erased, or of a document of somebody erased."""
    wanted = set(subjects)
    if not wanted or not _is_any(tx):
        return set()
    keys = {one: one[2:] if one.startswith(("m:", "f:")) else object_id(connection, one[2:]) for one in wanted}
    owners = _billed(tx, [one[2:] for one in wanted if one.startswith("m:")])
    standing = _standing(tx, {*keys.values(), *owners.values()})
    return {one for one, key in keys.items() if key in standing or owners.get(key) in standing}


def _billed(tx: Tx, mapping_ids: Iterable[str]) -> dict[str, str]:
    """Whose documents' mappings these are: mapping -> customer."""
    found: dict[str, str] = {}
    for some in chunks(sorted(set(mapping_ids))):
        statement = sa.select(MAPPINGS.c.id, DOCUMENTS.c.customer_id).join(
            DOCUMENTS, MAPPINGS.c.record_id == DOCUMENTS.c.id
        )
        found.update((row[0], row[1]) for row in tx.rows(statement.where(MAPPINGS.c.id.in_(some))))
    return found


def _is_any(tx: Tx) -> bool:
    return tx.execute(_IS_ANY).first() is not None


def _standing(tx: Tx, ids: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for some in chunks(sorted(set(ids))):
        statement = sa.select(TOMBSTONES.c.id).where(TOMBSTONES.c.id.in_(some), TOMBSTONES.c.why == ERASED)
        found.update(row[0] for row in tx.rows(statement))
    return found


def _mapped(tx: Tx, connection: str, kind: str, remote_ids: Iterable[str]) -> set[str]:
    m, found = MAPPINGS.c, set[str]()
    for some in chunks(sorted(set(remote_ids))):
        here = (m.connection == connection, m.kind == kind, m.state != "ended", m.remote_id.in_(some))
        found.update(row[0] for row in tx.rows(sa.select(m.remote_id).where(*here)))
    return found


def _tombstone(row: AnyRow) -> Tombstone:
    return Tombstone(**dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it
