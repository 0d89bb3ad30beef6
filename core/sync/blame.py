"""Whose trouble a refused read is, a record's or its connection's: reads of others tell."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from core.errors import AccordError, AllRefusedError, BugError, RejectedError
from core.store import mappings, observations
from core.store.database import Tx
from core.store.work import DirtyRow
from core.sync.documents.marking import named_in
from core.sync.hub import KIND, Connection, Hub

REFUSALS: Final = (RejectedError, BugError)
"""How connectors say that a read is refused: it cannot be what is wrong with every record."""
OTHERS: Final = 3
"""Read one after the other: each may be bad by itself."""


async def blame(hub: Hub, connection: Connection, row: DirtyRow, error: AccordError) -> None:
    """Raise AllRefusedError where it is not this record's trouble: what was read before cannot be read any more.

    Of documents where customers are refused, too: those must not wait for what only invoices lack.
    """
    found: AccordError | None = None
    for kind in dict.fromkeys((row.kind, KIND)):
        others = await hub.db.read(lambda tx, k=kind: _others(tx, connection, row, k))  # type: ignore[misc]
        refused = await _refused(connection, kind, others)
        if others and refused is None:
            return
        found = refused or found
    if found is not None:
        raise AllRefusedError(
            f"what could be read before is refused, too, so no record is to blame: {found}"
        ) from error


async def require_answers(hub: Hub, connection: Connection, kinds: Collection[str]) -> None:
    """One look at whether reads are answered again. Raises AllRefusedError."""
    for kind in (KIND, *sorted({*kinds} - {KIND})):
        known = await hub.db.read(lambda tx, k=kind: _known(tx, connection, k))  # type: ignore[misc]
        refused = await _refused(connection, kind, known)
        if refused is not None:
            raise AllRefusedError(f"what could be read before is still refused, so no record is to blame: {refused}")
        if known:
            return


async def _refused(connection: Connection, kind: str, remote_ids: Collection[str]) -> AccordError | None:
    """The last refusal where each of these was refused; None where one was answered, or there is none."""
    told: AccordError | None = None
    for remote_id in remote_ids:
        try:
            await connection.connector.read(kind, [remote_id])
        except REFUSALS as error:
            told = error
        else:
            return None
    return told


def _others(tx: Tx, connection: Connection, row: DirtyRow, kind: str) -> list[str]:
    own = _object_of(tx, row) if kind == row.kind else None
    return [one for one in _known(tx, connection, kind, OTHERS + 1) if one != own][:OTHERS]


def _known(tx: Tx, connection: Connection, kind: str, most: int = OTHERS) -> list[str]:
    if kind == KIND:
        return observations.latest(tx, connection.name, kind, most)
    return mappings.latest(tx, connection.name, kind, most)


def _object_of(tx: Tx, row: DirtyRow) -> str | None:
    if row.subject.startswith("m:"):
        found = mappings.by_ids(tx, [row.subject[2:]]).get(row.subject[2:])
        return found.remote_id if found else None
    return named_in(row.subject)[1] if row.subject.startswith("d:") else row.subject[2:]
