"""A payment's webhook comes again and again, under its own id and under new ones: the money came in once."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from config.file import AccordConfig
from core.model.documents import Invoice
from core.ports import Delivery
from core.store import inbox
from tests.integration.documents.test_copies_at_stripe import books_to_stripe
from tests.integration.sync.test_probes import due, receive
from tests.support.paper import at_rest, bill, billing, papers, pay, shown, stripe_to_books
from tests.support.world import World

pytestmark = pytest.mark.anyio

HOOK = "https://accord.test/webhooks/books"


def named_anew(world: World, name: str, delivery: Delivery, number: int) -> Delivery:
    """The same told once more under an id of its own, signed by the provider."""
    settings: Any = world.lookalikes[name].settings
    if name == "stripe":
        body = msgspec.json.encode(json.loads(delivery.body) | {"id": f"evt_again{number}"})
        time = str(int(world.clock.time))
        key = settings.webhook_secrets[0].encode()
        signed = hmac.new(key, time.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {"stripe-signature": f"t={time},v1={signed}"}
    else:
        events = [event | {"id": f"again-{number}-{place}"} for place, event in enumerate(json.loads(delivery.body))]
        body = msgspec.json.encode(events)
        digest = hmac.digest(settings.verifier_token.encode(), body, "sha256")
        headers = {"intuit-signature": b64encode(digest).decode()}
    return Delivery(delivery.method, delivery.url, {**delivery.headers, **headers}, body)


@pytest.mark.parametrize(
    ("config", "origin", "books"),
    [
        (stripe_to_books(), "stripe", "quickbooks"),
        (books_to_stripe(mirror_open_invoices="yes"), "quickbooks", "stripe"),
    ],
    ids=["stripe", "quickbooks"],
)
async def test_a_payment_that_is_told_a_thousand_times_settles_its_invoice_once(
    config: AccordConfig, origin: str, books: str
) -> None:
    """Others add the amount at every delivery, and count a part payment for the whole."""
    world = await billing(config)
    invoice = bill(world, origin, number="A-1")
    await world.next_sweep()
    world.timing = replace(world.timing, changes_every=1e9, full_every=1e9)
    world.start()
    world.lookalikes[origin].settings = replace(world.lookalikes[origin].settings, webhook_url=HOOK)
    pay(world, invoice, "50.00", origin)
    deliveries = due(world, origin)
    assert deliveries
    await receive(world, origin, deliveries * 500)
    await receive(world, origin, [named_anew(world, origin, deliveries[0], number) for number in range(250)])
    await receive(world, origin, [named_anew(world, origin, deliveries[-1], number) for number in range(250, 500)])
    world.clock.time += 60
    await receive(world, origin, [])

    (known,) = papers(world)
    assert isinstance(known.document, Invoice)
    assert (str(known.document.paid), str(known.document.due)) == ("50.00", "69.00")
    for name in (origin, books):
        assert [one["due"] for one in shown(world, name)] == ["69.00"]
        assert [one["amount"] for one in shown(world, name, "payment") if one["status"] == "succeeded"] == ["50.00"]
    assert world.db.read_now(inbox.counts).get((origin, "poison"), 0) == 0
    at_rest(world)
