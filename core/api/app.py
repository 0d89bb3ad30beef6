"""The API, put together."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException

from core.api import connections, customers, documents, ends, journals, operations, payouts, probes, problems
from core.api.asgi import App
from core.api.context import Context
from core.api.edge import Edge
from core.api.entrance import SCHEME, Entrance
from core.errors import AccordError

VERSION = "1"


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Every route answers with problem documents, and names the scope it needs."""
        schema = super().openapi()
        parts = schema.setdefault("components", {})
        told = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        parts.setdefault("schemas", {}).update(told.pop("$defs", {}) | {"Problem": told})
        told_once = "Each operation names its scope. Nobody is asked while there is no token, on this machine only."
        parts["securitySchemes"] = {SCHEME: {"type": "http", "scheme": "bearer", "description": told_once}}
        return schema


def build_app(context: Context, *, token: str | None, host: str) -> App:
    """The ASGI application of /v1, the probes and /openapi.json."""
    app = _Api(
        title="Accord",
        version=VERSION,
        summary="One registry of customers that every connected system agrees with.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            AccordError: problems.accord_problem,
            IntegrityError: problems.taken_problem,
            RequestValidationError: problems.refused_problem,
            HTTPException: problems.http_problem,
            Exception: problems.bug_problem,
        },
    )
    app.state.context = context
    for part in (customers, ends, connections, operations, journals, documents, payouts, probes):
        app.include_router(part.router)
    hub = context.hub
    return Edge(app, hub.ids, Entrance(hub.db, hub.clock, token), host)
