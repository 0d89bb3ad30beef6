"""`accord --help` answers at once, because nothing heavy is imported for it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = ("stripe", "hubspot", "sqlalchemy", "fastapi", "httpx", "rich.console", "structlog")
SCRIPT = """
import json, sys
from core.cli.main import run
code = run(None, {arguments!r})
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [["--help"], ["sync", "--help"], ["holds", "answer", "--help"], ["nonsense"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    """An eager import of SQLAlchemy alone would more than double the start of every command."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(arguments=arguments)], check=True, capture_output=True, text=True
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    assert code == (64 if arguments == ["nonsense"] else 0)
    assert [one for one in HEAVY if one in modules] == []


def test_the_real_entry_is_as_lazy() -> None:
    """The composition root must not import what only the daemon needs."""
    script = "import sys, run_daemon; run_daemon.main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert "Make records agree now." in done.stdout
    assert not {"stripe", "hubspot", "sqlalchemy", "fastapi"} & set(done.stderr.split())
