"""The tie-out over HTTP says all that the command says; a document that waits to be taken says why."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from core.store.tables import MAPPINGS
from tests.support.acting import held
from tests.support.paper import bill, stripe_to_books
from tests.support.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Stripe's documents are copied to QuickBooks."""
    return World(url=f"sqlite:///{tmp_path}/accord.sqlite3", config=stripe_to_books())


async def test_a_tie_out_tells_what_waits_what_adds_up_and_what_it_rests_on(
    world: World, api: httpx.AsyncClient
) -> None:
    """A program that closes a month must see what a person sees."""
    stripe = world.lookalikes["stripe"]
    stripe.edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    bill(world)
    other = stripe.edit("customer", None, {"name": "Ben", "email": "ada@example.test"})
    invoice = bill(world, customer=other)
    await world.next_sweep()
    found = (await api.get("/v1/reports/tie_out/2026-11")).json()
    (question,) = held(world)
    (books,) = (one for one in found["sums"] if one["kind"] == "invoice")
    assert (books["connection"], books["matched"], books["matched_amount"]) == ("quickbooks", 1, "119.00")
    (untaken,) = (one for one in found["untaken"] if one["kind"] == "invoice")
    assert (untaken["remote_id"], untaken["cure"]) == (invoice, f"answer hold {question.id}")
    assert (found["outside"], found["unaccounted"], found["differences"]) == ([], [], [])
    assert {one["connection"]: (one["state"], one["is_sound"]) for one in found["connections"]} == {
        "quickbooks": ("active", True),
        "stripe": ("active", True),
    }
    families = {one.name: one for one in text_string_to_metric_families((await api.get("/metrics")).text)}
    for name, times in (("mappings", 1), ("ownerless", 1), ("unequal", 0), ("pending", 0), ("held", 0)):
        samples = families[f"accord_documents_{name}"].samples
        told = {sample.labels["connection"]: sample.value for sample in samples}
        assert told == {"stripe": times, "quickbooks": 0 if name == "ownerless" else times}, name
    missing = await api.get(f"/v1/invoices/{invoice}")
    assert missing.status_code == 404
    assert other in missing.json()["problem"]
    assert missing.json()["cure"] == f"answer hold {question.id}"


async def test_a_scrape_compares_all_copies_once_in_five_minutes(world: World, api: httpx.AsyncClient) -> None:
    """It read every copy each time, with many of them for seconds; how old the figure is stands beside it."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await world.activate_all()
    bill(world)
    await world.next_sweep()
    compared: list[str] = []

    def look(_connection: object, _cursor: object, sql: str, *_rest: object) -> None:
        if "JOIN documents" in sql and "count(" in sql:
            compared.append(sql)

    sa.event.listen(world.db.engine, "before_cursor_execute", look)
    assert await scraped(api) == {"unequal": 0, "unequal_age_seconds": 0}
    first = len(compared)
    assert first, "the copies were compared"
    world.db.run_now(lambda tx: tx.execute(sa.update(MAPPINGS).where(MAPPINGS.c.kind == "invoice").values(base="{}")))
    world.clock.time += 290
    assert await scraped(api) == {"unequal": 0, "unequal_age_seconds": 290}
    assert len(compared) == first
    shown = {one["connection"]: one["documents"] for one in (await api.get("/v1/connections")).json()["data"]}
    assert shown["quickbooks"]["unequal"] == 1, "who looks once is told what there is now"
    world.clock.time += 10
    assert await scraped(api) == {"unequal": 1, "unequal_age_seconds": 0}


async def scraped(api: httpx.AsyncClient) -> dict[str, float]:
    """What `/metrics` says of the copies in the books that are not equal."""
    families = {one.name: one for one in text_string_to_metric_families((await api.get("/metrics")).text)}
    return {
        name: sample.value
        for name in ("unequal", "unequal_age_seconds")
        for sample in families[f"accord_documents_{name}"].samples
        if sample.labels["connection"] == "quickbooks"
    }
