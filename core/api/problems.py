"""Every error as an RFC 9457 problem document."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from core.api.body import BODY, SEVERAL, TooLargeError, unreadable
from core.api.mistakes import mistakes
from core.errors import (
    AccordError,
    AllRefusedError,
    AmbiguousError,
    BadRequestError,
    BusyError,
    ConfigError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    RejectedError,
    ReplyError,
    RetryError,
    SchemaError,
    SignatureError,
    StaleError,
    StorageError,
    VersionConflictError,
    sentence,
    together,
)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 5
_PARTS: Final = ("field", "problem", "limit", "cure")

_STATUS: Final[Sequence[tuple[type[AccordError], int]]] = (
    (BadRequestError, 400),
    (NotFoundError, 404),
    (VersionConflictError, 409),
    (InvalidInputError, 422),
    (RejectedError, 422),
    (SignatureError, 401),
    (ForbiddenError, 403),
    (StaleError, 409),
    (AmbiguousError, 502),
    (ReplyError, 502),
    (AllRefusedError, 502),
    (RetryError, 503),
    (BusyError, 503),
    (StorageError, 503),
    (SchemaError, 503),
    (ConfigError, 500),
)
"""The first that fits; what is not here (ReauthorizeError, WrongAccountError, ...) is 409: a person must act."""


class FieldProblem(BaseModel):
    """What is wrong with one value of the request."""

    field: str | None = None
    problem: str
    limit: str | None = None
    cure: str | None = None


class Problem(BaseModel):
    """RFC 9457. `code` is stable; `detail` is for people; `cure` says what to do."""

    type: str = Field(examples=["urn:accord:problem:not_found"])
    title: str
    status: int
    detail: str
    code: str = Field(examples=["not_found"])
    trace: str = Field(description="The same id is on every log line of this request.")
    field: str | None = None
    problem: str | None = None
    limit: str | None = None
    cure: str | None = None
    scope: str | None = Field(None, description="The scope that is missing.")
    errors: list[FieldProblem] | None = Field(
        None, description="Of 400 and 422: each mistake, up to 100; the first one's members stand above, too."
    )


def document(code: str, status: int, detail: str, trace: str, **more: Any) -> Mapping[str, Any]:  # noqa: ANN401 - members
    """A problem document; members that say nothing are left out."""
    base = {
        "type": f"urn:accord:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "trace": trace,
    }
    return base | {name: value for name, value in more.items() if value is not None}


def encoded(found: Mapping[str, Any]) -> bytes:
    """The document's bytes, in ASCII: what is complained about may hold half a surrogate pair."""
    return json.dumps(found).encode()


def respond(found: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A problem document as a response."""
    return Response(encoded(found), found["status"], headers=dict(headers or {}), media_type=MEDIA_TYPE)


def status_of(error: AccordError, *, is_conditional: bool = False) -> int:
    """The status of an error; a failed If-Match is 412."""
    if isinstance(error, VersionConflictError) and is_conditional:
        return 412
    if type(error).code == "bug":
        return 500
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 409)


async def accord_problem(request: Request, error: Exception) -> Response:
    """Any of Accord's own errors."""
    assert isinstance(error, AccordError)  # noqa: S101 - registered for this class only
    status = status_of(error, is_conditional="if-match" in request.headers)
    members: dict[str, Any] = {name: getattr(error, name, None) for name in (*_PARTS, "scope")}
    if isinstance(error, InvalidInputError) and status in (400, 422):
        members["errors"] = [_parts(one) for one in error.errors or (error,)]
    found = document(error.code, status, str(error), request.state.trace, **members)
    return respond(found, _headers(error, status))


def _parts(error: InvalidInputError) -> Mapping[str, str]:
    return {name: value for name in _PARTS if (value := getattr(error, name)) is not None}


def _headers(error: AccordError, status: int) -> Mapping[str, str]:
    if isinstance(error, ForbiddenError):
        return {"www-authenticate": f'Bearer error="insufficient_scope", scope="{error.scope}"'}
    return {"retry-after": str(RETRY_SECONDS)} if status == 503 else {}


async def taken_problem(request: Request, error: Exception) -> Response:
    """Two requests at once made the same thing; the database let one of them win."""
    assert isinstance(error, IntegrityError)  # noqa: S101 - registered for this class only
    cure = "repeat the request"
    detail = f"another request came first; {cure}"
    return respond(document("version_conflict", 409, detail, request.state.trace, cure=cure))


async def refused_problem(request: Request, error: Exception) -> Response:
    """A request of the wrong shape: every mistake, by its place."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    found = mistakes(error.errors(), request.headers.get("content-type", ""))
    return await accord_problem(request, together(found))


async def http_problem(request: Request, error: Exception) -> Response:
    """No such route, or not that method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    if isinstance(error.__cause__, TooLargeError):
        problem = str(error.__cause__)
        members = {"field": BODY, "problem": problem, "cure": SEVERAL}
        detail = sentence(problem, field=BODY, limit=None, cure=SEVERAL)
        return respond(document("too_large", 413, detail, request.state.trace, **members))
    if error.status_code == 400:
        return await accord_problem(request, unreadable(error.__cause__))
    code = {404: "no_route", 405: "method_not_allowed"}.get(error.status_code, "refused")
    cure = "/openapi.json lists the routes, and what each of them takes"
    return respond(document(code, error.status_code, str(error.detail), request.state.trace, cure=cure), error.headers)


async def bug_problem(request: Request, error: Exception) -> Response:
    """Whatever nobody expected; the edge logs it."""
    del error
    return respond(document("bug", 500, "a bug of Accord's; the log has the story", request.state.trace))
