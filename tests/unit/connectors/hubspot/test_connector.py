"""The connector over the look-alike, in memory: what it asks, what it makes of the answers, what it never does."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest

from connectors.hubspot.connector import PROVIDER, HubSpotConnector
from connectors.hubspot.sandbox import HubSpotSettings
from core.abilities import Past, Recalled
from core.errors import (
    AmbiguousError,
    ConfigError,
    GoneError,
    InvalidInputError,
    ReauthorizeError,
    RejectedError,
    ReplyError,
    RetryError,
    TakenError,
)
from core.model.remote import Wanted
from core.ports import (
    ConnectionConfig,
    HttpRequest,
    HttpResponse,
    Missing,
    Probe,
    Shell,
    Sighting,
    Written,
)
from tests.unit.connectors.hubspot.conftest import World

JSON = {"content-type": "application/json"}


def on(path: str, answer: Callable[[HttpRequest], HttpResponse], world: Any) -> None:
    """Answer requests whose URL contains `path` differently."""

    def exchange(request: HttpRequest) -> HttpResponse:
        return answer(request) if path in request.url else world.hubspot.respond(request)

    world.exchange = exchange


def saying(status: int, body: bytes | Any = b"") -> Callable[[HttpRequest], HttpResponse]:
    """Always this."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return lambda _: HttpResponse(status, JSON, raw)


def raising(error: Exception, world: Any | None = None) -> Callable[[HttpRequest], HttpResponse]:
    """Fail; with a world, only after the request was executed."""

    def answer(request: HttpRequest) -> HttpResponse:
        if world is not None:
            world.hubspot.respond(request)
        raise error

    return answer


def writes_of(world: Any, caller: str = "accord") -> list[Any]:
    """What the API calls changed."""
    return [one for one in world.hubspot.mutations if one.caller == caller]


# ---- who, and what is needed ---------------------------------------------------------------------------


def test_the_portal_is_pinned_by_its_id(world: Any) -> None:
    """Other credentials later are another portal."""
    account = world.run(world.connector.identify())

    assert (account.id, account.title) == ("4242424", "HubSpot 4242424 (standard)")


@pytest.mark.parametrize("answer", [saying(404, b"<html>"), saying(404, {"category": "OBJECT_NOT_FOUND"})])
def test_where_the_dated_path_is_not_there_the_old_one_is_asked(world: Any, answer: Any) -> None:
    """HubSpot switches paths by date."""
    on("/account-info/2026-09", answer, world)

    assert world.run(world.connector.identify()).id == "4242424"


def test_an_answer_that_names_no_portal_is_a_bad_reply(world: Any) -> None:
    """Nothing is pinned on a guess."""
    on("/account-info/", saying(200, {"portalId": "x"}), world)

    with pytest.raises(ReplyError):
        world.run(world.connector.identify())


def test_prepare_makes_what_is_missing_once(make_world: Any) -> None:
    """Both object types, our group, our marker unique; a second time nothing is made."""
    world = make_world()
    made = world.run(world.connector.prepare())

    assert "contact property accord_ref" in made
    assert "company property accord_m_plan" in made
    assert world.run(world.connector.prepare()) == []
    definition = world.call("GET", "/crm/properties/2026-09/companies/accord_ref")[1]
    assert (definition["hasUniqueValue"], definition["type"], definition["groupName"]) == (True, "string", "accord")


def test_prepare_survives_a_crash_half_way(make_world: Any) -> None:
    """The group is there, some properties are; another program makes one between our look and our write."""
    world = make_world()
    on("accord_m_plan", saying(500), world)
    world.call("POST", "/crm/properties/2026-09/contacts/groups", {"name": "accord", "label": "x"})
    seen = world.call("GET", "/crm/properties/2026-09/contacts")[1]
    body = {"name": "accord_ref", "label": "x", "type": "string", "fieldType": "text", "groupName": "accord"}
    world.call("POST", "/crm/properties/2026-09/contacts", body | {"hasUniqueValue": True})

    def stale(request: HttpRequest) -> HttpResponse:
        is_list = request.method == "GET" and request.url.endswith("contacts")
        return saying(200, seen)(request) if is_list else world.hubspot.respond(request)

    world.exchange = stale
    assert "contact property accord_ref" in world.run(world.connector.prepare())


def test_a_marker_that_is_not_unique_is_refused_with_the_cure(make_world: Any) -> None:
    """A repeated create would make a second object."""
    world = make_world()
    world.hubspot.edit("customer", None, {"name": "Ada", "extra": {"accord_ref": "typed by hand"}})

    with pytest.raises(RejectedError, match="delete that property"):
        world.run(world.connector.prepare())


def test_settings_that_nobody_knows_are_refused() -> None:
    """With the key, so that the cure is one edit."""
    with pytest.raises(ConfigError, match=r"crm\.distribution"):
        HubSpotConnector(ConnectionConfig("crm", "hubspot", {"distribution": "platinum"}), None, None)  # type: ignore[arg-type]  # neither is looked at before


def test_the_limits_are_those_of_the_access_token(make_world: Any) -> None:
    """A free account has a hundred calls in ten seconds."""
    assert make_world(distribution="free").connector.manifest.limits[0].calls == 100
    assert make_world().connector.manifest.limits[0].calls == 190


def test_without_a_token_nothing_is_called(world: Any) -> None:
    """And a person is told."""
    world.vault.values.clear()
    before = len(world.requests)

    with pytest.raises(ReauthorizeError):
        world.sweep()
    assert len(world.requests) == before


def test_a_revoked_token_asks_for_a_person(world: Any) -> None:
    """401 is not retried; a new token is used at once."""
    world.vault.values["access_token"] = "old"
    before = len(world.requests)
    with pytest.raises(ReauthorizeError):
        world.run(world.connector.identify())
    assert len(world.requests) == before + 1

    world.vault.values["access_token"] = world.hubspot.settings.access_token
    assert world.run(world.connector.identify()).id == "4242424"


# ---- sweeping ------------------------------------------------------------------------------------------


def test_a_full_sweep_sees_every_live_object_once(world: Any) -> None:
    """Contacts, then companies, a hundred at a time."""
    ids = {world.hubspot.edit("customer", None, {"name": f"C {number}"}) for number in range(150)}
    ids |= {world.hubspot.edit("customer", None, {"name": "Co", "customer_type": "company"}) for _ in range(101)}
    gone = ids.pop()
    world.hubspot.delete("customer", gone)

    pages = world.sweep()

    seen = [one.id for page in pages for one in page.sightings]
    assert (len(seen), set(seen)) == (250, ids)
    assert max(len(page.sightings) for page in pages) == 100
    assert pages[-1].cursor is None
    assert not any(page.cursor is None for page in pages[:-1])


