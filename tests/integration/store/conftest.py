"""A still clock, databases that are closed again, and Python processes that can be killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.store import schema
from core.store.database import Database

ROOT = Path(__file__).parents[3]


class StillClock:
    """Always the same second."""

    def now(self) -> float:
        """2026-01-02 03:04:05 UTC."""
        return 1767323045.0

    async def sleep(self, seconds: float) -> None:
        """Return at once."""


@pytest.fixture
def clock() -> StillClock:
    """A clock that stands still."""
    return StillClock()


@pytest.fixture
def open_database() -> Iterator[Callable[..., Database]]:
    """Open databases that are closed after the test, before their schema is dropped."""
    with ExitStack() as opened:

        def open_one(url: str, *, busy_seconds: float = 5.0) -> Database:
            db = Database(url, busy_seconds=busy_seconds)
            opened.callback(db.close)
            return db

        yield open_one


@pytest.fixture
def db(database_url: str, open_database: Callable[..., Database]) -> Database:
    """A database of each kind, with Accord's schema."""
    db = open_database(database_url)
    schema.upgrade(db)
    return db


class Process:
    """A Python process of ours that says "ready" and then waits to be killed, or ends."""

    def __init__(self, source: str, *arguments: str, folder: Path = ROOT) -> None:
        """Start it."""
        command = [sys.executable, "-c", textwrap.dedent(source), *arguments]
        self._child = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def wait_ready(self) -> None:
        """Return when it said so."""
        assert self._child.stdout is not None
        assert self._child.stdout.readline() == "ready\n"

    def go(self) -> None:
        """Send it a line, for which it waits."""
        assert self._child.stdin is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()

    def kill(self) -> None:
        """SIGKILL: it gets no chance to tidy up."""
        self._child.kill()
        self._child.communicate()

    def wait_dead(self) -> None:
        """Return when it has ended, however."""
        self._child.wait(timeout=60)

    def finish(self) -> str:
        """Let it end by itself; returns what it printed."""
        out, _ = self._child.communicate(timeout=60)
        assert self._child.returncode == 0
        return out


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Start a process that does not outlive the test."""
    with ExitStack() as started:

        def start_one(source: str, *arguments: str, folder: Path = ROOT) -> Process:
            process = Process(source, *arguments, folder=folder)
            started.callback(process.kill)
            return process

        yield start_one
