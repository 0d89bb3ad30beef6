"""Erasure: nothing of the person is left in the database, and nothing brings it back."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from core.errors import InvalidInputError, NotFoundError
from core.model import holds
from core.ports import Bad
from core.store import inbox, intents, journal, mappings, observations, one_offs, tombstones
from core.store.inbox import Letter
from core.store.one_offs import OneOff
from core.store.tables import HOLDS, METADATA
from core.sync import registry
from core.sync.erasure import Erased, Remains, erase, preview
from core.sync.failing import record_bad
from core.sync.plan import plan
from tests.support.acting import (
    ADA,
    agreeing,
    all_day,
    change,
    change_only,
    enter,
    everybody,
    failing,
    held,
    only,
    waiting,
)
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

SECRETS = ("Lovelace", "ada@example.test", "+49301234567", "Rue Ada")


async def known() -> World:
    """A person everywhere, with a past: edits, a conflict's loser, an answered hold."""
    world = await agreeing(phone="+49301234567")
    (one,) = everybody(world)
    await change(world, one.external_id, billing_address={"line1": "12 Rue Ada", "city": "Paris", "country": "FR"})
    return world


def erased(world: World, external_id: str = "") -> Erased:
    """Erase the one customer, or the one named."""
    name = external_id or everybody(world)[0].external_id
    return world.db.run_now(lambda tx: erase(tx, world.hub, name, actor="ann", trace="t"))


def everything(world: World) -> str:
    """Every row of every table, as text."""

    def look(tx: Any) -> str:
        return "\n".join(repr(tuple(row)) for table in METADATA.sorted_tables for row in tx.rows(table.select()))

    return world.db.read_now(look)


async def test_nothing_of_the_person_is_left_in_any_table() -> None:
    """Registry, journal, observations, holds, failures, inbox, intents, base, requests: one scan over all rows."""
    world = await known()
    before = everything(world)
    ids = {name: only(world, name) for name in NAMES}
    name = everybody(world)[0].external_id
    assert all(one in before for one in (*SECRETS, name, ids["stripe"]))
    found = erased(world)
    assert found.remains == sorted(Remains(one, remote_id) for one, remote_id in ids.items())
    text = everything(world)
    assert [one for one in (*SECRETS, name) if one in text] == []
    # an object that is still there must be known when a sweep shows it again: by its bare id, with nothing beside it
    (line,) = [one for one in text.splitlines() if ids["stripe"] in one]
    assert line.startswith(f"('stripe', 'customer', '{ids['stripe']}'")
    assert everybody(world) == []


async def test_the_journal_keeps_its_rows_and_says_that_something_was_erased() -> None:
    """That something happened, when, and by whom, is no personal data of the customer's."""
    world = await known()
    (one,) = everybody(world)
    rows = world.db.read_now(lambda tx: journal.of_record(tx, one.id))
    erased(world)
    after = world.db.read_now(lambda tx: journal.of_record(tx, one.id))
    assert [(new.id, new.action, new.actor) for new in after[1:]] == [(old.id, old.action, old.actor) for old in rows]
    assert (after[0].action, after[0].actor) == ("erase", "ann")
    assert {key for new in after for key in new.changes} == {"(erased)"}


async def test_no_sweep_or_event_brings_the_person_back() -> None:
    """The objects are still there, and change: each is read, known by the hash of its id, and left alone."""
    world = await known()
    ids = {name: only(world, name) for name in NAMES}
    erased(world)
    written = {name: world.writes(name) for name in NAMES}
    for name, remote_id in ids.items():
        world.lookalikes[name].edit("customer", remote_id, {"phone": "+49301234568"})
    await world.next_sweep()
    for _ in range(2):
        await all_day(world)
    text = everything(world)
    assert [one for one in (*SECRETS, "+49301234568") if one in text] == []
    assert (everybody(world), held(world), failing(world), waiting(world)) == ([], [], [], {})
    assert {name: world.writes(name) for name in NAMES} == written
    for name in NAMES:
        assert (
            world.db.read_now(partial(observations.count, connection=name, kind="customer", state=observations.ERASED))
            == 1
        )
        assert (await plan(world.hub, world.hub.connections[name])).items == []