def test_an_empty_account_is_an_empty_sweep(world: Any) -> None:
    """Two pages of nothing."""
    assert [list(page.sightings) for page in world.sweep()] == [[], []]


def test_a_digest_changes_with_the_object_and_only_then(world: Any) -> None:
    """The idle fast path: an unchanged object is not translated."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Ada", "email": "a@x.example"})
    first = world.see(remote_id)

    assert world.sweep()[0].sightings[0] == first
    world.hubspot.edit("customer", remote_id, {"phone": "1"})
    assert world.sweep()[0].sightings[0].digest != first.digest


@pytest.mark.parametrize("character", ["\0", "\ud800"])
def test_a_record_with_an_unstorable_character_stops_nobody(world: Any, character: str) -> None:
    """It becomes a failure row with its property named; its neighbours, even with odd but storable escapes, flow."""
    for name in ("Ada", "Bob", "Cy"):
        world.hubspot.edit("customer", None, {"name": name})

    def tampered(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        page = json.loads(answer.body)
        if "/contacts?" in request.url:
            page["results"][1]["properties"]["lastname"] = f"x{character}"
            page["results"][2]["properties"]["lastname"] = "Łódź"
        return HttpResponse(200, JSON, json.dumps(page).encode())

    world.exchange = tampered
    page = world.sweep()[0]

    assert [world.remote(one).fields["name"] for one in page.sightings] == ["Ada", "Cy Łódź"]
    (bad,) = page.bad
    assert (bad.field, bad.id.partition(":")[0]) == ("lastname", "contact")
    assert bad.raw.isascii()


@pytest.mark.parametrize(
    ("record", "remote_id", "field"),
    [
        ({"properties": {}}, "", None),
        ({"id": 7}, "", None),
        ({"id": "7", "archived": "no"}, "contact:7", None),
        (7, "", None),
        ({"id": "7", "url": "\0"}, "contact:7", None),
        ({"id": "\0"}, "", None),
        ({"id": "7x"}, "", None),
        ({"id": "7\n"}, "", None),
        ({"id": "7", "properties": {"a\0": "b"}}, "contact:7", None),
        ({"id": "7", "properties": {"a": ["\0"]}}, "contact:7", "a"),
        ({"id": "7", "properties": 7, "more": [{"x": "\0"}]}, "contact:7", None),
    ],
)
def test_a_record_of_no_shape_is_set_aside(world: Any, record: Any, remote_id: str, field: str | None) -> None:
    """The page goes on."""
    good = {"id": "8", "properties": {"firstname": "\u0142"}}
    on("/contacts?", saying(200, {"results": [record, good]}), world)

    page = world.sweep()[0]

    assert [(one.id, one.field) for one in page.bad] == [(remote_id, field)]
    assert [one.id for one in page.sightings] == ["contact:8"]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"results":7}', b'{"no":1}', b"\xff", b'{"results":[' + b"[" * 99_999]
)
def test_a_page_that_is_no_page_is_a_bad_reply(world: Any, body: bytes) -> None:
    """Nothing is passed over: the cursor stays."""
    on("/contacts?", saying(200, body), world)

    with pytest.raises(ReplyError):
        world.sweep()


def test_changes_begin_now_and_find_what_is_written_later(world: Any) -> None:
    """New and edited objects of both types, with the index's lag covered by the overlap."""
    old = world.hubspot.edit("customer", None, {"name": "Old"})
    world.clock.time += 3_600
    (start,) = world.sweep("changes")
    assert (start.is_last, list(start.changed)) == (True, [])

    world.clock.time += 60
    new = world.hubspot.edit("customer", None, {"name": "New"})
    company = world.hubspot.edit("customer", None, {"name": "Co", "customer_type": "company"})
    first = world.sweep("changes", start.cursor)
    assert not [one for page in first for one in page.changed]  # the index does not know yet

    world.clock.time += 30
    second = world.sweep("changes", first[-1].cursor)
    assert {one for page in second for one in page.changed} == {new, company}
    world.clock.time += 600
    third = world.sweep("changes", second[-1].cursor)
    fourth = world.sweep("changes", third[-1].cursor)
    assert not [one for page in fourth for one in page.changed]
    world.hubspot.edit("customer", old, {"phone": "1"})
    world.clock.time += 20
    assert [one for page in world.sweep("changes", fourth[-1].cursor) for one in page.changed] == [old]


def test_a_thousand_objects_with_one_stamp_are_all_found(world: Any) -> None:
    """An import stamps them alike: paging by time alone would turn in circles or skip; 10,000 results is the cap."""
    (start,) = world.sweep("changes")
    ids = {world.hubspot.edit("customer", None, {"name": f"A {number}"}) for number in range(1_000)}
    world.clock.time += 0.001
    ids |= {world.hubspot.edit("customer", None, {"name": f"B {number}"}) for number in range(250)}
    world.clock.time += 20

    pages = world.sweep("changes", start.cursor)

    assert {one for page in pages for one in page.changed} == ids
    assert max(len(page.changed) for page in pages) == 200
    assert len(pages) < 14


