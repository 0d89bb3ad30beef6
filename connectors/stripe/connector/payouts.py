"""Payouts with what they are made of, read when somebody asks; nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from connectors.stripe.client import StripeApi
from connectors.stripe.connector.pages import objects_in
from connectors.stripe.manifest import MANIFEST
from connectors.stripe.translate.payouts import is_itself, read_movement, read_payout
from connectors.stripe.wire import HeadWire
from connectors.stripe.wire.documents import decode_as
from connectors.stripe.wire.payouts import PayoutWire, TransactionWire
from core.errors import ReplyError
from core.model.payouts import Movement, PaidOut, Payout


class Payouts:
    """The payouts of one connection."""

    def __init__(self, api: StripeApi) -> None:
        """Share the connection's client, and with it its rate limits."""
        self._api = api

    async def payouts(self, limit: int) -> Sequence[Payout]:
        """The newest ones."""
        raws = await self._listed("list_payouts", "/v1/payouts", {}, limit)
        return [read_payout(decode_as(raw, PayoutWire)) for raw in raws]

    async def payout(self, payout_id: str) -> PaidOut:
        """One with its balance transactions; GoneError where there is none."""
        reply = await self._api.read("payout", f"/v1/payouts/{quote(payout_id, safe='')}")
        wire = decode_as(reply.body, PayoutWire)
        payout = read_payout(wire)
        return PaidOut(payout=payout, movements=await self._movements(wire, payout) if payout.is_itemised else ())

    async def _movements(self, wire: PayoutWire, payout: Payout) -> tuple[Movement, ...]:
        params = {"payout": wire.id, "expand": ["data.source"]}
        raws = await self._listed("list_balance_transactions", "/v1/balance_transactions", params, None)
        found = [decode_as(raw, TransactionWire) for raw in raws]
        return tuple(read_movement(one, payout.currency) for one in found if not is_itself(one, wire))

    async def _listed(self, endpoint: str, path: str, params: dict[str, Any], most: int | None) -> list[bytes]:
        found: list[bytes] = []
        asked = {**params, "limit": min(MANIFEST.page_size, most or MANIFEST.page_size)}
        while True:
            raws, page = objects_in((await self._api.read(endpoint, path, asked)).body)
            found += raws
            if not page.has_more or (most is not None and len(found) >= most):
                return found[:most]
            if not raws:
                raise ReplyError("Stripe's list goes on without getting on")
            asked["starting_after"] = decode_as(raws[-1], HeadWire).id
