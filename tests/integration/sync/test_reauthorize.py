"""A connection whose credentials are gone says so; the others do not notice."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from core.errors import ReauthorizeError, StorageError
from core.ports import HttpRequest, HttpResponse
from core.store import connections
from core.sync.accounts import authorized
from core.sync.explain import status
from core.sync.failing import stop_or_pause
from tests.integration.sync.test_ends_beside import beside, closing
from tests.support.acting import ADA, edit_only, value
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_tokens_lost_between_the_provider_and_the_vault_call_for_a_person(tmp_path: object) -> None:
    """QuickBooks rotated the refresh token and the process died before it was stored: nothing can bring it back."""
    world = World(url=f"sqlite:///{tmp_path}/accord.sqlite3")
    stripe = world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    world.clock.time += 3600
    vault = world.vaults["quickbooks"]
    before, save = dict(vault.values), vault.save

    async def lose(values: Mapping[str, str]) -> None:
        if "refresh_token" in values:
            raise StorageError("nothing can be stored from now on, until the process dies")
        await save(values)

    vault.save = lose  # type: ignore[method-assign]  # the very vault that the running hub has
    world.lookalikes["stripe"].edit("customer", stripe, {"phone": "+4930123456"})
    await world.next_sweep()
    vault.save = save  # type: ignore[method-assign]  # see above
    assert vault.values["refresh_token"] == before["refresh_token"]
    world.start()
    world.clock.time += 3600
    await world.next_sweep()

    rows = {one.name: one for one in world.db.read_now(connections.every)}
    assert {name: one.state for name, one in rows.items()} == {
        "stripe": "active",
        "hubspot": "active",
        "quickbooks": "reauthorize",
    }
    told = world.db.read_now(lambda tx: status(tx, world.hub))["connections"]
    assert "`accord connect quickbooks`" in next(one["error"] for one in told if one["connection"] == "quickbooks")
    assert [one.get("phone") for one in world.neutral("hubspot").values()] == ["+4930123456"]
    assert [one.get("phone") for one in world.neutral("quickbooks").values()] == [None]


async def test_no_token_is_asked_for_while_nothing_can_be_stored(tmp_path: object) -> None:
    """The disk was full when QuickBooks' hour was over, and the daemon was restarted to mend it: the new token was lost
    with it, and a person had to consent again.
    """
    world = World(url=f"sqlite:///{tmp_path}/accord.sqlite3")
    stripe = world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    world.clock.time += 3600
    vault = world.vaults["quickbooks"]
    save = vault.save

    async def refuse(values: Mapping[str, str]) -> None:
        del values
        raise StorageError("the disk is full")

    vault.save = refuse  # type: ignore[method-assign]  # the very vault that the running hub has
    world.lookalikes["stripe"].edit("customer", stripe, {"phone": "+4930123456"})
    await world.next_sweep()
    vault.save = save  # type: ignore[method-assign]  # see above
    world.start()
    world.clock.time += 3600
    await world.next_sweep()

    assert {one.name: one.state for one in world.db.read_now(connections.every)}["quickbooks"] == "active"
    assert [one.get("phone") for one in world.neutral("quickbooks").values()] == ["+4930123456"]


def a_person_connects(world: World, token: str) -> None:
    """What `accord connect hubspot` does once the provider has told whose account the token opens."""
    world.vaults["hubspot"].values["access_token"] = token
    account = str(world.db.read_now(lambda tx: connections.get(tx, "hubspot")).account_id)
    at = world.clock.time
    world.db.run_now(lambda tx: authorized(tx, "hubspot", account, account, at=at, actor="ann"))


def meanwhile_a_person_connects(world: World, token: str) -> None:
    """The token was revoked: while the next call is under way with it, another one is stored."""
    respond, vault = world.exchanges["hubspot"], world.vaults["hubspot"]
    vault.values["access_token"] = "revoked"

    def exchange(request: HttpRequest) -> HttpResponse:
        world.exchanges["hubspot"] = respond
        late = respond(request)
        assert late.status == 401
        a_person_connects(world, token)
        return late

    world.exchanges["hubspot"] = exchange


@pytest.mark.parametrize("is_looked", [False, True])
async def test_a_refusal_that_comes_back_late_is_none_of_the_credentials_stored_meanwhile(*, is_looked: bool) -> None:
    """The connection asked for the credentials that it had just been given, and rested until somebody saw it."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, ADA)
    await world.activate_all()
    good = world.vaults["hubspot"].values["access_token"]
    edit_only(world, "stripe", {"phone": "+4930123456"})
    if is_looked:  # the call under way is a batch's, and not the lane's own
        world.clock.time += world.timing.changes_every + 1
        await world.lanes.run("stripe")
    meanwhile_a_person_connects(world, good)
    await world.next_sweep()

    assert world.db.read_now(lambda tx: connections.get(tx, "hubspot")).state == "active"
    assert value(world, "hubspot", "phone") == "+4930123456"


async def test_credentials_stored_meanwhile_that_are_no_better_call_for_a_person() -> None:
    """A refusal is forgiven once for each time that somebody stores some: these are asked for again."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, ADA)
    await world.activate_all()
    meanwhile_a_person_connects(world, "revoked as well")
    await world.next_sweep()
    await world.next_sweep()

    row = world.db.read_now(lambda tx: connections.get(tx, "hubspot"))
    assert (row.state, row.error_code) == ("reauthorize", "reauthorize")


async def test_a_refusal_that_is_stored_beside_good_credentials_does_not_stay(postgres_url: str) -> None:
    """The state was read, a refusal called for a person, and what was stored over it said nothing of the state."""
    with closing(World(url=postgres_url)) as world:
        await world.activate_all()
        since = world.clock.now()

        def refuse() -> None:
            error = ReauthorizeError("revoked")
            world.db.run_now(lambda tx: stop_or_pause(tx, world.hub, "hubspot", error, 0, since))

        with beside(world, "UPDATE connections", "hubspot", refuse):
            a_person_connects(world, "good")
        row = world.db.read_now(lambda tx: connections.get(tx, "hubspot"))
        assert (row.state, row.error_code) == ("active", "")
