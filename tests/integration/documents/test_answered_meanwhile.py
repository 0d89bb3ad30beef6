"""A person answers while a provider is asked: what was read before that must not undo the answer, or ask again."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

import pytest

from core.ports import HttpRequest, HttpResponse
from core.store import holds, intents, mappings
from core.store.database import Database
from core.store.holds import Hold
from core.sync import answers
from core.sync.documents.asking import look_again
from core.sync.restoring import begin_observing
from tests.integration.documents.test_balances import BOOKS, billed, only_hold
from tests.integration.documents.test_closed_books import close, refused_payment
from tests.support.acting import everybody, held
from tests.support.crashes import copy_sqlite
from tests.support.paper import an_hour_later, at_rest, bill, billing, papers, pay, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio


def meanwhile(world: World, name: str, asked_for: str, act: Callable[[], object], named: str = "") -> None:
    """This happens once, while a system is asked for something: before its answer is there."""
    plain, acts = world.exchanges[name], [act]

    def exchange(request: HttpRequest) -> HttpResponse:
        response = plain(request)
        if asked_for in request.url and named in unquote(request.url) and acts:
            acts.pop()()
        return response

    world.exchanges[name] = exchange


async def found_out(world: World) -> None:
    """Whatever went unanswered within the next hour is looked into."""
    await an_hour_later(world)
    for _ in range(3):
        world.clock.time += 3_700
        await world.settle()


def says(world: World, hold: Hold, choice: str) -> Callable[[], object]:
    """What a person answers; the lanes have not looked at it yet."""
    return lambda: world.db.run_now(
        lambda tx: answers.answer(tx, world.hub, hold.id, choice, actor="ann", digest=hold.digest)
    )


def states(world: World, name: str) -> list[str]:
    """How the mappings of the invoices at a connection stand."""
    return [one.state for one in world.db.read_now(lambda tx: mappings.page(tx, name, "", 10, "invoice"))]


async def test_a_copy_that_is_let_go_of_while_it_is_found_to_be_gone_is_not_asked_about_again() -> None:
    """Its row was put back as it had been read: whoever had left it was asked anew, and could have made it again."""
    world, _, copy = await billed()
    pay(world, copy, "50.00", BOOKS)
    await world.next_sweep()
    hold = only_hold(world)
    world.lookalikes[BOOKS].delete("invoice", copy)
    meanwhile(world, BOOKS, f"/invoice/{copy}", says(world, hold, "leave"))
    await world.next_sweep()
    assert held(world) == []
    assert states(world, BOOKS) == ["excluded"]


async def test_an_invoice_that_counts_as_void_while_it_is_looked_for_is_not_asked_about_again() -> None:
    """`accept` had been said; a question about a void invoice stood there for ever."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    line = {"description": "Seats", "product": "1", "quantity": "1", "unit_amount": "50.00"}
    invoice = bill(world, BOOKS, line, number="QB-1")
    await world.next_sweep()
    world.lookalikes[BOOKS].delete("invoice", invoice)
    await world.next_sweep()
    (hold,), (ada,) = held(world), everybody(world)
    books = world.hub.connections[BOOKS]
    await look_again(world.hub, books, ["invoice"], [ada.external_id], "t")
    meanwhile(world, BOOKS, f"/invoice/{invoice}", says(world, hold, "accept"))
    await world.settle()
    assert [one.document.status for one in papers(world)] == ["void"]
    assert held(world) == []
    assert states(world, BOOKS) == ["excluded"]


async def test_a_forgotten_copy_that_is_let_go_of_while_it_is_looked_for_stays_let_go() -> None:
    """After a restore it was tied again, as if nobody had said anything: voids and payments would have gone there."""
    world = await billing()
    close(world, "2026-11-30")
    bill(world)
    await world.next_sweep()
    backup = Database("sqlite://", is_direct=True)
    copy_sqlite(world.db, backup)
    close(world, None)
    await an_hour_later(world)
    assert len(shown(world, BOOKS)) == 1
    copy_sqlite(backup, world.db)
    world.db.run_now(lambda tx: begin_observing(tx, world.hub))
    world.start()
    (hold,) = held(world)
    meanwhile(world, BOOKS, "query?", says(world, hold, "leave"), named="Invoice")
    await world.activate_all()
    await an_hour_later(world)
    answered = world.db.read_now(lambda tx: holds.get(tx, hold.id))
    assert answered is not None
    assert answered.answer == "leave"
    assert states(world, BOOKS) == ["excluded"]
    assert held(world) == []


@pytest.mark.parametrize("is_made", [False, True])
async def test_what_became_of_a_create_is_found_out_although_its_copy_was_let_go_of(*, is_made: bool) -> None:
    """It stayed in doubt for ever, and what it had made was nobody's; sent again, it would be made after all."""
    world = await billing()
    close(world, "2026-11-30")
    bill(world)
    await world.next_sweep()
    (hold,) = held(world)
    close(world, None)
    plain = world.exchanges[BOOKS]

    def unanswered(request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and "/invoice" in request.url:
            world.exchanges[BOOKS] = plain
            says(world, hold, "leave")()
            if is_made:
                plain(request)
            raise TimeoutError
        return plain(request)

    world.exchanges[BOOKS] = unanswered
    await found_out(world)
    (row,) = world.db.read_now(lambda tx: mappings.page(tx, BOOKS, "", 10, "invoice"))
    made = list(world.lookalikes[BOOKS].neutral("invoice"))
    assert (row.state, [row.remote_id] if row.remote_id else []) == ("excluded", made)
    assert len(made) == is_made
    at_rest(world)


async def test_a_create_of_which_there_are_two_is_in_doubt_no_longer_once_its_copy_was_let_go_of() -> None:
    """Which of them is the copy is asked of nobody; with its write in doubt, it was looked for after every start."""
    world = await refused_payment()
    (hold,) = held(world)
    close(world, None)
    plain, books = world.exchanges[BOOKS], world.lookalikes[BOOKS]

    def unanswered(request: HttpRequest) -> HttpResponse:
        if request.method == "POST" and "/payment" in request.url:
            world.exchanges[BOOKS] = plain
            says(world, hold, "leave")()
            plain(request)
            (first,) = books.objects("payment").values()
            (customer,) = world.neutral(BOOKS)
            twin = {"customer": customer, "currency": "USD", "amount": "19.00", "received_on": "2026-11-20"}
            books.edit("payment", None, {**twin, "extra": {"PrivateNote": first["PrivateNote"]}})
            raise TimeoutError
        return plain(request)

    world.exchanges[BOOKS] = unanswered
    await found_out(world)
    assert len(books.neutral("payment")) == 2
    assert [one for one in held(world) if one.detail.get("candidates")] == []
    assert world.db.read_now(lambda tx: intents.all_open(tx, BOOKS)) == []
