"""[connections.NAME.documents]: whether customers' objects show what their documents come to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from config.file import AccordConfig, load_config, sandbox_config
from connectors.hubspot import manifest as hubspot
from connectors.quickbooks import manifest as quickbooks
from connectors.stripe import manifest as stripe
from core.errors import ConfigError
from core.model.policy import DocumentPolicy

PROVIDERS = {one.provider: one for one in (stripe.MANIFEST, hubspot.MANIFEST, quickbooks.MANIFEST)}
ORIGIN = '[connections.stripe]\nprovider = "stripe"\n[connections.stripe.documents]\noriginates = ["invoice"]\n'

Told = Callable[[str, str], DocumentPolicy]


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """What a connection that says this about documents is understood to say."""

    def run(provider: str, text: str) -> DocumentPolicy:
        path = tmp_path / "accord.toml"
        head = f'{ORIGIN}[connections.other]\nprovider = "{provider}"\n[connections.other.documents]\n'
        path.write_text(head + text, encoding="utf-8")
        return load_config(path, PROVIDERS).policy.connections["other"].documents

    return run


@pytest.mark.parametrize(
    ("text", "shows"),
    [
        ('mirrors = ["invoice"]', True),
        ('mirrors = ["invoice"]\noverview = "no"', False),
        ('overview = "yes"', True),
        ("", False),
    ],
)
def test_who_gets_the_invoices_is_shown_what_they_come_to_unless_policy_says_otherwise(
    told: Told, text: str, *, shows: bool
) -> None:
    """At a provider that has places for it."""
    assert told("hubspot", text).overview is shows


def test_a_provider_without_places_for_it_shows_none_and_may_not_be_asked_to(told: Told) -> None:
    """Nobody may believe that it is there."""
    assert told("quickbooks", 'mirrors = ["invoice"]').overview is False
    assert told("quickbooks", 'overview = "no"').overview is False
    with pytest.raises(ConfigError, match="no place for a customer's billing overview"):
        told("quickbooks", 'overview = "yes"')


def test_what_is_neither_yes_nor_no_is_refused(told: Told) -> None:
    """Guessing would write where nobody wanted it."""
    with pytest.raises(ConfigError, match='must be "yes" or "no", not \'maybe\''):
        told("hubspot", 'mirrors = ["invoice"]\noverview = "maybe"')


def test_the_sandbox_shows_it() -> None:
    """The demo has it, too."""
    config = sandbox_config({"hubspot": {}, "stripe": {}})
    assert config.policy.connections["hubspot"].documents.overview
    assert not config.policy.connections["stripe"].documents.overview


# ---- a copy that somebody could pay ----------------------------------------------------------------

BILLED_IN_BOOKS = """
[connections.books]
provider = "quickbooks"
[connections.books.documents]
originates = ["invoice", "payment", "credit_note"]
[connections.stripe]
provider = "stripe"
{setting}
[connections.stripe.documents]
mirrors = [{kinds}]
"""


def mirrored(tmp_path: Path, kinds: str, setting: str = "") -> tuple[str, ...]:
    """What Stripe gets copies of by such a file."""
    path = tmp_path / "accord.toml"
    path.write_text(BILLED_IN_BOOKS.format(kinds=kinds, setting=setting), encoding="utf-8")
    return load_config(path, PROVIDERS).policy.connections["stripe"].documents.mirrors


@pytest.mark.parametrize(
    ("kinds", "lacking"),
    [
        ('"invoice"', "payment and credit_note"),
        ('"invoice", "payment"', "credit_note"),
        ('"credit_note", "invoice"', "payment"),
    ],
)
def test_a_copy_that_would_stay_payable_for_ever_is_refused(tmp_path: Path, kinds: str, lacking: str) -> None:
    """An invoice that was paid in the books was open at Stripe, with an address where it could be paid once more."""
    with pytest.raises(ConfigError, match=f"could be paid again at Stripe until .*: add {lacking}$"):
        mirrored(tmp_path, kinds)


def test_what_settles_a_copy_at_stripe_is_copied_or_open_copies_are_wanted(tmp_path: Path) -> None:
    """Who says that copies may be open has said so of these, too."""
    assert len(mirrored(tmp_path, '"invoice", "payment", "credit_note"')) == 3
    assert mirrored(tmp_path, '"invoice"', 'mirror_open_invoices = "yes"') == ("invoice",)
    assert mirrored(tmp_path, '"payment"') == ("payment",)


# ---- entities ---------------------------------------------------------------------------------------

HEAD = """
[connections.stripe]
provider = "stripe"
[connections.stripe.documents]
originates = ["invoice"]
{stripe}
[connections.books-us]
provider = "quickbooks"
[connections.books-us.documents]
mirrors = ["invoice"]
{us}
[connections.books-eu]
provider = "quickbooks"
[connections.books-eu.documents]
mirrors = ["invoice"]
{eu}
"""
Company = Callable[..., dict[str, DocumentPolicy]]


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """What an origin and two books that say this about entities are understood to say."""

    def run(
        stripe: str = "", us: str = 'entities = ["us"]', eu: str = 'entities = ["eu"]'
    ) -> dict[str, DocumentPolicy]:
        path = tmp_path / "accord.toml"
        path.write_text(HEAD.format(stripe=stripe, us=us, eu=eu), encoding="utf-8")
        return {name: one.documents for name, one in load_config(path, PROVIDERS).policy.connections.items()}

    return run


def test_books_name_their_entities_and_the_customers_metadata_says_whose_a_document_is(company: Company) -> None:
    """Unless policy names another field, or one entity for all."""
    found = company()
    assert (found["books-us"].entities, found["books-eu"].entities) == (("us",), ("eu",))
    assert (found["stripe"].entity, found["stripe"].entity_field) == ("", "metadata.entity")
    assert company('entity_field = "currency"')["stripe"].entity_field == "currency"
    assert company('entity = "us"', eu="")["stripe"].entity == "us"


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        ({"us": "entities = []"}, "names no entity, so nothing would be copied here; leave it out to copy all"),
        ({"us": 'entities = ["us", "us"]'}, "names one twice"),
        ({"us": 'entities = ["us", " "]'}, "must be a list of texts that are not blank"),
        ({"us": 'entitees = ["us"]'}, 'is not known here; did you mean "entities"?'),
        ({"us": 'entity = "us"'}, ".entity]: line 11: has no effect without originates"),
        ({"stripe": 'entities = ["us"]'}, ".entities]: line 6: has no effect without mirrors"),
        ({"stripe": 'entity = "us"\nentity_field = "metadata.entity"'}, "keep one of the two"),
        ({"stripe": 'entity_field = "metadata."'}, "'metadata.' is no field of a customer that is one text"),
        ({"stripe": 'entity_field = "billing_address"'}, "is no field of a customer that is one text"),
        ({"stripe": 'entity_field = "entity"'}, "'entity' is no field of a customer that is one text"),
        (
            {"stripe": 'entity = "usa"'},
            "no connection that gets copies from here lists 'usa' in its entities; did you mean \"us\"?",
        ),
        ({"stripe": 'entity = "us"'}, "no document is of 'eu': what is copied here comes from connections with an"),
        (
            {"stripe": 'entity_field = "currency"', "us": "", "eu": ""},
            "has no effect: no connection that gets copies from here names entities",
        ),
        (
            {"stripe": 'entity = "us"', "us": 'entities = ["us"]\nsources = ["books-eu"]', "eu": ""},
            "no connection that gets copies from here lists 'us' in its entities",
        ),
    ],
)
def test_what_could_never_route_a_document_is_told_with_its_line(
    company: Company, says: dict[str, str], problem: str
) -> None:
    """Before anything is called."""
    with pytest.raises(ConfigError) as caught:
        company(**says)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('mirrors = ["invoice"]\n[guard]\nwindow_seconds = 99999999999999', "at most 31622400"),
        ('mirrors = ["invoice"]\n[guard]\ndocument_count = 99999999999999', "at most 1000000000"),
        ('mirrors = ["invoice"]\n[connections.other.items]\nprod_1 = 7', "must be text in quotes"),
    ],
)
def test_settings_that_cannot_work_are_refused(told: Told, text: str, says: str) -> None:
    """What is known without asking any account is said before anything runs."""
    with pytest.raises(ConfigError, match=says):
        told("quickbooks", text)


def test_copies_of_payments_need_an_account_to_be_deposited_to(tmp_path: Path) -> None:
    """Each of them would be held, one by one."""
    path = tmp_path / "accord.toml"
    text = (
        ORIGIN.replace('["invoice"]', '["invoice", "payment"]')
        + '[connections.other]\nprovider = "quickbooks"\nACCOUNT\n'
        + '[connections.other.documents]\nmirrors = ["payment"]\n'
    )
    path.write_text(text.replace("ACCOUNT\n", ""), encoding="utf-8")
    with pytest.raises(ConfigError, match="a copy of a payment needs deposit_account"):
        load_config(path, PROVIDERS)
    path.write_text(text.replace("ACCOUNT", 'deposit_account = "35"'), encoding="utf-8")
    assert load_config(path, PROVIDERS).policy.connections["other"].documents.mirrors == ("payment",)
    routed = text.replace("ACCOUNT\n", "") + "RO[connections.other.deposits]\nstripe = '36'\n"
    path.write_text(routed.replace("RO", ""), encoding="utf-8")
    with pytest.raises(ConfigError, match="a copy of a payment needs deposit_account"):
        load_config(path, PROVIDERS)
    path.write_text(routed.replace("RO", "sources = ['stripe']\n"), encoding="utf-8")
    assert load_config(path, PROVIDERS).connections["other"].deposits == {"stripe": "36"}


def routes(tmp_path: Path, text: str, provider: str = "quickbooks") -> AccordConfig:
    """A file whose second connection says this of accounts for payments."""
    path = tmp_path / "accord.toml"
    account = 'deposit_account = "35"\n' if provider == "quickbooks" else ""
    kind = "payment" if provider == "quickbooks" else "invoice"
    path.write_text(
        ORIGIN.replace('["invoice"]', '["invoice", "payment"]')
        + '[connections.bills]\nprovider = "quickbooks"\n[connections.bills.documents]\noriginates = ["invoice"]\n'
        + f'[connections.other]\nprovider = "{provider}"\n{account}'
        + f'[connections.other.documents]\nmirrors = ["{kind}"]\n[connections.other.deposits]\n{text}\n',
        encoding="utf-8",
    )
    return load_config(path, PROVIDERS)


def test_a_route_is_a_connection_or_that_and_a_currency(tmp_path: Path) -> None:
    """With quotes around the dot or without."""
    wanted = {"stripe": "36", "stripe.EUR": "37"}
    assert routes(tmp_path, 'stripe = "36"\n"stripe.EUR" = "37"').connections["other"].deposits == wanted
    assert routes(tmp_path, 'stripe.EUR = "37"\nstripe.GBP = "38"').connections["other"].deposits == {
        "stripe.EUR": "37",
        "stripe.GBP": "38",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('strip = "36"', "no payment of 'strip' is copied here; did you mean \"stripe\""),
        ('bills = "36"', "no payment of 'bills' is copied here"),
        ('other = "36"', "no payment of 'other' is copied here"),
        ('"stripe.EURO" = "36"', "'EURO' is no currency; a route is CONNECTION or CONNECTION.CURRENCY"),
        ('stripe.EURO = "36"', "'EURO' is no currency"),
        ('stripe = " "', "is blank"),
        ("stripe = 36", "must be text in quotes"),
    ],
)
def test_a_route_that_no_payment_takes_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """A slip of the hand would send the money to the account of all others."""
    with pytest.raises(ConfigError, match=says):
        routes(tmp_path, text)


def test_where_nothing_is_deposited_no_route_has_an_account(tmp_path: Path) -> None:
    """HubSpot has none."""
    with pytest.raises(ConfigError, match="has no effect: HubSpot deposits no payments"):
        routes(tmp_path, 'stripe = "36"', "hubspot")
