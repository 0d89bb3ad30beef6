"""Nothing is dated inside a closed period: it is told before anything is sent, by a plan as by a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.ports import HttpRequest, HttpResponse
from core.sync.documents.planning import plan_documents
from tests.support.acting import answer, held
from tests.support.paper import LINE, an_hour_later, at_rest, bill, billing, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio

BOTH = pytest.mark.parametrize("only_warns", [False, True], ids=["refuses", "only warns"])


def close(world: World, through: str | None, *, only_warns: bool = False) -> None:
    """Somebody closes the books, or opens them; what was known of it is old by the time Accord looks."""
    books = world.lookalikes["quickbooks"]
    books.settings = replace(books.settings, books_closed_through=through, closing_only_warns=only_warns)
    world.clock.time += 301.0


async def refused_payment() -> World:
    """An invoice is in the books, which were closed before a part of it was paid: a person is asked about that."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    close(world, "2026-11-30")
    pay(world, invoice, "19.00")
    await world.next_sweep()
    return world


def asked(world: World) -> list[str]:
    """Which requests arrive at QuickBooks from now on."""
    lines: list[str] = []
    answering = world.exchanges["quickbooks"]

    def noting(request: HttpRequest) -> HttpResponse:
        lines.append(f"{request.method} {request.url.partition('?')[0].rpartition('/')[2]}")
        return answering(request)

    world.exchanges["quickbooks"] = noting
    return lines


@BOTH
async def test_what_is_dated_in_a_closed_period_is_held_and_nothing_is_sent(*, only_warns: bool) -> None:
    """A company that only warns would have taken each of them, into a period whose tax is declared."""
    world = await billing()
    close(world, "2026-11-30", only_warns=only_warns)
    for _ in range(30):
        bill(world)
    lines = asked(world)

    await world.next_sweep()

    assert [one.detail["problem"] for one in held(world)] == ["books closed through 2026-11-30"] * 30
    assert shown(world, "quickbooks") == []
    assert not any(line.startswith("POST") for line in lines)
    assert lines.count("GET preferences") == 1
    close(world, None)
    await an_hour_later(world)
    assert len(shown(world, "quickbooks")) == 30
    at_rest(world)


@BOTH
async def test_payments_credits_and_voids_of_a_closed_period_are_held_too(*, only_warns: bool) -> None:
    """What was booked before the books were closed stays as it was declared."""
    world = await billing()
    void, paid, credited = bill(world), bill(world), bill(world)
    await world.next_sweep()
    close(world, "2026-12-31", only_warns=only_warns)
    before = [(one["status"], one["due"]) for one in shown(world, "quickbooks")]
    written = world.writes("quickbooks")

    world.lookalikes["stripe"].edit("invoice", void, {"status": "void"})
    pay(world, paid, "119.00")
    (customer,) = world.neutral("stripe")
    credit = {"description": "Sorry", "quantity": "1", "amount": "10.00"}
    note = {"customer": customer, "currency": "USD", "invoice": credited, "lines": [credit]}
    world.lookalikes["stripe"].edit("credit_note", None, note)
    await world.next_sweep()

    told = {(one.detail["document"], one.detail["problem"]) for one in held(world)}
    assert told == {(kind, "books closed through 2026-12-31") for kind in ("invoice", "payment", "credit_note")}
    assert [(one["status"], one["due"]) for one in shown(world, "quickbooks")] == before
    assert world.writes("quickbooks") == written


async def test_what_is_dated_after_the_closing_date_is_booked() -> None:
    """A payment of today, of an invoice that was declared long ago."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    close(world, "2026-11-18")
    pay(world, invoice, "119.00", received_on="2026-11-19")

    await world.next_sweep()

    assert [one["due"] for one in shown(world, "quickbooks")] == ["0.00"]
    at_rest(world)


@BOTH
async def test_a_plan_tells_of_closed_books_what_a_run_finds(*, only_warns: bool) -> None:
    """It announced copies, of which none could be made."""
    world = await billing()
    for _ in range(3):
        bill(world, lines=[LINE])
    world.names = ("stripe",)
    await world.next_sweep()
    close(world, "2026-11-30", only_warns=only_warns)

    found, creates = await plan_documents(world.hub, world.hub.connections["quickbooks"], {})

    assert creates == {}
    assert {(one.outcome, one.reason, one.number) for one in found.sums} == {("hold", "rejected: issued_on", 3)}
    assert found.not_read == ""
    world.names = ("stripe", "hubspot", "quickbooks")
    await world.settle()
    assert len(held(world)) == 3


async def test_who_opens_the_books_and_answers_need_not_wait() -> None:
    """That they are closed was read a minute ago, and is kept for minutes; a refusal is told on fresh word."""
    world = await billing()
    close(world, "2026-11-30")
    bill(world)
    await world.next_sweep()
    (hold,) = held(world)
    books = world.lookalikes["quickbooks"]
    books.settings = replace(books.settings, books_closed_through=None)
    world.clock.time += 60

    await answer(world, hold, "retry")
    await world.settle()

    assert len(shown(world, "quickbooks")) == 1
    at_rest(world)


async def test_where_the_closing_date_cannot_be_read_nothing_is_booked_until_it_is() -> None:
    """Could not read is not open."""
    world = await billing()
    bill(world)
    answering = world.exchanges["quickbooks"]
    world.exchanges["quickbooks"] = lambda one: (
        HttpResponse(503, {}, b"") if "/preferences" in one.url else answering(one)
    )
    world.clock.time += 301.0
    await world.next_sweep()
    assert shown(world, "quickbooks") == []
    (plan, _) = await plan_documents(world.hub, world.hub.connections["quickbooks"], {})
    assert plan.not_read != ""

    world.exchanges["quickbooks"] = answering
    world.clock.time += 3700.0
    await world.settle()

    assert len(shown(world, "quickbooks")) == 1
    at_rest(world)


async def test_the_closing_date_is_kept_for_minutes_not_read_for_each_document() -> None:
    """Reads of a company are metered by the month."""
    world = await billing()
    world.clock.time += 301.0
    lines = asked(world)
    started = world.clock.now()
    while world.clock.now() < started + 200:
        bill(world)
        await world.next_sweep()
    assert len(shown(world, "quickbooks")) > 2
    assert lines.count("GET preferences") == 1
