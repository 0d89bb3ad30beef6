"""Lanes run in one process until nothing is due."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.cli.demo import settled, verdict
from core.cli.quiet import Bell, left_over, run_until_quiet
from core.errors import RetryError
from core.ports import HttpRequest, HttpResponse
from core.store import connections
from core.sync.activation import activate
from core.sync.plan import plan
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


async def _activate_all(world: World) -> None:
    bell = Bell()
    for name in NAMES:
        await run_until_quiet(world.hub, world.lanes, NAMES, patience=900, bell=bell)
        connection = world.hub.connections[name]
        await activate(world.hub, connection, (await plan(world.hub, connection)).digest, actor="test")
    await run_until_quiet(world.hub, world.lanes, NAMES, patience=900, bell=bell)


async def test_three_systems_agree_once_it_is_quiet() -> None:
    """What one lane makes for another is done in the same run."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await _activate_all(world)
    for name in NAMES:
        assert [one["name"] for one in world.neutral(name).values()] == ["Ada Lovelace"]


async def test_a_quiet_world_stays_quiet() -> None:
    """A second run ends at once, whatever the rhythm of the sweeps."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await _activate_all(world)
    writes = [world.writes(name) for name in NAMES]
    world.clock.time += 61
    report = await run_until_quiet(world.hub, world.lanes, NAMES, patience=900)
    assert [world.writes(name) for name in NAMES] == writes
    assert (report.written, report.pulled, report.failed) == (0, 0, 0)


async def test_a_connection_that_is_down_is_waited_for_and_then_given_up() -> None:
    """Patience is bounded: a system that never answers must not keep an operator's command for ever."""
    world = World()

    def down(request: HttpRequest) -> HttpResponse:
        raise RetryError(f"{request.url} is down")

    world.exchanges["hubspot"] = down
    before = world.clock.time
    await run_until_quiet(world.hub, world.lanes, NAMES, patience=100)
    assert 0 < world.clock.time - before <= 100
    row = world.db.read_now(lambda tx: connections.get(tx, "hubspot"))
    assert row.error_code == "retry"
    assert world.db.read_now(lambda tx: connections.get(tx, "stripe")).swept_at is not None


async def test_what_a_run_left_over_is_told_with_its_time() -> None:
    """What is not done yet is not wrong: the demo judged while a lane was paused, and 354 documents still waited."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await _activate_all(world)
    assert world.db.read_now(lambda tx: left_over(tx, world.hub)) == []

    world.exchanges["quickbooks"] = lambda _: HttpResponse(429, {}, b"{}")
    (ada,) = world.lookalikes["stripe"].neutral("customer")
    world.lookalikes["stripe"].edit("customer", ada, {"name": "Ada King"})
    world.clock.time += 61
    await run_until_quiet(world.hub, world.lanes, NAMES, patience=0)
    (told,) = world.db.read_now(lambda tx: left_over(tx, world.hub))
    until = datetime.fromtimestamp(world.clock.time + 60, UTC)
    assert told == f"quickbooks is paused until {until:%H:%M:%S} UTC, 1 customers wait"
    world.clock.time += 3600
    assert world.db.read_now(lambda tx: left_over(tx, world.hub)) == ["quickbooks: 1 customers wait"]


async def test_the_demo_waits_out_more_pauses_than_a_command_would() -> None:
    """A provider that asks for a minute's silence five times over is slow, and nothing is wrong."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await _activate_all(world)
    (ada,) = world.lookalikes["stripe"].neutral("customer")
    world.lookalikes["stripe"].edit("customer", ada, {"name": "Ada King"})
    world.clock.time += 61
    answer, until = world.exchanges["quickbooks"], world.clock.time + 290
    world.exchanges["quickbooks"] = lambda request: (
        answer(request) if world.clock.time > until else HttpResponse(429, {}, b"{}")
    )
    await settled(world.hub, world.lanes, Bell())
    assert [one["name"] for one in world.neutral("quickbooks").values()] == ["Ada King"]
    assert world.db.read_now(lambda tx: left_over(tx, world.hub)) == []


def test_a_demo_that_is_not_finished_is_not_called_wrong() -> None:
    """An operator took a slow machine for a broken program."""
    wrong = {"agree": False, "unfinished": []}
    late = {"agree": False, "unfinished": ["quickbooks is paused until 01:02:03 UTC, 354 documents wait"]}
    assert verdict({"agree": True, "unfinished": []}) == "every system agrees"
    assert verdict(wrong) == "NOT as the seed says"
    assert verdict(late) == "not finished: quickbooks is paused until 01:02:03 UTC, 354 documents wait"


async def test_progress_is_told_after_every_piece_of_work() -> None:
    """A person who waits sees which connection does what."""
    world = World()
    for number in range(3):
        world.lookalikes["stripe"].edit("customer", None, {"name": f"P{number}"})
    seen: list[tuple[str, int]] = []
    await run_until_quiet(
        world.hub, world.lanes, ["stripe"], patience=0, progress=lambda name, report: seen.append((name, report.looked))
    )
    assert seen[-1] == ("stripe", 3)
