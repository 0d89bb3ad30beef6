"""Registry records: customers. Writes are compare-and-set on the version that was decided on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.model.keys import email_key, text_key
from core.model.values import Value
from core.store.database import Tx
from core.store.erasing import ERASED
from core.store.tables import CUSTOMERS
from core.store.text import SOME, AnyRow, chunks, dump

_COLUMNS = (
    CUSTOMERS.c.id,
    CUSTOMERS.c.external_id,
    CUSTOMERS.c.version,
    CUSTOMERS.c.fields,
    CUSTOMERS.c.sources,
    CUSTOMERS.c.created_at,
    CUSTOMERS.c.updated_at,
    CUSTOMERS.c.deleted_at,
)
_FIELDS = msgspec.json.Decoder(dict[str, Value])
_SOURCES = msgspec.json.Decoder(dict[str, str])


class Customer(msgspec.Struct, frozen=True, kw_only=True):
    """One registry customer. `sources` says for each field which connection, or `registry`, its value is from."""

    id: str
    external_id: str
    version: int = 1
    fields: Mapping[str, Value]
    sources: Mapping[str, str]
    created_at: float
    updated_at: float
    deleted_at: float | None = None


_INSERT: Final = sa.insert(CUSTOMERS)
_IS_LIVE: Final = CUSTOMERS.c.deleted_at.is_(None)
_OTHER: Final = CUSTOMERS.alias("other")
_LATER: Final = sa.or_(
    _OTHER.c.deleted_at > CUSTOMERS.c.deleted_at,
    sa.and_(_OTHER.c.deleted_at == CUSTOMERS.c.deleted_at, _OTHER.c.id < CUSTOMERS.c.id),
)
_LAST_ARCHIVED: Final = (
    CUSTOMERS.c.deleted_at.is_not(None),
    CUSTOMERS.c.external_id != ERASED,
    # one for each of the two indexes
    ~sa.exists().where(_OTHER.c.external_id == CUSTOMERS.c.external_id, _OTHER.c.deleted_at.is_(None)),
    ~sa.exists().where(_OTHER.c.external_id == CUSTOMERS.c.external_id, _OTHER.c.deleted_at.is_not(None), _LATER),
)
_BY_ID: Final = sa.select(*_COLUMNS).where(CUSTOMERS.c.id.in_(SOME))
_KEPT: Final = (
    sa.select(CUSTOMERS.c.id)
    .where(CUSTOMERS.c.id.in_(SOME), _IS_LIVE)
    .order_by(CUSTOMERS.c.id)
    .with_for_update(read=True)
)
_BY_EXTERNAL_ID: Final = sa.select(*_COLUMNS).where(CUSTOMERS.c.external_id.in_(SOME), _IS_LIVE)
_ARCHIVED: Final = sa.select(*_COLUMNS).where(CUSTOMERS.c.external_id.in_(SOME), CUSTOMERS.c.deleted_at.is_not(None))
_CHILDREN: Final = sa.select(*_COLUMNS).where(CUSTOMERS.c.parent.in_(SOME), _IS_LIVE)
_BY_EMAIL: Final = sa.select(*_COLUMNS).where(CUSTOMERS.c.email_key.in_(SOME), _IS_LIVE)
_BY_NAME: Final = sa.select(*_COLUMNS).where(CUSTOMERS.c.name_key.in_(SOME), _IS_LIVE)
_REPLACED: Final = (
    "external_id version fields sources name_key email_key parent created_at updated_at deleted_at".split()
)
_REPLACE: Final = (
    sa.update(CUSTOMERS)
    .where(CUSTOMERS.c.id == sa.bindparam("known_id"), CUSTOMERS.c.version == sa.bindparam("known_version"))
    .values({name: sa.bindparam(f"new_{name}") for name in _REPLACED})
)


def by_ids(tx: Tx, ids: Iterable[str]) -> dict[str, Customer]:
    """Customers by internal id, deleted ones included."""
    return {one.id: one for one in _found(tx, _BY_ID, ids)}


def keep(tx: Tx, ids: Iterable[str]) -> set[str]:
    """Those of these that live. Until this transaction ends nobody changes them (SQLite has one writer anyway)."""
    return {row[0] for some in chunks(sorted(set(ids))) for row in tx.rows(_KEPT, {"some": some})}


def external_ids(tx: Tx, ids: Iterable[str | None]) -> dict[str, str]:
    """External ids by internal id, of deleted customers too; None is nobody's."""
    return {one.id: one.external_id for one in by_ids(tx, {one for one in ids if one}).values()}


def by_external_ids(tx: Tx, external_ids: Iterable[str]) -> dict[str, Customer]:
    """Live customers by external_customer_id."""
    return {one.external_id: one for one in _found(tx, _BY_EXTERNAL_ID, external_ids)}


def was_ever(tx: Tx, external_id: str) -> bool:
    """Whether a customer has, or an archived one had, this external id."""
    if by_external_ids(tx, [external_id]):
        return True
    statement = sa.select(CUSTOMERS.c.id).where(
        CUSTOMERS.c.external_id == external_id, CUSTOMERS.c.deleted_at.is_not(None)
    )
    return tx.execute(statement.limit(1)).first() is not None


def archived_among(tx: Tx, external_ids: Iterable[str]) -> set[str]:
    """Which of these external ids a customer had that was archived."""
    return {one.external_id for one in _found(tx, _ARCHIVED, external_ids)}


