"""/v1/customers: entering, reading, changing, deleting; every refusal says what to do."""

from __future__ import annotations

import json
from urllib.parse import quote

import httpx
import pytest

from core.ports import HttpResponse
from tests.support.world import World

pytestmark = pytest.mark.anyio

ADA = {"external_customer_id": "ada", "name": "Ada Lovelace", "email": "ada@example.test", "metadata": {"plan": "pro"}}
ODD_IDS = ["a/b c:ä", "a%2Fb", "x/mappings", "100%", "?#&=+", "山田 太郎", "...", "a//b", "C-1/../C-2"]


async def enter(api: httpx.AsyncClient, external_id: str, **fields: object) -> dict[str, object]:
    """Enter one customer."""
    answer = await api.post("/v1/customers", json={"external_customer_id": external_id, "name": "Ada", **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_customer_lives_and_ends(api: httpx.AsyncClient) -> None:
    """Entered, read, changed, deleted; its id is free again afterwards."""
    made = await api.post("/v1/customers", json=ADA)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    changes = {"phone": "+49301234567", "metadata": {"plan": None, "tier": "a"}}
    changed = await api.patch("/v1/customers/ada", json=changes)
    assert changed.status_code == 200
    read = await api.get("/v1/customers/ada")
    assert read.json() == changed.json()
    assert read.json()["metadata"] == {"tier": "a"}
    assert (read.json()["phone"], read.json()["version"], read.headers["etag"]) == ("+49301234567", 2, '"2"')
    gone = await api.delete("/v1/customers/ada")
    assert gone.json()["deleted_at"] is not None
    assert (await api.get("/v1/customers/ada")).status_code == 404
    assert (await enter(api, "ada"))["version"] == 1


@pytest.mark.parametrize("external_id", ODD_IDS)
async def test_an_id_of_any_characters_has_its_own_address(api: httpx.AsyncClient, external_id: str) -> None:
    """Ids come from other systems; a slash in one must not lead to another customer or route."""
    await enter(api, external_id, name="Odd")
    encoded = quote(external_id, safe="").replace(".", "%2E")
    place = httpx.URL(scheme="http", host="127.0.0.1", raw_path=f"/v1/customers/{encoded}".encode())
    assert (await api.get(place)).json()["external_customer_id"] == external_id
    below = place.copy_with(raw_path=place.raw_path + b"/mappings")
    assert (await api.get(below)).json() == {"data": []}
    assert (await api.patch(place, json={"name": "Odder"})).json()["name"] == "Odder"
    assert (await api.delete(place)).status_code == 200


@pytest.mark.parametrize("external_id", [".", ".."])
async def test_an_id_that_programs_take_out_of_an_address_is_refused(api: httpx.AsyncClient, external_id: str) -> None:
    """`DELETE /v1/customers/./data`, which erases one, leaves most programs as `DELETE /v1/customers/data`."""
    refused = await api.post("/v1/customers", json={"external_customer_id": external_id, "name": "Odd"})
    assert (refused.status_code, refused.json()["field"]) == (422, "external_customer_id")
    assert "is a step of a path" in refused.json()["problem"]
    assert (await api.get("/v1/customers")).json()["data"] == []


async def test_a_change_that_was_decided_on_an_older_version_is_refused(api: httpx.AsyncClient) -> None:
    """Two people, one customer: the second one must look again."""
    await enter(api, "ada", name="Ada")
    assert (await api.patch("/v1/customers/ada", json={"name": "A"}, headers={"if-match": '"1"'})).status_code == 200
    late = await api.patch("/v1/customers/ada", json={"name": "B"}, headers={"if-match": '"1"'})
    assert (late.status_code, late.json()["code"]) == (412, "version_conflict")
    assert late.json()["cure"]
    assert (await api.delete("/v1/customers/ada", headers={"if-match": "1"})).status_code == 412
    assert (await api.patch("/v1/customers/ada", json={"name": "B"}, headers={"if-match": "new"})).status_code == 422
    assert (await api.get("/v1/customers/ada")).json()["name"] == "A"
    assert (await api.delete("/v1/customers/ada", headers={"if-match": 'W/"2"'})).status_code == 200


async def test_a_repeated_create_with_its_key_gets_the_first_answer(api: httpx.AsyncClient) -> None:
    """A client whose connection broke repeats the request; it must not be told that the id is taken."""
    key = {"idempotency-key": "k" * 255}
    first = await api.post("/v1/customers", json=ADA, headers=key)
    await api.patch("/v1/customers/ada", json={"name": "Later"})
    again = await api.post("/v1/customers", json=ADA, headers=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    other = await api.post("/v1/customers", json={**ADA, "name": "Other"}, headers=key)
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    unkeyed = await api.post("/v1/customers", json=ADA)
    assert (unkeyed.status_code, unkeyed.json()["field"]) == (422, "external_customer_id")


@pytest.mark.parametrize("fields", [{}, {"name": "  ", "phone": None}])
async def test_a_customer_of_whom_nothing_is_known_is_not_entered(
    api: httpx.AsyncClient, fields: dict[str, object]
) -> None:
    """It stood in the registry for ever, and could not be told from any other one."""
    refused = await api.post("/v1/customers", json={"external_customer_id": "ada", **fields})
    assert (refused.status_code, refused.json()["field"]) == (422, "fields")
    assert (await api.get("/v1/customers")).json()["data"] == []


async def test_a_refused_create_leaves_its_key_free(api: httpx.AsyncClient) -> None:
    """Mending the request must be enough."""
    key = {"idempotency-key": "one"}
    assert (await api.post("/v1/customers", json={**ADA, "currency": "XXL"}, headers=key)).status_code == 422
    assert (await api.post("/v1/customers", json=ADA, headers=key)).status_code == 201


async def test_lists_are_paged_and_counted(api: httpx.AsyncClient) -> None:
    """By page for people, by cursor for programs; both go through every customer exactly once."""
    for number in range(25):
        await enter(api, f"c{number:02}", name=f"Name {number % 2}")
    page = (await api.get("/v1/customers", params={"page": 3, "page_size": 10})).json()
    assert [one["external_customer_id"] for one in page["data"]] == [f"c{number}" for number in range(20, 25)]
    assert page["meta"] == {"page": 3, "page_size": 10, "total": 25, "total_pages": 3, "next_cursor": None}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        step = (await api.get("/v1/customers", params={"cursor": cursor, "page_size": 10})).json()
        seen += [one["external_customer_id"] for one in step["data"]]
        cursor = step["meta"]["next_cursor"]
    assert seen == [f"c{number:02}" for number in range(25)]
    found = (await api.get("/v1/customers", params={"search": "name 1"})).json()
    assert found["meta"]["total"] == 12
    assert (await api.get("/v1/customers", params={"page_size": 101})).status_code == 422


async def test_archived_customers_are_listed_paged_and_counted_like_live_ones(api: httpx.AsyncClient) -> None:
    """A program that is to bring one back has its name, and not its id."""
    for number in range(5):
        await enter(api, f"c{number}", name=f"Name {number}", parent=None)
        assert (await api.delete(f"/v1/customers/c{number}")).status_code == 200
    await enter(api, "c3", name="Somebody else")
    await api.delete("/v1/customers/c4/data")
    seen: list[tuple[str, bool]] = []
    cursor: str | None = ""
    while cursor is not None:
        asked: dict[str, str | int] = {"archived": "true", "cursor": cursor, "page_size": 2}
        step = (await api.get("/v1/customers", params=asked)).json()
        seen += [(one["external_customer_id"], one["deleted_at"] is None) for one in step["data"]]
        cursor = step["meta"]["next_cursor"]
    assert seen == [("c0", False), ("c1", False), ("c2", False)], "c3 has another customer now, c4 was erased"
    page = (await api.get("/v1/customers", params={"archived": "true", "search": "name 1"})).json()
    assert ([one["name"] for one in page["data"]], page["meta"]["total"]) == (["Name 1"], 1)
    assert (await api.post("/v1/customers/c1/restore")).status_code == 200
    live = (await api.get("/v1/customers")).json()["data"]
    assert [one["external_customer_id"] for one in live] == ["c1", "c3"]


@pytest.mark.parametrize("external_id", ["KÖLN-7", "straße 2", "ΑΘΗΝΑ"])
async def test_a_customer_is_found_by_its_id_as_it_is_written(api: httpx.AsyncClient, external_id: str) -> None:
    """SQLite folds the letters of ASCII only, and nobody's database makes ss of ß."""
    await enter(api, external_id)
    found = (await api.get("/v1/customers", params={"search": external_id})).json()
    assert [one["external_customer_id"] for one in found["data"]] == [external_id]
    assert found["meta"]["total"] == 1


async def test_a_list_goes_on_after_a_customer_that_was_listed_and_nothing_else(api: httpx.AsyncClient) -> None:
    """Nonsense was a place in the alphabet: a page was skipped, and nobody told."""
    for name in ("a", "b", "c", "d"):
        await enter(api, name)
    for cursor in ("bb", "zzz", "B"):
        answer = await api.get("/v1/customers", params={"cursor": cursor})
        assert (answer.status_code, answer.json()["field"]) == (422, "cursor")
        assert "next_cursor" in answer.json()["cure"]
    assert (await api.delete("/v1/customers/b")).status_code == 200
    assert (await api.delete("/v1/customers/c/data")).status_code == 200
    for gone, rest in (("b", ["d"]), ("c", ["d"])):
        found = (await api.get("/v1/customers", params={"cursor": gone})).json()["data"]
        assert [one["external_customer_id"] for one in found] == rest, "it went away between two pages"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "X"}, "external_customer_id"),
        ({"external_customer_id": ""}, "external_customer_id"),
        ({"external_customer_id": "x", "nmae": "X"}, "nmae"),
        ({"external_customer_id": "x", "email": "nobody"}, "email"),
        ({"external_customer_id": "x", "billing_address": {"country": "Atlantis"}}, "billing_address.country"),
        ({"external_customer_id": "x", "billing_address": {"citi": "Berlin"}}, "billing_address.citi"),
        ({"external_customer_id": "x", "parent": "nobody"}, "parent"),
        ({"external_customer_id": "x", "name": 7}, "name"),
        ({"external_customer_id": "x", "name": "half \ud800"}, "name"),
        ({"external_customer_id": "x", "name": "nul \0"}, "name"),
    ],
)
async def test_bad_input_is_named_field_by_field(api: httpx.AsyncClient, body: dict[str, object], field: str) -> None:
    """A problem document with the field in it, and nothing entered."""
    answer = await api.post("/v1/customers", content=json.dumps(body), headers={"content-type": "application/json"})
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert (problem["field"], problem["status"], problem["code"]) == (field, 422, "invalid")
    assert problem["problem"]
    assert (await api.get("/v1/customers")).json()["data"] == []


