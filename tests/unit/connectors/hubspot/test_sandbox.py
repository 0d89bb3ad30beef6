"""The look-alike is as strict as HubSpot: every rule here fails a naive client."""

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from connectors.hubspot.sandbox import HubSpotSettings
from connectors.hubspot.sandbox.rules import Rule
from connectors.hubspot.webhook import HubSpotWebhooks
from core.errors import SignatureError
from core.ports import HttpRequest, Missing

CONTACTS = "/crm/objects/2026-09/contacts"
COMPANIES = "/crm/objects/2026-09/companies"


def new(world: Any, path: str = CONTACTS, **properties: str) -> tuple[int, Any]:
    """POST one object."""
    status, body, _ = world.call("POST", path, {"properties": properties, "associations": []})
    return status, body


def test_a_wrong_token_gets_nothing(world: Any) -> None:
    """401, with no state touched."""
    assert world.call("GET", CONTACTS, authorization="Bearer nope")[0] == 401
    assert world.call("GET", CONTACTS, authorization="")[0] == 401


def test_a_token_without_the_scope_is_told_which(make_world: Any) -> None:
    """403 MISSING_SCOPES names it."""
    world = make_world(HubSpotSettings(scopes=frozenset({"crm.objects.contacts.read"})))

    status, body, _ = world.call("POST", CONTACTS, {"properties": {}, "associations": []})

    assert status == 403
    assert body["errors"][0]["context"]["requiredGranularScopes"] == ["crm.objects.contacts.write"]
    assert world.call("GET", CONTACTS)[0] == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/crm/objects/2026-01/contacts"),
        ("GET", "/crm/objects/2026-09/deals"),
        ("PUT", CONTACTS + "/1"),
        ("GET", CONTACTS + "/1/associations"),
        ("GET", "/nowhere"),
        ("DELETE", "/crm/properties/2026-09/contacts/email"),
    ],
)
def test_unknown_paths_are_answered_in_html(world: Any, method: str, path: str) -> None:
    """As HubSpot's web server does: a client that parses JSON blindly falls over here."""
    status, body, _ = world.call(method, path, {})

    assert status == 404
    assert b"<html>" in body


def test_both_dated_and_old_paths_lead_to_the_same_account(world: Any) -> None:
    """Version paths and v3, names and type ids."""
    new(world, firstname="Ada")
    for path in (CONTACTS, "/crm/objects/2026-03/contact", "/crm/v3/objects/contacts", "/crm/objects/2026-09/0-1"):
        assert len(world.call("GET", path)[1]["results"]) == 1
    for path in ("/account-info/2026-09/details", "/account-info/v3/details"):
        assert world.call("GET", path)[1]["portalId"] == world.hubspot.settings.portal_id


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"firstname": "A", "shoe_size": "9"}, "PROPERTY_DOESNT_EXIST"),
        ({"firstname": "A", "hs_object_id": "9"}, "READ_ONLY_VALUE"),
        ({"firstname": "A" * 65_537}, "INVALID_LENGTH"),
        ({"email": "nobody"}, "INVALID_EMAIL"),
    ],
)
def test_an_invalid_property_is_refused(world: Any, properties: dict[str, str], code: str) -> None:
    """400, with a JSON list inside the message."""
    status, body = new(world, **properties)

    assert status == 400
    told = json.loads(body["message"].partition("not valid: ")[2])
    assert told[0]["error"] == code


@pytest.mark.parametrize(
    "body",
    [
        b"{nonsense",
        [],
        {"properties": {"firstname": "A"}},
        {"associations": []},
        {"properties": {"firstname": 7}, "associations": []},
        {"properties": {"phone": "1"}, "associations": []},
        {"properties": {"firstname": "A"}, "associations": [{"to": {"id": "1"}, "types": []}]},
    ],
)
def test_a_create_of_the_wrong_shape_is_refused(world: Any, body: Any) -> None:
    """Both `associations` and `properties` are needed, values are strings, and somebody must have a name."""
    assert world.call("POST", CONTACTS, body)[0] == 400
    assert not world.hubspot.objects("customer")


def test_contacts_are_deduplicated_on_their_email_and_companies_are_not(world: Any) -> None:
    """Trimmed and lower-cased first; 409 with the id of the other; an archived one frees the address."""
    first = new(world, email=" Ada@Example.com ")[1]
    status, body = new(world, email="ADA@example.com")

    assert first["properties"]["email"] == "ada@example.com"
    assert (status, body["message"]) == (409, f"Contact already exists. Existing ID: {first['id']}")
    assert new(world, COMPANIES, name="Acme", domain="acme.example")[0] == 201
    assert new(world, COMPANIES, name="Acme", domain="acme.example")[0] == 201
    assert world.call("DELETE", f"{CONTACTS}/{first['id']}")[0] == 204
    assert world.call("DELETE", f"{CONTACTS}/{first['id']}")[0] == 204
    assert new(world, email="ada@example.com")[0] == 201


def test_a_freed_email_can_be_taken_and_is_not_given_back(world: Any) -> None:
    """Cleared or archived: another contact may have it, and then the old one cannot be restored with it."""
    first = world.hubspot.edit("customer", None, {"name": "Ada", "email": "a@x.example"})
    world.hubspot.edit("customer", first, {"email": None})
    world.hubspot.edit("customer", first, {"email": "b@x.example"})
    second = world.hubspot.edit("customer", None, {"name": "Bob", "email": "a@x.example"})
    world.hubspot.delete("customer", first)
    world.hubspot.edit("customer", second, {"email": "b@x.example"})

    with pytest.raises(ValueError, match="already has that email"):
        world.hubspot.restore("customer", first)
    world.hubspot.edit("customer", second, {"email": "c@x.example"})
    world.hubspot.restore("customer", first)
    assert new(world, email="b@x.example")[0] == 409


def test_an_update_cannot_take_anothers_email(world: Any) -> None:
    """But may repeat its own."""
    first, second = new(world, email="a@x.example")[1], new(world, email="b@x.example")[1]
    body = {"properties": {"email": "a@x.example"}}

    assert world.call("PATCH", f"{CONTACTS}/{second['id']}", body)[0] == 409
    assert world.call("PATCH", f"{CONTACTS}/{first['id']}", body)[0] == 200
    assert world.call("PATCH", f"{CONTACTS}/999999", body)[0] == 404


