"""What a HubSpot object is in neutral words, and back: one rule each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pycountry
import pytest

from connectors.hubspot.translate import HubSpotTranslator, metadata_property
from connectors.hubspot.wire import frame
from core.errors import BugError, RejectedError, ReplyError
from core.model.country import country_code, country_name
from core.model.remote import Wanted
from core.model.values import Value
from core.ports import ConnectionConfig

TRANSLATOR = HubSpotTranslator(ConnectionConfig("crm", "hubspot", {}, ("plan", "Tier.x")))
BLANK = {name: None for kind in ("contact", "company") for name in TRANSLATOR.properties(kind)}


def raw_of(kind: Any, properties: Mapping[str, Any], **more: Any) -> bytes:
    """Bytes as a read frames them; every property asked for is there."""
    return frame(kind, json.dumps({"id": "101", "properties": BLANK | dict(properties)} | more).encode())


def test_every_field_of_a_contact_is_read() -> None:
    """First and last name make one name; the country is understood however it is written."""
    seen = TRANSLATOR.read(
        raw_of(
            "contact",
            {
                "firstname": " Ada  King ",
                "lastname": "Lovelace",
                "email": "ada@example.com",
                "phone": "+44 1",
                "website": "https://ada.example",
                "accord_legal_name": "A. Lovelace",
                "accord_legal_number": "7",
                "accord_tax_identification_number": "GB1",
                "address": "1 Square",
                "accord_address_line2": "Flat 2",
                "city": "London",
                "state": "LDN",
                "zip": "W1",
                "country": "United Kingdom",
                "accord_m_plan": "pro",
                "accord_ref": "i.m.1",
                "external_customer_id": "c-1",
                "hs_merged_object_ids": "7;8;",
                "lago_customer_id": "lago-1",
            },
        )
    )

    assert seen.id == "contact:101"
    assert seen.fields == {
        "name": "Ada King Lovelace",
        "email": "ada@example.com",
        "phone": "+44 1",
        "url": "https://ada.example",
        "legal_name": "A. Lovelace",
        "legal_number": "7",
        "tax_identification_number": "GB1",
        "billing_address": {
            "line1": "1 Square",
            "line2": "Flat 2",
            "city": "London",
            "state": "LDN",
            "postal_code": "W1",
            "country": "GB",
        },
        "customer_type": "individual",
        "metadata.plan": "pro",
        "metadata.Tier.x": None,
    }
    assert (seen.accord_ref, seen.external_id, seen.aliases) == ("i.m.1", "c-1", ("contact:7", "contact:8"))
    assert seen.foreign_marks == {"lago_customer_id": "lago-1"}
    assert not seen.unreadable
    assert not seen.is_archived


def test_a_company_has_its_own_name_and_our_email_property() -> None:
    """HubSpot's companies have no e-mail: it lives in a property of ours."""
    seen = TRANSLATOR.read(raw_of("company", {"name": "Acme", "accord_email": "a@b.example"}, archived=True))

    assert (seen.fields["name"], seen.fields["email"], seen.fields["customer_type"]) == (
        "Acme",
        "a@b.example",
        "company",
    )
    assert seen.is_archived


def test_before_our_properties_are_made_absent_means_blank() -> None:
    """A plan made before `prepare` must show what will be written, so all is blank and complete."""
    seen = TRANSLATOR.read(frame("contact", b'{"id":"1","properties":{"firstname":"Ada"}}'))

    assert seen.fields["legal_name"] is None
    assert seen.fields["billing_address"] is None
    assert seen.fields["metadata.plan"] is None
    assert seen.unmade >= {"legal_name", "billing_address", "metadata.plan"}
    assert "customer_type" not in seen.unmade


def test_a_property_that_somebody_removed_does_not_read_as_cleared() -> None:
    """An admin archived accord_legal_name: but for this rule, every legal name would be cleared everywhere."""
    left = {name: text for name, text in BLANK.items() if name not in ("accord_legal_name", "accord_m_plan", "zip")}
    raw = frame("contact", json.dumps({"id": "1", "properties": left}).encode())

    seen = TRANSLATOR.read(raw)

    assert seen.unmade == {"legal_name", "metadata.plan", "billing_address"}
    assert seen.fields["legal_number"] is None


