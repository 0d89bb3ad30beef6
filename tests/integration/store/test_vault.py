"""Secrets at rest: sealed, bound to their place, durable, and yielding to what a person puts in anew."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import ConfigError, StorageError
from core.ports import Clock, Vault
from core.store.database import Database, Tx
from core.store.keyring import GivenKeys, Keyring
from core.store.secret_tables import VAULT, VAULT_KEYS
from core.store.vault import SealedVault, check_keys, forget

KEY = bytes(range(32))
OTHER_KEY = bytes(32)


def keys(*given: bytes) -> Keyring:
    """A keyring as the environment gives it."""
    text = " ".join(base64.b64encode(one).decode() for one in given)
    return Keyring(GivenKeys(lambda: text))


MAKE_KEY = """
    import sys
    from core.store.keyring import keyring_for
    print("ready", flush=True)
    sys.stdin.readline()
    print(keyring_for(sys.argv[1], None).newest().hex())
"""
SAVE_AND_DIE = """
    import asyncio, base64, os, signal, sys
    from core.store.database import Database
    from core.store.keyring import GivenKeys, Keyring
    from core.store.vault import SealedVault

    class Clock:
        def now(self):
            return 1.0

    keys = Keyring(GivenKeys(lambda: base64.b64encode(bytes(range(32))).decode()))
    vault = SealedVault(Database(sys.argv[1]), keys, "quickbooks", clock=Clock())

    async def story():
        await vault.save({"refresh_token": "r2", "access_token": "a2"})
        os.kill(os.getpid(), signal.SIGKILL)

    print("ready", flush=True)
    asyncio.run(story())
"""
NewVault = Callable[..., SealedVault]


@pytest.fixture
def new_vault(db: Database, clock: Clock) -> NewVault:
    """A vault as after a restart of the daemon, with that start's environment."""

    def make(
        initial: Mapping[str, str] | None = None, *, ring: Keyring | None = None, connection: str = "quickbooks"
    ) -> SealedVault:
        return SealedVault(db, ring or keys(KEY), connection, clock=clock, initial=initial)

    return make


def save(vault: Vault, **values: str) -> None:
    """Save and wait."""
    asyncio.run(vault.save(values))


def sealed(tx: Tx) -> str:
    """All that is stored, as text."""
    return str([tx.rows(VAULT.select()), tx.rows(VAULT_KEYS.select())])


def test_what_was_saved_is_read_after_a_restart(new_vault: NewVault) -> None:
    """A rotated refresh token that is lost locks the operator out."""
    save(new_vault(), refresh_token="r1", access_token="a1")
    save(new_vault(), refresh_token="r2 \0 ü")

    vault = new_vault()

    assert vault.get("refresh_token") == "r2 \0 ü"
    assert vault.get("access_token") == "a1"
    assert vault.get("nothing") is None


def test_what_was_saved_is_durable_when_save_returns(
    new_vault: NewVault, database_url: str, start: Callable[..., Any]
) -> None:
    """The provider has forgotten the old token: a kill right after the save must not lose the new one."""
    process = start(SAVE_AND_DIE, database_url)
    process.wait_ready()
    process.wait_dead()

    assert new_vault().get("refresh_token") == "r2"
    assert new_vault().get("access_token") == "a2"


def test_the_database_does_not_hold_the_secret(new_vault: NewVault, db: Database) -> None:
    """Backups and dumps travel."""
    save(new_vault({"refresh_token": "planted-initial"}), refresh_token="planted-secret")

    assert "planted" not in db.read_now(sealed)
    if db.file is not None:
        db.close()
        assert all(b"planted" not in file.read_bytes() for file in db.file.parent.iterdir())


def test_connections_do_not_see_each_other(new_vault: NewVault) -> None:
    """Two QuickBooks companies."""
    save(new_vault(connection="us"), refresh_token="us")
    save(new_vault(connection="eu"), refresh_token="eu")

    assert new_vault(connection="us").get("refresh_token") == "us"


@pytest.mark.parametrize("moved", [{"connection": "eu"}, {"name": "client_secret"}])
def test_a_sealed_value_moved_to_another_place_is_refused(
    new_vault: NewVault, db: Database, moved: Mapping[str, str]
) -> None:
    """Who can write rows must not be able to point one account's token at another connection."""
    save(new_vault(connection="us"), refresh_token="us")
    save(new_vault(connection="eu"), other="eu")
    mine = VAULT.c.connection == "us"
    db.run_now(lambda tx: tx.execute(sa.update(VAULT).where(mine).values(**moved)))

    with pytest.raises(StorageError, match="damaged or belongs elsewhere"):
        new_vault(connection=moved.get("connection", "us")).get(moved.get("name", "refresh_token"))


def test_a_data_key_moved_to_another_connection_is_refused(new_vault: NewVault, db: Database) -> None:
    """A whole envelope, key and letters, is bound to its connection as well."""
    save(new_vault(connection="us"), refresh_token="us")
    for table in (VAULT, VAULT_KEYS):
        db.run_now(partial(Tx.execute, statement=sa.update(table).values(connection="eu")))

    with pytest.raises(StorageError, match=r"data key.*'eu'.*belongs elsewhere"):
        new_vault(connection="eu").get("refresh_token")


@pytest.mark.parametrize("injury", ["AAAA", "!", ""])
def test_a_damaged_value_is_refused_without_being_told(new_vault: NewVault, db: Database, injury: str) -> None:
    """A flipped bit ends in an error and not in a wrong token."""
    save(new_vault(), refresh_token="r1")
    for column, what in ((VAULT.c.sealed, "refresh_token"), (VAULT_KEYS.c.wrapped, "data key")):
        db.run_now(partial(Tx.execute, statement=sa.update(column.table).values({column.name: injury})))

        with pytest.raises(StorageError, match=rf"{what}.*`accord secrets forget quickbooks`"):
            new_vault().get("refresh_token")


