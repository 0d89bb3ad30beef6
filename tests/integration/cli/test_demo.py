"""`accord demo` as anybody runs it: three systems over HTTP, a second pass, and the verdict as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LONGEST_SECONDS = 240
SCRIPT = "import sys, run_daemon; sys.exit(run_daemon.main(sys.argv[1:]))"


def test_the_demo_agrees_copies_every_document_and_writes_nothing_twice(tmp_path: Path) -> None:
    """Small, and the whole way: seeded, planned, activated, billed, judged, judged again."""
    told = ["demo", "--customers", "60", "--invoices", "60", "--json", "--dump", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *told], check=False, capture_output=True, text=True, timeout=LONGEST_SECONDS
    )
    assert done.returncode == 0, done.stderr[-4000:]
    result = json.loads(done.stdout)
    assert (result["agree"], result["unfinished"]) == (True, [])
    assert (result["second_pass_writes"], result["second_pass_reads"] > 0) == (0, True)
    assert result["invoices"] == result["documents"]["invoice"]["documents"] == 60
    for kind, counts in result["documents"].items():
        assert counts["copies"] == counts["equal"] > 0, kind
    # a copy of its own at each mirror: the systems say so, not Accord
    there = {name: _marked(tmp_path, name) for name in ("quickbooks", "hubspot")}
    assert there["quickbooks"] + there["hubspot"] == result["documents"]["invoice"]["copies"]
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["wrong"] == []


def _marked(folder: Path, name: str) -> int:
    """Invoices that a system's own log says Accord made."""
    made = json.loads((folder / f"{name}.mutations.json").read_text(encoding="utf-8"))
    return len({one["id"] for one in made if (one["caller"], one["kind"]) == ("accord", "invoice")})
