"""Documents of the registry: invoices, payments and credit notes, each as its origin has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.model.documents import (
    KINDS,
    Document,
    Kind,
    Payment,
    amount_of,
    called,
    decoded,
    encoded,
    kind_of,
    references,
    settled_by,
)
from core.model.lifecycle import UNFINISHED
from core.model.money import ZERO
from core.store.database import Tx
from core.store.mappings import IS_LIVE
from core.store.tables import DIRTY, DOCUMENT_REFERENCES, DOCUMENTS, MAPPINGS
from core.store.text import SOME, AnyRow, chunks

_NAMES: Final = ("id", "origin", "remote_id", "customer_id", "body", "digest", "version", "created_at", "updated_at")
_COLUMNS: Final = (*(DOCUMENTS.c[name] for name in _NAMES), DOCUMENTS.c.deleted_at)
# as an expression, so that SQLite's planner looks up whose they are, or their number, and does not walk the kind
_IS_OF_KIND: Final = DOCUMENTS.c.kind.concat("") == sa.bindparam("of_kind")
_BY_ID: Final = sa.select(*_COLUMNS).where(DOCUMENTS.c.id.in_(SOME))
_ABOUT: Final = (
    sa.select(DOCUMENT_REFERENCES.c.invoice_id, DOCUMENT_REFERENCES.c.document_id)
    .where(DOCUMENT_REFERENCES.c.invoice_id.in_(SOME))
    .order_by(DOCUMENT_REFERENCES.c.document_id)
)
_REFERRED: Final = sa.select(DOCUMENT_REFERENCES.c.invoice_id).where(DOCUMENT_REFERENCES.c.document_id.in_(SOME))
_OF_CUSTOMERS: Final = (
    sa.select(*_COLUMNS)
    .where(DOCUMENTS.c.customer_id.in_(SOME), DOCUMENTS.c.deleted_at.is_(None))
    .order_by(DOCUMENTS.c.customer_id, DOCUMENTS.c.id)
)
_NUMBERED: Final = (
    sa.select(*_COLUMNS)
    .where(DOCUMENTS.c.number.in_(SOME), DOCUMENTS.c.deleted_at.is_(None))
    .order_by(DOCUMENTS.c.created_at, DOCUMENTS.c.id)
)
_HERE: Final[sa.BindParameter[str]] = sa.bindparam("connection")
_IS_UNDER_WAY: Final = sa.or_(
    MAPPINGS.c.state == "pending",
    sa.exists().where(DIRTY.c.connection == _HERE, DIRTY.c.subject == sa.literal("m:") + MAPPINGS.c.id),
)
_UNSETTLED: Final = (
    sa.select(DOCUMENTS.c.customer_id, sa.func.count())
    .select_from(
        DOCUMENTS.outerjoin(
            MAPPINGS, sa.and_(MAPPINGS.c.record_id == DOCUMENTS.c.id, MAPPINGS.c.connection == _HERE, IS_LIVE)
        )
    )
    .where(
        DOCUMENTS.c.customer_id.in_(SOME),
        DOCUMENTS.c.deleted_at.is_(None),
        sa.or_(MAPPINGS.c.id.is_not(None), DOCUMENTS.c.origin == _HERE),
        sa.or_(DOCUMENTS.c.status.in_(("open", *sorted(UNFINISHED))), _IS_UNDER_WAY),
    )
    .group_by(DOCUMENTS.c.customer_id)
)
_INSERT: Final = sa.insert(DOCUMENTS)
_INSERT_REFERENCES: Final = sa.insert(DOCUMENT_REFERENCES)
_DELETE: Final = sa.delete(DOCUMENTS).where(DOCUMENTS.c.id.in_(SOME))
_DELETE_REFERENCES: Final = sa.delete(DOCUMENT_REFERENCES).where(DOCUMENT_REFERENCES.c.document_id.in_(SOME))
_IS_COPIED: Final = sa.exists().where(
    MAPPINGS.c.record_id == DOCUMENTS.c.id, MAPPINGS.c.connection == sa.bindparam("connection"), IS_LIVE
)
_UNCOPIED: Final = (
    sa.select(*_COLUMNS)
    .where(
        DOCUMENTS.c.origin != sa.bindparam("connection"),
        DOCUMENTS.c.deleted_at.is_(None),
        DOCUMENTS.c.id > sa.bindparam("after"),
        ~_IS_COPIED,
    )
    .order_by(DOCUMENTS.c.id)
    .limit(sa.bindparam("most"))
)


class Paper(msgspec.Struct, frozen=True, kw_only=True):
    """One document of the registry. Customers and invoices in `document` are the registry's ids."""

    id: str
    origin: str
    remote_id: str
    customer_id: str
    document: Document
    digest: str
    version: int = 1
    created_at: float
    updated_at: float
    deleted_at: float | None = None

    @property
    def kind(self) -> Kind:
        """invoice, payment or credit_note."""
        return kind_of(self.document)

    @property
    def called(self) -> str:
        """What people call it: its number, of a payment its reference, else its id at its origin."""
        return called(self.document) or self.remote_id

    @property
    def amount(self) -> Decimal:
        """What it comes to, in its currency."""
        return amount_of(self.document)


