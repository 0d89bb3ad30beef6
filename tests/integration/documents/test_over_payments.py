"""More comes in than an invoice takes: known whole, settled once, and the rest stays with the customer."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import event

from config.file import AccordConfig
from core.model.documents import KINDS, Invoice, Payment
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.sync.documents.telling import overview
from core.sync.plan import plan
from tests.integration.documents.test_copies_at_stripe import LOCKED
from tests.support.acting import everybody, held
from tests.support.paper import BOOKS, SINCE, at_rest, bill, billing, is_silent, papers, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio
LINE = {"description": "Seats", "product": "1", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"}
CRM = DocumentPolicy(mirrors=("invoice",), since=SINCE, overview=True)


async def over_paid() -> tuple[World, str]:
    """150.00 come in in the books for an invoice of theirs, which is 119.00. Returns the payment, too."""
    policies = {"quickbooks": DocumentPolicy(originates=KINDS), "hubspot": CRM}
    world = await billing(with_documents(policies, {"quickbooks": BOOKS}, {}))
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    applied = [{"invoice": invoice, "amount": "119.00"}]
    payment = pay(world, invoice, "150.00", "quickbooks", applications=applied)
    for _ in range(2):
        await world.next_sweep()
    return world, payment


async def test_an_over_payment_is_known_whole_and_settles_its_invoice_once() -> None:
    """The registry has what came in and what of it was applied; HubSpot shows nothing due; the books keep the rest."""
    world, payment = await over_paid()
    (known,), (invoice,) = papers(world, "payment"), papers(world)
    assert isinstance(known.document, Payment)
    assert isinstance(invoice.document, Invoice)
    assert str(known.document.amount) == "150.00"
    assert [(one.invoice, str(one.amount)) for one in known.document.applications] == [(invoice.id, "119.00")]
    assert (invoice.document.status, invoice.document.paid, invoice.document.due) == ("paid", Decimal(119), Decimal(0))
    assert [(one["status"], one["paid"], one["due"]) for one in shown(world, "hubspot")] == [("paid", "119.00", "0.00")]
    books = world.lookalikes["quickbooks"].objects("payment")
    assert {name: row["UnappliedAmt"] for name, row in books.items()} == {payment: Decimal(31)}
    at_rest(world)
    await is_silent(world)


async def test_the_overview_counts_all_that_came_in_and_nothing_as_still_due() -> None:
    """Gross revenue stays what was billed: what is paid may be more, and is no negative balance."""
    world, _ = await over_paid()
    (ada,) = everybody(world)
    (told,) = world.db.read_now(lambda tx: overview(tx, world.hub, ada.external_id, with_children=False))
    amounts = {name: Decimal(told[name]) for name in ("gross_revenue", "outstanding", "overdue", "paid")}
    assert amounts == {
        "gross_revenue": Decimal(119), "outstanding": Decimal(0), "overdue": Decimal(0), "paid": Decimal(150)
    }  # fmt: skip
    (contact,) = world.lookalikes["hubspot"].objects("customer").values()
    figures = {name: contact["properties"][f"accord_{name}"] for name in ("gross_revenue", "outstanding")}
    assert {name: Decimal(one) for name, one in figures.items()} == {
        "gross_revenue": Decimal(119), "outstanding": Decimal(0)
    }  # fmt: skip


async def test_a_copy_that_has_no_place_for_the_rest_is_held_and_not_cut() -> None:
    """Stripe applies a payment to one invoice, of exactly its amount: 119.00 would not be what came in."""
    stripe = DocumentPolicy(mirrors=KINDS, since=SINCE)
    both = with_documents(
        {"quickbooks": DocumentPolicy(originates=KINDS), "stripe": stripe},
        {"quickbooks": BOOKS, "stripe": {"mirror_open_invoices": "yes"}},
        {},
    )
    world = await billing(both)
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    applied = [{"invoice": invoice, "amount": "119.00"}]
    await world.next_sweep()
    assert [one["due"] for one in shown(world, "stripe")] == ["119.00"]
    pay(world, invoice, "150.00", "quickbooks", applications=applied)
    for _ in range(2):
        await world.next_sweep()
    told = {one.detail["document"]: one for one in held(world)}
    assert "31.00 of 150.00" in told["payment"].detail["problem"], told["payment"].detail
    assert [one["status"] for one in shown(world, "stripe", "payment") if one["status"] == "succeeded"] == []
    assert [one["due"] for one in shown(world, "stripe")] == ["119.00"], "nothing was reported as paid"


def settled_only(**settings: str) -> AccordConfig:
    """The books' documents are copied to Stripe; open invoices are not, unless these settings say so."""
    policies = {"quickbooks": DocumentPolicy(originates=KINDS), "stripe": DocumentPolicy(mirrors=KINDS, since=SINCE)}
    return with_documents(policies, {"quickbooks": BOOKS, "stripe": settings}, {})


