"""JSON text columns, and upserts that both databases understand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")
Insert = sqlite.Insert | postgresql.Insert
AnyRow = sa.Row[*tuple[Any, ...]]
"""A result row of any width."""

SOME: Final[sa.BindParameter[Any]] = sa.bindparam("some", expanding=True)
"""The values of an IN list. Statements that hot paths use are built once: building costs more than running them."""

DIALECTS: Final = ("sqlite", "postgresql")
CHUNK = 500
"""Most values in one IN list: both databases cap the number of bound parameters."""


def dump(value: object) -> str:
    """A value as JSON text (U+0000 is escaped, so any database takes it)."""
    return msgspec.json.encode(value).decode()


def chunks(items: Sequence[T], size: int = CHUNK) -> Iterator[Sequence[T]]:
    """`items` in slices that fit one IN list."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def dialect_insert(dialect: str, table: sa.Table) -> Insert:
    """The dialect's INSERT, which knows ON CONFLICT."""
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def insert_or_ignore(dialect: str, table: sa.Table) -> Insert:
    """INSERT that leaves an existing row alone."""
    return dialect_insert(dialect, table).on_conflict_do_nothing()


def upsert(dialect: str, table: sa.Table, keys: Sequence[str], changed: Sequence[str]) -> Insert:
    """INSERT, or set `changed` to the new values where a row with these `keys` is there."""
    statement = dialect_insert(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=list(keys), set_={name: statement.excluded[name] for name in changed}
    )
