"""The tie-out over HTTP says all that the command says; a document that waits to be taken says why."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

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
