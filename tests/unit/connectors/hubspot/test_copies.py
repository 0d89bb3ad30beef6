# ruff: noqa: D107 -- test doubles
"""Copies of invoices: from nothing to what is wanted, whatever is lost on the way, and over nobody's changes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.hubspot.sandbox import HubSpotSettings
from connectors.hubspot.translate import HubSpotDocuments
from core.errors import AmbiguousError, GoneError, InvalidInputError, ReauthorizeError, RejectedError, ReplyError
from core.errors import RetryError as Retry
from core.model.documents import Invoice, Line
from core.model.money import exponent
from core.model.paper import Step, WantedDocument
from core.ports import HttpRequest, HttpResponse, Missing, Probe, Receipt, Sighting, Write, Written
from tests.support import documents
from tests.unit.connectors.hubspot.conftest import World

MARK = "instance.mapping.1"


def line(number: int, **changes: Any) -> Line:
    """One of a hundred."""
    return msgspec.structs.replace(Line(id=f"il_{number}", description=f"Seat {number}", amount=Decimal(10)), **changes)


def invoice(customer: str, *lines: Line, **changes: Any) -> Invoice:
    """An open invoice of these lines."""
    lines = lines or (line(1), line(2, discount=Decimal("1.50"), tax=Decimal("1.62")))
    subtotal, discount, tax = (
        sum((getattr(one, name) for one in lines), Decimal(0)) for name in ("amount", "discount", "tax")
    )
    total = subtotal - discount + tax
    plain = Invoice(
        id="",
        number="INV-7",
        customer=customer,
        currency="EUR",
        status="open",
        issued_on=date(2026, 11, 1),
        due_on=date(2026, 12, 1),
        lines=tuple(lines),
        subtotal=subtotal,
        discount=discount,
        tax=tax,
        total=total,
        due=total,
        memo="Thank you",
    )
    return msgspec.structs.replace(plain, **changes)


class Copyist:
    """What the engine does with one copy: a fresh look, one step, one write, until nothing is left to do."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.documents = HubSpotDocuments(world.config)
        self.mark = MARK
        self.remote_id: str | None = None
        self.receipts: list[Receipt] = []

    def look(self) -> bytes | None:
        """A fresh look; the object is found by its id, or by our mark while that is not known."""
        if self.remote_id is None:
            found = self.world.run(self.world.connector.find("invoice", Probe(mark=self.mark)))
            assert len(found) <= 1
            if not found:
                return None
            self.remote_id = found[0].id
        there = self.world.run(self.world.connector.read("invoice", [self.remote_id]))[self.remote_id]
        return there.raw if isinstance(there, Sighting) else None

    def send(self, step: Step, *, is_repeat: bool = False) -> Receipt:
        """One write."""
        write = Write(
            key=f"key-{len(self.receipts)}",
            action=step.action,
            kind="invoice",
            remote_id=self.remote_id,
            body=json.loads(json.dumps(step.body)),
            is_repeat=is_repeat,
        )
        receipt: Receipt
        (receipt,) = self.world.run(self.world.connector.write([write]))
        self.receipts.append(receipt)
        if isinstance(receipt, Written):
            self.documents.read("invoice", receipt.sighting.raw)  # the engine does so after every step
            self.remote_id = receipt.sighting.id
            there = self.world.run(self.world.connector.read("invoice", [self.remote_id]))[self.remote_id]
            if step.action == "create" and not receipt.is_replay:
                # HubSpot's answer leaves out what it reckons by itself
                assert self.documents.read("invoice", receipt.sighting.raw) == self.documents.read("invoice", there.raw)
            else:
                assert receipt.sighting == there
        return receipt

    def step(self, wanted: Invoice) -> Step | None:
        """What is to be done next."""
        return self.documents.step(WantedDocument(document=wanted, mark=self.mark), self.look())

    def next_step(self, wanted: Invoice) -> Step:
        """As `step`, where something is to be done."""
        step = self.step(wanted)
        assert step is not None
        return step

    def bring(self, wanted: Invoice, most: int = 12) -> list[str]:
        """To its end; returns the actions."""
        taken: list[str] = []
        for _ in range(most):
            step = self.step(wanted)
            if step is None:
                return taken
            taken.append(step.action)
            receipt = self.send(step)
            if isinstance(receipt, RejectedError):
                raise receipt
        raise AssertionError(f"still something to do after {taken}")

    def read(self) -> Invoice:
        """The copy, in neutral words."""
        raw = self.look()
        assert raw is not None
        found = self.documents.read("invoice", raw).document
        assert isinstance(found, Invoice)
        return found

    @property
    def seen(self) -> dict[str, Any]:
        """The copy as a person sees it."""
        return dict(self.world.hubspot.neutral("invoice")[self.remote_id])


@pytest.fixture
def contact(world: Any) -> str:
    """Whose invoices they are."""
    return str(world.hubspot.edit("customer", None, {"name": "Ada Lovelace"}))


@pytest.fixture
def copyist(world: Any) -> Copyist:
    """One copy to be made."""
    return Copyist(world)


def invoices_of(world: Any) -> list[str]:
    """Their remote ids."""
    return list(world.hubspot.objects("invoice"))


def long(contact: str) -> Invoice:
    """An invoice of more lines than one batch makes."""
    return invoice(contact, *(line(number) for number in range(101)))


def test_a_copy_is_made_whole_and_then_left_alone(world: Any, copyist: Copyist, contact: str) -> None:
    """Lines, then customer, status and amounts at once: and a person sees what the origin says, to the cent."""
    wanted = invoice(contact)

    assert copyist.bring(wanted) == ["create"]
    assert copyist.seen == {
        "customer": contact,
        "number": "INV-7",
        "currency": "EUR",
        "status": "open",
        "issued_on": "2026-11-01",
        "due_on": "2026-12-01",
        "lines": [
            {"description": "Seat 1", "quantity": "1", "amount": "10.00", "discount": "0.00", "tax": "0.00"},
            {"description": "Seat 2", "quantity": "1", "amount": "10.00", "discount": "1.50", "tax": "1.62"},
        ],
        "subtotal": "20.00",
        "discount": "1.50",
        "tax": "1.62",
        "total": "20.12",
        "paid": "0.00",
        "credited": "0.00",
        "due": "20.12",
        "memo": "Thank you",
        "mark": MARK,
        "is_payable": False,
    }
    before = len(world.hubspot.mutations)
    assert copyist.bring(wanted) == []
    assert len(world.hubspot.mutations) == before
    assert copyist.read() == msgspec.structs.replace(wanted, id=copyist.remote_id)


