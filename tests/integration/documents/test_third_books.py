"""One payment that two systems record is booked once in the books of a third."""

from __future__ import annotations

import pytest

from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.sandbox.faults import Fault
from tests.integration.sync.test_found_by_simulation import weather
from tests.support.acting import held
from tests.support.crashes import FragileWorld
from tests.support.entities import EU, US, booked, company, two_books
from tests.support.paper import SINCE, an_hour_later, bill, pay, shown

pytestmark = pytest.mark.anyio


async def billed_thrice() -> tuple[FragileWorld, str, str]:
    """Stripe bills; its books, which record payments of their own, and the group's books have copies."""
    config = two_books(
        stripe=DocumentPolicy(originates=KINDS, mirrors=("payment",), since=SINCE),
        quickbooks_us=DocumentPolicy(originates=("payment",), mirrors=KINDS, since=SINCE),
        quickbooks_eu=DocumentPolicy(mirrors=KINDS, since=SINCE),
    )
    world = await company(config, ada="")
    invoice = bill(world)
    await world.next_sweep()
    (copy,) = world.lookalikes[US].neutral("invoice")
    return world, invoice, copy


async def test_a_payment_that_two_systems_record_is_booked_once_in_a_third() -> None:
    """Each held the other's record; the group's books took both, and nobody was asked there."""
    world, invoice, copy = await billed_thrice()
    weather(world, US, Fault(kind="too_many", method="POST", path=r"/payment\?", count=1))
    weather(world, "stripe", Fault(kind="too_many", method="POST", path=r"/v1/payment_records", count=1))
    pay(world, copy, "50.00", US)
    pay(world, invoice, "50.00")
    for _ in range(3):
        await world.next_sweep()
    assert booked(world, "payment") == {US: ["50.00"], EU: ["50.00"]}
    assert [one["due"] for name in ("stripe", US, EU) for one in shown(world, name)] == ["69.00"] * 3


async def test_a_record_that_a_third_has_before_its_twin_is_known_is_the_only_one_there() -> None:
    """The group's books had the bookkeeper's, which Stripe had not yet: Stripe's own was booked beside it."""
    world, invoice, copy = await billed_thrice()
    weather(world, "stripe", Fault(kind="too_many", method="POST", path=r"/v1/payment_records", count=3))
    pay(world, copy, "50.00", US)
    world.clock.time += 61
    for name in (US, EU):
        await world.lanes.run(name)
    assert booked(world, "payment") == {US: ["50.00"], EU: ["50.00"]}
    pay(world, invoice, "50.00")
    for _ in range(3):
        await world.next_sweep()
    assert booked(world, "payment") == {US: ["50.00"], EU: ["50.00"]}
    assert {one.connection for one in held(world)} >= {"stripe", EU}


async def test_one_of_two_records_that_is_voided_leaves_the_other_one_in_all_books() -> None:
    """The bookkeeper's was the one too many."""
    world, invoice, copy = await billed_thrice()
    weather(world, US, Fault(kind="too_many", method="POST", path=r"/payment\?", count=1))
    weather(world, "stripe", Fault(kind="too_many", method="POST", path=r"/v1/payment_records", count=1))
    twin = pay(world, copy, "50.00", US)
    pay(world, invoice, "50.00")
    await world.next_sweep()
    world.lookalikes[US].edit("payment", twin, {"status": "void"})
    await world.next_sweep()
    await an_hour_later(world)
    assert held(world) == []
    assert booked(world, "payment") == {US: ["50.00"], EU: ["50.00"]}
    assert [one["due"] for name in ("stripe", US, EU) for one in shown(world, name)] == ["69.00"] * 3
