"""A connection that observes, as every one does after a restore: what happens meanwhile is done once it is active."""

from __future__ import annotations

import pytest

from core.store import connections
from core.sync import registry
from core.sync.plan import plan
from core.sync.restoring import begin_observing
from tests.integration.sync.test_meanwhile import before_next
from tests.support.acting import (
    agreeing,
    change_only,
    edit_only,
    everybody,
    held,
    only,
    value,
    waiting,
)
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

PHONE = "+49301111111"
EXPECTED = {
    "registry": {name: {"update": 1} for name in NAMES},
    "hubspot": {"stripe": {}, "hubspot": {"take": 1}, "quickbooks": {}},
}
"""What each connection's plan counts after an edit there."""


def restore(world: World) -> None:
    """The database is taken for a restored one."""
    world.db.run_now(lambda tx: begin_observing(tx, world.hub))
    world.start()


@pytest.mark.parametrize("where", ["hubspot", "registry"])
async def test_an_edit_of_the_time_of_observing_flows_once_activated(where: str) -> None:
    """The plan told of it; then the connection was activated, and nobody had a note of it any more."""
    world = await agreeing()
    restore(world)
    if where == "registry":
        change_only(world, everybody(world)[0].external_id, phone=PHONE)
    else:
        edit_only(world, where, {"phone": PHONE})
    await world.settle()
    told = {name: (await plan(world.hub, world.hub.connections[name])).counts for name in NAMES}
    assert told == EXPECTED[where]
    await world.activate_all()
    assert {value(world, name, "phone") for name in (*NAMES, "registry")} == {PHONE}
    assert (held(world), waiting(world)) == ([], {})


async def test_a_customer_that_waited_to_be_made_is_made_once_activated() -> None:
    """It had its mapping, so that nobody offered it again, and its mark was taken off without a word."""
    world = World()
    await world.activate_all()
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "ada", {"name": "Ada"}, actor="ann", trace="t"))
    restore(world)
    await world.settle()
    assert [len(world.neutral(name)) for name in NAMES] == [0, 0, 0]
    await world.activate_all()
    assert [len(world.neutral(name)) for name in NAMES] == [1, 1, 1]


async def test_an_object_found_to_be_gone_while_observing_is_asked_about_once_activated() -> None:
    """Only the next complete listing would have missed it again."""
    world = await agreeing()
    restore(world)
    gone = only(world, "hubspot")
    world.lookalikes["hubspot"].delete("customer", gone)
    await world.settle()
    assert held(world) == []
    await world.activate_all()
    assert [(one.reason, one.detail["remote_id"]) for one in held(world)] == [("remote_gone", gone)]


async def test_an_edit_that_is_read_while_its_connection_is_activated_flows() -> None:
    """Looked at as by an observing connection, it was put aside when nobody was to come back to it."""
    world = await agreeing()
    restore(world)
    await world.settle()
    await world.activate_all("stripe", "quickbooks")
    edit_only(world, "hubspot", {"phone": PHONE})

    def activate() -> None:
        world.db.run_now(lambda tx: connections.change(tx, "hubspot", state="active"))

    before_next(world, "hubspot", lambda r: "batch/read" in r.url, activate)
    await world.next_sweep()
    assert value(world, "registry", "phone") == PHONE
    assert (value(world, "stripe", "phone"), waiting(world)) == (PHONE, {})


async def test_a_plan_tells_how_many_requests_its_writes_are() -> None:
    """Thirty creates at Stripe were told as two, and a first sync of hours as one of minutes."""
    world = World()
    for one in range(60):
        world.lookalikes["hubspot"].edit("customer", None, {"name": f"Person {one}", "email": f"p{one}@example.test"})
    await world.settle()
    await world.activate_all("hubspot")
    plans = {name: await plan(world.hub, world.hub.connections[name]) for name in ("stripe", "quickbooks")}
    assert {name: (one.counts, one.calls) for name, one in plans.items()} == {
        "stripe": ({"create": 60}, 60),
        "quickbooks": ({"create": 60}, 2),
    }
    assert plans["stripe"].seconds >= 60 / 25
