"""One whole transaction per thread hop, on SQLite (one writer) or PostgreSQL (several).

`await db.run(work)` runs `work(tx)` in a write transaction and commits it; an exception rolls it back.
`await db.read(work)` runs on a snapshot that cannot write. Nobody else calls commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError

from core.errors import StorageError

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5000
POSTGRES_WRITERS = 4
READERS = 2


class Tx:
    """An open transaction. `after_commit` callbacks run only if it commits."""

    def __init__(self, connection: sa.Connection) -> None:
        """Wrap a connection whose transaction is open."""
        self.connection = connection
        self.dialect = connection.dialect.name
        self._after: list[Callable[[], None]] = []

    def execute(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> sa.CursorResult[Any]:
        """Run one statement."""
        return self.connection.execute(statement, parameters or {})

    def many(self, statement: sa.Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each of `rows`."""
        if rows:
            self.connection.execute(statement, list(rows))

    def rows(self, statement: sa.Executable) -> Sequence[sa.Row[Any]]:
        """All rows of a query."""
        return self.connection.execute(statement).all()

    def after_commit(self, call: Callable[[], None]) -> None:
        """Run `call` once this transaction is durable."""
        self._after.append(call)

    def committed(self) -> None:
        """Run what waited for the commit."""
        for call in self._after:
            call()

    def serialize(self, name: str) -> None:
        """Let no other transaction that names `name` run beside this one (SQLite has one writer anyway)."""
        if self.dialect == "postgresql":
            self.connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})


class Database:
    """The registry's database."""

    def __init__(self, url: str, *, is_direct: bool = False) -> None:
        """`is_direct`: run transactions on the calling thread (simulation, commands, migrations)."""
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(self.url) if self.is_sqlite else _postgres_engine(self.url)
        self._is_direct = is_direct
        self._writers = ThreadPoolExecutor(1 if self.is_sqlite else POSTGRES_WRITERS, "accord-write")
        self._readers = ThreadPoolExecutor(READERS, "accord-read")

    async def run(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one write transaction."""
        if self._is_direct:
            return self.run_now(work)
        return await asyncio.get_running_loop().run_in_executor(self._writers, self.run_now, work)

    async def read(self, work: Callable[[Tx], T]) -> T:
        """Run `work` on a snapshot."""
        if self._is_direct:
            return self.read_now(work)
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.read_now, work)

    def run_now(self, work: Callable[[Tx], T]) -> T:
        """`run`, on this thread."""
        try:
            with self.engine.begin() as connection:
                tx = Tx(connection)
                result = work(tx)
        except (OperationalError, sqlite3.OperationalError) as error:
            raise StorageError(_storage_message(error)) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise StorageError(_storage_message(error)) from error
            raise
        tx.committed()
        return result

    def read_now(self, work: Callable[[Tx], T]) -> T:
        """`read`, on this thread."""
        try:
            with self.engine.connect().execution_options(accord_reads=True) as connection:
                return work(Tx(connection))
        except (OperationalError, sqlite3.OperationalError) as error:
            raise StorageError(_storage_message(error)) from error

    def close(self) -> None:
        """Finish what runs, then let go of files and sockets."""
        self._writers.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self.engine.dispose()


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    in_memory = url.database in (None, "", ":memory:")
    if url.database and not in_memory:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    pool = sa.pool.StaticPool if in_memory else None
    arguments = {"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000}
    engine = sa.create_engine(url, connect_args=arguments, poolclass=pool)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would come too late and be deferred
        connection.execute("PRAGMA journal_mode=WAL")
        # an answered webhook must survive power loss
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA cache_size=-32768")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        reads = connection.get_execution_options().get("accord_reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _postgres_engine(url: sa.URL) -> sa.Engine:
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    keepalives = {"connect_timeout": 5, "keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 3}
    return sa.create_engine(url, pool_size=POSTGRES_WRITERS + READERS + 2, connect_args=keepalives, pool_pre_ping=True)


def _storage_message(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    text = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    cures = {
        "locked": "another process is writing; if it does not go away, see who holds the database",
        "full": "free space on the database's disk; nothing of this step was stored",
        "readonly": "make the database file and its folder writable",
        "unable to open": "check that the folder exists and is writable",
        "no such table": "run `accord db upgrade`",
    }
    cure = next((cure for sign, cure in cures.items() if sign in text.lower()), "nothing of this step was stored")
    return f"the database cannot be used now: {text}; {cure}"
