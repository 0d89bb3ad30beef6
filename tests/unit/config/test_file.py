"""accord.toml: what it may say, and that each mistake names its key, its line and its cure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from config.file import AccordConfig, Daemon, load_config, sandbox_config
from connectors.hubspot import manifest as hubspot
from connectors.quickbooks import manifest as quickbooks
from connectors.stripe import manifest as stripe
from core.errors import ConfigError
from core.model.policy import DEFAULT_RULES, ConnectionPolicy, FieldFilter, Guard, Rule
from core.model.remote import Manifest

ROOT = Path(__file__).parents[3]
Load = Callable[[str], AccordConfig]

REAL = {known.provider: known for known in (stripe.MANIFEST, hubspot.MANIFEST, quickbooks.MANIFEST)}
STRIPE = '[connections.stripe]\nprovider = "stripe"\n'
HUBSPOT = '[connections.hubspot]\nprovider = "hubspot"\nmetadata_keys = ["plan"]\n'
QUICKBOOKS = '[connections.quickbooks]\nprovider = "quickbooks"\n'


@pytest.fixture
def load(tmp_path: Path, providers: Mapping[str, Manifest]) -> Load:
    """Write a text to accord.toml and load it."""

    def run(text: str) -> AccordConfig:
        path = tmp_path / "accord.toml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, providers)

    return run


@pytest.fixture
def mistakes(load: Load) -> Callable[[str], list[str]]:
    """The lines of the error that a text gives, without the directory."""

    def run(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load(text)
        assert caught.value.file
        folder = str(Path(caught.value.file).parent)
        return str(caught.value).replace(folder + "/", "").splitlines()

    return run


Mistakes = Callable[[str], list[str]]


def test_the_example_loads_with_the_real_providers_and_shows_every_option() -> None:
    """The file that a first user copies must not be refused, and must show every option."""
    path = ROOT / "config" / "accord.example.toml"

    config = load_config(path, REAL)

    assert config.warnings == ()
    assert list(config.connections) == ["stripe-eu", "hubspot", "quickbooks-us"]
    assert config.policy.guard == Guard()
    assert config.daemon == Daemon()
    policy = config.policy.connections["stripe-eu"]
    assert policy.enters_filter == FieldFilter("metadata.region", ("eu", "uk"))
    assert policy.flows == {"locale": "in", "shipping_address": "off", "metadata.internal_note": "off"}
    assert config.connections["stripe-eu"].external_id_field == "metadata.external_customer_id"
    assert config.connections["quickbooks-us"].settings == {"realm_id": "9130000000000000", "deposit_account": "35"}
    assert config.policy.fields["metadata.plan"] == Rule(ranks=("hubspot", "registry"), clear="restore")
    assert config.policy.fields["legal_name"].ranks == ()
    text = path.read_text()
    options = {*ConnectionPolicy.__struct_fields__, *Guard.__struct_fields__, *Daemon.__dataclass_fields__} - {"name"}
    assert [option for option in sorted(options) if f"{option} =" not in text and f".{option}]" not in text] == []


def test_a_connection_alone_has_the_cautious_defaults(load: Load) -> None:
    """Nothing enters and nothing is created until somebody says so."""
    config = load(STRIPE)

    policy = config.policy.connections["stripe"]
    assert (policy.enters, policy.creates, policy.match_email) == ("marked", "none", False)
    assert config.policy.rule("stripe", "email") == DEFAULT_RULES["email"]


def test_objects_of_archived_customers_are_left_alone_unless_policy_says_otherwise(load: Load) -> None:
    """Where a customer can only be deleted for good, no policy says otherwise."""
    config = load(STRIPE + "when_archived = 'leave'\n" + QUICKBOOKS + "when_archived = 'archive'\n" + HUBSPOT)

    told = {name: one.when_archived for name, one in config.policy.connections.items()}
    assert told == {"stripe": "leave", "quickbooks": "archive", "hubspot": "leave"}


def test_a_rule_replaces_only_what_it_names(load: Load) -> None:
    """`clear = "propagate"` on e-mail must not silently drop the default order of owners."""
    config = load(STRIPE + '[fields.email]\nclear = "propagate"\n')

    assert config.policy.fields["email"] == Rule(ranks=DEFAULT_RULES["email"].ranks, clear="propagate")


def test_a_metadata_key_inherits_from_metadata_wherever_it_stands(load: Load) -> None:
    """The order of tables in a file means nothing."""
    config = load(
        STRIPE
        + '[fields."metadata.plan"]\nclear = "hold"\n[fields.metadata]\non_conflict = ["stripe"]\nflow = "in"\n'
        + '[fields.metadata.tier]\nflow = "both"\n'
    )

    assert config.policy.fields["metadata.plan"] == Rule("in", ("stripe",), "hold")
    assert config.policy.fields["metadata.tier"] == Rule("both", ("stripe",), "propagate")
    assert config.policy.rule("stripe", "metadata.other").flow == "in"


def test_provider_settings_are_text(load: Load) -> None:
    """A connector reads strings, however the file writes a number or a boolean."""
    config = load(STRIPE + 'base_url = "http://127.0.0.1:1"\nlivemode = true\nbatch = 30\n')

    assert config.connections["stripe"].settings == {
        "base_url": "http://127.0.0.1:1",
        "livemode": "true",
        "batch": "30",
    }


def test_all_mistakes_are_told_at_once_with_line_and_cure(mistakes: Mistakes) -> None:
    """Five mistakes cost one restart, not five."""
    text = """\
