"""Invoices on the command line: synced on request, listed, shown, explained, aged, tied out."""

from __future__ import annotations

import pytest

from tests.integration.cli.conftest import Accord
from tests.support.paper import LINE, bill, pay
from tests.support.world import World


@pytest.fixture
def billed(agreed: World, accord: Accord) -> World:
    """One invoice of Stripe's, partly paid, with copies in the books and at HubSpot."""
    pay(agreed, bill(agreed, issued_on="2026-11-18"), "19.00")
    assert accord("sync").code == 0
    assert accord("sync", "--kind", "invoices").code == 0
    assert accord("sync", "--kind", "payments").code == 0
    return agreed


@pytest.mark.usefixtures("billed")
def test_an_invoice_is_listed_with_its_copies(accord: Accord) -> None:
    """Equal means seen equal, to the minor unit."""
    (one,) = accord("invoices", "list", "--json").json["documents"]
    assert {copy["connection"]: copy["agrees"] for copy in one["copies"]} == {"hubspot": True, "quickbooks": True}
    assert (one["document"]["total"], one["document"]["due"]) == ("119.00", "100.00")
    assert accord("invoices", "list", "--status", "void", "--json").json["documents"] == []
    assert "equal" in accord("invoices", "list").out
    (payment,) = accord("payments", "list", "--status", "succeeded", "--json").json["documents"]
    assert [copy["agrees"] for copy in payment["copies"]] == [True]
    assert accord("credit-notes", "list", "--json").json["documents"] == []


def test_an_invoice_is_found_by_its_number_and_by_its_id_at_the_origin(billed: World, accord: Accord) -> None:
    """Whatever a person has at hand."""
    (remote_id,) = billed.lookalikes["stripe"].neutral("invoice")
    number = billed.lookalikes["stripe"].neutral("invoice")[remote_id]["number"]
    by_number, by_id = (accord("invoices", "show", name, "--json").json for name in (number, remote_id))
    assert by_number == by_id
    paid = [one["document"] for one in by_number["settled_by"] if one["document"]["status"] == "succeeded"]
    assert [(one["kind"], one["amount"]) for one in paid] == [("payment", "19.00")]
    assert accord("explain", number, "--json").json == by_number
    assert "Seats" in accord("explain", number).out
    missing = accord("invoices", "show", "nonsense", "--json")
    assert (missing.code, missing.error["code"]) == (1, "not_found")


def test_what_is_held_says_why_where_the_invoice_is_shown(billed: World, accord: Accord) -> None:
    """A number that is taken, a period that is closed: the reason stands beside the copy."""
    bill(billed, "stripe", {**LINE, "description": "x" * 4001})
    assert accord("sync").code in (0, 3)
    assert accord("sync", "--kind", "invoices").code == 3
    held = [
        copy["held"]
        for one in accord("invoices", "list", "--json").json["documents"]
        for copy in one["copies"]
        if copy["held"]
    ]
    assert held
    assert "4000 characters" in str(held)
    (number,) = (
        one["document"]["number"]
        for one in accord("invoices", "list", "--json").json["documents"]
        if any(copy["held"] for copy in one["copies"])
    )
    shown = accord("explain", number).out
    ((asked,),) = (one for one in held)
    for part in (asked["id"], asked["field"], asked["limit"], asked["cure"]):
        assert part in shown, "what a person needs to answer the hold"


@pytest.mark.usefixtures("billed")
def test_what_is_due_is_shown_by_age(accord: Accord) -> None:
    """In each currency."""
    (one,) = accord("invoices", "ageing", "--json").json["ageing"]
    assert (one["currency"], one["total"]) == ("USD", "100.00")
    assert "100.00" in accord("invoices", "ageing").out


def test_a_period_is_tied_out(billed: World, accord: Accord) -> None:
    """Everything has an equal copy: 0. Something has none: 2, and its name."""
    found = accord("close", "2026-11", "--json")
    assert (found.code, found.json["differences"]) == (0, [])
    sums = {(one["connection"], one["kind"]): (one["matched"], one["matched_amount"]) for one in found.json["sums"]}
    assert sums["quickbooks", "invoice"] == (1, "119.00")
    assert sums["quickbooks", "payment"] == (1, "19.00")
    (copy_id,) = billed.lookalikes["quickbooks"].neutral("payment")
    billed.lookalikes["quickbooks"].edit("payment", copy_id, {"status": "void"})
    accord("sync")
    after = accord("close", "2026-11", "--json")
    assert after.code == 2
    found_now = [(one["kind"], one["outcome"]) for one in after.json["differences"]]
    assert found_now == [("invoice", "differs"), ("payment", "differs")], "what it settled is due again there"
    assert after.json["digest"] != found.json["digest"]
    assert "not equal" in accord("close", "2026").out
    odd = accord("close", "yesterday", "--json")
    assert (odd.code, odd.error["field"]) == (1, "period")


def test_a_period_can_be_closed_over_what_was_never_to_be_copied(billed: World, accord: Accord) -> None:
    """Void before anybody copied it, and issued before the books began: told, and no difference."""
    stripe = billed.lookalikes["stripe"]
    stripe.edit("invoice", bill(billed, issued_on="2026-11-18"), {"status": "void"})
    bill(billed, issued_on="1999-12-31", due_on="2000-01-31")
    assert accord("sync", "--kind", "invoices").code == 0
    for period, matched, outside in (("2026-11", 1, 1), ("1999-12", 0, 1)):
        found = accord("close", period, "--json")
        assert (found.code, found.json["differences"]) == (0, [])
        (books,) = (one for one in found.json["sums"] if (one["connection"], one["kind"]) == ("quickbooks", "invoice"))
        assert (books["matched"], books["outside"], books["missing"]) == (matched, outside, 0)
        assert books["amount"] == books["matched_amount"]


@pytest.mark.parametrize(
    ("words", "field", "told"),
    [
        (("invoices", "list", "--status", "nonsense"), "status", "uncollectible"),
        (("payments", "list", "--status", "paid"), "status", "succeeded"),
        (("invoices", "list", "--after", "zzz"), "after", "32 digits"),
        (("close", "2999-01"), "period", "2026-"),
    ],
)
@pytest.mark.usefixtures("agreed")
def test_a_filter_that_can_find_nothing_is_refused(
    accord: Accord, words: tuple[str, ...], field: str, told: str
) -> None:
    """An empty list would be believed, and a month that is to come would tie."""
    found = accord(*words, "--json")
    assert (found.code, found.error["field"]) == (1, field)
    assert told in found.error["limit"]


@pytest.mark.usefixtures("billed")
def test_a_month_that_is_not_over_is_tied_out_and_says_so(accord: Accord) -> None:
    """Documents may still come."""
    assert accord("close", "2026-11", "--json").json["is_over"] is False
    assert "not over" in accord("close", "2026-11").out
    assert accord("close", "2026-10", "--json").json["is_over"] is True
    assert "not over" not in accord("close", "2026-10").out


def test_a_hold_is_a_block_of_short_lines_where_nobody_has_a_terminal(billed: World, accord: Accord) -> None:
    """One row of a table was thousands of columns wide; and letters are shown as they are."""
    bill(billed, "stripe", {**LINE, "description": "Łódź"})
    accord("sync", "--kind", "invoices")
    lines = accord("holds").out.splitlines()
    assert any("'Ł'" in one for one in lines)
    assert any(one.split()[:1] == ["cure"] for one in lines)
    assert max(map(len, lines)) < 200
    (books,) = (one for one in accord("status").out.splitlines() if one.startswith("quickbooks documents:"))
    assert books == "quickbooks documents: 2 there, 1 to be copied, 1 held"
