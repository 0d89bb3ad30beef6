"""/v1/invoices, /v1/payments, /v1/credit_notes: the registry's documents, and how their copies stand. Read only."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args

from fastapi import Query
from pydantic import BaseModel

from core.api.context import ExternalId, HubIn, Named, needs, new_router
from core.model.scopes import READ
from core.store import documents
from core.store.database import Tx
from core.sync.documents.ageing import aged
from core.sync.documents.telling import check_filters, listed, overview, told, whose
from core.sync.documents.tie_out import tie_out
from core.sync.hub import Hub

router = new_router("documents", prefix="/v1")

Kinds = Literal["invoices", "payments", "credit_notes"]
Limit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str, Query(max_length=64, description="`next_cursor` of the page before.")]
Children = Annotated[bool, Query(description="Those of its children, and of theirs, too.")]


class CopyShown(BaseModel):
    """A document's copy at one connection. `agrees`: it was last seen equal, to the minor unit, and nothing is open."""

    connection: str
    remote_id: str | None
    state: str
    agrees: bool
    waits: str | None
    held: list[dict[str, Any]]
    failure: str | None
    write_in_doubt: str | None


class DocumentShown(BaseModel):
    """A document as its origin has it; amounts are decimal strings."""

    id: str
    customer: str | None
    origin: str
    remote_id: str
    version: int
    document: dict[str, Any]
    copies: list[CopyShown]


class UncopiedShown(BaseModel):
    """A connection that takes copies of documents of this kind, and why it has none of this one."""

    connection: str
    why: str


class SettlingShown(DocumentShown):
    """A payment or credit note of an invoice, with what is asked about it where it is made."""

    holds: list[dict[str, Any]]


class DocumentTold(DocumentShown):
    """The same with what settles it, what is asked about it, and its story.

    `waits`: why what its origin says now could not be taken, and what to do.
    """

    settled_by: list[SettlingShown]
    uncopied: list[UncopiedShown]
    waits: list[dict[str, Any]]
    holds: list[dict[str, Any]]
    journal: list[dict[str, Any]]


class DocumentPage(BaseModel):
    """Documents by id."""

    data: list[DocumentShown]
    next_cursor: str | None


class OverviewShown(BaseModel):
    """What a customer's documents add up to in one currency."""

    currency: str
    gross_revenue: Decimal
    outstanding: Decimal
    overdue: Decimal
    paid: Decimal
    last_paid_on: date | None
    invoices: int


class Overviews(BaseModel):
    """By currency."""

    data: list[OverviewShown]


class AgeingShown(BaseModel):
    """What is due in one currency: not yet, 1-30, 31-60, 61-90, more days overdue."""

    currency: str
    buckets: list[Decimal]
    total: Decimal


class AgeingOfCustomer(AgeingShown):
    """The same of one customer."""

    customer: str
    name: str


class AgedInvoice(BaseModel):
    """One invoice that is due. `bucket`: not_yet, to_30, to_60, to_90, more."""

    customer: str
    name: str
    currency: str
    id: str
    number: str
    origin: str
    due_on: date | None
    days_overdue: int
    bucket: str
    due: Decimal


class AgeingReport(BaseModel):
    """By currency; of each customer, whoever owes most first; and each invoice where asked. The digest is of it all."""

    day: date
    digest: str
    data: list[AgeingShown]
    customers: list[AgeingOfCustomer]
    invoices: list[AgedInvoice]


class TieOut(BaseModel):
    """Which documents of a period have an equal copy at each connection. `is_over`: at every origin.

    `differences`, `untaken` (what could not be taken from where it is made, with why and what to do), `unaccounted`
    (invoices of which not as much is settled as their payments and credit notes come to) and connections that are not
    sound (`problems`) keep it open. `left` is what people let go of, each with who did; `outside`: what is not taken
    because policy keeps its customer out of the registry.
    """

    period: str
    is_over: bool
    digest: str
    sums: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    left: list[dict[str, Any]]
    untaken: list[dict[str, Any]]
    outside: list[dict[str, Any]]
    unaccounted: list[dict[str, Any]]
    connections: list[dict[str, Any]]


@router.get("/reports/ageing", **needs(READ))
async def ageing_report(
    hub: HubIn, *, invoices: Annotated[bool, Query(description="Each invoice, too.")] = False
) -> AgeingReport:
    """What is due and whose it is, by how long it has been so."""
    found = await hub.db.read(lambda tx: aged(tx, hub, with_invoices=invoices))
    return AgeingReport.model_validate({"invoices": [], **found, "data": found["ageing"]})


@router.get("/reports/tie_out/{period}", **needs(READ))
async def tie_out_report(hub: HubIn, period: str) -> TieOut:
    """What `accord close PERIOD` tells: `2026-10`, or a year."""
    return TieOut.model_validate(await hub.db.read(lambda tx: tie_out(tx, hub, period)))


@router.get("/customers/{external_customer_id}/overview", **needs(READ, 404))
async def customer_overview(
    hub: HubIn,
    external_customer_id: ExternalId,
    *,
    children: Children = False,
) -> Overviews:
    """Gross revenue, outstanding, overdue, paid: per currency."""
    found = await hub.db.read(lambda tx: overview(tx, hub, external_customer_id, with_children=children))
    return Overviews.model_validate({"data": found})


def _routes(kinds: Kinds) -> None:
    """The routes of one kind of document: each by its own name, so that any other name is a route that is not there."""
    kind = kinds.removesuffix("s")

    @router.get(f"/{kinds}", operation_id=f"list_{kinds}", **needs(READ))
    async def list_documents(
        hub: HubIn,
        limit: Limit = 50,
        cursor: After = "",
        status: Annotated[str | None, Query(max_length=20)] = None,
        number: Annotated[str | None, Query(max_length=255)] = None,
    ) -> DocumentPage:
        """Documents of one kind by id."""
        return await hub.db.read(lambda tx: _page(tx, hub, kind, limit, cursor, status=status, number=number))

    @router.get(f"/{kinds}/{{name}}", operation_id=f"get_{kind}", **needs(READ, 404))
    async def get_document(hub: HubIn, name: Named) -> DocumentTold:
        """One document by its id, its number, or its id at its origin; of one that waits to be taken 404 says why."""
        return DocumentTold.model_validate(await hub.db.read(lambda tx: told(tx, hub, kind, name)))

    @router.get(
        f"/customers/{{external_customer_id}}/{kinds}", operation_id=f"list_{kinds}_of_customer", **needs(READ, 404)
    )
    async def customer_documents(
        hub: HubIn,
        external_customer_id: ExternalId,
        limit: Limit = 50,
        cursor: After = "",
        *,
        children: Children = False,
    ) -> DocumentPage:
        """A customer's documents of one kind."""

        def work(tx: Tx) -> DocumentPage:
            ids = whose(tx, external_customer_id, with_children=children)
            return _page(tx, hub, kind, limit, cursor, customer_ids=ids)

        return await hub.db.read(work)


def _page(tx: Tx, hub: Hub, kind: str, limit: int, cursor: str, **filters: Any) -> DocumentPage:  # noqa: ANN401 - of documents.page
    check_filters(tx, kind, filters.get("status"), cursor, "cursor")
    found = documents.page(tx, kind=kind, after=cursor, limit=limit + 1, **filters)
    shown = [DocumentShown.model_validate(one) for one in listed(tx, found[:limit], hub.clock.now())]
    return DocumentPage(data=shown, next_cursor=found[limit - 1].id if len(found) > limit else None)


for _kinds in get_args(Kinds):
    _routes(_kinds)
