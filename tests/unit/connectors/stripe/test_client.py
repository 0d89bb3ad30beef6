# ruff: noqa: D103 -- `world` is made in conftest, which tests cannot import
"""The production client over httpx's own transport; respx stands where the sockets would be opened."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import respx
import stripe

from connectors.stripe.client import StripeApi
from connectors.stripe.client.sdk import ShellHttpxClient
from connectors.stripe.manifest import API_VERSION, MANIFEST
from core.errors import AmbiguousError, RetryError
from core.http.limits import RateLimiter
from core.ports import Shell

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
NO_ANSWER = (httpx.ReadTimeout, httpx.WriteError, httpx.RemoteProtocolError)


@pytest.fixture
def wire() -> Iterator[respx.MockRouter]:
    """Every request that would leave this machine."""
    with respx.mock(base_url="https://api.stripe.com") as router:
        yield router


def shell_of(world: Any) -> Shell:
    return Shell(world.clock, world.shell.hop)


def api_of(world: Any) -> StripeApi:
    return StripeApi(world.config, world.vault, shell_of(world), RateLimiter(MANIFEST.limits, shell_of(world)))


def test_a_write_leaves_with_its_key_version_and_form(world: Any, wire: respx.MockRouter) -> None:
    """A second attempt at the same intent is harmless only with the same Idempotency-Key."""
    route = wire.post("/v1/customers").respond(200, content=b'{"id":"cus_1"}', headers={"Idempotent-Replayed": "true"})
    body = {"name": "Ada", "metadata": {"plan": "pro"}}
    reply = world.run(api_of(world).create_customer(body, "intent-1"))
    request = route.calls.last.request
    assert request.headers["idempotency-key"] == "intent-1"
    assert request.headers["stripe-version"] == API_VERSION
    assert request.headers["authorization"] == "Bearer rk_live_lookalike"
    assert parse_qs(request.content.decode()) == {"name": ["Ada"], "metadata[plan]": ["pro"]}
    assert (reply.status, reply.body, reply.is_replayed) == (200, b'{"id":"cus_1"}', True)


def test_a_listings_bytes_pass_through_unread(world: Any, wire: respx.MockRouter) -> None:
    """The SDK's objects cost ten times what the page costs; bytes that are no JSON come through as well."""
    wire.get("/v1/customers", params={"limit": "100"}).respond(200, content=b"\xff no JSON", headers={"X-Odd": "yes"})
    reply = world.run(api_of(world).list_customers({"limit": 100}))
    assert reply.body == b"\xff no JSON"
    assert reply.headers["x-odd"] == "yes"


@pytest.mark.parametrize("failure", NOT_SENT)
def test_a_write_that_found_no_connection_was_not_sent(
    world: Any, wire: respx.MockRouter, failure: type[httpx.TransportError]
) -> None:
    """RetryError: the intent may be decided afresh; and the client itself never sends a write twice."""
    route = wire.post("/v1/customers/cus_1").mock(side_effect=failure)
    with pytest.raises(RetryError):
        world.run(api_of(world).update_customer("cus_1", {"name": "Ada"}, "intent-1"))
    assert route.call_count == 1


@pytest.mark.parametrize("failure", NO_ANSWER)
def test_a_write_without_an_answer_may_have_happened(
    world: Any, wire: respx.MockRouter, failure: type[httpx.TransportError]
) -> None:
    """AmbiguousError: the intent stays open until the object itself has been looked at."""
    route = wire.post("/v1/customers").mock(side_effect=failure)
    with pytest.raises(AmbiguousError):
        world.run(api_of(world).create_customer({"name": "Ada"}, "intent-1"))
    assert route.call_count == 1


def test_a_read_without_an_answer_is_asked_again(world: Any, wire: respx.MockRouter) -> None:
    """It changed nothing, whatever became of it."""
    route = wire.get("/v1/customers/cus_1").mock(side_effect=[httpx.ReadTimeout, httpx.Response(200, content=b"{}")])
    assert world.run(api_of(world).customer("cus_1")).body == b"{}"
    assert route.call_count == 2


def test_the_client_is_the_sdks_own_and_closes(world: Any) -> None:
    """HTTPXClient, on a client that opens no socket until it is used and lets go of all of them."""
    client = ShellHttpxClient(shell_of(world))
    assert isinstance(client, stripe.HTTPXClient)
    assert client.name == "httpx"
    client.close()  # type: ignore[no-untyped-call]  # the SDK gives this one no types
    world.run(client.close_async())
    with pytest.raises(RuntimeError, match="closed"):
        world.run(client.request_async("get", "https://api.stripe.com/v1/customers", {}))
