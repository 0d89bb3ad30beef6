"""What documents add up to, where there are many of them."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from types import FrameType

import msgspec
import pytest

from core.model.documents import Application, Document, Invoice, Payment, digest_of
from core.store import documents
from core.store.database import Tx
from core.store.documents import Paper
from core.sync.documents.ageing import aged
from core.sync.documents.tie_out import tie_out
from core.sync.documents.twins import counted
from core.sync.hub import Hub
from tests.support.world import World

TEN = Decimal(10)


def paid_invoices(number: int) -> list[Paper]:
    """So many invoices of Stripe's and a payment of each; every fourth was recorded in the books."""
    found = []
    for place in range(number):
        invoice = Invoice(
            id=f"{place:032x}", customer="ada", currency="USD", status="paid", lines=(), subtotal=TEN, total=TEN,
            paid=TEN, due=Decimal(0), issued_on=date(2026, 11, 18),
        )  # fmt: skip
        payment = Payment(
            id=f"{number + place:032x}", customer="ada", currency="USD", status="succeeded", amount=TEN,
            received_on=date(2026, 11, 20), applications=(Application(invoice=invoice.id, amount=TEN),),
        )  # fmt: skip
        found += [_paper(invoice, "stripe"), _paper(payment, "stripe" if place % 4 else "quickbooks")]
    return found


def _paper(document: Document, origin: str) -> Paper:
    return Paper(
        id=document.id, origin=origin, remote_id=document.id, customer_id="ada", document=document,
        digest=digest_of(document), created_at=0.0, updated_at=0.0,
    )  # fmt: skip


def test_ten_times_as_many_documents_are_about_ten_times_the_work() -> None:
    """Each payment was compared with every other one: 4,000 took half a minute, in the middle of a sweep."""
    few, many = (_calls(number) for number in (30, 300))
    assert many < few * 15


def _calls(number: int) -> int:
    """How many functions are called to tell which of so many count."""
    world, papers, calls = World(), paid_invoices(number), 0
    world.db.run_now(lambda tx: documents.put(tx, papers))

    def called(_frame: FrameType, event: str, _of: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(called)
    try:
        found = world.db.read_now(lambda tx: counted(tx, papers))
    finally:
        sys.setprofile(None)
    assert found == papers
    return calls


def test_two_records_of_one_payment_count_once_among_many_others() -> None:
    """Stripe's own, which the invoice's origin has."""
    world, papers = World(), paid_invoices(40)
    (first, own) = papers[2:4]
    twin = msgspec.structs.replace(own.document, id="f" * 32)
    papers.append(_paper(twin, "quickbooks"))
    world.db.run_now(lambda tx: documents.put(tx, papers))
    found = world.db.read_now(lambda tx: counted(tx, papers))
    assert first in found
    assert [one.id for one in papers if one not in found] == [twin.id]


@pytest.mark.parametrize("report", [aged, lambda tx, hub: tie_out(tx, hub, "2026-10")])
def test_a_report_of_few_holds_no_more_of_the_others_at_once(report: Callable[[Tx, Hub], object]) -> None:
    """Nothing is due of any, and none is of the month: all that was ever billed was in memory, to be left out."""
    few, many = (_most_memory(report, number) for number in (1000, 4000))
    assert many < few * 1.5


def _most_memory(report: Callable[[Tx, Hub], object], number: int) -> int:
    """How many bytes a report takes at once, of so many documents that it does not tell of."""
    world, papers = World(), paid_invoices(number)
    world.db.run_now(lambda tx: documents.put(tx, papers))
    tracemalloc.start()
    try:
        world.db.read_now(lambda tx: report(tx, world.hub))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
