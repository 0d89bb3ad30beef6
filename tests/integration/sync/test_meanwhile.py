"""What happens meanwhile: answers, deletions, restarts and full disks in the middle of a lane's work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import msgspec
import pytest

from core.errors import StorageError
from core.model import holds
from core.ports import HttpRequest, HttpResponse
from core.store import connections, intents, observations, work
from core.store.database import Tx
from core.sync import answers, registry
from core.sync.batch import Report
from core.sync.lanes import Lanes
from core.sync.sweep import Listed, begin_full, store_page
from tests.support.acting import (
    ADA,
    agreeing,
    all_day,
    answer,
    change,
    edit_only,
    everybody,
    failing,
    held,
    mapped,
    only,
    value,
    waiting,
    with_policy,
)
from tests.support.lookalikes import hubspot_of
from tests.support.world import World

T = TypeVar("T")

pytestmark = pytest.mark.anyio


def before_next(world: World, name: str, wanted: Callable[[HttpRequest], bool], act: Callable[[], None]) -> None:
    """Let something happen right before the next request of a kind is answered."""
    whole, is_over = world.exchanges[name], False

    def exchange(request: HttpRequest) -> HttpResponse:
        nonlocal is_over
        if not is_over and wanted(request):
            is_over = True
            act()
        return whole(request)

    world.exchanges[name] = exchange


def archive(world: World) -> None:
    """Somebody deletes the one customer."""
    (one,) = everybody(world)
    world.db.run_now(lambda tx: registry.archive(tx, world.hub, one.external_id, actor="ann", trace="t"))


async def test_an_edit_found_by_a_sweep_that_was_begun_anew_flows() -> None:
    """What a sweep had found waited for the end of that sweep; another one took its place, and the edit for ever."""
    world = await agreeing()
    edit_only(world, "hubspot", {"phone": "+4930111"})
    hubspot, (mapping,) = world.hub.connection("hubspot"), mapped(world, "hubspot")
    cursor = await begin_full(world.hub, hubspot, "first")
    page = await hubspot.connector.sweep("customer", "full", None)
    listed = Listed()
    listed.begin(cursor)
    await store_page(world.hub, hubspot, cursor, page, listed, Report())
    assert world.db.read_now(lambda tx: work.parked(tx, "hubspot", "first", "", 10)) == [f"m:{mapping.id}"]
    await begin_full(world.hub, hubspot, "second")
    await world.settle()
    assert value(world, "stripe", "phone") == "+4930111"
    assert sum(waiting(world).values()) == 0


async def test_an_edit_found_by_an_implausible_listing_flows() -> None:
    """The listing lacked objects, but what it showed was there: an edit of it waited for ever."""
    world = World()
    ids = [
        world.lookalikes["hubspot"].edit("customer", None, {"name": f"Ada{n}", "email": f"ada{n}@example.test"})
        for n in range(10)
    ]
    await world.activate_all()
    for one in ids[5:]:
        world.lookalikes["hubspot"].delete("customer", one)
    edit_only(world, "hubspot", {"phone": "+4930111"}, ids[0])
    world.timing = type(world.timing)(changes_every=1e9, full_every=86400, first_back_off=1)
    world.start()
    world.db.run_now(lambda tx: connections.touch_cursor(tx, "hubspot", "customer", "full"))
    await world.settle()
    (hold,) = held(world, holds.LISTING_SHRANK)
    await answer(world, hold, "approve")
    await all_day(world)
    assert world.neutral("stripe")
    assert "+4930111" in {one.get("phone") for one in world.neutral("stripe").values()}
    assert sum(waiting(world).values()) == 0


async def test_a_page_that_could_not_be_stored_is_read_again() -> None:
    """A full disk for one second, and what was on that page was not known: it would have been made a second time."""
    world = World()
    count = 250
    for n in range(count):
        world.lookalikes["hubspot"].edit("customer", None, {"name": f"Ada{n}", "email": f"ada{n}@example.test"})
    run, left = world.db.run_now, [1]

    def full_for_once(change: Callable[[Tx], T]) -> T:
        if left[0] and "store_page" in change.__qualname__:
            left[0] -= 1
            raise StorageError("disk full")
        return run(change)

    world.db.run_now = full_for_once  # type: ignore[assignment, method-assign]  # a disk is full where no port stands
    await world.settle()
    assert not left[0]
    assert world.db.read_now(lambda tx: observations.count(tx, "hubspot", "customer")) == count


async def test_a_customer_deleted_while_its_object_was_read_stays_deleted() -> None:
    """The object was gone too: its ended mapping came back, with a question about a deleted customer."""
    world = await agreeing()
    world.lookalikes["hubspot"].delete("customer", only(world, "hubspot"))
    before_next(world, "hubspot", lambda r: "batch/read" in r.url, lambda: archive(world))
    await all_day(world)
    assert held(world) == []
    assert mapped(world, "hubspot") == []


async def test_a_mapping_let_go_while_its_object_was_read_stays_let_go() -> None:
    """A person unlinked a mapping that a restored object was about to bring back to life."""
    world = await agreeing()
    remote_id = only(world, "hubspot")
    world.lookalikes["hubspot"].delete("customer", remote_id)
    await all_day(world)
    (hold,) = held(world)
    hubspot_of(world).restore("customer", remote_id)

    def act() -> None:
        world.db.run_now(lambda tx: answers.answer(tx, world.hub, hold.id, "unlink", actor="ann"))

    before_next(world, "hubspot", lambda r: "batch/read" in r.url, act)
    await all_day(world)
    (row,) = mapped(world, "hubspot")
    assert row.state == "excluded"


async def test_an_object_made_while_its_customer_was_deleted_brings_nobody_back() -> None:
    """QuickBooks has no place for a marker: the object entered as a new customer, and went everywhere."""
    world = World()
    await world.activate_all()
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada Lovelace"})
    before_next(world, "quickbooks", lambda r: r.method == "POST" and "/customer" in r.url, lambda: archive(world))
    await world.next_sweep()
    await all_day(world)
    await all_day(world)
    assert everybody(world) == []
    assert held(world) == []


async def test_a_failure_of_a_bad_record_ends_when_it_can_be_read() -> None:
    """It was shown as being retried for ever."""
    world = await agreeing()
    whole = world.exchanges["quickbooks"]

    def with_half_a_pair(request: HttpRequest) -> HttpResponse:
        found = whole(request)
        return HttpResponse(found.status, found.headers, found.body.replace(b"SURROGATE", b"\\ud83d"))

    world.exchanges["quickbooks"] = with_half_a_pair
    world.lookalikes["quickbooks"].edit("customer", None, {"name": "Half SURROGATE Smith"})
    await all_day(world)
    assert [one.code for one in failing(world)] == ["bad_record"]
    world.exchanges["quickbooks"] = whole
    await all_day(world)
    assert failing(world) == []


async def test_a_link_from_the_customers_side_ends_the_question_on_the_objects_side() -> None:
    """Two holds ask about one pair; one answer is enough."""
    world = World()
    world.config = with_policy(world.config, "hubspot", match_email=False)
    world.start()
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada L.", "email": "ada@example.test"})
    world.config = with_policy(world.config, "stripe", match_email=False)
    world.start()
    world.lookalikes["stripe"].edit("customer", None, ADA)
    await world.activate_all("stripe", "hubspot", "quickbooks")
    assert len(held(world)) == len("mr")
    (mine,) = [one for one in held(world) if one.subject.startswith("m:")]
    await answer(world, mine, f"link:{mine.detail['candidates'][0]}")
    await all_day(world)
    assert held(world) == []


async def made_unanswered(world: World, fields: dict[str, str]) -> None:
    """A customer of Stripe's, whose object at QuickBooks was made without an answer."""
    await world.activate_all()
    world.lookalikes["stripe"].edit("customer", None, fields)
    whole, lost = world.exchanges["quickbooks"], [1]

    def exchange(request: HttpRequest) -> HttpResponse:
        found = whole(request)
        if lost[0] and request.method == "POST" and "/customer" in request.url:
            lost[0] -= 1
            raise TimeoutError
        return found

    world.exchanges["quickbooks"] = exchange
    world.clock.time += 61
    await world.lanes.run("stripe")
    await world.lanes.run("quickbooks")
    assert lost == [0]


