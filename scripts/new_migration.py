"""Write the next schema revision from the difference between core/store/tables.py and the revisions there are.

    python -m scripts.new_migration "customers get a nickname"
    python -m scripts.new_migration --amend      # the newest one is not released yet: write it anew

Read what it wrote: a renamed column looks like one dropped and one added. It sees neither moved data nor
(on SQLite, which it compares with) changed comments and index conditions.
"""
# ruff: noqa: INP001 (a script, not a package)

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from alembic import command
from alembic.operations import MigrationScript
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory

from core.errors import AccordError
from core.store import schema
from core.store.database import Database, Tx


def write(message: str) -> Path | None:
    """Write the next revision; None when the tables did not change."""
    db = Database("sqlite://", is_direct=True)
    try:
        schema.upgrade(db)
        return db.run_now(lambda tx: _write(tx, message))
    finally:
        db.close()


def amend() -> Path | None:
    """Write the newest revision anew, under its own number and message."""
    newest = _revisions()[0]
    path = Path(newest.path)
    before = path.read_text(encoding="utf-8")
    path.unlink()
    try:
        written = write(str(newest.doc).rstrip("."))
    except BaseException:
        path.write_text(before, encoding="utf-8")
        raise
    return written


def _revisions() -> list[Script]:
    return list(ScriptDirectory.from_config(schema.alembic_config()).walk_revisions())


def _write(tx: Tx, message: str) -> Path | None:
    def drop_empty(_context: MigrationContext, _revision: object, found: list[MigrationScript]) -> None:
        upgrades = found[0].upgrade_ops
        if upgrades is None or upgrades.is_empty():
            found.clear()

    written = command.revision(
        schema.alembic_config(tx.connection),
        message,
        autogenerate=True,
        rev_id=f"{len(_revisions()) + 1:04d}",
        process_revision_directives=drop_empty,
    )
    if not isinstance(written, Script):
        return None
    path = Path(written.path)
    _tidy(path)
    return path


def _tidy(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if "# ###" not in line), encoding="utf-8")
    for step in (["check", "--fix-only", "--select=I"], ["format"]):
        subprocess.run([sys.executable, "-m", "ruff", *step, "--quiet", str(path)], check=True)  # noqa: S603


def main() -> None:
    """Read the arguments, write the file, say which."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("message", nargs="?", help="what the revision does")
    what.add_argument("--amend", action="store_true", help="write the newest revision anew")
    given = parser.parse_args()
    try:
        written = amend() if given.amend else write(given.message)
    except AccordError as error:
        sys.exit(str(error))
    sys.stdout.write(f"{written or 'the revisions say what tables.py says; nothing to write'}\n")


if __name__ == "__main__":
    main()
