"""Questions whose cause is gone: none stands without anything to be decided."""

from __future__ import annotations

from functools import partial

import pytest

from core.model import holds
from core.model.policy import Rule
from core.sync import registry
from core.sync.linking import link, unlink
from tests.integration.sync.test_guards import cleared, crowd
from tests.support.acting import (
    ADA,
    agreeing,
    all_day,
    answer,
    change,
    edit_only,
    enter,
    everybody,
    held,
    mapped,
    waiting,
    with_policy,
)
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio


async def test_whoever_leaves_an_object_alone_is_not_asked_about_its_fields_any_more() -> None:
    """The name was taken, and a phone in conflict: with the first answer, nothing would ever come of the second."""
    world = await agreeing()
    world.config = with_policy(world.config, fields={"phone": Rule(flow="both")})
    world.start()
    edit_only(world, "quickbooks", {"phone": "+49301111111"})
    world.lookalikes["quickbooks"].edit("customer", None, {"name": "Taken"})
    await change(world, everybody(world)[0].external_id, name="Taken", phone="+49302222222")
    assert {(one.reason, one.field) for one in held(world)} == {(holds.NAME_TAKEN, ""), (holds.CONFLICT, "phone")}
    (hold,) = held(world, holds.NAME_TAKEN)
    await answer(world, hold, "leave")
    assert (held(world), waiting(world)) == ([], {})
    await all_day(world)
    assert (held(world), waiting(world)) == ([], {})


async def test_a_mass_change_that_is_put_back_there_is_not_asked_about_any_more() -> None:
    """Whoever undid the import at the provider was asked about it all the same, for ever."""
    world = await crowd()
    before = dict(world.neutral("hubspot"))
    some = await cleared(world)
    assert [one.reason for one in held(world)] == [holds.MASS_CHANGE]
    phones = {one.fields["name"]: one.fields["phone"] for one in everybody(world)}
    for number, remote_id in enumerate(some):
        if number == len(some) - 1:
            await all_day(world)
            assert [one.reason for one in held(world)] == [holds.MASS_CHANGE]
        edit_only(world, "hubspot", {"phone": phones[before[remote_id]["name"]]}, remote_id)
    await all_day(world)
    assert (held(world), sum(waiting(world).values())) == ([], 0)


async def test_a_mass_change_of_customers_that_are_deleted_is_not_asked_about_any_more() -> None:
    """They are not written any more whatever the answer is."""
    world = await crowd()
    gone = {world.neutral("hubspot")[one]["name"] for one in await cleared(world)}
    for one in [one for one in everybody(world) if one.fields["name"] in gone]:
        change = partial(registry.archive, hub=world.hub, external_id=one.external_id, actor="ann", trace="t")
        world.db.run_now(change)
    await all_day(world)
    assert (held(world), sum(waiting(world).values())) == ([], 0)


async def one_that_may_be_there() -> tuple[World, str]:
    """A customer that is not made at Stripe before somebody says that none of its objects there is it."""
    world = World(config=with_policy(config_of(NAMES), "stripe", enters="none", match_email=False))
    for number in range(10):
        world.lookalikes["stripe"].edit("customer", None, {"name": f"Other {number}"})
    remote_id = world.lookalikes["stripe"].edit("customer", None, ADA)
    await world.activate_all()
    await enter(world, "ada", **ADA)
    (hold,) = held(world)
    assert (hold.reason, hold.detail["candidates"]) == (holds.AMBIGUOUS_MATCH, [remote_id])
    return world, remote_id


async def test_whose_only_candidate_is_deleted_is_made_without_an_answer() -> None:
    """There was nothing left that it could be, and it waited for an answer all the same."""
    world, remote_id = await one_that_may_be_there()
    world.lookalikes["stripe"].delete("customer", remote_id)
    for _ in range(2):
        await all_day(world)
    assert (held(world), waiting(world)) == ([], {})
    assert [one.state for one in mapped(world, "stripe")] == ["live"]


async def test_whose_only_candidate_is_somebody_elses_by_now_is_made_without_an_answer() -> None:
    """A person had linked that object to another customer; the first one waited to be told that it is not it."""
    world, remote_id = await one_that_may_be_there()
    await enter(world, "eve", name="Eve")
    world.db.run_now(lambda tx: unlink(tx, world.hub, "eve", "stripe", actor="ann", trace="t"))
    world.db.run_now(lambda tx: link(tx, world.hub, "eve", "stripe", remote_id, actor="ann", trace="t"))
    await world.settle()
    assert [one for one in held(world) if one.connection == "stripe"] == []
    assert [one.state for one in mapped(world, "stripe")] == ["live", "live"]
