# ruff: noqa: D102, D107 -- test doubles
"""Copies that have a billing contact besides their company: made with both, kept so, and kept back by none."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.errors import AmbiguousError, GoneError, RejectedError
from core.model.documents import Invoice
from core.model.paper import Step, WantedDocument
from core.ports import Receipt, Write, Written
from tests.unit.connectors.hubspot.test_copies import Copyist, invoice, invoices_of, on, saying

TIE = "invoices/contacts/batch/create"
UNTIE = "invoices/contacts/batch/labels/archive"
NOTE = "invoices/batch/update"


class WithContact(Copyist):
    """Makes copies for a customer that has this billing contact; "": none; None: nobody says."""

    def __init__(self, world: Any, contact: str | None) -> None:
        super().__init__(world)
        self.contact = contact

    def step(self, wanted: Invoice) -> Step | None:
        return self.documents.step(self.wanted(wanted), self.look())

    def wanted(self, document: Invoice) -> WantedDocument:
        """With what its customer is made of."""
        parts = None if self.contact is None else (self.contact,) if self.contact else ()
        return WantedDocument(document=document, mark=self.mark, parts=parts)


@pytest.fixture
def company(world: Any) -> str:
    """Whose invoices they are."""
    return str(world.hubspot.edit("customer", None, {"name": "Acme", "customer_type": "company"}))


def person(world: Any, name: str) -> str:
    """A contact."""
    return str(world.hubspot.edit("customer", None, {"name": name}))


def there(world: Any, remote_id: str | None) -> tuple[list[str], list[str], str | None]:
    """Companies and contacts of a copy, and the contact that it says is ours."""
    one = world.hubspot.objects("invoice")[remote_id]
    return one["company"], one["contact"], one["properties"].get("accord_billing_contact")


def many(world: Any, company: str, contacts: list[str]) -> tuple[list[WithContact], list[Write]]:
    """A copy for each contact, made without it, and the writes that tie them."""
    found, writes = [], []
    for number, contact in enumerate(contacts):
        one = WithContact(world, "")
        one.mark = f"instance.m{number}.1"
        one.bring(invoice(company))
        one.contact = contact
        step = one.step(invoice(company))
        assert step is not None
        found.append(one)
        writes.append(
            Write(key=f"k{number}", action=step.action, kind="invoice", remote_id=one.remote_id, body=step.body)
        )
    return found, writes


def written(world: Any, writes: list[Write]) -> tuple[list[Receipt], list[str]]:
    """The receipts, and the paths of the calls but for reads."""
    before = len(world.requests)
    receipts = list(world.run(world.connector.write(writes)))
    paths = [one.url.partition("/2026-09/")[2] for one in world.requests[before:]]
    return receipts, [one for one in paths if not one.endswith("/read")]


# ---- made ----------------------------------------------------------------------------------------------


def test_a_copy_is_made_with_both_in_one_input(world: Any, company: str) -> None:
    """And is left alone then."""
    ada = person(world, "Ada")
    copyist = WithContact(world, ada)

    assert copyist.bring(invoice(company)) == ["create"]

    assert there(world, copyist.remote_id) == ([company], [ada], ada)
    assert copyist.read().customer == company
    assert copyist.seen["customer"] == company


@pytest.mark.parametrize("contact", ["", None])
def test_without_a_billing_contact_it_is_the_companys_alone(world: Any, company: str, contact: str | None) -> None:
    """Nothing is noted of any."""
    copyist = WithContact(world, contact)

    assert copyist.bring(invoice(company)) == ["create"]

    assert there(world, copyist.remote_id) == ([company], [], None)


def test_copies_whose_contact_is_gone_are_made_without_in_one_call_more(world: Any, company: str) -> None:
    """The others of the batch have theirs."""
    ada, gone = person(world, "Ada"), person(world, "Gone")
    world.hubspot.delete("customer", gone)
    writes = []
    for number in range(6):
        copyist = WithContact(world, gone if number % 2 else ada)
        copyist.mark = f"instance.m{number}.1"
        step = copyist.step(invoice(company))
        assert step is not None
        writes.append(Write(key=f"k{number}", action="create", kind="invoice", remote_id=None, body=step.body))

    receipts, calls = written(world, writes)

    assert calls == ["line_items/batch/upsert", "invoices/batch/create", "invoices/batch/create"]
    assert all(isinstance(one, Written) for one in receipts)
    assert [there(world, one.sighting.id) for one in receipts if isinstance(one, Written)] == [
        ([company], [], None) if number % 2 else ([company], [ada], ada) for number in range(6)
    ]


def test_a_copy_that_is_refused_whole_for_its_contact_is_made_without(world: Any, company: str) -> None:
    """HubSpot may call it a validation error of the whole batch: which tie it was, it does not say."""
    copyist = WithContact(world, person(world, "Ada"))
    step = copyist.next_step(invoice(company))
    on(world, "invoices/batch/create", saying(400, {"category": "VALIDATION_ERROR", "message": "no"}), times=1)

    assert isinstance(copyist.send(step), Written)

    assert there(world, copyist.remote_id) == ([company], [], None)


def test_a_copy_whose_company_is_gone_is_made_for_nobody(world: Any, company: str) -> None:
    """Its billing contact alone is not whose it is."""
    copyist = WithContact(world, person(world, "Ada"))
    world.hubspot.delete("customer", company)

    assert isinstance(copyist.send(copyist.next_step(invoice(company))), GoneError)

    assert invoices_of(world) == []


# ---- kept current --------------------------------------------------------------------------------------


def test_another_contact_takes_the_place_of_the_one_that_we_tied(world: Any, company: str) -> None:
    """Whom a person added stays, and so does one that a person wrote down as ours and that is none."""
    ada, ann, new = (person(world, name) for name in ("Ada", "Ann", "New"))
    copyist = WithContact(world, ada)
    copyist.bring(invoice(company))
    world.hubspot.edit("invoice", copyist.remote_id, {"contacts": [ada, ann]})
    copyist.contact = new

    assert copyist.bring(invoice(company)) == ["tie_contact"]
    assert there(world, copyist.remote_id) == ([company], [ann, new], new)

    copyist.contact = ""
    assert copyist.bring(invoice(company)) == ["tie_contact"]
    assert there(world, copyist.remote_id) == ([company], [ann], None)

    world.hubspot.edit("invoice", copyist.remote_id, {"extra": {"accord_billing_contact": company}})
    assert copyist.bring(invoice(company)) == []


def test_what_nobody_says_changes_no_contact(world: Any, company: str) -> None:
    """Neither on the copy nor in what is noted."""
    ada = person(world, "Ada")
    copyist = WithContact(world, ada)
    copyist.bring(invoice(company))
    copyist.contact = None

    assert copyist.bring(invoice(company)) == []

    assert there(world, copyist.remote_id) == ([company], [ada], ada)


def test_a_contact_that_is_tied_by_hand_already_is_noted_only(world: Any, company: str) -> None:
    """No tie is made anew, and what is paid meanwhile is told with it."""
    ada = person(world, "Ada")
    copyist = WithContact(world, "")
    copyist.bring(invoice(company))
    world.hubspot.edit("invoice", copyist.remote_id, {"contacts": [ada]})
    copyist.contact = ada
    paid = invoice(company, status="paid", due=Decimal(0), paid=invoice(company).total)

    assert copyist.bring(paid) == ["update"]

    assert there(world, copyist.remote_id) == ([company], [ada], ada)
    assert copyist.seen["status"] == "paid"


def test_who_was_let_go_of_and_is_not_tied_any_more_is_nothing_to_write(world: Any, company: str) -> None:
    """An archived contact took its tie along; that of one that comes back is taken off."""
    ada = person(world, "Ada")
    copyist = WithContact(world, ada)
    copyist.bring(invoice(company))
    world.hubspot.edit("invoice", copyist.remote_id, {"contacts": []})
    copyist.contact = ""

    assert copyist.step(invoice(company)) is None

    world.hubspot.edit("invoice", copyist.remote_id, {"contacts": [ada]})
    assert copyist.bring(invoice(company)) == ["tie_contact"]
    assert there(world, copyist.remote_id) == ([company], [], None)


def test_a_company_that_somebody_exchanged_is_seen_beside_the_contact(world: Any, company: str) -> None:
    """The billing contact is not whose the copy is; where the company is taken off, it is nobody's."""
    copyist = WithContact(world, person(world, "Ada"))
    copyist.bring(invoice(company))
    other = world.hubspot.edit("customer", None, {"name": "Other", "customer_type": "company"})
    world.hubspot.edit("invoice", copyist.remote_id, {"customer": other})

    assert copyist.read().customer == other

    assert copyist.bring(invoice(company)) == ["tie"]
    assert copyist.read().customer == company


