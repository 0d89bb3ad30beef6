"""`accord demo` as anybody runs it: three systems over HTTP, a second pass, and the verdict as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.world import SECRETS

LONGEST_SECONDS = 240
SCRIPT = "import sys, run_daemon; sys.exit(run_daemon.main(sys.argv[1:]))"
PUBLIC = {"sandbox-client"}
"""An OAuth client's id stands in the address of the consent page."""
Played = tuple[Path, dict[str, Any], str]
"""What it left behind: the folder, the verdict, and all that it printed."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """A small one, bounded."""
    folder = tmp_path_factory.mktemp("demo")
    told = ["demo", "--customers", "60", "--invoices", "90", "--json", "--dump", str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *told], check=False, capture_output=True, text=True, timeout=LONGEST_SECONDS
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder, json.loads(done.stdout), done.stdout + done.stderr


def test_the_demo_agrees_copies_every_document_and_writes_nothing_twice(played: Played) -> None:
    """Seeded, planned, activated, billed, judged, judged again."""
    folder, result, _ = played
    assert (result["agree"], result["unfinished"]) == (True, [])
    assert (result["second_pass_writes"], result["second_pass_reads"] > 0) == (0, True)
    assert result["invoices"] == result["documents"]["invoice"]["documents"] == 90
    for kind, counts in result["documents"].items():
        assert counts["copies"] == counts["equal"] + counts["by_hand"] > 0, kind
    # the systems say so, not Accord
    there = sum(_made(folder, name) for name in result["writes"])
    assert there == result["documents"]["invoice"]["copies"]
    assert json.loads((folder / "result.json").read_text(encoding="utf-8"))["wrong"] == []


def test_the_demo_bills_what_companies_really_bill(played: Played) -> None:
    """Credits as lines below zero, two entities with their books, copies at Stripe, and money that goes back."""
    _, result, _ = played
    told = result["billed"]
    for name in ("stripe", "quickbooks"):
        assert told[name]["invoices"] > 0, name
        assert told[name]["with_lines_below_zero"] > 0, name
    for name in ("stripe", "quickbooks", "quickbooks-labs", "hubspot"):
        assert told[name]["copies_of_invoices"] > 0, name
        assert told[name]["copies_with_lines_below_zero"] > 0, name
    for name in ("stripe", "quickbooks", "quickbooks-labs"):
        assert told[name]["copies_of_payments"] > 0, name
    asked = Counter(one["way"] for one in result["by_hand"])
    assert asked == {way: told["stripe"][way] for way in ("refunded", "charged_back")}
    assert min(asked.values()) > 0
    assert {one["books"] for one in result["by_hand"]} == {"quickbooks", "quickbooks-labs"}
    assert len(result["by_hand"]) == result["documents"]["payment"]["by_hand"]


def test_what_the_demo_leaves_behind_holds_no_secret(played: Played) -> None:
    """Its files are shown around: the dumps, the verdict, the registry, what it printed."""
    folder, _, printed = played
    files = {one.name: one.read_bytes().decode("latin-1") for one in folder.iterdir() if one.is_file()}
    assert {"result.json", "expected.json", "registry.sqlite3", "stripe.after.json"} <= files.keys()
    secrets = {one for some in SECRETS.values() for one in some.values()} - PUBLIC
    assert len(secrets) > 4
    texts = {**files, "printed": printed}
    assert [(name, one) for name, text in texts.items() for one in secrets if one in text] == []


def _made(folder: Path, name: str) -> int:
    """Invoices that a system's own log says Accord made."""
    made = json.loads((folder / f"{name}.mutations.json").read_text(encoding="utf-8"))
    return len({one["id"] for one in made if (one["caller"], one["kind"]) == ("accord", "invoice")})