def id_of(instance: str, origin: str, kind: str, remote_id: str) -> str:
    """The same document always has the same id, so that a database that was put back cannot make it a second time."""
    return blake2b(f"{instance}\n{origin}\n{kind}\n{remote_id}".encode(), digest_size=16).hexdigest()


def by_ids(tx: Tx, ids: Iterable[str]) -> dict[str, Paper]:
    """Documents by id, deleted ones included."""
    found: dict[str, Paper] = {}
    for some in chunks(sorted(set(ids))):
        found.update((row[0], _paper(row)) for row in tx.rows(_BY_ID, {"some": some}))
    return found


def owners(tx: Tx, ids: Iterable[str]) -> dict[str, str]:
    """Whose each of some documents is."""
    d = DOCUMENTS.c
    found: dict[str, str] = {}
    for some in chunks(sorted(set(ids))):
        found.update((row[0], row[1]) for row in tx.rows(sa.select(d.id, d.customer_id).where(d.id.in_(some))))
    return found


def lock(tx: Tx) -> None:
    """Let no other transaction that rewrites documents run beside this one: what it read of them would be old.

    An invoice is rewritten by its origin's lane, and by any other's that takes what settles it.
    """
    tx.serialize("documents")


def put(tx: Tx, papers: Sequence[Paper]) -> None:
    """Insert, or replace as a whole; what they are about with them."""
    if not papers:
        return
    ids = [one.id for one in papers]
    for some in chunks(ids):
        tx.execute(_DELETE, {"some": some})
        tx.execute(_DELETE_REFERENCES, {"some": some})
    tx.many(_INSERT, [_row(one) for one in papers])
    tx.many(_INSERT_REFERENCES, [row for one in papers for row in _references(one)])


def touch(tx: Tx, document_id: str, now: float) -> None:
    """Let a document count as changed at `now`, in seconds since 1970."""
    tx.execute(sa.update(DOCUMENTS).where(DOCUMENTS.c.id == document_id).values(updated_at=now))


def about(tx: Tx, invoice_ids: Iterable[str]) -> dict[str, list[str]]:
    """Ids of payments and credit notes by the invoice that they are about."""
    found: dict[str, list[str]] = {}
    for some in chunks(sorted(set(invoice_ids))):
        for invoice_id, document_id in tx.rows(_ABOUT, {"some": some}):
            found.setdefault(invoice_id, []).append(document_id)
    return found


def touched(tx: Tx, origin: str, since: float) -> list[str]:
    """Invoices of an origin that became others since then, or that such a payment or credit note is about."""
    d = DOCUMENTS.c
    if not tx.rows(sa.select(d.id).where(d.kind == "invoice", d.origin == origin).limit(1)):
        return []
    # first what changed, then whose it is: asked for both at once, SQLite walks all of the origin
    changed = tx.rows(sa.select(d.id, d.kind, d.origin).where(d.updated_at >= since))
    own = {name for name, kind, made_at in changed if (kind, made_at) == ("invoice", origin)}
    settling = [name for name, kind, _ in changed if kind != "invoice"]
    about = {row[0] for some in chunks(settling) for row in tx.rows(_REFERRED, {"some": some})}
    others = sorted(about - own)
    return sorted(own.union(*(_invoices_of(tx, origin, some) for some in chunks(others))))


def _invoices_of(tx: Tx, origin: str, ids: Sequence[str]) -> list[str]:
    d = DOCUMENTS.c
    rows = tx.rows(sa.select(d.id, d.kind, d.origin).where(d.id.in_(SOME)), {"some": list(ids)})
    return [name for name, kind, made_at in rows if (kind, made_at) == ("invoice", origin)]


