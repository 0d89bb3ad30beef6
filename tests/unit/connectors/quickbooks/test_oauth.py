"""Tokens: refreshed once for all, stored before use, and never lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.quickbooks.client import authorize_url, exchange_code
from core.errors import ReauthorizeError, RetryError, StorageError
from core.ports import HttpRequest, HttpResponse, Written
from tests.unit.connectors.quickbooks.conftest import MakeWorld, MemoryVault, World, always

pytestmark = pytest.mark.anyio


def grants(world: World) -> int:
    """How many token requests were made."""
    return len(world.paths("/tokens/bearer"))


async def test_a_token_is_fetched_once_and_used_until_it_grows_old(world: World) -> None:
    """A refresh per call would rotate the refresh token ten times a second."""
    connector = world.connector()
    for _ in range(3):
        await connector.identify()
        world.clock.time += 1000

    assert grants(world) == 1
    world.clock.time += 600
    await connector.identify()
    assert grants(world) == 2


async def test_no_call_is_spent_on_finding_a_token_too_old(world: World) -> None:
    """Whoever waits for the refusal pays a call for each of them, and a write more than a read."""
    tokens = list[str]()

    def sent_with(request: HttpRequest) -> None:
        if "/tokens/bearer" not in request.url:
            tokens.append(request.headers["authorization"])

    world.before = sent_with
    connector = world.connector()
    for _ in range(30):
        await connector.identify()
        world.clock.time += 500

    assert len(tokens) == 30, "each call was answered at once"
    assert len(set(tokens)) == grants(world) == 5


async def test_twenty_calls_share_one_refresh(world: World) -> None:
    """Each refresh rotates the token: the second of two concurrent ones is refused with invalid_grant."""
    connector = world.connector()

    await asyncio.gather(*(connector.identify() for _ in range(20)))

    assert grants(world) == 1


async def test_a_storm_on_an_expired_token_makes_one_refresh(world: World) -> None:
    """A thousand callers find it dead in the same moment; Intuit would refuse 999 of their refresh tokens."""
    connector = world.connector()
    await connector.identify()
    world.clock.time += 3600
    tokens = connector._client.tokens

    found = await asyncio.gather(*(tokens.current() for _ in range(1000)))

    assert grants(world) == 2
    assert set(found) == {world.vault.values["access_token"]}
    await connector.identify()


async def test_a_storm_whose_first_refresh_fails_makes_one_more(world: World) -> None:
    """Intuit's login answers 503 once: all who waited hear so, all come again, and one of them refreshes."""
    connector = world.connector()
    outage = [HttpResponse(503, {}, b"")]
    world.before = lambda request: outage.pop() if "/tokens/bearer" in request.url and outage else None
    tokens = connector._client.tokens

    failed = await asyncio.gather(*(tokens.current() for _ in range(1000)), return_exceptions=True)
    assert {type(one) for one in failed} == {RetryError}
    assert grants(world) == 1

    found = await asyncio.gather(*(tokens.current() for _ in range(1000)))
    assert set(found) == {world.vault.values["access_token"]}
    assert grants(world) == 2


async def test_twenty_calls_of_which_the_first_refresh_fails_all_succeed(world: World) -> None:
    """Behind real calls the retry is the client's own: nobody notices the outage."""
    outage = [HttpResponse(500, {}, b"")]
    world.before = lambda request: outage.pop() if "/tokens/bearer" in request.url and outage else None
    connector = world.connector()

    titles = await asyncio.gather(*(connector.identify() for _ in range(20)))

    assert {one.title for one in titles} == {"Sandbox Books"}
    assert grants(world) == 2


async def test_a_rotation_that_was_never_saved_asks_for_a_person(world: World) -> None:
    """Intuit gave new tokens and forgot the old one; the process died before they were stored."""
    world.vault.failures = [StorageError("killed")]
    with pytest.raises(StorageError):
        await world.connector().identify()

    with pytest.raises(ReauthorizeError, match="accord connect books"):
        await world.connector().identify()
    assert world.vault.saved == []


