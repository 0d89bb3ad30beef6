"""Many copies that share requests: each is made once, whatever becomes of a request; a refused one is held alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from connectors.hubspot.manifest import MANIFEST
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import Fault, FaultKind
from core.store import holds, intents
from core.sync.lanes import Lanes
from tests.integration.sync.test_found_by_simulation import weather
from tests.support.crashes import Crash
from tests.support.paper import BOOKS, SINCE, bill, billing, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio

MANY = 35
BATCHES: Mapping[str, tuple[str, ...]] = {
    "quickbooks": (r"/batch\?",),
    "hubspot": ("/line_items/batch/upsert", "/invoices/batch/create"),
}
LOST = [(mirror, path) for mirror, paths in BATCHES.items() for path in paths]


async def many(mirror: str, number: int = MANY) -> World:
    """Invoices at Stripe that are to be copied."""
    mirrors = {
        "stripe": DocumentPolicy(originates=KINDS),
        mirror: DocumentPolicy(mirrors=("invoice",), since=SINCE),
    }
    world = await billing(with_documents(mirrors, {"quickbooks": BOOKS}, {}))
    for _ in range(number):
        bill(world)
    return world


async def settled(world: World) -> None:
    """Whatever is in doubt is found out."""
    world.clock.time += world.timing.changes_every + 1
    await world.settle(patience=3600.0)


def check(world: World, mirror: str) -> None:
    """Each is there once, whole; nothing is in doubt, nobody is asked."""
    wanted = sorted((one["number"], one["total"]) for one in shown(world, "stripe"))
    copies = [one for one in shown(world, mirror) if one["mark"]]
    assert sorted((one["number"], one["total"]) for one in copies) == wanted
    assert {(one["status"], len(one["lines"])) for one in copies} == {("open", 1)}
    assert world.db.read_now(intents.all_open) == []
    assert world.db.read_now(holds.listing) == []


@pytest.mark.parametrize(("mirror", "path"), LOST)
@pytest.mark.parametrize("kind", ["lost_answer", "lost_request", "error_after", "html"])
async def test_a_batch_that_goes_unanswered_makes_nothing_twice(mirror: str, path: str, kind: FaultKind) -> None:
    """Its copies are found by their marks, and those that are not there are made."""
    world = await many(mirror)
    weather(world, mirror, Fault(kind=kind, method="POST", path=path, count=1))

    await settled(world)

    check(world, mirror)


@pytest.mark.parametrize("path", BATCHES["hubspot"])
async def test_of_the_requests_of_one_large_batch_only_the_unanswered_one_is_in_doubt(path: str) -> None:
    """HubSpot takes a hundred invoices in a request, and a batch of the lane is several hundred."""
    world = await many("hubspot", 130)
    weather(world, "hubspot", Fault(kind="lost_answer", method="POST", path=path, count=1))

    world.clock.time += world.timing.changes_every + 1
    await world.settle(patience=0.0)

    assert len(world.db.read_now(intents.all_open)) in (30, 100)
    await settled(world)
    check(world, "hubspot")


async def test_no_more_copies_are_under_way_than_the_batches_of_a_lane_have_records() -> None:
    """A batch of documents that is four times as large counts as four: else a crash would leave thousands in doubt."""
    world = await many("hubspot")
    world.lanes = Lanes(world.hub, rows_at_once=2)
    through, most = world.exchanges.get("hubspot", world.lookalikes["hubspot"].respond), [0]

    def counted(request: HttpRequest) -> HttpResponse:
        most.append(len(world.db.read_now(intents.all_open)))
        return through(request)

    world.exchanges["hubspot"] = counted
    await settled(world)
    check(world, "hubspot")
    assert max(most) == 2 * MANIFEST.batches_at_once


async def test_a_request_that_several_copies_shared_is_never_sent_a_second_time() -> None:
    """Its name was that of all of them: asked again for one, it would answer for what has been edited since."""
    world = await many("quickbooks")
    weather(world, "quickbooks", Fault(kind="lost_answer", method="POST", path=r"/batch\?", count=1))
    sent: list[str] = []
    through = world.exchanges["quickbooks"]

    def noted(request: HttpRequest) -> HttpResponse:
        sent.extend([request.url] if "/batch?" in request.url else [])
        return through(request)

    world.exchanges["quickbooks"] = noted
    await settled(world)
    check(world, "quickbooks")
    assert sent
    assert len(sent) == len(set(sent))


@pytest.mark.parametrize(("mirror", "path"), LOST)
@pytest.mark.parametrize("is_executed", [True, False])
async def test_a_process_that_dies_beside_a_batch_makes_nothing_twice(
    mirror: str, path: str, *, is_executed: bool
) -> None:
    """Before the provider has it, or before its answer is stored."""
    world = await many(mirror)
    respond, begun = world.lookalikes[mirror].respond, path.replace(r"\?", "?")
    left = [1]

    def exchange(request: HttpRequest) -> HttpResponse:
        if begun in request.url and left:
            left.clear()
            if is_executed:
                respond(request)
            raise Crash
        return respond(request)

    world.exchanges[mirror] = exchange
    with pytest.raises(Crash):
        await settled(world)
    world.start()

    await settled(world)

    check(world, mirror)


async def test_a_refused_copy_is_held_and_the_rest_of_its_batch_is_made() -> None:
    """The number of one is taken in the books."""
    world = await many("quickbooks")
    taken = shown(world, "stripe")[7]["number"]
    bill(world, "quickbooks", number=taken)

    await settled(world)

    (hold,) = world.db.read_now(holds.listing)
    assert hold.detail["number"] == taken
    numbers = [one["number"] for one in shown(world, "quickbooks") if one["mark"]]
    assert sorted(numbers) == sorted(one["number"] for one in shown(world, "stripe") if one["number"] != taken)
    assert world.db.read_now(intents.all_open) == []


@pytest.mark.parametrize("kind", ["lost_answer", "lost_request"])
async def test_payments_whose_batch_goes_unanswered_are_booked_once(kind: FaultKind) -> None:
    """In parts: neither a number nor the balance would keep the books from taking one twice."""
    world = await billing()
    invoices = [bill(world) for _ in range(MANY)]
    await settled(world)
    for one in invoices:
        pay(world, one, "19.00")
    weather(world, "quickbooks", Fault(kind=kind, method="POST", path=r"/batch\?", count=1))

    await settled(world)

    booked = [one["applications"] for one in shown(world, "quickbooks", "payment")]
    assert len(booked) == MANY
    assert {one["due"] for one in shown(world, "quickbooks")} == {"100.00"}
    assert world.db.read_now(intents.all_open) == []
    assert world.db.read_now(holds.listing) == []
