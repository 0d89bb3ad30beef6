"""Scheduled jobs: each asks for work, does none of it itself, and may run at any time, any number of times."""

from __future__ import annotations

import ast
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from core.errors import BugError
from core.store import answers, inbox, one_offs
from core.store.database import Tx
from core.store.inbox import Letter
from core.store.tables import INBOX, ONE_OFFS
from core.sync.pruning import ANSWER_SECONDS, INBOX_SECONDS, ONE_OFF_SECONDS, POISON_SECONDS
from jobs.prune_inbox import prune_inbox
from jobs.reconcile_customers import reconcile_customers
from jobs.reconcile_invoices import reconcile_invoices
from jobs.reconcile_metadata import reconcile_metadata
from jobs.tick_lanes import tick_lanes
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio


async def test_the_tick_wakes_lanes_that_have_something_to_do_and_no_others() -> None:
    """A wake that was lost in a crash is made up for within a second."""
    world = World()
    await tick_lanes(world.hub)
    assert world.woken == set(NAMES)
    await world.activate_all()
    world.woken.clear()
    await tick_lanes(world.hub)
    assert world.woken == set()
    world.clock.time += world.timing.changes_every + 1
    await tick_lanes(world.hub)
    assert world.woken == set(NAMES)


async def test_changes_are_asked_for_once_however_often_the_job_runs() -> None:
    """A slow lane must not find a queue of the same request."""
    world = World()
    await world.activate_all()
    world.clock.time += world.timing.changes_every + 1
    for _ in range(3):
        await reconcile_customers(world.hub)
    waiting = sa.select(sa.func.count()).select_from(ONE_OFFS).where(ONE_OFFS.c.state == "new")
    assert world.db.read_now(lambda tx: tx.execute(waiting).scalar_one()) == 3
    await world.settle()
    await reconcile_customers(world.hub)
    assert world.db.read_now(lambda tx: tx.execute(waiting).scalar_one()) == 0


async def test_before_the_first_complete_sweep_no_changes_are_asked_for() -> None:
    """There is no cursor yet that they could be read from."""
    world = World()
    await reconcile_customers(world.hub)
    assert world.db.read_now(lambda tx: tx.execute(sa.select(sa.func.count()).select_from(ONE_OFFS)).scalar_one()) == 0


async def test_an_edit_whose_webhook_never_came_is_found_by_the_job() -> None:
    """The gap a lost webhook leaves is closed by a sweep."""
    world = World()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    (remote_id,) = world.neutral("stripe")
    world.lookalikes["stripe"].edit("customer", remote_id, {"phone": "+49301234567"})
    world.clock.time += world.timing.changes_every * 0.6
    await reconcile_customers(world.hub)
    await world.settle()
    phones = {name: [one["phone"] for one in world.neutral(name).values()] for name in NAMES}
    assert phones == {name: ["+49301234567"] for name in NAMES}


async def test_metadata_reaches_a_property_that_was_allowed_later() -> None:
    """Trouble at one connection does not keep the others waiting."""
    world = World()
    ada = {"name": "Ada", "email": "ada@example.test", "metadata.plan": "pro"}
    world.lookalikes["stripe"].edit("customer", None, ada)
    await world.activate_all()
    with structlog.testing.capture_logs() as lines:
        await reconcile_metadata(world.hub)
    assert [line["event"] for line in lines if line["event"].startswith("reconcile")] == ["reconcile_metadata.done"]
    assert lines[-1]["troubled"] == {}


class _Odd:
    """A connector that tells whether it was prepared; with `bug`, there is one of ours in that."""

    def __init__(self, connector: Any, bug: Exception | None) -> None:
        self._connector = connector
        self._bug = bug
        self.is_prepared = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    async def prepare(self) -> Any:
        """Note it, or fail in a way that nobody foresaw."""
        if self._bug is not None:
            raise self._bug
        self.is_prepared = True
        return await self._connector.prepare()