def test_a_copy_of_many_lines_is_a_draft_until_all_are_there(copyist: Copyist, contact: str) -> None:
    """Nobody takes a part of it for the whole."""
    copyist.send(copyist.next_step(long(contact)))
    assert (copyist.seen["status"], len(copyist.seen["lines"])) == ("draft", 100)
    assert copyist.read().customer == contact

    assert copyist.bring(long(contact)) == ["add_lines", "update"]
    assert (copyist.seen["status"], copyist.seen["total"]) == ("open", "1010.00")


# ---- nothing twice -------------------------------------------------------------------------------------


class Cut:
    """Breaks the connection at one call of a test's choice, before or after HubSpot acted."""

    def __init__(self, world: World, number: int, *, executed: bool) -> None:
        self.world, self.left, self.executed = world, number, executed

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, or break."""
        self.left -= 1
        if self.left != 0:
            return self.world.hubspot.respond(request)
        if self.executed:
            self.world.hubspot.respond(request)
        raise ConnectionResetError("cut")


def survive(copyist: Copyist, wanted: Invoice, most: int = 30) -> None:
    """Like the engine after a crash: what is in doubt is looked at afresh, a create is repeated."""
    repeated: Step | None = None
    for _ in range(most):
        try:
            step = repeated or copyist.step(wanted)
        except Retry:
            continue
        if step is None:
            return
        receipt = copyist.send(step, is_repeat=repeated is not None)
        is_open = isinstance(receipt, AmbiguousError) or (repeated is not None and not isinstance(receipt, Written))
        repeated = step if step.action == "create" and is_open else None
    raise AssertionError("it never ends")


@given(wanted=documents.invoices(), cut=st.integers(1, 60), executed=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_invoice_arrives_to_the_minor_unit_or_is_refused(
    make_world: Callable[..., Any], wanted: Invoice, cut: int, executed: Any
) -> None:
    """In currencies of no, two and three decimals, with a connection that breaks somewhere."""
    world = make_world()
    world.run(world.connector.prepare())
    copyist = Copyist(world)
    contact = world.hubspot.edit("customer", None, {"name": "Ada"})
    wanted = msgspec.structs.replace(wanted, id="", customer=contact)
    world.exchange = Cut(world, cut, executed=executed)

    survive(copyist, wanted)

    read = copyist.read()
    if wanted.status == "draft":
        # a draft's amounts are those of its lines
        wanted = msgspec.structs.replace(wanted, paid=Decimal(0), written_off=Decimal(0), due=wanted.total)
    assert read == msgspec.structs.replace(wanted, id=copyist.remote_id)
    seen, places = copyist.seen, exponent(wanted.currency)
    for name in ("subtotal", "discount", "tax", "total", "paid", "credited", "due"):
        assert seen[name] == f"{getattr(wanted, name):.{places}f}"
    for line_seen, one in zip(seen["lines"], wanted.lines, strict=True):
        assert [line_seen[name] for name in ("amount", "discount", "tax")] == [
            f"{getattr(one, name):.{places}f}" for name in ("amount", "discount", "tax")
        ]
    assert len(invoices_of(world)) == 1
    assert len(world.hubspot.objects("line_item")) == len(wanted.lines)


@pytest.mark.parametrize("executed", [True, False])
@pytest.mark.parametrize("number", range(1, 46))
def test_a_connection_that_breaks_at_any_call_doubles_nothing(
    world: Any, copyist: Copyist, contact: str, number: int, executed: Any
) -> None:
    """Flexprice leaves an orphan draft for each attempt; a lost answer must be found instead."""
    world.exchange = Cut(world, number, executed=executed)

    survive(copyist, invoice(contact))

    assert invoices_of(world) == [copyist.remote_id]
    assert len(world.hubspot.objects("line_item")) == 2
    assert (copyist.seen["total"], copyist.seen["status"], len(copyist.seen["lines"])) == ("20.12", "open", 2)


def test_lines_that_are_there_in_part_are_completed(world: Any, copyist: Copyist, contact: str) -> None:
    """250 lines go in three steps, and a step of which some lines are made, and not tied, makes none of them again."""
    wanted = invoice(contact, *(line(number) for number in range(250)))
    copyist.send(copyist.next_step(wanted))
    second = copyist.next_step(wanted)
    some = [
        {"id": one["accord_ref"], "idProperty": "accord_ref", "properties": one} for one in second.body["lines"][:40]
    ]
    assert world.call("POST", "/crm/objects/2026-09/line_items/batch/upsert", {"inputs": some})[0] == 200

    assert copyist.bring(wanted) == ["add_lines", "add_lines", "update"]

    assert len(world.hubspot.objects("line_item")) == 250
    assert [one["description"] for one in copyist.seen["lines"]] == [f"Seat {number}" for number in range(250)]
    assert copyist.seen["total"] == "2500.00"


def test_a_late_create_undoes_nothing(copyist: Copyist, contact: str) -> None:
    """The first request lands when the copy is long finished: it says nothing of a status or an amount."""
    first = copyist.next_step(invoice(contact))
    copyist.bring(invoice(contact))
    before = copyist.seen

    receipt = copyist.send(first, is_repeat=True)
    assert isinstance(receipt, Written)
    assert receipt.is_replay
    late = copyist.send(first)
    assert isinstance(late, Written)
    assert late.is_replay
    assert copyist.seen == before
    assert copyist.bring(invoice(contact)) == []


# ---- kept current --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "native"), [("paid", "paid"), ("void", "voided"), ("uncollectible", "open"), ("open", "open")]
)
def test_every_status_has_its_place(world: Any, copyist: Copyist, contact: str, status: Any, native: str) -> None:
    """HubSpot has no word for uncollectible: it stays open there, and accord_status says so."""
    start = invoice(contact)
    copyist.bring(start)
    paid = {"paid": start.total} if status == "paid" else {"written_off": start.total} if status != "open" else {}
    wanted = msgspec.structs.replace(start, status=status, due=Decimal(0) if paid else start.due, **paid)

    steps = {"open": [], "void": ["void"]}.get(status, ["update"])
    assert copyist.bring(wanted) == steps

    assert world.hubspot.objects("invoice")[copyist.remote_id]["properties"]["hs_invoice_status"] == native
    assert copyist.seen["status"] == status
    assert copyist.seen["due"] == ("0.00" if paid else "20.12")
    assert copyist.read().status == status
    assert copyist.read().written_off == wanted.written_off


def test_part_payments_are_told_and_a_bounced_one_is_taken_back(copyist: Copyist, contact: str) -> None:
    """A part payment does not make an invoice paid."""
    start = invoice(contact)
    part = msgspec.structs.replace(start, paid=Decimal("5.00"), credited=Decimal("0.12"), due=Decimal("15.00"))
    full = msgspec.structs.replace(start, status="paid", paid=start.total, due=Decimal(0))
    for wanted, told in (
        (part, ("open", "5.00", "0.12", "15.00")),
        (full, ("paid", "20.12", "0.00", "0.00")),
        (start, ("open", "0.00", "0.00", "20.12")),
    ):
        copyist.bring(wanted)
        assert tuple(copyist.seen[name] for name in ("status", "paid", "credited", "due")) == told
        assert copyist.step(wanted) is None


def test_an_account_that_takes_no_paid_is_told_open(make_world: Any) -> None:
    """Whether HubSpot takes `paid` for invoices that it does not bill is not verified: a setting."""
    world = make_world(paid_status="open")
    world.run(world.connector.prepare())
    copyist = Copyist(world)
    start = invoice(world.hubspot.edit("customer", None, {"name": "Ada"}))
    wanted = msgspec.structs.replace(start, status="paid", paid=start.total, due=Decimal(0))

    copyist.bring(wanted)

    assert world.hubspot.objects("invoice")[copyist.remote_id]["properties"]["hs_invoice_status"] == "open"
    assert copyist.read().status == "paid"
    assert copyist.bring(wanted) == []


# ---- whose it is ---------------------------------------------------------------------------------------


def test_an_invoice_is_only_ever_its_customers(world: Any, copyist: Copyist) -> None:
    """Flexprice took the newest contact. Here a copy is made with a tie to its own."""
    company = world.hubspot.edit("customer", None, {"name": "Acme", "customer_type": "company"})
    world.hubspot.edit("customer", None, {"name": "Newest"})

    copyist.bring(invoice(company))

    there = world.hubspot.objects("invoice")[copyist.remote_id]
    assert (there["company"], there["contact"]) == ([company], [])
    assert copyist.read().customer == company


def test_another_contact_on_a_copy_is_somebodys_and_ours_is_put_back(
    world: Any, copyist: Copyist, contact: str
) -> None:
    """A person chose somebody else: the customer's own tie comes back, and the other one stays theirs."""
    copyist.bring(invoice(contact))
    other = world.hubspot.edit("customer", None, {"name": "Grace"})
    world.hubspot.edit("invoice", copyist.remote_id, {"customer": other})
    assert copyist.read().customer == other

    assert copyist.bring(invoice(contact)) == ["tie"]

    assert copyist.read().customer == contact
    assert world.hubspot.objects("invoice")[copyist.remote_id]["contact"] == [other, contact]


