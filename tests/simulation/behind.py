"""The intent behind a write: which of those that were committed it was made by."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from connectors.quickbooks.connector import batch_id
from connectors.quickbooks.connector.writing import request_id
from core.ports import Write
from core.sandbox.lookalike import Mutation
from core.store.database import Tx
from core.store.intents import ARCHIVE
from core.store.tables import CUSTOMERS, INTENTS, MAPPINGS
from core.sync.hub import KIND
from tests.simulation.tape import is_books


class Behind(msgspec.Struct, frozen=True):
    """The intent behind a write."""

    intent_id: str
    mapping_id: str
    action: str
    state: str
    sent_at: float
    closed: bool
    deleted_at: float | None
    wanted: dict[str, Any]


def _behind(*wheres: sa.ColumnElement[bool]) -> sa.Select[*tuple[Any, ...]]:
    columns = (
        INTENTS.c.id, INTENTS.c.mapping_id, INTENTS.c.action, INTENTS.c.state, INTENTS.c.sent_at, INTENTS.c.closed_at,
        INTENTS.c.key, INTENTS.c.batch, INTENTS.c.body, INTENTS.c.remote_id, CUSTOMERS.c.deleted_at, INTENTS.c.wanted,
    )  # fmt: skip
    joined = INTENTS.join(MAPPINGS, MAPPINGS.c.id == INTENTS.c.mapping_id).join(
        CUSTOMERS, CUSTOMERS.c.id == MAPPINGS.c.record_id
    )
    statement = sa.select(*columns).select_from(joined).where(INTENTS.c.connection == sa.bindparam("connection"))
    return statement.where(*wheres).order_by(INTENTS.c.sent_at.desc())


_BEHIND: Final = {
    "tie": _behind(INTENTS.c.remote_id == sa.bindparam("id")),
    "key": _behind(INTENTS.c.key == sa.bindparam("key")),
    "body": _behind(),
}
"""Intents that may be behind a write, newest first, by what tells which one it is."""


def intent_behind(tx: Tx, name: str, one: Mutation) -> Behind | None:
    """The committed intent that a change at a system was made by."""
    is_tie = one.action in ("associate", "dissociate")
    is_binned = name == "hubspot" and one.action == ARCHIVE
    by = "tie" if is_tie or is_binned else "body" if is_books(name) else "key"
    for row in tx.rows(_BEHIND[by], {"connection": name, "id": one.id, "key": one.request_key}):
        if is_books(name) and not _is_of_quickbooks(row, one):
            continue
        if is_binned and row.action != ARCHIVE:
            continue
        if is_tie and not _is_of_tie(row, one):
            continue
        head = (row.id, row.mapping_id, row.action, row.state, row.sent_at, row.closed_at is not None)
        return Behind(*head, row.deleted_at, msgspec.json.decode(row.wanted))
    return None


def _is_of_tie(row: Any, one: Mutation) -> bool:
    """Associations have no key: the move must name the parent that was put on, or be one that takes some off."""
    body = msgspec.json.decode(row.body)
    if "parent" not in body:
        return False
    return bool(
        body["parent"]["from"] if one.changed["parent"] is None else body["parent"]["to"] == one.changed["parent"]
    )


def _is_of_quickbooks(row: Any, one: Mutation) -> bool:
    """By request id, made of key and body; that of a batch is its name, and there the body must be the same."""
    body = msgspec.json.decode(row.body)
    if row.batch and batch_id(row.batch) == one.request_key:
        return bool(row.remote_id in (None, one.id) and body == dict(one.changed))
    write = Write(key=row.key, action=row.action, kind="customer", remote_id=row.remote_id, body=body)
    return request_id(write) == one.request_key


class Sent(NamedTuple):
    """An intent, and when it was sent, perhaps again."""

    id: str
    kind: str
    action: str
    sent_at: float


_OF_DOCUMENTS: Final = (
    sa.select(*(INTENTS.c[name] for name in ("id", "sent_at", "key", "action", "kind", "remote_id", "body", "batch")))
    .where(INTENTS.c.connection == sa.bindparam("connection"), INTENTS.c.kind != KIND)
    .order_by(INTENTS.c.sent_at.desc())
)


def sent_behind(tx: Tx, system: str, one: Mutation) -> Sent | None:
    """The intent that a document, or what belongs to one, was written by.

    A step of several requests has keys that begin alike; QuickBooks' are made of key and body, or name a batch.
    """
    key = one.request_key or ""
    for row in tx.rows(_OF_DOCUMENTS, {"connection": system}):
        if not is_books(system) and key.startswith(row.key):
            return Sent(row.id, row.kind, row.action, row.sent_at)
        if is_books(system):
            body = msgspec.json.decode(row.body)
            write = Write(key=row.key, action=row.action, kind=row.kind, remote_id=row.remote_id, body=body)
            if request_id(write) == key or (row.batch and batch_id(row.batch) == key):
                return Sent(row.id, row.kind, row.action, row.sent_at)
    return None
