"""How SQLite looks things up that are asked for again and again: in an index, however many other rows there are.

Accord never runs ANALYZE, so an empty database is planned for like a full one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from core.model.documents import Invoice
from core.store import ahead, documents, inbox, intents, mappings, observations, schema, work
from core.store.database import Database, Tx
from core.store.documents import Paper


@pytest.fixture(params=["as they were made", "the other way round"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty SQLite database. Of two indexes that are as good as each other, it takes the one that was made later."""
    found = Database(f"sqlite:///{tmp_path / 'accord.sqlite3'}", is_direct=True)
    schema.upgrade(found)
    if request.param != "as they were made":
        found.run_now(_make_indexes_anew)
    yield found
    found.close()


def _make_indexes_anew(tx: Tx) -> None:
    made = tx.rows(sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql <> '' ORDER BY rowid"))
    for name, _ in made:
        tx.execute(sa.text(f"DROP INDEX {name}"))
    for _, statement in reversed(made):
        tx.execute(sa.text(statement))


def plan_of(db: Database, asks: Callable[[Tx], object]) -> list[str]:
    """What SQLite says of each query of `asks`, line by line."""
    asked: list[tuple[str, Any]] = []

    def remember(_connection: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", remember)
    try:
        db.run_now(asks)
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


@pytest.mark.parametrize("ask", [intents.all_open, intents.open_actions])
def test_open_writes_are_found_without_those_that_are_closed(db: Database, ask: Callable[[Tx, str], object]) -> None:
    """Closed ones are kept for ever, and every batch that creates something asks what is still open."""
    found = plan_of(db, lambda tx: ask(tx, "stripe"))

    assert found[0] == "SCAN intents USING INDEX uq_intents_open"


def test_earlier_mappings_of_records_are_looked_up(db: Database) -> None:
    """Each batch that makes mappings asks for them: it went through all that its connection ever had."""
    found = plan_of(db, lambda tx: mappings.generations(tx, ["r"], "stripe"))

    assert found[0] == "SEARCH mappings USING INDEX ix_mappings_record_id (record_id=?)"


@pytest.mark.parametrize("ask", [observations.digests, observations.parents, observations.by_ids])
def test_objects_that_a_page_names_are_looked_up(
    db: Database, ask: Callable[[Tx, str, str, list[str]], object]
) -> None:
    """Each page of a sweep asks what was known of its objects: it went through all that its connection has."""
    found = plan_of(db, lambda tx: ask(tx, "stripe", "customer", ["a", "b"]))

    assert found[0].endswith("INDEX sqlite_autoindex_observations_1 (connection=? AND kind=? AND remote_id=?)")


def test_the_tick_looks_at_no_closed_write(db: Database) -> None:
    """Every second somebody asks whether the clock was ahead: it read all writes that there ever were."""
    found = plan_of(db, lambda tx: ahead.connections(tx, 0.0))

    assert [one for one in found if "intents" in one] == ["SCAN intents USING INDEX uq_intents_open"]


@pytest.mark.parametrize(("ask", "index"), [(work.due, "customers"), (work.due_documents, "documents")])
def test_what_is_due_next_is_found_without_the_rest_that_waits(
    db: Database, ask: Callable[[Tx, str, float, int], object], index: str
) -> None:
    """After every batch it was sorted out of all that waits: the more a lane had to do, the slower it was at it."""
    found = plan_of(db, lambda tx: ask(tx, "stripe", 1.0, 100))

    assert found == [f"SEARCH dirty USING INDEX ix_dirty_{index} (connection=? AND parked=? AND not_before<?)"]


def test_a_page_of_one_customer_s_documents_begins_where_the_one_before_it_ended(db: Database) -> None:
    """Who has very many would have all of them read and sorted for each page."""
    found = plan_of(db, lambda tx: documents.page(tx, kind="invoice", customer_ids=["c"], after="i", limit=500))

    assert found == ["SEARCH documents USING INDEX ix_documents_customer_id (customer_id=? AND kind=? AND id>?)"]


def test_documents_that_changed_are_found_without_the_others(db: Database) -> None:
    """Every hour each origin asks which invoices moved of late: it read all documents, and all that they settle."""
    db.run_now(lambda tx: documents.put(tx, [_invoice("i", at=10.0)]))
    found = plan_of(db, lambda tx: documents.touched(tx, "stripe", 5.0))

    assert [one for one in found if "documents" in one or "references" in one] == [
        "SEARCH documents USING INDEX sqlite_autoindex_documents_2 (origin=? AND kind=?)",
        "SEARCH documents USING INDEX ix_documents_updated_at (updated_at>?)",
    ]


@pytest.mark.parametrize(
    ("index", "asked"),
    [
        ("ix_documents_customer_id (customer_id=?", {"customer_ids": ["c"]}),
        ("ix_documents_number (number=?)", {"number": "N-1"}),
        ("ix_documents_status (kind=? AND status=? AND id>?)", {"status": "void"}),
        ("ix_documents_kind (kind=? AND id>?)", {}),
    ],
)
def test_a_page_of_documents_is_looked_up_by_what_is_asked_for(
    db: Database, index: str, asked: Mapping[str, Any]
) -> None:
    """One customer's few invoices were looked for among all, for seconds each time."""
    found = plan_of(db, lambda tx: documents.page(tx, kind="invoice", after="a", limit=100, **asked))

    assert found[0].startswith(f"SEARCH documents USING INDEX {index}")


def test_a_document_is_found_by_its_number_or_its_id_at_its_origin(db: Database) -> None:
    """`accord explain` and `accord invoices show` look in both indexes, and at no other document."""
    found = plan_of(db, lambda tx: documents.named(tx, "invoice", "N-1"))

    assert [one for one in found if "documents" in one] == [
        "SEARCH documents USING INDEX ix_documents_number (number=?)",
        "SEARCH documents USING INDEX ix_documents_remote_id (remote_id=?)",
    ]


def test_objects_are_counted_in_an_index(db: Database) -> None:
    """Every look at the status, and every scrape of the metrics, read all objects that were ever seen, twice."""
    found = plan_of(db, lambda tx: observations.count(tx, "stripe", "customer"))

    assert found == [
        "SEARCH observations USING COVERING INDEX ix_observations_state (connection=? AND kind=? AND state=?)"
    ]


def test_copies_are_compared_with_their_documents_and_nothing_else_is(db: Database) -> None:
    """Every scrape of the metrics went through all customers' mappings for it, and through what an origin made."""
    db.run_now(lambda tx: documents.put(tx, [_invoice("i", at=10.0)]))
    at_origin = plan_of(db, lambda tx: documents.count_unequal(tx, "stripe", "document"))
    at_mirror = plan_of(db, lambda tx: documents.count_unequal(tx, "hubspot", "document"))

    assert [one for one in at_origin if "mappings" in one] == []
    assert [one for one in at_mirror if "mappings" in one] == [
        "SEARCH mappings USING INDEX ix_mappings_connection (connection=? AND kind=? AND state=?)"
    ]


def test_documents_of_a_period_are_found_by_their_day(db: Database) -> None:
    """A close of one month took every document that there ever was into memory."""
    found = plan_of(db, lambda tx: list(documents.of_period(tx, "invoice", "2026-10")))

    assert found == [
        "SEARCH documents USING COVERING INDEX ix_documents_day (kind=? AND issued_on>? AND issued_on<?)",
        "SEARCH documents USING COVERING INDEX ix_documents_day (kind=? AND issued_on=?)",
    ]


def test_deliveries_that_are_old_are_found_without_the_others(db: Database) -> None:
    """Every hour, and after every two hundred, all that are kept were read, bodies and all."""
    found = plan_of(db, lambda tx: inbox.prune(tx, "done", 1.0))

    assert "SEARCH inbox USING COVERING INDEX ix_inbox_received_at (state=? AND received_at<?)" in found


def test_invoices_that_fell_due_are_found_without_those_that_are_paid(db: Database) -> None:
    """The first look of a day read all invoices there are, while nothing else could be written."""
    found = plan_of(db, lambda tx: documents.fallen_due(tx, "2026-11-30", "2026-12-01"))

    assert found[0] == (
        "SEARCH documents USING INDEX ix_documents_open_due_on (kind=? AND status=? AND due_on>? AND due_on<?)"
    )


def _invoice(name: str, *, at: float) -> Paper:
    one = Decimal(1)
    bill = Invoice(id=name, customer="c", currency="EUR", status="open", lines=(), subtotal=one, total=one, due=one)
    return Paper(
        id=name, origin="stripe", remote_id=name, customer_id="c", document=bill, digest="d", created_at=at,
        updated_at=at,
    )  # fmt: skip
