"""Each payment route has its own clearing account in the books, so that a payout can be reconciled to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from config.file import AccordConfig
from core.model.documents import KINDS
from core.model.policy import ConnectionPolicy, DocumentPolicy, Policy
from core.ports import ConnectionConfig
from tests.support.acting import answer, held
from tests.support.paper import BOOKS, SINCE, at_rest, bill, papers, pay
from tests.support.world import OFFERS, World

pytestmark = pytest.mark.anyio

PROVIDERS = {"stripe-eu": "stripe", "stripe-us": "stripe", "quickbooks": "quickbooks"}


def routed(**deposits: str) -> AccordConfig:
    """Two accounts at Stripe, one company's books; `_` for `-` in routes."""
    policies = {"quickbooks": DocumentPolicy(mirrors=KINDS, since=SINCE)}
    connections, scopes = {}, {}
    for name, provider in PROVIDERS.items():
        settings = dict(OFFERS[provider].settings(f"http://{name}.test"))
        routes = {route.replace("_", "-"): account for route, account in deposits.items()}
        is_books = name == "quickbooks"
        connections[name] = ConnectionConfig(
            name, provider, settings | (BOOKS if is_books else {}), deposits=routes if is_books else {}
        )
        documents = policies.get(name, DocumentPolicy(originates=KINDS))
        scopes[name] = ConnectionPolicy(
            name=name, provider=provider, enters="all", creates="all", match_email=True, documents=documents
        )
    return AccordConfig(connections=connections, policy=Policy(connections=scopes))


async def paid(config: AccordConfig, **amounts: str) -> World:
    """A customer of both accounts, who paid an invoice at each."""
    world = World(names=tuple(PROVIDERS), providers=PROVIDERS, config=config)
    for name in ("stripe-eu", "stripe-us"):
        world.lookalikes[name].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    for name, amount in amounts.items():
        origin = name.replace("_", "-")
        pay(world, bill(world, origin, number=f"{origin}-1"), amount, origin)
    await world.next_sweep()
    await world.next_sweep()
    return world


def deposited(world: World) -> dict[str, str]:
    """Amount -> account of what stands in the books."""
    rows = world.lookalikes["quickbooks"].objects("payment").values()
    return {str(row["TotalAmt"]): row["DepositToAccountRef"]["value"] for row in rows}


async def test_what_came_in_at_each_account_is_deposited_to_its_own() -> None:
    """The payouts of the one were searched for among those of the other."""
    world = await paid(routed(stripe_eu="4"), stripe_eu="19.00", stripe_us="20.00")

    assert deposited(world) == {"19.00": "4", "20.00": "35"}
    at_rest(world)


async def test_what_goes_back_is_booked_out_of_the_account_of_its_route() -> None:
    """Not out of the one that all others go to."""
    world = await paid(routed(stripe_eu="4"), stripe_eu="19.00", stripe_us="20.00")
    for name in ("stripe-eu", "stripe-us"):
        (payment,) = [one.remote_id for one in papers(world, "payment") if one.origin == name]
        world.lookalikes[name].edit("payment", payment, {"refunded": "5.00"})
    await world.next_sweep()

    assert {one.detail["account"] for one in held(world, "by_hand")} == {"4", "35"}
    asked = {one.detail["number"]: one.detail["account"] for one in held(world, "by_hand")}
    named = {one.called: one.origin for one in papers(world, "payment")}
    assert {named[number]: account for number, account in asked.items()} == {"stripe-eu": "4", "stripe-us": "35"}


async def test_what_goes_back_is_booked_out_of_the_account_that_it_came_in_to() -> None:
    """The route was changed since: the new account never had the money, and the old one would never come to nothing."""
    world = await paid(routed(stripe_eu="4"), stripe_eu="19.00")
    world.config = routed(stripe_eu="35")
    world.start()
    (payment,) = papers(world, "payment")
    world.lookalikes["stripe-eu"].edit("payment", payment.remote_id, {"refunded": "5.00"})
    await world.next_sweep()

    assert deposited(world) == {"19.00": "4"}
    assert [one.detail["account"] for one in held(world, "by_hand")] == ["4"]


async def test_an_account_that_is_not_there_holds_the_payments_of_its_route_and_no_others() -> None:
    """The hold names the route; put right, they are booked."""
    world = await paid(routed(stripe_eu="1000"), stripe_eu="19.00", stripe_us="20.00")

    assert deposited(world) == {"20.00": "35"}
    (hold,) = held(world)
    assert hold.detail["field"] == "deposits.stripe-eu"
    assert "1000" in str(hold.detail["cure"])
    books: Any = world.lookalikes["quickbooks"]
    books.settings = replace(books.settings, accounts=frozenset({"35", "1000"}))
    await answer(world, hold, "retry")
    assert deposited(world) == {"20.00": "35", "19.00": "1000"}
    at_rest(world)