def test_unique_properties_are_unique(world: Any) -> None:
    """Our marker on two objects would let one customer be two."""
    first = new(world, firstname="A", accord_ref="i.m.1")[1]
    status, body = new(world, firstname="B", accord_ref="i.m.1")

    assert status == 400
    assert f"{first['id']} already has that value" in body["message"]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"name": "Bad"}, 400),
        ({"name": "9lives"}, 400),
        ({"name": "a" * 101}, 400),
        ({"label": ""}, 400),
        ({"groupName": "nowhere"}, 400),
        ({"type": "text"}, 400),
        ({"name": "email"}, 409),
        ({}, 201),
        ({"hasUniqueValue": True}, 201),
    ],
)
def test_properties_are_defined_by_hubspots_rules(world: Any, more: dict[str, Any], status: int) -> None:
    """Names, labels, groups; 409 for what exists."""
    body = {"name": "size", "label": "Size", "type": "string", "fieldType": "text", "groupName": "accord"}

    assert world.call("POST", "/crm/properties/2026-09/contacts", body | more)[0] == status


def test_an_enumeration_takes_the_internal_values_of_its_options_alone(world: Any) -> None:
    """PROVIDERS §5: neither what people read on the page, nor a value that nobody has put on the list."""
    path = "/crm/properties/2026-09/contacts"
    body = {"name": "tier", "label": "Tier", "type": "enumeration", "fieldType": "checkbox", "groupName": "accord"}
    options = [{"label": name.title(), "value": name, "displayOrder": 1, "hidden": False} for name in ("gold", "blue")]
    assert world.call("POST", path, body)[0] == 400
    assert world.call("POST", path, body | {"options": options})[0] == 201

    for wrong in ("Gold", "red", "gold;red", "gold, blue"):
        assert "INVALID_OPTION" in new(world, firstname="A", tier=wrong)[1]["message"]
    assert new(world, firstname="A", tier="gold;blue")[1]["properties"]["tier"] == "gold;blue"
    assert new(world, firstname="A", tier="")[0] == 201


def test_ten_unique_properties_are_the_most(world: Any) -> None:
    """PROVIDERS §2."""
    body = {"label": "x", "type": "string", "fieldType": "text", "groupName": "accord", "hasUniqueValue": True}
    answers = [world.call("POST", "/crm/properties/2026-09/contacts", body | {"name": f"u{n}"})[0] for n in range(10)]

    assert answers == [201] * 9 + [400]  # accord_ref is one of them


def test_a_thousand_custom_properties_are_the_most(make_world: Any) -> None:
    """PROVIDERS §5: an account that is full of others' properties has no room for ours."""
    world, path = make_world(), "/crm/properties/2026-09/contacts"
    body = {"label": "x", "type": "string", "fieldType": "text", "groupName": "contactinformation"}
    answers = [world.call("POST", path, body | {"name": f"p{n}"})[0] for n in range(1_001)]

    assert answers == [201] * 1_000 + [400]


def test_an_archived_property_is_unknown_and_comes_back_as_it_was(world: Any) -> None:
    """PROVIDERS §2: whoever makes it again believes that its definition is the one just sent."""
    found = new(world, firstname="A", accord_ref="i.m.1")[1]
    world.hubspot.archive_property("contact", "accord_ref")
    path = f"{CONTACTS}/{found['id']}"

    assert new(world, firstname="B", accord_ref="i.m.2")[0] == 400
    assert "accord_ref" not in world.call("GET", path + "?properties=accord_ref")[1]["properties"]
    assert world.call("GET", f"{CONTACTS}/i.m.1?idProperty=accord_ref")[0] == 400
    assert world.call("GET", "/crm/properties/2026-09/contacts/accord_ref")[0] == 404
    body = {"name": "accord_ref", "label": "x", "type": "number", "fieldType": "number", "groupName": "accord"}
    status, made, _ = world.call("POST", "/crm/properties/2026-09/contacts", body)
    assert (status, made["type"], made["hasUniqueValue"]) == (201, "string", True)
    assert world.call("GET", path + "?properties=accord_ref")[1]["properties"]["accord_ref"] == "i.m.1"


def test_groups_and_definitions_can_be_read(world: Any) -> None:
    """409 for a group that exists; 404 for a property that does not."""
    path = "/crm/properties/2026-09/contacts"

    assert world.call("POST", path + "/groups", {"name": "accord", "label": "x"})[0] == 409
    assert world.call("POST", path + "/groups", {"name": "x"})[0] == 400
    assert world.call("GET", path + "/accord_ref")[1]["hasUniqueValue"] is True
    assert world.call("GET", path + "/nothing")[0] == 404


def test_only_what_is_asked_for_is_returned(world: Any) -> None:
    """A client that does not name its properties sees three of them; unknown ones are ignored."""
    found = new(world, firstname="Ada", phone="1")[1]
    always = {"createdate", "hs_object_id", "lastmodifieddate"}

    plain = world.call("GET", CONTACTS)[1]["results"][0]["properties"]
    asked = world.call("GET", f"{CONTACTS}/{found['id']}?properties=phone,city,nothing")[1]["properties"]

    assert plain.keys() == {"firstname", "lastname", "email"} | always
    assert asked.keys() == {"phone", "city"} | always
    assert asked["city"] is None


def test_a_listing_goes_by_ascending_id_in_pages_of_at_most_a_hundred(world: Any) -> None:
    """Archived objects are only in the archived listing; with history fifty is the most."""
    ids = [new(world, firstname=f"A{number}")[1]["id"] for number in range(5)]
    world.hubspot.delete("customer", f"contact:{ids[1]}")

    page = world.call("GET", CONTACTS + "?limit=2")[1]
    rest = world.call("GET", CONTACTS + f"?limit=2&after={page['paging']['next']['after']}")[1]

    assert [one["id"] for one in page["results"] + rest["results"]] == [ids[0], *ids[2:]]
    assert "paging" not in rest
    assert [one["id"] for one in world.call("GET", CONTACTS + "?archived=true")[1]["results"]] == [ids[1]]
    assert world.call("GET", f"{CONTACTS}/{ids[1]}")[0] == 404
    assert world.call("GET", f"{CONTACTS}/{ids[1]}?archived=true")[0] == 400
    assert world.call("POST", f"{CONTACTS}/batch/read?archived=true", {"inputs": [{"id": ids[1]}]})[0] == 400
    for query in ("limit=101", "limit=0", "limit=x", "after=x", "limit=51&propertiesWithHistory=email"):
        assert world.call("GET", f"{CONTACTS}?{query}")[0] == 400


def test_the_recycle_bin_keeps_an_object_for_ninety_days(world: Any) -> None:
    """PROVIDERS §3: whoever looks for what was deleted less often than that never hears of it."""
    first, second = (world.hubspot.edit("customer", None, {"name": name}) for name in ("Ada", "Bob"))
    world.hubspot.delete("customer", first)
    world.clock.time += 86_400
    world.hubspot.restore("customer", first)
    world.hubspot.delete("customer", first)
    world.hubspot.delete("customer", second)
    world.clock.time += 90 * 86_400 - 1
    assert len(world.call("GET", CONTACTS + "?archived=true")[1]["results"]) == 2
    world.hubspot.restore("customer", second)

    world.clock.time += 1
    assert world.call("GET", CONTACTS + "?archived=true")[1]["results"] == []
    with pytest.raises(KeyError):
        world.hubspot.restore("customer", first)
    assert world.hubspot.objects("customer").keys() == {second}


