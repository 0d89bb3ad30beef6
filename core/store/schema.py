"""The schema's revisions: Alembic's, shipped inside the package.

All that is missing is applied in one transaction, so a kill half way leaves the database as it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from core.errors import SchemaError
from core.store.database import Database, Tx
from core.store.place import is_absent

MIGRATIONS: Final = Path(__file__).parent / "migrations"
VERSION_TABLE: Final = "accord_schema"
"""Ours by name: Alembic's usual `alembic_version` would make any application's database look like Accord's."""


def upgrade(db: Database) -> list[str]:
    """Bring `db` to this program's schema; return the revisions that were applied."""
    return db.run_now(_upgrade)


def bring(db: Database, *, migrate: bool) -> None:
    """Make an empty database's tables. SchemaError: it is newer; or older, and nobody said `migrate`."""
    if migrate or current(db) is None:
        upgrade(db)
    check(db)


def check(db: Database) -> None:
    """Raise SchemaError unless `db` has exactly this program's schema."""
    revision = None if is_absent(db.file) else db.read_now(_known_revision)
    head = _script().get_current_head()
    if revision != head:
        what = f"has revision {revision}" if revision else "is empty"
        message = f"the database {what}, this program needs {head}; run `accord db upgrade`"
        raise SchemaError(message)


def current(db: Database) -> str | None:
    """Return the revision that `db` has, known to this program or not; None before the first upgrade.

    A file that is not there yet is not made by looking.
    """
    return None if is_absent(db.file) else db.read_now(_revision)


def alembic_config(connection: sa.Connection | None = None) -> Config:
    """Return what Alembic's commands need to work in the transaction that is open on `connection`."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    return config


def is_other_default(
    _context: object, _found: object, _column: object, found: str | None, _default: object, wanted: str | None
) -> bool | None:
    """Compare two defaults for Alembic, whose own look takes '' on SQLite for a change; None: let it look."""
    return False if found is not None and wanted == "" == found.strip("()'") else None


def _upgrade(tx: Tx) -> list[str]:
    tx.serialize("accord schema")
    revision = _known_revision(tx)
    missing = [one.revision for one in _script().iterate_revisions("heads", revision or "base")]
    command.upgrade(alembic_config(tx.connection), "head")
    return missing[::-1]


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(alembic_config())


def _known_revision(tx: Tx) -> str | None:
    revision = _revision(tx)
    if revision is None:
        _refuse_foreign_tables(tx)
        return None
    if revision not in {one.revision for one in _script().walk_revisions()}:
        message = (
            f"the database has revision {revision}, which this program does not know: a newer Accord wrote it; "
            "run that version or a later one, or restore a backup made before its upgrade"
        )
        raise SchemaError(message)
    return revision


def _revision(tx: Tx) -> str | None:
    if not sa.inspect(tx.connection).has_table(VERSION_TABLE):
        return None
    found = tx.rows(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)))
    return str(found[0][0]) if found else None


def _refuse_foreign_tables(tx: Tx) -> None:
    foreign = sorted(set(sa.inspect(tx.connection).get_table_names()) - {VERSION_TABLE})
    if foreign:
        message = (
            f"the database is not Accord's: it has tables ({', '.join(foreign[:3])}) but no {VERSION_TABLE}; "
            "give Accord a database or a schema of its own"
        )
        raise SchemaError(message)
