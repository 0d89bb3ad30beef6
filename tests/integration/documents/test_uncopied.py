"""Why a document has no copy somewhere is told, whoever asks for it there."""

from __future__ import annotations

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.sync.documents.telling import told_of_any
from tests.support.paper import SINCE, bill, billing, pay, stripe_to_books
from tests.support.world import World

pytestmark = pytest.mark.anyio


def uncopied(world: World, name: str) -> dict[str, str]:
    """Connection -> why, of one document."""
    told = world.db.read_now(lambda tx: told_of_any(tx, world.hub, name))
    assert told is not None
    return {one["connection"]: one["why"] for one in told["uncopied"]}


async def test_what_settles_an_invoice_without_a_copy_says_so() -> None:
    """It is of this year, the invoice of the last one."""
    policy = DocumentPolicy(mirrors=KINDS, since="2026-11-19")
    world = await billing(stripe_to_books(quickbooks=policy))
    invoice = bill(world)
    payment = pay(world, invoice, "119.00")
    await world.next_sweep()
    assert uncopied(world, invoice) == {"quickbooks": "its day is before 2026-11-19 (since)"}
    assert uncopied(world, payment) == {"quickbooks": "no invoice that it settles has a copy there"}


async def test_what_policy_says_of_sources_and_entities_is_told() -> None:
    """Each connection has its own reason."""
    world = await billing(
        stripe_to_books(
            stripe=DocumentPolicy(originates=KINDS, entity="us"),
            quickbooks=DocumentPolicy(mirrors=KINDS, since=SINCE, entities=("eu",)),
            hubspot=DocumentPolicy(mirrors=("invoice",), since=SINCE, sources=("lago",), entities=("us",)),
        )
    )
    invoice = bill(world)
    await world.next_sweep()
    assert uncopied(world, invoice) == {
        "hubspot": "policy copies nothing from stripe there (sources)",
        "quickbooks": "it belongs in another entity's books",
    }


async def test_books_that_only_look_are_told() -> None:
    """They wait for a person."""
    world = World(config=stripe_to_books())
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all("stripe")
    invoice = bill(world)
    await world.next_sweep()
    assert uncopied(world, invoice) == {"quickbooks": "quickbooks is observing"}