async def test_the_external_id_is_free_again_and_never_joins_the_old_objects() -> None:
    """A new customer of the same id and the same e-mail gets objects of its own."""
    world = await known()
    old = {name: only(world, name) for name in NAMES}
    name = everybody(world)[0].external_id
    erased(world)
    await enter(world, name, name="Ada the Second", email="ada@example.test")
    for one in ("stripe", "hubspot", "quickbooks"):
        fresh = set(world.neutral(one)) - {old[one]}
        rows = world.db.read_now(partial(mappings.page, connection=one, after="", limit=10))
        assert [row.remote_id for row in rows] in ([*fresh], [None]), one
    assert world.neutral("stripe")[old["stripe"]]["name"] == ADA["name"]


async def test_the_object_that_gave_the_erased_their_id_does_not_enter_though_it_was_never_read() -> None:
    """An older database knew them from another system alone: they came back, under their id, and were made anew."""
    world = World()
    await world.activate_all()
    unread = world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada Lovelace", "email": "ada@example.test"})
    await enter(world, f"hubspot:{unread}", name="Ada Lovelace")
    gone = erased(world, f"hubspot:{unread}")
    assert Remains("hubspot", unread) in gone.remains
    before = {name: set(world.neutral(name)) for name in NAMES}
    await all_day(world)
    assert everybody(world) == []
    assert {name: set(world.neutral(name)) for name in NAMES} == before


async def test_a_copy_with_the_marker_of_the_erased_is_not_taken_in() -> None:
    """Its id is another one: what it carries says whose it was."""
    world = await known()
    stripe = world.lookalikes["stripe"]
    (mapping,) = world.db.read_now(lambda tx: mappings.page(tx, "stripe", "", 10))
    erased(world)
    mark = f"{world.hub.instance}.{mapping.id}.{mapping.generation}"
    copy = stripe.edit("customer", None, {"name": "Ada Lovelace", "metadata.accord_ref": mark})
    await all_day(world)
    shown = world.db.read_now(lambda tx: observations.by_ids(tx, "stripe", "customer", [copy]))
    assert {one.state: one.remote.fields for one in shown.values()} == {observations.ERASED: {}}
    assert (everybody(world), held(world)) == ([], [])


async def test_a_write_in_doubt_must_be_found_out_first() -> None:
    """What it made could come back as an object that nobody knows."""
    world = await known()
    (one,) = everybody(world)
    (mapping,) = world.db.read_now(lambda tx: mappings.page(tx, "stripe", "", 10))
    doubt = intents.Intent(
        id="i1", connection="stripe", mapping_id=mapping.id, action="update", key="k", body={}, wanted={}, before={},
        remote_id=mapping.remote_id, sent_at=world.clock.now(),
    )  # fmt: skip
    world.db.run_now(lambda tx: intents.insert(tx, [doubt]))
    for work in (erased, lambda w: w.db.read_now(lambda tx: preview(tx, w.hub, one.external_id))):
        with pytest.raises(InvalidInputError, match="stripe has no known outcome"):
            work(world)
    world.db.run_now(lambda tx: intents.close(tx, {"i1": "void"}, world.clock.now()))
    assert erased(world).customers == 1


async def test_an_archived_customer_can_be_erased_and_an_erased_one_only_once() -> None:
    """The request often comes long after the customer has gone; the second one is told what became of the first."""
    world = await known()
    name = everybody(world)[0].external_id
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, name, actor="ann", trace="t"))
    await enter(world, name, name="Another")
    assert erased(world, name).customers == 2
    with pytest.raises(NotFoundError, match=r"erased on .* by ann"):
        erased(world, name)
    with pytest.raises(NotFoundError):
        erased(world, "(erased)")
    with pytest.raises(NotFoundError, match="; one was erased"):
        world.db.read_now(lambda tx: registry.get(tx, name))


