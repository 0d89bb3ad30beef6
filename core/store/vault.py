"""Secrets at rest: AES-256-GCM in an envelope, bound to their place, so that no row can be passed off as another.

Each connection has a data key of its own; the keyring's first key wraps the data keys. A rotation makes new data
keys and seals everything anew in one transaction.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.errors import StorageError
from core.ports import Clock
from core.store import journal
from core.store.database import Database, Tx
from core.store.keyring import KEY_BYTES, Keyring, key_id, unknown_key
from core.store.secret_tables import VAULT, VAULT_KEYS

_NONCE_BYTES: Final = 12
_KIND: Final = "secret"
"""Of the journal's entries about secrets: they are about no customer and no document."""
_LOCK: Final = "vault"
"""Saves and rotations go one after the other: a value sealed with a data key that is being replaced would be lost."""


class _Secret(msgspec.Struct, frozen=True):
    """What is sealed. `initials`: digests of the initial values (None: there was none) when this was saved."""

    value: str
    initials: Mapping[str, str | None]


class Rotated(msgspec.Struct, frozen=True):
    """What a rotation did."""

    key_id: str
    connections: int
    secrets: int


class SealedVault:
    """Secrets of one connection, over the `vault` table.

    `initial` are values from outside (the environment). A stored value is newer than they are, until one of
    those it was saved with, or beside, changes: then a person has put in new credentials, and those count.
    """

    def __init__(
        self,
        db: Database,
        keys: Keyring,
        connection: str,
        *,
        clock: Clock,
        initial: Mapping[str, str] | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        """`keys` are those of the database. `tell` hears every stored secret before anybody else: the log masks it."""
        self._db = db
        self._keys = keys
        self._connection = connection
        self._clock = clock
        self._initial = {name: value for name, value in (initial or {}).items() if value}
        self._tell = tell or (lambda _secret: None)

    def get(self, name: str) -> str | None:
        """The newest value, or None."""
        row = (
            sa.select(VAULT.c.sealed, VAULT_KEYS.c.key_id, VAULT_KEYS.c.wrapped)
            .outerjoin_from(VAULT, VAULT_KEYS, VAULT.c.connection == VAULT_KEYS.c.connection)
            .where(VAULT.c.connection == self._connection, VAULT.c.name == name)
        )
        found = self._db.read_now(lambda tx: tx.rows(row))
        if found:
            sealed, wrapped_by, wrapped = found[0]
            data_key = _unwrapped(self._keys, self._connection, wrapped_by or "", wrapped or "")
            secret = _secret(data_key, self._connection, name, sealed)
            self._tell(secret.value)
            if not any(self._has_new_initial(one, digest) for one, digest in secret.initials.items()):
                return secret.value
        return self._initial.get(name)

    async def save(self, values: Mapping[str, str]) -> None:
        """Store all of `values` or none, durably. They stand and fall together: see the class."""
        initials = {name: self._initial_digest(name) for name in sorted(values)}
        for value in values.values():
            self._tell(value)
        plain = {name: _Secret(value, initials) for name, value in values.items()}

        def replace(tx: Tx) -> None:
            tx.serialize(_LOCK)
            now = self._clock.now()
            data_key = self._data_key(tx) or _new_data_key(tx, self._keys.newest(), self._connection, now)
            tx.execute(sa.delete(VAULT).where(VAULT.c.connection == self._connection, VAULT.c.name.in_(list(values))))
            _put(tx, data_key, self._connection, plain, now)

        await self._db.run(replace)

    def _data_key(self, tx: Tx) -> bytes | None:
        row = tx.execute(sa.select(VAULT_KEYS).where(VAULT_KEYS.c.connection == self._connection)).first()
        return _unwrapped(self._keys, self._connection, row.key_id, row.wrapped) if row else None

    def _initial_digest(self, name: str) -> str | None:
        value = self._initial.get(name)
        return None if value is None else hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()

    def _has_new_initial(self, name: str, digest: str | None) -> bool:
        return name in self._initial and self._initial_digest(name) != digest


def check_keys(db: Database, keys: Keyring) -> None:
    """Raise ConfigError if a data key was wrapped with a key that is not there."""
    for one in db.read_now(_keys_in_use):
        if keys.find(one) is None:
            raise unknown_key()


def rotate(db: Database, keys: Keyring, clock: Clock, *, actor: str) -> Rotated:
    """Seal everything anew: a new key around new data keys. A death at any line leaves everything readable.

    The new key is at its source before the transaction that needs it commits, and the old one leaves after that. The
    journal says who did it.
    """
    done = db.run_now(lambda tx: _rotate(tx, keys, clock.now(), actor))
    db.run_now(lambda tx: _retire(tx, keys))
    return done


def forget(db: Database, connection: str | None, clock: Clock, *, actor: str) -> int:
    """Drop the sealed secrets of one connection or of all, for a key that is lost; returns how many there were.

    The journal says who did it.
    """

    def drop(tx: Tx) -> int:
        tx.serialize(_LOCK)
        which = [table.c.connection == connection if connection else sa.true() for table in (VAULT_KEYS, VAULT)]
        tx.execute(sa.delete(VAULT_KEYS).where(which[0]))
        dropped = tx.execute(sa.delete(VAULT).where(which[1])).rowcount
        changes = {"secrets": (str(dropped), None, "forget")}
        journal.note(tx, _KIND, "forget_secrets", changes, at=clock.now(), actor=actor, connection=connection)
        return dropped

    return db.run_now(drop)


def _rotate(tx: Tx, keys: Keyring, now: float, actor: str) -> Rotated:
    tx.serialize(_LOCK)
    opened = {
        row.connection: _opened(tx, _unwrapped(keys, row.connection, row.key_id, row.wrapped), row.connection)
        for row in tx.rows(sa.select(VAULT_KEYS).order_by(VAULT_KEYS.c.connection))
    }
    before = _keys_in_use(tx)
    key = keys.source.next(before)
    changes = {"key": (", ".join(sorted(before)), key_id(key), "rotate")}
    journal.note(tx, _KIND, "rotate", changes, at=now, actor=actor)
    tx.execute(sa.delete(VAULT))
    tx.execute(sa.delete(VAULT_KEYS))
    for connection, values in opened.items():
        _put(tx, _new_data_key(tx, key, connection, now), connection, values, now)
    return Rotated(key_id(key), len(opened), sum(map(len, opened.values())))


def _retire(tx: Tx, keys: Keyring) -> None:
    # in a transaction, so that no other rotation is between its new key and its commit
    tx.serialize(_LOCK)
    keys.source.retire(_keys_in_use(tx))


def _keys_in_use(tx: Tx) -> set[str]:
    return {one for (one,) in tx.rows(sa.select(VAULT_KEYS.c.key_id).distinct())}


def _opened(tx: Tx, data_key: bytes, connection: str) -> dict[str, _Secret]:
    rows = tx.rows(sa.select(VAULT.c.name, VAULT.c.sealed).where(VAULT.c.connection == connection))
    return {name: _secret(data_key, connection, name, sealed) for name, sealed in rows}


def _put(tx: Tx, data_key: bytes, connection: str, values: Mapping[str, _Secret], now: float) -> None:
    rows = [
        {
            "connection": connection,
            "name": name,
            "sealed": _seal(data_key, _place(connection, name), json.dumps(msgspec.to_builtins(secret)).encode()),
            "saved_at": now,
        }
        for name, secret in values.items()
    ]
    tx.many(sa.insert(VAULT), rows)


def _new_data_key(tx: Tx, key: bytes, connection: str, now: float) -> bytes:
    data_key = secrets.token_bytes(KEY_BYTES)
    wrapped = _seal(key, _place(connection, None), data_key)
    row = {"connection": connection, "key_id": key_id(key), "wrapped": wrapped, "made_at": now}
    tx.execute(sa.insert(VAULT_KEYS).values(row))
    return data_key


def _unwrapped(keys: Keyring, connection: str, wrapped_by: str, wrapped: str) -> bytes:
    key = keys.find(wrapped_by) if wrapped_by else b""
    if key is None:
        raise unknown_key()
    try:
        return _open(key, _place(connection, None), wrapped)
    except (InvalidTag, ValueError) as error:
        raise _damaged(connection, "the data key") from error


def _secret(data_key: bytes, connection: str, name: str, sealed: str) -> _Secret:
    try:
        return msgspec.convert(json.loads(_open(data_key, _place(connection, name), sealed)), _Secret)
    except (InvalidTag, ValueError) as error:
        raise _damaged(connection, f"the stored secret {name!r}") from error


def _damaged(connection: str, what: str) -> StorageError:
    cure = f"restore a backup, or `accord secrets forget {connection}` and authorize it again"
    return StorageError(f"{what} of {connection!r} was damaged or belongs elsewhere; {cure}")


def _place(connection: str, name: str | None) -> bytes:
    """What a sealed text is bound to; no name: the connection's data key."""
    return json.dumps(["accord vault", connection, name]).encode()


def _seal(key: bytes, place: bytes, plain: bytes) -> str:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, place)).decode()


def _open(key: bytes, place: bytes, sealed: str) -> bytes:
    raw = base64.b64decode(sealed, validate=True)
    return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place)
