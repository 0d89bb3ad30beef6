"""Taking personal data out of every table, for good. Rows that others point at stay, emptied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from core.model.family import PARENT
from core.model.match import CUSTOMER_ERASED
from core.model.match import CUSTOMERS as ARE_CUSTOMERS
from core.store.database import Tx
from core.store.inbox import Letter
from core.store.tables import (
    CUSTOMERS,
    DIRTY,
    DOCUMENTS,
    FAILURES,
    HOLDS,
    INBOX,
    INTENTS,
    JOURNAL,
    MAPPINGS,
    META,
    OBSERVATIONS,
    ONE_OFFS,
)
from core.store.text import chunks, dump
from core.store.work import APPROVED, REJECTED, STALE, STOPPED

ERASED: Final = "(erased)"
"""Stands where a name or an id was."""
MARKER: Final = dump({ERASED: (None, None, "erased")})
"""The journal's changes of an erased customer: there were some."""

_NAMING_FIELDS: Final = frozenset({PARENT, "external_customer_id"})
"""Fields whose values are external ids."""
_OWNER: Final = "customer"
"""In the detail of a changed document: whose it was, and whose it is."""

_INSTR: Final = sa.text("instr(inbox.body, :wanted) > 0")
_POSITION: Final = sa.text("position(CAST(:wanted AS bytea) IN inbox.body) > 0")


def record_ids(tx: Tx, external_id: str) -> list[str]:
    """Internal ids of all customers that have or had this external id, deleted ones included."""
    statement = sa.select(CUSTOMERS.c.id).where(CUSTOMERS.c.external_id == external_id)
    return [row[0] for row in tx.rows(statement.order_by(CUSTOMERS.c.created_at))]


def objects_of(tx: Tx, record_id: str) -> set[tuple[str, str]]:
    """(connection, remote id) of all objects that are, or once were, this customer's."""
    found: set[tuple[str, str]] = set()
    for table in (MAPPINGS, JOURNAL):
        columns = (table.c.connection, table.c.remote_id)
        statement = sa.select(*columns).where(table.c.record_id == record_id, table.c.remote_id.is_not(None))
        found.update((row[0], row[1]) for row in tx.rows(statement.distinct()) if row[0] is not None)
    return found


def all_mappings(tx: Tx, record_id: str) -> list[tuple[str, str, int]]:
    """(id, connection, generation) of every mapping a customer ever had, by id."""
    m = MAPPINGS.c
    rows = tx.rows(sa.select(m.id, m.connection, m.generation).where(m.record_id == record_id).order_by(m.id))
    return [(row[0], row[1], row[2]) for row in rows]


def unmapped_with(tx: Tx, column: str, values: Iterable[str]) -> set[tuple[str, str]]:
    """(connection, remote id) of objects seen with one of these values that are nobody's."""
    o = OBSERVATIONS.c
    mapped = sa.exists().where(
        MAPPINGS.c.connection == o.connection,
        MAPPINGS.c.kind == o.kind,  # a provider may count each kind for itself
        MAPPINGS.c.remote_id == o.remote_id,
        MAPPINGS.c.state != "ended",
    )
    found: set[tuple[str, str]] = set()
    for some in chunks(sorted(one for one in set(values) if one)):
        rows = tx.rows(sa.select(o.connection, o.remote_id).where(o[column].in_(some), ~mapped))
        found.update((row[0], row[1]) for row in rows)
    return found


def children_of(tx: Tx, external_id: str) -> list[str]:
    """External ids of live customers that name this one as their parent."""
    c = CUSTOMERS.c
    statement = sa.select(c.external_id).where(c.parent == external_id, c.deleted_at.is_(None))
    return [row[0] for row in tx.rows(statement.order_by(c.external_id))]


