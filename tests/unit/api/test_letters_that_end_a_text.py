"""U+0000 in a path: no database has it in a text, and PostgreSQL ended such a request as a bug of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from core.api.app import build_app
from core.api.context import Context
from core.api.health import Health
from core.api.metrics import Metrics
from core.store.instance import hold
from tests.support.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API, over either database."""
    world = World(url=database_url)
    instance = hold(world.db, world.clock)
    health = Health(world.db, instance, world.clock)
    context = Context(hub=world.hub, health=health, metrics=Metrics(), totals=world.lanes.totals)
    app = build_app(context, token=None, host="127.0.0.1")
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client
    instance.release()
    world.db.close()


async def test_a_path_with_u_0000_is_refused_by_every_route(api: httpx.AsyncClient) -> None:
    """Before it is looked for, with what to do."""
    paths = (await api.get("/openapi.json")).json()["paths"]
    routes = [(method, path) for path, methods in paths.items() for method in methods if "{" in path]
    assert len(routes) > 10
    for method, path in routes:
        names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
        for name in names:
            sent = path.format(**{one: "a%00b" if one == name else "stripe" for one in names})
            answer = await api.request(method, sent)
            told = answer.json()
            assert (answer.status_code, told.get("field"), told.get("problem")) == (400, name, "has U+0000 in it"), sent
            assert told["cure"] == "leave it out"
