# ruff: noqa: D103, FBT001 -- `world` is made in conftest, which tests cannot import
"""The look-alike is as strict as Stripe: each test fails a naive client."""

import base64
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from connectors.stripe.sandbox import StripeSettings
from connectors.stripe.webhook import StripeWebhooks
from core.errors import SignatureError
from core.ports import HttpRequest
from core.sandbox.lookalike import LookAlike

DAY = 86400.0


def error_of(answer: tuple[int, Any, Any]) -> tuple[int, str | None, str | None]:
    status, body, _ = answer
    return status, body["error"].get("code"), body["error"].get("param")


def seed(world: Any, count: int) -> list[str]:
    """Customers, a second apart, oldest first."""
    ids = []
    for number in range(count):
        ids.append(world.stripe.edit("customer", None, {"name": f"C{number}", "email": f"c{number}@example.com"}))
        world.clock.time += 1
    return ids


def test_it_is_a_look_alike(world: Any) -> None:
    """The kit serves it by this protocol."""
    lookalike: LookAlike = world.stripe
    assert lookalike.name == "stripe"


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer ", "Bearer rk_live_other", "Digest x", "Basic !!!", "Basic " + base64.b64encode(b"\xff:").decode()],
)
def test_a_wrong_key_is_401(world: Any, authorization: str) -> None:
    """PROVIDERS §6."""
    assert world.call("GET", "/v1/customers", authorization=authorization)[0] == 401


def test_a_key_may_come_as_basic_user(world: Any) -> None:
    """Curl -u key: is what Stripe's documentation shows."""
    basic = "Basic " + base64.b64encode(b"rk_live_lookalike:").decode()
    assert world.call("GET", "/v1/customers", authorization=basic)[0] == 200


def test_a_lacking_permission_is_403_and_named(world: Any) -> None:
    """PROVIDERS §6: the message names the permission."""
    world.change(denied_permissions=frozenset({"rak_customer_write", "rak_event_read"}))
    status, body, _ = world.call("POST", "/v1/customers", {"name": "A"})
    assert status == 403
    assert "rak_customer_write" in body["error"]["message"]
    assert world.call("GET", "/v1/events")[0] == 403
    assert world.call("GET", "/v1/customers")[0] == 200


def test_unknown_paths_are_404_without_a_code(world: Any) -> None:
    """A client that takes every 404 for "deleted" is wrong here."""
    assert error_of(world.call("GET", "/v1/customer")) == (404, None, None)
    assert error_of(world.call("PUT", "/v1/customers")) == (404, None, None)


def test_a_customer_has_all_its_attributes(world: Any) -> None:
    """A client written against a thin fake fails on a real customer."""
    _, body, headers = world.call("POST", "/v1/customers", {"name": "A"})
    assert set(body) >= {
        "balance", "created", "currency", "delinquent", "description", "discount", "invoice_prefix", "invoice_settings",
        "livemode", "next_invoice_sequence", "preferred_locales", "shipping", "tax_exempt", "test_clock", "metadata",
    }  # fmt: skip
    assert body["id"].startswith("cus_")
    assert len(body["id"]) == 18
    assert headers["request-id"].startswith("req_")


def test_bodies_are_forms_with_brackets(world: Any) -> None:
    """PROVIDERS §5; JSON is not understood."""
    form = {"address[city]": "Berlin", "preferred_locales[0]": "de", "preferred_locales[1]": "en", "metadata[a]": "1"}
    _, body, _ = world.call("POST", "/v1/customers", form)
    assert body["address"] == dict.fromkeys(("line1", "line2", "postal_code", "state", "country")) | {"city": "Berlin"}
    assert body["preferred_locales"] == ["de", "en"]
    assert body["metadata"] == {"a": "1"}


