# ruff: noqa: D102, D103, D107, PT017 -- test doubles; a property may be refused; `make_world` is made in conftest, which tests cannot import
"""Copies at Stripe, step by step against the look-alike: to the minor unit or not at all, once, and never collected."""

import asyncio
import dataclasses
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.stripe.connector import PROVIDER
from connectors.stripe.wire.documents import ALSO_KEY, DAY_KEY
from core.errors import BugError, ByHandError, ConfigError, RejectedError, TakenError
from core.model.documents import (
    Application,
    CreditNote,
    Dispute,
    Document,
    Invoice,
    Line,
    Payment,
    kind_of,
    with_references,
)
from core.model.money import ZERO
from core.model.paper import RemoteDocument, Step, WantedDocument
from core.ports import HttpRequest, HttpResponse, Probe, Write, Written
from tests.support.documents import credit_notes, invoices, payments

OPEN = {"mirror_open_invoices": "yes"}
EACH = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


class Desk:
    """What the engine does with one copy at a time, and a customer to bill."""

    def __init__(self, world: Any) -> None:
        self.world = world
        assert PROVIDER.documents is not None
        self.documents = PROVIDER.documents(world.config)
        self.customer = world.stripe.edit("customer", None, {"name": "Acme"})
        self.invoices: dict[str, str] = {}
        self.steps: list[str] = []

    def wanted(self, document: Document, remote_id: str = "") -> WantedDocument:
        here = with_references(
            document, id=remote_id, customer=self.customer, invoice=lambda name: self.invoices.get(name, name)
        )
        return WantedDocument(document=here, mark=f"i.{document.id}.1")

    def write(self, wanted: WantedDocument, step: Step, remote_id: str | None, **more: Any) -> Any:
        text = f"{wanted.mark}/{step.action}/{json.dumps(step.body, sort_keys=True)}"
        # as the engine: what adds has a key that a repeat has again
        key = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest() if step.adds else f"k{len(self.steps)}"
        self.steps.append(step.action)
        write = Write(key=key, action=step.action, kind=kind_of(wanted.document), remote_id=remote_id, body=step.body)
        (receipt,) = self.world.run(self.world.connector.write([msgspec.structs.replace(write, **more)]))
        return receipt

    def copy(self, document: Document, remote_id: str | None = None, *, most: int = 20) -> str:
        """Follow the steps until there is none; raises what refused one."""
        wanted, raw = self.wanted(document, remote_id or ""), self.raw(kind_of(document), remote_id)
        for _ in range(most):
            step = self.documents.step(wanted, raw)
            if step is None:
                break
            receipt = self.write(wanted, step, remote_id)
            if not isinstance(receipt, Written):
                raise receipt
            remote_id, raw = receipt.sighting.id, receipt.sighting.raw
        else:
            raise AssertionError(self.steps)
        assert remote_id is not None
        if isinstance(document, Invoice):
            self.invoices[document.id] = remote_id
        return remote_id

    def raw(self, kind: str, remote_id: str | None) -> bytes | None:
        if remote_id is None:
            return None
        found: bytes = self.world.run(self.world.connector.read(kind, [remote_id]))[remote_id].raw
        return found

    def read(self, kind: str, remote_id: str) -> RemoteDocument:
        raw = self.raw(kind, remote_id)
        assert raw is not None
        found: RemoteDocument = self.documents.read(kind, raw)
        return found

    def truth(self, kind: str, remote_id: str) -> Any:
        return self.world.stripe.neutral(kind)[remote_id]


@pytest.fixture
def desk(make_world: Callable[..., Any]) -> Desk:
    return Desk(make_world(connection=OPEN))


def invoice(**says: Any) -> Invoice:
    said: dict[str, Any] = {
        "id": "inv-1", "number": "A-1", "customer": "c", "currency": "EUR", "status": "open",
        "lines": (Line(id="l1", description="Seats", amount=Decimal("100.00"), tax=Decimal("7.00")),),
        "subtotal": Decimal("100.00"), "tax": Decimal("7.00"), "total": Decimal("107.00"), "due": Decimal("107.00"),
    }  # fmt: skip
    return Invoice(**said | says)


def part(name: str, first: str, *others: str, **says: Any) -> Payment:
    """A payment of the first invoice, and of others by ten each."""
    applications = [Application(invoice="inv-1", amount=Decimal(first))]
    applications += [Application(invoice=other, amount=Decimal(10)) for other in others]
    said: dict[str, Any] = {
        "id": name, "customer": "c", "currency": "EUR", "status": "succeeded",
        "amount": Decimal(first) + 10 * len(others), "received_on": date(2026, 11, 3), "reference": "wire 7",
        "applications": tuple(applications),
    }  # fmt: skip
    return Payment(**said | says)


def note(name: str, amount: str, tax: str, *, applied: str, **says: Any) -> CreditNote:
    """A credit note of the first invoice."""
    line = Line(id="x", description="back", amount=Decimal(amount) + 1, discount=Decimal(1), tax=Decimal(tax))
    said: dict[str, Any] = {
        "id": name, "number": f"C-{name}", "customer": "c", "currency": "EUR", "status": "issued", "invoice": "inv-1",
        "lines": (line,), "subtotal": line.amount, "discount": line.discount, "tax": line.tax,
        "total": Decimal(amount) + Decimal(tax), "applied": Decimal(applied), "reason": "late",
        "refunded": Decimal(says.pop("refunded", "0")),
    }  # fmt: skip
    return CreditNote(**said | says)


# ---- to the minor unit, or not at all --------------------------------------------------------------


@EACH
@given(document=invoices())
def test_any_invoice_is_copied_to_the_minor_unit_or_refused(make_world: Callable[..., Any], document: Invoice) -> None:
    """Yen are not a hundred times themselves, and 10.999 is not 10.99."""
    desk = Desk(make_world(connection=OPEN))
    try:
        remote_id = desk.copy(document)
    except RejectedError as error:
        assert error.field
        return
    there = desk.read("invoice", remote_id).document
    assert isinstance(there, Invoice)
    for name in ("currency", "subtotal", "discount", "tax", "total", "number", "issued_on", "due_on", "memo"):
        assert getattr(there, name) == getattr(document, name), name
    assert [(one.amount, one.discount, one.tax, one.quantity, one.product) for one in there.lines] == [
        (one.amount, one.discount, one.tax, one.quantity, one.product) for one in document.lines
    ]
    truth = desk.truth("invoice", remote_id)
    assert Decimal(truth["total"]) == document.total
    assert Decimal(truth["tax"]) == document.tax
    assert (truth["is_collected"], truth["mails"]) == (False, 0)
    assert desk.world.stripe.ledger.mails == []


