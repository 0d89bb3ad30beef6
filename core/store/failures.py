"""Failures by record: shown until they are resolved, retried with back-off, dead after too many attempts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.store import tombstones
from core.store.database import Tx
from core.store.tables import FAILURES
from core.store.text import SOME, AnyRow, Insert, chunks, dialect_insert

_NAMES = "connection subject kind record_id field code message raw state attempts first_at last_at next_at trace"
_COLUMNS = tuple(FAILURES.c[name] for name in _NAMES.split())


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One record that failed. state: retrying | dead (a person must retry)."""

    connection: str
    subject: str
    kind: str = "customer"
    record_id: str | None = None
    field: str | None = None
    code: str
    message: str
    raw: str = ""
    state: str
    attempts: int = 1
    first_at: float
    last_at: float
    next_at: float | None = None
    trace: str = ""


_HERE: Final = FAILURES.c.connection == sa.bindparam("here")
_OF_SUBJECTS: Final = sa.select(*_COLUMNS).where(_HERE, FAILURES.c.subject.in_(SOME))
_RESOLVE: Final = sa.delete(FAILURES).where(_HERE, FAILURES.c.subject.in_(SOME))


def record(tx: Tx, failures: Sequence[Failure]) -> None:
    """Store failures; one that stands already counts one attempt more. Of what was erased only the code is kept."""
    erased = {
        name: tombstones.erased_subjects(tx, name, [one.subject for one in failures if one.connection == name])
        for name in {one.connection for one in failures}
    }
    kept = [_emptied(one) if one.subject in erased[one.connection] else one for one in failures]
    tx.many(_record(tx.dialect), [msgspec.structs.asdict(one) for one in kept])


def _emptied(one: Failure) -> Failure:
    return msgspec.structs.replace(one, message="its customer was erased", raw="", record_id=None)


@cache
def _record(dialect: str) -> Insert:
    statement = dialect_insert(dialect, FAILURES)
    new = statement.excluded
    kept = {name: new[name] for name in ("code", "message", "raw", "field", "state", "last_at", "next_at", "trace")}
    return statement.on_conflict_do_update(
        index_elements=["connection", "subject"], set_={**kept, "attempts": FAILURES.c.attempts + 1}
    )


def resolve(tx: Tx, connection: str, subjects: Iterable[str]) -> None:
    """These subjects succeeded."""
    for some in chunks(sorted(set(subjects))):
        tx.execute(_RESOLVE, {"here": connection, "some": some})


def listing(
    tx: Tx, *, connection: str | None = None, state: str | None = None, code: str | None = None, limit: int = 1000
) -> list[Failure]:
    """Failures that stand, oldest first."""
    asked = {"connection": connection, "state": state, "code": code}
    wanted: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    return [_failure(row) for row in tx.rows(_listing(tuple(wanted)), {**wanted, "most": limit})]


@cache
def _listing(columns: tuple[str, ...]) -> sa.Select[*tuple[Any, ...]]:
    statement = sa.select(*_COLUMNS).where(*(FAILURES.c[name] == sa.bindparam(name) for name in columns))
    return statement.order_by(FAILURES.c.first_at, FAILURES.c.subject).limit(sa.bindparam("most"))


def of_record(tx: Tx, record_id: str) -> list[Failure]:
    """Failures of one customer."""
    return [_failure(row) for row in tx.rows(sa.select(*_COLUMNS).where(FAILURES.c.record_id == record_id))]


def known(tx: Tx, connection: str, subjects: Iterable[str]) -> dict[str, Failure]:
    """Failures that stand, by subject."""
    found: dict[str, Failure] = {}
    for some in chunks(sorted(set(subjects))):
        rows = tx.rows(_OF_SUBJECTS, {"here": connection, "some": some})
        found.update((row.subject, _failure(row)) for row in rows)
    return found


def counts(tx: Tx) -> dict[tuple[str, str], int]:
    """Failures by connection and state."""
    statement = sa.select(FAILURES.c.connection, FAILURES.c.state, sa.func.count())
    rows = tx.rows(statement.group_by(FAILURES.c.connection, FAILURES.c.state))
    return {(row[0], row[1]): row[2] for row in rows}


def _failure(row: AnyRow) -> Failure:
    return Failure(**dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name for it
