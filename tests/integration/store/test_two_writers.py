"""Two transactions at once, on real threads: PostgreSQL lets them run, and neither may lose the other's work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import sqlalchemy as sa

from core.store import mappings
from core.store.database import Database, Tx
from core.store.mappings import MappingRow
from core.store.tables import META

TURNS = 40


@pytest.fixture
def mapped(db: Database) -> Database:
    """One mapping, and two rows to fight over."""
    row = MappingRow(id="m1", record_id="r1", connection="stripe", state="live", created_at=0.0, updated_at=0.0)
    db.run_now(lambda tx: mappings.insert(tx, [row]))
    db.run_now(lambda tx: tx.many(sa.insert(META), [{"name": name, "value": "0"} for name in ("one", "two")]))
    return db


def together(*works: Callable[[], None]) -> None:
    """Run at the same time, until all are done; raises what one of them raised."""
    with ThreadPoolExecutor(len(works)) as threads:
        for done in [threads.submit(work) for work in works]:
            done.result()


def test_two_writers_of_one_mapping_lose_nothing(mapped: Database) -> None:
    """A mapping is stored whole: without the lock, an unlink between another's read and write was undone."""

    def agree(field: str) -> None:
        def work(tx: Tx) -> None:
            mappings.lock(tx, ["m1"])
            row = mappings.by_ids(tx, ["m1"])["m1"]
            mappings.update(tx, [msgspec.structs.replace(row, base={**row.base, field: ("a", "a")})])

        mapped.run_now(work)

    def many(name: str) -> None:
        for turn in range(TURNS):
            agree(f"{name}{turn}")

    together(lambda: many("x"), lambda: many("y"))
    row = mapped.read_now(lambda tx: mappings.by_ids(tx, ["m1"]))["m1"]
    assert len(row.base) == 2 * TURNS


def test_two_writers_that_wait_for_each_other_both_get_done(mapped: Database) -> None:
    """PostgreSQL stops one of them: it runs again, and nobody sees an error."""
    both_began = threading.Barrier(2, timeout=10)

    def add(first: str, second: str) -> Callable[[], None]:
        def work(tx: Tx) -> None:
            for number, name in enumerate((first, second)):
                value = sa.cast(sa.cast(META.c.value, sa.Integer) + 1, sa.Text)
                tx.execute(sa.update(META).where(META.c.name == name).values(value=value))
                if number == 0 and not mapped.is_sqlite and both_began.n_waiting < 2 and not both_began.broken:
                    try:
                        both_began.wait(1)
                    except threading.BrokenBarrierError:
                        continue  # the second turn of the one that was stopped

        return lambda: mapped.run_now(work)

    together(add("one", "two"), add("two", "one"))
    values = mapped.read_now(lambda tx: {row[0]: row[1] for row in tx.rows(sa.select(META.c.name, META.c.value))})
    assert (values["one"], values["two"]) == ("2", "2")
