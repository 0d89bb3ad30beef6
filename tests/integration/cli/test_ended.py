"""Ctrl-C and SIGTERM in the middle of a command: what is half done is told or taken away, and there is no traceback."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.cli.main import run
from core.ports import HttpRequest, HttpResponse
from core.sync.hub import Hub
from tests.integration.cli.conftest import Accord
from tests.support.daemon import ROOT
from tests.support.root import WorldRoot
from tests.support.world import NAMES, World

ROWS = 1000
CONFIG = '[connections.stripe]\nprovider = "stripe"\nbase_url = "http://127.0.0.1:9"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configured folder, with a file of customers to import."""
    (tmp_path / "accord.toml").write_text(CONFIG)
    rows = "".join(f"C-{number:04},Customer {number}\n" for number in range(ROWS))
    (tmp_path / "people.csv").write_text(f"external_customer_id,name\n{rows}")
    return tmp_path


@pytest.fixture(autouse=True)
def _terminal() -> Iterator[None]:
    """Ctrl-C is heard: a shell that starts something in the background has it ignore that, and all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def begun(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ACCORD_")}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run_daemon.py"), *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(one: subprocess.Popen[str], is_half_done: Callable[[], bool], number: signal.Signals) -> tuple[int, str, str]:
    """Send a signal as soon as it is half done; exit code, stdout and stderr."""
    while one.poll() is None and not is_half_done():
        time.sleep(0.001)
    one.send_signal(number)
    out, err = one.communicate(timeout=60)
    assert "Traceback" not in err
    return one.returncode, out, err


def imported(folder: Path) -> int:
    """How many customers there are."""
    file = folder / "var" / "accord.sqlite3"
    if not file.exists():
        return 0
    with closing(sqlite3.connect(file)) as database:
        try:
            return int(database.execute("SELECT count(*) FROM customers").fetchone()[0])
        except sqlite3.OperationalError:  # it is being made
            return 0


@pytest.mark.parametrize(("number", "by"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")])
def test_an_import_that_is_ended_tells_what_is_in_by_then(folder: Path, number: signal.Signals, by: str) -> None:
    """It ended without a word: some rows were in, and nobody knew of which run, to put them back."""
    one = begun(folder, "customers", "import", "people.csv")
    code, out, err = ended(one, lambda: imported(folder) > 0, number)
    half = imported(folder)
    assert (code, out) == (128 + number, "")
    assert 0 < half < ROWS
    assert err.startswith(f"accord: ended by {by}; import the file again for the rest; `accord undo ")
    journal = sqlite3.connect(folder / "var" / "accord.sqlite3")
    (runs,) = journal.execute("SELECT DISTINCT trace FROM journal").fetchall()
    journal.close()
    assert f"`accord undo {runs[0]}` puts back what is in by now" in err
    out, _ = begun(folder, "customers", "import", "people.csv").communicate(timeout=60)
    assert f"{ROWS - half} created, 0 updated, {half} as they are" in out
    assert imported(folder) == ROWS


def test_a_backup_that_is_ended_leaves_no_draft(folder: Path) -> None:
    """SIGTERM left a hidden file as large as the database, with everybody's data, at each attempt."""
    assert begun(folder, "status").communicate(timeout=60)[1] == ""
    with closing(sqlite3.connect(folder / "var" / "accord.sqlite3")) as database:
        database.execute("CREATE TABLE filler (bytes BLOB)")
        database.executemany("INSERT INTO filler VALUES (zeroblob(1000000))", [()] * 60)
        database.commit()
    before = sorted(folder.iterdir())
    one = begun(folder, "db", "backup", "copy.sqlite3")
    code, out, err = ended(one, lambda: sorted(folder.iterdir()) != before, signal.SIGTERM)
    assert (code, out, err) == (143, "", "accord: ended by SIGTERM\n")
    assert sorted(folder.iterdir()) == before


class _Told:
    """A root whose process is told to end while it opens its hub."""

    def __init__(self, root: WorldRoot, number: signal.Signals) -> None:
        self._root = root
        self._number = number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._root, name)

    @contextmanager
    def open_hub(self, **_options: object) -> Iterator[Hub]:
        """Raise the signal."""
        signal.raise_signal(self._number)
        with self._root.open_hub() as hub:
            yield hub


@pytest.mark.parametrize("is_ignored", [False, True])
def test_a_command_in_a_shell_s_background_hears_sigterm(
    root: WorldRoot, capsys: pytest.CaptureFixture[str], *, is_ignored: bool
) -> None:
    """A shell has its background jobs ignore Ctrl-C; they must not ignore SIGTERM with it."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    if is_ignored:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = run(_Told(root, signal.SIGTERM), ["status"])
        after = signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGINT, before[0])
    assert (code, after) == (143, before[1])
    assert capsys.readouterr() == ("", "accord: ended by SIGTERM\n")


def test_the_end_of_a_command_is_json_where_that_was_asked_for(
    root: WorldRoot, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever reads the output gets its one document."""
    assert run(_Told(root, signal.SIGINT), ["status", "--json"]) == 130
    out, err = capsys.readouterr()
    assert '"code": "ended"' in out
    assert '"problem": "ended by Ctrl-C"' in out
    assert err == ""


def test_a_sync_that_is_ended_is_gone_on_with_by_the_next_one(agreed: World, accord: Accord) -> None:
    """What was under way is found again, and made once."""
    agreed.lookalikes["stripe"].edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    agreed.clock.time += 300
    whole = agreed.exchanges["hubspot"]
    told: list[HttpRequest] = []

    def exchange(request: HttpRequest) -> HttpResponse:
        answer = whole(request)
        if "upsert" in request.url and not told:
            told.append(request)
            signal.raise_signal(signal.SIGTERM)
        return answer

    agreed.exchanges["hubspot"] = exchange
    result = accord("sync")
    assert (result.code, result.out) == (143, "")
    assert result.err.endswith("accord: ended by SIGTERM; `accord sync` goes on where it ended\n")
    agreed.clock.time += 300
    assert accord("sync").code == 0
    assert [len(agreed.neutral(name)) for name in NAMES] == [2, 2, 2]
