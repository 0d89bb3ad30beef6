"""A listing that another daemon moved on, while this one had lost its lock, is known in part to whoever goes on."""

from __future__ import annotations

import pytest

from core.model.policy import DocumentPolicy
from core.ports import HttpRequest, HttpResponse
from core.sync.lanes import Lanes
from tests.support.acting import held
from tests.support.paper import bill, with_documents
from tests.support.world import World

pytestmark = pytest.mark.anyio


async def page_by(lanes: Lanes, read: set[str]) -> None:
    """One more page of invoices; `read` stops whoever has read one."""
    read.clear()
    await lanes.run("stripe")
    assert read, "no page was read"


async def test_what_another_daemon_has_listed_is_missed_by_nobody() -> None:
    """The pages in the middle were another one's: what stood on them was taken for gone, and a person was asked."""
    world = World(config=with_documents({"stripe": DocumentPolicy(originates=("invoice",))}, {}, {}))
    world.names = ("stripe",)
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada"})
    await world.activate_all("stripe")
    for _ in range(310):
        bill(world)
    await world.next_sweep()
    whole, read = world.exchanges["stripe"], set[str]()

    def exchange(request: HttpRequest) -> HttpResponse:
        read.update([request.url] if request.url.partition("?")[0].endswith("/v1/invoices") else [])
        return whole(request)

    world.exchanges["stripe"] = exchange
    first, other = (Lanes(world.hub, should_stop=lambda: bool(read)) for _ in range(2))
    world.clock.time += world.timing.full_every + 1
    for lanes in (first, other, other):
        await page_by(lanes, read)
    first.begin_anew()
    await page_by(first, read)
    assert held(world) == []