async def test_garbage_is_no_request(api: httpx.AsyncClient) -> None:
    """Bytes that are no JSON, lists where objects belong."""
    for content in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"external_customer_id": ' + b"[" * 5000):
        answer = await api.post("/v1/customers", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) in ((422, "invalid"), (400, "bad_request")), content[:20]


async def test_the_story_of_a_customer_is_told(api: httpx.AsyncClient, world: World) -> None:
    """Mappings, timeline and explain, after the customer has reached all three systems."""
    await enter(api, "ada", name="Ada Lovelace", email="ada@example.test")
    await world.activate_all()
    mapped = (await api.get("/v1/customers/ada/mappings")).json()["data"]
    assert [(one["connection"], one["state"]) for one in mapped] == [
        ("hubspot", "live"),
        ("quickbooks", "live"),
        ("stripe", "live"),
    ]
    assert mapped[2]["base"]["name"] == ["Ada Lovelace", "Ada Lovelace"]
    actions = [one["action"] for one in (await api.get("/v1/customers/ada/timeline")).json()["data"]]
    assert actions[-1] == "create"
    assert actions.count("create") == 4
    told = (await api.get("/v1/customers/ada/explain")).json()
    assert told["fields"]["name"] == {"value": "Ada Lovelace", "source": "registry"}
    assert {one["connection"] for one in told["mappings"]} == {"stripe", "hubspot", "quickbooks"}


