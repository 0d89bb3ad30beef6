"""An invoice that is made in one system appears in the registry and in the others, to the minor unit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from core.errors import InvalidInputError
from core.model.documents import KINDS, Invoice
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse, Sighting
from core.store import customers, mappings, work
from core.store.mappings import MappingRow
from core.store.tables import DIRTY
from core.sync.documents.marking import subject_of
from core.sync.documents.reconcile import reconcile_documents
from core.sync.documents.taking import Read, take, understood
from core.sync.documents.telling import listed
from core.sync.documents.tie_out import tie_out
from tests.support.acting import answer, held, with_settings
from tests.support.paper import (
    BOOKS,
    LINE,
    SINCE,
    an_hour_later,
    at_rest,
    bill,
    billing,
    documents_of,
    is_silent,
    papers,
    pay,
    shown,
    stripe_to_books,
    with_documents,
)
from tests.support.world import World

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("zone", "day", "period"), [("America/New_York", "2026-11-30", "2026-11"), ("UTC", "2026-12-01", "2026-12")]
)
async def test_a_bill_of_the_evening_is_booked_and_closed_on_the_day_of_its_books(
    zone: str, day: str, period: str
) -> None:
    """Half past eight on 30 November in New York is December in UTC."""
    evening = int(datetime(2026, 12, 1, 1, 30, tzinfo=UTC).timestamp())
    world = await billing(with_settings(stripe_to_books(), "stripe", time_zone=zone))
    customer = next(iter(world.neutral("stripe")))
    bill_of = {"customer": customer, "currency": "USD", "lines": [LINE], "extra": {"effective_at": evening}}
    world.lookalikes["stripe"].edit("invoice", None, {**bill_of, "status": "open"})
    await world.next_sweep()
    world.clock.time += 30 * 86_400
    await world.settle()

    (row,) = world.lookalikes["quickbooks"].objects("invoice").values()
    assert row["TxnDate"] == day
    for month in ("2026-11", "2026-12"):
        told = world.db.read_now(partial(tie_out, hub=world.hub, period=month))
        counted = sum(one["matched"] for one in told["sums"] if one["kind"] == "invoice")
        assert counted == (month == period), month


async def test_an_invoice_of_stripe_appears_in_the_books_with_its_number_tax_and_total() -> None:
    """And in the registry."""
    world = await billing()
    bill(world)
    await world.next_sweep()
    (there,) = shown(world, "quickbooks")
    (origin,) = shown(world, "stripe")
    for field in ("number", "currency", "total", "tax", "due", "status"):
        assert there[field] == origin[field], field
    assert there["total"] == "119.00"
    assert [str(one.total) for one in documents_of(world, Invoice)] == ["119.00"]
    at_rest(world)
    await is_silent(world)


@pytest.mark.parametrize("words", ["Rounding of tax", "Discount on the line above"])
async def test_a_line_may_be_called_anything(words: str) -> None:
    """One called as we call ours was taken for ours: its copy was held for a tax that it had not, or was unreadable."""
    world = await billing()
    bill(world, "stripe", LINE, {**LINE, "description": words, "tax": "0"}, issued_on="2026-11-18")
    bill(world, "stripe", {**LINE, "description": words, "tax": "0"}, issued_on="2026-11-19")
    await world.next_sweep()
    assert sorted(len(one["lines"]) for one in shown(world, "quickbooks")) == [1, 2]
    assert sorted(one["total"] for one in shown(world, "quickbooks")) == ["100.00", "219.00"]
    at_rest(world)


async def test_a_payment_settles_the_copy_and_nothing_is_written_again() -> None:
    """By a payment of its own in the books."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    pay(world, invoice, "119.00")
    await world.next_sweep()
    (there,) = shown(world, "quickbooks")
    assert (there["status"], there["due"]) == ("paid", "0.00")
    (payment,) = shown(world, "quickbooks", "payment")
    assert payment["amount"] == "119.00"
    at_rest(world)
    await is_silent(world)


async def test_a_part_payment_leaves_the_rest_due() -> None:
    """Marking the whole invoice paid would lose the rest."""
    world = await billing()
    invoice = bill(world)
    pay(world, invoice, "19.00")
    await world.next_sweep()
    (there,) = shown(world, "quickbooks")
    assert (there["status"], there["due"]) == ("open", "100.00")
    pay(world, invoice, "100.00")
    await world.next_sweep()
    (there,) = shown(world, "quickbooks")
    assert (there["status"], there["due"]) == ("paid", "0.00")
    assert sorted(one["amount"] for one in shown(world, "quickbooks", "payment")) == ["100.00", "19.00"]
    at_rest(world)