@pytest.mark.parametrize(
    ("form", "code", "param"),
    [
        ({"legal_name": "x"}, "parameter_unknown", "legal_name"),
        ({"address[planet]": "x"}, "parameter_unknown", "address[planet]"),
        ({"address": "Berlin"}, "parameter_invalid_object", "address"),
        ({"address[country]": "Germany"}, "country_code_invalid", "address[country]"),
        ({"shipping": "x"}, "parameter_invalid_object", "shipping"),
        ({"shipping[address][line1]": "x"}, "parameter_missing", "shipping[name]"),
        ({"shipping[name]": "x"}, "parameter_missing", "shipping[address]"),
        (
            {"shipping[name]": "x", "shipping[address][line1]": "y", "shipping[fax]": "z"},
            "parameter_unknown",
            "shipping[fax]",
        ),
        ({"email": "nobody"}, "email_invalid", "email"),
        ({"email": "a@b"}, "email_invalid", "email"),
        ({"name": "n" * 257}, None, "name"),
        ({"email": "e" * 513}, None, "email"),
        ({"phone": "1" * 21}, None, "phone"),
        ({"business_name": "b" * 151}, None, "business_name"),
        ({"individual_name": "i" * 151}, None, "individual_name"),
        ({"description": "d" * 5001}, None, "description"),
        ({"invoice_prefix": "A" * 13}, None, "invoice_prefix"),
        ({"metadata[a[b]]": "v"}, "parameter_invalid", "metadata[a[b]]"),
        ({"name": "a\x00"}, "parameter_invalid_string", "name"),
        ({"name[first]": "a"}, "parameter_invalid_string", "name"),
        ({"metadata[" + "k" * 41 + "]": "v"}, None, "metadata[" + "k" * 41 + "]"),
        ({"metadata[k]": "v" * 501}, None, "metadata[k]"),
        ({"metadata": "x"}, "parameter_invalid_object", "metadata"),
        ({f"metadata[k{n}]": "v" for n in range(51)}, None, "metadata"),
        ({"preferred_locales": "de"}, "parameter_invalid_array", "preferred_locales"),
        ({"preferred_locales[x]": "de"}, "parameter_invalid_array", "preferred_locales"),
        ({"balance": "1.5"}, "parameter_invalid_integer", "balance"),
        ({"tax_exempt": "maybe"}, None, "tax_exempt"),
        ({"invoice_prefix": "ab"}, None, "invoice_prefix"),
        ({"invoice_settings": "x"}, "parameter_invalid_object", "invoice_settings"),
        ({"invoice_settings[x]": "x"}, "parameter_unknown", "invoice_settings[x]"),
        ({"invoice_settings[custom_fields]": "x"}, None, "invoice_settings[custom_fields]"),
        ({"source": "tok_1"}, None, "source"),
        ({"a[b": "x"}, "parameter_invalid", "a[b"),
        ({"name": "a", "name[b]": "x"}, "parameter_invalid", "name[b]"),
    ],
)
def test_what_stripe_refuses_is_refused(world: Any, form: dict[str, str], code: str | None, param: str) -> None:
    """PROVIDERS §5; nothing is created by a refused request."""
    assert error_of(world.call("POST", "/v1/customers", form)) == (400, code, param)
    assert world.stripe.objects("customer") == {}


def test_bytes_that_are_no_utf8_are_refused(world: Any) -> None:
    """In the body itself and behind a percent sign."""
    for body in (b"name=\xff", b"name=%ff"):
        headers = {"authorization": "Bearer rk_live_lookalike"}
        response = world.stripe.respond(HttpRequest("POST", "https://api.stripe.com/v1/customers", headers, body))
        assert response.status == 400


def test_other_attributes_can_be_set(world: Any) -> None:
    """They are what other programs write, and what must survive us."""
    form = {
        "balance": "-500", "description": "d", "tax_exempt": "reverse", "invoice_prefix": "ACME1", "expand[]": "tax",
        "invoice_settings[footer]": "f", "next_invoice_sequence": "7", "business_name": "b", "individual_name": "i",
    }  # fmt: skip
    _, body, _ = world.call("POST", "/v1/customers", form)
    assert (body["balance"], body["invoice_settings"]["footer"], body["next_invoice_sequence"]) == (-500, "f", 7)
    _, body, _ = world.call("POST", f"/v1/customers/{body['id']}", {"tax_exempt": "", "description": ""})
    assert (body["tax_exempt"], body["description"], body["balance"]) == ("none", None, -500)


def test_metadata_merges_per_key_and_empty_deletes(world: Any) -> None:
    """PROVIDERS §2."""
    _, body, _ = world.call("POST", "/v1/customers", {"metadata[a]": "1", "metadata[b]": "2"})
    path = f"/v1/customers/{body['id']}"
    assert world.call("POST", path, {"metadata[a]": "", "metadata[c]": "3"})[1]["metadata"] == {"b": "2", "c": "3"}
    assert world.call("POST", path, {"metadata": ""})[1]["metadata"] == {}


