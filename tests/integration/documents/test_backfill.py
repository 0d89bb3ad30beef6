"""A mirrored backfill uses what the providers' limits allow: the short form of `tests.benchmarks.document_backfill`."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.sync.notices import mark_objects
from tests.benchmarks.document_backfill import MINUTES, UNHURRIED, Ways, copied
from tests.simulation.virtual import run_virtual


@pytest.mark.parametrize(
    ("origin", "mirror", "number", "way"),
    [
        ("quickbooks", "stripe", 300, 0.05),
        ("stripe", "quickbooks", 328, 0.05),
        # a call for every twenty-eight copies: few of them take no longer than a few answers do
        ("stripe", "hubspot", 800, 0.005),
    ],
)
def test_a_backfill_of_copies_reaches_95_percent_of_what_the_limits_allow_and_is_never_refused(
    origin: str, mirror: str, number: int, way: float
) -> None:
    """In virtual time, and without the echo of the change feed, which in a longer run weighs less."""
    ways = Ways(origin, mirror, way, replace(UNHURRIED, changes_every=2.0 * MINUTES))
    found = run_virtual(copied(ways, number), ways.loop)
    assert found["answers_429"] == 0
    assert 0.95 <= found["share_of_ceiling"] <= 1.0


def test_a_billing_contact_beside_the_company_costs_a_backfill_no_call() -> None:
    """Both ties stand in the request that makes the copy."""
    settings = {"untyped": "company", "billing_contact": "true"}
    ways = Ways("stripe", "hubspot", 0.005, replace(UNHURRIED, changes_every=2.0 * MINUTES), settings)
    found = run_virtual(copied(ways, 800), ways.loop)
    assert found["answers_429"] == 0
    assert 0.95 <= found["share_of_ceiling"] <= 1.0
    copies = ways.lookalikes["hubspot"].objects("invoice").values()
    assert {(len(one["company"]), len(one["contact"])) for one in copies} == {(1, 1)}


@pytest.mark.parametrize(
    ("origin", "mirror", "number", "seconds"),
    [("quickbooks", "stripe", 300, 2.0), ("stripe", "quickbooks", 500, 10.0)],
)
def test_an_edit_of_a_customer_overtakes_a_backfill_of_copies(
    origin: str, mirror: str, number: int, seconds: float
) -> None:
    """Who waits for a limit waits in line: the lane keeps the line short, and begins what is urgent first."""
    ways = Ways(origin, mirror, 0.05)
    waited, rest = run_virtual(edited_meanwhile(ways, number), ways.loop)
    assert waited < seconds, "behind a few requests"
    assert rest > 5.0, "and not at the end of the backfill"


async def edited_meanwhile(ways: Ways, number: int) -> tuple[float, float]:
    """Seconds until a customer's new name is at the mirror, and seconds that the backfill goes on after that."""
    await ways.customers()
    ways.bill(number)
    hub, lanes = await ways.taken()
    backfill = asyncio.ensure_future(lanes.run(ways.mirror))
    await ways.clock.sleep(3.0)
    customer = min(ways.lookalikes[ways.origin].neutral("customer"))
    ways.lookalikes[ways.origin].edit("customer", customer, {"name": "Ada"})
    origin = hub.connections[ways.origin]
    hub.db.run_now(lambda tx: mark_objects(tx, hub, origin, [customer], reason="webhook", trace="t"))
    await lanes.run(ways.origin)
    told = ways.clock.now()
    while "Ada" not in [one["name"] for one in ways.lookalikes[ways.mirror].neutral("customer").values()]:
        await ways.clock.sleep(0.1)
    there = ways.clock.now()
    await backfill
    return there - told, ways.clock.now() - there
