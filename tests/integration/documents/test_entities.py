"""A company of several legal entities: each document is booked once, in the books of the entity that it is of."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.model.documents import KINDS, Application
from core.model.policy import DocumentPolicy
from core.ports import HttpResponse
from core.sandbox.faults import Fault
from core.store import intents
from core.sync.documents.asking import reconcile_all
from core.sync.documents.tie_out import is_tied, tie_out
from tests.integration.documents.test_restore import backed_up, put_back_as_of
from tests.support.acting import all_day, answer, held, waiting
from tests.support.crashes import Crash, FragileWorld, Fuse
from tests.support.entities import ALL_BOOKS, EU, US, belongs, booked, company, copies, customer, two_books
from tests.support.paper import SINCE, at_rest, bill, is_silent, papers, pay

pytestmark = pytest.mark.anyio


def closed(world: FragileWorld) -> dict[str, Any]:
    """November, tied out."""
    found = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))
    sums = {(one["connection"], one["kind"]): one for one in found["sums"]}
    return {
        "is_tied": is_tied(found),
        "differences": found["differences"],
        "left": found["left"],
        **{str(key): sums[key] for key in sums},
    }


def counts(world: FragileWorld, connection: str, kind: str = "invoice") -> dict[str, int]:
    """How November stands at one connection, where anything is to be counted."""
    one = closed(world)[str((connection, kind))]
    return {name: one[name] for name in ("matched", "missing", "differs", "left", "outside", "unrouted") if one[name]}


async def test_each_invoice_is_booked_in_the_books_of_its_entity_and_in_no_others() -> None:
    """And its payment with it; the books of the other entity miss nothing."""
    world = await company(ada="us", ben="eu")
    ours = bill(world, customer=customer(world, "ada"))
    theirs = bill(world, customer=customer(world, "ben"), lines=[{"description": "Seats", "amount": "50.00"}])
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: ["50.00"]}
    pay(world, ours, "119.00", customer=customer(world, "ada"))
    pay(world, theirs, "20.00", customer=customer(world, "ben"))
    await world.next_sweep()
    assert booked(world, "payment") == {US: ["119.00"], EU: ["20.00"]}
    at_rest(world)
    await is_silent(world)
    assert closed(world)["is_tied"]
    assert [counts(world, name) for name in ALL_BOOKS] == [{"matched": 1, "outside": 1}] * 2
    assert [counts(world, name, "payment") for name in ALL_BOOKS] == [{"matched": 1, "outside": 1}] * 2


async def test_an_origin_of_one_entity_says_so_once_for_all_its_documents() -> None:
    """Whatever stands on its customers."""
    world = await company(two_books(stripe=DocumentPolicy(originates=KINDS, entity="eu")), ada="us")
    bill(world)
    await world.next_sweep()
    assert booked(world) == {US: [], EU: ["119.00"]}
    at_rest(world)


@pytest.mark.parametrize(
    ("entity", "problem"),
    [("", "is not set; set it to one of: eu, us"), ("usa", "is 'usa', which no connection lists; set it to one of: ")],
)
async def test_an_invoice_whose_entity_is_not_known_waits_says_why_and_is_booked_when_it_is(
    entity: str, problem: str
) -> None:
    """Never a guess, and never dropped: a period with such a document is not closed."""
    world = await company(ada=entity)
    invoice = bill(world)
    pay(world, invoice, "119.00")
    await world.next_sweep()
    assert booked(world) == {US: [], EU: []}
    for copy in (*copies(world).values(), *copies(world, "payment").values()):
        assert f"metadata.entity of customer stripe:{customer(world, 'ada')} {problem}" in copy["waits"]
    assert set(copies(world)) == set(ALL_BOOKS)
    assert not closed(world)["is_tied"]
    assert [counts(world, name) for name in ALL_BOOKS] == [{"unrouted": 1}] * 2
    belongs(world, "ada", "eu")
    await world.next_sweep()
    assert booked(world) == {US: [], EU: ["119.00"]}
    assert booked(world, "payment") == {US: [], EU: ["119.00"]}
    assert set(copies(world)) == {EU}
    at_rest(world)
    await is_silent(world)
    assert closed(world)["is_tied"]


async def test_what_is_booked_and_is_another_entitys_by_now_is_asked_about_and_stays_booked_once() -> None:
    """Accepted: it stays, is paid there, and is asked about again when it is somebody else's."""
    world = await company(ada="us")
    invoice = bill(world)
    await world.next_sweep()
    belongs(world, "ada", "eu")
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: []}
    (hold,) = held(world)
    assert (hold.connection, hold.reason, hold.detail["entity"]) == (US, "entity_changed", "eu")
    assert counts(world, US) == {"differs": 1}
    await answer(world, hold, "accept")
    at_rest(world)
    pay(world, invoice, "119.00")
    await world.next_sweep()
    assert booked(world, "payment") == {US: ["119.00"], EU: []}
    await is_silent(world)
    at_rest(world)
    assert closed(world)["is_tied"]
    # from now on they are the other's
    bill(world, lines=[{"description": "Seats", "amount": "70.00"}])
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: ["70.00"]}


