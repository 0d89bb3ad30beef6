"""QuickBooks customers as neutral records and back, value by value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.quickbooks.manifest import MANIFEST
from connectors.quickbooks.translate import CustomerTranslator, farewell_to
from core.errors import RejectedError, ReplyError
from core.model.remote import Wanted
from core.model.values import Value

US = CustomerTranslator(is_us=True)
WORLD = CustomerTranslator(is_us=False)
FULL = {
    "Id": "7",
    "SyncToken": "3",
    "DisplayName": "Amy's Bird Sanctuary",
    "CompanyName": "Amy Ltd",
    "PrimaryEmailAddr": {"Address": "amy@birds.example"},
    "PrimaryPhone": {"FreeFormNumber": "(650) 555-3311"},
    "WebAddr": {"URI": "https://birds.example"},
    "BillAddr": {"Id": "2", "Line1": "4581 Finch St.", "City": "Bayshore", "CountrySubDivisionCode": "CA",
                 "PostalCode": "94326", "Country": "USA", "Lat": "INVALID"},
    "CurrencyRef": {"value": "USD", "name": "United States Dollar"},
    "Active": True,
    "Notes": "likes birds",
}  # fmt: skip


def raw(**changes: object) -> bytes:
    """One customer's bytes; None takes an attribute away."""
    merged = {**FULL, **changes}
    return json.dumps({name: value for name, value in merged.items() if value is not None}).encode()


def patch(wanted: dict[str, Any], current: bytes | None, translator: CustomerTranslator = US) -> dict[str, Any]:
    """The body of a patch."""
    return translator.patch(Wanted(fields=wanted), current).body


def test_every_projected_field_is_read() -> None:
    """A field that a complete object does not carry is blank, not unknown."""
    remote = US.read(raw())

    assert remote.fields == {
        "name": "Amy's Bird Sanctuary",
        "legal_name": "Amy Ltd",
        "email": "amy@birds.example",
        "phone": "(650) 555-3311",
        "billing_address": {
            "city": "Bayshore", "country": "US", "line1": "4581 Finch St.", "postal_code": "94326", "state": "CA",
        },
        "shipping_address": None,
        "url": "https://birds.example",
        "currency": "USD",
        "status": "active",
        "parent": None,
    }  # fmt: skip
    assert (remote.id, remote.version, remote.unreadable) == ("7", "3", {})
    assert set(remote.fields) == set(MANIFEST.fields)


def test_a_bare_object_is_all_blank_and_active() -> None:
    """Older objects lack Active; they are active."""
    remote = US.read(b'{"Id":"9","Active":null}')

    assert remote.fields == {**dict.fromkeys(MANIFEST.fields), "status": "active"}
    assert remote.version is None


def test_the_suffix_of_an_inactive_customer_is_not_part_of_its_name() -> None:
    """QuickBooks renamed every customer that was made inactive, and the rename went out to the CRM."""
    assert US.read(raw(Active=False, DisplayName="Acme (deleted)")).fields["name"] == "Acme"
    assert US.read(raw(Active=False, DisplayName="Acme")).fields["name"] == "Acme"
    assert US.read(raw(Active=True, DisplayName="Acme (deleted)")).fields["name"] == "Acme (deleted)"
    assert US.read(raw(Active=False)).fields["status"] == "inactive"


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"DisplayName": 5}, "name", "DisplayName is not text"),
        ({"CompanyName": "a\u0000b"}, "legal_name", "cannot be stored"),
        ({"PrimaryEmailAddr": "a@b.c"}, "email", "PrimaryEmailAddr is not an object"),
        ({"BillAddr": {"Line1": "a", "Line3": "c"}}, "billing_address", "Line3"),
        ({"BillAddr": {"Line1": "a", "Line5": "c"}}, "billing_address", "Line5"),
        ({"ShipAddr": {"Country": "Atlantis"}}, "shipping_address", "'Atlantis' is not known"),
        ({"Active": "yes"}, "status", "Active is 'yes'"),
    ],
)
def test_an_odd_value_is_set_aside_and_the_rest_flows(changes: dict[str, Any], field: str, reason: str) -> None:
    """One unknown country must not keep a customer's new e-mail from the other systems."""
    remote = US.read(raw(**changes))

    assert reason in remote.unreadable[field]
    assert set(remote.fields) == set(MANIFEST.fields) - {field}