def test_a_metadata_key_that_no_property_can_be_named_by_is_blank_there() -> None:
    """Left out, a value of it would be written nowhere, and nobody told."""
    translator = HubSpotTranslator(ConnectionConfig(name="crm", provider="hubspot", metadata_keys=("a" * 95,)))
    seen = translator.read(frame("contact", json.dumps({"id": "1", "properties": BLANK}).encode()))
    assert seen.fields["metadata." + "a" * 95] is None
    assert translator.refusal("metadata." + "a" * 95, "x") is not None


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        ({"country": "Atlantis"}, "billing_address"),
        ({"city": 7}, "billing_address"),
        ({"phone": ["1"]}, "phone"),
        ({"firstname": {}}, "name"),
        ({"email": "a\0b"}, "email"),
        ({"accord_m_plan": True}, "metadata.plan"),
    ],
)
def test_an_odd_value_is_set_aside_and_the_rest_flows(properties: dict[str, Any], field: str) -> None:
    """One value that cannot be taken never hides the others."""
    seen = TRANSLATOR.read(raw_of("contact", {"firstname": "Ada", "website": "w"} | properties))

    assert list(seen.unreadable) == [field]
    assert field not in seen.fields
    assert seen.fields["url"] == "w"


def test_half_a_surrogate_pair_sets_aside_its_field_only() -> None:
    """The fast decoder refuses such bytes altogether; the other fields are still read."""
    seen = TRANSLATOR.read(raw_of("contact", {"lastname": "x\ud800", "phone": "1", "accord_ref": "\ud800"}))

    assert list(seen.unreadable) == ["name"]
    assert (seen.fields["phone"], seen.accord_ref) == ("1", None)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"\xff", b'{"type":"deal","object":{"id":"1","properties":{}}}', b"[" * 99_999]
)
def test_what_is_no_contact_or_company_is_a_bad_reply(raw: bytes) -> None:
    """The engine stores it as a failure row, instead of guessing."""
    with pytest.raises(ReplyError):
        TRANSLATOR.read(raw)


@pytest.mark.parametrize(
    ("field", "value", "spelling"),
    [
        ("name", "  Ada \t Lovelace ", "Ada Lovelace"),
        ("name", "   ", None),
        ("email", " Ada@Example.COM ", "ada@example.com"),
        ("phone", " 1  2 ", "1  2"),
        ("phone", None, None),
        ("customer_type", None, None),
        ("customer_type", "company", "company"),
        ("billing_address", {"country": "Germany", "city": " B "}, {"city": "B", "country": "DE"}),
        ("billing_address", {"city": " "}, None),
        ("billing_address", {"country": "Atlantis"}, {"country": "Atlantis"}),
        ("metadata.plan", " pro ", "pro"),
        ("name", [], None),
    ],
)
def test_canonical_is_what_a_read_gives_back(field: str, value: Value, spelling: Value) -> None:
    """E-mails are lower-cased by HubSpot; the rest is trimmed before it is written."""
    assert TRANSLATOR.canonical(field, value) == spelling


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("currency", "EUR", "no place"),
        ("metadata.other", "x", "allow-listed"),
        ("metadata." + "é" * 40, "x", "property name"),
        ("customer_type", "robot", "customer type"),
        ("customer_type", None, "customer type"),
        ("billing_address", "1 Square", "no address"),
        ("billing_address", {"planet": "Mars"}, "no address"),
        ("billing_address", {"country": "XX"}, "unknown country"),
        ("billing_address", {"line1": "x" * 65_537}, "65537 characters"),
        ("billing_address", {"city": "\0"}, "cannot be stored"),
        ("phone", {"a": "b"}, "not text"),
        ("phone", ["1"], "not text"),
        ("phone", "x" * 65_537, "65537 characters"),
        ("phone", "a\0", "cannot be stored"),
        ("phone", "a\ud800", "cannot be stored"),
        ("email", "ada at example", "no e-mail"),
        ("email", "ada@example", "no e-mail"),
    ],
)
def test_what_hubspot_cannot_hold_is_refused_and_never_cut(field: str, value: Value, told: str) -> None:
    """The refusal says what to do, and `patch` never lets such a value out."""
    refusal = TRANSLATOR.refusal(field, value)

    assert refusal is not None
    assert (refusal.field, told in refusal.problem, bool(refusal.limit), bool(refusal.cure)) == (
        field,
        True,
        True,
        True,
    )
    with pytest.raises(RejectedError) as raised:
        TRANSLATOR.patch(Wanted(fields={"name": "Ada", field: value}, mark="m"), None)
    assert raised.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("phone", "x" * 65_536),
        ("phone", None),
        ("email", " Ada@example.com "),
        ("customer_type", "company"),
        ("customer_type", "individual"),
        ("billing_address", {"country": "DE", "line1": "x"}),
        ("metadata.Tier.x", "gold"),
    ],
)
def test_what_hubspot_can_hold_is_not_refused(field: str, value: Value) -> None:
    """A refusal is a hold for a person: none without need."""
    assert TRANSLATOR.refusal(field, value) is None


