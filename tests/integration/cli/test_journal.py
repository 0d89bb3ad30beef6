"""`accord journal export` and its route: what was done can be shown to whoever asks."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from core.store import failures, journal
from tests.integration.cli.conftest import Accord, Result, customer_id, edit
from tests.support.paper import bill
from tests.support.world import NAMES, World


def lines(result: Result) -> list[dict[str, Any]]:
    """What was written, an entry a line."""
    assert result.code == 0, result.err
    return [json.loads(one) for one in result.out.splitlines()]


def test_every_entry_is_a_line(agreed: World, accord: Accord) -> None:
    """What an activation and an edit did, and who."""
    name = customer_id(agreed)
    accord("customers", "update", name, "--set", "phone=+4930111")
    found = lines(accord("journal", "export"))
    assert [one["change"] for one in found] == list(range(1, agreed.db.read_now(journal.last_id) + 1))
    assert {one["action"] for one in found} >= {"activate", "enter", "create", "edit"}
    last = found[-1]
    assert (last["external_customer_id"], last["kind"], last["actor"][:4]) == (name, "customer", "cli:")
    assert last["changes"]["phone"] == {"old": None, "new": "+4930111", "rule": "entered by hand"}
    assert last["at"].endswith("+00:00")


def test_filters_let_through_what_is_asked_for(agreed: World, accord: Accord) -> None:
    """By who, where, whom and when; both ends of a day count."""
    name = customer_id(agreed)
    accord("customers", "create", "B", "--set", "name=Bob")
    day = 86400
    agreed.clock.time += 3 * day
    accord("customers", "update", "B", "--set", "name=Bert")
    accord("customers", "archive", "B", "--yes")
    every = lines(accord("journal", "export"))
    today = every[-1]["at"][:10]
    assert [one["action"] for one in lines(accord("journal", "export", "--customer", "B"))] == [
        "create", "edit", "delete"
    ]  # fmt: skip
    assert {one["action"] for one in lines(accord("journal", "export", "--since", today))} == {"edit", "delete"}
    assert len(lines(accord("journal", "export", "--until", every[0]["at"]))) >= 1
    assert lines(accord("journal", "export", "--since", today, "--until", today)) == every[-2:]
    assert {one["connection"] for one in lines(accord("journal", "export", "--connection", "hubspot"))} == {"hubspot"}
    who = every[-1]["actor"]
    assert {one["actor"] for one in lines(accord("journal", "export", "--actor", who))} == {who}
    assert {one["external_customer_id"] for one in lines(accord("journal", "export", "--customer", name))} == {name}


def test_a_time_that_ends_before_it_begins_is_refused(accord: Accord) -> None:
    """Nothing was written, as if nothing had been done."""
    result = accord("--json", "journal", "export", "--since", "2026-12-01", "--until", "2026-11-01")
    assert (result.code, result.error["field"]) == (1, "since")
    assert "2026-12-01 is later than until 2026-11-01" in result.error["problem"]


def test_what_happened_to_a_customers_documents_is_the_customers(agreed: World, accord: Accord) -> None:
    """Who asked for all of one customer got nothing of what was billed."""
    name = customer_id(agreed)
    invoice = bill(agreed, issued_on="2026-11-18")
    assert accord("sync").code == 0
    assert accord("sync", "--kind", "invoices").code == 0
    accord("customers", "create", "B", "--set", "name=Bob")
    theirs = lines(accord("journal", "export", "--customer", name))
    told = [(one["kind"], one["remote_id"]) for one in theirs if one["kind"] == "invoice"]
    assert ("invoice", invoice) in told
    assert {one["external_customer_id"] for one in theirs} == {name}
    assert {one["kind"] for one in lines(accord("journal", "export", "--customer", "B"))} == {"customer"}


def test_who_asked_for_a_sync_or_a_retry_is_told(agreed: World, accord: Accord) -> None:
    """Of every connection that was asked, and nothing of one where nothing failed."""
    row = failures.Failure(
        connection="stripe", subject="r:cus_odd", code="bad_record", message="no JSON", state="dead",
        first_at=1, last_at=1,
    )  # fmt: skip
    agreed.db.run_now(lambda tx: failures.record(tx, [row]))
    accord("retry")
    accord("sync", "--full")
    accord("sync", "stripe", "--kind", "invoices", "--customer", customer_id(agreed))
    theirs = [one for one in lines(accord("journal", "export")) if one["action"] in ("sync", "retry")]
    told = [(one["action"], one["connection"], [it["new"] for it in one["changes"].values()]) for one in theirs]
    assert told == [
        ("retry", "stripe", ["1"]),
        *(("sync", name, ["full"]) for name in sorted(NAMES)),
        ("sync", "stripe", ["documents", ["invoice", "credit_note"], "1"]),
    ]
    assert {one["actor"][:4] for one in theirs} == {"cli:"}
    assert all(one["trace"] for one in theirs)


@pytest.mark.parametrize(
    "given",
    [
        ("--connection", "nope"), ("--customer", "nope"), ("--customer", "(erased)"), ("--customer", "a\0b"),
        ("--actor", "nobody"), ("--actor", "a\0b"), ("--since", "yesterday"), ("--until", "0000-01-01"), ("--json",),
    ],
)  # fmt: skip
def test_what_never_was_is_refused(agreed: World, accord: Accord, given: tuple[str, ...]) -> None:
    """An empty file would be believed."""
    assert agreed.hub.instance
    refused = accord("journal", "export", *given)
    assert (refused.code, "problem" in refused.out or bool(refused.err)) == (1, True)


def test_a_csv_file_runs_no_formula(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """A row for each field; what somebody wrote into a name at a provider is a text."""
    edit(agreed, "hubspot", name="=cmd|' /C calc'!A0")
    accord("sync")
    file = tmp_path / "journal.csv"
    told = accord("journal", "export", str(file), "--json").json
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"))))
    assert told == {"file": str(file), "entries": len({one["change"] for one in rows})}
    (pulled,) = [one for one in rows if (one["action"], one["field"], one["what"]) == ("pull", "name", "change")]
    assert (pulled["old"], pulled["new"]) == ("Ada Lovelace", "'=cmd|' /C calc'!A0")
    assert accord("journal", "export", "--format", "csv").out.startswith("change,at,what,")


def test_of_an_erased_customer_nothing_is_told(agreed: World, accord: Accord) -> None:
    """That something was done stays; what it was does not."""
    name = customer_id(agreed)
    accord("customers", "update", name, "--set", "phone=+4930111")
    assert accord("customers", "erase", name, "--yes").code in (0, 2)
    result = accord("journal", "export")
    theirs = [one for one in lines(result) if one["kind"] == "customer"]
    assert {one["external_customer_id"] for one in theirs} == {"(erased)"}
    assert [word for word in ("Ada", "+4930111", "ada@example.test") if word in result.out] == []
    assert accord("journal", "export", "--customer", name).code == 1
