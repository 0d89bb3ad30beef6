"""A backup is put back after more has happened: nothing is made twice, and what was erased stays away."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from core.model.documents import KINDS
from core.model.match import RESTORED
from core.store import api_tokens, connections, mappings, schema
from core.store.backup import backup
from core.store.database import Database
from core.store.life import life_file
from core.store.tables import METADATA
from core.sync import registry
from core.sync.activation import activate
from core.sync.erasure import erase
from core.sync.life import remember
from core.sync.linking import unlink
from core.sync.plan import plan
from core.sync.restoring import notice
from core.sync.tokens import end_token
from tests.support.acting import answer, change, enter, everybody, failing, held, with_policy
from tests.support.paper import bill, pay
from tests.support.world import NAMES, World, config_of

pytestmark = pytest.mark.anyio

Back = Callable[[], None]
"""Put the backup back."""


def begin(url: str, folder: Path, **policy: Any) -> World:
    """A world whose database lives where it tells its life, as a daemon's does."""
    db = Database(url, is_direct=True)
    schema.upgrade(db)
    life = life_file(db, folder)
    db.close()
    config = config_of(NAMES)
    for name in NAMES if policy else ():
        config = with_policy(config, name, **policy)
    world = World(url=url, life=life, config=config)
    assert notice(world.hub) is None
    return world


def backed_up(world: World, folder: Path) -> Back:
    """A backup now, as each database's own tools make it: a copy of the file, or a dump of the rows."""
    if world.db.file is not None:
        copy, file = folder / "backup.sqlite3", world.db.file
        backup(world.db, copy)
        remember(world.hub)

        def put_back_file() -> None:
            world.db.close()
            for suffix in ("-wal", "-shm"):
                file.with_name(file.name + suffix).unlink(missing_ok=True)
            shutil.copyfile(copy, file)
            world.db = Database(world.url, is_direct=True)

        return put_back_file
    rows = world.db.read_now(lambda tx: {t: [dict(row._mapping) for row in tx.rows(t.select())] for t in TABLES})
    remember(world.hub)

    def put_back_rows() -> None:
        def load(tx: Any) -> None:
            for table in TABLES:
                tx.execute(table.delete())
                tx.many(table.insert(), rows[table])

        world.db.run_now(load)

    return put_back_rows


TABLES = METADATA.sorted_tables


async def started_again(world: World) -> str | None:
    """The daemon starts, notices, and a person activates every connection again."""
    world.start()
    why = notice(world.hub)
    states = {row.name: row.state for row in world.db.read_now(connections.every)}
    assert set(states.values()) == ({"observing"} if why else {"active"})
    writes = {name: world.writes(name) for name in NAMES}
    await world.settle()
    if why:
        assert {name: world.writes(name) for name in NAMES} == writes, "an observing connection writes nothing"
        await world.activate_all()
    for _ in range(2):
        world.clock.time += 90_000
        await world.settle()
    return why


def people(world: World, name: str) -> list[str]:
    """The names of a look-alike's objects, each as often as there are objects of it."""
    return sorted(str(fields["name"]) for fields in world.neutral(name).values())


def put(world: World, place: str, **fields: Any) -> str:
    """A person enters somebody at a provider."""
    return str(world.lookalikes[place].edit("customer", None, fields))


async def a_day(world: World) -> None:
    """The next full sweep everywhere."""
    world.clock.time += 86_500
    await world.settle()


def seed(world: World) -> None:
    """Some at each provider, with and without e-mail."""
    for number in range(4):
        put(world, "stripe", name=f"Stripe {number}", email=f"s{number}@example.test")
        put(world, "quickbooks", name=f"Books {number}", phone=f"+4930555{number:04}")
    put(world, "hubspot", name="Hub 0", email="h0@example.test")


def named(world: World, name: str) -> str:
    """The external id of the customer of this name."""
    (one,) = [one for one in everybody(world) if one.fields["name"] == name]
    return one.external_id


def remote(world: World, place: str, name: str) -> str:
    """The id of the object of this name."""
    (one,) = [key for key, fields in world.neutral(place).items() if fields["name"] == name]
    return one


