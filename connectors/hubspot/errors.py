"""Which of Accord's errors an answer of HubSpot means (pure; PROVIDERS §1, §2, §6)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from connectors.hubspot.wire import UNDECODABLE, ObjectType, Problem, join_id
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

DAILY: Final = "DAILY"
WAITS: Final[Mapping[str, float]] = {
    "SECONDLY": 1.0,
    "TEN_SECONDLY_ROLLING": 10.0,
    # until midnight of the account's time zone; where that is not known: ask again now and then
    DAILY: 900.0,
}
"""How long to be silent, by the policy that a 429 names; HubSpot documents no Retry-After for it."""

LOCK_SECONDS: Final = 2.0
MIGRATION_SECONDS: Final = 3_600.0
PATH_SECONDS: Final = 900.0
"""How long a connection rests whose writes have no address: a proxy's fault passes, a version that is no more stays."""
LONGEST_TOLD_SECONDS: Final = 86_400.0
JUST_BEGUN_SECONDS: Final = 3_600.0
LATE_SECONDS: Final = 60.0
"""By so much HubSpot's clock may be behind ours."""

_REFUSALS: Final = frozenset(
    {
        "VALIDATION_ERROR",
        "CONFLICT",
        "OBJECT_ALREADY_EXISTS",
        "MISSING_REQUIRED_PROPERTY",
        "MISSING_CONDITIONAL_REQUIRED_PROPERTY",
    }
)
"""Categories that mean: this input is refused, nothing of it was done (PROVIDERS §2). No list tells all the others."""

_NOT_EXECUTED: Final = frozenset({423, 429, 477})
_EXISTING: Final = re.compile(r"Existing ID:\s*(\d+)")
_HOLDER: Final = re.compile(r"(\d+) already has that value")
_INVALID: Final = "Property values were not valid: "


