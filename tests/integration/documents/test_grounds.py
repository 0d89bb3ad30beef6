"""A tie-out says what it rests on: nothing is tied out on a connection that is dead, or that nobody has read since."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.ports import HttpResponse
from core.sync.documents.asking import look_again
from core.sync.documents.tie_out import is_tied, tie_out
from tests.support.paper import SINCE, bill, billing, stripe_to_books, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio


def closed(world: World, period: str = "2026-11") -> dict[str, Any]:
    """The tie-out of a period."""
    return world.db.read_now(lambda tx: tie_out(tx, world.hub, period))


def ground(world: World, name: str, period: str = "2026-11") -> dict[str, Any]:
    """What it says of one connection."""
    told: list[dict[str, Any]] = closed(world, period)["connections"]
    (one,) = [one for one in told if one["connection"] == name]
    return one


def at(year: int, month: int, day: int, hour: int = 0) -> float:
    """A time in UTC."""
    return datetime(year, month, day, hour, tzinfo=UTC).timestamp()


async def test_a_period_is_not_tied_out_on_an_origin_that_must_be_authorised_again() -> None:
    """The key had expired for five days, and Stripe had one invoice more."""
    world = await billing()
    bill(world)
    await world.next_sweep()
    assert is_tied(closed(world))
    before = closed(world)
    bill(world, issued_on="2026-11-19")
    refused = b'{"error":{"type":"invalid_request_error","message":"Expired API Key","code":"api_key_expired"}}'
    world.exchanges["stripe"] = lambda _request: HttpResponse(401, {}, refused)
    world.clock.time += 86_400
    await world.settle()
    found = closed(world)
    stripe = ground(world, "stripe")
    assert (stripe["state"], stripe["is_sound"]) == ("reauthorize", False)
    assert stripe["error_code"]
    assert any("accord connect stripe" in one for one in stripe["problems"])
    assert ground(world, "quickbooks")["is_sound"]
    assert not is_tied(found)
    assert found["digest"] != before["digest"]


async def test_a_close_says_what_else_brings_money_and_is_not_read() -> None:
    """A month of sales receipts was tied out, and nothing said that they are in none of its sums."""
    world = await billing(with_documents({"quickbooks": DocumentPolicy(originates=KINDS)}, {}, {}))
    assert ground(world, "quickbooks")["unread"] == ("sales receipts", "journal entries")
    assert is_tied(closed(world))
    copies = await billing()
    assert ground(copies, "stripe")["unread"] == ("payments of no invoice",)
    assert ground(copies, "quickbooks")["unread"] == (), "there they are the books' own"


async def test_a_period_is_not_tied_out_before_anything_was_listed() -> None:
    """Nothing differs of what nobody has looked at."""
    world = World(config=stripe_to_books())
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    bill(world)
    assert {one["connection"]: one["is_sound"] for one in closed(world)["connections"]} == {
        "quickbooks": False,
        "stripe": False,
    }
    assert (ground(world, "stripe")["listed_at"], ground(world, "stripe")["changes_at"]) == ("", "")
    assert not is_tied(closed(world))


@pytest.mark.parametrize("name", ["stripe", "quickbooks"])
async def test_a_period_is_tied_out_only_by_what_was_read_since_its_end(name: str) -> None:
    """A lane that stood still since the 30th says nothing of November, whatever state it is in."""
    world = await billing()
    bill(world)
    await world.next_sweep()
    world.clock.time = at(2026, 11, 30, 22)
    await world.settle()
    assert is_tied(closed(world))
    lanes, world.names = world.names, tuple(one for one in world.names if one != name)
    world.clock.time = at(2026, 12, 1, 6)
    await world.settle()
    assert not is_tied(closed(world))
    stale = ground(world, name)
    assert stale["state"] == "active"
    assert any("2026-12-01 00:00:00" in one and f"accord sync {name}" in one for one in stale["problems"])
    assert {one["connection"] for one in closed(world)["connections"] if not one["is_sound"]} == {name}
    world.names = lanes
    await world.next_sweep()
    assert is_tied(closed(world))
    assert ground(world, name)["changes_at"] > "2026-12-01 06:00:00"
    digest = closed(world)["digest"]
    await world.next_sweep()
    assert closed(world)["digest"] == digest, "when it was read is told, and makes no other statement"


async def test_a_month_that_is_not_over_is_not_tied_out_on_what_nobody_read_for_a_day() -> None:
    """It would look as on the day when everything stopped."""
    world = await billing()
    bill(world)
    await world.next_sweep()
    world.clock.time += 86_400 * 2
    assert not is_tied(closed(world))
    await world.settle()
    assert is_tied(closed(world))


async def test_copies_that_no_feed_tells_of_are_looked_at_again_before_a_period_is_tied_out() -> None:
    """HubSpot names no invoice that somebody edits: its changes say nothing of them."""
    world = await billing(stripe_to_books(hubspot=DocumentPolicy(mirrors=("invoice",), since=SINCE)))
    bill(world)
    world.clock.time = at(2026, 11, 30, 22)
    await world.settle()
    world.clock.time = at(2026, 12, 1, 6)
    await world.settle()
    assert not is_tied(closed(world))
    (problem,) = ground(world, "hubspot")["problems"]
    assert "accord sync hubspot --kind invoices" in problem
    hubspot = world.hub.connections["hubspot"]
    await look_again(world.hub, hubspot, ["invoice"], [], "asked")
    await world.settle()
    assert is_tied(closed(world))
