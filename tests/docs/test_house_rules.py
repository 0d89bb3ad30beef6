"""What of CONTRIBUTING.md a program can tell, and neither ruff nor the import contracts do."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("config", "connectors", "core", "jobs", "tests/simulation")
GENERATED = "migrations/versions"
MODULE, FUNCTION = 400, 60
CURE = "let the code take it as an argument, and give it another one there"
PATCHES = frozenset({"setattr", "setitem", "delattr", "delitem"})
FOREIGN = ("sys.", "os.")
"""What is nobody's to pass in: the process's own."""
IGNORED = re.compile(r"# type: ignore(?!\[[^]]+\]  # \w)")


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


def patched(text: str) -> list[str]:
    """What of ours a test puts another thing in place of, in words that say what to do instead."""
    found = [f"line {number}: {line.strip()}: {CURE}" for number, line in _mocked(text)]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PATCHES:
            of, (first, *_) = ast.unparse(node.func.value), node.args
            told = str(first.value) if isinstance(first, ast.Constant) else ast.unparse(first)
            if of == "monkeypatch" and not told.startswith(FOREIGN):
                found.append(f"line {node.lineno}: {told} is patched: {CURE}")
    return found


def _mocked(text: str) -> Iterator[tuple[int, str]]:
    yield from (
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.lstrip().startswith(("import unittest.mock", "from unittest import mock", "from unittest.mock"))
    )


def test_no_test_patches_a_name_of_ours() -> None:
    """Inject, never patch: what cannot be tested that way has its seams in the wrong places."""
    tests = (one for folder in ("tests", "scripts/template/tests") for one in (ROOT / folder).rglob("*.py"))
    found = {str(one.relative_to(ROOT)): patched(one.read_text(encoding="utf-8")) for one in tests}
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_a_patch_is_named() -> None:
    """By its line, with what to do; standard input is nobody's to pass in."""
    assert patched("monkeypatch.setattr('core.sync.plan.SLICE', 2)") == [
        f"line 1: core.sync.plan.SLICE is patched: {CURE}"
    ]
    assert patched("\nmonkeypatch.setitem(BOOKS, 'us', 1)") == [f"line 2: BOOKS is patched: {CURE}"]
    assert patched("from unittest.mock import MagicMock") == [f"line 1: from unittest.mock import MagicMock: {CURE}"]
    assert patched("monkeypatch.setattr('sys.stdin', typed)") == []


def test_no_module_and_no_function_is_too_long() -> None:
    """Modules under 400 lines, functions 60 at most."""
    found = {str(one.relative_to(ROOT)): too_long(one.read_text(encoding="utf-8")) for one in modules()}
    assert {name: problems for name, problems in found.items() if problems} == {}


def unexplained(text: str) -> list[str]:
    """What a test has mypy pass over without saying why."""
    lines = enumerate(text.splitlines(), 1)
    return [f"line {number}: say why after it: {line.strip()}" for number, line in lines if IGNORED.search(line)]


def test_a_test_says_why_mypy_may_pass_over_a_line() -> None:
    """Most of two hundred hid what an assert tells better: what was missing, or of another kind."""
    tests = (one for one in (ROOT / "tests").rglob("*.py") if one != Path(__file__))
    found = {str(one.relative_to(ROOT)): unexplained(one.read_text(encoding="utf-8")) for one in tests}
    assert {name: problems for name, problems in found.items() if problems} == {}
    assert unexplained("x = 1  # type: ignore[misc]") == ["line 1: say why after it: x = 1  # type: ignore[misc]"]
    assert unexplained("x = 1  # type: ignore[misc]  # it is frozen, as is tested") == []


def test_whatever_python_there_is_is_typed() -> None:
    """Tests were not, and some told readers of another class than the one that they got."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {one.parent.name for one in ROOT.glob("*/*.py")} - {"mutants"}  # a copy, of `make mutation`
    assert {*settings["tool"]["mypy"]["files"]} == folders | {one.name for one in ROOT.glob("*.py")}


REFUSALS = frozenset({"InvalidInputError", "NotFoundError", "VersionConflictError", "BadRequestError"})


def helpless(text: str) -> list[str]:
    """Refusals that name a problem and nothing to do about it."""
    calls = [one for one in ast.walk(ast.parse(text)) if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)]
    return [
        f"line {one.lineno}: {ast.unparse(one)[:80]}: say what to do, as its `cure`"
        for one in calls
        if ast.unparse(one.func) in REFUSALS and not {word.arg for word in one.keywords} & {"cure", None}
    ]


def test_whoever_is_refused_is_told_what_to_do() -> None:
    """By the API and by each command; the look-alikes quote what others said."""
    ours = (one for one in modules() if "sandbox" not in one.parts)
    found = {str(one.relative_to(ROOT)): helpless(one.read_text(encoding="utf-8")) for one in ours}
    assert {name: problems for name, problems in found.items() if problems} == {}


def test_a_refusal_without_a_cure_is_named() -> None:
    """By its line."""
    assert helpless("\nraise NotFoundError('gone')") == ["line 2: NotFoundError('gone'): say what to do, as its `cure`"]
    assert helpless("raise NotFoundError('gone', cure='look again')") == []


def test_what_is_too_long_is_named() -> None:
    """By its lines, and the function by its name."""
    assert too_long("\n" * MODULE) == [
        "it has 400 lines: move a part that has a name of its own to a module of that name"
    ]
    assert too_long("def long():\n" + "    pass\n" * FUNCTION) == [
        "long has 61 lines: give a step of it a name, and a function of its own"
    ]
    assert too_long("def short():\n" + "    pass\n" * (FUNCTION - 1)) == []
