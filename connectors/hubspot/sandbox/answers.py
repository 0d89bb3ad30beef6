"""HubSpot's answers as it spells them: bodies of errors, times, headers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from core.ports import HttpResponse

JSON = "application/json;charset=utf-8"
BATCH = 100  # PROVIDERS §1


class Refused(Exception):  # noqa: N818 -- an answer, not a failure of ours
    """The request, or one input of a batch, is answered with an error."""

    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:  # noqa: ANN401
        """`more` are further attributes of the body."""
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"status": "error", "message": message, "category": category, **more}

    @property
    def response(self) -> HttpResponse:
        """As the answer to the whole request."""
        return answer(self.status, self.body | {"correlationId": "5e7c0000-0000-4000-8000-000000000000"})

    def item(self, trace: str) -> dict[str, Any]:
        """As one entry of a 207's `errors`."""
        return self.body | {"context": {**self.body.get("context", {}), "objectWriteTraceId": [trace]}}


def answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> HttpResponse:  # noqa: ANN401
    """A JSON answer."""
    return HttpResponse(status, {"content-type": JSON, **(headers or {})}, msgspec.json.encode(body))


def no_such_path() -> HttpResponse:
    """Unknown paths are answered by the web server, in HTML."""
    return HttpResponse(404, {"content-type": "text/html"}, b"<html><body><h1>Error 404 Not Found</h1></body></html>")


def invalid(name: str, code: str, message: str) -> Refused:
    """A property value that is not valid: HubSpot puts a JSON list into the message."""
    listed = json.dumps([{"isValid": False, "message": message, "error": code, "name": name}])
    return Refused(400, "VALIDATION_ERROR", f"Property values were not valid: {listed}")


def bad_request(message: str) -> Refused:
    """A body or parameter of the wrong shape."""
    return Refused(400, "VALIDATION_ERROR", message)


def not_found(label: str, ids: Sequence[str]) -> Refused:
    """What a batch says about ids that are not there."""
    message = f"Could not get some {label} objects, they may be deleted or not exist. Check that ids are valid."
    return Refused(404, "OBJECT_NOT_FOUND", message, context={"ids": list(ids)})


def rate_limited(policy: str) -> HttpResponse:
    """429 (PROVIDERS §1): no Retry-After."""
    body = {
        "status": "error",
        "message": f"You have reached your {policy.lower()} limit.",
        "errorType": "RATE_LIMIT",
        "category": "RATE_LIMITS",
        "policyName": policy,
        "correlationId": "5e7c0000-0000-4000-8000-000000000001",
        "requestId": "5e7c0000-0000-4000-8000-000000000001",
    }
    return answer(429, body)


def iso(milliseconds: int) -> str:
    """A time as HubSpot prints it."""
    at = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def inputs_in(body: Mapping[str, Any], most: int = BATCH) -> list[dict[str, Any]]:
    """The inputs of a batch; too many (PROVIDERS §1), or none, are refused."""
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs or not all(isinstance(one, dict) for one in inputs):
        raise bad_request("Invalid input JSON: inputs must be a list of objects")
    if len(inputs) > most:
        raise bad_request(f"The maximum batch size is {most}")
    return inputs