def test_what_is_due_is_told_before_a_contact_is_tied(world: Any, company: str) -> None:
    """A contact that cannot be tied keeps nothing else from being told."""
    copyist = WithContact(world, "")
    copyist.bring(invoice(company))
    copyist.contact = person(world, "Ada")
    paid = invoice(company, status="paid", due=Decimal(0), paid=invoice(company).total)

    assert copyist.bring(paid) == ["update", "tie_contact"]


# ---- many, and what may go wrong ------------------------------------------------------------------------


def test_contacts_of_many_copies_are_exchanged_a_hundred_at_a_time(world: Any, company: str) -> None:
    """Taken off by the hundred, put on in one call."""
    old, new = person(world, "Old"), person(world, "New")
    copies, ties = many(world, company, [old] * 130)
    written(world, ties)
    for one in copies:
        one.contact = new
    steps = [one.step(invoice(company)) for one in copies]
    writes = [
        msgspec.structs.replace(tie, body=step.body) for tie, step in zip(ties, steps, strict=True) if step is not None
    ]

    receipts, calls = written(world, writes)

    assert calls == [UNTIE, UNTIE, TIE, NOTE, NOTE]
    assert all(isinstance(one, Written) for one in receipts)
    assert {json.dumps(there(world, one.remote_id)) for one in copies} == {json.dumps(([company], [new], new))}


