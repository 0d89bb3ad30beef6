"""What no feed told of is found all the same: documents that are gone at their origin, copies that people spoiled."""

from __future__ import annotations

import msgspec
import pytest

from config.file import AccordConfig
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.store import connections
from core.store.database import Tx
from core.sync.documents.looking import look_beyond
from core.sync.documents.tie_out import is_tied, tie_out
from tests.support.acting import answer, held, with_settings
from tests.support.paper import (
    BOOKS,
    LINE,
    SINCE,
    an_hour_later,
    at_rest,
    bill,
    billing,
    papers,
    shown,
    with_documents,
)
from tests.support.unheard import LISTS, count, left_out, unheard
from tests.support.world import World

pytestmark = pytest.mark.anyio

DAY = 86_400.0
LOOKS = {"stripe": r"GET .*/v1/invoices/in_", "quickbooks": r"GET .*Id%20in"}
"""Reads of single invoices; of as many as fit into a query."""
SOLD = {**LINE, "product": "1"}
FROM_BOOKS = with_documents(
    {
        "quickbooks": DocumentPolicy(originates=KINDS),
        "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE),
        "stripe": DocumentPolicy(mirrors=KINDS, since=SINCE),
    },
    {"quickbooks": BOOKS, "stripe": {"mirror_open_invoices": "yes"}},
    {},
)


async def days(world: World, number: float, step: float = DAY) -> None:
    """Time passes, and Accord works now and then."""
    until = world.clock.time + number * DAY
    while world.clock.time < until:
        world.clock.time += step
        await world.settle()


async def billed(world: World, name: str, number: int = 1) -> list[str]:
    """So many invoices, copied."""
    made = [bill(world, name, SOLD, number=f"N-{one}") for one in range(number)]
    await world.next_sweep()
    return made


# ---- at their origin -------------------------------------------------------------------------------


async def test_an_invoice_that_was_deleted_unheard_is_asked_about_and_its_copies_are_voided_on_accept() -> None:
    """It stayed open in the registry and in the CRM for ever, and the month tied out."""
    world = await billing(FROM_BOOKS)
    gone, _ = await billed(world, "quickbooks", 2)
    async with unheard(world, "quickbooks"):
        world.lookalikes["quickbooks"].delete("invoice", gone)
    assert held(world) == []

    await days(world, 2)

    (hold,) = held(world)
    assert (hold.reason, hold.detail["remote_id"]) == ("document_gone", gone)
    await answer(world, hold, "accept")
    await world.settle()
    for name in ("hubspot", "stripe"):
        assert sorted(one["status"] for one in shown(world, name)) == ["open", "void"], name
    at_rest(world)


@pytest.mark.parametrize("role", ["origin", "copy"])
async def test_what_was_deleted_before_a_thousand_changes_is_asked_about_without_a_days_wait(role: str) -> None:
    """The change feed stops at a thousand, and no query shows what was deleted."""
    world, origin = await copied("stripe" if role == "origin" else "quickbooks")
    await billed(world, origin, 2)
    await days(world, 1.5, DAY / 2)
    gone, *_ = world.lookalikes["quickbooks"].neutral("invoice")
    world.lookalikes["quickbooks"].delete("invoice", gone)
    for number in range(1001):
        bill(world, "quickbooks", SOLD, number=f"D-{number}")

    await world.next_sweep()

    asked = [one for one in held(world) if one.reason in ("document_gone", "remote_gone")]
    assert [one.detail["remote_id"] for one in asked] == [gone]


async def test_a_listing_under_way_while_the_feed_was_cut_is_followed_by_another_one() -> None:
    """It may have shown what was deleted just before; begun anew each time, it would never end."""
    world, origin = await copied("stripe")
    await billed(world, origin, 2)
    connection = world.hub.connection(origin)
    cursor = world.db.read_now(lambda tx: connections.cursor(tx, origin, "invoice", "full"))
    begun = msgspec.structs.replace(cursor, run="begun")

    def cut(tx: Tx) -> None:
        connections.put_cursor(tx, begun)
        look_beyond(tx, connection, ["invoice"])

    world.db.run_now(cut)
    lists = count(world, origin, LISTS[origin].pattern)
    await world.settle()
    assert len(lists) == 1
    await an_hour_later(world)

    assert len(lists) == 2
    at_rest(world)