def archived(tx: Tx, external_id: str) -> list[Customer]:
    """Those that were deleted from the registry and had this external id, the last one first."""
    statement = sa.select(*_COLUMNS).where(CUSTOMERS.c.external_id == external_id, CUSTOMERS.c.deleted_at.is_not(None))
    rows = tx.rows(statement.order_by(CUSTOMERS.c.deleted_at.desc(), CUSTOMERS.c.id))
    return [_customer(row) for row in rows]


def children(tx: Tx, parents: Iterable[str]) -> list[Customer]:
    """Live customers whose parent is one of these external ids."""
    return _found(tx, _CHILDREN, parents)


def by_email_keys(tx: Tx, keys: Iterable[str]) -> dict[str, list[Customer]]:
    """Live customers by normalised e-mail."""
    found: dict[str, list[Customer]] = {}
    for one in _found(tx, _BY_EMAIL, (key for key in keys if key)):
        found.setdefault(_email_key(one.fields), []).append(one)
    return found


def named(tx: Tx, name: str) -> list[Customer]:
    """Live customers of this name, in whatever case."""
    return _found(tx, _BY_NAME, [text_key(name)])


def insert(tx: Tx, customers: Sequence[Customer]) -> None:
    """Add new customers; a live external id that is taken raises the database's IntegrityError."""
    tx.load(_INSERT, [_row(one) for one in customers])


def replace(tx: Tx, customer: Customer) -> bool:
    """Store `customer` if the registry still holds the version before it; False when it moved on."""
    row = _row(customer)
    known = {"known_id": customer.id, "known_version": customer.version - 1}
    return tx.execute(_REPLACE, {**known, **{f"new_{name}": row[name] for name in _REPLACED}}).rowcount == 1


def listing(
    tx: Tx,
    *,
    search: str = "",
    parent: str | None = None,
    is_archived: bool = False,
    after: str = "",
    offset: int = 0,
    limit: int = 100,
) -> list[Customer]:
    """Live customers by external id; `after` continues deep reads, `search` matches id, name or e-mail.

    Or archived ones: the last of each id that nobody has by now, erased ones not among them.
    """
    filters = _filters(search, parent, is_archived=is_archived)
    statement = sa.select(*_COLUMNS).where(*filters, CUSTOMERS.c.external_id > after)
    statement = statement.order_by(CUSTOMERS.c.external_id).offset(offset).limit(limit)
    return [_customer(row) for row in tx.rows(statement)]


def count(tx: Tx, *, search: str = "", parent: str | None = None, is_archived: bool = False) -> int:
    """How many customers `listing` would go through."""
    filters = _filters(search, parent, is_archived=is_archived)
    statement = sa.select(sa.func.count()).select_from(CUSTOMERS).where(*filters)
    return int(tx.execute(statement).scalar_one())


def live_ids(tx: Tx, after: str, limit: int) -> list[str]:
    """Internal ids of live customers in order, for walking all of them."""
    statement = sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.id > after, CUSTOMERS.c.deleted_at.is_(None))
    return [row[0] for row in tx.rows(statement.order_by(CUSTOMERS.c.id).limit(limit))]


def key_of(customer: Customer) -> str:
    """The customer's normalised e-mail, "" without one."""
    return _email_key(customer.fields)


def _filters(search: str, parent: str | None, *, is_archived: bool) -> list[sa.ColumnElement[bool]]:
    filters: list[sa.ColumnElement[bool]] = list(_LAST_ARCHIVED) if is_archived else [_IS_LIVE]
    if parent is not None:
        filters.append(CUSTOMERS.c.parent == parent)
    if search:
        wanted = search.casefold()
        columns = (CUSTOMERS.c.name_key, sa.func.lower(CUSTOMERS.c.external_id))
        found = [column.contains(wanted, autoescape=True) for column in columns]
        found.append(CUSTOMERS.c.email_key.contains(search.lower(), autoescape=True))
        # databases fold fewer letters than we do: whoever types an id as it is has to find it
        filters.append(sa.or_(*found, CUSTOMERS.c.external_id.contains(search, autoescape=True)))
    return filters


def _found(tx: Tx, statement: sa.Executable, values: Iterable[str]) -> list[Customer]:
    found: list[Customer] = []
    # no text of PostgreSQL's has U+0000: it would refuse to look for all the others, too
    for some in chunks(sorted({one for one in values if "\0" not in one})):
        found.extend(_customer(row) for row in tx.rows(statement, {"some": some}))
    return found


def _customer(row: AnyRow) -> Customer:
    return Customer(
        id=row[0],
        external_id=row[1],
        version=row[2],
        fields=_FIELDS.decode(row[3]),
        sources=_SOURCES.decode(row[4]),
        created_at=row[5],
        updated_at=row[6],
        deleted_at=row[7],
    )


def _row(one: Customer) -> dict[str, Any]:
    name, parent = one.fields.get("name"), one.fields.get("parent")
    return {
        "id": one.id,
        "external_id": one.external_id,
        "version": one.version,
        "fields": dump(one.fields),
        "sources": dump(one.sources),
        "name_key": text_key(name) if isinstance(name, str) else "",
        "email_key": _email_key(one.fields),
        "parent": parent if isinstance(parent, str) else None,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "deleted_at": one.deleted_at,
    }


def _email_key(fields: Mapping[str, Value]) -> str:
    email = fields.get("email")
    return email_key(email) if isinstance(email, str) else ""
