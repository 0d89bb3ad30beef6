"""JSON text columns, and upserts that both databases understand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

T = TypeVar("T")
Insert = sqlite.Insert | postgresql.Insert
AnyRow = sa.Row[*tuple[Any, ...]]
"""A result row of any width."""


class Several(sa.types.TypeDecorator[Any]):
    """Texts in one parameter: a JSON array for SQLite, an array for PostgreSQL."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """The column type that the parameter has."""
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else postgresql.ARRAY(sa.Text))

    def process_bind_param(self, value: Sequence[str] | None, dialect: sa.Dialect) -> object:
        """The texts as the driver takes them."""
        return dump(value) if dialect.name == "sqlite" else list(value or ())


class each_of(GenericFunction[str]):  # noqa: N801 - SQLAlchemy names a function by its class
    """A table of one column: the texts of a parameter."""

    inherit_cache = True


@compiles(each_of, "sqlite")
def _json_each(element: each_of, compiler: SQLCompiler, **options: object) -> str:
    return f"json_each{compiler.process(element.clause_expr, **options)}"


@compiles(each_of, "postgresql")
def _unnest(element: each_of, compiler: SQLCompiler, **options: object) -> str:
    return f"unnest{compiler.process(element.clause_expr, **options)}"


SOME: Final = sa.select(each_of(sa.bindparam("some", type_=Several())).table_valued("value", name="value").c.value)
"""The values of an IN list, as one parameter: a list of many would be compiled anew at every call.

The alias has the column's name, because PostgreSQL gives a table of one column that name.
"""

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
