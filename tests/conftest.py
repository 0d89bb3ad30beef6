"""Databases for tests: a SQLite file of their own, or a PostgreSQL schema of their own that is dropped afterwards.

PostgreSQL joins when ACCORD_TEST_POSTGRES_URL names one, or when one answers at the usual place on this machine.
"""

from __future__ import annotations

import os
import secrets
import sys
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, settings
from structlog.typing import EventDict

# no test asserts how long something takes: on a busy machine an example does not become wrong by being slow
settings.register_profile("accord", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("accord")

_USUAL_PLACE = "postgresql://postgres@127.0.0.1/test"


@cache
def _postgres() -> str | None:
    """The server to use; a configured one that does not answer is an error and not a reason to skip."""
    configured = os.environ.get("ACCORD_TEST_POSTGRES_URL")
    url = configured or _USUAL_PLACE
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        if configured:
            raise
        return None
    return url


class BugsInTheLog:
    """A processor of the log that keeps what is logged with a traceback, and writes lines as cheaply as can be."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.found: list[str] = []

    def __call__(self, _logger: object, method: str, event: EventDict) -> str:
        """One line; what the program did not expect is kept with where it was raised."""
        caught = sys.exc_info()[1] if event.pop("exc_info", False) else None
        if caught is not None:
            self.found.append("".join(traceback.format_exception(caught)))
        return f"[{method}] " + " ".join(f"{name}={value}" for name, value in event.items())


@pytest.fixture(autouse=True)
def log_of_its_own(request: pytest.FixtureRequest) -> Iterator[None]:
    """A log that no earlier command has configured, in which a bug fails the test.

    The engine survives its bugs: it logs them, and goes on with the next record. A test that sees only the end would
    pass over them. One that provokes a bug says so: `@pytest.mark.bugs_are_logged`.
    """
    bugs = BugsInTheLog()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, bugs])
    yield
    structlog.reset_defaults()
    is_asked_for = request.node.get_closest_marker("bugs_are_logged") is not None
    assert is_asked_for or not bugs.found, f"the engine has logged a bug and gone on:\n{bugs.found[0]}"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path}/accord.sqlite3"


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """An empty PostgreSQL schema, found through the URL's search_path."""
    server = _postgres()
    if server is None:
        pytest.skip("no PostgreSQL: set ACCORD_TEST_POSTGRES_URL")
    schema = f"accord_test_{secrets.token_hex(6)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    try:
        yield f"{server}{'&' if '?' in server else '?'}options=-csearch_path%3D{schema}"
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("SET lock_timeout = '5s'")
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Both kinds of database, one after the other: an empty one of the test's own."""
    return str(request.getfixturevalue(f"{request.param}_url"))
