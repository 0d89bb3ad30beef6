"""The smaller pure parts: policy, projection, values, holds, remote, country."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from core.model import holds, keys
from core.model.country import country_code, country_name
from core.model.holds import candidates_of
from core.model.policy import DEFAULT_RULES, METADATA_RULE, ConnectionPolicy, Flow, Policy, Rule
from core.model.projection import projection_of
from core.model.remote import FieldSpec, Manifest, Mark, MetadataSpec, Patch, parse_mark
from core.model.values import Value, blank, is_metadata, metadata_key, tidy
from tests.support.deciding import canonical, policy_of, projection, refusal


def test_the_file_comes_before_the_default_table() -> None:
    """A rule for a key, then one for all metadata, then the default."""
    special = Rule(flow="in")
    policy = policy_of({"name": Rule(flow="out"), "metadata.plan": special})
    assert policy.rule("stripe", "name") == Rule(flow="out")
    assert policy.rule("stripe", "email") == DEFAULT_RULES["email"]
    assert policy.rule("stripe", "metadata.plan") is special
    assert policy.rule("stripe", "metadata.other") == METADATA_RULE
    assert policy_of({"metadata": special}).rule("stripe", "metadata.other") is special
    assert policy_of().rule("stripe", "unheard_of") == Rule()


def test_a_connections_own_flow_comes_first() -> None:
    """Only the flow is overridden, and only there."""
    policy = policy_of(email="in", metadata="off")
    assert policy.rule("stripe", "email") == Rule("in", DEFAULT_RULES["email"].ranks, DEFAULT_RULES["email"].clear)
    assert policy.rule("hubspot", "email").flow == "both"
    assert policy.rule("stripe", "metadata.plan").flow == "off"
    flows: dict[str, Flow] = {"metadata": "off", "metadata.plan": "in"}
    assert policy_of(None, **flows).rule("stripe", "metadata.plan").flow == "in"
    assert policy_of(metadata="off").rule("stripe", "name").flow == "both"


def test_ranks_are_by_connection_or_by_provider() -> None:
    """`stripe` ranks every Stripe account."""
    eu = ConnectionPolicy(name="stripe-eu", provider="stripe")
    policy = Policy(connections={"stripe-eu": eu})
    assert policy.rank(("hubspot", "stripe"), "stripe-eu") == 1
    assert policy.rank(("stripe-eu", "stripe"), "stripe-eu") == 0
    assert policy.rank(("hubspot",), "stripe-eu") is None
    assert policy.rank(("registry",), "registry") == 0
    assert policy.rank(("stripe",), "unknown") is None


def test_a_projection_covers_what_its_connection_holds() -> None:
    """Fields by name, metadata by allow-list where there is one."""
    open_ = projection()
    assert open_.covers("name")
    assert not open_.covers("timezone")
    assert open_.covers("metadata.anything")
    listed = replace(open_, metadata_keys=frozenset({"plan"}))
    assert listed.covers("metadata.plan")
    assert not listed.covers("metadata.other")
    assert not replace(open_, has_metadata=False).covers("metadata.plan")


def test_a_newly_translated_field_was_never_agreed() -> None:
    """Else the first read after an upgrade would look like an edit of every record."""
    base: dict[str, tuple[Value, Value]] = {"name": ("a", "a"), "phone": ("1", "1"), "metadata.x": ("1", "1")}
    assert projection().still_agreed(base, 2) is base
    assert set(projection().still_agreed(base, 1)) == {"name", "metadata.x"}
    assert set(projection().still_agreed(base, 0)) == set()


def test_a_projection_is_bound_from_a_manifest() -> None:
    """Open metadata ignores the allow-list; none at all covers none."""
    manifest = Manifest(
        provider="p", title="P", translation=3, fields={"name": FieldSpec(), "phone": FieldSpec(since=3)},
        metadata=MetadataSpec(), page_size=1, read_batch=1, write_batch=1, create_key_seconds=None,
        lookup_lag_seconds=0, is_conditional=False, has_marker=True, changes_window_seconds=1, limits=(),
    )  # fmt: skip
    bound = projection_of(manifest, ("plan",), canonical, refusal)
    assert (bound.fields, bound.translation, bound.since) == (("name", "phone"), 3, {"name": 1, "phone": 3})
    assert bound.has_metadata
    assert bound.metadata_keys is None
    closed = projection_of(_with(manifest, MetadataSpec(is_open=False)), ("plan",), canonical, refusal)
    assert closed.metadata_keys == frozenset({"plan"})
    none = projection_of(_with(manifest, None), ("plan",), canonical, refusal)
    assert not none.has_metadata
    assert none.metadata_keys is None
    limited = projection_of(_with(manifest, MetadataSpec(max_keys=48)), (), canonical, refusal)
    assert [one.max_keys for one in (limited, bound, none)] == [48, None, None]


def _with(manifest: Manifest, metadata: MetadataSpec | None) -> Manifest:
    return msgspec.structs.replace(manifest, metadata=metadata)


@pytest.mark.parametrize("value", [None, "", [], {}, {"line1": "", "city": ""}])
def test_blanks_say_nothing(value: Value) -> None:
    """Every spelling of nothing."""
    assert blank(value)
    assert tidy(value) is None


@pytest.mark.parametrize("value", ["0", " ", ["a"], {"line1": "x", "city": ""}])
def test_values_are_not_blank(value: Value) -> None:
    """A space is a text."""
    assert not blank(value)


def test_tidy_is_one_spelling() -> None:
    """Address parts that are blank are left out; their order is fixed."""
    assert tidy({"line1": "x", "city": "", "country": "DE"}) == {"country": "DE", "line1": "x"}
    assert list(tidy({"line1": "x", "country": "DE"}) or ()) == ["country", "line1"]
    assert tidy("a") == "a"
    assert tidy(["b", "a"]) == ["b", "a"]


def test_metadata_fields_carry_their_key() -> None:
    """`metadata.plan` -> `plan`; a key may hold dots."""
    assert is_metadata("metadata.plan")
    assert not is_metadata("metadata")
    assert not is_metadata("name")
    assert metadata_key("metadata.a.b") == "a.b"


def test_a_mark_reads_back() -> None:
    """As it is written on the remote object."""
    assert parse_mark(str(Mark("i", "m", 3))) == Mark("i", "m", 3)


@pytest.mark.parametrize(
    "text", [None, "", "a.b", "a.b.c", "a..1", ".b.1", "a.b.-1", "a.b.1.2", "a.b.²", "a.b." + "1" * 10]
)
def test_what_is_no_mark_is_none(text: str | None) -> None:
    """Other programs' texts stand in the same place."""
    assert parse_mark(text) is None