def short_pages(world: Any, size: int) -> None:
    """Pages of a search with fewer hits than were asked for, as where objects went since they were indexed."""

    def shortened(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        told = json.loads(answer.body)
        told["results"] = told["results"][:size] if told.get("paging") else told["results"]
        return HttpResponse(answer.status, answer.headers, json.dumps(told).encode())

    on("/search", shortened, world)


def test_a_search_goes_on_after_a_page_that_is_not_full(world: Any) -> None:
    """Only HubSpot knows whether more follows: a short page that was taken for the last one lost every change after."""
    (start,) = world.sweep("changes")
    ids = {world.hubspot.edit("customer", None, {"name": f"A {number}"}) for number in range(300)}
    world.clock.time += 0.001
    ids |= {world.hubspot.edit("customer", None, {"name": f"B {number}"}) for number in range(300)}
    world.clock.time += 20
    short_pages(world, 199)

    assert {one for page in world.sweep("changes", start.cursor) for one in page.changed} == ids


def test_a_search_that_goes_on_after_nothing_is_a_bad_reply(world: Any) -> None:
    """The cursor stays where it is: where it would go on nobody says."""
    (start,) = world.sweep("changes")
    for number in range(201):
        world.hubspot.edit("customer", None, {"name": f"A {number}"})
    world.clock.time += 20
    short_pages(world, 0)

    with pytest.raises(ReplyError):
        world.sweep("changes", start.cursor)


@pytest.mark.parametrize("stamp", ["1790000000123", "2026-09-21T14:13:20.123Z"])
def test_both_spellings_of_a_time_are_understood(world: Any, stamp: str) -> None:
    """Search returns ISO times; older properties are milliseconds."""
    (start,) = world.sweep("changes")
    hits = [{"id": str(number), "properties": {"lastmodifieddate": stamp}} for number in range(200)]
    on("/search", saying(200, {"results": hits}), world)

    page = world.run(world.connector.sweep("customer", "changes", start.cursor))

    assert json.loads(page.cursor)["at"] == 1_790_000_000_123


def test_a_hit_without_a_number_for_its_id_is_a_bad_reply(world: Any) -> None:
    """Its object was looked for under a name that no read takes, and failed for good; the cursor stays."""
    (start,) = world.sweep("changes")
    on("/search", saying(200, {"results": [{"id": "2026-11-18", "properties": {}}]}), world)

    with pytest.raises(ReplyError):
        world.sweep("changes", start.cursor)


def test_a_create_that_is_answered_without_a_number_is_in_doubt(world: Any) -> None:
    """The customer was tied to an object that no read can name."""

    def odd(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        told = json.loads(answer.body)
        told["results"] = [one | {"id": "x"} for one in told["results"]]
        return HttpResponse(answer.status, answer.headers, json.dumps(told).encode())

    on("/batch/", odd, world)
    body = {"type": "contact", "properties": {"firstname": "Ada", "accord_ref": "i.m.1"}}

    (receipt,) = world.run(world.connector.write([world.as_write("create", body)]))

    assert isinstance(receipt, AmbiguousError)


@pytest.mark.parametrize("stamp", ["yesterday", None, ""])
def test_an_odd_time_is_a_bad_reply(world: Any, stamp: Any) -> None:
    """The cursor stays where it is."""
    (start,) = world.sweep("changes")
    on("/search", saying(200, {"results": [{"id": "1", "properties": {"lastmodifieddate": stamp}}] * 200}), world)

    with pytest.raises(ReplyError):
        world.sweep("changes", start.cursor)


@pytest.mark.parametrize("mode", ["full", "changes"])
def test_a_cursor_that_is_none_of_ours_is_refused(world: Any, mode: str) -> None:
    """Rather than read from the start by accident."""
    with pytest.raises(InvalidInputError):
        world.sweep(mode, "nonsense")


def test_other_kinds_are_refused(world: Any) -> None:
    """Customers, and copies of invoices."""
    with pytest.raises(InvalidInputError):
        world.run(world.connector.sweep("payment", "full", None))


# ---- reading -------------------------------------------------------------------------------------------


def test_reads_are_batched_by_type(world: Any) -> None:
    """250 contacts and a company: four calls, and one for the parents of all companies."""
    ids = [world.hubspot.edit("customer", None, {"name": f"A{number}"}) for number in range(250)]
    ids.append(world.hubspot.edit("customer", None, {"name": "Co", "customer_type": "company"}))
    before = len(world.requests)

    found = world.run(world.connector.read("customer", [*ids, ids[0]]))

    assert set(found) == set(ids)
    assert all(isinstance(one, Sighting) for one in found.values())
    assert len(world.requests) - before == 5


def test_what_is_not_there_is_missing(world: Any) -> None:
    """Archived, or never there."""
    gone = world.hubspot.edit("customer", None, {"name": "Ada"})
    world.hubspot.delete("customer", gone)

    found = world.run(world.connector.read("customer", [gone, "company:99999"]))

    assert found == {gone: Missing(gone), "company:99999": Missing("company:99999")}


def test_what_was_merged_away_names_its_survivor(world: Any) -> None:
    """HubSpot answers with another object, of another id."""
    first, second = (world.hubspot.edit("customer", None, {"name": name}) for name in ("Ada", "Bob"))
    merged = world.hubspot.merge("customer", first, second)

    found = world.run(world.connector.read("customer", [first, second, merged]))

    assert (found[first], found[second]) == (Missing(first, merged), Missing(second, merged))
    assert isinstance(found[merged], Sighting)


def test_an_object_that_a_batch_forgets_is_asked_for_alone(world: Any) -> None:
    """Neither there nor said to be missing is not missing."""
    there = world.hubspot.edit("customer", None, {"name": "Ada"})
    gone, old = (world.hubspot.edit("customer", None, {"name": name}) for name in ("Bob", "Cy"))
    world.hubspot.delete("customer", gone)
    merged = world.hubspot.merge("customer", old, world.hubspot.edit("customer", None, {"name": "Di"}))
    on("/batch/read", saying(200, {"results": []}), world)

    found = world.run(world.connector.read("customer", [there, gone, old]))

    assert isinstance(found[there], Sighting)
    stranger = {"id": "1", "properties": {"hs_merged_object_ids": "2;3"}}
    on("/batch/read", saying(200, {"results": [stranger]}), world)
    assert world.run(world.connector.read("customer", [gone])) == {gone: Missing(gone)}
    assert (found[gone], found[old]) == (Missing(gone), Missing(old, merged))
    on("/batch/read", saying(404, {"category": "OBJECT_NOT_FOUND", "message": "none of them"}), world)
    assert world.run(world.connector.read("customer", [gone]))[gone] == Missing(gone)


def test_an_archived_object_is_missing_however_it_is_returned(world: Any) -> None:
    """Some answers include the recycle bin."""
    record = {"id": "7", "properties": {}, "archived": True}
    on("/batch/read", saying(200, {"results": [record]}), world)
    assert world.run(world.connector.read("customer", ["contact:7"])) == {"contact:7": Missing("contact:7")}

    def alone(request: HttpRequest) -> HttpResponse:
        return saying(200, {"results": []} if "/batch/read" in request.url else record)(request)

    world.exchange = alone
    assert world.run(world.connector.read("customer", ["contact:7"])) == {"contact:7": Missing("contact:7")}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (saying(500), RetryError),
        (saying(200, b"garbage"), ReplyError),
        (saying(207, {"results": [], "errors": [{"category": "INTERNAL", "message": "no"}]}), RejectedError),
        (saying(200, {"results": [{"no": "id"}]}), ReplyError),
        (raising(TimeoutError()), RetryError),
        (raising(ConnectionResetError()), RetryError),
    ],
)
def test_what_could_not_be_read_is_never_missing(world: Any, answer: Any, error: type[Exception]) -> None:
    """A failed look-up that fell through to "not found" once made duplicates."""
    on("/batch/read", answer, world)

    with pytest.raises(error):
        world.run(world.connector.read("customer", ["contact:7"]))


@pytest.mark.parametrize("remote_id", ["7", "deal:7", "contact:", "contact:x", "contact:٣", "contact:7/../8"])
def test_an_id_that_names_no_object_is_refused(world: Any, remote_id: str) -> None:
    """Nothing of it gets into a URL."""
    with pytest.raises(InvalidInputError):
        world.run(world.connector.read("customer", [remote_id]))