@EACH
@given(payment=payments(), more=st.integers(0, 1))
def test_any_payment_is_copied_to_the_minor_unit_or_refused(
    make_world: Callable[..., Any], payment: Any, more: int
) -> None:
    """A part payment is a part payment: an invoice is never marked paid as a whole for it."""
    desk = Desk(make_world(connection=OPEN))
    due: dict[str, Decimal] = {}
    for one in payment.applications:
        due[one.invoice] = due.get(one.invoice, ZERO) + one.amount
    try:
        for place, (name, amount) in enumerate(due.items()):
            total = amount * (1 + more)
            line = Line(id="l", amount=total)
            desk.copy(
                invoice(
                    id=name, number=f"N-{place}", currency=payment.currency, lines=(line,), subtotal=total, tax=ZERO,
                    total=total, due=total,
                )
            )  # fmt: skip
        remote_id = desk.copy(payment)
    except RejectedError as error:
        assert error.field
        return
    there = desk.read("payment", remote_id).document
    assert isinstance(there, Payment)
    assert (there.amount, there.refunded, there.currency) == (payment.amount, payment.refunded, payment.currency)
    assert {one.invoice: one.amount for one in there.applications} == {
        desk.invoices[name]: amount for name, amount in due.items()
    }
    for name, amount in due.items():
        truth = desk.truth("invoice", desk.invoices[name])
        assert (Decimal(truth["paid"]), Decimal(truth["due"])) == (amount, amount * more)
        assert truth["status"] == ("open" if more else "paid")


@EACH
@given(note=credit_notes())
def test_any_credit_note_is_copied_to_the_minor_unit_or_refused(make_world: Callable[..., Any], note: Any) -> None:
    """What was paid is not credited again as due, and nothing goes to a balance that Stripe would use."""
    desk = Desk(make_world(connection=OPEN))
    billed = invoice(
        id=note.invoice, currency=note.currency, lines=note.lines, subtotal=note.subtotal, discount=note.discount,
        tax=note.tax, total=note.total, due=note.total,
    )  # fmt: skip
    try:
        at_stripe = desk.copy(billed)
        if not note.applied and note.total:
            desk.world.stripe.edit(
                "payment", None,
                {"customer": desk.customer, "currency": note.currency, "amount": str(note.total),
                 "applications": [{"invoice": at_stripe, "amount": str(note.total)}]},
            )  # fmt: skip
        remote_id = desk.copy(note)
    except RejectedError as error:
        assert error.field
        return
    there = desk.read("credit_note", remote_id).document
    assert isinstance(there, CreditNote)
    for name in ("currency", "status", "subtotal", "discount", "tax", "total", "applied", "number", "issued_on"):
        assert getattr(there, name) == getattr(note, name), name
    assert desk.truth("credit_note", remote_id)["total"] == str(there.total)
    assert desk.world.stripe.ledger.mails == []
    assert desk.world.stripe.objects("customer")[desk.customer]["balance"] == 0


# ---- what is refused, and how it is said -----------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "field", "word"),
    [
        ({"currency": "ISK", "lines": (Line(id="x", amount=Decimal("1.5")),)}, "lines.x.amount", "decimals"),
        ({"currency": "KWD", "lines": (Line(id="x", amount=Decimal("1.005")),)}, "lines.x.amount", "end with 0"),
        ({"currency": "JPY", "lines": (Line(id="x", amount=Decimal("1.5")),)}, "lines.x.amount", "smallest unit"),
        ({"currency": "CLF", "lines": (Line(id="x", amount=Decimal(1)),)}, "lines.x.amount", "CLF"),
        ({"lines": (Line(id="x", amount=Decimal(1), tax=Decimal(-1)),)}, "lines.x.tax", "tax of -1"),
        ({"lines": (Line(id="x", amount=Decimal(-5), tax=Decimal(1)),)}, "lines.x.tax", "tax of 1"),
        ({"lines": (Line(id="x" * 501, amount=Decimal(5)),)}, f"lines.{'x' * 501}.id", "501"),
        ({"lines": (Line(id="x", description="d" * 501, amount=Decimal(5)),)}, "lines.x.description", "501"),
        ({"lines": (Line(id="x", description="a\x00", amount=Decimal(5)),)}, "lines.x.description", "U[+]0000"),
        ({"number": "n" * 27}, "number", "27"),
        ({"memo": "n" * 1501}, "memo", "1501"),
        ({"status": "draft"}, "status", "draft"),
        ({"status": "void"}, "status", "void"),
        ({"total": Decimal(-1)}, "total", "credit"),
    ],
)
def test_what_stripe_cannot_hold_is_refused_by_name(desk: Desk, says: Any, field: str, word: str) -> None:
    """Nothing is rounded, cut short, or left out so that the rest fits."""
    with pytest.raises(RejectedError, match=word) as refused:
        desk.copy(invoice(**says))
    assert refused.value.field == field
    assert desk.world.stripe.objects("invoice") == {}


def test_an_open_invoice_is_not_copied_unless_the_connection_says_so(make_world: Callable[..., Any]) -> None:
    """Stripe has no open invoice that cannot be paid by whoever has its address."""
    desk = Desk(make_world())
    for status in ("open", "uncollectible"):
        with pytest.raises(RejectedError, match="mirror_open_invoices"):
            desk.copy(invoice(status=status))
    assert desk.world.stripe.objects("invoice") == {}
    paid = desk.copy(invoice(status="paid", paid=Decimal("107.00"), due=ZERO))
    assert desk.truth("invoice", paid)["status"] == "open"
    payment = Payment(
        id="p", customer="c", currency="EUR", status="succeeded", amount=Decimal("107.00"),
        received_on=date(2026, 11, 3), applications=(Application(invoice="inv-1", amount=Decimal("107.00")),),
    )  # fmt: skip
    desk.copy(payment)
    assert desk.truth("invoice", paid)["status"] == "paid"


