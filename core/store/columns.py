"""The kinds of columns that the tables are made of, and the schema they stand in."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

METADATA: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def key(name: str = "id") -> sa.Column[str]:
    """The primary key: random text."""
    return sa.Column(name, sa.String(64), primary_key=True)


def text(name: str, *, optional: bool = False, default: str | None = None) -> sa.Column[str]:
    """Text, or a value as JSON text."""
    return sa.Column(name, sa.Text, nullable=optional, server_default=default)


def time(name: str, *, optional: bool = False) -> sa.Column[float]:
    """Seconds since 1970 (UTC)."""
    return sa.Column(name, sa.Double, nullable=optional)


def count(name: str, default: int = 0) -> sa.Column[int]:
    """A whole number."""
    return sa.Column(name, sa.Integer, nullable=False, server_default=str(default))


def number(name: str = "id") -> sa.Column[int]:
    """The primary key: counted up by the database, so that rows are in the order in which they came."""
    kind = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    return sa.Column(name, kind, primary_key=True, autoincrement=True)


def partial(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    """An index of some rows only."""
    condition = sa.text(where)
    return sa.Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