async def test_a_copy_in_other_books_that_somebody_made_payable_is_payable_no_more() -> None:
    """It waited for a person's word on where it belongs, and could be paid there meanwhile."""
    world = await company(ada="us")
    bill(world)
    await world.next_sweep()
    belongs(world, "ada", "eu")
    await world.next_sweep()
    (hold,) = held(world)
    books = world.lookalikes[US]
    (copy,) = books.neutral("invoice")
    books.edit("invoice", copy, {"extra": {"AllowOnlineCreditCardPayment": True}})
    await world.next_sweep()
    (row,) = books.objects("invoice").values()
    assert row["AllowOnlineCreditCardPayment"] is False
    assert [(one.id, one.digest) for one in held(world)] == [(hold.id, hold.digest)]
    # of what is void nobody is asked to pay anything
    books.edit("invoice", copy, {"extra": {"AllowOnlineCreditCardPayment": True}})
    books.edit("invoice", copy, {"status": "void"})
    await answer(world, hold, "rebook")
    assert booked(world)[EU] == ["119.00"]
    at_rest(world)


async def test_what_is_its_entitys_again_is_asked_about_no_more() -> None:
    """A slip, put right where it was made."""
    world = await company(ada="us")
    bill(world)
    await world.next_sweep()
    belongs(world, "ada", "eu")
    await world.next_sweep()
    assert len(held(world)) == 1
    belongs(world, "ada", "us")
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: []}
    at_rest(world)


async def test_a_booked_invoice_whose_entity_is_blanked_stays_and_is_not_asked_about() -> None:
    """Nothing says that it belongs elsewhere."""
    world = await company(ada="us")
    bill(world)
    await world.next_sweep()
    belongs(world, "ada", None)
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: []}
    at_rest(world)


@pytest.mark.parametrize("way", ["void", "delete"])
async def test_a_copy_that_a_person_took_out_of_the_wrong_books_is_booked_in_the_right_ones(way: str) -> None:
    """Only then: an answer alone books nothing twice."""
    world = await company(ada="us")
    bill(world)
    await world.next_sweep()
    belongs(world, "ada", "eu")
    await world.next_sweep()
    (hold,) = held(world)
    await answer(world, hold, "rebook")
    assert booked(world) == {US: ["119.00"], EU: []}
    (again,) = held(world)
    assert again.id != hold.id
    (copy_id,) = world.lookalikes[US].neutral("invoice")
    if way == "void":
        world.lookalikes[US].edit("invoice", copy_id, {"status": "void"})
    else:
        world.lookalikes[US].delete("invoice", copy_id)
    await answer(world, again, "rebook")
    assert booked(world) == {US: [], EU: ["119.00"]}
    at_rest(world)
    await is_silent(world)
    assert closed(world)["is_tied"]


