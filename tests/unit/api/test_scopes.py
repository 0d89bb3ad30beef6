"""Who may do what: every route of the OpenAPI document, for every role; and whose name a change carries."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx
import pytest
import structlog
from fastapi import FastAPI

from core.api import connections, customers, ends, journals, operations, probes
from core.api.app import build_app
from core.api.context import Context, new_router
from core.api.edge import OPEN_PATHS, Edge
from core.api.entrance import ScopedRoute
from core.api.health import Health
from core.api.metrics import Metrics
from core.model.holds import APPROVER_REASONS, LISTING_SHRANK, MASS_CHANGE, HoldDraft
from core.model.scopes import SCOPES, includes
from core.store import api_tokens, holds
from core.store.secret_tables import API_TOKENS
from tests.support.world import World

pytestmark = pytest.mark.anyio

BODIES: Mapping[str, Any] = {
    "POST /v1/customers": {"external_customer_id": "new", "name": "New"},
    "PATCH /v1/customers/{external_customer_id}": {"name": "Ada"},
    "POST /v1/connections/{name}/activate": {"digest": "0"},
    "POST /v1/syncs": {"connection": "stripe", "what": "changes"},
    "POST /v1/holds/{hold_id}/answer": {"choice": "approve"},
    "PUT /v1/customers/{external_customer_id}/mappings/{connection}": {"remote_id": "r1"},
    "POST /v1/failures/retry": {"connection": "stripe"},
}
ROLES: Mapping[str, str] = {
    "GET": "read",
    "POST": "write",
    "PATCH": "write",
    "DELETE": "write",
    "PUT": "write",
    "DELETE /v1/customers/{external_customer_id}/data": "admin",
    "POST /v1/connections/{name}/activate": "approve",
}
"""What DESIGN's roles come to: by verb, but for what is named. A new route that is an exception is added here."""


class Site(NamedTuple):
    """An API with a token of each scope."""

    app: Edge
    tokens: Mapping[str, str]

    def client(self, scope: str | None = None, **headers: str | bytes) -> httpx.AsyncClient:
        """A client with the token of a scope, or without one."""
        given: dict[str, str | bytes] = {"authorization": f"Bearer {self.tokens[scope]}"} if scope else {}
        transport = httpx.ASGITransport(self.app)
        base = "http://accord.example.test"
        told = {
            name.encode("ascii"): value.encode("ascii") if isinstance(value, str) else value
            for name, value in (given | headers).items()
        }
        return httpx.AsyncClient(transport=transport, base_url=base, headers=told)


def application(world: World, health: Health, token: str | None = None) -> Edge:
    """The API of a daemon whose environment may have a token."""
    context = Context(hub=world.hub, health=health, metrics=Metrics(), totals=world.lanes.totals)
    app = build_app(context, token=token, host="127.0.0.1")
    assert isinstance(app, Edge)
    return app


def token(world: World, name: str, scope: str, *, expires_at: float | None = None) -> str:
    """A new token."""
    now = world.clock.now()
    return world.db.run_now(
        lambda tx: api_tokens.make(tx, name, scope, now=now, expires_at=expires_at, actor="cli:test")
    )


def of(world: World, name: str) -> api_tokens.ApiToken:
    """What is known about a token."""
    return next(one for one in world.db.read_now(api_tokens.every) if one.name == name)


@pytest.fixture
async def site(world: World, health: Health) -> Site:
    """A customer, and an API that asks for tokens."""
    found = Site(application(world, health), {scope: token(world, f"a-{scope}", scope) for scope in SCOPES})
    async with found.client("write") as api:
        assert (await api.post("/v1/customers", json={"external_customer_id": "ada", "name": "Ada"})).status_code == 201
    return found


async def documented(site: Site) -> list[tuple[str, str, list[dict[str, list[str]]] | None]]:
    """Verb, path and security of every operation, as the document tells them."""
    async with site.client("read") as api:
        document = (await api.get("/openapi.json")).json()
    assert "security" not in document
    return [
        (verb.upper(), path, told.get("security"))
        for path, verbs in document["paths"].items()
        for verb, told in verbs.items()
    ]