def test_a_customer_that_is_another_object_by_now_takes_the_copy_along(
    world: Any, copyist: Copyist, contact: str
) -> None:
    """It was linked to the wrong person first: on that one the invoices of somebody else stayed, for good."""
    copyist.bring(invoice(contact))
    beside, right = (world.hubspot.edit("customer", None, {"name": name}) for name in ("Beside", "Right"))
    world.hubspot.edit("invoice", copyist.remote_id, {"contacts": [contact, beside]})

    assert copyist.bring(invoice(right)) == ["tie", "update"]

    assert world.hubspot.objects("invoice")[copyist.remote_id]["contact"] == [beside, right]
    assert copyist.read().customer == right


def test_a_former_customer_that_cannot_be_taken_off_is_unclear_and_tried_again(
    world: Any, copyist: Copyist, contact: str
) -> None:
    """The new tie is there by then: that is not nothing."""
    copyist.bring(invoice(contact))
    firm = world.hubspot.edit("customer", None, {"name": "Firm", "customer_type": "company"})
    on(world, "/labels/archive", saying(500, {}), times=1)

    assert isinstance(copyist.send(copyist.next_step(invoice(firm))), AmbiguousError)

    assert copyist.bring(invoice(firm)) == ["tie", "update"]
    there = world.hubspot.objects("invoice")[copyist.remote_id]
    assert (there["company"], there["contact"]) == ([firm], [])


def test_a_merged_customer_takes_the_copy_along(world: Any, copyist: Copyist, contact: str) -> None:
    """HubSpot makes a new contact of two; the mapping follows, and so does what the copy says."""
    copyist.bring(invoice(contact))
    other = world.hubspot.edit("customer", None, {"name": "Grace"})
    new = world.hubspot.merge("customer", contact, other)

    assert copyist.read().customer == new
    assert copyist.bring(invoice(new)) == ["update"]
    assert copyist.bring(invoice(new)) == []


def test_a_customer_that_is_gone_is_refused(world: Any, copyist: Copyist, contact: str) -> None:
    """And nobody has an invoice of nobody's."""
    world.hubspot.delete("customer", contact)

    assert isinstance(copyist.send(copyist.next_step(invoice(contact))), GoneError)
    assert invoices_of(world) == []


# ---- what people do ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "paid"},
        {"number": "somebody's own"},
        {"extra": {"accord_balance": "1"}},
        {"extra": {"accord_paid": ""}},
        {"extra": {"accord_total": ""}},
        {"extra": {"accord_status": "banana"}},
        {"extra": {"accord_ref": ""}},
        {"due_on": "2030-01-01"},
        {"memo": "changed"},
    ],
)
def test_what_a_person_changes_is_put_back(world: Any, copyist: Copyist, contact: str, changes: Any) -> None:
    """Status, balance, our own properties."""
    copyist.bring(invoice(contact))
    before = copyist.seen
    world.hubspot.edit("invoice", copyist.remote_id, changes)

    assert copyist.bring(invoice(contact)) == ["update"]
    assert copyist.seen == before


@pytest.mark.parametrize("billable", ["true", ""])
def test_a_copy_that_hubspot_was_told_to_bill_is_billed_no_more(
    world: Any, copyist: Copyist, contact: str, billable: str
) -> None:
    """Before anything else is done about it: what else was changed is put back by a write of its own."""
    copyist.bring(invoice(contact))
    before = copyist.seen
    world.hubspot.edit("invoice", copyist.remote_id, {"extra": {"hs_invoice_billable": billable}, "memo": "changed"})

    assert copyist.bring(invoice(contact)) == ["unbill", "update"]
    assert copyist.seen == before