[connections.stripe]
provider = "stripe"
entrs = "all"
match_email = "yes"

[connections.hubspot]
provider = "hubspt"

[fields.emial]
clear = "hold"

[daemon]
sweep_every = -5
"""
    assert mistakes(text) == [
        "accord.toml [connections.stripe.match_email]: line 4: must be true or false, not text",
        "accord.toml [connections.hubspot.provider]: line 7: 'hubspt' is no provider; did you mean \"hubspot\"?",
        "accord.toml [fields.emial]: line 9: 'emial' is no field of a customer; did you mean \"email\"?",
        "accord.toml [daemon.sweep_every]: line 13: must be at least 1 and at most 31622400, not -5",
        'accord.toml [connections.stripe.entrs]: line 3: is not known here; did you mean "enters"?',
    ]


def test_the_error_carries_file_and_key_of_the_first(load: Load) -> None:
    """A program (doctor, the console) can point at the place."""
    with pytest.raises(ConfigError) as caught:
        load(STRIPE + "match_email = 1\n")

    assert (caught.value.file or "").endswith("accord.toml")
    assert caught.value.key == "connections.stripe.match_email"


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("", "connections", "there is no connection"),
        ("connections = 5", "connections", "must be a table: [connections], not a number"),
        ("connections.stripe = 5", "connections.stripe", "must be a table"),
        ("[connections.Stripe_EU]\nprovider = 'stripe'", "connections.Stripe_EU", "1 to 40 of a-z"),
        (f"[connections.{'x' * 41}]\nprovider = 'stripe'", f"connections.{'x' * 41}", "1 to 40"),
        ("[connections.registry]\nprovider = 'stripe'", "connections.registry", 'not "registry"'),
        (
            "[connections.a]\nenters = 'all'",
            "connections.a.provider",
            "is missing (known: hubspot, quickbooks, stripe)",
        ),
        ("[connections.a]\nprovider = ' '", "connections.a.provider", "is blank"),
        ("[connections.a]\nprovider = 'zzz'\nx = 1", "connections.a.provider", "(known: hubspot, quickbooks, stripe)"),
        ("[connections.stripe]\nprovider = 'hubspot'", "connections.stripe.provider", "must be one of stripe"),
        (STRIPE + "api_key = 'sk_live_x'", "connections.stripe.api_key", "set ACCORD_STRIPE_API_KEY"),
        (STRIPE + "base_url = ['x']", "connections.stripe.base_url", "must be text, a number, or true or false"),
        (STRIPE + "enters = 'al'", "connections.stripe.enters", "must be all | filter | marked | none, not 'al'"),
        (STRIPE + "enters = 2026-01-01", "connections.stripe.enters", "not a date or time"),
        (STRIPE + "enters = 'filter'", "connections.stripe.enters", "needs enters_filter = { field"),
        (
            STRIPE + "enters_filter = {field = 'name', values = ['x']}",
            "connections.stripe.enters_filter",
            'has no effect unless enters = "filter"',
        ),
        (
            STRIPE + "enters = 'filter'\nenters_filter = {values = ['x']}",
            "connections.stripe.enters_filter",
            "lacks field",
        ),
        (
            STRIPE + "enters = 'filter'\nenters_filter = {field = 'name', values = []}",
            "connections.stripe.enters_filter.values",
            "names no value",
        ),
        (
            STRIPE + "enters = 'filter'\nenters_filter = {field = 'nme', values = ['x'], x = 1}",
            "connections.stripe.enters_filter.field",
            'did you mean "name"?',
        ),
        (
            STRIPE + "enters = 'filter'\nenters_filter = {field = 'billing_address', values = ['x']}",
            "connections.stripe.enters_filter.field",
            "is not one text",
        ),
        (
            STRIPE + "enters = 'filter'\nenters_filter = {field = 'legal_name', values = ['x']}",
            "connections.stripe.enters_filter.field",
            "Stripe has no place for legal_name",
        ),
        (
            HUBSPOT + "enters = 'filter'\nenters_filter = {field = 'metadata.x', values = ['x']}",
            "connections.hubspot.enters_filter.field",
            "only the metadata keys in its metadata_keys",
        ),
        (
            STRIPE + "when_archived = 'delete'",
            "connections.stripe.when_archived",
            "must be leave | archive, not 'delete'",
        ),
        (
            STRIPE + "when_archived = 'archive'",
            "connections.stripe.when_archived",
            "Stripe can only delete a customer, for good: Accord never does; leave it out",
        ),
        (STRIPE + "external_id_field = 'crm_id'", "connections.stripe.external_id_field", 'write "metadata.<key>"'),
        (STRIPE + "external_id_field = 'metadata.'", "connections.stripe.external_id_field", 'write "metadata.<key>"'),
        (HUBSPOT + "external_id_field = 'metadata.x'", "connections.hubspot.external_id_field", "name alone"),
        (HUBSPOT + "external_id_field = ' x'", "connections.hubspot.external_id_field", "begins or ends with a blank"),
        (QUICKBOOKS + "external_id_field = 'x'", "connections.quickbooks.external_id_field", "has no place for an"),
        (QUICKBOOKS + "metadata_keys = ['x']", "connections.quickbooks.metadata_keys", "carries no metadata"),
        (
            "[connections.hubspot]\nprovider='hubspot'\nmetadata_keys = ['a', 'b', 'c', 'd']",
            "connections.hubspot.metadata_keys",
            "has 4 keys; Hubspot holds 3",
        ),
        (
            "[connections.hubspot]\nprovider='hubspot'\nmetadata_keys = ['a', 'a']",
            "connections.hubspot.metadata_keys",
            "names one twice",
        ),
        (
            "[connections.hubspot]\nprovider='hubspot'\nmetadata_keys = ['a', 5]",
            "connections.hubspot.metadata_keys",
            "must be a list of texts that are not blank",
        ),
        (STRIPE + "flows = { legal_name = 'in' }", "connections.stripe.flows.legal_name", "Stripe has no place"),
        (STRIPE + "flows = { name = 'inn' }", "connections.stripe.flows.name", 'did you mean "in"?'),
        (STRIPE + "flows = { nam = 'in' }", "connections.stripe.flows.nam", 'did you mean "name"?'),
        (
            HUBSPOT + "[connections.hubspot.flows]\nmetadata.plam = 'in'",
            "connections.hubspot.flows.metadata.plam",
            "add it there",
        ),
        (QUICKBOOKS + "flows.metadata = 'in'", "connections.quickbooks.flows.metadata", "no place for metadata"),
        (STRIPE + "[fields.name]\non_conflict = 5", "fields.name.on_conflict", 'best first, or "hold"'),
        (STRIPE + "[fields.name]\non_conflict = 'stripe'", "fields.name.on_conflict", 'best first, or "hold"'),
        (STRIPE + "[fields.name]\non_conflict = []", "fields.name.on_conflict", 'to ask a person, write "hold"'),
        (STRIPE + "[fields.name]\non_conflict = ['strip']", "fields.name.on_conflict", 'did you mean "stripe"?'),
        (STRIPE + "[fields.name]\nflows = 'in'", "fields.name.flows", 'did you mean "flow"?'),
        (STRIPE + "[fields.nam]\nclear = 'hold'", "fields.nam", 'did you mean "name"?'),
        (STRIPE + "[fields]\nname = 'hold'", "fields.name", "must be a table: [fields.name]"),
        (STRIPE + "[fields.metadata]\nflwo = 'in'", "fields.metadata.flwo", 'did you mean "flow"?'),
        (
            STRIPE + "[fields.'metadata.a']\nflow = 'in'\n[fields.metadata.a]\nflow = 'out'",
            "fields.metadata.a",
            "elsewhere in this file too",
        ),
        (STRIPE + "[guard]\nclear_share = 1.5", "guard.clear_share", "must be more than 0 and at most 1, not 1.5"),
        (STRIPE + "[guard]\nclear_share = nan", "guard.clear_share", "must be more than 0"),
        (STRIPE + "[guard]\ndocument_share = 0", "guard.document_share", "must be more than 0"),
        (STRIPE + "[guard]\ndocument_count = -1", "guard.document_count", "must be 0 or more, not -1"),
        (STRIPE + "[guard]\nclear_count = -1", "guard.clear_count", "must be 0 or more, not -1"),
        (STRIPE + "[guard]\nclear_count = 1.5", "guard.clear_count", "must be a whole number, not a number"),
        (STRIPE + "[guard]\nclear_count = true", "guard.clear_count", "must be a whole number, not true or false"),
        (STRIPE + "[daemon]\nsweep_every = inf", "daemon.sweep_every", "must be at least 1"),
        (STRIPE + "[daemon]\nsweep_every = nan", "daemon.sweep_every", "must be at least 1"),
        (STRIPE + "[daemon]\nsweep_every = 1e-300", "daemon.sweep_every", "must be at least 1 and at most 31622400"),
        (STRIPE + "[daemon]\nfull_sweep_every = 0.5", "daemon.full_sweep_every", "must be at least 1"),
        (STRIPE + "[daemon]\nsweep_every = 3600", "daemon.sweep_every", "remembers changes for 3600 s only"),
        (STRIPE + f"[guard]\nclear_count = {2**63}", "guard.clear_count", "more than 64 bits"),
        (STRIPE + f"[daemon]\nsweep_every = 0x{'f' * 9000}", "daemon.sweep_every", "more than 64 bits"),
        (STRIPE + 'base_url = ""', "connections.stripe.base_url", 'is blank; leave it out, or write one like "https'),
        (STRIPE + 'base_url = "http://[::1"', "connections.stripe.base_url", "line 3: is no address"),
        ("".join(f"[connections.c{n}]\n" for n in range(201)), "connections", "there are more than 200; run a second"),
        (
            STRIPE + '[connections.stripe.documents]\nmirrors = ["invoice"]',
            "connections.stripe.documents.mirrors",
            "no invoice comes from here: there is no other connection",
        ),
        (STRIPE + "[deamon]", "deamon", 'did you mean "daemon"?'),
        (STRIPE + "[x]\n", "x", "(known: connections, daemon, fields, guard)"),
    ],
)
def test_a_mistake_is_named(mistakes: Mistakes, text: str, key: str, words: str) -> None:
    """Each of these was silently ignored by something, somewhere, once."""
    assert any(f"[{key}]" in line and words in line for line in mistakes(text)), mistakes(text)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        (
            QUICKBOOKS + "match_email = true",
            "connections.quickbooks.match_email",
            "Quickbooks has no place for email",
        ),
        (STRIPE + "[fields.legal_name]\nclear = 'hold'", "fields.legal_name", "no connection carries legal_name"),
        (QUICKBOOKS + "[fields.metadata.x]\nclear = 'hold'", "fields.metadata.x", "no connection carries metadata.x"),
        (
            STRIPE + HUBSPOT + "[fields.legal_name]\non_conflict = ['stripe', 'registry']",
            "fields.legal_name.on_conflict",
            "stripe can never own legal_name: Stripe has no place for legal_name",
        ),
        (
            STRIPE + HUBSPOT + "[fields.email]\nflow = 'out'\non_conflict = ['stripe', 'hubspot']",
            "fields.email.on_conflict",
            "stripe, hubspot cannot bring in email",
        ),
        (
            STRIPE + "[fields.email]\non_conflict = ['hubspot']",
            "fields.email.on_conflict",
            "no conflict would ever have a winner",
        ),
        (
            QUICKBOOKS + "creates = 'all'\n" + "[connections.quickbooks.flows]\n"
            "name = 'in'\nlegal_name = 'off'\nphone = 'in'\ncurrency = 'in'",
            "connections.quickbooks.creates",
            "no field flows out here",
        ),
        (
            STRIPE + "enters = 'all'\n[connections.stripe.flows]\nname = 'out'\nemail = 'out'\nphone = 'out'\n"
            "currency = 'out'\ntimezone = 'out'\nbilling_address = 'out'\nmetadata = 'off'",
            "connections.stripe.enters",
            "no field flows in here",
        ),
        (
            "[connections.a]\nprovider='quickbooks'\nrealm_id='1'\n[connections.b]\nprovider='quickbooks'\nrealm_id='1'",
            "connections.b.realm_id",
            "is the account of a too",
        ),
    ],
)
def test_a_policy_that_cannot_work_is_refused_before_any_call(
    mistakes: Mistakes, text: str, key: str, words: str
) -> None:
    """Well-formed, and never what its author meant."""
    assert any(f"[{key}]" in line and words in line for line in mistakes(text)), mistakes(text)


@pytest.mark.parametrize(
    "text",
    [
        STRIPE + HUBSPOT + "[fields.email]\nflow = 'out'\non_conflict = ['registry', 'hubspot']",
        STRIPE + "[fields.email]\nflow = 'out'",
        STRIPE + "[fields.email]\non_conflict = ['registry', 'hubspot']",
        "[connections.a]\nprovider='quickbooks'\nrealm_id='1'\n[connections.b]\nprovider='quickbooks'\nrealm_id='2'",
        "[connections.a]\nprovider='stripe'\nbase_url='http://x'\n[connections.b]\nprovider='stripe'\nbase_url='http://x'",
        STRIPE + "enters = 'all'\n[connections.stripe.flows]\nname = 'out'",
        STRIPE + "creates = 'all'\n[fields.metadata]\nflow = 'in'\n",
    ],
)
def test_an_unusual_policy_that_can_work_is_taken(load: Load, text: str) -> None:
    """The check is for what is certainly wrong; a registry of record that only writes out is not."""
    load(text)


def test_one_variable_never_feeds_two_secrets(tmp_path: Path, providers: Mapping[str, Manifest]) -> None:
    """A connection called `api` with a secret `token` would take the daemon's own bearer token as its password."""
    names = {"stripe": {"token": ""}, "hubspot": {"b_key": ""}, "quickbooks": {"key": ""}}
    odd = {
        name: Manifest(**{key: getattr(known, key) for key in known.__struct_fields__} | {"secrets": names[name]})
        for name, known in providers.items()
    }
    path = tmp_path / "accord.toml"
    path.write_text(
        "[connections.api]\nprovider='stripe'\n[connections.a]\nprovider='hubspot'\n[connections.a-b]\nprovider='quickbooks'"
    )

    with pytest.raises(ConfigError) as caught:
        load_config(path, odd)

    assert "ACCORD_API_TOKEN is also one of the daemon itself" in str(caught.value)
    assert "ACCORD_A_B_KEY is also one of a; rename" in str(caught.value)


