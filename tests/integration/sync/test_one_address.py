"""One app tells one address of several companies: each company's news reach its own connection, or are shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.ports import Account
from core.store import connections
from core.store.database import Tx
from core.sync.accounts import pin
from tests.support.acting import mapped
from tests.support.crashes import FragileWorld
from tests.support.entities import EU, REALMS, US, company
from tests.support.one_address import named, problems, told
from tests.support.unheard import count

pytestmark = pytest.mark.anyio
STRANGER = "9341453908059399"


@pytest.fixture(params=[False, True], ids=["cloud events", "older format"])
async def world(request: pytest.FixtureRequest) -> FragileWorld:
    """Two companies' books that agree with one Stripe, and one app that tells the first one's address of both."""
    found = await company(ada="", ben="")
    for name in REALMS:
        books: Any = found.lookalikes[name]
        books.settings = replace(
            books.settings,
            webhook_url=f"https://accord.test/webhooks/{US}",
            is_old_webhook_format=request.param,
        )
    return found


async def test_an_edit_in_the_other_company_is_taken_at_once(world: FragileWorld) -> None:
    """It was answered 200, looked for among the customers of the first company, and found by the next sweep only."""
    theirs = named(world, EU, "ada")
    reads = count(world, US, "GET .*(query|customer/)")
    world.lookalikes[EU].edit("customer", theirs, {"phone": "+4930123"})

    await told(world, EU, US)

    assert [one["phone"] for one in world.neutral("stripe").values() if one["name"] == "ada"] == ["+4930123"]
    assert problems(world) == []
    assert world.neutral(US)[named(world, US, "ada")]["phone"] == "+4930123"
    assert reads == []


async def test_a_merge_in_the_other_company_moves_its_mapping_and_no_other(world: FragileWorld) -> None:
    """Ids of two companies are alike."""
    books: Any = world.lookalikes[EU]
    ours, elsewhere = named(world, EU, "ada"), named(world, US, "ada")
    same = {one: text for one, text in world.neutral(EU)[ours].items() if one == "email"}
    made = books.edit("customer", None, {**same, "name": "Ada L."})
    books.merge("customer", made, ours)

    await told(world, EU, US)

    assert made in {one.remote_id for one in mapped(world, EU)}
    assert {one.remote_id: one.state for one in mapped(world, US)}[elsewhere] == "live"


async def test_what_is_told_of_a_company_that_nobody_connected_is_shown_once(world: FragileWorld) -> None:
    """Refused, Intuit would hold back what it has to tell of the others; dropped, nobody would ever know."""
    books: Any = world.lookalikes[EU]
    books.settings = replace(books.settings, realm_id=STRANGER)
    reads = count(world, US, "GET ")
    for number in range(2):
        books.edit("customer", None, {"name": f"New {number}"})
        await told(world, EU, US)

    (problem,) = problems(world)
    assert f"account {STRANGER}, which no connection has" in problem
    assert reads == []

    def connected(tx: Tx) -> None:
        connections.change(tx, EU, account_id=None)
        pin(tx, EU, Account(f"{STRANGER}:live", "Books"), world.names)

    world.db.run_now(connected)
    assert problems(world) == []


async def test_a_connection_that_never_told_its_account_takes_what_it_is_told(world: FragileWorld) -> None:
    """Its first look at the account may come after its first webhook."""
    world.db.run_now(lambda tx: connections.change(tx, US, account_id=None))
    books: Any = world.lookalikes[US]
    books.edit("customer", named(world, US, "ada"), {"phone": "+4930123"})

    await told(world, US, US)

    assert problems(world) == []
    assert [one["phone"] for one in world.neutral("stripe").values() if one["name"] == "ada"] == ["+4930123"]