async def test_no_copy_is_made_that_would_stay_payable() -> None:
    """It was finalised before its payment was refused: open, with 119.00 due, for an invoice that is paid."""
    world = await billing(settled_only())
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    payment = pay(world, invoice, "150.00", "quickbooks", applications=[{"invoice": invoice, "amount": "119.00"}])
    for _ in range(3):
        await world.next_sweep()
    assert shown(world, "stripe") == []
    (hold,) = held(world)
    assert (hold.connection, hold.reason, hold.detail["document"]) == ("stripe", "rejected", "invoice")
    assert f"payment {payment} settles it" in hold.detail["problem"], hold.detail
    assert "31.00 of 150.00 settle no invoice" in hold.detail["problem"]
    assert hold.detail["cure"] == "apply the rest, or record it apart"

    other = bill(world, "quickbooks", {**LINE, "quantity": "1", "tax": "0", "unit_amount": "31.00"}, number="QB-2")
    applied = [{"invoice": invoice, "amount": "119.00"}, {"invoice": other, "amount": "31.00"}]
    world.lookalikes["quickbooks"].edit("payment", payment, {"applications": applied})
    for _ in range(2):
        await world.next_sweep()
    assert sorted((one["paid"], one["due"]) for one in shown(world, "stripe")) == [
        ("119.00", "0.00"),
        ("31.00", "0.00"),
    ]
    at_rest(world)
    await is_silent(world)


async def test_what_is_settled_together_with_an_open_invoice_waits_for_it() -> None:
    """The payment of both cannot be told while one has no copy: the other's would have stayed payable."""
    world = await billing(settled_only())
    paid, partly = (bill(world, "quickbooks", LINE, number=f"QB-{number}") for number in (1, 2))
    applied = [{"invoice": paid, "amount": "119.00"}, {"invoice": partly, "amount": "7.00"}]
    pay(world, paid, "126.00", "quickbooks", applications=applied)
    for _ in range(2):
        await world.next_sweep()
    assert shown(world, "stripe") == []
    told = {one.detail["number"]: one.detail["problem"] for one in held(world)}
    assert "it settles invoice QB-2, too, which has no copy" in told["QB-1"]
    pay(world, partly, "112.00", "quickbooks")
    for _ in range(2):
        await world.next_sweep()
    assert [one["status"] for one in shown(world, "stripe")] == ["paid", "paid"]
    at_rest(world)
    await is_silent(world)


async def test_what_keeps_another_invoice_of_a_payment_keeps_this_one() -> None:
    """However far apart: QB-1 is settled together with QB-2, whose other payment was too much."""
    world = await billing(settled_only())
    first, second = (bill(world, "quickbooks", LINE, number=f"QB-{number}") for number in (1, 2))
    applied = [{"invoice": first, "amount": "119.00"}, {"invoice": second, "amount": "7.00"}]
    pay(world, first, "126.00", "quickbooks", applications=applied)
    pay(world, second, "150.00", "quickbooks", applications=[{"invoice": second, "amount": "112.00"}])
    for _ in range(2):
        await world.next_sweep()
    assert shown(world, "stripe") == []
    assert {one.detail["number"] for one in held(world)} == {"QB-1", "QB-2"}


