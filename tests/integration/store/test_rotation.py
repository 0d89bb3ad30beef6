"""A new key around every secret, while they are read and written, and whatever line the rotation dies at."""

from __future__ import annotations

import asyncio
import base64
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import ConfigError, StorageError
from core.ports import Clock
from core.store.database import Database
from core.store.keyring import GivenKeys, KeyFile, Keyring, key_id
from core.store.secret_tables import VAULT, VAULT_KEYS
from core.store.vault import SealedVault, check_keys, rotate

NAMES = ("us", "eu")
ROTATE_AND_DIE = """
    import os, signal, sys
    from pathlib import Path
    from core.store.database import Database
    from core.store.keyring import KeyFile, Keyring
    from core.store.vault import rotate

    class Clock:
        def now(self):
            return 1.0

    class Dying(KeyFile):
        writes = 0

        def _replace(self, keys):
            self.writes += 1
            place = f"{self.writes}"
            if sys.argv[3] == f"before {place}":
                os.kill(os.getpid(), signal.SIGKILL)
            super()._replace(keys)
            if sys.argv[3] == f"after {place}":
                os.kill(os.getpid(), signal.SIGKILL)

    print("ready", flush=True)
    rotate(Database(sys.argv[1]), Keyring(Dying(Path(sys.argv[2]))), Clock(), actor="ann")
"""


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """Where the keys are, for both kinds of database."""
    return tmp_path / "vault.key"


@pytest.fixture
def filled(db: Database, key_file: Path, clock: Clock) -> Database:
    """Secrets of two connections."""
    ring = Keyring(KeyFile(key_file))
    for name in NAMES:
        asyncio.run(SealedVault(db, ring, name, clock=clock).save({"refresh_token": f"r-{name}", "other": "o"}))
    return db


def readable(db: Database, ring: Keyring, clock: Clock) -> bool:
    """Whether every secret opens."""
    check_keys(db, ring)
    found = [SealedVault(db, ring, name, clock=clock).get("refresh_token") for name in NAMES]
    return found == [f"r-{name}" for name in NAMES]


def everything(db: Database) -> set[str]:
    """Every sealed text."""
    columns = (VAULT.c.sealed, VAULT_KEYS.c.wrapped)
    rows = db.read_now(lambda tx: [row for one in columns for row in tx.rows(sa.select(one))])
    return {text for (text,) in rows}


def test_a_rotation_seals_everything_anew_and_drops_the_old_key(filled: Database, key_file: Path, clock: Clock) -> None:
    """Whoever has the old key and an old backup gets nothing out of a newer one."""
    before, old = everything(filled), key_file.read_text()

    done = rotate(filled, Keyring(KeyFile(key_file)), clock, actor="ann")

    assert (done.connections, done.secrets) == (2, 4)
    assert not before & everything(filled)
    assert len(key_file.read_text().split()) == 1
    assert key_file.read_text() != old
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert readable(filled, Keyring(KeyFile(key_file)), clock)


def test_a_key_file_that_is_a_link_stays_one(filled: Database, key_file: Path, clock: Clock, tmp_path: Path) -> None:
    """Kept on a disk of its own: the new key must not land beside the database."""
    vault = tmp_path / "disk"
    vault.mkdir()
    kept = key_file.rename(vault / "kept.key")
    key_file.symlink_to(kept)
    old = kept.read_text()

    rotate(filled, Keyring(KeyFile(key_file)), clock, actor="ann")

    assert key_file.is_symlink()
    assert kept.read_text() != old
    assert readable(filled, Keyring(KeyFile(key_file)), clock)


def test_a_process_that_runs_notices_the_new_key(filled: Database, key_file: Path, clock: Clock) -> None:
    """The daemon was started with the old one; it reads, writes, and connects something new."""
    daemon = Keyring(KeyFile(key_file))
    for _ in range(3):
        rotate(filled, Keyring(KeyFile(key_file)), clock, actor="ann")
        assert readable(filled, daemon, clock)
    rotate(filled, Keyring(KeyFile(key_file)), clock, actor="ann")

    asyncio.run(SealedVault(filled, daemon, "new", clock=clock).save({"api_key": "k"}))
    asyncio.run(SealedVault(filled, daemon, "us", clock=clock).save({"refresh_token": "r2"}))

    later = Keyring(KeyFile(key_file))
    assert SealedVault(filled, later, "new", clock=clock).get("api_key") == "k"
    assert SealedVault(filled, later, "us", clock=clock).get("refresh_token") == "r2"