def test_a_short_failure_is_retried_within_the_call(world: Any) -> None:
    """A read may be repeated."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Ada"})
    left = [saying(503), saying(502)]

    def flaky(request: HttpRequest) -> HttpResponse:
        return left.pop()(request) if left else world.hubspot.respond(request)

    world.exchange = flaky
    assert world.see(remote_id).id == remote_id
    assert world.clock.slept > 0


def test_an_object_nobody_understands_is_still_a_sighting(world: Any) -> None:
    """The translator says what is wrong with it; its batch is not lost."""
    on("/batch/read", saying(200, {"results": [{"id": "7", "properties": 3}]}), world)

    seen = world.see("contact:7")

    with pytest.raises(ReplyError):
        world.translator.read(seen.raw)


# ---- finding -------------------------------------------------------------------------------------------


def test_an_object_is_found_by_our_marker_at_once(world: Any) -> None:
    """Before the search index knows it: that is what prevents the second create."""
    made = world.create({"name": "Acme", "customer_type": "company"}, "i.m.1")

    found = world.run(world.connector.find("customer", Probe(mark="i.m.1")))

    assert [one.id for one in found] == [made.sighting.id]
    assert world.run(world.connector.find("customer", Probe(mark="i.m.2"))) == []


def test_an_object_is_found_by_its_external_id_through_search(world: Any) -> None:
    """Fresh values, though search lags; all that carry it, of both types."""
    first = world.hubspot.edit("customer", None, {"name": "Ada", "external_id": "c-1"})
    second = world.hubspot.edit("customer", None, {"name": "Co", "customer_type": "company", "external_id": "c-1"})
    assert world.run(world.connector.find("customer", Probe(external_id="c-1"))) == []
    world.clock.time += 20
    world.hubspot.edit("customer", first, {"phone": "1"})

    found = world.run(world.connector.find("customer", Probe(mark="i.m.9", external_id="c-1")))

    assert [one.id for one in found] == [first, second]
    assert world.remote(found[0]).fields["phone"] == "1"


def test_a_contact_is_found_by_its_email_at_once(world: Any) -> None:
    """In any spelling."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Ada", "email": "ada@x.example"})

    found = world.run(world.connector.find("customer", Probe(external_id="c-9", unique={"email": " ADA@x.example"})))

    assert [one.id for one in found] == [remote_id]
    assert world.run(world.connector.find("customer", Probe(unique={"name": "Ada"}))) == []


def test_what_is_in_the_recycle_bin_is_found_by_our_marker_and_is_missing(world: Any) -> None:
    """On whichever page; an object that is there answers alone, and who does not ask for it pays for no listing."""
    for name in range(101):
        world.hubspot.delete("customer", world.hubspot.edit("customer", None, {"name": f"Old {name}"}))
    made = world.create({"name": "Acme", "customer_type": "company"}, "i.m.1")
    world.create({"name": "Ada"}, "i.m.2")
    world.hubspot.delete("customer", made.sighting.id)

    def found(**probe: Any) -> Any:
        world.requests.clear()
        return world.run(world.connector.find("customer", Probe(**probe)))

    assert found(mark="i.m.1", with_deleted=True) == [Missing(made.sighting.id)]
    assert sum("archived=true" in one.url for one in world.requests) == 3
    assert found(mark="i.m.1") == []
    assert found(mark="i.m.11", with_deleted=True) == []
    assert not isinstance(found(mark="i.m.2", with_deleted=True)[0], Missing)
    assert not any("archived=true" in one.url for one in world.requests)


def test_a_recycle_bin_that_cannot_be_read_is_not_an_empty_one(world: Any) -> None:
    """An empty answer here means: create."""
    on("archived=true", saying(502, {}), world)

    with pytest.raises(RetryError):
        world.run(world.connector.find("customer", Probe(mark="i.m.1", with_deleted=True)))


def test_a_live_object_in_the_listing_of_the_recycle_bin_is_not_missing(world: Any) -> None:
    """A server that knows no `archived` would list everybody."""
    listed = {"results": [{"id": "7", "properties": {"accord_ref": "i.m.1"}, "archived": False}]}
    on("archived=true", saying(200, listed), world)

    assert world.run(world.connector.find("customer", Probe(mark="i.m.1", with_deleted=True))) == []


def test_before_anything_is_prepared_nobody_carries_our_marker(make_world: Any) -> None:
    """HubSpot refuses to look for a property that is not there: then nothing has it. Any other refusal is raised."""
    world = make_world()
    world.hubspot.edit("customer", None, {"name": "Ada"})

    assert world.run(world.connector.find("customer", Probe(mark="i.m.1", external_id="c"))) == []
    world.run(world.connector.prepare())
    for path, probe in (("/batch/read", Probe(mark="i.m.1")), ("/search", Probe(external_id="c"))):
        on(path, saying(400, {"category": "VALIDATION_ERROR", "message": "no"}), world)
        with pytest.raises(RejectedError):
            world.run(world.connector.find("customer", probe))


# ---- writing -------------------------------------------------------------------------------------------


def test_a_create_is_one_call_that_returns_the_whole_object(world: Any) -> None:
    """HubSpot answers with what was written only: nothing else can be there yet."""
    before = len(world.requests)
    made = world.create(
        {"name": "Ada King", "email": "Ada@x.example", "metadata.plan": "pro"}, "i.m.1", external_id="c-1"
    )

    assert isinstance(made, Written)
    assert not made.is_replay
    seen = world.remote(made)
    assert (seen.fields["name"], seen.fields["email"], seen.fields["metadata.plan"]) == (
        "Ada King",
        "ada@x.example",
        "pro",
    )
    assert (seen.accord_ref, seen.external_id) == ("i.m.1", "c-1")
    # a contact has no parent, not even a blank one
    assert seen.fields.keys() == {*world.connector.manifest.fields, "metadata.plan", "metadata.Tier.x"} - {"parent"}
    assert [one.url.partition("/contacts")[2] for one in world.requests[before:]] == ["/batch/upsert"]
    assert made.sighting == world.see(made.sighting.id)
    assert world.hubspot.mutations[-1].request_key == "key-1"


def test_a_new_company_has_no_parent_and_says_so(world: Any) -> None:
    """Its parent is written apart, and a blank one is where that starts from."""
    made = world.create({"name": "ACME", "customer_type": "company"}, "i.m.1")

    assert world.remote(made).fields["parent"] is None
    assert world.remote(made) == world.remote(world.see(made.sighting.id))


