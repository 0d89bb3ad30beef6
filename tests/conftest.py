"""Databases for tests: a SQLite file of their own, or a PostgreSQL schema of their own that is dropped afterwards.

PostgreSQL joins when ACCORD_TEST_POSTGRES_URL names one, or when one answers at the usual place on this machine.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, settings

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


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """A command that was run in a test configures the log; its output is closed by the time the next one logs."""
    yield
    structlog.reset_defaults()


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
