"""A person merges customers in QuickBooks: the transactions of the absorbed one are the survivor's from then on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.model import holds
from core.model.documents import KINDS
from core.model.policy import DocumentPolicy
from core.sync.erasure import erase
from core.sync.inbox import InboxWriter
from tests.integration.documents.test_overview import figures
from tests.support.acting import all_day, answer, everybody, held
from tests.support.lookalikes import quickbooks_of
from tests.support.paper import LINE, at_rest, bill, billing, papers, pay, shown, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def told(world: World) -> None:
    """QuickBooks' deliveries come, and the lanes work."""
    company, connection = world.lookalikes["quickbooks"], world.hub.connection("quickbooks")
    writer = InboxWriter(world.hub)
    while found := list(company.due_webhooks(world.clock.time)):
        for one in found:
            company.webhook_answered(one.id, 200, world.clock.time)
            await writer.receive(connection, one.delivery)
    await world.settle()


def merged(world: World, **survivor: str) -> str:
    """A person lets another customer absorb our only one."""
    company = quickbooks_of(world)
    company.settings = replace(company.settings, webhook_url="https://accord.test/webhooks/quickbooks")
    (ours,) = world.neutral("quickbooks")
    made = company.edit("customer", None, survivor)
    company.merge("customer", made, ours)
    return made


async def test_what_settles_a_copy_is_booked_on_the_customer_that_absorbed_its_own() -> None:
    """The copy stands with the survivor already, and the mapping moves there as well: nobody is asked."""
    world = await billing()
    invoice = bill(world)
    await world.next_sweep()
    survivor = merged(world, name="Ada L.", email="ada@example.test")
    await told(world)
    pay(world, invoice, "119.00")
    await world.next_sweep()
    await all_day(world)

    (copy,), (payment,) = shown(world, "quickbooks"), shown(world, "quickbooks", "payment")
    assert (copy["customer"], copy["due"]) == (survivor, "0.00")
    assert (payment["customer"], payment["applications"]) == (survivor, [{"invoice": "1", "amount": "119.00"}])
    at_rest(world)


async def test_an_invoice_that_is_another_customers_by_a_merge_is_asked_about() -> None:
    """Whose money it is changes by no merge alone, where both are customers of the registry."""
    world = await billing(with_documents({"quickbooks": DocumentPolicy(originates=KINDS)}, {}, {}))
    bill(world, "quickbooks", LINE, number="QB-1")
    await world.next_sweep()
    (ada,) = everybody(world)
    company = quickbooks_of(world)
    (ours,) = world.neutral("quickbooks")
    bob = company.edit("customer", None, {"name": "Bob"})
    await world.next_sweep()
    company.merge("customer", bob, ours)
    await all_day(world)

    (asked,) = held(world, holds.DOCUMENT_CHANGED)
    assert (asked.detail["number"], asked.detail["fields"]) == ("QB-1", ["customer"])
    assert [one.customer_id for one in papers(world)] == [ada.id]
    # as people call them: what the registry has inside no command takes
    assert asked.detail["customer"] == {"was": ada.external_id, "is": f"quickbooks:{bob}"}
    world.db.run_now(lambda tx: erase(tx, world.hub, f"quickbooks:{bob}", actor="ann", trace="t"))
    (asked,) = held(world, holds.DOCUMENT_CHANGED)
    assert asked.detail["customer"] == {"was": ada.external_id, "is": "(erased)"}


async def test_whose_invoice_it_was_shows_it_no_more_once_it_is_another_customers() -> None:
    """The same 119.00 stood as outstanding on both contacts in HubSpot, for good."""
    policies = {"quickbooks": DocumentPolicy(originates=KINDS), "hubspot": DocumentPolicy(overview=True)}
    world = await billing(with_documents(policies, {}, {}))
    company = quickbooks_of(world)
    (ours,) = world.neutral("quickbooks")
    bob = company.edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    bill(world, "quickbooks", LINE, number="QB-1", customer=ours)
    await world.next_sweep()
    contacts = {one["email"]: name for name, one in world.neutral("hubspot").items()}
    assert figures(world, contacts["ada@example.test"])[:3] == ("USD", "119", "119")
    company.merge("customer", bob, ours)
    await all_day(world)
    (asked,) = held(world, holds.DOCUMENT_CHANGED)
    await answer(world, asked, "accept")
    await world.next_sweep()

    assert figures(world, contacts["bob@example.test"])[:3] == ("USD", "119", "119")
    assert set(figures(world, contacts["ada@example.test"])) == {""}
