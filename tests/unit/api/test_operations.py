"""Connections, plans, one-offs, holds, failures and the inbox, as an operator uses them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.ports import HttpResponse
from core.store import connections, failures, work
from core.sync.oneoffs import ask
from core.sync.rounds import ask_for_changes
from tests.support import deliveries
from tests.support.paper import bill, shown
from tests.support.receiver import Receiver
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

FAILED = failures.Failure(
    connection="stripe", subject="r:cus_odd", code="bad_record", message="no JSON", state="dead", first_at=1, last_at=1
)  # fmt: skip


async def test_a_connection_is_activated_by_the_plan_that_was_seen(api: httpx.AsyncClient, world: World) -> None:
    """Not by an older one, and not twice."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    early = await api.get("/v1/connections/stripe/plan")
    assert (early.status_code, early.json()["field"]) == (422, "connection")
    await world.settle()
    plan = (await api.get("/v1/connections/stripe/plan")).json()
    assert (plan["counts"], plan["total_items"]) == ({"enter": 1}, 1)
    stale = await api.post("/v1/connections/stripe/activate", json={"digest": "0" * 24})
    assert (stale.status_code, stale.json()["field"]) == (422, "plan")
    done = await api.post("/v1/connections/stripe/activate", json={"digest": plan["digest"]})
    assert done.status_code == 200
    again = await api.post("/v1/connections/stripe/activate", json={"digest": plan["digest"]})
    assert again.status_code == 422
    rows = {one["connection"]: one for one in (await api.get("/v1/connections")).json()["data"]}
    assert {name: one["state"] for name, one in rows.items()} == {
        "stripe": "active",
        "hubspot": "observing",
        "quickbooks": "observing",
    }
    assert rows["stripe"]["last_full_sweep"].endswith("Z")


