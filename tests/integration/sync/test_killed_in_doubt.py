"""The daemon is killed while a create in doubt is being repeated: that one may still land, long after the restart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.ports import HttpRequest, HttpResponse
from core.store import intents
from core.sync.lanes import Lanes
from tests.integration.sync.test_creates_in_doubt import create_in_doubt, not_for
from tests.integration.sync.test_meanwhile import archive
from tests.support.acting import change_only, edit_only, everybody, held, waiting
from tests.support.world import World

pytestmark = pytest.mark.anyio


class KilledError(BaseException):
    """No line of the process runs after this."""


async def killed_while_repeating(world: World, connection: str, path: str) -> HttpRequest:
    """The repeat of a create has left, and waits at the provider; the daemon is up again a second later."""
    whole, left = world.exchanges[connection], list[HttpRequest]()

    def exchange(request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and path in request.url and not left:
            left.append(request)
            raise KilledError
        return whole(request)

    world.exchanges[connection] = exchange
    with pytest.raises(KilledError):
        await world.lanes.run(connection)
    world.clock.time += 1
    world.start()
    return left[0]


async def test_a_repeat_under_way_at_a_kill_is_waited_for_though_its_customer_is_deleted() -> None:
    """It was looked for at once and not found: landed, it brought its customer back as a new one, everywhere."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "error_before")
    not_for(world, doubtful, 600.0)
    world.clock.time += 600.0
    late = await killed_while_repeating(world, "quickbooks", "/customer?")
    archive(world)
    await world.lanes.run("quickbooks")
    world.clock.time += 100
    await world.lanes.run("quickbooks")
    world.lookalikes["quickbooks"].respond(late)
    for _ in range(3):
        await world.next_sweep()
    assert (len(world.neutral("quickbooks")), everybody(world), held(world)) == (1, [], [])
    assert (world.db.read_now(intents.all_open), waiting(world)) == ([], {})


async def test_a_repeat_under_way_at_a_kill_is_waited_for_before_another_create_is_sent() -> None:
    """Its key is not relied on any longer by then: looked for at once and not found, it was made a second time."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "error_before")
    not_for(world, doubtful, 3599.0)
    world.clock.time = doubtful.sent_at + 3599.5
    late = await killed_while_repeating(world, "quickbooks", "/customer?")
    await world.lanes.run("quickbooks")
    world.clock.time += 100
    await world.lanes.run("quickbooks")
    world.lookalikes["quickbooks"].respond(late)
    (made,) = world.neutral("quickbooks")
    world.lookalikes["quickbooks"].edit("customer", made, {"name": "Ada King"})
    for _ in range(3):
        await world.next_sweep()
    (question,) = held(world)
    assert (question.reason, question.detail["candidates"]) == ("lost_create", [made])
    assert [*world.neutral("quickbooks")] == [made]


@pytest.mark.parametrize(("connection", "path"), [("hubspot", "/batch/upsert"), ("stripe", "/v1/customers/")])
async def test_a_write_that_waited_long_for_its_turn_is_waited_for_from_the_kill_on(connection: str, path: str) -> None:
    """Held up by rate limits for minutes: counted from its commit it was settled, and landed over what came after."""
    await killed_late(connection, path, World.start)


@pytest.mark.parametrize(("connection", "path"), [("hubspot", "/batch/upsert"), ("stripe", "/v1/customers/")])
async def test_a_write_of_another_daemon_is_waited_for_by_the_one_that_has_the_lock_again(
    connection: str, path: str
) -> None:
    """A server that restarts forgets whose the lock was: another daemon took it, and was killed while it wrote.

    Whoever had begun before it knew nothing of that, and did not wait.
    """
    first: list[Lanes] = []

    def lose(world: World) -> None:
        first.append(world.lanes)
        world.lanes = Lanes(world.hub)

    def regain(world: World) -> None:
        world.lanes = first[0]
        world.lanes.begin_anew()

    await killed_late(connection, path, regain, lose)


async def killed_late(
    connection: str, path: str, again: Callable[[World], None], before: Callable[[World], None] = lambda _world: None
) -> None:
    """Killed in the middle of a write that had waited for ten minutes and lands late; `again` is who goes on."""
    world = World()
    await world.activate_all()
    before(world)
    other = "stripe" if connection == "hubspot" else "hubspot"
    world.lookalikes[other].edit("customer", None, {"name": "Ada Lovelace"})
    whole, left = world.exchanges[connection], list[HttpRequest]()

    def exchange(request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and path in request.url and not left:
            world.clock.time += 600
            left.append(request)
            raise KilledError
        return whole(request)

    if connection == "stripe":
        await world.next_sweep()
        edit_only(world, other, {"name": "Ada Byron"})
    world.exchanges[connection] = exchange
    world.clock.time += 61
    await world.lanes.run(other)
    with pytest.raises(KilledError):
        await world.lanes.run(connection)
    world.clock.time += 1
    again(world)
    await world.lanes.run(connection)
    (one,) = everybody(world)
    change_only(world, one.external_id, name="Ada King")
    for name in world.names:
        await world.lanes.run(name)
    world.lookalikes[connection].respond(left[0])
    for _ in range(6):
        await world.next_sweep()
    assert [one["name"] for name in world.names for one in world.neutral(name).values()] == ["Ada King"] * 3
    assert (held(world), world.db.read_now(intents.all_open), waiting(world)) == ([], [], {})


async def test_restarts_do_not_put_off_for_ever_what_is_to_be_looked_for() -> None:
    """A command a minute, each one a process of its own: what died with the first one is waited for once."""
    world = World()
    await world.activate_all()
    doubtful = await create_in_doubt(world, "quickbooks", {"name": "Ada Lovelace"}, "error_before")
    not_for(world, doubtful, 600.0)
    world.clock.time += 600.0
    await killed_while_repeating(world, "quickbooks", "/customer?")
    archive(world)
    for _ in range(8):
        await world.lanes.run("quickbooks")
        world.clock.time += 60
        world.start()
    assert world.db.read_now(intents.all_open) == []