@pytest.mark.parametrize("code", [country.alpha_2 for country in pycountry.countries])
def test_every_country_survives_the_way_to_hubspot_and_back(code: str) -> None:
    """HubSpot's country is free text: the English name must be understood again."""
    assert country_code(country_name(code)) == code


def test_a_create_carries_everything_wanted() -> None:
    """An untyped customer becomes a contact, unless the connection says otherwise; blanks are not sent."""
    wanted = Wanted(
        fields={
            "name": "Ada King Lovelace",
            "phone": None,
            "billing_address": {"country": "IT"},
            "metadata.plan": "pro",
        },
        mark="i.m.1",
        external_id="c-1",
    )
    body = TRANSLATOR.patch(wanted, None).body

    assert body == {
        "type": "contact",
        "properties": {
            "accord_m_plan": "pro",
            "accord_ref": "i.m.1",
            "country": "Italy",
            "external_customer_id": "c-1",
            "firstname": "Ada King",
            "lastname": "Lovelace",
        },
    }
    assert list(body["properties"]) == sorted(body["properties"])  # frozen bodies: same input, same JSON


def test_the_type_of_a_created_object_comes_from_the_customer_or_the_setting() -> None:
    """individual: contact; company: company; nothing: what `untyped` says."""
    companies = HubSpotTranslator(ConnectionConfig("crm", "hubspot", {"untyped": "company"}, (), "crm_id"))
    typed = {"name": "A", "customer_type": "individual"}

    assert companies.patch(Wanted(fields={"name": "A"}, external_id="7"), None).body == {
        "type": "company",
        "properties": {"crm_id": "7", "name": "A"},
    }
    assert companies.patch(Wanted(fields=typed), None).body["type"] == "contact"
    assert TRANSLATOR.patch(Wanted(fields={"name": "A", "customer_type": "company"}), None).body["type"] == "company"


@pytest.mark.parametrize("fields", [{"phone": "1"}, {"customer_type": "company", "email": "a@b.example"}])
def test_a_nameless_customer_is_refused_before_hubspot_refuses_it(fields: dict[str, Value]) -> None:
    """A contact needs a name or an e-mail, a company a name."""
    with pytest.raises(RejectedError, match="name"):
        TRANSLATOR.patch(Wanted(fields=fields, mark="m"), None)


def test_an_update_is_sparse() -> None:
    """Only fields that differ are written, each whole; None clears; properties of other programs are not named."""
    current = raw_of(
        "contact",
        {
            "firstname": "Ada",
            "lastname": "King",
            "phone": "1",
            "city": "Rome",
            "zip": "1",
            "country": "Italia?",
            "x": "y",
        },
    )
    wanted = Wanted(
        fields={"name": "Ada  King", "phone": None, "url": "w", "billing_address": {"city": "Rome", "country": "IT"}},
        mark="i.m.1",
        external_id="c",
    )

    assert TRANSLATOR.patch(wanted, current).body == {
        "type": "contact",
        "properties": {
            "accord_address_line2": "",
            "accord_ref": "i.m.1",
            "address": "",
            "city": "Rome",
            "country": "Italy",
            "external_customer_id": "c",
            "phone": "",
            "state": "",
            "website": "w",
            "zip": "",
        },
    }


def test_nothing_to_say_is_an_empty_patch() -> None:
    """Blank and absent are the same, and so are two spellings of one value."""
    current = raw_of("contact", {"firstname": "Ada", "accord_ref": "i.m.1", "country": "Germany"})
    wanted = Wanted(
        fields={"name": " Ada", "phone": None, "billing_address": {"country": "DE"}, "customer_type": "individual"},
        mark="i.m.1",
    )

    assert TRANSLATOR.patch(wanted, current).is_empty


def test_a_country_stays_as_a_person_wrote_it_while_it_means_the_same() -> None:
    """Somebody wrote `UK`; a new city must not turn it into `United Kingdom`."""
    current = raw_of("contact", {"firstname": "Ada", "country": "UK", "city": "York"})

    body = TRANSLATOR.patch(Wanted(fields={"billing_address": {"country": "GB", "city": "Leeds"}}), current).body

    assert (body["properties"]["city"], body["properties"]["country"]) == ("Leeds", "UK")


@pytest.mark.parametrize(("name", "first", "last"), [("Ada", "Ada", ""), ("Ada K. Love", "Ada K.", "Love")])
def test_a_contacts_name_is_split_at_the_last_space(name: str, first: str, last: str) -> None:
    """One word is a first name; a last name that is no longer there is cleared."""
    current = raw_of("contact", {"firstname": "Bob", "lastname": "Old"})

    body = TRANSLATOR.patch(Wanted(fields={"name": name}), current).body

    assert body["properties"] == {"firstname": first, "lastname": last}


