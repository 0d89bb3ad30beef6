"""plan, activate, apply: seen first, then exactly that."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from core.cli.asking import actor
from core.ports import HttpRequest, HttpResponse
from core.store import connections, customers, journal, work
from core.store.database import Database
from core.sync import registry
from core.sync.activation import activate
from tests.integration.cli.conftest import Accord, customer_id, only
from tests.support.acting import with_policy
from tests.support.disk import files_end_at
from tests.support.root import WorldRoot
from tests.support.world import NAMES, World


def _edit(world: World, **values: object) -> str:
    """A person's edit in the registry."""
    name = customer_id(world)
    world.db.run_now(lambda tx: registry.update(tx, world.hub, name, values, actor="test", trace="t"))
    return name


def test_a_plan_writes_nothing_and_says_what_would_change(agreed: World, accord: Accord) -> None:
    """A plan that had an effect would be no plan."""
    _edit(agreed, phone="+4930123456")
    writes = [agreed.writes(name) for name in NAMES]
    result = accord("plan", "stripe", "--json")
    assert result.code == 2
    (plan,) = result.json["plans"]
    (item,) = plan["items"]
    assert (item["kind"], item["changes"][0]["field"], item["changes"][0]["new"]) == ("update", "phone", "+4930123456")
    assert (plan["calls"], plan["counts"]) == (1, {"update": 1})
    assert [agreed.writes(name) for name in NAMES] == writes
    shown = accord("plan", "stripe")
    assert "+4930123456" in shown.out
    assert plan["digest"] in shown.out


def test_a_plan_without_changes_exits_0(agreed: World, accord: Accord) -> None:
    """Scripts ask by the exit code."""
    assert agreed.db.read_now(customers.count) == 1
    assert accord("plan").code == 0


def test_who_policy_creates_no_more_is_told_and_is_nothing_to_do(agreed: World, accord: Accord) -> None:
    """A script that goes by the exit codes would wait for them for ever."""
    values = {"name": "Bea", "email": "bea@example.test"}
    agreed.db.run_now(lambda tx: registry.create(tx, agreed.hub, "bea", values, actor="test", trace="t"))
    agreed.config = with_policy(agreed.config, "hubspot", creates="none")
    agreed.start()
    assert accord("sync").code == 0
    assert accord("sync", "--customer", "bea").code == 0
    assert accord("sync", "stripe", "--json").json["elsewhere"] == {}
    assert len(agreed.neutral("hubspot")) == 1
    told = accord("plan", "hubspot", "--json")
    assert (told.code, told.json["plans"][0]["counts"], told.json["plans"][0]["calls"]) == (0, {"wait": 1}, 0)
    why = "policy does not create it there"
    assert why in " ".join(accord("plan", "hubspot").out.split())
    assert why in " ".join(accord("explain", "bea").out.split())
    agreed.config = with_policy(agreed.config, "hubspot", creates="all")
    agreed.start()
    assert accord("plan", "hubspot").code == 2
    assert accord("sync").code == 0
    assert len(agreed.neutral("hubspot")) == 2


def test_a_plan_from_before_policy_creates_no_more_is_not_applied(
    agreed: World, accord: Accord, tmp_path: Path
) -> None:
    """It told of a create that nobody wants by now; the plan of today tells of none."""
    values = {"name": "Bea", "email": "bea@example.test"}
    agreed.db.run_now(lambda tx: registry.create(tx, agreed.hub, "bea", values, actor="test", trace="t"))
    before, now = tmp_path / "before.json", tmp_path / "now.json"
    accord("plan", "hubspot", "--out", str(before))
    agreed.config = with_policy(agreed.config, "hubspot", creates="none")
    agreed.start()
    stale = accord("apply", str(before), "--json")
    assert (stale.code, "stale" in stale.error["problem"]) == (1, True)
    accord("plan", "hubspot", "--out", str(now))
    assert accord("apply", str(now)).code == 0
    assert len(agreed.neutral("hubspot")) == 1


def test_a_connection_that_was_never_listed_has_no_plan(world: World, accord: Accord) -> None:
    """An empty plan for an unread account would look like agreement."""
    assert world.db.read_now(customers.count) == 0
    result = accord("plan", "stripe", "--json")
    assert result.code == 1
    assert "listed completely" in result.error["problem"]
    assert accord("plan").code == 1
    every = accord("plan", "--json")
    assert (every.code, every.json["plans"]) == (1, [])
    assert [one["field"] for one in every.json["problems"]] == ["connection"] * 3
    assert "listed completely" in every.json["problems"][0]["problem"]


