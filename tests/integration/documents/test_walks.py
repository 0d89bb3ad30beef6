"""Walks over all copies let everything else have its turn: a webhook is answered once it is stored."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from core.model.documents import KINDS, Invoice
from core.model.policy import DocumentPolicy
from core.store import connections, documents, mappings, work
from core.store.database import Tx
from core.store.documents import Paper
from core.store.mappings import MappingRow
from core.sync.documents.asking import look_again, reconcile_all
from core.sync.documents.telling import listed
from tests.support.paper import BOOKS, SINCE, with_documents
from tests.support.world import START, World

pytestmark = pytest.mark.anyio

MANY = 1450
FEW = 15
"""However many copies there are: a page of them takes three."""
POLICIES: Mapping[str, DocumentPolicy] = {
    "stripe": DocumentPolicy(originates=KINDS),
    "quickbooks": DocumentPolicy(mirrors=KINDS, since=SINCE),
}


def with_many_copies() -> World:
    """Copies in the books that were never seen equal."""
    world = World(config=with_documents(POLICIES, {"quickbooks": BOOKS}, {}))
    world.db.run_now(_copies)
    return world


def _copies(tx: Tx) -> None:
    connections.change(tx, "quickbooks", state="active", swept_at=START)
    invoice = Invoice(
        id="",
        customer="c",
        currency="EUR",
        status="open",
        lines=(),
        subtotal=Decimal(1),
        total=Decimal(1),
        due=Decimal(1),
    )
    names = [f"{number:032x}" for number in range(MANY)]
    same: dict[str, Any] = {"created_at": START, "updated_at": START}
    papers = [
        Paper(id=name, origin="stripe", remote_id=f"in_{name}", customer_id="c", document=invoice, digest="d", **same)
        for name in names
    ]
    documents.put(tx, papers)
    place: dict[str, Any] = {"kind": "invoice", "connection": "quickbooks", "state": "live"}
    mappings.insert(tx, [MappingRow(id=name, record_id=name, remote_id=name, **place, **same) for name in names])


class WriteTransactions:
    """How many statements each transaction that may write has."""

    def __init__(self, world: World) -> None:
        """Listen from now on."""
        self.statements: list[int] = []
        self._may_write = False
        event.listen(world.db.engine, "begin", self._begin)
        event.listen(world.db.engine, "before_cursor_execute", self._execute)

    def _begin(self, connection: sa.Connection) -> None:
        self._may_write = not connection.get_execution_options().get("accord_reads", False)
        self.statements += [0] if self._may_write else []

    def _execute(self, *_details: object) -> None:
        if self._may_write:
            self.statements[-1] += 1


async def test_the_hourly_look_at_all_copies_keeps_no_writer_waiting() -> None:
    """It went through all of them in one transaction: with 240,000 no webhook was answered for a minute and more."""
    world = with_many_copies()
    seen = WriteTransactions(world)

    assert await reconcile_all(world.hub, world.hub.connections["quickbooks"], "hourly")

    assert world.db.read_now(work.counts) == {"quickbooks": MANY}
    assert max(seen.statements) < FEW


async def test_a_look_at_all_copies_that_somebody_asks_for_keeps_no_writer_waiting() -> None:
    """`accord sync quickbooks --kind invoices` marks every copy, some at a time."""
    world = with_many_copies()
    seen = WriteTransactions(world)

    await look_again(world.hub, world.hub.connections["quickbooks"], ["invoice"], [], "asked")

    assert world.db.read_now(work.counts) == {"quickbooks": MANY}
    assert max(seen.statements) < FEW


async def test_a_page_of_documents_costs_as_many_queries_as_one_of_them() -> None:
    """Four for each copy: a page of a hundred invoices with two copies each took eight hundred."""
    world = with_many_copies()
    asked: list[str] = []
    event.listen(world.db.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))

    def shown(tx: Tx, limit: int) -> int:
        return len(listed(tx, documents.page(tx, kind="invoice", limit=limit), START))

    numbers = []
    for limit in (1, 100):
        asked.clear()
        assert world.db.read_now(partial(shown, limit=limit)) == limit
        numbers.append(len(asked))

    assert numbers[0] == numbers[1]