async def test_a_lost_create_seen_by_the_feed_is_known_by_its_name_as_spelled_there() -> None:
    """A name with a blank at its end comes back without it: the object looked like another customer."""
    world = World()
    await made_unanswered(world, {"name": "Ada Lovelace "})
    (made,) = world.neutral("quickbooks")
    world.db.run_now(lambda tx: work.mark(tx, "quickbooks", [f"r:{made}"], reason="webhook", trace="t", now=0.0))
    await world.lanes.run("quickbooks")
    await world.next_sweep()
    assert len(everybody(world)) == 1
    assert len(world.neutral("stripe")) == 1


async def test_an_open_create_is_not_sent_by_an_observing_connection() -> None:
    """A restored database observes: whatever was under way in the backup is not sent before a person says so."""
    world = World()
    await world.activate_all()
    world.lookalikes["stripe"].edit("customer", None, ADA)
    whole, lost = world.exchanges["hubspot"], [1]

    def exchange(request: HttpRequest) -> HttpResponse:
        if lost[0] and "upsert" in request.url:
            lost[0] -= 1
            raise TimeoutError
        return whole(request)

    world.exchanges["hubspot"] = exchange
    world.clock.time += 61
    await world.lanes.run("stripe")
    await world.lanes.run("hubspot")
    assert lost == [0]
    world.db.run_now(lambda tx: connections.change(tx, "hubspot", state="observing"))
    world.start()
    await all_day(world)
    assert world.writes("hubspot") == 0
    world.db.run_now(lambda tx: connections.change(tx, "hubspot", state="active"))
    await all_day(world)
    assert len(world.neutral("hubspot")) == 1


