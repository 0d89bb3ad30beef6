"""An invoice of Stripe stands in the CRM as what it is: whose, how much, how much of it is due, and never twice."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from connectors.hubspot.sandbox.answers import rate_limited
from core.model.documents import KINDS, digest_of
from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.sandbox.faults import Fault, FaultKind
from core.store import connections, documents
from core.sync.documents.asking import look_again
from core.sync.explain import status
from core.sync.lanes import Lanes
from tests.support.acting import failing, held, mapped
from tests.support.crash_jobs import LONGEST_WAIT
from tests.support.crashes import Crash, FragileWorld, Fuse
from tests.support.paper import LINE, SINCE, at_rest, bill, billing, is_silent, papers, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio

POLICIES = {"stripe": DocumentPolicy(originates=KINDS), "hubspot": DocumentPolicy(mirrors=("invoice",), since=SINCE)}
CRM = with_documents(POLICIES, {}, {})


async def test_an_invoice_stands_in_the_crm_with_its_number_tax_and_total() -> None:
    """Tied to the contact that its customer is there, and nothing that HubSpot would collect."""
    world = await billing(CRM)
    bill(world)

    await world.next_sweep()

    (there,), (origin,) = shown(world, "hubspot"), shown(world, "stripe")
    for field in ("number", "currency", "total", "tax", "due", "status", "due_on"):
        assert there[field] == origin[field], field
    assert there["total"] == "119.00"
    assert there["customer"] == next(iter(world.neutral("hubspot")))
    assert there["is_payable"] is False
    at_rest(world)
    await is_silent(world)


async def test_a_company_has_its_invoices() -> None:
    """The other newest contact has none."""
    world = await billing(with_documents(POLICIES, {"hubspot": {"untyped": "company"}}, {}))
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Newest"})
    bill(world)

    await world.next_sweep()

    (there,) = shown(world, "hubspot")
    owner = world.neutral("hubspot")[there["customer"]]
    assert (owner["name"], owner["customer_type"]) == ("Ada Lovelace", "company")
    at_rest(world)


async def test_a_company_s_invoice_is_the_company_s_and_not_its_billing_contact_s() -> None:
    """One customer, two objects: what is billed is the whole's."""
    world = await billing(with_documents(POLICIES, {"hubspot": {"untyped": "company", "billing_contact": "true"}}, {}))
    (row,) = [one for one in mapped(world, "hubspot") if not one.part]
    assert [one.state for one in mapped(world, "hubspot") if one.part == "contact"] == ["live"]
    bill(world)

    await world.next_sweep()

    (there,) = shown(world, "hubspot")
    assert (there["customer"], there["total"]) == (row.remote_id, "119.00")
    assert str(row.remote_id).startswith("company:")
    at_rest(world)
    await is_silent(world)


async def test_what_is_paid_credited_and_voided_stands_on_the_copy() -> None:
    """There are no payments in the CRM: the invoice itself tells."""
    world = await billing(CRM)
    invoice, other = bill(world), bill(world)
    await world.next_sweep()
    pay(world, invoice, "19.00")
    world.lookalikes["stripe"].edit("invoice", other, {"status": "void"})
    await world.next_sweep()
    told = {one["number"]: one for one in shown(world, "hubspot")}
    numbers = {name: one["number"] for name, one in world.lookalikes["stripe"].neutral("invoice").items()}
    assert (told[numbers[invoice]]["paid"], told[numbers[invoice]]["due"]) == ("19.00", "100.00")
    assert told[numbers[other]]["status"] == "void"

    (customer,) = world.neutral("stripe")
    credit = {"description": "Credit", "amount": "50.00", "quantity": "1"}
    wanted = {"customer": customer, "currency": "USD", "invoice": invoice, "lines": [credit]}
    world.lookalikes["stripe"].edit("credit_note", None, wanted)
    pay(world, invoice, "50.00")
    await world.next_sweep()

    told = {one["number"]: one for one in shown(world, "hubspot")}
    settled = [told[numbers[invoice]][name] for name in ("status", "paid", "credited", "due")]
    assert settled == ["paid", "69.00", "50.00", "0.00"]
    at_rest(world)
    await is_silent(world)


async def test_an_amount_that_a_person_changed_is_asked_about_and_kept() -> None:
    """Nothing is overwritten, not even with what was paid since."""
    world = await billing(CRM)
    invoice = bill(world)
    await world.next_sweep()
    (remote_id,) = world.lookalikes["hubspot"].neutral("invoice")
    world.lookalikes["hubspot"].edit("invoice", remote_id, {"extra": {"accord_total": "1.00"}})
    pay(world, invoice, "19.00")

    await world.next_sweep()

    (hold,) = held(world)
    assert hold.reason == "rejected"
    assert "accord_total is 1 at HubSpot, not 119.00" in str(hold.detail["problem"])
    (there,) = shown(world, "hubspot")
    assert (there["total"], there["paid"]) == ("1.00", "0.00")


