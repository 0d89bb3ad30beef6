"""Documents that people make in QuickBooks are known to the registry, to the cent, whatever they do with them next."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.model.documents import KINDS, CreditNote, Invoice, Payment
from core.model.policy import DocumentPolicy
from core.sync.documents.tie_out import tie_out
from core.sync.erasure import Remains, preview
from tests.support.acting import all_day, everybody, failing, held
from tests.support.paper import at_rest, bill, billing, papers, pay, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio
LINE = {"description": "Seats", "product": "1", "quantity": "2", "unit_amount": "50.00", "tax": "19.00"}


@pytest.fixture
async def world() -> World:
    """QuickBooks' documents are known, and copied nowhere."""
    return await billing(with_documents({"quickbooks": DocumentPolicy(originates=KINDS)}, {}, {}))


def customer(world: World) -> str:
    """The only one."""
    return next(iter(world.neutral("quickbooks")))


def credited(world: World, invoice: str = "", amount: str = "50.00") -> str:
    """A person credits the customer, and applies it to an invoice."""
    applied = {"invoice": invoice, "applied": amount} if invoice else {}
    line = {"amount": amount, "product": "1"}
    changes = {"customer": customer(world), "currency": "USD", "issued_on": "2026-11-19", "lines": [line], **applied}
    return world.lookalikes["quickbooks"].edit("credit_note", None, changes)


def only(world: World, kind: str) -> Invoice | Payment | CreditNote:
    """The registry's only document of a kind."""
    (paper,) = papers(world, kind)
    return paper.document


async def test_an_invoice_what_is_paid_of_it_and_what_is_credited(world: World) -> None:
    """A credit memo is told with its invoice, a link of the two is no payment."""
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    pay(world, invoice, "19.00", "quickbooks")
    credited(world, invoice)
    await world.next_sweep()
    known, payment, note = (only(world, kind) for kind in KINDS)

    assert isinstance(known, Invoice)
    assert isinstance(payment, Payment)
    assert isinstance(note, CreditNote)
    assert (known.number, str(known.total), str(known.tax), str(known.due)) == ("QB-1", "119.00", "19.00", "50.00")
    assert [(one.invoice, str(one.amount)) for one in payment.applications] == [(known.id, "19.00")]
    assert (note.invoice, str(note.applied)) == (known.id, "50.00")
    at_rest(world)


async def test_an_invoice_with_a_deposit_is_not_taken_until_a_payment_tells_of_it(world: World) -> None:
    """It showed as paid, and no payment said by whom, when and how."""
    deposit = {"Deposit": Decimal("119.00"), "DepositToAccountRef": {"value": "35"}}
    invoice = bill(world, "quickbooks", LINE, number="QB-1", extra=deposit)
    await world.next_sweep()

    assert papers(world) == []
    (problem,) = failing(world)
    assert "Deposit is 119.0" in problem.message
    assert "record a payment of the invoice instead" in problem.message
    (untaken,) = _untaken(world)
    assert (untaken["kind"], untaken["remote_id"], untaken["why"]) == ("invoice", invoice, problem.message)

    world.lookalikes["quickbooks"].edit("invoice", invoice, {"extra": {"Deposit": Decimal(0)}})
    pay(world, invoice, "119.00", "quickbooks")
    await world.next_sweep()
    known, payment = only(world, "invoice"), only(world, "payment")
    assert isinstance(payment, Payment)
    assert [(one.invoice, str(one.amount)) for one in payment.applications] == [(known.id, "119.00")]
    assert (known.status, _untaken(world)) == ("paid", [])
    at_rest(world)


async def test_a_deposit_that_is_entered_later_pays_nothing_here(world: World) -> None:
    """The invoice stays as it was last told whole, and a closing month says so."""
    invoice = bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    world.lookalikes["quickbooks"].edit("invoice", invoice, {"extra": {"Deposit": Decimal(19)}})
    await world.next_sweep()

    known = only(world, "invoice")
    assert isinstance(known, Invoice)
    assert (known.status, str(known.due)) == ("open", "119.00")
    assert [one["remote_id"] for one in _untaken(world)] == [invoice]


def _untaken(world: World) -> list[dict[str, str]]:
    found: list[dict[str, str]] = world.db.read_now(lambda tx: tie_out(tx, world.hub, "2026-11"))["untaken"]
    return found


async def test_a_customer_and_an_invoice_of_one_id_are_two(world: World) -> None:
    """QuickBooks counts each entity for itself."""
    invoice = bill(world, "quickbooks", LINE)
    await world.next_sweep()

    assert invoice == customer(world)
    assert len(papers(world)) == 1
    assert len(world.neutral("quickbooks")) == 1
    at_rest(world)


async def test_a_credit_that_is_applied_later_is_no_question(world: World) -> None:
    """First the memo, then what it is for."""
    invoice, note = bill(world, "quickbooks", LINE), credited(world)
    await world.next_sweep()
    before = only(world, "credit_note")
    books = world.lookalikes["quickbooks"]
    links = [("Invoice", invoice), ("CreditMemo", note)]
    lines = [{"Amount": 50, "LinkedTxn": [{"TxnId": one, "TxnType": of}]} for of, one in links]
    head = {"customer": customer(world), "currency": "USD", "amount": "0", "received_on": "2026-11-20"}
    books.edit("payment", None, {**head, "extra": {"Line": lines}})
    await world.next_sweep()
    after = only(world, "credit_note")

    assert isinstance(before, CreditNote)
    assert isinstance(after, CreditNote)
    assert (before.invoice, after.invoice, str(after.applied)) == ("", papers(world)[0].id, "50.00")
    assert papers(world, "payment") == []
    at_rest(world)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_void_is_void_and_what_it_was_stays_known(world: World, kind: str) -> None:
    """QuickBooks sets its amounts to zero; a zero in the registry would say it never was."""
    made = bill(world, "quickbooks", LINE)
    remote = {"invoice": lambda: made, "payment": lambda: pay(world, made, "19.00", "quickbooks")}
    remote_id = remote.get(kind, lambda: credited(world))()
    await world.next_sweep()
    before = only(world, kind)
    world.lookalikes["quickbooks"].edit(kind, remote_id, {"status": "void"})
    await world.next_sweep()
    after = only(world, kind)

    total = "amount" if isinstance(before, Payment) else "total"
    assert after.status == "void"
    assert getattr(after, total) == getattr(before, total) > 0
    at_rest(world)


async def test_a_deleted_invoice_is_asked_about(world: World) -> None:
    """It was somebody's claim."""
    invoice = bill(world, "quickbooks", LINE)
    await world.next_sweep()
    world.lookalikes["quickbooks"].delete("invoice", invoice)
    await world.next_sweep()

    (hold,) = held(world)
    assert hold.reason == "document_gone"
    assert len(papers(world)) == 1


async def test_an_invoice_hides_no_customer_of_the_same_id_from_an_erasure(world: World) -> None:
    """Whoever erases somebody is told of all objects that may be the person's."""
    (ada,) = everybody(world)
    books = world.lookalikes["quickbooks"]
    twin = books.edit("customer", None, {"name": "A. L.", "email": "ada@example.test"})
    while bill(world, "quickbooks", LINE, customer=customer(world)) != twin:
        pass
    await all_day(world)
    assert twin in {paper.remote_id for paper in papers(world)}
    found = world.db.read_now(lambda tx: preview(tx, world.hub, ada.external_id))
    assert found.likely == [Remains("quickbooks", str(twin))]
