"""A Stripe platform's endpoint hears of connected accounts, in both modes: their objects are not the platform's."""

from __future__ import annotations

import json
import random

import pytest

from config.file import AccordConfig
from connectors.stripe.sandbox import StripeLookAlike
from connectors.stripe.sandbox.settings import StripeSettings
from core.model.policy import ConnectionPolicy, Policy
from core.ports import Account, ConnectionConfig
from core.store import connections, inbox
from core.sync.accounts import pin
from core.sync.inbox import InboxWriter
from tests.support.deliveries import signed
from tests.support.unheard import count
from tests.support.world import SETTINGS, World

pytestmark = pytest.mark.anyio
LIVE, TEST = "stripe", "stripe-test"
PROVIDERS = {LIVE: "stripe", TEST: "stripe", "quickbooks": "quickbooks"}


@pytest.fixture
async def world() -> World:
    """Both modes of one account are connected; one customer agrees everywhere."""
    configs = {
        name: ConnectionConfig(name=name, provider=provider, settings=dict(SETTINGS[provider]))
        for name, provider in PROVIDERS.items()
    }
    scopes = {
        name: ConnectionPolicy(name=name, provider=provider, enters="all", creates="all", match_email=True)
        for name, provider in PROVIDERS.items()
    }
    config = AccordConfig(connections=configs, policy=Policy(connections=scopes))
    found = World(names=tuple(PROVIDERS), providers=PROVIDERS, config=config)
    # the same chance, the same account
    other = StripeLookAlike(
        clock=found.clock, rng=random.Random(found.seed + 1), settings=StripeSettings(is_live=False)
    )
    found.lookalikes[TEST], found.exchanges[TEST] = other, other.respond
    found.lookalikes[LIVE].edit("customer", None, {"name": "ada", "email": "ada@example.test"})
    await found.activate_all()
    return found


async def told(world: World, customer: str, **about: object) -> None:
    """An event of a customer comes to the live connection's address."""
    data = {"object": {"id": customer, "object": "customer"}, "previous_attributes": {"phone": "+1"}}
    event = {"id": "evt_1", "object": "event", "type": "customer.updated", "data": data, **about}
    delivery = signed("stripe", json.dumps(event).encode(), world.clock.time)
    await InboxWriter(world.hub).receive(world.hub.connection(LIVE), delivery)
    for _ in range(3):
        for lane in world.names:
            await world.lanes.run(lane)


def account(world: World) -> str:
    """The account that is connected."""
    row = world.db.read_now(lambda tx: connections.get(tx, LIVE))
    return str(row.account_id).partition(":")[0]


def customer(world: World, name: str) -> str:
    """Its only one."""
    (found,) = world.neutral(name)
    return found


def problems(world: World) -> list[str]:
    """Of deliveries that nobody could take."""
    return [one.problem for one in world.db.read_now(lambda tx: inbox.poisoned(tx, 10))]


async def test_an_event_of_a_connected_account_is_not_taken_for_one_of_ours(world: World) -> None:
    """Customers that were copied from account to account keep their ids: it was read, and raced, as our own."""
    reads = count(world, LIVE, "GET .*/customers/")

    await told(world, customer(world, LIVE), account="acct_other", livemode=True)

    assert reads == []
    assert problems(world) == [
        "it tells of account acct_other:live, which no connection has; connect it, or take its webhooks out of the app"
    ]


@pytest.mark.parametrize("is_named", [True, False], ids=["a connected account's", "its own"])
async def test_an_event_of_the_other_mode_reaches_the_connection_of_that_mode(world: World, *, is_named: bool) -> None:
    """A platform's live endpoint is sent both; one address may be given to both modes."""
    theirs = customer(world, TEST)
    world.lookalikes[TEST].edit("customer", theirs, {"phone": "+4930123"})

    await told(world, theirs, livemode=False, **({"account": account(world)} if is_named else {}))

    assert world.neutral("quickbooks")[customer(world, "quickbooks")]["phone"] == "+4930123"
    assert problems(world) == []


@pytest.mark.parametrize("about", [{}, {"livemode": True}, {"livemode": "?", "account": None}])
async def test_an_event_of_our_own_is_taken_as_ever(world: World, about: dict[str, object]) -> None:
    """Most events tell no account, and the mode of the connection."""
    world.lookalikes[LIVE].edit("customer", customer(world, LIVE), {"phone": "+4930123"})

    await told(world, customer(world, LIVE), **about)

    assert world.neutral("quickbooks")[customer(world, "quickbooks")]["phone"] == "+4930123"


async def test_an_event_in_a_mode_that_nobody_connected_is_shown_until_it_is(world: World) -> None:
    """As one of an account that nobody connected."""
    pinned = world.db.read_now(lambda tx: connections.get(tx, TEST)).account_id
    world.db.run_now(lambda tx: connections.change(tx, TEST, account_id=None))

    await told(world, "cus_1", livemode=False)

    assert f"account {account(world)}:test, which no connection has" in problems(world)[0]
    world.db.run_now(lambda tx: pin(tx, TEST, Account(str(pinned), ""), PROVIDERS))
    assert problems(world) == []
    assert pinned == f"{account(world)}:test"