def test_what_is_void_is_billed_to_nobody(world: Any, copyist: Copyist, contact: str) -> None:
    """It has no step of its own: what HubSpot would refuse of a void copy is not asked of it first."""
    void = invoice(contact, status="void", due=Decimal(0))
    copyist.bring(invoice(contact))
    copyist.bring(void)
    world.hubspot.edit("invoice", copyist.remote_id, {"extra": {"hs_invoice_billable": "true"}})

    assert copyist.bring(void) == ["update"]


def test_what_the_document_leaves_blank_is_somebodys_to_fill_in(world: Any, copyist: Copyist, contact: str) -> None:
    """A comment, a title, dates: HubSpot's own or a person's."""
    wanted = invoice(contact, memo="", number="", issued_on=None, due_on=None)
    copyist.bring(wanted)
    world.hubspot.edit("invoice", copyist.remote_id, {"memo": "called them", "number": "x", "due_on": "2030-01-01"})

    assert copyist.step(wanted) is None


@pytest.mark.parametrize("name", ["accord_subtotal", "accord_discount", "accord_tax", "accord_total"])
def test_an_amount_that_a_person_changed_is_held(world: Any, copyist: Copyist, contact: str, name: str) -> None:
    """Never overwritten."""
    copyist.bring(invoice(contact))
    world.hubspot.edit("invoice", copyist.remote_id, {"extra": {name: "99.99"}})

    with pytest.raises(RejectedError, match=rf"{name} is 99\.99 at HubSpot, not"):
        copyist.step(invoice(contact))
    assert world.hubspot.objects("invoice")[copyist.remote_id]["properties"][name] == "99.99"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"unit_amount": "12"}, "line il_1 differs at HubSpot: price is 12, not 10.00"),
        ({"quantity": "3"}, "quantity is 3, not 1"),
        ({"discount": "1"}, "discount is 1, not 0.00"),
        ({"extra": {"accord_tax": "9"}}, "accord_tax is 9, not 0.00"),
        ({"extra": {"accord_amount": ""}}, "accord_amount is blank, not 10.00"),
        ({"extra": {"hs_line_item_currency_code": "JPY", "price": "10.4"}}, "price is 10.4, not 10.00"),
    ],
)
def test_a_line_that_a_person_changed_is_held(
    world: Any, copyist: Copyist, contact: str, changes: Any, problem: str
) -> None:
    """And named."""
    copyist.bring(invoice(contact))
    first = min(world.hubspot.objects("line_item"))
    world.hubspot.edit("line_item", first, changes)

    with pytest.raises(RejectedError, match=problem) as refused:
        copyist.step(invoice(contact))
    assert refused.value.field == "lines.0"


def test_a_void_that_tells_no_amounts_voids_the_copy_and_leaves_its_amounts(copyist: Copyist, contact: str) -> None:
    """QuickBooks puts all of a void to nothing; who never saw it before cannot know what it was."""
    whole = invoice(contact)
    copyist.bring(whole)
    nothing = dict.fromkeys(("subtotal", "discount", "tax", "total", "due"), Decimal(0))
    lines = tuple(
        msgspec.structs.replace(one, unit_amount=Decimal(0), amount=Decimal(0), discount=Decimal(0), tax=Decimal(0))
        for one in whole.lines
    )

    assert copyist.bring(msgspec.structs.replace(whole, status="void", lines=lines, **nothing)) == ["void"]

    assert copyist.seen["status"] == "void"
    assert (copyist.read().total, copyist.read().due) == (whole.total, Decimal(0))


def test_a_line_that_a_person_took_off_is_held_not_made_again(world: Any, copyist: Copyist, contact: str) -> None:
    """Even if they made the copy a draft before."""
    copyist.bring(invoice(contact))
    world.hubspot.delete("line_item", min(world.hubspot.objects("line_item")))

    with pytest.raises(RejectedError, match="line il_1 differs at HubSpot: it is not there any more"):
        copyist.step(invoice(contact))
    with pytest.raises(ReplyError, match="does not add up: subtotal is 20, but its parts sum up to 10"):
        copyist.read()


def test_a_line_that_a_person_put_on_is_held(world: Any, copyist: Copyist, contact: str) -> None:
    """In a draft as well."""
    wanted = long(contact)
    copyist.send(copyist.next_step(wanted))
    extra = world.hubspot.edit("line_item", None, {"invoice": copyist.remote_id, "description": "Tip", "amount": "5"})

    with pytest.raises(RejectedError, match="is none of the document's"):
        copyist.step(wanted)
    world.hubspot.delete("line_item", extra)
    assert copyist.bring(wanted) == ["add_lines", "update"]


def test_a_voided_copy_is_held(world: Any, copyist: Copyist, contact: str) -> None:
    """HubSpot opens no voided invoice again."""
    copyist.bring(invoice(contact))
    world.hubspot.edit("invoice", copyist.remote_id, {"status": "void"})

    with pytest.raises(RejectedError, match="was voided at HubSpot"):
        copyist.step(invoice(contact))
    assert copyist.read().status == "void"


def test_another_currency_is_held(world: Any, copyist: Copyist, contact: str) -> None:
    """While it is a draft, HubSpot lets people change it."""
    copyist.send(copyist.next_step(long(contact)))
    world.hubspot.edit("invoice", copyist.remote_id, {"currency": "USD"})

    with pytest.raises(RejectedError, match="currency: is USD at HubSpot, not EUR"):
        copyist.step(long(contact))


def test_a_deleted_copy_is_missing_and_can_be_made_anew_with_its_own_lines(
    world: Any, copyist: Copyist, contact: str
) -> None:
    """A line item belongs to one invoice: those of the deleted copy stay with it."""
    copyist.bring(invoice(contact))
    old = copyist.remote_id
    world.hubspot.delete("invoice", old)
    assert copyist.look() is None
    copyist.remote_id, copyist.mark = None, "instance.mapping.2"

    assert copyist.bring(invoice(contact)) == ["create"]

    assert copyist.remote_id != old
    assert (copyist.seen["total"], len(copyist.seen["lines"])) == ("20.12", 2)


