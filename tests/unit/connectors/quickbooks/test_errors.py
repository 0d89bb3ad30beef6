"""Every answer that is not what was asked for, in the class that says what to do next."""

from __future__ import annotations

import json

import pytest

from connectors.quickbooks.errors import BATCH_SIZE, error_from, error_from_fault, fault_in, fault_of, field_of
from core.errors import (
    AccordError,
    AmbiguousError,
    BugError,
    GoneError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
    StaleError,
    TakenError,
)


def fault(code: str, message: str = "m", detail: str = "d", kind: str = "ValidationFault", element: str = "") -> bytes:
    """A fault as the accounting API writes it."""
    error = {"Message": message, "Detail": detail, "code": code, "element": element}
    return json.dumps({"Fault": {"Error": [error], "type": kind}, "time": "2026-11-20T00:00:00-08:00"}).encode()


OLD_401 = json.dumps(
    {"warnings": None, "fault": {"error": [{"message": "AuthenticationFailed", "detail": None, "code": "003200"}],
                                 "type": "AUTHENTICATION"}}
).encode()  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "on_read", "on_write"),
    [
        (401, OLD_401, ReauthorizeError, ReauthorizeError),
        (401, b"", ReauthorizeError, ReauthorizeError),
        (401, fault("1", kind="x"), ReauthorizeError, ReauthorizeError),
        (403, fault("3100", kind="AUTHORIZATION"), ReauthorizeError, ReauthorizeError),
        (403, b"<html>", ReauthorizeError, ReauthorizeError),
        (400, fault("120"), ReauthorizeError, ReauthorizeError),
        (400, fault("5020"), ReauthorizeError, ReauthorizeError),
        (400, fault("6190"), ReauthorizeError, ReauthorizeError),
        (400, fault("610"), GoneError, GoneError),
        (404, fault("610"), GoneError, GoneError),
        (404, b"", ReplyError, GoneError),
        (429, fault("003001", kind="SERVICE"), RetryError, RetryError),
        (429, b"slow down", RetryError, RetryError),
        (200, fault("3001", kind="SERVICE"), RetryError, RetryError),
        (400, fault("600"), AmbiguousError, AmbiguousError),
        (400, fault("4000"), BugError, BugError),
        (400, fault("4001"), BugError, BugError),
        (400, fault("5010"), StaleError, StaleError),
        (400, fault("6240"), TakenError, TakenError),
        (400, fault("6140"), TakenError, TakenError),
        (400, fault("6200"), RejectedError, RejectedError),
        (400, fault("6210"), RejectedError, RejectedError),
        (400, fault("6540"), RejectedError, RejectedError),
        (400, fault("6070"), RejectedError, RejectedError),
        (400, fault("2010"), RejectedError, RejectedError),
        (400, fault("1040"), RejectedError, RejectedError),
        (400, fault("", kind="AuthenticationFault"), ReauthorizeError, ReauthorizeError),
        (400, fault("", kind="AuthorizationFault"), ReauthorizeError, ReauthorizeError),
        (200, fault("10000", kind="SystemFault"), RetryError, AmbiguousError),
        (200, fault("77", kind="SERVICE"), RetryError, AmbiguousError),
        (500, fault("2010"), RetryError, AmbiguousError),
        (503, b"<html>down</html>", RetryError, AmbiguousError),
        (200, b"<html>a proxy</html>", ReplyError, AmbiguousError),
        (400, b"{}", ReplyError, AmbiguousError),
        (302, b"", ReplyError, AmbiguousError),
        (200, b"\xff", ReplyError, AmbiguousError),
        (200, b"[" * 100_000, ReplyError, AmbiguousError),
    ],
)
def test_each_answer_lands_in_the_class_that_says_what_to_do(
    status: int, body: bytes, on_read: type[AccordError], on_write: type[AccordError]
) -> None:
    """A write whose fate is unknown is ambiguous, a read is simply tried again."""
    assert type(error_from(status, {}, body, is_write=False)) is on_read
    assert type(error_from(status, {}, body, is_write=True)) is on_write


def test_a_throttled_call_waits_a_minute() -> None:
    """No Retry-After is documented; the documentation says 60 seconds."""
    error = error_from(429, {}, b"", is_write=True)

    assert isinstance(error, RetryError)
    assert error.retry_after == 60


def test_a_server_failure_names_no_wait() -> None:
    """Only a throttle is worth a minute of silence."""
    error = error_from(503, {}, b"", is_write=False)

    assert isinstance(error, RetryError)
    assert error.retry_after is None


def test_garbage_keeps_the_trace_that_intuits_support_asks_for() -> None:
    """intuit_tid is what a support case starts with."""
    assert "intuit_tid 1-abc" in str(error_from(502, {"intuit_tid": "1-abc"}, b"", is_write=True))
    assert "intuit_tid" not in str(error_from(502, {}, b"", is_write=True))