def test_search_finds_nothing_for_a_while_after_a_write(world: Any) -> None:
    """Ten seconds here: a client that looks up what it has just made makes it twice."""
    found = new(world, firstname="Ada")[1]
    query = {"filterGroups": [{"filters": [{"propertyName": "firstname", "operator": "EQ", "value": "Ada"}]}]}

    assert world.call("POST", CONTACTS + "/search", query)[1]["total"] == 0
    world.clock.time += 10
    assert world.call("POST", CONTACTS + "/search", query)[1]["results"][0]["id"] == found["id"]
    world.hubspot.delete("customer", f"contact:{found['id']}")
    assert world.call("POST", CONTACTS + "/search", query)[1]["total"] == 1
    world.clock.time += 10
    assert world.call("POST", CONTACTS + "/search", query)[1]["total"] == 0


def flt(name: str, operator: str, value: Any) -> dict[str, Any]:
    """One filter."""
    return {"propertyName": name, "operator": operator, "value": value}


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 201},
        {"limit": 0},
        {"limit": 200, "after": "9801"},
        {"limit": "x"},
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [flt("phone", "EQ", "1")] * 7}]},
        {"filterGroups": [{"filters": [flt("phone", "EQ", "1")] * 5}] * 4},
        {"filterGroups": [{"filters": [flt("nothing", "EQ", "1")]}]},
        {"filterGroups": [{"filters": [flt("phone", "LIKE", "1")]}]},
        {"filterGroups": [{"filters": [flt("phone", "EQ", 1)]}]},
        {"filterGroups": [{"filters": [flt("hs_object_id", "GT", "x")]}]},
        {"sorts": [{"propertyName": "phone"}, {"propertyName": "email"}]},
        {"filterGroups": [{"filters": [flt("phone", "EQ", "x" * 3_000)]}]},
        {"query": "Ada"},
    ],
)
def test_search_has_limits(world: Any, query: dict[str, Any]) -> None:
    """200 a page, 10,000 altogether, 5 groups, 6 filters, 3,000 characters, one sort (PROVIDERS §1)."""
    assert world.call("POST", CONTACTS + "/search", query)[0] == 400


def test_search_compares_and_sorts(world: Any) -> None:
    """Numbers for ids and times, text for the rest; blanks never match."""
    ids = [new(world, firstname=name)[1]["id"] for name in ("b", "c", "a")]
    new(world, lastname="z")
    world.clock.time += 20

    def found(**query: Any) -> list[str]:
        return [one["id"] for one in world.call("POST", CONTACTS + "/search", query)[1]["results"]]

    by_name = [{"propertyName": "firstname", "direction": "ASCENDING"}]
    named = [{"filters": [flt("firstname", "GTE", "a")]}]
    assert found(filterGroups=named, sorts=by_name) == [ids[2], ids[0], ids[1]]
    down = [{"propertyName": "hs_object_id", "direction": "DESCENDING"}]
    assert found(filterGroups=named, sorts=down, limit=2) == [ids[2], ids[1]]
    assert found(filterGroups=named, sorts=down, limit=2, after="2") == [ids[0]]
    both = [{"filters": [flt("hs_object_id", "GT", ids[0]), flt("firstname", "LT", "b")]}]
    assert found(filterGroups=both) == [ids[2]]
    assert world.call("POST", CONTACTS + "/search", {"limit": 2})[1]["paging"]["next"]["after"] == "2"


def test_search_by_offset_misses_what_moved_up_when_something_was_edited(world: Any) -> None:
    """Sorted by the time of the change: whoever was edited meanwhile is at the end, and all others are one place up."""
    ids = []
    for number in range(6):
        world.clock.time += 1
        ids.append(new(world, firstname=f"N{number}")[1]["id"])
    world.clock.time += 20
    by_time = {"sorts": [{"propertyName": "lastmodifieddate", "direction": "ASCENDING"}], "limit": 3}
    first = world.call("POST", CONTACTS + "/search", by_time)[1]
    world.hubspot.edit("customer", f"contact:{ids[0]}", {"phone": "1"})
    world.clock.time += 20

    second = world.call("POST", CONTACTS + "/search", by_time | {"after": first["paging"]["next"]["after"]})[1]
    found = {one["id"] for one in (*first["results"], *second["results"])}
    assert set(ids) - found == {ids[3]}


def test_search_ends_at_ten_thousand_and_leaves_the_newest_out(world: Any) -> None:
    """The total counts all of them; whoever goes on by the offset is refused, and never sees the last ones."""
    for number in range(10_001):
        world.hubspot.edit("customer", None, {"name": f"A{number}"})
    world.clock.time += 20
    by_id = {"sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}], "limit": 200}

    status, last, _ = world.call("POST", CONTACTS + "/search", by_id | {"after": "9800"})
    assert (status, last["total"], len(last["results"])) == (200, 10_001, 200)
    assert world.call("POST", CONTACTS + "/search", by_id | {"after": last["paging"]["next"]["after"]})[0] == 400
    beyond = [{"filters": [flt("hs_object_id", "GT", last["results"][-1]["id"])]}]
    rest = world.call("POST", CONTACTS + "/search", by_id | {"filterGroups": beyond})[1]["results"]
    newest = max(int(one.removeprefix("contact:")) for one in world.hubspot.objects("customer"))
    assert [one["id"] for one in rest] == [str(newest)]


@pytest.mark.parametrize("inputs", [None, {}, {"id": "1"}, [], [1], [{"id": str(number)} for number in range(101)]])
@pytest.mark.parametrize("action", ["read", "create", "update", "upsert", "archive"])
def test_batches_hold_one_to_a_hundred(world: Any, action: str, inputs: Any) -> None:
    """101 is refused whole."""
    assert world.call("POST", f"{CONTACTS}/batch/{action}", {"inputs": inputs})[0] == 400


def test_a_batch_read_names_what_is_not_there(world: Any) -> None:
    """207, with the ids in the error's context; archived objects are not there."""
    found = new(world, firstname="Ada", accord_ref="i.m.1")[1]
    ids = [{"id": found["id"]}, {"id": "999999"}]

    status, body, _ = world.call("POST", CONTACTS + "/batch/read", {"inputs": ids})

    assert status == 207
    assert [one["id"] for one in body["results"]] == [found["id"]]
    assert body["errors"][0]["context"]["ids"] == ["999999"]
    marked = {"inputs": [{"id": "i.m.1"}], "idProperty": "accord_ref"}
    assert world.call("POST", CONTACTS + "/batch/read", marked)[1]["results"][0]["id"] == found["id"]
    assert world.call("POST", CONTACTS + "/batch/read", marked | {"idProperty": "phone"})[0] == 400
    many = {"inputs": [{"id": str(one)} for one in range(51)], "propertiesWithHistory": ["phone"]}
    assert world.call("POST", CONTACTS + "/batch/read", many)[0] == 400


def test_one_bad_input_without_trace_ids_fails_the_whole_batch(world: Any) -> None:
    """With trace ids it is a 207, and the others are written."""
    new(world, email="a@x.example")
    inputs = [
        {"properties": {"email": "b@x.example"}, "associations": []},
        {"properties": {"email": "a@x.example"}, "associations": []},
    ]

    assert world.call("POST", CONTACTS + "/batch/create", {"inputs": inputs})[0] == 409
    assert len(world.hubspot.objects("customer")) == 1
    traced = [one | {"objectWriteTraceId": str(number)} for number, one in enumerate(inputs)]
    status, body, _ = world.call("POST", CONTACTS + "/batch/create", {"inputs": traced})
    assert status == 207
    assert body["results"][0]["objectWriteTraceId"] == "0"
    assert body["errors"][0]["context"]["objectWriteTraceId"] == ["1"]
    assert len(world.hubspot.objects("customer")) == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"properties": {"phone": "1"}, "associations": []},
        {"properties": {"firstname": "B"}},
        {"properties": {"email": "a@x.example"}, "associations": []},
    ],
)
def test_whatever_is_wrong_with_one_input_nothing_of_an_untraced_batch_is_executed(world: Any, bad: Any) -> None:
    """No name, no associations, or the e-mail of another input of the same batch."""
    good = {"properties": {"email": "a@x.example"}, "associations": []}

    assert world.call("POST", CONTACTS + "/batch/create", {"inputs": [good, bad]})[0] == 400
    assert not world.hubspot.objects("customer")