def settled(tx: Tx, invoice_id: str) -> Decimal:
    """How much of an invoice all known payments and credit notes settle now."""
    statement = sa.select(DOCUMENT_REFERENCES.c.amount).where(DOCUMENT_REFERENCES.c.invoice_id == invoice_id)
    return sum((Decimal(row[0]) for row in tx.rows(statement)), ZERO)


def page(
    tx: Tx,
    *,
    kind: str,
    after: str = "",
    limit: int = 100,
    customer_ids: Sequence[str] | None = None,
    status: str | None = None,
    number: str | None = None,
) -> list[Paper]:
    """Documents of a kind by id, deleted ones left out."""
    is_one = customer_ids is not None and len(customer_ids) == 1 and status is None and number is None
    is_narrow = (customer_ids is not None or number is not None) and not is_one
    is_of_kind = _IS_OF_KIND if is_narrow else DOCUMENTS.c.kind == sa.bindparam("of_kind")
    statement = sa.select(*_COLUMNS).where(is_of_kind, DOCUMENTS.c.id > after, DOCUMENTS.c.deleted_at.is_(None))
    if customer_ids is not None:
        # of one customer, who may have very many, in the order of its index: no page sorts all of them
        theirs = DOCUMENTS.c.customer_id == customer_ids[0] if is_one else DOCUMENTS.c.customer_id.in_(SOME)
        statement = statement.where(theirs)
    if status is not None:
        statement = statement.where(DOCUMENTS.c.status == status)
    if number is not None:
        statement = statement.where(DOCUMENTS.c.number == number)
    values = {"of_kind": kind} | ({} if customer_ids is None else {"some": list(customer_ids)})
    return [_paper(row) for row in tx.rows(statement.order_by(DOCUMENTS.c.id).limit(limit), values)]


def of_period(tx: Tx, kind: str, period: str) -> Iterator[Paper]:
    """Documents of a kind whose day is in a month or year (`2026-10`, `2026`), or that have none, but deleted ones.

    By id; no more than some are in memory unless they are kept.
    """
    d = DOCUMENTS.c
    first, last = ("-01", "-31") if "-" in period else ("-01-01", "-12-31")
    # whole days: in what order other texts are, is up to a database's language
    is_of_it = (d.issued_on.between(f"{period}{first}", f"{period}{last}"), d.issued_on == "")
    ids = {row[0] for one in is_of_it for row in tx.rows(sa.select(d.id).where(d.kind == kind, one))}
    for some in chunks(sorted(ids)):
        found = by_ids(tx, some)
        yield from (found[name] for name in some if found[name].deleted_at is None)


def of_customers(tx: Tx, customer_ids: Iterable[str]) -> list[Paper]:
    """All documents of some customers, deleted ones left out."""
    found: list[Paper] = []
    for some in chunks(sorted(set(customer_ids))):
        found += [_paper(row) for row in tx.rows(_OF_CUSTOMERS, {"some": some})]
    return found


def having_any(tx: Tx, customer_ids: Iterable[str]) -> list[str]:
    """Those of these customers that have documents."""
    found: list[str] = []
    for some in chunks(sorted(set(customer_ids))):
        statement = sa.select(DOCUMENTS.c.customer_id).where(
            DOCUMENTS.c.customer_id.in_(some), DOCUMENTS.c.deleted_at.is_(None)
        )
        found += [row[0] for row in tx.rows(statement.distinct().order_by(DOCUMENTS.c.customer_id))]
    return found


def fallen_due(tx: Tx, since: str, until: str) -> list[str]:
    """Customers with an open invoice that was due on the day `since` or later, and before `until` (ISO dates)."""
    statement = sa.select(DOCUMENTS.c.customer_id).where(
        # as literals, not parameters: only so may the planner use the partial index
        DOCUMENTS.c.kind == sa.literal_column("'invoice'"),
        DOCUMENTS.c.status == sa.literal_column("'open'"),
        DOCUMENTS.c.due_on != "",
        DOCUMENTS.c.due_on >= since,
        DOCUMENTS.c.due_on < until,
        DOCUMENTS.c.deleted_at.is_(None),
    )
    return [row[0] for row in tx.rows(statement.distinct().order_by(DOCUMENTS.c.customer_id))]


def named(tx: Tx, kind: str, name: str) -> list[Paper]:
    """Documents of a kind that have this number, or this id at their origin; deleted ones left out."""
    statement = sa.select(*_COLUMNS).where(
        _IS_OF_KIND,
        sa.or_(DOCUMENTS.c.number == name, DOCUMENTS.c.remote_id == name),
        DOCUMENTS.c.deleted_at.is_(None),
    )
    return [_paper(row) for row in tx.rows(statement.order_by(DOCUMENTS.c.id).limit(10), {"of_kind": kind})]


