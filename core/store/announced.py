"""Copies that a person was told of when a connection was activated: they need no second answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import ANNOUNCED
from core.store.text import SOME, chunks

_HERE: Final = ANNOUNCED.c.connection == sa.bindparam("here")
_OF_SOME: Final = sa.select(ANNOUNCED.c.document_id, ANNOUNCED.c.digest).where(_HERE, ANNOUNCED.c.document_id.in_(SOME))
_MADE: Final = sa.delete(ANNOUNCED).where(_HERE, ANNOUNCED.c.document_id == sa.bindparam("made"))


def replace(tx: Tx, connection: str, digests: Mapping[str, str]) -> None:
    """Document id -> digest of what was told of its copy; what was announced there before counts no longer."""
    tx.execute(sa.delete(ANNOUNCED).where(_HERE), {"here": connection})
    rows: list[dict[str, Any]] = [
        {"connection": connection, "document_id": name, "digest": digest} for name, digest in sorted(digests.items())
    ]
    tx.load(sa.insert(ANNOUNCED), rows)


def digests(tx: Tx, connection: str, document_ids: Iterable[str]) -> dict[str, str]:
    """What was told of these documents' copies; those that were not announced are left out."""
    found: dict[str, str] = {}
    for some in chunks(sorted(set(document_ids))):
        found.update((row[0], row[1]) for row in tx.rows(_OF_SOME, {"here": connection, "some": some}))
    return found


def made(tx: Tx, connection: str, document_id: str) -> None:
    """The copy is there: made once more, it would be another one, and is asked about."""
    tx.execute(_MADE, {"here": connection, "made": document_id})
