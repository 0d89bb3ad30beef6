"""Alembic from zero, again, after a kill, and against databases that do not fit."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event

from core.errors import SchemaError
from core.store import schema
from core.store.database import Database, Tx
from core.store.tables import CUSTOMERS, METADATA

Open = Callable[..., Database]

STOP_HALF_WAY = """
    import sys, time
    from sqlalchemy import event
    from core.store import schema
    from core.store.database import Database
    db = Database(sys.argv[1])
    seen = []

    @event.listens_for(db.engine, "before_cursor_execute")
    def stop(_connection, _cursor, statement, *_rest):
        seen.append(statement)
        if sum("CREATE" in one for one in seen) == 20:
            print("ready", flush=True)
            time.sleep(600)

    schema.upgrade(db)
"""
UPGRADE = """
    import sys
    from core.store import schema
    from core.store.database import Database
    db = Database(sys.argv[1])
    print("ready", flush=True)
    sys.stdin.readline()
    print(schema.upgrade(db))
"""


NEXT_REVISION = """
import sqlalchemy as sa
from alembic import op
revision = "9998"
down_revision = "{head}"

def upgrade():
    with op.batch_alter_table("customers") as table:
        table.add_column(sa.Column("nickname", sa.Text, nullable=False, server_default="none"))
        table.alter_column("parent", new_column_name="parent_id")
"""
NEXT_PROGRAM = """
    import sys
    from core.errors import SchemaError
    from core.store import schema
    from core.store.database import Database
    db = Database(sys.argv[1])
    try:
        schema.check(db)
    except SchemaError as error:
        print(error)
    print(schema.upgrade(db))
    schema.check(db)
    db.close()
"""
CUSTOMER = {
    "id": "c1", "external_id": "a", "fields": "{}", "sources": "{}", "created_at": 1.0, "updated_at": 1.0,
}  # fmt: skip
ROOT = Path(__file__).parents[3]


class PulledPlugError(Exception):
    """Not one of the errors that anybody handles."""


def differences(db: Database) -> list[Any]:
    """What Alembic would change to make the database look like the tables."""

    def look(tx: Tx) -> list[Any]:
        options = {
            "version_table": schema.VERSION_TABLE,
            "compare_type": True,
            "compare_server_default": schema.is_other_default,
        }
        return list(compare_metadata(MigrationContext.configure(tx.connection, opts=options), METADATA))

    return db.read_now(look)


def table_names(db: Database) -> set[str]:
    """The tables there are."""
    return set(db.read_now(lambda tx: sa.inspect(tx.connection).get_table_names()))


def described(db: Database) -> dict[str, str]:
    """Tables and indexes as the database itself describes them, conditions of indexes included."""
    lite = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'accord_schema'"
    post = (
        "SELECT indexname, replace(indexdef, current_schema() || '.', '') FROM pg_indexes"
        " WHERE schemaname = current_schema() AND tablename <> 'accord_schema' UNION ALL"
        " SELECT table_name || '.' || column_name, concat_ws(' ', data_type, character_maximum_length, is_nullable,"
        " replace(column_default, current_schema() || '.', '')) FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND table_name <> 'accord_schema'"
    )
    rows = db.read_now(lambda tx: tx.rows(sa.text(lite if db.is_sqlite else post)))
    return {name: re.sub(r"DEFAULT \('(.*?)'\)", r"DEFAULT '\1'", " ".join(text.split())) for name, text in rows}


def test_an_upgrade_from_zero_makes_what_the_tables_say(database_url: str, open_database: Open) -> None:
    """A column added to tables.py without a revision would only be missed on an operator's machine."""
    db = open_database(database_url)

    applied = schema.upgrade(db)

    assert applied[0] == "0001"
    assert applied[-1] == schema.current(db)
    assert differences(db) == [], "run: python -m scripts.new_migration, or with --amend before a release"
    schema.check(db)


def test_the_revisions_make_the_same_indexes_and_defaults_as_the_tables(
    database_url: str, open_database: Open, tmp_path: Path
) -> None:
    """Alembic's comparison is blind to an index's WHERE, and a unique index without it would refuse good rows."""
    db = open_database(database_url)
    schema.upgrade(db)
    by_revisions = described(db)
    other = open_database(f"sqlite:///{tmp_path}/other.sqlite3") if db.is_sqlite else db
    if not db.is_sqlite:
        db.run_now(lambda tx: METADATA.drop_all(tx.connection))

    other.run_now(lambda tx: METADATA.create_all(tx.connection))

    assert by_revisions == described(other)


def test_a_second_upgrade_changes_nothing(db: Database) -> None:
    """`accord db upgrade` runs at every start with --migrate."""
    assert schema.upgrade(db) == []
    schema.check(db)


def test_an_in_memory_database_can_be_upgraded(open_database: Open) -> None:
    """The simulation makes thousands of them."""
    db = open_database("sqlite://")

    schema.upgrade(db)

    schema.check(db)
    assert differences(db) == []


