"""Answers beside lanes: a person answers what was seen, and not what a lane asks at that very moment."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import InvalidInputError
from core.model.policy import Rule
from core.store.holds import Hold
from core.sync import answers
from tests.integration.sync.test_ends_beside import beside, closing
from tests.support.acting import ADA, all_day, edit_only, enter, everybody, failing, held, mapped, value, with_policy
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio

SEEN, NEWER = "+4930222", "+4930333"


async def in_conflict(world: World) -> Hold:
    """Ada's phone is another one at Stripe and at HubSpot, nobody ranks phones, and a person is asked."""
    world.lookalikes["stripe"].edit("customer", None, {**ADA, "phone": "+4930100"})
    await world.activate_all()
    world.config = with_policy(world.config, fields={"phone": Rule()})
    world.start()
    edit_only(world, "stripe", {"phone": "+4930111"})
    edit_only(world, "hubspot", {"phone": SEEN})
    await world.next_sweep()
    (hold,) = held(world)
    return hold


def theirs(hold: Hold) -> str:
    """The choice that takes the value of Stripe, wherever the question is asked."""
    return "registry" if hold.connection == "hubspot" else "remote"


def answered(world: World, hold: Hold) -> None:
    """A person answers what was shown."""
    world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, theirs(hold), actor="ann", digest=hold.digest))


async def test_an_answer_that_comes_while_newer_values_are_asked_about_is_none_to_those(postgres_url: str) -> None:
    """The lane had read that nobody answered, and wrote the newer values beneath the answer: they were overwritten."""
    with closing(World(url=postgres_url)) as world:
        hold = await in_conflict(world)
        edit_only(world, "hubspot", {"phone": NEWER})
        with beside(world, "UPDATE holds", hold.id, lambda: answered(world, hold)):
            await world.next_sweep()
        await world.settle()
        assert value(world, "hubspot", "phone") == NEWER
        assert [one.detail["remote" if hold.connection == "hubspot" else "registry"] for one in held(world)] == [NEWER]


async def test_newer_values_that_are_asked_about_while_an_answer_comes_are_not_answered_by_it(
    postgres_url: str,
) -> None:
    """What was answered was compared with what had been seen, and written beneath what was asked since."""
    with closing(World(url=postgres_url)) as world:
        hold = await in_conflict(world)
        edit_only(world, "hubspot", {"phone": NEWER})
        world.clock.time += world.timing.changes_every + 1

        def lanes() -> None:
            asyncio.run(world.lanes.run("hubspot"))

        with beside(world, "UPDATE holds", hold.id, lanes), pytest.raises(InvalidInputError, match="have changed"):
            answered(world, hold)
        await world.settle()
        assert value(world, "hubspot", "phone") == NEWER
        assert len(held(world)) == 1


async def test_an_answer_that_links_what_a_lane_is_making_a_customer_of_stands(postgres_url: str) -> None:
    """Neither knew of the other: the answer ended in an error of the database."""
    config = with_policy(config_of(NAMES), "hubspot", enters="marked", match_email=False)
    with closing(World(url=postgres_url, config=config)) as world:
        await world.activate_all()
        hubspot = world.lookalikes["hubspot"]
        double = hubspot.edit("customer", None, {"name": "Somebody", "email": ADA["email"]})
        await all_day(world)
        await enter(world, "ada", **ADA)
        (hold,) = held(world)
        hubspot.edit("customer", double, {"email": "zoe@example.test", "external_id": "zoe"})
        world.clock.time += world.timing.changes_every + 1

        def link() -> None:
            choice = f"link:{double}"
            world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, choice, actor="ann", digest=hold.digest))

        def lanes() -> None:
            asyncio.run(world.lanes.run("hubspot"))

        with beside(world, "UPDATE mappings", hold.subject[2:], lanes):
            link()
        await world.settle()
        assert [one.external_id for one in everybody(world)] == ["ada"]
        assert [(one.id, one.remote_id) for one in mapped(world, "hubspot")] == [(hold.subject[2:], double)]
        assert failing(world) == []
