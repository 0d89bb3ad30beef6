"""What an undo does about values that somebody changed in a system since, before any sweep has told of it."""

from __future__ import annotations

from core.ports import HttpRequest, HttpResponse
from core.sync import registry
from tests.integration.cli.conftest import Accord, customer_id, edit, only
from tests.support.world import World


def phone_of(world: World, name: str) -> object:
    """The phone of the one object there."""
    return world.neutral(name)[only(world, name)]["phone"]


def a_run(world: World, accord: Accord, **values: str) -> str:
    """Somebody's edit, in every system by now; returns its trace."""
    name = customer_id(world)
    world.db.run_now(lambda tx: registry.update(tx, world.hub, name, values, actor="eve", trace="the-run"))
    assert accord("sync").code == 0
    return "the-run"


def down(request: HttpRequest) -> HttpResponse:
    """No answer that says anything."""
    del request
    return HttpResponse(503, {}, b"")


def test_a_value_that_a_person_corrected_at_a_system_since_is_kept(agreed: World, accord: Accord) -> None:
    """It was put back, nothing was told as kept, and the next sync overwrote the newer value everywhere."""
    a_run(agreed, accord, phone="+4930111", name="Eve")
    agreed.lookalikes["stripe"].edit("customer", only(agreed, "stripe"), {"phone": "+4930999"})
    planned = accord("undo", "the-run", "--dry-run", "--json")
    done = accord("undo", "the-run", "--json")
    for shown in (planned, done):
        assert [(one["field"], one["reason"]) for one in shown.json["kept"]] == [
            ("phone", "it was changed at stripe since, and is +4930999 there")
        ]
        assert [list(one["fields"]) for one in shown.json["undone"]] == [["name"]]
    assert done.code == 1
    assert done.json["kept"][0]["change"] > 0
    agreed.clock.time += 300
    assert accord("sync").code == 0
    assert {phone_of(agreed, name) for name in agreed.names} == {"+4930999"}
    assert {agreed.neutral(name)[only(agreed, name)]["name"] for name in agreed.names} == {"Ada Lovelace"}


def test_a_run_is_put_back_as_a_whole_where_a_person_says_so(agreed: World, accord: Accord) -> None:
    """What had changed since had to be put back change by change."""
    a_run(agreed, accord, phone="+4930111", name="Eve", url="https://eve.test")
    accord("customers", "update", customer_id(agreed), "--set", "phone=+4930222")
    agreed.lookalikes["stripe"].edit("customer", only(agreed, "stripe"), {"name": "Eva"})
    assert len(accord("undo", "the-run", "--dry-run", "--json").json["kept"]) == 2
    shown = accord("undo", "the-run", "--anyway", "--dry-run", "--json")
    ((one,), kept) = shown.json["undone"], shown.json["kept"]
    assert (shown.code, kept, sorted(one["fields"])) == (2, [], ["name", "phone", "url"])
    assert one["fields"]["phone"] == {"old": "+4930222", "new": None}
    assert accord("undo", "the-run", "--anyway").code == 0
    fields = accord("customers", "show", customer_id(agreed), "--json").json["fields"]
    assert (fields["name"], fields.get("phone"), fields.get("url")) == ("Ada Lovelace", None, None)
    assert accord("undo", "the-run", "--anyway", "--json").json["undone"] == []


def test_a_change_is_refused_where_a_system_has_a_newer_value(agreed: World, accord: Accord) -> None:
    """As where the registry has one; `--anyway` is a person's word."""
    a_run(agreed, accord, phone="+4930111", url="https://ada.test")
    entries = accord("explain", customer_id(agreed), "--json").json["journal"]
    change = str(next(one["change"] for one in entries if one["action"] == "edit"))
    agreed.lookalikes["hubspot"].edit("customer", only(agreed, "hubspot"), {"phone": "+4930999"})
    for more in ((), ("--dry-run",), ("--field", "phone")):
        refused = accord("undo", change, *more, "--json")
        assert (refused.code, refused.error["code"]) == (1, "version_conflict"), more
        assert refused.error["problem"] == "phone: it was changed at hubspot since, and is +4930999 there"
    assert accord("undo", change, "--field", "url").code == 0
    assert accord("undo", change, "--anyway").code == 0


def test_what_cannot_be_read_is_not_taken_for_unchanged(agreed: World, accord: Accord) -> None:
    """Whoever is down may have a newer value."""
    a_run(agreed, accord, phone="+4930111")
    agreed.exchanges["stripe"] = down
    shown = accord("undo", "the-run", "--json")
    assert (shown.code, shown.json["undone"]) == (1, [])
    assert "stripe could not be read: " in shown.json["kept"][0]["reason"]
    entries = accord("explain", customer_id(agreed), "--json").json["journal"]
    change = str(next(one["change"] for one in entries if one["action"] == "edit"))
    assert "stripe could not be read: " in accord("undo", change, "--json").error["problem"]
    assert agreed.db.read_now(lambda tx: registry.get(tx, customer_id(agreed))).fields["phone"] == "+4930111"


def test_only_systems_that_hold_a_field_are_asked(agreed: World, accord: Accord) -> None:
    """QuickBooks has no place for it, so it has no newer value, up or down."""
    assert not agreed.hub.connections["quickbooks"].projection.covers("locale")
    name = customer_id(agreed)
    agreed.db.run_now(lambda tx: registry.update(tx, agreed.hub, name, {"locale": "de"}, actor="eve", trace="the-run"))
    agreed.exchanges["quickbooks"] = down
    assert accord("undo", "the-run", "--json").json["kept"] == []


def test_what_a_lane_has_still_to_write_is_no_newer_value(agreed: World, accord: Accord) -> None:
    """The systems hold what was there before the run, which is what comes back."""
    name = customer_id(agreed)
    edit(agreed, "stripe", phone="+4930555")
    accord("sync")
    agreed.db.run_now(
        lambda tx: registry.update(tx, agreed.hub, name, {"phone": "+4930111"}, actor="eve", trace="the-run")
    )
    assert accord("undo", "the-run", "--json").json["kept"] == []
    assert agreed.db.read_now(lambda tx: registry.get(tx, name)).fields["phone"] == "+4930555"


def test_an_object_that_is_gone_has_no_newer_value(agreed: World, accord: Accord) -> None:
    """It was read, and is not there: nothing of it is overwritten."""
    a_run(agreed, accord, phone="+4930111")
    agreed.lookalikes["stripe"].delete("customer", only(agreed, "stripe"))
    assert accord("undo", "the-run", "--json").json["kept"] == []
