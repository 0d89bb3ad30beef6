"""The look-alike is as strict as Acme's documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.connectors.acme.conftest import World

WEBHOOKS = "https://accord.test/webhooks/acme"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/customers", 404),
        ("DELETE", "/v1/customers/cus_1", 404),
        ("GET", "/v1/customers/cus_1", 404),
        ("GET", "/v1/customers?limit=101", 400),
        ("GET", "/v1/customers?limit=x", 400),
        ("GET", "/v1/customers?cursor=x", 400),
        ("GET", "/v1/customers?name=Ada", 400),
        ("GET", "/v1/customers?updated_since=yesterday", 400),
    ],
)
def test_what_the_api_does_not_know_is_refused(world: World, method: str, path: str, status: int) -> None:
    """A typing mistake must not pass here and fail at the provider."""
    assert world.call(method, path)[0] == status


@pytest.mark.parametrize(
    "body",
    [
        {"name": "Ada", "shoe_size": "40"},
        {"name": " "},
        {"phone": "1"},
        {"name": 5},
        {"name": "x" * 201},
        {"name": "Ada", "email": "nobody"},
        {"name": "Ada", "address": "Berlin"},
        {"name": "Ada", "address": {"planet": "Mars"}},
        {"name": "Ada", "address": {"country": "Germany"}},
        {"name": "Ada", "address": {"line1": "x" * 201}},
        {"name": "Ada", "attributes": []},
        {"name": "Ada", "attributes": {"k" * 41: "x"}},
        {"name": "Ada", "attributes": {"plan": 1}},
        {"name": "Ada", "attributes": {"plan": "x" * 501}},
    ],
)
def test_what_a_customer_cannot_hold_is_refused(world: World, body: Any) -> None:
    """And nothing is made."""
    assert world.call("POST", "/v1/customers", body)[0] == 422
    assert not world.lookalike.objects("customer")


def test_a_body_that_is_no_object_is_refused(world: World) -> None:
    """Whatever it is."""
    assert {world.call("POST", "/v1/customers", body)[0] for body in (b"", b"[]", b"\xff")} == {400}


def test_another_key_opens_nothing(world: World) -> None:
    """Nor does none."""
    assert world.call("GET", "/v1/account", authorization="Bearer other")[0] == 401


def test_limits_are_enforced_when_asked_for(world: World) -> None:
    """The eleventh call of a second; the next second is another one."""
    world.change(enforce_limits=True)
    assert [world.call("GET", "/v1/account")[0] for _ in range(11)] == [200] * 10 + [429]
    world.clock.time += 1.01
    assert world.call("GET", "/v1/account")[0] == 200


def test_a_key_gives_the_first_answer_for_a_day(world: World) -> None:
    """With another body it is refused; a day later it makes a second customer."""
    body = {"name": "Ada"}
    made = world.call("POST", "/v1/customers", body, idempotency_key="k")[1]
    assert world.call("POST", "/v1/customers", body, idempotency_key="k")[1] == made
    assert world.call("POST", "/v1/customers", {"name": "Eve"}, idempotency_key="k")[0] == 422
    world.clock.time += 86_401
    assert world.call("POST", "/v1/customers", body, idempotency_key="k")[1]["id"] != made["id"]


def test_an_external_id_is_somebodys_alone(world: World) -> None:
    """Live customers only."""
    first = world.lookalike.edit("customer", None, {"name": "Ada", "external_id": "A-1"})
    assert world.call("POST", "/v1/customers", {"name": "Eve", "external_id": "A-1"})[0] == 409
    world.lookalike.delete("customer", first)
    assert world.call("POST", "/v1/customers", {"name": "Eve", "external_id": "A-1"})[0] == 201


def test_an_update_needs_the_version_that_is_there(world: World) -> None:
    """One that changes nothing leaves it as it is."""
    path = f"/v1/customers/{world.lookalike.edit('customer', None, {'name': 'Ada', 'metadata.plan': 'pro'})}"
    assert world.call("PATCH", path, {"phone": "1"})[0] == 428
    assert world.call("PATCH", path, {"phone": "1"}, if_match="2")[0] == 412
    assert world.call("PATCH", path, {"name": "Ada"}, if_match="1")[1]["version"] == "1"
    changed = world.call("PATCH", path, {"attributes": {"plan": None, "seats": "5"}}, if_match="1")[1]
    assert (changed["version"], changed["attributes"]) == ("2", {"seats": "5"})


def test_people_and_programs_are_told_apart(world: World) -> None:
    """By what the tests look at to count writes."""
    seen = world.made()
    world.lookalike.edit("customer", seen.id, {"url": "https://ada.test", "extra": {"notes": "x"}})
    world.lookalike.edit("customer", seen.id, {})
    world.lookalike.delete("customer", seen.id)
    told = [(one.caller, one.action, bool(one.changed)) for one in world.lookalike.mutations]
    assert told == [
        ("accord", "create", True),
        ("person", "update", True),
        ("person", "update", False),
        ("person", "delete", False),
    ]
    with pytest.raises(KeyError):
        world.lookalike.objects("invoice")
    with pytest.raises(KeyError):
        world.lookalike.edit("customer", None, {"timezone": "UTC"})


def test_a_delivery_comes_again_until_it_is_taken(world: World) -> None:
    """The same event each time; given up in the end."""
    world.lookalike.edit("customer", None, {"name": "Ada"})
    assert list(world.lookalike.due_webhooks(world.clock.time)) == []
    world.change(webhook_url=WEBHOOKS)
    ids = set()
    for attempt in range(1, 6):
        (one,) = world.lookalike.due_webhooks(world.clock.time)
        assert (one.attempt, one.delivery.url) == (attempt, WEBHOOKS)
        assert list(world.lookalike.due_webhooks(world.clock.time)) == []
        ids.add(json.loads(one.delivery.body)["id"])
        world.lookalike.webhook_answered(one.id, None, world.clock.time)
        world.clock.time += 21_600
    assert len(ids) == 1
    assert list(world.lookalike.due_webhooks(world.clock.time)) == []
    world.lookalike.webhook_answered(ids.pop(), 200, world.clock.time)


def test_a_delivery_that_was_taken_does_not_come_again(world: World) -> None:
    """2xx ends it."""
    world.change(webhook_url=WEBHOOKS)
    world.made()
    (one,) = world.lookalike.due_webhooks(world.clock.time)
    world.lookalike.webhook_answered(one.id, 204, world.clock.time)
    world.clock.time += 100_000
    assert list(world.lookalike.due_webhooks(world.clock.time)) == []
