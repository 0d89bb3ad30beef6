"""Which of our errors an answer of HubSpot means: each row says what the engine does next."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from connectors.hubspot.errors import Day, error_from, item_error, refused
from connectors.hubspot.wire import Problem
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

HTML = b"<html>gateway</html>"


def body_of(message: str = "told", category: str = "", **more: Any) -> bytes:
    """HubSpot's body of an error."""
    return json.dumps({"status": "error", "message": message, "category": category, **more}).encode()


@pytest.mark.parametrize(
    ("status", "body", "on_read", "on_write"),
    [
        (400, body_of(category="VALIDATION_ERROR"), RejectedError, RejectedError),
        (400, HTML, ReplyError, AmbiguousError),
        (400, b"\xff", ReplyError, AmbiguousError),
        (400, b"[]", ReplyError, AmbiguousError),
        (400, b'{"message": null, "category": null, "errors": null}', RejectedError, RejectedError),
        (403, b"{}", ReauthorizeError, ReauthorizeError),
        (404, b"{}", ReplyError, RetryError),
        (401, body_of(category="EXPIRED_AUTHENTICATION"), ReauthorizeError, ReauthorizeError),
        (403, body_of(category="MISSING_SCOPES"), ReauthorizeError, ReauthorizeError),
        (404, body_of(category="OBJECT_NOT_FOUND"), GoneError, GoneError),
        (404, body_of(), ReplyError, RetryError),
        (404, body_of(category="NO_SUCH_TYPE"), ReplyError, GoneError),
        (404, HTML, ReplyError, AmbiguousError),
        (409, body_of("Contact already exists. Existing ID: 12345", "CONFLICT"), TakenError, TakenError),
        (409, body_of(category="OBJECT_ALREADY_EXISTS"), TakenError, TakenError),
        (423, HTML, RetryError, RetryError),
        (429, HTML, RetryError, RetryError),
        (477, b"", RetryError, RetryError),
        (500, body_of(), RetryError, AmbiguousError),
        (502, HTML, RetryError, AmbiguousError),
        (503, b"", RetryError, AmbiguousError),
        (504, HTML, RetryError, AmbiguousError),
        (524, HTML, RetryError, AmbiguousError),
        (302, b"", ReplyError, AmbiguousError),
    ],
)
def test_every_answer_has_its_error(
    status: int, body: bytes, on_read: type[AccordError], on_write: type[AccordError]
) -> None:
    """A read may be repeated; a write whose answer is unclear may have happened."""
    assert type(error_from(status, {}, body, is_write=False)) is on_read
    assert type(error_from(status, {}, body, is_write=True)) is on_write


@pytest.mark.parametrize(
    ("status", "headers", "body", "seconds"),
    [
        (429, {}, body_of(policyName="SECONDLY"), 1.0),
        (429, {}, body_of(policyName="TEN_SECONDLY_ROLLING"), 10.0),
        (429, {}, body_of(policyName="DAILY"), 900.0),
        (429, {}, body_of(policyName="NEW_ONE"), 10.0),
        (429, {}, HTML, 10.0),
        (429, {"retry-after": "7"}, body_of(policyName="DAILY"), 7.0),
        (429, {"retry-after": "999999"}, HTML, 86_400.0),
        (429, {"retry-after": "9999999"}, HTML, 10.0),
        (429, {"retry-after": "Wed, 21 Oct"}, HTML, 10.0),
        (429, {"retry-after": "0"}, body_of(policyName="DAILY"), 900.0),
        (423, {"retry-after": "0"}, HTML, 2.0),
        (423, {}, HTML, 2.0),
        (477, {}, HTML, 3_600.0),
        (477, {"retry-after": "86400"}, HTML, 86_400.0),
    ],
)
def test_the_wait_is_the_one_told_or_documented(
    status: int, headers: dict[str, str], body: bytes, seconds: float
) -> None:
    """HubSpot documents no Retry-After for 429, but names the policy that was broken."""
    error = error_from(status, headers, body, is_write=True)

    assert isinstance(error, RetryError)
    assert error.retry_after == seconds


@pytest.mark.parametrize(
    ("zone", "clock", "seconds"),
    [
        ("Europe/Rome", "2026-11-30T20:00:00+01:00", 4 * 3600 + 60.0),
        ("America/New_York", "2026-11-01T00:30:00-04:00", 900.0),  # just begun here: at HubSpot it has not
        ("America/New_York", "2026-11-01T01:00:00-04:00", 24 * 3600 + 60.0),  # an hour more on this night
        ("", "2026-11-30T20:00:00+01:00", 900.0),
        ("Europe", "2026-11-30T20:00:00+01:00", 900.0),
        ("Mars/Olympus", "2026-11-30T20:00:00+01:00", 900.0),
    ],
)
def test_a_used_up_day_is_waited_out_until_midnight_of_the_account(zone: str, clock: str, seconds: float) -> None:
    """Where its zone is known; else it is asked again every quarter of an hour."""
    day = Day(zone, datetime.fromisoformat(clock).timestamp())
    error = error_from(429, {}, body_of(policyName="DAILY"), is_write=False, day=day)

    assert isinstance(error, RetryError)
    assert error.retry_after == seconds
    assert f"until midnight in {zone or 'its time zone'}" in str(error)