async def test_a_plan_tells_of_documents_too(api: httpx.AsyncClient, world: World) -> None:
    """How many and how much; the digest that activates is that of this plan, and its copies are made."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all("stripe")
    bill(world, issued_on="2026-11-18")
    await world.next_sweep()
    assert (await api.get("/v1/connections/stripe/plan")).json()["documents"] is None
    plan = (await api.get("/v1/connections/hubspot/plan")).json()
    (one,) = plan["documents"]["sums"]
    assert one == {
        "kind": "invoice", "outcome": "create", "reason": "", "currency": "USD", "number": 1, "amount": "119.00"
    }  # fmt: skip
    assert [some["amount"] for some in plan["documents"]["examples"]] == ["119.00"]
    done = await api.post("/v1/connections/hubspot/activate", json={"digest": plan["digest"]})
    assert done.status_code == 200
    await world.settle()
    assert len(shown(world, "hubspot")) == 1
    assert (await api.get("/v1/connections/hubspot/plan")).json()["documents"]["sums"] == []


async def test_what_is_not_there_is_not_found(api: httpx.AsyncClient) -> None:
    """Each with its own problem document that names what there is."""
    for method, path, body in (
        ("GET", "/v1/customers/nobody", None),
        ("GET", "/v1/customers/nobody/explain", None),
        ("GET", "/v1/connections/stripe-us/plan", None),
        ("POST", "/v1/connections/stripe-us/activate", {"digest": "x"}),
        ("POST", "/v1/syncs", {"connection": "stripe-us", "what": "full"}),
        ("GET", "/v1/syncs/none", None),
        ("POST", "/v1/holds/none/answer", {"choice": "accept"}),
        ("POST", "/v1/failures/retry", {"connection": "stripe-us"}),
        ("POST", "/v1/changes/1/undo", None),
    ):
        answer = await api.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
        assert answer.json()["cure"], path
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_route_that_is_not_there_is_a_problem_too(api: httpx.AsyncClient) -> None:
    """Programs read every error the same way."""
    missing, wrong = await api.get("/v1/nothing"), await api.put("/v1/customers")
    assert (missing.status_code, missing.json()["code"]) == (404, "no_route")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"]


async def test_a_one_off_runs_in_its_lane(api: httpx.AsyncClient, world: World) -> None:
    """Asked for here, done by the lane, looked up here."""
    await world.settle()
    asked = await api.post("/v1/syncs", json={"connection": "stripe", "what": "changes"})
    assert (asked.status_code, asked.json()["state"]) == (202, "new")
    await world.settle()
    assert (await api.get(f"/v1/syncs/{asked.json()['id']}")).json()["state"] == "done"
    # archived between the request and its turn
    unknown = await ask(world.hub, "stripe", {"what": "customers", "external_ids": ["nobody"]})
    await world.settle()
    failed = (await api.get(f"/v1/syncs/{unknown}")).json()
    assert (failed["state"], "nobody" in failed["error"]) == ("failed", True)
    for body in ({"what": "everything"}, {"what": "customers"}, {"what": "full", "fast": True}):
        assert (await api.post("/v1/syncs", json={"connection": "stripe", **body})).status_code == 422


async def test_documents_are_asked_for_by_kind(api: httpx.AsyncClient, world: World) -> None:
    """As `accord sync --kind` does; what the lane would refuse is refused at once."""
    await world.activate_all()
    asked = await api.post("/v1/syncs", json={"connection": "stripe", "what": "documents", "kinds": ["invoice"]})
    assert (asked.status_code, asked.json()["kinds"]) == (202, ["invoice"])
    every = await api.post("/v1/syncs", json={"connection": "stripe", "what": "documents"})
    assert "payment" in every.json()["kinds"]
    await world.settle()
    for one in (asked, every):
        assert (await api.get(f"/v1/syncs/{one.json()['id']}")).json()["state"] == "done"
    unknown = {"connection": "stripe", "what": "documents", "external_ids": ["nobody"]}
    assert (await api.post("/v1/syncs", json=unknown)).status_code == 404
    for body in (
        {"what": "full", "kinds": ["invoice"]}, {"what": "documents", "kinds": ["quote"]},
    ):  # fmt: skip
        assert (await api.post("/v1/syncs", json={"connection": "stripe", **body})).status_code == 422


async def test_a_hold_is_shown_and_answered(api: httpx.AsyncClient, world: World) -> None:
    """With its choices in words; an answer to values that have changed since is refused."""
    for number in range(2):
        world.lookalikes["stripe"].edit("customer", None, {"name": f"Twin {number}", "email": "twin@example.test"})
    world.lookalikes["hubspot"].edit("customer", None, {"name": "Twin", "email": "twin@example.test"})
    await world.activate_all()
    held = (await api.get("/v1/holds", params={"reason": "ambiguous_match"})).json()
    assert len(held["data"]) == held["total"]
    assert (await api.get("/v1/holds", params={"reason": "conflict"})).json() == {"data": [], "total": 0}
    assert (await api.get("/v1/holds", params={"connection": "quickbooks"})).json()["total"] == 0
    hold = held["data"][0]
    assert "create" in hold["choices"]
    assert hold["text"]
    answer = f"/v1/holds/{hold['id']}/answer"
    assert (await api.post(answer, json={"choice": "guess"})).json()["field"] == "choice"
    assert (await api.post(answer, json={"choice": "leave", "digest": "old"})).json()["field"] == "digest"
    given = await api.post(answer, json={"choice": "leave", "digest": hold["digest"]})
    assert (given.json()["state"], given.json()["actor"]) == ("answered", "api")
    late = await api.post(answer, json={"choice": "leave"})
    assert (late.status_code, "already" in late.json()["problem"]) == (422, True)
    assert (await api.get("/v1/holds", params={"external_customer_id": "nobody"})).status_code == 404


async def test_a_customer_whose_object_is_gone_is_archived_by_an_answer(api: httpx.AsyncClient, world: World) -> None:
    """The choice is named where there is a customer to end."""
    stripe = world.lookalikes["stripe"]
    remote_id = stripe.edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    stripe.delete("customer", remote_id)
    world.clock.time += 86_500
    await world.settle()
    (hold,) = (await api.get("/v1/holds", params={"reason": "remote_gone"})).json()["data"]
    assert hold["choices"] == ["recreate", "unlink", "archive"]
    given = await api.post(f"/v1/holds/{hold['id']}/answer", json={"choice": "archive", "digest": hold["digest"]})
    assert (given.json()["state"], given.json()["answer"]) == ("answered", "archive")
    assert (await api.get("/v1/customers")).json()["data"] == []


async def test_a_total_is_of_what_the_filters_let_through_and_openapi_says_so(
    api: httpx.AsyncClient, world: World
) -> None:
    """A program that pages by it would ask for rows that never come."""
    for number in range(2):
        world.lookalikes["stripe"].edit("customer", None, {"name": f"Twin {number}", "email": "twin@example.test"})
    await world.activate_all()
    asked = {"connection": "stripe", "limit": "1"}
    held = (await api.get("/v1/holds", params=asked)).json()
    assert (len(held["data"]), held["total"]) == (1, 2)
    assert (await api.get("/v1/holds", params={**asked, "connection": "hubspot"})).json()["total"] == 0
    schemas = (await api.get("/openapi.json")).json()["components"]["schemas"]
    for name in ("Holds", "Failures"):
        assert "that the filters let through" in schemas[name]["properties"]["total"]["description"]


async def test_failures_are_listed_and_retried(api: httpx.AsyncClient, world: World) -> None:
    """Nothing fails in a quiet world; a retry says how much it looks at."""
    await world.activate_all()
    assert (await api.get("/v1/failures", params={"state": "dead"})).json() == {"data": [], "total": 0, "waiting": []}
    assert (await api.post("/v1/failures/retry", json={"connection": "stripe"})).json() == {"retried": 0}
    mistyped = await api.post("/v1/failures/retry", json={"connection": "stripe", "subjects": ["m:nobody"]})
    assert (mistyped.status_code, mistyped.json()["field"]) == (404, "subjects")
    assert (await api.get("/v1/failures", params={"state": "alive"})).status_code == 422


async def test_the_inbox_shows_what_nobody_understood(api: httpx.AsyncClient, world: World, receiver: Receiver) -> None:
    """Authentic, and of no shape we know: kept, shown, in nobody's way."""
    now = world.clock.now()
    strange = deliveries.quickbooks(1, now)
    body = b'[{"id": "1", "type": "qbo.customer.updated.v1"}]'
    headers = {"intuit-signature": deliveries.quickbooks_signature(body)}
    assert await receiver.post("/webhooks/quickbooks", body, headers) == 200
    assert await receiver.post("/webhooks/quickbooks", strange.body, strange.headers) == 200
    await world.settle()
    shown = (await api.get("/v1/inbox")).json()
    counts = {(one["connection"], one["state"]): one["deliveries"] for one in shown["counts"]}
    assert counts == {("quickbooks", "poison"): 1, ("quickbooks", "done"): 1}
    assert "customer" in shown["poison"][0]["problem"]
    last = {one["connection"]: one["received_at"] for one in shown["last"]}
    assert {name for name, came in last.items() if came is None} == {"stripe", "hubspot"}, "they have told nothing yet"
    assert datetime.fromisoformat(last["quickbooks"]).timestamp() == pytest.approx(now, abs=1)