async def test_a_rotation_that_could_not_be_saved_is_saved_later(world: World) -> None:
    """The database was away for a moment, the process lives: it still holds what Intuit will take."""
    world.vault.failures = [StorageError("the disk is full"), StorageError("the disk is full")]
    connector = world.connector()
    for _ in range(2):
        with pytest.raises(StorageError):
            await connector.identify()

    await connector.identify()

    assert grants(world) == 1
    assert len(world.vault.saved) == 1
    world.clock.time += 3600
    await connector.identify()
    assert grants(world) == 2


async def test_twenty_calls_whose_token_was_refused_share_one_refresh(world: World) -> None:
    """The access token can die early; 401 means that nothing was executed."""
    connector = world.connector()
    await connector.identify()
    world.company.tokens.expire_access()

    await asyncio.gather(*(connector.identify() for _ in range(20)))

    assert grants(world) == 2


async def test_a_write_that_met_an_expired_token_is_done_once(world: World) -> None:
    """One new token, one more try of that call, one customer."""
    connector = world.connector()
    await connector.identify()
    world.company.tokens.expire_access()

    (receipt,) = await connector.write([world.create("k", name="Acme")])

    assert isinstance(receipt, Written)
    assert receipt.sighting.id == "1"
    assert len(world.company.objects("customer")) == 1


async def test_tokens_are_stored_before_they_are_used(world: World) -> None:
    """A crash between use and storing loses the company until a person consents again."""
    stored_at_use: list[bool] = []

    def watch(request: HttpRequest) -> None:
        token = request.headers["authorization"].removeprefix("Bearer ")
        if "/tokens/bearer" not in request.url:
            stored_at_use.append(world.vault.values.get("access_token") == token)

    world.before = watch
    await world.connector().identify()

    assert stored_at_use == [True]
    assert set(world.vault.saved[0]) == {"access_token", "refresh_token", "access_expires_at"}
    assert world.vault.values["refresh_token"] != "sandbox-refresh-token"


async def test_a_caller_that_gives_up_does_not_lose_the_rotated_token(world: World) -> None:
    """The refresh had been answered, its caller was cancelled, the old token was dead."""
    saving = asyncio.Event()

    class SlowVault(MemoryVault):
        async def save(self, values: Mapping[str, str]) -> None:
            saving.set()
            await asyncio.sleep(0)
            await super().save(values)

    world.vault = SlowVault(world.vault.values)
    connector = world.connector()
    task = asyncio.ensure_future(connector.identify())
    await saving.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await connector.identify()
    assert grants(world) == 1


async def test_another_process_that_rotated_the_token_is_found_out(world: World) -> None:
    """invalid_grant after someone else's refresh is no reason to call a person."""
    connector = world.connector()
    values = dict(world.vault.values)

    def rotated_meanwhile(request: HttpRequest) -> None:
        if "/tokens/bearer" in request.url and "sandbox-refresh-token" in request.body.decode():
            world.token()

    world.before = rotated_meanwhile
    await connector.identify()

    assert values["refresh_token"] == "sandbox-refresh-token"
    assert grants(world) == 2


async def test_the_access_token_of_another_process_is_used(world: World) -> None:
    """The other process stored a living access token as well: it serves us too."""
    connector = world.connector()

    def rotated_meanwhile(request: HttpRequest) -> None:
        if "/tokens/bearer" in request.url:
            world.vault.values |= {"access_token": world.token(), "access_expires_at": "9e12"}

    world.before = rotated_meanwhile
    await connector.identify()

    assert grants(world) == 1


async def test_a_token_that_was_renewed_while_a_call_was_under_way_is_not_renewed_again(world: World) -> None:
    """Each needless refresh rotates the refresh token once more."""
    connector = world.connector()
    await connector.identify()

    def refused_meanwhile(request: HttpRequest) -> HttpResponse | None:
        if request.headers["authorization"].endswith(world.vault.values["access_token"]):
            world.vault.values |= {"access_token": world.token(), "access_expires_at": "9e12"}
            world.before = lambda _: None
            return HttpResponse(401, {}, b"")
        return None

    world.before = refused_meanwhile
    await connector.identify()

    assert grants(world) == 1


async def test_a_revoked_connection_asks_for_a_person(world: World) -> None:
    """The message names the command; no retry can help."""
    world.company.tokens.revoke()

    with pytest.raises(ReauthorizeError, match="accord connect books"):
        await world.connector().identify()
    assert grants(world) == 1