def test_a_contact_that_is_gone_costs_a_few_calls_and_stops_no_other(world: Any, company: str) -> None:
    """It is found by halves among contacts, not among its copies."""
    gone, *others = (person(world, str(number)) for number in range(4))
    copies, writes = many(world, company, [gone] * 40 + others)
    world.hubspot.delete("customer", gone)

    receipts, calls = written(world, writes)

    assert [type(one) for one in receipts] == [GoneError] * 40 + [Written] * 3
    assert [one for one in calls if one == TIE] == [TIE] * 5
    assert [there(world, one.remote_id)[1] for one in copies] == [[]] * 40 + [[one] for one in others]


@pytest.mark.parametrize(
    ("path", "is_begun", "rest"),
    [(UNTIE, False, "tie_contact"), (TIE, True, "tie_contact"), (NOTE, True, "update")],
    ids=["taking off", "putting on", "noting"],
)
def test_what_was_done_in_part_is_unclear_and_what_was_not_is_refused(
    world: Any, company: str, path: str, rest: str, *, is_begun: bool
) -> None:
    """A fresh look goes on from there, and does nothing twice."""
    old, new = person(world, "Old"), person(world, "New")
    copyist = WithContact(world, old)
    copyist.bring(invoice(company))
    copyist.contact = new
    step = copyist.next_step(invoice(company))
    on(world, path, saying(400, {"category": "VALIDATION_ERROR", "message": "no"}), times=1)

    receipt = copyist.send(step)

    assert type(receipt) is (AmbiguousError if is_begun else RejectedError)
    world.exchange = None
    assert copyist.bring(invoice(company)) == [rest]
    assert there(world, copyist.remote_id) == ([company], [new], new)