def test_administrators_rules_hold_for_the_api(make_world: Any) -> None:
    """PROVIDERS §2: 400 with a code of its own, also for an update that leaves a required property blank."""
    always, sometimes = Rule("contact", "phone"), Rule("contact", "city", ("lifecyclestage", "customer"))
    world = make_world(HubSpotSettings(rules=(always, sometimes)))

    def code(answer: Any) -> str:
        return str(json.loads(answer[1]["message"].partition("not valid: ")[2])[0]["error"])

    assert code(new(world, firstname="Ada")) == "MISSING_REQUIRED_PROPERTY"
    refused = new(world, firstname="Ada", phone="1", lifecyclestage="customer")
    assert code(refused) == "MISSING_CONDITIONAL_REQUIRED_PROPERTY"
    found = new(world, firstname="Ada", phone="1", lifecyclestage="lead")[1]
    assert new(world, COMPANIES, name="Acme")[0] == 201
    for cleared in ({"phone": ""}, {"lifecyclestage": "customer"}):
        path = f"{CONTACTS}/{found['id']}"
        assert world.call("PATCH", path, {"properties": cleared})[0] == 400
        inputs = [{"id": found["id"], "properties": cleared, "objectWriteTraceId": "k"}]
        assert world.call("POST", CONTACTS + "/batch/update", {"inputs": inputs})[0] == 207


def test_an_untraced_batch_that_is_right_is_written(world: Any) -> None:
    """Without any trace id in the answer."""
    inputs = [{"properties": {"firstname": "A"}, "associations": []}]

    _, created, _ = world.call("POST", CONTACTS + "/batch/create", {"inputs": inputs})
    update = {"inputs": [{"id": created["results"][0]["id"], "properties": {"firstname": "B"}}]}
    status, body, _ = world.call("POST", CONTACTS + "/batch/update", update)

    assert status == 200
    assert body["results"][0]["properties"]["firstname"] == "B"
    assert "objectWriteTraceId" not in body["results"][0]
    assert world.call("POST", CONTACTS + "/batch/update", {"inputs": update["inputs"] * 2})[0] == 400
    gone = {"inputs": [{"id": "999999", "properties": {}}]}
    assert world.call("POST", CONTACTS + "/batch/update", gone)[0] == 404


def test_upsert_creates_once_and_then_updates(world: Any) -> None:
    """`new` tells which; the id property must be unique, and is set by the upsert itself."""
    one = {"id": "i.m.1", "idProperty": "accord_ref", "properties": {"firstname": "Ada"}, "objectWriteTraceId": "k"}

    first = world.call("POST", CONTACTS + "/batch/upsert", {"inputs": [one]})[1]["results"][0]
    again = world.call("POST", CONTACTS + "/batch/upsert", {"inputs": [one]})[1]["results"][0]

    assert (first["new"], again["new"], first["id"] == again["id"]) == (True, False, True)
    assert first["properties"]["accord_ref"] == "i.m.1"
    plain = {"id": "i.m.2", "idProperty": "accord_ref", "properties": {"firstname": "Bob"}}
    made = world.call("POST", CONTACTS + "/batch/upsert", {"inputs": [plain]})[1]["results"][0]
    assert (made["new"], "objectWriteTraceId" in made) == (True, False)
    for broken in ({"idProperty": "email"}, {"idProperty": "phone"}, {"id": ""}, {"idProperty": 7}):
        untraced = {key: value for key, value in (one | broken).items() if key != "objectWriteTraceId"}
        assert world.call("POST", CONTACTS + "/batch/upsert", {"inputs": [untraced]})[0] == 400


def test_every_write_moves_the_modification_time(world: Any) -> None:
    """Also one that changes nothing: a client that trusts it sees edits that are none."""
    found = new(world, firstname="Ada")[1]
    world.clock.time += 5

    again = world.call("PATCH", f"{CONTACTS}/{found['id']}", {"properties": {"firstname": "Ada"}})[1]

    assert again["properties"]["lastmodifieddate"] > found["properties"]["lastmodifieddate"]
    assert again["createdAt"] == found["createdAt"]


def test_a_merge_makes_a_new_id_that_the_old_ones_lead_to(world: Any) -> None:
    """The survivor lists what it absorbed; the primary's values stand; the e-mail stays unique."""
    first = world.hubspot.edit("customer", None, {"name": "Ada", "email": "a@x.example"})
    second = world.hubspot.edit("customer", None, {"name": "Bob", "email": "b@x.example", "phone": "1"})

    merged = world.hubspot.merge("customer", first, second)

    assert merged not in (first, second)
    assert list(world.hubspot.objects("customer")) == [merged]
    assert world.hubspot.neutral("customer")[merged]["phone"] == "1"
    old = first.partition(":")[2]
    shown = world.call("GET", f"{CONTACTS}/{old}?properties=hs_merged_object_ids,email")[1]
    assert f"contact:{shown['id']}" == merged
    assert shown["properties"]["hs_merged_object_ids"] == f"{old};{second.partition(':')[2]}"
    assert new(world, email="a@x.example")[0] == 409
    other = new(world, firstname="C")[1]
    body = {"primaryObjectId": other["id"], "objectIdToMerge": shown["id"]}
    assert world.call("POST", CONTACTS + "/merge", body)[0] == 200
    assert world.call("POST", CONTACTS + "/merge", {"primaryObjectId": "1", "objectIdToMerge": "1"})[0] == 400