def test_what_a_dry_run_could_not_read_is_in_its_json(agreed: World, accord: Accord) -> None:
    """A program sees nothing but that document, and the exit code."""

    def away(_request: HttpRequest) -> HttpResponse:
        raise ConnectionRefusedError

    agreed.exchanges["stripe"] = away
    result = accord("sync", "--dry-run", "--json")
    assert result.code == 1
    assert {one["connection"] for one in result.json["plans"]} == {"hubspot", "quickbooks", "stripe"}
    assert [one["code"] for one in result.json["problems"]] == ["retry"]


def test_a_held_create_is_planned_as_a_hold(world: World, accord: Accord) -> None:
    """A dry run that kept announcing a create which waits for a person would never come to rest."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada\x1b[31m", "email": "ada@example.test"})
    asyncio.run(world.activate_all())
    result = accord("plan", "quickbooks", "--json")
    assert result.code == 3
    assert [one["kind"] for one in result.json["plans"][0]["items"]] == ["hold"]
    assert "\x1b" not in accord("plan", "quickbooks").out


def test_activation_needs_the_plan_of_today(world: World, accord: Accord) -> None:
    """What a person has seen is what happens, or nothing does."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    assert accord("sync", "stripe", "--dry-run").code == 2
    seen = accord("plan", "stripe", "--json").json["plans"][0]["digest"]
    assert accord("activate", "stripe", "--plan", "0" * 24).code == 1
    world.lookalikes["stripe"].edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    assert accord("sync", "stripe", "--dry-run").code == 2
    stale = accord("activate", "stripe", "--plan", seen, "--json")
    assert stale.code == 1
    assert "stale" in stale.error["problem"]
    assert world.db.read_now(lambda tx: connections.get(tx, "stripe")).state == "observing"
    digest = accord("plan", "stripe", "--json").json["plans"][0]["digest"]
    assert accord("activate", "stripe", "--plan", digest).code == 0
    assert world.db.read_now(lambda tx: connections.get(tx, "stripe")).state == "active"
    assert accord("activate", "stripe", "--plan", digest).code == 1
    (entry,) = world.db.read_now(lambda tx: journal.of_record(tx, ""))
    assert (entry.kind, entry.connection, entry.action, entry.actor) == ("connection", "stripe", "activate", actor())
    assert entry.changes == {"plan": (None, digest, "activate")}


def test_of_two_who_activate_at_once_one_is_refused(world: World, accord: Accord) -> None:
    """Both were told that it is active now, and what the plan announced was announced twice."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    assert accord("sync", "stripe", "--dry-run").code == 2
    digest = accord("plan", "stripe", "--json").json["plans"][0]["digest"]
    threads = Database(world.url)
    hub = replace(world.hub, db=threads)

    async def both() -> list[object]:
        each = (activate(hub, hub.connections["stripe"], digest, actor=who) for who in ("ada", "bob"))
        return list(await asyncio.gather(*each, return_exceptions=True))

    done = asyncio.run(both())
    threads.close()
    told = (
        "connection: stripe is active already; "
        "nothing is left to do: what its plan shows is written without being asked"
    )
    assert [str(one) for one in done if isinstance(one, Exception)] == [told]
    assert len(done) == 2


def test_apply_does_exactly_what_the_plan_says(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """Other connections wait for their own plan."""
    _edit(agreed, phone="+4930123456")
    file = tmp_path / "plan.json"
    assert accord("plan", "stripe", "--out", str(file)).code == 2
    before = {name: agreed.writes(name) for name in NAMES}
    result = accord("apply", str(file), "--json")
    assert result.code == 0
    assert result.json["applied"]["stripe"] == {"done": 1, "waiting": 0, "failed": 0, "held": 0, "stale": 0}
    assert agreed.neutral("stripe")[only(agreed, "stripe")]["phone"] == "+4930123456"
    assert {name: agreed.writes(name) - before[name] for name in NAMES} == {"stripe": 1, "hubspot": 0, "quickbooks": 0}
    assert set(agreed.db.read_now(work.counts)) == {"hubspot", "quickbooks"}
    entry = agreed.db.read_now(lambda tx: journal.of_record(tx, ""))[0]
    assert (entry.kind, entry.connection, entry.action, entry.actor) == ("connection", "stripe", "apply", actor())
    digest = entry.changes["plan"][1]
    assert isinstance(digest, str)
    assert digest in file.read_text()


def test_a_stale_plan_is_refused_as_a_whole(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """Between the plan and its apply the world moved on."""
    _edit(agreed, phone="+4930123456")
    file = tmp_path / "plan.json"
    accord("plan", "--out", str(file))
    _edit(agreed, phone="+4930999999")
    before = [agreed.writes(name) for name in NAMES]
    result = accord("apply", str(file), "--json")
    assert result.code == 1
    assert "stale" in result.error["problem"]
    assert [agreed.writes(name) for name in NAMES] == before


def test_a_plan_is_carried_out_but_for_whose_read_is_refused(agreed: World, accord: Accord) -> None:
    """Without a daemon, the first of them ended the command, and nobody behind it was done."""
    agreed.lookalikes["stripe"].edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    agreed.clock.time += 300
    assert accord("sync").code == 0
    for one in agreed.db.read_now(customers.listing):
        assert accord("customers", "update", one.external_id, "--set", "phone=+4930123456").code == 0
    (plan,) = accord("plan", "stripe", "--json").json["plans"]
    bad = next(one for one, fields in agreed.neutral("stripe").items() if fields["name"] == "Ada Lovelace")
    inner = agreed.exchanges["stripe"]

    def exchange(request: HttpRequest) -> HttpResponse:
        told = b'{"error": {"type": "invalid_request_error", "message": "Invalid id"}}'
        return HttpResponse(400, {}, told) if request.url.endswith(bad) else inner(request)

    agreed.exchanges["stripe"] = exchange
    result = accord("apply", plan["digest"], "--json")
    assert result.code == 1
    assert (result.json["applied"]["stripe"]["done"], result.json["applied"]["stripe"]["failed"]) == (1, 1)
    phones = {one["name"]: one["phone"] for one in agreed.neutral("stripe").values()}
    assert phones == {"Ada Lovelace": None, "Bob": "+4930123456"}


def test_a_plan_is_not_carried_out_at_a_connection_that_is_paused(agreed: World, accord: Accord) -> None:
    """The provider asked for an hour's silence: without a daemon, `accord apply` asked on."""
    _edit(agreed, phone="+4930123456")
    digest = accord("plan", "stripe", "--json").json["plans"][0]["digest"]
    until = agreed.clock.time + 3600.0
    why = {"error": "Stripe asks for fewer calls", "error_code": "retry", "paused_until": until}
    agreed.db.run_now(lambda tx: connections.change(tx, "stripe", **why))
    waiting, inner, asked = agreed.db.read_now(work.counts), agreed.exchanges["stripe"], []

    def exchange(request: HttpRequest) -> HttpResponse:
        asked.append(request.url)
        return inner(request)

    agreed.exchanges["stripe"] = exchange
    refused = accord("apply", digest, "--json")
    assert (refused.code, asked, agreed.clock.time) == (1, [], until - 3600.0)
    assert "stripe is paused until" in refused.error["problem"]
    assert "Stripe asks for fewer calls" in refused.error["problem"]
    assert agreed.db.read_now(work.counts) == waiting
    agreed.clock.time = until - 200.0
    assert accord("apply", digest, "--json").json["applied"]["stripe"]["done"] == 1
    assert agreed.clock.time >= until
    row = agreed.db.read_now(lambda tx: connections.get(tx, "stripe"))
    assert (row.error, row.error_code, row.paused_until) == ("", "", None)