def test_a_copy_of_another_day_is_not_the_copy_until_it_is_void(desk: Desk) -> None:
    """Stripe dates nothing anew, and a month is closed by days. What was told before days were noted is not judged."""
    dated, moved = date(2026, 11, 1), date(2026, 10, 31)
    papers: list[tuple[Any, str]] = [(invoice(issued_on=dated), "issued_on"), (part("p", "5.00"), "received_on")]
    papers.append((note("c", "10.00", "0", applied="10.00", issued_on=dated), "issued_on"))
    copies = [desk.copy(document) for document, _ in papers]
    for (document, field), copy in zip(papers, copies, strict=True):
        with pytest.raises(RejectedError, match=r"2026-11-0[13]") as refused:
            desk.copy(msgspec.structs.replace(document, **{field: moved}), copy)
        assert refused.value.field == field
        undated = msgspec.structs.replace(document, **{field: None})
        if field == "issued_on":
            assert desk.copy(undated, copy) == copy
    credit = msgspec.structs.replace(papers[2][0], status="void", issued_on=moved)
    assert desk.copy(credit, copies[2]) == copies[2]
    records = desk.world.stripe.ledger.things["payment_record"]
    for name, record in records.items():
        records[name] = {**record, "metadata": {k: v for k, v in record["metadata"].items() if k != DAY_KEY}}
    assert desk.copy(msgspec.structs.replace(papers[1][0], received_on=moved), copies[1]) == copies[1]


def test_a_setting_that_says_neither_yes_nor_no_is_refused(make_world: Callable[..., Any]) -> None:
    """`true` would be taken for a no."""
    with pytest.raises(ConfigError, match="yes or no"):
        make_world(connection={"mirror_open_invoices": "true"})


def test_a_number_that_is_taken_is_a_matter_for_a_person(desk: Desk) -> None:
    """Never an automatic suffix: two systems would then have different numbers for one invoice."""
    desk.copy(invoice())
    with pytest.raises(TakenError, match="A-1"):
        desk.copy(invoice(id="inv-2"))


# ---- once ------------------------------------------------------------------------------------------

MANY = tuple(Line(id=f"l{number}", amount=Decimal(1), discount=Decimal("0.50")) for number in range(300))


@pytest.mark.parametrize("lost", range(6))
def test_a_step_that_is_lost_or_repeated_bills_nothing_twice(desk: Desk, lost: int) -> None:
    """Whatever answer is lost, a fresh look tells what is there; partial lines are not added again."""
    document = invoice(lines=MANY, subtotal=Decimal(300), discount=Decimal(150), tax=ZERO, total=Decimal(150),
                       due=Decimal(150))  # fmt: skip
    wanted, remote_id = desk.wanted(document), None
    for _ in range(12):
        step = desk.documents.step(wanted, desk.raw("invoice", remote_id))
        if step is None:
            break
        receipt = desk.write(wanted, step, remote_id)
        if len(desk.steps) - 1 == lost:
            if step.adds:
                # nobody heard the answer: the same again
                receipt = desk.write(wanted, step, remote_id, is_repeat=True)
            elif remote_id is not None:
                continue
        assert isinstance(receipt, Written)
        remote_id = receipt.sighting.id
    assert remote_id is not None
    assert len(desk.world.stripe.objects("invoice")) == 1
    truth = desk.truth("invoice", remote_id)
    assert (truth["total"], truth["status"], len(truth["lines"])) == ("150.00", "open", 300)
    assert len(desk.world.stripe.objects("invoice")[remote_id]["lines"]["data"]) == 600
    assert desk.steps.count("add_lines") >= 3
    assert desk.copy(document, remote_id) == remote_id


def test_a_copy_of_many_lines_is_made_in_three_writes(desk: Desk) -> None:
    """Line by line it would be a call each, and a draft with a part of its lines for as long as that takes."""
    lines = tuple(Line(id=f"l{number}", amount=Decimal(1)) for number in range(250))
    document = invoice(lines=lines, subtotal=Decimal(250), tax=ZERO, total=Decimal(250), due=Decimal(250))
    before = len(desk.world.requests)
    remote_id = desk.copy(document)
    calls = [one.method for one in desk.world.requests[before:]]
    assert desk.steps == ["create", "add_lines", "finalize"]
    # the lines themselves are read by the hundred, after each of the last two
    assert (calls.count("POST"), calls.count("GET")) == (3, 6)
    assert desk.truth("invoice", remote_id)["total"] == "250.00"


def test_a_create_is_found_again_by_its_mark_when_its_key_is_too_old(desk: Desk) -> None:
    """A key lives a day; an outage may last longer."""
    step = desk.documents.step(desk.wanted(invoice()), None)
    assert step is not None
    made = desk.write(desk.wanted(invoice()), step, None)
    since = desk.world.clock.time
    for created_after in (since, None):
        # without a time Search is asked, which lags
        desk.world.clock.time += 0 if created_after else 60
        (found,) = desk.world.run(
            desk.world.connector.find("invoice", Probe(mark="i.inv-1.1", created_after=created_after))
        )
        assert found == made.sighting
    assert desk.world.run(desk.world.connector.find("invoice", Probe(mark="i.other.1", created_after=since))) == []
    (found,) = desk.world.run(desk.world.connector.find("invoice", Probe(mark="i.x.1", unique={"number": "A-1"})))
    assert found.id == made.sighting.id
    with pytest.raises(BugError):
        desk.world.run(desk.world.connector.find("invoice", Probe(unique={"email": "x"})))


