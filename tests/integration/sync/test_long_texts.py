"""Texts longer than an index takes: HubSpot holds 65,536 characters, a row of PostgreSQL's index 2,704 bytes."""

from __future__ import annotations

import random
import string

import pytest

from core.errors import InvalidInputError
from core.model.keys import LONGEST_KEY, email_key, text_key
from core.store import connections, customers
from core.store.customers import Customer
from tests.integration.sync.test_ends_beside import closing
from tests.support.acting import everybody, failing
from tests.support.world import World

pytestmark = pytest.mark.anyio

LONG = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=9000))
PHONE = "+4930999"
COMPANIES = {
    "name": {"name": LONG, "email": "acme@example.test"},
    "email": {"name": "Acme", "email": f"{LONG}@example.test"},
    "external_id": {"name": "Acme", "email": "acme@example.test", "external_id": LONG},
}


@pytest.mark.parametrize("field", COMPANIES)
async def test_a_text_that_no_index_takes_keeps_nobody_elses_edits_from_flowing(field: str, postgres_url: str) -> None:
    """The database refused the whole page or batch, and the lane tried that again for ever, and nothing else."""
    with closing(World(url=postgres_url)) as world:
        hubspot = world.lookalikes["hubspot"]
        ada = hubspot.edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
        await world.activate_all()
        hubspot.edit("customer", None, {"customer_type": "company", **COMPANIES[field]})
        await world.next_sweep()
        hubspot.edit("customer", ada, {"phone": PHONE})
        await world.next_sweep()
        world.clock.time += 86_500
        await world.settle()
        assert PHONE in {one.get("phone") for one in world.neutral("stripe").values()}
        row = world.db.read_now(lambda tx: connections.get(tx, "hubspot"))
        assert (row.error, row.paused_until) == ("", None)
        if field == "external_id":
            assert "more than 500 characters" in {one.connection: one.message for one in failing(world)}["hubspot"]
            return
        assert LONG in {str(one.fields[field]).removesuffix("@example.test") for one in everybody(world)}
        found = world.db.read_now(lambda tx: customers.listing(tx, search=LONG[:30].upper()))
        assert len(found) == 1


def test_what_no_index_takes_is_a_value_that_cannot_be_stored_and_no_lost_database(postgres_url: str) -> None:
    """Whatever else is as long is one record's trouble, and is looked at by itself."""
    one = Customer(id="1", external_id=LONG, fields={}, sources={}, created_at=0.0, updated_at=0.0)
    with (
        closing(World(url=postgres_url)) as world,
        pytest.raises(InvalidInputError, match="cannot be stored: index row"),
    ):
        world.db.run_now(lambda tx: customers.insert(tx, [one]))


def test_long_texts_that_begin_alike_are_told_apart() -> None:
    """Two customers are not one for it."""
    assert text_key(f"{LONG}1") != text_key(f"{LONG}2")
    assert len(text_key(LONG)) == LONGEST_KEY == len(email_key(f"{LONG}@example.test"))
    assert email_key(f" {LONG}@example.test") == email_key(f"{LONG}@EXAMPLE.test ")
