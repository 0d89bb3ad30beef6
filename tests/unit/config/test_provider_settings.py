"""What accord.toml may say of a provider's own settings, by the real manifests."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.file import load_config
from core.errors import ConfigError
from tests.support.world import PROVIDERS

REAL = {name: one.manifest for name, one in PROVIDERS.items()}


@pytest.mark.parametrize(
    ("provider", "line", "key", "words"),
    [
        ("quickbooks", 'realm_id = "../.."', "realm_id", "must be a company's id, which is digits, not '../..'"),
        ("quickbooks", 'deposit_account = ""', "deposit_account", 'is blank; leave it out, or write one like "35"'),
        ("quickbooks", "batch_size = 31", "batch_size", "must be a whole number from 1 to 30, not '31'"),
        ("quickbooks", 'tax_codes = "19"', "tax_codes", "must be PERCENT:CODE, ..., not '19'"),
        ("quickbooks", 'region = "US"', "region", "must be us | other, not 'US'"),
        (
            "quickbooks",
            '[connections.it.deposits]\nstripe = "bank"',
            "deposits.stripe",
            "an account's id in these",
        ),
        ("quickbooks", '[connections.it.items]\nprod_1 = "x"', "items.prod_1", "must be an item's id in these books"),
        ("stripe", 'time_zone = "Mars/Base"', "time_zone", "must be the name of a time zone, not 'Mars/Base'"),
        ("stripe", "monthly_reads = 0", "monthly_reads", "must be a whole number from 1 to 1000000000"),
        ("hubspot", 'distribution = "gold"', "distribution", "must be pro | free, not 'gold'"),
        ("hubspot", 'distribution = "oauth"', "distribution", "an OAuth token lives half an hour, and nothing here"),
    ],
)
def test_a_setting_of_a_provider_is_refused_where_it_is_written(
    tmp_path: Path, provider: str, line: str, key: str, words: str
) -> None:
    """Each was taken until the first call that used it; the message says what is right."""
    file = tmp_path / "accord.toml"
    file.write_text(f'[connections.it]\nprovider = "{provider}"\n{line}\n')

    with pytest.raises(ConfigError) as caught:
        load_config(file, REAL)

    told = [one for one in str(caught.value).splitlines() if f"[connections.it.{key}]" in one]
    assert told, str(caught.value)
    assert words in told[0]
    assert ' like "' in told[0]


@pytest.mark.parametrize(("host", "told"), [("api.stripe.com", 1), ("10.0.0.5:12111", 1), ("127.0.0.1:8413", 0)])
def test_an_address_without_tls_elsewhere_is_a_warning(tmp_path: Path, host: str, told: int) -> None:
    """An `s` that was left out sent the live key as it is, through every network on the way."""
    file = tmp_path / "accord.toml"
    for scheme, warnings in (("http", told), ("https", 0)):
        file.write_text(f'[connections.it]\nprovider = "stripe"\nbase_url = "{scheme}://{host}"\n')
        found = [one for one in load_config(file, REAL).warnings if one.startswith("[connections.it.base_url]")]
        assert len(found) == warnings


def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """A file of settings is shown to others; a password in it would be in every log of it."""
    file = tmp_path / "accord.toml"
    file.write_text('[connections.it]\nprovider = "stripe"\nbase_url = "https://me:canary-7@api.test"\n')

    with pytest.raises(ConfigError, match="has a user or a password in it") as caught:
        load_config(file, REAL)

    assert "canary-7" not in str(caught.value)