@pytest.mark.parametrize("makes_id", [True, False])
def test_a_merge_of_merged_ones_lists_all_and_search_forgets_them_late(make_world: Any, *, makes_id: bool) -> None:
    """PROVIDERS §3: who keeps the last two only loses the third."""
    world = make_world(HubSpotSettings(merge_makes_id=makes_id))
    one, two, three = (world.hubspot.edit("customer", None, {"name": name}) for name in ("Ada", "Bob", "Eve"))
    world.clock.time += 10
    first = world.hubspot.merge("customer", one, two)
    last = world.hubspot.merge("customer", three, first)
    path = f"{CONTACTS}/{last.partition(':')[2]}?properties=hs_merged_object_ids"
    named = set(world.call("GET", path)[1]["properties"]["hs_merged_object_ids"].split(";"))

    assert named | {last.partition(":")[2]} == {each.partition(":")[2] for each in (one, two, three, first, last)}
    by_id = {"sorts": [{"propertyName": "hs_object_id"}]}
    assert world.call("POST", CONTACTS + "/search", by_id)[1]["total"] == 3
    world.clock.time += 10
    found = world.call("POST", CONTACTS + "/search", by_id)[1]["results"]
    assert [each["id"] for each in found] == [last.partition(":")[2]]


def test_what_is_blank_at_the_primary_comes_from_the_absorbed_one(world: Any) -> None:
    """A value that was cleared is no value."""
    one, two = (world.hubspot.edit("customer", None, {"name": name, "phone": name}) for name in ("Ada", "Bob"))
    world.hubspot.edit("customer", one, {"phone": None})

    merged = world.hubspot.merge("customer", one, two)
    assert world.hubspot.neutral("customer")[merged]["phone"] == "Bob"


def test_a_merge_may_leave_the_primary_its_id(make_world: Any) -> None:
    """PROVIDERS §3: it may make a new one. Whoever counts on that looks for a survivor that is nobody new."""
    world = make_world(dataclasses.replace(HOOKED, merge_makes_id=False))
    first = world.hubspot.edit("customer", None, {"name": "Ada", "email": "a@x.example"})
    second = world.hubspot.edit("customer", None, {"name": "Bob", "email": "b@x.example", "phone": "1"})
    world.hubspot.due_webhooks(world.clock.now())

    assert world.hubspot.merge("customer", first, second) == first
    there = world.hubspot.neutral("customer")
    assert [(name, one["email"], one["phone"]) for name, one in there.items()] == [(first, "a@x.example", "1")]
    shown = world.call("GET", f"{CONTACTS}/{second.partition(':')[2]}?properties=hs_merged_object_ids")[1]
    assert (f"contact:{shown['id']}", shown["properties"]["hs_merged_object_ids"]) == (first, second.partition(":")[2])
    assert new(world, email="b@x.example")[0] == 201
    (sent,) = world.hubspot.due_webhooks(world.clock.now())
    (told,) = [one for one in HubSpotWebhooks().notices(sent.delivery.body) if one.merged]
    assert (told.remote_id, told.merged) == (first, (second,))


def test_whether_a_merged_away_id_leads_to_its_survivor_is_a_setting(make_world: Any) -> None:
    """PROVIDERS §3 has it unverified: where it does not, only the survivor tells whom it absorbed."""
    world = make_world(HubSpotSettings(follows_merges=False))
    first, second = (world.hubspot.edit("customer", None, {"name": name}) for name in ("Ada", "Bob"))
    merged = world.hubspot.merge("customer", first, second)

    assert world.call("GET", f"{CONTACTS}/{first.partition(':')[2]}")[0] == 404
    assert world.run(world.connector.read("customer", [first, second])) == {
        first: Missing(first),
        second: Missing(second),
    }
    path = f"{CONTACTS}/{merged.partition(':')[2]}?properties=hs_merged_object_ids"
    named = world.call("GET", path)[1]["properties"]["hs_merged_object_ids"]
    assert {f"contact:{one}" for one in named.split(";")} == {first, second}