async def test_a_payment_follows_its_invoice_and_not_its_customers_present_entity() -> None:
    """The invoice of one entity is paid in its books, whoever bills the customer today."""
    world = await company(ada="us")
    invoice = bill(world)
    await world.next_sweep()
    belongs(world, "ada", "eu")
    await world.next_sweep()
    pay(world, invoice, "119.00")
    await world.next_sweep()
    assert booked(world, "payment") == {US: ["119.00"], EU: []}
    assert [one.reason for one in held(world)] == ["entity_changed"]


async def test_a_payment_that_settles_invoices_of_two_entities_is_held_in_the_books_of_both() -> None:
    """Money came in once; who owes whom is a bookkeeper's to say. Each part is named where it is to be booked."""
    world = await company(ada="us")
    first = bill(world)
    await world.next_sweep()
    belongs(world, "ada", "eu")
    await world.next_sweep()
    (hold,) = held(world)
    await answer(world, hold, "accept")
    second = bill(world, lines=[{"description": "Seats", "amount": "50.00"}])
    await world.next_sweep()
    applied = (
        Application(invoice=first, amount=Decimal("100.00")),
        Application(invoice=second, amount=Decimal("19.00")),
    )
    # Stripe itself would say so by two payments
    world.says["payment"] = lambda one: msgspec.structs.replace(one, amount=Decimal("119.00"), applications=applied)
    pay(world, first, "100.00")
    await world.next_sweep()
    assert booked(world, "payment") == {US: [], EU: []}
    questions = {one.connection: one for one in held(world)}
    assert set(questions) == set(ALL_BOOKS)
    assert "here 100.00 USD" in questions[US].detail["problem"]
    assert "here 19.00 USD" in questions[EU].detail["problem"]
    assert not closed(world)["is_tied"]
    for one in questions.values():
        await answer(world, one, "leave")
    at_rest(world)
    assert closed(world)["differences"] == [], "a person booked it by hand, and has said so"
    assert [(one["connection"], one["kind"], one["amount"]) for one in closed(world)["left"]] == [
        (name, "payment", "119.00") for name in sorted(ALL_BOOKS)
    ]


async def test_an_invoice_that_is_not_booked_yet_goes_where_it_belongs_by_now() -> None:
    """Nobody has to be asked about what is nowhere."""
    world = await company(ada="us")
    bill(world)
    world.names = ("stripe",)
    await world.next_sweep()
    assert set(copies(world)) == {US}
    belongs(world, "ada", "eu")
    await world.next_sweep()
    world.names = ("stripe", *ALL_BOOKS)
    await world.settle()
    assert booked(world) == {US: [], EU: ["119.00"]}
    assert set(copies(world)) == {EU}
    at_rest(world)


async def test_books_get_nothing_while_a_write_to_other_books_is_in_doubt() -> None:
    """It arrived, though nobody answered: it is booked there as far as anybody knows."""
    world = await company(ada="us")
    bill(world)
    world.fail_once(US, Fault(kind="lost_answer", method="POST", path="invoice|batch"))
    world.clock.time += world.timing.changes_every + 1
    await world.settle(patience=0)
    assert [one.connection for one in world.db.read_now(intents.all_open)] == [US]
    assert booked(world) == {US: ["119.00"], EU: []}
    belongs(world, "ada", "eu")
    world.names = ("stripe", EU)
    await world.next_sweep()
    await all_day(world)
    assert booked(world) == {US: ["119.00"], EU: []}
    world.names = ("stripe", *ALL_BOOKS)
    await world.settle()
    assert booked(world) == {US: ["119.00"], EU: []}
    assert [(one.connection, one.reason) for one in held(world)] == [(US, "entity_changed")]