@pytest.mark.parametrize("role", ["origin", "copy"])
async def test_a_feed_that_is_cut_every_minute_has_everything_read_once_an_hour(role: str) -> None:
    """While much is imported that is so all day long: each listing reads everything, and the month's reads are few."""
    world, origin = await copied("stripe" if role == "origin" else "quickbooks")
    await billed(world, origin, 3)
    await days(world, 1.5, DAY / 2)
    connection = world.hub.connection("quickbooks")
    reads = count(world, "quickbooks", LISTS[origin].pattern if role == "origin" else LOOKS["quickbooks"])

    for _ in range(4 * 60):
        world.db.run_now(lambda tx: look_beyond(tx, connection, ["invoice"]))
        world.clock.time += 60
        await world.lanes.run("quickbooks")

    assert 3 <= len(reads) <= 5


async def test_a_draft_that_was_deleted_unheard_is_gone() -> None:
    """Drafts may go, and nobody is asked."""
    world = await billing()
    draft = bill(world, status="draft")
    bill(world)
    await world.next_sweep()
    async with unheard(world, "stripe"):
        world.lookalikes["stripe"].delete("invoice", draft)
    assert len(papers(world)) == 2

    await days(world, 2)

    assert [one.document.status for one in papers(world)] == ["open"]
    at_rest(world)


async def test_what_a_listing_leaves_out_is_not_gone_for_that() -> None:
    """A read decides."""
    world = await billing(FROM_BOOKS)
    await billed(world, "quickbooks", 3)
    with left_out(world, "quickbooks"):
        reads = count(world, "quickbooks", LOOKS["quickbooks"])
        await days(world, 1)
    assert reads
    assert [one.document.status for one in papers(world)] == ["open"] * 3
    at_rest(world)


async def test_an_implausibly_short_listing_asks_before_everything_is_looked_for() -> None:
    """Fifty thousand reads at once, because of one empty page."""
    world = await billing(stripe_alone())
    for one in range(130):
        bill(world, status="draft", number=f"N-{one}")
    await days(world, 1)
    assert len(papers(world)) == 130
    reads = count(world, "stripe", LOOKS["stripe"])

    with left_out(world, "stripe"):
        await days(world, 2)
        (hold,) = held(world)
        assert (hold.reason, hold.detail["document"]) == ("listing_shrank", "invoice")
        assert "130 that are known" in hold.detail["problem"]
        assert reads == []
        found = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))
        (problem,) = [one for ground in found["connections"] for one in ground["problems"]]
        assert "130 that are known" in problem, "what is not there any more was counted, and the month was tied out"
        assert hold.id in problem
        assert not is_tied(found)
        await answer(world, hold, "approve")
        await world.settle()
        assert len(reads) == 130
        assert len(papers(world)) == 130
        await days(world, 1)
        assert [one.reason for one in held(world)] == ["listing_shrank"], "an answer is good for once"

    await days(world, 1)
    at_rest(world)
    assert len(reads) == 130


async def test_a_short_listing_that_a_person_rejects_is_not_asked_about_again() -> None:
    """The provider is known to be broken: nothing is looked for, and nobody is woken for the same page each day."""
    world = await billing(stripe_alone())
    for one in range(130):
        bill(world, status="draft", number=f"N-{one}")
    await days(world, 1)
    reads = count(world, "stripe", LOOKS["stripe"])
    with left_out(world, "stripe"):
        await days(world, 1)
        (hold,) = held(world)
        await answer(world, hold, "reject")
        await days(world, 2)
        assert (held(world), reads) == ([], [])
    assert len(papers(world)) == 130


async def test_a_listing_that_another_process_began_proves_nothing_missing() -> None:
    """What its first pages showed, nobody knows any more."""
    world = await billing(stripe_alone())
    draft = bill(world, status="draft")
    for one in range(120):
        bill(world, status="draft", number=f"N-{one}")
    await days(world, 1)
    async with unheard(world, "stripe"):
        world.lookalikes["stripe"].delete("invoice", draft)
    reads = count(world, "stripe", LOOKS["stripe"])
    answering = world.exchanges["stripe"]
    world.exchanges["stripe"] = lambda one: (
        answering(one) if "starting_after=in_" not in one.url else type(answering(one))(503, {}, b"")
    )
    world.clock.time += DAY
    await world.lanes.run("stripe")
    world.exchanges["stripe"] = answering
    world.start()
    world.clock.time += 3600.0
    await world.settle()
    assert (reads, held(world)) == ([], [])
    assert len(papers(world)) == 121

    await days(world, 2)

    assert len(papers(world)) == 120
    assert len(reads) == 1