async def test_a_copy_whose_amount_was_edited_is_billed_by_nobody_while_that_is_asked_about() -> None:
    """It waited for a person and was payable meanwhile: its customer could have paid twice."""
    world = await billing(CRM)
    bill(world)
    await world.next_sweep()
    (remote_id,) = world.lookalikes["hubspot"].neutral("invoice")
    edited = {"accord_total": "1.00", "hs_invoice_billable": "true"}
    world.lookalikes["hubspot"].edit("invoice", remote_id, {"extra": edited})

    world.clock.time += 90_000
    await world.settle()

    (there,) = shown(world, "hubspot")
    assert (there["is_payable"], there["total"]) == (False, "1.00")
    (hold,) = held(world)
    assert "accord_total is 1 at HubSpot" in str(hold.detail["problem"])


async def test_what_people_do_to_copies_is_found_within_a_day_though_nothing_tells_of_it() -> None:
    """Neither a state that somebody put by hand nor a copy that somebody deleted stays equal in the registry."""
    world = await billing(CRM)
    numbers = [bill(world, number=f"N-{one}") for one in range(3)]
    await world.next_sweep()
    hubspot = world.lookalikes["hubspot"]
    copies = {one["number"]: remote_id for remote_id, one in hubspot.neutral("invoice").items()}
    assert len(copies) == len(numbers)
    hubspot.edit("invoice", copies["N-0"], {"status": "paid"})
    hubspot.delete("invoice", copies["N-1"])

    world.clock.time += 90_000
    await world.settle()

    there = {one["number"]: one["status"] for one in hubspot.neutral("invoice").values()}
    assert there == {"N-0": "open", "N-2": "open"}
    assert [one.reason for one in held(world)] == ["remote_gone"]


async def test_who_asks_for_a_look_at_all_invoices_gets_one_at_every_copy() -> None:
    """`accord sync hubspot --kind invoices` does not wait for the day to pass."""
    world = await billing(CRM)
    bill(world)
    await world.next_sweep()
    hubspot = world.lookalikes["hubspot"]
    (remote_id,) = hubspot.neutral("invoice")
    hubspot.delete("invoice", remote_id)
    asked = world.hub.connections["hubspot"]

    await look_again(world.hub, asked, ["invoice"], [], "trace")
    await world.settle()

    assert [one.reason for one in held(world)] == ["remote_gone"]


async def test_an_invoice_with_a_line_below_zero_stands_in_the_crm_too() -> None:
    """What a plan that was left early gives back: HubSpot has no such price, and our columns tell it."""
    world = await billing(CRM)
    bill(world, "stripe", LINE, {"description": "Unused time", "amount": "-10.00", "quantity": "1"})

    await world.next_sweep()

    (there,), (origin,) = shown(world, "hubspot"), shown(world, "stripe")
    for field in ("number", "subtotal", "tax", "total", "due", "status"):
        assert there[field] == origin[field], field
    assert [one["amount"] for one in there["lines"]] == ["100.00", "-10.00"]
    assert held(world) == []
    at_rest(world)
    await is_silent(world)


@pytest.fixture(scope="module")
async def base() -> FragileWorld:
    """A customer everywhere, who is not billed yet; copied for each run."""
    world = FragileWorld(config=CRM)
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    world.fused = ("hubspot",)
    world.database_calls = ("run",)
    return world


def is_right(world: World, place: object) -> None:
    """One copy, to the cent, with its line once."""
    (there,) = shown(world, "hubspot")
    assert (there["total"], there["status"], len(there["lines"])) == ("119.00", "open", 1), place
    assert len(papers(world)) == 1, place
    assert len(world.lookalikes["hubspot"].objects("line_item")) == 1, place
    at_rest(world)


async def test_copies_wait_for_the_next_day_where_the_account_s_calls_are_used_up_and_none_of_them_fails() -> None:
    """It is the connection that waits, and says until when; a copy that failed would be a copy's own trouble."""
    world = await billing(CRM)
    account = world.lookalikes["hubspot"]
    bill(world)
    used_up = rate_limited("DAILY")

    def exchange(request: HttpRequest) -> HttpResponse:
        return used_up if "batch/create" in request.url else account.respond(request)

    world.exchanges["hubspot"] = exchange
    world.clock.time += 61
    for name in ("stripe", "hubspot"):
        await world.lanes.run(name)
    (lane,) = [one for one in world.db.read_now(lambda tx: status(tx, world.hub))["connections"] if one["error"]]
    assert (lane["connection"], lane["failing"]) == ("hubspot", 0)
    assert "until midnight in Europe/Rome" in lane["error"]
    assert datetime.fromtimestamp(lane["paused_until"], ZoneInfo("Europe/Rome")).hour == 0
    world.exchanges["hubspot"] = account.respond
    world.clock.time = lane["paused_until"] + 1
    await world.settle()
    assert [one["total"] for one in shown(world, "hubspot")] == ["119.00"]
    at_rest(world)