def test_a_copy_is_found_by_its_mark_though_our_clock_is_ahead_of_stripe_s(desk: Desk) -> None:
    """By Stripe's clock it was made before it was sent: an hour fast, it was not found, and made a second time."""
    asked_at = desk.world.clock.time + 3600
    desk.copy(invoice())
    desk.copy(part("p1", "50.00"))
    desk.world.clock.time += 3600

    def slow_clock(_: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        answer = respond()
        date = format_datetime(datetime.fromtimestamp(desk.world.clock.time - 3600, UTC), usegmt=True)
        return HttpResponse(answer.status, {**answer.headers, "date": date}, answer.body)

    desk.world.tamper = slow_clock
    for kind, mark in (("invoice", "i.inv-1.1"), ("payment", "i.p1.1")):
        assert len(desk.world.run(desk.world.connector.find(kind, Probe(mark=mark, created_after=asked_at)))) == 1


@pytest.mark.parametrize("hours", [0, 48])
def test_a_payment_is_reported_once_even_when_keys_are_forgotten(desk: Desk, hours: int) -> None:
    """The replay of a payment must not add its amount again."""
    desk.copy(invoice())
    payment = part("p1", "50.00")
    step = desk.documents.step(desk.wanted(payment), None)
    assert step is not None
    first = desk.write(desk.wanted(payment), step, None)
    desk.world.clock.time += hours * 3600
    again = desk.write(desk.wanted(payment), step, None, is_repeat=True)
    assert first.sighting == again.sighting
    assert again.is_replay
    assert len(desk.world.stripe.ledger.things["payment_record"]) == 1
    assert desk.truth("invoice", desk.invoices["inv-1"])["paid"] == "50.00"
    (found,) = desk.world.run(desk.world.connector.find("payment", Probe(mark="i.p1.1", created_after=0.0)))
    assert found == first.sighting


# ---- afterwards ------------------------------------------------------------------------------------


def test_payments_credits_and_the_end_follow(desk: Desk) -> None:
    """Part payment, credit note, the rest: each by a document of its own, and the sums stay equal."""
    remote_id = desk.copy(invoice())
    desk.copy(part("p1", "50.00"))
    desk.copy(note("n1", "20.00", "1.40", applied="21.40"))
    truth = desk.truth("invoice", remote_id)
    assert (truth["paid"], truth["credited"], truth["due"], truth["status"]) == ("50.00", "21.40", "35.60", "open")
    desk.copy(part("p2", "35.60"))
    desk.copy(note("n2", "10.00", "0.70", applied="0", refunded="10.70"))
    truth = desk.truth("invoice", remote_id)
    assert (truth["paid"], truth["due"], truth["status"]) == ("85.60", "0.00", "paid")
    document = invoice(status="paid", paid=Decimal("85.60"), credited=Decimal("21.40"), due=ZERO)
    assert desk.copy(document, remote_id) == remote_id


@pytest.mark.parametrize(("status", "there"), [("void", "void"), ("uncollectible", "uncollectible")])
def test_a_void_and_a_write_off_follow(desk: Desk, status: Any, there: str) -> None:
    """And a void is final."""
    remote_id = desk.copy(invoice())
    desk.copy(invoice(status=status), remote_id)
    assert desk.truth("invoice", remote_id)["status"] == there
    if status == "void":
        with pytest.raises(RejectedError, match="cannot become open"):
            desk.copy(invoice(), remote_id)
    else:
        desk.copy(invoice(status="paid", paid=Decimal("107.00"), due=ZERO), remote_id)
        with pytest.raises(RejectedError, match="cannot become open"):
            desk.copy(invoice(), remote_id)


def test_a_void_is_about_the_invoice_and_not_about_its_amounts(desk: Desk) -> None:
    """QuickBooks puts them to nothing; a copy that is still a draft is not finalised to be voided."""
    void = {"status": "void", "total": ZERO, "subtotal": ZERO, "tax": ZERO, "due": ZERO}
    nothing = (Line(id="l1", description="Seats", amount=ZERO),)
    remote_id = desk.copy(invoice())
    for _ in range(2):
        desk.copy(invoice(**void, lines=nothing), remote_id)
    assert desk.truth("invoice", remote_id)["status"] == "void"
    step = desk.documents.step(desk.wanted(invoice(id="inv-2", number="A-2")), None)
    assert step is not None
    draft = desk.write(desk.wanted(invoice(id="inv-2")), step, None).sighting.id
    with pytest.raises(RejectedError, match="is a draft"):
        desk.copy(invoice(id="inv-2", number="A-2", **void, lines=nothing), draft)


def test_an_invoice_of_nothing_is_paid_at_once(desk: Desk) -> None:
    """Stripe knows no open invoice of nothing."""
    nothing = {"subtotal": ZERO, "tax": ZERO, "total": ZERO, "due": ZERO, "lines": (Line(id="x", amount=ZERO),)}
    remote_id = desk.copy(invoice(**nothing))
    assert desk.truth("invoice", remote_id)["status"] == "paid"
    with pytest.raises(RejectedError, match="cannot become void"):
        desk.copy(invoice(**nothing, status="void"), remote_id)


def test_a_copy_that_was_paid_in_part_is_not_voided(desk: Desk) -> None:
    """Stripe would not, and whose money it is only a person knows."""
    remote_id = desk.copy(invoice())
    desk.copy(part("p1", "50.00"))
    with pytest.raises(RejectedError, match="cannot become void"):
        desk.copy(invoice(status="void"), remote_id)


def test_a_copy_that_somebody_paid_at_stripe_is_told_as_it_is(desk: Desk) -> None:
    """The customer has paid twice: the engine compares what is due, and nothing is written about it."""
    remote_id = desk.copy(invoice())
    desk.world.stripe.edit("payment", None, {
        "currency": "EUR", "amount": "107.00", "applications": [{"invoice": remote_id, "amount": "107.00"}],
    })  # fmt: skip
    before = list(desk.steps)
    desk.copy(invoice(), remote_id)
    assert desk.steps == before
    told = desk.read("invoice", remote_id).document
    assert isinstance(told, Invoice)
    assert (told.due, told.paid) == (ZERO, Decimal("107.00"))
    with pytest.raises(RejectedError, match="due of the paid copy"):
        desk.copy(part("p1", "107.00"))
    assert desk.world.stripe.ledger.things["payment_record"] == {}


def test_a_payment_of_an_invoice_whose_copy_is_gone_is_refused_and_nothing_is_reported(desk: Desk) -> None:
    """Somebody deleted the draft: the payment was tried again for ever, and nobody was asked."""
    desk.invoices["inv-1"] = "in_gone"
    with pytest.raises(RejectedError, match="not there any more"):
        desk.copy(part("p1", "50.00"))
    assert desk.world.stripe.ledger.things["payment_record"] == {}


def test_a_payment_of_several_invoices_is_reported_for_each(desk: Desk) -> None:
    """Stripe decides itself how a report is divided, so that each application is one of its own."""
    desk.copy(invoice())
    ten = {"subtotal": Decimal(10), "tax": ZERO, "total": Decimal(10), "due": Decimal(10)}
    for place in (2, 3):
        desk.copy(invoice(id=f"inv-{place}", number=f"A-{place}", lines=(Line(id="l", amount=Decimal(10)),), **ten))
    payment = part("p1", "50.00", "inv-2", "inv-3")
    remote_id = desk.copy(payment)
    there = desk.read("payment", remote_id)
    assert isinstance(there.document, Payment)
    assert (there.document.amount, there.mark) == (Decimal("70.00"), "i.p1.1")
    assert [desk.truth("invoice", desk.invoices[f"inv-{n}"])["paid"] for n in (1, 2, 3)] == ["50.00", "10.00", "10.00"]
    (found,) = desk.world.run(desk.world.connector.find("payment", Probe(mark="i.p1.1", created_after=0.0)))
    assert found.id == remote_id
    with pytest.raises(RejectedError, match="several invoices"):
        desk.copy(msgspec.structs.replace(payment, refunded=Decimal(5)), remote_id)
    part_of_it = msgspec.structs.replace(payment, refunded=Decimal(5))
    with pytest.raises(ByHandError) as asked:
        desk.copy(part_of_it, remote_id)
    assert (asked.value.amount, asked.value.covers, asked.value.currency) == (Decimal(5), Decimal(5), "EUR")
    booked = msgspec.structs.replace(desk.wanted(part_of_it, remote_id), by_hand={"refunded": Decimal(5)})
    assert desk.documents.step(booked, desk.raw("payment", remote_id)) is None
    desk.copy(msgspec.structs.replace(payment, refunded=payment.amount), remote_id)
    returned = desk.read("payment", remote_id).document
    assert isinstance(returned, Payment)
    assert returned.refunded == payment.amount


def test_a_refund_that_a_person_reports_in_stripe_needs_no_note(desk: Desk) -> None:
    """Told to report it and to answer `booked`, a person was asked about twice the amount next."""
    desk.copy(invoice())
    ten = {"subtotal": Decimal(10), "tax": ZERO, "total": Decimal(10), "due": Decimal(10)}
    desk.copy(invoice(id="inv-2", number="A-2", lines=(Line(id="l", amount=Decimal(10)),), **ten))
    payment = part("p1", "50.00", "inv-2")
    remote_id = desk.copy(payment)
    back = msgspec.structs.replace(payment, refunded=Decimal(5))
    with pytest.raises(ByHandError) as asked:
        desk.copy(back, remote_id)
    assert asked.value.cure is not None
    assert asked.value.cure.endswith("or report it in Stripe, if it can be, and answer `retry`")
    desk.world.stripe.edit("payment", remote_id, {"refunded": "5.00"})
    assert desk.documents.step(desk.wanted(back, remote_id), desk.raw("payment", remote_id)) is None


def test_a_chargeback_of_what_was_paid_elsewhere_is_a_matter_for_a_person(desk: Desk) -> None:
    """A report of a payment has no place for it; what is won again is asked about too, once it was noted."""
    desk.copy(invoice())
    payment = part("p1", "50.00")
    remote_id = desk.copy(payment)
    dispute = Dispute(id="du_1", status="lost", amount=Decimal(50), withdrawn=Decimal(50))
    lost = msgspec.structs.replace(payment, disputes=(dispute,))
    for document, noted, amount in ((lost, "0", "50"), (payment, "50", "-50")):
        wanted = msgspec.structs.replace(desk.wanted(document, remote_id), by_hand={"charged_back": Decimal(noted)})
        with pytest.raises(ByHandError) as asked:
            desk.documents.step(wanted, desk.raw("payment", remote_id))
        assert (asked.value.field, asked.value.amount) == ("charged_back", Decimal(amount))
        assert asked.value.covers == document.charged_back
    done = msgspec.structs.replace(desk.wanted(lost, remote_id), by_hand={"charged_back": Decimal(50)})
    assert desk.documents.step(done, desk.raw("payment", remote_id)) is None


def test_when_a_copy_is_due_is_told_again_whenever_that_changes(desk: Desk) -> None:
    """On a final invoice, too; one that is due on no day any more has none of ours."""
    remote_id = desk.copy(invoice())
    for due_on in (date(2026, 12, 3), date(2027, 1, 3), None):
        desk.copy(invoice(due_on=due_on), remote_id)
        metadata = desk.world.stripe.objects("invoice")[remote_id]["metadata"]
        assert metadata.get("accord_due_on") == (due_on.isoformat() if due_on else None)
    assert desk.steps == ["create", "add_lines", "finalize", "update", "update", "update"]


def test_refunds_of_a_payment_are_reported_once_each(desk: Desk) -> None:
    """Their reference is unique at Stripe."""
    desk.copy(invoice())
    payment = part("p1", "50.00")
    remote_id = desk.copy(payment)
    for back in ("10.00", "20.00"):
        step = desk.documents.step(
            desk.wanted(msgspec.structs.replace(payment, refunded=Decimal(back))), desk.raw("payment", remote_id)
        )
        assert step is not None
        desk.write(desk.wanted(payment), step, remote_id)
        desk.world.clock.time += 48 * 3600
        assert isinstance(desk.write(desk.wanted(payment), step, remote_id), RejectedError)
        assert desk.truth("payment", remote_id)["refunded"] == back


def test_a_refund_that_failed_after_it_was_reported_is_noted_by_a_person(desk: Desk) -> None:
    """Stripe takes no report back: what is noted beside it is asked about whenever it is not right any more."""
    desk.copy(invoice())
    payment = part("p1", "50.00")
    remote_id = desk.copy(payment)
    desk.copy(msgspec.structs.replace(payment, refunded=Decimal(20)), remote_id)
    for back, noted, amount, covers in ((0, 0, -20, -20), (5, -20, 5, -15), (20, -20, 20, 0), (20, 5, -5, 0)):
        document = msgspec.structs.replace(payment, refunded=Decimal(back))
        wanted = msgspec.structs.replace(desk.wanted(document, remote_id), by_hand={"refunded": Decimal(noted)})
        with pytest.raises(ByHandError, match=f"{back} EUR of it went back, and {20 + noted}.00 EUR are told") as asked:
            desk.documents.step(wanted, desk.raw("payment", remote_id))
        assert (asked.value.amount, asked.value.covers) == (Decimal(amount), Decimal(covers))
        booked = msgspec.structs.replace(wanted, by_hand={"refunded": asked.value.covers})
        assert desk.documents.step(booked, desk.raw("payment", remote_id)) is None


def test_a_refund_is_reported_as_of_when_it_became_known(desk: Desk) -> None:
    """It was dated as the payment was, in a month that may be closed by now; before the payment none goes back."""
    desk.copy(invoice())
    payment = part("p1", "50.00", received_on=date(2026, 9, 30))
    remote_id = desk.copy(payment)
    known = datetime(2026, 11, 20, 9, tzinfo=UTC), datetime(2026, 9, 1, 9, tzinfo=UTC)
    for back, moment in zip(("10.00", "20.00"), known, strict=True):
        wanted = desk.wanted(msgspec.structs.replace(payment, refunded=Decimal(back)), remote_id)
        wanted = msgspec.structs.replace(wanted, known_at=moment.timestamp())
        step = desk.documents.step(wanted, desk.raw("payment", remote_id))
        assert step is not None
        desk.write(wanted, step, remote_id)
    (record,) = desk.world.stripe.ledger.things["payment_record"].values()
    days = [datetime.fromtimestamp(one, UTC).date() for one in record["refund_times"]]
    assert days == [date(2026, 11, 20), date(2026, 9, 30)]


def test_a_voided_credit_note_is_voided(desk: Desk) -> None:
    """Its invoice is due again."""
    remote_id = desk.copy(invoice())
    credit = desk.copy(note("n1", "20.00", "0", applied="20.00"))
    desk.copy(note("n1", "20.00", "0", applied="0", status="void"), credit)
    assert desk.truth("invoice", remote_id)["due"] == "107.00"
    with pytest.raises(RejectedError, match="voided there"):
        desk.copy(note("n1", "20.00", "0", applied="20.00"), credit)


# ---- people and Stripe's own ways ------------------------------------------------------------------


def test_a_coupon_of_the_customer_is_not_taken_off_a_copy(desk: Desk) -> None:
    """Stripe puts it on every invoice that does not say otherwise."""
    coupon = {"id": "di_1", "coupon": {"percent_off": 10}}
    desk.world.stripe.edit("customer", desk.customer, {"extra": {"discount": coupon}})
    remote_id = desk.copy(invoice())
    assert desk.truth("invoice", remote_id)["total"] == "107.00"
    there = desk.world.stripe.objects("invoice")[remote_id]
    assert there["discounts"] == []
    assert not any(one["discountable"] for one in there["lines"]["data"])
    own = desk.world.stripe.edit(
        "invoice", None, {"customer": desk.customer, "currency": "EUR", "lines": [{"amount": "10.00"}]}
    )
    assert desk.truth("invoice", own)["total"] == "9.00"


@pytest.mark.parametrize("balance", [-500, 300])
def test_a_balance_of_the_customer_keeps_a_copy_a_draft(desk: Desk, balance: int) -> None:
    """Stripe would settle the copy with it, and the money would be gone."""
    desk.world.stripe.edit("customer", desk.customer, {"extra": {"balance": balance}})
    with pytest.raises(RejectedError, match="balance"):
        desk.copy(invoice())
    (there,) = desk.world.stripe.objects("invoice").values()
    assert there["status"] == "draft"
    assert desk.world.stripe.objects("customer")[desk.customer]["balance"] == balance


def test_a_balance_that_came_while_a_copy_was_finalised_holds_it(desk: Desk) -> None:
    """Nobody looked between the look at the draft and its end: the copy is another invoice by now."""

    def late(request: HttpRequest, respond: Callable[[], HttpResponse]) -> HttpResponse:
        if "/finalize" in request.url:
            desk.world.stripe.edit("customer", desk.customer, {"extra": {"balance": -500}})
        return respond()

    desk.world.tamper = late
    with pytest.raises(RejectedError, match=r"balance was -5\.00 EUR, and is 0\.00 EUR by it"):
        desk.copy(invoice())


def draft_of(desk: Desk) -> str:
    """A copy whose lines are there, and which is not finalised yet."""
    wanted, raw, remote_id = desk.wanted(invoice()), None, ""
    for _ in range(2):
        step = desk.documents.step(wanted, raw)
        assert step is not None
        receipt = desk.write(wanted, step, remote_id or None)
        remote_id, raw = receipt.sighting.id, receipt.sighting.raw
    return remote_id


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        ([{"amount": "100.00", "tax": "7.00"}], "not one of the invoice's"),
        ([{"amount": "107.00", "metadata": {"accord_line": "l1"}}], "other amounts"),
        ([{"amount": "100.00", "tax": "7.00", "metadata": {"accord_line": "l1"}}] * 2, "twice"),
        (
            [{"amount": "100.00", "tax": "7.00", "metadata": {"accord_line": "l1"}},
             {"amount": "1.00", "metadata": {"accord_line": "l2"}}],
            "not one of the invoice's any more",
        ),
    ],
)  # fmt: skip
def test_a_copy_that_somebody_edited_is_held_and_not_overwritten(desk: Desk, lines: Any, word: str) -> None:
    """Neither finalised as it is, nor set right behind somebody's back."""
    remote_id = draft_of(desk)
    desk.world.stripe.edit("invoice", remote_id, {"lines": lines})
    with pytest.raises(RejectedError, match=word):
        desk.copy(invoice(), remote_id)
    assert desk.truth("invoice", remote_id)["status"] == "draft"


