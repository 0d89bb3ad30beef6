"""Ties that end or begin by hand, and erasure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import Query
from pydantic import BaseModel, Field

from core.api import shapes
from core.api.context import Actor, ExternalId, HubIn, Trace, needs, new_router
from core.api.customers import mapping_shown, shown
from core.model.scopes import ADMIN, WRITE
from core.store.database import Tx
from core.store.mappings import MappingRow
from core.sync import registry
from core.sync.erasure import erase
from core.sync.linking import link, unlink
from core.sync.revival import restore

router = new_router("customers", prefix="/v1/customers")


class LinkRequest(shapes.Strict):
    """The object that a customer is from now on."""

    remote_id: str = Field(min_length=1, max_length=128)


class ObjectNamed(BaseModel):
    """An object at a connection."""

    connection: str
    remote_id: str


class ErasedShown(BaseModel):
    """What an erasure took out, and what stays elsewhere."""

    external_customer_id: str
    customers: int = Field(description="With earlier ones of the same external id.")
    remains: list[ObjectNamed] = Field(description="Erase these at their providers; they are told this once only.")
    likely: list[ObjectNamed] = Field(description="Nobody's objects with the same e-mail address; left alone.")
    children: list[str] = Field(description="Customers that still name it as their parent.")


class RestoredShown(BaseModel):
    """A customer that is live again."""

    customer: shapes.CustomerShown
    tied: list[ObjectNamed] = Field(description="Its objects, which are read next.")
    archived: list[ObjectNamed] = Field(description="Those of them that Accord archived: bring them back there.")
    apart: list[ObjectNamed] = Field(description="Objects that are another customer's by now.")


@router.post("/{external_customer_id}/restore", **needs(WRITE, 404, 409))
async def restore_customer(hub: HubIn, trace: Trace, actor: Actor, external_customer_id: ExternalId) -> RestoredShown:
    """Bring back the customer that was archived with this id last, while nobody has the id now."""
    done = await hub.db.run(lambda tx: restore(tx, hub, external_customer_id, actor=actor, trace=trace))
    objects = {"tied": _objects(done.tied), "archived": _objects(done.archived), "apart": _objects(done.apart)}
    return RestoredShown(customer=shown(done.customer), **objects)


def _objects(rows: Sequence[MappingRow]) -> list[ObjectNamed]:
    return [ObjectNamed(connection=row.connection, remote_id=str(row.remote_id)) for row in rows]


@router.put("/{external_customer_id}/mappings/{connection}", **needs(WRITE, 404))
async def link_customer(
    hub: HubIn,
    trace: Trace,
    actor: Actor,
    external_customer_id: ExternalId,
    connection: str,
    wanted: LinkRequest,
) -> shapes.MappingShown:
    """Tie the customer to an object that is nobody's; the two are merged as on first contact."""

    def work_(tx: Tx) -> shapes.MappingShown:
        row = link(tx, hub, external_customer_id, connection, wanted.remote_id, actor=actor, trace=trace)
        return mapping_shown(tx, registry.get(tx, external_customer_id), row)

    return await hub.db.run(work_)


@router.delete("/{external_customer_id}/mappings/{connection}", **needs(WRITE, 404))
async def unlink_customer(
    hub: HubIn,
    trace: Trace,
    actor: Actor,
    external_customer_id: ExternalId,
    connection: str,
    remote_id: Annotated[str | None, Query(description="Refuse if it is another object.")] = None,
) -> shapes.MappingShown:
    """Let the customer's object there go: it stays as it is, and neither is tied again but by hand."""

    def work_(tx: Tx) -> shapes.MappingShown:
        row = unlink(tx, hub, external_customer_id, connection, remote_id=remote_id, actor=actor, trace=trace)
        return mapping_shown(tx, registry.get(tx, external_customer_id), row)

    return await hub.db.run(work_)


@router.delete("/{external_customer_id}/data", **needs(ADMIN, 404))
async def erase_customer(hub: HubIn, trace: Trace, actor: Actor, external_customer_id: ExternalId) -> ErasedShown:
    """Erase all that is held of a customer, live or archived, for good. Nothing is erased at the providers."""
    found = await hub.db.run(lambda tx: erase(tx, hub, external_customer_id, actor=actor, trace=trace))
    told = msgspec.to_builtins(found)
    return ErasedShown.model_validate({**told, "external_customer_id": told["external_id"]})
