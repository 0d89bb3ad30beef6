"""One HubSpot app tells one address of every account that installed it: each account's news reach its connection."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from config.file import AccordConfig
from core.model.policy import ConnectionPolicy, Policy
from core.ports import Account, ConnectionConfig
from core.store import connections, inbox
from core.store.database import Tx
from core.store.inbox import Letter
from core.store.tables import INBOX
from core.sync.accounts import pin
from core.sync.erasure import erase
from core.sync.rounds import wake_due_lanes
from tests.support.acting import everybody
from tests.support.one_address import named, problems, received, told
from tests.support.unheard import count
from tests.support.world import SETTINGS, World

pytestmark = pytest.mark.anyio
US, EU = "hubspot", "hubspot-eu"
PROVIDERS = {"stripe": "stripe", US: "hubspot", EU: "hubspot"}
STRANGER = 7_007_007


def config() -> AccordConfig:
    """Two HubSpot accounts that agree with one Stripe."""
    configs = {
        name: ConnectionConfig(name=name, provider=provider, settings=dict(SETTINGS[provider]))
        for name, provider in PROVIDERS.items()
    }
    scopes = {
        name: ConnectionPolicy(name=name, provider=provider, enters="all", creates="all", match_email=True)
        for name, provider in PROVIDERS.items()
    }
    return AccordConfig(connections=configs, policy=Policy(connections=scopes))


@pytest.fixture
async def world() -> World:
    """Everything agrees, and one app tells the first account's address of both."""
    found = World(names=tuple(PROVIDERS), providers=PROVIDERS, config=config())
    portal(found, EU, 4_242_425)
    for name in ("ada", "ben"):
        found.lookalikes["stripe"].edit("customer", None, {"name": name, "email": f"{name}@example.test"})
    await found.activate_all()
    for name in (US, EU):
        account: Any = found.lookalikes[name]
        account.settings = replace(account.settings, webhook_url=f"https://accord.test/webhooks/{US}")
    return found


def portal(world: World, name: str, portal_id: int) -> None:
    """Another account is behind a connection's credentials."""
    account: Any = world.lookalikes[name]
    account.settings = replace(account.settings, portal_id=portal_id)


def phones(world: World, name: str) -> dict[str, str | None]:
    """What each system has for a customer."""
    return {one: world.neutral(one)[named(world, one, name)]["phone"] for one in world.names}


async def test_an_edit_in_the_other_account_is_taken_at_once(world: World) -> None:
    """It was answered 200, looked for in the first account, and found by the next sweep only."""
    world.lookalikes[EU].edit("customer", named(world, EU, "ada"), {"phone": "+4930123"})

    await told(world, EU, US)

    assert phones(world, "ada") == dict.fromkeys(world.names, "+4930123")
    assert problems(world) == []


async def test_what_is_told_at_an_address_is_read_though_its_own_connection_waits_for_a_person(world: World) -> None:
    """Its credentials were revoked: what came of the other account was not looked at, and all of it heaped up."""
    world.db.run_now(lambda tx: connections.change(tx, US, state="reauthorize"))
    world.lookalikes[EU].edit("customer", named(world, EU, "ada"), {"phone": "+4930123"})
    await received(world, EU, US)
    calls = count(world, US, "http")
    assert await wake_due_lanes(world.hub) == 1
    await told(world, EU, US)
    assert phones(world, "ada") == {"stripe": "+4930123", US: None, EU: "+4930123"}
    assert (US, "new") not in world.db.read_now(inbox.counts)
    assert (calls, await wake_due_lanes(world.hub)) == ([], 0)


async def test_what_is_told_of_an_account_that_nobody_connected_is_shown_once(world: World) -> None:
    """Refused, HubSpot would send it ten times more; dropped, nobody would ever know."""
    portal(world, EU, STRANGER)
    reads = count(world, US, "batch/read|GET .*/objects/")
    for number in range(2):
        world.lookalikes[EU].edit("customer", None, {"name": f"New {number}", "email": f"n{number}@example.test"})
        await told(world, EU, US)

    (problem,) = problems(world)
    assert f"account {STRANGER}, which no connection has" in problem
    assert reads == []

    def connected(tx: Tx) -> None:
        connections.change(tx, EU, account_id=None)
        pin(tx, EU, Account(str(STRANGER), "CRM"), PROVIDERS)

    world.db.run_now(connected)
    assert problems(world) == []


