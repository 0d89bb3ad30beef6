"""Every answer that is not what was asked for, in the class that says what to do next."""

from __future__ import annotations

import json

import pytest

from connectors.acme.errors import PAUSE_SECONDS, error_from
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


def refusal(code: str, **parts: str) -> bytes:
    """A refusal in Acme's words."""
    return json.dumps({"error": {"code": code, **parts}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "on_read", "on_write"),
    [
        (401, b"", ReauthorizeError, ReauthorizeError),
        (403, refusal("forbidden"), ReauthorizeError, ReauthorizeError),
        (404, refusal("not_found"), GoneError, GoneError),
        (404, refusal("no_such_path"), ReplyError, ReplyError),
        (404, b"<html>", ReplyError, AmbiguousError),
        (409, refusal("taken"), TakenError, TakenError),
        (409, refusal("key_in_use"), RetryError, RetryError),
        (412, refusal("stale"), StaleError, StaleError),
        (422, refusal("key_reused"), RejectedError, RejectedError),
        (422, refusal("something_new"), RejectedError, RejectedError),
        (429, b"slow down", RetryError, RetryError),
        (500, refusal("not_found"), RetryError, AmbiguousError),
        (503, b"", RetryError, AmbiguousError),
        (302, b"", ReplyError, AmbiguousError),
        (400, b'{"error": "text"}', ReplyError, AmbiguousError),
    ],
)
def test_each_answer_lands_in_the_class_that_says_what_to_do(
    status: int, body: bytes, on_read: type[AccordError], on_write: type[AccordError]
) -> None:
    """A write whose fate is unknown is ambiguous, a read is simply tried again."""
    assert type(error_from(status, {}, body, is_write=False)) is on_read
    assert type(error_from(status, {}, body, is_write=True)) is on_write


@pytest.mark.parametrize(("told", "wait"), [("30", 30), ("", PAUSE_SECONDS), ("soon", PAUSE_SECONDS)])
def test_the_wait_that_is_asked_for_is_kept(told: str, wait: float) -> None:
    """Hammering on makes a ban of a limit."""
    error = error_from(429, {"retry-after": told}, b"", is_write=False)
    assert isinstance(error, RetryError)
    assert error.retry_after == wait


def test_a_refusal_names_the_neutral_field() -> None:
    """A person knows `url`, not `website`."""
    error = error_from(422, {}, refusal("too_long", message="500 characters", field="website"), is_write=True)
    assert isinstance(error, RejectedError)
    assert (error.field, error.problem) == ("url", "500 characters")
