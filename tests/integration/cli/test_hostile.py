"""Input that nobody should give, and a database that nobody should have: one clear line, never a traceback."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.cli.main import run
from core.errors import ConfigError, SchemaError
from core.ports import ConnectionConfig
from core.store import customers, journal
from core.store.database import Database, Tx
from core.store.tables import JOURNAL
from core.sync.hub import Hub
from tests.integration.cli.conftest import Accord, customer_id
from tests.support.daemon import ROOT
from tests.support.root import WorldRoot
from tests.support.world import World

ODD = ("", "nope", "a\0b", "\ud800", "x" * 5000, "'; DROP TABLE customers; --", "[red]", "../../etc", "-1")


@pytest.mark.parametrize("odd", ODD)
def test_odd_names_are_refused_and_harm_nothing(agreed: World, accord: Accord, odd: str) -> None:
    """Whatever is typed, the registry stays as it was."""
    before = agreed.db.read_now(customers.listing)
    for command in (
        ["explain"], ["customers", "show"], ["plan"], ["sync"], ["connect"], ["retry"], ["apply"], ["undo"],
        ["holds", "--connection"], ["holds", "--reason"], ["failures", "--connection"], ["sync", "--customer"],
        ["activate", "--plan", "x"], ["customers", "archive", "--yes"], ["customers", "update", "--set", "phone=1"],
    ):  # fmt: skip
        takes_value = command[-1] in ("--connection", "--reason", "--customer")
        result = accord("--json", *command, *([] if takes_value else ["--"]), odd)
        assert result.code in (1, 64), (command, result)
        assert result.error["problem"], command
    assert agreed.db.read_now(customers.listing) == before


@pytest.mark.parametrize(
    "command",
    ["customers export", "match export", "plan --out", "journal export", "demo --dump"],
)
def test_a_file_that_cannot_be_looked_at_is_refused(agreed: World, accord: Accord, command: str) -> None:
    """A name that is too long, or in a folder that may not be entered, ended in a traceback."""
    result = accord("--json", *command.split(), "x" * 300)
    assert (result.code, "File name too long" in result.error["problem"]) == (1, True), result
    assert agreed.db.read_now(customers.listing)


def test_odd_values_are_refused_with_their_field(agreed: World, accord: Accord) -> None:
    """The field is named, and what to do."""
    name = customer_id(agreed)
    for assignment, field in (
        ("name=a\0b", "name"), ("phone=call me", "phone"), ("nonsense=1", "nonsense"), ("parent=nobody", "parent"),
        ("status=", "status"), ("metadata.=1", "metadata"), ("external_customer_id=x", "external_customer_id"),
    ):  # fmt: skip
        result = accord("customers", "update", name, "--set", assignment, "--json")
        assert result.code == 1, assignment
        assert result.error["field"] == field
    assert accord("customers", "create", "a\0b", "--json").code == 1
    assert accord("customers", "create", " x", "--json").code == 1


def test_an_answer_to_a_hold_that_is_not_there(agreed: World, accord: Accord) -> None:
    """An id is mistyped more often than not."""
    assert agreed.db.read_now(customers.count) == 1
    result = accord("holds", "answer", "nope", "registry", "--json")
    assert (result.code, result.error["code"]) == (1, "not_found")


def test_numbers_beyond_every_database_are_wrong_usage(accord: Accord) -> None:
    """SQLite's driver raises OverflowError for them."""
    assert accord("undo", "99999999999999999999").code == 64
    assert accord("undo", "0").code == 64
    assert accord("undo", "9223372036854775807").code == 1


def test_wrong_usage_has_a_code_of_its_own(accord: Accord) -> None:
    """2 means that a dry run found changes."""
    wrong: Sequence[Sequence[str]] = (
        ["nonsense"], ["plan", "--nonsense"], ["explain"], ["customers"], [], ["sync", "--patience", "soon"],
    )  # fmt: skip
    for arguments in wrong:
        result = accord(*arguments)
        assert result.code == 64, arguments
        assert result.out == ""
        assert result.err
    assert accord("plan", "--nonsense", "--json").error["code"] == "invalid"


