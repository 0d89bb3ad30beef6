"""What a plan says of documents is what the next run does, and saying so writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from config.file import AccordConfig
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy, FieldFilter, Guard
from core.sandbox.papers import PLACES, Account, Bill, invent, plant_bills
from core.store.database import Tx
from core.store.tables import METADATA
from core.sync.activation import activate
from core.sync.documents.tally import DocumentPlan
from core.sync.plan import Plan, plan
from tests.support.acting import change_only, everybody, held, with_policy
from tests.support.paper import BOOKS, LINE, SINCE, bill, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio

FEW = Guard(document_count=5, clear_count=2, clear_count_small=1)
UNLIKED = {**LINE, "description": "x" * 4001}
"""Longer than QuickBooks takes."""


def careful(guard: Guard = FEW) -> AccordConfig:
    """Stripe's documents go to the books, and invoices to HubSpot; the books get no customers in JPY."""
    config = with_documents(
        {
            "stripe": DocumentPolicy(originates=KINDS),
            "quickbooks": DocumentPolicy(mirrors=KINDS, since=SINCE),
            "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE),
        },
        {"quickbooks": BOOKS},
        {},
    )
    known = FieldFilter(field="currency", values=("USD", "EUR", "KWD"))
    config = with_policy(config, "quickbooks", creates="filter", creates_filter=known)
    return replace(config, policy=msgspec.structs.replace(config.policy, guard=guard))


async def billed(number: int = 60, config: AccordConfig | None = None) -> World:
    """Stripe is active and has so many invoices in four currencies, of every ending; the others only observe."""
    world = World(config=config or careful())
    for currency in sorted(PLACES):
        one = {"name": currency, "email": f"{currency.lower()}@example.test"}
        world.lookalikes["stripe"].edit("customer", None, one)
    await world.activate_all("stripe")
    for one in everybody(world):
        change_only(world, one.external_id, currency=one.fields["name"])
    ids = {one["name"]: name for name, one in world.neutral("stripe").items()}
    accounts = [Account({"stripe": ids[currency]}, currency) for currency in sorted(PLACES)]
    plant_bills([_stripes(one) for one in invent(Random(7), accounts, number)], _edit_in(world))
    usd = ids["USD"]
    for _ in range(2):
        bill(world, "stripe", UNLIKED, customer=usd)
    await world.next_sweep()
    return world


def _stripes(one: Bill) -> Bill:
    values = {name: getattr(one, name) for name in one.__struct_fields__}
    return Bill(**{**values, "system": "stripe"})


def _edit_in(world: World) -> Any:
    def edit(system: str, kind: str, remote_id: str | None, changes: Mapping[str, Any]) -> str:
        return world.lookalikes[system].edit(kind, remote_id, changes)

    return edit


async def planned(world: World, name: str) -> Plan:
    """Today's plan."""
    return await plan(world.hub, world.hub.connections[name])


async def copies_of(world: World, name: str) -> DocumentPlan:
    """What today's plan says of documents."""
    found = (await planned(world, name)).documents
    assert found is not None
    return found


async def activated(world: World, name: str, digest: str = "") -> None:
    """A person names the plan, of today unless told otherwise."""
    await activate(world.hub, world.hub.connections[name], digest or (await planned(world, name)).digest, actor="ann")
    await world.settle()


def told(found: DocumentPlan, outcome: str) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """How many and how much, by kind and currency."""
    sums: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for one in found.sums:
        if one.outcome == outcome:
            number, amount = sums.get((one.kind, one.currency), (0, Decimal(0)))
            sums[one.kind, one.currency] = (number + one.number, amount + Decimal(one.amount))
    return sums


def made(world: World, name: str) -> dict[tuple[str, str], tuple[int, Decimal]]:
    """The same of the copies that a look-alike holds."""
    sums: dict[tuple[str, str], tuple[int, Decimal]] = {}
    for kind in world.hub.connections[name].policy.documents.mirrors:
        for one in shown(world, name, kind):
            number, amount = sums.get((kind, one["currency"]), (0, Decimal(0)))
            sums[kind, one["currency"]] = (
                number + 1,
                amount + Decimal(one["amount" if kind == "payment" else "total"]),
            )
    return sums


def rows(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but for what was seen of customers."""

    def read(tx: Tx) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: sorted(map(repr, tx.rows(sa.select(table))))
            for name, table in METADATA.tables.items()
        }  # fmt: skip

    return world.db.read_now(read)


@pytest.mark.parametrize("name", ["quickbooks", "hubspot"])
async def test_what_the_plan_of_an_activation_announces_is_what_is_made(name: str) -> None:
    """As many, as much, of each kind and currency; what it says is held is held, and what waits waits."""
    world = await billed()
    before, writes = rows(world), world.writes(name)
    found = await copies_of(world, name)
    assert (rows(world), world.writes(name)) == (before, writes), "a plan that had an effect would be no plan"
    assert found.number("create") > 50
    await activated(world, name)
    assert made(world, name) == told(found, "create")
    assert len(held(world)) == found.number("hold")
    after = await copies_of(world, name)
    assert after.number("create", "change", "look", "fail") == 0
    assert [told(after, one) for one in ("hold", "wait")] == [told(found, one) for one in ("hold", "wait")]