async def test_a_draft_is_known_and_copied_only_when_it_is_final() -> None:
    """However often it was changed before."""
    world = await billing()
    invoice = bill(world, status="draft")
    await world.next_sweep()
    (paper,) = papers(world)
    assert paper.document.status == "draft"
    assert shown(world, "quickbooks") == []
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "open"})
    await world.next_sweep()
    (there,) = shown(world, "quickbooks")
    assert (there["status"], there["total"]) == ("open", "119.00")
    at_rest(world)


async def test_a_deleted_draft_leaves_nothing_behind() -> None:
    """Nobody is asked about it."""
    world = await billing()
    invoice = bill(world, status="draft")
    await world.next_sweep()
    world.lookalikes["stripe"].delete("invoice", invoice)
    await world.next_sweep()
    assert papers(world) == []
    at_rest(world)


async def test_a_draft_that_was_gone_and_is_told_of_again_stops_nobody() -> None:
    """A page of a list may be older than the deletion; the documents beside it are taken all the same."""
    world = await billing()
    draft = bill(world, status="draft")
    await world.next_sweep()
    connection = world.hub.connections["stripe"]
    seen = (await connection.connector.read("invoice", [draft]))[draft]
    assert isinstance(seen, Sighting)
    world.lookalikes["stripe"].delete("invoice", draft)
    await world.next_sweep()
    assert papers(world) == []
    stale = Read(seen, understood(connection, "invoice", seen), "late")
    world.db.run_now(lambda tx: take(tx, world.hub, connection, "invoice", [stale]))
    assert [one.document.status for one in papers(world)] == ["draft"]
    await world.next_sweep()
    assert papers(world) == []
    assert shown(world, "quickbooks") == []


