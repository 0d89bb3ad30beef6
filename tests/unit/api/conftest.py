"""The two ASGI applications over a world in this process: no sockets, a real SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.api.app import build_app
from core.api.context import Context
from core.api.health import Health
from core.api.metrics import Metrics
from core.store.instance import hold
from tests.support.receiver import Receiver
from tests.support.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three look-alikes, one Accord, a SQLite file."""
    return World(url=f"sqlite:///{tmp_path}/accord.sqlite3")


@pytest.fixture
def receiver(world: World) -> Receiver:
    """The webhook receiver of the world."""
    return Receiver(world)


@pytest.fixture
def health(world: World) -> Health:
    """The health of a daemon that holds the world's database."""
    return Health(world.db, hold(world.db, world.clock), world.clock)


@pytest.fixture
async def api(world: World, health: Health) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API, without a token."""
    context = Context(hub=world.hub, health=health, metrics=Metrics(), totals=world.lanes.totals)
    app = build_app(context, token=None, host="127.0.0.1")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        yield client
