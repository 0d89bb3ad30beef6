"""First answers, kept so that a repeated request gets the same one: rows of `meta`, in the request's transaction."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import META
from core.store.text import dump

_PREFIX: Final = "answer:"


class Kept(msgspec.Struct, frozen=True):
    """An answer given at a time (seconds since 1970) to a request whose body has this digest."""

    at: float
    request: str
    answer: str


def find(tx: Tx, key: str) -> Kept | None:
    """What was answered to the request with this key."""
    text = tx.execute(sa.select(META.c.value).where(META.c.name == _name(key))).scalar_one_or_none()
    return msgspec.json.decode(text, type=Kept) if text else None


def keep(tx: Tx, key: str, kept: Kept) -> None:
    """Keep an answer; the database's IntegrityError says that another request with this key came first."""
    tx.execute(sa.insert(META).values(name=_name(key), value=dump(kept)))


def prune(tx: Tx, before: float) -> int:
    """Forget answers from before a time."""
    rows = tx.rows(sa.select(META.c.name, META.c.value).where(META.c.name.startswith(_PREFIX, autoescape=True)))
    old = [name for name, value in rows if msgspec.json.decode(value, type=Kept).at < before]
    tx.many(sa.delete(META).where(META.c.name == sa.bindparam("old_name")), [{"old_name": name} for name in old])
    return len(old)


def _name(key: str) -> str:
    # a client's key may be long, and of any characters
    return _PREFIX + hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=24).hexdigest()
