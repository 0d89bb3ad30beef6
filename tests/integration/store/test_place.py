"""A database file that goes away, or is another one, while it is open."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.errors import StorageError
from core.store import schema
from core.store.database import Database, Tx
from core.store.tables import META
from tests.support.disk import files_end_at

Open = Callable[..., Database]


def put(name: str) -> Callable[[Tx], None]:
    """A transaction that stores one row."""

    def work(tx: Tx) -> None:
        tx.execute(sa.insert(META).values(name=name, value="x"))

    return work


def names(tx: Tx) -> list[str]:
    """The rows there are."""
    return [name for (name,) in tx.rows(sa.select(META.c.name).order_by(META.c.name))]


@pytest.fixture
def opened(sqlite_url: str, open_database: Open) -> tuple[Database, Path]:
    """A database that is in use, and its file."""
    db = open_database(sqlite_url)
    schema.upgrade(db)
    db.run_now(put("before"))
    assert db.file is not None
    return db, db.file


def test_a_deleted_file_takes_nothing_any_more(opened: tuple[Database, Path]) -> None:
    """Every commit succeeded in a file without a name: webhooks were acknowledged, and gone at the next start."""
    db, file = opened
    file.unlink()

    with pytest.raises(StorageError, match=r"deleted or moved away while Accord ran.* put back the file"):
        db.run_now(put("lost"))
    with pytest.raises(StorageError, match="deleted or moved away"):
        asyncio.run(db.read(names))
    assert not file.exists()


def test_a_command_makes_no_new_database_where_one_was_moved_away_from_under_a_daemon(
    opened: tuple[Database, Path], open_database: Open, sqlite_url: str
) -> None:
    """`accord status` showed an empty registry, and took away what the last minutes had committed beside the old file.

    SQLite begins a new database by deleting the -wal file that it finds.
    """
    db, file = opened
    moved = file.rename(file.with_name("moved.sqlite3"))
    beside = file.with_name(f"{file.name}-wal")
    held = beside.read_bytes()
    with pytest.raises(StorageError, match=r"is not there, and .*-wal is: .* put back"):
        open_database(sqlite_url).read_now(names)
    assert not file.exists()
    assert beside.read_bytes() == held
    moved.rename(file)
    assert "before" in db.read_now(names)
    db.run_now(put("later"))
    assert "later" in open_database(sqlite_url).read_now(names)


def test_no_empty_file_is_made_where_the_database_has_gone(opened: tuple[Database, Path]) -> None:
    """SQLite makes a file for a connection that finds none; the next start would take it for a new registry."""
    db, file = opened
    db.engine.dispose()
    file.unlink()

    with pytest.raises(StorageError, match="deleted or moved away"):
        db.run_now(put("lost"))
    assert not file.exists()


def test_a_backup_that_was_put_over_it_takes_nothing(opened: tuple[Database, Path], tmp_path: Path) -> None:
    """Somebody restores without stopping the daemon: neither file may get a half of what follows."""
    db, file = opened
    copy = tmp_path / "copy"
    shutil.copy(file, copy)
    before = copy.read_bytes()
    copy.replace(file)

    with pytest.raises(StorageError, match="replaced by another file while Accord ran"):
        db.run_now(put("lost"))
    assert file.read_bytes() == before


def test_a_file_that_is_moved_back_goes_on(opened: tuple[Database, Path]) -> None:
    """It is the same file: nothing was lost, so nothing has to be started anew."""
    db, file = opened
    away = file.with_name("away")
    file.rename(away)
    with pytest.raises(StorageError):
        db.run_now(put("refused"))
    away.rename(file)

    db.run_now(put("after"))

    assert db.read_now(names) == ["after", "before"]


def test_a_new_database_is_for_its_owner_s_eyes(opened: tuple[Database, Path]) -> None:
    """Everybody on the machine could read the customers in it."""
    _, file = opened
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in file.parent.glob(f"{file.name}*")}
    assert modes[file.name] == 0o600
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3, "the file, -wal and -shm"


def test_a_database_that_is_there_keeps_its_mode(tmp_path: Path, open_database: Open) -> None:
    """A group that was let in on purpose is not shut out."""
    file = tmp_path / "shared.sqlite3"
    file.touch(0o660)
    file.chmod(0o660)
    schema.upgrade(open_database(f"sqlite:///{file}"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o660


def test_a_file_that_may_not_grow_says_what_to_look_at(opened: tuple[Database, Path]) -> None:
    """A quota is an I/O error to SQLite, and was told without a cure."""
    db, _ = opened
    with files_end_at(0), pytest.raises(StorageError, match="see whether its disk is full, fails or has a quota"):
        db.run_now(put("beyond"))
    assert db.read_now(names) == ["before"]


def test_a_file_that_may_not_be_looked_at_is_told(open_database: Open, tmp_path: Path) -> None:
    """`accord status` by somebody else than the daemon's user ended in a traceback: the folder is that one's alone."""
    db = open_database(f"sqlite:///{tmp_path / ('x' * 300)}")

    with pytest.raises(StorageError, match="cannot be looked at: File name too long"):
        schema.current(db)
    with pytest.raises(StorageError, match="cannot be looked at: File name too long"):
        db.run_now(put("lost"))
