"""Acme's errors as ours: one table from (status, code) to what to do next."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from connectors.acme.wire import Problem, Refusal, decoded
from core.errors import (
    AccordError,
    AmbiguousError,
    GoneError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
    StaleError,
    TakenError,
)

PAUSE_SECONDS: Final = 1.0
"""The wait after a 429 that names none."""

FIELDS: Final = {"website": "url", "address": "billing_address"}
"""Attribute, as a refusal names it -> neutral field, where the two differ."""

_UNAUTHORIZED: Final = 401
_TOO_MANY: Final = 429
_SERVER: Final = 500


def error_from(status: int, headers: Mapping[str, str], body: bytes, *, is_write: bool) -> AccordError:
    """What an answer other than 2xx means."""
    if status == _UNAUTHORIZED:
        return ReauthorizeError("Acme refused the API key; store a new one with `accord connect`")
    if status == _TOO_MANY:
        return RetryError("Acme asks for fewer calls", retry_after=_told(headers))
    if status >= _SERVER:
        return in_doubt(f"Acme answered {status}", is_write=is_write)
    problem = _problem_in(body)
    if problem is None:
        return garbage(f"the answer with status {status} is not one of Acme's", is_write=is_write)
    return _refused(problem)


def in_doubt(text: str, *, is_write: bool) -> AccordError:
    """The provider failed: a read is tried again, a write may have happened."""
    return AmbiguousError(f"{text}; the write may have happened") if is_write else RetryError(text)


def garbage(text: str, *, is_write: bool) -> AccordError:
    """An answer that cannot be understood, such as a proxy's page; never "it is not there"."""
    return AmbiguousError(f"{text}; the write may have happened") if is_write else ReplyError(text)


# Decide 6: which code means what. A 404 counts as "not there" only with the code that says so of an object.
def _refused(problem: Problem) -> AccordError:
    words = problem.message or problem.code
    field = FIELDS.get(problem.field or "", problem.field)
    known: Mapping[str, AccordError] = {
        "forbidden": ReauthorizeError(f"Acme: the API key lacks a permission: {words}"),
        "not_found": GoneError(words),
        "no_such_path": ReplyError(f"Acme does not know this path: {words}"),
        "stale": StaleError(words),
        "key_in_use": RetryError(words, retry_after=PAUSE_SECONDS),
        "key_reused": RejectedError(words, cure="the same key went out with another body: report this as a bug"),
        "taken": TakenError(words, field=field),
    }
    return known.get(problem.code) or RejectedError(words, field=field)


def _problem_in(body: bytes) -> Problem | None:
    try:
        return decoded(body, Refusal).error
    except ReplyError:
        return None


def _told(headers: Mapping[str, str]) -> float:
    text = headers.get("retry-after", "")
    return float(text) if re.fullmatch(r"[0-9]{1,5}", text) else PAUSE_SECONDS
