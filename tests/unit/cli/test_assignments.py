"""What a person writes after --set."""

from __future__ import annotations

import pytest

from core.cli.assignments import assigned
from core.errors import InvalidInputError


def test_parts_complete_the_address_that_is_there() -> None:
    """A person who moves a customer to another street does not type the city again."""
    current = {"billing_address": {"line1": "1 Mill Lane", "city": "London", "country": "GB"}}
    values = assigned(["billing_address.line1=2 Mill Lane", "billing_address.line2=Flat 3"], current)
    assert values == {"billing_address": {"line1": "2 Mill Lane", "line2": "Flat 3", "city": "London", "country": "GB"}}


def test_nothing_after_the_equals_sign_clears() -> None:
    """Blank is a value that can be wanted."""
    assert assigned(["phone=", "billing_address=", "metadata.plan="], {}) == {
        "phone": None,
        "billing_address": None,
        "metadata.plan": None,
    }


def test_a_value_may_hold_equals_signs_and_a_metadata_key_dots() -> None:
    """Only the first sign divides."""
    assert assigned(["url=https://a.test/?b=c", "metadata.a.b=c=d"], {}) == {
        "url": "https://a.test/?b=c",
        "metadata.a.b": "c=d",
    }


def test_lists_are_divided_by_commas() -> None:
    """Other e-mails are several."""
    assert assigned(["other_emails=a@x.test, b@x.test,"], {}) == {"other_emails": ["a@x.test", "b@x.test"]}


@pytest.mark.parametrize(
    "texts",
    [["phone"], ["=x"], [""], ["phone=1", "phone=2"], ["billing_address=Berlin"], ["billing_address.planet=Earth"]],
)
def test_what_makes_no_sense_is_refused_with_its_name(texts: list[str]) -> None:
    """A slip must not become a value."""
    with pytest.raises(InvalidInputError) as found:
        assigned(texts, {})
    assert found.value.field in ("set", "phone", "billing_address")