async def test_an_object_s_id_of_any_length_is_no_bug(api: httpx.AsyncClient, world: World, receiver: Receiver) -> None:
    """It went into a look-up, failed as a bug of ours, and every other delivery beside it with it."""
    now = world.clock.now()
    event = {"id": "e" * 100_000, "type": "customer.updated", "data": {"object": {"id": "c" * 100_000}}}
    odd = deliveries.signed("stripe", json.dumps(event).encode(), now)
    good = deliveries.stripe(1, now)
    for one in (odd, good):
        assert await receiver.post("/webhooks/stripe", one.body, one.headers) == 200
    await world.settle()
    shown = (await api.get("/v1/inbox")).json()
    counts = {(one["connection"], one["state"]): one["deliveries"] for one in shown["counts"]}
    assert counts == {("stripe", "poison"): 1, ("stripe", "done"): 1}
    assert shown["poison"][0]["problem"] == ("it names an object by an id of 100000 letters; no id has more than 255")
    assert (await api.get("/v1/failures")).json()["total"] == 0


async def test_metrics_tell_every_connection(api: httpx.AsyncClient, world: World) -> None:
    """In Prometheus' own format, which its own parser reads."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    answer = await api.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    mapped = {sample.labels["connection"]: sample.value for sample in families["accord_mappings"].samples}
    assert mapped == dict.fromkeys(NAMES, 1)
    written = {
        sample.labels["connection"]: sample.value
        for sample in families["accord_lane_records"].samples
        if sample.labels["what"] == "written"
    }
    assert written == {"stripe": 0, "hubspot": 1, "quickbooks": 1}
    for name in ("accord_ready", "accord_customers", "accord_in_doubt", "accord_last_full_sweep_age_seconds"):
        assert name in families


async def test_what_waits_and_why_is_told_and_measured(api: httpx.AsyncClient, world: World) -> None:
    """Nobody reads the log at night; and an alarm for what was taken out of accord.toml would never end."""
    await world.activate_all()
    now = world.clock.now()
    says = {"rests": "full", "rests_until": now + 3600.0}
    trouble = {"error": "it is down", "error_code": "retry", "paused_until": now + 60.0}
    world.db.run_now(lambda tx: connections.change(tx, "hubspot", **says, **trouble))
    world.db.run_now(lambda tx: connections.ensure(tx, "old", "stripe"))
    world.db.run_now(lambda tx: connections.change(tx, "old", state="reauthorize"))
    given_up = [msgspec.structs.replace(FAILED, connection=name) for name in ("old", "hubspot")]
    world.db.run_now(lambda tx: failures.record(tx, given_up))
    shown = {one["connection"]: one for one in (await api.get("/v1/connections")).json()["data"]}
    assert (shown["hubspot"]["rest"]["sweeps"], shown["hubspot"]["error_code"]) == ("full", "retry")
    assert shown["stripe"]["rest"] is None
    assert shown["stripe"]["changes_every"] >= world.timing.changes_every
    told = await _measured(api)
    rests = {(one["connection"], one["sweeps"]) for one, value in told["accord_sweeps_rest"] if value}
    assert rests == {("hubspot", "full")}
    assert told["accord_paused_seconds"] == [({"connection": "hubspot", "code": "retry"}, 60.0)]
    assert {one["connection"] for one, _ in told["accord_changes_every_seconds"]} == set(NAMES)
    assert {one["connection"] for one, _ in told["accord_connection_state"]} == set(NAMES)
    assert {one["connection"]: value for one, value in told["accord_dead"] if value or one["connection"] == "old"} == {
        "hubspot": 1.0
    }
    (calls,) = [value for one, value in told["accord_allowance_calls"] if one["connection"] == "stripe"]
    assert calls == shown["stripe"]["allowances"][0]["calls"]


async def test_how_old_is_what_was_read_is_measured_while_a_provider_is_down(
    api: httpx.AsyncClient, world: World
) -> None:
    """Asked for and not ended, the last sweep counted as none: an outage silenced its own alarm."""
    await world.activate_all()
    await world.next_sweep()
    before = world.clock.now()
    world.exchanges["hubspot"] = lambda _request: HttpResponse(status=503, headers={}, body=b"")
    for _ in range(60):
        world.clock.time += 61.0
        await ask_for_changes(world.hub)
        await world.lanes.run("hubspot")
    await ask(world.hub, "hubspot", {"what": "full"})
    world.start()
    world.clock.time += 3600.0
    await world.lanes.run("hubspot")
    told = await _measured(api)
    for name in ("accord_last_changes_age_seconds", "accord_last_full_sweep_age_seconds"):
        (age,) = [value for one, value in told[name] if one["connection"] == "hubspot"]
        assert age >= world.clock.now() - before, name
    (shown,) = [one for one in (await api.get("/v1/connections")).json()["data"] if one["connection"] == "hubspot"]
    assert shown["last_changes"] < datetime.fromtimestamp(before + 1, UTC).isoformat()


async def _measured(api: httpx.AsyncClient) -> dict[str, list[tuple[dict[str, str], float]]]:
    answer = await api.get("/metrics")
    families = text_string_to_metric_families(answer.text)
    return {one.name: [(sample.labels, sample.value) for sample in one.samples] for one in families}


async def test_a_sync_that_is_asked_for_takes_nothing_off_the_lanes_counter(
    api: httpx.AsyncClient, world: World
) -> None:
    """It began at 0 with every one-off: monitoring read each as a restart, and its rates were of nothing."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    await world.activate_all()
    before = await _lane_records(api)
    asked = (await api.post("/v1/syncs", json={"connection": "hubspot", "what": "full"})).json()
    await world.settle()
    after = await _lane_records(api)
    assert before["hubspot", "written"] == 1
    assert all(after[name] >= before[name] for name in before)
    result = (await api.get(f"/v1/syncs/{asked['id']}")).json()
    assert (result["result"]["looked"] > 0, result["result"]["written"]) == (True, 0)