async def test_a_bug_at_one_connection_keeps_no_other_from_its_metadata() -> None:
    """The job goes by the alphabet: those behind it would have waited until the bug was mended."""
    world = World()
    await world.activate_all()
    odd: dict[str, Any] = {
        name: _Odd(one.connector, KeyError("surprise") if name == "hubspot" else None)
        for name, one in world.hub.connections.items()
    }
    there = {name: replace(one, connector=odd[name]) for name, one in world.hub.connections.items()}
    with structlog.testing.capture_logs() as lines, pytest.raises(BugError, match="hubspot"):
        await reconcile_metadata(replace(world.hub, connections=there))
    assert odd["stripe"].is_prepared
    assert [line["connection"] for line in lines if line["event"] == "round.bug"] == ["hubspot"]


async def test_a_bug_at_one_connection_keeps_no_other_from_its_documents() -> None:
    """Each of them is gone through, and what is overdue by now is marked."""
    world = World()
    await world.activate_all()
    broken: Any = None
    there = {name: replace(one, policy=broken) for name, one in world.hub.connections.items() if name != "stripe"}
    hub = replace(world.hub, connections={**world.hub.connections, **there})
    with structlog.testing.capture_logs() as lines, pytest.raises(BugError, match="at hubspot, quickbooks;"):
        await reconcile_invoices(hub)
    assert [line["connection"] for line in lines if line["event"] == "round.bug"] == ["hubspot", "quickbooks"]


async def test_only_what_is_old_and_done_is_pruned() -> None:
    """A delivery that waits is never dropped; one that nobody understood stood, and alarmed, for ever."""
    world = World()
    now = world.clock.now()

    def letters(tx: Tx) -> None:
        old = [
            Letter(connection="stripe", dedupe_key=f"{state} {age}", body=b"", received_at=now - age)
            for state in ("new", "done", "poison")
            for age in (10.0, INBOX_SECONDS + 10, POISON_SECONDS + 10)
        ]
        inbox.add(tx, old)
        for state in ("done", "poison"):
            change = sa.update(INBOX).where(INBOX.c.dedupe_key.startswith(state)).values(state=state)
            tx.execute(change)

    world.db.run_now(letters)
    for name, age in (("fresh", 0.0), ("old", ANSWER_SECONDS + 1)):
        kept = answers.Kept(now - age, "", "")
        world.db.run_now(partial(answers.keep, key=name, kept=kept))
    for name, age in (("done long ago", ONE_OFF_SECONDS + 1), ("done", 1.0)):
        one = one_offs.OneOff(id=name, connection="stripe", request={"what": "changes"})
        world.db.run_now(partial(one_offs.ask, one=one, now=now))
        world.db.run_now(partial(one_offs.finish, one_id=name, now=now - age))
    await prune_inbox(world.hub)
    left = world.db.read_now(lambda tx: sorted(row[0] for row in tx.rows(sa.select(INBOX.c.dedupe_key))))
    ages = {
        "done": [10.0],
        "new": [10.0, INBOX_SECONDS + 10, POISON_SECONDS + 10],
        "poison": [10.0, INBOX_SECONDS + 10],
    }
    assert left == sorted(f"{state} {age}" for state, some in ages.items() for age in some)
    assert world.db.read_now(lambda tx: answers.find(tx, "fresh")) is not None
    assert world.db.read_now(lambda tx: answers.find(tx, "old")) is None
    assert world.db.read_now(lambda tx: one_offs.get(tx, "done long ago")) is None
    assert world.db.read_now(lambda tx: one_offs.get(tx, "done")) is not None


def test_a_jobs_file_function_and_log_line_have_one_name() -> None:
    """Whoever reads `reconcile_customers.done` in the log knows which file to open."""
    folder = Path(__file__).parents[3] / "jobs"
    for file in folder.glob("[a-z]*.py"):
        tree = ast.parse(file.read_text())
        functions = [node.name for node in tree.body if isinstance(node, ast.AsyncFunctionDef)]
        texts = [str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        lines = [text for text in texts if text.endswith(".done")]
        assert (functions, lines) == ([file.stem], [f"{file.stem}.done"])