async def test_a_change_is_undone(api: httpx.AsyncClient) -> None:
    """The value that was replaced is back, and the undo is a change of its own."""
    await enter(api, "ada", name="Ada", phone="+49301234567")
    await api.patch("/v1/customers/ada", json={"name": "Wrong", "phone": "+49307654321"})
    change = (await api.get("/v1/customers/ada/timeline")).json()["data"][0]["change"]
    undone = await api.post(f"/v1/changes/{change}/undo", json={"field": "name"})
    assert undone.json() == {"external_customer_id": "ada", "fields": {"name": "Ada"}}
    read = (await api.get("/v1/customers/ada")).json()
    assert (read["name"], read["phone"]) == ("Ada", "+49307654321")
    late = await api.post(f"/v1/changes/{change}/undo", json={})
    assert late.status_code == 200, "what is as it would be is no newer value"
    await api.patch("/v1/customers/ada", json={"phone": "+49305555555"})
    newer = await api.post(f"/v1/changes/{change}/undo", json={})
    assert (newer.status_code, newer.json()["code"]) == (409, "version_conflict")
    assert "phone is +49305555555 since" in newer.json()["problem"]
    assert (await api.get("/v1/customers/ada")).json()["phone"] == "+49305555555"
    assert (await api.post(f"/v1/changes/{change}/undo", json={"anyway": True})).status_code == 200
    assert (await api.get("/v1/customers/ada")).json()["phone"] == "+49301234567"
    assert (await api.post("/v1/changes/999/undo", json={})).status_code == 404
    assert (await api.post(f"/v1/changes/{change}/undo", json={"field": "email"})).status_code == 422


@pytest.mark.parametrize("is_down", [False, True])
async def test_a_newer_value_at_a_system_is_not_undone(
    api: httpx.AsyncClient,
    world: World,
    is_down: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    """It is asked for it; one that does not answer may have one. `anyway` puts the old value back."""
    await enter(api, "ada", name="Ada", phone="+49301234567")
    await world.activate_all()
    await api.patch("/v1/customers/ada", json={"phone": "+49307654321"})
    change = (await api.get("/v1/customers/ada/timeline")).json()["data"][0]["change"]
    await world.settle()
    if is_down:
        world.exchanges["stripe"] = lambda _request: HttpResponse(503, {}, b"")
    else:
        (remote_id,) = world.neutral("stripe")
        world.lookalikes["stripe"].edit("customer", remote_id, {"phone": "+49305555555"})
    refused = await api.post(f"/v1/changes/{change}/undo", json={})
    assert (refused.status_code, refused.json()["code"]) == (409, "version_conflict")
    said = "stripe could not be read: " if is_down else "it was changed at stripe since, and is +49305555555 there"
    assert f"phone: {said}" in refused.json()["problem"]
    assert (await api.post(f"/v1/changes/{change}/undo", json={"anyway": True})).status_code == 200
