"""Transactions, and what goes wrong with the disk, the file, the server and the values."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from core.errors import InvalidInputError, StorageError
from core.store import schema
from core.store.database import Database, Tx
from core.store.tables import JOURNAL, META

Open = Callable[..., Database]
NOBODY = 65534
HEALTHY_BYTES = 4096 * 3
HOLD_LOCK = """
    import sqlite3, sys, time
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    print("ready", flush=True)
    time.sleep(600)
"""
HOLD_LOCK_POSTGRES = """
    import psycopg, sys, time
    connection = psycopg.connect(sys.argv[1])
    connection.execute("LOCK TABLE meta")
    print("ready", flush=True)
    time.sleep(600)
"""
DIE_BEFORE_COMMIT = """
    import sys, time
    import sqlalchemy as sa
    from core.store.database import Database
    from core.store.tables import META
    db = Database(sys.argv[1])

    def work(tx):
        tx.execute(sa.insert(META).values(name="half", value="done"))
        print("ready", flush=True)
        time.sleep(600)

    db.run_now(work)
"""


def put(name: str, value: str = "x") -> Callable[[Tx], None]:
    """A transaction that stores one row."""

    def work(tx: Tx) -> None:
        tx.execute(sa.insert(META).values(name=name, value=value))

    return work


def names(tx: Tx) -> list[str]:
    """The rows there are."""
    return [name for (name,) in tx.rows(sa.select(META.c.name).order_by(META.c.name))]


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may write anything, so be nobody meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def shared_folder() -> Iterator[Path]:
    """A folder that nobody can reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_an_exception_undoes_the_whole_transaction(db: Database) -> None:
    """A record's mapping without its journal entry would be a change nobody can explain."""

    def work(tx: Tx) -> None:
        put("a")(tx)
        raise LookupError

    with pytest.raises(LookupError):
        db.run_now(work)

    assert db.read_now(names) == []


def test_what_waits_for_the_commit_runs_only_after_it(db: Database) -> None:
    """A lane that is woken before the commit finds nothing to do and sleeps again."""
    seen: list[list[str]] = []

    def work(tx: Tx, *, is_failing: bool) -> None:
        put(f"failing {is_failing}")(tx)
        tx.after_commit(lambda: seen.append(db.read_now(names)))
        if is_failing:
            raise LookupError

    with pytest.raises(LookupError):
        db.run_now(lambda tx: work(tx, is_failing=True))
    db.run_now(lambda tx: work(tx, is_failing=False))

    assert seen == [["failing False"]]


def test_a_read_beside_a_write_sees_what_was_committed_before(db: Database) -> None:
    """The API must never show a value that a rollback then takes back."""

    async def story() -> tuple[list[str], list[str]]:
        is_written, may_end = threading.Event(), threading.Event()

        def work(tx: Tx) -> None:
            put("a")(tx)
            is_written.set()
            assert may_end.wait(10)

        writing = asyncio.create_task(db.run(work))
        await asyncio.to_thread(is_written.wait, 10)
        during = await db.read(names)
        may_end.set()
        await writing
        return during, await db.read(names)

    assert asyncio.run(story()) == ([], ["a"])


def test_a_read_sees_one_moment(db: Database) -> None:
    """A listing in two queries must not show a customer with mappings of a later state."""

    def look_twice(tx: Tx) -> tuple[list[str], list[str]]:
        before = names(tx)
        db.run_now(put("a"))
        return before, names(tx)

    assert db.read_now(look_twice) == ([], [])
    assert db.read_now(names) == ["a"]


def test_a_read_cannot_write(db: Database) -> None:
    """A write that a read's rollback swallows would look like it worked."""
    with pytest.raises(StorageError):
        db.read_now(put("a"))

    db.run_now(put("b"))
    assert db.read_now(names) == ["b"]


def test_a_process_killed_before_its_commit_leaves_nothing(
    db: Database, database_url: str, start: Callable[..., Any]
) -> None:
    """Power fails between the statements of a transaction."""
    victim = start(DIE_BEFORE_COMMIT, database_url)
    victim.wait_ready()
    victim.kill()

    assert db.read_now(names) == []
    db.run_now(put("half"))


def test_threads_share_an_in_memory_database_in_turns(open_database: Open) -> None:
    """It is one connection: without turns, one thread's rollback undoes another one's rows."""
    db = open_database("sqlite://")
    schema.upgrade(db)

    async def crowd() -> None:
        writes = [db.run(put(f"{number:03}")) for number in range(100)]
        reads = [db.read(names) for _ in range(100)]
        here = asyncio.to_thread(lambda: [db.read_now(names) for _ in range(100)])
        await asyncio.gather(*writes, *reads, here)

    asyncio.run(crowd())

    assert len(db.read_now(names)) == 100


