"""One object whose read is refused for good is its own trouble: nobody else at its connection waits for it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from core.ports import HttpRequest, HttpResponse
from core.store import connections, work
from tests.support.acting import all_day, change_only, everybody, failing
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

STRIPE = {"error": {"type": "invalid_request_error", "message": "Invalid id"}}
HUBSPOT = {"status": "error", "category": "VALIDATION_ERROR", "message": "Invalid input JSON: no such id can be"}
QUICKBOOKS = {"Fault": {"Error": [{"Message": "Invalid Id", "code": "2030", "Detail": "x"}], "type": "ValidationFault"}}
PHONE = "+1 415 555 0100"
REFUSALS: dict[str, dict[str, Any]] = {"stripe": STRIPE, "hubspot": HUBSPOT, "quickbooks": QUICKBOOKS}


async def two_customers() -> World:
    """In agreement everywhere."""
    world = World()
    for name in ("Ada", "Bob"):
        world.lookalikes["stripe"].edit("customer", None, {"name": name, "email": f"{name}@example.test".lower()})
    await world.activate_all()
    return world


def id_of(world: World, name: str, who: str) -> str:
    """Whose object it is at a look-alike."""
    return next(one for one, fields in world.neutral(name).items() if fields["name"] == who)


def is_read_of(request: HttpRequest, remote_id: str) -> bool:
    """Whether a request reads this object, alone or with others."""
    number = remote_id.rpartition(":")[2]
    if request.method == "POST":
        inputs = json.loads(request.body).get("inputs", ()) if request.url.endswith("/batch/read") else ()
        return number in [one["id"] for one in inputs]
    told = request.url.partition("?")
    return told[0].endswith(f"/{number}") or f"%27{number}%27" in told[2]


def refuse(world: World, name: str, remote_id: str, status: int, told: object) -> None:
    """From now on, whatever reads this object is answered so."""
    inner = world.exchanges[name]

    def exchange(request: HttpRequest) -> HttpResponse:
        if is_read_of(request, remote_id):
            return HttpResponse(status, {"content-type": "application/json"}, json.dumps(told).encode())
        return inner(request)

    world.exchanges[name] = exchange


def edit_both(world: World, name: str, phone: str) -> None:
    """What only a read at `name` carries on: an edit there, of both, which its own feed tells."""
    for one in world.neutral(name):
        world.lookalikes[name].edit("customer", one, {"phone": phone})


@pytest.mark.parametrize("name", NAMES)
async def test_an_object_whose_read_is_refused_stops_nobody_else(name: str) -> None:
    """One id that the provider takes for nonsense paused the whole connection, again and again."""
    world = await two_customers()
    bad = id_of(world, name, "Ada")
    refuse(world, name, bad, 400, REFUSALS[name])
    edit_both(world, name, PHONE)
    for one in everybody(world):
        change_only(world, one.external_id, email=f"{one.fields['name']}.new@example.test".lower())
    await world.next_sweep()
    assert {one.fields["name"]: one.fields.get("phone") for one in everybody(world)}["Bob"] == PHONE
    assert world.neutral(name)[id_of(world, name, "Bob")]["email"] == "bob.new@example.test"
    row = world.db.read_now(lambda tx: connections.get(tx, name))
    assert (row.error, row.paused_until) == ("", None)
    (told,) = failing(world)
    assert (told.connection, told.code) == (name, "rejected")


@pytest.mark.parametrize("odd", [{}, 7, {"id": "evt_1", "created": 1}])
async def test_an_entry_that_names_nothing_is_told_until_a_listing_does_not_show_it(odd: object) -> None:
    """It was looked for under no name at all, which is the list of all, and stood as failed for ever."""
    world = await two_customers()
    inner, left = world.exchanges["stripe"], [1]

    def exchange(request: HttpRequest) -> HttpResponse:
        answer = inner(request)
        told = json.loads(answer.body)
        if "/v1/events" in request.url and left and told["data"]:
            left.pop()
            return replace(answer, body=json.dumps({**told, "data": [odd]}).encode())
        return answer

    world.exchanges["stripe"] = exchange
    edit_both(world, "stripe", PHONE)
    await world.next_sweep()
    assert [one.message for one in failing(world)] == ["the event names no customer"]
    await all_day(world)
    assert failing(world) == []
    assert {one["phone"] for one in world.neutral("hubspot").values()} == {PHONE}


async def test_an_object_that_hubspot_fails_at_stops_nobody_else() -> None:
    """One input of a batch fails again and again, in words that no list names; the others of the batch are answered."""
    world = await two_customers()
    bad = id_of(world, "hubspot", "Ada").rpartition(":")[2]
    inner = world.exchanges["hubspot"]

    def exchange(request: HttpRequest) -> HttpResponse:
        if not is_read_of(request, bad):
            return inner(request)
        asked = json.loads(request.body)
        asked["inputs"].remove({"id": bad})
        told = json.loads(inner(replace(request, body=json.dumps(asked).encode())).body) if asked["inputs"] else {}
        failed = {"status": "error", "category": "INTERNAL", "message": "no", "context": {"ids": [bad]}}
        body = {"results": [], **told, "errors": [failed]}
        return HttpResponse(207, {"content-type": "application/json"}, json.dumps(body).encode())

    world.exchanges["hubspot"] = exchange
    edit_both(world, "hubspot", PHONE)
    await world.next_sweep()
    assert {one.fields["name"]: one.fields.get("phone") for one in everybody(world)} == {"Ada": None, "Bob": PHONE}
    row = world.db.read_now(lambda tx: connections.get(tx, "hubspot"))
    assert (row.error, row.paused_until) == ("", None)
    (told,) = failing(world)
    assert (told.connection, told.code) == ("hubspot", "rejected")


async def test_an_object_whose_read_is_refused_stops_nobody_when_there_is_more_to_read_of_everybody() -> None:
    """A key was new in `metadata_keys`: the look at everybody was begun anew, for ever, and nothing else was done."""
    world = await two_customers()
    bad = id_of(world, "hubspot", "Ada")
    refuse(world, "hubspot", bad, 400, HUBSPOT)
    more = replace(world.config.connections["hubspot"], metadata_keys=("tier",))
    world.config = replace(world.config, connections={**world.config.connections, "hubspot": more})
    world.start()
    for one in everybody(world):
        change_only(world, one.external_id, email=f"{one.fields['name']}.new@example.test".lower())
    await hours(world, 1)
    assert world.neutral("hubspot")[id_of(world, "hubspot", "Bob")]["email"] == "bob.new@example.test"
    row = world.db.read_now(lambda tx: connections.get(tx, "hubspot"))
    assert (row.error, row.paused_until) == ("", None)
    assert {(one.connection, one.code) for one in failing(world)} == {("hubspot", "rejected")}


READS = {
    "stripe": lambda one: one.method == "GET" and "/customers" in one.url,
    "hubspot": lambda one: one.url.endswith("/batch/read") or (one.method == "GET" and "/crm/objects" in one.url),
    "quickbooks": lambda one: one.method == "GET" and "/companyinfo" not in one.url,
}
"""Whatever shows a customer."""


def refuse_all(world: World, name: str) -> list[float]:
    """From now on, no customer is shown, as of a version of the API that was retired; when each call was made."""
    inner, told, asked = world.exchanges[name], json.dumps(REFUSALS[name]).encode(), list[float]()

    def exchange(request: HttpRequest) -> HttpResponse:
        asked.append(world.clock.now())
        return HttpResponse(400, {}, told) if READS[name](request) else inner(request)

    world.exchanges[name] = exchange
    return asked


async def hours(world: World, number: int) -> None:
    """Every lane looks once in a minute."""
    for _ in range(number * 60):
        world.clock.time += 60.0
        for name in NAMES:
            await world.lanes.run(name)


@pytest.mark.parametrize("name", NAMES)
async def test_where_every_read_is_refused_the_connection_waits_and_no_record_is_given_up(name: str) -> None:
    """Each died by itself, one after the other, and had to be retried by a person when reads were answered again."""
    world = World()
    for number in range(5):
        person = {"name": f"Ada {number}", "email": f"ada{number}@example.test"}
        world.lookalikes["stripe"].edit("customer", None, person)
    await world.activate_all()
    answering, asked = world.exchanges[name], refuse_all(world, name)
    edit_both(world, name, PHONE)
    from_now = world.clock.now()
    mark_all(world, name)
    await hours(world, 6)
    assert failing(world) == []
    row = world.db.read_now(lambda tx: connections.get(tx, name))
    assert (row.state, row.error_code, row.paused_until is None) == ("active", "all_refused", False)
    assert str(REFUSALS[name]["message"] if name == "hubspot" else "Invalid") in row.error
    assert len([one for one in asked if one > from_now + 3600.0]) < 6 * 12
    world.exchanges[name] = answering
    await hours(world, 2)
    assert {one.fields["phone"] for one in everybody(world)} == {PHONE}
    assert {one["phone"] for other in NAMES for one in world.neutral(other).values()} == {PHONE}
    row = world.db.read_now(lambda tx: connections.get(tx, name))
    assert (row.error, row.error_code, row.paused_until) == ("", "", None)


async def test_records_that_are_bad_by_themselves_stop_no_connection_though_nothing_else_is_read() -> None:
    """All that waits is refused; what was read before is answered, so each of them is its own trouble."""
    world = World()
    for number in range(8):
        person = {"name": f"Ada {number}", "email": f"ada{number}@example.test"}
        world.lookalikes["stripe"].edit("customer", None, person)
    await world.activate_all()
    bad = list(world.neutral("stripe"))[:5]
    for one in bad:
        refuse(world, "stripe", one, 400, STRIPE)
    subjects, now = [work.remote_subject(one) for one in bad], world.clock.now()
    world.db.run_now(lambda tx: work.mark(tx, "stripe", subjects, reason="webhook", trace="t", now=now))
    await hours(world, 1)
    assert {(one.connection, one.state) for one in failing(world)} == {("stripe", "dead")}
    assert len(failing(world)) == 5
    row = world.db.read_now(lambda tx: connections.get(tx, "stripe"))
    assert (row.error, row.paused_until) == ("", None)


def mark_all(world: World, name: str) -> None:
    """A webhook named each of them."""
    ids, now = [work.remote_subject(one) for one in world.neutral(name)], world.clock.now()
    world.db.run_now(lambda tx: work.mark(tx, name, ids, reason="webhook", trace="t", now=now))
