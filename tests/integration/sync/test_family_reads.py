"""Families are read as a whole: who is above and below an object is fetched with it, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import msgspec
import pytest

from config.file import AccordConfig
from core.model.policy import Guard
from core.ports import Connector, HttpRequest, HttpResponse, Missing, Sighting
from core.store import connections
from core.sync import registry
from core.sync.discreet import Discreet
from core.sync.lanes import Lanes
from tests.integration.sync.test_family import TREED, company, ids, in_registry, started
from tests.support.acting import all_day, answer, edit_only, everybody, held
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

LARGE = 100
"""As many as a lane takes at once: with the parent there is one more."""


@pytest.mark.parametrize("system", TREED)
async def test_parents_taken_off_by_many_pass_once_approved(system: str) -> None:
    """The same question came back after each approval, for each time another one of the family was read with them."""
    world = await started()
    await company(world, "Holding")
    for one in range(5):
        await company(world, f"Branch{one}", "Holding")
    for one in range(5):
        edit_only(world, system, {"parent": None}, ids(world, system)[f"Branch{one}"])
    await all_day(world)
    (hold,) = [one for one in held(world) if one.connection == system]
    await answer(world, hold, "approve")
    assert [one for one in held(world) if one.connection == system] == []
    assert set(in_registry(world).values()) == {None}


def take_time(world: World, name: str) -> None:
    """Each request takes a second: what is noticed after a read is younger than what was read."""
    plain = world.exchanges[name]

    def exchange(request: HttpRequest) -> HttpResponse:
        world.clock.time += 1
        return plain(request)

    world.exchanges[name] = exchange


@pytest.mark.parametrize("system", TREED)
async def test_a_large_family_taken_off_does_not_spin(system: str) -> None:
    """A family that fills a whole turn of the lane was put back as a whole, and taken again, for ever."""
    world = await started()
    policy = msgspec.structs.replace(world.config.policy, guard=Guard(clear_count=1000, clear_count_small=1000))
    world.config = AccordConfig(connections=world.config.connections, policy=policy)
    world.start()
    await company(world, "Holding")
    branches = [f"Branch{one}" for one in range(LARGE)]
    for name in branches:
        fields = {"name": name, "customer_type": "company", "parent": "Holding"}
        world.db.run_now(
            partial(registry.create, hub=world.hub, external_id=name, values=fields, actor="ann", trace="t")
        )
    await world.settle()
    known = ids(world, system)
    for name in branches:
        edit_only(world, system, {"parent": None}, known[name])
    take_time(world, system)
    world.clock.time += 61
    for name in NAMES:
        # the feeds tell of it, no full sweep
        world.db.run_now(partial(connections.touch_cursor, connection=name, kind="customer", mode="full"))
    await world.settle(rounds=100)
    assert {in_registry(world)[name] for name in branches} == {None}


class Garbled:
    """A connector to whom one object cannot be understood, whenever it is read."""

    def __init__(self, plain: Connector, remote_id: str) -> None:
        """Everything but `read` is the plain one's."""
        self._plain, self._remote_id = plain, remote_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    async def read(self, kind: str, ids: Sequence[str]) -> Mapping[str, Sighting | Missing]:
        """As it is there, but for the one."""
        found = dict(await self._plain.read(kind, ids))
        one = found.get(self._remote_id)
        if isinstance(one, Sighting):
            found[self._remote_id] = msgspec.structs.replace(one, raw=b"no customer")
        return found


def garble(world: World, name: str, remote_id: str) -> None:
    """One object cannot be understood from now on."""
    connection = world.hub.connections[name]
    garbled = dataclasses.replace(connection, connector=cast("Discreet", Garbled(connection.connector, remote_id)))
    world.hub = dataclasses.replace(world.hub, connections={**world.hub.connections, name: garbled})
    world.lanes = Lanes(world.hub)


async def test_a_parent_that_cannot_be_read_does_not_keep_its_child_waiting() -> None:
    """One bad record is nobody else's trouble: the child's other changes flow."""
    world = await started()
    await company(world, "Holding")
    await company(world, "Branch", "Holding")
    garble(world, "quickbooks", ids(world, "quickbooks")["Holding"])
    edit_only(world, "quickbooks", {"parent": None, "phone": "+4930123"}, ids(world, "quickbooks")["Branch"])
    world.clock.time += 61
    await world.settle(rounds=300, patience=7200)
    (branch,) = [one for one in everybody(world) if one.external_id == "Branch"]
    assert branch.fields.get("phone") == "+4930123"
    assert branch.fields.get("parent") == "Holding", "whether that one is still there nobody can say"