def empty_record(tx: Tx, record_id: str, now: float) -> None:
    """The customer, its mappings and their writes, and its journal: what remains says that there was one."""
    blank = {"fields": "{}", "sources": "{}", "name_key": "", "email_key": "", "parent": None, "external_id": ERASED}
    deleted = sa.func.coalesce(CUSTOMERS.c.deleted_at, now)
    times = {"version": CUSTOMERS.c.version + 1, "updated_at": now, "deleted_at": deleted}
    tx.execute(sa.update(CUSTOMERS).where(CUSTOMERS.c.id == record_id).values(**blank, **times))
    own = sa.select(MAPPINGS.c.id).where(MAPPINGS.c.record_id == record_id)
    frozen = {"body": "{}", "wanted": "{}", "before": "{}", "remote_id": None, "error": ""}
    tx.execute(sa.update(INTENTS).where(INTENTS.c.mapping_id.in_(own)).values(**frozen))
    ended = {"state": "ended", "note": CUSTOMER_ERASED, "remote_id": None, "base": "{}", "updated_at": now}
    tx.execute(sa.update(MAPPINGS).where(MAPPINGS.c.record_id == record_id).values(**ended))
    here = JOURNAL.c.record_id == record_id
    some = sa.or_(JOURNAL.c.changes != "{}", JOURNAL.c.lost != "[]")
    tx.execute(sa.update(JOURNAL).where(here, some).values(changes=MARKER))
    tx.execute(sa.update(JOURNAL).where(here).values(lost="[]", remote_id=None))


def empty_subjects(tx: Tx, record_ids: Sequence[str], subjects: Mapping[str, Sequence[str]], now: float) -> None:
    """What was asked, failed or waits about these subjects, by connection."""
    for record_id in record_ids:
        _empty_holds(tx, HOLDS.c.record_id == record_id, now)
        tx.execute(sa.delete(FAILURES).where(FAILURES.c.record_id == record_id))
    for connection, names in subjects.items():
        for some in chunks(names):
            _empty_holds(tx, sa.and_(HOLDS.c.connection == connection, HOLDS.c.subject.in_(some)), now)
            for table in (FAILURES, DIRTY):
                tx.execute(sa.delete(table).where(table.c.connection == connection, table.c.subject.in_(some)))


def _empty_holds(tx: Tx, wanted: sa.ColumnElement[bool], now: float) -> None:
    is_answered = sa.case((HOLDS.c.answer.is_(None), None), else_=ERASED)
    is_remote = sa.case((HOLDS.c.subject.like("r:%"), f"r:{ERASED}"), else_=HOLDS.c.subject)
    open_ended: dict[str, Any] = {
        "state": sa.case((HOLDS.c.state == "open", "moot"), else_=HOLDS.c.state),
        "closed_at": sa.func.coalesce(HOLDS.c.closed_at, now),
    }
    tx.execute(
        sa.update(HOLDS)
        .where(wanted)
        .values(detail="{}", digest="", answer=is_answered, subject=is_remote, **open_ended)
    )


def mappings_of_documents(tx: Tx, record_ids: Iterable[str]) -> list[tuple[str, str]]:
    """(connection, id) of every mapping that a document of these customers ever had."""
    m, found = MAPPINGS.c, list[tuple[str, str]]()
    for some in chunks(sorted(set(record_ids))):
        statement = sa.select(m.connection, m.id).join(DOCUMENTS, m.record_id == DOCUMENTS.c.id)
        rows = tx.rows(statement.where(DOCUMENTS.c.customer_id.in_(some)).order_by(m.id))
        found += [(row[0], row[1]) for row in rows]
    return found


def reword(tx: Tx, connection: str, subjects: Sequence[str], name: str, why: str) -> None:
    """What waits among these subjects because of `name` waits because of `why`. What a person said of it stays."""
    kept = (APPROVED, REJECTED, STOPPED, STALE)
    for some in chunks(subjects):
        here = (DIRTY.c.connection == connection, DIRTY.c.subject.in_(some), DIRTY.c.reason.not_in(kept))
        is_told = DIRTY.c.reason.contains(name, autoescape=True)
        tx.execute(sa.update(DIRTY).where(*here, is_told).values(reason=why))


def reword_all(tx: Tx, connection: str, was: Sequence[str], why: str) -> None:
    """The same of whatever waits there for exactly these reasons."""
    for some in chunks(was):
        here = (DIRTY.c.connection == connection, DIRTY.c.reason.in_(some))
        tx.execute(sa.update(DIRTY).where(*here).values(reason=why))


def empty_failures(tx: Tx, connection: str, kinds: Sequence[str], subjects: Sequence[str], ids: Sequence[str]) -> None:
    """What could not be understood of these subjects is told no more; what quotes one of these objects is not shown."""
    f = FAILURES.c
    for some in chunks(subjects):
        here = (f.connection == connection, f.subject.in_(some))
        tx.execute(sa.update(FAILURES).where(*here).values(message=ERASED, raw="", record_id=None))
    for one in ids:
        told = (f.connection == connection, f.kind.in_(kinds), f.raw.contains(one, autoescape=True))
        tx.execute(sa.update(FAILURES).where(*told).values(raw=""))