def test_the_limit_that_was_met_is_named() -> None:
    """`accord status` shows it: ten seconds or a night."""
    assert (
        str(error_from(429, {}, body_of(policyName="SECONDLY"), is_write=False))
        == "HubSpot asks to wait (429 SECONDLY)"
    )
    assert "used up, until midnight in its" in str(error_from(429, {}, body_of(policyName="DAILY"), is_write=False))
    assert str(error_from(423, {}, HTML, is_write=False)) == "HubSpot asks to wait (423)"


def test_a_missing_scope_is_named() -> None:
    """A person can tick it in HubSpot's settings."""
    listed = [{"context": {"requiredGranularScopes": ["crm.objects.contacts.write"]}}, {"context": 1}, {"context": {}}]

    error = error_from(403, {}, body_of("no", "MISSING_SCOPES", errors=listed), is_write=True)

    assert "crm.objects.contacts.write" in str(error)
    assert "no" in str(error_from(403, {}, body_of("no"), is_write=True))


def test_a_taken_email_names_who_has_it() -> None:
    """The engine can then hold the pair instead of failing for ever."""
    error = error_from(409, {}, body_of("Contact already exists. Existing ID: 12345", "CONFLICT"), is_write=True)

    assert isinstance(error, TakenError)
    assert (error.field, error.remote_id) == ("email", "contact:12345")


def test_a_validation_error_names_property_rule_and_cure() -> None:
    """HubSpot hides a JSON list in the message; a person sees the property, the rule and what to do."""
    listed = json.dumps([{"message": "no such property", "error": "PROPERTY_DOESNT_EXIST", "name": "accord_ref"}])

    error = refused(f"Property values were not valid: {listed}", "VALIDATION_ERROR", "contact")

    assert (error.field, error.limit) == ("accord_ref", "PROPERTY_DOESNT_EXIST")
    assert error.cure


@pytest.mark.parametrize(
    ("told", "remote_id"), [("on 7. 456 already has that value.", "company:456"), ("somebody has it", None)]
)
def test_a_taken_unique_value_names_who_has_it(told: str, remote_id: str | None) -> None:
    """Our marker, or a unique property of somebody else's."""
    listed = json.dumps([{"message": told, "error": "CONFLICTING_UNIQUE_VALUE", "name": "accord_ref"}])

    error = refused(f"Property values were not valid: {listed}", "VALIDATION_ERROR", "company")

    assert isinstance(error, TakenError)
    assert (error.field, error.remote_id) == ("accord_ref", remote_id)


@pytest.mark.parametrize("listed", ["", "nonsense", "{}", "[]", "[1]", "[" * 99_999])
def test_a_message_that_cannot_be_taken_apart_is_shown_whole(listed: str) -> None:
    """Better the provider's own words than none."""
    message = f"Property values were not valid: {listed}"

    error = refused(message, "VALIDATION_ERROR", "contact")

    assert (error.problem, error.field, error.limit) == (message, None, "VALIDATION_ERROR")
    assert refused("", "", "contact").problem


@pytest.mark.parametrize(
    ("category", "on_read", "on_write"),
    [
        ("OBJECT_NOT_FOUND", GoneError, GoneError),
        ("RATE_LIMITS", RetryError, RetryError),
        ("LOCKED", RetryError, RetryError),
        ("VALIDATION_ERROR", RejectedError, RejectedError),
        ("CONFLICT", RejectedError, RejectedError),
        ("OBJECT_ALREADY_EXISTS", TakenError, TakenError),
        ("MISSING_REQUIRED_PROPERTY", RejectedError, RejectedError),
        ("INTERNAL", RejectedError, AmbiguousError),
        (None, RejectedError, AmbiguousError),
    ],
)
def test_one_input_of_a_batch_fails_in_its_own_way(
    category: str | None, on_read: type[AccordError], on_write: type[AccordError]
) -> None:
    """A 207 carries an error for each input; one that is no known refusal does not say that nothing was done."""
    assert type(item_error(Problem("told", category), "contact", is_write=False)) is on_read
    assert type(item_error(Problem("told", category), "contact", is_write=True)) is on_write


@pytest.mark.parametrize("category", ["OBJECT_NOT_FOUND", "LOCKED", "VALIDATION_ERROR", None])
def test_an_error_without_words_is_an_error_too(category: str | None) -> None:
    """Null where words should be must not turn a refusal into a riddle."""
    assert str(item_error(Problem(None, category), "contact", is_write=True))


@pytest.mark.parametrize(
    ("context", "keys"), [(None, []), ({}, []), ({"t": ["a", 7]}, ["a", "7"]), ({"t": "a"}, ["a"]), ({"t": None}, [])]
)
def test_a_context_is_read_whatever_its_shape(context: dict[str, Any] | None, keys: list[str]) -> None:
    """A trace id that came as plain text once would have left a refused write unclear for ever."""
    assert Problem(context=context).told("t") == keys
