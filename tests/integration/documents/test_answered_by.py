"""Whoever decides about documents stands in the journal: accept, rebook, leave, approve, booked."""

from __future__ import annotations

import pytest

from core.store import journal
from core.store.tables import JOURNAL
from tests.integration.documents.test_too_many_copies import many, stopped
from tests.support.acting import answer, held
from tests.support.entities import US, belongs, company, customer
from tests.support.paper import bill, billing, papers, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio


def answered(world: World, record_id: str = "") -> list[tuple[str, ...]]:
    """Who said what to which question, oldest first."""
    found = reversed(world.db.read_now(lambda tx: journal.of_record(tx, record_id)))
    return [
        (one.actor, one.connection or "", reason, str(choice))
        for one in found
        if one.action == "answer"
        for reason, (_, choice, _) in one.changes.items()
    ]


async def test_who_accepted_that_an_invoice_is_gone_stands_in_its_journal() -> None:
    """It was somebody's claim, and counts as void from now on."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    line = {"description": "Seats", "product": "1", "quantity": "1", "unit_amount": "50.00"}
    invoice = bill(world, "quickbooks", line, number="QB-1")
    await world.next_sweep()
    world.lookalikes["quickbooks"].delete("invoice", invoice)
    await world.next_sweep()
    (paper,), (hold,) = papers(world), held(world)
    await answer(world, hold, "accept")
    assert answered(world, paper.id) == [("ann", "quickbooks", "document_gone", "accept")]
    assert papers(world)[0].document.status == "void"


@pytest.mark.parametrize("choice", ["accept", "rebook"])
async def test_who_let_an_invoice_stay_or_booked_it_elsewhere_stands_in_its_journal(choice: str) -> None:
    """Two companies' books, and a customer that is the other one's by now."""
    world = await company(Ada="us")
    bill(world, customer=customer(world, "Ada"))
    await world.next_sweep()
    belongs(world, "Ada", "eu")
    await world.next_sweep()
    (paper,), (hold,) = papers(world), held(world)
    if choice == "rebook":
        (there,) = world.lookalikes[US].neutral("invoice")
        world.lookalikes[US].delete("invoice", there)
    await answer(world, hold, choice)
    await world.next_sweep()
    assert answered(world, paper.id) == [("ann", US, "entity_changed", choice)]


async def test_who_left_a_copy_alone_or_booked_money_back_stands_in_the_journal() -> None:
    """A refund, booked by hand; then a copy that somebody edited, let go of."""
    world = await billing()
    payment = pay(world, bill(world), "119.00")
    await world.next_sweep()
    world.lookalikes["stripe"].edit("payment", payment, {"refunded": "19.00"})
    await world.next_sweep()
    (hold,) = held(world)
    await answer(world, hold, "booked")
    world.lookalikes["stripe"].edit("payment", payment, {"refunded": "29.00"})
    await world.next_sweep()
    (hold,) = held(world)
    await answer(world, hold, "leave")
    (paper,) = (one for one in papers(world, "payment") if one.document.status == "succeeded")
    assert answered(world, paper.id) == [
        ("ann", "quickbooks", "by_hand", "booked"),
        ("ann", "quickbooks", "by_hand", "leave"),
    ]
    assert [
        one.actor for one in world.db.read_now(lambda tx: journal.of_record(tx, paper.id)) if one.action == "unlink"
    ]


async def test_who_approved_very_many_copies_stands_in_the_journal() -> None:
    """The question is the connection's, not a document's."""
    world, _ = await many(6)
    await answer(world, stopped(world), "approve")
    assert len(shown(world, "quickbooks")) == 6
    assert answered(world) == [("ann", "quickbooks", "mass_change", "approve")]
    (row,) = world.db.read_now(lambda tx: tx.rows(JOURNAL.select().where(JOURNAL.c.action == "answer")))
    assert row.kind == "connection"
