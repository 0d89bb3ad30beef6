"""Whose a copy is: the object of its invoice's own customer and of nobody else, however that came to be known."""

from __future__ import annotations

import pytest

from config.file import AccordConfig
from core.sync import linking
from core.sync.documents.telling import listed
from tests.integration.documents.test_copies_at_stripe import books_to_stripe
from tests.integration.documents.test_hubspot_copies import CRM
from tests.support.acting import all_day, everybody
from tests.support.paper import at_rest, bill, billing, is_silent, papers, shown, stripe_to_books
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

FROM_STRIPE = [(stripe_to_books(), "quickbooks"), (CRM, "hubspot")]
EVERYWHERE = [("stripe", *one) for one in FROM_STRIPE] + [
    ("quickbooks", books_to_stripe(mirror_open_invoices="yes"), "stripe")
]
KNOWN = ("Ada Lovelace", "Grace Hopper")


def person(name: str) -> dict[str, str]:
    """Each with an address of her own."""
    return {"name": name, "email": f"{name.partition(' ')[0].lower()}@example.test"}


def ids_at(world: World, place: str) -> dict[str, str]:
    """The object of each person there, by name."""
    return {str(one["name"]): remote_id for remote_id, one in world.neutral(place).items()}


@pytest.mark.parametrize(("origin", "config", "mirror"), EVERYWHERE)
async def test_each_invoice_is_copied_to_its_own_customer_and_not_to_the_newest(
    origin: str, config: AccordConfig, mirror: str
) -> None:
    """Two were in all systems before and were found by e-mail; a look-up whose filter is empty finds the newest."""
    world = World(config=config)
    for name in KNOWN:
        for place in NAMES:
            world.lookalikes[place].edit("customer", None, person(name))
    await world.activate_all()
    world.lookalikes[origin].edit("customer", None, person("Zoe Newest"))
    await all_day(world)
    assert (len(everybody(world)), [len(ids_at(world, place)) for place in NAMES]) == (3, [3, 3, 3])
    there = ids_at(world, origin)
    for number, name in enumerate(KNOWN, 1):
        bill(world, origin, customer=there[name], number=f"N-{number}")
    numbers = {str(one["customer"]): one["number"] for one in shown(world, origin)}

    await world.next_sweep()

    copies = {str(one["customer"]): one["number"] for one in shown(world, mirror)}
    assert copies == {ids_at(world, mirror)[name]: numbers[there[name]] for name in KNOWN}
    at_rest(world)
    await is_silent(world)


@pytest.mark.parametrize(("origin", "config", "mirror"), EVERYWHERE)
async def test_no_invoice_is_copied_to_an_object_that_its_customer_was_unlinked_from(
    origin: str, config: AccordConfig, mirror: str
) -> None:
    """A link that a person ended is none: the invoice waits, says why, and is copied once there is a link again."""
    world = await billing(config)
    (one,) = everybody(world)
    (old,) = world.neutral(mirror)
    world.db.run_now(lambda tx: linking.unlink(tx, world.hub, one.external_id, mirror, actor="ann", trace="t"))
    bill(world, origin, number="N-1")
    await world.next_sweep()
    await all_day(world)
    assert shown(world, mirror) == []
    ((copy,),) = (told["copies"] for told in world.db.read_now(lambda tx: listed(tx, papers(world), world.clock.now())))
    assert copy["waits"].endswith("has no object here: it was left out (unlinked)")

    world.db.run_now(lambda tx: linking.link(tx, world.hub, one.external_id, mirror, old, actor="ann", trace="t"))
    await world.next_sweep()
    assert [str(there["customer"]) for there in shown(world, mirror)] == [old]
    at_rest(world)
