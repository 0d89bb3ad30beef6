"""Planted bugs about money: random bills notice each of them. A judge that is never wrong may be blind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.billing import play

ROOT = Path(__file__).parents[3]
COPIED = ("core", "connectors", "config", "jobs", "tests/support", "run_daemon.py", "tests/integration/sync")


class Planted(NamedTuple):
    """A line made wrong, and the first seed of the random bills that notices it."""

    file: str
    right: str
    wrong: str
    seed: int
    more: tuple[str, str, str] | None = None
    """A second line, where two layers keep the bug from doing harm: file, right, wrong."""


PLANTED = {
    "a hundred of everything": Planted(
        "connectors/stripe/translate/money.py",
        "found = from_minor(minor, places(currency))",
        "found = from_minor(minor, 2)",
        1,
    ),
    "a line that is dropped": Planted(
        "connectors/quickbooks/translate/sales.py",
        "    for line in document.lines:\n        rate, code",
        "    for line in document.lines[:3]:\n        rate, code",
        1,
    ),
    "tax that is computed anew": Planted(
        "connectors/quickbooks/translate/sales.py",
        'return {**body, "Line": written, "TxnTaxDetail": {"TotalTax": number(document.tax, "tax")}}',
        'return {**body, "Line": written}',
        1,
    ),
    "a part payment that closes the invoice": Planted(
        "connectors/hubspot/translate/documents.py",
        "status = {STATUS: self._native[invoice.status], OUR_STATUS: invoice.status}",
        'status = dict.fromkeys((STATUS, OUR_STATUS), "paid" if invoice.paid else invoice.status)',
        1,
    ),
    "a void that is forgotten": Planted(
        "connectors/quickbooks/translate/documents.py",
        'return None if copy.status == "void" else _void(there)',
        "return None",
        11,
    ),
    "an unanswered create that is given up": Planted(
        "core/sync/documents/resolving.py",
        "    until = _not_before(hub, connection, intent, is_repeated=is_repeated)\n",
        "    await hub.db.run(lambda tx: intents.close(tx, {intent.id: 'void'}, hub.clock.now()))\n    return\n"
        "    until = _not_before(hub, connection, intent, is_repeated=is_repeated)\n",
        1,
        (
            "core/sync/documents/copies.py",
            "key=_unspent(tx, connection, step_key(mark, connection.name, step)) if step.adds else hub.ids.new()",
            "key=hub.ids.new()",
        ),
    ),
    "a discount that is added": Planted(
        "connectors/quickbooks/translate/sales.py",
        "amount=-line.discount, is_discount=True",
        "amount=line.discount, is_discount=True",
        1,
    ),
    "a credit note that settles nothing": Planted(
        "connectors/quickbooks/translate/documents.py",
        'return Step(action="apply", body=self._applied_body(note, mark, left), adds=True, onto=onto)',
        "return None",
        1,
    ),
    "floats": Planted(
        "core/model/money.py",
        "    return Decimal(minor).scaleb(-places, _EXACT)",
        "    return Decimal(minor / 10**places * (1 + 1e-12))",
        1,
    ),
    "a document that changes and is not passed on": Planted(
        "core/sync/documents/taking.py",
        '    mark_mappings(tx, hub, made, reason="the document changed", trace=trace)\n',
        "",
        1,
    ),
}


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(1, 7))
async def test_random_bills_are_equal_everywhere_whatever_is_lost_and_whoever_dies(seed: int) -> None:
    """To the minor unit, each document once, each payment once."""
    assert await play(seed) == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_about_money_is_noticed(name: str, tmp_path: Path) -> None:
    """By the same worlds that are green without it."""
    bug = PLANTED[name]
    for part in COPIED:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tmp_path / part)
    for file, right, wrong in [(bug.file, bug.right, bug.wrong), *([bug.more] if bug.more else [])]:
        text = (ROOT / file).read_text(encoding="utf-8")
        assert right in text, f"{file} has changed: plant the bug anew"
        (tmp_path / file).write_text(text.replace(right, wrong, 1), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "tests.support.billing", str(bug.seed), str(bug.seed + 5)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout[-2000:]
    assert "seed" in done.stdout or "Error" in done.stderr
