"""[connections.NAME.documents]: whether customers' objects show what their documents come to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from config.file import load_config, sandbox_config
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