@pytest.mark.parametrize("kind", ["lost_request", "lost_answer", "truncated", "too_many"])
@pytest.mark.parametrize("path", ["line_items/batch/upsert", "invoices/batch/create"])
async def test_a_step_that_fails_doubles_nothing(base: FragileWorld, kind: FaultKind, path: str) -> None:
    """Whichever of the steps it befalls, and however."""
    world = base.copy(Fuse())
    struck = world.fail_once("hubspot", Fault(kind=kind, method="POST", path=path, count=1))
    bill(world)

    await world.next_sweep()
    await world.settle(patience=LONGEST_WAIT)

    assert len(struck.trace) == 1
    is_right(world, "after the fault")
    world.db.engine.dispose()


@pytest.mark.parametrize("kind", [None, "lost_answer"])
async def test_a_death_anywhere_leaves_one_copy(base: FragileWorld, kind: FaultKind | None) -> None:
    """At every seventh call of a port, alone and together with a lost answer."""
    deaths, blows_at, died = 0, 1, True
    while died:
        world = base.copy(Fuse(blows_at=blows_at, is_armed=True))
        if kind:
            world.fail_once("hubspot", Fault(kind=kind, method="POST", path="batch/(upsert|create|update)", count=1))
        bill(world)
        try:
            await world.next_sweep()
            died = False
        except Crash:
            deaths += 1
            world.start()
        world.fuse.is_armed = False
        await world.settle(patience=LONGEST_WAIT)
        await world.next_sweep()
        is_right(world, blows_at)
        world.db.engine.dispose()
        blows_at += 7
    assert deaths > 5


async def test_an_invoice_of_more_lines_than_a_page_of_ties_is_there_whole() -> None:
    """HubSpot tells five hundred ties at a time; none of the others is made again, or missed."""
    world = await billing(CRM)
    bill(world, "stripe", *[{"description": f"Call {number}", "amount": "1.01"} for number in range(510)])
    await world.next_sweep()
    (there,) = shown(world, "hubspot")
    assert (there["total"], there["status"], len(there["lines"])) == ("515.10", "open", 510)
    at_rest(world)
    await is_silent(world)


async def test_a_copy_is_written_again_where_its_document_changed_while_it_was_written() -> None:
    """The second write in a row was taken for the first one that had changed nothing, and a person was asked."""
    world = await billing(CRM)
    invoice = bill(world)
    await world.next_sweep()
    answering, hub = world.exchanges["hubspot"], world.hub

    def meanwhile(request: HttpRequest) -> HttpResponse:
        answer = answering(request)
        if "/invoices/batch/update" in request.url:
            world.exchanges["hubspot"] = answering
            (known,) = papers(world)
            paid = replace(known.document, paid=Decimal("30.00"), due=Decimal("89.00"))
            changed = replace(known, document=paid, digest=digest_of(paid), version=known.version + 1)
            world.db.run_now(lambda tx: documents.put(tx, [changed]))
        return answer

    pay(world, invoice, "19.00")
    world.names = ("stripe",)
    await world.next_sweep()
    world.exchanges["hubspot"] = meanwhile
    await Lanes(hub).run("hubspot")

    assert held(world) == []
    assert [(one["paid"], one["due"]) for one in shown(world, "hubspot")] == [("30.00", "89.00")]


async def test_customers_go_on_where_only_reads_of_invoices_are_refused() -> None:
    """An account that lost its invoices has its customers still: they must not wait for what only invoices lack."""
    world = await billing(CRM)
    invoice = bill(world)
    await world.next_sweep()
    account = world.lookalikes["hubspot"]
    refused = b'{"status": "error", "category": "VALIDATION_ERROR", "message": "invoices are not enabled"}'

    def exchange(request: HttpRequest) -> HttpResponse:
        is_read = "/invoices/batch/read" in request.url
        return HttpResponse(400, {}, refused) if is_read else account.respond(request)

    world.exchanges["hubspot"] = exchange
    pay(world, invoice, "20.00")
    (ada,) = world.neutral("stripe")
    world.lookalikes["stripe"].edit("customer", ada, {"phone": "+1 415 555 0100"})
    await world.next_sweep()
    assert [one["phone"] for one in world.neutral("hubspot").values()] == ["+1 415 555 0100"]
    assert {one.code for one in failing(world)} == {"rejected"}
    row = world.db.read_now(lambda tx: connections.get(tx, "hubspot"))
    assert (row.error, row.paused_until) == ("", None)
