"""/v1/connections/{name}/payouts: what was sent to the bank, and what it is made of. Read only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel

from core.api.context import HubIn, Named, needs, new_router
from core.model.scopes import READ
from core.sync.documents.payouts import payout, payouts

router = new_router("payouts", prefix="/v1")


class PayoutShown(BaseModel):
    """One payout; amounts are decimal strings. `is_itemised`: the provider tells what it is made of."""

    id: str
    status: str
    currency: str
    amount: str
    arrives_on: str | None
    is_itemised: bool
    note: str


class PayoutTold(PayoutShown):
    """The same with gross, fees, refunds, disputes, other, net and difference, and each movement with its payments.

    `unknown`: how many payments in it are not in the registry, or not whole. `known` of a movement: how much of a
    payment is, as far as it came in in the payout's currency.
    """

    connection: str
    sums: dict[str, str]
    movements: list[dict[str, Any]]
    unknown: int


class PayoutPage(BaseModel):
    """The newest ones."""

    data: list[PayoutShown]


@router.get("/connections/{name}/payouts", **needs(READ, 404, 409, 502))
async def list_payouts(hub: HubIn, name: str, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> PayoutPage:
    """The newest payouts of a connection."""
    return PayoutPage.model_validate({"data": await payouts(hub.connection(name), limit)})


@router.get("/connections/{name}/payouts/{payout_id}", **needs(READ, 404, 409, 502))
async def get_payout(hub: HubIn, name: str, payout_id: Named) -> PayoutTold:
    """One payout with what it is made of."""
    return PayoutTold.model_validate(await payout(hub, hub.connection(name), payout_id))