# ---- what HubSpot cannot hold --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (line(1, amount=Decimal("12345678901234.56")), "lines.0.amount"),
        (line(1, quantity=Decimal("1.0000000000000001")), "lines.0.quantity"),
        (line(1, quantity=Decimal("1e40")), "lines.0.quantity"),
        (line(1, unit_amount=Decimal("0.1234567890123456")), "lines.0.unit_amount"),
        (line(1, description="x" * 65_537), "lines.0.description"),
        (line(1, product="a\0b"), "lines.0.product"),
        (line(1, id="a\0b"), "lines.0.id"),
    ],
)
def test_a_line_that_hubspot_cannot_hold_is_refused_before_anything_is_made(
    world: Any, copyist: Copyist, contact: str, wrong: Line, field: str
) -> None:
    """Never dropped, never cut short."""
    with pytest.raises(RejectedError) as refused:
        copyist.step(invoice(contact, wrong, line(9, amount=Decimal(100))))
    assert refused.value.field == field
    assert invoices_of(world) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"number": "7\0"}, "number"),
        ({"memo": "x" * 65_537}, "memo"),
        ({"due": Decimal("1.23")}, "due"),
        ({"paid": Decimal("0.001"), "due": Decimal("20.119")}, "paid"),
    ],
)
def test_an_invoice_that_hubspot_cannot_hold_is_refused(
    copyist: Copyist, contact: str, changes: Any, field: str
) -> None:
    """And one that does not add up is nobody's to send on."""
    with pytest.raises(RejectedError) as refused:
        copyist.step(invoice(contact, **changes))
    assert refused.value.field == field


def test_a_unit_price_is_kept_only_where_it_gives_the_amount(world: Any, copyist: Copyist, contact: str) -> None:
    """Flexprice divides the amount by the quantity and rounds: 10.00 / 3 is 3.33, and the invoice 9.99."""
    wanted = invoice(
        contact,
        line(1, quantity=Decimal(3), amount=Decimal("10.00")),
        line(2, quantity=Decimal(4), unit_amount=Decimal("2.50"), amount=Decimal("10.00")),
        line(3, quantity=Decimal("12.5"), unit_amount=Decimal("0.801"), amount=Decimal("10.01")),
        line(4, quantity=Decimal(200), unit_amount=Decimal("0.005"), amount=Decimal("1.00")),
        line(5, quantity=Decimal(2), unit_amount=Decimal(5), amount=Decimal(10), discount=Decimal(3)),
        line(6, quantity=Decimal(0), unit_amount=Decimal(5), amount=Decimal(0)),
        line(7, quantity=Decimal(-5), unit_amount=Decimal(-1), amount=Decimal(5)),
        line(8, quantity=Decimal(3), unit_amount=Decimal("3.33"), amount=Decimal("10.00")),
    )
    copyist.bring(wanted)

    native = [one["properties"] for one in world.hubspot.objects("line_item").values()]
    assert [(one["price"], one["quantity"], one["amount"]) for one in native] == [
        ("10", "1", "10.00"),
        ("2.5", "4", "10.00"),
        ("10.01", "1", "10.01"),
        ("1", "1", "1.00"),
        ("10", "1", "7.00"),
        ("0", "1", "0.00"),
        ("5", "1", "5.00"),
        ("10", "1", "10.00"),
    ]
    assert [(one.quantity, one.unit_amount) for one in copyist.read().lines[:3]] == [
        (Decimal(3), None),
        (Decimal(4), Decimal("2.50")),
        (Decimal("12.5"), Decimal("0.801")),
    ]


BACK = line(2, amount=Decimal(-20), tax=Decimal("-3.80"), description="Unused time on Small", quantity=Decimal(2))


def test_a_line_below_zero_is_told_by_its_name_and_our_columns(world: Any, copyist: Copyist, contact: str) -> None:
    """HubSpot has no price below 0: a Stripe customer who goes to a bigger plan has such a line in each invoice."""
    more = line(1, amount=Decimal(50), tax=Decimal("9.50"), description="Rest of the time on Big")
    wanted = invoice(contact, more, BACK, line(3, unit_amount=Decimal(-2), amount=Decimal(-2), description=""))

    copyist.bring(wanted)

    native = [one["properties"] for one in world.hubspot.objects("line_item").values()]
    assert [(one["name"], one["price"], one["quantity"], one["accord_amount"]) for one in native] == [
        ("Rest of the time on Big", "50", "1", "50"),
        ("Unused time on Small (-20.00 EUR)", "0", "1", "-20"),
        ("Line 3 (-2.00 EUR)", "0", "1", "-2"),
    ]
    assert copyist.read().lines == wanted.lines
    seen = copyist.seen
    assert (seen["subtotal"], seen["tax"], seen["total"], seen["due"]) == ("28.00", "5.70", "33.70", "33.70")
    assert [one["amount"] for one in seen["lines"]] == ["50.00", "-20.00", "-2.00"]


@pytest.mark.parametrize(
    ("amount", "discount", "price"), [("10", "11", "0"), ("10", "-1", "11"), ("-10", "-12", "2"), ("-10", "1", "0")]
)
def test_a_discount_that_hubspot_cannot_take_off_is_taken_off_before(
    world: Any, copyist: Copyist, contact: str, amount: str, discount: str, price: str
) -> None:
    """More than the price, or less than nothing: the price is what is left."""
    odd = line(1, amount=Decimal(amount), discount=Decimal(discount))
    wanted = invoice(contact, odd, line(2, amount=Decimal(100)))

    copyist.bring(wanted)

    native = min(world.hubspot.objects("line_item").items())[1]["properties"]
    assert (native["price"], native["discount"]) == (price, "0")
    assert copyist.read().lines == wanted.lines
    assert copyist.seen["lines"][0]["discount"] == f"{Decimal(discount):.2f}"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"unit_amount": "5"}, r"price is 5, not 0\.00"),
        ({"extra": {"accord_amount": "-19"}}, r"accord_amount is -19, not -20\.00"),
        ({"extra": {"accord_amount": ""}}, r"accord_amount is blank, not -20\.00"),
    ],
)
def test_a_line_below_zero_that_a_person_changed_is_held(
    world: Any, copyist: Copyist, contact: str, changes: Any, problem: str
) -> None:
    """As any line is."""
    wanted = invoice(contact, line(1, amount=Decimal(50)), BACK)
    copyist.bring(wanted)
    (name,) = [key for key, one in world.hubspot.objects("line_item").items() if "(" in one["properties"]["name"]]
    world.hubspot.edit("line_item", name, changes)

    with pytest.raises(RejectedError, match=problem):
        copyist.step(wanted)


def test_an_invoice_without_lines_is_copied_too(copyist: Copyist, contact: str) -> None:
    """A month without usage."""
    zero = dict.fromkeys(("subtotal", "discount", "tax", "total", "due"), Decimal(0))
    wanted = invoice(contact, lines=(), number="", memo="", issued_on=None, due_on=None, **zero)

    assert copyist.bring(wanted) == ["create"]
    assert copyist.read() == msgspec.structs.replace(wanted, id=copyist.remote_id)


# ---- many at once, and what may go wrong ---------------------------------------------------------------


