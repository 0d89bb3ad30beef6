"""What stands before every route: the token, the address, the size of a body, the trace; and what OpenAPI promises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog

from core.api.app import build_app
from core.api.asgi import App
from core.api.context import Context
from core.api.health import Health
from core.api.metrics import Metrics
from core.sync.batch import Report
from tests.support.world import World

pytestmark = pytest.mark.anyio


def client(app: App, base_url: str = "http://127.0.0.1") -> httpx.AsyncClient:
    """A client of one application."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url)


@pytest.fixture
def guarded(world: World, health: Health) -> App:
    """The API with a token."""
    context = Context(hub=world.hub, health=health, metrics=Metrics(), totals=world.lanes.totals)
    return build_app(context, token="s3cret-tökn", host="accord.internal")


async def test_without_the_token_nothing_is_told(guarded: App) -> None:
    """Neither a customer nor a metric nor the shape of the API; only whether the daemon lives and is ready."""
    async with client(guarded, "http://accord.example.test") as api:
        for path in ("/v1/customers", "/metrics", "/openapi.json", "/nothing"):
            for given in (None, "Bearer wrong", "Bearer ", "Basic s3cret-tökn", "s3cret-tökn"):
                headers = {} if given is None else {b"authorization": given.encode("latin-1")}
                answer = await api.get(path, headers=headers)
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
                assert answer.headers["www-authenticate"] == "Bearer"
                assert "`accord tokens create`" in answer.json()["cure"]
        for path in ("/healthz", "/readyz"):
            assert (await api.get(path)).status_code == 200


async def test_the_token_opens_under_any_name(guarded: App) -> None:
    """Behind a proxy the host is another one; the token is what counts."""
    async with client(guarded, "http://accord.example.test") as api:
        answer = await api.get("/v1/customers", headers={b"authorization": "bearer s3cret-tökn".encode()})
        assert answer.status_code == 200


async def test_a_web_page_cannot_reach_the_api_through_a_browser(api: httpx.AsyncClient) -> None:
    """A page that points its own name at 127.0.0.1 sends that name as the host."""
    for host in ("evil.test", "evil.test:8400", "", "127.0.0.1.evil.test", "[::1"):
        answer = await api.get("/v1/customers", headers={"host": host})
        assert (answer.status_code, answer.json()["code"]) == (421, "misdirected"), host
        assert "`accord tokens create`" in answer.json()["cure"]
    for host in ("localhost:8400", "127.0.0.1:1", "[::1]:8400"):
        assert (await api.get("/v1/customers", headers={"host": host})).status_code == 200


async def test_a_web_page_of_elsewhere_cannot_act_through_a_browser(api: httpx.AsyncClient) -> None:
    """What has no body is sent without asking, to this machine's own name: whatever was changed was undone."""
    assert (await api.post("/v1/customers", json={"external_customer_id": "ada", "name": "Ada"})).is_success
    assert (await api.patch("/v1/customers/ada", json={"name": "Ada Lovelace"})).is_success
    for number in range(1, 5):
        answer = await api.post(f"/v1/changes/{number}/undo", headers={"origin": "https://evil.test"})
        assert (answer.status_code, answer.json()["code"]) == (421, "misdirected"), number
    assert (await api.get("/v1/customers/ada")).json()["name"] == "Ada Lovelace"
    assert (await api.delete("/v1/customers/ada")).status_code == 200
    for page in ("https://evil.test", "null", "", "http://127.0.0.1.evil.test", "http://[::1"):
        answer = await api.post("/v1/customers/ada/restore", headers={"origin": page})
        assert (answer.status_code, answer.json()["code"]) == (421, "misdirected"), page
        assert (await api.get("/v1/customers/ada")).status_code == 404
    assert (await api.post("/v1/customers/ada/restore", headers={"origin": "http://localhost:8400"})).is_success


