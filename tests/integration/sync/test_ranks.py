"""Ranks of sources, and keys that somebody overwrote."""

from __future__ import annotations

from itertools import permutations

import pytest

from core.model.policy import Rule
from core.sync.activation import activate
from core.sync.plan import plan
from tests.support.acting import (
    ADA,
    agreeing,
    answer,
    change,
    edit,
    everybody,
    held,
    only,
    value,
    with_policy,
)
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("order", list(permutations(NAMES)))
async def test_an_equal_value_counts_with_the_rank_of_the_best_who_says_it(order: tuple[str, ...]) -> None:
    """Stripe and QuickBooks both typed Bob, HubSpot typed Cy: it used to depend on whose lane ran first."""
    world = World()
    world.config = with_policy(
        world.config, fields={"name": Rule(ranks=("registry", "quickbooks", "hubspot", "stripe"))}
    )
    world.start()
    world.lookalikes["stripe"].edit("customer", None, {**ADA, "name": "Ann Old"})
    await world.activate_all()
    for name, text in (("stripe", "Bob New"), ("quickbooks", "Bob New"), ("hubspot", "Cy New")):
        world.lookalikes[name].edit("customer", only(world, name), {"name": text})
    world.clock.time += 3600
    for name in order:
        await world.lanes.run(name)
    await world.settle()
    await world.next_sweep()

    ends = {name: [one["name"] for one in world.neutral(name).values()] for name in NAMES}
    assert ends == {name: ["Bob New"] for name in NAMES}


async def test_our_external_id_is_written_back_when_a_person_says_so() -> None:
    """Somebody overwrote the key on the object; the answer `registry` puts ours back."""
    world = World()
    world.lookalikes["hubspot"].edit("customer", None, ADA)
    await world.activate_all()
    await edit(world, "stripe", {"external_id": "somebody-else"})
    (hold,) = held(world, "external_id_changed")
    await answer(world, hold, "registry")
    await world.next_sweep()

    (there,) = world.lookalikes["stripe"].objects("customer").values()
    assert there["metadata"]["external_customer_id"].startswith("hubspot:")
    assert held(world) == []


async def test_an_object_made_since_the_listing_is_not_made_a_second_time_on_activation() -> None:
    """The plan was seen, somebody made the customer by hand, then the connection was activated."""
    world = World()
    world.lookalikes["hubspot"].edit("customer", None, ADA)
    await world.activate_all("hubspot")
    stripe = world.hub.connections["stripe"]
    seen = await plan(world.hub, stripe)
    world.lookalikes["stripe"].edit("customer", None, ADA)
    await activate(world.hub, stripe, seen.digest, actor="test")
    await world.settle()

    assert len(world.neutral("stripe")) == 1


async def test_a_changed_policy_counts_for_a_customer_who_does_not_change() -> None:
    """Nobody asks for them, and nothing of theirs changes: from the next start on they are as the policy wants it."""
    world = await agreeing(phone="+49301111111")
    (one,) = everybody(world)
    was = world.config
    world.config = with_policy(was, "quickbooks", flows={"phone": "off"})
    world.start()
    await change(world, one.external_id, phone="+49302222222")
    assert value(world, "quickbooks", "phone") == "+49301111111"
    world.config = was
    world.start()
    await world.settle()
    assert value(world, "quickbooks", "phone") == "+49302222222"