def test_a_create_that_finds_its_marker_there_is_told_as_a_replay(world: Any) -> None:
    """Whatever the object has besides came from somewhere else: it is read, not presumed."""
    first = world.create({"name": "Ada"}, "i.m.1")
    world.hubspot.edit("customer", first.sighting.id, {"phone": "1"})

    second = world.create({"name": "Ada"}, "i.m.1")

    assert (second.is_replay, second.sighting.id) == (True, first.sighting.id)
    assert world.remote(second).fields["phone"] == "1"


def test_an_update_is_one_sparse_write(world: Any) -> None:
    """Another program's property stays as it is, and so does what was edited meanwhile."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1", "extra": {"jobtitle": "Boss"}})
    seen = world.see(remote_id)
    world.hubspot.edit("customer", remote_id, {"url": "https://new.example"})

    done = world.update(seen, {"phone": "2"})

    assert world.hubspot.mutations[-1].changed == {"phone": "2"}
    assert world.remote(done).fields["phone"] == "2"
    assert world.hubspot.neutral("customer")[remote_id]["url"] == "https://new.example"
    assert done.sighting.digest != world.see(remote_id).digest  # so that the edit is found as any other
    assert world.hubspot.objects("customer")[remote_id]["properties"]["jobtitle"] == "Boss"


def test_a_value_raced_by_a_person_is_recovered_from_history(world: Any) -> None:
    """HubSpot has no conditional write: what was overwritten between read and write must not vanish unseen."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1"})
    seen = world.see(remote_id)
    world.clock.time += 60
    world.hubspot.edit("customer", remote_id, {"phone": "typed meanwhile", "name": "Ada King"})
    world.clock.time += 1

    done = world.update(seen, {"phone": "2", "name": "Ada Lovelace"})

    assert world.overwritten() == {"phone": "typed meanwhile", "name": "Ada King"}
    assert b"propertiesWithHistory" not in done.sighting.raw
    assert done.sighting == world.see(remote_id)


def test_the_writes_own_answer_stands_even_if_somebody_writes_right_after(world: World) -> None:
    """The base is what this write did; the later edit is an edit, and is found as one."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1"})
    seen = world.see(remote_id)

    def raced(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        if "/batch/update" in request.url:
            world.hubspot.edit("customer", remote_id, {"phone": "3", "url": "u"})
        return answer

    world.exchange = raced
    done = world.update(seen, {"phone": "2"})

    assert world.remote(done).fields["phone"] == "2"
    assert world.overwritten() == {"phone": "1"}
    assert world.hubspot.neutral("customer")[remote_id]["phone"] == "3"


def test_half_a_name_is_never_joined_with_the_other_half_of_an_edit(world: World) -> None:
    """A name is two properties: an answer that has one of them would be read as a name that nobody wrote."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Bo King"})
    seen = world.see(remote_id)
    world.clock.time += 60

    def raced(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        if "/batch/update" in request.url:
            world.clock.time += 1
            world.hubspot.edit("customer", remote_id, {"name": "Cy Byron"})
        return answer

    world.exchange = raced
    done = world.update(seen, {"name": "Bo Lovelace"})

    assert world.remote(done).fields["name"] == "Bo Lovelace"
    assert world.overwritten() == {"name": "Bo King"}
    assert world.hubspot.neutral("customer")[remote_id]["name"] == "Cy Byron"


def test_half_a_name_edited_before_a_write_is_overwritten_whole_and_told(world: Any) -> None:
    """The first name alone was edited after the read: "Cy Lovelace" is nobody's wish."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Al Stone"})
    world.clock.time += 60
    world.hubspot.edit("customer", remote_id, {"name": "Bo King"})
    seen = world.see(remote_id)
    world.clock.time += 60
    world.hubspot.edit("customer", remote_id, {"name": "Cy King"})
    world.clock.time += 1

    world.update(seen, {"name": "Bo Lovelace"})

    assert world.overwritten() == {"name": "Cy King"}
    assert world.hubspot.neutral("customer")[remote_id]["name"] == "Bo Lovelace"


def test_a_repeated_create_never_overwrites(world: Any) -> None:
    """The first answer was lost; a person has edited since; a blind upsert would put the old name back."""
    wanted = Wanted(fields={"name": "Ada", "email": "a@x.example"}, mark="i.m.1")
    write = world.as_write("create", world.translator.patch(wanted, None).body)
    on("/batch/upsert", raising(TimeoutError(), world), world)
    (first,) = world.run(world.connector.write([write]))
    assert isinstance(first, AmbiguousError)
    world.exchange = None
    (remote_id,) = world.hubspot.objects("customer")
    world.hubspot.edit("customer", remote_id, {"name": "Ada King"})

    (second,) = world.run(world.connector.write([msgspec.structs.replace(write, is_repeat=True)]))

    assert (second.is_replay, second.sighting.id) == (True, remote_id)
    assert world.remote(second).fields["name"] == "Ada King"
    assert len(writes_of(world)) == 1


def test_one_taken_email_fails_one_create_of_the_batch(world: Any) -> None:
    """With who has it; the other two are made."""
    holder = world.hubspot.edit("customer", None, {"name": "Old", "email": "a@x.example"})
    bodies = [
        world.translator.patch(Wanted(fields={"name": "N", "email": email}, mark=f"i.m.{number}"), None).body
        for number, email in enumerate(["b@x.example", "a@x.example", "c@x.example"])
    ]

    receipts = world.run(world.connector.write([world.as_write("create", body) for body in bodies]))

    assert [type(one) for one in receipts] == [Written, TakenError, Written]
    assert (receipts[1].field, receipts[1].remote_id) == ("email", holder)
    assert len(writes_of(world)) == 2


def test_creates_and_updates_of_both_types_go_in_one_call_of_write(world: Any) -> None:
    """Receipts come in the order of the writes."""
    ids = [
        world.hubspot.edit("customer", None, {"name": "Ada"}),
        world.hubspot.edit("customer", None, {"name": "Co", "customer_type": "company"}),
    ]
    updates = [
        world.as_write("update", world.translator.patch(Wanted(fields={"phone": "1"}), world.see(one).raw).body, one)
        for one in ids
    ]
    wanted = Wanted(fields={"name": "New", "customer_type": "company"}, mark="i.m.1")
    create = world.as_write("create", world.translator.patch(wanted, None).body)
    gone = world.as_write("update", {"type": "contact", "properties": {"phone": "1"}}, "contact:99999")
    odd = world.as_write("update", {"properties": {}}, ids[0])

    receipts = world.run(world.connector.write([create, updates[1], gone, odd, updates[0]]))

    assert [type(one) for one in receipts] == [Written, Written, GoneError, RejectedError, Written]
    assert (receipts[1].sighting.id, receipts[4].sighting.id) == (ids[1], ids[0])


def test_a_batch_refused_whole_is_halved_until_the_culprit_is_alone(world: World) -> None:
    """HubSpot may refuse a whole batch for one input: the ninety-nine others must not wait for a person."""
    ids = [world.hubspot.edit("customer", None, {"name": f"A{number}"}) for number in range(8)]

    def strict(request: HttpRequest) -> HttpResponse:
        if "/batch/update" in request.url and b'"poison"' in request.body:
            return saying(400, {"category": "VALIDATION_ERROR", "message": "poison"})(request)
        return world.hubspot.respond(request)

    world.exchange = strict
    writes = [
        world.as_write("update", {"type": "contact", "properties": {"phone": "poison" if number == 5 else "1"}}, one)
        for number, one in enumerate(ids)
    ]
    receipts = world.run(world.connector.write(writes))

    assert [type(one) for one in receipts] == [Written] * 5 + [RejectedError] + [Written] * 2


@pytest.mark.parametrize("action", ["create", "update"])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (raising(TimeoutError()), AmbiguousError),
        (raising(ConnectionResetError()), AmbiguousError),
        (raising(ConnectionRefusedError()), RetryError),
        (saying(500), AmbiguousError),
        (saying(503, b"<html>"), AmbiguousError),
        (saying(200, b'{"results": [{"id'), AmbiguousError),
        (saying(200, {"results": []}), AmbiguousError),
        (saying(207, {"results": [], "errors": [{"message": "untraced", "category": "CONFLICT"}]}), AmbiguousError),
        (saying(423, {"message": "locked"}), RetryError),
        (saying(429, {"policyName": "SECONDLY"}), RetryError),
        (saying(401, {"message": "no"}), ReauthorizeError),
        (saying(403, {"message": "no"}), ReauthorizeError),
    ],
)
def test_a_failed_write_says_whether_it_may_have_happened(
    world: Any, action: str, fault: Any, error: type[Exception]
) -> None:
    """And is sent exactly once: repeating is the intents' business."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Ada"})
    seen = world.see(remote_id)
    on("/batch/upsert" if action == "create" else "/batch/update", fault, world)
    world.requests.clear()

    receipt = world.create({"name": "B"}, "i.m.1") if action == "create" else world.update(seen, {"phone": "1"})

    assert type(receipt) is error
    assert len([one for one in world.requests if "/batch/up" in one.url]) == 1


@pytest.mark.parametrize("action", ["create", "update"])
@pytest.mark.parametrize(
    ("category", "error"),
    [("INTERNAL", AmbiguousError), ("RATE_LIMITS", RetryError), ("VALIDATION_ERROR", RejectedError)],
)
def test_one_failure_in_a_batch_is_a_refusal_only_where_hubspot_says_so(
    world: Any, action: str, category: str, error: type[Exception]
) -> None:
    """What was taken for refused, and had happened, would be made a second time under another marker."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada"}))

    def failing(request: HttpRequest) -> HttpResponse:
        (one,) = json.loads(request.body)["inputs"]
        told = {"category": category, "message": "no", "context": {"objectWriteTraceId": [one["objectWriteTraceId"]]}}
        return saying(207, {"results": [], "errors": [told]})(request)

    on("/batch/upsert" if action == "create" else "/batch/update", failing, world)

    receipt = world.create({"name": "B"}, "i.m.1") if action == "create" else world.update(seen, {"phone": "1"})

    assert type(receipt) is error


@pytest.mark.parametrize(("fault", "error"), [(saying(500), AmbiguousError), (saying(401, {}), AmbiguousError)])
def test_a_write_that_cannot_be_read_back_may_have_happened(world: Any, fault: Any, error: type[Exception]) -> None:
    """It has; but what it made of the object is unknown."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada"}))
    on("/batch/read", fault, world)

    assert type(world.update(seen, {"phone": "1"}, is_known=False)) is error
    assert len(writes_of(world)) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (saying(500), RetryError),
        (saying(200, b"garbage"), RetryError),
        (saying(401, {}), ReauthorizeError),
        (saying(400, {"message": "no"}), RetryError),
    ],
)
def test_a_repeated_create_whose_look_up_failed_was_not_sent(world: Any, fault: Any, error: type[Exception]) -> None:
    """Not found is not the same as not read: nothing is created on a guess."""
    on("/batch/read", fault, world)

    assert type(world.create({"name": "Ada"}, "i.m.1", is_repeat=True)) is error
    assert not writes_of(world)


