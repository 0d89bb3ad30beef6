"""Comparison keys: equal for one number or address in two spellings, different for two."""

from __future__ import annotations

import pytest

from core.model.keys import compared_by, email_key, phone_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+49 30 1234567", "+4930 123-4567"),
        (" +1 (212) 555-0100 ", "+12125550100"),
        ("030 123", "(030) 123"),
        ("+49 30 1234567 ext 5", "+49301234567x5"),
        ("Front Desk", "front desk"),
        ("+1", "1"),
    ],
)
def test_two_spellings_of_a_number_are_equal(one: str, other: str) -> None:
    """A provider that reformats phones must not look like a person who edited one."""
    assert phone_key(one) == phone_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+49 30 1234567", "+49 30 1234568"),
        ("+49 30 1234567 ext 5", "+49 30 1234567 ext 6"),
        ("+49 30 1234567 ext 5", "+49 30 1234567"),
        ("front desk", "back office"),
        ("", "0"),
    ],
)
def test_two_numbers_differ(one: str, other: str) -> None:
    """Two desks behind one switchboard are two numbers."""
    assert phone_key(one) != phone_key(other)


def test_an_international_number_has_its_e164_form() -> None:
    """The form providers index by."""
    assert phone_key("+49 (0)30 1234567") == "+49301234567"


def test_an_email_is_compared_without_case_and_blanks() -> None:
    """`Ann@Example.com` and `ann@example.com ` are one mailbox to everyone who matters."""
    assert email_key(" Ann@Example.COM ") == email_key("ann@example.com")


def test_only_phones_are_compared_by_their_number() -> None:
    """A name that looks like a number stays a name."""
    assert compared_by("phone", "+49 30 1234567") == compared_by("phone", "+49301234567")
    assert compared_by("name", "+49 30 1234567") == "+49 30 1234567"
    assert compared_by("phone", None) is None