async def test_a_void_invoice_is_voided_in_the_books_and_never_deleted() -> None:
    """One that was void before it was copied is not copied."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    other = bill(world)
    world.lookalikes["stripe"].edit("invoice", other, {"status": "void"})
    await world.next_sweep()
    (there,) = shown(world, "quickbooks")
    assert there["status"] == "void"
    at_rest(world)
    await is_silent(world)


async def test_a_credit_note_settles_the_copy() -> None:
    """By a credit memo that is applied to it."""
    world = await billing()
    invoice = bill(world)
    (customer,) = world.neutral("stripe")
    credit = {"description": "Credit", "amount": "50.00", "quantity": "1"}
    world.lookalikes["stripe"].edit(
        "credit_note", None, {"customer": customer, "currency": "USD", "invoice": invoice, "lines": [credit]}
    )
    await world.next_sweep()
    (there,) = shown(world, "quickbooks")
    (note,) = shown(world, "quickbooks", "credit_note")
    assert (there["due"], note["total"]) == ("69.00", "50.00")
    at_rest(world)
    await is_silent(world)


async def test_a_line_that_policy_maps_to_no_item_holds_the_invoice_and_names_the_line() -> None:
    """Leaving it out would make the copy too small."""
    books = {"deposit_account": "35", "default_item": ""}
    world = await billing(
        with_documents(
            {"stripe": DocumentPolicy(originates=KINDS), "quickbooks": DocumentPolicy(mirrors=KINDS, since=SINCE)},
            {"quickbooks": books},
            {},
        )
    )
    bill(world)
    await world.next_sweep()
    assert shown(world, "quickbooks") == []
    (hold,) = held(world)
    assert hold.reason == "rejected"
    assert "no product" in hold.detail["problem"]
    assert hold.detail["field"].startswith("line ")
    world.config = stripe_to_books()
    world.start()
    await answer(world, hold, "retry")
    (there,) = shown(world, "quickbooks")
    assert there["total"] == "119.00"
    at_rest(world)


async def test_an_amount_that_a_bookkeeper_changed_is_asked_about_and_not_overwritten() -> None:
    """The registry cannot know whose error it is."""
    world = await billing()
    bill(world)
    await world.next_sweep()
    (copy_id,) = world.lookalikes["quickbooks"].neutral("invoice")
    lines = [{"description": "Seats", "quantity": "1", "amount": "70.00", "product": "1"}]
    world.lookalikes["quickbooks"].edit("invoice", copy_id, {"lines": lines})
    before = world.writes("quickbooks")
    await world.next_sweep()
    (hold,) = held(world)
    assert hold.detail["field"] in ("total", "tax")
    assert world.writes("quickbooks") == before
    (there,) = shown(world, "quickbooks")
    assert there["total"] != "119.00"


async def test_a_copy_that_somebody_deleted_is_asked_about_and_made_again_on_request() -> None:
    """Not by itself: a person had a reason."""
    world = await billing()
    bill(world)
    await world.next_sweep()
    (copy_id,) = world.lookalikes["quickbooks"].neutral("invoice")
    world.lookalikes["quickbooks"].delete("invoice", copy_id)
    await world.next_sweep()
    (hold,) = held(world)
    assert hold.reason == "remote_gone"
    told = {name: hold.detail[name] for name in ("document", "amount", "currency")}
    assert told == {"document": "invoice", "amount": "119.00", "currency": "USD"}
    assert hold.detail["number"] == documents_of(world, Invoice)[0].number
    assert "recreate" in hold.detail["cure"]
    assert shown(world, "quickbooks") == []
    with pytest.raises(InvalidInputError, match="recreate, unlink"):  # its customer is still there
        await answer(world, hold, "archive")
    await answer(world, hold, "recreate")
    (there,) = shown(world, "quickbooks")
    assert there["total"] == "119.00"
    at_rest(world)


async def test_an_invoice_of_a_customer_that_is_not_mapped_waits_says_why_and_is_taken_later() -> None:
    """Somebody else has the e-mail, and a person is asked about the customer first."""
    world = await billing()
    other = world.lookalikes["stripe"].edit("customer", None, {"name": "Ben", "email": "ada@example.test"})
    bill(world, customer=other)
    await world.next_sweep()
    assert papers(world) == []
    (waits,) = world.db.read_now(lambda tx: [row.reason for row in tx.rows(DIRTY.select()) if row.kind == "invoice"])
    assert waits == f"its customer {other} has no mapping here"
    (question,) = held(world)
    await answer(world, question, "create")
    assert len(papers(world)) == 1
    (there,) = shown(world, "quickbooks")
    assert there["total"] == "119.00"


async def test_documents_of_a_customer_that_nobody_knows_are_not_read_again_and_again() -> None:
    """Out of scope for good: each of them was read once an hour, for ever, out of the month's allowance."""
    world, invoice, _ = await _of_an_unknown_customer()
    reads = _reads_of(world, invoice)
    for _ in range(30):
        await an_hour_later(world)
    assert reads == []
    assert papers(world) == []
    world.lookalikes["stripe"].edit("invoice", invoice, {"memo": "Thanks"})
    for _ in range(5):
        await an_hour_later(world)
    assert 1 <= len(reads) <= 2, "the feed named it"


async def test_documents_are_taken_when_their_customer_is_placed_though_nobody_said_so() -> None:
    """They would wait for ever otherwise: a mapping may come by ways that documents hear nothing of."""
    world, _, other = await _of_an_unknown_customer()
    (ada,) = world.db.read_now(customers.listing)
    ben = MappingRow(
        id="ben", record_id=ada.id, connection="stripe", part="ben", remote_id=other, state="live",
        created_at=1.0, updated_at=1.0,
    )  # fmt: skip
    world.db.run_now(lambda tx: mappings.insert(tx, [ben]))
    await an_hour_later(world)
    assert len(papers(world)) == 1


async def _of_an_unknown_customer() -> tuple[World, str, str]:
    """A person is asked who it is, and has not answered: the world, an invoice, the object of its customer."""
    world = await billing()
    other = world.lookalikes["stripe"].edit("customer", None, {"name": "Ben", "email": "ada@example.test"})
    invoice = bill(world, customer=other)
    await world.next_sweep()
    await an_hour_later(world)  # the feed tells a little of what it told before
    assert len(held(world)) == 1
    assert papers(world) == []
    return world, invoice, other


def _reads_of(world: World, remote_id: str) -> list[str]:
    """Every request to Stripe that names an object, from now on."""
    found: list[str] = []
    answer_ = world.exchanges["stripe"]

    def watched(request: HttpRequest) -> HttpResponse:
        if remote_id in request.url:
            found.append(request.url)
        return answer_(request)

    world.exchanges["stripe"] = watched
    return found


