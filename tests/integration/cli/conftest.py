"""Commands as a person calls them: arguments in; exit code, stdout and stderr out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.cli.main import run
from core.store import customers, schema
from core.store.database import Database
from tests.support.root import WorldRoot
from tests.support.world import World


@dataclass
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error on stdout."""
        found: dict[str, Any] = self.json["error"]
        return found


Accord = Callable[..., Result]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Three look-alikes, nothing connected yet; a database file with the real schema."""
    url = f"sqlite:///{tmp_path}/accord.sqlite3"
    db = Database(url, is_direct=True)
    schema.upgrade(db)
    db.close()
    world = World(url=url)
    yield world
    world.db.close()


@pytest.fixture
def root(world: World) -> WorldRoot:
    """The commands' root on that world."""
    return WorldRoot(world)


@pytest.fixture
def accord(root: WorldRoot, capsys: pytest.CaptureFixture[str]) -> Accord:
    """Run one command."""

    def call(*arguments: str) -> Result:
        capsys.readouterr()
        code = run(root, list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Result(code, out, err)

    return call


@pytest.fixture
def agreed(world: World) -> World:
    """One customer, the same everywhere; every connection active."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    asyncio.run(world.activate_all())
    return world


def only(world: World, name: str) -> str:
    """The id of the one object that a look-alike holds."""
    (remote_id,) = world.neutral(name)
    return remote_id


def customer_id(world: World) -> str:
    """The external id of the one customer."""
    (one,) = world.db.read_now(customers.listing)
    return one.external_id


def edit(world: World, name: str, /, **changes: object) -> None:
    """A person's edit of the one object, and the minutes until the provider's change feed shows it."""
    world.lookalikes[name].edit("customer", only(world, name), changes)
    world.clock.time += 300