def test_lines_that_somebody_took_away_are_noticed_although_the_answer_is_an_old_one(desk: Desk) -> None:
    """A key brings back what was true yesterday; finalising on that would bill too little."""
    remote_id = draft_of(desk)
    desk.world.stripe.edit("invoice", remote_id, {"lines": []})
    with pytest.raises(RejectedError, match="taken away"):
        desk.copy(invoice(), remote_id)
    assert desk.truth("invoice", remote_id)["status"] == "draft"
    desk.world.clock.time += 48 * 3600
    desk.copy(invoice(), remote_id)
    assert desk.truth("invoice", remote_id)["total"] == "107.00"


def test_a_copy_that_was_finalised_before_it_was_complete_is_held(desk: Desk) -> None:
    """It bills too little, and nobody can add to it any more."""
    step = desk.documents.step(desk.wanted(invoice(number="", memo="")), None)
    assert step is not None
    remote_id = desk.write(desk.wanted(invoice()), step, None).sighting.id
    desk.world.stripe.edit("invoice", remote_id, {"status": "open"})
    with pytest.raises(RejectedError, match="add up to 0"):
        desk.copy(invoice(number="", memo="thanks"), remote_id)


def test_a_copy_whose_total_is_more_than_its_lines_is_held(desk: Desk) -> None:
    """Somebody put shipping costs on the draft."""
    there = json.loads(desk.raw("invoice", draft_of(desk)) or b"")
    shipping = {"amount_total": 595, "amount_tax": 95}
    raw = json.dumps({**there, "total": there["total"] + 595, "shipping_cost": shipping}).encode()
    with pytest.raises(RejectedError, match=r"add up to 112\.95 EUR and not to 107\.00"):
        desk.documents.step(desk.wanted(invoice()), raw)


