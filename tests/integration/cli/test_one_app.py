"""Two companies of one Intuit app: only one of them needs the app's verifier token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.store import schema
from core.store.database import Database
from tests.integration.cli.conftest import Accord
from tests.support.entities import EU, PROVIDERS, REALMS, US, two_books
from tests.support.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Two companies' books and one Stripe, all connected; the second company has no verifier token."""
    url = f"sqlite:///{tmp_path}/accord.sqlite3"
    db = Database(url, is_direct=True)
    schema.upgrade(db)
    db.close()
    world = World(url=url, names=tuple(PROVIDERS), providers=PROVIDERS, config=two_books())
    for name, realm in REALMS.items():
        books: Any = world.lookalikes[name]
        books.settings = replace(books.settings, realm_id=realm)
    asyncio.run(world.activate_all())
    world.vaults[EU].values["verifier_token"] = ""
    yield world
    world.db.close()


def told(accord: Accord, name: str) -> tuple[str, str, str]:
    """What doctor says of a connection's webhooks."""
    (found,) = (one for one in accord("doctor", "--json").json if (one["about"], one["check"]) == (name, "webhooks"))
    return found["state"], found["says"], found["cure"]


@pytest.mark.usefixtures("world")
def test_what_comes_to_the_first_companys_address_reaches_the_second(accord: Accord) -> None:
    """Doctor called it wrong, and that its deliveries are refused."""
    assert told(accord, EU) == (
        "note",
        f"no verifier_token: deliveries to its own address are refused; those that come to {US} reach it",
        "if its app tells its own address, set ACCORD_QUICKBOOKS_EU_VERIFIER_TOKEN",
    )
    assert accord("doctor").code == 0
    assert told(accord, US)[0] == "ok"


@pytest.mark.parametrize("other", ["another app", "nobody's"])
def test_a_company_of_another_app_needs_a_token_of_its_own(world: World, accord: Accord, other: str) -> None:
    """Nothing of it comes to the first one's address, or that address refuses it as well."""
    if other == "another app":
        world.vaults[EU].values["client_id"] = "another"
    else:
        world.vaults[US].values["verifier_token"] = ""
    state, says, cure = told(accord, EU)
    assert (state, says) == ("wrong", "no verifier_token: deliveries are refused")
    assert cure == "set ACCORD_QUICKBOOKS_EU_VERIFIER_TOKEN"
    assert accord("doctor").code == 1