def test_writers_of_one_name_take_turns(db: Database) -> None:
    """Two lanes that both look, find nothing, and create: one must see the other's row."""
    both_looked = threading.Barrier(2)

    def create_once(tx: Tx) -> None:
        tx.serialize("the one")
        if not names(tx):
            # without turns both arrive here; with turns the first one waits in vain
            with suppress(threading.BrokenBarrierError):
                both_looked.wait(0.3)
            put(f"only {threading.get_ident()}")(tx)

    async def both() -> None:
        await asyncio.gather(*(db.run(create_once) for _ in range(2)))

    asyncio.run(both())

    assert len(db.read_now(names)) == 1


def test_a_locked_database_fails_after_the_wait(
    database_url: str, db: Database, open_database: Open, start: Callable[..., Any]
) -> None:
    """A person's forgotten session must not stop the daemon without a word."""
    source, where = (HOLD_LOCK, str(db.file)) if db.is_sqlite else (HOLD_LOCK_POSTGRES, database_url)
    holder = start(source, where)
    holder.wait_ready()
    hasty = open_database(database_url, busy_seconds=0.1)

    with pytest.raises(StorageError, match=r"another (process is writing|session holds a lock)"):
        hasty.run_now(put("a"))
    holder.kill()
    hasty.run_now(put("b"))

    assert hasty.read_now(names) == ["b"]


def test_a_full_disk_stores_nothing_of_the_step(sqlite_url: str, open_database: Open) -> None:
    """Half a step would be worse than none; the message says what to free."""
    db = open_database(sqlite_url)
    schema.upgrade(db)
    db.run_now(put("before"))
    with small_quota(db):

        def work(tx: Tx) -> None:
            put("a")(tx)
            for number in range(100):
                put(f"big {number}", "x" * 100_000)(tx)

        with pytest.raises(StorageError, match="free space"):
            db.run_now(work)
    assert db.read_now(names) == ["before"]
    db.run_now(put("after"))


@contextmanager
def small_quota(db: Database) -> Iterator[None]:
    """Let the file grow by 20 pages and no more."""

    def limit(connection: sa.Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 20}")

    event.listen(db.engine, "begin", limit)
    yield
    event.remove(db.engine, "begin", limit)
    db.engine.dispose()


def test_a_file_that_may_not_be_written_says_so(shared_folder: Path, open_database: Open) -> None:
    """A backup restored as root, a daemon that runs as a user."""
    url = f"sqlite:///{shared_folder}/accord.sqlite3"
    first = open_database(url)
    schema.upgrade(first)
    first.close()
    (shared_folder / "accord.sqlite3").chmod(0o444)
    shared_folder.chmod(0o555)

    with without_privileges(), pytest.raises(StorageError, match="writable"):
        open_database(url).run_now(put("a"))


def test_a_missing_folder_is_made(tmp_path: Path, open_database: Open) -> None:
    """The first start is one command."""
    db = open_database(f"sqlite:///{tmp_path}/a/b/accord.sqlite3")

    schema.upgrade(db)

    assert (tmp_path / "a/b/accord.sqlite3").exists()


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path, open_database: Open) -> None:
    """A file stands where the folder should."""
    (tmp_path / "a").write_text("")

    with pytest.raises(StorageError, match="folder cannot be made"):
        open_database(f"sqlite:///{tmp_path}/a/accord.sqlite3").run_now(put("a"))


def test_a_file_of_another_kind_says_so(tmp_path: Path, open_database: Open) -> None:
    """An operator names accord.toml where the database belongs."""
    (tmp_path / "accord.toml").write_text("[connections.stripe]\n" * 100)

    with pytest.raises(StorageError, match="not SQLite's"):
        open_database(f"sqlite:///{tmp_path}/accord.toml").run_now(put("a"))


def test_a_damaged_file_says_so(sqlite_url: str, open_database: Open) -> None:
    """A disk went bad: stop and restore, and do not retry for ever."""
    db = open_database(sqlite_url)
    schema.upgrade(db)
    for number in range(50):
        db.run_now(put(f"{number:03}", "x" * 4000))
    file = db.file
    assert file is not None
    db.close()
    raw = file.read_bytes()
    file.write_bytes(raw[:HEALTHY_BYTES] + os.urandom(len(raw) - HEALTHY_BYTES))

    with pytest.raises(StorageError, match="restore a backup"):
        open_database(sqlite_url).read_now(lambda tx: tx.rows(META.select()))


