"""Documents of an erased customer stay, as books must; nothing that is kept about them names the person."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from config.file import AccordConfig
from core.model import holds
from core.ports import Bad
from core.store import inbox, mappings
from core.store.inbox import Letter
from core.store.tables import METADATA
from core.sync import linking
from core.sync.erasure import erase
from core.sync.failing import record_bad
from tests.integration.documents.test_accounting import mark_as_paid
from tests.integration.documents.test_ended_customers import end
from tests.integration.documents.test_hubspot_copies import CRM
from tests.support.acting import answer, enter, everybody, failing, held, waiting
from tests.support.paper import an_hour_later, bill, billing, papers, shown
from tests.support.world import World

pytestmark = pytest.mark.anyio
NAME = "Ada Lovelace"


def everything(world: World) -> str:
    """Every row of every table, as text."""

    def look(tx: Any) -> str:
        return "\n".join(repr(tuple(row)) for table in METADATA.sorted_tables for row in tx.rows(table.select()))

    return world.db.read_now(look)


async def days(world: World) -> None:
    """Two whole sweeps, one a day."""
    for _ in range(2):
        world.clock.time += 90_000
        await world.settle()


async def test_why_an_invoice_waits_names_nobody_who_was_erased() -> None:
    """The copy waited for "its customer ada has no object here", and said so after ada was erased."""
    world = await billing()
    (one,) = everybody(world)

    def leave(tx: Any) -> None:
        linking.unlink(tx, world.hub, one.external_id, "quickbooks", actor="ann", trace="t")

    world.db.run_now(leave)
    bill(world)
    await world.next_sweep()
    assert f"its customer {one.external_id} has no object here" in everything(world)
    end(world, "erase")
    assert one.external_id not in everything(world)
    await days(world)
    assert [text for text in (one.external_id, NAME) if text in everything(world)] == []
    assert len(papers(world)) == 1


async def test_an_invoice_that_waits_to_be_taken_does_not_name_the_object_of_the_erased() -> None:
    """It waited for "its customer cus_1 has no mapping here": nothing but the bare id of an object is kept."""
    world = await billing()
    (customer,) = world.neutral("stripe")
    end(world, "stripe")
    bill(world)
    await world.next_sweep()
    assert f"its customer {customer} has no mapping here" in everything(world)
    end(world, "erase")
    assert f"its customer {customer}" not in everything(world)
    await days(world)
    assert f"its customer {customer}" not in everything(world)
    assert papers(world) == []


async def test_what_could_not_be_understood_of_their_invoices_is_shown_no_more() -> None:
    """Stripe's invoices say whose they are, by name: what was kept to be mended was the person's."""
    world = await billing()
    (customer,) = world.neutral("stripe")
    known = bill(world)
    await world.next_sweep()
    (row,) = world.db.read_now(lambda tx: mappings.by_remote_ids(tx, "stripe", "invoice", [known])).values()
    raw = f'{{"customer": "{customer}", "customer_name": "{NAME}"}}'
    bad = {f"m:{row.id}": Bad(known, None, NAME, raw), "d:invoice:in_new": Bad("in_new", None, "it is odd", raw)}

    def fail(tx: Any) -> None:
        record_bad(tx, world.hub, world.hub.connections["stripe"], bad, "t", "invoice")

    world.db.run_now(fail)
    assert NAME in everything(world)
    end(world, "erase")
    assert NAME not in everything(world)
    assert sorted((one.subject, one.message) for one in failing(world)) == [
        ("d:invoice:in_new", "it is odd"), (f"m:{row.id}", "(erased)"),
    ]  # fmt: skip
    del bad["d:invoice:in_new"]
    world.db.run_now(fail)
    assert NAME not in everything(world), "of what is known to be theirs only the code is kept"


def letter(key: str, invoice: str, whose: str, name: str) -> Letter:
    """An event of Stripe's about an invoice, with whoever is billed by it."""
    about = {"object": "invoice", "id": invoice, "customer": whose, "customer_name": name}
    event = {"id": key, "object": "event", "type": "invoice.paid", "data": {"object": about}}
    return Letter(connection="stripe", dedupe_key=key, body=msgspec.json.encode(event), received_at=1.0)


async def test_deliveries_about_their_invoices_are_emptied_and_those_of_others_stay() -> None:
    """An invoice's event carries name, address and e-mail of whoever is billed; one that waits is read first."""
    world = await billing()
    (customer,) = world.neutral("stripe")
    invoice = bill(world)
    letters = [
        letter("evt_1", invoice, customer, NAME), letter("evt_2", "in_other", f"{customer}x", "Bob Boole")
    ]  # fmt: skip
    world.db.run_now(lambda tx: inbox.add(tx, letters))
    end(world, "erase")
    text = everything(world)
    assert (NAME in text, "Bob Boole" in text) == (False, True)
    assert f"d:invoice:{invoice}" in text, "it was read before it was emptied"


async def test_a_delivery_that_comes_after_the_erasure_is_read_and_emptied() -> None:
    """The invoice is known, and is paid after its customer was erased: Stripe still names whoever was billed."""
    world = await billing()
    (customer,) = world.neutral("stripe")
    invoice = bill(world)
    await world.next_sweep()
    end(world, "erase")
    letters = [
        letter("evt_1", invoice, customer, NAME), letter("evt_2", "in_other", f"{customer}x", "Bob Boole")
    ]  # fmt: skip
    world.db.run_now(lambda tx: inbox.add(tx, letters))
    await world.settle()
    text = everything(world)
    assert (NAME in text, "Bob Boole" in text) == (False, True)


async def test_an_amount_that_reads_like_the_id_of_the_erased_stays_in_a_question_of_money() -> None:
    """Customer 11900 was erased, 11900 yen of Ada's became "(erased)", and once booked no lane got past that."""
    world = await billing()
    invoice = bill(world, "stripe", {"description": "Seats", "quantity": "1", "unit_amount": "11900"}, currency="JPY")
    await world.next_sweep()
    await enter(world, "11900", name="Bob Boole")
    mark_as_paid(world, invoice)
    world.clock.time += 90_000
    await world.settle()
    await an_hour_later(world)
    await an_hour_later(world)
    (asked,) = held(world, holds.UNACCOUNTED)
    assert asked.detail["covers"] == "11900"
    world.db.run_now(lambda tx: erase(tx, world.hub, "11900", actor="ann", trace="t"))
    assert held(world, holds.UNACCOUNTED) == [asked]
    await answer(world, asked, "booked")
    await an_hour_later(world)
    assert held(world, holds.UNACCOUNTED) == []


@pytest.mark.parametrize(("name", "config"), [("quickbooks", None), ("hubspot", CRM)])
async def test_a_copy_that_was_equal_rests_with_its_erased_customer(name: str, config: AccordConfig | None) -> None:
    """Nobody's object is there to be named: from the first look at it on it waited, and was read every hour."""
    world = await billing(config)
    bill(world)
    await world.next_sweep()
    end(world, "erase")
    await days(world)
    assert (held(world), failing(world), waiting(world).get(name, 0)) == ([], [], 0)
    assert [one["status"] for one in shown(world, name)] == ["open"]
