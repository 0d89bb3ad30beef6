"""Documents over the API: what Stripe and QuickBooks have, read through real routes of a real database."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.acting import everybody
from tests.support.paper import LINE, bill, papers, pay
from tests.support.world import World

pytestmark = pytest.mark.anyio

BOOKED = {**LINE, "product": "1"}


@pytest.fixture
async def billed(world: World) -> World:
    """Ada: a bill of 119.00 at Stripe of which 19.00 is paid and 30.00 credited, one of 50.00 that is void.

    Bob: one of 119.00 euros at QuickBooks, due long ago, of which nothing is paid.
    """
    stripe, books = world.lookalikes["stripe"], world.lookalikes["quickbooks"]
    ada = stripe.edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    bob = books.edit("customer", None, {"name": "Bob Boole", "email": "bob@example.test", "currency": "EUR"})
    await world.next_sweep()
    invoice = bill(world, customer=ada)
    pay(world, invoice, "19.00", customer=ada)
    note = {"customer": ada, "currency": "USD", "invoice": invoice, "applied": "30.00"}
    stripe.edit("credit_note", None, {**note, "lines": [{"description": "Sorry", "quantity": "1", "amount": "30.00"}]})
    void = bill(world, "stripe", {**LINE, "unit_amount": "25.00", "tax": "0"}, customer=ada)
    stripe.edit("invoice", void, {"status": "void"})
    bill(
        world,
        "quickbooks",
        BOOKED,
        customer=bob,
        currency="EUR",
        number="QB-7",
        issued_on="2026-08-01",
        due_on="2026-09-10",
    )
    await world.next_sweep()
    await world.settle()
    return world


def external(world: World, name: str) -> str:
    """Somebody's external id."""
    return {str(one.fields["name"]): one.external_id for one in everybody(world)}[name]