async def test_an_object_left_alone_does_not_enter_as_a_new_customer() -> None:
    """Its rename was refused and a person left it; without a marker it came back as somebody else, everywhere."""
    world = await agreeing(email=None)
    world.lookalikes["quickbooks"].edit("customer", None, {"name": "Taken"})
    await change(world, everybody(world)[0].external_id, name="Taken")
    (hold,) = held(world, holds.NAME_TAKEN)
    await answer(world, hold, "leave")
    await all_day(world)
    await all_day(world)
    assert sorted(str(one.fields["name"]) for one in everybody(world)) == ["Taken", "Taken"]
    assert "Ada Lovelace" not in {one["name"] for one in world.neutral("stripe").values()}


async def lost_create_found_two_days_later(
    world: World, name: str, act: Callable[[World], None] = lambda _world: None
) -> None:
    """A create at QuickBooks whose answer is lost while Accord stops for two days, in which somebody does something."""
    await made_unanswered(world, {"name": name, "phone": "+49301234567"})
    act(world)
    world.clock.time += 2 * 86_400
    await world.lanes.run("quickbooks")


async def test_a_lost_create_too_old_for_its_key_is_asked_about_by_its_unique_value() -> None:
    """Whether the object of that name is ours or somebody else's, only a person can tell."""
    world = World()
    await lost_create_found_two_days_later(world, "Ada Lovelace")
    (made,) = world.neutral("quickbooks")
    (question,) = held(world)
    assert (question.reason, question.detail["candidates"]) == ("lost_create", [made])
    await answer(world, question, f"link:{made}")
    await all_day(world)
    assert held(world) == []
    assert len(world.neutral("quickbooks")) == 1


async def test_a_lost_create_that_nothing_can_find_is_asked_about_too() -> None:
    """Without key, marker or unique value a second create would be a guess."""
    world = World()
    whole = world.hub.connections["quickbooks"]
    blind = replace(whole, manifest=msgspec.structs.replace(whole.manifest, unique_fields=()))
    world.hub = replace(world.hub, connections={**world.hub.connections, "quickbooks": blind})
    world.lanes = Lanes(world.hub)
    await lost_create_found_two_days_later(world, "Ada Lovelace")
    (question,) = held(world)
    assert (question.reason, question.detail["candidates"]) == ("lost_create", [])
    assert len(world.neutral("quickbooks")) == 1


async def test_an_object_that_is_not_the_lost_creates_becomes_a_customer_once_somebody_says_so() -> None:
    """Until then it enters nowhere: it might be the customer that waits for it."""
    world = World()
    await lost_create_found_two_days_later(world, "Ada Lovelace")
    assert len(everybody(world)) == 1
    (question,) = held(world)
    await answer(world, question, "create")
    await all_day(world)
    assert len(everybody(world)) == 2
    assert [one.reason for one in held(world)] == ["name_taken"]


async def test_what_is_archived_while_others_of_its_batch_are_written_is_not_written() -> None:
    """Decided on together, they go out some at a time: the last ones were made for customers that were gone."""
    world = World()
    await world.activate_all()
    names = [f"Person {number}" for number in range(60)]

    def enter_all(tx: Tx) -> None:
        for name in names:
            registry.create(tx, world.hub, name, {"name": name}, actor="ann", trace="t")

    def archive_all(tx: Tx) -> None:
        for name in names:
            registry.archive(tx, world.hub, name, actor="ann", trace="t")

    world.db.run_now(enter_all)
    before_next(world, "quickbooks", lambda r: r.method == "POST", lambda: world.db.run_now(archive_all))
    for _ in range(2):
        await all_day(world)
    manifest = world.hub.connection("quickbooks").manifest
    assert len(world.neutral("quickbooks")) == manifest.write_batch + manifest.singles_per_batch
    assert (everybody(world), held(world), world.db.read_now(intents.all_open)) == ([], [], [])
