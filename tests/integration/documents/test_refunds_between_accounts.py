"""A refund at one Stripe account is told at the copy of its payment in another one, as of when it became known."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from config.file import AccordConfig
from core.model.documents import KINDS
from core.model.policy import ConnectionPolicy, DocumentPolicy, Policy
from core.ports import ConnectionConfig
from tests.support.paper import SINCE, bill, pay, shown
from tests.support.world import OFFERS, World

pytestmark = pytest.mark.anyio

SHOP, GROUP = "stripe-shop", "stripe-group"


async def test_a_refund_of_a_month_after_is_not_told_in_the_month_of_its_payment() -> None:
    """That month may be closed by then, here and in whatever is made of the account's books."""
    documents = {
        SHOP: DocumentPolicy(originates=KINDS),
        GROUP: DocumentPolicy(mirrors=KINDS, since=SINCE),
    }
    config = AccordConfig(
        connections={
            name: ConnectionConfig(
                name=name,
                provider="stripe",
                settings={**OFFERS["stripe"].settings(f"http://{name}.test"), "mirror_open_invoices": "yes"},
            )
            for name in documents
        },
        policy=Policy(
            connections={
                name: ConnectionPolicy(
                    name=name, provider="stripe", enters="all", creates="all", match_email=True, documents=told
                )
                for name, told in documents.items()
            }
        ),
    )
    world = World(names=(SHOP, GROUP), providers=dict.fromkeys(documents, "stripe"), config=config)
    world.lookalikes[SHOP].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    invoice = bill(world, SHOP)
    await world.next_sweep()
    payment = pay(world, invoice, "119.00", SHOP, received_on="2026-10-20")
    await world.next_sweep()
    assert [one["status"] for one in shown(world, GROUP)] == ["paid"]
    world.lookalikes[SHOP].edit("payment", payment, {"refunded": "19.00"})
    await world.next_sweep()
    group: Any = world.lookalikes[GROUP]
    (record,) = group.ledger.things["payment_record"].values()
    assert record["amount_refunded"]["value"] == 1900
    (told,) = record["refund_times"]
    assert datetime.fromtimestamp(told, UTC).date() >= date(2026, 11, 18)