@dataclass(frozen=True, slots=True)
class Day:
    """The day that it is now in a time zone; "": the account's is not known."""

    zone: str = ""
    now: float = 0.0

    @property
    def left(self) -> float | None:
        """Seconds until it is over at HubSpot, too; None where nobody knows."""
        try:
            here = datetime.fromtimestamp(self.now, ZoneInfo(self.zone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return None
        began = here.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.now - began.timestamp() < JUST_BEGUN_SECONDS:
            # a day that is used up as soon as it begins is yesterday, by HubSpot's clock or in another zone
            return None
        return (began + timedelta(days=1)).timestamp() - self.now + LATE_SECONDS


def error_from(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    is_write: bool,
    object_type: ObjectType = "contact",
    day: Day = Day(),
) -> AccordError:
    """The error that an answer with `status` stands for. Header names are lower case; `day`: that of the account."""
    problem = _problem_in(body)
    if status in _NOT_EXECUTED:
        policy = (problem.policy_name if problem else None) or ""
        return RetryError(_asked(status, policy, day), retry_after=_wait(status, headers, policy, day))
    if status >= 500 or problem is None:
        return _unclear(status, is_write=is_write)
    if status == 401:
        return ReauthorizeError(f"HubSpot refuses the access token: {problem.message}")
    if status == 403:
        return _forbidden(problem)
    if status == 404:
        return _gone(problem, is_write=is_write)
    return refused(problem.message or "", problem.category or "", object_type)


def item_error(item: Problem, object_type: ObjectType, *, is_write: bool) -> AccordError:
    """The error of one input of a batch that was answered with 207. What is no known refusal leaves a write open.

    A read that fails for one input alone is that object's own trouble: taken for the connection's, it would stop all.
    """
    if item.category == "OBJECT_NOT_FOUND":
        return GoneError(item.message or "HubSpot: not found")
    if item.category in ("RATE_LIMITS", "LOCKED"):
        return RetryError(item.message or "HubSpot asks to wait", retry_after=LOCK_SECONDS)
    if item.category in _REFUSALS:
        return refused(item.message or "", item.category, object_type)
    told = f"HubSpot failed at it ({item.category or 'no category'}): {item.message or 'no reason given'}"
    return AmbiguousError(told) if is_write else RejectedError(told)


def refused(message: str, category: str, object_type: ObjectType) -> RejectedError:
    """A validation error or a conflict, with the property and the limit where HubSpot names them."""
    found = _EXISTING.search(message)
    if category == "CONFLICT" and found:
        return TakenError(message, field="email", remote_id=join_id(object_type, found.group(1)))
    if category == "OBJECT_ALREADY_EXISTS":
        return TakenError(message)
    invalid = _first_invalid(message)
    if invalid is None:
        return RejectedError(message or "HubSpot refused it", limit=category or None)
    name, code = str(invalid.get("name")), str(invalid.get("error"))
    told = str(invalid.get("message"))
    if code == "CONFLICTING_UNIQUE_VALUE":
        holder = _HOLDER.search(told)
        return TakenError(told, field=name, remote_id=join_id(object_type, holder.group(1)) if holder else None)
    return RejectedError(told, field=name, limit=code, cure=_CURES.get(code))


_CURES: Final[Mapping[str, str]] = {
    "PROPERTY_DOESNT_EXIST": "`accord sync --kind metadata` makes the property",
    "INVALID_EMAIL": "correct the e-mail address",
    "MISSING_REQUIRED_PROPERTY": "fill it in, or lift the rule in HubSpot's settings",
    "MISSING_CONDITIONAL_REQUIRED_PROPERTY": "fill it in, or lift the rule in HubSpot's settings",
}


def _problem_in(body: bytes) -> Problem | None:
    try:
        return msgspec.json.decode(body, type=Problem)
    except UNDECODABLE:
        return None


def _asked(status: int, policy: str, day: Day) -> str:
    """Which limit it was tells a person whether seconds help, or a night."""
    if policy != DAILY:
        return f"HubSpot asks to wait ({status} {policy})" if policy else f"HubSpot asks to wait ({status})"
    where = day.zone or "its time zone"
    return f"HubSpot: the calls of a day that all apps of the account share are used up, until midnight in {where}"


def _wait(status: int, headers: Mapping[str, str], policy: str, day: Day) -> float:
    told = headers.get("retry-after", "")
    # 0 would be no wait at all: call after call, each of them refused
    if told.isascii() and told.isdecimal() and len(told) <= 6 and float(told):
        return min(float(told), LONGEST_TOLD_SECONDS)
    if status == 423:
        return LOCK_SECONDS
    if status == 477:
        return MIGRATION_SECONDS
    if policy == DAILY and day.left is not None:
        return day.left
    return WAITS.get(policy, WAITS["TEN_SECONDLY_ROLLING"])


def _unclear(status: int, *, is_write: bool) -> AccordError:
    if is_write:
        return AmbiguousError(f"HubSpot answered a write with {status}: it may have happened")
    if status >= 500:
        return RetryError(f"HubSpot cannot answer now ({status})")
    return ReplyError(f"HubSpot's answer ({status}) could not be understood")


def _forbidden(problem: Problem) -> ReauthorizeError:
    scopes = [scope for error in problem.errors or [] for scope in _scopes(error)]
    missing = ", ".join(dict.fromkeys(scopes)) or problem.message or "unnamed"
    return ReauthorizeError(f"HubSpot: the access token lacks a scope: {missing}")


def _scopes(error: Mapping[str, Any]) -> list[str]:
    context = error.get("context")
    listed = context.get("requiredGranularScopes") if isinstance(context, dict) else None
    return [str(scope) for scope in listed] if isinstance(listed, list) else []


def _gone(problem: Problem, *, is_write: bool) -> AccordError:
    """What names no category is about the address, and no object's: each of a batch would fail for itself."""
    if problem.category == "OBJECT_NOT_FOUND" or (is_write and problem.category):
        return GoneError(problem.message or "HubSpot: not found")
    told = f"HubSpot knows no such path: {problem.message or 'no reason given'}"
    return RetryError(told, retry_after=PATH_SECONDS) if is_write else ReplyError(told)


def _first_invalid(message: str) -> dict[str, Any] | None:
    """HubSpot puts a JSON list into the message of a validation error."""
    head, _, listed = message.partition(_INVALID)
    if head or not listed:
        return None
    try:
        invalid = json.loads(listed)
    except (ValueError, RecursionError):
        return None
    first = invalid[0] if isinstance(invalid, list) and invalid else None
    return first if isinstance(first, dict) else None