def test_hashes_are_read_the_cruel_way(world: Any) -> None:
    """Address parts that are left out stay; a shipping phone that is left out is lost; e-mails are trimmed."""
    form = {"address[line1]": "a", "address[city]": "b", "email": " a@example.com ",
            "shipping[name]": "n", "shipping[phone]": "1", "shipping[address][line1]": "x"}  # fmt: skip
    _, body, _ = world.call("POST", "/v1/customers", form)
    assert body["email"] == "a@example.com"
    change = {"address[line1]": "c", "shipping[name]": "n", "shipping[address][city]": "y"}
    _, body, _ = world.call("POST", f"/v1/customers/{body['id']}", change)
    assert (body["address"]["line1"], body["address"]["city"]) == ("c", "b")
    assert (body["shipping"]["phone"], body["shipping"]["address"]["line1"]) == (None, None)
    cleared = {"address": "", "shipping": "", "email": "", "preferred_locales": ""}
    _, body, _ = world.call("POST", f"/v1/customers/{body['id']}", cleared)
    assert (body["address"], body["shipping"], body["email"], body["preferred_locales"]) == (None, None, None, [])


def test_lists_are_newest_first_in_pages(world: Any) -> None:
    """PROVIDERS §1: default 10, at most 100, cursors."""
    ids = seed(world, 25)[::-1]
    _, page, _ = world.call("GET", "/v1/customers")
    assert [one["id"] for one in page["data"]] == ids[:10]
    assert page["has_more"]
    _, page, _ = world.call("GET", "/v1/customers", {"limit": "100", "starting_after": ids[9]})
    assert [one["id"] for one in page["data"]] == ids[10:]
    assert not page["has_more"]
    _, page, _ = world.call("GET", "/v1/customers", {"limit": "3", "ending_before": ids[9]})
    assert [one["id"] for one in page["data"]] == ids[6:9]
    assert page["has_more"]
    _, page, _ = world.call("GET", "/v1/customers", {"ending_before": ids[2]})
    assert ([one["id"] for one in page["data"]], page["has_more"]) == (ids[:2], False)


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ({"limit": "0"}, "parameter_invalid", "limit"),
        ({"limit": "101"}, "parameter_invalid", "limit"),
        ({"limit": "ten"}, "parameter_invalid_integer", "limit"),
        ({"starting_after": "cus_no"}, "resource_missing", "starting_after"),
        ({"ending_before": "cus_no"}, "resource_missing", "ending_before"),
        ({"starting_after": "a", "ending_before": "b"}, None, "starting_after"),
        ({"updated": "1"}, "parameter_unknown", "updated"),
        ({"created[since]": "1"}, "parameter_unknown", "created[since]"),
        ({"created[gte]": "today"}, "parameter_invalid_integer", "created[gte]"),
    ],
)
def test_odd_list_queries_are_refused(world: Any, query: dict[str, str], code: str | None, param: str) -> None:
    """There is no `updated` filter (PROVIDERS §3)."""
    assert error_of(world.call("GET", "/v1/customers", query)) == (400, code, param)


def test_a_deleted_customer_is_no_cursor_any_more(world: Any) -> None:
    """A sweep that stands on it must find its place again."""
    first, second = seed(world, 2)
    world.stripe.delete("customer", second)
    assert error_of(world.call("GET", "/v1/customers", {"starting_after": second})) == (
        400,
        "resource_missing",
        "starting_after",
    )
    assert [one["id"] for one in world.call("GET", "/v1/customers")[1]["data"]] == [first]


def test_list_filters(world: Any) -> None:
    """Created takes a hash or a number; email is exact."""
    ids = seed(world, 5)
    start = int(world.clock.time) - 5

    def listed(**query: str) -> list[str]:
        names = {key.replace("__", "[").replace("_end", "]"): value for key, value in query.items()}
        return [one["id"] for one in world.call("GET", "/v1/customers", names)[1]["data"]]

    assert listed(created__gte_end=str(start + 3)) == ids[3:][::-1]
    assert listed(created__gt_end=str(start + 3)) == ids[4:]
    assert listed(created__lte_end=str(start + 1)) == ids[:2][::-1]
    assert listed(created__lt_end=str(start + 1)) == ids[:1]
    assert listed(created=str(start + 2)) == [ids[2]]
    assert listed(email="c3@example.com") == [ids[3]]
    assert listed(email="C3@example.com") == []


def test_a_deleted_customer_is_a_stub(world: Any) -> None:
    """PROVIDERS §3: 200 with deleted, POST 404, never known 404."""
    (remote_id,) = seed(world, 1)
    path = f"/v1/customers/{remote_id}"
    assert world.call("DELETE", path)[1] == {"id": remote_id, "object": "customer", "deleted": True}
    assert world.call("GET", path)[:2] == (200, {"id": remote_id, "object": "customer", "deleted": True})
    assert error_of(world.call("POST", path, {"name": "x"})) == (404, "resource_missing", "id")
    assert error_of(world.call("DELETE", path)) == (404, "resource_missing", "id")
    assert error_of(world.call("GET", "/v1/customers/cus_never")) == (404, "resource_missing", "id")
    assert [change.caller for change in world.stripe.mutations] == ["person", "accord"]


