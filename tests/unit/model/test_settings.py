"""What a setting takes: every form's good and bad values, and that each provider's own examples are good ones."""

from __future__ import annotations

import pytest

from core.model.settings import Address, Choice, Form, Whole, Word, Zone, secret_problem
from tests.support.world import OFFERS, PROVIDERS

ADDRESS = Address(example="https://api.test")


@pytest.mark.parametrize(
    "value", ["https://api.test", "http://127.0.0.1:8080/x", "http://[::1]:1/", "https://api.test:443/a/b_c"]
)
def test_an_address_has_a_host_and_perhaps_a_port_and_a_path(value: str) -> None:
    """A look-alike's has a port, a gateway's a path."""
    assert ADDRESS.problem(value) is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("api.test", "is no address"),
        ("ftp://api.test", "is no address"),
        ("https://", "is no address"),
        ("http://[::1", "is no address"),
        ("http://api.test:99999", "is no address"),
        ("http://api.test:0", "is no address"),
        ("https://api.tést", "is no address"),
        ("https://api.test/a b", "is no address"),
        ("https://canary@api.test", "has a user or a password in it"),
        ("https://api.test/?key=canary", "must be an address without ? and #"),
        ("https://api.test/#canary", "must be an address without ? and #"),
        (" ", "is blank; leave it out"),
    ],
)
def test_what_is_no_address_is_told_without_repeating_it(value: str, words: str) -> None:
    """It may hold a password."""
    told = ADDRESS.problem(value) or ""
    assert words in told
    assert told.endswith('like "https://api.test"')
    assert "canary" not in told


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (Word(pattern="[0-9]+", words="digits", example="1"), "12", "1 2"),
        (Choice(choices=("yes", "no"), example="yes"), "no", "No"),
        (Choice(choices=("yes", "no"), example="yes", refused={"on": "it is a question"}), "no", "on"),
        (Whole(most=30, example="30"), "30", "31"),
        (Whole(most=30, example="30"), "1", "0"),
        (Whole(most=30, example="30"), "7", "7.0"),
        (Whole(most=30, example="30"), "7", "9" * 5000),
        (Zone(example="Europe/Berlin"), "America/New_York", "Mars/Base"),
        (Zone(example="Europe/Berlin"), "UTC", "../../etc/passwd"),
    ],
)
def test_a_form_takes_the_good_and_says_what_is_wrong_with_the_bad(form: Form, good: str, bad: str) -> None:
    """With the value, cut where it is long, and an example."""
    assert form.problem(good) is None
    told = form.problem(bad) or ""
    assert told.startswith("must be ")
    assert repr(bad[:60])[:-1] in told
    assert told.endswith(f'; write it like "{form.example}"')
    assert len(told) < 300


def test_a_form_without_rules_of_its_own_is_none() -> None:
    """Who adds one and forgets its rule is told by the first value."""
    with pytest.raises(NotImplementedError):
        Form(example="x").problem("y")


def test_every_provider_s_example_is_one_that_it_takes() -> None:
    """And so is what its look-alike is connected with."""
    for name, provider in PROVIDERS.items():
        forms = {key: one.form for key, one in provider.manifest.settings.items()}
        assert {key: one.problem(one.example) for key, one in forms.items() if one.problem(one.example)} == {}
        used = OFFERS[name].settings("http://127.0.0.1:1")
        assert {key: forms[key].problem(value) for key, value in used.items() if forms[key].problem(value)} == {}


@pytest.mark.parametrize(("value", "place"), [("sk_é", 4), ("a\x00b", 2), ("\ufeffkey", 1)])
def test_a_secret_of_strange_letters_is_told_by_the_place(value: str, place: int) -> None:
    """No header takes it, and no provider gave it."""
    told = secret_problem(value) or ""
    assert f"at place {place} of {len(value)}" in told
    assert value not in told


def test_several_secrets_may_stand_on_several_lines() -> None:
    """While one is replaced by another, both are there."""
    assert secret_problem("whsec_old,\r\n\twhsec_new") is None


def test_an_address_without_tls_is_overheard_but_on_this_machine() -> None:
    """A key that was sent there is everybody's."""
    overheard = ["http://api.test", "http://10.0.0.5:1", "http://127.0.0.1.test", "HTTP://api.test"]
    safe = ["https://api.test", "http://localhost:8413", "http://127.0.0.1", "http://[::1]:8413"]
    assert [ADDRESS.is_overheard(one) for one in (*overheard, *safe)] == [True] * 4 + [False] * 4