def test_history_tells_who_wrote_what(world: Any) -> None:
    """Newest first, with the source."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1"})
    path = f"{CONTACTS}/{remote_id.partition(':')[2]}"
    world.call("PATCH", path, {"properties": {"phone": "2"}})

    told = world.call("GET", path + "?propertiesWithHistory=phone")[1]["propertiesWithHistory"]["phone"]

    assert [(one["value"], one["sourceType"]) for one in told] == [("2", "INTEGRATION"), ("1", "CRM_UI")]


def test_too_many_calls_are_refused_with_the_published_bodies(make_world: Any) -> None:
    """190 in ten seconds, searches among them, and five searches a second; search answers bear no headers."""
    world = make_world(HubSpotSettings(enforce_limits=True))
    searches = [world.call("POST", CONTACTS + "/search", {}) for _ in range(6)]
    answers = [world.call("GET", CONTACTS) for _ in range(186)]

    assert [one[0] for one in answers] == [200] * 185 + [429]
    body = answers[-1][1]
    assert (body["policyName"], body["errorType"]) == ("TEN_SECONDLY_ROLLING", "RATE_LIMIT")
    assert body["message"] == "You have reached your ten_secondly_rolling limit."
    assert answers[-1][2]["x-hubspot-ratelimit-remaining"] == "0"
    assert "retry-after" not in answers[-1][2]
    assert answers[4][2]["x-hubspot-ratelimit-remaining"] == "180"
    assert [one[0] for one in searches] == [200] * 5 + [429]
    assert searches[-1][1]["policyName"] == "SECONDLY"
    assert not [name for one in searches for name in one[2] if "ratelimit" in name]
    world.clock.time += 10
    assert world.call("GET", CONTACTS)[0] == 200


def test_a_daily_allowance_refuses_the_next_call_until_midnight_where_the_account_is(make_world: Any) -> None:
    """Searches count too; a client that waits ten seconds for a DAILY refusal is refused all day."""
    world = make_world(HubSpotSettings(enforce_limits=True, daily=3))
    searched = world.call("POST", CONTACTS + "/search", {})
    first, second = world.call("GET", CONTACTS), world.call("GET", CONTACTS)

    assert not [name for name in searched[2] if "daily" in name]
    assert [one[2]["x-hubspot-ratelimit-daily"] for one in (first, second)] == ["3", "3"]
    assert [one[2]["x-hubspot-ratelimit-daily-remaining"] for one in (first, second)] == ["1", "0"]
    rome = datetime.fromtimestamp(world.clock.now(), ZoneInfo("Europe/Rome"))
    midnight = (rome.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)).timestamp()
    for now in (world.clock.now() + 10, midnight - 1):
        world.clock.time = now
        status, body, headers = world.call("GET", CONTACTS)
        assert (status, body["policyName"], body["errorType"]) == (429, "DAILY", "RATE_LIMIT")
        assert headers["x-hubspot-ratelimit-daily-remaining"] == "0"
    world.clock.time = midnight
    assert world.call("GET", CONTACTS)[0] == 200


def test_an_oauth_token_has_no_daily_allowance_and_no_headers_of_one(make_world: Any) -> None:
    """A client that reads the daily headers must do without them."""
    world = make_world(HubSpotSettings(enforce_limits=True, burst=110, daily=None))
    status, _, headers = world.call("GET", CONTACTS)

    assert (status, headers["x-hubspot-ratelimit-max"]) == (200, "110")
    assert not [name for name in headers if "daily" in name]


def test_errors_are_counted_by_the_day_and_refuse_nobody(world: Any) -> None:
    """HubSpot certifies no app with 5% of errors: one that asks for objects to see whether they are there."""
    for number in range(5):
        world.call("GET", f"{CONTACTS}/99999{number}")
    world.call("GET", CONTACTS)

    limits = world.hubspot.limits
    assert (limits.errors_today, limits.errors_today / limits.calls_today > 0.05) == (5, True)
    world.clock.time += 86_400
    world.call("GET", CONTACTS)
    assert (limits.errors_today, limits.calls_today) == (0, 1)


def test_a_bulk_write_beside_another_is_locked(world: Any) -> None:
    """PROVIDERS §1: 423 for two seconds; nothing of the batch was executed, and the other type is free."""
    world.hubspot.keep_busy("contact")
    marked = {"id": "i.m.1", "idProperty": "accord_ref"}
    of_contacts = {"inputs": [marked | {"properties": {"firstname": "A"}}]}
    of_companies = {"inputs": [marked | {"properties": {"name": "A"}}]}

    assert world.call("POST", CONTACTS + "/batch/upsert", of_contacts)[0] == 423
    assert world.call("POST", COMPANIES + "/batch/upsert", of_companies)[0] == 200
    assert len(world.hubspot.objects("customer")) == 1
    world.clock.time += 2
    assert world.call("POST", CONTACTS + "/batch/upsert", of_contacts)[0] == 200


def test_a_429_can_be_had_for_the_asking(world: Any) -> None:
    """For faults: other apps of the account used the allowance up."""
    for path, policy in ((CONTACTS, "TEN_SECONDLY_ROLLING"), (CONTACTS + "/search", "SECONDLY")):
        answer = world.hubspot.too_many(HttpRequest("POST", f"https://x{path}", {}))
        assert (answer.status, json.loads(answer.body)["policyName"]) == (429, policy)


HOOKED = HubSpotSettings(webhook_url="https://accord.example/hooks/crm%3A1", lag_scale=0.5)


def test_webhooks_are_arrays_of_at_most_a_hundred_events_signed_for_the_public_url(make_world: Any) -> None:
    """The connector's own verification accepts them, and its notices name the objects."""
    world = make_world(HOOKED)
    made = [world.hubspot.edit("customer", None, {"name": f"A{number}"}) for number in range(60)]

    sent = world.hubspot.due_webhooks(world.clock.now())

    hooks = HubSpotWebhooks()
    assert [len(json.loads(one.delivery.body)) for one in sent] == [100, 80]
    for one in sent:
        hooks.verify(one.delivery, [HOOKED.client_secret], world.clock.now())
    named = {notice.remote_id for one in sent for notice in hooks.notices(one.delivery.body)}
    assert named == set(made)
    assert not world.hubspot.due_webhooks(world.clock.now())


def test_a_legacy_apps_webhooks_have_the_oldest_signature_alone(make_world: Any) -> None:
    """PROVIDERS §4: whoever knows v3 only hears nothing; whoever takes v1 beside a wrong v3 is fooled."""
    world = make_world(dataclasses.replace(HOOKED, is_legacy_app=True))
    world.hubspot.edit("customer", None, {"name": "Ada"})
    (sent,) = world.hubspot.due_webhooks(world.clock.now())

    assert not {"x-hubspot-signature-v3", "x-hubspot-request-timestamp"} & sent.delivery.headers.keys()
    HubSpotWebhooks().verify(sent.delivery, [HOOKED.client_secret], world.clock.now())
    stamp = str(int(world.clock.now() * 1000))
    wrong = {**sent.delivery.headers, "x-hubspot-signature-v3": "AAAA", "x-hubspot-request-timestamp": stamp}
    forged = dataclasses.replace(sent.delivery, headers=wrong)
    with pytest.raises(SignatureError):
        HubSpotWebhooks().verify(forged, [HOOKED.client_secret], world.clock.now())


def test_an_unanswered_webhook_comes_again_ten_times_over_a_day(make_world: Any) -> None:
    """With a fresh signature and another attempt number, but the same identity."""
    world = make_world(HOOKED)
    world.hubspot.edit("customer", None, {"name": "Ada"})
    attempts, keys = [], set()
    started = world.clock.now()
    while True:
        sent = world.hubspot.due_webhooks(world.clock.now())
        if not sent and world.clock.now() > started + 90_000:
            break
        for one in sent:
            HubSpotWebhooks().verify(one.delivery, [HOOKED.client_secret], world.clock.now())
            attempts.append(one.attempt)
            keys.add(HubSpotWebhooks().dedupe_key(one.delivery))
            world.hubspot.webhook_answered(one.id, 500 if one.attempt % 2 else None, world.clock.now())
        world.clock.time += 15

    assert attempts == list(range(11))
    assert len(keys) == 1


def test_ten_webhooks_are_under_way_at_once_and_the_others_wait_for_an_answer(make_world: Any) -> None:
    """A receiver that works before it answers hears of the next hundred only when it is done with one."""
    world = make_world(HOOKED)
    for number in range(600):
        world.hubspot.edit("customer", None, {"name": f"A{number}"})

    first = world.hubspot.due_webhooks(world.clock.now())
    assert len(first) == 10
    assert not world.hubspot.due_webhooks(world.clock.now() + 3600)
    assert [one.patience_seconds for one in first] == [5.0] * 10
    world.hubspot.webhook_answered(first[3].id, 200, world.clock.now())
    (eleventh,) = world.hubspot.due_webhooks(world.clock.now())
    assert eleventh.id not in {one.id for one in first}


def test_an_acknowledged_webhook_is_done(make_world: Any) -> None:
    """2xx ends it."""
    world = make_world(HOOKED)
    world.hubspot.edit("customer", None, {"name": "Ada"})
    (sent,) = world.hubspot.due_webhooks(world.clock.now())
    world.hubspot.webhook_answered(sent.id, 204, world.clock.now())
    world.clock.time += 90_000

    assert not world.hubspot.due_webhooks(world.clock.now())


