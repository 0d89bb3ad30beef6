"""Payouts over the API: asked of the provider, amounts as decimal strings."""

from __future__ import annotations

import httpx
import pytest

from tests.support.paper import bill, pay
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def test_a_payout_tells_its_sums_and_what_it_is_made_of(world: World, api: httpx.AsyncClient) -> None:
    """Of a payment that the registry does not know, its sum is told all the same."""
    stripe = world.lookalikes["stripe"]
    stripe.edit("customer", None, {"name": "Ada"})
    pay(world, bill(world), "119.00")
    payout = stripe.edit("payout", None, {"currency": "USD"})
    listed = (await api.get("/v1/connections/stripe/payouts", params={"limit": 1})).json()["data"]
    assert [(one["id"], one["amount"], one["currency"]) for one in listed] == [(payout, "115.25", "USD")]
    found = (await api.get(f"/v1/connections/stripe/payouts/{payout}")).json()
    assert (found["sums"]["net"], found["sums"]["difference"], found["unknown"]) == ("115.25", "0.00", 1)
    assert [(one["kind"], one["amount"], one["fee"]) for one in found["movements"]] == [("payment", "119.00", "3.75")]


async def test_what_has_no_payouts_says_so(api: httpx.AsyncClient) -> None:
    """As any wrong request."""
    answers = [await api.get(f"/v1/connections/{name}/payouts") for name in ("quickbooks", "nobody")]
    assert [one.status_code for one in answers] == [422, 404]
    assert (await api.get("/v1/connections/stripe/payouts/po_x")).json()["code"] == "not_found"
