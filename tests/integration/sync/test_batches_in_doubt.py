"""Creates that share a request: what becomes of each of them when its answer is lost."""

from __future__ import annotations

import pytest

from core.sandbox.faults import Fault, FaultKind
from core.store import customers, holds, intents, mappings, work
from core.store.database import Tx
from core.sync import registry
from core.sync.lanes import Lanes
from tests.integration.sync.test_found_by_simulation import weather
from tests.support.acting import all_day
from tests.support.world import World

pytestmark = pytest.mark.anyio

MANY = 35


def in_doubt(world: World) -> list[str]:
    """Writes at QuickBooks of which nobody knows."""
    return [one.id for one in world.db.read_now(lambda tx: intents.all_open(tx, "quickbooks")) if one.attempts]


def one_of_the_batch(tx: Tx) -> str:
    """The external_customer_id of one whose create nobody answered."""
    doubtful = intents.all_open(tx, "quickbooks")[0]
    record = mappings.by_ids(tx, [doubtful.mapping_id])[doubtful.mapping_id].record_id
    return customers.by_ids(tx, [record])[record].external_id


async def a_lost_batch(kind: FaultKind) -> World:
    """Many customers by hand, most of whom went to QuickBooks in one request that came to this end."""
    world = World()
    await world.activate_all()

    def enter(tx: Tx) -> None:
        for one in range(MANY):
            values = {"name": f"Person {one}", "email": f"person{one}@example.test"}
            registry.create(tx, world.hub, f"person-{one}", values, actor="ann", trace="t")

    world.db.run_now(enter)
    weather(world, "quickbooks", Fault(kind=kind, method="POST", path=r"/batch\?", count=1))
    # time goes on while a lane waits for its limits: it must not find out within the same run
    await Lanes(world.hub, should_stop=lambda: bool(in_doubt(world))).run("quickbooks")
    doubtful = world.db.read_now(lambda tx: intents.all_open(tx, "quickbooks"))
    assert len(doubtful) == 30
    assert len({one.batch for one in doubtful}) == 1
    return world


def check(world: World, there: int = MANY) -> None:
    """Everybody once, nothing in doubt, nobody asked."""
    for name in ("stripe", "hubspot", "quickbooks"):
        emails = [one["email"] for one in world.neutral(name).values()]
        assert (len(emails), len(set(emails))) == (there, there), name
    assert world.db.read_now(intents.all_open) == []
    assert world.db.read_now(holds.listing) == []


@pytest.mark.parametrize("kind", ["lost_answer", "error_after", "error_before"])
async def test_a_lost_batch_makes_every_customer_once(kind: FaultKind) -> None:
    """Repeated one by one, each would have been refused for its own name, and thirty questions asked."""
    world = await a_lost_batch(kind)
    before = len([one for one in world.lookalikes["quickbooks"].mutations if one.action == "create"])
    await world.settle()
    await all_day(world)
    check(world)
    made = [one for one in world.lookalikes["quickbooks"].mutations if one.action == "create"]
    assert len(made) == MANY
    assert len({one.request_key for one in made}) == MANY - 30 + 1
    assert before == (MANY if kind in ("lost_answer", "error_after") else MANY - 30)


async def test_what_a_person_renamed_in_a_lost_batch_is_still_ours() -> None:
    """By its name it could not be found any more: it was made a second time."""
    world = await a_lost_batch("lost_answer")
    books = world.lookalikes["quickbooks"]
    (one,) = [name for name, seen in world.neutral("quickbooks").items() if seen["email"] == "person3@example.test"]
    books.edit("customer", one, {"name": "Somebody Else"})
    await world.settle()
    await all_day(world)
    check(world)
    assert world.neutral("quickbooks")[one]["name"] in ("Somebody Else", "Person 3")


@pytest.mark.parametrize("kind", ["lost_answer", "error_before"])
async def test_one_that_was_archived_meanwhile_is_not_made(kind: FaultKind) -> None:
    """The rest of its batch is repeated without it."""
    world = await a_lost_batch(kind)
    before = len(world.neutral("quickbooks"))
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, one_of_the_batch(tx), actor="ann", trace="t"))
    await world.settle()
    await all_day(world)
    emails = [one["email"] for one in world.neutral("quickbooks").values()]
    assert len(emails) == len(set(emails)) == MANY - (kind == "error_before")
    assert before == (MANY if kind == "lost_answer" else MANY - 30)
    assert world.db.read_now(intents.all_open) == []
    assert world.db.read_now(holds.listing) == []


async def test_what_a_repeated_part_leaves_out_is_looked_for_and_made() -> None:
    """The batch never arrived, and its halves are repeated apart: its first answer is that of one half."""
    world = await a_lost_batch("error_before")
    doubtful = world.db.read_now(lambda tx: intents.all_open(tx, "quickbooks"))
    later = {work.mapping_subject(one.mapping_id): world.clock.now() + 300 for one in doubtful[:15]}
    world.db.run_now(lambda tx: work.postpone(tx, "quickbooks", later, is_attempt=False))
    world.clock.time += 10
    await world.lanes.run("quickbooks")
    assert len(world.neutral("quickbooks")) == MANY - 15
    await world.settle(patience=3600.0)
    check(world)