def test_the_wrong_key_is_a_configuration_error(new_vault: NewVault, db: Database) -> None:
    """A database was moved to another machine without its key file."""
    check_keys(db, keys(OTHER_KEY))
    save(new_vault(), refresh_token="r1")

    check_keys(db, keys(KEY))
    check_keys(db, keys(OTHER_KEY, KEY))
    other = new_vault(ring=keys(OTHER_KEY))
    attempts: tuple[Callable[[], object], ...] = (
        lambda: check_keys(db, keys(OTHER_KEY)),
        lambda: other.get("refresh_token"),
        lambda: save(other, refresh_token="r2"),
    )
    for attempt in attempts:
        with pytest.raises(ConfigError, match="another key"):
            attempt()


def test_whoever_masks_the_log_hears_a_secret_before_it_is_used(db: Database, clock: Clock) -> None:
    """A token from the vault is in no variable, and an error may quote it."""
    heard: list[str] = []
    for _restart in range(2):
        vault = SealedVault(db, keys(KEY), "quickbooks", clock=clock, tell=heard.append)
        if not heard:
            save(vault, refresh_token="r1")
        assert vault.get("refresh_token") == "r1"

    assert heard == ["r1", "r1", "r1"]


def test_what_a_lost_key_sealed_can_be_forgotten(new_vault: NewVault, db: Database, clock: Clock) -> None:
    """The cure that the message names: then every connection is authorized again, under the new key."""
    save(new_vault(), refresh_token="r1")
    save(new_vault(connection="eu"), refresh_token="r1", access_token="a1")

    assert forget(db, "eu", clock, actor="ann") == 2
    assert new_vault().get("refresh_token") == "r1"
    assert forget(db, None, clock, actor="ann") == 1

    check_keys(db, keys(OTHER_KEY))
    save(new_vault(ring=keys(OTHER_KEY)), refresh_token="r2")
    assert new_vault(ring=keys(OTHER_KEY)).get("refresh_token") == "r2"


def test_the_environments_value_serves_until_a_newer_one_is_saved(new_vault: NewVault) -> None:
    """The first start has a refresh token from the environment; QuickBooks then replaces it."""
    environment = {"refresh_token": "r1"}

    assert new_vault(environment).get("refresh_token") == "r1"
    save(new_vault(environment), refresh_token="r2")

    assert new_vault(environment).get("refresh_token") == "r2"


def test_a_new_value_in_the_environment_beats_the_stored_one(new_vault: NewVault) -> None:
    """The stored token was revoked and a person put a new one in: the old one would fail for ever."""
    save(new_vault({"refresh_token": "r1"}), refresh_token="r2")
    replaced = {"refresh_token": "r9"}

    assert new_vault(replaced).get("refresh_token") == "r9"
    save(new_vault(replaced), refresh_token="r10")

    assert new_vault(replaced).get("refresh_token") == "r10"


def test_what_was_saved_beside_a_replaced_value_is_void(new_vault: NewVault) -> None:
    """The old access token may belong to another company than the new refresh token."""
    save(new_vault({"refresh_token": "r1"}), refresh_token="r2", access_token="a2", expires_at="99")

    vault = new_vault({"refresh_token": "r9"})

    assert vault.get("access_token") is None
    assert vault.get("expires_at") is None


def test_an_unrelated_change_in_the_environment_voids_nothing(new_vault: NewVault) -> None:
    """A rotated webhook secret must not bring back a refresh token that QuickBooks has replaced."""
    save(new_vault({"refresh_token": "r1", "webhook_secret": "w1"}), refresh_token="r2")

    vault = new_vault({"refresh_token": "r1", "webhook_secret": "w2"})

    assert vault.get("refresh_token") == "r2"
    assert vault.get("webhook_secret") == "w2"


@pytest.mark.parametrize("environment", [{}, {"refresh_token": ""}])
def test_a_value_taken_out_of_the_environment_leaves_the_stored_one(
    new_vault: NewVault, environment: Mapping[str, str]
) -> None:
    """After the first start the environment's token is of no use, and people remove it."""
    save(new_vault({"refresh_token": "r1"}), refresh_token="r2")

    assert new_vault(environment).get("refresh_token") == "r2"


def test_a_value_that_appears_in_the_environment_beats_the_stored_one(new_vault: NewVault) -> None:
    """Authorized with `accord connect` at first, with a token of their own later."""
    save(new_vault(), refresh_token="r1")

    assert new_vault({"refresh_token": "r9"}).get("refresh_token") == "r9"


def test_a_failed_save_keeps_all_the_old_values(new_vault: NewVault, db: Database) -> None:
    """A new access token beside the old refresh token is neither one nor the other."""
    save(new_vault(), refresh_token="r1", access_token="a1")
    guard = sa.text("CREATE UNIQUE INDEX one_of_each ON vault (connection)")
    db.run_now(lambda tx: tx.execute(sa.delete(VAULT).where(VAULT.c.name == "access_token")))
    db.run_now(lambda tx: tx.execute(guard))

    with pytest.raises(sa.exc.IntegrityError):
        save(new_vault(), refresh_token="r2", access_token="a2")

    assert new_vault().get("refresh_token") == "r1"


def test_processes_that_start_together_get_one_key(sqlite_url: str, start: Callable[..., Any]) -> None:
    """The daemon and a command, both at the first start."""
    processes = [start(MAKE_KEY, sqlite_url) for _ in range(3)]
    for process in processes:
        process.wait_ready()
    for process in processes:
        process.go()

    assert len({process.finish() for process in processes}) == 1
