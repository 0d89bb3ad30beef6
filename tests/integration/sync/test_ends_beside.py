"""Unlinks and erasures beside other work: what commits between a look and a write, and what an older database does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from core.errors import AccordError, NotFoundError
from core.model import holds
from core.model.holds import HoldDraft
from core.sandbox.faults import Fault
from core.store import connections, intents, tombstones, work
from core.store.holds import Held, settle
from core.store.mappings import MappingRow
from core.store.tables import MAPPINGS
from core.sync import answers, oneoffs, registry
from core.sync.linking import link, unlink
from core.sync.revival import Restored, restore
from tests.integration.sync.test_erasure import erased, everything
from tests.integration.sync.test_family import company, ids
from tests.integration.sync.test_found_by_simulation import weather
from tests.story.test_restore import a_day, backed_up, begin, named, put, started_again
from tests.support.acting import (
    ADA,
    agreeing,
    all_day,
    answer,
    change_only,
    enter,
    everybody,
    held,
    mapped,
    only,
    with_policy,
)
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio

PATIENCE = 1.0
"""Seconds for a transaction beside another one: by then it is committed, or waits for that one's locks."""


@contextmanager
def beside(world: World, statement: str, about: str, act: Callable[[], object]) -> Iterator[None]:
    """Another thread's whole transaction, right before the first `statement` that names `about`."""
    threads: list[threading.Thread] = []

    def look(_connection: object, _cursor: object, sql: str, values: object, *_rest: object) -> None:
        if sql.startswith(statement) and repr(about) in repr(values) and not threads:
            threads.append(threading.Thread(target=act))
            threads[0].start()
            threads[0].join(PATIENCE)

    event.listen(world.db.engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(world.db.engine, "before_cursor_execute", look)
        for one in threads:
            one.join()
    assert threads, "there was no such statement"


@contextmanager
def closing(world: World) -> Iterator[World]:
    """A world whose database is let go of at the end."""
    try:
        yield world
    finally:
        world.db.close()


async def test_an_unlink_beside_a_parents_new_place_stands(postgres_url: str) -> None:
    """The parent is created anew, its child's mapping is read, a person unlinks the child: the write undid that."""
    with closing(World(url=postgres_url)) as world:
        await world.activate_all()
        await company(world, "Holding")
        await company(world, "Branch", "Holding")
        (branch,) = [one for one in everybody(world) if one.external_id == "Branch"]
        (row,) = [one for one in mapped(world, "hubspot") if one.record_id == branch.id]
        world.lookalikes["hubspot"].delete("customer", ids(world, "hubspot")["Holding"])
        await all_day(world)
        (hold,) = held(world)

        def let_go() -> None:
            world.db.run_now(lambda tx: unlink(tx, world.hub, "Branch", "hubspot", actor="ann", trace="t"))

        with beside(world, "UPDATE mappings", row.id, let_go):
            await answer(world, hold, "recreate")
        (row,) = [one for one in mapped(world, "hubspot") if one.record_id == branch.id]
        assert row.state == "excluded"


async def test_a_restore_beside_an_erasure_is_told_that_the_customer_was_erased(postgres_url: str) -> None:
    """It was told that the customer is back; and of its new ties there was no note that they must not come back."""
    with closing(World(url=postgres_url)) as world:
        await world.activate_all()
        await enter(world, "ada", **ADA)
        world.db.run_now(lambda tx: registry.archive(tx, world.hub, "ada", actor="ann", trace="t"))
        old = str(mapped_ever(world)[0])
        told: list[object] = []

        def bring_back() -> None:
            try:
                told.append(world.db.run_now(lambda tx: restore(tx, world.hub, "ada", actor="ben", trace="t")))
            except AccordError as error:
                told.append(type(error))

        with beside(world, "SELECT mappings.id", old, bring_back):
            erased(world, "ada")
        assert told == [NotFoundError]
        noted = {one.id for one in world.db.read_now(tombstones.every)}
        assert set(mapped_ever(world)) <= noted
        assert everybody(world) == []


async def test_a_link_beside_an_erasure_ties_nothing_to_who_was_erased(postgres_url: str) -> None:
    """Of the new tie the erasure knew nothing: there was no note that it must not come back with an older database."""
    with closing(World(url=postgres_url)) as world:
        await world.activate_all()
        await enter(world, "ada", **ADA)
        (row,) = mapped(world, "hubspot")
        remote_id = str(row.remote_id)
        world.db.run_now(lambda tx: unlink(tx, world.hub, "ada", "hubspot", actor="ann", trace="t"))
        with beside(world, "INSERT INTO mappings", row.record_id, lambda: erased(world, "ada")):
            world.db.run_now(lambda tx: link(tx, world.hub, "ada", "hubspot", remote_id, actor="ben", trace="t"))
        assert mapped(world, "hubspot") == []
        assert set(mapped_ever(world)) <= {one.id for one in world.db.read_now(tombstones.every)}


async def test_of_two_who_link_one_object_at_once_the_second_is_told(postgres_url: str) -> None:
    """In the database's words, with a traceback: it let one of them win."""
    with closing(World(url=postgres_url)) as world:
        await world.activate_all()
        for name in ("ada", "ben"):
            await enter(world, name, name=name, email=f"{name}@example.test")
        first, second = mapped(world, "hubspot")
        detail: dict[str, object] = {"candidates": ["contact:4711"]}
        draft = HoldDraft(reason=holds.AMBIGUOUS_MATCH, field="", detail=detail, digest="d")
        some = [Held(subject=f"m:{row.id}", record_id=row.record_id, drafts=[draft]) for row in (first, second)]
        world.db.run_now(lambda tx: settle(tx, world.hub.ids, "hubspot", some, {}, world.clock.now()))
        asked = {one.subject[2:]: one.id for one in held(world)}

        told: list[str] = []

        def say(row: MappingRow) -> object:
            choice = "link:contact:4711"
            return world.db.run_now(lambda tx: answers.answer(tx, world.hub, asked[row.id], choice, actor="ann"))

        def say_second() -> None:
            try:
                say(second)
            except AccordError as error:
                told.append(str(error))

        with beside(world, "UPDATE mappings", first.id, say_second):
            say(first)
        assert told == ["choice: contact:4711 belongs to another customer; unlink that first"]
        assert [one.id for one in mapped(world, "hubspot") if one.remote_id == "contact:4711"] == [first.id]
        assert [one.id for one in held(world)] == [asked[second.id]], "it stays open"


async def test_two_who_bring_back_a_customer_at_once_bring_it_back_once(postgres_url: str) -> None:
    """One of them is told that it is back; each object has one tie, and none is made a second time."""
    with closing(World(url=postgres_url)) as world:
        await world.activate_all()
        await enter(world, "ada", **ADA)
        before = {name: [one.remote_id for one in mapped(world, name)] for name in NAMES}
        world.db.run_now(lambda tx: registry.archive(tx, world.hub, "ada", actor="ann", trace="t"))
        told: list[object] = []

        def bring_back() -> None:
            try:
                told.append(world.db.run_now(lambda tx: restore(tx, world.hub, "ada", actor="ben", trace="t")))
            except AccordError as error:
                told.append(type(error))

        with beside(world, "UPDATE customers", "ada", bring_back):
            bring_back()
        assert sorted(isinstance(one, Restored) for one in told) == [False, True]
        await all_day(world)
        assert {name: [one.remote_id for one in mapped(world, name)] for name in NAMES} == before
        assert [len(world.neutral(name)) for name in NAMES] == [1, 1, 1]


def mapped_ever(world: World) -> list[str]:
    """Every tie that there was."""
    return world.db.read_now(lambda tx: [row[0] for row in tx.rows(sa.select(MAPPINGS.c.id).order_by(MAPPINGS.c.id))])


@pytest.mark.parametrize("name", ["hubspot", "quickbooks"])
async def test_first_contact_beside_an_erasure_keeps_nothing(postgres_url: str, name: str) -> None:
    """An object is about to be linked to its customer, and a person erases the customer: nothing of it is kept."""
    config = with_policy(config_of(NAMES), name, creates="none")
    with closing(World(url=postgres_url, config=config)) as world:
        await world.activate_all()
        await enter(world, "A-1", **ADA, customer_type="individual")
        assert not world.neutral(name)
        made = world.lookalikes[name].edit("customer", None, {**ADA, "external_id": "A-1"})
        # where the feed has no beginning yet, what is listed is matched in a walk of its own
        start = connections.Cursor(connection=name, kind="customer", mode="changes")
        world.db.run_now(lambda tx: connections.put_cursor(tx, start))
        # questions about the object are looked up when its customer has been, and before anything is written
        with beside(world, "SELECT holds", work.remote_subject(made), lambda: erased(world, "A-1")):
            await all_day(world)
        text = everything(world)
        assert [one for one in text.splitlines() if "Lovelace" in one or "ada@example" in one] == []


async def test_an_unlink_is_not_undone_by_a_write_the_older_database_had_under_way(
    sqlite_url: str, tmp_path: Path
) -> None:
    """Resolving that write stored its mapping as it was: tied again, and written to."""
    world = begin(sqlite_url, tmp_path)
    put(world, "stripe", **ADA)
    await world.activate_all()
    name = named(world, "Ada Lovelace")
    weather(world, "hubspot", Fault(kind="lost_answer", path="batch/update", count=1))
    change_only(world, name, phone="+49301")
    await world.lanes.run("hubspot")
    assert world.db.read_now(lambda tx: intents.all_open(tx, "hubspot"))
    put_back = backed_up(world, tmp_path)
    await a_day(world)
    world.db.run_now(lambda tx: unlink(tx, world.hub, name, "hubspot", actor="ann", trace="t"))
    put_back()
    assert await started_again(world)
    (row,) = mapped(world, "hubspot")
    assert row.state == "excluded"
    change_only(world, name, phone="+49302")
    await world.settle()
    assert world.neutral("hubspot")[only(world, "hubspot")]["phone"] == "+49301"


async def test_a_question_about_an_erased_person_does_not_come_back_with_a_backup(
    sqlite_url: str, tmp_path: Path
) -> None:
    """The backup has the question from before she was a customer: no tombstone of a customer names it."""
    world = begin(sqlite_url, tmp_path)
    await world.activate_all()
    put(world, "stripe", name="Grace Hopper", email="one@example.test")
    await a_day(world)
    put(world, "stripe", name="Ada Lovelace", email="one@example.test")
    await a_day(world)
    (hold,) = [one for one in held(world) if one.detail.get("name") == "Ada Lovelace"]
    put_back = backed_up(world, tmp_path)
    await answer(world, hold, "create")
    await a_day(world)
    erased(world, named(world, "Ada Lovelace"))
    assert "Lovelace" not in everything(world)
    put_back()
    assert await started_again(world)
    assert [one for one in everything(world).splitlines() if "Lovelace" in one] == []


async def test_a_request_under_way_does_not_keep_an_erased_id() -> None:
    """What was asked for by external id is answered after the erasure, and told the id again."""
    world = await agreeing()
    name = everybody(world)[0].external_id
    await oneoffs.ask(world.hub, "stripe", {"what": "customers", "external_ids": [name]})
    erased(world)
    await world.settle()
    await all_day(world)
    assert [one for one in everything(world).splitlines() if name in one] == []


async def test_no_question_about_somebody_else_names_the_erased() -> None:
    """Two share an e-mail address: the question about the one had the other one as a candidate."""
    world = World()
    await world.activate_all()
    put(world, "stripe", name="Grace Hopper", email="one@example.test")
    await all_day(world)
    (grace,) = everybody(world)
    put(world, "stripe", name="Ada Lovelace", email="one@example.test")
    await all_day(world)
    assert any(grace.external_id in repr(one.detail) for one in held(world))
    erased(world, grace.external_id)
    for _ in range(2):
        await all_day(world)
    assert [one for one in everything(world).splitlines() if f'"{grace.external_id}"' in one] == []