async def test_a_token_that_is_refused_again_asks_for_a_person(world: World) -> None:
    """One refresh, one retry, then an end: never a loop."""
    world.before = lambda request: HttpResponse(401, {}, b"") if "/v3/" in request.url else None

    with pytest.raises(ReauthorizeError):
        await world.connector().identify()
    assert len(world.paths("/v3/")) == 2


@pytest.mark.parametrize("name", ["client_id", "client_secret", "refresh_token"])
async def test_a_missing_secret_is_named(world: World, name: str) -> None:
    """Before any call is made."""
    del world.vault.values[name]

    with pytest.raises(ReauthorizeError, match=name):
        await world.connector().identify()
    assert world.requests == []


async def test_a_wrong_client_secret_asks_for_a_person(world: World) -> None:
    """invalid_client cannot be cured by waiting."""
    world.vault.values["client_secret"] = "wrong"

    with pytest.raises(ReauthorizeError, match=r"invalid_client.*--anew"):
        await world.connector().identify()


@pytest.mark.parametrize(("status", "body"), [(500, b""), (429, b""), (200, b"<html>"), (400, b"<html>")])
async def test_a_failing_token_endpoint_is_no_reason_to_reauthorize(world: World, status: int, body: bytes) -> None:
    """An outage of Intuit's login must not make a person consent anew; and a write behind it was never sent."""
    world.before = lambda _: HttpResponse(status, {}, body)
    connector = world.connector()

    with pytest.raises(RetryError):
        await connector.identify()
    assert isinstance((await connector.write([world.create("k", name="A")]))[0], RetryError)


async def test_a_lost_token_answer_is_tried_again(make_world: MakeWorld) -> None:
    """The old refresh token stays good for a while after a rotation."""
    world = make_world(refresh_grace_seconds=60.0)
    losses = [TimeoutError()]

    def lose(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
        if "/tokens/bearer" in request.url and losses:
            raise losses.pop()
        return answer

    world.after = lose
    await world.connector().identify()

    assert grants(world) == 2


async def test_a_damaged_expiry_means_a_refresh(world: World) -> None:
    """A hand-edited vault must not stop the daemon."""
    world.vault.values |= {"access_token": "x", "access_expires_at": "soon"}

    await world.connector().identify()

    assert grants(world) == 1


async def test_consent_ends_in_stored_tokens(world: World) -> None:
    """The path of `accord connect`: the page, the code, the first tokens, the first call."""
    world.company.tokens.revoke()
    del world.vault.values["refresh_token"]
    back = "http://localhost:8765/callback"
    url = urlsplit(authorize_url("sandbox-client", back, "s t"))
    asked = {name: values[0] for name, values in parse_qs(url.query).items()}

    await exchange_code(world.config, world.vault, world.shell, world.company.tokens.consent(back), back)

    assert asked == {
        "response_type": "code",
        "client_id": "sandbox-client",
        "redirect_uri": back,
        "scope": "com.intuit.quickbooks.accounting",
        "state": "s t",
    }
    assert (await world.connector().identify()).title == "Sandbox Books"


async def test_a_code_works_once_and_for_its_own_address(world: World) -> None:
    """A leaked code is worth nothing elsewhere."""
    code = world.company.tokens.consent("http://localhost/a")

    with pytest.raises(ReauthorizeError):
        await exchange_code(world.config, world.vault, world.shell, code, "http://localhost/b")
    with pytest.raises(ReauthorizeError):
        await exchange_code(world.config, world.vault, world.shell, code, "http://localhost/a")


async def test_no_token_shows_in_an_error(world: World) -> None:
    """Errors are shown to people and kept in logs."""
    connector = world.connector()
    await connector.identify()
    secrets = [world.vault.values[name] for name in ("access_token", "refresh_token", "client_secret")]
    shown = []
    for status, body in ((500, b""), (403, b""), (400, json.dumps({"Fault": {"Error": []}}).encode())):
        world.before = always(HttpResponse(status, {}, body))
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whichever it is
            await connector.identify()
        shown.append(str(caught.value))

    assert not [text for text in shown for secret in secrets if secret in text]
