"""The journal as people read it: who did what, when and where, and what it replaced."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any

from core.errors import InvalidInputError
from core.model.documents import KINDS
from core.store import connections, customers, documents, erasing, journal
from core.store.database import Tx
from core.store.journal import Filter
from core.sync import registry
from core.sync.explain import entry_shown
from core.sync.hub import KIND

AT_ONCE = 500


def filter_of(
    tx: Tx,
    *,
    since: str | None = None,
    until: str | None = None,
    actor: str | None = None,
    connection: str | None = None,
    customer: str | None = None,
) -> Filter:
    """What is asked for. Who or what never was is refused: an empty list would be believed."""
    names = sorted(one.name for one in connections.every(tx))
    if connection is not None and connection not in names:
        problem, known = f"there is no connection {connection!r}", ", ".join(names) or "none"
        raise InvalidInputError(problem, field="connection", limit=f"known: {known}", cure="name one of these")
    if actor is not None and ("\0" in actor or not journal.is_actor(tx, actor)):
        cure = "spell it as the journal does: cli:NAME, api:NAME, or a connection"
        raise InvalidInputError(f"nothing was done by {actor!r}", field="actor", cure=cure)
    first, last = moment(since, "since", time.min), moment(until, "until", time.max)
    if first is not None and last is not None and first > last:
        problem = f"since {since} is later than until {until}: nothing lies between"
        raise InvalidInputError(problem, field="since", limit="not later than until", cure="exchange the two")
    return Filter(
        since=first,
        until=last,
        actor=actor,
        connection=connection,
        customer_ids=None if customer is None else _records(tx, customer),
    )


def moment(text: str | None, field: str, of_day: time) -> float | None:
    """A day, of which `of_day` is meant, or a time; in UTC where it says no zone."""
    if text is None:
        return None
    try:
        found = _read(text, of_day)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        cure = "write 2026-11-18, or 2026-11-18T09:30:00+01:00"
        raise InvalidInputError(f"{text!r} is neither a day nor a time", field=field, cure=cure) from error


def _read(text: str, of_day: time) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), of_day)
    except ValueError:
        return datetime.fromisoformat(text)


def _records(tx: Tx, external_id: str) -> list[str]:
    """All customers that have or had this id, those deleted since too; NotFoundError where none did."""
    is_name = "\0" not in external_id and external_id != erasing.ERASED
    return (erasing.record_ids(tx, external_id) if is_name else []) or [registry.get(tx, external_id).id]


def told(tx: Tx, wanted: Filter, after: int, limit: int) -> list[dict[str, Any]]:
    """Entries behind one of them, oldest first, each with its customer's external id; of an erased one: `(erased)`."""
    entries = journal.page(tx, wanted, after, limit)
    owners = {one.record_id: one.record_id for one in entries if one.kind == KIND}
    owners |= documents.owners(tx, [one.record_id for one in entries if one.kind in KINDS])
    names = customers.external_ids(tx, owners.values())
    return [
        {
            **entry_shown(one),
            "at": datetime.fromtimestamp(one.at, UTC).isoformat(),
            "kind": one.kind,
            "record_id": one.record_id,
            "external_customer_id": names.get(owners.get(one.record_id, "")),
        }
        for one in entries
    ]


def every(tx: Tx, wanted: Filter) -> Iterator[dict[str, Any]]:
    """All of them, on one snapshot."""
    after = 0
    while some := told(tx, wanted, after, AT_ONCE):
        yield from some
        after = some[-1]["change"]
