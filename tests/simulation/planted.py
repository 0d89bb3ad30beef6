"""Planted bugs: patches of core, each applied to a copy of the tree, that the simulation must catch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
PATCHES: Final = HERE / "mutants"
TABLE: Final = PATCHES / "README.md"
COPIED: Final = ("core", "connectors", "config", "jobs", "tests/simulation", "tests/support")
REFRESH: Final = (
    "make the same change by hand in a copy of the tree and store `diff -U2 --label a/PATH --label b/PATH old new`"
)
_ROW: Final = re.compile(r"^\| `(?P<name>\w+)` \|[^|]*\| (?P<first>\d+) \| (?P<limit>\d+) \|", re.MULTILINE)


class Stated(msgspec.Struct, frozen=True):
    """Where the table says a mutant is caught: from which seed on, within how many."""

    name: str
    first: int
    limit: int


class Catch(msgspec.Struct, frozen=True):
    """What came of running a mutant. `problem` empty: it went unseen."""

    name: str
    worlds: int
    seconds: float
    problem: str


class StalePatchError(Exception):
    """A patch does not fit the code any more."""


def table() -> Mapping[str, Stated]:
    """The README's table."""
    rows = _ROW.finditer(TABLE.read_text(encoding="utf-8"))
    return {row["name"]: Stated(row["name"], int(row["first"]), int(row["limit"])) for row in rows}


def planted(name: str, into: Path) -> Path:
    """A copy of the tree with one bug in it. Raises StalePatchError."""
    tree = into / name
    for part in COPIED:
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    patch = PATCHES / f"{name}.patch"
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tree.parent)}
    done = subprocess.run(
        ["git", "apply", "-C1", str(patch)],  # noqa: S607
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StalePatchError(f"{patch.name} does not apply: {done.stderr.strip()}; to refresh it, {REFRESH}")
    return tree


def run_mutant(name: str, into: Path, *, first: int, worlds: int, jobs: int = 1) -> Catch:
    """Run worlds with the bug until one fails."""
    tree = planted(name, into)
    command = [
        sys.executable, "-m", "tests.simulation", "--json-only", "--stop-at", "1",
        "--seed", str(first), "--worlds", str(worlds), "--jobs", str(jobs),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    try:
        told = msgspec.json.decode(done.stdout)
    except msgspec.DecodeError as error:
        raise RuntimeError(f"{name} did not run: {done.stderr[-2000:]}") from error
    if not str(told["core"]).startswith(str(tree)):
        raise RuntimeError(f"{name} ran on {told['core']} instead of its copy")
    failed = told["failed"]
    return Catch(name, told["worlds"], told["seconds"], failed[0]["problem"] if failed else "")