async def test_deliveries_about_the_person_are_emptied_and_others_in_them_are_still_looked_at() -> None:
    """A letter that waits is read first: HubSpot's are about many at once."""
    world = await known()
    hubspot = only(world, "hubspot")
    other = world.lookalikes["hubspot"].edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    body = body_about(hubspot, other)
    broken = b"{broken " + hubspot.split(":")[-1].encode()
    letters = [
        Letter(connection="hubspot", dedupe_key="1", body=body, received_at=1.0),
        Letter(connection="hubspot", dedupe_key="2", body=broken, received_at=1.0),
        Letter(
            connection="hubspot", dedupe_key="3", body=body_about(other).replace(b"Lovelace", b"Bob"), received_at=1.0
        ),
    ]
    world.db.run_now(lambda tx: inbox.add(tx, letters))
    erased(world)
    (left,) = world.db.read_now(lambda tx: inbox.new(tx, "hubspot", 10))
    assert left.dedupe_key == "3"
    assert "Lovelace" not in everything(world)
    await world.settle()
    assert [one.fields["name"] for one in everybody(world)] == ["Bob"]
    world.db.run_now(lambda tx: inbox.add(tx, [Letter(**{**_fields(letters[0]), "dedupe_key": "4"})]))
    await world.settle()
    assert "Lovelace" not in everything(world)


async def test_a_delivery_that_is_read_in_part_is_emptied_and_the_others_in_it_are_still_looked_at() -> None:
    """What could not be read of it may quote the person."""
    world = await known()
    hubspot = only(world, "hubspot")
    other = world.lookalikes["hubspot"].edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    body = json.dumps([["Lovelace", int(hubspot.split(":")[-1])], *json.loads(body_about(other))]).encode()
    letter = Letter(connection="hubspot", dedupe_key="1", body=body, received_at=1.0)
    world.db.run_now(lambda tx: inbox.add(tx, [letter]))
    erased(world)
    assert world.db.read_now(lambda tx: inbox.new(tx, "hubspot", 10)) == []
    await world.settle()
    assert [one.fields["name"] for one in everybody(world)] == ["Bob"]


def body_about(*remote_ids: str) -> bytes:
    """A batch of HubSpot's, with a value in it as its property changes have."""
    events = [
        {
            "eventId": number, "subscriptionId": 7, "objectId": int(one.split(":")[-1]), "attemptNumber": 0,
            "subscriptionType": "contact.propertyChange", "propertyName": "lastname", "propertyValue": "Lovelace",
            "occurredAt": 1_795_000_000_000,
        }
        for number, one in enumerate(remote_ids)
    ]  # fmt: skip
    return json.dumps(events).encode()


def _fields(letter: Letter) -> dict[str, Any]:
    return {name: getattr(letter, name) for name in letter.__struct_fields__}


async def test_of_a_record_that_cannot_be_read_no_more_is_kept_than_that() -> None:
    """A failure's raw would hold the person."""
    world = await known()
    stripe = world.hub.connections["stripe"]
    remote_id = only(world, "stripe")
    erased(world)
    bad = Bad(remote_id, "phone", "Lovelace is no phone", "raw Lovelace")
    world.db.run_now(lambda tx: record_bad(tx, world.hub, stripe, {f"r:{remote_id}": bad}, "t"))
    (failure,) = failing(world)
    assert (failure.raw, failure.message) == ("", "its customer was erased")


async def test_questions_about_the_person_are_closed_and_emptied() -> None:
    """Open ones are moot; answered ones keep that they were."""
    world = await known()
    (one,) = everybody(world)
    hubspot = only(world, "hubspot")
    world.lookalikes["hubspot"].delete("customer", hubspot)
    await all_day(world)
    assert [hold.reason for hold in held(world)] == [holds.REMOTE_GONE]
    erased(world, one.external_id)
    rows = world.db.read_now(lambda tx: tx.rows(sa.select(HOLDS.c.state, HOLDS.c.detail)))
    assert {tuple(row) for row in rows} == {("moot", "{}")}


