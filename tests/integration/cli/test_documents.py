"""Invoices on the command line: synced on request, listed, shown, explained, aged, tied out."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from core.ports import HttpRequest, HttpResponse
from core.store import tables as tables_
from tests.integration.cli.conftest import Accord, customer_id
from tests.support.acting import with_settings
from tests.support.paper import LINE, bill, pay, shown, stripe_to_books
from tests.support.world import NAMES, World


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
    assert accord("invoices", "list", "--after", one["id"], "--json").json["documents"] == []
    assert accord("invoices", "list", "--after", payment["id"], "--json").error["field"] == "after"


def test_another_time_zone_than_documents_were_dated_by_is_told_and_nothing_is_read(
    billed: World, accord: Accord
) -> None:
    """Before a daemon meets it, and by each command that would read with it."""
    billed.config = with_settings(billed.config, "stripe", time_zone="Asia/Tokyo")
    told = "time_zone: documents were read with 'UTC', and it is 'Asia/Tokyo' now"
    assert [one["says"][: len(told)] for one in accord("doctor", "--json").json if one["state"] == "wrong"] == [told]
    result = accord("sync", "stripe", "--kind", "invoices", "--dry-run")
    assert result.code != 0
    assert "'UTC' back" in result.out + result.err


def test_where_an_invoice_has_no_copy_is_told_with_why(billed: World, accord: Accord) -> None:
    """Whoever looks for it in the books was shown nothing at all."""
    draft, void, empty = bill(billed, status="draft"), bill(billed), bill(billed, lines=[])
    billed.lookalikes["stripe"].edit("invoice", void, {"status": "void"})
    old = bill(billed, issued_on="1999-12-31")
    assert accord("sync", "stripe", "--kind", "invoices").code == 0
    told = {
        name: {one["why"] for one in accord("explain", name, "--json").json["uncopied"]}
        for name in (draft, void, empty, old)
    }
    assert told == {
        draft: {"what is draft is not copied"},
        void: {"it was void before it was copied"},
        empty: {"it is of nothing: no lines, and 0 to pay"},
        old: {"its day is before 2000-01-01 (since)"},
    }
    assert "void before it was copied" in " ".join(accord("explain", void).out.split())
    (copied,) = [one for one in accord("invoices", "list", "--json").json["documents"] if one["copies"]]
    assert accord("explain", copied["id"], "--json").json["uncopied"] == []


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


def test_a_copy_that_was_never_made_waits_and_did_not_change(agreed: World, accord: Accord) -> None:
    """Its document changed before: people looked for an edit of a copy that was not there."""
    assert accord("sync").code == 0
    invoice = bill(agreed, issued_on="2026-11-18")
    assert accord("sync", "stripe", "--kind", "invoices").code == 0
    pay(agreed, invoice, "19.00")
    assert accord("sync", "stripe", "--kind", "invoices").code == 0
    assert _waits(accord) == {"hubspot": "to be copied", "quickbooks": "to be copied"}
    assert "quickbooks: waits: to be copied" in " ".join(accord("invoices", "list").out.split())
    agreed.exchanges["quickbooks"] = lambda _: HttpResponse(429, {}, b"{}")
    accord("sync", "quickbooks", "--patience", "0")
    assert "; quickbooks is paused until " in _waits(accord)["quickbooks"]
    agreed.clock.time += 3600
    assert "paused" not in _waits(accord)["quickbooks"]


def _waits(accord: Accord) -> dict[str, str]:
    (one,) = accord("invoices", "list", "--json").json["documents"]
    return {copy["connection"]: copy["waits"] for copy in one["copies"]}


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
    drawn = accord("close", "2026").out
    assert "not equal" in drawn
    assert "stripe: payments of no invoice are not read, and are in nothing above" in drawn
    odd = accord("close", "yesterday", "--json")
    assert (odd.code, odd.error["field"]) == (1, "period")


def test_a_close_says_never_only_of_what_is_to_be_listed(world: World, accord: Accord) -> None:
    """Books that take copies only have nothing to list; a blank there looked as if nobody had ever read them."""
    world.config = stripe_to_books()
    lines = [line.split() for line in accord("close", "2026-11").out.splitlines()]
    shown = {line[0]: " ".join(line[2:]) for line in lines if line[1:2] == ["observing"]}
    assert shown == {"quickbooks": "nothing to list never", "stripe": "never never"}


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


def _kept(world: World) -> list[int]:
    """How many rows there are of whatever a dry run must not make."""
    tables = (tables_.MAPPINGS, tables_.INTENTS, tables_.JOURNAL, tables_.DIRTY, tables_.HOLDS, tables_.ONE_OFFS)
    counts = [sa.select(sa.func.count()).select_from(one) for one in tables]
    return world.db.read_now(lambda tx: [int(tx.execute(one).scalar_one()) for one in counts])


def test_a_dry_run_of_documents_says_what_the_sync_after_it_does_and_writes_nothing(
    billed: World, accord: Accord
) -> None:
    """An invoice to copy and its payment: of each kind, of everybody or of one customer."""
    fresh = bill(billed, issued_on="2026-11-18")
    pay(billed, fresh, "100.00")
    assert accord("sync", "stripe", "--kind", "invoices").code == 0
    assert accord("sync", "stripe", "--kind", "payments").code == 0
    before = (_kept(billed), [billed.writes(name) for name in NAMES])
    said = {}
    for kind in ("invoices", "payments"):
        for more in ((), ("--customer", customer_id(billed))):
            result = accord("sync", "quickbooks", "--kind", kind, "--dry-run", *more, "--json")
            (found,) = result.json["plans"]
            assert (result.code, found["items"], found["digest"]) == (2, [], "")
            said[kind, bool(more)] = [
                (one["kind"], one["outcome"], one["currency"], one["number"], one["amount"])
                for one in found["documents"]["sums"]
            ]
    assert said["invoices", True] == said["invoices", False] == [("invoice", "create", "USD", 1, "119.00")]
    assert said["payments", True] == said["payments", False] == [("payment", "create", "USD", 1, "100.00")]
    assert (_kept(billed), [billed.writes(name) for name in NAMES]) == before
    for kind in ("invoices", "payments"):
        assert accord("sync", "quickbooks", "--kind", kind).code == 0
    assert sorted(one["due"] for one in shown(billed, "quickbooks")) == ["100.00", "19.00"]
    assert [one["amount"] for one in shown(billed, "quickbooks", "payment")] == ["19.00", "100.00"]


def test_a_dry_run_of_documents_looks_at_copies_that_were_equal(billed: World, accord: Accord) -> None:
    """Somebody edited one, and no webhook came: the sync would ask, and so the dry run says."""
    copies = billed.lookalikes["quickbooks"]
    (invoice,) = copies.neutral("invoice")
    copies.edit("invoice", invoice, {"lines": [{**LINE, "unit_amount": "70.00"}]})
    (found,) = accord("plan", "quickbooks", "--json").json["plans"]
    assert found["documents"]["sums"] == [], "what was last seen"
    result = accord("sync", "quickbooks", "--kind", "invoices", "--dry-run", "--json")
    (found,) = result.json["plans"]
    assert [one["outcome"] for one in found["documents"]["sums"]] == ["hold"]
    assert result.code == 3
    assert accord("sync", "quickbooks", "--kind", "invoices").code == 3
    assert "1 hold" in accord("plan", "quickbooks").out


def _untaken(found: Any) -> list[tuple[str, str, str, int, str]]:
    """What a dry run says of documents at their origins."""
    return [
        (plan["connection"], one["kind"], one["outcome"], one["number"], one["amount"])
        for plan in found["plans"]
        for one in plan["documents"]["sums"]
    ]


def test_a_dry_run_of_documents_tells_what_the_origin_has_that_nobody_took(billed: World, accord: Accord) -> None:
    """A new invoice, and an old one that was paid since; of one customer, what is known of theirs."""
    (old,) = billed.lookalikes["stripe"].neutral("invoice")
    assert _untaken(accord("sync", "--kind", "invoices", "--dry-run", "--json").json) == []
    bill(billed, issued_on="2026-11-18")
    pay(billed, old, "40.00")
    before = (_kept(billed), [billed.writes(name) for name in NAMES])
    result = accord("sync", "--kind", "invoices", "--dry-run", "--json")
    assert (result.code, _untaken(result.json)) == (2, [("stripe", "invoice", "take", 2, "238.00")])
    assert "2 take" in accord("sync", "stripe", "--kind", "invoices", "--dry-run").out
    result = accord("sync", "stripe", "--kind", "invoices", "--customer", customer_id(billed), "--dry-run", "--json")
    assert _untaken(result.json) == [("stripe", "invoice", "take", 1, "119.00")]
    result = accord("sync", "stripe", "--kind", "payments", "--dry-run", "--json")
    told = [("stripe", "payment", "take", 2, "100.00"), ("stripe", "payment", "wait", 1, "119.00")]
    assert _untaken(result.json) == told, "with two that are pending, one of them of an invoice that nobody took"
    assert (_kept(billed), [billed.writes(name) for name in NAMES]) == before
    assert accord("sync", "--kind", "invoices").code in (0, 1)
    assert accord("sync", "--kind", "payments").code == 0
    for kind in ("invoices", "payments"):
        assert _untaken(accord("sync", "--kind", kind, "--dry-run", "--json").json) == []


def test_a_dry_run_of_documents_names_what_it_cannot_understand_or_read(billed: World, accord: Accord) -> None:
    """The rest is told, and the exit code says that it is not all."""
    plain = billed.exchanges["stripe"]

    def garbled(request: HttpRequest) -> HttpResponse:
        answer = plain(request)
        return replace(answer, body=answer.body.replace(b'"currency": "usd"', b'"currency": "xxx"'))

    billed.exchanges["stripe"] = garbled
    result = accord("sync", "--kind", "invoices", "--dry-run")
    assert "cannot be understood" in result.err
    billed.exchanges["stripe"] = lambda _request: HttpResponse(status=401, headers={}, body=b"{}")
    assert accord("sync", "--kind", "invoices", "--dry-run").code == 1


@pytest.mark.parametrize(
    ("words", "field", "told"),
    [
        (("invoices", "list", "--status", "nonsense"), "status", "uncollectible"),
        (("payments", "list", "--status", "paid"), "status", "succeeded"),
        (("invoices", "list", "--after", "zzz"), "after", "32 digits"),
        (("invoices", "list", "--after", "0" * 32), "after", "that was listed"),
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
    assert books == "quickbooks documents: 2 there, 0 not equal, 1 to be copied, 1 held"


def test_status_counts_the_copies_that_are_not_equal(billed: World, accord: Accord) -> None:
    """What is held hid that money differs; finance had to close a month to see it."""
    assert _counted(accord) == {"hubspot": (0, 0), "quickbooks": (0, 0), "stripe": (0, 0)}
    (copy_id,) = billed.lookalikes["quickbooks"].neutral("invoice")
    billed.lookalikes["quickbooks"].edit("invoice", copy_id, {"lines": [{**LINE, "quantity": "3"}]})
    billed.clock.time += 300
    assert accord("sync").code == 3
    assert _counted(accord) == {"hubspot": (0, 0), "quickbooks": (1, 1), "stripe": (0, 0)}
    assert "quickbooks documents: 2 there, 1 not equal, 0 to be copied, 1 held" in accord("status").out


def _counted(accord: Accord) -> dict[str, tuple[int, int]]:
    """How many copies are not equal, and how many documents are held, by connection."""
    rows = accord("status", "--json").json["connections"]
    return {one["connection"]: (one["documents"]["unequal"], one["documents"]["held"]) for one in rows}


def test_what_a_person_let_go_of_is_told_apart_and_lets_a_period_tie_out(billed: World, accord: Accord) -> None:
    """It was missing for ever, though somebody had decided: no month with such a document could be closed."""
    bill(billed, "stripe", {**LINE, "description": "x" * 4001}, issued_on="2026-11-18")
    assert accord("sync").code in (0, 3)
    assert accord("sync", "--kind", "invoices").code == 3
    before = accord("close", "2026-11", "--json")
    assert (before.code, [one["outcome"] for one in before.json["differences"]]) == (2, ["missing"])
    (hold,) = accord("holds", "--json").json
    assert accord("holds", "answer", hold["id"], "leave").code == 0

    after = accord("close", "2026-11", "--json")
    assert (after.code, after.json["differences"]) == (0, [])
    (left,) = after.json["left"]
    assert (left["connection"], left["amount"], left["by"][:4]) == ("quickbooks", "119.00", "cli:")
    (books,) = (one for one in after.json["sums"] if (one["connection"], one["kind"]) == ("quickbooks", "invoice"))
    counted = {name: books[name] for name in ("matched", "missing", "left", "amount", "matched_amount", "left_amount")}
    assert counted == {
        "matched": 1, "missing": 0, "left": 1, "amount": "119.00", "matched_amount": "119.00", "left_amount": "119.00",
    }  # fmt: skip
    assert after.json["digest"] != before.json["digest"]
    shown = accord("close", "2026-11").out
    assert "let go of by a person" in shown
    assert left["number"] in shown
    assert "0 not equal, 1 left, 0 not taken" in shown


def test_documents_of_unknown_customers_are_told_apart_and_keep_no_sync_from_agreeing(
    billed: World, accord: Accord
) -> None:
    """They waited for ever, and no sync of a company with customers out of scope ever ended well."""
    scope = msgspec.structs.replace(billed.config.policy.connections["stripe"], enters="marked")
    policies = {**billed.config.policy.connections, "stripe": scope}
    billed.config = replace(billed.config, policy=msgspec.structs.replace(billed.config.policy, connections=policies))
    billed.start()
    other = billed.lookalikes["stripe"].edit("customer", None, {"name": "Out Of Scope", "email": "out@example.test"})
    bill(billed, customer=other)
    billed.clock.time += 300
    assert accord("sync").code == 0
    result = accord("sync", "--kind", "invoices", "--json")
    assert (result.code, result.json["waiting"]) == (0, 0)
    (stripe,) = (one for one in accord("status", "--json").json["connections"] if one["connection"] == "stripe")
    assert (stripe["waiting"], stripe["documents"]["ownerless"]) == (0, 1)
    assert ", 1 of unknown customers" in accord("status").out


def test_a_document_that_cannot_be_taken_is_explained_by_its_number_and_by_its_id(
    billed: World, accord: Accord
) -> None:
    """Its customer is asked about: nobody could tell why the books do not have the invoice, or that it is there."""
    stripe = billed.lookalikes["stripe"]
    other = stripe.edit("customer", None, {"name": "Ben", "email": "ada@example.test"})
    invoice = bill(billed, customer=other, issued_on="2026-11-18")
    number = stripe.neutral("invoice")[invoice]["number"]
    accord("sync")
    sums = _untaken(accord("sync", "stripe", "--kind", "invoices", "--dry-run", "--json").json)
    assert sums == [("stripe", "invoice", "wait", 1, "119.00")]
    accord("sync", "--kind", "invoices")
    (hold,) = accord("holds", "--json").json
    for name in (number, invoice):
        (wait,) = accord("explain", name, "--json").json["waits"]
        assert (wait["connection"], wait["remote_id"], wait["number"]) == ("stripe", invoice, number)
        assert wait["cure"] == f"answer hold {hold['id']}"
        assert hold["id"] in accord("explain", name).out
        missing = accord("invoices", "show", name, "--json")
        assert (missing.code, missing.error["code"]) == (1, "not_found")
        assert other in missing.error["problem"]
        assert missing.error["cure"] == f"answer hold {hold['id']}"
    waits = [one for one in accord("failures", "--json").json if one["state"] == "waiting"]
    assert [(one["subject"], one["cure"]) for one in waits] == [(f"d:invoice:{invoice}", f"answer hold {hold['id']}")]
    assert f"d:invoice:{invoice}" in accord("failures").out
    found = accord("close", "2026-11", "--json")
    assert (found.code, [one["remote_id"] for one in found.json["untaken"]]) == (2, [invoice])
    assert hold["id"] in accord("close", "2026-11").out
    assert accord("retry", "stripe", f"d:invoice:{invoice}", "--json").json["retried"] == 1
    accord("holds", "answer", hold["id"], "create")
    accord("sync")
    accord("sync", "--kind", "invoices")
    assert accord("failures", "--json").json == []
    assert accord("invoices", "show", number, "--json").json["waits"] == []


def _sheet(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.usefixtures("billed")
def test_a_tie_out_is_a_file_for_the_closing_papers(accord: Accord, tmp_path: Path) -> None:
    """Every row says what it is; the last one how it came out, and the digest that the screen shows, too."""
    file = tmp_path / "close.csv"
    shown_there = accord("close", "2026-11", "--out", str(file), "--json")
    rows = _sheet(file)
    assert (shown_there.code, rows[-1]["what"], rows[-1]["is_tied"]) == (0, "close", "yes")
    assert (rows[-1]["period"], rows[-1]["digest"]) == ("2026-11", shown_there.json["digest"])
    sums = {(one["connection"], one["kind"]): one for one in rows if one["what"] == "sums"}
    assert (sums["quickbooks", "invoice"]["matched"], sums["quickbooks", "invoice"]["amount"]) == ("1", "119.00")
    assert {one["connection"] for one in rows if one["what"] == "connections"} == {"hubspot", "quickbooks", "stripe"}
    odd = accord("close", "2026-11", "--out", str(tmp_path / "no" / "such" / "place.csv"))
    assert odd.code == 1
    assert "cannot be written" in odd.err


def test_what_a_provider_wrote_is_no_formula_in_a_tie_out_s_file(billed: World, accord: Accord, tmp_path: Path) -> None:
    """A number of an invoice is a text that anybody may have typed; an amount stays a number."""
    file, stripe = tmp_path / "close.csv", billed.lookalikes["stripe"]
    other = stripe.edit("customer", None, {"name": "Ben", "email": "ada@example.test"})
    bill(billed, customer=other, issued_on="2026-11-18", number="=cmd|' /C calc'!A0")
    bill(billed, "stripe", {"description": "Back", "amount": "-20.00"}, customer=other, issued_on="2026-11-18")
    accord("sync")
    accord("sync", "--kind", "invoices")
    (copy_id,) = billed.lookalikes["quickbooks"].neutral("payment")
    billed.lookalikes["quickbooks"].edit("payment", copy_id, {"status": "void"})
    accord("sync")
    found = accord("close", "2026-11", "--out", str(file))
    rows = _sheet(file)
    assert (found.code, rows[-1]["is_tied"]) == (2, "no")
    assert rows[-1]["digest"] in found.out
    untaken = {one["number"]: one for one in rows if one["what"] == "untaken"}
    assert untaken["'=cmd|' /C calc'!A0"]["amount"] == "119.00", "no formula"
    assert {one["amount"] for one in untaken.values()} == {"119.00", "-20.00"}, "amounts stay numbers"
    assert all(one["why"] and one["cure"] for one in untaken.values())
    assert {one["outcome"] for one in rows if one["what"] == "differences"} == {"differs"}
    on_stdout = accord("close", "2026-11", "--out", "-")
    assert on_stdout.code == 2
    assert on_stdout.out.splitlines()[-1].endswith(rows[-1]["digest"])


@pytest.mark.usefixtures("billed")
def test_what_is_due_by_age_is_a_file_with_its_day_and_digest(accord: Accord, tmp_path: Path) -> None:
    """Of another day it is another report."""
    file = tmp_path / "ageing.csv"
    told = accord("invoices", "ageing", "--out", str(file), "--json").json
    due, owing, last = _sheet(file)
    assert (due["what"], due["currency"], due["not_yet"], due["more"], due["total"]) == (
        "due", "USD", "100.00", "0.00", "100.00"
    )  # fmt: skip
    assert (owing["what"], owing["customer"], owing["total"]) == (
        "customer",
        told["customers"][0]["customer"],
        "100.00",
    )
    assert (last["what"], last["day"], last["digest"]) == ("ageing", told["day"], told["digest"])
    assert told["digest"] in accord("invoices", "ageing").out


def test_what_is_due_tells_who_owes_it_and_by_which_invoices(
    billed: World, agreed: World, accord: Accord, tmp_path: Path
) -> None:
    """Nobody could collect by the sums alone."""
    name = customer_id(agreed)
    accord("customers", "update", name, "--set", "name==Ada")
    (listed,) = accord("invoices", "list", "--json").json["documents"]
    short = accord("invoices", "ageing", "--json").json
    assert short["customers"] == [
        {"customer": name, "name": "=Ada", "currency": "USD", "buckets": ["100.00", *["0.00"] * 4], "total": "100.00"}
    ]
    assert "invoices" not in short
    file = tmp_path / "ageing.csv"
    told = accord("invoices", "ageing", "--invoices", "--out", str(file), "--json").json
    (one,) = told["invoices"]
    assert (one["id"], one["customer"], one["bucket"], one["due"], one["days_overdue"]) == (
        listed["id"], name, "not_yet", "100.00", 0
    )  # fmt: skip
    assert told["digest"] != short["digest"], "it is of what is shown"
    bill = next(row for row in _sheet(file) if row["what"] == "invoice")
    assert (bill["number"], bill["name"], bill["not_yet"], bill["to_30"], bill["total"]) == (
        one["number"], "'=Ada", "100.00", "", "100.00"
    )  # fmt: skip
    drawn = accord("invoices", "ageing", "--invoices").out
    assert one["number"] in drawn
    assert "who owes it" in drawn
    billed.clock.time += 86400 * 400
    assert accord("invoices", "ageing", "--invoices", "--json").json["digest"] != told["digest"]


def _group(agreed: World, accord: Accord) -> tuple[str, str]:
    """A parent and its child, each billed 119.00, with 5.00 credited; 19.00 and 20.00 are paid."""
    stripe = agreed.lookalikes["stripe"]
    child = stripe.edit("customer", None, {"name": "Child", "email": "child@example.test"})
    ours = next(iter(stripe.neutral("customer")))
    for customer, amount in ((ours, "19.00"), (child, "20.00")):
        invoice = bill(agreed, customer=customer)
        pay(agreed, invoice, amount, customer=customer)
        stripe.edit("credit_note", None, {"invoice": invoice, "lines": [{"amount": "5.00"}]})
    accord("sync")
    for kind in ("invoices", "payments"):
        accord("sync", "--kind", kind)
    known = accord("customers", "list", "--json").json["customers"]
    parent, below = (
        one["external_customer_id"] for one in sorted(known, key=lambda one: one["fields"]["name"] == "Child")
    )
    assert accord("customers", "update", below, "--set", f"parent={parent}").code == 0
    return parent, below


def test_a_customers_documents_are_listed_with_those_of_its_children(agreed: World, accord: Accord) -> None:
    """A group pays for its subsidiaries."""
    parent, below = _group(agreed, accord)
    for group in ("invoices", "payments", "credit-notes"):
        for asked, owners in (
            ((parent,), {parent}),
            ((parent, "--children"), {parent, below}),
            ((below, "--children"), {below}),
        ):
            found = accord(group, "list", "--customer", *asked, "--json").json["documents"]
            assert {one["customer"] for one in found} == owners, (group, asked)
    refused = accord("invoices", "list", "--children", "--json")
    assert (refused.code, refused.error["field"]) == (1, "children")


def test_what_a_customers_documents_add_up_to_is_shown_with_its_childrens(agreed: World, accord: Accord) -> None:
    """What a person at the phone is asked: how much is open, and since when did nobody pay."""
    parent, below = _group(agreed, accord)
    (own,) = accord("customers", "overview", below, "--json").json["overview"]
    assert own == {
        "currency": "USD", "gross_revenue": "114.00", "outstanding": "94.00", "overdue": "0.00", "paid": "20.00",
        "last_paid_on": own["last_paid_on"], "invoices": 1,
    }  # fmt: skip
    assert accord("customers", "overview", below, "--children", "--json").json["overview"] == [own]
    (both,) = accord("customers", "overview", parent, "--children", "--json").json["overview"]
    assert (both["outstanding"], both["paid"], both["invoices"]) == ("189.00", "39.00", 2)
    seen = accord("customers", "overview", parent, "--children").out
    assert all(part in seen for part in ("gross revenue", "228.00", "189.00"))
    assert accord("customers", "create", "quiet", "--set", "name=Quiet").code == 0
    assert "quiet has no documents that count" in accord("customers", "overview", "quiet").out
    missing = accord("customers", "overview", "nobody", "--json")
    assert (missing.code, missing.error["code"]) == (1, "not_found")
