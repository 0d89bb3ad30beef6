"""The webhook receiver: what is authentic is durable before the 200, and nothing else leaves a row."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Sequence

import pytest
import sqlalchemy as sa
import structlog

from core.api.webhooks import WAKE_SECONDS
from core.ports import Delivery, Notice
from core.store.tables import INBOX
from tests.support import deliveries
from tests.support.receiver import PUBLIC_URL, Receiver
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

MEGABYTE = 1024 * 1024


def stored(world: World) -> int:
    """How many deliveries the inbox has."""
    count = sa.select(sa.func.count()).select_from(INBOX)
    return int(world.db.read_now(lambda tx: tx.execute(count).scalar_one()))


def signed(world: World, name: str, number: int = 1) -> Delivery:
    """An authentic delivery."""
    return deliveries.SIGNERS[name](number, world.clock.now(), f"{PUBLIC_URL}/webhooks/{name}")


@pytest.mark.parametrize("name", NAMES)
async def test_an_authentic_delivery_is_durable_when_answered(world: World, receiver: Receiver, name: str) -> None:
    """A 200 tells the provider never to send it again."""
    good = signed(world, name)
    assert await receiver.post(f"/webhooks/{name}", good.body, good.headers) == 200
    assert stored(world) == 1
    await asyncio.sleep(2 * WAKE_SECONDS)
    assert name in world.woken


@pytest.mark.parametrize("name", NAMES)
async def test_no_forged_or_stale_delivery_is_ever_stored(world: World, receiver: Receiver, name: str) -> None:
    """4,000 at each provider: mutated, cut, grown, unsigned, stale, signed by somebody else, signed twice."""
    rng = random.Random(f"forgeries {name}")
    now, url = world.clock.now(), f"{PUBLIC_URL}/webhooks/{name}"
    answers = [
        await receiver.post(f"/webhooks/{name}", bad.body, bad.headers)
        for bad in deliveries.spoiled(name, rng, 4000, now, url)
    ]
    assert set(answers) == {401}
    assert len(answers) == 4000
    assert stored(world) == 0


async def test_a_redelivery_is_answered_and_stored_once(world: World, receiver: Receiver) -> None:
    """Providers repeat what they believe was lost."""
    good = signed(world, "stripe")
    answers = [await receiver.post("/webhooks/stripe", good.body, good.headers) for _ in range(3)]
    assert answers == [200, 200, 200]
    assert stored(world) == 1


async def test_a_body_up_to_the_cap_is_taken_and_one_byte_more_is_not(world: World, receiver: Receiver) -> None:
    """The cap holds for an announced length and for one that is not."""
    empty = len(deliveries.stripe(1, world.clock.now()).body)
    exact = deliveries.stripe(1, world.clock.now(), pad=1500 + MEGABYTE - empty)
    assert len(exact.body) == MEGABYTE
    assert await receiver.post("/webhooks/stripe", exact.body, exact.headers) == 200
    more = deliveries.stripe(2, world.clock.now(), pad=1501 + MEGABYTE - empty)
    announced = {**more.headers, "content-length": str(len(more.body))}
    assert await receiver.post("/webhooks/stripe", more.body, announced) == 413
    halves = [more.body[:MEGABYTE], more.body[MEGABYTE:]]
    assert await receiver.post("/webhooks/stripe", halves, more.headers) == 413
    assert stored(world) == 1


async def test_a_sender_that_hangs_up_half_way_leaves_nothing(world: World, receiver: Receiver) -> None:
    """Half a body is no delivery, and nobody is there to be answered."""
    good = signed(world, "quickbooks")
    assert await receiver.post("/webhooks/quickbooks", good.body[:20], good.headers, hangs_up=True) is None
    assert stored(world) == 0


async def test_a_connection_that_is_not_configured_is_not_found(world: World, receiver: Receiver) -> None:
    """Its provider must stop sending, and the log says who sent."""
    good = signed(world, "stripe")
    assert await receiver.post("/webhooks/stripe-us", good.body, good.headers) == 404
    assert await receiver.post("/webhooks/", good.body, good.headers) == 404
    assert await receiver.post("/", good.body, good.headers) == 404
    assert await receiver.post("/webhooks/stripe/more", good.body, good.headers) == 404
    assert stored(world) == 0


async def test_only_post_delivers(world: World, receiver: Receiver) -> None:
    """Somebody who looks at the address with a browser stores nothing."""
    good = signed(world, "stripe")
    assert await receiver.post("/webhooks/stripe", good.body, good.headers, method="GET") == 405
    assert stored(world) == 0


async def test_without_a_secret_nothing_is_taken_and_the_log_says_what_to_set(world: World, receiver: Receiver) -> None:
    """An empty key would verify what anybody can sign."""
    del world.vaults["stripe"].values["webhook_secret"]
    forged = deliveries.stripe(1, world.clock.now(), secret="")
    with structlog.testing.capture_logs() as lines:
        assert await receiver.post("/webhooks/stripe", forged.body, forged.headers) == 404
    assert stored(world) == 0
    assert [line["outcome"] for line in lines] == ["no_secret"]
    assert "webhook_secret" in lines[0]["problem"]


async def test_what_cannot_be_stored_is_asked_for_again(world: World, receiver: Receiver) -> None:
    """Our trouble is 503, so that the provider repeats it later."""
    world.db.run_now(lambda tx: tx.execute(sa.text("ALTER TABLE inbox RENAME TO away")))
    good = signed(world, "stripe")
    assert await receiver.post("/webhooks/stripe", good.body, good.headers) == 503
    world.db.run_now(lambda tx: tx.execute(sa.text("ALTER TABLE away RENAME TO inbox")))
    assert await receiver.post("/webhooks/stripe", good.body, good.headers) == 200
    assert stored(world) == 1


class BrokenWebhooks:
    """A connector's webhook half with a bug."""

    def verify(self, delivery: Delivery, secrets: Sequence[str], now: float) -> None:  # noqa: ARG002
        """Fail as no connector may."""
        raise KeyError(now)

    def dedupe_key(self, delivery: Delivery) -> str:
        """Never asked."""
        raise NotImplementedError

    def notices(self, body: bytes) -> Sequence[Notice]:
        """Never asked."""
        raise NotImplementedError