def numbered(tx: Tx, numbers: Iterable[str]) -> list[Paper]:
    """Documents of any kind that have one of these numbers; deleted ones left out."""
    return [_paper(row) for some in chunks(sorted(set(numbers))) for row in tx.rows(_NUMBERED, {"some": some})]


def counts(tx: Tx) -> dict[tuple[str, str], int]:
    """How many documents there are by kind and status."""
    statement = sa.select(DOCUMENTS.c.kind, DOCUMENTS.c.status, sa.func.count()).where(DOCUMENTS.c.deleted_at.is_(None))
    rows = tx.rows(statement.group_by(DOCUMENTS.c.kind, DOCUMENTS.c.status))
    return {(row[0], row[1]): row[2] for row in rows}


def count_unequal(tx: Tx, connection: str, key: str) -> int:
    """How many copies at a connection were not last seen equal; `key` is where a base says which document was."""
    if not _has_others(tx, connection):
        return 0
    digest = DOCUMENTS.c.digest
    # as mappings store a base: read row by row, a look at the status would take as long as a tie-out
    equal = sa.literal(f'"{key}":["').concat(digest).concat('","').concat(digest).concat('"]')
    statement = (
        sa.select(sa.func.count())
        .select_from(MAPPINGS.join(DOCUMENTS, MAPPINGS.c.record_id == DOCUMENTS.c.id))
        .where(
            MAPPINGS.c.connection == connection,
            MAPPINGS.c.kind.in_(KINDS),  # or all customers' mappings are read, too
            MAPPINGS.c.remote_id.is_not(None),
            MAPPINGS.c.state.in_(("live", "gone")),
            DOCUMENTS.c.origin != connection,
            DOCUMENTS.c.deleted_at.is_(None),
            sa.or_(MAPPINGS.c.state == "gone", ~MAPPINGS.c.base.contains(equal)),
        )
    )
    return int(tx.execute(statement).scalar_one())


def _has_others(tx: Tx, connection: str) -> bool:
    """Whether any document was made elsewhere: where all are of one origin, that one has no copies to look through."""
    origin = DOCUMENTS.c.origin
    sides = (sa.select(origin).where(side).limit(1) for side in (origin < connection, origin > connection))
    return any(tx.rows(one) for one in sides)


def unsettled(tx: Tx, connection: str, customer_ids: Iterable[str]) -> dict[str, int]:
    """How many documents of some customers are open at a connection, or still on their way there, by customer."""
    found: dict[str, int] = {}
    for some in chunks(sorted(set(customer_ids))):
        found.update((row[0], row[1]) for row in tx.rows(_UNSETTLED, {"some": some, "connection": connection}))
    return found


def uncopied(tx: Tx, connection: str, after: str, limit: int) -> list[Paper]:
    """Documents of other origins that have no mapping at a connection, by id."""
    values = {"connection": connection, "after": after, "most": limit}
    return [_paper(row) for row in tx.rows(_UNCOPIED, values)]


def _references(one: Paper) -> list[dict[str, str]]:
    amounts: Mapping[str, Decimal] = settled_by(one.document)
    return [
        {"document_id": one.id, "invoice_id": invoice, "amount": str(amounts.get(invoice, ZERO))}
        for invoice in references(one.document)
    ]


def _row(one: Paper) -> dict[str, Any]:
    document = one.document
    issued_on = document.received_on if isinstance(document, Payment) else document.issued_on
    due_on = getattr(document, "due_on", None)
    return {
        "id": one.id,
        "kind": one.kind,
        "origin": one.origin,
        "remote_id": one.remote_id,
        "customer_id": one.customer_id,
        "number": getattr(document, "number", "") or getattr(document, "reference", ""),
        "currency": document.currency,
        "status": document.status,
        "issued_on": issued_on.isoformat() if issued_on else "",
        "due_on": due_on.isoformat() if due_on else "",
        "body": encoded(document),
        "digest": one.digest,
        "version": one.version,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
        "deleted_at": one.deleted_at,
    }


def _paper(row: AnyRow) -> Paper:
    return Paper(
        id=row[0],
        origin=row[1],
        remote_id=row[2],
        customer_id=row[3],
        document=decoded(row[4]),
        digest=row[5],
        version=row[6],
        created_at=row[7],
        updated_at=row[8],
        deleted_at=row[9],
    )