async def much_more(world: World) -> Mapping[str, Sequence[str]]:
    """All that happens after the backup: edits, births everywhere, an erasure. Returns what each system holds then."""
    world.lookalikes["stripe"].edit("customer", remote(world, "stripe", "Stripe 1"), {"phone": "+493012345678"})
    world.lookalikes["hubspot"].edit("customer", remote(world, "hubspot", "Books 2"), {"phone": "+493087654321"})
    await a_day(world)
    for place in NAMES:
        put(world, place, name=f"Later at {place}", email=f"later-{place}@example.test")
    put(world, "quickbooks", name="Later without mail", phone="+49305559999")
    await enter(world, "by-hand", name="By Hand", email="hand@example.test")
    await enter(world, "no-mail", name="No Mail")
    await a_day(world)
    gone = named(world, "Stripe 3")
    world.db.run_now(lambda tx: erase(tx, world.hub, gone, actor="ann", trace="t"))
    late = named(world, "Later at hubspot")
    world.db.run_now(lambda tx: erase(tx, world.hub, late, actor="ann", trace="t"))
    await a_day(world)
    return {name: people(world, name) for name in NAMES}


@pytest.mark.parametrize("match_email", [True, False], ids=["by-mail", "never-by-mail"])
async def test_an_older_database_makes_nothing_twice_and_brings_nobody_back(
    database_url: str, tmp_path: Path, *, match_email: bool
) -> None:
    """CORRECTNESS §9: 0 duplicates, 0 resurrected erasures; by what the providers hold, not by what we believe."""
    world = begin(database_url, tmp_path, match_email=match_email)
    try:
        seed(world)
        await world.activate_all()
        put_back = backed_up(world, tmp_path)
        before = await much_more(world)
        put_back()
        assert await started_again(world) == "it is older than the one that ran here last: a backup was put back"
        assert {name: people(world, name) for name in NAMES} == before
        known = [str(one.fields.get("name")) for one in everybody(world)]
        assert not {"Stripe 3", "Later at hubspot"} & set(known)
        assert len(known) == len(set(known))
        for place, phone in (("Stripe 1", "+493012345678"), ("Books 2", "+493087654321")):
            for name in NAMES:
                assert world.neutral(name)[remote(world, name, place)]["phone"] == phone, (place, name)
        await decide_all(world)
        assert (failing(world), [one for one in held(world) if one.detail.get("rung") == RESTORED]) == ([], [])
        assert {name: people(world, name) for name in NAMES} == before
    finally:
        world.db.close()


async def test_a_token_that_was_revoked_since_the_backup_opens_nothing(sqlite_url: str, tmp_path: Path) -> None:
    """It may have leaked: with the older database its finder was let in again, and nobody was told."""
    world = begin(sqlite_url, tmp_path)
    kept, leaked = (
        world.db.run_now(partial(api_tokens.make, name=name, scope="admin", now=1.0, expires_at=None, actor="ann"))
        for name in ("kept", "leaked")
    )
    put_back = backed_up(world, tmp_path)
    world.db.run_now(lambda tx: end_token(tx, world.hub, "leaked", actor="ann"))
    put_back()
    world.start()
    assert notice(world.hub)
    now = world.clock.now()
    found = [world.db.read_now(partial(api_tokens.find, token=token)) for token in (kept, leaked)]
    assert [one.state(now) if one else None for one in found] == ["live", "revoked"]
    world.db.close()


async def test_an_older_database_doubles_no_document_and_follows_what_was_voided_and_credited(
    sqlite_url: str, tmp_path: Path
) -> None:
    """After the backup: a void, a credit note, a payment, a new invoice, and the erasure of somebody who was billed."""
    world = begin(sqlite_url, tmp_path)
    ada, ben = (put(world, "stripe", name=name, email=f"{name}@example.test") for name in ("ada", "ben"))
    await world.activate_all()
    voided, credited, bens = (bill(world, customer=one) for one in (ada, ada, ben))
    await a_day(world)
    put_back = backed_up(world, tmp_path)
    stripe = world.lookalikes["stripe"]
    stripe.edit("invoice", voided, {"status": "void"})
    note = {"customer": ada, "currency": "USD", "invoice": credited, "applied": "30.00"}
    stripe.edit("credit_note", None, {**note, "lines": [{"description": "Sorry", "amount": "30.00"}]})
    pay(world, bens, "19.00", customer=ben)
    await a_day(world)
    gone = named(world, "ben")
    world.db.run_now(lambda tx: erase(tx, world.hub, gone, actor="ann", trace="t"))
    bill(world, customer=ada)
    await a_day(world)
    before = {name: books(world, name) for name in NAMES}
    assert [one for one in before["quickbooks"] if one[:2] == ("invoice", "void")]
    assert {one[0] for one in before["quickbooks"]} == {"invoice", "payment", "credit_note"}

    put_back()
    assert await started_again(world)
    assert {name: books(world, name) for name in NAMES} == before
    assert [one.fields["name"] for one in everybody(world)] == ["ada"]
    assert [one.detail for one in held(world) if "document" in one.detail] == []
    assert failing(world) == []
    world.db.close()