async def test_a_bug_in_a_connector_is_a_500_and_stores_nothing(world: World, receiver: Receiver) -> None:
    """The provider keeps the delivery until the bug is mended."""
    good = signed(world, "stripe")
    connections = {"stripe": dataclasses.replace(world.hub.connections["stripe"], webhooks=BrokenWebhooks())}
    receiver.app._hub = dataclasses.replace(world.hub, connections=connections)
    with structlog.testing.capture_logs() as lines:
        assert await receiver.post("/webhooks/stripe", good.body, good.headers) == 500
    assert stored(world) == 0
    assert "webhook.failed" in [line["event"] for line in lines]


async def test_headers_do_not_decide_which_url_was_signed(world: World, receiver: Receiver) -> None:
    """HubSpot signs the public URL; whoever could choose it by a header could replay a delivery of another site."""
    now = world.clock.now()
    lies = dict.fromkeys(("host", "x-forwarded-host", "x-original-host"), "evil.test") | {"forwarded": "host=evil.test"}
    good = signed(world, "hubspot")
    assert await receiver.post("/webhooks/hubspot", good.body, {**good.headers, **lies}) == 200
    other = deliveries.hubspot(2, now, "https://evil.test/webhooks/hubspot")
    assert await receiver.post("/webhooks/hubspot", other.body, {**other.headers, **lies}) == 401
    assert stored(world) == 1


async def test_the_query_is_part_of_the_signed_url(world: World, receiver: Receiver) -> None:
    """As it was called, percent-encoding and all."""
    target = "/webhooks/hubspot?tenant=a%20b"
    good = deliveries.hubspot(1, world.clock.now(), f"{PUBLIC_URL}{target}")
    assert await receiver.post(target, good.body, good.headers) == 200
    assert await receiver.post("/webhooks/hubspot?tenant=other", good.body, good.headers) == 401
    assert stored(world) == 1


async def test_a_second_signature_header_is_seen(world: World, receiver: Receiver) -> None:
    """Taking only the first (or the last) of two would let a proxy and us disagree about what was verified."""
    good = signed(world, "quickbooks")
    doubled = [*good.headers.items(), ("intuit-signature", "AAAA")]
    assert await receiver.post("/webhooks/quickbooks", good.body, doubled) == 401
    assert stored(world) == 0


async def test_a_rolled_secret_is_taken_at_once_and_the_old_one_is_not(world: World, receiver: Receiver) -> None:
    """Secrets are cached; a roll must not refuse a provider's deliveries until the cache is old."""
    good = signed(world, "stripe")
    assert await receiver.post("/webhooks/stripe", good.body, good.headers) == 200
    world.vaults["stripe"].values["webhook_secret"] = "whsec_rolled"
    world.clock.time += 2
    rolled = deliveries.stripe(2, world.clock.now(), secret="whsec_rolled")
    assert await receiver.post("/webhooks/stripe", rolled.body, rolled.headers) == 200
    old = signed(world, "stripe", 3)
    assert await receiver.post("/webhooks/stripe", old.body, old.headers) == 401
    assert stored(world) == 2


async def test_a_flood_of_forgeries_is_no_flood_of_log_lines(world: World, receiver: Receiver) -> None:
    """One line tells it; the next one, ten seconds later, how many there were."""
    bad = deliveries.stripe(1, world.clock.now(), secret="somebody else's")
    with structlog.testing.capture_logs() as lines:
        for _ in range(50):
            await receiver.post("/webhooks/stripe", bad.body, bad.headers)
        world.clock.time += 11
        await receiver.post("/webhooks/stripe", bad.body, bad.headers)
    assert [(line["event"], line["more_before"]) for line in lines] == [("webhook.refused", 0), ("webhook.refused", 49)]


async def test_every_outcome_is_counted(world: World, receiver: Receiver) -> None:
    """Metrics name the configured connections only: a stranger must not be able to make new series."""
    good = signed(world, "stripe")
    await receiver.post("/webhooks/stripe", good.body, good.headers)
    await receiver.post("/webhooks/stripe", good.body + b" ", good.headers)
    await receiver.post("/webhooks/made-up-by-a-stranger", good.body, good.headers)
    series = {
        (sample.labels["connection"], sample.labels["outcome"]): sample.value
        for family in receiver.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "accord_webhooks_total"
    }
    assert series == {("stripe", "stored"): 1, ("stripe", "bad_signature"): 1, ("", "unknown_connection"): 1}
