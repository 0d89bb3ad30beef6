"""Stripe's errors as ours: one table from (status, type, code) to what to do next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from connectors.stripe.wire import UNDECODABLE
from core.errors import (
    AccordError,
    AmbiguousError,
    GoneError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
    TakenError,
)

PAUSE_SECONDS: Final = 1.0
"""Stripe documents no Retry-After: its windows are one second long."""

LOCK_SECONDS: Final = 0.5
"""Another request is changing the same object, or carries the same idempotency key, right now."""

_LIMIT: Final = re.compile(r"must be (?:at most|no longer than|less than(?: or equal to)?) ([0-9]+[ a-z]*)")
_PERMISSION: Final = re.compile(r"rak_[a-z_]+")
_FIELDS: Final = {
    "name": "name",
    "email": "email",
    "phone": "phone",
    "address": "billing_address",
    "shipping": "shipping_address",
    "preferred_locales": "locale",
}

_KEPT_HERE: Final = (None, "customer", "customer_details", "invoice", "payment_record")
"""Fields that refer to an object of Accord's own, which is asked about by itself when it is gone."""

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_TOO_MANY: Final = 429
_SERVER: Final = 500


class Problem(msgspec.Struct):
    """The `error` member of a refusal."""

    type: str | None = None
    code: str | None = None
    message: str | None = None
    param: str | None = None


class _Refusal(msgspec.Struct):
    error: Problem


def error_from(status: int, headers: Mapping[str, str], body: bytes, *, is_write: bool) -> AccordError:
    """What an answer other than 2xx means."""
    if status == _UNAUTHORIZED:
        return ReauthorizeError(f"Stripe refused the API key{_code_of(body)}; store a new one with `accord connect`")
    problem = _problem_in(body)
    if status == _TOO_MANY or (problem and problem.code == "rate_limit"):
        return _too_many(headers, problem)
    if status >= _SERVER:
        return _broken(f"Stripe answered {status}", is_write=is_write)
    if problem is None:
        return _garbage(status, is_write=is_write)
    if status == _CONFLICT:
        return RetryError("Stripe is still busy with a request like this one", retry_after=LOCK_SECONDS)
    if status == _FORBIDDEN:
        return _forbidden(problem)
    return _refused(status, problem, is_write=is_write)


def pause_for(status: int, headers: Mapping[str, str]) -> float | None:
    """How long the whole connection should stay silent: only where Stripe says that a rate limit struck."""
    reason = headers.get("stripe-rate-limited-reason", "")
    # resource-specific limits and locks concern one object, not the account
    if status == _TOO_MANY and reason.startswith(("global-", "endpoint-")):
        return _told(headers) or PAUSE_SECONDS
    return None


def lost_reply(problem: str, *, is_write: bool) -> AccordError:
    """A 2xx whose body cannot be understood: the write behind it may well have happened."""
    return AmbiguousError(problem) if is_write else ReplyError(problem)


def neutral_field(param: str | None) -> str | None:
    """`address[country]` -> `billing_address`: the field a person knows."""
    if not param:
        return None
    head, _, rest = param.partition("[")
    if head == "metadata" and rest:
        return f"metadata.{rest.rstrip(']')}"
    return _FIELDS.get(head, head)


def _problem_in(body: bytes) -> Problem | None:
    try:
        return msgspec.json.decode(body, type=_Refusal).error
    except UNDECODABLE:
        return None


def _code_of(body: bytes) -> str:
    problem = _problem_in(body)
    return f" ({problem.code})" if problem and problem.code else ""


def _told(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if re.fullmatch(r"[0-9]{1,5}", text) else None


def _too_many(headers: Mapping[str, str], problem: Problem | None) -> RetryError:
    if problem and problem.code == "lock_timeout":
        return RetryError("Stripe is changing this object for someone else", retry_after=LOCK_SECONDS)
    reason = headers.get("stripe-rate-limited-reason") or "rate limit"
    return RetryError(f"Stripe asks for fewer calls ({reason})", retry_after=_told(headers) or PAUSE_SECONDS)


def _broken(text: str, *, is_write: bool) -> AccordError:
    return AmbiguousError(f"{text}; the write may have happened") if is_write else RetryError(text)


def _garbage(status: int, *, is_write: bool) -> AccordError:
    text = f"the answer with status {status} is not one of Stripe's"
    return AmbiguousError(f"{text}; the write may have happened") if is_write else ReplyError(text)


def _forbidden(problem: Problem) -> ReauthorizeError:
    found = sorted(set(_PERMISSION.findall(problem.message or "")))
    missing = f"lacks the permission {', '.join(found)}" if found else "lacks a permission"
    return ReauthorizeError(f"Stripe: the API key {missing}: {problem.message or 'no reason was given'}")


def _missing(message: str, status: int, param: str | None, *, is_write: bool) -> RejectedError:
    """What is not there: the object of a call, which Stripe answers with 404, or what a write only refers to.

    An object that Accord keeps itself is looked at again; what policy names comes back by no look at all.
    """
    field = neutral_field(param)
    if not is_write or status == _NOT_FOUND or field in _KEPT_HERE:
        return GoneError(message, field=field)
    return RejectedError(message, field=field, cure="make it at Stripe, or name another one in policy, then retry")


def _refused(status: int, problem: Problem, *, is_write: bool) -> AccordError:
    message = problem.message or f"refused with status {status}"
    if problem.code == "resource_missing":
        return _missing(message, status, problem.param, is_write=is_write)
    if status == _NOT_FOUND and not is_write:
        # a path that Stripe does not know is not an object that is not there
        return ReplyError(f"Stripe does not know this path: {message}")
    if problem.type == "idempotency_error":
        # what went out under the key before may have been done: refused, it would be sent anew under another one
        return AmbiguousError(f"its key went out with another body before: {message}")
    if problem.param == "number" and "already" in message:
        return TakenError(message, field="number")
    limit = _LIMIT.search(message)
    return RejectedError(message, field=neutral_field(problem.param), limit=limit.group(1).strip() if limit else None)