def test_a_key_replays_its_first_answer_for_a_day(world: Any) -> None:
    """PROVIDERS §2."""
    first = world.call("POST", "/v1/customers", {"name": "A"}, idempotency_key="k")
    again = world.call("POST", "/v1/customers", {"name": "A"}, idempotency_key="k")
    assert again[1] == first[1]
    assert "idempotent-replayed" not in first[2]
    assert again[2]["idempotent-replayed"] == "true"
    assert len(world.stripe.objects("customer")) == 1
    status, body, _ = world.call("POST", "/v1/customers", {"name": "B"}, idempotency_key="k")
    assert (status, body["error"]["type"]) == (400, "idempotency_error")
    world.clock.time += DAY
    assert world.call("POST", "/v1/customers", {"name": "B"}, idempotency_key="k")[0] == 200
    assert len(world.stripe.objects("customer")) == 2
    assert world.call("POST", "/v1/customers", {"name": "B"}, idempotency_key="k" * 256)[0] == 400


def test_a_deletion_has_no_key(world: Any) -> None:
    """PROVIDERS §2: keys are of POST. Who repeats a deletion finds that it is done."""
    (remote_id,) = seed(world, 1)
    answers = [world.call("DELETE", f"/v1/customers/{remote_id}", idempotency_key="k")[0] for _ in range(2)]
    assert answers == [200, 404]


@pytest.mark.parametrize("executed", [True, False])
def test_a_500_is_stored_under_its_key(world: Any, executed: bool) -> None:
    """PROVIDERS §2: the replay is the 500, whether or not the write happened."""
    world.stripe.break_writes(1, executed=executed)
    for _ in range(2):
        assert world.call("POST", "/v1/customers", {"name": "A"}, idempotency_key="k")[0] == 500
    assert len(world.stripe.objects("customer")) == executed
    assert world.call("POST", "/v1/customers", {"name": "A"}, idempotency_key="other")[0] == 200


def test_a_refused_request_is_not_stored(world: Any) -> None:
    """PROVIDERS §2: validation comes before execution, so the key is still free."""
    assert world.call("POST", "/v1/customers", {"email": "x"}, idempotency_key="k")[0] == 400
    assert world.call("POST", "/v1/customers", {"email": "x@example.com"}, idempotency_key="k")[0] == 200


@pytest.mark.parametrize("keeps", [False, True])
def test_whether_a_refusal_is_repeated_is_a_setting(make_world: Callable[..., Any], *, keeps: bool) -> None:
    """Nobody says it of what is refused for what else is there: whoever keeps his key is refused for a day."""
    world = make_world(StripeSettings(keeps_refusals=keeps))
    form = {"customer": world.stripe.edit("customer", None, {"name": "Ada"}), "number": "N-1", "currency": "usd"}
    _, taken, _ = world.call("POST", "/v1/invoices", form)
    assert world.call("POST", "/v1/invoices", form, idempotency_key="k")[0] == 400
    world.call("DELETE", f"/v1/invoices/{taken['id']}")

    status, _, headers = world.call("POST", "/v1/invoices", form, idempotency_key="k")
    assert (status, headers.get("idempotent-replayed")) == ((400, "true") if keeps else (200, None))
    world.clock.time += DAY
    assert world.call("POST", "/v1/invoices", form | {"number": "N-2"}, idempotency_key="k")[0] == 200


def test_search_lags_behind(world: Any) -> None:
    """PROVIDERS §2: a search right after a create finds nothing; a naive client creates twice."""
    world.call("POST", "/v1/customers", {"metadata[accord_ref]": "i.m.1", "email": "A@example.com"})

    def found(query: str) -> int:
        return len(world.call("GET", "/v1/customers/search", {"query": query})[1]["data"])

    assert found('metadata["accord_ref"]:"i.m.1"') == 0
    world.clock.time += 30
    assert found('metadata["accord_ref"]:"i.m.1"') == 1
    assert found("metadata['accord_ref']:'I.M.1' AND email:\"a@example.com\"") == 1
    assert found('metadata["accord_ref"]:"i.m.1" AND email:"b@example.com"') == 0
    assert found('email~"EXAMPLE"') == 1
    assert found('name:""') == 0
    for bad in ("accord_ref=1", 'metadata["a]:"b"', "", 'email:"a" OR email:"b"'):
        assert error_of(world.call("GET", "/v1/customers/search", {"query": bad})) == (400, None, "query")
    assert error_of(world.call("GET", "/v1/customers/search")) == (400, "parameter_missing", "query")