def stripe_alone() -> AccordConfig:
    """Its documents are known, and copied nowhere."""
    return with_documents({"stripe": DocumentPolicy(originates=KINDS)}, {}, {})


# ---- copies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mirror", ["stripe", "quickbooks"])
async def test_a_copy_that_was_voided_unheard_is_asked_about(mirror: str) -> None:
    """The registry said open, the copy was void, and the month tied out."""
    world, origin = await copied(mirror)
    await billed(world, origin)
    (copy,) = world.lookalikes[mirror].neutral("invoice")
    async with unheard(world, mirror):
        world.lookalikes[mirror].edit("invoice", copy, {"status": "void"})
    assert held(world) == []

    await days(world, 3)

    (hold,) = held(world)
    assert (hold.connection, hold.reason, hold.detail["field"]) == (mirror, "rejected", "status")
    assert not is_tied(world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11")))


async def test_a_copy_that_was_deleted_unheard_is_asked_about_and_made_again_on_request() -> None:
    """The books had no such invoice, and the month tied out."""
    world, origin = await copied("quickbooks")
    await billed(world, origin, 3)
    copy, *_ = world.lookalikes["quickbooks"].neutral("invoice")
    async with unheard(world, "quickbooks"):
        world.lookalikes["quickbooks"].delete("invoice", copy)

    await days(world, 3)

    (hold,) = held(world)
    assert (hold.connection, hold.reason, hold.detail["remote_id"]) == ("quickbooks", "remote_gone", copy)
    await answer(world, hold, "recreate")
    await world.settle()
    assert len(shown(world, "quickbooks")) == 3
    at_rest(world)


@pytest.mark.parametrize("mirror", ["stripe", "quickbooks"])
async def test_after_more_than_the_feed_tells_of_all_copies_are_looked_at_once(mirror: str) -> None:
    """An outage of forty days: what was done to copies in its first ten nothing tells any more."""
    world, origin = await copied(mirror)
    await billed(world, origin, 60)
    first, *_ = world.lookalikes[mirror].neutral("invoice")
    world.lookalikes[mirror].edit("invoice", first, {"status": "void"})
    world.clock.time += 40 * DAY
    looks = count(world, mirror, LOOKS[mirror])

    await world.settle()

    assert len(looks) >= (60 if mirror == "stripe" else 1)
    (hold,) = held(world)
    assert (hold.connection, hold.reason, hold.detail["field"]) == (mirror, "rejected", "status")


async def test_copies_at_stripe_are_looked_at_no_faster_than_its_months_reads_allow() -> None:
    """A read each: 200 copies a day would be 6,000 of the 10,000 reads of a month."""
    config = with_settings(FROM_BOOKS, "stripe", monthly_reads="1000")
    world = await billing(config)
    await billed(world, "quickbooks", 40)
    await days(world, 1)
    reads = count(world, "stripe", r"GET ")
    looks = count(world, "stripe", LOOKS["stripe"])

    await days(world, 35, DAY / 2)

    assert len(looks) > 100, "each of them several times"
    window = max(sum(at - 30 * DAY < other <= at for other in reads) for at in reads)
    assert window <= 1000
    at_rest(world)


async def test_a_day_on_which_nothing_happens_costs_one_read_for_a_hundred_copies_in_the_books() -> None:
    """And one for each at Stripe, as far as its month goes."""
    world, origin = await copied("quickbooks")
    await billed(world, origin, 60)
    await days(world, 2)
    looks = count(world, "quickbooks", LOOKS["quickbooks"])
    written = world.writes("quickbooks")

    await days(world, 10, DAY / 4)

    assert 9 <= len(looks) <= 11
    assert world.writes("quickbooks") == written
    await an_hour_later(world)
    at_rest(world)


async def copied(mirror: str) -> tuple[World, str]:
    """A world in which invoices are copied to one system, and where they come from."""
    if mirror == "stripe":
        return await billing(FROM_BOOKS), "quickbooks"
    return await billing(), "stripe"
