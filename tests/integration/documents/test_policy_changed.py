"""Policy of documents is changed, and Accord is started again: what was only to be made follows the new one."""

from __future__ import annotations

import pytest

from config.file import AccordConfig
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.sync.documents.tie_out import is_tied
from tests.integration.documents.test_closed_books import close, refused_payment
from tests.integration.documents.test_grounds import closed, ground
from tests.integration.documents.test_too_many_copies import careful, many, stopped
from tests.support.acting import all_day, answer, held
from tests.support.paper import SINCE, an_hour_later, at_rest, bill, billing, pay, shown, stripe_to_books
from tests.support.world import World

pytestmark = pytest.mark.anyio


def started_again(world: World, config: AccordConfig) -> None:
    """With another accord.toml."""
    world.config = config
    world.start()


async def test_a_kind_that_policy_copies_no_more_is_not_made_where_it_still_waited() -> None:
    """Whoever had taken payments out of the books' policy found them there all the same."""
    world = await refused_payment()
    assert [one.detail["document"] for one in held(world)] == ["payment"]
    invoices_only = DocumentPolicy(mirrors=("invoice",), since=SINCE)
    started_again(world, stripe_to_books(quickbooks=invoices_only))
    close(world, None)
    await an_hour_later(world)
    assert shown(world, "quickbooks", "payment") == []
    at_rest(world)
    started_again(world, stripe_to_books())
    await an_hour_later(world)
    assert [one["amount"] for one in shown(world, "quickbooks", "payment")] == ["19.00"]
    at_rest(world)


async def test_a_since_that_was_too_early_is_put_right_before_the_books_are_full() -> None:
    """The question about too many of them showed it; after it was put right, all of them were still to be made."""
    world, (first, *_) = await many(6)
    pay(world, first, "19.00")
    late = DocumentPolicy(mirrors=KINDS, since="2026-11-19")
    bill(world, issued_on="2026-11-19")
    assert stopped(world).detail["records"] == 6
    started_again(world, careful(stripe_to_books(quickbooks=late)))
    await an_hour_later(world)
    await world.next_sweep()
    assert held(world) == []
    assert [one["issued_on"] for one in shown(world, "quickbooks")] == ["2026-11-19"]
    at_rest(world)


async def test_a_copy_that_a_person_wants_made_anew_is_made_whatever_policy_wants_by_now() -> None:
    """It was there already, and somebody has said so."""
    world = await billing()
    bill(world)
    await world.next_sweep()
    books = world.lookalikes["quickbooks"]
    (copy,) = books.neutral("invoice")
    books.delete("invoice", copy)
    await world.next_sweep()
    (hold,) = held(world)
    started_again(world, stripe_to_books(quickbooks=DocumentPolicy(mirrors=KINDS, since="2026-11-19")))
    await answer(world, hold, "recreate")
    assert [one["total"] for one in shown(world, "quickbooks")] == ["119.00"]
    at_rest(world)


async def test_a_close_counts_the_copies_that_are_where_policy_copies_no_more() -> None:
    """They stay and follow their documents: one that differed there was in no sum, and the period was tied out."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    (copy,) = world.lookalikes["quickbooks"].neutral("invoice")
    started_again(world, stripe_to_books(quickbooks=DocumentPolicy()))
    await world.settle()
    found = closed(world)
    told = [(one["connection"], one["matched"], one["amount"]) for one in found["sums"]]
    assert (told, is_tied(found)) == ([("quickbooks", 1, "119.00")], True)
    assert ground(world, "quickbooks")["mirrors"] == ()
    bill(world)
    await world.next_sweep()
    assert [one["matched"] for one in closed(world)["sums"]] == [1]

    world.lookalikes["quickbooks"].delete("invoice", copy)
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "uncollectible"})
    await world.next_sweep()
    found = closed(world)
    assert [one["differs"] for one in found["sums"]] == [1]
    assert not is_tied(found)


async def test_a_period_rests_on_no_origin_whose_documents_are_not_taken_any_more() -> None:
    """Nobody listed them since: another invoice of that month would be in no sum, and nothing said so."""
    world = await billing()
    bill(world)
    await world.next_sweep()
    assert is_tied(closed(world))
    started_again(world, stripe_to_books(stripe=DocumentPolicy()))
    bill(world)
    for _ in range(2):
        await all_day(world)
    stripe = ground(world, "stripe")
    assert (stripe["originates"], stripe["is_sound"]) == ((), False)
    assert any("invoices are not taken" in one for one in stripe["problems"])
    assert not is_tied(closed(world))
    assert "stripe" not in [one["connection"] for one in closed(world, "2026-10")["connections"]]

    started_again(world, stripe_to_books())
    await all_day(world)
    assert is_tied(closed(world))
