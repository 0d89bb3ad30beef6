"""Acme's customers as neutral ones and back, to the last branch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.acme.manifest import ACCORD_REF, KEY_LENGTH, MANIFEST, PART_LENGTH, VALUE_LENGTH
from connectors.acme.translate import AcmeTranslator
from core.errors import RejectedError, ReplyError
from core.model.customer import FIELDS
from core.model.remote import Wanted
from core.model.values import Value

TRANSLATOR = AcmeTranslator()
ADDRESS = {"line1": "Unter den Linden 1", "city": "Berlin", "country": "DE"}


def customer(**attributes: Any) -> bytes:
    """One customer as Acme shows it."""
    plain = {"id": "cus_1", "version": "3", "name": "Ada", "email": "ada@example.test", "notes": "theirs"}
    return json.dumps({**plain, **attributes}).encode()


def patched(current: bytes | None = None, **fields: Value) -> dict[str, Any]:
    """The body of one write."""
    return TRANSLATOR.patch(Wanted(fields=fields), current).body


def test_a_customer_reads_in_neutral_fields() -> None:
    """Everything that the manifest names, and nothing else."""
    raw = customer(
        phone="",
        website="https://ada.test",
        address={**ADDRESS, "line2": None},
        external_id="A-1",
        attributes={"plan": "pro", ACCORD_REF: "i.m.1"},
    )
    remote = TRANSLATOR.read(raw)
    assert remote.fields == {
        "name": "Ada",
        "email": "ada@example.test",
        "phone": None,
        "url": "https://ada.test",
        "billing_address": ADDRESS,
        "metadata.plan": "pro",
    }
    assert (remote.id, remote.version, remote.external_id, remote.accord_ref) == ("cus_1", "3", "A-1", "i.m.1")
    assert remote.metadata_complete
    assert not remote.unreadable
    assert TRANSLATOR.read(customer(address=None)).fields["billing_address"] is None


def test_every_neutral_field_is_synced_or_said_not_to_be() -> None:
    """A field that is silently left out is one that somebody waits for."""
    told = {*MANIFEST.fields, *MANIFEST.not_synced}
    assert {one for one in FIELDS if one not in told} <= {"invoice_metadata_keys"}


@pytest.mark.parametrize(
    ("attributes", "field"),
    [
        ({"name": 5}, "name"),
        ({"email": "a\x00b"}, "email"),
        ({"phone": "\ud800"}, "phone"),
        ({"address": "Berlin"}, "billing_address"),
        ({"address": {"line1": 1}}, "billing_address"),
        ({"address": {"country": "Germany"}}, "billing_address"),
        ({"address": {"country": "XX"}}, "billing_address"),
        ({"attributes": ["a"]}, "metadata"),
        ({"attributes": {"plan": 1}}, "metadata.plan"),
        ({"attributes": {"a\x00": "1"}}, "metadata.a\\u0000"),
    ],
)
def test_an_odd_value_holds_its_field_and_the_rest_flows(attributes: dict[str, Any], field: str) -> None:
    """One bad value must not keep a customer from being synced."""
    remote = TRANSLATOR.read(customer(**attributes))
    assert list(remote.unreadable) == [field]
    assert field not in remote.fields
    assert remote.id == "cus_1"


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b"{}", b'{"id": 1}', b'{"id": ""}', b"[" * 100_000])
def test_what_is_no_customer_is_told_so(raw: bytes) -> None:
    """Never taken for a customer of blanks."""
    with pytest.raises(ReplyError):
        TRANSLATOR.read(raw)


@pytest.mark.parametrize(
    ("field", "value", "spelled"),
    [
        ("name", "  Ada ", "Ada"),
        ("email", " Ada@Example.test", "ada@example.test"),
        ("phone", " ", None),
        ("billing_address", {"city": " Berlin ", "country": "de", "line2": ""}, {"city": "Berlin", "country": "DE"}),
        ("metadata.plan", " pro ", " pro "),
        ("other_emails", [], None),
    ],
)
def test_the_canonical_spelling_is_the_one_that_comes_back(field: str, value: Value, spelled: Value) -> None:
    """Else every sweep would find a difference and write it again."""
    assert TRANSLATOR.canonical(field, value) == spelled
    assert TRANSLATOR.canonical(field, spelled) == spelled


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("name", None, "blank"),
        ("name", "x" * 201, "201 characters"),
        ("name", ["a"], "not text"),
        ("phone", "a\x00", "U+0000"),
        ("email", "nobody", "e-mail"),
        ("timezone", "UTC", "no place"),
        ("billing_address", "Berlin", "not an address"),
        ("billing_address", {"planet": "Mars"}, "planet"),
        ("billing_address", {"line1": "x" * (PART_LENGTH + 1)}, "characters"),
        ("billing_address", {"country": "Germany"}, "country"),
        (f"metadata.{ACCORD_REF}", "x", "marker"),
        (f"metadata.{'k' * (KEY_LENGTH + 1)}", "x", "key"),
        ("metadata.a\x00", "x", "key"),
        ("metadata.plan", "x" * (VALUE_LENGTH + 1), "characters"),
    ],
)
def test_what_does_not_fit_is_refused_with_words(field: str, value: Value, problem: str) -> None:
    """Nothing is ever cut to fit."""
    refused = TRANSLATOR.refusal(field, value)
    assert refused is not None
    assert refused.field == field
    assert problem in refused.problem


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "Ada"), ("phone", None), ("billing_address", ADDRESS), ("metadata.plan", "pro"), ("metadata.plan", None)],
)
def test_what_fits_is_not_refused(field: str, value: Value) -> None:
    """A refusal holds the field."""
    assert TRANSLATOR.refusal(field, value) is None


def test_an_update_names_only_what_differs_and_the_version_it_was_decided_on() -> None:
    """A write of whole objects wipes what other programs keep there."""
    current = customer(phone="1", attributes={"plan": "pro"})
    assert patched(current, name=" Ada ", email="ADA@example.test") == {}
    assert patched(current, phone=None) == {"phone": None, "version": "3"}
    assert patched(current, **{"metadata.plan": None}) == {"attributes": {"plan": None}, "version": "3"}
    assert patched(customer(name=5), name="Ada") == {"name": "Ada", "version": "3"}


def test_an_address_is_written_with_every_part() -> None:
    """Parts of two addresses are never mixed."""
    body = patched(customer(), billing_address=ADDRESS)
    assert body["address"] == {**dict.fromkeys(("line2", "state", "postal_code")), **ADDRESS}
    assert patched(customer(address=ADDRESS), billing_address=None) == {"address": None, "version": "3"}


def test_a_create_carries_marker_and_external_id() -> None:
    """By the marker a lost create is found again."""
    body = TRANSLATOR.patch(Wanted(fields={"name": "Ada", "phone": None}, mark="i.m.1", external_id="A-1"), None).body
    assert body == {"name": "Ada", "external_id": "A-1", "attributes": {ACCORD_REF: "i.m.1"}}


def test_marks_that_are_there_are_not_written_again() -> None:
    """An update that changes nothing is no update."""
    current = customer(external_id="A-1", attributes={ACCORD_REF: "i.m.1"})
    assert TRANSLATOR.patch(Wanted(fields={}, mark="i.m.1", external_id="A-1"), current).is_empty
    late = TRANSLATOR.patch(Wanted(fields={}, mark="i.m.1", external_id="A-1"), customer())
    assert late.body == {"external_id": "A-1", "attributes": {ACCORD_REF: "i.m.1"}, "version": "3"}


def test_a_create_without_a_name_is_refused_before_it_is_sent() -> None:
    """With the field, the limit and the cure."""
    with pytest.raises(RejectedError) as refused:
        patched(None, phone="1")
    assert (refused.value.field, refused.value.cure) == ("name", "give a name")


def test_bytes_that_are_no_utf8_hold_one_field_only() -> None:
    """A broken byte in a name is no reason to lose the customer."""
    remote = TRANSLATOR.read(b'{"id": "cus_1", "name": "A\xff", "phone": "1"}')
    assert (list(remote.unreadable), remote.fields["phone"]) == (["name"], "1")