async def asked(api: httpx.AsyncClient, path: str, **params: Any) -> Any:
    """The page or the document."""
    answer = await api.get(f"/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def amounts(one: Any) -> tuple[Any, ...]:
    """What an invoice comes to."""
    told = one["document"]
    sums = (Decimal(told[name]) for name in ("total", "tax", "paid", "credited", "due"))
    return (told["currency"], told["status"], *sums)


ADAS = ("USD", "open", *map(Decimal, ("119.00", "19.00", "19.00", "30.00", "70.00")))
BOBS = ("EUR", "open", *map(Decimal, ("119.00", "19.00", "0.00", "0.00", "119.00")))
VOID = ("USD", "void", *map(Decimal, ("50.00", "0.00", "0.00", "0.00", "0.00")))


async def test_invoices_are_listed_with_their_amounts_and_copies(billed: World, api: httpx.AsyncClient) -> None:
    """Each with whose it is, where it was made, and how its copies stand."""
    page = await asked(api, "invoices")
    assert page["next_cursor"] is None
    assert sorted(map(amounts, page["data"])) == sorted([ADAS, BOBS, VOID])
    by_amounts = {amounts(one): one for one in page["data"]}
    adas, bobs = by_amounts[ADAS], by_amounts[BOBS]
    assert (adas["origin"], adas["customer"]) == ("stripe", external(billed, "Ada Lovelace"))
    assert (bobs["origin"], bobs["customer"]) == ("quickbooks", external(billed, "Bob Boole"))
    assert {one["connection"]: one["agrees"] for one in adas["copies"]} == {"hubspot": True, "quickbooks": True}
    assert {one["connection"]: one["agrees"] for one in bobs["copies"]} == {"hubspot": True}
    books = billed.lookalikes["quickbooks"].neutral("invoice")
    assert {one["remote_id"] for one in adas["copies"]} >= {name for name, one in books.items() if one["mark"]}


@pytest.mark.usefixtures("billed")
async def test_invoices_are_filtered_by_state_and_by_number(api: httpx.AsyncClient) -> None:
    """What no document has is an empty page; a state that is none is refused (test_operations.py)."""
    assert [amounts(one) for one in (await asked(api, "invoices", status="void"))["data"]] == [VOID]
    assert sorted(amounts(one) for one in (await asked(api, "invoices", status="open"))["data"]) == [BOBS, ADAS]
    assert (await asked(api, "invoices", status="paid"))["data"] == []
    assert [amounts(one) for one in (await asked(api, "invoices", number="QB-7"))["data"]] == [BOBS]
    assert (await asked(api, "invoices", number="QB-8"))["data"] == []


@pytest.mark.usefixtures("billed")
async def test_pages_go_on_from_their_cursor_until_the_last(api: httpx.AsyncClient) -> None:
    """Every document once, in the order of ids; the last page has no cursor, full or not."""
    whole = [one["id"] for one in (await asked(api, "invoices"))["data"]]
    assert whole == sorted(whole)
    for limit in (1, 2, 3):
        seen: list[str] = []
        cursor: str | None = ""
        pages = 0
        while cursor is not None:
            page = await asked(api, "invoices", limit=limit, cursor=cursor)
            assert len(page["data"]) <= limit
            seen += [one["id"] for one in page["data"]]
            cursor, pages = page["next_cursor"], pages + 1
        assert (seen, pages) == (whole, -(-3 // limit))


async def test_an_invoice_is_told_by_id_number_or_id_at_its_origin(billed: World, api: httpx.AsyncClient) -> None:
    """With what settles it, what is asked about it, and its story."""
    listed = next(one for one in (await asked(api, "invoices"))["data"] if amounts(one) == ADAS)
    names = (listed["id"], listed["document"]["number"], listed["remote_id"])
    told = [await asked(api, f"invoices/{name}") for name in names]
    assert told[0] == told[1] == told[2]
    assert amounts(told[0]) == ADAS
    assert listed["remote_id"] in billed.lookalikes["stripe"].neutral("invoice")
    settled = [(one["document"]["kind"], one["document"]["status"]) for one in told[0]["settled_by"]]
    assert {("payment", "succeeded"), ("credit_note", "issued")} <= set(settled)
    assert told[0]["holds"] == []
    # the newest first
    actions = [one["action"] for one in told[0]["journal"]]
    assert (actions[-1], sorted(actions[:-1])) == ("enter", ["create", "create"])
    assert (await api.get("/v1/invoices/nobody")).status_code == 404
    assert (await api.get(f"/v1/payments/{listed['id']}")).status_code == 404, "an invoice is no payment"


async def test_a_document_is_told_by_a_number_that_an_address_has_to_escape(
    billed: World, api: httpx.AsyncClient
) -> None:
    """Many number by year and slash."""
    books = billed.lookalikes["quickbooks"]
    (bob,) = (name for name, one in books.neutral("customer").items() if one["name"] == "Bob Boole")
    bill(billed, "quickbooks", BOOKED, customer=bob, currency="EUR", number="2026/0 7")
    await billed.next_sweep()
    told = await asked(api, f"invoices/{quote('2026/0 7', safe='')}")
    assert told["document"]["number"] == "2026/0 7"


async def test_payments_and_credit_notes_are_listed_and_told(billed: World, api: httpx.AsyncClient) -> None:
    """What came in of it and what was taken off, and on which invoice."""
    (invoice,) = (one for one in papers(billed) if one.document.currency == "USD" and one.document.status == "open")
    (payment,) = (await asked(api, "payments", status="succeeded"))["data"]
    assert (payment["document"]["amount"], payment["document"]["refunded"]) == ("19.00", "0.00")
    applied = [(one["invoice"], one["amount"]) for one in payment["document"]["applications"]]
    assert applied == [(invoice.id, "19.00")]
    assert [(one["connection"], one["agrees"]) for one in payment["copies"]] == [("quickbooks", True)]
    told = await asked(api, f"payments/{payment['id']}")
    assert (told["remote_id"], told["document"]["amount"]) == (payment["remote_id"], "19.00")

    (note,) = (await asked(api, "credit_notes"))["data"]
    assert [note["document"][name] for name in ("status", "total", "applied", "refunded")] == [
        "issued", "30.00", "30.00", "0.00",
    ]  # fmt: skip
    assert note["document"]["invoice"] == invoice.id
    assert (await asked(api, "credit_notes", status="void"))["data"] == []
    assert (await asked(api, f"credit_notes/{note['document']['number']}"))["id"] == note["id"]


async def test_a_customers_documents_are_its_own(billed: World, api: httpx.AsyncClient) -> None:
    """Of each kind, in pages too; nobody's is nothing, and says so."""
    ada, bob = (f"customers/{external(billed, name)}" for name in ("Ada Lovelace", "Bob Boole"))
    assert sorted(amounts(one) for one in (await asked(api, f"{ada}/invoices"))["data"]) == sorted([ADAS, VOID])
    assert [amounts(one) for one in (await asked(api, f"{bob}/invoices"))["data"]] == [BOBS]
    first = await asked(api, f"{ada}/invoices", limit=1)
    second = await asked(api, f"{ada}/invoices", limit=1, cursor=first["next_cursor"])
    assert sorted(amounts(one) for one in (*first["data"], *second["data"])) == sorted([ADAS, VOID])
    assert second["next_cursor"] is None
    paid = [one["document"] for one in (await asked(api, f"{ada}/payments"))["data"]]
    assert [one["amount"] for one in paid if one["status"] == "succeeded"] == ["19.00"]
    assert [one["document"]["total"] for one in (await asked(api, f"{ada}/credit_notes"))["data"]] == ["30.00"]
    for kind in ("payments", "credit_notes"):
        assert (await asked(api, f"{bob}/{kind}"))["data"] == []
    for kind in ("invoices", "payments", "credit_notes", "overview"):
        assert (await api.get(f"/v1/customers/nobody/{kind}")).status_code == 404


async def test_the_overview_adds_up_what_a_customer_owes_and_paid(billed: World, api: httpx.AsyncClient) -> None:
    """Per currency: credits are taken off, what is void counts for nothing, what is due before today is overdue."""
    ada, bob = (f"customers/{external(billed, name)}/overview" for name in ("Ada Lovelace", "Bob Boole"))
    (one,) = (await asked(api, ada))["data"]
    assert one == {
        "currency": "USD", "gross_revenue": "89.00", "outstanding": "70.00", "overdue": "0.00", "paid": "19.00",
        "last_paid_on": one["last_paid_on"], "invoices": 1,
    }  # fmt: skip
    assert one["last_paid_on"] is not None
    (one,) = (await asked(api, bob))["data"]
    assert (one["outstanding"], one["overdue"], one["last_paid_on"]) == ("119.00", "119.00", None)


@pytest.mark.usefixtures("billed")
async def test_what_is_due_is_reported_by_age(api: httpx.AsyncClient) -> None:
    """70.00 is not due yet, 119.00 has been since the tenth of September: today is the eighteenth of November."""
    found = {one["currency"]: one for one in (await asked(api, "reports/ageing"))["data"]}
    assert {name: one["total"] for name, one in found.items()} == {"EUR": "119.00", "USD": "70.00"}
    assert [Decimal(amount) for amount in found["USD"]["buckets"]] == [70, 0, 0, 0, 0]
    assert [Decimal(amount) for amount in found["EUR"]["buckets"]] == [0, 0, 0, 119, 0]
    told = await asked(api, "reports/ageing", invoices="true")
    assert [(one["currency"], one["total"]) for one in told["customers"]] == [("EUR", "119.00"), ("USD", "70.00")]
    late = told["invoices"][0]
    assert (late["currency"], late["bucket"], late["days_overdue"], late["due"]) == ("EUR", "to_90", 69, "119.00")
    short = await asked(api, "reports/ageing")
    assert (short["invoices"], short["customers"], short["day"]) == ([], told["customers"], "2026-11-18")
    assert short["digest"] != told["digest"]


async def test_a_period_is_tied_out_with_its_sums_or_its_differences(billed: World, api: httpx.AsyncClient) -> None:
    """August has Bob's invoice, equal at HubSpot; edited there by somebody, it is the difference."""
    august = await asked(api, "reports/tie_out/2026-08")
    assert (august["period"], august["is_over"], august["differences"], august["untaken"]) == ("2026-08", True, [], [])
    counted = [one for one in august["sums"] if one["kind"] == "invoice"]
    assert [(one["connection"], one["currency"], one["matched"]) for one in counted] == [("hubspot", "EUR", 1)], counted
    november = await asked(api, "reports/tie_out/2026-11")
    assert november["digest"] != august["digest"]
    assert {one["connection"] for one in november["sums"]} == {"hubspot", "quickbooks"}
    assert (await api.get("/v1/reports/tie_out/2026-13")).status_code == 422

    (copy,) = (name for name, one in billed.lookalikes["hubspot"].neutral("invoice").items() if one["number"] == "QB-7")
    billed.lookalikes["hubspot"].edit("invoice", copy, {"extra": {"accord_total": "118.00"}})
    billed.clock.time += 90_000
    await billed.settle()
    (wrong,) = (await asked(api, "reports/tie_out/2026-08"))["differences"]
    assert (wrong["connection"], wrong["number"]) == ("hubspot", "QB-7"), wrong


async def test_documents_that_wait_to_be_taken_are_listed_too(billed: World, api: httpx.AsyncClient) -> None:
    """As `accord failures` does: whoever only watched the API never heard of an invoice that nobody took."""
    assert (await asked(api, "failures"))["waiting"] == []
    other = billed.lookalikes["stripe"].edit("customer", None, {"name": "Ben", "email": "ada@example.test"})
    invoice = bill(billed, customer=other)
    await billed.next_sweep()
    (one,) = (await asked(api, "failures"))["waiting"]
    assert (one["connection"], one["kind"], one["remote_id"], one["amount"]) == ("stripe", "invoice", invoice, "119.00")
    assert other in one["message"]
    assert one["cure"].startswith("answer hold ")
    assert (await asked(api, "failures", connection="hubspot"))["waiting"] == []
    assert (await asked(api, "failures", state="dead"))["waiting"] == []