async def _lane_records(api: httpx.AsyncClient) -> dict[tuple[str, str], float]:
    answer = await api.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    return {
        (sample.labels["connection"], sample.labels["what"]): sample.value
        for sample in families["accord_lane_records"].samples
        if sample.name.endswith("_total")
    }


@pytest.mark.parametrize(
    ("body", "field", "told"),
    [
        (b'{"connection": ', "body", "is no JSON"),
        (b'{"connection": 7, "what": "full"}', "connection", "limit: a string"),
        (b"[]", "body", "limit: an object"),
    ],
)
async def test_a_body_that_is_wrong_says_where_and_what_to_do(
    api: httpx.AsyncClient, body: bytes, field: str, told: str
) -> None:
    """The place in the bytes was called the field."""
    answer = await api.post("/v1/syncs", content=body, headers={"content-type": "application/json"})
    found = answer.json()
    assert (answer.status_code, found["field"]) == (422, field)
    assert told in found["detail"]
    assert found["cure"] in found["detail"]


@pytest.mark.parametrize(
    ("path", "field", "problem", "limit"),
    [
        ("holds?raeson=conflict", "raeson", "is no name of", "known: connection, reason, external_customer_id, limit"),
        ("failures?limit=1&limit=2", "limit", "is there twice", "known: connection, state, limit"),
        ("customers?q=ada", "q", "is no name of", "page_size"),
        ("invoices?page=2", "page", "is no name of", "cursor"),
        ("connections?state=active", "state", "is no name of", "known: none"),
    ],
)
async def test_a_query_that_nobody_would_read_is_refused(
    api: httpx.AsyncClient, path: str, field: str, problem: str, limit: str
) -> None:
    """A filter that was misspelt filtered nothing, and the list was believed."""
    answer = await api.get(f"/v1/{path}")
    found = answer.json()
    assert (answer.status_code, found["code"], found["field"]) == (400, "bad_request", field)
    assert problem in found["problem"]
    assert limit in found["limit"]
    assert found["cure"] == "leave it out"


