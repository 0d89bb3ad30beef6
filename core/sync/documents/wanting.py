"""What a copy shall be, in the connection's own terms, as far as what it names is there, or will be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from core.errors import RejectedError
from core.model.documents import references, with_references
from core.model.match import CUSTOMER_DELETED
from core.model.paper import WantedDocument
from core.model.remote import Mark
from core.store import customers as registry_customers
from core.store import documents, mappings, observations
from core.store.database import Tx
from core.sync.documents import by_hand
from core.sync.documents.marking import no_object_yet
from core.sync.documents.standing import Copy
from core.sync.hub import KIND, Connection, Hub
from core.sync.parts import parts_in, whole_of

CUSTOMER: Final = "customer"
INVOICE: Final = "invoice"
SETTLER: Final = "settler"
ORIGIN: Final = "origin"


@dataclass(frozen=True, slots=True)
class ToCome:
    """Objects that a plan takes to be at the connection already, as they will be by then: record -> remote id."""

    customers: Mapping[str, str] = field(default_factory=dict)
    invoices: Mapping[str, str] = field(default_factory=dict)
    offered: Collection[str] = ()
    """Documents that will have a mapping by then, whatever becomes of them."""


NOTHING: Final = ToCome()


class Later(Exception):  # noqa: N818 - no error: it is not its turn yet
    """A copy cannot be made yet; the text says what it waits for, `of` what kind of thing that is."""

    def __init__(self, text: str, of: Literal["customer", "invoice", "settler", "origin"]) -> None:
        """In words, and in short."""
        super().__init__(text)
        self.of = of


def stand_in(connection: Connection, record_id: str) -> str:
    """What stands for the id of an invoice's copy that is to come: about as long as that will be."""
    return record_id[: connection.manifest.documents["invoice"].id_length]


def wanted_of(tx: Tx, hub: Hub, connection: Connection, copy: Copy, to_come: ToCome = NOTHING) -> WantedDocument:
    """The document in the connection's own terms; Later while something it names is not there yet."""
    document = copy.paper.document
    invoices = {**to_come.invoices, **_here(tx, connection, references(document), "invoice")}
    absent = [name for name in references(document) if name not in invoices]
    customers = {**to_come.customers, **_here(tx, connection, [copy.paper.customer_id], KIND)}
    if copy.paper.customer_id not in customers and (copy.mapping.remote_id or references(document)) and not absent:
        customers = _archived(tx, connection, copy.paper.customer_id)
    if copy.paper.customer_id not in customers:
        owner = registry_customers.by_ids(tx, [copy.paper.customer_id]).get(copy.paper.customer_id)
        raise Later(no_object_yet(owner.external_id if owner else copy.paper.customer_id), CUSTOMER)
    if absent:
        _refuse_let_go(tx, connection, [name for name in absent if name not in to_come.offered])
        raise Later("its invoice has no object here yet", INVOICE)
    mark = Mark(hub.instance, copy.mapping.id, copy.mapping.generation)
    in_its_terms = with_references(
        document,
        id=copy.mapping.remote_id or "",
        customer=customers[copy.paper.customer_id],
        invoice=lambda name: invoices[name],
    )
    return WantedDocument(
        document=in_its_terms,
        mark=str(mark),
        origin=copy.paper.origin,
        by_hand=by_hand.booked(copy.mapping),
        closed_through=connection.closing.through,
        known_at=copy.paper.updated_at,
        customer_currency="" if copy.mapping.remote_id else _currency(tx, connection, copy, customers, to_come),
        parts=_parts(tx, connection, copy.paper.customer_id),
    )


def _parts(tx: Tx, connection: Connection, customer_id: str) -> tuple[str, ...] | None:
    """Objects of a customer's parts; None where none are asked for, or its own object is none any more."""
    if not connection.parts.asked:
        return None
    rows = mappings.of_records(tx, [customer_id]).get(customer_id, ())
    whole = whole_of(rows, connection.name)
    if whole is None or whole.state != "live" or whole.remote_id is None:
        return None
    wanted = {part.name for part in connection.parts.of_whole(whole.remote_id, {})}
    theirs = [one for one in parts_in(rows, connection.name) if one.part in wanted and one.state == "live"]
    return tuple(one.remote_id for one in theirs if one.remote_id)


def _currency(tx: Tx, connection: Connection, copy: Copy, customers: Mapping[str, str], to_come: ToCome) -> str:
    """What a customer's object was last seen to be in: at some providers it takes documents in no other.

    Of one that is to come, what it will be made in.
    """
    name = customers[copy.paper.customer_id]
    seen = observations.by_ids(tx, connection.name, KIND, [name]).get(name)
    if seen is not None:
        return str(seen.remote.fields.get("currency") or "")
    if to_come.customers.get(copy.paper.customer_id) != name or "currency" not in connection.manifest.fields:
        return ""
    owner = registry_customers.by_ids(tx, [copy.paper.customer_id]).get(copy.paper.customer_id)
    return str(owner.fields.get("currency") or "") if owner else ""


def _here(tx: Tx, connection: Connection, record_ids: Sequence[str], kind: str) -> dict[str, str]:
    """Remote ids at a connection, by record."""
    found = mappings.of_records(tx, record_ids)
    return {
        record_id: row.remote_id
        for record_id, rows in found.items()
        for row in rows
        if row.connection == connection.name
        and row.kind == kind
        and not row.part
        and row.state == "live"
        and row.remote_id
    }


def _archived(tx: Tx, connection: Connection, customer_id: str) -> dict[str, str]:
    """The object that an archived customer had, unless it is gone: what is booked is still that one's there."""
    last = mappings.last_objects(tx, connection.name, KIND, [customer_id], CUSTOMER_DELETED)
    seen = observations.by_ids(tx, connection.name, KIND, last.values())
    return {record: name for record, name in last.items() if name not in seen or seen[name].state == "live"}


def _refuse_let_go(tx: Tx, connection: Connection, invoices: Sequence[str]) -> None:
    """Raise RejectedError where an invoice will have no object here: what settles it would wait for ever."""
    rows = [row for some in mappings.of_records(tx, invoices).values() for row in some]
    coming = {row.record_id for row in rows if row.connection == connection.name and row.state != "excluded"}
    left = [name for name in invoices if name not in coming]
    if left:
        number = getattr(documents.by_ids(tx, left)[left[0]].document, "number", "")
        raise RejectedError(
            f"it settles invoice {number}, which has no copy in {connection.manifest.title}",
            field="applications",
            limit="the copy was let go of, or policy wants none there (since, sources)",
            cure="book by hand what of it settles invoices that are there, and leave it",
        )
