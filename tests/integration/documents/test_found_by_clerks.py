"""What simulated clerks found, told as short stories."""

from __future__ import annotations

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from tests.support.acting import all_day, failing, waiting
from tests.support.paper import SINCE, bill, billing, with_documents

pytestmark = pytest.mark.anyio


async def test_a_copy_that_waits_for_its_customer_is_no_failure_any_more() -> None:
    """It could not be tied to a contact that was just being deleted; once that is known there is nothing to mend."""
    policies = {
        "stripe": DocumentPolicy(originates=KINDS),
        "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE),
    }
    world = await billing(with_documents(policies, {}, {}))
    (contact,) = world.neutral("hubspot")
    world.lookalikes["hubspot"].delete("customer", contact)
    bill(world)
    await world.next_sweep()
    assert [one.code for one in failing(world)] == ["gone"]
    await all_day(world)
    assert failing(world) == []
    assert waiting(world) == {"hubspot": 1}
