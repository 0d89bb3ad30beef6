"""scripts/new_migration.py, in a copy of the tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
VERSIONS = "core/store/migrations/versions"
COMPARE = """
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from core.store import schema
from core.store.database import Database
from core.store.tables import METADATA
db = Database("sqlite://")
print(schema.upgrade(db))
options = {"version_table": schema.VERSION_TABLE}
print(db.run_now(lambda tx: compare_metadata(MigrationContext.configure(tx.connection, opts=options), METADATA)))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy that may be changed."""
    for name in ("core", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def python(tree: Path, *arguments: str) -> str:
    """Run Python there."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True).stdout


def revisions(tree: Path) -> list[str]:
    """The revision files there are."""
    return sorted(path.name for path in (tree / VERSIONS).glob("*.py"))


def add_column(tree: Path) -> None:
    """Give customers a nickname."""
    tables = tree / "core/store/tables.py"
    before = '    _text("name_key", default=""),'
    text = tables.read_text()
    assert before in text
    tables.write_text(text.replace(before, f'    _text("nickname", default=""),\n{before}', 1))


def test_unchanged_tables_need_no_revision(tree: Path) -> None:
    """An empty revision would only make every operator upgrade for nothing."""
    before = revisions(tree)

    python(tree, "-m", "scripts.new_migration", "nothing")

    assert revisions(tree) == before


def test_a_new_column_gets_a_revision_that_works(tree: Path) -> None:
    """The way from a changed tables.py to a shipped revision is one command."""
    before = revisions(tree)
    number = f"{len(before) + 1:04d}"
    add_column(tree)

    python(tree, "-m", "scripts.new_migration", "customers get a nickname")

    assert revisions(tree) == [*before, f"{number}_customers_get_a_nickname.py"]
    applied, differences = python(tree, "-c", COMPARE).splitlines()
    assert f"'{number}']" in applied
    assert differences == "[]"


def test_the_newest_revision_is_amended_in_place(tree: Path) -> None:
    """Before a release, a column more is no reason for a revision more."""
    before = revisions(tree)
    add_column(tree)

    python(tree, "-m", "scripts.new_migration", "--amend")

    assert revisions(tree) == before
    assert python(tree, "-c", COMPARE).splitlines()[1] == "[]"
