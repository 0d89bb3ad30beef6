"""The laws of the translation, for any customer and any wish, against the look-alike's own oracle."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.hubspot.sandbox.people import metadata_key, metadata_name
from connectors.hubspot.translate import HubSpotTranslator, metadata_property
from connectors.hubspot.wire import frame
from core.errors import RejectedError
from core.model.remote import Wanted
from core.ports import ConnectionConfig

TRANSLATOR = HubSpotTranslator(ConnectionConfig("crm", "hubspot", {}, ("plan", "Tier.x")))
TEXTS = st.text(max_size=30) | st.sampled_from(["Acme", " Acme  Inc ", "a@b.example", "A@B.Example ", "", "İ", "ẞ"])
ADDRESSES = st.dictionaries(
    st.sampled_from(["line1", "line2", "city", "state", "postal_code"]), TEXTS, max_size=5
).flatmap(
    lambda parts: st.sampled_from([{}, {"country": "DE"}, {"country": "GB"}, {"country": "XX"}]).map(
        lambda c: parts | c
    )
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(
        ("name", "phone", "url", "legal_name", "legal_number", "tax_identification_number", "metadata.plan"),
        st.none() | TEXTS,
    ),
    "email": st.none() | st.emails() | TEXTS,
    "billing_address": st.none() | ADDRESSES,
    "metadata.Tier.x": st.none() | TEXTS,
}
WISHES = st.fixed_dictionaries({}, optional=VALUES)
KINDS = st.sampled_from(["contact", "company"])
PROPERTIES = st.fixed_dictionaries(
    {},
    optional={
        name: st.none() | TEXTS | st.sampled_from(["Germany", "UK", "Atlantis"])
        for kind in ("contact", "company")
        for name in TRANSLATOR.properties(kind)
    },
)


def raw_of(kind: Any, properties: dict[str, Any]) -> bytes:
    """A prepared account's object: every property asked for is there."""
    blank = dict.fromkeys(TRANSLATOR.properties(kind))
    return frame(kind, json.dumps({"id": "1", "properties": blank | properties}).encode())


def after(raw: bytes, body: dict[str, Any]) -> bytes:
    """What HubSpot would return after the write."""
    whole = json.loads(raw)
    written = body.get("properties", {})
    if whole["type"] == "contact" and "email" in written:
        written = written | {"email": written["email"].strip().lower()}
    whole["object"]["properties"] |= written
    return json.dumps(whole).encode()


@given(KINDS, PROPERTIES)
@settings(max_examples=200)
def test_writing_what_is_already_there_writes_nothing(kind: str, properties: dict[str, Any]) -> None:
    """GetPut: reading and writing back must not touch the object."""
    raw = raw_of(kind, properties)
    seen = TRANSLATOR.read(raw)
    keep = {field: value for field, value in seen.fields.items() if TRANSLATOR.refusal(field, value) is None}

    assert TRANSLATOR.patch(Wanted(fields=keep), raw).is_empty


@given(KINDS, PROPERTIES, WISHES)
@settings(max_examples=200)
def test_a_written_value_reads_back_in_its_canonical_spelling(
    kind: str, properties: dict[str, Any], wish: dict[str, Any]
) -> None:
    """PutGet: otherwise the engine would write it again and again. And the frame: nothing else moves."""
    raw = raw_of(kind, properties)
    wish = {field: value for field, value in wish.items() if TRANSLATOR.refusal(field, value) is None}
    patch = TRANSLATOR.patch(Wanted(fields=wish), raw)

    old, new = TRANSLATOR.read(raw), TRANSLATOR.read(after(raw, patch.body))

    for field, value in wish.items():
        assert TRANSLATOR.canonical(field, new.fields[field]) == TRANSLATOR.canonical(field, value)
    for field in old.fields.keys() - wish.keys():
        assert new.fields[field] == old.fields[field]
    assert TRANSLATOR.patch(Wanted(fields=wish), after(raw, patch.body)).is_empty


@given(WISHES)
@settings(max_examples=200)
def test_canonical_is_idempotent(wish: dict[str, Any]) -> None:
    """A spelling of a spelling is itself."""
    for field, value in wish.items():
        once = TRANSLATOR.canonical(field, value)
        assert TRANSLATOR.canonical(field, once) == once


@given(WISHES)
@settings(max_examples=200)
def test_a_patch_is_made_or_refused_and_nothing_in_between(wish: dict[str, Any]) -> None:
    """A refused value never gets into a body; what is let out has strings only."""
    refused = any(TRANSLATOR.refusal(field, value) for field, value in wish.items())
    try:
        body = TRANSLATOR.patch(Wanted(fields=wish | {"customer_type": "company"}, mark="i.m.1"), None).body
    except RejectedError:
        assert refused or not TRANSLATOR.canonical("name", wish.get("name"))
        return
    assert not refused
    assert all(isinstance(text, str) and text for text in body["properties"].values())


KEYS = st.text(min_size=1, max_size=12) | st.text("_xX41ab.", min_size=1, max_size=12)


@given(KEYS)
@settings(max_examples=500)
def test_a_metadata_key_can_be_told_from_its_property(key: str) -> None:
    """Injective: what can be undone loses nothing. The look-alike has the same scheme, written apart."""
    name = metadata_property(key)

    assert set(name) <= set(string.ascii_lowercase + string.digits + "_")
    assert metadata_key(name) == key
    assert metadata_name(key) == name