def books(world: World, name: str) -> list[tuple[str, ...]]:
    """Every document that a system holds, and what it comes to."""
    kinds = KINDS if name != "hubspot" else ("invoice",)
    shown = [(kind, one) for kind in kinds for one in world.lookalikes[name].neutral(kind).values()]
    fields = ("status", "number", "total", "due", "amount", "applied")
    return sorted((kind, *(str(one.get(field)) for field in fields)) for kind, one in shown)


async def decide_all(world: World) -> None:
    """Link every object that the older database had forgotten to the customer of its name, as a person would."""
    by_name = {str(one.fields.get("name")): one.external_id for one in everybody(world)}
    for hold in held(world):
        if hold.detail.get("rung") == RESTORED and hold.detail["name"] in by_name:
            await answer(world, hold, f"link:{by_name[hold.detail['name']]}")
    world.clock.time += 90_000
    await world.settle()


async def test_what_was_unlinked_after_the_backup_stays_unlinked(sqlite_url: str, tmp_path: Path) -> None:
    """The older database still ties the two; the file beside it knows better."""
    world = begin(sqlite_url, tmp_path)
    seed(world)
    await world.activate_all()
    put_back = backed_up(world, tmp_path)
    name = named(world, "Stripe 0")
    world.db.run_now(lambda tx: unlink(tx, world.hub, name, "hubspot", actor="ann", trace="t"))
    before = {one: people(world, one) for one in NAMES}
    put_back()
    assert await started_again(world)
    world.db.run_now(lambda tx: registry.update(tx, world.hub, name, {"phone": "+493011111111"}, actor="a", trace="t"))
    await world.settle()
    assert {one: people(world, one) for one in NAMES} == before
    assert world.neutral("hubspot")[remote(world, "hubspot", "Stripe 0")]["phone"] is None
    assert world.neutral("stripe")[remote(world, "stripe", "Stripe 0")]["phone"] == "+493011111111"
    world.db.close()


async def test_our_own_object_that_the_database_does_not_know_is_held_and_not_made_twice(
    sqlite_url: str, tmp_path: Path
) -> None:
    """It carries our marker and no external id: who it is, a person says; until then no other of its name is made."""
    world = begin(sqlite_url, tmp_path)
    await world.activate_all()
    marked = {"name": "Forgotten", "metadata.accord_ref": f"{world.hub.instance}.nothere.1"}
    remote_id = put(world, "stripe", **marked)
    await a_day(world)
    assert everybody(world) == []
    await enter(world, "again", name="Forgotten")
    await a_day(world)
    assert people(world, "stripe") == ["Forgotten"]
    mine = [one for one in held(world) if one.subject == f"r:{remote_id}"]
    await answer(world, mine[0], "link:again")
    await a_day(world)
    assert (people(world, "stripe"), held(world)) == (["Forgotten"], [])
    assert [one.external_id for one in everybody(world)] == ["again"]
    world.db.close()


async def test_what_was_created_after_the_backup_is_asked_about_and_not_made_twice(
    sqlite_url: str, tmp_path: Path
) -> None:
    """At a provider without a marker a person says whose the object is; an edit meanwhile creates nothing either."""
    world = begin(sqlite_url, tmp_path)
    seed(world)
    await world.activate_all()
    values = {"name": "In Between", "phone": "+493099999999"}
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "between", values, actor="a", trace="t"))
    put_back = backed_up(world, tmp_path)
    await a_day(world)
    before = {name: people(world, name) for name in NAMES}
    assert all("In Between" in some for some in before.values())
    put_back()
    world.start()
    assert notice(world.hub)
    await world.settle()
    for name in NAMES:
        seen = await plan(world.hub, world.hub.connections[name])
        await activate(world.hub, world.hub.connections[name], seen.digest, actor="test")
    # marked before anything that was forgotten could be looked for
    world.db.run_now(
        lambda tx: registry.update(tx, world.hub, "between", {"url": "https://x.test"}, actor="a", trace="t")
    )
    await world.settle()
    await a_day(world)
    assert {name: people(world, name) for name in NAMES} == before
    (hold,) = [one for one in held(world) if one.subject.startswith("r:")]
    assert (hold.connection, hold.detail["rung"], hold.detail["name"]) == ("quickbooks", RESTORED, "In Between")
    assert not [one for one in held(world) if one.reason == "name_taken"]
    await answer(world, hold, "link:between")
    await a_day(world)
    assert (held(world), {name: people(world, name) for name in NAMES}) == ([], before)
    world.db.close()


