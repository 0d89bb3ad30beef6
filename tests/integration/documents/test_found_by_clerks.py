"""What simulated clerks found, told as short stories."""

from __future__ import annotations

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.sandbox.faults import Fault
from tests.integration.sync.test_found_by_simulation import weather
from tests.support.acting import all_day, failing, held, waiting
from tests.support.paper import SINCE, bill, billing, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_a_copy_that_waits_for_its_customer_is_no_failure() -> None:
    """It could not be tied to a contact that was just being deleted: that one is looked at, and nothing is to mend."""
    policies = {
        "stripe": DocumentPolicy(originates=KINDS),
        "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE),
    }
    world = await billing(with_documents(policies, {}, {}))
    (contact,) = world.neutral("hubspot")
    world.lookalikes["hubspot"].delete("customer", contact)
    bill(world)
    await world.next_sweep()
    assert [one.reason for one in held(world)] == ["remote_gone"]
    for _ in range(2):
        assert failing(world) == []
        assert waiting(world) == {"hubspot": 1}
        await all_day(world)


async def test_a_garbled_answer_about_properties_leaves_none_of_them_out() -> None:
    """It passed for an account that has no invoices: lines had no marker, and every copy was refused."""
    policies = {
        "stripe": DocumentPolicy(originates=KINDS),
        "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE),
    }
    world = World(config=with_documents(policies, {}, {}))
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    weather(world, "hubspot", Fault(kind="truncated", method="GET", path=r"/crm/properties/.*/line_items$", count=1))
    await world.activate_all()
    bill(world)
    await world.next_sweep()
    assert held(world) == []
    assert len(shown(world, "hubspot")) == 1