def test_every_kind_of_change_is_told(make_world: Any) -> None:
    """Creation, changed properties only, deletion, restore, merge."""
    world = make_world(HOOKED)
    first = world.hubspot.edit("customer", None, {"name": "Ada", "phone": "1"})
    second = world.hubspot.edit("customer", None, {"name": "Bob"})
    world.hubspot.due_webhooks(world.clock.now())
    world.hubspot.edit("customer", first, {"name": "Ada", "phone": "2"})
    world.hubspot.delete("customer", first)
    world.hubspot.restore("customer", first)
    world.hubspot.merge("customer", first, second)

    (sent,) = world.hubspot.due_webhooks(world.clock.now())

    told = [(one["subscriptionType"], one.get("propertyName")) for one in json.loads(sent.delivery.body)]
    assert sorted(told) == [
        ("contact.deletion", None),
        ("contact.merge", None),
        ("contact.propertyChange", "phone"),
        ("contact.restore", None),
    ]


def test_events_come_in_no_order_and_their_ids_are_not_unique(make_world: Any) -> None:
    """PROVIDERS §4: whoever believes the last value of an array, or counts on eventId, is wrong for good."""
    world = make_world(HOOKED)
    first = world.hubspot.edit("customer", None, {"name": "Ada"})
    world.hubspot.due_webhooks(world.clock.now())
    for number in range(30):
        world.clock.time += 1
        world.hubspot.edit("customer", first, {"phone": str(number)})

    (sent,) = world.hubspot.due_webhooks(world.clock.now())

    events = json.loads(sent.delivery.body)
    assert [one["propertyValue"] for one in events] != [str(number) for number in range(30)]
    assert len({one["eventId"] for one in events}) < 30
    world.hubspot.edit("customer", first, {"phone": "same id"})
    (later,) = world.hubspot.due_webhooks(world.clock.now())
    assert HubSpotWebhooks().dedupe_key(later.delivery) != HubSpotWebhooks().dedupe_key(sent.delivery)


def test_an_erased_contact_is_in_no_recycle_bin(make_world: Any) -> None:
    """PROVIDERS §4: contact.privacyDeletion is all that is told of it; there is no contact.deletion."""
    world = make_world(HOOKED)
    first = world.hubspot.edit("customer", None, {"name": "Ada", "email": "a@x.example"})
    company = world.hubspot.edit("customer", None, {"name": "Acme", "customer_type": "company"})
    world.hubspot.due_webhooks(world.clock.now())
    world.hubspot.erase("customer", first)

    (sent,) = world.hubspot.due_webhooks(world.clock.now())
    assert [one["subscriptionType"] for one in json.loads(sent.delivery.body)] == ["contact.privacyDeletion"]
    assert [notice.remote_id for notice in HubSpotWebhooks().notices(sent.delivery.body)] == [first]
    assert world.call("GET", CONTACTS + "?archived=true")[1]["results"] == []
    assert new(world, email="a@x.example")[0] == 201
    with pytest.raises(KeyError):
        world.hubspot.restore("customer", first)
    with pytest.raises(ValueError, match="contacts only"):
        world.hubspot.erase("customer", company)


def test_nobody_subscribed_means_nothing_is_kept(world: Any) -> None:
    """Ten thousand seeded objects must not become ten thousand events later."""
    world.hubspot.edit("customer", None, {"name": "Ada"})
    world.hubspot.settings = dataclasses.replace(world.hubspot.settings, webhook_url="https://accord.example/h")

    assert not world.hubspot.due_webhooks(world.clock.now())
    world.hubspot.edit("customer", None, {"name": "Bob"})
    assert world.hubspot.due_webhooks(world.clock.now())


def test_a_person_types_in_neutral_words_and_sees_them_again(world: Any) -> None:
    """The oracle of the demo: written without the translator."""
    fields = {
        "name": "Ada Lovelace",
        "email": "Ada@Example.com",
        "phone": "1",
        "url": "w",
        "billing_address": {"line1": "1 Square", "country": "GB"},
        "legal_name": "A",
        "legal_number": "2",
        "tax_identification_number": "3",
        "customer_type": "company",
        "metadata.Tier.x": "gold",
    }
    remote_id = world.hubspot.edit("customer", None, fields | {"external_id": "c", "extra": {"industry": "x"}})

    assert remote_id.startswith("company:")
    assert world.hubspot.neutral("customer")[remote_id] == fields | {"parent": None}
    properties = world.hubspot.objects("customer")[remote_id]["properties"]
    assert (properties["external_customer_id"], properties["industry"]) == ("c", "x")
    world.hubspot.edit("customer", remote_id, {"extra": {"country": "Atlantis"}, "name": None})
    seen = world.hubspot.neutral("customer")[remote_id]
    assert "billing_address" not in seen
    assert seen["name"] is None


def test_what_hubspots_pages_would_not_save_is_refused(world: Any) -> None:
    """ValueError for a refused edit, KeyError for what is not there: the sandbox's admin tells them apart."""
    first = world.hubspot.edit("customer", None, {"name": "Ada", "email": "a@x.example"})

    with pytest.raises(ValueError, match="already has that email"):
        world.hubspot.edit("customer", None, {"email": "A@x.example"})
    with pytest.raises(ValueError, match="stays a contact"):
        world.hubspot.edit("customer", first, {"customer_type": "company"})
    with pytest.raises(ValueError, match="no place"):
        world.hubspot.edit("customer", first, {"currency": "EUR"})
    with pytest.raises(KeyError):
        world.hubspot.edit("customer", "contact:9999", {"name": "x"})
    with pytest.raises(KeyError):
        world.hubspot.delete("customer", "deal:1")
    with pytest.raises(KeyError):
        world.hubspot.neutral("payment")


def test_every_change_is_recorded_with_its_author(world: Any) -> None:
    """A person's and ours, with the key of the write."""
    remote_id = world.hubspot.edit("customer", None, {"name": "Ada"})
    one = {"id": remote_id.partition(":")[2], "properties": {"phone": "1"}, "objectWriteTraceId": "key-7"}
    world.call("POST", CONTACTS + "/batch/update", {"inputs": [one]})
    world.call("POST", CONTACTS + "/batch/archive", {"inputs": [{"id": one["id"]}, {"id": "9999"}]})

    told = [(one.caller, one.action, one.id, one.request_key) for one in world.hubspot.mutations]

    assert told == [
        ("person", "create", remote_id, None),
        ("accord", "update", remote_id, "key-7"),
        ("accord", "archive", remote_id, None),
    ]
    assert world.hubspot.mutations[1].changed == {"phone": "1"}


def test_reads_are_counted_and_writes_are_not(world: Any) -> None:
    """The idle budget of the engine is measured with it."""
    before = world.hubspot.reads
    world.call("GET", CONTACTS)
    world.call("POST", CONTACTS + "/search", {})
    new(world, firstname="A")

    assert world.hubspot.reads == before + 2