def test_half_a_surrogate_pair_sets_aside_its_field_only() -> None:
    """JSON can escape what no UTF-8 text holds; the fast decoder refuses the whole object."""
    remote = US.read(raw().replace(b"Amy Ltd", b"Amy \\ud800"))

    assert set(remote.unreadable) == {"legal_name"}
    assert remote.fields["name"] == "Amy's Bird Sanctuary"


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"Id":7}', b'{"Id":""}', b"{not json", b"\xff", b"[" * 100_000])
def test_what_is_no_customer_is_a_bad_reply(text: bytes) -> None:
    """Only bytes without an identity are refused as a whole."""
    with pytest.raises(ReplyError):
        US.read(text)


@pytest.mark.parametrize("text", [b'{"Id":"1","x":"\\ud800","y":' + b"[" * 100_000])
def test_a_deep_object_is_a_bad_reply_for_the_lenient_decoder_too(text: bytes) -> None:
    """A hostile answer must not end the daemon with a RecursionError."""
    with pytest.raises(ReplyError):
        US.read(text)


# ---- writing ---------------------------------------------------------------------------------------


def test_a_create_says_everything_that_is_wanted_and_nothing_blank() -> None:
    """A create with blanks would be an update in disguise."""
    body = patch(
        {
            "name": " Acme ", "legal_name": None, "email": "a@b.example", "phone": "1", "url": "https://a.example",
            "currency": "eur", "status": "active", "billing_address": {"line1": "1 High St", "country": "GB"},
        },
        None,
    )  # fmt: skip

    assert body == {
        "DisplayName": "Acme",
        "PrimaryEmailAddr": {"Address": "a@b.example"},
        "PrimaryPhone": {"FreeFormNumber": "1"},
        "WebAddr": {"URI": "https://a.example"},
        "CurrencyRef": {"value": "EUR"},
        "BillAddr": {"Line1": "1 High St", "Line2": "", "City": "", "CountrySubDivisionCode": "",
                     "PostalCode": "", "Country": "United Kingdom"},
    }  # fmt: skip
    assert patch({"name": "A", "status": "inactive"}, None) == {"DisplayName": "A", "Active": False}


def test_an_update_is_sparse_and_carries_the_lock() -> None:
    """A full update blanks every attribute it leaves out, Notes first."""
    body = patch({"legal_name": "Amy Inc", "email": "amy@birds.example"}, raw())

    assert body == {"Id": "7", "SyncToken": "3", "sparse": True, "CompanyName": "Amy Inc"}


def test_clearing_sends_blank_texts() -> None:
    """JSON null in a sparse update changes nothing at all."""
    cleared = dict.fromkeys(("legal_name", "email", "phone", "url", "billing_address"))
    body = patch(cleared, raw(PrimaryPhone={"FreeFormNumber": "1"}))

    assert body["CompanyName"] == ""
    assert body["PrimaryEmailAddr"] == {"Address": ""}
    assert body["PrimaryPhone"] == {"FreeFormNumber": ""}
    assert body["WebAddr"] == {"URI": ""}
    assert set(body["BillAddr"].values()) == {""}


def test_a_persons_spelling_of_the_country_is_kept() -> None:
    """USA and United States are one country: a change of street must not rewrite it."""
    body = patch({"billing_address": {"line1": "5 Elm", "country": "US"}}, raw())
    moved = patch({"billing_address": {"line1": "5 Elm", "country": "DE"}}, raw())

    assert body["BillAddr"]["Country"] == "USA"
    assert moved["BillAddr"]["Country"] == "Germany"


def test_an_address_written_over_a_longer_one_leaves_no_old_line() -> None:
    """Line3 of the old address under Line1 of the new one is an address nobody has."""
    body = patch({"billing_address": {"line1": "5 Elm"}}, raw(BillAddr={"Line1": "a", "Line3": "c"}))

    assert body["BillAddr"]["Line3"] == ""
    assert "Line4" not in body["BillAddr"]