def test_a_database_without_tables_says_what_to_run(database_url: str, open_database: Open) -> None:
    """The check at the start may have been skipped."""
    with pytest.raises(StorageError, match="accord db upgrade"):
        open_database(database_url).run_now(put("a"))


@pytest.mark.parametrize("url", ["postgresql://postgres@127.0.0.1:1/test", "postgresql://accord.invalid/test"])
def test_a_server_that_does_not_answer_says_so(url: str, open_database: Open) -> None:
    """PostgreSQL restarts: the daemon waits, it does not crash."""
    db = open_database(url)

    with pytest.raises(StorageError, match="cannot be used now"):
        db.run_now(put("a"))
    with pytest.raises(StorageError, match="cannot be used now"):
        db.read_now(names)


def test_a_database_that_does_not_exist_says_so(postgres_url: str, open_database: Open) -> None:
    """A typing error in the URL."""
    url = sa.make_url(postgres_url).set(database="accord_no_such_database")

    with pytest.raises(StorageError, match="create it, or name another"):
        open_database(url.render_as_string(hide_password=False)).read_now(names)


def test_an_option_of_the_address_that_is_none_says_so(open_database: Open) -> None:
    """`sslmod` for `sslmode` ended every command in a story of Python's."""
    db = open_database("postgresql://nobody@127.0.0.1:5432/accord?sslmod=require")
    with pytest.raises(StorageError, match='"sslmod"'):
        db.read_now(names)


def test_a_session_ended_by_the_server_costs_one_transaction(postgres_url: str, open_database: Open) -> None:
    """An administrator restarts PostgreSQL in the middle of a transaction."""
    db, other = open_database(postgres_url), open_database(postgres_url)
    schema.upgrade(db)

    def work(tx: Tx) -> None:
        put("a")(tx)
        mine = tx.rows(sa.text("SELECT pg_backend_pid()"))[0][0]
        end = sa.text("SELECT pg_terminate_backend(:pid)")
        other.run_now(lambda their: their.execute(end, {"pid": mine}))
        put("b")(tx)

    with pytest.raises(StorageError, match="cannot be used now"):
        db.run_now(work)
    db.run_now(put("c"))

    assert db.read_now(names) == ["c"]


def test_a_nul_is_kept_or_refused_but_does_no_harm(db: Database) -> None:
    """Providers send U+0000; SQLite keeps it, PostgreSQL's text cannot. Repositories store escaped JSON."""
    if db.is_sqlite:
        db.run_now(put("a", "x\0y"))
        assert db.read_now(lambda tx: tx.rows(sa.select(META.c.value))) == [("x\0y",)]
    else:
        with pytest.raises(InvalidInputError, match="cannot be stored"):
            db.run_now(put("a", "x\0y"))
        assert db.read_now(names) == []
    db.run_now(put("b", r'{"name": "x\u0000y"}'))


def test_half_a_surrogate_pair_is_refused(db: Database) -> None:
    """JSON may carry one; no database's UTF-8 does."""
    with pytest.raises(InvalidInputError, match="surrogate"):
        db.run_now(put("a", "x\ud800y"))

    assert db.read_now(names) == []


def test_a_value_that_is_too_long_for_its_column(db: Database) -> None:
    """SQLite ignores lengths, PostgreSQL does not; neither crashes."""
    if db.is_sqlite:
        db.run_now(put("n" * 100))
    else:
        with pytest.raises(InvalidInputError, match="cannot be stored"):
            db.run_now(put("n" * 100))


def test_an_error_does_not_tell_the_values(db: Database) -> None:
    """Errors end in logs, and values are customers' data."""
    db.run_now(put("a"))

    with pytest.raises(sa.exc.IntegrityError) as caught:
        db.run_now(put("a", "planted-secret"))

    assert "planted-secret" not in str(caught.value)


def test_our_own_wrong_sql_is_not_dressed_up_as_a_storage_problem(postgres_url: str, open_database: Open) -> None:
    """A retry would never end."""
    with pytest.raises(sa.exc.ProgrammingError):
        open_database(postgres_url).run_now(lambda tx: tx.execute(sa.text("SELEKT 1")))


def test_journal_numbers_grow_by_themselves(db: Database) -> None:
    """The journal's order is its id on both databases."""
    row = {"at": 1.0, "kind": "customer", "record_id": "c", "action": "create", "changes": "{}", "actor": "a"}
    for _ in range(3):
        db.run_now(lambda tx: tx.many(sa.insert(JOURNAL), [row]))

    ids = [number for (number,) in db.read_now(lambda tx: tx.rows(sa.select(JOURNAL.c.id).order_by(JOURNAL.c.id)))]

    assert ids == sorted(set(ids))
    assert len(ids) == 3