def test_search_pages_and_forgets_the_deleted(world: Any) -> None:
    """Its own cursor is `page`."""
    ids = seed(world, 3)
    world.clock.time += 60
    _, body, _ = world.call("GET", "/v1/customers/search", {"query": 'email~"example"', "limit": "2"})
    assert ([one["id"] for one in body["data"]], body["has_more"]) == (ids[:0:-1], True)
    query = {"query": 'email~"example"', "limit": "2", "page": body["next_page"]}
    _, body, _ = world.call("GET", "/v1/customers/search", query)
    assert ([one["id"] for one in body["data"]], body["has_more"], body["next_page"]) == (ids[:1], False, None)
    world.stripe.delete("customer", ids[0])
    assert world.call("GET", "/v1/customers/search", {"query": 'email:"c0@example.com"'})[1]["data"] == []
    world.clock.time += 60
    assert world.call("GET", "/v1/customers/search", {"query": 'email:"c0@example.com"'})[1]["data"] == []


def test_events_are_snapshots_with_what_changed(world: Any) -> None:
    """PROVIDERS §4: previous_attributes holds only the keys that changed, also inside hashes."""
    _, body, _ = world.call("POST", "/v1/customers", {"name": "A", "address[line1]": "x", "address[city]": "c"})
    path = f"/v1/customers/{body['id']}"
    form = {"name": "B", "address[line1]": "y", "metadata[k]": "v"}
    world.clock.time += 1
    world.call("POST", path, form, idempotency_key="key-9")
    world.call("POST", path, form)
    world.clock.time += 1
    world.stripe.delete("customer", body["id"])
    _, page, _ = world.call("GET", "/v1/events")
    assert [event["type"] for event in page["data"]] == ["customer.deleted", "customer.updated", "customer.created"]
    updated = page["data"][1]
    assert updated["data"]["previous_attributes"] == {"name": "A", "address": {"line1": "x"}, "metadata": {"k": None}}
    assert updated["data"]["object"]["name"] == "B"
    assert page["data"][2]["data"]["object"]["name"] == "A"
    assert updated["request"]["idempotency_key"] == "key-9"
    assert page["data"][0]["request"] == {"id": None, "idempotency_key": None}


def test_events_of_one_second_come_in_no_order(world: Any) -> None:
    """PROVIDERS §3: whoever takes the first event of a customer for its newest state goes back in time."""
    (remote_id,) = seed(world, 1)
    for number in range(20):
        world.stripe.edit("customer", remote_id, {"name": f"N{number}"})
    world.clock.time += 1
    world.stripe.edit("customer", remote_id, {"name": "last"})
    listed: list[Any] = []
    while True:
        cursor = {"starting_after": listed[-1]["id"]} if listed else {}
        _, page, _ = world.call("GET", "/v1/events", {"limit": "7", **cursor})
        listed += page["data"]
        if not page["has_more"]:
            break
    names = [event["data"]["object"]["name"] for event in listed]
    assert (names[0], names[-1], len(set(names)), len(names)) == ("last", "C0", 22, 22)
    assert names[1:-1] != [f"N{number}" for number in range(19, -1, -1)]


def test_events_filter_and_expire(world: Any) -> None:
    """PROVIDERS §3: 30 days; types at most 20."""
    (remote_id,) = seed(world, 1)
    world.stripe.edit("customer", remote_id, {"name": "B"})

    def count(**query: str) -> int:
        names = {key.replace("types", "types[]"): value for key, value in query.items()}
        return len(world.call("GET", "/v1/events", names)[1]["data"])

    assert count() == 2
    assert count(types="customer.updated") == count(type="customer.created") == 1
    assert count(types="invoice.paid") == 0
    too_many = {f"types[{n}]": "customer.updated" for n in range(21)}
    assert error_of(world.call("GET", "/v1/events", too_many)) == (400, None, "types")
    newest = world.call("GET", "/v1/events")[1]["data"][0]["id"]
    world.clock.time += 31 * DAY
    assert count() == 0
    assert error_of(world.call("GET", "/v1/events", {"starting_after": newest})) == (
        400,
        "resource_missing",
        "starting_after",
    )