def test_a_database_before_its_first_upgrade_says_what_to_run(database_url: str, open_database: Open) -> None:
    """A person's first start must not end in "no such table"."""
    db = open_database(database_url)

    with pytest.raises(SchemaError, match="accord db upgrade"):
        schema.check(db)
    assert schema.current(db) is None


def test_the_next_versions_program_upgrades_and_this_one_then_refuses(
    db: Database, database_url: str, start: Callable[..., Any], tmp_path: Path
) -> None:
    """A release with a new column: it refuses the older schema, upgrades it on request, and keeps the rows."""
    db.run_now(lambda tx: tx.many(sa.insert(CUSTOMERS), [CUSTOMER]))
    head = schema.current(db)
    shutil.copytree(ROOT / "core", tmp_path / "core", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "core/store/migrations/versions/9998_next.py").write_text(NEXT_REVISION.format(head=head))

    told = start(NEXT_PROGRAM, database_url, folder=tmp_path).finish()

    assert f"has revision {head}, this program needs 9998; run `accord db upgrade`" in told
    assert "['9998']" in told
    with pytest.raises(SchemaError, match=r"9998.*newer Accord"):
        schema.check(db)
    names = sa.select(sa.column("nickname", sa.String)).select_from(CUSTOMERS)
    assert db.read_now(lambda tx: tx.rows(names)) == [("none",)]


def test_a_newer_schema_is_refused_by_check_and_by_upgrade(db: Database, write_revision: Callable[[str], None]) -> None:
    """After a rollback of the program, the old one would misread or destroy what the newer one wrote."""
    write_revision("9999")

    with pytest.raises(SchemaError, match=r"9999.*newer Accord"):
        schema.check(db)
    with pytest.raises(SchemaError, match=r"9999.*newer Accord"):
        schema.upgrade(db)
    assert schema.current(db) == "9999"


@pytest.fixture
def write_revision(db: Database) -> Callable[[str], None]:
    """Write another revision into the database."""

    def write(revision: str) -> None:
        new = sa.text("UPDATE accord_schema SET version_num = :revision")
        db.run_now(lambda tx: tx.execute(new, {"revision": revision}))

    return write


def test_another_applications_database_is_left_alone(database_url: str, open_database: Open) -> None:
    """An operator names the wrong database: Accord must not move in, even beside an Alembic of its own."""
    db = open_database(database_url)
    db.run_now(lambda tx: tx.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))")))
    db.run_now(lambda tx: tx.execute(sa.text("CREATE TABLE payroll (name TEXT)")))

    for attempt in (schema.check, schema.upgrade):
        with pytest.raises(SchemaError, match="not Accord's"):
            attempt(db)
    assert table_names(db) == {"alembic_version", "payroll"}


@pytest.mark.parametrize("statement", [1, 2, 15, 25, 35])
def test_an_upgrade_that_fails_half_way_leaves_nothing(database_url: str, open_database: Open, statement: int) -> None:
    """Half a schema would pass for a whole one, or stop the next upgrade with "table exists"."""
    db = open_database(database_url)
    seen: list[str] = []

    def pull_the_plug(_connection: object, _cursor: object, sql: str, *_rest: object) -> None:
        seen.append(sql)
        if sum("CREATE" in one or "INSERT" in one for one in seen) == statement:
            raise PulledPlugError

    event.listen(db.engine, "before_cursor_execute", pull_the_plug)
    with pytest.raises(PulledPlugError):
        schema.upgrade(db)
    event.remove(db.engine, "before_cursor_execute", pull_the_plug)

    assert table_names(db) == set()
    assert schema.upgrade(db) != []
    assert differences(db) == []


def test_an_upgrade_killed_half_way_can_be_run_again(
    database_url: str, open_database: Open, start: Callable[..., Any]
) -> None:
    """Power fails in the middle of `accord db upgrade`."""
    victim = start(STOP_HALF_WAY, database_url)
    victim.wait_ready()
    victim.kill()
    db = open_database(database_url)

    assert table_names(db) == set()
    assert schema.upgrade(db) != []
    assert differences(db) == []


def test_two_upgrades_at_once_apply_each_revision_once(
    database_url: str, open_database: Open, start: Callable[..., Any]
) -> None:
    """Two machines are deployed at the same moment, both with --migrate."""
    processes = [start(UPGRADE, database_url) for _ in range(3)]

    for process in processes:
        process.wait_ready()
    for process in processes:
        process.go()
    printed = sorted(process.finish() for process in processes)

    db = open_database(database_url)
    assert printed.count("[]\n") == 2
    assert differences(db) == []


def test_an_upgrade_keeps_the_rows(db: Database) -> None:
    """Running it again must never be a way to lose the registry."""
    db.run_now(lambda tx: tx.many(sa.insert(CUSTOMERS), [CUSTOMER]))

    schema.upgrade(db)

    assert len(db.read_now(lambda tx: tx.rows(CUSTOMERS.select()))) == 1