async def test_an_invoice_is_booked_once_wherever_a_process_dies_and_its_entity_changes() -> None:
    """In the books that it was begun in, or, where it was not begun, in those where it belongs by now."""
    world = await company(ada="us")
    bill(world)
    world.names = ("stripe",)
    await world.next_sweep()
    world.names = ("stripe", *ALL_BOOKS)
    died: dict[str, int] = {US: 0, EU: 0}
    for number in range(1, 1_000, 3):
        twin = world.copy(Fuse(blows_at=number, is_armed=True))
        try:
            await twin.settle()
            break
        except Crash:
            twin.fuse.is_armed = False
        twin.start()
        belongs(twin, "ada", "eu")
        twin.names = ("stripe", EU)
        await twin.next_sweep()
        twin.names = ("stripe", *ALL_BOOKS)
        await twin.settle(patience=5_000)
        there = booked(twin)
        (name,) = (name for name in ALL_BOOKS if there[name])
        died[name] += 1
        assert there[name] == ["119.00"], number
        assert [one.reason for one in held(twin)] == (["entity_changed"] if name == US else []), number
    assert died[US]
    assert died[EU]


async def test_a_policy_that_names_other_entities_is_noticed_within_the_hour() -> None:
    """Nobody edited a customer: the books were given to another entity."""
    world = await company(ada="us")
    bill(world)
    await world.next_sweep()
    config = two_books(
        quickbooks_us=DocumentPolicy(mirrors=KINDS, since=SINCE, entities=("uk",)),
        quickbooks_eu=DocumentPolicy(mirrors=KINDS, since=SINCE, entities=("eu", "us")),
    )
    world.config = config
    world.start()
    at_rest(world)
    for name in ALL_BOOKS:
        await reconcile_all(world.hub, world.hub.connections[name], "t")
    assert waiting(world)[US] == 1
    await world.settle()
    assert booked(world) == {US: ["119.00"], EU: []}
    assert [(one.connection, one.reason) for one in held(world)] == [(US, "entity_changed")]


async def test_books_without_entities_get_every_document() -> None:
    """As ever, whoever else gets it, and whether or not it is known whose it is."""
    world = await company(two_books(quickbooks_us=DocumentPolicy(mirrors=KINDS, since=SINCE)), ada="eu", ben="")
    bill(world, customer=customer(world, "ada"))
    bill(world, customer=customer(world, "ben"), lines=[{"description": "Seats", "amount": "50.00"}])
    await world.next_sweep()
    assert booked(world) == {US: ["119.00", "50.00"], EU: ["119.00"]}
    assert len(papers(world)) == 2


@pytest.mark.parametrize("fails", [False, True])
async def test_a_database_that_was_put_back_looks_in_all_books_before_it_books_anything(*, fails: bool) -> None:
    """It has forgotten the copy, and whose customer it was then; books that cannot be asked are waited for."""
    world = await company(ada="us")
    backup = backed_up(world)
    bill(world)
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: []}
    await put_back_as_of(world, backup, "eu")
    if fails:
        world.exchanges[US] = lambda _request: HttpResponse(503, {}, b"")
    await world.activate_all(EU)
    assert booked(world) == {US: ["119.00"], EU: []}
    if fails:
        assert "quickbooks-us cannot be asked" in copies(world)[EU]["waits"]
        world.exchanges[US] = world.lookalikes[US].respond
        world.clock.time += 4_000
    await world.activate_all(US)
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: []}
    assert [(one.connection, one.reason) for one in held(world)] == [(US, "entity_changed")]


async def test_a_copy_that_is_found_in_shared_books_after_a_restore_is_looked_for_in_the_others_too() -> None:
    """It had left the other entity's books out: its copy there stood in a month, and nobody was asked."""
    shared = DocumentPolicy(mirrors=KINDS, entities=("us", "eu"), since=SINCE)
    world = await company(two_books(quickbooks_eu=shared), ada="us")
    backup = backed_up(world)
    bill(world)
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: ["119.00"]}
    await put_back_as_of(world, backup, "eu")
    await world.activate_all(EU)
    await world.activate_all(US)
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: ["119.00"]}
    assert [(one.connection, one.reason) for one in held(world)] == [(US, "entity_changed")]