class _Broken:
    """A root whose hub cannot be opened."""

    def __init__(self, root: WorldRoot, error: Exception) -> None:
        self._root = root
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._root, name)

    @contextmanager
    def open_hub(self, **_options: object) -> Iterator[Hub]:
        """Raise."""
        self._fail()
        with self._root.open_hub() as hub:
            yield hub

    def connections(self) -> Mapping[str, ConnectionConfig]:
        """Raise, for a wrong file."""
        if isinstance(self._error, ConfigError):
            self._fail()
        return self._root.connections()

    def _fail(self) -> None:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("is not there; write one", file="accord.toml"),
        SchemaError("the database has revision 9, which this program does not know: a newer Accord wrote it"),
    ],
)
def test_no_config_and_a_newer_schema_are_one_line(
    root: WorldRoot, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command that needs them says the same."""
    commands: Sequence[Sequence[str]] = (
        ["status"], ["plan"], ["sync"], ["sync", "--dry-run"], ["holds"], ["customers", "list"], ["retry"], ["inbox"],
    )  # fmt: skip
    for command in commands:
        assert run(_Broken(root, error), command) == 1
        out, err = capsys.readouterr()
        assert (out, err) == ("", f"accord: {error}\n")
    assert run(_Broken(root, error), ["doctor"]) == 1
    assert str(error) in capsys.readouterr().out


def test_a_locked_database_is_told_after_a_moment(agreed: World, root: WorldRoot, accord: Accord) -> None:
    """Another process writes and does not end: reading still works, writing says why it does not."""
    assert agreed.db.file is not None
    root.other_database = Database(agreed.url, is_direct=True, busy_seconds=0.05)
    # opened once before: connections get their rows
    assert accord("status").code == 0
    other = sqlite3.connect(agreed.db.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    result = accord("customers", "create", "C-1", "--json")
    assert (result.code, result.error["code"]) == (1, "storage")
    assert "another process is writing" in result.error["problem"]
    other.execute("ROLLBACK")
    other.close()
    assert accord("customers", "create", "C-1", "--set", "name=Bob").code == 0
    root.other_database.close()


def test_an_export_into_a_pipe_leaves_the_pipe(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """A file took the place of the pipe, or of a device, and whoever read there got nothing."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as other:
        read = other.submit(pipe.read_bytes)
        result = accord("customers", "export", str(pipe))
        found = read.result(20)
    assert (result.code, pipe.is_fifo()) == (0, True)
    assert customer_id(agreed).encode() in found


def test_an_export_over_a_file_is_as_readable_as_that_was(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """Who had closed last night's export to others found tonight's open."""
    target = tmp_path / "customers.csv"
    target.touch()
    target.chmod(0o600)
    assert accord("customers", "export", str(target)).code == 0
    assert customer_id(agreed) in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o600


def test_an_export_through_a_link_leaves_the_link(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """`/dev/stdout` is a link."""
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to(file)
    result = accord("customers", "export", str(link))
    assert (result.code, link.is_symlink()) == (0, True)
    assert customer_id(agreed).encode() in file.read_bytes()


@pytest.mark.parametrize("end", ["", ".key", ".life", "-wal"])
@pytest.mark.usefixtures("agreed")
def test_no_report_takes_the_place_of_the_database_or_of_accord_toml(
    root: WorldRoot, accord: Accord, tmp_path: Path, end: str
) -> None:
    """A name that was completed wrongly cost the registry, or the configuration."""
    root.file, link = tmp_path / "accord.toml", tmp_path / "link.csv"
    root.file.write_text("# kept\n")
    database = tmp_path / f"accord.sqlite3{end}"
    database.touch()
    link.symlink_to(database)
    before = database.stat().st_ino, database.read_bytes()[:16]
    for own in (root.file, database, link):
        for command in (["customers", "export"], ["journal", "export"], ["match", "export"]):
            result = accord(*command, str(own), "--json")
            assert (result.code, result.error["field"]) == (1, "file"), command
            assert result.error["cure"] == "name another file"
        for command in (["close", "1990-01"], ["plan"], ["invoices", "ageing"]):
            result = accord(*command, "--out", str(own), "--json")
            assert result.code == 1, command
            assert "is Accord's own" in result.error["problem"]
    assert root.file.read_text() == "# kept\n"
    assert (database.stat().st_ino, database.read_bytes()[:16]) == before


def test_an_output_that_is_full_is_one_line(tmp_path: Path) -> None:
    """A report into a full disk ended in a traceback."""
    command = [sys.executable, str(ROOT / "run_daemon.py"), "connect", "--list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "code"),
    [("connect --list >&-", 0), ("connect --list --json >&-", 0), ("nonsense 2>&-", 64), ("nonsense --json >&-", 64),
     ("init --connection a=stripe <&-", 1), ("journal export >&- 2>&- <&-", 1)],
)  # fmt: skip
def test_a_stream_that_was_closed_ends_no_command_in_a_traceback(tmp_path: Path, command: str, code: int) -> None:
    """As a supervisor may start one: `accord status >&-` was a bug of Accord's, and wrong usage exited 1."""
    line = f"{sys.executable} {ROOT / 'run_daemon.py'} {command}"
    shell = ["/bin/sh", "-c", line]
    done = subprocess.run(shell, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_customer_s_beginning_is_not_undone_by_blanking_it(agreed: World, accord: Accord) -> None:
    """Undoing the change that created a customer cleared its name and e-mail at every provider."""
    assert accord("customers", "create", "new", "--set", "name=New", "--set", "email=new@example.test").code == 0
    change = agreed.db.read_now(lambda tx: max(one.id for one in journal.of_trace(tx, _trace(tx))))
    result = accord("--json", "undo", str(change))
    assert (result.code, result.error["problem"]) == (1, "the customer was created")
    assert result.error["cure"] == "`accord customers archive` deletes it"
    found = agreed.db.read_now(lambda tx: customers.by_external_ids(tx, ["new"])["new"])
    assert found.fields["name"] == "New"


def test_undoing_that_an_object_was_made_empties_nobody(agreed: World, accord: Accord) -> None:
    """`accord explain` shows its number: name, e-mail and phone were cleared here, and at every provider."""
    name = customer_id(agreed)
    before = agreed.db.read_now(lambda tx: customers.by_external_ids(tx, [name])[name])
    shown = accord("--json", "explain", name).json["journal"]
    made = [one for one in shown if one["action"] == "create" and one["connection"]]
    assert made
    for one in made:
        result = accord("--json", "undo", str(one["change"]), "--anyway")
        assert result.error["problem"] == f"its object at {one['connection']} was created, and stays"
        assert result.error["cure"] == "archive it there, if nobody needs it"
    assert agreed.db.read_now(lambda tx: customers.by_external_ids(tx, [name])[name]) == before


def test_a_name_that_turns_the_direction_of_writing_is_shown_escaped(agreed: World, accord: Accord) -> None:
    """`evil\u202egpj.exe` reads as another name than it is, and so does all that stands behind it in the table."""
    (remote_id,) = agreed.neutral("stripe")
    agreed.lookalikes["stripe"].edit("customer", remote_id, {"name": "evil\u202egpj.exe\u2066"})
    assert accord("sync", "stripe").code == 0
    shown = accord("customers", "list").out
    assert "evil\\u202egpj.exe\\u2066" in shown
    assert not {"\u202e", "\u2066"} & set(shown)


def test_a_cell_as_long_as_a_file_does_not_push_the_problem_out_of_sight(
    agreed: World, accord: Accord, tmp_path: Path
) -> None:
    """A quote that is not closed makes one cell of all that follows: the table was as wide."""
    file = tmp_path / "in.csv"
    file.write_text(f"external_customer_id,name\n{'x' * 10_000},Ada\n")
    result = accord("customers", "import", str(file))
    assert result.code == 1
    assert "has 10000 characters" in result.out
    assert max(map(len, result.out.splitlines())) < 300
    assert agreed.db.read_now(customers.count) == 1


def _trace(tx: Tx) -> str:
    """The newest change's."""
    return str(tx.rows(sa.select(JOURNAL.c.trace).order_by(JOURNAL.c.id.desc()).limit(1))[0][0])
