"""One daemon per database: a lock that the operating system or PostgreSQL lets go of when its process dies."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol, Self

import sqlalchemy as sa

from core.errors import BusyError, StorageError
from core.ports import Clock
from core.store.database import Database, storage_errors
from core.store.place import make_folder

_TURNS: Final = 200
_TURN_SECONDS: Final = 0.01
_CURE: Final = "stop that one first, or give this one another database"


class _Lock(Protocol):
    def is_ours(self) -> bool: ...

    def release(self) -> None: ...


class Instance:
    """The right to be the one daemon of a database, until `release`."""

    def __init__(self, db: Database, clock: Clock) -> None:
        """Take it, or raise BusyError."""
        self._db = db
        self._clock = clock
        self._lock = _take(db, clock)

    def confirm(self) -> bool:
        """Raise BusyError if the right was lost to another process.

        A restarted PostgreSQL forgets its locks and a deleted lock file guards nothing: ask now and then.
        What was lost to nobody is taken again: False then, for another process may have had it meanwhile.
        """
        if self._lock.is_ours():
            return True
        self._lock.release()
        self._lock = _take(self._db, self._clock)
        return False

    def release(self) -> None:
        """Let another process have it; safe to repeat."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()


def hold(db: Database, clock: Clock) -> Instance:
    """Become the one daemon of `db`; BusyError says who is it already. Nothing is locked in memory."""
    return Instance(db, clock)


def is_held(db: Database) -> bool:
    """Whether a daemon runs on `db` now."""
    if not db.is_sqlite:
        return _postgres_holder(db) is not None
    return db.file is not None and _is_file_locked(_lock_path(db.file))


def _take(db: Database, clock: Clock) -> _Lock:
    if not db.is_sqlite:
        return _PostgresLock(db)
    return _NoLock() if db.file is None else _FileLock(_lock_path(db.file), clock)


class _NoLock:
    def is_ours(self) -> bool:
        return True

    def release(self) -> None:
        pass


# ---- SQLite: flock on a file beside it ---------------------------------------------------------------


class _FileLock:
    """The file is never deleted: a second process could lock the old one while a third locks the new."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        make_folder(path)
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            message = f"the lock file cannot be written: {error}; make its folder writable"
            raise StorageError(message) from error
        try:
            is_taken = _lock(self._file)
        except StorageError:
            os.close(self._file)
            raise
        if not is_taken:
            holder = os.pread(self._file, 200, 0).decode(errors="replace").strip() or "unknown process"
            os.close(self._file)
            message = f"another Accord daemon ({holder}) holds {path}; {_CURE}"
            raise BusyError(message)
        self._sign(clock)

    def _sign(self, clock: Clock) -> None:
        """Say in the file who holds it. Where there is no room for that, let go: we would be in our own way."""
        since = datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"pid {os.getpid()}, since {since}\n".encode(), 0)
        except OSError as error:
            os.close(self._file)
            message = f"the lock file cannot be written: {error}; free space on its disk"
            raise StorageError(message) from error

    def is_ours(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except OSError:
            return False

    def release(self) -> None:
        if self._file >= 0:
            if self.is_ours():
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = -1


def _lock_path(file: Path) -> Path:
    return file.with_name(f"{file.name}.lock")


def _lock(file: int) -> bool:
    """Whether we got it. A daemon's lock is exclusive; `is_held` looks with a shared one: wait until it looked."""
    pause = threading.Event()
    for _turn in range(_TURNS):
        if _flock(file, fcntl.LOCK_EX):
            return True
        if not _flock(file, fcntl.LOCK_SH):
            return False
        _flock(file, fcntl.LOCK_UN)
        pause.wait(_TURN_SECONDS)
    return False


def _is_file_locked(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError as error:
        message = f"the lock file cannot be read: {error}; run this as the user that runs the daemon"
        raise StorageError(message) from error
    try:
        return not _flock(file, fcntl.LOCK_SH)
    finally:
        os.close(file)


def _flock(file: int, operation: int) -> bool:
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        message = f"the lock file cannot be locked: {error}; keep the database on a local disk"
        raise StorageError(message) from error
    return True


# ---- PostgreSQL: an advisory lock of a session of its own --------------------------------------------

_KEY: Final = "hashtext('accord instance'), hashtext(current_schema())"
_LOCKS: Final = """
    pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.classid::bigint = hashtext('accord instance')::bigint & 4294967295
      AND l.objid::bigint = hashtext(current_schema())::bigint & 4294967295
"""
_OURS: Final = f"SELECT count(*) FROM {_LOCKS} AND l.pid = pg_backend_pid()"  # noqa: S608 (constants)
_HOLDER: Final = f"""
    SELECT application_name, client_addr::text, backend_start FROM pg_stat_activity
    WHERE pid IN (SELECT l.pid FROM {_LOCKS})
"""  # noqa: S608 (constants)


class _PostgresLock:
    """Needs a real session: a pooler that lends one per transaction (PgBouncer) would lose the lock."""

    def __init__(self, db: Database) -> None:
        with storage_errors():
            self._session = db.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            # out of the pool: nobody else may get this session, and closing it ends it
            self._session.detach()
            name = f"accord pid {os.getpid()} on {socket.gethostname()}"[:63]
            self._session.execute(sa.text("SELECT set_config('application_name', :name, false)"), {"name": name})
        if not self._take(db):
            self.release()
            message = f"another Accord daemon ({_postgres_holder(db) or 'just gone'}) holds the database; {_CURE}"
            raise BusyError(message)

    def _take(self, db: Database) -> bool:
        """Whether we got it. A session that ended keeps its lock for a moment: wait while nobody is seen to hold it."""
        pause = threading.Event()
        for _turn in range(_TURNS):
            with storage_errors():
                if self._session.scalar(sa.text(f"SELECT pg_try_advisory_lock({_KEY})")):
                    return True
            if _postgres_holder(db):
                return False
            pause.wait(_TURN_SECONDS)
        return False

    def is_ours(self) -> bool:
        # the lock and not the session: SQLAlchemy replaces a lost session without a word
        with suppress(sa.exc.DBAPIError, sa.exc.InvalidRequestError):
            return bool(self._session.scalar(sa.text(_OURS)))
        return False

    def release(self) -> None:
        with suppress(sa.exc.DBAPIError, sa.exc.InvalidRequestError):
            # the server notices the end of a session when it comes to it: the next daemon need not wait for that
            self._session.execute(sa.text("SELECT pg_advisory_unlock_all()"))
        with suppress(sa.exc.DBAPIError):
            self._session.close()


def _postgres_holder(db: Database) -> str | None:
    rows = db.read_now(lambda tx: tx.rows(sa.text(_HOLDER)))
    if not rows:
        return None
    name, address, since = rows[0]
    return f"{name}, from {address or 'this machine'}, since {since:%Y-%m-%d %H:%M:%S %Z}"