async def test_a_body_that_never_ends_is_cut_off(api: httpx.AsyncClient) -> None:
    """Announced or not, memory is not for strangers to fill."""
    answer = await api.post("/v1/customers", content=b"x" * (4 * 1024 * 1024 + 1))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert (answer.json()["field"], answer.json()["cure"]) == ("body", "send several requests")

    async def endless() -> Any:
        for _ in range(6000):
            yield b" " * 1024

    with structlog.testing.capture_logs():
        unannounced = await api.post("/v1/customers", content=endless(), headers={"content-type": "application/json"})
    assert (unannounced.status_code, unannounced.json()["code"]) == (413, "too_large")
    assert (unannounced.json()["field"], unannounced.json()["cure"]) == ("body", "send several requests")
    assert (await api.get("/v1/customers")).json()["data"] == []


async def test_every_answer_carries_its_trace(api: httpx.AsyncClient, world: World) -> None:
    """The same id is in the problem, on the log lines and in the journal."""
    missing = await api.get("/v1/customers/nobody")
    assert missing.headers["x-accord-trace"] == missing.json()["trace"]
    made = await api.post("/v1/customers", json={"external_customer_id": "ada", "name": "Ada"})
    entry = (await api.get("/v1/customers/ada/timeline")).json()["data"][0]
    assert entry["trace"] == made.headers["x-accord-trace"]
    assert world.hub.instance


async def test_a_bug_is_a_problem_document_without_its_story(world: World, health: Health) -> None:
    """What went wrong inside is for the log, not for whoever asks."""

    def broken() -> dict[str, Report]:
        raise ZeroDivisionError

    context = Context(hub=world.hub, health=health, metrics=Metrics(), totals=broken)
    with structlog.testing.capture_logs() as lines:
        async with client(build_app(context, token=None, host="127.0.0.1")) as api:
            answer = await api.get("/metrics")
    assert (answer.status_code, answer.json()["code"]) == (500, "bug")
    assert "ZeroDivision" not in answer.text
    assert [(line["event"], line["path"]) for line in lines] == [("api.failed", "/metrics")]


async def test_a_database_in_trouble_is_a_503(api: httpx.AsyncClient, world: World, health: Health) -> None:
    """Callers are told to come again; readiness says why, until it is over."""
    world.db.run_now(lambda tx: tx.connection.exec_driver_sql("ALTER TABLE meta RENAME TO away"))
    world.db.run_now(lambda tx: tx.connection.exec_driver_sql("ALTER TABLE customers RENAME TO away2"))
    listed, ready = await api.get("/v1/customers"), await api.get("/readyz")
    assert (listed.status_code, listed.json()["code"], listed.headers["retry-after"]) == (503, "storage", "5")
    assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
    assert (await api.get("/healthz")).status_code == 200
    world.db.run_now(lambda tx: tx.connection.exec_driver_sql("ALTER TABLE away RENAME TO meta"))
    world.clock.time += 2
    assert (await api.get("/readyz")).json() == {"status": "ready"}
    assert health.is_ours


async def test_a_stopping_daemon_is_not_ready(api: httpx.AsyncClient, health: Health) -> None:
    """A load balancer takes it out before its doors close."""
    health.is_stopping = True
    assert (await api.get("/readyz")).status_code == 503


def _references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)


async def test_openapi_is_whole(api: httpx.AsyncClient) -> None:
    """Every reference resolves, every route of /v1 tells its problems, no framework default shines through."""
    schema = (await api.get("/openapi.json")).json()
    known = set(schema["components"]["schemas"])
    assert {one.rpartition("/")[2] for one in _references(schema)} <= known
    assert "HTTPValidationError" not in known
    for path, verbs in schema["paths"].items():
        for verb, told in verbs.items():
            if path == "/healthz":
                continue
            refused = {"400", "401", "403", "421"} if told["security"] else set()
            assert refused | {"422", "500", "503"} <= set(told["responses"]), (path, verb)
            assert "application/problem+json" in told["responses"]["503"]["content"]
            asks = {"409", "502"} if "/payouts" in path else set()
            assert asks <= set(told["responses"]), "a provider is asked, and may want a person or be unreadable"
            good = next(answer for status, answer in told["responses"].items() if status.startswith("2"))
            assert good["content"], (path, verb)