def test_a_body_that_is_no_request_at_all_does_not_break_it(world: Any) -> None:
    """Bytes from a broken client."""
    sent = {"authorization": f"Bearer {world.hubspot.settings.access_token}"}
    answer = world.hubspot.respond(HttpRequest("POST", f"https://x{CONTACTS}/search", sent, b"\xff\xfe"))

    assert answer.status == 400


def companies(world: Any, *names: str) -> list[str]:
    """Companies, by their ids without the type."""
    made = [world.hubspot.edit("customer", None, {"name": name, "customer_type": "company"}) for name in names]
    return [one.partition(":")[2] for one in made]


def tie(world: Any, child: str, parent: str, what: str = "create", kind: int = 14) -> tuple[int, Any]:
    """One tie, as a naive client sends it."""
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": kind}]
    body = {"inputs": [{"from": {"id": child}, "to": {"id": parent}, "types": types}]}
    path = f"/crm/associations/2026-09/companies/companies/batch/{what}"
    status, told, _ = world.call("POST", path, body)
    return status, told


def parent_of(world: Any, child: str) -> str | None:
    """Who is above a company."""
    found = world.hubspot.neutral("customer")[f"company:{child}"]["parent"]
    return found.partition(":")[2] if found else None


def test_a_company_has_one_parent_and_is_nobodys_ancestor_twice(world: Any) -> None:
    """A second parent, a circle, a stranger and a tie of no known kind are refused; the same again is fine."""
    one, two, three = companies(world, "One", "Two", "Three")
    assert tie(world, two, one)[0] == 201
    assert tie(world, two, one)[0] == 201
    assert tie(world, two, three, kind=14)[0] == 207
    assert "already has the parent" in tie(world, two, three)[1]["errors"][0]["message"]
    assert tie(world, three, two)[0] == 201
    assert "is above company" in tie(world, one, three)[1]["errors"][0]["message"]
    assert tie(world, "999", one)[1]["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert tie(world, one, three, kind=280)[0] == 207
    assert (parent_of(world, one), parent_of(world, two), parent_of(world, three)) == (None, one, two)


def test_a_tie_is_told_from_either_end(world: Any) -> None:
    """13 is parent to child, 14 child to parent; taking off what is not there is fine."""
    one, two = companies(world, "One", "Two")
    assert tie(world, one, two, kind=13)[0] == 201
    assert parent_of(world, two) == one
    assert tie(world, two, one, what="labels/archive")[0] == 204
    assert tie(world, two, one, what="labels/archive")[0] == 204
    assert parent_of(world, two) is None
    assert tie(world, one, two, what="unheard/of")[0] == 404


@pytest.mark.parametrize(("what", "most"), [("read", 1_000), ("create", 2_000), ("labels/archive", 100)])
def test_a_batch_of_ties_has_a_size_of_its_own_for_each_verb(world: Any, what: str, most: int) -> None:
    """One more, and nothing of it is executed."""
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 14}]
    one = {"id": "1"} if what == "read" else {"from": {"id": "1"}, "to": {"id": "2"}, "types": types}
    path = f"/crm/associations/2026-09/companies/companies/batch/{what}"
    assert world.call("POST", path, {"inputs": [one] * most})[0] < 300
    status, told, _ = world.call("POST", path, {"inputs": [one] * (most + 1)})
    assert (status, told["message"]) == (400, f"The maximum batch size is {most}")


def test_a_batch_of_ties_has_pages_and_names_who_has_none(world: Any) -> None:
    """A parent of many has its own parent on the last page."""
    top, middle, lonely, *children = companies(world, "Top", "Middle", "Lonely", *map(str, range(501)))
    tie(world, middle, top)
    for child in children:
        tie(world, child, middle)
    path = "/crm/v4/associations/company/companies/batch/read"
    status, told, _ = world.call("POST", path, {"inputs": [{"id": middle}, {"id": lonely}]})
    assert status == 207
    assert told["errors"][0]["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    (found,) = told["results"]
    assert len(found["to"]) == 500
    assert {kind["typeId"] for one in found["to"] for kind in one["associationTypes"]} == {13}
    seen = world.remote(world.see(f"company:{middle}"))
    assert seen.parent_id == f"company:{top}"


def test_ties_rest_with_an_archived_company_and_move_with_a_merged_one(world: Any) -> None:
    """They come back with it; and a merge makes nobody its own ancestor."""
    one, two, three = companies(world, "One", "Two", "Three")
    tie(world, two, one)
    tie(world, three, two)
    world.hubspot.delete("customer", f"company:{one}")
    assert parent_of(world, two) is None
    world.hubspot.restore("customer", f"company:{one}")
    assert parent_of(world, two) == one
    merged = world.hubspot.merge("customer", f"company:{one}", f"company:{three}").partition(":")[2]
    assert (parent_of(world, two), parent_of(world, merged)) == (None, two)


def test_people_move_companies_and_no_contacts(world: Any) -> None:
    """One step on the page; what HubSpot would not save leaves all as it was."""
    one, two, three = companies(world, "One", "Two", "Three")
    world.hubspot.edit("customer", f"company:{two}", {"parent": f"company:{one}"})
    world.hubspot.edit("customer", f"company:{two}", {"parent": f"company:{three}"})
    assert parent_of(world, two) == three
    with pytest.raises(ValueError, match="above company"):
        world.hubspot.edit("customer", f"company:{three}", {"parent": f"company:{two}"})
    person = world.hubspot.edit("customer", None, {"name": "Ada"})
    for child, parent in ((person, f"company:{one}"), (f"company:{one}", person)):
        with pytest.raises(ValueError, match="companies only"):
            world.hubspot.edit("customer", child, {"parent": parent})
    assert "parent" not in world.hubspot.neutral("customer")[person]
    assert [one.action for one in world.hubspot.mutations][-3:] == ["associate", "associate", "create"]


def test_a_tie_is_an_event_of_the_parent(make_world: Any) -> None:
    """Once for each tie put on or taken off."""
    world = make_world(HubSpotSettings(webhook_url="https://accord.test/hook"))
    one, two = companies(world, "One", "Two")
    world.hubspot.edit("customer", f"company:{two}", {"parent": f"company:{one}"})
    world.hubspot.edit("customer", f"company:{two}", {"parent": None})
    events = [
        event
        for outgoing in world.hubspot.due_webhooks(world.clock.now())
        for event in json.loads(outgoing.delivery.body)
        if event["subscriptionType"] == "company.associationChange"
    ]
    assert sorted((one_["fromObjectId"], one_["toObjectId"], one_["associationRemoved"]) for one_ in events) == [
        (int(one), int(two), False),
        (int(one), int(two), True),
    ]
