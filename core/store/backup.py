"""A copy of the database, made while the daemon runs. The vault's key is a file of its own and stays out of it."""

from __future__ import annotations

import os
import secrets
import sqlite3
from pathlib import Path
from typing import Final

from core.errors import InvalidInputError, StorageError
from core.store.database import Database, storage_errors

_OF_THE_COPY: Final = ("disk is full", "disk I/O error")


def backup(db: Database, target: Path) -> None:
    """Write a consistent copy to `target`: whole or not at all, for its owner's eyes, over nothing that is there."""
    if not db.is_sqlite:
        problem = "only SQLite databases are copied by Accord"
        raise InvalidInputError(problem, cure="use pg_dump for PostgreSQL")
    if not target.name:
        raise InvalidInputError(f"{target} is a folder", field="file", cure="name a file in it")
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        try:
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            _copy(db, draft)
            _sync(draft)
            # a link, unlike a rename, refuses to replace
            os.link(draft, target)
        finally:
            # whoever ends a backup may do so at any time, and its first moment is one
            draft.unlink(missing_ok=True)
        _sync(target.parent)
    except FileExistsError as error:
        raise InvalidInputError(f"{target} exists already", field="file", cure="name another file") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidInputError(f"there is no folder {target.parent}", field="file", cure="make it first") from error
    except OSError as error:
        message = f"the backup was not made: {error}; free space there, or name another place"
        raise StorageError(message) from error


def _copy(db: Database, draft: Path) -> None:
    """VACUUM INTO reads one snapshot; the backup API would start again whenever the daemon writes."""
    with storage_errors():
        connection = db.engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute("PRAGMA query_only=0")
            try:
                cursor.execute("VACUUM INTO ?", (str(draft),))
            except sqlite3.OperationalError as error:
                if not any(sign in str(error) for sign in _OF_THE_COPY):
                    raise
                # SQLite says it of both files alike, and it is the copy that grows
                raise OSError(f"{error}, while {draft.parent} was written to") from error
        finally:
            connection.close()


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
