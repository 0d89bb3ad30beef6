"""Tokens of the API. Only a digest is stored: whoever reads the database cannot use them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from core.errors import InvalidInputError, NotFoundError
from core.model.scopes import SCOPES
from core.store import journal
from core.store.database import Tx
from core.store.secret_tables import API_TOKENS
from core.store.text import chunks

PREFIX: Final = "accord_"
"""By which people, logs and secret scanners know one."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_BYTES: Final = 32
_KIND: Final = "token"
"""Of the journal's entries about tokens."""


class ApiToken(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about one token. Times are seconds since 1970."""

    name: str
    scope: str
    created_at: float
    created_by: str
    expires_at: float | None
    used_at: float | None
    revoked_at: float | None

    def state(self, now: float) -> str:
        """Whether it opens anything: live | expired | revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "live"


def make(tx: Tx, name: str, scope: str, *, now: float, expires_at: float | None, actor: str) -> str:
    """A new token: the only time it is seen. Raises InvalidInputError for a bad name or scope, or a taken name."""
    if not _NAME.fullmatch(name):
        limit = "at most 63 of a-z 0-9 . _ -, a letter or digit first"
        raise InvalidInputError(f"{name!r} cannot be a name", field="name", limit=limit, cure="take another one")
    if scope not in SCOPES:
        limit = ", ".join(SCOPES)
        raise InvalidInputError(f"{scope!r} is no scope", field="scope", limit=limit, cure="name one of these")
    tx.serialize("api tokens")
    if tx.rows(sa.select(API_TOKENS.c.name).where(API_TOKENS.c.name == name)):
        problem = f"{name!r} is taken, by a revoked token perhaps: what it did stays under its name"
        raise InvalidInputError(problem, field="name", cure="take another one, like one with a number")
    token = PREFIX + secrets.token_urlsafe(_BYTES)
    row = {"name": name, "digest": _digest(token), "scope": scope, "created_at": now, "created_by": actor}
    tx.execute(sa.insert(API_TOKENS).values(row | {"expires_at": expires_at}))
    journal.note(tx, _KIND, "make_token", {name: (None, scope, "tokens")}, at=now, actor=actor)
    return token


def every(tx: Tx) -> list[ApiToken]:
    """All there ever were, by name."""
    return [_token(row) for row in tx.rows(sa.select(API_TOKENS).order_by(API_TOKENS.c.name))]


def is_any(tx: Tx) -> bool:
    """Whether there ever was one: from then on the API asks for one."""
    return bool(tx.rows(sa.select(API_TOKENS.c.name).limit(1)))


def find(tx: Tx, token: str) -> ApiToken | None:
    """The token that was given, live or not; compared with all of them in constant time."""
    digest = _digest(token)
    rows = tx.rows(sa.select(API_TOKENS))
    found = [row for row in rows if hmac.compare_digest(row.digest, digest)]
    return _token(found[0]) if found else None


def used(tx: Tx, name: str, now: float) -> None:
    """Remember that a token was used."""
    tx.execute(sa.update(API_TOKENS).where(API_TOKENS.c.name == name).values(used_at=now))


def revoke(tx: Tx, name: str, now: float, *, actor: str) -> ApiToken:
    """End one, at once; the journal says who did. Raises NotFoundError; a second time changes nothing."""
    rows = tx.rows(sa.select(API_TOKENS).where(API_TOKENS.c.name == name))
    if not rows:
        raise NotFoundError(f"there is no token {name!r}", field="name", cure="`accord tokens list` shows them")
    ends = {"revoked_at": now} if rows[0].revoked_at is None else {}
    if ends:
        tx.execute(sa.update(API_TOKENS).where(API_TOKENS.c.name == name).values(ends))
        journal.note(tx, _KIND, "revoke_token", {name: (rows[0].scope, None, "tokens")}, at=now, actor=actor)
    return msgspec.structs.replace(_token(rows[0]), **ends)


def revoked_digests(tx: Tx) -> list[str]:
    """What an older database must be told of those that were revoked."""
    return [row[0] for row in tx.rows(sa.select(API_TOKENS.c.digest).where(API_TOKENS.c.revoked_at.is_not(None)))]


def revoke_again(tx: Tx, digests: Sequence[str], now: float) -> None:
    """End those among these that an older database takes for live."""
    for some in chunks(digests):
        is_one = (API_TOKENS.c.digest.in_(some), API_TOKENS.c.revoked_at.is_(None))
        tx.execute(sa.update(API_TOKENS).where(*is_one).values(revoked_at=now))


def _digest(token: str) -> str:
    # no salt and no slow hash: 256 random bits cannot be guessed
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _token(row: sa.Row[tuple[object, ...]]) -> ApiToken:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    del values["digest"]
    return ApiToken(**values)
