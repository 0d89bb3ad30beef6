"""Two transactions that rewrite one invoice, on real threads: PostgreSQL lets them run, and no word may be lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, cast

import pytest

from core.model import holds
from core.model.documents import KINDS, Invoice
from core.model.policy import DocumentPolicy
from core.ports import Missing
from core.store import documents, journal, mappings
from core.store.database import Tx
from core.store.documents import Paper
from core.sync.documents.origins import count_as_void
from core.sync.documents.taking import Read, take, understood
from tests.support.acting import held
from tests.support.paper import bill, papers, pay, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio
Work = Callable[[Tx], object]
PATIENCE_SECONDS = 1.0


class Halting:
    """A transaction that stops before its first rewrite of a document, with all that it has read of it in hand."""

    def __init__(self, tx: Tx, halted: Event, go_on: Event) -> None:
        """`halted` says that it stopped, `go_on` lets it continue."""
        self._tx, self._halted, self._go_on = tx, halted, go_on

    def execute(self, statement: Any, *values: Any) -> Any:
        """As the transaction does; what takes a document out of its table waits."""
        if str(statement).startswith("DELETE FROM documents"):
            self._halted.set()
            # whoever has to wait for this transaction will not say that it may go on
            self._go_on.wait(PATIENCE_SECONDS)
        return self._tx.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)


@pytest.fixture
async def world(postgres_url: str) -> AsyncIterator[World]:
    """An invoice that is made in QuickBooks and known here; what was paid of it since is not."""
    world = World(url=postgres_url, config=with_documents({"quickbooks": DocumentPolicy(originates=KINDS)}, {}, {}))
    world.lookalikes["quickbooks"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    invoice = bill(world, "quickbooks", number="QB-1")
    await world.next_sweep()
    pay(world, invoice, "19.00", "quickbooks")
    yield world
    world.db.close()


async def read_now(world: World) -> Read:
    """The invoice as QuickBooks has it now."""
    books, (paper,) = world.hub.connections["quickbooks"], papers(world)
    (seen,) = (await books.connector.read("invoice", [paper.remote_id])).values()
    assert not isinstance(seen, Missing)
    return Read(seen, understood(books, "invoice", seen), "lane")


def taken(world: World, read: Read) -> Work:
    """What the lane of QuickBooks does with it."""
    return lambda tx: take(tx, world.hub, world.hub.connections["quickbooks"], "invoice", [read])


def voided(world: World) -> Work:
    """What an answer does: the invoice is gone at QuickBooks, and counts as void."""

    def work(tx: Tx) -> None:
        (paper,) = documents.page(tx, kind="invoice")
        (row,) = mappings.of_records(tx, [paper.id])[paper.id]
        count_as_void(tx, world.hub, row, actor="ann", trace="answer")

    return work


def beside(world: World, first: Work, second: Work) -> None:
    """The second begins when the first has read, and has not written; if it need not wait, it is over before that."""
    halted, go_on = Event(), Event()
    with ThreadPoolExecutor(2) as threads:
        one: Future[Any] = threads.submit(world.db.run_now, lambda tx: first(cast("Tx", Halting(tx, halted, go_on))))
        assert halted.wait(10)
        other: Future[Any] = threads.submit(world.db.run_now, second)
        other.add_done_callback(lambda _: go_on.set())
        one.result()
        other.result()


def rewrites(world: World, paper: Paper) -> int:
    """How often the journal says that the invoice became another one."""
    told = world.db.read_now(lambda tx: journal.of_record(tx, paper.id))
    return sum(one.action in ("pull", "gone") for one in told)


async def test_an_answer_that_comes_while_a_lane_takes_news_is_given_to_the_news(world: World) -> None:
    """The lane had read the open invoice, and put it back, paid, over the one that counts as void: it stayed so."""
    read = await read_now(world)
    beside(world, taken(world, read), voided(world))
    (paper,) = papers(world)
    assert isinstance(paper.document, Invoice)
    assert (paper.document.status, str(paper.document.paid)) == ("void", "19.00")
    assert paper.version == 1 + rewrites(world, paper)


async def test_news_that_come_while_somebody_answers_are_asked_about(world: World) -> None:
    """The answer had read the invoice as it was before, and put that back: nobody was told what was paid since."""
    read = await read_now(world)
    beside(world, voided(world), taken(world, read))
    (paper,) = papers(world)
    assert paper.document.status == "void"
    assert [one.reason for one in held(world)] == [holds.DOCUMENT_CHANGED]
    assert paper.version == 1 + rewrites(world, paper)
