"""A link on first contact beside the create of the same customer: they are two transactions, and one object remains."""

from __future__ import annotations

import asyncio

import pytest

from core.model.holds import AMBIGUOUS_MATCH
from core.store import work
from core.store.work import DirtyRow
from core.sync import registry
from core.sync.linking import link
from core.sync.reconcile import reconcile
from tests.integration.sync.test_ends_beside import beside, closing
from tests.support.acting import ADA, all_day, enter, everybody, held, mapped, with_policy
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio


def due(world: World, subject: str) -> list[DirtyRow]:
    """What waits of this subject at Stripe."""
    return list(world.db.read_now(lambda tx: work.of_subjects(tx, "stripe", [subject])).values())


async def test_a_link_beside_the_create_of_its_customer_does_not_undo_it(postgres_url: str) -> None:
    """Two batches of a lane: one links an object that has just been read, the other one makes its customer meanwhile.

    The link was stored over the create's answer, and what had been made was known to nobody.
    """
    with closing(World(url=postgres_url)) as world:
        world.config = with_policy(world.config, "stripe", match_email=True)
        world.start()
        await world.activate_all()
        stripe = world.hub.connections["stripe"]
        world.db.run_now(lambda tx: registry.create(tx, world.hub, "ada", ADA, actor="ann", trace="t"))
        (mapping,) = mapped(world, "stripe")
        to_create = due(world, work.mapping_subject(mapping.id))
        found = world.lookalikes["stripe"].edit("customer", None, ADA)
        subject, now = work.remote_subject(found), world.clock.now()
        world.db.run_now(lambda tx: work.mark(tx, "stripe", [subject], reason="webhook", trace="t", now=now))

        def create() -> None:
            asyncio.run(reconcile(world.hub, stripe, to_create))

        with beside(world, "SELECT mappings", mapping.id, create):
            await reconcile(world.hub, stripe, due(world, subject))
        await world.settle()
        (made,) = {*world.neutral("stripe")} - {found}
        assert [one.remote_id for one in mapped(world, "stripe")] == [made]
        assert [(one.subject, one.reason) for one in held(world)] == [(subject, AMBIGUOUS_MATCH)]


def archived(world: World) -> None:
    """Ada's customer is deleted, by hand."""
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, "ada", actor="ben", trace="t"))


async def test_a_link_beside_the_archiving_of_its_customer_ties_nothing_to_nobody(postgres_url: str) -> None:
    """The tie stayed: the object was a deleted customer's, nobody could unlink it, and nobody else could have it."""
    config = with_policy(config_of(NAMES), "hubspot", enters="marked", creates="none")
    with closing(World(url=postgres_url, config=config)) as world:
        await world.activate_all()
        await enter(world, "ada", **ADA)
        (one,) = everybody(world)
        remote_id = world.lookalikes["hubspot"].edit("customer", None, {"name": "Countess"})
        await all_day(world)
        with beside(world, "INSERT INTO mappings", one.id, lambda: archived(world)):
            world.db.run_now(lambda tx: link(tx, world.hub, "ada", "hubspot", remote_id, actor="ann", trace="t"))
        await world.settle()
        assert everybody(world) == []
        assert mapped(world, "hubspot") == []


async def test_a_link_on_first_contact_beside_the_archiving_of_its_customer_ties_nothing_to_nobody(
    postgres_url: str,
) -> None:
    """A lane links an object that says what its customer says, so that the customer is not written; it is archived."""
    config = with_policy(config_of(NAMES), "hubspot", creates="none")
    with closing(World(url=postgres_url, config=config)) as world:
        await world.activate_all()
        await enter(world, "ada", **ADA, customer_type="individual")
        (one,) = everybody(world)
        world.lookalikes["hubspot"].edit("customer", None, {**ADA, "external_id": "ada"})
        with beside(world, "INSERT INTO mappings", one.id, lambda: archived(world)):
            await all_day(world)
        assert everybody(world) == []
        assert mapped(world, "hubspot") == []