def test_reactivating_takes_the_suffix_off_the_name() -> None:
    """Without it the customer came back to life as "Acme (deleted)", and the name went to every system."""
    inactive = raw(Active=False, DisplayName="Acme (deleted)")

    assert patch({"status": "active"}, inactive)["DisplayName"] == "Acme"
    assert patch({"status": "active", "name": "Acme"}, inactive)["DisplayName"] == "Acme"
    assert patch({"status": "active", "name": "Bolt"}, inactive)["DisplayName"] == "Bolt"
    assert "DisplayName" not in patch({"status": "active"}, raw(Active=False, DisplayName="Acme"))
    assert "DisplayName" not in patch({"status": "inactive"}, raw())


def test_another_currency_is_refused_for_an_existing_customer() -> None:
    """A QuickBooks customer has one currency for ever; writing another is ignored or fails, never works."""
    with pytest.raises(RejectedError, match="the customer's currency is USD") as caught:
        patch({"currency": "EUR"}, raw())

    assert caught.value.field == "currency"
    with pytest.raises(RejectedError):
        patch({"currency": None}, raw())
    assert patch({"currency": "EUR"}, raw(CurrencyRef=None))["CurrencyRef"] == {"value": "EUR"}


def test_a_blank_name_is_refused_on_create_and_update() -> None:
    """DisplayName cannot be removed; the API would keep the old one without a word."""
    for current in (None, raw()):
        with pytest.raises(RejectedError) as caught:
            patch({"name": None}, current)
        assert caught.value.field == "name"
    with pytest.raises(RejectedError):
        patch({"email": "a@b.example"}, None)


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("name", "x" * 501, "500 characters"),
        ("name", "a:b", "no ':'"),
        ("name", "a\tb", "printable"),
        ("name", "a\nb", "printable"),
        ("name", "Acme (deleted)", "(deleted)"),
        ("name", "  ", "not blank"),
        ("name", ["a"], "text"),
        ("legal_name", "x" * 101, "100 characters"),
        ("email", "x" * 95 + "@b.example", "100 characters"),
        ("email", "nobody", "needs @"),
        ("email", "nobody@localhost", "needs @"),
        ("phone", "1" * 31, "30 characters"),
        ("url", "https://a.example/" + "x" * 1000, "1000 characters"),
        ("currency", "EURO", "3 characters"),
        ("currency", "E1", "ISO 4217"),
        ("currency", "ÄÖÜ", "ISO 4217"),
        ("status", "asleep", "active or inactive"),
        ("billing_address", {"line1": "x" * 501}, "500 characters"),
        ("billing_address", {"postal_code": "1" * 31}, "30 characters"),
        ("billing_address", {"country": "XX"}, "ISO 3166"),
        ("billing_address", {"planet": "Earth"}, "line1"),
        ("shipping_address", "1 High St", "an address"),
        ("legal_name", "a\x00b", "printable"),
        ("legal_name", "a\ud800b", "printable"),
        ("legal_number", "HRB 1", "manifest"),
    ],
)
def test_what_quickbooks_cannot_hold_is_refused_with_its_limit(field: str, value: Value, limit: str) -> None:
    """Nothing is cut short: a person learns which field, which limit, which cure."""
    refusal = WORLD.refusal(field, value)

    assert refusal is not None
    assert limit in refusal.limit
    assert refusal.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "x" * 500),
        ("email", None),
        ("email", "a@b.example"),
        ("status", None),
        ("currency", "eur"),
        ("billing_address", {"line1": "x" * 500, "country": "CI"}),
    ],
)
def test_what_fits_is_not_refused(field: str, value: Value) -> None:
    """A limit that is one too strict loses customers as surely as one that is too lax."""
    assert US.refusal(field, value) is None


def test_a_us_company_holds_latin_letters_only() -> None:
    """US companies store ISO-8859-1; elsewhere the same name is fine."""
    refusal = US.refusal("name", "Łódź Steel")

    assert refusal is not None
    assert "ISO-8859-1" in refusal.limit
    assert "Ł" in refusal.problem
    assert WORLD.refusal("name", "Łódź Steel") is None
    assert US.refusal("name", "Zoë Müller ÿ") is None
    assert US.refusal("billing_address", {"city": "Łódź"}) is not None