@pytest.mark.parametrize(
    ("path", "is_live", "allowed", "reason"),
    [
        ("/v1/customers", True, 25, "endpoint-rate"),
        ("/v1/customers/search", True, 20, "endpoint-rate"),
        ("/v1/customers", False, 25, "global-rate"),
    ],
)
def test_the_published_limits_hold(
    make_world: Callable[..., Any],
    path: str,
    is_live: bool,
    allowed: int,
    reason: str,
) -> None:
    """PROVIDERS §1."""
    world = make_world(StripeSettings(enforce_limits=True, is_live=is_live))
    query = {"query": 'email:"x"'} if path.endswith("search") else {}
    statuses = [world.call("GET", path, query)[0] for _ in range(allowed + 3)]
    assert statuses == [200] * allowed + [429] * 3
    status, body, headers = world.call("GET", path, query)
    assert (status, body["error"]["code"], headers["stripe-rate-limited-reason"]) == (429, "rate_limit", reason)
    assert world.stripe.reads == allowed
    world.clock.time += 1.0
    assert world.call("GET", path, query)[0] == 200


def test_a_refused_call_does_not_count(make_world: Callable[..., Any]) -> None:
    """Or whoever is refused once, and goes on, is refused for ever."""
    world = make_world(StripeSettings(enforce_limits=True))
    for status in (200, 429):
        assert {world.call("GET", "/v1/customers")[0] for _ in range(25)} == {status}
        world.clock.time += 0.5
    assert world.call("GET", "/v1/customers")[0] == 200


def test_different_customers_share_one_endpoint(make_world: Callable[..., Any]) -> None:
    """PROVIDERS §1: whoever counts by address writes to thirty customers at once and is refused."""
    world = make_world(StripeSettings(enforce_limits=True))
    ids = seed(world, 30)
    answers = [world.call("POST", f"/v1/customers/{one}", {"name": "x"}) for one in ids]
    assert [status for status, _, _ in answers] == [200] * 25 + [429] * 5
    assert world.call("GET", f"/v1/customers/{ids[0]}")[0] == 200


def test_an_account_has_100_calls_a_second(make_world: Callable[..., Any]) -> None:
    """PROVIDERS §1: four endpoints fill it."""
    world = make_world(StripeSettings(enforce_limits=True))
    for path in ("/v1/customers", "/v1/events", "/v1/account", "/v1/balance"):
        assert {world.call("GET", path)[0] for _ in range(25)} == {200}
    assert world.call("POST", "/v1/customers")[2]["stripe-rate-limited-reason"] == "global-rate"


def test_a_429_can_be_had_for_the_asking_and_tells_no_wait(world: Any) -> None:
    """For faults, in Stripe's own words: whoever counts on a Retry-After finds none (PROVIDERS §1)."""
    answer = world.stripe.too_many(HttpRequest("GET", "https://api.stripe.com/v1/customers", {}))
    assert (answer.status, answer.headers["stripe-rate-limited-reason"]) == (429, "global-rate")
    assert "retry-after" not in answer.headers


def test_reads_of_thirty_days_are_counted_and_refuse_nobody(make_world: Callable[..., Any]) -> None:
    """PROVIDERS §1: reads are allotted (10,000 at least); who lists on every tick uses them up without a warning."""
    world = make_world(StripeSettings(enforce_limits=True))
    for _ in range(3):
        world.call("GET", "/v1/customers")
    world.call("POST", "/v1/customers", {"name": "A"})
    world.clock.time += 20 * DAY
    world.call("GET", "/v1/events")
    assert world.stripe.allotted_reads == 4
    world.clock.time += 10 * DAY - 3600
    assert world.stripe.allotted_reads == 4
    world.clock.time += 3600
    assert world.stripe.allotted_reads == 1


def test_a_customer_that_another_request_works_on_is_locked(world: Any) -> None:
    """PROVIDERS §1: 429 with lock_timeout and no reason; it is no rate, and the other customers are free."""
    first, second = seed(world, 2)
    world.stripe.keep_busy(first, 2.0)
    status, body, headers = world.call("POST", f"/v1/customers/{first}", {"name": "x"}, idempotency_key="k")
    assert (status, body["error"]["code"]) == (429, "lock_timeout")
    assert not [name for name in headers if name.startswith("stripe-")]
    assert world.call("POST", f"/v1/customers/{second}", {"name": "x"})[0] == 200
    assert world.call("GET", f"/v1/customers/{first}")[1]["name"] == "C0"
    world.clock.time += 2
    assert world.call("POST", f"/v1/customers/{first}", {"name": "x"}, idempotency_key="k")[1]["name"] == "x"


def test_a_key_whose_first_request_is_under_way_is_409(world: Any) -> None:
    """PROVIDERS §2: who takes a new key then makes two customers."""
    world.stripe.keep_busy("k", 2.0)
    assert error_of(world.call("POST", "/v1/customers", {"name": "A"}, idempotency_key="k"))[0] == 409
    assert world.stripe.objects("customer") == {}
    world.clock.time += 2
    assert world.call("POST", "/v1/customers", {"name": "A"}, idempotency_key="k")[0] == 200


