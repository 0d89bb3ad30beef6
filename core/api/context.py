"""What the API's routes stand on, and the small things they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Path, Request
from pydantic import AfterValidator

from core.api.entrance import SCHEME, Caller, ScopedRoute
from core.api.health import Health
from core.api.metrics import Metrics
from core.sync.batch import Report
from core.sync.hub import Hub


@dataclass(frozen=True, slots=True)
class Context:
    """Built once by the daemon."""

    hub: Hub
    health: Health
    metrics: Metrics
    totals: Callable[[], Mapping[str, Report]]


def _hub(request: Request) -> Hub:
    context: Context = request.app.state.context
    return context.hub


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _trace(request: Request) -> str:
    return str(request.state.trace)


def _caller(request: Request) -> Caller:
    found: Caller = request.state.caller
    return found


def _actor(request: Request) -> str:
    return _caller(request).actor


HubIn = Annotated[Hub, Depends(_hub)]
ContextIn = Annotated[Context, Depends(_context)]
Trace = Annotated[str, Depends(_trace)]
CallerIn = Annotated[Caller, Depends(_caller)]
Actor = Annotated[str, Depends(_actor)]
# the edge routes the path as it was sent
Named = Annotated[str, Path(description="Percent-encoded, a slash as %2F."), AfterValidator(unquote)]
ExternalId = Named


def at(seconds: float) -> datetime:
    """A time of ours as the API shows it."""
    return datetime.fromtimestamp(seconds, UTC)


def at_or_none(seconds: float | None) -> datetime | None:
    """The same, where there may be none."""
    return None if seconds is None else at(seconds)


def new_router(*tags: str, prefix: str = "") -> APIRouter:
    """A router whose routes let nobody in unless they say whom: see `needs`."""
    return APIRouter(prefix=prefix, tags=list(tags), route_class=ScopedRoute)


def needs(scope: str, *statuses: int) -> dict[str, Any]:
    """A route's scope, and the problem documents it may answer with, for OpenAPI and for the door."""
    return {"responses": refusals(400, 401, 403, 421, *statuses), "openapi_extra": {"security": [{SCHEME: [scope]}]}}


OPEN: Final[dict[str, Any]] = {"security": []}
"""`openapi_extra` of a route that asks for no token."""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the problem documents a route may answer with."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    told: dict[int | str, dict[str, Any]] = {
        status: {"description": "Problem", "content": content} for status in (*statuses, 422, 500, 503)
    }
    return told
