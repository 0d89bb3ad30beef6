"""Amounts: exact, or refused."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.errors import InvalidInputError
from core.model.documents import Application, CreditNote, Dispute, Line, Payment
from core.model.money import allocated, exponent, from_minor, is_whole, product, spelled, to_minor, total_of, written


@pytest.mark.parametrize(("currency", "places"), [("JPY", 0), ("EUR", 2), ("KWD", 3), ("CLF", 4)])
def test_an_exponent_is_that_of_iso_4217(currency: str, places: int) -> None:
    """Nothing is times a hundred by habit."""
    assert exponent(currency) == places


@pytest.mark.parametrize("currency", ["", "eur", "XXX", "EURO", "XAU"])
def test_what_is_no_currency_to_pay_in_is_refused_with_a_cure(currency: str) -> None:
    """Gold has no smallest unit."""
    with pytest.raises(InvalidInputError, match="no currency") as caught:
        exponent(currency)
    assert (caught.value.field, caught.value.cure) == ("currency", "use an ISO 4217 code: EUR")


@pytest.mark.parametrize(
    ("amount", "places", "minor"), [("10.50", 2, 1050), ("10.999", 3, 10999), ("-0.01", 2, -1), ("7", 0, 7)]
)
def test_amounts_and_minor_units_turn_into_each_other(amount: str, places: int, minor: int) -> None:
    """Without a float in between."""
    assert to_minor(Decimal(amount), places) == minor
    assert from_minor(minor, places) == Decimal(amount)
    exponent = from_minor(minor, places).as_tuple().exponent
    assert isinstance(exponent, int)
    assert -exponent == places


@pytest.mark.parametrize("amount", ["10.999", "0.001", "NaN", "Infinity"])
def test_an_amount_finer_than_the_smallest_unit_is_refused_and_never_cut(amount: str) -> None:
    """10.999 is not 10.99."""
    with pytest.raises(InvalidInputError, match="smallest unit") as caught:
        to_minor(Decimal(amount), 2)
    assert (caught.value.field, caught.value.limit) == ("amount", "2 decimals")


def test_whole_is_what_the_smallest_unit_can_pay() -> None:
    """There is no tenth of a yen."""
    assert is_whole(Decimal("1.10"), "EUR")
    assert not is_whole(Decimal("1.1"), "JPY")
    assert is_whole(Decimal("1.234"), "KWD")


def test_sums_and_products_are_exact_beyond_the_usual_28_digits() -> None:
    """Decimal's own context would round them."""
    assert total_of([Decimal("1e30"), Decimal("0.01"), Decimal("-1e30")]) == Decimal("0.01")
    assert product(Decimal("0.123456789012"), Decimal("1234567890123456789.01")) == Decimal(
        "152415787531961603.43290657035812"
    )


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (-100, [1, 1, 1], [-34, -33, -33]),
        (5, [0, 0], [5, 0]),
        (7, [1, 0, 6], [1, 0, 6]),
        (1, [1, 3], [0, 1]),
        (0, [2, 3], [0, 0]),
    ],
)
def test_an_amount_is_divided_without_a_rest_the_largest_remainder_first(
    total: int, weights: list[int], parts: list[int]
) -> None:
    """The parts sum up, whatever the sign."""
    assert allocated(total, [Decimal(one) for one in weights]) == parts


def test_an_amount_cannot_be_divided_among_nobody() -> None:
    """It would be lost."""
    with pytest.raises(InvalidInputError, match="nothing to divide") as caught:
        allocated(1, [])
    assert caught.value.field == "lines"


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("5", "JPY", "5"),
        ("0", "USD", "0.00"),
        ("5.0", "KWD", "5.000"),
        ("1E+3", "USD", "1000.00"),
        ("5.001", "USD", "5.001"),
    ],
)
def test_an_amount_is_written_with_its_currencys_decimals(amount: str, currency: str, text: str) -> None:
    """Nobody asks whether 0 and 0.00 differ; what is finer is shown as it is."""
    assert spelled(Decimal(amount), currency) == text


def test_a_record_is_written_in_one_form_whatever_its_origin_sends() -> None:
    """One system says 0, another one 0.00 and a third 0.0: nobody who compares texts may see a difference."""
    line = Line(id="1", quantity=Decimal("2.5"), unit_amount=Decimal("0.125"), amount=Decimal("5.0"))
    note = CreditNote(
        id="1", customer="2", currency="USD", status="issued", lines=(line,), subtotal=Decimal("5.0"), total=Decimal(5)
    )
    told = written(note, "USD")
    assert (told["kind"], told["total"], told["subtotal"], told["applied"]) == ("credit_note", "5.00", "5.00", "0.00")
    (shown,) = told["lines"]
    assert (shown["quantity"], shown["unit_amount"], shown["amount"], shown["tax"]) == ("2.5", "0.125", "5.00", "0.00")
    assert shown["period_start"] is None


def test_a_fee_in_another_currency_stays_as_it_is_told() -> None:
    """Half a yen there is none: a dispute about yen may cost fifteen dollars and a half."""
    dispute = Dispute(id="1", status="lost", amount=Decimal(500), fee=Decimal("15.50"), fee_currency="USD")
    paid = (Application(invoice="3", amount=Decimal("500.0")),)
    payment = Payment(
        id="1", customer="2", currency="JPY", status="succeeded", amount=Decimal("500.00"), applications=paid,
        disputes=(dispute,),
    )  # fmt: skip
    told = written(payment, "JPY")
    assert (told["amount"], told["applications"][0]["amount"]) == ("500", "500")
    assert (told["disputes"][0]["amount"], told["disputes"][0]["fee"]) == ("500", "15.50")
