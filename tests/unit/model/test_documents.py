"""Invoices, payments and credit notes: their laws, their digests, and their terms in another system."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TypeVar

import msgspec
import pytest
from hypothesis import given

from core.errors import InvalidInputError
from core.model.documents import (
    Application,
    CreditNote,
    Dispute,
    Document,
    Invoice,
    Line,
    Payment,
    amount_of,
    breaches,
    called,
    day_of,
    decoded,
    digest_of,
    encoded,
    kind_of,
    references,
    settled_by,
    with_references,
)
from tests.support.documents import credit_notes, invoices, payments

LINE = Line(id="1", amount=Decimal(100), discount=Decimal(10), tax=Decimal("17.10"))
INVOICE = Invoice(
    id="i",
    customer="c",
    currency="EUR",
    status="open",
    lines=(LINE,),
    subtotal=Decimal(100),
    discount=Decimal(10),
    tax=Decimal("17.10"),
    total=Decimal("107.10"),
    paid=Decimal(7),
    credited=Decimal("0.10"),
    due=Decimal(100),
)
PAYMENT = Payment(
    id="p",
    customer="c",
    currency="EUR",
    status="succeeded",
    amount=Decimal(10),
    applications=(Application(invoice="i", amount=Decimal(3)), Application(invoice="j", amount=Decimal(5))),
)


def disputed(withdrawn: str, *, fee: str = "0") -> Dispute:
    """A dispute about ten; its fee is in yen."""
    amount = {"amount": Decimal(10), "withdrawn": Decimal(withdrawn), "fee": Decimal(fee)}
    return Dispute(id="du", status="lost", fee_currency="JPY", **amount)


CREDIT = CreditNote(
    id="n",
    customer="c",
    currency="EUR",
    status="issued",
    invoice="i",
    lines=(LINE,),
    subtotal=Decimal(100),
    discount=Decimal(10),
    tax=Decimal("17.10"),
    total=Decimal("107.10"),
    applied=Decimal(7),
)


S = TypeVar("S", bound=msgspec.Struct)


def changed(document: S, **values: object) -> S:
    """The same with other values."""
    return msgspec.structs.replace(document, **values)


@pytest.mark.parametrize(("document", "kind"), [(INVOICE, "invoice"), (PAYMENT, "payment"), (CREDIT, "credit_note")])
def test_a_stored_document_is_the_same_and_still_knows_its_kind(document: Document, kind: str) -> None:
    """Storage tells the kinds apart."""
    assert decoded(encoded(document)) == document
    assert kind_of(decoded(encoded(document))) == kind
    assert breaches(document) == []


@given(invoices())
def test_every_invoice_of_the_strategy_keeps_the_laws_and_survives_storing(invoice: Invoice) -> None:
    """Any currency, any state."""
    assert breaches(invoice) == []
    assert decoded(encoded(invoice)) == invoice


@given(payments())
def test_every_payment_of_the_strategy_keeps_the_laws_and_survives_storing(payment: Payment) -> None:
    """Of one invoice, of several, of none."""
    assert breaches(payment) == []
    assert decoded(encoded(payment)) == payment


@given(credit_notes())
def test_every_credit_note_of_the_strategy_keeps_the_laws_and_survives_storing(note: CreditNote) -> None:
    """Applied or not."""
    assert breaches(note) == []
    assert decoded(encoded(note)) == note


def test_the_spelling_of_an_amount_changes_no_digest_and_its_value_does() -> None:
    """Else every provider that writes 100.00 would look like a change."""
    assert digest_of(changed(INVOICE, due=Decimal("100.00"))) == digest_of(INVOICE)
    assert digest_of(changed(INVOICE, due=Decimal("1E+2"))) == digest_of(INVOICE)
    assert digest_of(changed(INVOICE, due=Decimal("100.01"))) != digest_of(INVOICE)
    assert digest_of(changed(INVOICE, lines=())) != digest_of(INVOICE)
    assert digest_of(changed(INVOICE, due_on=date(2026, 1, 1))) != digest_of(INVOICE)
    assert len({digest_of(INVOICE), digest_of(PAYMENT), digest_of(CREDIT)}) == 3


def test_a_document_is_about_the_invoices_it_settles_each_once() -> None:
    """Copies of it wait for copies of those."""
    twice = (*PAYMENT.applications, Application(invoice="i", amount=Decimal(1)))
    assert references(changed(PAYMENT, applications=twice)) == ("i", "j")
    assert references(CREDIT) == ("i",)
    assert references(changed(CREDIT, invoice="")) == ()
    assert references(INVOICE) == ()


def test_what_banks_took_back_is_the_sum_of_what_they_keep() -> None:
    """What was won again counts nothing; the payment stays lawful and comes back from storage as it was."""
    payment = changed(PAYMENT, disputes=(disputed("4"), disputed("0"), disputed("5")))
    assert (payment.charged_back, breaches(payment)) == (Decimal(9), [])
    assert decoded(encoded(payment)) == payment
    assert digest_of(payment) != digest_of(PAYMENT)


def test_only_what_succeeded_and_stands_settles_anything() -> None:
    """What failed or was taken back pays nothing."""
    twice = (*PAYMENT.applications, Application(invoice="i", amount=Decimal(1)))
    assert settled_by(changed(PAYMENT, applications=twice)) == {"i": Decimal(4), "j": Decimal(5)}
    for status in ("pending", "failed", "void"):
        assert settled_by(changed(PAYMENT, status=status)) == {}
    assert settled_by(CREDIT) == {"i": Decimal(7)}
    assert settled_by(changed(CREDIT, status="void")) == {}
    assert settled_by(changed(CREDIT, applied=Decimal(0))) == {}
    assert settled_by(changed(CREDIT, invoice="")) == {}
    assert settled_by(INVOICE) == {}


def test_a_document_in_another_systems_terms_differs_in_its_ids_only() -> None:
    """And comes back as it was."""
    there = {"i": "in_1", "j": "in_2"}.__getitem__
    paid = with_references(PAYMENT, id="pi", customer="cus", invoice=there)
    assert (paid.id, paid.customer, references(paid)) == ("pi", "cus", ("in_1", "in_2"))
    credited = with_references(CREDIT, id="cn", customer="cus", invoice=there)
    assert (credited.id, credited.customer, references(credited)) == ("cn", "cus", ("in_1",))
    assert references(with_references(changed(CREDIT, invoice=""), id="cn", customer="cus", invoice=there)) == ()
    billed = with_references(INVOICE, id="in", customer="cus", invoice=there)
    assert billed == changed(INVOICE, id="in", customer="cus")
    assert with_references(paid, id="p", customer="c", invoice={"in_1": "i", "in_2": "j"}.__getitem__) == PAYMENT


@pytest.mark.parametrize(
    ("document", "field", "problem"),
    [
        (changed(INVOICE, subtotal=Decimal(99)), "subtotal", "is 99, but its parts sum up to 100"),
        (changed(INVOICE, discount=Decimal(11)), "discount", "is 11, but its parts sum up to 10"),
        (changed(INVOICE, tax=Decimal(17)), "tax", "is 17, but its parts sum up to 17.10"),
        (changed(INVOICE, total=Decimal(107)), "total", "is 107, but its parts sum up to 107.10"),
        (changed(INVOICE, due=Decimal(99)), "due", "paid, credited, written off and due are 106.10, not 107.10"),
        (changed(INVOICE, paid=Decimal(108), due=Decimal(-1)), "due", "is negative: -1"),
        (
            changed(INVOICE, lines=(LINE, changed(LINE, amount=Decimal(0), discount=Decimal(0), tax=Decimal(0)))),
            "lines",
            "same id",
        ),
        (
            changed(INVOICE, memo="", paid=Decimal("7.005"), due=Decimal("99.995")),
            "paid",
            "finer than EUR's smallest unit",
        ),
        (
            changed(
                INVOICE, lines=(changed(LINE, tax=Decimal("17.105")),), tax=Decimal("17.105"), total=Decimal("107.105")
            ),
            "lines.0.tax",
            "17.105 is finer than EUR's smallest unit",
        ),
        (changed(CREDIT, applied=Decimal(108)), "applied", "108 of a credit of 107.10"),
        (changed(CREDIT, applied=Decimal(-1)), "applied", "-1 of a credit of 107.10"),
        (changed(PAYMENT, amount=Decimal(7)), "applications", "8 are applied of a payment of 7"),
        (changed(PAYMENT, amount=Decimal(0), applications=()), "amount", "is not positive: 0"),
        (changed(PAYMENT, refunded=Decimal(11)), "refunded", "11 of a payment of 10"),
        (changed(PAYMENT, refunded=Decimal(-1)), "refunded", "-1 of a payment of 10"),
        (changed(PAYMENT, disputes=(disputed("11"),)), "disputes.0.withdrawn", "11 of a dispute about 10"),
        (changed(PAYMENT, disputes=(disputed("1"), disputed("-1"))), "disputes.1.withdrawn", "-1 of a dispute"),
        (changed(PAYMENT, disputes=(disputed("1.001"),)), "disputes.0.withdrawn", "finer than EUR's smallest unit"),
        (changed(PAYMENT, disputes=(disputed("1", fee="0.5"),)), "disputes.0.fee", "finer than JPY's smallest unit"),
        (
            changed(PAYMENT, applications=(Application(invoice="i", amount=Decimal("1.001")),)),
            "applications.0.amount",
            "1.001 is finer than EUR's smallest unit",
        ),
    ],
)
def test_a_document_that_does_not_add_up_is_told_where(document: Document, field: str, problem: str) -> None:
    """It is held, never sent on."""
    found = {one.field: one.problem for one in breaches(document)}
    assert problem in found[field]


def test_nothing_is_due_on_a_void_invoice_whatever_it_was_for() -> None:
    """Its total stays readable."""
    assert breaches(changed(INVOICE, status="void", paid=Decimal(0), credited=Decimal(0), due=Decimal(0))) == []


def test_a_currency_that_is_none_is_refused() -> None:
    """No exponent, no amounts."""
    with pytest.raises(InvalidInputError, match="no currency"):
        breaches(changed(INVOICE, currency="???"))


def test_a_document_is_called_by_its_number_and_a_payment_by_its_reference() -> None:
    """What people know it by, and what it comes to."""
    invoice = msgspec.structs.replace(INVOICE, number="RE-7")
    payment = msgspec.structs.replace(PAYMENT, reference="wire 12")
    assert (called(invoice), amount_of(invoice)) == ("RE-7", Decimal("107.10"))
    assert (called(payment), amount_of(payment)) == ("wire 12", Decimal(10))
    assert called(PAYMENT) == ""


def test_an_invoice_is_booked_on_the_day_it_was_issued_and_a_payment_when_it_came_in() -> None:
    """Each may have none."""
    day = date(2026, 11, 18)
    assert day_of(changed(PAYMENT, received_on=day)) == day
    assert day_of(changed(INVOICE, issued_on=day)) == day
    assert day_of(changed(INVOICE, issued_on=None)) is None
