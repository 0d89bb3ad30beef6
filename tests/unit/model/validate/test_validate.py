"""Entry validation: each rule of the registry's fields, with the message a person gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInputError
from core.model.customer import FIELDS
from core.model.validate import external_customer_id, problems, validated


def problem(field: str, value: object) -> InvalidInputError:
    """The one problem that `value` has in `field`."""
    found = problems({field: value})
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    ("field", "given", "stored"),
    [
        ("name", "  Müller & Söhne  ", "Müller & Söhne"),
        ("name", "", None),
        ("name", None, None),
        ("legal_name", "x" * 1000, "x" * 1000),
        ("legal_number", "HRB 123", "HRB 123"),
        ("tax_identification_number", "DE123456789", "DE123456789"),
        ("email", " Ann@EXAMPLE.com ", "Ann@example.com"),
        ("email", "ann@example.test", "ann@example.test"),
        ("email", "ü@müller.de", "ü@müller.de"),
        ("other_emails", ["a@example.com", "A@Example.com", "b@example.com"], ["a@example.com", "b@example.com"]),
        ("other_emails", [], None),
        ("other_emails", None, None),
        ("phone", "+49 30 1234567", "+49 30 1234567"),
        ("phone", "+49 30 1234567 ext. 12", "+49 30 1234567 ext. 12"),
        ("phone", "(030) 123-45 67 x9", "(030) 123-45 67 x9"),
        ("phone", "030\u00a0123\u20134567", "030\u00a0123\u20134567"),
        ("customer_type", "Company", "company"),
        ("customer_type", " ", None),
        (
            "billing_address",
            {"line1": " Main St 1 ", "country": "Germany", "city": None},
            {"country": "DE", "line1": "Main St 1"},
        ),
        ("shipping_address", {"line1": "", "country": ""}, None),
        ("shipping_address", {}, None),
        ("currency", "eur", "EUR"),
        ("timezone", "Europe/Berlin", "Europe/Berlin"),
        ("locale", "DE", "de"),
        ("locale", "pt_br", "pt-BR"),
        ("locale", "ZH-hant-tw", "zh-Hant-TW"),
        ("locale", "es-419", "es-419"),
        ("locale", "ca-ES-VALENCIA", "ca-ES-valencia"),
        ("url", "https://example.com/a?b=c", "https://example.com/a?b=c"),
        ("logo_url", "HTTP://example.com", "HTTP://example.com"),
        ("parent", "cust-1", "cust-1"),
        ("status", "Inactive", "inactive"),
        ("invoice_metadata_keys", ["plan", "plan"], ["plan"]),
        ("metadata.plan", " gold\n", " gold\n"),
        ("metadata.plan", "", None),
        ("metadata.plan", None, None),
        ("metadata.plan\x07", None, None),
        (
            "name",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("metadata." + "k" * 100, "v" * 5000, "v" * 5000),
    ],
)
def test_a_good_value_is_stored_in_its_one_spelling(field: str, given: object, stored: object) -> None:
    """Trimmed and canonical where a rule has one spelling; otherwise as given; blanks become None."""
    assert validated({field: given}) == {field: stored}


@pytest.mark.parametrize(
    ("field", "given", "words"),
    [
        ("name", "x" * 1001, "has 1001 characters (limit: 1000 characters)"),
        ("name", 5, "is a number (limit: text)"),
        ("name", True, "is true or false"),
        ("name", {"a": 1}, "is an object"),
        ("name", object(), "is object"),
        ("name", "a\nb", "U+000A"),
        ("name", "a\u2028b", "U+2028"),
        ("name", "a\0b", "contains U+0000"),
        ("name", "a\ud800b", "half a surrogate pair"),
        ("legal_name", "x" * 1001, "shorten it"),
        ("legal_number", "x" * 256, "limit: 255 characters"),
        ("tax_identification_number", "x" * 256, "limit: 255 characters"),
        ("email", "nobody", "is no e-mail address"),
        ("email", "a..b@example.com", "two periods in a row"),
        ("email", "a@test", "has no full domain"),
        ("other_emails", "a@example.com", "is text (limit: a list of text)"),
        ("other_emails", ["a@example.com", "x"], "other_emails[1]: 'x' is no e-mail address"),
        ("other_emails", ["a@example.com", " "], "other_emails[1]: is blank"),
        ("other_emails", [None], "other_emails[0]: is null"),
        ("other_emails", ["a@example.com"] * 101, "has 101 items (limit: 100 items)"),
        ("phone", "+49", "is no international phone number"),
        ("phone", "+999 1234567", "is no international phone number"),
        ("phone", "+49 1", "is no international phone number"),
        ("phone", "call me", "is no phone number"),
        ("phone", "()", "is no phone number"),
        ("phone", "1" * 51, "limit: 50 characters"),
        ("customer_type", "firm", "limit: company or individual"),
        ("billing_address", "Main St 1", "is text (limit: an object of line1"),
        ("billing_address", {"line_1": "x"}, 'did you mean "billing_address.line1"?'),
        ("billing_address", {"country": "Atlantis"}, "billing_address.country: 'Atlantis' is no country"),
        ("billing_address", {"city": "x" * 501}, "billing_address.city: has 501 characters"),
        ("billing_address", {"city": 5}, "billing_address.city: is a number"),
        ("currency", "EURO", "is no currency (limit: ISO 4217)"),
        ("currency", "XXX", "is no currency"),
        ("timezone", "Europe/Berlln", 'did you mean "Europe/Berlin"?'),
        ("timezone", "../../etc/passwd", "is no time zone"),
        ("timezone", "!", "write one like Europe/Berlin"),
        ("locale", "german (Germany)", "is no locale (limit: BCP 47)"),
        ("url", "ftp://example.com", "is no web address (limit: http or https)"),
        ("url", "javascript:alert(1)", "is no web address"),
        ("url", "https://user:secret@example.com", "is no web address"),
        ("logo_url", "https://" + "x" * 2048, "limit: 2048 characters"),
        ("parent", "x" * 256, "limit: 255 characters"),
        ("status", "gone", "limit: active or inactive"),
        ("status", None, "status: is blank"),
        ("status", "", "status: is blank"),
        ("invoice_metadata_keys", ["k" * 101], "limit: 100 characters"),
        ("metadata.", "x", "metadata: has a blank key"),
        ("metadata. plan", "x", "begins or ends with a blank"),
        ("metadata.a\tb", "x", "metadata: contains the control character U+0009"),
        ("metadata.a\0b", "x", "metadata: contains U+0000"),
        ("metadata." + "k" * 101, "x", "has 101 characters (limit: 100 characters)"),
        ("metadata.plan", "x" * 5001, "metadata.plan: has 5001 characters (limit: 5000 characters)"),
        ("metadata.plan", "\0", "metadata.plan: contains U+0000"),
        ("metadata.plan", ["x"], "metadata.plan: is a list"),
        ("name", "\u200b", "name: is made of characters that nobody sees (limit: letters that show); type it anew"),
        ("legal_name", "\u3164 \u2060", "is made of characters that nobody sees"),
        ("name", "Ada \u202ecaleL", "name: contains U+202E, which shows what is behind it in another order"),
        ("billing_address", {"city": "\u200f"}, "billing_address.city: is made of characters that nobody sees"),
        ("tax_identification_number", "DE\u200b1", "contains U+200B, which nobody sees"),
        ("legal_number", "\ufeffHRB 1", "contains U+FEFF"),
        ("url", "https://exa\u202emple.com", "url: contains U+202E"),
        ("email", "ada\u200b@example.test", "ZERO WIDTH SPACE"),
        ("metadata.pl\u200ban", "x", "contains U+200B"),
        ("emial", "x", "emial: is not a field of a customer (limit: name, legal_name"),
        ("emial", "x", 'did you mean "email"?'),
        ("zzz", "x", "metadata.<key>"),
        ("external_customer_id", "x", "is not a field of a customer"),
    ],
)
def test_a_bad_value_is_refused_with_field_limit_and_cure(field: str, given: object, words: str) -> None:
    """The person who typed it is told what to change, without reading code."""
    found = problem(field, given)

    assert words in str(found)
    assert found.field
    assert "\n" not in str(found)


def test_every_text_of_every_field_refuses_what_no_database_stores() -> None:
    """PostgreSQL refuses U+0000 and UTF-8 refuses lone surrogates: found at the door, by field, not in a commit."""
    for field in FIELDS:
        for bad in ("a\0b", "a\udfffb"):
            value: object = bad
            if field.endswith("_address"):
                value = {"line1": bad}
            elif field in ("other_emails", "invoice_metadata_keys"):
                value = [bad]

            found = problem(field, value)

            assert (found.field or "").startswith(field)
            assert found.limit in ("text without U+0000", "valid Unicode")


def test_all_problems_are_found_at_once() -> None:
    """A CSV row with three mistakes is corrected in one round, not in three."""
    changes = {"email": "x", "name": "fine", "currency": "y", "plan": "gold"}

    assert [found.field for found in problems(changes)] == ["email", "currency", "plan"]
    with pytest.raises(InvalidInputError) as caught:
        validated(changes)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["email", "currency", "plan"]


def test_one_problem_keeps_its_parts() -> None:
    """With one problem the API can name the field as data."""
    with pytest.raises(InvalidInputError) as caught:
        validated({"currency": "y"})

    assert (caught.value.field, caught.value.limit) == ("currency", "ISO 4217")


def test_a_long_bad_value_is_shown_cut() -> None:
    """A megabyte pasted into a field does not become a megabyte in the log."""
    assert len(str(problem("email", "x" * 100_000))) < 300


@pytest.mark.parametrize("good", ["1", "stripe:cus_123", "a b", "x" * 255, "Ünïcode", "...", "%2e", "a/../b"])
def test_an_external_id_is_taken_exactly_as_given(good: str) -> None:
    """It is compared byte for byte with what other systems carry."""
    assert external_customer_id(good) == good


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("", "is blank"),
        (" a", "begins or ends with a blank"),
        ("a\n", "begins or ends with a blank"),
        ("a\tb", "U+0009"),
        ("a\0", "U+0000"),
        ("\ud800", "surrogate"),
        ("x" * 256, "limit: 255 characters"),
        (".", "is a step of a path"),
        ("..", 'limit: not "." or ".."'),
        ("\ufeffC-1", "contains U+FEFF, which nobody sees"),
        ("\u202eC-1", "contains U+202E"),
        ("\u200b", "contains U+200B"),
        (7, "is a number"),
    ],
)
def test_a_bad_external_id_is_refused(bad: object, words: str) -> None:
    """A key with a stray blank would be another customer than the one everybody means."""
    with pytest.raises(InvalidInputError, match="external_customer_id") as caught:
        external_customer_id(bad)

    assert words in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=10).map("metadata.".__add__), JSON, max_size=4))
def test_whatever_comes_in_is_stored_or_refused_and_storing_again_changes_nothing(changes: dict[str, object]) -> None:
    """No JSON crashes the door, and what passed once passes again unchanged (else each save would be an edit)."""
    wrong = {found.field for found in problems(changes)}
    if wrong:
        return

    once = validated(changes)

    assert validated(once) == once
