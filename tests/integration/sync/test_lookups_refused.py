"""A provider refuses to be asked what a lost write made, and answers everything else: nothing is given up for that."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import pytest

from core.ports import HttpRequest, HttpResponse
from core.store import connections, intents
from tests.integration.sync.test_creates_in_doubt import create_in_doubt
from tests.integration.sync.test_refused_reads import REFUSALS, hours
from tests.support.acting import ADA, DAY, everybody, failing, waiting
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

LOOK_UPS: Mapping[str, Callable[[HttpRequest], bool]] = {
    "stripe": lambda one: one.method == "GET" and "/v1/customers?" in one.url and "created" in one.url,
    "hubspot": lambda one: one.url.endswith("/batch/read") and json.loads(one.body).get("idProperty") == "accord_ref",
    "quickbooks": lambda one: one.method == "GET" and "DisplayName" in one.url,
}
"""Whatever shows what a create has made."""


async def lost_two_days_ago(name: str) -> World:
    """Three customers; the create of one was executed, and nobody heard of it: no key helps any more."""
    world = World()
    for number in range(2):
        person = {"name": f"Bob {number}", "email": f"bob{number}@example.test"}
        world.lookalikes["stripe"].edit("customer", None, person)
    await world.activate_all()
    await create_in_doubt(world, name, ADA, "lost_answer")
    world.clock.time += 2 * DAY
    world.start()
    return world


def refuse_look_ups(world: World, name: str) -> list[float]:
    """From now on; when each was tried."""
    inner, told, tried = world.exchanges[name], json.dumps(REFUSALS[name]).encode(), list[float]()

    def exchange(request: HttpRequest) -> HttpResponse:
        if LOOK_UPS[name](request):
            tried.append(world.clock.now())
            return HttpResponse(400, {}, told)
        return inner(request)

    world.exchanges[name] = exchange
    return tried


@pytest.mark.parametrize("name", NAMES)
async def test_a_create_that_cannot_be_looked_for_stays_in_doubt_until_it_can(name: str) -> None:
    """It was given up after eight look-ups, and stayed in doubt until a person retried it, or the next start."""
    world = await lost_two_days_ago(name)
    answering, tried = world.exchanges[name], refuse_look_ups(world, name)
    await hours(world, 1)
    (told,) = failing(world)
    assert (told.connection, told.code, told.state, len(tried) < 25) == (name, "ambiguous", "retrying", True)
    row = world.db.read_now(lambda tx: connections.get(tx, name))
    assert (row.error, row.paused_until) == ("", None)
    world.exchanges[name] = answering
    await hours(world, 1)
    assert (len(world.neutral(name)), len(everybody(world)), failing(world)) == (3, 3, [])
    assert (world.db.read_now(intents.all_open), waiting(world)) == ([], {})
