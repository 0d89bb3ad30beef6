"""How SQLite looks things up that are asked for again and again: in an index, however many other rows there are.

Accord never runs ANALYZE, so an empty database is planned for like a full one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from core.store import mappings, schema
from core.store.database import Database, Tx


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database."""
    found = Database(f"sqlite:///{tmp_path / 'accord.sqlite3'}", is_direct=True)
    schema.upgrade(found)
    yield found
    found.close()


def plan_of(db: Database, work: Callable[[Tx], object]) -> list[str]:
    """What SQLite says of each query of `work`, line by line."""
    asked: list[tuple[str, Any]] = []

    def remember(_connection: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", remember)
    try:
        db.run_now(work)
    finally:
        event.remove(db.engine, "before_cursor_execute", remember)

    def explain(tx: Tx) -> list[str]:
        every = [tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {one}", values) for one, values in asked]
        return [str(row[-1]) for rows in every for row in rows]

    return db.read_now(explain)


@pytest.mark.parametrize("part", [None, ""])
def test_a_page_of_mappings_begins_where_the_one_before_it_ended(db: Database, part: str | None) -> None:
    """It was sorted out of all mappings of its kind: a walk over a hundred thousand of them took hours, in one go."""
    found = plan_of(db, lambda tx: mappings.page(tx, "stripe", "after", 200, part=part))

    assert found == ["SEARCH mappings USING INDEX ix_mappings_page (connection=? AND kind=? AND id>?)"]


@pytest.mark.parametrize("part", [None, ""])
def test_mappings_are_counted_in_an_index(db: Database, part: str | None) -> None:
    """Every batch of documents counts those that are there, and every look at the status does so ten times."""
    found = plan_of(db, lambda tx: mappings.count(tx, "stripe", "live", "pending", part=part))

    assert found[0].startswith(
        "SEARCH mappings USING COVERING INDEX ix_mappings_connection (connection=? AND kind=? AND state=?"
    )
