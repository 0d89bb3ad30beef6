"""Only one daemon runs on a database, and its death frees the place."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.api.health import Health
from core.errors import BusyError, StorageError
from core.ports import Clock
from core.store.database import Database
from core.store.instance import hold, is_held

Open = Callable[..., Database]
HOLD = """
    import sys, time
    from core.store.database import Database
    from core.store.instance import hold

    class Clock:
        def now(self):
            return 1767323045.0

    held = hold(Database(sys.argv[1]), Clock())
    print("ready", flush=True)
    time.sleep(600)
"""
PROBE = """
    import sys
    from core.store.database import Database
    from core.store.instance import is_held
    db = Database(sys.argv[1])
    print("ready", flush=True)
    while True:
        is_held(db)
"""


@pytest.fixture
def db(database_url: str, open_database: Open) -> Database:
    """A lock needs no tables."""
    return open_database(database_url)


def test_a_second_daemon_is_told_who_holds_the_database(
    db: Database, database_url: str, clock: Clock, start: Callable[..., Any]
) -> None:
    """The supervisor starts it, and a person starts it by hand: two would send every write twice."""
    first = start(HOLD, database_url)
    first.wait_ready()

    assert is_held(db)
    with pytest.raises(BusyError, match=rf"pid {first.pid}\b.*since 20.*stop that one first"):
        hold(db, clock)


def test_a_killed_daemon_frees_the_place(
    db: Database, database_url: str, clock: Clock, start: Callable[..., Any]
) -> None:
    """After a kill -9 the supervisor's restart must not need a person to delete a lock."""
    first = start(HOLD, database_url)
    first.wait_ready()
    first.kill()

    wait_until_free(db)
    with hold(db, clock):
        assert is_held(db)
    assert not is_held(db)


def wait_until_free(db: Database) -> None:
    """PostgreSQL notices a closed socket a moment later."""
    for _ in range(10_000):
        if not is_held(db):
            return


def test_a_released_place_can_be_taken_again(db: Database, clock: Clock) -> None:
    """A stop and a start."""
    first = hold(db, clock)
    with pytest.raises(BusyError):
        hold(db, clock)
    first.release()
    first.release()

    assert not is_held(db)
    with hold(db, clock) as second:
        second.confirm()
        assert is_held(db)


def test_looking_does_not_keep_a_daemon_from_starting(
    db: Database, database_url: str, clock: Clock, start: Callable[..., Any]
) -> None:
    """`accord status` in a loop beside a restart."""
    lookers = [start(PROBE, database_url) for _ in range(2)]
    for looker in lookers:
        looker.wait_ready()

    for _ in range(500 if db.is_sqlite else 20):
        hold(db, clock).release()

    assert not is_held(db)


def test_databases_do_not_share_a_lock(postgres_url: str, open_database: Open, clock: Clock, tmp_path: Path) -> None:
    """Two registries in two schemas of one PostgreSQL, two files in one folder."""
    here = sa.make_url(postgres_url).update_query_dict({"options": "-csearch_path=public"})
    urls = [postgres_url, here.render_as_string(hide_password=False)]
    urls += [f"sqlite:///{tmp_path}/{name}.sqlite3" for name in "ab"]

    places = [hold(open_database(url), clock) for url in urls]
    for number, held in enumerate(places, 1):
        held.confirm()
        held.release()
        assert [is_held(open_database(url)) for url in urls] == [False] * number + [True] * (len(urls) - number)


def test_an_in_memory_database_needs_no_lock(open_database: Open, clock: Clock) -> None:
    """Nobody else can reach it."""
    db = open_database("sqlite://")

    with hold(db, clock), hold(db, clock) as second:
        second.confirm()
        assert not is_held(db)


def test_a_lock_lost_with_its_session_is_taken_again(postgres_url: str, open_database: Open, clock: Clock) -> None:
    """PostgreSQL restarts and forgets its locks; the daemon goes on and must not go on unguarded."""
    db = open_database(postgres_url)
    held = hold(db, clock)
    end_lock_sessions(db)

    assert not is_held(db)
    assert not held.confirm(), "another one may have had it meanwhile"

    assert is_held(db)
    assert held.confirm()
    held.release()


def test_a_lock_lost_to_another_daemon_is_noticed(postgres_url: str, open_database: Open, clock: Clock) -> None:
    """While PostgreSQL was away, another daemon was quicker: this one has to stop."""
    db, other = open_database(postgres_url), open_database(postgres_url)
    held = hold(db, clock)
    end_lock_sessions(db)

    with hold(other, clock), pytest.raises(BusyError):
        held.confirm()
    held.release()


@pytest.mark.anyio
async def test_lanes_are_told_of_a_lock_that_was_somebody_else_s(
    sqlite_url: str, open_database: Open, clock: Clock
) -> None:
    """What the other daemon had under way when it ended is known to no lane of this one."""
    db, told = open_database(sqlite_url), list[str]()
    assert db.file is not None
    with hold(db, clock) as held:
        health = Health(
            db, held, clock, lambda: told.append("not yet" if health.is_ours else "before any lane goes on")
        )
        await health.confirm()
        db.file.with_name("accord.sqlite3.lock").unlink()
        with hold(db, clock):
            await health.confirm()
            assert (health.is_ours, told) == (False, [])
        await health.confirm()
        await health.confirm()
    assert (health.is_ours, told) == (True, ["before any lane goes on"])


def end_lock_sessions(db: Database) -> None:
    """What a restart of the server does to them."""
    end = sa.text(
        "SELECT pg_terminate_backend(l.pid, 5000) FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2"
        " AND l.objid::bigint = hashtext(current_schema())::bigint & 4294967295"
    )
    assert db.run_now(lambda tx: tx.rows(end)) == [(True,)]


def test_a_deleted_lock_file_is_noticed(sqlite_url: str, open_database: Open, clock: Clock) -> None:
    """A person tidies up *.lock: a second daemon could then lock a new file."""
    db = open_database(sqlite_url)
    assert db.file is not None
    lock = db.file.with_name("accord.sqlite3.lock")
    held = hold(db, clock)
    lock.unlink()

    held.confirm()
    assert is_held(db)

    lock.unlink()
    with hold(db, clock), pytest.raises(BusyError):
        held.confirm()
    held.release()


def test_the_lock_file_is_private_and_empty_when_free(sqlite_url: str, open_database: Open, clock: Clock) -> None:
    """A stale pid in it would send a person after the wrong process."""
    db = open_database(sqlite_url)
    assert db.file is not None
    lock = db.file.with_name("accord.sqlite3.lock")

    with hold(db, clock):
        assert lock.stat().st_mode & 0o777 == 0o600
        assert lock.read_text() == f"pid {os.getpid()}, since 2026-01-02 03:04:05 UTC\n"
    assert lock.read_text() == ""


def test_a_lock_file_that_cannot_be_written_says_so(sqlite_url: str, open_database: Open, clock: Clock) -> None:
    """A folder stands where the lock file should."""
    db = open_database(sqlite_url)
    assert db.file is not None
    db.file.with_name("accord.sqlite3.lock").mkdir()

    with pytest.raises(StorageError, match="lock file cannot be written"):
        hold(db, clock)