def test_a_patch_without_body_is_empty() -> None:
    """There is nothing to write."""
    assert Patch(body={}).is_empty
    assert not Patch(body={"name": None}).is_empty


def test_every_reason_has_words_and_choices() -> None:
    """An operator is never shown a bare code, nor a hold that cannot be answered."""
    reasons = {value for name, value in vars(holds).items() if name.isupper() and isinstance(value, str)}
    assert reasons == set(holds.TEXTS) == set(holds.CHOICES)
    assert reasons >= holds.FIELD_REASONS
    assert all(holds.CHOICES.values())


def test_only_a_customer_can_be_archived_by_an_answer() -> None:
    """A copy that is gone, or a billing contact, is no reason to end its customer; all else is offered as ever."""
    assert holds.offered(holds.REMOTE_GONE, is_customer=True) == holds.CHOICES[holds.REMOTE_GONE]
    rest = holds.offered(holds.REMOTE_GONE, is_customer=False)
    assert "archive" not in rest
    assert {*rest, "archive"} == {*holds.CHOICES[holds.REMOTE_GONE]}
    assert holds.offered("of another version", is_customer=True) == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [("Germany", "DE"), ("DEU", "DE"), ("de", "DE"), (" UK ", "GB"), ("U.S.", "US"), ("276", "DE"), ("Turkey", "TR")],
)
def test_a_country_is_known_by_many_names(text: str, code: str) -> None:
    """What people and providers write."""
    assert country_code(text) == code


def test_no_country_is_no_code() -> None:
    """An unknown name holds its field."""
    assert country_code("Atlantis") is None
    assert country_code("") is None


def test_what_people_write_as_countries_is_not_kept_for_ever() -> None:
    """HubSpot's field is free text of up to 65,536 characters: a daemon kept each that it had ever read."""
    for number in range(3000):
        assert country_code(f"Nowhere {number}") is None
        assert country_name(f"N{number}") == f"N{number}"
    assert max(one.cache_info().currsize for one in (country_code, country_name)) < 2000
    assert (country_code("Germany"), country_name("DE")) == ("DE", "Germany")


@pytest.mark.parametrize(("code", "name"), [("DE", "Germany"), ("de", "Germany"), ("TW", "Taiwan"), ("XX", "XX")])
def test_a_code_has_its_common_name(code: str, name: str) -> None:
    """Not "Taiwan, Province of China"; an unknown code stays as it is."""
    assert country_name(code) == name


def test_a_hold_without_candidates_has_none() -> None:
    """Whatever stands there is no reason to fail: details are what a database kept."""
    assert candidates_of({"candidates": ["cus_1", 7]}) == ["cus_1", "7"]
    assert candidates_of({}) == []
    assert candidates_of({"candidates": "cus_1"}) == []


def test_a_key_of_a_text_is_whole_as_long_as_an_index_takes_it_and_still_its_own_beyond() -> None:
    """Cut alone, two long texts that begin alike would be one customer's."""
    whole = "Ä" * keys.LONGEST_KEY
    assert keys.text_key(whole) == whole.casefold()
    long, other = (keys.text_key(whole + end) for end in "ab")
    assert long != other
    assert (len(long), long[:467], long[467]) == (keys.LONGEST_KEY, whole[:467].casefold(), " ")
    assert keys.email_key(f" {whole}A ") == keys.text_key(f"{whole}a") == long
    assert keys.text_key("\ud800" * 501) != keys.text_key("\ud800" * 502)
