"""What a person lets go of is told by a close, and what it settled is looked at again."""

from __future__ import annotations

import pytest

from core.sync.documents.tie_out import is_tied
from tests.integration.documents.test_grounds import closed
from tests.integration.documents.test_payments_at_copies import BACK, billed
from tests.support.acting import answer, held
from tests.support.paper import pay

pytestmark = pytest.mark.anyio


async def test_a_payment_that_goes_to_no_origin_after_all_is_asked_about_where_it_was_recorded() -> None:
    """It is left at Stripe, which goes on asking for 119.00; the books say paid, and the month tied out."""
    world, _, copy = await billed(BACK)
    pay(world, copy, "150.00", "quickbooks", applications=[{"invoice": copy, "amount": "119.00"}])
    await world.next_sweep()
    (asked,) = held(world)
    assert asked.connection == "stripe"
    await answer(world, asked, "leave")
    await world.settle()
    (other,) = held(world)
    assert (other.connection, other.reason, other.detail["there"]) == ("quickbooks", "balance_differs", "0.00")
    assert not is_tied(closed(world))