def hooked(make_world: Callable[..., Any], **settings: Any) -> Any:
    return make_world(StripeSettings(webhook_url="https://accord.example/hook", **settings))


def test_webhooks_are_signed_and_redelivered(make_world: Callable[..., Any]) -> None:
    """PROVIDERS §4: at least once, the same event id, a new signature each time, for three days."""
    world = hooked(make_world)
    seed(world, 1)
    attempts = 0
    started = world.clock.time
    while world.clock.time < started + 5 * DAY:
        for outgoing in world.stripe.due_webhooks(world.clock.time):
            attempts += 1
            assert outgoing.attempt == attempts
            StripeWebhooks().verify(outgoing.delivery, ["whsec_lookalike"], world.clock.time)
            world.stripe.webhook_answered(outgoing.id, None if attempts % 2 else 500, world.clock.time)
        world.clock.time += 300
    assert attempts == 10
    _, failed, _ = world.call("GET", "/v1/events", {"delivery_success": "false"})
    assert [event["pending_webhooks"] for event in failed["data"]] == [1]


def test_deliveries_come_in_no_order(make_world: Callable[..., Any]) -> None:
    """PROVIDERS §4: whoever believes the last one goes back in time."""
    world = hooked(make_world)
    ids = seed(world, 20)
    sent = [notice.remote_id for one in world.stripe.due_webhooks(world.clock.time)
            for notice in StripeWebhooks().notices(one.delivery.body)]  # fmt: skip
    assert sorted(sent) == sorted(ids)
    assert sent != ids


def test_events_are_rendered_in_the_version_of_the_account(world: Any) -> None:
    """PROVIDERS §4: its snapshots are not what the pinned version of a request would show."""
    world.change(api_version="2024-06-20")
    (remote_id,) = seed(world, 1)
    (event,) = world.call("GET", "/v1/events", {}, stripe_version="2026-10-28.endive")[1]["data"]
    assert event["api_version"] == "2024-06-20"
    (page,) = world.sweep("changes", '{"since":0}')
    assert (page.sightings, list(page.changed)) == ([], [remote_id])


def test_test_mode_gives_up_after_three_more_attempts(make_world: Callable[..., Any]) -> None:
    """PROVIDERS §4: within hours; who is down over night must look into the feed."""
    world = hooked(make_world, is_live=False)
    seed(world, 1)
    attempts, started = 0, world.clock.time
    while world.clock.time < started + DAY:
        for outgoing in world.stripe.due_webhooks(world.clock.time):
            attempts += 1
            world.stripe.webhook_answered(outgoing.id, 500, world.clock.time)
        world.clock.time += 300
    assert attempts == 4
    _, failed, _ = world.call("GET", "/v1/events", {"delivery_success": "false"})
    assert len(failed["data"]) == 1


def test_a_test_event_carries_a_signature_that_proves_nothing(make_world: Callable[..., Any]) -> None:
    """PROVIDERS §4: v0 stands last, and anybody can make one."""
    world = hooked(make_world, is_live=False)
    seed(world, 1)
    (outgoing,) = world.stripe.due_webhooks(world.clock.time)
    header = outgoing.delivery.headers["stripe-signature"]
    StripeWebhooks().verify(outgoing.delivery, ["whsec_lookalike"], world.clock.time)
    time, genuine, fake = header.split(",")
    assert (genuine[:3], fake[:3]) == ("v1=", "v0=")
    forged = {**outgoing.delivery.headers, "stripe-signature": f"{time},{fake}"}
    with pytest.raises(SignatureError):
        StripeWebhooks().verify(
            dataclasses.replace(outgoing.delivery, headers=forged), ["whsec_lookalike"], world.clock.time
        )


def test_an_acknowledged_webhook_is_not_sent_again(make_world: Callable[..., Any]) -> None:
    """And the event counts as delivered."""
    world = hooked(make_world, lag_scale=0.01)
    seed(world, 1)
    (outgoing,) = world.stripe.due_webhooks(world.clock.time)
    assert world.stripe.due_webhooks(world.clock.time) == []
    world.stripe.webhook_answered(outgoing.id, 503, world.clock.time)
    world.clock.time += 3
    (again,) = world.stripe.due_webhooks(world.clock.time)
    assert (again.id, again.attempt) == (outgoing.id, 2)
    world.stripe.webhook_answered(again.id, 204, world.clock.time)
    world.stripe.webhook_answered(again.id, 500, world.clock.time)
    world.clock.time += 10 * DAY
    assert world.stripe.due_webhooks(world.clock.time) == []
    assert world.call("GET", "/v1/events", {"delivery_success": "false"})[1]["data"] == []