async def test_a_draft_is_not_made_payable_once_its_payment_is_refused() -> None:
    """The payment changed between two steps of the copy: it stays a draft, which nobody can pay."""
    world = await billing(settled_only())
    through, busy = world.exchanges["stripe"], [True]

    def exchange(request: HttpRequest) -> HttpResponse:
        if busy[0] and request.url.endswith("/finalize"):
            return HttpResponse(429, {"content-type": "application/json"}, LOCKED)
        return through(request)

    world.exchanges["stripe"] = exchange
    first, second = (bill(world, "quickbooks", LINE, number=f"QB-{number}") for number in (1, 2))
    applied = [{"invoice": one, "amount": "119.00"} for one in (first, second)]
    payment = pay(world, first, "238.00", "quickbooks", applications=applied)
    world.clock.time += world.timing.changes_every + 1
    await world.settle(patience=30)
    assert [one["status"] for one in shown(world, "stripe")] == ["draft", "draft"]
    world.lookalikes["quickbooks"].edit("payment", payment, {"applications": applied[:1]})
    world.clock.time += world.timing.changes_every + 1
    await world.settle(patience=30)
    busy[0] = False
    for _ in range(2):
        await world.next_sweep()
    assert [one["status"] for one in shown(world, "stripe")] == ["draft", "draft"]
    told = {one.detail["number"]: one.detail["problem"] for one in held(world)}
    assert "119.00 of 238.00 settle no invoice" in told["QB-1"]
    assert "an open invoice at Stripe" in told["QB-2"]


async def test_a_plan_tells_of_no_copy_that_will_not_be_made() -> None:
    """Before the connection is active: QB-1 is paid too much, QB-2 and QB-3 by one payment, as they should be."""
    world = World(config=settled_only())
    world.lookalikes["quickbooks"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all("quickbooks")
    first, *others = (bill(world, "quickbooks", LINE, number=f"QB-{number}") for number in (1, 2, 3))
    pay(world, first, "150.00", "quickbooks", applications=[{"invoice": first, "amount": "119.00"}])
    applied = [{"invoice": one, "amount": "119.00"} for one in others]
    pay(world, others[0], "238.00", "quickbooks", applications=applied)
    await world.next_sweep()
    found = await plan(world.hub, world.hub.connections["stripe"])
    assert found.documents is not None
    counted = sorted((one.kind, one.outcome, one.number) for one in found.documents.sums)
    assert counted == [
        ("invoice", "create", 2),
        ("invoice", "hold", 1),
        ("payment", "create", 1),
        ("payment", "wait", 1),
    ]


async def test_what_is_settled_together_is_looked_through_once_and_not_for_each_invoice() -> None:
    """A payment of fifty invoices had all fifty asked for, fifty times in one transaction: the database stood still."""
    asked = {}
    for number in (4, 16):
        world = await billing(settled_only())
        invoices = [bill(world, "quickbooks", LINE, number=f"QB-{one}") for one in range(number)]
        applied = [{"invoice": one, "amount": "119.00"} for one in invoices]
        pay(world, invoices[0], str(119 * number), "quickbooks", applications=applied)
        counted: list[str] = []
        event.listen(world.db.engine, "before_cursor_execute", lambda *told, c=counted: c.append(told[2]))
        await world.next_sweep()
        assert [one["status"] for one in shown(world, "stripe")] == ["paid"] * number
        asked[number] = len(counted)
    assert asked[16] < 3.5 * asked[4], asked


async def test_what_no_payment_is_known_of_keeps_a_paid_invoice_from_being_copied() -> None:
    """Payments of the books are not taken: the copy could be told of none, and would have been due whole."""
    stripe = DocumentPolicy(mirrors=KINDS, since=SINCE)
    policies = {"quickbooks": DocumentPolicy(originates=("invoice",)), "stripe": stripe}
    world = await billing(with_documents(policies, {"quickbooks": BOOKS}, {}))
    pay(world, bill(world, "quickbooks", LINE, number="QB-1"), "119.00", "quickbooks")
    for _ in range(2):
        await world.next_sweep()
    assert [one.document.status for one in papers(world)] == ["paid"]
    assert (shown(world, "stripe"), held(world)) == ([], [])
    for _ in range(2):
        world.clock.time += 3_700
        await world.settle()
    assert shown(world, "stripe") == []
    (asked,) = held(world)
    assert "no payment or credit note is known that settled 119.00 USD of invoice QB-1" in str(asked.detail["problem"])
