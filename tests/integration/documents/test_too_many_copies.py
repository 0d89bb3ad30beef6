"""Too many copies at once wait for a person: books have no undo."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from config.file import AccordConfig
from core.model import holds
from core.model.policy import DocumentPolicy, Guard
from core.store.holds import Hold
from core.sync.documents.asking import look_again
from core.sync.documents.guarding import too_many
from tests.support.acting import all_day, answer, enter, failing, held
from tests.support.paper import SINCE, bill, billing, papers, pay, shown, stripe_to_books
from tests.support.world import World

pytestmark = pytest.mark.anyio

FEW = Guard(document_count=5, clear_count=2, clear_count_small=1)


def careful(config: AccordConfig | None = None, guard: Guard = FEW) -> AccordConfig:
    """Stripe's documents are copied to the books, a few at a time."""
    config = config or stripe_to_books()
    return replace(config, policy=msgspec.structs.replace(config.policy, guard=guard))


def stopped(world: World) -> Hold:
    """The one question there is."""
    (hold,) = held(world)
    assert hold.reason == holds.MASS_CHANGE
    return hold


async def many(number: int, config: AccordConfig | None = None) -> tuple[World, list[str]]:
    """So many invoices of one customer, looked at."""
    world = await billing(config or careful())
    ids = [bill(world) for _ in range(number)]
    await world.next_sweep()
    return world, ids


async def test_a_few_copies_ask_nobody() -> None:
    """The budget is for what is made by mistake."""
    world, _ = await many(5)
    assert len(shown(world, "quickbooks")) == 5
    assert held(world) == []


async def test_too_many_copies_wait_and_the_question_says_how_much_money_it_is() -> None:
    """None is made before the answer, however often it is looked at."""
    world, _ = await many(6)
    assert shown(world, "quickbooks") == []
    assert len(papers(world)) == 6
    hold = stopped(world)
    assert hold.detail["problem"] == "6 documents made where 0 are"
    assert (hold.detail["records"], hold.detail["amounts"]) == (6, {"invoice USD": "714.00"})
    await world.next_sweep()
    await all_day(world)
    assert shown(world, "quickbooks") == []
    assert stopped(world).detail["amounts"] == {"invoice USD": "714.00"}


async def test_exactly_what_was_approved_is_made() -> None:
    """And is not counted again; the next too many ask anew."""
    world, _ = await many(8)
    await answer(world, stopped(world), "approve")
    assert len(shown(world, "quickbooks")) == 8
    assert held(world) == []
    for _ in range(6):
        bill(world)
    await world.next_sweep()
    assert len(shown(world, "quickbooks")) == 8
    assert stopped(world).detail["records"] == 6
    await answer(world, stopped(world), "approve")
    assert len(shown(world, "quickbooks")) == 14
    assert failing(world) == []


async def test_one_at_a_time_is_too_many_in_the_end() -> None:
    """Within the window; those that were made before stay."""
    world = await billing(careful())
    for _ in range(7):
        bill(world)
        world.clock.time += 120
        await world.settle()
    await world.next_sweep()
    assert len(shown(world, "quickbooks")) == 5
    assert stopped(world).detail["records"] == 2
    world.clock.time += 2 * 3600
    bill(world)
    await world.next_sweep()
    assert len(shown(world, "quickbooks")) == 6, "another hour has another budget"


async def test_what_is_rejected_is_never_made_and_its_payment_waits() -> None:
    """Until the document is another one: that is asked about, or made, anew."""
    world, ids = await many(6)
    await answer(world, stopped(world), "reject")
    await all_day(world)
    pay(world, ids[0], "19.00")
    await world.next_sweep()
    await all_day(world)
    assert shown(world, "quickbooks") == []
    assert shown(world, "quickbooks", "payment") == []
    assert held(world) == []


async def test_a_payment_between_question_and_answer_spoils_no_approval() -> None:
    """The document is still the one that was shown."""
    world, ids = await many(6)
    hold = stopped(world)
    pay(world, ids[0], "119.00")
    await answer(world, hold, "approve")
    await world.next_sweep()
    assert sorted(one["status"] for one in shown(world, "quickbooks")) == ["open"] * 5 + ["paid"]
    assert held(world) == []