@pytest.mark.parametrize(("seconds", "is_done"), [(120, True), (4000, False)])
def test_a_silence_that_is_asked_for_in_the_middle_of_a_plan_is_kept(
    agreed: World, accord: Accord, seconds: int, *, is_done: bool
) -> None:
    """It was told and forgotten: the next command, or the daemon, asked at once."""
    _edit(agreed, phone="+4930123456")
    digest = accord("plan", "stripe", "--json").json["plans"][0]["digest"]
    inner, until = agreed.exchanges["stripe"], agreed.clock.time + seconds

    def exchange(request: HttpRequest) -> HttpResponse:
        if agreed.clock.time < until and request.method == "POST":
            headers = {"retry-after": str(seconds), "stripe-rate-limited-reason": "global-rate"}
            return HttpResponse(429, headers, b'{"error": {"code": "rate_limit", "message": "slow down"}}')
        return inner(request)

    agreed.exchanges["stripe"] = exchange
    result = accord("apply", digest, "--json")
    row = agreed.db.read_now(lambda tx: connections.get(tx, "stripe"))
    assert (result.code == 0, row.paused_until is None) == (is_done, is_done)
    if not is_done:
        assert (row.paused_until or 0.0) >= until
        assert "stripe is paused until" in result.error["problem"]
    assert (agreed.neutral("stripe")[only(agreed, "stripe")]["phone"] == "+4930123456") is is_done


def test_apply_takes_a_digest_and_unmapped_objects(agreed: World, accord: Accord) -> None:
    """An object that appeared later enters by a plan, too."""
    agreed.lookalikes["hubspot"].edit("customer", None, {"name": "Bob", "email": "bob@example.test"})
    plan = accord("sync", "hubspot", "--dry-run", "--json")
    assert plan.code == 2
    (one,) = plan.json["plans"]
    assert one["counts"] == {"enter": 1}
    result = accord("apply", one["digest"], "--json")
    assert (result.code, result.json["applied"]["hubspot"]["done"]) == (0, 1)
    assert agreed.db.read_now(customers.count) == 2