async def test_a_number_that_is_taken_in_the_books_is_asked_about() -> None:
    """Nothing is renumbered, nothing is overwritten."""
    world = await billing()
    world.names = ("stripe",)
    bill(world)
    await world.next_sweep()
    (origin,) = shown(world, "stripe")
    bill(world, "quickbooks", {**LINE, "product": "1"}, number=origin["number"])
    world.names = ("stripe", "hubspot", "quickbooks")
    await world.settle()
    (hold,) = held(world)
    assert hold.reason == "rejected"
    assert hold.detail["field"] == "number"
    assert len(shown(world, "quickbooks")) == 1


async def test_closed_books_hold_the_invoice_and_no_date_is_moved() -> None:
    """The person who closed them decides."""
    world = await billing()
    books = world.lookalikes["quickbooks"]
    books.settings = replace(books.settings, books_closed_through="2026-11-30")
    bill(world)
    await world.next_sweep()
    (hold,) = held(world)
    assert "2026-11-30" in hold.detail["problem"] + hold.detail["limit"]
    assert shown(world, "quickbooks") == []


async def test_a_currency_that_is_not_the_customers_is_held() -> None:
    """A QuickBooks customer has one currency for ever."""
    world = await billing()
    bill(world, "stripe", {"description": "Seats", "amount": "1000", "quantity": "1"}, currency="JPY")
    await world.next_sweep()
    (hold,) = held(world)
    assert "urrency" in hold.detail["problem"] + hold.detail["field"]
    assert shown(world, "quickbooks") == []


async def test_a_refund_is_asked_about_and_the_payment_stays() -> None:
    """What was refunded was paid before."""
    world = await billing()
    invoice = bill(world)
    payment = pay(world, invoice, "119.00")
    await world.next_sweep()
    world.lookalikes["stripe"].edit("payment", payment, {"refunded": "19.00"})
    await world.next_sweep()
    (hold,) = held(world)
    assert hold.detail["field"] == "refunded"
    assert hold.detail["document"] == "payment"
    assert len(shown(world, "quickbooks", "payment")) == 1


async def test_what_was_issued_before_the_activation_is_not_copied() -> None:
    """Ten years of invoices would flood the books of a new connection; `since` says otherwise."""
    policies = {"stripe": DocumentPolicy(originates=KINDS), "quickbooks": DocumentPolicy(mirrors=KINDS)}
    world = await billing(with_documents(policies, {"quickbooks": BOOKS}, {}))
    bill(world, issued_on="2026-01-01")
    bill(world, issued_on="2026-11-18")
    await world.next_sweep()
    assert len(papers(world)) == 2
    assert len(shown(world, "quickbooks")) == 1
    at_rest(world)


async def test_invoices_that_were_there_before_are_listed_and_copied() -> None:
    """No event tells of them any more."""
    world = World(config=stripe_to_books())
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    invoices = [bill(world) for _ in range(7)]
    pay(world, invoices[0], "119.00")
    world.clock.time += 40 * 86_400
    await world.activate_all()
    assert len(papers(world)) == 7
    assert sorted(one["due"] for one in shown(world, "quickbooks")) == ["0.00", *["119.00"] * 6]
    at_rest(world)
    await is_silent(world)


async def test_an_invoice_of_nothing_is_copied_nowhere_and_misses_nowhere() -> None:
    """Stripe makes one without lines paid at once: no books take it, and it can be voided no more."""
    world = await billing()
    bill(world, lines=[])
    bill(world)
    await world.next_sweep()
    assert sorted(one.amount for one in papers(world)) == [0, 119]
    assert held(world) == []
    assert len(shown(world, "quickbooks")) == 1
    found = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))
    (invoices,) = [one for one in found["sums"] if (one["connection"], one["kind"]) == ("quickbooks", "invoice")]
    assert (invoices["matched"], invoices["missing"], invoices["outside"]) == (1, 0, 1)


