"""Writes behind one that ends the batch: they were never sent, and are not taken for perhaps done."""

from __future__ import annotations

from functools import partial

import pytest

from core.ports import HttpRequest, HttpResponse
from core.store import intents
from core.sync import registry
from core.sync.erasure import erase
from tests.support.acting import ADA, agreeing, change_only, everybody, with_policy
from tests.support.world import World

pytestmark = pytest.mark.anyio

REFUSED = b'{"Fault": {"Error": [{"Message": "token", "code": "003200"}], "type": "AUTHENTICATION"}}'


def without_consent(world: World) -> None:
    """QuickBooks refuses every write: its consent was taken back."""
    through = world.exchanges["quickbooks"]

    def exchange(request: HttpRequest) -> HttpResponse:
        is_write = request.method == "POST" and "/v3/" in request.url
        return HttpResponse(401, {}, REFUSED) if is_write else through(request)

    world.exchanges["quickbooks"] = exchange


async def test_a_customer_whose_update_was_never_sent_can_be_erased() -> None:
    """It waited behind a create for which the consent was missing, and stood as a write of which nobody knows."""
    world = await agreeing()
    (ada,) = everybody(world)
    without_consent(world)
    world.lookalikes["stripe"].edit("customer", None, {**ADA, "name": "Bea", "email": "bea@example.test"})
    change_only(world, ada.external_id, phone="+4930123")

    await world.next_sweep()

    assert world.db.read_now(intents.all_open) == []
    world.db.run_now(lambda tx: erase(tx, world.hub, ada.external_id, actor="ann", trace="t"))


async def test_a_customer_whose_archiving_was_never_sent_can_be_erased() -> None:
    """It stood behind another one's, for which the consent was missing."""
    world = await agreeing()
    world.config = with_policy(world.config, "quickbooks", when_archived="archive")
    world.start()
    world.lookalikes["stripe"].edit("customer", None, {**ADA, "name": "Bea", "email": "bea@example.test"})
    await world.next_sweep()
    without_consent(world)
    names = [one.external_id for one in everybody(world)]
    for name in names:
        world.db.run_now(partial(registry.archive, hub=world.hub, external_id=name, actor="ann", trace="t"))

    await world.settle()

    assert world.db.read_now(intents.all_open) == []
    for name in names:
        world.db.run_now(partial(erase, hub=world.hub, external_id=name, actor="ann", trace="t"))
