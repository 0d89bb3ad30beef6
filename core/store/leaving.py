"""Objects that wait to be archived, because their customers were: dirty rows of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from core.store.database import Tx
from core.store.tables import DIRTY, MAPPINGS
from core.store.text import SOME, chunks
from core.store.work import APPROVED, ARE_FAREWELLS, FAREWELL, DirtyRow, dirty

_HERE: Final = DIRTY.c.connection == sa.bindparam("here")
_COUNT: Final = sa.select(sa.func.count()).select_from(DIRTY).where(_HERE, *ARE_FAREWELLS)
_COUNT_UNSEEN: Final = _COUNT.where(DIRTY.c.parked.is_(None), DIRTY.c.reason != APPROVED)
_PAGE: Final = (
    sa.select(*(DIRTY.c[name] for name in DirtyRow.__struct_fields__))
    .where(_HERE, *ARE_FAREWELLS, DIRTY.c.subject > sa.bindparam("after"))
    .order_by(DIRTY.c.subject)
    .limit(sa.bindparam("most"))
)
_SUBJECTS: Final = sa.select(MAPPINGS.c.id).where(
    MAPPINGS.c.remote_id.in_(SOME),
    MAPPINGS.c.connection.concat("") == sa.bindparam("here"),
    sa.exists().where(_HERE, DIRTY.c.subject == sa.literal(FAREWELL) + MAPPINGS.c.id),
)


def page(tx: Tx, connection: str, after: str, limit: int) -> list[DirtyRow]:
    """Some of them, due or not, parked or not, by subject."""
    return [dirty(row) for row in tx.rows(_PAGE, {"here": connection, "after": after, "most": limit})]


def count(tx: Tx, connection: str, *, is_seen: bool = True) -> int:
    """How many there are; not `is_seen`: only those that no person was asked about."""
    return int(tx.execute(_COUNT if is_seen else _COUNT_UNSEEN, {"here": connection}).scalar_one())


def subjects(tx: Tx, connection: str, remote_ids: Iterable[str]) -> list[str]:
    """Under which subjects those of these objects wait that are to be archived."""
    found: list[str] = []
    for some in chunks(sorted(set(remote_ids))):
        found += [f"{FAREWELL}{row[0]}" for row in tx.rows(_SUBJECTS, {"some": some, "here": connection})]
    return found