def test_a_secret_in_the_file_is_refused_without_repeating_it(mistakes: Mistakes) -> None:
    """The message ends up in logs and tickets."""
    assert "sk_live_canary" not in "\n".join(mistakes(STRIPE + 'api_key = "sk_live_canary"\n'))


def test_an_allow_list_where_every_key_flows_is_a_warning(load: Load) -> None:
    """It does no harm, but its author thinks that it keeps something back."""
    config = load(STRIPE + 'metadata_keys = ["plan"]\n')

    assert config.warnings == ("[connections.stripe.metadata_keys] has no effect: Stripe carries every metadata key",)


def test_a_key_inside_an_inline_table_is_told_with_its_line(mistakes: Mistakes) -> None:
    """Where the key has no line of its own, the line of the table around it is the place to look."""
    found = mistakes(STRIPE + "\nflows = { nam = 'in' }\n")

    assert found[0].startswith("accord.toml [connections.stripe.flows.nam]: line 4:")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, providers: Mapping[str, Manifest]) -> None:
    """Missing, not text, not TOML: three different cures."""
    path = tmp_path / "accord.toml"
    with pytest.raises(ConfigError, match=r"cannot be read: File name too long"):
        load_config(tmp_path / ("x" * 300), providers)
    with pytest.raises(ConfigError, match=r"accord\.toml: cannot be read: No such file"):
        load_config(path, providers)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"accord\.toml: is not UTF-8 text"):
        load_config(path, providers)
    path.write_text("[connections.stripe\n")
    with pytest.raises(ConfigError, match=r"is no TOML: .*line 1"):
        load_config(path, providers)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"a = {'9' * 5000}", "a number is too long"),
        (f"a = {'[' * 9000}", "tables or lists lie too deep in each other"),
    ],
)
def test_toml_that_python_cannot_hold_is_told_in_plain_words(mistakes: Mistakes, text: str, words: str) -> None:
    """They ended in tracebacks."""
    assert any(words in line for line in mistakes(text))


