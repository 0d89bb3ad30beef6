"""Whose a document is, and in whose books it belongs."""

from __future__ import annotations

from typing import Any

import pytest

from core.model.entities import Owner, Place, Route, listed, owner_of, route, route_of_settler, routing
from core.model.policy import ConnectionPolicy, DocumentPolicy, Policy

US, EU = Place(entities=("us", "ca")), Place(entities=("eu",))
BOOKED_US = Place(entities=("us", "ca"), is_booked=True)


def policy(**changes: Any) -> Policy:
    """One origin, and books of three entities."""
    told = {
        "stripe": DocumentPolicy(originates=("invoice",), **changes),
        "books-us": DocumentPolicy(mirrors=("invoice",), entities=("us", "ca")),
        "books-eu": DocumentPolicy(mirrors=("invoice",), entities=("eu",)),
    }
    scopes = {name: ConnectionPolicy(name=name, provider="any", documents=one) for name, one in told.items()}
    return Policy(connections=scopes)


def test_every_entity_that_has_books_is_known() -> None:
    """In order, for people to choose from."""
    assert listed(policy()) == ("ca", "eu", "us")


def test_what_policy_says_of_some_books_is_told_in_one_order() -> None:
    """A plan is approved for exactly this, however the file is sorted."""
    field = "metadata.entity"
    told = [("books-eu", ["eu"], "", field), ("books-us", ["ca", "us"], "", field), ("stripe", [], "", field)]
    assert routing(policy(), "books-us") == told
    turned = Policy(connections=dict(reversed([*policy().connections.items()])))
    assert routing(turned, "books-us") == told


def test_another_entity_or_field_of_an_origin_is_another_policy() -> None:
    """An entity that is called as a field is not that field."""
    found = [
        routing(policy(), "books-eu"),
        routing(policy(entity="eu"), "books-eu"),
        routing(policy(entity="currency"), "books-eu"),
        routing(policy(entity_field="currency"), "books-eu"),
    ]
    assert len({str(one) for one in found}) == len(found)


def test_books_of_no_entity_are_told_of_none() -> None:
    """They get every document, whoever else has books."""
    assert routing(policy(), "stripe") == []
    assert routing(policy(), "gone") == []


def test_the_customers_field_says_whose_its_documents_are() -> None:
    """Policy names the field."""
    assert owner_of(policy(), "stripe", "ada", {"metadata.entity": "eu"}) == Owner("eu")
    assert owner_of(policy(entity_field="currency"), "stripe", "ada", {"currency": "us"}) == Owner("us")


def test_an_origin_of_one_entity_says_it_for_all_its_documents() -> None:
    """Whatever stands on the customer."""
    assert owner_of(policy(entity="eu"), "stripe", "ada", {"metadata.entity": "us"}) == Owner("eu")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "metadata.entity of customer ada is not set; set it to one of: ca, eu, us"),
        ("US", "metadata.entity of customer ada is 'US', which no connection lists; set it to one of: ca, eu, us"),
        ("eu ", "metadata.entity of customer ada is 'eu ', which no connection lists; set it to one of: ca, eu, us"),
    ],
)
def test_what_is_not_known_is_said_with_field_value_and_what_to_do(value: str | None, problem: str) -> None:
    """Nothing is guessed: not even a letter's case."""
    assert owner_of(policy(), "stripe", "ada", {"metadata.entity": value}) == Owner(
        "", f"its entity is not known: {problem}"
    )


def test_an_origin_whose_entity_has_no_books_any_more_is_named() -> None:
    """The file was changed since."""
    found = owner_of(policy(entity="uk"), "stripe", "ada", {})
    assert found.missing.startswith("its entity is not known: entity of stripe is 'uk', which no connection lists")


def test_a_connection_that_was_taken_out_of_the_file_goes_by_the_customer() -> None:
    """Its documents are still known."""
    assert owner_of(policy(), "gone", "ada", {"metadata.entity": "us"}) == Owner("us")


@pytest.mark.parametrize(
    ("entity", "here", "others", "where"),
    [
        ("us", US, [EU], "here"),
        ("ca", US, [EU], "here"),
        ("eu", US, [EU], "elsewhere"),
        ("", US, [EU], "unknown"),
        # booked here: it stays, and another's is asked about
        ("us", BOOKED_US, [EU], "here"),
        ("ca", BOOKED_US, [EU], "here"),
        ("", BOOKED_US, [EU], "here"),
        ("eu", BOOKED_US, [EU], "misplaced"),
        ("eu", Place(entities=("us",), is_booked=True, accepted="eu"), [EU], "here"),
        ("uk", Place(entities=("us",), is_booked=True, accepted="eu"), [EU], "misplaced"),
        # booked in other books: never a second time here
        ("eu", EU, [BOOKED_US], "elsewhere"),
        ("", EU, [BOOKED_US], "elsewhere"),
        ("us", EU, [BOOKED_US], "elsewhere"),
        # both are books of the same entity
        ("us", US, [BOOKED_US], "here"),
        ("ca", Place(entities=("us",)), [BOOKED_US], "elsewhere"),
    ],
)
def test_a_document_is_booked_in_the_books_of_its_entity_and_once(
    entity: str, here: Place, others: list[Place], where: Route
) -> None:
    """Where it is booked already counts for more than whose it is by now."""
    assert route(entity, here, others) == where


@pytest.mark.parametrize(
    ("invoices", "is_booked", "is_booked_wrongly", "where"),
    [
        (["here"], False, False, "here"),
        (["misplaced"], False, False, "here"),
        (["here", "misplaced"], False, False, "here"),
        (["elsewhere"], False, False, "elsewhere"),
        (["unknown"], False, False, "unknown"),
        (["here", "unknown"], False, False, "unknown"),
        (["elsewhere", "unknown"], False, False, "unknown"),
        (["here", "elsewhere"], False, False, "split"),
        (["misplaced", "elsewhere"], True, False, "split"),
        (["here"], True, False, "here"),
        (["unknown"], True, False, "here"),
        (["elsewhere"], True, False, "misplaced"),
        # what it settles has left the books that it is in
        (["here"], False, True, "elsewhere"),
        (["unknown"], False, True, "elsewhere"),
    ],
)
def test_what_settles_invoices_is_booked_with_them(
    invoices: list[Route], where: Route, *, is_booked: bool, is_booked_wrongly: bool
) -> None:
    """Wherever its customer belongs by now; and nowhere by itself where they are in several books."""
    assert route_of_settler(invoices, is_booked=is_booked, is_booked_wrongly=is_booked_wrongly) == where
