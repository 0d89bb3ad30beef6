"""Whether a SQLite database is still the file that was opened.

SQLite itself goes on in a file that was deleted, or replaced by a backup, under it: every commit succeeds, and is gone
with the process.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from core.errors import StorageError


def make_folder(file: Path) -> None:
    """Make the folder that `file` belongs in, when something is to be written there: who only looks leaves none."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"the database's folder cannot be made: {error}; make {file.parent} yourself, or name another"
        raise StorageError(message) from error


def is_absent(file: Path | None) -> bool:
    """Whether a database's file was never made; one whose -wal is still there has gone, which is told when it opens.

    Raises StorageError where nobody may look.
    """
    return file is not None and not _is_there(file) and not _is_there(_beside(file))


def _is_there(file: Path) -> bool:
    try:
        file.stat()  # `exists` is to pass over what may not be looked at from Python 3.14 on
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        message = f"the database {file} cannot be looked at: {error.strerror}; run this as the user that Accord runs as"
        raise StorageError(message) from error
    return True


def _beside(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _require_nothing_beside(file: Path) -> None:
    """SQLite begins a new database by deleting the -wal file that it finds: what was committed last is in there."""
    beside = _beside(file)
    if _is_there(beside) and not _is_there(file):
        message = (
            f"the database cannot be used now: {file} is not there, and {beside.name} is: it was deleted or moved "
            f"away, and {beside.name} may hold what was committed last; put back the file, or stop Accord, move "
            f"{beside.name} away, too, and put back a backup"
        )
        raise StorageError(message)


class Place:
    """The file of one database. What was opened first is what has to stay there."""

    def __init__(self, file: Path | None) -> None:
        """Nothing was opened yet; None: a database in memory, which nobody can take away."""
        self._file = file
        self._opened: os.stat_result | None = None

    def opened(self) -> None:
        """Remember which file that is; the first one counts."""
        if self._opened is None:
            self._opened = self._found()

    def make(self) -> None:
        """Make a file that is not there yet for its owner's eyes: SQLite would let everybody read customers' data.

        What SQLite puts beside it (-wal, -shm) has the same mode. A file that is there keeps the mode that it has.
        """
        if self._file is None or self._opened is not None:
            return
        _require_nothing_beside(self._file)
        make_folder(self._file)
        # where it cannot be made, SQLite says why
        with suppress(OSError):
            os.close(os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))

    def check(self) -> None:
        """Raise StorageError if another file, or none, has the name of the one that was opened."""
        if self._opened is None:
            return
        found = self._found()
        if found is None or not os.path.samestat(found, self._opened):
            what = "deleted or moved away" if found is None else "replaced by another file"
            message = (
                f"the database cannot be used now: {self._file} was {what} while Accord ran; nothing of this step was "
                "stored; stop Accord, put back the file or a backup of it, start it again"
            )
            raise StorageError(message)

    def _found(self) -> os.stat_result | None:
        if self._file is None:
            return None
        try:
            return self._file.stat()
        except OSError:
            return None