@pytest.mark.parametrize(("kind", "wish"), [("contact", "company"), ("company", "individual")])
def test_a_contact_cannot_become_a_company(kind: str, wish: str) -> None:
    """HubSpot has no such conversion: a person must unlink and let it be created again."""
    with pytest.raises(RejectedError, match="cannot become") as raised:
        TRANSLATOR.patch(Wanted(fields={"customer_type": wish}), raw_of(kind, {"name": "A", "firstname": "A"}))
    assert raised.value.field == "customer_type"


def test_a_long_metadata_key_is_left_out_of_the_properties() -> None:
    """HubSpot would refuse the property, and `prepare` with it."""
    translator = HubSpotTranslator(ConnectionConfig("crm", "hubspot", {}, ("k" * 92, "k" * 91)))

    made = [one.name for one in translator.definitions("contact") if one.name.startswith("accord_m_")]

    assert made == ["accord_m_" + "k" * 91]
    assert translator.refusal("metadata." + "k" * 92, "x") is not None


@pytest.mark.parametrize(
    ("key", "name"),
    [("plan_tier", "plan_tier"), ("Tier.x", "_x54_ier_x2e_x"), ("a_x41_", "a_x5f_x41_"), ("é 1", "_xe9__x20_1")],
)
def test_metadata_keys_have_property_names_of_their_own(key: str, name: str) -> None:
    """Two keys must never share a property."""
    assert metadata_property(key) == "accord_m_" + name


def test_our_marker_is_the_only_unique_property() -> None:
    """HubSpot allows ten unique properties of an object type; we take one."""
    for kind in ("contact", "company"):
        unique = [one.name for one in TRANSLATOR.definitions(kind) if one.is_unique]
        assert unique == ["accord_ref"]
    assert "accord_email" in [one.name for one in TRANSLATOR.definitions("company")]
    assert "accord_email" not in [one.name for one in TRANSLATOR.definitions("contact")]


def company(parent: Any) -> bytes:
    """A company as a read frames it, with what is above it."""
    return b'{"type":"company","parent":' + json.dumps(parent).encode() + b',"object":' + json.dumps(
        {"id": "101", "properties": BLANK | {"name": "Acme"}}
    ).encode() + b"}"  # fmt: skip


def test_a_company_has_one_parent_or_none() -> None:
    """Which customer that is, HubSpot does not know; what was not read, or is several, is neither."""
    below, top = TRANSLATOR.read(company("7")), TRANSLATOR.read(company(None))
    assert (below.parent_id, "parent" in below.fields) == ("company:7", False)
    assert (top.parent_id, top.fields["parent"]) == (None, None)
    unread = TRANSLATOR.read(raw_of("company", {"name": "Acme"}))
    assert (unread.parent_id, "parent" in unread.fields) == (None, False)
    several = TRANSLATOR.read(company("7;9"))
    assert several.parent_id is None
    assert "several parent companies" in several.unreadable["parent"]


@pytest.mark.parametrize(
    ("there", "to", "expected"),
    [
        (None, "company:9", {"from": [], "to": "9"}),
        ("7", "company:9", {"from": ["7"], "to": "9"}),
        ("7", None, {"from": ["7"], "to": None}),
        ("7;8", "company:8", {"from": ["7", "8"], "to": "8"}),
        ("7;8", None, {"from": ["7", "8"], "to": None}),
        ("9", "company:9", None),
        (None, None, None),
    ],
)
def test_another_parent_is_a_write_of_its_own(there: str | None, to: str | None, expected: Any) -> None:
    """Off the old one, onto the new one; nothing where it is so."""
    wanted = Wanted(fields={"parent": "boss" if to else None}, parent_id=to)
    body = TRANSLATOR.patch(wanted, company(there)).body
    assert body == ({"type": "company", "parent": expected} if expected else {})


def test_a_parent_never_goes_with_anything_else() -> None:
    """Two calls, one of which may fail: the engine sends them one after the other."""
    assert TRANSLATOR.refusal("parent", "boss") is None
    made = TRANSLATOR.patch(Wanted(fields={"name": "Ada", "parent": "boss"}, parent_id="company:9", mark="i.m.1"), None)
    assert "parent" not in json.dumps(made.body)
    with pytest.raises(BugError):
        TRANSLATOR.patch(Wanted(fields={"name": "A", "parent": "boss"}, parent_id="company:9"), company(None))
    with pytest.raises(BugError):
        TRANSLATOR.patch(Wanted(fields={"parent": "boss"}, parent_id="company:9"), raw_of("contact", {}))
