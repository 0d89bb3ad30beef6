"""Requests with something wrong in them: everything that is, at once, each mistake by itself, and nothing done."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from core.api.mistakes import MOST_TOLD
from core.store import one_offs
from tests.support.world import World

pytestmark = pytest.mark.anyio

WHATS = "'full', 'changes', 'customers' or 'documents'"
MANY = ["x"] * 1001
JSON = {"content-type": "application/json"}


def told(found: Any) -> dict[str, tuple[str | None, str | None]]:
    """Limit and cure of each mistake, by its field."""
    return {one["field"]: (one.get("limit"), one.get("cure")) for one in found["errors"]}


async def test_each_wrong_value_of_a_customer_is_a_mistake_of_its_own(api: httpx.AsyncClient) -> None:
    """They came as one text of several lines: no form could put them beside its fields."""
    wanted = {"external_customer_id": "a", "email": "x", "name": "Ada", "currency": "EURO", "plan": "gold"}
    answer = await api.post("/v1/customers", json=wanted)
    found = answer.json()
    assert (answer.status_code, found["code"], found["field"]) == (422, "invalid", "email")
    assert [one["field"] for one in found["errors"]] == ["email", "currency", "plan"]
    assert told(found)["currency"] == ("ISO 4217", "write a code like EUR or USD")
    for one in found["errors"]:
        assert one["problem"] in found["detail"]
    assert (await api.get("/v1/customers")).json()["data"] == []


async def test_one_wrong_value_is_told_in_the_same_shape(api: httpx.AsyncClient) -> None:
    """Whoever reads `errors` need not look elsewhere when there is one."""
    found = (await api.post("/v1/customers", json={"external_customer_id": "a", "currency": "EURO"})).json()
    assert found["errors"] == [{name: found[name] for name in ("field", "problem", "limit", "cure")}]


@pytest.mark.parametrize(
    ("method", "path", "body", "field", "limit", "cure"),
    [
        ("POST", "syncs", {"what": "full"}, "connection", None, "add it"),
        ("POST", "syncs", {"connection": "stripe", "what": "all"}, "what", WHATS, "name one of these"),
        ("POST", "syncs", {"connection": "stripe", "what": "full", "fast": 1}, "fast", None, "leave it out"),
        ("POST", "syncs", {"connection": 7, "what": "full"}, "connection", "a string", None),
        ("GET", "customers?page_size=999", None, "page_size", "at most 100", None),
        ("GET", "customers?page=0", None, "page", "at least 1", None),
        ("GET", "customers?page=one", None, "page", "a whole number", None),
        ("GET", "customers?archived=perhaps", None, "archived", "true or false", None),
        ("GET", f"customers?search={'x' * 256}", None, "search", "at most 255 characters", None),
        ("PUT", "customers/a/mappings/stripe", {"remote_id": ""}, "remote_id", "at least 1 character", None),
        ("POST", "failures/retry", {"connection": "stripe", "subjects": MANY}, "subjects", "at most 1000", None),
        ("POST", "failures/retry", {"connection": "stripe", "subjects": "x"}, "subjects", "a list", None),
        ("GET", f"customers?page={'9' * 5000}", None, "page", "a smaller whole number", None),
        ("POST", "syncs", {"connection": "stripe", "what": "documents", "kinds": ["invoice"] * 4}, "kinds", "at most 3",
         "name each once, or send several requests"),
    ],
)  # fmt: skip
async def test_what_has_a_wrong_shape_says_what_it_may_be(
    api: httpx.AsyncClient, method: str, path: str, body: object, field: str, limit: str | None, cure: str | None
) -> None:
    """`Input should be a valid dictionary` is another program's, and has no cure."""
    answer = await api.request(method, f"/v1/{path}", json=body)
    found = answer.json()
    assert (answer.status_code, found["field"]) == (422, field)
    assert "nput should" not in found["detail"]
    (one,) = found["errors"]
    assert one.get("limit") == found.get("limit") == limit
    assert one["cure"] == found["cure"]
    assert cure in (None, one["cure"])


async def test_several_wrong_shapes_are_told_each_with_what_it_may_be(api: httpx.AsyncClient) -> None:
    """A body and a query alike."""
    found = (
        await api.post("/v1/syncs", json={"connection": "stripe", "what": "all", "kinds": ["quote"], "x": 1})
    ).json()
    assert [one["field"] for one in found["errors"]] == ["what", "kinds.0", "x"]
    assert told(found)["kinds.0"] == ("'invoice', 'payment' or 'credit_note'", "name one of these")
    assert '"quote"' in found["errors"][1]["problem"]

    found = (await api.get("/v1/customers?page=0&page_size=999")).json()
    assert {field: limit for field, (limit, _) in told(found).items()} == {
        "page": "at least 1",
        "page_size": "at most 100",
    }


