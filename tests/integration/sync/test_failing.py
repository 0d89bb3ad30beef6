"""When a record is given up: after so many failures of its own, and not before."""

from __future__ import annotations

import json
from functools import partial

import pytest

from core.errors import AmbiguousError, RetryError
from core.ports import HttpRequest, HttpResponse
from core.store import connections, failures, inbox, work
from core.store.database import Tx
from core.store.failures import Failure
from core.store.inbox import Letter
from core.store.work import DirtyRow
from core.sync.failing import Trouble, record_trouble
from tests.support.acting import change, everybody, failing, mapped
from tests.support.world import World

pytestmark = pytest.mark.anyio
SUBJECT = "m:somebody"
BROKEN = Trouble(AmbiguousError("the connection broke"))


def mark(world: World) -> None:
    """Somebody names it."""
    world.db.run_now(lambda tx: work.mark(tx, "stripe", [SUBJECT], reason="test", trace="t", now=0.0))


def waiting(tx: Tx) -> DirtyRow | None:
    """Its row, while it has one."""
    return work.of_subjects(tx, "stripe", [SUBJECT]).get(SUBJECT)


def fail(world: World, trouble: Trouble = BROKEN) -> Failure:
    """It fails once more; how that stands."""

    def work_on(tx: Tx) -> Failure:
        row = waiting(tx)
        assert row is not None
        record_trouble(tx, world.hub, world.hub.connections["stripe"], {row: trouble})
        return failures.known(tx, "stripe", [SUBJECT])[SUBJECT]

    return world.db.run_now(work_on)


async def test_what_fails_again_and_again_is_given_up_and_waits_for_a_person() -> None:
    """Eight times, at ever longer intervals; then it stands as dead, and nothing looks at it."""
    world = World()
    mark(world)
    now, times = world.clock.now(), world.timing.attempts_before_dead
    told = [fail(world) for _ in range(times - 1)]
    assert {one.state for one in told} == {"retrying"}
    assert [one.next_at for one in told] == [now + 2**number for number in range(times - 1)]
    last = fail(world)
    assert (last.state, last.attempts, last.next_at) == ("dead", times, None)
    assert world.db.read_now(waiting) is None


async def test_what_waited_for_long_is_not_given_up_for_its_first_failure() -> None:
    """A copy was looked at for days while its customer was nobody's: the first broken connection ended it."""
    world = World()
    mark(world)
    for _ in range(50):
        world.db.run_now(lambda tx: work.postpone(tx, "stripe", {SUBJECT: 0.0}, reason="its customer is not there"))
    first = fail(world)
    assert (first.state, first.next_at) == ("retrying", world.clock.now() + 1)
    assert world.db.read_now(waiting) is not None


async def test_waits_that_the_provider_asks_for_are_no_attempts() -> None:
    """However often it says so."""
    world = World()
    mark(world)
    asked = [fail(world, Trouble(RetryError("busy", retry_after=30.0))) for _ in range(20)]
    assert {(one.state, one.next_at) for one in asked} == {("retrying", world.clock.now() + 30)}
    assert fail(world).state == "retrying"


async def test_what_was_given_up_and_is_named_again_begins_anew() -> None:
    """A person retries it, or its webhook comes: one more failure is the first one."""
    world = World()
    mark(world)
    for _ in range(world.timing.attempts_before_dead):
        fail(world)
    mark(world)
    assert fail(world).state == "retrying"


async def test_an_outage_is_asked_about_less_and_less_often_also_while_webhooks_come_in() -> None:
    """Each delivery counted as an answer of the provider's, and the next pause was a short one again."""
    world = World()
    ada = world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    asked: list[float] = []

    def away(_request: HttpRequest) -> HttpResponse:
        asked.append(world.clock.now())
        raise ConnectionRefusedError

    world.exchanges["stripe"] = away
    for number in range(720):
        world.clock.time += 10.0
        body = {"object": "event", "id": f"evt_{number}", "type": "customer.updated", "created": 1}
        body |= {"data": {"object": {"id": ada, "object": "customer"}}}
        letter = Letter(
            connection="stripe",
            dedupe_key=f"evt_{number}",
            body=json.dumps(body).encode(),
            received_at=world.clock.now(),
        )
        world.db.run_now(partial(inbox.add, letters=[letter]))
        await world.lanes.run("stripe")
    assert len([one for one in asked if one > world.clock.now() - 3600.0]) <= 9


async def two_hours(world: World, *names: str) -> None:
    """Their lanes look once a minute."""
    for _ in range(120):
        world.clock.time += 61
        for name in names:
            await world.lanes.run(name)


