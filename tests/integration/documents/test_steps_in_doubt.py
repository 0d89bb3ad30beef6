"""Steps of a copy that nobody answers: a person hears of them, and they are tried ever more rarely."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import Fault, FaultKind
from core.store import intents
from core.store.intents import Intent
from tests.integration.sync.test_found_by_simulation import weather
from tests.integration.sync.test_refused_reads import QUICKBOOKS, hours
from tests.support.acting import failing
from tests.support.crashes import Crash
from tests.support.paper import BOOKS, SINCE, at_rest, bill, billing, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio

HOUR = 3600.0
MAKES = {"quickbooks": r"/invoice\?", "hubspot": r"/line_items/batch/upsert"}


async def copying_to(name: str) -> World:
    """Stripe's invoices are copied to one system."""
    mirrors = DocumentPolicy(mirrors=("invoice",), since=SINCE)
    settings = {"quickbooks": BOOKS} if name == "quickbooks" else {}
    return await billing(with_documents({"stripe": DocumentPolicy(originates=KINDS), name: mirrors}, settings, {}))


def answered_by(world: World, name: str, answer: Callable[[HttpRequest], HttpResponse | None]) -> list[float]:
    """From now on, what it gives an answer to never gets to the system; when that was."""
    inner, struck = world.exchanges[name], list[float]()

    def exchange(request: HttpRequest) -> HttpResponse:
        given = answer(request)
        if given is None:
            return inner(request)
        struck.append(world.clock.now())
        return given

    world.exchanges[name] = exchange
    return struck


def fails(name: str) -> Callable[[HttpRequest], HttpResponse | None]:
    """Whatever makes a copy there: HubSpot fails in a category that no list names, QuickBooks altogether."""

    def answer(request: HttpRequest) -> HttpResponse | None:
        if request.method != "POST" or not re.search(MAKES[name], request.url):
            return None
        if name == "quickbooks":
            return HttpResponse(500, {}, b"")
        traces = [one["objectWriteTraceId"] for one in json.loads(request.body)["inputs"]]
        errors = [
            {"status": "error", "category": "NEW", "message": "no", "context": {"objectWriteTraceId": [one]}}
            for one in traces
        ]
        return HttpResponse(207, {}, json.dumps({"status": "COMPLETE", "results": [], "errors": errors}).encode())

    return answer


@pytest.mark.parametrize("name", ["quickbooks", "hubspot"])
async def test_a_copy_whose_making_is_never_answered_is_told_and_tried_ever_more_rarely(name: str) -> None:
    """Nobody heard of it, and it was sent ninety times an hour."""
    world = await copying_to(name)
    plain, tried = world.exchanges[name], answered_by(world, name, fails(name))
    bill(world)
    await hours(world, 2)
    (told,) = failing(world)
    assert (told.connection, told.kind, told.code, told.state) == (name, "invoice", "ambiguous", "retrying")
    assert 8 <= len(tried) < 30
    world.exchanges[name] = plain
    await hours(world, 1)
    assert len(shown(world, name)) == 1
    at_rest(world)


async def unanswered(world: World, path: str, kind: FaultKind) -> Intent:
    """What was done at Stripe is copied to the books, where one request comes to this end."""
    weather(world, "quickbooks", Fault(kind=kind, method="POST", path=path, count=1))
    world.clock.time += world.timing.changes_every + 1
    for name in ("stripe", "quickbooks"):
        await world.lanes.run(name)
    (found,) = world.db.read_now(intents.all_open)
    return found


async def test_a_copy_that_cannot_be_looked_for_stays_in_doubt_until_it_can() -> None:
    """It was given up after eight look-ups, and stayed in doubt until a person retried it, or the next start."""
    world = await copying_to("quickbooks")
    bill(world)
    await unanswered(world, MAKES["quickbooks"], "lost_answer")
    world.clock.time += 2 * HOUR
    world.start()
    plain = world.exchanges["quickbooks"]

    def refuses(request: HttpRequest) -> HttpResponse | None:
        return HttpResponse(400, {}, json.dumps(QUICKBOOKS).encode()) if "DocNumber" in request.url else None

    tried = answered_by(world, "quickbooks", refuses)
    await hours(world, 1)
    (told,) = failing(world)
    assert (told.code, told.state, 4 <= len(tried) < 20) == ("ambiguous", "retrying", True)
    world.exchanges["quickbooks"] = plain
    await hours(world, 1)
    assert len(shown(world, "quickbooks")) == 1
    at_rest(world)


async def test_a_repeat_under_way_at_a_kill_is_waited_for_before_the_step_is_taken_anew() -> None:
    """Its key is not relied on any longer by then: looked for at once and not found, the payment was booked twice."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "50.00")
    doubtful = await unanswered(world, r"/payment\?", "error_before")
    late: list[HttpRequest] = []
    plain = world.exchanges["quickbooks"]

    def exchange(request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and "/payment?" in request.url:
            late.append(request)
            raise Crash
        return plain(request)

    world.clock.time = doubtful.sent_at + HOUR - 0.5
    world.exchanges["quickbooks"] = exchange
    with pytest.raises(Crash):
        await world.lanes.run("quickbooks")
    world.exchanges["quickbooks"] = plain
    world.clock.time += 1
    world.start()
    await world.lanes.run("quickbooks")
    world.lookalikes["quickbooks"].respond(late[0])
    await world.settle()
    await world.next_sweep()
    assert [one["amount"] for one in shown(world, "quickbooks", "payment")] == ["50.00"]
    at_rest(world)
