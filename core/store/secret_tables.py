"""Tables of secrets: what opens other systems to us, sealed, and what opens this one to others, hashed."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from core.store import columns
from core.store.columns import key, text, time

METADATA: Final = columns.METADATA

VAULT: Final = sa.Table(
    "vault",
    METADATA,
    sa.Column("connection", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    text("sealed"),
    time("saved_at"),
)

VAULT_KEYS: Final = sa.Table(
    "vault_keys",
    METADATA,
    sa.Column("connection", sa.String(64), primary_key=True),
    text("key_id"),
    text("wrapped"),
    time("made_at"),
    comment="The data key that seals a connection's rows of `vault`, wrapped with the key of this id.",
)

API_TOKENS: Final = sa.Table(
    "api_tokens",
    METADATA,
    key("name"),
    text("digest"),
    text("scope"),
    time("created_at"),
    text("created_by"),
    time("expires_at", optional=True),
    time("used_at", optional=True),
    time("revoked_at", optional=True),
    sa.UniqueConstraint("digest"),
    comment="SHA-256 of each token. Revoked ones stay: a name in the journal must not change hands.",
)