@pytest.mark.parametrize(
    ("field", "value", "spelled"),
    [
        ("name", " Acme\n", "Acme"),
        ("name", "\u00a0Acme", "Acme"),
        ("phone", "   ", None),
        ("currency", " usd", "USD"),
        ("status", None, "active"),
        ("status", "inactive", "inactive"),
        ("billing_address", {"line1": " a ", "city": "", "country": "germany"}, {"country": "DE", "line1": "a"}),
        ("billing_address", {"country": "Atlantis"}, {"country": "Atlantis"}),
        ("billing_address", {}, None),
        ("other_emails", [], None),
    ],
)
def test_canonical_is_the_spelling_that_comes_back(field: str, value: Value, spelled: Value) -> None:
    """An undeclared normalisation is an endless rewrite."""
    assert US.canonical(field, value) == spelled


def test_fields_outside_the_projection_are_not_written() -> None:
    """The manifest says what is written; metadata has no place at QuickBooks."""
    assert patch({"metadata.plan": "gold", "timezone": "Europe/Berlin"}, raw()) == {}


def test_a_sub_customer_names_the_object_above_it() -> None:
    """Which customer that is, QuickBooks does not know; a job of nobody cannot be taken."""
    below, top = US.read(raw(ParentRef={"value": "9"}, Job=True)), US.read(raw(Job=False))
    assert (below.parent_id, "parent" in below.fields) == ("9", False)
    assert (top.parent_id, top.fields["parent"]) == (None, None)
    odd = US.read(raw(Job=True))
    assert (odd.parent_id, "parent" in odd.fields) == (None, False)
    assert "ParentRef" in odd.unreadable["parent"]


@pytest.mark.parametrize(
    ("there", "to", "expected"),
    [
        ({}, "9", {"ParentRef": {"value": "9"}, "Job": True}),
        ({"ParentRef": {"value": "8"}, "Job": True}, "9", {"ParentRef": {"value": "9"}, "Job": True}),
        ({"ParentRef": {"value": "8"}, "Job": True, "BillWithParent": True}, None,
         {"ParentRef": {"value": ""}, "Job": False}),
        ({"Job": True}, None, {"ParentRef": {"value": ""}, "Job": False}),
        ({"ParentRef": {"value": "9"}, "Job": True}, "9", None),
        ({}, None, None),
    ],
)  # fmt: skip
def test_a_parent_and_being_a_job_go_together(there: dict[str, Any], to: str | None, expected: Any) -> None:
    """Who is billed stays the bookkeeper's matter."""
    assert US.refusal("parent", "boss") is None
    wanted = Wanted(fields={"parent": "boss" if to else None}, parent_id=to)
    body = US.patch(wanted, raw(**there)).body
    assert {name: value for name, value in body.items() if name not in ("Id", "SyncToken", "sparse")} == (
        expected or {}
    )
    made = US.patch(Wanted(fields={"name": "New", "parent": "boss"}, parent_id="9"), None).body
    assert made == {"DisplayName": "New", "ParentRef": {"value": "9"}, "Job": True}


def test_a_customer_is_archived_by_making_it_inactive_and_nothing_else() -> None:
    """The token it was read with: whoever changes it in between is not overrun."""
    assert farewell_to(raw(Balance=0, BalanceWithJobs=0.0)) == {
        "Id": "7",
        "SyncToken": "3",
        "sparse": True,
        "Active": False,
    }
    assert farewell_to(raw()) is not None
    assert farewell_to(raw(Active=False, Balance=5)) is None


@pytest.mark.parametrize(
    ("attribute", "amount"), [("Balance", 12.5), ("Balance", -1), ("BalanceWithJobs", 7), ("Balance", "0")]
)
def test_a_customer_with_a_balance_is_not_made_inactive(attribute: str, amount: object) -> None:
    """QuickBooks may write it off; what is no number may be anything."""
    with pytest.raises(RejectedError, match=f"its {attribute} is {amount}"):
        farewell_to(raw(**{attribute: amount}))
