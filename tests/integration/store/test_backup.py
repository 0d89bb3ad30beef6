"""`accord db backup`: online, whole, private, without the key."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.errors import InvalidInputError, StorageError
from core.store import schema
from core.store.backup import backup
from core.store.database import Database, Tx
from core.store.keyring import keyring_for
from core.store.tables import META
from tests.support.disk import files_end_at

Open = Callable[..., Database]


@pytest.fixture
def db(sqlite_url: str, open_database: Open) -> Database:
    """A registry that is in use."""
    db = open_database(sqlite_url)
    schema.upgrade(db)
    db.run_now(put("a"))
    return db


def put(name: str) -> Callable[[Tx], None]:
    """A transaction that stores a pair of rows."""

    def work(tx: Tx) -> None:
        tx.many(sa.insert(META), [{"name": f"{name} {half}", "value": "x" * 2000} for half in (1, 2)])

    return work


def names(tx: Tx) -> list[str]:
    """The rows there are."""
    return [name for (name,) in tx.rows(sa.select(META.c.name).order_by(META.c.name))]


def test_a_backup_is_a_registry(db: Database, tmp_path: Path, open_database: Open) -> None:
    """It is no use unless it opens."""
    target = tmp_path / "backup.sqlite3"

    backup(db, target)

    copy = open_database(f"sqlite:///{target}")
    schema.check(copy)
    assert copy.read_now(names) == ["a 1", "a 2"]
    assert copy.read_now(lambda tx: tx.rows(sa.text("PRAGMA integrity_check"))) == [("ok",)]


def test_a_backup_is_private_and_leaves_the_key_out(db: Database, sqlite_url: str, tmp_path: Path) -> None:
    """It travels to other machines; the key does not."""
    keyring_for(sqlite_url, None)
    folder = tmp_path / "backups"
    folder.mkdir()

    backup(db, folder / "one.sqlite3")

    assert [file.name for file in folder.iterdir()] == ["one.sqlite3"]
    assert stat.S_IMODE((folder / "one.sqlite3").stat().st_mode) == 0o600
    key = (tmp_path / "accord.sqlite3.key").read_bytes().strip()
    assert key not in (folder / "one.sqlite3").read_bytes()


def test_a_backup_beside_a_busy_daemon_has_whole_transactions(
    db: Database, tmp_path: Path, open_database: Open
) -> None:
    """Half a transaction in it would be a state that never was."""

    async def story() -> None:
        writes = [db.run(put(f"{number:04}")) for number in range(200)]
        copies = [asyncio.to_thread(backup, db, tmp_path / f"{number}.sqlite3") for number in range(4)]
        await asyncio.gather(*writes, *copies)

    asyncio.run(story())

    for number in range(4):
        found = open_database(f"sqlite:///{tmp_path}/{number}.sqlite3").read_now(names)
        assert len(found) % 2 == 0
        assert {name[:-2] for name in found[::2]} == {name[:-2] for name in found[1::2]}
    assert len(db.read_now(names)) == 402


def test_a_backup_replaces_nothing(db: Database, tmp_path: Path) -> None:
    """Yesterday's backup may be the only good one, and the registry itself must survive a slip."""
    target = tmp_path / "backup.sqlite3"
    target.write_text("yesterday")

    for taken in (target, tmp_path / "accord.sqlite3"):
        with pytest.raises(InvalidInputError, match="exists already; name another file"):
            backup(db, taken)

    assert target.read_text() == "yesterday"
    assert db.read_now(names) == ["a 1", "a 2"]
    assert list(tmp_path.glob(".backup*")) == []


def test_a_backup_into_a_missing_folder_says_so(db: Database, tmp_path: Path) -> None:
    """A disk that is not mounted must not become a folder of that name."""
    with pytest.raises(InvalidInputError, match="no folder"):
        backup(db, tmp_path / "mnt/backup.sqlite3")


def test_a_backup_that_fails_leaves_no_file(tmp_path: Path, open_database: Open) -> None:
    """Half a file would be found on the day it is needed."""
    (tmp_path / "broken.sqlite3").write_bytes(b"not a database" * 1000)
    target = tmp_path / "backup.sqlite3"

    with pytest.raises(StorageError):
        backup(open_database(f"sqlite:///{tmp_path}/broken.sqlite3"), target)

    assert [file.name for file in tmp_path.iterdir()] == ["broken.sqlite3"]


def test_an_in_memory_database_can_be_backed_up(tmp_path: Path, open_database: Open) -> None:
    """To look at what a simulation ended with."""
    db = open_database("sqlite://")
    schema.upgrade(db)
    db.run_now(put("a"))

    backup(db, tmp_path / "world.sqlite3")

    assert open_database(f"sqlite:///{tmp_path}/world.sqlite3").read_now(names) == ["a 1", "a 2"]


def test_postgresql_is_backed_up_with_its_own_tool(postgres_url: str, open_database: Open, tmp_path: Path) -> None:
    """A copy of ours would lack roles, settings and a restore that anyone has practised."""
    with pytest.raises(InvalidInputError, match="pg_dump"):
        backup(open_database(postgres_url), tmp_path / "backup.sqlite3")


@pytest.mark.parametrize("name", [".", "/"])
def test_a_backup_onto_a_folder_says_so(db: Database, name: str) -> None:
    """A folder has no name of a file: it ended in a traceback."""
    if db.is_sqlite:
        with pytest.raises(InvalidInputError, match="is a folder"):
            backup(db, Path(name))


def test_a_backup_onto_a_full_disk_names_the_disk_that_is_full(db: Database, tmp_path: Path) -> None:
    """It said that the database could not be used, and sent people to the wrong disk."""
    folder = tmp_path / "small"
    folder.mkdir()

    with files_end_at(4096), pytest.raises(StorageError, match=r"not made: .*small was written to; free space there"):
        backup(db, folder / "one.sqlite3")

    assert list(folder.iterdir()) == []
    assert db.read_now(names) == ["a 1", "a 2"]