def saying(status: int, body: Any) -> Callable[[HttpRequest], HttpResponse]:
    """An answer of HubSpot's."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _request: HttpResponse(status, {"content-type": "application/json"}, raw)


def on(world: Any, path: str, answer: Callable[[HttpRequest], HttpResponse], times: int = 99) -> None:
    """HubSpot answers calls whose path ends like that otherwise, so many times."""
    left = [times]

    def exchange(request: HttpRequest) -> HttpResponse:
        if request.url.partition("?")[0].endswith(path) and left[0]:
            left[0] -= 1
            return answer(request)
        found: HttpResponse = world.hubspot.respond(request)
        return found

    world.exchange = exchange


def creates(copyist: Copyist, customer: str, count: int) -> list[Write]:
    """Creates of so many copies."""
    found = []
    for number in range(count):
        wanted = WantedDocument(document=invoice(customer), mark=f"instance.m{number}.1")
        step = copyist.documents.step(wanted, None)
        assert step is not None
        found.append(Write(key=f"k{number}", action="create", kind="invoice", remote_id=None, body=step.body))
    return found


def test_a_hundred_copies_are_made_in_one_write(world: Any, copyist: Copyist, contact: str) -> None:
    """Their two hundred lines in two calls, and they themselves in one."""
    before = len(world.requests)

    receipts = world.run(world.connector.write(creates(copyist, contact, 100)))

    assert all(isinstance(one, Written) and not one.is_replay for one in receipts)
    assert len(invoices_of(world)) == 100
    assert len(world.requests) - before == 3


def test_customers_and_copies_in_one_write_keep_their_order(world: Any, copyist: Copyist, contact: str) -> None:
    """One receipt for each."""
    (copy,) = creates(copyist, contact, 1)
    customer = world.as_write("update", {"type": "contact", "properties": {"phone": "1"}}, contact)

    receipts = world.run(world.connector.write([copy, customer]))

    assert [one.sighting.id.partition(":")[0] for one in receipts] == ["invoice", "contact"]


def test_one_refused_copy_stops_no_other(world: Any, copyist: Copyist, contact: str) -> None:
    """The batch is answered with 207, or refused as a whole and halved."""
    some = creates(copyist, contact, 3)
    some[1].body["properties"]["nonsense"] = "x"
    some.append(msgspec.structs.replace(some[0], key="odd", action="dance"))

    receipts = world.run(world.connector.write(some))

    assert [type(one) for one in receipts] == [Written, RejectedError, Written, RejectedError]
    assert receipts[1].field == "nonsense"


def test_a_refused_line_is_named(world: Any, copyist: Copyist, contact: str) -> None:
    """By its place in the document; what was made of the others is taken up later."""
    wanted = invoice(contact)
    step = copyist.next_step(wanted)
    step.body["lines"][1]["price"] = "-1"

    receipt = copyist.send(step)

    assert isinstance(receipt, RejectedError)
    assert receipt.field == "lines.1.price"
    assert invoices_of(world) == []
    assert copyist.bring(wanted) == ["create"]
    assert len(world.hubspot.objects("line_item")) == 2


def test_a_refusal_that_names_no_property_names_the_line(world: Any, copyist: Copyist, contact: str) -> None:
    """By its marker."""
    refusal = {"status": "error", "category": "VALIDATION_ERROR", "message": "no"}
    on(world, "line_items/batch/upsert", saying(400, refusal))

    receipt = copyist.send(copyist.next_step(invoice(contact)))

    assert isinstance(receipt, RejectedError)
    assert receipt.field == f"lines.0.{MARK}:il_1"


def test_lines_of_which_some_were_made_are_unclear(world: Any, copyist: Copyist, contact: str) -> None:
    """Not "nothing was changed"."""
    wanted = invoice(contact)
    step = copyist.next_step(wanted)

    def half(request: HttpRequest) -> HttpResponse:
        answer = json.loads(world.hubspot.respond(request).body)
        failed = answer["results"].pop()
        told = {
            "category": "RATE_LIMITS",
            "message": "later",
            "context": {"objectWriteTraceId": [failed["objectWriteTraceId"]]},
        }
        return saying(207, answer | {"errors": [told]})(request)

    on(world, "line_items/batch/upsert", half)
    assert isinstance(copyist.send(step), AmbiguousError)
    world.exchange = None
    assert copyist.bring(wanted) == ["create"]
    assert len(world.hubspot.objects("line_item")) == 2


@pytest.mark.parametrize(
    "path", ["line_items/batch/upsert", "invoices/batch/create", "invoices/line_items/batch/create"]
)
def test_a_locked_type_is_waited_for(world: Any, copyist: Copyist, contact: str, path: str) -> None:
    """423: nothing was made, or the lines were made and not tied yet."""
    wanted = long(contact)
    if "line_items" in path:
        copyist.send(copyist.next_step(wanted))
    on(world, path, saying(423, {"status": "error", "category": "LOCKED", "message": "locked"}), times=1)

    receipt = copyist.send(copyist.next_step(wanted))

    assert type(receipt) is (AmbiguousError if "invoices/line_items" in path else Retry)
    assert copyist.bring(wanted)[-2:] == ["add_lines", "update"]


def test_a_line_item_of_another_invoice_is_not_taken(world: Any, copyist: Copyist, contact: str) -> None:
    """HubSpot refuses to give it to a second one."""
    wanted = invoice(contact)
    step = copyist.next_step(wanted)
    theirs = world.hubspot.edit("invoice", None, {"currency": "EUR", "customer": contact})
    ref = step.body["lines"][0]["accord_ref"]
    line_item = {"invoice": theirs, "description": "x", "amount": "1", "extra": {"accord_ref": ref}}
    world.hubspot.edit("line_item", None, line_item)

    receipt = copyist.send(step)

    assert isinstance(receipt, RejectedError)
    assert "belongs to invoice" in str(receipt)


@pytest.mark.parametrize(
    ("status", "error"), [(429, Retry), (401, ReauthorizeError), (403, ReauthorizeError), (400, Retry), (200, Retry)]
)
def test_a_create_whose_look_fails_is_not_sent(
    world: Any, copyist: Copyist, contact: str, status: int, error: type[Exception]
) -> None:
    """Flexprice swallows the error and makes another one; a failed look-up is not "not there"."""
    step = copyist.next_step(invoice(contact))
    on(world, "invoices/batch/read", saying(status, {"status": "error", "message": "no", "policyName": "DAILY"}))

    assert type(copyist.send(step, is_repeat=True)) is error
    assert invoices_of(world) == []


def test_what_was_written_and_cannot_be_read_back_is_unclear(world: Any, copyist: Copyist, contact: str) -> None:
    """Lago calls a lost answer a success."""
    start = invoice(contact)
    copyist.bring(start)
    step = copyist.next_step(msgspec.structs.replace(start, status="paid", paid=start.total, due=Decimal(0)))
    on(world, "invoices/batch/read", saying(400, {"status": "error", "message": "no"}))
    assert isinstance(copyist.send(step), AmbiguousError)
    missing = {"category": "OBJECT_NOT_FOUND", "context": {"ids": ["5301"]}}
    on(world, "invoices/batch/read", saying(207, {"results": [], "errors": [missing]}))
    assert isinstance(copyist.send(step), AmbiguousError)
    assert len(invoices_of(world)) == 1


def test_a_failed_tie_is_an_error(world: Any, copyist: Copyist, contact: str) -> None:
    """Lago skips it."""
    copyist.bring(invoice(contact))
    other = world.hubspot.edit("customer", None, {"name": "Grace"})
    world.hubspot.edit("invoice", copyist.remote_id, {"customer": other})
    step = copyist.next_step(invoice(contact))
    on(world, "invoices/contacts/batch/create", saying(500, b"oops"))

    assert isinstance(copyist.send(step), AmbiguousError)


# ---- reading -------------------------------------------------------------------------------------------


def test_an_invoice_that_was_not_answered_is_asked_for_alone(world: Any, copyist: Copyist, contact: str) -> None:
    """Left out is not missing."""
    copyist.bring(invoice(contact))
    on(world, "invoices/batch/read", saying(200, {"results": []}))
    ids = [copyist.remote_id, "invoice:1"]

    found = world.run(world.connector.read("invoice", ids))

    assert [type(found[one]) for one in ids] == [Sighting, Missing]
    on(world, "invoices/batch/read", saying(404, {"status": "error", "category": "OBJECT_NOT_FOUND"}))
    assert isinstance(world.run(world.connector.read("invoice", ids))[ids[0]], Sighting)
    on(world, "/invoices/5301", saying(200, {"id": "5301", "archived": True, "properties": {}}))
    world.exchange, plain = None, world.exchange
    archived = saying(200, {"results": []})
    world.exchange = lambda request: archived(request) if request.url.endswith("batch/read") else plain(request)
    assert isinstance(world.run(world.connector.read("invoice", ids))[ids[0]], Missing)


def test_invoices_that_are_read_together_have_each_its_own_lines_and_customer(
    world: Any, copyist: Copyist, contact: str
) -> None:
    """Lines of all of them come in one answer."""
    copyist.bring(invoice(contact))
    other = world.hubspot.edit("customer", None, {"name": "Acme", "customer_type": "company"})
    theirs = world.hubspot.edit("invoice", None, {"currency": "EUR", "customer": other, "lines": [{"amount": "5"}]})
    extra = {"extra": {"accord_ref": "instance.other.1"}}
    world.hubspot.edit("invoice", theirs, extra)

    found = world.run(world.connector.read("invoice", [copyist.remote_id, theirs]))

    told = [copyist.documents.read("invoice", one.raw).document for one in found.values()]
    assert [(len(one.lines), one.customer) for one in told if isinstance(one, Invoice)] == [(2, contact), (1, other)]


def test_ids_of_other_things_are_refused(world: Any) -> None:
    """Before anything is asked."""
    for odd in ("contact:1", "5301", "invoice:x"):
        with pytest.raises(InvalidInputError, match="names no HubSpot invoice"):
            world.run(world.connector.read("invoice", [odd]))


def test_line_items_that_are_left_out_make_a_bad_reply(world: Any, copyist: Copyist, contact: str) -> None:
    """An invoice short of lines must not look like one."""
    copyist.bring(invoice(contact))
    on(world, "objects/2026-09/line_items/batch/read", saying(200, {"results": []}))

    with pytest.raises(ReplyError, match="leaves out line items"):
        copyist.look()


def test_ties_of_another_invoice_make_a_bad_reply(world: Any, copyist: Copyist, contact: str) -> None:
    """Whose the one that was asked for is was not told; it was taken for a bug of Accord's."""
    copyist.bring(invoice(contact))
    to = [{"toObjectId": 7, "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 177}]}]
    on(world, "invoices/contacts/batch/read", saying(200, {"results": [{"from": {"id": "999999"}, "to": to}]}))

    with pytest.raises(ReplyError, match="others than the invoices asked for"):
        copyist.look()


@pytest.mark.parametrize("ends", ["invoices/contacts", "invoices/line_items", "companies/companies"])
def test_ties_that_are_told_with_404_could_not_be_read(world: Any, copyist: Copyist, contact: str, ends: str) -> None:
    """They counted as none: an invoice without lines, or owner; a company whose parent somebody had taken off."""
    copyist.send(copyist.next_step(invoice(contact)))
    firm = world.hubspot.edit("customer", None, {"name": "Acme", "customer_type": "company"})
    on(world, f"{ends}/batch/read", saying(404, {"status": "error", "category": "OBJECT_NOT_FOUND"}))
    ids = {"customer": [firm], "invoice": [copyist.remote_id]}
    kind = "customer" if ends.startswith("companies") else "invoice"

    with pytest.raises(ReplyError, match="does not tell what"):
        world.run(world.connector.read(kind, ids[kind]))


def test_an_invoice_that_cannot_be_read_keeps_no_other_from_being_found(
    world: Any, copyist: Copyist, contact: str
) -> None:
    """Half a letter in one of them, and none of a batch of creates in doubt was ever found."""
    writes = creates(copyist, contact, 2)
    made = world.run(world.connector.write(writes))
    repeats = [msgspec.structs.replace(one, is_repeat=True) for one in writes]

    def odd(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        body = re.sub(rb'"accord_ref": ?"instance.m0.1"', rb'\g<0>,"note":"\\ud800"', answer.body)
        return HttpResponse(answer.status, answer.headers, body)

    on(world, "invoices/batch/read", odd)

    first, second = world.run(world.connector.write(repeats))

    assert isinstance(second, Written)
    assert second.sighting.id == made[1].sighting.id
    assert isinstance(first, Written)
    assert first.sighting.id == made[0].sighting.id
    assert len(invoices_of(world)) == 2


def test_an_invoice_with_more_lines_than_a_page_of_ties(copyist: Copyist, contact: str) -> None:
    """501 lines: the second page is asked for."""
    wanted = invoice(contact, *(line(number, amount=Decimal(1)) for number in range(501)))

    assert copyist.bring(wanted).count("add_lines") == 5
    assert len(copyist.read().lines) == 501


def sweep(world: Any, mode: Any = "full", cursor: str | None = None) -> list[Any]:
    """All pages of one pass."""
    pages = [world.run(world.connector.sweep("invoice", mode, cursor))]
    while not pages[-1].is_last:
        pages.append(world.run(world.connector.sweep("invoice", mode, pages[-1].cursor)))
    return pages


def test_a_sweep_lists_our_copies_and_nothing_else(world: Any, copyist: Copyist, contact: str) -> None:
    """What HubSpot bills itself has taxes of its own, and is nobody's document here."""
    copyist.bring(invoice(contact))
    theirs = world.hubspot.edit("invoice", None, {"currency": "EUR", "customer": contact, "lines": [{"amount": "5"}]})
    world.run(world.connector.write(creates(copyist, contact, 100)))

    pages = sweep(world)

    assert [len(page.sightings) for page in pages] == [99, 2]
    seen = {one.id: one for page in pages for one in page.sightings}
    assert theirs not in seen
    assert seen[copyist.remote_id].raw == copyist.look()
    bare = world.run(world.connector.read("invoice", [theirs]))[theirs]
    with pytest.raises(ReplyError, match="is no copy of Accord's"):
        copyist.documents.read("invoice", bare.raw)


def test_a_record_that_cannot_be_kept_is_named(world: Any) -> None:
    """The others of the page arrive."""
    odd = {"id": "7", "properties": {"hs_title": "a\u0000b", "accord_ref": "x"}, "archived": False}
    on(world, "/invoices", saying(200, {"results": [odd]}))

    (page,) = sweep(world)

    assert [(one.id, one.field) for one in page.bad] == [("invoice:7", "hs_title")]


@pytest.mark.parametrize(
    "odd", [b'"properties":null', b'"properties":{"accord_ref":"\xff"}', b'"properties":{"accord_ref":"\xff\\u00e9"}']
)
def test_a_record_that_cannot_be_read_keeps_no_other_from_being_listed(
    world: Any, copyist: Copyist, contact: str, odd: bytes
) -> None:
    """The walk stopped at it, each time: no copy behind it was looked at any more."""
    copyist.bring(invoice(contact))

    def listed(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        body = re.sub(rb'"results": ?\[', lambda found: found[0] + b'{"id":"7",' + odd + b"},", answer.body, count=1)
        return HttpResponse(answer.status, answer.headers, body)

    on(world, "/invoices", listed)

    (page,) = sweep(world)

    assert [one.id for one in page.sightings] == [copyist.remote_id]
    assert [one.id for one in page.bad] == ["invoice:7"]
    assert "could not be understood" in page.bad[0].problem


def test_changed_copies_are_found_by_search(world: Any, copyist: Copyist, contact: str) -> None:
    """The index lags behind, so only ids count."""
    (start,) = sweep(world, "changes")
    copyist.bring(invoice(contact))
    world.clock.time += 60

    pages = sweep(world, "changes", start.cursor)

    assert [one for page in pages for one in page.changed] == [copyist.remote_id]


@pytest.mark.parametrize(
    ("mode", "cursor"), [("full", '{"type":"contact"}'), ("changes", '{"since":1,"type":"contact"}')]
)
def test_a_cursor_of_another_kind_is_refused(world: Any, mode: str, cursor: str) -> None:
    """Contacts are no invoices."""
    with pytest.raises(InvalidInputError, match="no cursor"):
        world.run(world.connector.sweep("invoice", mode, cursor))


def test_a_copy_is_found_by_its_number_once_search_knows_it(world: Any, copyist: Copyist, contact: str) -> None:
    """By its mark at once."""
    probe = Probe(mark="instance.other.1", unique={"number": "INV-7"})
    copyist.bring(invoice(contact))
    assert world.run(world.connector.find("invoice", probe)) == []
    world.clock.time += 30

    assert [one.id for one in world.run(world.connector.find("invoice", probe))] == [copyist.remote_id]
    assert world.run(world.connector.find("invoice", Probe(mark="instance.other.1"))) == []
    assert [one.id for one in world.run(world.connector.find("invoice", Probe(mark=MARK)))] == [copyist.remote_id]
    assert world.run(world.connector.find("invoice", Probe(unique={"number": "INV-8"}))) == []


def test_before_anything_is_prepared_there_is_no_copy(make_world: Any) -> None:
    """A property that is not there is on no object; another refusal is one."""
    world = make_world()
    probe = Probe(mark=MARK, unique={"number": "7"})
    assert world.run(world.connector.find("invoice", probe)) == []
    world.run(world.connector.prepare())
    on(world, "/batch/read", saying(400, {"status": "error", "message": "no"}))
    with pytest.raises(RejectedError):
        world.run(world.connector.find("invoice", probe))


# ---- preparing -----------------------------------------------------------------------------------------


def test_a_token_without_the_scopes_of_invoices_does_everything_else(make_world: Any) -> None:
    """The first copy says which scope is missing."""
    scopes = frozenset(one for one in HubSpotSettings().scopes if "invoices" not in one and "line_items" not in one)
    world = make_world(HubSpotSettings(scopes=scopes))
    made = world.run(world.connector.prepare())
    contact = world.hubspot.edit("customer", None, {"name": "Ada"})
    copyist = Copyist(world)

    assert {one.partition(" ")[0] for one in made} == {"contact", "company"}
    (receipt,) = world.run(world.connector.write(creates(copyist, contact, 1)))
    assert isinstance(receipt, ReauthorizeError)
    assert "crm.objects.line_items.write" in str(receipt)


def test_properties_that_another_makes_meanwhile_are_taken(make_world: Any) -> None:
    """Two processes prepare at once: one of them is told that they are there."""
    world = make_world()
    told = {"status": "error", "category": "OBJECT_ALREADY_EXISTS", "message": "there"}
    on(world, "line_items/batch/create", saying(409, told))

    made = world.run(world.connector.prepare())

    assert "invoice property accord_total" in made
    assert not any(one.startswith("line_item") for one in made)


def test_amounts_are_numbers_in_hubspot(world: Any) -> None:
    """So that people can sum them up."""
    for kind, name in (("invoices", "accord_total"), ("line_items", "accord_tax")):
        status, body, _ = world.call("GET", f"/crm/properties/2026-09/{kind}/{name}")
        assert (status, body["type"], body["groupName"]) == (200, "number", "accord")