def test_a_taken_name_is_about_the_name() -> None:
    """6240 as captured: no holder is told."""
    body = fault("6240", "Duplicate Name Exists Error", "The name supplied already exists. : null")
    error = error_from(400, {}, body, is_write=True)

    assert isinstance(error, TakenError)
    assert (error.field, error.remote_id) == ("name", None)
    assert "The name supplied already exists" in str(error)


def test_a_validation_fault_names_field_and_limit() -> None:
    """A person must learn what to change without reading Intuit's documentation."""
    detail = "String length is either shorter or longer than supported by specification. Min:0 Max:100 supported."
    error = error_from(400, {}, fault("2050", "too long", detail, element="CompanyName"), is_write=True)

    assert isinstance(error, RejectedError)
    assert (error.field, error.limit) == ("legal_name", "100 characters")


def test_a_batch_that_is_too_big_is_recognised() -> None:
    """The connector halves such a batch; the records are not at fault."""
    error = error_from(400, {}, fault("1040"), is_write=True)

    assert isinstance(error, RejectedError)
    assert error.field == BATCH_SIZE


@pytest.mark.parametrize(
    ("element", "detail", "field"),
    [
        ("BillAddr.Line1", "", "billing_address"),
        ("", "Email Address: x does not conform to RFC 822", "email"),
        ("", "PrimaryPhone.FreeFormNumber is too long", "phone"),
        ("", "", None),
    ],
)
def test_the_field_is_found_where_the_fault_names_it(element: str, detail: str, field: str | None) -> None:
    """Faults name attributes in three places."""
    found = fault_in(fault("2010", "m", detail, element=element))

    assert found is not None
    assert field_of(found) == field


@pytest.mark.parametrize("value", [None, 5, "x", [], {}])
def test_what_is_no_fault_is_none(value: object) -> None:
    """A batch item may carry anything."""
    assert fault_of(value) is None


@pytest.mark.parametrize("errors", [None, [], {}, "x", [5]])
def test_a_fault_without_readable_errors_is_rejected_by_its_type(errors: object) -> None:
    """A fault is a fault, even when its list is not."""
    found = fault_of({"Error": errors, "type": "ValidationFault", "code": 7})

    assert found is not None
    assert found.words == "QuickBooks: ValidationFault"
    assert type(error_from_fault(found, is_write=True)) is RejectedError


def test_numbers_and_bare_faults_are_read() -> None:
    """Some gateways write codes as numbers, or give no reason at all."""
    found = fault_of({"Error": [{"code": 3200, "Message": "m"}]})
    bare = fault_of({"Error": [{}]})

    assert found is not None
    assert bare is not None
    assert found.words == "QuickBooks 3200: m"
    assert bare.words == "QuickBooks: no reason given"


def test_a_number_in_use_names_its_holder_where_quickbooks_does() -> None:
    """The text is not documented: it may be another one day."""
    told = "DocNumber=1037 is assigned to TxnType=Invoice with TxnId=145"
    found = [error_from(400, {}, fault("6140", detail=detail), is_write=True) for detail in (told, "in use")]

    assert [(one.field, one.remote_id) for one in found if isinstance(one, TakenError)] == [
        ("number", "145"),
        ("number", None),
    ]


@pytest.mark.parametrize(("code", "field"), [("6200", "issued_on"), ("6210", "issued_on"), ("6540", "status")])
def test_a_refusal_about_a_document_says_what_to_do(code: str, field: str) -> None:
    """A date is never shifted, a deposit never taken apart."""
    error = error_from(400, {}, fault(code), is_write=True)

    assert isinstance(error, RejectedError)
    assert (error.field, bool(error.cure)) == (field, True)


def test_a_payment_of_more_than_is_due_there_says_where_to_look() -> None:
    """It was to be changed; what settles the invoice already may be that very payment."""
    error = error_from(400, {}, fault("6000", element="LinkedTxn"), is_write=True)

    assert isinstance(error, RejectedError)
    assert (error.field, error.limit) == ("applications", "what is due there")
    assert "if that is this very payment, leave this; else take it off there, and retry" in str(error.cure)


@pytest.mark.parametrize(
    ("element", "field"),
    [("DocNumber", "number"), ("TxnDate", "issued_on"), ("ItemRef", "lines"), ("TaxCodeRef", "tax")],
)
def test_attributes_of_documents_have_neutral_names(element: str, field: str) -> None:
    """The hold is about what a person knows."""
    error = error_from(400, {}, fault("2500", element=element), is_write=True)

    assert isinstance(error, RejectedError)
    assert error.field == field
