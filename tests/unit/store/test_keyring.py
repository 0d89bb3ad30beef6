"""Where the vault's key comes from."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.store.keyring import key_id, keyring_for


def key_for(url: str, configured: str | None) -> bytes:
    """The key that seals."""
    return keyring_for(url, None if configured is None else lambda: configured).newest()


def test_the_key_file_is_made_once_and_is_private(sqlite_url: str, tmp_path: Path) -> None:
    """A second start with another key could not read what the first one sealed."""
    key = key_for(sqlite_url, None)

    assert len(key) == 32
    assert key_for(sqlite_url, None) == key
    assert stat.S_IMODE((tmp_path / "accord.sqlite3.key").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["accord.sqlite3.key"]


def test_a_key_file_that_others_may_read_is_refused(sqlite_url: str, tmp_path: Path) -> None:
    """Copied with scp, it opens every account to everybody on the machine."""
    key_for(sqlite_url, None)
    (tmp_path / "accord.sqlite3.key").chmod(0o644)

    with pytest.raises(ConfigError, match="chmod 600"):
        key_for(sqlite_url, None)


@pytest.mark.parametrize("text", ["", "half a ke", "\N{SNOWMAN}"])
def test_a_spoiled_key_file_is_named_and_kept(sqlite_url: str, tmp_path: Path, text: str) -> None:
    """Making a new one silently would bury the secrets that the old one sealed."""
    path = tmp_path / "accord.sqlite3.key"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)

    with pytest.raises(ConfigError, match=r"accord.sqlite3.key.*holds no key"):
        key_for(sqlite_url, None)
    assert path.read_text(encoding="utf-8") == text


def test_a_configured_key_is_used_in_both_alphabets(sqlite_url: str, tmp_path: Path) -> None:
    """`openssl rand -base64 32` and Python's urlsafe_b64encode."""
    key = os.urandom(32)

    assert key_for(sqlite_url, base64.b64encode(key).decode() + "\n") == key
    assert key_for("postgresql://db/accord", base64.urlsafe_b64encode(key).decode()) == key
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["secret", "c2hvcnQ=", "\N{SNOWMAN}" * 32])
def test_a_configured_key_that_is_none_says_how_to_make_one_and_is_not_told(text: str) -> None:
    """A password in its place could be guessed from a stolen database."""
    with pytest.raises(ConfigError, match="openssl rand") as caught:
        key_for("sqlite:///accord.sqlite3", text)

    assert text not in str(caught.value)


def test_postgresql_needs_a_configured_key() -> None:
    """Every machine must have the same one, so none can be made up here."""
    with pytest.raises(ConfigError, match="vault key"):
        key_for("postgresql://db/accord", None)


def test_an_in_memory_database_gets_a_key_that_dies_with_it() -> None:
    """Nothing is left to open."""
    assert len(key_for("sqlite://", None)) == 32


def test_a_key_before_the_old_one_seals_and_both_open(sqlite_url: str) -> None:
    """So does an operator rotate a key of their own."""
    old, new = os.urandom(32), os.urandom(32)
    text = f"{base64.b64encode(new).decode()} {base64.b64encode(old).decode()}"

    ring = keyring_for(sqlite_url, lambda: text)

    assert ring.newest() == new
    assert ring.find(key_id(old)) == old


def test_one_bad_key_of_two_is_counted(sqlite_url: str) -> None:
    """Cut off while it was copied: which of them, and not what it was."""
    with pytest.raises(ConfigError, match=r"number 2 of 2.*32 bytes") as caught:
        key_for(sqlite_url, f"{base64.b64encode(os.urandom(32)).decode()} c2hvcnQ=")

    assert "c2hvcnQ" not in str(caught.value)
    assert caught.value.key == "ACCORD_SECRET_KEY", "no setting is called otherwise: it named a `vault_key`"