def test_a_copy_that_stripe_was_told_to_collect_is_stopped(desk: Desk) -> None:
    """Somebody turned automatic collection on: a draft would be finalised and mailed within the hour."""
    remote_id = draft_of(desk)
    desk.world.stripe.edit("invoice", remote_id, {"auto_advance": True})
    assert desk.read("invoice", remote_id).collects
    desk.copy(invoice(), remote_id)
    assert not desk.read("invoice", remote_id).collects
    desk.world.clock.time += 7200
    assert desk.world.stripe.ledger.mails == []


def test_a_copy_that_is_collected_is_stopped_whatever_else_is_to_be_said_of_it(make_world: Callable[..., Any]) -> None:
    """Edited, or not wanted open any more by policy: it waited for a person, and was collected meanwhile."""
    desk = Desk(make_world(connection=OPEN))
    remote_id = desk.copy(invoice())
    there = json.loads(desk.raw("invoice", remote_id) or b"")
    stopped = Step(action="update", body={"auto_advance": "false"})
    edits: tuple[dict[str, Any], ...] = (
        {}, {"currency": "usd"}, {"customer": "cus_x"}, {"metadata": {}}, {"number": "B-1"},
    )  # fmt: skip
    for edit in edits:
        raw = json.dumps({**there, "auto_advance": True, **edit}).encode()
        assert desk.documents.step(desk.wanted(invoice()), raw) == stopped
    closed = Desk(make_world())
    raw = json.dumps({**there, "auto_advance": True}).encode()
    assert closed.documents.step(closed.wanted(invoice()), raw) == stopped
    with pytest.raises(RejectedError, match="can be paid there"):
        closed.documents.step(closed.wanted(invoice()), json.dumps(there).encode())