async def test_likely_objects_and_children_are_told_and_left_alone() -> None:
    """Accord does not guess who else is the same person."""
    world = await known()
    name = everybody(world)[0].external_id
    await enter(world, "child", name="Child", parent=name)
    twin = world.lookalikes["stripe"].edit("customer", None, {"name": "A. L.", "email": "ada@example.test"})
    await all_day(world)
    found = erased(world, name)
    assert (found.likely, found.children) == ([Remains("stripe", str(twin))], ["child"])


async def test_a_child_in_the_books_does_not_name_its_erased_parent() -> None:
    """QuickBooks spells out who is above whom in the child's own object: that is the parent's name, not the child's."""
    world = await known()
    books, (parent,) = world.lookalikes["quickbooks"], everybody(world)
    above = only(world, "quickbooks")
    child = books.edit("customer", None, {"name": "Basement"})
    await all_day(world)
    books.edit("customer", child, {"parent": above})
    await all_day(world)
    assert any(one.fields.get("parent") == parent.external_id for one in everybody(world))
    erased(world, parent.external_id)
    assert [one for one in SECRETS if one in everything(world)] == []
    books.edit("customer", child, {"phone": "+49301234569"})
    await all_day(world)
    assert [one for one in SECRETS if one in everything(world)] == []


async def test_what_was_unlinked_before_is_erased_too() -> None:
    """A tombstone of the weaker kind becomes one of the stronger."""
    world = await known()
    (mapping,) = world.db.read_now(lambda tx: mappings.page(tx, "stripe", "", 10))
    one = tombstones.Tombstone(id=mapping.id, what=tombstones.MAPPING, why=tombstones.UNLINKED, at=1.0, actor="bob")
    world.db.run_now(lambda tx: tombstones.put(tx, [one]))
    erased(world)
    world.db.run_now(lambda tx: tombstones.put(tx, [one]))
    found = {end.id: end.why for end in world.db.read_now(tombstones.every)}
    assert found[mapping.id] == tombstones.ERASED
    assert set(found.values()) == {tombstones.ERASED}


async def test_a_question_about_another_object_does_not_name_the_erased_as_a_candidate() -> None:
    """It stays open, without the one who was erased."""
    world = await known()
    name = everybody(world)[0].external_id
    world.lookalikes["stripe"].edit("customer", None, {"name": "A. L.", "email": "ada@example.test"})
    await all_day(world)
    assert [one.detail["candidates"] for one in held(world)] == [[name]]
    erased(world, name)
    assert [one.detail["candidates"] for one in held(world)] == [["(erased)"]]


async def test_a_request_that_waits_is_still_what_was_asked_for() -> None:
    """A customer called `full` was erased, and with it every waiting request for a full sweep."""
    world = await agreeing()
    for name in ("full", "ann"):
        await enter(world, name, name=name)
    asked: dict[str, dict[str, Any]] = {
        "full": {"what": "full"},
        "some": {"what": "customers", "external_ids": ["full", "ann"]},
    }
    for one_id, request in asked.items():
        one = OneOff(id=one_id, connection="stripe", request=request)
        world.db.run_now(partial(one_offs.ask, one=one, now=1.0))
    erased(world, "full")
    left = [world.db.read_now(partial(one_offs.get, one_id=name)) for name in asked]
    found = {one.id: one.request for one in left if one is not None}
    assert found == {"full": {"what": "full"}, "some": {"what": "customers", "external_ids": ["(erased)", "ann"]}}


async def test_an_edit_that_races_with_the_erasure_loses(database_url: str) -> None:
    """On every database: a lane that had decided before finds nothing to write."""
    world = World(url=database_url)
    try:
        world.lookalikes["stripe"].edit("customer", None, ADA)
        await world.activate_all()
        name = everybody(world)[0].external_id
        change_only(world, name, phone="+49301234567")
        erased(world, name)
        written = {one: world.writes(one) for one in NAMES}
        await world.settle()
        await all_day(world)
        assert {one: world.writes(one) for one in NAMES} == written
        assert everybody(world) == []
        assert not [one for one in ("Lovelace", "ada@example.test") if one in everything(world)]
    finally:
        world.db.close()
