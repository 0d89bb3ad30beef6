"""Whoever asks why a look-alike refuses something finds the fact: a number at the rule, and its row in the README."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CONNECTORS = Path(__file__).parents[2] / "connectors"
FACTS = "## What the look-alike rests on"
"""A connector that was begun just now has no such section yet, and nothing to cite."""
FOLDERS = [one.parent for one in sorted(CONNECTORS.glob("*/README.md")) if FACTS in one.read_text().splitlines()]
MODULES = [path for folder in FOLDERS for path in sorted(folder.glob("sandbox/*.py"))]
NO_ANSWER = re.compile(r"raise(?: (?:ValueError|KeyError|TakenError)\(|$)")
"""What a test or the demo is told that asks the look-alike for an edit; all else that is raised is a refusal."""
CITED = re.compile(r"PROVIDERS((?:,? (?:and )?§\d)+)")
OPEN = re.compile(r"stricter reading|not documented|was built|look-alike")
"""Of what is not documented, and of what was left out, there is no fact to cite."""
ROW = re.compile(r"^\| (\d) \|", re.MULTILINE)


def named(path: Path) -> str:
    """`stripe/gate.py`."""
    return "/".join(path.parts[-3::2])


def refusals(text: str) -> Iterator[tuple[int, str]]:
    """Where something is refused, and what is said there: from the line above its condition on, and by its function."""
    lines = text.splitlines()
    for function in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)):
        above = {step: node for node in ast.walk(function) if isinstance(node, ast.If) for step in node.body}
        for step in (node for node in ast.walk(function) if isinstance(node, ast.Raise)):
            if not NO_ANSWER.search(lines[step.lineno - 1]):
                said = lines[above.get(step, step).lineno - 2 : step.end_lineno]
                yield step.lineno, "\n".join([ast.get_docstring(function) or "", *said])


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_cites_rows_that_are_there(path: Path) -> None:
    """By the number of a row in the table of its connector's README."""
    text = path.read_text()
    cited = {number for found in CITED.findall(text) for number in re.findall(r"\d", found)}

    assert cited <= set(ROW.findall((path.parents[1] / "README.md").read_text()))
    assert "PROVIDERS, section" not in text


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_every_refusal_says_on_which_fact_it_rests(path: Path) -> None:
    """A rule that nobody can check against the provider's documentation is an opinion."""
    uncited = [line for line, said in refusals(path.read_text()) if not CITED.search(said) and not OPEN.search(said)]

    assert uncited == []