async def test_a_copy_that_is_in_other_books_twice_after_a_restore_is_asked_about() -> None:
    """Somebody had made an invoice of it, number, note and all: the first passed for the copy, unasked."""
    world = await company(ada="us")
    backup = backed_up(world)
    bill(world)
    await world.next_sweep()
    books = world.lookalikes[US]
    (copy,) = books.neutral("invoice")
    line = {"description": "Seats", "amount": "119.00"}
    other = bill(world, US, line, number="BY-HAND-1", customer=next(iter(books.neutral("customer"))))
    raw: Any = books.objects("invoice")
    raw[other] |= {name: raw[copy][name] for name in ("PrivateNote", "DocNumber")}
    await put_back_as_of(world, backup, "eu")
    await world.activate_all(US, EU)
    await world.next_sweep()
    assert booked(world) == {US: ["119.00", "119.00"], EU: []}
    (asked,) = held(world)
    assert (asked.connection, asked.reason, asked.detail["candidates"]) == (EU, "rejected", sorted([copy, other]))
    assert US in str(asked.detail["problem"])
    books.delete("invoice", other)
    await answer(world, asked, "retry")
    await world.next_sweep()
    assert booked(world) == {US: ["119.00"], EU: []}
    assert [(one.connection, one.reason) for one in held(world)] == [(US, "entity_changed")]


async def test_a_payment_whose_invoice_went_to_other_books_is_taken_there_as_a_person_answers() -> None:
    """Both were booked in the wrong books, and are void there now."""
    world = await company(ada="us")
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "119.00")
    await world.next_sweep()
    assert booked(world, "payment") == {US: ["119.00"], EU: []}
    belongs(world, "ada", "eu")
    await world.next_sweep()
    (hold,) = held(world)
    for kind in ("payment", "invoice"):
        (copy_id,) = world.lookalikes[US].neutral(kind)
        world.lookalikes[US].edit(kind, copy_id, {"status": "void"})
    await answer(world, hold, "rebook")
    assert booked(world) == {US: [], EU: ["119.00"]}
    (hold,) = held(world)
    assert (hold.reason, hold.detail["document"]) == ("entity_changed", "payment")
    assert "what it settles is in other books" in hold.detail["problem"]
    assert booked(world, "payment") == {US: [], EU: []}
    await answer(world, hold, "rebook")
    assert booked(world, "payment") == {US: [], EU: ["119.00"]}
    at_rest(world)
    await is_silent(world)
    assert closed(world)["is_tied"]


async def test_a_payment_that_stays_in_books_which_its_invoice_has_left_is_left_alone_there() -> None:
    """There is nothing in them that it could be compared with, and no other books get it."""
    world = await company(ada="us")
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "119.00")
    await world.next_sweep()
    belongs(world, "ada", "eu")
    await world.next_sweep()
    (copy_id,) = world.lookalikes[US].neutral("invoice")
    world.lookalikes[US].edit("invoice", copy_id, {"status": "void"})
    await answer(world, held(world, "entity_changed")[0], "rebook")
    (hold,) = held(world, "entity_changed")
    await answer(world, hold, "accept")
    await world.next_sweep()
    assert copies(world, "payment")[US]["state"] == "excluded"
    assert booked(world) == {US: [], EU: ["119.00"]}
    assert booked(world, "payment") == {US: ["119.00"], EU: []}
    assert counts(world, US, "payment") == {"left": 1}
    assert [(one["connection"], one["kind"], one["amount"], one["by"]) for one in closed(world)["left"]] == [
        (US, "payment", "119.00", "ann")
    ]
    assert closed(world)["is_tied"]
    (payment,) = world.lookalikes["stripe"].neutral("payment")
    world.lookalikes["stripe"].edit("payment", payment, {"refunded": "19.00"})
    await world.next_sweep()
    (refund,) = held(world)
    assert (refund.connection, refund.reason, refund.detail["amount"]) == (US, "by_hand", "19.00")
