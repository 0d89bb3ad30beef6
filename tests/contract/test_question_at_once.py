"""The question about a mass change, asked in one transaction while another one takes it for moot."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from core.store import connections, work
from core.store.database import Database, Tx
from core.store.holds import of_subjects
from core.store.tables import METADATA
from core.sync import guard

NOW = 5.0


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """An empty database with today's tables."""
    one = Database(database_url)
    METADATA.create_all(one.engine)
    yield one
    one.close()


def hub_of(db: Database) -> Any:
    """As much of a hub as the question needs."""
    names = iter(f"h{number}" for number in range(100))
    return SimpleNamespace(db=db, clock=SimpleNamespace(now=lambda: NOW), ids=SimpleNamespace(new=lambda: next(names)))


def test_a_question_that_more_joins_just_now_is_not_closed(db: Database) -> None:
    """What was stopped waited for the answer to a question that nobody was asked."""
    hub: Any = hub_of(db)
    connection: Any = SimpleNamespace(name="stripe")
    db.run_now(lambda tx: connections.ensure(tx, "stripe", "stripe"))

    def stop(tx: Tx, name: str) -> None:
        work.mark(tx, "stripe", [name], reason="t", trace="", now=NOW)
        guard.stop(tx, hub, connection, {name: "digest"}, "too much")

    db.run_now(lambda tx: stop(tx, "m:1"))
    rows = list(db.read_now(lambda tx: work.of_subjects(tx, "stripe", ["m:1"])).values())
    db.run_now(lambda tx: work.clear(tx, "stripe", rows))
    is_asked = threading.Event()

    def slowly(tx: Tx) -> None:
        stop(tx, "m:2")
        is_asked.set()
        time.sleep(0.5)

    other = threading.Thread(target=lambda: db.run_now(slowly))
    other.start()
    assert is_asked.wait(10)
    anyio.run(guard.end_question, hub, connection, rows)
    other.join()
    open_ = db.read_now(lambda tx: of_subjects(tx, "stripe", [guard.SUBJECT]))
    assert [one.state for one in open_.get(guard.SUBJECT, ())] == ["open"]
    assert db.read_now(lambda tx: work.count_parked(tx, "stripe", guard.PARKED)) == 1
