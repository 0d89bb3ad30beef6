"""What is Acme's own beyond the contract: keys, versions, pages, deletions."""

from __future__ import annotations

import pytest

from connectors.acme.connector import PROVIDER
from core.errors import AmbiguousError, BugError, ConfigError, GoneError, ReauthorizeError, ReplyError, StaleError
from core.ports import ConnectionConfig, HttpResponse, Missing, Probe, Sighting, Write, Written
from tests.unit.connectors.acme.conftest import World


def test_a_repeated_create_is_told_to_be_a_replay(world: World) -> None:
    """Its answer may be older than the customer is."""
    first, again = world.create(), world.create()
    assert isinstance(again, Written)
    assert (first.is_replay, again.is_replay) == (False, True)
    assert again.sighting == first.sighting


def test_an_update_from_an_old_version_is_refused(world: World) -> None:
    """Somebody's edit between read and write must not be overwritten unseen."""
    seen = world.made()
    world.lookalike.edit("customer", seen.id, {"phone": "1"})
    assert isinstance(world.update(seen, phone="2"), StaleError)
    assert world.lookalike.neutral("customer")[seen.id]["phone"] == "1"


def test_an_update_of_a_deleted_customer_says_that_it_is_gone(world: World) -> None:
    """And a read says that it is missing."""
    seen = world.made()
    world.lookalike.delete("customer", seen.id)
    assert isinstance(world.update(seen, phone="2"), GoneError)
    assert world.run(world.connector.read("customer", [seen.id])) == {seen.id: Missing(seen.id)}


def test_a_change_feed_of_several_pages_begins_the_next_one_where_it_began(world: World) -> None:
    """What changes while the pages are read is read the next time."""
    (start,) = world.sweep(None)
    world.clock.time += 1000
    made = {world.lookalike.edit("customer", None, {"name": f"Person {one}"}) for one in range(150)}
    world.lookalike.delete("customer", gone := min(made))
    world.clock.time += 1000
    pages = world.sweep(start.cursor)
    assert len(pages) == 2
    assert {one.id for page in pages for one in page.sightings} == made - {gone}
    assert [one for page in pages for one in page.gone] == [gone]
    (after,) = world.sweep(pages[-1].cursor)
    assert (list(after.sightings), list(after.gone)) == ([], [])


def test_a_record_without_an_id_leaves_the_rest_of_its_page(world: World) -> None:
    """It is named, and its bytes are kept so that any database can store them."""
    rows = b'{"data": [{"id": 5, "name": "\xff"}, {"id": "a\\u0000"}, {"id": "cus_1"}]}'
    world.tamper = lambda _: HttpResponse(200, {}, rows)
    page = world.run(world.connector.sweep("customer", "full", None))
    assert [one.id for one in page.sightings] == ["cus_1"]
    assert [one.id for one in page.bad] == ["?", "?"]
    assert all(one.raw.isascii() for one in page.bad)
    with pytest.raises(ReplyError):
        world.run(world.connector.find("customer", Probe(mark="i.m.1")))


def test_a_look_up_by_external_id_finds_one(world: World) -> None:
    """Where there is no marker yet."""
    world.lookalike.edit("customer", None, {"name": "Ada", "external_id": "A-1"})
    found = world.run(world.connector.find("customer", Probe(mark="i.m.1", external_id="A-1")))
    assert len(found) == 1
    assert list(world.run(world.connector.find("customer", Probe(external_id="A-2")))) == []


def test_another_customer_is_never_taken_for_the_one_asked_for(world: World) -> None:
    """A cache in between may mix up answers."""
    seen = world.made()
    world.tamper = lambda _: HttpResponse(200, {}, b'{"id": "cus_other"}')
    with pytest.raises(ReplyError):
        world.run(world.connector.read("customer", [seen.id]))
    assert isinstance(world.update(seen, phone="2"), AmbiguousError)


def test_without_a_key_a_person_must_act(world: World) -> None:
    """Nothing is sent."""
    world.vault.values.clear()
    with pytest.raises(ReauthorizeError, match="acme-eu"):
        world.run(world.connector.identify())
    assert world.requests == []


def test_a_throttled_account_is_left_in_peace(world: World) -> None:
    """The next call waits as long as was asked for."""
    seen = world.made()
    answers = [HttpResponse(429, {"retry-after": "4"}, b"")]
    world.tamper = lambda _: answers.pop() if answers else None
    began = world.clock.time
    found = world.run(world.connector.read("customer", [seen.id]))
    assert isinstance(found[seen.id], Sighting)
    assert world.clock.time >= began + 4


def test_the_published_limits_are_kept(world: World) -> None:
    """So that no 429 is ours."""
    ids = [world.lookalike.edit("customer", None, {"name": f"Person {one}"}) for one in range(40)]
    world.change(enforce_limits=True)
    assert len(world.run(world.connector.read("customer", ids))) == 40


def test_mistakes_of_ours_are_told_as_such(world: World) -> None:
    """A kind that is not there, an update of nobody, a place for external ids that Acme does not have."""
    with pytest.raises(BugError):
        world.run(world.connector.read("invoice", []))
    nobody = Write(key="k", action="update", kind="customer", remote_id=None, body={})
    assert isinstance(world.write(nobody), BugError)
    with pytest.raises(ConfigError, match="external_id_field"):
        PROVIDER.translator(ConnectionConfig("acme", "acme", external_id_field="metadata.x"))
