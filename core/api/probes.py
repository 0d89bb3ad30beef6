"""/healthz, /readyz and /metrics."""

from __future__ import annotations

from fastapi import Response

from core.api import shapes
from core.api.context import OPEN, ContextIn, Trace, needs, new_router, refusals
from core.api.metrics import CONTENT_TYPE
from core.api.problems import RETRY_SECONDS, document, respond
from core.model.scopes import READ
from core.sync.explain import status

router = new_router("probes")

_NEEDS = needs(READ)
_NEEDS["responses"] |= {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/healthz", openapi_extra=OPEN)
async def healthz() -> shapes.Alive:
    """The process is alive."""
    return shapes.Alive(status="ok")


@router.get("/readyz", response_model=shapes.Ready, responses=refusals(), openapi_extra=OPEN)
async def readyz(context: ContextIn, trace: Trace) -> Response | shapes.Ready:
    """The daemon holds its lock and the database takes writes; 503 says what is wrong."""
    problem = await context.health.problem()
    if problem:
        return respond(document("not_ready", 503, problem, trace), {"retry-after": str(RETRY_SECONDS)})
    return shapes.Ready(status="ready")


@router.get("/metrics", response_class=Response, **_NEEDS)
async def metrics(context: ContextIn) -> Response:
    """Everything that is counted, for Prometheus."""
    hub = context.hub
    count_unequal = context.metrics.recount.at(hub.clock.now())
    found = await hub.db.read(lambda tx: status(tx, hub, count_unequal))
    is_ready = not await context.health.problem()
    text = context.metrics.exposed(found, context.totals(), hub.clock.now(), is_ready=is_ready)
    return Response(text, headers={"content-type": CONTENT_TYPE})
