"""scripts/new_connector.py, in a copy of the tree: what it writes passes, untouched, all that the tree must pass."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import InvalidInputError
from scripts import new_connector

ROOT = Path(__file__).parents[3]
TREE = ("config", "connectors", "core", "jobs", "scripts", "tests")
FILES = ("run_daemon.py", "pyproject.toml")
NAME = "beacon12345"
"""Longer than the template's own, with digits: lines break elsewhere."""


def run(tree: Path, *arguments: str) -> str:
    """Run a module of Python there; what it said."""
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with a new connector."""
    tree = tmp_path_factory.mktemp("tree")
    for name in TREE:
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, tree)
    told = run(tree, "scripts.new_connector", NAME)
    assert f"connectors/{NAME}/README.md" in told
    return tree


@pytest.mark.xdist_group("new connector")
class TestNewConnector:
    """One tree, looked at from every side."""

    def test_it_passes_the_contract_and_its_own_tests_to_the_last_branch(self, tree: Path) -> None:
        """Nothing was edited, neither in it nor in the suite."""
        told = run(
            tree, "pytest", "-v", "-p", "no:cacheprovider", "-k", NAME, "tests/contract/test_connector.py",
            f"tests/unit/connectors/{NAME}", f"--cov=connectors/{NAME}", "--cov-branch", "--cov-report=",
        )  # fmt: skip
        assert sum(line.startswith("tests/contract/") and " PASSED" in line for line in told.splitlines()) > 30
        pure = ",".join(f"connectors/{NAME}/{one}.py" for one in ("translate", "webhook", "errors"))
        run(tree, "coverage", "report", "--fail-under=100", f"--include={pure}")

    def test_it_is_formatted_linted_and_typed(self, tree: Path) -> None:
        """As `make check` asks for."""
        run(tree, "ruff", "format", "--no-cache", "--check", ".")
        run(tree, "ruff", "check", "--no-cache", ".")
        if (ROOT / ".mypy_cache").exists():  # what it found out about core need not be found out again
            shutil.copytree(ROOT / ".mypy_cache", tree / ".mypy_cache")
        run(tree, "mypy", f"connectors/{NAME}", f"tests/unit/connectors/{NAME}")

    def test_its_look_alike_cites_no_facts_before_there_are_any(self, tree: Path) -> None:
        """Each of its rules was asked for a row of the README, which nobody can have written yet."""
        run(tree, "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "tests/docs/test_look_alikes.py")

    def test_it_keeps_to_the_import_contracts(self, tree: Path) -> None:
        """Its folder has the shape of all the others."""
        command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
        done = subprocess.run([sys.executable, "-c", command], cwd=tree, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout

    def test_the_usual_mistakes_are_seen_and_told_with_what_to_look_at(self, tree: Path) -> None:
        """A 404 that is taken for "not there", and limits that nobody declared, passed the contract."""
        folder = tree / "connectors" / NAME
        mistakes = [
            ("errors.py", "    problem = _problem_in(body)", "    if status == 404:\n        return GoneError('')\n"),
            ("manifest.py", "limits=(Limit(", "limits=() and (Limit("),
        ]
        before = {file: (folder / file).read_text(encoding="utf-8") for file, _, _ in mistakes}
        for file, right, wrong in mistakes:
            assert right in before[file]
            (folder / file).write_text(before[file].replace(right, wrong + right * (file == "errors.py")), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-k", NAME,
             "tests/contract/test_connector.py"],
            cwd=tree, capture_output=True, text=True, check=False,
        )  # fmt: skip
        for file, text in before.items():
            (folder / file).write_text(text, encoding="utf-8")
        failed = re.findall(r"^FAILED .*::(\w+)\[", done.stdout, re.MULTILINE)
        assert failed == ["test_a_refused_read_lands_in_its_class", "test_published_limits_are_kept"], done.stdout
        assert "only the provider's own word" in done.stdout
        assert "manifest.py: `limits` are the provider's" in done.stdout

    def test_its_readme_walks_through_every_decision(self, tree: Path) -> None:
        """In order, each once, and in the file that is named."""
        folder = tree / "connectors" / NAME
        rows = re.findall(
            r"^\| (\d+) \| `([\w/.]+)` \|", (folder / "README.md").read_text(encoding="utf-8"), re.MULTILINE
        )
        assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
        marked = [
            (number, str(path.relative_to(folder)))
            for path in folder.rglob("*.py")
            for number in re.findall(r"# Decide (\d+): ", path.read_text(encoding="utf-8"))
        ]
        assert sorted(marked, key=lambda one: int(one[0])) == rows

    def test_nothing_of_the_template_is_left(self, tree: Path) -> None:
        """Another provider's name in a new folder is a riddle."""
        written = [*(tree / "connectors" / NAME).rglob("*.*"), *(tree / "tests/unit/connectors" / NAME).rglob("*.*")]
        assert [one for one in written if one.is_file() and "acme" in one.read_bytes().lower().decode("latin-1")] == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "a letter first"),
        ("Acme", "a-z"),
        ("my-crm", "a-z"),
        ("my_crm", "a-z"),
        ("2checkout", "a letter first"),
        ("../evil", "a-z"),
        ("acme\n", "a-z"),
        ("a" * 17, "1 to 16"),
        ("class", "another"),
        ("registry", "another"),
        ("core", "it is a package of Accord's"),
        ("test", "its tests could not be told"),
        ("stripe", "is there already"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused(name: str, told: str) -> None:
    """It is a folder, a class, a connection and part of a variable; nothing is written."""
    before = sorted((ROOT / "connectors").iterdir())
    with pytest.raises(InvalidInputError, match="NAME: ") as refused:
        new_connector.write(name)
    assert told in str(refused.value)
    assert sorted((ROOT / "connectors").iterdir()) == before
