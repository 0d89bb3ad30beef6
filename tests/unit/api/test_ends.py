"""Links by hand and erasure over HTTP."""

from __future__ import annotations

import httpx
import pytest

from core.sync import registry
from tests.support.world import NAMES, World

pytestmark = pytest.mark.anyio

ADA = {"external_customer_id": "ada", "name": "Ada Lovelace", "email": "ada@example.test"}


async def test_an_object_is_let_go_and_tied_again(api: httpx.AsyncClient, world: World) -> None:
    """The answer is the mapping as it is then."""
    await world.activate_all()
    await api.post("/v1/customers", json=ADA)
    await world.settle()
    (remote_id,) = world.neutral("hubspot")
    place = "/v1/customers/ada/mappings/hubspot"
    assert (await api.delete(place, params={"remote_id": "x"})).json()["code"] == "invalid"
    gone = await api.delete(place)
    assert (gone.status_code, gone.json()["state"], gone.json()["note"]) == (200, "excluded", "unlinked")
    assert (await api.delete(place)).status_code == 404
    back = await api.put(place, json={"remote_id": remote_id})
    assert (back.json()["state"], back.json()["generation"], back.json()["remote_id"]) == ("live", 2, remote_id)
    assert (await api.put(place, json={"remote_id": remote_id})).status_code == 422
    assert (await api.put("/v1/customers/ada/mappings/nowhere", json={"remote_id": "1"})).status_code == 404


async def test_an_archived_customer_is_explained_and_brought_back(api: httpx.AsyncClient, world: World) -> None:
    """A program that archived the wrong one finds out, and takes it back."""
    await world.activate_all()
    await api.post("/v1/customers", json=ADA)
    await world.settle()
    objects = {one: next(iter(world.neutral(one))) for one in ("hubspot", "quickbooks", "stripe")}
    assert (await api.post("/v1/customers/ada/restore")).status_code == 422
    assert (await api.get("/v1/customers/ada/explain")).json()["archived"] is None
    await api.delete("/v1/customers/ada")
    told = (await api.get("/v1/customers/ada/explain")).json()
    assert (told["archived"]["by"], told["archived"]["answer"]) == ("api", None)
    assert {one["connection"]: one["object"] for one in told["mappings"]} == dict.fromkeys(objects, "left")
    done = (await api.post("/v1/customers/ada/restore")).json()
    assert (done["customer"]["name"], done["customer"]["deleted_at"], done["apart"]) == ("Ada Lovelace", None, [])
    assert {one["connection"]: one["remote_id"] for one in done["tied"]} == objects
    assert (await api.post("/v1/customers/nobody/restore")).status_code == 404
    await world.settle()
    assert {one: list(world.neutral(one)) for one in objects} == {one: [name] for one, name in objects.items()}


async def test_an_erased_customer_is_not_made_again_by_a_repeated_request(api: httpx.AsyncClient, world: World) -> None:
    """Its program did not hear the first answer and asks once more, with the same key, after the erasure."""
    key = {"idempotency-key": "k1"}
    await api.post("/v1/customers", json=ADA, headers=key)
    done = await api.delete("/v1/customers/ada/data")
    assert done.json() == {"external_customer_id": "ada", "customers": 1, "remains": [], "likely": [], "children": []}
    again = await api.post("/v1/customers", json=ADA, headers=key)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert (again.json().get("name"), again.json()["version"]) == (None, 0)
    assert again.json()["deleted_at"] is not None
    found = await api.get("/v1/customers/ada")
    assert (found.status_code, "one was erased" in found.text) == (404, True)
    assert (await api.delete("/v1/customers/ada/data")).status_code == 404
    made = await api.post("/v1/customers", json=ADA)
    assert made.status_code == 201
    assert world.db.read_now(lambda tx: registry.get(tx, "ada")).version == 1


async def test_an_erasure_leaves_the_answers_that_another_customer_s_program_waits_for(api: httpx.AsyncClient) -> None:
    """SQLite compares without regard to case: after `ada` was erased, ADA's program heard that its own was."""
    other = {"external_customer_id": "ADA", "name": "American Dental Association"}
    await api.post("/v1/customers", json=ADA, headers={"idempotency-key": "k1"})
    first = await api.post("/v1/customers", json=other, headers={"idempotency-key": "k2"})
    assert (await api.delete("/v1/customers/ada/data")).status_code == 200
    again = await api.post("/v1/customers", json=other, headers={"idempotency-key": "k2"})
    assert again.json() == first.json()


async def test_a_change_of_one_thing_keeps_every_other_key_and_every_mapping(
    api: httpx.AsyncClient, world: World
) -> None:
    """What a request leaves out is not asked to go: neither a key of the metadata nor a link to an object."""
    await world.activate_all()
    await api.post("/v1/customers", json={**ADA, "metadata": {"plan": "pro", "segment": "smb"}})
    await world.settle()
    before = (await api.get("/v1/customers/ada/mappings")).json()["data"]
    asked: list[dict[str, object]] = [{"phone": "+49301234567"}, {"metadata": {"plan": "team"}}, {"metadata": {}}]
    for changes in asked:
        assert (await api.patch("/v1/customers/ada", json=changes)).status_code == 200
        await world.settle()
    read = (await api.get("/v1/customers/ada")).json()
    assert (read["metadata"], read["phone"]) == ({"plan": "team", "segment": "smb"}, "+49301234567")
    after = (await api.get("/v1/customers/ada/mappings")).json()["data"]
    tie = ("id", "connection", "remote_id", "generation", "state")
    assert [[one[name] for name in tie] for one in after] == [[one[name] for name in tie] for one in before]
    assert [len(world.neutral(name)) for name in NAMES] == [1, 1, 1]
