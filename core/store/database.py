"""One whole transaction per thread hop, on SQLite (one writer) or PostgreSQL (several).

`await db.run(work)` runs `work(tx)` in a write transaction and commits it; an exception rolls it back.
`await db.read(work)` runs on a snapshot that cannot write. Nobody else calls commit.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from core.errors import AccordError, InvalidInputError, StorageError
from core.store.place import Place

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy.sql.compiler import SQLCompiler

T = TypeVar("T")
Row: TypeAlias = "sa.Row[*tuple[Any, ...]]"

BUSY_SECONDS = 5.0
POSTGRES_WRITERS = 4
READERS = 2
WAL_TURNS = 50
DEADLOCK = "40P01"
DEADLOCK_TURNS = 3


@lru_cache(maxsize=64)
def _compiled(statement: sa.ClauseElement, dialect: sa.Dialect, names: tuple[str, ...]) -> SQLCompiler:
    found = statement.compile(dialect=dialect, column_keys=list(names))
    return cast("SQLCompiler", found)


class Tx:
    """An open transaction. `after_commit` callbacks run only if it commits."""

    def __init__(self, connection: sa.Connection) -> None:
        """Wrap a connection whose transaction is open."""
        self.connection = connection
        self.dialect = connection.dialect.name
        self._after: list[Callable[[], None]] = []

    def execute(
        self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None
    ) -> sa.CursorResult[*tuple[Any, ...]]:
        """Run one statement."""
        return self.connection.execute(statement, parameters or {})

    def many(self, statement: sa.Executable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run one statement for each of `rows`."""
        if rows:
            self.connection.execute(statement, list(rows))

    def load(self, statement: sa.ClauseElement, rows: Sequence[Mapping[str, Any]]) -> None:
        """`many` for statements that are built once and whose values the driver takes as they are: half the cost."""
        if not rows:
            return
        compiled = _compiled(statement, self.connection.dialect, tuple(rows[0]))
        if compiled.positiontup is None:
            self.connection.exec_driver_sql(str(compiled), [dict(row) for row in rows])
            return
        names = compiled.positiontup
        self.connection.exec_driver_sql(str(compiled), [tuple([row[name] for name in names]) for row in rows])

    def rows(self, statement: sa.Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """All rows of a query."""
        return self.connection.execute(statement, parameters or {}).all()

    def after_commit(self, call: Callable[[], None]) -> None:
        """Run `call` once this transaction is durable."""
        self._after.append(call)

    def committed(self) -> None:
        """Run what waited for the commit."""
        for call in self._after:
            call()

    def serialize(self, name: str, *, is_shared: bool = False) -> None:
        """Let no other transaction that names `name` run beside this one (SQLite has one writer anyway).

        Those that are `is_shared` run beside each other.
        """
        if self.dialect == "postgresql":
            lock = "pg_advisory_xact_lock_shared" if is_shared else "pg_advisory_xact_lock"
            self.connection.execute(sa.text(f"SELECT {lock}(hashtext(:name))"), {"name": name})


class Database:
    """The registry's database."""

    def __init__(self, url: str, *, is_direct: bool = False, busy_seconds: float = BUSY_SECONDS) -> None:
        """`is_direct`: run transactions on the calling thread (simulation, commands, migrations).

        A transaction that waits longer than `busy_seconds` for another one fails with StorageError.
        """
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.file = sqlite_file(self.url)
        busy_ms = round(busy_seconds * 1000)
        self.engine = _sqlite_engine(self.url, busy_ms) if self.is_sqlite else _postgres_engine(self.url, busy_ms)
        # an in-memory database is one connection: a second thread's BEGIN would land in the first one's transaction
        in_memory = self.is_sqlite and self.file is None
        self._turn: AbstractContextManager[object] = threading.RLock() if in_memory else nullcontext()
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
        """`run`, on this thread. `work` runs again where PostgreSQL stopped it so that another one could go on."""
        with storage_errors(), self._turn:
            for _turn in range(DEADLOCK_TURNS):
                try:
                    return self._once(work)
                except OperationalError as error:
                    if _sqlstate(error) != DEADLOCK:
                        raise
            return self._once(work)

    def _once(self, work: Callable[[Tx], T]) -> T:
        with self.engine.begin() as connection:
            tx = Tx(connection)
            result = work(tx)
        tx.committed()
        return result

    def read_now(self, work: Callable[[Tx], T]) -> T:
        """`read`, on this thread."""
        options = _SQLITE_READ if self.is_sqlite else _POSTGRES_READ
        with storage_errors(), self._turn, self.engine.connect().execution_options(**options) as connection:
            return work(Tx(connection))

    def close(self) -> None:
        """Finish what runs, then let go of files and sockets."""
        self._writers.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        self.engine.dispose()


_SQLITE_READ: Final[Mapping[str, Any]] = {"accord_reads": True}
_POSTGRES_READ: Final[Mapping[str, Any]] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def sqlite_file(url: sa.URL) -> Path | None:
    """Return a SQLite database's file; None for one in memory and for PostgreSQL."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    return Path(str(url.database)).absolute()


@contextmanager
def storage_errors() -> Iterator[None]:
    """Say what a driver's error means. IntegrityError passes, and so does SQL that is wrong in itself."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, sqlite3.Error, PoolTimeoutError) as error:
        told = _told(error)
        if told is None:
            raise
        raise told from error
    except UnicodeEncodeError as error:
        raise _half_a_pair() from error
    except StatementError as error:  # what a parameter's own type met
        if not isinstance(error.orig, UnicodeEncodeError):
            raise
        raise _half_a_pair() from error


def _half_a_pair() -> InvalidInputError:
    return InvalidInputError(
        "a text holds half a surrogate pair, which no database stores", cure="decode it again at its source"
    )


def _sqlstate(error: Exception) -> str | None:
    """PostgreSQL's code of what happened."""
    return getattr(getattr(error, "orig", None), "sqlstate", None)


def _told(error: Exception) -> AccordError | None:
    """None: our own mistake, to be seen as it is."""
    if isinstance(error, DataError) or _sqlstate(error) == _TOO_LONG:
        return InvalidInputError(f"a value cannot be stored: {_first_line(error)}", cure="correct or shorten it")
    # without a statement it is about the address, which a person wrote
    if isinstance(error, ProgrammingError) and error.statement and _sqlstate(error) not in _UNUSABLE:
        return None
    return StorageError(_storage_message(error))


def _sqlite_engine(url: sa.URL, busy_ms: int) -> sa.Engine:
    file = sqlite_file(url)
    # the connection that was used last knows the pages; any other one reads them again after each commit
    pool: dict[str, Any] = {"poolclass": sa.pool.StaticPool} if file is None else {"pool_use_lifo": True}
    arguments = {"check_same_thread": False, "timeout": busy_ms / 1000}
    engine = sa.create_engine(url, connect_args=arguments, hide_parameters=True, **pool)

    place = Place(file)

    @event.listens_for(engine, "do_connect")
    def look(_dialect: object, _record: object, _args: object, _options: object) -> None:
        place.check()  # before SQLite makes an empty file where ours has gone
        place.make()

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN would come too late and be deferred
        _use_wal(connection)
        place.opened()
        # an answered webhook must survive power loss
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-32768")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        place.check()
        reads = connection.get_execution_options().get("accord_reads", False)
        # on the driver's own connection: as statements of SQLAlchemy's these two would cost more than a look-up
        driver = cast("sqlite3.Connection", connection.connection.driver_connection)
        driver.execute(f"PRAGMA query_only={int(reads)}")
        driver.execute("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Two processes that open a new database at once get "locked" here without any wait, so wait and ask again."""
    for _turn in range(WAL_TURNS):
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        else:
            return
    connection.execute("PRAGMA journal_mode=WAL")


def _postgres_engine(url: sa.URL, busy_ms: int) -> sa.Engine:
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    keepalives = {"connect_timeout": 5, "keepalives_idle": 3, "keepalives_interval": 1, "keepalives_count": 3}
    engine = sa.create_engine(
        url,
        pool_size=POSTGRES_WRITERS + READERS + 2,
        connect_args=keepalives,
        pool_pre_ping=True,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: psycopg.Connection, _record: object) -> None:
        # without it, one forgotten `LOCK TABLE` elsewhere stops every lane without a word
        connection.execute(f"SET lock_timeout = {busy_ms}")
        connection.commit()

    return engine


def _first_line(error: Exception) -> str:
    cause = getattr(error, "orig", None) or error
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__)


_TOO_LONG: Final = "54000"
"""PostgreSQL's code for a value that no row of an index takes: the database is none the worse for it."""
_UNUSABLE: Final = frozenset({"42P01", "42703", "42501", "3F000"})
"""PostgreSQL's codes for a missing table, column or schema, and for a missing grant."""

_UPGRADE: Final = "run `accord db upgrade`"
_CURES: Final = {
    "locked": "another process is writing; if it does not go away, see who holds the database",
    "lock timeout": "another session holds a lock; see pg_stat_activity for whose",
    "full": "free space on the database's disk; nothing of this step was stored",
    "no space left": "free space on the database's disk; nothing of this step was stored",
    "disk i/o error": "see whether its disk is full, fails or has a quota; nothing of this step was stored",
    "readonly": "make the database file and its folder writable",
    "read-only": "this is a standby, or set to read only; name the primary",
    "unable to open": "check that its folder exists and is writable, and that the file is this user's",
    "not a database": "the file is not SQLite's; name another, or restore a backup",
    "malformed": "the file is damaged; stop Accord and restore a backup",
    "invalid connection option": "correct ACCORD_DATABASE_URL",
    "no such table": _UPGRADE,
    "no such column": _UPGRADE,
    "has no column": _UPGRADE,
    'database "': "create it, or name another",
    "refused": "see that PostgreSQL runs there and lets this machine in",
    "does not exist": _UPGRADE,
    "permission denied": "grant Accord's database user what it needs",
}


def _storage_message(error: Exception) -> str:
    text = _first_line(error)
    cure = next((cure for sign, cure in _CURES.items() if sign in text.lower()), "nothing of this step was stored")
    return f"the database cannot be used now: {text}; {cure}"