@pytest.mark.parametrize(
    ("says", "field"),
    [({"currency": "USD"}, "currency"), ({"customer": "other"}, "customer"), ({"number": "B-1"}, "number"),
     ({"id": "inv-9"}, "id")],
)  # fmt: skip
def test_a_copy_of_something_else_is_refused(desk: Desk, says: Any, field: str) -> None:
    """Linked to the wrong object, or its head was edited."""
    remote_id = desk.copy(invoice())
    wanted = desk.wanted(invoice(**says))
    if "customer" in says:
        wanted = msgspec.structs.replace(wanted, document=msgspec.structs.replace(wanted.document, customer="cus_x"))
    with pytest.raises(RejectedError) as refused:
        desk.documents.step(wanted, desk.raw("invoice", remote_id))
    assert refused.value.field == field


def test_a_product_that_policy_maps_is_billed_as_that_product(make_world: Callable[..., Any]) -> None:
    """At a price for all of it, so that Stripe has nothing to multiply and to round."""
    desk = Desk(make_world(connection=OPEN, items={"plan": "prod_at_stripe"}))
    line = Line(id="l", product="plan", quantity=Decimal(3), amount=Decimal(10))
    ten = {"subtotal": Decimal(10), "tax": ZERO, "total": Decimal(10), "due": Decimal(10), "lines": (line,)}
    remote_id = desk.copy(invoice(**ten))
    (there,) = desk.world.stripe.objects("invoice")[remote_id]["lines"]["data"]
    assert there["pricing"]["price_details"]["product"] == "prod_at_stripe"
    copy = desk.read("invoice", remote_id).document
    assert isinstance(copy, Invoice)
    (seen,) = copy.lines
    assert (seen.product, seen.quantity, seen.amount) == ("plan", Decimal(3), Decimal(10))


# ---- payments and credit notes that do not fit -----------------------------------------------------


@pytest.mark.parametrize(
    ("payment", "field"),
    [
        (part("p", "5.00", status="failed"), "status"),
        (part("p", "5.00", applications=()), "applications"),
        (part("p", "5.00", amount=Decimal(6)), "applications"),
        (part("p", "5.00", "inv-1"), "applications"),
        (part("p", "5.00", received_on=None), "received_on"),
        (part("p", "-10.00", "inv-2"), "applications.0.amount"),
        (part("p", "5.00", *(f"in_{number:020}" for number in range(30))), "applications"),
        (part("p", "500.00"), "applications"),
    ],
)
def test_a_payment_that_stripe_cannot_hold_is_refused(desk: Desk, payment: Payment, field: str) -> None:
    """Before anything is reported."""
    desk.copy(invoice())
    with pytest.raises(RejectedError) as refused:
        desk.copy(payment)
    assert refused.value.field == field
    assert desk.world.stripe.ledger.things["payment_record"] == {}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (part("p", "60.00"), "applications"),
        (part("p", "50.00", currency="USD"), "currency"),
        (part("q", "50.00"), "id"),
        (part("p", "50.00", status="void"), "status"),
    ],
)
def test_a_payment_that_is_another_one_by_now_is_held(desk: Desk, changed: Payment, field: str) -> None:
    """What settled an invoice at Stripe stays."""
    desk.copy(invoice())
    remote_id = desk.copy(part("p", "50.00"))
    with pytest.raises(RejectedError) as refused:
        desk.documents.step(desk.wanted(changed), desk.raw("payment", remote_id))
    assert refused.value.field == field


def test_a_payment_that_was_reported_twice_is_held(desk: Desk) -> None:
    """Somebody copied our marks by hand."""
    desk.copy(invoice())
    remote_id = desk.copy(part("p", "50.00"))
    there = json.loads(desk.raw("payment", remote_id) or b"")
    raw = json.dumps({**there, "others": [{**there, "id": "inpay_2"}]}).encode()
    with pytest.raises(RejectedError, match="twice"):
        desk.documents.step(desk.wanted(part("p", "50.00")), raw)


def test_a_payment_that_settles_one_more_invoice_by_now_says_so_where_it_was_reported_first(desk: Desk) -> None:
    """Its reports are looked for by what the first one says: of one that it does not name nobody would know."""
    desk.copy(invoice())
    desk.copy(invoice(id="inv-2", number="A-2"))
    remote_id = desk.copy(part("p", "50.00"))
    more = part("p", "50.00", "inv-2")
    step = desk.documents.step(desk.wanted(more), desk.raw("payment", remote_id))
    assert step is not None
    assert step.body["first"]["metadata"] == {ALSO_KEY: desk.invoices["inv-2"]}
    desk.copy(more, remote_id)
    there = desk.read("payment", remote_id).document
    assert isinstance(there, Payment)
    assert [(one.invoice, one.amount) for one in there.applications] == [
        (desk.invoices["inv-1"], Decimal("50.00")),
        (desk.invoices["inv-2"], Decimal("10.00")),
    ]


def test_a_payment_that_settles_other_invoices_by_now_is_held(desk: Desk) -> None:
    """Nothing at Stripe moves a payment from one invoice to another."""
    desk.copy(invoice())
    desk.copy(invoice(id="inv-2", number="A-2"))
    remote_id = desk.copy(part("p", "50.00", "inv-2"))
    for changed in (part("p", "50.00"), msgspec.structs.replace(
        part("p", "50.00"), applications=(Application(invoice="inv-2", amount=Decimal("50.00")),)
    )):  # fmt: skip
        with pytest.raises(RejectedError, match="settles"):
            desk.documents.step(desk.wanted(changed), desk.raw("payment", remote_id))


