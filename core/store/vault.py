"""Secrets at rest: AES-256-GCM, bound to their connection and name, so that no row can be passed off as another."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import ConfigError, StorageError
from core.ports import Clock
from core.store.database import Database, Tx, sqlite_file
from core.store.tables import VAULT

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SETTING: Final = "vault_key"
_HOW: Final = "make one with `openssl rand -base64 32`"


class _Secret(msgspec.Struct, frozen=True):
    """What is sealed. `initials`: digests of the initial values (None: there was none) when this was saved."""

    value: str
    initials: Mapping[str, str | None]


class SealedVault:
    """Secrets of one connection, over the `vault` table.

    `initial` are values from outside (the environment). A stored value is newer than they are, until one of
    those it was saved with, or beside, changes: then a person has put in new credentials, and those count.
    """

    def __init__(
        self, db: Database, key: bytes, connection: str, *, clock: Clock, initial: Mapping[str, str] | None = None
    ) -> None:
        """`key` is from `key_for`."""
        self._db = db
        self._cipher = AESGCM(key)
        self._key_id = _key_id(key)
        self._connection = connection
        self._clock = clock
        self._initial = {name: value for name, value in (initial or {}).items() if value}

    def get(self, name: str) -> str | None:
        """The newest value, or None."""
        row = VAULT.select().where(VAULT.c.connection == self._connection, VAULT.c.name == name)
        found = self._db.read_now(lambda tx: tx.rows(row))
        if found:
            secret = self._open(name, found[0].sealed)
            if not any(self._has_new_initial(one, digest) for one, digest in secret.initials.items()):
                return secret.value
        return self._initial.get(name)

    async def save(self, values: Mapping[str, str]) -> None:
        """Store all of `values` or none, durably. They stand and fall together: see the class."""
        initials = {name: self._initial_digest(name) for name in sorted(values)}
        now = self._clock.now()
        rows = [
            {"connection": self._connection, "name": name, "sealed": self._seal(name, value, initials), "saved_at": now}
            for name, value in values.items()
        ]

        def replace(tx: Tx) -> None:
            tx.serialize(f"vault {self._connection}")
            tx.execute(sa.delete(VAULT).where(VAULT.c.connection == self._connection, VAULT.c.name.in_(list(values))))
            tx.many(sa.insert(VAULT), rows)

        await self._db.run(replace)

    def _initial_digest(self, name: str) -> str | None:
        value = self._initial.get(name)
        return None if value is None else hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()

    def _has_new_initial(self, name: str, digest: str | None) -> bool:
        return name in self._initial and self._initial_digest(name) != digest

    def _seal(self, name: str, value: str, initials: Mapping[str, str | None]) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plain = json.dumps({"value": value, "initials": initials}).encode()
        sealed = nonce + self._cipher.encrypt(nonce, plain, self._bound_to(name))
        return f"{self._key_id}:{base64.b64encode(sealed).decode()}"

    def _open(self, name: str, sealed: str) -> _Secret:
        key_id, _, text = sealed.partition(":")
        if key_id != self._key_id:
            raise _wrong_key()
        try:
            raw = base64.b64decode(text, validate=True)
            plain = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self._bound_to(name))
            return msgspec.convert(json.loads(plain), _Secret)
        except (InvalidTag, ValueError) as error:
            message = (
                f"the stored secret {name!r} of {self._connection!r} was damaged or belongs elsewhere; "
                "restore a backup, or authorize the connection again"
            )
            raise StorageError(message) from error

    def _bound_to(self, name: str) -> bytes:
        return json.dumps(["accord vault", self._connection, name]).encode()


def key_for(url: str, configured: str | None) -> bytes:
    """The vault's key: `configured` (base64), or a file beside the SQLite database, made on first use."""
    if configured:
        return _key_from_text(configured, what="not a key", file=None)
    parsed = sa.make_url(url)
    file = sqlite_file(parsed)
    if file is not None:
        return _key_from_file(file.with_name(f"{file.name}.key"))
    if parsed.get_backend_name() == "sqlite":
        return secrets.token_bytes(_KEY_BYTES)
    message = f"PostgreSQL needs a vault key, the same one on every machine; {_HOW}"
    raise ConfigError(message, key=_SETTING)


def check_key(db: Database, key: bytes) -> None:
    """Raise ConfigError if a stored secret was sealed with another key."""
    own = f"{_key_id(key)}:"
    other = sa.select(VAULT.c.name).where(~VAULT.c.sealed.startswith(own, autoescape=True)).limit(1)
    if db.read_now(lambda tx: tx.rows(other)):
        raise _wrong_key()


def _key_id(key: bytes) -> str:
    """Tells keys apart without telling anything about them."""
    return hashlib.sha256(b"accord vault key id" + key).hexdigest()[:16]


def _wrong_key() -> ConfigError:
    message = (
        "the vault cannot be opened: its secrets were sealed with another key; "
        "give back the old key (or the .key file beside the database), or authorize the connections again"
    )
    return ConfigError(message, key=_SETTING)


def _key_from_text(text: str, *, what: str, file: Path | None) -> bytes:
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        message = f"{what}: it must be {_KEY_BYTES} bytes in base64; {_HOW}"
        raise ConfigError(message, file=str(file) if file else None, key=_SETTING)
    return key


def _key_from_file(path: Path) -> bytes:
    try:
        if not path.exists():
            _make_key_file(path)
        if path.stat().st_mode & 0o077:
            message = "others may read this key; run `chmod 600` on it"
            raise ConfigError(message, file=str(path))
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        message = f"the key file cannot be used: {error.strerror}; make it and its folder yours"
        raise ConfigError(message, file=str(path)) from error
    return _key_from_text(text, what="holds no key (restore it from where you keep it)", file=path)


def _make_key_file(path: Path) -> None:
    """Whole or not at all, and never over one that is there: secrets may be sealed with it already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # the key must be on disk before anything is sealed with it
        os.fsync(folder)
    finally:
        os.close(folder)
