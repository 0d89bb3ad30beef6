"""A plan of an entity's books was approved for the entities that policy named then, and for no others."""

from __future__ import annotations

import pytest

from config.file import AccordConfig
from core.errors import InvalidInputError
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy, Policy
from core.store import connections
from core.sync.activation import activate
from core.sync.plan import plan
from tests.support.crashes import FragileWorld
from tests.support.entities import EU, US, booked, company, customer, documents_of, two_books
from tests.support.paper import SINCE, bill

pytestmark = pytest.mark.anyio


def books(*entities: str) -> DocumentPolicy:
    """The books of these entities."""
    return DocumentPolicy(mirrors=KINDS, since=SINCE, entities=entities)


async def planned_for(world: FragileWorld, config: AccordConfig | None = None) -> str:
    """The digest of the plan of the books that are not active yet; under another policy, if one is given."""
    if config is not None:
        world.config = config
        world.start()
    return (await plan(world.hub, world.hub.connections[US])).digest


async def billed() -> FragileWorld:
    """An invoice of each of two entities, in books that only observe."""
    world = await company(two_books(quickbooks_us=books("us", "ca")), active=("stripe",), ada="us", ben="eu")
    for name, entity in (("ada", "us"), ("ben", "eu")):
        world.lookalikes["stripe"].edit("customer", customer(world, name), {"metadata.house": entity})
        bill(world, customer=customer(world, name))
    await world.next_sweep()
    return world


@pytest.mark.parametrize(
    "changes",
    [
        {"quickbooks_us": books("eu", "ca"), "quickbooks_eu": books("us")},
        {"quickbooks_us": books("us")},
        {"quickbooks_us": books("us", "ca"), "quickbooks_eu": books("eu", "us")},
        {"quickbooks_us": books("us", "ca"), "stripe": DocumentPolicy(originates=KINDS, entity_field="metadata.house")},
    ],
)
async def test_a_plan_under_other_entities_activates_nothing(changes: dict[str, DocumentPolicy]) -> None:
    """As many documents would be copied, of other entities perhaps: a person saw those of then."""
    world = await billed()
    seen = await planned_for(world)
    assert seen.endswith("-1")
    today = await planned_for(world, two_books(**changes))
    assert today.endswith("-1")
    with pytest.raises(InvalidInputError, match="stale"):
        await activate(world.hub, world.hub.connections[US], seen, actor="ann")
    await world.settle()
    assert world.db.read_now(lambda tx: connections.get(tx, US)).state == "observing"
    assert booked(world) == {US: [], EU: []}


async def test_a_plan_under_another_entity_of_the_origin_activates_nothing() -> None:
    """What was one company's is the other's now; it is as many documents."""
    ours, theirs = (DocumentPolicy(originates=KINDS, entity=name) for name in ("us", "ca"))
    world = await company(two_books(quickbooks_us=books("us", "ca"), stripe=ours), active=("stripe",), ada="us")
    bill(world)
    await world.next_sweep()
    seen = await planned_for(world)
    today = await planned_for(world, two_books(quickbooks_us=books("us", "ca"), stripe=theirs))
    assert (seen[-2:], today[-2:]) == ("-1", "-1")
    with pytest.raises(InvalidInputError, match="stale"):
        await activate(world.hub, world.hub.connections[US], seen, actor="ann")


async def test_the_same_policy_in_another_order_is_the_same_plan() -> None:
    """What a person approved is what is said, not how the file is sorted."""
    world = await billed()
    seen = await planned_for(world)
    sorted_otherwise = two_books(quickbooks_us=books("ca", "us"))
    turned = dict(reversed([*sorted_otherwise.policy.connections.items()]))
    config = AccordConfig(connections=sorted_otherwise.connections, policy=Policy(connections=turned))
    assert list(turned) != list(documents_of())
    assert await planned_for(world, config) == seen
    await activate(world.hub, world.hub.connections[US], seen, actor="ann")
    await world.settle()
    assert booked(world) == {US: ["119.00"], EU: []}
