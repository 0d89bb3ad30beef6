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
