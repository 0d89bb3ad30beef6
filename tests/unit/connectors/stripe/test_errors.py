# ruff: noqa: D103 -- small builders of wire values
"""Stripe's refusals -> what to do next."""

import json
from typing import Any

import pytest

from connectors.stripe.errors import error_from, lost_reply, neutral_field, pause_for
from core.errors import (
    AmbiguousError,
    GoneError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
)


def refused(**error: Any) -> bytes:
    return json.dumps({"error": error}).encode()


HTML = b"<html>502</html>"


@pytest.mark.parametrize(
    ("status", "body", "on_read", "on_write"),
    [
        (401, refused(type="invalid_request_error", message="Invalid API Key"), ReauthorizeError, ReauthorizeError),
        (401, HTML, ReauthorizeError, ReauthorizeError),
        (403, refused(message="x"), ReauthorizeError, ReauthorizeError),
        (403, HTML, ReplyError, AmbiguousError),
        (400, refused(code="parameter_unknown", param="x"), RejectedError, RejectedError),
        (400, refused(code="rate_limit"), RetryError, RetryError),
        (400, refused(code="resource_missing", message="No such customer"), GoneError, GoneError),
        (404, refused(code="resource_missing", message="No such customer"), GoneError, GoneError),
        (404, refused(code="resource_missing", param="id"), GoneError, GoneError),
        (400, refused(code="resource_missing", param="customer"), GoneError, GoneError),
        (400, refused(code="resource_missing", param="starting_after"), GoneError, RejectedError),
        (400, refused(code="resource_missing", param="lines[0][price_data][product]"), GoneError, RejectedError),
        (404, refused(message="Unrecognized request URL"), ReplyError, RejectedError),
        (404, HTML, ReplyError, AmbiguousError),
        (402, refused(code="card_declined"), RejectedError, RejectedError),
        (409, refused(code="idempotency_key_in_use"), RetryError, RetryError),
        (429, refused(code="rate_limit"), RetryError, RetryError),
        (429, HTML, RetryError, RetryError),
        (500, refused(type="api_error"), RetryError, AmbiguousError),
        (503, HTML, RetryError, AmbiguousError),
        (302, b"", ReplyError, AmbiguousError),
        (400, b"\xff", ReplyError, AmbiguousError),
        (400, b'{"error": "oauth"}', ReplyError, AmbiguousError),
    ],
)
def test_each_answer_says_what_to_do_next(status: int, body: bytes, on_read: type, on_write: type) -> None:
    """A 500 on a write is not "nothing happened", and an HTML 404 of a proxy is not "deleted"."""
    assert type(error_from(status, {}, body, is_write=False)) is on_read
    assert type(error_from(status, {}, body, is_write=True)) is on_write


def test_a_refusal_names_the_neutral_field_and_the_limit() -> None:
    """A person knows billing_address, not address[line1]."""
    body = refused(message="Invalid string: abc...; must be at most 256 characters", param="address[line1]")
    error = error_from(400, {}, body, is_write=True)
    assert isinstance(error, RejectedError)
    assert (error.field, error.limit) == ("billing_address", "256 characters")
    bare = error_from(400, {}, refused(), is_write=True)
    assert isinstance(bare, RejectedError)
    assert (bare.field, bare.limit, bare.problem) == (None, None, "refused with status 400")


@pytest.mark.parametrize(
    ("param", "field"),
    [
        (None, None),
        ("", None),
        ("email", "email"),
        ("shipping[name]", "shipping_address"),
        ("preferred_locales[0]", "locale"),
        ("metadata[plan]", "metadata.plan"),
        ("metadata", "metadata"),
        ("limit", "limit"),
    ],
)
def test_parameters_have_neutral_names(param: str | None, field: str | None) -> None:
    """The names in a hold are the registry's."""
    assert neutral_field(param) == field


def test_a_missing_permission_is_named() -> None:
    """The person who must fix the key reads which box to tick."""
    body = refused(message="Having the 'rak_customer_write' permission would allow this request to continue.")
    assert "lacks the permission rak_customer_write:" in str(error_from(403, {}, body, is_write=True))
    assert "lacks a permission: no reason was given" in str(error_from(403, {}, refused(), is_write=True))


def test_an_expired_key_is_told_from_a_wrong_one() -> None:
    """Stripe's code goes into the message; its text, which shows parts of the key, does not."""
    body = refused(code="api_key_expired", message="Expired API Key provided: rk_live_***xyz")
    text = str(error_from(401, {}, body, is_write=False))
    assert "(api_key_expired)" in text
    assert "xyz" not in text


def test_one_key_with_two_bodies_leaves_open_what_was_done_under_it() -> None:
    """The first one may have been carried out; taken for refused, it would be made again under another key."""
    body = refused(type="idempotency_error", message="Keys for idempotent requests can only be used with the same")
    error = error_from(400, {}, body, is_write=True)
    assert type(error) is AmbiguousError
    assert "another body" in str(error)


def test_waits() -> None:
    """Locks are short; windows are a second; a wait that Stripe tells is obeyed."""
    limited = {"stripe-rate-limited-reason": "endpoint-rate"}
    lock = refused(code="lock_timeout")
    for status, headers, body, wait in (
        (429, {}, lock, 0.5),
        (429, limited, refused(code="rate_limit"), 1.0),
        (429, {"retry-after": "7"}, b"", 7.0),
        (429, {"retry-after": "soon"}, b"", 1.0),
        (409, {}, refused(), 0.5),
    ):
        error = error_from(status, headers, body, is_write=True)
        assert isinstance(error, RetryError)
        assert error.retry_after == wait
    assert "endpoint-rate" in str(error_from(429, limited, b"", is_write=False))


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"stripe-rate-limited-reason": "global-rate"}, 1.0),
        (429, {"stripe-rate-limited-reason": "endpoint-concurrency"}, 1.0),
        (429, {"stripe-rate-limited-reason": "endpoint-rate", "retry-after": "3"}, 3.0),
        (429, {"stripe-rate-limited-reason": "resource-specific"}, None),
        (429, {}, None),
        (200, {"stripe-rate-limited-reason": "global-rate"}, None),
    ],
)
def test_only_a_rate_limit_silences_the_connection(status: int, headers: dict[str, str], seconds: float | None) -> None:
    """A lock on one customer must not stop the other ten thousand."""
    assert pause_for(status, headers) == seconds


def test_a_success_that_cannot_be_understood() -> None:
    """On a write, the customer may exist by now."""
    assert type(lost_reply("x", is_write=True)) is AmbiguousError
    assert type(lost_reply("x", is_write=False)) is ReplyError