@pytest.mark.parametrize(
    ("credit", "field"),
    [
        (note("n", "5.00", "0", applied="5.00", invoice=""), "invoice"),
        (note("n", "5.00", "0", applied="5.00", status="void"), "status"),
        (note("n", "-1.00", "0", applied="0"), "total"),
        (note("n", "5.00", "0", applied="0"), "applied"),
        (note("n", "5.00", "0", applied="5.00", total=Decimal(5), lines=(
            Line(id="a", amount=Decimal(6)), Line(id="b", amount=Decimal(-1)))), "lines.b"),
    ],
)  # fmt: skip
def test_a_credit_note_that_stripe_cannot_hold_is_refused(desk: Desk, credit: CreditNote, field: str) -> None:
    """Nothing is applied, mailed or put on a balance on the way."""
    desk.copy(invoice())
    with pytest.raises(RejectedError) as refused:
        desk.copy(credit)
    assert refused.value.field == field
    assert desk.world.stripe.objects("credit_note") == {}


def test_a_tax_cannot_be_credited_to_an_invoice_without_any(desk: Desk) -> None:
    """Stripe wants a rate that it made for the invoice."""
    untaxed = {"lines": (Line(id="l", amount=Decimal(50)),), "subtotal": Decimal(50), "tax": ZERO}
    desk.copy(invoice(**untaxed, total=Decimal(50), due=Decimal(50)))
    with pytest.raises(RejectedError, match="its invoice has none"):
        desk.copy(note("n", "5.00", "1.00", applied="6.00"))
    desk.invoices["inv-1"] = "in_gone"
    with pytest.raises(RejectedError, match="is gone"):
        desk.copy(note("n", "5.00", "0", applied="5.00"))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (note("n", "6.00", "0", applied="5.00"), "total"),
        (note("n", "4.00", "1.00", applied="5.00"), "tax"),
        (note("n", "5.00", "0", applied="0"), "applied"),
        (note("n", "5.00", "0", applied="5.00", currency="USD"), "currency"),
        (note("n", "5.00", "0", applied="5.00", invoice="inv-2"), "invoice"),
        (note("m", "5.00", "0", applied="5.00"), "id"),
    ],
)
def test_a_credit_note_that_is_another_one_by_now_is_held(desk: Desk, changed: CreditNote, field: str) -> None:
    """What it comes to is never changed at Stripe."""
    desk.copy(invoice())
    remote_id = desk.copy(note("n", "5.00", "0", applied="5.00"))
    with pytest.raises(RejectedError) as refused:
        desk.documents.step(desk.wanted(changed), desk.raw("credit_note", remote_id))
    assert refused.value.field == field


@pytest.mark.parametrize("number", ["C-9", ""])
def test_the_number_of_a_credit_note_follows(desk: Desk, number: str) -> None:
    """Stripe has one of its own, and ours beside it."""
    desk.copy(invoice())
    remote_id = desk.copy(note("n", "5.00", "0", applied="5.00"))
    renamed = note("n", "5.00", "0", applied="5.00", number=number)
    assert desk.copy(renamed, remote_id) == remote_id
    assert desk.documents.step(desk.wanted(renamed), desk.raw("credit_note", remote_id)) is None
    assert desk.world.stripe.objects("credit_note")[remote_id]["metadata"].get("accord_number", "") == number


def test_a_void_credit_note_keeps_its_number(desk: Desk) -> None:
    """It counts nowhere, and whether Stripe still takes it is known to nobody."""
    desk.copy(invoice())
    remote_id = desk.copy(note("n", "5.00", "0", applied="5.00"))
    gone = note("n", "5.00", "0", applied="5.00", status="void")
    desk.copy(gone, remote_id)
    renamed = msgspec.structs.replace(gone, number="C-9")
    assert desk.documents.step(desk.wanted(renamed), desk.raw("credit_note", remote_id)) is None


def test_a_credit_note_is_made_once_even_when_keys_are_forgotten(desk: Desk) -> None:
    """Its marker stands on it, and its invoice's credit notes are few."""
    desk.copy(invoice())
    credit = note("n", "5.00", "0.35", applied="5.35", number="")
    step = desk.documents.step(desk.wanted(credit), None)
    assert step is not None
    first = desk.write(desk.wanted(credit), step, None)
    desk.world.clock.time += 48 * 3600
    again = desk.write(desk.wanted(credit), step, None)
    assert (first.sighting, again.is_replay) == (again.sighting, True)
    assert len(desk.world.stripe.objects("credit_note")) == 1
    for probe in (Probe(mark="i.n.1", created_after=0.0), Probe(mark="i.x.1", unique={"number": "A-1-CN-01"})):
        (found,) = desk.world.run(desk.world.connector.find("credit_note", probe))
        assert found == first.sighting


def test_steps_that_nobody_knows_are_bugs(desk: Desk) -> None:
    """As is one that names no object."""
    for kind, action in (("invoice", "pay"), ("invoice", "void")):
        write = Write(key="k", action=action, kind=kind, remote_id=None, body={})
        (receipt,) = desk.world.run(desk.world.connector.write([write]))
        assert isinstance(receipt, BugError)


@pytest.mark.parametrize("is_one_batch", [True, False])
@pytest.mark.parametrize("other", [part("b", "59.00"), note("b", "59.00", "0", applied="59.00")])
def test_of_two_that_do_not_fit_together_only_one_is_told(desk: Desk, other: Document, *, is_one_batch: bool) -> None:
    """Side by side, each saw 107.00 due: of the second one Stripe took what was left, without a word."""
    remote_id = desk.copy(invoice())
    pause = asyncio.sleep
    shell = dataclasses.replace(desk.world.shell, pause=lambda: pause(0))
    connector = PROVIDER.build(desk.world.config, desk.world.vault, shell)
    writes = []
    for one in (part("a", "60.00"), other):
        step = desk.documents.step(desk.wanted(one), None)
        assert step is not None
        writes.append(Write(key=f"k{one.id}", action=step.action, kind=kind_of(one), remote_id=None, body=step.body))

    async def send() -> list[Any]:
        batches = [writes] if is_one_batch else [[one] for one in writes]
        return [one for some in await asyncio.gather(*map(connector.write, batches)) for one in some]

    receipts = desk.world.run(send())

    (refused,) = [one for one in receipts if isinstance(one, RejectedError)]
    assert refused.field == ("applied" if isinstance(other, CreditNote) else "applications")
    truth = desk.truth("invoice", remote_id)
    assert (truth["paid"], truth["credited"]) in {("60.00", "0.00"), ("59.00", "0.00"), ("0.00", "59.00")}