async def test_an_app_that_many_accounts_have_fills_the_inbox_with_no_more_than_a_person_reads(world: World) -> None:
    """Each stood there with all that its deliveries say of people, for half a year."""
    for account in range(60):
        for number in range(3):
            event = {"portalId": STRANGER + account, "objectId": number, "subscriptionType": "contact.propertyChange"}
            event |= {"eventId": account * 100 + number, "propertyValue": "Somebody", "occurredAt": number}
            letter = Letter(
                connection=US, dedupe_key=f"{account}-{number}", body=json.dumps([event]).encode(), received_at=0.0
            )
            world.db.run_now(partial(inbox.add, letters=[letter]))
    await world.settle()
    told_of = [one.problem for one in world.db.read_now(lambda tx: inbox.poisoned(tx, 100))]
    assert len(told_of) == 21
    assert [one for one in told_of if "yet another account" in one] == told_of[:1]
    assert len([body for body in bodies(world) if b"Somebody" in body]) == 21
    assert world.db.read_now(inbox.counts)[US, "done"] >= 159


@pytest.mark.parametrize("is_read", [True, False])
async def test_who_is_erased_is_erased_from_what_came_to_another_address(world: World, *, is_read: bool) -> None:
    """Events tell values: those of the other account's customer stayed in the inbox of the first."""
    theirs, ours = named(world, EU, "ada"), named(world, US, "ben")
    for name, one in ((US, ours), (EU, theirs)):
        world.lookalikes[name].edit("customer", one, {"phone": f"+49 {name} 30"})
        await (told if is_read else received)(world, name, US)
    (ada,) = (one for one in everybody(world) if one.fields["name"] == "ada")

    world.db.run_now(lambda tx: erase(tx, world.hub, ada.external_id, actor="ann", trace="t"))

    assert not [body for body in bodies(world) if b"hubspot-eu 30" in body]
    assert [body for body in bodies(world) if b"hubspot 30" in body]
    await told(world, US, US)
    assert phones(world, "ben") == dict.fromkeys(world.names, f"+49 {US} 30")


async def test_an_erasure_leaves_what_is_told_of_the_same_id_in_another_account(world: World) -> None:
    """It is somebody else."""
    theirs = int(named(world, EU, "ada").partition(":")[2])
    about = {"objectId": theirs, "subscriptionType": "contact.propertyChange", "propertyValue": "Somebody"}
    body = json.dumps([{**about, "portalId": 4_242_424}]).encode()
    letter = Letter(connection=US, dedupe_key="1", body=body, received_at=world.clock.time)
    world.db.run_now(lambda tx: inbox.add(tx, [letter]))
    (ada,) = (one for one in everybody(world) if one.fields["name"] == "ada")

    world.db.run_now(lambda tx: erase(tx, world.hub, ada.external_id, actor="ann", trace="t"))

    assert bodies(world) == [body]


def bodies(world: World) -> list[bytes]:
    """Of all deliveries."""
    return [row[0] for row in world.db.read_now(lambda tx: tx.rows(INBOX.select().with_only_columns(INBOX.c.body)))]


async def test_an_account_that_is_connected_once_more_is_not_shown_as_nobodys(world: World) -> None:
    """Its connection was out of `accord.toml` for a while: `accord inbox` went on telling to connect it."""
    configured: Any = world.hub.connections
    away = configured.pop(EU)
    world.lookalikes[EU].edit("customer", None, {"name": "New", "email": "new@example.test"})
    await received(world, EU, US)
    await world.lanes.run(US)
    assert len(problems(world)) == 1

    configured[EU] = away
    world.start()
    await world.lanes.run(EU)

    assert problems(world) == []