async def test_a_payment_is_called_by_its_reference_in_a_hold_and_when_a_period_is_closed() -> None:
    """It has no number, and an amount alone finds nobody's payment."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    books = world.lookalikes["quickbooks"]
    books.settings = replace(books.settings, books_closed_through="2026-11-20")
    pay(world, invoice, "119.00", reference="CHQ-7")
    await world.next_sweep()
    (hold,) = held(world)
    (payment,) = papers(world, "payment")
    assert (hold.reason, hold.detail["document"]) == ("rejected", "payment")
    assert hold.detail["number"] == payment.called != ""
    found = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))
    assert [one["number"] for one in found["differences"]] == [payment.called]


async def test_a_copy_that_waits_for_its_customer_names_what_keeps_that_one() -> None:
    """Whoever looks for the invoice finds the hold to answer."""
    world = World(config=stripe_to_books())
    books = world.lookalikes["quickbooks"]
    books.settings = replace(books.settings, other_names=frozenset({"Ada Lovelace"}))
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    bill(world)
    await world.next_sweep()
    (hold,) = held(world)
    ((copy,),) = (one["copies"] for one in world.db.read_now(lambda tx: listed(tx, papers(world), world.clock.now())))
    assert hold.reason == "name_taken"
    assert copy["waits"].endswith(f"has no object here: hold {hold.id}")
    assert "candidates" not in hold.detail


async def test_a_copy_that_is_marked_by_its_mapping_and_by_its_object_is_written_once() -> None:
    """A webhook named the object before anything knew whose it was: two steps of one mapping broke the whole batch."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    (copy,) = world.lookalikes["quickbooks"].neutral("invoice")
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    world.names = ("stripe",)
    await world.next_sweep()
    hub, books = world.hub, world.hub.connections["quickbooks"]
    named = [subject_of(("invoice", copy))]
    now = world.clock.now()
    world.db.run_now(lambda tx: work.mark(tx, "quickbooks", named, reason="", trace="t", now=now, kind="invoice"))
    before = world.writes("quickbooks")

    rows = world.db.read_now(lambda tx: work.due_documents(tx, "quickbooks", world.clock.now(), 100))
    assert sorted(one.subject[:2] for one in rows) == ["d:", "m:"]
    report = await reconcile_documents(hub, books, rows)

    assert (report.written, world.writes("quickbooks") - before) == (1, 1)
    assert [one["status"] for one in shown(world, "quickbooks")] == ["void"]
    world.names = ("stripe", "hubspot", "quickbooks")
    await world.settle()
    at_rest(world)


async def test_an_object_that_was_given_a_mapping_since_it_was_claimed_is_left_to_the_batch_that_gave_it_one() -> None:
    """That batch was at its next step: this one took it for a write in doubt, or wrote one of its own beside it."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    (copy,) = world.lookalikes["quickbooks"].neutral("invoice")
    found = world.db.read_now(lambda tx: mappings.by_remote_ids(tx, "quickbooks", "invoice", [copy]))
    world.lookalikes["stripe"].edit("invoice", invoice, {"status": "void"})
    world.names = ("stripe",)
    await world.next_sweep()
    hub, books, now = world.hub, world.hub.connections["quickbooks"], world.clock.now()
    name, mapping = subject_of(("invoice", copy)), work.mapping_subject(found[copy].id)
    marked = world.db.read_now(lambda tx: work.due_documents(tx, "quickbooks", now, 100))
    world.db.run_now(lambda tx: work.clear(tx, "quickbooks", marked))
    world.db.run_now(lambda tx: work.mark(tx, "quickbooks", [name], reason="", trace="t", now=now, kind="invoice"))
    before = world.writes("quickbooks")
    rows = world.db.read_now(lambda tx: work.due_documents(tx, "quickbooks", now, 100))

    await reconcile_documents(hub, books, rows, claimed={name})
    assert world.writes("quickbooks") == before
    assert [one.subject for one in world.db.read_now(lambda tx: work.due_documents(tx, "quickbooks", now, 100))] == [
        name
    ]

    await reconcile_documents(hub, books, rows, claimed={name, mapping})
    assert world.writes("quickbooks") == before + 1
    assert [one["status"] for one in shown(world, "quickbooks")] == ["void"]


async def test_a_payment_of_an_invoice_that_is_not_to_be_copied_is_missing_nowhere() -> None:
    """It gets no copy, and nobody could say so: the first month with such a payment was never tied out."""
    early = DocumentPolicy(mirrors=KINDS, since="2026-11-19")
    world = await billing(stripe_to_books(quickbooks=early))
    pay(world, bill(world), "119.00")
    pay(world, bill(world, issued_on="2026-11-19"), "119.00")
    await world.next_sweep()
    assert len(shown(world, "quickbooks", "payment")) == 1
    at_rest(world)
    found = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))
    sums = {one["kind"]: (one["matched"], one["missing"], one["outside"]) for one in found["sums"]}
    assert sums == {"invoice": (1, 0, 1), "payment": (1, 0, 1)}
    assert found["differences"] == []