@pytest.mark.parametrize("place", ["before 1", "after 1", "before 2", "after 2"])
def test_a_death_anywhere_leaves_everything_readable(
    filled: Database, database_url: str, key_file: Path, clock: Clock, start: Callable[..., Any], place: str
) -> None:
    """1 is the new key's arrival, before the commit; 2 the old one's leaving, after it. And then it is done again."""
    daemon = Keyring(KeyFile(key_file))
    process = start(ROTATE_AND_DIE, database_url, str(key_file), place)
    process.wait_ready()
    process.wait_dead()

    assert readable(filled, daemon, clock)
    assert readable(filled, Keyring(KeyFile(key_file)), clock)

    before = everything(filled)
    rotate(filled, Keyring(KeyFile(key_file)), clock, actor="ann")
    assert not before & everything(filled)
    assert len(key_file.read_text().split()) == 1
    assert readable(filled, daemon, clock)
    assert [one.name for one in key_file.parent.glob("vault.key*")] == ["vault.key"]


def refresh(vault: SealedVault, name: str, is_over: threading.Event) -> int:
    """What a daemon does, without pause."""
    number = 0
    while number == 0 or not is_over.is_set():
        number += 1
        asyncio.run(vault.save({"refresh_token": f"{name} {number}"}))
        assert vault.get("refresh_token") == f"{name} {number}"
    return number


def test_rotations_and_refreshes_at_once_fail_nothing(filled: Database, key_file: Path, clock: Clock) -> None:
    """A daemon refreshes tokens while two people rotate: the last token saved is the one that is found."""

    def turn() -> None:
        for _ in range(10):
            rotate(filled, Keyring(KeyFile(key_file)), clock, actor="ann")

    is_over = threading.Event()
    vaults = {name: SealedVault(filled, Keyring(KeyFile(key_file)), name, clock=clock) for name in NAMES}
    with ThreadPoolExecutor(4) as pool:
        refreshing = [pool.submit(refresh, vault, name, is_over) for name, vault in vaults.items()]
        rotating = [pool.submit(turn) for _ in range(2)]
        wait(rotating)
        is_over.set()

    assert [*(one.exception() for one in rotating), *(one.exception() for one in refreshing)] == [None] * 4
    last = {name: f"{name} {one.result()}" for name, one in zip(NAMES, refreshing, strict=True)}
    later = Keyring(KeyFile(key_file))
    assert {name: SealedVault(filled, later, name, clock=clock).get("refresh_token") for name in NAMES} == last
    assert len(key_file.read_text().split()) == 1


def test_a_secret_that_does_not_open_stops_the_rotation(filled: Database, key_file: Path, clock: Clock) -> None:
    """It is named; the others stay as they are, under the old key."""
    old = key_file.read_text()
    wrong = sa.update(VAULT).where(VAULT.c.connection == "eu", VAULT.c.name == "other").values(sealed="AAAA")
    filled.run_now(lambda tx: tx.execute(wrong))

    with pytest.raises(StorageError, match="'other' of 'eu'"):
        rotate(filled, Keyring(KeyFile(key_file)), clock, actor="ann")

    assert key_file.read_text() == old
    assert readable(filled, Keyring(KeyFile(key_file)), clock)


def test_a_key_of_ones_own_is_rotated_by_putting_a_new_one_first(db: Database, clock: Clock) -> None:
    """From a file that is read again, as ACCORD_SECRET_KEY_FILE is: the running daemon finds it there."""
    old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
    given = [old]
    daemon = Keyring(GivenKeys(lambda: given[0]))
    for name in NAMES:
        asyncio.run(SealedVault(db, daemon, name, clock=clock).save({"refresh_token": f"r-{name}"}))

    with pytest.raises(ConfigError, match="in use already; put a new one before it"):
        rotate(db, Keyring(GivenKeys(lambda: given[0])), clock, actor="ann")
    given[0] = f"{new} {old}"
    done = rotate(db, Keyring(GivenKeys(lambda: given[0])), clock, actor="ann")
    given[0] = new

    assert done.key_id == key_id(base64.b64decode(new))
    assert readable(db, daemon, clock)
    assert readable(db, Keyring(GivenKeys(lambda: given[0])), clock)
    with pytest.raises(ConfigError, match="another key"):
        check_keys(db, Keyring(GivenKeys(lambda: old)))
