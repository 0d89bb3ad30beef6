"""The billing overview as fields: one currency, the others named, blank without documents."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from core.model.decide import Snapshot, decide
from core.model.figures import FIGURES, figures_of, in_currency
from core.model.holds import Answer
from core.model.merge import digest_of
from core.model.overview import Overview
from core.model.policy import ConnectionPolicy, Policy
from core.model.projection import Projection
from core.model.remote import Remote
from core.model.values import Value, is_figure

OWED = "overview.outstanding"


def overview(currency: str, invoices: int, owed: str = "1", paid_on: date | None = None) -> Overview:
    """So many invoices in one currency."""
    amount = Decimal(owed)
    return Overview(
        currency=currency, gross_revenue=amount, outstanding=amount, last_paid_on=paid_on, invoices=invoices
    )


def test_a_customer_without_documents_has_no_figures() -> None:
    """Nothing is written about those who were never billed."""
    assert figures_of([], "USD") == {}


@pytest.mark.parametrize(
    ("field", "value", "currency", "told"),
    [
        (OWED, "157", "USD", "157.00"), (OWED, "157.5", "USD", "157.50"), (OWED, "157", "JPY", "157"),
        (OWED, "1.5", "KWD", "1.500"), (OWED, "157", None, "157"), (OWED, None, "USD", None),
        (OWED, "a lot", "USD", "a lot"), (OWED, "157", "none", "157"), (OWED, "0.005", "USD", "0.005"),
        ("overview.last_paid_on", "2026-11-20", "USD", "2026-11-20"),
    ],
)  # fmt: skip
def test_an_amount_is_shown_as_its_currency_is_written(field: str, value: Value, currency: Value, told: Value) -> None:
    """HubSpot gives a number back, which has no trailing zeros; what nobody can read is shown as it stands."""
    assert in_currency(field, value, currency) == told


def test_amounts_have_their_currency_s_decimals() -> None:
    """So that the same amount is always the same text."""
    one = figures_of([overview("USD", 1, "7", date(2026, 11, 20))], "")
    assert one == {
        "overview.currency": "USD",
        "overview.gross_revenue": "7.00",
        "overview.outstanding": "7.00",
        "overview.overdue": "0.00",
        "overview.last_paid_on": "2026-11-20",
        "overview.other_currencies": None,
    }
    assert tuple(one) == FIGURES
    assert all(map(is_figure, FIGURES))
    assert figures_of([overview("JPY", 1, "7")], "")[OWED] == "7"
    assert figures_of([overview("KWD", 1, "7.5")], "")[OWED] == "7.500"


@pytest.mark.parametrize(
    ("own", "main", "others"),
    [("EUR", "EUR", "JPY, USD"), ("", "JPY", "EUR, USD"), ("KWD", "JPY", "EUR, USD")],
)
def test_the_customer_s_own_currency_stands_there_or_the_one_with_most_invoices(
    own: str, main: str, others: str
) -> None:
    """Always the same one, whatever order they come in; of two with as many, the first by code."""
    found = [overview("EUR", 1), overview("USD", 3), overview("JPY", 3)]
    for some in (found, found[::-1]):
        told = figures_of(some, own)
        assert (told["overview.currency"], told["overview.other_currencies"]) == (main, others)


PROJECTION = Projection(
    fields=(OWED,),
    has_metadata=False,
    metadata_keys=None,
    canonical=lambda _field, value: value,
    refusal=lambda _field, _value: None,
    since={OWED: 1},
    translation=1,
)
POLICY = Policy(connections={"crm": ConnectionPolicy(name="crm", provider="hubspot")})


def seen(registry: Value, remote: Value, base: tuple[Value, Value] | None = None, **more: Any) -> Snapshot:
    """One figure, as the registry reckons it, as it stands there, and as it was agreed last."""
    found = Remote(id="1", fields={OWED: remote}, metadata_complete=True)
    agreed = {} if base is None else {OWED: base}
    return Snapshot(registry={OWED: registry}, sources={}, remote=found, base=agreed, **more)


@pytest.mark.parametrize("base", [None, ("7.00", "7.00"), (None, None), ("9.00", "9.00")])
def test_whatever_somebody_typed_over_a_figure_is_put_back(base: tuple[Value, Value] | None) -> None:
    """Even where the registry has none."""
    for registry in ("7.00", None):
        verdict = decide(seen(registry, "5", base), POLICY, "crm", PROJECTION)
        assert verdict.push == {OWED: registry}
        assert (verdict.pull, verdict.holds, verdict.replaced) == ({}, [], {})


def test_a_figure_that_is_put_back_again_and_again_is_a_fight_and_one_that_changes_is_none() -> None:
    """What a customer owes may go up and down as often as it likes."""
    fight = decide(seen("7.00", "5", ("7.00", "7.00"), flapping=frozenset({OWED})), POLICY, "crm", PROJECTION)
    assert [one.reason for one in fight.holds] == ["oscillation"]
    moved = decide(seen("8.00", "7.00", ("7.00", "7.00"), flapping=frozenset({OWED})), POLICY, "crm", PROJECTION)
    assert moved.push == {OWED: "8.00"}
    new = decide(seen("8.00", None, flapping=frozenset({OWED})), POLICY, "crm", PROJECTION)
    assert [one.reason for one in new.holds] == ["oscillation"]


def test_a_figure_is_never_taken_in_whatever_a_person_answers() -> None:
    """It is left as it stands there until the registry's changes."""
    answer = Answer("remote", digest_of("oscillation", OWED, "7.00", "5"))
    asked = seen("7.00", "5", ("7.00", "7.00"), flapping=frozenset({OWED}), answers={OWED: answer})
    verdict = decide(asked, POLICY, "crm", PROJECTION)
    assert (verdict.pull, verdict.push) == ({}, {})
    assert verdict.base == {OWED: ("7.00", "5")}
