"""Modules and functions are as long as a person can hold in mind: house rule 8 of CONTRIBUTING.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("config", "connectors", "core", "jobs", "tests/simulation")
GENERATED = "migrations/versions"
MODULE, FUNCTION = 400, 60


def modules() -> Iterator[Path]:
    """Everything that is shipped, and the simulation."""
    yield ROOT / "run_daemon.py"
    for folder in FOLDERS:
        yield from (one for one in sorted((ROOT / folder).rglob("*.py")) if GENERATED not in one.as_posix())


def too_long(text: str) -> list[str]:
    """What is too long in a module, in words that say what to do."""
    found = []
    if (lines := len(text.splitlines())) >= MODULE:
        found.append(f"it has {lines} lines: move a part that has a name of its own to a module of that name")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION:
                found.append(f"{node.name} has {length} lines: give a step of it a name, and a function of its own")
    return found


def test_no_module_and_no_function_is_too_long() -> None:
    """Modules under 400 lines, functions 60 at most."""
    found = {str(one.relative_to(ROOT)): too_long(one.read_text(encoding="utf-8")) for one in modules()}
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_what_is_too_long_is_named() -> None:
    """By its lines, and the function by its name."""
    assert too_long("\n" * MODULE) == [
        "it has 400 lines: move a part that has a name of its own to a module of that name"
    ]
    assert too_long("def long():\n" + "    pass\n" * FUNCTION) == [
        "long has 61 lines: give a step of it a name, and a function of its own"
    ]
    assert too_long("def short():\n" + "    pass\n" * (FUNCTION - 1)) == []
