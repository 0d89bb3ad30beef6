"""erase, link, unlink and adopt."""

from __future__ import annotations

import asyncio
import io
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from core.cli.asking import actor
from core.cli.desk import Desk
from core.cli.erasing import erase
from core.model.holds import HoldDraft
from core.store import connections, customers, holds, instance, journal, mappings
from core.store.holds import Held
from core.store.tables import METADATA
from tests.integration.cli.conftest import Accord, customer_id, only
from tests.support.acting import mapped, with_settings
from tests.support.root import WorldRoot
from tests.support.world import World


def test_an_erasure_tells_what_stays_and_is_asked_about(agreed: World, accord: Accord) -> None:
    """Nobody can be asked here: then the option must have said so. The second time there is nobody."""
    name = customer_id(agreed)
    refused = accord("customers", "erase", name)
    assert (refused.code, "--yes" in refused.err) == (1, True)
    assert agreed.db.read_now(customers.count) == 1
    done = accord("customers", "erase", name, "--yes", "--json")
    assert (done.code, done.json["external_customer_id"], done.json["customers"]) == (0, name, 1)
    assert {one["connection"]: one["remote_id"] for one in done.json["remains"]} == {
        one: only(agreed, one) for one in ("stripe", "hubspot", "quickbooks")
    }
    assert agreed.db.read_now(customers.count) == 0
    again = accord("customers", "erase", name, "--yes", "--json")
    assert (again.code, again.error["code"]) == (1, "not_found")
    assert accord("sync", "--full").code == 0
    assert "1 objects of erased customers" in accord("status").out


def test_an_erasure_reads_as_a_table(agreed: World, accord: Accord) -> None:
    """For a person: what to erase where."""
    remote_id = only(agreed, "stripe")
    shown = accord("customers", "erase", customer_id(agreed), "--yes").out
    assert "erase these at their providers" in shown
    assert remote_id in shown


@pytest.mark.parametrize("as_json", [True, False])
def test_what_an_erasure_leaves_is_told_elsewhere_where_the_output_is_full(
    agreed: World, root: WorldRoot, *, as_json: bool
) -> None:
    """It is told this once: nothing here knows the objects any more, and somebody has to erase them."""
    remote_ids = [only(agreed, name) for name in ("stripe", "hubspot", "quickbooks")]
    told = io.StringIO()
    full = Path("/dev/full").open("w")  # noqa: SIM115 - closing it fails, too
    desk = Desk(root, (io.StringIO(), full, told))
    desk.as_json = as_json
    with pytest.raises(OSError, match="No space left"):
        erase(desk, customer_id(agreed), yes=True)
    with suppress(OSError):
        full.close()
    assert [one for one in remote_ids if one not in told.getvalue()] == []


def test_unlink_and_link(agreed: World, accord: Accord) -> None:
    """There and back again."""
    name, remote_id = customer_id(agreed), only(agreed, "hubspot")
    assert accord("mappings", "unlink", name, "hubspot", "--remote", "x").code == 1
    done = accord("mappings", "unlink", name, "hubspot", "--remote", remote_id, "--json")
    assert (done.code, done.json["state"], done.json["remote_id"]) == (0, "excluded", remote_id)
    assert "is left out already" in accord("mappings", "unlink", name, "hubspot").err
    linked = accord("mappings", "link", name, "hubspot", remote_id)
    assert (linked.code, "accord sync hubspot" in linked.out) == (0, True)
    assert accord("sync").code == 0
    journal = accord("explain", name, "--json").json["journal"]
    assert [one["action"] for one in journal if one["actor"].startswith("cli:")] == ["link", "unlink"]