def test_a_create_without_a_marker_is_refused(world: Any) -> None:
    """It could not be repeated after a lost answer."""
    write = world.as_write("create", world.translator.patch(Wanted(fields={"name": "Ada"}), None).body)

    (receipt,) = world.run(world.connector.write([write]))

    assert type(receipt) is RejectedError
    assert not writes_of(world)


def test_answers_without_trace_ids_are_matched_by_what_they_carry(world: World) -> None:
    """A create by its marker, an update by its id."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada"}))

    def untraced(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        if "/batch/up" not in request.url:
            return answer
        body = json.loads(answer.body)
        for one in body["results"]:
            del one["objectWriteTraceId"]
        return HttpResponse(answer.status, answer.headers, json.dumps(body).encode())

    world.exchange = untraced

    assert isinstance(world.create({"name": "Bob"}, "i.m.1"), Written)
    assert isinstance(world.update(seen, {"phone": "1"}), Written)


def test_a_trace_id_that_is_none_of_ours_is_no_receipt(world: Any) -> None:
    """The write it should have answered stays unclear."""
    result = {"id": "7", "properties": {}, "objectWriteTraceId": "somebody-elses"}
    on("/batch/upsert", saying(200, {"results": [result]}), world)

    assert type(world.create({"name": "Ada"}, "i.m.1")) is AmbiguousError


def test_a_history_without_our_version_tells_nothing(world: Any) -> None:
    """HubSpot keeps a limited number of versions: better no overwritten value than a wrong one."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1"}))

    def shortened(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        body = json.loads(answer.body)
        if "/batch/read" in request.url:
            body["results"][0]["propertiesWithHistory"] = {"phone": [{"value": "9"}]}
        return HttpResponse(answer.status, answer.headers, json.dumps(body).encode())

    world.exchange = shortened
    world.update(seen, {"phone": "2"})

    assert world.overwritten() == {}


def test_a_write_to_a_merged_away_object_reaches_its_survivor(world: Any) -> None:
    """The receipt has the survivor's id, so that the mapping can follow."""
    first, second = (world.hubspot.edit("customer", None, {"name": name}) for name in ("Ada", "Bob"))
    seen = world.see(first)
    merged = world.hubspot.merge("customer", first, second)

    done = world.update(seen, {"phone": "1"})

    assert done.sighting.id == merged


def test_a_hundred_updates_of_objects_just_read_are_one_write(world: Any) -> None:
    """What the answer does not tell was read a moment ago; what was replaced is asked for later, fifty at a time."""
    ids = [world.hubspot.edit("customer", None, {"name": f"A{number}"}) for number in range(100)]
    seen = world.run(world.connector.read("customer", ids))
    body = {"type": "contact", "properties": {"phone": "1"}}
    writes = [msgspec.structs.replace(world.as_write("update", body, one), current=seen[one].raw) for one in ids]
    world.requests.clear()

    receipts = world.run(world.connector.write(writes))

    assert len(world.requests) == 1
    assert {one.id: one for one in (one.sighting for one in receipts)} == world.run(
        world.connector.read("customer", ids)
    )

    world.requests.clear()
    past = [Past(remote_id=one, body=body, stamp=told.stamp) for one, told in zip(ids, receipts, strict=True)]
    told = world.run(world.connector.recall("customer", past))

    assert len(world.requests) == 2
    assert {name: one.now for name, one in told.items()} == world.run(world.connector.read("customer", ids))
    assert all(not one.overwritten.get("phone") for one in told.values())


def test_an_update_of_an_object_that_was_not_read_reads_it_back(world: Any) -> None:
    """As whoever writes without a look needs it: a complete answer."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada", "url": "u"}))

    done = world.update(seen, {"phone": "1"}, is_known=False)

    assert done.sighting == world.see(seen.id)
    assert done.stamp


def test_what_a_write_replaced_is_told_after_later_edits_too(world: Any) -> None:
    """The same value was typed again since: what the person replaced by that is no loss of anybody's."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1"}))
    world.clock.time += 60
    world.hubspot.edit("customer", seen.id, {"phone": "raced"})
    world.clock.time += 1
    world.update(seen, {"phone": "2", "name": "Bo"})
    for phone in ("later", "2", "latest"):
        world.clock.time += 1800
        world.hubspot.edit("customer", seen.id, {"phone": phone})

    assert world.overwritten() == {"phone": "raced", "name": "Ada"}


def test_a_value_that_was_there_already_replaced_nothing(world: Any) -> None:
    """Such a write makes no version: the one with its value is older, and what that replaced is long past."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1"}))
    world.clock.time += 3600
    world.hubspot.edit("customer", seen.id, {"phone": "2"})
    world.clock.time += 3600
    world.update(seen, {"phone": "2"})

    assert world.overwritten() == {}


@pytest.mark.parametrize("stamp", ["", "yesterday"])
def test_a_history_with_odd_times_tells_nothing(world: Any, stamp: str) -> None:
    """Which version is whose cannot be said."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1"}))
    world.update(seen, {"phone": "2"})
    world.past = msgspec.structs.replace(world.past, stamp=stamp)

    assert world.overwritten() == {}


