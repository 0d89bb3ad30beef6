"""Whose account a connection opens: one connection has it, and a slip is put right as long as nothing was taken."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from core.errors import WrongAccountError
from core.ports import Account
from core.store import connections, schema
from core.store.connections import Cursor
from core.store.database import Database, Tx
from core.sync.accounts import pin

ACCOUNT = Account("acct_1:live", "Acme")
NAMES = ("stripe", "stripe-eu")


@pytest.fixture
def db(database_url: str) -> Database:
    """Two connections of one provider, to which no account is pinned yet."""
    found = Database(database_url)
    schema.upgrade(found)
    for name in (*NAMES, "stripe-old"):
        found.run_now(partial(connections.ensure, name=name, provider="stripe"))
    return found


@pytest.fixture(autouse=True)
def closed(db: Database) -> object:
    """The database is closed before its schema is dropped."""
    yield
    db.close()


def pinned(db: Database) -> list[str | None]:
    """The accounts of both."""
    return [db.read_now(partial(connections.get, name=one)).account_id for one in NAMES]


def connect(name: str, account: Account = ACCOUNT, *, is_anew: bool = False) -> Callable[[Tx], None]:
    """A connection learns whose account its credentials open."""
    return lambda tx: pin(tx, name, account, NAMES, is_anew=is_anew)


def test_two_connections_that_open_one_account_at_one_moment_are_one_and_a_refusal(db: Database) -> None:
    """Each customer and invoice of the account would be taken twice."""
    both_looked = threading.Barrier(2)

    def late(tx: Tx, name: str) -> None:
        pin(tx, name, ACCOUNT, NAMES)
        # both have looked by now, unless one waits for the other
        with contextlib.suppress(threading.BrokenBarrierError):
            both_looked.wait(1)

    def meet(name: str) -> str:
        try:
            db.run_now(lambda tx: late(tx, name))
        except WrongAccountError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as threads:
        said = sorted(threads.map(meet, NAMES))

    assert sorted(map(str, pinned(db))) == ["None", ACCOUNT.id]
    assert said[0] == ""
    assert "is connected already" in said[1]


def test_a_name_that_is_not_configured_any_more_keeps_no_account_of_which_nothing_was_read(db: Database) -> None:
    """It was given another name in accord.toml: nobody reads by the old one."""
    db.run_now(lambda tx: connections.change(tx, "stripe-old", account_id=ACCOUNT.id))
    db.run_now(connect("stripe"))
    assert pinned(db) == [ACCOUNT.id, None]


def test_a_connection_that_was_renamed_takes_nothing_a_second_time(db: Database) -> None:
    """Its invoices and payments were in the registry twice, and what mirrors them got two copies."""
    db.run_now(lambda tx: connections.change(tx, "stripe-old", account_id=ACCOUNT.id))
    db.run_now(lambda tx: connections.put_cursor(tx, Cursor(connection="stripe-old", mode="full", cursor="page 2")))
    with pytest.raises(WrongAccountError, match=r"If stripe-old was renamed, call it so again in accord\.toml"):
        db.run_now(connect("stripe"))
    assert pinned(db) == [None, None]


def test_a_wrong_account_is_exchanged_as_long_as_nothing_was_read_of_it(db: Database) -> None:
    """One slip at the first `accord connect`, and the name could never be used."""
    db.run_now(connect("stripe", Account("acct_wrong:live", "Private")))
    with pytest.raises(WrongAccountError, match=r"Nothing was read of it yet: .* `accord connect stripe`"):
        db.run_now(connect("stripe"))
    db.run_now(connect("stripe", is_anew=True))
    assert pinned(db) == [ACCOUNT.id, None]
    db.run_now(lambda tx: connections.put_cursor(tx, Cursor(connection="stripe", mode="full", cursor="page 2")))
    with pytest.raises(WrongAccountError) as refused:
        db.run_now(connect("stripe", Account("acct_2:live", ""), is_anew=True))
    assert "Nothing was read" not in str(refused.value)
    assert pinned(db) == [ACCOUNT.id, None]


def test_a_wrong_account_is_not_exchanged_for_one_that_another_connection_has(db: Database) -> None:
    """The cure of one slip is no way to the other."""
    db.run_now(connect("stripe"))
    db.run_now(connect("stripe-eu", Account("acct_2:live", "")))
    with pytest.raises(WrongAccountError, match="stripe is connected already"):
        db.run_now(connect("stripe-eu", is_anew=True))
    assert pinned(db) == [ACCOUNT.id, "acct_2:live"]