async def test_an_update_that_hubspot_fails_at_is_sent_less_and_less_often() -> None:
    """Each look told that nothing had landed, and it was sent again at once: once a minute, without an end."""
    world = World()
    ada = world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    through, sent = world.exchanges["hubspot"], []

    def failing_at_it(request: HttpRequest) -> HttpResponse:
        if not request.url.endswith("/batch/update"):
            return through(request)
        sent.append(world.clock.now())
        keys = [one["objectWriteTraceId"] for one in json.loads(request.body)["inputs"]]
        error = {"status": "error", "category": "INTERNAL", "message": "odd", "context": {"objectWriteTraceId": keys}}
        told = {"status": "COMPLETE", "results": [], "numErrors": 1, "errors": [error]}
        return HttpResponse(207, {"content-type": "application/json"}, json.dumps(told).encode())

    world.exchanges["hubspot"] = failing_at_it
    world.lookalikes["stripe"].edit("customer", ada, {"phone": "+49301111111"})
    await two_hours(world, "stripe", "hubspot")
    assert len([one for one in sent if one > world.clock.now() - 3600.0]) <= 3
    (told,) = failing(world)
    assert "INTERNAL" in told.message
    world.exchanges["hubspot"] = through
    await world.settle(patience=7200.0)
    assert [one["phone"] for one in world.neutral("hubspot").values()] == ["+49301111111"]
    assert failing(world) == []


async def test_a_create_that_stripe_fails_at_is_sent_less_and_less_often() -> None:
    """Four tries under a key, a look that finds nothing, and four more at once: sixty in an hour, without an end."""
    world = World()
    await world.activate_all()
    through, sent = world.exchanges["stripe"], []

    def failing_at_it(request: HttpRequest) -> HttpResponse:
        if request.method != "POST" or not request.url.endswith("/v1/customers"):
            return through(request)
        sent.append(world.clock.now())
        return HttpResponse(500, {}, b"")

    world.exchanges["stripe"] = failing_at_it
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await two_hours(world, "hubspot", "stripe")
    assert len([one for one in sent if one > world.clock.now() - 3600.0]) <= 8
    (told,) = failing(world)
    assert (told.code, told.state) == ("ambiguous", "retrying")
    world.exchanges["stripe"] = through
    await world.settle(patience=7200.0)
    assert ([one["name"] for one in world.neutral("stripe").values()], failing(world)) == (["Ada"], [])


async def test_an_address_that_hubspot_does_not_know_is_the_connections_trouble() -> None:
    """A version that is no more, or a proxy: each record failed for itself, and all were dead after eight tries."""
    world = World()
    ada = world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    through = world.exchanges["hubspot"]

    def no_address(request: HttpRequest) -> HttpResponse:
        if not request.url.endswith("/batch/update"):
            return through(request)
        told = {"status": "error", "message": "resource not found", "correlationId": "c"}
        return HttpResponse(404, {"content-type": "application/json"}, json.dumps(told).encode())

    world.exchanges["hubspot"] = no_address
    world.lookalikes["stripe"].edit("customer", ada, {"phone": "+49301111111"})
    for _ in range(60):
        world.clock.time += 61
        for name in ("stripe", "hubspot"):
            await world.lanes.run(name)
    assert failing(world) == []
    state = world.db.read_now(lambda tx: connections.get(tx, "hubspot"))
    assert "knows no such path" in state.error
    world.exchanges["hubspot"] = through
    await world.settle(patience=7200.0)
    assert [one["phone"] for one in world.neutral("hubspot").values()] == ["+49301111111"]
    assert world.db.read_now(lambda tx: connections.get(tx, "hubspot")).error == ""


@pytest.mark.parametrize("is_written", [True, False])
async def test_an_object_that_was_given_up_stands_as_failed_no_more_once_its_customer_is_in_order(
    *, is_written: bool
) -> None:
    """It failed by its webhook, and was mended by its customer: the failure was told for ever."""
    world = World()
    ada = world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    subject = work.remote_subject(ada)
    world.db.run_now(lambda tx: work.mark(tx, "stripe", [subject], reason="webhook", trace="t", now=0.0))

    def fail_once(tx: Tx) -> None:
        (row,) = work.of_subjects(tx, "stripe", [subject]).values()
        record_trouble(tx, world.hub, world.hub.connections["stripe"], {row: BROKEN})

    for _ in range(world.timing.attempts_before_dead):
        world.db.run_now(fail_once)
    assert [(one.subject, one.state) for one in failing(world)] == [(subject, "dead")]
    if is_written:
        (one,) = everybody(world)
        await change(world, one.external_id, phone="+49301111111")
    else:
        (row,) = mapped(world, "stripe")
        mine = [work.mapping_subject(row.id)]
        world.db.run_now(lambda tx: work.mark(tx, "stripe", mine, reason="test", trace="t", now=0.0))
        await world.settle()
    assert failing(world) == []