def test_an_object_that_is_gone_has_no_past(world: Any) -> None:
    """It is told as missing, as by any read."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada"}))
    world.update(seen, {"phone": "2"})
    world.hubspot.delete("customer", seen.id)

    assert world.run(world.connector.recall("customer", [world.past])) == {seen.id: Recalled(Missing(seen.id))}


def test_objects_are_read_even_if_their_history_is_refused(world: World) -> None:
    """Whatever HubSpot has against it, they must not stay unread."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1"}))
    world.update(seen, {"phone": "2"})

    def refused(request: HttpRequest) -> HttpResponse:
        if b"propertiesWithHistory" in (request.body or b""):
            return HttpResponse(400, {"content-type": "application/json"}, b'{"message":"no history"}')
        return world.hubspot.respond(request)

    world.exchange = refused
    assert world.past is not None
    told = world.run(world.connector.recall("customer", [world.past]))[seen.id]
    assert isinstance(told.now, Sighting)
    assert (world.remote(told.now).fields["phone"], told.overwritten) == ("2", {})


@pytest.mark.parametrize("half", [b"\xff", b"\\ud83d"])
def test_an_object_with_half_a_letter_in_its_history_is_handed_on(world: Any, half: bytes) -> None:
    """Who looks at it says what is wrong; it was taken for a bug of Accord's."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1"}))
    world.update(seen, {"phone": "2"})

    def halved(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        return HttpResponse(answer.status, answer.headers, answer.body.replace(b"Ada", half))

    world.exchange = halved
    told = world.run(world.connector.recall("customer", [world.past]))[seen.id]
    assert told.overwritten == {}
    assert half in told.now.raw


@pytest.mark.parametrize("odd", [{"properties": "x"}, {"properties": None}])
def test_an_object_without_properties_is_read_with_its_history(world: Any, odd: Any) -> None:
    """It is handed on, and who looks at it says what is wrong: it was taken for a bug of Accord's."""
    seen = world.see(world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1"}))
    world.update(seen, {"phone": "2"})

    def told(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        page = json.loads(answer.body)
        page["results"] = [one | odd for one in page.get("results", ())]
        return HttpResponse(answer.status, answer.headers, json.dumps(page).encode())

    on("batch/read", told, world)
    found = world.run(world.connector.recall("customer", [world.past]))[seen.id]
    assert (found.now.id, found.overwritten) == (seen.id, {})


HALF = b"\\ud83d"
"""Half a surrogate pair, escaped: JSON may carry it, and no database stores it."""


@pytest.mark.parametrize("kind", ["contact", "company"])
def test_an_object_with_half_a_letter_does_not_block_its_batch(world: Any, kind: str) -> None:
    """Its bytes are handed on, and that field is held; it kept the whole connection from being read."""
    whole = {"customer_type": "company"} if kind == "company" else {}
    odd, good = (world.hubspot.edit("customer", None, {"name": name, **whole}) for name in ("ODD", "Good"))

    def halved(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        return HttpResponse(answer.status, answer.headers, answer.body.replace(b"ODD", HALF))

    world.exchange = halved
    found = world.run(world.connector.read("customer", [odd, good]))
    assert world.remote(found[good]).fields["name"] == "Good"
    told = world.remote(found[odd])
    assert "name" not in told.fields
    assert "parent" not in told.fields  # nothing was asked about it, so that nothing is said
    seen = found[good]
    world.hubspot.edit("customer", good, {"name": "ODD"})
    assert type(world.update(seen, {"phone": "2"}, is_known=False)) is AmbiguousError


# ---- limits and transport ------------------------------------------------------------------------------


def test_the_published_limits_are_kept_without_a_single_429(make_world: Any) -> None:
    """190 in ten seconds and five searches a second, before HubSpot has to say so."""
    world = make_world(HubSpotSettings(enforce_limits=True))

    async def hurry() -> None:
        for _ in range(400):
            await world.connector.identify()
        cursor = (await world.connector.sweep("customer", "changes", None)).cursor
        for _ in range(20):
            await world.connector.sweep("customer", "changes", cursor)

    started = world.clock.now()
    world.run(hurry())

    assert world.clock.now() - started >= 20


def test_what_one_account_has_used_up_slows_no_other_account_down(make_world: Any) -> None:
    """A limit that all accounts share makes every company wait for the busiest: 190 calls are all of ten seconds."""
    busy, other = (make_world(HubSpotSettings(enforce_limits=True)) for _ in range(2))

    async def used_up() -> None:
        for _ in range(189):
            await busy.connector.identify()

    busy.run(used_up())
    busy.exchange = saying(429, {"policyName": "DAILY", "message": "enough"})
    (receipt,) = busy.run(busy.connector.write([busy.as_write("update", {"type": "contact", "properties": {}}, "1")]))
    assert isinstance(receipt, RetryError)
    slept = other.clock.slept
    other.run(other.connector.identify())

    assert other.clock.slept == slept


def test_a_smaller_window_than_configured_is_learned_before_it_is_passed(make_world: Callable[..., World]) -> None:
    """A free account's token, configured as a Pro one: HubSpot says so with its first answer."""
    world = make_world(HubSpotSettings(enforce_limits=True, burst=100))
    statuses: list[int] = []

    def watched(request: HttpRequest) -> HttpResponse:
        answer = world.hubspot.respond(request)
        statuses.append(answer.status)
        return answer

    async def hurry() -> None:
        for _ in range(250):
            await world.connector.identify()

    world.exchange = watched
    started = world.clock.now()
    world.run(hurry())

    assert statuses == [200] * 250
    assert world.clock.now() - started >= 20


def test_after_a_429_the_whole_connection_is_silent_for_the_documented_time(world: Any) -> None:
    """Another program of the account has used the allowance up."""
    left = [saying(429, {"policyName": "TEN_SECONDLY_ROLLING"})]

    def busy(request: HttpRequest) -> HttpResponse:
        return left.pop()(request) if left else world.hubspot.respond(request)

    world.exchange = busy
    with pytest.raises(RetryError) as raised:
        world.run(world.connector.identify())
    assert raised.value.retry_after == 10
    at = world.clock.now()
    world.sweep()
    assert world.clock.now() - at >= 10


def test_time_passes_and_crashes_strike_around_each_exchange(world: Any, clock: Any) -> None:
    """The simulation's hook: before and after, once each."""
    paused = []

    async def pause() -> None:
        paused.append(len(world.requests))

    async def here(call: Any) -> Any:
        return call()

    shell = Shell(clock, here, exchange=world._exchange, pause=pause)
    connector = PROVIDER.build(world.config, world.vault, shell)
    before = len(world.requests)
    world.run(connector.identify())

    assert paused == [before, before + 1]


def test_real_sockets_are_kept_alive_and_carry_what_the_sdk_built(world: Any, clock: Any) -> None:
    """Over loopback HTTP: one connection for several calls; a refused connection was never sent."""
    connections, seen = set(), []

    class Echo(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            connections.add(self.client_address)
            seen.append(HttpRequest(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            body = b'{"portalId": 7, "accountType": "SANDBOX"}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.send_header("set-cookie", "a=b")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    async def here(call: Any) -> Any:
        return call()

    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        config = ConnectionConfig("crm", "hubspot", {"base_url": url})
        connector = PROVIDER.build(config, world.vault, Shell(clock, here))
        accounts = [world.run(connector.identify()) for _ in range(3)]
        world.run(connector.aclose())
        server.shutdown()
        thread.join()
    assert [one.id for one in accounts] == ["7"] * 3
    assert len(connections) == 1
    assert all(one.headers["authorization"].startswith("Bearer pat-") for one in seen)
    assert not any("cookie" in one.headers for one in seen)
    with pytest.raises(RetryError, match=f"no answer from {url.rstrip('/')}: ConnectionError"):
        world.run(connector.identify())
    write = world.as_write("update", {"type": "contact", "properties": {"phone": "1"}}, "contact:7")
    (receipt,) = world.run(connector.write([write]))
    assert type(receipt) is RetryError


@pytest.mark.parametrize("token", ["pat-eu1-\u2022\u2022", "pat-eu1\n-x"])
def test_a_token_with_a_letter_that_no_token_has_is_a_persons_to_correct(world: Any, clock: Any, token: str) -> None:
    """Copied as a page shows it; nothing was sent, so that a write is not in doubt."""

    async def here(call: Any) -> Any:
        return call()

    world.vault.values["access_token"] = token
    config = ConnectionConfig("crm", "hubspot", {"base_url": "http://127.0.0.1:9"})
    connector = PROVIDER.build(config, world.vault, Shell(clock, here))
    with pytest.raises(ReauthorizeError, match="the access token holds a character") as caught:
        world.run(connector.identify())
    assert "pat" not in str(caught.value)
    write = world.as_write("update", {"type": "contact", "properties": {"phone": "1"}}, "contact:7")
    assert type(world.run(connector.write([write]))[0]) is ReauthorizeError


def test_importing_the_connector_imports_no_sdk() -> None:
    """The command line must start quickly; the SDK is loaded when a connection is built."""
    code = (
        "import sys, connectors.hubspot.connector; "
        "sys.exit(' '.join({'hubspot', 'requests', 'httpx'} & set(sys.modules)) or 0)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr.strip()) == (0, "")


# ---- archiving ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("customer_type", ["individual", "company"])
def test_an_archived_object_is_in_the_recycle_bin_and_a_repeat_does_nothing(world: Any, customer_type: str) -> None:
    """HubSpot answers the same to whoever archives what is not there."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Ada", "customer_type": customer_type})
    write = world.as_write("archive", world.connector.farewell(world.see(remote_id).raw), remote_id)

    assert world.run(world.connector.archive(write)) == Missing(remote_id)
    assert world.run(world.connector.archive(write)) == Missing(remote_id)
    assert [one.action for one in writes_of(world)] == ["archive"]
    world.hubspot.restore("customer", remote_id)
    assert world.see(remote_id).id == remote_id


def test_an_archiving_that_nobody_answers_is_in_doubt(world: Any) -> None:
    """It may be in the recycle bin by now."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Ada"})
    on("/contacts/", saying(502, b"<html>"), world)

    with pytest.raises(AmbiguousError):
        world.run(world.connector.archive(world.as_write("archive", {}, remote_id)))
