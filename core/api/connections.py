"""/v1/connections, plans and activation, and /v1/syncs."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Query

from core.api import connection_shapes, plan_shapes, shapes
from core.api.context import Actor, HubIn, at_or_none, needs, new_router
from core.errors import InvalidInputError, NotFoundError
from core.model.documents import KINDS
from core.model.scopes import APPROVE, READ, WRITE
from core.store import one_offs
from core.store.one_offs import OneOff
from core.sync import registry
from core.sync.activation import activate
from core.sync.documents.asking import concerned_with
from core.sync.explain import status
from core.sync.hub import Hub
from core.sync.oneoffs import ask
from core.sync.plan import Plan, plan

router = new_router("connections", prefix="/v1")

ITEMS_SHOWN = 1000


@router.get("/connections", **needs(READ))
async def list_connections(hub: HubIn) -> connection_shapes.Connections:
    """How every connection stands, in numbers."""
    found = await hub.db.read(lambda tx: status(tx, hub))
    return connection_shapes.Connections(data=[_connection(one) for one in found["connections"]])


def _connection(one: dict[str, Any]) -> connection_shapes.ConnectionShown:
    times = {name: at_or_none(one[name]) for name in ("last_full_sweep", "last_changes", "paused_until", "restored_at")}
    return connection_shapes.ConnectionShown.model_validate(one | times)


@router.get("/connections/{name}/plan", **needs(READ, 404))
async def connection_plan(
    hub: HubIn, name: str, limit: Annotated[int, Query(ge=0, le=100_000, description="Items shown.")] = ITEMS_SHOWN
) -> plan_shapes.PlanShown:
    """What would change there, field by field, from what was last seen, and of documents; nothing is written.

    Copies of documents that are not known to be equal are read; nothing else is asked of the provider.
    """
    return _plan(await plan(hub, hub.connection(name)), limit)


@router.post("/connections/{name}/activate", **needs(APPROVE, 404))
async def activate_connection(
    hub: HubIn, actor: Actor, name: str, seen: plan_shapes.Activation
) -> plan_shapes.PlanShown:
    """Leave observing, if the plan of this very moment is the one that was seen."""
    return _plan(await activate(hub, hub.connection(name), seen.digest, actor=actor), 0)


def _plan(found: Plan, limit: int) -> plan_shapes.PlanShown:
    values = msgspec.structs.asdict(found) | {"total_items": len(found.items)}
    values["items"] = [msgspec.to_builtins(item) for item in found.items[:limit]]
    values["documents"] = msgspec.to_builtins(found.documents)
    return plan_shapes.PlanShown.model_validate(values)


@router.post("/syncs", status_code=202, tags=["syncs"], **needs(WRITE, 404))
async def ask_for_sync(hub: HubIn, actor: Actor, wanted: shapes.SyncRequest) -> shapes.SyncShown:
    """Put a one-off into a connection's lane."""
    request = _request(hub, wanted)
    await hub.db.read(lambda tx: registry.require(tx, wanted.external_ids, "external_ids"))
    one_id = await ask(hub, wanted.connection, request, actor=actor)
    found = await hub.db.read(lambda tx: one_offs.get(tx, one_id))
    return _sync(found, one_id)


def _request(hub: Hub, wanted: shapes.SyncRequest) -> dict[str, object]:
    """The request as a lane understands it. Refused here is what the lane would refuse later."""
    if wanted.kinds and wanted.what != "documents":
        raise InvalidInputError("are of documents", field="kinds", cure='ask for "documents"')
    if wanted.what == "documents":
        kinds = concerned_with(hub.connection(wanted.connection), wanted.kinds or KINDS)
        return {"what": wanted.what, "kinds": wanted.kinds or kinds, "external_ids": wanted.external_ids}
    if wanted.what != "customers":
        if wanted.external_ids:
            cure = 'ask for "customers", or for "documents"'
            raise InvalidInputError("are of customers or documents", field="external_ids", cure=cure)
        return {"what": wanted.what}
    if not wanted.external_ids:
        raise InvalidInputError("is empty", field="external_ids", cure="name the customers")
    return {"what": wanted.what, "external_ids": wanted.external_ids}


@router.get("/syncs/{sync_id}", tags=["syncs"], **needs(READ, 404))
async def get_sync(hub: HubIn, sync_id: str) -> shapes.SyncShown:
    """A one-off and what became of it."""
    return _sync(await hub.db.read(lambda tx: one_offs.get(tx, sync_id)), sync_id)


def _sync(found: OneOff | None, one_id: str) -> shapes.SyncShown:
    if found is None:
        raise NotFoundError(f"there is no sync {one_id!r}", field="sync", cure="they are kept for 30 days")
    return shapes.SyncShown.model_validate(
        {
            "id": found.id,
            "connection": found.connection,
            "what": found.request.get("what", ""),
            "external_ids": found.request.get("external_ids", []),
            "kinds": found.request.get("kinds", []),
            "state": found.state,
            "result": found.result,
            "error": found.error,
            "trace": found.trace,
        }
    )
