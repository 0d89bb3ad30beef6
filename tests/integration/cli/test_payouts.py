"""The payout report on the command line: what is in it, to the minor unit, or the difference."""

from __future__ import annotations

import pytest

from tests.integration.cli.conftest import Accord, customer_id
from tests.support.paper import bill, pay
from tests.support.world import World


@pytest.fixture
def paid(agreed: World, accord: Accord) -> World:
    """An invoice of Stripe's that was paid and partly refunded, known to the registry."""
    payment = pay(agreed, bill(agreed, issued_on="2026-11-18"), "119.00")
    agreed.lookalikes["stripe"].edit("payment", payment, {"refunded": "19.00"})
    accord("sync")
    accord("sync", "--kind", "payments")
    return agreed


def test_a_payout_shows_its_sums_and_the_payments_in_it(paid: World, accord: Accord) -> None:
    """Each with its customer and invoice; gross, fees, refunds and net to the cent."""
    payout = paid.lookalikes["stripe"].edit("payout", None, {"currency": "USD"})
    found = accord("payouts", "show", "stripe", payout, "--json")
    assert found.code == 0
    sums = found.json["sums"]
    assert (sums["gross"], sums["fees"], sums["refunds"]) == ("119.00", "3.75", "-19.00")
    assert (sums["net"], found.json["amount"], sums["difference"]) == ("96.25", "96.25", "0.00")
    (number,) = (one["number"] for one in paid.lookalikes["stripe"].neutral("invoice").values())
    (paper,) = accord("payments", "list", "--status", "succeeded", "--json").json["documents"]
    for one in found.json["movements"]:
        assert (one["payments"], one["customer"], one["invoices"]) == ([paper["id"]], customer_id(paid), [number])
    assert found.json["unknown"] == 0
    drawn = accord("payouts", "show", "stripe", payout).out
    assert "96.25" in drawn
    assert number in drawn
    assert [one["id"] for one in accord("payouts", "list", "stripe", "--json").json["payouts"]] == [payout]
    assert payout in accord("payouts", "list", "stripe").out


def test_a_charge_that_paid_several_invoices_shows_all_of_them(agreed: World, accord: Accord) -> None:
    """It showed the first: whoever ticks off the bank's line took the others for unpaid."""
    bills = [bill(agreed, issued_on="2026-11-18") for _ in range(12)]
    parts = [{"invoice": one, "amount": "119.00"} for one in bills]
    pay(agreed, bills[0], "1428.00", applications=parts)
    accord("sync")
    accord("sync", "--kind", "payments")
    payout = agreed.lookalikes["stripe"].edit("payout", None, {"currency": "USD"})
    found = accord("payouts", "show", "stripe", payout, "--json").json
    (one,) = found["movements"]
    papers = accord("payments", "list", "--status", "succeeded", "--json").json["documents"]
    assert (one["amount"], one["customer"], found["unknown"]) == ("1428.00", customer_id(agreed), 0)
    assert sorted(one["payments"]) == sorted(paper["id"] for paper in papers)
    numbers = {paid["number"] for paid in agreed.lookalikes["stripe"].neutral("invoice").values()}
    assert (sorted(one["invoices"]), len(numbers)) == (sorted(numbers), 12)


def test_what_is_not_accounted_for_is_a_difference(paid: World, accord: Accord) -> None:
    """Of what a person sent to the bank, Stripe does not tell what it is made of."""
    sent = paid.lookalikes["stripe"].edit("payout", None, {"currency": "USD", "amount": "5.00"})
    found = accord("payouts", "show", "stripe", sent, "--json")
    assert (found.code, found.json["sums"]["difference"], found.json["movements"]) == (2, "5.00", [])
    assert "sent by a person" in accord("payouts", "show", "stripe", sent).out


def test_a_payment_that_the_registry_does_not_know_is_counted(paid: World, accord: Accord) -> None:
    """The sum is whole all the same."""
    pay(paid, bill(paid, issued_on="2026-11-19"), "119.00")
    payout = paid.lookalikes["stripe"].edit("payout", None, {"currency": "USD"})
    found = accord("payouts", "show", "stripe", payout, "--json")
    assert (found.code, found.json["unknown"]) == (0, 1)
    assert "not in the registry" in accord("payouts", "show", "stripe", payout).out


@pytest.mark.usefixtures("paid")
def test_a_payout_that_is_not_there_is_told(accord: Accord) -> None:
    """And a connection that has none."""
    missing = accord("payouts", "show", "stripe", "po_x", "--json")
    assert (missing.code, missing.error["code"]) == (1, "not_found")
    blank = accord("payouts", "show", "stripe", " ", "--json")
    assert (blank.error["field"], blank.error["problem"]) == ("payout", "is blank")
    other = accord("payouts", "list", "quickbooks", "--json")
    assert (other.code, other.error["field"]) == (1, "connection")
