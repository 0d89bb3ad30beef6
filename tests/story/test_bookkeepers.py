"""People who bill at Stripe, and the judge of the campaign that kills the daemon meanwhile."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from tests.campaigns import kills
from tests.support.beside import Beside
from tests.support.bookkeepers import Bookkeepers
from tests.support.paper import BOOKS, SINCE, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def billed() -> tuple[World, Bookkeepers]:
    """A week of bookkeeping, copied."""
    policies = {
        "stripe": DocumentPolicy(originates=KINDS),
        "quickbooks": DocumentPolicy(mirrors=KINDS, since=SINCE),
        "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE),
    }
    world = World(config=with_documents(policies, {"quickbooks": BOOKS}, {}))
    clients: Any = {name: Beside(one) for name, one in world.lookalikes.items()}
    people = Bookkeepers(clients, Random(6))
    await world.activate_all()
    people.begin()
    for _ in range(9):
        people.act()
        await world.next_sweep()
    return world, people


async def test_copies_of_a_weeks_bookkeeping_are_there_once_and_equal(billed: tuple[World, Bookkeepers]) -> None:
    """Made, finalised, paid, credited, voided."""
    world, people = billed
    assert people.problems(world.db) == []
    assert {"finalised", "credited", "voided", "paid", "paid in part"} <= set(people.done)
    assert people.told(world.db)["held"] == 0


async def test_the_judge_sees_what_is_there_twice(billed: tuple[World, Bookkeepers]) -> None:
    """A line item more, a payment more, a balance that is another one."""
    world, people = billed
    books, crm = world.lookalikes["quickbooks"], world.lookalikes["hubspot"]
    copy = next(name for name, one in crm.neutral("invoice").items() if one["status"] == "open")
    crm.edit("line_item", None, {"invoice": copy, "description": "Seats", "amount": "1"})
    crm.edit("invoice", copy, {"extra": {"accord_balance": "0.07"}})
    one = next(one for one in books.neutral("payment").values() if one["mark"] and one["status"] == "succeeded")
    again = {name: one[name] for name in ("customer", "currency", "amount", "received_on")}
    books.edit("payment", None, {**again, "applications": [], "extra": {"PrivateNote": f"accord:{one['mark']}"}})

    found = people.problems(world.db)
    number = crm.neutral("invoice")[copy]["number"]
    assert any(one.startswith(f"hubspot {number}: lines ") for one in found), found
    assert any(one.startswith(f"hubspot {number}: has due 0.07") for one in found), found
    assert any("too often in the books" in one for one in found), found


def test_a_daemon_that_dies_while_people_bill_copies_each_document_once() -> None:
    """`python -m tests.campaigns.kills 50 sqlite documents` kills more often."""
    result = kills.campaign(2, "sqlite", "documents", lag_scale=0.05)
    assert result["wrong"] == {}
    assert result["documents"]["quickbooks"]["invoice"] > 0