async def test_every_route_lets_in_who_has_its_scope_and_nobody_else(site: Site) -> None:
    """Generated: a route that is added tomorrow is asked too, and one that declares nothing fails here."""
    found = await documented(site)
    assert len(found) > 20
    for verb, path, security in found:
        assert security is not None, f"{verb} {path} declares no scope: add **needs(...)"
        if path in OPEN_PATHS:
            assert security == []
            continue
        needed = ROLES.get(f"{verb} {path}", ROLES[verb])
        assert security == [{"token": [needed]}], f"{verb} {path}"
        place = re.sub(r"\{change_id\}", "1", re.sub(r"\{external_customer_id\}", "ada", path))
        place = re.sub(r"\{\w+\}", "nothing", place)
        body = BODIES.get(f"{verb} {path}")
        for scope in (None, *SCOPES):
            async with site.client(scope) as api:
                answer = await api.request(verb, place, json=body)
            where = (verb, path, scope, answer.text)
            if scope is None:
                assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), where
            elif includes(scope, needed):
                assert answer.status_code not in (401, 403), where
            else:
                told = answer.json()
                assert (answer.status_code, told["code"], told["scope"]) == (403, "forbidden", needed), where
                assert f'scope="{needed}"' in answer.headers["www-authenticate"]


async def test_who_may_not_enter_is_refused_before_the_request_is_looked_at(site: Site) -> None:
    """A body of no shape, a customer that is not there: neither is told to who may not ask."""
    async with site.client("read", **{"content-type": "application/json"}) as api:
        assert (await api.post("/v1/customers", content=b"{")).status_code == 403
        assert (await api.delete("/v1/customers/nobody")).status_code == 403


async def test_a_route_that_declares_nothing_lets_nobody_in(site: Site, world: World) -> None:
    """Forgotten is refused, for an admin too."""
    router = new_router("forgotten", prefix="/v1")

    @router.get("/forgotten")
    async def forgotten() -> str:
        return "told"

    inner = site.app._app
    assert isinstance(inner, FastAPI)
    inner.include_router(router)
    with structlog.testing.capture_logs():
        async with site.client("admin") as api:
            answer = await api.get("/v1/forgotten")
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert world.hub.instance


async def test_every_route_there_is_stands_behind_the_check() -> None:
    """One of FastAPI's own kind would let everybody in who has any token at all."""
    for part in (customers, ends, connections, operations, journals, probes):
        assert {type(one) for one in part.router.routes} == {ScopedRoute}


@pytest.mark.parametrize("reason", sorted(APPROVER_REASONS))
async def test_a_mass_change_needs_an_approver(site: Site, world: World, reason: str) -> None:
    """An operator answers what concerns one record; what concerns hundreds is for another pair of eyes."""
    subject = {MASS_CHANGE: "connection", LISTING_SHRANK: "listing"}[reason]
    held = holds.Held(subject=subject, record_id=None, drafts=[HoldDraft(reason=reason, detail={}, digest="d")])
    world.db.run_now(lambda tx: holds.settle(tx, world.hub.ids, "stripe", [held], {}, world.clock.now()))
    (one,) = world.db.read_now(holds.listing)
    place = f"/v1/holds/{one.id}/answer"
    for scope, needed in (("read", "write"), ("write", "approve")):
        async with site.client(scope) as api:
            for choice in ("approve", "reject"):
                refused = await api.post(place, json={"choice": choice})
                assert (refused.status_code, refused.json()["scope"]) == (403, needed)
    async with site.client("approve") as api:
        done = await api.post(place, json={"choice": "approve"})
    assert (done.status_code, done.json()["actor"]) == (200, "api:a-approve")


async def test_each_change_carries_the_name_of_its_token(site: Site, world: World) -> None:
    """Entered by one, changed by another."""
    async with site.client("admin") as api:
        assert (await api.patch("/v1/customers/ada", json={"phone": "+49301234567"})).status_code == 200
        entries = (await api.get("/v1/customers/ada/timeline")).json()["data"]
    assert [one["actor"] for one in entries] == ["api:a-admin", "api:a-write"]
    assert world.hub.instance


