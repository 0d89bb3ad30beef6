"""A disk that is full leaves the small files beside a database whole, and nothing of a try that failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import ConfigError, StorageError
from core.model.life import Life
from core.ports import Clock
from core.store.database import Database
from core.store.instance import hold
from core.store.keyring import KeyFile
from core.store.life import Ends, LifeFile
from tests.support.disk import files_end_at

Open = Callable[..., Database]
MANY = [f"{number:064x}" for number in range(200)]


def test_a_life_that_is_not_written_whole_takes_nobodys_place(tmp_path: Path) -> None:
    """What was erased and revoked stands there only, once an older database is put back."""
    file = LifeFile(tmp_path / "accord.life", is_kept=True)
    file.write(Life(instance="one", counter=1, home=""), Ends([], MANY[:1]))
    before = file.read()
    with files_end_at(4096), pytest.raises(StorageError, match="cannot be written"):
        file.write(Life(instance="one", counter=2, home=""), Ends([], MANY))
    assert file.read() == before
    assert [one.name for one in tmp_path.iterdir()] == ["accord.life"]


def test_a_lock_that_cannot_say_whose_it_is_is_let_go(tmp_path: Path, open_database: Open, clock: Clock) -> None:
    """The process would be in its own way from then on."""
    db = open_database(f"sqlite:///{tmp_path}/accord.sqlite3")
    with files_end_at(0), pytest.raises(StorageError, match="lock file cannot be written"):
        hold(db, clock)
    hold(db, clock).release()


def test_a_key_that_has_no_room_leaves_no_draft(tmp_path: Path) -> None:
    """A supervisor tries again every few seconds; and a draft that was nearly whole is a key lying about."""
    keys = KeyFile(tmp_path / "accord.key")
    with files_end_at(20), pytest.raises(ConfigError, match="cannot be used"):
        keys.read()
    assert list(tmp_path.iterdir()) == []
    before = keys.read()
    with files_end_at(60), pytest.raises(ConfigError, match="nothing was changed"):
        keys.next([])
    assert (keys.read(), [one.name for one in tmp_path.iterdir()]) == (before, ["accord.key"])