def everything(world: World) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables."""
    tables = METADATA.sorted_tables
    return world.db.read_now(
        lambda tx: {one.name: sorted(map(tuple, tx.rows(sa.select(one))), key=repr) for one in tables}
    )


def test_a_link_is_foretold_field_by_field_and_nothing_is_touched(agreed: World, accord: Accord) -> None:
    """What would be taken in, what would be written there; then the link itself does just that."""
    name, remote_id = customer_id(agreed), only(agreed, "hubspot")
    done = accord("mappings", "unlink", name, "hubspot")
    assert (done.code, "figures on it stay as they were last" in done.out) == (0, True)
    agreed.lookalikes["hubspot"].edit("customer", remote_id, {"phone": "+49301111111"})
    assert accord("customers", "update", name, "--set", "url=https://ada.example").code == 0
    agreed.clock.time += 300
    assert accord("sync").code == 0
    before, written = everything(agreed), agreed.writes("hubspot")
    told = accord("mappings", "link", name, "hubspot", remote_id, "--dry-run", "--json")
    assert (told.code, told.json["is_dry_run"], told.json["remote_id"]) == (0, True, remote_id)
    changes = {(one["field"], one["where"], one["new"]) for item in told.json["items"] for one in item["changes"]}
    assert changes == {("phone", "registry", "+49301111111"), ("url", "hubspot", "https://ada.example")}
    shown = accord("mappings", "link", name, "hubspot", remote_id, "--dry-run").out
    assert "nothing was changed" in shown
    assert "+49301111111" in shown
    assert (everything(agreed), agreed.writes("hubspot")) == (before, written)
    assert accord("mappings", "link", name, "hubspot", remote_id).code == 0
    assert accord("sync").code == 0
    there = agreed.neutral("hubspot")[remote_id]
    assert (there["phone"], there["url"]) == ("+49301111111", "https://ada.example")


def test_a_link_that_would_be_refused_is_refused_when_it_is_foretold(agreed: World, accord: Accord) -> None:
    """In the same words."""
    name, remote_id = customer_id(agreed), only(agreed, "hubspot")
    before = everything(agreed)
    for one in (remote_id, "nonsense"):
        arguments = ("mappings", "link", name, "hubspot", one)
        foretold, refused = accord(*arguments, "--dry-run"), accord(*arguments)
        assert (foretold.code, foretold.err) == (refused.code, refused.err) == (1, refused.err)
    assert everything(agreed) == before


def test_a_billing_contact_is_shown_as_a_part_of_the_customer(world: World, accord: Accord) -> None:
    """In explain, in status and in the list of its objects; it is let go by its own id."""
    world.config = with_settings(world.config, "hubspot", billing_contact="true")
    world.start()
    asyncio.run(world.activate_all())
    company = ("--set", "customer_type=company", "--set", "email=pay@acme.example")
    assert accord("customers", "create", "acme", "--set", "name=Acme", *company).code == 0
    assert accord("sync").code == 0
    rows = accord("mappings", "list", "acme", "--json").json["mappings"]
    assert [(one["connection"], one["part"], one["state"]) for one in rows][:2] == [
        ("hubspot", "", "live"),
        ("hubspot", "contact", "live"),
    ]
    assert "hubspot contact" in accord("mappings", "list", "acme").out
    assert "hubspot contact" in accord("explain", "acme").out
    assert "hubspot contact (billing contact): 1 mapped, 0 to be created, 0 gone" in accord("status").out
    done = accord("mappings", "unlink", "acme", "hubspot", "--remote", rows[1]["remote_id"], "--json")
    assert (done.code, done.json["part"], done.json["state"]) == (0, "contact", "excluded")
    world.lookalikes["hubspot"].delete("customer", rows[0]["remote_id"])
    world.clock.time += 90_000
    accord("sync")
    linked = accord("mappings", "link", "acme", "hubspot", rows[1]["remote_id"], "--json")
    assert (linked.code, linked.json["part"]) == (0, "contact")
    assert "rests: what it is a part of is not there" in accord("explain", "acme").out
    assert accord("mappings", "list", "nobody").code == 1


def test_a_database_of_which_nobody_could_tell_is_adopted_by_word(agreed: World, accord: Accord) -> None:
    """Every connection observes until it is activated again; doctor and status say why."""
    assert accord("db", "adopt").code == 1
    with instance.hold(agreed.db, agreed.clock):
        assert accord("db", "adopt", "--yes").code == 1
    done = accord("db", "adopt", "--yes", "--json")
    assert (done.code, done.json["observing"]) == (0, ["hubspot", "quickbooks", "stripe"])
    assert {one.state for one in agreed.db.read_now(connections.every)} == {"observing"}
    last = agreed.db.read_now(lambda tx: journal.of_record(tx, ""))[0]
    assert (last.kind, last.action, last.actor) == ("database", "adopt", actor())
    assert "restored" in accord("status").out
    assert "restored from an older backup" in accord("doctor").out
    asyncio.run(agreed.activate_all())
    assert {one.restored_at for one in agreed.db.read_now(connections.every)} == {None}


def test_only_a_gone_object_that_is_a_customer_offers_to_archive_one(agreed: World, accord: Accord) -> None:
    """Of a document's copy, or a contact, it would end somebody who is still there: neither is it shown, nor taken."""
    agreed.lookalikes["hubspot"].delete("customer", only(agreed, "hubspot"))
    accord("sync", "--full")
    (hold,) = accord("holds", "--json").json
    assert (hold["reason"], hold["choices"]) == ("remote_gone", ["recreate", "unlink", "archive"])
    part = msgspec.structs.replace(mapped(agreed, "hubspot")[0], id="part", part="contact", remote_id="contacts:1")
    draft = HoldDraft(reason="remote_gone", detail={"remote_id": "contacts:1"}, digest="d")
    some = [Held(subject="m:part", record_id=part.record_id, drafts=[draft])]
    agreed.db.run_now(lambda tx: mappings.insert(tx, [part]))
    agreed.db.run_now(lambda tx: holds.settle(tx, agreed.hub.ids, "hubspot", some, {}, agreed.clock.now()))
    assert [one["choices"][2:] for one in accord("holds", "--json").json] == [["archive"], []]
    both = accord("holds", "answer", "--where", "reason=remote_gone", "archive", "--yes", "--json")
    assert (both.code, both.error["limit"]) == (1, "remote_gone: recreate, unlink")
    done = accord("holds", "answer", hold["id"], "archive", "--json")
    assert (done.code, done.json["answer"]) == (0, "archive")
    assert agreed.db.read_now(customers.count) == 0
