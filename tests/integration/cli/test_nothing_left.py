"""What a command that only looks, or that is refused, leaves behind in a folder: nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.cli.main import run
from run_daemon import Application

LOOKS = (
    "status", "explain acme", "holds", "failures", "inbox", "plan", "doctor", "tokens list", "customers list",
    "invoices ageing", "close 2026-10", "journal export", "db check", "secrets forget --yes", "secrets rotate",
    "sync", "undo 3",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, where somebody is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", LOOKS)
def test_a_command_in_a_folder_without_accord_leaves_nothing_there(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Who called `accord status` in a wrong folder found `var` there, and took it for a place where Accord runs."""
    assert run(Application({}), command.split()) in (1, 64)
    assert "Traceback" not in capsys.readouterr().err
    assert list(folder.rglob("*")) == []


@pytest.mark.parametrize("command", ["db check", "db backup copy.sqlite3"])
def test_looking_at_a_database_that_is_not_there_yet_makes_none(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """`accord.toml` is written first, and looked at."""
    (folder / "accord.toml").write_text("[connections.books]\nprovider = 'quickbooks'\n")
    run(Application({}), command.split())
    assert "Traceback" not in capsys.readouterr().err
    assert [one.name for one in folder.rglob("*")] == ["accord.toml"]


def test_an_empty_database_has_no_backup(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command failed, and left an empty file under the name of the backup: whoever restores it has nothing."""
    (folder / "accord.toml").write_text("[connections.books]\nprovider = 'quickbooks'\n")
    (folder / "var").mkdir()
    (folder / "var/accord.sqlite3").touch()

    assert run(Application({}), ["db", "backup", "copy.sqlite3"]) == 1

    assert "nothing in it to back up" in capsys.readouterr().err
    assert not (folder / "copy.sqlite3").exists()