@pytest.mark.parametrize(("sent", "shown"), [("null", "null"), ("true", "true"), ('["a"]', '["a"]')])
async def test_a_wrong_value_is_shown_as_it_was_sent(api: httpx.AsyncClient, sent: str, shown: str) -> None:
    """`None` and `True` stand in nobody's JSON."""
    body = f'{{"connection": {sent}, "what": "full"}}'
    found = (await api.post("/v1/syncs", content=body, headers=JSON)).json()
    assert (found["field"], found["problem"]) == ("connection", f"is {shown}")


async def test_half_a_character_is_told_in_our_words(api: httpx.AsyncClient) -> None:
    """Another program's words for it were passed on."""
    body = '{"remote_id": "\\ud800"}'
    found = (await api.put("/v1/customers/a/mappings/stripe", content=body, headers=JSON)).json()
    assert (found["problem"], found["limit"]) == ("contains half a surrogate pair", "valid Unicode")


@pytest.mark.parametrize("is_query", [True, False])
async def test_no_more_mistakes_are_told_than_anybody_reads(api: httpx.AsyncClient, *, is_query: bool) -> None:
    """Thousands of names that nobody reads were answered with a megabyte."""
    names = [f"x{number}" for number in range(4000)]
    if is_query:
        answer = await api.get(f"/v1/customers?{'&'.join(names)}")
    else:
        answer = await api.post("/v1/syncs", json={"connection": "stripe", "what": "full"} | dict.fromkeys(names, 1))
    assert (answer.status_code, len(answer.json()["errors"])) == (400 if is_query else 422, MOST_TOLD)


async def test_every_name_of_a_query_that_nobody_reads_is_told(api: httpx.AsyncClient) -> None:
    """One was corrected after the other."""
    answer = await api.get("/v1/customers?q=ada&page=1&colour=red")
    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (400, ["q", "colour"])


async def test_both_filters_that_name_nothing_are_told(api: httpx.AsyncClient) -> None:
    """A connection and a reason."""
    found = (await api.get("/v1/holds?connection=nope&reason=x")).json()
    assert list(told(found)) == ["connection", "reason"]


@pytest.mark.parametrize("what", ["customers", "documents"])
async def test_a_sync_of_customers_who_are_not_there_is_refused_at_once(
    api: httpx.AsyncClient, world: World, what: str
) -> None:
    """It was accepted, and failed later where nobody looked. The customer that is there waits, too: nothing is done."""
    await world.activate_all()
    await api.post("/v1/customers", json={"external_customer_id": "ada", "name": "Ada"})
    wanted = {"connection": "stripe", "what": what, "external_ids": ["nobody", "ada", "no one"]}
    answer = await api.post("/v1/syncs", json=wanted)
    found = answer.json()
    assert (answer.status_code, found["code"], found["field"]) == (404, "not_found", "external_ids")
    assert found["problem"] == "there is no customer 'nobody', 'no one'"
    assert found["cure"] == "`accord customers list` shows them"
    assert world.db.read_now(lambda tx: one_offs.oldest_in(tx, "stripe", "new")) is None


@pytest.mark.parametrize("what", ["full", "changes"])
async def test_customers_of_a_sync_of_everything_are_not_dropped_silently(api: httpx.AsyncClient, what: str) -> None:
    """Who named two customers had a sweep of all of them run."""
    wanted = {"connection": "stripe", "what": what, "external_ids": ["ada"]}
    answer = await api.post("/v1/syncs", json=wanted)
    assert (answer.status_code, answer.json()["field"]) == (422, "external_ids")
    assert answer.json()["cure"] == 'ask for "customers", or for "documents"'


async def test_children_of_whom_there_never_was_are_no_empty_list(api: httpx.AsyncClient) -> None:
    """A mistyped parent had no children, and was believed; one who was archived since may be asked about."""
    await api.post("/v1/customers", json={"external_customer_id": "top", "name": "Top"})
    assert (await api.get("/v1/customers?parent=top")).json()["data"] == []
    answer = await api.get("/v1/customers?parent=tpo")
    assert (answer.status_code, answer.json()["field"]) == (404, "parent")
    assert answer.json()["problem"] == "there is no customer 'tpo'"
    await api.delete("/v1/customers/top")
    assert (await api.get("/v1/customers?parent=top")).status_code == 200