async def test_what_may_be_forgotten_is_asked_about_also_when_its_e_mail_is_nobodys_any_more(
    sqlite_url: str, tmp_path: Path
) -> None:
    """It was asked about by its e-mail; once its customer had another one, it entered, and was made anew elsewhere."""
    world = begin(sqlite_url, tmp_path, match_email=False)
    await world.activate_all()
    values = {"name": "In Between", "email": "between@example.test"}
    world.db.run_now(lambda tx: registry.create(tx, world.hub, "between", values, actor="a", trace="t"))
    put_back = backed_up(world, tmp_path)
    await a_day(world)
    before = {name: people(world, name) for name in NAMES}
    put_back()
    assert await started_again(world)
    (hold,) = [one for one in held(world) if one.subject.startswith("r:")]
    assert (hold.connection, hold.detail["rung"]) == ("quickbooks", "e-mail")
    await change(world, "between", email="after@example.test")
    await a_day(world)
    await a_day(world)
    assert {name: people(world, name) for name in NAMES} == before
    assert [one.external_id for one in everybody(world)] == ["between"]
    (hold,) = [one for one in held(world) if one.subject.startswith("r:")]
    assert hold.detail["rung"] == RESTORED
    world.db.close()


async def test_a_restart_is_no_restore(database_url: str, tmp_path: Path) -> None:
    """Ten of them, with the job between: every connection stays active."""
    world = begin(database_url, tmp_path)
    try:
        await world.activate_all()
        for _ in range(10):
            remember(world.hub)
            world.start()
            assert notice(world.hub) is None
    finally:
        world.db.close()


async def test_a_copy_without_the_note_of_its_life_begins_observing(sqlite_url: str, tmp_path: Path) -> None:
    """A backup on a new machine: nothing here can say how old it is."""
    world = begin(sqlite_url, tmp_path)
    await world.activate_all()
    assert world.life is not None
    world.life.path.unlink()
    world.start()
    assert "a copy, or a backup" in str(notice(world.hub))
    assert notice(world.hub) is None
    world.db.close()


async def test_the_backup_command_makes_its_own_copy_older(sqlite_url: str, tmp_path: Path) -> None:
    """Put back a second later, it is noticed all the same."""
    world = begin(sqlite_url, tmp_path)
    await world.activate_all()
    put_back = backed_up(world, tmp_path)
    put_back()
    world.start()
    assert notice(world.hub)
    world.db.close()


async def test_a_dump_that_was_loaded_elsewhere_is_noticed_without_a_file(postgres_url: str, tmp_path: Path) -> None:
    """PostgreSQL's tables have other numbers there: the row that came along names the old ones."""
    world = begin(postgres_url, tmp_path)
    try:
        await world.activate_all()
        world.life = None

        def load_anew(tx: Any) -> None:
            tx.connection.exec_driver_sql("CREATE TABLE loaded (LIKE meta INCLUDING ALL)")
            tx.connection.exec_driver_sql("INSERT INTO loaded SELECT * FROM meta")
            tx.connection.exec_driver_sql("DROP TABLE meta")
            tx.connection.exec_driver_sql("ALTER TABLE loaded RENAME TO meta")

        world.start()
        assert notice(world.hub) is None
        world.db.run_now(load_anew)
        world.start()
        assert notice(world.hub) == "it was loaded from a dump, or moved to another server"
    finally:
        world.db.close()


async def test_while_older_nothing_may_hide_that_it_is(sqlite_url: str, tmp_path: Path) -> None:
    """A command that erases before the daemon has started must not make the two agree."""
    world = begin(sqlite_url, tmp_path)
    seed(world)
    await world.activate_all()
    put_back = backed_up(world, tmp_path)
    put_back()
    world.start()
    name = named(world, "Stripe 0")
    world.db.run_now(lambda tx: erase(tx, world.hub, name, actor="ann", trace="t"))
    told = world.life.read() if world.life else None
    assert told
    assert [one.actor for one in told.tombstones][:1] == ["ann"]
    assert notice(world.hub)
    world.db.close()


async def test_what_was_unlinked_at_a_connection_that_is_gone_by_now_ends_all_the_same(
    sqlite_url: str, tmp_path: Path
) -> None:
    """The connection was taken out of accord.toml since: the daemon that found the older database did not start."""
    world = begin(sqlite_url, tmp_path)
    put(world, "stripe", name="ada", email="ada@example.test")
    await world.activate_all()
    put_back = backed_up(world, tmp_path)
    (ada,) = everybody(world)
    world.db.run_now(lambda tx: unlink(tx, world.hub, ada.external_id, "hubspot", actor="ann", trace="t"))
    put_back()
    world.config = config_of([name for name in NAMES if name != "hubspot"])
    world.start()
    assert notice(world.hub)
    rows = world.db.read_now(lambda tx: mappings.page(tx, "hubspot", "", 10))
    assert [row.state for row in rows] == ["excluded"]
    world.db.close()