def test_a_rolled_secret_signs_twice(make_world: Callable[..., Any]) -> None:
    """PROVIDERS §4: for a day, both secrets verify."""
    world = hooked(make_world, webhook_secrets=("whsec_old", "whsec_new"))
    seed(world, 1)
    (outgoing,) = world.stripe.due_webhooks(world.clock.time)
    for secret in ("whsec_old", "whsec_new"):
        StripeWebhooks().verify(outgoing.delivery, [secret], world.clock.time)
    with pytest.raises(SignatureError):
        StripeWebhooks().verify(outgoing.delivery, ["whsec_lookalike"], world.clock.time)


def test_people_edit_by_neutral_names(world: Any) -> None:
    """What a test edits is what the look-alike then says it holds."""
    address = {"line1": "x", "country": "DE"}
    remote_id = world.stripe.edit(
        "customer",
        None,
        {
            "name": "A", "email": " a@example.com ", "phone": "1", "billing_address": address,
            "shipping_address": address, "locale": "de", "metadata.plan": "pro", "external_id": "c-1",
            "extra": {"balance": 5, "preferred_locales": ["de", "en"]},
        },
    )  # fmt: skip
    assert world.stripe.neutral("customer")[remote_id] == {
        "name": "A", "email": "a@example.com", "phone": "1", "billing_address": address,
        "shipping_address": address, "locale": "de", "metadata.plan": "pro",
    }  # fmt: skip
    held = world.stripe.objects("customer")[remote_id]
    assert (held["balance"], held["metadata"], held["shipping"]["name"]) == (
        5,
        {"plan": "pro", "external_customer_id": "c-1"},
        "A",
    )
    world.stripe.edit("customer", remote_id, {"locale": "fr", "shipping_address": {"city": "y"}, "metadata.plan": None})
    held = world.stripe.objects("customer")[remote_id]
    assert held["preferred_locales"] == ["fr", "en"]
    assert held["shipping"]["address"]["line1"] is None
    world.stripe.edit("customer", remote_id, dict.fromkeys(
        ("name", "email", "phone", "billing_address", "shipping_address", "locale", "external_id")
    ))  # fmt: skip
    assert set(world.stripe.neutral("customer")[remote_id].values()) == {None}
    assert [change.caller for change in world.stripe.mutations] == ["person"] * 3


def test_the_truth_leaves_marks_out(world: Any) -> None:
    """Other writers' marks are not metadata that systems must agree on."""
    marks = {"metadata.accord_ref": "m", "metadata.lago_id": "l", "metadata.flexprice_id": "f", "metadata.a": "b"}
    remote_id = world.stripe.edit("customer", None, marks)
    assert {key for key in world.stripe.neutral("customer")[remote_id] if key.startswith("metadata")} == {"metadata.a"}


def test_edits_of_what_is_not_there_are_key_errors(world: Any) -> None:
    """A test that misspells a field must fail, not pass."""
    (remote_id,) = seed(world, 1)
    for kind, target, changes in (
        ("invoice", None, {}),
        ("customer", "cus_no", {}),
        ("customer", remote_id, {"legal_name": "x"}),
    ):
        with pytest.raises(KeyError):
            world.stripe.edit(kind, target, changes)
    for kind, target in (("invoice", remote_id), ("customer", "cus_no")):
        with pytest.raises(KeyError):
            world.stripe.delete(kind, target)
    assert world.stripe.objects("invoice") == {}


def test_every_write_is_recorded_with_its_caller(make_world: Callable[..., Any]) -> None:
    """Also one that changed nothing: a client that rewrites for ever must be seen."""
    world = make_world(StripeSettings(other_keys={"sk_live_lago": "lago"}))
    _, body, _ = world.call("POST", "/v1/customers", {"name": "A"}, idempotency_key="k1")
    path = f"/v1/customers/{body['id']}"
    world.call("POST", path, {"name": "B"}, authorization="Bearer sk_live_lago")
    world.call("POST", path, {"name": "B"}, idempotency_key="k2")
    seen = [(m.caller, m.action, m.changed.get("name"), m.request_key) for m in world.stripe.mutations]
    assert seen == [("accord", "create", "A", "k1"), ("lago", "update", "B", None), ("accord", "update", None, "k2")]
    assert len(world.call("GET", "/v1/events")[1]["data"]) == 2


def test_two_accounts_from_one_seed_are_alike(make_world: Callable[..., Any]) -> None:
    """A failing simulation must be repeatable."""
    one, two = make_world(), make_world()
    assert seed(one, 3) == seed(two, 3)
    assert one.call("GET", "/v1/events") == two.call("GET", "/v1/events")