async def test_a_token_that_ended_opens_nothing(site: Site, world: World) -> None:
    """Expired by its date, or revoked a moment ago; its holder is told which, and nobody else anything."""
    short = token(world, "short", "read", expires_at=world.clock.now() + 60)
    async with site.client() as api:
        headers = {"authorization": f"Bearer {short}"}
        assert (await api.get("/v1/holds", headers=headers)).status_code == 200
        world.clock.time += 60
        late = await api.get("/v1/holds", headers=headers)
        assert (late.status_code, "'short' is expired" in late.json()["detail"]) == (401, True)
    async with site.client("read") as api:
        assert (await api.get("/v1/holds")).status_code == 200
        world.db.run_now(lambda tx: api_tokens.revoke(tx, "a-read", world.clock.now(), actor="ann"))
        assert "'a-read' is revoked" in (await api.get("/v1/holds")).json()["detail"]


async def test_probes_answer_under_any_name_where_tokens_guard_the_rest(site: Site, world: World) -> None:
    """A supervisor asks by the machine's address; with tokens of the database alone it restarted it for ever."""
    async with site.client() as api:
        for path in ("/healthz", "/readyz"):
            assert (await api.get(path)).status_code == 200, path
        assert (await api.get("/v1/holds")).status_code == 401
        world.db.run_now(lambda tx: tx.connection.exec_driver_sql("ALTER TABLE api_tokens RENAME TO away"))
        assert (await api.get("/healthz")).status_code == 200


async def test_when_all_tokens_have_ended_the_api_stays_shut(world: World, health: Health) -> None:
    """A revoked last token must not open the door to everybody on the machine."""
    app = application(world, health)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as api:
        assert (await api.get("/v1/holds")).status_code == 200
        token(world, "only", "admin")
        assert (await api.get("/v1/holds")).status_code == 401
        world.db.run_now(lambda tx: api_tokens.revoke(tx, "only", world.clock.now(), actor="ann"))
        assert (await api.get("/v1/holds")).status_code == 401
        assert (await api.get("/healthz")).status_code == 200


async def test_the_environments_token_may_do_everything(world: World, health: Health) -> None:
    """As before there were others, beside them, and while the database is away."""
    token(world, "other", "read")
    site = Site(application(world, health, "s3cret"), {"own": "s3cret"})
    async with site.client("own") as api:
        made = await api.post("/v1/customers", json={"external_customer_id": "ada", "name": "Ada"})
        assert made.status_code == 201
        assert (await api.get("/v1/customers/ada/timeline")).json()["data"][0]["actor"] == "api"
        world.db.run_now(lambda tx: tx.connection.exec_driver_sql("ALTER TABLE api_tokens RENAME TO away"))
        assert (await api.get("/v1/customers")).status_code == 200
    async with site.client(authorization="Bearer accord_x") as stranger:
        lost = await stranger.get("/v1/customers")
    assert (lost.status_code, lost.json()["code"]) == (503, "storage")


async def test_only_a_digest_is_stored_and_the_last_use(site: Site, world: World) -> None:
    """Whoever reads the database has no token; whoever asks which one is still used is told, to the minute."""
    rows = world.db.read_now(lambda tx: json.dumps([list(one) for one in tx.rows(API_TOKENS.select())]))
    assert not any(one in rows for one in site.tokens.values())
    assert (of(world, "a-read").used_at, of(world, "a-write").used_at) == (None, world.clock.now())
    began = world.clock.now()
    async with site.client("write") as api:
        for seconds, known in ((30, began), (29, began), (1, began + 60)):
            world.clock.time += seconds
            await api.get("/v1/holds")
            assert of(world, "a-write").used_at == known


async def test_what_looks_like_a_token_and_is_none_opens_nothing(site: Site) -> None:
    """Cut, continued, of another alphabet, twice, or under another scheme."""
    good = site.tokens["admin"]
    for given in (
        good[:-1], good + "x", good.upper(), f"{good} {good}", "\u00e4" * 50, "", " ", "accord_", "%00", "x" * 100_000,
    ):  # fmt: skip
        async with site.client(authorization=f"Bearer {given}".encode()) as api:
            assert (await api.get("/v1/holds")).status_code == 401, given[:60]
    async with site.client(authorization=f"Basic {good}") as api:
        assert (await api.get("/v1/holds")).status_code == 401