def test_what_changed_after_the_plan_was_checked_is_not_carried_out(agreed: World, accord: Accord) -> None:
    """The fresh read finds another change than the one a person has seen: that one was not approved."""
    _edit(agreed, phone="+4930123456")
    digest = accord("plan", "stripe", "--json").json["plans"][0]["digest"]
    agreed.lookalikes["stripe"].edit("customer", only(agreed, "stripe"), {"name": "Somebody Else"})
    writes = agreed.writes("stripe")
    result = accord("apply", digest, "--json")
    assert result.code == 1
    assert result.json["applied"]["stripe"] == {"done": 0, "waiting": 0, "failed": 0, "held": 0, "stale": 1}
    assert agreed.writes("stripe") == writes
    assert agreed.db.read_now(work.counts)["stripe"] == 1
    assert accord("sync").code == 0
    assert {one["name"] for name in NAMES for one in agreed.neutral(name).values()} == {"Somebody Else"}


def test_an_object_that_changed_after_the_plan_was_checked_does_not_enter(agreed: World, accord: Accord) -> None:
    """What a person saw entering was another one."""
    fields = {"name": "Bob", "email": "bob@example.test"}
    bob = agreed.lookalikes["hubspot"].edit("customer", None, fields)
    digest = accord("sync", "hubspot", "--dry-run", "--json").json["plans"][0]["digest"]
    agreed.lookalikes["hubspot"].edit("customer", bob, {"name": "Mallory"})
    result = accord("apply", digest, "--json")
    assert (result.code, result.json["applied"]["hubspot"]["stale"]) == (1, 1)
    assert agreed.db.read_now(customers.count) == 1
    assert accord("sync").code == 0
    assert agreed.db.read_now(customers.count) == 2


def test_an_observing_connection_is_never_written_to(world: World, accord: Accord) -> None:
    """Whoever applies a plan there is told to activate."""
    world.lookalikes["stripe"].edit("customer", None, {"name": "Ada", "email": "ada@example.test"})
    accord("sync", "stripe", "--dry-run")
    digest = accord("plan", "stripe", "--json").json["plans"][0]["digest"]
    result = accord("apply", digest, "--json")
    assert result.code == 1
    assert f"activate stripe --plan {digest}" in result.error["cure"]
    assert world.db.read_now(customers.count) == 0


def test_what_is_no_plan_is_refused(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """Any file may be named by mistake."""
    assert agreed.db.read_now(customers.count) == 1
    deep = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    file = tmp_path / "odd"
    for content in (b"", b"\xff\xfe", b"[]", b'{"accord_plan": 99, "plans": []}', b"\0" * 10, deep):
        file.write_bytes(content)
        assert accord("apply", str(file), "--json").error["field"] == "plan"
    assert accord("apply", str(tmp_path), "--json").error["code"] == "not_found"
    assert accord("apply", "a\0b", "--json").error["code"] == "not_found"
    assert accord("plan", "--out", str(tmp_path / "no" / "folder"), "--json").error["field"] == "out"
    file.write_text(json.dumps({"accord_plan": 1, "plans": [{"connection": "nope", "digest": "x"}]}))
    assert accord("apply", str(file), "--json").error["code"] == "not_found"


def test_a_plan_onto_a_full_disk_leaves_nothing_behind(agreed: World, accord: Accord, tmp_path: Path) -> None:
    """The draft of it stayed."""
    assert agreed.db.read_now(customers.count) == 1
    with files_end_at(16):
        told = accord("plan", "stripe", "--out", str(tmp_path / "plan.json"), "--json").error
    assert (told["field"], told["cure"]) == ("out", "name another place, or free space there")
    assert list(tmp_path.glob("*plan.json*")) == []
    assert list(tmp_path.glob(".*")) == []


def test_a_plan_into_a_pipe_leaves_the_pipe_and_an_empty_name_is_refused(
    agreed: World, accord: Accord, tmp_path: Path
) -> None:
    """A file took the place of the device; the empty name ended in a traceback."""
    assert agreed.db.read_now(customers.count) == 1
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert accord("plan", "stripe", "--out", str(pipe)).code in (0, 2)
    assert b"accord_plan" in os.read(reader, 65536)
    os.close(reader)
    assert pipe.is_fifo()
    told = accord("plan", "stripe", "--out", "", "--json").error
    assert (told["field"], told["cure"]) == ("out", "name a file")


def test_with_a_daemon_it_is_the_daemon_that_carries_out(agreed: World, root: WorldRoot, accord: Accord) -> None:
    """Two runners of one lane could write twice."""
    _edit(agreed, phone="+4930123456")
    digest = accord("plan", "stripe", "--json").json["plans"][0]["digest"]
    before = agreed.writes("stripe")
    root.play_daemon()
    assert accord("apply", digest).code == 0
    assert agreed.writes("stripe") == before + 1
    assert root.daemon_runs > 0