def test_a_file_without_an_end_is_refused(providers: Mapping[str, Manifest]) -> None:
    """It was read until the memory was full."""
    with pytest.raises(ConfigError, match="is larger than"):
        load_config(Path("/dev/zero"), providers)


def test_a_byte_order_mark_is_no_mistake(load: Load) -> None:
    """Editors on Windows write one."""
    assert list(load("\ufeff" + STRIPE).connections) == ["stripe"]


def test_a_sandbox_connection_may_have_a_policy_and_a_name_of_its_own() -> None:
    """The demo's second set of books; the others stay as usual."""
    branch = ConnectionPolicy(name="quickbooks-labs", provider="quickbooks")
    config = sandbox_config({"stripe": {}, "quickbooks-labs": {"realm_id": "2"}}, {"quickbooks-labs": branch})
    one = config.connections["quickbooks-labs"]
    assert (one.provider, one.settings) == ("quickbooks", {"realm_id": "2"})
    assert config.policy.connections["quickbooks-labs"] is branch
    assert config.policy.connections["stripe"].creates == "all"


def test_the_sandbox_lets_everything_flow() -> None:
    """Without accord.toml the daemon runs on the built-in look-alikes, and shows the whole job."""
    urls = {
        name: {"base_url": f"http://127.0.0.1:{port}"} for port, name in enumerate(["stripe", "hubspot", "quickbooks"])
    }

    config = sandbox_config(urls)

    assert list(config.connections) == ["stripe", "hubspot", "quickbooks"]
    assert config.connections["hubspot"].metadata_keys == ("plan", "segment", "account_manager")
    assert config.connections["stripe"].metadata_keys == ()
    assert config.connections["stripe"].settings == {"base_url": "http://127.0.0.1:0"}
    for policy in config.policy.connections.values():
        assert (policy.enters, policy.creates, policy.match_email) == ("all", "all", True)