def empty_requests(tx: Tx, external_id: str, answer: str) -> None:
    """What operators and programs asked for by this external id; a repeated request of theirs gets `answer`."""
    _empty_one_offs(tx, external_id)
    _unname_in_holds(tx, external_id)
    _replace_answers(tx, external_id, answer)


def _empty_one_offs(tx: Tx, external_id: str) -> None:
    o = ONE_OFFS.c
    for one_id, state, text in tx.rows(sa.select(o.id, o.state, o.request).where(_may_name(o.request, external_id))):
        request = msgspec.json.decode(text)
        named = request.get("external_ids", [])
        if external_id not in named:
            continue
        is_ended = state in ("done", "failed")
        rest = {} if is_ended else {**request, "external_ids": _unnamed(named, external_id)}
        told = {"request": dump(rest), **({"error": ""} if is_ended else {})}
        tx.execute(sa.update(ONE_OFFS).where(o.id == one_id).values(told))


def _unname_in_holds(tx: Tx, external_id: str) -> None:
    h = HOLDS.c
    for hold_id, field, text in tx.rows(sa.select(h.id, h.field, h.detail).where(_may_name(h.detail, external_id))):
        detail = dump(_without_customer(field, msgspec.json.decode(text), external_id))
        tx.execute(sa.update(HOLDS).where(h.id == hold_id).values(detail=detail))


def _without_customer(field: str, detail: Mapping[str, Any], external_id: str) -> dict[str, Any]:
    """A hold's detail with this external id in it no more: a number, an amount or a remote id may read just like it."""
    told, values = dict(detail), detail.get("values")
    if detail.get("candidates_are") == ARE_CUSTOMERS:
        told["candidates"] = _unnamed(detail.get("candidates", []), external_id)
    if field in _NAMING_FIELDS:
        told |= {side: ERASED for side in ("registry", "remote") if detail.get(side) == external_id}
    if isinstance(owners := detail.get(_OWNER), dict):
        told[_OWNER] = {side: ERASED if one == external_id else one for side, one in owners.items()}
    if isinstance(values, dict) and values.get(PARENT) == external_id:
        told["values"] = {**values, PARENT: ERASED}
    return told


def _unnamed(names: Iterable[str], external_id: str) -> list[str]:
    return [ERASED if one == external_id else one for one in names]


def _replace_answers(tx: Tx, external_id: str, answer: str) -> None:
    named = META.c.value.contains(dump(f'"external_customer_id":{dump(external_id)}')[1:-1], autoescape=True)
    for name, text in tx.rows(sa.select(META.c.name, META.c.value).where(META.c.name.startswith("answer:"), named)):
        kept = msgspec.json.decode(text)
        if msgspec.json.decode(kept["answer"])["external_customer_id"] == external_id:
            tx.execute(sa.update(META).where(META.c.name == name).values(value=dump({**kept, "answer": answer})))


def _may_name(column: sa.ColumnElement[str], external_id: str) -> sa.ColumnElement[bool]:
    """Rows among which those are that name it; others too, since SQLite takes ADA for ada."""
    return column.contains(dump(external_id), autoescape=True)


def letters_with(tx: Tx, connections: Sequence[str], text: str) -> list[tuple[Letter, str]]:
    """Deliveries to these addresses whose bytes hold `text` somewhere, each with its state. Walks all of them."""
    i = INBOX.c
    found = _INSTR if tx.dialect == "sqlite" else _POSITION
    columns = (i.id, i.connection, i.dedupe_key, i.body, i.received_at, i.trace)
    statement = sa.select(*columns, i.state).where(i.connection.in_(connections), found)
    rows = tx.rows(statement.order_by(i.id), {"wanted": text.encode()})
    names = [one.name for one in columns]
    return [(Letter(**dict(zip(names, row[:-1], strict=True))), row[-1]) for row in rows]


def empty_letters(tx: Tx, ids: Sequence[int]) -> None:
    """Nothing is left of these deliveries but that they came: a redelivery is still known as one."""
    for some in chunks(ids):
        tx.execute(sa.update(INBOX).where(INBOX.c.id.in_(some)).values(body=b"", state="done", error=""))
