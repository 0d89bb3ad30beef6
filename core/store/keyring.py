"""Where the vault's keys come from. The first one seals; the others still open what they sealed before a rotation."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import sqlalchemy as sa

from core.errors import ConfigError
from core.store.database import sqlite_file

KEY_BYTES: Final = 32
_SETTING: Final = "ACCORD_SECRET_KEY"
_HOW: Final = "make one with `openssl rand -base64 32`"


class KeySource(Protocol):
    """Keys outside the database, newest first."""

    def read(self) -> Sequence[bytes]:
        """All of them, as they are now; never empty. Raises ConfigError."""
        ...

    def next(self, in_use: Collection[str]) -> bytes:
        """The key that a rotation goes to, readable by everybody before anything is sealed with it."""
        ...

    def retire(self, in_use: Collection[str]) -> None:
        """Nothing is sealed with other keys than those `in_use` any more."""
        ...


class Keyring:
    """The keys of one process. One it does not know is looked for at the source, so a rotation needs no restart."""

    def __init__(self, source: KeySource) -> None:
        """Read them. Raises ConfigError when there are none."""
        self.source = source
        self._known: dict[str, bytes] = {}
        self.newest()

    def newest(self) -> bytes:
        """The key to seal with, as the source has it now."""
        found = self.source.read()
        # what was known stays known: a read that began before a rotation ends after it
        self._known = self._known | {key_id(key): key for key in found}
        return found[0]

    def find(self, wanted: str) -> bytes | None:
        """The key of this id, if there is one."""
        if wanted not in self._known:
            self.newest()
        return self._known.get(wanted)

    @property
    def ids(self) -> Collection[str]:
        """Of the keys known so far."""
        return self._known.keys()


class GivenKeys:
    """Keys that an operator gives in `ACCORD_SECRET_KEY`: base64, newest first, separated by white space."""

    def __init__(self, text: Callable[[], str]) -> None:
        """`text` is asked again whenever a key is missing: its file may have changed."""
        self._text = text

    def read(self) -> Sequence[bytes]:
        """See KeySource."""
        return _keys_in(self._text(), what="not a key", file=None)

    def next(self, in_use: Collection[str]) -> bytes:
        """The first one, if it is a new one."""
        newest = self.read()[0]
        if key_id(newest) in in_use and len(set(in_use)) == 1:
            problem = "its first key is in use already; put a new one before it, separated by a space"
            raise ConfigError(f"{problem} ({_HOW})", key=_SETTING)
        return newest

    def retire(self, in_use: Collection[str]) -> None:
        """Old ones are the operator's to take away."""


class KeyFile:
    """The file beside a SQLite database, made on first use: a key in base64 per line, newest first."""

    def __init__(self, path: Path) -> None:
        """Touch nothing yet."""
        self.path = path

    def read(self) -> Sequence[bytes]:
        """See KeySource."""
        try:
            if not self.path.exists():
                self._make()
            if self.path.stat().st_mode & 0o077:
                message = "others may read this key; run `chmod 600` on it"
                raise ConfigError(message, file=str(self.path))
            text = self.path.read_text(encoding="ascii", errors="replace")
        except OSError as error:
            message = f"the key file cannot be used: {error.strerror}; make it and its folder yours"
            raise ConfigError(message, file=str(self.path)) from error
        return _keys_in(text, what="holds no key (restore it from where you keep it)", file=self.path)

    def next(self, in_use: Collection[str]) -> bytes:
        """A new key, written before those there are; the one of a rotation that died half way, if it did."""
        keys = self.read()
        if any(one != key_id(keys[0]) for one in in_use):
            return keys[0]
        new = secrets.token_bytes(KEY_BYTES)
        self._replace([new, *keys])
        return new

    def retire(self, in_use: Collection[str]) -> None:
        """Keep the newest and what is in use."""
        keys = self.read()
        kept = [key for number, key in enumerate(keys) if number == 0 or key_id(key) in in_use]
        if len(kept) < len(keys):
            self._replace(kept)

    def _make(self) -> None:
        """Never over one that is there: secrets may be sealed with it already."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._draft([secrets.token_bytes(KEY_BYTES)])
        try:
            with suppress(FileExistsError):
                os.link(draft, self.path)
        finally:
            draft.unlink()
        self._sync_folder()

    def _replace(self, keys: Sequence[bytes]) -> None:
        """Whole or not at all: half a key file opens nothing."""
        try:
            draft = self._draft(keys)
            try:
                # through a link to a disk of its own, the key stays there
                draft.replace(self.path.resolve())
            finally:
                draft.unlink(missing_ok=True)
            self._sync_folder()
        except OSError as error:
            message = f"the new key cannot be written: {error.strerror}; nothing was changed"
            raise ConfigError(message, file=str(self.path)) from error

    def _draft(self, keys: Sequence[bytes]) -> Path:
        place = self.path.resolve()
        draft = place.with_name(f"{place.name}.{secrets.token_hex(8)}")
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(file, "wb") as stream:
                stream.writelines(base64.b64encode(key) + b"\n" for key in keys)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return draft

    def _sync_folder(self) -> None:
        folder = os.open(self.path.resolve().parent, os.O_RDONLY)
        try:
            # the key must be on disk before anything is sealed with it
            os.fsync(folder)
        finally:
            os.close(folder)


def keyring_for(url: str, given: Callable[[], str] | None) -> Keyring:
    """The keys of a database: those `given`, or a file beside the SQLite database, made on first use."""
    if given is not None:
        return Keyring(GivenKeys(given))
    parsed = sa.make_url(url)
    file = sqlite_file(parsed)
    if file is not None:
        return Keyring(KeyFile(file.with_name(f"{file.name}.key")))
    if parsed.get_backend_name() == "sqlite":
        passing = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
        return Keyring(GivenKeys(lambda: passing))
    message = f"PostgreSQL needs a vault key, the same one on every machine; {_HOW}"
    raise ConfigError(message, key=_SETTING)


def key_id(key: bytes) -> str:
    """Tells keys apart without telling anything about them."""
    return hashlib.sha256(b"accord vault key id" + key).hexdigest()[:16]


def unknown_key() -> ConfigError:
    """A secret was sealed with a key that is not there."""
    message = (
        "the vault cannot be opened: its secrets were sealed with another key; "
        "give back the old key (there, or as the .key file beside the database); if it is lost, "
        "`accord secrets forget`, then authorize the connections again"
    )
    return ConfigError(message, key=_SETTING)


def _keys_in(text: str, *, what: str, file: Path | None) -> Sequence[bytes]:
    keys = [_key_in(word) for word in text.split()]
    if not keys or None in keys:
        which = f" (number {keys.index(None) + 1} of {len(keys)})" if len(keys) > 1 else ""
        message = f"{what}{which}: it must be {KEY_BYTES} bytes in base64; {_HOW}"
        raise ConfigError(message, file=str(file) if file else None, key=None if file else _SETTING)
    return [key for key in keys if key is not None]


def _key_in(word: str) -> bytes | None:
    try:
        key = base64.b64decode(word.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES else None
