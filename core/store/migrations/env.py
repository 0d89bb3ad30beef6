"""Alembic runs this for every command, always in a transaction that `core.store.schema` or a script opened."""
# ruff: noqa: INP001 (Alembic loads it by path)

from __future__ import annotations

from alembic import context

from core.store.schema import VERSION_TABLE, is_other_default
from core.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    # SQLite cannot alter a column in place: Alembic then copies the table
    render_as_batch=True,
    compare_type=True,
    compare_server_default=is_other_default,
)
with context.begin_transaction():
    context.run_migrations()
