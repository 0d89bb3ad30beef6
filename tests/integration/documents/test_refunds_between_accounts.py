"""A refund at one Stripe account is told at the copy of its payment in another one, as of when it became known."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from config.file import AccordConfig
from core.model.documents import KINDS
from core.model.policy import ConnectionPolicy, DocumentPolicy, Policy
from core.ports import ConnectionConfig
from tests.support.acting import answer, held
from tests.support.paper import SINCE, at_rest, bill, pay, shown
from tests.support.world import OFFERS, World

pytestmark = pytest.mark.anyio

SHOP, GROUP = "stripe-shop", "stripe-group"


async def two_accounts() -> World:
    """One customer, billed in one account, whose documents are copied to the other."""
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
    return world


async def refunded(world: World) -> str:
    """19 of a payment went back, and the copy is told; the payment's id."""
    invoice = bill(world, SHOP)
    await world.next_sweep()
    payment = pay(world, invoice, "119.00", SHOP, received_on="2026-10-20")
    await world.next_sweep()
    assert [one["status"] for one in shown(world, GROUP)] == ["paid"]
    world.lookalikes[SHOP].edit("payment", payment, {"refunded": "19.00"})
    await world.next_sweep()
    return payment


def record_of(world: World) -> dict[str, Any]:
    """The one report of a payment in the account of the copies."""
    group: Any = world.lookalikes[GROUP]
    (record,) = group.ledger.things["payment_record"].values()
    return dict(record)


async def test_a_refund_of_a_month_after_is_not_told_in_the_month_of_its_payment() -> None:
    """That month may be closed by then, here and in whatever is made of the account's books."""
    world = await two_accounts()
    await refunded(world)
    record = record_of(world)
    assert record["amount_refunded"]["value"] == 1900
    (told,) = record["refund_times"]
    assert datetime.fromtimestamp(told, UTC).date() >= date(2026, 11, 18)


async def test_a_refund_that_fails_after_it_was_told_is_noted_by_a_person_and_the_copy_agrees() -> None:
    """Stripe takes no report back: there was nothing to do but to let go of the copy, and to hear no more of it."""
    world = await two_accounts()
    payment = await refunded(world)
    world.lookalikes[SHOP].edit("payment", payment, {"refund_failed": True})
    await world.next_sweep()
    (asked,) = held(world)
    assert (asked.reason, asked.detail["amount"], asked.detail["currency"]) == ("by_hand", "-19.00", "USD")
    await answer(world, asked, "booked")
    at_rest(world)
    world.lookalikes[SHOP].edit("payment", payment, {"refunded": "7.00"})
    await world.next_sweep()
    (again,) = held(world)
    assert again.detail["amount"] == "7.00", "that one is not told of: the note says that nothing went back"
    await answer(world, again, "booked")
    at_rest(world)
    assert record_of(world)["amount_refunded"]["value"] == 1900