async def test_nobody_is_asked_about_copies_that_are_not_wanted_any_more() -> None:
    """They were voided meanwhile: the question stood there, and its answer did nothing."""
    world, ids = await many(6)
    for one in ids:
        world.lookalikes["stripe"].edit("invoice", one, {"status": "void"})
    await world.next_sweep()
    assert held(world) == []
    for _ in range(6):
        bill(world)
    await world.next_sweep()
    assert (stopped(world).detail["records"], stopped(world).detail["amounts"]) == (6, {"invoice USD": "714.00"})


async def test_the_question_tells_of_those_copies_alone_that_still_wait_for_its_answer() -> None:
    """Of what is void by now it told the money still, and added to it whatever came later."""
    world, ids = await many(6)
    before = stopped(world)
    for one in ids[:2]:
        world.lookalikes["stripe"].edit("invoice", one, {"status": "void"})
    await world.next_sweep()
    hold = stopped(world)
    assert (hold.id, hold.detail["records"], hold.detail["amounts"]) == (before.id, 4, {"invoice USD": "476.00"})
    assert len(hold.detail["subjects"]) == 4
    for _ in range(6):
        bill(world, lines=[{"description": "Seats", "amount": "4.00"}])
    await world.next_sweep()
    hold = stopped(world)
    assert (hold.detail["records"], hold.detail["amounts"]) == (10, {"invoice USD": "500.00"})
    await answer(world, hold, "approve")
    assert len(shown(world, "quickbooks")) == 10
    assert held(world) == []


async def test_copies_that_are_asked_about_a_second_time_are_told_with_their_money() -> None:
    """They were being looked at when the answer came, which was not theirs then."""
    world, _ = await many(6)
    hold, books = stopped(world), world.hub.connections["quickbooks"]
    await look_again(world.hub, books, ["invoice"], [], "t")
    await answer(world, hold, "approve")
    again = stopped(world)
    assert (again.detail["records"], again.detail["amounts"]) == (6, {"invoice USD": "714.00"})
    await answer(world, again, "approve")
    assert len(shown(world, "quickbooks")) == 6


async def test_too_many_voids_wait_too() -> None:
    """A script that voids the wrong invoices takes the copies along only when a person says so."""
    world, ids = await many(5)
    for one in ids[:3]:
        world.lookalikes["stripe"].edit("invoice", one, {"status": "void"})
    await world.next_sweep()
    assert [one["status"] for one in shown(world, "quickbooks")] == ["open"] * 5
    assert stopped(world).detail["problem"] == "3 documents voided of 5"
    await answer(world, stopped(world), "approve")
    assert sorted(one["status"] for one in shown(world, "quickbooks")) == ["open"] * 2 + ["void"] * 3
    assert held(world) == []


async def test_hubspots_copies_are_counted_when_they_are_voided() -> None:
    """There a void is an update of the status."""
    policies = {"hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE), "quickbooks": DocumentPolicy()}
    world, ids = await many(5, careful(stripe_to_books(**policies)))
    for one in ids[:3]:
        world.lookalikes["stripe"].edit("invoice", one, {"status": "void"})
    await world.next_sweep()
    assert [one["status"] for one in shown(world, "hubspot")] == ["open"] * 5
    await answer(world, stopped(world), "approve")
    assert sorted(one["status"] for one in shown(world, "hubspot")) == ["open"] * 2 + ["void"] * 3


async def test_copies_do_not_spend_the_budget_of_customers() -> None:
    """Nor does a customer wait because invoices do."""
    world, _ = await many(6, careful(guard=Guard(document_count=6, overwrite_count=6)))
    assert len(shown(world, "quickbooks")) == 6
    for number in range(3):
        await enter(world, f"c-{number}", name=f"Person {number}", email=f"p{number}@example.test")
    await world.next_sweep()
    assert len(world.neutral("quickbooks")) == 4
    assert held(world) == []


@pytest.mark.parametrize(
    ("action", "times", "total", "told"),
    [
        ("create", 200, 0, ""),
        ("create", 201, 0, "201 documents made where 0 are"),
        ("create", 300, 1500, ""),
        ("create", 301, 1500, "301 documents made where 1500 are"),
        ("void", 20, 100, ""),
        ("void", 21, 100, "21 documents voided of 100"),
        ("void", 3, 4, ""),
        ("void", 4, 7, "4 documents voided of 7"),
        ("void", 4, 8, ""),
        ("void", 50, 1000, ""),
        ("void", 51, 1000, "51 documents voided of 1000"),
    ],
)
def test_the_thresholds(action: str, times: int, total: int, told: str) -> None:
    """Count and share must both be exceeded; of few, half."""
    assert too_many(Guard(), action, times, total) == told