async def test_a_page_beside_a_cursor_is_refused(api: httpx.AsyncClient) -> None:
    """It was ignored: whoever counted pages read the same one for ever."""
    answer = await api.get("/v1/customers", params={"page": 2, "cursor": ""})
    assert (answer.status_code, answer.json()["field"]) == (422, "page")
    assert answer.json()["cure"] == "send one of the two"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"connection": "\xff"}', "is no UTF-8 at byte 16: 0xff"),
        (b'{"connection": ' + b"[" * 100_000, "too deep in each other"),
        (b'{"connection": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"connection": NaN}', "has NaN, which is no JSON"),
    ],
)
async def test_a_body_that_no_parser_takes_says_why_and_what_to_send(
    api: httpx.AsyncClient, body: bytes, told: str
) -> None:
    """It was an error parsing the body, and nothing more."""
    answer = await api.post("/v1/syncs", content=body, headers={"content-type": "application/json"})
    found = answer.json()
    assert (answer.status_code, found["code"], found["field"]) == (400, "bad_request", "body")
    assert told in found["problem"]
    assert "JSON in UTF-8" in found["cure"]


async def test_a_member_that_is_there_twice_is_refused(api: httpx.AsyncClient) -> None:
    """The last one counted, and what reads the first one signed for another customer."""
    body = b'{"external_customer_id": "a", "metadata": {"plan": "x", "plan": "y"}}'
    answer = await api.post("/v1/customers", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["field"], answer.json()["limit"]) == (400, "plan", "once")
    assert (await api.get("/v1/customers")).json()["data"] == []


async def test_a_body_that_is_not_sent_as_json_says_so(api: httpx.AsyncClient) -> None:
    """It was told to be an object, which it was."""
    answer = await api.post(
        "/v1/customers", content=b'{"external_customer_id": "a"}', headers={"content-type": "text/x"}
    )
    assert (answer.status_code, answer.json()["problem"]) == (422, "is sent as 'text/x'")
    assert answer.json()["cure"] == "send the header content-type: application/json"


async def test_numbers_and_letters_that_no_database_has_are_refused(api: httpx.AsyncClient) -> None:
    """The first was a bug of ours; the second found every customer."""
    beyond = await api.post(f"/v1/changes/{10**25}/undo", json={})
    assert (beyond.status_code, beyond.json()["field"]) == (422, "change_id")
    nul = await api.get("/v1/customers?search=%00")
    assert (nul.status_code, nul.json()["field"], nul.json()["problem"]) == (400, "search", "has U+0000 in it")
    lost = await api.get("/v1/customer")
    assert "/openapi.json lists the routes" in lost.json()["cure"]


