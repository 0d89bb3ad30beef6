"""Whoever asks why a look-alike refuses something finds the fact: a number at the rule, and its row in the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

CONNECTORS = Path(__file__).parents[2] / "connectors"
REFUSES = re.compile(
    r"^\s+raise \w*(?:efused|bad_request|invalid|unsupported|throttled|too_many|no_such)\w*\(", re.MULTILINE
)
CITED = re.compile(r"PROVIDERS((?:,? (?:and )?§\d)+)")
ROW = re.compile(r"^\| (\d) \|", re.MULTILINE)


@pytest.mark.parametrize("path", sorted(CONNECTORS.glob("*/sandbox/*.py")), ids=lambda one: "/".join(one.parts[-3::2]))
def test_a_module_that_refuses_cites_the_fact_it_rests_on(path: Path) -> None:
    """By the number of a row in the table of its connector's README."""
    text = path.read_text()
    cited = {number for found in CITED.findall(text) for number in re.findall(r"\d", found)}
    rows = set(ROW.findall((path.parents[1] / "README.md").read_text()))

    assert cited <= rows
    assert cited or not REFUSES.search(text)
    assert "PROVIDERS, section" not in text