@pytest.mark.parametrize("path", ["holds", "failures"])
async def test_what_waits_is_not_looked_for_where_nothing_ever_was(api: httpx.AsyncClient, path: str) -> None:
    """A connection that was misspelt had no holds: nobody looked at the real one's."""
    answer = await api.get(f"/v1/{path}", params={"connection": "strip"})
    assert (answer.status_code, answer.json()["field"]) == (422, "connection")
    assert "stripe" in answer.json()["limit"]
    assert (await api.get(f"/v1/{path}", params={"connection": "stripe"})).status_code == 200
    odd = await api.get("/v1/holds", params={"reason": "conflicts"})
    assert (odd.status_code, odd.json()["field"]) == (422, "reason")


async def test_a_list_of_documents_that_nothing_can_be_in_is_refused(api: httpx.AsyncClient) -> None:
    """An empty page would be believed."""
    for params in ({"status": "nonsense"}, {"cursor": "zzz"}, {"cursor": "0" * 32}, {"limit": "0"}, {"limit": "x"}):
        answer = await api.get("/v1/invoices", params=params)
        assert (answer.status_code, answer.json()["field"]) == (422, *params)
        assert answer.json()["cure"]
    later = await api.get("/v1/reports/tie_out/2999")
    assert (later.status_code, later.json()["field"]) == (422, "period")


async def test_the_journal_is_read_page_by_page(api: httpx.AsyncClient) -> None:
    """Oldest first; who never did anything, and what is no time, is refused."""
    await api.post("/v1/customers", json={"external_customer_id": "ada", "name": "Ada"})
    await api.patch("/v1/customers/ada", json={"name": "Wrong"})
    first = (await api.get("/v1/journal?limit=1")).json()
    assert [(one["action"], one["external_customer_id"]) for one in first["data"]] == [("create", "ada")]
    rest = (await api.get(f"/v1/journal?limit=1&cursor={first['next_cursor']}")).json()
    assert (rest["data"][0]["action"], rest["next_cursor"]) == ("edit", None)
    assert rest["data"][0]["changes"]["name"]["old"] == "Ada"
    mine = (
        await api.get("/v1/journal", params={"actor": rest["data"][0]["actor"], "external_customer_id": "ada"})
    ).json()
    assert len(mine["data"]) == 2
    assert (await api.get("/v1/journal?until=2020-01-01")).json()["data"] == []
    for wrong in ("actor=nobody", "connection=nope", "since=soon", "limit=0", "colour=red"):
        assert (await api.get(f"/v1/journal?{wrong}")).status_code in (400, 422), wrong
    assert (await api.get("/v1/journal?external_customer_id=nobody")).status_code == 404


async def test_the_journal_says_who_asked_a_lane(api: httpx.AsyncClient, world: World) -> None:
    """For a sync and for a retry, with its trace and without a customer's id; a retry of nothing is no entry."""
    await world.activate_all()
    await api.post("/v1/customers", json={"external_customer_id": "ada", "name": "Ada"})
    wanted = {"connection": "stripe", "what": "customers", "external_ids": ["ada"]}
    asked = (await api.post("/v1/syncs", json=wanted)).json()
    world.db.run_now(lambda tx: failures.record(tx, [FAILED]))
    for subject, status in (("r:cus_odd", 200), ("r:nothing", 404)):
        body = {"connection": "stripe", "subjects": [subject]}
        assert (await api.post("/v1/failures/retry", json=body)).status_code == status
    await ask(world.hub, "stripe", {"what": "changes"})
    found = (await api.get("/v1/journal?actor=api&connection=stripe")).json()["data"]
    shown = [(one["kind"], one["action"], {name: it["new"] for name, it in one["changes"].items()}) for one in found]
    assert shown == [
        ("connection", "sync", {"what": "customers", "customers": "1"}),
        ("connection", "retry", {"customer": "1"}),
    ]
    assert found[0]["trace"] == asked["trace"]
    marked = world.db.read_now(lambda tx: work.of_subjects(tx, "stripe", ["r:cus_odd"]))
    assert found[1]["trace"] == marked["r:cus_odd"].trace != ""


async def test_the_journal_says_which_documents_were_asked_for(api: httpx.AsyncClient, world: World) -> None:
    """By their kinds."""
    await world.activate_all()
    await api.post("/v1/syncs", json={"connection": "stripe", "what": "documents", "kinds": ["invoice", "payment"]})
    (entry,) = (await api.get("/v1/journal?actor=api")).json()["data"]
    assert {name: it["new"] for name, it in entry["changes"].items()} == {
        "what": "documents", "kinds": ["invoice", "payment"]
    }  # fmt: skip
